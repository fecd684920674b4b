#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Runs the suite on a local directory and, in a guest, on a share of the same file system, and compares: the families,
# and without families named the seeded modes too.
# usage: run.sh MODE [FAMILY...]      MODE: never, auto, always, writeback, killpriv. SEED and STEPS choose another random run.
. "$(dirname "$0")/lib.sh"
here=$(dirname "$0")
mode=$1
shift
# Each mode and kernel draws other steps, the same each time.
case $mode in
never) seed=3 ;;
auto) seed=4 ;;
always) seed=5 ;;
writeback) seed=6 ;;
*) seed=7 ;;
esac
[ -z "${KERNEL_ROOT-}" ] || seed=$((seed + 10))
seed=${SEED:-$seed}
script="mkdir families random fsx && ../semantics families $*"
[ $# -gt 0 ] || script+=" && ../semantics --random random --seed=$seed --steps=${STEPS:-1500}
	../semantics --fsx fsx --seed=$seed --steps=${STEPS:-1500} --direct"
prepare
(cd "$T/local" && bash -c "$script") >"$T/local.out"
in_guest "$mode" "cd work; $script" >"$T/share.out" || guest_failed "$T/share.out"
mapfile -t lists < <(differences)
"$here/compare.py" "$mode" "$T/local.out" "$T/share.out" "${lists[@]}"
