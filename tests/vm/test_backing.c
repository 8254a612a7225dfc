// SPDX-License-Identifier: GPL-2.0-only
/*
 * What guest memory may be made of. Each kind is mapped into the range of a guest at work (stamper.h), so every test also shows a
 * region over several mappings; single accesses (probe.h) show what one page does.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <host.h>
#include <hvabi/vp.h>

#include "ktap.h"
#include "probe.h"
#include "stamper.h"

#define GPA		(1ull << 30)
#define SIZE		(4 * BLOCK)	/* of a probe's region */
#define RANGE		(8 * BLOCK)	/* of a guest at work */
#define GIB		(1ull << 30)
#define DISK		"/mnt/disk"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE		25
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ	22
#define MADV_POPULATE_WRITE	23
#endif
#define THP "/sys/kernel/mm/transparent_hugepage/"

static struct stamper guest;
static struct probe probe;
static uint8_t *memory;		/* the probe's region */
static int file = -1;
static void *window;		/* another look at the file */
static uint64_t window_size;

static void tear_down(void)
{
	stamper_close(&guest);
	probe_close(&probe);
	if (window)
		munmap(window, window_size);
	if (file >= 0)
		close(file);
	memory = NULL;
	window = NULL;
	file = -1;
	mshv_hypervisor_option(HVABI_OPTION_REFUSE_MEMORY_AT, 0);
	mshv_hypervisor_option(HVABI_OPTION_REFUSE_MEMORY_EVERY, 0);
}

static bool shell(const char *command)
{
	int status = system(command);

	if (status)
		ktap_note("%s: status 0x%x", command, status);
	return status == 0;
}

/* A block file system, once. */
static enum ktap_result disk(void)
{
	static bool mounted;

	if (!mounted && (!shell("modprobe loop && modprobe ext4") ||
			 !shell("mkdir -p " DISK " && truncate -s 64M /tmp/image &&"
				" losetup /dev/loop0 /tmp/image &&"
				" mke2fs -b 4096 /dev/loop0 >/dev/null &&"
				" mount -t ext4 /dev/loop0 " DISK)))
		return ktap_skip("no ext4 on a loop device");
	mounted = true;
	return PASS;
}

static enum ktap_result open_file(const char *path, uint64_t size)
{
	file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	CHECK(file >= 0, "%s: %s", path, strerror(errno));
	CHECK(!unlink(path) && !ftruncate(file, size), "%s", strerror(errno));
	return PASS;
}

static enum ktap_result open_memfd(uint64_t size, unsigned int flags)
{
	file = syscall(SYS_memfd_create, "guest", flags);
	CHECK(file >= 0, "%s", strerror(errno));
	CHECK(!ftruncate(file, size), "%s", strerror(errno));
	return PASS;
}

/* A guest at work on @file. */
static enum ktap_result work_on_file(int flags)
{
	CHECK(!stamper_open(&guest, RANGE, 0));
	CHECK(mmap(guest.memory, RANGE, PROT_READ | PROT_WRITE, flags | MAP_FIXED, file, 0) ==
	      guest.memory, "%s", strerror(errno));
	CHECK(!stamper_fill(&guest));
	CHECK(!stamper_start(&guest));
	return PASS;
}

/* A probe's region over @file. */
static enum ktap_result probe_file(int flags, int protection, unsigned int region_flags)
{
	CHECK(!probe_open(&probe), "%s", mshv_error());
	memory = mmap(NULL, SIZE, protection, flags, file, 0);
	CHECK(memory != MAP_FAILED, "%s", strerror(errno));
	probe_keep(&probe, memory, SIZE);
	CHECK(!mshv_region_add(probe.vm, GPA, memory, SIZE, region_flags), "%s", mshv_error());
	return PASS;
}

static enum ktap_result probe_anonymous(bool huge)
{
	memory = probe_open_with(&probe, GPA, SIZE, huge);
	CHECK(memory, "%s", mshv_error());
	return PASS;
}

/* The guest has stopped: the file has what it wrote, page for page. */
static enum ktap_result file_is_right(void)
{
	static uint8_t page[PAGE];
	uint64_t i;

	for (i = 0; i < RANGE / PAGE; i++) {
		CHECK(pread(file, page, PAGE, i * PAGE) == (ssize_t)PAGE, "%s", strerror(errno));
		CHECK(stamper_right(&guest, page, i));
	}
	return PASS;
}

/* Shared memory moves from node to node, to swap and back. */
static enum ktap_result shared_memory(void)
{
	struct host_move move;
	unsigned int round;

	CHECK_PASS(work_on_file(MAP_SHARED));
	for (round = 0; round < 6; round++) {
		if (host_nodes() > 1)
			CHECK(!host_move(guest.memory, RANGE, !(round & 1), &move), "%s", mshv_error());
		CHECK(!host_page_out(guest.memory + round % 4 * BLOCK, BLOCK), "%s", mshv_error());
		CHECK(!stamper_await(&guest, RANGE / PAGE / 4));
	}
	CHECK(!stamper_stop(&guest));
	return file_is_right();
}

static enum ktap_result memfd(void)
{
	CHECK_PASS(open_memfd(RANGE, 0));
	return shared_memory();
}

