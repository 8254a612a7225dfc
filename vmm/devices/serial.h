/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A 16550A, the serial port of a PC.
 *
 * Laws:
 *   - The line is infinitely fast: what is written is sent at once, so the transmitter is always
 *     empty, and a received byte below the trigger level has already waited long enough (timeout
 *     interrupt).
 *   - Nothing that comes in is lost. Input waits in a queue of the host until the guest asks for it
 *     with RTS, as on a line with hardware flow control: a guest that boots and clears its FIFOs
 *     loses nothing of what was typed before.
 *   - The interrupt line is a level that the callback hears of when it changes; as on a PC it is
 *     cut off while OUT2 is 0.
 */
#ifndef DEVICES_SERIAL_H
#define DEVICES_SERIAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "output.h"

#define SERIAL_PORTS	8u
#define SERIAL_FIFO	16u
#define SERIAL_QUEUE	4096u

struct serial {
	pthread_mutex_t lock;
	struct output output;
	void (*interrupt)(void *arg, bool level);
	void *arg;

	uint8_t ier, fcr, lcr, mcr, scr, dll, dlm;
	uint8_t errors;			/* LSR's error bits */
	uint8_t msr_delta;
	bool empty_pending;		/* THRE, until IIR was read or something written */
	bool line;
	uint8_t fifo[SERIAL_FIFO];
	unsigned int fifo_first, fifo_count;
	uint8_t queue[SERIAL_QUEUE];
	unsigned int queue_first, queue_count;
};

/* @interrupt is called with the port's lock held. */
void serial_init(struct serial *s, int output, void (*interrupt)(void *arg, bool level), void *arg);
void serial_destroy(struct serial *s);

/* Access function for the bus: the eight ports, a byte each. */
int serial_access(void *device, uint64_t offset, unsigned int size, bool write, uint64_t *value);

/* From any thread: from now on nobody waits for whoever takes the output, see output_close(). */
void serial_close(struct serial *s);

/*
 * From any thread: puts input into the queue; returns how many bytes had room. Never waits: while a
 * processor is at the port there is no room.
 */
size_t serial_input(struct serial *s, const uint8_t *bytes, size_t count);
#endif
