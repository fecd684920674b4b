#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# EDQUOT as it comes of a real quota: ext4 with quotas of users, on this kernel, or in a guest whose kernel has them if this
# one has not. What is asked of the daemon there: tests/proto/test_quota.c.
# usage: quota.sh [guest]
set -eu
T=$(mktemp -d "${TMPDIR:-/tmp}/colofs-quota.XXXXXX")
trap 'umount "$T/fs" 2>/dev/null || true; rm -rf "$T"' EXIT

skip() {
	echo "$*"
	exit 77
}

# User-Mode Linux has what it needs as modules.
load_modules() {
	local m
	for m in drivers/block/loop fs/quota/quota_tree fs/quota/quota_v2; do
		busybox insmod "$(echo /usr/lib/uml/modules/*/kernel/$m.ko)" 2>/dev/null || true
	done
}

mount_with_quotas() {
	mkdir "$T/fs"
	truncate -s 32M "$T/image"
	mkfs.ext4 -q -O quota -E quotatype=usrquota "$T/image" || skip "no mkfs.ext4 that knows of quotas"
	mount -o loop,usrquota "$T/image" "$T/fs" 2>/dev/null
}

[ "$(id -u)" = 0 ] || skip "only root can mount"
[ "${1-}" != guest ] || load_modules
if mount_with_quotas; then
	QUOTA_DIR=$T/fs QUOTA_DEVICE=$(findmnt -n -o SOURCE "$T/fs") TMPDIR=$T "${TEST_QUOTA:?}"
elif [ "${1-}" = guest ]; then
	skip "neither this kernel nor User-Mode Linux mounts ext4 with quotas"
else
	echo "this kernel has no quotas: in a guest"
	cp "$0" "${COLOFSD:?}" "${TEST_QUOTA:?}" "$T"
	"${COLOFS:?}" run "$T" -- env TMPDIR=/tmp COLOFSD=/mnt/colofsd TEST_QUOTA=/mnt/test_quota /mnt/quota.sh guest
fi
