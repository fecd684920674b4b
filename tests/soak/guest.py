#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What a guest of the soak does again and again, in a directory of its own and in a common one. Everything is verified.

Ends with what it did, as a line of JSON. Runs in the guest (guests.py starts it).
usage: guest.py ID SECONDS OWN COMMON [map]      map: files can be mapped for writing
"""
import fcntl
import json
import mmap
import os
import random
import shutil
import sys
import time

ident, seconds, own, common = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3], sys.argv[4]
maps = "map" in sys.argv[5:]
dice = random.Random(ident)
done = {"id": ident, "steps": 0, "counted": 0, "appended": 0}


def expect(is_so, what):
    if not is_so:
        sys.exit(f"guest {ident}, step {done['steps']}: {what}")


def content(seed, length):
    return random.Random(seed).randbytes(length)


def read(path):
    with open(path, "rb") as f:
        return f.read()


def plant(top):
    """A tree of files, and what they hold."""
    files = {}
    for d in range(dice.randrange(1, 4)):
        os.makedirs(f"{top}/d{d}/e")
        for i in range(dice.randrange(1, 12)):
            path, seed, length = f"{top}/d{d}/{'e/' if i % 3 else ''}f{i}", dice.random(), dice.randrange(1 << dice.randrange(18))
            with open(path, "wb") as f:
                f.write(content(seed, length))
            files[path] = (seed, length)
    return files


def trees():
    files = plant(f"{own}/tree")
    found = [os.path.join(d, n) for d, _, names in os.walk(f"{own}/tree") for n in names]
    expect(sorted(found) == sorted(files), "a listing")
    for path, (seed, length) in files.items():
        expect(os.stat(path).st_size == length and read(path) == content(seed, length), path)
    shutil.copytree(f"{own}/tree", f"{own}/copy")
    for path, (seed, length) in files.items():
        expect(read(path.replace("/tree/", "/copy/")) == content(seed, length), "the copy of " + path)
    shutil.rmtree(f"{own}/tree")
    shutil.rmtree(f"{own}/copy")
    expect(not os.path.exists(f"{own}/tree"), "a removed tree")


def names():
    files = list(plant(f"{own}/names").items())
    path, (seed, length) = dice.choice(files)
    os.rename(path, f"{own}/moved")
    expect(not os.path.lexists(path), "an old name")
    os.link(f"{own}/moved", f"{own}/second")
    expect(os.stat(f"{own}/second").st_nlink == 2, "links")
    os.symlink("second", f"{own}/pointer")
    expect(read(f"{own}/pointer") == content(seed, length), "by a symbolic link")
    os.rename(f"{own}/second", f"{own}/names/back")
    expect(read(f"{own}/names/back") == content(seed, length), "by another name")
    for name in "pointer", "moved":
        os.unlink(f"{own}/{name}")
    shutil.rmtree(f"{own}/names")


def pieces():
    """One file in pieces: by write, by mapping, cut and extended, compared with a copy in memory."""
    path, mirror = f"{own}/pieces", bytearray()
    with open(path, "w+b", buffering=0) as f:
        for _ in range(dice.randrange(5, 25)):
            at, piece = dice.randrange(300000), dice.randbytes(dice.randrange(1, 70000))
            what = dice.randrange(4)
            if what == 0:
                f.truncate(at)
                mirror = mirror[:at] + bytes(max(0, at - len(mirror)))
            elif what == 1 and maps and len(mirror) > at:
                with mmap.mmap(f.fileno(), len(mirror)) as m:
                    piece = piece[:len(mirror) - at]
                    m[at:at + len(piece)] = piece
                    m.flush()
                mirror[at:at + len(piece)] = piece
            else:
                expect(os.pwrite(f.fileno(), piece, at) == len(piece), "a short write")
                mirror += bytes(max(0, at - len(mirror)))
                mirror[at:at + len(piece)] = piece
        os.unlink(path)
        os.fsync(f.fileno())
        expect(os.pread(f.fileno(), len(mirror) + 1, 0) == mirror, "a file in pieces")


def attributes():
    path, value = f"{own}/attributes", dice.randbytes(200)
    with open(path, "wb") as f:
        f.write(b"x" * 1000)
    os.chmod(path, 0o604)
    os.utime(path, ns=(5 * 10**9, 7 * 10**9 + 123))
    os.setxattr(path, "user.soak", value)
    st = os.stat(path)
    expect((st.st_mode & 0o7777, st.st_size, st.st_mtime_ns) == (0o604, 1000, 7 * 10**9 + 123), "attributes")
    expect(os.getxattr(path, "user.soak") == value and os.listxattr(path) == ["user.soak"], "extended attributes")
    os.removexattr(path, "user.soak")
    expect(not os.listxattr(path), "an attribute that was removed")
    os.unlink(path)


def mistakes():
    for what, error in ((lambda: os.stat(f"{own}/absent"), FileNotFoundError), (lambda: os.mkdir(own), FileExistsError),
                        (lambda: os.rmdir(common), OSError), (lambda: os.listdir(f"{common}/log"), NotADirectoryError)):
        try:
            what()
        except error:
            continue
        expect(False, "a mistake that went well")


def count():
    """Only the lock keeps the guests from losing counts. Who opens the file sees what is in it then."""
    with open(f"{common}/lock", "r+b") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        with open(f"{common}/counter", "r+b", buffering=0) as f:
            n = int(f.read(20)) + 1
            f.seek(0)
            f.write(b"%020d" % n)
        fcntl.lockf(lock, fcntl.LOCK_UN)
    done["counted"] += 1


def append():
    with open(f"{common}/log", "ab", buffering=0) as f:
        f.write(b"%d %20d\n" % (ident, done["appended"]))
    done["appended"] += 1


steps = trees, names, pieces, attributes, mistakes, count, append
end = time.monotonic() + seconds
while time.monotonic() < end:
    dice.choice(steps)()
    done["steps"] += 1
print(json.dumps(done))
