#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes the hand-made part of corpus/fuse: whole sessions in the form that fuzz_fuse.c reads."""
import pathlib
import struct

OUT = pathlib.Path(__file__).parent / "corpus" / "fuse"
FH = 0x5000  # what the fake file system gives
(LOOKUP, FORGET, GETATTR, SETATTR, READLINK, SYMLINK) = range(1, 7)
(MKNOD, MKDIR, UNLINK, RMDIR, RENAME, LINK, OPEN, READ, WRITE, STATFS, RELEASE) = range(8, 19)
(FSYNC, SETXATTR, GETXATTR, LISTXATTR, REMOVEXATTR, FLUSH, INIT, OPENDIR, READDIR, RELEASEDIR, FSYNCDIR, GETLK, SETLK,
 SETLKW, ACCESS, CREATE, INTERRUPT, BMAP, DESTROY, IOCTL) = range(20, 40)
(BATCH_FORGET, FALLOCATE, READDIRPLUS, RENAME2, LSEEK, COPY) = range(42, 48)
SYNCFS, TMPFILE, STATX, COPY64 = range(50, 54)
BYTES = 5  # form: single bytes in both directions


def request(opcode, args=b"", form=0, room=40, node=7, ext=0):
    return bytes([opcode, form, room, node, ext]) + struct.pack("<H", len(args)) + args


def pack(fmt, *values):
    return struct.pack("<" + fmt, *values)


def session(options=0, minor=45):
    return bytes([options, minor])


def init(minor, flags, flags2=0):
    return request(INIT, pack("IIIII44x", 7, minor, 131072, flags, flags2))


def read(opcode, size, off=0, fh=FH, **more):
    return request(opcode, pack("QQIIQII", fh, off, size, 0, 0, 0, 0), **more)


def lock(opcode, kind, flags=0):
    return request(opcode, pack("QQQQIIII", FH, 1, 0, 99, kind, 5, flags, 0))


def padded(data):
    return data + bytes(-len(data) % 8)


LABEL = padded(pack("II", 6, 0) + b"security.selinux\0a:b:c\0")
EXT = pack("II", 8 + len(LABEL), 1) + LABEL + pack("IIII", 16, 32, 1, 500)
CREATE_IN = pack("IIII", 2, 0o100644, 0o22, 1)

NAMES = (request(LOOKUP, b"name\0") + request(LOOKUP, b"gone\0", form=BYTES) + request(LOOKUP, b"name")
         + request(FORGET, pack("Q", 1), room=0) + request(BATCH_FORGET, pack("IIQQQQ", 2, 0, 1, 1, 2, 2), room=0)
         + request(BATCH_FORGET, pack("IIQQ", 9, 0, 1, 1)) + request(SYMLINK, b"n\0target\0")
         + request(MKNOD, pack("IIII", 0o10644, 1, 0o22, 0) + b"n\0") + request(MKDIR, pack("II", 0o755, 0o22) + b"n\0")
         + request(UNLINK, b"n\0") + request(RMDIR, b"n\0") + request(RENAME, pack("Q", 8) + b"a\0b\0")
         + request(RENAME2, pack("QII", 8, 1, 0) + b"a\0b\0") + request(LINK, pack("Q", 8) + b"n\0")
         + request(READLINK) + request(READLINK, room=1))
FILES = (request(OPEN, pack("II", 2, 1)) + request(CREATE, CREATE_IN + b"n\0") + request(TMPFILE, CREATE_IN + b"/\0")
         + read(READ, 512) + read(READ, 4096, 2990, form=BYTES, room=255) + read(READ, 100, room=2, form=128)
         + request(WRITE, pack("QQIIQII", FH, 0, 5, 4, 0, 0, 0) + b"hello") + request(WRITE, pack("QQIIQII", FH, 0, 6, 0, 0, 0, 0) + b"hello", form=3)
         + request(FLUSH, pack("QIIQ", FH, 0, 0, 1)) + request(FSYNC, pack("QII", FH, 1, 0))
         + request(FALLOCATE, pack("QQQII", FH, 0, 1, 0, 0)) + request(LSEEK, pack("QQII", FH, 0, 3, 0))
         + request(COPY, pack("QQQQQQQ", FH, 0, 7, FH, 0, 1 << 40, 0)) + request(COPY64, pack("QQQQQQQ", FH, 0, 7, FH, 0, 1 << 40, 0))
         + request(IOCTL, pack("QIIQII", FH, 16, 0x80086601, 0, 4, 8) + b"1234") + request(IOCTL, pack("QIIQII", FH, 2, 0, 0, 0, 0))
         + request(SYNCFS, bytes(8)) + request(RELEASE, pack("QIIQ", FH, 0, 3, 1)))
