// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hypercalls that give a child's SynIC something without a port.  Calls and layouts are rust-vmm's,
 * include/hvabi/partition.h.
 */
#include <hvabi/partition.h>
#include <hvabi/status.h>
#include "hypercall.h"
#include "interrupt.h"
#include "vp.h"
#include "vp_direct.h"

/* Without APICs there is no SynIC. */
static u16 find(struct hypercall *c, u64 id, u32 index, u8 vtl, u32 sint, struct vp **vp)
{
	u16 status = hc_active_vp(c, id, index, vp);

	if (status)
		return status;
	if (vtl || sint >= HVABI_SINTS || !partition_has_apic((*vp)->partition))
		return HVABI_STATUS_INVALID_PARAMETER;
	return HVABI_STATUS_SUCCESS;
}

/* SIGNAL_EVENT_DIRECT (0x00c0) */
u16 hc_signal_event_direct(struct hypercall *c)
{
	const struct hvabi_input_signal_event_direct *in = c->in;
	struct hvabi_output_signal_event_direct *out = c->out;
	bool newly = false;
	struct vp *vp;
	u16 status = find(c, in->target_partition, in->target_vp, in->target_vtl, in->target_sint, &vp);

	if (status)
		return status;
	if (in->flag_number >= HVABI_EVENT_FLAGS)
		return HVABI_STATUS_INVALID_PARAMETER;
	status = direct_signal(c->cpu, vp, in->target_sint, in->flag_number, &newly);
	out->newly_signaled = newly;
	return status;
}

/* POST_MESSAGE_DIRECT (0x00c1): flags and reserved bytes of the header are the hypervisor's. */
u16 hc_post_message_direct(struct hypercall *c)
{
	const struct hvabi_input_post_message_direct *in = c->in;
	struct hvabi_message message;
	struct vp *vp;
	u16 status = find(c, in->partition_id, in->vp_index, in->vtl, in->sint_index, &vp);

	if (status)
		return status;
	memcpy(&message, in->message, sizeof(message));
	if (message.header.message_type == HVABI_MSG_NONE ||
	    message.header.payload_size > sizeof(message.payload))
		return HVABI_STATUS_INVALID_PARAMETER;
	return direct_post(c->cpu, vp, in->sint_index, &message);
}
