/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The frame table: who owns each page of RAM, and how many references keep it
 * where it is.
 *
 * Laws
 *  - A page belongs to the hypervisor, to the parent, to the pool of one
 *    partition, or to one isolated child.  Only the parent's pages can be mapped in an ordinary child, named as
 *    hypercall blocks, or deposited.
 *  - refs counts the mappings of the page in children (512 for each page of
 *    a 2 MiB map: one each) and its uses as a state page.  A page with refs
 *    cannot be deposited: else a child could write the hypervisor's tables.
 *  - Pages without a frame (devices, holes) belong to nobody.
 *
 * Everything here needs the hypervisor lock, but for the boot.
 */
#ifndef CORE_FRAME_H
#define CORE_FRAME_H

#include "types.h"

enum frame_owner {	/* values: HVABI_DEBUG_OWNER_* */
	FRAME_NONE,
	FRAME_HYPERVISOR,
	FRAME_PARENT,
	FRAME_POOL,
	FRAME_EXCLUSIVE,	/* an isolated child's; not in the parent's map */
};

struct frame {
	u8 owner;
	u8 mark;		/* inside one hypercall: named already */
	u16 pool_slot;		/* partition slot, if owner is FRAME_POOL or _EXCLUSIVE */
	u32 refs;
};

/* Install the table: @frames covers pages 0 .. @count - 1, all FRAME_NONE. */
void frame_init(struct frame *frames, u64 count);

/* The frame of page @pfn, or NULL for a page that is not RAM. */
struct frame *frame_of(u64 pfn);

/* Give @count pages from @pfn on to @owner (boot only). */
void frame_set_owner(u64 pfn, u64 count, enum frame_owner owner);

/* True if the parent owns @pfn. */
bool frame_is_parents(u64 pfn);

/* True if all of @count pages from @pfn on are @owner's (of @slot, for children). */
bool frame_range_owned(u64 pfn, u64 count, enum frame_owner owner, u16 slot);

/* Add and drop references to @count pages; pages without a frame are passed over. */
void frame_get(u64 pfn, u64 count);
void frame_put(u64 pfn, u64 count);

/* Number of pages that have a frame. */
u64 frame_count(void);

#endif
