# shellcheck shell=sh disable=SC2034,SC2317
# SPDX-License-Identifier: GPL-2.0-only
#
# linux_common.sh - a Linux guest for shell tests that runs one command and switches off.

kernel=/usr/lib/mshv/linux
out=/tmp/linux.out
n=0 bad=0 why=

report() { # GOOD WHAT
	n=$((n + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $n - $2"
	else
		tail -n 25 $out | tr -d '\r' | sed 's/^/# guest: /'
		[ -z "$why" ] || echo "# $why"
		echo "not ok $n - $2"
		bad=1
	fi
	why=
}

# Runs a guest with a command inside; what it says is in OUT, what it hears is of the file $hears, if any. The
# kernel's command line knows no quotes inside of quotes: commands do without.
run_linux() { # OUT COMMAND OPTION...
	to=$1 command=$2
	shift 2
	# A later option counts.
	mshv run -k $kernel -i $kernel.initrd -t 500 -m 256M "$@" \
		--append "console=ttyS0 quiet panic=-1 run=\"$command\"" <"${hears:-/dev/null}" >"$to" 2>&1
}

# The guest ended as it should, and said so.
said() { # CODE TEXT...
	good=0
	[ "$1" -eq 0 ] || { good=1 why="exit code $1"; }
	shift
	for text; do
		grep -qF -- "$text" $out || { good=1 why="not said: $text"; }
	done
	[ $good -eq 0 ]
}

await() { # FILE TEXT
	tries=0
	until grep -qF -- "$2" "$1" || [ $tries -gt 3000 ]; do
		sleep 0.1
		tries=$((tries + 1))
	done
}

counter() { # NAME: of an event of the hypervisor's
	mshv hv | sed -n "s/^event\\.$1 *//p"
}
