#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes corpus/migrate: states as fs/migrate_records.h has them, after a byte of options (fuzz_migrate.c)."""
import pathlib
import struct

OUT = pathlib.Path(__file__).parent / "corpus" / "migrate"
HANDLES, READONLY, ABORT = 1, 2, 4
DIR, FILE, FIFO, LINK = 0o040000, 0o100000, 0o010000, 0o120000
PATH, HANDLE, LOST, GONE, NAMELESS = range(5)
INODE, DATA, OPEN, LOCK = range(16, 20)
SESSION = 1


def record(kind, payload):
    return struct.pack("<II", kind, len(payload)) + payload


def inode(node, kind, path, way=PATH, handle=b""):
    path = path.encode()
    return record(INODE, struct.pack("<QQIHHiI", node, 1, kind, len(path), len(handle), 1, way) + path + handle)


def nameless(node, size, *pieces):
    head = record(INODE, struct.pack("<QQIHHiI", node, 2, FILE, 0, 0, 0, NAMELESS)
                  + struct.pack("<QqqIIIIII", size, 1, 2, 3, 4, 0o640, 1, 2, 0))
    pieces += ((size, b""),)
    return head + b"".join(record(DATA, struct.pack("<QQ", node, off) + text) for off, text in pieces)


def opened(fh, node, flags=0, is_dir=0, flock=0):
    return record(OPEN, struct.pack("<QQIIII", fh, node, flags, is_dir, flock, 0))


def lock(node, owner, fh, start, end, kind):
    return record(LOCK, struct.pack("<QQQQQII", node, owner, fh, start, end, kind, 9))


def state(*records):
    body = struct.pack("<QII", 0x74617453666F6C63, 2, 0)
    body += record(SESSION, struct.pack("<IIQII", 1, 39, 0, 1 << 16, 0)) + b"".join(records) + struct.pack("<II", 0, 8)
    total = 0xCBF29CE484222325
    for byte in body:
        total = (total ^ byte) * 0x100000001B3 & (1 << 64) - 1
    return body + struct.pack("<Q", total)


STATES = {
    "usual": b"\0" + state(inode(2, DIR, "dir"), inode(3, FILE, "file"), opened(1, 2, 0, 1), opened(2, 3, 2, 0, 2),
                           lock(3, 1, 2, 0, 9, 1), lock(3, 2, 2, 20, 29, 0)),
    "by-handle": bytes([HANDLES]) + state(inode(2, DIR, "dir", HANDLE, b"\2"), inode(3, FILE, "", HANDLE, b"\1"),
                                          inode(4, FILE, "", HANDLE, b"\0"), inode(5, FILE, "file", HANDLE, b"\0"),
                                          inode(6, DIR, "", HANDLE, b"\3"), opened(1, 3, 2), opened(2, 4, 2), opened(3, 5, 2)),
    "nameless": b"\0" + state(nameless(2, 100, (0, b"begin"), (50, b"middle")), nameless(3, 0), inode(4, FILE, "", GONE),
                              opened(1, 2, 2), opened(2, 3, 2), lock(2, 1, 1, 0, 9, 1)),
    "readonly": bytes([READONLY]) + state(nameless(2, 10, (0, b"x")), inode(3, FILE, "file"), opened(1, 2), opened(2, 3, 1),
                                          opened(3, 3)),
    "abort": bytes([ABORT]) + state(inode(2, FILE, "file"), inode(3, FILE, "missing")),
    "out": b"\0" + state(inode(2, LINK, "out"), inode(3, FILE, "../secret"), inode(4, FILE, "out/x"), inode(5, FIFO, "fifo"),
                         opened(1, 5, 2), opened(2, 2), lock(5, 1, 1, 0, 9, 1)),
    "lost": b"\0" + state(inode(2, FILE, "", LOST), opened(1, 2), lock(2, 1, 1, 0, 9, 1)),
    "empty": b"\0" + state(),
}

OUT.mkdir(parents=True, exist_ok=True)
for name, data in STATES.items():
    (OUT / name).write_bytes(data)
