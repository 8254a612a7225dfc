// SPDX-License-Identifier: GPL-2.0-only
/*
 * libmshv on a driver that is only this file: what the library asks of /dev/mshv, what it makes of the answers, and that an
 * error leaves nothing behind. Descriptors are those of /dev/null; ioctl() is the driver.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <hvabi/status.h>

#include "internal.h"
#include "vmm.h"

#define PAGE	MSHV_PAGE_SIZE
#define BLOCK	MSHV_BLOCK_SIZE

/* The last call, and what the next one gets. */
static struct {
	unsigned int calls;		/* of any kind */
	unsigned long request;
	union {
		struct mshv_create_partition partition;
		struct mshv_user_mem_region memory;
		struct mshv_gpap_access_bitmap bitmap;
		struct mshv_root_hvcall hypercall;
		struct mshv_create_vp vp;
		struct mshv_run_vp_exit run;
		struct mshv_user_irqfd irqfd;
		struct mshv_user_ioeventfd ioeventfd;
		struct mshv_prefault prefault;
		struct mshv_get_set_vp_state state;
	} arg;
	uint8_t input[4096];		/* of the hypercall, and more calls of SET_PARTITION_PROPERTY */
	struct mshv_property set[8];
	unsigned int properties;
	struct mshv_user_irq_entry routes[4];
	uint32_t route_count;

	unsigned long fails;		/* this request, with this errno */
	int error;
	uint16_t status, reps;		/* of a hypercall that fails */
	uint32_t refused_property;
	uint64_t bank;			/* what GET_PARTITION_PROPERTY_EX tells */
	int vp_fd;			/* -1: one that cannot be mapped */
	uint64_t prefault_step;		/* pages for each call; 0: all */
	unsigned int prefault_calls;	/* that succeed */
	unsigned int runs, plain_runs;
	uint32_t state_size;
} driver;

static int null_fd(void)
{
	return open("/dev/null", O_RDWR | O_CLOEXEC);
}

static int refuse(int error)
{
	errno = error;
	return -1;
}

static int hypercall(struct mshv_root_hvcall *args)
{
	struct hvabi_input_set_partition_property property;

	memcpy(driver.input, (void *)(uintptr_t)args->in_ptr, args->in_sz);
	if (args->code == HVABI_CALL_SET_PARTITION_PROPERTY) {
		memcpy(&property, driver.input, sizeof(property));
		driver.set[driver.properties++] = (struct mshv_property){ property.property_code, property.property_value };
		if (property.property_code == driver.refused_property) {
			args->status = HVABI_STATUS_INVALID_PARAMETER;
			return refuse(EINVAL);
		}
	}
	if (driver.fails == MSHV_ROOT_HVCALL) {
		args->status = driver.status;
		args->reps = driver.reps;
		return refuse(driver.error);
	}
	/* What it writes can be told from what was there: the bank, or register n has value n + 1. */
	if (args->code == HVABI_CALL_GET_PARTITION_PROPERTY_EX)
		((struct hvabi_output_property_bank *)(uintptr_t)args->out_ptr)->bank[0] = driver.bank;
	else if (args->code == HVABI_CALL_GET_VP_REGISTERS)
		for (unsigned int i = 0; i < args->reps; i++)
			((union hvabi_register_value *)(uintptr_t)args->out_ptr)[i].reg64 = i + 1;
	return 0;
}

static int prefault(struct mshv_prefault *args)
{
	uint64_t step = driver.prefault_step ? driver.prefault_step : args->pages;

	if (driver.prefault_step && !driver.prefault_calls--)
		return refuse(EINTR);
	args->gfn += step;
	args->pages -= step;
	return 0;
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list list;
	void *arg;

	(void)fd;
	va_start(list, request);
	arg = va_arg(list, void *);
	va_end(list);
	driver.calls++;
	driver.request = request;
	if (request != MSHV_SET_MSI_ROUTING && request != MSHV_INITIALIZE_PARTITION)
		memcpy(&driver.arg, arg, _IOC_SIZE(request));
	if (request == driver.fails && request != MSHV_ROOT_HVCALL) {
		if (request == MSHV_GET_VP_STATE)
			((struct mshv_get_set_vp_state *)arg)->buf_sz = driver.state_size;
		/* Of the fault that could not be served. */
		if (request == MSHV_RUN_VP_EXIT && driver.error == EFAULT)
			memset(arg, 0xa5, sizeof(struct mshv_run_vp));
		return refuse(driver.error);
	}
	switch (request) {
	case MSHV_CREATE_PARTITION:
		return null_fd();
	case MSHV_CREATE_VP:
		return driver.vp_fd >= 0 ? fcntl(driver.vp_fd, F_DUPFD_CLOEXEC, 0) : null_fd();
	case MSHV_ROOT_HVCALL:
		return hypercall(arg);
	case MSHV_PREFAULT_MEMORY:
		return prefault(arg);
	case MSHV_RUN_VP:
		driver.plain_runs++;
		memset(arg, 0x5a, sizeof(struct mshv_run_vp));
		return 0;
	case MSHV_RUN_VP_EXIT:
		driver.runs++;
		memset(arg, 0xa5, sizeof(struct mshv_run_vp));
		return 0;
	case MSHV_GET_VP_STATE:
		((struct mshv_get_set_vp_state *)arg)->buf_sz = driver.state_size;
		return 0;
	case MSHV_SET_MSI_ROUTING:
		driver.route_count = ((struct mshv_user_irq_table *)arg)->nr;
		memcpy(driver.routes, ((struct mshv_user_irq_table *)arg)->entries, driver.route_count * sizeof(driver.routes[0]));
		return 0;
	case MSHV_INITIALIZE_PARTITION:
	case MSHV_SET_GUEST_MEMORY:
	case MSHV_IRQFD:
	case MSHV_IOEVENTFD:
	case MSHV_GET_GPAP_ACCESS_BITMAP:
	case MSHV_SET_VP_STATE:
		return 0;
	}
	return refuse(ENOTTY);
}

