// SPDX-License-Identifier: GPL-2.0-only
/* A guest's network, see user_net.h. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <slirp/libslirp.h>

#include "libmshv.h"
#include "user_net.h"

#define NETWORK		0x0a000200u	/* 10.0.2.0 */
#define NETMASK		0xffffff00u
#define HOST		(NETWORK + 2)
#define NAME_SERVER	(NETWORK + 3)
#define GUEST		(NETWORK + 15)
#define MTU		1500u

/* With frames that nobody takes, sockets are looked at this often only: connections age all the same. */
#define BACKLOG_MS	100
/* Frames of the guest's between two looks at sockets. */
#define FRAMES_MAX	64u
/* Pieces of packets for libslirp, some 2 KiB of memory each, in the time that it keeps them. */
#define PIECES_MAX	32768u
#define PIECES_SECONDS	30

static const uint8_t mac[6] = { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 };

/* ---- options ---- */

static bool parse_port(const char **text, char end, uint16_t *port)
{
	unsigned long value = 0;
	const char *digit = *text;

	while (*digit >= '0' && *digit <= '9' && value <= 0xffff)
		value = value * 10 + (unsigned long)(*digit++ - '0');
	if (digit == *text || value == 0 || value > 0xffff)
		return false;
	/* The last one ends with the text, or where the next forward begins. */
	if (end ? *digit != end : *digit && *digit != ',')
		return false;
	*text = digit + (*digit != '\0');
	*port = (uint16_t)value;
	return true;
}

static bool parse_forward(const char **text, struct user_net_forward *forward)
{
	forward->udp = !strncmp(*text, "udp:", 4);
	if (!forward->udp && strncmp(*text, "tcp:", 4))
		return false;
	*text += 4;
	return parse_port(text, ':', &forward->port) && parse_port(text, '\0', &forward->guest_port);
}

int user_net_parse(const char *text, struct user_net_config *config)
{
	const char *at = text + 4;
	int length;

	memset(config, 0, sizeof(*config));
	if (strncmp(text, "user", 4) || (*at && *at != ','))
		return mshv_fail_because(EINVAL, "not user or user,PROTOCOL:PORT:GUESTPORT: %s", text);
	if (*at)
		at++;
	else
		return 0;
	do {
		const char *start = at;

		length = (int)strcspn(start, ",");
		if (config->forward_count == USER_NET_FORWARDS_MAX)
			return mshv_fail_because(EINVAL, "more than %u forwarded ports",
						 USER_NET_FORWARDS_MAX);
		if (!parse_forward(&at, &config->forward[config->forward_count++]))
			return mshv_fail_because(EINVAL, "not tcp:PORT:GUESTPORT or udp:PORT:GUESTPORT, "
						 "with ports from 1 to 65535: %.*s", length, start);
	} while (at[-1] == ',');
	return 0;
}

/* ---- what libslirp calls ---- */

static bool store(struct user_net *net, const void *frame, size_t size)
{
	struct user_net_frame *to;

	if (net->count == USER_NET_BACKLOG)
		return false;
	to = &net->backlog[(net->first + net->count++) % USER_NET_BACKLOG];
	memcpy(to->data, frame, size);
	to->size = (uint16_t)size;
	return true;
}

static ssize_t send_packet(const void *frame, size_t size, void *arg)
{
	struct user_net *net = arg;

	/* None is that large; and one that is lost is no error. */
	if (size > VIRTIO_NET_FRAME_MAX) {
		net->lost++;
		return (ssize_t)size;
	}
	/* Frames keep their order. */
	if ((net->count || virtio_net_give(&net->card, frame, size) == VIRTIO_NET_NO_ROOM) &&
	    !store(net, frame, size))
		net->lost++;
	return (ssize_t)size;
}

/* Its own mistakes are the guest's business. */
static void guest_error(const char *message, void *arg)
{
	(void)message;
	(void)arg;
}

static int64_t clock_get_ns(void *arg)
{
	struct timespec now;

	(void)arg;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ll + now.tv_nsec;
}

/* Timers are only for IPv6, which there is not. */
static void *timer_new(SlirpTimerCb callback, void *callback_arg, void *arg)
{
	(void)callback;
	(void)callback_arg;
	(void)arg;
	return NULL;
}

static void timer_free(void *timer, void *arg)
{
	(void)timer;
	(void)arg;
}

static void timer_mod(void *timer, int64_t when, void *arg)
{
	(void)timer;
	(void)when;
	(void)arg;
}

/* What there is to be polled is asked for each time. */
static void poll_fd(int fd, void *arg)
{
	(void)fd;
	(void)arg;
}

