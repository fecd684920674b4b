#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What bench/sidebyside.py knows of a daemon's processes and its start."""
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest
import unittest.mock

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

    def test_memory(self):
        self.assertGreater(sidebyside.proportional_kib(self.process.pid), 0)
        self.process.kill()
        while "State:\tZ" not in pathlib.Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8"):
            time.sleep(0.001)
        self.assertEqual(sidebyside.proportional_kib(self.process.pid), 0)

    def test_memory_that_is_not_told(self):
        def told(path, key, first_line=sidebyside.first_line):
            return "unknown" if key == "Pss:" else first_line(path, key)
        with unittest.mock.patch.object(sidebyside, "first_line", told):
            self.assertIsNone(sidebyside.proportional_kib(self.process.pid))


class Starts(unittest.TestCase):
    def test_no_connection(self):
        """The socket is there, but takes no connection, as that of a daemon that has ended."""
        program = "import socket, sys, time; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); time.sleep(60)"
        daemon = [sys.executable, "-c", program, "{socket}"]
        with tempfile.TemporaryDirectory() as work, unittest.mock.patch.object(sidebyside, "START_S", 3):
            with self.assertRaisesRegex(RuntimeError, "one takes no connection"):
                sidebyside.start_and_rest("one", daemon, pathlib.Path(work))


if __name__ == "__main__":
    unittest.main()
