// SPDX-License-Identifier: GPL-2.0-only
/*
 * Model specific registers that exit: the parent's synthetic ones (TLFS
 * chapter 3, abi cpuid.h) and those that would let it see SVM; for children
 * everything that is not switched.
 */
#include <hvabi/cpuid.h>
#include <hvabi/partition.h>
#include "../core/clock.h"
#include "../core/frame.h"
#include "../core/msr_result.h"
#include "../core/platform.h"
#include "../core/time.h"
#include "cpu.h"

#define MAP_LOW		0x0000u
#define MAP_C000	0x0800u
#define MAP_C001	0x1000u

static u8 parent_map[8192] __attribute__((aligned(4096)));
static u8 child_map[8192] __attribute__((aligned(4096)));
static u8 child_ports[12288] __attribute__((aligned(4096)));

/* Partition-wide synthetic state of the parent. */
static u64 guest_os_id, hypercall_msr, reference_tsc_msr, tsc_invariant;

static u32 map_bit(u32 msr)
{
	u32 base = msr < 0x2000 ? MAP_LOW : msr < 0xc0002000 ? MAP_C000 : MAP_C001;

	return base * 8 + (msr & 0x1fff) * 2;
}

static void set_exit(u8 *map, u32 msr, bool exits)
{
	u32 bit = map_bit(msr);
	u8 mask = (u8)(3u << (bit & 7));

	map[bit / 8] = (u8)(exits ? map[bit / 8] | mask : map[bit / 8] & ~mask);
}

void msr_maps_init(void)
{
	static const u32 parent_exits[] = { MSR_EFER, MSR_VM_CR, MSR_VM_HSAVE_PA };
	static const u32 switched[] = {
		MSR_TSC, MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS_BASE, MSR_STAR, MSR_LSTAR,
		MSR_CSTAR, MSR_SFMASK, MSR_SYSENTER_CS, MSR_SYSENTER_ESP, MSR_SYSENTER_EIP,
	};

	for (u32 i = 0; i < ARRAY_SIZE(parent_exits); i++)
		set_exit(parent_map, parent_exits[i], true);
	memset(child_map, 0xff, sizeof(child_map));
	for (u32 i = 0; i < ARRAY_SIZE(switched); i++)
		set_exit(child_map, switched[i], false);
	/* Reads are offset; a write would go to the machine's own, by which all time here goes. */
	child_map[map_bit(MSR_TSC) / 8] |= (u8)(2u << (map_bit(MSR_TSC) & 7));
	memset(child_ports, 0xff, sizeof(child_ports));
}

/* MSRs outside the three ranges of the map always exit. */
bool platform_msr_exits(u32 msr)
{
	u32 bit = map_bit(msr);

	if (msr >= 0x2000 && (msr < 0xc0000000 || msr >= 0xc0012000 ||
			      (msr >= 0xc0002000 && msr < 0xc0010000)))
		return true;
	return child_map[bit / 8] >> (bit & 7) & 1;
}

u64 msr_map_parent(void) { return (u64)(uintptr_t)parent_map; }
u64 msr_map_child(void) { return (u64)(uintptr_t)child_map; }
u64 io_map_child(void) { return (u64)(uintptr_t)child_ports; }

/* Put callable code into the page: ENDBR64, VMMCALL, RET. */
static bool write_hypercall(u64 value)
{
	static const u8 code[] = { 0xf3, 0x0f, 0x1e, 0xfa, 0x0f, 0x01, 0xd9, 0xc3 };

	if (hypercall_msr & HVABI_MSR_HYPERCALL_LOCKED)
		return true;
	if (!guest_os_id)
		value &= ~HVABI_MSR_PAGE_ENABLE;
	if (value & HVABI_MSR_PAGE_ENABLE) {
		if (!frame_is_parents(value >> PAGE_SHIFT))
			return false;
		memcpy(platform_phys(align_down(value, PAGE_SIZE)), code, sizeof(code));
	}
	hypercall_msr = value;
	return true;
}

static bool write_reference_tsc(u64 value)
{
	struct hvabi_reference_tsc_page *page;

	if (value & HVABI_MSR_PAGE_ENABLE) {
		if (!frame_is_parents(value >> PAGE_SHIFT))
			return false;
		page = platform_phys(align_down(value, PAGE_SIZE));
		page->tsc_sequence = 0;
		page->tsc_scale = time_scale();
		page->tsc_offset = 0;
		__atomic_store_n(&page->tsc_sequence, 1, __ATOMIC_RELEASE);
	}
	reference_tsc_msr = value;
	return true;
}

