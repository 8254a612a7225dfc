// SPDX-License-Identifier: GPL-2.0-only
/*
 * M3, M8, M9, M13: what memory a guest takes of the parent for what it touches, and how much of it is mapped large.
 *
 * Law: what is counted is the parent's, not the system's own account of itself: the cgroup's charge, /proc/meminfo, the
 * hypervisor's tables.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../vmm/demo/host.h"
#include "../vmm/lib/libmshv.h"
#include "row.h"

/* ---- M3 ---- */

/* Linux gathers what processors have counted each 2 seconds, or when it is much. */
static uint64_t charged(void)
{
	sleep(3);
	return row_group_stat("anon") + row_group_stat("kernel");
}

static void density(struct bench *b, uint64_t stride, bool small)
{
	const uint64_t bytes = row_scaled(b, 256 * MIB), pages = bytes / PAGE;
	struct bench_guest *guest = NULL;
	struct host_pages present;
	uint64_t before;

	row_begin(b, "M3", "charged and resident for what is touched");
	row_put_text(b, "backing", small ? "4k" : "2m");
	row_put(b, "one-page-in", (int64_t)stride);
	if (row_enter_group(b))
		goto out;
	guest = row_guest(b, bytes, small ? BENCH_SMALL : BENCH_HUGE);
	if (!guest)
		goto out;
	before = charged();
	if (row_does(b, guest, GUEST_COMMAND_STAMP, pages, stride, 0, 1))
		goto out;
	row_put(b, "bytes-touched", (int64_t)((pages + stride - 1) / stride * PAGE));
	row_put(b, "bytes-charged", (int64_t)(charged() - before));
	if (host_count_pages(b->system->memory(guest) + FIRST, bytes, false, &present))
		row_cannot(b, strerror(errno));
	else
		row_put(b, "bytes-resident", (int64_t)(present.present * PAGE));
out:
	b->system->close(guest);
	row_leave_group();
}

void row_densities(struct bench *b)
{
	static const unsigned int strides[] = { 512, 128, 32, 8, 2, 1 };
	const unsigned int count = sizeof(strides) / sizeof(strides[0]);
	unsigned int i;

	for (i = 0; i < 2 * count; i++)
		density(b, strides[i % count], i < count);
}

/* What happens to a guest that has been everywhere, step by step: 0, or -1 and mshv_error() says why. */
struct phase {
	const char *what;
	int (*act)(struct bench *b, struct bench_guest *guest, uint64_t bytes);
};

/* ---- M8 ---- */

#define KHUGEPAGED "/sys/kernel/mm/transparent_hugepage/khugepaged/"
/* As bench_rows() has it. */
#define NEVER	"4000000000"

/* Every other block goes to swap. */
static int half_out(struct bench *b, struct bench_guest *guest, uint64_t bytes)
{
	uint64_t offset;

	for (offset = 0; offset < bytes; offset += 2 * BLOCK)
		if (row_all_out(b->system->memory(guest) + FIRST + offset, BLOCK))
			return mshv_fail("swap");
	return 0;
}

static int tracked(struct bench *b, struct bench_guest *guest, uint64_t bytes)
{
	if (b->system->track(guest, true) || row_does(b, guest, GUEST_COMMAND_STAMP, bytes / PAGE, 1, 0, 1))
		return -1;
	return b->system->track(guest, false);
}

/* khugepaged has been over everything some times. */
static int collapsed(struct bench *b, struct bench_guest *guest, uint64_t bytes)
{
	char line[32];
	long begin, now;
	unsigned int tries;

	(void)b;
	(void)guest;
	(void)bytes;
	if (host_read(KHUGEPAGED "full_scans", line, sizeof(line)) || sscanf(line, "%ld", &begin) != 1 ||
	    host_write(KHUGEPAGED "pages_to_scan", "65536") || host_write(KHUGEPAGED "scan_sleep_millisecs", "1"))
		return mshv_fail("khugepaged");
	for (tries = 0, now = begin; tries < 600 && now < begin + 4; tries++) {
		usleep(100000);
		if (host_read(KHUGEPAGED "full_scans", line, sizeof(line)) || sscanf(line, "%ld", &now) != 1)
			break;
	}
	host_write(KHUGEPAGED "scan_sleep_millisecs", NEVER);
	host_write(KHUGEPAGED "pages_to_scan", "4096");
	return now >= begin + 4 ? 0 : mshv_fail_because(ETIMEDOUT, "khugepaged does not come round");
}

static int nothing(struct bench *b, struct bench_guest *guest, uint64_t bytes)
{
	(void)b;
	(void)guest;
	(void)bytes;
	return 0;
}

/* One guest goes through all of it; what it has mapped large is asked after it has been everywhere again. */
void row_large(struct bench *b)
{
	static const struct phase phases[] = {
		{ "after populating", nothing },
		{ "after half was swapped out and back", half_out },
		{ "after a while of tracking", tracked },
		{ "after khugepaged", collapsed },
	};
	const uint64_t bytes = row_scaled(b, 256 * MIB);
	struct bench_guest *guest = NULL;
	uint64_t large, i;

	for (i = 0; i < sizeof(phases) / sizeof(phases[0]); i++) {
		row_begin(b, "M8", phases[i].what);
		row_put(b, "bytes", (int64_t)(FIRST + bytes));
		if (!i) {
			row_backing("2m");
			guest = row_guest(b, bytes, BENCH_HUGE);
			if (!guest || row_does(b, guest, GUEST_COMMAND_STAMP, bytes / PAGE, 1, 0, 1))
				break;
		}
		if (phases[i].act(b, guest, bytes)) {
			row_cannot(b, mshv_error());
			continue;
		}
		if (row_does(b, guest, GUEST_COMMAND_STAMP, bytes / PAGE, 1, 0, 1))
			break;
		if (b->system->large(guest, &large))
			row_cannot(b, mshv_error());
		else
			row_put(b, "bytes-mapped-large", (int64_t)large);
	}
	b->system->close(guest);
}

