// SPDX-License-Identifier: GPL-2.0-only
/*
 * Regions that become pinned and movable again while their guest runs, as for a device that is attached and detached: the guest
 * notices nothing, the limit of locked memory holds, and what fails leaves a movable region behind.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <host.h>
#include <hvabi/hypercall.h>
#include <hvabi/partition.h>

#include "group.h"
#include "ktap.h"
#include "probe.h"
#include "stamper.h"

#define GPA		(1ull << 30)
#define SIZE		(4 * BLOCK)	/* of a probe's region */
#define RANGE		(8 * BLOCK)	/* of a guest at work */
#define GUEST_SIZE	(STAMPER_GPA + RANGE)

static struct stamper guest;
static struct probe probe;
static uint8_t *memory;		/* the probe's region */

#define HELD		3u	/* pages of a region, by others */
#define GROUP		"/sys/fs/cgroup/pin"
#define ROM_SIZE	(24 * BLOCK)
#define TRACE		"/sys/kernel/tracing/"
#define PIN_EVENT	TRACE "events/mshv/pin"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

static void tear_down(void)
{
	stamper_close(&guest);
	probe_close(&probe);
	memory = NULL;
	mshv_hypervisor_option(HVABI_OPTION_REFUSE_CALL, 0);
	mshv_hypervisor_option(HVABI_OPTION_REFUSE_MEMORY_EVERY, 0);
	mshv_hypervisor_option(HVABI_OPTION_PARTIAL_EVERY, 0);
	mshv_hypervisor_option(HVABI_OPTION_DELAY, 0);
	host_write(PIN_EVENT "/enable", "0");
}

static enum ktap_result set_up(bool huge)
{
	memory = probe_open_with(&probe, GPA, SIZE, huge);
	CHECK(memory, "%s", mshv_error());
	return PASS;
}

static int change(unsigned int flags)
{
	return mshv_region_change(probe.vm, GPA, memory, SIZE, flags);
}

static int change_guest(unsigned int flags)
{
	return mshv_region_change(mshv_session_vm(guest.session), 0,
				  mshv_session_memory(guest.session), GUEST_SIZE, flags);
}

static long locked(void)
{
	return probe_proc("/proc/self/status", "VmLck");
}

/* Whether tools see "KEY=VALUE" of the region at the probe's GPA. */
static bool shown(const char *key, const char *value)
{
	char line[1024], path[64], want[64];
	const char *found;
	bool is = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", mshv_vm_fd(probe.vm));
	snprintf(want, sizeof(want), " %s=%s", key, value);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		if (strstr(line, "gfn=0x40000 ") && (found = strstr(line, want)))
			is = strchr(" \n", found[strlen(want)]);
	if (f)
		fclose(f);
	return is;
}

/* Of the region at the probe's GPA; ~0: it is not there. */
static uint64_t faults(void)
{
	char line[1024], path[64], *at;
	uint64_t value = ~0ull;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", mshv_vm_fd(probe.vm));
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f)) {
		at = strstr(line, "gfn=0x40000 ") ? strstr(line, " faults-served=") : NULL;
		if (at)
			value = strtoull(strchr(at, '=') + 1, NULL, 0);
	}
	if (f)
		fclose(f);
	return value;
}

static bool kind_is(const char *kind)
{
	return shown("kind", kind);
}

/* All pages of the range, which nobody pins, go to @node; a page may be busy for a moment. */
static enum ktap_result moves(void *range, uint64_t size, unsigned int node)
{
	struct host_move move;
	unsigned int tries = 0;

	do {
		CHECK(!host_move(range, size, node, &move) && move.failed == 0);
	} while (move.busy && ++tries < 100);
	CHECK(!move.busy, "%llu pages did not move", (unsigned long long)move.busy);
	return PASS;
}

static uint64_t frames[SIZE / PAGE], frames_now[SIZE / PAGE];

static enum ktap_result there_and_back(bool huge)
{
	long before = locked();
	struct host_move move;
	uint64_t value, pfn, served;

	CHECK_PASS(set_up(huge));
	CHECK(kind_is("movable"));
	CHECK(probe_write(&probe, GPA + 3 * PAGE, 7) == PROBE_DONE, "errno %d", probe.error);
	CHECK(!change(MSHV_MEMORY_PINNED), "%s", mshv_error());
	CHECK(kind_is("pinned"));
	CHECK(locked() == before + (long)(SIZE >> 10), "%ld KiB", locked());
	served = faults();
	CHECK(served != ~0ull);
	/* All of it is there, at once, with what was in it. */
	for (uint64_t page = 0; page < SIZE / PAGE; page++) {
		CHECK(probe_read(&probe, GPA + page * PAGE, &value) == PROBE_DONE &&
		      value == (page == 3 ? 7 : 0), "page %llu", (unsigned long long)page);
		CHECK(probe_write(&probe, GPA + page * PAGE, page + 1) == PROBE_DONE);
	}
	CHECK(faults() == served, "the guest faulted in a pinned region: %" PRIu64 " times",
	      faults() - served);
	pfn = probe_pfn(memory);
	CHECK(!host_page_frames(memory, SIZE, frames));
	CHECK(!host_move(memory, SIZE, 0, &move) && !host_move(memory, SIZE, 1, &move));
	CHECK(!host_page_out(memory, SIZE), "%s", mshv_error());
	CHECK(!host_page_frames(memory, SIZE, frames_now));
	CHECK(!memcmp(frames, frames_now, sizeof(frames)), "pinned pages have moved");
	CHECK(probe_reachable(pfn));

	CHECK(!change(0), "%s", mshv_error());
	CHECK(kind_is("movable") && locked() == before, "%ld KiB", locked());
	CHECK(!probe_reachable(pfn), "nobody has asked for the page yet");
	for (unsigned int node = 0; node < 2; node++)
		CHECK_PASS(moves(memory, SIZE, node));
	for (uint64_t page = 0; page < SIZE / PAGE; page++)
		CHECK(probe_read(&probe, GPA + page * PAGE, &value) == PROBE_DONE &&
		      value == page + 1 && WORD(page * PAGE) == page + 1, "page %llu",
		      (unsigned long long)page);
	CHECK(!madvise(memory, SIZE, MADV_DONTNEED));
	CHECK(probe_read(&probe, GPA, &value) == PROBE_DONE && value == 0);
	return PASS;
}

