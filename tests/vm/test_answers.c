// SPDX-License-Identifier: GPL-2.0-only
/*
 * Questions to which this driver and Linux's own need not give the same answer, and the answer of each: the table of
 * docs/porting.md, and a test that it is true. An answer is an errno, or 0.
 *
 * Each question has a guest of its own: a partition with one processor and a region, from the ioctls that both have.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <uapi/mshv.h>

#include "ktap.h"
#include "probe.h"

#define GPA		(1ull << 30)
#define SIZE		(2 * BLOCK)
#define DOORBELL	0xfe000000ull

static struct probe probe;
static uint8_t *memory;
static int device = -1, event = -1, other = -1;

static int vm_ioctl(unsigned long request, void *args)
{
	return ioctl(mshv_vm_fd(probe.vm), request, args) < 0 ? errno : 0;
}

static int set_memory(uint64_t gpa, uint64_t size, void *host, unsigned int flags)
{
	struct mshv_user_mem_region args = {
		.guest_pfn = gpa / PAGE, .size = size, .userspace_addr = (uintptr_t)host, .flags = (uint8_t)flags,
	};

	return vm_ioctl(MSHV_SET_GUEST_MEMORY, &args);
}

#define RIGHTS	(1 << MSHV_SET_MEM_BIT_WRITABLE | 1 << MSHV_SET_MEM_BIT_EXECUTABLE)
#define UNMAP	(1 << MSHV_SET_MEM_BIT_UNMAP)

static int pinned(void)
{
	return set_memory(2 * GPA, BLOCK, probe_memory(BLOCK, false), RIGHTS | MSHV_SET_MEM_PINNED);
}

static int change(void)
{
	return set_memory(GPA, SIZE, memory, RIGHTS | MSHV_SET_MEM_CHANGE | MSHV_SET_MEM_PINNED);
}

static int replace(void)
{
	return set_memory(GPA, SIZE, memory, RIGHTS | MSHV_SET_MEM_REPLACE);
}

static int nothing_there(void)
{
	void *hole = probe_memory(BLOCK, false);

	munmap(hole, BLOCK);
	return set_memory(2 * GPA, BLOCK, hole, RIGHTS);
}

static int behind_the_end(void)
{
	return set_memory(~0ull - BLOCK + 1, 2 * BLOCK, memory, RIGHTS);
}

static int unmap_with_rights(void)
{
	return set_memory(GPA, SIZE, memory, RIGHTS | UNMAP);
}

static int unmap_from_the_middle(void)
{
	return set_memory(GPA + BLOCK, BLOCK, memory + BLOCK, UNMAP);
}

static int isolated(void)
{
	struct mshv_create_partition args = { .pt_isolation = MSHV_PT_ISOLATION_SNP };
	int fd = ioctl(device, MSHV_CREATE_PARTITION, &args);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static int before_initialize(void)
{
	struct mshv_create_partition args = { 0 };
	struct mshv_create_vp vp = { 0 };
	int fd = ioctl(device, MSHV_CREATE_PARTITION, &args), error;

	error = ioctl(fd, MSHV_CREATE_VP, &vp) < 0 ? errno : 0;
	close(fd);
	return error;
}

static int same_processor_again(void)
{
	struct mshv_create_vp args = { .vp_index = 5 };
	int fd = ioctl(mshv_vm_fd(probe.vm), MSHV_CREATE_VP, &args);

	if (fd < 0)
		return errno;
	close(fd);
	fd = ioctl(mshv_vm_fd(probe.vm), MSHV_CREATE_VP, &args);
	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

/* Errno of @call in a child process, which has the descriptors and another address space. */
static int in_child(int (*call)(void))
{
	int status = -1;
	pid_t pid = fork();

	if (!pid)
		_exit(call());
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return ECHILD;
	return WEXITSTATUS(status);
}

static int run_one(void)
{
	uint64_t value;

	return probe_read(&probe, 0x10000, &value) == PROBE_DONE ? 0 : probe.error;
}

static int run_in_another(void)
{
	return in_child(run_one);
}

static int map_one(void)
{
	return set_memory(2 * GPA, BLOCK, memory, RIGHTS);
}

static int map_in_another(void)
{
	return in_child(map_one);
}

static int outcome(enum probe_outcome answer)
{
	return answer == PROBE_ERROR ? probe.error : 0;
}

static int no_right(void)
{
	if (mshv_region_add(probe.vm, 2 * GPA, memory, BLOCK, MSHV_MEMORY_READ_ONLY))
		return errno;
	return outcome(probe_write(&probe, 2 * GPA, 1));
}

