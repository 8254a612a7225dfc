// SPDX-License-Identifier: GPL-2.0-only
/*
 * Regions and their pages: what a guest sees while Linux changes the memory behind its back.
 * Laws 1, 4, 5, 6, 8, 10 and 11 of the driver, one probe at a time.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <host.h>
#include <hvabi/memory.h>
#include <uapi/mshv.h>

#include "ktap.h"
#include "probe.h"

#define GPA	(1ull << 30)
#define SIZE	(8 * BLOCK)

static struct probe probe;
static uint8_t *memory;

/* A guest with one region of SIZE bytes at GPA. */
static enum ktap_result set_up(bool huge)
{
	memory = probe_open_with(&probe, GPA, SIZE, huge);
	CHECK(memory, "%s", mshv_error());
	return PASS;
}

static void tear_down(void)
{
	probe_close(&probe);
	memory = NULL;
}

/* Nobody reaches the page with this number through the hypervisor. */
static bool reachable(uint64_t pfn, uint32_t *rights)
{
	struct hvabi_output_debug_who_can_reach answer;

	if (mshv_who_can_reach(NULL, pfn, &answer))
		return true;
	if (rights)
		*rights = answer.found ? answer.reach[0].rights : 0;
	return answer.found;
}

static enum ktap_result see_each_other(void)
{
	CHECK_PASS(set_up(false));
	GUEST_WRITES(GPA + 0x1008, 0x1111);
	CHECK(WORD(0x1008) == 0x1111, "0x%llx", (unsigned long long)WORD(0x1008));
	WORD(0x1010) = 0x2222;
	GUEST_READS(GPA + 0x1010, 0x2222);
	GUEST_READS(GPA + SIZE - 8, 0);
	return PASS;
}

static enum ktap_result read_allocates_nothing(void)
{
	uint32_t rights;
	uint64_t pfn;
	long before;
	unsigned int i;

	CHECK_PASS(set_up(false));
	before = probe_proc("/proc/self/status", "RssAnon");
	for (i = 0; i < 512; i++)
		GUEST_READS(GPA + i * PAGE, 0);
	CHECK(probe_proc("/proc/self/status", "RssAnon") <= before + 64, "%ld, before %ld KiB",
	      probe_proc("/proc/self/status", "RssAnon"), before);
	GUEST_WRITES(GPA + 3 * PAGE, 7);
	CHECK(WORD(3 * PAGE) == 7);
	CHECK(WORD(4 * PAGE) == 0);
	pfn = probe_pfn(memory + 3 * PAGE);
	CHECK(pfn && reachable(pfn, &rights) && rights & HVABI_MAP_GPA_WRITABLE);
	/* The zero page is shared by everybody: read-only for ever. */
	pfn = probe_pfn(memory + 5 * PAGE);
	if (pfn) {
		CHECK(reachable(pfn, &rights));
		CHECK(!(rights & HVABI_MAP_GPA_WRITABLE), "rights 0x%x", rights);
	}
	return PASS;
}

static enum ktap_result one_touch_one_page(void)
{
	long before, after;

	CHECK_PASS(set_up(false));
	before = probe_proc("/proc/self/status", "RssAnon");
	GUEST_WRITES(GPA + 2 * BLOCK + 100 * PAGE, 1);
	GUEST_WRITES(GPA + 5 * BLOCK + 300 * PAGE, 1);
	after = probe_proc("/proc/self/status", "RssAnon");
	/* Two pages, and page tables are not counted here; the counter is exact only to some pages. */
	CHECK(after - before <= 2 * 4 + 256, "%ld KiB more", after - before);
	CHECK(!probe_pfn(memory + 2 * BLOCK + 99 * PAGE));
	CHECK(!probe_pfn(memory + 2 * BLOCK + 101 * PAGE));
	return PASS;
}

static enum ktap_result sequential_window(void)
{
	uint64_t faults;
	unsigned int i;

