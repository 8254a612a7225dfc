// SPDX-License-Identifier: GPL-2.0-only
/*
 * Event rings.  Laws: event_ring.h.
 */
#include <hvabi/port.h>
#include "cpu.h"
#include "event_ring.h"
#include "platform.h"

static struct hvabi_event_ring *ring_at(u64 page, u32 sint)
{
	return (struct hvabi_event_ring *)platform_phys(align_down(page, PAGE_SIZE)) + sint;
}

bool ring_usable(const struct cpu *cpu, u32 sint)
{
	const struct synic *s = &cpu->synic;

	return (s->scontrol & HVABI_SCONTROL_ENABLE) && (s->sirbp & HVABI_MSR_PAGE_ENABLE) &&
	       synic_can_notify(cpu, sint);
}

/* It holds something where the next entry is to go, also after the parent was told to call. */
static bool is_full(struct hvabi_event_ring *ring, const u32 *entry)
{
	if (!__atomic_load_n(entry, __ATOMIC_ACQUIRE))
		return false;
	__atomic_store_n(&ring->ring_full, 1, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return __atomic_load_n(entry, __ATOMIC_ACQUIRE);
}

/* Also for a ring that is full: who is told once too often finds nothing, and that is all. */
static void notify(struct cpu *cpu, struct hvabi_event_ring *ring, u32 sint)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(&ring->signal_masked, __ATOMIC_ACQUIRE))
		return;
	__atomic_store_n(&ring->signal_masked, 1, __ATOMIC_RELEASE);
	synic_notify(cpu, sint);
}

bool ring_put(struct cpu *cpu, u32 sint, u32 id)
{
	struct hvabi_event_ring *ring = ring_at(cpu->synic.sirbp, sint);
	u8 *head = &cpu->synic.ring_head[sint];
	bool full = is_full(ring, &ring->data[*head]);

	if (!full) {
		__atomic_store_n(&ring->data[*head], id, __ATOMIC_RELEASE);
		*head = (u8)((*head + 1u) % HVABI_EVENT_RING_ENTRIES);
	}
	notify(cpu, ring, sint);
	return !full;
}

u32 ring_take_back(struct cpu *cpu, u64 page, u32 sint)
{
	struct hvabi_event_ring *ring = ring_at(page, sint);
	u8 *head = &cpu->synic.ring_head[sint];
	u32 last = (*head + HVABI_EVENT_RING_ENTRIES - 1u) % HVABI_EVENT_RING_ENTRIES;
	u32 id = __atomic_exchange_n(&ring->data[last], 0, __ATOMIC_ACQ_REL);

	if (id)
		*head = (u8)last;
	return id;
}

void ring_unmask(u64 page, u32 sint)
{
	struct hvabi_event_ring *ring = ring_at(page, sint);

	ring->signal_masked = 0;
	ring->ring_full = 0;
}
