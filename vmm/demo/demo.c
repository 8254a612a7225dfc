// SPDX-License-Identifier: GPL-2.0-only
/* The demonstration: the guest that the rows work with, and their reports. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "demo.h"
#include "host.h"
#include "undo.h"

/* Emulated machines are slow, and this one may be busy. */
#define PATIENCE	300

const struct demo_row demo_rows[DEMO_ROWS] = {
	{ "create", "creating a guest allocates nothing", demo_row_create },
	{ "touch", "memory arrives on first touch", demo_row_touch },
	{ "migrate", "pages migrate between nodes under a running guest", demo_row_migrate },
	{ "compact", "memory is compacted under a running guest", demo_row_compact },
	{ "swap", "guest memory goes to disk and comes back", demo_row_swap },
	{ "copy", "a working guest is copied, and no write is missed", demo_row_copy },
	{ "thp", "huge pages are split and come back under a running guest", demo_row_thp },
	{ "ksm", "equal pages of guests are merged until written", demo_row_ksm },
	{ "overcommit", "guests use more memory than there is for them", demo_row_overcommit },
	{ "kill", "a killed VMM leaves nothing behind", demo_row_kill },
	{ "pinned", "a pinned guest stays where it is", demo_row_pinned },
	{ "passthrough", "a device writes to guest memory that Linux would move",
	  demo_row_passthrough },
	{ "linux", "a Linux guest works while its memory goes", demo_row_linux },
};

void demo_progress(struct demo *demo, const char *format, ...)
{
	va_list args;

	if (!demo->progress)
		return;
	va_start(args, format);
	fprintf(demo->progress, "[%5.1f s]    ", host_seconds() - demo->started);
	vfprintf(demo->progress, format, args);
	fputc('\n', demo->progress);
	fflush(demo->progress);
	va_end(args);
}

bool demo_check(struct demo_report *report, bool holds, const char *format, ...)
{
	struct demo_check *check;
	va_list args;

	if (report->checks == DEMO_CHECKS_MAX)
		abort();
	check = &report->check[report->checks++];
	check->holds = holds;
	va_start(args, format);
	vsnprintf(check->text, sizeof(check->text), format, args);
	va_end(args);
	return holds;
}

bool demo_failed(struct demo_report *report, const char *what)
{
	return demo_check(report, false, "%s: %s", what, mshv_error());
}

void demo_counts(struct demo_report *report, const char *format, ...)
{
	size_t used = strlen(report->counts);
	va_list args;

	va_start(args, format);
	if (used && used + 3 < sizeof(report->counts)) {
		strcpy(report->counts + used, "; ");
		used += 2;
	}
	vsnprintf(report->counts + used, sizeof(report->counts) - used, format, args);
	va_end(args);
}

void demo_skip(struct demo_report *report, const char *why)
{
	snprintf(report->skipped, sizeof(report->skipped), "%s", why);
}

void demo_unproven(struct demo_report *report, const char *what)
{
	snprintf(report->unproven, sizeof(report->unproven), "%s", what);
}

bool demo_hypervisor_tells(void)
{
	uint64_t counters[HVABI_COUNT_MAX];

	return !mshv_counters(NULL, counters, HVABI_COUNT_MAX);
}

bool demo_look(struct demo *demo, struct demo_report *report, struct demo_seen *seen)
{
	struct mshv_vm *vm = mshv_session_vm(demo->session);
	uint64_t blank, unmap;

	if (mshv_stat(vm, "faults-served", &seen->faults) ||
	    mshv_stat(vm, "map-calls", &seen->map_calls) ||
	    mshv_stat(vm, "blank-calls", &blank) || mshv_stat(vm, "unmap-calls", &unmap) ||
	    mshv_stat(vm, "pages-mapped-small", &seen->small) ||
	    mshv_stat(vm, "pages-mapped-large", &seen->large))
		return demo_failed(report, "read the driver's counters");
	seen->calls = seen->map_calls + blank + unmap;
	return true;
}

