#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# `colofs upgrade`: finds the daemon whatever it was started with, says how it went, and names what is wrong.
. "$(dirname "$0")/lib.sh"
: "${COLOFS:?names the command}"
S=--shared-dir=share

# upgrades WHAT: it says so, and the process that was started is the same, with others below it
upgrades() {
	_server=$(worker_of "$pid")
	"$COLOFS" upgrade "$1" >log.answer 2>&1 || fail "colofs upgrade $1: status $?"
	grep -q '^upgraded in [0-9]* ms, queue paused [0-9]* ms$' log.answer || fail "colofs upgrade $1: says no times"
	[ -n "$(worker_of "$pid")" ] && [ "$(worker_of "$pid")" != "$_server" ] || fail "colofs upgrade $1: the same process serves"
}

# says STATUS WORDS ARG...: one line on standard error
says() {
	_status=$1 _words=$2
	shift 2
	timeout 60 "$COLOFS" upgrade "$@" >log.out 2>log.err
	_got=$?
	[ $_got = "$_status" ] || fail "colofs upgrade $*: status $_got"
	[ ! -s log.out ] && [ "$(wc -l <log.err)" = 1 ] || fail "colofs upgrade $*: not one line"
	grep -qF -e "$_words" log.err || fail "colofs upgrade $*: does not say '$_words'"
}

if [ "$(id -u)" = 0 ]; then modes="namespace chroot none"; else modes=none; fi
for mode in $modes; do
	start $S --socket-path=s --sandbox=$mode
	upgrades s
	upgrades "$dir/./s"
	upgrades "$pid"
	upgrades "$(worker_of "$pid")" # of the same daemon
	[ "$(cat s.pid)" = "$pid" ] || fail "$mode: another pid file"
	refused s.pid "in use by process $pid" $S --socket-path=s
	kids=$(descendants_of "$pid")
	stop TERM
	[ "$status" = 0 ] && [ ! -e s ] && [ ! -e s.pid ] || fail "$mode: the end after an upgrade: status $status, left $(ls)"
	for k in $kids; do gone "$k" || fail "$mode: $k is still there"; done

	start $S --socket-path=s --sandbox=$mode
	upgrades s
	kids=$(descendants_of "$pid")
	kill -KILL "$pid"
	wait "$pid" 2>/dev/null
	for k in $kids; do until_true 5 gone "$k" || fail "$mode: SIGKILL left $k"; done
	rm -f s s.pid

	start $S --socket-path=s --sandbox=$mode --no-recover
	says 125 "--no-recover" s
	kill -USR2 "$pid"
	stop TERM
	[ "$status" = 0 ] || fail "$mode: --no-recover: SIGUSR2 ends it: status $status"
done

"$COLOFSD" ${COLOFSD_ARGS:-} $S --socket-path=s --daemonize >log 2>&1 || fail "--daemonize: status $?"
pid=$(cat s.pid)
started="$started $pid"
upgrades s
kill -TERM "$pid"
until_true 5 gone "$pid" || fail "--daemonize: still there"

# Of two daemons with the same relative name, and one whose socket is gone, the one that is meant.
mkdir one two
cd one && start --shared-dir=../share --socket-path=s && one=$pid && cd ..
cd two && start --shared-dir=../share --socket-path=s && mv s moved && start --shared-dir=../share --socket-path=s --pid-file=p && cd ..
two=$pid
idle=$(worker_of "$one")
upgrades two/s
[ "$(worker_of "$one")" = "$idle" ] || fail "another daemon was upgraded"
idle=$(worker_of "$two")
pid=$one
upgrades one/s
(cd one && "$COLOFS" upgrade s >../log.answer) || fail "a relative name: status $?"
[ "$(worker_of "$two")" = "$idle" ] || fail "another daemon was upgraded"
for pid in $started; do kill -TERM "$pid" 2>/dev/null; done
wait

# A program that is not there any more; and one that is again.
cp "$COLOFSD" installed 2>/dev/null
COLOFSD="$dir/installed" start $S --socket-path=s
rm installed
says 1 "cannot be run: No such file" s
cp "$COLOFSD" installed
upgrades s
stop TERM

# In another network namespace, where the answer has to come from.
if [ "$(id -u)" = 0 ] && unshare -n true 2>/dev/null; then
	rm -f log
	unshare -n "$COLOFSD" ${COLOFSD_ARGS:-} $S --socket-path=s >log 2>&1 &
	pid=$!
	started="$started $pid"
	until_true 10 grep -q 'info: serving' log || fail "it does not start in another network namespace"
	upgrades "$pid"
	says 125 "nobody listens there" s
	stop TERM
