#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# mshv stat and mshv regions while a guest runs: the numbers must be those of the guest.

. ./is.sh

value() { awk -v key="$1" '$1 == key { print $2 }' /tmp/stat; }

# Of the largest region: field N of mshv regions.
field() { awk -v n="$1" '$1 ~ /^0x/ && $2 + 0 > most + 0 { most = $2; v = $n } END { print v }' /tmp/regions; }

says() { grep -qF -- "$2" "$1"; }

echo "KTAP version 1"
echo "1..20"

mshv stat >/tmp/stat
is "without a guest there is nothing" says /tmp/stat "no partitions"

mshv run -m 512M -s stamp >/tmp/run.out 2>&1 &
guest=$!
# Until it has touched some of its memory.
for _ in $(seq 120); do
	sleep 1
	mshv stat >/tmp/stat
	[ "$(value pages-mapped-small)" -gt 4096 ] 2>/dev/null && break
done
kill -STOP $guest
# A fault that has begun is served to its end first.
for _ in $(seq 600); do
	grep -q "^State:.[^T]" /proc/$guest/task/*/status || break
	sleep 0.1
done
mshv stat >/tmp/stat
mshv regions >/tmp/regions
mshv stat --json >/tmp/stat.json
mshv regions --json >/tmp/regions.json
# It stays stopped: where it runs fast it would be at its end before the rest is asked.
mshv top --count 2 >/tmp/top
kill -CONT $guest

is "the partition is named with its VMM" says /tmp/stat "(mshv, pid $guest, active"
is "faults were served" [ "$(value faults-served)" -gt 8 ]
is "pages were mapped" [ "$(value pages-mapped-small)" -gt 4096 ]
is "no fewer pages than faults" [ "$(value pages-mapped-small)" -ge "$(value faults-served)" ]
is "as many pages were asked for as mapped" [ "$(value map-reps)" -ge "$(value pages-mapped-small)" ]
is "calls carry more than one page" [ "$(value map-calls)" -lt "$(value map-reps)" ]
is "memory is lent for it" [ "$(value deposited-pages)" -gt 200 ]
is "no fault failed" [ "$(value faults-without-page)" -eq 0 ]
is "the region is listed" [ "$(field 2)" -ge 500000 ]
is "and its kind" [ "$(field 4)" = movable ]
is "and its rights" [ "$(field 5)" = rwx ]
is "its faults are part of the partition's" [ "$(field 8)" -le "$(value faults-served)" ]
is "stat --json" says /tmp/stat.json '"command": "mshv", "state": "active"'
is "regions --json" says /tmp/regions.json '"kind": "movable", "rights": "rwx", "blocks": '
is "top names the partition with its VMM" [ "$(awk -v p="$guest" '$1 == p' /tmp/top | wc -l)" -eq 2 ]
is "and shows its memory" [ "$(awk -v p="$guest" '$1 == p { print $4; exit }' /tmp/top)" -eq 512 ]
is "all its faults at the first look" [ "$(awk -v p="$guest" '$1 == p { print $7; exit }' /tmp/top)" -ge "$(value faults-served)" ]
is "none at the second, as it stands still" [ "$(awk -v p="$guest" '$1 == p { n = $7 } END { print n }' /tmp/top)" -eq 0 ]
mshv stat --log --count 2 >/tmp/stat.log
is "a log has a line an interval" [ "$(grep -c '^ *[0-9]' /tmp/stat.log)" -eq 2 ]
kill $guest 2>/dev/null
wait
exit $bad