static unsigned int descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static bool is_mapped(void *address)
{
	unsigned char there;

	return !mincore((void *)((uintptr_t)address & ~(PAGE - 1)), PAGE, &there);
}

static struct mshv_vm *vm;
static unsigned int before;

static int setup(void **state)
{
	(void)state;
	/* The one descriptor that the library keeps is opened now. */
	setenv("MSHV_DEVICE", "/dev/null", 1);
	mshv_device();
	before = descriptors();
	memset(&driver, 0, sizeof(driver));
	driver.vp_fd = -1;
	vm = mshv_vm_create();
	return vm ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	mshv_vm_destroy(vm);
	setenv("MSHV_DEVICE", "/dev/null", 1);
	if (descriptors() == before)
		return 0;
	print_error("%u descriptors were open, now it is %u\n", before, descriptors());
	return -1;
}

#define assert_fails(call, number, words) do {				\
		errno = 0;						\
		assert_true(!(call));					\
		assert_int_equal(errno, number);			\
		assert_non_null(strstr(mshv_error(), words));		\
	} while (0)
/* Of functions that return 0 or -1. */
#define fails(call) ((call) != -1)

/* ---- partitions ---- */

static void flags_and_isolation(void **state)
{
	const uint64_t super = 1ull << MSHV_PT_BIT_GPA_SUPER_PAGES;
	struct mshv_vm *other;
	unsigned int calls;

	(void)state;
	other = mshv_vm_new(MSHV_VM_LAPIC | MSHV_VM_X2APIC, MSHV_ISOLATION_SNP);
	assert_non_null(other);
	assert_int_equal(driver.request, MSHV_CREATE_PARTITION);
	assert_int_equal(driver.arg.partition.pt_flags, super | 1ull << MSHV_PT_BIT_LAPIC | 1ull << MSHV_PT_BIT_X2APIC);
	assert_int_equal(driver.arg.partition.pt_isolation, MSHV_PT_ISOLATION_SNP);
	mshv_vm_destroy(other);
	other = mshv_vm_new(0, MSHV_ISOLATION_NONE);
	assert_int_equal(driver.arg.partition.pt_flags, super);
	assert_int_equal(driver.arg.partition.pt_isolation, MSHV_PT_ISOLATION_NONE);
	mshv_vm_destroy(other);
	calls = driver.calls;
	assert_fails(mshv_vm_new(4, 0), EINVAL, "unknown flags 0x4");
	assert_fails(mshv_vm_new(0, 2), EINVAL, "unknown isolation 2");
	assert_int_equal(driver.calls, calls);
}

static void no_device(void **state)
{
	(void)state;
	setenv("MSHV_DEVICE", "/nonexistent/mshv", 1);
	assert_fails(mshv_vm_create(), ENOENT, "/nonexistent/mshv: No such file");
	setenv("MSHV_DEVICE", "/dev/null", 1);
	driver.fails = MSHV_CREATE_PARTITION;
	driver.error = EPERM;
	assert_fails(mshv_vm_create(), EPERM, "create a partition: Operation not permitted");
	driver.fails = MSHV_INITIALIZE_PARTITION;
	driver.error = ENOMEM;
	assert_fails(mshv_vm_create(), ENOMEM, "initialize the partition: Cannot allocate memory");
}

