// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hypercalls on the guest physical map: MAP_GPA_PAGES, UNMAP_GPA_PAGES and
 * GET_GPA_PAGES_ACCESS_STATES.
 *
 * Where the real hypervisor's behaviour is not known this one is strict:
 * unmapping what is not mapped, or part of a larger map, is refused.  The boot
 * option strict=0 makes both do what was probably meant.
 */
#include <hvabi/memory.h>
#include <hvabi/status.h>
#include "frame.h"
#include "hypercall.h"
#include "npt.h"
#include "options.h"
#include "platform.h"

/* Interrupt controllers: never mapped into a child. */
#define APIC_FIRST	(0xfec00000ull >> PAGE_SHIFT)
#define APIC_END	(0xfef00000ull >> PAGE_SHIFT)

struct extent {
	u64 gfn;		/* of repetition 0 */
	u32 level;
	u64 pages;		/* per repetition */
};

/* The GFN range of a call: aligned, and all of it below the limit. */
static u16 check_extent(struct extent *e, u64 gfn, bool large, u16 reps)
{
	e->gfn = gfn;
	e->level = large ? NPT_2M : NPT_4K;
	e->pages = npt_pages(e->level);
	if (!aligned(gfn, e->pages) || !range_below(gfn, reps * e->pages, NPT_GFN_LIMIT))
		return HVABI_STATUS_INVALID_PARAMETER;
	return HVABI_STATUS_SUCCESS;
}

static bool valid_map_flags(u32 flags)
{
	const u32 rights = HVABI_MAP_GPA_PERMISSIONS_MASK | HVABI_MAP_GPA_ADJUSTABLE;
	u32 x = flags & HVABI_MAP_GPA_EXECUTABLE;

	if (flags & HVABI_MAP_GPA_NO_ACCESS)
		return !(flags & ~(HVABI_MAP_GPA_NO_ACCESS | HVABI_MAP_GPA_LARGE_PAGE));
	if (flags & ~(rights | HVABI_MAP_GPA_NOT_CACHED | HVABI_MAP_GPA_LARGE_PAGE))
		return false;
	/* Nested tables know no write-only, execute-only or user-only pages. */
	if (!(flags & HVABI_MAP_GPA_READABLE) || (x && x != HVABI_MAP_GPA_EXECUTABLE))
		return false;
	return !(flags & HVABI_MAP_GPA_NOT_CACHED) || !(flags & HVABI_MAP_GPA_LARGE_PAGE);
}

/* Whose a page must be that is mapped into @p. */
static enum frame_owner source_owner(const struct partition *p)
{
	return p->isolated ? FRAME_EXCLUSIVE : FRAME_PARENT;
}

static u16 source_slot(const struct partition *p)
{
	return p->isolated ? p->slot : 0;
}

/* True if the parent may put @pfn into a child in this way. */
static bool valid_source(const struct partition *p, u64 pfn, const struct extent *e, u32 flags)
{
	if (flags & HVABI_MAP_GPA_NO_ACCESS)
		return !pfn;
	if (!aligned(pfn, e->pages) || pfn >= BIT(platform_info.physical_bits - PAGE_SHIFT))
		return false;
	if (flags & HVABI_MAP_GPA_NOT_CACHED)
		return !frame_of(pfn) && !(pfn >= APIC_FIRST && pfn < APIC_END);
	return frame_range_owned(pfn, e->pages, source_owner(p), source_slot(p));
}

/* The same for all of a list; small pages of RAM are what most calls have. */
static bool valid_sources(const struct partition *p, const u64 *pfns, u32 count,
			  const struct extent *e, u32 flags)
{
	if (e->level == NPT_4K && !(flags & (HVABI_MAP_GPA_NO_ACCESS | HVABI_MAP_GPA_NOT_CACHED)))
		return frame_list_owned(pfns, count, source_owner(p), source_slot(p));
	for (u32 i = 0; i < count; i++)
		if (!valid_source(p, pfns[i], e, flags))
			return false;
	return true;
}

