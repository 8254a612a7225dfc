// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bad input to every ioctl: a clear errno, and nothing changes. The objects are used for real work at the end of each test, so
 * that a half-done change would show.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <hvabi/hypercall.h>
#include <uapi/mshv.h>

#include "ktap.h"
#include "probe.h"

static struct probe probe;
static int device = -1;

static void tear_down(void)
{
	probe_close(&probe);
	if (device >= 0)
		close(device);
	device = -1;
}

static enum ktap_result set_up(void)
{
	device = open("/dev/mshv", O_RDWR | O_CLOEXEC);
	CHECK(device >= 0, "%s", strerror(errno));
	CHECK(!probe_open(&probe), "%s", mshv_error());
	return PASS;
}

#define REFUSED(error, call) \
	do { \
		int got = (call); \
		CHECK(got == -1 && errno == (error), "%d, %s", got, strerror(errno)); \
	} while (0)

static enum ktap_result unknown_ioctls(void)
{
	static const unsigned long numbers[] = {
		0, ~0ul, _IO(MSHV_IOCTL, 0x7f), _IO('x', 0), MSHV_GET_VP_STATE, MSHV_SET_VP_STATE,
	};
	char buffer[4096] = "";
	unsigned int i;

	CHECK_PASS(set_up());
	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		REFUSED(ENOTTY, ioctl(device, numbers[i], buffer));
		REFUSED(ENOTTY, ioctl(mshv_vm_fd(probe.vm), numbers[i], buffer));
	}
	REFUSED(ENOTTY, ioctl(device, MSHV_IRQFD, buffer));
	REFUSED(ENOTTY, ioctl(device, MSHV_IOEVENTFD, buffer));
	REFUSED(ENOTTY, ioctl(device, MSHV_SET_MSI_ROUTING, buffer));
	REFUSED(ENOTTY, ioctl(device, MSHV_CREATE_VP, buffer));
	REFUSED(ENOTTY, ioctl(device, MSHV_SET_GUEST_MEMORY, buffer));
	return PASS;
}

static enum ktap_result create_partition(void)
{
	struct mshv_create_partition args = { };
	struct mshv_create_partition_v2 v2 = { .pt_flags = 1 << MSHV_PT_BIT_CPU_AND_XSAVE_FEATURES,
					       .pt_num_cpu_fbanks = MSHV_NUM_CPU_FEATURES_BANKS };
	struct mshv_create_partition_v2 bad;
	int fd;

	CHECK_PASS(set_up());
	REFUSED(EFAULT, ioctl(device, MSHV_CREATE_PARTITION, NULL));
	args.pt_flags = 1ull << MSHV_PT_BIT_COUNT;
	REFUSED(EINVAL, ioctl(device, MSHV_CREATE_PARTITION, &args));
	args.pt_flags = 1ull << 63;
	REFUSED(EINVAL, ioctl(device, MSHV_CREATE_PARTITION, &args));
	args.pt_flags = 0;
	args.pt_isolation = 1;
	REFUSED(EINVAL, ioctl(device, MSHV_CREATE_PARTITION, &args));
	bad = v2;
	bad.pt_num_cpu_fbanks = 1;
	REFUSED(EINVAL, ioctl(device, MSHV_CREATE_PARTITION, &bad));
	bad = v2;
	bad.pt_rsvd[5] = 1;
	REFUSED(EINVAL, ioctl(device, MSHV_CREATE_PARTITION, &bad));
	bad = v2;
	bad.pt_rsvd1[1] = 1;
	REFUSED(EINVAL, ioctl(device, MSHV_CREATE_PARTITION, &bad));

	args.pt_isolation = 0;
	fd = ioctl(device, MSHV_CREATE_PARTITION, &args);
	CHECK(fd >= 0, "%s", strerror(errno));
	CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
	fd = ioctl(device, MSHV_CREATE_PARTITION, &v2);
	CHECK(fd >= 0, "%s", strerror(errno));
	close(fd);
	return PASS;
}

static enum ktap_result before_initialize(void)
{
	struct mshv_create_partition args = { };
	struct mshv_create_vp vp = { };
	struct mshv_user_mem_region region = { .size = PAGE };
	int fd;

