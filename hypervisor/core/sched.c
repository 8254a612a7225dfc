// SPDX-License-Identifier: GPL-2.0-only
/*
 * Scheduler of children's processors.  Laws: sched.h.
 */
#include "cpu.h"
#include "deadline.h"
#include "lock.h"
#include "partition.h"
#include "sched.h"
#include "synic.h"
#include "vp.h"

#define SLICES_A_SECOND	250u

static struct vp *first;
static struct vp **end = &first;
static int partitions;

void sched_partitions(int count)
{
	partitions += count;
}

bool sched_active(void)
{
	return partitions != 0;
}

static u64 slice(void)
{
	return platform_info.tsc_hz / SLICES_A_SECOND;
}

static bool can_run(const struct vp *vp)
{
	return vp->partition->scheduled && !vp->running && !vp->blocked && !vp->intercept_suspend &&
	       !vp_suspended(vp) && vp->overlay[VP_PAGE_MESSAGE];
}

/* One is enough: it takes the first of the queue, and hands on what else there is. */
static bool kick_waiting(void)
{
	for (u32 i = 0; i < cpu_count; i++) {
		if (!cpus[i]->sched.waiting)
			continue;
		cpus[i]->sched.waiting = false;
		cpu_kick(cpus[i]);
		return true;
	}
	return false;
}

void sched_wake(struct vp *vp)
{
	if (vp->queued || !can_run(vp))
		return;
	vp->queued = true;
	vp->run_next = NULL;
	*end = vp;
	end = &vp->run_next;
	if (!kick_waiting())
		deadline_slice(platform_tsc() + slice());
}

/* Is there anybody who may have to give way? */
static bool needs_alarm(void)
{
	bool needed = first;

	for (u32 i = 0; i < cpu_count; i++)
		needed |= cpus[i]->sched.child && !cpus[i]->sched.idle;
	return needed;
}

/* What it was set for may be over. */
static void review_alarm(void)
{
	if (!needs_alarm())
		deadline_no_slice();
}

void sched_forget(struct vp *vp)
{
	struct vp **at;

	if (!vp->queued)
		return;
	for (at = &first; *at != vp; at = &(*at)->run_next)
		;
	*at = vp->run_next;
	if (end == &vp->run_next)
		end = at;
	vp->queued = false;
	review_alarm();
}

/* The first of the queue that still can run. */
static struct vp *take(void)
{
	while (first) {
		struct vp *vp = first;

		sched_forget(vp);
		if (can_run(vp))
			return vp;
	}
	return NULL;
}

static bool has_had_slice(const struct cpu *cpu, u64 now)
{
	return now - cpu->sched.since >= slice();
}

struct vp *sched_next(struct cpu *cpu, u64 now)
{
	struct vp *vp;

	if (!first || cpu->sched.stopped || (!cpu->sched.idle && !has_had_slice(cpu, now)))
		return NULL;
	vp = take();
	if (!vp)
		return NULL;
	cpu->sched.child = true;
	cpu->sched.since = now;
	if (first)
		kick_waiting();
	if (first || !cpu->sched.idle)
		deadline_slice(now + slice());
	return vp;
}

bool sched_over(const struct cpu *cpu, const struct vp *vp, u64 now)
{
	if (!vp->partition->scheduled)
		return false;
	/* The parent can write that register, too. */
	return vp->intercept_suspend ||
	       ((first || !cpu->sched.idle) && has_had_slice(cpu, now));
}

bool sched_run(struct cpu *cpu, struct vp *vp)
{
	enum run_result result;

	partition_lock(cpu, vp->partition);
	result = vp_run(cpu, vp);
	partition_unlock(cpu);
	cpu->sched.child = false;
	cpu->sched.since = platform_tsc();
	switch (result) {
	case RUN_GONE:
		break;
	case RUN_INTERCEPT:
		count(cpu, vp->partition, HVABI_COUNT_OPAQUE_INTERCEPT, 1);
		synic_signal(cpu, vp);
		break;
	case RUN_BLOCKED:
		count(cpu, vp->partition, HVABI_COUNT_BLOCKED, 1);
		vp->blocked = true;
		break;
	case RUN_PREEMPTED:
	case RUN_STOPPED:
		sched_wake(vp);
		break;
	}
	review_alarm();
	return result == RUN_PREEMPTED;
}

void sched_pass(void)
{
	/* The one that was kicked may have been on its way already: then nobody looks before the alarm. */
	if (first && !kick_waiting())
		deadline_slice(platform_tsc() + slice());
}

/* Has somebody had the processor for long enough whom another waits for? */
static bool is_due(const struct cpu *cpu, u64 now)
{
	bool wanted = cpu->sched.child ? first || !cpu->sched.idle :
					 first && !cpu->sched.idle && !cpu->sched.stopped;

	return wanted && has_had_slice(cpu, now);
}

/* Parked processors are in no guest.  @self looks after itself, on its way back. */
void sched_tick(struct cpu *self, u64 now)
{
	for (u32 i = 0; i < cpu_count; i++)
		if (cpus[i] != self && __atomic_load_n(&cpus[i]->guest, __ATOMIC_ACQUIRE) &&
		    is_due(cpus[i], now))
			cpu_kick(cpus[i]);
	if (needs_alarm())
		deadline_slice(now + slice());
}

enum run_result vp_run(struct cpu *cpu, struct vp *vp)
{
	enum run_result result;
	u64 entered;

	vp_load_register_page(vp);
	vp_invalidate_register_page(vp);
	entered = platform_tsc();
	result = platform_run_vp(cpu, vp);
	if (result != RUN_GONE) {
		vp->run_ticks += platform_tsc() - entered;
		vp->dispatches++;
	}
	return result;
}
