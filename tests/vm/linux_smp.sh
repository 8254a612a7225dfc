#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# A Linux guest with two processors that wake each other, block, and are interrupted all the time: no wake-up
# is lost. One that is would end in the timeout.

# shellcheck source=tests/vm/linux_common.sh
. ./linux_common.sh

echo "KTAP version 1"
echo "1..3"
for round in 1 2 3; do
	ipis=$(counter ipi)
	blocked=$(counter blocked)
	run_linux $out 'stress-ng -q --switch 2 --fork 1 --futex 1 --nanosleep 1 --vm 1 --vm-bytes 30% --verify -t 5' -c 2
	code=$?
	ipis=$(($(counter ipi) - ipis))
	blocked=$(($(counter blocked) - blocked))
	echo "# $ipis interrupts between processors, $blocked times blocked"
	said $code "guest: ended with 0" && [ $ipis -gt 100 ] && [ $blocked -gt 100 ]
	report $? "processors that wake each other, $round"
done
exit $bad
