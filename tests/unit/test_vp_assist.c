// SPDX-License-Identifier: GPL-2.0-only
/*
 * "No EOI required": when it is promised, what the guest makes of it, and pages that go.
 */
#include <hypervisor/core/interrupt.h>
#include <hypervisor/core/npte.h>
#include <hypervisor/core/synthetic.h>
#include <hypervisor/core/vp_assist.h>
#include "unit.h"

#define BASE		2048ull		/* of the parent's pages behind GFN 0 and on */
#define PAGES		4
#define ASSIST		0x2000ull
#define ELSEWHERE	0x100000ull

static struct cpu *const cpu = &mock_cpus[0];
static uint64_t id, gpa;
static struct vp *vp;

static uint32_t *word(void)
{
	return platform_phys((BASE << 12) + ASSIST);
}

static enum msr_result wr(uint32_t msr, uint64_t value)
{
	gpa = 0x5a5a;
	return synthetic_write(cpu, vp, msr, value, &gpa);
}

static int setup(void **state)
{
	(void)state;
	mock_reset();
	id = mock_apic_child(60, HVABI_PARTITION_FLAG_LAPIC_ENABLED, synthetic_features());
	assert_status(mock_map(id, 0, BASE, PAGES, RWX), SUCCESS);
	memset(platform_phys(BASE << 12), 0xee, PAGES << 12);
	vp = mock_vp(id, 0);
	vp->apic.svr = 0x1ff;
	assert_int_equal(wr(HVABI_MSR_VP_ASSIST_PAGE, ASSIST | HVABI_MSR_PAGE_ENABLE), MSR_DONE);
	return 0;
}

static void request(uint8_t vector)
{
	apic_accept(&vp->apic, APIC_MODE_FIXED, vector, false);
}

static int offered;

static void enter(void)
{
	offered = vp_offer(vp);
	vp_assist_enter(vp, offered);
}

static void leave(bool taken)
{
	if (offered != APIC_NO_VECTOR)
		vp_offer_end(vp, (uint8_t)offered, taken);
	assert_true(vp_assist_leave(vp, &gpa));
	assert_int_equal(*word() & 1, 0);
}

static bool promised(void)
{
	return *word() & 1;
}

static bool in_service(unsigned int vector)
{
	return vp->apic.isr[vector / 32] >> vector % 32 & 1;
}

static void the_register(void **state)
{
	(void)state;
	/* Only the word is the hypervisor's, and it promises nothing at first. */
	assert_int_equal(word()[0], 0);
	assert_int_equal(word()[1], 0xeeeeeeee);
	assert_true(mock_entry(id, ASSIST >> 12, NULL) & NPTE_DIRTY);
	assert_int_equal(wr(HVABI_MSR_VP_ASSIST_PAGE, ELSEWHERE | HVABI_MSR_PAGE_ENABLE), MSR_FAULT);
	assert_int_equal(gpa, ELSEWHERE);
	assert_int_equal(wr(HVABI_MSR_VP_ASSIST_PAGE, ELSEWHERE), MSR_DONE);
	request(0x41);
	enter();
	assert_false(promised());
	leave(true);
	/* Without an APIC it is a number. */
	vp = mock_vp(mock_apic_child(20, 0, synthetic_features()), 0);
	assert_int_equal(wr(HVABI_MSR_VP_ASSIST_PAGE, ELSEWHERE | HVABI_MSR_PAGE_ENABLE), MSR_DONE);
	vp_assist_enter(vp, APIC_NO_VECTOR);
}

static void an_eoi_is_spared(void **state)
{
	(void)state;
	enter();
	assert_false(promised());	/* nothing is there to be ended */
	leave(false);
	request(0x41);
	enter();
	assert_true(promised());
	assert_int_equal(word()[1], 0xeeeeeeee);
	*word() &= ~1u;
	leave(true);
	assert_false(in_service(0x41));
	assert_int_equal(apic_requested(&vp->apic), APIC_NO_VECTOR);
	/* Over several stays. */
	request(0x41);
	enter();
	leave(true);
	assert_true(in_service(0x41));
	for (unsigned int i = 0; i < 3; i++) {
		enter();
		assert_true(promised());
		leave(false);
		assert_true(in_service(0x41));
	}
	enter();
	*word() &= ~1u;
	leave(false);
	assert_false(in_service(0x41));
	/* Offered but not taken: there is none that could have been ended. */
	request(0x41);
	enter();
	*word() &= ~1u;
	leave(false);
	assert_int_equal(vp_offer(vp), 0x41);
}

