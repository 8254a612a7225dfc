// SPDX-License-Identifier: GPL-2.0-only
/*
 * Nested page tables: the algorithm.  Laws: npt.h; what an entry looks like: npte.h.
 */
#include <hvabi/status.h>
#include "cpu.h"
#include "frame.h"
#include "npt.h"
#include "options.h"
#include "partition.h"
#include "platform.h"
#include "pool.h"
#include "shootdown.h"

static u64 *table_at(u64 entry)
{
	return platform_phys(entry & NPTE_ADDRESS);
}

static u32 slot_index(u64 gfn, u32 level)
{
	return (u32)(gfn >> (9 * (level - 1))) & 511;
}

static u64 load(const u64 *slot)
{
	return __atomic_load_n(slot, __ATOMIC_RELAXED);
}

/* ---- iterator ---- */

void npt_iter_begin(struct npt_iter *it, const struct npt *npt, u64 gfn)
{
	u64 *table;

	*it = (struct npt_iter){ .npt = npt, .gfn = gfn, .level = NPT_ROOT };
	if (!npt->root || gfn >= NPT_GFN_LIMIT)
		return;
	table = platform_phys(npt->root);
	for (;;) {
		it->slot = &table[slot_index(gfn, it->level)];
		it->entry = load(it->slot);
		if (!npte_is_table(it->entry, it->level))
			return;
		table = table_at(it->entry);
		it->level--;
	}
}

void npt_iter_next(struct npt_iter *it)
{
	u64 pages = npt_pages(it->level);

	npt_iter_begin(it, it->npt, align_down(it->gfn, pages) + pages);
}

u64 npt_iter_pfn(const struct npt_iter *it)
{
	u64 base = npte_pfn(npt_iter_entry(it));

	return base + (it->gfn & (npt_pages(it->level) - 1));
}

static void drop_refs(const struct npt *npt, u64 entry, u32 level)
{
	if (npt->owner->is_parent || !npte_is_leaf(entry, level))
		return;
	frame_put(npte_pfn(entry), npt_pages(level));
}

/* ---- changes ---- */

void npt_change_begin(struct npt_change *change, struct npt *npt, struct cpu *cpu)
{
	*change = (struct npt_change){ .npt = npt, .cpu = cpu };
}

void npt_change_end(struct npt_change *change)
{
	for (u64 i = option(HVABI_OPTION_DELAY); i; i--)
		platform_relax();
	if (change->flush)
		shootdown(change->cpu, change->npt->owner);
	else if (change->age)
		change->npt->owner->tlb_generation++;
	while (change->freed) {
		u64 spa = change->freed;

		change->freed = *(u64 *)platform_phys(spa);
		pool_put(change->npt->pool, spa);
	}
}

static void cut_off_table(struct npt_change *change, u64 spa)
{
	__atomic_store_n((u64 *)platform_phys(spa), change->freed, __ATOMIC_RELAXED);
	change->freed = spa;
	if (change->table == (u64 *)platform_phys(spa))
		change->table = NULL;
	change->flush = true;
}

/* Drop the 512 entries of the level-1 table @entry points to, and the table. */
static void drop_table(struct npt_change *change, u64 entry)
{
	u64 *table = table_at(entry);

	for (u32 i = 0; i < 512; i++)
		drop_refs(change->npt, load(&table[i]), NPT_4K);
	cut_off_table(change, entry & NPTE_ADDRESS);
}

