// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a parent gives a child's SynIC without a port: messages and event flags, pages that are not there, and who
 * is woken.
 */
#include <hvabi/message.h>
#include <hypervisor/core/interrupt.h>
#include <hypervisor/core/synthetic.h>
#include <hypervisor/core/vp_direct.h>
#include "unit.h"

#define BASE		2048ull		/* of the parent's pages behind GFN 0 and on */
#define PAGES		8
#define MESSAGES	0x3000ull	/* GPA of the message page */
#define EVENTS		0x4000ull
#define SINT		4u
#define VECTOR		0x74u

static struct cpu *const cpu = &mock_cpus[0];
static uint64_t id, detail;
static struct vp *vp;

static int setup(void **state)
{
	(void)state;
	mock_reset();
	mock_run = mock_ready_or_blocked;
	id = mock_apic_child(60, HVABI_PARTITION_FLAG_LAPIC_ENABLED, synthetic_features());
	assert_status(mock_map(id, 0, BASE, PAGES, RWX), SUCCESS);
	vp = mock_vp(id, 0);
	vp->apic.svr = 0x1ff;
	vp->state.rflags = 0x202;
	return 0;
}

static void put(uint32_t msr, uint64_t value)
{
	assert_int_equal(synthetic_write(cpu, vp, msr, value, &detail), MSR_DONE);
}

static void enable(void)
{
	put(HVABI_MSR_SIMP, MESSAGES | HVABI_MSR_PAGE_ENABLE);
	put(HVABI_MSR_SIEFP, EVENTS | HVABI_MSR_PAGE_ENABLE);
	put(HVABI_MSR_SCONTROL, HVABI_SCONTROL_ENABLE);
	put(HVABI_MSR_SINT0 + SINT, VECTOR);
}

static struct hvabi_message *slot(void)
{
	return (struct hvabi_message *)platform_phys((BASE << 12) + MESSAGES) + SINT;
}

static uint8_t *events(void)
{
	return (uint8_t *)platform_phys((BASE << 12) + EVENTS) + SINT * 256;
}

static struct hvabi_input_post_message_direct message(uint32_t type, uint8_t size)
{
	struct hvabi_input_post_message_direct in = { .partition_id = id, .sint_index = SINT };
	struct hvabi_message m = {
		.header = { .message_type = type, .payload_size = size, .message_flags = 0xff,
			    .sender = 0x1234 },
	};

	memset(m.payload, 0xa5, sizeof(m.payload));
	memset(in.padding, 0xee, sizeof(in.padding));
	memcpy(in.message, &m, sizeof(m));
	return in;
}

static uint64_t post(const struct hvabi_input_post_message_direct *in)
{
	return mock_call(HVABI_CALL_POST_MESSAGE_DIRECT, in, sizeof(*in), 0, 0);
}

static uint64_t signal_event(uint16_t flag, bool *newly)
{
	struct hvabi_input_signal_event_direct in = {
		.target_partition = id, .target_sint = SINT, .flag_number = flag,
	};
	uint64_t result = mock_call(HVABI_CALL_SIGNAL_EVENT_DIRECT, &in, sizeof(in), 0, 0);

	if (newly && mock_status(result) == HVABI_STATUS_SUCCESS)
		*newly = *(uint8_t *)mock_out();
	return result;
}

static bool requested(void)
{
	return vp->apic.irr[VECTOR / 32] >> VECTOR % 32 & 1;
}

static void acknowledge(void)
{
	vp->apic.irr[VECTOR / 32] = 0;
}

/* To be tried again at the next entry: true, or the page that is wanted. */
static bool enter(uint64_t *gpa)
{
	return vp_synic_deliver(vp, gpa);
}

