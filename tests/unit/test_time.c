// SPDX-License-Identifier: GPL-2.0-only
/*
 * TSC and reference time, synthetic timers, and the deadlines of several processors.
 */
#include <hypervisor/core/clock.h>
#include <hypervisor/core/deadline.h>
#include <hypervisor/core/interrupt.h>
#include <hypervisor/core/synthetic.h>
#include <hypervisor/core/time.h>
#include "unit.h"

#define VECTOR		0x55u
#define DIRECT		(HVABI_STIMER_DIRECT | (uint64_t)VECTOR << HVABI_STIMER_VECTOR_SHIFT)
#define ON		(HVABI_STIMER_ENABLE | DIRECT)
#define LVT_DEADLINE	0x40000u
#define LVT_MASKED	0x10000u
#define FEATURES	(HVABI_SYNTHETIC_TIMERS | HVABI_SYNTHETIC_REFERENCE_COUNTER)

/* ---- TSC and reference time ---- */

static void scale_is_the_exact_fraction(void **state)
{
	static const uint64_t rates[] = { 10000001, 20000000, 123456789, 2000000000, 2893202000 };

	(void)state;
	for (unsigned int i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		time_init(rates[i]);
		assert_true(time_scale() == (uint64_t)(((unsigned __int128)10000000 << 64) / rates[i]));
	}
}

/* @tsc is the first value at which @reference has come. */
static void assert_first(uint64_t tsc, uint64_t reference)
{
	assert_true(time_reference(tsc) >= reference);
	if (tsc)
		assert_true(time_reference(tsc - 1) < reference);
}

static void round_trips(void **state)
{
	static const uint64_t rates[] = { 10000001, 2000000000, 2893202000 };
	static const uint64_t starts[] = {
		0, 9999990, 86400ull * 10000000, 365ull * 86400 * 10000000 - 5, 1ull << 52,
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		time_init(rates[i]);
		for (unsigned int j = 0; j < sizeof(starts) / sizeof(starts[0]); j++)
			for (uint64_t r = starts[j]; r < starts[j] + 100; r++)
				assert_first(time_tsc(r), r);
	}
	/* One unit is 200 ticks; the scale is cut off, so the unit is full one tick later. */
	time_init(2000000000);
	assert_int_equal(time_tsc(0), 0);
	assert_int_equal(time_reference(0), 0);
	assert_int_equal(time_reference(200), 0);
	assert_int_equal(time_reference(201), 1);
	assert_int_equal(time_tsc(1), 201);
	assert_int_equal(time_reference(2000000001), 10000000);
}

static void times_that_do_not_come(void **state)
{
	const uint64_t limit = TIME_NEVER / 2000000000 - 1;

	(void)state;
	time_init(2000000000);
	assert_true(time_tsc(TIME_NEVER) == TIME_NEVER);
	assert_true(time_tsc(limit * 10000000) == TIME_NEVER);
	assert_true(time_tsc(limit * 10000000 - 1) < TIME_NEVER);
	assert_first(time_tsc(limit * 10000000 - 1), limit * 10000000 - 1);
	/* The largest TSC is no overflow: 2^64 ticks are 2^64 / 200 units, and the last is not full. */
	assert_true(time_reference(UINT64_MAX) == UINT64_MAX / 200 - 1);
}

static void partitions_count_from_their_creation(void **state)
{
	struct partition *p;

	(void)state;
	mock_tsc = 123456789;
	p = partition_find(mock_child(10));
	assert_int_equal(clock_reference(p, 123456789), 0);
	assert_int_equal(clock_reference(p, 123456789 + 2000000000), 10000000);
	assert_int_equal(clock_of_reference(p, 0), 0);
	for (uint64_t r = 1; r < 1000; r++) {
		uint64_t tsc = clock_of_reference(p, r);

		assert_int_equal(clock_reference(p, tsc), r);
		assert_true((int64_t)clock_reference(p, tsc - 1) < (int64_t)r);
	}
	assert_true(clock_of_reference(p, TIME_NEVER) == TIME_NEVER);
	assert_true(clock_of_reference(p, TIME_NEVER - 1) == TIME_NEVER);
}

