// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guests come and go, in good order and in bad, and all memory comes back: law 10 and case 14.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <session.h>
#include <uapi/mshv.h>

#include "ktap.h"
#include "probe.h"

#define LOOPS	40

static uint64_t parent_counter(unsigned int counter)
{
	static uint64_t counters[HVABI_COUNT_MAX];

	return mshv_counters(NULL, counters) ? ~0ull : counters[counter];
}

/* MemFree after everything that is freed late has been freed, in KiB. */
static long mem_free(void)
{
	int i;

	for (i = 0; i < 3; i++) {
		int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);

		if (fd >= 0) {
			if (write(fd, "3", 1) != 1)
				perror("drop_caches");
			close(fd);
		}
		usleep(100000);
	}
	return probe_proc("/proc/meminfo", "MemFree");
}

static enum ktap_result one_guest(bool clean)
{
	struct probe probe;
	uint8_t *memory;
	unsigned int i;

	CHECK(!probe_open(&probe), "%s", mshv_error());
	memory = probe_memory(8 * BLOCK, false);
	CHECK(!mshv_region_add(probe.vm, PROBE_FREE, memory, 8 * BLOCK, 0), "%s", mshv_error());
	for (i = 0; i < 64; i++)
		CHECK(probe_write(&probe, PROBE_FREE + i * 60 * PAGE, i) == PROBE_DONE, "%d",
		      probe.error);
	if (clean)
		CHECK(!mshv_region_remove(probe.vm, PROBE_FREE, memory, 8 * BLOCK), "%s",
		      mshv_error());
	probe_close(&probe);
	munmap(memory, 8 * BLOCK);
	return PASS;
}

static enum ktap_result create_destroy(void)
{
	int64_t before;
	long memory;
	int i;

	CHECK_PASS(one_guest(true));
	before = probe_lent();
	memory = mem_free();
	for (i = 0; i < LOOPS; i++)
		CHECK_PASS(one_guest(i & 1));
	CHECK(probe_lent() == before, "%lld pages lent, before %lld", (long long)probe_lent(),
	      (long long)before);
	memory -= mem_free();
	ktap_note("%ld KiB less free after %d guests", memory, LOOPS);
	CHECK(memory < LOOPS * 64, "%ld KiB gone", memory);
	return PASS;
}

/* A partition in each stage of its youth, closed there. */
static enum ktap_result half_made(void)
{
	struct mshv_create_partition args = { };
	struct mshv_create_vp vp = { };
	int64_t before = probe_lent();
	int device = open("/dev/mshv", O_RDWR | O_CLOEXEC);
	int stage, fd, vp_fd;

	CHECK(device >= 0);
	for (stage = 0; stage < 9; stage++) {
		fd = ioctl(device, MSHV_CREATE_PARTITION, &args);
		CHECK(fd >= 0, "%s", strerror(errno));
		if (stage % 3 > 0)
			CHECK(!ioctl(fd, MSHV_INITIALIZE_PARTITION), "%s", strerror(errno));
		vp_fd = -1;
		if (stage % 3 > 1) {
			vp_fd = ioctl(fd, MSHV_CREATE_VP, &vp);
			CHECK(vp_fd >= 0, "%s", strerror(errno));
		}
		/* Either descriptor may be the last. */
		if (stage & 1) {
			close(fd);
			close(vp_fd);
		} else {
			close(vp_fd);
			close(fd);
		}
	}
	close(device);
	CHECK(probe_lent() == before, "%lld pages lent, before %lld", (long long)probe_lent(),
	      (long long)before);
	return PASS;
}

/* A VMM whose two processors run and stamp memory for ever. Tells through the pipe when they do. */
static void busy_vmm(int ready)
{
	struct mshv_session_config config = { .memory_size = 64 << 20, .vps = 2 };
	struct guest_mailbox args = { .first_gfn = GUEST_FREE / PAGE, .pages = 8192, .stride = 2,
				      .version = 1 };
	struct mshv_session *s = mshv_session_open(&config);

	if (!s || mshv_session_boot(s, "stamp"))
		_exit(1);
	args.rounds = 1;
	for (args.offset = 0; args.offset < 2; args.offset++) {
		if (mshv_session_command(s, args.offset, GUEST_COMMAND_STAMP, &args) ||
		    mshv_session_wait(s, args.offset, 60))
			_exit(2);
	}
	args.rounds = 0;
	for (args.offset = 0; args.offset < 2; args.offset++)
		if (mshv_session_command(s, args.offset, GUEST_COMMAND_UPDATE, &args))
			_exit(3);
	if (write(ready, "r", 1) != 1)
		_exit(4);
	for (;;)
		pause();
}

static enum ktap_result killed(void)
{
	int64_t before = probe_lent();
	int i, status, fds[2];
	long memory = 0, slab = 0;
	char byte;
	pid_t pid;

