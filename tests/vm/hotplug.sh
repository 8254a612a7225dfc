#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# The parent's second CPU goes offline and comes back, again and again, under guests with more
# processors than the parent has left: interrupts, timers and faults go on, wherever they come up.

# shellcheck source=tests/vm/is.sh
. ./is.sh

online=/sys/devices/system/cpu/cpu1/online
ROUNDS=6


echo "KTAP version 1"
echo "1..6"
mshv run --lapic --cpus 3 --timeout 200 apic >/tmp/apic.out 2>&1 &
apic=$!
mshv run --cpus 2 --timeout 200 stamp >/tmp/stamp.out 2>&1 &
stamp=$!
went=0 came=0 refused=0
while kill -0 $apic 2>/dev/null || [ $((went + refused)) -lt $ROUNDS ]; do
	if echo 0 >$online; then
		went=$((went + 1))
		sleep 0.5
		if echo 1 >$online; then
			came=$((came + 1))
		fi
	else
		refused=$((refused + 1))
	fi
	sleep 0.5
done 2>/tmp/refused
wait $apic
apic=$?
wait $stamp
stamp=$?
grep -e '^not ok' -e '^# ' /tmp/apic.out | sed 's/^not ok/# not ok/'
echo "# offline $went times, online $came times, refused $refused times; $(grep -c '^ok' /tmp/apic.out) checks"
is "a CPU goes offline under guests" [ "$went" -ge $ROUNDS ]
is "and comes back" [ "$came" -eq "$went" ]
is "never refused" [ "$refused" -eq 0 ]
is "interrupts and timers: nothing wrong" [ $apic -eq 0 ]
is "all of it ran" grep -q '^1\.\.' /tmp/apic.out
is "and memory is right" [ $stamp -eq 0 ]
exit $bad
