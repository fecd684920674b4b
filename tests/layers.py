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
# The same for the folders of tools/, whose own files include each other by their bare names; "." is tools/ itself
TOOLS = {
    ".": {"base", "virtio", "vhost"},
    "init": {"base", "frame.h"},
    "frontend": {"base"},
    "bench": {"base", "frontend", "opt_table.h"},
}
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.M)

root = pathlib.Path(sys.argv[1])
bad = []
files = 0


def check_src(path):
    layer = path.relative_to(root / "src").parts[0]
    if layer not in MAY:
        bad.append(f"{path}: folder src/{layer} has no row in the table")
        return
    for header in INCLUDE.findall(path.read_text()):
        allowed = MAY[layer]
        if header.startswith("daemon/") and layer != "daemon":
            bad.append(f"{path}: nobody includes the daemon ({header})")
        elif allowed is not None and header.split("/")[0] not in allowed and header not in allowed:
            bad.append(f"{path}: {layer} may not include {header}")


def check_tools(path):
    folder = str(path.parent.relative_to(root / "tools"))
    if folder not in TOOLS:
        bad.append(f"{path}: folder tools/{folder} has no row in the table")
        return
    for header in INCLUDE.findall(path.read_text()):
        own = (path.parent / header).exists() and "/" not in header
        if not own and header.split("/")[0] not in TOOLS[folder] and header not in TOOLS[folder]:
            bad.append(f"{path}: tools/{folder} may not include {header}")


for tree, check in (("src", check_src), ("tools", check_tools)):
    for path in sorted((root / tree).rglob("*.[ch]")):
        files += 1
        check(path)
for line in bad:
    print(line, file=sys.stderr)
print(f"{files} files checked, {len(bad)} wrong includes")
sys.exit(1 if bad or not files else 0)
