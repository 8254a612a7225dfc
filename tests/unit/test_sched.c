// SPDX-License-Identifier: GPL-2.0-only
/*
 * Children's processors that the hypervisor schedules: what puts them into the queue, who takes them
 * from there and for how long, and what the parent hears.  Tests play the processors: a call is the
 * parent's on processor 0.
 */
#include <hypervisor/core/deadline.h>
#include <hypervisor/core/interrupt.h>
#include <hypervisor/core/message.h>
#include <hypervisor/core/options.h>
#include <hypervisor/core/sched.h>
#include <hypervisor/core/synic.h>
#include <hypervisor/core/synthetic.h>
#include <hypervisor/core/time.h>
#include "unit.h"

#define SLICE		(platform_info.tsc_hz / 250)
#define RFLAGS_IF	0x200u
#define VECTOR		0xf3u

static uint64_t id, apic_id;
static unsigned int relaxed;
static struct vp *other;

static struct cpu *const zero = &mock_cpus[0], *const one = &mock_cpus[1];

static void take_messages(void)
{
	for (unsigned int i = 0; i < MOCK_CPUS; i++) {
		assert_true(synic_write(cpus[i], HVABI_MSR_SIMP, cpus[i]->synic.simp | 1));
		assert_true(synic_write(cpus[i], HVABI_MSR_SINT0, VECTOR));
		assert_true(synic_write(cpus[i], HVABI_MSR_SCONTROL, 1));
	}
}

static int setup(void **state)
{
	(void)state;
	mock_reset();
	assert_true(option_set(HVABI_OPTION_SCHEDULER, HVABI_SCHEDULER_OPTION_INTEGRATED));
	id = mock_child(60);
	apic_id = mock_apic_child(60, HVABI_PARTITION_FLAG_LAPIC_ENABLED, 0);
	take_messages();
	relaxed = 0;
	other = NULL;
	return 0;
}

static struct hvabi_message *slot(const struct cpu *cpu)
{
	return platform_phys(align_down(cpu->synic.simp, 4096));
}

/* What the parent does with a message. */
static void read_message(struct cpu *cpu)
{
	slot(cpu)->header.message_type = HVABI_MSG_NONE;
	assert_true(synic_write(cpu, HVABI_MSR_EOM, 0));
}

static bool told_of(const struct cpu *cpu, const struct vp *vp)
{
	const struct hvabi_opaque_intercept *m = (const void *)slot(cpu)->payload;

	return slot(cpu)->header.message_type == HVABI_MSG_OPAQUE_INTERCEPT &&
	       slot(cpu)->header.payload_size == 4 &&
	       slot(cpu)->header.sender == vp->partition->id && m->vp_index == vp->index;
}

/* The parent of @cpu rests; @halted: nothing was there to run either. */
static void rest(struct cpu *cpu, bool halted)
{
	cpu->sched.idle = true;
	cpu->sched.waiting = halted;
}

/* Of what the set-up has queued. */
static void empty_queue(void)
{
	rest(zero, false);
	while (sched_next(zero, mock_tsc))
		;
}

static enum run_result intercepts(struct cpu *cpu, struct vp *vp)
{
	vp->cpu = cpu;
	message_halt(vp);
	return RUN_INTERCEPT;
}

static enum run_result blocks(struct cpu *cpu, struct vp *vp)
{
	vp->cpu = cpu;
	return RUN_BLOCKED;
}

static enum run_result stops(struct cpu *cpu, struct vp *vp)
{
	vp->cpu = cpu;
	return RUN_STOPPED;
}

static bool run(struct cpu *cpu, struct vp *vp)
{
	bool wanted;

	world_enter(cpu);
	wanted = sched_run(cpu, vp);
	world_leave(cpu);
	return wanted;
}

static uint64_t suspended(const struct vp *vp, uint32_t name)
{
	assert_status(mock_get(vp, name), SUCCESS);
	return *(uint64_t *)mock_out();
}

/* Resume as Linux does: both registers, in this order, in one call. */
static uint64_t resume(const struct vp *vp)
{
	struct {
		uint64_t partition;
		uint32_t vp, vtl;
		struct hvabi_register_assoc e[2];
	} in = { .partition = vp->partition->id, .vp = vp->index,
		 .e = { { .name = HVABI_REG_INTERCEPT_SUSPEND },
			{ .name = HVABI_REG_EXPLICIT_SUSPEND } } };

	return mock_call(HVABI_CALL_SET_VP_REGISTERS, &in, sizeof(in), 2, 0);
}

