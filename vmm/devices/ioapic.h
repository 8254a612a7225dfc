/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The I/O APIC: 24 lines of devices become interrupt messages to local APICs.
 *
 * Laws:
 *   - A device says whether its line is asserted; the polarity bit of an entry says how the wire
 *     would tell, and changes nothing here.
 *   - An edge is a line that becomes asserted. One that comes while its entry is masked is lost.
 *   - A level is sent again only after its end: remote IRR is set from the message that was
 *     accepted until ioapic_eoi(), and if the line is still asserted then, the next one goes out.
 */
#ifndef DEVICES_IOAPIC_H
#define DEVICES_IOAPIC_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define IOAPIC_PINS	24u
#define IOAPIC_SIZE	0x1000u

struct ioapic_message {
	uint8_t vector;
	uint8_t mode;			/* as HVABI_INTERRUPT_TYPE_*, which are the hardware's */
	uint8_t dest;
	bool logical;
	bool level;
};

struct ioapic {
	pthread_mutex_t lock;
	/* Sends a message; returns 0 if it was accepted. Called with the lock held. */
	int (*deliver)(void *arg, const struct ioapic_message *message);
	void *arg;
	uint8_t select;
	uint8_t id;
	uint64_t entry[IOAPIC_PINS];
	bool line[IOAPIC_PINS];
};

void ioapic_init(struct ioapic *io, int (*deliver)(void *arg, const struct ioapic_message *message),
		 void *arg);
void ioapic_destroy(struct ioapic *io);

/* Access function for the bus. */
int ioapic_access(void *device, uint64_t offset, unsigned int size, bool write, uint64_t *value);

/* A device asserts its line, or lets go of it. */
void ioapic_set_line(struct ioapic *io, unsigned int pin, bool level);

/* A local APIC has ended a level-triggered interrupt. */
void ioapic_eoi(struct ioapic *io, uint8_t vector);

#endif