/* ---- one synthetic timer ---- */

static struct stimer t;

static void fresh(void)
{
	struct stimer timers[HVABI_STIMERS];

	memset(timers, 0xee, sizeof(timers));
	stimers_reset(timers);
	for (unsigned int i = 0; i < HVABI_STIMERS; i++) {
		assert_int_equal(timers[i].config, 0);
		assert_int_equal(timers[i].count, 0);
		assert_true(timers[i].expiry == TIME_NEVER);
	}
	t = timers[HVABI_STIMERS - 1];
}

static void assert_refused(uint64_t config)
{
	struct stimer before = t;

	assert_false(stimer_write_config(&t, config, 7, false));
	assert_memory_equal(&before, &t, sizeof(t));
}

static void refusals(void **state)
{
	(void)state;
	fresh();
	stimer_write_count(&t, 100, 0, false);
	assert_true(stimer_write_config(&t, ON, 0, false));
	assert_refused(ON | 1ull << 13);
	assert_refused(ON | 1ull << 20);
	assert_refused(ON | 1ull << 63);
	/* One that sends messages, and vectors that are none. */
	assert_refused(HVABI_STIMER_ENABLE | 1ull << HVABI_STIMER_SINT_SHIFT);
	assert_refused(ON & ~HVABI_STIMER_DIRECT);
	assert_refused(HVABI_STIMER_ENABLE | HVABI_STIMER_DIRECT | 15ull << HVABI_STIMER_VECTOR_SHIFT);
	assert_refused(HVABI_STIMER_ENABLE | HVABI_STIMER_DIRECT);
	assert_true(stimer_write_config(&t, HVABI_STIMER_ENABLE | HVABI_STIMER_DIRECT |
					16ull << HVABI_STIMER_VECTOR_SHIFT, 0, false));
	/* Not enabled, all of it can be noted down. */
	assert_true(stimer_write_config(&t, 0xfull << HVABI_STIMER_SINT_SHIFT | HVABI_STIMER_LAZY |
					HVABI_STIMER_PERIODIC | HVABI_STIMER_AUTO_ENABLE, 0, false));
	assert_int_equal(t.config, 0xf000e);
	assert_true(t.expiry == TIME_NEVER);
}

static void one_shot(void **state)
{
	(void)state;
	fresh();
	stimer_write_count(&t, 100, 5, false);
	assert_true(t.expiry == TIME_NEVER);		/* not enabled */
	assert_true(stimer_write_config(&t, ON, 5, false));
	assert_int_equal(t.expiry, 100);
	assert_int_equal(stimer_expire(&t, 99), 0);
	assert_int_equal(stimer_expire(&t, 100), VECTOR);
	assert_int_equal(t.config, DIRECT);
	assert_int_equal(t.count, 100);
	assert_true(t.expiry == TIME_NEVER);
	assert_int_equal(stimer_expire(&t, 101), 0);
	/* The past has come already. */
	stimer_write_count(&t, 50, 200, false);
	assert_true(stimer_write_config(&t, ON, 200, false));
	assert_int_equal(stimer_expire(&t, 200), VECTOR);
	/* Enabled without a count: it waits for one, and a count of 0 takes the enable back. */
	stimer_write_count(&t, 0, 200, false);
	assert_true(stimer_write_config(&t, ON, 200, false));
	assert_true(t.expiry == TIME_NEVER);
	assert_int_equal(t.config, ON);
	stimer_write_count(&t, 300, 200, false);
	assert_int_equal(t.expiry, 300);
	stimer_write_count(&t, 0, 200, false);
	assert_int_equal(t.config, DIRECT);
	assert_true(t.expiry == TIME_NEVER);
}

