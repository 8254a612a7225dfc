// SPDX-License-Identifier: GPL-2.0-only
/*
 * A network card and what is behind it, from the driver's side: frames both ways, frames and chains that
 * are none, and a guest that asks libslirp for an address, and floods it.
 */
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/user_net.h"
#include "virtio_driver.h"

#define RECEIVE		0u
#define TRANSMIT	1u
#define HEADER		((uint32_t)sizeof(struct virtio_net_hdr_v1))
#define ROOM		(HEADER + VIRTIO_NET_FRAME_MAX)
#define MAC		(1ull << VIRTIO_NET_F_MAC)
#define STATUS		(1ull << VIRTIO_NET_F_STATUS)

static const uint8_t mac[6] = { 2, 3, 4, 5, 6, 7 };
static struct virtio_net card;
static struct user_net net;
static unsigned int woken;
static uint8_t frame[VIRTIO_NET_FRAME_MAX];

static void on_wake(void *arg)
{
	assert_ptr_equal(arg, &woken);
	woken++;
}

static int setup(void **state)
{
	(void)state;
	woken = 0;
	virtio_net_init(&card, mac, on_wake, &woken);
	plug_in(&card.virtio);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	virtio_destroy(&card.virtio);
	return 0;
}

static int setup_user(void **state)
{
	const struct user_net_config config = { 0 };

	(void)state;
	if (user_net_open(&net, &config))
		return -1;
	plug_in(&net.card.virtio);
	return user_net_start(&net);
}

static int teardown_user(void **state)
{
	(void)state;
	user_net_close(&net);
	virtio_destroy(&net.card.virtio);
	return 0;
}

static void put_frame(uint32_t size)
{
	memset(memory + DATA, 0, HEADER);
	for (uint32_t i = 0; i < size; i++)
		memory[DATA + HEADER + i] = (uint8_t)(i * 7);
}

