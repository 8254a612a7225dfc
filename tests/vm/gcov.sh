#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# gcov.sh FOLDER - what the kernel's gcov has counted of the driver (make coverage-driver), loaded or not.
#
# Files of debugfs claim to be empty: they are read, not copied.

set -eu

mkdir -p "$1"
find /sys/kernel/debug/gcov -name '*.gcda' | while read -r file; do
	cat "$file" >"$1/${file##*/}"
done
