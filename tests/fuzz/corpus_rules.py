#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes the corpora of fuzz_xattrmap, fuzz_idmap and fuzz_acl: python3 corpus_rules.py corpus"""
import pathlib
import struct
import sys

NAMES = ["user.a", "trusted.a", "user.virtiofs.trusted.a", "security.capability", "user.virtiofs.", "system.posix_acl_access", ""]

XATTRMAP = {
    "map-all": ":map::user.virtiofs.:",
    "map-some": "/map/trusted./user.virtiofs./",
    "prefix-all": ":prefix:all::user.virtiofs.::bad:all:::",
    "prefix-some": "/prefix/all/trusted./user.virtiofs./\n /bad/server//trusted./\n /bad/client/user.virtiofs.//\n /ok/all///",
    "hide": "/bad/all/security./security./ /ok/all///",
    "every": ":prefix:client:a.:h.: :prefix:server:a.:g.: :ok:client:b.:: :ok:server::b.: :bad:client:c.:: :unsupported:server::d.: :unsupported:all:e.:e.: :ok:all:::",
    "unknown": ":maybe:all:::",
    "cut": ":ok:all::",
    "long": ":map::" + 300 * "p" + ":",
}

IDMAP = {
    "one-way": ["guest:1000:5000:10", "host:7000:1000:3"],
    "both": ["map:0:100000:65536", "map:65536:4294900000:67295"],
    "squash": ["squash-guest:0:1001:4294967295", "squash-host:10:20:5", "host:1001:1000:1"],
    "forbid": ["forbid-guest:10:5", "guest:15:0:5", "forbid-guest:4294967294:1"],
    "overlap": ["map:0:0:10", "map:9:20:1", "host:5:1:1", "map:10:10:0"],
    "wrong": ["", ":", "map", "map:1:2:4294967296", "map:4294967290:0:6", "forbid-guest:1:2:3"],
}


def acl(*entries, version=2):
    return struct.pack("<I", version) + b"".join(struct.pack("<HHI", *e) for e in entries)


ACL = {
    "full": acl((1, 7, 0xFFFFFFFF), (2, 6, 0), (2, 4, 1049), (4, 5, 0xFFFFFFFF), (8, 1, 4294967219), (0x10, 7, 0xFFFFFFFF), (0x20, 0, 0xFFFFFFFF)),
    "forbidden": acl((2, 6, 5), (8, 6, 77)),
    "none": acl(),
    "old": acl((2, 6, 5), version=1),
    "odd": acl((2, 6, 5), (0x0208, 6, 5), (0xFFFF, 0xFFFF, 0))[:-1],
}


def main():
    root = pathlib.Path(sys.argv[1])
    corpora = {
        "xattrmap": {k: b"".join(s.encode() + b"\0" for s in [v] + NAMES) for k, v in XATTRMAP.items()},
        "idmap": {k: b"".join(s.encode() + b"\0" for s in v) for k, v in IDMAP.items()},
        "acl": ACL,
    }
    for name, inputs in corpora.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        for k, v in inputs.items():
            (root / name / k).write_bytes(v)


main()
