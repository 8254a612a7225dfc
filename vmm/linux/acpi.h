/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ACPI tables of the machine: what tells Linux of processors, the I/O APIC, the serial port,
 * the clock, virtio devices, and how to switch off.
 *
 * Hardware-reduced ACPI (ACPI 6.x, 4.1): no PM timer, no SCI; two registers at I/O ports put the
 * machine to sleep and reset it.
 */
#ifndef LINUX_ACPI_H
#define LINUX_ACPI_H

#include <stdint.h>

#define ACPI_PORT_SLEEP_CONTROL	0x600u
#define ACPI_PORT_SLEEP_STATUS	0x601u
/* Where a PC has it, too, so that whoever knows no ACPI finds it. */
#define ACPI_PORT_RESET		0xcf9u
#define ACPI_RESET_VALUE	0x06u

/* What Linux writes to the sleep control register to switch off: SLP_EN, SLP_TYP of \_S5. */
#define ACPI_SLEEP_ENABLE	0x20u
#define ACPI_SLEEP_TYPE_SHIFT	2
#define ACPI_SLEEP_TYPE_MASK	0x1cu
#define ACPI_SLEEP_TYPE_S5	5u

#define ACPI_IOAPIC_ADDRESS	0xfec00000u
#define ACPI_COM1_PORT		0x3f8u
#define ACPI_COM1_IRQ		4u

#define ACPI_PROCESSORS_MAX	255u
#define ACPI_VIRTIO_MAX		8u

struct acpi_machine {
	unsigned int processors;	/* APIC ids are 0, 1, ... */
	unsigned int virtio_count;
	struct acpi_virtio {
		uint32_t address;	/* of 4 KiB of registers */
		uint32_t interrupt;	/* pin of the I/O APIC, level-triggered */
	} virtio[ACPI_VIRTIO_MAX];
};

/*
 * Makes all tables in @to, which the guest sees at @gpa, @room bytes. Returns the guest address
 * of the RSDP; 0 with mshv_error() if they do not fit.
 */
uint64_t acpi_make_tables(const struct acpi_machine *machine, uint8_t *to, uint64_t gpa,
			  uint64_t room);

#endif