static void runs_only_what_may(void **state)
{
	struct hvabi_create_vp create = { .partition_id = id, .vp_index = 1 };
	struct vp *vp = mock_vp(id, 0), *bare;

	(void)state;
	rest(zero, false);
	assert_ptr_equal(sched_next(zero, mock_tsc), vp);
	assert_null(sched_next(zero, mock_tsc));
	/* Suspended in the queue, it is passed over. */
	sched_wake(vp);
	assert_status(mock_set(vp, HVABI_REG_EXPLICIT_SUSPEND, 1), SUCCESS);
	assert_null(sched_next(zero, mock_tsc));
	assert_status(mock_set(vp, HVABI_REG_EXPLICIT_SUSPEND, 0), SUCCESS);
	assert_ptr_equal(sched_next(zero, mock_tsc), vp);
	/* Without a message page it could not be told of. */
	assert_status(mock_call(HVABI_CALL_CREATE_VP, &create, sizeof(create), 0, 0), SUCCESS);
	bare = vp_find(partition_find(id), 1);
	assert_status(mock_set(bare, HVABI_REG_EXPLICIT_SUSPEND, 0), SUCCESS);
	assert_null(sched_next(zero, mock_tsc));
	assert_status(vp_map_page(bare, VP_PAGE_MESSAGE, 900), SUCCESS);
	assert_ptr_equal(sched_next(zero, mock_tsc), bare);
}

static void an_intercept_is_told_once(void **state)
{
	struct vp *vp = mock_vp(id, 0);
	unsigned int raises = mock_raises;

	(void)state;
	mock_run = intercepts;
	rest(one, false);
	assert_ptr_equal(sched_next(one, mock_tsc), vp);
	assert_false(run(one, vp));
	assert_true(told_of(one, vp));
	assert_int_equal(mock_raises, raises + 1);
	assert_int_equal(mock_raised, VECTOR);
	assert_int_equal(mock_raised_on, 1);
	assert_int_equal(suspended(vp, HVABI_REG_INTERCEPT_SUSPEND), 1);
	assert_int_equal(suspended(vp, HVABI_REG_VP_ROOT_SIGNAL_COUNT), 0);
	/* It does not run before the parent says so. */
	sched_wake(vp);
	assert_null(sched_next(one, mock_tsc));
	read_message(one);
	assert_int_equal(slot(one)->header.message_type, HVABI_MSG_NONE);
	assert_status(resume(vp), SUCCESS);
	assert_int_equal(suspended(vp, HVABI_REG_INTERCEPT_SUSPEND), 0);
	assert_ptr_equal(sched_next(one, mock_tsc), vp);
}

static void messages_wait_for_the_slot(void **state)
{
	struct vp *a = mock_vp(id, 0), *b = mock_vp(id, 1);

	(void)state;
	mock_run = intercepts;
	rest(zero, false);
	run(zero, sched_next(zero, mock_tsc));
	run(zero, sched_next(zero, mock_tsc));
	assert_true(told_of(zero, a));
	assert_true(slot(zero)->header.message_flags & HVABI_MESSAGE_FLAG_PENDING);
	assert_int_equal(suspended(b, HVABI_REG_INTERCEPT_SUSPEND), 1);
	read_message(zero);
	assert_true(told_of(zero, b));
	read_message(zero);
	assert_int_equal(slot(zero)->header.message_type, HVABI_MSG_NONE);
}

/* One that goes on without its message does not get it late. */
static void resumed_before_it_is_told(void **state)
{
	struct vp *a = mock_vp(id, 0), *b = mock_vp(id, 1);

	(void)state;
	mock_run = intercepts;
	rest(zero, false);
	run(zero, sched_next(zero, mock_tsc));
	run(zero, sched_next(zero, mock_tsc));
	assert_status(resume(b), SUCCESS);
	assert_true(told_of(zero, a));
	read_message(zero);
	assert_int_equal(slot(zero)->header.message_type, HVABI_MSG_NONE);
}

static void leaves_its_processor(void)
{
	relaxed++;
	if (relaxed == 3)
		intercepts(one, other);
	if (relaxed == 3)
		other->running = false;
}

