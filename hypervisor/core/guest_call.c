// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hypercalls of children.  Laws: guest_call.h.
 */
#include <hvabi/guest.h>
#include <hvabi/hypercall.h>
#include <hvabi/partition.h>
#include <hvabi/status.h>
#include <hvabi/vp.h>
#include "guest_call.h"
#include "interrupt.h"
#include "shootdown.h"
#include "translate.h"
#include "vp.h"

#define BLOCK_MAX	4096u
#define LOWEST_VECTOR	16u
#define FLUSH_FLAGS	(HVABI_FLUSH_ALL_PROCESSORS | HVABI_FLUSH_ALL_VIRTUAL_ADDRESS_SPACES | \
			 HVABI_FLUSH_NON_GLOBAL_MAPPINGS_ONLY | HVABI_FLUSH_USE_EXTENDED_RANGE_FORMAT)

/* A call in hand; @in is a copy. */
struct context {
	struct cpu *cpu;
	struct vp *vp;
	const void *in;
	u32 banks;		/* in the variable header */
};

typedef u16 guest_call_handler(struct context *c);

struct row {
	u16 code;
	u16 bytes;		/* of the fixed header */
	bool list;		/* a rep call, 8 bytes a rep */
	bool set;		/* a variable header of banks */
	bool fast;		/* may be */
	u64 feature;
	guest_call_handler *handler;
};

/* Flushing too much costs little; what is checked is what a real one would refuse. */
static u16 flush(struct context *c, u64 flags, bool anybody)
{
	if (flags & ~FLUSH_FLAGS)
		return HVABI_STATUS_INVALID_PARAMETER;
	if (anybody || (flags & HVABI_FLUSH_ALL_PROCESSORS))
		shootdown(c->cpu, c->vp->partition);
	return HVABI_STATUS_SUCCESS;
}

static u16 call_flush(struct context *c)
{
	const struct hvabi_input_flush *in = c->in;

	return flush(c, in->flags, in->processor_mask);
}

/* As many banks as bits of the mask. */
static bool set_valid(const struct context *c, const struct hvabi_vp_set *set)
{
	u32 named = 0;

	for (u32 i = 0; i < HVABI_VP_SET_BANKS; i++)
		named += (u32)(set->valid_bank_mask >> i & 1);
	return set->format == HVABI_VP_SET_ALL || (set->format == HVABI_VP_SET_SPARSE && named == c->banks);
}

/* The bank of processors 64 * @bank and on. */
static u64 set_bank(const struct hvabi_vp_set *set, u32 bank)
{
	u32 at = 0;

	if (set->format == HVABI_VP_SET_ALL)
		return UINT64_MAX;
	if (!(set->valid_bank_mask >> bank & 1))
		return 0;
	for (u32 i = 0; i < bank; i++)
		at += (u32)(set->valid_bank_mask >> i & 1);
	return set->bank_contents[at];
}

static u16 call_flush_ex(struct context *c)
{
	const struct hvabi_input_flush_ex *in = c->in;

	if (!set_valid(c, &in->set))
		return HVABI_STATUS_INVALID_PARAMETER;
	return flush(c, in->flags, in->set.format == HVABI_VP_SET_ALL || c->banks);
}

_Static_assert(MAX_VPS == 64, "processors of a child are one bank");

static u16 send(struct context *c, u32 vector, u8 vtl, u64 mask)
{
	struct partition *p = c->vp->partition;

	if (vector < LOWEST_VECTOR || vector > 255 || vtl)
		return HVABI_STATUS_INVALID_PARAMETER;
	count(c->cpu, p, HVABI_COUNT_IPI, 1);
	for (u32 i = 0; i < MAX_VPS; i++)
		if (p->vps[i] && (mask >> i & 1) &&
		    apic_accept(&p->vps[i]->apic, APIC_MODE_FIXED, (u8)vector, false))
			vp_wake(c->cpu, p->vps[i]);
	return HVABI_STATUS_SUCCESS;
}

static u16 call_ipi(struct context *c)
{
	const struct hvabi_input_cluster_ipi *in = c->in;

	return send(c, in->vector, in->target_vtl, in->processor_mask);
}

static u16 call_ipi_ex(struct context *c)
{
	const struct hvabi_input_cluster_ipi_ex *in = c->in;

	if (!set_valid(c, &in->set))
		return HVABI_STATUS_INVALID_PARAMETER;
	return send(c, in->vector, in->target_vtl, set_bank(&in->set, 0));
}

