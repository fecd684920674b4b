#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes the hand-made part of corpus/share and corpus/options, in the forms that fuzz_share.c and fuzz_options.c read."""
import pathlib
import struct

OUT = pathlib.Path(__file__).parent / "corpus"
NAMES = ["", "a", "b", "c", ".", "..", "../secret", "a/b", "/", "out", "file", "dir"]
FH, NODE, TWO, LITTLE = 1, 2, 64, 128


def request(opcode, name="", args=b"", node=0, second=0, fh=0, uid=0, form=0, other=""):
    tail = bytes([NAMES.index(other)]) if form & TWO else b""
    return (bytes([opcode, form | NAMES.index(name) << 2, node, second, fh, uid]) + struct.pack("<H", len(args)) + args + tail)


def pack(fmt, *values):
    return struct.pack("<" + fmt, *values)


def lookup(name, node=0, uid=0):
    return request(1, name, node=node, uid=uid)


CREATE = request(35, "a", pack("IIII", 0o102, 0o100644, 0o22, 1))
READ = request(15, "", bytes(8) + pack("QIIQII", 0, 4096, 0, 0, 0, 0), node=1, form=FH)
WRITE = request(16, "", bytes(8) + pack("QIIQII", 0, 5, 0, 0, 0, 0) + b"hello", node=1, form=FH)
SCRIPTS = {
    "escapes": b"\1" + b"".join(lookup(n) for n in NAMES) + b"".join(lookup(n, 1) for n in NAMES)
    + request(14, "", pack("II", 0, 0), node=10) + request(5, "", node=9) + request(6, "a", other="../secret", form=TWO)
    + request(12, "file", bytes(8), form=NODE | TWO, other="../secret") + request(10, "..") + request(11, "."),
    "files": b"\0" + CREATE + WRITE + READ + request(25, "", bytes(24), node=1, form=FH) + request(18, "", bytes(24), node=1, form=FH)
    + lookup("file") + request(14, "", pack("II", 0o1001, 0), node=2) + request(3, "", bytes(16), node=2)
    + request(4, "", pack("IIQQQQQQIIIIIIII", 0x7F, 0, 0, 3, 0, 1, 2, 3, 4, 5, 6, 0o644, 0, 1, 2, 0), node=2)
    + request(2, "", pack("Q", 1), node=2) + request(10, "a"),
    "dirs": b"\4" + request(9, "a", pack("II", 0o755, 0), uid=3) + request(27, "", bytes(8), node=1)
    + request(28, "", bytes(8) + pack("QIIQII", 0, 4096, 0, 0, 0, 0), node=1, form=FH)
    + request(27, "", bytes(8)) + request(44, "", bytes(8) + pack("QIIQII", 0, 4096, 0, 0, 0, 0), fh=1, form=FH)
    + request(12, "a", bytes(8), form=NODE | TWO, other="dir") + request(11, "dir") + request(29, "", bytes(24), fh=1, form=FH),
    "locks": b"\0" + lookup("file") + request(14, "", pack("II", 2, 0), node=1)
    + request(32, "", bytes(8) + pack("QQQIIII", 1, 0, 99, 1, 5, 0, 0), node=1, form=FH)
    + request(32, "", bytes(8) + pack("QQQIIII", 2, 50, 60, 0, 6, 0, 0), node=1, form=FH)
    + request(32, "", bytes(8) + pack("QQQIIII", 1, 20, 30, 2, 5, 0, 0), node=1, form=FH)
    + request(31, "", bytes(8) + pack("QQQIIII", 2, 0, 99, 1, 6, 0, 0), node=1, form=FH)
    + request(33, "", bytes(8) + pack("QQQIIII", 3, 0, 99, 1, 6, 1, 0), node=1, form=FH),
    "attrs": b"\0" + lookup("file") + request(21, "", pack("IIII", 3, 0, 0, 0) + b"user.x\0abc", node=1)
    + request(22, "", pack("II", 64, 0) + b"user.x\0", node=1) + request(23, "", pack("II", 200, 0), node=1)
    + request(24, "", b"user.x\0", node=1) + request(52, "", pack("IIQII", 0, 0, 0, 0, 0xFFF), node=1) + request(17),
    "rootless-handles": b"\3" + CREATE + lookup("file") + lookup("dir") + WRITE + READ,
    "zero-message": b"\x14" + lookup("file") + request(14, "", pack("II", 0, 0), node=1)
    + request(15, "", pack("QQIIQII", 0, 0, 100, 0, 0, 0, 0), node=1),
}
LINES = {
    "colofs": "--shared-dir=/d --socket-path=/s --tag=t --cache=auto --xattr --xattrmap=:map::user.virtiofs.:",
    "c-virtiofsd": "-o source=/d,cache=none,no_posix_lock,flock,xattr,timeout=1.5 --socket-path=/s -d",
    "kata": "--syslog --cache=auto --shared-dir=/d --fd=3 --thread-pool-size=1 --announce-submounts",
    "ids": "--shared-dir=/d --fd=3 --uid-map=:0:100000:65536: --gid-map=:0:1:1: --translate-uid=map:0:1:2",
    "wrong": "--shared-dir --fd=-1 --queues=99999999999999999999 -o a\\,b,,c=",
    "caps": "--print-capabilities --shared-dir=/d --modcaps=+sys_admin:-chown",
}
for folder, inputs in (("share", SCRIPTS), ("options", {k: b"".join(a.encode() + b"\0" for a in v.split()) for k, v in LINES.items()})):
    (OUT / folder).mkdir(parents=True, exist_ok=True)
    for name, data in inputs.items():
        (OUT / folder / name).write_bytes(data)
