#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Users and groups: what a guest's users create, SGID, SUID and file capabilities that go, ids translated, attributes
# renamed. Each time in a real guest, and then as the host sees it.
. "$(dirname "$0")/lib.sh"
need setpriv setcap getfattr /usr/bin/python3
[ "$(id -u)" = 0 ] || skip "needs root"
D=$T/share
what=$1 # own: ids and names as they are; mapped: others on the host

# guest HOW OPTION...: an empty share, the script of ids.guest in it, and the host's view after that.
guest() {
	local how=$1 o options=()
	shift
	for o; do options+=(--daemon-option "$o"); done
	rm -rf "$D"
	mkdir -m 777 "$D"
	chown "${owner-0:0}" "$D"
	prepare
	cp "$here/$script" "$D/.script"
	timeout -k 5 300 "${COLOFS:?}" run "$D" --at /mnt --kernel-root="${KERNEL_ROOT:-/}" --daemon "$COLOFSD" "${options[@]}" -- \
		bash -c "cd /mnt && bash .script $how" >"$T/$how.log" 2>&1 </dev/null || fail "$how: the guest"
}
prepare() { :; }
script=ids.guest

is() { [ "$2" = "$3" ] || fail "$1: $3, not $2"; }
looks() { is "the host's $1" "$2" "$(stat -c %u:%g:%a "$D/$1")"; }
names() { getfattr -h -d -m - "$D/$1" 2>/dev/null | sed -n 's/=.*//p' | sort | tr '\n' ' '; }

own() {
	guest plain --xattr
	looks f 1000:1001:640
	looks s/sub 1000:2000:2755
	is "the host's capabilities" "security.capability " "$(names k)"
}

mapped() {
	prepare() {
		touch "$D/host"
		setfattr -n user.hosts -v 1 "$D/host"
	}
	guest capmap --xattrmap=:map::user.virtiofs.: --killpriv-v2 --cache=never
	is "the host's names" "user.virtiofs.trusted.mine " "$(names r)"
	is "the host's capabilities" "user.virtiofs.security.capability " "$(names k)"
	prepare() { :; }

	owner=100000:100000 guest translate --xattr --translate-uid=map:0:100000:65536 --translate-gid=map:0:100000:65536
	looks f 101000:101001:640
	looks r 100000:100000:644
	looks s/in 101000:102000:2755
	looks s/out 101000:102000:755
	looks l 101000:101001:777
	# A user namespace: the guest's users are those of the namespace.
	owner=100000:100000 guest usermap --xattr --uid-map=:0:100000:65536: --gid-map=:0:100000:65536:
	looks f 101000:101001:640
	looks r 100000:100000:644
	looks s/in 101000:102000:2755

	# chattr +i and +a: with the capability for them only.
	if touch "$T/flags" && chattr +i "$T/flags" 2>/dev/null; then
		chattr -i "$T/flags"
		script=flags.guest
		guest flags --modcaps=+linux_immutable
		guest noflags --xattr
	fi
}

$what
echo "in the guest and on the host, all belongs to whom it should"
