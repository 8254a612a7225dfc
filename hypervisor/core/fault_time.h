/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a second-level fault that the parent serves costs, in parts, as the hypervisor sees the parent come and go (option
 * "time_faults"). The driver is not asked, so any driver's faults are timed alike.
 *
 *	exit		from the child's exit until the parent runs: the message, the world switch
 *	look		from there to its map call: what Linux and the driver do to find the page
 *	map		in MAP_GPA_PAGES; of several calls all but the time between them
 *	return		from there to DISPATCH_VP
 *	dispatch	from there until the child runs
 *
 * Laws
 *  - Only whole faults count: from the exit of a child's processor to its next entry on the same processor, by way of a map call and a
 *    DISPATCH_VP. An access that the VMM emulates is none, and where the hypervisor schedules children there are none.
 *  - Whatever else the parent does meanwhile (an interrupt, another thread) is in the part it falls into: the figures are for a
 *    machine with one processor that does nothing else.
 *
 * Context: the processor itself; no lock, but for fault_time_child_enters().
 */
#ifndef CORE_FAULT_TIME_H
#define CORE_FAULT_TIME_H

#include "types.h"

struct cpu;
struct vp;

enum fault_part {
	FAULT_PART_NONE,
	FAULT_PART_EXIT,
	FAULT_PART_LOOK,
	FAULT_PART_MAP,
	FAULT_PART_RETURN,
	FAULT_PART_DISPATCH,
	FAULT_PARTS
};

/**
 * struct fault_time - the fault in hand on one processor
 * @part: whose time it is now; FAULT_PART_NONE: there is no fault
 * @since: TSC at which it became so
 * @mapped: there was a map call
 * @partition: id of the child that was entered last
 * @vp: its processor
 * @ticks: of each part until then
 */
struct fault_time {
	enum fault_part part;
	u64 since;
	bool mapped;
	u64 partition;
	u32 vp;
	u64 ticks[FAULT_PARTS];
};

/* The child that was entered last has left; @fault: by a second-level fault. */
void fault_time_child_left(struct cpu *cpu, bool fault);

/* @vp of a child is about to be entered. Lock: the partition's. */
void fault_time_child_enters(struct cpu *cpu, const struct vp *vp);

/* The parent is about to be entered, or has left. */
void fault_time_parent_enters(struct cpu *cpu);
void fault_time_parent_left(struct cpu *cpu);

/* Why it has left: hypercall @code. */
void fault_time_call(struct cpu *cpu, u16 code);

#endif
