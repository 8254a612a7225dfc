// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a child sees of the hypervisor: CPUID leaves and synthetic MSRs by feature, the pages that it
 * gives for them, and its local APIC by MSR and by page.
 */
#include <hypervisor/core/interrupt.h>
#include <hypervisor/core/message.h>
#include <hypervisor/core/npte.h>
#include <hypervisor/core/synthetic.h>
#include <hypervisor/core/time.h>
#include <hypervisor/core/translate.h>
#include "unit.h"

/* The child's GFN n stands on the parent's page BASE + n. */
#define BASE		2048ull
#define PAGES		16
#define HYPERCALL_GPA	0x3000ull
#define READ_ONLY_GFN	0x800ull	/* not writable; the next one is no-access, then nothing */
#define CODE		0x1000ull
#define APIC_PAGE	0xfee00000ull
#define LEVEL_VECTOR	0x62u

static struct cpu *const cpu = &mock_cpus[0];
static uint64_t id, detail;
static struct partition *p;
static struct vp *vp, *second;

static int setup(void **state)
{
	(void)state;
	mock_reset();
	id = mock_apic_child(60, HVABI_PARTITION_FLAG_LAPIC_ENABLED |
			     HVABI_PARTITION_FLAG_X2APIC_CAPABLE, synthetic_features());
	p = partition_find(id);
	assert_status(mock_map(id, 0, BASE, PAGES, RWX), SUCCESS);
	assert_status(mock_map(id, READ_ONLY_GFN, BASE + PAGES, 1, RX), SUCCESS);
	assert_status(mock_map(id, READ_ONLY_GFN + 1, 0, 1, NO_ACCESS), SUCCESS);
	memset(platform_phys(BASE << 12), 0xee, (PAGES + 1) << 12);
	vp = mock_vp(id, 0);
	second = mock_vp(id, 1);
	vp->apic.svr = second->apic.svr = 0x1ff;
	return 0;
}

static void give(uint64_t features)
{
	p->property[PROPERTY_SYNTHETIC_FEATURES] = features;
}

static uint64_t rd(uint32_t msr)
{
	uint64_t value = 0x5a5a;

	assert_int_equal(synthetic_read(vp, msr, &value), MSR_DONE);
	return value;
}

static enum msr_result wr(uint32_t msr, uint64_t value)
{
	detail = 0x5a5a;
	return synthetic_write(cpu, vp, msr, value, &detail);
}

static void put(uint32_t msr, uint64_t value)
{
	assert_int_equal(wr(msr, value), MSR_DONE);
	assert_int_equal(detail, 0);
}

static enum msr_result try_read(uint32_t msr)
{
	uint64_t value;

	return synthetic_read(vp, msr, &value);
}

/* ---- what it is given ---- */

static uint64_t set_features(uint64_t features)
{
	const struct hvabi_input_set_partition_property in = {
		.partition_id = id, .property_code = HVABI_PROPERTY_SYNTHETIC_PROC_FEATURES,
		.property_value = features,
	};

	return mock_call(HVABI_CALL_SET_PARTITION_PROPERTY, &in, sizeof(in), 0, 0);
}

static void features_are_given_early(void **state)
{
	const struct hvabi_input_create_partition create = {
		.flags = HVABI_PARTITION_FLAG_EXO_PARTITION |
			 HVABI_PARTITION_FLAG_INTERCEPT_MESSAGE_PAGE_ENABLED,
	};

	(void)state;
	assert_int_equal(synthetic_features(), 0x7400ffb);
	assert_status(set_features(0), INVALID_PARTITION_STATE);
	assert_int_equal(p->property[PROPERTY_SYNTHETIC_FEATURES], 0x7400ffb);
	mock_deposit(HVABI_PARTITION_ID_SELF, 4000, 1);
	assert_status(mock_call(HVABI_CALL_CREATE_PARTITION, &create, sizeof(create), 0, 0), SUCCESS);
	memcpy(&id, mock_out(), 8);
	assert_status(set_features(HVABI_SYNTHETIC_HV1 | HVABI_SYNTHETIC_VP_RUNTIME),
		      PROPERTY_VALUE_OUT_OF_RANGE);
	assert_status(set_features(1ull << 63), PROPERTY_VALUE_OUT_OF_RANGE);
	assert_int_equal(partition_find(id)->property[PROPERTY_SYNTHETIC_FEATURES], 0);
	assert_status(set_features(HVABI_SYNTHETIC_HV1), SUCCESS);
	assert_int_equal(partition_find(id)->property[PROPERTY_SYNTHETIC_FEATURES],
			 HVABI_SYNTHETIC_HV1);
}

static void assert_leaf(uint32_t leaf, uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
	uint32_t out[4] = { 0xee, 0xee, 0xee, 0xee };

	synthetic_cpuid(p, leaf, out);
	assert_int_equal(out[0], a);
	assert_int_equal(out[1], b);
	assert_int_equal(out[2], c);
	assert_int_equal(out[3], d);
}

