// SPDX-License-Identifier: GPL-2.0-only
/*
 * Isolated partitions: their memory is pinned, and out of the parent's reach while they have it. Neither the VMM nor Linux on
 * anybody's behalf finds it: Linux would die of touching it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <host.h>

#include "ktap.h"
#include "probe.h"

#define PAGES	600ull		/* more than one call takes, and not a multiple of anything */
#define SECRET	0x5ec2e7ull

static struct probe probe;
static uint8_t *memory;
static uint64_t pfns[PAGES];	/* of the memory, before the guest has it */

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
	memset(memory, 0, PAGES * PAGE);
	*(uint64_t *)(memory + 5 * PAGE) = SECRET;
	for (uint64_t i = 0; i < PAGES; i++)
		pfns[i] = probe_pfn(memory + i * PAGE);
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
static bool all_pages(uint32_t owner, uint32_t parent_access, uint32_t found)
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
	CHECK_PASS(setup());
	CHECK(all_pages(HVABI_DEBUG_OWNER_EXCLUSIVE, 0, 1), "while the guest has them");
	CHECK(probe_write(&probe, PROBE_FREE, SECRET) == PROBE_DONE, "%d", probe.error);
	CHECK(!mshv_region_remove(probe.vm, PROBE_FREE, memory, PAGES * PAGE), "%s", mshv_error());
	CHECK(all_pages(HVABI_DEBUG_OWNER_PARENT, 1, 0), "after removal");
	/* What the guest wrote is gone. */
	CHECK(!mprotect(memory, PAGES * PAGE, PROT_READ | PROT_WRITE));
	CHECK(*(uint64_t *)memory == 0, "the guest's data shows");
	return PASS;
}

static sigjmp_buf after_touch;

static void on_segv(int signal)
{
	(void)signal;
	siglongjmp(after_touch, 1);
}

static bool touch_is_caught(void)
{
	struct sigaction action = { .sa_handler = on_segv }, old;
	volatile bool caught = true;

	sigaction(SIGSEGV, &action, &old);
	if (!sigsetjmp(after_touch, 1)) {
		*(volatile uint8_t *)memory;
		caught = false;
	}
	sigaction(SIGSEGV, &old, NULL);
	return caught;
}

static enum ktap_result touch_is_contained(void)
{
	uint64_t value;
	int status;
	pid_t pid;

	CHECK_PASS(setup());
	CHECK(touch_is_caught(), "the VMM read the guest's memory");
	CHECK(probe_read(&probe, PROBE_FREE + 5 * PAGE, &value) == PROBE_DONE && value == SECRET,
	      "the guest goes on: %llx", (unsigned long long)value);
	/* Nor does fork get a copy. */
	pid = fork();
	if (!pid)
		_exit(!touch_is_caught());
	CHECK(waitpid(pid, &status, 0) == pid && status == 0, "status 0x%x", status);
	/* Who takes the right gets a page of his own. */
	CHECK(!mprotect(memory, PAGES * PAGE, PROT_READ | PROT_WRITE));
	CHECK(*(uint64_t *)(memory + 5 * PAGE) == 0);
	*(uint64_t *)(memory + 5 * PAGE) = 1;
	CHECK(probe_read(&probe, PROBE_FREE + 5 * PAGE, &value) == PROBE_DONE && value == SECRET,
	      "after all that: %llx", (unsigned long long)value);
	return PASS;
}

/* Linux reads a process's memory for others, too: none of them may find the guest's pages, or it would be Linux's end. */
static enum ktap_result linux_finds_nothing(void)
{
	char buffer[64];
	struct iovec local = { buffer, sizeof(buffer) }, remote;
	int fd[2], mem;

	CHECK_PASS(setup());
	madvise(memory, PAGES * PAGE, MADV_MERGEABLE);
	remote = (struct iovec){ memory, sizeof(buffer) };
	CHECK(!pipe(fd) && write(fd[1], buffer, sizeof(buffer)) == sizeof(buffer));
	CHECK(write(fd[1], memory, 64) == -1 && errno == EFAULT, "%s", strerror(errno));
	CHECK(read(fd[0], memory, 64) == -1 && errno == EFAULT, "%s", strerror(errno));
	CHECK(vmsplice(fd[1], &remote, 1, 0) == -1 && errno == EFAULT, "%s", strerror(errno));
	close(fd[0]);
	close(fd[1]);
	CHECK(process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == -1 && errno == EFAULT, "%s",
	      strerror(errno));
	/* A debugger may read what the process itself may not, and finds an empty page. */
	mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	memset(buffer, 1, sizeof(buffer));
	if (pread(mem, buffer, sizeof(buffer), (off_t)(uintptr_t)(memory + 5 * PAGE)) > 0)
		CHECK(*(uint64_t *)buffer == 0, "the guest's data shows");
	close(mem);
	return PASS;
}

