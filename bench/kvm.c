// SPDX-License-Identifier: GPL-2.0-only
/*
 * The same guest on KVM: as much of a VMM as the payload "stamp" needs, which is a processor in long mode and two ports.
 *
 * Sources: Documentation/virt/kvm/api.rst; AMD64 APM vol. 2, segments in long mode.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../vmm/lib/libmshv.h"
#include "../vmm/demo/load.h"
#include "bench.h"

#define BLOCK		(2ull << 20)
#define CPUID_MAX	256u

/*
 * A command goes to the processor's thread when that asks for one; what it answers comes back the same way.
 * @wanted: there is one that the thread has not taken; @done: it has reported; @ended: there is no thread any more, and
 * @error says why
 */
struct bench_guest {
	int vm, vcpu;
	struct kvm_run *run;
	size_t run_size;
	uint8_t *mapping, *memory;
	uint64_t size;
	pthread_t thread;
	bool started;
	pthread_mutex_t lock;
	pthread_cond_t change;
	bool wanted, done, ended;
	enum guest_command command;
	uint32_t status, echo;
	char error[128];
};

static int kvm = -1;

static int start(void)
{
	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm < 0)
		return mshv_fail("/dev/kvm");
	if (ioctl(kvm, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
		return mshv_fail_because(ENOTTY, "/dev/kvm: another interface");
	return 0;
}

static void close_guest(struct bench_guest *guest)
{
	if (!guest)
		return;
	if (guest->started) {
		pthread_mutex_lock(&guest->lock);
		guest->command = GUEST_COMMAND_EXIT;
		guest->wanted = true;
		pthread_cond_broadcast(&guest->change);
		pthread_mutex_unlock(&guest->lock);
		pthread_join(guest->thread, NULL);
	}
	if (guest->run)
		munmap(guest->run, guest->run_size);
	if (guest->vcpu >= 0)
		close(guest->vcpu);
	if (guest->vm >= 0)
		close(guest->vm);
	if (guest->mapping)
		munmap(guest->mapping, guest->size + BLOCK);
	free(guest);
}

/* At a multiple of 2 MiB, so that huge pages can be mapped as such. */
static int add_memory(struct bench_guest *guest, uint64_t size, bool small)
{
	struct kvm_userspace_memory_region region = { .memory_size = size };
	void *mapping = mmap(NULL, size + BLOCK, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (mapping == MAP_FAILED)
		return mshv_fail("memory of the guest");
	guest->mapping = mapping;
	guest->size = size;
	guest->memory = guest->mapping + (-(uintptr_t)mapping & (BLOCK - 1));
	if (madvise(guest->memory, size, small ? MADV_NOHUGEPAGE : MADV_HUGEPAGE))
		return mshv_fail("madvise");
	region.userspace_addr = (uintptr_t)guest->memory;
	if (ioctl(guest->vm, KVM_SET_USER_MEMORY_REGION, &region))
		return mshv_fail("KVM_SET_USER_MEMORY_REGION");
	return 0;
}

static struct bench_guest *open_guest(uint64_t size, bool small)
{
	struct bench_guest *guest = calloc(1, sizeof(*guest));

	if (!guest)
		return NULL;
	guest->vcpu = -1;
	pthread_mutex_init(&guest->lock, NULL);
	pthread_cond_init(&guest->change, NULL);
	guest->vm = ioctl(kvm, KVM_CREATE_VM, 0);
	if (guest->vm < 0)
		mshv_fail("KVM_CREATE_VM");
	if (guest->vm < 0 || add_memory(guest, size, small)) {
		close_guest(guest);
		return NULL;
	}
	return guest;
}

/* What the guest is told of its processor: all that KVM offers. */
static int set_cpuid(struct bench_guest *guest)
{
	struct kvm_cpuid2 *cpuid = calloc(1, sizeof(*cpuid) + CPUID_MAX * sizeof(cpuid->entries[0]));
	int ret;

	if (!cpuid)
		return mshv_fail("memory");
	cpuid->nent = CPUID_MAX;
	ret = ioctl(kvm, KVM_GET_SUPPORTED_CPUID, cpuid) || ioctl(guest->vcpu, KVM_SET_CPUID2, cpuid);
	free(cpuid);
	return ret ? mshv_fail("CPUID") : 0;
}

/* As guest_abi.h wants a processor. */
static int set_registers(struct bench_guest *guest, uint64_t entry)
{
	const struct kvm_segment data = {
		.limit = ~0u, .selector = 0x10, .type = 3, .present = 1, .db = 1, .s = 1, .g = 1,
	};
	struct kvm_regs regs = {
		.rip = entry, .rflags = 2, .rdi = 0, .rsi = GUEST_BOOT,
		.rsp = GUEST_STACKS + GUEST_STACK_SIZE - 16,
	};
	struct kvm_sregs sregs;

	if (ioctl(guest->vcpu, KVM_GET_SREGS, &sregs))
		return mshv_fail("KVM_GET_SREGS");
	sregs.cs = (struct kvm_segment){
		.limit = ~0u, .selector = 0x08, .type = 11, .present = 1, .s = 1, .l = 1, .g = 1,
	};
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
	sregs.cr0 = 0x80000031;		/* PG, NE, ET, PE */
	sregs.cr3 = GUEST_PAGE_TABLES;
	sregs.cr4 = 0x20;		/* PAE */
	sregs.efer = 0x500;		/* LMA, LME */
	if (ioctl(guest->vcpu, KVM_SET_SREGS, &sregs))
		return mshv_fail("KVM_SET_SREGS");
	if (ioctl(guest->vcpu, KVM_SET_REGS, &regs))
		return mshv_fail("KVM_SET_REGS");
	return 0;
}

static void await_command(struct bench_guest *guest, uint32_t *value)
{
	pthread_mutex_lock(&guest->lock);
	while (!guest->wanted)
		pthread_cond_wait(&guest->change, &guest->lock);
	guest->wanted = false;
	*value = guest->command;
	pthread_mutex_unlock(&guest->lock);
}

static void report(struct bench_guest *guest, uint32_t status)
{
	pthread_mutex_lock(&guest->lock);
	guest->status = status;
	guest->done = true;
	pthread_cond_broadcast(&guest->change);
	pthread_mutex_unlock(&guest->lock);
}

static void port(struct bench_guest *guest)
{
	struct kvm_run *run = guest->run;
	uint32_t *value = (void *)((uint8_t *)run + run->io.data_offset);

	if (run->io.port == GUEST_PORT_COMMAND && run->io.direction == KVM_EXIT_IO_IN)
		await_command(guest, value);
	else if (run->io.port == GUEST_PORT_REPORT && run->io.direction == KVM_EXIT_IO_OUT)
		report(guest, *value);
	else if (run->io.port == GUEST_PORT_ECHO && run->io.direction == KVM_EXIT_IO_OUT)
		guest->echo = *value;
	else if (run->io.port == GUEST_PORT_ECHO)
		*value = ~guest->echo;
}

static void *run_guest(void *arg)
{
	struct bench_guest *guest = arg;
	const char *why = NULL;
	int ret;

	while (!why) {
		ret = ioctl(guest->vcpu, KVM_RUN, 0);
		if (ret < 0 && errno == EINTR)
			continue;
		if (ret < 0)
			why = strerror(errno);
		else if (guest->run->exit_reason == KVM_EXIT_IO)
			port(guest);
		else
			why = guest->run->exit_reason == KVM_EXIT_HLT ? "it halted" : "an exit that nobody expects";
	}
	pthread_mutex_lock(&guest->lock);
	guest->ended = true;
	snprintf(guest->error, sizeof(guest->error), "KVM_RUN: %s (exit %u)", why, guest->run->exit_reason);
	pthread_cond_broadcast(&guest->change);
	pthread_mutex_unlock(&guest->lock);
	return NULL;
}

static int boot(struct bench_guest *guest)
{
	uint64_t entry;
	void *run;
	int error;

	if (mshv_copy_payload(guest->memory, guest->size, "stamp", 1, &entry))
		return -1;
	guest->vcpu = ioctl(guest->vm, KVM_CREATE_VCPU, 0);
	if (guest->vcpu < 0)
		return mshv_fail("KVM_CREATE_VCPU");
	guest->run_size = (size_t)ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	run = mmap(NULL, guest->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, guest->vcpu, 0);
	if (run == MAP_FAILED)
		return mshv_fail("run page");
	guest->run = run;
	if (set_cpuid(guest) || set_registers(guest, entry))
		return -1;
	error = pthread_create(&guest->thread, NULL, run_guest, guest);
	if (error)
		return mshv_fail_because(error, "thread: %s", strerror(error));
	guest->started = true;
	return 0;
}

static uint8_t *memory(struct bench_guest *guest)
{
	return guest->memory;
}

static int does(struct bench_guest *guest, enum guest_command command, const struct guest_mailbox *args)
{
	int ret;

	pthread_mutex_lock(&guest->lock);
	*(struct guest_mailbox *)(void *)(guest->memory + GUEST_MAILBOX(0)) = *args;
	guest->command = command;
	guest->done = false;
	guest->wanted = true;
	pthread_cond_broadcast(&guest->change);
	while (!guest->done && !guest->ended)
		pthread_cond_wait(&guest->change, &guest->lock);
	ret = guest->done ? (int)guest->status : mshv_fail_because(EIO, "%s", guest->error);
	pthread_mutex_unlock(&guest->lock);
	return ret;
}

/* The processor's thread waits for a command, outside of KVM_RUN, so nobody waits for anybody. */
static int read_register(struct bench_guest *guest)
{
	struct kvm_regs regs;

	return ioctl(guest->vcpu, KVM_GET_REGS, &regs) ? mshv_fail("KVM_GET_REGS") : 0;
}

static int descriptor(struct bench_guest *guest)
{
	return guest->vm;
}

/* One value of a descriptor's statistics (KVM_GET_STATS_FD). Returns whether there is one. */
static bool statistic(int owner, const char *name, int64_t *value)
{
	struct kvm_stats_header header;
	struct kvm_stats_desc *desc;
	bool found = false;
	size_t size;
	uint32_t i;
	int fd = ioctl(owner, KVM_GET_STATS_FD, 0);

	if (fd < 0 || pread(fd, &header, sizeof(header), 0) != sizeof(header)) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	size = sizeof(*desc) + header.name_size;
	desc = malloc(size);
	for (i = 0; desc && i < header.num_desc && !found; i++) {
		if (pread(fd, desc, size, (off_t)(header.desc_offset + i * size)) != (ssize_t)size)
			break;
		found = !strcmp(desc->name, name) &&
			pread(fd, value, sizeof(*value), (off_t)(header.data_offset + desc->offset)) ==
				sizeof(*value);
	}
	free(desc);
	close(fd);
	return found;
}

/* KVM counts by guests, so what was counted is gone with one. */
static int count(struct bench_guest *guest, struct bench_counts *counts)
{
	*counts = (struct bench_counts){ 0 };
	if (!guest)
		return 0;
	counts->has[BENCH_INTERCEPTS] = guest->vcpu >= 0 &&
					statistic(guest->vcpu, "pf_taken", &counts->value[BENCH_INTERCEPTS]);
	counts->has[BENCH_SHOOTDOWNS] = statistic(guest->vm, "remote_tlb_flush_requests",
						  &counts->value[BENCH_SHOOTDOWNS]);
	return 0;
}

const struct bench_system bench_kvm = {
	.name = "kvm",
	.start = start,
	.open = open_guest,
	.boot = boot,
	.memory = memory,
	.does = does,
	.read_register = read_register,
	.fd = descriptor,
	.close = close_guest,
	.count = count,
};
