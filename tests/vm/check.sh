#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# mshv check as on a host whose hypervisor tells nothing: the driver is loaded anew, without its debug calls.

. ./is.sh

says() { grep -qE -- "$2" "$1"; }
silent() { ! grep -qE -- "$2" "$1"; }

echo "KTAP version 1"
echo "1..21"

rmmod mshv_movable && insmod "/lib/modules/$(uname -r)/updates/mshv_movable.ko"
is "the driver without debug calls" [ "$(cat /sys/module/mshv_movable/parameters/debug_hypercalls)" = N ]
mshv hv >/tmp/hv.out 2>&1
is "the hypervisor tells nothing" [ $? -eq 1 ]

mshv check --memory 320M --touch 64M --report /tmp/report >/tmp/check.out 2>&1
code=$?
[ $code -eq 0 ] || grep -A 5 FAILS /tmp/check.out | sed 's/^/# /'
is "no row fails" [ $code -eq 0 ]
is "and it says what it could not show" says /tmp/check.out "not shown here: that the partition is deleted"
is "and who could not be asked" says /tmp/check.out "does not tell who reaches which page"
is "the report has kernel and hypervisor" says /tmp/report "^kernel: Linux [0-9]"
is "by name and version" says /tmp/report "^hypervisor: Microsoft Hv"
is "its capabilities" says /tmp/report "^vmm-capabilities: 0x"
is "each row" [ "$(grep -c '^row: ' /tmp/report)" -eq 13 ]
is "with counts" says /tmp/report "^counts: .* pages touched, .* resident"
is "and nothing personal" silent /tmp/report "$(hostname)|root|/root"

# One that is there stays until the next is whole; nothing is left of one that is not written.
cp /tmp/report /tmp/report.before
mshv check --memory 320M --touch 64M --report /tmp/report passthrough >/tmp/check.out 2>&1
is "a check that shows nothing is no success" [ $? -eq 1 ]
is "and says so" says /tmp/check.out "no row could run here"
is "its report is written all the same" says /tmp/report "^rows: 1, hold: 0, skipped: 1"
mshv check --report /nowhere/report create >/tmp/check.out 2>&1
is "a report that cannot be is said before the work" [ "$(cat /tmp/check.out)" = "mshv: check: /nowhere/report.part: No such file or directory" ]

# Ended in the middle of a row.
switches() {
	cat /proc/sys/kernel/numa_balancing /proc/sys/vm/percpu_pagelist_high_fraction /sys/kernel/mm/ksm/run \
		/sys/kernel/mm/ksm/pages_to_scan /sys/kernel/mm/ksm/sleep_millisecs
}
before=$(switches)
cp /tmp/report.before /tmp/report
mshv check --memory 320M --touch 64M --report /tmp/report ksm >/tmp/check.out 2>&1 &
pid=$!
tries=0
while [ "$(cat /sys/kernel/mm/ksm/pages_to_scan)" != 20000 ] && [ $tries -lt 600 ]; do
	sleep 0.1
	tries=$((tries + 1))
done
is "a row changes switches" [ "$(switches)" != "$before" ]
kill -TERM "$pid"
wait "$pid"
is "SIGTERM ends it" [ $? -eq 143 ]
is "the switches are as before, and the group is gone" [ "$(switches)/$(ls -d /sys/fs/cgroup/mshv-demo 2>&1 | grep -c No)" = "$before/1" ]
is "and the report of before is there, alone" [ "$(cmp /tmp/report /tmp/report.before; ls /tmp/report*)" = "/tmp/report
/tmp/report.before" ]

# A row that cannot run leaves the one after it alone. (One that fails does, too: demo-fails.)
swap=$(sed -n '2s/ .*//p' /proc/swaps)
swapoff "$swap"
mshv demo --memory 320M --touch 64M swap thp >/tmp/demo.out 2>&1
is "the demonstration wants every row" [ $? -eq 1 ]
is "a row that cannot run spoils no other" says /tmp/demo.out "1 of 2 rows hold, 1 cannot run here"
swapon "$swap"

rmmod mshv_movable && insmod "/lib/modules/$(uname -r)/updates/mshv_movable.ko" debug_hypercalls=1
exit "$bad"
