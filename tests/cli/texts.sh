#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Help, version and capabilities; $MAN and $COMPLETION are what was made from the option table.
. "$(dirname "$0")/lib.sh"

"$COLOFSD" --help >help || fail "--help: status $?"
"$COLOFSD" -h | cmp -s - help || fail "-h differs from --help"
for o in shared-dir socket-path fd socket-group tag thread-pool-size xattr posix-acl xattrmap sandbox readonly \
	seccomp announce-submounts inode-file-handles cache allow-mmap readdirplus writeback allow-direct-io \
	print-capabilities modcaps log-level syslog rlimit-nofile killpriv-v2 security-label uid-map gid-map \
	translate-uid translate-gid preserve-noatime migration-mode migration-on-error migration-verify-handles \
	migration-confirm-paths help version daemonize flock posix-lock timeout max-idle-threads allow-root debug \
	queues max-inodes max-locks max-lock-waiters max-xattr-size max-handles max-cached-fds exit-on-disconnect persistent recover zero-message-open packed-ring pid-file; do
	grep -qE -- "--(\[no-\])?$o" help || fail "--help says nothing of --$o"
	sed 's/\\-/-/g' "$MAN" | grep -qE -- "^\.B .*--(\[no-\])?$o" || fail "the man page says nothing of --$o"
done
"$COLOFSD" --version | grep -qE '^colofsd [0-9]+\.[0-9]+' || fail "--version"
"$COLOFSD" --print-capabilities >caps.json || fail "--print-capabilities: status $?"
python3 - <<'PY' || fail "--print-capabilities is not what management software expects"
import json
c = json.load(open("caps.json"))
assert c["type"] == "fs" and {"separate-options", "migrate-precopy"} <= set(c["features"])
PY
python3 - "$BACKEND" <<'PY' || fail "the back-end's description does not fit"
import json, sys
b, c = json.load(open(sys.argv[1])), json.load(open("caps.json"))
assert b["type"] == c["type"] and b["features"] == c["features"] and b["binary"].endswith("/colofsd")
PY
if command -v man >/dev/null; then
	LC_ALL=C.UTF-8 MANROFFSEQ='' MANWIDTH=80 man --warnings -l "$MAN" >/dev/null 2>warnings || fail "man fails"
	[ ! -s warnings ] || fail "man warns: $(head -n 3 warnings)"
fi
bash -n "$COMPLETION" || fail "the completion does not parse"
# The functions of bash-completion that it uses, as far as they matter here.
complete_line() {
	bash -c '_init_completion() { prev=${W[-2]}; cur=${W[-1]}; split=false
		case $cur in --*=*) prev=${cur%%=*}; cur=${cur#*=}; split=true ;; esac; }
		_filedir() { COMPREPLY=(files); }; compopt() { :; }
		. "$1"; W=("${@:2}"); _colofsd; echo "${COMPREPLY[*]}"' - "$COMPLETION" "$@"
}
[ "$(complete_line colofsd --cache=a)" = 'auto always' ] || fail "completion of --cache=a"
[ "$(complete_line colofsd --no-xa)" = --no-xattr ] || fail "completion of --no-xa"
[ "$(complete_line colofsd --shared-dir=)" = files ] || fail "completion of --shared-dir="
