// SPDX-License-Identifier: GPL-2.0-only
/*
 * The parent's synthetic interrupt controller: registers, the slot, and signals: each that the
 * hypervisor owes is delivered once, wherever and whenever there is room for it.
 */
#include <hypervisor/core/interrupt.h>
#include <hypervisor/core/synic.h>
#include "unit.h"

#define VECTOR		0xf3u
#define OWN_PAGE	1500ull		/* of the parent's memory */
#define MANY		23u

static struct cpu *const cpu = &mock_cpus[0], *const other = &mock_cpus[1];
static uint64_t id;
static struct vp *vps[MANY];

static void wr(struct cpu *c, uint32_t msr, uint64_t value)
{
	assert_true(synic_write(c, msr, value));
}

static uint64_t rd(struct cpu *c, uint32_t msr)
{
	uint64_t value = 0x5a5a;

	assert_true(synic_read(c, msr, &value));
	return value;
}

static void set_on(struct cpu *c, bool on)
{
	wr(c, HVABI_MSR_SCONTROL, on ? HVABI_SCONTROL_ENABLE : 0);
}

/* As Linux does: the preset page, then the slot's interrupt, then all of it. */
static void enable(struct cpu *c)
{
	wr(c, HVABI_MSR_SIMP, rd(c, HVABI_MSR_SIMP) | HVABI_MSR_PAGE_ENABLE);
	wr(c, HVABI_MSR_SINT0, VECTOR + c->index);
	set_on(c, true);
}

static struct hvabi_message *slot(struct cpu *c)
{
	return platform_phys(rd(c, HVABI_MSR_SIMP) & ~0xfffull);
}

/* How many a message names; the slot is full. */
static unsigned int named(struct cpu *c)
{
	const struct hvabi_scheduler_vp_signal_pair *m = (void *)slot(c)->payload;

	assert_int_equal(slot(c)->header.message_type, HVABI_MSG_SCHEDULER_VP_SIGNAL_PAIR);
	return m->vp_count;
}

/* Pair @i of it. */
static void assert_named(struct cpu *c, unsigned int i, const struct vp *vp)
{
	const struct hvabi_scheduler_vp_signal_pair *m = (void *)slot(c)->payload;

	assert_true(i < m->vp_count);
	assert_int_equal(m->partition_ids[i], vp->partition->id);
	assert_int_equal(m->vp_indexes[i], vp->index);
}

static bool is_free(struct cpu *c)
{
	return !slot(c)->header.message_type;
}

static bool asks_for_eom(struct cpu *c)
{
	return slot(c)->header.message_flags & HVABI_MESSAGE_FLAG_PENDING;
}

/* The reader's side: as the driver does. */
static void read_slot(struct cpu *c)
{
	slot(c)->header.message_type = 0;
	if (asks_for_eom(c))
		wr(c, HVABI_MSR_EOM, 0);
}

/* Linked from front to end, the end is where it says, and each knows its queue. */
static unsigned int queued(struct cpu *c)
{
	struct vp **at = &c->synic.signals;
	unsigned int n = 0;

	for (; *at; at = &(*at)->signal_next, n++)
		assert_ptr_equal((*at)->signal_on, &c->synic);
	assert_ptr_equal(c->synic.signals_end, at);
	return n;
}

static int setup(void **state)
{
	(void)state;
	mock_reset();
	mock_run = mock_ready_or_blocked;
	id = mock_apic_child(100, HVABI_PARTITION_FLAG_LAPIC_ENABLED, 0);
	for (unsigned int i = 0; i < MANY; i++)
		vps[i] = mock_vp(id, i);
	return 0;
}

/* ---- registers ---- */

