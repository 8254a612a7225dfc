// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every mechanism by which Linux moves memory or takes it away, each under a guest at work (stamper.h) and each witnessed: the
 * kernel's own counts say that it happened.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <time.h>
#include <unistd.h>

#include <host.h>

#include "group.h"
#include "ktap.h"
#include "probe.h"
#include "stamper.h"

#define RANGE		(8 * BLOCK)
#define PAGES		(RANGE / PAGE)
#define GPA		(1ull << 30)
#define GROUP		"/sys/fs/cgroup/moving"
#define THP		"/sys/kernel/mm/transparent_hugepage/"
#define KSM		"/sys/kernel/mm/ksm/"
#define NUMA		"/sys/kernel/debug/sched/numa_balancing/"
#define DAMON		"/sys/kernel/mm/damon/admin/kdamonds/"
#define MADV_SOFT	101	/* MADV_SOFT_OFFLINE */

typedef unsigned long long ull;

static struct stamper guest;
static struct probe probe;
static uint8_t *memory;
static uint64_t frames[PAGES], frames_after[PAGES];

/* What a test has set in /proc and /sys, and what was there. */
static struct {
	const char *file;
	char old[64];
} settings[12];
static unsigned int settings_count;

/* Until the end of the test. */
static bool set(const char *file, const char *value)
{
	char line[64], *word, *end;

	if (settings_count == sizeof(settings) / sizeof(settings[0]) ||
	    host_read(file, line, sizeof(line)))
		return false;
	/* Of several words the one in brackets holds. */
	word = strchr(line, '[');
	end = strchr(line, ']');
	if (word && end)
		*end = 0;
	snprintf(settings[settings_count].old, sizeof(line), "%s", word && end ? word + 1 : line);
	settings[settings_count++].file = file;
	return !host_write(file, value);
}

static void tear_down(void)
{
	while (settings_count) {
		settings_count--;
		host_write(settings[settings_count].file, settings[settings_count].old);
	}
	prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0);
	stamper_close(&guest);
	probe_close(&probe);
	if (memory)
		munmap(memory, 2 * BLOCK);
	memory = NULL;
}

static bool shell(const char *command)
{
	int status = system(command);

	if (status)
		ktap_note("%s: status 0x%x", command, status);
	return status == 0;
}

static long long number(const char *path)
{
	char line[64];

	return host_read(path, line, sizeof(line)) ? -1 : atoll(line);
}

static uint64_t vmstat(const char *name)
{
	return host_stat("/proc/vmstat", name);
}

/* A file with a number, or the name of a count in /proc/vmstat. */
static long long count(const char *counter)
{
	return *counter == '/' ? number(counter) : (long long)vmstat(counter);
}

/*
 * Waits until @done, or until a daemon of the kernel had every chance: until it has been through all it looks at (as @counter
 * counts) so many times more. How long it takes for that is up to the machine; that it stands still is an error.
 */
static bool await_rounds(const char *counter, long long rounds, bool (*done)(void))
{
	long long first = count(counter), now = first, seen;
	time_t moved = time(NULL);

	while (!done()) {
		seen = count(counter);
		if (seen != now)
			moved = time(NULL);
		now = seen;
		if (now - first >= rounds || time(NULL) - moved > (time_t)stamper_patience) {
			ktap_note("%s: %lld rounds", counter, now - first);
			return done();
		}
		usleep(20000);
	}
	return true;
}

/* A guest at work in memory of small pages (or as Linux likes). */
static enum ktap_result work(unsigned int flags)
{
	CHECK(!stamper_open(&guest, RANGE, flags));
	CHECK(!stamper_fill(&guest));
	CHECK(!stamper_start(&guest));
	return PASS;
}

/* It has met what was done, and all of its memory is right. */
static enum ktap_result finish(void)
{
	CHECK(!stamper_await(&guest, PAGES));
	CHECK(!stamper_stop(&guest));
	CHECK(!stamper_check(&guest));
	return PASS;
}