/* Who has suspended a processor knows that it stands still, and whether a message is on its way. */
static void suspending_waits(void **state)
{
	struct vp *vp = mock_vp(id, 0);

	(void)state;
	vp->running = true;
	vp->cpu = one;
	other = vp;
	mock_relax = leaves_its_processor;
	mock_kicks = 0;
	assert_status(mock_set(vp, HVABI_REG_EXPLICIT_SUSPEND, 1), SUCCESS);
	assert_int_equal(relaxed, 3);
	assert_int_equal(mock_kicks, 1);
	assert_int_equal(suspended(vp, HVABI_REG_INTERCEPT_SUSPEND), 1);
	/* One that is to stop has to leave; one that runs on need not be waited for. */
	vp->intercept_suspend = false;
	vp->running = true;
	assert_status(mock_set(vp, HVABI_REG_EXPLICIT_SUSPEND, 0), SUCCESS);
	assert_int_equal(relaxed, 3);
	vp->running = false;
}

static void is_gone(void)
{
	assert_status(mock_hypercall(one, hvabi_control(HVABI_CALL_FINALIZE_PARTITION, 0, 0) |
				HVABI_CONTROL_FAST, id, 0), SUCCESS);
}

static void gone_while_it_is_waited_for(void **state)
{
	struct vp *vp = mock_vp(id, 0);

	(void)state;
	vp->running = true;
	vp->cpu = one;
	mock_relax = is_gone;
	assert_status(mock_set(vp, HVABI_REG_EXPLICIT_SUSPEND, 1), INVALID_PARTITION_STATE);
}

static void resting_processors_are_kicked(void **state)
{
	struct vp *a = mock_vp(id, 0), *b = mock_vp(id, 1);

	(void)state;
	empty_queue();
	rest(one, true);
	zero->sched.idle = false;
	mock_kicks = 0;
	sched_wake(a);
	assert_int_equal(mock_kicks, 1);
	assert_false(one->sched.waiting);
	/* It is on its way, and hands on what it does not take. */
	sched_wake(b);
	assert_int_equal(mock_kicks, 1);
	rest(zero, true);
	assert_ptr_equal(sched_next(one, mock_tsc), a);
	assert_int_equal(mock_kicks, 2);
	assert_ptr_equal(sched_next(zero, mock_tsc), b);
	/* Nobody rests, until one does that was not there before. */
	sched_wake(a);
	assert_int_equal(mock_kicks, 2);
	rest(zero, true);
	sched_pass();
	assert_int_equal(mock_kicks, 3);
}

static void a_busy_parent_keeps_a_slice(void **state)
{
	struct vp *vp = mock_vp(id, 0);

	(void)state;
	mock_run = stops;
	zero->sched.since = mock_tsc;
	assert_null(sched_next(zero, mock_tsc));
	assert_null(sched_next(zero, mock_tsc + SLICE - 1));
	mock_tsc += SLICE;
	assert_ptr_equal(sched_next(zero, mock_tsc), vp);
	/* And gives one. */
	assert_false(sched_over(zero, vp, mock_tsc + SLICE - 1));
	assert_true(sched_over(zero, vp, mock_tsc + SLICE));
	assert_false(run(zero, vp));
	assert_true(vp->queued);
	assert_null(sched_next(zero, mock_tsc));
}

/* One that is offline, or has panicked: it has had its slice long ago, and hears nothing. */
static void a_stopped_parent_is_left_alone(void **state)
{
	struct vp *vp = mock_vp(id, 0);

	(void)state;
	empty_queue();
	zero->sched.idle = one->sched.idle = false;
	one->sched.stopped = true;
	zero->sched.since = one->sched.since = mock_tsc;
	one->guest = &parent;
	sched_wake(vp);
	mock_tsc += 2 * SLICE;
	mock_kicks = 0;
	sched_tick(zero, mock_tsc);
	assert_int_equal(mock_kicks, 0);
	assert_null(sched_next(one, mock_tsc));
	one->sched.stopped = false;
	sched_tick(zero, mock_tsc);
	assert_int_equal(mock_kicks, 1);
	assert_ptr_equal(sched_next(one, mock_tsc), vp);
}

static void children_take_turns(void **state)
{
	struct vp *a = mock_vp(id, 0), *b = mock_vp(apic_id, 0);

	(void)state;
	mock_run = stops;
	rest(zero, false);
	for (unsigned int i = 0; i < 3; i++) {
		assert_ptr_equal(sched_next(zero, mock_tsc), a);
		assert_true(sched_over(zero, a, mock_tsc + SLICE));
		run(zero, a);
		assert_ptr_equal(sched_next(zero, mock_tsc), b);
		run(zero, b);
	}
	/* Alone under a parent that rests it stays. */
	mock_run = blocks;
	assert_ptr_equal(sched_next(zero, mock_tsc), a);
	run(zero, a);
	assert_ptr_equal(sched_next(zero, mock_tsc), b);
	assert_false(sched_over(zero, b, mock_tsc + 100 * SLICE));
}

