// SPDX-License-Identifier: GPL-2.0-only
/*
 * Everything is paid for, and what cannot be paid is refused: laws 11 and 12, cases 10, 11 and 17. Memory cgroups, the OOM killer,
 * RLIMIT_MEMLOCK, pages that are poisoned, pages that user space has to supply.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <host.h>

#include "ktap.h"
#include "probe.h"

#define GPA	(1ull << 30)
#define CGROUPS	"/tmp/cgroup2"
#define CGROUP	CGROUPS "/vmm"

/* "key value" in a file of the cgroup; the whole file is the value if @key is NULL. */
static long cgroup_read(const char *file, const char *key)
{
	char path[256], line[256];
	long value = -1;
	FILE *f;

	snprintf(path, sizeof(path), CGROUP "/%s", file);
	f = fopen(path, "re");
	while (f && value < 0 && fgets(line, sizeof(line), f))
		if (!key || (!strncmp(line, key, strlen(key)) && line[strlen(key)] == ' '))
			value = strtol(line + (key ? strlen(key) : 0), NULL, 10);
	if (f)
		fclose(f);
	return value;
}

/* An empty memory cgroup. */
static enum ktap_result make_cgroup(const char *limit)
{
	mkdir(CGROUPS, 0755);
	if (access(CGROUPS "/cgroup.procs", F_OK) && mount("none", CGROUPS, "cgroup2", 0, NULL))
		return ktap_skip("no cgroup2: %s", strerror(errno));
	if (host_write(CGROUPS "/cgroup.subtree_control", "+memory"))
		return ktap_skip("no memory controller");
	rmdir(CGROUP);
	CHECK(!mkdir(CGROUP, 0755), "%s", strerror(errno));
	CHECK(!host_write(CGROUP "/memory.max", limit));
	if (!access(CGROUP "/memory.swap.max", F_OK))
		CHECK(!host_write(CGROUP "/memory.swap.max", "0"));
	return PASS;
}

static enum ktap_result charged(void)
{
	long before, after, end = 0;
	struct probe probe;
	int i;

	CHECK_PASS(make_cgroup("max"));
	CHECK(!host_write(CGROUP "/cgroup.procs", "0"));
	before = cgroup_read("memory.stat", "kernel");
	CHECK(!probe_open(&probe), "%s", mshv_error());
	after = cgroup_read("memory.stat", "kernel");
	/* Its figures may be two seconds old. */
	for (i = 0; i < 50 && after - before < (208 + 90) * 4096; i++) {
		usleep(100000);
		after = cgroup_read("memory.stat", "kernel");
	}
	probe_close(&probe);
	/* The charge is given back when the last page is freed, some of them after a grace period. */
	for (i = 0; i < 50; i++) {
		end = cgroup_read("memory.stat", "kernel");
		if (end < before + (64 << 10))
			break;
		usleep(100000);
	}
	CHECK(!host_write(CGROUPS "/cgroup.procs", "0"));
	if (before < 0)
		return ktap_skip("this kernel does not show kernel memory of a cgroup");
	ktap_note("%ld KiB charged, %ld KiB left", (after - before) >> 10, (end - before) >> 10);
	/* 208 pages to initialize, 90 for the processor. */
	CHECK(after - before >= (208 + 90) * 4096, "%ld", after - before);
	CHECK(end - before < 256 << 10, "%ld", end - before);
	return PASS;
}

/* The guest needs more than its VMM may have: the OOM killer comes, its reaper does not wait for anybody. */
static enum ktap_result out_of_memory(void)
{
	int i, status;
	pid_t pid;

