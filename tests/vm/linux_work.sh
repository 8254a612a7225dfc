#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# A Linux guest at work: it compiles, and tests its memory, while the parent migrates, compacts, swaps and
# merges that, and takes memory offline; what it makes is right. And what its clock says while half of it
# is swapped out.

# shellcheck source=tests/vm/is.sh disable=SC2016,SC2317
. ./is.sh
# shellcheck source=tests/vm/guest.sh
. ./guest.sh

group=/sys/fs/cgroup/work-test
memory=/sys/devices/system/memory
ksm=/sys/kernel/mm/ksm
mkdir -p $group
echo 0-1 >$group/cpuset.mems

vmstat() { # NAME
	sed -n "s/^$1 //p" /proc/vmstat
}

# Of the process, in KiB.
kib() { # NAME
	awk -v name="$1:" '$1 == name { n = $2 } END { print n + 0 }' "/proc/$pid/status" 2>/dev/null || echo 0
}

blocks=$(grep -lx Movable $memory/memory*/valid_zones)
# Takes blocks offline that Linux can empty, one and another, and brings them back. Who is in there moves out.
offline() {
	for block in $blocks; do
		tried=$((tried + 1))
		[ $((tried % 3)) -eq 0 ] || continue
		before=$(vmstat pgmigrate_success)
		echo offline >"${block%/*}/state" || continue
		[ "$(vmstat pgmigrate_success)" -eq "$before" ] || emptied=$((emptied + 1))
		echo online_movable >"${block%/*}/state" || lost=$((lost + 1))
	done
}

reclaim() { # SIZE
	echo "$1" >$group/memory.reclaim
} 2>/dev/null

swapped() { # PER CENT
	[ $((100 * $(kib VmSwap))) -ge $(($1 * ($(kib VmSwap) + $(kib VmRSS)))) ]
}

# Hundredths of a second.
uptime_now() {
	cut -d' ' -f1 /proc/uptime | tr -d .
}
# The guest looks at its clock between what ours says before and after.
ask_clock() { # WORD
	before=$(uptime_now)
	tell "echo guest: $1 \$(cut -d' ' -f1 /proc/uptime | tr -d .)"
	until_true 120 heard "$1"
	after=$(uptime_now)
}

echo "KTAP version 1"
echo "1..15"

# What it has is charged to its group from the beginning.
echo $$ >$group/cgroup.procs
guest -m 192M -c 2 --merge --append "console=ttyS0 quiet panic=-1"
echo $$ >/sys/fs/cgroup/cgroup.procs
is "a guest with two processors" heard "up, Linux"
tell 'cd /tmp; seq 1 1500 | sed "s/.*/int f&(int x) { int i, s = x; for (i = 0; i < &; i++) s = s * 31 + (i ^ &); return s; }/" >x.c; tcc -c x.c -o first.o; echo guest: compiled $?'
is "it compiles" until_true 120 heard "compiled 0"

start=$(cut -d. -f1 /proc/uptime)
# Faster would leave nobody else a processor.
echo 500 >$ksm/pages_to_scan
echo 50 >$ksm/sleep_millisecs
echo 1 >$ksm/run
swapped=$(vmstat pswpout) migrated=$(vmstat pgmigrate_success)
compacted=$(vmstat compact_migrate_scanned)
# Lines of their own: there may be a prompt before them.
tell '(n=0; while [ ! -e stop ]; do tcc -c x.c -o next.o; cmp first.o next.o || { echo; echo guest: differs; }; n=$((n + 1)); echo; echo guest: objects $n; done; echo; echo guest: over, compiling) &'
tell '(n=0; while [ ! -e stop ]; do memtester 3M 1 >log || { echo; echo guest: memtester failed; }; n=$((n + 1)); echo; echo guest: tested $n; done; echo; echo guest: over, testing) &'
rounds=0 tried=0 emptied=0 lost=0 shared=0
happened() {
	[ $rounds -ge 8 ] && [ $emptied -ge 2 ] && [ "$shared" -gt 0 ] && [ "$(figure objects)" -ge 3 ] && [ "$(figure tested)" -ge 1 ]
}
# Until each of it has happened, or it takes too long. A debug kernel empties one block in the time of ten.
limit=240
[ ! -e /sys/kernel/debug/kmemleak ] || limit=600
while [ -d "/proc/$pid" ] && [ $(($(cut -d. -f1 /proc/uptime) - start)) -lt $limit ]; do
	! happened || break
	case $((rounds % 4)) in
	0)	# Memory follows its group from node to node.
		echo $((rounds / 4 % 2)) >$group/cpuset.mems ;;
	2)	# What leaves a block has to have somewhere to go.
		echo 0-1 >$group/cpuset.mems
		echo 1 >/proc/sys/vm/compact_memory ;;
	*)	reclaim 8M
		offline ;;
	esac
	now=$(cat $ksm/pages_sharing)
	[ "$now" -le "$shared" ] || shared=$now
	rounds=$((rounds + 1))
	sleep 0.1
