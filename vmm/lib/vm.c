// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* libmshv: partitions, their memory regions, and hypercalls through the driver. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <uapi/mshv.h>

#include "internal.h"

#define MEMORY_FLAGS	((unsigned int)(MSHV_MEMORY_PINNED | MSHV_MEMORY_READ_ONLY | MSHV_MEMORY_SMALL | MSHV_MEMORY_PREFAULT))

static const char *device_path(void)
{
	const char *path = getenv("MSHV_DEVICE");

	return path && *path ? path : "/dev/mshv";
}

static int open_device(void)
{
	int fd = open(device_path(), O_RDWR | O_CLOEXEC);

	if (fd < 0)
		mshv_fail("%s", device_path());
	return fd;
}

/* A descriptor for calls about the parent itself, opened once and kept. */
int mshv_device(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static int fd = -1;
	int answer;

	pthread_mutex_lock(&lock);
	if (fd < 0)
		fd = open_device();
	answer = fd;
	pthread_mutex_unlock(&lock);
	return answer;
}

int mshv_assignable_features(uint64_t *features)
{
	/* The whole answer: what is asked for is what the hypervisor may write. */
	union {
		struct hvabi_output_property_bank bank;
		uint8_t bytes[HVABI_PROPERTY_EX_OUTPUT_MAX];
	} out = { 0 };
	struct hvabi_input_get_partition_property_ex in = {
		.property_code = HVABI_PROPERTY_ASSIGNABLE_SYNTHETIC_PROC_FEATURES,
	};
	int device = mshv_device();
	uint16_t status;

	*features = ~0ull;
	if (device < 0)
		return -1;
	if (!mshv_hypercall(device, HVABI_CALL_GET_PARTITION_PROPERTY_EX, NULL, &in, sizeof(in),
			    &out, sizeof(out), &status))
		*features = out.bank.bank[0];
	else if (!status)
		return -1;
	return 0;
}

int mshv_vm_set_property(struct mshv_vm *vm, uint32_t code, uint64_t value)
{
	uint16_t status = 0;
	struct hvabi_input_set_partition_property in = {
		.property_code = code, .property_value = value,
	};

	if (!mshv_hypercall(vm->fd, HVABI_CALL_SET_PARTITION_PROPERTY, NULL, &in, sizeof(in), NULL, 0, &status))
		return 0;
	if (status)
		return mshv_fail_because(errno, "property 0x%x: %s", code, mshv_status_name(status));
	return mshv_fail("property 0x%x", code);
}

struct mshv_vm *mshv_vm_new(unsigned int flags, unsigned int isolation)
{
	struct mshv_create_partition args = { .pt_flags = 1ull << MSHV_PT_BIT_GPA_SUPER_PAGES };
	struct mshv_vm *vm;
	int device;

	if (flags & ~(unsigned int)(MSHV_VM_LAPIC | MSHV_VM_X2APIC)) {
		mshv_fail_because(EINVAL, "create a partition: unknown flags 0x%x", flags);
		return NULL;
	}
	if (isolation > MSHV_ISOLATION_SNP) {
		mshv_fail_because(EINVAL, "create a partition: unknown isolation %u", isolation);
		return NULL;
	}
	args.pt_isolation = isolation == MSHV_ISOLATION_SNP ? MSHV_PT_ISOLATION_SNP : MSHV_PT_ISOLATION_NONE;
	if (flags & MSHV_VM_LAPIC)
		args.pt_flags |= 1ull << MSHV_PT_BIT_LAPIC;
	if (flags & MSHV_VM_X2APIC)
		args.pt_flags |= 1ull << MSHV_PT_BIT_X2APIC;
	vm = calloc(1, sizeof(*vm));
	if (!vm) {
		mshv_fail("create a partition");
		return NULL;
	}
	device = open_device();
	if (device < 0) {
		free(vm);
		return NULL;
	}
	vm->fd = ioctl(device, MSHV_CREATE_PARTITION, &args);
	if (vm->fd < 0)
		mshv_fail("create a partition");
	keep_errno(close(device));
	if (vm->fd < 0) {
		keep_errno(free(vm));
		return NULL;
	}
	pthread_mutex_init(&vm->lock, NULL);
	return vm;
}

