#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# sqlite: a rollback journal that two guests and the host use at once (--cache=never), and a write-ahead log within one guest.
. "$(dirname "$0")/lib.sh"
need python3
python3 -c 'import sqlite3' 2>/dev/null || skip "python3 has no sqlite3 module"
D=$T/share
rows=100
mkdir "$D"
cat >"$D/writer.py" <<'END'
import os, sqlite3, sys
name, mode, rows, writers = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
children = []
for w in range(writers):
    pid = os.fork()
    if pid:
        children.append(pid)
        continue
    db = sqlite3.connect(mode + ".db", timeout=120, isolation_level=None)
    if mode == "wal":
        assert db.execute("pragma journal_mode").fetchone()[0] == "wal"
    for i in range(rows):
        db.execute("begin immediate")
        n = db.execute("select n from sum").fetchone()[0]
        db.execute("update sum set n = ?", (n + 1,))
        db.execute("insert into log values (?, ?, ?)", ("%s-%d" % (name, w), i, "x" * (i * 37 % 3000)))
        db.execute("commit")
    os._exit(0)
sys.exit(any([os.waitpid(p, 0)[1] for p in children]))
END
cat >"$D/check.py" <<'END'
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
want = int(sys.argv[2])
checks = [db.execute(q).fetchone()[0] for q in ("pragma integrity_check", "select n from sum",
    "select count(*) from log", "select count(*) from (select distinct who, i from log)")]
sys.exit(checks != ["ok", want, want, want] and "%s: %s" % (sys.argv[1], checks))
END
for mode in journal wal; do
	(cd "$D" && python3 -c "
import sqlite3
db = sqlite3.connect('$mode.db')
db.execute('pragma journal_mode=${mode/journal/delete}')
db.executescript('create table sum (n); insert into sum values (0); create table log (who, i, text);')")
done

guest() {
	local name=$1
	shift
	"${COLOFS:?}" run "$D" --daemon-option=--cache=never -- python3 writer.py "$name" "$@" >"$T/$name.log" 2>&1
}

for g in red blue; do
	guest $g journal $rows 2 &
	jobs+=($!)
done
(cd "$D" && python3 writer.py host journal $rows 1) || fail "the host"
for j in "${jobs[@]}"; do wait "$j" || fail "a guest"; done
(cd "$D" && python3 check.py journal.db $((rows * 5))) || fail "the database of two guests"
echo "rollback journal: two guests and the host wrote $((rows * 5)) transactions"

# One guest that may map shared memory: the file with the log's index wants a cache.
"$COLOFS" run "$D" --daemon-option=--cache=auto -- python3 writer.py green wal $rows 4 >"$T/green.log" 2>&1 || fail "write-ahead log"
(cd "$D" && python3 check.py wal.db $((rows * 4))) || fail "the database with a write-ahead log"
echo "write-ahead log: four processes of one guest wrote $((rows * 4)) transactions"
