// SPDX-License-Identifier: GPL-2.0-only
/*
 * CPUID as the parent and the children see it.
 *
 * The parent sees the machine, less SVM, plus the leaves that make it an L1VH
 * parent of the Microsoft Hypervisor.  Children see a plain processor: no
 * hypervisor leaves but those that the VMM gave them, and nothing whose state the world switch does not carry.
 */
#include <hvabi/cpuid.h>
#include "../core/interrupt.h"
#include "../core/platform.h"
#include "../core/synthetic.h"
#include "cpu.h"

#define LEAF1_ECX_XSAVE		BIT(26)
#define LEAF1_ECX_OSXSAVE	BIT(27)
#define LEAF1_ECX_HYPERVISOR	BIT(31)
#define LEAF1_ECX_X2APIC	BIT(21)
#define LEAF1_ECX_TSC_DEADLINE	BIT(24)
#define LEAF1_EDX_APIC		BIT(9)
#define LEAF7_ECX_OSPKE		BIT(4)
#define LEAF7_ECX_LA57		BIT(16)

/* Leaf 1 ECX that children do not get: MONITOR, x2APIC, TSC deadline. */
#define LEAF1_ECX_CHILD_HIDDEN	(BIT(3) | BIT(21) | BIT(24))
/* Leaf 1 EDX: MCE, APIC, MTRR, MCA. */
#define LEAF1_EDX_CHILD_HIDDEN	(BIT(7) | BIT(9) | BIT(12) | BIT(14))
/* Leaf 7 EDX: speculation control and what needs supervisor XSAVE state. */
#define LEAF7_EDX_CHILD_HIDDEN	(BIT(20) | BIT(26) | BIT(27) | BIT(29) | BIT(31))
/* Leaf 7 ECX: CET shadow stacks, PKS. */
#define LEAF7_ECX_CHILD_HIDDEN	(BIT(7) | BIT(31))

static bool is_synthetic(u32 leaf)
{
	return leaf >= HVABI_CPUID_VENDOR && leaf < HVABI_CPUID_END;
}

static struct cpuid synthetic(u32 leaf)
{
	switch (leaf) {
	case HVABI_CPUID_VENDOR:
		return (struct cpuid){ HVABI_CPUID_ISOLATION, HVABI_CPUID_VENDOR_EBX,
				       HVABI_CPUID_VENDOR_ECX, HVABI_CPUID_VENDOR_EDX };
	case HVABI_CPUID_INTERFACE:
		return (struct cpuid){ .eax = HVABI_CPUID_INTERFACE_EAX };
	case HVABI_CPUID_VERSION:
		/* A build that the upstream driver knows. */
		return (struct cpuid){ .eax = 27744, .ebx = 10u << 16 };
	case HVABI_CPUID_FEATURES:
		return (struct cpuid){
			.eax = HVABI_PRIV_TIME_REF_COUNT | HVABI_PRIV_SYNIC | HVABI_PRIV_HYPERCALL |
			       HVABI_PRIV_VP_INDEX | HVABI_PRIV_REFERENCE_TSC |
			       HVABI_PRIV_FREQUENCY_MSRS | HVABI_PRIV_TSC_INVARIANT,
			.ebx = HVABI_PRIV_HIGH_CREATE_PARTITIONS |
			       HVABI_PRIV_HIGH_ACCESS_MEMORY_POOL |
			       HVABI_PRIV_HIGH_CREATE_PORT | HVABI_PRIV_HIGH_CONNECT_PORT |
			       HVABI_PRIV_HIGH_ACCESS_STATS,
			.edx = HVABI_FEATURE_FREQUENCY_MSRS,
		};
	case HVABI_CPUID_RECOMMENDATIONS:
		return (struct cpuid){ .eax = HVABI_RECOMMEND_RELAXED_TIMING |
					      HVABI_RECOMMEND_NO_AUTO_EOI };
	case HVABI_CPUID_LIMITS:
		return (struct cpuid){ .eax = MAX_CPUS, .ebx = MAX_CPUS };
	default:
		return (struct cpuid){ 0, 0, 0, 0 };
	}
}

static void hide_svm(struct cpuid *c, u32 leaf)
{
	if (leaf == 0x80000001)
		c->ecx &= ~(u32)BIT(2);
	if (leaf == 0x8000000a)
		*c = (struct cpuid){ 0, 0, 0, 0 };
}

struct cpuid cpuid_parent(const struct svm_cpu *cpu, u32 leaf, u32 subleaf)
{
	struct cpuid c;