int mshv_vm_initialize(struct mshv_vm *vm, const struct mshv_property *early, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		if (mshv_vm_set_property(vm, early[i].code, early[i].value))
			return -1;
	if (ioctl(vm->fd, MSHV_INITIALIZE_PARTITION) < 0)
		return mshv_fail("initialize the partition");
	return 0;
}

struct mshv_vm *mshv_vm_create_with(const struct mshv_vm_config *config)
{
	struct mshv_property features = { .code = HVABI_PROPERTY_SYNTHETIC_PROC_FEATURES };
	struct mshv_vm_config c = { 0 };
	struct mshv_vm *vm;
	uint64_t assignable;

	if (take_sized(&c, sizeof(c), config, config->size)) {
		mshv_fail_because(EINVAL, "create a partition: a configuration of %zu bytes", config->size);
		return NULL;
	}
	vm = mshv_vm_new(c.flags, c.isolation);
	if (!vm)
		return NULL;
	if (c.synthetic_features) {
		if (mshv_assignable_features(&assignable))
			goto destroy;
		features.value = c.synthetic_features & assignable;
	}
	if (mshv_vm_initialize(vm, &features, c.synthetic_features ? 1 : 0))
		goto destroy;
	return vm;
destroy:
	keep_errno(mshv_vm_destroy(vm));
	return NULL;
}

struct mshv_vm *mshv_vm_create(void)
{
	/* Payloads have no use for an APIC. */
	return mshv_vm_create_with(&(struct mshv_vm_config){ .size = sizeof(struct mshv_vm_config) });
}

static void free_region(struct region *r)
{
	if (r->mapping)
		munmap(r->mapping, r->mapping_size);
	free(r);
}

void mshv_vm_destroy(struct mshv_vm *vm)
{
	struct region *r;

	if (!vm)
		return;
	close(vm->fd);
	while ((r = vm->regions)) {
		vm->regions = r->next;
		free_region(r);
	}
	pthread_mutex_destroy(&vm->lock);
	free(vm);
}

int mshv_vm_fd(const struct mshv_vm *vm)
{
	return vm->fd;
}

static int set_memory(struct mshv_vm *vm, uint64_t gpa, void *host, uint64_t size,
		      uint8_t flags)
{
	struct mshv_user_mem_region args = {
		.size = size,
		.guest_pfn = gpa / MSHV_PAGE_SIZE,
		.userspace_addr = (uintptr_t)host,
		.flags = flags,
	};

	return ioctl(vm->fd, MSHV_SET_GUEST_MEMORY, &args);
}

static int check_range(uint64_t gpa, uint64_t size)
{
	if (size == 0 || (gpa | size) % MSHV_PAGE_SIZE || gpa + size < gpa)
		return mshv_fail_because(EINVAL, "guest memory 0x%llx + 0x%llx: not whole pages",
					 (unsigned long long)gpa, (unsigned long long)size);
	return 0;
}

/* Before anything changes: flags of a newer header ask for what is not done here. */
static int check_flags(const char *what, unsigned int flags, unsigned int known)
{
	if (flags & ~known)
		return mshv_fail_because(EINVAL, "%s: unknown flags 0x%x", what, flags & ~known);
	return 0;
}

/* MSHV_MEMORY_* as the driver's bits. */
static uint8_t memory_bits(unsigned int flags)
{
	uint8_t bits = 1 << MSHV_SET_MEM_BIT_EXECUTABLE;

	if (!(flags & MSHV_MEMORY_READ_ONLY))
		bits |= 1 << MSHV_SET_MEM_BIT_WRITABLE;
	if (flags & MSHV_MEMORY_PINNED)
		bits |= MSHV_SET_MEM_PINNED;
	return bits;
}

/* EINVAL has many reasons; that the driver has no such regions is one that the VMM cannot mend. */
static bool no_extensions(struct mshv_vm *vm)
{
	uint64_t id;
	int error = errno;
	bool none = error == EINVAL && mshv_stat(vm, "partition", &id);

	errno = error;
	return none;
}