	CHECK_PASS(set_up(false));
	faults = probe_counter(&probe, HVABI_COUNT_EXIT_NPF_UNMAPPED) +
		 probe_counter(&probe, HVABI_COUNT_EXIT_NPF_ACCESS);
	for (i = 0; i < 1024; i++)
		GUEST_WRITES(GPA + i * PAGE, i);
	faults = probe_counter(&probe, HVABI_COUNT_EXIT_NPF_UNMAPPED) +
		 probe_counter(&probe, HVABI_COUNT_EXIT_NPF_ACCESS) - faults;
	ktap_note("%llu faults for 1024 pages in sequence", (unsigned long long)faults);
	CHECK(faults <= 24, "%llu", (unsigned long long)faults);
	for (i = 0; i < 1024; i++)
		CHECK(WORD(i * PAGE) == i);
	return PASS;
}

static enum ktap_result huge_page(void)
{
	uint64_t large;

	CHECK_PASS(set_up(true));
	large = probe_counter(&probe, HVABI_COUNT_MAP_2M);
	GUEST_WRITES(GPA + BLOCK, 1);
	if (!probe_pfn(memory + 2 * BLOCK - PAGE))
		return ktap_skip("Linux had no huge page to give");
	CHECK(probe_counter(&probe, HVABI_COUNT_MAP_2M) == large + 1);
	GUEST_WRITES(GPA + 2 * BLOCK - 8, 2);
	/* Linux splits the entry, and has another page in the middle: so has the guest (case 4). */
	WORD(BLOCK + 5 * PAGE) = 0xdead;
	CHECK(!madvise(memory + BLOCK + 5 * PAGE, PAGE, MADV_DONTNEED));
	WORD(BLOCK + 5 * PAGE + 8) = 0x600d;
	GUEST_READS(GPA + BLOCK + 5 * PAGE, 0);
	GUEST_READS(GPA + BLOCK + 5 * PAGE + 8, 0x600d);
	GUEST_READS(GPA + BLOCK, 1);
	GUEST_READS(GPA + 2 * BLOCK - 8, 2);
	GUEST_WRITES(GPA + BLOCK + 5 * PAGE, 9);
	CHECK(WORD(BLOCK + 5 * PAGE) == 9);
	return PASS;
}

static enum ktap_result taken_away(void)
{
	uint64_t pfn;

	CHECK_PASS(set_up(false));
	GUEST_WRITES(GPA, 1);
	pfn = probe_pfn(memory);
	CHECK(pfn && reachable(pfn, NULL));
	CHECK(!madvise(memory, PAGE, MADV_DONTNEED));
	CHECK(!reachable(pfn, NULL));
	GUEST_READS(GPA, 0);

	GUEST_WRITES(GPA + BLOCK, 2);
	pfn = probe_pfn(memory + BLOCK);
	CHECK(pfn && reachable(pfn, NULL));
	CHECK(!munmap(memory + BLOCK, BLOCK));
	CHECK(!reachable(pfn, NULL));
	return PASS;
}

static enum ktap_result hole(void)
{
	uint64_t value;

	CHECK_PASS(set_up(false));
	CHECK(!munmap(memory + BLOCK, PAGE));
	CHECK(probe_read(&probe, GPA + BLOCK, &value) == PROBE_ERROR && probe.error == EFAULT,
	      "errno %d", probe.error);
	CHECK(probe.message.header.message_type == HVABI_MSG_UNMAPPED_GPA ||
	      probe.message.header.message_type == HVABI_MSG_GPA_INTERCEPT, "the message comes along");
	GUEST_WRITES(GPA + BLOCK + PAGE, 3);
	/* Something comes back there: the guest goes on. */
	CHECK(mmap(memory + BLOCK, PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == memory + BLOCK);
	WORD(BLOCK) = 0x77;
	GUEST_READS(GPA + BLOCK, 0x77);
	return PASS;
}

static enum ktap_result protected(void)
{
	uint64_t value;

