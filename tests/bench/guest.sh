#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# bench/guest has a real guest do rows of both kinds and writes page and chart; a daemon that the guest cannot mount is told of, and
# a guest that ends.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
for program in linux.uml fio git make cc; do
	command -v $program >/dev/null || { echo "skipped: $program is not installed"; exit 77; }
done
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

fail() {
	echo "FAILED: $*"
	cat "$dir/err"
	exit 1
}

guest() {
	timeout -k 5 100 python3 "$root/bench/guest" --colofs="$COLOFS" --dir="$dir" --output="$dir/page.md" --repeats=1 --file-mib=8 \
		"$@" >"$dir/out" 2>"$dir/err"
}

serve="$COLOFSD --socket-path={socket} --shared-dir={share} ${COLOFSD_ARGS:-}"
guest --rows=seq-write-1m,mmap-read-4k,untar,find "--daemon=one=$serve --tag={tag}" || fail "status $?"
python3 - "$dir" <<'PY' || fail "the files are not what they should be"
import sys, xml.dom.minidom
dir = sys.argv[1]
lines = [[c.strip() for c in line.split("|")[1:-1]] for line in open(dir + "/page.md") if line.startswith("|")]
assert len(lines) == 2 * (2 + 4), lines
for at, cpu in (2, False), (8, True):
    rows = lines[at:at + 4]
    assert [r[0] for r in rows] == ["seq-write-1m", "mmap-read-4k", "untar", "find"], rows
    for name, *values in rows:
        unit = "ms" if cpu else "MiB/s" if name[-1] in "km" else "s"
        assert len(values) == (1 if cpu else 2) and all(float(v.split()[0]) > 0 and v.split()[1] == unit for v in values), (name, values)
assert len(xml.dom.minidom.parse(dir + "/page.svg").getElementsByTagName("rect")) == 1 + 1 + 4
PY
guest --rows=find --no-tmpfs --colofs-option=--boot-timeout=20 "--daemon=one=$serve --tag=other" && fail "a share that cannot be mounted is passed over"
grep -q "not measured: find with one" "$dir/err" || fail "nothing tells what was not measured"
# A guest that ends between two rows; the first one was done twice, once to warm up.
cat >"$dir/colofs" <<'SH'
#!/bin/sh
read -r row && echo ready && read -r _ && echo "$row 1000 us" && echo end
read -r row && echo ready && read -r _ && exec <&- && echo "$row 1000 us" && echo end
SH
chmod +x "$dir/colofs"
guest --rows=find,tar --no-tmpfs --colofs="$dir/colofs" "--daemon=one=$serve --tag={tag}" && fail "a guest that ended is passed over"
grep -q "not measured: tar with one" "$dir/err" || fail "nothing tells what a guest that ended did not do"
grep -q '^| find | 0.00 s |$' "$dir/page.md" || fail "what a guest did ahead of its end is lost"
[ -z "$(find "$dir" -name 'colofs-guest-*')" ] || fail "something was left behind"
echo "1 passed, 0 failed"
