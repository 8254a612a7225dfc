// SPDX-License-Identifier: GPL-2.0-only
/*
 * Building of intercept messages.
 */
#include "message.h"
#include "platform.h"
#include "translate.h"
#include "xsave.h"

#define CR0_PE		BIT(0)
#define CR0_AM		BIT(18)
#define EFER_LMA	BIT(10)

static void *begin(struct vp *vp, u32 type, size_t payload)
{
	memset(&vp->message, 0, sizeof(vp->message));
	vp->message.header.message_type = type;
	vp->message.header.payload_size = (u8)payload;
	vp->message.header.sender = vp->partition->id;
	return vp->message.payload;
}

static void end(struct vp *vp)
{
	u64 pfn = vp->overlay[VP_PAGE_MESSAGE];

	vp->intercept_suspend = true;
	memcpy(platform_phys(pfn << PAGE_SHIFT), &vp->message, sizeof(vp->message));
	vp_store_register_page(vp);
}

static void fill_header(struct vp *vp, struct hvabi_x64_intercept_message_header *h,
			u8 length, u8 access)
{
	const struct vp_state *s = &vp->state;
	u16 state = (s->segment[SEG_SS].attributes & HVABI_SEGMENT_DPL_MASK) >>
		    HVABI_SEGMENT_DPL_SHIFT;

	if (s->cr0 & CR0_PE)
		state |= HVABI_EXECUTION_STATE_CR0_PE;
	if (s->cr0 & CR0_AM)
		state |= HVABI_EXECUTION_STATE_CR0_AM;
	if (s->efer & EFER_LMA)
		state |= HVABI_EXECUTION_STATE_EFER_LMA;
	if (s->dr7 & 0xff)
		state |= HVABI_EXECUTION_STATE_DEBUG_ACTIVE;
	if (s->pending_interruption & HVABI_PENDING_INTERRUPTION_PENDING)
		state |= HVABI_EXECUTION_STATE_INTERRUPTION_PENDING;
	if (s->interrupt_shadow)
		state |= HVABI_EXECUTION_STATE_INTERRUPT_SHADOW;
	h->vp_index = vp->index;
	h->length_cr8 = (u8)((length & HVABI_INTERCEPT_LENGTH_MASK) |
			     (s->cr8 & 0xf) << HVABI_INTERCEPT_CR8_SHIFT);
	h->intercept_access_type = access;
	h->execution_state = state;
	h->cs_segment = s->segment[SEG_CS];
	h->rip = s->rip;
	h->rflags = s->rflags;
}

void message_memory(struct vp *vp, u64 gpa, u8 access, bool known)
{
	struct hvabi_x64_memory_intercept_message *m =
		begin(vp, known ? HVABI_MSG_GPA_INTERCEPT : HVABI_MSG_UNMAPPED_GPA, sizeof(*m));

	fill_header(vp, &m->header, 0, access);
	m->tpr_priority = (u8)vp->state.cr8;
	m->guest_physical_address = gpa;
	m->instruction_byte_count = (u8)fetch_instruction(vp, m->instruction_bytes);
	end(vp);
}

void message_io_port(struct vp *vp, const struct io_exit *io)
{
	const struct vp_state *s = &vp->state;
	struct hvabi_x64_io_port_intercept_message *m =
		begin(vp, HVABI_MSG_X64_IO_PORT_INTERCEPT, sizeof(*m));

	fill_header(vp, &m->header, io->length,
		    io->out ? HVABI_INTERCEPT_ACCESS_WRITE : HVABI_INTERCEPT_ACCESS_READ);
	m->port_number = io->port;
	m->access_info = io->bytes;
	if (io->string)
		m->access_info |= HVABI_IO_PORT_STRING_OP;
	if (io->rep)
		m->access_info |= HVABI_IO_PORT_REP_PREFIX;
	m->instruction_byte_count = (u8)fetch_instruction(vp, m->instruction_bytes);
	m->rax = s->gpr[RAX];
	m->ds_segment = s->segment[SEG_DS];
	m->es_segment = s->segment[SEG_ES];
	m->rcx = s->gpr[RCX];
	m->rsi = s->gpr[RSI];
	m->rdi = s->gpr[RDI];
	end(vp);
}

static void header_only(struct vp *vp, u32 type, u8 length)
{
	struct hvabi_x64_intercept_message_header *h = begin(vp, type, sizeof(*h));

	fill_header(vp, h, length, HVABI_INTERCEPT_ACCESS_EXECUTE);
	end(vp);
}

void message_halt(struct vp *vp)
{
	header_only(vp, HVABI_MSG_X64_HALT, 1);
}

void message_unrecoverable(struct vp *vp)
{
	header_only(vp, HVABI_MSG_UNRECOVERABLE_EXCEPTION, 0);
}

void message_invalid_state(struct vp *vp)
{
	struct hvabi_x64_invalid_vp_register_message *m =
		begin(vp, HVABI_MSG_INVALID_VP_REGISTER_VALUE, sizeof(*m));

	m->vp_index = vp->index;
	end(vp);
}

