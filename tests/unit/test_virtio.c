// SPDX-License-Identifier: GPL-2.0-only
/*
 * A virtio disk, from the driver's side: registers, features, queues, requests, and drivers that lie.
 * All of it twice: with requests that are done where they arrive, and in a thread of the disk's own.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>

#include "devices/virtio_blk.h"
#include "vmm.h"

#define RAM	(1ull << 20)
#define SECTORS	64u
#define QSIZE	16u
#define DESC	0x1000u
#define AVAIL	0x2000u
#define USED	0x3000u
#define HEADER	0x4000u
#define STATUS	0x5000u
#define DATA	0x10000u

static uint8_t memory[RAM];
static struct guest_ram ram = { .low = memory, .low_size = RAM };
static struct virtio_disk disk;
static char path[] = "/tmp/test_virtio.XXXXXX";
static bool line;

static struct vring_desc *desc = (void *)(memory + DESC);
static struct vring_avail *avail = (void *)(memory + AVAIL);
static struct vring_used *used = (void *)(memory + USED);

/* Stands before liburing's own: what is submitted is seen. */
static uint8_t submitted_flags;
/* So many do not go, for this reason. */
static unsigned int refused;
static int refusal;
static bool hurry;		/* the guest ends, too: no other try */

int io_uring_submit(struct io_uring *ring)
{
	int (*submit)(struct io_uring *) = (int (*)(struct io_uring *))dlsym(RTLD_NEXT, "io_uring_submit");

	if (refused) {
		refused--;
		atomic_store(&disk.virtio.closing, hurry);
		return refusal;
	}
	submitted_flags = ring->sq.sqes[(ring->sq.sqe_tail - 1) & ring->sq.ring_mask].flags;
	return submit(ring);
}

static void on_interrupt(void *arg, unsigned int pin, bool level)
{
	(void)arg;
	assert_int_equal(pin, 16);
	assert_int_not_equal(level, line);
	line = level;
}

static uint32_t get(uint64_t reg)
{
	return (uint32_t)vmm_read(virtio_access, &disk.virtio, reg, 4);
}

static void set_only(uint64_t reg, uint32_t value)
{
	vmm_write(virtio_access, &disk.virtio, reg, 4, value);
}

/* What a notification asks for is done afterwards. */
static void set(uint64_t reg, uint32_t value)
{
	set_only(reg, value);
	if (reg == VIRTIO_MMIO_QUEUE_NOTIFY)
		virtio_disk_drain(&disk);
}

static void set_features(uint64_t features)
{
	for (unsigned int i = 0; i < 2; i++) {
		set(VIRTIO_MMIO_DRIVER_FEATURES_SEL, i);
		set(VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(features >> 32 * i));
	}
}

static void set_queue(uint32_t size, uint32_t d, uint32_t a, uint32_t u)
{
	set(VIRTIO_MMIO_QUEUE_SEL, 0);
	set(VIRTIO_MMIO_QUEUE_NUM, size);
	set(VIRTIO_MMIO_QUEUE_DESC_LOW, d);
	set(VIRTIO_MMIO_QUEUE_DESC_HIGH, 0);
	set(VIRTIO_MMIO_QUEUE_AVAIL_LOW, a);
	set(VIRTIO_MMIO_QUEUE_AVAIL_HIGH, 0);
	set(VIRTIO_MMIO_QUEUE_USED_LOW, u);
	set(VIRTIO_MMIO_QUEUE_USED_HIGH, 0);
	set(VIRTIO_MMIO_QUEUE_READY, 1);
}

static void start_driver(void)
{
	set(VIRTIO_MMIO_STATUS, 0);
	memset(memory, 0, RAM);
	set(VIRTIO_MMIO_STATUS, 1);
	set(VIRTIO_MMIO_STATUS, 3);
	set_features(1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_BLK_F_FLUSH);
	set(VIRTIO_MMIO_STATUS, 11);
	assert_int_equal(get(VIRTIO_MMIO_STATUS), 11);
	set_queue(QSIZE, DESC, AVAIL, USED);
	assert_int_equal(get(VIRTIO_MMIO_QUEUE_READY), 1);
	set(VIRTIO_MMIO_STATUS, 15);
}

