/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Start of the machine: from the multiboot loader to Linux.
 *
 *	entry.S		32-bit entry, long mode, processor trampoline, exceptions
 *	main.c		the order of everything
 *	memory.c	what RAM there is, and what of it the hypervisor keeps
 *	smp.c		the other processors
 *	acpi.c		a MADT through which Linux can wake them
 *	linux.c		the 64-bit boot protocol
 *	console.c	debug console, panic
 *	calibrate.c	how fast TSC and APIC timer run
 *	hpet.c		the hypervisor's own timer
 */
#ifndef BOOT_BOOT_H
#define BOOT_BOOT_H

#include "../core/types.h"

struct svm_cpu;

/* Multiboot 1 information, as far as it is used. */
struct multiboot_info {
	u32 flags, mem_lower, mem_upper, boot_device, cmdline;
	u32 mods_count, mods_addr, syms[4];
	u32 mmap_length, mmap_addr;
} __attribute__((packed));

#define MULTIBOOT_HAS_CMDLINE	BIT(2)
#define MULTIBOOT_HAS_MODULES	BIT(3)
#define MULTIBOOT_HAS_MMAP	BIT(6)

struct multiboot_module {
	u32 start, end, string, reserved;
};

struct e820_entry {
	u64 base, size;
	u32 type;
} __attribute__((packed));

#define E820_RAM	1u
#define E820_RESERVED	2u
#define E820_MAX	128u

/* The memory map that Linux gets (memory.c). */
extern struct e820_entry e820[E820_MAX];
extern u32 e820_count;

/**
 * struct memory_plan - what the hypervisor takes for itself
 * @heap: tables of the parent's map; @frames: the frame table
 * @shared: pages that Linux can read and must keep: boot_params, ACPI tables,
 *	processor mailbox, first page tables
 */
struct memory_plan {
	u64 heap, heap_bytes;
	u64 frames, frames_bytes, frame_count;
	u64 shared;
};

#define SHARED_BOOT_PARAMS	0x0000u
#define SHARED_COMMAND_LINE	0x1000u
#define SHARED_GDT		0x2000u
#define SHARED_MAILBOX		0x3000u
#define SHARED_RESET	0x3800u	/* the half of the mailbox that is the firmware's */
#define SHARED_PML4		0x4000u
#define SHARED_PDPT		0x5000u
#define SHARED_ACPI		0x6000u
#define SHARED_SYNIC		0x10000u	/* two pages for each processor */
#define SHARED_BYTES		0x20000u

void memory_plan_make(const struct multiboot_info *mbi, struct memory_plan *plan);

/* Hand all RAM to the parent but what the plan and the image take. */
void memory_plan_apply(const struct memory_plan *plan, struct svm_cpu *cpu);

/* Image of the hypervisor (linker script). */
extern char image_start[], image_end[];

/* True if [a, a + a_bytes) and [b, b + b_bytes) share a byte. */
static inline bool overlap(u64 a, u64 a_bytes, u64 b, u64 b_bytes)
{
	return a < b + b_bytes && b < a + a_bytes;
}

/* ---- acpi.c ---- */

/* APIC ids of enabled processors, boot processor first.  Returns how many. */
u32 acpi_processors(u32 *apic_ids, u32 most);

/* Write tables for Linux at @shared; processors not in @apic_ids are disabled.  Returns the RSDP. */
u64 acpi_write(u64 shared, const u32 *apic_ids, u32 count);

/* Address of the HPET's registers, or 0. */
u64 acpi_hpet(void);

/* ---- hpet.c ---- */

/* Take the HPET, if there is one that can send messages, for NMIs to processor @apic_id. */
void hpet_init(u32 apic_id);

/* ---- smp.c ---- */

/* Start the processors in @apic_ids; each ends in processor_main(). */
void smp_start(const u32 *apic_ids, u32 count, u32 first_index);

/* Where a processor waits until Linux, or the boot code, starts the parent on it. */
void processor_wait(struct svm_cpu *cpu) __attribute__((noreturn));

/* Have @cpu enter the parent at @rip with @rsi. */
void processor_start(struct svm_cpu *cpu, u64 rip, u64 rsi);

/* The parent's first page tables and GDT in the shared area. */
void smp_write_shared(u64 shared);

/* ---- linux.c ---- */

/* Place the kernel; returns its 64-bit entry point. */
u64 linux_load(const struct multiboot_info *mbi, u64 shared, u64 rsdp);

/* ---- calibrate.c ---- */

void time_calibrate(void);
void time_wait_us(u64 us);

/* ---- entry.S, exceptions.c ---- */

extern u8 trampoline_start[], trampoline_end[];
extern u64 trampoline_stack, trampoline_argument;
extern u64 boot_pml4[];
void exceptions_load(void);

#endif
