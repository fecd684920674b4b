# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# Sourced by tests with guests on QEMU 11 (here and in tests/migrate): what runs in the guest, and QEMU's monitor. $T: their
# directory, which gets initrd.gz.
: "${T:?}"
lib=$(dirname "$(realpath "${BASH_SOURCE[0]}")")

# make_initrd KERNEL-ROOT PROGRAM...: the kernel's modules where they are not built in, busybox, static programs of ours, and
# an init that runs the script that the command line holds.
make_initrd() {
	local root=$1 r=$T/initrd module file
	shift
	mkdir -p "$r"/{bin,dev,proc,sys,mnt,modules}
	cp "$(command -v busybox)" "$@" "$r/bin/"
	: >"$r/insmod"
	for module in virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci fuse virtiofs; do
		file=$(find -L "$root" -name "$module.ko*" | head -n 1)
		[ -n "$file" ] || continue
		cp "$file" "$r/modules/"
		echo "insmod /modules/$(basename "$file")" >>"$r/insmod"
	done
	cp "$lib/init.sh" "$r/init"
	(cd "$r" && find . | cpio -o -H newc --quiet | gzip -1) >"$T/initrd.gz"
}

# monitor NAME COMMAND...: of the QEMU whose monitor is $T/NAME.mon.
monitor() {
	python3 "$lib/monitor.py" "$T/$1.mon" "${@:2}"
}