static void leaves(void **state)
{
	static const struct {
		uint64_t feature;
		uint32_t eax, edx, hints;
	} rows[] = {
		{ HVABI_SYNTHETIC_HYPERVISOR_PRESENT, 0, 0, 0 },
		{ HVABI_SYNTHETIC_REFERENCE_COUNTER, 1 << 1, 0, 0 }, { HVABI_SYNTHETIC_TIMERS, 1 << 3, 0, 0 },
		{ HVABI_SYNTHETIC_SYNIC, 1 << 2, 0, 0 },
		{ HVABI_SYNTHETIC_APIC_ACCESS, 1 << 4, 0, 1 << 3 },
		{ HVABI_SYNTHETIC_HYPERCALL, 1 << 5, 1 << 10, 0 },
		{ HVABI_SYNTHETIC_VP_INDEX, 1 << 6, 0, 0 }, { HVABI_SYNTHETIC_REFERENCE_TSC, 1 << 9, 0, 0 },
		{ HVABI_SYNTHETIC_GUEST_IDLE, 1 << 10, 1 << 5, 0 },
		{ HVABI_SYNTHETIC_FREQUENCIES, 1 << 11 | 1 << 15, 1 << 8, 0 },
		{ HVABI_SYNTHETIC_DIRECT_TIMERS, 0, 1 << 19, 0 },
		{ HVABI_SYNTHETIC_TLB_FLUSH, 0, 0, 1 << 2 },
		{ HVABI_SYNTHETIC_CLUSTER_IPI, 0, 0, 1 << 10 },
		{ HVABI_SYNTHETIC_PROCESSOR_MASKS, 0, 0, 1 << 11 },
	};
	uint32_t eax = 0, edx = 0, hints = 1 << 5 | 1 << 9;

	(void)state;
	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		give(HVABI_SYNTHETIC_HV1 | rows[i].feature);
		assert_leaf(0x40000003, rows[i].eax, 0, 0, rows[i].edx);
		assert_leaf(0x40000004, 1 << 5 | 1 << 9 | rows[i].hints, 0, 0, 0);
		hints |= rows[i].hints;
		eax |= rows[i].eax;
		edx |= rows[i].edx;
	}
	give(synthetic_features());
	assert_leaf(0x40000003, eax, 0, 0, edx);
	assert_leaf(0x40000000, HVABI_CPUID_HARDWARE, 0x7263694d, 0x666f736f, 0x76482074);
	assert_leaf(0x40000001, 0x31237648, 0, 0, 0);
	assert_leaf(0x40000002, 27744, 10 << 16, 0, 0);
	assert_leaf(0x40000004, hints, 0, 0, 0);
	assert_leaf(0x40000005, MAX_VPS, MAX_VPS, 0, 0);
	assert_leaf(0x40000006, 0, 0, 0, 0);
	assert_leaf(0x40000100, 0, 0, 0, 0);
	/* Without the interface there is no hypervisor to see. */
	give(synthetic_features() & ~HVABI_SYNTHETIC_HV1);
	for (uint32_t leaf = 0x40000000; leaf < 0x40000010; leaf++)
		assert_leaf(leaf, 0, 0, 0, 0);
}

static void registers_go_by_feature(void **state)
{
	static const struct {
		uint32_t msr;
		uint64_t feature;
	} rows[] = {
		{ HVABI_MSR_GUEST_OS_ID, HVABI_SYNTHETIC_HYPERCALL },
		{ HVABI_MSR_HYPERCALL, HVABI_SYNTHETIC_HYPERCALL },
		{ HVABI_MSR_CRASH_P0, HVABI_SYNTHETIC_HYPERCALL },
		{ HVABI_MSR_CRASH_P0 + 4, HVABI_SYNTHETIC_HYPERCALL },
		{ HVABI_MSR_CRASH_CTL, HVABI_SYNTHETIC_HYPERCALL },
		{ HVABI_MSR_VP_INDEX, HVABI_SYNTHETIC_VP_INDEX },
		{ HVABI_MSR_TIME_REF_COUNT, HVABI_SYNTHETIC_REFERENCE_COUNTER },
		{ HVABI_MSR_REFERENCE_TSC, HVABI_SYNTHETIC_REFERENCE_TSC },
		{ HVABI_MSR_TSC_FREQUENCY, HVABI_SYNTHETIC_FREQUENCIES },
		{ HVABI_MSR_APIC_FREQUENCY, HVABI_SYNTHETIC_FREQUENCIES },
		{ HVABI_MSR_TSC_INVARIANT_CONTROL, HVABI_SYNTHETIC_FREQUENCIES },
		{ HVABI_MSR_ICR, HVABI_SYNTHETIC_APIC_ACCESS },
		{ HVABI_MSR_TPR, HVABI_SYNTHETIC_APIC_ACCESS },
		{ HVABI_MSR_VP_ASSIST_PAGE, HVABI_SYNTHETIC_HV1 },
		{ HVABI_MSR_GUEST_IDLE, HVABI_SYNTHETIC_GUEST_IDLE },
		{ HVABI_MSR_SCONTROL, HVABI_SYNTHETIC_SYNIC },
		{ HVABI_MSR_SIEFP, HVABI_SYNTHETIC_SYNIC },
		{ HVABI_MSR_SINT0 + 15, HVABI_SYNTHETIC_SYNIC },
		{ HVABI_MSR_STIMER0_CONFIG, HVABI_SYNTHETIC_TIMERS },
		{ HVABI_MSR_STIMER0_CONFIG + 7, HVABI_SYNTHETIC_TIMERS },
	};
	static const uint32_t unknown[] = {
		HVABI_MSR_RESET, HVABI_MSR_VP_RUNTIME, HVABI_MSR_SIRBP, HVABI_MSR_SINT0 - 1,
		HVABI_MSR_SINT0 + 16, HVABI_MSR_STIMER0_CONFIG + 8, HVABI_MSR_STIMER0_CONFIG - 1,
		HVABI_MSR_GUEST_IDLE + 1, HVABI_MSR_CRASH_P0 - 1, HVABI_MSR_REENLIGHTENMENT_CONTROL,
		0x10, 0x1c, 0x7ff, 0x900, 0xc0000080, 0x3fffffff,
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		give(rows[i].feature);
		assert_int_equal(try_read(rows[i].msr), MSR_DONE);
		give(synthetic_features() & ~rows[i].feature);
		assert_int_equal(try_read(rows[i].msr), MSR_UNKNOWN);
		assert_int_equal(wr(rows[i].msr, 0), MSR_UNKNOWN);
	}
	give(synthetic_features() & ~HVABI_SYNTHETIC_APIC_ACCESS);
	assert_int_equal(try_read(HVABI_MSR_EOI), MSR_UNKNOWN);
	assert_int_equal(wr(HVABI_MSR_EOI, 0), MSR_UNKNOWN);
	give(synthetic_features());
	for (unsigned int i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
		assert_int_equal(try_read(unknown[i]), MSR_UNKNOWN);
		assert_int_equal(wr(unknown[i], 0), MSR_UNKNOWN);
	}
	assert_true(synthetic_has_hypercalls(p));
	give(synthetic_features() & ~HVABI_SYNTHETIC_HYPERCALL);
	assert_false(synthetic_has_hypercalls(p));
}

