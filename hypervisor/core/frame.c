// SPDX-License-Identifier: GPL-2.0-only
/*
 * The frame table.  Laws: frame.h.
 */
#include "frame.h"
#include "platform.h"

/* What is known of the 512 pages of a 2 MiB block together. */
struct block {
	u32 refs;	/* of each page of it, by large maps */
	u32 others;	/* pages that are not the parent's */
};

_Static_assert(sizeof(struct block) == FRAME_BLOCK_BYTES, "FRAME_TABLE_BYTES");

static struct frame *table;
static struct block *blocks;
static u64 table_count;

void frame_init(void *memory, u64 count)
{
	memset(memory, 0, FRAME_TABLE_BYTES(count));
	table = memory;
	blocks = (struct block *)(table + count);
	table_count = count;
	for (u64 i = 0; i < count; i += BLOCK_PAGES)
		blocks[i / BLOCK_PAGES].others = BLOCK_PAGES;
}

u64 frame_count(void)
{
	return table_count;
}

struct frame *frame_of(u64 pfn)
{
	if (pfn >= table_count || table[pfn].owner == FRAME_NONE)
		return NULL;
	return &table[pfn];
}

static struct block *block_of(u64 pfn)
{
	return &blocks[pfn / BLOCK_PAGES];
}

void frame_give(u64 pfn, enum frame_owner owner, u16 slot)
{
	struct frame *f = &table[pfn];

	block_of(pfn)->others += (f->owner == FRAME_PARENT);
	block_of(pfn)->others -= (owner == FRAME_PARENT);
	f->owner = (u8)owner;
	f->pool_slot = slot;
}

void frame_set_owner(u64 pfn, u64 count, enum frame_owner owner)
{
	for (u64 i = pfn; i < pfn + count && i < table_count; i++)
		frame_give(i, owner, 0);
}

bool frame_is_parents(u64 pfn)
{
	return pfn < table_count && table[pfn].owner == FRAME_PARENT;
}

/* Blocks as a whole: one, or those of a GiB. */
static bool is_blocks(u64 pfn, u64 count)
{
	return count >= BLOCK_PAGES && aligned(pfn | count, BLOCK_PAGES);
}

bool frame_range_owned(u64 pfn, u64 count, enum frame_owner owner, u16 slot)
{
	if (!range_below(pfn, count, table_count))
		return false;
	if (owner == FRAME_PARENT && count == BLOCK_PAGES && aligned(pfn, BLOCK_PAGES))
		return !block_of(pfn)->others;
	for (const struct frame *f = &table[pfn]; count; f++, count--)
		if (f->owner != owner || f->pool_slot != slot)
			return false;
	return true;
}

u64 frame_refs(u64 pfn)
{
	return pfn < table_count ? (u64)table[pfn].refs + block_of(pfn)->refs : 0;
}

bool frame_list_owned(const u64 *pfns, u32 count, enum frame_owner owner, u16 slot)
{
	for (const u64 *end = pfns + count; pfns < end; pfns++)
		if (*pfns >= table_count || table[*pfns].owner != owner ||
		    table[*pfns].pool_slot != slot)
			return false;
	return true;
}

static void add(u32 *refs)
{
	__atomic_fetch_add(refs, 1, __ATOMIC_RELAXED);
}

/* Before the shoot-down; but who relies on there being none has the world, so the call that drops it is over. */
static void drop(u32 *refs, u64 pfn)
{
	if (!__atomic_fetch_sub(refs, 1, __ATOMIC_RELAXED))
		platform_panic("frame %llx: reference dropped twice", (unsigned long long)pfn);
}

void frame_get(u64 pfn, u64 count)
{
	if (pfn >= table_count)
		return;
	if (is_blocks(pfn, count))
		for (u64 end = pfn + count; pfn < end; pfn += BLOCK_PAGES)
			add(&block_of(pfn)->refs);
	else if (table[pfn].owner != FRAME_NONE)
		add(&table[pfn].refs);
}

void frame_get_list(const u64 *pfns, u32 count)
{
	struct frame *frames = table;

	for (const u64 *end = pfns + count; pfns < end; pfns++)
		add(&frames[*pfns].refs);
}

void frame_put(u64 pfn, u64 count)
{
	if (pfn >= table_count)
		return;
	if (is_blocks(pfn, count))
		for (u64 end = pfn + count; pfn < end; pfn += BLOCK_PAGES)
			drop(&block_of(pfn)->refs, pfn);
	else if (table[pfn].owner != FRAME_NONE)
		drop(&table[pfn].refs, pfn);
}

void frame_split(u64 pfn)
{
	if (pfn >= table_count)
		return;
	drop(&block_of(pfn)->refs, pfn);
	for (u64 i = pfn; i < pfn + BLOCK_PAGES; i++)
		add(&table[i].refs);
}
