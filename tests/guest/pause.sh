#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A virtual machine that is paused stops its queues. A process in it that waits for a lock meanwhile is not lost: it gets the lock,
# if that comes free before, during or after the pause.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/remote.sh"
need python3 "$(command -v qemu-system-x86_64 || echo qemu-system-x86_64)"
D=$T/share
mkdir "$D" "$T/bin"
cp "${LOCKER:?}" "$D/locker"
cat >"$T/bin/qemu-system-x86_64" <<END
#!/bin/sh
exec $(command -v qemu-system-x86_64) -monitor unix:$T/monitor,server=on,wait=off "\$@"
END
chmod +x "$T/bin/qemu-system-x86_64"
PATH=$T/bin:$PATH
cat >"$T/script" <<'END'
#!/bin/sh
set -e
mount -t virtiofs share /mnt
cd /mnt
for i in 1 2; do
	for kind in fcntl flock; do ./locker hold $kind $kind.$i $kind.$i.got 2>&1 & done
done
echo >waiting
while ! [ -e end ]; do sleep 0.1; done
kill $(jobs -p) 2>/dev/null || true
END

monitor() {
	python3 - "$T/monitor" "$1" <<'END'
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
def until_prompt():
    text = b""
    while not text.endswith(b"(qemu) "):
        text += s.recv(4096)
until_prompt()
s.sendall(sys.argv[2].encode() + b"\n")
until_prompt()
END
}

exists() { [ -e "$D/$1" ]; }
for i in 1 2; do
	for kind in fcntl flock; do
		(cd "$D" && exec ./locker hold $kind $kind.$i $kind.$i.held) &
		declare "holder_${kind}_$i=$!"
		pids+=($!)
		soon exists $kind.$i.held || fail "the host's lock"
	done
done
start_daemon share --shared-dir="$D" --cache=never
run_qemu guest "$T/script" "$T/share.sock:share" &
guest=$!
for ((i = 0; i < 12; i++)); do if soon exists waiting; then break; fi; done
sleep 1
monitor stop
kill "$holder_fcntl_1" "$holder_flock_1"
sleep 0.5
! exists fcntl.1.got && ! exists flock.1.got || fail "a paused guest went on"
monitor cont
soon exists fcntl.1.got && soon exists flock.1.got || fail "a lock that came free in the pause is not granted"
! exists fcntl.2.got && ! exists flock.2.got || fail "a lock was granted that the host holds"
kill "$holder_fcntl_2" "$holder_flock_2"
soon exists fcntl.2.got && soon exists flock.2.got || fail "a lock that came free after the pause is not granted"
touch "$D/end"
wait $guest || fail "the guest"
echo "four waiters outlived a pause"
