/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where a guest's frames go without any privilege: libslirp, a TCP/IP of its own that ends the guest's
 * connections and makes them again as sockets of this process. The guest's network is 10.0.2.0/24: it
 * gets 10.0.2.15 by DHCP, the host is 10.0.2.2 (its own 127.0.0.1), and 10.0.2.3 forwards to the host's
 * name server. From outside nobody reaches it but through ports that are forwarded.
 *
 * A guest that opens connections without end finds no more at some point: half of the descriptors that
 * this process may have are for everything else, such as hearing that the guest is to be stopped.
 *
 * One thread does all of it; processors only wake it. libslirp parses what the guest sends, in copies:
 * it never sees guest memory.
 */
#ifndef DEVICES_USER_NET_H
#define DEVICES_USER_NET_H

#include <netinet/in.h>
#include <stdatomic.h>

#include "virtio_net.h"

#define USER_NET_FORWARDS_MAX	16u
#define USER_NET_BACKLOG	256u

struct user_net_config {
	unsigned int forward_count;
	struct user_net_forward {
		bool udp;
		uint16_t port;		/* of 127.0.0.1 */
		uint16_t guest_port;
	} forward[USER_NET_FORWARDS_MAX];
};

struct user_net {
	struct virtio_net card;
	struct Slirp *slirp;
	pthread_t thread;
	bool has_thread;
	int wake;			/* eventfd */
	atomic_bool stop;

	/* The thread's own. */
	struct pollfd *fds;
	unsigned int fd_count, fd_room;
	unsigned int fd_max;		/* with so many open, nothing opens more */
	time_t pieces_since;		/* pieces of packets are counted from then on */
	unsigned int pieces;
	/* Frames that have found no buffer yet; what finds no place here is lost, and TCP sends it again. */
	struct user_net_frame {
		uint16_t size;
		uint8_t data[VIRTIO_NET_FRAME_MAX];
	} *backlog;
	unsigned int first, count;
	atomic_ullong lost;
	atomic_ullong refused;		/* frames that might have opened a descriptor too many */
};

/*
 * "user", and behind commas ports of 127.0.0.1 to be forwarded to ports of the guest's: "user,tcp:2222:22".
 * -1 with mshv_error().
 */
int user_net_parse(const char *text, struct user_net_config *config);

/* What is to be known from outside: frames. */
struct user_net_state {
	uint64_t sent, received;	/* the guest's, and to it */
	uint64_t dropped;		/* the guest's that were none, or would have opened too much */
	uint64_t lost;			/* to it, which it had no room for */
};
void user_net_get(struct user_net *net, struct user_net_state *state);

/* virtio_init() of card.virtio comes after it, and then user_net_start(). -1 with mshv_error(). */
int user_net_open(struct user_net *net, const struct user_net_config *config);
int user_net_start(struct user_net *net);
/* Guest memory must be there still. virtio_destroy() comes after it. */
void user_net_close(struct user_net *net);

#endif