static enum hvabi_debug_counter map_counter(u32 flags)
{
	if (flags & HVABI_MAP_GPA_NO_ACCESS)
		return flags & HVABI_MAP_GPA_LARGE_PAGE ? HVABI_COUNT_NO_ACCESS_2M :
							  HVABI_COUNT_NO_ACCESS_4K;
	return flags & HVABI_MAP_GPA_LARGE_PAGE ? HVABI_COUNT_MAP_2M : HVABI_COUNT_MAP_4K;
}

/* MAP_GPA_PAGES (0x004b) */
u16 hc_map_gpa_pages(struct hypercall *c)
{
	const struct hvabi_input_map_gpa_pages *in = c->in;
	const u64 *list = in->source_gpa_page_list + c->done;
	u32 flags = in->map_flags, n = (u32)(c->limit - c->done), done;
	struct npt_change change;
	struct partition *p;
	struct extent e;
	u16 status = hc_active_child(c, in->target_partition_id, &p);

	if (status)
		return status;
	if (!valid_map_flags(flags))
		return HVABI_STATUS_INVALID_PARAMETER;
	status = check_extent(&e, in->target_gpa_base, flags & HVABI_MAP_GPA_LARGE_PAGE, c->reps);
	if (!status && !valid_sources(p, list, n, &e, flags))
		status = HVABI_STATUS_INVALID_PARAMETER;
	if (status)
		return status;

	/* The list is all zero where nothing is mapped. */
	npt_change_begin(&change, &p->npt, c->cpu);
	status = npt_set_list(&change, e.gfn + c->done * e.pages, e.level,
			      npt_leaf(0, e.level, flags), list, n, &done);
	npt_change_end(&change);
	c->done = (u16)(c->done + done);
	count(c->cpu, p, map_counter(flags), done);
	return status;
}

/*
 * What strict reading demands: exactly one entry of this size stands here. Nobody but the hypervisor
 * itself maps 1 GiB.
 */
static bool exact_entry(const struct partition *p, u64 gfn, u32 level)
{
	struct npt_iter it;

	npt_iter_begin(&it, &p->npt, gfn);
	return npt_iter_entry(&it) && (it.level == level || (level == NPT_2M && it.level == NPT_1G));
}

/* A hole for one repetition; or for a leaf of 1 GiB as a whole, which needs no split. Returns for how many. */
static u32 unmap(struct npt_change *change, const struct extent *e, u64 gfn, u32 left, u16 *status)
{
	u32 whole = (u32)(npt_pages(NPT_1G) / e->pages), level = e->level;
	struct npt_iter it;

	if (level == NPT_2M && left >= whole && aligned(gfn, npt_pages(NPT_1G))) {
		npt_iter_begin(&it, change->npt, gfn);
		if (it.level == NPT_1G && npt_iter_entry(&it))
			level = NPT_1G;
	}
	*status = npt_set(change, gfn, level, 0);
	return *status ? 0 : level == NPT_1G ? whole : 1;
}

/* UNMAP_GPA_PAGES (0x004c): after FINALIZE there is nothing left, and that is fine. */
u16 hc_unmap_gpa_pages(struct hypercall *c)
{
	const struct hvabi_input_unmap_gpa_pages *in = c->in;
	struct partition *p = child_find(in->target_partition_id);
	struct npt_change change;
	struct extent e;
	u16 first = c->done, status;

	if (!p)
		return HVABI_STATUS_INVALID_PARTITION_ID;
	c->target = p;
	if (p->state == PARTITION_CREATED)
		return HVABI_STATUS_INVALID_PARTITION_STATE;
	if (in->unmap_flags & ~HVABI_UNMAP_GPA_LARGE_PAGE)
		return HVABI_STATUS_INVALID_PARAMETER;
	status = check_extent(&e, in->target_gpa_base,
			      in->unmap_flags & HVABI_UNMAP_GPA_LARGE_PAGE, c->reps);
	if (status)
		return status;
	if (p->state == PARTITION_FINALIZED) {
		c->done = c->limit;
		return HVABI_STATUS_SUCCESS;
	}
	if (option(HVABI_OPTION_STRICT))
		for (u32 i = first; i < c->limit; i++)
			if (!exact_entry(p, e.gfn + i * e.pages, e.level))
				return HVABI_STATUS_INVALID_PARAMETER;

	npt_change_begin(&change, &p->npt, c->cpu);
	while (!status && c->done < c->limit)
		c->done = (u16)(c->done + unmap(&change, &e, e.gfn + c->done * e.pages,
						(u32)(c->limit - c->done), &status));
	npt_change_end(&change);
	count(c->cpu, p, e.level == NPT_2M ? HVABI_COUNT_UNMAP_2M : HVABI_COUNT_UNMAP_4K,
	      (u64)(c->done - first));
	return status;
}

