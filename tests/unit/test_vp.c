// SPDX-License-Identifier: GPL-2.0-only
/*
 * Virtual processors: registers by name, state pages, suspension, dispatch,
 * messages.
 */
#include <hypervisor/core/frame.h>
#include <hypervisor/core/message.h>
#include "unit.h"

#define MESSAGE_PAGE	900ull
#define REGISTER_PAGE	901ull

static uint64_t id;

static uint64_t create_vp(uint32_t index)
{
	struct hvabi_create_vp in = { .partition_id = id, .vp_index = index };

	memset(in.padding, 0xaa, sizeof(in.padding));	/* Linux leaves stale bytes there */
	in.subnode_id = ~0ull;
	return mock_call(HVABI_CALL_CREATE_VP, &in, sizeof(in), 0, 0);
}

static uint64_t map_page(uint16_t type, uint64_t pfn)
{
	struct hvabi_input_map_vp_state_page in = {
		.partition_id = id, .type = type, .requested_map_location = pfn,
		.flags = HVABI_VP_STATE_PAGE_LOCATION_PROVIDED,
	};

	return mock_call(HVABI_CALL_MAP_VP_STATE_PAGE, &in, sizeof(in), 0, 0);
}

static uint64_t unmap_page(uint16_t type)
{
	struct hvabi_input_unmap_vp_state_page in = { .partition_id = id, .type = type };

	return mock_call(HVABI_CALL_UNMAP_VP_STATE_PAGE, &in, sizeof(in), 0, 0);
}

static uint64_t dispatch(uint32_t flags)
{
	struct hvabi_input_dispatch_vp in = { .partition_id = id, .flags = flags };

	return mock_call(HVABI_CALL_DISPATCH_VP, &in, sizeof(in), 0, 0);
}

static uint64_t set(uint32_t name, uint64_t low, uint64_t high)
{
	struct {
		uint64_t partition;
		uint32_t vp, vtl;
		struct hvabi_register_assoc e;
	} in = { .partition = id, .e = { .name = name, .value.reg128 = { low, high } } };

	return mock_call(HVABI_CALL_SET_VP_REGISTERS, &in, sizeof(in), 1, 0);
}

static uint64_t get(uint32_t name, union hvabi_register_value *value)
{
	struct {
		uint64_t partition;
		uint32_t vp, vtl, name;
	} in = { id, 0, 0, name };
	uint64_t result = mock_call(HVABI_CALL_GET_VP_REGISTERS, &in, sizeof(in), 1, 0);

	memcpy(value, mock_out(), sizeof(*value));
	return result;
}

static int setup(void **state)
{
	(void)state;
	mock_reset();
	id = mock_child(40);
	assert_status(create_vp(0), SUCCESS);
	assert_status(set(HVABI_REG_EXPLICIT_SUSPEND, 0, 0), SUCCESS);
	return 0;
}

static void indexes(void **state)
{
	(void)state;
	assert_status(create_vp(0), INVALID_VP_INDEX);
	assert_status(create_vp(64), INVALID_VP_INDEX);
	assert_status(create_vp(~0u), INVALID_VP_INDEX);
	assert_status(create_vp(63), SUCCESS);
}

static void every_writable_register_reads_back(void **state)
{
	static const struct {
		uint32_t name;
		uint64_t low, high;
	} rows[] = {
		{ HVABI_REG_RAX, ~0ull, 0 }, { HVABI_REG_R15, 7, 0 }, { HVABI_REG_RIP, 1ull << 63, 0 },
		{ HVABI_REG_RFLAGS, 0x202, 0 }, { HVABI_REG_CR0, 0x80000011, 0 },
		{ HVABI_REG_CR2, ~0ull, 0 }, { HVABI_REG_CR3, 0x1000, 0 },
		{ HVABI_REG_CR4, 0x6f0, 0 }, { HVABI_REG_CR8, 15, 0 }, { HVABI_REG_XFEM, 7, 0 },
		{ HVABI_REG_EFER, 0xd01, 0 }, { HVABI_REG_DR0, ~0ull, 0 }, { HVABI_REG_DR7, 0x400, 0 },
		{ HVABI_REG_STAR, 5, 0 }, { HVABI_REG_LSTAR, 6, 0 }, { HVABI_REG_KERNEL_GS_BASE, 8, 0 },
		{ HVABI_REG_PAT, 0x0007040600070406, 0 }, { HVABI_REG_TSC_AUX, 3, 0 },
		{ HVABI_REG_XMM0 + 15, 0x1111, 0x2222 }, { HVABI_REG_FP_MMX0 + 7, 0x3333, 0x4444 },
		{ HVABI_REG_CS, 0x1000, 0xa09b0010ffffffff }, { HVABI_REG_TR, 0, 0x8b0000000067 },
		{ HVABI_REG_GDTR, 0xffff000000000000, 0x1000 },
		{ HVABI_REG_PENDING_INTERRUPTION, 0x000d0007, 0 },
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		union hvabi_register_value value;

		assert_status(set(rows[i].name, rows[i].low, rows[i].high), SUCCESS);
		assert_status(get(rows[i].name, &value), SUCCESS);
		assert_true(value.reg128.low == rows[i].low && value.reg128.high == rows[i].high);
	}
}