static enum ktap_result tmpfs_shared(void)
{
	CHECK_PASS(open_file("/tmp/guest", RANGE));
	return shared_memory();
}

/*
 * Write-back makes pages clean and read-only behind the guest's back, over and over; the guest's next write has to make
 * them dirty again. In the end the disk is what counts.
 */
static enum ktap_result ext4_shared(void)
{
	uint64_t written = host_stat("/proc/vmstat", "nr_written");
	unsigned int round;

	CHECK_PASS(disk());
	CHECK_PASS(open_file(DISK "/guest", RANGE));
	CHECK_PASS(work_on_file(MAP_SHARED));
	for (round = 0; round < 8; round++) {
		CHECK(!fdatasync(file), "%s", strerror(errno));
		if (round & 1)
			CHECK(!msync(guest.memory, RANGE, MS_SYNC), "%s", strerror(errno));
		CHECK(!stamper_await(&guest, RANGE / PAGE / 4));
	}
	CHECK(!stamper_stop(&guest));
	written = host_stat("/proc/vmstat", "nr_written") - written;
	CHECK(written > RANGE / PAGE, "%llu pages were written back",
	      (unsigned long long)written);
	/* Out of the page table and out of the page cache: the pages come from the disk. */
	CHECK(!fdatasync(file));
	CHECK(!madvise(guest.memory, RANGE, MADV_DONTNEED));
	CHECK(!posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED));
	CHECK(!host_write("/proc/sys/vm/drop_caches", "1"));
	CHECK_PASS(file_is_right());
	CHECK(!stamper_check(&guest));
	return PASS;
}

static enum ktap_result private_file(const char *path)
{
	static uint8_t page[PAGE], original[PAGE];
	uint64_t i;

	memset(original, 0x33, PAGE);
	CHECK_PASS(open_file(path, RANGE));
	for (i = 0; i < RANGE / PAGE; i++)
		CHECK(pwrite(file, original, PAGE, i * PAGE) == (ssize_t)PAGE);
	CHECK_PASS(work_on_file(MAP_PRIVATE));
	CHECK(!fdatasync(file));
	CHECK(!host_write("/proc/sys/vm/drop_caches", "1"));
	CHECK(!host_page_out(guest.memory, RANGE));
	CHECK(!stamper_await(&guest, RANGE / PAGE));
	CHECK(!stamper_stop(&guest));
	/* The copies are the guest's, the file is as it was. */
	for (i = 0; i < RANGE / PAGE; i++) {
		CHECK(pread(file, page, PAGE, i * PAGE) == (ssize_t)PAGE);
		CHECK(!memcmp(page, original, PAGE), "page %llu", (unsigned long long)i);
	}
	return PASS;
}

static enum ktap_result ext4_private(void)
{
	CHECK_PASS(disk());
	return private_file(DISK "/guest");
}

static enum ktap_result tmpfs_private(void)
{
	return private_file("/tmp/guest");
}

/* A guest that reads a private file uses the page cache's page; its first write makes a copy. */
static enum ktap_result file_pages_shared(void)
{
	uint64_t i, same = 0, value = 0x1111;

	CHECK_PASS(disk());
	CHECK_PASS(open_file(DISK "/guest", SIZE));
	for (i = 0; i < SIZE / PAGE; i++)
		CHECK(pwrite(file, &value, 8, i * PAGE) == 8);
	CHECK_PASS(probe_file(MAP_PRIVATE, PROT_READ | PROT_WRITE, 0));
	window = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, file, 0);
	window_size = SIZE;
	CHECK(window != MAP_FAILED);
	for (i = 0; i < 64; i++) {
		GUEST_READS(GPA + i * PAGE, 0x1111);
		same += *(volatile uint64_t *)((uint8_t *)window + i * PAGE) == 0x1111 &&
			probe_pfn(memory + i * PAGE) == probe_pfn((uint8_t *)window + i * PAGE);
	}
	CHECK(same == 64, "%llu of 64 are the page cache's", (unsigned long long)same);
	GUEST_WRITES(GPA + 5 * PAGE, 2);
	CHECK(probe_pfn(memory + 5 * PAGE) != probe_pfn((uint8_t *)window + 5 * PAGE));
	CHECK(*(volatile uint64_t *)((uint8_t *)window + 5 * PAGE) == 0x1111);
	GUEST_READS(GPA + 5 * PAGE, 2);
	/* Reading through the file's other pages goes on as it was. */
	GUEST_READS(GPA + 6 * PAGE, 0x1111);
	CHECK(probe_pfn(memory + 6 * PAGE) == probe_pfn((uint8_t *)window + 6 * PAGE));
	return PASS;
}

/* Firmware: a read-only mapping of a file that cannot even be written. */
static enum ktap_result read_only_mapping(void)
{
	uint64_t value = 0x7777;

	CHECK_PASS(disk());
	CHECK_PASS(open_file(DISK "/guest", SIZE));
	CHECK(pwrite(file, &value, 8, 3 * PAGE) == 8);
	CHECK_PASS(probe_file(MAP_SHARED, PROT_READ, MSHV_MEMORY_READ_ONLY));
	GUEST_READS(GPA + 3 * PAGE, 0x7777);
	GUEST_READS(GPA + 4 * PAGE, 0);
	CHECK(probe_write(&probe, GPA + 3 * PAGE, 1) == PROBE_VMM);
	CHECK(pread(file, &value, 8, 3 * PAGE) == 8 && value == 0x7777);
	return PASS;
}

