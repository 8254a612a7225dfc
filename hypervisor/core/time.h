/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Time.  The clock of everything is the TSC, which runs at one rate on all processors;
 * reference time (TLFS 12) is the TSC in units of 100 ns.
 */
#ifndef CORE_TIME_H
#define CORE_TIME_H

#include "types.h"

#define TIME_NEVER	(~0ull)		/* a TSC value, or a reference time, that does not come */

/* Learn how fast the TSC runs; once, before anything else here. */
void time_init(u64 tsc_hz);

/* 10^7 / tsc_hz as a 64.64 fraction: the scale of reference TSC pages. */
u64 time_scale(void);

/* The reference time at @tsc, counted from TSC 0; rounded down. */
u64 time_reference(u64 tsc);

/* The first TSC value at which @reference has come; TIME_NEVER if it is too far off. */
u64 time_tsc(u64 reference);

#endif