	CHECK_PASS(set_up(false));
	GUEST_WRITES(GPA, 5);
	CHECK(!mprotect(memory, PAGE, PROT_READ));
	GUEST_READS(GPA, 5);
	CHECK(probe_write(&probe, GPA, 6) == PROBE_ERROR && probe.error == EACCES, "errno %d",
	      probe.error);
	CHECK(WORD(0) == 5);
	CHECK(!mprotect(memory, PAGE, PROT_NONE));
	CHECK(probe_read(&probe, GPA, &value) == PROBE_ERROR && probe.error == EACCES, "errno %d",
	      probe.error);
	CHECK(!mprotect(memory, PAGE, PROT_READ | PROT_WRITE));
	GUEST_WRITES(GPA, 6);
	CHECK(WORD(0) == 6);
	return PASS;
}

static enum ktap_result read_only_region(void)
{
	uint8_t *extra = probe_memory(BLOCK, false);
	uint64_t value;

	CHECK_PASS(set_up(false));
	CHECK(!mshv_region_add(probe.vm, GPA + SIZE, extra, BLOCK, MSHV_MEMORY_READ_ONLY), "%s",
	      mshv_error());
	*(uint64_t *)extra = 0x99;
	GUEST_READS(GPA + SIZE, 0x99);
	/* Writing there is the VMM's business (flash, for example). */
	CHECK(probe_write(&probe, GPA + SIZE, 1) == PROBE_VMM, "errno %d", probe.error);
	CHECK(probe.message.header.message_type == HVABI_MSG_GPA_INTERCEPT);
	CHECK(*(uint64_t *)extra == 0x99);
	/* Read-only in the VMM as well: reading is enough. */
	CHECK(!mprotect(extra, BLOCK, PROT_READ));
	CHECK(probe_read(&probe, GPA + SIZE, &value) == PROBE_DONE && value == 0x99, "errno %d",
	      probe.error);
	return PASS;
}

/* GFN and HVA not congruent, both ends in the middle of a block. */
static enum ktap_result unaligned(void)
{
	const uint64_t gpa = (2ull << 30) + 5 * PAGE, size = 3 * BLOCK + 17 * PAGE;
	uint8_t *host = probe_memory(size + PAGE, true) + PAGE;
	uint64_t offset;

	CHECK_PASS(set_up(false));
	CHECK(!mshv_region_add(probe.vm, gpa, host, size, 0), "%s", mshv_error());
	for (offset = 0; offset < size; offset += 7 * PAGE)
		GUEST_WRITES(gpa + offset, offset + 1);
	for (offset = 0; offset < size; offset += 7 * PAGE)
		CHECK(*(uint64_t *)(host + offset) == offset + 1, "offset 0x%llx",
		      (unsigned long long)offset);
	CHECK(!madvise(host + BLOCK - PAGE, PAGE, MADV_DONTNEED) ||
	      !madvise(host + BLOCK - 2 * PAGE, PAGE, MADV_DONTNEED));
	CHECK(!mshv_region_remove(probe.vm, gpa, host, size), "%s", mshv_error());
	CHECK(probe_read(&probe, gpa, &offset) == PROBE_VMM);
	CHECK(probe_read(&probe, gpa + size - PAGE, &offset) == PROBE_VMM);
	return PASS;
}

/* Two regions share a block: taking one away must not touch the other. */
static enum ktap_result shared_block(void)
{
	const uint64_t gpa = 3ull << 30;
	uint8_t *a = probe_memory(BLOCK, false), *b = probe_memory(BLOCK, false);
	uint64_t value;

