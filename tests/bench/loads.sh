#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Each load of colofs-bench runs for a moment against colofsd, every byte verified, and locally; nothing is timed.
set -u
dir=$(mktemp -d)
daemon=
trap '[ -z "$daemon" ] || kill $daemon; wait; rm -rf "$dir"' EXIT
mkdir "$dir/share"

fail() {
	echo "FAILED: $*"
	[ ! -s "$dir/log" ] || tail -n 20 "$dir/log"
	exit 1
}

# serve OPTION...: a daemon at $dir/socket, in place of the last one
serve() {
	[ -z "$daemon" ] || { kill $daemon; wait $daemon; }
	rm -f "$dir/socket"
	# shellcheck disable=SC2086 # several options
	"$COLOFSD" --socket-path="$dir/socket" --shared-dir="$dir/share" ${COLOFSD_ARGS:-} "$@" >"$dir/log" 2>&1 &
	daemon=$!
}

# check LOADS OPTION...: a run that must end well, say something of so many loads, and leave nothing behind
check() {
	local loads=$1
	shift
	"$BENCH" --json --verify --seconds=0.1 --warmup=0 --file-size=8M --entries=100 "$@" >"$dir/out" ||
		fail "$*: status $?"
	python3 - "$dir/out" "$loads" <<'PY' || fail "$*: the output is not what it should be"
import json, sys
out = json.load(open(sys.argv[1]))
assert out["verified"] and len(out["loads"]) == int(sys.argv[2]), out
for load in out["loads"]:
    assert load["operations"] > 0 and load["ops_per_second"] > 0, load
    assert 0 < load["p50_us"] <= load["p90_us"] <= load["p99_us"] <= load["p99_9_us"] <= load["max_us"], load
    if out["target"] == "daemon":
        assert load["cpu_us_per_op"] is None or load["cpu_us_per_op"] > 0, load
        assert load["syscalls_per_op"] is None or load["syscalls_per_op"] > 0, load
    if load["load"] == "blocking":
        assert load["cpu_us_per_op"] is None and load["syscalls_per_op"] is None, load
    assert not load["background_refused"], load
    assert (load["background_operations"] > 0) == (load["load"] in ("blocking", "beside")), load
PY
	[ -z "$(ls -A "$dir/share")" ] || fail "$*: something was left in the share"
}

serve --posix-lock
check 15 --host-dir="$dir/share" "$dir/socket"
serve --queues=2 --posix-lock
check 15 --page-run=1 --ring=packed --completion=poll --queues=2 --depth=4 --host-dir="$dir/share" "$dir/socket"
serve --zero-message-open --cache=always
check 3 --page-run=256 --depth=1 "$dir/socket" small-file create getattr-fh
check 1 --seconds=0 --ops=100 --pid=$daemon "$dir/socket" getattr
python3 -c 'import json, sys; assert json.load(open(sys.argv[1]))["loads"][0]["operations"] == 100' "$dir/out" ||
	fail "--ops=100: another number of operations"
check 13 --threads=2 local "$dir/share"

# lost OPTION...: one write of a hundred is lost, by the daemon or of our own, which must be noticed
lost() {
	"$BENCH" --verify --warmup=0 --seconds=0 --ops=300 --file-size=8M "$@" 2>"$dir/err" >"$dir/out" && fail "$*: a lost write is not noticed"
	grep -qE 'other data than was written|a short read' "$dir/err" || fail "$*: $(cat "$dir/err")"
}

if [ -n "${LOST_WRITES:-}" ]; then
	LD_PRELOAD=$LOST_WRITES serve
	for load in write-4k write-1m create; do
		lost "$dir/socket" $load
		LD_PRELOAD=$LOST_WRITES lost local "$dir/share" $load
	done
fi

# What cannot be done is said so, and ends with a status of its own.
for args in "--depth=0 s" "--page-run=3 s" "--ring=round s" "s nothing" "--seconds=0 s" "--file-size=5 s" "--driver-cpus=x s" "s beside" ""; do
	# shellcheck disable=SC2086 # several words
	"$BENCH" $args 2>"$dir/err"
	[ $? = 2 ] && grep -q '^colofs-bench: ' "$dir/err" || fail "'$args' is not refused"
done
"$BENCH" --queues=9 "$dir/socket" getattr 2>"$dir/err"
[ $? = 1 ] && grep -q 'request queues, not 9' "$dir/err" || fail "too many queues: $(cat "$dir/err")"

# Help and man page know the same.
"$BENCH" --help >"$dir/help" || fail "--help"
for word in $(sed -n 's/^  \(--\)\{0,1\}\([a-z][a-z0-9-]*\).*/\2/p' "$dir/help"); do
	grep -qE "^\.It (Fl -|Cm )$word( |\$)" "$MAN" || fail "the man page says nothing of $word"
done
echo "1 passed, 0 failed"
