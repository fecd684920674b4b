#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""usage: embed.py NAME INPUT OUTPUT — writes INPUT's bytes as a C array NAME, with its length NAME_len."""
import sys

name, source, target = sys.argv[1:]
with open(source, "rb") as f:
    data = f.read()
with open(target, "w") as f:
    f.write("#include <stddef.h>\n")
    f.write(f"extern const unsigned char {name}[];\nextern const size_t {name}_len;\n")
    f.write(f"const size_t {name}_len = {len(data)};\nconst unsigned char {name}[] = {{\n")
    for i in range(0, len(data), 32):
        f.write(",".join(map(str, data[i:i + 32])) + ",\n")
    f.write("};\n")
