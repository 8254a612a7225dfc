// SPDX-License-Identifier: GPL-2.0-only
/*
 * MSHV_PREFAULT_MEMORY: memory that a guest has before it asks. What it costs, what it allocates and what not, what it refuses, and
 * that Linux takes pages away from it as from a fault.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <host.h>
#include <uapi/mshv.h>

#include "group.h"
#include "ktap.h"
#include "probe.h"

#define GPA	(1ull << 30)
#define SIZE	(64ull << 20)
#define PAGES	(SIZE / PAGE)
#define PER_CALL	509u
#define GROUP	"/sys/fs/cgroup/prefault"

typedef unsigned long long ull;

static struct probe probe;
static uint8_t *memory;
static int uffd = -1;

static void tear_down(void)
{
	probe_close(&probe);
	if (uffd >= 0)
		close(uffd);
	uffd = -1;
	memory = NULL;
	group_leave();
}

static enum ktap_result set_up(bool huge)
{
	memory = probe_open_with(&probe, GPA, SIZE, huge);
	CHECK(memory, "%s", mshv_error());
	/* The guest's own pages are not what is counted. */
	GUEST_WRITES(0x20000, 0);
	GUEST_READS(0x20000, 0);
	return PASS;
}

static uint64_t faults(void)
{
	return probe_counter(&probe, HVABI_COUNT_EXIT_NPF_UNMAPPED) +
	       probe_counter(&probe, HVABI_COUNT_EXIT_NPF_ACCESS);
}

static uint64_t map_calls(void)
{
	return probe_counter(&probe, HVABI_COUNT_CALL_MAP_GPA_PAGES);
}

static uint64_t present(void)
{
	struct host_pages pages;

	return host_count_pages(memory, SIZE, false, &pages) ? ~0ull : pages.present;
}

/* All of it; or as far as it goes. */
static int prefault(unsigned int flags)
{
	uint64_t gpa = GPA, size = SIZE;

	return mshv_prefault(probe.vm, &gpa, &size, flags);
}

/* The guest gets at pages of the range without a fault. @step in pages. */
static enum ktap_result no_faults(uint64_t step, bool write)
{
	uint64_t before = faults(), page, value;

	for (page = 0; page < PAGES; page += step) {
		if (write)
			GUEST_WRITES(GPA + page * PAGE, page + 1);
		else
			CHECK(probe_read(&probe, GPA + page * PAGE, &value) == PROBE_DONE);
		CHECK(faults() == before, "page %llu of the range: %llu faults", (ull)page, (ull)(faults() - before));
	}
	for (page = 0; write && page < PAGES; page += step)
		CHECK(WORD(page * PAGE) == page + 1);
	return PASS;
}

static enum ktap_result all_small(void)
{
	uint64_t calls;

	CHECK_PASS(set_up(false));
	calls = map_calls();
	CHECK(!prefault(MSHV_PREFAULT_FOR_WRITE), "%s", mshv_error());
	calls = map_calls() - calls;
	ktap_note("%llu calls for %llu pages", (ull)calls, (ull)PAGES);
	/* Each deposit on the way is a call that is made again: 16, 32, 64 ... pages. */
	CHECK(calls <= (PAGES + PER_CALL - 1) / PER_CALL + 4, "%llu calls", (ull)calls);
	CHECK(present() == PAGES);
	CHECK_PASS(no_faults(61, true));
	/* There already: nothing to do. */
	calls = map_calls();
	CHECK(!prefault(MSHV_PREFAULT_FOR_WRITE), "%s", mshv_error());
	CHECK(map_calls() == calls, "%llu calls for what is there", (ull)(map_calls() - calls));
	return PASS;
}

static enum ktap_result all_huge(void)
{
	uint64_t calls;

