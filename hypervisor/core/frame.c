// SPDX-License-Identifier: GPL-2.0-only
/*
 * The frame table.  Laws: frame.h.
 */
#include "frame.h"
#include "platform.h"

static struct frame *table;
static u64 table_count;

void frame_init(struct frame *frames, u64 count)
{
	memset(frames, 0, count * sizeof(*frames));
	table = frames;
	table_count = count;
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

void frame_set_owner(u64 pfn, u64 count, enum frame_owner owner)
{
	for (u64 i = pfn; i < pfn + count && i < table_count; i++)
		table[i].owner = (u8)owner;
}

bool frame_is_parents(u64 pfn)
{
	return pfn < table_count && table[pfn].owner == FRAME_PARENT;
}

/* A large map is 512 of them at a time: these loops are most of what it costs. */

bool frame_range_owned(u64 pfn, u64 count, enum frame_owner owner, u16 slot)
{
	const struct frame *f, *end;

	if (!range_below(pfn, count, table_count))
		return false;
	for (f = &table[pfn], end = f + count; f < end; f++)
		if (f->owner != owner || f->pool_slot != slot)
			return false;
	return true;
}

/* What of a range the table has. */
static struct frame *range(u64 pfn, u64 count, struct frame **end)
{
	u64 first = min_u64(pfn, table_count);

	*end = &table[first] + min_u64(count, table_count - first);
	return &table[first];
}

void frame_get(u64 pfn, u64 count)
{
	struct frame *end, *f;

	for (f = range(pfn, count, &end); f < end; f++)
		if (f->owner != FRAME_NONE)
			f->refs++;
}

void frame_put(u64 pfn, u64 count)
{
	struct frame *end, *f;

	for (f = range(pfn, count, &end); f < end; f++) {
		if (f->owner == FRAME_NONE)
			continue;
		if (!f->refs)
			platform_panic("frame %llx: reference dropped twice", (unsigned long long)(f - table));
		f->refs--;
	}
}
