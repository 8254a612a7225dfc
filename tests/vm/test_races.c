// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guests that check their memory on two processors while Linux does everything to it at once: laws 1, 2, 5 and 11, cases 12,
 * 15 and 20. A stale map shows as a wrong stamp (the parent poisons free pages), a lost write as an old one.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <session.h>

#include "ktap.h"
#include "probe.h"

#define MEMORY		(48ull << 20)
#define FIRST_GFN	(8ull << 20 >> 12)
#define PAGES		(MEMORY / PAGE - FIRST_GFN)
#define MPOL_MF_MOVE	2

static struct mshv_session *session;
static volatile bool stop;

static void tear_down(void)
{
	mshv_session_close(session);
	session = NULL;
}

static enum ktap_result set_up(unsigned int flags)
{
	struct mshv_session_config config = { .memory_size = MEMORY, .vps = 2,
					      .memory_flags = flags };

	session = mshv_session_open(&config);
	CHECK(session, "%s", mshv_error());
	CHECK(!mshv_session_boot(session, "stamp"), "%s", mshv_error());
	return PASS;
}

static enum ktap_result command(enum guest_command command, struct guest_mailbox args,
				uint64_t seed)
{
	args.first_gfn = FIRST_GFN;
	args.pages = PAGES;
	args.stride = 2;
	for (args.offset = 0; args.offset < 2; args.offset++) {
		args.seed = seed ? seed + args.offset : 0;
		CHECK(!mshv_session_command(session, args.offset, command, &args), "%s",
		      mshv_error());
	}
	return PASS;
}

static enum ktap_result wait_for(unsigned int seconds)
{
	unsigned int vp;

	for (vp = 0; vp < 2; vp++) {
		int status = mshv_session_wait(session, vp, seconds);
		volatile struct guest_mailbox *box = mshv_session_mailbox(session, vp);

		CHECK(status == GUEST_STATUS_OK,
		      "processor %u: %d (%s), GFN 0x%llx word %llu: 0x%llx, not 0x%llx", vp, status,
		      status < 0 ? mshv_error() : "stamp", (unsigned long long)box->error_gfn,
		      (unsigned long long)box->error_word, (unsigned long long)box->error_found,
		      (unsigned long long)box->error_expected);
	}
	return PASS;
}

static uint8_t *random_page(unsigned int *seed)
{
	return mshv_session_memory(session) + (FIRST_GFN + rand_r(seed) % PAGES) * PAGE;
}

static void *page_out(void *arg)
{
	unsigned int seed = 1;

	(void)arg;
	while (!stop)
		madvise(random_page(&seed), (1 + rand_r(&seed) % 16) * PAGE, MADV_PAGEOUT);
	return NULL;
}

static void *migrate(void *arg)
{
	unsigned int seed = 2, i;
	void *pages[64];
	int nodes[64], status[64];

	(void)arg;
	while (!stop) {
		for (i = 0; i < 64; i++) {
			pages[i] = random_page(&seed);
			nodes[i] = rand_r(&seed) & 1;
		}
		syscall(SYS_move_pages, 0, 64, pages, nodes, status, MPOL_MF_MOVE);
	}
	return NULL;
}