/* ---- large pages ---- */

static uint64_t free_huge_pages(uint64_t size)
{
	char path[128], line[32];

	snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/hugepages-%llukB/free_hugepages",
		 (unsigned long long)size >> 10);
	return host_read(path, line, sizeof(line)) ? 0 : strtoull(line, NULL, 10);
}

static enum ktap_result hugetlb(uint64_t size, unsigned int memfd_flags, uint64_t bytes)
{
	uint64_t maps, free_before = free_huge_pages(size), i;

	if (free_before * size < bytes)
		return ktap_skip("no free huge pages of %llu KiB", (unsigned long long)size >> 10);
	CHECK_PASS(open_memfd(bytes, memfd_flags));
	CHECK(!probe_open(&probe), "%s", mshv_error());
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	CHECK(memory != MAP_FAILED, "%s", strerror(errno));
	probe_keep(&probe, memory, bytes);
	CHECK(!mshv_region_add(probe.vm, GPA, memory, bytes, 0), "%s", mshv_error());
	maps = probe_counter(&probe, HVABI_COUNT_MAP_2M);
	for (i = 0; i < 8; i++)
		GUEST_WRITES(GPA + i * BLOCK / 4 + i * PAGE, i + 1);
	CHECK(probe_counter(&probe, HVABI_COUNT_MAP_2M) - maps >= 2, "%llu large maps",
	      (unsigned long long)(probe_counter(&probe, HVABI_COUNT_MAP_2M) - maps));
	for (i = 0; i < 8; i++)
		CHECK(WORD(i * BLOCK / 4 + i * PAGE) == i + 1);
	WORD(BLOCK + 8) = 0x99;
	GUEST_READS(GPA + BLOCK + 8, 0x99);
	/* Punched: Linux frees the huge page, nobody reaches it; what comes next is zeros. */
	i = probe_pfn(memory);
	CHECK(i && probe_reachable(i));
	CHECK(!fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, bytes), "%s",
	      strerror(errno));
	CHECK(!probe_reachable(i));
	CHECK(free_huge_pages(size) == free_before);
	GUEST_READS(GPA, 0);
	return PASS;
}

static enum ktap_result hugetlb_2m(void)
{
	if (host_write("/proc/sys/vm/nr_hugepages", "8"))
		return ktap_skip("no hugetlb");
	return hugetlb(BLOCK, MFD_HUGETLB | 21u << 26, 4 * BLOCK);
}

static enum ktap_result hugetlb_1g(void)
{
	return hugetlb(GIB, MFD_HUGETLB | 30u << 26, GIB);
}

/* ---- what the hypervisor joins to 1 GiB ---- */

#define GIBS	40u

/* The file of one huge page of 1 GiB, and room to have it @gibs times, from `window` on, at addresses of whole GiB. */
static enum ktap_result gigantic_file(unsigned int gibs)
{
	if (!free_huge_pages(GIB))
		return ktap_skip("no free huge page of 1 GiB");
	CHECK_PASS(open_memfd(GIB, MFD_HUGETLB | 30u << 26));
	window_size = (gibs + 1) * GIB;
	window = mmap(NULL, window_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	CHECK(window != MAP_FAILED, "%s", strerror(errno));
	memory = (uint8_t *)(((uintptr_t)window + GIB - 1) & ~(GIB - 1));
	for (unsigned int i = 0; i < gibs; i++)
		CHECK(mmap(memory + i * GIB, GIB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0) !=
		      MAP_FAILED, "%s", strerror(errno));
	CHECK(!probe_open(&probe), "%s", mshv_error());
	return PASS;
}

/* All of the guest's memory from @gpa on. */
static int prefault(uint64_t gpa, uint64_t size)
{
	return mshv_prefault(probe.vm, &gpa, &size, MSHV_PREFAULT_FOR_WRITE);
}

/* Two regions make one leaf. One of them goes, and the hypervisor has no memory to split it. */
static enum ktap_result joined_to_1g(void)
{
	const uint64_t half = GIB / 2;
	int64_t refused;

