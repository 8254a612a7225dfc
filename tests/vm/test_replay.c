// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a VMM such as cloud-hypervisor asks of /dev/mshv from open to its guest's end, in its order and with its
 * values, and every answer in detail: errno, status and repetitions that are written back, each field of the messages.
 *
 * Nothing here is known to one driver only: the same program judges Linux's own (make test-peer). So nothing may use
 * an extension, a debug call, or statistics. The steps build on each other; after one that fails others may, too.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include <hvabi/memory.h>
#include <hvabi/status.h>
#include <libmshv.h>
#include <uapi/mshv.h>

#include "ktap.h"

#define PAGE		4096ull
#define MEMORY		(4ull << 20)
#define VPS		2u
#define QUEUES		40u
#define WAKE_UPS	200u

/* The guest: 32-bit protected mode, flat, as a VMM leaves it to a kernel. */
#define CODE		0x1000u
#define GDT		0x2000u
#define IDT		0x3000u
#define HANDLERS	0x4000u
#define STACK		0x9000u
#define DOORBELL	0xfe000000u
#define DEVICE		0xd0000000u
#define VECTOR_EDGE	0x41u
#define VECTOR_LEVEL	0x42u
#define VECTOR_NMI	2u
/* Linux's driver finds a resampled interrupt by a GSI that is its vector. */
#define GSI_LEVEL	VECTOR_LEVEL

#define PORT_DONE	0x80u
#define PORT_INTERRUPT	0x81u

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

typedef unsigned long long ull;

static int device = -1, vm = -1, vp[VPS] = { -1, -1 };
static uint8_t *memory;
static struct hvabi_vp_register_page *page[VPS];
static int doorbell = -1, interrupt = -1, level = -1;
static uint64_t host_features[2], assignable;
static union {
	struct hvabi_message message;
	struct mshv_run_vp args;
} run;

#define REFUSED(error, call) \
	do { \
		int got_ = (call); \
		CHECK(got_ == -1 && errno == (error), "%d, %s", got_, strerror(errno)); \
	} while (0)

/* ---- hypercalls, and what is written back of them ---- */

/* Errno of the ioctl or 0; reps and status as they come back. */
static int hypercall(int fd, uint16_t code, uint16_t *reps, uint16_t *status, void *in, size_t in_size, void *out,
		     size_t out_size)
{
	struct mshv_root_hvcall args = {
		.code = code,
		.reps = *reps,
		.in_sz = (uint16_t)in_size,
		.out_sz = (uint16_t)out_size,
		.in_ptr = (uintptr_t)in,
		.out_ptr = (uintptr_t)out,
	};
	int ret = ioctl(fd, MSHV_ROOT_HVCALL, &args);

	*reps = args.reps;
	*status = args.status;
	return ret ? errno : 0;
}

#define DONE(fd, code, wanted, in, in_size, out, out_size) \
	do { \
		uint16_t reps_ = (wanted), status_ = 0xffff; \
		int error_ = hypercall(fd, code, &reps_, &status_, in, in_size, out, out_size); \
		CHECK(!error_ && !status_ && reps_ == (wanted), "%s: %s, status 0x%x, %u reps", #code, \
		      strerror(error_), status_, reps_); \
	} while (0)

static enum ktap_result get_property(int fd, uint32_t code, uint64_t *value)
{
	struct hvabi_input_get_partition_property in = { .property_code = code };

	*value = 0x5555555555555555ull;
	DONE(fd, HVABI_CALL_GET_PARTITION_PROPERTY, 0, &in, sizeof(in), value, sizeof(*value));
	return PASS;
}

static enum ktap_result set_property(uint32_t code, uint64_t value)
{
	struct hvabi_input_set_partition_property in = { .property_code = code, .property_value = value };

	DONE(vm, HVABI_CALL_SET_PARTITION_PROPERTY, 0, &in, sizeof(in), NULL, 0);
	return PASS;
}

static enum ktap_result property_is(uint32_t code, uint64_t expected)
{
	uint64_t value;

	CHECK_PASS(get_property(vm, code, &value));
	CHECK(value == expected, "property 0x%x: 0x%llx, not 0x%llx", code, (ull)value, (ull)expected);
	return PASS;
}

#define REGISTERS_MAX	32u

static enum ktap_result get_registers(unsigned int i, const uint32_t *names, union hvabi_register_value *values,
				      unsigned int count)
{
	union {
		struct hvabi_input_get_vp_registers in;
		uint8_t bytes[sizeof(struct hvabi_input_get_vp_registers) + REGISTERS_MAX * sizeof(uint32_t)];
	} u = { .in.vp_index = i };

	memcpy(u.bytes + sizeof(u.in), names, count * sizeof(*names));
	memset(values, 0x55, count * sizeof(*values));
	DONE(vp[i], HVABI_CALL_GET_VP_REGISTERS, count, &u, sizeof(u.in) + count * sizeof(*names), values,
	     count * sizeof(*values));
	return PASS;
}

static enum ktap_result set_registers(unsigned int i, const struct hvabi_register_assoc *regs, unsigned int count)
{
	union {
		struct hvabi_input_set_vp_registers in;
		uint8_t bytes[sizeof(struct hvabi_input_set_vp_registers) +
			      REGISTERS_MAX * sizeof(struct hvabi_register_assoc)];
	} u = { .in.vp_index = i };

	memcpy(u.bytes + sizeof(u.in), regs, count * sizeof(*regs));
	DONE(vp[i], HVABI_CALL_SET_VP_REGISTERS, count, &u, sizeof(u.in) + count * sizeof(*regs), NULL, 0);
	return PASS;
}

/* Sets them, and reads the same 16 bytes of each. */
static enum ktap_result registers_stay(unsigned int i, const struct hvabi_register_assoc *regs, unsigned int count)
{
	union hvabi_register_value values[REGISTERS_MAX];
	uint32_t names[REGISTERS_MAX];
	unsigned int n;

	CHECK_PASS(set_registers(i, regs, count));
	for (n = 0; n < count; n++)
		names[n] = regs[n].name;
	CHECK_PASS(get_registers(i, names, values, count));
	for (n = 0; n < count; n++)
		CHECK(!memcmp(&values[n], &regs[n].value, sizeof(values[n])), "register 0x%x: 0x%llx%016llx", names[n],
		      (ull)values[n].reg128.high, (ull)values[n].reg128.low);
	return PASS;
}

static enum ktap_result set_rip(uint64_t rip)
{
	const struct hvabi_register_assoc reg = mshv_scalar(HVABI_REG_RIP, rip);

	return set_registers(0, &reg, 1);
}

/* ---- from open to the first instruction ---- */