/* ---- M13 ---- */

static int track_on(struct bench *b, struct bench_guest *guest, uint64_t bytes)
{
	(void)bytes;
	return b->system->track(guest, true);
}

static int track_off(struct bench *b, struct bench_guest *guest, uint64_t bytes)
{
	(void)bytes;
	return b->system->track(guest, false);
}

static int ask(struct bench *b, struct bench_guest *guest, uint64_t bytes)
{
	const uint64_t words = (FIRST + bytes + BLOCK) / PAGE / 64;
	uint64_t *bits = calloc(words, 8), pages = 0, i;
	int ret = bits ? b->system->written(guest, bits) : mshv_fail("memory for a bit for each page");

	for (i = 0; !ret && i < words; i++)
		pages += (uint64_t)__builtin_popcountll(bits[i]);
	free(bits);
	row_put(b, "pages-reported", (int64_t)pages);
	return ret;
}

static int stamp_all(struct bench *b, struct bench_guest *guest, uint64_t bytes)
{
	return row_does(b, guest, GUEST_COMMAND_STAMP, bytes / PAGE, 1, 0, 1);
}

static int stamp_some(struct bench *b, struct bench_guest *guest, uint64_t bytes)
{
	return row_does(b, guest, GUEST_COMMAND_STAMP, bytes / PAGE, BLOCK / PAGE, 0, 1);
}

/* What a VMM pays that tracks for a while, and when: as it asks, or at the guest's next touch; and how near the truth it is. */
void row_tracking(struct bench *b)
{
	static const struct phase phases[] = {
		{ "tracking is switched on", track_on },
		{ "asked what is written", ask },
		{ "a page per 2 MiB is written", stamp_some },
		{ "asked again", ask },
		{ "each page is written", stamp_all },
		{ "asked a third time", ask },
		{ "tracking is switched off", track_off },
		{ "each page is written, not tracked", stamp_all },
	};
	const uint64_t bytes = row_scaled(b, 256 * MIB);
	struct bench_guest *guest = NULL;
	uint64_t large, i;

	for (i = 0; i < sizeof(phases) / sizeof(phases[0]); i++) {
		row_begin(b, "M13", phases[i].what);
		row_put(b, "bytes", (int64_t)(FIRST + bytes));
		if (!i) {
			row_backing("2m");
			guest = row_guest(b, bytes, BENCH_HUGE);
			if (!guest || stamp_all(b, guest, bytes))
				break;
		}
		if (row_start(b, guest))
			break;
		if (phases[i].act(b, guest, bytes)) {
			row_cannot(b, mshv_error());
			break;
		}
		row_stop(b, guest);
		if (b->system->large(guest, &large))
			row_cannot(b, mshv_error());
		else
			row_put(b, "bytes-mapped-large", (int64_t)large);
	}
	b->system->close(guest);
}

/* ---- M9 ---- */

static const struct { const char *line, *key; } parts[] = {
	{ "Slab", "slab" }, { "VmallocUsed", "vmalloc" }, { "PageTables", "page-tables" },
	{ "SecPageTables", "second-level-page-tables" },
};

#define PARTS	(sizeof(parts) / sizeof(parts[0]))

static void look(uint64_t *kib)
{
	unsigned int i;

	host_write("/proc/sys/vm/drop_caches", "3");
	for (i = 0; i < PARTS; i++)
		kib[i] = host_stat("/proc/meminfo", parts[i].line);
}

static void overhead(struct bench *b, bool small)
{
	const uint64_t bytes = row_scaled(b, 1024 * MIB);
	uint64_t before[PARTS], after[PARTS];
	struct bench_counts counts;
	struct bench_guest *guest;
	unsigned int i;

	row_begin(b, "M9", "bytes for a guest that has touched all");
	row_put_text(b, "backing", small ? "4k" : "2m");
	row_put(b, "mib", (int64_t)(bytes / MIB));
	look(before);
	if (row_start(b, NULL))
		return;
	guest = row_guest(b, bytes, small ? BENCH_SMALL : BENCH_HUGE);
	if (!guest)
		return;
	if (row_does(b, guest, GUEST_COMMAND_STAMP, bytes / PAGE, 1, 0, 1))
		goto out;
	look(after);
	for (i = 0; i < PARTS; i++)
		row_put(b, parts[i].key, ((int64_t)after[i] - (int64_t)before[i]) * 1024);
	if (!b->system->count(NULL, &counts) && counts.has[BENCH_LENT])
		row_put(b, "lent", (counts.value[BENCH_LENT] - b->before.value[BENCH_LENT]) * (int64_t)PAGE);
out:
	b->system->close(guest);
}

void row_overhead(struct bench *b)
{
	row_backing("2m");
	overhead(b, true);
	overhead(b, false);
}
