// SPDX-License-Identifier: GPL-2.0-only
/* A network card, see virtio_net.h. */
#include <stddef.h>
#include <string.h>

#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>

#include "virtio_net.h"

#define QUEUE_RECEIVE	0u
#define QUEUE_TRANSMIT	1u

/* In front of each frame, both ways. */
typedef struct virtio_net_hdr_v1 header_t;

static struct virtio_net *net_of(struct virtio *v)
{
	return (void *)((uint8_t *)v - offsetof(struct virtio_net, virtio));
}

static void available(struct virtio *v, unsigned int queue)
{
	struct virtio_net *net = net_of(v);

	(void)queue;
	net->wake(net->arg);
}

void virtio_net_init(struct virtio_net *net, const uint8_t mac[6], void (*wake)(void *arg), void *arg)
{
	memset(net, 0, sizeof(*net));
	memcpy(net->config.mac, mac, 6);
	net->config.status = VIRTIO_NET_S_LINK_UP;
	net->wake = wake;
	net->arg = arg;
	net->virtio.device_id = VIRTIO_ID_NET;
	net->virtio.features = 1ull << VIRTIO_NET_F_MAC | 1ull << VIRTIO_NET_F_STATUS;
	net->virtio.queue_count = 2;
	net->virtio.config = &net->config;
	/* What belongs to features that are not offered is not there. */
	net->virtio.config_size = offsetof(struct virtio_net_config, max_virtqueue_pairs);
	net->virtio.taken = 1u << QUEUE_RECEIVE | 1u << QUEUE_TRANSMIT;
	net->virtio.available = available;
}

/* The frame in a chain; 0: it is none, or the device is broken. */
static size_t take_frame(struct virtio_net *net, const struct virtio_chain *chain, uint8_t *frame)
{
	uint64_t size = virtio_readable(chain);
	header_t header;

	if (chain->readable != chain->count || size < sizeof(header)) {
		virtio_break(&net->virtio);
		return 0;
	}
	virtio_read(chain, 0, &header, sizeof(header));
	size -= sizeof(header);
	if (header.flags || header.gso_type != VIRTIO_NET_HDR_GSO_NONE ||
	    size < VIRTIO_NET_FRAME_MIN || size > VIRTIO_NET_FRAME_MAX) {
		net->dropped++;
		return 0;
	}
	net->sent++;
	return virtio_read(chain, sizeof(header), frame, size);
}

size_t virtio_net_take(struct virtio_net *net, uint8_t frame[VIRTIO_NET_FRAME_MAX])
{
	struct virtio_chain chain;
	unsigned int left = VIRTIO_QUEUE_SIZE_MAX;
	size_t size = 0;

	pthread_mutex_lock(&net->virtio.lock);
	/* Whoever sends nothing but rubbish does not keep us here. */
	while (!size && left-- && virtio_take(&net->virtio, QUEUE_TRANSMIT, &chain)) {
		size = take_frame(net, &chain, frame);
		virtio_done(&net->virtio, QUEUE_TRANSMIT, chain.head, 0);
	}
	pthread_mutex_unlock(&net->virtio.lock);
	return size;
}

enum virtio_net_given virtio_net_give(struct virtio_net *net, const uint8_t *frame, size_t size)
{
	const header_t header = { .num_buffers = 1 };
	enum virtio_net_given given = VIRTIO_NET_NO_ROOM;
	struct virtio *v = &net->virtio;
	struct virtio_chain chain;

	pthread_mutex_lock(&v->lock);
	if (!v->queue[QUEUE_RECEIVE].ready || !(v->status & VIRTIO_CONFIG_S_DRIVER_OK)) {
		given = VIRTIO_NET_LOST;
	} else if (virtio_take(v, QUEUE_RECEIVE, &chain)) {
		/* The driver has promised room for the largest there are, not only for this one. */
		if (chain.readable || virtio_writable(&chain) < sizeof(header) + VIRTIO_NET_FRAME_MAX) {
			virtio_break(v);
		} else {
			virtio_write(&chain, 0, &header, sizeof(header));
			virtio_write(&chain, sizeof(header), frame, size);
			virtio_done(v, QUEUE_RECEIVE, chain.head, (uint32_t)(sizeof(header) + size));
			net->received++;
			given = VIRTIO_NET_GIVEN;
		}
	}
	if (v->status & VIRTIO_CONFIG_S_NEEDS_RESET)
		given = VIRTIO_NET_LOST;
	pthread_mutex_unlock(&v->lock);
	return given;
}
