// SPDX-License-Identifier: GPL-2.0-only
/*
 * What RAM there is, what of it the hypervisor keeps, and the map that Linux
 * gets.
 *
 * The hypervisor keeps its image, and one piece at the top of RAM below 4 GiB:
 * tables for the parent's map, the frame table, and a small shared area.  All
 * of it is "reserved" in Linux's map; only the shared area stays reachable.
 */
#include "../core/frame.h"
#include "../core/parent_map.h"
#include "../core/platform.h"
#include "../svm/cpu.h"
#include "boot.h"

#define LOW_4G		BIT(32)
#define MAP_TOP_BITS	40u

struct e820_entry e820[E820_MAX];
u32 e820_count;

static void add_entry(u64 base, u64 size, u32 type)
{
	if (e820_count == E820_MAX)
		platform_panic("more than %u entries in the memory map", E820_MAX);
	e820[e820_count++] = (struct e820_entry){ base, size, type };
}

static void read_map(const struct multiboot_info *mbi)
{
	u64 at = mbi->mmap_addr, end = at + mbi->mmap_length;

	while (at < end) {
		const u32 *size = (const u32 *)at;
		const struct e820_entry *e = (const struct e820_entry *)(at + 4);

		if (e->size)
			add_entry(e->base, e->size, e->type);
		at += *size + 4;
	}
}

/* Make [base, base + size) reserved in Linux's map; it lies inside one RAM entry. */
static void reserve(u64 base, u64 size)
{
	for (u32 i = 0; i < e820_count; i++) {
		struct e820_entry *e = &e820[i];
		u64 end = e->base + e->size;

		if (e->type != E820_RAM || base < e->base || base + size > end)
			continue;
		e->size = base - e->base;
		add_entry(base, size, E820_RESERVED);
		if (base + size < end)
			add_entry(base + size, end - base - size, E820_RAM);
		return;
	}
	platform_panic("no RAM at %llx to keep", (unsigned long long)base);
}

static u64 modules_end(const struct multiboot_info *mbi)
{
	const struct multiboot_module *m = (const void *)(uintptr_t)mbi->mods_addr;
	u64 end = (u64)(uintptr_t)image_end;

	for (u32 i = 0; i < mbi->mods_count; i++)
		end = max_u64(end, m[i].end);
	return align_up(end, PAGE_SIZE);
}

void memory_plan_make(const struct multiboot_info *mbi, struct memory_plan *plan)
{
	u64 ram = 0, top = 0, low_top = 0, need;

	if (!(mbi->flags & MULTIBOOT_HAS_MMAP))
		platform_panic("the loader gave no memory map");
	read_map(mbi);
	for (u32 i = 0; i < e820_count; i++) {
		u64 end = e820[i].base + e820[i].size;

		if (e820[i].type != E820_RAM)
			continue;
		ram += e820[i].size;
		top = max_u64(top, end);
		if (end <= LOW_4G)
			low_top = max_u64(low_top, align_down(end, PAGE_SIZE));
	}
	plan->heap_bytes = parent_heap_bytes(ram);
	plan->frame_count = top >> PAGE_SHIFT;
	plan->frames_bytes = align_up(FRAME_TABLE_BYTES(plan->frame_count), PAGE_SIZE);
	need = plan->heap_bytes + plan->frames_bytes + SHARED_BYTES;
	if (low_top < modules_end(mbi) + need)
		platform_panic("%llu MiB of RAM are too few: give the machine more memory",
			       (unsigned long long)(ram >> 20));
	plan->heap = low_top - need;
	plan->frames = plan->heap + plan->heap_bytes;
	plan->shared = plan->frames + plan->frames_bytes;
	reserve(plan->heap, need);
	reserve((u64)(uintptr_t)image_start, (u64)(image_end - image_start));
	platform_log("RAM %llu MiB, kept for the parent's tables and frames %llu KiB",
		     (unsigned long long)(ram >> 20), (unsigned long long)(need >> 10));
}

void memory_plan_apply(const struct memory_plan *plan, struct svm_cpu *cpu)
{
	u64 image = (u64)(uintptr_t)image_start, end = (u64)(uintptr_t)image_end;
	u32 bits = (u32)min_u64(platform_info.physical_bits, MAP_TOP_BITS);

	frame_init((void *)plan->frames, plan->frame_count);
	for (u32 i = 0; i < e820_count; i++) {
		u64 first = align_up(e820[i].base, PAGE_SIZE) >> PAGE_SHIFT;
		u64 last = (e820[i].base + e820[i].size) >> PAGE_SHIFT;

		if (e820[i].type == E820_RAM && last > first)
			frame_set_owner(first, last - first, FRAME_PARENT);
	}
	frame_set_owner(image >> PAGE_SHIFT, (end - image) >> PAGE_SHIFT, FRAME_HYPERVISOR);
	frame_set_owner(plan->heap >> PAGE_SHIFT,
			(plan->shared + SHARED_BYTES - plan->heap) >> PAGE_SHIFT, FRAME_HYPERVISOR);

	parent_init(plan->heap, plan->heap_bytes);
	parent_map(&cpu->core, 0, BIT(bits), platform_info.leaves_1g);
	parent_hide(&cpu->core, image, end);
	parent_hide(&cpu->core, plan->heap, plan->shared);
}