static uint64_t moved_frames(void)
{
	uint64_t i, moved = 0;

	for (i = 0; i < PAGES; i++)
		moved += frames[i] && frames_after[i] && frames[i] != frames_after[i];
	return moved;
}

/* ---- from place to place ---- */

static enum ktap_result move_pages(void)
{
	struct host_move move;
	unsigned int round;

	if (host_nodes() < 2)
		return ktap_skip("one node");
	CHECK_PASS(work(MSHV_MEMORY_SMALL));
	for (round = 0; round < 4; round++) {
		CHECK(!host_move(guest.memory, RANGE, !(round & 1), &move));
		CHECK(move.moved > PAGES * 9 / 10, "%llu of %llu", (ull)move.moved, PAGES);
		CHECK(!stamper_await(&guest, PAGES / 4));
	}
	return finish();
}

static enum ktap_result migrate_pages(void)
{
	struct host_pages pages;
	unsigned int round;

	if (host_nodes() < 2)
		return ktap_skip("one node");
	CHECK_PASS(work(0));
	for (round = 0; round < 4; round++) {
		unsigned int to = !(round & 1);

		CHECK(host_migrate(0, !to, to) >= 0, "%s", strerror(errno));
		CHECK(!host_count_pages(guest.memory, RANGE, true, &pages));
		CHECK(pages.node[to] > PAGES * 9 / 10, "%llu of %llu", (ull)pages.node[to], PAGES);
		CHECK(!stamper_await(&guest, PAGES / 4));
	}
	return finish();
}

static uint64_t numa_target;

static bool numa_migrated(void)
{
	return vmstat("numa_pages_migrated") >= numa_target;
}

/* The threads that run the guest are on node 1, its memory is on node 0. */
static enum ktap_result numa_balancing(void)
{
	uint64_t marked, faults, migrated;
	struct host_move move;
	struct dirent *entry;
	cpu_set_t cpus;
	DIR *tasks;

	if (host_nodes() < 2 || number("/proc/sys/kernel/numa_balancing") < 0)
		return ktap_skip("no NUMA balancing");
	CHECK_PASS(work(MSHV_MEMORY_SMALL));
	CHECK(!host_move(guest.memory, RANGE, 0, &move));
	CHECK(set(NUMA "scan_delay_ms", "10") && set(NUMA "scan_period_min_ms", "50") &&
	      set(NUMA "scan_period_max_ms", "100"), "%s", mshv_error());
	CPU_ZERO(&cpus);
	CPU_SET(1, &cpus);
	tasks = opendir("/proc/self/task");
	CHECK(tasks);
	while ((entry = readdir(tasks)))
		if (atoi(entry->d_name))
			sched_setaffinity(atoi(entry->d_name), sizeof(cpus), &cpus);
	closedir(tasks);
	marked = vmstat("numa_pte_updates");
	faults = vmstat("numa_hint_faults");
	migrated = vmstat("numa_pages_migrated");
	numa_target = migrated + 200;
	CHECK(!host_write("/proc/sys/kernel/numa_balancing", "1"));
	/* Every page is marked ten times: those that could follow the guest have. */
	await_rounds("numa_pte_updates", 10 * PAGES, numa_migrated);
	host_write("/proc/sys/kernel/numa_balancing", "0");
	CPU_SET(0, &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);
	marked = vmstat("numa_pte_updates") - marked;
	faults = vmstat("numa_hint_faults") - faults;
	migrated = vmstat("numa_pages_migrated") - migrated;
	ktap_note("%llu entries marked, %llu hinting faults, %llu pages migrated", (ull)marked,
		  (ull)faults, (ull)migrated);
	CHECK_PASS(finish());
	CHECK(marked > 0 && faults > 0, "nothing was scanned");
	CHECK(migrated > 0, "no page followed its guest");
	return PASS;
}

static enum ktap_result compaction(void)
{
	uint64_t i, count = vmstat("pgmigrate_success");

