// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loading of Linux by its 64-bit boot protocol (Documentation/arch/x86/boot.rst):
 * first module the bzImage, whose module string carries the command line;
 * second module the initramfs, which stays where the loader put it.
 */
#include "../core/platform.h"
#include "boot.h"

#define HEADER			0x1f1u
#define BP_ACPI_RSDP		0x070u
#define BP_E820_ENTRIES		0x1e8u
#define BP_SETUP_SECTS		0x1f1u
#define BP_JUMP_LENGTH		0x201u
#define BP_MAGIC		0x202u
#define BP_VERSION		0x206u
#define BP_LOADER		0x210u
#define BP_RAMDISK		0x218u
#define BP_RAMDISK_SIZE		0x21cu
#define BP_CMDLINE		0x228u
#define BP_XLOADFLAGS		0x236u
#define BP_CMDLINE_SIZE		0x238u
#define BP_PREF_ADDRESS		0x258u
#define BP_INIT_SIZE		0x260u
#define BP_E820_TABLE		0x2d0u
#define ENTRY_64		0x200u
#define XLF_KERNEL_64		1u

static u32 get32(const u8 *at)
{
	u32 value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static void put32(u8 *at, u32 value)
{
	memcpy(at, &value, sizeof(value));
}

static void check_kernel(const u8 *image, u32 size)
{
	if (size < 0x1000 || get32(image + BP_MAGIC) != 0x53726448)
		platform_panic("the first module is no Linux bzImage");
	if ((get32(image + BP_VERSION) & 0xffff) < 0x20c || !(image[BP_XLOADFLAGS] & XLF_KERNEL_64))
		platform_panic("the kernel has no 64-bit entry point");
}

static void copy_command_line(u8 *params, u64 shared, const char *string)
{
	char *to = (char *)(shared + SHARED_COMMAND_LINE);
	u32 most = get32(params + BP_CMDLINE_SIZE), n = 0;

	/* The first word is the file name. */
	while (*string && *string != ' ')
		string++;
	while (*string == ' ')
		string++;
	while (string[n])
		n++;
	if (n > most || n >= PAGE_SIZE)
		platform_panic("kernel command line of %u bytes; at most %u", n, most);
	memcpy(to, string, n + 1);
	put32(params + BP_CMDLINE, (u32)(uintptr_t)to);
}

static void write_e820(u8 *params)
{
	params[BP_E820_ENTRIES] = (u8)e820_count;
	memcpy(params + BP_E820_TABLE, e820, e820_count * sizeof(e820[0]));
}

/* Where the kernel wants to be must be free: nothing of ours, no module. */
static void check_room(u64 base, u64 bytes, const struct multiboot_module *m, u32 modules)
{
	u64 image = (u64)(uintptr_t)image_start;
	bool ram = false;

	for (u32 i = 0; i < e820_count; i++)
		if (e820[i].type == E820_RAM && base >= e820[i].base &&
		    bytes <= e820[i].size && base - e820[i].base <= e820[i].size - bytes)
			ram = true;
	if (!ram || overlap(base, bytes, image, (u64)(image_end - image_start)))
		platform_panic("no room for the kernel: %llx bytes at %llx",
			       (unsigned long long)bytes, (unsigned long long)base);
	for (u32 i = 0; i < modules; i++)
		if (overlap(base, bytes, m[i].start, m[i].end - m[i].start))
			platform_panic("the kernel's place at %llx holds module %u",
				       (unsigned long long)base, i);
}

u64 linux_load(const struct multiboot_info *mbi, u64 shared, u64 rsdp)
{
	const struct multiboot_module *m = (const void *)(uintptr_t)mbi->mods_addr;
	u8 *params = (u8 *)(shared + SHARED_BOOT_PARAMS);
	const u8 *image;
	u32 size, setup;
	u64 base;

	if (!(mbi->flags & MULTIBOOT_HAS_MODULES) || mbi->mods_count < 2)
		platform_panic("kernel and initramfs must be given as multiboot modules");
	image = (const u8 *)(uintptr_t)m[0].start;
	size = m[0].end - m[0].start;
	check_kernel(image, size);
	memcpy(params + HEADER, image + HEADER, BP_MAGIC + image[BP_JUMP_LENGTH] - HEADER);
	params[BP_LOADER] = 0xff;
	put32(params + BP_RAMDISK, m[1].start);
	put32(params + BP_RAMDISK_SIZE, m[1].end - m[1].start);
	memcpy(params + BP_ACPI_RSDP, &rsdp, sizeof(rsdp));
	copy_command_line(params, shared, (const char *)(uintptr_t)m[0].string);
	write_e820(params);

	memcpy(&base, params + BP_PREF_ADDRESS, sizeof(base));
	check_room(base, get32(params + BP_INIT_SIZE), m, mbi->mods_count);
	setup = (image[BP_SETUP_SECTS] ? image[BP_SETUP_SECTS] + 1u : 5u) * 512;
	memcpy((void *)base, image + setup, size - setup);
	return base + ENTRY_64;
}
