#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What `colofs` says to wrong words: one line that names them, exit status 125, and nothing made. COLOFS names the program.
set -u
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
mkdir -p share 'a:b' sub/share
touch file
export COLOFSD=/bin/false TMPDIR=$dir
failed=0

bad() {
	echo "FAILED: $*" >&2
	failed=1
}

# refuses WORDS ARG...: colofs ARG... ends with 125, and its one line holds WORDS
refuses() {
	local words=$1 status=0
	shift
	timeout 20 "$COLOFS" "$@" >out 2>err </dev/null || status=$?
	[ $status = 125 ] || bad "colofs $*: status $status"
	[ ! -s out ] || bad "colofs $*: writes to standard output"
	[ "$(wc -l <err)" = 1 ] || bad "colofs $*: not one line: $(cat err)"
	grep -qF -e "$words" err || bad "colofs $*: does not say '$words': $(cat err)"
}

# shows WORDS ARG...
shows() {
	local words=$1
	shift
	"$COLOFS" "$@" >out 2>err || bad "colofs $*: status $?"
	[ ! -s err ] || bad "colofs $*: $(cat err)"
	grep -qF -e "$words" out || bad "colofs $*: does not show '$words'"
}

shows "colofs run" --help
shows "Examples:" run --help
shows "colofs " --version
refuses "frob: no such command" frob
refuses "no directory to share" run
refuses "no directory to share" run -- true
refuses "share 'nowhere': No such file" run nowhere
refuses "a command comes after --" run share true
refuses "share 'file': not a directory" run file
refuses "--frob: no such option" run share --frob
refuses "--at: needs a value" run share --at
refuses "--at 'mnt': give an absolute path" run share --at mnt
refuses "--at '/': give an absolute path" run share --at=/
refuses "--at '/mnt/../etc': write the path without" run share --at=/mnt/../etc
refuses "--vm 'vmware': choose uml or qemu" run share --vm vmware
refuses "--accel 'xen': choose" run share --vm=qemu --accel=xen
refuses "--accel need --vm=qemu" run share --accel=tcg
refuses "--mem '1': out of range" run share --mem 1
refuses "--mem '-1': not a size" run share --mem=-1
refuses "--mem '99999999999999999999': out of range" run share --mem=99999999999999999999
refuses "--mem '17179869185G': out of range" run share --mem=17179869185G
refuses "--mem '1GB': not a size" run share --mem=1GB
refuses "--mem '': not a size" run share --mem=
refuses "--boot-timeout '1s': give seconds" run share --boot-timeout=1s
refuses "--env 'COLOFS_UNSET': no such variable" run share --env=COLOFS_UNSET
refuses "--env '=x': give NAME=VALUE" run share --env==x
refuses "belong together" run share --kernel=x
refuses "exclude each other" run share --kernel=x --modules=y --kernel-root=z
refuses "share 'share:': a tag has 1 to 36" run share:
refuses "a tag has 1 to 36" run share:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
refuses "a tag consists of" run 'share:a/b'
refuses "a tag consists of" run "share:a b:ro"
refuses "the tag '..' cannot be used" run share:..
refuses "the tag 'colofsroot' cannot be used" run share:colofsroot
refuses "two shares have the tag 'x'" run share:x sub:x
refuses "at most 16 shares" run share share share share share share share share share share share share share share share share share
refuses "apt-get install user-mode-linux" run share --kernel-root=/nonexistent
refuses "apt-get install user-mode-linux" run 'a:b' share sub/share:other:ro --kernel-root=/nonexistent
refuses "/nonexistent/qemu: not found: apt-get install qemu-system-x86" run share --vm=qemu --qemu=/nonexistent/qemu
refuses "apt-get install linux-image-amd64" run share --vm=qemu --qemu=/bin/true --kernel-root=/nonexistent
COLOFSD=/nonexistent refuses "COLOFSD '/nonexistent': not found" run share --vm=qemu --qemu=/bin/true --kernel=file --modules=share
refuses "--daemon '/nonexistent': not found" run share --vm=qemu --qemu=/bin/true --kernel=file --modules=share --daemon=/nonexistent

refuses "a daemon has one share" run share sub --daemon-socket=s
refuses "that daemon runs already" run share --daemon-socket=s --daemon-option=--xattr

[ -z "$(find . -name 'colofs-*')" ] || bad "left behind: $(find . -name 'colofs-*')"
exit $failed
