#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A real guest on QEMU 11 that works in a share moves, from one QEMU and one daemon to the next: to one that lacks a file and
# says so (the guest goes on where it was), twice to one that has all, and to one that lacks a file and does without.
# Without KVM, so in minutes rather than seconds.
# usage: run.sh
# Environment: COLOFSD, PROG (a static program), QEMU_ROOT (scripts/qemu-sid), KERNEL (scripts/kernel)
set -eu
: "${COLOFSD:?}" "${PROG:?}" "${QEMU_ROOT:?}" "${KERNEL:?}"
here=$(dirname "$(realpath "$0")")
if [ -e "$QEMU_ROOT/missing" ]; then cat "$QEMU_ROOT/missing"; exit 77; fi
T=$(mktemp -d "${TMPDIR:-/tmp}/colofs-migrate.XXXXXX")
chmod 755 "$T"
. "$here/../dax/lib.sh"
share=$T/share
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
	tail -n 15 "$T"/*.out "$T"/*.err "$T"/*.log 2>/dev/null || true
	exit 1
}
image=$(find -L "$KERNEL" -name 'vmlinuz*' | sort | tail -n 1)

# start NAME HIDE DAEMON-OPTION... -- QEMU-OPTION...: a daemon and a QEMU. HIDE: yes: the victim is not there for this daemon.
start() {
	local name=$1 hide=$2 options=() run=()
	shift 2
	while [ "$1" != -- ]; do options+=("$1"); shift; done
	shift
	[ "$hide" = no ] || run=(unshare -m sh -c "mount -t tmpfs hidden '$share/victims' && exec \"\$@\"" -)
	${run[@]+"${run[@]}"} "$COLOFSD" --shared-dir="$share" --socket-path="$T/$name.sock" --queues=1 ${options[@]+"${options[@]}"} \
		>"$T/$name.log" 2>&1 &
	pids+=($!)
	wait_for "the daemon $name" test -S "$T/$name.sock"
	"$QEMU_ROOT/qemu" -M q35,memory-backend=mem,accel=tcg -cpu max -m 256M -no-reboot \
		-object memory-backend-memfd,id=mem,size=256M,share=on -chardev socket,id=vu,path="$T/$name.sock" \
		-device vhost-user-fs-pci,tag=share,chardev=vu -kernel "$image" -initrd "$T/initrd.gz" \
		-append "console=ttyS0 quiet no_timer_check panic=-1 mount=rw script=$(base64 -w0 <<<"prog 600")" \
		-display none -serial "file:$T/$name.out" -monitor "unix:$T/$name.mon,server,nowait" "$@" </dev/null 2>"$T/$name.err" &
	pids+=($!)
	wait_for "QEMU $name" test -S "$T/$name.mon"
}

wait_for() {
	local what=$1
	shift
	for _ in $(seq 1200); do
		"$@" && return
		sleep 0.1
	done
	fail "$what does not come"
}

# The guest's last word about how far it is, on whichever QEMU.
loops() {
	cat "$share/log" 2>/dev/null | wc -l
}

goes_on() {
	[ "$(loops)" -gt $((before + 20)) ]
}

ended() {
	status=$(monitor "$1" "info migrate" | tr -d '\r' | sed -n 's/^Status:[[:space:]]*//p; s/^Migration status: //p')
	case $status in completed* | failed* | cancelled*) return 0 ;; *) return 1 ;; esac
}

# move FROM TO EXPECTED-STATUS
move() {
	monitor "$2" "migrate_set_capability return-path on" >/dev/null
	monitor "$1" "migrate_set_capability return-path on" "migrate_set_parameter max-bandwidth ${BANDWIDTH:-40M}" \
		"migrate -d unix:$T/$2.migrate" >/dev/null
	wait_for "the end of the migration" ended "$1"
	case $status in $3*) ;; *) monitor "$1" "info migrate"; fail "from $1 to $2: $status" ;; esac
	before=$(loops)
	wait_for "the guest after its migration ($status)" goes_on
	downtime=$(monitor "$1" "info migrate" | tr -d '\r' | sed -n 's/.*\bdown=\([0-9]*\).*/\1/p' | head -n 1)
	echo "ok from $1 to $2: ${status%% *}${downtime:+, the pause took $downtime ms}; $before loops so far"
}

incoming() {
	start "$@" -- -incoming "unix:$T/$1.migrate"
}

mkdir -p "$share/victims"
echo -n victim >"$share/victims/victim"
make_initrd "$KERNEL" "$PROG"
start first no --
before=0
wait_for "the guest" goes_on
incoming lacking yes
move first lacking failed
grep -q "migration: .*victims/victim" "$T/lacking.log" || fail "the daemon does not say what it lacks"
incoming second no --dax-window=8M # QEMU's device has none
move first second completed
incoming third no --dax-window=8M --migration-on-error=guest-error
move second third completed
incoming fourth yes --migration-on-error=guest-error
move third fourth completed
touch "$share/stop"
wait_for "the guest's end" grep -q "all is right\|WRONG" "$T/fourth.out"
grep -q "all is right" "$T/fourth.out" || fail "the guest"
grep -q "victim: E" "$T/fourth.out" || fail "the guest has a file that is not there"
tr -d '\r' <"$T/fourth.out" | grep "all is right"