static void what_it_is(void **state)
{
	(void)state;
	assert_int_equal(get(VIRTIO_MMIO_DEVICE_ID), 1);
	assert_true(offered_features() == (1ull << VIRTIO_F_VERSION_1 | MAC | STATUS));
	set(VIRTIO_MMIO_QUEUE_SEL, 2);
	assert_int_equal(get(VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
	for (unsigned int i = 0; i < 6; i++)
		assert_int_equal(vmm_read(virtio_access, device, VIRTIO_MMIO_CONFIG + i, 1), mac[i]);
	assert_int_equal(vmm_read(virtio_access, device, VIRTIO_MMIO_CONFIG + 6, 2), VIRTIO_NET_S_LINK_UP);
	assert_int_equal(get(VIRTIO_MMIO_CONFIG + 8), 0);
}

static void frames_go(void **state)
{
	(void)state;
	assert_int_equal(virtio_net_take(&card, frame), 0);
	start_driver(MAC);
	woken = 0;
	card.sent = card.dropped = 0;
	assert_int_equal(virtio_net_take(&card, frame), 0);
	put_frame(1514);
	/* The driver cuts as it likes. */
	put(TRANSMIT, 0, DATA, 5, NEXT);
	put(TRANSMIT, 1, DATA + 5, HEADER + 60, NEXT);
	put(TRANSMIT, 2, DATA, 0, NEXT);
	put(TRANSMIT, 3, DATA + HEADER + 65, 1449, 0);
	submit(TRANSMIT, 0);
	assert_int_equal(woken, 1);
	assert_int_equal(used(TRANSMIT)->idx, 0);
	assert_int_equal(virtio_net_take(&card, frame), 1514);
	assert_memory_equal(frame, memory + DATA + HEADER, 1514);
	assert_int_equal(used(TRANSMIT)->idx, 1);
	assert_int_equal(used(TRANSMIT)->ring[0].len, 0);
	assert_true(line);
	assert_int_equal(virtio_net_take(&card, frame), 0);
	/* A ring that goes round. */
	put(TRANSMIT, 0, DATA, HEADER + 14, 0);
	for (unsigned int i = 0; i < 100; i++) {
		submit(TRANSMIT, 0);
		assert_int_equal(virtio_net_take(&card, frame), 14);
	}
	assert_int_equal(card.sent, 101);
	assert_int_equal(card.dropped, 0);
}

static void frames_come(void **state)
{
	struct virtio_net_hdr_v1 header;

	(void)state;
	memset(frame, 0x5a, sizeof(frame));
	assert_int_equal(virtio_net_give(&card, frame, 60), VIRTIO_NET_LOST);
	start_driver(MAC);
	woken = 0;
	assert_int_equal(virtio_net_give(&card, frame, 60), VIRTIO_NET_NO_ROOM);
	put(RECEIVE, 0, DATA, HEADER, NEXT | WRITE);
	put(RECEIVE, 1, DATA + 0x100, VIRTIO_NET_FRAME_MAX, WRITE);
	submit(RECEIVE, 0);
	assert_int_equal(woken, 1);
	assert_int_equal(virtio_net_give(&card, frame, 60), VIRTIO_NET_GIVEN);
	assert_int_equal(used(RECEIVE)->idx, 1);
	assert_int_equal(used(RECEIVE)->ring[0].len, HEADER + 60);
	memcpy(&header, memory + DATA, sizeof(header));
	assert_int_equal(header.num_buffers, 1);
	assert_int_equal(header.flags | header.gso_type | header.hdr_len, 0);
	assert_memory_equal(memory + DATA + 0x100, frame, 60);
	assert_int_equal(memory[DATA + 0x100 + 60], 0xee);
	submit(RECEIVE, 0);
	assert_int_equal(virtio_net_give(&card, frame, VIRTIO_NET_FRAME_MAX), VIRTIO_NET_GIVEN);
	assert_int_equal(virtio_net_give(&card, frame, 60), VIRTIO_NET_NO_ROOM);
	assert_int_equal(card.received, 2);
	/* One that the driver took back with a reset is not written to. */
	submit(RECEIVE, 0);
	set(VIRTIO_MMIO_STATUS, 0);
	memset(memory, 0xee, RAM);
	assert_int_equal(virtio_net_give(&card, frame, 60), VIRTIO_NET_LOST);
	assert_int_equal(memory[DATA + 0x100], 0xee);
}

/* Nobody agreed on offloads, and frames have sizes: what is not so is dropped, and the next one goes. */
static void frames_that_are_none(void **state)
{
	static const uint32_t sizes[] = { 0, 1, 13, 1515, 65536, 0x80000 };
	struct virtio_net_hdr_v1 *header = (void *)(memory + DATA);

	(void)state;
	start_driver(MAC);
	put_frame(60);
	for (unsigned int i = 0; i < 6; i++) {
		put(TRANSMIT, 0, DATA, HEADER + sizes[i], 0);
		submit(TRANSMIT, 0);
		assert_int_equal(virtio_net_take(&card, frame), 0);
	}
	put(TRANSMIT, 0, DATA, HEADER + 60, 0);
	header->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	submit(TRANSMIT, 0);
	assert_int_equal(virtio_net_take(&card, frame), 0);
	header->flags = 0;
	header->gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
	submit(TRANSMIT, 0);
	assert_int_equal(virtio_net_take(&card, frame), 0);
	assert_int_equal(card.dropped, 8);
	header->gso_type = VIRTIO_NET_HDR_GSO_NONE;
	submit(TRANSMIT, 0);
	assert_int_equal(virtio_net_take(&card, frame), 60);
	assert_int_equal(used(TRANSMIT)->idx, 9);
}

static void take_or_give(unsigned int queue)
{
	if (queue == TRANSMIT)
		assert_int_equal(virtio_net_take(&card, frame), 0);
	else
		assert_int_equal(virtio_net_give(&card, frame, 60), VIRTIO_NET_LOST);
}

static void drivers_that_lie(void **state)
{
	(void)state;
	for (unsigned int queue = 0; queue < 2; queue++) {
		start_driver(MAC);
		submit(queue, QSIZE);			/* no such descriptor */
		take_or_give(queue);
		is_broken(MAC);
		put(queue, 0, DATA, ROOM, NEXT | (queue == RECEIVE ? WRITE : 0));
		desc(queue)[0].next = 0;		/* a loop */
		submit(queue, 0);
		take_or_give(queue);
		is_broken(MAC);
		put(queue, 0, RAM - 8, ROOM, queue == RECEIVE ? WRITE : 0);
		submit(queue, 0);			/* beyond memory */
		take_or_give(queue);
		is_broken(MAC);
		put(queue, 0, DATA, ROOM, VRING_DESC_F_INDIRECT);
		submit(queue, 0);
		take_or_give(queue);
		is_broken(MAC);
		put(queue, 0, DATA, ROOM, queue == RECEIVE ? 0 : WRITE);
		submit(queue, 0);			/* in the wrong direction */
		take_or_give(queue);
		is_broken(MAC);
		put(queue, 0, DATA, queue == RECEIVE ? ROOM - 1 : HEADER - 1, queue == RECEIVE ? WRITE : 0);
		submit(queue, 0);			/* too small */
		take_or_give(queue);
		assert_int_equal(memory[DATA], 0xee);
		is_broken(MAC);
		avail(queue)->idx = QSIZE + 1;		/* more than the ring has */
		set(VIRTIO_MMIO_QUEUE_NOTIFY, queue);
		take_or_give(queue);
		is_broken(MAC);
	}
}

/* Whatever is in the rings, the card stays within the guest's memory and comes back. */
static void any_frames(void **state)
{
	uint32_t seed = 1234;

	(void)state;
	for (unsigned int round = 0; round < 3000; round++) {
		start_driver(MAC);
		seed = any_rings(TRANSMIT, any_rings(RECEIVE, seed));
		set(VIRTIO_MMIO_QUEUE_NOTIFY, TRANSMIT);
		for (unsigned int i = 0; i < QSIZE; i++) {
			virtio_net_take(&card, frame);
			virtio_net_give(&card, frame, 14 + seed % 1501);
		}
	}
	frames_go(state);
}

/* ---- with what is behind it ---- */

static void sum16(uint8_t *to, const uint8_t *bytes, size_t count)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < count; i += 2)
		sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~(sum + (sum >> 16));
	to[0] = (uint8_t)(sum >> 8);
	to[1] = (uint8_t)sum;
}