	CHECK_PASS(set_up(true));
	calls = map_calls();
	CHECK(!prefault(MSHV_PREFAULT_FOR_WRITE), "%s", mshv_error());
	calls = map_calls() - calls;
	if (probe_counter(&probe, HVABI_COUNT_MAP_2M) != SIZE / BLOCK)
		return ktap_skip("Linux had no huge page to give");
	/* 40 MiB are faulted in at a time. */
	CHECK(calls <= 3, "%llu calls", (ull)calls);
	CHECK_PASS(no_faults(509, true));
	calls = map_calls();
	CHECK(!prefault(MSHV_PREFAULT_FOR_WRITE), "%s", mshv_error());
	CHECK(map_calls() == calls, "%llu calls for what is there", (ull)(map_calls() - calls));
	/* Taken away, and given back from what Linux has: one call. */
	CHECK(!mprotect(memory, SIZE, PROT_NONE) && !mprotect(memory, SIZE, PROT_READ | PROT_WRITE));
	calls = map_calls();
	CHECK(!prefault(MSHV_PREFAULT_FOR_WRITE | MSHV_PREFAULT_IF_THERE), "%s", mshv_error());
	CHECK(map_calls() - calls == 1, "%llu calls", (ull)(map_calls() - calls));
	return no_faults(509, true);
}

/* Nothing is allocated; what is there needs no fault, what is not does. */
static enum ktap_result only_what_is_there(void)
{
	uint64_t page, before, frame;

	CHECK_PASS(set_up(false));
	CHECK(!prefault(MSHV_PREFAULT_FOR_WRITE | MSHV_PREFAULT_IF_THERE), "%s", mshv_error());
	CHECK(present() == 0 && probe_counter(&probe, HVABI_COUNT_MAP_4K) < 100);
	for (page = 0; page < PAGES; page += 3)
		WORD(page * PAGE) = page;
	/* The first page is Linux's zero page from here on. */
	CHECK(!madvise(memory, PAGE, MADV_DONTNEED) && WORD(0) == 0);
	frame = probe_pfn(memory);
	before = present();
	CHECK(!prefault(MSHV_PREFAULT_FOR_WRITE | MSHV_PREFAULT_IF_THERE), "%s", mshv_error());
	CHECK(present() == before);
	CHECK(probe_pfn(memory) == frame, "the zero page was replaced");
	before = faults();
	GUEST_READS(GPA, 0);
	for (page = 3; page < PAGES; page += 3)
		GUEST_WRITES(GPA + page * PAGE, page + 1);
	CHECK(faults() == before, "%llu faults", (ull)(faults() - before));
	GUEST_WRITES(GPA, 7);
	GUEST_READS(GPA + PAGE, 0);
	CHECK(faults() == before + 2, "%llu faults", (ull)(faults() - before));
	CHECK(WORD(0) == 7 && WORD(3 * PAGE) == 4);
	return PASS;
}

/* As if the guest read: pages that are shared stay so, and the first write is a fault. */
static enum ktap_result for_reading(void)
{
	long anon = probe_proc("/proc/self/status", "RssAnon");
	uint64_t before;

	CHECK_PASS(set_up(false));
	CHECK(!prefault(0), "%s", mshv_error());
	CHECK(probe_proc("/proc/self/status", "RssAnon") < anon + 4096, "memory was allocated for reading");
	CHECK_PASS(no_faults(7, false));
	before = faults();
	GUEST_WRITES(GPA + 5 * PAGE, 5);
	CHECK(faults() == before + 1 && WORD(5 * PAGE) == 5);
	/* Then for writing: what is mapped for reading is mapped anew. */
	CHECK(!prefault(MSHV_PREFAULT_FOR_WRITE), "%s", mshv_error());
	return no_faults(61, true);
}

static int call(uint64_t gfn, uint64_t pages, uint32_t flags, unsigned int reserved)
{
	struct mshv_prefault args = { .gfn = gfn, .pages = pages, .flags = flags }, copy;
	int error;

	if (reserved)
		args.rsvd[reserved - 1] = 1;
	copy = args;
	error = ioctl(mshv_vm_fd(probe.vm), MSHV_PREFAULT_MEMORY, &args) ? errno : 0;
	if (error && memcmp(&args, &copy, sizeof(args)))
		ktap_note("%s, and something was written back", strerror(error));
	return error && !memcmp(&args, &copy, sizeof(args)) ? error : 0;
}

static enum ktap_result bad_input(void)
{
	const uint64_t first = GPA / PAGE;
	uint8_t *more;
	uint64_t calls;
	pid_t pid;
	int status;