static void early_properties(void **state)
{
	const struct mshv_property early[] = { { 0x10, 1 }, { 0x20, 2 }, { 0x30, 3 } };
	struct mshv_vm *other = mshv_vm_new(0, 0);

	(void)state;
	assert_int_equal(mshv_vm_initialize(other, early, 3), 0);
	assert_int_equal(driver.request, MSHV_INITIALIZE_PARTITION);
	assert_int_equal(driver.properties, 3);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(driver.set[i].code, early[i].code);
		assert_int_equal(driver.set[i].value, early[i].value);
	}
	mshv_vm_destroy(other);

	other = mshv_vm_new(0, 0);
	driver.properties = 0;
	driver.refused_property = 0x20;
	assert_fails(fails(mshv_vm_initialize(other, early, 3)), EINVAL, "property 0x20: INVALID_PARAMETER");
	assert_int_equal(driver.properties, 2);
	assert_int_not_equal(driver.request, MSHV_INITIALIZE_PARTITION);
	mshv_vm_destroy(other);
}

static void configurations_of_other_sizes(void **state)
{
	struct {
		struct mshv_vm_config known;
		uint64_t newer;
	} config = { .known = { .size = sizeof(config), .flags = MSHV_VM_LAPIC, .synthetic_features = 0xff } };
	struct mshv_vm *other;

	(void)state;
	/* Compiled with a newer header, and nothing wanted of what it has more. */
	driver.bank = 0x3c;
	other = mshv_vm_create_with(&config.known);
	assert_non_null(other);
	assert_int_equal(driver.properties, 1);
	assert_int_equal(driver.set[0].code, HVABI_PROPERTY_SYNTHETIC_PROC_FEATURES);
	assert_int_equal(driver.set[0].value, 0x3c);
	mshv_vm_destroy(other);
	config.newer = 1;
	assert_fails(mshv_vm_create_with(&config.known), EINVAL, "a configuration of 32 bytes");
	/* An older one, which ends before the features. */
	config.known.size = offsetof(struct mshv_vm_config, synthetic_features);
	driver.properties = 0;
	other = mshv_vm_create_with(&config.known);
	assert_non_null(other);
	assert_int_equal(driver.properties, 0);
	mshv_vm_destroy(other);
	config.known.size = 0;
	assert_fails(mshv_vm_create_with(&config.known), EINVAL, "a configuration of 0 bytes");
	/* A hypervisor that does not tell leaves it to the creation; a driver that refuses to ask is an error. */
	config.known.size = sizeof(config.known);
	driver.fails = MSHV_ROOT_HVCALL;
	driver.error = EACCES;
	assert_fails(mshv_vm_create_with(&config.known), EACCES, "hypercall");
	driver.status = HVABI_STATUS_INVALID_PARAMETER;
	assert_fails(mshv_vm_create_with(&config.known), EACCES, "property");
	assert_int_equal(driver.set[0].value, 0xff);
}

/* ---- memory ---- */

static void memory_is_congruent(void **state)
{
	const uint64_t gpas[] = { 0, PAGE, BLOCK - PAGE, BLOCK, GIB + 5 * PAGE };
	const uint64_t sizes[] = { PAGE, BLOCK - PAGE, BLOCK, 3 * BLOCK + PAGE };

	(void)state;
	for (unsigned int i = 0; i < 5; i++)
		for (unsigned int j = 0; j < 4; j++) {
			uint8_t *host = mshv_memory_add(vm, gpas[i], sizes[j], 0);

			assert_non_null(host);
			assert_int_equal((uintptr_t)host % BLOCK, gpas[i] % BLOCK);
			assert_int_equal(driver.arg.memory.guest_pfn, gpas[i] / PAGE);
			assert_int_equal(driver.arg.memory.size, sizes[j]);
			assert_int_equal(driver.arg.memory.userspace_addr, (uintptr_t)host);
			/* All of it is there, to its last byte. */
			host[0] = host[sizes[j] - 1] = 1;
			assert_ptr_equal(mshv_host_address(vm, gpas[i] + 8, sizes[j] - 8), host + 8);
			assert_int_equal(mshv_region_remove(vm, gpas[i], host, sizes[j]), 0);
			assert_false(is_mapped(host));
		}
}

static void memory_that_cannot_be(void **state)
{
	unsigned int calls = driver.calls;
	uint64_t gpa = 1, size = PAGE;

	(void)state;
	assert_fails(mshv_memory_add(vm, 0, 0, 0), EINVAL, "not whole pages");
	assert_fails(mshv_memory_add(vm, 1, PAGE, 0), EINVAL, "guest memory 0x1 + 0x1000");
	assert_fails(mshv_memory_add(vm, 0, PAGE + 1, 0), EINVAL, "not whole pages");
	assert_fails(mshv_memory_add(vm, ~(PAGE - 1), 2 * PAGE, 0), EINVAL, "not whole pages");
	/* With room to align it is more than there are addresses. */
	assert_fails(mshv_memory_add(vm, 0, 0 - PAGE, 0), ENOMEM, "map ");
	assert_fails(fails(mshv_region_add(vm, 0, &gpa, 5, 0)), EINVAL, "not whole pages");
	assert_fails(fails(mshv_region_replace(vm, 0, &gpa, 5, 0)), EINVAL, "not whole pages");
	assert_fails(fails(mshv_prefault(vm, &gpa, &size, 0)), EINVAL, "not whole pages");
	assert_int_equal(driver.calls, calls);
}