static void registers(void **state)
{
	const uint64_t pages = (MOCK_PAGES - 2 * MOCK_CPUS) << 12;
	uint64_t value;

	(void)state;
	assert_true(rd(cpu, HVABI_MSR_SIMP) == pages);
	assert_true(rd(cpu, HVABI_MSR_SIEFP) == pages + 4096);
	assert_true(rd(other, HVABI_MSR_SIMP) == pages + 2 * 4096);
	assert_int_equal(rd(cpu, HVABI_MSR_SCONTROL), 0);
	assert_int_equal(rd(cpu, HVABI_MSR_SVERSION), 1);
	assert_int_equal(rd(cpu, HVABI_MSR_EOM), 0);
	assert_int_equal(rd(cpu, HVABI_MSR_SIRBP), 0);
	for (uint32_t i = 0; i < HVABI_SINTS; i++) {
		assert_int_equal(rd(cpu, HVABI_MSR_SINT0 + i), HVABI_SINT_MASKED);
		wr(cpu, HVABI_MSR_SINT0 + i, 0x20 + i);
	}
	for (uint32_t i = 0; i < HVABI_SINTS; i++)
		assert_int_equal(rd(cpu, HVABI_MSR_SINT0 + i), 0x20 + i);
	assert_false(synic_write(cpu, HVABI_MSR_SVERSION, 1));
	/* Auto-EOI, and vectors that are none unless the source is masked. */
	assert_false(synic_write(cpu, HVABI_MSR_SINT0, 0x20 | HVABI_SINT_AUTO_EOI));
	assert_false(synic_write(cpu, HVABI_MSR_SINT0, 15));
	assert_int_equal(rd(cpu, HVABI_MSR_SINT0), 0x20);
	wr(cpu, HVABI_MSR_SINT0, 16);
	wr(cpu, HVABI_MSR_SINT0, 15 | HVABI_SINT_MASKED);
	assert_int_equal(rd(cpu, HVABI_MSR_SINT0), 15 | HVABI_SINT_MASKED);
	for (uint32_t msr = 0x4000007f; msr <= 0x400000a1; msr++)
		assert_int_equal(synic_has_msr(msr), (msr >= 0x40000080 && msr <= 0x40000085) ||
						     (msr >= 0x40000090 && msr <= 0x4000009f));
	set_on(cpu, true);
	assert_int_equal(rd(cpu, HVABI_MSR_SCONTROL), 1);
	(void)synic_read(other, HVABI_MSR_SCONTROL, &value);
	assert_int_equal(value, 0);
}

static void pages_are_held_while_they_are_used(void **state)
{
	static const uint32_t msrs[] = { HVABI_MSR_SIMP, HVABI_MSR_SIEFP, HVABI_MSR_SIRBP };

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		uint64_t preset = rd(cpu, msrs[i]);

		/* Not the parent's: the hypervisor's, none at all, another's preset page. */
		assert_false(synic_write(cpu, msrs[i], (MOCK_HEAP << 12) | HVABI_MSR_PAGE_ENABLE));
		assert_false(synic_write(cpu, msrs[i], (1ull << 45) | HVABI_MSR_PAGE_ENABLE));
		assert_false(synic_write(cpu, msrs[i], rd(other, HVABI_MSR_SIMP) |
					 HVABI_MSR_PAGE_ENABLE));
		assert_true(rd(cpu, msrs[i]) == preset);
		wr(cpu, msrs[i], (OWN_PAGE << 12) | HVABI_MSR_PAGE_ENABLE);
		assert_int_equal(mock_refs(OWN_PAGE), 1);
		wr(cpu, msrs[i], (OWN_PAGE << 12) | HVABI_MSR_PAGE_ENABLE);
		assert_int_equal(mock_refs(OWN_PAGE), 1);
		wr(cpu, msrs[i], ((OWN_PAGE + 1) << 12) | HVABI_MSR_PAGE_ENABLE);
		assert_int_equal(mock_refs(OWN_PAGE), 0);
		assert_int_equal(mock_refs(OWN_PAGE + 1), 1);
		/* Off is off, whatever page is named, and twice. */
		wr(cpu, msrs[i], (OWN_PAGE + 1) << 12);
		assert_int_equal(mock_refs(OWN_PAGE + 1), 0);
		wr(cpu, msrs[i], 0);
		wr(cpu, msrs[i], MOCK_HEAP << 12);
		wr(cpu, msrs[i], (OWN_PAGE << 12) | HVABI_MSR_PAGE_ENABLE);
		/* The preset page again, which needs no reference. */
		wr(cpu, msrs[i], rd(other, HVABI_MSR_SIMP) - 2 * 4096 + HVABI_MSR_PAGE_ENABLE);
		assert_int_equal(mock_refs(OWN_PAGE), 0);
		assert_int_equal(mock_refs(MOCK_PAGES - 2 * MOCK_CPUS), 0);
		wr(cpu, msrs[i], 0);
	}
	/* What can be written to cannot be lent. */
	wr(cpu, HVABI_MSR_SIMP, (OWN_PAGE << 12) | HVABI_MSR_PAGE_ENABLE);
	assert_status(mock_call(HVABI_CALL_DEPOSIT_MEMORY, (uint64_t[]){ id, OWN_PAGE }, 16, 1, 0),
		      INVALID_PARAMETER);
	wr(cpu, HVABI_MSR_SIMP, 0);
	assert_status(mock_call(HVABI_CALL_DEPOSIT_MEMORY, (uint64_t[]){ id, OWN_PAGE }, 16, 1, 0),
		      SUCCESS);
}