/* A VMM sets the 64 bits of a value that the register has; the other half holds what its memory held. */
static void other_halves_do_not_count(void **state)
{
	static const uint32_t names[] = {
		HVABI_REG_RAX, HVABI_REG_CR8, HVABI_REG_DEBUG_CTL, HVABI_REG_MTRR_PHYS_BASE0, HVABI_REG_MTRR_CAP,
		HVABI_REG_PENDING_EVENT0, HVABI_REG_TSC, HVABI_REG_EXPLICIT_SUSPEND,
		HVABI_REG_INTERRUPT_STATE,
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_status(set(names[i], 0, 0x5555555555555555), SUCCESS);
	assert_status(set(HVABI_REG_DEBUG_CTL, 1, 0), INVALID_REGISTER_VALUE);
}

static void bad_values_name_the_element(void **state)
{
	struct {
		uint64_t partition;
		uint32_t vp, vtl;
		struct hvabi_register_assoc e[3];
	} in = { .partition = id, .e = { { .name = HVABI_REG_RAX, .value.reg64 = 5 },
					 { .name = HVABI_REG_CR8, .value.reg64 = 16 },
					 { .name = HVABI_REG_RBX, .value.reg64 = 6 } } };
	union hvabi_register_value value;
	uint64_t result;

	(void)state;
	result = mock_call(HVABI_CALL_SET_VP_REGISTERS, &in, sizeof(in), 3, 0);
	assert_status(result, INVALID_REGISTER_VALUE);
	assert_done(result, 1);
	get(HVABI_REG_RAX, &value);
	assert_int_equal(value.reg64, 5);
	get(HVABI_REG_RBX, &value);
	assert_int_equal(value.reg64, 0);
	assert_status(set(0x12345678, 0, 0), INVALID_PARAMETER);
	assert_status(get(0x12345678, &value), INVALID_PARAMETER);
	assert_status(set(HVABI_REG_EFER, 1 << 12, 0), INVALID_REGISTER_VALUE);
	assert_status(set(HVABI_REG_XFEM, 5, 0), INVALID_REGISTER_VALUE);
	assert_status(set(HVABI_REG_XFEM, 1 << 5, 0), INVALID_REGISTER_VALUE);
	assert_status(set(HVABI_REG_XMM_CONTROL_STATUS, 0, 1 << 16), INVALID_REGISTER_VALUE);
	assert_status(set(HVABI_REG_EXPLICIT_SUSPEND, 2, 0), INVALID_REGISTER_VALUE);
}

static void state_pages_hold_their_page(void **state)
{
	uint64_t *out = mock_out();

	(void)state;
	assert_status(map_page(1, MOCK_HEAP), INVALID_PARAMETER);
	assert_status(map_page(1, 0), INVALID_PARAMETER);
	assert_status(map_page(2, MESSAGE_PAGE), INVALID_PARAMETER);
	assert_status(map_page(1, MESSAGE_PAGE), SUCCESS);
	assert_int_equal(*out, MESSAGE_PAGE);
	assert_int_equal(mock_refs(MESSAGE_PAGE), 1);
	/* Another page instead: the first one is free again. */
	assert_status(map_page(1, MESSAGE_PAGE + 5), SUCCESS);
	assert_int_equal(mock_refs(MESSAGE_PAGE), 0);
	assert_status(unmap_page(1), SUCCESS);
	assert_int_equal(mock_refs(MESSAGE_PAGE + 5), 0);
	assert_status(unmap_page(1), INVALID_PARAMETER);
}

static enum run_result hits_memory(struct cpu *cpu, struct vp *vp)
{
	(void)cpu;
	vp->state.rip = 0x1234;
	vp->state.gpr[RBX] = 77;
	message_memory(vp, 0x5678, HVABI_INTERCEPT_ACCESS_WRITE, true);
	return RUN_INTERCEPT;
}

static void dispatch_answers(void **state)
{
	struct hvabi_output_dispatch_vp *out = mock_out();
	const struct hvabi_message *m;
	const struct hvabi_x64_memory_intercept_message *memory;

	(void)state;
	assert_status(dispatch(0), INVALID_VP_STATE);	/* no message page */
	assert_status(map_page(1, MESSAGE_PAGE), SUCCESS);
	assert_status(dispatch(0x1000), INVALID_PARAMETER);
	assert_status(dispatch(0), SUCCESS);
	assert_int_equal(out->dispatch_state, HVABI_DISPATCH_STATE_READY);
	assert_int_equal(out->dispatch_event, HVABI_DISPATCH_EVENT_NONE);

	mock_run = hits_memory;
	assert_status(dispatch(0), SUCCESS);
	assert_int_equal(out->dispatch_event, HVABI_DISPATCH_EVENT_INTERCEPT);
	m = platform_phys(MESSAGE_PAGE << 12);
	memory = (const void *)m->payload;
	assert_int_equal(m->header.message_type, HVABI_MSG_GPA_INTERCEPT);
	assert_int_equal(m->header.sender, id);
	assert_int_equal(memory->guest_physical_address, 0x5678);
	assert_int_equal(memory->header.intercept_access_type, HVABI_INTERCEPT_ACCESS_WRITE);
	assert_int_equal(memory->header.rip, 0x1234);
	/* It stands in the intercept: it must be let go explicitly. */
	assert_status(dispatch(0), INVALID_VP_STATE);
	assert_status(dispatch(HVABI_DISPATCH_CLEAR_INTERCEPT_SUSPEND), SUCCESS);
}

static void suspended_processors_do_not_run(void **state)
{
	struct hvabi_output_dispatch_vp *out = mock_out();
	union hvabi_register_value value;
	uint64_t first = id;

	(void)state;
	assert_status(map_page(1, MESSAGE_PAGE), SUCCESS);
	mock_run = hits_memory;
	/* As each one starts. */
	id = mock_child(40);
	assert_status(create_vp(0), SUCCESS);
	assert_status(get(HVABI_REG_EXPLICIT_SUSPEND, &value), SUCCESS);
	assert_int_equal(value.reg64, 1);
	id = first;
	assert_status(set(HVABI_REG_EXPLICIT_SUSPEND, 1, 0), SUCCESS);
	assert_status(dispatch(0), SUCCESS);
	assert_int_equal(out->dispatch_state, HVABI_DISPATCH_STATE_BLOCKED);
	assert_int_equal(out->dispatch_event, HVABI_DISPATCH_EVENT_SUSPEND);
	assert_status(set(HVABI_REG_EXPLICIT_SUSPEND, 0, 0), SUCCESS);
	assert_status(dispatch(0), SUCCESS);
	assert_int_equal(out->dispatch_event, HVABI_DISPATCH_EVENT_INTERCEPT);
}

/* While it runs: registers are out of reach, suspension gets through. */
static enum run_result suspended_meanwhile(struct cpu *cpu, struct vp *vp)
{
	union hvabi_register_value one = { .reg64 = 1 }, value;

	vp->running = true;
	vp->cpu = cpu;
	assert_int_equal(vp_get_register(vp, HVABI_REG_RAX, &value), HVABI_STATUS_INVALID_VP_STATE);
	assert_int_equal(vp_set_register(cpu, vp, HVABI_REG_RAX, &one), HVABI_STATUS_INVALID_VP_STATE);
	assert_int_equal(vp_set_register(cpu, vp, HVABI_REG_DISPATCH_SUSPEND, &one), 0);
	assert_int_equal(mock_kicks, 1);
	vp->running = false;
	return RUN_PREEMPTED;
}

static void running_processors_can_be_stopped(void **state)
{
	struct hvabi_output_dispatch_vp *out = mock_out();

	(void)state;
	assert_status(map_page(1, MESSAGE_PAGE), SUCCESS);
	mock_run = suspended_meanwhile;
	assert_status(dispatch(0), SUCCESS);
	assert_int_equal(out->dispatch_state, HVABI_DISPATCH_STATE_BLOCKED);
}

static enum run_result finalized_meanwhile(struct cpu *cpu, struct vp *vp)
{
	partition_finalize(cpu, vp->partition);
	return RUN_GONE;
}

static void the_partition_may_go_meanwhile(void **state)
{
	(void)state;
	assert_status(map_page(1, MESSAGE_PAGE), SUCCESS);
	mock_run = finalized_meanwhile;
	assert_status(dispatch(0), INVALID_PARTITION_STATE);
	assert_int_equal(mock_refs(MESSAGE_PAGE), 0);
}

static void register_page(void **state)
{
	struct hvabi_vp_register_page *page = platform_phys(REGISTER_PAGE << 12);
	union hvabi_register_value value;

	(void)state;
	assert_status(map_page(1, MESSAGE_PAGE), SUCCESS);
	assert_status(map_page(0, REGISTER_PAGE), SUCCESS);
	assert_int_equal(page->isvalid, 0);
	mock_run = hits_memory;
	assert_status(dispatch(0), SUCCESS);
	assert_int_equal(page->isvalid, 1);
	assert_int_equal(page->rip, 0x1234);
	assert_int_equal(page->gp_registers[RBX], 77);
	/* Only classes marked dirty are taken over. */
	page->rip = 0x2000;
	page->gp_registers[RBX] = 78;
	page->dirty = HVABI_REGISTER_PAGE_DIRTY_IP;
	get(HVABI_REG_RIP, &value);
	assert_int_equal(value.reg64, 0x2000);
	get(HVABI_REG_RBX, &value);
	assert_int_equal(value.reg64, 77);
	/* A register set by hypercall shows in the page. */
	assert_status(set(HVABI_REG_RCX, 99, 0), SUCCESS);
	assert_int_equal(page->gp_registers[RCX], 99);
	/* Whoever runs the processor is about to write to the page: what others set meanwhile leaves it alone. */
	page->rip = 0x3000;
	assert_status(set(HVABI_REG_DELIVERABILITY_NOTIFICATIONS, 0, 0), SUCCESS);
	assert_status(set(HVABI_REG_EXPLICIT_SUSPEND, 0, 0), SUCCESS);
	assert_true(page->rip == 0x3000);
	page->dirty = HVABI_REGISTER_PAGE_DIRTY_IP;
	get(HVABI_REG_INTERCEPT_SUSPEND, &value);
	assert_int_equal(page->dirty, HVABI_REGISTER_PAGE_DIRTY_IP);
	page->gp_registers[RDX] = 55;
	page->dirty = HVABI_REGISTER_PAGE_DIRTY_GENERAL;
	mock_run = NULL;
	assert_status(dispatch(HVABI_DISPATCH_CLEAR_INTERCEPT_SUSPEND), SUCCESS);
	assert_int_equal(page->isvalid, 0);
	get(HVABI_REG_RDX, &value);
	assert_int_equal(value.reg64, 55);
}

static void delete_needs_a_stopped_processor(void **state)
{
	struct hvabi_input_delete_vp in = { .partition_id = id };
	struct vp *vp = vp_find(partition_find(id), 0);
	uint64_t free_before = partition_find(id)->pool.free;

	(void)state;
	vp->running = true;
	assert_status(mock_call(HVABI_CALL_DELETE_VP, &in, sizeof(in), 0, 0), INVALID_VP_STATE);
	vp->running = false;
	assert_status(mock_call(HVABI_CALL_DELETE_VP, &in, sizeof(in), 0, 0), SUCCESS);
	assert_int_equal(partition_find(id)->pool.free, free_before + 3);
	assert_status(mock_call(HVABI_CALL_DELETE_VP, &in, sizeof(in), 0, 0), INVALID_VP_INDEX);
	/* The fast form takes the same input in registers. */
	assert_status(create_vp(0), SUCCESS);
	assert_status(mock_hypercall(&mock_cpus[0], hvabi_control(HVABI_CALL_DELETE_VP, 0, 0) |
				HVABI_CONTROL_FAST, id, 0), SUCCESS);
}

#define VP_TEST(function) cmocka_unit_test_setup(function, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		VP_TEST(indexes),
		VP_TEST(every_writable_register_reads_back),
		VP_TEST(other_halves_do_not_count),
		VP_TEST(bad_values_name_the_element),
		VP_TEST(state_pages_hold_their_page),
		VP_TEST(dispatch_answers),
		VP_TEST(suspended_processors_do_not_run),
		VP_TEST(running_processors_can_be_stopped),
		VP_TEST(the_partition_may_go_meanwhile),
		VP_TEST(register_page),
		VP_TEST(delete_needs_a_stopped_processor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