static void what_only_tells_refuses_writes(void **state)
{
	static const uint32_t msrs[] = {
		HVABI_MSR_VP_INDEX, HVABI_MSR_TIME_REF_COUNT, HVABI_MSR_TSC_FREQUENCY,
		HVABI_MSR_APIC_FREQUENCY,
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(msrs) / sizeof(msrs[0]); i++) {
		uint64_t before = rd(msrs[i]);

		assert_int_equal(wr(msrs[i], before), MSR_REFUSED);
		assert_int_equal(rd(msrs[i]), before);
	}
	assert_int_equal(try_read(HVABI_MSR_EOI), MSR_REFUSED);
	assert_int_equal(rd(HVABI_MSR_VP_INDEX), 0);
	vp = second;
	assert_int_equal(rd(HVABI_MSR_VP_INDEX), 1);
	assert_int_equal(rd(HVABI_MSR_TSC_FREQUENCY), 2000000000);
	assert_int_equal(rd(HVABI_MSR_APIC_FREQUENCY), 2000000000);
	assert_int_equal(rd(HVABI_MSR_TIME_REF_COUNT), 0);
	mock_tsc += 2000000000;
	assert_int_equal(rd(HVABI_MSR_TIME_REF_COUNT), 10000000);
}

static void what_is_stored(void **state)
{
	(void)state;
	put(HVABI_MSR_GUEST_OS_ID, 0x8100000000000000);
	assert_true(rd(HVABI_MSR_GUEST_OS_ID) == 0x8100000000000000);
	put(HVABI_MSR_VP_ASSIST_PAGE, 0x1234566);
	assert_int_equal(rd(HVABI_MSR_VP_ASSIST_PAGE), 0x1234566);
	put(HVABI_MSR_TSC_INVARIANT_CONTROL, 1);
	assert_int_equal(wr(HVABI_MSR_TSC_INVARIANT_CONTROL, 3), MSR_REFUSED);
	assert_int_equal(rd(HVABI_MSR_TSC_INVARIANT_CONTROL), 1);
	for (uint32_t i = 0; i < 5; i++)
		put(HVABI_MSR_CRASH_P0 + i, 100 + i);
	put(HVABI_MSR_CRASH_CTL, HVABI_CRASH_NOTIFY);
	for (uint32_t i = 0; i < 5; i++)
		assert_int_equal(rd(HVABI_MSR_CRASH_P0 + i), 100 + i);
	assert_true(rd(HVABI_MSR_CRASH_CTL) == (HVABI_CRASH_NOTIFY | HVABI_CRASH_NOTIFY_MSG));
	/* Some belong to the partition, some to the processor. */
	vp = second;
	assert_true(rd(HVABI_MSR_GUEST_OS_ID) == 0x8100000000000000);
	assert_int_equal(rd(HVABI_MSR_CRASH_P0 + 1), 101);
	assert_int_equal(rd(HVABI_MSR_VP_ASSIST_PAGE), 0);
}