/* A DHCP discovery in guest memory; returns the size of its frame. */
static uint32_t put_discovery(void)
{
	uint8_t *f = memory + DATA + HEADER, *ip = f + 14, *udp = ip + 20, *dhcp = udp + 8;

	memset(memory + DATA, 0, 600);
	memset(f, 0xff, 6);
	memcpy(f + 6, mac, 6);
	f[12] = 8;
	memcpy(ip, "\x45\x00\x02\x40\x00\x01\x00\x00\x40\x11\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff", 20);
	sum16(ip + 10, ip, 20);
	memcpy(udp, "\x00\x44\x00\x43\x02\x2c\x00\x00", 8);
	memcpy(dhcp, "\x01\x01\x06\x00mine", 8);
	memcpy(dhcp + 28, mac, 6);
	memcpy(dhcp + 236, "\x63\x82\x53\x63\x35\x01\x01\xff", 8);
	return 14 + 576;
}

static bool used_within(unsigned int ms, unsigned int queue, uint16_t index)
{
	for (unsigned int i = 0; i < ms; i++) {
		if (__atomic_load_n(&used(queue)->idx, __ATOMIC_ACQUIRE) == index)
			return true;
		usleep(1000);
	}
	return false;
}

static void an_address(void **state)
{
	const uint8_t *answer = memory + DATA + 0x1000 + HEADER;

	(void)state;
	start_driver(MAC);
	/* The answer comes before there is a buffer for it, and is not lost. */
	put(TRANSMIT, 0, DATA, HEADER + put_discovery(), 0);
	submit(TRANSMIT, 0);
	assert_true(used_within(5000, TRANSMIT, 1));
	usleep(10000);
	put(RECEIVE, 0, DATA + 0x1000, ROOM, WRITE);
	submit(RECEIVE, 0);
	assert_true(used_within(5000, RECEIVE, 1));
	assert_memory_equal(answer + 42 + 4, "mine", 4);
	assert_memory_equal(answer + 42 + 16, "\x0a\x00\x02\x0f", 4);
}

/* A connection of the guest's is a socket of ours, and there is an end to them. */
static void sockets_without_end(void **state)
{
	(void)state;
	an_address(state);
	net.fd_max = 0;
	put(TRANSMIT, 0, DATA, HEADER + put_discovery(), 0);
	put(RECEIVE, 0, DATA + 0x1000, ROOM, WRITE);
	submit(RECEIVE, 0);
	submit(TRANSMIT, 0);
	assert_true(used_within(5000, TRANSMIT, 2));
	assert_false(used_within(100, RECEIVE, 2));
	/* What opens nothing passes: somebody asks who 10.0.2.2 is. */
	memcpy(memory + DATA + HEADER + 12, "\x08\x06\x00\x01\x08\x00\x06\x04\x00\x01", 10);
	memcpy(memory + DATA + HEADER + 22, mac, 6);
	memcpy(memory + DATA + HEADER + 28, "\x0a\x00\x02\x0f\0\0\0\0\0\0\x0a\x00\x02\x02", 14);
	put(TRANSMIT, 0, DATA, HEADER + 42, 0);
	submit(TRANSMIT, 0);
	assert_true(used_within(5000, RECEIVE, 2));
	assert_memory_equal(memory + DATA + 0x1000 + HEADER + 12, "\x08\x06", 2);
	assert_int_equal(net.refused, 1);
	net.fd_max = 100;
	an_address(state);
}

