# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# What the guest tests share: a private directory, daemons, and guests that run one script and power off.
# Source it. The environment, set by meson, names the programs: COLOFSD, KERNEL (what scripts/kernel unpacked), and UML_PRELOAD
# (which lets User-Mode Linux run on processors that are newer than it).
# Everything that a test starts ends with it, and its directory goes.

set -eu
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
T=$(mktemp -d "${TMPDIR:-/tmp}/colofs-test.XXXXXX")
pids=()

guest_end() {
	local status=$? p
	trap - EXIT
	for p in "${pids[@]}"; do kill "$p" 2>/dev/null || true; done
	# User-Mode Linux that was killed leaves helpers behind. They carry its command line, which names our own directory.
	pkill -KILL -f -- "initrd=$T/" || true
	for p in "${pids[@]}"; do wait "$p" 2>/dev/null || true; done
	if declare -F guest_cleanup >/dev/null; then guest_cleanup || true; fi
	[ $status = 0 ] || [ $status = 77 ] || show_logs
	[ -n "${KEEP-}" ] || rm -rf "$T"
	exit $status
}
trap guest_end EXIT
trap 'exit 1' INT TERM HUP

show_logs() {
	local f
	for f in "$T"/*.log; do
		[ -s "$f" ] || continue
		echo "--- ${f##*/}"
		tail -n 40 "$f"
	done
}

# Ends the test as skipped, with the reason as the last line.
skip() {
	echo "$*"
	exit 77
}

fail() {
	echo "FAILED: $*" >&2
	exit 1
}

need() {
	local what
	for what in "$@"; do
		command -v "$what" >/dev/null || [ -e "$what" ] || skip "$what is missing"
	done
}

# start_daemon NAME ARGS...: colofsd with its socket at $T/NAME.sock and its log at $T/NAME.log.
start_daemon() {
	local name=$1 i
	shift
	"${COLOFSD:?}" --socket-path="$T/$name.sock" "$@" >"$T/$name.log" 2>&1 &
	pids+=($!)
	for ((i = 0; i < 100; i++)); do
		[ -S "$T/$name.sock" ] && return
		kill -0 $! 2>/dev/null || break
		sleep 0.05
	done
	fail "colofsd ($name) did not start"
}

# tag_option VM TAG: User-Mode Linux learns the tag from the daemon. QEMU is told it, and 7.1 to 8.0 crash if the daemon has one too.
tag_option() {
	[ "$1" = qemu ] || echo "--tag=$2"
}

# make_image OUT MODULES_DIR SCRIPT MODULE...: an initramfs that loads the modules (a tree like lib/modules/VERSION) and runs SCRIPT.
make_image() {
	local out=$1 modules=$2 script=$3 root m f version
	shift 3
	root=$(mktemp -d "$T/image.XXXXXX")
	version=$(basename "$modules")
	mkdir -p "$root"/{bin,proc,sys,dev,mnt,tmp,run,etc,root,lib/modules/"$version"}
	cp "$(command -v busybox)" "$root/bin/busybox"
	cp "$here/init.sh" "$root/init"
	cp "$script" "$root/script"
	chmod +x "$root/init" "$root/script"
	for m in "$@"; do
		f=$(find "$modules" -name "$m.ko" -o -name "$m.ko.xz" | head -n 1)
		[ -n "$f" ] || fail "no module $m below $modules"
		case $f in
		*.xz) xz -dc "$f" >"$root/lib/modules/$version/$m.ko" ;;
		*) cp "$f" "$root/lib/modules/$version/" ;;
		esac
	done
	busybox depmod -b "$root" "$version"
	echo "$*" >"$root/etc/modules"
	(cd "$root" && find . | cpio -o -H newc --quiet) >"$out"
	rm -rf "$root"
}

# guest_result CONSOLE: succeeds if the guest's script did; shows what it said.
guest_result() {
	sed -n 's/^GUEST: //p' "$1"
	grep -q '^GUEST-RESULT 0' "$1"
}

# one_cpu: the test and all that it starts from now on stay on one of the CPUs that it may use, for User-Mode Linux
# (stay_on_one_cpu() in tools/vm_uml.c says why).
one_cpu() {
	local cpu
	cpu=$(sed -n 's/^Cpus_allowed_list:\t//p' /proc/self/status | tr , '\n' | while IFS=- read -r first last; do seq "$first" "${last:-$first}"; done | shuf -n 1)
	taskset -cp "$cpu" $$ >/dev/null
}

# run_uml NAME SCRIPT [SOCKET...] [-- KERNEL_ARG...]: a User-Mode Linux guest with a device for each socket.
run_uml() {
	local name=$1 script=$2 modules args=()
	shift 2
	need linux.uml busybox cpio
	modules=$(echo /usr/lib/uml/modules/*)
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		args+=("virtio_uml.device=$1:26")
		shift
	done
	[ $# = 0 ] || shift
	make_image "$T/$name.initrd" "$modules" "$script" fuse virtiofs
	env TMPDIR="$T" ${UML_PRELOAD:+LD_PRELOAD=$UML_PRELOAD} timeout -k 5 "${GUEST_TIMEOUT:-300}" linux.uml mem=512M initrd="$T/$name.initrd" "${args[@]}" con=null con0=null,fd:1 \
		quiet "$@" >"$T/$name.console.log" 2>&1 </dev/null || true
	tr -d '\r' <"$T/$name.console.log" >"$T/$name.out"
	guest_result "$T/$name.out"
}

# qemu_image NAME SCRIPT: $T/NAME.initrd for Debian's kernel; sets $vmlinuz.
qemu_image() {
	local modules
	need qemu-system-x86_64 busybox cpio "${KERNEL:?}"/boot
	vmlinuz=$(echo "$KERNEL"/boot/vmlinuz-*)
	modules=$(echo "$KERNEL"/lib/modules/*)
	make_image "$T/$1.initrd" "$modules" "$2" virtio virtio_ring virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci fuse virtiofs
}

# run_qemu NAME SCRIPT [SOCKET:TAG...] [-- KERNEL_ARG...]: a QEMU guest without KVM; memory by $QEMU_MEMORY where set.
run_qemu() {
	local name=$1 script=$2 args=() i=0
	shift 2
	qemu_image "$name" "$script"
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		args+=(-chardev "socket,id=c$i,path=${1%:*}" -device "vhost-user-fs-pci,chardev=c$i,tag=${1##*:},queue-size=1024")
		i=$((i + 1))
		shift
	done
	[ $# = 0 ] || shift
	# maxcpus: before QEMU 8.1 memory barriers do nothing where one CPU is all there can be, and kicks and calls are lost.
	timeout -k 5 "${GUEST_TIMEOUT:-400}" qemu-system-x86_64 -accel tcg -cpu max -smp 1,maxcpus=2 -M q35,memory-backend=mem -m 768M -nodefaults \
		-object "${QEMU_MEMORY:-memory-backend-memfd},id=mem,size=768M,share=on" -display none -serial stdio -no-reboot \
		-kernel "$vmlinuz" -initrd "$T/$name.initrd" -append "console=ttyS0 quiet panic=-1 $*" "${args[@]}" \
		>"$T/$name.console.log" 2>&1 </dev/null || true
	tr -d '\r' <"$T/$name.console.log" >"$T/$name.out"
	guest_result "$T/$name.out"
}
