# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# Guests that do as they are told while they run: the share carries the commands. Source it after lib.sh.
# Needs $D, the shared directory; start_daemon comes before guest_start.

one_cpu

# guest_start NAME: a User-Mode Linux guest on the daemon NAME, with the share at /mnt.
guest_start() {
	local name=$1
	cat >"$T/$name.guest" <<-END
		#!/bin/sh
		mount -t virtiofs share /mnt || exit 1
		n=0
		while n=\$((n + 1)); do
			while ! [ -e /mnt/.$name.\$n.go ]; do sleep 0.03; done
			cp /mnt/.$name.\$n /tmp/command
			sh /tmp/command >/tmp/out 2>&1
			echo \$? >/tmp/status
			if ! grep -q ' /mnt virtiofs' /proc/mounts; then mount -t virtiofs share /mnt || exit 1; fi
			cp /tmp/out /mnt/.$name.\$n.out
			mv /tmp/status /mnt/.$name.\$n.status
		done
	END
	run_uml "$name" "$T/$name.guest" "$T/$name.sock" &
	pids+=($!)
	declare -g "sent_$name=0"
	on "$name" true || fail "guest $name does not come up"
}

# on NAME COMMAND...: runs it in the guest; output and status are its.
on() {
	local name=$1 n i f
	shift
	n=sent_$name
	declare -g "$n=$((${!n} + 1))"
	f=$D/.$name.${!n}
	echo "cd /mnt; $*" >"$f"
	: >"$f.go"
	for ((i = 0; i < 1200; i++)); do
		if [ -s "$f.status" ]; then
			cat "$f.out"
			return "$(cat "$f.status")"
		fi
		sleep 0.05
	done
	fail "guest $name does not answer to: $*"
}

# guest_kill NAME: like a crash of the virtual machine.
guest_kill() {
	local p
	for p in $(pgrep -f "virtio_uml.device=$T/$1.sock:26"); do kill -9 "$p" 2>/dev/null || true; done
}

# soon COMMAND...: it succeeds within ten seconds.
soon() {
	local i
	for ((i = 0; i < 100; i++)); do
		if "$@"; then return; fi
		sleep 0.1
	done
	return 1
}
