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

#define CPUID_MAX	256u

/*
 * A command goes to the processor's thread when that asks for one; what it answers comes back the same way.
 * @wanted: there is one that the thread has not taken; @done: it has reported; @ended: there is no thread any more, and
 * @error says why
 */
struct processor {
	struct bench_guest *guest;
	int fd;
	struct kvm_run *run;
	pthread_t thread;
	bool started;
	bool wanted, done, ended;
	enum guest_command command;
	uint32_t status, echo;
	char error[128];
};

/* @lock: of what goes to and comes from threads, all processors'; @change: something of that changed */
struct bench_guest {
	int vm;
	size_t run_size;
	uint8_t *memory;
	void *mapping;
	uint64_t size, mapped;
	pthread_mutex_t lock;
	pthread_cond_t change;
	unsigned int vps;
	struct processor vp[BENCH_VPS_MAX];
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

static void end_processor(struct processor *vp)
{
	struct bench_guest *guest = vp->guest;

	if (vp->started) {
		pthread_mutex_lock(&guest->lock);
		vp->command = GUEST_COMMAND_EXIT;
		vp->wanted = true;
		pthread_cond_broadcast(&guest->change);
		pthread_mutex_unlock(&guest->lock);
		pthread_join(vp->thread, NULL);
	}
	if (vp->run)
		munmap(vp->run, guest->run_size);
	if (vp->fd >= 0)
		close(vp->fd);
}

static void close_guest(struct bench_guest *guest)
{
	unsigned int i;

	if (!guest)
		return;
	for (i = 0; i < guest->vps; i++)
		end_processor(&guest->vp[i]);
	if (guest->vm >= 0)
		close(guest->vm);
	if (guest->mapping)
		munmap(guest->mapping, guest->mapped);
	pthread_cond_destroy(&guest->change);
	pthread_mutex_destroy(&guest->lock);
	free(guest);
}

static int set_memory(struct bench_guest *guest, uint32_t flags)
{
	struct kvm_userspace_memory_region region = {
		.flags = flags, .memory_size = guest->size, .userspace_addr = (uintptr_t)guest->memory,
	};

	return ioctl(guest->vm, KVM_SET_USER_MEMORY_REGION, &region) ? mshv_fail("KVM_SET_USER_MEMORY_REGION") : 0;
}

static struct bench_guest *open_guest(uint64_t size, enum bench_pages pages, unsigned int vps)
{
	struct bench_guest *guest = calloc(1, sizeof(*guest));
	unsigned int i;

