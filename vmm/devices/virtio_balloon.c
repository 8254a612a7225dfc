// SPDX-License-Identifier: GPL-2.0-only
/* A balloon, see virtio_balloon.h. */
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>

#include "virtio_balloon.h"

#define PAGE			4096ull
#define QUEUE_INFLATE		0u
#define QUEUE_DEFLATE		1u
#define QUEUE_STATS		2u

/*
 * How many page numbers one request may have; Linux sends 256. A limit, because whoever ends the guest
 * waits for the request to be done.
 */
#define NUMBERS_MAX		16384u
#define STATS_MAX		64u

static bool agreed(const struct virtio *v, unsigned int feature)
{
	return v->driver_features >> feature & 1;
}

/* A guest that ends gives all of it back: nobody needs to wait for this here. */
static void discard(struct virtio_balloon *b, void *at, uint64_t size)
{
	if (atomic_load(&b->virtio.closing))
		return;
	if (size && b->discard >= 0 && madvise(at, size, b->discard))
		b->failed += size / PAGE;
}

/* Page numbers, 32 bits each. Neighbours, up or down, are given back in one go. */
static int64_t inflate_or_deflate(struct virtio_balloon *b, const struct virtio_chain *chain,
				  bool inflate)
{
	uint64_t size = virtio_readable(chain), run = 0;
	uint8_t *start = NULL, *at;
	uint32_t number;
	size_t i;

	if (size % sizeof(number) || size / sizeof(number) > NUMBERS_MAX)
		return VIRTIO_BROKEN;
	for (i = 0; i < size / sizeof(number); i++) {
		virtio_read(chain, i * sizeof(number), &number, sizeof(number));
		at = guest_ram_at(b->virtio.ram, number * PAGE, PAGE);
		if (!at) {
			discard(b, start, run);
			return VIRTIO_BROKEN;
		}
		if (!inflate)
			continue;
		if (run && at == start + run) {
			run += PAGE;
		} else if (run && at + PAGE == start) {
			start = at;
			run += PAGE;
		} else {
			discard(b, start, run);
			start = at;
			run = PAGE;
		}
	}
	discard(b, start, run);
	/* A page that leaves the balloon comes with its first touch. */
	*(inflate ? &b->inflated : &b->deflated) += size / sizeof(number);
	return 0;
}

/* Parts that the device may write to are free. */
static int64_t report(struct virtio_balloon *b, const struct virtio_chain *chain)
{
	unsigned int i;

	if (chain->readable)
		return VIRTIO_BROKEN;
	if (agreed(&b->virtio, VIRTIO_BALLOON_F_PAGE_POISON) && b->config.poison_val)
		return 0;
	for (i = 0; i < chain->count; i++) {
		/* Guest memory starts at a page here and there: what is whole is so on both sides. */
		uintptr_t from = (uintptr_t)chain->part[i].data;
		uintptr_t to = (from + chain->part[i].size) & ~(uintptr_t)(PAGE - 1);

		from = (from + PAGE - 1) & ~(uintptr_t)(PAGE - 1);
		if (from >= to)
			continue;
		discard(b, (void *)from, to - from);
		b->reported += (to - from) / PAGE;
	}
	return 0;
}

static int64_t take_stats(struct virtio_balloon *b, const struct virtio_chain *chain)
{
	struct virtio_balloon_stat stat;
	size_t i;

	/* There is one buffer, and it is here. */
	if (b->stats_kept)
		return VIRTIO_BROKEN;
	b->known = 0;
	for (i = 0; i < STATS_MAX; i++) {
		if (virtio_read(chain, i * sizeof(stat), &stat, sizeof(stat)) != sizeof(stat))
			break;
		/* Newer drivers know more. */
		if (stat.tag >= VIRTIO_BALLOON_S_NR)
			continue;
		b->stat[stat.tag] = stat.val;
		b->known |= 1u << stat.tag;
	}
	b->stats_kept = true;
	b->stats_head = chain->head;
	return VIRTIO_KEPT;
}

static struct virtio_balloon *balloon_of(struct virtio *v)
{
	return (void *)((uint8_t *)v - offsetof(struct virtio_balloon, virtio));
}

