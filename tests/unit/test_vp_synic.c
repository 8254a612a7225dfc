// SPDX-License-Identifier: GPL-2.0-only
/*
 * SynIC of children: registers, messages of timers, pages that are not there, and who is woken.
 */
#include <hvabi/message.h>
#include <hypervisor/core/deadline.h>
#include <hypervisor/core/interrupt.h>
#include <hypervisor/core/npte.h>
#include <hypervisor/core/synthetic.h>
#include <hypervisor/core/time.h>
#include "unit.h"

#define BASE		2048ull		/* of the parent's pages behind GFN 0 and on */
#define PAGES		8
#define MESSAGES	0x3000ull	/* GPA of the message page */
#define EVENTS		0x4000ull
#define ELSEWHERE	0x100000ull	/* GPA of a page that is not mapped */
#define SINT		2u
#define VECTOR		0x72u
#define ON		(HVABI_STIMER_ENABLE | (uint64_t)SINT << HVABI_STIMER_SINT_SHIFT)

static struct cpu *const cpu = &mock_cpus[0];
static uint64_t id, detail;
static struct partition *p;
static struct vp *vp;

static int setup(void **state)
{
	(void)state;
	mock_reset();
	mock_run = mock_ready_or_blocked;
	synic_write(cpu, HVABI_MSR_SCONTROL, HVABI_SCONTROL_ENABLE);
	synic_write(cpu, HVABI_MSR_SIMP, cpu->synic.simp | HVABI_MSR_PAGE_ENABLE);
	synic_write(cpu, HVABI_MSR_SINT0, 0xf3);
	id = mock_apic_child(60, HVABI_PARTITION_FLAG_LAPIC_ENABLED, synthetic_features());
	p = partition_find(id);
	assert_status(mock_map(id, 0, BASE, PAGES, RWX), SUCCESS);
	memset(platform_phys(BASE << 12), 0xee, PAGES << 12);
	vp = mock_vp(id, 0);
	vp->apic.svr = 0x1ff;
	vp->state.rflags = 0x202;
	return 0;
}

static enum msr_result wr(uint32_t msr, uint64_t value)
{
	detail = 0x5a5a;
	return synthetic_write(cpu, vp, msr, value, &detail);
}

static void put(uint32_t msr, uint64_t value)
{
	assert_int_equal(wr(msr, value), MSR_DONE);
}

static uint64_t rd(uint32_t msr)
{
	uint64_t value = 0x5a5a;

	assert_int_equal(synthetic_read(vp, msr, &value), MSR_DONE);
	return value;
}

static void enable(void)
{
	put(HVABI_MSR_SIMP, MESSAGES | HVABI_MSR_PAGE_ENABLE);
	put(HVABI_MSR_SCONTROL, HVABI_SCONTROL_ENABLE);
	put(HVABI_MSR_SINT0 + SINT, VECTOR);
}

static struct hvabi_message *slot(uint32_t sint)
{
	return (struct hvabi_message *)platform_phys((BASE << 12) + MESSAGES) + sint;
}

static const struct hvabi_timer_expired_message *payload(void)
{
	return (const void *)slot(SINT)->payload;
}

static void deliver(void)
{
	uint64_t gpa;

	assert_true(vp_synic_deliver(vp, &gpa));
}

/* Timer @i of the processor expires at reference time @when, and that is now. */
static void expire(unsigned int i, uint64_t when)
{
	put(HVABI_MSR_STIMER0_COUNT + 2 * i, when);
	put(HVABI_MSR_STIMER0_CONFIG + 2 * i, ON);
	mock_tsc = clock_of_reference(p, when);
	deadline_expire(cpu, mock_tsc);
}

/* Stands in no intercept any more. */
static uint32_t dispatch_again(void)
{
	vp->intercept_suspend = false;
	return mock_dispatch(vp);
}

static bool requested(void)
{
	return vp->apic.irr[VECTOR / 32] >> VECTOR % 32 & 1;
}

static void at_reset(void **state)
{
	(void)state;
	assert_int_equal(rd(HVABI_MSR_SCONTROL), 0);
	assert_int_equal(rd(HVABI_MSR_SVERSION), 1);
	assert_int_equal(rd(HVABI_MSR_SIEFP), 0);
	assert_int_equal(rd(HVABI_MSR_SIMP), 0);
	assert_int_equal(rd(HVABI_MSR_EOM), 0);
	for (uint32_t i = 0; i < HVABI_SINTS; i++)
		assert_int_equal(rd(HVABI_MSR_SINT0 + i), HVABI_SINT_MASKED);
	assert_int_equal(wr(HVABI_MSR_SVERSION, 1), MSR_REFUSED);
	assert_int_equal(wr(HVABI_MSR_SIRBP, 0), MSR_UNKNOWN);
}

