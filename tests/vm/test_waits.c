// SPDX-License-Identifier: GPL-2.0-only
/*
 * Nobody waits for others to be quiet: not a fault for threads of the VMM that invalidate other pages, not the one who closes the last
 * descriptor, not a reader of fdinfo. And whoever waits for the same page is woken, or leaves with a signal (laws 10 and 11).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <uapi/mshv.h>

#include "ktap.h"
#include "probe.h"

#define GPA		(1ull << 30)
#define SIZE		(4ull << 30)
#define THREADS		4
/* Of the first block; the other pages of it are what somebody invalidates nearby. */
#define FAULTS		200
/* Seconds after which something that should have ended long ago is taken to hang. */
#define PATIENCE	240

static struct probe probe;
static uint8_t *memory;

static struct {
	atomic_bool stop;
	atomic_uint started;
	atomic_ulong calls;
	uint8_t *at;
	uint64_t size;
	pthread_t threads[THREADS];
	unsigned int running;
} zap;

static void *zap_thread(void *arg)
{
	zap.started++;
	while (!zap.stop) {
		madvise(zap.at, zap.size, MADV_DONTNEED);
		zap.calls++;
	}
	return arg;
}

/* Threads that have Linux invalidate a range without end. */
static enum ktap_result zap_start(uint8_t *at, uint64_t size)
{
	zap.stop = false;
	zap.started = 0;
	zap.calls = 0;
	zap.at = at;
	zap.size = size;
	for (zap.running = 0; zap.running < THREADS; zap.running++)
		CHECK(!pthread_create(&zap.threads[zap.running], NULL, zap_thread, NULL));
	while (zap.started < THREADS)
		usleep(1000);
	return PASS;
}

static void zap_stop(void)
{
	zap.stop = true;
	while (zap.running)
		pthread_join(zap.threads[--zap.running], NULL);
}

static void tear_down(void)
{
	zap_stop();
	probe_close(&probe);
	memory = NULL;
}

static void page_tables(uint8_t *at, uint64_t size)
{
	/* Of the zero page: so that an invalidation has something to go through. */
	for (uint64_t done = 0; done < size; done += BLOCK)
		*(volatile uint8_t *)(at + done);
}

static enum ktap_result set_up(void)
{
	memory = probe_open_with(&probe, GPA, SIZE, false);
	CHECK(memory, "%s", mshv_error());
	page_tables(memory, SIZE);
	return PASS;
}

/*
 * Pages that are there, so that nothing but an invalidation could make a fault look twice; backwards, because a guest in sequence
 * is given what it has not asked for, and that is not there.
 */
static enum ktap_result fault(unsigned int faults)
{
	uint64_t retries = probe_stat(&probe, "fault-retries");
	uint64_t served = probe_stat(&probe, "faults-served");

	for (unsigned int i = 0; i < faults; i++)
		WORD(i * PAGE) = i;
	for (unsigned int i = faults; i-- > 0;)
		GUEST_READS(GPA + i * PAGE, i);
	CHECK(probe_stat(&probe, "faults-served") > served);
	retries = probe_stat(&probe, "fault-retries") - retries;
	CHECK(!retries, "%llu faults looked again", (unsigned long long)retries);
	return PASS;
}

static enum ktap_result elsewhere(void)
{
	unsigned long calls;

	CHECK_PASS(set_up());
	/* All but the first block. */
	CHECK_PASS(zap_start(memory + BLOCK, SIZE - BLOCK));
	for (unsigned int round = 0; round < 10; round++) {
		calls = zap.calls;
		CHECK_PASS(fault(FAULTS));
		CHECK(!madvise(memory, BLOCK, MADV_DONTNEED));
		while (zap.calls < calls + THREADS)
			usleep(1000);
	}
	ktap_note("%u faults during %lu invalidations elsewhere", 10 * FAULTS, (unsigned long)zap.calls);
	return PASS;
}

/* In memory that is not the guest's at all. */
static enum ktap_result outside(void)
{
	uint8_t *other = probe_memory(SIZE, false);

	CHECK_PASS(set_up());
	page_tables(other, SIZE);
	CHECK_PASS(zap_start(other, SIZE));
	CHECK_PASS(fault(FAULTS));
	zap_stop();
	munmap(other, SIZE);
	return PASS;
}

/* Neighbours in the same block: the page that was asked for is all that counts in the end. */
static enum ktap_result neighbours(void)
{
	CHECK_PASS(set_up());
	for (unsigned int i = 0; i < FAULTS; i++)
		WORD(i * PAGE) = i;
	CHECK_PASS(zap_start(memory + FAULTS * PAGE, BLOCK - FAULTS * PAGE));
	for (unsigned int i = 0; i < FAULTS; i++)
		GUEST_READS(GPA + i * PAGE, i);
	return PASS;
}

static atomic_bool done;

static void nothing(int signal)
{
	(void)signal;
}

