// SPDX-License-Identifier: GPL-2.0-only
/* A console, see virtio_console.h. */
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>

#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>

#include "virtio_console.h"

#define QUEUE_RECEIVE	0u
#define QUEUE_TRANSMIT	1u

static struct virtio_console *console_of(struct virtio *v)
{
	return (void *)((uint8_t *)v - offsetof(struct virtio_console, virtio));
}

/* From the queue to the guest, as far as it has buffers. */
static void feed(struct virtio_console *c)
{
	struct virtio_chain chain;
	size_t put, size;

	while (c->count && virtio_take(&c->virtio, QUEUE_RECEIVE, &chain)) {
		/* A buffer without room would be filled for ever. */
		if (chain.readable || !virtio_writable(&chain)) {
			virtio_break(&c->virtio);
			return;
		}
		put = 0;
		/* Twice where the queue goes round. */
		do {
			size = VIRTIO_CONSOLE_QUEUE - c->first;
			if (size > c->count)
				size = c->count;
			size = virtio_write(&chain, put, c->queue + c->first, size);
			c->first = (unsigned int)(c->first + size) % VIRTIO_CONSOLE_QUEUE;
			c->count -= (unsigned int)size;
			put += size;
		} while (size && c->count);
		virtio_done(&c->virtio, QUEUE_RECEIVE, chain.head, (uint32_t)put);
	}
}

static void available(struct virtio *v, unsigned int queue)
{
	(void)queue;
	feed(console_of(v));
}

static int64_t request(struct virtio *v, unsigned int queue, const struct virtio_chain *chain)
{
	struct virtio_console *c = console_of(v);
	size_t size, done = 0;
	unsigned int i;

	(void)queue;
	if (chain->readable != chain->count)
		return VIRTIO_BROKEN;
	for (i = 0; i < chain->count && done < VIRTIO_CONSOLE_MAX; i++) {
		size = chain->part[i].size;
		if (size > VIRTIO_CONSOLE_MAX - done)
			size = VIRTIO_CONSOLE_MAX - done;
		output_write(&c->output, chain->part[i].data, size);
		done += size;
	}
	return 0;
}

void virtio_console_init(struct virtio_console *console, int output)
{
	struct winsize size;

	memset(console, 0, sizeof(*console));
	output_init(&console->output, output);
	console->virtio.device_id = VIRTIO_ID_CONSOLE;
	if (!ioctl(output, TIOCGWINSZ, &size) && size.ws_col && size.ws_row) {
		console->virtio.features = 1ull << VIRTIO_CONSOLE_F_SIZE;
		console->config.cols = size.ws_col;
		console->config.rows = size.ws_row;
	}
	console->virtio.queue_count = 2;
	console->virtio.config = &console->config;
	/* What belongs to features that are not offered is not there. */
	console->virtio.config_size = offsetof(struct virtio_console_config, max_nr_ports);
	console->virtio.taken = 1u << QUEUE_RECEIVE;
	console->virtio.available = available;
	console->virtio.request = request;
}

size_t virtio_console_input(struct virtio_console *c, const uint8_t *bytes, size_t count)
{
	size_t i;

	/* A processor that has it may be waiting for who reads our output: that is no reason to wait as well. */
	if (pthread_mutex_trylock(&c->virtio.lock))
		return 0;
	for (i = 0; i < count && c->count < VIRTIO_CONSOLE_QUEUE; i++)
		c->queue[(c->first + c->count++) % VIRTIO_CONSOLE_QUEUE] = bytes[i];
	feed(c);
	pthread_mutex_unlock(&c->virtio.lock);
	return i;
}