	CHECK_PASS(work(MSHV_MEMORY_SMALL));
	CHECK(!host_page_frames(guest.memory, RANGE, frames));
	/* Holes below the guest's pages: half of a big block, given back. */
	memory = host_memory_on(0, 2 * BLOCK);
	CHECK(memory);
	for (i = 0; i < 2 * BLOCK; i += 2 * PAGE)
		madvise(memory + i, PAGE, MADV_DONTNEED);
	for (i = 0; i < 3; i++) {
		CHECK(!host_compact(), "%s", strerror(errno));
		CHECK(!stamper_await(&guest, PAGES / 4));
	}
	CHECK(!host_page_frames(guest.memory, RANGE, frames_after));
	ktap_note("%llu guest pages moved, %llu in all", (ull)moved_frames(),
		  (ull)(vmstat("pgmigrate_success") - count));
	CHECK_PASS(finish());
	CHECK(vmstat("pgmigrate_success") > count);
	return PASS;
}

/* Each page is taken out of service, and what it has goes somewhere else. */
static enum ktap_result soft_offline(void)
{
	uint64_t i;

	CHECK_PASS(work(MSHV_MEMORY_SMALL));
	for (i = 0; i < 32; i++) {
		uint8_t *page = guest.memory + i * 31 * PAGE;
		uint64_t pfn = probe_pfn(page);

		if (madvise(page, PAGE, MADV_SOFT)) {
			if (errno == EINVAL)
				return ktap_skip("this kernel cannot take pages out of service");
			CHECK(errno == EBUSY, "%s", strerror(errno));
			continue;
		}
		CHECK(probe_pfn(page) != pfn && !probe_reachable(pfn), "page %llu", (ull)i);
	}
	CHECK_PASS(finish());
	return PASS;
}

static bool block_write(unsigned int block, const char *what)
{
	char path[96];

	snprintf(path, sizeof(path), "/sys/devices/system/memory/memory%u/state", block);
	return !host_write(path, what);
}

/* A block all of whose pages Linux can move, as far as its zone tells: a page the kernel keeps from boot may be in there. */
static bool block_movable(unsigned int block)
{
	char line[32], path[96];

	snprintf(path, sizeof(path), "/sys/devices/system/memory/memory%u/valid_zones", block);
	return !host_read(path, line, sizeof(line)) && !strcmp(line, "Movable");
}

struct offlined {
	unsigned int tried;
	unsigned int done;
};

/* Takes each block with guest pages offline, if it goes, and brings it back. */
static enum ktap_result offline_each(uint64_t block_pages, struct offlined *o)
{
	unsigned int blocks[8], found = 0, k;
	uint64_t i;

	CHECK(!host_page_frames(guest.memory, RANGE, frames));
	for (i = 0; i < PAGES && found < 8; i++) {
		unsigned int block = frames[i] / block_pages;

		for (k = 0; k < found && blocks[k] != block; k++)
			;
		if (frames[i] && k == found && block_movable(block))
			blocks[found++] = block;
	}
	for (k = 0; k < found; k++) {
		o->tried++;
		if (!block_write(blocks[k], "offline")) {
			ktap_note("memory%u: %s", blocks[k], strerror(errno));
			continue;
		}
		o->done++;
		CHECK(!host_page_frames(guest.memory, RANGE, frames_after));
		for (i = 0; i < PAGES; i++) {
			CHECK(frames_after[i] / block_pages != blocks[k], "page %llu", (ull)i);
			if (frames[i] / block_pages == blocks[k] && i % 16 == 0)
				CHECK(!probe_reachable(frames[i]), "page %llu", (ull)i);
		}
		CHECK(!stamper_await(&guest, PAGES / 4));
		CHECK(block_write(blocks[k], "online_movable"), "%s", strerror(errno));
	}
	return PASS;
}

/*
 * Memory blocks with guest pages in them go offline: the pages leave, the guest goes on. Where Linux puts the guest is its own
 * choice: if that is in blocks that cannot go, those pages are given to somebody else, and the guest gets others.
 */
static enum ktap_result memory_offline(void)
{
	uint8_t *taken[12] = { NULL };
	struct offlined o = { 0, 0 };
	enum ktap_result result;
	struct host_move move;
	uint64_t block_pages;
	unsigned int i;
	char line[32];