static void sints(void **state)
{
	const uint64_t all = 0xffull | HVABI_SINT_MASKED | HVABI_SINT_AUTO_EOI | HVABI_SINT_POLLING;

	(void)state;
	for (uint32_t i = 0; i < HVABI_SINTS; i++)
		put(HVABI_MSR_SINT0 + i, 0x40 + i);
	for (uint32_t i = 0; i < HVABI_SINTS; i++)
		assert_int_equal(rd(HVABI_MSR_SINT0 + i), 0x40 + i);
	put(HVABI_MSR_SINT0 + 15, all);
	assert_int_equal(rd(HVABI_MSR_SINT0 + 15), all);
	assert_int_equal(wr(HVABI_MSR_SINT0 + 3, 15), MSR_REFUSED);
	assert_int_equal(rd(HVABI_MSR_SINT0 + 3), 0x43);
	put(HVABI_MSR_SINT0 + 3, HVABI_SINT_MASKED | 15);
}

static void pages_come_into_use_empty(void **state)
{
	static const struct {
		uint32_t msr;
		uint64_t gpa;
	} rows[] = { { HVABI_MSR_SIMP, MESSAGES }, { HVABI_MSR_SIEFP, EVENTS } };

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		uint8_t *page = (uint8_t *)platform_phys(BASE << 12) + rows[i].gpa;

		put(rows[i].msr, rows[i].gpa);
		assert_int_equal(page[0], 0xee);
		put(rows[i].msr, rows[i].gpa | HVABI_MSR_PAGE_ENABLE);
		for (unsigned int j = 0; j < 4096; j++)
			assert_int_equal(page[j], 0);
		assert_int_equal(page[4096], 0xee);
		assert_int_equal(page[-1], i ? 0 : 0xee);
		assert_true(mock_entry(id, rows[i].gpa >> 12, NULL) & NPTE_DIRTY);
		/* The same page once more is in use. */
		page[100] = 1;
		put(rows[i].msr, rows[i].gpa | HVABI_MSR_PAGE_ENABLE);
		assert_int_equal(page[100], 1);
		put(rows[i].msr, rows[i].gpa);
		assert_int_equal(page[100], 1);
		put(rows[i].msr, rows[i].gpa | HVABI_MSR_PAGE_ENABLE);
		assert_int_equal(page[100], 0);
		/* One that is not there is faulted in first. */
		assert_int_equal(wr(rows[i].msr, ELSEWHERE | HVABI_MSR_PAGE_ENABLE), MSR_FAULT);
		assert_int_equal(detail, ELSEWHERE);
		assert_int_equal(rd(rows[i].msr), rows[i].gpa | HVABI_MSR_PAGE_ENABLE);
		put(rows[i].msr, ELSEWHERE);
	}
}

static void a_message(void **state)
{
	(void)state;
	enable();
	expire(1, 5000);
	assert_int_equal(slot(SINT)->header.message_type, HVABI_MSG_NONE);
	mock_tsc = clock_of_reference(p, 5123);
	deliver();
	assert_int_equal(slot(SINT)->header.message_type, HVABI_MSG_TIMER_EXPIRED);
	assert_int_equal(slot(SINT)->header.payload_size, 24);
	assert_int_equal(slot(SINT)->header.message_flags, 0);
	assert_int_equal(slot(SINT)->header.sender, 0);
	assert_int_equal(payload()->timer_index, 1);
	assert_int_equal(payload()->expiration_time, 5000);
	assert_int_equal(payload()->delivery_time, 5123);
	assert_true(requested());
	assert_int_equal(rd(HVABI_MSR_STIMER0_CONFIG + 2), ON & ~HVABI_STIMER_ENABLE);
	for (uint32_t i = 0; i < HVABI_SINTS; i++)
		assert_true(i == SINT || !slot(i)->header.message_type);
	/* Once. */
	slot(SINT)->header.message_type = HVABI_MSG_NONE;
	deliver();
	assert_int_equal(slot(SINT)->header.message_type, HVABI_MSG_NONE);
}

