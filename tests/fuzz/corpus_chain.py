#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes the hand-made part of corpus/chain: rings and scripts in the form that fuzz_chain.c reads."""
import pathlib
import struct

OUT = pathlib.Path(__file__).parent / "corpus" / "chain"
PACKED, EVENT, INDIRECT, LOG, FEW = 1, 2, 4, 8, 16
NEXT, WRITE, TABLE, AVAIL, USED = 1, 2, 4, 0x80, 0x8000
FRESH = 0x80008000
POP, CALL, KICK, NO_KICK, AGAIN, REMAP = (bytes([n]) for n in (2, 4, 5, 6, 7, 8))


def ring(flags, size, base=0):
    return struct.pack("<BBI", flags, size, base)


def memory(offset, data):
    return struct.pack("<BHB", 0, offset // 4, len(data)) + data


def desc(slot, addr, length, word0, word1):
    return struct.pack("<BBHHHH", 1, slot, addr, length, word0, word1)


def entry(addr, length, word0, word1):
    return struct.pack("<QIHH", addr, length, word0, word1)


def push(which=0, length=8):
    return struct.pack("<BBH", 3, which, length)


def publish(head):
    return bytes([9, head])


SPLIT_PAIR = desc(0, 0x1400, 64, NEXT, 1) + desc(1, 0x1f80, 256, WRITE, 0)
SPLIT_TABLE = memory(0x400, entry(0x1500, 40, NEXT, 1) + entry(0x4000, 4096, WRITE, 0)) + desc(2, 0x1400, 32, TABLE, 0)
PACKED_PAIR = desc(0, 0x1400, 64, 0, AVAIL | NEXT) + desc(1, 0x1f80, 256, 0, AVAIL | WRITE)
PACKED_TABLE = memory(0x400, entry(0x1500, 40, 0, 0) + entry(0x4000, 4096, 0, WRITE)) + desc(2, 0x1400, 32, 5, AVAIL | TABLE)
WAKE = CALL + KICK + NO_KICK

INPUTS = {
    "split": ring(EVENT | INDIRECT, 3) + SPLIT_PAIR + publish(0) + SPLIT_TABLE + publish(2) + POP + POP + REMAP
    + push(1) + WAKE + push() + WAKE + AGAIN + publish(0) + POP + push() + CALL,
    "split_flags": ring(LOG, 2) + SPLIT_PAIR + publish(0) + POP + push() + WAKE + (publish(0) + POP + push()) * 5 + WAKE,
    "split_wrap": ring(EVENT | LOG, 1, 0xfffe) + memory(0x100, struct.pack("<HH", 0, 0xfffe)) + SPLIT_PAIR
    + (publish(0) + POP + push() + WAKE) * 4,
    "split_loop": ring(0, 3) + desc(0, 0x1400, 0, NEXT, 1) + desc(1, 0x1400, 0, NEXT, 0) + publish(0) + POP + POP + AGAIN + POP,
    "split_few": ring(INDIRECT | FEW, 3) + memory(0x400, b"".join(entry(0x1ff0, 64, NEXT, i + 1) for i in range(8)))
    + desc(0, 0x1400, 128, TABLE, 0) + publish(0) + POP,
    "packed": ring(PACKED | EVENT | INDIRECT, 7, FRESH) + PACKED_PAIR + PACKED_TABLE + POP + POP + WAKE + REMAP + push(1)
    + WAKE + push() + WAKE + AGAIN + POP + KICK,
    "packed_flags": ring(PACKED | LOG, 4, FRESH) + PACKED_PAIR + POP + push() + WAKE + NO_KICK + KICK,
    "packed_wrap": ring(PACKED | EVENT | LOG, 2, FRESH)
    + b"".join(desc(i % 3, 0x1400, 64, i, WRITE | (AVAIL if i // 3 % 2 == 0 else USED)) + POP + push() + WAKE for i in range(9)),
    "packed_round": ring(PACKED, 3, FRESH) + b"".join(desc(i, 0x1400, 0, 0, AVAIL | NEXT) for i in range(4)) + POP + POP,
    "packed_held": ring(PACKED, 3, FRESH) + b"".join(desc(i, 0x1400, 8, i, AVAIL) + POP for i in range(4))
    + desc(0, 0x1400, 8, 0, USED) + POP + push(2) + push(0) + push(0) + CALL,
    "packed_lost": ring(PACKED, 3, FRESH)
    + b"".join(desc(i % 4, 0x1400, 8, i, AVAIL if i // 4 % 2 == 0 else USED) + POP + AGAIN for i in range(9)),
}

OUT.mkdir(parents=True, exist_ok=True)
for name, data in INPUTS.items():
    (OUT / name).write_bytes(data)