static int no_such_region(const char *what)
{
	return mshv_fail_because(EINVAL, "%s: the driver that is loaded has no such thing (mshv_movable has)", what);
}

int mshv_prefault(struct mshv_vm *vm, uint64_t *gpa, uint64_t *size, unsigned int flags)
{
	struct mshv_prefault args = {
		.flags = (flags & MSHV_PREFAULT_FOR_WRITE ? MSHV_PREFAULT_WRITE : 0) |
			 (flags & MSHV_PREFAULT_IF_THERE ? MSHV_PREFAULT_PRESENT : 0),
	};

	if (check_flags("prefault guest memory", flags, MSHV_PREFAULT_FOR_WRITE | MSHV_PREFAULT_IF_THERE) ||
	    check_range(*gpa, *size))
		return -1;
	args.gfn = *gpa / MSHV_PAGE_SIZE;
	args.pages = *size / MSHV_PAGE_SIZE;
	while (args.pages) {
		if (ioctl(vm->fd, MSHV_PREFAULT_MEMORY, &args) < 0)
			break;
		*gpa = args.gfn * MSHV_PAGE_SIZE;
		*size = args.pages * MSHV_PAGE_SIZE;
	}
	if (!args.pages)
		return 0;
	if (errno == ENOTTY)
		return mshv_fail_because(ENOTTY, "prefault: the driver that is loaded has no such thing (mshv_movable has)");
	return mshv_fail("prefault guest memory 0x%llx", (unsigned long long)*gpa);
}

/* All of a region that was just added; without it there is no region. */
static int prefault_region(struct mshv_vm *vm, const struct region *r, unsigned int flags)
{
	uint64_t gpa = r->gpa, size = r->size;
	int error;

	if (!mshv_prefault(vm, &gpa, &size, flags & MSHV_MEMORY_READ_ONLY ? 0 : MSHV_PREFAULT_FOR_WRITE))
		return 0;
	error = errno;
	set_memory(vm, r->gpa, r->host, r->size, 1 << MSHV_SET_MEM_BIT_UNMAP);
	errno = error;
	return -1;
}

static int add_region(struct mshv_vm *vm, struct region *r, unsigned int flags)
{
	int ret = set_memory(vm, r->gpa, r->host, r->size, memory_bits(flags));

	if (ret < 0 && flags & MSHV_MEMORY_PINNED && no_extensions(vm))
		return no_such_region("pinned guest memory");
	if (ret < 0)
		return mshv_fail("add guest memory 0x%llx + 0x%llx",
				 (unsigned long long)r->gpa, (unsigned long long)r->size);
	if (flags & MSHV_MEMORY_PREFAULT && prefault_region(vm, r, flags))
		return -1;
	pthread_mutex_lock(&vm->lock);
	r->next = vm->regions;
	vm->regions = r;
	pthread_mutex_unlock(&vm->lock);
	return 0;
}

int mshv_region_add(struct mshv_vm *vm, uint64_t gpa, void *host, uint64_t size,
		    unsigned int flags)
{
	struct region *r;

	if (check_flags("add guest memory", flags, MEMORY_FLAGS) || check_range(gpa, size))
		return -1;
	r = calloc(1, sizeof(*r));
	if (!r)
		return mshv_fail("add guest memory");
	*r = (struct region){ .gpa = gpa, .size = size, .host = host };
	if (add_region(vm, r, flags)) {
		free(r);
		return -1;
	}
	return 0;
}

