/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Linux's 64-bit boot protocol (Documentation/arch/x86/boot.rst): a bzImage, its initial RAM
 * disk and its command line into guest memory, and the state in which the boot processor enters it.
 *
 * Low memory, all of which Linux may use once it has read it:
 *
 *	0x000006000  GDT
 *	0x000007000  zero page (struct boot_params)
 *	0x000008000  a page of stack, which grows down from 0x9000
 *	0x000009000  page tables: PML4, PDPT, one PD for each of the first 4 GiB
 *	0x000020000  command line
 *	0x0000e0000  ACPI tables (acpi.h)
 *
 * The kernel goes to the address it prefers; the RAM disk as high as both allow.
 *
 * The loader believes nothing of the file: every field is checked against the file's and the
 * guest's size before it is used.
 */
#ifndef LINUX_BOOT_H
#define LINUX_BOOT_H

#include <hvabi/register.h>

#include "devices/ram.h"

#define LINUX_GDT		0x6000u
#define LINUX_ZERO_PAGE		0x7000u
#define LINUX_STACK_TOP		0x9000u
#define LINUX_PAGE_TABLES	0x9000u
#define LINUX_COMMAND_LINE	0x20000u
#define LINUX_COMMAND_LINE_MAX	0x10000u
#define LINUX_RAM_END		0x9fc00u	/* of conventional memory */
#define LINUX_ACPI		0xe0000u
#define LINUX_ACPI_SIZE		0x10000u
#define LINUX_RESET_VECTOR	0xffff0u

/* Selectors that the boot protocol wants. */
#define LINUX_BOOT_CS		0x10u
#define LINUX_BOOT_DS		0x18u
#define LINUX_BOOT_TSS		0x20u

/* A file in memory; data is NULL if there is none. */
struct linux_file {
	const char *name;		/* for errors */
	const uint8_t *data;
	uint64_t size;
};

struct linux_boot {
	struct linux_file kernel;
	struct linux_file initrd;
	const char *command_line;
	uint64_t rsdp;			/* guest address, 0: Linux looks for it */

	/* What linux_load() decided. */
	uint64_t load_address;
	uint64_t initrd_address;
	uint64_t entry;
};

/* Whether a file is a kernel that linux_load() can load into enough memory; -1 with mshv_error(). */
int linux_check_kernel(const struct linux_file *kernel);

/* -1 with mshv_error(), which names what is wrong; guest memory may have been written to then. */
int linux_load(struct linux_boot *boot, const struct guest_ram *ram);

#define LINUX_E820_MAX	8u
enum linux_e820_type { LINUX_E820_RAM = 1, LINUX_E820_RESERVED = 2, LINUX_E820_ACPI = 3 };
struct linux_e820_entry {
	uint64_t start;
	uint64_t size;
	enum linux_e820_type type;
};

/* The guest's memory map, in order; returns how many entries. */
unsigned int linux_e820(const struct guest_ram *ram, struct linux_e820_entry map[LINUX_E820_MAX]);

/* Registers of the boot processor, and of one that waits to be started; returns how many. */
#define LINUX_REGISTERS_MAX	40u
unsigned int linux_boot_registers(const struct linux_boot *boot,
				  struct hvabi_register_assoc regs[LINUX_REGISTERS_MAX]);
unsigned int linux_other_registers(struct hvabi_register_assoc regs[LINUX_REGISTERS_MAX]);

#endif
