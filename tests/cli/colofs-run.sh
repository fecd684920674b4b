#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# `colofs run` with User-Mode Linux: streams, arguments, status, shares, and an end that leaves nothing. COLOFS names
# the program, COLOFSD the daemon; KERNEL_ROOT, where set, holds the unpacked package user-mode-linux.
set -u
[ -x "${KERNEL_ROOT:-}/usr/bin/linux.uml" ] || { echo "skipped: user-mode-linux is not installed"; exit 77; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
mkdir share second
echo two >second/file
failed=0

bad() {
	echo "FAILED: $*" >&2
	failed=1
}
run() {
	timeout -k 10 100 "$COLOFS" run --kernel-root="${KERNEL_ROOT:-}" "$@"
}

# bytes, both outputs apart, exit status
head -c 300000 /dev/urandom >random
run share -- sh -c 'cat; echo to-stderr >&2; exit 42' <random >out 2>err
[ $? = 42 ] || bad "exit status"
cmp random out || bad "input and output differ"
[ "$(cat err)" = to-stderr ] || bad "standard error: $(cat err)"

# arguments and environment as they are
run share --env='ODD=a "b" $c' -- sh -c 'printf "%s|" "$@" "$ODD" "$PWD"' sh '' "it's" 'a b' '$x' >out </dev/null || bad "status of printf"
[ "$(cat out)" = "|it's|a b|\$x|a \"b\" \$c|/mnt|" ] || bad "arguments: $(cat out)"

# statuses of env(1)
run share -- /nonexistent >out 2>err </dev/null
[ $? = 127 ] || bad "127: $(cat err)"
run share -- /etc/passwd >out 2>err </dev/null
[ $? = 126 ] || bad "126: $(cat err)"
run share -- sh -c 'kill -KILL $$' </dev/null
[ $? = 137 ] || bad "killed by SIGKILL"

# shares: two, one read-only; the host's other files stay as they are
run share second:two:ro --at /shares -- sh -c '
	[ "$PWD" = /shares/share ] && cp ../two/file here && ! touch ../two/new && rm -rf /etc/hostname && touch /colofs-was-here' 2>err </dev/null ||
	bad "two shares: $(cat err)"
[ "$(cat share/here)" = two ] || bad "the file that the guest copied"
[ ! -e second/new ] && [ ! -e /colofs-was-here ] || bad "a read-only place was written"

# nobody reads the output any more: the command ends like without a guest
[ "$(run share -- sh -c 'yes; echo $? >ended' </dev/null 2>err | head -n 1)" = y ] || bad "head"
[ "$(cat share/ended)" = 141 ] || bad "SIGPIPE did not reach the command"

# signals: to the command first, which can end in its own way; SIGKILL of colofs leaves nothing either
for signal in TERM KILL; do
	rm -f share/up share/told
	"$COLOFS" run --verbose --kernel-root="${KERNEL_ROOT:-}" share -- \
		sh -c 'trap "touch told; exit 9" TERM; touch up; while :; do sleep 0.1; done' </dev/null 2>err &
	pid=$!
	for ((i = 0; i < 600; i++)); do
		[ ! -e share/up ] || break
		sleep 0.1
	done
	made=$(sed -n 's,.* uml_dir=\([^ ]*\)/ .*,\1,p' err | head -n 1)
	[ -S "$made/share0" ] || bad "no socket where it was expected: $made"
	kill -s $signal $pid
	wait $pid 2>/dev/null
	status=$?
	case $signal in
	KILL) [ $status = 137 ] || bad "SIGKILL: status $status" ;;
	TERM) [ $status = 9 ] && [ -e share/told ] || bad "SIGTERM: status $status" ;;
	esac
	for ((i = 0; i < 50; i++)); do
		[ -e "$made" ] || break
		sleep 0.1
	done
	[ ! -e "$made" ] || bad "SIG$signal left $made"
	! pgrep -f "$made" >/dev/null || bad "SIG$signal left $(pgrep -af "$made")"
done
exit $failed