ATTRS = (request(GETATTR, pack("IIQ", 1, 0, FH)) + request(STATX, pack("IIQII", 0, 0, 0, 0, 0xFFF))
         + request(SETATTR, pack("IIQQQQQQIIIIIIII", 0x7FF, 0, FH, 5, 0, 1, 2, 3, 4, 5, 6, 0o644, 0, 1, 2, 0))
         + request(STATFS) + request(ACCESS, pack("II", 6, 0))
         + request(SETXATTR, pack("IIII", 3, 0, 1, 0) + b"user.x\0abc") + request(SETXATTR, pack("IIII", 4, 0, 1, 0) + b"user.x\0abc")
         + request(GETXATTR, pack("II", 64, 0) + b"user.x\0") + request(GETXATTR, pack("II", 0, 0) + b"user.x\0")
         + request(LISTXATTR, pack("II", 64, 0), room=2) + request(LISTXATTR, bytes(8)) + request(REMOVEXATTR, b"user.x\0"))
DIRS = (request(OPENDIR, pack("II", 0, 0)) + b"".join(read(READDIR, 4096, room=n) for n in (1, 3, 4, 5, 20))
        + b"".join(read(READDIRPLUS, 4096, room=n) for n in (1, 10, 11, 12, 21, 31, 42, 60, 200))
        + read(READDIRPLUS, 4096, 3, form=BYTES, room=100) + read(READDIRPLUS, 4096, 99) + read(READDIR, 4096, fh=1)
        + request(FSYNCDIR, pack("QII", FH, 0, 0)) + request(RELEASEDIR, pack("QIIQ", FH, 0, 0, 0)))
LOCKS = (lock(GETLK, 1) + lock(SETLK, 0) + lock(SETLKW, 1) + lock(SETLK, 2, 1) + lock(SETLKW, 0, 1) + lock(SETLK, 9)
         + request(INTERRUPT, pack("Q", 0x1234)) + request(INTERRUPT, pack("Q", 1), room=0))
LABELS = b"".join(
    request(op, args + EXT, ext=len(EXT) // 8, form=form) for form in (0, 5)
    for op, args in ((MKDIR, pack("II", 0o755, 0) + b"n\0"), (MKNOD, bytes(16) + b"n\0"), (SYMLINK, b"n\0to\0"),
                     (CREATE, CREATE_IN + b"n\0"), (TMPFILE, CREATE_IN + b"/\0")))
INITS = (init(31, 0x402000) + ATTRS + init(26, 0) + request(STATFS) + init(36, 0xFFFFFFFF, 0xFFFFFFFF) + LABELS
         + request(INIT, pack("IIII", 8, 0, 0, 0)) + request(STATFS) + init(99, 1 << 30) + request(STATFS)
         + request(DESTROY) + request(STATFS) + request(INIT, pack("IIII", 7, 38, 0, 0xFFFFFFFF), form=BYTES) + NAMES)

SESSIONS = {
    "names": session() + NAMES,
    "files": session(2) + FILES,
    "attrs": session(1) + ATTRS,
    "dirs": session(2) + DIRS,
    "locks": session() + LOCKS,
    "labels": session() + LABELS,
    "labels-37": session(0, 37) + LABELS,
    "inits": session() + INITS,
    "readonly": session(4 | 64) + NAMES + FILES + ATTRS,
    "zero-message": session(3 | 16) + DIRS + read(READDIRPLUS, 4096, fh=0) + FILES,
    "plain": session(8 | 32, 27) + ATTRS + LOCKS,
}

OUT.mkdir(parents=True, exist_ok=True)
for name, data in SESSIONS.items():
    (OUT / name).write_bytes(data)
