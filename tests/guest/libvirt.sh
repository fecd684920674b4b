#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# libvirtd starts colofsd for a domain, whose guest mounts the share by its tag: with a NUMA cell, with the memobject
# interface, with file-backed and with huge pages, and by the options that newer libvirt passes (see the end).
# libvirtd, virtlogd and dbus run in namespaces of their own, with directories of their own in place of the system's.
. "$(dirname "$0")/lib.sh"
need libvirtd virtlogd dbus-daemon virsh unshare
[ "$(id -u)" = 0 ] || skip "libvirtd needs root"
COLOFSD=$(realpath "${COLOFSD:?}")

if [ "${1-}" != inside ]; then
	export COLOFSD KERNEL TMPDIR=$T
	unshare --mount --propagation private --pid --fork --kill-child --mount-proc -- "$0" inside
	exit
fi

guest_cleanup() {
	umount -l "$T/huge"
}
D=$T/share
mkdir "$D"

private_dirs() {
	local d
	for d in /etc/libvirt /var/lib/libvirt /var/log/libvirt /var/cache/libvirt /run; do
		mkdir -p "$T/private$d"
		[ $d = /run ] || cp -a "$d/." "$T/private$d/"
		mount --bind "$T/private$d" $d
	done
	mkdir -p /run/dbus /run/libvirt /run/lock
	# Guests run as root: the test's directory is nobody else's. No control groups, no security drivers here.
	cat >/etc/libvirt/qemu.conf <<-END
		user = "root"
		group = "root"
		cgroup_controllers = []
		namespaces = []
		security_driver = "none"
		remember_owner = 0
		memory_backing_dir = "$T/ram"
		hugetlbfs_mount = "$T/huge"
	END
}

start_libvirt() {
	local i
	dbus-daemon --system --fork
	virtlogd -d
	libvirtd -d >"$T/libvirtd.log" 2>&1
	for ((i = 0; i < 100; i++)); do
		virsh -q uri >"$T/virsh.log" 2>&1 && return
		sleep 0.1
	done
	fail "libvirtd does not answer"
}

# domain MEMORY_BACKING CPU: the domain's XML.
domain() {
	cat <<-END
		<domain type='qemu'>
		  <name>vm1</name><memory unit='MiB'>256</memory><vcpu>1</vcpu>
		  <memoryBacking>$1<access mode='shared'/></memoryBacking>
		  $2
		  <os><type arch='x86_64' machine='q35'>hvm</type>
		    <kernel>$vmlinuz</kernel><initrd>$T/vm.initrd</initrd><cmdline>console=ttyS0 quiet panic=-1</cmdline></os>
		  <on_poweroff>destroy</on_poweroff>
		  <devices>
		    <emulator>$(command -v qemu-system-x86_64)</emulator>
		    <serial type='file'><source path='$T/console'/></serial>
		    <filesystem type='mount' accessmode='passthrough'>
		      <driver type='virtiofs' queue='1024'/>
		      <binary path='$binary' xattr='on'><cache mode='always'/><lock posix='on' flock='on'/></binary>
		      <source dir='$D'/><target dir='mount_tag'/>
		    </filesystem>
		  </devices>
		</domain>
	END
}

# boot WHAT MEMORY_BACKING CPU: runs the domain to its end and looks at what its guest did.
boot() {
	local what=$1 i
	domain "$2" "$3" >"$T/vm1.xml"
	rm -f "$T/console" "$D"/*
	echo "from the host" >"$D/from-host"
	touch "$T/console"
	virsh -q create "$T/vm1.xml" >"$T/virsh.log" 2>&1 || { cat /var/log/libvirt/qemu/*.log; fail "$what: virsh create"; }
	for ((i = 0; i < 300; i++)); do
		virsh -q domstate vm1 >"$T/virsh.log" 2>&1 || break
		sleep 0.2
	done
	tr -d '\r' <"$T/console" >"$T/vm1.console.log"
	guest_result "$T/vm1.console.log" || { cat /var/log/libvirt/qemu/*.log; fail "$what: the guest"; }
	[ "$(cat "$D/from-guest")" = "from the guest" ] || fail "$what: the host does not see the guest's file"
	[ -z "$(pgrep -x colofsd || true)" ] || fail "$what: colofsd outlived its domain"
	echo "ok: $what"
}

cat >"$T/script" <<'END'
#!/bin/sh
set -e
mount -t virtiofs mount_tag /mnt
[ "$(cat /mnt/from-host)" = "from the host" ]
echo "from the guest" >/mnt/from-guest
[ "$(cat /mnt/from-guest)" = "from the guest" ]
umount /mnt
END
qemu_image vm "$T/script"
mkdir "$T/huge" "$T/ram"
mount -t hugetlbfs none "$T/huge"
private_dirs
start_libvirt

binary=$COLOFSD
numa="<cpu mode='maximum'><numa><cell id='0' cpus='0' memory='256' unit='MiB' memAccess='shared'/></numa></cpu>"
cpu="<cpu mode='maximum'/>"
boot "NUMA cell, memfd" "<source type='memfd'/>" "$numa"
boot "NUMA cell, default memory" "" "$numa"
boot "memobject, file-backed memory" "<source type='file'/>" "$cpu"
boot "memobject, memfd" "<source type='memfd'/>" "$cpu"

pages=$(cat /proc/sys/vm/nr_hugepages)
if echo $((pages + 140)) >/proc/sys/vm/nr_hugepages && [ "$(cat /proc/sys/vm/nr_hugepages)" -ge $((pages + 140)) ]; then
	boot "NUMA cell, huge pages" "<hugepages/>" "$numa"
else
	echo "no huge pages to be had here: not tried"
fi
echo "$pages" >/proc/sys/vm/nr_hugepages

# libvirt 9.0 passes -o lists; newer ones, told "separate-options" by --print-capabilities, pass these.
"$COLOFSD" --print-capabilities | grep -q '"separate-options"' || fail "--print-capabilities lacks separate-options"
binary=$T/newer-libvirt
cat >"$binary" <<END
#!/bin/bash
for a; do case \$a in --fd=*) fd=\$a ;; esac; done
exec "$COLOFSD" "\$fd" --shared-dir "$D" --cache always --sandbox namespace --xattr --thread-pool-size=2 --rlimit-nofile=10000 --log-level debug
END
chmod +x "$binary"
boot "the options of newer libvirt" "<source type='memfd'/>" "$numa"