	CHECK_PASS(gigantic_file(1));
	CHECK(!mshv_region_add(probe.vm, GPA, memory, half, 0), "%s", mshv_error());
	CHECK(!mshv_region_add(probe.vm, GPA + half, memory + half, half, 0), "%s", mshv_error());
	CHECK(!prefault(GPA, half), "%s", mshv_error());
	CHECK(probe_counter(&probe, HVABI_COUNT_JOIN_1G) == 0);
	CHECK(!prefault(GPA + half, half), "%s", mshv_error());
	CHECK(probe_counter(&probe, HVABI_COUNT_JOIN_1G) == 1);
	GUEST_WRITES(GPA + 5 * PAGE, 55);
	GUEST_WRITES(GPA + half + 7 * BLOCK, 77);
	CHECK(WORD(5 * PAGE) == 55 && WORD(half + 7 * BLOCK) == 77);
	refused = probe_counted(HVABI_COUNT_MEMORY_REFUSED);
	CHECK(!mshv_hypervisor_option(HVABI_OPTION_REFUSE_MEMORY_AT, 1));
	CHECK(!mshv_region_remove(probe.vm, GPA + half, memory + half, half), "%s", mshv_error());
	CHECK(!mshv_hypervisor_option(HVABI_OPTION_REFUSE_MEMORY_AT, 0));
	CHECK(probe_counter(&probe, HVABI_COUNT_SPLIT_1G) == 1);
	CHECK(probe_counted(HVABI_COUNT_MEMORY_REFUSED) > refused);
	CHECK(probe_write(&probe, GPA + half + 7 * BLOCK, 78) == PROBE_VMM);
	GUEST_READS(GPA + 5 * PAGE, 55);
	CHECK(WORD(half + 7 * BLOCK) == 77);
	return PASS;
}

/*
 * The same page many times, in many leaves of 1 GiB, and the tables that became free are not there any more. Then Linux takes the
 * page: each leaf wants a table, and what was kept in reserve must do.
 */
static enum ktap_result joined_and_taken(void)
{
	static uint8_t small[2 * BLOCK] __attribute__((aligned(2ull << 20)));
	uint64_t lent;
	unsigned int i;

	CHECK_PASS(gigantic_file(GIBS));
	for (i = 0; i < GIBS; i++) {
		CHECK(!mshv_region_add(probe.vm, GPA + i * GIB, memory + i * GIB, GIB, 0), "%s", mshv_error());
		CHECK(!prefault(GPA + i * GIB, GIB), "%s", mshv_error());
	}
	CHECK(probe_counter(&probe, HVABI_COUNT_JOIN_1G) == GIBS);
	GUEST_WRITES(GPA + 3 * PAGE, 33);
	GUEST_READS(GPA + (GIBS - 1) * GIB + 3 * PAGE, 33);
	/* A fault for which there is never memory: when it is given up, all that is lent and free comes back. */
	CHECK(!madvise(small, sizeof(small), MADV_NOHUGEPAGE) || errno == EINVAL);
	CHECK(!mshv_region_add(probe.vm, GPA + GIBS * GIB, small, sizeof(small), 0), "%s", mshv_error());
	CHECK(!mshv_hypervisor_option(HVABI_OPTION_REFUSE_MEMORY_EVERY, 1));
	CHECK(probe_write(&probe, GPA + GIBS * GIB, 1) == PROBE_ERROR && probe.error == ENOMEM, "errno %d", probe.error);
	CHECK(!mshv_hypervisor_option(HVABI_OPTION_REFUSE_MEMORY_EVERY, 0));
	lent = probe_stat(&probe, "deposited-pages");

	CHECK(!fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, GIB), "%s", strerror(errno));
	CHECK(probe_counter(&probe, HVABI_COUNT_SPLIT_1G) == GIBS);
	CHECK(probe_stat(&probe, "deposited-pages") - lent >= GIBS);
	for (i = 0; i < GIBS; i++)
		GUEST_READS(GPA + i * GIB + 3 * PAGE, 0);
	return PASS;
}

/* Huge pages migrate, too. */
static enum ktap_result hugetlb_at_work(void)
{
	struct host_move move = { .moved = 0 };
	unsigned int round;

	if (host_write("/proc/sys/vm/nr_hugepages", "24") ||
	    host_stat("/proc/meminfo", "HugePages_Free") < 16)
		return ktap_skip("no free huge pages");
	CHECK(!stamper_open(&guest, RANGE, 0));
	CHECK(mmap(guest.memory, RANGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_FIXED, -1, 0) == guest.memory,
	      "%s", strerror(errno));
	CHECK(!stamper_fill(&guest));
	CHECK(!stamper_start(&guest));
	for (round = 0; round < 4 && host_nodes() > 1; round++) {
		CHECK(!host_move(guest.memory, RANGE, !(round & 1), &move));
		CHECK(!stamper_await(&guest, RANGE / PAGE / 4));
	}
	CHECK(!stamper_await(&guest, RANGE / PAGE));
	CHECK(!stamper_stop(&guest));
	ktap_note("%llu pages on the last node asked for", (unsigned long long)move.moved);
	stamper_close(&guest);
	host_write("/proc/sys/vm/nr_hugepages", "0");
	return PASS;
}

static enum ktap_result mthp(void)
{
	static const char stats[] = THP "hugepages-64kB/stats/anon_fault_alloc";
	char before[32], after[32];

	if (host_read(stats, before, sizeof(before)) ||
	    host_write(THP "hugepages-64kB/enabled", "always"))
		return ktap_skip("this kernel has no huge pages of 64 KiB");
	CHECK(!stamper_open(&guest, RANGE, 0));
	host_write(THP "hugepages-2048kB/enabled", "never");
	CHECK(!stamper_fill(&guest));
	host_write(THP "hugepages-2048kB/enabled", "inherit");
	host_write(THP "hugepages-64kB/enabled", "never");
	CHECK(!host_read(stats, after, sizeof(after)));
	ktap_note("%lld folios of 64 KiB", atoll(after) - atoll(before));
	CHECK(atoll(after) - atoll(before) >= (long long)(RANGE / (64 << 10) / 2));
	CHECK(!stamper_start(&guest));
	CHECK(!madvise(guest.memory + 3 * PAGE, PAGE, MADV_PAGEOUT));
	CHECK(!host_page_out(guest.memory + BLOCK, BLOCK));
	CHECK(!stamper_await(&guest, RANGE / PAGE));
	CHECK(!stamper_stop(&guest));
	return PASS;
}

