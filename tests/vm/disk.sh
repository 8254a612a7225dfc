#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# A Linux guest's disk: what is read and written arrives, also while the guest's pages, which the disk
# reads into, are swapped out. Through an io_uring, and without one.

# shellcheck source=tests/vm/is.sh disable=SC2016,SC2317
. ./is.sh
# shellcheck source=tests/vm/guest.sh
. ./guest.sh

disk=/tmp/disk
group=/sys/fs/cgroup/disk-test
mkdir -p $group

part() { # SKIP
	dd if=$disk bs=1M skip="$1" count=16 2>/dev/null | sum
}

sum() {
	md5sum | cut -c 1-32
}

# Words behind what the guest said.
words() { # WORD
	tr -d '\r' <$out | sed -n "s/^guest: $1 //p"
}

has_ring() {
	for fd in "/proc/$pid/fd/"*; do
		case $(readlink "$fd") in *io_uring*) return 0 ;; esac
	done
	return 1
}

swapped_out() {
	sed -n 's/^pswpout //p' /proc/vmstat
}

echo "KTAP version 1"
echo "1..14"

for disabled in 0 2; do
	echo $disabled >/proc/sys/kernel/io_uring_disabled
	how="with an io_uring"
	[ $disabled = 0 ] || how="without"
	dd if=/dev/urandom of=$disk bs=1M count=64 2>/dev/null
	guest -m 256M -c 2 -d $disk --append "console=ttyS0 quiet panic=-1"
	is "$how: a guest with a disk" heard "up, Linux"
	has_ring
	is "$how: which is so" [ $? -eq $((disabled / 2)) ]

	start=$(cut -d. -f1 /proc/uptime)
	tell 'echo guest: read $(md5sum </dev/vda)'
	until_true 60 heard read
	is "$how: all of it is read" [ "$(words read | cut -c 1-32)" = "$(sum <$disk)" ]
	echo "# 64 MiB read in $(($(cut -d. -f1 /proc/uptime) - start)) s"

	# Both processors at once, to the disk's ends.
	tell 'dd if=/dev/urandom of=/tmp/x bs=1M count=16 2>/dev/null; for at in 0 48; do dd if=/tmp/x of=/dev/vda bs=1M seek=$at conv=fsync 2>/dev/null & done; wait; echo guest: wrote $(md5sum </tmp/x); rm /tmp/x'
	until_true 60 heard wrote
	wrote=$(words wrote | cut -c 1-32)
	is "$how: what was written is there" [ "$wrote" = "$(part 0)" ]
	is "$how: twice" [ "$wrote" = "$(part 48)" ]

	# The guest reads into pages that go meanwhile.
	whole=$(sum <$disk)
	before=$(swapped_out)
	echo "$pid" >$group/cgroup.procs
	tell 'for i in 1 2; do echo 3 >/proc/sys/vm/drop_caches; echo guest: again $(md5sum </dev/vda); done; echo guest: over'
	rounds=0
	until heard over || [ ! -d "/proc/$pid" ]; do
		echo 64M >$group/memory.reclaim
		rounds=$((rounds + 1))
		sleep 0.1
	done 2>/dev/null
	swapped=$(($(swapped_out) - before))
	echo "# $rounds rounds, $swapped pages swapped out"
	right=$(words again | grep -c "^$whole")
	is "$how: read twice while its pages go" [ "$right" -eq 2 ]
	# A reset of the machine with the disk at work.
	tell 'md5sum </dev/vda & reboot -f'
	wait "$pid"
	is "$how: and the guest ends with its disk at work" [ $? -eq 0 ]
	exec 3>&-
done
echo 0 >/proc/sys/kernel/io_uring_disabled
exit "$bad"
