#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# What is wrong on the command line, or with what it names, ends the start before anything is made.
. "$(dirname "$0")/lib.sh"

S=--shared-dir=share
refused --shared-dir --shared-dir=DIR
refused --socket-path --fd=N $S
refused --shared-dir=nowhere 'name a directory' --shared-dir=nowhere --socket-path=s
touch file
refused --shared-dir=file 'name one' --shared-dir=file --socket-path=s
refused --socket-path=no/s 'name a directory' $S --socket-path=no/s
refused --socket-path=file 'name another path' $S --socket-path=file
refused --socket-group=nosuchgroup groupadd $S --socket-path=s --socket-group=nosuchgroup
refused --pid-file=no/p 'name a directory' $S --socket-path=s --pid-file=no/p
mkdir s.pid
refused s.pid --pid-file $S --socket-path=s
rmdir s.pid
refused --fd=9 'inherited UNIX socket' $S --fd=9
refused --fd=0 'inherited UNIX socket' $S --fd=0 </dev/null
refused --fd 'give one of them' $S --fd=3 --socket-path=s
refused --cache=sometimes 'never, metadata, auto, always' $S --socket-path=s --cache=sometimes
refused --queues=65 'from 1 to 64' $S --socket-path=s --queues=65
refused --cach=auto 'did you mean --cache?' $S --socket-path=s --cach=auto
refused '-o cach=auto' 'did you mean --cache?' $S --socket-path=s -o cach=auto
refused --zero-message-open --cache=always $S --socket-path=s --zero-message-open
refused --modcaps=+nosuch 'capabilities(7)' $S --socket-path=s --modcaps=+nosuch
refused "--xattrmap: the rule ':map:a:b:" 'the last one' $S --socket-path=s --xattrmap=:map:a:b::ok:all:::
refused --uid-map=:0:1000: :INSIDE:OUTSIDE:COUNT: $S --socket-path=s --uid-map=:0:1000:
refused --uid-map --sandbox=namespace $S --socket-path=s --uid-map=:0:1000:1: --sandbox=chroot
refused --translate-uid=map:1:2:3:4 map:GUEST:HOST:COUNT $S --socket-path=s --translate-uid map:1:2:3:4
refused --migration-mode=somehow 'find-paths, file-handles' $S --socket-path=s --migration-mode somehow
refused share --shared-dir=DIR share
refused --cache= 'never, metadata' $S --socket-path=s --cache="so
or so"
refused --rlimit-nofile=2000000000 'may be had here' $S --socket-path=s --rlimit-nofile=2000000000
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	real=$COLOFSD
	printf '#!/bin/sh\nexec setpriv --bounding-set=-mknod -- "%s" "$@"\n' "$real" >less
	chmod +x less
	COLOFSD=./less
	refused --modcaps=+mknod 'start it with it' $S --socket-path=s --modcaps=+mknod
	COLOFSD=$real
fi