/* Replace a large leaf or no-access entry by a table that says the same. */
static u16 split(struct npt_change *change, u64 *slot, u32 level)
{
	u64 old = load(slot), spa = pool_get(change->npt->pool, change->cpu);
	u64 step = npte_is_leaf(old, level) ? npt_pages(level - 1) << PAGE_SHIFT : 0;
	u64 *table;

	if (!spa)
		return HVABI_STATUS_INSUFFICIENT_MEMORY;
	old = npte_below(old, level);
	table = platform_phys(spa);
	for (u64 i = 0; i < 512; i++)
		table[i] = old + i * step;
	/*
	 * A and D that hardware sets between the load above and the store
	 * below would be lost; set both where it may still write.
	 */
	old = __atomic_exchange_n(slot, npte_table(spa), __ATOMIC_RELEASE);
	if (old & NPTE_PRESENT)
		for (u64 i = 0; i < 512; i++)
			__atomic_fetch_or(&table[i], old & (NPTE_ACCESSED | NPTE_DIRTY),
					  __ATOMIC_RELAXED);
	if (npte_is_leaf(old, level) && level == NPT_2M && !change->npt->owner->is_parent)
		frame_split(npte_pfn(old));
	change->flush |= (old & NPTE_PRESENT) != 0;
	count(change->cpu, change->npt->owner,
	      level == NPT_1G ? HVABI_COUNT_SPLIT_1G : HVABI_COUNT_SPLIT, 1);
	return HVABI_STATUS_SUCCESS;
}

static u16 add_table(struct npt_change *change, u64 *slot)
{
	u64 spa = pool_get(change->npt->pool, change->cpu);

	if (!spa)
		return HVABI_STATUS_INSUFFICIENT_MEMORY;
	__atomic_store_n(slot, npte_table(spa), __ATOMIC_RELEASE);
	return HVABI_STATUS_SUCCESS;
}

/*
 * Walk to the entry of @level for @gfn; split what is larger.  With @add also
 * create the tables on the way; without, *slot is NULL where a hole ends the
 * walk early.
 */
static u16 walk_to(struct npt_change *change, u64 gfn, u32 level, bool add, u64 **slot)
{
	u64 *table;
	u16 status = HVABI_STATUS_SUCCESS;

	*slot = NULL;
	if (!change->npt->root) {
		if (add)
			change->npt->root = pool_get(change->npt->pool, change->cpu);
		if (!change->npt->root)
			return add ? HVABI_STATUS_INSUFFICIENT_MEMORY : status;
	}
	table = platform_phys(change->npt->root);
	for (u32 at = NPT_ROOT; at > level; at--) {
		u64 *s = &table[slot_index(gfn, at)];
		u64 entry = load(s);

		if (!entry && !add)
			return HVABI_STATUS_SUCCESS;
		if (!entry)
			status = add_table(change, s);
		else if (!npte_is_table(entry, at))
			status = split(change, s, at);
		if (status != HVABI_STATUS_SUCCESS)
			return status;
		table = table_at(load(s));
	}
	change->table = table;
	change->table_level = level;
	change->table_first = align_down(gfn, npt_pages(level + 1));
	*slot = &table[slot_index(gfn, level)];
	return HVABI_STATUS_SUCCESS;
}

/* The same, without a walk where the last one ended in the same table. */
static inline u16 find_slot(struct npt_change *change, u64 gfn, u32 level, bool add, u64 **slot)
{
	if (!change->table || change->table_level != level ||
	    (gfn ^ change->table_first) >> (9 * level))
		return walk_to(change, gfn, level, add, slot);
	*slot = &change->table[slot_index(gfn, level)];
	return HVABI_STATUS_SUCCESS;
}

/* @old is not in the tables any more, @entry stands there. */
static void drop_entry(struct npt_change *change, u32 level, u64 old, u64 entry)
{
	if (npte_is_table(old, level)) {
		drop_table(change, old);
		if (entry & NPTE_PRESENT)
			count(change->cpu, change->npt->owner, HVABI_COUNT_JOIN, 1);
		return;
	}
	drop_refs(change->npt, old, level);
	change->flush |= npte_needs_flush(old, entry);
	change->age |= (old & ~entry & NPTE_ACCESSED) != 0;
}

u16 npt_set(struct npt_change *change, u64 gfn, u32 level, u64 entry)
{
	struct npt *npt = change->npt;
	u64 *slot, old;
	u16 status = find_slot(change, gfn, level, entry != 0, &slot);

	if (status != HVABI_STATUS_SUCCESS || !slot)
		return status;
	if (npte_is_leaf(entry, level) && !npt->owner->is_parent)
		frame_get(npte_pfn(entry), npt_pages(level));
	old = __atomic_exchange_n(slot, entry, __ATOMIC_ACQ_REL);
	drop_entry(change, level, old, entry);
	return status;
}