static int no_region(void)
{
	uint64_t value;

	return outcome(probe_read(&probe, 2 * GPA, &value));
}

static int ioeventfd(int fd, unsigned int len, unsigned int flags)
{
	struct mshv_user_ioeventfd args = { .addr = DOORBELL, .len = len, .fd = fd, .flags = flags };

	return vm_ioctl(MSHV_IOEVENTFD, &args);
}

static int doorbell_twice(void)
{
	int error = ioeventfd(event, 0, 0);

	return error ? error : ioeventfd(event, 0, 0);
}

static int doorbell_for_two(void)
{
	int error = ioeventfd(event, 4, 0);

	return error ? error : ioeventfd(other, 4, 0);
}

static int doorbell_overlaps(void)
{
	int error = ioeventfd(event, 0, 0);

	return error ? error : ioeventfd(other, 4, 0);
}

static int doorbell_length(void)
{
	return ioeventfd(event, 3, 0);
}

static int doorbell_match_any(void)
{
	return ioeventfd(event, 0, 1 << MSHV_IOEVENTFD_BIT_DATAMATCH);
}

static int doorbell_no_event(void)
{
	return ioeventfd(device, 0, 0);
}

static int irqfd(int fd, uint32_t gsi, unsigned int flags)
{
	struct mshv_user_irqfd args = { .fd = fd, .gsi = gsi, .flags = flags, .resamplefd = other };

	return vm_ioctl(MSHV_IRQFD, &args);
}

static int irqfd_twice(void)
{
	int error = irqfd(event, 5, 0);

	return error ? error : irqfd(event, 6, 0);
}

static int irqfd_not_there(void)
{
	return irqfd(event, 5, 1 << MSHV_IRQFD_BIT_DEASSIGN);
}

static int irqfd_no_gsi(void)
{
	return irqfd(event, MSHV_GSI_MAX, 0);
}

static int irqfd_no_event(void)
{
	return irqfd(device, 5, 0);
}

static int irqfd_resample(void)
{
	return irqfd(event, 5, 1 << MSHV_IRQFD_BIT_RESAMPLE);
}

static int bad_route(struct mshv_user_irq_entry entry, uint32_t reserved)
{
	union {
		struct mshv_user_irq_table table;
		uint8_t bytes[sizeof(struct mshv_user_irq_table) + sizeof(entry)];
	} args = { .table = { .nr = 1, .rsvd = reserved } };

	memcpy(args.bytes + sizeof(args.table), &entry, sizeof(entry));
	return vm_ioctl(MSHV_SET_MSI_ROUTING, &args);
}

static int route_high(void)
{
	return bad_route((struct mshv_user_irq_entry){ .address_hi = 1, .address_lo = 0xfee00000, .data = 0x41 }, 0);
}

static int route_nowhere(void)
{
	return bad_route((struct mshv_user_irq_entry){ .address_lo = 0x1000, .data = 0x41 }, 0);
}

static int route_reserved(void)
{
	return bad_route((struct mshv_user_irq_entry){ .address_lo = 0xfee00000, .data = 0x41 }, 1);
}

static int hypercall(int fd, struct mshv_root_hvcall args)
{
	uint64_t in[8] = { 0 };

	if (!args.in_ptr)
		args.in_ptr = (uintptr_t)in;
	return ioctl(fd, MSHV_ROOT_HVCALL, &args) < 0 ? errno : 0;
}

static int call_not_listed(void)
{
	return hypercall(mshv_vm_fd(probe.vm), (struct mshv_root_hvcall){ .code = HVABI_CALL_MAP_GPA_PAGES, .in_sz = 32 });
}

static int call_short(void)
{
	return hypercall(device, (struct mshv_root_hvcall){ .code = HVABI_CALL_GET_PARTITION_PROPERTY, .in_sz = 4 });
}

static int call_large(void)
{
	return hypercall(device, (struct mshv_root_hvcall){ .code = HVABI_CALL_GET_PARTITION_PROPERTY, .in_sz = 4104 });
}

static int call_reserved(void)
{
	struct mshv_root_hvcall args = { .code = HVABI_CALL_SET_PARTITION_PROPERTY, .in_sz = 24, .rsvd = { 1 } };
	struct hvabi_input_set_partition_property in = { .property_code = HVABI_PROPERTY_TIME_FREEZE };

	args.in_ptr = (uintptr_t)&in;
	return hypercall(mshv_vm_fd(probe.vm), args);
}