static void auto_enable(void **state)
{
	(void)state;
	fresh();
	assert_true(stimer_write_config(&t, DIRECT | HVABI_STIMER_AUTO_ENABLE, 0, false));
	stimer_write_count(&t, 50, 0, false);
	assert_int_equal(t.config, ON | HVABI_STIMER_AUTO_ENABLE);
	assert_int_equal(t.expiry, 50);
	assert_int_equal(stimer_expire(&t, 60), VECTOR);
	assert_int_equal(t.config, DIRECT | HVABI_STIMER_AUTO_ENABLE);
	stimer_write_count(&t, 70, 60, false);
	assert_int_equal(t.expiry, 70);
	stimer_write_count(&t, 0, 60, false);
	assert_int_equal(t.config, DIRECT | HVABI_STIMER_AUTO_ENABLE);
	assert_true(t.expiry == TIME_NEVER);
	/* What could not be enabled by its configuration is not by its count. */
	assert_true(stimer_write_config(&t, HVABI_STIMER_AUTO_ENABLE |
					(uint64_t)VECTOR << HVABI_STIMER_VECTOR_SHIFT, 0, false));
	stimer_write_count(&t, 50, 0, false);
	assert_false(t.config & HVABI_STIMER_ENABLE);
	assert_true(stimer_write_config(&t, HVABI_STIMER_AUTO_ENABLE | HVABI_STIMER_DIRECT |
					15ull << HVABI_STIMER_VECTOR_SHIFT, 0, false));
	stimer_write_count(&t, 50, 0, false);
	assert_false(t.config & HVABI_STIMER_ENABLE);
	assert_true(t.expiry == TIME_NEVER);
}

static void periodic(void **state)
{
	(void)state;
	fresh();
	stimer_write_count(&t, 10000, 1000, false);
	assert_true(stimer_write_config(&t, ON | HVABI_STIMER_PERIODIC, 1000, false));
	assert_int_equal(t.expiry, 11000);
	assert_int_equal(stimer_expire(&t, 10999), 0);
	assert_int_equal(stimer_expire(&t, 11000), VECTOR);
	assert_int_equal(t.expiry, 21000);
	assert_int_equal(t.config, ON | HVABI_STIMER_PERIODIC);
	/* Three and a half periods late: one interrupt, and in step. */
	assert_int_equal(stimer_expire(&t, 56000), VECTOR);
	assert_int_equal(t.expiry, 61000);
	assert_int_equal(stimer_expire(&t, 56000), 0);
	/* Late by exactly a period: the next is a full one away. */
	assert_int_equal(stimer_expire(&t, 71000), VECTOR);
	assert_int_equal(t.expiry, 81000);
	/* A new period begins when it is written. */
	stimer_write_count(&t, 100000, 1075, false);
	assert_int_equal(t.expiry, 101075);
	stimer_write_count(&t, UINT64_MAX, 1075, false);
	assert_true(t.expiry == TIME_NEVER);
	stimer_write_count(&t, UINT64_MAX - 1076, 1075, false);
	assert_true(t.expiry == UINT64_MAX - 1);
}

static void periods_have_a_floor(void **state)
{
	(void)state;
	fresh();
	stimer_write_count(&t, 1, 1000, false);
	assert_true(stimer_write_config(&t, ON | HVABI_STIMER_PERIODIC, 1000, false));
	assert_int_equal(t.count, 1);
	assert_int_equal(t.expiry, 1000 + STIMER_PERIOD_MIN);
	assert_int_equal(stimer_expire(&t, 1000 + STIMER_PERIOD_MIN), VECTOR);
	assert_int_equal(t.expiry, 1000 + 2 * STIMER_PERIOD_MIN);
	/* One-shot, a guest has to set it each time: no floor. */
	assert_true(stimer_write_config(&t, ON, 1000, false));
	assert_int_equal(t.expiry, 1);
}