static void memory_that_is_refused(void **state)
{
	void *host;

	(void)state;
	driver.fails = MSHV_SET_GUEST_MEMORY;
	driver.error = EEXIST;
	assert_fails(mshv_memory_add(vm, BLOCK, PAGE, 0), EEXIST, "add guest memory 0x200000 + 0x1000: File exists");
	host = (void *)(uintptr_t)driver.arg.memory.userspace_addr;
	assert_false(is_mapped(host));
	assert_fails(mshv_host_address(vm, BLOCK, 1), EFAULT, "guest address 0x200000: no memory there");
	assert_fails(fails(mshv_region_remove(vm, BLOCK, host, PAGE)), EEXIST, "remove guest memory");
	/* A driver without pinned regions says no more than EINVAL, and has no counters of ours. */
	driver.error = EINVAL;
	assert_fails(mshv_memory_add(vm, BLOCK, PAGE, MSHV_MEMORY_PINNED), EINVAL, "pinned guest memory: the driver that is loaded");
	assert_fails(fails(mshv_region_change(vm, BLOCK, host, PAGE, 0)), EINVAL, "changes its kind");
	assert_fails(fails(mshv_region_replace(vm, BLOCK, host, PAGE, 0)), EINVAL, "is replaced");
	/* Not prefaulted: not added. */
	driver.fails = MSHV_PREFAULT_MEMORY;
	driver.error = ENOMEM;
	assert_fails(mshv_memory_add(vm, BLOCK, PAGE, MSHV_MEMORY_PREFAULT), ENOMEM, "prefault guest memory 0x200000");
	assert_int_equal(driver.request, MSHV_SET_GUEST_MEMORY);
	assert_int_equal(driver.arg.memory.flags, 1 << MSHV_SET_MEM_BIT_UNMAP);
	assert_fails(mshv_host_address(vm, BLOCK, 1), EFAULT, "no memory there");
}

static void kinds_of_memory(void **state)
{
	const uint8_t rwx = 1 << MSHV_SET_MEM_BIT_WRITABLE | 1 << MSHV_SET_MEM_BIT_EXECUTABLE;
	static uint8_t mine[2 * PAGE] __attribute__((aligned(4096)));

	(void)state;
	assert_int_equal(mshv_region_add(vm, 0, mine, PAGE, 0), 0);
	assert_int_equal(driver.arg.memory.flags, rwx);
	assert_int_equal(mshv_region_change(vm, 0, mine, PAGE, MSHV_MEMORY_PINNED), 0);
	assert_int_equal(driver.arg.memory.flags, rwx | MSHV_SET_MEM_PINNED | MSHV_SET_MEM_CHANGE);
	assert_int_equal(mshv_region_replace(vm, 0, mine + PAGE, PAGE, MSHV_MEMORY_READ_ONLY), 0);
	assert_int_equal(driver.arg.memory.flags, 1 << MSHV_SET_MEM_BIT_EXECUTABLE | MSHV_SET_MEM_REPLACE);
	assert_ptr_equal(mshv_host_address(vm, 0, PAGE), mine + PAGE);
	assert_int_equal(mshv_region_replace(vm, 0, mine, 2 * PAGE, 0), 0);
	assert_ptr_equal(mshv_host_address(vm, 0, 2 * PAGE), mine);
	assert_null(mshv_host_address(vm, 1, 2 * PAGE));
	assert_null(mshv_host_address(vm, PAGE, ~0ull));
	assert_int_equal(mshv_region_remove(vm, 0, mine, 2 * PAGE), 0);
	/* The caller's stays the caller's. */
	assert_true(is_mapped(mine));
	assert_null(mshv_host_address(vm, 0, 1));
}

