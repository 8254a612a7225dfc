// SPDX-License-Identifier: GPL-2.0-only
/*
 * Slots in pages of a pool.  Contract: slots.h.
 */
#include "platform.h"
#include "pool.h"
#include "slots.h"

/* The start of each page; slots follow. */
struct page {
	u64 next, self;		/* SPA */
	u64 used;		/* bit n: slot n */
	u32 bytes, count;
};
_Static_assert(sizeof(struct page) % 8 == 0, "slots are aligned");

static struct page *page_at(u64 spa)
{
	return spa ? platform_phys(spa) : NULL;
}

static struct page *page_of(const void *slot)
{
	return (struct page *)align_down((uintptr_t)slot, PAGE_SIZE);
}

static void *slot_at(struct page *page, u32 n)
{
	return (u8 *)(page + 1) + n * page->bytes;
}

static u32 index_of(const struct page *page, const void *slot)
{
	return (u32)((const u8 *)slot - (const u8 *)(page + 1)) / page->bytes;
}

static struct page *page_with_room(struct slots *s, u32 bytes, struct pool *pool, struct cpu *cpu)
{
	struct page *page;
	u64 spa;

	for (page = page_at(s->first); page; page = page_at(page->next))
		if (~page->used & (~0ull >> (64 - page->count)))
			return page;
	spa = pool_get(pool, cpu);
	if (!spa)
		return NULL;
	page = page_at(spa);
	*page = (struct page){
		.next = s->first, .self = spa, .bytes = bytes,
		.count = (u32)min_u64((PAGE_SIZE - sizeof(*page)) / bytes, 64),
	};
	s->first = spa;
	return page;
}

void *slots_get(struct slots *s, u32 bytes, struct pool *pool, struct cpu *cpu)
{
	struct page *page = page_with_room(s, bytes, pool, cpu);
	u32 n = 0;

	if (!page)
		return NULL;
	while (page->used >> n & 1)
		n++;
	page->used |= BIT(n);
	return memset(slot_at(page, n), 0, bytes);
}

void slots_put(struct slots *s, void *slot, struct pool *pool)
{
	struct page *page = page_of(slot);
	u64 *at;

	page->used &= ~BIT(index_of(page, slot));
	if (page->used)
		return;
	for (at = &s->first; *at != page->self; at = &page_at(*at)->next)
		;
	*at = page->next;
	pool_put(pool, page->self);
}

void *slots_next(const struct slots *s, const void *slot)
{
	struct page *page = slot ? page_of(slot) : page_at(s->first);
	u32 n = slot ? index_of(page, slot) + 1 : 0;

	for (; page; page = page_at(page->next), n = 0)
		for (; n < page->count; n++)
			if (page->used >> n & 1)
				return slot_at(page, n);
	return NULL;
}