/* ---- deadlines ---- */

static struct vp *vps[4];

static int setup_children(void **state)
{
	uint64_t id = 0;

	(void)state;
	mock_reset();
	mock_run = mock_ready_or_blocked;
	synic_write(&mock_cpus[0], HVABI_MSR_SCONTROL, HVABI_SCONTROL_ENABLE);
	synic_write(&mock_cpus[0], HVABI_MSR_SIMP, mock_cpus[0].synic.simp | HVABI_MSR_PAGE_ENABLE);
	synic_write(&mock_cpus[0], HVABI_MSR_SINT0, 0xf3);
	/* Two partitions: the deadlines are those of all. */
	for (unsigned int i = 0; i < 4; i++) {
		if (i % 2 == 0)
			id = mock_apic_child(40, HVABI_PARTITION_FLAG_LAPIC_ENABLED, FEATURES);
		vps[i] = mock_vp(id, i % 2);
		vps[i]->apic.svr = 0x1ff;
		vps[i]->apic.wait_for_sipi = false;
	}
	return 0;
}

static void arm(struct vp *vp, uint64_t tsc)
{
	uint64_t detail;

	assert_int_equal(vp_apic_write(&mock_cpus[0], vp, APIC_LVT_TIMER, LVT_DEADLINE | VECTOR,
				       &detail), MSR_DONE);
	assert_int_equal(synthetic_write(&mock_cpus[0], vp, 0x6e0, tsc, &detail), MSR_DONE);
}

static bool requested(const struct vp *vp)
{
	return vp->apic.irr[VECTOR / 32] & 1u << VECTOR % 32;
}

static void the_earliest_is_awaited(void **state)
{
	(void)state;
	assert_true(mock_timer == TIME_NEVER);
	arm(vps[0], 5000000);
	assert_int_equal(mock_timer, 5000000);
	arm(vps[1], 7000000);
	assert_int_equal(mock_timer, 5000000);
	arm(vps[2], 4000000);
	assert_int_equal(mock_timer, 4000000);
	arm(vps[3], 6000000);
	assert_int_equal(mock_timer, 4000000);
	/* Moved back, taken away, and taken away in the middle and at the end of the list. */
	arm(vps[2], 8000000);
	assert_int_equal(mock_timer, 5000000);
	arm(vps[0], 0);
	assert_int_equal(mock_timer, 6000000);
	deadline_forget(vps[3]);
	assert_int_equal(mock_timer, 7000000);
	deadline_forget(vps[3]);
	arm(vps[2], 0);
	assert_int_equal(mock_timer, 7000000);
	arm(vps[1], 0);
	assert_true(mock_timer == TIME_NEVER);
}

static void the_alarm_is_set_again(void **state)
{
	(void)state;
	mock_timer = 1;
	mock_timer_fired = true;
	assert_true(deadline_nmi(&mock_cpus[0], false, mock_tsc));
	assert_int_equal(mock_timer, 1);	/* nothing to wait for */
	arm(vps[0], 5000000);
	for (unsigned int kicked = 0; kicked < 2; kicked++) {
		mock_timer = 1;
		assert_true(deadline_nmi(&mock_cpus[0], kicked, mock_tsc));
		assert_int_equal(mock_timer, 5000000);
	}
	/* Another's NMI. */
	mock_timer = 1;
	mock_timer_fired = false;
	assert_false(deadline_nmi(&mock_cpus[0], false, mock_tsc));
	assert_int_equal(mock_timer, 1);
	/* Nothing of it is early: it is set when that has expired, also for the same time. */
	mock_timer_fired = true;
	assert_true(deadline_nmi(&mock_cpus[0], false, 5000000));
	assert_int_equal(mock_timer, 1);
	deadline_expire(&mock_cpus[0], 5000000);
	assert_true(mock_timer != 1);
}