static enum ktap_result host(void)
{
	struct hvabi_input_get_partition_property bad = { .property_code = 0x00ffffff };
	struct hvabi_input_set_partition_property set = { .property_code = HVABI_PROPERTY_TIME_FREEZE };
	union {
		struct hvabi_output_property_bank bank;
		uint8_t bytes[HVABI_PROPERTY_EX_OUTPUT_MAX];
	} out = { 0 };
	struct hvabi_input_get_partition_property_ex in = {
		.property_code = HVABI_PROPERTY_ASSIGNABLE_SYNTHETIC_PROC_FEATURES,
	};
	uint16_t reps = 0, status = 0;
	uint64_t value;

	device = open("/dev/mshv", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	CHECK(device >= 0, "%s", strerror(errno));
	CHECK_PASS(get_property(device, HVABI_PROPERTY_PROCESSOR_FEATURES0, &host_features[0]));
	CHECK_PASS(get_property(device, HVABI_PROPERTY_PROCESSOR_FEATURES1, &host_features[1]));
	CHECK(host_features[0], "a processor without features");
	DONE(device, HVABI_CALL_GET_PARTITION_PROPERTY_EX, 0, &in, sizeof(in), &out, sizeof(out));
	CHECK(out.bank.bank_count == 1, "%u", out.bank.bank_count);
	assignable = out.bank.bank[0];
	CHECK(!(MSHV_SYNTHETIC_LINUX & ~assignable), "0x%llx", (ull)assignable);
	CHECK(hypercall(device, HVABI_CALL_GET_PARTITION_PROPERTY, &reps, &status, &bad, sizeof(bad), &value, 8) &&
	      status, "status 0x%x of a property that is none", status);
	/* The parent's own properties are not for sale. */
	CHECK(hypercall(device, HVABI_CALL_SET_PARTITION_PROPERTY, &reps, &status, &set, sizeof(set), NULL, 0) == EINVAL);
	REFUSED(ENOTTY, ioctl(device, MSHV_INITIALIZE_PARTITION));
	return PASS;
}

static enum ktap_result create(void)
{
	struct mshv_create_partition_v2 args = {
		.pt_flags = 1 << MSHV_PT_BIT_LAPIC | 1 << MSHV_PT_BIT_X2APIC | 1 << MSHV_PT_BIT_GPA_SUPER_PAGES |
			    1 << MSHV_PT_BIT_CPU_AND_XSAVE_FEATURES | 1 << MSHV_PT_BIT_SMT_ENABLED_GUEST,
		.pt_num_cpu_fbanks = MSHV_NUM_CPU_FEATURES_BANKS,
	}, bad;

	bad = args;
	bad.pt_flags |= 1ull << MSHV_PT_BIT_COUNT;
	REFUSED(EINVAL, ioctl(device, MSHV_CREATE_PARTITION, &bad));
	bad = args;
	bad.pt_isolation = 7;
	REFUSED(EINVAL, ioctl(device, MSHV_CREATE_PARTITION, &bad));
	bad = args;
	bad.pt_num_cpu_fbanks = 1;
	REFUSED(EINVAL, ioctl(device, MSHV_CREATE_PARTITION, &bad));
	bad = args;
	bad.pt_rsvd1[1] = 1;
	REFUSED(EINVAL, ioctl(device, MSHV_CREATE_PARTITION, &bad));
	REFUSED(EFAULT, ioctl(device, MSHV_CREATE_PARTITION, NULL));
	/* Set: disabled. Of what the host has, all but this and nesting. */
	args.pt_cpu_fbanks[0] = ~host_features[0] | 1ull << 63;
	args.pt_cpu_fbanks[1] = ~host_features[1] | 1ull << 6;
	vm = ioctl(device, MSHV_CREATE_PARTITION, &args);
	CHECK(vm >= 0, "%s", strerror(errno));
	CHECK(fcntl(vm, F_GETFD) == FD_CLOEXEC, "the descriptor survives exec");
	return PASS;
}

static enum ktap_result initialize(void)
{
	const uint64_t wanted = (MSHV_SYNTHETIC_LINUX | HVABI_SYNTHETIC_SYNIC) & assignable;
	struct mshv_create_vp early = { .vp_index = 0 };

	CHECK_PASS(set_property(HVABI_PROPERTY_SYNTHETIC_PROC_FEATURES, wanted));
	CHECK_PASS(property_is(HVABI_PROPERTY_SYNTHETIC_PROC_FEATURES, wanted));
	CHECK(ioctl(vm, MSHV_CREATE_VP, &early) == -1, "a processor of what is not initialized");
	CHECK(!ioctl(vm, MSHV_INITIALIZE_PARTITION), "%s", strerror(errno));
	CHECK(!ioctl(vm, MSHV_INITIALIZE_PARTITION), "again: %s", strerror(errno));
	CHECK_PASS(set_property(HVABI_PROPERTY_UNIMPLEMENTED_MSR_ACTION,
				HVABI_UNIMPLEMENTED_MSR_IGNORE_WRITE_READ_ZERO));
	CHECK_PASS(property_is(HVABI_PROPERTY_UNIMPLEMENTED_MSR_ACTION,
			       HVABI_UNIMPLEMENTED_MSR_IGNORE_WRITE_READ_ZERO));
	CHECK_PASS(set_property(HVABI_PROPERTY_TIME_FREEZE, 1));
	CHECK_PASS(property_is(HVABI_PROPERTY_TIME_FREEZE, 1));
	CHECK_PASS(property_is(HVABI_PROPERTY_SYNTHETIC_PROC_FEATURES, wanted));
	return PASS;
}

static enum ktap_result guest_features(void)
{
	uint64_t value;

	CHECK_PASS(get_property(vm, HVABI_PROPERTY_PROCESSOR_XSAVE_FEATURES, &value));
	CHECK(value, "no XSAVE feature");
	CHECK_PASS(get_property(vm, HVABI_PROPERTY_PROCESSOR_FEATURES0, &value));
	CHECK(value && !(value & ~host_features[0]) && !(value >> 63), "0x%llx of 0x%llx", (ull)value,
	      (ull)host_features[0]);
	CHECK_PASS(get_property(vm, HVABI_PROPERTY_PROCESSOR_FEATURES1, &value));
	CHECK(!(value & ~host_features[1]) && !(value >> 6 & 1), "0x%llx of 0x%llx", (ull)value,
	      (ull)host_features[1]);
	return PASS;
}

static int ioeventfd(uint64_t address, unsigned int flags)
{
	struct mshv_user_ioeventfd args = { .addr = address, .fd = doorbell, .flags = flags };

	return ioctl(vm, MSHV_IOEVENTFD, &args);
}

static enum ktap_result doorbells(void)
{
	unsigned int i;

