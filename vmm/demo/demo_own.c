// SPDX-License-Identifier: GPL-2.0-only
/* The demonstration, rows kill and pinned: guests of their own, one killed, one pinned. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "demo.h"
#include "host.h"
#include "undo.h"

#define MIB		(1ull << 20)
#define PAGE_KIB	(GUEST_PAGE_SIZE / 1024)	/* KiB of a page */

typedef unsigned long long ull;

/* The VMM that is going to be killed: works until then. Does not return. */
static void victim(struct demo *demo, int ready)
{
	struct demo_report report = { .checks = 0 };
	char byte = 'x';

	demo->progress = NULL;
	if (demo_need_stamps(demo, &report) &&
	    demo_start(demo, &report, 0, demo->touch_size / GUEST_PAGE_SIZE)) {
		if (write(ready, &byte, 1) == 1)
			for (;;)
				pause();
	}
	fprintf(stderr, "%s\n", report.checks ? report.check[report.checks - 1].text : "?");
	_exit(1);
}

/* Everything deposited by anyone that has not been withdrawn. */
static uint64_t lent(void)
{
	return demo_total(HVABI_COUNT_PAGE_DEPOSITED) - demo_total(HVABI_COUNT_PAGE_WITHDRAWN);
}

/* Available memory, with what sits in the processors' lists of free pages. */
static uint64_t free_kib(void)
{
	uint64_t pages = 0;
	char line[256];
	FILE *f = fopen("/proc/zoneinfo", "re");
	unsigned int n;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, " count: %u", &n) == 1)
			pages += n;
	if (f)
		fclose(f);
	return host_stat("/proc/meminfo", "MemAvailable") + pages * PAGE_KIB;
}

static int open_log(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0)
		lseek(fd, 0, SEEK_END);
	return fd;
}