void *mshv_memory_add(struct mshv_vm *vm, uint64_t gpa, uint64_t size, unsigned int flags)
{
	struct region *r;
	uintptr_t host;

	if (check_flags("add guest memory", flags, MEMORY_FLAGS) || check_range(gpa, size))
		return NULL;
	if (size > UINT64_MAX - MSHV_BLOCK_SIZE) {
		errno = ENOMEM;
		mshv_fail("map %llu bytes", (unsigned long long)size);
		return NULL;
	}
	r = calloc(1, sizeof(*r));
	if (!r) {
		mshv_fail("add guest memory");
		return NULL;
	}
	/* Congruent with the GFN modulo a block, or nothing could ever be mapped large. */
	r->mapping_size = size + MSHV_BLOCK_SIZE;
	r->mapping = mmap(NULL, r->mapping_size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (r->mapping == MAP_FAILED) {
		mshv_fail("map %llu bytes", (unsigned long long)size);
		free(r);
		return NULL;
	}
	host = ((uintptr_t)r->mapping + MSHV_BLOCK_SIZE - 1) & ~(uintptr_t)(MSHV_BLOCK_SIZE - 1);
	host += gpa % MSHV_BLOCK_SIZE;
	if (host - (uintptr_t)r->mapping > MSHV_BLOCK_SIZE)
		host -= MSHV_BLOCK_SIZE;
	r->host = (void *)host;
	r->gpa = gpa;
	r->size = size;
	madvise(r->host, size, flags & MSHV_MEMORY_SMALL ? MADV_NOHUGEPAGE : MADV_HUGEPAGE);
	if (add_region(vm, r, flags)) {
		int error = errno;

		free_region(r);
		errno = error;
		return NULL;
	}
	return r->host;
}

int mshv_region_change(struct mshv_vm *vm, uint64_t gpa, void *host, uint64_t size,
		       unsigned int flags)
{
	int ret;

	if (check_flags("change guest memory", flags, MEMORY_FLAGS))
		return -1;
	ret = set_memory(vm, gpa, host, size, memory_bits(flags) | MSHV_SET_MEM_CHANGE);
	if (ret < 0 && no_extensions(vm))
		return no_such_region("guest memory that changes its kind");
	if (ret < 0)
		return mshv_fail("make guest memory 0x%llx + 0x%llx %s", (unsigned long long)gpa,
				 (unsigned long long)size,
				 flags & MSHV_MEMORY_PINNED ? "pinned" : "movable");
	return 0;
}

int mshv_region_replace(struct mshv_vm *vm, uint64_t gpa, void *host, uint64_t size,
			unsigned int flags)
{
	struct region *r;
	int ret;

	if (check_flags("replace guest memory", flags, MEMORY_FLAGS) || check_range(gpa, size))
		return -1;
	ret = set_memory(vm, gpa, host, size, memory_bits(flags) | MSHV_SET_MEM_REPLACE);
	if (ret < 0 && no_extensions(vm))
		return no_such_region("guest memory that is replaced");
	if (ret < 0)
		return mshv_fail("replace guest memory 0x%llx by 0x%llx bytes",
				 (unsigned long long)gpa, (unsigned long long)size);
	pthread_mutex_lock(&vm->lock);
	for (r = vm->regions; r; r = r->next) {
		if (r->gpa == gpa) {
			r->host = host;
			r->size = size;
		}
	}
	pthread_mutex_unlock(&vm->lock);
	return 0;
}

int mshv_region_remove(struct mshv_vm *vm, uint64_t gpa, void *host, uint64_t size)
{
	struct region **link, *r;

	if (set_memory(vm, gpa, host, size, 1 << MSHV_SET_MEM_BIT_UNMAP) < 0)
		return mshv_fail("remove guest memory 0x%llx + 0x%llx",
				 (unsigned long long)gpa, (unsigned long long)size);
	pthread_mutex_lock(&vm->lock);
	for (link = &vm->regions; (r = *link); link = &r->next) {
		if (r->gpa == gpa && r->size == size && r->host == host) {
			*link = r->next;
			break;
		}
	}
	pthread_mutex_unlock(&vm->lock);
	if (r)
		free_region(r);
	return 0;
}

void *mshv_host_address(struct mshv_vm *vm, uint64_t gpa, uint64_t size)
{
	struct region *r;
	void *host = NULL;

	pthread_mutex_lock(&vm->lock);
	for (r = vm->regions; r; r = r->next) {
		if (gpa >= r->gpa && size <= r->size && gpa - r->gpa <= r->size - size) {
			host = r->host + (gpa - r->gpa);
			break;
		}
	}
	pthread_mutex_unlock(&vm->lock);
	if (!host)
		mshv_fail_because(EFAULT, "guest address 0x%llx: no memory there",
				  (unsigned long long)gpa);
	return host;
}

int mshv_track_access(struct mshv_vm *vm, bool on)
{
	return mshv_vm_set_property(vm, HVABI_PROPERTY_GPA_PAGE_ACCESS_TRACKING, on);
}

int mshv_freeze_time(struct mshv_vm *vm, bool freeze)
{
	return mshv_vm_set_property(vm, HVABI_PROPERTY_TIME_FREEZE, freeze);
}

int mshv_access_bitmap(struct mshv_vm *vm, uint64_t gfn, uint64_t pages,
		       enum mshv_access which, enum mshv_access_op op, uint8_t *bitmap)
{
	struct mshv_gpap_access_bitmap args = {
		.access_type = which == MSHV_DIRTY ? MSHV_GPAP_ACCESS_TYPE_DIRTY :
						     MSHV_GPAP_ACCESS_TYPE_ACCESSED,
		.access_op = op == MSHV_ACCESS_CLEAR ? MSHV_GPAP_ACCESS_OP_CLEAR :
			     op == MSHV_ACCESS_SET ? MSHV_GPAP_ACCESS_OP_SET :
						     MSHV_GPAP_ACCESS_OP_NOOP,
		.page_count = pages,
		.gpap_base = gfn,
		.bitmap_ptr = (uintptr_t)bitmap,
	};

	if (ioctl(vm->fd, MSHV_GET_GPAP_ACCESS_BITMAP, &args) < 0)
		return mshv_fail("read access bits of %llu pages", (unsigned long long)pages);
	return 0;
}

int mshv_hypercall(int fd, uint16_t code, uint16_t *reps, void *in, size_t in_size,
		   void *out, size_t out_size, uint16_t *status)
{
	struct mshv_root_hvcall args = {
		.code = code,
		.reps = reps ? *reps : 0,
		.in_ptr = (uintptr_t)in,
		.out_ptr = (uintptr_t)out,
	};
	int ret;

	if (status)
		*status = 0;
	if (in_size > UINT16_MAX || out_size > UINT16_MAX) {
		if (reps)
			*reps = 0;
		return mshv_fail_because(EINVAL, "hypercall 0x%x: %zu bytes in, %zu out: at most %u", code, in_size,
					 out_size, UINT16_MAX);
	}
	args.in_sz = (uint16_t)in_size;
	args.out_sz = (uint16_t)out_size;
	ret = ioctl(fd, MSHV_ROOT_HVCALL, &args);
	if (status)
		*status = args.status;
	if (reps)
		*reps = args.reps;
	if (ret < 0 && args.status)
		return mshv_fail("hypercall 0x%x: %s", code, mshv_status_name(args.status));
	if (ret < 0)
		return mshv_fail("hypercall 0x%x", code);
	return 0;
}

int mshv_install_intercept(struct mshv_vm *vm, uint32_t type, uint32_t access,
			   uint64_t parameter)
{
	struct hvabi_input_install_intercept in = {
		.access_type = access,
		.intercept_type = type,
		.intercept_parameter = parameter,
	};

	return mshv_hypercall(vm->fd, HVABI_CALL_INSTALL_INTERCEPT, NULL, &in, sizeof(in),
			      NULL, 0, NULL);
}

int mshv_assert_interrupt(struct mshv_vm *vm, uint32_t mode, uint32_t vector, uint64_t dest,
			  bool logical, bool level)
{
	struct hvabi_input_assert_virtual_interrupt in = {
		.interrupt_type = mode,
		.interrupt_flags = (logical ? HVABI_INTERRUPT_LOGICAL_DEST : 0) |
				   (level ? HVABI_INTERRUPT_LEVEL_TRIGGERED : 0),
		.dest_addr = dest,
		.vector = vector,
	};

	return mshv_hypercall(vm->fd, HVABI_CALL_ASSERT_VIRTUAL_INTERRUPT, NULL, &in, sizeof(in),
			      NULL, 0, NULL);
}