static const struct row rows[] = {
	{ HVABI_CALL_FLUSH_VIRTUAL_ADDRESS_SPACE, sizeof(struct hvabi_input_flush), false, false, false,
	  HVABI_SYNTHETIC_TLB_FLUSH, call_flush },
	{ HVABI_CALL_FLUSH_VIRTUAL_ADDRESS_LIST, sizeof(struct hvabi_input_flush), true, false, false,
	  HVABI_SYNTHETIC_TLB_FLUSH, call_flush },
	{ HVABI_CALL_FLUSH_VIRTUAL_ADDRESS_SPACE_EX, sizeof(struct hvabi_input_flush_ex), false, true, false,
	  HVABI_SYNTHETIC_TLB_FLUSH, call_flush_ex },
	{ HVABI_CALL_FLUSH_VIRTUAL_ADDRESS_LIST_EX, sizeof(struct hvabi_input_flush_ex), true, true, false,
	  HVABI_SYNTHETIC_TLB_FLUSH, call_flush_ex },
	{ HVABI_CALL_SEND_SYNTHETIC_CLUSTER_IPI, sizeof(struct hvabi_input_cluster_ipi), false, false, true,
	  HVABI_SYNTHETIC_CLUSTER_IPI, call_ipi },
	{ HVABI_CALL_SEND_SYNTHETIC_CLUSTER_IPI_EX, sizeof(struct hvabi_input_cluster_ipi_ex), false, true, false,
	  HVABI_SYNTHETIC_CLUSTER_IPI, call_ipi_ex },
};

/* One that the child was not given does not exist. */
static const struct row *find(const struct partition *p, u16 code)
{
	u64 features = p->property[PROPERTY_SYNTHETIC_FEATURES];

	for (u32 i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].code == code && (features & rows[i].feature))
			return partition_has_apic(p) ? &rows[i] : NULL;
	return NULL;
}

static u16 check_control(const struct row *row, u64 control)
{
	u16 reps = hvabi_control_reps(control), start = hvabi_control_start(control);
	u32 banks = hvabi_control_varhead(control);

	if (control & (HVABI_CONTROL_RESERVED | HVABI_CONTROL_NESTED))
		return HVABI_STATUS_INVALID_HYPERCALL_INPUT;
	if ((banks && !row->set) || banks > HVABI_VP_SET_BANKS)
		return HVABI_STATUS_INVALID_HYPERCALL_INPUT;
	if ((control & HVABI_CONTROL_FAST) && !row->fast)
		return HVABI_STATUS_INVALID_HYPERCALL_INPUT;
	if (row->list ? !reps || start >= reps : reps || start)
		return HVABI_STATUS_INVALID_HYPERCALL_INPUT;
	return HVABI_STATUS_SUCCESS;
}

bool guest_call_extended(const struct partition *p)
{
	return intercept_wanted(p, HVABI_INTERCEPT_TYPE_HYPERCALL, 0, HVABI_INTERCEPT_ACCESS_MASK_EXECUTE);
}

enum guest_call_outcome guest_call(struct cpu *cpu, struct vp *vp, const struct guest_call *call,
				   u64 *result, u64 *fault)
{
	const struct row *row = find(vp->partition, hvabi_control_code(call->control));
	struct context c = {
		.cpu = cpu, .vp = vp, .in = cpu->hc_input, .banks = hvabi_control_varhead(call->control),
	};
	u16 status, reps = hvabi_control_reps(call->control);
	u32 bytes;

	if (hvabi_control_code(call->control) >= HVABI_CALL_EXTENDED && guest_call_extended(vp->partition))
		return GUEST_CALL_INTERCEPT;
	if (!row) {
		*result = hvabi_result(HVABI_STATUS_INVALID_HYPERCALL_CODE, 0);
		return GUEST_CALL_DONE;
	}
	status = check_control(row, call->control);
	bytes = row->bytes + c.banks * 8 + (row->list ? reps * 8u : 0);
	if (status == HVABI_STATUS_SUCCESS && !(call->control & HVABI_CONTROL_FAST) &&
	    (!aligned(call->input, 8) || (call->input & (PAGE_SIZE - 1)) + bytes > BLOCK_MAX))
		status = HVABI_STATUS_INVALID_ALIGNMENT;
	if (status == HVABI_STATUS_SUCCESS) {
		if (call->control & HVABI_CONTROL_FAST) {
			memcpy(cpu->hc_input, &call->input, 8);
			memcpy(cpu->hc_input + 8, &call->output, 8);
		} else if (read_guest(vp->partition, call->input, cpu->hc_input, bytes) !=
			   HVABI_TRANSLATE_SUCCESS) {
			*fault = call->input;
			return GUEST_CALL_FAULT;
		}
		status = row->handler(&c);
	}
	*result = hvabi_result(status, status == HVABI_STATUS_SUCCESS ? reps : hvabi_control_start(call->control));
	return GUEST_CALL_DONE;
}