static void a_full_slot_is_tried_at_eom(void **state)
{
	(void)state;
	enable();
	expire(0, 5000);
	deliver();
	expire(3, 6000);
	deliver();
	assert_int_equal(payload()->timer_index, 0);
	assert_int_equal(slot(SINT)->header.message_flags, HVABI_MESSAGE_FLAG_PENDING);
	/* Without an EOM nobody looks. */
	slot(SINT)->header.message_type = HVABI_MSG_NONE;
	assert_false(vp_synic_pending(vp));
	deliver();
	assert_int_equal(slot(SINT)->header.message_type, HVABI_MSG_NONE);
	vp->apic.irr[VECTOR / 32] = 0;
	put(HVABI_MSR_EOM, 0);
	assert_true(vp_synic_pending(vp));
	deliver();
	assert_int_equal(slot(SINT)->header.message_type, HVABI_MSG_TIMER_EXPIRED);
	assert_int_equal(slot(SINT)->header.message_flags, 0);
	assert_int_equal(payload()->timer_index, 3);
	assert_int_equal(payload()->expiration_time, 6000);
	assert_true(requested());
}

/* What has nowhere to go stays with its timer. */
static void messages_wait_for_what_is_off(void **state)
{
	(void)state;
	enable();
	put(HVABI_MSR_SINT0 + SINT, HVABI_SINT_MASKED | VECTOR);
	expire(0, 5000);
	deliver();
	assert_int_equal(slot(SINT)->header.message_type, HVABI_MSG_NONE);
	put(HVABI_MSR_SINT0 + SINT, VECTOR);
	put(HVABI_MSR_SCONTROL, 0);
	deliver();
	assert_int_equal(slot(SINT)->header.message_type, HVABI_MSG_NONE);
	put(HVABI_MSR_SCONTROL, HVABI_SCONTROL_ENABLE);
	put(HVABI_MSR_SIMP, MESSAGES);
	deliver();
	assert_int_equal(slot(SINT)->header.message_type, HVABI_MSG_NONE);
	put(HVABI_MSR_SIMP, MESSAGES | HVABI_MSR_PAGE_ENABLE);
	deliver();
	assert_int_equal(slot(SINT)->header.message_type, HVABI_MSG_TIMER_EXPIRED);
	assert_int_equal(payload()->expiration_time, 5000);
}

static void polling_raises_nothing(void **state)
{
	(void)state;
	enable();
	put(HVABI_MSR_SINT0 + SINT, VECTOR | HVABI_SINT_POLLING);
	expire(0, 5000);
	deliver();
	assert_int_equal(slot(SINT)->header.message_type, HVABI_MSG_TIMER_EXPIRED);
	assert_false(requested());
}

static void auto_eoi(void **state)
{
	(void)state;
	enable();
	put(HVABI_MSR_SINT0 + SINT, VECTOR | HVABI_SINT_AUTO_EOI);
	expire(0, 5000);
	deliver();
	assert_true(requested());
	assert_int_equal(vp_offer(vp), VECTOR);
	vp_offer_end(vp, VECTOR, true);
	assert_false(requested());
	assert_int_equal(vp->apic.isr[VECTOR / 32], 0);
	/* Masked, it says nothing of the vector. */
	put(HVABI_MSR_SINT0 + SINT, VECTOR | HVABI_SINT_AUTO_EOI | HVABI_SINT_MASKED);
	apic_accept(&vp->apic, APIC_MODE_FIXED, VECTOR, false);
	assert_int_equal(vp_offer(vp), VECTOR);
	vp_offer_end(vp, VECTOR, true);
	assert_int_equal(vp->apic.isr[VECTOR / 32], 1u << VECTOR % 32);
}

static void periods_that_were_missed_are_one_message(void **state)
{
	(void)state;
	enable();
	put(HVABI_MSR_STIMER0_COUNT, 10000);
	put(HVABI_MSR_STIMER0_CONFIG, ON | HVABI_STIMER_PERIODIC | HVABI_STIMER_LAZY);
	deadline_expire(cpu, mock_tsc = clock_of_reference(p, 10000));
	deadline_expire(cpu, mock_tsc = clock_of_reference(p, 20001));
	deliver();
	assert_int_equal(payload()->expiration_time, 20000);
	assert_int_equal(payload()->delivery_time, 20001);
	deliver();
	assert_int_equal(slot(SINT)->header.message_flags, 0);
	assert_true(rd(HVABI_MSR_STIMER0_CONFIG) & HVABI_STIMER_ENABLE);
	assert_int_equal(vp->stimer[0].expiry, 30000);
}