static int setup(void **state)
{
	int fd;

	(void)state;
	strcpy(path, "/tmp/test_virtio.XXXXXX");
	fd = mkstemp(path);
	if (fd < 0)
		return -1;
	for (unsigned int i = 0; i < SECTORS * 512; i++) {
		uint8_t byte = (uint8_t)(i / 512 + i);

		if (write(fd, &byte, 1) != 1)
			return -1;
	}
	/* A piece of a sector at the end is nobody's. */
	if (write(fd, "end", 3) != 3)
		return -1;
	close(fd);
	line = false;
	if (virtio_disk_open(&disk, path))
		return -1;
	virtio_init(&disk.virtio, &ram, on_interrupt, NULL, 16);
	return 0;
}

static int setup_thread(void **state)
{
	if (setup(state))
		return -1;
	/* A host may not have it: then there is nothing to be tested twice. */
	if (!virtio_disk_start(&disk))
		fprintf(stderr, "# no io_uring here\n");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	virtio_disk_close(&disk);
	virtio_destroy(&disk.virtio);
	unlink(path);
	return 0;
}

/* A descriptor; @flags without NEXT end the chain. */
static void put(unsigned int i, uint64_t address, uint32_t size, uint16_t flags)
{
	desc[i] = (struct vring_desc){ .addr = address, .len = size, .flags = flags,
				       .next = (uint16_t)(i + 1) };
}

static void submit(uint16_t head)
{
	avail->ring[avail->idx % QSIZE] = head;
	avail->idx++;
	set(VIRTIO_MMIO_QUEUE_NOTIFY, 0);
}

#define NEXT	VRING_DESC_F_NEXT
#define WRITE	VRING_DESC_F_WRITE

/* One request in three pieces, as Linux makes them; returns its status. */
static uint8_t request(uint32_t type, uint64_t sector, uint32_t size, uint32_t *written)
{
	struct virtio_blk_outhdr *header = (void *)(memory + HEADER);
	uint16_t before = used->idx;

	*header = (struct virtio_blk_outhdr){ .type = type, .sector = sector };
	memory[STATUS] = 0xee;
	put(0, HEADER, sizeof(*header), NEXT);
	put(1, DATA, size, NEXT | (type == VIRTIO_BLK_T_OUT ? 0 : WRITE));
	put(2, STATUS, 1, WRITE);
	submit(0);
	assert_int_equal((uint16_t)(used->idx - before), 1);
	assert_int_equal(used->ring[before % QSIZE].id, 0);
	if (written)
		*written = used->ring[before % QSIZE].len;
	return memory[STATUS];
}

