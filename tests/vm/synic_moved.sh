#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# The payload synic while Linux swaps out what the guest has and moves the rest: the pages that the
# hypervisor writes to for the guest (messages, EOI assist) are among it.

group=/sys/fs/cgroup/synic
echo "KTAP version 1"
echo "1..2"

mkdir $group
(
	echo 0 >$group/cgroup.procs
	exec mshv run --lapic --small-pages --cpus 2 --memory 64M --timeout 250 synic
) >/tmp/synic.out 2>&1 &
guest=$!
rounds=0
while kill -0 $guest 2>/dev/null; do
	echo 64M >$group/memory.reclaim
	[ $((rounds % 4)) -ne 3 ] || echo 1 >/proc/sys/vm/compact_memory
	rounds=$((rounds + 1))
	sleep 0.1
done 2>/dev/null
wait $guest
code=$?
swapped=$(sed -n 's/^pswpout //p' /proc/vmstat)
grep -e '^not ok' -e '^# ' /tmp/synic.out | sed 's/^not ok/# not ok/'
echo "# $rounds rounds, $(grep -c '^ok' /tmp/synic.out) checks, $swapped pages swapped out"
if [ $code -eq 0 ] && grep -q '^1\.\.' /tmp/synic.out; then
	echo "ok 1 - the payload has found nothing wrong"
else
	echo "# exit code $code"
	echo "not ok 1 - the payload has found nothing wrong"
fi
if [ "$swapped" -gt 100 ]; then
	echo "ok 2 - its memory was swapped out meanwhile"
else
	echo "not ok 2 - its memory was swapped out meanwhile"
fi