static enum ktap_result small_pages(void)
{
	return there_and_back(false);
}

static enum ktap_result huge_pages(void)
{
	return there_and_back(true);
}

/* What a region is already it stays; what it was made as can be changed as well. */
static enum ktap_result made_pinned(void)
{
	long before = locked();
	uint64_t calls;

	CHECK(!probe_open(&probe), "%s", mshv_error());
	memory = probe_memory(SIZE, false);
	probe_keep(&probe, memory, SIZE);
	CHECK(!mshv_region_add(probe.vm, GPA, memory, SIZE, MSHV_MEMORY_PINNED), "%s",
	      mshv_error());
	calls = probe_counter(&probe, HVABI_COUNT_CALL_MAP_GPA_PAGES);
	CHECK(!change(MSHV_MEMORY_PINNED), "%s", mshv_error());
	CHECK(kind_is("pinned") && locked() == before + (long)(SIZE >> 10));
	CHECK(!change(0) && !change(0), "%s", mshv_error());
	CHECK(kind_is("movable") && locked() == before);
	/* Taking it away was one call for each block or fewer, and twice the same is nothing. */
	calls = probe_counter(&probe, HVABI_COUNT_CALL_MAP_GPA_PAGES) - calls;
	CHECK(calls <= SIZE / BLOCK, "%llu calls", (unsigned long long)calls);
	CHECK(probe_write(&probe, GPA, 1) == PROBE_DONE && WORD(0) == 1);
	/* A descriptor that is closed gives back what is pinned. */
	CHECK(!change(MSHV_MEMORY_PINNED), "%s", mshv_error());
	probe_close(&probe);
	CHECK(locked() == before, "%ld KiB", locked());
	return PASS;
}

static enum ktap_result under_a_guest(void)
{
	CHECK(!stamper_open(&guest, RANGE, 0));
	CHECK(!stamper_fill(&guest) && !stamper_start(&guest));
	for (unsigned int round = 0; round < 10; round++) {
		CHECK(!change_guest(MSHV_MEMORY_PINNED), "%s", mshv_error());
		CHECK(!stamper_await(&guest, RANGE / PAGE / 4));
		CHECK(!change_guest(0), "%s", mshv_error());
		CHECK_PASS(moves(guest.memory, RANGE, round % 2));
		CHECK(!host_page_out(guest.memory, RANGE / 2), "%s", mshv_error());
		CHECK(!stamper_await(&guest, RANGE / PAGE / 4));
	}
	CHECK(!stamper_stop(&guest) && !stamper_check(&guest));
	return PASS;
}

static volatile bool stop;