	CHECK_PASS(make_cgroup("48M"));
	for (i = 0; i < 3; i++) {
		pid = fork();
		if (!pid) {
			uint8_t *memory = probe_memory(256 << 20, i & 1);
			struct probe probe;
			uint64_t offset;

			if (host_write(CGROUP "/cgroup.procs", "0") || probe_open(&probe) ||
			    mshv_region_add(probe.vm, GPA, memory, 256 << 20, 0))
				_exit(1);
			for (offset = 0; offset < 256 << 20; offset += PAGE)
				if (probe_write(&probe, GPA + offset, 1) != PROBE_DONE)
					_exit(probe.error == ENOMEM ? 3 : 2);
			_exit(0);
		}
		CHECK(waitpid(pid, &status, 0) == pid);
		CHECK((WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) ||
		      (WIFEXITED(status) && WEXITSTATUS(status) == 3), "status 0x%x", status);
	}
	CHECK(cgroup_read("memory.events", "oom_kill") > 0);
	for (i = 0; i < 100 && cgroup_read("memory.current", NULL) > 1 << 20; i++)
		usleep(100000);
	CHECK(cgroup_read("memory.current", NULL) <= 1 << 20, "%ld",
	      cgroup_read("memory.current", NULL));
	return PASS;
}

static enum ktap_result locked_memory(void)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		struct rlimit limit = { .rlim_cur = 4 << 20, .rlim_max = 4 << 20 };
		uint8_t *memory = probe_memory(8 << 20, false);
		struct probe probe;

		if (probe_open(&probe))
			_exit(1);
		/* Without CAP_IPC_LOCK from here on. */
		if (setrlimit(RLIMIT_MEMLOCK, &limit) || setuid(65534))
			_exit(2);
		if (!mshv_region_add(probe.vm, GPA, memory, 8 << 20, MSHV_MEMORY_PINNED) ||
		    errno != ENOMEM)
			_exit(3);
		if (mshv_region_add(probe.vm, GPA, memory, 3 << 20, MSHV_MEMORY_PINNED))
			_exit(4);
		if (!mshv_region_add(probe.vm, 2 * GPA, memory + (4 << 20), 2 << 20,
				     MSHV_MEMORY_PINNED))
			_exit(5);
		if (mshv_region_remove(probe.vm, GPA, memory, 3 << 20))
			_exit(6);
		if (mshv_region_add(probe.vm, 2 * GPA, memory + (4 << 20), 2 << 20,
				    MSHV_MEMORY_PINNED))
			_exit(7);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0, "0x%x", status);
	return PASS;
}

/* A partition has so many regions; all may be of one page of the VMM's, which Linux takes away in one go. */
static enum ktap_result many_regions(void)
{
	uint8_t *memory = probe_memory(BLOCK, false);
	struct probe probe;
	unsigned int n;

	CHECK(!probe_open(&probe), "%s", mshv_error());
	for (n = 0; n < 5000 && !mshv_region_add(probe.vm, GPA + 2 * n * PAGE, memory, PAGE, 0); n++)
		CHECK(n % 4 || probe_write(&probe, GPA + 2 * n * PAGE, n) == PROBE_DONE, "errno %d", probe.error);
	CHECK(n < 5000 && errno == ENOSPC, "%u: %s", n, mshv_error());
	ktap_note("%u regions", n);
	CHECK(!madvise(memory, PAGE, MADV_DONTNEED));
	GUEST_READS(GPA, 0);
	/* One for one. */
	CHECK(!mshv_region_replace(probe.vm, GPA, memory + PAGE, PAGE, 0), "%s", mshv_error());
	CHECK(!mshv_region_remove(probe.vm, GPA, memory + PAGE, PAGE), "%s", mshv_error());
	CHECK(!mshv_region_add(probe.vm, GPA, memory, PAGE, 0), "%s", mshv_error());
	CHECK(mshv_region_add(probe.vm, GPA + PAGE, memory, PAGE, 0) == -1 && errno == ENOSPC, "%s",
	      mshv_error());
	probe_close(&probe);
	munmap(memory, BLOCK);
	return PASS;
}

static void nothing(int signal)
{
	(void)signal;
}

static enum ktap_result poisoned(void)
{
	uint8_t *memory = probe_memory(BLOCK, false);
	struct probe probe;
	uint64_t value;

