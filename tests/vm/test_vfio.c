// SPDX-License-Identifier: GPL-2.0-only
/*
 * Passthrough: QEMU's "edu" device behind its emulated IOMMU, given to this
 * process by VFIO, writes into guest memory.
 *
 * While VFIO has guest memory mapped for the device it pins it, so it stays
 * where the device finds it, whatever Linux is asked to do; the guest sees
 * what the device wrote.  After that the pages move again.  The last test
 * proves what the pin is for: a device that is programmed with an address that
 * VFIO does not know gets nothing and harms nobody.
 *
 * The device (QEMU docs/specs/edu.rst): a 4 KiB buffer at 0x40000 of BAR 0; DMA
 * source, destination, count and command at 0x80 to 0x98; 28 address bits.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ktap.h"
#include "probe.h"

#define DEVICE		"0000:00:01.0"
#define IOVA		(16ull << 20)
#define PAGES		64ull
#define EDU_ID		0x010000edu
#define EDU_BUFFER	0x40000u
#define EDU_SOURCE	0x80u
#define EDU_TARGET	0x88u
#define EDU_COUNT	0x90u
#define EDU_COMMAND	0x98u
#define COMMAND_RUN	1u
#define COMMAND_TO_RAM	2u

static int container = -1, group = -1, device = -1;
static volatile uint8_t *bar;
static struct probe probe;
static uint8_t *memory;

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	ssize_t done;

	if (fd < 0)
		return -1;
	done = write(fd, text, strlen(text));
	close(fd);
	return done < 0 ? -1 : 0;
}

static uint64_t vfio_config_offset(unsigned int reg)
{
	struct vfio_region_info info = { .argsz = sizeof(info), .index = VFIO_PCI_CONFIG_REGION_INDEX };

	return ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &info) ? 0 : info.offset + reg;
}

/* Opens the device; returns what failed, or NULL. */
static const char *vfio_open(void)
{
	struct vfio_region_info info = { .argsz = sizeof(info), .index = VFIO_PCI_BAR0_REGION_INDEX };
	char link[256], path[64];
	uint16_t command;
	ssize_t n;

	/* No interrupt of the device is used, and the emulated IOMMU remaps none. */
	if (system("modprobe vfio_iommu_type1 allow_unsafe_interrupts=1 && modprobe vfio_pci"))
		return "modprobe vfio_pci";
	write_file("/sys/bus/pci/drivers/vfio-pci/new_id", "1234 11e8");
	n = readlink("/sys/bus/pci/devices/" DEVICE "/iommu_group", link, sizeof(link) - 1);
	if (n < 0)
		return "no IOMMU group: is intel_iommu=on?";
	link[n] = 0;
	snprintf(path, sizeof(path), "/dev/vfio/%s", strrchr(link, '/') + 1);
	container = open("/dev/vfio/vfio", O_RDWR);
	group = open(path, O_RDWR);
	if (container < 0 || group < 0)
		return "open of the VFIO group";
	if (ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) ||
	    ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		return "VFIO container";
	device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, DEVICE);
	if (device < 0 || ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &info))
		return "VFIO device";
	bar = mmap(NULL, info.size, PROT_READ | PROT_WRITE, MAP_SHARED, device, (off_t)info.offset);
	if (bar == MAP_FAILED)
		return "mmap of BAR 0";
	command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	if (pwrite(device, &command, 2, (off_t)vfio_config_offset(PCI_COMMAND)) != 2)
		return "PCI command register";
	if (*(volatile uint32_t *)bar != EDU_ID)
		return "this is no edu device";
	return NULL;
}

static int dma_map(void *address, uint64_t size)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map), .flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)address, .iova = IOVA, .size = size,
	};

	return ioctl(container, VFIO_IOMMU_MAP_DMA, &map);
}

static void dma_unmap(uint64_t size)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap), .iova = IOVA, .size = size,
	};

	ioctl(container, VFIO_IOMMU_UNMAP_DMA, &unmap);
}

static void put64(unsigned int reg, uint64_t value)
{
	*(volatile uint64_t *)(bar + reg) = value;
}

/* One transfer, of less than the whole buffer: QEMU 7.2 dies of that. */
static void transfer(uint64_t source, uint64_t target, uint64_t count, bool to_ram)
{
	put64(EDU_SOURCE, source);
	put64(EDU_TARGET, target);
	put64(EDU_COUNT, count);
	put64(EDU_COMMAND, COMMAND_RUN | (to_ram ? COMMAND_TO_RAM : 0));
	while (*(volatile uint64_t *)(bar + EDU_COMMAND) & COMMAND_RUN)
		usleep(1000);
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
		write_file("/proc/sys/vm/compact_memory", "1");
		madvise(memory, PAGES * PAGE, MADV_PAGEOUT);
		for (uint64_t i = 0; i < PAGES; i += 8)
			page_node(memory + i * PAGE, 1 - page_node(memory + i * PAGE, -1));
	}
	return NULL;
}