	CHECK_PASS(set_up());
	region.userspace_addr = (uintptr_t)probe_memory(BLOCK, false);
	fd = ioctl(device, MSHV_CREATE_PARTITION, &args);
	CHECK(fd >= 0, "%s", strerror(errno));
	REFUSED(EINVAL, ioctl(fd, MSHV_CREATE_VP, &vp));
	REFUSED(EINVAL, ioctl(fd, MSHV_SET_GUEST_MEMORY, &region));
	CHECK(!ioctl(fd, MSHV_INITIALIZE_PARTITION), "%s", strerror(errno));
	CHECK(!ioctl(fd, MSHV_INITIALIZE_PARTITION), "a second time does nothing: %s",
	      strerror(errno));
	CHECK(!ioctl(fd, MSHV_SET_GUEST_MEMORY, &region), "%s", strerror(errno));
	close(fd);
	return PASS;
}

static enum ktap_result create_vp(void)
{
	struct mshv_create_vp vp = { .vp_index = 0 };
	int partition, fd;

	CHECK_PASS(set_up());
	partition = mshv_vm_fd(probe.vm);
	REFUSED(EFAULT, ioctl(partition, MSHV_CREATE_VP, NULL));
	REFUSED(EEXIST, ioctl(partition, MSHV_CREATE_VP, &vp));
	vp.vp_index = MSHV_VP_MAX;
	REFUSED(EINVAL, ioctl(partition, MSHV_CREATE_VP, &vp));
	vp.vp_index = ~0u;
	REFUSED(EINVAL, ioctl(partition, MSHV_CREATE_VP, &vp));
	vp.vp_index = 40;
	fd = ioctl(partition, MSHV_CREATE_VP, &vp);
	CHECK(fd >= 0 && fcntl(fd, F_GETFD) & FD_CLOEXEC, "%s", strerror(errno));
	REFUSED(EEXIST, ioctl(partition, MSHV_CREATE_VP, &vp));
	close(fd);
	/* Its index is free again. */
	fd = ioctl(partition, MSHV_CREATE_VP, &vp);
	CHECK(fd >= 0, "%s", strerror(errno));
	close(fd);
	return PASS;
}

static sigjmp_buf past_the_end;

static void on_bus_error(int signal)
{
	(void)signal;
	siglongjmp(past_the_end, 1);
}

/* As with Linux's driver, one may map more than there is, or a copy; nobody gets anything but these pages. */
static enum ktap_result odd_mappings(int fd)
{
	struct sigaction old, bus = { .sa_handler = on_bus_error };
	volatile uint64_t *all, *copy, *message;
	static volatile bool caught;

	message = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		       MSHV_VP_MMAP_OFFSET_INTERCEPT_MESSAGE * PAGE);
	all = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	copy = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd,
		    MSHV_VP_MMAP_OFFSET_INTERCEPT_MESSAGE * PAGE);
	CHECK(message != MAP_FAILED && all != MAP_FAILED && copy != MAP_FAILED, "%s", strerror(errno));
	message[100] = 0x1234;
	CHECK(all[MSHV_VP_MMAP_OFFSET_INTERCEPT_MESSAGE * PAGE / 8 + 100] == 0x1234);
	CHECK(all[100] != 0x1234, "the register page is another one");
	CHECK(copy[100] == 0x1234);
	copy[100] = 0x5678;
	CHECK(message[100] == 0x1234, "a private mapping is a copy");
	message[101] = 0x9abc;
	CHECK(copy[101] != 0x9abc);
	sigaction(SIGBUS, &bus, &old);
	for (unsigned int page = 2; page < 8; page++) {
		caught = true;
		if (!sigsetjmp(past_the_end, 1)) {
			(void)all[page * PAGE / 8];
			caught = false;
		}
		CHECK(caught, "page %u is there", page);
	}
	sigaction(SIGBUS, &old, NULL);
	munmap((void *)message, PAGE);
	munmap((void *)all, 8 * PAGE);
	munmap((void *)copy, PAGE);
	return PASS;
}

static enum ktap_result vp_descriptor(void)
{
	struct mshv_create_vp vp = { .vp_index = 9 };
	struct mshv_run_vp message;
	void *page;
	int fd;