/* Called in the thread, which looks again before it sleeps. */
static void notify(void *arg)
{
	(void)arg;
}

static const SlirpCb callbacks = {
	.send_packet = send_packet,
	.guest_error = guest_error,
	.clock_get_ns = clock_get_ns,
	.timer_new = timer_new,
	.timer_free = timer_free,
	.timer_mod = timer_mod,
	.register_poll_fd = poll_fd,
	.unregister_poll_fd = poll_fd,
	.notify = notify,
};

/* ---- the thread ---- */

static const struct {
	int slirp;
	short poll;
} events[] = {
	{ SLIRP_POLL_IN, POLLIN }, { SLIRP_POLL_OUT, POLLOUT }, { SLIRP_POLL_PRI, POLLPRI },
	{ SLIRP_POLL_ERR, POLLERR }, { SLIRP_POLL_HUP, POLLHUP },
};
#define EVENTS (sizeof(events) / sizeof(events[0]))

/* Descriptors are given away from the lowest on. */
static bool are_too_many(const struct user_net *net)
{
	int lowest = fcntl(net->wake, F_DUPFD_CLOEXEC, 0);

	if (lowest < 0)
		return true;
	close(lowest);
	return (unsigned int)lowest >= net->fd_max;
}

static bool listens(int fd)
{
	socklen_t size = sizeof(int);
	int listening = 0;

	return !getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) && listening;
}

static int add_poll(int fd, int wanted, void *arg)
{
	struct user_net *net = arg;
	struct pollfd *more;
	unsigned int i;

	/* Who comes from outside waits in the listener's queue. */
	if (listens(fd) && are_too_many(net))
		return -1;

	if (net->fd_count == net->fd_room) {
		more = realloc(net->fds, 2 * net->fd_room * sizeof(*more));
		/* Looked at another time. */
		if (!more)
			return -1;
		net->fds = more;
		net->fd_room *= 2;
	}
	net->fds[net->fd_count] = (struct pollfd){ .fd = fd };
	for (i = 0; i < EVENTS; i++)
		if (wanted & events[i].slirp)
			net->fds[net->fd_count].events |= events[i].poll;
	return (int)net->fd_count++;
}

static int get_revents(int index, void *arg)
{
	const struct user_net *net = arg;
	unsigned int i;
	int seen = 0;

	if (index < 0)
		return 0;
	for (i = 0; i < EVENTS; i++)
		if (net->fds[index].revents & events[i].poll)
			seen |= events[i].slirp;
	return seen;
}

/* Gives the guest what has waited. */
static void give_backlog(struct user_net *net)
{
	while (net->count) {
		const struct user_net_frame *frame = &net->backlog[net->first];

		if (virtio_net_give(&net->card, frame->data, frame->size) == VIRTIO_NET_NO_ROOM)
			return;
		net->first = (net->first + 1) % USER_NET_BACKLOG;
		net->count--;
	}
}

/* Whether libslirp may make a socket because of a frame: all IPv4 but for TCP that goes on. */
static bool may_open(const uint8_t *frame, size_t size)
{
	const uint8_t *ip = frame + 14;
	unsigned int length;

	if (size < 14 + 20 || frame[12] != 0x08 || frame[13] != 0x00)
		return false;
	length = (ip[0] & 0xf) * 4u;
	/* Not TCP; or a piece of it; or without all of its flags. */
	if (ip[9] != IPPROTO_TCP || (ip[6] & 0x3f) || ip[7] || size < 14 + length + 14)
		return true;
	return ip[length + 13] & 0x02;		/* SYN */
}

/*
 * libslirp keeps pieces of packets for 30 seconds, as many as come: a guest could have it take all memory. So
 * it gets no more than so many in each 30 seconds, and there are no more than twice as many.
 */
static bool is_piece_too_many(struct user_net *net, const uint8_t *frame, size_t size)
{
	const uint8_t *ip = frame + 14;
	struct timespec now;

	if (size < 14 + 20 || frame[12] != 0x08 || frame[13] != 0x00 || !((ip[6] & 0x3f) | ip[7]))
		return false;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (now.tv_sec - net->pieces_since >= PIECES_SECONDS) {
		net->pieces_since = now.tv_sec;
		net->pieces = 0;
	}
	return ++net->pieces > PIECES_MAX;
}

/* False: there may be more. */
static bool take_frames(struct user_net *net)
{
	uint8_t frame[VIRTIO_NET_FRAME_MAX];
	unsigned int i;
	size_t size;

	for (i = 0; i < FRAMES_MAX; i++) {
		size = virtio_net_take(&net->card, frame);
		if (!size)
			return true;
		if (is_piece_too_many(net, frame, size) || (may_open(frame, size) && are_too_many(net)))
			net->refused++;
		else
			slirp_input(net->slirp, frame, (int)size);
	}
	return false;
}

