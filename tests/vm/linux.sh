#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# A Linux guest in movable memory: it boots, works, is told the time, and ends; alone and while the
# parent takes its pages away. What the guest says comes on its console (rig/guest-init).

# shellcheck source=tests/vm/linux_common.sh disable=SC2016
. ./linux_common.sh

# A command inside; options of mshv run come first, then --.
guest() { # [OPTION...] -- COMMAND
	options=
	while [ "$1" != -- ]; do
		options="$options $1"
		shift
	done
	# shellcheck disable=SC2086  # a list of options
	run_linux $out "$2" $options
}

# The guest's figure behind a word, such as "ticks 123".
figure() { # WORD
	tr -d '\r' <$out | sed -n "s/^guest: .*\\<$1 \\([0-9]*\\).*/\\1/p" | tail -n 1
}

# A guest in the background; its pid is in $pid. Ends when it ends.
guest_in_background() { # as guest
	guest "$@" &
	shell=$!
	tries=0
	until pid=$(pidof mshv) || [ $tries -gt 50 ]; do
		sleep 0.1
		tries=$((tries + 1))
	done
}

echo "KTAP version 1"
echo "1..15"

guest -m 256M -- 'true'
said $? "guest: up, Linux" "1 processors" "guest: ended with 0"
report $? "one processor"

mshv run -k $kernel -i $kernel.initrd -m 256M -t 500 --append "console=ttyS0 quiet panic=-1 run=\"true\"" </dev/null 2>$out >/dev/full
code=$?
[ $code -eq 1 ] && grep -q "what the guest has printed: No space left on device" $out
report $? "what a full disk did not take is said"

guest -m 256M -- 'set -- $(grep HVS: /proc/interrupts); echo guest: ticks $2'
said $? "guest: ended with 0" && [ "$(figure ticks)" -gt 20 ]
report $? "synthetic timers tick"

guest -m 256M -- 'dmesg | grep -i -e unst[a]ble -e sp[u]rious -e nob[o]dy.cared -e st[a]ll && exit 3; grep -q x2apic /proc/cpuinfo'
said $? "guest: ended with 0"
report $? "its kernel sees nothing odd"

guest -m 256M -c 2 -- 'taskset 1 true && taskset 2 true; set -- $(grep RES: /proc/interrupts) $(grep CAL: /proc/interrupts); echo guest: ipis $(($2 + $3 + $7 + $8))'
said $? "2 processors" "guest: ended with 0" && [ "$(figure ipis)" -gt 0 ]
report $? "two processors and interrupts between them"

guest -m 256M -c 4 -- 'true'
said $? "4 processors" "guest: ended with 0"
report $? "more processors than the parent has"

# Idle is blocked: the hypervisor counts how often a processor waited.
before=$(counter blocked)
guest -m 256M -- 'sleep 4'
after=$(counter blocked)
said $? "guest: ended with 0" && [ $((after - before)) -gt 10 ]
why="$why blocked $((after - before)) times"
report $? "an idle guest waits in the hypervisor"

# Input: what comes on the console's other side.
{ sleep 12; echo 'echo guest: got $((6 * 7)); poweroff -f'; sleep 20; } |
	mshv run --kernel $kernel --initrd $kernel.initrd -t 400 -m 256M --append "console=ttyS0 quiet panic=-1" >$out 2>&1
said $? "guest: got 42"
report $? "a shell on the console"

guest -m 256M -- 'reboot -f'
said $? "mshv: the guest has reset itself"
report $? "a reset"

guest -m 256M -- 'echo c >/proc/sysrq-trigger'
said $? "mshv: the guest has reset itself" "Kernel panic"
report $? "a panic"

guest_in_background -m 256M -- 'echo guest: sleeping; sleep 100'
await $out "guest: sleeping"
kill -KILL "$pid"
wait "$shell"
why="partitions left: $(mshv stat 2>&1)"
good=0
mshv stat | grep -q "no partitions" || good=1
grep -qF "guest: sleeping" $out || good=1
report $good "killed while it is blocked"