	CHECK_PASS(set_up());
	fd = ioctl(mshv_vm_fd(probe.vm), MSHV_CREATE_VP, &vp);
	CHECK(fd >= 0, "%s", strerror(errno));
	REFUSED(ENOTTY, ioctl(fd, MSHV_CREATE_VP, &message));
	REFUSED(ENOTTY, ioctl(fd, 0, &message));
	CHECK_PASS(odd_mappings(fd));
	CHECK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd,
		   MSHV_VP_MMAP_OFFSET_GHCB * PAGE) == MAP_FAILED && errno == ENODEV);
	CHECK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd,
		   MSHV_VP_MMAP_OFFSET_COUNT * PAGE) == MAP_FAILED && errno == EINVAL);
	page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		    MSHV_VP_MMAP_OFFSET_INTERCEPT_MESSAGE * PAGE);
	CHECK(page != MAP_FAILED);
	close(fd);
	/* The mapping holds the processor. */
	*(volatile uint64_t *)page = 1;
	munmap(page, PAGE);
	return PASS;
}

static enum ktap_result set_guest_memory(void)
{
	const uint64_t gfn = PROBE_FREE / PAGE;
	uint8_t *memory = probe_memory(2 * BLOCK, false);
	struct mshv_user_mem_region good = { .size = BLOCK, .guest_pfn = gfn,
					     .userspace_addr = (uintptr_t)memory, .flags = 1 };
	struct mshv_user_mem_region bad, kind;
	uint64_t value;
	unsigned int i;
	int fd;

	CHECK_PASS(set_up());
	fd = mshv_vm_fd(probe.vm);
	REFUSED(EFAULT, ioctl(fd, MSHV_SET_GUEST_MEMORY, NULL));
#define BAD(error, field, value_) \
	do { \
		bad = good; \
		bad.field = (value_); \
		REFUSED(error, ioctl(fd, MSHV_SET_GUEST_MEMORY, &bad)); \
	} while (0)
	BAD(EINVAL, size, 0);
	BAD(EINVAL, size, 1);
	BAD(EINVAL, size, PAGE + 8);
	BAD(EINVAL, size, ~0ull & ~(PAGE - 1));
	BAD(EINVAL, userspace_addr, (uintptr_t)memory + 8);
	BAD(EINVAL, userspace_addr, 0);
	BAD(EINVAL, userspace_addr, 0xffff800000000000ull);
	BAD(EINVAL, userspace_addr, ~0ull & ~(PAGE - 1));
	BAD(EINVAL, guest_pfn, ~0ull);
	BAD(EINVAL, guest_pfn, 1ull << 40);
	BAD(EINVAL, guest_pfn, (1ull << 40) - 1);
	BAD(EINVAL, flags, 1 << 3);
	BAD(EINVAL, flags, 1 << 4);
	BAD(EINVAL, flags, MSHV_SET_MEM_CHANGE | 1 << MSHV_SET_MEM_BIT_UNMAP);
	BAD(EINVAL, flags, MSHV_SET_MEM_CHANGE | MSHV_SET_MEM_REPLACE);
	BAD(EINVAL, flags, MSHV_SET_MEM_REPLACE | 1 << MSHV_SET_MEM_BIT_UNMAP);
	BAD(ENOENT, flags, MSHV_SET_MEM_REPLACE);
	BAD(ENOENT, flags, MSHV_SET_MEM_CHANGE | MSHV_SET_MEM_PINNED);
	for (i = 0; i < sizeof(good.rsvd); i++)
		BAD(EINVAL, rsvd[i], 1);
	/* Nothing of all that is there. */
	CHECK(probe_read(&probe, PROBE_FREE, &value) == PROBE_VMM);

	CHECK(!ioctl(fd, MSHV_SET_GUEST_MEMORY, &good), "%s", strerror(errno));
	REFUSED(EEXIST, ioctl(fd, MSHV_SET_GUEST_MEMORY, &good));
	BAD(EEXIST, guest_pfn, gfn + 511);
	BAD(EEXIST, guest_pfn, gfn - 511);
	BAD(EEXIST, size, 2 * BLOCK);
	bad = good;
	bad.guest_pfn = gfn + 1;
	bad.size = PAGE;
	REFUSED(EEXIST, ioctl(fd, MSHV_SET_GUEST_MEMORY, &bad));