	doorbell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	for (i = 0; i < QUEUES; i++)
		CHECK(!ioeventfd(DOORBELL + 4 * i, 0), "%u: %s", i, strerror(errno));
	for (i = 1; i < QUEUES; i++)
		CHECK(!ioeventfd(DOORBELL + 4 * i, 1 << MSHV_IOEVENTFD_BIT_DEASSIGN), "%u: %s", i, strerror(errno));
	REFUSED(ENOENT, ioeventfd(DOORBELL + 4, 1 << MSHV_IOEVENTFD_BIT_DEASSIGN));
	REFUSED(EOPNOTSUPP, ioeventfd(0x80, 1 << MSHV_IOEVENTFD_BIT_PIO));
	REFUSED(EINVAL, ioeventfd(DOORBELL + 4, 1 << MSHV_IOEVENTFD_BIT_COUNT));
	return PASS;
}

static int set_memory(uint64_t gpa, uint64_t size, uint8_t *host, unsigned int flags)
{
	struct mshv_user_mem_region args = {
		.guest_pfn = gpa / PAGE,
		.size = size,
		.userspace_addr = (uintptr_t)host,
		.flags = (uint8_t)flags,
	};

	return ioctl(vm, MSHV_SET_GUEST_MEMORY, &args);
}

static enum ktap_result guest_memory(void)
{
	const unsigned int rights = 1 << MSHV_SET_MEM_BIT_WRITABLE | 1 << MSHV_SET_MEM_BIT_EXECUTABLE;
	const unsigned int unmap = 1 << MSHV_SET_MEM_BIT_UNMAP;

	memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(memory != MAP_FAILED, "%s", strerror(errno));
	CHECK(!set_memory(0, MEMORY, memory, rights), "%s", strerror(errno));
	REFUSED(EEXIST, set_memory(MEMORY - PAGE, 2 * PAGE, memory, rights));
	REFUSED(EINVAL, set_memory(MEMORY, PAGE / 2, memory, rights));
	REFUSED(EINVAL, set_memory(MEMORY, PAGE, memory + 1, rights));
	REFUSED(ENOENT, set_memory(MEMORY, PAGE, memory, unmap));
	REFUSED(EINVAL, set_memory(0, PAGE, memory, unmap));
	CHECK(!set_memory(0, MEMORY, memory, unmap), "%s", strerror(errno));
	REFUSED(ENOENT, set_memory(0, MEMORY, memory, unmap));
	CHECK(!set_memory(0, MEMORY, memory, rights), "%s", strerror(errno));
	return PASS;
}

static void *map_page(unsigned int i, unsigned int which)
{
	return mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, vp[i], which * (off_t)PAGE);
}

static enum ktap_result processors(void)
{
	struct mshv_create_vp args;
	unsigned int i;
	void *message;

	for (i = 0; i < VPS; i++) {
		args.vp_index = i;
		vp[i] = ioctl(vm, MSHV_CREATE_VP, &args);
		CHECK(vp[i] >= 0, "%u: %s", i, strerror(errno));
		CHECK(fcntl(vp[i], F_GETFD) == FD_CLOEXEC, "the descriptor survives exec");
		page[i] = map_page(i, MSHV_VP_MMAP_OFFSET_REGISTERS);
		CHECK(page[i] != MAP_FAILED, "%s", strerror(errno));
		message = map_page(i, MSHV_VP_MMAP_OFFSET_INTERCEPT_MESSAGE);
		CHECK(message != MAP_FAILED, "%s", strerror(errno));
		munmap(message, PAGE);
		CHECK(map_page(i, MSHV_VP_MMAP_OFFSET_GHCB) == MAP_FAILED && errno == ENODEV, "%s", strerror(errno));
		CHECK(map_page(i, MSHV_VP_MMAP_OFFSET_COUNT) == MAP_FAILED && errno == EINVAL, "%s", strerror(errno));
	}
	REFUSED(EEXIST, ioctl(vm, MSHV_CREATE_VP, &args));
	args.vp_index = MSHV_VP_MAX;
	REFUSED(EINVAL, ioctl(vm, MSHV_CREATE_VP, &args));
	REFUSED(ENOTTY, ioctl(vp[0], MSHV_INITIALIZE_PARTITION));
	return PASS;
}

static enum ktap_result cpuid_values(unsigned int i, uint32_t leaf, uint32_t subleaf, uint32_t values[4])
{
	struct {
		struct hvabi_input_get_vp_cpuid_values in;
		struct hvabi_vp_cpuid_leaf leaf;
	} in = {
		.in = { .vp_index = i, .flags = HVABI_VP_CPUID_USE_XFEM_XSS |
						   HVABI_VP_CPUID_APPLY_REGISTERED },
		.leaf = { .eax = leaf, .ecx = subleaf },
	};

	DONE(vp[i], HVABI_CALL_GET_VP_CPUID_VALUES, 1, &in, sizeof(in), values, 16);
	return PASS;
}

static enum ktap_result register_cpuid(unsigned int i, uint32_t leaf, int subleaf, const uint32_t value[4],
				       const uint32_t mask[4])
{
	struct hvabi_input_register_intercept_result in = {
		.vp_index = i,
		.intercept_type = HVABI_INTERCEPT_TYPE_CPUID,
		.cpuid_eax = leaf,
		.cpuid_ecx = subleaf < 0 ? 0 : (uint32_t)subleaf,
		.subleaf_specific = subleaf >= 0,
		.always_override = 1,
	};
	unsigned int n;

	for (n = 0; n < 4; n++) {
		in.result[n].value = value[n];
		in.result[n].mask = mask[n];
	}
	DONE(vm, HVABI_CALL_REGISTER_INTERCEPT_RESULT, 0, &in, sizeof(in), NULL, 0);
	return PASS;
}

static enum ktap_result cpuid(void)
{
	static const uint32_t all[4] = { ~0u, ~0u, ~0u, ~0u };
	uint32_t before[4], after[4], n;
	unsigned int i;

