// SPDX-License-Identifier: GPL-2.0-only
/*
 * Cases known from experience (docs/testing.md), measured with whichever driver is loaded: one figure a case, on a line
 * of its own. This driver has to have each right. What another one has not is told, and is no failure: it is that
 * driver's answer, which docs/porting.md quotes.
 *
 * Nothing here is asked of the driver but what Linux's interface has. Counts of the hypervisor come through the raw-call
 * module, around the driver. Cases that make another driver warn are left out there unless the argument is "all";
 * those that need a hypervisor that refuses are in test_misbehave.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <host.h>
#include <hvabi/debug.h>
#include <hvabi/hypercall.h>

#include "ktap.h"
#include "probe.h"
#include "raw.h"

#define GPA	(1ull << 30)

typedef unsigned long long ull;

static struct probe probe;
static uint8_t *memory;
static bool ours, all_cases;
static int rawcall = -1;

static void tear_down(void)
{
	probe_close(&probe);
	memory = NULL;
}

static enum ktap_result set_up(uint64_t size, bool huge)
{
	memory = probe_open_with(&probe, GPA, size, huge);
	CHECK(memory, "%s", mshv_error());
	return PASS;
}

/* The figure of a case. */
#define SAYS(right, ...) \
	do { \
		bool right_ = (right); \
		printf("# %s: ", right_ ? "right" : "not right"); \
		printf(__VA_ARGS__); \
		printf("\n"); \
		return right_ || !ours ? PASS : FAIL; \
	} while (0)

static enum ktap_result quiet(void)
{
	return ours || all_cases ? PASS : ktap_skip("makes that driver warn; by hand: ./test_cases all");
}

/* A counter of the parent and all its children, since the machine is up. */
static uint64_t counted(unsigned int counter)
{
	uint64_t counters[HVABI_COUNT_MAX];

	if (raw_counters(rawcall, counters)) {
		printf("Bail out! the hypervisor does not count\n");
		exit(1);
	}
	return counters[counter];
}

static bool page_out(uint8_t *start, uint64_t size)
{
	uint64_t offset;
	unsigned int i;

	for (i = 0; i < 100; i++) {
		bool all = true;

		if (i % 8 == 7)
			host_write("/proc/sys/vm/drop_caches", "3");
		if (madvise(start, size, MADV_PAGEOUT))
			return false;
		for (offset = 0; offset < size && all; offset += PAGE)
			all = probe_swapped(start + offset);
		if (all)
			return true;
		usleep(20000);
	}
	return false;
}

static enum ktap_result lost_writes(void)
{
	const uint64_t size = 32ull << 20;
	unsigned int lost = 0, sum = 0;
	uint64_t offset;

	if (probe_proc("/proc/meminfo", "SwapTotal") <= 0)
		return ktap_skip("no swap");
	CHECK_PASS(set_up(size, false));
	for (offset = 0; offset < size; offset += PAGE)
		WORD(offset) = 1;
	CHECK(page_out(memory, size), "not swapped out");
	for (offset = 0; offset < size; offset += PAGE)
		sum += WORD(offset);
	CHECK(sum == size / PAGE, "%u", sum);
	for (offset = 0; offset < size; offset += PAGE)
		GUEST_WRITES(GPA + offset, 2);
	CHECK(page_out(memory, size), "not swapped out");
	host_write("/proc/sys/vm/drop_caches", "3");
	for (offset = 0; offset < size; offset += PAGE)
		lost += WORD(offset) != 2;
	SAYS(!lost, "guest writes lost to swap after the VMM had read the pages: %u of %llu", lost, (ull)(size / PAGE));
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

#define MERGED	4096

/* Pages that lie where another one lies, too. KSM's own count is only right when it has looked again. */
static unsigned int pages_saved(void)
{
	static uint64_t frames[MERGED];
	unsigned int i, saved = 0;

	if (host_page_frames(memory, sizeof(frames) / sizeof(frames[0]) * PAGE, frames))
		return 0;
	qsort(frames, MERGED, sizeof(frames[0]), by_value);
	for (i = 1; i < MERGED; i++)
		saved += frames[i] && frames[i] == frames[i - 1];
	return saved;
}

static enum ktap_result merged_pages(void)
{
	unsigned int before, after, i;