	/* To change a region one has to name it, rights included. */
	kind = good;
	kind.flags |= MSHV_SET_MEM_CHANGE;
	CHECK(!ioctl(fd, MSHV_SET_GUEST_MEMORY, &kind), "%s", strerror(errno));
	kind.flags |= MSHV_SET_MEM_PINNED;
	good = kind;
	BAD(EINVAL, size, PAGE);
	BAD(EINVAL, userspace_addr, (uintptr_t)memory + PAGE);
	BAD(EINVAL, guest_pfn, gfn + 1);
	BAD(ENOENT, guest_pfn, gfn + 512);
	BAD(EINVAL, flags, kind.flags ^ 1 << MSHV_SET_MEM_BIT_WRITABLE);
	BAD(EINVAL, flags, kind.flags ^ 1 << MSHV_SET_MEM_BIT_EXECUTABLE);

	good.flags = 1 << MSHV_SET_MEM_BIT_UNMAP;
	BAD(EINVAL, size, PAGE);
	BAD(EINVAL, size, BLOCK + 1);
	BAD(EINVAL, userspace_addr, (uintptr_t)memory + PAGE);
	BAD(EINVAL, guest_pfn, gfn + 1);
	BAD(ENOENT, guest_pfn, gfn + 512);
	BAD(ENOENT, guest_pfn, ~0ull);
	CHECK(probe_write(&probe, PROBE_FREE, 5) == PROBE_DONE, "%d", probe.error);
	CHECK(!ioctl(fd, MSHV_SET_GUEST_MEMORY, &good), "%s", strerror(errno));
	REFUSED(ENOENT, ioctl(fd, MSHV_SET_GUEST_MEMORY, &good));
	/* Neighbours touch without overlapping, up to the last page there is. */
	good.flags = 1;
	good.size = PAGE;
	for (i = 0; i < 4; i++) {
		good.guest_pfn = gfn + i;
		CHECK(!ioctl(fd, MSHV_SET_GUEST_MEMORY, &good), "%s", strerror(errno));
	}
	good.guest_pfn = (1ull << 40) - 1;
	CHECK(!ioctl(fd, MSHV_SET_GUEST_MEMORY, &good), "%s", strerror(errno));
	return PASS;
#undef BAD
}

static enum ktap_result access_bitmap(void)
{
	uint8_t *memory = probe_memory(BLOCK, false);
	uint8_t bits[64] = { };
	struct mshv_gpap_access_bitmap good = { .page_count = 8, .gpap_base = PROBE_FREE / PAGE,
						.bitmap_ptr = (uintptr_t)bits };
	struct mshv_gpap_access_bitmap bad;
	int fd;

	CHECK_PASS(set_up());
	fd = mshv_vm_fd(probe.vm);
	CHECK(!mshv_region_add(probe.vm, PROBE_FREE, memory, BLOCK, 0), "%s", mshv_error());
	CHECK(probe_write(&probe, PROBE_FREE, 1) == PROBE_DONE);
	REFUSED(EFAULT, ioctl(fd, MSHV_GET_GPAP_ACCESS_BITMAP, NULL));
#define BAD(error, field, value_) \
	do { \
		bad = good; \
		bad.field = (value_); \
		REFUSED(error, ioctl(fd, MSHV_GET_GPAP_ACCESS_BITMAP, &bad)); \
	} while (0)
	BAD(EINVAL, access_type, MSHV_GPAP_ACCESS_TYPE_COUNT);
	BAD(EINVAL, access_op, MSHV_GPAP_ACCESS_OP_COUNT);
	BAD(EINVAL, access_op, 255);
	BAD(EINVAL, page_count, 0);
	BAD(EINVAL, page_count, ~0ull);
	BAD(EINVAL, gpap_base, ~0ull);
	BAD(EINVAL, rsvd[3], 1);
	BAD(EFAULT, bitmap_ptr, 8);
#undef BAD
	return PASS;
}

/* Case 19: a query sets nothing, clearing one bit leaves the other. */
static enum ktap_result access_bits(void)
{
	uint8_t *memory = probe_memory(BLOCK, false);
	uint8_t bits[8];
	unsigned int i;