static void timers_by_register(void **state)
{
	struct vp *plain;

	(void)state;
	for (uint32_t i = 0; i < HVABI_STIMERS; i++) {
		put(HVABI_MSR_STIMER0_COUNT + 2 * i, 1000 + i);
		put(HVABI_MSR_STIMER0_CONFIG + 2 * i, HVABI_STIMER_ENABLE | HVABI_STIMER_DIRECT |
		    (uint64_t)(0x40 + i) << HVABI_STIMER_VECTOR_SHIFT);
	}
	for (uint32_t i = 0; i < HVABI_STIMERS; i++) {
		assert_int_equal(rd(HVABI_MSR_STIMER0_COUNT + 2 * i), 1000 + i);
		assert_int_equal(rd(HVABI_MSR_STIMER0_CONFIG + 2 * i), 0x1401 + 0x10 * i);
		assert_int_equal(vp->stimer[i].expiry, 1000 + i);
		assert_true(second->stimer[i].expiry == TIME_NEVER);
	}
	assert_int_equal(mock_timer, clock_of_reference(p, 1000));
	assert_int_equal(wr(HVABI_MSR_STIMER0_CONFIG, HVABI_STIMER_ENABLE | HVABI_STIMER_DIRECT), MSR_REFUSED);
	assert_int_equal(rd(HVABI_MSR_STIMER0_CONFIG), 0x1401);
	/* Without an APIC they have nothing to raise. */
	plain = mock_vp(mock_apic_child(20, 0, HVABI_SYNTHETIC_TIMERS), 0);
	vp = plain;
	assert_int_equal(rd(HVABI_MSR_STIMER0_CONFIG), 0);
	assert_int_equal(wr(HVABI_MSR_STIMER0_CONFIG, 0), MSR_REFUSED);
	assert_int_equal(wr(HVABI_MSR_STIMER0_COUNT, 5), MSR_REFUSED);
}

/* ---- pages of the child's ---- */

static const uint8_t call_code[] = { 0xf3, 0x0f, 0x1e, 0xfa, 0x0f, 0x01, 0xd9, 0xc3 };

static uint8_t *child(uint64_t gpa)
{
	return (uint8_t *)platform_phys(BASE << 12) + gpa;
}

static bool untouched(uint64_t gpa, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		if (child(gpa)[i] != 0xee)
			return false;
	return true;
}

static void hypercall_page(void **state)
{
	(void)state;
	/* Without an identity there is none. */
	put(HVABI_MSR_HYPERCALL, HYPERCALL_GPA | HVABI_MSR_PAGE_ENABLE);
	assert_int_equal(rd(HVABI_MSR_HYPERCALL), HYPERCALL_GPA);
	assert_true(untouched(HYPERCALL_GPA, 4096));
	put(HVABI_MSR_GUEST_OS_ID, 1);
	put(HVABI_MSR_HYPERCALL, HYPERCALL_GPA);
	assert_true(untouched(HYPERCALL_GPA, 4096));
	assert_int_equal(mock_entry(id, HYPERCALL_GPA >> 12, NULL) & (NPTE_ACCESSED | NPTE_DIRTY), 0);
	put(HVABI_MSR_HYPERCALL, HYPERCALL_GPA | HVABI_MSR_PAGE_ENABLE);
	assert_memory_equal(child(HYPERCALL_GPA), call_code, sizeof(call_code));
	assert_true(untouched(HYPERCALL_GPA + sizeof(call_code), 4096 - sizeof(call_code)));
	assert_true(untouched(HYPERCALL_GPA - 4096, 4096));
	assert_int_equal(rd(HVABI_MSR_HYPERCALL), HYPERCALL_GPA | HVABI_MSR_PAGE_ENABLE);
	assert_int_equal(mock_entry(id, HYPERCALL_GPA >> 12, NULL) & (NPTE_ACCESSED | NPTE_DIRTY),
			 NPTE_ACCESSED | NPTE_DIRTY);
	assert_int_equal(mock_entry(id, (HYPERCALL_GPA >> 12) + 1, NULL) & NPTE_DIRTY, 0);
	/* Who gives up the identity gives up the page. */
	put(HVABI_MSR_GUEST_OS_ID, 0);
	assert_int_equal(rd(HVABI_MSR_HYPERCALL), HYPERCALL_GPA);
	/* Locked, it stays. */
	put(HVABI_MSR_GUEST_OS_ID, 1);
	put(HVABI_MSR_HYPERCALL, 0x4000 | HVABI_MSR_PAGE_ENABLE | HVABI_MSR_HYPERCALL_LOCKED);
	assert_memory_equal(child(0x4000), call_code, sizeof(call_code));
	put(HVABI_MSR_HYPERCALL, 0x5000 | HVABI_MSR_PAGE_ENABLE);
	assert_int_equal(rd(HVABI_MSR_HYPERCALL), 0x4003);
	assert_true(untouched(0x5000, 4096));
}

static void pages_that_are_not_there_fault(void **state)
{
	static const uint32_t msrs[] = { HVABI_MSR_HYPERCALL, HVABI_MSR_REFERENCE_TSC };

	(void)state;
	put(HVABI_MSR_GUEST_OS_ID, 1);
	for (unsigned int i = 0; i < 2; i++) {
		put(msrs[i], 0x6000);
		/* Not writable, no access, nothing at all, far away. */
		for (uint64_t gfn = READ_ONLY_GFN; gfn < READ_ONLY_GFN + 3; gfn++) {
			assert_int_equal(wr(msrs[i], gfn << 12 | HVABI_MSR_PAGE_ENABLE), MSR_FAULT);
			assert_true(detail == gfn << 12);
			assert_int_equal(rd(msrs[i]), 0x6000);
		}
		assert_int_equal(wr(msrs[i], 1ull << 39 | HVABI_MSR_PAGE_ENABLE), MSR_FAULT);
		assert_true(detail == 1ull << 39);
		assert_true(untouched(PAGES << 12, 4096));
		assert_int_equal(mock_entry(id, READ_ONLY_GFN, NULL) & (NPTE_ACCESSED | NPTE_DIRTY), 0);
		/* Off, any address will do; and once it is mapped it is filled. */
		put(msrs[i], READ_ONLY_GFN << 12);
		assert_status(mock_map(id, READ_ONLY_GFN + 3 + i, BASE + 8 + i, 1, RWX), SUCCESS);
		put(msrs[i], (READ_ONLY_GFN + 3 + i) << 12 | HVABI_MSR_PAGE_ENABLE);
		assert_false(untouched((8 + i) << 12, 4096));
	}
}

