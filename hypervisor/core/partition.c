// SPDX-License-Identifier: GPL-2.0-only
/*
 * Life of a partition.  States and memory: partition.h.
 */
#include <hvabi/partition.h>
#include <hvabi/status.h>
#include <hvabi/vp.h>
#include "clock.h"
#include "cpu.h"
#include "options.h"
#include "partition.h"
#include "platform.h"
#include "port.h"
#include "sched.h"
#include "shootdown.h"
#include "stats.h"
#include "vp.h"

struct cpu *cpus[MAX_CPUS];
u32 cpu_count;

/* Slot 0 is never used: the parent's pool goes by it. */
static struct partition *children[MAX_PARTITIONS];
static u64 generation;

void count(struct cpu *cpu, struct partition *p, enum hvabi_debug_counter which, u64 n)
{
	cpu->counters.value[which] += n;
	if (p && p->counters)
		__atomic_fetch_add(&p->counters->value[which], n, __ATOMIC_RELAXED);
}

struct partition *child_find(u64 id)
{
	struct partition *p = children[id % MAX_PARTITIONS];

	return p && p->id == id ? p : NULL;
}

struct partition *partition_find(u64 id)
{
	return id == HVABI_PARTITION_ID_SELF ? &parent : child_find(id);
}

struct partition *partition_of_slot(u16 slot)
{
	return children[slot];
}

struct partition *child_from_slot(u32 slot)
{
	for (; slot < MAX_PARTITIONS; slot++)
		if (children[slot])
			return children[slot];
	return NULL;
}

static u16 free_slot(void)
{
	for (u16 slot = 1; slot < MAX_PARTITIONS; slot++)
		if (!children[slot])
			return slot;
	return 0;
}

u16 partition_create(struct cpu *cpu, u64 flags, bool isolated, u64 *id)
{
	u16 slot = free_slot();
	struct partition *p;
	u64 spa;

	if (!slot)
		return HVABI_STATUS_NO_RESOURCES;
	spa = pool_get(&parent.pool, cpu);
	if (!spa)
		return HVABI_STATUS_INSUFFICIENT_MEMORY;
	p = platform_phys(spa);
	p->id = ++generation * MAX_PARTITIONS + slot;
	p->page = spa;
	p->slot = slot;
	p->creation_flags = flags;
	clock_start(p);
	p->isolated = isolated;
	p->scheduled = option(HVABI_OPTION_SCHEDULER) == HVABI_SCHEDULER_OPTION_INTEGRATED;
	if (p->scheduled)
		sched_partitions(1);
	pool_init(&p->pool, slot);
	p->npt = (struct npt){ .pool = &p->pool, .owner = p };
	children[slot] = p;
	*id = p->id;
	return HVABI_STATUS_SUCCESS;
}

u16 partition_initialize(struct cpu *cpu, struct partition *p)
{
	u64 counters, root;

	if (p->state != PARTITION_CREATED)
		return HVABI_STATUS_INVALID_PARTITION_STATE;
	counters = pool_get(&p->pool, cpu);
	root = counters ? pool_get(&p->pool, cpu) : 0;
	if (!root) {
		if (counters)
			pool_put(&p->pool, counters);
		return HVABI_STATUS_INSUFFICIENT_MEMORY;
	}
	p->counters_page = counters;
	p->counters = platform_phys(counters);
	p->npt.root = root;
	p->state = PARTITION_ACTIVE;
	return HVABI_STATUS_SUCCESS;
}

void partition_finalize(struct cpu *cpu, struct partition *p)
{
	p->tlb_generation++;
	evict(cpu, p);
	stats_forget(cpu, p);
	for (u32 i = 0; i < MAX_VPS; i++)
		if (p->vps[i])
			vp_destroy(p->vps[i]);
	ports_forget(p);
	npt_destroy(&p->npt);
	if (p->counters)
		pool_put(&p->pool, p->counters_page);
	p->counters = NULL;
	p->state = PARTITION_FINALIZED;
}

u16 partition_delete(struct partition *p)
{
	if (p->state == PARTITION_ACTIVE)
		return HVABI_STATUS_INVALID_PARTITION_STATE;
	if (p->pool.deposited || p->exclusive_pages)
		return HVABI_STATUS_OBJECT_IN_USE;
	if (p->scheduled)
		sched_partitions(-1);
	children[p->slot] = NULL;
	pool_put(&parent.pool, p->page);
	return HVABI_STATUS_SUCCESS;
}

static struct intercept *intercept_row(struct partition *p, u32 type, u64 parameter)
{
	struct intercept *unused = NULL;

	for (u32 i = 0; i < MAX_INTERCEPTS; i++) {
		struct intercept *row = &p->intercepts[i];

		if (!row->access)
			unused = row;
		else if (row->type == type && row->parameter == parameter)
			return row;
	}
	return unused;
}

u16 intercept_install(struct partition *p, u32 type, u64 parameter, u32 access)
{
	struct intercept *row = intercept_row(p, type, parameter);

	if (!row)
		return access ? HVABI_STATUS_INSUFFICIENT_BUFFERS : HVABI_STATUS_SUCCESS;
	*row = (struct intercept){ access, type, parameter };
	p->exceptions = 0;
	for (u32 i = 0; i < MAX_INTERCEPTS; i++)
		if (p->intercepts[i].access &&
		    p->intercepts[i].type == HVABI_INTERCEPT_TYPE_EXCEPTION)
			p->exceptions |= 1u << p->intercepts[i].parameter;
	return HVABI_STATUS_SUCCESS;
}

bool intercept_wanted(const struct partition *p, u32 type, u64 parameter, u32 access)
{
	for (u32 i = 0; i < MAX_INTERCEPTS; i++) {
		const struct intercept *row = &p->intercepts[i];

		if ((row->access & access) && row->type == type && row->parameter == parameter)
			return true;
	}
	return false;
}