	CHECK_PASS(set_up(false));
	CHECK(!mshv_region_add(probe.vm, gpa, a, 100 * PAGE, 0), "%s", mshv_error());
	CHECK(!mshv_region_add(probe.vm, gpa + 100 * PAGE, b, BLOCK - 100 * PAGE, 0), "%s",
	      mshv_error());
	GUEST_WRITES(gpa + 99 * PAGE, 1);
	GUEST_WRITES(gpa + 100 * PAGE, 2);
	CHECK(!mshv_region_remove(probe.vm, gpa, a, 100 * PAGE), "%s", mshv_error());
	CHECK(probe_read(&probe, gpa + 99 * PAGE, &value) == PROBE_VMM);
	GUEST_READS(gpa + 100 * PAGE, 2);
	CHECK(reachable(probe_pfn(b), NULL));
	CHECK(!reachable(probe_pfn(a + 99 * PAGE), NULL));
	return PASS;
}

static enum ktap_result remove_and_replace(void)
{
	uint8_t *other = probe_memory(SIZE, false);
	uint64_t value, pfn;

	CHECK_PASS(set_up(false));
	GUEST_WRITES(GPA, 1);
	GUEST_WRITES(GPA + 3 * BLOCK, 1);
	pfn = probe_pfn(memory);
	CHECK(!mshv_region_remove(probe.vm, GPA, memory, SIZE), "%s", mshv_error());
	CHECK(!reachable(pfn, NULL));
	CHECK(probe_read(&probe, GPA, &value) == PROBE_VMM);
	CHECK(probe.message.header.message_type == HVABI_MSG_UNMAPPED_GPA, "0x%x",
	      probe.message.header.message_type);
	*(uint64_t *)other = 0xabc;
	CHECK(!mshv_region_add(probe.vm, GPA, other, SIZE, 0), "%s", mshv_error());
	GUEST_READS(GPA, 0xabc);
	GUEST_READS(GPA + 3 * BLOCK, 0);
	CHECK(WORD(0) == 1);
	return PASS;
}

static enum ktap_result forked(void)
{
	int status;
	pid_t pid;

	CHECK_PASS(set_up(false));
	GUEST_WRITES(GPA, 1);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		struct mshv_user_mem_region region = { .size = PAGE, .guest_pfn = 0,
			.userspace_addr = (uintptr_t)memory, .flags = 1 };

		/* The child's copy is its own, and the partition is not. */
		WORD(0) = 2;
		_exit(ioctl(mshv_vm_fd(probe.vm), MSHV_SET_GUEST_MEMORY, &region) == -1 &&
		      errno == EPERM && WORD(0) == 2 ? 0 : 1);
	}
	GUEST_WRITES(GPA, 3);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0, "status 0x%x", status);
	CHECK(WORD(0) == 3);
	GUEST_READS(GPA, 3);
	return PASS;
}