/* ---- the slot ---- */

static void one_signal_is_one_message(void **state)
{
	const struct hvabi_scheduler_vp_signal_pair *m;

	(void)state;
	enable(cpu);
	memset(slot(cpu), 0, sizeof(*slot(cpu)));
	memset(slot(cpu)->payload, 0xee, sizeof(slot(cpu)->payload));
	synic_signal(cpu, vps[7]);
	m = (void *)slot(cpu)->payload;
	assert_int_equal(named(cpu), 1);
	assert_named(cpu, 0, vps[7]);
	assert_int_equal(m->overflow_count, 0);
	assert_int_equal(m->partition_ids[1], 0);
	assert_int_equal(slot(cpu)->header.payload_size, sizeof(*m));
	assert_int_equal(slot(cpu)->header.sender, 0);
	assert_false(asks_for_eom(cpu));
	assert_int_equal(mock_raises, 1);
	assert_int_equal(mock_raised, VECTOR);
	assert_int_equal(mock_raised_on, 0);
	assert_int_equal(vps[7]->root_signals, 1);
	assert_int_equal(counter(id, HVABI_COUNT_SIGNAL), 1);
	assert_int_equal(queued(cpu), 0);
	assert_null(vps[7]->signal_on);
}

static void a_full_slot_asks_for_eom(void **state)
{
	(void)state;
	enable(cpu);
	enable(other);
	synic_signal(cpu, vps[0]);
	synic_signal(cpu, vps[1]);
	assert_true(asks_for_eom(cpu));
	assert_int_equal(named(cpu), 1);
	assert_int_equal(mock_raises, 1);
	assert_int_equal(vps[1]->root_signals, 0);
	assert_int_equal(queued(cpu), 1);
	/* An EOM while the slot is full changes nothing. */
	wr(cpu, HVABI_MSR_EOM, 0);
	assert_int_equal(named(cpu), 1);
	assert_int_equal(mock_raises, 1);
	/* Another processor's EOM is not this one's. */
	slot(cpu)->header.message_type = 0;
	wr(other, HVABI_MSR_EOM, 0);
	assert_true(is_free(cpu));
	wr(cpu, HVABI_MSR_EOM, 0);
	assert_int_equal(named(cpu), 1);
	assert_named(cpu, 0, vps[1]);
	assert_int_equal(mock_raises, 2);
	assert_int_equal(vps[1]->root_signals, 1);
	assert_false(asks_for_eom(cpu));
	read_slot(cpu);
	assert_true(is_free(cpu));
}

/* How a call ended that was answered before: one message at a time, and only where somebody listens. */
static void the_end_of_a_call(void **state)
{
	const struct hvabi_async_call_completion *m = (void *)slot(cpu)->payload;

	(void)state;
	assert_false(synic_complete(cpu, id, 7));
	enable(cpu);
	synic_signal(cpu, vps[0]);
	assert_true(synic_complete(cpu, id, 7));
	assert_false(synic_complete(cpu, id, 8));
	assert_true(asks_for_eom(cpu));
	read_slot(cpu);
	assert_int_equal(slot(cpu)->header.message_type, HVABI_MSG_ASYNC_CALL_COMPLETION);
	assert_int_equal(slot(cpu)->header.payload_size, sizeof(*m));
	assert_int_equal(m->partition_id, id);
	assert_int_equal(m->status, 7);
	assert_false(asks_for_eom(cpu));
	read_slot(cpu);
	assert_true(is_free(cpu));
	assert_true(synic_complete(cpu, id, 8));
}

