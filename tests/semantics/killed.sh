#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The suite, the random mode, the exerciser and processes that wait for each other's locks, on a share whose serving process is killed
# at random moments, again and again: what the guest sees is what it sees on the local directory.
# usage: killed.sh MODE      MODE: see run.sh. KILLS is how many there have to be at least [50].
. "$(dirname "$0")/lib.sh"
here=$(dirname "$0")
need_kills=${KILLS:-50}
script="mkdir families random fsx locks && ../semantics families
	../semantics --random random --seed=8 --steps=1500
	../semantics --fsx fsx --seed=8 --steps=1500 --direct
	for kind in fcntl ofd flock; do
		counting=
		for n in 1 2 3; do
			../locker count \$kind locks/\$kind 100 &
			counting+=\" \$!\"
		done
		wait \$counting || echo \"locks/\$kind 0: counting failed\"
		echo \"locks/\$kind 1: \$(cat locks/\$kind)\"
	done"
# How long a request of a guest took at most while all this went on.
watch='use Time::HiRes "time"; my $max = 0;
	until (-e "stop") { my $t = time; mkdir "probe" or die "mkdir: $!"; rmdir "probe" or die "rmdir: $!"; $t = time - $t;
		$max = $t if $t > $max; Time::HiRes::sleep(0.005) }
	printf "%.0f\n", $max * 1000'

daemon() { pgrep -o -f "^$COLOFSD .*$T/share"; }

# The serving process: the last of the chain; its supervisor must be there, and the two that wait outside.
worker() {
	local pid child deep=0
	pid=$(daemon) || return
	while child=$(pgrep -P "$pid" | head -n 1) && [ "$child" ]; do pid=$child deep=$((deep + 1)); done
	[ "$deep" -ge 3 ] && echo "$pid"
}

# Every eighth time the whole daemon is replaced instead.
killer() {
	local kills=0 upgrades=0 turn=0 pid
	while [ ! -e "$T/share/work/stop" ]; do
		sleep "0.$((RANDOM % 10 + 10))"
		turn=$((turn + 1))
		if [ $((turn % 8)) = 0 ]; then
			pid=$(daemon) && kill -USR2 "$pid" && upgrades=$((upgrades + 1))
		else
			pid=$(worker) && kill -KILL "$pid" && kills=$((kills + 1))
		fi
		echo "$kills" >"$T/kills"
		echo "$upgrades" >"$T/upgrades"
	done
}

prepare
cp "${LOCKER:?}" "$T/share/locker"
cp "$LOCKER" "$T/locker"
(cd "$T/local" && bash -c "$script") >"$T/local.out"
killer 2>"$T/killer.err" &
killer=$!
in_guest "$1" "cd work; perl -e '$watch' >/mnt/longest 2>&1 & { $script; }; status=\$?; : >stop; wait; exit \$status" \
	>"$T/share.out" || {
	: >"$T/share/work/stop"
	guest_failed "$T/share.out"
}
wait "$killer"
echo "killed $(cat "$T/kills") times, replaced $(cat "$T/upgrades") times; the longest mkdir and rmdir took $(cat "$T/share/longest") ms"
[ "$(cat "$T/kills")" -ge "$need_kills" ] || { echo "that is not often enough" && exit 1; }
[ "$(cat "$T/share/longest")" -ge 0 ]
mapfile -t lists < <(differences)
"$here/compare.py" "$1" "$T/local.out" "$T/share.out" "${lists[@]}"
