#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# overlayfs in the guest with its lower, upper and work directories on the share: copying up, whiteouts, opaque
# directories, renaming, hard links and temporary files; the marks seen from the host. Then a container's image of two layers,
# unpacked on the share, and run. First argument: `trusted` for trusted.* attributes (the daemon needs CAP_SYS_ADMIN for them) or
# `user` for the mount option userxattr.
. "$(dirname "$0")/session.sh"
kind=$1
[ "$(id -u)" = 0 ] || skip "device numbers and trusted.* need root"
need setfattr getfattr tar busybox

options=(daemon:--xattr)
mount_options=lowerdir=/mnt/lower,upperdir=/mnt/upper,workdir=/mnt/work
case $kind in
trusted) options+=(daemon:--modcaps=+sys_admin) ;;
user) mount_options+=,userxattr ;;
esac
# An image's layers: whiteouts are files named .wh.NAME there, and .wh..wh..opq in a directory that hides those below.
make_layers() {
	local l=$T/layers
	mkdir -p "$l"/1/{bin,etc/old,usr/lib,var/cache,tmp} "$l"/2/{etc/old,var}
	chmod 1777 "$l/1/tmp"
	cp "$(command -v busybox)" "$l/1/bin/busybox"
	(cd "$l/1/bin" && for name in sh cat ls rm stat; do ln busybox $name; done)
	setfattr -n user.layer -v one "$l/1/tmp"
	echo base >"$l/1/etc/name"
	echo hidden >"$l/1/etc/old/below"
	seq -f "$l/1/var/cache/%g" 200 | xargs touch
	ln -s ../../bin/busybox "$l/1/usr/lib/link"
	echo image >"$l/2/etc/name"
	touch "$l/2/var/.wh.cache" "$l/2/etc/old/.wh..wh..opq"
	echo above >"$l/2/etc/old/above"
	chown -R 0:0 "$l"
	chown 12:34 "$l/1/usr/lib"
	tar --xattrs -C "$l/1" -cf "$D/layer1.tar" .
	tar --xattrs -C "$l/2" -cf "$D/layer2.tar" .
}

# In the guest: layer $1 to a directory of its own, with the marks of overlayfs; $2: the name of the opaque one.
unpack() {
	local w d
	mkdir "/mnt/l$1"
	tar --xattrs --xattrs-include='*' --warning=no-timestamp --numeric-owner -xpf "/mnt/layer$1.tar" -C "/mnt/l$1" || return
	find "/mnt/l$1" -name '.wh.*' | while read -r w; do
		d=${w%/*}
		rm "$w"
		case ${w##*/} in
		.wh..wh..opq) setfattr -n "$2" -v y "$d" ;;
		*) mknod "$d/${w##*/.wh.}" c 0 0 ;;
		esac || return
	done
}

mkdir -p "$D"/{lower/dir/sub,lower/opaque,upper,work}
cd "$D/lower" || exit 1
echo lower >file
echo gone >removed
echo in-dir >dir/f
echo deep >dir/sub/f
echo hidden >opaque/old
setfattr -n user.kept -v yes file
chmod 4751 file
touch -d @1000000000.123456789 file
ln -s file link
head -c 300000 /dev/urandom >large
cd /
make_layers
session_start "${options[@]}"
is "mount" overlay "mkdir /tmp/o && mount -t overlay overlay -o $mount_options /tmp/o && stat -f -c %T /tmp/o | sed 's/overlayfs/overlay/'"
is "the mount is writable" 0 'grep -c "/tmp/o overlay ro" /proc/mounts || :'
g 'cd /tmp/o' >/dev/null
is "the lower layer shines through" "lower deep file" 'echo $(cat file dir/sub/f) $(readlink link)'
is "copying up by chown" "4751 1000000000" 'chown 0:0 file; chmod 4751 file; stat -c "%a %Y" file'
is "copying up by appending" "lower more" 'echo more >>file; paste -sd" " file'
is "an attribute is copied up" yes 'getfattr --only-values -n user.kept file'
is "copying up a large file" same 'cmp large /mnt/lower/large && touch large && cmp large /mnt/lower/large && echo same'
is "removing" "" 'rm removed; ls removed 2>/dev/null; :'
is "the whiteout" "character special file 0:0" 'stat -c "%F %t:%T" /mnt/upper/removed'
is "an opaque directory" "new" 'rm -r opaque && mkdir opaque && echo n >opaque/new && ls opaque'
is "removed and made anew" again 'echo again >removed; cat removed'
is "renaming" "in-dir" 'mv dir/f dir/g; ls dir/f 2>/dev/null; cat dir/g'
is "renaming leaves a whiteout" "character special file" 'stat -c %F /mnt/upper/dir/f'
is "renaming a new directory" "new" 'mkdir n; echo new >n/f; mv n m; cat m/f'
is "moving a directory of the lower layer" deep 'mv dir moved; cat moved/sub/f; ls -d dir 2>/dev/null; :'
is "hard links" 2 'echo h >h1; ln h1 h2; stat -c %h h2'
is "removing a tree" "" 'rm -r moved; ls -d moved 2>/dev/null; :'
is "entries that are listed" "file h1 h2 large link m opaque removed" 'LC_ALL=C ls | paste -sd" "'
is "remounting" "file h1 h2 large link m opaque removed" \
	"cd /; umount /tmp/o && mount -t overlay overlay -o $mount_options /tmp/o && LC_ALL=C ls /tmp/o | paste -sd' '"
