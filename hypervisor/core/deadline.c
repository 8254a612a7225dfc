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
#include "lock.h"
#include "platform.h"
#include "sched.h"
#include "time.h"
#include "vp.h"

static struct lock list;		/* of what follows, links in VPs included */
static struct vp *armed;
static u64 slice_end = TIME_NEVER;
static u64 earliest = TIME_NEVER;
static bool fired;			/* the platform's timer, and it was not set since */

static void lock(void)
{
	lock_acquire(&list, LOCK_DEADLINES);
}

static void unlock(void)
{
	lock_release(&list, LOCK_DEADLINES);
}

static void find_earliest(void)
{
	u64 next = slice_end;

	for (const struct vp *vp = armed; vp; vp = vp->deadline_next)
		next = min_u64(next, vp->deadline);
	if (next == earliest && !fired)
		return;
	__atomic_store_n(&earliest, next, __ATOMIC_RELAXED);
	fired = false;
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

/* @vp where it belongs now; true: that is another place. */
static bool move(struct vp *vp)
{
	u64 next = next_of(vp);

	if (next == vp->deadline)
		return false;
	take_out(vp);
	put_in(vp, next);
	return true;
}

void deadline_update(struct vp *vp)
{
	lock();
	if (move(vp))
		find_earliest();
	unlock();
}

void deadline_forget(struct vp *vp)
{
	lock();
	take_out(vp);
	find_earliest();
	unlock();
}

static void set_slice(u64 at)
{
	lock();
	slice_end = at;
	find_earliest();
	unlock();
}

/* Only who has the world exclusively sets slices. */
void deadline_slice(u64 at)
{
	set_slice(min_u64(slice_end, at));
}

void deadline_no_slice(void)
{
	if (slice_end != TIME_NEVER)
		set_slice(TIME_NEVER);
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

static void expire_due(struct cpu *cpu, struct vp *vp, u64 now)
{
	/* Another processor may have done so by now. */
	if (next_of(vp) > now)
		return;
	count(cpu, vp->partition, HVABI_COUNT_TIMER_EXPIRED, 1);
	if (expire(vp, now))
		vp_wake(cpu, vp);
}

void deadline_expire_vp(struct cpu *cpu, struct vp *vp, u64 now)
{
	expire_due(cpu, vp, now);
	deadline_update(vp);
}

static u32 count_due(u64 now)
{
	u32 due = 0;

	for (const struct vp *vp = armed; vp; vp = vp->deadline_next)
		due += vp->deadline <= now;
	return due;
}

/* The one that is in the list for the longest time: who is put in again comes last. */
static struct vp *take_due(u64 now)
{
	struct vp *due = NULL;

	lock();
	for (struct vp *vp = armed; vp; vp = vp->deadline_next)
		if (vp->deadline <= now)
			due = vp;
	if (due)
		take_out(due);
	unlock();
	return due;
}

/* Each at most once, however soon it is due again; and the timer is set once, behind the last. */
void deadline_expire(struct cpu *cpu, u64 now)
{
	struct vp *vp;
	u32 due;

	if (!deadline_due(now))
		return;
	if (now >= slice_end) {
		deadline_no_slice();
		sched_tick(cpu, now);
	}
	lock();
	due = count_due(now);
	unlock();
	while (due-- && (vp = take_due(now))) {
		partition_lock(cpu, vp->partition);
		expire_due(cpu, vp, now);
		lock();
		move(vp);
		unlock();
		partition_unlock(cpu);
	}
	lock();
	find_earliest();
	unlock();
}

/*
 * Set once, for what comes next: each time that it is set it might fire just then, and its NMI be taken for another's
 * (boot/hpet.c).  So where something is due who expires it does so, and here only who was early.
 */
bool deadline_nmi(struct cpu *cpu, bool kicked, u64 now)
{
	bool mine;

	lock();
	mine = kicked ? platform_timer_passed(cpu) : platform_timer_nmi(cpu);
	fired |= mine && earliest != TIME_NEVER;
	if (fired && !deadline_due(now))
		find_earliest();
	unlock();
	return mine;
}