	CHECK_PASS(set_up());
	CHECK(!mshv_region_add(probe.vm, PROBE_FREE, memory, BLOCK, 0), "%s", mshv_error());
	CHECK(!mshv_track_access(probe.vm, true), "%s", mshv_error());
	for (i = 0; i < 4; i++)
		CHECK(probe_write(&probe, PROBE_FREE + i * PAGE, i) == PROBE_DONE);
#define BITS(which, op) \
	CHECK(!mshv_access_bitmap(probe.vm, PROBE_FREE / PAGE, 4, which, op, bits), "%s", mshv_error())
	BITS(MSHV_DIRTY, MSHV_ACCESS_CLEAR);
	CHECK((bits[0] & 15) == 15, "0x%x", bits[0]);
	BITS(MSHV_ACCESSED, MSHV_ACCESS_CLEAR);
	CHECK((bits[0] & 15) == 15, "0x%x", bits[0]);
	BITS(MSHV_DIRTY, MSHV_ACCESS_KEEP);
	CHECK((bits[0] & 15) == 0, "a query sets nothing: 0x%x", bits[0]);
	BITS(MSHV_DIRTY, MSHV_ACCESS_KEEP);
	CHECK((bits[0] & 15) == 0, "0x%x", bits[0]);
	CHECK(probe_write(&probe, PROBE_FREE + 2 * PAGE, 1) == PROBE_DONE);
	BITS(MSHV_ACCESSED, MSHV_ACCESS_CLEAR);
	CHECK((bits[0] & 15) == 4, "0x%x", bits[0]);
	BITS(MSHV_DIRTY, MSHV_ACCESS_KEEP);
	CHECK((bits[0] & 15) == 4, "clearing accessed leaves dirty: 0x%x", bits[0]);
	BITS(MSHV_DIRTY, MSHV_ACCESS_SET);
	BITS(MSHV_DIRTY, MSHV_ACCESS_KEEP);
	CHECK((bits[0] & 15) == 15, "0x%x", bits[0]);
	BITS(MSHV_ACCESSED, MSHV_ACCESS_KEEP);
	CHECK((bits[0] & 15) == 0, "setting dirty leaves accessed: 0x%x", bits[0]);
#undef BITS
	return PASS;
}

static enum ktap_result hvcall(void)
{
	struct hvabi_input_get_partition_property in = {
		.property_code = HVABI_PROPERTY_PROCESSOR_FEATURES0,
	};
	uint64_t out = 0;
	struct mshv_root_hvcall good = { .code = HVABI_CALL_GET_PARTITION_PROPERTY,
					 .in_sz = sizeof(in), .out_sz = sizeof(out),
					 .in_ptr = (uintptr_t)&in, .out_ptr = (uintptr_t)&out };
	static const uint16_t forbidden[] = {
		HVABI_CALL_CREATE_PARTITION, HVABI_CALL_FINALIZE_PARTITION,
		HVABI_CALL_DELETE_PARTITION, HVABI_CALL_DEPOSIT_MEMORY,
		HVABI_CALL_WITHDRAW_MEMORY, HVABI_CALL_MAP_GPA_PAGES, HVABI_CALL_UNMAP_GPA_PAGES,
		HVABI_CALL_CREATE_VP, HVABI_CALL_DISPATCH_VP, HVABI_CALL_MAP_VP_STATE_PAGE, 0, 0xffff,
	};
	struct mshv_root_hvcall bad;
	unsigned int i;

