#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A guest whose root file system is a share (root=TAG rootfstype=virtiofs), and which mounts another by an fstab line.
# First argument: uml or qemu.
. "$(dirname "$0")/lib.sh"
vm=$1
R=$T/root
mkdir -p "$R"/{bin,sbin,etc,proc,sys,dev,tmp,mnt} "$T/vm1"
cp "$(command -v busybox)" "$R/bin/busybox"
echo "vm1 /mnt virtiofs rw,_netdev 0 0" >"$R/etc/fstab"
echo "from the host" >"$T/vm1/from-host"
cat >"$R/sbin/init" <<'END'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t devtmpfs dev /dev
say() { echo "GUEST: $*" >/dev/console; }
try() {
	set -e
	grep -q '^rootfs_share / virtiofs rw' /proc/mounts
	mount -a
	grep -q '^vm1 /mnt virtiofs rw' /proc/mounts
	[ "$(cat /mnt/from-host)" = "from the host" ]
	echo "from the guest" >/mnt/from-guest
	echo "kept in the root" >/etc/kept
	cp /bin/busybox /tmp/sh
	[ "$(/tmp/sh -c "echo works")" = works ]
}
(try) >/tmp/log 2>&1
echo "GUEST-RESULT $?" >/dev/console
[ -s /tmp/log ] && say "$(cat /tmp/log)"
sync
poweroff -f
END
chmod +x "$R/sbin/init"
echo true >"$T/unused"

[ "$vm" = qemu ] || one_cpu
start_daemon root --shared-dir="$R" $(tag_option "$vm" rootfs_share)
start_daemon vm1 --shared-dir="$T/vm1" $(tag_option "$vm" vm1)
args=(-- root=rootfs_share rootfstype=virtiofs)
case $vm in
uml) run_uml guest "$T/unused" "$T/root.sock" "$T/vm1.sock" "${args[@]}" || fail "the guest" ;;
qemu) run_qemu guest "$T/unused" "$T/root.sock:rootfs_share" "$T/vm1.sock:vm1" "${args[@]}" || fail "the guest" ;;
esac
[ "$(cat "$T/vm1/from-guest")" = "from the guest" ] || fail "the fstab mount"
[ "$(cat "$R/etc/kept")" = "kept in the root" ] || fail "the root file system"
cmp "$R/bin/busybox" "$R/tmp/sh" || fail "a program copied on the root file system"
echo "root file system and fstab line work"