static void what_is_refused(void **state)
{
	struct hvabi_input_signal_event_direct event = {
		.target_partition = id, .target_sint = SINT,
	};
	struct hvabi_input_post_message_direct in = message(7, 16);
	const struct hvabi_input_signal_event_direct good = event;
	uint64_t free = vp->partition->pool.free, bare = mock_child(40);

	(void)state;
	enable();
	mock_vp(bare, 0);
	in.vp_index = 1;
	assert_status(post(&in), INVALID_VP_INDEX);
	in = message(7, 16);
	in.vtl = 1;
	assert_status(post(&in), INVALID_PARAMETER);
	in = message(7, 16);
	in.sint_index = 16;
	assert_status(post(&in), INVALID_PARAMETER);
	in = message(HVABI_MSG_NONE, 16);
	assert_status(post(&in), INVALID_PARAMETER);
	in = message(7, 241);
	assert_status(post(&in), INVALID_PARAMETER);
	in = message(7, 16);
	in.partition_id = bare;
	assert_status(post(&in), INVALID_PARAMETER);
	in.partition_id = 3;
	assert_status(post(&in), INVALID_PARTITION_ID);

#define REFUSED(field, value, status) do { \
	event = good; \
	event.field = value; \
	assert_status(mock_call(HVABI_CALL_SIGNAL_EVENT_DIRECT, &event, sizeof(event), 0, 0), status); \
} while (0)
	REFUSED(target_vp, 1, INVALID_VP_INDEX);
	REFUSED(target_vtl, 1, INVALID_PARAMETER);
	REFUSED(target_sint, 16, INVALID_PARAMETER);
	REFUSED(flag_number, HVABI_EVENT_FLAGS, INVALID_PARAMETER);
	REFUSED(target_partition, bare, INVALID_PARAMETER);
	/* Nothing of it is left. */
	assert_int_equal(vp->partition->pool.free, free);
	assert_false(direct_pending(vp));
	assert_int_equal(slot()->header.message_type, HVABI_MSG_NONE);
	assert_false(requested());
}

static void a_message(void **state)
{
	struct hvabi_input_post_message_direct in = message(7, 16);
	uint64_t gpa;

	(void)state;
	enable();
	assert_status(post(&in), SUCCESS);
	assert_true(vp_synic_pending(vp));
	assert_true(enter(&gpa));
	assert_int_equal(slot()->header.message_type, 7);
	assert_int_equal(slot()->header.payload_size, 16);
	assert_int_equal(slot()->header.message_flags, 0);
	assert_true(slot()->header.sender == 0x1234);
	assert_int_equal(((uint8_t *)slot()->payload)[239], 0xa5);
	assert_true(requested());
	assert_false(vp_synic_pending(vp));
	acknowledge();
	assert_true(enter(&gpa));
	assert_false(requested());
}

static void a_full_slot(void **state)
{
	struct hvabi_input_post_message_direct in = message(7, 16);
	uint64_t gpa;

	(void)state;
	enable();
	assert_status(post(&in), SUCCESS);
	/* One waits for each SINT. */
	assert_status(post(&in), INSUFFICIENT_BUFFERS);
	assert_true(enter(&gpa));
	in = message(8, 8);
	assert_status(post(&in), SUCCESS);
	assert_true(enter(&gpa));
	assert_int_equal(slot()->header.message_type, 7);
	assert_true(slot()->header.message_flags & HVABI_MESSAGE_FLAG_PENDING);
	assert_false(vp_synic_pending(vp));
	slot()->header.message_type = HVABI_MSG_NONE;
	put(HVABI_MSR_EOM, 0);
	assert_true(vp_synic_pending(vp));
	assert_true(enter(&gpa));
	assert_int_equal(slot()->header.message_type, 8);
}

static void a_controller_that_is_off(void **state)
{
	struct hvabi_input_post_message_direct in = message(7, 16);
	uint64_t gpa;

	(void)state;
	assert_status(post(&in), SUCCESS);
	assert_status(signal_event(1, NULL), INVALID_SYNIC_STATE);
	assert_true(enter(&gpa));
	assert_false(vp_synic_pending(vp));
	/* The message was accepted, so it comes when there is a place for it. */
	enable();
	assert_true(vp_synic_pending(vp));
	assert_true(enter(&gpa));
	assert_int_equal(slot()->header.message_type, 7);
}

static void event_flags(void **state)
{
	bool newly = false;

	(void)state;
	enable();
	assert_status(signal_event(0, &newly), SUCCESS);
	assert_true(newly);
	assert_true(requested());
	assert_int_equal(events()[0], 1);
	acknowledge();
	/* Set already: nothing new, and no interrupt. */
	assert_status(signal_event(0, &newly), SUCCESS);
	assert_false(newly);
	assert_false(requested());
	assert_status(signal_event(2047, &newly), SUCCESS);
	assert_true(newly);
	assert_int_equal(events()[255], 0x80);
	assert_int_equal(events()[256], 0);
	/* Masked, the flag is set and nobody is interrupted. */
	acknowledge();
	put(HVABI_MSR_SINT0 + SINT, VECTOR | HVABI_SINT_MASKED);
	assert_status(signal_event(9, &newly), SUCCESS);
	assert_true(newly);
	assert_int_equal(events()[1], 2);
	assert_false(requested());
}