	CHECK(!probe_open(&probe), "%s", mshv_error());
	CHECK(!mshv_region_add(probe.vm, GPA, memory, BLOCK, 0), "%s", mshv_error());
	CHECK(probe_write(&probe, GPA + PAGE, 1) == PROBE_DONE, "errno %d", probe.error);
	/* Linux tells the process; ignoring that would end it. */
	signal(SIGBUS, nothing);
	if (madvise(memory + PAGE, PAGE, 100 /* MADV_HWPOISON */)) {
		probe_close(&probe);
		return ktap_skip("MADV_HWPOISON: %s", strerror(errno));
	}
	CHECK(probe_read(&probe, GPA + PAGE, &value) == PROBE_ERROR && probe.error == EHWPOISON,
	      "errno %d", probe.error);
	/* Its neighbours are as good as ever. */
	CHECK(probe_write(&probe, GPA + 2 * PAGE, 1) == PROBE_DONE, "errno %d", probe.error);
	CHECK(probe_read(&probe, GPA, &value) == PROBE_DONE, "errno %d", probe.error);
	probe_close(&probe);
	return PASS;
}

struct supplier {
	int fd;
	volatile bool stop;
	unsigned int pages;
};

static void *supply(void *arg)
{
	static uint8_t page[4096] __attribute__((aligned(4096)));
	struct supplier *supplier = arg;
	struct uffd_msg message;

	while (!supplier->stop) {
		struct pollfd wait = { .fd = supplier->fd, .events = POLLIN };

		struct uffdio_copy copy = {
			.src = (uintptr_t)page, .len = PAGE,
		};

		if (poll(&wait, 1, 50) <= 0 ||
		    read(supplier->fd, &message, sizeof(message)) != sizeof(message))
			continue;
		copy.dst = message.arg.pagefault.address & ~(PAGE - 1);
		usleep(5000);
		*(uint64_t *)page = 0x1000 + supplier->pages++;
		ioctl(supplier->fd, UFFDIO_COPY, &copy);
	}
	return NULL;
}

/* Post-copy: the guest waits for each page, and nobody asks for pages it does not want. */
static enum ktap_result supplied(void)
{
	struct supplier supplier = { };
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	uint8_t *memory = probe_memory(BLOCK, false);
	struct probe probe;
	pthread_t thread;
	uint64_t value;
	unsigned int i;

	supplier.fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (supplier.fd < 0 || ioctl(supplier.fd, UFFDIO_API, &api))
		return ktap_skip("userfaultfd: %s", strerror(errno));
	reg.range.start = (uintptr_t)memory;
	reg.range.len = BLOCK;
	CHECK(!ioctl(supplier.fd, UFFDIO_REGISTER, &reg), "%s", strerror(errno));
	CHECK(!probe_open(&probe), "%s", mshv_error());
	CHECK(!mshv_region_add(probe.vm, GPA, memory, BLOCK, 0), "%s", mshv_error());
	CHECK(!pthread_create(&thread, NULL, supply, &supplier));
	for (i = 0; i < 40; i++) {
		CHECK(probe_read(&probe, GPA + i * PAGE, &value) == PROBE_DONE, "errno %d",
		      probe.error);
		CHECK(value == 0x1000 + i, "0x%llx", (unsigned long long)value);
	}
	CHECK(supplier.pages == 40, "%u asked for", supplier.pages);
	CHECK(!ioctl(supplier.fd, UFFDIO_UNREGISTER, &reg.range));
	supplier.stop = true;
	pthread_join(thread, NULL);
	close(supplier.fd);
	probe_close(&probe);
	return PASS;
}

int main(void)
{
	static const struct ktap_test tests[] = {
		{ "a guest's tables are charged to the VMM's cgroup", charged },
		{ "out of memory", out_of_memory },
		{ "locked memory has a limit", locked_memory },
		{ "as many regions as there may be", many_regions },
		{ "a poisoned page is an error, its neighbours are not", poisoned },
		{ "pages supplied by user space", supplied },
	};

	return KTAP_RUN(tests);
}
