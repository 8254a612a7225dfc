// SPDX-License-Identifier: GPL-2.0-only
/* See fault_time.h. */
#include "cpu.h"
#include "fault_time.h"
#include "options.h"
#include "partition.h"
#include "vp.h"
#include <hvabi/hypercall.h>

static void pass(struct fault_time *t)
{
	u64 now = platform_tsc();

	t->ticks[t->part] += now - t->since;
	t->since = now;
}

void fault_time_child_left(struct cpu *cpu, bool fault)
{
	struct fault_time *t = &cpu->fault_time;

	if (!fault || !option(HVABI_OPTION_TIME_FAULTS))
		return;
	memset(t->ticks, 0, sizeof(t->ticks));
	t->mapped = false;
	t->part = FAULT_PART_EXIT;
	t->since = platform_tsc();
}

void fault_time_child_enters(struct cpu *cpu, const struct vp *vp)
{
	struct fault_time *t = &cpu->fault_time;
	struct partition *p = vp->partition;
	bool same = t->partition == p->id && t->vp == vp->index;

	if (t->part != FAULT_PART_NONE)
		pass(t);
	if (t->part == FAULT_PART_DISPATCH && t->mapped && same && option(HVABI_OPTION_TIME_FAULTS)) {
		count(cpu, p, HVABI_COUNT_FAULT_TIMED, 1);
		for (u32 i = FAULT_PART_EXIT; i < FAULT_PARTS; i++)
			count(cpu, p, HVABI_COUNT_FAULT_TICKS_EXIT + i - FAULT_PART_EXIT, t->ticks[i]);
	}
	t->part = FAULT_PART_NONE;
	t->partition = p->id;
	t->vp = vp->index;
}

void fault_time_parent_enters(struct cpu *cpu)
{
	struct fault_time *t = &cpu->fault_time;

	if (t->part == FAULT_PART_NONE)
		return;
	pass(t);
	if (t->part == FAULT_PART_EXIT)
		t->part = FAULT_PART_LOOK;
	else if (t->part != FAULT_PART_LOOK)
		t->part = FAULT_PART_RETURN;
}

void fault_time_parent_left(struct cpu *cpu)
{
	if (cpu->fault_time.part != FAULT_PART_NONE)
		pass(&cpu->fault_time);
}

void fault_time_call(struct cpu *cpu, u16 code)
{
	struct fault_time *t = &cpu->fault_time;

	if (t->part == FAULT_PART_NONE)
		return;
	t->mapped |= code == HVABI_CALL_MAP_GPA_PAGES;
	if (code == HVABI_CALL_MAP_GPA_PAGES)
		t->part = FAULT_PART_MAP;
	else if (code == HVABI_CALL_DISPATCH_VP)
		t->part = FAULT_PART_DISPATCH;
}
