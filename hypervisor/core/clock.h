/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A child's time.  Three scales, each a difference to the one before:
 *
 *	TSC of the machine  --(what it stood still for)-->  clock of the partition
 *	clock  --(vp->tsc_offset)-->  TSC of a processor
 *	TSC of processor 0  --(scale, partition zero)-->  reference time (TLFS 12)
 *
 * Laws:
 *	- The clock stands while the VMM has frozen it (property TIME_FREEZE), and at least until the
 *	  last processor has left: what the child saw is never taken back.  Nothing expires meanwhile.
 *	- Timers are kept by the clock.  A TSC deadline is the child's number: a TSC that is set moves it.
 *	- Setting a TSC does not move reference time, and setting reference time does not move a TSC.
 *	- The reference TSC page is right, or invalid, whenever a processor is entered.
 *
 * Lock: the partition's.
 */
#ifndef CORE_CLOCK_H
#define CORE_CLOCK_H

#include "types.h"

struct cpu;
struct partition;
struct vp;

/**
 * struct partition_clock
 * @stopped: TSC ticks for which it has stood
 * @frozen: it stands, at @frozen_at
 * @tsc_offset: of processor 0: the TSC that reference time is counted by
 * @zero: reference time of that TSC's 0, negated; modulo 2^64
 * @page_stale: the reference TSC page has to be written anew; @page_sequence: the last one in it
 */
struct partition_clock {
	u64 stopped, frozen_at;
	u64 tsc_offset, zero;
	u32 page_sequence;
	bool frozen, page_stale;
};

/* Reference time 0 is now. */
void clock_start(struct partition *p);

/* The clock of @p when the machine's TSC is @tsc; and now. */
u64 clock_at(const struct partition *p, u64 tsc);
u64 clock_now(const struct partition *p);

/* The machine's TSC at which the clock comes to @clock: TIME_NEVER while it stands, or if it never was to come. */
u64 clock_to_tsc(const struct partition *p, u64 clock);

/* Reference time at @clock, in 100 ns. */
u64 clock_reference(const struct partition *p, u64 clock);

/* When a reference time comes: 0 if that is past already, TIME_NEVER if too far off. */
u64 clock_of_reference(const struct partition *p, u64 reference);

/* The reference time is @reference now. */
void clock_set_reference(struct partition *p, u64 reference);

/* The TSC of a processor, and setting it; what it runs by is loaded at its next entry. */
u64 vp_tsc(const struct vp *vp);
void vp_set_tsc(struct vp *vp, u64 value);

/* What RDTSC adds to the machine's TSC. */
u64 vp_rdtsc_offset(const struct vp *vp);

/* TSC deadline as the child writes and reads it. */
u64 vp_tsc_deadline(const struct vp *vp);
void vp_set_tsc_deadline(struct vp *vp, u64 value);

/* Stop the clock, or let it go on; processors that run are called out, such that wait are woken. */
void clock_freeze(struct cpu *cpu, struct partition *p, bool freeze);

/* A processor of @p has left the child: it saw the time until now. */
void clock_left(struct partition *p);

/*
 * Bring the reference TSC page up to date where that is due.  False: it cannot be written now; *@gpa is
 * the page that is missing, and the child must not run.
 */
bool clock_page_refresh(struct partition *p, u64 *gpa);

#endif
