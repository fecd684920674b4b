#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Root of a guest tries to get out of the share with what a shell has, while the host swaps directories for symlinks: nothing outside is
# seen or changed, and the share goes on.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/remote.sh"
D=$T/share
mkdir "$D" "$T/outside"
echo "what the host hides" >"$T/outside/secret"
echo "what the host hides" >"$T/secret"
start_daemon red --shared-dir="$D" --tag=share --cache=never --xattr
guest_start red
# try COMMANDS: of which none shows the secret, whatever else becomes of them.
try() {
	on red "$1" >"$T/out" || true
	! grep -q "the host hides" "$T/out" || fail "$1: the secret is seen"
}
# must WHAT OUTPUT COMMANDS: they succeed with that output.
must() {
	on red "$3" >"$T/out" && [ "$(cat "$T/out")" = "$2" ] || fail "$1: $(cat "$T/out")"
}

# Links, of all kinds, and what they lead to. The guest's kernel follows them, to its own files.
try "ln -s ../secret up; cat up; ln -s $T/secret abs; cat abs; echo bad >abs; cat ./../secret ./../share/../secret"
try "ln -s .. parent; ls parent/outside; cat parent/outside/secret; cat parent/secret; rm -r parent/outside"
try "ln -s ../outside dir; cat dir/secret; mkdir dir/new; touch dir/new; ln dir/secret hard; mv dir/secret here; cat here"
try "ln -s /proc/self/root magic; cat magic$T/secret; ln -s /proc/1/root one; ls one$T; cat one$T/secret"
try "mv up moved; cat moved; cp -a abs copy; cat copy; chmod 777 abs up; chown -h 7 abs; touch -h abs"
# Directories that move under the feet of who stands in them.
try "mkdir -p a/b/c; cd a/b/c; mv /mnt/a/b /mnt/b; cat ../../secret ../../../secret ../../../../secret; ls ../../.."
try "mkdir r; cd r; rmdir /mnt/r; ls ..; cat ../secret; mkdir x; chroot /mnt /bin/sh -c 'cat /../secret'"
# Mounts and the root of the share.
try "mkdir m; mount --bind /mnt m; ls m/..; cat m/../secret m/../../secret; umount m"
try "mkdir n; mount -t virtiofs share n; cat n/../secret; umount n; umount -l /mnt"
try "cd /; for i in 1 2 3; do umount /mnt; mount -t virtiofs share /mnt; done; cat /mnt/../secret"
# Special files are the guest's: no device or FIFO of the host is opened.
try "mknod mem c 1 1; head -c 100 mem; mknod disk b 8 0; head -c 9 disk; mknod ram b 7 0; head -c 9 ram; chmod 6755 mem"
must 'a FIFO within the guest' through 'mkfifo f; (echo through >f) & cat f'
# Names.
try "touch ...; touch ' '; touch '-rf'; touch '*'; touch \"\$(printf 'a\\nb')\"; mkdir '..;'; echo x >'..;/y'; rm -f -- '-rf'"
must 'long names' '' 'n=$(printf %255s "" | tr " " x); touch $n && rm $n && ! touch x$n 2>/dev/null'
must 'deep directories' '' 'i=0; while [ $i -lt 60 ]; do mkdir dddddddddddddddddddddddddddddddddddddddddddddddddddddddd && cd dddddddddddddddddddddddddddddddddddddddddddddddddddddddd || exit 1; i=$((i + 1)); done; cd /mnt; rm -r ddd*'

# Races: with the host, which swaps a directory for a link to the outside, and among processes of the guest.
mkdir "$D/d"
ln -s ../outside "$D/l"
(while [ ! -e "$T/enough" ]; do
	mv -T "$D/d" "$D/t" && mv -T "$D/l" "$D/d" && mv -T "$D/t" "$D/l"
done 2>/dev/null) &
swapper=$!
try 'n=0; while [ $n -lt 40 ]; do cat d/secret; echo evil >d/secret; echo evil >d/evil; ls d; rm -f d/evil d/secret; n=$((n + 1)); done 2>&1 | sort | uniq'
touch "$T/enough"
wait $swapper
try 'for p in 1 2 3; do (n=0; while [ $n -lt 12 ]; do mkdir z; echo $p >z/f; ln -s ../../secret z; mv z y; cat y/f y/secret y; rm -rf y z; n=$((n + 1)); done) & done; wait'

echo "what the host hides" | cmp - "$T/outside/secret" || fail "the secret has changed"
echo "what the host hides" | cmp - "$T/secret" || fail "the other secret has changed"
[ "$(ls "$T/outside")" = secret ] || fail "made outside: $(ls "$T/outside")"
[ -c "$D/mem" ] && [ -b "$D/disk" ] || fail "device files are not what the guest made"
must 'the share goes on' alive 'echo alive >last; cat last'
guest_kill red
! grep -iE 'warning|error' "$T/red.log" || fail "the daemon complains"
echo "nobody got out"
