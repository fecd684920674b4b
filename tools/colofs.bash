# SPDX-License-Identifier: BSD-3-Clause
# Completion of colofs for bash. Behind `--` the words are a command's.

_colofs() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} i
	local options="--at --vm --mem --env --daemon --daemon-option --daemon-socket --kernel --modules --kernel-root --qemu --accel \
		--boot-timeout --verbose --help"

	COMPREPLY=()
	if [ "$COMP_CWORD" = 1 ]; then
		mapfile -t COMPREPLY < <(compgen -W "run upgrade --help --version" -- "$cur")
		return
	fi
	if [ "${COMP_WORDS[1]}" = upgrade ]; then
		mapfile -t COMPREPLY < <(compgen -f -W --help -- "$cur")
		return
	fi
	for ((i = 2; i < COMP_CWORD; i++)); do
		if [ "${COMP_WORDS[i]}" = -- ]; then
			mapfile -t COMPREPLY < <(compgen -c -- "$cur")
			return
		fi
	done
	if [ "$prev" = = ] && [ "$COMP_CWORD" -gt 2 ]; then
		prev=${COMP_WORDS[COMP_CWORD - 2]}
	elif [ "$cur" = = ]; then
		cur=""
	fi
	case $prev in
	--vm) mapfile -t COMPREPLY < <(compgen -W "uml qemu" -- "$cur") ;;
	--accel) mapfile -t COMPREPLY < <(compgen -W "auto kvm tcg" -- "$cur") ;;
	--daemon | --daemon-socket | --kernel | --qemu) mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
	--env) mapfile -t COMPREPLY < <(compgen -e -- "$cur") ;;
	--mem | --boot-timeout | --daemon-option) ;;
	*)
		case $cur in
		-*) mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur") ;;
		*) mapfile -t COMPREPLY < <(compgen -d -- "$cur") ;;
		esac
		;;
	esac
}
complete -o filenames -F _colofs colofs
