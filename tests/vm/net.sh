#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# A Linux guest's network: it gets an address, fetches and sends files, and is reached through a forwarded
# port; also while the pages that frames go through are swapped out and migrated. The parent is the
# only other side: nothing of it needs the Internet.

# shellcheck source=tests/vm/is.sh disable=SC2016,SC2317
. ./is.sh
# shellcheck source=tests/vm/guest.sh
. ./guest.sh

group=/sys/fs/cgroup/net-test
www=/tmp/www
MIB=8
mkdir -p $group $www
echo 0-1 >$group/cpuset.mems
dd if=/dev/urandom of=$www/file bs=1M count=$MIB 2>/dev/null
whole=$(md5sum <$www/file | cut -c 1-32)
httpd -p 127.0.0.1:8080 -h $www

# Words behind what the guest said.
words() { # WORD
	tr -d '\r' <$out | sed -n "s/^guest: $1 //p"
}

vmstat() { # NAME
	sed -n "s/^$1 //p" /proc/vmstat
}

received() {
	[ "$(stat -c %s /tmp/got 2>/dev/null)" = $((MIB << 20)) ]
}

echo "KTAP version 1"
echo "1..16"

guest -m 256M -c 2 --net user,tcp:9090:80 --append "console=ttyS0 quiet panic=-1"
is "a guest with a network" heard "up, Linux"
tell 'echo guest: address $(ip -4 addr show dev eth0 | grep -o inet.*/24) via $(ip route | grep default)'
until_true 20 heard address
is "its address, by DHCP" [ "$(words address)" = "inet 10.0.2.15/24 via default via 10.0.2.2 dev eth0" ]
tell 'echo guest: rng $(cat /sys/class/misc/hw_random/rng_current) $(dd if=/dev/hwrng bs=64 count=64 2>/dev/null | gzip | wc -c)'
until_true 20 heard rng
rng=$(words rng)
is "it has a source of entropy" [ "${rng% *}" = virtio_rng.0 ]
is "that nothing makes smaller" [ "${rng#* }" -ge 4096 ]

tell 'wget -q -O /tmp/file http://10.0.2.2:8080/file; echo guest: got $(md5sum </tmp/file)'
until_true 60 heard got
is "a file of $MIB MiB is fetched" [ "$(words got | cut -c 1-32)" = "$whole" ]

# A listener whose input is over hangs up.
sleep 120 | nc -l -p 9000 >/tmp/got &
until_true 20 grep -q ":$(printf %04X 9000) " /proc/net/tcp /proc/net/tcp6
tell 'nc 10.0.2.2 9000 </tmp/file; echo guest: sent $?'
until_true 60 received
is "and sent back" [ "$(md5sum </tmp/got | cut -c 1-32)" = "$whole" ]

tell 'mkdir /tmp/www; ln /tmp/file /tmp/www/file; httpd -p 80 -h /tmp/www; echo guest: serves $?'
until_true 20 heard "serves 0"
is "it is reached through a forwarded port" \
	[ "$(wget -q -O - http://127.0.0.1:9090/file | md5sum | cut -c 1-32)" = "$whole" ]
mshv run -k $kernel --net user,tcp:9090:80 >/tmp/said 2>&1
is "a port that is taken is none for another guest" [ $? -eq 1 ]
is "and the error says which" grep -qF "forward tcp port 9090: Address already in use" /tmp/said

echo "# frames: $(number sent) sent, $(number received) received, $(number dropped) dropped, $(number lost) lost"
is "its frames are counted" [ $(($(number sent) > 1000 && $(number received) > 1000)) -eq 1 ]

# Both ways at once, while the guest's pages go.
swapped=$(vmstat pswpout) migrated=$(vmstat pgmigrate_success)
echo "$pid" >$group/cgroup.procs
tell 'for i in 1 2 3; do wget -q -O /tmp/file.$i http://10.0.2.2:8080/file; echo guest: again $(md5sum </tmp/file.$i); rm /tmp/file.$i; done; echo guest: over'
rounds=0 served=0 tries=0
(
	while ! heard over && [ -d "/proc/$pid" ]; do
		[ "$(wget -q -O - http://127.0.0.1:9090/file | md5sum | cut -c 1-32)" = "$whole" ] || exit 1
		echo "served" >>/tmp/served
	done
) &
server=$!
until heard over || [ ! -d "/proc/$pid" ]; do
	echo 32M >$group/memory.reclaim
	echo $((rounds % 2)) >$group/cpuset.mems
	[ $((rounds % 8)) -ne 7 ] || echo 1 >/proc/sys/vm/compact_memory
	rounds=$((rounds + 1))
	sleep 0.1
done 2>/dev/null
wait $server
served_right=$?
served=$(grep -c . /tmp/served)
swapped=$(($(vmstat pswpout) - swapped)) migrated=$(($(vmstat pgmigrate_success) - migrated))
echo "# frames: $(number sent) sent, $(number received) received, $(number dropped) dropped, $(number lost) lost"
echo "# $rounds rounds, $swapped pages swapped out, $migrated migrated; served $served times meanwhile"
is "fetched three times while its pages go" [ "$(words again | grep -c "^$whole")" -eq 3 ]
is "and served meanwhile" [ $served_right -eq 0 ]
is "at least once" [ "$served" -ge 1 ]
is "and they went" [ $((swapped > 1000 && migrated > 1000)) -eq 1 ]

# Its connections do not keep it.
tell 'wget -q -O /dev/null http://10.0.2.2:8080/file & nc 10.0.2.2 8080 & sleep 0.2; reboot -f'
wait "$pid"
is "it ends with its network at work" [ $? -eq 0 ]
exec 3>&-
is "and nobody listens any more" [ "$(wget -q -O - http://127.0.0.1:9090/file | wc -c)" -eq 0 ]
rmdir $group
exit "$bad"
