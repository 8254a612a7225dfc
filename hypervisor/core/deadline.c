// SPDX-License-Identifier: GPL-2.0-only
/*
 * Deadlines of children.  How they are kept: deadline.h.
 *
 * Processors with a running timer are a list without order: a few dozen at most, and the
 * earliest is looked for only when the one that was it has changed.
 */
#include "clock.h"
#include "cpu.h"
#include "deadline.h"
#include "interrupt.h"
#include "platform.h"
#include "sched.h"
#include "time.h"
#include "vp.h"

static struct vp *armed;
static u64 slice_end = TIME_NEVER;
static u64 earliest = TIME_NEVER;

static void find_earliest(void)
{
	u64 next = slice_end;

	for (const struct vp *vp = armed; vp; vp = vp->deadline_next)
		next = min_u64(next, vp->deadline);
	if (next == earliest)
		return;
	__atomic_store_n(&earliest, next, __ATOMIC_RELAXED);
	platform_set_timer(next);
}

static void take_out(struct vp *vp)
{
	if (vp->deadline == TIME_NEVER)
		return;
	if (vp->deadline_prev)
		vp->deadline_prev->deadline_next = vp->deadline_next;
	else
		armed = vp->deadline_next;
	if (vp->deadline_next)
		vp->deadline_next->deadline_prev = vp->deadline_prev;
	vp->deadline = TIME_NEVER;
}

static void put_in(struct vp *vp, u64 deadline)
{
	vp->deadline = deadline;
	if (deadline == TIME_NEVER)
		return;
	vp->deadline_prev = NULL;
	vp->deadline_next = armed;
	if (armed)
		armed->deadline_prev = vp;
	armed = vp;
}

static u64 next_of(const struct vp *vp)
{
	u64 next = vp->apic.deadline;

	for (u32 i = 0; i < HVABI_STIMERS; i++)
		if (vp->stimer[i].expiry != TIME_NEVER)
			next = min_u64(next, clock_of_reference(vp->partition, vp->stimer[i].expiry));
	return clock_to_tsc(vp->partition, next);
}

void deadline_update(struct vp *vp)
{
	u64 next = next_of(vp);

	if (next == vp->deadline)
		return;
	take_out(vp);
	put_in(vp, next);
	find_earliest();
}

void deadline_forget(struct vp *vp)
{
	take_out(vp);
	find_earliest();
}

void deadline_slice(u64 at)
{
	slice_end = min_u64(slice_end, at);
	find_earliest();
}

void deadline_no_slice(void)
{
	if (slice_end == TIME_NEVER)
		return;
	slice_end = TIME_NEVER;
	find_earliest();
}

static bool expire(struct vp *vp, u64 now)
{
	u64 clock = clock_at(vp->partition, now), reference = clock_reference(vp->partition, clock);
	bool requested = apic_timer(&vp->apic, clock);

	for (u32 i = 0; i < HVABI_STIMERS; i++) {
		u8 vector = stimer_expire(&vp->stimer[i], reference);

		if (vector && apic_accept(&vp->apic, APIC_MODE_FIXED, vector, false))
			requested = true;
	}
	return requested || vp_synic_pending(vp);
}

bool deadline_due(u64 now)
{
	return now >= __atomic_load_n(&earliest, __ATOMIC_RELAXED);
}

void deadline_expire(struct cpu *cpu, u64 now)
{
	struct vp *vp, *next;

	if (!deadline_due(now))
		return;
	if (now >= slice_end) {
		slice_end = TIME_NEVER;
		sched_tick(cpu, now);
	}
	for (vp = armed; vp; vp = next) {
		bool requested;

		next = vp->deadline_next;
		if (now < vp->deadline)
			continue;
		requested = expire(vp, now);
		take_out(vp);
		put_in(vp, next_of(vp));
		count(cpu, vp->partition, HVABI_COUNT_TIMER_EXPIRED, 1);
		if (requested)
			vp_wake(cpu, vp);
	}
	find_earliest();
}

void deadline_alarm(struct cpu *cpu, u64 now)
{
	deadline_expire(cpu, now);
	if (earliest != TIME_NEVER)
		platform_set_timer(earliest);
}
