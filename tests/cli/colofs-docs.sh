#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Every option of `colofs run --help` stands in the man page and in the completion, and neither knows others.
set -u
failed=0
root=$(cd "$(dirname "$0")/../.." && pwd)

options=$("$COLOFS" run --help | sed -n 's/^  --\([a-z-]*\).*/\1/p' | sort)
[ "$(wc -w <<<"$options")" -ge 10 ] || { echo "FAILED: --help lists too few options"; exit 1; }
man=$(sed -n 's/^\.It Fl -\([a-z-]*\).*/\1/p' "$root/docs/man/colofs.1" | sort)
completion=$(bash -c '. "$1"; COMP_WORDS=(colofs run --); COMP_CWORD=2; _colofs; printf "%s\n" "${COMPREPLY[@]#--}"' \
	- "$root/tools/colofs.bash" 2>/dev/null | sort)
[ "$options" = "$man" ] || { echo "FAILED: the man page differs:"; diff <(echo "$options") <(echo "$man"); failed=1; }
[ "$options" = "$completion" ] || { echo "FAILED: completion differs:"; diff <(echo "$options") <(echo "$completion"); failed=1; }
exit $failed
