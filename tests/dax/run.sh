#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Real guests on an unpatched QEMU 11 map files of a share: what they find there, that it went without READ and WRITE requests,
# and that QEMU outlives what happens to guest and device. Without KVM, so in minutes rather than seconds.
# usage: run.sh 6.1|7.2 CHECK...      CHECK: inode always suites suites_always peers life measure
# Environment: COLOFSD, PROG, SEMANTICS (static programs), QEMU_ROOT (scripts/qemu-sid), KERNEL (scripts/kernel)
set -eu
: "${COLOFSD:?}" "${PROG:?}" "${SEMANTICS:?}" "${QEMU_ROOT:?}" "${KERNEL:?}"
here=$(dirname "$(realpath "$0")")
if [ -e "$QEMU_ROOT/missing" ]; then cat "$QEMU_ROOT/missing"; exit 77; fi
version=$1
shift
T=$(mktemp -d "${TMPDIR:-/tmp}/colofs-dax.XXXXXX")
chmod 755 "$T"
. "$here/lib.sh"
pids=()
finish() {
	[ ${#pids[@]} = 0 ] || kill "${pids[@]}" 2>/dev/null || true
	wait
	[ -n "${KEEP-}" ] || rm -rf "$T"
}
trap finish EXIT
trap 'exit 1' INT TERM HUP
fail() {
	echo "not ok: $*"
	tail -n 40 "$T"/*.out 2>/dev/null
	tail -n 5 "$T"/*.log | grep -v opcode || true
	exit 1
}

case $version in
6.1) root=$KERNEL ;;
7.2) root=$QEMU_ROOT/kernel ;;
*) echo "no kernel $version" >&2; exit 2 ;;
esac
image=$(find -L "$root" -name 'vmlinuz*' | sort | tail -n 1)

# share NAME: a share with the files of prog.c.
make_share() {
	mkdir -p "$T/$1"
	"$PROG" make "$T/$1" >/dev/null
}

# daemon NAME SHARE OPTION...
daemon() {
	local name=$1 share=$2
	shift 2
	"$COLOFSD" --shared-dir="$T/$share" --socket-path="$T/$name.sock" --queues=1 --tag=share --dax-window="${WINDOW:-32M}" \
		--log-level=trace "$@" >"$T/$name.log" 2>&1 &
	pids+=($!)
	for _ in $(seq 100); do
		[ -S "$T/$name.sock" ] && return
		sleep 0.1
	done
	fail "the daemon does not start"
}

# guest NAME MOUNT-OPTIONS SCRIPT: its output is $T/NAME.out; the script runs in /mnt.
guest() {
	local name=$1 options=$2
	timeout "${GUEST_TIMEOUT:-240}" "$QEMU_ROOT/qemu" -M q35,memory-backend=mem,accel=tcg -cpu max -m 512M \
		-object memory-backend-memfd,id=mem,size=512M,share=on -chardev socket,id=vu,path="$T/$name.sock" \
		-device vhost-user-test-device-pci,virtio-id=26,num_vqs=2,vq_size=128,config_size=40,chardev=vu \
		-kernel "$image" -initrd "$T/initrd.gz" -append "console=ttyS0 quiet no_timer_check panic=-1 mount=$options script=$(base64 -w0 <<<"$3")" \
		-display none -serial stdio -monitor "unix:$T/$name.mon,server,nowait" ${QEMU_OPTIONS:--no-reboot} \
		</dev/null >"$T/$name.out" 2>"$T/$name.err" || fail "$name: QEMU ended with $?"
}

# requests NAME OPCODE: how many of them reached the daemon.
requests() {
	grep -c "opcode $2 " "$T/$1.log" || true
}

says() {
	grep -q "$2" "$T/$1.out" || fail "$1 does not say: $2"
}

all='for c in read write upgrade grow truncate holes many random; do prog $c . || exit; done; echo all is right'

check_inode() {
	make_share inode
	daemon inode inode
	guest inode dax=inode "$all"
	says inode "all is right"
	"$PROG" left "$T/inode" >/dev/null || fail "what the host has"
	[ "$(requests inode 48)" -gt 20 ] || fail "nothing was mapped"
	# Nothing is read by request. What makes a file longer is: `grow` does that in 40 pieces.
	[ "$(requests inode 15)" = 0 ] || fail "READ reached the daemon"
	[ "$(requests inode 16)" -le 45 ] || fail "WRITE reached the daemon"
}

# Every file, those too that end within a page.
check_always() {
	make_share always
	daemon always always --dax=always
	guest always dax=always "$all; prog uneven ."
	says always "all is right"
	says always "ok uneven"
	"$PROG" left "$T/always" >/dev/null || fail "what the host has"
	[ "$(requests always 15)" = 0 ] || fail "READ reached the daemon"
	# What makes a file longer is: 40 pieces of `grow`, 37 of `uneven`.
	[ "$(requests always 16)" -le 80 ] || fail "WRITE reached the daemon"
}

# run_suites NAME MOUNT-OPTIONS: the differential suite, and the integrity checks with files whose sizes change at random. All
# files are mapped: most of these are small.
run_suites() {
	local name=$1 steps=${STEPS:-400}
	local run="semantics families && semantics --random random --seed=3 --steps=$steps; semantics --fsx fsx --seed=3 --steps=$steps"
	rm -rf "$T/local"
	mkdir -p "$T/$name/work/"{families,random,fsx} "$T/local/"{families,random,fsx}
	daemon "$name" "$name" --xattr --posix-acl --modcaps=+sys_admin --dax=always
	(cd "$T/local" && PATH=$(dirname "$SEMANTICS"):$PATH && eval "$run") >"$T/local.txt"
	GUEST_TIMEOUT=${GUEST_TIMEOUT:-600} guest "$name" "$2" "cd work; { $run; } >../share.txt; echo suites done"
	says "$name" "suites done"
	[ "$(requests "$name" 48)" -gt 20 ] || fail "nothing was mapped"
	[ "$(requests "$name" 15)" = 0 ] || fail "READ reached the daemon"
	"$here/../semantics/compare.py" dax "$T/local.txt" "$T/$name/share.txt" "$here/../semantics/differences" \
		"$here/../semantics/differences-$version" "$here/../semantics/differences-dax" || fail "the suite"
}

check_suites() {
	run_suites suites dax=inode
}

check_suites_always() {
	run_suites suites_always dax=always
}

check_peers() {
	make_share peers
	daemon first peers --dax-trust-peers
	daemon second peers --dax-trust-peers
	guest first dax=inode "prog watch ." &
	local one=$!
	guest second dax=inode "prog store ."
	wait $one || fail "the first guest"
	says first "ok watch"
	says second "ok store"
	[ "$(requests first 15)$(requests second 15)" = 00 ] || fail "READ reached a daemon"
}

# kill_worker PID: the process that serves, deepest below the one that was started.
kill_worker() {
	local p=$1 child
	while child=$(pgrep -P "$p"); do p=$child; done
	[ "$p" != "$1" ] || fail "the daemon has no worker"
	kill -KILL "$p"
}

# Its daemon's worker killed, paused, continued, unbound from its driver, rebooted: QEMU lives, and the share is as before.
check_life() {
	make_share life
	daemon life life
	QEMU_OPTIONS=-action\ reboot=reset guest life dax=inode "
		prog random . || exit
		if [ -e rebooted ]; then echo second life; poweroff -f; fi
		echo ready >ready; while [ -e ready ]; do sleep 1; done
		prog read . || exit
		cd /; umount /mnt; echo virtio0 >/sys/bus/virtio/drivers/virtiofs/unbind
		echo virtio0 >/sys/bus/virtio/drivers/virtiofs/bind; mount -t virtiofs -o dax=inode share /mnt; cd /mnt
		prog read . || exit
		echo >rebooted; prog random .; reboot -f" &
	local one=$!
	for _ in $(seq 600); do
		[ -e "$T/life/ready" ] && break
		sleep 0.1
	done
	kill_worker "${pids[0]}"
	monitor life "migrate exec:cat>/dev/null" | grep -i "non-migratable" >/dev/null || fail "QEMU migrates such a device"
	monitor life stop cont stop cont "info status" | grep "VM status: running" >/dev/null || fail "QEMU does not go on"
	rm -f "$T/life/ready"
	wait $one || fail "QEMU"
	says life "second life"
	grep -q "serving goes on" "$T/life.log" || fail "no worker took over"
}

# The same measurement on a mapped share, on one without a window, and on the guest's own memory.
check_measure() {
	make_share measure
	daemon mapped measure
	daemon asked measure --dax=never
	guest mapped dax=inode "prog measure ."
	guest asked rw "prog measure ."
	says mapped measured
	says asked measured
	mkdir -p "$T/tmp" && cp "$T/measure/measure" "$T/tmp/"
	daemon local measure --dax=never
	guest local rw "mkdir /t; mount -t tmpfs t /t; cp measure /t/; prog measure /t"
	for name in mapped asked local; do
		printf '%-8s %s\n' "$name" "$(grep -h measured "$T/$name.out" | tr -d '\r')"
	done
}

make_initrd "$root" "$PROG" "$SEMANTICS"
for check; do
	start=$SECONDS
	"check_$check"
	[ ${#pids[@]} = 0 ] || kill "${pids[@]}" 2>/dev/null || true
	wait
	pids=()
	echo "ok Linux $version: $check ($((SECONDS - start)) s)"
done
