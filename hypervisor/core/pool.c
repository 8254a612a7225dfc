// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory pools.  Laws: pool.h.
 */
#include "counters.h"
#include "frame.h"
#include "options.h"
#include "platform.h"
#include "pool.h"

void pool_init(struct pool *pool, u16 slot)
{
	*pool = (struct pool){ .slot = slot };
}

static u64 pool_pop(struct pool *pool)
{
	u64 spa = pool->head;

	if (!spa)
		return 0;
	pool->head = *(u64 *)platform_phys(spa);
	pool->free--;
	memset(platform_phys(spa), 0, PAGE_SIZE);
	return spa;
}

u64 pool_get(struct pool *pool, struct cpu *cpu)
{
	if (!pool->never_refuses && option_refuses_memory()) {
		count(cpu, NULL, HVABI_COUNT_MEMORY_REFUSED, 1);
		return 0;
	}
	return pool_pop(pool);
}

void pool_put(struct pool *pool, u64 spa)
{
	*(u64 *)platform_phys(spa) = pool->head;
	pool->head = spa;
	pool->free++;
}

void pool_add(struct pool *pool, u64 spa)
{
	frame_give(spa >> PAGE_SHIFT, FRAME_POOL, pool->slot);
	pool->deposited++;
	pool_put(pool, spa);
}

u64 pool_remove(struct pool *pool)
{
	u64 spa = pool_pop(pool);

	if (!spa)
		return 0;
	frame_give(spa >> PAGE_SHIFT, FRAME_PARENT, 0);
	pool->deposited--;
	return spa;
}
