#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Two guests and the host append records to one file, by O_APPEND and --cache=never: none is lost, none is torn.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/remote.sh"
D=$T/share
times=2000
mkdir "$D"
cp "${LOCKER:?}" "$D/locker"
for g in red blue; do
	start_daemon $g --shared-dir="$D" --tag=share --cache=never
	guest_start $g
done
for g in red blue; do
	on $g "./locker append log $g-1 $times & ./locker append log $g-2 $times && wait \$!" &
	jobs+=($!)
done
(cd "$D" && ./locker append log host $times) || fail "the host"
for j in "${jobs[@]}"; do wait "$j" || fail "a guest"; done
for g in red blue; do guest_kill $g; done
awk -v times=$times '
	length($0) + 1 != $3 || $4 !~ /^x*$/ || NF > 4 { print "torn: " $0; bad = 1; exit 1 }
	$2 != next_of[$1]++ { print "out of order: " $1 " " $2; bad = 1; exit 1 }
	END {
		if (bad) exit 1
		for (who in next_of) { writers++; if (next_of[who] != times) { print who " has " next_of[who]; exit 1 } }
		if (writers != 5) { print writers " writers"; exit 1 }
	}' "$D/log" || fail "the records"
[ "$(wc -l <"$D/log")" = $((5 * times)) ] || fail "the number of records"
echo "$((5 * times)) records of five writers are whole"
