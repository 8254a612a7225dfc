// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hypercalls of a child: who may make them, what is refused, whom they reach.
 */
#include <hvabi/guest.h>
#include <hypervisor/core/guest_call.h>
#include <hypervisor/core/interrupt.h>
#include <hypervisor/core/message.h>
#include <hypervisor/core/synthetic.h>
#include <hypervisor/core/xsave.h>
#include "unit.h"

#define BASE		2048ull		/* of the parent's pages behind GFN 0 and on */
#define PAGES		4
#define INPUT		0x1000ull
#define VECTOR		0xfbu
#define EVERYBODY	~0ull

static struct cpu *const cpu = &mock_cpus[0];
static uint64_t id, result, fault;
static struct partition *p;
static struct vp *vp[3];

static int setup(void **state)
{
	(void)state;
	mock_reset();
	id = mock_apic_child(60, HVABI_PARTITION_FLAG_LAPIC_ENABLED, synthetic_features());
	p = partition_find(id);
	assert_status(mock_map(id, 0, BASE, PAGES, RWX), SUCCESS);
	for (uint32_t i = 0; i < 3; i++) {
		vp[i] = mock_vp(id, i);
		vp[i]->apic.svr = 0x1ff;
	}
	fault = 0x5a5a;
	return 0;
}

static uint64_t control(uint32_t code, uint64_t banks, uint64_t reps)
{
	return code | banks << HVABI_CONTROL_VARHEAD_SHIFT | reps << HVABI_CONTROL_REP_COUNT_SHIFT;
}

static bool make_at(uint64_t word, uint64_t gpa)
{
	const struct guest_call call = { word, gpa, 0 };

	result = 0x5a5a;
	return guest_call(cpu, vp[0], &call, &result, &fault) == GUEST_CALL_DONE;
}

static void make(uint64_t word, const void *in, size_t bytes)
{
	memcpy(platform_phys((BASE << 12) + INPUT), in, bytes);
	assert_true(make_at(word, INPUT));
}

#define assert_result(status) assert_int_equal(hvabi_result_status(result), HVABI_STATUS_##status)

static void assert_requested(unsigned int mask)
{
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(apic_requested(&vp[i]->apic), mask >> i & 1 ? (int)VECTOR : APIC_NO_VECTOR);
}

static void unknown_calls(void **state)
{
	const struct hvabi_input_flush in = { .processor_mask = EVERYBODY };
	uint64_t generation = p->tlb_generation;

	(void)state;
	make(control(0x8001, 0, 0), &in, sizeof(in));
	assert_result(INVALID_HYPERCALL_CODE);
	make(control(HVABI_CALL_CREATE_PARTITION, 0, 0), &in, sizeof(in));
	assert_result(INVALID_HYPERCALL_CODE);
	p->property[PROPERTY_SYNTHETIC_FEATURES] &= ~HVABI_SYNTHETIC_TLB_FLUSH;
	make(control(HVABI_CALL_FLUSH_VIRTUAL_ADDRESS_SPACE, 0, 0), &in, sizeof(in));
	assert_result(INVALID_HYPERCALL_CODE);
	assert_int_equal(p->tlb_generation, generation);
}

static void control_words(void **state)
{
	const struct hvabi_input_flush in = { .processor_mask = EVERYBODY };
	const uint32_t space = HVABI_CALL_FLUSH_VIRTUAL_ADDRESS_SPACE;
	const uint64_t bad[] = {
		control(space, 0, 0) | HVABI_CONTROL_NESTED,
		control(space, 0, 0) | 1ull << 44,
		control(space, 1, 0),
		control(space, 0, 1),
		control(space, 0, 0) | HVABI_CONTROL_FAST,
		control(HVABI_CALL_FLUSH_VIRTUAL_ADDRESS_LIST, 0, 0),
		control(HVABI_CALL_FLUSH_VIRTUAL_ADDRESS_LIST, 0, 1) | 1ull << HVABI_CONTROL_REP_START_SHIFT,
		control(HVABI_CALL_FLUSH_VIRTUAL_ADDRESS_SPACE_EX, 65, 0),
	};
	uint64_t generation = p->tlb_generation;

	(void)state;
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		make(bad[i], &in, sizeof(in));
		assert_result(INVALID_HYPERCALL_INPUT);
	}
	assert_true(make_at(control(space, 0, 0), INPUT + 4));
	assert_result(INVALID_ALIGNMENT);
	assert_true(make_at(control(space, 0, 0), INPUT + 4096 - 16));
	assert_result(INVALID_ALIGNMENT);
	assert_int_equal(p->tlb_generation, generation);
}