static void reference_tsc_page(void **state)
{
	const struct hvabi_reference_tsc_page *page = (const void *)child(0x7000);

	(void)state;
	put(HVABI_MSR_REFERENCE_TSC, 0x7000);
	assert_true(untouched(0x7000, 4096));
	put(HVABI_MSR_REFERENCE_TSC, 0x7000 | HVABI_MSR_PAGE_ENABLE);
	assert_int_equal(rd(HVABI_MSR_REFERENCE_TSC), 0x7001);
	assert_true(page->tsc_sequence != 0);
	assert_int_equal(page->reserved1, 0);
	assert_true(untouched(0x7000 + sizeof(*page), 4096 - sizeof(*page)));
	assert_int_equal(mock_entry(id, 7, NULL) & (NPTE_ACCESSED | NPTE_DIRTY),
			 NPTE_ACCESSED | NPTE_DIRTY);
	/* What the child works out of it is what the register says. */
	for (unsigned int i = 0; i < 100; i++) {
		mock_tsc += 123456789;
		assert_int_equal((uint64_t)((unsigned __int128)mock_tsc * page->tsc_scale >> 64) +
				 page->tsc_offset, rd(HVABI_MSR_TIME_REF_COUNT));
	}
}

static void guest_memory_is_written_as_by_the_guest(void **state)
{
	const uint64_t gpa = (512 << 12) + 0x5678;
	uint32_t level, value = 0x12345678;

	(void)state;
	assert_status(mock_map(id, 512, 2560, 1, RWX | LARGE), SUCCESS);
	assert_int_equal(mock_entry(id, 512, &level) & (NPTE_ACCESSED | NPTE_DIRTY), 0);
	assert_int_equal(level, NPT_2M);
	assert_int_equal(write_guest(p, gpa, &value, 4), HVABI_TRANSLATE_SUCCESS);
	assert_memory_equal((uint8_t *)platform_phys((2560 << 12) + 0x5678), &value, 4);
	assert_int_equal(mock_entry(id, 512, &level) & (NPTE_ACCESSED | NPTE_DIRTY),
			 NPTE_ACCESSED | NPTE_DIRTY);
	assert_int_equal(write_guest(p, READ_ONLY_GFN << 12, &value, 4),
			 HVABI_TRANSLATE_GPA_NO_WRITE_ACCESS);
	assert_int_equal(write_guest(p, (READ_ONLY_GFN + 1) << 12, &value, 4),
			 HVABI_TRANSLATE_GPA_NO_READ_ACCESS);
	assert_int_equal(write_guest(p, (READ_ONLY_GFN + 2) << 12, &value, 4),
			 HVABI_TRANSLATE_GPA_UNMAPPED);
	/* What can be read need not be writable. */
	assert_int_equal(read_guest(p, READ_ONLY_GFN << 12, &value, 4), HVABI_TRANSLATE_SUCCESS);
}

/* ---- the APIC by MSR ---- */

static bool requested(const struct vp *v, unsigned int vector)
{
	return v->apic.irr[vector / 32] & 1u << vector % 32;
}

static void x2apic(void)
{
	put(0x1b, rd(0x1b) | APIC_BASE_EXTD);
}

/* A level-triggered interrupt, in service. */
static void in_service(void)
{
	apic_accept(&vp->apic, APIC_MODE_FIXED, LEVEL_VECTOR, true);
	apic_take(&vp->apic, LEVEL_VECTOR);
}

static void apic_base_by_register(void **state)
{
	(void)state;
	assert_int_equal(rd(0x1b), 0xfee00900);
	assert_int_equal(wr(0x1b, 0xfee00500), MSR_REFUSED);
	assert_int_equal(rd(0x1b), 0xfee00900);
	/* Its registers are MSRs in one mode only. */
	assert_int_equal(try_read(0x802), MSR_REFUSED);
	assert_int_equal(wr(0x808, 0), MSR_REFUSED);
	x2apic();
	assert_int_equal(rd(0x802), 0);
	assert_int_equal(rd(0x803), APIC_VERSION);
	/* Without one these are no registers of ours, but for the base, which is a number. */
	vp = mock_vp(mock_apic_child(20, 0, synthetic_features()), 0);
	assert_int_equal(try_read(0x802), MSR_UNKNOWN);
	assert_int_equal(wr(0x808, 0), MSR_UNKNOWN);
	assert_int_equal(try_read(0x6e0), MSR_UNKNOWN);
	assert_int_equal(wr(0x6e0, 1), MSR_UNKNOWN);
	assert_int_equal(try_read(HVABI_MSR_TPR), MSR_UNKNOWN);
	assert_int_equal(wr(HVABI_MSR_EOI, 0), MSR_UNKNOWN);
	assert_int_equal(wr(HVABI_MSR_ICR, 0), MSR_UNKNOWN);
	put(0x1b, 0x777);
	assert_int_equal(rd(0x1b), 0x777);
}

