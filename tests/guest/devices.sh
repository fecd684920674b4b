#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# One host mount with several devices: subvolumes of btrfs, layers of an overlay on different file systems. Numbers are
# unique in the guest. First argument: `btrfs` or `overlay`, second: `announced` or `hidden` (--no-announce-submounts).
. "$(dirname "$0")/session.sh"
[ "$(id -u)" = 0 ] || skip "mounting needs root"
[ "$1" = overlay ] || need mkfs.btrfs btrfs
if [ "${3-}" != inside ]; then
	rm -rf "$T"
	exec unshare --mount --propagation private -- "$0" "$1" "$2" inside
fi
cleanup() {
	umount -R -l "$D"
	umount -l "$T/upper" "$T/lower" 2>/dev/null
}
make_btrfs() {
	truncate -s 128M "$T/image"
	mkfs.btrfs -q "$T/image" >/dev/null 2>&1 || skip "mkfs.btrfs failed"
	mount -o loop "$T/image" "$D" 2>/dev/null || skip "no btrfs or no loop device here"
	mkdir "$D/dir"
	btrfs -q subvolume create "$D/one" && btrfs -q subvolume create "$D/dir/two" && btrfs -q subvolume create "$D/one/three"
	touch "$D"/one/{1..20} "$D"/dir/two/{1..20} "$D"/one/three/{1..20} "$D"/{1..20}
}
make_overlay() {
	mkdir "$T"/{upper,lower}
	mount -t tmpfs upper "$T/upper"
	mount -t tmpfs lower "$T/lower"
	mkdir "$T"/upper/{u,w}
	touch "$T"/lower/{1..20} "$T"/upper/u/{a..t}
	mount -t overlay -o "xino=off,lowerdir=$T/lower,upperdir=$T/upper/u,workdir=$T/upper/w" overlay "$D" || skip "no overlayfs here"
}
"make_$1"
devices=$(find "$D" -printf '%D\n' | sort -u | wc -l)
[ "$devices" -gt 1 ] || skip "one device: nothing to test"
[ "$(find "$D" -printf '%i\n' | sort | uniq -d | wc -l)" != 0 ] || skip "no number twice on the host: nothing to test"
case $2 in
announced) session_start ;;
hidden) session_start daemon:--no-announce-submounts ;;
esac
is "no two inodes have one number" "" 'find . -printf "%D:%i\n" | sort | uniq -d'
first=$(g 'find . -printf "%p %i\n" | sort')
is "numbers stay what they are" "$first" 'echo 3 >/proc/sys/vm/drop_caches; find . -printf "%p %i\n" | sort'
is "by name and by descriptor" 1 'exec 5<7; stat -L -c %i 7 /proc/self/fd/5 | sort -u | wc -l; exec 5<&-'
is "a new file's number" 1 '
	touch new; exec 5>>new; stat -L -c %i /proc/self/fd/5 >/tmp/a; echo >&5; stat -L -c %i /proc/self/fd/5 >>/tmp/a; exec 5<&-
	echo 3 >/proc/sys/vm/drop_caches; stat -c %i new >>/tmp/a; rm new; sort -u /tmp/a | wc -l'
is "one device" 1 'find . -printf "%D\n" | sort -u | wc -l'
if [ "$1" = btrfs ]; then
	like "links between subvolumes" '*cross-device*' 'ln one/1 dir/two/link'
	is "a subvolume that moves" uno 'mv one uno && ls -d uno && mv uno one'
fi
session_end
verdict
