// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a child's CPUID answers: results that its parent registers, and what it reads back.
 */
#include <hypervisor/core/cpuid_result.h>
#include <hypervisor/core/msr_result.h>
#include "unit.h"

#define ALL 0xffffffffu

static uint64_t id;
static struct vp *vp;

static int setup(void **state)
{
	(void)state;
	mock_reset();
	id = mock_child(40);
	vp = mock_vp(id, 0);
	mock_vp(id, 1);
	return 0;
}

static struct hvabi_input_register_intercept_result form(uint32_t leaf)
{
	return (struct hvabi_input_register_intercept_result){
		.partition_id = id, .intercept_type = HVABI_INTERCEPT_TYPE_CPUID, .cpuid_eax = leaf,
	};
}

static uint64_t give(const struct hvabi_input_register_intercept_result *in)
{
	return mock_call(HVABI_CALL_REGISTER_INTERCEPT_RESULT, in, sizeof(*in), 0, 0);
}

static uint64_t ask(uint32_t index, uint32_t leaf, uint32_t subleaf, uint32_t flags, uint64_t xfem)
{
	struct {
		struct hvabi_input_get_vp_cpuid_values in;
		struct hvabi_vp_cpuid_leaf leaf;
	} block = {
		{ .partition_id = id, .vp_index = index, .flags = flags, .padding = 5 },
		{ .eax = leaf, .ecx = subleaf, .xfem = xfem },
	};

	return mock_call(HVABI_CALL_GET_VP_CPUID_VALUES, &block, sizeof(block), 1, 0);
}

static void assert_answer(uint32_t leaf, uint32_t subleaf, uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
	const uint32_t *out = mock_out();

	assert_status(ask(0, leaf, subleaf, 3, 0), SUCCESS);
	assert_int_equal(out[0], a);
	assert_int_equal(out[1], b);
	assert_int_equal(out[2], c);
	assert_int_equal(out[3], d);
}

static void what_is_refused(void **state)
{
	struct hvabi_input_register_intercept_result in = form(1);

	(void)state;
	in.vp_index = 2;
	assert_status(give(&in), INVALID_VP_INDEX);
	in = form(1);
	in.partition_id = 3;
	assert_status(give(&in), INVALID_PARTITION_ID);
	in = form(1);
	in.intercept_type = HVABI_INTERCEPT_TYPE_EXCEPTION;
	assert_status(give(&in), INVALID_PARAMETER);
	in = form(1);
	in.subleaf_specific = 2;
	assert_status(give(&in), INVALID_PARAMETER);
	in = form(1);
	in.always_override = 2;
	assert_status(give(&in), INVALID_PARAMETER);
	assert_status(ask(2, 1, 0, 1, 0), INVALID_VP_INDEX);
	assert_status(ask(0, 1, 0, 4, 1), INVALID_PARAMETER);
	assert_status(ask(0, 1, 0, 0, 0), INVALID_PARAMETER);
	assert_status(ask(0, 1, 0, 0, 9), INVALID_PARAMETER);
	vp->running = true;
	assert_status(ask(0, 1, 0, 1, 0), INVALID_VP_STATE);
	in = form(1);
	assert_status(give(&in), SUCCESS);
	vp->running = false;
}

static uint64_t give_msr(uint32_t msr, uint32_t access, uint32_t action)
{
	struct hvabi_input_register_intercept_result block = { 0 };
	const struct hvabi_input_register_intercept_result_msr in = {
		.partition_id = id, .intercept_type = HVABI_INTERCEPT_TYPE_MSR,
		.msr_index = msr, .access_type = access, .action = action,
	};

	memset(&block, 0xee, sizeof(block));
	memcpy(&block, &in, 28);
	return give(&block);
}

/* Of MSRs that the hypervisor does not know. */
static void msrs(void **state)
{
	struct hvabi_input_set_partition_property in = {
		.partition_id = id, .property_code = HVABI_PROPERTY_UNIMPLEMENTED_MSR_ACTION,
		.property_value = HVABI_UNIMPLEMENTED_MSR_IGNORE_WRITE_READ_ZERO,
	};
	const uint32_t read = HVABI_MSR_RESULT_READ, write = HVABI_MSR_RESULT_WRITE;
	const struct vp *other = vp_find(partition_find(id), 1);

	(void)state;
	assert_status(give_msr(0x1234, 0, 1), INVALID_PARAMETER);
	assert_status(give_msr(0x1234, 4, 1), INVALID_PARAMETER);
	assert_status(give_msr(0x1234, read, 2), INVALID_PARAMETER);
	assert_int_equal(vp->msr_result_count, 0);
	assert_false(msr_result_ignores(vp, 0x1234, read));
	assert_status(give_msr(0x1234, read, 1), SUCCESS);
	assert_true(msr_result_ignores(vp, 0x1234, read));
	assert_false(msr_result_ignores(vp, 0x1234, write));
	assert_false(msr_result_ignores(vp, 0x1235, read));
	assert_false(msr_result_ignores(other, 0x1234, read));
	/* It goes before what is said of all. */
	assert_status(mock_call(HVABI_CALL_SET_PARTITION_PROPERTY, &in, sizeof(in), 0, 0), SUCCESS);
	assert_true(msr_result_ignores(vp, 0x1234, write));
	assert_true(msr_result_ignores(vp, 0x1235, read));
	assert_status(give_msr(0x1234, read | write, 0), SUCCESS);
	assert_false(msr_result_ignores(vp, 0x1234, read));
	assert_false(msr_result_ignores(vp, 0x1234, write));
	assert_int_equal(vp->msr_result_count, 1);
	for (uint32_t i = 1; i < MSR_RESULTS_MAX; i++)
		assert_status(give_msr(i, write, 1), SUCCESS);
	assert_status(give_msr(0x9999, write, 1), INSUFFICIENT_BUFFERS);
	assert_status(give_msr(1, read, 1), SUCCESS);
}

