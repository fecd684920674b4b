#!/bin/busybox sh
# SPDX-License-Identifier: BSD-3-Clause
# The first process of run.sh's guests.
export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
. /insmod
for word in $(cat /proc/cmdline); do
	case $word in
	mount=*) options=${word#mount=} ;;
	script=*) script=${word#script=} ;;
	esac
done
mount -t virtiofs -o "$options" share /mnt
echo "$script" | base64 -d >/script
(cd /mnt && . /script)
cd /
umount /mnt
poweroff -f
