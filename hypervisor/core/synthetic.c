// SPDX-License-Identifier: GPL-2.0-only
/*
 * Synthetic interface of a child.  Laws: synthetic.h.
 */
#include <hvabi/cpuid.h>
#include <hvabi/hypercall.h>
#include <hvabi/partition.h>
#include <hvabi/status.h>
#include "clock.h"
#include "deadline.h"
#include "guest_call.h"
#include "interrupt.h"
#include "platform.h"
#include "synthetic.h"
#include "time.h"
#include "translate.h"
#include "vp.h"
#include "vp_assist.h"
#include "vp_mov.h"

#define MSR_X2APIC_FIRST	0x800u
#define MSR_X2APIC_LAST		0x8ffu
#define MSR_APIC_BASE		0x01bu
#define MSR_TSC_DEADLINE	0x6e0u
#define INVARIANT_EXPOSE	1ull

/* A feature, and the privilege bit by which the child is told. */
struct feature_row {
	u64 feature;
	u32 eax;
	u32 edx;
};

static const struct feature_row rows[] = {
	{ HVABI_SYNTHETIC_REFERENCE_COUNTER, HVABI_PRIV_TIME_REF_COUNT, 0 },
	{ HVABI_SYNTHETIC_SYNIC, HVABI_PRIV_SYNIC, 0 },
	{ HVABI_SYNTHETIC_TIMERS, HVABI_PRIV_SYNTIMER, 0 },
	{ HVABI_SYNTHETIC_APIC_ACCESS, HVABI_PRIV_APIC_ACCESS, 0 },
	{ HVABI_SYNTHETIC_HYPERCALL, HVABI_PRIV_HYPERCALL, HVABI_FEATURE_CRASH_MSRS },
	{ HVABI_SYNTHETIC_VP_INDEX, HVABI_PRIV_VP_INDEX, 0 },
	{ HVABI_SYNTHETIC_REFERENCE_TSC, HVABI_PRIV_REFERENCE_TSC, 0 },
	{ HVABI_SYNTHETIC_GUEST_IDLE, HVABI_PRIV_GUEST_IDLE, HVABI_FEATURE_IDLE_STATE },
	/* One TSC for all processors, at one rate: who knows the rate may rely on it. */
	{ HVABI_SYNTHETIC_FREQUENCIES, HVABI_PRIV_FREQUENCY_MSRS | HVABI_PRIV_TSC_INVARIANT,
	  HVABI_FEATURE_FREQUENCY_MSRS },
	{ HVABI_SYNTHETIC_DIRECT_TIMERS, 0, HVABI_FEATURE_STIMER_DIRECT },
	/* These are told by recommendations. */
	{ HVABI_SYNTHETIC_TLB_FLUSH, 0, 0 },
	{ HVABI_SYNTHETIC_CLUSTER_IPI, 0, 0 },
	{ HVABI_SYNTHETIC_PROCESSOR_MASKS, 0, 0 },
};

u64 synthetic_features(void)
{
	u64 features = HVABI_SYNTHETIC_HYPERVISOR_PRESENT | HVABI_SYNTHETIC_HV1;

	for (u32 i = 0; i < ARRAY_SIZE(rows); i++)
		features |= rows[i].feature;
	return features;
}

static bool has(const struct partition *p, u64 feature)
{
	return p->property[PROPERTY_SYNTHETIC_FEATURES] & feature;
}

bool synthetic_has_synic(const struct partition *p)
{
	return has(p, HVABI_SYNTHETIC_SYNIC);
}

bool synthetic_has_hypercalls(const struct partition *p)
{
	return has(p, HVABI_SYNTHETIC_HYPERCALL);
}

static void features_leaf(const struct partition *p, u32 out[4])
{
	for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
		if (!has(p, rows[i].feature))
			continue;
		out[0] |= rows[i].eax;
		out[3] |= rows[i].edx;
	}
}