static void a_timer_that_is_set_anew_forgets(void **state)
{
	(void)state;
	enable();
	expire(0, 5000);
	put(HVABI_MSR_STIMER0_COUNT, 0);
	assert_false(vp_synic_pending(vp));
	expire(0, 6000);
	put(HVABI_MSR_STIMER0_CONFIG, 0);
	deliver();
	assert_int_equal(slot(SINT)->header.message_type, HVABI_MSG_NONE);
}

static void configurations(void **state)
{
	(void)state;
	/* SINT 0 is for no timer: off at once, and not enabled by a count. */
	put(HVABI_MSR_STIMER0_COUNT, 5000);
	put(HVABI_MSR_STIMER0_CONFIG, HVABI_STIMER_ENABLE);
	assert_int_equal(rd(HVABI_MSR_STIMER0_CONFIG), 0);
	put(HVABI_MSR_STIMER0_CONFIG, HVABI_STIMER_AUTO_ENABLE);
	put(HVABI_MSR_STIMER0_COUNT, 5000);
	assert_int_equal(rd(HVABI_MSR_STIMER0_CONFIG), HVABI_STIMER_AUTO_ENABLE);
	put(HVABI_MSR_STIMER0_CONFIG, HVABI_STIMER_AUTO_ENABLE | (ON & ~HVABI_STIMER_ENABLE));
	put(HVABI_MSR_STIMER0_COUNT, 5000);
	assert_int_equal(rd(HVABI_MSR_STIMER0_CONFIG), HVABI_STIMER_AUTO_ENABLE | ON);
	/* Without the feature there is nobody to send messages to, and no registers. */
	p->property[PROPERTY_SYNTHETIC_FEATURES] &= ~HVABI_SYNTHETIC_SYNIC;
	assert_int_equal(wr(HVABI_MSR_STIMER0_CONFIG, ON), MSR_REFUSED);
	assert_int_equal(wr(HVABI_MSR_SIMP, 0), MSR_UNKNOWN);
}

static uint64_t get(uint32_t name)
{
	assert_status(mock_get(vp, name), SUCCESS);
	return *(uint64_t *)mock_out();
}

/* The parent reads and sets the same registers by name. */
static void by_name(void **state)
{
	(void)state;
	enable();
	assert_int_equal(get(HVABI_REG_SINT0 + SINT), VECTOR);
	assert_int_equal(get(HVABI_REG_SINT0 + 15), HVABI_SINT_MASKED);
	assert_int_equal(get(HVABI_REG_SCONTROL), 1);
	assert_int_equal(get(HVABI_REG_SCONTROL + 1), 1);
	assert_int_equal(get(HVABI_REG_SIMP), MESSAGES | HVABI_MSR_PAGE_ENABLE);
	put(HVABI_MSR_STIMER0_COUNT + 6, 77);
	assert_int_equal(get(HVABI_REG_STIMER0_COUNT + 6), 77);
	assert_int_equal(get(HVABI_REG_STIMER0_CONFIG + 6), 0);
	assert_status(mock_set(vp, HVABI_REG_SINT0 + 3, 0x99), SUCCESS);
	assert_int_equal(rd(HVABI_MSR_SINT0 + 3), 0x99);
	assert_status(mock_set(vp, HVABI_REG_SINT0 + 3, 5), INVALID_REGISTER_VALUE);
	assert_status(mock_set(vp, HVABI_REG_SCONTROL + 1, 1), INVALID_PARAMETER);
	assert_status(mock_set(vp, HVABI_REG_TIME_REF_COUNT, 1), INVALID_PARAMETER);
	assert_status(mock_set(vp, HVABI_REG_STIMER0_COUNT, 5000), SUCCESS);
	assert_status(mock_set(vp, HVABI_REG_STIMER0_CONFIG, ON), SUCCESS);
	assert_int_equal(vp->stimer[0].expiry, 5000);
	/* A page is taken as it is, or will be when it is needed. */
	slot(5)->header.message_type = 7;
	assert_status(mock_set(vp, HVABI_REG_SIMP, MESSAGES | HVABI_MSR_PAGE_ENABLE), SUCCESS);
	assert_int_equal(slot(5)->header.message_type, 7);
	assert_status(mock_set(vp, HVABI_REG_SIMP, ELSEWHERE | HVABI_MSR_PAGE_ENABLE), SUCCESS);
	assert_int_equal(rd(HVABI_MSR_SIMP), ELSEWHERE | HVABI_MSR_PAGE_ENABLE);
	assert_status(mock_set(vp, HVABI_REG_VP_ASSIST_PAGE, ELSEWHERE), SUCCESS);
	assert_int_equal(get(HVABI_REG_VP_ASSIST_PAGE), ELSEWHERE);
	p->property[PROPERTY_SYNTHETIC_FEATURES] = 0;
	assert_status(mock_get(vp, HVABI_REG_SIMP), INVALID_PARAMETER);
	assert_status(mock_set(vp, HVABI_REG_SIMP, 0), INVALID_PARAMETER);
}

