// SPDX-License-Identifier: GPL-2.0-only
/* A virtio device in memory, see virtio_mmio.h. */
#include <string.h>

#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>

#include "virtio_mmio.h"

#define MAGIC			0x74726976u	/* "virt" */
#define VENDOR			0x5648534du	/* "MSHV" */
#define VERSION			2u
#define FEATURE_VERSION_1	(1ull << VIRTIO_F_VERSION_1)

/* Descriptors and rings as the guest sees them are little-endian, as this processor is. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "guest memory is used as it is");

static uint64_t offered(const struct virtio *v)
{
	return v->features | FEATURE_VERSION_1;
}

static void set_interrupt(struct virtio *v, uint32_t status)
{
	bool before = v->interrupt_status, now = status;

	v->interrupt_status = status;
	if (before != now)
		v->interrupt(v->arg, v->pin, now);
}

/*
 * Until a device has nothing under way any more it looks as it did before, is not live, and another
 * processor that writes to it is not heard: the lock may be given up meanwhile.
 */
static void reset(struct virtio *v)
{
	set_interrupt(v, 0);
	v->resetting = true;
	if (v->on_reset)
		v->on_reset(v);
	v->resetting = false;
	v->status = 0;
	v->device_features_select = v->driver_features_select = v->queue_select = 0;
	v->driver_features = 0;
	memset(v->queue, 0, sizeof(v->queue));
}

void virtio_break(struct virtio *v)
{
	v->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	set_interrupt(v, v->interrupt_status | VIRTIO_MMIO_INT_CONFIG);
}

/* ---- queues ---- */

/* A queue that cannot be right does not become ready. */
static void make_ready(struct virtio *v, struct virtio_queue *q)
{
	if (q->size == 0 || q->size > VIRTIO_QUEUE_SIZE_MAX || q->size & (q->size - 1) ||
	    q->desc % 16 || q->avail % 2 || q->used % 4)
		return;
	q->desc_at = guest_ram_at(v->ram, q->desc, sizeof(struct vring_desc) * q->size);
	q->avail_at = guest_ram_at(v->ram, q->avail, sizeof(struct vring_avail) +
				   sizeof(uint16_t) * (q->size + 1));
	q->used_at = guest_ram_at(v->ram, q->used, sizeof(struct vring_used) + sizeof(uint16_t) +
				  sizeof(struct vring_used_elem) * q->size);
	q->next = 0;
	q->ready = q->desc_at && q->avail_at && q->used_at;
}

/* Follows the descriptors from @head. False if they are none. */
static bool take_chain(const struct virtio *v, const struct virtio_queue *q, uint16_t head,
		       struct virtio_chain *chain)
{
	const volatile struct vring_desc *table = q->desc_at;
	uint16_t i = head, flags;

	chain->head = head;
	chain->count = chain->readable = 0;
	do {
		uint32_t length;
		void *data;

		if (i >= q->size || chain->count == q->size)
			return false;
		length = table[i].len;
		flags = table[i].flags;
		data = guest_ram_at(v->ram, table[i].addr, length);
		if (!data || flags & VRING_DESC_F_INDIRECT)
			return false;
		/* What is read stands before what is written. */
		if (!(flags & VRING_DESC_F_WRITE)) {
			if (chain->readable != chain->count)
				return false;
			chain->readable++;
		}
		chain->part[chain->count].data = data;
		chain->part[chain->count++].size = length;
		i = table[i].next;
	} while (flags & VRING_DESC_F_NEXT);
	return true;
}

static void put_used(struct virtio_queue *q, uint16_t head, uint32_t written)
{
	struct vring_used *used = q->used_at;
	uint16_t index = used->idx;

	used->ring[index & (q->size - 1)] = (struct vring_used_elem){ .id = head, .len = written };
	__atomic_store_n(&used->idx, (uint16_t)(index + 1), __ATOMIC_RELEASE);
}

static bool is_live(const struct virtio *v)
{
	return v->status & VIRTIO_CONFIG_S_DRIVER_OK && !(v->status & VIRTIO_CONFIG_S_NEEDS_RESET) &&
	       !v->resetting;
}

void virtio_close(struct virtio *v)
{
	atomic_store(&v->closing, true);
}

/* The driver looks at the ring after it has changed its mind: one of us sees the other. */
static void tell_used(struct virtio *v, const struct virtio_queue *q)
{
	const struct vring_avail *avail = q->avail_at;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!(*(const volatile uint16_t *)&avail->flags & VRING_AVAIL_F_NO_INTERRUPT))
		set_interrupt(v, v->interrupt_status | VIRTIO_MMIO_INT_VRING);
}

void virtio_done(struct virtio *v, unsigned int queue, uint16_t head, uint32_t written)
{
	struct virtio_queue *q = &v->queue[queue];

	if (!q->ready || !is_live(v))
		return;
	put_used(q, head, written);
	tell_used(v, q);
}

void virtio_config_changed(struct virtio *v)
{
	if (is_live(v))
		set_interrupt(v, v->interrupt_status | VIRTIO_MMIO_INT_CONFIG);
}

