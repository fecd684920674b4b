#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Two guests at once on one directory, through two daemons: each sees the other's files, and its changes of them.
. "$(dirname "$0")/lib.sh"
D=$T/share
mkdir "$D"
# In turn, each appends a line to one file when it sees the other's last: twenty turns, which nobody else can take.
turns() {
	cat <<-END
		#!/bin/sh
		set -e
		mount -t virtiofs share /mnt
		echo "$1 is here" >/mnt/$1
		n=$2
		while [ \$n -lt 20 ]; do
			tries=0
			while [ "\$(tail -n 1 /mnt/turns)" != "turn \$n" ]; do
				tries=\$((tries + 1))
				[ \$tries -lt 600 ] || { echo "$1 does not see turn \$n"; exit 1; }
				sleep 0.05
			done
			n=\$((n + 1))
			echo "turn \$n" >>/mnt/turns
			n=\$((n + 1))
		done
		[ "\$(cat /mnt/$3)" = "$3 is here" ]
	END
}
echo "turn 0" >"$D/turns"
turns red 0 blue >"$T/red.guest"
turns blue 1 red >"$T/blue.guest"
one_cpu
start_daemon red --shared-dir="$D" --tag=share --cache=never
start_daemon blue --shared-dir="$D" --tag=share --cache=never
run_uml red "$T/red.guest" "$T/red.sock" &
red=$!
run_uml blue "$T/blue.guest" "$T/blue.sock" || fail "the second guest"
wait $red || fail "the first guest"
[ "$(wc -l <"$D/turns")" = 22 ] || [ "$(wc -l <"$D/turns")" = 21 ] || fail "the turns: $(wc -l <"$D/turns") lines"
echo "two guests saw each other's changes"
