#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A service manager as systemd is one to a daemon: listens for it, passes the socket on, hears what it says, starts it again.
usage: manager.py COLOFSD ARG...      in a directory that holds a directory named share"""
import os
import signal
import socket
import struct
import sys

SHARE = ["--shared-dir=share"]
GET_FEATURES = struct.pack("<III", 1, 1, 0)


class Manager:
    def __init__(self):
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind("listening")
        self.listening.listen(1)
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind("notify")
        self.notify.settimeout(20)

    def start(self, *args, fds=1, **environment):
        """Starts the daemon; its pid."""
        pid = os.fork()
        if pid:
            return pid
        try:
            os.environ.update(environment, NOTIFY_SOCKET=os.path.abspath("notify"), LISTEN_FDS=str(fds), LISTEN_PID=str(os.getpid()))
            listening = os.dup(self.listening.fileno())
            for fd in range(3, 3 + fds):
                os.dup2(listening, fd)
                os.set_inheritable(fd, True)
            os.execv(sys.argv[1], sys.argv[1:] + list(args))
        finally:
            os._exit(99)

    def hears(self, word):
        """Waits for the word; others that come before it are heard, too."""
        heard = []
        while word not in heard:
            heard.append(self.notify.recv(4096).decode())
        return heard

    def ends(self, pid, status):
        got = os.waitpid(pid, 0)[1]
        assert got == status << 8, f"wait status {got}"


def served(path):
    """A front-end's first question is answered."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(20)
        s.connect(path)
        s.sendall(GET_FEATURES)
        answer = s.recv(20)
        return len(answer) == 20 and answer[:4] == GET_FEATURES[:4]


m = Manager()
modes = ("namespace", "none") if os.getuid() == 0 else ("none",)
for mode in modes:
    for _ in range(2):  # started again, by the same socket
        pid = m.start(*SHARE, "--sandbox=" + mode)
        assert m.hears("READY=1") == ["READY=1"]
        assert served("listening"), mode
        os.kill(pid, signal.SIGTERM)
        assert m.hears("STOPPING=1") == ["STOPPING=1"]
        m.ends(pid, 0)
        assert os.path.exists("listening")

    # The daemon is alive, also while nobody asks anything of it, for whom it asks.
    pid = m.start(*SHARE, "--sandbox=" + mode, WATCHDOG_USEC="100000")
    m.hears("READY=1")
    for _ in range(5):
        m.hears("WATCHDOG=1")
    os.kill(pid, signal.SIGTERM)
    m.hears("STOPPING=1")
    m.ends(pid, 0)
    pid = m.start(*SHARE, "--sandbox=" + mode, WATCHDOG_USEC="1000", WATCHDOG_PID="1")
    m.hears("READY=1")
    os.kill(pid, signal.SIGTERM)
    assert m.hears("STOPPING=1") == ["STOPPING=1"], "a watchdog of somebody else's"
    m.ends(pid, 0)

# What the command line names comes first; and which one of two sockets would it be?
pid = m.start(*SHARE, "--sandbox=none", "--socket-path=named")
m.hears("READY=1")
assert served("named")
os.kill(pid, signal.SIGTERM)
m.hears("STOPPING=1")
m.ends(pid, 0)
m.ends(m.start(*SHARE, "--sandbox=none", fds=2), 2)
