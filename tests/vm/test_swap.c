// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guest memory that is swapped, migrated and merged: laws 1, 4 and 5, case 1. Wants swap on a block device (zram hides a lost
 * write: it keeps the page) and is honest about it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <hvabi/memory.h>

#include <host.h>

#include "ktap.h"
#include "probe.h"

#define GPA	(1ull << 30)
#define SIZE	(8 * BLOCK)
#define MPOL_MF_MOVE 2

static struct probe probe;
static uint8_t *memory;

static void tear_down(void)
{
	probe_close(&probe);
	memory = NULL;
}

static enum ktap_result set_up(bool huge)
{
	memory = probe_open_with(&probe, GPA, SIZE, huge);
	CHECK(memory, "%s", mshv_error());
	return PASS;
}

static void forget_swap_cache(void)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);

	if (fd >= 0 && write(fd, "3", 1) != 1)
		perror("drop_caches");
	close(fd);
}

/*
 * To swap, all of it. The first attempt may only take it off the list of recently used pages; and
 * pages wait in lists of the other processor, where reclaim does not see them, until somebody drains
 * those, as dropping caches does.
 */
static bool page_out(uint8_t *start, uint64_t size)
{
	uint64_t offset;
	int i;

	for (i = 0; i < 100; i++) {
		bool all = true;

		if (i % 8 == 7)
			forget_swap_cache();

		if (madvise(start, size, MADV_PAGEOUT))
			return false;
		for (offset = 0; offset < size; offset += PAGE)
			all = all && probe_swapped(start + offset);
		if (all)
			return true;
		usleep(20000);
	}
	return false;
}

static enum ktap_result no_swap(void)
{
	if (probe_proc("/proc/meminfo", "SwapTotal") > 0)
		return PASS;
	return ktap_skip("no swap");
}

static enum ktap_result out_and_in(void)
{
	uint64_t offset;

	CHECK_PASS(no_swap());
	CHECK_PASS(set_up(false));
	for (offset = 0; offset < SIZE; offset += PAGE)
		GUEST_WRITES(GPA + offset, offset + 1);
	CHECK(page_out(memory, SIZE));
	for (offset = 0; offset < SIZE; offset += PAGE)
		GUEST_READS(GPA + offset, offset + 1);
	return PASS;
}

/*
 * Case 1: the VMM reads a swapped page, so Linux has it writable and clean, with a good copy on the disk. The guest writes. Linux
 * swaps it out again: whoever forgot the write gets the old copy back.
 */
static enum ktap_result write_to_clean_page(void)
{
	uint64_t offset, sum = 0;
	unsigned int round;

	CHECK_PASS(no_swap());
	CHECK_PASS(set_up(false));
	for (offset = 0; offset < BLOCK; offset += PAGE)
		GUEST_WRITES(GPA + offset, 1);
	for (round = 2; round < 6; round++) {
		CHECK(page_out(memory, BLOCK), "round %u", round);
		for (offset = 0; offset < BLOCK; offset += PAGE)
			sum += WORD(offset);
		/* Half of the pages: the guest reads first, so that they are mapped when it writes. */
		for (offset = 0; offset < BLOCK; offset += 2 * PAGE)
			GUEST_READS(GPA + offset, round - 1);
		for (offset = 0; offset < BLOCK; offset += PAGE)
			GUEST_WRITES(GPA + offset, round);
		CHECK(page_out(memory, BLOCK), "round %u", round);
		forget_swap_cache();
		for (offset = 0; offset < BLOCK; offset += PAGE)
			CHECK(WORD(offset) == round, "offset 0x%llx: %llu, not %u",
			      (unsigned long long)offset, (unsigned long long)WORD(offset), round);
	}
	CHECK(sum == 512 * (1 + 2 + 3 + 4));
	return PASS;
}

/* The same with shared memory, which Linux keeps clean after a read fault. */
static enum ktap_result write_to_clean_shmem(void)
{
	unsigned int round;
	uint64_t offset;

	CHECK_PASS(no_swap());
	CHECK(!probe_open(&probe), "%s", mshv_error());
	memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(memory != MAP_FAILED);
	probe_keep(&probe, memory, SIZE);
	CHECK(!mshv_region_add(probe.vm, GPA, memory, SIZE, 0), "%s", mshv_error());
	for (offset = 0; offset < BLOCK; offset += PAGE)
		GUEST_READS(GPA + offset, 0);
	for (round = 1; round < 4; round++) {
		for (offset = 0; offset < BLOCK; offset += PAGE)
			GUEST_WRITES(GPA + offset, round);
		/* A shared page may leave the page table without being swapped: the end is what counts. */
		madvise(memory, BLOCK, MADV_PAGEOUT);
		usleep(100000);
		madvise(memory, BLOCK, MADV_PAGEOUT);
		for (offset = 0; offset < BLOCK; offset += PAGE)
			CHECK(WORD(offset) == round, "offset 0x%llx: %llu, not %u",
			      (unsigned long long)offset, (unsigned long long)WORD(offset), round);
		madvise(memory, BLOCK, MADV_PAGEOUT);
		for (offset = 0; offset < BLOCK; offset += 2 * PAGE)
			GUEST_READS(GPA + offset, round);
	}
	return PASS;
}

static enum ktap_result swapped_huge(void)
{
	uint64_t offset;