void message_unsupported(struct vp *vp, u32 feature, u64 parameter)
{
	struct hvabi_x64_unsupported_feature_message *m =
		begin(vp, HVABI_MSG_UNSUPPORTED_FEATURE, sizeof(*m));

	m->vp_index = vp->index;
	m->feature_code = feature;
	m->feature_parameter = parameter;
	end(vp);
}

void message_cpuid(struct vp *vp, const u32 result[4], u8 length)
{
	const struct vp_state *s = &vp->state;
	struct hvabi_x64_cpuid_intercept_message *m =
		begin(vp, HVABI_MSG_X64_CPUID_INTERCEPT, sizeof(*m));

	fill_header(vp, &m->header, length, HVABI_INTERCEPT_ACCESS_EXECUTE);
	m->rax = s->gpr[RAX];
	m->rcx = s->gpr[RCX];
	m->rdx = s->gpr[RDX];
	m->rbx = s->gpr[RBX];
	m->default_result_rax = result[0];
	m->default_result_rbx = result[1];
	m->default_result_rcx = result[2];
	m->default_result_rdx = result[3];
	end(vp);
}

void message_msr(struct vp *vp, u32 msr, bool write, u8 length)
{
	struct hvabi_x64_msr_intercept_message *m =
		begin(vp, HVABI_MSG_X64_MSR_INTERCEPT, sizeof(*m));

	fill_header(vp, &m->header, length,
		    write ? HVABI_INTERCEPT_ACCESS_WRITE : HVABI_INTERCEPT_ACCESS_READ);
	m->msr_number = msr;
	m->rdx = vp->state.gpr[RDX];
	m->rax = vp->state.gpr[RAX];
	end(vp);
}

void message_apic_eoi(struct vp *vp, u8 vector)
{
	struct hvabi_x64_apic_eoi_message *m = begin(vp, HVABI_MSG_X64_APIC_EOI, sizeof(*m));

	m->vp_index = vp->index;
	m->interrupt_vector = vector;
	end(vp);
}

void message_sint_deliverable(struct vp *vp, u16 sints)
{
	struct hvabi_x64_sint_deliverable_message *m = begin(vp, HVABI_MSG_SYNIC_SINT_DELIVERABLE, sizeof(*m));

	fill_header(vp, &m->header, 0, HVABI_INTERCEPT_ACCESS_EXECUTE);
	m->deliverable_sints = sints;
	end(vp);
}

void message_interruption_deliverable(struct vp *vp, u32 type)
{
	struct hvabi_x64_interruption_deliverable_message *m =
		begin(vp, HVABI_MSG_X64_INTERRUPTION_DELIVERABLE, sizeof(*m));

	fill_header(vp, &m->header, 0, HVABI_INTERCEPT_ACCESS_EXECUTE);
	m->deliverable_type = type;
	end(vp);
}

void message_hypercall(struct vp *vp, u8 length)
{
	const struct vp_state *s = &vp->state;
	struct hvabi_x64_hypercall_intercept_message *m =
		begin(vp, HVABI_MSG_HYPERCALL_INTERCEPT, HVABI_HYPERCALL_INTERCEPT_SIZE);

	fill_header(vp, &m->header, length, HVABI_INTERCEPT_ACCESS_EXECUTE);
	m->rax = s->gpr[RAX];
	m->rbx = s->gpr[RBX];
	m->rcx = s->gpr[RCX];
	m->rdx = s->gpr[RDX];
	m->r8 = s->gpr[R8];
	m->rsi = s->gpr[RSI];
	m->rdi = s->gpr[RDI];
	for (u32 i = 0; i < ARRAY_SIZE(m->xmm_registers); i++)
		xsave_get_xmm(vp_xsave_area(vp), i, &m->xmm_registers[i]);
	m->flags = vp->partition->isolated ? 1 : 0;
	end(vp);
}

void message_exception(struct vp *vp, u8 vector, bool has_error, u32 error, u64 parameter)
{
	const struct vp_state *s = &vp->state;
	struct hvabi_x64_exception_intercept_message *m =
		begin(vp, HVABI_MSG_X64_EXCEPTION_INTERCEPT, sizeof(*m));

	fill_header(vp, &m->header, 0, HVABI_INTERCEPT_ACCESS_EXECUTE);
	m->exception_vector = vector;
	if (has_error)
		m->exception_info = HVABI_EXCEPTION_ERROR_CODE_VALID;
	m->error_code = error;
	m->exception_parameter = parameter;
	m->instruction_byte_count = (u8)fetch_instruction(vp, m->instruction_bytes);
	m->ds_segment = s->segment[SEG_DS];
	m->ss_segment = s->segment[SEG_SS];
	memcpy(m->gp_registers, s->gpr, sizeof(m->gp_registers));
	end(vp);
}