/* Makes Linux put other pages in the place of the guest's, content kept, as often as it can. */
static void *replace(void *arg)
{
	unsigned int *seed = arg;

	while (!stop) {
		uint8_t *at = guest.memory + rand_r(seed) % (RANGE / BLOCK) * BLOCK;
		struct host_move move;
		pid_t pid;

		switch (rand_r(seed) % 5) {
		case 0:
			host_move(at, BLOCK, rand_r(seed) % 2, &move);
			break;
		case 1:
			host_page_out(at, BLOCK);
			break;
		case 2:
			madvise(at, BLOCK, rand_r(seed) % 2 ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
			break;
		case 3:
			madvise(at, BLOCK, MADV_COLLAPSE);
			break;
		default:
			/* Copies on write, on either side. */
			pid = fork();
			if (!pid)
				_exit(0);
			waitpid(pid, NULL, 0);
		}
	}
	return NULL;
}

static enum ktap_result under_everything(void)
{
	unsigned int seed = getenv("SEED") ? strtoul(getenv("SEED"), NULL, 0) : (unsigned int)time(NULL);
	unsigned int seeds = seed, changes = 0;
	enum ktap_result result = PASS;
	pthread_t thread;

	ktap_note("seed %u", seed);
	CHECK(!stamper_open(&guest, RANGE, 0));
	CHECK(!stamper_fill(&guest) && !stamper_start(&guest));
	stop = false;
	CHECK(!pthread_create(&thread, NULL, replace, &seeds));
	while (changes < 100 && result == PASS) {
		if (change_guest(MSHV_MEMORY_PINNED)) {
			ktap_note("%s", mshv_error());
			result = FAIL;
		}
		if (rand_r(&seed) % 4 == 0 && stamper_await(&guest, 64))
			result = FAIL;
		if (change_guest(0))
			result = FAIL;
		changes++;
	}
	stop = true;
	pthread_join(thread, NULL);
	CHECK(result == PASS, "%s", mshv_error());
	CHECK(!stamper_stop(&guest) && !stamper_check(&guest));
	return PASS;
}

/* What fails leaves a region that is movable, and right. */
static enum ktap_result still_movable(void)
{
	uint64_t value, pfn = probe_pfn(memory);

	CHECK(kind_is("movable"));
	CHECK(!madvise(memory, BLOCK, MADV_DONTNEED));
	CHECK(!pfn || !probe_reachable(pfn), "what Linux took away is reachable");
	CHECK(probe_read(&probe, GPA, &value) == PROBE_DONE && value == 0, "errno %d", probe.error);
	CHECK(probe_write(&probe, GPA, 1) == PROBE_DONE && WORD(0) == 1, "errno %d", probe.error);
	return PASS;
}

static enum ktap_result holes(void)
{
	long before = locked();

	CHECK_PASS(set_up(false));
	CHECK(!munmap(memory + BLOCK + 5 * PAGE, PAGE));
	CHECK(change(MSHV_MEMORY_PINNED) == -1 && errno == EFAULT, "%s", strerror(errno));
	CHECK(locked() == before, "%ld KiB", locked());
	CHECK_PASS(still_movable());
	return PASS;
}

/* The rights are those of the mapping, as for memory that is not pinned. */
static enum ktap_result rights(void)
{
	static const int lacking[] = { PROT_NONE, PROT_READ, PROT_WRITE };
	long before = locked();

	CHECK_PASS(set_up(false));
	for (unsigned int i = 0; i < 3; i++) {
		CHECK(!mprotect(memory + BLOCK, PAGE, lacking[i]));
		CHECK(change(MSHV_MEMORY_PINNED) == -1 && errno == EACCES, "%u: %s", i, strerror(errno));
		CHECK(locked() == before, "%ld KiB", locked());
	}
	CHECK(!mprotect(memory + BLOCK, PAGE, PROT_READ | PROT_WRITE));
	CHECK_PASS(still_movable());
	CHECK(!change(MSHV_MEMORY_PINNED), "%s", mshv_error());
	GUEST_WRITES(GPA + BLOCK, 1);
	/* And where another page is to be pinned in the place of one. */
	for (unsigned int i = 0; i < 3; i++) {
		uint64_t value;

		CHECK(!mprotect(memory + BLOCK, PAGE, PROT_READ | PROT_WRITE));
		CHECK(!madvise(memory + BLOCK, PAGE, MADV_DONTNEED));
		CHECK(!mprotect(memory + BLOCK, PAGE, lacking[i]));
		CHECK(probe_read(&probe, GPA + BLOCK, &value) == PROBE_ERROR && probe.error == EACCES,
		      "%u: errno %d", i, probe.error);
	}
	CHECK(!mprotect(memory + BLOCK, PAGE, PROT_READ | PROT_WRITE));
	GUEST_READS(GPA + BLOCK, 0);
	GUEST_WRITES(GPA + BLOCK, 1);
	CHECK(WORD(BLOCK) == 1);
	return PASS;
}

static enum ktap_result refused(void)
{
	long before = locked();

	CHECK_PASS(set_up(false));
	for (unsigned int at = 1; at <= 4; at++) {
		CHECK(!mshv_hypervisor_option(HVABI_OPTION_REFUSE_CALL_AT, at) &&
		      !mshv_hypervisor_option(HVABI_OPTION_REFUSE_CALL, HVABI_CALL_MAP_GPA_PAGES),
		      "%s", mshv_error());
		CHECK(change(MSHV_MEMORY_PINNED) == -1, "call %u was not refused", at);
		CHECK(!mshv_hypervisor_option(HVABI_OPTION_REFUSE_CALL, 0), "%s", mshv_error());
		CHECK(locked() == before, "%ld KiB", locked());
		CHECK_PASS(still_movable());
		/* So that nothing has to be taken away at the beginning of the next round. */
		CHECK(!madvise(memory, SIZE, MADV_DONTNEED));
	}
	CHECK(!mshv_hypervisor_option(HVABI_OPTION_REFUSE_MEMORY_EVERY, 2), "%s", mshv_error());
	CHECK(!mshv_hypervisor_option(HVABI_OPTION_PARTIAL_EVERY, 3), "%s", mshv_error());
	CHECK(!change(MSHV_MEMORY_PINNED), "memory is deposited: %s", mshv_error());
	CHECK(probe_write(&probe, GPA + SIZE - PAGE, 1) == PROBE_DONE);
	CHECK(!change(0), "%s", mshv_error());
	CHECK_PASS(still_movable());
	return PASS;
}

static enum ktap_result limit(void)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		struct rlimit half = { .rlim_cur = SIZE / 2, .rlim_max = SIZE / 2 };

		if (set_up(false) != PASS)
			_exit(1);
		/* Without CAP_IPC_LOCK from here on. */
		if (setrlimit(RLIMIT_MEMLOCK, &half) || setuid(65534))
			_exit(2);
		if (!change(MSHV_MEMORY_PINNED) || errno != ENOMEM)
			_exit(3);
		if (locked() != 0 || probe_write(&probe, GPA, 1) != PROBE_DONE)
			_exit(4);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0, "0x%x", status);
	return PASS;
}

/* A VMM that does nothing but make a pinned region. */
static pid_t begin_pinning(uint64_t size)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	memory = probe_memory(size, false);
	if (probe_open(&probe))
		_exit(1);
	_exit(mshv_region_add(probe.vm, GPA, memory, size, MSHV_MEMORY_PINNED) ? 2 : 3);
}

static bool forget_traces(void)
{
	int fd = open(TRACE "trace", O_WRONLY | O_TRUNC | O_CLOEXEC);

	return fd >= 0 && !close(fd);
}

/* What the driver said of the last pin. Returns false if it said nothing yet. */
static bool last_pin(uint64_t *pages, uint64_t *pinned, int *result)
{
	char line[1024];
	bool found = false;
	FILE *f = fopen(TRACE "trace", "re");
	const char *at;

	while (f && fgets(line, sizeof(line), f)) {
		at = strstr(line, " pin: partition=");
		if (at && sscanf(at, " pin: partition=%*u gfn=%*x pages=%" SCNu64 " pinned=%" SCNu64
				 " result=%d", pages, pinned, result) == 3)
			found = true;
	}
	if (f)
		fclose(f);
	return found;
}

static enum ktap_result killed(pid_t pid, int64_t lent)
{
	int status;

	CHECK(!kill(pid, SIGKILL));
	CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
	      "it had ended: 0x%x", status);
	CHECK(probe_lent() == lent, "%lld pages lent, before %lld", (long long)probe_lent(),
	      (long long)lent);
	return PASS;
}

/* Pinning takes as long as it takes Linux to find the memory, and mapping goes on from there. */
static enum ktap_result fatal_signal(void)
{
	const uint64_t large = 384ull << 20, slow = 64ull << 20;
	uint64_t pages = 0, pinned = 0;
	int64_t lent = probe_lent(), mapped;
	char status[64];
	int result = 0;
	pid_t pid;

	CHECK(forget_traces() && !host_write(PIN_EVENT "/enable", "1"), "%s",
	      strerror(errno));
	pid = begin_pinning(large);
	snprintf(status, sizeof(status), "/proc/%d/status", pid);
	while (probe_proc(status, "VmRSS") < 32 << 10 && !waitpid(pid, NULL, WNOHANG))
		;
	CHECK_PASS(killed(pid, lent));
	CHECK(last_pin(&pages, &pinned, &result), "no trace");
	ktap_note("%" PRIu64 " of %" PRIu64 " pages pinned when the signal came", pinned, pages);
	CHECK(result == -EINTR && pages == large / PAGE && pinned < pages, "%d", result);