	for (i = 0; i < VPS; i++) {
		const uint32_t leaf1[4] = { 0, i << 24 | VPS << 16, 1u << 31, 1u << 12 | 1u << 28 };
		const uint32_t mask1[4] = { 0, 0xffff0000, 1u << 31, 1u << 12 | 1u << 28 };
		const uint32_t threads[4] = { 0, 1, 0x100, i }, cores[4] = { 1, VPS, 0x201, i };
		const uint32_t brand[4] = { 0x6c706572, 0x0a796179, i, 0 };

		CHECK_PASS(cpuid_values(i, 1, 0, before));
		CHECK_PASS(register_cpuid(i, 1, -1, leaf1, mask1));
		CHECK_PASS(register_cpuid(i, 0xb, 0, threads, all));
		CHECK_PASS(register_cpuid(i, 0xb, 1, cores, all));
		for (n = 0x80000002; n <= 0x80000004; n++)
			CHECK_PASS(register_cpuid(i, n, -1, brand, all));
		CHECK_PASS(cpuid_values(i, 1, 0, after));
		for (n = 0; n < 4; n++)
			CHECK(after[n] == ((before[n] & ~mask1[n]) | leaf1[n]), "leaf 1, register %u: 0x%x, before 0x%x",
			      n, after[n], before[n]);
		CHECK_PASS(cpuid_values(i, 0xb, 0, after));
		CHECK(!memcmp(after, threads, 16), "0x%x 0x%x 0x%x", after[1], after[2], after[3]);
		CHECK_PASS(cpuid_values(i, 0xb, 1, after));
		CHECK(!memcmp(after, cores, 16), "0x%x 0x%x 0x%x", after[1], after[2], after[3]);
		CHECK_PASS(cpuid_values(i, 0x80000003, 0, after));
		CHECK(!memcmp(after, brand, 16), "0x%x 0x%x", after[0], after[2]);
	}
	return PASS;
}

static enum ktap_result msrs(void)
{
	const struct hvabi_register_assoc regs[] = {
		mshv_scalar(HVABI_REG_SYSENTER_CS, 0), mshv_scalar(HVABI_REG_SYSENTER_ESP, 0),
		mshv_scalar(HVABI_REG_SYSENTER_EIP, 0), mshv_scalar(HVABI_REG_STAR, 0),
		mshv_scalar(HVABI_REG_CSTAR, 0), mshv_scalar(HVABI_REG_LSTAR, 0),
		mshv_scalar(HVABI_REG_KERNEL_GS_BASE, 0), mshv_scalar(HVABI_REG_SFMASK, 0),
		mshv_scalar(HVABI_REG_MTRR_DEF_TYPE, 0x806),
	};
	unsigned int i;

	for (i = 0; i < VPS; i++)
		CHECK_PASS(registers_stay(i, regs, COUNT(regs)));
	return PASS;
}

static enum ktap_result general_registers(void)
{
	struct hvabi_register_assoc regs[18] = { 0 };
	unsigned int n;

	for (n = 0; n < 18; n++)
		regs[n] = mshv_scalar(HVABI_REG_RAX + n, 0x1000 + n);
	regs[0].value.reg64 = 0x1234;
	regs[3].value.reg64 = DOORBELL;
	regs[4].value.reg64 = STACK;
	regs[15].value.reg64 = 0xfedcba9876543210ull;
	regs[16].value.reg64 = CODE;
	regs[17].value.reg64 = 2;
	return registers_stay(0, regs, 18);
}

static enum ktap_result special_registers(void)
{
	static const uint32_t names[] = {
		HVABI_REG_CS, HVABI_REG_DS, HVABI_REG_ES, HVABI_REG_FS, HVABI_REG_GS, HVABI_REG_SS, HVABI_REG_TR,
		HVABI_REG_LDTR, HVABI_REG_GDTR, HVABI_REG_IDTR, HVABI_REG_INTERMEDIATE_CR0, HVABI_REG_CR2,
		HVABI_REG_INTERMEDIATE_CR3, HVABI_REG_INTERMEDIATE_CR4, HVABI_REG_INTERMEDIATE_CR8, HVABI_REG_EFER,
		HVABI_REG_APIC_BASE, HVABI_REG_PENDING_INTERRUPTION,
	};
	union hvabi_register_value values[COUNT(names)];
	struct hvabi_register_assoc regs[COUNT(names) - 1] = { 0 };
	unsigned int n;

	CHECK_PASS(get_registers(0, names, values, COUNT(names)));
	CHECK(!values[17].reg64, "an interruption is pending: 0x%llx", (ull)values[17].reg64);
	CHECK((values[16].reg64 & 0xfffff900ull) == 0xfee00900ull, "APIC_BASE 0x%llx", (ull)values[16].reg64);
	for (n = 0; n < COUNT(regs); n++) {
		regs[n].name = names[n];
		regs[n].value = values[n];
	}
	regs[0] = mshv_segment(HVABI_REG_CS, 8, ~0u, 0xc09b);
	for (n = 1; n < 6; n++)
		regs[n] = mshv_segment(names[n], 16, ~0u, 0xc093);
	regs[6] = mshv_segment(HVABI_REG_TR, 0, 0xffff, 0x008b);
	regs[8].value.table = (struct hvabi_x64_table_register){ .base = GDT, .limit = 23 };
	regs[9].value.table = (struct hvabi_x64_table_register){ .base = IDT, .limit = 0x7ff };
	regs[10].value.reg64 = (values[10].reg64 | 1) & ~(1ull << 31);
	regs[13].value.reg64 = 0;
	return registers_stay(0, regs, COUNT(regs));
}

static enum ktap_result fpu(void)
{
	struct hvabi_register_assoc regs[26] = { 0 };
	unsigned int n;

	for (n = 0; n < 24; n++)
		regs[n] = (struct hvabi_register_assoc){
			.name = n < 16 ? HVABI_REG_XMM0 + n : HVABI_REG_FP_MMX0 + n - 16,
			.value.reg128 = { .low = 0x0101010101010101ull * n, .high = n < 16 ? n : 0 },
		};
	regs[24] = (struct hvabi_register_assoc){
		.name = HVABI_REG_FP_CONTROL_STATUS, .value.fp_control_status.fp_control = 0x37f,
	};
	regs[25] = (struct hvabi_register_assoc){
		.name = HVABI_REG_XMM_CONTROL_STATUS, .value.xmm_control_status.xmm_status_control = 0x1f80,
	};
	CHECK_PASS(registers_stay(0, regs, 24));
	/* The mask of MXCSR is the processor's. */
	return set_registers(0, regs, 26);
}

static uint8_t state_page[4 * PAGE] __attribute__((aligned(4096)));

static int vp_state(unsigned int i, bool set, unsigned int type, uint32_t *size)
{
	struct mshv_get_set_vp_state args = {
		.type = (uint8_t)type, .buf_sz = *size, .buf_ptr = (uintptr_t)state_page,
	};
	int ret = ioctl(vp[i], set ? MSHV_SET_VP_STATE : MSHV_GET_VP_STATE, &args);

	*size = args.buf_sz;
	return ret ? errno : 0;
}

