#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The daemon of $COUNTED_PROGRAM under callgrind, which writes to the directory $COUNTED_DIR when vgdb tells it to.
exec valgrind --quiet --tool=callgrind --callgrind-out-file="$COUNTED_DIR/callgrind" --vgdb-prefix="$COUNTED_DIR/vgdb" \
	"$COUNTED_PROGRAM" "$@"
