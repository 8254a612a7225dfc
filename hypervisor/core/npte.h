/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One entry of a nested page table, in AMD's format (APM vol. 2, 15.25): the
 * only place that knows its bits' meaning for rights, size and TLBs.  No entry
 * is read or written here: values in, values out.
 */
#ifndef CORE_NPTE_H
#define CORE_NPTE_H

#include "types.h"

#define NPTE_PRESENT	BIT(0)
#define NPTE_WRITE	BIT(1)
#define NPTE_USER	BIT(2)		/* nested walks are user accesses */
#define NPTE_PWT	BIT(3)
#define NPTE_PCD	BIT(4)
#define NPTE_ACCESSED	BIT(5)
#define NPTE_DIRTY	BIT(6)
#define NPTE_LARGE	BIT(7)		/* leaf above level 1 */
#define NPTE_NO_ACCESS	BIT(9)		/* software; only with PRESENT clear */
#define NPTE_NX		BIT(63)
#define NPTE_ADDRESS	0x000ffffffffff000ull

#define NPT_4K		1u
#define NPT_2M		2u
#define NPT_1G		3u
#define NPT_ROOT	4u

/* Pages that an entry of @level covers. */
static inline u64 npt_pages(u32 level)
{
	return 1ull << (9 * (level - 1));
}

static inline bool npte_is_table(u64 entry, u32 level)
{
	return level > NPT_4K && (entry & NPTE_PRESENT) && !(entry & NPTE_LARGE);
}

static inline bool npte_is_leaf(u64 entry, u32 level)
{
	return (entry & NPTE_PRESENT) && !npte_is_table(entry, level);
}

/* First page that a leaf maps. */
static inline u64 npte_pfn(u64 entry)
{
	return (entry & NPTE_ADDRESS) >> PAGE_SHIFT;
}

/* Entry for the table at @spa; rights are those of the leaves. */
static inline u64 npte_table(u64 spa)
{
	return spa | NPTE_PRESENT | NPTE_WRITE | NPTE_USER | NPTE_ACCESSED;
}

/* What a large leaf or no-access entry of @level is, for its first page, one level below. */
static inline u64 npte_below(u64 entry, u32 level)
{
	return level - 1 == NPT_4K ? entry & ~NPTE_LARGE : entry;
}

/**
 * npt_leaf() - entry for page @pfn with HVABI_MAP_GPA_* @flags
 * @level: NPT_4K or NPT_2M; @flags may be NO_ACCESS, then @pfn is ignored
 */
u64 npt_leaf(u64 pfn, u32 level, u32 flags);

/* HVABI_MAP_GPA_* permission bits (low four) of an entry. */
u32 npt_rights(u64 entry);

/*
 * True if a TLB that holds @old must forget it when the entry becomes @new.
 * More rights on the same page need no flush: the worst is a spurious fault.
 */
bool npte_needs_flush(u64 old, u64 new);

#endif