static void prefault_goes_on(void **state)
{
	uint64_t gpa = 8 * PAGE, size = 10 * PAGE;

	(void)state;
	driver.prefault_step = 2;
	driver.prefault_calls = 3;
	assert_fails(fails(mshv_prefault(vm, &gpa, &size, MSHV_PREFAULT_FOR_WRITE)), EINTR, "prefault guest memory 0xe000");
	assert_int_equal(driver.arg.prefault.flags, MSHV_PREFAULT_WRITE);
	assert_int_equal(gpa, 14 * PAGE);
	assert_int_equal(size, 4 * PAGE);
	driver.prefault_calls = 2;
	assert_int_equal(mshv_prefault(vm, &gpa, &size, MSHV_PREFAULT_IF_THERE), 0);
	assert_int_equal(driver.arg.prefault.flags, MSHV_PREFAULT_PRESENT);
	assert_int_equal(size, 0);
	driver.fails = MSHV_PREFAULT_MEMORY;
	driver.error = ENOTTY;
	size = PAGE;
	assert_fails(fails(mshv_prefault(vm, &gpa, &size, 0)), ENOTTY, "the driver that is loaded");
}

static void access_bits(void **state)
{
	uint8_t bits[8];

	(void)state;
	assert_int_equal(mshv_access_bitmap(vm, 16, 64, MSHV_DIRTY, MSHV_ACCESS_CLEAR, bits), 0);
	assert_int_equal(driver.arg.bitmap.access_type, MSHV_GPAP_ACCESS_TYPE_DIRTY);
	assert_int_equal(driver.arg.bitmap.access_op, MSHV_GPAP_ACCESS_OP_CLEAR);
	assert_int_equal(driver.arg.bitmap.gpap_base, 16);
	assert_int_equal(driver.arg.bitmap.page_count, 64);
	assert_int_equal(mshv_access_bitmap(vm, 0, 8, MSHV_ACCESSED, MSHV_ACCESS_SET, bits), 0);
	assert_int_equal(driver.arg.bitmap.access_type, MSHV_GPAP_ACCESS_TYPE_ACCESSED);
	assert_int_equal(driver.arg.bitmap.access_op, MSHV_GPAP_ACCESS_OP_SET);
	assert_int_equal(mshv_access_bitmap(vm, 0, 8, MSHV_ACCESSED, MSHV_ACCESS_KEEP, bits), 0);
	assert_int_equal(driver.arg.bitmap.access_op, MSHV_GPAP_ACCESS_OP_NOOP);
	driver.fails = MSHV_GET_GPAP_ACCESS_BITMAP;
	driver.error = EINVAL;
	assert_fails(fails(mshv_access_bitmap(vm, 0, 8, MSHV_DIRTY, MSHV_ACCESS_KEEP, bits)), EINVAL, "access bits of 8 pages");
	assert_int_equal(mshv_track_access(vm, true), 0);
	assert_int_equal(driver.set[0].code, HVABI_PROPERTY_GPA_PAGE_ACCESS_TRACKING);
	assert_int_equal(driver.set[0].value, 1);
}

static void counters_of_no_driver(void **state)
{
	uint64_t value = 5;

	(void)state;
	assert_fails(fails(mshv_stat(vm, "faults-served", &value)), ENOENT, "no mshv-faults-served:");
	assert_int_equal(value, 5);
}

/* ---- hypercalls and registers ---- */

static void hypercalls(void **state)
{
	uint8_t in[16] = { 1, 2, 3 };
	uint16_t reps = 7, status = 99;
	static uint8_t large[70000];
	unsigned int calls;

	(void)state;
	assert_int_equal(mshv_hypercall(vm->fd, 0x123, &reps, in, sizeof(in), NULL, 0, &status), 0);
	assert_int_equal(driver.arg.hypercall.code, 0x123);
	assert_int_equal(driver.arg.hypercall.reps, 7);
	assert_memory_equal(driver.input, in, sizeof(in));
	assert_int_equal(status, 0);
	driver.fails = MSHV_ROOT_HVCALL;
	driver.error = EINVAL;
	driver.status = HVABI_STATUS_INVALID_PARAMETER;
	driver.reps = 4;
	assert_fails(fails(mshv_hypercall(vm->fd, 0x123, &reps, in, sizeof(in), NULL, 0, &status)), EINVAL,
		     "hypercall 0x123: INVALID_PARAMETER");
	assert_int_equal(reps, 4);
	assert_int_equal(status, HVABI_STATUS_INVALID_PARAMETER);
	/* Refused by the driver itself. */
	driver.status = 0;
	driver.error = EACCES;
	assert_fails(fails(mshv_hypercall(vm->fd, 0x123, NULL, in, sizeof(in), NULL, 0, &status)), EACCES,
		     "hypercall 0x123: Permission denied");
	assert_int_equal(status, 0);
	status = 99;
	/* The driver's sizes have 16 bits: what does not fit is not cut off. */
	calls = driver.calls;
	assert_fails(fails(mshv_hypercall(vm->fd, 0x123, NULL, large, sizeof(large), NULL, 0, NULL)), EINVAL, "70000");
	assert_fails(fails(mshv_hypercall(vm->fd, 0x123, NULL, in, sizeof(in), large, sizeof(large), &status)), EINVAL, "70000");
	assert_int_equal(status, 0);
	assert_int_equal(driver.calls, calls);
}