	CHECK_PASS(set_up(false));
	/* Behind a hole of one page, memory that the guest cannot write. */
	more = probe_memory(BLOCK, false);
	CHECK(!mshv_region_add(probe.vm, GPA + SIZE + PAGE, more, BLOCK, MSHV_MEMORY_READ_ONLY), "%s", mshv_error());
	calls = map_calls();
	CHECK(call(first, 0, 0, 0) == EINVAL);
	CHECK(call(first, PAGES, MSHV_PREFAULT_FLAGS_MASK + 1, 0) == EINVAL);
	CHECK(call(first, PAGES, 1u << 31, 0) == EINVAL);
	for (unsigned int i = 1; i <= 3; i++)
		CHECK(call(first, PAGES, 0, i) == EINVAL, "reserved field %u", i);
	CHECK(call(first, ~0ull, 0, 0) == EINVAL);
	CHECK(call(~0ull, 1, 0, 0) == EINVAL && call(1ull << 40, 1, 0, 0) == EINVAL);
	CHECK(call((1ull << 40) - 1, 2, 0, 0) == EINVAL);
	CHECK(call(first - 1, 1, 0, 0) == ENOENT && call((1ull << 40) - 1, 1, 0, 0) == ENOENT);
	CHECK(call(first - 1, PAGES + 1, 0, 0) == ENOENT);
	CHECK(call(first, PAGES + 1, 0, 0) == ENOENT);
	CHECK(call(first + PAGES - 1, 3, MSHV_PREFAULT_PRESENT, 0) == ENOENT);
	CHECK(call(first + PAGES + 1, 1, MSHV_PREFAULT_WRITE, 0) == EACCES);
	CHECK(ioctl(mshv_vm_fd(probe.vm), MSHV_PREFAULT_MEMORY, NULL) == -1 && errno == EFAULT);
	CHECK(present() == 0 && map_calls() == calls, "%llu pages, %llu map calls", (ull)present(),
	      (ull)(map_calls() - calls));
	pid = fork();
	if (!pid)
		_exit(call(first, PAGES, 0, 0) == EPERM ? 0 : 1);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0, "another process");
	CHECK(present() == 0);
	/* Neighbouring regions are one range. */
	CHECK(call(first + PAGES + 1, BLOCK / PAGE, 0, 0) == 0);
	CHECK(!mshv_region_remove(probe.vm, GPA + SIZE + PAGE, more, BLOCK), "%s", mshv_error());
	CHECK(!mshv_region_add(probe.vm, GPA + SIZE, more, BLOCK, 0), "%s", mshv_error());
	for (struct mshv_prefault args = { .gfn = first, .pages = PAGES + BLOCK / PAGE, .flags = MSHV_PREFAULT_WRITE };
	     args.pages;)
		CHECK(!ioctl(mshv_vm_fd(probe.vm), MSHV_PREFAULT_MEMORY, &args), "%s", strerror(errno));
	GUEST_WRITES(GPA + SIZE + BLOCK - PAGE, 3);
	CHECK(*(uint64_t *)(more + BLOCK - PAGE) == 3 && present() == PAGES);
	CHECK(!mshv_region_remove(probe.vm, GPA + SIZE, more, BLOCK), "%s", mshv_error());
	munmap(more, BLOCK);
	return PASS;
}

/* A hole in the mapping: up to it, and then the error; only what is there goes over it. */
static enum ktap_result hole(void)
{
	const uint64_t at = 1000;
	uint64_t gpa = GPA, size = SIZE;

