// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hypercalls on partitions: life, properties, intercepts.
 */
#include <hvabi/partition.h>
#include <hvabi/status.h>
#include "clock.h"
#include "hypercall.h"
#include "options.h"
#include "platform.h"
#include "shootdown.h"
#include "synthetic.h"

/*
 * CREATE_PARTITION (0x0040): an exo partition with intercept message pages.
 * Isolated children (type SNP) have their memory for
 * themselves, but it is not encrypted.
 */
u16 hc_create_partition(struct hypercall *c)
{
	const u64 needed = HVABI_PARTITION_FLAG_EXO_PARTITION |
			   HVABI_PARTITION_FLAG_INTERCEPT_MESSAGE_PAGE_ENABLED;
	const u64 known = needed | HVABI_PARTITION_FLAG_SMT_ENABLED_GUEST |
			  HVABI_PARTITION_FLAG_GPA_SUPER_PAGES_ENABLED |
			  HVABI_PARTITION_FLAG_LAPIC_ENABLED | HVABI_PARTITION_FLAG_X2APIC_CAPABLE;
	const struct hvabi_input_create_partition *in = c->in;
	struct hvabi_output_create_partition *out = c->out;
	u64 isolation = in->isolation_properties & HVABI_ISOLATION_TYPE_MASK;

	if ((in->flags & needed) != needed || (in->flags & ~known))
		return HVABI_STATUS_INVALID_PARAMETER;
	if ((in->flags & HVABI_PARTITION_FLAG_X2APIC_CAPABLE) &&
	    !(in->flags & HVABI_PARTITION_FLAG_LAPIC_ENABLED))
		return HVABI_STATUS_INVALID_PARAMETER;
	if (isolation != HVABI_ISOLATION_TYPE_NONE && isolation != HVABI_ISOLATION_TYPE_SNP)
		return HVABI_STATUS_INVALID_PARAMETER;
	return partition_create(c->cpu, in->flags, isolation != HVABI_ISOLATION_TYPE_NONE,
				&out->partition_id);
}

static u16 named_child(struct hypercall *c, struct partition **p)
{
	const struct hvabi_input_partition *in = c->in;

	*p = child_find(in->partition_id);
	if (!*p)
		return HVABI_STATUS_INVALID_PARTITION_ID;
	c->target = *p;
	return HVABI_STATUS_SUCCESS;
}

/* INITIALIZE_PARTITION (0x0041) */
u16 hc_initialize_partition(struct hypercall *c)
{
	struct partition *p;
	u16 status = named_child(c, &p);

	return status ? status : partition_initialize(c->cpu, p);
}

/* FINALIZE_PARTITION (0x0042): allowed in every state but FINALIZED. */
u16 hc_finalize_partition(struct hypercall *c)
{
	struct partition *p;
	u16 status = named_child(c, &p);

	if (status)
		return status;
	if (p->state == PARTITION_FINALIZED)
		return HVABI_STATUS_INVALID_PARTITION_STATE;
	partition_finalize(c->cpu, p);
	return HVABI_STATUS_SUCCESS;
}

/* DELETE_PARTITION (0x0043) */
u16 hc_delete_partition(struct hypercall *c)
{
	struct partition *p;
	u16 status = named_child(c, &p);

	if (status)
		return status;
	status = partition_delete(p);
	if (status == HVABI_STATUS_SUCCESS)
		c->target = &parent;
	return status;
}

/* A property that a partition stores. */
struct stored_property {
	u32 code;
	u32 slot;
	u64 most;
	bool early;		/* settable only before INITIALIZE */
};

static const struct stored_property stored[] = {
	/* Bit by bit: hc_set_partition_property(). */
	{ HVABI_PROPERTY_SYNTHETIC_PROC_FEATURES, PROPERTY_SYNTHETIC_FEATURES, UINT64_MAX, true },
	/* What a child may do goes by its features: the flags are kept for who asks. */
	{ HVABI_PROPERTY_PRIVILEGE_FLAGS, PROPERTY_PRIVILEGE_FLAGS, UINT64_MAX, true },
	{ HVABI_PROPERTY_UNIMPLEMENTED_MSR_ACTION, PROPERTY_UNIMPLEMENTED_MSR_ACTION, 1, false },
	{ HVABI_PROPERTY_PROCESSORS_PER_SOCKET, PROPERTY_PROCESSORS_PER_SOCKET, 255, false },
	{ HVABI_PROPERTY_GPA_PAGE_ACCESS_TRACKING, PROPERTY_ACCESS_TRACKING, 1, false },
};

