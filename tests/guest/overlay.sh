#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# overlayfs in the guest with its lower, upper and work directories on the share: copying up, whiteouts, opaque
# directories, renaming, hard links and temporary files; the marks seen from the host. First argument: `trusted` for
# trusted.* attributes (the daemon needs CAP_SYS_ADMIN for them) or `user` for the mount option userxattr.
. "$(dirname "$0")/session.sh"
kind=$1
[ "$(id -u)" = 0 ] || skip "device numbers and trusted.* need root"
need setfattr getfattr

options=(daemon:--xattr)
mount_options=lowerdir=/mnt/lower,upperdir=/mnt/upper,workdir=/mnt/work
case $kind in
trusted) options+=(daemon:--modcaps=+sys_admin) ;;
user) mount_options+=,userxattr ;;
esac
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
session_end
verdict
