// SPDX-License-Identifier: GPL-2.0-only
/*
 * TSC and reference time.  No 128-bit division: there is no compiler library here.
 */
#include "time.h"

#define REFERENCE_HZ	10000000ull

static u64 hz, scale;

void time_init(u64 tsc_hz)
{
	u64 quotient = 0, remainder = REFERENCE_HZ;

	for (u32 i = 0; i < 64; i++) {
		remainder <<= 1;
		quotient <<= 1;
		if (remainder >= tsc_hz) {
			remainder -= tsc_hz;
			quotient |= 1;
		}
	}
	hz = tsc_hz;
	scale = quotient;
}

u64 time_scale(void)
{
	return scale;
}

u64 time_reference(u64 tsc)
{
	return (u64)((unsigned __int128)tsc * scale >> 64);
}

u64 time_tsc(u64 reference)
{
	u64 seconds = reference / REFERENCE_HZ, rest = reference % REFERENCE_HZ, tsc;

	if (seconds >= TIME_NEVER / hz - 1)
		return TIME_NEVER;
	tsc = seconds * hz + rest * hz / REFERENCE_HZ;
	/* The scale is cut off at its 64th bit: step over what rounding took. */
	while (time_reference(tsc) < reference)
		tsc++;
	return tsc;
}