static void a_blocked_processor_is_woken(void **state)
{
	(void)state;
	enable();
	vp->halted = true;
	assert_int_equal(mock_dispatch(vp), HVABI_DISPATCH_STATE_BLOCKED);
	expire(0, 5000);
	assert_int_equal(vp->root_signals, 1);
	assert_int_equal(mock_dispatch(vp), HVABI_DISPATCH_STATE_READY);
	assert_int_equal(slot(SINT)->header.message_type, HVABI_MSG_TIMER_EXPIRED);
	assert_true(requested());
	/* With the slot occupied it is told once, and then only by an EOM, which it cannot write asleep. */
	vp->apic.irr[VECTOR / 32] = 0;
	vp->halted = true;
	expire(0, 6000);
	assert_int_equal(mock_dispatch(vp), HVABI_DISPATCH_STATE_BLOCKED);
	expire(1, 7000);
	assert_int_equal(vp->root_signals, 1);
}

/* The page goes away, as the parent's memory does: the child stops as if it had written there. */
static void a_page_that_has_gone_is_faulted_in(void **state)
{
	const struct hvabi_x64_memory_intercept_message *m = (const void *)vp->message.payload;

	(void)state;
	enable();
	vp->halted = true;
	assert_int_equal(mock_dispatch(vp), HVABI_DISPATCH_STATE_BLOCKED);
	assert_status(mock_unmap(id, MESSAGES >> 12, 1, 0), SUCCESS);
	expire(0, 5000);
	/* The wait does not end by it, but it is woken so that somebody maps the page. */
	assert_int_equal(vp->root_signals, 1);
	assert_int_equal(mock_dispatch(vp), HVABI_DISPATCH_STATE_READY | HVABI_DISPATCH_EVENT_INTERCEPT << 8);
	assert_int_equal(vp->message.header.message_type, HVABI_MSG_UNMAPPED_GPA);
	assert_int_equal(m->guest_physical_address, MESSAGES + SINT * sizeof(struct hvabi_message));
	assert_int_equal(m->header.intercept_access_type, HVABI_INTERCEPT_ACCESS_WRITE);
	assert_true(vp->halted);
	assert_false(requested());
	/* Another page stands there now. */
	memset(platform_phys((BASE + PAGES) << 12), 0, 4096);
	assert_status(mock_map(id, MESSAGES >> 12, BASE + PAGES, 1, RX), SUCCESS);
	assert_int_equal(dispatch_again(), HVABI_DISPATCH_STATE_READY | HVABI_DISPATCH_EVENT_INTERCEPT << 8);
	assert_int_equal(vp->message.header.message_type, HVABI_MSG_GPA_INTERCEPT);
	assert_status(mock_map(id, MESSAGES >> 12, BASE + PAGES, 1, RWX), SUCCESS);
	assert_int_equal(dispatch_again(), HVABI_DISPATCH_STATE_READY);
	assert_false(vp->halted);
	assert_true(requested());
	assert_int_equal(slot(SINT)->header.message_type, HVABI_MSG_NONE);
	assert_int_equal(((struct hvabi_message *)platform_phys((BASE + PAGES) << 12))[SINT].header.message_type,
			 HVABI_MSG_TIMER_EXPIRED);
}

#define CHILD_TEST(function) cmocka_unit_test_setup(function, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CHILD_TEST(at_reset),
		CHILD_TEST(sints),
		CHILD_TEST(pages_come_into_use_empty),
		CHILD_TEST(a_message),
		CHILD_TEST(a_full_slot_is_tried_at_eom),
		CHILD_TEST(messages_wait_for_what_is_off),
		CHILD_TEST(polling_raises_nothing),
		CHILD_TEST(auto_eoi),
		CHILD_TEST(periods_that_were_missed_are_one_message),
		CHILD_TEST(a_timer_that_is_set_anew_forgets),
		CHILD_TEST(configurations),
		CHILD_TEST(by_name),
		CHILD_TEST(a_blocked_processor_is_woken),
		CHILD_TEST(a_page_that_has_gone_is_faulted_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
