// SPDX-License-Identifier: GPL-2.0-only
/* See probe.h. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <hvabi/partition.h>
#include <hvabi/vp.h>
#include <uapi/mshv.h>

#include "load.h"
#include "probe.h"

#define BOOT_SIZE	(256u << 10)
#define PML4		0x1000u
#define PDPT		0x2000u
#define CODE		0x10000u

#define PTE_PRESENT	0x1ull
#define PTE_WRITE	0x2ull
#define PTE_ACCESSED	0x20ull
#define PTE_DIRTY	0x40ull
#define PTE_SIZE	0x80ull

/* Each ends with OUT to port 0x80, which stops the guest. */
static const uint8_t code_read[] = {
	0x48, 0x8b, 0x07,	/* mov (%rdi), %rax */
	0x48, 0x89, 0xc6,	/* mov %rax, %rsi */
	0xe6, 0x80,		/* out %al, $0x80 */
};

static const uint8_t code_write[] = {
	0x48, 0x89, 0x37,	/* mov %rsi, (%rdi) */
	0xe6, 0x80,		/* out %al, $0x80 */
};

#define CODE_READ	CODE
#define CODE_WRITE	(CODE + 0x100)

static void build_boot(uint8_t *boot)
{
	uint64_t *pml4 = (uint64_t *)(boot + PML4), *pdpt = (uint64_t *)(boot + PDPT);
	const uint64_t table = PTE_PRESENT | PTE_WRITE | PTE_ACCESSED;
	unsigned int i;

	pml4[0] = PDPT | table;
	for (i = 0; i < 512; i++)
		pdpt[i] = (uint64_t)i << 30 | table | PTE_DIRTY | PTE_SIZE;
	memcpy(boot + CODE_READ, code_read, sizeof(code_read));
	memcpy(boot + CODE_WRITE, code_write, sizeof(code_write));
}

static int boot_vcpu(struct probe *probe, unsigned int index)
{
	probe->vcpu = mshv_vcpu_create(probe->vm, index);
	if (!probe->vcpu)
		return -1;
	/* Long mode as for a payload, with tables of our own. */
	if (mshv_boot_vcpu(probe->vcpu, CODE_READ) ||
	    mshv_set_register(probe->vcpu, HVABI_REG_CR3, PML4))
		return -1;
	return 0;
}

static int open_vm(struct probe *probe, unsigned int flags)
{
	const struct mshv_vm_config config = {
		.size = sizeof(config),
		.flags = flags,
		.synthetic_features = flags & MSHV_VM_LAPIC ?
			HVABI_SYNTHETIC_HYPERVISOR_PRESENT | HVABI_SYNTHETIC_HV1 | HVABI_SYNTHETIC_SYNIC : 0,
	};

	memset(probe, 0, sizeof(*probe));
	/* Tests send it to threads that run a processor. */
	if (mshv_kick_signal(SIGUSR1))
		return -1;
	probe->vm = mshv_vm_create_with(&config);
	if (!probe->vm)
		return -1;
	probe->boot = mshv_memory_add(probe->vm, 0, BOOT_SIZE, MSHV_MEMORY_SMALL);
	if (!probe->boot)
		return -1;
	build_boot(probe->boot);
	return boot_vcpu(probe, 0);
}

int probe_open(struct probe *probe)
{
	return open_vm(probe, 0);
}

int probe_open_with_apic(struct probe *probe)
{
	return open_vm(probe, MSHV_VM_LAPIC);
}

static union {
	struct hvabi_local_apic_state apic;
	uint8_t page[PAGE];
} apic_page __attribute__((aligned(4096)));

static int get_apic(struct probe *probe)
{
	size_t size = sizeof(apic_page);

	return mshv_vcpu_get_state(probe->vcpu, MSHV_VP_STATE_LAPIC, &apic_page, &size);
}

static int set_apic(struct probe *probe)
{
	return mshv_vcpu_set_state(probe->vcpu, MSHV_VP_STATE_LAPIC, &apic_page, sizeof(apic_page));
}

int probe_enable_apic(struct probe *probe)
{
	if (get_apic(probe))
		return -1;
	apic_page.apic.spurious |= 0x1ff;
	return set_apic(probe);
}

