# shellcheck shell=sh disable=SC2034,SC2317
# SPDX-License-Identifier: GPL-2.0-only
#
# guest.sh - a Linux guest for shell tests: a shell on a pipe. One at a time.

kernel=/usr/lib/mshv/linux
out=/tmp/guest.out
pipe=/tmp/guest.pipe
cr=$(printf '\r')
mkfifo $pipe
# A guest that is gone hears nothing: a test that fails, and not the last one.
trap '' PIPE

# Starts a guest; its pid is in $pid, and what it says in $out.
guest() { # OPTION...
	: >$out
	mshv run --kernel $kernel --initrd $kernel.initrd -t 1100 "$@" <$pipe >>$out 2>&1 &
	pid=$!
	exec 3>$pipe
	until_true 90 heard "up, Linux" || tail -n 20 $out | tr -d '\r' | sed 's/^/# guest: /'
}

# A command in the guest. What it is to be heard with begins a line, as the echo of the command does not, and has ended:
# half a number is another one.
tell() {
	echo "$*" >&3 2>/dev/null
}

heard() { # TEXT
	grep -q "^guest: $1.*$cr\$" $out
}

until_true() { # SECONDS COMMAND...
	tries=$(($1 * 4))
	shift
	until "$@"; do
		[ $tries -gt 0 ] && [ -d "/proc/$pid" ] || return 1
		tries=$((tries - 1))
		sleep 0.25
	done
}

figure() { # WORD
	sed -n "s/^guest: $1 \\([0-9]*\\)$cr$cr*\$/\\1/p" $out | tail -n 1
}

# A number that mshv list knows of the only guest there is.
# A guest that has not answered within the two seconds that `list` waits is asked again; -1: it never does.
number() { # NAME
	local tries=0 found=
	while [ -z "$found" ] && [ $tries -lt 20 ]; do
		found=$(mshv list --json | sed -n "s/^ *\"$1\": \\([0-9]*\\),*$/\\1/p")
		tries=$((tries + 1))
	done
	echo "${found:--1}"
}