	if (is_synthetic(leaf))
		return synthetic(leaf);
	c = cpuid(leaf, subleaf);
	hide_svm(&c, leaf);
	switch (leaf) {
	case 1:
		c.ecx |= (u32)LEAF1_ECX_HYPERVISOR;
		c.ecx &= ~(u32)LEAF1_ECX_OSXSAVE;
		if (cpu->vmcb.cr4 & CR4_OSXSAVE)
			c.ecx |= (u32)LEAF1_ECX_OSXSAVE;
		break;
	case 7:
		if (subleaf)
			break;
		c.ecx &= ~(u32)(LEAF7_ECX_OSPKE | LEAF7_ECX_LA57);
		if (cpu->vmcb.cr4 & CR4_PKE)
			c.ecx |= (u32)LEAF7_ECX_OSPKE;
		break;
	case 0x80000007:
		c.edx |= (u32)BIT(8);
		break;
	default:
		break;
	}
	return c;
}

static void xsave_leaf(struct cpuid *c, u32 subleaf)
{
	u64 mask = platform_info.xcr0_mask;

	if (!subleaf) {
		c->eax = (u32)mask;
		c->edx = (u32)(mask >> 32);
		c->ecx = platform_info.xsave_bytes;
	} else if (subleaf == 1) {
		c->eax &= 1;		/* XSAVEOPT, and no supervisor state */
		c->ebx = c->ecx = c->edx = 0;
	} else if (subleaf > 62 || !(mask & BIT(subleaf))) {
		*c = (struct cpuid){ 0, 0, 0, 0 };
	}
}

/* Room that components @xfem of the standard format need: EBX of leaf 0xd. */
static u32 xsave_room(u64 xfem)
{
	u32 bytes = 576;

	for (u32 i = 2; i < ARRAY_SIZE(platform_info.xsave); i++)
		if (xfem & BIT(i))
			bytes = (u32)max_u64(bytes, (u32)platform_info.xsave[i].offset +
						    platform_info.xsave[i].bytes);
	return bytes;
}

void platform_cpuid(const struct vp *vp, u32 leaf, u32 subleaf, u64 xfem, u32 out[4])
{
	struct cpuid c = cpuid_child(vp, leaf, subleaf);

	if (leaf == 0xd && !subleaf)
		c.ebx = xsave_room(xfem);
	out[0] = c.eax;
	out[1] = c.ebx;
	out[2] = c.ecx;
	out[3] = c.edx;
}

/* Called while the child's XCR0 is loaded: leaf 0xd depends on it. */
struct cpuid cpuid_child(const struct vp *vp, u32 leaf, u32 subleaf)
{
	const struct partition *p = vp->partition;
	struct cpuid c;
	u32 out[4];

	if (leaf >= HVABI_CPUID_VENDOR && leaf < 0x80000000) {
		synthetic_cpuid(p, leaf, out);
		return (struct cpuid){ out[0], out[1], out[2], out[3] };
	}
	c = cpuid(leaf, subleaf);
	hide_svm(&c, leaf);
	switch (leaf) {
	case 1:
		c.ebx = (c.ebx & 0xffff) | vp->index << 24 | 1u << 16;
		c.ecx &= ~(u32)(LEAF1_ECX_CHILD_HIDDEN | LEAF1_ECX_HYPERVISOR | LEAF1_ECX_OSXSAVE);
		if (vp->state.cr4 & CR4_OSXSAVE)
			c.ecx |= (u32)LEAF1_ECX_OSXSAVE;
		c.edx &= ~(u32)LEAF1_EDX_CHILD_HIDDEN;
		if (p->property[PROPERTY_SYNTHETIC_FEATURES] & HVABI_SYNTHETIC_HYPERVISOR_PRESENT)
			c.ecx |= (u32)LEAF1_ECX_HYPERVISOR;
		if (vp->apic.base & APIC_BASE_ENABLE && partition_has_apic(p))
			c.edx |= (u32)LEAF1_EDX_APIC;
		if (partition_has_apic(p))
			c.ecx |= (u32)LEAF1_ECX_TSC_DEADLINE;
		if (p->creation_flags & HVABI_PARTITION_FLAG_X2APIC_CAPABLE)
			c.ecx |= (u32)LEAF1_ECX_X2APIC;
		break;
	case 7:
		if (subleaf)
			break;
		c.ecx &= ~(u32)(LEAF7_ECX_OSPKE | LEAF7_ECX_LA57 | LEAF7_ECX_CHILD_HIDDEN);
		c.edx &= ~(u32)LEAF7_EDX_CHILD_HIDDEN;
		if (vp->state.cr4 & CR4_PKE)
			c.ecx |= (u32)LEAF7_ECX_OSPKE;
		break;
	case 0xb:
		c = (struct cpuid){ .ecx = subleaf & 0xff, .edx = vp->index };
		break;
	case 0xd:
		xsave_leaf(&c, subleaf);
		break;
	case 0x80000007:
		if (p->tsc_invariant)
			c.edx |= (u32)BIT(8);
		break;
	case 0x80000008:
		c.ebx = 0;
		break;
	default:
		break;
	}
	return c;
}