guest -m 256M -- 'verify --vm 1 --vm-bytes 60% -t 12 --oomable'
said $? "guest: ended with 0"
report $? "memory verified, undisturbed"

# The parent takes pages away in all ways that it has, one after the other.
group=/sys/fs/cgroup/linux-test
round() { # NUMBER
	echo 16M >$group/memory.reclaim
	[ $(($1 % 4)) -ne 3 ] || echo 1 >/proc/sys/vm/compact_memory
	# Memory follows its group from node to node.
	echo $(($1 % 2)) >$group/cpuset.mems
}
enter_group() {
	mkdir -p $group
	echo 0-1 >$group/cpuset.mems
	echo "$pid" >$group/cgroup.procs
}
disturb() {
	enter_group
	rounds=0
	while [ -d "/proc/$pid" ]; do
		round $rounds
		rounds=$((rounds + 1))
		sleep 0.2
	done 2>/dev/null
	rmdir $group
}
stat() { # NAME
	awk -v name="$1" '$1 == name { print $2 }' /proc/vmstat
}
verified() {
	grep -c "guest: verified" $out
}
# The guest verifies its memory again and again, until enough of it has gone and come back, and once more.
for cpus in 1 2; do
	guest_in_background -m 256M -c $cpus -- "while verify --vm 1 --vm-bytes 60% -t 4 --oomable; do echo guest: verified; done"
	await $out "guest: up"
	swapped=$(stat pswpout)
	migrated=$(stat pgmigrate_success)
	enter_group
	rounds=0 last=
	while [ -d "/proc/$pid" ] && [ $rounds -lt 1000 ]; do
		round $rounds
		rounds=$((rounds + 1))
		if [ -z "$last" ] && [ $(($(stat pswpout) - swapped)) -gt 1000 ] &&
		   [ $(($(stat pgmigrate_success) - migrated)) -gt 1000 ]; then
			last=$(($(verified) + 2))
		fi
		[ -z "$last" ] || [ "$(verified)" -lt $last ] || break
		sleep 0.2
	done 2>/dev/null
	figures="$rounds rounds, $(($(stat pswpout) - swapped)) pages swapped out, $(($(stat pgmigrate_success) - migrated)) migrated"
	figures="$figures, $(verified) times verified"
	good=1
	[ -z "$last" ] || [ "$(verified)" -lt $last ] || grep -q "guest: ended" $out || good=0
	mshv stop "$pid"
	wait "$shell"
	rmdir $group
	echo "# $cpus processors: $figures"
	why=$figures
	report $good "memory verified while its pages go, $cpus processors"
done

# The clock: what passes for the guest is what passes for the parent, also for one that waits for its
# pages. A line may be seen late, so it is said a few times, and the least lateness is that of the clock.
lateness() { # WORD: of the guest's clock, in seconds; in $late
	late= seen=0 tries=0
	until [ $seen -ge 4 ] || [ $tries -gt 1200 ]; do
		if [ "$(grep -c "guest: $1 [0-9]" $out)" -gt $seen ]; then
			seen=$((seen + 1))
			# The guest's first: what it is behind is never taken for less.
			then=$(figure "$1")
			behind=$(($(cut -d. -f1 /proc/uptime) - then))
			[ -n "$late" ] && [ "$late" -le $behind ] || late=$behind
		fi
		sleep 0.1
		tries=$((tries + 1))
	done
}

guest_in_background -m 256M -- 'tell() { for i in 1 2 3 4; do echo guest: $1 $(cut -d. -f1 /proc/uptime); sleep 1; done; }; tell before; timeout 10 stress-ng -q --vm 1 --vm-bytes 50%; tell after'
await $out "guest: before"
lateness before
before=$late
disturb &
lateness after
wait "$shell"
code=$?
drift=$((late - before))
said $code "guest: ended with 0" && [ -n "$before" ] && [ -n "$late" ] && [ $drift -ge -2 ] && [ $drift -le 3 ]
good=$?
why="$why guest's clock behind the parent's: $before s, then $late s"
report $good "its clock does not drift while its memory is swapped"
exit $bad