/* ---- madvise and friends ---- */

/* A page that was given free and then written by the guest is not free. */
static enum ktap_result madv_free(void)
{
	uint64_t offset, kept = 0;

	CHECK_PASS(probe_anonymous(false));
	for (offset = 0; offset < 2 * BLOCK; offset += PAGE)
		GUEST_WRITES(GPA + offset, 1);
	CHECK(!madvise(memory, 2 * BLOCK, MADV_FREE));
	for (offset = 0; offset < BLOCK; offset += PAGE)
		GUEST_WRITES(GPA + offset, 2);
	CHECK(!host_page_out(memory, 2 * BLOCK));
	usleep(100000);
	CHECK(!host_page_out(memory, 2 * BLOCK));
	for (offset = 0; offset < BLOCK; offset += PAGE)
		GUEST_READS(GPA + offset, 2);
	for (; offset < 2 * BLOCK; offset += PAGE) {
		uint64_t value;

		CHECK(probe_read(&probe, GPA + offset, &value) == PROBE_DONE);
		CHECK(value <= 1, "0x%llx", (unsigned long long)value);
		kept += value;
	}
	ktap_note("%llu of the 512 pages given free were still there", (unsigned long long)kept);
	CHECK(kept < 512, "MADV_FREE freed nothing");
	return PASS;
}

static enum ktap_result madv_cold(void)
{
	unsigned int round;

	CHECK(!stamper_open(&guest, RANGE, 0));
	CHECK(!stamper_fill(&guest) && !stamper_start(&guest));
	for (round = 0; round < 20; round++) {
		CHECK(!madvise(guest.memory + round % 7 * BLOCK + round * PAGE, BLOCK, MADV_COLD));
		CHECK(!stamper_await(&guest, 100));
	}
	CHECK(!stamper_await(&guest, RANGE / PAGE));
	CHECK(!stamper_stop(&guest));
	return PASS;
}

/* Small pages become a huge one on request: the guest gets its large map back. */
static enum ktap_result madv_collapse(void)
{
	uint64_t offset, maps;

	CHECK_PASS(probe_anonymous(false));
	for (offset = 0; offset < BLOCK; offset += PAGE)
		GUEST_WRITES(GPA + offset, offset + 1);
	maps = probe_counter(&probe, HVABI_COUNT_MAP_2M);
	CHECK(!madvise(memory, SIZE, MADV_HUGEPAGE));
	if (madvise(memory, BLOCK, MADV_COLLAPSE))
		return ktap_skip("MADV_COLLAPSE: %s", strerror(errno));
	for (offset = 0; offset < BLOCK; offset += PAGE)
		GUEST_READS(GPA + offset, offset + 1);
	CHECK(probe_counter(&probe, HVABI_COUNT_MAP_2M) == maps + 1, "%llu large maps",
	      (unsigned long long)(probe_counter(&probe, HVABI_COUNT_MAP_2M) - maps));
	GUEST_WRITES(GPA + 8, 7);
	CHECK(WORD(8) == 7 && WORD(0) == 1);
	return PASS;
}

/* Memory that is there before the guest touches it is mapped with few faults; memory that is not is not brought in. */
static enum ktap_result madv_populate(void)
{
	uint64_t faults, offset, pfn;

	CHECK_PASS(probe_anonymous(false));
	if (madvise(memory, BLOCK, MADV_POPULATE_WRITE))
		return ktap_skip("MADV_POPULATE_WRITE: %s", strerror(errno));
	pfn = probe_pfn(memory + 9 * PAGE);
	CHECK(pfn);
	faults = probe_counter(&probe, HVABI_COUNT_EXIT_NPF_UNMAPPED) +
		 probe_counter(&probe, HVABI_COUNT_EXIT_NPF_ACCESS);
	for (offset = 0; offset < BLOCK; offset += PAGE)
		GUEST_WRITES(GPA + offset, offset + 1);
	faults = probe_counter(&probe, HVABI_COUNT_EXIT_NPF_UNMAPPED) +
		 probe_counter(&probe, HVABI_COUNT_EXIT_NPF_ACCESS) - faults;
	ktap_note("%llu faults for 512 populated pages", (unsigned long long)faults);
	CHECK(faults <= 32, "%llu faults", (unsigned long long)faults);
	CHECK(probe_pfn(memory + 9 * PAGE) == pfn, "the page that was there is used");
	/*
	 * Read: zero pages, which stay shared when the guest reads, and not when it writes. Not in the next
	 * block: the window of a guest in sequence may reach into that.
	 */
	CHECK(!madvise(memory + 2 * BLOCK, BLOCK, MADV_POPULATE_READ), "%s", strerror(errno));
	pfn = probe_pfn(memory + 2 * BLOCK);
	CHECK(pfn && pfn == probe_pfn(memory + 2 * BLOCK + PAGE), "the zero page");
	GUEST_READS(GPA + 2 * BLOCK, 0);
	CHECK(probe_pfn(memory + 2 * BLOCK) == pfn);
	GUEST_WRITES(GPA + 2 * BLOCK, 1);
	CHECK(probe_pfn(memory + 2 * BLOCK) != pfn);
	GUEST_READS(GPA + 2 * BLOCK + PAGE, 0);
	return PASS;
}

