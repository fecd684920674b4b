#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Several real guests at once, each with daemons of its own, mixed work of which everything is verified (guest.py).

What the daemons hold (descriptors, memory of their own) at most in the last quarter is no more than what they held at most in
the second one, in which caches and pools are full.
usage: guests.py N SECONDS      COLOFS and COLOFSD: the programs
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

CACHE = "never", "auto"
# Tables are small: each new inode touches another page of a large one, which looks like a leak.
OPTIONS = "--xattr", "--posix-lock", "--max-inodes=4096", "--max-cached-fds=64"
SLACK_FDS, SLACK_KIB = 64, 2048 # a cache that was not full yet in a short run; memory of the allocator and of stacks


def start(i, seconds, top):
    own, common = f"{top}/own-{i}", f"{top}/common"
    os.mkdir(own)
    args = [os.environ["COLOFS"], "run", f"{own}:own", f"{common}:common", "--mem=256M", "--boot-timeout=300"]
    args += [f"--daemon-option={o}" for o in (*OPTIONS, f"--cache={CACHE[i % len(CACHE)]}")]
    args += ["--", "python3", "/mnt/common/guest.py", str(i), str(seconds), "/mnt/own", "/mnt/common"]
    args += ["map"] if CACHE[i % len(CACHE)] != "never" else []
    with open(f"{top}/log-{i}", "wb") as log:
        return subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)


def children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as f:
            return [int(p) for p in f.read().split()]
    except OSError:
        return []


def servers(pid):
    """Those of its daemons' processes that serve: the last ones of their line."""
    try:
        with open(f"/proc/{pid}/comm") as f:
            is_daemon = f.read().strip() == os.path.basename(os.environ["COLOFSD"])[:15]
    except OSError:
        return []
    below = [s for c in children(pid) for s in servers(c)]
    return below or ([pid] if is_daemon else [])


def held(pids):
    """Descriptors and KiB of memory of their own, of all together. None if one is gone."""
    fds = kib = 0
    try:
        for pid in pids:
            fds += len(os.listdir(f"/proc/{pid}/fd"))
            with open(f"/proc/{pid}/status") as f:
                kib += next(int(line.split()[1]) for line in f if line.startswith("RssAnon:"))
    except (OSError, StopIteration):
        return None
    return fds, kib


def watch(guests, seconds):
    """Until all have ended: the most that each guest's daemons held in each quarter of the time."""
    begun = [None] * len(guests)
    most = [[(0, 0)] * 4 for _ in guests]
    while any(g.poll() is None for g in guests):
        time.sleep(0.2)
        for i, g in enumerate(guests):
            now = held(servers(g.pid)) if g.poll() is None else None
            if not now or not now[1]:
                continue
            begun[i] = begun[i] or time.monotonic()
            quarter = min(3, int(4 * (time.monotonic() - begun[i]) / seconds))
            most[i][quarter] = tuple(map(max, most[i][quarter], now))
    return most


def expect_log(path, told):
    following = [0] * len(told)
    with open(path, "rb") as f:
        for line in f:
            who, n = map(int, line.split())
            if n != following[who]:
                sys.exit(f"the log: {n} of guest {who}, where {following[who]} belongs")
            following[who] += 1
    if following != [t["appended"] for t in told]:
        sys.exit(f"the log: {following} records")


def main(n, seconds):
    top = tempfile.mkdtemp(prefix="colofs-guests-")
    guests = []
    try:
        os.mkdir(f"{top}/common")
        shutil.copy(os.path.dirname(os.path.realpath(__file__)) + "/guest.py", f"{top}/common")
        for name, what in ("counter", "%020d" % 0), ("log", ""), ("lock", ""):
            with open(f"{top}/common/{name}", "w") as f:
                f.write(what)
        guests += [start(i, seconds, top) for i in range(n)]
        most = watch(guests, seconds)
        told = []
        for i, g in enumerate(guests):
            out = g.communicate()[0].decode()
            if g.returncode:
                with open(f"{top}/log-{i}") as f:
                    sys.exit(f"guest {i} ended with {g.returncode}:\n{out}{f.read()}")
            told.append(json.loads(out.splitlines()[-1]))
        with open(f"{top}/common/counter") as f:
            counted = int(f.read())
        if counted != sum(t["counted"] for t in told):
            sys.exit(f"the counter: {counted} of {sum(t['counted'] for t in told)}")
        expect_log(f"{top}/common/log", told)
        for t, m in zip(told, most):
            print(f"guest {t['id']} (cache {CACHE[t['id'] % len(CACHE)]}): {t['steps']} steps, {t['counted']} counts, "
                  f"{t['appended']} records; its daemons: {m[1][0]} descriptors, then {m[3][0]}, {m[1][1]} KiB, then {m[3][1]}")
            if not m[1][1] or not m[3][1]:
                sys.exit(f"guest {t['id']}: what its daemons hold was not seen: {m}")
            if m[3][0] > m[1][0] + SLACK_FDS or m[3][1] > m[1][1] + SLACK_KIB:
                sys.exit(f"guest {t['id']}: its daemons hold more and more: {m}")
    finally:
        for g in guests:
            if g.poll() is None:
                g.terminate()
                g.wait()
        shutil.rmtree(top, ignore_errors=True)


if len(sys.argv) != 3 or not 1 <= int(sys.argv[1]) <= 8 or float(sys.argv[2]) <= 0:
    sys.exit(__doc__.splitlines()[-1])
main(int(sys.argv[1]), float(sys.argv[2]))
