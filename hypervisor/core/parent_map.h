/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The parent's second-level map: an identity map of everything but the
 * hypervisor's own memory and what was deposited.
 *
 * Tables come from a heap set aside at boot that is large enough for a parent
 * whose RAM is mapped in 4 KiB pages throughout, so taking a page away from
 * the parent cannot fail.
 */
#ifndef CORE_PARENT_MAP_H
#define CORE_PARENT_MAP_H

#include "types.h"

struct cpu;

/* Bytes of heap that tables for @ram_bytes of RAM may need. */
u64 parent_heap_bytes(u64 ram_bytes);

/* Set up the parent and its heap (@heap .. @heap + @bytes, page aligned). */
void parent_init(u64 heap, u64 bytes);

/* Map [@base, @end) one to one; 1 GiB leaves where @huge and alignment allow (boot only). */
void parent_map(struct cpu *cpu, u64 base, u64 end, bool huge);

/* Take pages [@base, @end) away (boot only, before the parent runs). */
void parent_hide(struct cpu *cpu, u64 base, u64 end);

/* Let the page at @gpa read as the one at @spa, and take no writes. */
void parent_show(struct cpu *cpu, u64 gpa, u64 spa);

/*
 * Take @count pages, listed in @pfns, away from the parent; on return no
 * processor of the parent can reach them.  Lock: the world exclusively.
 */
void parent_take(struct cpu *cpu, const u64 *pfns, u32 count);

/* Give them back. */
void parent_give(struct cpu *cpu, const u64 *pfns, u32 count);

#endif
