#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# The mshv command in the parent: what it prints, how it exits, what it refuses.

n=0 bad=0

# Runs a command line; its exit code and a text of its output must be these.
check() { # WHAT CODE TEXT COMMAND...
	what=$1 wanted=$2 text=$3
	shift 3
	n=$((n + 1))
	"$@" >/tmp/cli.out 2>&1
	got=$?
	if [ "$got" -eq "$wanted" ] && grep -qF -- "$text" /tmp/cli.out; then
		echo "ok $n - $what"
	else
		sed 's/^/# said: /' /tmp/cli.out | tail -n 5
		echo "# exit code $got, expected $wanted with '$text'"
		echo "not ok $n - $what"
		bad=1
	fi
}

echo "KTAP version 1"
echo "1..81"
check "--help" 0 "usage: mshv VERB" mshv --help
check "--version" 0 "mshv " mshv --version
check "-h" 0 "usage: mshv VERB" mshv -h
check "help of a verb" 0 "usage: mshv run [options] PAYLOAD" mshv help run
check "no standard output" 1 "standard output: Bad file descriptor" sh -c 'mshv --help >&-'
check "a full disk" 1 "standard output: No space left on device" sh -c 'mshv --help >/dev/full'
check "no verb" 2 "usage: mshv VERB" mshv
check "unknown verb" 2 "mshv: fly: unknown verb" mshv fly
check "hello" 0 "Hello from the guest: 64 MiB, 1 processor" mshv run hello
check "memory and processors" 0 "Hello from the guest: 128 MiB, 2 processors" \
	mshv run -m 128M -c 2 hello
check "pinned" 0 "Hello from the guest: 16 MiB" mshv run --pinned -m 16M hello
check "prefault" 0 "checked 7168 pages" mshv run --prefault -m 32M -c 2 stamp
check "prefault and pinned" 2 "run: --prefault: not with --pinned" mshv run --prefault --pinned hello
check "stamps from two processors" 0 "checked 7168 pages" mshv run -m 32M -c 2 stamp
check "small pages" 0 "checked 7168 pages" mshv run -s -m 32M stamp
# As much as takes longer than a second anywhere.
check "a payload with commands has a timeout, too" 1 "has not reported within" mshv run -t 1 -m 768M -s stamp
check "bad seconds" 2 "--timeout: not seconds: 0" mshv run -t 0 hello
check "an unknown option" 2 "mshv: run: unknown option: --fast (try 'mshv run --help')" mshv run --fast hello
check "in one line" 0 "1" sh -c 'mshv run --fast 2>&1 | wc -l'
check "an option without its value" 2 "run: no value for: --memory" mshv run --memory
check "a payload without a name" 2 "run: the payload's name is empty" mshv run ""
check "a driver that is not there" 1 "mshv: stat: /dev/nowhere: No such file or directory" \
	env MSHV_DEVICE=/dev/nowhere mshv stat
check "an operand too much" 2 "hv: unexpected: now" mshv hv now
check "bad size" 2 "--memory: not a size: 3x" mshv run -m 3x hello
check "a suffix that is a blank" 2 "--memory: not a size: 64 " mshv run -m "64 " hello
check "no whole pages" 2 "--memory: not a size: 65537" mshv run -m 65537 hello
check "too little memory" 1 "8 MiB to 16 GiB" mshv run -m 1M hello
check "too many processors" 2 "--cpus: not 1 to 8: 9" mshv run -c 9 hello
check "no payload" 2 "run: no payload" mshv run
check "a payload that is not there" 1 "No such file or directory" mshv run nothing
head -c 5000 /dev/urandom >/tmp/garbage
check "a payload that is garbage" 1 "no static x86-64 ELF program" mshv run /tmp/garbage
: >/tmp/empty
check "an empty payload" 1 "/tmp/empty: empty" mshv run /tmp/empty
head -c 80 /usr/lib/mshv/hello >/tmp/short
check "a payload that is cut off" 1 "outside of the file" mshv run /tmp/short
# An undefined instruction at its entry, and nobody to take the exception: the processor shuts down.
cp /usr/lib/mshv/hello /tmp/broken
# Through a file: what dd reads from a pipe may be less than a block, and then the entry stays whole.
tr "\000" "\377" </dev/zero | head -c 4096 >/tmp/undefined
dd if=/tmp/undefined of=/tmp/broken bs=4096 seek=1 conv=notrunc 2>/dev/null
check "a payload that is none shows where it stood" 1 " rip 0x" mshv run -t 5 /tmp/broken
check "a dynamic program is no payload" 1 "no static x86-64 ELF program" \
	mshv run /usr/bin/mshv
