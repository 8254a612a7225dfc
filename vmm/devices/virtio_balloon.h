/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A balloon: virtio 1.2, 5.5. The guest gives pages away, because it was asked to (inflate) or because
 * it has no use for them now (reported), and this process gives them back to Linux: MADV_DONTNEED (or MADV_REMOVE, if it is shared) on
 * its own mapping. The driver takes them from the guest; the guest's next touch brings an empty page.
 *
 * Laws:
 *   - Only whole pages of guest memory are given back, each address checked when it is used. An address
 *     that is none breaks the device: a driver that lies loses its own pages, and nobody else's.
 *   - A page that comes back is empty. Reported pages of a guest that wants to find something else in
 *     them (a poison that is not zero) are left alone: to fill them again would be to allocate what was
 *     just given back. Inflated pages are nobody's, and need no poison.
 *   - Memory that is pinned stays pinned, and huge pages of a pool stay whole: the balloon works,
 *     and gives nothing back. Reporting would be work for nothing there, and is not offered.
 */
#ifndef DEVICES_VIRTIO_BALLOON_H
#define DEVICES_VIRTIO_BALLOON_H

#include <linux/virtio_balloon.h>

#include "virtio_mmio.h"

struct virtio_balloon {
	struct virtio virtio;		/* the device on the bus */

	/* Under its lock. */
	struct virtio_balloon_config config;
	int discard;
	uint64_t inflated, deflated, reported;	/* pages, ever */
	uint64_t hinted;		/* the same by another way, virtio_balloon_hint() */
	uint64_t failed;		/* pages that Linux would not take */
	/* What the driver said last of its memory, by VIRTIO_BALLOON_S_*; known: a bit each. */
	uint64_t stat[VIRTIO_BALLOON_S_NR];
	uint32_t known;
	/* Its buffer, kept until somebody wants to know again. */
	bool stats_kept;
	uint16_t stats_head;
};

/* What is to be known from outside. Sizes in bytes. */
struct balloon_state {
	bool driver;			/* the guest has one, and it works */
	uint64_t target, actual;	/* in the balloon */
	uint64_t inflated, deflated, reported, hinted, failed;
	uint64_t stat[VIRTIO_BALLOON_S_NR];
	uint32_t known;
};

/*
 * @advice: to madvise() that gives a page back to Linux, or -1: none does (pinned memory, huge pages of a
 * pool), and the balloon only looks as if. virtio_init() comes after it.
 */
void virtio_balloon_init(struct virtio_balloon *balloon, int advice);

/* Asks the guest to have @size bytes (whole pages) in the balloon. What it does is its own matter. */
void virtio_balloon_set(struct virtio_balloon *balloon, uint64_t size);

/*
 * The guest has said by another way that it needs [@at, @at + @size) no more: whole pages of its memory in this
 * process. They are given back like those that it reports.
 */
void virtio_balloon_hint(struct virtio_balloon *balloon, void *at, uint64_t size);

/* True if pages that are reported or hinted really are given back. */
static inline bool virtio_balloon_discards(const struct virtio_balloon *balloon)
{
	return balloon->discard >= 0;
}

/* What is known now; the guest is asked for new statistics, which come when it has the time. */
void virtio_balloon_get(struct virtio_balloon *balloon, struct balloon_state *state);

#endif