	CHECK_PASS(set_up());
	CHECK(!ioctl(device, MSHV_ROOT_HVCALL, &good), "%s", strerror(errno));
	CHECK(good.status == 0 && out);
	CHECK(in.partition_id == 0, "the caller's input is not changed");
#define BAD(error, field, value_) \
	do { \
		bad = good; \
		bad.field = (value_); \
		REFUSED(error, ioctl(device, MSHV_ROOT_HVCALL, &bad)); \
	} while (0)
	REFUSED(EFAULT, ioctl(device, MSHV_ROOT_HVCALL, NULL));
	BAD(EINVAL, in_sz, 0);
	BAD(EINVAL, in_sz, 7);
	BAD(EINVAL, in_sz, 4097);
	BAD(EINVAL, in_ptr, 0);
	BAD(EFAULT, in_ptr, 8);
	BAD(EINVAL, out_sz, 0);
	BAD(EINVAL, out_sz, 4097);
	BAD(EFAULT, out_ptr, 8);
	BAD(EINVAL, status, 1);
	BAD(EINVAL, rsvd[0], 1);
	BAD(EINVAL, reps, 4096);
	for (i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++) {
		bad = good;
		bad.code = forbidden[i];
		REFUSED(EINVAL, ioctl(device, MSHV_ROOT_HVCALL, &bad));
		REFUSED(EINVAL, ioctl(mshv_vm_fd(probe.vm), MSHV_ROOT_HVCALL, &bad));
	}
	/* Registers are a partition's, not the device's. */
	BAD(EINVAL, code, HVABI_CALL_GET_VP_REGISTERS);
	/* A refusal of the hypervisor: errno, status and reps come back. */
	in.property_code = 0x7fffffff;
	bad = good;
	REFUSED(EINVAL, ioctl(device, MSHV_ROOT_HVCALL, &bad));
	CHECK(bad.status == HVABI_STATUS_UNKNOWN_PROPERTY ||
	      bad.status == HVABI_STATUS_INVALID_PARAMETER, "0x%x", bad.status);
#undef BAD
	return PASS;
}

/* What a VMM may pass through: calls of the right shape with nonsense in them, and calls of any shape. */
static enum ktap_result hvcall_nonsense(void)
{
	static const struct {
		uint16_t code, kind, header, element;
	} calls[] = {
#define ROW(name, code, kind, in, in_el, out, out_el) { code, HVABI_KIND_##kind, in, in_el },
		HVABI_CALL_LIST(ROW)
#undef ROW
	};
	static uint8_t in[4096], out[4096];
	const unsigned int seed = 20260;
	unsigned int i, round, j, refused = 0, accepted = 0;
	uint64_t value;

	CHECK_PASS(set_up());
	ktap_note("seed %u", seed);
	srand(seed);
	for (round = 0; round < 60; round++) {
		for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
			uint16_t reps = calls[i].kind == HVABI_KIND_REP ? 1 + rand() % 20 : 0, status;
			size_t size = calls[i].header + reps * calls[i].element;

			for (j = 0; j < sizeof(in); j++)
				in[j] = rand() % 60 ? 0 : rand() >> 8;
			if (round % 3 == 0) {
				reps = rand() % 4096;
				size = 8 + rand() % 4089;
			}
			if (size < 8)
				size = 8;
			if (mshv_hypercall(mshv_vm_fd(probe.vm), calls[i].code, &reps, in, size, out,
					   sizeof(out), &status))
				refused++;
			else
				accepted++;
		}
	}
	ktap_note("%u refused, %u accepted", refused, accepted);
	CHECK(refused > 0 && accepted > 0);
	/* This guest may be in any state now. The parent, and the next guest, must be as they were. */
	CHECK(!mshv_counters(NULL, (uint64_t *)out, HVABI_COUNT_MAX), "%s", mshv_error());
	probe_close(&probe);
	CHECK(!probe_open(&probe), "%s", mshv_error());
	CHECK(probe_read(&probe, 0x10000, &value) == PROBE_DONE && value, "%d", probe.error);
	return PASS;
}

int main(void)
{
	static const struct ktap_test tests[] = {
		{ "unknown ioctls", unknown_ioctls },
		{ "CREATE_PARTITION", create_partition },
		{ "before INITIALIZE", before_initialize },
		{ "CREATE_VP", create_vp },
		{ "VP descriptor", vp_descriptor },
		{ "SET_GUEST_MEMORY", set_guest_memory },
		{ "GET_GPAP_ACCESS_BITMAP", access_bitmap },
		{ "access bits: a query sets nothing, one bit at a time", access_bits },
		{ "ROOT_HVCALL", hvcall },
		{ "ROOT_HVCALL with nonsense", hvcall_nonsense },
	};

	ktap_cleanup = tear_down;
	return KTAP_RUN(tests);
}
