// SPDX-License-Identifier: GPL-2.0-only
/*
 * A child's time.  Scales and laws: clock.h.
 */
#include <hvabi/cpuid.h>
#include "clock.h"
#include "cpu.h"
#include "deadline.h"
#include "interrupt.h"
#include "partition.h"
#include "platform.h"
#include "time.h"
#include "translate.h"
#include "vp.h"

void clock_start(struct partition *p)
{
	p->clock = (struct partition_clock){ .zero = time_reference(platform_tsc()) };
}

u64 clock_at(const struct partition *p, u64 tsc)
{
	return p->clock.frozen ? p->clock.frozen_at : tsc - p->clock.stopped;
}

u64 clock_now(const struct partition *p)
{
	return clock_at(p, platform_tsc());
}

u64 clock_to_tsc(const struct partition *p, u64 clock)
{
	if (p->clock.frozen || clock >= TIME_NEVER - p->clock.stopped)
		return TIME_NEVER;
	return clock + p->clock.stopped;
}

u64 clock_reference(const struct partition *p, u64 clock)
{
	return time_reference(clock + p->clock.tsc_offset) - p->clock.zero;
}

u64 clock_of_reference(const struct partition *p, u64 reference)
{
	u64 now = clock_now(p), tsc_now = now + p->clock.tsc_offset, since = clock_reference(p, now), tsc;

	if (reference <= since)
		return 0;
	if (reference - since > TIME_NEVER - time_reference(tsc_now))
		return TIME_NEVER;
	tsc = time_tsc(time_reference(tsc_now) + (reference - since));
	return tsc == TIME_NEVER || tsc - tsc_now >= TIME_NEVER - now ? TIME_NEVER : now + (tsc - tsc_now);
}

static void update_all(const struct partition *p)
{
	for (u32 i = 0; i < MAX_VPS; i++)
		if (p->vps[i])
			deadline_update(p->vps[i]);
}

void clock_set_reference(struct partition *p, u64 reference)
{
	p->clock.zero += clock_reference(p, clock_now(p)) - reference;
	p->clock.page_stale = true;
	update_all(p);
}

u64 vp_tsc(const struct vp *vp)
{
	return clock_now(vp->partition) + vp->tsc_offset;
}

u64 vp_rdtsc_offset(const struct vp *vp)
{
	return vp->tsc_offset - vp->partition->clock.stopped;
}

u64 vp_tsc_deadline(const struct vp *vp)
{
	u64 deadline = apic_read_tsc_deadline(&vp->apic);

	return deadline ? deadline + vp->tsc_offset : 0;
}

void vp_set_tsc_deadline(struct vp *vp, u64 value)
{
	u64 clock = clock_now(vp->partition), tsc = clock + vp->tsc_offset, deadline = 0;

	if (value && value <= tsc)
		deadline = clock ? clock : 1;
	else if (value)
		deadline = value - tsc < TIME_NEVER - clock ? clock + (value - tsc) : TIME_NEVER - 1;
	apic_write_tsc_deadline(&vp->apic, deadline);
}

void vp_set_tsc(struct vp *vp, u64 value)
{
	struct partition *p = vp->partition;
	u64 deadline = vp_tsc_deadline(vp), clock = clock_now(p), reference = clock_reference(p, clock);

	vp->tsc_offset = value - clock;
	if (!vp->index) {
		p->clock.tsc_offset = vp->tsc_offset;
		p->clock.zero = time_reference(value) - reference;
		/* Rounding may have moved when a reference time comes by a tick. */
		update_all(p);
	}
	p->clock.page_stale = true;
	vp_set_tsc_deadline(vp, deadline);
	deadline_update(vp);
}

void clock_left(struct partition *p)
{
	struct partition_clock *c = &p->clock;
	u64 seen = platform_tsc() - c->stopped;

	if (c->frozen && seen > c->frozen_at)
		c->frozen_at = seen;
}

/* A processor that was called out and has not left yet sees the time until now. */
static void thaw(struct partition *p)
{
	for (u32 i = 0; i < MAX_VPS; i++)
		if (p->vps[i] && p->vps[i]->running)
			clock_left(p);
	p->clock.stopped = platform_tsc() - p->clock.frozen_at;
}

void clock_freeze(struct cpu *cpu, struct partition *p, bool freeze)
{
	struct partition_clock *c = &p->clock;

	if (c->frozen == freeze)
		return;
	if (freeze)
		c->frozen_at = clock_now(p);
	else
		thaw(p);
	c->frozen = freeze;
	update_all(p);
	for (u32 i = 0; i < MAX_VPS; i++) {
		struct vp *vp = p->vps[i];

		if (vp && freeze && vp->running)
			cpu_kick(vp->cpu);
		else if (vp && !freeze && !vp->running && !vp_suspended(vp))
			vp_signal(cpu, vp);
	}
}

/* Processors whose TSCs differ cannot share a page: sequence 0 sends them to the counter (TLFS 12.7). */
static bool one_tsc(const struct partition *p)
{
	for (u32 i = 0; i < MAX_VPS; i++)
		if (p->vps[i] && p->vps[i]->tsc_offset != p->clock.tsc_offset)
			return false;
	return true;
}

bool clock_page_refresh(struct partition *p, u64 *gpa)
{
	struct partition_clock *c = &p->clock;
	struct hvabi_reference_tsc_page page = {
		.tsc_scale = time_scale(), .tsc_offset = 0 - c->zero,
	};
	u64 where = align_down(p->reference_tsc_msr, PAGE_SIZE);
	const u32 invalid = 0;
	u32 sequence = 0;

	if (!c->page_stale || !(p->reference_tsc_msr & HVABI_MSR_PAGE_ENABLE)) {
		c->page_stale = false;
		return true;
	}
	/* Neither 0 nor all ones, which an older interface had for "invalid". */
	if (one_tsc(p))
		sequence = c->page_sequence + 1 < 0xffffffffu ? c->page_sequence + 1 : 1;
	/* Another processor may be reading: nothing there is valid until all of it is. */
	if (write_guest(p, where, &invalid, sizeof(invalid)) != HVABI_TRANSLATE_SUCCESS) {
		*gpa = where;
		return false;
	}
	write_guest(p, where, &page, sizeof(page));
	write_guest(p, where, &sequence, sizeof(sequence));
	if (sequence)
		c->page_sequence = sequence;
	c->page_stale = false;
	return true;
}
