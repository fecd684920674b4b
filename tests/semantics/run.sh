#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Runs the suite on a local directory and, in a guest, on a share of the same file system, and compares.
# usage: run.sh MODE [FAMILY...]      MODE: never, auto, always, writeback
. "$(dirname "$0")/lib.sh"
here=$(dirname "$0")
mode=$1
shift
prepare
"$SEMANTICS" "$T/local" "$@" >"$T/local.out"
in_guest "$mode" "./semantics work $*" >"$T/share.out" || guest_failed "$T/share.out"
"$here/compare.py" "$mode" "$T/local.out" "$T/share.out" "$here/differences"