void synthetic_cpuid(const struct partition *p, u32 leaf, u32 out[4])
{
	memset(out, 0, 4 * sizeof(out[0]));
	if (!has(p, HVABI_SYNTHETIC_HV1))
		return;
	switch (leaf) {
	case HVABI_CPUID_VENDOR:
		out[0] = HVABI_CPUID_HARDWARE;
		out[1] = HVABI_CPUID_VENDOR_EBX;
		out[2] = HVABI_CPUID_VENDOR_ECX;
		out[3] = HVABI_CPUID_VENDOR_EDX;
		break;
	case HVABI_CPUID_INTERFACE:
		out[0] = HVABI_CPUID_INTERFACE_EAX;
		break;
	case HVABI_CPUID_VERSION:
		out[0] = 27744;
		out[1] = 10u << 16;
		break;
	case HVABI_CPUID_FEATURES:
		features_leaf(p, out);
		if (has(p, HVABI_SYNTHETIC_HYPERCALL) && guest_call_extended(p))
			out[1] = HVABI_PRIV_HIGH_EXTENDED_HYPERCALLS;
		break;
	case HVABI_CPUID_RECOMMENDATIONS:
		out[0] = HVABI_RECOMMEND_RELAXED_TIMING | HVABI_RECOMMEND_NO_AUTO_EOI;
		if (has(p, HVABI_SYNTHETIC_APIC_ACCESS) && partition_has_apic(p))
			out[0] |= HVABI_RECOMMEND_APIC_ACCESS;
		if (has(p, HVABI_SYNTHETIC_TLB_FLUSH))
			out[0] |= HVABI_RECOMMEND_REMOTE_TLB_FLUSH;
		if (has(p, HVABI_SYNTHETIC_CLUSTER_IPI))
			out[0] |= HVABI_RECOMMEND_CLUSTER_IPI;
		if (has(p, HVABI_SYNTHETIC_PROCESSOR_MASKS))
			out[0] |= HVABI_RECOMMEND_EX_PROCESSOR_MASKS;
		break;
	case HVABI_CPUID_LIMITS:
		out[0] = MAX_VPS;
		out[1] = MAX_VPS;
		break;
	default:
		break;
	}
}

/* ---- the APIC by MSR ---- */

static enum msr_result apic_msr_read(struct vp *vp, u32 msr, u64 *value)
{
	if (!apic_is_x2apic(&vp->apic) ||
	    !apic_read(&vp->apic, msr - MSR_X2APIC_FIRST, clock_now(vp->partition), value))
		return MSR_REFUSED;
	return MSR_DONE;
}

enum msr_result vp_apic_write(struct cpu *cpu, struct vp *vp, u32 reg, u64 value, u64 *detail)
{
	struct apic_ipi ipi;
	u8 vector = 0;

	/* CR8 is the truth for the upper half of TPR while the processor runs. */
	apic_set_cr8(&vp->apic, vp->state.cr8);
	switch (apic_write(&vp->apic, reg, value, clock_now(vp->partition), &ipi, &vector)) {
	case APIC_FAULT:
		return MSR_REFUSED;
	case APIC_SEND:
		count(cpu, vp->partition, HVABI_COUNT_IPI, 1);
		interrupt_send(cpu, vp->partition, vp, &ipi);
		break;
	case APIC_EOI_LEVEL:
		*detail = vector;
		return MSR_EOI;
	case APIC_DONE:
		break;
	}
	vp->state.cr8 = apic_cr8(&vp->apic);
	deadline_update(vp);
	return MSR_DONE;
}

static enum msr_result apic_msr_write(struct cpu *cpu, struct vp *vp, u32 msr, u64 value, u64 *detail)
{
	if (!apic_is_x2apic(&vp->apic))
		return MSR_REFUSED;
	return vp_apic_write(cpu, vp, msr - MSR_X2APIC_FIRST, value, detail);
}