static void *user_net_thread(void *arg)
{
	struct user_net *net = arg;
	uint32_t timeout;
	uint64_t count;
	bool all = true;
	int ready;

	while (!net->stop) {
		timeout = net->count ? BACKLOG_MS : UINT32_MAX;
		net->fds[0] = (struct pollfd){ .fd = net->wake, .events = POLLIN };
		net->fd_count = 1;
		slirp_pollfds_fill(net->slirp, &timeout, add_poll, net);
		/* As long as the guest has no room, nothing is read for it. */
		ready = poll(net->fds, net->count ? 1 : net->fd_count,
			     !all ? 0 : timeout > INT32_MAX ? -1 : (int)timeout);
		if (read(net->wake, &count, sizeof(count)) < 0 && errno != EAGAIN && errno != EINTR)
			break;
		give_backlog(net);
		slirp_pollfds_poll(net->slirp, ready < 0, get_revents, net);
		all = take_frames(net);
	}
	return NULL;
}

static void wake(void *arg)
{
	const struct user_net *net = arg;
	const uint64_t one = 1;

	/* Full is as good as one more. */
	if (write(net->wake, &one, sizeof(one)) < 0)
		return;
}

/* ---- from beginning to end ---- */

static struct in_addr address(uint32_t of)
{
	return (struct in_addr){ .s_addr = htonl(of) };
}

static int forward_ports(struct user_net *net, const struct user_net_config *config)
{
	unsigned int i;

	for (i = 0; i < config->forward_count; i++) {
		const struct user_net_forward *f = &config->forward[i];

		if (slirp_add_hostfwd(net->slirp, f->udp, address(INADDR_LOOPBACK), f->port,
				      address(GUEST), f->guest_port))
			return mshv_fail("forward %s port %u", f->udp ? "udp" : "tcp", f->port);
	}
	return 0;
}

int user_net_open(struct user_net *net, const struct user_net_config *config)
{
	/* The oldest version has all that is wanted. */
	const SlirpConfig slirp = {
		.version = SLIRP_CONFIG_VERSION_MIN,
		.in_enabled = true,
		.vnetwork = address(NETWORK),
		.vnetmask = address(NETMASK),
		.vhost = address(HOST),
		.vdhcp_start = address(GUEST),
		.vnameserver = address(NAME_SERVER),
		.if_mtu = MTU,
		.if_mru = MTU,
	};

	struct rlimit limit;

	memset(net, 0, sizeof(*net));
	if (getrlimit(RLIMIT_NOFILE, &limit))
		return mshv_fail("network");
	net->fd_max = limit.rlim_cur / 2 < INT_MAX ? (unsigned int)limit.rlim_cur / 2 : INT_MAX;
	virtio_net_init(&net->card, mac, wake, net);
	net->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	net->fd_room = 16;
	net->fds = calloc(net->fd_room, sizeof(*net->fds));
	net->backlog = calloc(USER_NET_BACKLOG, sizeof(*net->backlog));
	if (net->wake < 0 || !net->fds || !net->backlog) {
		mshv_fail("network");
		goto close;
	}
	net->slirp = slirp_new(&slirp, &callbacks, net);
	if (!net->slirp) {
		mshv_fail_because(ENOMEM, "network: libslirp %s does not start", slirp_version_string());
		goto close;
	}
	if (!forward_ports(net, config))
		return 0;
close:
	user_net_close(net);
	return -1;
}

int user_net_start(struct user_net *net)
{
	int error = pthread_create(&net->thread, NULL, user_net_thread, net);

	if (error)
		return mshv_fail_because(error, "network: %s", strerror(error));
	net->has_thread = true;
	return 0;
}

void user_net_get(struct user_net *net, struct user_net_state *state)
{
	pthread_mutex_lock(&net->card.virtio.lock);
	*state = (struct user_net_state){
		.sent = net->card.sent,
		.received = net->card.received,
		.dropped = net->card.dropped + net->refused,
		.lost = net->lost,
	};
	pthread_mutex_unlock(&net->card.virtio.lock);
}

void user_net_close(struct user_net *net)
{
	int error = errno;

	if (net->has_thread) {
		net->stop = true;
		wake(net);
		pthread_join(net->thread, NULL);
	}
	if (net->slirp)
		slirp_cleanup(net->slirp);
	if (net->wake >= 0)
		close(net->wake);
	free(net->fds);
	free(net->backlog);
	net->has_thread = false;
	net->slirp = NULL;
	net->wake = -1;
	net->fds = NULL;
	net->backlog = NULL;
	errno = error;
}