is "it still is opaque" new 'ls /tmp/o/opaque'
is "what overlayfs lacks" "" 'dmesg 2>/dev/null | grep -i "overlayfs.*\(not support\|failed\|falling back\)" | grep -v "inode index" || :'
case $kind in
trusted) mark=trusted.overlay.opaque ;;
user) mark=user.overlay.opaque ;;
esac
same "the mark on the host" y "$(getfattr --absolute-names --only-values -n $mark "$D/upper/opaque" 2>&1)"
same "the lower layer is as it was" "lower gone in-dir hidden" "$(cat "$D"/lower/{file,removed,dir/f,opaque/old} | paste -sd' ')"
is "unmounting" "" 'umount /tmp/o'

is "the image's layers" "" "$(declare -f unpack); unpack 1 $mark && unpack 2 $mark"
image_options=${mount_options/lowerdir=*workdir=\/mnt\/work/lowerdir=/mnt/l2:/mnt/l1,upperdir=/mnt/container/upper,workdir=/mnt/container/work}
is "its container" "" "cd /mnt; mkdir -p container/upper container/work; mount -t overlay overlay -o $image_options /tmp/o"
is "a program of the image" "image above" 'chroot /tmp/o sh -c "cat /etc/name; ls /etc/old" | paste -sd" "'
is "the whiteout hides a tree" "" 'chroot /tmp/o ls /var'
is "links, owners, modes and attributes" "6 12:34 1777 ../../bin/busybox one" \
	'echo $(chroot /tmp/o stat -c %h /bin/sh) $(cd /tmp/o && stat -c %u:%g usr/lib && stat -c %a tmp && readlink usr/lib/link && getfattr --only-values -n user.layer tmp)'
is "the container's changes" "changed" 'chroot /tmp/o sh -c "echo changed >/etc/name; rm -r /usr /etc/old; echo >/var/cache; cat /etc/name"'
is "are seen" "bin:etc:tmp:var:name" 'ls /tmp/o /tmp/o/etc | grep -v "^/\|^$" | paste -sd:'
# What the container changed is an archive, too, and comes out of it with its marks. Times are the host's, of which the guest's
# clock may be some milliseconds short.
is "packed and unpacked" "" 'umount /tmp/o; mkdir again; tar --xattrs --xattrs-include="*" -C container/upper -cf upper.tar . && tar --xattrs --xattrs-include="*" --warning=no-timestamp -xpf upper.tar -C again'
seen() { (cd "$1" && find . -printf '%P %y %m %U:%G\n' | LC_ALL=C sort && stat -c "%n %t:%T" usr && getfattr -R -d -m "$kind.*" . && cat etc/name); }
same "on the host" "$(seen "$D/container/upper")" "$(seen "$D/again")"
like "what is gone" "*usr c *usr 0:0*" "cat <<'END'
$(seen "$D/again")
END"
session_end
verdict