/* What is in the slot need not be ours. */
static void foreign_messages_wait_too(void **state)
{
	(void)state;
	enable(cpu);
	slot(cpu)->header.message_type = 1;
	slot(cpu)->payload[0] = 0x1234;
	synic_signal(cpu, vps[0]);
	assert_int_equal(slot(cpu)->header.message_type, 1);
	assert_int_equal(slot(cpu)->payload[0], 0x1234);
	assert_true(asks_for_eom(cpu));
	assert_int_equal(mock_raises, 0);
	read_slot(cpu);
	assert_int_equal(named(cpu), 1);
}

static void many_are_split(void **state)
{
	(void)state;
	enable(cpu);
	slot(cpu)->header.message_type = 1;
	for (unsigned int i = 0; i < MANY; i++) {
		synic_signal(cpu, vps[i]);
		synic_signal(cpu, vps[i / 2]);	/* in the queue already */
	}
	assert_int_equal(queued(cpu), MANY);
	read_slot(cpu);
	assert_int_equal(named(cpu), HVABI_SIGNAL_PAIRS);
	for (unsigned int i = 0; i < HVABI_SIGNAL_PAIRS; i++)
		assert_named(cpu, i, vps[i]);
	assert_true(asks_for_eom(cpu));
	assert_int_equal(queued(cpu), MANY - HVABI_SIGNAL_PAIRS);
	read_slot(cpu);
	assert_int_equal(named(cpu), MANY - HVABI_SIGNAL_PAIRS);
	for (unsigned int i = HVABI_SIGNAL_PAIRS; i < MANY; i++)
		assert_named(cpu, i - HVABI_SIGNAL_PAIRS, vps[i]);
	assert_false(asks_for_eom(cpu));
	assert_int_equal(mock_raises, 2);
	for (unsigned int i = 0; i < MANY; i++)
		assert_int_equal(vps[i]->root_signals, 1);
	assert_int_equal(counter(id, HVABI_COUNT_SIGNAL), MANY);
	/* Exactly as many as fit leave nothing to ask for. */
	slot(cpu)->header.message_type = 1;
	for (unsigned int i = 0; i < HVABI_SIGNAL_PAIRS; i++)
		synic_signal(cpu, vps[i]);
	read_slot(cpu);
	assert_int_equal(named(cpu), HVABI_SIGNAL_PAIRS);
	assert_false(asks_for_eom(cpu));
}

/* ---- who takes them ---- */

static void nothing_is_lost_while_nobody_listens(void **state)
{
	(void)state;
	for (unsigned int missing = 0; missing < 3; missing++) {
		unsigned int raises = mock_raises;

		enable(cpu);
		if (missing == 0)
			set_on(cpu, false);
		if (missing == 1)
			wr(cpu, HVABI_MSR_SIMP, rd(cpu, HVABI_MSR_SIMP) & ~HVABI_MSR_PAGE_ENABLE);
		if (missing == 2)
			wr(cpu, HVABI_MSR_SINT0, VECTOR | HVABI_SINT_MASKED);
		synic_signal(cpu, vps[missing]);
		assert_int_equal(queued(cpu), 1);
		assert_true(is_free(cpu));
		assert_int_equal(vps[missing]->root_signals, 0);
		assert_int_equal(mock_raises, raises);
		enable(cpu);
		assert_int_equal(named(cpu), 1);
		assert_named(cpu, 0, vps[missing]);
		assert_int_equal(mock_raises, raises + 1);
		read_slot(cpu);
	}
}