/* Pages of a child may have been swapped out: what is given then comes when they are back. */
static void pages_that_have_gone(void **state)
{
	struct hvabi_input_post_message_direct in = message(7, 16);
	uint64_t gpa = 0, free;
	bool newly = false;

	(void)state;
	enable();
	free = vp->partition->pool.free;
	assert_status(mock_map(id, 0, 0, PAGES, HVABI_MAP_GPA_NO_ACCESS), SUCCESS);
	assert_status(post(&in), SUCCESS);
	assert_status(signal_event(3, &newly), SUCCESS);
	assert_true(newly);
	assert_status(signal_event(3, &newly), SUCCESS);
	assert_false(newly);
	assert_false(enter(&gpa));
	assert_true(gpa >> 12 == MESSAGES >> 12 || gpa >> 12 == EVENTS >> 12);
	assert_false(requested());
	assert_status(mock_map(id, 0, BASE, PAGES, RWX), SUCCESS);
	assert_true(enter(&gpa));
	assert_int_equal(slot()->header.message_type, 7);
	assert_int_equal(events()[0], 8);
	assert_true(requested());
	assert_false(vp_synic_pending(vp));
	assert_int_equal(vp->partition->pool.free, free);
}

static void there_is_an_end_of_room(void **state)
{
	uint16_t status = HVABI_STATUS_SUCCESS, flag;

	(void)state;
	enable();
	assert_status(mock_map(id, 0, 0, PAGES, HVABI_MAP_GPA_NO_ACCESS), SUCCESS);
	for (flag = 0; flag < HVABI_EVENT_FLAGS && status == HVABI_STATUS_SUCCESS; flag++)
		status = mock_status(signal_event(flag, NULL));
	assert_int_equal(status, HVABI_STATUS_INSUFFICIENT_BUFFERS);
	assert_int_equal(flag, DIRECT_EVENTS + 1);
	/* All of it goes with the processor: mock_reset() finds every page in its pool. */
	assert_status(mock_call(HVABI_CALL_FINALIZE_PARTITION, &id, 8, 0, 0), SUCCESS);
	assert_int_equal(partition_find(id)->pool.free, partition_find(id)->pool.deposited);
}

static void who_waits_is_woken(void **state)
{
	struct hvabi_input_post_message_direct in = message(7, 16);

	(void)state;
	enable();
	vp->halted = true;
	assert_int_equal(mock_dispatch(vp) & 0xff, HVABI_DISPATCH_STATE_BLOCKED);
	assert_true(vp->blocked);
	assert_status(post(&in), SUCCESS);
	assert_false(vp->blocked);
	acknowledge();
	assert_int_equal(mock_dispatch(vp) & 0xff, HVABI_DISPATCH_STATE_READY);
	assert_int_equal(slot()->header.message_type, 7);
	acknowledge();
	vp->halted = true;
	assert_int_equal(mock_dispatch(vp) & 0xff, HVABI_DISPATCH_STATE_BLOCKED);
	assert_status(signal_event(5, NULL), SUCCESS);
	assert_false(vp->blocked);
}

static uint64_t notify(uint64_t value)
{
	struct {
		uint64_t partition;
		uint32_t vp, vtl;
		struct hvabi_register_assoc e;
	} in = { .partition = id, .e = { .name = HVABI_REG_DELIVERABILITY_NOTIFICATIONS, .value.reg64 = value } };

	return mock_call(HVABI_CALL_SET_VP_REGISTERS, &in, sizeof(in), 1, 0);
}

#define NOTIFY(sint)	(1ull << (HVABI_DELIVERABILITY_SINTS_SHIFT + (sint)))

