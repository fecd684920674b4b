#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What bench/sidebyside.py knows of a daemon's processes."""
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))
import sidebyside  # noqa: E402

SPENT_S = 0.2
# Spends that in a thread, which ends, and then waits for the end of its input.
SPENDER = f"""
import threading, time
def spend():
    while time.thread_time() < {SPENT_S}: pass
thread = threading.Thread(target=spend)
thread.start()
thread.join()
print(flush=True)
input()
"""


class Sessions(unittest.TestCase):
    def setUp(self):
        self.process = subprocess.Popen([sys.executable, "-c", SPENDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, start_new_session=True)
        self.addCleanup(self.process.communicate)
        self.process.stdout.readline()

    def test_ended_thread(self):
        self.assertGreaterEqual(sidebyside.cpu_seconds(self.process.pid), SPENT_S)


if __name__ == "__main__":
    unittest.main()
