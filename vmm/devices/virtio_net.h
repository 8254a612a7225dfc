/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A network card: virtio 1.2, 5.1, with one queue each way and no offloads. It knows frames and queues;
 * where frames go is somebody else's (user_net.h), who takes and gives them in a thread of his own.
 *
 * Laws:
 *   - A frame is copied out of guest memory, and checked, before anybody looks into it.
 *   - A buffer is taken when there is a frame for it, never before: a reset finds nothing under way.
 *   - A frame that is none (too short, too long, with offloads that nobody agreed on) is dropped; a chain
 *     that cannot hold what the driver has promised breaks the device.
 */
#ifndef DEVICES_VIRTIO_NET_H
#define DEVICES_VIRTIO_NET_H

#include <sys/types.h>

#include <linux/virtio_net.h>

#include "virtio_mmio.h"

#define VIRTIO_NET_FRAME_MIN	14u		/* a header */
#define VIRTIO_NET_FRAME_MAX	1514u		/* and 1500 bytes */

struct virtio_net {
	struct virtio virtio;		/* the device on the bus */
	struct virtio_net_config config;
	/* The guest has a frame, or room for one. Called with the device's lock held. */
	void (*wake)(void *arg);
	void *arg;

	/* Under the lock. */
	uint64_t sent, received;	/* frames: the guest's, and to it */
	uint64_t dropped;		/* the guest's that were none */
};

/* virtio_init() comes after it. */
void virtio_net_init(struct virtio_net *net, const uint8_t mac[6], void (*wake)(void *arg), void *arg);

/* Takes a frame that the guest sends. Returns its size, or 0: there is none now. */
size_t virtio_net_take(struct virtio_net *net, uint8_t frame[VIRTIO_NET_FRAME_MAX]);

/* What became of a frame for the guest; without a driver it is lost as on a cable that nobody has plugged in. */
enum virtio_net_given { VIRTIO_NET_GIVEN, VIRTIO_NET_LOST, VIRTIO_NET_NO_ROOM };
enum virtio_net_given virtio_net_give(struct virtio_net *net, const uint8_t *frame, size_t size);

#endif
