// SPDX-License-Identifier: GPL-2.0-only
/*
 * A fuzzer of /dev/mshv: random ioctls, mappings and deaths, from a seed.
 *
 * Worker processes share nothing but the device.  In each, a few threads share
 * a table of descriptors and an arena of memory; they make partitions,
 * processors and regions, run processors that execute whatever the arena
 * holds, pull the arena away under them, fork, and pass nonsense.  A worker
 * now and then dies by SIGKILL in the middle of it all.  Nothing is checked
 * but that the kernel survives: the rig reads its log, and at the end all
 * memory that was lent to the hypervisor must be back.
 *
 *	fuzz_ioctl [--seconds N] [--seed N] [--workers N] [--threads N]
 *
 * The seed is printed; a run with the same seed makes the same calls in each
 * thread, though not in the same order between them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <hvabi/debug.h>
#include <hvabi/register.h>
#include <hvabi/vp.h>
#include <uapi/mshv.h>

/* Linux 6.1; older headers lack it. */
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

#define SLOTS		24
#define ARENA		(16ull << 20)
#define PAGE		4096ull
#define GFNS		(1ull << 15)

static long seconds = 20, workers = 2, threads = 3;
static unsigned long seed;

static int slots[SLOTS];
static uint8_t *arena;
static volatile bool stop;
static pthread_barrier_t started;
/* Two pages for bits, and one that nobody can write to: an answer may be larger than that. */
static uint8_t *bitmap;

struct dice {
	uint64_t state;
};

/* xorshift*: good enough to be unpredictable, and the same everywhere. */
static uint64_t roll(struct dice *d)
{
	d->state ^= d->state >> 12;
	d->state ^= d->state << 25;
	d->state ^= d->state >> 27;
	return d->state * 0x2545f4914f6cdd1dull;
}

static uint64_t below(struct dice *d, uint64_t n)
{
	return (roll(d) >> 16) % n;
}

static bool one_in(struct dice *d, uint64_t n)
{
	return below(d, n) == 0;
}

static int any_fd(struct dice *d)
{
	return slots[below(d, SLOTS)];
}

static void keep_fd(struct dice *d, int fd)
{
	int old;

	if (fd < 0)
		return;
	old = __atomic_exchange_n(&slots[below(d, SLOTS)], fd, __ATOMIC_RELAXED);
	if (old > 0)
		close(old);
}

static void do_create(struct dice *d)
{
	struct mshv_create_partition args = { 0 };
	int device = open("/dev/mshv", O_RDWR | O_CLOEXEC), fd;

	if (device < 0)
		return;
	if (one_in(d, 8))
		args.pt_flags = roll(d) & 0x7f;
	if (one_in(d, 16))
		args.pt_isolation = below(d, 4);
	fd = ioctl(device, MSHV_CREATE_PARTITION, &args);
	/* Most partitions get far enough to run. */
	if (fd >= 0 && !one_in(d, 4) && !ioctl(fd, MSHV_INITIALIZE_PARTITION)) {
		struct mshv_create_vp vp = { .vp_index = (uint32_t)below(d, 4) };
		struct mshv_user_mem_region reset = {
			.size = 16 * PAGE, .guest_pfn = 0xffff0,
			.userspace_addr = (uintptr_t)arena + below(d, ARENA / PAGE - 16) * PAGE,
			.flags = 3,
		};

		keep_fd(d, ioctl(fd, MSHV_CREATE_VP, &vp));
		ioctl(fd, MSHV_SET_GUEST_MEMORY, &reset);
	}
	keep_fd(d, fd);
	if (one_in(d, 8))
		keep_fd(d, device);
	else
		close(device);
}

static void do_vp(struct dice *d)
{
	struct mshv_create_vp args = { .vp_index = (uint32_t)below(d, one_in(d, 8) ? 300 : 4) };

	keep_fd(d, ioctl(any_fd(d), MSHV_CREATE_VP, &args));
}