static void what_is_due_expires(void **state)
{
	uint64_t id[2] = { vps[0]->partition->id, vps[2]->partition->id };

	(void)state;
	for (unsigned int i = 0; i < 4; i++)
		arm(vps[i], 5000000 + 1000000 * i);
	deadline_expire(&mock_cpus[0], 4999999);
	for (unsigned int i = 0; i < 4; i++)
		assert_false(requested(vps[i]));
	assert_int_equal(counter(id[0], HVABI_COUNT_TIMER_EXPIRED), 0);
	deadline_expire(&mock_cpus[0], 6000000);
	assert_true(requested(vps[0]) && requested(vps[1]));
	assert_false(requested(vps[2]) || requested(vps[3]));
	assert_int_equal(counter(id[0], HVABI_COUNT_TIMER_EXPIRED), 2);
	assert_int_equal(counter(id[1], HVABI_COUNT_TIMER_EXPIRED), 0);
	assert_int_equal(mock_timer, 7000000);
	/* Once is enough. */
	vps[0]->apic.irr[VECTOR / 32] = 0;
	deadline_expire(&mock_cpus[0], 6999999);
	assert_false(requested(vps[0]));
	deadline_expire(&mock_cpus[0], UINT64_MAX - 1);
	assert_true(requested(vps[2]) && requested(vps[3]));
	assert_true(mock_timer == TIME_NEVER);
	deadline_expire(&mock_cpus[0], UINT64_MAX - 1);
	assert_int_equal(counter(id[1], HVABI_COUNT_TIMER_EXPIRED), 2);
}

static void expiry_wakes_who_waits_for_it(void **state)
{
	uint64_t detail;

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		vps[i]->halted = true;
		vps[i]->state.rflags = 0x202;
		assert_int_equal(mock_dispatch(vps[i]), HVABI_DISPATCH_STATE_BLOCKED);
		arm(vps[i], 5000000);
	}
	/* The one has its timer masked: it expires, and that is all. */
	assert_int_equal(vp_apic_write(&mock_cpus[0], vps[1], APIC_LVT_TIMER,
				       LVT_DEADLINE | LVT_MASKED | VECTOR, &detail), MSR_DONE);
	deadline_expire(&mock_cpus[0], 5000000);
	assert_int_equal(vps[0]->root_signals, 1);
	assert_int_equal(vps[1]->root_signals, 0);
	assert_false(requested(vps[1]));
	assert_int_equal(counter(vps[0]->partition->id, HVABI_COUNT_TIMER_EXPIRED), 2);
	assert_int_equal(mock_dispatch(vps[0]), HVABI_DISPATCH_STATE_READY);
	assert_int_equal(mock_dispatch(vps[1]), HVABI_DISPATCH_STATE_BLOCKED);
}

/* Two processors with the shortest of periods: each one's exit must not be the other's next expiry. */
static void short_periods_leave_time_for_the_guest(void **state)
{
	const uint64_t floor = STIMER_PERIOD_MIN * 200;	/* TSC ticks */
	uint64_t detail, expired;

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(vp_apic_write(&mock_cpus[0], vps[i], APIC_LVT_TIMER, 0x20000 | VECTOR, &detail),
				 MSR_DONE);
		assert_int_equal(vp_apic_write(&mock_cpus[0], vps[i], APIC_TIMER_INITIAL, 1, &detail), MSR_DONE);
	}
	for (uint64_t now = mock_tsc; now < mock_tsc + 100 * floor; now += 100)
		deadline_expire(&mock_cpus[0], now);
	expired = counter(vps[0]->partition->id, HVABI_COUNT_TIMER_EXPIRED);
	assert_true(expired >= 2 * 95 && expired <= 2 * 101);
}

static void wr(struct vp *vp, uint32_t msr, uint64_t value)
{
	uint64_t detail;

	assert_int_equal(synthetic_write(&mock_cpus[0], vp, msr, value, &detail), MSR_DONE);
}

