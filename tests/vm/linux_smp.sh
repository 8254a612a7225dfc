#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# A Linux guest with two processors that wake each other, block, and are interrupted all the time: no wake-up
# is lost. One that is would end in the timeout.

kernel=/usr/lib/mshv/linux
out=/tmp/linux.out
bad=0

counter() { # NAME
	mshv hv | sed -n "s/^event\.$1 *//p"
}

echo "KTAP version 1"
echo "1..3"
for n in 1 2 3; do
	ipis=$(counter ipi)
	blocked=$(counter blocked)
	# shellcheck disable=SC2016  # it is the guest's shell
	mshv run -k $kernel -i $kernel.initrd -t 120 -m 256M -c 2 --append \
		'console=ttyS0 quiet panic=-1 run="stress-ng -q --switch 2 --fork 1 --futex 1 --nanosleep 1 --vm 1 --vm-bytes 30% --verify -t 5"' \
		</dev/null >$out 2>&1
	code=$?
	ipis=$(($(counter ipi) - ipis))
	blocked=$(($(counter blocked) - blocked))
	echo "# $ipis interrupts between processors, $blocked times blocked"
	if [ $code -eq 0 ] && grep -qF "guest: ended with 0" $out && [ $ipis -gt 100 ] && [ $blocked -gt 100 ]; then
		echo "ok $n - processors that wake each other, $n"
	else
		tail -n 20 $out | tr -d '\r' | sed 's/^/# guest: /'
		echo "# exit code $code"
		echo "not ok $n - processors that wake each other, $n"
		bad=1
	fi
done
exit $bad
