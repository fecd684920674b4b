#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# bench/compare measures two daemons (colofsd twice) and writes page, chart and raw results; one that fails is told of.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

fail() {
	echo "FAILED: $*"
	cat "$dir/err"
	exit 1
}

compare() {
	python3 "$root/bench/compare" --bench="$BENCH" --dir="$dir" --output="$dir/page.md" --raw="$dir/raw.json" \
		--repeats=2 --seconds=0.05 --bench-option=--warmup=0 --max-stolen=100 --depths=2 --driver-cpus= --daemon-cpus= "$@" \
		>"$dir/out" 2>"$dir/err"
}

serve="$COLOFSD --socket-path={socket} --shared-dir={share} ${COLOFSD_ARGS:-}"
cpu=$(taskset -cp $$ | sed 's/.*: //; s/[,-].*//') # one that we may use
compare --loads=getattr,lookup --daemon-cpus="$cpu" "--daemon=one=$serve" "--daemon=two=$serve" || fail "status $?"
python3 - "$dir" <<'PY' || fail "the files are not what they should be"
import json, sys, xml.dom.minidom
dir = sys.argv[1]
page = open(dir + "/page.md").read()
rows = [line.split("|")[1:-1] for line in page.splitlines() if line.startswith("| getattr ")]
assert len(rows) == 5 and [len(r) for r in rows] == [8, 8, 8, 4, 4], rows
ops = [c.strip() for c in rows[0]]
assert "-" not in ops and float(ops[3]) >= 0, ops
raw = json.load(open(dir + "/raw.json"))
assert len(raw) == 2 * 2 * 4, len(raw)
assert {r["daemon"] for r in raw} == {"one", "two", "local", "local on the daemon's CPUs"}
assert len(xml.dom.minidom.parse(dir + "/page.svg").getElementsByTagName("rect")) == 1 + 2 + 2 * 2
PY
compare --no-local --loads=getattr "--daemon=one=false {socket}" && fail "a daemon that does not start is passed over"
grep -q "one does not listen" "$dir/err" || fail "nothing tells which daemon does not start"
# One that fails once is told of, too: $dir/failing does so with the first load that it is asked for.
cat >"$dir/failing" <<'SH'
#!/bin/sh
rmdir "$FAILS" 2>/dev/null && exit 1
exec "$BENCH" "$@"
SH
chmod +x "$dir/failing"
export FAILS="$dir/fails"
mkdir "$FAILS"
compare --bench="$dir/failing" --no-local --loads=getattr "--daemon=one=$serve" && fail "a repeat that fails is passed over"
grep -q "not measured: getattr at depth 2 with one, 1 of 2 times" "$dir/err" || fail "nothing tells how often a load was not measured"
more=()
for arg in ${COLOFSD_ARGS:-}; do more+=("--colofsd-option=$arg"); done
tricks() {
	python3 "$root/bench/tricks" --bench="$BENCH" --colofsd="$COLOFSD" --dir="$dir" --output="$dir/tricks.md" --trick=asking --repeats=1 "${more[@]}" \
		--seconds=0.02 --bench-option=--warmup=0 --max-stolen=100 --driver-cpus= --daemon-cpus= "$@" >"$dir/out" 2>"$dir/err"
}
tricks || fail "tricks: status $?"
[ "$(grep -cE '^\| asking a file system once \| (small-file|create), 16 \| [0-9.k]+ / [0-9.k]+ \|' "$dir/tricks.md")" = 2 ] ||
	fail "tricks: the page is not what it should be: $(cat "$dir/tricks.md")"
mkdir "$FAILS"
tricks --bench="$dir/failing" --repeats=2 && fail "tricks: a repeat that fails is passed over"
grep -q "not measured: small-file at depth 16 for asking a file system once, 1 of 4 times" "$dir/err" ||
	fail "tricks: nothing tells how often a load was not measured"
[ -z "$(find "$dir" -name 'colofs-*')" ] || fail "something was left behind"
echo "1 passed, 0 failed"