	CHECK(forget_traces(), "%s", strerror(errno));
	CHECK(!mshv_hypervisor_option(HVABI_OPTION_PARTIAL_EVERY, 1) &&
	      !mshv_hypervisor_option(HVABI_OPTION_DELAY, 20000), "%s", mshv_error());
	mapped = probe_counted(HVABI_COUNT_REPS_MAP_GPA_PAGES);
	pid = begin_pinning(slow);
	while (!last_pin(&pages, &pinned, &result) && !waitpid(pid, NULL, WNOHANG))
		usleep(1000);
	CHECK_PASS(killed(pid, lent));
	mapped = probe_counted(HVABI_COUNT_REPS_MAP_GPA_PAGES) - mapped;
	ktap_note("%" PRId64 " of %" PRIu64 " pages mapped when the signal came", mapped, pages);
	CHECK(!result && pinned == pages && mapped < (int64_t)pages, "%d", result);
	return PASS;
}

/*
 * What the VMM discards or replaces at a pinned region's addresses, as for a balloon: guest and VMM go on seeing the same pages, and
 * what is there then is as pinned as what was.
 */
static enum ktap_result discarded(void)
{
	long before = locked();
	struct host_move move;
	uint64_t pfn;

	CHECK_PASS(set_up(false));
	CHECK(!change(MSHV_MEMORY_PINNED), "%s", mshv_error());
	for (uint64_t page = 0; page < SIZE / PAGE; page++)
		GUEST_WRITES(GPA + page * PAGE, page + 1);
	pfn = probe_pfn(memory + 5 * PAGE);
	CHECK(!madvise(memory + 5 * PAGE, 3 * PAGE, MADV_DONTNEED));
	CHECK(!probe_reachable(pfn), "the guest has a page that the VMM has given up");
	CHECK(mmap(memory + BLOCK, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS |
		   MAP_FIXED, -1, 0) != MAP_FAILED);
	WORD(5 * PAGE) = 1000;
	WORD(BLOCK) = 2000;
	GUEST_READS(GPA + 5 * PAGE, 1000);
	GUEST_READS(GPA + BLOCK, 2000);
	/* Whoever comes first: here it is the guest. */
	GUEST_WRITES(GPA + 6 * PAGE, 3000);
	CHECK(WORD(6 * PAGE) == 3000);
	GUEST_READS(GPA + 7 * PAGE, 0);
	for (uint64_t page = 8; page < SIZE / PAGE; page++)
		if (page != BLOCK / PAGE)
			GUEST_READS(GPA + page * PAGE, page + 1);
	pfn = probe_pfn(memory + 5 * PAGE);
	CHECK(!host_move(memory, SIZE, 0, &move) && !host_move(memory, SIZE, 1, &move));
	CHECK(probe_pfn(memory + 5 * PAGE) == pfn, "a new page is not pinned");
	GUEST_READS(GPA + 5 * PAGE, 1000);
	CHECK(kind_is("pinned") && locked() == before + (long)(SIZE >> 10), "%ld KiB", locked());
	/* Nothing is there: an error, and no more than that. */
	CHECK(!munmap(memory + BLOCK, PAGE));
	CHECK(probe_write(&probe, GPA + BLOCK, 1) == PROBE_ERROR && probe.error == EFAULT,
	      "errno %d", probe.error);
	CHECK(mmap(memory + BLOCK, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS |
		   MAP_FIXED, -1, 0) != MAP_FAILED);
	GUEST_WRITES(GPA + BLOCK, 1);
	CHECK(WORD(BLOCK) == 1);
	CHECK(!change(0), "%s", mshv_error());
	CHECK(locked() == before, "%ld KiB", locked());
	GUEST_READS(GPA + 6 * PAGE, 3000);
	return PASS;
}

static atomic_bool punching, punched;

static void *punch(void *file)
{
	int failed;

	punching = true;
	failed = fallocate(*(int *)file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, SIZE);
	punched = true;
	return failed ? strerror(errno) : NULL;
}

/*
 * The VMM discards memory (a file's, for which Linux needs no lock that pinning takes as well) while it is pinned. That has begun
 * when nothing is pinned yet: what is pinned then must not be what it is about to take away.
 */
static enum ktap_result discarded_meanwhile(void)
{
	int file = memfd_create("discarded", MFD_CLOEXEC);
	unsigned int together = 0;
	pthread_t thread;
	void *error;

	CHECK_PASS(set_up(false));
	CHECK(file >= 0 && !ftruncate(file, SIZE) &&
	      mmap(memory, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0) == memory, "%s",
	      strerror(errno));
	for (uint64_t round = 1; round <= 20 && together < 3; round++) {
		punching = punched = false;
		for (uint64_t at = 0; at < SIZE; at += PAGE)
			WORD(at) = round;
		GUEST_READS(GPA, round);
		/* It stays for a while where Linux has told the driver, and has not discarded anything. */
		CHECK(!mshv_hypervisor_option(HVABI_OPTION_DELAY, 3000000), "%s", mshv_error());
		CHECK(!pthread_create(&thread, NULL, punch, &file));
		while (!punching)
			usleep(1000);
		usleep(20000);
		CHECK(!mshv_hypervisor_option(HVABI_OPTION_DELAY, 0), "%s", mshv_error());
		together += !punched;
		CHECK(!change(MSHV_MEMORY_PINNED), "%s", mshv_error());
		pthread_join(thread, &error);
		CHECK(!error, "%s", (char *)error);
		for (uint64_t at = 0; at < SIZE; at += PAGE)
			WORD(at) = 100 * round + at;
		for (uint64_t at = 0; at < SIZE; at += PAGE)
			GUEST_READS(GPA + at, 100 * round + at);
		CHECK(!change(0), "%s", mshv_error());
	}
	close(file);
	CHECK(together, "it was never in progress when the pin began");
	return PASS;
}

/* Linux tries to move pinned pages and unmaps them for that. A device may be at work: they stay mapped. */
static enum ktap_result only_tried(void)
{
	struct host_move move;
	uint64_t busy = 0;