static int64_t request(struct virtio *v, unsigned int queue, const struct virtio_chain *chain)
{
	struct virtio_balloon *b = balloon_of(v);

	switch (queue) {
	case QUEUE_INFLATE:
	case QUEUE_DEFLATE:
		return inflate_or_deflate(b, chain, queue == QUEUE_INFLATE);
	case QUEUE_STATS:
		if (agreed(v, VIRTIO_BALLOON_F_STATS_VQ))
			return take_stats(b, chain);
		break;
	}
	/*
	 * Reports have queue 4 by the specification, and the next free one by Linux, which does not count
	 * queues of features that it did not get. There is no other that it could be.
	 */
	return agreed(v, VIRTIO_BALLOON_F_REPORTING) ? report(b, chain) : VIRTIO_BROKEN;
}

static void write_config(struct virtio *v, uint64_t offset, unsigned int size, uint64_t value)
{
	struct virtio_balloon *b = balloon_of(v);

	if (size != 4)
		return;
	if (offset == offsetof(struct virtio_balloon_config, actual))
		b->config.actual = (uint32_t)value;
	else if (offset == offsetof(struct virtio_balloon_config, poison_val) &&
		 agreed(v, VIRTIO_BALLOON_F_PAGE_POISON))
		b->config.poison_val = (uint32_t)value;
}

/* A new driver has nothing in the balloon; what it is asked for stays. */
static void on_reset(struct virtio *v)
{
	struct virtio_balloon *b = balloon_of(v);

	b->config.actual = 0;
	b->config.poison_val = 0;
	b->known = 0;
	b->stats_kept = false;
}

void virtio_balloon_init(struct virtio_balloon *balloon, int advice)
{
	memset(balloon, 0, sizeof(*balloon));
	balloon->virtio.device_id = VIRTIO_ID_BALLOON;
	balloon->virtio.features = 1ull << VIRTIO_BALLOON_F_STATS_VQ |
				   1ull << VIRTIO_BALLOON_F_DEFLATE_ON_OOM |
				   1ull << VIRTIO_BALLOON_F_PAGE_POISON |
				   (advice < 0 ? 0 : 1ull << VIRTIO_BALLOON_F_REPORTING);
	balloon->discard = advice;
	balloon->virtio.queue_count = 5;
	balloon->virtio.config = &balloon->config;
	balloon->virtio.config_size = sizeof(balloon->config);
	balloon->virtio.request = request;
	balloon->virtio.write_config = write_config;
	balloon->virtio.on_reset = on_reset;
}

void virtio_balloon_set(struct virtio_balloon *balloon, uint64_t size)
{
	pthread_mutex_lock(&balloon->virtio.lock);
	balloon->config.num_pages = (uint32_t)(size / PAGE);
	virtio_config_changed(&balloon->virtio);
	pthread_mutex_unlock(&balloon->virtio.lock);
}

void virtio_balloon_hint(struct virtio_balloon *balloon, void *at, uint64_t size)
{
	pthread_mutex_lock(&balloon->virtio.lock);
	discard(balloon, at, size);
	balloon->hinted += size / PAGE;
	pthread_mutex_unlock(&balloon->virtio.lock);
}

void virtio_balloon_get(struct virtio_balloon *balloon, struct balloon_state *state)
{
	pthread_mutex_lock(&balloon->virtio.lock);
	*state = (struct balloon_state){
		.driver = balloon->virtio.status & VIRTIO_CONFIG_S_DRIVER_OK &&
			  !(balloon->virtio.status & VIRTIO_CONFIG_S_NEEDS_RESET),
		.target = balloon->config.num_pages * PAGE,
		.actual = balloon->config.actual * PAGE,
		.inflated = balloon->inflated * PAGE,
		.deflated = balloon->deflated * PAGE,
		.reported = balloon->reported * PAGE,
		.hinted = balloon->hinted * PAGE,
		.failed = balloon->failed * PAGE,
		.known = balloon->known,
	};
	memcpy(state->stat, balloon->stat, sizeof(state->stat));
	if (balloon->stats_kept) {
		balloon->stats_kept = false;
		virtio_done(&balloon->virtio, QUEUE_STATS, balloon->stats_head, 0);
	}
	pthread_mutex_unlock(&balloon->virtio.lock);
}
