#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What bench/guest has a guest do, and how long it takes. As root, in a guest; it is told what to do line by line:
# "ROW" prepares one and answers "ready", "go" does it, with nothing in the guest's cache, and answers "ROW NUMBER UNIT", us or
# KiB/s, and "end".
# usage: guest-work.sh INPUTS DIR MIB
#   INPUTS: tree.tar, repo.git, project/ ; DIR: an empty directory on the file system to measure; MIB: size of the file for fio
set -eu
inputs=$1 dir=$2 mib=$3
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 HOME=/root

# begin: the row is prepared; returns when it shall be done. The host writes back meanwhile what earlier rows left.
begin() {
	local word
	sync
	echo 3 >/proc/sys/vm/drop_caches
	echo ready
	read -r word
	[ "$word" = go ]
}

# timed ROW COMMAND...: its seconds.
timed() {
	local row=$1 from to
	shift
	begin
	from=$EPOCHREALTIME
	"$@" </dev/null >/dev/null
	to=$EPOCHREALTIME
	echo "$row $((${to/./} - ${from/./})) us"
}

# fio_row ROW OPTION...: MiB a second as fio counts them (KiB in fields 7, reading, and 48, writing).
fio_row() {
	local row=$1
	shift
	begin
	fio --name=x --directory="$dir" --filename=fio.data --size="${mib}M" --thread --output-format=terse --terse-version=3 "$@" </dev/null |
		awk -F';' -v row="$row" 'NF > 48 && $7 + $48 { print row, $7 + $48, "KiB/s" }'
}

few="--io_size=$((mib / 8))M --randseed=1"
unpack() { tar -xf "$inputs/tree.tar"; }
pack() { tar -cf - tree | cat; }
walk() { find tree -printf '%s %p\n'; }
clone() { git clone -q --no-hardlinks "$inputs/repo.git" clone; }
status() { git -C clone status --porcelain; }
has_file() { [ "$(stat -c %s fio.data 2>/dev/null)" = $((mib << 20)) ] || head -c "${mib}M" /dev/zero >fio.data; }
has_tree() { [ -d tree ] || unpack; }
has_clone() { [ -d clone ] || clone; }
build() { cp -r "$inputs/project" . && make -s -j2 -C project; }
remove() { rm -r tree; }

cd "$dir"
while read -r row; do
	case $row in *-read-* | rand-* | mmap-*) has_file ;; esac
	case $row in
	seq-write-1m) rm -f fio.data; fio_row $row --rw=write --bs=1M ;;
	seq-read-1m) fio_row $row --rw=read --bs=1M ;;
	seq-read-4k) fio_row $row --rw=read --bs=4k ;;
	rand-read-4k) fio_row $row --rw=randread --bs=4k $few ;;
	rand-write-4k) fio_row $row --rw=randwrite --bs=4k $few ;;
	rand-read-1m) fio_row $row --rw=randread --bs=1M ;;
	direct-read-4k) fio_row $row --rw=randread --bs=4k --direct=1 $few ;;
	mmap-read-4k) fio_row $row --rw=randread --bs=4k --ioengine=mmap $few ;;
	mmap-write-4k) fio_row $row --rw=randwrite --bs=4k --ioengine=mmap $few --end_fsync=1 ;;
	untar) rm -rf tree; timed $row unpack ;;
	tar) has_tree; timed $row pack ;;
	find) has_tree; timed $row walk ;;
	git-clone) rm -rf clone; timed $row clone ;;
	git-status) has_clone; timed $row status ;;
	make-j2) rm -rf project; timed $row build ;;
	rm-r) has_tree; timed $row remove ;;
	*)
		echo "no such row: $row" >&2
		exit 2
		;;
	esac
	echo end
done