/* How many requests wait in a queue. A driver that says more than the ring has breaks the device. */
static uint16_t waiting(struct virtio *v, const struct virtio_queue *q)
{
	const struct vring_avail *avail = q->avail_at;
	uint16_t count;

	if (!q->ready || !is_live(v))
		return 0;
	count = (uint16_t)(__atomic_load_n(&avail->idx, __ATOMIC_ACQUIRE) - q->next);
	if (count <= q->size)
		return count;
	virtio_break(v);
	return 0;
}

/* The next of those that wait. */
static bool take_next(struct virtio *v, struct virtio_queue *q, struct virtio_chain *chain)
{
	const volatile struct vring_avail *avail = q->avail_at;

	if (!take_chain(v, q, avail->ring[q->next & (q->size - 1)], chain)) {
		virtio_break(v);
		return false;
	}
	q->next++;
	return true;
}

bool virtio_take(struct virtio *v, unsigned int queue, struct virtio_chain *chain)
{
	struct virtio_queue *q = &v->queue[queue];

	return waiting(v, q) && take_next(v, q, chain);
}

static void serve(struct virtio *v, unsigned int index)
{
	struct virtio_queue *q = &v->queue[index];
	struct virtio_chain chain;
	bool done = false;
	int64_t written;
	uint16_t count;

	if (v->taken >> index & 1) {
		if (q->ready && is_live(v))
			v->available(v, index);
		return;
	}
	/* What comes later comes with a notification of its own: nobody can keep us here. */
	for (count = waiting(v, q); count && !atomic_load(&v->closing); count--) {
		if (!take_next(v, q, &chain))
			return;
		written = v->request(v, index, &chain);
		if (written == VIRTIO_BROKEN) {
			virtio_break(v);
			return;
		}
		if (written == VIRTIO_KEPT)
			continue;
		put_used(q, chain.head, (uint32_t)written);
		done = true;
	}
	if (done)
		tell_used(v, q);
}

/* ---- what is in a chain ---- */

size_t virtio_read(const struct virtio_chain *chain, size_t from, void *to, size_t size)
{
	size_t got = 0, part;
	unsigned int i;

	for (i = 0; i < chain->readable && got < size; i++) {
		if (from >= chain->part[i].size) {
			from -= chain->part[i].size;
			continue;
		}
		part = chain->part[i].size - from;
		if (part > size - got)
			part = size - got;
		memcpy((uint8_t *)to + got, chain->part[i].data + from, part);
		got += part;
		from = 0;
	}
	return got;
}

size_t virtio_write(const struct virtio_chain *chain, size_t at, const void *from, size_t size)
{
	size_t put = 0, part;
	unsigned int i;

	for (i = chain->readable; i < chain->count && put < size; i++) {
		if (at >= chain->part[i].size) {
			at -= chain->part[i].size;
			continue;
		}
		part = chain->part[i].size - at;
		if (part > size - put)
			part = size - put;
		memcpy(chain->part[i].data + at, (const uint8_t *)from + put, part);
		put += part;
		at = 0;
	}
	return put;
}

static uint64_t size_of_parts(const struct virtio_chain *chain, unsigned int i, unsigned int end)
{
	uint64_t sum = 0;

	for (; i < end; i++)
		sum += chain->part[i].size;
	return sum;
}

uint64_t virtio_readable(const struct virtio_chain *chain)
{
	return size_of_parts(chain, 0, chain->readable);
}

uint64_t virtio_writable(const struct virtio_chain *chain)
{
	return size_of_parts(chain, chain->readable, chain->count);
}

/* ---- registers ---- */

static void write_status(struct virtio *v, uint32_t value)
{
	bool live = is_live(v);
	unsigned int i;

	if (value == 0) {
		reset(v);
		return;
	}
	/* A driver that wants what is not offered, or is too old, hears no. */
	if (value & VIRTIO_CONFIG_S_FEATURES_OK && !(v->status & VIRTIO_CONFIG_S_FEATURES_OK) &&
	    (v->driver_features & ~offered(v) || !(v->driver_features & FEATURE_VERSION_1)))
		value &= ~(uint32_t)VIRTIO_CONFIG_S_FEATURES_OK;
	/* Only the device says that it is broken, and bits only go with a reset. */
	v->status |= value & ~(uint32_t)VIRTIO_CONFIG_S_NEEDS_RESET;
	/* Linux notifies of a balloon's statistics before it says that it is ready: that counts, too. */
	for (i = 0; !live && is_live(v) && i < v->queue_count; i++)
		serve(v, i);
}

static void set_half(uint64_t *to, bool high, uint32_t value)
{
	*to = high ? (*to & 0xffffffffull) | (uint64_t)value << 32 : (*to & ~0xffffffffull) | value;
}