static enum ktap_result lapics(void)
{
	struct hvabi_local_apic_state *apic = (void *)state_page;
	uint32_t size;
	unsigned int i;
	int error;

	for (i = 0; i < VPS; i++) {
		size = PAGE;
		error = vp_state(i, false, MSHV_VP_STATE_LAPIC, &size);
		CHECK(!error && size >= sizeof(*apic) && size <= PAGE, "%s, %u bytes", strerror(error), size);
		CHECK(apic->id == i || apic->id == i << 24, "0x%x", apic->id);
		apic->lvt_lint0 = 0x700;
		apic->lvt_lint1 = 0x400;
		/* Software-enabled, or it takes none. */
		apic->spurious = 0x1ff;
		size = PAGE;
		error = vp_state(i, true, MSHV_VP_STATE_LAPIC, &size);
		CHECK(!error, "%s", strerror(error));
		memset(state_page, 0, PAGE);
		CHECK(!vp_state(i, false, MSHV_VP_STATE_LAPIC, &size));
		CHECK(apic->lvt_lint0 == 0x700 && apic->lvt_lint1 == 0x400 && apic->spurious == 0x1ff,
		      "0x%x 0x%x 0x%x", apic->lvt_lint0, apic->lvt_lint1, apic->spurious);
	}
	size = PAGE / 2;
	CHECK(vp_state(0, false, MSHV_VP_STATE_LAPIC, &size) == EINVAL);
	size = PAGE;
	CHECK(vp_state(0, false, MSHV_VP_STATE_COUNT, &size) == EINVAL);
	return PASS;
}

static enum ktap_result time_starts(void)
{
	CHECK_PASS(set_property(HVABI_PROPERTY_PROCESSORS_PER_SOCKET, 1));
	CHECK_PASS(set_property(HVABI_PROPERTY_TIME_FREEZE, 0));
	return property_is(HVABI_PROPERTY_TIME_FREEZE, 0);
}

/* ---- running ---- */

static volatile sig_atomic_t alarmed;

/* EINTR need not be a signal: the kernel may have wanted something else of the thread. */
static int run_vp(void)
{
	int error;

	do {
		memset(&run, 0, sizeof(run));
		error = ioctl(vp[0], MSHV_RUN_VP, &run.args) ? errno : 0;
	} while (error == EINTR && !alarmed);
	return error;
}

static const char *message_text(int error)
{
	static char text[160];
	const struct hvabi_x64_intercept_message_header *h = (const void *)run.message.payload;

	snprintf(text, sizeof(text), "%s, message %s of %u bytes, rip 0x%llx", strerror(error),
		 mshv_message_name(run.message.header.message_type), run.message.header.payload_size, (ull)h->rip);
	return text;
}

#define RUNS_TO(type) \
	do { \
		int error_ = run_vp(); \
		CHECK(!error_ && run.message.header.message_type == (type), "%s", message_text(error_)); \
	} while (0)

static void code_at(uint32_t at, const uint8_t *bytes, unsigned int count)
{
	memcpy(memory + at, bytes, count);
}

#define CODE_AT(at, ...) \
	do { \
		static const uint8_t bytes_[] = { __VA_ARGS__ }; \
		code_at(at, bytes_, sizeof(bytes_)); \
	} while (0)

/* The VMM has done what the instruction does: RIP behind it, by the register page. */
static enum ktap_result go_on(unsigned int length)
{
	CHECK(page[0]->isvalid == 1 && page[0]->version == HVABI_REGISTER_PAGE_VERSION, "version %u",
	      page[0]->version);
	page[0]->rip += length;
	page[0]->dirty |= HVABI_REGISTER_PAGE_DIRTY_IP;
	return PASS;
}

/* The message is an OUT of AL to @port, at @rip. */
static enum ktap_result is_out(uint16_t port, uint64_t rip, uint64_t rax)
{
	const struct hvabi_x64_io_port_intercept_message *m = (const void *)run.message.payload;

	CHECK(run.message.header.message_type == HVABI_MSG_X64_IO_PORT_INTERCEPT, "%s", message_text(0));
	CHECK(run.message.header.payload_size == sizeof(*m), "%u", run.message.header.payload_size);
	CHECK(m->header.vp_index == 0 && m->header.rip == rip, "%s", message_text(0));
	CHECK((m->header.length_cr8 & HVABI_INTERCEPT_LENGTH_MASK) == 2, "0x%x", m->header.length_cr8);
	CHECK(m->header.intercept_access_type == HVABI_INTERCEPT_ACCESS_WRITE, "%u", m->header.intercept_access_type);
	CHECK(m->header.execution_state & HVABI_EXECUTION_STATE_CR0_PE, "0x%x", m->header.execution_state);
	CHECK(m->header.cs_segment.selector == 8, "%u", m->header.cs_segment.selector);
	CHECK(m->port_number == port && m->access_info == 1, "port 0x%x, info 0x%x", m->port_number, m->access_info);
	CHECK(m->rax == rax, "rax 0x%llx", (ull)m->rax);
	CHECK(page[0]->rip == rip && page[0]->gp_registers[0] == rax, "register page: rip 0x%llx, rax 0x%llx",
	      (ull)page[0]->rip, (ull)page[0]->gp_registers[0]);
	return go_on(2);
}

static enum ktap_result doorbell_and_port(void)
{
	eventfd_t count;

	/* mov [ebx], eax; out 0x80, al */
	CODE_AT(CODE, 0x89, 0x03, 0xe6, PORT_DONE);
	RUNS_TO(HVABI_MSG_X64_IO_PORT_INTERCEPT);
	CHECK_PASS(is_out(PORT_DONE, CODE + 2, 0x1234));
	CHECK(page[0]->segment_registers[1].attributes == 0xc09b && page[0]->cr0 & 1, "cs 0x%x, cr0 0x%llx",
	      page[0]->segment_registers[1].attributes, (ull)page[0]->cr0);
	CHECK(page[0]->gp_registers[15] == 0xfedcba9876543210ull);
	/* The write before it was an event, and no intercept; the event comes by an interrupt of the parent's. */
	for (int tries = 0; eventfd_read(doorbell, &count); tries++) {
		CHECK(tries < 1000, "no event");
		usleep(1000);
	}
	CHECK(count == 1, "%llu", (ull)count);
	return PASS;
}

static enum ktap_result translate(uint64_t gva, uint64_t *gpa)
{
	struct hvabi_input_translate_virtual_address in = {
		.control_flags = HVABI_TRANSLATE_VALIDATE_READ, .gva_page = gva / PAGE,
	};
	struct hvabi_output_translate_virtual_address out;