static enum ktap_result setup(void)
{
	CHECK(!probe_open(&probe), "%s", mshv_error());
	memory = probe_memory(PAGES * PAGE, false);
	CHECK(memory, "memory");
	CHECK(!mshv_region_add(probe.vm, PROBE_FREE, memory, PAGES * PAGE, 0), "%s", mshv_error());
	return PASS;
}

static void teardown(void)
{
	dma_unmap(PAGES * PAGE);
	probe_close(&probe);
	if (memory)
		munmap(memory, PAGES * PAGE);
	memory = NULL;
}

static uint64_t gpa(uint64_t page)
{
	return PROBE_FREE + page * PAGE;
}

/* The guest writes, the device reads and writes it elsewhere, the guest reads. */
static enum ktap_result through_the_device(void)
{
	uint64_t value;
	bool stop = false;
	pthread_t thread;

	CHECK_PASS(setup());
	CHECK(probe_write(&probe, gpa(3), 0x1122334455667788) == PROBE_DONE, "%d", probe.error);
	CHECK(!dma_map(memory, PAGES * PAGE), "%s", strerror(errno));
	CHECK(!pthread_create(&thread, NULL, disturb, &stop), "thread");
	for (uint64_t round = 0; round < 8; round++) {
		uint64_t page = 8 + round * 5;

		transfer(IOVA + 3 * PAGE, EDU_BUFFER, PAGE / 2, false);
		transfer(EDU_BUFFER, IOVA + page * PAGE, PAGE / 2, true);
		CHECK(probe_read(&probe, gpa(page), &value) == PROBE_DONE, "%d", probe.error);
		CHECK(value == 0x1122334455667788, "page %llu: %llx", (unsigned long long)page,
		      (unsigned long long)value);
		CHECK(probe_write(&probe, gpa(page), round) == PROBE_DONE, "%d", probe.error);
	}
	stop = true;
	pthread_join(thread, NULL);
	return PASS;
}

static enum ktap_result pinned_while_mapped(void)
{
	uint64_t value, pfn;
	int node, moved;

	CHECK_PASS(setup());
	CHECK(probe_write(&probe, gpa(0), 42) == PROBE_DONE, "%d", probe.error);
	node = page_node(memory, -1);
	CHECK(node >= 0, "no node: %d", node);
	CHECK(!dma_map(memory, PAGES * PAGE), "%s", strerror(errno));
	pfn = probe_pfn(memory);
	moved = page_node(memory, 1 - node);
	CHECK(moved == -EBUSY, "moving a page that the device writes to: %d", moved);
	CHECK(probe_pfn(memory) == pfn, "it moved");
	dma_unmap(PAGES * PAGE);
	/* Now it is an ordinary page again, and the guest follows it. */
	moved = page_node(memory, 1 - node);
	CHECK(moved == 1 - node, "after release: %d", moved);
	CHECK(probe_pfn(memory) != pfn, "it did not move");
	CHECK(probe_read(&probe, gpa(0), &value) == PROBE_DONE && value == 42, "%llx",
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
	CHECK(!dma_map(memory, PAGES * PAGE), "%s", strerror(errno));
	pfn = probe_pfn(memory + 5 * PAGE);
	dma_unmap(PAGES * PAGE);
	*(volatile uint64_t *)(bar + EDU_BUFFER) = 0xbad;
	transfer(EDU_BUFFER, IOVA + 5 * PAGE, 8, true);
	for (uint64_t i = 0; i < PAGES; i++)
		CHECK(probe_read(&probe, gpa(i), &value) == PROBE_DONE && value == i,
		      "page %llu has %llx", (unsigned long long)i, (unsigned long long)value);
	/* And the page that the device once knew has moved on without it. */
	CHECK(page_node(memory + 5 * PAGE, 1 - page_node(memory + 5 * PAGE, -1)) >= 0, "move");
	CHECK(!mshv_who_can_reach(NULL, pfn, &reach), "%s", mshv_error());
	CHECK(reach.found == 0, "a guest still reaches the old page");
	return PASS;
}

static const struct ktap_test tests[] = {
	{ "a device and a guest share memory while Linux tries to move it", through_the_device },
	{ "memory is pinned while VFIO has it, and moves again after", pinned_while_mapped },
	{ "without the pin the device reaches nothing", nothing_without_a_pin },
};

int main(void)
{
	const char *failed = vfio_open();

	if (failed) {
		printf("Bail out! %s: %s\n", failed, strerror(errno));
		return 1;
	}
	ktap_cleanup = teardown;
	return KTAP_RUN(tests);
}
