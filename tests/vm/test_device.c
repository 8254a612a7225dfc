// SPDX-License-Identifier: GPL-2.0-only
/*
 * Device memory as guest memory: BAR 0 of QEMU's "edu" device, which VFIO maps for this process, as a region of a guest.
 *
 * The guest reaches the registers itself, exactly the pages that Linux maps, as long as Linux maps them. The registers used are
 * those of the DMA engine: 8 bytes, and they keep what was written.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <edu.h>
#include <hvabi/memory.h>

#include "ktap.h"
#include "probe.h"

#define GPA		(1ull << 30)
#define BAR_PAGES	(edu_size / PAGE)
#define SOURCE		0x80u
#define TARGET		0x88u

static struct edu edu;
static size_t edu_size;
static uint64_t edu_pfn;	/* of the first page of the BAR */
static struct probe probe;

#define REGISTER(offset) (*(volatile uint64_t *)(edu.bar + (offset)))

/* Children that reach a page of the BAR, and the rights of the first one. */
static unsigned int reach(uint64_t page, uint32_t *rights)
{
	struct hvabi_output_debug_who_can_reach answer;

	if (mshv_who_can_reach(NULL, edu_pfn + page, &answer))
		return ~0u;
	if (rights)
		*rights = answer.reach[0].rights;
	return answer.found;
}

static enum ktap_result set_up(unsigned int flags)
{
	CHECK(!probe_open(&probe), "%s", mshv_error());
	CHECK(!mshv_region_add(probe.vm, GPA, (void *)edu.bar, edu_size, flags), "%s", mshv_error());
	return PASS;
}

static void tear_down(void)
{
	if (probe.vm)
		probe_close(&probe);
	mshv_vfio_switch_memory(edu.vfio, true);
}

static enum ktap_result registers(void)
{
	uint64_t maps;
	uint32_t rights;

	CHECK_PASS(set_up(0));
	CHECK(reach(0, NULL) == 0, "mapped before anybody asked");
	REGISTER(TARGET) = 0x1234567;
	GUEST_READS(GPA + TARGET, 0x1234567);
	CHECK(probe_write(&probe, GPA + SOURCE, 0x7654321) == PROBE_DONE, "errno %d", probe.error);
	CHECK(REGISTER(SOURCE) == 0x7654321, "0x%llx", (unsigned long long)REGISTER(SOURCE));
	CHECK(reach(0, &rights) == 1 && rights == (HVABI_MAP_GPA_READABLE | HVABI_MAP_GPA_WRITABLE),
	      "rights 0x%x", rights);
	/* Nothing beside the BAR, whatever Linux has mapped of it by now. */
	CHECK(reach(-1, NULL) == 0 && reach(BAR_PAGES, NULL) == 0);
	/* From now on the guest is alone with its device. */
	maps = probe_counter(&probe, HVABI_COUNT_CALL_MAP_GPA_PAGES);
	for (unsigned int i = 0; i < 100; i++) {
		CHECK(probe_write(&probe, GPA + SOURCE, i) == PROBE_DONE, "errno %d", probe.error);
		GUEST_READS(GPA + SOURCE, i);
	}
	CHECK(probe_counter(&probe, HVABI_COUNT_CALL_MAP_GPA_PAGES) == maps);
	return PASS;
}

/* At an address that is not that of the BAR modulo 2 MiB, and one page of it only. */
static enum ktap_result part_of_it(void)
{
	CHECK(!probe_open(&probe), "%s", mshv_error());
	CHECK(!mshv_region_add(probe.vm, GPA + 3 * PAGE, (void *)(edu.bar + PAGE), PAGE, 0), "%s",
	      mshv_error());
	CHECK(probe_write(&probe, GPA + 3 * PAGE, 1) == PROBE_DONE, "errno %d", probe.error);
	CHECK(reach(1, NULL) == 1);
	CHECK(reach(0, NULL) == 0 && reach(2, NULL) == 0);
	return PASS;
}

static enum ktap_result switched_off(void)
{
	uint64_t value;

	CHECK_PASS(set_up(0));
	REGISTER(TARGET) = 1;
	GUEST_READS(GPA + TARGET, 1);
	CHECK(reach(0, NULL) == 1);
	CHECK(!mshv_vfio_switch_memory(edu.vfio, false), "%s", mshv_error());
	CHECK(reach(0, NULL) == 0, "the guest reaches a device that is switched off");
	CHECK(probe_read(&probe, GPA + TARGET, &value) == PROBE_ERROR && probe.error == EFAULT,
	      "errno %d", probe.error);
	CHECK(!mshv_vfio_switch_memory(edu.vfio, true), "%s", mshv_error());
	GUEST_READS(GPA + TARGET, 1);
	CHECK(reach(0, NULL) == 1);
	return PASS;
}

static enum ktap_result removed(void)
{
	uint64_t value;

