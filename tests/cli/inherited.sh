#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# --fd=N, as libvirt and Kata pass it: a socket that listens; and one that is connected.
. "$(dirname "$0")/lib.sh"

python3 - "$COLOFSD" <<'PY' || fail "--fd"
import os, socket, struct, subprocess, sys
mode = "namespace" if os.getuid() == 0 else "none"
kata = ["--syslog", "--cache=auto", "--shared-dir=share", "--thread-pool-size=1", "--announce-submounts"]
libvirt = ["-o", "source=share,cache=always,xattr,flock,posix_lock", "--thread-pool-size=4", "-d"]
get_features = struct.pack("=III", 1, 1, 0)

def ask(s):
    s.settimeout(10)
    s.sendall(get_features)
    request, flags, size = struct.unpack("=III", s.recv(12, socket.MSG_WAITALL))
    assert (request, flags & 7, size) == (1, 5, 8), (request, flags, size)
    assert struct.unpack("=Q", s.recv(8, socket.MSG_WAITALL))[0] >> 32 & 1, "no VIRTIO_F_VERSION_1"

def run(args, fd):
    return subprocess.Popen([sys.argv[1], "--sandbox=" + mode, "--fd=%d" % fd] + args +
                            os.environ.get("COLOFSD_ARGS", "").split(), pass_fds=[fd],
                            stderr=open("log", "w"))

for args in kata, libvirt:
    l = socket.socket(socket.AF_UNIX)
    l.bind("listening")
    l.listen(1)
    p = run(args, l.fileno())
    for _ in range(3):  # a front-end that goes, and others that come
        with socket.socket(socket.AF_UNIX) as s:
            s.connect("listening")
            ask(s)
    p.terminate()
    assert p.wait(10) == 0
    assert os.path.exists("listening"), "a socket that was inherited is not ours to remove"
    os.unlink("listening")

ours, theirs = socket.socketpair(socket.AF_UNIX)
p = run(libvirt, theirs.fileno())
theirs.close()
ask(ours)
ours.close()
assert p.wait(10) == 0, "the end of a connected front-end is the daemon's end"
PY
