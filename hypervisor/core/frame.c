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

bool frame_range_owned(u64 pfn, u64 count, enum frame_owner owner, u16 slot)
{
	if (!range_below(pfn, count, table_count))
		return false;
	for (u64 i = 0; i < count; i++)
		if (table[pfn + i].owner != owner || table[pfn + i].pool_slot != slot)
			return false;
	return true;
}

void frame_get(u64 pfn, u64 count)
{
	for (u64 i = 0; i < count; i++) {
		struct frame *f = frame_of(pfn + i);

		if (f)
			f->refs++;
	}
}

void frame_put(u64 pfn, u64 count)
{
	for (u64 i = 0; i < count; i++) {
		struct frame *f = frame_of(pfn + i);

		if (!f)
			continue;
		if (!f->refs)
			platform_panic("frame %llx: reference dropped twice",
				       (unsigned long long)(pfn + i));
		f->refs--;
	}
}
