#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What people do with a directory, done once on the host's file system and once by a guest on the share: git, tar, make,
# rsync and thousands of small files. Contents, modes, times, links and attributes must come out the same. Arguments: options of
# the daemon, each as daemon:OPTION.
. "$(dirname "$0")/session.sh"
need git tar make cc setfattr getfattr
has_rsync=$(command -v rsync || true)
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE
export GIT_AUTHOR_DATE=@1700000000 GIT_COMMITTER_DATE=@1700000000 GIT_CONFIG_GLOBAL=/dev/null
mkdir "$D/in" "$D/guest" "$T/host"

# A tree with all that an archive keeps.
make_tree() {
	mkdir -p "$1"/{a/b/c,empty,sticky}
	chmod 1777 "$1/sticky"
	chmod 2755 "$1/a"
	echo text >"$1/a/text"
	head -c 200000 /dev/urandom >"$1/a/b/random"
	truncate -s 10M "$1/a/sparse"
	printf end >>"$1/a/sparse"
	ln "$1/a/text" "$1/a/b/c/hard"
	ln -s ../text "$1/a/b/link"
	ln -s /nowhere "$1/dangling"
	mkfifo "$1/fifo"
	printf x >"$1/"$'odd \xff\n name'
	chmod 4711 "$1/a/text"
	chown 12:34 "$1/a/b/random"
	setfattr -n user.attr -v value "$1/a/text"
	mkdir -p "$1"/modules/p{0..19}/lib
	(cd "$1/modules/p0/lib" && seq -f "index %g" 100 | split -l 1 -a 3 - m)
	for d in "$1"/modules/p*/lib; do cp "$1"/modules/p0/lib/* "$d" 2>/dev/null; done
	find "$1" -exec touch -h -d @1234567890.123456789 {} +
}

# A repository with two branches, and a C project in it.
make_repo() {
	git init -q -b main "$1"
	(
		cd "$1" || exit 1
		git config user.email a@example.org
		git config user.name a
		mkdir src
		printf 'OBJ = $(patsubst %%,src/f%%.o,1 2 3 4 5 6)\nprog: $(OBJ) src/main.o\n\t$(CC) -o $@ $^\n' >Makefile
		for i in 1 2 3 4 5 6; do echo "int f$i(void){return $i;}" >src/f$i.c; done
		echo 'int f6(void); int main(void){return f6()-6;}' >src/main.c
		git add -A && git commit -qm one
		git checkout -qb other
		git mv src/f1.c src/g1.c && git rm -q src/f2.c && ln -s src link && chmod +x Makefile
		git add -A && git commit -qm two
		git checkout -q main
	)
}

# The work itself. $1: where; inputs are in $2.
work() {
	cd "$1" || return
	tar --xattrs --xattrs-include='*' -xpf "$2/tree.tar" && tar --xattrs -cf again.tar tree
	git clone -q "$2/repo" clone && cd clone && git checkout -q other && git status --porcelain &&
		git checkout -q main && git status --porcelain && git gc -q --prune=now && git fsck --full 2>/dev/null
	make -s -j2 2>&1 | grep -v "modification time\|skew"; ./prog && git status --porcelain && cd ..
	rm -rf tree/modules/p1* && touch -r tree/a tree/modules && cp -a tree/a copy
	[ -z "$3" ] || { rsync -aHAX --numeric-ids tree/ rsynced/ && rsync -aHAX --numeric-ids --checksum --itemize-changes tree/ rsynced/; }
	find . -type f | wc -l
}

# All that is to be the same. Not: inode numbers, sizes of directories, the index and packs of git.
describe() {
	cd "$1" || return
	find . -name .git -prune -o -printf '%P %y %m %U %G %n %l ' \( -type f ! -path './clone/*' ! -name '*.tar' -printf '%s %T@ \n' -o -printf '\n' \) | LC_ALL=C sort
	find tree copy -printf '%P %T@ %y\n' | LC_ALL=C sort
	find . -name .git -prune -o -type f ! -name prog ! -name '*.tar' ! -name '*.o' -print0 | LC_ALL=C sort -z | xargs -0 md5sum
	find . -name .git -prune -o -type f -size +1M -printf '%P %b\n' | LC_ALL=C sort
	getfattr -R -d -m user. tree copy 2>/dev/null | LC_ALL=C sort
	git -C clone log --format='%H %T' --all
	tar -tvf again.tar --full-time | LC_ALL=C sort
}

make_tree "$T/tree"
tar -C "$T" --xattrs -cf "$D/in/tree.tar" tree
make_repo "$D/in/repo"
(work "$T/host" "$D/in" "$has_rsync") >"$T/host.said" 2>&1
session_limit=300
session_start daemon:--xattr "$@"
g "$(declare -f work); export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*'; (work /mnt/guest /mnt/in '$has_rsync')" >"$T/guest.said"
same "what the programs said" "$(cat "$T/host.said")" "$(cat "$T/guest.said")"
# What two descriptions differ in.
differ() {
	diff <(printf '%s\n' "$1") <(printf '%s\n' "$2") | cat -v | head -n 20
}
guest_view=$(g "$(declare -f describe); (describe /mnt/guest)")
same "host's and local" "" "$(differ "$(describe "$T/host")" "$(describe "$D/guest")")"
same "host's and guest's view" "" "$(differ "$(describe "$D/guest")" "$guest_view")"
listing='find . ! -type d -ls | LC_ALL=C sort -k 11'
same "find -ls" "" "$(differ "$(cd "$D/guest" && eval "$listing")" "$(g "cd /mnt/guest && $listing")")"
session_end
verdict
