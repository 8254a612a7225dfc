#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# A Linux guest on Linux's own driver: nothing here needs more of a driver than Linux has.

# shellcheck source=tests/vm/linux_common.sh disable=SC2016
. ./linux_common.sh

echo "KTAP version 1"
echo "1..4"

run_linux $out 'set -- $(grep HVS: /proc/interrupts); [ $2 -gt 20 ]'
said $? "guest: up, Linux" "1 processors" "guest: ended with 0"
report $? "one processor, and its timer ticks"

run_linux $out 'taskset 1 true && taskset 2 true; dmesg | grep -i -e unst[a]ble -e sp[u]rious -e nob[o]dy.cared -e st[a]ll && exit 3; true' -c 2
said $? "2 processors" "guest: ended with 0"
report $? "two processors, and its kernel sees nothing odd"

head -c 4096k /dev/urandom >/tmp/disk
sum=$(md5sum </tmp/disk | cut -d' ' -f1)
run_linux $out 'md5sum /dev/vda' -c 2 -d /tmp/disk
said $? "$sum" "guest: ended with 0"
report $? "its disk"

# Half of its memory out to swap, while it checks it.
run_linux $out 'memtester 16M 1 >/dev/null; echo guest: memtester $?' -m 256M -c 2 &
guest=$!
for _ in 1 2 3 4 5 6 7 8 9 10; do
	sleep 3
	echo 64M >/sys/fs/cgroup/memory.reclaim 2>/dev/null
done
wait $guest
said $? "guest: memtester 0" "guest: ended with 0"
report $? "memory verified while its pages go"
exit $bad