static enum ktap_result hole_punched(void)
{
	uint64_t pfn, value;

	CHECK_PASS(open_memfd(SIZE, 0));
	CHECK_PASS(probe_file(MAP_SHARED, PROT_READ | PROT_WRITE, 0));
	GUEST_WRITES(GPA + 7 * PAGE, 1);
	GUEST_WRITES(GPA + 8 * PAGE, 2);
	pfn = probe_pfn(memory + 7 * PAGE);
	CHECK(pfn && probe_reachable(pfn));
	CHECK(!fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 7 * PAGE, PAGE), "%s",
	      strerror(errno));
	CHECK(!probe_reachable(pfn), "the page punched out");
	GUEST_READS(GPA + 7 * PAGE, 0);
	GUEST_READS(GPA + 8 * PAGE, 2);
	/* Cut off: an error as for any program; grown again: zeros. */
	GUEST_WRITES(GPA + BLOCK, 3);
	pfn = probe_pfn(memory + BLOCK);
	CHECK(pfn && probe_reachable(pfn));
	CHECK(!ftruncate(file, BLOCK));
	CHECK(!probe_reachable(pfn), "the page cut off");
	CHECK(probe_read(&probe, GPA + BLOCK, &value) == PROBE_ERROR, "read beyond the end");
	CHECK(probe.error == EFAULT, "errno %d", probe.error);
	GUEST_READS(GPA + 8 * PAGE, 2);
	CHECK(!ftruncate(file, SIZE));
	GUEST_READS(GPA + BLOCK, 0);
	return PASS;
}

/* Locked pages are not reclaimed, and still move. */
static enum ktap_result locked(void)
{
	struct host_pages pages;
	struct host_move move;

	CHECK(!stamper_open(&guest, RANGE, MSHV_MEMORY_SMALL));
	CHECK(!stamper_fill(&guest));
	CHECK(!mlock(guest.memory, RANGE), "%s", strerror(errno));
	CHECK(probe_proc("/proc/self/status", "VmLck") >= (long)(RANGE >> 10));
	CHECK(!stamper_start(&guest));
	host_page_out(guest.memory, RANGE);
	CHECK(!host_count_pages(guest.memory, RANGE, false, &pages));
	CHECK(pages.present == RANGE / PAGE, "%llu of %llu present",
	      (unsigned long long)pages.present, (unsigned long long)(RANGE / PAGE));
	if (host_nodes() > 1) {
		CHECK(!host_move(guest.memory, RANGE, 1, &move));
		CHECK(move.moved > RANGE / PAGE / 2, "%llu moved", (unsigned long long)move.moved);
	}
	CHECK(!stamper_await(&guest, RANGE / PAGE));
	CHECK(!munlock(guest.memory, RANGE));
	CHECK(!host_page_out(guest.memory, BLOCK));
	CHECK(!stamper_await(&guest, RANGE / PAGE / 2));
	CHECK(!stamper_stop(&guest));
	return PASS;
}

/* One region over memory of four kinds, a guest at work on all of them. */
static enum ktap_result patchwork(void)
{
	const int rw = PROT_READ | PROT_WRITE;

	CHECK_PASS(disk());
	CHECK_PASS(open_file(DISK "/guest", 2 * BLOCK));
	CHECK(!stamper_open(&guest, RANGE, 0));
	CHECK(mmap(guest.memory + BLOCK + 3 * PAGE, BLOCK, rw, MAP_SHARED | MAP_FIXED, file,
		   5 * PAGE) != MAP_FAILED);
	CHECK(mmap(guest.memory + 3 * BLOCK - PAGE, BLOCK, rw, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED,
		   -1, 0) != MAP_FAILED);
	CHECK(mmap(guest.memory + 5 * BLOCK, BLOCK, rw, MAP_PRIVATE | MAP_FIXED, file, 0) != MAP_FAILED);
	CHECK(!stamper_fill(&guest));
	CHECK(!stamper_start(&guest));
	CHECK(!fdatasync(file));
	CHECK(!host_page_out(guest.memory, RANGE));
	CHECK(!stamper_await(&guest, RANGE / PAGE));
	CHECK(!fdatasync(file));
	CHECK(!stamper_await(&guest, RANGE / PAGE));
	CHECK(!stamper_stop(&guest));
	return PASS;
}

/*
 * A mapping without struct pages that has RAM behind it is no device memory: the guest gets an error,
 * wherever in a region the mapping stands. What is a device's is shown in test_device.c. Linux lets
 * /dev/mem map RAM below 1 MiB.
 */
#define RAM_OF_THE_KERNEL	0x50000

static enum ktap_result ram_of_the_kernel(void)
{
	uint8_t *ram;
	uint64_t value;
	int fd;

