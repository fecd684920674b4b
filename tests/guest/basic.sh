#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A real guest (first argument: uml or qemu) mounts a share and does the basic things; data is compared on both sides.
. "$(dirname "$0")/lib.sh"
vm=$1
D=$T/share
mkdir -p "$D/from-host/small"
for ((i = 0; i < 10000; i++)); do echo "file $i of the host, $((i * 7919))" >"$D/from-host/small/$i"; done
# 1 GiB of which no two blocks are alike.
head -c 1G /dev/urandom >"$D/from-host/big"

[ "$vm" = qemu ] || one_cpu
start_daemon share --shared-dir="$D" $(tag_option "$vm" share)
case $vm in
uml) run_uml guest "$here/basic.guest" "$T/share.sock" || fail "the guest" ;;
qemu) run_qemu guest "$here/basic.guest" "$T/share.sock:share" || fail "the guest" ;;
esac

cmp "$D/from-host/big" "$D/big" || fail "1 GiB written by the guest differs"
[ "$(cat "$D/big.sum")" = "$(md5sum <"$D/from-host/big")" ] || fail "1 GiB read by the guest differs"
(cd "$D" && find from-host/small -type f | LC_ALL=C sort | xargs md5sum) | cmp - "$D/small.sums" || fail "small files read by the guest differ"
for ((i = 0; i < 10000; i++)); do echo "file $i of the guest"; done >"$T/want"
(cd "$D/small" && seq 0 9999 | xargs cat) | cmp - "$T/want" || fail "small files written by the guest differ"
echo "both sides agree"
