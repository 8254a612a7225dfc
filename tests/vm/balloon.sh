#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Linux guests that give memory back, by reporting free pages and by a balloon, and guests that are
# paused, resumed, listed and stopped from outside; and the clock that they start with.

# shellcheck source=tests/vm/is.sh disable=SC2016,SC2317
. ./is.sh
# shellcheck source=tests/vm/guest.sh
. ./guest.sh

rss() {
	sed -n 's/^Rss: *\([0-9]*\) kB$/\1/p' "/proc/$pid/smaps_rollup"
}

number_is() { # NAME NUMBER
	[ "$(number "$1")" = "$2" ]
}

rss_below() { # KIB
	[ "$(rss)" -le "$1" ]
}

# The smallest of what it has in some seconds without work.
settle() {
	idle=$(rss)
	same=0
	while [ $same -lt 12 ]; do
		sleep 0.5
		now=$(rss)
		same=$((same + 1))
		if [ "$now" -lt $((idle - 512)) ]; then
			same=0
		fi
		[ "$now" -ge "$idle" ] || idle=$now
	done
}

lines() {
	grep -c "^guest: line" $out
}

says() { # TEXT
	grep -qF -- "$1" /tmp/said
}

refused() { # CODE TEXT VERB...
	code=$1 text=$2
	shift 2
	"$@" >/tmp/said 2>&1
	[ $? -eq "$code" ] && says "$text"
}

MIB=1048576

echo "KTAP version 1"
echo "1..38"

mshv list >/tmp/said
is "no guests" says "no guests"
is "a socket that cannot be made" refused 1 "control socket /nowhere/socket: No such file" \
	mshv run --kernel $kernel --control /nowhere/socket
guest -m 384M -c 2 --append "console=ttyS0 quiet panic=-1"
is "a guest with two processors" heard "up, Linux"

asked=$(date +%s)
tell 'echo guest: date $(date +%s)'
until_true 20 heard date
said=$(figure date) now=$(date +%s)
echo "# asked at $asked, the guest says $said, heard at $now"
is "its date is that of the parent" [ $((said >= asked - 2 && said <= now + 1)) -eq 1 ]

# ---- free pages ----

settle
tell 'dd if=/dev/zero of=/tmp/x bs=1M count=128 2>/dev/null; echo guest: used $?'
until_true 60 heard "used 0"
used=$(rss)
is "it grows by what it uses" [ $((used - idle)) -ge $((120 * 1024)) ]
tell 'rm /tmp/x; echo guest: freed $?'
until_true 20 heard "freed 0"
until_true 40 rss_below $((idle + 32 * 1024))
shrunk=$?
echo "# resident KiB: idle $idle, with 128 MiB in use $used, freed $(rss)"
is "and shrinks to within 32 MiB of its idle size by free page reporting" [ $shrunk -eq 0 ]
is "nothing of it was the balloon's" [ "$(number inflated)" -eq 0 ]
echo "# reported: $(($(number reported) / MIB)) MiB ever"
is "Linux took all of it" [ "$(number failed)" -eq 0 ]

# ---- the balloon ----

free_in_guest() {
	tell "set -- \$(grep MemFree /proc/meminfo); echo guest: $1 \$2"
	until_true 20 heard "$1"
	figure "$1"
}
collapsed() {
	sed -n 's/^thp_collapse_alloc //p' /proc/vmstat
}
before=$(free_in_guest before)
blocks=$(collapsed)
mshv balloon $pid 128M
is "asked to keep 128 MiB" [ $? -eq 0 ]
is "the guest fills its balloon with the rest" until_true 60 number_is size $((256 * MIB))
during=$(free_in_guest during)
sleep 1
echo "# resident KiB: $(rss); the guest's MemFree: $before, then $during"
made=$(($(collapsed) - blocks))
echo "# khugepaged made $made huge pages meanwhile"
is "its kernel has so much less" [ $((before - during)) -ge $((200 * 1024)) ]
# Huge pages that khugepaged makes have pages again that were in the balloon: of 2 MiB each.
is "and the process is about as large as what is left" rss_below $((168 * 1024 + made * 2048))
is "the guest told how its memory is" [ "$(number total-memory)" -gt 0 ]
mshv balloon "$pid" 384M
is "all of it again: the balloon is empty" until_true 30 number_is size 0
is "and the guest has it" [ "$(free_in_guest after)" -ge $((before - 32 * 1024)) ]

# It is at work until the balloon has moved often enough, however slow that is here.
tell 'stress-ng -q --vm 2 --vm-bytes 80M --verify -t 600 & echo guest: at work'
until_true 60 heard "at work"
rounds=0
while [ $rounds -lt 4 ]; do
	mshv balloon "$pid" $((256 + rounds % 2 * 128))M || break
	until_true 30 number_is size $((rounds % 2 * -128 * MIB + 128 * MIB)) || break
	rounds=$((rounds + 1))