check "a kernel that is not there" 1 "mshv: /tmp/nothing: No such file or directory" mshv run -k /tmp/nothing
check "a kernel that is none" 1 "mshv: /tmp/garbage: not a bzImage" mshv run --kernel /tmp/garbage
check "a kernel without a name" 2 "run: the kernel's name is empty" mshv run --kernel ""
check "a kernel and a payload" 2 "run: unexpected: hello" mshv run -k /tmp/garbage hello
check "an initial RAM disk for a payload" 2 "run: --initrd: only with --kernel" mshv run -i /tmp/garbage hello
check "a disk for a payload" 2 "run: --disk: only with --kernel" mshv run -d /tmp/garbage hello
check "a control socket for a payload" 2 "run: --control: only with --kernel" mshv run --control /tmp/socket hello
check "a network for a payload" 2 "run: --net: only with --kernel" mshv run -n user hello
check "a console for a payload" 2 "run: --console: only with --kernel" mshv run --console serial hello
check "a network that there is not" 2 "run: --net: not user or user,PROTOCOL:PORT:GUESTPORT: tap0" \
	mshv run -k /tmp/garbage --net tap0
check "a port that there is not" 2 "from 1 to 65535: tcp:70000:22" \
	mshv run -k /tmp/garbage --net user,udp:1:1,tcp:70000:22,tcp:1:1
check "a protocol that there is not" 2 "run: --net: not tcp:PORT:GUESTPORT or udp:PORT:GUESTPORT" \
	mshv run -k /tmp/garbage --net user,icmp:1:1
check "half a forwarded port" 2 "from 1 to 65535: tcp:22" mshv run -k /tmp/garbage --net user,tcp:22
check "a console that there is not" 2 "run: --console: not serial or virtio: vga" \
	mshv run -k /tmp/garbage --console vga
check "no guests" 0 "no guests" mshv list
check "no guests as JSON" 0 "[]" mshv list --json
check "nobody to pause" 2 "pause: no guest named" mshv pause
check "nobody of that name" 1 "mshv: stop: web: no such guest (see mshv list)" mshv stop web
check "a row that is not there" 2 "demo: no such row: flying" mshv demo flying
check "OpenMetrics of no guest" 0 "mshv_partitions 0" mshv stat --openmetrics
check "two formats at once" 2 "stat: --log, --json and --openmetrics exclude each other" mshv stat --json --openmetrics
check "OpenMetrics without zeros" 2 "stat: --openmetrics: not with --skip-zero" mshv stat --openmetrics -z
check "HTTP of something else" 2 "stat: --http: only with --openmetrics" mshv stat --http
check "a request that never ends" 0 "HTTP/1.1 400 Bad Request" sh -c 'printf "GET /metrics HTTP/1.1\r\n" | mshv stat --openmetrics --http'
check "statistics by HTTP without a driver" 0 "HTTP/1.1 503 Service Unavailable" \
	sh -c 'printf "GET /metrics HTTP/1.1\r\n\r\n" | MSHV_DEVICE=/dev/nowhere mshv stat --openmetrics --http'