enum msr_result synthetic_apic_page(struct cpu *cpu, struct vp *vp, u64 gpa, bool write, u64 *detail)
{
	u32 reg = (u32)(gpa & (PAGE_SIZE - 1)) >> 4;
	struct apic *a = &vp->apic;
	enum msr_result result = MSR_DONE;
	struct mov mov;
	u64 value = 0;

	*detail = 0;
	if (!partition_has_apic(vp->partition) || !(a->base & APIC_BASE_ENABLE) || apic_is_x2apic(a) ||
	    align_down(gpa, PAGE_SIZE) != align_down(a->base & APIC_BASE_ADDRESS, PAGE_SIZE))
		return MSR_UNKNOWN;
	switch (vp_decode_mov(vp, &mov)) {
	case VP_MOV_GONE:
		return MSR_DONE;
	case VP_MOV_OTHER:
		return MSR_UNKNOWN;
	case VP_MOV:
		break;
	}
	if (mov.to_memory != write || mov.bytes != 4)
		return MSR_UNKNOWN;
	apic_set_cr8(a, vp->state.cr8);
	/* Registers stand at multiples of 16 and are 32 bits wide; in between is nothing. */
	if (write && aligned(gpa, 16))
		result = vp_apic_write(cpu, vp, reg, mov_value(vp, &mov), detail);
	if (!write) {
		if (aligned(gpa, 16))
			apic_read(a, reg, clock_now(vp->partition), &value);
		vp->state.gpr[mov.reg] = (u32)value;
	}
	vp_skip_mov(vp, &mov);
	return result == MSR_EOI ? MSR_EOI : MSR_DONE;
}

static bool is_x2apic_msr(u32 msr)
{
	return msr >= MSR_X2APIC_FIRST && msr <= MSR_X2APIC_LAST;
}

/* ---- pages of the child's ---- */

static enum msr_result fill_page(struct vp *vp, u64 page_msr, const void *data, u32 bytes, u64 *detail)
{
	u64 gpa = align_down(page_msr, PAGE_SIZE);

	if (write_guest(vp->partition, gpa, data, bytes) == HVABI_TRANSLATE_SUCCESS)
		return MSR_DONE;
	*detail = gpa;
	return MSR_FAULT;
}

/* ENDBR64, VMMCALL, RET. */
static enum msr_result write_hypercall(struct vp *vp, u64 value, u64 *detail)
{
	static const u8 code[] = { 0xf3, 0x0f, 0x1e, 0xfa, 0x0f, 0x01, 0xd9, 0xc3 };
	struct partition *p = vp->partition;
	enum msr_result result = MSR_DONE;

	if (p->hypercall_msr & HVABI_MSR_HYPERCALL_LOCKED)
		return MSR_DONE;
	/* TLFS 3.13: without an identity there is no hypercall page. */
	if (!p->guest_os_id)
		value &= ~HVABI_MSR_PAGE_ENABLE;
	if (value & HVABI_MSR_PAGE_ENABLE)
		result = fill_page(vp, value, code, sizeof(code), detail);
	if (result == MSR_DONE)
		p->hypercall_msr = value;
	return result;
}

static enum msr_result write_reference_tsc(struct vp *vp, u64 value, u64 *detail)
{
	struct partition *p = vp->partition;
	u64 before = p->reference_tsc_msr;

	p->reference_tsc_msr = value;
	p->clock.page_stale = true;
	if (clock_page_refresh(p, detail))
		return MSR_DONE;
	p->reference_tsc_msr = before;
	return MSR_FAULT;
}

/* ---- synthetic MSRs ---- */