static void what_it_is(void **state)
{
	(void)state;
	assert_int_equal(get(VIRTIO_MMIO_MAGIC_VALUE), 0x74726976);
	assert_int_equal(get(VIRTIO_MMIO_VERSION), 2);
	assert_int_equal(get(VIRTIO_MMIO_DEVICE_ID), 2);
	assert_int_equal(get(VIRTIO_MMIO_STATUS), 0);
	assert_int_equal(get(VIRTIO_MMIO_QUEUE_NUM_MAX), 128);
	set(VIRTIO_MMIO_QUEUE_SEL, 1);
	assert_int_equal(get(VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
	set(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
	assert_int_equal(get(VIRTIO_MMIO_DEVICE_FEATURES), 1 << 1 | 1 << 2 | 1 << 6 | 1 << 9);
	set(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
	assert_int_equal(get(VIRTIO_MMIO_DEVICE_FEATURES), 1);
	set(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 2);
	assert_int_equal(get(VIRTIO_MMIO_DEVICE_FEATURES), 0);
	assert_int_equal(get(VIRTIO_MMIO_CONFIG), SECTORS);
	assert_int_equal(get(VIRTIO_MMIO_CONFIG + 4), 0);
	/* Linux's largest request: 126 segments of 128 KiB. */
	assert_int_equal(vmm_read(virtio_access, &disk.virtio, 0x100 + 8, 4), 128 << 10);
	assert_int_equal(vmm_read(virtio_access, &disk.virtio, 0x100 + 12, 4), 126);
	assert_int_equal(vmm_read(virtio_access, &disk.virtio, 0x100 + 20, 4), 512);
	assert_int_equal(vmm_read(virtio_access, &disk.virtio, 0x100, 1), SECTORS);
	assert_int_equal(vmm_read(virtio_access, &disk.virtio, 0xffe, 2), 0);
	assert_int_equal(get(0xb0), ~0u);
}

static void features_are_agreed_on(void **state)
{
	(void)state;
	set(VIRTIO_MMIO_STATUS, 3);
	set_features(1ull << VIRTIO_BLK_F_FLUSH);
	set(VIRTIO_MMIO_STATUS, 11);
	assert_int_equal(get(VIRTIO_MMIO_STATUS), 3);
	set_features(1ull << VIRTIO_F_VERSION_1 | 1ull << 50);
	set(VIRTIO_MMIO_STATUS, 11);
	assert_int_equal(get(VIRTIO_MMIO_STATUS), 3);
	set_features(1ull << VIRTIO_F_VERSION_1);
	set(VIRTIO_MMIO_STATUS, 11);
	assert_int_equal(get(VIRTIO_MMIO_STATUS), 11);
	set(VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(get(VIRTIO_MMIO_STATUS), 0);
}

static void queues_that_are_none(void **state)
{
	static const struct {
		uint32_t size, desc, avail, used;
	} bad[] = {
		{ 0, DESC, AVAIL, USED }, { 3, DESC, AVAIL, USED }, { 256, DESC, AVAIL, USED },
		{ QSIZE, DESC + 8, AVAIL, USED }, { QSIZE, DESC, AVAIL + 1, USED },
		{ QSIZE, DESC, AVAIL, USED + 2 }, { QSIZE, RAM - 0xf0, AVAIL, USED },
		{ QSIZE, DESC, RAM - 0x20, USED }, { QSIZE, DESC, AVAIL, RAM - 0x80 },
		{ QSIZE, 0xfffffff0, AVAIL, USED },
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		set(VIRTIO_MMIO_STATUS, 0);
		set_queue(bad[i].size, bad[i].desc, bad[i].avail, bad[i].used);
		assert_int_equal(get(VIRTIO_MMIO_QUEUE_READY), 0);
	}
	set(VIRTIO_MMIO_STATUS, 0);
	set_queue(QSIZE, RAM - 0x100, AVAIL, USED);
	assert_int_equal(get(VIRTIO_MMIO_QUEUE_READY), 1);
	/* Not changed while it is ready, and gone after a reset. */
	set(VIRTIO_MMIO_QUEUE_NUM, 3);
	assert_int_equal(disk.virtio.queue[0].size, QSIZE);
	set(VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(get(VIRTIO_MMIO_QUEUE_READY), 0);
	set(VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	set(VIRTIO_MMIO_QUEUE_NOTIFY, 7);
}

static void reads_and_writes(void **state)
{
	uint8_t sector[512];
	uint32_t written;
	int fd;

	(void)state;
	start_driver();
	assert_int_equal(request(VIRTIO_BLK_T_IN, 3, 1024, &written), VIRTIO_BLK_S_OK);
	assert_int_equal(written, 1025);
	for (unsigned int i = 0; i < 1024; i++)
		assert_int_equal(memory[DATA + i], (uint8_t)(3 + i / 512 + i));
	memset(memory + DATA, 0xa5, 512);
	assert_int_equal(request(VIRTIO_BLK_T_OUT, SECTORS - 1, 512, &written), VIRTIO_BLK_S_OK);
	assert_int_equal(written, 1);
	assert_int_equal(request(VIRTIO_BLK_T_FLUSH, 0, 0, NULL), VIRTIO_BLK_S_OK);
	fd = open(path, O_RDONLY);
	assert_int_equal(pread(fd, sector, 512, 512 * (SECTORS - 1)), 512);
	close(fd);
	assert_memory_equal(sector, memory + DATA, 512);
	assert_int_equal(request(VIRTIO_BLK_T_GET_ID, 0, 20, &written), VIRTIO_BLK_S_OK);
	assert_string_equal((char *)memory + DATA, "mshv-disk");
	assert_int_equal(written, 21);
}

static void bad_requests_have_answers(void **state)
{
	(void)state;
	start_driver();
	assert_int_equal(request(VIRTIO_BLK_T_IN, SECTORS, 512, NULL), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(VIRTIO_BLK_T_IN, SECTORS - 1, 1024, NULL), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(VIRTIO_BLK_T_IN, UINT64_MAX, 512, NULL), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 1ull << 55, 512, NULL), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 0, 100, NULL), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(99, 0, 512, NULL), VIRTIO_BLK_S_UNSUPP);
	/* A file that was cut behind our back. */
	assert_int_equal(truncate(path, 512), 0);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 5, 512, NULL), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 0, 512, NULL), VIRTIO_BLK_S_OK);
	disk.read_only = true;
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 0, 512, NULL), VIRTIO_BLK_S_IOERR);
}

