#!/bin/busybox sh
# SPDX-License-Identifier: BSD-3-Clause
# First process of a test guest: loads modules, runs /script, reports on the console, powers off.
/bin/busybox --install -s /bin
export PATH=/bin HOME=/root
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
modprobe -a $(cat /etc/modules)
# What a boot loader would leave to the initramfs: root=TAG rootfstype=virtiofs.
for word in $(cat /proc/cmdline); do
	case $word in
	root=*) root=${word#root=} ;;
	rootfstype=*) rootfstype=${word#rootfstype=} ;;
	esac
done
if [ "$rootfstype" = virtiofs ]; then
	mkdir /newroot
	mount -t virtiofs -o rw "$root" /newroot || { echo "GUEST-RESULT root"; poweroff -f; }
	exec switch_root /newroot /sbin/init
fi
# $? of the script itself, not of the pipe that marks its lines.
{
	/script 2>&1
	echo $? >/tmp/result
} | sed 's/^/GUEST: /'
echo "GUEST-RESULT $(cat /tmp/result)"
sync
poweroff -f