static uint64_t some_address(struct dice *d)
{
	if (one_in(d, 32))
		return roll(d);
	return (uintptr_t)arena + below(d, ARENA / PAGE) * PAGE;
}

/* Regions made lately, by whomever: names for those that are to change or go. */
#define RECENT 16
static struct mshv_user_mem_region recent[RECENT];

static void do_known_memory(struct dice *d)
{
	struct mshv_user_mem_region args = recent[below(d, RECENT)];

	switch (below(d, 3)) {
	case 0:
		args.flags = 1 << MSHV_SET_MEM_BIT_UNMAP;
		break;
	case 1:
		args.flags ^= MSHV_SET_MEM_PINNED;
		/* fall through */
	default:
		args.flags |= MSHV_SET_MEM_CHANGE;
	}
	ioctl(any_fd(d), MSHV_SET_GUEST_MEMORY, &args);
}

static void do_memory(struct dice *d)
{
	struct mshv_user_mem_region args = {
		.size = (1 + below(d, one_in(d, 4) ? ARENA / PAGE : 16)) * PAGE,
		.guest_pfn = below(d, GFNS), .userspace_addr = some_address(d),
		.flags = (uint8_t)below(d, 8),
	};

	/* Around the reset vector, so that processors find something to execute. */
	if (one_in(d, 3))
		args.guest_pfn = 0xfffff - below(d, 4);
	if (one_in(d, 6))
		args.flags |= MSHV_SET_MEM_PINNED;
	if (one_in(d, 32))
		args.size = roll(d);
	if (one_in(d, 32))
		args.guest_pfn = roll(d);
	if (one_in(d, 32))
		args.flags = (uint8_t)roll(d);
	if (!ioctl(any_fd(d), MSHV_SET_GUEST_MEMORY, &args) && !(args.flags & 1 << MSHV_SET_MEM_BIT_UNMAP))
		recent[below(d, RECENT)] = args;
}

static void do_run(struct dice *d)
{
	uint8_t message[256];

	ioctl(any_fd(d), one_in(d, 2) ? MSHV_RUN_VP : MSHV_RUN_VP_EXIT, one_in(d, 32) ? NULL : message);
}

static void do_call(struct dice *d)
{
	static const uint16_t codes[] = {
#define X(name, text) HVABI_CALL_##name,
		HVABI_DEBUG_CALLS(X)
#undef X
	};
	uint64_t in[512], out[512];
	struct mshv_root_hvcall args = {
		.code = codes[below(d, sizeof(codes) / sizeof(codes[0]))],
		.reps = (uint16_t)below(d, one_in(d, 2) ? 2 : 600),
		.in_sz = (uint16_t)(8 * (1 + below(d, one_in(d, 4) ? 513 : 8))),
		.out_sz = (uint16_t)(1 + below(d, 4096)),
		.in_ptr = (uintptr_t)in, .out_ptr = one_in(d, 2) ? (uintptr_t)out : 0,
	};

	/* Options would change the hypervisor for everybody. */
	if (args.code == HVABI_CALL_DEBUG_SET_OPTION)
		return;
	for (unsigned int i = 0; i < 512; i++)
		in[i] = one_in(d, 4) ? roll(d) : below(d, 8);
	if (args.code == HVABI_CALL_SET_VP_REGISTERS && !one_in(d, 4)) {
		struct hvabi_register_assoc *e = (void *)&in[2];

		in[1] = below(d, 4);
		args.reps = 1;
		args.in_sz = 16 + sizeof(*e);
		e->name = one_in(d, 2) ? HVABI_REG_RIP : (uint32_t)(HVABI_REG_RAX + below(d, 20));
	}
	if (one_in(d, 64))
		args.in_ptr = roll(d);
	if (one_in(d, 64))
		args.rsvd[below(d, 6)] = 1;
	ioctl(any_fd(d), MSHV_ROOT_HVCALL, &args);
}

#define BITMAP (2 * PAGE)

