#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# What the running daemon still has of the world outside.
. "$(dirname "$0")/lib.sh"

[ "$(id -u)" = 0 ] || skip "needs root"
S=--shared-dir=share
touch share/inside

field() { sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status"; }
same_ns() { [ "$(readlink "/proc/$1/ns/$2")" = "$(readlink "/proc/self/ns/$2")" ]; }
fds_of() { for f in "/proc/$1/fd"/*; do readlink "$f"; done; }

start $S --socket-path=s
child=$(worker_of "$pid")
[ -n "$child" ] || fail "no process inside"
for ns in mnt pid net ipc uts; do same_ns "$child" $ns && fail "the $ns namespace is the host's"; done
same_ns "$child" user || fail "root got a user namespace"
[ "$(ls "/proc/$child/root/")" = inside ] || fail "the root is not the share: $(ls "/proc/$child/root/")"
[ "$(wc -l <"/proc/$child/mountinfo")" = 1 ] || fail "other mounts are left: $(cat "/proc/$child/mountinfo")"
cut -d' ' -f6 "/proc/$child/mountinfo" | grep -q nosuid,nodev || fail "devices and SUID count: $(cat "/proc/$child/mountinfo")"
[ "$(field "$child" CapEff)" = 00000000880000df ] || fail "capabilities: $(field "$child" CapEff)"
[ "$(field "$child" CapPrm)" = 00000000880000df ] || fail "permitted: $(field "$child" CapPrm)"
[ "$(field "$child" CapBnd)" = 0000000000000000 ] || fail "bounding: $(field "$child" CapBnd)"
[ "$(field "$child" Seccomp)" = 2 ] && [ "$(field "$child" NoNewPrivs)" = 1 ] || fail "no filter"
[ "$(field "$pid" CapEff)" = 000000000000000a ] || fail "the waiting process: $(field "$pid" CapEff)"
for t in "/proc/$child/task"/*; do
	[ "$(field "$child/task/${t##*/}" Seccomp)" = 2 ] || fail "a thread without filter: $(cat "$t/comm")"
done
between=$(child_of "$pid" | tr -d " ") # waits outside, too
[ "$(field "$between" CapPrm)" = 0000000000000000 ] || fail "the process between: $(field "$between" CapPrm)"
inside() { descendants_of "$(child_of "$pid")"; }
# leads_out PLACE...: from none of their descriptors, whatever way up or down, to what is not theirs.
leads_out() {
	for p in $(inside); do
		for f in "/proc/$p/fd"/*; do
			[ "$f" -ef share ] && continue # their root, above which there is nothing for them
			for way in . .. ../.. ../../.. ../../../..; do
				for place; do
					[ ! -e "$f/$way/$place" ] || fail "$(readlink "$f") of $p leads by $way to $place"
				done
			done
		done
	done
}
leads_out sys/kernel/core_pattern sysrq-trigger etc/passwd etc/os-release "$dir"
memory=0
for f in "/proc/$child/fd"/*; do
	[ ! -e "$f/../mem" ] || memory=$((memory + 1))
	[ ! -e "$f/../mem" ] || ! (: >>"$f/../mem") 2>/dev/null || fail "code can be written by $(readlink "$f")/../mem"
done
[ "$memory" -gt 0 ] || fail "no descriptor of /proc/self/fd was seen"
fds_of "$child" | grep -qE '\.pid|pidfd' && fail "inside: $(fds_of "$child")"
# What the host mounts beneath the share later is seen, and can be unmounted again.
mkdir share/sub
if mount -t tmpfs none share/sub; then
	touch share/sub/mounted
	ls "/proc/$child/root/sub" | grep -q mounted || [ "$(findmnt -no PROPAGATION -T share)" != shared ] ||
		fail "a later mount is not seen"
	umount share/sub || fail "the sandbox keeps a mount busy"
fi
rmdir share/sub
stop TERM
[ "$status" = 0 ] || fail "status $status"

start $S --socket-path=s --modcaps=+sys_admin:-mknod --inode-file-handles=never --seccomp=none
child=$(worker_of "$pid")
[ "$(field "$child" CapEff)" = 00000000802000db ] || fail "--modcaps: $(field "$child" CapEff)"
[ "$(field "$child" Seccomp)" = 0 ] || fail "--seccomp=none: $(field "$child" Seccomp)"
stop TERM

start $S --socket-path=s --sandbox=chroot --rlimit-nofile=4096
child=$(worker_of "$pid")
same_ns "$child" mnt || fail "chroot made a mount namespace"
same_ns "$child" pid && fail "chroot: the roots of the host's processes are within reach"
[ "$(ls "/proc/$child/root/")" = inside ] || fail "chroot: the root is not the share"
[ "$(awk '/open files/ {print $4, $5}' "/proc/$child/limits")" = "4096 4096" ] || fail "--rlimit-nofile"
leads_out sys/kernel/core_pattern sysrq-trigger etc/passwd etc/os-release "$dir"
stop TERM

start $S --socket-path=s --no-recover # the process that waits removes files
[ "$(field "$pid" CapPrm)" = 000000000000000a ] || fail "--no-recover: the waiting process: $(field "$pid" CapPrm)"
stop TERM
[ "$status" = 0 ] && [ ! -e s ] && [ ! -e s.pid ] || fail "--no-recover: status $status, left $(ls)"

start $S --socket-path=s --sandbox=none --no-recover
[ -z "$(child_of "$pid")" ] || fail "none: a process waits"
[ "$(field "$pid" Seccomp)" = 2 ] || fail "none: no filter"
stop TERM
[ "$status" = 0 ] || fail "none: status $status"

# As another user, who is the only one inside. Not every host allows that.
if setpriv --reuid=65534 --regid=65534 --clear-groups unshare -Ur true 2>/dev/null; then
	mkdir -m 777 open
	chmod 755 .
	rm -f log
	setpriv --reuid=65534 --regid=65534 --clear-groups "$COLOFSD" $S --socket-path=open/s >log 2>&1 &
	pid=$!
	started="$started $pid"
	until_true 10 grep -q 'info: serving' log || fail "another user cannot start it"
	child=$(worker_of "$pid")
	same_ns "$child" user && fail "no user namespace"
	[ "$(ls "/proc/$child/root/")" = inside ] || fail "user: the root is not the share"
	[ "$(tr -s ' ' <"/proc/$child/uid_map")" = " 65534 65534 1" ] || fail "uid_map: $(cat "/proc/$child/uid_map")"
	stop TERM
	[ "$status" = 0 ] && [ ! -e open/s ] && [ ! -e open/s.pid ] || fail "user: end"
fi
