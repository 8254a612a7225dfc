// SPDX-License-Identifier: GPL-2.0-only
/* Linux's 64-bit boot protocol, see boot.h. */
#include <asm/bootparam.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "acpi.h"
#include "boot.h"
#include "libmshv.h"

#define MIB			(1ull << 20)
#define GIB			(1ull << 30)
#define PAGE			4096ull

#define SECTOR			512u
#define HEADER_AT		0x1f1u		/* of struct setup_header in the file and in the zero page */
#define BOOT_FLAG		0xaa55u
#define HEADER_MAGIC		0x53726448u	/* "HdrS" */
#define VERSION_MIN		0x020cu		/* the first with a 64-bit entry point */
#define ENTRY_64		0x200u
#define LOADER_UNDEFINED	0xffu

#define PTE_PRESENT_WRITE	0x3ull
#define PTE_LARGE		0x80ull
#define TABLES_GIB		4u

#define CR0_PE_ET_NE_PG		0x80000031ull
#define CR4_PAE			0x20ull
#define EFER_LME_LMA		0x500ull

#define APIC_BASE		0xfee00000ull
#define APIC_BASE_BSP		(1ull << 8)
#define APIC_BASE_EXTD		(1ull << 10)	/* x2APIC: no page of registers in memory */
#define APIC_BASE_ENABLE	(1ull << 11)
/* Enabled, write-back wherever nothing else is said. */
#define MTRR_DEFAULT_TYPE	((1ull << 11) | 6)

#define GDT_CODE_64		0x00af9b000000ffffull
#define GDT_DATA		0x00cf93000000ffffull
#define GDT_TSS			0x00008b0000000067ull

static uint64_t page_down(uint64_t value)
{
	return value & ~(PAGE - 1);
}

unsigned int linux_e820(const struct guest_ram *ram, struct linux_e820_entry map[LINUX_E820_MAX])
{
	unsigned int n = 0;

	map[n++] = (struct linux_e820_entry){ 0, LINUX_RAM_END, LINUX_E820_RAM };
	map[n++] = (struct linux_e820_entry){ 0xa0000, LINUX_ACPI - 0xa0000, LINUX_E820_RESERVED };
	map[n++] = (struct linux_e820_entry){ LINUX_ACPI, LINUX_ACPI_SIZE, LINUX_E820_ACPI };
	map[n++] = (struct linux_e820_entry){ LINUX_ACPI + LINUX_ACPI_SIZE,
					      MIB - LINUX_ACPI - LINUX_ACPI_SIZE,
					      LINUX_E820_RESERVED };
	if (ram->low_size > MIB)
		map[n++] = (struct linux_e820_entry){ MIB, ram->low_size - MIB, LINUX_E820_RAM };
	if (ram->high_size)
		map[n++] = (struct linux_e820_entry){ RAM_HOLE_END, ram->high_size, LINUX_E820_RAM };
	return n;
}

/* Is it a kernel that can be entered in 64-bit mode? Copies its header, as long as it says it is. */
static int check_kernel(const struct linux_file *file, struct setup_header *header)
{
	uint64_t size;

	memset(header, 0, sizeof(*header));
	/* The jump at 0x200 has the header's end; older headers are shorter than the structure. */
	if (file->size < 0x202 + 6)
		return mshv_fail_because(ENOEXEC, "%s: not a bzImage (%llu bytes)", file->name,
					 (unsigned long long)file->size);
	size = 0x202u + file->data[0x201] - HEADER_AT;
	if (size > sizeof(*header))
		size = sizeof(*header);
	if (size > file->size - HEADER_AT)
		return mshv_fail_because(ENOEXEC, "%s: cut off within its header", file->name);
	memcpy(header, file->data + HEADER_AT, size);
	if (header->boot_flag != BOOT_FLAG || header->header != HEADER_MAGIC)
		return mshv_fail_because(ENOEXEC, "%s: not a bzImage", file->name);
	if (header->version < VERSION_MIN)
		return mshv_fail_because(ENOEXEC, "%s: too old a kernel: boot protocol %u.%02u, at "
					 "least 2.12 is needed", file->name, header->version >> 8,
					 header->version & 0xff);
	if (!(header->loadflags & LOADED_HIGH))
		return mshv_fail_because(ENOEXEC, "%s: a zImage, not a bzImage", file->name);
	if (!(header->xloadflags & XLF_KERNEL_64))
		return mshv_fail_because(ENOEXEC, "%s: a 32-bit kernel: it has no 64-bit entry point",
					 file->name);
	return 0;
}

