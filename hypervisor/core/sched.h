/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The scheduler of children's processors, for a parent that has none itself (boot option
 * "scheduler=integrated"): it clears a processor's suspend registers, and hears by a message that the
 * processor stands in an intercept.
 *
 * Laws
 *  - A processor that can run runs, or is in the queue, once.  Whoever lets it run calls sched_wake().
 *  - INTERCEPT_SUSPEND is set by an intercept if and only if a message of it has been or will be
 *    delivered.
 *  - While the queue is not empty, no processor of the parent rests that was not kicked: no wake-up is
 *    lost.
 *  - The parent is never starved: what interrupts it ends the stay of a child.  One that does not rest
 *    has its processor for a slice before a child gets it, and a child for a slice at most.
 *  - A child is never starved: the queue is served in turn, and one that waits has an alarm set that
 *    takes the processor from whoever has had it for a slice.
 *
 * "Rests": the parent stands in HLT with interrupts on.  What the processor does with it is svm/parent.c's.
 * A slice's end needs the platform's timer; without one it is as late as the next exit.
 *
 * Lock: the world exclusively, as it is whenever there is a partition that is scheduled here; sched_active() may be
 * asked sharing it, and sched_wake() called, which then has nothing to do.
 */
#ifndef CORE_SCHED_H
#define CORE_SCHED_H

#include "platform.h"
#include "types.h"

struct cpu;
struct partition;
struct vp;

/**
 * struct cpu_sched - of one processor of the parent
 * @since: TSC at which whoever has it now got it
 * @child: that is a child
 * @idle: the parent rests
 * @waiting: so does the processor itself, and nobody has kicked it
 * @stopped: the parent stands in HLT with interrupts off, as one does that is offline or has panicked: it
 *	is not given to children, as nobody would hear what they say
 */
struct cpu_sched {
	u64 since;
	bool child, idle, waiting, stopped;
};

/* A partition that is scheduled here comes (@count 1) or goes (-1). */
void sched_partitions(int count);

/* There is any. */
bool sched_active(void);

/* @vp may have become able to run. */
void sched_wake(struct vp *vp);

/* @vp goes, or leaves the queue for another reason. */
void sched_forget(struct vp *vp);

/* The processor that is to run on @cpu now, which is its from now on; NULL: the parent is. */
struct vp *sched_next(struct cpu *cpu, u64 now);

/* Run it, and look after what it left for.  True: the parent is wanted on @cpu.  No partition is locked. */
bool sched_run(struct cpu *cpu, struct vp *vp);

/* Has @vp, which runs on @cpu, to leave? */
bool sched_over(const struct cpu *cpu, const struct vp *vp, u64 now);

/* @cpu goes back to a parent that does not rest: somebody else may have to take what waits. */
void sched_pass(void);

/* The time has come that was set by deadline_slice(). */
void sched_tick(struct cpu *self, u64 now);

/*
 * Run @vp, with its register page taken over before.  RUN_GONE: nothing of it is there any more.  Its
 * partition is active and locked, and it does not run elsewhere.
 */
enum run_result vp_run(struct cpu *cpu, struct vp *vp);

#endif
