#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# shrink.py finds a difference that was planted, and the two steps of three hundred that it takes. No guest: a program in the place of
# `colofs` runs the steps here, and one in the place of the suite's changes what the second step said where the first was made too.
set -eu
here=$(dirname "$0")
[ "$(id -u)" = 0 ] || { echo "many uids need root"; exit 77; }
T=$(mktemp -d "${TMPDIR:-/tmp}/colofs-shrink-test.XXXXXX")
trap 'rm -rf "$T"' EXIT
trap 'exit 1' INT TERM HUP
fail() {
	echo "$1"
	cat "$T/said"
	exit 1
}

cat >"$T/colofs" <<'END'
#!/bin/bash
cd "$2"
while [ "$1" != -- ]; do shift; done
shift
export IN_GUEST=1
exec "$@"
END
cat >"$T/semantics" <<END
#!/bin/bash
out=\$("$SEMANTICS" "\$@")
if [ -n "\${IN_GUEST-}" ] && [ -n "\${PLANTED-}" ] && grep -q ': step 41 ' <<<"\$out"; then
	sed '/: step 177 /s/\$/ (planted)/' <<<"\$out"
else
	printf '%s\n' "\$out"
fi
END
chmod +x "$T/colofs" "$T/semantics"

shrink() { COLOFS=$T/colofs SEMANTICS=$T/semantics "$here/shrink.py" auto 5 300 >"$T/said" 2>"$T/progress"; }

shrink || fail "a difference where there is none"
grep -qx "no difference" "$T/said" || fail "that there is no difference is not said"
export PLANTED=1
! shrink || fail "the difference is not found"
grep -qx "steps: 41 177" "$T/said" || fail "it is not shrunk to its two steps"
[ "$(grep -c '^[+-]' "$T/said")" = 2 ] || fail "other lines differ too"
grep -q '^+ .*: step 177 .*(planted)$' "$T/said" || fail "what differs is not shown"
[ -s "$T/progress" ]