static void do_bitmap(struct dice *d)
{
	struct mshv_gpap_access_bitmap args = {
		.access_type = (uint8_t)below(d, 3), .access_op = (uint8_t)below(d, 4),
		.page_count = below(d, one_in(d, 16) ? UINT64_MAX : BITMAP * 8),
		.gpap_base = one_in(d, 4) ? 0xffff0 : below(d, GFNS), .bitmap_ptr = (uintptr_t)bitmap,
	};

	ioctl(any_fd(d), MSHV_GET_GPAP_ACCESS_BITMAP, &args);
}

static void do_prefault(struct dice *d)
{
	struct mshv_prefault args = {
		.gfn = one_in(d, 3) ? 0xffff0 : below(d, GFNS),
		.pages = below(d, one_in(d, 16) ? UINT64_MAX : GFNS),
		.flags = (uint32_t)below(d, one_in(d, 16) ? UINT32_MAX : 4),
		.rsvd[1] = one_in(d, 32),
	};

	ioctl(any_fd(d), MSHV_PREFAULT_MEMORY, &args);
}

static void do_arena(struct dice *d)
{
	static const int advice[] = { MADV_DONTNEED, MADV_FREE, MADV_PAGEOUT, MADV_COLD,
				      MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_COLLAPSE };
	uint64_t size = (1 + below(d, one_in(d, 4) ? 1024 : 16)) * PAGE;
	uint8_t *at = arena + below(d, (ARENA - size) / PAGE) * PAGE;

	switch (below(d, 6)) {
	case 0:
	case 1:
		madvise(at, size, advice[below(d, sizeof(advice) / sizeof(advice[0]))]);
		break;
	case 2:
		mprotect(at, size, (int)below(d, 4));
		break;
	case 3:
		munmap(at, size);
		break;
	case 4:
		mmap(at, size, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | (one_in(d, 4) ? MAP_POPULATE : 0), -1, 0);
		break;
	default:
		/* Jumps to itself: a guest that runs for ever. */
		if (!mprotect(at, PAGE, PROT_READ | PROT_WRITE))
			memset(at, 0xeb, 1 + below(d, 2));
		break;
	}
}

static void do_pages(struct dice *d)
{
	int fd = any_fd(d);
	void *page = mmap(NULL, PAGE << below(d, 2), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			  (off_t)(below(d, 4) * PAGE));

	if (page == MAP_FAILED)
		return;
	*(volatile uint64_t *)((uint8_t *)page + below(d, 512) * 8) = roll(d);
	munmap(page, PAGE);
}

static void do_fork(struct dice *d)
{
	pid_t child = fork();

	if (!child) {
		/* The wrong address space: everything must be refused. */
		for (int i = 0; i < 20; i++) {
			do_memory(d);
		}
		_exit(0);
	}
	if (child > 0)
		waitpid(child, NULL, 0);
}

static void do_raw(struct dice *d)
{
	uint8_t buffer[512];

	for (unsigned int i = 0; i < sizeof(buffer); i++)
		buffer[i] = (uint8_t)roll(d);
	ioctl(any_fd(d), _IOC(below(d, 4), MSHV_IOCTL, below(d, 16), below(d, 300)), buffer);
}

static void *worker_thread(void *arg)
{
	struct dice d = { .state = (uintptr_t)arg * 0x9e3779b97f4a7c15ull + seed + 1 };

	pthread_barrier_wait(&started);
	while (!stop) {
		switch (below(&d, 25)) {
		case 0: do_create(&d); break;
		case 1: case 2: ioctl(any_fd(&d), MSHV_INITIALIZE_PARTITION); break;
		case 3: case 4: do_vp(&d); break;
		case 5: case 6: case 7: do_memory(&d); break;
		case 8: do_known_memory(&d); break;
		case 9: case 10: case 11: case 12: case 13: do_run(&d); break;
		case 14: case 15: do_call(&d); break;
		case 16: do_bitmap(&d); break;
		case 17: case 18: case 19: case 20: do_arena(&d); break;
		case 21: do_pages(&d); break;
		case 22:
			if (one_in(&d, 10))
				do_fork(&d);
			break;
		case 23: do_prefault(&d); break;
		default: do_raw(&d); break;
		}
	}
	return NULL;
}