check "an answer to HEAD" 0 "HTTP/1.1 200 OK" sh -c 'printf "HEAD /metrics HTTP/1.1\r\n\r\n" | mshv stat --openmetrics --http'
check "it ends with the head" 0 "nothing of it" \
	sh -c 'printf "HEAD /metrics HTTP/1.1\r\n\r\n" | mshv stat --openmetrics --http | grep EOF || echo nothing of it'
check "a name that is an escape sequence" 1 "stop: ?[2Jx: no such guest" sh -c 'mshv stop "$(printf "\033[2Jx")"'
check "a map of no guest" 0 "no partitions" mshv map
check "a map of no lines" 2 "map: --rows: not 1..100000: 0" mshv map --rows 0
check "a map of a process that is none" 1 "map: /proc/999999: No such file or directory" mshv map --pid 999999
check "a record where nothing can be" 1 "record: /nowhere/x: No such file or directory" mshv record /nowhere/x
check "a record on a full disk" 1 "record: /dev/full: No space left on device" mshv record --force --count 1 /dev/full
check "a record of a process that is none" 1 "record: /proc/999999: No such file or directory" mshv record --pid 999999 -
check "a record in too many parts" 2 "record: --parts: not 1..256: 257" mshv record --parts 257
check "a report of nothing" 1 "report: /tmp/empty: empty" mshv report /tmp/empty
check "a report of something else" 1 "report: /tmp/other:1: not a file of mshv record" sh -c 'echo "{}" >/tmp/other; mshv report /tmp/other'
# A gnuplot that is only a script: what it draws is whole, cut off as on a full disk, or nothing.
mkdir -p /tmp/plot /tmp/folder.svg/x
printf '#!/bin/sh\ncat >/dev/null\nprintf "%%b" "$DRAWS"\nexit ${CODE:-0}\n' >/tmp/plot/gnuplot
chmod +x /tmp/plot/gnuplot
zeros='"invalidations-clear":0,"invalidations-unmap":0,"invalidations-protect":0,"invalidations-migrate":0'
zeros="$zeros"',"invalidations-release":0,"invalidations-other":0,"deposited-pages":0'
{
	echo '{"mshv-record":1,"start":1700000000,"interval":1,"parts":1}'
	echo '{"time":0,"partition":1,"pid":1,"command":"a\u001b[2Jb","state":"active","counters":{'"$zeros"'},' \
		'"memory":0,"absent":0,"small":0,"large":0,"swapped":0,"shared":0}'
} >/tmp/one.record
draw() { # OUTPUT
	PATH=/tmp/plot:$PATH mshv report -o "$1" /tmp/one.record
}
export DRAWS='<svg>\n</svg>\n' CODE=0
check "a report of one sample, its name made harmless" 0 "partition 1 (a?[2Jb, pid 1, active): 1 samples" draw /tmp/one.svg
cp /tmp/one.svg /tmp/one.before
DRAWS='<svg>\n<path d="M 1'
check "a picture that is cut off" 1 "report: /tmp/one.svg.part: the picture is not whole" draw /tmp/one.svg
check "the one before is there, and no part" 0 "as before" \
	sh -c 'cmp /tmp/one.svg /tmp/one.before && [ ! -e /tmp/one.svg.part ] && echo as before'
DRAWS='<svg></svg>'
check "where a picture cannot be" 1 "report: /tmp/folder.svg: Is a directory" draw /tmp/folder.svg
CODE=3
check "a gnuplot that fails" 1 "report: /tmp/one.svg: gnuplot has failed" draw /tmp/one.svg
check "and nothing of it is left" 0 "none" sh -c 'ls /tmp/*.part 2>/dev/null || echo none'
unset DRAWS CODE
check "a report of an idle minute" 1 "report: -: no guest ran" sh -c 'mshv record --count 1 - | mshv report -'
check "counters" 0 "call.create_partition" mshv hv
check "counters as JSON" 0 '"exit.cpuid": ' mshv hv --json
exit "$bad"
