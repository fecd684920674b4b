#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A directory of 200,000 entries that the host changes while the guest reads it: what stays comes once, offsets keep their places,
# and afterwards the guest lists what is there. First argument: the mode of the cache.
. "$(dirname "$0")/session.sh"
need /usr/bin/python3
mkdir "$D/large"
cp "${DIR_READER:?}" "$D/.dir-reader"
# Hard links to a few files: much quicker made than inodes.
entries() {
	/usr/bin/python3 -c '
import os, sys
os.chdir(sys.argv[1])
for kind in sys.argv[2]:
    for i in range(int(sys.argv[3])):
        name = f"{kind}{i:06d}-{i * 2654435761 % 1000003}"
        if sys.argv[4] == "make":
            base = f"../.{kind}{i // 50000}"
            if i % 50000 == 0:
                os.mknod(base)
            os.link(base, name)
        else:
            os.unlink(name)
' "$D/large" "$@"
}
entries sg 100000 make
session_start "daemon:--cache=$1"
is "as many as on the host" 200000 'ls -U large | wc -l'
(
	for ((i = 0; i < 600; i++)); do
		[ ! -e "$D/ready" ] || break
		sleep 0.1
	done
	entries g 20000 remove
	entries n 10000 make
	touch "$D/done"
) &
changer=$!
is "while it changes" "100000 stay, 0 missing, 0 twice; 0 wrong of many places" './.dir-reader large ready done'
wait $changer
same "it did change" "190000" "$(find "$D/large" -mindepth 1 -printf x | wc -c)"
[ "$1" != auto ] || sleep 1.1
same "the guest's names" "$(find "$D/large" -mindepth 1 -printf '%f\n' | sort | md5sum)" "$(g "find large -mindepth 1 -printf '%f\n' | sort | md5sum")"
session_end
verdict