static const struct stored_property *find_stored(u32 code)
{
	for (u32 i = 0; i < ARRAY_SIZE(stored); i++)
		if (stored[i].code == code)
			return &stored[i];
	return NULL;
}

/* Properties that are facts of the machine, the same for every partition. */
static bool machine_property(u32 code, u64 *value)
{
	switch (code) {
	case HVABI_PROPERTY_PROCESSOR_FEATURES0:
		*value = platform_info.features[0];
		return true;
	case HVABI_PROPERTY_PROCESSOR_FEATURES1:
		*value = platform_info.features[1];
		return true;
	case HVABI_PROPERTY_PROCESSOR_XSAVE_FEATURES:
		*value = platform_info.xsave_features;
		return true;
	case HVABI_PROPERTY_XSAVE_STATES:
		*value = platform_info.xcr0_mask;
		return true;
	case HVABI_PROPERTY_MAX_XSAVE_DATA_SIZE:
		*value = platform_info.xsave_bytes;
		return true;
	case HVABI_PROPERTY_PHYSICAL_ADDRESS_WIDTH:
		*value = platform_info.physical_bits;
		return true;
	case HVABI_PROPERTY_PROCESSOR_CLOCK_FREQUENCY:
		*value = platform_info.tsc_hz;
		return true;
	default:
		return false;
	}
}

/* A child's time (clock.h). The parent has none but the machine's. */
static bool get_clock_property(const struct partition *p, u32 code, u64 *value)
{
	if (p->is_parent)
		return false;
	switch (code) {
	case HVABI_PROPERTY_TIME_FREEZE:
		*value = p->clock.frozen;
		return true;
	case HVABI_PROPERTY_REFERENCE_TIME:
		*value = clock_reference(p, clock_now(p));
		return true;
	default:
		return false;
	}
}

static u16 set_clock_property(struct hypercall *c, struct partition *p, u32 code, u64 value)
{
	if (p->state == PARTITION_FINALIZED)
		return HVABI_STATUS_INVALID_PARTITION_STATE;
	switch (code) {
	case HVABI_PROPERTY_TIME_FREEZE:
		if (value > 1)
			return HVABI_STATUS_PROPERTY_VALUE_OUT_OF_RANGE;
		clock_freeze(c->cpu, p, value);
		return HVABI_STATUS_SUCCESS;
	case HVABI_PROPERTY_REFERENCE_TIME:
		clock_set_reference(p, value);
		return HVABI_STATUS_SUCCESS;
	default:
		return HVABI_STATUS_UNKNOWN_PROPERTY;
	}
}

/* GET_PARTITION_PROPERTY (0x0044): of self or of a child. */
u16 hc_get_partition_property(struct hypercall *c)
{
	const struct hvabi_input_get_partition_property *in = c->in;
	struct hvabi_output_get_partition_property *out = c->out;
	struct partition *p = partition_find(in->partition_id);
	const struct stored_property *row = find_stored(in->property_code);

	if (!p)
		return HVABI_STATUS_INVALID_PARTITION_ID;
	c->target = p;
	if (machine_property(in->property_code, &out->property_value) ||
	    get_clock_property(p, in->property_code, &out->property_value))
		return HVABI_STATUS_SUCCESS;
	if (!row)
		return HVABI_STATUS_UNKNOWN_PROPERTY;
	out->property_value = p->property[row->slot];
	return HVABI_STATUS_SUCCESS;
}

/* SET_PARTITION_PROPERTY (0x0045): of a child; always synchronous. */
u16 hc_set_partition_property(struct hypercall *c)
{
	const struct hvabi_input_set_partition_property *in = c->in;
	const struct stored_property *row = find_stored(in->property_code);
	struct partition *p = child_find(in->partition_id);

	if (!p)
		return HVABI_STATUS_INVALID_PARTITION_ID;
	c->target = p;
	if (!row)
		return set_clock_property(c, p, in->property_code, in->property_value);
	if (p->state == PARTITION_FINALIZED || (row->early && p->state != PARTITION_CREATED))
		return HVABI_STATUS_INVALID_PARTITION_STATE;
	if (in->property_value > row->most ||
	    (row->slot == PROPERTY_SYNTHETIC_FEATURES && (in->property_value & ~synthetic_features())))
		return HVABI_STATUS_PROPERTY_VALUE_OUT_OF_RANGE;
	p->property[row->slot] = in->property_value;
	return HVABI_STATUS_SUCCESS;
}

