#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# What the memory of a Linux guest is made of: kinds of memory, nodes, and pages that two guests share.

# shellcheck source=tests/vm/linux_common.sh disable=SC2016
. ./linux_common.sh

refused() { # CODE TEXT OPTION...
	code=$1 text=$2
	shift 2
	run_linux $out true "$@"
	[ $? -eq "$code" ] && grep -qF -- "$text" $out
}

ksm() { cat "/sys/kernel/mm/ksm/$1"; }

verify='verify --vm 1 --vm-bytes 50% -t 4'

echo "KTAP version 1"
echo "1..10"

refused 2 "--backing: not private, shared, memfd or hugetlb: paper" --backing paper
report $? "a kind of memory that there is not"

refused 1 "bind guest memory to node 7: " --node 7
report $? "a node that there is not"

echo 0 >/proc/sys/vm/nr_hugepages
refused 1 "as hugetlb: Cannot allocate memory" --backing hugetlb
report $? "no huge pages in the pool"

for kind in shared memfd; do
	run_linux $out "$verify" --backing $kind && grep -qF "guest: ended with 0" $out
	report $? "$kind memory"
done

# Beyond 3 GiB memory goes on behind the hole for devices; more than the parent has, as nobody touches it.
run_linux $out 'echo guest: high $(grep -c 100000000-13fffffff /proc/iomem)' --memory 4G &&
	grep -qF "guest: high 1" $out && grep -q "3[0-9][0-9][0-9] MiB" $out
report $? "memory on both sides of the hole"

run_linux $out "$verify" --pinned && grep -qF "guest: ended with 0" $out
report $? "pinned memory"

echo 130 >/proc/sys/vm/nr_hugepages
run_linux $out "$verify" --backing hugetlb && grep -qF "guest: ended with 0" $out
good=$?
echo 0 >/proc/sys/vm/nr_hugepages
report $good "huge pages of the pool"

# They do nothing until they are told to.
mkfifo /tmp/go-first /tmp/go
exec 8<>/tmp/go-first 9<>/tmp/go
hears=/tmp/go
run_linux $out 'echo guest: here; read go' --node 1 &
await $out "guest: here"
# The mapping of the guest's memory is the one that is bound.
pages=$(sed -n 's/.* bind:1 .*anon=\([0-9]*\).*/\1/p' "/proc/$(pidof mshv)/numa_maps" | head -n 1)
elsewhere=$(sed -n '/ bind:1 /s/.*N0=\([0-9]*\).*/\1/p' "/proc/$(pidof mshv)/numa_maps" | head -n 1)
echo >&9
wait
echo "# ${pages:-0} pages, ${elsewhere:-0} of them not on node 1"
[ "${pages:-0}" -gt 1000 ] && [ "${elsewhere:-0}" -eq 0 ] && grep -qF "guest: ended with 0" $out
report $? "memory from one node"

# Two of one image: what is equal in both is there once, and neither sees of it.
echo 20000 >/sys/kernel/mm/ksm/pages_to_scan
echo 50 >/sys/kernel/mm/ksm/sleep_millisecs
hears=/tmp/go-first
run_linux /tmp/first "echo guest: here; read go; $verify" --merge --small-pages &
hears=/tmp/go
run_linux $out "echo guest: here; read go; $verify" --merge --small-pages &
await /tmp/first "guest: here"
await $out "guest: here"
# Not while they boot: it would take their processor.
echo 1 >/sys/kernel/mm/ksm/run
tries=0 before=-1
# A slow parent merges in steps with pauses: what stands still is not the end.
until { [ "$before" -gt 5000 ] && [ "$(ksm pages_sharing)" -eq "$before" ]; } || [ $tries -gt 180 ]; do
	before=$(ksm pages_sharing)
	tries=$((tries + 1))
	sleep 1
done
saved=$(ksm pages_sharing)
resident=$(awk '/^VmRSS/ { print $2 }' "/proc/$(pidof mshv | cut -d' ' -f1)/status")
# What is merged stays so; the guests need the processors now.
echo 0 >/sys/kernel/mm/ksm/run
echo >&8
echo >&9
echo "# $saved pages ($((saved / 256)) MiB) saved for two guests; one has $((resident / 1024)) MiB"
wait
echo 2 >/sys/kernel/mm/ksm/run
[ "$saved" -gt 5000 ] && grep -qF "guest: ended with 0" $out && grep -qF "guest: ended with 0" /tmp/first
report $? "two guests of one image share pages"
exit $bad