static int no_property(void)
{
	struct hvabi_input_get_partition_property in = { .property_code = 0x00ffffff };
	uint64_t out;

	return hypercall(device, (struct mshv_root_hvcall){
		.code = HVABI_CALL_GET_PARTITION_PROPERTY, .in_sz = sizeof(in), .in_ptr = (uintptr_t)&in,
		.out_sz = sizeof(out), .out_ptr = (uintptr_t)&out,
	});
}

static int no_register(void)
{
	uint64_t value;

	return mshv_get_register(probe.vcpu, 0x00ffffff, &value) ? errno : 0;
}

static int no_interrupt(void)
{
	return mshv_assert_interrupt(probe.vm, HVABI_INTERRUPT_TYPE_FIXED, 3, 0, false, false) ? errno : 0;
}

static int translate_swapped(void)
{
	struct hvabi_input_translate_virtual_address in = {
		.control_flags = HVABI_TRANSLATE_VALIDATE_READ, .gva_page = 0x10000 / PAGE,
	};
	struct hvabi_output_translate_virtual_address out = { 0 };
	uint16_t status;
	int error = run_one();

	if (error)
		return error;
	/* The guest's page tables lie at its beginning. */
	madvise(probe.boot, 0x10000, MADV_PAGEOUT);
	if (!probe_swapped(probe.boot + 0x1000))
		return ENOSPC;
	if (mshv_hypercall(mshv_vcpu_fd(probe.vcpu), HVABI_CALL_TRANSLATE_VIRTUAL_ADDRESS, NULL, &in, sizeof(in), &out,
			   sizeof(out), &status))
		return errno;
	return out.result_code == HVABI_TRANSLATE_SUCCESS ? 0 : EFAULT;
}

static int bitmap(uint64_t pages, unsigned int op, unsigned int reserved)
{
	static uint8_t bits[SIZE / PAGE / 8];
	struct mshv_gpap_access_bitmap args = {
		.access_type = MSHV_GPAP_ACCESS_TYPE_DIRTY, .access_op = (uint8_t)op, .rsvd = { (uint8_t)reserved },
		.page_count = pages, .gpap_base = GPA / PAGE, .bitmap_ptr = (uintptr_t)bits,
	};

	return vm_ioctl(MSHV_GET_GPAP_ACCESS_BITMAP, &args);
}

static int bitmap_of_nothing(void)
{
	return bitmap(0, MSHV_GPAP_ACCESS_OP_CLEAR, 0);
}

static int bitmap_op(void)
{
	return bitmap(1, MSHV_GPAP_ACCESS_OP_COUNT, 0);
}

static int bitmap_reserved(void)
{
	return bitmap(1, MSHV_GPAP_ACCESS_OP_CLEAR, 1);
}

static int bitmap_absent(void)
{
	return bitmap(SIZE / PAGE, MSHV_GPAP_ACCESS_OP_CLEAR, 0);
}

static int map_two_pages(void)
{
	void *page = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, mshv_vcpu_fd(probe.vcpu), 0);

	return page == MAP_FAILED ? errno : 0;
}

static int map_private(void)
{
	void *page = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, mshv_vcpu_fd(probe.vcpu), 0);

	return page == MAP_FAILED ? errno : 0;
}

static int unknown_ioctl(void)
{
	return vm_ioctl(_IO(MSHV_IOCTL, 0x55), NULL);
}

/* ---- the table ---- */

struct question {
	const char *text;
	int (*ask)(void);
	int here, peer;	/* errno, or 0 */
};