static void *protect(void *arg)
{
	unsigned int seed = 3;

	(void)arg;
	while (!stop) {
		uint8_t *page = random_page(&seed);

		/* Back at once: a guest that meets it in between would get an error. */
		mprotect(page, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
		mprotect(page, PAGE, PROT_READ | PROT_WRITE);
	}
	return NULL;
}

static void *fork_loop(void *arg)
{
	int status;
	pid_t pid;

	(void)arg;
	while (!stop) {
		pid = fork();
		if (!pid)
			_exit(0);
		if (pid > 0)
			waitpid(pid, &status, 0);
		usleep(1000);
	}
	return NULL;
}

static void *compact(void *arg)
{
	int fd = open("/proc/sys/vm/compact_memory", O_WRONLY | O_CLOEXEC);

	(void)arg;
	while (!stop && fd >= 0) {
		if (write(fd, "1", 1) != 1)
			break;
		usleep(10000);
	}
	close(fd);
	return NULL;
}

static void *collapse(void *arg)
{
	unsigned int seed = 4;

	(void)arg;
	while (!stop) {
		uintptr_t block = (uintptr_t)random_page(&seed) & ~(BLOCK - 1);

		madvise((void *)block, BLOCK, 25 /* MADV_COLLAPSE */);
		usleep(1000);
		/* Linux splits it again for this. */
		madvise((void *)(block + 3 * PAGE), PAGE, MADV_PAGEOUT);
	}
	return NULL;
}

static enum ktap_result under(void *(*const *torments)(void *), unsigned int count,
			      unsigned int seconds, unsigned int flags)
{
	struct guest_mailbox args = { .version = 1, .rounds = 1 };
	pthread_t threads[8];
	volatile struct guest_mailbox *box;
	enum ktap_result result;
	unsigned int i, seed = time(NULL);

	CHECK_PASS(set_up(flags));
	CHECK_PASS(command(GUEST_COMMAND_STAMP, args, 0));
	CHECK_PASS(wait_for(60));
	args.rounds = 0;
	ktap_note("seed %u", seed);
	CHECK_PASS(command(GUEST_COMMAND_UPDATE, args, seed));
	stop = false;
	for (i = 0; i < count; i++)
		CHECK(!pthread_create(&threads[i], NULL, torments[i], NULL));
	sleep(seconds);
	stop = true;
	for (i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	mshv_session_stop(session, 0);
	mshv_session_stop(session, 1);
	result = wait_for(120);
	box = mshv_session_mailbox(session, 0);
	ktap_note("%llu rounds, %llu pages", (unsigned long long)box->done_rounds,
		  (unsigned long long)box->done_pages);
	CHECK(box->done_pages > 0);
	return result;
}

#define UNDER(seconds, flags, ...) \
	do { \
		void *(*const torments[])(void *) = { __VA_ARGS__ }; \
		return under(torments, sizeof(torments) / sizeof(torments[0]), seconds, flags); \
	} while (0)

static enum ktap_result swapping(void)
{
	if (probe_proc("/proc/meminfo", "SwapTotal") <= 0)
		return ktap_skip("no swap");
	UNDER(6, MSHV_MEMORY_SMALL, page_out);
}

static enum ktap_result migrating(void)
{
	UNDER(6, MSHV_MEMORY_SMALL, migrate);
}

static enum ktap_result forking(void)
{
	UNDER(6, 0, fork_loop);
}

static enum ktap_result splitting(void)
{
	UNDER(6, 0, collapse, protect);
}

static enum ktap_result everything(void)
{
	UNDER(15, 0, page_out, migrate, fork_loop, compact, collapse, protect);
}

/* Law: when Linux has taken a page, a processor that spins on it without leaving sees the new one. */
static enum ktap_result spinning(void)
{
	struct guest_mailbox args = { .first_gfn = FIRST_GFN, .pages = 1, .stride = 1, .version = 1,
				      .rounds = 1 };
	volatile struct guest_mailbox *box;
	volatile uint64_t *page;
	uint64_t version;

	CHECK_PASS(set_up(MSHV_MEMORY_SMALL));
	CHECK(!mshv_session_command(session, 0, GUEST_COMMAND_STAMP, &args), "%s", mshv_error());
	CHECK(mshv_session_wait(session, 0, 60) == GUEST_STATUS_OK, "%s", mshv_error());
	CHECK(!mshv_session_command(session, 0, GUEST_COMMAND_SPIN, &args), "%s", mshv_error());
	box = mshv_session_mailbox(session, 0);
	page = (volatile uint64_t *)(mshv_session_memory(session) + FIRST_GFN * PAGE);
	for (version = 2; version < 200; version++) {
		void *fresh = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				   -1, 0);
		volatile uint64_t *words = fresh;

		CHECK(fresh != MAP_FAILED);
		words[0] = guest_stamp_word(FIRST_GFN, version, 0);
		words[GUEST_STAMP_STEP / 8] = guest_stamp_word(FIRST_GFN, version, 1);
		/* Another page in its place, in one step; then the old one must be out of sight. */
		CHECK(mremap(fresh, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)page) ==
		      (void *)page);
		box->version = version;
		usleep(500);
	}
	version = box->seen_version;
	mshv_session_stop(session, 0);
	CHECK(mshv_session_wait(session, 0, 60) == GUEST_STATUS_OK,
	      "saw version %llu after %llu was in place", (unsigned long long)box->error_found,
	      (unsigned long long)box->error_expected);
	CHECK(version >= 100, "the guest did not follow: %llu", (unsigned long long)version);
	CHECK(box->done_pages > 1000);
	return PASS;
}

/* Case 12: a region goes and comes while the guest faults in it. */
static void *touch(void *arg)
{
	struct probe *probe = arg;
	uint64_t value, i = 0, odd = 0;

	while (!stop) {
		uint64_t gpa = (1ull << 30) + i++ % 512 * PAGE;

		switch (probe_read(probe, gpa, &value)) {
		case PROBE_DONE:
			/* One of the two memories, or a page nobody has written. */
			odd += value != 0 && value != 0xaaaa && value != 0xbbbb;
			break;
		case PROBE_VMM:
			break;
		case PROBE_ERROR:
			odd++;
		}
	}
	return (void *)(uintptr_t)odd;
}

