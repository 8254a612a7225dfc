// SPDX-License-Identifier: GPL-2.0-only
/*
 * TLB shoot-down.  How and why it is complete: shootdown.h.
 */
#include "cpu.h"
#include "platform.h"
#include "shootdown.h"

static bool is_in(const struct cpu *cpu, const struct partition *p)
{
	return __atomic_load_n(&cpu->guest, __ATOMIC_ACQUIRE) == p;
}

void evict(struct cpu *self, struct partition *p)
{
	for (u32 i = 0; i < cpu_count; i++) {
		if (cpus[i] == self || !is_in(cpus[i], p))
			continue;
		count(self, p, HVABI_COUNT_SHOOTDOWN_KICK, 1);
		cpu_kick(cpus[i]);
	}
	for (u32 i = 0; i < cpu_count; i++)
		while (cpus[i] != self && is_in(cpus[i], p))
			platform_relax();
}

void shootdown(struct cpu *self, struct partition *p)
{
	p->tlb_generation++;
	count(self, p, HVABI_COUNT_SHOOTDOWN, 1);
	evict(self, p);
}
