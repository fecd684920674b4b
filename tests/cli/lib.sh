# SPDX-License-Identifier: BSD-3-Clause
# For the tests of colofsd's command line: sourced. $COLOFSD is the program, $COLOFSD_ARGS what it always gets. Each test has a directory of its own
# (the current one), with a share in it, and ends what it started.
set -u
: "${COLOFSD:?names the program to test}"
dir=$(mktemp -d)
cd "$dir" || exit 1
mkdir share
started=
finish() {
	for p in $started; do kill -KILL "$p" 2>/dev/null; done
	cd / && rm -rf "$dir"
}
trap finish EXIT

fail() {
	echo "FAILED: $*" >&2
	for f in "$dir"/log*; do [ -e "$f" ] && sed 's/^/  | /' "$f" >&2; done
	exit 1
}
skip() {
	echo "skipped: $*"
	exit 77
}

# until_true SECONDS COMMAND...
until_true() {
	_n=$(($1 * 20))
	shift
	while ! "$@" 2>/dev/null; do
		_n=$((_n - 1))
		[ $_n -gt 0 ] || return 1
		sleep 0.05
	done
}

# start ARG...: the daemon in the background, ready; its pid is $pid, its messages go to ./log
start() {
	rm -f log
	"$COLOFSD" ${COLOFSD_ARGS:-} "$@" >log 2>&1 &
	pid=$!
	started="$started $pid"
	until_true 10 grep -q 'info: serving' log || fail "colofsd $* did not start"
}

# stop SIGNAL: ends $pid; its exit status is $status
stop() {
	kill "-$1" "$pid"
	wait "$pid"
	status=$?
}

# Of a process with several threads the first may be dead ahead of the others.
gone() { ! kill -0 "$1" 2>/dev/null || tr '\n' ' ' <"/proc/$1/status" 2>/dev/null | grep -q 'State:.Z.*Threads:.1 '; }
child_of() { cat "/proc/$1/task/$1/children"; }
# descendants_of PID; worker_of PID: the last of them, which serves
descendants_of() { for _d in $(child_of "$1"); do echo "$_d" && descendants_of "$_d"; done; }
worker_of() { descendants_of "$1" | tail -n 1; }

# refused WORD REMEDY ARG...: ends with status 2 and one line that has both in it, and makes nothing
refused() {
	_word=$1 _remedy=$2
	shift 2
	_before=$(find . ! -name 'log*' | sort)
	timeout 10 "$COLOFSD" "$@" >log.refused 2>&1
	_status=$?
	[ $_status = 2 ] || fail "colofsd $*: exit status $_status"
	[ "$(wc -l <log.refused)" = 1 ] || fail "colofsd $*: not one line"
	grep -qF -e "$_word" log.refused || fail "colofsd $*: does not name $_word"
	grep -qF -e "$_remedy" log.refused || fail "colofsd $*: gives no remedy ($_remedy)"
	[ "$_before" = "$(find . ! -name 'log*' | sort)" ] || fail "colofsd $*: made something"
}