	CHECK_PASS(no_swap());
	CHECK_PASS(set_up(true));
	for (offset = 0; offset < SIZE; offset += PAGE)
		GUEST_WRITES(GPA + offset, offset + 1);
	CHECK(page_out(memory, BLOCK));
	CHECK(!madvise(memory + 2 * BLOCK + 9 * PAGE, PAGE, MADV_PAGEOUT));
	for (offset = 0; offset < SIZE; offset += PAGE)
		GUEST_READS(GPA + offset, offset + 1);
	return PASS;
}

/* After swap-out no page of the guest is reachable through the hypervisor. */
static enum ktap_result gone_when_out(void)
{
	static uint64_t pfns[512];
	unsigned int i;

	CHECK_PASS(no_swap());
	CHECK_PASS(set_up(false));
	for (i = 0; i < 512; i++) {
		GUEST_WRITES(GPA + i * PAGE, i);
		pfns[i] = probe_pfn(memory + i * PAGE);
		CHECK(pfns[i] && probe_reachable(pfns[i]));
	}
	CHECK(page_out(memory, BLOCK));
	for (i = 0; i < 512; i++)
		CHECK(!probe_reachable(pfns[i]), "page %u", i);
	return PASS;
}

static enum ktap_result migrated(void)
{
	static void *pages[512];
	static int nodes[512], status[512];
	unsigned int i, round, moved, changed = 0;
	uint64_t pfn;

	CHECK_PASS(set_up(false));
	for (i = 0; i < 512; i++) {
		GUEST_WRITES(GPA + i * PAGE, i);
		pages[i] = memory + i * PAGE;
	}
	for (round = 0; round < 4; round++) {
		pfn = probe_pfn(memory);
		for (i = 0; i < 512; i++)
			nodes[i] = !(round & 1);
		if (syscall(SYS_move_pages, 0, 512, pages, nodes, status, MPOL_MF_MOVE) < 0)
			return ktap_skip("move_pages: %s", strerror(errno));
		for (i = moved = 0; i < 512; i++)
			moved += status[i] == nodes[i];
		if (!moved && status[0] == -ENODEV)
			return ktap_skip("one node");
		CHECK(moved == 512, "%u of 512, first %d", moved, status[0]);
		/* One that was on that node already stays where it is: automatic balancing may have brought it there. */
		changed += probe_pfn(memory) != pfn;
		CHECK(probe_pfn(memory) == pfn || !probe_reachable(pfn), "round %u: the old page 0x%llx, now 0x%llx",
		      round, (unsigned long long)pfn, (unsigned long long)probe_pfn(memory));
		for (i = 0; i < 512; i++)
			GUEST_READS(GPA + i * PAGE, i + (round ? 1000 * round : 0));
		for (i = 0; i < 512; i++)
			GUEST_WRITES(GPA + i * PAGE, i + 1000 * (round + 1));
	}
	CHECK(changed, "the first page was never anywhere else");
	return PASS;
}

static long read_number(const char *path)
{
	char text[32] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		return -1;
	close(fd);
	return strtol(text, NULL, 10);
}

/* Case 2: a guest that reads merged pages leaves them merged; one that writes gets its own. */
static enum ktap_result merged(void)
{
	static uint64_t pfns[512];
	unsigned int i, same = 0;

	if (host_write("/sys/kernel/mm/ksm/pages_to_scan", "10000") ||
	    host_write("/sys/kernel/mm/ksm/sleep_millisecs", "10") ||
	    host_write("/sys/kernel/mm/ksm/run", "1"))
		return ktap_skip("no KSM");
	CHECK_PASS(set_up(false));
	for (i = 0; i < 512; i++)
		GUEST_WRITES(GPA + i * PAGE, 0x5a5a);
	CHECK(!madvise(memory, SIZE, MADV_MERGEABLE));
	for (i = 0; i < 200 && read_number("/sys/kernel/mm/ksm/pages_sharing") < 500; i++)
		usleep(100000);
	CHECK(read_number("/sys/kernel/mm/ksm/pages_sharing") >= 500, "%ld",
	      read_number("/sys/kernel/mm/ksm/pages_sharing"));
	host_write("/sys/kernel/mm/ksm/run", "0");
	for (i = 0; i < 512; i++)
		pfns[i] = probe_pfn(memory + i * PAGE);
	for (i = 0; i < 512; i++)
		GUEST_READS(GPA + i * PAGE, 0x5a5a);
	for (i = 0; i < 512; i++)
		same += probe_pfn(memory + i * PAGE) == pfns[i];
	CHECK(same == 512, "reading broke the sharing of %u pages", 512 - same);
	GUEST_WRITES(GPA + 7 * PAGE, 1);
	CHECK(probe_pfn(memory + 7 * PAGE) != pfns[7]);
	GUEST_READS(GPA + 8 * PAGE, 0x5a5a);
	CHECK(WORD(7 * PAGE) == 1 && WORD(8 * PAGE) == 0x5a5a);
	host_write("/sys/kernel/mm/ksm/run", "2");
	GUEST_READS(GPA + 8 * PAGE, 0x5a5a);
	return PASS;
}

int main(void)
{
	static const struct ktap_test tests[] = {
		{ "out and in", out_and_in },
		{ "a write to a clean page is not lost", write_to_clean_page },
		{ "a write to clean shared memory is not lost", write_to_clean_shmem },
		{ "huge pages out and in", swapped_huge },
		{ "what is swapped out nobody reaches", gone_when_out },
		{ "pages migrate between nodes", migrated },
		{ "merged pages stay merged until written", merged },
	};

	ktap_cleanup = tear_down;
	return KTAP_RUN(tests);
}
