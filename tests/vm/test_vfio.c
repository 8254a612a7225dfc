// SPDX-License-Identifier: GPL-2.0-only
/*
 * Passthrough: QEMU's "edu" device behind its emulated IOMMU, given to this process by VFIO, writes into guest memory.
 *
 * While VFIO has guest memory mapped for the device it pins it, so it stays where the device finds it, whatever Linux is asked to
 * do; the guest sees what the device wrote. After that the pages move again. The last test proves what the pin is for: a device
 * that is programmed with an address that VFIO does not know gets nothing and harms nobody.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <edu.h>
#include <host.h>

#include "ktap.h"
#include "probe.h"

#define IOVA		(16ull << 20)
#define PAGES		64ull

static struct edu edu;
static struct probe probe;
static uint8_t *memory;
static bool mapped;
static int event = -1;

static enum ktap_result map(void)
{
	CHECK(!mshv_vfio_dma_map(edu.vfio, memory, IOVA, PAGES * PAGE), "%s", mshv_error());
	mapped = true;
	return PASS;
}

static enum ktap_result unmap(void)
{
	mapped = false;
	CHECK(!mshv_vfio_dma_unmap(edu.vfio, IOVA, PAGES * PAGE), "%s", mshv_error());
	return PASS;
}

/* Node of the page, or -errno if it did not go to @node (-1: only ask). */
static int page_node(void *address, int node)
{
	int status = -1;
	long left = syscall(SYS_move_pages, 0, 1ul, &address, node < 0 ? NULL : &node, &status,
			    2 /* MPOL_MF_MOVE */);

	if (left < 0)
		return -errno;
	/* The number of pages that stayed where they were. */
	return left ? -EBUSY : status;
}

static void *disturb(void *arg)
{
	volatile bool *stop = arg;

	while (!*stop) {
		host_compact();
		madvise(memory, PAGES * PAGE, MADV_PAGEOUT);
		for (uint64_t i = 0; i < PAGES; i += 8)
			page_node(memory + i * PAGE, 1 - page_node(memory + i * PAGE, -1));
	}
	return NULL;
}

static enum ktap_result setup_vm(bool apic)
{
	CHECK(!(apic ? probe_open_with_apic(&probe) : probe_open(&probe)), "%s", mshv_error());
	memory = probe_memory(PAGES * PAGE, false);
	CHECK(memory, "memory");
	CHECK(!mshv_region_add(probe.vm, PROBE_FREE, memory, PAGES * PAGE, 0), "%s", mshv_error());
	return PASS;
}

static enum ktap_result setup(void)
{
	return setup_vm(false);
}

static void teardown(void)
{
	if (mapped)
		unmap();
	if (event >= 0) {
		mshv_vfio_msi(edu.vfio, -1);
		close(event);
		event = -1;
	}
	probe_close(&probe);
	if (memory)
		munmap(memory, PAGES * PAGE);
	memory = NULL;
}

static uint64_t gpa(uint64_t page)
{
	return PROBE_FREE + page * PAGE;
}

/* The guest has written, the device reads and writes it elsewhere, the guest reads. */
static enum ktap_result copy_by_device(void)
{
	uint64_t value;

	for (uint64_t round = 0; round < 8; round++) {
		uint64_t page = 8 + round * 5;

		CHECK(!edu_read_memory(&edu, IOVA + 3 * PAGE, PAGE / 2), "%s", mshv_error());
		CHECK(!edu_write_memory(&edu, IOVA + page * PAGE, PAGE / 2), "%s", mshv_error());
		CHECK(probe_read(&probe, gpa(page), &value) == PROBE_DONE, "%d", probe.error);
		CHECK(value == 0x1122334455667788, "page %llu: %llx", (unsigned long long)page,
		      (unsigned long long)value);
		CHECK(probe_write(&probe, gpa(page), round) == PROBE_DONE, "%d", probe.error);
	}
	return PASS;
}

static enum ktap_result through_the_device(void)
{
	enum ktap_result result;
	bool stop = false;
	pthread_t thread;

	CHECK_PASS(setup());
	CHECK(probe_write(&probe, gpa(3), 0x1122334455667788) == PROBE_DONE, "%d", probe.error);
	CHECK_PASS(map());
	CHECK(!pthread_create(&thread, NULL, disturb, &stop), "thread");
	result = copy_by_device();
	stop = true;
	pthread_join(thread, NULL);
	return result;
}

static enum ktap_result pinned_while_mapped(void)
{
	uint64_t value, pfn;
	int node, moved;

	CHECK_PASS(setup());
	CHECK(probe_write(&probe, gpa(0), 42) == PROBE_DONE, "%d", probe.error);
	node = page_node(memory, -1);
	CHECK(node >= 0, "no node: %d", node);
	CHECK_PASS(map());
	pfn = probe_pfn(memory);
	moved = page_node(memory, 1 - node);
	CHECK(moved == -EBUSY, "moving a page that the device writes to: %d", moved);
	CHECK(probe_pfn(memory) == pfn, "it moved");
	CHECK_PASS(unmap());
	/* Now it is an ordinary page again, and the guest follows it. */
	moved = page_node(memory, 1 - node);
	CHECK(moved == 1 - node, "after release: %d", moved);
	CHECK(probe_pfn(memory) != pfn, "it did not move");
	CHECK(probe_read(&probe, gpa(0), &value) == PROBE_DONE && value == 42, "%llx",
	      (unsigned long long)value);
	return PASS;
}