	CHECK_PASS(probe_anonymous(false));
	fd = open("/dev/mem", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return ktap_skip("/dev/mem: %s", strerror(errno));
	ram = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, RAM_OF_THE_KERNEL);
	close(fd);
	CHECK(ram != MAP_FAILED, "%s", strerror(errno));
	CHECK(mshv_region_add(probe.vm, GPA + SIZE, ram, PAGE, MSHV_MEMORY_PINNED) == -1 &&
	      errno == EOPNOTSUPP, "%s", strerror(errno));
	CHECK(mshv_region_add(probe.vm, GPA + SIZE, ram, PAGE, 0) == -1 && errno == EOPNOTSUPP, "%s",
	      strerror(errno));
	/* It may also come when the region is there. */
	CHECK(probe_write(&probe, GPA + 3 * PAGE, 1) == PROBE_DONE);
	CHECK(mremap(ram, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, memory) == memory, "%s",
	      strerror(errno));
	CHECK(probe_read(&probe, GPA, &value) == PROBE_ERROR && probe.error == EOPNOTSUPP,
	      "errno %d", probe.error);
	CHECK(probe_write(&probe, GPA, 1) == PROBE_ERROR && probe.error == EOPNOTSUPP,
	      "errno %d", probe.error);
	CHECK(!mprotect(memory, PAGE, PROT_READ));
	CHECK(probe_write(&probe, GPA, 1) == PROBE_ERROR && probe.error == EACCES,
	      "errno %d", probe.error);
	CHECK(probe_write(&probe, GPA + PAGE, 2) == PROBE_DONE);
	CHECK(probe_write(&probe, GPA + BLOCK, 2) == PROBE_DONE);
	CHECK(!probe_reachable(RAM_OF_THE_KERNEL / PAGE));
	return PASS;
}

/* RAM that Linux was told to leave alone (memmap= on the command line, see tests.cfg): refused in the same way. */
#define RAM_LEFT_ALONE	0x30000000

static enum ktap_result ram_left_alone(void)
{
	uint8_t *ram;
	uint64_t value;
	int fd;

	CHECK_PASS(probe_anonymous(false));
	fd = open("/dev/mem", O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0, "/dev/mem: %s", strerror(errno));
	ram = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, RAM_LEFT_ALONE);
	close(fd);
	CHECK(ram != MAP_FAILED, "%s", strerror(errno));
	*(volatile uint64_t *)ram = 0x1234;
	CHECK(*(volatile uint64_t *)ram == 0x1234, "there is no RAM at 0x%x", RAM_LEFT_ALONE);
	CHECK(mshv_region_add(probe.vm, GPA + SIZE, ram, PAGE, 0) == -1 && errno == EOPNOTSUPP, "%s",
	      strerror(errno));
	CHECK(mremap(ram, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, memory) == memory, "%s",
	      strerror(errno));
	CHECK(probe_read(&probe, GPA, &value) == PROBE_ERROR && probe.error == EOPNOTSUPP,
	      "errno %d", probe.error);
	CHECK(probe_write(&probe, GPA + PAGE, 2) == PROBE_DONE);
	CHECK(!probe_reachable(RAM_LEFT_ALONE / PAGE));
	munmap(ram + PAGE, PAGE);
	return PASS;
}

/* A protection key is a right of a thread. A guest is none: what is there and what is not yet are the same to it. */
static enum ktap_result protection_keys(void)
{
	struct hvabi_input_translate_virtual_address in = {
		.control_flags = HVABI_TRANSLATE_VALIDATE_READ, .gva_page = 0x12345,
	};
	struct hvabi_output_translate_virtual_address out;
	int key;

	CHECK_PASS(probe_anonymous(false));
	WORD(0) = 7;
	key = pkey_alloc(0, 0);
	if (key < 0)
		return ktap_skip("pkey_alloc: %s", strerror(errno));
	CHECK(!pkey_mprotect(memory, SIZE, PROT_READ | PROT_WRITE, key), "%s", strerror(errno));
	CHECK(!pkey_set(key, PKEY_DISABLE_ACCESS));
	GUEST_READS(GPA, 7);
	GUEST_WRITES(GPA, 8);
	GUEST_READS(GPA + BLOCK, 0);
	GUEST_WRITES(GPA + BLOCK + PAGE, 9);
	/* Pinned, and pinned in another's place. */
	CHECK(!mshv_region_change(probe.vm, GPA, memory, SIZE, MSHV_MEMORY_PINNED), "%s", mshv_error());
	GUEST_READS(GPA, 8);
	CHECK(!madvise(memory + 2 * BLOCK, PAGE, MADV_DONTNEED));
	GUEST_WRITES(GPA + 2 * BLOCK, 10);
	CHECK(!mshv_region_change(probe.vm, GPA, memory, SIZE, 0), "%s", mshv_error());
	/* Its page tables, all of them taken away, which the driver reads for a hypercall. */
	CHECK(!pkey_mprotect(probe.boot, 16 * PAGE, PROT_READ, key) &&
	      !pkey_mprotect(probe.boot, 16 * PAGE, PROT_READ | PROT_WRITE, key), "%s", strerror(errno));
	CHECK(!mshv_hypercall(mshv_vcpu_fd(probe.vcpu), HVABI_CALL_TRANSLATE_VIRTUAL_ADDRESS, NULL, &in,
			      sizeof(in), &out, sizeof(out), NULL), "%s", mshv_error());
	CHECK(out.result_code == HVABI_TRANSLATE_SUCCESS && out.gpa_page == 0x12345, "result %u",
	      out.result_code);
	CHECK(!pkey_set(key, 0));
	CHECK(WORD(0) == 8 && WORD(2 * BLOCK) == 10 && WORD(BLOCK + PAGE) == 9);
	CHECK(!pkey_mprotect(memory, SIZE, PROT_READ | PROT_WRITE, 0) &&
	      !pkey_mprotect(probe.boot, 16 * PAGE, PROT_READ | PROT_WRITE, 0), "%s", strerror(errno));
	pkey_free(key);
	return PASS;
}