int probe_take_interrupts(struct probe *probe, unsigned int *highest)
{
	uint32_t *irr = apic_page.apic.irr;
	unsigned int vector;
	int count = 0;

	*highest = 0;
	if (get_apic(probe))
		return -1;
	for (vector = 0; vector < 256; vector++) {
		if (!(irr[vector / 32] >> vector % 32 & 1))
			continue;
		count++;
		*highest = vector;
	}
	/* One that comes now must not be forgotten with those that were seen. */
	if (!count)
		return 0;
	memset(irr, 0, sizeof(apic_page.apic.irr));
	return set_apic(probe) ? -1 : count;
}

static void *memory_aligned(uint64_t size, bool huge)
{
	uint8_t *raw = mmap(NULL, size + BLOCK, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint8_t *start;

	if (raw == MAP_FAILED)
		return NULL;
	start = (uint8_t *)(((uintptr_t)raw + BLOCK - 1) & ~(BLOCK - 1));
	if (start > raw)
		munmap(raw, start - raw);
	munmap(start + size, raw + BLOCK - start);
	madvise(start, size, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	return start;
}

int probe_open_isolated(struct probe *probe)
{
	memset(probe, 0, sizeof(*probe));
	probe->vm = mshv_vm_create_with(&(struct mshv_vm_config){
		.size = sizeof(struct mshv_vm_config), .isolation = MSHV_ISOLATION_SNP,
	});
	probe->boot = memory_aligned(BOOT_SIZE, false);
	if (!probe->vm || !probe->boot)
		return -1;
	/* From the call on it is the guest's alone. */
	build_boot(probe->boot);
	if (mshv_region_add(probe->vm, 0, probe->boot, BOOT_SIZE, MSHV_MEMORY_PINNED))
		return -1;
	return boot_vcpu(probe, 0);
}

void *probe_open_with(struct probe *probe, uint64_t gpa, uint64_t size, bool huge)
{
	if (probe_open(probe))
		return NULL;
	probe_keep(probe, probe_memory(size, huge), size);
	return mshv_region_add(probe->vm, gpa, probe->memory, size, 0) ? NULL : probe->memory;
}

int probe_second(struct probe *second, const struct probe *first)
{
	uint64_t waits;

	memset(second, 0, sizeof(*second));
	second->vm = first->vm;
	if (boot_vcpu(second, 1) ||
	    mshv_get_register(second->vcpu, HVABI_REG_INTERNAL_ACTIVITY_STATE, &waits))
		return -1;
	/* One that has an APIC waits to be started. */
	return waits ? mshv_set_register(second->vcpu, HVABI_REG_INTERNAL_ACTIVITY_STATE, 0) : 0;
}

void probe_keep(struct probe *probe, void *memory, uint64_t size)
{
	probe->memory = memory;
	probe->memory_size = size;
}

void probe_close(struct probe *probe)
{
	if (probe->vcpu)
		mshv_vcpu_destroy(probe->vcpu);
	mshv_vm_destroy(probe->vm);
	if (probe->memory)
		munmap(probe->memory, probe->memory_size);
	memset(probe, 0, sizeof(*probe));
}

static enum probe_outcome run(struct probe *probe, uint64_t rip, uint64_t gpa, uint64_t rsi)
{
	struct hvabi_register_assoc regs[] = {
		{ .name = HVABI_REG_RIP, .value.reg64 = rip },
		{ .name = HVABI_REG_RDI, .value.reg64 = gpa },
		{ .name = HVABI_REG_RSI, .value.reg64 = rsi },
	};

	probe->error = 0;
	memset(&probe->message, 0, sizeof(probe->message));
	if (mshv_set_registers(probe->vcpu, regs, 3)) {
		probe->error = errno;
		return PROBE_ERROR;
	}
	while (mshv_vcpu_run(probe->vcpu, &probe->message)) {
		if (errno == EINTR && !probe->interruptible)
			continue;
		probe->error = errno;
		return PROBE_ERROR;
	}
	switch (probe->message.header.message_type) {
	case HVABI_MSG_X64_IO_PORT_INTERCEPT:
		return PROBE_DONE;
	case HVABI_MSG_UNMAPPED_GPA:
	case HVABI_MSG_GPA_INTERCEPT:
		return PROBE_VMM;
	}
	fprintf(stderr, "probe: message %s\n", mshv_message_name(probe->message.header.message_type));
	probe->error = EPROTO;
	return PROBE_ERROR;
}

enum probe_outcome probe_read(struct probe *probe, uint64_t gpa, uint64_t *value)
{
	enum probe_outcome outcome = run(probe, CODE_READ, gpa, 0);

	*value = 0;
	if (outcome == PROBE_DONE && mshv_get_register(probe->vcpu, HVABI_REG_RSI, value)) {
		probe->error = errno;
		return PROBE_ERROR;
	}
	return outcome;
}

enum probe_outcome probe_write(struct probe *probe, uint64_t gpa, uint64_t value)
{
	return run(probe, CODE_WRITE, gpa, value);
}

uint64_t probe_counter(struct probe *probe, unsigned int counter)
{
	static uint64_t counters[HVABI_COUNT_MAX];

	if (mshv_counters(probe->vm, counters, HVABI_COUNT_MAX)) {
		fprintf(stderr, "probe: %s\n", mshv_error());
		exit(1);
	}
	return counters[counter];
}

uint64_t probe_maps_taken(struct probe *probe)
{
	return probe_counter(probe, HVABI_COUNT_NO_ACCESS_4K) + probe_counter(probe, HVABI_COUNT_NO_ACCESS_2M);
}

int64_t probe_counted(unsigned int counter)
{
	static uint64_t counters[HVABI_COUNT_MAX];
	int64_t sum = 0;
	unsigned int cpu;

	for (cpu = 0; !mshv_processor_counters(cpu, counters, HVABI_COUNT_MAX); cpu++)
		sum += (int64_t)counters[counter];
	return sum;
}

uint64_t probe_stat(struct probe *probe, const char *key)
{
	uint64_t value;

	if (mshv_stat(probe->vm, key, &value)) {
		fprintf(stderr, "probe: %s\n", mshv_error());
		exit(1);
	}
	return value;
}

int64_t probe_lent(void)
{
	return probe_counted(HVABI_COUNT_PAGE_DEPOSITED) - probe_counted(HVABI_COUNT_PAGE_WITHDRAWN);
}

void *probe_memory(uint64_t size, bool huge)
{
	void *memory = memory_aligned(size, huge);

	if (!memory) {
		perror("probe: mmap");
		exit(1);
	}
	return memory;
}

static uint64_t pagemap(const void *address)
{
	uint64_t entry = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || pread(fd, &entry, 8, (uintptr_t)address / PAGE * 8) != 8)
		entry = 0;
	if (fd >= 0)
		close(fd);
	return entry;
}

uint64_t probe_pfn(const void *address)
{
	uint64_t entry = pagemap(address);

	return entry >> 63 ? entry & ((1ull << 55) - 1) : 0;
}

bool probe_swapped(const void *address)
{
	return pagemap(address) >> 62 & 1;
}

bool probe_reachable(uint64_t pfn)
{
	struct hvabi_output_debug_who_can_reach answer;

	return mshv_who_can_reach(NULL, pfn, &answer) || answer.found;
}

int probe_load_driver_with(const char *parameters)
{
	struct utsname name;
	char path[512];
	int fd, ret;

	uname(&name);
	snprintf(path, sizeof(path), "/lib/modules/%s/updates/mshv_movable.ko", name.release);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return ENOENT;
	ret = syscall(SYS_finit_module, fd, parameters, 0) ? errno : 0;
	close(fd);
	return ret;
}

int probe_load_driver(void)
{
	return probe_load_driver_with("debug_hypercalls=1");
}

int probe_unload_driver(void)
{
	return syscall(SYS_delete_module, "mshv_movable", O_NONBLOCK) ? errno : 0;
}

void probe_print_waits(void)
{
	fflush(stdout);
	if (system("for p in /proc/[0-9]*; do grep -q '^State:.D' $p/status 2>/dev/null || [ \"$(cat $p/cmdline)\" ] || continue;"
		   " sed -n 's/^\\(Name\\|State\\|Pid\\):/# &/p' $p/status; sed 's/^/#   /' $p/stack; done 2>/dev/null"))
		printf("# where processes wait is not known\n");
}

long probe_proc(const char *file, const char *key)
{
	char line[256];
	long value = -1;
	FILE *f = fopen(file, "re");

	while (f && value < 0 && fgets(line, sizeof(line), f))
		if (!strncmp(line, key, strlen(key)) && line[strlen(key)] == ':')
			value = strtol(line + strlen(key) + 1, NULL, 10);
	if (f)
		fclose(f);
	return value;
}