/*
 * Whether the entries of a table of level 2 say what one leaf of 1 GiB would. Two of them tell it of
 * most tables that are not full.
 */
static bool is_1g(const u64 *table)
{
	const u64 bits = NPTE_ACCESSED | NPTE_DIRTY, step = npt_pages(NPT_2M) << PAGE_SHIFT;
	u64 first = load(&table[0]) & ~bits;

	if (!npte_is_leaf(first, NPT_2M) || !aligned(npte_pfn(first), npt_pages(NPT_1G)) ||
	    (load(&table[511]) & ~bits) != first + 511 * step)
		return false;
	for (u64 i = 1; i < 511; i++)
		if ((load(&table[i]) & ~bits) != first + i * step)
			return false;
	return true;
}

/*
 * The table that was just changed becomes a leaf. Until the shoot-down processors may set bits in
 * the table's entries, so the leaf has them: what was not accessed, or written, is said to be once.
 */
static void join(struct npt_change *change)
{
	u64 gfn = change->table_first, *table = change->table, *slot;
	u64 leaf = load(&table[0]) | NPTE_ACCESSED;

	/* Of what cannot be written somebody may have set "dirty" by a call. */
	leaf |= leaf & NPTE_WRITE ? NPTE_DIRTY : 0;
	for (u32 i = 0; i < 512; i++)
		leaf |= load(&table[i]) & NPTE_DIRTY;
	if (walk_to(change, gfn, NPT_1G, false, &slot) != HVABI_STATUS_SUCCESS)
		return;
	cut_off_table(change, __atomic_exchange_n(slot, leaf, __ATOMIC_ACQ_REL) & NPTE_ADDRESS);
	count(change->cpu, change->npt->owner, HVABI_COUNT_JOIN_1G, 1);
}

/* All of them are RAM, or none of them. */
static void take_refs(const struct npt *npt, const u64 *pfns, u32 count, u32 level)
{
	if (npt->owner->is_parent || !frame_of(*pfns))
		return;
	if (level == NPT_4K)
		frame_get_list(pfns, count);
	else
		for (u32 i = 0; i < count; i++)
			frame_get(pfns[i], npt_pages(level));
}

u16 npt_set_list(struct npt_change *change, u64 gfn, u32 level, u64 leaf, const u64 *pfns,
		 u32 count, u32 *done)
{
	bool may_join = level == NPT_2M && npte_is_leaf(leaf, level) && platform_info.leaves_1g &&
			option(HVABI_OPTION_JOIN);
	u64 *slot, entry, old, pages = npt_pages(level);
	u32 n;

	for (*done = 0; *done < count; *done += n, gfn += n * pages, pfns += n) {
		u16 status = find_slot(change, gfn, level, true, &slot);

		if (status != HVABI_STATUS_SUCCESS)
			return status;
		n = (u32)min_u64(count - *done, 512 - slot_index(gfn, level));
		if (npte_is_leaf(leaf, level))
			take_refs(change->npt, pfns, n, level);
		for (u32 i = 0; i < n; i++) {
			entry = leaf | pfns[i] << PAGE_SHIFT;
			old = __atomic_exchange_n(&slot[i], entry, __ATOMIC_ACQ_REL);
			if (old)
				drop_entry(change, level, old, entry);
		}
		if (may_join && is_1g(change->table))
			join(change);
	}
	return HVABI_STATUS_SUCCESS;
}

u16 npt_split_to(struct npt_change *change, u64 gfn, u32 level)
{
	u64 *slot;

	return walk_to(change, gfn, level, false, &slot);
}

static void destroy_table(struct npt *npt, u64 spa, u32 level)
{
	u64 *table = platform_phys(spa);

	for (u32 i = 0; i < 512; i++) {
		if (npte_is_table(table[i], level))
			destroy_table(npt, table[i] & NPTE_ADDRESS, level - 1);
		else
			drop_refs(npt, table[i], level);
	}
	pool_put(npt->pool, spa);
}

void npt_destroy(struct npt *npt)
{
	if (npt->root)
		destroy_table(npt, npt->root, NPT_ROOT);
	npt->root = 0;
}