static void not_promised(void **state)
{
	(void)state;
	/* Another one waits. */
	request(0x41);
	request(0x52);
	enter();
	assert_false(promised());
	leave(true);
	assert_true(in_service(0x52));
	enter();
	assert_false(promised());
	leave(false);
	/* Masked by the priority. */
	apic_eoi(&vp->apic, &(uint8_t){ 0 });
	vp->apic.tpr = 0x50;
	enter();
	assert_false(promised());
	leave(false);
	vp->apic.tpr = 0;
	/* The one that is in service might be the one that is ended. */
	enter();
	assert_true(promised());
	leave(true);
	request(0x52);
	enter();
	assert_int_equal(offered, 0x52);
	assert_false(promised());
	leave(true);
	/* Both in service: it stands for the upper one. */
	enter();
	assert_true(promised());
	*word() &= ~1u;
	leave(false);
	assert_true(in_service(0x41) && !in_service(0x52));
	enter();
	assert_true(promised());
	leave(false);
	/* An ExtINT has no EOI. */
	apic_accept(&vp->apic, APIC_MODE_EXTINT, 0x30, false);
	enter();
	assert_false(promised());
	leave(true);
}

static void ends_that_somebody_waits_for(void **state)
{
	(void)state;
	apic_accept(&vp->apic, APIC_MODE_FIXED, 0x41, true);
	enter();
	assert_false(promised());
	leave(true);
	enter();
	assert_false(promised());
	leave(false);
	apic_eoi(&vp->apic, &(uint8_t){ 0 });
	/* One that ends by itself. */
	assert_int_equal(wr(HVABI_MSR_SINT0 + 2, 0x41 | HVABI_SINT_AUTO_EOI), MSR_DONE);
	request(0x41);
	enter();
	assert_false(promised());
	leave(true);
	assert_false(in_service(0x41));
	/* The end may open the window that the parent has asked for (DELIVERABILITY_NOTIFICATIONS). */
	memset(vp->apic.irr, 0, sizeof(vp->apic.irr));
	memset(vp->apic.isr, 0, sizeof(vp->apic.isr));
	request(0x43);
	vp->notify_interrupt = true;
	enter();
	assert_false(promised());
	leave(false);
	vp->notify_interrupt = false;
	enter();
	assert_true(promised());
}

static void a_page_that_is_not_there(void **state)
{
	(void)state;
	/* Before the stay it is not used. */
	assert_status(mock_unmap(id, ASSIST >> 12, 1, 0), SUCCESS);
	request(0x41);
	enter();
	assert_false(vp->assist_promised);
	leave(true);
	/* Gone meanwhile, the answer is in it. */
	assert_status(mock_map(id, ASSIST >> 12, BASE + (ASSIST >> 12), 1, RWX), SUCCESS);
	enter();
	assert_true(promised());
	*word() &= ~1u;
	assert_status(mock_unmap(id, ASSIST >> 12, 1, 0), SUCCESS);
	assert_false(vp_assist_leave(vp, &gpa));
	assert_int_equal(gpa, ASSIST);
	assert_false(vp_assist_leave(vp, &gpa));
	assert_true(in_service(0x41));
	/* Linux has moved it. */
	memcpy(platform_phys((BASE + PAGES) << 12), word(), 4096);
	*word() = 1;
	assert_status(mock_map(id, ASSIST >> 12, BASE + PAGES, 1, RWX), SUCCESS);
	assert_true(vp_assist_leave(vp, &gpa));
	assert_false(in_service(0x41));
	/* INIT ends all of it. */
	request(0x41);
	enter();
	assert_true(vp->assist_promised);
	vp_init(vp);
	assert_false(vp->assist_promised);
}

#define CHILD_TEST(function) cmocka_unit_test_setup(function, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CHILD_TEST(the_register),
		CHILD_TEST(an_eoi_is_spared),
		CHILD_TEST(not_promised),
		CHILD_TEST(ends_that_somebody_waits_for),
		CHILD_TEST(a_page_that_is_not_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