static void x2apic_by_register(void **state)
{
	(void)state;
	x2apic();
	/* Reserved bits, what is read-only or write-only, what there is not. */
	assert_int_equal(wr(0x808, 0x100), MSR_REFUSED);
	assert_int_equal(wr(0x802, 0), MSR_REFUSED);
	assert_int_equal(try_read(0x80b), MSR_REFUSED);
	assert_int_equal(try_read(0x8ff), MSR_REFUSED);
	assert_int_equal(wr(0x8ff, 0), MSR_REFUSED);
	/* The priority is CR8, whichever was written last. */
	put(0x808, 0x55);
	assert_int_equal(vp->state.cr8, 5);
	vp->state.cr8 = 7;
	put(0x80b, 0);
	assert_int_equal(rd(0x808), 0x70);
	assert_int_equal(vp->state.cr8, 7);
	in_service();
	assert_int_equal(wr(0x80b, 0), MSR_EOI);
	assert_int_equal(detail, LEVEL_VECTOR);
	assert_int_equal(counter(id, HVABI_COUNT_IPI), 0);
	put(0x830, 1ull << 32 | 0x44);
	assert_true(requested(second, 0x44));
	assert_false(requested(vp, 0x44));
	put(0x83f, 0x45);
	assert_true(requested(vp, 0x45));
	assert_int_equal(counter(id, HVABI_COUNT_IPI), 2);
	/* A vector that is none is logged, and not sent. */
	put(0x830, 1ull << 32 | 0x04);
	assert_int_equal(counter(id, HVABI_COUNT_IPI), 2);
	/* The timer: 2 ticks a count. */
	put(0x832, 0x46);
	put(0x838, 1000);
	assert_int_equal(mock_timer, mock_tsc + 2000);
	assert_int_equal(rd(0x6e0), 0);
	put(0x832, 0x40046);
	assert_true(mock_timer == TIME_NEVER);
	put(0x6e0, 12345678);
	assert_int_equal(rd(0x6e0), 12345678);
	assert_int_equal(mock_timer, 12345678);
	mock_tsc += 1000;
	put(0x6e0, 0);
	assert_true(mock_timer == TIME_NEVER);
}

static void apic_by_synthetic_register(void **state)
{
	(void)state;
	put(HVABI_MSR_TPR, 0x35);
	assert_int_equal(vp->state.cr8, 3);
	assert_int_equal(rd(HVABI_MSR_TPR), 0x35);
	assert_int_equal(wr(HVABI_MSR_TPR, 0x100), MSR_REFUSED);
	vp->state.cr8 = 9;
	assert_int_equal(rd(HVABI_MSR_TPR), 0x90);
	put(HVABI_MSR_ICR, 1ull << 56 | 0x44);
	assert_true(requested(second, 0x44));
	assert_false(requested(vp, 0x44));
	assert_true(rd(HVABI_MSR_ICR) == (1ull << 56 | 0x44));
	assert_int_equal(counter(id, HVABI_COUNT_IPI), 1);
	put(HVABI_MSR_EOI, 0);
	in_service();
	assert_int_equal(wr(HVABI_MSR_EOI, 0), MSR_EOI);
	assert_int_equal(detail, LEVEL_VECTOR);
	put(HVABI_MSR_EOI, 0);
	/* In the other mode the destination has 32 bits. */
	x2apic();
	put(HVABI_MSR_ICR, 1ull << 32 | 0x47);
	assert_true(requested(second, 0x47));
	assert_int_equal(wr(HVABI_MSR_ICR, 1ull << 31 | 0x47), MSR_REFUSED);
}

/* ---- the APIC by its page ---- */

static void emit(const void *bytes, size_t count)
{
	memset(child(CODE), 0x90, 32);
	memcpy(child(CODE), bytes, count);
	vp->state.rip = CODE;
}

#define CODE_BYTES(...) do { \
	static const uint8_t bytes_[] = { __VA_ARGS__ }; \
	emit(bytes_, sizeof(bytes_)); \
} while (0)

/* 64-bit code, with the walk of page tables left out. */
static void long_mode(void)
{
	vp->state.cr0 = 1;
	vp->state.efer = 0x500;
	vp->state.segment[SEG_CS].attributes = 0xa09b;
	vp->state.segment[SEG_CS].base = 0;
}

static enum msr_result access_at(uint64_t gpa, bool write)
{
	detail = 0x5a5a;
	return synthetic_apic_page(cpu, vp, gpa, write, &detail);
}