	if (host_write("/sys/kernel/mm/ksm/pages_to_scan", "10000") ||
	    host_write("/sys/kernel/mm/ksm/sleep_millisecs", "10") || host_write("/sys/kernel/mm/ksm/run", "1"))
		return ktap_skip("no KSM");
	CHECK_PASS(set_up(MERGED * PAGE, false));
	for (i = 0; i < MERGED; i++)
		WORD(i * PAGE) = 0x5a5a;
	CHECK(!madvise(memory, MERGED * PAGE, MADV_MERGEABLE));
	for (i = 0; i < 300 && pages_saved() < MERGED - 64; i++)
		usleep(100000);
	/* What is merged from now on would hide what is not. */
	host_write("/sys/kernel/mm/ksm/run", "0");
	before = pages_saved();
	CHECK(before >= MERGED - 64, "merged: %u of %u", before, MERGED);
	for (i = 0; i < MERGED; i++)
		GUEST_READS(GPA + i * PAGE, 0x5a5a);
	after = pages_saved();
	SAYS(after == before, "pages saved by merging, after the guest has read them: %u of %u", after, before);
}

static enum ktap_result read_only_mapping(void)
{
	enum probe_outcome outcome;
	uint64_t value;

	CHECK_PASS(quiet());
	CHECK(!probe_open(&probe), "%s", mshv_error());
	memory = probe_memory(BLOCK, false);
	probe_keep(&probe, memory, BLOCK);
	WORD(0) = 0x77;
	CHECK(!mprotect(memory, BLOCK, PROT_READ), "%s", strerror(errno));
	CHECK(!mshv_region_add(probe.vm, GPA, memory, BLOCK, MSHV_MEMORY_READ_ONLY), "%s", mshv_error());
	outcome = probe_read(&probe, GPA, &value);
	SAYS(outcome == PROBE_DONE && value == 0x77, "the guest reads a read-only mapping: %s",
	     outcome == PROBE_DONE ? "done" : "refused");
}

static enum ktap_result one_touch(void)
{
	const unsigned int touches = 128;
	long before, grown;
	unsigned int i;

	CHECK_PASS(set_up(touches * BLOCK, false));
	GUEST_WRITES(GPA, 1);
	before = probe_proc("/proc/self/status", "VmRSS");
	for (i = 1; i < touches; i++)
		GUEST_WRITES(GPA + i * BLOCK, i);
	grown = probe_proc("/proc/self/status", "VmRSS") - before;
	SAYS(grown < touches * 16, "memory for %u touches, one per 2 MiB: %ld KiB", touches - 1, grown);
}

static enum ktap_result split_huge_pages(void)
{
	const unsigned int blocks = 64;
	unsigned int i, differ = 0;
	long huge;

	CHECK_PASS(set_up(blocks * BLOCK, true));
	for (i = 0; i < blocks; i++)
		WORD(i * BLOCK) = i + 1;
	huge = probe_proc("/proc/self/smaps_rollup", "AnonHugePages");
	CHECK(huge >= (long)(blocks / 2 * BLOCK / 1024), "%ld KiB of huge pages", huge);
	for (i = 0; i < blocks; i++) {
		WORD(i * BLOCK + 5 * PAGE) = 0xdead;
		GUEST_READS(GPA + i * BLOCK, i + 1);
	}
	for (i = 0; i < blocks; i++) {
		uint64_t value;

		CHECK(!madvise(memory + i * BLOCK + 5 * PAGE, PAGE, MADV_DONTNEED), "%s", strerror(errno));
		WORD(i * BLOCK + 5 * PAGE) = 0x600d;
		CHECK(probe_read(&probe, GPA + i * BLOCK + 5 * PAGE, &value) == PROBE_DONE, "errno %d", probe.error);
		differ += value != 0x600d;
	}
	SAYS(!differ, "huge pages of which 4 KiB were discarded, where guest and VMM now differ: %u of %u", differ, blocks);
}

static enum ktap_result unaligned_region(void)
{
	const unsigned int blocks = 32;
	const uint64_t size = blocks * BLOCK - 2 * PAGE;
	uint64_t offset, large;

