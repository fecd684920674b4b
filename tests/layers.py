#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Checks that every #include of ours obeys the table of layers in docs/architecture.md.

usage: layers.py SOURCE_ROOT
"""
import pathlib
import re
import sys

# folder -> folders (or single headers) it may include from
MAY = {
    "base": {"base"},
    "virtio": {"base", "virtio"},
    "vhost": {"base", "virtio", "vhost"},
    "fuse": {"base", "fuse"},
    "fs": {"base", "fs", "fuse/ops.h"},
    "dax": {"base", "dax", "fuse/ops.h"},
    "coherence": {"base", "coherence", "fuse/ops.h"},
    "sandbox": {"base", "sandbox"},
    "daemon": None,  # everything
}
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.M)

root = pathlib.Path(sys.argv[1])
bad = []
files = 0
for path in sorted((root / "src").rglob("*.[ch]")):
    files += 1
    layer = path.relative_to(root / "src").parts[0]
    if layer not in MAY:
        bad.append(f"{path}: folder src/{layer} has no row in the table")
        continue
    for header in INCLUDE.findall(path.read_text()):
        allowed = MAY[layer]
        if header.startswith("daemon/") and layer != "daemon":
            bad.append(f"{path}: nobody includes the daemon ({header})")
        elif allowed is not None and header.split("/")[0] not in allowed and header not in allowed:
            bad.append(f"{path}: {layer} may not include {header}")
for line in bad:
    print(line, file=sys.stderr)
print(f"{files} files checked, {len(bad)} wrong includes")
sys.exit(1 if bad or not files else 0)