static struct mshv_vcpu *vcpu;

static int setup_vcpu(void **state)
{
	if (setup(state))
		return -1;
	vcpu = mshv_vcpu_create(vm, 3);
	return vcpu ? 0 : -1;
}

static int teardown_vcpu(void **state)
{
	mshv_vcpu_destroy(vcpu);
	return teardown(state);
}

static void processors(void **state)
{
	(void)state;
	assert_int_equal(driver.arg.vp.vp_index, 3);
	assert_int_equal(mshv_vcpu_index(vcpu), 3);
	assert_ptr_equal(mshv_vcpu_vm(vcpu), vm);
	driver.fails = MSHV_CREATE_VP;
	driver.error = EEXIST;
	assert_fails(mshv_vcpu_create(vm, 3), EEXIST, "create processor 3: File exists");
	mshv_vcpu_destroy(NULL);
	mshv_vm_destroy(NULL);
}

static void registers(void **state)
{
	struct hvabi_register_assoc regs[65];
	union hvabi_register_value values[65];
	const struct hvabi_input_set_vp_registers *set = (const void *)driver.input;
	const struct hvabi_input_get_vp_registers *get = (const void *)driver.input;
	uint32_t names[65];
	unsigned int i, calls = driver.calls;
	uint64_t value;

	(void)state;
	for (i = 0; i < 65; i++) {
		names[i] = HVABI_REG_RAX + i;
		regs[i] = mshv_scalar(names[i], 100 + i);
	}
	assert_fails(fails(mshv_get_registers(vcpu, names, values, 0)), EINVAL, "read 0 registers: 1 to 64");
	assert_fails(fails(mshv_get_registers(vcpu, names, values, 65)), EINVAL, "read 65 registers: 1 to 64");
	assert_fails(fails(mshv_set_registers(vcpu, regs, 65)), EINVAL, "write 65 registers: 1 to 64");
	assert_int_equal(driver.calls, calls);
	assert_int_equal(mshv_get_registers(vcpu, names, values, 64), 0);
	assert_int_equal(driver.arg.hypercall.code, HVABI_CALL_GET_VP_REGISTERS);
	assert_int_equal(driver.arg.hypercall.reps, 64);
	assert_int_equal(get->vp_index, 3);
	assert_memory_equal(get->names, names, 64 * sizeof(names[0]));
	assert_int_equal(values[63].reg64, 64);
	assert_int_equal(mshv_set_registers(vcpu, regs, 64), 0);
	assert_int_equal(driver.arg.hypercall.in_sz, sizeof(*set) + 64 * sizeof(regs[0]));
	assert_int_equal(set->vp_index, 3);
	assert_memory_equal(set->elements, regs, 64 * sizeof(regs[0]));
	assert_int_equal(mshv_get_register(vcpu, HVABI_REG_RIP, &value), 0);
	assert_int_equal(value, 1);
	/* The one that was refused is named. */
	driver.fails = MSHV_ROOT_HVCALL;
	driver.error = EINVAL;
	driver.status = HVABI_STATUS_INVALID_PARAMETER;
	driver.reps = 2;
	regs[2].name = 0xabc;
	assert_fails(fails(mshv_set_registers(vcpu, regs, 5)), EINVAL, "write register 0xabc");
	assert_fails(fails(mshv_get_register(vcpu, 1, &value)), EINVAL, "INVALID_PARAMETER");
}

static void general_registers(void **state)
{
	struct hvabi_vp_register_page *page;
	struct mshv_general general;
	struct mshv_vcpu *paged;
	unsigned int calls;
	int fd;

	(void)state;
	/* By hypercall. */
	assert_null(vcpu->page);
	assert_int_equal(mshv_get_general(vcpu, &general), 0);
	assert_int_equal(general.gp[0], 1);
	assert_int_equal(general.gp[15], 16);
	assert_int_equal(general.rip, 17);
	assert_int_equal(general.rflags, 18);
	assert_int_equal(mshv_set_general(vcpu, &general), 0);
	assert_int_equal(driver.arg.hypercall.code, HVABI_CALL_SET_VP_REGISTERS);
	assert_int_equal(driver.arg.hypercall.reps, 18);

	/* Through a page: no call, once it is valid. */
	fd = memfd_create("page", MFD_CLOEXEC);
	assert_int_equal(ftruncate(fd, PAGE), 0);
	driver.vp_fd = fd;
	paged = mshv_vcpu_create(vm, 4);
	close(fd);
	assert_non_null(paged->page);
	page = paged->page;
	calls = driver.calls;
	assert_int_equal(mshv_get_general(paged, &general), 0);
	assert_int_equal(driver.calls, calls + 1);
	page->isvalid = 1;
	page->gp_registers[15] = 77;
	page->rip = 78;
	assert_int_equal(mshv_get_general(paged, &general), 0);
	assert_int_equal(general.gp[15], 77);
	assert_int_equal(general.rip, 78);
	general.rip = 80;
	general.rflags = 2;
	assert_int_equal(mshv_set_general(paged, &general), 0);
	assert_int_equal(page->rip, 80);
	assert_int_equal(page->rflags, 2);
	assert_int_equal(page->dirty, HVABI_REGISTER_PAGE_DIRTY_GENERAL | HVABI_REGISTER_PAGE_DIRTY_IP |
				      HVABI_REGISTER_PAGE_DIRTY_FLAGS);
	assert_int_equal(driver.calls, calls + 1);
	mshv_vcpu_destroy(paged);
	assert_false(is_mapped(page));
}

