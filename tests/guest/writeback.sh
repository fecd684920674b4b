#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# --writeback loses nothing and keeps times right: contents and times on the host after close, fsync and utimensat;
# appending; small and overlapping writes; truncation between writes. First argument: the mode of the cache.
. "$(dirname "$0")/session.sh"
session_start "daemon:--cache=$1" daemon:--writeback
sums() {
	(cd "$1" && find . -type f | LC_ALL=C sort | xargs md5sum)
}

is "mtime is the write's, not the write-back's" near \
	'echo x >m; sleep 2; sync; d=$(($(date +%s) - $(stat -c %Y m))); [ $d -ge 2 ] && [ $d -le 4 ] && echo near || echo $d'
same "mtime on the host" "$(g 'stat -c "%Y %.Y" m')" "$(stat -c "%Y %.Y" "$D/m")"
is "utimensat behind a write" "1000000000.123456789" 'echo y >u; touch -d @1000000000.123456789 u; stat -c %.Y u | cut -c1-20'
is "it stays after the data was written" 1000000000 'sync; stat -c %Y u'
same "and on the host" "1000000000 y" "$(stat -c %Y "$D/u") $(cat "$D/u")"
is "utimensat while open for writing" 1000000001 'exec 5>v; echo z >&5; touch -d @1000000001 v; stat -c %Y v; exec 5>&-'
same "on the host after close" "1000000001 z" "$(stat -c %Y "$D/v") $(cat "$D/v")"
g 'cp -p u u2' >/dev/null
same "cp -p" "$(stat -c "%.Y %a" "$D/u")" "$(stat -c "%.Y %a" "$D/u2")"
g 'echo closed >c' >/dev/null
same "data after close" closed "$(cat "$D/c")"
g 'exec 5>f; echo synced >&5; sync f' >/dev/null
same "data after fsync" synced "$(cat "$D/f")"
g 'exec 5>&-' >/dev/null
is "appending" "1 2 3 4" 'for i in 1 2; do echo $i >>a; done; (exec 6>>a 7>>a; echo 3 >&6; echo 4 >&7); paste -sd" " a'
same "on the host" "1 2 3 4" "$(paste -sd' ' "$D/a")"
is "appending to what exists" "1 2 3 4 5" 'echo 5 >>a; paste -sd" " a'
is "a write-only file, page by parts" abXXefghij 'printf abcdefghij >p; printf XX | dd of=p bs=1 seek=2 conv=notrunc status=none; cat p'
is "truncating between writes" "3 abc" 'exec 5<>t; printf abcdef >&5; truncate -s 3 t; echo $(stat -c %s t; exec 5>&-; cat t)'
same "on the host" abc "$(cat "$D/t")"
is "growing by truncate" 100 'truncate -s 100 t; sync; stat -c %s t'
is "size and blocks after fsync" 1048576 'dd if=/dev/zero of=b bs=4k count=256 conv=fsync status=none; stat -c %s b'
same "on the host" 1048576 "$(stat -c %s "$D/b")"
g 'chmod 444 c; exec 5>>c2; chmod 000 c2; echo later >&5; exec 5>&-' >/dev/null
same "a mode that forbids writing does not lose data" later "$(cat "$D/c2")"
g 'exec 5>r; echo renamed >&5; mv r r2; echo more >&5; exec 5>&-' >/dev/null
same "renamed with data in the cache" "renamed more" "$(paste -sd' ' "$D/r2")"
g 'for i in 1 2 3 4 5 6 7 8; do head -c $((i * 70001)) /dev/urandom >/tmp/r$i; cp /tmp/r$i r.$i; cp r.$i copy.$i; done; cp -r /mnt /tmp/seen' >/dev/null
same "many files" "$(g "$(declare -f sums); sums /tmp/seen")" "$(sums "$D")"
is "a full page of each, in random order" same \
	'for i in 7 3 5 1 0 6 2 4; do head -c 4096 /dev/urandom >/tmp/page; for f in /tmp/s s; do dd if=/tmp/page of=$f bs=4096 seek=$i conv=notrunc status=none; done; done; cmp /tmp/s s && echo same'
# Two clocks: the guest's is set back. Its modification times are the host's too; its change times are its own until it forgets them.
near() {
	local d=$(($1 - $2))
	[ ${d#-} -le 20 ] && echo near || echo "$d seconds off"
}
behind=$(($(date +%s) - 1000))
g "date -s @$behind" >/dev/null
g ': >clock; mkdir clocks' >/dev/null
same "a new file has the host's times" near "$(near "$(g 'stat -c %Z clock')" $((behind + 1000)))"
g 'chmod 600 clock; echo x >>clock; chmod 700 clocks; sync' >/dev/null
same "a change is the guest's" near "$(near "$(g 'stat -c %Z clock')" $behind)"
same "a modification is the guest's" near "$(near "$(g 'stat -c %Y clock')" $behind)"
same "and on the host" near "$(near "$(stat -c %Y "$D/clock")" $behind)"
same "the host's change time is its own" near "$(near "$(stat -c %Z "$D/clock")" $((behind + 1000)))"
same "which the guest shows once it has forgotten" near "$(near "$(g 'echo 3 >/proc/sys/vm/drop_caches; stat -c %Z clock')" $((behind + 1000)))"
same "directories have the host's" near "$(near "$(g 'stat -c %Z clocks')" $((behind + 1000)))"
session_end
same "nothing is lost when the guest ends" "$(md5sum <"$D/copy.8")" "$(md5sum <"$D/r.8")"
verdict
