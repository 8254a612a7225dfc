// SPDX-License-Identifier: GPL-2.0-only
/*
 * Registers by name: GET_VP_REGISTERS and SET_VP_REGISTERS, one at a time.
 *
 * Plain 64-bit registers are a table; the rest are cases.  Values are checked
 * only as far as the world switch itself needs; whether they make sense
 * together is the processor's business at VMRUN.
 */
#include <hvabi/status.h>
#include "clock.h"
#include "cpu.h"
#include "interrupt.h"
#include "platform.h"
#include "sched.h"
#include "synic.h"
#include "synthetic.h"
#include "vp.h"
#include "vp_direct.h"
#include "xsave.h"

struct scalar {
	u32 name;
	u32 offset;
	u64 settable;		/* bits that may be set */
};

#define SCALAR(reg, field, bits) \
	{ HVABI_REG_##reg, offsetof(struct vp_state, field), bits }
#define ALL UINT64_MAX

#define EFER_DEFINED	0x4d01ull	/* SCE, LME, LMA, NXE, FFXSR */
#define XCR0_X87	BIT(0)
#define XCR0_SSE	BIT(1)
#define XCR0_AVX	BIT(2)

static const struct scalar scalars[] = {
	SCALAR(RIP, rip, ALL),
	SCALAR(RFLAGS, rflags, 0x3f7fd7),
	SCALAR(CR0, cr0, 0xe005003f),
	SCALAR(CR2, cr2, ALL),
	SCALAR(CR3, cr3, ALL),
	SCALAR(CR4, cr4, 0xf70fff),
	SCALAR(CR8, cr8, 0xf),
	SCALAR(INTERMEDIATE_CR0, cr0, 0xe005003f),
	SCALAR(INTERMEDIATE_CR3, cr3, ALL),
	SCALAR(INTERMEDIATE_CR4, cr4, 0xf70fff),
	SCALAR(INTERMEDIATE_CR8, cr8, 0xf),
	SCALAR(DR0, dr[0], ALL),
	SCALAR(DR1, dr[1], ALL),
	SCALAR(DR2, dr[2], ALL),
	SCALAR(DR3, dr[3], ALL),
	SCALAR(DR6, dr6, 0xffffffff),
	SCALAR(DR7, dr7, 0xffffffff),
	SCALAR(EFER, efer, EFER_DEFINED),
	SCALAR(KERNEL_GS_BASE, kernel_gs_base, ALL),
	SCALAR(PAT, pat, 0x0707070707070707),
	SCALAR(SYSENTER_CS, sysenter_cs, ALL),
	SCALAR(SYSENTER_EIP, sysenter_eip, ALL),
	SCALAR(SYSENTER_ESP, sysenter_esp, ALL),
	SCALAR(STAR, star, ALL),
	SCALAR(LSTAR, lstar, ALL),
	SCALAR(CSTAR, cstar, ALL),
	SCALAR(SFMASK, sfmask, ALL),
	SCALAR(TSC_AUX, tsc_aux, 0xffffffff),
	SCALAR(MTRR_DEF_TYPE, mtrr_def_type, 0xcff),
	SCALAR(PENDING_INTERRUPTION, pending_interruption, ALL),
};

static u64 *find_scalar(struct vp *vp, u32 name, u64 *settable)
{
	for (u32 i = 0; i < ARRAY_SIZE(scalars); i++) {
		if (scalars[i].name != name)
			continue;
		*settable = scalars[i].settable;
		return (u64 *)(uintptr_t)((u8 *)&vp->state + scalars[i].offset);
	}
	if (name >= HVABI_REG_RAX && name <= HVABI_REG_R15) {
		*settable = ALL;
		return &vp->state.gpr[name - HVABI_REG_RAX];
	}
	return NULL;
}

/* Registers that can be read and written while the VP runs. */
static bool *suspend_flag(struct vp *vp, u32 name)
{
	switch (name) {
	case HVABI_REG_EXPLICIT_SUSPEND:
		return &vp->explicit_suspend;
	case HVABI_REG_DISPATCH_SUSPEND:
		return &vp->dispatch_suspend;
	case HVABI_REG_INTERCEPT_SUSPEND:
		return &vp->intercept_suspend;
	default:
		return NULL;
	}
}

bool vp_register_is_aside(struct vp *vp, u32 name)
{
	return suspend_flag(vp, name) || name == HVABI_REG_DELIVERABILITY_NOTIFICATIONS;
}

/* The synthetic MSR behind a name, 0: there is none. */
static u32 synthetic_msr(u32 name)
{
	switch (name) {
	case HVABI_REG_GUEST_OS_ID:
		return HVABI_MSR_GUEST_OS_ID;
	case HVABI_REG_HYPERCALL:
		return HVABI_MSR_HYPERCALL;
	case HVABI_REG_TIME_REF_COUNT:
		return HVABI_MSR_TIME_REF_COUNT;
	case HVABI_REG_REFERENCE_TSC:
		return HVABI_MSR_REFERENCE_TSC;
	case HVABI_REG_VP_ASSIST_PAGE:
		return HVABI_MSR_VP_ASSIST_PAGE;
	case HVABI_REG_SCONTROL ... HVABI_REG_EOM:
		return HVABI_MSR_SCONTROL + (name - HVABI_REG_SCONTROL);
	case HVABI_REG_SINT0 ... HVABI_REG_SINT0 + HVABI_SINTS - 1:
		return HVABI_MSR_SINT0 + (name - HVABI_REG_SINT0);
	case HVABI_REG_STIMER0_CONFIG ... HVABI_REG_STIMER0_CONFIG + 2 * HVABI_STIMERS - 1:
		return HVABI_MSR_STIMER0_CONFIG + (name - HVABI_REG_STIMER0_CONFIG);
	default:
		return 0;
	}
}

/*
 * Registers that read as 0 and can be set to that, as whoever restores a processor does: MTRRs that
 * MTRR_CAP says are not there, events that are pending and have another register here, debugging
 * by branches.
 */
static bool is_zero(u32 name)
{
	switch (name) {
	case HVABI_REG_PENDING_EVENT0:
	case HVABI_REG_PENDING_EVENT1:
	case HVABI_REG_DEBUG_CTL:
	case HVABI_REG_MTRR_CAP:
	case HVABI_REG_MTRR_PHYS_BASE0 ... HVABI_REG_MTRR_PHYS_BASE0 + 15:
	case HVABI_REG_MTRR_PHYS_MASK0 ... HVABI_REG_MTRR_PHYS_MASK0 + 15:
	case HVABI_REG_MTRR_FIX64K_00000:
	case HVABI_REG_MTRR_FIX16K_80000:
	case HVABI_REG_MTRR_FIX16K_A0000:
	case HVABI_REG_MTRR_FIX4K_C0000 ... HVABI_REG_MTRR_FIX4K_C0000 + 7:
		return true;
	default:
		return false;
	}
}

static u16 get_special(struct vp *vp, u32 name, union hvabi_register_value *v)
{
	struct vp_state *s = &vp->state;
	void *area = vp_xsave_area(vp);

	if (name >= HVABI_REG_XMM0 && name < HVABI_REG_XMM0 + 16) {
		xsave_get_xmm(area, name - HVABI_REG_XMM0, &v->reg128);
		return HVABI_STATUS_SUCCESS;
	}
	if (name >= HVABI_REG_FP_MMX0 && name < HVABI_REG_FP_MMX0 + 8) {
		xsave_get_st(area, name - HVABI_REG_FP_MMX0, &v->reg128);
		return HVABI_STATUS_SUCCESS;
	}
	if (name >= HVABI_REG_ES && name <= HVABI_REG_TR) {
		v->segment = s->segment[name - HVABI_REG_ES];
		return HVABI_STATUS_SUCCESS;
	}
	switch (name) {
	case HVABI_REG_FP_CONTROL_STATUS:
		xsave_get_fp_control(area, &v->fp_control_status);
		break;
	case HVABI_REG_XMM_CONTROL_STATUS:
		xsave_get_xmm_control(area, &v->xmm_control_status);
		break;
	case HVABI_REG_GDTR:
		v->table.base = s->gdtr.base;
		v->table.limit = s->gdtr.limit;
		break;
	case HVABI_REG_IDTR:
		v->table.base = s->idtr.base;
		v->table.limit = s->idtr.limit;
		break;
	case HVABI_REG_XFEM:
		v->reg64 = s->xcr0;
		break;
	case HVABI_REG_INTERRUPT_STATE:
		v->reg64 = (s->interrupt_shadow ? HVABI_INTERRUPT_STATE_SHADOW : 0) |
			   (vp->nmi_masked ? HVABI_INTERRUPT_STATE_NMI_MASKED : 0);
		break;
	case HVABI_REG_INTERNAL_ACTIVITY_STATE:
		v->reg64 = (vp->apic.wait_for_sipi && partition_has_apic(vp->partition) ?
			    HVABI_ACTIVITY_STARTUP_SUSPEND : 0) |
			   (vp->halted && !vp->idle ? HVABI_ACTIVITY_HALT_SUSPEND : 0) |
			   (vp->idle ? HVABI_ACTIVITY_IDLE_SUSPEND : 0);
		break;
	case HVABI_REG_APIC_BASE:
		v->reg64 = vp->apic.base;
		break;
	case HVABI_REG_VP_INDEX:
	case HVABI_REG_INITIAL_APIC_ID:
		v->reg64 = vp->index;
		break;
	case HVABI_REG_PROCESSOR_CLOCK_FREQUENCY:
		v->reg64 = platform_info.tsc_hz;
		break;
	case HVABI_REG_INTERRUPT_CLOCK_FREQUENCY:
		v->reg64 = platform_info.apic_hz;
		break;
	case HVABI_REG_TSC:
		v->reg64 = vp_tsc(vp);
		break;
	default:
		/* The value is 0 already. */
		return is_zero(name) ? HVABI_STATUS_SUCCESS : HVABI_STATUS_INVALID_PARAMETER;
	}
	return HVABI_STATUS_SUCCESS;
}

u16 vp_get_register(struct vp *vp, u32 name, union hvabi_register_value *value)
{
	bool *flag = suspend_flag(vp, name);
	u64 settable, *scalar;

	*value = (union hvabi_register_value){ .reg128 = { 0, 0 } };
	if (flag) {
		value->reg64 = *flag;
		return HVABI_STATUS_SUCCESS;
	}
	if (name == HVABI_REG_DELIVERABILITY_NOTIFICATIONS) {
		value->reg64 = (u64)(vp->notify | vp->deliverable) << HVABI_DELIVERABILITY_SINTS_SHIFT |
			       (vp->notify_nmi ? HVABI_DELIVERABILITY_NMI : 0) |
			       (vp->notify_interrupt ? HVABI_DELIVERABILITY_INTERRUPT : 0) |
			       (u64)vp->notify_priority << HVABI_DELIVERABILITY_PRIORITY_SHIFT;
		return HVABI_STATUS_SUCCESS;
	}
	if (name == HVABI_REG_VP_ROOT_SIGNAL_COUNT) {
		value->reg64 = __atomic_load_n(&vp->root_signals, __ATOMIC_RELAXED);
		return HVABI_STATUS_SUCCESS;
	}
	if (vp->running)
		return HVABI_STATUS_INVALID_VP_STATE;
	if (synthetic_msr(name))
		return synthetic_read(vp, synthetic_msr(name), &value->reg64) == MSR_DONE ?
		       HVABI_STATUS_SUCCESS : HVABI_STATUS_INVALID_PARAMETER;
	scalar = find_scalar(vp, name, &settable);
	if (!scalar)
		return get_special(vp, name, value);
	value->reg64 = *scalar;
	return HVABI_STATUS_SUCCESS;
}

u16 vp_set_xfem(struct vp *vp, u64 value)
{
	if ((value & ~platform_info.xcr0_mask) || !(value & XCR0_X87) ||
	    ((value & XCR0_AVX) && !(value & XCR0_SSE)))
		return HVABI_STATUS_INVALID_REGISTER_VALUE;
	vp->state.xcr0 = value;
	return HVABI_STATUS_SUCCESS;
}

/* What HLT, INIT and GUEST_IDLE leave can be set by whoever restores a processor. */
static u16 set_activity(struct vp *vp, u64 value)
{
	if (!partition_has_apic(vp->partition) ||
	    (value & ~(HVABI_ACTIVITY_STARTUP_SUSPEND | HVABI_ACTIVITY_HALT_SUSPEND |
		       HVABI_ACTIVITY_IDLE_SUSPEND)))
		return HVABI_STATUS_INVALID_REGISTER_VALUE;
	vp->apic.wait_for_sipi = value & HVABI_ACTIVITY_STARTUP_SUSPEND;
	vp->idle = value & HVABI_ACTIVITY_IDLE_SUSPEND;
	vp->halted = vp->idle || (value & HVABI_ACTIVITY_HALT_SUSPEND);
	return HVABI_STATUS_SUCCESS;
}

static u16 set_special(struct vp *vp, u32 name, const union hvabi_register_value *v)
{
	struct vp_state *s = &vp->state;
	void *area = vp_xsave_area(vp);

	if (name >= HVABI_REG_XMM0 && name < HVABI_REG_XMM0 + 16) {
		xsave_set_xmm(area, name - HVABI_REG_XMM0, &v->reg128);
		return HVABI_STATUS_SUCCESS;
	}
	if (name >= HVABI_REG_FP_MMX0 && name < HVABI_REG_FP_MMX0 + 8) {
		xsave_set_st(area, name - HVABI_REG_FP_MMX0, &v->reg128);
		return HVABI_STATUS_SUCCESS;
	}
	if (name >= HVABI_REG_ES && name <= HVABI_REG_TR) {
		s->segment[name - HVABI_REG_ES] = v->segment;
		return HVABI_STATUS_SUCCESS;
	}
	switch (name) {
	case HVABI_REG_FP_CONTROL_STATUS:
		xsave_set_fp_control(area, &v->fp_control_status);
		break;
	case HVABI_REG_XMM_CONTROL_STATUS:
		if (!xsave_set_xmm_control(area, &v->xmm_control_status))
			return HVABI_STATUS_INVALID_REGISTER_VALUE;
		break;
	case HVABI_REG_GDTR:
		s->gdtr = (struct table_register){ v->table.base, v->table.limit };
		break;
	case HVABI_REG_IDTR:
		s->idtr = (struct table_register){ v->table.base, v->table.limit };
		break;
	case HVABI_REG_XFEM:
		return vp_set_xfem(vp, v->reg64);
	case HVABI_REG_INTERRUPT_STATE:
		if (v->reg64 & ~(HVABI_INTERRUPT_STATE_SHADOW | HVABI_INTERRUPT_STATE_NMI_MASKED))
			return HVABI_STATUS_INVALID_REGISTER_VALUE;
		s->interrupt_shadow = v->reg64 & HVABI_INTERRUPT_STATE_SHADOW;
		vp->nmi_masked = v->reg64 & HVABI_INTERRUPT_STATE_NMI_MASKED;
		break;
	case HVABI_REG_TSC:
		vp_set_tsc(vp, v->reg64);
		break;
	case HVABI_REG_INTERNAL_ACTIVITY_STATE:
		return set_activity(vp, v->reg64);
	case HVABI_REG_APIC_BASE:
		return vp_set_apic_base(vp, v->reg64) ? HVABI_STATUS_SUCCESS :
						       HVABI_STATUS_INVALID_REGISTER_VALUE;
	default:
		if (!is_zero(name))
			return HVABI_STATUS_INVALID_PARAMETER;
		return v->reg64 ? HVABI_STATUS_INVALID_REGISTER_VALUE : HVABI_STATUS_SUCCESS;
	}
	return HVABI_STATUS_SUCCESS;
}

static u16 set_suspend(struct cpu *cpu, struct vp *vp, bool *flag, u64 value)
{
	if (value > 1)
		return HVABI_STATUS_INVALID_REGISTER_VALUE;
	*flag = value != 0;
	if (vp->running)
		cpu_kick(vp->cpu);
	if (vp->partition->scheduled) {
		/* Who clears it without its message has not to be told any more. */
		if (!vp->intercept_suspend)
			synic_forget(vp);
		sched_wake(vp);
		return HVABI_STATUS_SUCCESS;
	}
	/* Nothing is signalled any more, and what was not delivered yet is not counted either. */
	if (vp->dispatch_suspend && synic_forget(vp))
		vp->blocked = true;
	if (flag == &vp->explicit_suspend && !value && !vp->running)
		vp_signal(cpu, vp);
	return HVABI_STATUS_SUCCESS;
}

static u16 set_notifications(struct cpu *cpu, struct vp *vp, u64 value)
{
	u16 sints = (u16)(value >> HVABI_DELIVERABILITY_SINTS_SHIFT);
	u64 rest = value & (BIT(HVABI_DELIVERABILITY_SINTS_SHIFT) - 1);

	if ((rest & ~(HVABI_DELIVERABILITY_NMI | HVABI_DELIVERABILITY_INTERRUPT | HVABI_DELIVERABILITY_PRIORITY_MASK)) ||
	    (sints && !synthetic_has_synic(vp->partition)))
		return HVABI_STATUS_INVALID_REGISTER_VALUE;
	vp->notify_nmi = rest & HVABI_DELIVERABILITY_NMI;
	vp->notify_interrupt = rest & HVABI_DELIVERABILITY_INTERRUPT;
	vp->notify_priority = (u8)(rest >> HVABI_DELIVERABILITY_PRIORITY_SHIFT);
	direct_notify(cpu, vp, sints);
	return HVABI_STATUS_SUCCESS;
}

static u16 set_synthetic(struct cpu *cpu, struct vp *vp, u32 msr, u64 value)
{
	switch (synthetic_restore(cpu, vp, msr, value)) {
	case MSR_DONE:
		return HVABI_STATUS_SUCCESS;
	case MSR_UNKNOWN:
		return HVABI_STATUS_INVALID_PARAMETER;
	default:
		return HVABI_STATUS_INVALID_REGISTER_VALUE;
	}
}

u16 vp_set_register(struct cpu *cpu, struct vp *vp, u32 name, const union hvabi_register_value *value)
{
	bool *flag = suspend_flag(vp, name);
	u64 settable, *scalar;

	if (flag)
		return set_suspend(cpu, vp, flag, value->reg64);
	if (name == HVABI_REG_DELIVERABILITY_NOTIFICATIONS)
		return set_notifications(cpu, vp, value->reg64);
	if (vp->running)
		return HVABI_STATUS_INVALID_VP_STATE;
	if (synthetic_msr(name))
		return set_synthetic(cpu, vp, synthetic_msr(name), value->reg64);
	scalar = find_scalar(vp, name, &settable);
	if (!scalar)
		return set_special(vp, name, value);
	if (value->reg64 & ~settable)
		return HVABI_STATUS_INVALID_REGISTER_VALUE;
	*scalar = value->reg64;
	/* The APIC's TPR is the same register; without an APIC nobody reads it. */
	if (scalar == &vp->state.cr8)
		apic_set_cr8(&vp->apic, vp->state.cr8);
	return HVABI_STATUS_SUCCESS;
}