static const struct question questions[] = {
	{ "SET_GUEST_MEMORY: pinned", pinned, 0, EINVAL },
	{ "SET_GUEST_MEMORY: change", change, 0, EINVAL },
	{ "SET_GUEST_MEMORY: replace", replace, 0, EINVAL },
	{ "SET_GUEST_MEMORY: nothing is mapped there", nothing_there, EINVAL, EINVAL },
	{ "SET_GUEST_MEMORY: behind the end of guest addresses", behind_the_end, EINVAL, EINVAL },
	{ "SET_GUEST_MEMORY: unmap, with rights", unmap_with_rights, 0, 0 },
	{ "SET_GUEST_MEMORY: unmap, from the middle", unmap_from_the_middle, EINVAL, EINVAL },
	{ "SET_GUEST_MEMORY: by another process", map_in_another, EPERM, 0 },
	{ "CREATE_PARTITION: isolated", isolated, 0, EINVAL },
	{ "CREATE_VP: before INITIALIZE", before_initialize, EINVAL, EIO },
	{ "CREATE_VP: again, after its descriptor was closed", same_processor_again, 0, EEXIST },
	{ "RUN_VP: by another process", run_in_another, EPERM, 0 },
	{ "RUN_VP: a write to a read-only region", no_right, 0, 0 },
	{ "RUN_VP: no region there", no_region, 0, 0 },
	{ "IOEVENTFD: the same twice", doorbell_twice, EEXIST, EEXIST },
	{ "IOEVENTFD: one write, two events", doorbell_for_two, EEXIST, EEXIST },
	{ "IOEVENTFD: of any length, and of four bytes", doorbell_overlaps, EEXIST, 0 },
	{ "IOEVENTFD: three bytes", doorbell_length, EINVAL, EINVAL },
	{ "IOEVENTFD: a value of any length", doorbell_match_any, 0, 0 },
	{ "IOEVENTFD: not an event", doorbell_no_event, EINVAL, EINVAL },
	{ "IRQFD: the same event twice", irqfd_twice, EBUSY, EBUSY },
	{ "IRQFD: deassign what is not there", irqfd_not_there, 0, 0 },
	{ "IRQFD: no such GSI", irqfd_no_gsi, 0, 0 },
	{ "IRQFD: not an event", irqfd_no_event, EINVAL, EINVAL },
	{ "IRQFD: resample, no route", irqfd_resample, EINVAL, EINVAL },
	{ "SET_MSI_ROUTING: address above 4 GiB", route_high, EINVAL, EINVAL },
	{ "SET_MSI_ROUTING: no MSI address", route_nowhere, 0, 0 },
	{ "SET_MSI_ROUTING: reserved word", route_reserved, EINVAL, EINVAL },
	{ "ROOT_HVCALL: a call not on the list", call_not_listed, EINVAL, EINVAL },
	{ "ROOT_HVCALL: 4 bytes of input", call_short, EINVAL, EINVAL },
	{ "ROOT_HVCALL: more input than a page", call_large, EINVAL, EINVAL },
	{ "ROOT_HVCALL: reserved bytes", call_reserved, EINVAL, EINVAL },
	{ "ROOT_HVCALL: no such property", no_property, EINVAL, EINVAL },
	{ "ROOT_HVCALL: no such register", no_register, EINVAL, EINVAL },
	{ "ROOT_HVCALL: an interrupt with vector 3", no_interrupt, EINVAL, EINVAL },
	{ "ROOT_HVCALL: translate, page tables swapped out", translate_swapped, 0, EFAULT },
	{ "GET_GPAP_ACCESS_BITMAP: no pages", bitmap_of_nothing, EINVAL, EINVAL },
	{ "GET_GPAP_ACCESS_BITMAP: unknown operation", bitmap_op, EINVAL, EINVAL },
	{ "GET_GPAP_ACCESS_BITMAP: reserved bytes", bitmap_reserved, EINVAL, EINVAL },
	{ "GET_GPAP_ACCESS_BITMAP: pages never touched", bitmap_absent, 0, 0 },
	{ "mmap of a processor: two pages", map_two_pages, 0, 0 },
	{ "mmap of a processor: private", map_private, 0, 0 },
	{ "an ioctl that there is not", unknown_ioctl, ENOTTY, ENOTTY },
};

#define QUESTIONS	(sizeof(questions) / sizeof(questions[0]))

static const char *name_of(int error)
{
	return error ? strerrorname_np(error) : "0";
}

static int answer(const struct question *q)
{
	int error;

	memory = probe_open_with(&probe, GPA, SIZE, false);
	if (!memory) {
		ktap_note("%s", mshv_error());
		return ENODEV;
	}
	device = open("/dev/mshv", O_RDWR | O_CLOEXEC);
	event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	other = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	error = q->ask();
	close(other);
	close(event);
	close(device);
	probe_close(&probe);
	return error;
}

int main(void)
{
	bool here = !access("/sys/module/mshv_movable", F_OK);
	unsigned int i;
	int failed = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("KTAP version 1\n1..%zu\n", QUESTIONS);
	for (i = 0; i < QUESTIONS; i++) {
		const struct question *q = &questions[i];
		int expected = here ? q->here : q->peer, got = answer(q);

		if (got != expected)
			printf("# answer %s, expected %s\n", name_of(got), name_of(expected));
		printf("%sok %u %s: %s\n", got == expected ? "" : "not ", i + 1, q->text, name_of(got));
		failed |= got != expected;
	}
	return failed;
}