/* As a VMM does it whose hypervisor lets the device use the guest's own tables: all must be mapped, and stay. */
static enum ktap_result hot_attach(void)
{
	uint64_t pfn, value;
	int node;

	CHECK_PASS(setup());
	CHECK(probe_write(&probe, gpa(3), 0x1122334455667788) == PROBE_DONE, "%d", probe.error);
	CHECK(!mshv_region_change(probe.vm, PROBE_FREE, memory, PAGES * PAGE, MSHV_MEMORY_PINNED), "%s",
	      mshv_error());
	CHECK_PASS(map());
	CHECK_PASS(copy_by_device());
	CHECK_PASS(unmap());
	/* The device is gone, the pin is not. */
	node = page_node(memory, -1);
	pfn = probe_pfn(memory);
	CHECK(page_node(memory, 1 - node) == -EBUSY && probe_pfn(memory) == pfn, "it moved");
	CHECK(!mshv_region_change(probe.vm, PROBE_FREE, memory, PAGES * PAGE, 0), "%s", mshv_error());
	CHECK(page_node(memory, 1 - node) == 1 - node && probe_pfn(memory) != pfn, "it did not move");
	CHECK(probe_read(&probe, gpa(3), &value) == PROBE_DONE && value == 0x1122334455667788, "%llx",
	      (unsigned long long)value);
	return PASS;
}

static enum ktap_result nothing_without_a_pin(void)
{
	struct hvabi_output_debug_who_can_reach reach;
	uint64_t value, pfn;

	CHECK_PASS(setup());
	for (uint64_t i = 0; i < PAGES; i++)
		CHECK(probe_write(&probe, gpa(i), i) == PROBE_DONE, "%d", probe.error);
	/* VFIO pins, then lets go; the device is not told, and goes on writing. */
	CHECK_PASS(map());
	pfn = probe_pfn(memory + 5 * PAGE);
	CHECK(!edu_read_memory(&edu, IOVA + 6 * PAGE, 8), "%s", mshv_error());
	CHECK_PASS(unmap());
	CHECK(!edu_write_memory(&edu, IOVA + 5 * PAGE, 8), "%s", mshv_error());
	for (uint64_t i = 0; i < PAGES; i++)
		CHECK(probe_read(&probe, gpa(i), &value) == PROBE_DONE && value == i,
		      "page %llu has %llx", (unsigned long long)i, (unsigned long long)value);
	/* And the page that the device once knew has moved on without it. */
	CHECK(page_node(memory + 5 * PAGE, 1 - page_node(memory + 5 * PAGE, -1)) >= 0, "move");
	CHECK(!mshv_who_can_reach(NULL, pfn, &reach), "%s", mshv_error());
	CHECK(reach.found == 0, "a guest still reaches the old page");
	return PASS;
}

/* From the device's interrupt in Linux into the guest's APIC, while Linux takes the guest's memory: one each, none lost. */
static enum ktap_result interrupts(void)
{
	struct mshv_msi route = { .gsi = 5, .address = 0xfee00000, .data = 0x61 };
	unsigned int i, highest;
	bool stop = false;
	pthread_t thread;
	double deadline;
	int count = 0;

	CHECK_PASS(setup_vm(true));
	CHECK(!probe_enable_apic(&probe), "%s", mshv_error());
	event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	CHECK(!mshv_msi_routes(probe.vm, &route, 1) && !mshv_irqfd_add(probe.vm, event, 5), "%s", mshv_error());
	CHECK(!mshv_vfio_msi(edu.vfio, event), "%s", mshv_error());
	CHECK(!pthread_create(&thread, NULL, disturb, &stop), "thread");
	for (i = 0; i < 100; i++) {
		probe_write(&probe, gpa(i % PAGES), i);
		edu_interrupt(&edu);
		deadline = host_seconds() + 60;
		do {
			count = probe_take_interrupts(&probe, &highest);
		} while (!count && host_seconds() < deadline);
		if (count != 1 || highest != 0x61)
			break;
	}
	stop = true;
	pthread_join(thread, NULL);
	CHECK(i == 100, "number %u: %d interrupts, the highest 0x%x", i, count, highest);
	CHECK(!probe_take_interrupts(&probe, &highest), "one too many");
	return PASS;
}

static const struct ktap_test tests[] = {
	{ "interrupts of a device reach the guest", interrupts },
	{ "a device and a guest share memory while Linux tries to move it", through_the_device },
	{ "memory is pinned while VFIO has it, and moves again after", pinned_while_mapped },
	{ "a device attached to a running guest, and detached", hot_attach },
	{ "without the pin the device reaches nothing", nothing_without_a_pin },
};

int main(void)
{
	int ret;

	/* Every machine that runs this has the device: not to get it is no reason to skip. */
	if (edu_open(&edu)) {
		printf("Bail out! %s\n", mshv_error());
		return 1;
	}
	ktap_cleanup = teardown;
	ret = KTAP_RUN(tests);
	edu_close(&edu);
	return ret;
}
