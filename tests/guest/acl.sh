#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# POSIX ACLs in a real guest, also with ids that are others on the host, and what the host sees then.
. "$(dirname "$0")/lib.sh"
need setpriv setfacl getfacl getfattr
[ "$(id -u)" = 0 ] || skip "needs root"
D=$T/share

# guest HOW OWNER OPTION...
guest() {
	local how=$1 owner=$2 o options=()
	shift 2
	for o; do options+=(--daemon-option "$o"); done
	rm -rf "$D"
	mkdir -m 777 "$D"
	chown "$owner" "$D"
	cp "$here/acl.guest" "$D/.script"
	timeout -k 5 300 "${COLOFS:?}" run "$D" --kernel-root="${KERNEL_ROOT:-/}" --daemon "$COLOFSD" "${options[@]}" -- bash .script "$how" >"$T/$how.log" 2>&1 </dev/null ||
		fail "$how: the guest"
}
acl() { is "the host's $1" "$2" "$(getfacl -cnp "$D/$1" | tr '\n' ' ' | sed 's/ *$//')"; }
is() { [ "$2" = "$3" ] || fail "$1: $3, not $2"; }

guest plain 0:0 --posix-acl
acl dir/f "user::rw- user:1001:rwx	#effective:rw- group::r-x	#effective:r-- group:2000:r-- mask::rw- other::---"

guest translate 100000:100000 --posix-acl --translate-uid=map:0:100000:3000 --translate-uid=forbid-guest:3000:62536 \
	--translate-gid=map:0:100000:65536
acl dir/f "user::rw- user:101001:rwx	#effective:rw- group::r-x	#effective:r-- group:102000:r-- mask::rw- other::---"
acl dir/d "user::rwx user:101001:rwx group::r-x group:102000:r-- mask::rwx other::--- default:user::rwx default:user:101001:rwx default:group::r-x default:group:102000:r-- default:mask::rwx default:other::---"
is "the host's owner" 101000:101000 "$(stat -c %u:%g "$D/dir/f")"
echo "ACLs are enforced, inherited and translated"
