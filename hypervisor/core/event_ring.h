/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Event rings of the parent's processors: one for each SINT in the page of SIRBP.
 *
 * Laws
 *  - The place of the next entry is kept here, not in the page, and stays when the page goes: the
 *    parent's place of reading does too.  Entries that are taken back take it back with them, so
 *    that both always meet.
 *  - An entry is written only over an empty one.  "Full" is said before the ring is looked at
 *    again, and an entry is written before the mask is looked at, so one of both sides sees the
 *    other.
 *  - One notification at a time: whoever sends it masks the next, and the parent unmasks.
 *
 * Lock: synic_lock().
 */
#ifndef CORE_EVENT_RING_H
#define CORE_EVENT_RING_H

#include "types.h"

struct cpu;

/* True if the ring of @sint on @cpu is there and its notification would arrive. */
bool ring_usable(const struct cpu *cpu, u32 sint);

/* Put @id (not 0) in, and notify.  False: it is full, and says so to the parent.  ring_usable(). */
bool ring_put(struct cpu *cpu, u32 sint, u32 id);

/* Take back the last entry in the page at @page that the parent did not take; 0: there is none. */
u32 ring_take_back(struct cpu *cpu, u64 page, u32 sint);

/* The ring as it is before the first entry. */
void ring_unmask(u64 page, u32 sint);

#endif
