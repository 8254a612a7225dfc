// SPDX-License-Identifier: GPL-2.0-only
/*
 * The other processors.
 *
 * The hypervisor starts them one by one, and each waits in a loop until it
 * finds its APIC id in the mailbox of the Multiprocessor Wakeup Structure
 * (ACPI 6.4, 5.2.12.19), where Linux puts it: no interrupt controller has to
 * be emulated for that.  A processor that goes offline comes back there by the
 * structure's reset vector (version 1).
 */
#include "../core/platform.h"
#include "../svm/cpu.h"
#include "boot.h"

#define TRAMPOLINE	0x8000u
#define APIC_BASE	0xfee00000u
#define APIC_ICR_LOW	0x300u
#define APIC_ICR_HIGH	0x310u
#define APIC_LVT_LINT0	0x350u
#define ICR_INIT	0x4500u
#define ICR_STARTUP	0x4600u
#define ICR_BUSY	BIT(12)

#define COMMAND_NOOP	0u
#define COMMAND_WAKEUP	1u
#define COMMAND_TEST	2u

struct mailbox {
	u16 command;
	u16 reserved;
	u32 apic_id;
	u64 wakeup_vector;
};

/* A start that does not come from Linux: the first processor of the parent. */
struct start_order {
	u64 rip, rsi;
	bool given;
};

static struct start_order orders[MAX_CPUS];
static u64 shared_area;
u64 parent_reset_vector;

static volatile u32 *apic(u32 offset)
{
	return (volatile u32 *)(uintptr_t)(APIC_BASE + offset);
}

static void send(u32 apic_id, u32 command)
{
	*apic(APIC_ICR_HIGH) = apic_id << 24;
	*apic(APIC_ICR_LOW) = command;
	while (*apic(APIC_ICR_LOW) & ICR_BUSY)
		platform_relax();
}

void smp_write_shared(u64 shared)
{
	u64 *pml4 = (u64 *)(shared + SHARED_PML4), *pdpt = (u64 *)(shared + SHARED_PDPT);
	u64 *gdt = (u64 *)(shared + SHARED_GDT);
	static const u8 park[] = { 0x0f, 0x01, 0xd9 };	/* VMMCALL */

	memset((void *)shared, 0, SHARED_BYTES);
	pml4[0] = (shared + SHARED_PDPT) | 3;
	for (u64 i = 0; i < 512; i++)
		pdpt[i] = i << 30 | 0x83;
	gdt[2] = 0x00af9b000000ffff;
	gdt[3] = 0x00cf93000000ffff;
	memcpy((void *)(shared + SHARED_RESET), park, sizeof(park));
	parent_reset_vector = shared + SHARED_RESET;
	shared_area = shared;
}

void processor_start(struct svm_cpu *cpu, u64 rip, u64 rsi)
{
	struct start_order *order = &orders[cpu->core.index];

	order->rip = rip;
	order->rsi = rsi;
	__atomic_store_n(&order->given, true, __ATOMIC_RELEASE);
}

static void enter_parent(struct svm_cpu *cpu, u64 rip, u64 rsi)
{
	parent_prepare(cpu, rip, rsi, shared_area + SHARED_PML4, shared_area + SHARED_GDT);
	parent_loop(cpu);
}

void processor_wait(struct svm_cpu *cpu)
{
	struct start_order *order = &orders[cpu->core.index];
	struct mailbox *m = (struct mailbox *)(shared_area + SHARED_MAILBOX);

	for (;; platform_relax()) {
		u16 command = __atomic_load_n(&m->command, __ATOMIC_ACQUIRE);
		u64 vector;

		if (__atomic_load_n(&order->given, __ATOMIC_ACQUIRE)) {
			order->given = false;
			enter_parent(cpu, order->rip, order->rsi);
		}
		if ((command != COMMAND_WAKEUP && command != COMMAND_TEST) || m->apic_id != cpu->apic_id)
			continue;
		vector = m->wakeup_vector;
		__atomic_store_n(&m->command, COMMAND_NOOP, __ATOMIC_RELEASE);
		if (command == COMMAND_WAKEUP)
			enter_parent(cpu, vector, 0);
	}
}

void processor_main(struct svm_cpu *cpu) __attribute__((noreturn));

void processor_main(struct svm_cpu *cpu)
{
	exceptions_load();
	svm_enable(cpu);
	__atomic_store_n(&cpu->online, 1, __ATOMIC_RELEASE);
	processor_wait(cpu);
}

static void start_one(struct svm_cpu *cpu)
{
	trampoline_stack = (u64)(uintptr_t)(cpu->stack + STACK_BYTES);
	trampoline_argument = (u64)(uintptr_t)cpu;
	send(cpu->apic_id, ICR_INIT);
	time_wait_us(10000);
	for (u32 i = 0; i < 2 && !__atomic_load_n(&cpu->online, __ATOMIC_ACQUIRE); i++) {
		send(cpu->apic_id, ICR_STARTUP | TRAMPOLINE >> PAGE_SHIFT);
		for (u32 wait = 0; wait < 2000; wait++) {
			if (__atomic_load_n(&cpu->online, __ATOMIC_ACQUIRE))
				return;
			time_wait_us(100);
		}
	}
	platform_panic("processor with APIC id %u does not start", cpu->apic_id);
}

void smp_start(const u32 *apic_ids, u32 count, u32 first_index)
{
	memcpy((void *)(uintptr_t)TRAMPOLINE, trampoline_start,
	       (size_t)(trampoline_end - trampoline_start));
	for (u32 i = 0; i < count; i++) {
		struct svm_cpu *cpu = &svm_cpus[first_index + i];

		cpu->apic_id = apic_ids[i];
		start_one(cpu);
	}
}