	DONE(vp[0], HVABI_CALL_TRANSLATE_VIRTUAL_ADDRESS, 0, &in, sizeof(in), &out, sizeof(out));
	CHECK(out.result_code == HVABI_TRANSLATE_SUCCESS, "%u", out.result_code);
	*gpa = out.gpa_page * PAGE + gva % PAGE;
	return PASS;
}

/* A device that the VMM emulates: a read, then a write. */
static enum ktap_result device_access(void)
{
	const struct hvabi_x64_memory_intercept_message *m = (const void *)run.message.payload;
	uint64_t at;

	/* mov eax, [DEVICE]; mov [DEVICE], eax; out 0x80, al */
	CODE_AT(CODE, 0xa1, 0, 0, 0, DEVICE >> 24, 0xa3, 0, 0, 0, DEVICE >> 24, 0xe6, PORT_DONE);
	CHECK_PASS(set_rip(CODE));
	RUNS_TO(HVABI_MSG_UNMAPPED_GPA);
	CHECK(m->guest_physical_address == DEVICE, "0x%llx", (ull)m->guest_physical_address);
	CHECK(m->header.rip == CODE && m->header.intercept_access_type == HVABI_INTERCEPT_ACCESS_READ, "%s, type %u",
	      message_text(0), m->header.intercept_access_type);
	/* What the hypervisor does not tell of the instruction the VMM reads itself. */
	CHECK_PASS(translate(m->header.rip, &at));
	CHECK(at == CODE, "0x%llx", (ull)at);
	CHECK(!memcmp(m->instruction_bytes, memory + at, m->instruction_byte_count), "other bytes than in memory");
	page[0]->gp_registers[0] = 0xcafe;
	page[0]->dirty |= HVABI_REGISTER_PAGE_DIRTY_GENERAL;
	CHECK_PASS(go_on(5));
	RUNS_TO(HVABI_MSG_UNMAPPED_GPA);
	CHECK(m->guest_physical_address == DEVICE, "0x%llx", (ull)m->guest_physical_address);
	CHECK(m->header.rip == CODE + 5 && m->header.intercept_access_type == HVABI_INTERCEPT_ACCESS_WRITE, "%s, type %u",
	      message_text(0), m->header.intercept_access_type);
	CHECK_PASS(go_on(5));
	RUNS_TO(HVABI_MSG_X64_IO_PORT_INTERCEPT);
	return is_out(PORT_DONE, CODE + 10, 0xcafe);
}

/* ---- interrupts ---- */

/* 32-bit interrupt gates, and for each a handler that tells its vector by a port, ends it, and returns. */
static void write_tables(void)
{
	static const uint8_t handler[] = {
		0x50,					/* push eax */
		0xb0, 0,				/* mov al, vector */
		0xe6, PORT_INTERRUPT,			/* out port, al */
		0xc7, 0x05, 0xb0, 0x00, 0xe0, 0xfe, 0, 0, 0, 0,	/* mov dword [0xfee000b0], 0 */
		0x58,					/* pop eax */
		0xcf,					/* iret */
	};
	const uint64_t gdt[] = { 0, 0x00cf9b000000ffffull, 0x00cf93000000ffffull };
	unsigned int vector;

	memcpy(memory + GDT, gdt, sizeof(gdt));
	for (vector = 0; vector < 256; vector++) {
		uint32_t at = HANDLERS + vector * 32;
		uint64_t gate = (uint64_t)(at & 0xffff) | 8ull << 16 | 0x8e00ull << 32 | (uint64_t)(at >> 16) << 48;

		memcpy(memory + IDT + vector * 8, &gate, 8);
		memcpy(memory + at, handler, sizeof(handler));
		memory[at + 2] = (uint8_t)vector;
		/* No APIC has to do with an NMI. */
		if (vector == VECTOR_NMI)
			memset(memory + at + 5, 0x90, 10);
	}
}

static sem_t wanted;
static unsigned int wake_ups;
static bool ends;

static void *signaller(void *arg)
{
	unsigned int seed = 1;

	(void)arg;
	for (;;) {
		sem_wait(&wanted);
		if (__atomic_load_n(&ends, __ATOMIC_SEQ_CST))
			return NULL;
		/* Before the guest halts, while it does so, and long after. */
		usleep((useconds_t)rand_r(&seed) % 2000);
		eventfd_write(interrupt, 1);
	}
}

static enum ktap_result irqfd(int fd, unsigned int gsi, unsigned int flags)
{
	struct mshv_user_irqfd args = { .fd = fd, .gsi = gsi, .flags = flags };

	CHECK(!ioctl(vm, MSHV_IRQFD, &args), "%s", strerror(errno));
	return PASS;
}

static enum ktap_result set_routes(void)
{
	union {
		struct mshv_user_irq_table table;
		uint8_t bytes[sizeof(struct mshv_user_irq_table) + 3 * sizeof(struct mshv_user_irq_entry)];
	} routes = { .table.nr = 3 };
	struct mshv_user_irq_entry *e = (void *)(routes.bytes + sizeof(routes.table));

	e[0] = (struct mshv_user_irq_entry){ .gsi = 30, .address_lo = 0xfee00000, .data = VECTOR_EDGE };
	e[1] = (struct mshv_user_irq_entry){ .gsi = GSI_LEVEL, .address_lo = 0xfee00000, .data = 0x8000 | VECTOR_LEVEL };
	e[2] = (struct mshv_user_irq_entry){ .gsi = 32, .address_lo = 0xfee01000, .data = 0x55 };
	CHECK(!ioctl(vm, MSHV_SET_MSI_ROUTING, &routes), "%s", strerror(errno));
	e[2].gsi = MSHV_GSI_MAX;
	REFUSED(EINVAL, ioctl(vm, MSHV_SET_MSI_ROUTING, &routes));
	e[2].gsi = 30;
	REFUSED(EINVAL, ioctl(vm, MSHV_SET_MSI_ROUTING, &routes));
	return PASS;
}

/* sti; hlt; cli; out 0x80, al */
#define CODE_HALT	(CODE + 0x100)
#define HALT_END	(CODE_HALT + 3)

static enum ktap_result halt_and_wake(unsigned int vector)
{
	const struct hvabi_x64_io_port_intercept_message *m = (const void *)run.message.payload;
	const struct hvabi_x64_apic_eoi_message *eoi = (const void *)run.message.payload;