/* Timers count the partition's time; the deadline is that of the TSC. */
static void synthetic_timers_have_deadlines(void **state)
{
	struct vp *vp = vps[2];
	uint64_t second, first = clock_of_reference(vp->partition, 10000);

	(void)state;
	wr(vp, HVABI_MSR_STIMER0_COUNT + 2 * 3, 10000);
	wr(vp, HVABI_MSR_STIMER0_CONFIG + 2 * 3, ON);
	assert_int_equal(mock_timer, first);
	/* The earliest of a processor's timers, of either kind. */
	arm(vp, first - 1);
	assert_int_equal(mock_timer, first - 1);
	arm(vp, 0);
	assert_int_equal(mock_timer, first);
	mock_tsc = clock_of_reference(vp->partition, 500);
	wr(vp, HVABI_MSR_STIMER0_CONFIG, DIRECT | HVABI_STIMER_PERIODIC | HVABI_STIMER_AUTO_ENABLE);
	wr(vp, HVABI_MSR_STIMER0_COUNT, 6000);
	assert_int_equal(mock_timer, clock_of_reference(vp->partition, 6500));
	deadline_expire(&mock_cpus[0], clock_of_reference(vp->partition, 6500) - 1);
	assert_false(requested(vp));
	deadline_expire(&mock_cpus[0], clock_of_reference(vp->partition, 6500));
	assert_true(requested(vp));
	assert_int_equal(mock_timer, first);
	/* Both at once, the periodic one late. */
	deadline_expire(&mock_cpus[0], clock_of_reference(vp->partition, 10600));
	assert_int_equal(vp->stimer[3].config, DIRECT);
	second = clock_of_reference(vp->partition, 12500);
	assert_int_equal(mock_timer, second);
	/* A timer in the past is due at the next exit. */
	wr(vps[0], HVABI_MSR_STIMER0_COUNT, 1);
	wr(vps[0], HVABI_MSR_STIMER0_CONFIG, ON);
	assert_int_equal(mock_timer, clock_of_reference(vps[0]->partition, 1));
	deadline_expire(&mock_cpus[0], mock_tsc);
	assert_true(requested(vps[0]));
	assert_int_equal(mock_timer, second);
}

static void processors_that_go_are_forgotten(void **state)
{
	struct hvabi_input_delete_vp in = { .partition_id = vps[1]->partition->id, .vp_index = 1 };

	(void)state;
	for (unsigned int i = 0; i < 4; i++)
		arm(vps[i], 8000000 - 1000000 * i);
	partition_finalize(&mock_cpus[0], vps[2]->partition);
	assert_int_equal(mock_timer, 7000000);
	assert_status(mock_call(HVABI_CALL_DELETE_VP, &in, sizeof(in), 0, 0), SUCCESS);
	assert_int_equal(mock_timer, 8000000);
	deadline_expire(&mock_cpus[0], 9000000);
	assert_true(requested(vps[0]));
	assert_true(mock_timer == TIME_NEVER);
}

/* ---- clocks that stand, or are set ---- */

