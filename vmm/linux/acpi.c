// SPDX-License-Identifier: GPL-2.0-only
/*
 * ACPI tables, see acpi.h. Layouts as in the ACPI specification, 6.5: tables in chapter 5, resource
 * descriptors in 6.4, AML in 20.
 *
 * Everything is written byte by byte into one buffer that remembers whether it was too small.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "acpi.h"
#include "devices/rtc.h"
#include "libmshv.h"

#define OEM_ID			"MSHV  "
#define OEM_TABLE_ID		"MOVABLE "
#define CREATOR_ID		"MSHV"
#define RSDP_SIZE		36u
#define FADT_SIZE		276u
#define HEADER_SIZE		36u

#define LOCAL_APIC_ADDRESS	0xfee00000u

/* FADT */
#define FLAG_WBINVD		(1u << 0)
#define FLAG_POWER_BUTTON	(1u << 4)	/* there is none among the fixed hardware */
#define FLAG_SLEEP_BUTTON	(1u << 5)
#define FLAG_RESET_REGISTER	(1u << 10)
#define FLAG_HEADLESS		(1u << 12)
#define FLAG_APIC_PHYSICAL	(1u << 19)
#define FLAG_HARDWARE_REDUCED	(1u << 20)
#define BOOT_NO_VGA		(1u << 2)
#define SPACE_IO		1u

/* AML */
#define AML_ZERO		0x00u
#define AML_ONE			0x01u
#define AML_NAME		0x08u
#define AML_BYTE		0x0au
#define AML_WORD		0x0bu
#define AML_DWORD		0x0cu
#define AML_STRING		0x0du
#define AML_SCOPE		0x10u
#define AML_BUFFER		0x11u
#define AML_PACKAGE		0x12u
#define AML_EXT			0x5bu
#define AML_EXT_DEVICE		0x82u

struct buffer {
	uint8_t *to;
	uint64_t gpa;			/* of to[0] */
	uint64_t room;
	uint64_t at;
	bool full;
};

static void put8(struct buffer *b, uint64_t value)
{
	if (b->at < b->room)
		b->to[b->at++] = (uint8_t)value;
	else
		b->full = true;
}

static void put(struct buffer *b, uint64_t value, unsigned int bytes)
{
	for (; bytes; bytes--, value >>= 8)
		put8(b, value);
}

static void put_text(struct buffer *b, const char *text)
{
	while (*text)
		put8(b, (uint8_t)*text++);
}

static void put_zeros(struct buffer *b, uint64_t count)
{
	while (count--)
		put8(b, 0);
}

static void patch(struct buffer *b, uint64_t at, uint64_t value, unsigned int bytes)
{
	for (; bytes && !b->full; bytes--, value >>= 8)
		b->to[at++] = (uint8_t)value;
}

static uint8_t checksum(const uint8_t *bytes, uint64_t count)
{
	uint8_t sum = 0;

	while (count--)
		sum = (uint8_t)(sum + *bytes++);
	return (uint8_t)-sum;
}

/* Tables begin at multiples of 16. */
static uint64_t begin_table(struct buffer *b, const char *signature, uint8_t revision)
{
	uint64_t start;

	put_zeros(b, -b->at & 15);
	start = b->at;
	put_text(b, signature);
	put(b, 0, 4);			/* length */
	put8(b, revision);
	put8(b, 0);			/* checksum */
	put_text(b, OEM_ID OEM_TABLE_ID);
	put(b, 1, 4);
	put_text(b, CREATOR_ID);
	put(b, 1, 4);
	return start;
}

/* Returns the table's guest address. */
static uint64_t end_table(struct buffer *b, uint64_t start)
{
	patch(b, start + 4, b->at - start, 4);
	if (!b->full)
		b->to[start + 9] = checksum(b->to + start, b->at - start);
	return b->gpa + start;
}

/* ---- AML ---- */

/*
 * A package length counts its own bytes. Two of them are enough for all but a scope, and are
 * written before the content is known.
 */
static uint64_t begin_package(struct buffer *b)
{
	put(b, 0, 2);
	return b->at - 2;
}

static void end_package(struct buffer *b, uint64_t start)
{
	uint64_t length = b->at - start;

	/* Bits 6-7 of the first byte: one more byte follows; it has bits 4-11. */
	if (length >= 1u << 12)
		b->full = true;
	patch(b, start, (length & 0xf) | 0x40 | (length >> 4) << 8, 2);
}

static void put_integer(struct buffer *b, uint32_t value)
{
	if (value <= 1) {
		put8(b, value ? AML_ONE : AML_ZERO);
	} else if (value <= 0xff) {
		put8(b, AML_BYTE);
		put8(b, value);
	} else if (value <= 0xffff) {
		put8(b, AML_WORD);
		put(b, value, 2);
	} else {
		put8(b, AML_DWORD);
		put(b, value, 4);
	}
}