	if (host_read("/sys/devices/system/memory/block_size_bytes", line, sizeof(line)))
		return ktap_skip("no memory hotplug");
	if (host_nodes() < 2)
		return ktap_skip("one node");
	block_pages = strtoull(line, NULL, 16) / PAGE;
	CHECK_PASS(work(0));
	/* The second node's end is what movablecore= made movable. */
	CHECK(!host_move(guest.memory, RANGE, 1, &move));
	result = offline_each(block_pages, &o);
	for (i = 0; i < 12 && result == PASS && !o.done; i++) {
		CHECK(!host_move(guest.memory, RANGE, 0, &move));
		taken[i] = host_memory_on(1, RANGE);
		CHECK(taken[i] && !host_move(guest.memory, RANGE, 1, &move));
		result = offline_each(block_pages, &o);
	}
	for (i = 0; i < 12 && taken[i]; i++)
		munmap(taken[i], RANGE);
	CHECK_PASS(result);
	if (!o.tried)
		return ktap_skip("no guest page is in a block of ZONE_MOVABLE: wants movablecore=");
	ktap_note("%u of %u blocks went offline and came back", o.done, o.tried);
	CHECK_PASS(finish());
	CHECK(o.done > 0);
	return PASS;
}

/* ---- huge pages ---- */

static long long collapsed_before;

static bool collapsed(void)
{
	return number(THP "khugepaged/pages_collapsed") > collapsed_before;
}

/* Why khugepaged did not: the tracepoints of each look it took. */
static void tell_why(void)
{
	shell("grep -h khugepaged /sys/kernel/tracing/trace | tail -n 10 | sed 's/^/# /'");
}

static enum ktap_result small_after_split(void)
{
	uint64_t offset, maps, value;

	maps = probe_counter(&probe, HVABI_COUNT_MAP_4K);
	CHECK(!madvise(memory + 9 * PAGE, PAGE, MADV_DONTNEED));
	CHECK(probe_read(&probe, GPA + 9 * PAGE, &value) == PROBE_DONE && value == 0);
	CHECK(probe_write(&probe, GPA + 9 * PAGE, 9 * PAGE + 1) == PROBE_DONE);
	for (offset = 0; offset < BLOCK; offset += PAGE)
		CHECK(probe_read(&probe, GPA + offset, &value) == PROBE_DONE && value == offset + 1);
	CHECK(probe_counter(&probe, HVABI_COUNT_MAP_4K) - maps >= BLOCK / PAGE, "%llu",
	      (ull)(probe_counter(&probe, HVABI_COUNT_MAP_4K) - maps));
	return PASS;
}

/*
 * khugepaged puts together what was split; the guest gets its large map back. It may come by at any moment, so it is kept away
 * until the guest has been seen to work with small pages: what it did in between would not be seen.
 */
static enum ktap_result split_and_collapse(void)
{
	uint64_t offset, maps, value;
	bool good;