static void page_writes(void **state)
{
	(void)state;
	long_mode();
	vp->state.interrupt_shadow = true;
	vp->state.gpr[RCX] = 0xffffffff00000045;
	CODE_BYTES(0x89, 0x08);						/* mov [rax], ecx */
	assert_int_equal(access_at(APIC_PAGE + 0x80, true), MSR_DONE);
	assert_int_equal(detail, 0);
	assert_int_equal(vp->apic.tpr, 0x45);
	assert_int_equal(vp->state.cr8, 4);
	assert_int_equal(vp->state.rip, CODE + 2);
	assert_false(vp->state.interrupt_shadow);
	CODE_BYTES(0xc7, 0x80, 0x80, 0, 0, 0, 0x56, 0, 0, 0);		/* mov dword [rax+0x80], 0x56 */
	assert_int_equal(access_at(APIC_PAGE + 0x80, true), MSR_DONE);
	assert_int_equal(vp->apic.tpr, 0x56);
	assert_int_equal(vp->state.rip, CODE + 10);
	vp->state.gpr[RAX] = 0x67;
	CODE_BYTES(0xa3, 0x80, 0, 0xe0, 0xfe, 0, 0, 0, 0);		/* mov [0xfee00080], eax */
	assert_int_equal(access_at(APIC_PAGE + 0x80, true), MSR_DONE);
	assert_int_equal(vp->apic.tpr, 0x67);
	assert_int_equal(vp->state.rip, CODE + 9);
	vp->state.gpr[R9] = 0x78;
	CODE_BYTES(0x44, 0x89, 0x08);					/* mov [rax], r9d */
	assert_int_equal(access_at(APIC_PAGE + 0x80, true), MSR_DONE);
	assert_int_equal(vp->apic.tpr, 0x78);
	/* The processor's own CR8 counts before that. */
	vp->state.cr8 = 0xa;
	CODE_BYTES(0x89, 0x08);
	assert_int_equal(access_at(APIC_PAGE + 0xf4, true), MSR_DONE);	/* between registers: nothing */
	assert_int_equal(vp->apic.svr, 0x1ff);
	assert_int_equal(vp->state.rip, CODE + 2);
	assert_int_equal(vp->apic.tpr, 0xa0);
	/* An IPI in two halves, an EOI, a timer. */
	CODE_BYTES(0xc7, 0x00, 0, 0, 0, 1);
	assert_int_equal(access_at(APIC_PAGE + 0x310, true), MSR_DONE);
	CODE_BYTES(0xc7, 0x00, 0x44, 0, 0, 0);
	assert_int_equal(access_at(APIC_PAGE + 0x300, true), MSR_DONE);
	assert_true(requested(second, 0x44));
	in_service();
	CODE_BYTES(0xc7, 0x00, 0, 0, 0, 0);
	assert_int_equal(access_at(APIC_PAGE + 0xb0, true), MSR_EOI);
	assert_int_equal(detail, LEVEL_VECTOR);
	assert_int_equal(vp->state.rip, CODE + 6);
	CODE_BYTES(0xc7, 0x00, 0xe8, 3, 0, 0);
	assert_int_equal(access_at(APIC_PAGE + 0x380, true), MSR_DONE);
	assert_int_equal(mock_timer, mock_tsc + 2000);
}

static void page_reads(void **state)
{
	(void)state;
	long_mode();
	vp = second;
	long_mode();
	vp->state.gpr[RDX] = vp->state.gpr[R8] = ~0ull;
	CODE_BYTES(0x8b, 0x10);						/* mov edx, [rax] */
	assert_int_equal(access_at(APIC_PAGE + 0x20, false), MSR_DONE);
	assert_int_equal(detail, 0);
	assert_int_equal(vp->state.gpr[RDX], 1 << 24);
	assert_int_equal(vp->state.rip, CODE + 2);
	CODE_BYTES(0x44, 0x8b, 0x40, 0x30);				/* mov r8d, [rax+0x30] */
	assert_int_equal(access_at(APIC_PAGE + 0x30, false), MSR_DONE);
	assert_int_equal(vp->state.gpr[R8], APIC_VERSION);
	assert_int_equal(vp->state.rip, CODE + 4);
	CODE_BYTES(0xa1, 0xf0, 0, 0xe0, 0xfe, 0, 0, 0, 0);		/* mov eax, [0xfee000f0] */
	assert_int_equal(access_at(APIC_PAGE + 0xf0, false), MSR_DONE);
	assert_int_equal(vp->state.gpr[RAX], 0x1ff);
	vp->state.cr8 = 6;
	CODE_BYTES(0x8b, 0x10);
	assert_int_equal(access_at(APIC_PAGE + 0x80, false), MSR_DONE);
	assert_int_equal(vp->state.gpr[RDX], 0x60);
	/* Between registers, and where there is none: nothing. */
	CODE_BYTES(0x8b, 0x10);
	assert_int_equal(access_at(APIC_PAGE + 0x34, false), MSR_DONE);
	assert_int_equal(vp->state.gpr[RDX], 0);
	vp->state.gpr[RDX] = 5;
	CODE_BYTES(0x8b, 0x10);
	assert_int_equal(access_at(APIC_PAGE + 0x40, false), MSR_DONE);
	assert_int_equal(vp->state.gpr[RDX], 0);
	assert_int_equal(vp->state.rip, CODE + 2);
}

/* MSR_UNKNOWN, and nothing happened. */
static void assert_not_ours(uint64_t gpa, bool write)
{
	struct vp_state before = vp->state;
	struct apic apic = vp->apic;

	assert_int_equal(access_at(gpa, write), MSR_UNKNOWN);
	assert_memory_equal(&before, &vp->state, sizeof(before));
	assert_memory_equal(&apic, &vp->apic, sizeof(apic));
}

