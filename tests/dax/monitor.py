#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Gives commands to QEMU's monitor, one after the other, and prints its answers. usage: monitor.py SOCKET COMMAND..."""
import socket
import sys

PROMPT = b"(qemu) "


def answer(connection):
    got = b""
    while not got.endswith(PROMPT):
        piece = connection.recv(4096)
        if not piece:
            sys.exit("QEMU is gone")
        got += piece
    return got.decode(errors="replace")


connection = socket.socket(socket.AF_UNIX)
connection.settimeout(20)
connection.connect(sys.argv[1])
answer(connection)
for command in sys.argv[2:]:
    connection.sendall(command.encode() + b"\n")
    print(answer(connection))
