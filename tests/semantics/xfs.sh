#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The suite on a file system that can more than ext4: attributes of 64 KiB, files of 8 EiB, copies that share their blocks.
# The image is mounted in a mount namespace of this test's own, and goes with it.
# usage: xfs.sh MODE
set -eu
here=$(dirname "$0")
skip() {
	echo "$*"
	exit 77
}
if [ "${2-}" != inside ]; then
	[ "$(id -u)" = 0 ] || skip "mounting needs root"
	command -v mkfs.xfs >/dev/null || skip "mkfs.xfs is missing"
	image=$(mktemp -d "${TMPDIR:-/tmp}/colofs-xfs.XXXXXX")
	chmod 755 "$image"
	trap 'rm -rf "$image"' EXIT
	trap 'exit 1' INT TERM HUP
	IMAGE=$image unshare --mount --propagation private -- "$0" "$1" inside
	exit
fi
truncate -s 1G "$IMAGE/xfs"
mkfs.xfs -q -m reflink=1 "$IMAGE/xfs"
mkdir "$IMAGE/tree"
mount -o loop -t xfs "$IMAGE/xfs" "$IMAGE/tree" 2>"$IMAGE/log" || skip "no XFS image can be mounted here: $(tail -n 1 "$IMAGE/log")"
chmod 755 "$IMAGE/tree"
export TMPDIR=$IMAGE/tree

failed=0
"$here/run.sh" "$1" xattr limits holes copy truncate tmpfile namei unlink || failed=1

# What a guest copies takes no new blocks, nor does the copy of a copy.
mkdir "$TMPDIR/share"
dd if=/dev/urandom of="$TMPDIR/share/a" bs=1M count=40 status=none
sync -f "$TMPDIR"
before=$(df --output=used -k "$TMPDIR" | tail -n 1)
options=()
for o in ${DAEMON_OPTIONS-}; do options+=("--daemon-option=$o"); done
"$COLOFS" run "$TMPDIR/share" --daemon="$COLOFSD" "${options[@]}" ${KERNEL_ROOT:+--kernel-root="$KERNEL_ROOT"} \
	-- bash -c 'cp a b && cp b c && cmp a c && printf changed | dd of=b bs=1 seek=1000000 conv=notrunc status=none && sync' </dev/null || failed=1
sync -f "$TMPDIR"
grown=$(($(df --output=used -k "$TMPDIR" | tail -n 1) - before))
[ $grown -lt 10000 ] || { echo "two copies of 40 MiB took $grown KiB"; failed=1; }
cmp -s "$TMPDIR/share/a" "$TMPDIR/share/c" || { echo "the copy of the copy differs"; failed=1; }
[ "$(cmp -l "$TMPDIR/share/a" "$TMPDIR/share/b" | wc -l)" -le 7 ] || { echo "the changed copy differs in more than was changed"; failed=1; }
filefrag -v "$TMPDIR/share/c" | grep -q shared || { echo "the copy of the copy has blocks of its own"; failed=1; }
echo "two copies of 40 MiB took $grown KiB"
umount "$TMPDIR" || failed=1
exit $failed
