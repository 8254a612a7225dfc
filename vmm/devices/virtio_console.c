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

static bool knows_size(const struct virtio *v)
{
	return v->driver_features >> VIRTIO_CONSOLE_F_SIZE & 1;
}

static void available(struct virtio *v, unsigned int queue)
{
	struct virtio_console *c = console_of(v);

	(void)queue;
	/* Linux looks when it hears that the size has changed, and not before. */
	if (!c->told && knows_size(v))
		virtio_config_changed(v);
	c->told = true;
	feed(c);
}

static void on_reset(struct virtio *v)
{
	console_of(v)->told = false;
}

static bool read_size(struct virtio_console *c)
{
	struct winsize size;

	if (ioctl(c->terminal, TIOCGWINSZ, &size) || !size.ws_col || !size.ws_row)
		return false;
	c->config.cols = size.ws_col;
	c->config.rows = size.ws_row;
	return true;
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
	memset(console, 0, sizeof(*console));
	output_init(&console->output, output);
	console->virtio.device_id = VIRTIO_ID_CONSOLE;
	console->terminal = output;
	if (read_size(console))
		console->virtio.features = 1ull << VIRTIO_CONSOLE_F_SIZE;
	console->virtio.queue_count = 2;
	console->virtio.config = &console->config;
	/* What belongs to features that are not offered is not there. */
	console->virtio.config_size = offsetof(struct virtio_console_config, max_nr_ports);
	console->virtio.taken = 1u << QUEUE_RECEIVE;
	console->virtio.available = available;
	console->virtio.request = request;
	console->virtio.on_reset = on_reset;
}

bool virtio_console_resize(struct virtio_console *c)
{
	/* As with input: who holds it may be waiting for a reader. */
	if (pthread_mutex_trylock(&c->virtio.lock))
		return false;
	if (knows_size(&c->virtio) && read_size(c))
		virtio_config_changed(&c->virtio);
	pthread_mutex_unlock(&c->virtio.lock);
	return true;
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