static void flushes(void **state)
{
	struct hvabi_input_flush in = { .address_space = 0x1000, .processor_mask = 1 };
	uint64_t list[3 + 2] = { 0x1000, 0, EVERYBODY, 0x7000, 0x9001 };
	uint64_t generation = p->tlb_generation;

	(void)state;
	make(control(HVABI_CALL_FLUSH_VIRTUAL_ADDRESS_SPACE, 0, 0), &in, sizeof(in));
	assert_result(SUCCESS);
	assert_int_equal(p->tlb_generation, ++generation);
	make(control(HVABI_CALL_FLUSH_VIRTUAL_ADDRESS_LIST, 0, 2), list, sizeof(list));
	assert_result(SUCCESS);
	assert_int_equal(hvabi_result_reps(result), 2);
	assert_int_equal(p->tlb_generation, ++generation);
	/* Nobody is meant. */
	in.processor_mask = 0;
	make(control(HVABI_CALL_FLUSH_VIRTUAL_ADDRESS_SPACE, 0, 0), &in, sizeof(in));
	assert_result(SUCCESS);
	assert_int_equal(p->tlb_generation, generation);
	in.flags = HVABI_FLUSH_ALL_PROCESSORS;
	make(control(HVABI_CALL_FLUSH_VIRTUAL_ADDRESS_SPACE, 0, 0), &in, sizeof(in));
	assert_int_equal(p->tlb_generation, ++generation);
	in.flags = 1 << 4;
	make(control(HVABI_CALL_FLUSH_VIRTUAL_ADDRESS_SPACE, 0, 0), &in, sizeof(in));
	assert_result(INVALID_PARAMETER);
	assert_int_equal(p->tlb_generation, generation);
}

/* Whoever is inside has left when the call returns. */
static void a_flush_reaches_who_runs(void **state)
{
	const struct hvabi_input_flush in = { .processor_mask = EVERYBODY };

	(void)state;
	mock_cpus[1].guest = p;
	make(control(HVABI_CALL_FLUSH_VIRTUAL_ADDRESS_SPACE, 0, 0), &in, sizeof(in));
	assert_result(SUCCESS);
	assert_int_equal(mock_kicks, 1);
	assert_null(mock_cpus[1].guest);
}

static void sets(void **state)
{
	uint64_t in[4 + 1] = { 0, 0, HVABI_VP_SET_SPARSE, 1, 1 };
	uint64_t generation = p->tlb_generation;

	(void)state;
	make(control(HVABI_CALL_FLUSH_VIRTUAL_ADDRESS_SPACE_EX, 1, 0), in, sizeof(in));
	assert_result(SUCCESS);
	assert_int_equal(p->tlb_generation, ++generation);
	/* More banks named than there are, and the other way round. */
	in[3] = 3;
	make(control(HVABI_CALL_FLUSH_VIRTUAL_ADDRESS_SPACE_EX, 1, 0), in, sizeof(in));
	assert_result(INVALID_PARAMETER);
	in[3] = 0;
	make(control(HVABI_CALL_FLUSH_VIRTUAL_ADDRESS_SPACE_EX, 1, 0), in, sizeof(in));
	assert_result(INVALID_PARAMETER);
	in[2] = 2;
	make(control(HVABI_CALL_FLUSH_VIRTUAL_ADDRESS_SPACE_EX, 0, 0), in, sizeof(in));
	assert_result(INVALID_PARAMETER);
	assert_int_equal(p->tlb_generation, generation);
	in[2] = HVABI_VP_SET_ALL;
	make(control(HVABI_CALL_FLUSH_VIRTUAL_ADDRESS_SPACE_EX, 0, 0), in, sizeof(in));
	assert_result(SUCCESS);
	assert_int_equal(p->tlb_generation, ++generation);
}