	CHECK_PASS(set_up(false));
	CHECK(!munmap(memory + at * PAGE, 3 * PAGE));
	CHECK(mshv_prefault(probe.vm, &gpa, &size, MSHV_PREFAULT_FOR_WRITE) == -1 && errno == EFAULT, "%s",
	      mshv_error());
	CHECK(gpa == GPA + at * PAGE && gpa + size == GPA + SIZE, "0x%llx", (ull)gpa);
	CHECK(call(gpa / PAGE, 5, MSHV_PREFAULT_WRITE, 0) == EFAULT);
	memset(memory + (at + 3) * PAGE, 1, PAGE);
	CHECK(!prefault(MSHV_PREFAULT_IF_THERE), "%s", mshv_error());
	size = faults();
	GUEST_READS(GPA + (at + 3) * PAGE, 0x0101010101010101);
	CHECK(faults() == size);
	/* And a mapping that cannot be written. */
	CHECK(!mprotect(memory, BLOCK, PROT_READ));
	CHECK(call(GPA / PAGE, 5, MSHV_PREFAULT_WRITE, 0) == EACCES);
	CHECK(call(GPA / PAGE, 5, MSHV_PREFAULT_WRITE | MSHV_PREFAULT_PRESENT, 0) == 0);
	CHECK(probe_write(&probe, GPA, 1) == PROBE_ERROR && probe.error == EACCES, "%d", probe.error);
	return PASS;
}

/* ---- signals ---- */

static uint64_t left_gpa, left_size;
static int left_error;

static void nothing(int signal)
{
	(void)signal;
}

static void *prefault_thread(void *arg)
{
	(void)arg;
	left_gpa = GPA;
	left_size = SIZE;
	left_error = mshv_prefault(probe.vm, &left_gpa, &left_size, MSHV_PREFAULT_FOR_WRITE) ? errno : 0;
	return NULL;
}

/* It waits for a page that user space has to supply; a signal ends it, and what is left is said. */
static enum ktap_result interrupted(void)
{
	const uint64_t missing = 4000;
	struct sigaction action = { .sa_handler = nothing };
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register one = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct uffdio_zeropage supply = { .range.len = PAGE };
	struct pollfd wait = { .events = POLLIN };
	int i, alive = EBUSY;
	pthread_t thread;

	CHECK(!sigaction(SIGUSR1, &action, NULL));
	CHECK_PASS(set_up(false));
	uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	one.range.start = (uintptr_t)memory + missing * PAGE;
	one.range.len = PAGE;
	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api) || ioctl(uffd, UFFDIO_REGISTER, &one))
		return ktap_skip("userfaultfd: %s", strerror(errno));
	wait.fd = uffd;
	CHECK(!pthread_create(&thread, NULL, prefault_thread, NULL));
	CHECK(poll(&wait, 1, 60000) == 1, "it never got there");
	for (i = 0; i < 200 && alive; i++) {
		pthread_kill(thread, SIGUSR1);
		usleep(50000);
		alive = pthread_tryjoin_np(thread, NULL);
	}
	supply.range.start = one.range.start;
	CHECK(!ioctl(uffd, UFFDIO_ZEROPAGE, &supply), "%s", strerror(errno));
	if (alive)
		pthread_join(thread, NULL);
	CHECK(!alive, "%d signals did not end it", i);
	CHECK(left_error == EINTR, "errno %d", left_error);
	CHECK(left_gpa == GPA + missing * PAGE && left_gpa + left_size == GPA + SIZE, "0x%llx", (ull)left_gpa);
	/* And on. */
	CHECK(!mshv_prefault(probe.vm, &left_gpa, &left_size, MSHV_PREFAULT_FOR_WRITE), "%s", mshv_error());
	CHECK(left_size == 0 && present() == PAGES);
	return no_faults(61, true);
}

/* ---- at the same time ---- */

static atomic_bool stop;

