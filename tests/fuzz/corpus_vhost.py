#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes the hand-made part of corpus/vhost: whole conversations in the form that fuzz_vhost.c reads."""
import pathlib
import struct

OUT = pathlib.Path(__file__).parent / "corpus" / "vhost"
FVA = 0x7F0000000000
NEED = 1


def msg(request, payload=b"", flags=0, fds=0, kind=0):
    return bytes([request, flags | fds << 4 | kind << 6, len(payload)]) + payload


def u64(request, value, **more):
    return msg(request, struct.pack("<Q", value), **more)


def state(request, index, num, **more):
    return msg(request, struct.pack("<II", index, num), **more)


def region(gpa, size):
    return struct.pack("<QQQQ", gpa, size, FVA + gpa, gpa)


def table(*regions, room=0):
    body = struct.pack("<II", len(regions), 0) + b"".join(regions) + bytes(32 * room)
    return msg(5, body, fds=len(regions))


def addr(i, flags=0):
    at = FVA + i * 0x4000
    return msg(9, struct.pack("<IIQQQQ", i, flags, at, at + 0x2000, at + 0x1000, i * 0x4000 + 0x2000))


def ring(i, num=8, base=0, kick_kind=1, call_kind=2):
    return (state(8, i, num) + state(10, i, base) + addr(i) + u64(13, i, fds=1, kind=call_kind)
            + u64(12, i, fds=1, kind=kick_kind))


def memory(at, data):
    return bytes([0x80, at // 4096, at % 4096 // 16, len(data)]) + data


def split_chain(i):
    """One chain of a readable and a writable descriptor, made available."""
    desc = struct.pack("<QIHH", 0x40000, 64, 1, 1) + struct.pack("<QIHH", 0x41000, 128, 2, 0)
    return memory(i * 0x4000, desc) + memory(i * 0x4000 + 0x1000, struct.pack("<HHH", 0, 1, 0))


def packed_chain(i):
    desc = struct.pack("<QIHH", 0x40000, 64, 0, 0x81) + struct.pack("<QIHH", 0x41000, 128, 0, 0x82)
    return memory(i * 0x4000, desc)


FEATURES = 1 << 32 | 1 << 30 | 1 << 29 | 1 << 28
LOG, PACKED = 1 << 26, 1 << 34
PROTOCOL = 0x1A62B
HELLO = msg(1) + msg(15) + u64(16, PROTOCOL) + msg(17) + msg(36) + msg(3)
WHOLE = region(0, 0x100000)

CONVERSATIONS = {
    "uml": msg(3) + msg(1) + msg(15) + u64(16, 1 << 5 | 1 << 9) + msg(21, fds=1, kind=2)
    + b"".join(msg(24, struct.pack("<III", 0, n, 0) + bytes(n)) for n in (1, 36, 40)) + u64(2, FEATURES)
    + table(WHOLE, room=1) + ring(0) + ring(1) + state(18, 0, 1) + state(18, 1, 1) + split_chain(1) + b"\xc1"
    + state(18, 1, 0) + state(18, 0, 0) + msg(1),
    "qemu": HELLO + u64(2, FEATURES) + msg(37, bytes(8) + WHOLE, flags=NEED, fds=1) + ring(0) + ring(1)
    + state(18, 0, 1) + state(18, 1, 1) + split_chain(0) + b"\xc0" + u64(39, 15, flags=NEED) + state(11, 0, 0)
    + state(11, 1, 0) + u64(39, 0) + msg(34, flags=NEED) + ring(0, base=1) + state(18, 0, 1),
    "migration": HELLO + u64(2, FEATURES) + table(WHOLE) + ring(0) + state(18, 0, 1)
    + msg(6, struct.pack("<QQ", 4096, 0), fds=1) + u64(2, FEATURES | LOG) + addr(0, 1) + split_chain(0) + b"\xc0"
    + msg(7, fds=1, kind=1) + u64(2, FEATURES) + addr(0) + state(11, 0, 0),
    "packed": HELLO + u64(2, FEATURES | PACKED) + table(WHOLE) + ring(2, base=0x80008000) + state(18, 2, 1)
    + packed_chain(2) + b"\xc2" + state(11, 2, 0),
    "slots": HELLO + u64(2, 1 << 32) + msg(37, bytes(8) + region(0, 0x4000), flags=NEED, fds=1) + ring(0)
    + msg(37, bytes(8) + region(0x4000, 0xFC000), flags=NEED, fds=1) + split_chain(0) + b"\xc0"
    + msg(38, bytes(8) + region(0, 0x4000), flags=NEED) + b"\xc0"
    + msg(37, bytes(8) + region(0, 0x4000), flags=NEED, fds=1) + b"\xc0",
    "failures": HELLO + u64(2, 1 << 32) + b"\xe0" + table(WHOLE) + ring(0) + b"\xe0" + state(18, 0, 1) + ring(1)
    + b"\xe1" + table(WHOLE) + b"\xe1" + table(WHOLE) + b"\xe2" + HELLO + u64(12, 0x100) + u64(13, 0x101)
    + u64(14, 1, fds=1, kind=3),
    "pieces": b"".join(b"\x40\x01" + bytes([b]) for b in struct.pack("<III", 17, 1, 0)) + b"\x40\x05hello"
    + msg(3, flags=2) + msg(3, flags=4) + msg(2, bytes(8), flags=8),
}

OUT.mkdir(parents=True, exist_ok=True)
for name, data in CONVERSATIONS.items():
    (OUT / name).write_bytes(data)
