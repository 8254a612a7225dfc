#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# in-parent.sh [CONFIG]: two guests at work, and everything that the mshv command tells of them, into /root/out. With CONFIG
# a real Prometheus asks for it, too. Says nothing of whether it is right: that is tests/operators/run's business, on the host.

out=/root/out
group=/sys/fs/cgroup/operators
kernel=/usr/lib/mshv/linux
mkdir -p $out $group
ip link set lo up

# A payload that stands still, with some of its memory in swap; its process has a name that is no UTF-8.
program=/root/$(printf 'p\377"q')
cp "$(command -v mshv)" "$program"
# shellcheck disable=SC2016  # expanded by the inner shell
sh -c 'echo $$ >$0/cgroup.procs; exec "$1" run -m 512M -s stamp' $group "$program" >$out/payload.txt 2>&1 &
payload=$!
# Before it is through.
for _ in $(seq 600); do
	[ "$(mshv stat --json --pid $payload | sed -n 's/.*"pages-mapped-small": \([0-9]*\).*/\1/p')" -ge 16384 ] 2>/dev/null && break
	sleep 0.1
done
kill -STOP $payload
echo 32M >$group/memory.reclaim
# The other one works as long as anybody looks.
mshv run -k $kernel -i $kernel.initrd -t 500 -m 256M \
	--append "console=ttyS0 quiet panic=-1 run=\"stress-ng -q --vm 1 --vm-bytes 48M --vm-keep -t 480\"" \
	</dev/null >$out/linux.txt 2>&1 &
linux=$!
for _ in $(seq 900); do
	grep -q "up, Linux" $out/linux.txt && break
	sleep 0.1
done

echo "$payload $linux" >$out/pids
for verb in stat regions map; do
	mshv $verb --json >$out/$verb.json
done
mshv stat --json --skip-zero >$out/stat-skip-zero.json
mshv hv --json >$out/hv.json
mshv list --json >$out/list.json
# Its socket by hand: what is right, and what is not.
cat >$out/control-requests.jsonl <<END
{"do":"status"}
{"do":"accessed","parts":16}
{"do":"balloon","size":268435456}
{"do":"pause"}
{"do":"accessed","parts":1}
{"do":"resume"}
END
cat >$out/control-wrong.jsonl <<END
{"do":"accessed","parts":257}
{"do":"balloon","size":"256M"}
{"do":"status","size":1}
{"do":"restart"}
{"size":1}
["status"]
END
cat $out/control-requests.jsonl $out/control-wrong.jsonl | ./ask /run/mshv/$linux.sock >$out/control-answers.jsonl
mshv map >$out/map.txt
mshv map --json --pid $payload >$out/map-payload.json
mshv stat --json --pid $payload >$out/stat-payload.json
# A guest that has not answered within two seconds, because all stood still, is left out of the next samples.
for _ in 1 2 3 4 5; do
	mshv record --force --count 8 $out/record.jsonl 2>$out/record.err
	code=$?
	grep -q "no answer within" $out/record.err || break
done
echo $code >$out/record.code
# A file that is there stays as it is.
mshv record --count 1 $out/record.jsonl 2>$out/record.again
echo $? >>$out/record.code
mshv record --count 1 --force --no-heat --pid $payload $out/no-heat.jsonl
echo $? >>$out/record.code
# Until it is told to end, and a whole line is the last one.
mshv record $out/signal.jsonl &
recorder=$!
for _ in $(seq 600); do
	[ "$(wc -l 2>/dev/null <$out/signal.jsonl)" -ge 3 ] 2>/dev/null && break
	sleep 0.1
done
kill -INT $recorder 2>/dev/null
sleep 1
kill -TERM $recorder 2>/dev/null
wait $recorder
echo $? >>$out/record.code
mshv stat --openmetrics >$out/metrics-1.txt

nc -ll -p 9813 -e mshv stat --openmetrics --http &
server=$!
for _ in $(seq 600); do
	grep -q ":$(printf %04X 9813) " /proc/net/tcp /proc/net/tcp6 && break
	sleep 0.1
done
wget -q -O $out/http.txt http://127.0.0.1:9813/metrics
wget -O /dev/null http://127.0.0.1:9813/ 2>$out/http-404.txt
mshv stat --openmetrics >$out/metrics-2.txt

if [ $# -eq 1 ]; then
	ask() { # FILE PATH
		wget -q -O "$out/$1" "http://127.0.0.1:9090/api/v1/$2"
	}
	prometheus --config.file="$1" --storage.tsdb.path=/tmp/tsdb --web.listen-address=127.0.0.1:9090 \
		--log.level=warn 2>$out/prometheus.txt &
	prometheus=$!
	# Until it has asked four times and found both guests.
	for _ in $(seq 120); do
		sleep 1
		ask scrapes.json 'query?query=count_over_time(mshv_partitions[10m])' || continue
		grep -q '"value":\[[0-9.]*,"\([4-9]\|[1-9][0-9]\)"' $out/scrapes.json && break
	done
	# A scrape that took longer than a scrape may, because all stood still, is not what is to be seen.
	for _ in $(seq 30); do
		ask info.json 'query?query=mshv_partition_info'
		ask deposited.json 'query?query=mshv_deposited_bytes'
		ask rate.json 'query?query=rate(mshv_faults_total[1m])'
		ask targets.json targets
		ask rules.json rules
		ask metadata.json metadata
		mshv stat --json >$out/stat-after.json
		grep -q '"health":"up"' $out/targets.json && grep -q "\"$payload\"" $out/info.json && grep -q "\"$linux\"" $out/info.json &&
			! grep -q '"state":"pending"' $out/rules.json && break
		sleep 2
	done
	kill $prometheus
	wait $prometheus 2>/dev/null
fi
kill $server
kill -CONT $payload
kill $payload 2>/dev/null
echo '{"do":"stop"}' | ./ask /run/mshv/$linux.sock >>$out/control-answers.jsonl
kill $linux 2>/dev/null
wait
exit 0
