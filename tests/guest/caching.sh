#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What the host changes under a guest that has it cached: `never` shows it at once, `auto` within its second, `always`
# when the guest drops its caches; and never is ESTALE the answer. First argument: the mode, with `-handles` behind it
# for a daemon that may not keep a descriptor for each inode.
. "$(dirname "$0")/session.sh"
mode=${1%-handles}
options=("daemon:--cache=$mode")
[ "$mode" != never ] || options+=(daemon:--allow-mmap)

# Waits until the mode promises the truth.
settle() {
	# So many inodes come by that descriptors are taken back.
	[ ! -d "$D/.crowd" ] || g 'ls -l /mnt/.crowd >/dev/null; cat /mnt/.crowd/*'
	case $mode in
	auto) sleep 1.05 ;;
	always) g 'echo 3 >/proc/sys/vm/drop_caches' ;;
	esac
}

names() {
	echo one >"$D/renamed"
	echo old >"$D/recreated"
	echo gone >"$D/deleted"
	echo file >"$D/to-dir"
	mkdir -p "$D/to-file" "$D/dir/sub" "$D/replaced" "$D/a/b/c"
	echo x >"$D/dir/sub/f"
	echo first >"$D/replaced/f"
	echo deep >"$D/a/b/c/f"
	ln -s renamed "$D/link"
	echo long-contents >"$D/truncated"
	echo hard >"$D/hard1"
	g 'cat renamed recreated deleted to-dir dir/sub/f replaced/f a/b/c/f link truncated hard1; ls -lR; stat no-such-name' >/dev/null
	mv "$D/renamed" "$D/new-name"
	rm "$D/recreated" "$D/deleted" "$D/to-dir" "$D/link"
	echo new >"$D/recreated"
	mkdir "$D/to-dir"
	rmdir "$D/to-file"
	echo now-a-file >"$D/to-file"
	mv "$D/dir" "$D/moved"
	mv "$D/replaced" "$D/replaced.old"
	mkdir "$D/replaced"
	echo second >"$D/replaced/f"
	mv "$D/a/b" "$D/b"
	mv "$D/a" "$D/b/c/a"
	ln -s new-name "$D/link"
	: >"$D/truncated"
	chmod 600 "$D/new-name"
	touch -d @1000000000 "$D/new-name"
	ln "$D/hard1" "$D/hard2"
	echo here >"$D/no-such-name"
	settle
	like "renamed: the old name" "*No such file*" 'cat renamed'
	is "renamed: the new name" one 'cat new-name'
	is "chmod and times" "600 1000000000" 'stat -c "%a %Y" new-name'
	is "deleted and made anew" new 'cat recreated'
	like "deleted" "*No such file*" 'cat deleted'
	is "a file that became a directory" directory 'stat -c %F to-dir; touch to-dir/f'
	is "a directory that became a file" now-a-file 'cat to-file'
	like "a moved directory: its old name" "*No such file*" 'cat dir/sub/f'
	is "a moved directory: its new name" x 'cat moved/sub/f'
	is "a replaced directory" second 'cat replaced/f'
	is "the replaced one" first 'cat replaced.old/f'
	is "parents moved" deep 'cat b/c/f'
	is "a parent that became a child" a 'ls -d b/c/a >/dev/null && cd b/c/a && pwd -P | xargs basename; cd /mnt'
	is "a symlink that points elsewhere" one 'cat link'
	is "truncated" "0 " 'echo "$(stat -c %s truncated) $(cat truncated)"'
	is "a hard link more" 2 'stat -c %h hard1'
	is "a name that was not there" here 'cat no-such-name'
	is "the listing" "$(ls -R "$D")" 'ls -R . | sed "1s/.*/'"${D//\//\\/}"':/;s,^\./,'"$D"'/,"'
	rm -rf "${D:?}"/*
	settle
	is "all is gone" "" 'ls'
}

# Files that the guest holds open stay what they are.
open_files() {
	echo kept >"$D/unlinked"
	echo kept2 >"$D/replaced"
	echo kept3 >"$D/moved"
	mkdir "$D/d"
	g 'cat unlinked replaced moved >/dev/null; exec 5<>unlinked 6<replaced 7<>moved 8<d' >/dev/null
	rm "$D/unlinked"
	echo other >"$D/replaced.new"
	mv "$D/replaced.new" "$D/replaced"
	mkdir "$D/into"
	mv "$D/moved" "$D/into/moved"
	settle
	is "unlinked and open: read" kept 'cat <&5'
	is "unlinked and open: write and fstat" 10 'echo more >&5; stat -L -c %s /proc/self/fd/5'
	is "unlinked and open: chmod and truncate" "640 3" 'chmod 640 /proc/self/fd/5; truncate -s 3 /proc/self/fd/5; stat -L -c "%a %s" /proc/self/fd/5'
	is "replaced and open" kept2 'cat <&6'
	# With --cache=always an open file's name stays cached too.
	[ "$mode" = always ] || is "what replaced it" other 'cat replaced'
	is "moved and open" "kept3" 'cat <&7; echo tail >&7'
	same "what was written after the move" "kept3 tail" "$(paste -sd' ' "$D/into/moved")"
	rmdir "$D/d"
	is "a directory that was removed and is open" "" 'ls -A /proc/self/fd/8'
	g 'exec 5>&- 6>&- 7>&- 8>&-' >/dev/null
	rm -rf "${D:?}"/*
	settle
}

working_directory() {
	mkdir -p "$D/w/x/y"
	echo in-y >"$D/w/x/y/f"
	g 'cd w/x/y; cat f' >/dev/null
	mv "$D/w/x" "$D/elsewhere"
	settle
	is "the working directory's parent moved" in-y 'cat f'
	is "its parent" y 'ls ..'
	is "made there" made 'echo made >g; cat /mnt/elsewhere/y/g'
	same "the host sees it" made "$(cat "$D/elsewhere/y/g" 2>&1)"
	rm -rf "$D/elsewhere"
	settle
	# Where the daemon had to give the descriptor back, nothing is left of a removed directory that nobody has open.
	[ -d "$D/.crowd" ] || like "the working directory was removed" "*No such file*" 'cat f'
	[ -d "$D/.crowd" ] || like "nothing can be made there" "*No such file*" 'echo x >h'
	is "and out of it" /mnt 'cd /mnt; pwd -P'
}

# Contents: what the host writes is read, whoever has the file open.
contents() {
	echo aaaa >"$D/data"
	g 'exec 5<data; cat data' >/dev/null
	echo bbbb >"$D/data"
	settle
	[ "$mode" = always ] && g 'exec 5<&-; echo 3 >/proc/sys/vm/drop_caches; exec 5<data' >/dev/null
	is "contents that the host wrote" bbbb 'cat data'
	is "by an open file" bbbb 'cat <&5'
	is "the host appends" "bbbb" 'cat data'
	echo cccc >>"$D/data"
	settle
	[ "$mode" = always ] || is "more was appended" cccc 'cat <&5'
	g 'exec 5<&-' >/dev/null
	settle
	is "all of it" "bbbb cccc" 'paste -sd" " data'
	g 'echo guest >>data' >/dev/null
	same "the host sees what the guest wrote" "bbbb cccc guest" "$(paste -sd' ' "$D/data")"
}

# Shared mappings: Linux before 6.6 has none without cache, and needs --allow-mmap then.
mappings() {
	head -c 10000 /dev/zero >"$D/mapped"
	if [ "$mode" = never ] && ! g 'printf "%s\n" 6.6 "$(uname -r)" | sort -VC'; then
		like "MAP_SHARED without cache" "*No such device*" "./.file-map shared mapped 5000 text"
		is "MAP_PRIVATE without cache" text "./.file-map private mapped 5000 text"
		return
	fi
	is "MAP_SHARED" text "./.file-map shared mapped 5000 text"
	same "the host sees what was mapped" text "$(tr -d '\0' <"$D/mapped")"
	is "MAP_PRIVATE" priv "./.file-map private mapped 5000 priv"
	same "the host does not see that" text "$(tr -d '\0' <"$D/mapped")"
}

if [ "$mode" != "$1" ]; then
	options+=(daemon:--max-cached-fds=16)
	mkdir "$D/.crowd"
	touch "$D"/.crowd/{1..60}
fi
cp "${FILE_MAP:?}" "$D/.file-map"
session_start "${options[@]}"
names
open_files
working_directory
contents
mappings
session_end
verdict
