#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Finds the few steps of a random run that show a difference between a local directory and a share.

usage: shrink.py MODE SEED STEPS      with the environment of run.sh

Steps depend on the seed and their number alone, so any of them can be left out. A round tries all runs that lack one
part of the steps, in one guest; the first that still differs is what the next round cuts. Prints the steps and both outputs.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
STEP = re.compile(r"^\S+ \d+: (step (\d+) .*)$")


def run_all(mode, seed, steps, candidates):
    """For each list of steps: what the local directory and the share gave, as lists of lines."""
    work = tempfile.mkdtemp(prefix="colofs-shrink.")
    os.chmod(work, 0o755)
    script = ""
    for side in "local", "share":
        os.makedirs(f"{work}/{side}/work")
        shutil.copy(os.environ["SEMANTICS"], f"{work}/{side}/semantics")
        for i, chosen in enumerate(candidates):
            with open(f"{work}/{side}/only{i}", "w") as f:
                f.write("\n".join(map(str, chosen)) + "\n")
    for i in range(len(candidates)):
        script += (
            f"mkdir work/{i}; ./semantics --random work/{i} --seed={seed} --steps={steps} --only=$PWD/only{i} >out{i} 2>&1\n"
        )
    subprocess.run(["bash", "-c", script], cwd=f"{work}/local", check=False)
    guest = f'. {HERE}/lib.sh; rmdir "$T"; T={work}; KEEP=1; in_guest {mode} {chr(39)}{script}{chr(39)}'
    subprocess.run(["bash", "-c", guest], check=False, stdout=subprocess.DEVNULL)
    out = [[open(f"{work}/{side}/out{i}", errors="replace").read().splitlines() for side in ("local", "share")]
           for i in range(len(candidates))]
    shutil.rmtree(work)
    return out


def first_difference(pair):
    """The number of the last step made when the two sides first differ, or None."""
    step = -1
    for here, there in zip(*pair):
        match = STEP.match(here)
        step = int(match[2]) if match else step
        if here != there:
            return step
    return None if len(pair[0]) == len(pair[1]) else step


def main(mode, seed, steps):
    chosen = list(range(int(steps)))
    pair = run_all(mode, seed, steps, [chosen])[0]
    if not any(map(STEP.match, pair[0])):
        sys.exit("no steps were made: " + " ".join(pair[0][:1]))
    at = first_difference(pair)
    if at is None:
        print("no difference")
        return 0
    # A difference that a final look shows may need every step; else nothing behind it matters.
    chosen, parts = chosen[: at + 1] if at >= 0 else chosen, 2
    while len(chosen) > 1:
        size = -(-len(chosen) // parts)
        candidates = [chosen[:i] + chosen[i + size:] for i in range(0, len(chosen), size)]
        results = run_all(mode, seed, steps, candidates)
        still = next((i for i, r in enumerate(results) if first_difference(r) is not None), None)
        if still is not None:
            chosen, pair, parts = candidates[still], results[still], max(parts - 1, 2)
        elif size == 1:
            break
        else:
            parts = min(parts * 2, len(chosen))
        print(f"{len(chosen)} steps", file=sys.stderr)
    print("steps:", *chosen)
    for here, there in zip(*pair):
        print(f"  {here}" if here == there else f"- {here}\n+ {there}")
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))