static void interrupts(void **state)
{
	const struct hvabi_input_cluster_ipi in = { .vector = VECTOR, .processor_mask = 5 };
	const struct guest_call fast = {
		control(HVABI_CALL_SEND_SYNTHETIC_CLUSTER_IPI, 0, 0) | HVABI_CONTROL_FAST, VECTOR, 2,
	};
	uint64_t ex[3 + 1] = { VECTOR, HVABI_VP_SET_SPARSE, 2, EVERYBODY };

	(void)state;
	/* Bank 1 has none of ours. */
	make(control(HVABI_CALL_SEND_SYNTHETIC_CLUSTER_IPI_EX, 1, 0), ex, sizeof(ex));
	assert_result(SUCCESS);
	assert_requested(0);
	make(control(HVABI_CALL_SEND_SYNTHETIC_CLUSTER_IPI, 0, 0), &in, sizeof(in));
	assert_result(SUCCESS);
	assert_requested(5);
	assert_int_equal(guest_call(cpu, vp[0], &fast, &result, &fault), GUEST_CALL_DONE);
	assert_result(SUCCESS);
	assert_requested(7);
}

static void interrupts_refused(void **state)
{
	struct hvabi_input_cluster_ipi in = { .vector = 15, .processor_mask = EVERYBODY };

	(void)state;
	make(control(HVABI_CALL_SEND_SYNTHETIC_CLUSTER_IPI, 0, 0), &in, sizeof(in));
	assert_result(INVALID_PARAMETER);
	in.vector = 256;
	make(control(HVABI_CALL_SEND_SYNTHETIC_CLUSTER_IPI, 0, 0), &in, sizeof(in));
	assert_result(INVALID_PARAMETER);
	in.vector = VECTOR;
	in.target_vtl = 1;
	make(control(HVABI_CALL_SEND_SYNTHETIC_CLUSTER_IPI, 0, 0), &in, sizeof(in));
	assert_result(INVALID_PARAMETER);
	assert_requested(0);
}

static void a_blocked_processor_is_signalled(void **state)
{
	const struct hvabi_input_cluster_ipi in = { .vector = VECTOR, .processor_mask = 2 };

	(void)state;
	vp[1]->apic.wait_for_sipi = false;
	vp[1]->halted = vp[1]->blocked = true;
	vp[1]->state.rflags |= 0x200;
	make(control(HVABI_CALL_SEND_SYNTHETIC_CLUSTER_IPI, 0, 0), &in, sizeof(in));
	assert_false(vp[1]->blocked);
	assert_non_null(vp[1]->signal_on);
}

static void input_that_is_not_there_is_faulted_in(void **state)
{
	uint64_t generation = p->tlb_generation;

	(void)state;
	assert_false(make_at(control(HVABI_CALL_FLUSH_VIRTUAL_ADDRESS_SPACE, 0, 0), PAGES << 12));
	assert_int_equal(fault, PAGES << 12);
	assert_int_equal(result, 0x5a5a);
	assert_int_equal(p->tlb_generation, generation);
}

static uint64_t install(uint32_t access, uint64_t parameter)
{
	const struct hvabi_input_install_intercept in = {
		.partition_id = id, .access_type = access,
		.intercept_type = HVABI_INTERCEPT_TYPE_HYPERCALL, .intercept_parameter = parameter,
	};

	return mock_call(HVABI_CALL_INSTALL_INTERCEPT, &in, sizeof(in), 0, 0);
}