bool msr_parent_read(struct svm_cpu *cpu, u32 msr, u64 *value)
{
	if (synic_has_msr(msr))
		return synic_read(&cpu->core, msr, value);
	switch (msr) {
	case MSR_EFER:
		*value = cpu->vmcb.efer & ~EFER_SVME;
		return true;
	case MSR_VM_CR:
		*value = BIT(4);	/* SVMDIS */
		return true;
	case HVABI_MSR_GUEST_OS_ID:
		*value = guest_os_id;
		return true;
	case HVABI_MSR_HYPERCALL:
		*value = hypercall_msr;
		return true;
	case HVABI_MSR_VP_INDEX:
		*value = cpu->core.index;
		return true;
	case HVABI_MSR_TIME_REF_COUNT:
		*value = time_reference(rdtsc());
		return true;
	case HVABI_MSR_REFERENCE_TSC:
		*value = reference_tsc_msr;
		return true;
	case HVABI_MSR_TSC_FREQUENCY:
		*value = platform_info.tsc_hz;
		return true;
	case HVABI_MSR_APIC_FREQUENCY:
		*value = platform_info.apic_hz;
		return true;
	case HVABI_MSR_VP_ASSIST_PAGE:
		*value = cpu->vp_assist;
		return true;
	case HVABI_MSR_TSC_INVARIANT_CONTROL:
		*value = tsc_invariant;
		return true;
	default:
		return false;
	}
}

static bool write_efer(u64 *efer, u64 value)
{
	if (value & ~EFER_GUEST_BITS)
		return false;
	*efer = (value & ~EFER_LMA) | (*efer & EFER_LMA) | EFER_SVME;
	return true;
}

bool msr_parent_write(struct svm_cpu *cpu, u32 msr, u64 value)
{
	if (synic_has_msr(msr))
		return synic_write(&cpu->core, msr, value);
	switch (msr) {
	case MSR_EFER:
		return write_efer(&cpu->vmcb.efer, value);
	case HVABI_MSR_GUEST_OS_ID:
		guest_os_id = value;
		if (!value)
			hypercall_msr &= ~HVABI_MSR_PAGE_ENABLE;
		return true;
	case HVABI_MSR_HYPERCALL:
		return write_hypercall(value);
	case HVABI_MSR_REFERENCE_TSC:
		return write_reference_tsc(value);
	case HVABI_MSR_VP_ASSIST_PAGE:
		cpu->vp_assist = value;
		return true;
	case HVABI_MSR_TSC_INVARIANT_CONTROL:
		tsc_invariant = value & 1;
		return true;
	default:
		return false;
	}
}

bool msr_child_read(struct vp *vp, u32 msr, u64 *value)
{
	const struct vp_state *s = &vp->state;

	*value = 0;
	switch (msr) {
	case MSR_EFER:
		*value = s->efer;
		return true;
	case MSR_PAT:
		*value = s->pat;
		return true;
	case MSR_TSC_AUX:
		*value = s->tsc_aux;
		return svm_has_rdtscp;
	case MSR_MTRR_CAP:
		return true;
	case MSR_MTRR_DEF_TYPE:
		*value = s->mtrr_def_type;
		return true;
	default:
		return msr_result_ignores(vp, msr, HVABI_MSR_RESULT_READ);
	}
}

static bool valid_pat(u64 value)
{
	for (u32 i = 0; i < 64; i += 8) {
		u64 type = value >> i & 0xff;

		if (type > 7 || type == 2 || type == 3)
			return false;
	}
	return true;
}

bool msr_child_write(struct vp *vp, u32 msr, u64 value)
{
	struct vp_state *s = &vp->state;

	switch (msr) {
	case MSR_EFER:
		if (!write_efer(&s->efer, value))
			return false;
		s->efer &= ~EFER_SVME;
		return true;
	case MSR_PAT:
		if (!valid_pat(value))
			return false;
		s->pat = value;
		return true;
	case MSR_TSC_AUX:
		if (!svm_has_rdtscp || value > UINT32_MAX)
			return false;
		s->tsc_aux = value;
		wrmsr(MSR_TSC_AUX, value);
		return true;
	case MSR_MTRR_DEF_TYPE:
		s->mtrr_def_type = value;
		return true;
	case MSR_TSC:
		vp_set_tsc(vp, value);
		return true;
	default:
		return msr_result_ignores(vp, msr, HVABI_MSR_RESULT_WRITE);
	}
}