/* What the kernel says when the machine is slow, as an emulated one is: not about us. */
static bool about_slowness(const char *text)
{
	static const char *const starts[] = {
		"hrtimer: interrupt took", "clocksource:", "INFO: NMI handler",
		"perf: interrupt took", "sched: RT throttling", "sched: DL replenish lagged", "NOHZ tick-stop error",
	};
	size_t i;

	for (i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
		if (!strncmp(text, starts[i], strlen(starts[i])))
			return true;
	return false;
}

/* Counts lines of warning level and worse since open_log(). */
static unsigned int log_complaints(int fd, char *first, size_t size)
{
	unsigned int count = 0;
	char record[2048], *text;
	ssize_t n;

	/* EPIPE: records were overwritten before they were read; there are more. */
	while ((n = read(fd, record, sizeof(record) - 1)) > 0 || (n < 0 && errno == EPIPE)) {
		if (n < 0)
			continue;
		record[n] = 0;
		/* "<facility and level>,<sequence>,...;text" */
		text = strchr(record, ';');
		text = text ? text + 1 : record;
		if ((strtoul(record, NULL, 10) & 7) > 4 || about_slowness(text))
			continue;
		if (count++ == 0)
			snprintf(first, size, "%.*s", (int)strcspn(text, "\n"), text);
	}
	return count;
}

void demo_row_kill(struct demo *demo, struct demo_report *report)
{
	uint64_t lent_before, free_before, free_after = 0, deleted, resident;
	char byte, first[100] = "";
	int ready[2], status, log;
	const unsigned int mark = undo_mark();
	unsigned int i, complaints;
	pid_t pid;

	/*
	 * The first guest after boot makes the parent lend the hypervisor memory for its own
	 * use, which stays with it: that must have happened before anything is counted.
	 */
	demo_end(demo);
	if (!demo_need_guest(demo, report, 0))
		return;
	demo_end(demo);
	lent_before = lent();
	deleted = demo_total(HVABI_COUNT_CALL_DELETE_PARTITION);
	free_before = free_kib();
	log = open_log();
	if (log < 0 || pipe2(ready, O_CLOEXEC) < 0) {
		demo_check(report, false, "/dev/kmsg, pipe: %s", strerror(errno));
		return;
	}
	pid = fork();
	if (pid == 0) {
		close(ready[0]);
		victim(demo, ready[1]);
	}
	close(ready[1]);
	if (pid > 0)
		undo_child(pid);
	if (pid < 0 || read(ready[0], &byte, 1) != 1) {
		demo_check(report, false, "the guest to be killed does not run");
		if (pid > 0) {
			waitpid(pid, NULL, 0);
			undo_child_ended(pid);
		}
		goto out;
	}
	resident = free_before - free_kib();
	demo_progress(demo, "two processors run; the VMM is killed");
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	undo_child_ended(pid);
	demo_check(report, WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
		   "it died of SIGKILL");
	demo_check(report, resident * 1024 >= demo->touch_size / 2,
		   "it had %llu MiB", (ull)(resident / 1024));
	/* Linux frees an address space in the background. */
	for (i = 0; i < 100; i++) {
		free_after = free_kib();
		if (lent() == lent_before && free_after + 8192 >= free_before)
			break;
		usleep(100000);
	}
	if (demo_hypervisor_tells()) {
		demo_check(report, demo_total(HVABI_COUNT_CALL_DELETE_PARTITION) == deleted + 1,
			   "its partition is deleted");
		demo_check(report, lent() == lent_before, "all pages lent to the hypervisor are back "
			   "(%lld missing)", (long long)(lent() - lent_before));
	} else {
		demo_unproven(report, "that the partition is deleted, and every page lent is back");
	}
	demo_check(report, free_after + 8192 >= free_before,
		   "available memory is back (%llu KiB before, %llu after)", (ull)free_before,
		   (ull)free_after);
	complaints = log_complaints(log, first, sizeof(first));
	demo_check(report, complaints == 0, "nothing in the kernel log%s%s",
		   complaints ? ": " : "", first);
	demo_counts(report, "%llu MiB and %s back", (ull)(resident / 1024),
		    lent() == lent_before ? "all lent pages" : "NOT all lent pages");
out:
	undo_to(mark);
	close(ready[0]);
	close(log);
}

static bool same_frames(const uint64_t *before, const uint64_t *after, uint64_t pages)
{
	return memcmp(before, after, pages * sizeof(*before)) == 0;
}

void demo_row_pinned(struct demo *demo, struct demo_report *report)
{
	struct demo own = { .memory_size = 160 * MIB, .touch_size = 128 * MIB,
			    .progress = demo->progress, .started = demo->started };
	uint64_t pages = own.memory_size / GUEST_PAGE_SIZE, work = 0, locked;
	uint64_t *before, *after;
	struct host_pages where;
	struct host_move move = { 0 };
	unsigned int target;

	demo_end(demo);
	if (host_nodes() < 2) {
		demo_skip(report, "one NUMA node only");
		return;
	}
	before = calloc(pages, sizeof(*before));
	after = calloc(pages, sizeof(*after));
	locked = host_stat("/proc/self/status", "VmLck");
	if (!before || !after || !demo_need_guest(&own, report, MSHV_MEMORY_PINNED))
		goto out;
	locked = host_stat("/proc/self/status", "VmLck") - locked;
	demo_check(report, locked * 1024 == own.memory_size,
		   "%llu MiB are accounted as locked", (ull)(locked / 1024));
	if (host_count_pages(mshv_session_memory(own.session), own.memory_size, true, &where) ||
	    host_page_frames(mshv_session_memory(own.session), own.memory_size, before)) {
		demo_failed(report, "look at guest memory");
		goto out;
	}
	demo_check(report, where.present == pages, "all %llu pages are there from the start",
		   (ull)pages);
	target = where.node[0] >= where.node[1] ? 1 : 0;
	if (!demo_need_stamps(&own, report) ||
	    !demo_start(&own, report, 0, own.touch_size / GUEST_PAGE_SIZE))
		goto out;
	demo_progress(demo, "a pinned guest works; Linux is asked to move it");
	if (host_move(mshv_session_memory(own.session), own.memory_size, target, &move) ||
	    host_compact() ||
	    host_page_frames(mshv_session_memory(own.session), own.memory_size, after)) {
		demo_failed(report, "move");
		goto out;
	}
	demo_stop(&own, report, &work);
	demo_check(report, same_frames(before, after, pages), "no page has moved");
	demo_check(report, move.busy + move.failed >= where.node[!target],
		   "Linux says so: %llu pages busy", (ull)(move.busy + move.failed));
	demo_verify(&own, report, "afterwards");
	demo_counts(report, "%llu pages refused to move, %llu MiB locked",
		    (ull)(move.busy + move.failed), (ull)(locked / 1024));
	demo_counts(report, "%llu stamps checked meanwhile", (ull)work);
	demo_end(&own);
	locked = host_stat("/proc/self/status", "VmLck");
	demo_check(report, locked == 0, "nothing is locked any more (%llu KiB)", (ull)locked);
out:
	if (report->checks == 0)
		demo_check(report, false, "out of memory");
	demo_end(&own);
	free(before);
	free(after);
}