static void what_is_not_understood_is_left_alone(void **state)
{
	(void)state;
	long_mode();
	vp->state.cr8 = 3;
	CODE_BYTES(0x89, 0x08);
	assert_not_ours(APIC_PAGE + 0x1000, true);
	assert_not_ours(APIC_PAGE - 0x10, true);
	assert_not_ours(APIC_PAGE + 0x80, false);		/* the intercept says: a read */
	CODE_BYTES(0x8b, 0x08);
	assert_not_ours(APIC_PAGE + 0x80, true);
	CODE_BYTES(0x48, 0x89, 0x08);				/* 8 bytes */
	assert_not_ours(APIC_PAGE + 0x80, true);
	CODE_BYTES(0x66, 0x89, 0x08);				/* 2 */
	assert_not_ours(APIC_PAGE + 0x80, true);
	CODE_BYTES(0x01, 0x08);					/* ADD */
	assert_not_ours(APIC_PAGE + 0x80, true);
	CODE_BYTES(0x89, 0x08);
	/* No code there any more: the child repeats it, and faults on that page itself. */
	vp->state.rip = 0x100000;
	assert_int_equal(access_at(APIC_PAGE + 0x80, true), MSR_DONE);
	assert_int_equal(vp->state.rip, 0x100000);
	vp->state.rip = CODE;
	vp->apic.base &= ~(uint64_t)APIC_BASE_ENABLE;
	assert_not_ours(APIC_PAGE + 0x80, true);
	vp->apic.base |= APIC_BASE_ENABLE | APIC_BASE_EXTD;
	assert_not_ours(APIC_PAGE + 0x80, true);
	vp->apic.base &= ~(uint64_t)APIC_BASE_EXTD;
	assert_int_equal(access_at(APIC_PAGE + 0x80, true), MSR_DONE);
	p->creation_flags &= ~(HVABI_PARTITION_FLAG_LAPIC_ENABLED);
	assert_not_ours(APIC_PAGE + 0x80, true);
}

/* Instructions are decoded as 64-bit ones: what would be another, or longer, in other modes is not. */
static void other_modes(void **state)
{
	(void)state;
	long_mode();
	vp->state.efer = 0;
	vp->state.segment[SEG_CS].attributes = 0xc09b;		/* 32-bit code */
	vp->state.gpr[RCX] = 0x45;
	CODE_BYTES(0x89, 0x08);
	assert_int_equal(access_at(APIC_PAGE + 0x80, true), MSR_DONE);
	assert_int_equal(vp->apic.tpr, 0x45);
	CODE_BYTES(0x3e, 0x89, 0x0d, 0x80, 0, 0xe0, 0xfe);	/* mov ds:[0xfee00080], ecx */
	assert_int_equal(access_at(APIC_PAGE + 0x80, true), MSR_DONE);
	assert_int_equal(vp->state.rip, CODE + 7);
	CODE_BYTES(0xa3, 0x80, 0, 0xe0, 0xfe);			/* 5 bytes long here */
	assert_not_ours(APIC_PAGE + 0x80, true);
	CODE_BYTES(0x26, 0xa1, 0x80, 0, 0xe0, 0xfe);
	assert_not_ours(APIC_PAGE + 0x80, false);
	CODE_BYTES(0x67, 0x89, 0x0f);				/* a 16-bit address */
	assert_not_ours(APIC_PAGE + 0x80, true);
	/* Compatibility mode is no other thing than 32-bit code. */
	vp->state.efer = 0x500;
	CODE_BYTES(0xa3, 0x80, 0, 0xe0, 0xfe);
	assert_not_ours(APIC_PAGE + 0x80, true);
	CODE_BYTES(0x89, 0x08);
	assert_int_equal(access_at(APIC_PAGE + 0x80, true), MSR_DONE);
	/* The long bit means nothing outside of long mode; 16-bit code has other addresses. */
	vp->state.efer = 0;
	vp->state.segment[SEG_CS].attributes = 0x209b;
	CODE_BYTES(0x89, 0x08);
	assert_not_ours(APIC_PAGE + 0x80, true);
}

static void the_end_of_an_interrupt_is_a_message(void **state)
{
	const struct hvabi_message *m = platform_phys(second->overlay[VP_PAGE_MESSAGE] << 12);
	const struct hvabi_x64_apic_eoi_message *eoi = (const void *)m->payload;

	(void)state;
	message_apic_eoi(second, LEVEL_VECTOR);
	assert_int_equal(m->header.message_type, HVABI_MSG_X64_APIC_EOI);
	assert_int_equal(m->header.payload_size, 8);
	assert_int_equal(m->header.sender, id);
	assert_int_equal(eoi->vp_index, 1);
	assert_int_equal(eoi->interrupt_vector, LEVEL_VECTOR);
	assert_true(second->intercept_suspend);
}

#define CHILD_TEST(function) cmocka_unit_test_setup(function, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CHILD_TEST(features_are_given_early),
		CHILD_TEST(leaves),
		CHILD_TEST(registers_go_by_feature),
		CHILD_TEST(what_only_tells_refuses_writes),
		CHILD_TEST(what_is_stored),
		CHILD_TEST(timers_by_register),
		CHILD_TEST(hypercall_page),
		CHILD_TEST(pages_that_are_not_there_fault),
		CHILD_TEST(reference_tsc_page),
		CHILD_TEST(guest_memory_is_written_as_by_the_guest),
		CHILD_TEST(apic_base_by_register),
		CHILD_TEST(x2apic_by_register),
		CHILD_TEST(apic_by_synthetic_register),
		CHILD_TEST(page_writes),
		CHILD_TEST(page_reads),
		CHILD_TEST(what_is_not_understood_is_left_alone),
		CHILD_TEST(other_modes),
		CHILD_TEST(the_end_of_an_interrupt_is_a_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