	if (!guest)
		return NULL;
	guest->vps = vps;
	for (i = 0; i < vps; i++) {
		guest->vp[i].guest = guest;
		guest->vp[i].fd = -1;
	}
	pthread_mutex_init(&guest->lock, NULL);
	pthread_cond_init(&guest->change, NULL);
	guest->size = size;
	guest->vm = ioctl(kvm, KVM_CREATE_VM, 0);
	if (guest->vm < 0)
		mshv_fail("KVM_CREATE_VM");
	else
		guest->memory = bench_memory(size, pages, &guest->mapping, &guest->mapped);
	if (!guest->memory || set_memory(guest, 0)) {
		close_guest(guest);
		return NULL;
	}
	return guest;
}

/* What the guest is told of its processor: all that KVM offers. */
static int set_cpuid(int vcpu)
{
	struct kvm_cpuid2 *cpuid = calloc(1, sizeof(*cpuid) + CPUID_MAX * sizeof(cpuid->entries[0]));
	int ret;

	if (!cpuid)
		return mshv_fail("memory");
	cpuid->nent = CPUID_MAX;
	ret = ioctl(kvm, KVM_GET_SUPPORTED_CPUID, cpuid) || ioctl(vcpu, KVM_SET_CPUID2, cpuid);
	free(cpuid);
	return ret ? mshv_fail("CPUID") : 0;
}

/* As guest_abi.h wants a processor. */
static int set_registers(int vcpu, unsigned int index, uint64_t entry)
{
	const struct kvm_segment data = {
		.limit = ~0u, .selector = 0x10, .type = 3, .present = 1, .db = 1, .s = 1, .g = 1,
	};
	struct kvm_regs regs = {
		.rip = entry, .rflags = 2, .rdi = index, .rsi = GUEST_BOOT,
		.rsp = GUEST_STACKS + (index + 1ull) * GUEST_STACK_SIZE - 16,
	};
	struct kvm_sregs sregs;

	if (ioctl(vcpu, KVM_GET_SREGS, &sregs))
		return mshv_fail("KVM_GET_SREGS");
	sregs.cs = (struct kvm_segment){
		.limit = ~0u, .selector = 0x08, .type = 11, .present = 1, .s = 1, .l = 1, .g = 1,
	};
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
	sregs.cr0 = 0x80000031;		/* PG, NE, ET, PE */
	sregs.cr3 = GUEST_PAGE_TABLES;
	sregs.cr4 = 0x20;		/* PAE */
	sregs.efer = 0x500;		/* LMA, LME */
	if (ioctl(vcpu, KVM_SET_SREGS, &sregs))
		return mshv_fail("KVM_SET_SREGS");
	if (ioctl(vcpu, KVM_SET_REGS, &regs))
		return mshv_fail("KVM_SET_REGS");
	return 0;
}

static void await_command(struct processor *vp, uint32_t *value)
{
	struct bench_guest *guest = vp->guest;

	pthread_mutex_lock(&guest->lock);
	while (!vp->wanted)
		pthread_cond_wait(&guest->change, &guest->lock);
	vp->wanted = false;
	*value = vp->command;
	pthread_mutex_unlock(&guest->lock);
}

static void report(struct processor *vp, uint32_t status)
{
	pthread_mutex_lock(&vp->guest->lock);
	vp->status = status;
	vp->done = true;
	pthread_cond_broadcast(&vp->guest->change);
	pthread_mutex_unlock(&vp->guest->lock);
}

static void port(struct processor *vp)
{
	struct kvm_run *run = vp->run;
	uint32_t *value = (void *)((uint8_t *)run + run->io.data_offset);

	if (run->io.port == GUEST_PORT_COMMAND && run->io.direction == KVM_EXIT_IO_IN)
		await_command(vp, value);
	else if (run->io.port == GUEST_PORT_REPORT && run->io.direction == KVM_EXIT_IO_OUT)
		report(vp, *value);
	else if (run->io.port == GUEST_PORT_ECHO && run->io.direction == KVM_EXIT_IO_OUT)
		vp->echo = *value;
	else if (run->io.port == GUEST_PORT_ECHO)
		*value = ~vp->echo;
}

static void *run_processor(void *arg)
{
	struct processor *vp = arg;
	const char *why = NULL;
	int ret;

	while (!why) {
		ret = ioctl(vp->fd, KVM_RUN, 0);
		if (ret < 0 && errno == EINTR)
			continue;
		if (ret < 0)
			why = strerror(errno);
		else if (vp->run->exit_reason == KVM_EXIT_IO)
			port(vp);
		else
			why = vp->run->exit_reason == KVM_EXIT_HLT ? "it halted" : "an exit that nobody expects";
	}
	pthread_mutex_lock(&vp->guest->lock);
	vp->ended = true;
	snprintf(vp->error, sizeof(vp->error), "KVM_RUN: %s (exit %u)", why, vp->run->exit_reason);
	pthread_cond_broadcast(&vp->guest->change);
	pthread_mutex_unlock(&vp->guest->lock);
	return NULL;
}

static int boot_processor(struct bench_guest *guest, unsigned int index, uint64_t entry)
{
	struct processor *vp = &guest->vp[index];
	void *run;
	int error;

	vp->fd = ioctl(guest->vm, KVM_CREATE_VCPU, index);
	if (vp->fd < 0)
		return mshv_fail("KVM_CREATE_VCPU");
	run = mmap(NULL, guest->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vp->fd, 0);
	if (run == MAP_FAILED)
		return mshv_fail("run page");
	vp->run = run;
	if (set_cpuid(vp->fd) || set_registers(vp->fd, index, entry))
		return -1;
	error = pthread_create(&vp->thread, NULL, run_processor, vp);
	if (error)
		return mshv_fail_because(error, "thread: %s", strerror(error));
	vp->started = true;
	return 0;
}

static int boot(struct bench_guest *guest)
{
	uint64_t entry;
	unsigned int i;

	if (mshv_copy_payload(guest->memory, guest->size, "stamp", guest->vps, &entry))
		return -1;
	guest->run_size = (size_t)ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	for (i = 0; i < guest->vps; i++)
		if (boot_processor(guest, i, entry))
			return -1;
	return 0;
}

static uint8_t *memory(struct bench_guest *guest)
{
	return guest->memory;
}

static int begin(struct bench_guest *guest, unsigned int index, enum guest_command command,
		 const struct guest_mailbox *args)
{
	struct processor *vp = &guest->vp[index];

	pthread_mutex_lock(&guest->lock);
	*(struct guest_mailbox *)(void *)(guest->memory + GUEST_MAILBOX(index)) = *args;
	vp->command = command;
	vp->done = false;
	vp->wanted = true;
	pthread_cond_broadcast(&guest->change);
	pthread_mutex_unlock(&guest->lock);
	return 0;
}

static int await(struct bench_guest *guest, unsigned int index)
{
	struct processor *vp = &guest->vp[index];
	int ret;

	pthread_mutex_lock(&guest->lock);
	while (!vp->done && !vp->ended)
		pthread_cond_wait(&guest->change, &guest->lock);
	ret = vp->done ? (int)vp->status : mshv_fail_because(EIO, "%s", vp->error);
	pthread_mutex_unlock(&guest->lock);
	return ret;
}

/* The processor's thread waits for a command, outside of KVM_RUN, so nobody waits for anybody. */
static int read_register(struct bench_guest *guest)
{
	struct kvm_regs regs;

	return ioctl(guest->vp[0].fd, KVM_GET_REGS, &regs) ? mshv_fail("KVM_GET_REGS") : 0;
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

static int track(struct bench_guest *guest, bool on)
{
	return set_memory(guest, on ? KVM_MEM_LOG_DIRTY_PAGES : 0);
}

static int written(struct bench_guest *guest, uint64_t *bits)
{
	struct kvm_dirty_log log = { .dirty_bitmap = bits };

	return ioctl(guest->vm, KVM_GET_DIRTY_LOG, &log) ? mshv_fail("KVM_GET_DIRTY_LOG") : 0;
}

static int large(struct bench_guest *guest, uint64_t *bytes)
{
	int64_t pages;

	if (!statistic(guest->vm, "pages_2m", &pages))
		return mshv_fail_because(ENOENT, "KVM does not say what is mapped large");
	*bytes = (uint64_t)pages * BLOCK;
	return 0;
}

/* KVM counts by guests, so what was counted is gone with one. */
static int count(struct bench_guest *guest, struct bench_counts *counts)
{
	unsigned int i;
	int64_t taken;

	*counts = (struct bench_counts){ 0 };
	if (!guest)
		return 0;
	for (i = 0; i < guest->vps; i++) {
		if (guest->vp[i].fd < 0 || !statistic(guest->vp[i].fd, "pf_taken", &taken))
			continue;
		counts->has[BENCH_INTERCEPTS] = true;
		counts->value[BENCH_INTERCEPTS] += taken;
	}
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
	.begin = begin,
	.wait = await,
	.read_register = read_register,
	.track = track,
	.written = written,
	.large = large,
	.fd = descriptor,
	.close = close_guest,
	.count = count,
};