static enum ktap_result core_dump(void)
{
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	int status;
	pid_t pid;

	CHECK(!host_write("/proc/sys/kernel/core_pattern", "/tmp/core"));
	pid = fork();
	if (!pid) {
		setrlimit(RLIMIT_CORE, &all);
		if (setup() != PASS)
			_exit(1);
		abort();
	}
	CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WCOREDUMP(status), "status 0x%x",
	      status);
	unlink("/tmp/core");
	return PASS;
}

/* Memory to which there are other ways is not taken; nor does anything get lost. */
static enum ktap_result only_private(void)
{
	uint8_t *shared = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	long locked;

	CHECK(!probe_open_isolated(&probe), "%s", mshv_error());
	locked = probe_proc("/proc/self/status", "VmLck");
	memory = probe_memory(PAGES * PAGE, false);
	shared[5] = 7;
	CHECK(mshv_region_add(probe.vm, PROBE_FREE, shared, 8 * PAGE, MSHV_MEMORY_PINNED) && errno == EINVAL,
	      "shared memory: %s", strerror(errno));
	CHECK(shared[5] == 7);
	munmap(shared, 8 * PAGE);
	/* Refused later, after some of it was the guest's: what was not has its content. */
	memset(memory, 9, PAGES * PAGE);
	CHECK(!mshv_hypervisor_option(HVABI_OPTION_REFUSE_CALL_AT, 2) &&
	      !mshv_hypervisor_option(HVABI_OPTION_REFUSE_CALL,
				      HVABI_CALL_RELEASE_SPARSE_SPA_PAGE_HOST_ACCESS), "%s", mshv_error());
	CHECK(mshv_region_add(probe.vm, PROBE_FREE, memory, PAGES * PAGE, MSHV_MEMORY_PINNED), "not refused");
	CHECK(!mshv_hypervisor_option(HVABI_OPTION_REFUSE_CALL, 0), "%s", mshv_error());
	CHECK(memory[0] == 0 && memory[(PAGES - 1) * PAGE] == 9, "%u, %u", memory[0],
	      memory[(PAGES - 1) * PAGE]);
	CHECK(probe_proc("/proc/self/status", "VmLck") == locked);
	CHECK(!mshv_region_add(probe.vm, PROBE_FREE, memory, PAGES * PAGE, MSHV_MEMORY_PINNED), "%s",
	      mshv_error());
	return PASS;
}

/* Pages of them that an isolated guest has. */
static unsigned int exclusive(const uint64_t *list)
{
	struct hvabi_output_debug_who_can_reach reach;
	unsigned int count = 0;

	for (uint64_t i = 0; i < PAGES; i++)
		if (mshv_who_can_reach(NULL, list[i], &reach) ||
		    reach.owner == HVABI_DEBUG_OWNER_EXCLUSIVE)
			count++;
	return count;
}

static enum ktap_result killed(void)
{
	uint64_t *list = mmap(NULL, PAGES * 8, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status = -1;
	pid_t pid = fork();

	if (!pid) {
		if (setup() != PASS)
			_exit(3);
		memcpy(list, pfns, PAGES * 8);
		if (exclusive(list) != PAGES)
			_exit(4);
		raise(SIGKILL);
	}
	waitpid(pid, &status, 0);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "status %x", status);
	CHECK(exclusive(list) == 0, "%u pages not given back", exclusive(list));
	munmap(list, PAGES * 8);
	return PASS;
}

static const struct ktap_test tests[] = {
	{ "regions must be pinned, explicitly", only_pinned },
	{ "the guest runs, and finds what was put there", runs },
	{ "its memory is its own, and zeroed on the way back", its_own },
	{ "the parent's touch is contained", touch_is_contained },
	{ "Linux finds nothing of it", linux_finds_nothing },
	{ "a core dump of the VMM", core_dump },
	{ "only private memory is taken, and nothing is lost", only_private },
	{ "a killed VMM leaves nothing behind", killed },
};

int main(void)
{
	ktap_cleanup = teardown;
	return KTAP_RUN(tests);
}
