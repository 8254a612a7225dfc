// SPDX-License-Identifier: GPL-2.0-only
/* A source of entropy, see virtio_rng.h. */
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include <linux/virtio_ids.h>

#include "libmshv.h"
#include "virtio_rng.h"

static bool fill(uint8_t *to, size_t size)
{
	ssize_t got;

	while (size) {
		got = getrandom(to, size, GRND_NONBLOCK);
		/* A signal, which may be for this processor, ends a long one. */
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return false;
		to += got;
		size -= (size_t)got;
	}
	return true;
}

static int64_t request(struct virtio *v, unsigned int queue, const struct virtio_chain *chain)
{
	size_t done = 0;
	unsigned int i;

	(void)v;
	(void)queue;
	/* There is nothing to be told to it, and an answer has at least a byte. */
	if (chain->readable || !virtio_writable(chain))
		return VIRTIO_BROKEN;
	for (i = 0; i < chain->count && done < VIRTIO_RNG_MAX; i++) {
		size_t size = chain->part[i].size;

		if (size > VIRTIO_RNG_MAX - done)
			size = VIRTIO_RNG_MAX - done;
		if (!fill(chain->part[i].data, size))
			return VIRTIO_BROKEN;
		done += size;
	}
	return (int64_t)done;
}

int virtio_rng_init(struct virtio_rng *rng)
{
	uint8_t byte;

	memset(rng, 0, sizeof(*rng));
	rng->virtio.device_id = VIRTIO_ID_RNG;
	rng->virtio.queue_count = 1;
	rng->virtio.request = request;
	while (getrandom(&byte, 1, 0) != 1)
		if (errno != EINTR)
			return mshv_fail("entropy for the guest");
	return 0;
}
