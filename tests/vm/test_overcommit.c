// SPDX-License-Identifier: GPL-2.0-only
/*
 * Four guests that touch more memory than the parent has, and find all of it again: the rest is on disk.
 *
 *	test_overcommit [MIB]	memory of each guest (default 128)
 *
 * Each has a VMM process of its own, and two processors; one checks in order, the other at random.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <demo.h>
#include <host.h>

#include "ktap.h"
#include "stamper.h"

#define GUESTS	4

typedef unsigned long long ull;

static uint64_t size = 128ull << 20;

/* Waits until all four have come this far. */
static bool meet(int ready, int go)
{
	char c = 0;

	return write(ready, &c, 1) == 1 && read(go, &c, 1) == 1;
}

static void vmm(int ready, int go)
{
	static struct stamper guest;

	if (stamper_open(&guest, size, 0) || stamper_fill(&guest) || !meet(ready, go) ||
	    stamper_check(&guest) || !meet(ready, go))
		_exit(1);
	stamper_close(&guest);
	_exit(0);
}

/* False if a guest has died: its end of the pipe is closed when all are, so look at each. */
static bool all_meet(int ready)
{
	char c;
	int i;

	for (i = 0; i < GUESTS; i++)
		if (read(ready, &c, 1) != 1)
			return false;
	return true;
}

/* Of all guests, those that are gone included. */
static uint64_t intercepts(void)
{
	return demo_total(HVABI_COUNT_EXIT_NPF_UNMAPPED) + demo_total(HVABI_COUNT_EXIT_NPF_ACCESS);
}

static enum ktap_result overcommit(void)
{
	uint64_t total = GUESTS * size, ram = host_stat("/proc/meminfo", "MemTotal") << 10;
	uint64_t in = host_stat("/proc/vmstat", "pswpin"), out = host_stat("/proc/vmstat", "pswpout");
	uint64_t faults = intercepts(), calls = demo_total(HVABI_COUNT_CALL_MAP_GPA_PAGES);
	int ready[2], go[2], i, status, bad = 0;
	bool filled, checked = false;
	pid_t pid[GUESTS];

	if (host_stat("/proc/meminfo", "SwapTotal") << 10 < total)
		return ktap_skip("not enough swap");
	CHECK(total > ram, "%llu MiB of guests, and %llu MiB of memory: that is no overcommit",
	      (ull)(total >> 20), (ull)(ram >> 20));
	CHECK(!pipe(ready) && !pipe(go));
	for (i = 0; i < GUESTS; i++) {
		pid[i] = fork();
		if (!pid[i]) {
			close(ready[0]);
			close(go[1]);
			vmm(ready[1], go[0]);
		}
	}
	close(ready[1]);
	close(go[0]);
	/* Every guest has all of its memory in use before the first looks again. */
	filled = all_meet(ready[0]);
	CHECK(!filled || write(go[1], "gogo", GUESTS) == GUESTS);
	if (filled)
		checked = all_meet(ready[0]);
	out = host_stat("/proc/vmstat", "pswpout") - out;
	in = host_stat("/proc/vmstat", "pswpin") - in;
	CHECK(!checked || write(go[1], "gogo", GUESTS) == GUESTS);
	close(go[1]);
	for (i = 0; i < GUESTS; i++) {
		waitpid(pid[i], &status, 0);
		if (status)
			ktap_note("guest %d: status 0x%x", i, status);
		bad += status != 0;
	}
	close(ready[0]);
	ktap_note("%d guests of %llu MiB on %llu MiB; %llu MiB to disk, %llu MiB back", GUESTS,
		  (ull)(size >> 20), (ull)(ram >> 20), (ull)(out >> 8), (ull)(in >> 8));
	faults = intercepts() - faults;
	calls = demo_total(HVABI_COUNT_CALL_MAP_GPA_PAGES) - calls;
	ktap_note("%llu pages to disk, %llu back, %llu intercepts, %llu map calls", (ull)out, (ull)in,
		  (ull)faults, (ull)calls);
	CHECK(filled && checked && !bad);
	CHECK(out >= (total - ram) / 4096 && in >= (total - ram) / 4096);
	return PASS;
}

int main(int argc, char **argv)
{
	static const struct ktap_test tests[] = {
		{ "four guests with more memory than there is", overcommit },
	};

	if (argc > 1) {
		size = strtoull(argv[1], NULL, 10) << 20;
		if (argc > 2 || !size || size >= GUEST_MEMORY_MAX - STAMPER_GPA || size % MSHV_BLOCK_SIZE) {
			fprintf(stderr, "test_overcommit: MIB: not 2 to 16376, even: %s\n", argv[1]);
			return 2;
		}
	}
	stamper_patience = 3600;
	/* Random reads of the disk: what comes along is not wanted. */
	host_write("/proc/sys/vm/page-cluster", "0");
	return KTAP_RUN(tests);
}