static void interrupts(void **state)
{
	(void)state;
	start_driver();
	request(VIRTIO_BLK_T_IN, 0, 512, NULL);
	assert_true(line);
	assert_int_equal(get(VIRTIO_MMIO_INTERRUPT_STATUS), 1);
	request(VIRTIO_BLK_T_IN, 0, 512, NULL);
	set(VIRTIO_MMIO_INTERRUPT_ACK, 2);
	assert_true(line);
	set(VIRTIO_MMIO_INTERRUPT_ACK, 1);
	assert_false(line);
	avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	request(VIRTIO_BLK_T_IN, 0, 512, NULL);
	assert_false(line);
	avail->flags = 0;
	request(VIRTIO_BLK_T_IN, 0, 512, NULL);
	set(VIRTIO_MMIO_STATUS, 0);
	assert_false(line);
}

static void pieces_of_any_size(void **state)
{
	struct virtio_blk_outhdr *header = (void *)(memory + HEADER);

	(void)state;
	start_driver();
	*header = (struct virtio_blk_outhdr){ .type = VIRTIO_BLK_T_IN, .sector = 7 };
	/* A header in three pieces, data in three, the status behind the last of them. */
	put(0, HEADER, 3, NEXT);
	put(1, HEADER + 3, 10, NEXT);
	put(2, HEADER + 13, 3, NEXT);
	put(3, DATA, 1, NEXT | WRITE);
	put(4, DATA + 0x1000, 500, NEXT | WRITE);
	put(5, DATA + 0x2000, 12, NEXT | WRITE);
	put(6, 0, 0, WRITE);
	memory[DATA + 0x2000 + 11] = 0xee;
	submit(0);
	assert_int_equal(used->idx, 1);
	assert_int_equal(used->ring[0].len, 513);
	assert_int_equal(memory[DATA], 7);
	assert_int_equal(memory[DATA + 0x1000], 8);
	assert_int_equal(memory[DATA + 0x2000], (uint8_t)(7 + 501));
	assert_int_equal(memory[DATA + 0x2000 + 11], VIRTIO_BLK_S_OK);
	/* Several at once, in a ring that has gone round. */
	for (unsigned int i = 0; i < 100; i++)
		assert_int_equal(request(VIRTIO_BLK_T_IN, i % SECTORS, 512, NULL), VIRTIO_BLK_S_OK);
	for (unsigned int i = 0; i < QSIZE; i++)
		avail->ring[(avail->idx + i) % QSIZE] = 0;
	avail->idx += QSIZE;
	set(VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	assert_int_equal(used->idx, 101 + QSIZE);
}

static void is_broken(void)
{
	assert_int_equal(used->idx, 0);
	assert_int_equal(get(VIRTIO_MMIO_STATUS), 15 | VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_int_equal(get(VIRTIO_MMIO_INTERRUPT_STATUS), 2);
	/* It stays so until it is reset. */
	set(VIRTIO_MMIO_STATUS, 15);
	put(0, HEADER, 16, NEXT);
	put(1, STATUS, 1, WRITE);
	submit(0);
	assert_int_equal(used->idx, 0);
	start_driver();
}

static void drivers_that_lie(void **state)
{
	(void)state;
	start_driver();
	submit(QSIZE);				/* no such descriptor */
	is_broken();
	put(0, HEADER, 16, NEXT);
	desc[0].next = 0;			/* a loop */
	submit(0);
	is_broken();
	put(0, HEADER, 16, NEXT);
	desc[0].next = 999;
	submit(0);
	is_broken();
	put(0, RAM - 8, 16, NEXT);		/* beyond memory */
	put(1, STATUS, 1, WRITE);
	submit(0);
	is_broken();
	put(0, UINT64_MAX, 16, NEXT);
	put(1, STATUS, 1, WRITE);
	submit(0);
	is_broken();
	put(0, STATUS, 1, WRITE | NEXT);	/* in the wrong order */
	put(1, HEADER, 16, 0);
	submit(0);
	is_broken();
	put(0, HEADER, 15, NEXT);		/* half a header */
	put(1, STATUS, 1, WRITE);
	submit(0);
	is_broken();
	put(0, HEADER, 16, 0);			/* nowhere for the status */
	submit(0);
	is_broken();
	put(0, HEADER, 16, NEXT);
	put(1, STATUS, 0, WRITE);
	submit(0);
	is_broken();
	put(0, HEADER, 16, VRING_DESC_F_INDIRECT);
	submit(0);
	is_broken();
	avail->idx = QSIZE + 1;			/* more than the ring has */
	set(VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	is_broken();
}

/* Whatever is in the rings, the device stays within the guest's memory and comes back. */
static void any_rings(void **state)
{
	uint32_t seed = 4711;

	(void)state;
	for (unsigned int round = 0; round < 3000; round++) {
		start_driver();
		for (unsigned int i = 0; i < QSIZE; i++) {
			uint32_t r = seed = seed * 1664525 + 1013904223;
			uint64_t address = (r >> 8) % (RAM + 0x100);

			put(i, r & 0x80000000 ? address : HEADER, r >> 12 & 0x3ff, r >> 24 & 3);
			if (r & 0x10)
				desc[i].next = r >> 5 & 31;
			avail->ring[i] = r >> 16 & 15;
		}
		((struct virtio_blk_outhdr *)(void *)(memory + HEADER))->type = round % 3;
		((struct virtio_blk_outhdr *)(void *)(memory + HEADER))->sector = round % 70;
		avail->idx = round % QSIZE;
		set(VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	}
	start_driver();
	assert_int_equal(request(VIRTIO_BLK_T_FLUSH, 0, 512, NULL), VIRTIO_BLK_S_OK);
}

/* A reset is over when nothing is under way any more, and what was is not told to the next driver. */
static void reset_under_way(void **state)
{
	struct virtio_blk_outhdr *header = (void *)(memory + HEADER);

	(void)state;
	for (unsigned int round = 0; round < 200; round++) {
		start_driver();
		*header = (struct virtio_blk_outhdr){ .type = VIRTIO_BLK_T_IN };
		for (unsigned int i = 0; i < 5; i++) {
			put(3 * i, HEADER, sizeof(*header), NEXT);
			put(3 * i + 1, DATA + 0x8000 * i, 512 * SECTORS, NEXT | WRITE);
			put(3 * i + 2, STATUS + i, 1, WRITE);
			avail->ring[i] = (uint16_t)(3 * i);
		}
		avail->idx = 5;
		set_only(VIRTIO_MMIO_QUEUE_NOTIFY, 0);
		set_only(VIRTIO_MMIO_STATUS, 0);
		assert_int_equal(disk.under_way, 0);
		assert_false(line);
		memset(memory, 0xee, RAM);
		usleep(100);
		for (unsigned int i = 0; i < RAM; i += 511)
			assert_int_equal(memory[i], 0xee);
	}
}

/* Another processor comes while a reset waits for what is under way. */
static void during_reset(struct virtio *v)
{
	pthread_mutex_unlock(&v->lock);
	assert_int_equal(get(VIRTIO_MMIO_STATUS), 15);
	set_only(VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(get(VIRTIO_MMIO_STATUS), 15);
	/* It cannot start a new driver: whatever is done yet would be told to that one. */
	set_only(VIRTIO_MMIO_STATUS, 31);
	set_only(VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	pthread_mutex_lock(&v->lock);
	virtio_done(v, 0, 0, 1);
	virtio_config_changed(v);
}

static void two_resets_at_once(void **state)
{
	(void)state;
	start_driver();
	put(0, HEADER, sizeof(struct virtio_blk_outhdr), NEXT);
	put(1, DATA, 512, NEXT | WRITE);
	put(2, STATUS, 1, WRITE);
	avail->idx = 1;
	disk.virtio.on_reset = during_reset;
	set_only(VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(get(VIRTIO_MMIO_STATUS), 0);
	assert_int_equal(used->idx, 0);
	assert_false(line);
	disk.virtio.on_reset = NULL;
}

/* One request again and again, before it is answered: all are done, or the driver has broken the device. */
static void one_request_many_times(void **state)
{
	(void)state;
	start_driver();
	put(0, HEADER, sizeof(struct virtio_blk_outhdr), NEXT);
	put(1, DATA, 512 * SECTORS, NEXT | WRITE);
	put(2, STATUS, 1, WRITE);
	for (unsigned int i = 0; i < 50; i++) {
		for (unsigned int k = 0; k < QSIZE; k++)
			avail->ring[(avail->idx + k) % QSIZE] = 0;
		avail->idx += QSIZE;
		set_only(VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	}
	virtio_disk_drain(&disk);
	if (!(get(VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET))
		assert_int_equal(used->idx, 50 * QSIZE);
	start_driver();
	assert_int_equal(request(VIRTIO_BLK_T_IN, 3, 1024, NULL), VIRTIO_BLK_S_OK);
}

/* One request of @count times half a MiB, to the same memory again and again. */
static uint8_t large_request(unsigned int count)
{
	struct virtio_blk_outhdr *header = (void *)(memory + HEADER);

	start_driver();
	set(VIRTIO_MMIO_QUEUE_READY, 0);
	set_queue(64, DESC, AVAIL, USED);
	*header = (struct virtio_blk_outhdr){ .type = VIRTIO_BLK_T_IN };
	put(0, HEADER, sizeof(*header), NEXT);
	for (unsigned int i = 1; i <= count; i++)
		put(i, DATA, MIB / 2, NEXT | WRITE);
	put(count + 1, STATUS, 1, WRITE);
	memory[STATUS] = 0xee;
	submit(0);
	assert_int_equal(used->idx, 1);
	return memory[STATUS];
}

/* What a processor may have to wait for has a limit, and what is large is not done in its thread. */
static void large_requests(void **state)
{
	(void)state;
	assert_int_equal(truncate(path, 64 * MIB), 0);
	disk.size = 64 * MIB;
	assert_int_equal(large_request(32), VIRTIO_BLK_S_OK);
	if (disk.has_ring)
		assert_int_equal(submitted_flags, IOSQE_ASYNC);
	assert_int_equal(large_request(33), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 0, 256 << 10, NULL), VIRTIO_BLK_S_OK);
	if (disk.has_ring)
		assert_int_equal(submitted_flags, 0);
}

/* Linux does not take a request for a while, or ever: it is done all the same, or has an answer. */
static void requests_that_linux_refuses(void **state)
{
	static const int refusals[] = { -ENOMEM, -EAGAIN, -EINTR };

	(void)state;
	start_driver();
	for (unsigned int i = 0; i < 3; i++) {
		refusal = refusals[i];
		refused = disk.has_ring ? 5 : 0;
		assert_int_equal(request(VIRTIO_BLK_T_IN, 3, 1024, NULL), VIRTIO_BLK_S_OK);
		assert_int_equal(refused, 0);
	}
	if (!disk.has_ring)
		return;
	refusal = -EIO;
	refused = ~0u;
	assert_int_equal(request(VIRTIO_BLK_T_IN, 3, 1024, NULL), VIRTIO_BLK_S_IOERR);
	memset(memory + DATA, 0xee, 1024);
	refused = 0;
	/* What failed comes to nothing. */
	assert_int_equal(request(VIRTIO_BLK_T_FLUSH, 0, 0, NULL), VIRTIO_BLK_S_OK);
	assert_int_equal(memory[DATA], 0xee);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 3, 1024, NULL), VIRTIO_BLK_S_OK);
	assert_int_equal(disk.under_way, 0);
	/* More of them than the ring has places. */
	hurry = true;
	for (unsigned int i = 0; i < 300; i++) {
		refused = 2;
		assert_int_equal(request(VIRTIO_BLK_T_IN, 3, 1024, NULL), VIRTIO_BLK_S_IOERR);
		atomic_store(&disk.virtio.closing, false);
	}
	hurry = false;
	refused = 0;
	assert_int_equal(request(VIRTIO_BLK_T_IN, 3, 1024, NULL), VIRTIO_BLK_S_OK);
}

/* A guest that ends does not wait for a queue that is full of requests. */
static int64_t close_at_second(struct virtio *v, unsigned int queue, const struct virtio_chain *chain)
{
	(void)queue;
	if (chain->part[0].data[0]++ == 1)
		virtio_close(v);
	return 0;
}

static void closed_within_a_queue(void **state)
{
	(void)state;
	disk.virtio.request = close_at_second;
	start_driver();
	memory[HEADER] = 0;
	put(0, HEADER, 1, 0);
	for (unsigned int i = 0; i < 8; i++)
		avail->ring[i] = 0;
	avail->idx = 8;
	set(VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	assert_int_equal(memory[HEADER], 2);
	assert_int_equal(used->idx, 2);
	set(VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	assert_int_equal(memory[HEADER], 2);
}

static void files_that_are_no_disks(void **state)
{
	struct virtio_disk other;

	(void)state;
	assert_int_equal(virtio_disk_open(&other, "/nonexistent/disk"), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(virtio_disk_open(&other, "/tmp"), -1);
	assert_int_equal(truncate(path, 511), 0);
	assert_int_equal(virtio_disk_open(&other, path), -1);
	assert_non_null(strstr(mshv_error(), "less than a sector"));
	assert_int_equal(virtio_disk_open(&other, "/dev/null"), -1);
}

/* Two guests that write to one disk would destroy it. */
static void one_disk_one_guest(void **state)
{
	struct virtio_disk other, third;
	char why[128];

	(void)state;
	snprintf(why, sizeof(why), "%s: the image is in use", path);
	assert_int_equal(virtio_disk_open(&other, path), -1);
	assert_int_equal(errno, EBUSY);
	assert_non_null(strstr(mshv_error(), why));
	assert_int_equal(other.fd, -1);
	/* Somebody who may only read. */
	assert_int_equal(chmod(path, 0444), 0);
	assert_int_equal(seteuid(getuid() ? getuid() : 65534), 0);
	assert_int_equal(virtio_disk_open(&other, path), -1);
	assert_non_null(strstr(mshv_error(), why));
	virtio_disk_close(&disk);
	assert_int_equal(virtio_disk_open(&other, path), 0);
	assert_true(other.read_only);
	assert_int_equal(virtio_disk_open(&third, path), 0);
	virtio_disk_close(&third);
	assert_int_equal(seteuid(getuid()), 0);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(virtio_disk_open(&disk, path), -1);
	virtio_disk_close(&other);
	assert_int_equal(virtio_disk_open(&disk, path), 0);
	virtio_init(&disk.virtio, &ram, on_interrupt, NULL, 16);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown), \
		{ #function " (thread)", function, setup_thread, teardown, NULL }
	const struct CMUnitTest tests[] = {
		TEST(what_it_is),
		TEST(features_are_agreed_on),
		TEST(queues_that_are_none),
		TEST(reads_and_writes),
		TEST(bad_requests_have_answers),
		TEST(interrupts),
		TEST(pieces_of_any_size),
		TEST(drivers_that_lie),
		TEST(any_rings),
		TEST(reset_under_way),
		TEST(two_resets_at_once),
		TEST(one_request_many_times),
		TEST(large_requests),
		TEST(requests_that_linux_refuses),
		TEST(closed_within_a_queue),
		TEST(files_that_are_no_disks),
		TEST(one_disk_one_guest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