	CHECK_PASS(set_up(false));
	CHECK(!change(MSHV_MEMORY_PINNED), "%s", mshv_error());
	GUEST_WRITES(GPA, 1);
	for (unsigned int round = 0; round < 4; round++) {
		CHECK(!host_move(memory, SIZE, round % 2, &move));
		/* Some kernels say EBUSY, others nothing. */
		busy += move.busy + move.failed;
		GUEST_WRITES(GPA + round * PAGE, round);
	}
	CHECK(busy, "nothing was tried");
	CHECK(shown("pages-taken-away", "0"), "the guest lost pinned pages");
	return PASS;
}

/* ... a huge one as a whole, also when it is asked for before anybody has looked whether it is still there. */
static enum ktap_result only_tried_huge(void)
{
	struct host_move move;
	uint64_t busy = 0;

	CHECK_PASS(set_up(true));
	CHECK(!change(MSHV_MEMORY_PINNED), "%s", mshv_error());
	GUEST_WRITES(GPA, 1);
	for (unsigned int round = 0; round < 4; round++) {
		uint64_t taken = probe_maps_taken(&probe), gpa = GPA, size = SIZE;

		CHECK(!host_move(memory, PAGE, round % 2, &move));
		busy += move.busy + move.failed;
		CHECK(!mshv_prefault(probe.vm, &gpa, &size, 0), "%s", mshv_error());
		taken = probe_maps_taken(&probe) - taken;
		CHECK(!taken, "the guest lost %" PRIu64 " maps", taken);
		GUEST_WRITES(GPA + round * PAGE, round);
	}
	CHECK(busy, "nothing was tried");
	return PASS;
}

/* ... and what a balloon has given up between them stays with Linux. */
static enum ktap_result tried_around_a_hole(void)
{
	int file = memfd_create("tried", MFD_CLOEXEC);
	struct host_move move;
	struct stat before, after;
	uint64_t before_it = 0, behind_it = 0;

	CHECK_PASS(set_up(false));
	CHECK(file >= 0 && !ftruncate(file, SIZE) &&
	      mmap(memory, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0) == memory, "%s",
	      strerror(errno));
	CHECK(!change(MSHV_MEMORY_PINNED), "%s", mshv_error());
	CHECK(!fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 5 * PAGE, 100 * PAGE), "%s",
	      strerror(errno));
	CHECK(!fstat(file, &before));
	for (unsigned int round = 0; round < 4; round++) {
		/* It goes no further than to what is not there. */
		CHECK(!host_move(memory, 5 * PAGE, round % 2, &move));
		before_it += move.busy + move.failed;
		CHECK(!host_move(memory + 105 * PAGE, BLOCK - 105 * PAGE, round % 2, &move));
		behind_it += move.busy + move.failed;
		GUEST_WRITES(GPA + round * PAGE, round);
	}
	CHECK(before_it && behind_it, "nothing was tried");
	CHECK(!fstat(file, &after) && after.st_blocks == before.st_blocks, "%lld KiB came back",
	      (long long)(after.st_blocks - before.st_blocks) / 2);
	GUEST_WRITES(GPA + 5 * PAGE, 5);
	CHECK(!fstat(file, &after) && after.st_blocks == before.st_blocks + 8);
	close(file);
	return PASS;
}

static void ignore(int signal)
{
	(void)signal;
}

/* A memory error in a pinned page: nobody reaches it any more, and the guest is told. */
static enum ktap_result poisoned(void)
{
	uint64_t value, pfn;
	long before = locked();

	CHECK_PASS(set_up(false));
	CHECK(!change(MSHV_MEMORY_PINNED), "%s", mshv_error());
	GUEST_WRITES(GPA + 5 * PAGE, 5);
	GUEST_WRITES(GPA + 6 * PAGE, 6);
	pfn = probe_pfn(memory + 5 * PAGE);
	/* Linux tells the process; ignoring that would end it. */
	signal(SIGBUS, ignore);
	if (madvise(memory + 5 * PAGE, PAGE, 100 /* MADV_HWPOISON */))
		return ktap_skip("MADV_HWPOISON: %s", strerror(errno));
	CHECK(!probe_reachable(pfn), "the guest reaches the poisoned page");
	CHECK(probe_read(&probe, GPA + 5 * PAGE, &value) == PROBE_ERROR && probe.error == EHWPOISON,
	      "errno %d", probe.error);
	CHECK(probe_write(&probe, GPA + 5 * PAGE, 1) == PROBE_ERROR && probe.error == EHWPOISON,
	      "errno %d", probe.error);
	GUEST_READS(GPA + 6 * PAGE, 6);
	CHECK(!change(0), "%s", mshv_error());
	CHECK(locked() == before, "%ld KiB", locked());
	CHECK(probe_read(&probe, GPA + 5 * PAGE, &value) == PROBE_ERROR && probe.error == EHWPOISON,
	      "errno %d", probe.error);
	return PASS;
}

/*
 * Linux does not unmap a huge page that it cannot split, and a pinned one it cannot: it only tells the VMM. Who then discards
 * the page takes it from the guest.
 */
static enum ktap_result poisoned_huge(void)
{
	uint64_t pfn;

	CHECK_PASS(set_up(true));
	CHECK(!change(MSHV_MEMORY_PINNED), "%s", mshv_error());
	GUEST_WRITES(GPA + 5 * PAGE, 5);
	GUEST_WRITES(GPA + 6 * PAGE, 6);
	pfn = probe_pfn(memory + 5 * PAGE);
	signal(SIGBUS, ignore);
	if (madvise(memory + 5 * PAGE, PAGE, 100 /* MADV_HWPOISON */) && errno != EHWPOISON && errno != EBUSY)
		return ktap_skip("MADV_HWPOISON: %s", strerror(errno));
	CHECK(!madvise(memory + 5 * PAGE, PAGE, MADV_DONTNEED), "%s", strerror(errno));
	CHECK(!probe_reachable(pfn), "the guest reaches the poisoned page");
	GUEST_READS(GPA + 5 * PAGE, 0);
	GUEST_WRITES(GPA + 5 * PAGE, 7);
	CHECK(WORD(5 * PAGE) == 7);
	GUEST_READS(GPA + 6 * PAGE, 6);
	CHECK(!probe_reachable(pfn), "the guest reaches the poisoned page again");
	return PASS;
}

