#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Locks between two guests on two daemons, and the host: nobody gets what another has, who waits gets it, and it is free again when
# its holder ends, in whatever way.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/remote.sh"
D=$T/share
mkdir "$D"
cp "${LOCKER:?}" "$D/locker"
for g in red blue; do
	start_daemon $g --shared-dir="$D" --tag=share --cache=never
	declare "daemon_$g=$!"
	guest_start $g
done

# at WHERE ARGS...: the locker, in a guest or on the host.
at() {
	local where=$1
	shift
	case $where in
	host) (cd "$D" && ./locker "$@") ;;
	*) on "$where" ./locker "$@" ;;
	esac
}

free_at() { at "$@" >/dev/null; }
held_at() {
	local status=0
	at "$@" || status=$?
	[ $status = 1 ]
}

# hold WHERE KIND FILE READY: in the background; READY appears when it has the lock.
hold() {
	local where=$1
	shift
	case $where in
	host)
		(cd "$D" && exec ./locker hold "$@") &
		echo $! >"$D/$3.pid"
		pids+=($!)
		;;
	*) on "$where" "./locker hold $* >/dev/null 2>&1 & echo \$! >$3.pid" ;;
	esac
}

let_go() {
	local where=$1 ready=$2
	case $where in
	host) kill "$(cat "$D/$ready.pid")" ;;
	*) on "$where" "kill \$(cat $ready.pid)" ;;
	esac
}

exists() { [ -e "$D/$1" ]; }

for kind in fcntl ofd flock; do
	for holder in red blue host; do
		f=$kind-$holder
		hold $holder $kind "$f" "$f.held"
		soon exists "$f.held" || fail "$holder gets no $kind lock"
		for other in red blue host; do
			held_at $other try $kind "$f" || fail "$kind: $other gets what $holder has"
		done
		# Others wait, and get it one after the other.
		for other in red blue host; do hold $other $kind "$f" "$f.$other"; done
		sleep 0.3
		! exists "$f.red" && ! exists "$f.blue" && ! exists "$f.host" || fail "$kind: a second holder beside $holder"
		let_go $holder "$f.held"
		waiting="red blue host"
		while [ -n "$waiting" ]; do
			left= got=
			some() { for w in $waiting; do if exists "$f.$w"; then return; fi; done; return 1; }
			soon some || fail "$kind: nobody of $waiting is granted what $holder had"
			for w in $waiting; do if exists "$f.$w"; then got+=" $w"; else left+=" $w"; fi; done
			[ "$(wc -w <<<"$got")" = 1 ] || fail "$kind:$got have it together"
			for w in $got; do let_go "$w" "$f.$w"; done
			waiting=$left
		done
		soon free_at host try $kind "$f" || fail "$kind: it stays locked"
	done
	echo "$kind: guests and host exclude each other, and waiters get their turn"
done

for n in 2 3 6; do on red ./locker circle $n c1 c2 || fail "a deadlock of $n processes"; done

for kind in fcntl ofd flock; do
	for g in red blue; do on $g "(./locker count $kind n-$kind 1000; echo \$? >n-$kind.$g.1) & ./locker count $kind n-$kind 1000; echo \$? >n-$kind.$g.2; wait" & waits+=($!); done
	wait "${waits[@]}"
	waits=()
	for g in red blue; do declare "sent_$g=$(($(eval echo "\$sent_$g") + 1))"; done
	[ "$(cat "$D"/n-$kind.*.[12] | tr -d '\n')" = 0000 ] || fail "a counting process"
	[ "$(sed 's/^0*//' "$D/n-$kind")" = 4000 ] || fail "$kind: 4000 was expected: $(cat "$D/n-$kind")"
	echo "$kind: a number that four processes of two guests count up is exact"
done

# A process is killed while it waits: its guest cannot take the request back, but nobody keeps the lock.
for kind in fcntl ofd flock; do
	hold host $kind k-$kind k-$kind.held
	soon exists k-$kind.held || fail "$kind: the host's lock"
	hold red $kind k-$kind k-$kind.waits
	sleep 0.3
	on red "kill -9 \$(cat k-$kind.waits.pid)"
	let_go host k-$kind.held
	soon free_at host try $kind k-$kind || fail "$kind: a killed waiter has the lock"
done

# The guest unmounts.
hold red fcntl u u.held
hold red flock u2 u2.held
soon exists u.held && soon exists u2.held || fail "locks before the unmount"
on red "kill \$(cat u.held.pid u2.held.pid); cd /; umount /mnt" || fail "unmount"
free_at host try fcntl u && free_at host try flock u2 || fail "locked after the unmount"

# A guest ends without a word, and then a daemon does.
for kind in fcntl ofd flock; do
	hold red $kind r-$kind r-$kind.held
	hold blue $kind b-$kind b-$kind.held
	soon exists r-$kind.held && soon exists b-$kind.held || fail "locks before the end"
done
hold blue fcntl r-fcntl b.waits # and one that waits
guest_kill blue
soon free_at host try fcntl b-fcntl || fail "a killed guest's record lock stays"
soon free_at host try flock b-flock || fail "a killed guest's flock stays"
held_at host try fcntl r-fcntl || fail "the other guest's lock went with it"
kill -9 "$daemon_red"
soon free_at host try fcntl r-fcntl || fail "a killed daemon's record lock stays"
soon free_at host try flock r-flock || fail "a killed daemon's flock stays"
guest_kill red
kill -0 "$daemon_blue" || fail "the daemon went with its guest"
! exists b.waits || fail "a dead guest's waiter was granted the lock"
echo "locks end with their holder, guest, or daemon"
