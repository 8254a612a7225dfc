// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hypercalls on memory pools: DEPOSIT_MEMORY and WITHDRAW_MEMORY.
 */
#include <hvabi/memory.h>
#include <hvabi/status.h>
#include "frame.h"
#include "hypercall.h"
#include "parent_map.h"
#include "platform.h"

/*
 * True if each of @count pages is the parent's, used by nobody, and named
 * once.  The frame's mark finds pages named twice; it is gone on return.
 * Page 0 is refused: its address ends the list of a pool.
 */
static bool can_deposit(const u64 *pfns, u32 count)
{
	u32 marked = 0;
	bool ok = true;

	for (; ok && marked < count; marked++) {
		struct frame *f = frame_of(pfns[marked]);

		ok = f && pfns[marked] && f->owner == FRAME_PARENT &&
		     !frame_refs(pfns[marked]) && !f->mark;
		if (!ok)
			break;
		f->mark = 1;
	}
	while (marked--)
		frame_of(pfns[marked])->mark = 0;
	return ok;
}

/* DEPOSIT_MEMORY (0x0048): all or nothing. */
u16 hc_deposit_memory(struct hypercall *c)
{
	const struct hvabi_deposit_memory *in = c->in;
	struct partition *p = partition_find(in->partition_id);
	const u64 *pfns = in->gpa_page_list + c->done;
	u32 pages = (u32)(c->limit - c->done);

	if (!p)
		return HVABI_STATUS_INVALID_PARTITION_ID;
	c->target = p;
	if (p->state == PARTITION_FINALIZED)
		return HVABI_STATUS_INVALID_PARTITION_STATE;
	if (!can_deposit(pfns, pages))
		return HVABI_STATUS_INVALID_PARAMETER;
	parent_take(c->cpu, pfns, pages);
	for (u32 i = 0; i < pages; i++)
		pool_add(&p->pool, pfns[i] << PAGE_SHIFT);
	c->done = c->limit;
	count(c->cpu, p, HVABI_COUNT_PAGE_DEPOSITED, pages);
	return HVABI_STATUS_SUCCESS;
}

/*
 * WITHDRAW_MEMORY (0x0049): as many free pages as there are, in any order.
 * NO_RESOURCES says that these were the last.
 */
u16 hc_withdraw_memory(struct hypercall *c)
{
	const struct hvabi_input_withdraw_memory *in = c->in;
	struct partition *p = partition_find(in->partition_id);
	u64 *out = c->out;
	u16 first = c->done;

	if (!p)
		return HVABI_STATUS_INVALID_PARTITION_ID;
	c->target = p;
	while (c->done < c->limit) {
		u64 spa = pool_remove(&p->pool);

		if (!spa)
			break;
		out[c->done++] = spa >> PAGE_SHIFT;
	}
	parent_give(c->cpu, out + first, (u32)(c->done - first));
	count(c->cpu, p, HVABI_COUNT_PAGE_WITHDRAWN, (u64)(c->done - first));
	return c->done < c->limit ? HVABI_STATUS_NO_RESOURCES : HVABI_STATUS_SUCCESS;
}
