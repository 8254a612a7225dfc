// SPDX-License-Identifier: GPL-2.0-only
/*
 * Isolated partitions: their memory is pinned, and out of the parent's reach
 * while they have it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ktap.h"
#include "probe.h"

#define PAGES	600ull		/* more than one call takes, and not a multiple of anything */
#define SECRET	0x5ec2e7ull

static struct probe probe;
static uint8_t *memory;

static void teardown(void)
{
	uint8_t *boot = probe.boot;

	probe_close(&probe);
	if (boot)
		munmap(boot, 256 << 10);
	if (memory)
		munmap(memory, PAGES * PAGE);
	memory = NULL;
}

static enum ktap_result setup(void)
{
	CHECK(!probe_open_isolated(&probe), "%s", mshv_error());
	memory = probe_memory(PAGES * PAGE, false);
	CHECK(memory, "memory");
	*(uint64_t *)(memory + 5 * PAGE) = SECRET;
	CHECK(!mshv_region_add(probe.vm, PROBE_FREE, memory, PAGES * PAGE, MSHV_MEMORY_PINNED), "%s",
	      mshv_error());
	return PASS;
}

static enum ktap_result only_pinned(void)
{
	CHECK(!probe_open_isolated(&probe), "%s", mshv_error());
	memory = probe_memory(PAGES * PAGE, false);
	CHECK(mshv_region_add(probe.vm, PROBE_FREE, memory, PAGES * PAGE, 0) && errno == EINVAL,
	      "a movable region of an isolated guest: %s", strerror(errno));
	return PASS;
}

static enum ktap_result runs(void)
{
	uint64_t value;

	CHECK_PASS(setup());
	CHECK(probe_read(&probe, PROBE_FREE + 5 * PAGE, &value) == PROBE_DONE && value == SECRET,
	      "what was put there before: %llx", (unsigned long long)value);
	for (uint64_t i = 0; i < PAGES; i += 7) {
		CHECK(probe_write(&probe, PROBE_FREE + i * PAGE, i ^ SECRET) == PROBE_DONE, "%d",
		      probe.error);
		CHECK(probe_read(&probe, PROBE_FREE + i * PAGE, &value) == PROBE_DONE &&
		      value == (i ^ SECRET), "%llx", (unsigned long long)value);
	}
	return PASS;
}

/* Who has each page, as the hypervisor sees it. */
static bool all_pages(const uint64_t *pfns, uint32_t owner, uint32_t parent_access, uint32_t found)
{
	for (uint64_t i = 0; i < PAGES; i++) {
		struct hvabi_output_debug_who_can_reach reach;

		if (mshv_who_can_reach(NULL, pfns[i], &reach)) {
			ktap_note("%s", mshv_error());
			return false;
		}
		if (reach.owner != owner || reach.parent_access != parent_access ||
		    reach.found != found) {
			ktap_note("page %llu: owner %u, parent %u, found %u", (unsigned long long)i,
				  reach.owner, reach.parent_access, reach.found);
			return false;
		}
	}
	return true;
}

static enum ktap_result its_own(void)
{
	uint64_t pfns[PAGES];

	CHECK_PASS(setup());
	for (uint64_t i = 0; i < PAGES; i++)
		pfns[i] = probe_pfn(memory + i * PAGE);
	CHECK(all_pages(pfns, HVABI_DEBUG_OWNER_EXCLUSIVE, 0, 1), "while the guest has them");
	CHECK(probe_write(&probe, PROBE_FREE, SECRET) == PROBE_DONE, "%d", probe.error);
	CHECK(!mshv_region_remove(probe.vm, PROBE_FREE, memory, PAGES * PAGE), "%s", mshv_error());
	CHECK(all_pages(pfns, HVABI_DEBUG_OWNER_PARENT, 1, 0), "after removal");
	/* What the guest wrote is gone. */
	CHECK(*(uint64_t *)memory == 0, "the guest's data shows");
	return PASS;
}

static sigjmp_buf after_touch;

static void on_segv(int signal)
{
	(void)signal;
	siglongjmp(after_touch, 1);
}

static enum ktap_result touch_is_contained(void)
{
	struct sigaction action = { .sa_handler = on_segv }, old;
	volatile bool caught = true;
	uint64_t value;

	CHECK_PASS(setup());
	sigaction(SIGSEGV, &action, &old);
	if (!sigsetjmp(after_touch, 1)) {
		*(volatile uint8_t *)memory;
		caught = false;
	}
	sigaction(SIGSEGV, &old, NULL);
	CHECK(caught, "the VMM read the guest's memory");
	CHECK(probe_read(&probe, PROBE_FREE + 5 * PAGE, &value) == PROBE_DONE && value == SECRET,
	      "the guest goes on: %llx", (unsigned long long)value);
	/* Nor does fork get a copy. */
	CHECK(fork() < 0, "fork copied memory that it cannot read");
	CHECK(probe_read(&probe, PROBE_FREE + 5 * PAGE, &value) == PROBE_DONE && value == SECRET,
	      "after fork: %llx", (unsigned long long)value);
	return PASS;
}

/* Pages of them that an isolated guest has. */
static unsigned int exclusive(const uint64_t *pfns)
{
	struct hvabi_output_debug_who_can_reach reach;
	unsigned int count = 0;

	for (uint64_t i = 0; i < PAGES; i++)
		if (mshv_who_can_reach(NULL, pfns[i], &reach) ||
		    reach.owner == HVABI_DEBUG_OWNER_EXCLUSIVE)
			count++;
	return count;
}

static enum ktap_result killed(void)
{
	uint64_t *pfns = mmap(NULL, PAGES * 8, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status = -1;
	pid_t pid = fork();

	if (!pid) {
		if (setup() != PASS)
			_exit(3);
		for (uint64_t i = 0; i < PAGES; i++)
			pfns[i] = probe_pfn(memory + i * PAGE);
		if (exclusive(pfns) != PAGES)
			_exit(4);
		raise(SIGKILL);
	}
	waitpid(pid, &status, 0);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "status %x", status);
	CHECK(exclusive(pfns) == 0, "%u pages not given back", exclusive(pfns));
	munmap(pfns, PAGES * 8);
	return PASS;
}

static const struct ktap_test tests[] = {
	{ "regions must be pinned, explicitly", only_pinned },
	{ "the guest runs, and finds what was put there", runs },
	{ "its memory is its own, and zeroed on the way back", its_own },
	{ "the parent's touch is contained", touch_is_contained },
	{ "a killed VMM leaves nothing behind", killed },
};

int main(void)
{
	ktap_cleanup = teardown;
	return KTAP_RUN(tests);
}
