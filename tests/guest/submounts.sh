#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Host mounts beneath the share, made before the daemon starts and after it: numbers of inodes, bound files, and
# unmounting on the host. First argument: `announced` or `hidden` (--no-announce-submounts).
. "$(dirname "$0")/session.sh"
[ "$(id -u)" = 0 ] || skip "mounting needs root"
if [ "${2-}" != inside ]; then
	rm -rf "$T"
	exec unshare --mount --propagation private -- "$0" "$1" inside
fi
cleanup() {
	umount -R -l "$D"
	umount -l "$T/other" 2>/dev/null
}
mount --bind "$D" "$D"
mount --make-shared "$D"
mkdir "$D"/{before,after,plain}
touch "$D/bound"
mount -t tmpfs before "$D/before"
touch "$D"/before/{1..20} "$T/file"
echo bound >"$T/file"
mount --bind "$T/file" "$D/bound"
case $1 in
announced) session_start ;;
hidden) session_start daemon:--no-announce-submounts ;;
esac
mount -t tmpfs after "$D/after"
touch "$D"/after/{1..20}
is "files of both mounts" "20 20" 'echo $(ls before | wc -l) $(ls after | wc -l)'
is "a bound file" bound 'cat bound'
# alien: a file of one tmpfs bound into another: the second inode of both.
mkdir "$T/other"
mount -t tmpfs other "$T/other"
echo alien >"$T/other/file"
touch "$D/after/spot"
mount --bind "$T/other/file" "$D/after/spot"
is "a file of another file system" alien 'cat after/spot'
is "its number by name and descriptor" 1 'exec 5<after/spot; stat -L -c %i after/spot /proc/self/fd/5 | sort -u | wc -l; exec 5<&-'
is "no two inodes have one number" "" 'find . -printf "%D:%i\n" | sort | uniq -d'
first=$(g 'find . -printf "%p %i\n" | sort')
is "numbers stay what they are" "$first" 'echo 3 >/proc/sys/vm/drop_caches; find . -printf "%p %i\n" | sort'
is "numbers in listings" "" 'ls -i before | awk "{print \$1}" | sort >/tmp/a; stat -c %i before/* | sort | cmp - /tmp/a'
case $1 in
announced) is "a mount in the guest" 3 'stat -c %d . before after | sort -u | wc -l' ;;
hidden) is "one file system in the guest" 1 'stat -c %d . before after | sort -u | wc -l' ;;
esac
is "making and removing there" made 'echo made >before/new; cat before/new; rm before/new'

# soon COMMAND...: it succeeds within ten seconds.
soon() {
	local i
	for ((i = 0; i < 100; i++)); do
		if "$@" 2>>"$T/umount.err"; then return 0; fi
		sleep 0.1
	done
	return 1
}

# What the guest knows and does not use keeps no mount of the host's; what it has open does.
g 'exec 5<after/1; cat before/*; ls -l before after' >/dev/null
soon umount "$D/before"
same "unmounting what the guest knows" 0 $?
sleep 1.1
umount "$D/after" 2>/dev/null
same "unmounting what the guest has open" 32 $?
is "and the guest goes on there" 21 'ls after | wc -l; exec 5<&-'
umount "$D/after/spot"
soon umount "$D/after"
same "unmounting what the guest has closed" 0 $?
sleep 1.1
is "what was beneath" "0" 'ls -A before after | grep -vc : | sed "s/^1$/0/"'
mount -t tmpfs again "$D/before"
echo new >"$D/before/1"
mkdir "$D/before/deep"
mount -t tmpfs deep "$D/before/deep"
echo deep >"$D/before/deep/f"
sleep 1.1
is "another mount at the same place" "new deep" 'echo $(cat before/1 before/deep/f)'
soon umount "$D/before/deep"
same "unmounting a mount on a mount" 0 $?
sleep 1.1
is "what was beneath it" "1 deep" 'echo $(ls before) $(ls before/deep)'
soon umount "$D/before"
same "unmounting that one" 0 $?

# What is in use goes by a lazy unmounting.
mount -t tmpfs again "$D/after"
echo there >"$D/after/f"
sleep 1.1
is "mounted again" there 'cat after/f'
umount -l "$D/after"
sleep 1.1
like "unmounted under the guest" "*No such file*" 'cat after/f'
is "and the share goes on" fine 'echo fine >plain/f; cat plain/f'
session_end
verdict