/* The hypervisor has no map to write and not to read, so such a mapping gives the guest nothing, present or not. */
static enum ktap_result write_only_mapping(void)
{
	uint64_t value;

	CHECK_PASS(probe_anonymous(false));
	WORD(0) = 7;
	CHECK(!mprotect(memory, BLOCK, PROT_WRITE));
	for (unsigned int page = 0; page < 2; page++) {
		CHECK(probe_read(&probe, GPA + page * PAGE, &value) == PROBE_ERROR &&
		      probe.error == EACCES, "errno %d", probe.error);
		CHECK(probe_write(&probe, GPA + page * PAGE, 1) == PROBE_ERROR &&
		      probe.error == EACCES, "errno %d", probe.error);
	}
	CHECK(!mprotect(memory, BLOCK, PROT_READ | PROT_WRITE));
	GUEST_READS(GPA, 7);
	return PASS;
}

/*
 * The same instruction reads the same page again and again, and each time Linux has taken it away: that is no write, however often.
 */
static enum ktap_result reads_stay_reads(void)
{
	uint64_t zero;

	CHECK_PASS(probe_anonymous(false));
	CHECK(!mprotect(memory, BLOCK, PROT_READ));
	for (unsigned int i = 0; i < 40; i++) {
		GUEST_READS(GPA, 0);
		CHECK(!madvise(memory, BLOCK, MADV_DONTNEED));
	}
	CHECK(!mprotect(memory, BLOCK, PROT_READ | PROT_WRITE));
	/* Where it could be written the zero page must stay in its place. */
	GUEST_READS(GPA + PAGE, 0);
	zero = probe_pfn(memory + PAGE);
	CHECK(zero);
	for (unsigned int i = 0; i < 40; i++) {
		GUEST_READS(GPA, 0);
		CHECK(probe_pfn(memory) == zero, "read %u wrote", i);
		CHECK(!madvise(memory, BLOCK, MADV_DONTNEED));
	}
	/* Nor is it one where the region changes under the guest: then the driver has taken it away. */
	for (unsigned int i = 0; i < 40; i++) {
		GUEST_READS(GPA, 0);
		CHECK(probe_pfn(memory) == zero, "read %u wrote", i);
		CHECK(!mshv_region_replace(probe.vm, GPA, memory, SIZE, 0), "%s", mshv_error());
	}
	return PASS;
}

int main(int argc, char **argv)
{
	static const struct ktap_test reserved[] = {
		{ "RAM that Linux leaves alone is refused", ram_left_alone },
	};
	/* It wants a machine of its own: see tests.cfg. */
	static const struct ktap_test gigantic[] = {
		{ "hugetlb, 1 GiB", hugetlb_1g },
		{ "joined to 1 GiB, and split without memory", joined_to_1g },
		{ "forty times joined to 1 GiB, and taken away", joined_and_taken },
	};
	static const struct ktap_test tests[] = {
		{ "memfd, moved and swapped", memfd },
		{ "tmpfs file, shared", tmpfs_shared },
		{ "tmpfs file, private", tmpfs_private },
		{ "ext4 file, shared: write-back loses nothing", ext4_shared },
		{ "ext4 file, private: the file stays as it was", ext4_private },
		{ "pages of a file stay shared until written", file_pages_shared },
		{ "read-only mapping of a file", read_only_mapping },
		{ "several kinds of memory in one region", patchwork },
		{ "hugetlb, 2 MiB", hugetlb_2m },
		{ "hugetlb, 2 MiB, a guest at work", hugetlb_at_work },
		{ "huge pages of 64 KiB", mthp },
		{ "MADV_FREE", madv_free },
		{ "MADV_COLD", madv_cold },
		{ "MADV_COLLAPSE", madv_collapse },
		{ "MADV_POPULATE_READ and _WRITE", madv_populate },
		{ "hole punch and truncate", hole_punched },
		{ "mlock", locked },
		{ "RAM of the kernel is refused", ram_of_the_kernel },
		{ "protection keys are not the guest's", protection_keys },
		{ "a mapping to write only", write_only_mapping },
		{ "reads that repeat stay reads", reads_stay_reads },
	};

	ktap_cleanup = tear_down;
	if (argc > 1 && !strcmp(argv[1], "gigantic"))
		return KTAP_RUN(gigantic);
	if (argc > 1 && !strcmp(argv[1], "reserved"))
		return KTAP_RUN(reserved);
	return KTAP_RUN(tests);
}