/* The limit is asked before anything is allocated, so that any size gets an answer and no warning of the kernel. */
static enum ktap_result huge_region(void)
{
	const uint64_t size = 8ull << 40;
	int64_t lent = probe_lent();
	int status;
	pid_t pid;

	pid = fork();
	if (!pid) {
		struct rlimit limit = { 1 << 20, 1 << 20 };
		void *large = mmap(NULL, size, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

		/* Without CAP_IPC_LOCK from the setuid() on. */
		if (large == MAP_FAILED || probe_open(&probe) || setrlimit(RLIMIT_MEMLOCK, &limit) ||
		    setuid(65534))
			_exit(1);
		_exit(mshv_region_add(probe.vm, 2 * GPA, large, size, MSHV_MEMORY_PINNED) == -1 &&
		      errno == ENOMEM ? 0 : 2);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0, "0x%x", status);
	CHECK(probe_lent() == lent);
	return PASS;
}

static enum ktap_result not_allowed(void)
{
	CHECK_PASS(set_up(false));
	CHECK(mshv_region_change(probe.vm, GPA + SIZE, memory, SIZE, MSHV_MEMORY_PINNED) == -1 &&
	      errno == ENOENT, "%s", strerror(errno));
	CHECK(mshv_region_change(probe.vm, GPA, memory, SIZE, MSHV_MEMORY_PINNED |
				 MSHV_MEMORY_READ_ONLY) == -1 && errno == EINVAL, "%s",
	      strerror(errno));
	CHECK_PASS(still_movable());
	probe_close(&probe);

	CHECK(!probe_open_isolated(&probe), "%s", mshv_error());
	memory = probe_memory(SIZE, false);
	probe_keep(&probe, memory, SIZE);
	CHECK(!mshv_region_add(probe.vm, GPA, memory, SIZE, MSHV_MEMORY_PINNED), "%s",
	      mshv_error());
	CHECK(change(0) == -1 && errno == EINVAL, "an isolated guest's memory became movable");
	CHECK(!mshv_region_remove(probe.vm, GPA, memory, SIZE), "%s", mshv_error());
	return PASS;
}

/* ---- several VMMs at once ---- */

#define CROWD		6
#define CROWD_SIZE	(4 * BLOCK)
#define CROWD_ROUNDS	20
/* Where pinned pages may stay, every second piece is taken: a huge page finds no place without compaction. */
#define PIECE		(16 * PAGE)
#define PIECES		1536
/* Huge pages, more than find a place there. */
#define LAST_ONES	24

/* A VMM that pins huge pages, of new memory each time: so Linux has to move them where they can stay. */
static void pin_in_a_crowd(void)
{
	uint8_t *own = probe_memory(CROWD_SIZE, true);
	struct probe guest_of_it;
	unsigned int round;

	if (probe_open(&guest_of_it) || mshv_region_add(guest_of_it.vm, GPA, own, CROWD_SIZE, 0))
		_exit(1);
	for (round = 0; round < CROWD_ROUNDS; round++) {
		memset(own, (int)round + 1, CROWD_SIZE);
		/* There may be no room for all at the same time. */
		if (mshv_region_change(guest_of_it.vm, GPA, own, CROWD_SIZE, MSHV_MEMORY_PINNED)) {
			if (errno != ENOMEM)
				_exit(2);
		} else if (mshv_region_change(guest_of_it.vm, GPA, own, CROWD_SIZE, 0)) {
			_exit(3);
		}
		if (own[CROWD_SIZE - 1] != round + 1 || madvise(own, CROWD_SIZE, MADV_DONTNEED))
			_exit(4);
	}
	_exit(0);
}

static enum ktap_result take_every_second_piece(void)
{
	uint64_t i;

	memory = probe_memory(PIECES * PIECE, false);
	CHECK(!probe_open(&probe), "%s", mshv_error());
	probe_keep(&probe, memory, PIECES * PIECE);
	for (i = 0; i < PIECES; i++)
		CHECK(!mshv_region_add(probe.vm, GPA + i * PIECE, memory + i * PIECE, PIECE,
				       MSHV_MEMORY_PINNED), "%s", mshv_error());
	for (i = 0; i < PIECES; i += 2)
		CHECK(!mshv_region_remove(probe.vm, GPA + i * PIECE, memory + i * PIECE, PIECE) &&
		      !madvise(memory + i * PIECE, PIECE, MADV_DONTNEED), "%s", strerror(errno));
	return PASS;
}

/* Pins huge pages that cannot stay where they are, more than find a place as they are; or what the VMM puts in their place. */
static void pin_huge_pages(bool in_place)
{
	uint8_t *own = probe_memory(LAST_ONES * BLOCK, true);
	uint64_t at, seen;
	struct probe alone;

	/* What is locked is on none of the lists that count. */
	if (probe_open(&alone) || mlockall(MCL_CURRENT | MCL_FUTURE) || mlock(own, LAST_ONES * BLOCK))
		_exit(1);
	for (at = 0; at < LAST_ONES * BLOCK; at += BLOCK) {
		if (mshv_region_add(alone.vm, GPA + at, own + at, BLOCK, MSHV_MEMORY_PINNED)) {
			printf("# huge page %u: %s; %" PRIu64 " pages could not be moved\n", (unsigned int)(at / BLOCK),
			       mshv_error(), host_stat("/proc/vmstat", "pgmigrate_fail"));
			fflush(stdout);
			_exit(2);
		}
		if (in_place && madvise(own + at, BLOCK, 24 /* MADV_DONTNEED_LOCKED */))
			_exit(3);
		memset(own + at, 7, BLOCK);
		if (probe_read(&alone, GPA + at, &seen) != PROBE_DONE || seen != 0x0707070707070707)
			_exit(4);
		/* Where they have moved to they are on the lists again. */
		if (munlock(own + at, BLOCK) || mlock(own + at, BLOCK))
			_exit(5);
	}
	_exit(0);
}

/* Waits for a process as long as it may take. What it waits for is said, and it is killed, if it does not end. */
static int status_of(pid_t pid)
{
	time_t deadline = time(NULL) + stamper_patience;
	int status = -1;

	while (pid > 0 && waitpid(pid, &status, WNOHANG) != pid && time(NULL) < deadline)
		usleep(20000);
	if (pid > 0 && status == -1) {
		probe_print_waits();
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	return status;
}

/* Whether a process that does so comes to an end, well. Its memory is of @node as long as there is some. */
static bool comes_to_an_end(unsigned int node, bool in_place)
{
	unsigned long nodes = 1ul << node;
	pid_t pid;
	int status;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		if (syscall(SYS_set_mempolicy, 1 /* MPOL_PREFERRED */, &nodes, 64ul))
			_exit(6);
		pin_huge_pages(in_place);
	}
	status = status_of(pid);
	if (status)
		ktap_note("node %u: ended with 0x%x", node, status);
	return !status;
}

/*
 * Linux moves a huge page for a pin: it takes it off its lists and looks for a place. Whoever compacts waits while much of what
 * was on a node's lists is off them. Where little was, a process would wait for itself.
 */
static enum ktap_result little_on_the_lists(void)
{
	unsigned int node;
	uint64_t i;