/* Which feature a register belongs to; 0: there is no such register. */
static u64 feature_of(u32 msr)
{
	switch (msr) {
	case HVABI_MSR_GUEST_OS_ID:
	case HVABI_MSR_HYPERCALL:
	case HVABI_MSR_CRASH_P0 ... HVABI_MSR_CRASH_CTL:
		return HVABI_SYNTHETIC_HYPERCALL;
	case HVABI_MSR_VP_INDEX:
		return HVABI_SYNTHETIC_VP_INDEX;
	case HVABI_MSR_TIME_REF_COUNT:
		return HVABI_SYNTHETIC_REFERENCE_COUNTER;
	case HVABI_MSR_REFERENCE_TSC:
		return HVABI_SYNTHETIC_REFERENCE_TSC;
	case HVABI_MSR_TSC_FREQUENCY:
	case HVABI_MSR_APIC_FREQUENCY:
	case HVABI_MSR_TSC_INVARIANT_CONTROL:
		return HVABI_SYNTHETIC_FREQUENCIES;
	case HVABI_MSR_EOI:
	case HVABI_MSR_ICR:
	case HVABI_MSR_TPR:
		return HVABI_SYNTHETIC_APIC_ACCESS;
	case HVABI_MSR_GUEST_IDLE:
		return HVABI_SYNTHETIC_GUEST_IDLE;
	/* Linux writes it whatever it was offered. */
	case HVABI_MSR_VP_ASSIST_PAGE:
		return HVABI_SYNTHETIC_HV1;
	case HVABI_MSR_STIMER0_CONFIG ... HVABI_MSR_STIMER0_CONFIG + 2 * HVABI_STIMERS - 1:
		return HVABI_SYNTHETIC_TIMERS;
	case HVABI_MSR_SCONTROL ... HVABI_MSR_EOM:
	case HVABI_MSR_SINT0 ... HVABI_MSR_SINT0 + HVABI_SINTS - 1:
		return HVABI_SYNTHETIC_SYNIC;
	default:
		return 0;
	}
}

static bool synthetic_known(const struct vp *vp, u32 msr)
{
	u64 feature = feature_of(msr);

	if ((feature & (HVABI_SYNTHETIC_APIC_ACCESS | HVABI_SYNTHETIC_SYNIC | HVABI_SYNTHETIC_GUEST_IDLE)) &&
	    !partition_has_apic(vp->partition))
		return false;
	return feature && has(vp->partition, feature);
}

/* TLFS 10.2.  ICR in the form of the mode that the APIC is in; TPR has 8 bits in both. */
static enum msr_result apic_page_read(struct vp *vp, u32 msr, u64 *value)
{
	if (msr == HVABI_MSR_EOI)
		return MSR_REFUSED;
	if (msr == HVABI_MSR_TPR) {
		apic_set_cr8(&vp->apic, vp->state.cr8);
		*value = vp->apic.tpr;
	} else {
		*value = vp->apic.icr;
	}
	return MSR_DONE;
}

static enum msr_result apic_page_write(struct cpu *cpu, struct vp *vp, u32 msr, u64 value, u64 *detail)
{
	u8 vector;

	switch (msr) {
	case HVABI_MSR_EOI:
		*detail = 0;
		if (!apic_eoi(&vp->apic, &vector))
			return MSR_DONE;
		*detail = vector;
		return MSR_EOI;
	case HVABI_MSR_TPR:
		if (value > 0xff)
			return MSR_REFUSED;
		return vp_apic_write(cpu, vp, APIC_TPR, value, detail);
	default:
		if (!apic_is_x2apic(&vp->apic))
			vp_apic_write(cpu, vp, APIC_ICR_HIGH, value >> 32, detail);
		return vp_apic_write(cpu, vp, APIC_ICR, apic_is_x2apic(&vp->apic) ? value :
				     (u32)value, detail);
	}
}

enum msr_result synthetic_read(struct vp *vp, u32 msr, u64 *value)
{
	struct partition *p = vp->partition;
	u32 timer = (msr - HVABI_MSR_STIMER0_CONFIG) / 2;