static void room_is_announced(void **state)
{
	struct hvabi_input_post_message_direct in = message(7, 16);
	union hvabi_register_value value;
	uint64_t gpa;

	(void)state;
	/* Not while nothing can be delivered: the controller is off, or the SINT masked. */
	assert_status(notify(NOTIFY(SINT) | NOTIFY(5)), SUCCESS);
	assert_true(enter(&gpa));
	assert_int_equal(vp->deliverable, 0);
	assert_int_equal(vp_get_register(vp, HVABI_REG_DELIVERABILITY_NOTIFICATIONS, &value), 0);
	assert_true(value.reg64 == (NOTIFY(SINT) | NOTIFY(5)));
	enable();
	/* Not while another waits, nor while the slot is full: that asks for EOM. */
	assert_status(post(&in), SUCCESS);
	assert_true(enter(&gpa));
	assert_int_equal(slot()->header.message_type, 7);
	assert_int_equal(vp->deliverable, 0);
	assert_true(slot()->header.message_flags & HVABI_MESSAGE_FLAG_PENDING);
	assert_status(post(&in), SUCCESS);
	slot()->header.message_type = HVABI_MSG_NONE;
	put(HVABI_MSR_EOM, 0);
	assert_true(enter(&gpa));
	assert_int_equal(slot()->header.message_type, 7);
	assert_int_equal(vp->deliverable, 0);
	slot()->header.message_type = HVABI_MSG_NONE;
	put(HVABI_MSR_EOM, 0);
	assert_true(vp_synic_pending(vp));
	assert_true(enter(&gpa));
	assert_int_equal(vp->deliverable, 1u << SINT);
	/* Once; the other one is still wanted. */
	vp->deliverable = 0;
	assert_true(enter(&gpa));
	assert_int_equal(vp->deliverable, 0);
	assert_int_equal(vp->notify, 1u << 5);
	assert_int_equal(slot()->header.message_type, HVABI_MSG_NONE);
}

static void notifications_that_are_none(void **state)
{
	uint64_t gpa;

	(void)state;
	enable();
	for (unsigned int bit = 6; bit < 48; bit++)
		assert_status(notify(1ull << bit), INVALID_REGISTER_VALUE);
	assert_int_equal(vp->notify, 0);
	/* What was said last counts. */
	assert_status(notify(NOTIFY(SINT)), SUCCESS);
	assert_status(notify(0), SUCCESS);
	assert_true(enter(&gpa));
	assert_int_equal(vp->deliverable, 0);
	/* The page has gone, and is wanted. */
	assert_status(mock_map(id, 0, 0, PAGES, HVABI_MAP_GPA_NO_ACCESS), SUCCESS);
	assert_status(notify(NOTIFY(SINT)), SUCCESS);
	assert_false(enter(&gpa));
	assert_true(gpa >> 12 == MESSAGES >> 12);
	assert_int_equal(vp->deliverable, 0);
}

static void who_waits_is_woken_for_room(void **state)
{
	(void)state;
	enable();
	vp->halted = true;
	assert_int_equal(mock_dispatch(vp) & 0xff, HVABI_DISPATCH_STATE_BLOCKED);
	assert_true(vp->blocked);
	assert_status(notify(NOTIFY(SINT)), SUCCESS);
	assert_false(vp->blocked);
	/* While it runs, too. */
	vp->running = true;
	vp->cpu = &mock_cpus[1];
	mock_kicks = 0;
	assert_status(notify(NOTIFY(SINT)), SUCCESS);
	assert_int_equal(mock_kicks, 1);
	vp->running = false;
}

/* Another page was missing before the parent was told, and meanwhile it has given a message: there is no room. */
static void room_that_has_gone_again(void **state)
{
	struct hvabi_input_post_message_direct in = message(7, 16);
	uint64_t gpa;

	(void)state;
	enable();
	assert_status(notify(NOTIFY(SINT)), SUCCESS);
	assert_true(enter(&gpa));
	assert_int_equal(vp->deliverable, 1u << SINT);
	assert_status(post(&in), SUCCESS);
	assert_true(enter(&gpa));
	assert_int_equal(slot()->header.message_type, 7);
	assert_int_equal(vp->deliverable, 0);
	assert_int_equal(vp->notify, 1u << SINT);
}

#define DIRECT_TEST(function) cmocka_unit_test_setup(function, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		DIRECT_TEST(what_is_refused),
		DIRECT_TEST(a_message),
		DIRECT_TEST(a_full_slot),
		DIRECT_TEST(a_controller_that_is_off),
		DIRECT_TEST(event_flags),
		DIRECT_TEST(pages_that_have_gone),
		DIRECT_TEST(there_is_an_end_of_room),
		DIRECT_TEST(who_waits_is_woken),
		DIRECT_TEST(room_is_announced),
		DIRECT_TEST(notifications_that_are_none),
		DIRECT_TEST(who_waits_is_woken_for_room),
		DIRECT_TEST(room_that_has_gone_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
