#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Runs a test, and so its daemon, as a user without any privilege: rootless.sh PROGRAM. The daemon gets a user namespace.
user=65534
run() { setpriv --reuid=$user --regid=$user --clear-groups "$@"; }

[ "$(id -u)" = 0 ] || exec "$@"
if ! run unshare -Ur true 2>/dev/null; then
	echo "no user namespaces here"
	exit 77
fi
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
# The build may be where others cannot look.
cp "$1" "$COLOFSD" "$dir"
chown $user "$dir"
export TMPDIR="$dir" COLOFSD="$dir/${COLOFSD##*/}"
run "$dir/${1##*/}"