done
tell 'kill -INT $!; wait $!; echo guest: verified $?'
until_true 120 heard verified
echo "# $rounds times larger or smaller, $(($(number inflated) / MIB)) MiB inflated"
is "memory verified while the balloon moves" heard "verified 0"
is "which it did, each time" [ $rounds -eq 4 ]
mshv balloon "$pid" 384M

# ---- wrong requests ----

wanted=$(number wanted)
is "less than a Linux can live with" refused 1 "may keep" mshv balloon "$pid" 15M
is "more than the guest has" refused 1 "may keep" mshv balloon "$pid" 385M
is "no whole pages" refused 1 "whole pages" mshv balloon "$pid" 134217729
is "no size" refused 2 "not a size" mshv balloon "$pid" much
is "no size at all" refused 2 "a guest and a size" mshv balloon "$pid"
is "no such guest, by name" refused 1 "no such guest" mshv pause nobody
is "by process" refused 1 "no such guest" mshv pause 1
is "by socket" refused 1 "no such guest" mshv stop /run/mshv/nobody.sock
is "nothing has changed" [ "$(number wanted)" = "$wanted" ]

# ---- pause ----

# In hundredths of a second; on the host, and in the line of the guest's that was number so-and-so.
host_clock() {
	tr -d . </proc/uptime | cut -d' ' -f1
}
guest_clock() { # NUMBER
	sed -n 's/^guest: line \([0-9]*\)\.\([0-9]*\).*/\1\2/p' $out | sed -n "$1p"
}
one_line() { [ "$(lines)" -ge 1 ]; }

begun=$(host_clock)
tell 'while sleep 0.2; do echo guest: line $(cut -d" " -f1 /proc/uptime); done &'
until_true 20 one_line
mshv pause "$pid"
is "paused" [ $? -eq 0 ]
stood=$(host_clock)
sleep 0.5
from=$(lines)
sleep 4
to=$(lines)
echo "# lines before and after 4 s: $from, $to"
is "a paused guest does nothing" [ "$from" -eq "$to" ]
listed_as_paused() { mshv list >/tmp/said 2>&1; says paused; }
is "it is listed as paused" until_true 20 listed_as_paused
stood=$(($(host_clock) - stood))
mshv pause "$pid" && mshv resume "$pid"
is "resumed" [ $? -eq 0 ]
more_lines() { [ "$(lines)" -gt $((to + 5)) ]; }
is "it goes on" until_true 20 more_lines
# What the guest counted between two lines of its own, and the host around them: apart by the pause at least.
lived=$(($(guest_clock $((to + 5))) - $(guest_clock 1)))
passed=$(($(host_clock) - begun))
echo "# hundredths of a second: $passed here, of them $stood of pause; $lived there"
is "its clock stood meanwhile" [ $((passed - lived)) -ge "$stood" ]
mshv pause "$pid"
mshv stop "$pid"
wait "$pid"
is "stopped while it is paused" [ $? -eq 0 ]
exec 3>&-
is "and says so" grep -q "the guest was stopped" $out

# ---- poison: free pages must be found as they were left ----

guest -m 256M --control /run/mshv/poisoned.sock --append "console=ttyS0 quiet panic=-1 page_poison=1"
tell 'dd if=/dev/zero of=/tmp/x bs=1M count=64 2>/dev/null; rm /tmp/x; sleep 6; verify --vm 1 --vm-bytes 60% -t 5; echo guest: verified $?; dmesg | grep -c -e "memory corruption" -e BUG: | sed "s/^/guest: corrupt /"'
until_true 90 heard corrupt
is "a guest that poisons finds its poison" heard "corrupt 0"
is "and nothing is discarded" [ "$(number reported)" -eq 0 ]
mshv stop poisoned
wait "$pid"
exec 3>&-

# ---- pinned memory ----

guest -m 192M --pinned --append "console=ttyS0 quiet panic=-1"
pinned=$(rss)
mshv balloon "$pid" 128M
until_true 60 number_is size $((64 * MIB))
mshv balloon "$pid" 192M
until_true 60 number_is size 0
tell 'verify --vm 1 --vm-bytes 60% -t 5; echo guest: verified $?'
until_true 60 heard verified
echo "# pinned: resident KiB $pinned, after the balloon $(rss)"
is "a pinned guest's balloon works" heard "verified 0"
exec 3>&-
kill -KILL "$pid"
wait "$pid" 2>/dev/null
mshv list >/tmp/said
is "what a killed guest left behind is not listed" says "no guests"
exit "$bad"
