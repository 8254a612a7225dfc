/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A source of entropy: virtio 1.2, 5.4. Bytes are those of getrandom(), written where the guest wants
 * them, in the thread of the processor that asks.
 *
 * Laws:
 *   - Nobody waits: whether this host has entropy is asked once, before there is a guest.
 *   - A request gets so many bytes at a time and no more: whoever ends the guest waits for it.
 */
#ifndef DEVICES_VIRTIO_RNG_H
#define DEVICES_VIRTIO_RNG_H

#include "virtio_mmio.h"

#define VIRTIO_RNG_MAX	4096u		/* bytes for one request */

struct virtio_rng {
	struct virtio virtio;		/* the device on the bus */
};

/*
 * virtio_init() comes after it. Early in the boot of a host it waits until Linux has entropy, as every
 * program does that wants some; afterwards there always is. -1 with mshv_error().
 */
int virtio_rng_init(struct virtio_rng *rng);

#endif