static void another_processor_takes_them(void **state)
{
	(void)state;
	enable(other);
	synic_signal(cpu, vps[0]);
	assert_int_equal(named(other), 1);
	assert_int_equal(mock_raised_on, 1);
	assert_int_equal(mock_raised, VECTOR + 1);
	read_slot(other);
	/* The nearer one is preferred. */
	enable(cpu);
	synic_signal(cpu, vps[1]);
	assert_int_equal(named(cpu), 1);
	assert_true(is_free(other));
	assert_int_equal(mock_raised_on, 0);
	/* Its slot is full: they wait there, and move when it goes. */
	for (unsigned int i = 2; i < 6; i++)
		synic_signal(cpu, vps[i]);
	assert_int_equal(queued(cpu), 4);
	assert_true(is_free(other));
	set_on(cpu, false);
	assert_int_equal(queued(cpu), 0);
	assert_int_equal(named(other), 4);
	for (unsigned int i = 2; i < 6; i++)
		assert_named(other, i - 2, vps[i]);
	/* What had been written stays to be read, and counts. */
	assert_int_equal(named(cpu), 1);
	assert_int_equal(vps[1]->root_signals, 1);
}

static void they_wait_until_one_comes_anywhere(void **state)
{
	(void)state;
	enable(cpu);
	slot(cpu)->header.message_type = 1;
	for (unsigned int i = 0; i < 3; i++)
		synic_signal(cpu, vps[i]);
	wr(cpu, HVABI_MSR_SINT0, VECTOR | HVABI_SINT_MASKED);
	assert_int_equal(queued(cpu), 3);
	enable(other);
	assert_int_equal(queued(cpu), 0);
	assert_int_equal(named(other), 3);
	for (unsigned int i = 0; i < 3; i++)
		assert_named(other, i, vps[i]);
	/* A queue whose processor still takes messages stays where it is. */
	read_slot(other);
	enable(cpu);
	synic_signal(cpu, vps[4]);
	assert_int_equal(queued(cpu), 1);
	wr(other, HVABI_MSR_SINT0 + 5, 0x40);
	assert_int_equal(queued(cpu), 1);
	assert_true(is_free(other));
}

/* ---- who goes ---- */

static void delete_vp(unsigned int index)
{
	struct hvabi_input_delete_vp in = { .partition_id = id, .vp_index = index };

	assert_status(mock_call(HVABI_CALL_DELETE_VP, &in, sizeof(in), 0, 0), SUCCESS);
}

static void processors_that_go_are_taken_out(void **state)
{
	static const unsigned int order[] = { 1, 3, 0, 2 };	/* middle, end, front, last */

	(void)state;
	enable(cpu);
	slot(cpu)->header.message_type = 1;
	for (unsigned int i = 0; i < 4; i++)
		synic_signal(cpu, vps[i]);
	for (unsigned int i = 0; i < 4; i++) {
		delete_vp(order[i]);
		assert_int_equal(queued(cpu), 3 - i);
	}
	read_slot(cpu);
	assert_true(is_free(cpu));
	assert_int_equal(mock_raises, 0);
	/* The queue works as before. */
	synic_signal(cpu, vps[5]);
	assert_int_equal(named(cpu), 1);
	synic_signal(cpu, vps[6]);
	synic_signal(cpu, vps[8]);
	partition_finalize(cpu, partition_find(id));
	assert_int_equal(queued(cpu), 0);
	read_slot(cpu);
	assert_true(is_free(cpu));
}