	if (number(THP "khugepaged/pages_to_scan") < 0)
		return ktap_skip("no huge pages");
	/* Nobody else's memory is wanted; and an attempt that finds no huge page free is not put off for a minute. */
	CHECK(set(THP "enabled", "madvise") && set(THP "khugepaged/defrag", "1") &&
	      set(THP "khugepaged/alloc_sleep_millisecs", "10"), "%s", mshv_error());
	CHECK(!host_compact(), "%s", mshv_error());
	CHECK(!probe_open(&probe), "%s", mshv_error());
	memory = probe_memory(2 * BLOCK, true);
	CHECK(!mshv_region_add(probe.vm, GPA, memory, 2 * BLOCK, 0), "%s", mshv_error());
	maps = probe_counter(&probe, HVABI_COUNT_MAP_2M);
	for (offset = 0; offset < BLOCK; offset += PAGE)
		CHECK(probe_write(&probe, GPA + offset, offset + 1) == PROBE_DONE);
	CHECK(probe_counter(&probe, HVABI_COUNT_MAP_2M) > maps, "Linux had no huge page to give");
	/* Waits for khugepaged to be out of this address space, and keeps it out. */
	CHECK(!prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0), "%s", strerror(errno));
	CHECK_PASS(small_after_split());
	maps = probe_counter(&probe, HVABI_COUNT_MAP_2M);
	collapsed_before = number(THP "khugepaged/pages_collapsed");
	set("/sys/kernel/tracing/events/huge_memory/enable", "1");
	CHECK(!prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0), "%s", strerror(errno));
	CHECK(set(THP "khugepaged/pages_to_scan", "1000000") &&
	      set(THP "khugepaged/scan_sleep_millisecs", "10"), "%s", mshv_error());
	good = await_rounds(THP "khugepaged/full_scans", 50, collapsed);
	if (!good)
		tell_why();
	CHECK(good, "khugepaged collapsed nothing");
	for (offset = 0; offset < BLOCK; offset += PAGE)
		CHECK(probe_read(&probe, GPA + offset, &value) == PROBE_DONE && value == offset + 1,
		      "offset 0x%llx: 0x%llx", (ull)offset, (ull)value);
	CHECK(probe_write(&probe, GPA, 1) == PROBE_DONE);
	CHECK(probe_counter(&probe, HVABI_COUNT_MAP_2M) > maps, "no large map came back");
	return PASS;
}

/* ---- merging ---- */

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Frames behind the pages of @memory. */
static uint64_t distinct_frames(void)
{
	uint64_t i, count = 1;

	if (host_page_frames(memory, 2 * BLOCK, frames))
		return 0;
	qsort(frames, 2 * BLOCK / PAGE, sizeof(frames[0]), by_value);
	for (i = 1; i < 2 * BLOCK / PAGE; i++)
		count += frames[i] != frames[i - 1];
	return count;
}

/* At most 256 sharers a page, so 4 would do; a chain of such pages grows where the scan happens to be. */
static bool merged(void)
{
	return distinct_frames() <= 16;
}

/* Merged under the VMM's feet and unmerged again, with a guest at work beside. */
static enum ktap_result ksm(void)
{
	if (number(KSM "run") < 0)
		return ktap_skip("no KSM");
	CHECK(set(KSM "run", "0") && set(KSM "pages_to_scan", "20000") &&
	      set(KSM "sleep_millisecs", "20"), "%s", mshv_error());
	/* Newer kernels leave out pages that could not be merged for some rounds. */
	if (number(KSM "smart_scan") >= 0)
		CHECK(set(KSM "smart_scan", "0"), "%s", mshv_error());
	CHECK_PASS(work(MSHV_MEMORY_SMALL));
	/* The same content at 1024 more pages of the guest's own: what it has not touched is zeros. */
	memory = probe_memory(2 * BLOCK, false);
	CHECK(!mshv_region_add(mshv_session_vm(guest.session), GPA, memory, 2 * BLOCK, 0), "%s",
	      mshv_error());
	memset(memory, 0x5a, 2 * BLOCK);
	CHECK(!madvise(memory, 2 * BLOCK, MADV_MERGEABLE));
	CHECK(!madvise(guest.memory, BLOCK, MADV_MERGEABLE));
	CHECK(!host_write(KSM "run", "1"));
	CHECK(await_rounds(KSM "full_scans", 50, merged), "%llu frames", (ull)distinct_frames());
	CHECK(number(KSM "pages_sharing") >= 1000, "%lld", number(KSM "pages_sharing"));
	CHECK(!stamper_await(&guest, PAGES));
	CHECK(merged(), "%llu frames", (ull)distinct_frames());
	CHECK(!host_write(KSM "run", "2"));
	CHECK(number(KSM "pages_sharing") == 0, "%lld", number(KSM "pages_sharing"));
	CHECK(distinct_frames() == 2 * BLOCK / PAGE, "%llu", (ull)distinct_frames());
	return finish();
}

/* ---- reclaim ---- */

