// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hypercall entry: control word, blocks, call table.  Laws: hypercall.h.
 */
#include <hvabi/debug.h>
#include <hvabi/partition.h>
#include <hvabi/status.h>
#include <hvabi/vp.h>
#include "fault_time.h"
#include "frame.h"
#include "hypercall.h"
#include "lie.h"
#include "lock.h"
#include "options.h"
#include "platform.h"
#include "port.h"
#include "stats.h"
#include "synic.h"

#define BLOCK_MAX 4096u

/*
 * Place of a call in the tables: its code; the project's own calls, whose codes are far from the others, follow behind.
 */
#define OWN_FIRST	0x140u
#define OWN_PLACE(name)	(OWN_FIRST + HVABI_CALL_DEBUG_##name - HVABI_CALL_DEBUG_GET_COUNTERS)
#define PLACES		(OWN_PLACE(GET_OPTION) + 1)

/* Shape of a call of the ABI, whether it is answered here or not. @code is 0 where there is none. */
struct call_shape {
	u16 code;
	u8 kind;
	u16 in_header, in_element;
	u16 out_header, out_element;
};

static const struct call_shape shapes[PLACES] = {
#define X(name, code, kind, in, in_el, out, out_el) \
	[code] = { code, HVABI_KIND_##kind, in, in_el, out, out_el },
	HVABI_CALL_LIST(X)
#undef X
#define OWN(name, in, out) \
	[OWN_PLACE(name)] = { HVABI_CALL_DEBUG_##name, HVABI_KIND_SIMPLE, in, 0, out, 0 }
	OWN(GET_COUNTERS, 16, HVABI_COUNT_MAX * 8),
	OWN(WHO_CAN_REACH, 16, sizeof(struct hvabi_output_debug_who_can_reach)),
	OWN(SET_OPTION, 24, 8),
	OWN(GET_OPTION, 24, 8),
#undef OWN
};

/* @handler is NULL where a call is not answered; @shared: it concerns one child only. */
struct call_handler {
	hypercall_handler *handler;
	enum hvabi_debug_counter counter;
	bool shared;
};

#define CALL(name, function) \
	[HVABI_CALL_##name] = { function, HVABI_COUNT_CALL_##name, false }
#define SHARED(name, function) \
	[HVABI_CALL_##name] = { function, HVABI_COUNT_CALL_##name, true }
#define OWN_CALL(name, function) \
	[OWN_PLACE(name)] = { function, HVABI_COUNT_CALL_DEBUG_##name, false }

static const struct call_handler handlers[PLACES] = {
	CALL(CREATE_PARTITION, hc_create_partition),
	CALL(INITIALIZE_PARTITION, hc_initialize_partition),
	CALL(FINALIZE_PARTITION, hc_finalize_partition),
	CALL(DELETE_PARTITION, hc_delete_partition),
	CALL(GET_PARTITION_PROPERTY, hc_get_partition_property),
	CALL(SET_PARTITION_PROPERTY, hc_set_partition_property),
	CALL(GET_PARTITION_PROPERTY_EX, hc_get_partition_property_ex),
	CALL(GET_PARTITION_ID, hc_get_partition_id),
	SHARED(INSTALL_INTERCEPT, hc_install_intercept),
	CALL(DEPOSIT_MEMORY, hc_deposit_memory),
	CALL(WITHDRAW_MEMORY, hc_withdraw_memory),
	SHARED(MAP_GPA_PAGES, hc_map_gpa_pages),
	SHARED(UNMAP_GPA_PAGES, hc_unmap_gpa_pages),
	SHARED(GET_GPA_PAGES_ACCESS_STATES, hc_get_gpa_pages_access_states),
	CALL(ACQUIRE_SPARSE_SPA_PAGE_HOST_ACCESS, hc_acquire_host_access),
	CALL(RELEASE_SPARSE_SPA_PAGE_HOST_ACCESS, hc_release_host_access),
	CALL(CREATE_VP, hc_create_vp),
	CALL(DELETE_VP, hc_delete_vp),
	SHARED(GET_VP_REGISTERS, hc_get_vp_registers),
	SHARED(SET_VP_REGISTERS, hc_set_vp_registers),
	SHARED(TRANSLATE_VIRTUAL_ADDRESS, hc_translate_virtual_address),
	SHARED(DISPATCH_VP, hc_dispatch_vp),
	CALL(MAP_VP_STATE_PAGE, hc_map_vp_state_page),
	CALL(UNMAP_VP_STATE_PAGE, hc_unmap_vp_state_page),
	SHARED(ASSERT_VIRTUAL_INTERRUPT, hc_assert_virtual_interrupt),
	SHARED(CLEAR_VIRTUAL_INTERRUPT, hc_clear_virtual_interrupt),
	CALL(CREATE_PORT, hc_create_port),
	CALL(CONNECT_PORT, hc_connect_port),
	CALL(DISCONNECT_PORT, hc_disconnect_port),
	CALL(DELETE_PORT, hc_delete_port),
	SHARED(NOTIFY_PORT_RING_EMPTY, hc_notify_port_ring_empty),
	SHARED(GET_VP_STATE, hc_get_vp_state),
	SHARED(SET_VP_STATE, hc_set_vp_state),
	SHARED(REGISTER_INTERCEPT_RESULT, hc_register_intercept_result),
	SHARED(GET_VP_CPUID_VALUES, hc_get_vp_cpuid_values),
	CALL(MAP_STATS_PAGE, hc_map_stats_page),
	CALL(MAP_STATS_PAGE2, hc_map_stats_page2),
	CALL(UNMAP_STATS_PAGE, hc_unmap_stats_page),
	CALL(GET_SYSTEM_PROPERTY, hc_get_system_property),
	SHARED(SIGNAL_EVENT_DIRECT, hc_signal_event_direct),
	SHARED(POST_MESSAGE_DIRECT, hc_post_message_direct),
	OWN_CALL(GET_COUNTERS, hc_debug_get_counters),
	OWN_CALL(WHO_CAN_REACH, hc_debug_who_can_reach),
	OWN_CALL(SET_OPTION, hc_debug_set_option),
	OWN_CALL(GET_OPTION, hc_debug_get_option),
};

/* 0: no call has that code. */
static u32 place_of(u16 code)
{
	u32 own = (u32)code - HVABI_CALL_DEBUG_GET_COUNTERS;

	if (own < PLACES - OWN_FIRST)
		return OWN_FIRST + own;
	return code < OWN_FIRST ? code : 0;
}

/* A block the call may use: aligned, inside one page, and that page the parent's. */
static u16 check_block(u64 gpa, u32 bytes)
{
	if (!bytes)
		return HVABI_STATUS_SUCCESS;
	if (!aligned(gpa, 8) || (gpa & (PAGE_SIZE - 1)) + bytes > PAGE_SIZE)
		return HVABI_STATUS_INVALID_ALIGNMENT;
	if (!frame_is_parents(gpa >> PAGE_SHIFT))
		return HVABI_STATUS_INVALID_PARAMETER;
	return HVABI_STATUS_SUCCESS;
}

static u16 check_control(const struct call_shape *shape, u64 control)
{
	bool rep = shape->kind == HVABI_KIND_REP;
	u16 reps = hvabi_control_reps(control), start = hvabi_control_start(control);
	bool may_be_fast = shape->kind == HVABI_KIND_FAST8 || shape->kind == HVABI_KIND_FAST16;

	if (control & (HVABI_CONTROL_RESERVED | HVABI_CONTROL_NESTED))
		return HVABI_STATUS_INVALID_HYPERCALL_INPUT;
	if (hvabi_control_varhead(control) && shape->kind != HVABI_KIND_VARHEAD)
		return HVABI_STATUS_INVALID_HYPERCALL_INPUT;
	if ((control & HVABI_CONTROL_FAST) && !may_be_fast)
		return HVABI_STATUS_INVALID_HYPERCALL_INPUT;
	if (rep ? !reps || start >= reps : reps || start)
		return HVABI_STATUS_INVALID_HYPERCALL_INPUT;
	return HVABI_STATUS_SUCCESS;
}

/*
 * Whether a state goes to the output block or to pages that are listed says its type.  In the
 * second case Linux names no block.
 */
static u16 output_header(const struct hypercall *c, const struct call_shape *shape)
{
	const struct hvabi_input_vp_state *state = c->in;

	if (c->code == HVABI_CALL_GET_VP_STATE && (state->type & HVABI_VP_STATE_BY_PAGES))
		return 0;
	return shape->out_header;
}

/* Check both blocks and copy the input. */
static u16 take_input(struct hypercall *c, const struct call_shape *shape, u64 control,
		      u64 rdx, u64 r8)
{
	u32 in = shape->in_header + (u32)(c->reps + c->varhead) * shape->in_element;
	u32 out = (u32)c->reps * shape->out_element;
	u16 status;

	c->out_header = shape->out_header;
	if (in > BLOCK_MAX || out + shape->out_header > BLOCK_MAX)
		return HVABI_STATUS_INVALID_HYPERCALL_INPUT;
	if (control & HVABI_CONTROL_FAST) {
		memcpy(c->in, &rdx, 8);
		memcpy((u8 *)c->in + 8, &r8, 8);
		return HVABI_STATUS_SUCCESS;
	}
	status = check_block(rdx, in);
	if (status)
		return status;
	if (in)
		memcpy(c->in, platform_phys(rdx), in);
	c->out_header = output_header(c, shape);
	return check_block(r8, c->out_header + out);
}

/* Output that the parent may see: what was done, and a header only on success. */
static void give_output(const struct hypercall *c, const struct call_shape *shape,
			u16 start, u16 done, u16 status, u64 r8)
{
	u32 first = c->out_header + (u32)start * shape->out_element;
	/* A lie may say that less is done than was before. */
	u32 end = c->out_header + (u32)(done > start ? done : start) * shape->out_element;

	/* DISPATCH_VP let others run: the page may have been deposited since. */
	if ((!c->out_header && !shape->out_element) || !frame_is_parents(r8 >> PAGE_SHIFT))
		return;
	if (status == HVABI_STATUS_SUCCESS)
		memcpy(platform_phys(r8), c->out, c->out_header);
	memcpy((u8 *)platform_phys(r8) + first, (u8 *)c->out + first, end - first);
}

static u16 limit_reps(const struct hypercall *c)
{
	u64 most = option(HVABI_OPTION_PARTIAL_EVERY);

	if (!most || c->code == HVABI_CALL_DEPOSIT_MEMORY)
		return c->reps;
	return (u16)min_u64(c->reps, c->done + most);
}

/* Counts what was done, which need not be what is reported. */
static u64 finish(struct hypercall *c, const struct call_handler *h, u16 start, u16 reported, u16 status)
{
	count(c->cpu, c->target, h->counter, 1);
	count(c->cpu, c->target, h->counter + 1, (u64)(c->done - start));
	if (status != HVABI_STATUS_SUCCESS)
		count(c->cpu, c->target, h->counter + 2, 1);
	if (status == HVABI_STATUS_SUCCESS && c->done < c->reps)
		count(c->cpu, c->target, HVABI_COUNT_PARTIAL, 1);
	return hvabi_result(status, reported);
}

/* One that finds no partition says so. DISPATCH_VP gives the lock up meanwhile, and may come back without. */
static u16 perform(struct hypercall *c, const struct call_handler *h)
{
	struct partition *p = h->shared ? child_find(*(const u64 *)c->in) : NULL;
	u16 status;

	if (p)
		partition_lock(c->cpu, p);
	status = h->handler(c);
	partition_unlock(c->cpu);
	return status;
}

/* As the real one may: it is done, and how it ended is told by a message. */
static u16 answer_later(struct hypercall *c, const struct call_handler *h)
{
	const struct hvabi_input_set_partition_property *in = c->in;
	u16 status = h->handler(c);

	return synic_complete(c->cpu, in->partition_id, status) ? HVABI_STATUS_CALL_PENDING : status;
}

u64 hypercall(struct cpu *cpu, u64 control, u64 rdx, u64 r8)
{
	u16 code = hvabi_control_code(control), start = hvabi_control_start(control);
	const struct call_shape *shape = &shapes[place_of(code)];
	const struct call_handler *h = &handlers[place_of(code)];
	struct hypercall c = {
		.cpu = cpu, .target = &parent, .code = code,
		.reps = hvabi_control_reps(control), .done = start,
		.varhead = hvabi_control_varhead(control),
		.in = cpu->hc_input, .out = cpu->hc_output,
	};
	u16 status, reported;
	bool later = false;

	if (!shape->code || !h->handler) {
		count(cpu, &parent, HVABI_COUNT_UNKNOWN_CALL, 1);
		return hvabi_result(HVABI_STATUS_INVALID_HYPERCALL_CODE, 0);
	}
	fault_time_call(cpu, code);
	if (!h->shared)
		world_exclude(cpu);
	status = check_control(shape, control);
	if (status == HVABI_STATUS_SUCCESS)
		status = take_input(&c, shape, control, rdx, r8);
	if (status != HVABI_STATUS_SUCCESS)
		return finish(&c, h, start, start, status);
	if (option_refuses_call(code)) {
		status = (u16)option(HVABI_OPTION_REFUSE_STATUS);
		later = status == HVABI_STATUS_CALL_PENDING && code == HVABI_CALL_SET_PARTITION_PROPERTY;
		if (!later) {
			count(cpu, &parent, HVABI_COUNT_CALL_REFUSED, 1);
			return finish(&c, h, start, start, status);
		}
	}
	/* What is given back is what the handler wrote, or nothing. */
	memset(c.out, 0, shape->out_header + (u32)c.reps * shape->out_element);
	c.limit = limit_reps(&c);
	if (later)
		return finish(&c, h, start, start, answer_later(&c, h));
	lie_before(&c);
	if (!lie_instead(&c, &status))
		status = perform(&c, h);
	reported = lie_about(&c, start, &status);
	give_output(&c, shape, start, (u16)min_u64(reported, c.reps), status, r8);
	/*
	 * The parent's reading of "full" may overtake its emptying of the ring: then it does not
	 * call for what waits.
	 */
	synic_retry(cpu);
	stats_refresh(platform_tsc());
	return finish(&c, h, start, reported, status);
}

u16 hc_active_child(struct hypercall *c, u64 id, struct partition **p)
{
	*p = child_find(id);
	if (!*p)
		return HVABI_STATUS_INVALID_PARTITION_ID;
	c->target = *p;
	if ((*p)->state != PARTITION_ACTIVE)
		return HVABI_STATUS_INVALID_PARTITION_STATE;
	return HVABI_STATUS_SUCCESS;
}
