// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hypercalls on host access: memory that an isolated child has for itself.
 *
 *	parent's --RELEASE (make exclusive)--> child's --ACQUIRE (make shared)--> parent's
 *
 * Laws
 *  - A page of an isolated child has no place in the parent's map: what the
 *    parent touches there is a fault, not data (parent_map.h).
 *  - Only pages released to it can be mapped in an isolated child, and only
 *    the parent's own pages in any other (hc_memory.c).
 *  - A page changes hands only while nobody refers to it, and is zeroed on its
 *    way back: the parent never sees what the child wrote.
 */
#include <hvabi/memory.h>
#include <hvabi/status.h>
#include "frame.h"
#include "hypercall.h"
#include "parent_map.h"
#include "platform.h"

/* Pages that one call moves: a list for parent_take() and parent_give(). */
struct pages {
	u64 first;
	u64 count;
};

static struct pages rep_pages(const struct hvabi_input_modify_sparse_spa_page_host_access *in,
			      u32 rep)
{
	bool large = in->flags & HVABI_HOST_ACCESS_LARGE_PAGE;

	return (struct pages){ in->spa_page_list[rep], large ? BLOCK_PAGES : 1 };
}

/* Mark the pages of a repetition; false if one is not @owner's, in use, or marked already. */
static bool mark_free(struct pages p, enum frame_owner owner)
{
	for (u64 pfn = p.first; pfn < p.first + p.count; pfn++) {
		struct frame *f = frame_of(pfn);

		if (!f || f->owner != owner || frame_refs(pfn) || f->mark)
			return false;
		f->mark = 1;
	}
	return true;
}

static void unmark(struct pages p)
{
	for (u64 pfn = p.first; pfn < p.first + p.count; pfn++) {
		struct frame *f = frame_of(pfn);

		if (f)
			f->mark = 0;
	}
}

/* Check all repetitions first; the marks find a page that is named twice. */
static bool check_list(const struct hypercall *c, enum frame_owner owner)
{
	const struct hvabi_input_modify_sparse_spa_page_host_access *in = c->in;
	bool ok = true;

	for (u32 i = c->done; ok && i < c->limit; i++) {
		struct pages p = rep_pages(in, i);

		ok = p.first && aligned(p.first, p.count) &&
		     range_below(p.first, p.count, frame_count()) && mark_free(p, owner);
	}
	for (u32 i = c->done; i < c->limit; i++)
		if (range_below(in->spa_page_list[i], rep_pages(in, i).count, frame_count()))
			unmark(rep_pages(in, i));
	return ok;
}

static void give_to_child(struct cpu *cpu, struct partition *child, const u64 *list, u32 count)
{
	parent_take(cpu, list, count);
	for (u32 i = 0; i < count; i++)
		frame_give(list[i], FRAME_EXCLUSIVE, child->slot);
	child->exclusive_pages += count;
}

static void give_to_parent(struct cpu *cpu, const u64 *list, u32 count)
{
	for (u32 i = 0; i < count; i++) {
		partition_of_slot(frame_of(list[i])->pool_slot)->exclusive_pages--;
		memset(platform_phys(list[i] << PAGE_SHIFT), 0, PAGE_SIZE);
		frame_give(list[i], FRAME_PARENT, 0);
	}
	parent_give(cpu, list, count);
}

/* Move all pages of the call: to @child, or to the parent if NULL; a shoot-down for every 512. */
static void move_all(struct hypercall *c, struct partition *child)
{
	static u64 list[BLOCK_PAGES];	/* the world is exclusive */
	u32 count = 0;

	for (; c->done < c->limit; c->done++) {
		struct pages p = rep_pages(c->in, c->done);

		for (u64 i = 0; i < p.count; i++)
			list[count++] = p.first + i;
		if (count + p.count <= BLOCK_PAGES && c->done + 1 < c->limit)
			continue;
		if (child)
			give_to_child(c->cpu, child, list, count);
		else
			give_to_parent(c->cpu, list, count);
		count = 0;
	}
}

/* RELEASE_SPARSE_SPA_PAGE_HOST_ACCESS (0x00d8): give pages to one isolated child. */
u16 hc_release_host_access(struct hypercall *c)
{
	const struct hvabi_input_modify_sparse_spa_page_host_access *in = c->in;
	const u32 flags = in->flags & ~HVABI_HOST_ACCESS_LARGE_PAGE;
	struct partition *p;
	u16 status = hc_active_child(c, in->partition_id, &p);

	if (status)
		return status;
	if (!p->isolated)
		return HVABI_STATUS_OPERATION_DENIED;
	if (in->host_access || flags != HVABI_HOST_ACCESS_MAKE_EXCLUSIVE ||
	    !check_list(c, FRAME_PARENT))
		return HVABI_STATUS_INVALID_PARAMETER;
	move_all(c, p);
	return HVABI_STATUS_SUCCESS;
}

/* ACQUIRE_SPARSE_SPA_PAGE_HOST_ACCESS (0x00d7): take pages back, whoever's they were. */
u16 hc_acquire_host_access(struct hypercall *c)
{
	const struct hvabi_input_modify_sparse_spa_page_host_access *in = c->in;
	const u32 flags = in->flags & ~HVABI_HOST_ACCESS_LARGE_PAGE;
	const u32 all = HVABI_HOST_ACCESS_READABLE | HVABI_HOST_ACCESS_WRITABLE;

	if (in->partition_id)
		return HVABI_STATUS_INVALID_PARTITION_ID;
	if (in->host_access != all || flags != HVABI_HOST_ACCESS_MAKE_SHARED ||
	    !check_list(c, FRAME_EXCLUSIVE))
		return HVABI_STATUS_INVALID_PARAMETER;
	move_all(c, NULL);
	return HVABI_STATUS_SUCCESS;
}