static enum ktap_result no_swap(void)
{
	if (probe_proc("/proc/meminfo", "SwapTotal") > 0)
		return PASS;
	return ktap_skip("no swap");
}

static enum ktap_result swap_device(void)
{
	uint64_t in = vmstat("pswpin"), out = vmstat("pswpout");
	unsigned int round;

	CHECK_PASS(no_swap());
	CHECK_PASS(work(MSHV_MEMORY_SMALL));
	for (round = 0; round < 6; round++) {
		CHECK(!host_page_out(guest.memory + round * BLOCK, 2 * BLOCK));
		CHECK(!stamper_await(&guest, PAGES / 4));
	}
	CHECK_PASS(finish());
	in = vmstat("pswpin") - in;
	out = vmstat("pswpout") - out;
	ktap_note("%llu pages out, %llu in", (ull)out, (ull)in);
	CHECK(out > 500);
	return PASS;
}

/* swapoff brings every page back while the guest asks for them, too. */
static enum ktap_result zram(void)
{
	long long stored;
	char line[128];

	if (!shell("modprobe zram && echo 96M >/sys/block/zram0/disksize &&"
		   " mkswap /dev/zram0 >/dev/null"))
		return ktap_skip("no zram");
	CHECK(!swapon("/dev/zram0", SWAP_FLAG_PREFER | 100), "%s", strerror(errno));
	CHECK_PASS(work(MSHV_MEMORY_SMALL));
	CHECK(!host_page_out(guest.memory, RANGE));
	CHECK(!host_read("/sys/block/zram0/mm_stat", line, sizeof(line)));
	stored = atoll(line);
	CHECK(stored > 0, "%s", line);
	CHECK(!stamper_await(&guest, PAGES));
	CHECK(!host_page_out(guest.memory, RANGE));
	CHECK(!stamper_await(&guest, 10));
	CHECK(!swapoff("/dev/zram0"), "%s", strerror(errno));
	ktap_note("%lld KiB were in zram", stored >> 10);
	CHECK(!stamper_await(&guest, PAGES));
	CHECK_PASS(finish());
	CHECK(shell("echo 1 >/sys/block/zram0/reset"));
	return PASS;
}

/* A limit of @file below what the guest works on. */
static enum ktap_result limited(const char *file, const char *limit, const char *event)
{
	uint64_t out = vmstat("pswpout");
	char path[64];

	CHECK_PASS(no_swap());
	CHECK_PASS(group_need(GROUP));
	CHECK_PASS(work(MSHV_MEMORY_SMALL));
	snprintf(path, sizeof(path), GROUP "/%s", file);
	CHECK(!host_write(path, limit), "%s: %s", path, strerror(errno));
	CHECK(!stamper_await(&guest, PAGES / 2));
	CHECK(!host_write(path, "max"));
	ktap_note("%llu pages to swap, %llu events", (ull)(vmstat("pswpout") - out),
		  (ull)host_stat(GROUP "/memory.events", event));
	CHECK(host_stat(GROUP "/memory.events", "oom_kill") == 0);
	out = vmstat("pswpout") - out;
	CHECK_PASS(finish());
	/* All of it is in use: what is taken is back before it is written. */
	if (ktap_debug_kernel() && out <= 100)
		return ktap_skip("the guest takes back what this kernel takes faster than it can write it");
	CHECK(out > 100);
	return PASS;
}

static enum ktap_result memory_max(void)
{
	enum ktap_result result = limited("memory.max", "14M", "max");

	stamper_close(&guest);
	group_leave();
	return result;
}

static enum ktap_result memory_high(void)
{
	enum ktap_result result = limited("memory.high", "14M", "high");

	stamper_close(&guest);
	group_leave();
	return result;
}

static enum ktap_result memory_reclaim_under(void)
{
	uint64_t out = vmstat("pswpout");
	unsigned int round;