/* The protected-mode part of the file. */
static int find_payload(const struct linux_file *file, const struct setup_header *header,
			uint64_t *offset, uint64_t *size)
{
	/* 0 means 4, for reasons of history. */
	*offset = ((header->setup_sects ? header->setup_sects : 4u) + 1u) * (uint64_t)SECTOR;
	*size = header->syssize * 16ull;
	if (*size == 0)
		return mshv_fail_because(ENOEXEC, "%s: a kernel of no size", file->name);
	if (*offset > file->size || *size > file->size - *offset)
		return mshv_fail_because(ENOEXEC, "%s: cut off: %llu bytes of %llu", file->name,
					 (unsigned long long)file->size,
					 (unsigned long long)(*offset + *size));
	return 0;
}

int linux_check_kernel(const struct linux_file *kernel)
{
	struct setup_header header;
	uint64_t offset, size;

	return check_kernel(kernel, &header) || find_payload(kernel, &header, &offset, &size) ? -1 : 0;
}

/* @end: of what it needs, in guest memory. */
static int load_kernel(struct linux_boot *boot, const struct guest_ram *ram,
		       const struct setup_header *header, uint64_t *end)
{
	uint64_t address = header->pref_address, needed = header->init_size, offset, size;

	if (find_payload(&boot->kernel, header, &offset, &size))
		return -1;
	if (needed < size)
		needed = size;
	/* Relocatable or not, it decompresses to no lower address than this. */
	if (address < MIB || address % PAGE)
		return mshv_fail_because(ENOEXEC, "%s: cannot be loaded where it wants to be: 0x%llx",
					 boot->kernel.name, (unsigned long long)address);
	if (address > ram->low_size || needed > ram->low_size - address)
		return mshv_fail_because(ENOMEM, "%s: does not fit into the guest's memory: it needs "
					 "%llu MiB", boot->kernel.name,
					 (unsigned long long)((address + needed + MIB - 1) / MIB));
	memcpy(ram->low + address, boot->kernel.data + offset, size);
	boot->load_address = address;
	boot->entry = address + ENTRY_64;
	*end = address + needed;
	return 0;
}

/* Not below @bottom. */
static int load_initrd(struct linux_boot *boot, const struct guest_ram *ram,
		       const struct setup_header *header, uint64_t bottom)
{
	uint64_t top = (uint64_t)header->initrd_addr_max + 1;

	if (!boot->initrd.data || !boot->initrd.size)
		return 0;
	if (top > ram->low_size)
		top = ram->low_size;
	if (boot->initrd.size > top || page_down(top - boot->initrd.size) < bottom)
		return mshv_fail_because(ENOMEM, "%s: %llu bytes are too large: between the kernel "
					 "and the end of memory are %llu", boot->initrd.name,
					 (unsigned long long)boot->initrd.size,
					 (unsigned long long)(top > bottom ? top - bottom : 0));
	boot->initrd_address = page_down(top - boot->initrd.size);
	memcpy(ram->low + boot->initrd_address, boot->initrd.data, boot->initrd.size);
	return 0;
}