static void state_of_processors(void **state)
{
	static uint8_t buffer[PAGE] __attribute__((aligned(4096)));
	size_t size = PAGE;

	(void)state;
	driver.state_size = 1000;
	assert_int_equal(mshv_vcpu_get_state(vcpu, MSHV_VP_STATE_XSAVE, buffer, &size), 0);
	assert_int_equal(driver.arg.state.type, MSHV_VP_STATE_XSAVE);
	assert_int_equal(driver.arg.state.buf_sz, PAGE);
	assert_int_equal(size, 1000);
	/* Too small: how large it has to be. */
	driver.fails = MSHV_GET_VP_STATE;
	driver.error = EINVAL;
	driver.state_size = 9000;
	size = PAGE;
	assert_fails(fails(mshv_vcpu_get_state(vcpu, MSHV_VP_STATE_LAPIC, buffer, &size)), EINVAL, "state 0 of processor 3");
	assert_int_equal(size, 9000);
	assert_int_equal(mshv_vcpu_set_state(vcpu, MSHV_VP_STATE_SIMP, buffer, PAGE), 0);
	assert_int_equal(driver.request, MSHV_SET_VP_STATE);
	assert_int_equal(driver.arg.state.buf_ptr, (uintptr_t)buffer);
}

/* ---- running ---- */

static bool is_all(const struct hvabi_message *message, uint8_t byte)
{
	for (size_t i = 0; i < sizeof(*message); i++)
		if (((const uint8_t *)message)[i] != byte)
			return false;
	return true;
}

static void runs(void **state)
{
	struct hvabi_message message;

	(void)state;
	assert_int_equal(mshv_vcpu_run(vcpu, &message), 0);
	assert_true(is_all(&message, 0xa5));
	assert_int_equal(driver.runs, 1);
	/* A fault that was not served: the message is there. */
	driver.fails = MSHV_RUN_VP_EXIT;
	driver.error = EFAULT;
	assert_fails(fails(mshv_vcpu_run(vcpu, &message)), EFAULT, "run processor 3: Bad address");
	assert_true(is_all(&message, 0xa5));
	/* The partition was killed: there is none, and what the last run left is not of this one. */
	driver.error = EOWNERDEAD;
	assert_fails(fails(mshv_vcpu_run(vcpu, &message)), EOWNERDEAD, "run processor 3");
	assert_true(is_all(&message, 0));
	/* A signal: none. */
	driver.error = EINTR;
	assert_fails(fails(mshv_vcpu_run(vcpu, &message)), EINTR, "run processor 3");
	assert_true(is_all(&message, 0));
}

static void a_driver_that_knows_no_immediate_exit(void **state)
{
	struct hvabi_message message;
	unsigned int calls = driver.calls;

	(void)state;
	driver.fails = MSHV_RUN_VP_EXIT;
	driver.error = ENOTTY;
	assert_int_equal(mshv_vcpu_run(vcpu, &message), 0);
	assert_true(is_all(&message, 0x5a));
	assert_int_equal(mshv_vcpu_run(vcpu, &message), 0);
	/* It is asked once. */
	assert_int_equal(driver.calls, calls + 3);
	assert_int_equal(driver.plain_runs, 2);
}

static void kicked_before(void **state)
{
	struct hvabi_message message;

	(void)state;
	mshv_vcpu_kick(vcpu, 0);
	assert_fails(fails(mshv_vcpu_run(vcpu, &message)), EINTR, "processor 3: kicked");
	assert_int_equal(driver.runs, 0);
	/* One kick ends one run. */
	assert_int_equal(mshv_vcpu_run(vcpu, &message), 0);
	assert_int_equal(driver.runs, 1);
	assert_int_equal(driver.arg.run.immediate_exit, 0);
}

