#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# mshv check as on a host whose hypervisor tells nothing: the driver is loaded anew, without its debug calls.

. ./is.sh

says() { grep -qE -- "$2" "$1"; }
silent() { ! grep -qE -- "$2" "$1"; }

echo "KTAP version 1"
echo "1..13"

rmmod mshv_movable && insmod "/lib/modules/$(uname -r)/updates/mshv_movable.ko"
is "the driver without debug calls" [ "$(cat /sys/module/mshv_movable/parameters/debug_hypercalls)" = N ]
mshv hv >/tmp/hv.out 2>&1
is "the hypervisor tells nothing" [ $? -eq 1 ]

mshv check --memory 320M --touch 64M --report /tmp/report >/tmp/check.out 2>&1
code=$?
[ $code -eq 0 ] || sed 's/^/# /' /tmp/check.out | tail -n 60
is "no row fails" [ $code -eq 0 ]
is "and it says what it could not show" says /tmp/check.out "not shown here: that the partition is deleted"
is "and who could not be asked" says /tmp/check.out "does not tell who reaches which page"
is "the report has kernel and hypervisor" says /tmp/report "^kernel: Linux [0-9]"
is "by name and version" says /tmp/report "^hypervisor: Microsoft Hv"
is "its capabilities" says /tmp/report "^vmm-capabilities: 0x"
is "each row" [ "$(grep -c '^row: ' /tmp/report)" -eq 12 ]
is "with counts" says /tmp/report "^counts: .* pages touched, .* resident"
is "and nothing personal" silent /tmp/report "$(hostname)|root|/root"

# A row that cannot run leaves the others alone.
mshv demo --memory 320M --touch 64M passthrough create touch >/tmp/demo.out 2>&1
is "the demonstration wants every row" [ $? -eq 1 ]
is "a row that cannot run spoils no other" says /tmp/demo.out "2 of 3 rows hold"

rmmod mshv_movable && insmod "/lib/modules/$(uname -r)/updates/mshv_movable.ko" debug_hypercalls=1
exit "$bad"
