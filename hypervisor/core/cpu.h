/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the core knows of a processor.  svm/ embeds this in its own structure.
 */
#ifndef CORE_CPU_H
#define CORE_CPU_H

#include "counters.h"
#include "fault_time.h"
#include "lock.h"
#include "platform.h"
#include "sched.h"
#include "synic.h"
#include "types.h"

#define MAX_CPUS 8u

struct partition;

/**
 * struct cpu - a processor that runs the parent
 * @index: VP index of the parent on this processor
 * @guest: partition in whose address space the processor may be right now, or
 *	NULL.  Set under the lock of that partition, for the parent the world;
 *	cleared by the processor itself after it left the guest, before it takes a lock.  Between two stays in
 *	a child with an exit that concerns nobody else it stays set: that exit
 *	takes no lock, and is part of the stay for everybody else.
 * @kick: a kick was sent and not yet seen.  Whoever kicks a processor in a child has
 *	the child's lock, and so has the processor when it looks; whoever kicks one in
 *	the parent has the world for himself.  In the parent a processor only shares the
 *	world when it looks: what it finds is from before, or was sent to it.
 * @locks: what it holds
 * @counters: events on this processor
 * @synic: the parent's synthetic interrupt controller here
 * @sched: who has the processor, where children are scheduled here (sched.h)
 * @fault_time: the fault in hand, if faults are timed
 * @hc_input: copy of the input block of the hypercall in hand, so that
 *	nothing can change it between check and use
 * @hc_output: its output, copied out at the end
 */
struct cpu {
	u32 index;
	u32 kick;
	struct partition *guest;
	struct cpu_locks locks;
	struct counters counters;
	struct synic synic;
	struct cpu_sched sched;
	struct fault_time fault_time;
	u8 hc_input[4096] __attribute__((aligned(16)));
	u8 hc_output[4096] __attribute__((aligned(16)));
};

/* All processors of the parent, dense by index. */
extern struct cpu *cpus[MAX_CPUS];
extern u32 cpu_count;

/* Make @cpu leave whatever partition it runs, soon; it knows the NMI for ours.  Lock: @kick. */
static inline void cpu_kick(struct cpu *cpu)
{
	__atomic_store_n(&cpu->kick, 1, __ATOMIC_RELAXED);
	platform_kick(cpu);
}

#endif