static void *discard(void *arg)
{
	unsigned int seed = 1;

	(void)arg;
	while (!stop) {
		uint64_t page = (uint64_t)rand_r(&seed) % PAGES, n = 1 + (uint64_t)rand_r(&seed) % 600;

		if (page + n > PAGES)
			n = PAGES - page;
		madvise(memory + page * PAGE, n * PAGE, rand_r(&seed) % 4 ? MADV_DONTNEED : MADV_PAGEOUT);
		WORD(page * PAGE) = (uint64_t)rand_r(&seed);
		if (rand_r(&seed) % 8 == 0)
			madvise(memory, SIZE, rand_r(&seed) % 2 ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	}
	return NULL;
}

/* What the guest sees afterwards is what is there, and nothing that was taken away. */
static enum ktap_result under_invalidations(void)
{
	uint64_t page, n = 0;
	pthread_t thread;

	CHECK_PASS(set_up(false));
	stop = false;
	CHECK(!pthread_create(&thread, NULL, discard, NULL));
	for (; n < 40; n++)
		if (prefault(n % 3 ? MSHV_PREFAULT_FOR_WRITE : n % 2 ? MSHV_PREFAULT_IF_THERE : 0))
			break;
	stop = true;
	pthread_join(thread, NULL);
	CHECK(n == 40, "%s", mshv_error());
	for (page = 0; page < PAGES; page += 5) {
		uint64_t value = page % 2 ? WORD(page * PAGE) : page;

		if (!(page % 2))
			GUEST_WRITES(GPA + page * PAGE, value);
		GUEST_READS(GPA + page * PAGE, value);
		CHECK(WORD(page * PAGE) == value, "page %llu", (ull)page);
	}
	return PASS;
}

/* A pinned region has everything already, and a VMM that tracks loses nothing. */
static enum ktap_result pinned_and_tracked(void)
{
	static uint8_t bits[PAGES / 8];
	uint64_t calls, dirty = 0, page;

	CHECK_PASS(set_up(false));
	CHECK(!mshv_region_change(probe.vm, GPA, memory, SIZE, MSHV_MEMORY_PINNED), "%s", mshv_error());
	calls = faults();
	CHECK(!prefault(MSHV_PREFAULT_FOR_WRITE), "%s", mshv_error());
	CHECK(!mshv_region_change(probe.vm, GPA, memory, SIZE, 0), "%s", mshv_error());
	CHECK(!mshv_track_access(probe.vm, true), "%s", mshv_error());
	CHECK(!mshv_access_bitmap(probe.vm, GPA / PAGE, PAGES, MSHV_DIRTY, MSHV_ACCESS_CLEAR, bits), "%s", mshv_error());
	CHECK(!prefault(0), "%s", mshv_error());
	CHECK(faults() == calls);
	for (page = 0; page < PAGES; page += 97)
		GUEST_WRITES(GPA + page * PAGE, page);
	CHECK(!mshv_access_bitmap(probe.vm, GPA / PAGE, PAGES, MSHV_DIRTY, MSHV_ACCESS_CLEAR, bits), "%s", mshv_error());
	for (page = 0; page < PAGES; page++)
		dirty += bits[page / 8] >> page % 8 & 1;
	CHECK(dirty == (PAGES + 96) / 97, "%llu pages are dirty", (ull)dirty);
	for (page = 0; page < PAGES; page += 97)
		CHECK(bits[page / 8] >> page % 8 & 1, "page %llu", (ull)page);
	return PASS;
}

/*
 * All of it is five times what there is room for. What is faulted in with a page takes its place, so less is the next time, and it
 * ends.
 */
static enum ktap_result under_a_limit(void)
{
	struct sigaction action = { .sa_handler = nothing };
	int ret;

	if (host_stat("/proc/meminfo", "SwapTotal") == 0)
		return ktap_skip("no swap");
	CHECK_PASS(group_need(GROUP));
	CHECK_PASS(set_up(false));
	CHECK(!host_write(GROUP "/memory.max", "12M"), "%s", strerror(errno));
	sigaction(SIGALRM, &action, NULL);
	alarm(90);
	ret = prefault(MSHV_PREFAULT_FOR_WRITE);
	alarm(0);
	CHECK(!ret, "%s", mshv_error());
	ktap_note("%llu pages of %llu are present", (ull)present(), (ull)PAGES);
	CHECK(present() < PAGES / 2);
	return PASS;
}

int main(void)
{
	static const struct ktap_test tests[] = {
		{ "all of it, small pages", all_small },
		{ "all of it, huge pages", all_huge },
		{ "only what Linux has", only_what_is_there },
		{ "for reading", for_reading },
		{ "bad input changes nothing", bad_input },
		{ "a hole, and a mapping without the right", hole },
		{ "a signal ends it, and what is left is said", interrupted },
		{ "while Linux takes pages away", under_invalidations },
		{ "pinned, and while bits are tracked", pinned_and_tracked },
		{ "five times what a limit leaves room for", under_a_limit },
	};

	ktap_cleanup = tear_down;
	return KTAP_RUN(tests);
}
