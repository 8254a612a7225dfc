#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Linux's own driver comes and goes on the bundled hypervisor, the statistics that it shows are those of its guests, and
# ours takes its place and gives it back.

# shellcheck source=tests/vm/is.sh disable=SC2317
. ./is.sh

stats=/sys/kernel/debug/mshv/partition

value() { # FILE NAME
	sed -n "s/^$2 *: *//p" "$1" 2>/dev/null
}

# The folder of the one guest that there is.
child() {
	for dir in "$stats"/*; do
		case $dir in */self | */\*) ;; *) echo "$dir" ;; esac
	done
}

# Within some seconds.
exceeds() { # FILE NAME VALUE
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		[ "$(value "$1" "$2")" -gt "$3" ] 2>/dev/null && return
		sleep 1
	done
	echo "# $1: $2 is $(value "$1" "$2")"
	return 1
}

# Of all of the parent's processors.
hypercalls() {
	cat $stats/self/vp/*/stats | awk '/^VpHypercallsCount / { sum += $NF } END { print sum + 0 }'
}

hello() { mshv run hello >/tmp/peer.out 2>&1; }
busy() { ! rmmod mshv_root 2>/tmp/peer.out && grep -q -i -e busy -e unavailable -e "in use" /tmp/peer.out; }
gone() { [ ! -e /dev/mshv ] && [ ! -e $stats ]; }
ours() { insmod "/lib/modules/$(uname -r)/updates/mshv_movable.ko" 2>/dev/null; }
# The command fails, and says what this driver has not.
lacks() { # TEXT COMMAND...
	text=$1
	shift
	"$@" >/tmp/peer.out 2>&1
	[ $? -eq 1 ] && grep -qF -- "$text" /tmp/peer.out && return
	sed 's/^/# said: /' /tmp/peer.out
	return 1
}
refused() { ! ours && dmesg | grep -q "mshv: not loaded: /dev/mshv belongs to another driver"; }

echo "KTAP version 1"
echo "1..26"

is "it loads" modprobe mshv_root
is "and there is its device" test -c /dev/mshv
is "the parent has as many processors" [ "$(value $stats/self/stats PtVirtualProcessors)" -eq "$(nproc)" ]
before=$(hypercalls)
is "there is no guest" [ -z "$(child)" ]
is "a guest runs" hello
sleep 1
is "and was counted" [ "$(hypercalls)" -gt "$before" ]

# Its memory is far more than it stamps in the time that is needed here.
mshv run -m 1G -c 2 -s stamp >/tmp/peer.out 2>&1 &
guest=$!
tries=0
until [ -n "$(child)" ] || [ $tries -gt 50 ]; do
	sleep 0.2
	tries=$((tries + 1))
done
dir=$(child)
is "a guest has its own" [ -n "$dir" ]
is "by its id" [ "$(value "$dir/stats" PtPartitionId)" = "${dir##*/}" ]
is "its processors" exceeds "$dir/stats" PtVirtualProcessors 1
is "what is lent for it" exceeds "$dir/stats" PtDepositedPages 200
is "its first processor runs" exceeds "$dir/vp/0/stats" VpTotalRunTime 0
is "and its second" exceeds "$dir/vp/1/stats" VpLogicalProcessorDispatches 5
run=$(value "$dir/vp/0/stats" VpTotalRunTime)
is "and goes on" exceeds "$dir/vp/0/stats" VpTotalRunTime "${run:-0}"
is "it does not go while it has a guest" busy
kill $guest
wait $guest
is "nothing is left of the guest" [ -z "$(child)" ]

is "ours does not load beside it, and says why" refused
is "pinned memory it has not" lacks "pinned guest memory: the driver that is loaded has no such thing" mshv run --pinned hello
is "nor debug calls" lacks "this driver does not pass them on" mshv hv
is "nor counters" lacks "keeps no counters of guests" mshv stat
is "nor what the demonstration needs" lacks "keeps no counters of guests" mshv demo

again=0
for _ in 1 2 3 4 5 6 7 8 9 10; do
	rmmod mshv_root && gone && modprobe mshv_root && [ -c /dev/mshv ] && hello && again=$((again + 1))
done
is "ten times unloaded and loaded, with a guest each time" [ $again -eq 10 ]

rmmod mshv_root
is "gone" gone
is "ours takes its place" ours
is "and runs a guest" hello
rmmod mshv_movable
is "and gives it back" modprobe mshv_root
is "with a guest" hello
exit $bad
