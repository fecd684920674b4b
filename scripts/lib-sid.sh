# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# Sourced by scripts that unpack packages of Debian unstable below $dir: makes "${apt[@]}", an apt-get that knows nothing but
# unstable, and $work, which goes at the end. The mirror is the one that the system has for Debian. Where it does not have
# unstable, $dir/missing says so, and the script ends.
: "${dir:?}"

targets=$(apt-get indextargets --format '$(ORIGIN) $(LABEL) $(REPO_URI)' 'Created-By: Packages')
mirror=$(awk '$1 == "Debian" && $2 == "Debian" { print $3; exit }' <<<"$targets")
[ -n "$mirror" ] || { echo "apt knows no Debian mirror; run apt-get update first" >&2; exit 1; }
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ ! -e $keyring ] || signed="[signed-by=$keyring] "

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{lists,archives}/partial "$work/root"
echo "deb ${signed-}$mirror sid main" >"$work/sources.list"
# The mirror may be that of a certain day, now long past: what it has is signed all the same.
apt=(apt-get -q -o APT::Sandbox::User=root -o Acquire::Languages=none -o APT::Update::Error-Mode=any -o Acquire::Check-Valid-Until=false
	-o Dir::State::status=/dev/null
	-o Dir::State::Lists="$work/lists" -o Dir::Cache::Archives="$work/archives" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=
	-o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=/dev/null
	-o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null)
if ! "${apt[@]}" update >"$work/log" 2>&1; then
	if grep -q "does not have a Release file" "$work/log"; then
		rm -rf "$dir"
		mkdir -p "$dir"
		echo "this machine's Debian mirror does not have unstable" >"$dir/missing"
		exit 0
	fi
	cat "$work/log" >&2
	exit 1
fi