static void write_queue(struct virtio *v, uint64_t offset, uint32_t value)
{
	struct virtio_queue *q;

	if (v->queue_select >= v->queue_count)
		return;
	q = &v->queue[v->queue_select];
	if (offset == VIRTIO_MMIO_QUEUE_READY) {
		q->ready = false;
		if (value & 1)
			make_ready(v, q);
		return;
	}
	/* Not while it is used. */
	if (q->ready)
		return;
	switch (offset) {
	case VIRTIO_MMIO_QUEUE_NUM:
		q->size = value;
		break;
	case VIRTIO_MMIO_QUEUE_DESC_LOW:
	case VIRTIO_MMIO_QUEUE_DESC_HIGH:
		set_half(&q->desc, offset == VIRTIO_MMIO_QUEUE_DESC_HIGH, value);
		break;
	case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
	case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
		set_half(&q->avail, offset == VIRTIO_MMIO_QUEUE_AVAIL_HIGH, value);
		break;
	case VIRTIO_MMIO_QUEUE_USED_LOW:
	case VIRTIO_MMIO_QUEUE_USED_HIGH:
		set_half(&q->used, offset == VIRTIO_MMIO_QUEUE_USED_HIGH, value);
		break;
	}
}

static void write_register(struct virtio *v, uint64_t offset, uint32_t value)
{
	switch (offset) {
	case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
		v->device_features_select = value;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
		v->driver_features_select = value;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES:
		/* Once agreed on, they stay. */
		if (v->driver_features_select < 2 && !(v->status & VIRTIO_CONFIG_S_FEATURES_OK))
			set_half(&v->driver_features, v->driver_features_select, value);
		break;
	case VIRTIO_MMIO_QUEUE_SEL:
		v->queue_select = value;
		break;
	case VIRTIO_MMIO_QUEUE_NOTIFY:
		if (value < v->queue_count)
			serve(v, value);
		break;
	case VIRTIO_MMIO_INTERRUPT_ACK:
		set_interrupt(v, v->interrupt_status & ~value);
		break;
	case VIRTIO_MMIO_STATUS:
		write_status(v, value);
		break;
	default:
		write_queue(v, offset, value);
		break;
	}
}

static uint32_t read_register(const struct virtio *v, uint64_t offset)
{
	bool selected = v->queue_select < v->queue_count;

	switch (offset) {
	case VIRTIO_MMIO_MAGIC_VALUE:
		return MAGIC;
	case VIRTIO_MMIO_VERSION:
		return VERSION;
	case VIRTIO_MMIO_DEVICE_ID:
		return v->device_id;
	case VIRTIO_MMIO_VENDOR_ID:
		return VENDOR;
	case VIRTIO_MMIO_DEVICE_FEATURES:
		return v->device_features_select < 2 ?
		       (uint32_t)(offered(v) >> 32 * v->device_features_select) : 0;
	case VIRTIO_MMIO_QUEUE_NUM_MAX:
		return selected ? VIRTIO_QUEUE_SIZE_MAX : 0;
	case VIRTIO_MMIO_QUEUE_READY:
		return selected && v->queue[v->queue_select].ready;
	case VIRTIO_MMIO_INTERRUPT_STATUS:
		return v->interrupt_status;
	case VIRTIO_MMIO_STATUS:
		return v->status;
	/* No shared memory: its length is -1, for who asks. */
	case VIRTIO_MMIO_SHM_LEN_LOW:
	case VIRTIO_MMIO_SHM_LEN_HIGH:
	case VIRTIO_MMIO_SHM_BASE_LOW:
	case VIRTIO_MMIO_SHM_BASE_HIGH:
		return ~0u;
	default:
		return 0;
	}
}

/* Whatever of it there is; behind its end are zeros. */
static uint64_t read_config(const struct virtio *v, uint64_t offset, unsigned int size)
{
	uint64_t value = 0;

	if (offset < v->config_size)
		memcpy(&value, (const uint8_t *)v->config + offset,
		       size < v->config_size - offset ? size : v->config_size - offset);
	return value;
}

int virtio_access(void *device, uint64_t offset, unsigned int size, bool write, uint64_t *value)
{
	struct virtio *v = device;

	pthread_mutex_lock(&v->lock);
	if (!write)
		*value = offset >= VIRTIO_MMIO_CONFIG ?
			 read_config(v, offset - VIRTIO_MMIO_CONFIG, size) :
			 read_register(v, offset);
	else if (v->resetting)
		;
	/* Registers are 32 bits wide. */
	else if (size == 4 && offset < VIRTIO_MMIO_CONFIG)
		write_register(v, offset, (uint32_t)*value);
	else if (offset >= VIRTIO_MMIO_CONFIG && v->write_config)
		v->write_config(v, offset - VIRTIO_MMIO_CONFIG, size, *value);
	pthread_mutex_unlock(&v->lock);
	return 0;
}

void virtio_init(struct virtio *v, const struct guest_ram *ram,
		 void (*interrupt)(void *arg, unsigned int pin, bool level), void *arg,
		 unsigned int pin)
{
	pthread_mutex_init(&v->lock, NULL);
	v->ram = ram;
	v->interrupt = interrupt;
	v->arg = arg;
	v->pin = pin;
	v->interrupt_status = 0;
	atomic_store(&v->closing, false);
	reset(v);
}

void virtio_destroy(struct virtio *v)
{
	pthread_mutex_destroy(&v->lock);
}