static void no_action(int signal)
{
	(void)signal;
}

/* One life of a worker: about two seconds, or less if it is killed. */
static void worker(unsigned long number)
{
	struct sigaction action = { .sa_handler = no_action };
	pthread_t thread[16];

	sigaction(SIGALRM, &action, NULL);
	signal(SIGSEGV, SIG_DFL);
	/*
	 * Guests write wherever they have a region. What is behind the arena is nobody's, and all stacks
	 * are there before the first hole is made where one would fit.
	 */
	arena = mmap(NULL, 2 * ARENA, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	mprotect(arena, ARENA, PROT_READ | PROT_WRITE);
	bitmap = mmap(NULL, 3 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	mprotect(bitmap, 2 * PAGE, PROT_READ | PROT_WRITE);
	pthread_barrier_init(&started, NULL, (unsigned int)threads + 1);
	for (int i = 0; i < SLOTS; i++)
		slots[i] = -1;
	for (long i = 0; i < threads; i++)
		pthread_create(&thread[i], NULL, worker_thread,
			       (void *)(uintptr_t)(number * 16 + (unsigned long)i + 1));
	pthread_barrier_wait(&started);
	/* Signals get threads out of guests that run for ever. */
	for (int i = 0; i < 400; i++) {
		usleep(5000);
		pthread_kill(thread[i % threads], SIGALRM);
	}
	stop = true;
	for (long i = 0; i < threads; i++) {
		/* It may be inside a guest that never stops by itself. */
		while (pthread_tryjoin_np(thread[i], NULL)) {
			pthread_kill(thread[i], SIGALRM);
			usleep(2000);
		}
	}
	_exit(0);
}

static long number(const char *text, const char *option)
{
	char *end;
	long value = strtol(text, &end, 0);

	if (*end || end == text || value < 0) {
		fprintf(stderr, "fuzz_ioctl: %s: not a number: %s\n", option, text);
		exit(2);
	}
	return value;
}

static void parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seconds", required_argument, NULL, 's' }, { "seed", required_argument, NULL, 'r' },
		{ "workers", required_argument, NULL, 'w' }, { "threads", required_argument, NULL, 't' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	seed = (unsigned long)time(NULL);
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 's': seconds = number(optarg, "--seconds"); break;
		case 'r': seed = (unsigned long)number(optarg, "--seed"); break;
		case 'w': workers = number(optarg, "--workers"); break;
		case 't': threads = number(optarg, "--threads"); break;
		default: exit(2);
		}
	}
	if (workers < 1 || workers > 16 || threads < 1 || threads > 16) {
		fprintf(stderr, "fuzz_ioctl: --workers and --threads: 1 to 16\n");
		exit(2);
	}
}

int main(int argc, char **argv)
{
	unsigned long lives = 0, killed = 0, aborted = 0;
	int status;
	struct dice d;
	time_t end;

	parse(argc, argv);
	d.state = seed + 1;
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("KTAP version 1\n1..1\n# seed %lu, %ld seconds, %ld workers of %ld threads\n", seed,
	       seconds, workers, threads);
	end = time(NULL) + seconds;
	while (time(NULL) < end) {
		pid_t pid[16];

		for (long i = 0; i < workers; i++) {
			pid[i] = fork();
			if (!pid[i])
				worker(lives + (unsigned long)i);
		}
		for (long i = 0; i < workers; i++) {
			if (one_in(&d, 3)) {
				usleep((useconds_t)below(&d, 1500000));
				kill(pid[i], SIGKILL);
				killed++;
			}
			/* A segmentation fault is what the arena is there for; a stack that was written over is not. */
			waitpid(pid[i], &status, 0);
			aborted += WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
		}
		lives += (unsigned long)workers;
	}
	printf("# %lu lives, %lu ended by SIGKILL\n", lives, killed);
	printf("%sok 1 the kernel survives random ioctls, and writes where it should\n", aborted ? "not " : "");
	return aborted != 0;
}