	for (i = 0; i < 7; i++) {
		/* The first one fills caches. */
		if (i == 1) {
			memory = mem_free();
			slab = probe_proc("/proc/meminfo", "SUnreclaim");
		}
		CHECK(!pipe(fds));
		pid = fork();
		if (!pid)
			busy_vmm(fds[1]);
		close(fds[1]);
		CHECK(read(fds[0], &byte, 1) == 1, "the VMM does not come up");
		close(fds[0]);
		usleep(300000);
		CHECK(!kill(pid, SIGKILL));
		CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status), "0x%x", status);
	}
	CHECK(probe_lent() == before, "%lld pages lent, before %lld", (long long)probe_lent(),
	      (long long)before);
	memory -= mem_free();
	ktap_note("%ld KiB less free", memory);
	/*
	 * Six guests had touched 32 MiB each; the lists of free pages that each CPU keeps are some
	 * MiB, and what KASAN keeps back is some more.
	 */
	CHECK(memory < 64 << 10, "%ld KiB gone", memory);
	CHECK(probe_proc("/proc/meminfo", "SUnreclaim") < slab + 512, "%ld KiB, before %ld",
	      probe_proc("/proc/meminfo", "SUnreclaim"), slab);
	return PASS;
}

/* The descriptor lives on in another process, the address space does not. */
static enum ktap_result outlived(void)
{
	struct mshv_user_mem_region region = { .size = PAGE, .guest_pfn = 1 << 20, .flags = 1 };
	int64_t before = probe_lent();
	int status, fd, i, sync[2];
	uint64_t pfn = 0;
	struct hvabi_output_debug_who_can_reach answer;
	struct probe probe;
	pid_t pid;
	char byte = 0;
	void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CHECK(!pipe(sync));
	pid = fork();
	if (!pid) {
		uint8_t *memory = probe_memory(BLOCK, false);
		pid_t heir;

		if (probe_open(&probe) ||
		    mshv_region_add(probe.vm, PROBE_FREE, memory, BLOCK, 0) ||
		    probe_write(&probe, PROBE_FREE, 1) != PROBE_DONE)
			_exit(1);
		*(volatile uint64_t *)page = probe_pfn(memory);
		heir = fork();
		if (heir)
			_exit(0);
		/* The heir waits until the maker is gone. */
		while (getppid() != 1)
			usleep(10000);
		usleep(100000);
		pfn = *(volatile uint64_t *)page;
		region.userspace_addr = (uintptr_t)memory;
		fd = mshv_vm_fd(probe.vm);
		byte = 'k';
		if (mshv_who_can_reach(NULL, pfn, &answer) || answer.found)
			byte = 'r';
		if (ioctl(fd, MSHV_SET_GUEST_MEMORY, &region) != -1 || errno != EPERM)
			byte = 'm';
		if (probe_write(&probe, PROBE_FREE, 1) != PROBE_ERROR || probe.error != EPERM)
			byte = 'w';
		if (write(sync[1], &byte, 1) != 1)
			_exit(1);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && !status, "0x%x", status);
	close(sync[1]);
	CHECK(read(sync[0], &byte, 1) == 1, "no answer");
	CHECK(byte == 'k', "r: page still reachable, m: memory accepted, w: processor runs: %c", byte);
	close(sync[0]);
	munmap(page, PAGE);
	/* The heir goes when it has answered. */
	for (i = 0; i < 100 && probe_lent() != before; i++)
		usleep(50000);
	CHECK(probe_lent() == before, "%lld pages lent, before %lld", (long long)probe_lent(),
	      (long long)before);
	return PASS;
}

/* RUN_VP ends at a signal, also while the guest spins without leaving. */
static void *spin(void *arg)
{
	struct probe *probe = arg;
	struct hvabi_message message;
	/* jmp . */
	probe->boot[0x11000] = 0xeb;
	probe->boot[0x11001] = 0xfe;
	mshv_set_register(probe->vcpu, HVABI_REG_RIP, 0x11000);
	probe->error = mshv_vcpu_run(probe->vcpu, &message) ? errno : 0;
	return NULL;
}

static void nothing(int signal)
{
	(void)signal;
}

static enum ktap_result interrupted(void)
{
	struct sigaction action = { .sa_handler = nothing };
	struct probe probe;
	pthread_t thread;
	int i;

	sigaction(SIGUSR1, &action, NULL);
	CHECK(!probe_open(&probe), "%s", mshv_error());
	for (i = 0; i < 20; i++) {
		CHECK(!pthread_create(&thread, NULL, spin, &probe));
		usleep(20000);
		do
			pthread_kill(thread, SIGUSR1);
		while (pthread_tryjoin_np(thread, NULL) && !usleep(20000));
		CHECK(probe.error == EINTR, "%d", probe.error);
	}
	probe_close(&probe);
	return PASS;
}

int main(void)
{
	static const struct ktap_test tests[] = {
		{ "create and destroy", create_destroy },
		{ "half-made partitions", half_made },
		{ "a VMM killed while its guest runs", killed },
		{ "a descriptor that outlives the address space", outlived },
		{ "a signal ends RUN_VP", interrupted },
	};

	if (parent_counter(0) == ~0ull) {
		printf("Bail out! no counters: %s\n", mshv_error());
		return 1;
	}
	return KTAP_RUN(tests);
}
