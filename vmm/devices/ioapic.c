// SPDX-License-Identifier: GPL-2.0-only
/*
 * The I/O APIC, see ioapic.h. Registers as in Intel's 82093AA data sheet, and the EOI register
 * that version 0x20 adds to them.
 */
#include <string.h>

#include "ioapic.h"

#define OFFSET_SELECT		0x00u
#define OFFSET_WINDOW		0x10u
#define OFFSET_EOI		0x40u

#define REG_ID			0x00u
#define REG_VERSION		0x01u
#define REG_ARBITRATION		0x02u
#define REG_ENTRIES		0x10u

#define VERSION			(0x20u | (IOAPIC_PINS - 1) << 16)

#define ENTRY_VECTOR		0xffull
#define ENTRY_MODE_SHIFT	8
#define ENTRY_MODE		(7ull << ENTRY_MODE_SHIFT)
#define ENTRY_LOGICAL		(1ull << 11)
#define ENTRY_STATUS		(1ull << 12)
#define ENTRY_POLARITY		(1ull << 13)
#define ENTRY_REMOTE_IRR	(1ull << 14)
#define ENTRY_LEVEL		(1ull << 15)
#define ENTRY_MASKED		(1ull << 16)
#define ENTRY_DEST_SHIFT	56
#define ENTRY_DEST		(0xffull << ENTRY_DEST_SHIFT)
#define ENTRY_WRITABLE		(ENTRY_VECTOR | ENTRY_MODE | ENTRY_LOGICAL | ENTRY_POLARITY | \
				 ENTRY_LEVEL | ENTRY_MASKED | ENTRY_DEST)

static void send(struct ioapic *io, unsigned int pin)
{
	uint64_t e = io->entry[pin];
	const struct ioapic_message m = {
		.vector = (uint8_t)(e & ENTRY_VECTOR),
		.mode = (uint8_t)((e & ENTRY_MODE) >> ENTRY_MODE_SHIFT),
		.dest = (uint8_t)(e >> ENTRY_DEST_SHIFT),
		.logical = e & ENTRY_LOGICAL,
		.level = e & ENTRY_LEVEL,
	};

	/* What nobody took will not be ended by anybody. */
	if (!io->deliver(io->arg, &m) && m.level)
		io->entry[pin] |= ENTRY_REMOTE_IRR;
}

/* A level that is up and has not been sent goes out. */
static void serve_level(struct ioapic *io, unsigned int pin)
{
	uint64_t e = io->entry[pin];

	if (io->line[pin] && e & ENTRY_LEVEL && !(e & (ENTRY_MASKED | ENTRY_REMOTE_IRR)))
		send(io, pin);
}

static void write_entry(struct ioapic *io, unsigned int pin, unsigned int half, uint32_t value)
{
	uint64_t kept = half ? 0xffffffffull : ~0xffffffffull;
	uint64_t e = (io->entry[pin] & kept) | (uint64_t)value << 32 * half;

	e = (e & ENTRY_WRITABLE) | (io->entry[pin] & ENTRY_REMOTE_IRR);
	/* An edge has no end to wait for: how an I/O APIC without EOI register is made to forget. */
	if (!(e & ENTRY_LEVEL))
		e &= ~ENTRY_REMOTE_IRR;
	io->entry[pin] = e;
	serve_level(io, pin);
}

static void write_register(struct ioapic *io, uint32_t value)
{
	unsigned int reg = io->select;

	if (reg == REG_ID)
		io->id = value >> 24 & 0xf;
	else if (reg >= REG_ENTRIES && reg < REG_ENTRIES + 2 * IOAPIC_PINS)
		write_entry(io, (reg - REG_ENTRIES) / 2, reg & 1, value);
}

static uint32_t read_register(const struct ioapic *io)
{
	unsigned int reg = io->select;

	if (reg == REG_ID || reg == REG_ARBITRATION)
		return (uint32_t)io->id << 24;
	if (reg == REG_VERSION)
		return VERSION;
	if (reg >= REG_ENTRIES && reg < REG_ENTRIES + 2 * IOAPIC_PINS)
		return (uint32_t)(io->entry[(reg - REG_ENTRIES) / 2] >> 32 * (reg & 1));
	return 0;
}

static void end_of_interrupt(struct ioapic *io, uint8_t vector)
{
	unsigned int pin;

	for (pin = 0; pin < IOAPIC_PINS; pin++) {
		uint64_t e = io->entry[pin];

		if ((e & ENTRY_VECTOR) != vector || !(e & ENTRY_REMOTE_IRR))
			continue;
		io->entry[pin] &= ~ENTRY_REMOTE_IRR;
		serve_level(io, pin);
	}
}

int ioapic_access(void *device, uint64_t offset, unsigned int size, bool write, uint64_t *value)
{
	struct ioapic *io = device;

	/* Registers are 32 bits wide; a narrower access to one is the low part of it. */
	(void)size;
	pthread_mutex_lock(&io->lock);
	if (!write)
		*value = 0;
	if (offset == OFFSET_SELECT && write)
		io->select = (uint8_t)*value;
	else if (offset == OFFSET_SELECT)
		*value = io->select;
	else if (offset == OFFSET_WINDOW && write)
		write_register(io, (uint32_t)*value);
	else if (offset == OFFSET_WINDOW)
		*value = read_register(io);
	else if (offset == OFFSET_EOI && write)
		end_of_interrupt(io, (uint8_t)*value);
	pthread_mutex_unlock(&io->lock);
	return 0;
}

void ioapic_set_line(struct ioapic *io, unsigned int pin, bool level)
{
	bool before;

	if (pin >= IOAPIC_PINS)
		return;
	pthread_mutex_lock(&io->lock);
	before = io->line[pin];
	io->line[pin] = level;
	if (io->entry[pin] & ENTRY_LEVEL)
		serve_level(io, pin);
	else if (level && !before && !(io->entry[pin] & ENTRY_MASKED))
		send(io, pin);
	pthread_mutex_unlock(&io->lock);
}

void ioapic_eoi(struct ioapic *io, uint8_t vector)
{
	pthread_mutex_lock(&io->lock);
	end_of_interrupt(io, vector);
	pthread_mutex_unlock(&io->lock);
}

void ioapic_init(struct ioapic *io, int (*deliver)(void *arg, const struct ioapic_message *message),
		 void *arg)
{
	unsigned int pin;

	memset(io, 0, sizeof(*io));
	pthread_mutex_init(&io->lock, NULL);
	io->deliver = deliver;
	io->arg = arg;
	for (pin = 0; pin < IOAPIC_PINS; pin++)
		io->entry[pin] = ENTRY_MASKED;
}

void ioapic_destroy(struct ioapic *io)
{
	pthread_mutex_destroy(&io->lock);
}
