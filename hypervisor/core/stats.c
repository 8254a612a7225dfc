// SPDX-License-Identifier: GPL-2.0-only
/*
 * Statistics pages.  Laws: stats.h.
 */
#include <hvabi/status.h>
#include "cpu.h"
#include "frame.h"
#include "parent_map.h"
#include "partition.h"
#include "platform.h"
#include "stats.h"
#include "time.h"
#include "vp.h"

/* One that is mapped; @own: of the parent's memory, otherwise of its pool. */
struct stats_page {
	u32 type;
	struct hvabi_stats_identity identity;
	u64 pfn;
	bool own;
};

static u64 next_refresh;

/* Of one writer at a time, so that no counter goes back. Pages and objects stay while the world is shared. */
static struct lock writer;

static struct stats_page *next_page(const struct stats_page *page)
{
	return slots_next(&parent.stats, page);
}

static struct stats_page *find(u32 type, const struct hvabi_stats_identity *identity)
{
	struct stats_page *page = next_page(NULL);

	while (page && (page->type != type || memcmp(&page->identity, identity, sizeof(*identity))))
		page = next_page(page);
	return page;
}

/* ---- what is known ---- */

static void partition_counters(const struct partition *p, u64 *out)
{
	out[HVABI_STATS_PT_DEPOSITED_PAGES] = p->pool.deposited;
	out[HVABI_STATS_PT_PARTITION_ID] = p->id;
	if (p->is_parent)
		out[HVABI_STATS_PT_VIRTUAL_PROCESSORS] = cpu_count;
	for (u32 i = 0; i < MAX_VPS; i++)
		out[HVABI_STATS_PT_VIRTUAL_PROCESSORS] += p->vps[i] != NULL;
}

static void vp_counters(const struct partition *p, u32 index, u64 *out)
{
	const struct vp *vp;

	if (p->is_parent) {
		out[HVABI_STATS_VP_HYPERCALLS] = cpus[index]->counters.value[HVABI_COUNT_EXIT_HYPERCALL];
		return;
	}
	vp = p->vps[index];
	out[HVABI_STATS_VP_TOTAL_RUN_TIME] = time_reference(vp->run_ticks);
	out[HVABI_STATS_VP_HYPERCALLS] = vp->hypercalls;
	out[HVABI_STATS_VP_DISPATCHES] = vp->dispatches;
}

static void fill(const struct stats_page *page)
{
	const struct partition *p = partition_find(page->identity.partition_id);
	u64 *out = platform_phys(page->pfn << PAGE_SHIFT), value[HVABI_STATS_VP_DISPATCHES + 1] = { 0 };

	switch (page->type) {
	case HVABI_STATS_HYPERVISOR:
		value[HVABI_STATS_HV_LOGICAL_PROCESSORS] = cpu_count;
		break;
	case HVABI_STATS_PARTITION:
		partition_counters(p, value);
		break;
	default:
		vp_counters(p, page->identity.vp_index, value);
		break;
	}
	memcpy(out, value, sizeof(value));
}

/* ---- pages ---- */

static void release(struct cpu *cpu, struct stats_page *page)
{
	if (page->own) {
		frame_put(page->pfn, 1);
	} else {
		parent_take(cpu, &page->pfn, 1);
		pool_put(&parent.pool, page->pfn << PAGE_SHIFT);
	}
	slots_put(&parent.stats, page, &parent.pool);
}

/* A page of the pool that the parent can read where it stands. */
static u64 chosen_page(struct cpu *cpu)
{
	u64 spa = pool_get(&parent.pool, cpu);

	if (spa)
		parent_show(cpu, spa, spa);
	return spa >> PAGE_SHIFT;
}

u16 stats_map(struct cpu *cpu, u32 type, const struct hvabi_stats_identity *identity, u64 *pfn)
{
	struct stats_page *old = find(type, identity), *page;

	if (*pfn && !frame_is_parents(*pfn))
		return HVABI_STATUS_INVALID_PARAMETER;
	if (old && (*pfn ? old->own && old->pfn == *pfn : !old->own)) {
		*pfn = old->pfn;
		return HVABI_STATUS_SUCCESS;
	}
	page = slots_get(&parent.stats, sizeof(*page), &parent.pool, cpu);
	if (!page)
		return HVABI_STATUS_INSUFFICIENT_MEMORY;
	page->pfn = *pfn ? *pfn : chosen_page(cpu);
	if (!page->pfn) {
		slots_put(&parent.stats, page, &parent.pool);
		return HVABI_STATUS_INSUFFICIENT_MEMORY;
	}
	page->type = type;
	page->identity = *identity;
	page->own = *pfn;
	if (page->own)
		frame_get(page->pfn, 1);
	if (old)
		release(cpu, old);
	memset(platform_phys(page->pfn << PAGE_SHIFT), 0, PAGE_SIZE);
	fill(page);
	next_refresh = 0;
	*pfn = page->pfn;
	return HVABI_STATUS_SUCCESS;
}

u16 stats_unmap(struct cpu *cpu, u32 type, const struct hvabi_stats_identity *identity)
{
	struct stats_page *page = find(type, identity);

	if (!page)
		return HVABI_STATUS_INVALID_PARAMETER;
	release(cpu, page);
	return HVABI_STATUS_SUCCESS;
}

static void forget(struct cpu *cpu, const struct partition *p, const struct vp *vp)
{
	struct stats_page *page, *next;

	for (page = next_page(NULL); page; page = next) {
		next = next_page(page);
		if (page->type == HVABI_STATS_HYPERVISOR || page->identity.partition_id != p->id)
			continue;
		if (!vp || (page->type == HVABI_STATS_VP && page->identity.vp_index == vp->index))
			release(cpu, page);
	}
}

void stats_forget(struct cpu *cpu, const struct partition *p)
{
	forget(cpu, p, NULL);
}

void stats_forget_vp(struct cpu *cpu, const struct vp *vp)
{
	forget(cpu, vp->partition, vp);
}

void stats_refresh(u64 now)
{
	u64 reference = time_reference(now);

	if (!parent.stats.first || reference < __atomic_load_n(&next_refresh, __ATOMIC_RELAXED))
		return;
	lock_acquire(&writer, LOCK_STATS);
	if (reference >= next_refresh) {
		__atomic_store_n(&next_refresh, reference + STATS_PERIOD, __ATOMIC_RELAXED);
		for (const struct stats_page *page = next_page(NULL); page; page = next_page(page))
			fill(page);
	}
	lock_release(&writer, LOCK_STATS);
}