static void *touch_contested(void *arg)
{
	unsigned int *outcomes = arg;

	probe.interruptible = true;
	for (unsigned int i = 0; i < 20; i++)
		outcomes[probe_write(&probe, GPA + i * PAGE, i) == PROBE_DONE ? 0 :
			 probe.error == EINTR ? 1 : 2]++;
	done = true;
	return NULL;
}

/* The very page: a signal ends the attempt, or it is served; nothing else. */
static enum ktap_result contested(void)
{
	struct sigaction action = { .sa_handler = nothing };
	unsigned int outcomes[3] = { }, kicks = 0;
	pthread_t thread;

	sigaction(SIGUSR1, &action, NULL);
	CHECK_PASS(set_up());
	CHECK_PASS(zap_start(memory, SIZE));
	done = false;
	CHECK(!pthread_create(&thread, NULL, touch_contested, outcomes));
	while (!done && kicks < PATIENCE * 20) {
		usleep(50000);
		pthread_kill(thread, SIGUSR1);
		kicks++;
	}
	CHECK(done, "signals do not end a fault");
	pthread_join(thread, NULL);
	ktap_note("%u served, %u ended by a signal", outcomes[0], outcomes[1]);
	CHECK(!outcomes[2] && outcomes[0] + outcomes[1] == 20);
	return PASS;
}

/* Another process has the last descriptor, and is killed while it closes it. */
static enum ktap_result last_close(void)
{
	int64_t lent = probe_lent();
	int go[2], status, seconds;
	pid_t pid;
	char c;

	CHECK(!pipe(go));
	CHECK_PASS(set_up());
	pid = fork();
	if (!pid) {
		if (read(go[0], &c, 1) == 1)
			close(mshv_vm_fd(probe.vm));
		_exit(0);
	}
	mshv_vcpu_destroy(probe.vcpu);
	probe.vcpu = NULL;
	close(mshv_vm_fd(probe.vm));
	CHECK_PASS(zap_start(memory, SIZE));
	CHECK(write(go[1], "x", 1) == 1);
	usleep(100000);
	kill(pid, SIGKILL);
	for (seconds = 0; seconds < PATIENCE && waitpid(pid, &status, WNOHANG) != pid; seconds++)
		sleep(1);
	CHECK(seconds < PATIENCE, "a process that closes a descriptor cannot be killed");
	zap_stop();
	close(go[0]);
	close(go[1]);
	CHECK(probe_lent() == lent, "%lld pages stay lent", (long long)(probe_lent() - lent));
	return PASS;
}

/* ---- readers ---- */

static void *read_fdinfo(void *arg)
{
	char path[64], text[65536];
	unsigned long *reads = arg;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", mshv_vm_fd(probe.vm));
	while (!done) {
		fd = open(path, O_RDONLY | O_CLOEXEC);
		while (fd >= 0 && read(fd, text, sizeof(text)) > 0)
			;
		close(fd);
		(*reads)++;
	}
	return NULL;
}

/*
 * Regions of many sizes come and go, also all of them, while another thread reads what there is. Large ones, so that their bitmaps
 * are memory that a reader misses when it is freed under him.
 */
static enum ktap_result read_while_removing(void)
{
	void *hva = (void *)0x100000000ul;
	unsigned long reads = 0, before;
	unsigned int seed = 20261128;
	pthread_t thread;

	ktap_note("seed %u", seed);
	CHECK(!probe_open(&probe), "%s", mshv_error());
	CHECK(mmap(hva, PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == hva);
	/* Nothing else is there: the tree is empty again and again. */
	CHECK(!mshv_region_remove(probe.vm, 0, probe.boot, 256u << 10), "%s", mshv_error());
	probe.boot = NULL;
	done = false;
	CHECK(!pthread_create(&thread, NULL, read_fdinfo, &reads));
	for (unsigned int i = 0; i < 300; i++) {
		uint64_t size = 1ull << (30 + rand_r(&seed) % 17);

		before = reads;
		CHECK(!mshv_region_add(probe.vm, 1ull << 32, hva, size, 0), "%s", mshv_error());
		usleep(rand_r(&seed) % 2000);
		CHECK(!mshv_region_remove(probe.vm, 1ull << 32, hva, size), "%s", mshv_error());
		if (i % 10 == 0)
			while (reads == before)
				usleep(100);
	}
	done = true;
	pthread_join(thread, NULL);
	ktap_note("%lu reads", reads);
	munmap(hva, PAGE);
	return PASS;
}

int main(void)
{
	static const struct ktap_test tests[] = {
		{ "faults while pages elsewhere in the region are invalidated", elsewhere },
		{ "faults while other memory of the VMM is invalidated", outside },
		{ "faults while neighbours are invalidated", neighbours },
		{ "a fault of the page that is invalidated", contested },
		{ "the last close can be killed", last_close },
		{ "fdinfo while regions come and go", read_while_removing },
	};

	ktap_cleanup = tear_down;
	return KTAP_RUN(tests);
}