static void values(void **state)
{
	struct hvabi_input_register_intercept_result in = form(1);
	const uint32_t *out = mock_out();

	(void)state;
	assert_answer(1, 4, 1, 1, 4, 0);
	/* Another XCR0 than the processor's. */
	assert_status(ask(0, 1, 4, 2, 7), SUCCESS);
	assert_int_equal(out[1], 7);
	in.result[0].value = 0xff00;
	in.result[0].mask = 0xf000;
	in.result[3].value = in.result[3].mask = ALL;
	assert_status(give(&in), SUCCESS);
	assert_answer(1, 4, 0xf001, 1, 4, ALL);
	/* As the hypervisor answers without. */
	assert_status(ask(0, 1, 4, 1, 0), SUCCESS);
	assert_int_equal(out[0], 1);
	assert_int_equal(out[3], 0);
	/* The other processor has its own. */
	assert_status(ask(1, 1, 4, 3, 0), SUCCESS);
	assert_int_equal(out[0], 1);
	/* A new one takes the place of the old: bits can be taken away. */
	in = form(1);
	in.result[2].mask = ALL;
	assert_status(give(&in), SUCCESS);
	assert_answer(1, 4, 1, 1, 0, 0);
	assert_int_equal(vp->cpuid_result_count, 1);
}

static void subleaves(void **state)
{
	struct hvabi_input_register_intercept_result in = form(0xb);

	(void)state;
	in.result[3].value = in.result[3].mask = 5;
	assert_status(give(&in), SUCCESS);
	in.subleaf_specific = 1;
	in.cpuid_ecx = 1;
	in.result[3].value = in.result[3].mask = 6;
	assert_status(give(&in), SUCCESS);
	assert_answer(0xb, 0, 0xb, 1, 0, 5);
	assert_answer(0xb, 1, 0xb, 1, 1, 6);
	assert_answer(0xb, 2, 0xb, 1, 2, 5);
	in.result[3].value = in.result[3].mask = 7;
	assert_status(give(&in), SUCCESS);
	assert_answer(0xb, 1, 0xb, 1, 1, 7);
	assert_int_equal(vp->cpuid_result_count, 2);
}

static void where_nothing_is(void **state)
{
	struct hvabi_input_register_intercept_result in = form(0);

	(void)state;
	in.result[0].value = in.result[0].mask = 0x16;
	assert_status(give(&in), SUCCESS);
	assert_answer(0, 0, 0, 0, 0, 0);
	in.always_override = 1;
	assert_status(give(&in), SUCCESS);
	assert_answer(0, 0, 0x16, 0, 0, 0);
}

static void reps(void **state)
{
	struct {
		struct hvabi_input_get_vp_cpuid_values in;
		struct hvabi_vp_cpuid_leaf leaves[169];
	} block = { .in = { .partition_id = id, .flags = 3 } };
	const uint32_t *out = mock_out();
	uint64_t result;

	(void)state;
	for (uint32_t i = 0; i < 169; i++)
		block.leaves[i].eax = 100 + i;
	result = mock_call(HVABI_CALL_GET_VP_CPUID_VALUES, &block, sizeof(block), 169, 0);
	assert_status(result, SUCCESS);
	assert_done(result, 169);
	for (uint32_t i = 0; i < 169; i++)
		assert_int_equal(out[4 * i], 100 + i);
	/* One bad element: none is answered. */
	block.in.flags = 2;
	block.leaves[168].xfem = 8;
	result = mock_call(HVABI_CALL_GET_VP_CPUID_VALUES, &block, sizeof(block), 169, 3);
	assert_status(result, INVALID_PARAMETER);
	assert_done(result, 3);
}

static void memory_and_bound(void **state)
{
	struct pool *pool = &partition_find(id)->pool;
	const uint64_t before = pool->free;
	uint64_t block[512] = { id };
	struct hvabi_input_register_intercept_result in;

	(void)state;
	for (uint32_t i = 0; i < CPUID_RESULTS_MAX; i++) {
		in = form(i);
		assert_status(give(&in), SUCCESS);
	}
	in = form(CPUID_RESULTS_MAX);
	assert_status(give(&in), INSUFFICIENT_BUFFERS);
	in = form(3);
	assert_status(give(&in), SUCCESS);
	assert_true(pool->free < before);
	mock_call(HVABI_CALL_WITHDRAW_MEMORY, block, 16, 512, 0);
	in = form(1);
	in.vp_index = 1;
	assert_status(give(&in), INSUFFICIENT_MEMORY);
	mock_deposit(id, 330, 1);
	assert_status(give(&in), SUCCESS);
	assert_status(mock_call(HVABI_CALL_FINALIZE_PARTITION, &id, 8, 0, 0), SUCCESS);
	assert_int_equal(pool->free, pool->deposited);
}

#define CPUID_TEST(function) cmocka_unit_test_setup(function, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CPUID_TEST(what_is_refused),
		CPUID_TEST(values),
		CPUID_TEST(msrs),
		CPUID_TEST(subleaves),
		CPUID_TEST(where_nothing_is),
		CPUID_TEST(reps),
		CPUID_TEST(memory_and_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