bool demo_holds(const struct demo_report *report)
{
	unsigned int i;

	if (*report->skipped || report->checks == 0)
		return false;
	for (i = 0; i < report->checks; i++)
		if (!report->check[i].holds)
			return false;
	return true;
}

/* Switches of this machine that would blur the counts, and their values meanwhile. */
static const char *const switches[][2] = {
	/* Balancing moves pages on its own while they are counted. */
	{ "/proc/sys/kernel/numa_balancing", "0" },
	/*
	 * Pages in the processors' own free lists, many thousands by default, are neither
	 * free for compaction nor counted as available.
	 */
	{ "/proc/sys/vm/percpu_pagelist_high_fraction", "10000" },
};

void demo_begin(struct demo *demo)
{
	unsigned int i;

	demo->started = host_seconds();
	undo_on_signals();
	/* A kernel that has no such switch has not what it is for either. */
	for (i = 0; i < sizeof(switches) / sizeof(switches[0]); i++)
		undo_write(switches[i][0], switches[i][1]);
	/* Without it, swapped pages may come back from the swap cache instead of the disk. */
	undo_cgroup(DEMO_CGROUP);
}

void demo_finish(struct demo *demo)
{
	demo_end(demo);
	undo_to(0);
}

void demo_end(struct demo *demo)
{
	mshv_session_close(demo->session);
	demo->session = NULL;
	demo->booted = demo->stamped = false;
}

uint64_t demo_total(unsigned int counter)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN), i;
	uint64_t counters[HVABI_COUNT_MAX], sum = 0;

	for (i = 0; i < processors; i++)
		if (mshv_processor_counters((uint32_t)i, counters, HVABI_COUNT_MAX) == 0)
			sum += counters[counter];
	return sum;
}

uint8_t *demo_range(struct demo *demo)
{
	return mshv_session_memory(demo->session) + DEMO_FIRST_GPA;
}

bool demo_need_guest(struct demo *demo, struct demo_report *report, unsigned int flags)
{
	struct mshv_session_config config = {
		.memory_size = demo->memory_size,
		.vps = DEMO_VPS,
		.memory_flags = flags,
		.console = stderr,
	};

	if (demo->session)
		return true;
	demo->session = mshv_session_open(&config);
	if (!demo->session)
		return demo_failed(report, "create the guest");
	/*
	 * One half in huge pages where Linux can, the other in small ones, so that both kinds
	 * are moved, and compaction finds something to do.
	 */
	madvise(demo_range(demo) + demo->touch_size / 2, demo->touch_size / 2, MADV_NOHUGEPAGE);
	return true;
}

bool demo_need_boot(struct demo *demo, struct demo_report *report)
{
	if (!demo_need_guest(demo, report, 0))
		return false;
	if (!demo->booted && mshv_session_boot(demo->session, "stamp"))
		return demo_failed(report, "boot the guest");
	demo->booted = true;
	return true;
}

static struct guest_mailbox arguments(struct demo *demo, unsigned int vp)
{
	return (struct guest_mailbox){
		.first_gfn = DEMO_FIRST_GPA / GUEST_PAGE_SIZE,
		.pages = demo->touch_size / GUEST_PAGE_SIZE,
		.stride = DEMO_VPS,
		.offset = vp,
		.version = demo->version[vp],
		.rounds = 1,
	};
}

/* Waits for both processors; records a failure or wrong stamps as "@what: ...". */
static bool await(struct demo *demo, struct demo_report *report, const char *what)
{
	bool good = true;
	unsigned int vp;

	for (vp = 0; vp < DEMO_VPS; vp++) {
		volatile struct guest_mailbox *box = mshv_session_mailbox(demo->session, vp);
		int status = mshv_session_wait(demo->session, vp, PATIENCE);

		if (status == GUEST_STATUS_OK)
			continue;
		good = false;
		if (status < 0)
			demo_failed(report, what);
		else
			demo_check(report, false, "%s: processor %u: %llu wrong stamps, first "
				   "at GFN 0x%llx word %llu: 0x%llx, not 0x%llx", what, vp,
				   (unsigned long long)box->errors,
				   (unsigned long long)box->error_gfn,
				   (unsigned long long)box->error_word,
				   (unsigned long long)box->error_found,
				   (unsigned long long)box->error_expected);
	}
	return good;
}