static enum ktap_result moved(void)
{
	uint8_t *to = mmap(NULL, BLOCK, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t value;

	CHECK_PASS(set_up(false));
	GUEST_WRITES(GPA, 1);
	CHECK(mremap(memory, BLOCK, BLOCK, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
	CHECK(probe_read(&probe, GPA, &value) == PROBE_ERROR && probe.error == EFAULT, "errno %d",
	      probe.error);
	CHECK(*(uint64_t *)to == 1);
	munmap(to, BLOCK);
	return PASS;
}

static enum ktap_result shared_file(void)
{
	int fd = memfd_create("guest", MFD_CLOEXEC);
	uint64_t value;

	CHECK(fd >= 0 && !ftruncate(fd, SIZE));
	CHECK(!probe_open(&probe), "%s", mshv_error());
	memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(memory != MAP_FAILED);
	probe_keep(&probe, memory, SIZE);
	CHECK(!mshv_region_add(probe.vm, GPA, memory, SIZE, 0), "%s", mshv_error());
	GUEST_READS(GPA + PAGE, 0);
	GUEST_WRITES(GPA + PAGE, 0x123);
	CHECK(pread(fd, &value, 8, PAGE) == 8 && value == 0x123);
	value = 0x456;
	CHECK(pwrite(fd, &value, 8, PAGE) == 8);
	GUEST_READS(GPA + PAGE, 0x456);
	CHECK(!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, BLOCK));
	GUEST_READS(GPA + PAGE, 0);
	/* The file ends here: SIGBUS for a program, an error for a guest. */
	CHECK(!ftruncate(fd, BLOCK));
	CHECK(probe_read(&probe, GPA + BLOCK, &value) == PROBE_ERROR && probe.error == EFAULT,
	      "errno %d", probe.error);
	close(fd);
	return PASS;
}

static enum ktap_result pinned(void)
{
	long locked = probe_proc("/proc/self/status", "VmLck");
	uint64_t pfn;

	CHECK(!probe_open(&probe), "%s", mshv_error());
	memory = probe_memory(SIZE, true);
	probe_keep(&probe, memory, SIZE);
	CHECK(!mshv_region_add(probe.vm, GPA, memory, SIZE, MSHV_MEMORY_PINNED), "%s",
	      mshv_error());
	CHECK(probe_proc("/proc/self/status", "VmLck") == locked + (long)(SIZE >> 10), "%ld KiB",
	      probe_proc("/proc/self/status", "VmLck"));
	pfn = probe_pfn(memory);
	CHECK(pfn && reachable(pfn, NULL));
	GUEST_WRITES(GPA, 1);
	CHECK(WORD(0) == 1);
	/* Linux cannot move it, so the guest keeps it (pin: what the VMM discards). */
	host_page_out(memory, BLOCK);
	CHECK(probe_pfn(memory) == pfn);
	GUEST_READS(GPA, 1);
	CHECK(reachable(pfn, NULL));
	CHECK(!mshv_region_remove(probe.vm, GPA, memory, SIZE), "%s", mshv_error());
	CHECK(!reachable(pfn, NULL));
	CHECK(probe_proc("/proc/self/status", "VmLck") == locked, "%ld KiB",
	      probe_proc("/proc/self/status", "VmLck"));
	return PASS;
}

static uint64_t map_calls(void)
{
	return probe_counter(&probe, HVABI_COUNT_CALL_MAP_GPA_PAGES);
}

/* Linux takes a block away piece by piece. The last piece makes it blank, and what comes after costs nothing. */
static enum ktap_result emptied(void)
{
	uint64_t calls, page, pieces = 0;
	const uint64_t piece = 32;

	CHECK_PASS(set_up(false));
	for (page = 0; page < BLOCK / PAGE; page++)
		GUEST_WRITES(GPA + page * PAGE, page);
	calls = map_calls();
	for (page = 0; page < BLOCK / PAGE; page += piece, pieces++)
		CHECK(!madvise(memory + page * PAGE, piece * PAGE, MADV_DONTNEED));
	calls = map_calls() - calls;
	CHECK(calls == pieces, "%llu calls for %llu pieces", (unsigned long long)calls,
	      (unsigned long long)pieces);
	calls = map_calls();
	for (page = 0; page < BLOCK / PAGE; page += piece) {
		WORD(page * PAGE) = 1;
		CHECK(!madvise(memory + page * PAGE, piece * PAGE, MADV_DONTNEED));
	}
	CHECK(map_calls() == calls, "%llu calls for nothing",
	      (unsigned long long)(map_calls() - calls));
	/* One page there: what Linux takes beside it costs nothing either. */
	GUEST_WRITES(GPA + 100 * PAGE, 1);
	calls = map_calls();
	CHECK(!madvise(memory, 100 * PAGE, MADV_DONTNEED));
	CHECK(!madvise(memory + 101 * PAGE, 100 * PAGE, MADV_DONTNEED));
	CHECK(map_calls() == calls);
	GUEST_READS(GPA + 100 * PAGE, 1);
	return PASS;
}

static atomic_bool replacing;
static atomic_uint replaced;

static void *replace_again(void *arg)
{
	uint8_t *other = arg;

	while (replacing) {
		if (mshv_region_replace(probe.vm, GPA, other, SIZE, 0))
			return (void *)mshv_error();
		usleep(300);
		if (mshv_region_replace(probe.vm, GPA, memory, SIZE / 2, 0) ||
		    mshv_region_replace(probe.vm, GPA, memory, SIZE, MSHV_MEMORY_READ_ONLY))
			return (void *)mshv_error();
		usleep(300);
		replaced++;
	}
	return NULL;
}

/* Another address, size, kind and rights, in one step: a running guest finds the old or the new, and never a hole. */
static enum ktap_result replace(void)
{
	uint8_t *other = probe_memory(SIZE, false);
	uint64_t value, seen[2] = { };
	pthread_t thread;
	void *error;

	CHECK_PASS(set_up(false));
	WORD(0) = 1;
	*(volatile uint64_t *)other = 2;
	GUEST_READS(GPA, 1);
	CHECK(!mshv_region_replace(probe.vm, GPA, other, SIZE, 0), "%s", mshv_error());
	GUEST_READS(GPA, 2);
	CHECK(!probe_reachable(probe_pfn(memory)));
	/* Smaller, larger; read-only; pinned and back. */
	CHECK(!mshv_region_replace(probe.vm, GPA, other, BLOCK, 0), "%s", mshv_error());
	CHECK(probe_write(&probe, GPA + BLOCK, 1) == PROBE_VMM);
	CHECK(!mshv_region_replace(probe.vm, GPA, other, SIZE, MSHV_MEMORY_READ_ONLY), "%s",
	      mshv_error());
	GUEST_READS(GPA + BLOCK, 0);
	CHECK(probe_write(&probe, GPA, 1) == PROBE_VMM);
	CHECK(!mshv_region_replace(probe.vm, GPA, other, BLOCK, MSHV_MEMORY_PINNED), "%s",
	      mshv_error());
	CHECK(!mshv_region_replace(probe.vm, GPA, memory, BLOCK, MSHV_MEMORY_PINNED), "%s",
	      mshv_error());
	GUEST_WRITES(GPA, 3);
	CHECK(WORD(0) == 3);

	/* What is refused changes nothing. */
	CHECK(!mshv_region_add(probe.vm, GPA + SIZE, other, BLOCK, 0), "%s", mshv_error());
	CHECK(mshv_region_replace(probe.vm, GPA, other, SIZE + PAGE, 0) == -1 && errno == EEXIST);
	CHECK(mshv_region_replace(probe.vm, GPA + PAGE, other, PAGE, 0) == -1 && errno == ENOENT);
	CHECK(mshv_region_replace(probe.vm, 2 * GPA, other, PAGE, 0) == -1 && errno == ENOENT);
	CHECK(!mprotect(other + BLOCK, BLOCK, PROT_NONE));
	CHECK(mshv_region_replace(probe.vm, GPA, other, 2 * BLOCK, MSHV_MEMORY_PINNED) == -1 &&
	      errno == EACCES, "%s", strerror(errno));
	/* A device does not fault: what was pinned is all mapped again. */
	for (uint64_t at = 0; at < BLOCK; at += PAGE)
		CHECK(probe_reachable(probe_pfn(memory + at)), "page 0x%llx", (unsigned long long)at);
	/* But for what the VMM has discarded, which nobody may have. */
	CHECK(!mshv_region_remove(probe.vm, GPA + SIZE, other, BLOCK), "%s", mshv_error());
	CHECK(!mshv_region_replace(probe.vm, GPA, memory, SIZE, MSHV_MEMORY_PINNED), "%s", mshv_error());
	CHECK(!madvise(memory, PAGE, MADV_DONTNEED) && !mprotect(memory, PAGE, PROT_NONE));
	CHECK(mshv_region_replace(probe.vm, GPA, other, 2 * BLOCK, MSHV_MEMORY_PINNED) == -1 &&
	      errno == EACCES, "%s", strerror(errno));
	CHECK(!mprotect(memory, PAGE, PROT_READ | PROT_WRITE));
	/* A mapping that is split takes its 2 MiB along (docs/driver.md, Limits). */
	for (uint64_t at = BLOCK; at < SIZE; at += PAGE)
		CHECK(probe_reachable(probe_pfn(memory + at)), "page 0x%llx", (unsigned long long)at);
	GUEST_WRITES(GPA, 3);
	CHECK(!mshv_region_replace(probe.vm, GPA, memory, BLOCK, MSHV_MEMORY_PINNED), "%s", mshv_error());
	CHECK(!mshv_region_add(probe.vm, GPA + SIZE, other, BLOCK, 0), "%s", mshv_error());
	CHECK(!mprotect(other + BLOCK, BLOCK, PROT_READ | PROT_WRITE));
	GUEST_READS(GPA, 3);
	CHECK(probe_write(&probe, GPA + BLOCK, 1) == PROBE_VMM);

	CHECK(!mshv_region_replace(probe.vm, GPA, memory, SIZE, 0), "%s", mshv_error());
	replacing = true;
	replaced = 0;
	CHECK(!pthread_create(&thread, NULL, replace_again, other));
	/* Until both were met, and to an end. */
	while (replaced < 20000 && (replaced < 300 || !seen[0] || !seen[1])) {
		CHECK(probe_read(&probe, GPA, &value) == PROBE_DONE && (value == 3 || value == 2),
		      "a hole: message 0x%x, errno %d", probe.message.header.message_type,
		      probe.error);
		seen[value == 2]++;
	}
	replacing = false;
	pthread_join(thread, &error);
	CHECK(!error, "%s", (char *)error);
	CHECK(seen[0] && seen[1], "%llu and %llu", (unsigned long long)seen[0],
	      (unsigned long long)seen[1]);
	munmap(other, SIZE);
	return PASS;
}

static enum ktap_result create_costs_nothing(void)
{
	uint64_t calls, size = 1ull << 40;
	long rss;
	void *large = mmap(NULL, size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	CHECK(large != MAP_FAILED);
	CHECK_PASS(set_up(false));
	calls = probe_counter(&probe, HVABI_COUNT_CALL_MAP_GPA_PAGES) +
		probe_counter(&probe, HVABI_COUNT_CALL_UNMAP_GPA_PAGES);
	rss = probe_proc("/proc/self/status", "VmRSS");
	CHECK(!mshv_region_add(probe.vm, 1ull << 41, large, size, 0), "%s", mshv_error());
	CHECK(!mshv_region_remove(probe.vm, 1ull << 41, large, size), "%s", mshv_error());
	calls = probe_counter(&probe, HVABI_COUNT_CALL_MAP_GPA_PAGES) +
		probe_counter(&probe, HVABI_COUNT_CALL_UNMAP_GPA_PAGES) - calls;
	CHECK(calls == 0, "%llu calls", (unsigned long long)calls);
	CHECK(probe_proc("/proc/self/status", "VmRSS") <= rss + 512);
	munmap(large, size);
	return PASS;
}

int main(void)
{
	static const struct ktap_test tests[] = {
		{ "guest and VMM see each other's writes", see_each_other },
		{ "a guest that reads allocates nothing", read_allocates_nothing },
		{ "one touch costs one page", one_touch_one_page },
		{ "a guest in sequence earns a growing window", sequential_window },
		{ "huge page: one map, and Linux may split it", huge_page },
		{ "what Linux takes away nobody reaches", taken_away },
		{ "a hole is an error with the message", hole },
		{ "rights of the VMM's mapping hold for the guest", protected },
		{ "read-only region", read_only_region },
		{ "unaligned region", unaligned },
		{ "two regions in one block", shared_block },
		{ "remove a region, another in its place", remove_and_replace },
		{ "fork: copies are copies", forked },
		{ "mremap takes the pages away", moved },
		{ "shared file", shared_file },
		{ "pinned region", pinned },
		{ "a block emptied piece by piece costs nothing more", emptied },
		{ "replaced in one step", replace },
		{ "a region of 1 TiB costs no hypercall", create_costs_nothing },
	};

	ktap_cleanup = tear_down;
	return KTAP_RUN(tests);
}