/* Time stands for the child: neither scale moves, nothing expires, and then all goes on from there. */
static void a_frozen_clock_stands(void **state)
{
	struct vp *vp = vps[0];
	struct partition *p = vp->partition;
	uint64_t tsc = vp_tsc(vp), reference = clock_reference(p, clock_now(p)), detail;

	(void)state;
	assert_int_equal(synthetic_write(&mock_cpus[0], vp, HVABI_MSR_STIMER0_COUNT, reference + 1000, &detail),
			 MSR_DONE);
	assert_int_equal(synthetic_write(&mock_cpus[0], vp, HVABI_MSR_STIMER0_CONFIG, ON, &detail), MSR_DONE);
	assert_true(vp->deadline != TIME_NEVER);
	vp->explicit_suspend = false;
	clock_freeze(&mock_cpus[0], p, true);
	clock_freeze(&mock_cpus[0], p, true);
	assert_true(vp_suspended(vp));
	assert_true(vp->deadline == TIME_NEVER);
	mock_tsc += 5000000000;
	deadline_expire(&mock_cpus[0], mock_tsc);
	assert_int_equal(vp_tsc(vp), tsc);
	assert_int_equal(clock_reference(p, clock_now(p)), reference);
	clock_freeze(&mock_cpus[0], p, false);
	assert_false(vp_suspended(vp));
	assert_int_equal(vp_tsc(vp), tsc);
	assert_int_equal(mock_tsc + vp_rdtsc_offset(vp), tsc);
	assert_int_equal(vp->deadline, mock_tsc + clock_of_reference(p, reference + 1000) - tsc);
	mock_tsc = vp->deadline - 1;
	assert_true(clock_reference(p, clock_now(p)) < reference + 1000);
	mock_tsc++;
	assert_int_equal(clock_reference(p, clock_now(p)), reference + 1000);
	/* Twice is no more than the sum. */
	clock_freeze(&mock_cpus[0], p, true);
	tsc = vp_tsc(vp);
	mock_tsc += 12345;
	clock_freeze(&mock_cpus[0], p, false);
	assert_int_equal(vp_tsc(vp), tsc);
	vp->explicit_suspend = true;
}

/* A processor may go on for a moment after its clock was frozen: what it saw is not taken back. */
static void what_was_seen_is_not_taken_back(void **state)
{
	struct vp *vp = vps[0];
	struct partition *p = vp->partition;
	uint64_t saw;

	(void)state;
	vp->running = true;
	vp->cpu = &mock_cpus[1];
	clock_freeze(&mock_cpus[0], p, true);
	mock_tsc += 1000;
	saw = mock_tsc + vp_rdtsc_offset(vp);
	vp->running = false;
	clock_left(p);
	mock_tsc += 1000000;
	assert_int_equal(vp_tsc(vp), saw);
	clock_freeze(&mock_cpus[0], p, false);
	assert_int_equal(vp_tsc(vp), saw);
	clock_left(p);
	assert_int_equal(vp_tsc(vp), saw);
	/* Nor where time goes on before it has left. */
	vp->running = true;
	clock_freeze(&mock_cpus[0], p, true);
	mock_tsc += 1000;
	saw = vp_tsc(vp) + 1000;
	clock_freeze(&mock_cpus[0], p, false);
	vp->running = false;
	clock_left(p);
	assert_int_equal(vp_tsc(vp), saw);
}

static uint64_t page_reference(const struct hvabi_reference_tsc_page *page, uint64_t tsc)
{
	return (uint64_t)((unsigned __int128)tsc * page->tsc_scale >> 64) + page->tsc_offset;
}