	CHECK_PASS(take_every_second_piece());
	/* What can be moved out of the way. */
	for (i = 1; i < PIECES; i += 2)
		CHECK(!mlock(memory + i * PIECE, PIECE) &&
		      !mshv_region_remove(probe.vm, GPA + i * PIECE, memory + i * PIECE, PIECE),
		      "%s", strerror(errno));
	for (node = 0; node < 2; node++) {
		CHECK(comes_to_an_end(node, false), "made pinned");
		CHECK(comes_to_an_end(node, true), "pinned in another's place");
	}
	return PASS;
}

/* None waits for another: each has pages off Linux's lists, and compaction waits for too many of those. */
static enum ktap_result crowd(void)
{
	pid_t vmm[CROWD], compactor;
	unsigned int i, ended = 0;
	uint64_t compacted = host_stat("/proc/vmstat", "compact_isolated");
	uint64_t migrated = host_stat("/proc/vmstat", "pgmigrate_success");
	bool good = true;
	time_t deadline;
	int status;

	CHECK_PASS(take_every_second_piece());
	fflush(stdout);
	compactor = fork();
	if (!compactor)
		for (;;)
			host_compact();
	for (i = 0; i < CROWD; i++) {
		vmm[i] = fork();
		if (!vmm[i])
			pin_in_a_crowd();
	}
	deadline = time(NULL) + stamper_patience;
	while (ended < CROWD && time(NULL) < deadline) {
		for (i = 0; i < CROWD; i++) {
			if (vmm[i] < 0 || waitpid(vmm[i], &status, WNOHANG) != vmm[i])
				continue;
			if (status)
				ktap_note("VMM %u: 0x%x", i, status);
			good = good && !status;
			vmm[i] = -1;
			ended++;
			deadline = time(NULL) + stamper_patience;
		}
		usleep(20000);
	}
	for (i = 0; i < CROWD; i++)
		if (vmm[i] > 0 && !kill(vmm[i], SIGKILL))
			waitpid(vmm[i], NULL, 0);
	kill(compactor, SIGKILL);
	waitpid(compactor, NULL, 0);
	compacted = host_stat("/proc/vmstat", "compact_isolated") - compacted;
	migrated = host_stat("/proc/vmstat", "pgmigrate_success") - migrated;
	ktap_note("%" PRIu64 " pages moved, %" PRIu64 " taken by compaction", migrated, compacted);
	CHECK(ended == CROWD, "%u of %u VMMs came to an end", ended, CROWD);
	CHECK(good);
	CHECK(migrated > CROWD_SIZE / PAGE, "nothing had to move: no ZONE_MOVABLE?");
	return PASS;
}

/* Linux has the file in huge pages; the first of them is mapped as such before it is pinned. */
static _Noreturn void pin_huge_pages_of(int file)
{
	uint64_t huge = host_stat("/proc/meminfo", "ShmemPmdMapped");
	uint8_t *all = probe_memory(3 * BLOCK, false);
	struct probe alone;
	uint64_t seen;

	if (probe_open(&alone) ||
	    mmap(all, 2 * BLOCK, PROT_READ, MAP_PRIVATE | MAP_FIXED, file, 0) == MAP_FAILED ||
	    *(volatile uint8_t *)all != 0x5a || host_stat("/proc/meminfo", "ShmemPmdMapped") <= huge)
		_exit(1);
	if (mshv_region_add(alone.vm, GPA, all, 2 * BLOCK, MSHV_MEMORY_PINNED | MSHV_MEMORY_READ_ONLY))
		_exit(2);
	if (probe_read(&alone, GPA + BLOCK, &seen) != PROBE_DONE || seen != 0x5a5a5a5a5a5a5a5a || all[BLOCK] != 0x5a)
		_exit(3);
	_exit(0);
}

static enum ktap_result huge_pages_of_a_file(void)
{
	uint64_t huge = host_stat("/proc/meminfo", "ShmemHugePages");
	int file, status;
	uint8_t *all;
	pid_t pid;