static u64 access_bits(u64 flags, u64 accessed, u64 dirty)
{
	return (flags & accessed ? NPTE_ACCESSED : 0) | (flags & dirty ? NPTE_DIRTY : 0);
}

/*
 * Answer for the entry under @it, for @pages GFNs, and change its bits.
 * Bits that were set and are cleared may still be cached as set. A write that
 * is not seen for that would be lost; an access is only seen later.
 */
static void query_entry(struct npt_change *change, struct npt_iter *it, u64 flags,
			u8 *out, u64 pages)
{
	u64 clear = access_bits(flags, HVABI_GPA_ACCESS_CLEAR_ACCESSED, HVABI_GPA_ACCESS_CLEAR_DIRTY);
	u64 set = access_bits(flags, HVABI_GPA_ACCESS_SET_ACCESSED, HVABI_GPA_ACCESS_SET_DIRTY);
	u64 entry = npt_iter_entry(it);
	u8 state = 0;

	if (!(entry & NPTE_PRESENT))
		return;
	if (clear)
		entry = __atomic_fetch_and(it->slot, ~clear, __ATOMIC_ACQ_REL);
	if (set)
		__atomic_fetch_or(it->slot, set, __ATOMIC_ACQ_REL);
	change->flush |= (entry & clear & NPTE_DIRTY) != 0;
	change->age |= (entry & clear & NPTE_ACCESSED) != 0;
	if (entry & NPTE_ACCESSED)
		state |= HVABI_GPA_ACCESS_STATE_ACCESSED;
	if (entry & NPTE_DIRTY)
		state |= HVABI_GPA_ACCESS_STATE_DIRTY;
	memset(out, state, pages);
}

/*
 * GET_GPA_PAGES_ACCESS_STATES (0x00c9).  A map of 2 MiB, or 1 GiB, has one pair
 * of bits: a query answers it for each page; a change of only part of it splits
 * it first, a level at a time, which may need memory.
 */
u16 hc_get_gpa_pages_access_states(struct hypercall *c)
{
	const struct hvabi_input_get_gpa_pages_access_state *in = c->in;
	u64 flags = in->flags;
	struct npt_change change;
	struct partition *p;
	u8 *out = c->out;
	u16 status = hc_active_child(c, in->partition_id, &p);

	if (status)
		return status;
	if ((flags & ~0xfull) ||
	    (flags & 3) == (HVABI_GPA_ACCESS_CLEAR_ACCESSED | HVABI_GPA_ACCESS_SET_ACCESSED) ||
	    (flags & 12) == (HVABI_GPA_ACCESS_CLEAR_DIRTY | HVABI_GPA_ACCESS_SET_DIRTY) ||
	    !range_below(in->hv_gpa_page_number, c->reps, NPT_GFN_LIMIT))
		return HVABI_STATUS_INVALID_PARAMETER;

	npt_change_begin(&change, &p->npt, c->cpu);
	while (c->done < c->limit) {
		u64 gfn = in->hv_gpa_page_number + c->done, pages;
		struct npt_iter it;

		npt_iter_begin(&it, &p->npt, gfn);
		pages = align_down(gfn, npt_pages(it.level)) + npt_pages(it.level) - gfn;
		pages = min_u64(pages, (u64)(c->limit - c->done));
		if (flags && pages < npt_pages(it.level) &&
		    (npt_iter_entry(&it) & NPTE_PRESENT)) {
			status = npt_split_to(&change, gfn, it.level - 1);
			if (status)
				break;
			continue;
		}
		query_entry(&change, &it, flags, out + c->done, pages);
		c->done = (u16)(c->done + pages);
	}
	npt_change_end(&change);
	return status;
}