static void put_name(struct buffer *b, const char *name)
{
	put8(b, AML_NAME);
	put_text(b, name);
}

static uint64_t begin_device(struct buffer *b, const char *name)
{
	uint64_t start;

	put8(b, AML_EXT);
	put8(b, AML_EXT_DEVICE);
	start = begin_package(b);
	put_text(b, name);
	return start;
}

static void put_string(struct buffer *b, const char *text)
{
	put8(b, AML_STRING);
	put_text(b, text);
	put8(b, 0);
}

/* A buffer of resource descriptors. Its size stands in front: a word, to be filled in. */
struct resources {
	uint64_t package;
	uint64_t size;
	uint64_t start;
};

static struct resources begin_resources(struct buffer *b)
{
	struct resources r;

	put_name(b, "_CRS");
	put8(b, AML_BUFFER);
	r.package = begin_package(b);
	put8(b, AML_WORD);
	r.size = b->at;
	put(b, 0, 2);
	r.start = b->at;
	return r;
}

static void end_resources(struct buffer *b, const struct resources *r)
{
	put8(b, 0x79);			/* end tag; a checksum of 0 is always right */
	put8(b, 0);
	patch(b, r->size, b->at - r->start, 2);
	end_package(b, r->package);
}

static void put_io_resource(struct buffer *b, uint16_t port, uint8_t count)
{
	put8(b, 0x47);			/* I/O port descriptor, 7 bytes */
	put8(b, 1);			/* 16 address lines */
	put(b, port, 2);
	put(b, port, 2);
	put8(b, 1);			/* alignment */
	put8(b, count);
}

static void put_memory_resource(struct buffer *b, uint32_t address, uint32_t size)
{
	put8(b, 0x86);			/* 32-bit fixed memory range descriptor, 9 bytes */
	put(b, 9, 2);
	put8(b, 1);			/* read and write */
	put(b, address, 4);
	put(b, size, 4);
}

static void put_interrupt_resource(struct buffer *b, uint32_t interrupt, bool level)
{
	put8(b, 0x89);			/* extended interrupt descriptor, 6 bytes */
	put(b, 6, 2);
	put8(b, level ? 0x01 : 0x03);	/* consumer; edge; active high, not shared */
	put8(b, 1);
	put(b, interrupt, 4);
}

static void put_com1(struct buffer *b)
{
	uint64_t device = begin_device(b, "COM1");
	struct resources r;

	put_name(b, "_HID");
	/* EISA id "PNP0501": letters in 5 bits each, then the number, highest byte first. */
	put8(b, AML_DWORD);
	put(b, 0x0105d041, 4);
	put_name(b, "_UID");
	put_integer(b, 1);
	r = begin_resources(b);
	put_io_resource(b, ACPI_COM1_PORT, 8);
	put_interrupt_resource(b, ACPI_COM1_IRQ, false);
	end_resources(b, &r);
	end_package(b, device);
}

static void put_rtc(struct buffer *b)
{
	uint64_t device = begin_device(b, "RTC_");
	struct resources r;

	put_name(b, "_HID");
	put8(b, AML_DWORD);
	put(b, 0x000bd041, 4);		/* "PNP0B00" */
	r = begin_resources(b);
	put_io_resource(b, RTC_PORT, RTC_PORTS);
	end_resources(b, &r);
	end_package(b, device);
}

static void put_virtio(struct buffer *b, unsigned int index, const struct acpi_virtio *virtio)
{
	struct resources r;
	uint64_t device;
	char name[5];

	snprintf(name, sizeof(name), "VR%02u", index % 100);
	device = begin_device(b, name);
	put_name(b, "_HID");
	put_string(b, "LNRO0005");
	put_name(b, "_UID");
	put_integer(b, index);
	put_name(b, "_CCA");		/* sees what processors have in their caches */
	put_integer(b, 1);
	r = begin_resources(b);
	put_memory_resource(b, virtio->address, 4096);
	put_interrupt_resource(b, virtio->interrupt, true);
	end_resources(b, &r);
	end_package(b, device);
}

static uint64_t make_dsdt(struct buffer *b, const struct acpi_machine *machine)
{
	uint64_t table = begin_table(b, "DSDT", 2), scope, package;
	unsigned int i;

	/* Name (_S5, Package () { 5, 0 }): what to write as SLP_TYP. */
	put_name(b, "_S5_");
	put8(b, AML_PACKAGE);
	package = begin_package(b);
	put8(b, 2);
	put_integer(b, ACPI_SLEEP_TYPE_S5);
	put_integer(b, 0);
	end_package(b, package);

	put8(b, AML_SCOPE);
	scope = begin_package(b);
	put_text(b, "\\_SB_");
	put_com1(b);
	put_rtc(b);
	for (i = 0; i < machine->virtio_count; i++)
		put_virtio(b, i, &machine->virtio[i]);
	end_package(b, scope);
	return end_table(b, table);
}

/* ---- the other tables ---- */