static uint32_t high_privileges(void)
{
	uint32_t out[4];

	synthetic_cpuid(p, HVABI_CPUID_FEATURES, out);
	return out[1];
}

static void extended_calls_are_the_parents(void **state)
{
	const struct guest_call call = { control(HVABI_CALL_EXT_MEMORY_HEAT_HINT, 0, 3), PAGES << 12, 0x77 };
	const struct hvabi_x64_hypercall_intercept_message *m = (const void *)vp[1]->message.payload;
	struct hvabi_u128 xmm = { 0x1234, 0x5678 };

	(void)state;
	assert_int_equal(high_privileges(), 0);
	assert_int_equal(guest_call(cpu, vp[1], &call, &result, &fault), GUEST_CALL_DONE);
	assert_result(INVALID_HYPERCALL_CODE);
	assert_status(install(HVABI_INTERCEPT_ACCESS_MASK_READ, 0), INVALID_PARAMETER);
	assert_status(install(HVABI_INTERCEPT_ACCESS_MASK_EXECUTE, 1), INVALID_PARAMETER);
	assert_status(install(HVABI_INTERCEPT_ACCESS_MASK_EXECUTE, 0), SUCCESS);
	assert_int_equal(high_privileges(), HVABI_PRIV_HIGH_EXTENDED_HYPERCALLS);
	/* The input is the parent's business, too. */
	result = 0x5a5a;
	assert_int_equal(guest_call(cpu, vp[1], &call, &result, &fault), GUEST_CALL_INTERCEPT);
	assert_int_equal(result, 0x5a5a);
	assert_false(make_at(control(0xffff, 0, 0), 0));
	assert_true(make_at(control(0x7fff, 0, 0), 0));
	assert_result(INVALID_HYPERCALL_CODE);
	for (unsigned int i = 0; i < GPRS; i++)
		vp[1]->state.gpr[i] = 0x100 + i;
	vp[1]->state.rip = 0xabc;
	xsave_set_xmm(vp_xsave_area(vp[1]), 5, &xmm);
	message_hypercall(vp[1], 3);
	assert_int_equal(vp[1]->message.header.message_type, HVABI_MSG_HYPERCALL_INTERCEPT);
	assert_int_equal(vp[1]->message.header.payload_size, 196);
	assert_int_equal(m->header.vp_index, 1);
	assert_int_equal(m->header.length_cr8, 3);
	assert_int_equal(m->header.rip, 0xabc);
	assert_int_equal(m->rax, 0x100);
	assert_int_equal(m->rcx, 0x101);
	assert_int_equal(m->rdx, 0x102);
	assert_int_equal(m->rbx, 0x103);
	assert_int_equal(m->rsi, 0x106);
	assert_int_equal(m->rdi, 0x107);
	assert_int_equal(m->r8, 0x108);
	assert_memory_equal(&m->xmm_registers[5], &xmm, sizeof(xmm));
	assert_int_equal(m->flags, 0);
	/* Taken back, there are none. */
	assert_status(install(0, 0), SUCCESS);
	assert_int_equal(high_privileges(), 0);
	assert_true(make_at(control(HVABI_CALL_EXT_QUERY_CAPABILITIES, 0, 0), INPUT));
	assert_result(INVALID_HYPERCALL_CODE);
}

#define CALL_TEST(function) cmocka_unit_test_setup(function, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CALL_TEST(unknown_calls),
		CALL_TEST(control_words),
		CALL_TEST(flushes),
		CALL_TEST(a_flush_reaches_who_runs),
		CALL_TEST(sets),
		CALL_TEST(interrupts),
		CALL_TEST(interrupts_refused),
		CALL_TEST(a_blocked_processor_is_signalled),
		CALL_TEST(input_that_is_not_there_is_faulted_in),
		CALL_TEST(extended_calls_are_the_parents),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
