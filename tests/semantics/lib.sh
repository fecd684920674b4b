# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# What the suite's scripts share. The environment names the programs: COLOFS, COLOFSD, SEMANTICS (set by meson), and
# KERNEL_ROOT where the guest's kernel is not the installed one (what scripts/uml-sid unpacked).
# Everything is in a private directory, which goes at the end; KEEP=1 keeps it.
set -eu
: "${COLOFS:?}" "${COLOFSD:?}" "${SEMANTICS:?}"
T=$(mktemp -d "${TMPDIR:-/tmp}/colofs-semantics.XXXXXX")
chmod 755 "$T"
trap '[ -n "${KEEP-}" ] || rm -rf "$T"' EXIT
trap 'exit 1' INT TERM HUP

[ "$(id -u)" = 0 ] || { echo "many uids need root"; exit 77; }
if [ -e "${KERNEL_ROOT-}/missing" ]; then
	cat "$KERNEL_ROOT/missing"
	exit 77
fi
[ -x "${KERNEL_ROOT-}/usr/bin/linux.uml" ] || { echo "${KERNEL_ROOT-}/usr/bin/linux.uml is missing"; exit 77; }

# mode_options MODE: the daemon's options by which the share is made.
mode_options() {
	# trusted.* attributes are set with CAP_SYS_ADMIN alone.
	echo --xattr --posix-acl --modcaps=+sys_admin
	case $1 in
	never) echo --cache=never --allow-direct-io --allow-mmap ;;
	auto) echo --cache=auto ;;
	always) echo --cache=always ;;
	killpriv) echo --cache=auto --killpriv-v2 ;;
	writeback) echo --cache=always --writeback --allow-direct-io ;;
	*) echo "there is no mode $1" >&2 && return 1 ;;
	esac
}

# Directories for the program: $T/local, and $T/share/work; beside each stands a copy of it (the guest's /tmp is not the host's).
prepare() {
	mkdir -p "$T/local" "$T/share/work"
	cp "$SEMANTICS" "$T/share/semantics"
	cp "$SEMANTICS" "$T/semantics"
}

# in_guest MODE SCRIPT: the script runs in a guest, in the share $T/share.
in_guest() {
	local options=() o
	for o in $(mode_options "$1") ${DAEMON_OPTIONS-}; do options+=("--daemon-option=$o"); done
	timeout -k 5 "${GUEST_TIMEOUT:-380}" "$COLOFS" run "$T/share" --daemon="$COLOFSD" "${options[@]}" \
		${KERNEL_ROOT:+--kernel-root="$KERNEL_ROOT"} -- bash -c "$2" </dev/null
}

# differences: the lists that hold for the file system and the guest's kernel. A kernel newer than all lists has the newest one.
differences() {
	local here kernel
	here=$(dirname "${BASH_SOURCE[0]}")
	kernel=$(basename "$(echo "${KERNEL_ROOT-}"/usr/lib/uml/modules/*)")
	if [ "$(stat -fc %T "$T")" = xfs ]; then echo "$here/differences-xfs"; else echo "$here/differences"; fi
	{
		ls "$here"/differences-[0-9]*
		echo "$here/differences-$kernel"
	} | sort -V | sed "/differences-$kernel\$/,\$d" | tail -n 1
}

# guest_failed OUTPUT: ends the test.
guest_failed() {
	tail -n 5 "$1"
	echo "the guest ended with an error"
	exit 1
}
