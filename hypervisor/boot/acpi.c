// SPDX-License-Identifier: GPL-2.0-only
/*
 * ACPI tables: read which processors there are, and give Linux a MADT with a
 * Multiprocessor Wakeup Structure through which it can start them.
 *
 * The firmware's own tables are left alone; Linux gets copies of RSDP, RSDT
 * and MADT in the shared area, and the RSDT copy names the firmware's other
 * tables.
 */
#include "../core/platform.h"
#include "../svm/cpu.h"
#include "boot.h"

struct rsdp {
	char signature[8];
	u8 checksum;
	char oem[6];
	u8 revision;
	u32 rsdt;
} __attribute__((packed));

struct table {
	char signature[4];
	u32 length;
	u8 revision, checksum;
	char oem[6], oem_table[8];
	u32 oem_revision, creator, creator_revision;
} __attribute__((packed));

#define MADT_ENTRIES	44u		/* after the header, APIC address and flags */
#define ENTRY_LAPIC	0u
#define ENTRY_WAKEUP	16u
#define LAPIC_ENABLED	1u
#define HPET_ADDRESS	44u		/* in the HPET's table (IA-PC HPET 3.2.4) */

struct madt_lapic {
	u8 type, length, processor, apic_id;
	u32 flags;
} __attribute__((packed));

struct madt_wakeup {
	u8 type, length;
	u16 version;
	u32 reserved;
	u64 mailbox;
	u64 reset_vector;
} __attribute__((packed));

static u8 sum(const void *data, u32 bytes)
{
	const u8 *p = data;
	u8 total = 0;

	while (bytes--)
		total = (u8)(total + *p++);
	return total;
}

static const struct rsdp *find_rsdp(void)
{
	for (u64 at = 0xe0000; at < 0x100000; at += 16) {
		const struct rsdp *r = (const struct rsdp *)at;

		if (!memcmp(r->signature, "RSD PTR ", 8) && !sum(r, sizeof(*r)))
			return r;
	}
	platform_panic("no ACPI tables: start QEMU without -no-acpi");
}

static const struct table *rsdt(void)
{
	return (const struct table *)(uintptr_t)find_rsdp()->rsdt;
}

static u32 table_count(const struct table *r)
{
	return (r->length - (u32)sizeof(*r)) / 4;
}

static u32 table_address(const struct table *r, u32 n)
{
	u32 address;

	memcpy(&address, (const u8 *)r + sizeof(*r) + n * 4, sizeof(address));
	return address;
}

static const struct table *find_table(const char *signature)
{
	const struct table *r = rsdt();

	for (u32 i = 0; i < table_count(r); i++) {
		const struct table *t = (const struct table *)(uintptr_t)table_address(r, i);

		if (!memcmp(t->signature, signature, 4))
			return t;
	}
	return NULL;
}

static const struct table *find_madt(void)
{
	const struct table *madt = find_table("APIC");

	if (!madt)
		platform_panic("no MADT among the ACPI tables");
	return madt;
}

u64 acpi_hpet(void)
{
	const struct table *hpet = find_table("HPET");
	u64 base;

	if (!hpet)
		return 0;
	memcpy(&base, (const u8 *)hpet + HPET_ADDRESS, sizeof(base));
	return base;
}

static struct madt_lapic *next_lapic(const struct table *madt, u32 *offset)
{
	while (*offset < madt->length) {
		u8 *entry = (u8 *)(uintptr_t)madt + *offset;

		if (!entry[1])
			break;
		*offset += entry[1];
		if (entry[0] == ENTRY_LAPIC)
			return (struct madt_lapic *)entry;
	}
	return NULL;
}

u32 acpi_processors(u32 *apic_ids, u32 most)
{
	u32 offset = MADT_ENTRIES, count = 0, boot_id = cpuid(1, 0).ebx >> 24;
	const struct madt_lapic *l;

	apic_ids[count++] = boot_id;
	while ((l = next_lapic(find_madt(), &offset)))
		if ((l->flags & LAPIC_ENABLED) && l->apic_id != boot_id && count < most)
			apic_ids[count++] = l->apic_id;
	return count;
}

static bool listed(const u32 *ids, u32 count, u32 id)
{
	for (u32 i = 0; i < count; i++)
		if (ids[i] == id)
			return true;
	return false;
}

static void fix_checksum(struct table *t)
{
	t->checksum = 0;
	t->checksum = (u8)-sum(t, t->length);
}

static void write_madt(struct table *copy, u64 mailbox, u64 reset, const u32 *ids, u32 count)
{
	const struct table *old = find_madt();
	struct madt_wakeup wakeup = {
		.type = ENTRY_WAKEUP, .length = sizeof(wakeup), .version = 1, .mailbox = mailbox,
		.reset_vector = reset,
	};
	u32 offset = MADT_ENTRIES;
	struct madt_lapic *l;

	memcpy(copy, old, old->length);
	while ((l = next_lapic(copy, &offset)))
		if (!listed(ids, count, l->apic_id))
			l->flags = 0;
	memcpy((u8 *)copy + copy->length, &wakeup, sizeof(wakeup));
	copy->length += (u32)sizeof(wakeup);
	fix_checksum(copy);
}

u64 acpi_write(u64 shared, const u32 *apic_ids, u32 count)
{
	struct rsdp *rsdp = (struct rsdp *)(shared + SHARED_ACPI);
	struct table *r = (struct table *)(shared + SHARED_ACPI + 0x100);
	struct table *madt = (struct table *)(shared + SHARED_ACPI + 0x1000);
	const struct table *old = rsdt();

	if (old->length > 0xf00 || find_madt()->length > 0x2000)
		platform_panic("ACPI tables of unexpected size");
	write_madt(madt, shared + SHARED_MAILBOX, shared + SHARED_RESET, apic_ids, count);
	/* The HPET is the hypervisor's own (hpet.c): Linux does not hear of it. */
	memcpy(r, old, sizeof(*r));
	r->length = sizeof(*r);
	for (u32 i = 0; i < table_count(old); i++) {
		u32 address = table_address(old, i);

		if (address == (u32)(uintptr_t)find_table("HPET"))
			continue;
		if (address == (u32)(uintptr_t)find_madt())
			address = (u32)(uintptr_t)madt;
		memcpy((u8 *)r + r->length, &address, sizeof(address));
		r->length += (u32)sizeof(address);
	}
	fix_checksum(r);
	*rsdp = *find_rsdp();
	rsdp->revision = 0;
	rsdp->rsdt = (u32)(uintptr_t)r;
	rsdp->checksum = 0;
	rsdp->checksum = (u8)-sum(rsdp, sizeof(*rsdp));
	return (u64)(uintptr_t)rsdp;
}
