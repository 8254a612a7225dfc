/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The frame table: who owns each page of RAM, and how many references keep it
 * where it is.
 *
 * Laws
 *  - A page belongs to the hypervisor, to the parent, to the pool of one
 *    partition, or to one isolated child.  Only the parent's pages can be mapped in an ordinary child, named as
 *    hypercall blocks, or deposited.
 *  - References to a page are its mappings in children and its uses as a state
 *    page.  A page that has some cannot be deposited: else a child could write
 *    the hypervisor's tables.
 *  - A 2 MiB map refers to 512 pages, and is as cheap as a small one: what all
 *    pages of an aligned block share is kept once for the block.
 *  - Pages without a frame (devices, holes) belong to nobody.
 *
 * Lock: owners and marks change with the world exclusively, and are read sharing it; references are
 * atomic, and who relies on there being none has the world exclusively.  The boot needs none.
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
	u32 refs;		/* without those of large maps: frame_refs() has all */
};

/* The table of @count pages: each frame, and what is kept for each block. */
#define FRAME_BLOCK_BYTES	8
#define FRAME_TABLE_BYTES(count) \
	((count) * sizeof(struct frame) + ((count) + BLOCK_PAGES - 1) / BLOCK_PAGES * FRAME_BLOCK_BYTES)

/* Install the table of pages 0 .. @count - 1 in @memory (of FRAME_TABLE_BYTES, aligned to 8): all FRAME_NONE. */
void frame_init(void *memory, u64 count);

/* The frame of page @pfn, or NULL for a page that is not RAM. */
struct frame *frame_of(u64 pfn);

/* Page @pfn, which has a frame, becomes @owner's (of @slot, for children). */
void frame_give(u64 pfn, enum frame_owner owner, u16 slot);

/* Give @count pages from @pfn on to @owner (boot only). */
void frame_set_owner(u64 pfn, u64 count, enum frame_owner owner);

/* True if the parent owns @pfn. */
bool frame_is_parents(u64 pfn);

/* True if all of @count pages from @pfn on are @owner's (of @slot, for children). */
bool frame_range_owned(u64 pfn, u64 count, enum frame_owner owner, u16 slot);

/* The same for a list of @count single pages. */
bool frame_list_owned(const u64 *pfns, u32 count, enum frame_owner owner, u16 slot);

/* Add and drop a reference to each of @count pages: one, or
 * aligned blocks. Pages without a frame are passed over. */
void frame_get(u64 pfn, u64 count);
void frame_put(u64 pfn, u64 count);

/* Add a reference to each of a list of @count single pages, which have frames. */
void frame_get_list(const u64 *pfns, u32 count);

/* One large map of the block at @pfn has become 512 small ones. */
void frame_split(u64 pfn);

/* References to page @pfn, by maps of any size and as a state page. */
u64 frame_refs(u64 pfn);

/* Number of pages that have a frame. */
u64 frame_count(void);

#endif