/* Who had the alarm for himself alone, and is done, leaves none behind. */
static void nobody_waits_no_alarm(void **state)
{
	struct vp *a = mock_vp(id, 0);

	(void)state;
	empty_queue();
	mock_tsc += SLICE;
	zero->sched.idle = false;
	sched_wake(a);
	assert_ptr_equal(sched_next(zero, mock_tsc), a);
	assert_true(mock_timer != TIME_NEVER);
	mock_run = intercepts;
	run(zero, a);
	mock_run = NULL;
	assert_true(mock_timer == TIME_NEVER);
}

/* The parent's processor that is kicked has something to do by then: who waits has an alarm. */
static void the_kicked_was_on_its_way(void **state)
{
	struct vp *a = mock_vp(id, 0);

	(void)state;
	empty_queue();
	mock_tsc += SLICE;
	deadline_expire(zero, mock_tsc);
	assert_true(mock_timer == TIME_NEVER);
	rest(one, true);
	zero->sched.idle = false;
	sched_wake(a);
	assert_true(mock_timer == TIME_NEVER);
	one->sched.idle = false;
	one->sched.since = mock_tsc;
	assert_null(sched_next(one, mock_tsc));
	sched_pass();
	assert_true(mock_timer == mock_tsc + SLICE);
}

static void an_alarm_ends_slices(void **state)
{
	struct vp *vp = mock_vp(id, 0);

	(void)state;
	/* Waits for a busy parent. */
	assert_true(mock_timer == mock_tsc + SLICE);
	one->guest = &parent;
	mock_kicks = 0;
	mock_tsc += SLICE;
	deadline_expire(zero, mock_tsc);
	assert_int_equal(mock_kicks, 1);
	assert_true(mock_timer == mock_tsc + SLICE);
	/* Has a busy parent's processor. */
	assert_ptr_equal(sched_next(one, mock_tsc), vp);
	one->guest = vp->partition;
	mock_tsc += SLICE;
	deadline_expire(zero, mock_tsc);
	assert_int_equal(mock_kicks, 2);
	/* A parent that rests wants it not back, and nobody else waits. */
	one->sched.idle = true;
	one->guest = vp->partition;
	mock_tsc += SLICE;
	deadline_expire(zero, mock_tsc);
	assert_int_equal(mock_kicks, 2);
	assert_true(mock_timer == TIME_NEVER);
}

static void no_wake_up_is_lost(void **state)
{
	struct hvabi_input_assert_virtual_interrupt in = {
		.partition_id = apic_id, .interrupt_type = HVABI_INTERRUPT_TYPE_FIXED, .vector = 0x41,
	};
	struct vp *vp = mock_vp(apic_id, 0);
	u64 detail;

	(void)state;
	mock_run = mock_ready_or_blocked;
	rest(zero, false);
	assert_int_equal(vp_apic_write(zero, vp, APIC_SVR, 0x1ff, &detail), MSR_DONE);
	assert_ptr_equal(sched_next(zero, mock_tsc), vp);
	vp->state.rflags = RFLAGS_IF;
	vp->halted = true;
	run(zero, vp);
	assert_true(vp->blocked && !vp->queued);
	assert_null(sched_next(zero, mock_tsc));
	/* An interrupt wakes it, and no signal is sent of that. */
	assert_status(mock_call(HVABI_CALL_ASSERT_VIRTUAL_INTERRUPT, &in, sizeof(in), 0, 0), SUCCESS);
	assert_int_equal(slot(zero)->header.message_type, HVABI_MSG_NONE);
	assert_ptr_equal(sched_next(zero, mock_tsc), vp);
	/* Suspended meanwhile, it runs as soon as it is not. */
	vp->halted = true;
	vp->blocked = true;
	assert_status(mock_set(vp, HVABI_REG_EXPLICIT_SUSPEND, 1), SUCCESS);
	in.vector = 0x42;
	assert_status(mock_call(HVABI_CALL_ASSERT_VIRTUAL_INTERRUPT, &in, sizeof(in), 0, 0), SUCCESS);
	assert_null(sched_next(zero, mock_tsc));
	assert_status(resume(vp), SUCCESS);
	assert_ptr_equal(sched_next(zero, mock_tsc), vp);
}

