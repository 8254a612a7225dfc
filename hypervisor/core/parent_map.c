// SPDX-License-Identifier: GPL-2.0-only
/*
 * The parent's second-level map.
 */
#include <hvabi/memory.h>
#include <hvabi/partition.h>
#include <hvabi/status.h>
#include "npt.h"
#include "parent_map.h"
#include "partition.h"
#include "platform.h"

#define ALL_RIGHTS (HVABI_MAP_GPA_READABLE | HVABI_MAP_GPA_WRITABLE | HVABI_MAP_GPA_EXECUTABLE)

struct partition parent;
static struct pool heap;
static struct counters parent_counters;

u64 parent_heap_bytes(u64 ram_bytes)
{
	/* One table for each 2 MiB, one more for each GiB, and the top levels. */
	return (ram_bytes >> BLOCK_SHIFT) * PAGE_SIZE + (ram_bytes >> 30) * PAGE_SIZE +
	       1024 * PAGE_SIZE;
}

void parent_init(u64 base, u64 bytes)
{
	pool_init(&heap, 0);
	heap.never_refuses = true;
	for (u64 spa = base; spa < base + bytes; spa += PAGE_SIZE)
		pool_put(&heap, spa);
	pool_init(&parent.pool, 0);
	parent.id = HVABI_PARTITION_ID_SELF;
	parent.is_parent = true;
	parent.state = PARTITION_ACTIVE;
	parent.counters = &parent_counters;
	parent.stats = parent.ports = (struct slots){ 0 };
	parent.npt = (struct npt){ .pool = &heap, .owner = &parent };
}

static void must(u16 status)
{
	if (status != HVABI_STATUS_SUCCESS)
		platform_panic("out of memory for the parent's map");
}

void parent_map(struct cpu *cpu, u64 base, u64 end, bool huge)
{
	struct npt_change change;
	u64 gfn = base >> PAGE_SHIFT, last = end >> PAGE_SHIFT;

	npt_change_begin(&change, &parent.npt, cpu);
	while (gfn < last) {
		u32 level = NPT_4K;

		if (aligned(gfn, npt_pages(NPT_2M)) && last - gfn >= npt_pages(NPT_2M))
			level = NPT_2M;
		if (huge && aligned(gfn, npt_pages(NPT_1G)) && last - gfn >= npt_pages(NPT_1G))
			level = NPT_1G;
		must(npt_set(&change, gfn, level, npt_leaf(gfn, level, ALL_RIGHTS)));
		gfn += npt_pages(level);
	}
	npt_change_end(&change);
}

void parent_hide(struct cpu *cpu, u64 base, u64 end)
{
	struct npt_change change;

	npt_change_begin(&change, &parent.npt, cpu);
	for (u64 gfn = base >> PAGE_SHIFT; gfn < end >> PAGE_SHIFT; gfn++)
		must(npt_set(&change, gfn, NPT_4K, npt_leaf(0, NPT_4K, HVABI_MAP_GPA_NO_ACCESS)));
	npt_change_end(&change);
}

void parent_show(struct cpu *cpu, u64 gpa, u64 spa)
{
	struct npt_change change;

	npt_change_begin(&change, &parent.npt, cpu);
	must(npt_set(&change, gpa >> PAGE_SHIFT, NPT_4K,
		     npt_leaf(spa >> PAGE_SHIFT, NPT_4K, HVABI_MAP_GPA_READABLE)));
	npt_change_end(&change);
}

void parent_take(struct cpu *cpu, const u64 *pfns, u32 count)
{
	struct npt_change change;

	npt_change_begin(&change, &parent.npt, cpu);
	for (u32 i = 0; i < count; i++)
		must(npt_set(&change, pfns[i], NPT_4K,
			     npt_leaf(0, NPT_4K, HVABI_MAP_GPA_NO_ACCESS)));
	npt_change_end(&change);
}

void parent_give(struct cpu *cpu, const u64 *pfns, u32 count)
{
	struct npt_change change;

	npt_change_begin(&change, &parent.npt, cpu);
	for (u32 i = 0; i < count; i++)
		must(npt_set(&change, pfns[i], NPT_4K, npt_leaf(pfns[i], NPT_4K, ALL_RIGHTS)));
	npt_change_end(&change);
}