/* A datagram to a port of ours arrives at the guest's. */
static void a_forwarded_port(void **state)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct user_net_config config = { .forward_count = 1, .forward = { { .udp = true, .guest_port = 7 } } };
	const uint8_t *datagram = memory + DATA + 0x2000 + HEADER;
	socklen_t size = sizeof(address);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	/* A port that is free, and is so for a moment longer. */
	assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
	close(fd);
	config.forward[0].port = ntohs(address.sin_port);
	assert_int_equal(user_net_open(&net, &config), 0);
	plug_in(&net.card.virtio);
	assert_int_equal(user_net_start(&net), 0);
	/* With its address libslirp knows where the guest is. */
	an_address(state);
	put(RECEIVE, 0, DATA + 0x2000, ROOM, WRITE);
	submit(RECEIVE, 0);
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(sendto(fd, "datagram", 8, 0, (struct sockaddr *)&address, size), 8);
	assert_true(used_within(5000, RECEIVE, 2));
	assert_memory_equal(datagram + 36, "\x00\x07\x00\x10", 4);
	assert_memory_equal(datagram + 42, "datagram", 8);
	close(fd);
	teardown_user(state);
}

/* Frames of anything, more than the guest takes answers for. */
static void a_flood(void **state)
{
	unsigned int count;
	uint32_t seed = 99;

	(void)state;
	start_driver(MAC);
	for (unsigned int round = 0; round < 2000; round++) {
		uint32_t size = put_discovery();
		uint16_t index = avail(TRANSMIT)->idx + 1;

		/* Some bytes are others, most of them in headers. */
		for (unsigned int i = 0; i < round % 5; i++) {
			seed = seed * 1664525 + 1013904223;
			memory[DATA + HEADER + (seed >> 8) % (i % 2 ? size : 42)] = (uint8_t)(seed >> 24);
		}
		put(TRANSMIT, 0, DATA, HEADER + (round % 7 ? size : 14 + round % 100), 0);
		submit(TRANSMIT, 0);
		assert_true(used_within(5000, TRANSMIT, index));
	}
	/* What there was room for has waited. */
	for (count = 0; used_within(1000, RECEIVE, (uint16_t)count); count++) {
		put(RECEIVE, 0, DATA + 0x2000, ROOM, WRITE);
		submit(RECEIVE, 0);
	}
	assert_int_equal(count, USER_NET_BACKLOG + 1);
	assert_true(net.lost > 0);
	an_address(state);
}

static void options(void **state)
{
	static const char *const bad[] = {
		"", "use", "users", "user,", "user,tcp", "user,tcp:1", "user,tcp:1:", "user,tcp:0:1", "user,tcp:1:0",
		"user,tcp:65536:1", "user,tcp:1:65536", "user,icmp:1:1", "user,tcp:1:2:3", "user,tcp:1:2,",
		"user,tcp:-1:2", "user,tcp:1:2,,udp:1:1", "user,tcp:99999999999999999999:1", "tap",
		"user,tcp:1:1,tcp:1:1,tcp:1:1,tcp:1:1,tcp:1:1,tcp:1:1,tcp:1:1,tcp:1:1,tcp:1:1,"
		"tcp:1:1,tcp:1:1,tcp:1:1,tcp:1:1,tcp:1:1,tcp:1:1,tcp:1:1,tcp:1:1",
	};
	struct user_net_config config;

	(void)state;
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (user_net_parse(bad[i], &config) == 0)
			fail_msg("accepted: %s", bad[i]);
		assert_true(strlen(mshv_error()) > 10);
	}
	user_net_parse("user,tcp:1:2,udp:3,tcp:5:6", &config);
	assert_non_null(strstr(mshv_error(), ": udp:3"));
	assert_null(strstr(mshv_error(), "tcp:5"));
	assert_int_equal(user_net_parse("user", &config), 0);
	assert_int_equal(config.forward_count, 0);
	assert_int_equal(user_net_parse("user,tcp:2222:22,udp:65535:1", &config), 0);
	assert_int_equal(config.forward_count, 2);
	assert_false(config.forward[0].udp);
	assert_int_equal(config.forward[0].port, 2222);
	assert_int_equal(config.forward[0].guest_port, 22);
	assert_true(config.forward[1].udp);
	assert_int_equal(config.forward[1].port, 65535);
	assert_int_equal(config.forward[1].guest_port, 1);
}

/* A port that somebody has is an error that names it. */
static void a_port_that_is_taken(void **state)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct user_net_config config = { .forward_count = 1, .forward = { { .guest_port = 22 } } };
	socklen_t size = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
	config.forward[0].port = ntohs(address.sin_port);
	assert_int_equal(user_net_open(&net, &config), -1);
	assert_non_null(strstr(mshv_error(), "forward tcp port"));
	close(fd);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
#define TEST_USER(function) cmocka_unit_test_setup_teardown(function, setup_user, teardown_user)
	const struct CMUnitTest tests[] = {
		TEST(what_it_is),
		TEST(frames_go),
		TEST(frames_come),
		TEST(frames_that_are_none),
		TEST(drivers_that_lie),
		TEST(any_frames),
		TEST_USER(an_address),
		TEST_USER(a_flood),
		TEST_USER(sockets_without_end),
		cmocka_unit_test(options),
		cmocka_unit_test(a_forwarded_port),
		cmocka_unit_test(a_port_that_is_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