	CHECK_PASS(no_swap());
	CHECK_PASS(group_need(GROUP));
	CHECK_PASS(work(0));
	for (round = 0; round < 8; round++) {
		/* EAGAIN: less could be had. */
		CHECK(!host_write(GROUP "/memory.reclaim", "3M") || errno == EAGAIN, "%s",
		      strerror(errno));
		CHECK(!stamper_await(&guest, PAGES / 8));
	}
	ktap_note("%llu pages to swap", (ull)(vmstat("pswpout") - out));
	CHECK(vmstat("pswpout") > out);
	return finish();
}

static enum ktap_result memory_reclaim(void)
{
	enum ktap_result result = memory_reclaim_under();

	stamper_close(&guest);
	group_leave();
	return result;
}

static bool damon_write(const char *file, const char *text)
{
	char path[160];

	snprintf(path, sizeof(path), DAMON "%s", file);
	if (!host_write(path, text))
		return true;
	ktap_note("%s: %s", path, strerror(errno));
	return false;
}

/* DAMON watches the VMM and pages out what it finds cold: a page the guest has not touched for a while. */
static enum ktap_result damon(void)
{
	uint64_t out = vmstat("pswpout");
	time_t deadline;
	char pid[16];
	bool good;

	CHECK_PASS(no_swap());
	if (access(DAMON "nr_kdamonds", F_OK))
		return ktap_skip("no DAMON");
	CHECK_PASS(work(MSHV_MEMORY_SMALL));
	snprintf(pid, sizeof(pid), "%d", getpid());
	/* Newer kernels watch themselves by default, and let nobody else meanwhile. */
	host_write("/sys/module/damon_stat/parameters/enabled", "N");
	good = damon_write("nr_kdamonds", "1") && damon_write("0/contexts/nr_contexts", "1") &&
	       damon_write("0/contexts/0/operations", "vaddr") &&
	       damon_write("0/contexts/0/targets/nr_targets", "1") &&
	       damon_write("0/contexts/0/targets/0/pid_target", pid) &&
	       damon_write("0/contexts/0/monitoring_attrs/intervals/sample_us", "5000") &&
	       damon_write("0/contexts/0/monitoring_attrs/intervals/aggr_us", "50000") &&
	       damon_write("0/contexts/0/schemes/nr_schemes", "1") &&
	       damon_write("0/contexts/0/schemes/0/action", "pageout") &&
	       damon_write("0/contexts/0/schemes/0/access_pattern/sz/max", "18446744073709551615") &&
	       damon_write("0/contexts/0/schemes/0/access_pattern/nr_accesses/max", "1000") &&
	       damon_write("0/contexts/0/schemes/0/access_pattern/age/max", "4294967295") &&
	       damon_write("0/state", "on");
	/* A pass of its own costs kdamond no page: there is nothing to count but what it does. */
	for (deadline = time(NULL) + stamper_patience;
	     good && time(NULL) < deadline && vmstat("pswpout") - out < 2000; )
		usleep(50000);
	damon_write("0/state", "off");
	damon_write("nr_kdamonds", "0");
	ktap_note("%llu pages to swap", (ull)(vmstat("pswpout") - out));
	CHECK(good);
	CHECK_PASS(finish());
	CHECK(vmstat("pswpout") > out, "DAMON paged nothing out");
	return PASS;
}

int main(int argc, char **argv)
{
	static const struct ktap_test tests[] = {
		{ "move_pages", move_pages },
		{ "migrate_pages", migrate_pages },
		{ "automatic NUMA balancing", numa_balancing },
		{ "compaction", compaction },
		{ "memory offline and online", memory_offline },
		{ "a huge page split, and collapsed by khugepaged", split_and_collapse },
		{ "KSM merge and unmerge", ksm },
		{ "swap on a block device", swap_device },
		{ "swap on zram, and swapoff", zram },
		{ "cgroup memory.max", memory_max },
		{ "cgroup memory.high", memory_high },
		{ "cgroup memory.reclaim", memory_reclaim },
		{ "DAMON pages out", damon },
		/* Last: a block of memory with such a page does not come back online. */
		{ "pages taken out of service", soft_offline },
	};

	ktap_cleanup = tear_down;
	return KTAP_MAIN(argc, argv, tests);
}