static void time_that_stands(void **state)
{
	struct hvabi_input_set_partition_property in = {
		.partition_id = id, .property_code = HVABI_PROPERTY_TIME_FREEZE, .property_value = 1,
	};
	struct vp *vp = mock_vp(id, 0);

	(void)state;
	rest(zero, false);
	assert_status(mock_call(HVABI_CALL_SET_PARTITION_PROPERTY, &in, sizeof(in), 0, 0), SUCCESS);
	assert_null(sched_next(zero, mock_tsc));
	in.property_value = 0;
	assert_status(mock_call(HVABI_CALL_SET_PARTITION_PROPERTY, &in, sizeof(in), 0, 0), SUCCESS);
	assert_ptr_equal(sched_next(zero, mock_tsc), vp);
}

static void what_goes_leaves_the_queue(void **state)
{
	struct vp *a = mock_vp(id, 0), *b = mock_vp(id, 1), *c = mock_vp(apic_id, 0);
	const struct hvabi_input_delete_vp in = { .partition_id = id, .vp_index = 1 };

	(void)state;
	assert_true(a->queued && b->queued && c->queued);
	assert_status(mock_call(HVABI_CALL_DELETE_VP, &in, sizeof(in), 0, 0), SUCCESS);
	assert_status(mock_call(HVABI_CALL_FINALIZE_PARTITION, &id, 8, 0, 0), SUCCESS);
	rest(zero, false);
	assert_ptr_equal(sched_next(zero, mock_tsc), c);
	assert_null(sched_next(zero, mock_tsc));
	assert_true(mock_timer == TIME_NEVER);
}

static void who_dispatches(void **state)
{
	struct hvabi_input_dispatch_vp in = { .partition_id = id };
	struct hvabi_input_get_partition_property_ex property = {
		.partition_id = HVABI_PARTITION_ID_SELF,
		.property_code = HVABI_PROPERTY_INTEGRATED_SCHEDULER_ENABLED,
	};
	uint64_t mine;

	(void)state;
	mock_vp(id, 0);
	assert_status(mock_call(HVABI_CALL_DISPATCH_VP, &in, sizeof(in), 0, 0), OPERATION_DENIED);
	assert_status(mock_call(HVABI_CALL_GET_PARTITION_PROPERTY_EX, &property, sizeof(property), 0, 0),
		      SUCCESS);
	assert_int_equal(*(uint64_t *)mock_out(), 0);
	/* Partitions stay what they were made. */
	assert_true(option_set(HVABI_OPTION_SCHEDULER, HVABI_SCHEDULER_OPTION_ROOT));
	assert_status(mock_call(HVABI_CALL_GET_PARTITION_PROPERTY_EX, &property, sizeof(property), 0, 0),
		      SUCCESS);
	assert_int_equal(*(uint64_t *)mock_out(), 1);
	assert_status(mock_call(HVABI_CALL_DISPATCH_VP, &in, sizeof(in), 0, 0), OPERATION_DENIED);
	mine = mock_child(40);
	in.partition_id = mine;
	mock_vp(mine, 0);
	assert_status(mock_call(HVABI_CALL_DISPATCH_VP, &in, sizeof(in), 0, 0), SUCCESS);
	assert_true(sched_active());
	assert_false(vp_find(partition_find(mine), 0)->queued);
}

#define SCHED_TEST(function) cmocka_unit_test_setup(function, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCHED_TEST(runs_only_what_may),
		SCHED_TEST(an_intercept_is_told_once),
		SCHED_TEST(messages_wait_for_the_slot),
		SCHED_TEST(resumed_before_it_is_told),
		SCHED_TEST(suspending_waits),
		SCHED_TEST(gone_while_it_is_waited_for),
		SCHED_TEST(resting_processors_are_kicked),
		SCHED_TEST(a_busy_parent_keeps_a_slice),
		SCHED_TEST(a_stopped_parent_is_left_alone),
		SCHED_TEST(children_take_turns),
		SCHED_TEST(the_kicked_was_on_its_way),
		SCHED_TEST(nobody_waits_no_alarm),
		SCHED_TEST(an_alarm_ends_slices),
		SCHED_TEST(no_wake_up_is_lost),
		SCHED_TEST(time_that_stands),
		SCHED_TEST(what_goes_leaves_the_queue),
		SCHED_TEST(who_dispatches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
