#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# --uid-map and --gid-map: who the daemon is in its user namespace, as root and as another user.
. "$(dirname "$0")/lib.sh"

[ "$(id -u)" = 0 ] || skip "needs root"
unshare -U true 2>/dev/null || skip "this host allows no user namespaces"
S=--shared-dir=share
touch share/inside
chmod 755 .

field() { sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status"; }
map() { tr -s ' ' <"/proc/$1/$2_map" | tr '\n' ','; }
# expect WHO UID_MAP GID_MAP UIDS GIDS: of the process inside; ids as the host sees them.
expect() {
	child=$(worker_of "$pid")
	[ "$(readlink "/proc/$child/ns/user")" != "$(readlink /proc/self/ns/user)" ] || fail "$1: no user namespace"
	[ "$(map "$child" uid)" = "$2" ] || fail "$1: uid_map $(map "$child" uid)"
	[ "$(map "$child" gid)" = "$3" ] || fail "$1: gid_map $(map "$child" gid)"
	[ "$(field "$child" Uid | cut -f 1)" = "$4" ] || fail "$1: uid $(field "$child" Uid)"
	[ "$(field "$child" Gid | cut -f 1)" = "$5" ] || fail "$1: gid $(field "$child" Gid)"
	[ "$(ls "/proc/$child/root/")" = inside ] || fail "$1: the root is not the share: $(ls "/proc/$child/root/" 2>&1)"
	[ "$(field "$child" CapEff)" = 00000000880000db ] || fail "$1: capabilities $(field "$child" CapEff)"
	all=$(descendants_of "$pid")
	kill -KILL "$pid"
	wait "$pid" 2>/dev/null
	for k in $all; do until_true 5 gone "$k" || fail "$1: the daemon outlives its parent"; done
	rm -f s s.pid open/s open/s.pid
}

start $S --socket-path=s --uid-map=:0:100000:65536: --gid-map=:0:200000:65536:
expect "root, others' ids" " 0 100000 65536," " 0 200000 65536," 100000 200000
start $S --socket-path=s --uid-map :0:0:1: --uid-map=:1:100000:1000: --gid-map=/5/0/10/
expect "root as itself" " 0 0 1, 1 100000 1000," " 5 0 10," 0 0
start $S --socket-path=s --uid-map=:0:0:1:
expect "root, the group left" " 0 0 1," " 0 0 1," 0 0
start $S --socket-path=s -o uid_map=:7:100000:3:,gid_map=:7:100000:3:
expect "no root inside" " 7 100000 3," " 7 100000 3," 100000 100000

start $S --socket-path=s --uid-map=:0:100000:10:
stop TERM
[ "$status" = 0 ] && [ ! -e s ] || fail "root: end"

# Another user needs nothing to map himself, and newuidmap(1) with an entry in subuid(5) for others.
mkdir -m 777 open
other() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
other unshare -U true 2>/dev/null || skip "other users get no user namespace here"
start_other() {
	rm -f log
	setpriv --reuid=65534 --regid=65534 --clear-groups "$COLOFSD" ${COLOFSD_ARGS:-} $S --socket-path=open/s "$@" >log 2>&1 &
	pid=$!
	started="$started $pid"
	until_true 10 grep -q 'info: serving' log || fail "another user: colofsd $* did not start"
}
start_other --uid-map=:0:65534:1: --gid-map=:0:65534:1:
expect "another user as root" " 0 65534 1," " 0 65534 1," 65534 65534

# What may not be mapped ends the start, with the remedy, and leaves nothing.
other "$COLOFSD" $S --socket-path=open/s --uid-map=:0:1:1: >log.refused 2>&1 && fail "an id of others was mapped"
grep -q -e '--uid-map: newuidmap .*\(subuid\|install\)' log.refused || fail "no remedy: $(cat log.refused)"
[ "$(wc -l <log.refused)" = 1 ] || fail "not one line"
[ -z "$(ls open)" ] || fail "left: $(ls open)"

command -v newuidmap >/dev/null && command -v newgidmap >/dev/null || skip "newuidmap is missing"
name=$(getent passwd 65534 | cut -d: -f1)
unshare -m true || skip "no mount namespace"
cat >subids <<END
${name:-65534}:300000:1000
END
# In a mount namespace where that user has sub-ids; the host's files stay as they are.
cat >try <<'END'
mount --make-rprivate /
for f in subuid subgid; do
	[ -e /etc/$f ] || exit 77
	mount --bind "$1/subids" /etc/$f || exit 77
done
shift
exec setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
END
rm -f log
unshare -m sh try "$dir" "$COLOFSD" $S --socket-path=open/s --uid-map=:0:65534:1: --uid-map=:1:300000:999: --gid-map=:0:300000:1000: >log 2>&1 &
pid=$!
started="$started $pid"
until_true 10 grep -q 'info: serving' log || { grep -q . log || skip "no /etc/subuid to bind over"; fail "with newuidmap"; }
expect newuidmap " 0 65534 1, 1 300000 999," " 0 300000 1000," 65534 300000