	mkdir("/tmp/huge", 0755);
	CHECK(!mount("none", "/tmp/huge", "tmpfs", 0, "huge=always"), "%s", strerror(errno));
	file = open("/tmp/huge/rom", O_RDWR | O_CREAT, 0644);
	CHECK(file >= 0 && !ftruncate(file, 2 * BLOCK), "%s", strerror(errno));
	all = mmap(NULL, 2 * BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	CHECK(all != MAP_FAILED, "%s", strerror(errno));
	memset(all, 0x5a, 2 * BLOCK);
	CHECK(host_stat("/proc/meminfo", "ShmemHugePages") > huge, "no huge pages");
	/* How often it is mapped is not counted. */
	munmap(all, 2 * BLOCK);
	fflush(stdout);
	pid = fork();
	if (!pid)
		pin_huge_pages_of(file);
	status = status_of(pid);
	close(file);
	umount("/tmp/huge");
	CHECK(!status, "0x%x", status);
	return PASS;
}

/* A VMM at its cgroup's limit, whose other memory has to go to swap, has a ROM: the pages of @file, which nobody may write. */
static _Noreturn void pin_a_rom(int file)
{
	const uint64_t all = 2 * ROM_SIZE;
	uint8_t *rom, *rest = probe_memory(all, false);
	struct probe alone;
	char text[32];

	if (group_enter(GROUP) || probe_open(&alone))
		_exit(1);
	rom = mmap(NULL, ROM_SIZE, PROT_READ, MAP_PRIVATE, file, 0);
	if (rom == MAP_FAILED)
		_exit(2);
	memset(rest, 1, all);
	/* What else the process has been charged for is little. */
	snprintf(text, sizeof(text), "%llu", (unsigned long long)(all + 8 * BLOCK));
	if (host_write(GROUP "/memory.max", text))
		_exit(3);
	if (mshv_region_add(alone.vm, GPA, rom, ROM_SIZE, MSHV_MEMORY_PINNED | MSHV_MEMORY_READ_ONLY))
		_exit(4);
	_exit(0);
}

/*
 * To pin what nobody may write Linux copies the pages of a private mapping. That may need other memory to be swapped out, which
 * must be allowed then.
 */
static enum ktap_result rom_at_a_limit(void)
{
	uint64_t out = host_stat("/proc/vmstat", "pswpout");
	int file = memfd_create("rom", 0), status;
	uint8_t *all;
	pid_t pid;

	CHECK(file >= 0 && !ftruncate(file, ROM_SIZE), "%s", strerror(errno));
	all = mmap(NULL, ROM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	CHECK(all != MAP_FAILED, "%s", strerror(errno));
	memset(all, 0x5a, ROM_SIZE);
	CHECK_PASS(group_need(GROUP));
	group_leave();
	fflush(stdout);
	pid = fork();
	if (!pid)
		pin_a_rom(file);
	status = status_of(pid);
	CHECK(!status, "0x%x", status);
	out = host_stat("/proc/vmstat", "pswpout") - out;
	CHECK(out >= (ROM_SIZE - 8 * BLOCK) / PAGE, "%" PRIu64 " pages swapped out", out);
	munmap(all, ROM_SIZE);
	close(file);
	rmdir(GROUP);
	return PASS;
}

/* Pages in a pipe; and what Linux had failed to move before. */
struct held { int pipe; uint64_t failed; };

/* Lets go of them as soon as Linux has failed to move so many. */
static void *let_go(void *arg)
{
	static uint8_t page[PAGE];
	time_t deadline = time(NULL) + stamper_patience;
	struct held *held = arg;
	unsigned int i;

	while (host_stat("/proc/vmstat", "pgmigrate_fail") < held->failed + HELD && time(NULL) < deadline)
		usleep(1000);
	for (i = 0; i < HELD; i++)
		if (read(held->pipe, page, PAGE) != (ssize_t)PAGE)
			return held;
	return NULL;
}

/* A page in use elsewhere for a moment cannot move for as long: that is no want of memory. */
static enum ktap_result held_for_a_moment(void)
{
	pthread_t thread;
	struct held held;
	void *result;
	int ends[2];
	bool pinned;

	memory = probe_memory(BLOCK, false);
	CHECK(!probe_open(&probe), "%s", mshv_error());
	probe_keep(&probe, memory, BLOCK);
	memset(memory, 0x5a, BLOCK);
	CHECK(!pipe(ends), "%s", strerror(errno));
	for (uint64_t i = 0; i < HELD; i++) {
		struct iovec iov = { .iov_base = memory + 7 * i * PAGE, .iov_len = PAGE };

		CHECK(vmsplice(ends[1], &iov, 1, 0) == (ssize_t)PAGE, "%s", strerror(errno));
	}
	held = (struct held){ .pipe = ends[0], .failed = host_stat("/proc/vmstat", "pgmigrate_fail") };
	CHECK(!pthread_create(&thread, NULL, let_go, &held));
	pinned = !mshv_region_add(probe.vm, GPA, memory, BLOCK, MSHV_MEMORY_PINNED);
	CHECK(!pthread_join(thread, &result) && !result);
	close(ends[0]);
	close(ends[1]);
	CHECK(pinned, "%s", mshv_error());
	CHECK(host_stat("/proc/vmstat", "pgmigrate_fail") >= held.failed + HELD, "nothing had to move: no ZONE_MOVABLE?");
	return PASS;
}

int main(int argc, char **argv)
{
	static const struct ktap_test at_once[] = {
		{ "pages that are held for a moment", held_for_a_moment },
		{ "what nobody may write, at a cgroup's limit", rom_at_a_limit },
		{ "pinned where little is on Linux's lists", little_on_the_lists },
		{ "several VMMs pin at once", crowd },
	};
	static const struct ktap_test tests[] = {
		{ "pinned and back", small_pages },
		{ "pinned and back, huge pages", huge_pages },
		{ "made pinned, movable later", made_pinned },
		{ "under a guest at work", under_a_guest },
		{ "while Linux puts other pages there", under_everything },
		{ "a hole cannot be pinned", holes },
		{ "rights are those of the mapping", rights },
		{ "refused by the hypervisor", refused },
		{ "more than may be locked", limit },
		{ "what is not allowed", not_allowed },
		{ "what the VMM discards", discarded },
		{ "pages that Linux tries to move stay mapped", only_tried },
		{ "huge pages that Linux tries to move stay mapped", only_tried_huge },
		{ "what a balloon has given up stays so when Linux tries to move the rest", tried_around_a_hole },
		{ "what the VMM discards while it is pinned", discarded_meanwhile },
		{ "a poisoned page", poisoned },
		{ "a poisoned page of a huge one", poisoned_huge },
		{ "a region of 8 TiB beyond the limit", huge_region },
		{ "huge pages of a file that nobody may write", huge_pages_of_a_file },
		{ "a fatal signal ends it", fatal_signal },
	};

	ktap_cleanup = tear_down;
	if (argc > 1 && !strcmp(argv[1], "crowd"))
		return KTAP_RUN(at_once);
	return KTAP_RUN(tests);
}
