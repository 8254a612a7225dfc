/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A console: virtio 1.2, 5.3, one port (hvc0), with the size of the terminal if it has one.
 *
 * Laws:
 *   - Nothing that comes in is lost: it waits until the guest has a buffer for it.
 *   - A processor that prints waits for whoever reads it, as on a serial line; a request gets so many
 *     bytes printed and no more, and no reader is waited for once the output is closed.
 */
#ifndef DEVICES_VIRTIO_CONSOLE_H
#define DEVICES_VIRTIO_CONSOLE_H

#include <linux/virtio_console.h>

#include "output.h"
#include "virtio_mmio.h"

#define VIRTIO_CONSOLE_QUEUE	4096u
/* More than a driver has reason to print at once: whoever ends the guest waits for it. */
#define VIRTIO_CONSOLE_MAX	(1u << 20)

struct virtio_console {
	struct virtio virtio;		/* the device on the bus */
	struct virtio_console_config config;
	struct output output;
	int terminal;			/* whose size it is */
	bool told;			/* the driver of it */

	/* Input that waits; under the lock. */
	uint8_t queue[VIRTIO_CONSOLE_QUEUE];
	unsigned int first, count;
};

/* Prints to @output. virtio_init() comes after it. */
void virtio_console_init(struct virtio_console *console, int output);

/*
 * From any thread: puts input into the queue; returns how many bytes had room. Never waits: while a
 * processor is at the console there is no room.
 */
size_t virtio_console_input(struct virtio_console *console, const uint8_t *bytes, size_t count);

/*
 * From any thread: the terminal may have another size. False: a processor is at the console, and this is
 * to be said again.
 */
bool virtio_console_resize(struct virtio_console *console);

#endif
