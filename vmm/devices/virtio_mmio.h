/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A virtio device in memory: virtio 1.2, 4.2 (transport) and 2.7 (split queues).
 *
 * The transport knows registers, queues and descriptor chains; what a request means is the
 * device's (virtio_blk.h, virtio_balloon.h, ...), which embeds struct virtio.
 *
 * Laws:
 *   - Guest memory is believed once: each field is read once, checked, and the copy is used.
 *   - A chain that leaves memory, or has a loop, breaks the device until the driver resets it;
 *     it harms nobody else.
 *   - Requests are taken in the thread of the processor that notified, under the device's lock, and done
 *     there or, as the device has it, elsewhere and later. Queues whose requests wait for something from
 *     outside are the device's to take from, whenever it has something for them.
 */
#ifndef DEVICES_VIRTIO_MMIO_H
#define DEVICES_VIRTIO_MMIO_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "ram.h"

#define VIRTIO_SIZE		0x1000u		/* of a device's registers */
#define VIRTIO_QUEUES_MAX	5u
#define VIRTIO_QUEUE_SIZE_MAX	128u

/* What struct virtio's request() returns besides the bytes written. */
#define VIRTIO_BROKEN		(-1)
#define VIRTIO_KEPT		(-2)	/* virtio_done() comes later */

struct virtio;

struct virtio_queue {
	uint32_t size;
	bool ready;
	uint64_t desc, avail, used;	/* guest addresses */
	/* Where they are, while ready. */
	void *desc_at, *avail_at, *used_at;
	uint16_t next;			/* of the available ring, to be taken */
};

/* A request: pieces of guest memory, those that are read first. */
struct virtio_chain {
	uint16_t head;
	unsigned int count;
	unsigned int readable;		/* how many of them come first */
	struct {
		uint8_t *data;
		uint32_t size;
	} part[VIRTIO_QUEUE_SIZE_MAX];
};

struct virtio {
	/* Of the device, set before virtio_init(). */
	uint32_t device_id;
	uint64_t features;		/* VERSION_1 comes on its own */
	unsigned int queue_count;
	const void *config;
	uint32_t config_size;
	/* One request; returns the bytes written or VIRTIO_*. Called with the lock held. */
	int64_t (*request)(struct virtio *v, unsigned int queue, const struct virtio_chain *chain);
	/* Queues, a bit each, from which the device takes itself: it only hears that there is something. */
	uint32_t taken;
	void (*available)(struct virtio *v, unsigned int queue);
	/* The driver writes to the configuration; NULL if there is nothing to be written. The same. */
	void (*write_config)(struct virtio *v, uint64_t offset, unsigned int size, uint64_t value);
	/*
	 * The driver resets the device: what was kept is gone. NULL if nothing is. The same, but the lock may
	 * be given up to wait for something.
	 */
	void (*on_reset)(struct virtio *v);

	const struct guest_ram *ram;
	void (*interrupt)(void *arg, unsigned int pin, bool level);
	void *arg;
	unsigned int pin;

	/* The guest ends: requests that wait are not begun, and who is at work stops soon. Without the lock. */
	atomic_bool closing;

	pthread_mutex_t lock;
	bool resetting;
	uint32_t status;
	uint32_t device_features_select, driver_features_select, queue_select;
	uint64_t driver_features;
	uint32_t interrupt_status;
	struct virtio_queue queue[VIRTIO_QUEUES_MAX];
};

void virtio_init(struct virtio *v, const struct guest_ram *ram,
		 void (*interrupt)(void *arg, unsigned int pin, bool level), void *arg,
		 unsigned int pin);
void virtio_destroy(struct virtio *v);

/* No processor is to be kept any more by what it asked for. Takes no lock: somebody may be at work for long. */
void virtio_close(struct virtio *v);

/* The next request of a queue, if there is one; virtio_done() gives it back. With the lock held. */
bool virtio_take(struct virtio *v, unsigned int queue, struct virtio_chain *chain);

/* The driver has done what it must not: from now on it has to reset the device. With the lock held. */
void virtio_break(struct virtio *v);

/* Copy from the readable parts of a chain, and to the writable ones; what they return is how much there was. */
size_t virtio_read(const struct virtio_chain *chain, size_t from, void *to, size_t size);
size_t virtio_write(const struct virtio_chain *chain, size_t at, const void *from, size_t size);
uint64_t virtio_readable(const struct virtio_chain *chain);
uint64_t virtio_writable(const struct virtio_chain *chain);

/* Gives a request back that was kept. With the lock held. */
void virtio_done(struct virtio *v, unsigned int queue, uint16_t head, uint32_t written);

/* Tells the driver that the configuration has changed. With the lock held. */
void virtio_config_changed(struct virtio *v);

/* Access function for the bus. */
int virtio_access(void *device, uint64_t offset, unsigned int size, bool write, uint64_t *value);

#endif
