/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A driver for unit tests of virtio devices: guest memory with a page of rings for each queue, and data
 * behind them.
 */
#ifndef UNIT_VIRTIO_DRIVER_H
#define UNIT_VIRTIO_DRIVER_H

#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>

#include "devices/virtio_mmio.h"
#include "vmm.h"

#define RAM	(1ull << 20)
#define QSIZE	16u
#define PAGE	4096u
#define RINGS	0x1000u			/* a page for each queue: descriptors, available, used */
#define DATA	0x10000u
#define PIN	20u
#define NEXT	VRING_DESC_F_NEXT
#define WRITE	VRING_DESC_F_WRITE

static uint8_t memory[RAM] __attribute__((aligned(4096)));
static struct guest_ram ram = { .low = memory, .low_size = RAM };
static struct virtio *device;
static bool line;

static inline void on_interrupt(void *arg, unsigned int pin, bool level)
{
	(void)arg;
	assert_int_equal(pin, PIN);
	assert_int_not_equal(level, line);
	line = level;
}

static inline void plug_in(struct virtio *v)
{
	line = false;
	device = v;
	virtio_init(v, &ram, on_interrupt, NULL, PIN);
}

static inline uint32_t get(uint64_t reg)
{
	return (uint32_t)vmm_read(virtio_access, device, reg, 4);
}

static inline void set(uint64_t reg, uint32_t value)
{
	vmm_write(virtio_access, device, reg, 4, value);
}

static inline struct vring_desc *desc(unsigned int queue)
{
	return (void *)(memory + RINGS + queue * PAGE);
}

static inline struct vring_avail *avail(unsigned int queue)
{
	return (void *)(memory + RINGS + queue * PAGE + 0x400);
}

static inline struct vring_used *used(unsigned int queue)
{
	return (void *)(memory + RINGS + queue * PAGE + 0x800);
}

static inline uint64_t offered_features(void)
{
	uint64_t features;

	set(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
	features = get(VIRTIO_MMIO_DEVICE_FEATURES);
	set(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
	return features | (uint64_t)get(VIRTIO_MMIO_DEVICE_FEATURES) << 32;
}

/* Memory is full of 0xee but for the rings. */
static inline void start_driver(uint64_t features)
{
	set(VIRTIO_MMIO_STATUS, 0);
	assert_false(line);
	memset(memory, 0xee, RAM);
	memset(memory + RINGS, 0, device->queue_count * PAGE);
	set(VIRTIO_MMIO_STATUS, 3);
	features |= 1ull << VIRTIO_F_VERSION_1;
	for (unsigned int i = 0; i < 2; i++) {
		set(VIRTIO_MMIO_DRIVER_FEATURES_SEL, i);
		set(VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(features >> 32 * i));
	}
	set(VIRTIO_MMIO_STATUS, 11);
	assert_int_equal(get(VIRTIO_MMIO_STATUS), 11);
	for (unsigned int i = 0; i < device->queue_count; i++) {
		set(VIRTIO_MMIO_QUEUE_SEL, i);
		set(VIRTIO_MMIO_QUEUE_NUM, QSIZE);
		set(VIRTIO_MMIO_QUEUE_DESC_LOW, RINGS + i * PAGE);
		set(VIRTIO_MMIO_QUEUE_AVAIL_LOW, RINGS + i * PAGE + 0x400);
		set(VIRTIO_MMIO_QUEUE_USED_LOW, RINGS + i * PAGE + 0x800);
		set(VIRTIO_MMIO_QUEUE_READY, 1);
		assert_int_equal(get(VIRTIO_MMIO_QUEUE_READY), 1);
	}
	set(VIRTIO_MMIO_STATUS, 15);
}

/* A descriptor; @flags without NEXT end the chain. */
static inline void put(unsigned int queue, unsigned int i, uint64_t address, uint32_t size,
		       uint16_t flags)
{
	desc(queue)[i] = (struct vring_desc){ .addr = address, .len = size, .flags = flags,
					      .next = (uint16_t)(i + 1) };
}

static inline void submit(unsigned int queue, uint16_t head)
{
	avail(queue)->ring[avail(queue)->idx++ % QSIZE] = head;
	set(VIRTIO_MMIO_QUEUE_NOTIFY, queue);
}

/* The driver did what it must not, the device says so until it is reset, and then works again. */
static inline void is_broken(uint64_t features)
{
	assert_int_equal(get(VIRTIO_MMIO_STATUS), 15 | VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_true(get(VIRTIO_MMIO_INTERRUPT_STATUS) & VIRTIO_MMIO_INT_CONFIG);
	start_driver(features);
}

/* What any device does about chains that are none, in a queue that it takes from now. */
static inline void chains_that_are_none(unsigned int queue, uint64_t features)
{
	for (unsigned int i = 0; i < 7; i++) {
		uint16_t head = 0;

		start_driver(features);
		switch (i) {
		case 0:				/* no such descriptor */
			head = QSIZE;
			break;
		case 1:				/* a loop */
			put(queue, 0, DATA, 16, NEXT);
			desc(queue)[0].next = 0;
			break;
		case 2:				/* a chain that leaves the table */
			put(queue, 0, DATA, 16, NEXT);
			desc(queue)[0].next = 999;
			break;
		case 3:				/* beyond memory */
			put(queue, 0, RAM - 8, 16, 0);
			break;
		case 4:
			put(queue, 0, UINT64_MAX, 16, WRITE);
			break;
		case 5:				/* in the wrong order */
			put(queue, 0, DATA, 1, WRITE | NEXT);
			put(queue, 1, DATA + 16, 16, 0);
			break;
		case 6:
			put(queue, 0, DATA, 16, VRING_DESC_F_INDIRECT);
			break;
		}
		submit(queue, head);
		assert_int_equal(used(queue)->idx, 0);
		is_broken(features);
	}
	avail(queue)->idx = QSIZE + 1;		/* more than the ring has */
	set(VIRTIO_MMIO_QUEUE_NOTIFY, queue);
	is_broken(features);
}

/* Rings full of anything. */
static inline uint32_t any_rings(unsigned int queue, uint32_t seed)
{
	for (unsigned int i = 0; i < QSIZE; i++) {
		uint32_t r = seed = seed * 1664525 + 1013904223;

		put(queue, i, (r >> 8) % (RAM + 0x100), r & 0x40 ? r >> 10 & 0x7ff : r >> 4, r >> 24 & 3);
		if (r & 0x10)
			desc(queue)[i].next = r >> 5 & 31;
		avail(queue)->ring[i] = r >> 16 & 15;
	}
	avail(queue)->idx = seed >> 20 & 15;
	return seed;
}

#endif
