#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A guest does ordinary work on a share, and the same is done on the host: it must come out the same. For daemons in unusual
# circumstances: with an old kernel (tests/fault/old_kernel.c), under valgrind (scripts/valgrind), with sanitizers
# (scripts/asan). The environment's DAEMON_OPTIONS are for them.
. "$(dirname "$0")/lib.sh"
need setfattr
work='
set -e
mkdir -p a/b c
seq 1 20000 >a/numbers
cp a/numbers c/copy
cp --sparse=always a/numbers c/sparse
mv c/copy c/moved
mv -n a/numbers c/moved
ln c/moved a/hard
ln -s ../../c/moved a/b/link
cat a/b/link >a/b/read
truncate -s 5000 a/b/read
dd if=c/moved of=c/sparse bs=1000 seek=7 count=3 conv=notrunc 2>/dev/null
chmod 640 c/sparse
chown 12:34 c/sparse
touch -d @1234567890 c/sparse
setfattr -n user.key -v value c/sparse
mkdir t && tar -cf - c | tar -xf - -C t
rm -r a/b
[ -r c/sparse ] && [ ! -x c/sparse ]
'
mkdir "$T/share" "$T/host"
(cd "$T/host" && sh -c "$work") || fail "the work on the host"
options=()
for o in --xattr ${DAEMON_OPTIONS-}; do options+=("--daemon-option=$o"); done
"${COLOFS:?}" run "${options[@]}" "$T/share" -- sh -c "$work" >"$T/guest.log" 2>&1 || fail "the work in the guest"
diff -r "$T/host" "$T/share" || fail "the contents differ"
list() { (cd "$1" && find . -printf '%P %M %n %U %G %s %l\n' | grep -v '^ ' | LC_ALL=C sort && getfattr -d c/sparse); }
diff <(list "$T/host") <(list "$T/share") || fail "the attributes differ"
echo "the same as on the host"
