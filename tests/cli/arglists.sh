#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The argument lists with which Kata Containers and the manuals of both virtiofsd programs start a daemon start colofsd,
# and SIGTERM ends it, with its socket gone.
set -eu
T=$(mktemp -d "${TMPDIR:-/tmp}/colofs-test.XXXXXX")
trap 'rm -rf "$T"' EXIT
COLOFSD=$(realpath "${COLOFSD:?}")
D=$T/dir
S=$T/sock
mkdir "$D"

# listening: something accepts on $S.
listening() {
	python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])' "$S" 2>/dev/null
}

# run WHAT COMMAND...: the command serves on $S until SIGTERM, and then exits with 0.
run() {
	local what=$1 i status=0
	shift
	"$@" >"$T/log" 2>&1 &
	for ((i = 0; i < 200; i++)); do
		listening && break
		kill -0 $! 2>/dev/null || break
		sleep 0.02
	done
	if ! listening; then
		echo "FAILED: $what: does not serve"
		cat "$T/log"
		exit 1
	fi
	# The daemon itself, should the command be a launcher.
	kill "$(pgrep -P $! -x colofsd | head -n 1 || true)" 2>/dev/null || kill $!
	wait $! || status=$?
	[ $status = 0 ] || { echo "FAILED: $what: exit status $status"; cat "$T/log"; exit 1; }
	[ ! -e "$S" ] || [ "$what" != "${what#fd}" ] || { echo "FAILED: $what: the socket stays"; exit 1; }
	rm -f "$S"
	echo "ok: $what"
}

# Starts the rest of the command with a listening socket as descriptor 7.
with_fd() {
	python3 - "$S" "$@" <<-'END'
		import os, socket, sys
		s = socket.socket(socket.AF_UNIX)
		s.bind(sys.argv[1])
		s.listen(1)
		os.dup2(s.fileno(), 7)
		s.close()
		os.execvp(sys.argv[2], sys.argv[2:])
	END
}

run "fd: Kata Containers, Go runtime" with_fd "$COLOFSD" --syslog --cache=auto --shared-dir="$D" --fd=7 --thread-pool-size=1 --announce-submounts
for cache in never auto always; do
	run "Kata Containers, Rust runtime, cache $cache" "$COLOFSD" --socket-path "$S" --shared-dir "$D" --cache $cache --thread-pool-size=1 -o announce_submounts
done
run "Kata Containers, Rust runtime, xattr" "$COLOFSD" --socket-path "$S" --shared-dir "$D" --cache auto --thread-pool-size=1 -o announce_submounts --xattr
run "fd: libvirt, -o lists" with_fd "$COLOFSD" --fd=7 -o "source=$D,cache=always,sandbox=namespace,xattr,flock,posix_lock"
run "fd: libvirt, no_ forms" with_fd "$COLOFSD" --fd=7 -o "source=$D,no_xattr,no_flock,no_posix_lock" --thread-pool-size=4 --rlimit-nofile=8000 -d
run "fd: libvirt, separate options" with_fd "$COLOFSD" --fd=7 --shared-dir "$D" --cache never --sandbox chroot --xattr --thread-pool-size=4 --log-level debug
run "C manual: example" "$COLOFSD" --socket-path="$S" -o source="$D"
run "Rust manual: file handles" "$COLOFSD" --socket-path="$S" --shared-dir "$D" --inode-file-handles=mandatory
run "Rust manual: read-only" "$COLOFSD" --socket-path="$S" --shared-dir "$D" --readonly
if unshare -r --map-auto true 2>/dev/null; then
	run "Rust manual: in a user namespace" unshare -r --map-auto -- "$COLOFSD" --socket-path="$S" --shared-dir "$D" --sandbox chroot
elif unshare -r true 2>/dev/null; then
	run "Rust manual: in a user namespace" unshare -r -- "$COLOFSD" --socket-path="$S" --shared-dir "$D" --sandbox chroot
else
	echo "not tried: Rust manual: in a user namespace: none can be made here, $(unshare -r true 2>&1)"
fi