/* GET_PARTITION_PROPERTY_EX (0x0101): of self. */
u16 hc_get_partition_property_ex(struct hypercall *c)
{
	const struct hvabi_input_get_partition_property_ex *in = c->in;
	struct hvabi_output_property_bank *bank = c->out;
	u64 *value = c->out;

	if (in->partition_id != HVABI_PARTITION_ID_SELF)
		return child_find(in->partition_id) ? HVABI_STATUS_UNKNOWN_PROPERTY :
						      HVABI_STATUS_INVALID_PARTITION_ID;
	switch (in->property_code) {
	case HVABI_PROPERTY_VMM_CAPABILITIES:
		bank->bank_count = 1;
		bank->bank[0] = HVABI_VMM_CAP_VMM_CAN_PROVIDE_OVERLAY_GPFN |
				HVABI_VMM_CAP_ASSIGNABLE_SYNTHETIC_PROC_FEATURES |
				HVABI_VMM_CAP_VMM_ENABLE_INTEGRATED_SCHEDULER;
		return HVABI_STATUS_SUCCESS;
	case HVABI_PROPERTY_ASSIGNABLE_SYNTHETIC_PROC_FEATURES:
		bank->bank_count = 1;
		bank->bank[0] = synthetic_features();
		return HVABI_STATUS_SUCCESS;
	case HVABI_PROPERTY_INTEGRATED_SCHEDULER_ENABLED:
		*value = option(HVABI_OPTION_SCHEDULER) == HVABI_SCHEDULER_OPTION_ROOT;
		return HVABI_STATUS_SUCCESS;
	default:
		return HVABI_STATUS_UNKNOWN_PROPERTY;
	}
}

/*
 * GET_PARTITION_ID (0x0046): the parent has no ACCESS_PARTITION_ID privilege
 * (an older Linux would write the answer to a wild address), and goes by "self".
 */
u16 hc_get_partition_id(struct hypercall *c)
{
	(void)c;
	return HVABI_STATUS_ACCESS_DENIED;
}

/*
 * INSTALL_INTERCEPT (0x004d): CPUID leaves, MSRs, exceptions and extended hypercalls.  Ports always
 * exit; MSRs that are switched with the VP never do, and are refused.  The parameter is a union: of its
 * bytes those count that the type has.
 */
u16 hc_install_intercept(struct hypercall *c)
{
	const u32 both = HVABI_INTERCEPT_ACCESS_MASK_READ | HVABI_INTERCEPT_ACCESS_MASK_WRITE;
	const struct hvabi_input_install_intercept *in = c->in;
	u32 access = HVABI_INTERCEPT_ACCESS_MASK_EXECUTE;
	u64 parameter = 0;
	struct partition *p;
	u16 status = hc_active_child(c, in->partition_id, &p);

	if (status)
		return status;
	switch (in->intercept_type) {
	case HVABI_INTERCEPT_TYPE_CPUID:
		parameter = (u32)in->intercept_parameter;
		break;
	case HVABI_INTERCEPT_TYPE_MSR:		/* all that exit */
		access = both;
		break;
	case HVABI_INTERCEPT_TYPE_MSR_INDEX:
		access = both;
		parameter = (u32)in->intercept_parameter;
		if (!platform_msr_exits((u32)parameter))
			return HVABI_STATUS_INVALID_PARAMETER;
		break;
	case HVABI_INTERCEPT_TYPE_EXCEPTION:
		parameter = (u16)in->intercept_parameter;
		if (parameter > 31)
			return HVABI_STATUS_INVALID_PARAMETER;
		break;
	case HVABI_INTERCEPT_TYPE_HYPERCALL:	/* all that are extended ones; no member of the union is its */
		if (in->intercept_parameter)
			return HVABI_STATUS_INVALID_PARAMETER;
		break;
	default:
		return HVABI_STATUS_INVALID_PARAMETER;
	}
	if (in->access_type & ~access)
		return HVABI_STATUS_INVALID_PARAMETER;
	/* Exits that take no lock look there. */
	evict(c->cpu, p);
	return intercept_install(p, in->intercept_type, parameter, in->access_type);
}
