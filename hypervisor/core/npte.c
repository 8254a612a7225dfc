// SPDX-License-Identifier: GPL-2.0-only
/*
 * Entries of nested page tables.  Format: npte.h.
 */
#include <hvabi/memory.h>
#include "npte.h"

u64 npt_leaf(u64 pfn, u32 level, u32 flags)
{
	u64 entry = level > NPT_4K ? NPTE_LARGE : 0;

	if (flags & HVABI_MAP_GPA_NO_ACCESS)
		return entry | NPTE_NO_ACCESS;
	entry |= NPTE_PRESENT | NPTE_USER | pfn << PAGE_SHIFT;
	if (flags & HVABI_MAP_GPA_WRITABLE)
		entry |= NPTE_WRITE;
	if (!(flags & HVABI_MAP_GPA_EXECUTABLE))
		entry |= NPTE_NX;
	if (flags & HVABI_MAP_GPA_NOT_CACHED)
		entry |= NPTE_PCD | NPTE_PWT;
	return entry;
}

u32 npt_rights(u64 entry)
{
	u32 rights = HVABI_MAP_GPA_READABLE;

	if (!(entry & NPTE_PRESENT))
		return 0;
	if (entry & NPTE_WRITE)
		rights |= HVABI_MAP_GPA_WRITABLE;
	if (!(entry & NPTE_NX))
		rights |= HVABI_MAP_GPA_EXECUTABLE;
	return rights;
}

bool npte_needs_flush(u64 old, u64 new)
{
	const u64 same = NPTE_ADDRESS | NPTE_LARGE | NPTE_PCD | NPTE_PWT;

	if (!(old & NPTE_PRESENT))
		return false;
	if (!(new & NPTE_PRESENT) || ((old ^ new) & same))
		return true;
	/* A processor that holds the translation as written would not say so again. */
	if (old & ~new & NPTE_DIRTY)
		return true;
	return (npt_rights(old) & ~npt_rights(new)) != 0;
}