	CHECK_PASS(set_up(0));
	GUEST_READS(GPA + PAGE, 0xffffffffffffffff);
	CHECK(reach(1, NULL) == 1);
	CHECK(!mshv_region_remove(probe.vm, GPA, (void *)edu.bar, edu_size), "%s", mshv_error());
	CHECK(reach(1, NULL) == 0);
	CHECK(probe_read(&probe, GPA + PAGE, &value) == PROBE_VMM);
	/* A partition that goes takes its maps along. */
	CHECK(!mshv_region_add(probe.vm, GPA, (void *)edu.bar, edu_size, 0), "%s", mshv_error());
	GUEST_READS(GPA + PAGE, 0xffffffffffffffff);
	probe_close(&probe);
	CHECK(reach(1, NULL) == 0);
	return PASS;
}

static enum ktap_result rights(void)
{
	uint64_t value;
	uint32_t seen;
	int i;

	CHECK_PASS(set_up(MSHV_MEMORY_READ_ONLY));
	REGISTER(SOURCE) = 5;
	GUEST_READS(GPA + SOURCE, 5);
	CHECK(reach(0, &seen) == 1 && seen == HVABI_MAP_GPA_READABLE, "rights 0x%x", seen);
	CHECK(probe_write(&probe, GPA + SOURCE, 6) == PROBE_VMM);
	probe_close(&probe);

	CHECK_PASS(set_up(0));
	CHECK(probe_write(&probe, GPA + SOURCE, 6) == PROBE_DONE, "errno %d", probe.error);
	/* What the VMM may not do the guest may not. */
	CHECK(!mprotect((void *)edu.bar, edu_size, PROT_READ));
	CHECK(probe_write(&probe, GPA + SOURCE, 7) == PROBE_ERROR && probe.error == EACCES,
	      "errno %d", probe.error);
	GUEST_READS(GPA + SOURCE, 6);
	CHECK(reach(0, &seen) == 1 && seen == HVABI_MAP_GPA_READABLE, "rights 0x%x", seen);
	CHECK(!mprotect((void *)edu.bar, edu_size, PROT_READ | PROT_WRITE));
	CHECK(probe_write(&probe, GPA + SOURCE, 8) == PROBE_DONE, "errno %d", probe.error);
	CHECK(REGISTER(SOURCE) == 8);
	/* Linux leaves the entries there, where it must not be read. */
	for (i = 0; i < 2; i++) {
		CHECK(!mprotect((void *)edu.bar, edu_size, i ? PROT_WRITE : PROT_NONE));
		CHECK(probe_read(&probe, GPA + SOURCE, &value) == PROBE_ERROR && probe.error == EACCES,
		      "errno %d", probe.error);
		CHECK(probe_write(&probe, GPA + SOURCE, 9) == PROBE_ERROR && probe.error == EACCES,
		      "errno %d", probe.error);
		CHECK(reach(0, NULL) == 0);
	}
	CHECK(!mprotect((void *)edu.bar, edu_size, PROT_READ | PROT_WRITE));
	GUEST_READS(GPA + SOURCE, 8);
	return PASS;
}

static enum ktap_result never_pinned(void)
{
	CHECK(!probe_open(&probe), "%s", mshv_error());
	CHECK(mshv_region_add(probe.vm, GPA, (void *)edu.bar, edu_size, MSHV_MEMORY_PINNED) == -1 &&
	      errno == EOPNOTSUPP, "%s", mshv_error());
	CHECK(!mshv_region_add(probe.vm, GPA, (void *)edu.bar, edu_size, 0), "%s", mshv_error());
	CHECK(mshv_region_change(probe.vm, GPA, (void *)edu.bar, edu_size, MSHV_MEMORY_PINNED) == -1 &&
	      errno == EOPNOTSUPP, "%s", mshv_error());
	CHECK(probe_write(&probe, GPA + SOURCE, 1) == PROBE_DONE, "errno %d", probe.error);
	return PASS;
}

/* Where the machine has BAR 0, from the list of PCI resources; 0 if there is no edu device. */
static uint64_t bar_address(void)
{
	unsigned long long start = 0;
	FILE *f = popen("grep -l 0x11e8 /sys/bus/pci/devices/*/device | "
			"sed s/device$/resource/ | xargs head -n 1", "r");

	if (!f || fscanf(f, "%llx", &start) != 1)
		start = 0;
	if (f)
		pclose(f);
	return start;
}

static const struct ktap_test tests[] = {
	{ "the guest reaches the registers, and nothing else", registers },
	{ "one page of a BAR, at an odd address", part_of_it },
	{ "switched off, the device is gone for the guest as well", switched_off },
	{ "removed, nothing stays mapped", removed },
	{ "rights of region and mapping", rights },
	{ "device memory is not pinned", never_pinned },
};

int main(void)
{
	int ret;

	if (edu_open(&edu) || !mshv_vfio_map_bar(edu.vfio, 0, &edu_size)) {
		printf("Bail out! %s\n", mshv_error());
		return 1;
	}
	edu_pfn = bar_address() / PAGE;
	if (!edu_pfn) {
		printf("Bail out! no address of BAR 0\n");
		return 1;
	}
	ktap_cleanup = tear_down;
	ret = KTAP_RUN(tests);
	edu_close(&edu);
	return ret;
}