bool demo_need_stamps(struct demo *demo, struct demo_report *report)
{
	unsigned int vp;

	if (!demo_need_boot(demo, report))
		return false;
	if (demo->stamped)
		return true;
	for (vp = 0; vp < DEMO_VPS; vp++) {
		struct guest_mailbox args = arguments(demo, vp);

		args.version = demo->version[vp] = 1 + vp * 0x1000000;
		if (mshv_session_command(demo->session, vp, GUEST_COMMAND_STAMP, &args))
			return demo_failed(report, "stamp");
	}
	demo->stamped = await(demo, report, "stamp");
	return demo->stamped;
}

/* Whoever was started does not go on: the row has failed, and others follow. */
static bool stop_all(struct demo *demo)
{
	unsigned int vp;

	for (vp = 0; vp < DEMO_VPS; vp++) {
		mshv_session_stop(demo->session, vp);
		mshv_session_wait(demo->session, vp, PATIENCE);
	}
	return false;
}

bool demo_start(struct demo *demo, struct demo_report *report, uint64_t first,
		uint64_t pages)
{
	double deadline = host_seconds() + PATIENCE;
	unsigned int vp;

	for (vp = 0; vp < DEMO_VPS; vp++) {
		struct guest_mailbox args = arguments(demo, vp);

		args.first_gfn += first;
		args.pages = pages;
		args.rounds = 0;
		/* One processor walks in order, the other at random. */
		args.seed = vp ? 0x1234567 : 0;
		if (mshv_session_command(demo->session, vp, GUEST_COMMAND_UPDATE, &args)) {
			demo_failed(report, "start the guest's work");
			return stop_all(demo);
		}
	}
	/* It must be at work before anything is done to it. */
	for (vp = 0; vp < DEMO_VPS; vp++) {
		while (mshv_session_mailbox(demo->session, vp)->done_rounds == 0) {
			if (host_seconds() > deadline) {
				demo_check(report, false, "processor %u does no work", vp);
				return stop_all(demo);
			}
			usleep(1000);
		}
	}
	return true;
}

bool demo_stop(struct demo *demo, struct demo_report *report, uint64_t *pages)
{
	unsigned int vp;
	bool good;

	for (vp = 0; vp < DEMO_VPS; vp++)
		mshv_session_stop(demo->session, vp);
	good = await(demo, report, "rewrite and check");
	*pages = 0;
	for (vp = 0; vp < DEMO_VPS; vp++) {
		volatile struct guest_mailbox *box = mshv_session_mailbox(demo->session, vp);

		demo->version[vp] += box->done_rounds;
		*pages += box->done_pages;
	}
	return demo_check(report, good, "%llu stamps read and rewritten meanwhile, all right",
			  (unsigned long long)*pages);
}

bool demo_verify(struct demo *demo, struct demo_report *report, const char *when)
{
	uint64_t pages = 0;
	unsigned int vp;
	bool good;

	for (vp = 0; vp < DEMO_VPS; vp++) {
		struct guest_mailbox args = arguments(demo, vp);

		args.seed = 0xabcdef + vp;
		if (mshv_session_command(demo->session, vp, GUEST_COMMAND_CHECK, &args))
			return demo_failed(report, "check");
	}
	good = await(demo, report, "check");
	for (vp = 0; vp < DEMO_VPS; vp++)
		pages += mshv_session_mailbox(demo->session, vp)->done_pages;
	return demo_check(report, good && pages == demo->touch_size / GUEST_PAGE_SIZE,
			  "%s: all %llu stamps are right", when, (unsigned long long)pages);
}