done 2>/dev/null
# The last of what has begun ends undisturbed.
tell 'touch stop'
until_true 240 heard "over, testing"
until_true 240 heard "over, compiling"
seconds=$(($(cut -d. -f1 /proc/uptime) - start))
swapped=$(($(vmstat pswpout) - swapped)) migrated=$(($(vmstat pgmigrate_success) - migrated))
compacted=$(($(vmstat compact_migrate_scanned) - compacted))
echo "# $rounds rounds in $seconds s: $swapped pages swapped out, $migrated migrated, $compacted scanned by compaction, $shared merged at a time"
echo "# memory blocks: $emptied emptied of pages, $lost not back"
objects=$(figure objects) tested=$(figure tested)
echo "# ${objects:-no} objects compiled, memtester run ${tested:-no} times"
is "it has tested its memory while that goes" [ "${tested:-0}" -ge 1 ]
is "and memtester finds no error" [ "$(grep -c '^guest: memtester failed' $out)" -eq 0 ]
is "it has compiled meanwhile" [ "${objects:-0}" -ge 3 ]
is "the same each time" [ "$(grep -c '^guest: differs' $out)" -eq 0 ]
is "pages were swapped" [ $swapped -gt 1000 ]
is "migrated" [ $migrated -gt 1000 ]
is "compacted" [ $compacted -gt 0 ]
is "merged" [ "$shared" -gt 0 ]
is "and taken offline" [ $emptied -gt 0 ]
is "and all blocks came back" [ $lost -eq 0 ]
echo 0 >$ksm/run

# ---- the clock ----

tell 'rm -f *.o x.c; dd if=/dev/urandom of=fill bs=1M count=60 2>/dev/null; echo guest: filled $(md5sum <fill)'
until_true 40 heard filled
tries=0
# A guest that is not stopped brings some back.
until swapped 60 || [ $tries -gt 50 ]; do
	reclaim 32M
	tries=$((tries + 1))
done
swapped 50
was=$?
echo "# $(($(kib VmSwap) / 1024)) MiB swapped out, $(($(kib VmRSS) / 1024)) MiB not"
ask_clock begin
first_before=$before first_after=$after
sleep 20
ask_clock end
swapped 50
is "half of it is swapped out, and still is 20 s later" [ $((was + $?)) -eq 0 ]
its=$(($(figure end) - $(figure begin)))
least=$((before - first_after)) most=$((after - first_before))
echo "# hundredths of a second: $its for the guest, $least to $most for the parent"
is "what passes for the guest passes for the parent, to a tenth" \
	[ $((its * 10 >= least * 9 && its * 10 <= most * 11)) -eq 1 ]
tell 'echo guest: kept $(md5sum <fill)'
until_true 40 heard kept
is "what was swapped out is as it was" \
	[ "$(tr -d '\r' <$out | sed -n 's/^guest: kept //p')" = "$(tr -d '\r' <$out | sed -n 's/^guest: filled //p')" ]
tell 'poweroff -f'
wait "$pid"
exec 3>&-
rmdir $group
[ "$bad" = 0 ] || tail -n 60 $out | tr -d '\r' | sed 's/^/# guest: /'
exit "$bad"
