#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Start and end: socket and pid file come and go, whatever the sandbox; nothing is left running.
. "$(dirname "$0")/lib.sh"

if [ "$(id -u)" = 0 ]; then modes="namespace chroot none"; else modes=none; fi
S=--shared-dir=share
for mode in $modes; do
	for sig in TERM INT HUP; do
		start $S --socket-path=s --sandbox=$mode
		[ -S s ] || fail "$mode: no socket"
		[ "$(stat -c %a s)" = 700 ] || fail "$mode: the socket's mode is $(stat -c %a s)"
		[ "$(cat s.pid)" = "$pid" ] || fail "$mode: the pid file has $(cat s.pid), not $pid"
		kids=$(descendants_of "$pid")
		stop $sig
		[ "$status" = 0 ] || fail "$mode: SIG$sig: exit status $status"
		[ ! -e s ] && [ ! -e s.pid ] || fail "$mode: SIG$sig: left $(ls)"
		for k in $kids; do gone "$k" || fail "$mode: SIG$sig: $k is still there"; done
		[ -z "$(ls share)" ] || fail "$mode: something was made in the share"
	done

	start $S --socket-path=s --sandbox=$mode
	refused s.pid "in use by process $pid" $S --socket-path=s
	refused --socket-path=s 'is in use' $S --socket-path=s --pid-file=other.pid
	kids=$(descendants_of "$pid")
	kill -KILL "$pid"
	wait "$pid" 2>/dev/null
	for k in $kids; do until_true 5 gone "$k" || fail "$mode: SIGKILL left $k"; done
	[ -S s ] && [ -e s.pid ] || fail "$mode: SIGKILL removed files"
	start $S --socket-path=s --sandbox=$mode # takes the place of what was left over
	[ "$(cat s.pid)" = "$pid" ] || fail "$mode: a stale pid file stays"
	stop TERM
	[ "$status" = 0 ] && [ ! -e s ] && [ ! -e s.pid ] || fail "$mode: end after a stale socket"

	start $S --socket-path=s --sandbox=$mode --pid-file=other.pid
	[ "$(cat other.pid)" = "$pid" ] && [ ! -e s.pid ] || fail "$mode: --pid-file"
	stop TERM
	[ ! -e other.pid ] || fail "$mode: --pid-file stays"

	"$COLOFSD" ${COLOFSD_ARGS:-} $S --socket-path=s --sandbox=$mode --daemonize >log 2>&1 || fail "$mode: --daemonize: status $?"
	[ -S s ] || fail "$mode: --daemonize came back before the socket was there"
	pid=$(cat s.pid)
	started="$started $pid"
	kill -TERM "$pid"
	until_true 5 gone "$pid" || fail "$mode: --daemonize: still there"
	[ ! -e s ] && [ ! -e s.pid ] || fail "$mode: --daemonize: left $(ls)"
	refused --queues=0 'from 1' $S --socket-path=s --daemonize --queues=0
done

# Started by somebody who ignores the ends of his children.
for mode in $modes; do
	rm -f log
	env --ignore-signal=CHLD "$COLOFSD" ${COLOFSD_ARGS:-} $S --socket-path=s --sandbox=$mode >log 2>&1 &
	pid=$!
	started="$started $pid"
	until_true 10 grep -q 'info: serving' log || fail "$mode: SIGCHLD is ignored: does not start"
	[ "$(cat s.pid)" = "$pid" ] || fail "$mode: SIGCHLD is ignored: another process"
	kids=$(descendants_of "$pid")
	kill -TERM "$pid"
	until_true 10 gone "$pid" || fail "$mode: SIGCHLD is ignored: it does not end"
	wait "$pid" || fail "$mode: SIGCHLD is ignored: status $?"
	[ ! -e s ] && [ ! -e s.pid ] || fail "$mode: SIGCHLD is ignored: left $(ls)"
	for k in $kids; do gone "$k" || fail "$mode: SIGCHLD is ignored: $k is still there"; done
done

# A group of ours.
group=$(id -gn)
start $S --socket-path=s --socket-group="$group" --sandbox=none
[ "$(stat -c '%a %G' s)" = "770 $group" ] || fail "--socket-group: $(stat -c '%a %G' s)"
stop TERM

# The service manager.
python3 - "$COLOFSD" <<'PY' || fail "READY and STOPPING"
import os, signal, socket, subprocess, sys
modes = ("namespace", "chroot", "none") if os.getuid() == 0 else ("none",)
for name in ("./notify", "\0colofs-test-%d" % os.getpid()):
    n = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    path = os.path.abspath(name) if name[0] == "." else name
    n.bind(path)
    n.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    n.settimeout(10)
    for mode in modes:
        env = dict(os.environ, NOTIFY_SOCKET=path.replace("\0", "@"))
        p = subprocess.Popen([sys.argv[1], "--shared-dir=share", "--socket-path=s", "--sandbox=" + mode] +
                             os.environ.get("COLOFSD_ARGS", "").split(), env=env,
                             stderr=subprocess.DEVNULL)
        def heard():
            data, anc, _, _ = n.recvmsg(100, 100)
            return data, int.from_bytes(anc[0][2][:4], sys.byteorder)
        assert heard() == (b"READY=1", p.pid), mode
        p.terminate()
        assert heard() == (b"STOPPING=1", p.pid), mode
        assert p.wait(10) == 0
PY