static int load_command_line(const struct linux_boot *boot, const struct guest_ram *ram,
			     const struct setup_header *header)
{
	const char *text = boot->command_line ? boot->command_line : "";
	uint64_t length = strlen(text), most = header->cmdline_size;

	if (most > LINUX_COMMAND_LINE_MAX - 1)
		most = LINUX_COMMAND_LINE_MAX - 1;
	if (length > most)
		return mshv_fail_because(E2BIG, "the command line has %llu characters, this kernel takes %llu",
					 (unsigned long long)length, (unsigned long long)most);
	memcpy(ram->low + LINUX_COMMAND_LINE, text, length + 1);
	return 0;
}

static void make_zero_page(const struct linux_boot *boot, const struct guest_ram *ram,
			   const struct setup_header *header)
{
	struct boot_params *zero = (void *)(ram->low + LINUX_ZERO_PAGE);
	struct linux_e820_entry map[LINUX_E820_MAX];
	unsigned int i;

	_Static_assert(sizeof(*zero) == 4096, "the zero page is a page");
	memset(zero, 0, sizeof(*zero));
	zero->hdr = *header;
	zero->hdr.type_of_loader = LOADER_UNDEFINED;
	zero->hdr.cmd_line_ptr = LINUX_COMMAND_LINE;
	zero->hdr.ramdisk_image = (uint32_t)boot->initrd_address;
	zero->hdr.ramdisk_size = boot->initrd_address ? (uint32_t)boot->initrd.size : 0;
	zero->hdr.setup_data = 0;
	zero->acpi_rsdp_addr = boot->rsdp;
	zero->e820_entries = (uint8_t)linux_e820(ram, map);
	for (i = 0; i < zero->e820_entries; i++) {
		zero->e820_table[i].addr = map[i].start;
		zero->e820_table[i].size = map[i].size;
		zero->e820_table[i].type = map[i].type;
	}
}

/* The first 4 GiB as they are, in large pages of 2 MiB, which every processor has. */
static void make_page_tables(const struct guest_ram *ram)
{
	uint64_t *pml4 = (void *)(ram->low + LINUX_PAGE_TABLES);
	uint64_t *pdpt = pml4 + 512, *pd = pdpt + 512, i;

	memset(pml4, 0, (2 + TABLES_GIB) * PAGE);
	pml4[0] = (LINUX_PAGE_TABLES + PAGE) | PTE_PRESENT_WRITE;
	for (i = 0; i < TABLES_GIB; i++)
		pdpt[i] = (LINUX_PAGE_TABLES + (2 + i) * PAGE) | PTE_PRESENT_WRITE;
	for (i = 0; i < TABLES_GIB * 512; i++)
		pd[i] = i * MSHV_BLOCK_SIZE | PTE_PRESENT_WRITE | PTE_LARGE;
}

static void make_gdt(const struct guest_ram *ram)
{
	uint64_t *gdt = (void *)(ram->low + LINUX_GDT);

	memset(gdt, 0, 6 * sizeof(*gdt));
	gdt[LINUX_BOOT_CS / 8] = GDT_CODE_64;
	gdt[LINUX_BOOT_DS / 8] = GDT_DATA;
	gdt[LINUX_BOOT_TSS / 8] = GDT_TSS;
}

/*
 * What stands at the reset vector. Linux without EFI on a machine with reduced ACPI hardware goes there
 * to reset (efi_reboot_required() says yes without looking for EFI); a BIOS would begin anew.
 */
static void make_reset_vector(const struct guest_ram *ram)
{
	const uint8_t code[] = {
		0xba, ACPI_PORT_RESET & 0xff, ACPI_PORT_RESET >> 8,	/* mov $port, %dx */
		0xb0, ACPI_RESET_VALUE,					/* mov $value, %al */
		0xee,							/* out %al, (%dx) */
		0xf4, 0xeb, 0xfd,					/* hlt; jmp to it */
	};

	memcpy(ram->low + LINUX_RESET_VECTOR, code, sizeof(code));
}

