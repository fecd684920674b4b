# SPDX-License-Identifier: BSD-3-Clause
# Sourced by tests that act in a guest and on the host by turns. The guest is `colofs run`'s (User-Mode Linux with this
# machine's programs); a shell in it runs what g() sends. COLOFS names the program; COLOFSD, KERNEL_ROOT and UML_PRELOAD
# mean what they mean elsewhere. Everything that a test starts ends with it, and its directory goes.

set -u
T=$(mktemp -d "${TMPDIR:-/tmp}/colofs-test.XXXXXX")
D=$T/share
mkdir "$D"
failed=0
checks=0

session_cleanup() {
	local status=$?
	trap - EXIT
	session_end
	if declare -F cleanup >/dev/null; then cleanup || true; fi
	[ $status = 0 ] || tail -n 40 "$T"/*.err 2>/dev/null
	[ -n "${KEEP-}" ] || rm -rf "$T"
	exit $status
}
trap session_cleanup EXIT
trap 'exit 1' INT TERM HUP

skip() {
	echo "$*"
	exit 77
}

need() {
	local what
	for what in "$@"; do
		command -v "$what" >/dev/null || skip "$what is missing"
	done
}

[ ! -e "${KERNEL_ROOT-}/missing" ] || skip "$(cat "$KERNEL_ROOT/missing")"
[ -x "${KERNEL_ROOT-}/usr/bin/linux.uml" ] || skip "${KERNEL_ROOT-}/usr/bin/linux.uml is missing"

agent='while IFS= read -r -d "" command; do eval "$command" </dev/null 2>&1; printf "\nEND %d\0" $?; done'

# session_start OPTION...: a guest with $D at /mnt, where its shell is. OPTION: of `colofs run`, or of the daemon where
# it begins with daemon:. The session takes at most $session_limit seconds, or 100.
session_start() {
	local o args=()
	for o in "$@"; do
		case $o in
		daemon:*) args+=("--daemon-option=${o#daemon:}") ;;
		*) args+=("$o") ;;
		esac
	done
	coproc GUEST { exec timeout -k 5 "${session_limit:-100}" "${COLOFS:?}" run "$D" --kernel-root="${KERNEL_ROOT:-/}" "${args[@]}" -- bash -c "$agent" 2>>"$T/guest.err"; }
	session=$GUEST_PID
	to_guest=${GUEST[1]} from_guest=${GUEST[0]}
	g true || { echo "the guest did not start ($*)"; exit 1; }
}

session_end() {
	[ -n "${session-}" ] || return 0
	exec {to_guest}>&-
	wait "$session"
	session=
}

# g COMMAND: runs it in the guest's shell. Prints its output and error, and has its status.
g() {
	local out status
	printf '%s\0' "$*" >&"$to_guest"
	IFS= read -r -d '' -u "$from_guest" out || return 125
	status=${out##*END }
	printf '%s' "${out%$'\n'END *}"
	return "$status"
}

# is WHAT WANTED COMMAND: the guest's COMMAND prints WANTED and succeeds.
is() {
	local out status
	out=$(g "$3")
	status=$?
	checks=$((checks + 1))
	if [ "$out" != "$2" ] || [ $status != 0 ]; then
		echo "FAILED: $1: \"$out\", status $status, not \"$2\": $3"
		failed=1
	fi
}

# like WHAT PATTERN COMMAND: what the guest's COMMAND prints matches the shell pattern.
like() {
	local out
	out=$(g "$3")
	checks=$((checks + 1))
	# shellcheck disable=SC2254
	case $out in
	$2) ;;
	*)
		echo "FAILED: $1: \"$out\", not \"$2\": $3"
		failed=1
		;;
	esac
}

# same WHAT A B: two strings are equal.
same() {
	checks=$((checks + 1))
	[ "$2" = "$3" ] && return
	echo "FAILED: $1: \"$2\", not \"$3\""
	failed=1
}

# For the end of a test.
verdict() {
	[ $failed = 0 ] && echo "$checks checks"
	exit $failed
}
