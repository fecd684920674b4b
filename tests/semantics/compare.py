#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Compares what the suite printed on a local directory and on a share.

usage: compare.py MODE LOCAL SHARE [DIFFERENCES...]

MODE names how the share was made. DIFFERENCES lists what may differ:
    MODES FAMILY/CASE: WHAT = LOCAL -> SHARE
with MODES "*", or names joined by commas; the reason stands in the comment above. WHAT may end with "*"; "MODES FAMILY/CASE: *"
excepts a whole case. An entry for this mode that nothing matched is an error too, so the lists stay short.
"""
import re
import sys

LINE = re.compile(r"^(\S+/\S+) (\d+): (.*)$")
ENTRY = re.compile(r"^(\S+) (\S+/\S+): (.*) = (.*) -> (.*)$")
WHOLE = re.compile(r"^(\S+) (\S+/\S+): ()(\*)()$")
SHOWN = 40


def lines(path):
    """(case, number) -> text, in the order of the file."""
    out = {}
    for raw in open(path, errors="replace"):
        match = LINE.match(raw.rstrip("\r\n"))
        if match:
            out[match[1], int(match[2])] = match[3]
    return out


class Entry:
    def __init__(self, place, modes, case, what, local, share):
        self.place, self.case, self.what, self.local, self.share = place, case, what, local, share
        self.modes = modes.split(",")
        self.used = False

    def applies(self, mode):
        return self.modes == ["*"] or mode in self.modes

    def matches(self, case, local, share):
        if case != self.case or self.local == "*":
            return case == self.case
        if self.what.endswith("*"):
            return all(
                text.startswith(self.what[:-1]) and text.endswith(" = " + value)
                for text, value in ((local, self.local), (share, self.share))
            )
        return local == f"{self.what} = {self.local}" and share == f"{self.what} = {self.share}"


def entries(path, mode):
    out = []
    for number, raw in enumerate(open(path), 1):
        text = raw.rstrip("\n")
        if not text or text.startswith("#"):
            continue
        match = ENTRY.match(text) or WHOLE.match(text)
        if not match:
            sys.exit(f"{path}:{number}: not an entry")
        entry = Entry(f"{path}:{number}", *match.groups())
        if entry.applies(mode):
            out.append(entry)
    return out


def main(mode, local_path, share_path, *differences):
    local, share = lines(local_path), lines(share_path)
    known = [e for path in differences for e in entries(path, mode)]
    bad = []
    for key in {**local, **share}:
        here, there = local.get(key, "(no such line)"), share.get(key, "(no such line)")
        if here == there:
            continue
        found = [e for e in known if e.matches(key[0], here, there)]
        for e in found:
            e.used = True
        if not found:
            bad.append((key, here, there))
    for (case, number), here, there in bad[:SHOWN]:
        print(f"{case} {number:03}:\n    local: {here}\n    share: {there}")
    families = {case.split("/")[0] for case, _ in local}
    unused = [e for e in known if not e.used and e.case.split("/")[0] in families]
    for e in unused:
        print(f"{e.place}: nothing differs so with {mode}")
    print(f"{mode}: {len(local)} lines, {len(bad)} differ, {len(known) - len(unused)} documented differences")
    return 1 if bad or unused or not local else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