int linux_load(struct linux_boot *boot, const struct guest_ram *ram)
{
	struct setup_header header;
	uint64_t end = 0;

	if (ram->low_size < 2 * MIB)
		return mshv_fail_because(EINVAL, "memory of %llu bytes: Linux does not start in less "
					 "than 2 MiB", (unsigned long long)ram->low_size);
	boot->initrd_address = 0;
	if (check_kernel(&boot->kernel, &header) || load_kernel(boot, ram, &header, &end) ||
	    load_initrd(boot, ram, &header, end) || load_command_line(boot, ram, &header))
		return -1;
	make_zero_page(boot, ram, &header);
	make_page_tables(ram);
	make_gdt(ram);
	make_reset_vector(ram);
	return 0;
}

unsigned int linux_boot_registers(const struct linux_boot *boot,
				  struct hvabi_register_assoc regs[LINUX_REGISTERS_MAX])
{
	const struct hvabi_register_assoc all[] = {
		mshv_scalar(HVABI_REG_EFER, EFER_LME_LMA),
		mshv_scalar(HVABI_REG_CR4, CR4_PAE),
		mshv_scalar(HVABI_REG_CR3, LINUX_PAGE_TABLES),
		mshv_scalar(HVABI_REG_CR0, CR0_PE_ET_NE_PG),
		mshv_segment(HVABI_REG_CS, LINUX_BOOT_CS, ~0u, 0xa09b),
		mshv_segment(HVABI_REG_DS, LINUX_BOOT_DS, ~0u, 0xc093),
		mshv_segment(HVABI_REG_ES, LINUX_BOOT_DS, ~0u, 0xc093),
		mshv_segment(HVABI_REG_FS, LINUX_BOOT_DS, ~0u, 0xc093),
		mshv_segment(HVABI_REG_GS, LINUX_BOOT_DS, ~0u, 0xc093),
		mshv_segment(HVABI_REG_SS, LINUX_BOOT_DS, ~0u, 0xc093),
		mshv_segment(HVABI_REG_TR, LINUX_BOOT_TSS, 0x67, 0x008b),
		mshv_segment(HVABI_REG_LDTR, 0, 0xffff, 0x0082),
		{ .name = HVABI_REG_GDTR, .value.table = { .base = LINUX_GDT, .limit = 6 * 8 - 1 } },
		/* Empty: Linux makes its own before it lets anything happen. */
		{ .name = HVABI_REG_IDTR },
		{ .name = HVABI_REG_FP_CONTROL_STATUS,
		  .value.fp_control_status = { .fp_control = 0x37f } },
		{ .name = HVABI_REG_XMM_CONTROL_STATUS,
		  .value.xmm_control_status = { .xmm_status_control = 0x1f80 } },
		mshv_scalar(HVABI_REG_APIC_BASE, APIC_BASE | APIC_BASE_BSP | APIC_BASE_ENABLE |
					    APIC_BASE_EXTD),
		mshv_scalar(HVABI_REG_MTRR_DEF_TYPE, MTRR_DEFAULT_TYPE),
		mshv_scalar(HVABI_REG_RSI, LINUX_ZERO_PAGE),
		mshv_scalar(HVABI_REG_RSP, LINUX_STACK_TOP),
		mshv_scalar(HVABI_REG_RFLAGS, 2),
		mshv_scalar(HVABI_REG_RIP, boot->entry),
	};

	_Static_assert(sizeof(all) / sizeof(all[0]) <= LINUX_REGISTERS_MAX, "room for all");
	memcpy(regs, all, sizeof(all));
	return sizeof(all) / sizeof(all[0]);
}

/* All else is as it is after reset, until SIPI says where to begin. */
unsigned int linux_other_registers(struct hvabi_register_assoc regs[LINUX_REGISTERS_MAX])
{
	regs[0] = mshv_scalar(HVABI_REG_APIC_BASE, APIC_BASE | APIC_BASE_ENABLE | APIC_BASE_EXTD);
	regs[1] = mshv_scalar(HVABI_REG_MTRR_DEF_TYPE, MTRR_DEFAULT_TYPE);
	return 2;
}
