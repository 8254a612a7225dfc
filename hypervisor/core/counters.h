/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Event counters.  Each event is counted twice: for the processor it happened
 * on and for the partition it is about.  Names: include/hvabi/debug.h.
 */
#ifndef CORE_COUNTERS_H
#define CORE_COUNTERS_H

#include <hvabi/debug.h>
#include "types.h"

struct counters {
	u64 value[HVABI_COUNT_MAX];
};

struct cpu;
struct partition;

/*
 * Count @n events.  Only @cpu itself counts on it; a partition's counters take additions from all
 * processors.  No lock.
 */
void count(struct cpu *cpu, struct partition *p, enum hvabi_debug_counter which, u64 n);

#endif
