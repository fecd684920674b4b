#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Runs a test, and so its daemon, as a user without any privilege: rootless.sh PROGRAM. The daemon gets a user namespace.
user=65534
run() { setpriv --reuid=$user --regid=$user --clear-groups "$@"; }

[ "$(id -u)" = 0 ] || exec "$@"
if ! run unshare -Ur true 2>/dev/null || ! run test -x "$1" -a -x "$COLOFSD"; then
	echo "no user namespaces here, or $1 cannot be reached by others"
	exit 77
fi
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
chown $user "$dir"
export TMPDIR="$dir"
run "$@"