	CHECK(!probe_open(&probe), "%s", mshv_error());
	memory = probe_memory(blocks * BLOCK, true);
	probe_keep(&probe, memory, blocks * BLOCK);
	memset(memory, 1, blocks * BLOCK);
	CHECK(!mshv_region_add(probe.vm, GPA + PAGE, memory + PAGE, size, 0), "%s", mshv_error());
	large = counted(HVABI_COUNT_MAP_2M);
	for (offset = BLOCK; offset < size; offset += BLOCK)
		GUEST_READS(GPA + offset, 0x0101010101010101ull);
	large = counted(HVABI_COUNT_MAP_2M) - large;
	SAYS(large >= blocks - 2, "large maps in a region of %u huge pages that begins 4 KiB behind: %llu", blocks,
	     (ull)large);
}

static enum ktap_result hole(void)
{
	enum probe_outcome outcome;
	uint64_t value;

	CHECK_PASS(quiet());
	CHECK_PASS(set_up(BLOCK, false));
	WORD(100 * PAGE) = 0x77;
	CHECK(!munmap(memory + 200 * PAGE, PAGE), "%s", strerror(errno));
	outcome = probe_read(&probe, GPA + 100 * PAGE, &value);
	SAYS(outcome == PROBE_DONE && value == 0x77, "the guest reads a page 100 pages below a hole: %s",
	     outcome == PROBE_DONE ? "done" : "refused");
}

static enum ktap_result creation(void)
{
	const uint64_t size = 1ull << 30;
	uint64_t calls;

	CHECK(!probe_open(&probe), "%s", mshv_error());
	probe_keep(&probe, probe_memory(size, false), size);
	calls = counted(HVABI_COUNT_CALL_MAP_GPA_PAGES);
	CHECK(!mshv_region_add(probe.vm, GPA, probe.memory, size, 0), "%s", mshv_error());
	calls = counted(HVABI_COUNT_CALL_MAP_GPA_PAGES) - calls;
	SAYS(!calls, "map calls to make a region of 1 GiB: %llu", (ull)calls);
}

static unsigned int dirty_pages(uint64_t pages, enum mshv_access_op op)
{
	static uint8_t bitmap[512 / 8];
	unsigned int i, count = 0;

	if (mshv_access_bitmap(probe.vm, GPA / PAGE, pages, MSHV_DIRTY, op, bitmap))
		return ~0u;
	for (i = 0; i < pages; i++)
		count += bitmap[i / 8] >> i % 8 & 1;
	return count;
}

static enum ktap_result plain_query(void)
{
	unsigned int first, second;
	uint64_t offset;

	CHECK_PASS(set_up(BLOCK, false));
	for (offset = 0; offset < BLOCK; offset += PAGE)
		GUEST_WRITES(GPA + offset, 1);
	CHECK(!mshv_track_access(probe.vm, true), "%s", mshv_error());
	CHECK(dirty_pages(512, MSHV_ACCESS_CLEAR) != ~0u, "%s", mshv_error());
	first = dirty_pages(512, MSHV_ACCESS_KEEP);
	second = dirty_pages(512, MSHV_ACCESS_KEEP);
	CHECK(first != ~0u && second != ~0u, "%s", mshv_error());
	SAYS(!first && !second, "dirty pages that two plain queries find, after all were cleared: %u, then %u", first,
	     second);
}

int main(int argc, char **argv)
{
	static const struct ktap_test tests[] = {
		{ "1: a write to a clean page", lost_writes },
		{ "2: a guest that reads merged pages", merged_pages },
		{ "2: a read-only mapping", read_only_mapping },
		{ "3: one touch per 2 MiB", one_touch },
		{ "4: huge pages that Linux has split", split_huge_pages },
		{ "5: an unaligned region", unaligned_region },
		{ "10: a hole in a region", hole },
		{ "16: cost of a region", creation },
		{ "19: a plain query of dirty bits", plain_query },
	};

	all_cases = argc > 1 && !strcmp(argv[1], "all");
	ours = !access("/sys/module/mshv_movable", F_OK);
	rawcall = raw_open();
	if (rawcall < 0) {
		printf("Bail out! mshv_rawcall.ko: %s\n", strerror(errno));
		return 1;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("# driver: %s\n", ours ? "mshv_movable" : "another");
	ktap_cleanup = tear_down;
	return KTAP_RUN(tests);
}