/* As whoever restores a partition does it: neither scale moves the other, and the page follows both. */
static void scales_are_set_apart(void **state)
{
	static const uint64_t tscs[] = { 0, 5, 1ull << 40, 1ull << 62 };
	static const uint64_t references[] = { 0, 7, 1ull << 33, 1ull << 50 };
	struct vp *vp = vps[0];
	struct partition *p = vp->partition;
	uint64_t gpa = 0, reference = clock_reference(p, clock_now(p));
	const struct hvabi_reference_tsc_page *page = platform_phys(2560 << 12);
	uint32_t sequence = 0;

	(void)state;
	assert_status(mock_map(p->id, 7, 2560, 1, HVABI_MAP_GPA_READABLE | HVABI_MAP_GPA_WRITABLE), SUCCESS);
	for (unsigned int i = 0; i < sizeof(tscs) / sizeof(tscs[0]); i++)
		for (unsigned int j = 0; j < sizeof(references) / sizeof(references[0]); j++) {
			for (unsigned int n = 0; n < 2; n++)
				vp_set_tsc(vps[n], tscs[i]);
			assert_int_equal(vp_tsc(vp), tscs[i]);
			assert_int_equal(clock_reference(p, clock_now(p)), reference);
			clock_set_reference(p, references[j]);
			assert_int_equal(vp_tsc(vp), tscs[i]);
			reference = references[j];
			assert_int_equal(clock_reference(p, clock_now(p)), reference);
			assert_int_equal(clock_of_reference(p, reference), 0);
			assert_int_equal(clock_reference(p, clock_of_reference(p, reference + 100)), reference + 100);
			p->reference_tsc_msr = 0x7000 | HVABI_MSR_PAGE_ENABLE;
			assert_true(clock_page_refresh(p, &gpa));
			assert_true(page->tsc_sequence > sequence);
			sequence = page->tsc_sequence;
			mock_tsc += 1000003;
			reference = clock_reference(p, clock_now(p));
			assert_int_equal(page_reference(page, vp_tsc(vps[1])), reference);
		}
	/* Processors that differ have no page in common. */
	vp_set_tsc(vps[1], 77);
	assert_true(clock_page_refresh(p, &gpa));
	assert_int_equal(page->tsc_sequence, 0);
	/* Nothing to be done twice, and a page that is missing is named. */
	assert_true(clock_page_refresh(p, &gpa));
	assert_int_equal(gpa, 0);
	p->reference_tsc_msr = 0x7fff0000 | HVABI_MSR_PAGE_ENABLE;
	vp_set_tsc(vps[1], vp_tsc(vp));
	assert_false(clock_page_refresh(p, &gpa));
	assert_int_equal(gpa, 0x7fff0000);
	p->reference_tsc_msr = 0;
}

/* The deadline is the child's number, whatever its TSC is set to. */
static void a_tsc_deadline_follows_its_tsc(void **state)
{
	struct vp *vp = vps[0];

	(void)state;
	vp_set_tsc(vp, 1000000);
	arm(vp, 3000000);
	assert_int_equal(vp->deadline, mock_tsc + 2000000);
	vp_set_tsc(vp, 2500000);
	assert_int_equal(vp->deadline, mock_tsc + 500000);
	assert_int_equal(vp_tsc_deadline(vp), 3000000);
	/* Past it, it is due; and one that never comes stays so. */
	vp_set_tsc(vp, 4000000);
	assert_true(vp->deadline <= mock_tsc);
	vp_set_tsc_deadline(vp, UINT64_MAX);
	deadline_update(vp);
	assert_true(vp->deadline > mock_tsc + (1ull << 62));
	vp_set_tsc_deadline(vp, 0);
	deadline_update(vp);
	assert_true(vp->deadline == TIME_NEVER);
	assert_int_equal(vp_tsc_deadline(vp), 0);
}

#define CHILD_TEST(function) cmocka_unit_test_setup(function, setup_children)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(scale_is_the_exact_fraction),
		TEST(round_trips),
		TEST(times_that_do_not_come),
		TEST(partitions_count_from_their_creation),
		TEST(refusals),
		TEST(one_shot),
		TEST(auto_enable),
		TEST(periodic),
		TEST(periods_have_a_floor),
		CHILD_TEST(the_earliest_is_awaited),
		CHILD_TEST(the_alarm_is_set_again),
		CHILD_TEST(what_is_due_expires),
		CHILD_TEST(expiry_wakes_who_waits_for_it),
		CHILD_TEST(short_periods_leave_time_for_the_guest),
		CHILD_TEST(synthetic_timers_have_deadlines),
		CHILD_TEST(processors_that_go_are_forgotten),
		CHILD_TEST(a_frozen_clock_stands),
		CHILD_TEST(what_was_seen_is_not_taken_back),
		CHILD_TEST(scales_are_set_apart),
		CHILD_TEST(a_tsc_deadline_follows_its_tsc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
