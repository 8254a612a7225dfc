/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Second-level ("nested") page tables.  The bits of an entry: npte.h.
 *
 *	  GFN bits   35..27    26..18     17..9       8..0
 *	            +-------+  +-------+  +-------+  +-------+
 *	  npt->root | PML4E |->| PDPTE |->|  PDE  |->|  PTE  |-> 4 KiB page
 *	            +-------+  +-------+  +-------+  +-------+
 *	  level         4          3          2          1
 *
 * An entry of level 1 to 3 is one of
 *	hole		never mapped, or unmapped: all zero
 *	no-access	known, but not reachable: NPTE_NO_ACCESS (levels 1, 2)
 *	leaf		maps 4 KiB, 2 MiB, or 1 GiB
 *	table		points to 512 entries of the level below (levels 2 to 4)
 *
 * Laws
 *  - A change is made inside npt_change_begin() .. npt_change_end().  When
 *    _end() returns, no processor can use what was taken away, and only then
 *    do tables that were cut off go back to their pool.
 *  - Only splitting and adding tables needs memory, and both are done before
 *    anything is taken away: "insufficient memory" leaves the entry as it was.
 *  - What a child has as 512 leaves of 2 MiB that are 1 GiB of contiguous memory with the same rights
 *    becomes one leaf, and the table is free for anything (option "join"). So a
 *    split may be refused for memory: whoever takes memory away has to have some.
 *  - Every leaf of a child holds a frame reference for each of its pages.
 *
 * Lock: the partition's; for the parent's map the world exclusively. Who only reads may do so without, as long as
 * cpu->guest says that his processor is in the partition: what he finds stays until he has left.
 */
#ifndef CORE_NPT_H
#define CORE_NPT_H

#include "npte.h"
#include "types.h"

struct cpu;
struct partition;
struct pool;

/* Guest page numbers are below this: 48-bit guest physical addresses. */
#define NPT_GFN_LIMIT	BIT(36)

/**
 * struct npt - one nested address space
 * @root: SPA of the PML4, 0 if there is none yet
 * @pool: where tables come from and go to
 * @owner: partition whose processors use the tables
 */
struct npt {
	u64 root;
	struct pool *pool;
	struct partition *owner;
};

/**
 * struct npt_iter - the entry that stands for a GFN
 * @npt: tables walked
 * @gfn: guest page asked for
 * @level: level of the entry found: leaf, no-access or hole
 * @slot: the entry; NULL if there is no root
 * @entry: what stood there when the walk came by, 0 if there is no root: read once, since who walks as the
 *	processor does, without the lock, must not take a table for a page
 *
 * for (npt_iter_begin(&it, npt, gfn); it.gfn < end; npt_iter_next(&it)) visits
 * each entry of [gfn, end) once, whatever its size.
 */
struct npt_iter {
	const struct npt *npt;
	u64 gfn;
	u64 *slot;
	u64 entry;
	u32 level;
};

void npt_iter_begin(struct npt_iter *it, const struct npt *npt, u64 gfn);
void npt_iter_next(struct npt_iter *it);

/* Value of the entry under the iterator; hardware may have set A and D since. */
static inline u64 npt_iter_entry(const struct npt_iter *it)
{
	return it->entry;
}

/* Page that a leaf maps at it->gfn. */
u64 npt_iter_pfn(const struct npt_iter *it);

/**
 * struct npt_change - a batch of changes to one address space
 * @npt: tables changed
 * @cpu: processor on whose behalf
 * @flush: something that a TLB may hold was taken away
 * @age: an accessed bit was cleared, and a TLB may hold it as set: processors
 *	forget it at their next entry (an exit without lock that finds it takes the lock),
 *	and none is kicked for it
 * @freed: tables cut off, linked through their first word.  A link is a page
 *	address, so a walk that still gets there finds a hole.
 * @table: the table that the last walk ended in, or NULL: neighbours need no walk
 * @table_level: level of its entries
 * @table_first: first GFN that it stands for
 */
struct npt_change {
	struct npt *npt;
	struct cpu *cpu;
	bool flush;
	bool age;
	u64 freed;
	u64 *table;
	u32 table_level;
	u64 table_first;
};

void npt_change_begin(struct npt_change *change, struct npt *npt, struct cpu *cpu);
void npt_change_end(struct npt_change *change);

/**
 * npt_set() - put @entry at @gfn, whatever stood there
 * @gfn: aligned to npt_pages(@level)
 * @level: NPT_4K or NPT_2M; NPT_1G where no table stands
 * @entry: from npt_leaf(), or 0 for a hole
 *
 * Splits larger entries around @gfn and drops smaller ones below it.
 * Returns HVABI_STATUS_SUCCESS or _INSUFFICIENT_MEMORY (nothing changed).
 */
u16 npt_set(struct npt_change *change, u64 gfn, u32 level, u64 entry);

/**
 * npt_set_list() - npt_set() for leaves, or no-access entries, that follow each other
 * @gfn: of the first one
 * @leaf: npt_leaf() of page 0; an entry is this and its page number
 * @pfns: @count pages, all of them RAM or none; all 0 for no-access
 * @done: how many were set
 *
 * A table's entries are found once for all of them: this is what most maps cost.
 * Returns HVABI_STATUS_SUCCESS or _INSUFFICIENT_MEMORY (from @done on nothing changed).
 */
u16 npt_set_list(struct npt_change *change, u64 gfn, u32 level, u64 leaf, const u64 *pfns,
		 u32 count, u32 *done);

/**
 * npt_split_to() - make sure the entry for @gfn is of level @level or below
 *
 * Returns HVABI_STATUS_SUCCESS or _INSUFFICIENT_MEMORY.
 */
u16 npt_split_to(struct npt_change *change, u64 gfn, u32 level);

/* Give the whole tree back to the pool, root included.  No processor may use it any more. */
void npt_destroy(struct npt *npt);

#endif
