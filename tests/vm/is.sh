# shellcheck shell=sh disable=SC2034
# SPDX-License-Identifier: GPL-2.0-only
#
# is.sh - results of a shell test that speaks KTAP: n counts them, bad is 1 after a failure.

n=0 bad=0

is() { # WHAT CONDITION...
	what=$1
	shift
	n=$((n + 1))
	if "$@"; then
		echo "ok $n - $what"
	else
		echo "# not so: $*"
		echo "not ok $n - $what"
		bad=1
	fi
}

skip() { # WHAT WHY
	n=$((n + 1))
	echo "ok $n - $1 # SKIP $2"
}