static void put_register(struct buffer *b, uint64_t port)
{
	put8(b, SPACE_IO);
	put8(b, 8);			/* bits */
	put8(b, 0);
	put8(b, 1);			/* accessed as bytes */
	put(b, port, 8);
}

static uint64_t make_fadt(struct buffer *b, uint64_t dsdt)
{
	uint64_t table = begin_table(b, "FACP", 6);

	put(b, 0, 4);			/* FACS: hardware-reduced machines may have none */
	put(b, dsdt, 4);
	put_zeros(b, 108 - 44);		/* fixed hardware, of which there is none */
	put8(b, RTC_CENTURY_REGISTER);	/* the clock of a PC is there */
	put(b, BOOT_NO_VGA, 2);
	put8(b, 0);
	/* Physical: what an I/O APIC has as destination is then an APIC id, whatever mode the APIC is in. */
	put(b, FLAG_WBINVD | FLAG_POWER_BUTTON | FLAG_SLEEP_BUTTON | FLAG_RESET_REGISTER |
	       FLAG_HEADLESS | FLAG_APIC_PHYSICAL | FLAG_HARDWARE_REDUCED, 4);
	put_register(b, ACPI_PORT_RESET);
	put8(b, ACPI_RESET_VALUE);
	put(b, 0, 2);			/* ARM */
	put8(b, 5);			/* minor version: 6.5 */
	put(b, 0, 8);			/* X_FACS */
	put(b, dsdt, 8);
	put_zeros(b, 8 * 12);		/* fixed hardware again */
	put_register(b, ACPI_PORT_SLEEP_CONTROL);
	put_register(b, ACPI_PORT_SLEEP_STATUS);
	put(b, 0, 8);			/* hypervisor's vendor: Linux looks at CPUID */
	if (b->at - table != FADT_SIZE)
		b->full = true;
	return end_table(b, table);
}

static uint64_t make_madt(struct buffer *b, const struct acpi_machine *machine)
{
	uint64_t table = begin_table(b, "APIC", 5);
	unsigned int i;

	put(b, LOCAL_APIC_ADDRESS, 4);
	put(b, 0, 4);			/* no 8259 */
	/* Ids below 255 are told as local APICs, also where they are x2APICs. */
	for (i = 0; i < machine->processors; i++) {
		put8(b, 0);
		put8(b, 8);
		put8(b, i);		/* _UID */
		put8(b, i);
		put(b, 1, 4);		/* enabled */
	}
	put8(b, 1);			/* I/O APIC */
	put8(b, 12);
	put8(b, 0);			/* id */
	put8(b, 0);
	put(b, ACPI_IOAPIC_ADDRESS, 4);
	put(b, 0, 4);			/* its first interrupt */
	put8(b, 4);			/* NMI of local APICs */
	put8(b, 6);
	put8(b, 0xff);			/* of all */
	put(b, 0, 2);
	put8(b, 1);			/* LINT1 */
	return end_table(b, table);
}

static uint64_t make_xsdt(struct buffer *b, uint64_t fadt, uint64_t madt)
{
	uint64_t table = begin_table(b, "XSDT", 1);

	put(b, fadt, 8);
	put(b, madt, 8);
	return end_table(b, table);
}

uint64_t acpi_make_tables(const struct acpi_machine *machine, uint8_t *to, uint64_t gpa,
			  uint64_t room)
{
	struct buffer b = { .to = to, .gpa = gpa, .room = room };
	struct buffer rsdp = { .to = to, .gpa = gpa, .room = room };
	uint64_t dsdt, fadt, madt, xsdt;

	if (machine->processors > ACPI_PROCESSORS_MAX || machine->virtio_count > ACPI_VIRTIO_MAX) {
		mshv_fail_because(EINVAL, "%u processors, %u virtio devices: too many for ACPI tables",
				  machine->processors, machine->virtio_count);
		return 0;
	}
	/* The RSDP comes first, where it is looked for, and is known last. */
	put_zeros(&b, RSDP_SIZE);
	dsdt = make_dsdt(&b, machine);
	fadt = make_fadt(&b, dsdt);
	madt = make_madt(&b, machine);
	xsdt = make_xsdt(&b, fadt, madt);
	if (b.full) {
		mshv_fail_because(ENOSPC, "the ACPI tables need more than %llu bytes",
				  (unsigned long long)room);
		return 0;
	}
	put_text(&rsdp, "RSD PTR ");
	put8(&rsdp, 0);			/* checksum of the first 20 bytes */
	put_text(&rsdp, OEM_ID);
	put8(&rsdp, 2);			/* ACPI 2.0 and later */
	put(&rsdp, 0, 4);		/* RSDT */
	put(&rsdp, RSDP_SIZE, 4);
	put(&rsdp, xsdt, 8);
	put(&rsdp, 0, 4);
	to[8] = checksum(to, 20);
	to[32] = checksum(to, RSDP_SIZE);
	return gpa;
}