static void dispatch_suspend_ends_it(void **state)
{
	const union hvabi_register_value *out = mock_out();

	(void)state;
	enable(cpu);
	/* Blocked, named in a message. */
	for (unsigned int i = 1; i < 4; i++)
		assert_int_equal(mock_dispatch(vps[i]), HVABI_DISPATCH_STATE_BLOCKED);
	vp_signal(cpu, vps[1]);
	assert_status(mock_set(vps[1], HVABI_REG_DISPATCH_SUSPEND, 1), SUCCESS);
	assert_status(mock_get(vps[1], HVABI_REG_VP_ROOT_SIGNAL_COUNT), SUCCESS);
	assert_int_equal(out->reg64, 1);
	/* Blocked, signalled, not in a message yet: neither delivered nor counted. */
	vp_signal(cpu, vps[2]);
	assert_int_equal(queued(cpu), 1);
	assert_status(mock_set(vps[2], HVABI_REG_DISPATCH_SUSPEND, 1), SUCCESS);
	assert_int_equal(queued(cpu), 0);
	/* Blocked, and not signalled any more. */
	assert_status(mock_set(vps[3], HVABI_REG_DISPATCH_SUSPEND, 1), SUCCESS);
	vp_signal(cpu, vps[3]);
	vps[3]->halted = false;
	vps[3]->apic.wait_for_sipi = false;
	vp_wake(cpu, vps[3]);
	assert_int_equal(queued(cpu), 0);
	assert_status(mock_set(vps[3], HVABI_REG_EXPLICIT_SUSPEND, 0), SUCCESS);
	assert_int_equal(queued(cpu), 0);
	read_slot(cpu);
	assert_true(is_free(cpu));
	for (unsigned int i = 2; i < 4; i++) {
		assert_status(mock_get(vps[i], HVABI_REG_VP_ROOT_SIGNAL_COUNT), SUCCESS);
		assert_int_equal(out->reg64, 0);
	}
	/* The signal that was taken back was not lost for good. */
	assert_status(mock_set(vps[2], HVABI_REG_DISPATCH_SUSPEND, 0), SUCCESS);
	vp_signal(cpu, vps[2]);
	assert_status(mock_get(vps[2], HVABI_REG_VP_ROOT_SIGNAL_COUNT), SUCCESS);
	assert_int_equal(out->reg64, 1);
	/* It is a register like the others that only tell. */
	assert_status(mock_set(vps[1], HVABI_REG_VP_ROOT_SIGNAL_COUNT, 0), INVALID_PARAMETER);
	vps[1]->running = true;
	assert_status(mock_get(vps[1], HVABI_REG_VP_ROOT_SIGNAL_COUNT), SUCCESS);
	assert_int_equal(out->reg64, 1);
	vps[1]->running = false;
}

/* The promise to the parent: as many pairs as the count says, in any order of events. */
static void counts_equal_pairs(void **state)
{
	unsigned int pairs[MANY] = { 0 }, random = 1;

	(void)state;
	enable(cpu);
	enable(other);
	for (unsigned int step = 0; step < 20000; step++) {
		struct cpu *c = &mock_cpus[random >> 8 & 1];
		unsigned int i = (random >> 16) % MANY;

		random = random * 1103515245 + 12345;
		switch (random >> 20 & 7) {
		case 0:
			wr(c, HVABI_MSR_SCONTROL, random >> 24 & 1);
			break;
		case 1:
		case 2:
			if (is_free(c))
				break;
			for (unsigned int k = 0; k < named(c); k++) {
				const struct hvabi_scheduler_vp_signal_pair *m = (void *)slot(c)->payload;

				pairs[m->vp_indexes[k]]++;
			}
			read_slot(c);
			break;
		default:
			synic_signal(c, vps[i]);
			break;
		}
		(void)queued(cpu);
		(void)queued(other);
	}
	enable(cpu);
	enable(other);
	for (unsigned int round = 0; round < 8; round++) {
		struct cpu *c = &mock_cpus[round & 1];

		if (is_free(c))
			continue;
		for (unsigned int k = 0; k < named(c); k++) {
			const struct hvabi_scheduler_vp_signal_pair *m = (void *)slot(c)->payload;

			pairs[m->vp_indexes[k]]++;
		}
		read_slot(c);
	}
	assert_int_equal(queued(cpu) + queued(other), 0);
	for (unsigned int i = 0; i < MANY; i++) {
		assert_int_equal(pairs[i], vps[i]->root_signals);
		assert_true(pairs[i] > 20);
	}
}

#define SYNIC_TEST(function) cmocka_unit_test_setup(function, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SYNIC_TEST(registers),
		SYNIC_TEST(pages_are_held_while_they_are_used),
		SYNIC_TEST(one_signal_is_one_message),
		SYNIC_TEST(a_full_slot_asks_for_eom),
		SYNIC_TEST(the_end_of_a_call),
		SYNIC_TEST(foreign_messages_wait_too),
		SYNIC_TEST(many_are_split),
		SYNIC_TEST(nothing_is_lost_while_nobody_listens),
		SYNIC_TEST(another_processor_takes_them),
		SYNIC_TEST(they_wait_until_one_comes_anywhere),
		SYNIC_TEST(processors_that_go_are_taken_out),
		SYNIC_TEST(dispatch_suspend_ends_it),
		SYNIC_TEST(counts_equal_pairs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