	*value = 0;
	if (partition_has_apic(p)) {
		if (is_x2apic_msr(msr))
			return apic_msr_read(vp, msr, value);
		if (msr == MSR_TSC_DEADLINE) {
			*value = vp_tsc_deadline(vp);
			return MSR_DONE;
		}
	}
	if (msr == MSR_APIC_BASE) {
		*value = vp->apic.base;
		return MSR_DONE;
	}
	if (!synthetic_known(vp, msr))
		return MSR_UNKNOWN;
	if (vp_synic_has_msr(msr)) {
		*value = vp_synic_read(&vp->synic, msr);
		return MSR_DONE;
	}
	switch (msr) {
	case HVABI_MSR_GUEST_OS_ID:
		*value = p->guest_os_id;
		break;
	case HVABI_MSR_HYPERCALL:
		*value = p->hypercall_msr;
		break;
	case HVABI_MSR_VP_INDEX:
		*value = vp->index;
		break;
	case HVABI_MSR_TIME_REF_COUNT:
		*value = clock_reference(p, clock_now(p));
		break;
	case HVABI_MSR_REFERENCE_TSC:
		*value = p->reference_tsc_msr;
		break;
	case HVABI_MSR_TSC_FREQUENCY:
	/* The APIC's timer counts TSC ticks: apic.h. */
	case HVABI_MSR_APIC_FREQUENCY:
		*value = platform_info.tsc_hz;
		break;
	case HVABI_MSR_TSC_INVARIANT_CONTROL:
		*value = p->tsc_invariant;
		break;
	case HVABI_MSR_VP_ASSIST_PAGE:
		*value = vp->assist_msr;
		break;
	case HVABI_MSR_CRASH_P0 ... HVABI_MSR_CRASH_P0 + 4:
		*value = p->crash[msr - HVABI_MSR_CRASH_P0];
		break;
	case HVABI_MSR_CRASH_CTL:
		*value = HVABI_CRASH_NOTIFY | HVABI_CRASH_NOTIFY_MSG;
		break;
	case HVABI_MSR_GUEST_IDLE:
		/* As HLT, which an interrupt ends that is there already. */
		vp->halted = vp->idle = true;
		break;
	case HVABI_MSR_EOI:
	case HVABI_MSR_ICR:
	case HVABI_MSR_TPR:
		return apic_page_read(vp, msr, value);
	default:
		*value = msr & 1 ? vp->stimer[timer].count : vp->stimer[timer].config;
		break;
	}
	return MSR_DONE;
}

static enum msr_result write_stimer(struct vp *vp, u32 msr, u64 value)
{
	struct stimer *t = &vp->stimer[(msr - HVABI_MSR_STIMER0_CONFIG) / 2];
	u64 now = clock_reference(vp->partition, clock_now(vp->partition));
	bool synic = synthetic_has_synic(vp->partition);

	if (!partition_has_apic(vp->partition))
		return MSR_REFUSED;
	if (msr & 1)
		stimer_write_count(t, value, now, synic);
	else if (!stimer_write_config(t, value, now, synic))
		return MSR_REFUSED;
	deadline_update(vp);
	return MSR_DONE;
}

static enum msr_result write_synic(struct vp *vp, u32 msr, u64 value, u64 *detail)
{
	u64 gpa;

	switch (vp_synic_write(vp, msr, value, &gpa)) {
	case VP_SYNIC_REFUSED:
		return MSR_REFUSED;
	case VP_SYNIC_FAULT:
		*detail = gpa;
		return MSR_FAULT;
	default:
		return MSR_DONE;
	}
}

enum msr_result synthetic_write(struct cpu *cpu, struct vp *vp, u32 msr, u64 value, u64 *detail)
{
	struct partition *p = vp->partition;