	RUNS_TO(HVABI_MSG_X64_IO_PORT_INTERCEPT);
	CHECK(m->port_number == PORT_INTERRUPT && (m->rax & 0xff) == vector, "port 0x%x, vector 0x%llx", m->port_number,
	      (ull)m->rax & 0xff);
	CHECK_PASS(go_on(2));
	if (vector == VECTOR_LEVEL) {
		RUNS_TO(HVABI_MSG_X64_APIC_EOI);
		CHECK(eoi->vp_index == 0 && eoi->interrupt_vector == VECTOR_LEVEL, "processor %u, vector 0x%x",
		      eoi->vp_index, eoi->interrupt_vector);
	}
	RUNS_TO(HVABI_MSG_X64_IO_PORT_INTERCEPT);
	CHECK(m->port_number == PORT_DONE && m->header.rip == HALT_END, "port 0x%x; %s", m->port_number,
	      message_text(0));
	return set_rip(CODE_HALT);
}

static enum ktap_result wake(void)
{
	pthread_t thread;
	enum ktap_result result = PASS;

	write_tables();
	CODE_AT(CODE_HALT, 0xfb, 0xf4, 0xfa, 0xe6, PORT_DONE);
	interrupt = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	CHECK_PASS(set_routes());
	CHECK_PASS(irqfd(interrupt, 30, 0));
	CHECK_PASS(set_rip(CODE_HALT));
	sem_init(&wanted, 0, 0);
	CHECK(!pthread_create(&thread, NULL, signaller, NULL));
	for (wake_ups = 0; wake_ups < WAKE_UPS && result == PASS; wake_ups++) {
		sem_post(&wanted);
		result = halt_and_wake(VECTOR_EDGE);
	}
	ends = true;
	sem_post(&wanted);
	pthread_join(thread, NULL);
	if (result != PASS)
		ktap_note("wake-up %u of %u", wake_ups, WAKE_UPS);
	return result;
}

static enum ktap_result end_of_interrupt(void)
{
	level = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	CHECK_PASS(irqfd(level, GSI_LEVEL, 0));
	for (unsigned int i = 0; i < 5; i++) {
		eventfd_write(level, 1);
		CHECK_PASS(halt_and_wake(VECTOR_LEVEL));
	}
	CHECK_PASS(irqfd(level, GSI_LEVEL, 1 << MSHV_IRQFD_BIT_DEASSIGN));
	return PASS;
}

/* The VMM hears of the end by the event, by the message, or by both: drivers differ. */
static enum ktap_result resample(void)
{
	const struct hvabi_x64_io_port_intercept_message *m = (const void *)run.message.payload;
	struct mshv_user_irqfd args = { .fd = level, .gsi = 30, .flags = 1 << MSHV_IRQFD_BIT_RESAMPLE };
	eventfd_t count;
	int event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), error;
	unsigned int messages = 0, events = 0;

	args.resamplefd = event;
	REFUSED(EINVAL, ioctl(vm, MSHV_IRQFD, &args));
	args.gsi = GSI_LEVEL;
	CHECK(!ioctl(vm, MSHV_IRQFD, &args), "%s", strerror(errno));
	for (unsigned int i = 0; i < 5; i++) {
		eventfd_write(level, 1);
		RUNS_TO(HVABI_MSG_X64_IO_PORT_INTERCEPT);
		CHECK(m->port_number == PORT_INTERRUPT && (m->rax & 0xff) == VECTOR_LEVEL, "port 0x%x, vector 0x%llx",
		      m->port_number, (ull)m->rax & 0xff);
		CHECK(eventfd_read(event, &count), "before the guest has ended it");
		CHECK_PASS(go_on(2));
		error = run_vp();
		if (!error && run.message.header.message_type == HVABI_MSG_X64_APIC_EOI) {
			messages++;
			error = run_vp();
		}
		CHECK(!error && run.message.header.message_type == HVABI_MSG_X64_IO_PORT_INTERCEPT &&
		      m->port_number == PORT_DONE, "%s", message_text(error));
		if (!eventfd_read(event, &count)) {
			events++;
			CHECK(count == 1, "%llu", (ull)count);
		}
		CHECK(messages == i + 1 || events == i + 1, "%u messages, %u events of %u", messages, events, i + 1);
		CHECK_PASS(set_rip(CODE_HALT));
	}
	ktap_note("of 5 ends: %u messages, %u events", messages, events);
	args.flags |= 1 << MSHV_IRQFD_BIT_DEASSIGN;
	CHECK(!ioctl(vm, MSHV_IRQFD, &args), "%s", strerror(errno));
	close(event);
	return PASS;
}

static enum ktap_result to_another(void)
{
	struct hvabi_local_apic_state *apic = (void *)state_page;
	struct hvabi_input_assert_virtual_interrupt in = {
		.interrupt_type = HVABI_INTERRUPT_TYPE_FIXED, .dest_addr = 1, .vector = 0x57,
	};
	int event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	uint32_t size = PAGE;

	CHECK_PASS(irqfd(event, 32, 0));
	eventfd_write(event, 1);
	DONE(vm, HVABI_CALL_ASSERT_VIRTUAL_INTERRUPT, 0, &in, sizeof(in), NULL, 0);
	CHECK(!vp_state(1, false, MSHV_VP_STATE_LAPIC, &size));
	CHECK(apic->irr[2] == (1u << (0x55 - 0x40) | 1u << (0x57 - 0x40)), "0x%x", apic->irr[2]);
	CHECK_PASS(irqfd(event, 32, 1 << MSHV_IRQFD_BIT_DEASSIGN));
	close(event);
	return PASS;
}

static enum ktap_result nmi(void)
{
	struct hvabi_input_assert_virtual_interrupt in = { .interrupt_type = HVABI_INTERRUPT_TYPE_NMI };
	const struct hvabi_x64_io_port_intercept_message *m = (const void *)run.message.payload;

	/* It comes at once, interrupts off or not: what halted behind it would do so for ever. */
	CODE_AT(CODE, 0xe6, PORT_DONE);
	CHECK_PASS(set_rip(CODE));
	DONE(vm, HVABI_CALL_ASSERT_VIRTUAL_INTERRUPT, 0, &in, sizeof(in), NULL, 0);
	RUNS_TO(HVABI_MSG_X64_IO_PORT_INTERCEPT);
	CHECK(m->port_number == PORT_INTERRUPT && (m->rax & 0xff) == VECTOR_NMI, "port 0x%x, vector 0x%llx",
	      m->port_number, (ull)m->rax & 0xff);
	CHECK_PASS(go_on(2));
	RUNS_TO(HVABI_MSG_X64_IO_PORT_INTERCEPT);
	CHECK(m->port_number == PORT_DONE && m->header.rip == CODE, "port 0x%x; %s", m->port_number, message_text(0));
	return PASS;
}

static void on_alarm(int number)
{
	(void)number;
	alarmed = 1;
}