fi

# programs LAST_LINES: the daemon is there, and what is installed by now knows how to take over, and does as it is told here
programs() {
	rm -f installed
	cp "$COLOFSD" installed
	COLOFSD="$dir/installed" start $S --socket-path=s
	rm installed
	cat >installed <<'END'
#!/usr/bin/env python3
import array, signal, socket, struct, sys
def receive(s):
    data, control, _, _ = s.recvmsg(4096, 4096)
    fds = array.array("i")
    for _, _, body in control:
        fds.frombytes(body)
    return data, fds
line = socket.socket(fileno=4)
take, fds = receive(line)
giver = socket.socket(fileno=fds[0])
open(sys.argv[0] + ".there", "w").close()
END
	printf '%s\n' "$1" >>installed
	chmod 755 installed
}

# One that has taken over and does not come to say that it is ready: it serves, as the one before has ended.
programs 'line.send(take[:4] + b"P" + take[5:])
receive(giver)
giver.send(b"F")
while struct.unpack_from("I", receive(giver)[0])[0]:
    pass
giver.send(b"S")
signal.sigwait([signal.SIGTERM])
sys.exit(7)'
upgrades s
[ "$(descendants_of "$pid" | wc -l)" = 1 ] || fail "who served is still there"
stop TERM
[ "$status" = 7 ] && [ ! -e s ] && [ ! -e s.pid ] || fail "the end of who never was ready: status $status, left $(ls)"

# One of another release, whose messages differ, says why it cannot take over.
programs 'line.send(struct.pack("=IcxHIIQ", 1, b"E", 0, 0, 0, 0) + b"another time then")'
says 1 "another time then" s
stop TERM
[ "$status" = 0 ] || fail "after another release: status $status"

# One that prepares itself while the one that serves ends: there is nothing to wait for.
programs 'sys.exit(len(receive(giver)[0]))'
rm installed.there
kill -USR2 "$pid"
until_true 10 [ -e installed.there ] || fail "the program is not run"
set -- $(child_of "$pid")
kill -KILL "$1"
until_true 10 gone "$pid" || fail "who prepares itself holds up the end"
wait "$pid"
[ ! -e s ] && [ ! -e s.pid ] || fail "the end of who serves amid an upgrade: left $(ls)"
grep -q "not upgraded: " log || fail "it does not say that there was no upgrade"

# As another user, who is the only one inside; asked by himself, as all tests are by root. Not every host allows that.
user="setpriv --reuid=65534 --regid=65534 --clear-groups"
if [ "$(id -u)" = 0 ] && $user unshare -Ur true 2>/dev/null && [ -z "${COLOFSD_ARGS:-}" ]; then
	mkdir -m 777 open
	chmod 755 .
	rm -f log
	cp "$COLOFSD" "$COLOFS" . # the build may be where others cannot look
	$user ./"${COLOFSD##*/}" $S --socket-path=open/s >log 2>&1 &
	pid=$!
	started="$started $pid"
	until_true 10 grep -q 'info: serving' log || fail "another user cannot start it"
	upgrades open/s
	$user ./"${COLOFS##*/}" upgrade open/s >log.answer 2>&1 || fail "a user's own: status $?"
	stop TERM
	[ "$status" = 0 ] || fail "user: status $status"
	start $S --socket-path=s
	chmod 777 s
	timeout 20 $user ./"${COLOFS##*/}" upgrade "$pid" >log.out 2>log.err
	[ $? = 125 ] && grep -q "be root, or the daemon's user" log.err || fail "another's daemon"
	stop TERM
fi

"$COLOFS" upgrade --help >log.out || fail "--help"
grep -q "Exit status" log.out || fail "--help says too little"
touch file
says 125 "colofs upgrade SOCKET"
says 125 "colofs upgrade SOCKET" --frob
says 125 "file is no socket" file
says 125 "nowhere cannot be found" nowhere
sleep 60 & # not this shell, which may block all signals for a moment
started="$started $!"
says 125 "no colofsd that can be upgraded" $!
says 125 "no such process" 4194304
python3 -c 'import socket; s = socket.socket(socket.AF_UNIX); s.bind("dead")'
says 125 "nobody listens there" dead