static enum ktap_result removing(void)
{
	uint8_t *a = probe_memory(BLOCK, false), *b = probe_memory(BLOCK, false), *now;
	struct probe probe;
	pthread_t thread;
	unsigned int i;
	uint64_t value;
	void *odd;

	for (i = 0; i < 512; i += 2) {
		*(uint64_t *)(a + i * PAGE) = 0xaaaa;
		*(uint64_t *)(b + i * PAGE) = 0xbbbb;
	}
	CHECK(!probe_open(&probe), "%s", mshv_error());
	stop = false;
	CHECK(!pthread_create(&thread, NULL, touch, &probe));
	for (i = 0; i < 2000; i++) {
		now = i & 1 ? a : b;
		CHECK(!mshv_region_add(probe.vm, 1ull << 30, now, BLOCK, 0), "%s", mshv_error());
		if (i % 7 == 0)
			usleep(500);
		CHECK(!mshv_region_remove(probe.vm, 1ull << 30, now, BLOCK), "%s", mshv_error());
	}
	stop = true;
	pthread_join(thread, &odd);
	CHECK(!odd, "%lu odd accesses", (unsigned long)(uintptr_t)odd);
	/* Nothing of either is left behind. */
	CHECK(probe_read(&probe, 1ull << 30, &value) == PROBE_VMM);
	for (i = 0; i < 512; i += 2) {
		CHECK(!probe_reachable(probe_pfn(a + i * PAGE)));
		CHECK(!probe_reachable(probe_pfn(b + i * PAGE)));
	}
	probe_close(&probe);
	return PASS;
}

/*
 * Pages that are replaced between a fault's look at the page table and its map. The guest goes through a block in order; its
 * thread runs only when nobody else wants the processor. The thread that replaces pages just ahead of it comes at any moment:
 * also when the look lets go of the page table, for which it waits (preempt=full on the kernel's command line).
 */
static volatile uint64_t in_place[512];
static volatile unsigned int guest_at;

static void on_first_cpu(void)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(0, &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);
}

static void *read_idly(void *arg)
{
	struct sched_param none = { };
	struct probe *probe = arg;
	uint64_t value, least, odd = 0;
	unsigned int i;

	on_first_cpu();
	sched_setscheduler(0, SCHED_IDLE, &none);
	for (i = 0; !stop; i = (i + 1) % 512) {
		guest_at = i;
		least = in_place[i];
		if (probe_read(probe, (1ull << 30) + i * PAGE, &value) != PROBE_DONE ||
		    value < least) {
			if (!odd++)
				ktap_note("page %u: read %llu (errno %d), in place was %llu", i,
					  (unsigned long long)value, probe->error,
					  (unsigned long long)least);
		}
	}
	return (void *)(uintptr_t)odd;
}

static enum ktap_result preempted(void)
{
	uint8_t *memory = probe_memory(BLOCK, false);
	unsigned int seed = time(NULL), i, page;
	struct probe probe;
	pthread_t thread;
	void *odd;

	ktap_note("seed %u", seed);
	CHECK(!probe_open(&probe), "%s", mshv_error());
	for (i = 0; i < 512; i++)
		*(uint64_t *)(memory + i * PAGE) = in_place[i] = 1;
	CHECK(!mshv_region_add(probe.vm, 1ull << 30, memory, BLOCK, 0), "%s", mshv_error());
	stop = false;
	on_first_cpu();
	CHECK(!pthread_create(&thread, NULL, read_idly, &probe));
	for (i = 0; i < 20000; i++) {
		uint64_t *fresh = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		CHECK(fresh != MAP_FAILED);
		page = (guest_at + rand_r(&seed) % 8) % 512;
		*fresh = in_place[page] + 1;
		usleep(rand_r(&seed) % 500);
		CHECK(mremap(fresh, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
			     memory + page * PAGE) == memory + page * PAGE);
		in_place[page]++;
	}
	stop = true;
	pthread_join(thread, &odd);
	CHECK(!odd, "%lu stale reads", (unsigned long)(uintptr_t)odd);
	probe_close(&probe);
	return PASS;
}

int main(int argc, char **argv)
{
	static const struct ktap_test preemption[] = {
		{ "a page replaced while its fault is preempted", preempted },
	};
	static const struct ktap_test tests[] = {
		{ "a processor spins on a page that is replaced", spinning },
		{ "swapping", swapping },
		{ "migrating", migrating },
		{ "forking", forking },
		{ "collapsing, splitting, protecting", splitting },
		{ "everything at once", everything },
		{ "regions go and come under faults", removing },
	};

	ktap_cleanup = tear_down;
	if (argc > 1 && !strcmp(argv[1], "preemption"))
		return KTAP_RUN(preemption);
	return KTAP_RUN(tests);
}