/* Without SA_RESTART; again and again, for one may come before the ioctl. */
static void alarms(bool on)
{
	struct sigaction action = { .sa_handler = on_alarm };
	struct itimerval timer = { 0 };

	alarmed = 0;
	sigaction(SIGALRM, &action, NULL);
	if (on) {
		timer.it_value.tv_usec = 100000;
		timer.it_interval.tv_usec = 100000;
	}
	setitimer(ITIMER_REAL, &timer, NULL);
}

static enum ktap_result signals(void)
{
	int spinning, blocked;

	CODE_AT(CODE, 0xeb, 0xfe);
	CHECK_PASS(set_rip(CODE));
	alarms(true);
	spinning = run_vp();
	alarms(false);
	CHECK(spinning == EINTR, "%s", message_text(spinning));
	CHECK_PASS(set_rip(CODE_HALT));
	alarms(true);
	blocked = run_vp();
	alarms(false);
	CHECK(blocked == EINTR, "%s", message_text(blocked));
	/* What halted goes on where it was. */
	eventfd_write(interrupt, 1);
	return halt_and_wake(VECTOR_EDGE);
}

/* ---- what a migration and a snapshot ask ---- */

static int access_bits(unsigned int op, uint8_t *bitmap)
{
	struct mshv_gpap_access_bitmap args = {
		.access_type = MSHV_GPAP_ACCESS_TYPE_DIRTY,
		.access_op = (uint8_t)op,
		.page_count = MEMORY / PAGE,
		.bitmap_ptr = (uintptr_t)bitmap,
	};

	return ioctl(vm, MSHV_GET_GPAP_ACCESS_BITMAP, &args);
}

static enum ktap_result dirty_log(void)
{
	static uint8_t bitmap[MEMORY / PAGE / 8];
	const unsigned int target = 0x205;

	CHECK_PASS(set_property(HVABI_PROPERTY_GPA_PAGE_ACCESS_TRACKING, 1));
	CHECK(!access_bits(MSHV_GPAP_ACCESS_OP_CLEAR, bitmap), "%s", strerror(errno));
	/* mov [0x205000], eax; out 0x80, al */
	CODE_AT(CODE, 0xa3, 0, 0x50, 0x20, 0, 0xe6, PORT_DONE);
	CHECK_PASS(set_rip(CODE));
	RUNS_TO(HVABI_MSG_X64_IO_PORT_INTERCEPT);
	CHECK(!access_bits(MSHV_GPAP_ACCESS_OP_CLEAR, bitmap), "%s", strerror(errno));
	CHECK(bitmap[target / 8] >> target % 8 & 1, "the guest wrote, and it is not dirty");
	CHECK(!access_bits(MSHV_GPAP_ACCESS_OP_CLEAR, bitmap), "%s", strerror(errno));
	CHECK(!(bitmap[target / 8] >> target % 8 & 1), "cleared, and dirty again");
	/* All are set before it ends. */
	CHECK(!access_bits(MSHV_GPAP_ACCESS_OP_SET, bitmap), "%s", strerror(errno));
	CHECK_PASS(set_property(HVABI_PROPERTY_GPA_PAGE_ACCESS_TRACKING, 0));
	return PASS;
}

static enum ktap_result snapshot(void)
{
	unsigned int i, type;
	uint32_t size;
	int error;

	CHECK_PASS(set_property(HVABI_PROPERTY_TIME_FREEZE, 1));
	for (i = 0; i < VPS; i++) {
		for (type = 0; type < MSHV_VP_STATE_COUNT; type++) {
			size = sizeof(state_page);
			error = vp_state(i, false, type, &size);
			CHECK(!error && size && size <= sizeof(state_page), "get %u: %s, %u bytes", type, strerror(error),
			      size);
			size = (uint32_t)((size + PAGE - 1) / PAGE * PAGE);
			error = vp_state(i, true, type, &size);
			CHECK(!error, "set %u: %s", type, strerror(error));
		}
	}
	CHECK_PASS(set_property(HVABI_PROPERTY_TIME_FREEZE, 0));
	CHECK_PASS(set_rip(CODE_HALT));
	eventfd_write(interrupt, 1);
	return halt_and_wake(VECTOR_EDGE);
}

/* ---- the end ---- */

static enum ktap_result triple_fault(void)
{
	const struct hvabi_register_assoc idtr = { .name = HVABI_REG_IDTR };
	const struct hvabi_x64_intercept_message_header *h = (const void *)run.message.payload;

	CODE_AT(CODE, 0x0f, 0x0b);
	CHECK_PASS(set_registers(0, &idtr, 1));
	CHECK_PASS(set_rip(CODE));
	RUNS_TO(HVABI_MSG_UNRECOVERABLE_EXCEPTION);
	CHECK(h->vp_index == 0, "%u", h->vp_index);
	return PASS;
}

static enum ktap_result close_all(void)
{
	unsigned int i;

	/* As a VMM that exits: in no particular order, pages still mapped. */
	close(vm);
	for (i = 0; i < VPS; i++)
		close(vp[i]);
	for (i = 0; i < VPS; i++)
		munmap(page[i], PAGE);
	close(interrupt);
	close(level);
	close(doorbell);
	munmap(memory, MEMORY);
	close(device);
	device = open("/dev/mshv", O_RDWR | O_CLOEXEC);
	CHECK(device >= 0, "%s", strerror(errno));
	close(device);
	return PASS;
}

int main(void)
{
	static const struct ktap_test tests[] = {
		{ "open, and what the host has", host },
		{ "create", create },
		{ "initialize, early and late properties", initialize },
		{ "features of the guest", guest_features },
		{ "ioeventfds", doorbells },
		{ "memory", guest_memory },
		{ "processors and their pages", processors },
		{ "CPUID results", cpuid },
		{ "MSRs", msrs },
		{ "general registers", general_registers },
		{ "special registers", special_registers },
		{ "floating point", fpu },
		{ "local APICs", lapics },
		{ "time starts", time_starts },
		{ "a doorbell, then a port", doorbell_and_port },
		{ "a device that the VMM emulates", device_access },
		{ "200 interrupts wake a halted guest", wake },
		{ "the end of a level-triggered interrupt", end_of_interrupt },
		{ "resampling, of what is level-triggered", resample },
		{ "interrupts of another processor", to_another },
		{ "an NMI", nmi },
		{ "signals end RUN_VP", signals },
		{ "dirty log", dirty_log },
		{ "state of a snapshot", snapshot },
		{ "a triple fault", triple_fault },
		{ "closed in any order", close_all },
	};

	return KTAP_RUN(tests);
}