static void mine(int signal)
{
	(void)signal;
}

static void signals(void **state)
{
	struct sigaction action = { .sa_handler = mine }, now;

	(void)state;
	assert_fails(fails(mshv_kick_signal(SIGKILL)), EINVAL, "signal 9 for kicks");
	assert_fails(fails(mshv_kick_signal(4711)), EINVAL, "signal 4711 for kicks");
	assert_int_equal(mshv_kick_signal_now(), 0);
	sigaction(SIGUSR1, &action, NULL);
	assert_int_equal(mshv_kick_signal(SIGUSR1), 0);
	sigaction(SIGUSR1, NULL, &now);
	assert_ptr_equal(now.sa_handler, mine);
	assert_int_equal(mshv_kick_signal(SIGUSR2), 0);
	sigaction(SIGUSR2, NULL, &now);
	assert_true(now.sa_handler != SIG_DFL && !(now.sa_flags & SA_RESTART));
	assert_int_equal(mshv_kick_signal(0), 0);
}

/* ---- events ---- */

static void events(void **state)
{
	const struct mshv_msi routes[] = { { 5, 0x1fee00000, 0x4031 }, { 9, 0xfee01000, 0x8032 } };
	const uint64_t value = 0x1234;

	(void)state;
	assert_int_equal(mshv_irqfd_add_level(vm, 10, 11, 24), 0);
	assert_int_equal(driver.arg.irqfd.fd, 10);
	assert_int_equal(driver.arg.irqfd.resamplefd, 11);
	assert_int_equal(driver.arg.irqfd.gsi, 24);
	assert_int_equal(driver.arg.irqfd.flags, 1 << MSHV_IRQFD_BIT_RESAMPLE);
	assert_int_equal(mshv_irqfd_add(vm, 10, 24), 0);
	assert_int_equal(driver.arg.irqfd.flags, 0);
	assert_int_equal(mshv_irqfd_remove(vm, 10, 24), 0);
	assert_int_equal(driver.arg.irqfd.flags, 1 << MSHV_IRQFD_BIT_DEASSIGN);

	assert_int_equal(mshv_ioeventfd_add(vm, 12, 0xd0000000, 4, &value), 0);
	assert_int_equal(driver.arg.ioeventfd.addr, 0xd0000000);
	assert_int_equal(driver.arg.ioeventfd.len, 4);
	assert_int_equal(driver.arg.ioeventfd.datamatch, 0x1234);
	assert_int_equal(driver.arg.ioeventfd.flags, 1 << MSHV_IOEVENTFD_BIT_DATAMATCH);
	assert_int_equal(mshv_ioeventfd_remove(vm, 12, 0xd0000000, 4, NULL), 0);
	assert_int_equal(driver.arg.ioeventfd.flags, 1 << MSHV_IOEVENTFD_BIT_DEASSIGN);
	driver.fails = MSHV_IOEVENTFD;
	driver.error = EEXIST;
	assert_fails(fails(mshv_ioeventfd_add(vm, 12, 0xd0000000, 4, NULL)), EEXIST, "eventfd 12 for writes to 0xd0000000");

	assert_int_equal(mshv_msi_routes(vm, routes, 2), 0);
	assert_int_equal(driver.route_count, 2);
	assert_int_equal(driver.routes[0].gsi, 5);
	assert_int_equal(driver.routes[0].address_lo, 0xfee00000);
	assert_int_equal(driver.routes[0].address_hi, 1);
	assert_int_equal(driver.routes[1].data, 0x8032);
	assert_int_equal(mshv_msi_routes(vm, NULL, 0), 0);
	assert_int_equal(driver.route_count, 0);
}

#define VM_TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
#define VCPU_TEST(function) cmocka_unit_test_setup_teardown(function, setup_vcpu, teardown_vcpu)

int main(void)
{
	const struct CMUnitTest tests[] = {
		VM_TEST(flags_and_isolation),
		VM_TEST(no_device),
		VM_TEST(early_properties),
		VM_TEST(configurations_of_other_sizes),
		VM_TEST(memory_is_congruent),
		VM_TEST(memory_that_cannot_be),
		VM_TEST(memory_that_is_refused),
		VM_TEST(kinds_of_memory),
		VM_TEST(prefault_goes_on),
		VM_TEST(access_bits),
		VM_TEST(counters_of_no_driver),
		VM_TEST(hypercalls),
		VCPU_TEST(processors),
		VCPU_TEST(registers),
		VCPU_TEST(general_registers),
		VCPU_TEST(state_of_processors),
		VCPU_TEST(runs),
		VCPU_TEST(a_driver_that_knows_no_immediate_exit),
		VCPU_TEST(kicked_before),
		VM_TEST(signals),
		VM_TEST(events),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
