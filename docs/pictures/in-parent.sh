#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# in-parent.sh: a Linux guest at work, recorded into /root/guest.record, and what happens to its memory meanwhile: it is reclaimed,
# compacted, given back by a balloon, and limited.

group=/sys/fs/cgroup/picture
kernel=/usr/lib/mshv/linux
samples=40
seconds=2

mkdir -p $group
# shellcheck disable=SC2016  # expanded by the inner shell
sh -c 'echo $$ >$0/cgroup.procs; exec mshv run -k "$1" -i "$1.initrd" -t 800 -m 256M \
	--append "console=ttyS0 quiet panic=-1 run=\"stress-ng -q --vm 1 --vm-bytes 64M --vm-keep --vm-hang 1 -t 780\""' \
	$group $kernel </dev/null >/root/guest.txt 2>&1 &
guest=$!
for _ in $(seq 1200); do
	grep -q "up, Linux" /root/guest.txt && break
	sleep 0.1
done
grep -q "up, Linux" /root/guest.txt || { cat /root/guest.txt; exit 1; }

mshv record --force --parts 16 --set-delay $seconds --count $samples --pid $guest /root/guest.record &
recorder=$!
step() { # SAMPLES: until so many more have been taken
	sleep $(($1 * seconds))
}
step 6
echo 96M >$group/memory.reclaim
step 6
echo 1 >/proc/sys/vm/compact_memory
step 6
mshv balloon $guest 128M
step 6
mshv balloon $guest 256M
step 4
echo 96M >$group/memory.high
step 6
echo max >$group/memory.high
wait $recorder
code=$?
kill $guest
wait $guest
exit $code