	*detail = 0;
	if (partition_has_apic(p)) {
		if (is_x2apic_msr(msr))
			return apic_msr_write(cpu, vp, msr, value, detail);
		if (msr == MSR_TSC_DEADLINE) {
			vp_set_tsc_deadline(vp, value);
			deadline_update(vp);
			return MSR_DONE;
		}
	}
	if (msr == MSR_APIC_BASE)
		return vp_write_apic_base(vp, value) ? MSR_DONE : MSR_REFUSED;
	if (!synthetic_known(vp, msr))
		return MSR_UNKNOWN;
	if (vp_synic_has_msr(msr))
		return write_synic(vp, msr, value, detail);
	switch (msr) {
	case HVABI_MSR_GUEST_OS_ID:
		p->guest_os_id = value;
		if (!value)
			p->hypercall_msr &= ~HVABI_MSR_PAGE_ENABLE;
		return MSR_DONE;
	case HVABI_MSR_HYPERCALL:
		return write_hypercall(vp, value, detail);
	case HVABI_MSR_REFERENCE_TSC:
		return write_reference_tsc(vp, value, detail);
	case HVABI_MSR_TSC_INVARIANT_CONTROL:
		if (value & ~INVARIANT_EXPOSE)
			return MSR_REFUSED;
		p->tsc_invariant = value;
		return MSR_DONE;
	case HVABI_MSR_VP_ASSIST_PAGE:
		return vp_assist_write(vp, value, detail) ? MSR_DONE : MSR_FAULT;
	case HVABI_MSR_CRASH_P0 ... HVABI_MSR_CRASH_P0 + 4:
		p->crash[msr - HVABI_MSR_CRASH_P0] = value;
		return MSR_DONE;
	case HVABI_MSR_CRASH_CTL:
		if (value & HVABI_CRASH_NOTIFY)
			platform_log("partition %llx: crash %llx %llx %llx %llx %llx",
				     (unsigned long long)p->id, (unsigned long long)p->crash[0],
				     (unsigned long long)p->crash[1], (unsigned long long)p->crash[2],
				     (unsigned long long)p->crash[3], (unsigned long long)p->crash[4]);
		return MSR_DONE;
	case HVABI_MSR_EOI:
	case HVABI_MSR_ICR:
	case HVABI_MSR_TPR:
		return apic_page_write(cpu, vp, msr, value, detail);
	case HVABI_MSR_STIMER0_CONFIG ... HVABI_MSR_STIMER0_CONFIG + 2 * HVABI_STIMERS - 1:
		return write_stimer(vp, msr, value);
	default:
		return MSR_REFUSED;	/* read-only */
	}
}

enum msr_result synthetic_restore(struct cpu *cpu, struct vp *vp, u32 msr, u64 value)
{
	u64 detail;

	if (!synthetic_known(vp, msr))
		return MSR_UNKNOWN;
	switch (msr) {
	case HVABI_MSR_SIMP:
		vp->synic.simp = value;
		vp->synic.full = 0;
		return MSR_DONE;
	case HVABI_MSR_SIEFP:
		vp->synic.siefp = value;
		return MSR_DONE;
	case HVABI_MSR_VP_ASSIST_PAGE:
		/* What was promised in the old one is still to be looked for there. */
		if (vp->assist_promised)
			return MSR_REFUSED;
		vp->assist_msr = value;
		return MSR_DONE;
	case HVABI_MSR_GUEST_OS_ID:
		vp->partition->guest_os_id = value;
		return MSR_DONE;
	case HVABI_MSR_HYPERCALL:
		vp->partition->hypercall_msr = value;
		return MSR_DONE;
	case HVABI_MSR_REFERENCE_TSC:
		/* What stands in the page may be another partition's time: it is written before anybody runs. */
		vp->partition->reference_tsc_msr = value;
		vp->partition->clock.page_stale = true;
		return MSR_DONE;
	case HVABI_MSR_EOM:
		return value ? MSR_REFUSED : MSR_DONE;
	case HVABI_MSR_SCONTROL:
	case HVABI_MSR_SINT0 ... HVABI_MSR_SINT0 + HVABI_SINTS - 1:
	case HVABI_MSR_STIMER0_CONFIG ... HVABI_MSR_STIMER0_CONFIG + 2 * HVABI_STIMERS - 1:
		return synthetic_write(cpu, vp, msr, value, &detail);
	default:
		return MSR_UNKNOWN;
	}
}
