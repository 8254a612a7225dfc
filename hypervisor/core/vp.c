// SPDX-License-Identifier: GPL-2.0-only
/*
 * Life and state pages of virtual processors.  Rules: vp.h.
 */
#include <hvabi/status.h>
#include "cpuid_result.h"
#include "deadline.h"
#include "frame.h"
#include "msr_result.h"
#include "platform.h"
#include "sched.h"
#include "synic.h"
#include "time.h"
#include "vp.h"
#include "vp_direct.h"
#include "xsave.h"

struct vp *vp_find(struct partition *p, u32 index)
{
	return index < MAX_VPS ? p->vps[index] : NULL;
}

void *vp_xsave_area(const struct vp *vp)
{
	return platform_phys(vp->xsave);
}

static struct hvabi_x64_segment_register real_mode_segment(u16 type)
{
	return (struct hvabi_x64_segment_register){
		.limit = 0xffff,
		.attributes = (u16)(HVABI_SEGMENT_PRESENT | type),
	};
}

/* APM vol. 2, table 14-1: state after reset and INIT. */
void vp_init(struct vp *vp)
{
	struct vp_state *s = &vp->state;

	*s = (struct vp_state){
		.gpr[RDX] = 0x600,
		.rip = 0xfff0, .rflags = 2, .cr0 = 0x60000010,
		.dr6 = 0xffff0ff0, .dr7 = 0x400, .xcr0 = 1,
		.gdtr.limit = 0xffff, .idtr.limit = 0xffff,
		.pat = 0x0007040600070406ull,
	};
	for (u32 i = SEG_ES; i <= SEG_GS; i++)
		s->segment[i] = real_mode_segment(HVABI_SEGMENT_NON_SYSTEM | 3);
	s->segment[SEG_CS].attributes |= 8;
	s->segment[SEG_CS].selector = 0xf000;
	s->segment[SEG_CS].base = 0xffff0000;
	s->segment[SEG_LDTR] = real_mode_segment(2);
	s->segment[SEG_TR] = real_mode_segment(11);
	vp->halted = false;
	vp->idle = false;
	vp->assist_promised = false;
	vp->nmi_masked = false;
	vp->iret_rip = VP_NO_IRET;
}

void vp_start_at(struct vp *vp, u8 vector)
{
	struct vp_state *s = &vp->state;

	s->segment[SEG_CS].selector = (u16)(vector << 8);
	s->segment[SEG_CS].base = (u64)vector << 12;
	s->rip = 0;
}

static void reset(struct vp *vp)
{
	vp_init(vp);
	xsave_reset(vp_xsave_area(vp));
	apic_reset(&vp->apic, vp->index);
	vp->apic.period_min = time_tsc(STIMER_PERIOD_MIN);
	stimers_reset(vp->stimer);
	vp_synic_reset(&vp->synic);
	vp->deadline = TIME_NEVER;
}

u16 vp_create(struct cpu *cpu, struct partition *p, u32 index)
{
	u64 page[3];
	struct vp *vp;

	if (index >= MAX_VPS || p->vps[index])
		return HVABI_STATUS_INVALID_VP_INDEX;
	for (u32 i = 0; i < ARRAY_SIZE(page); i++) {
		page[i] = pool_get(&p->pool, cpu);
		if (page[i])
			continue;
		while (i--)
			pool_put(&p->pool, page[i]);
		return HVABI_STATUS_INSUFFICIENT_MEMORY;
	}
	vp = platform_phys(page[0]);
	vp->partition = p;
	vp->index = index;
	vp->page = page[0];
	vp->tsc_offset = p->clock.tsc_offset;
	vp->vmcb = page[1];
	vp->xsave = page[2];
	reset(vp);
	vp->explicit_suspend = true;
	p->vps[index] = vp;
	return HVABI_STATUS_SUCCESS;
}

void vp_destroy(struct vp *vp)
{
	struct pool *pool = &vp->partition->pool;
	u64 page = vp->page;

	synic_forget(vp);
	sched_forget(vp);
	deadline_forget(vp);
	cpuid_results_forget(vp);
	msr_results_forget(vp);
	direct_forget(vp);
	for (u32 i = 0; i < VP_PAGES; i++)
		if (vp->overlay[i])
			frame_put(vp->overlay[i], 1);
	vp->partition->vps[vp->index] = NULL;
	pool_put(pool, vp->vmcb);
	pool_put(pool, vp->xsave);
	pool_put(pool, page);
}

u16 vp_map_page(struct vp *vp, enum vp_page which, u64 pfn)
{
	if (!pfn || !frame_is_parents(pfn))
		return HVABI_STATUS_INVALID_PARAMETER;
	if (vp->overlay[which] == pfn)
		return HVABI_STATUS_SUCCESS;
	if (vp->overlay[which])
		frame_put(vp->overlay[which], 1);
	frame_get(pfn, 1);
	vp->overlay[which] = pfn;
	memset(platform_phys(pfn << PAGE_SHIFT), 0, PAGE_SIZE);
	sched_wake(vp);
	return HVABI_STATUS_SUCCESS;
}

u16 vp_unmap_page(struct vp *vp, enum vp_page which)
{
	if (!vp->overlay[which])
		return HVABI_STATUS_INVALID_PARAMETER;
	frame_put(vp->overlay[which], 1);
	vp->overlay[which] = 0;
	return HVABI_STATUS_SUCCESS;
}

static struct hvabi_vp_register_page *register_page(const struct vp *vp)
{
	u64 pfn = vp->overlay[VP_PAGE_REGISTERS];

	return pfn ? platform_phys(pfn << PAGE_SHIFT) : NULL;
}

void vp_load_register_page(struct vp *vp)
{
	struct hvabi_vp_register_page *page = register_page(vp);
	struct vp_state *s = &vp->state;
	u32 dirty;

	if (!page || !page->isvalid)
		return;
	dirty = page->dirty;
	if (dirty & HVABI_REGISTER_PAGE_DIRTY_GENERAL)
		memcpy(s->gpr, page->gp_registers, sizeof(s->gpr));
	if (dirty & HVABI_REGISTER_PAGE_DIRTY_IP)
		s->rip = page->rip;
	if (dirty & HVABI_REGISTER_PAGE_DIRTY_FLAGS)
		s->rflags = page->rflags;
	if (dirty & HVABI_REGISTER_PAGE_DIRTY_SEGMENT)
		memcpy(s->segment, page->segment_registers, sizeof(page->segment_registers));
	if (dirty & HVABI_REGISTER_PAGE_DIRTY_XMM)
		for (u32 i = 0; i < ARRAY_SIZE(page->xmm_registers); i++)
			xsave_set_xmm(vp_xsave_area(vp), i, &page->xmm_registers[i]);
	page->dirty = 0;
}

void vp_invalidate_register_page(struct vp *vp)
{
	struct hvabi_vp_register_page *page = register_page(vp);

	if (page)
		page->isvalid = 0;
}

bool vp_register_page_valid(const struct vp *vp)
{
	const struct hvabi_vp_register_page *page = register_page(vp);

	return page && page->isvalid;
}

void vp_store_register_page(struct vp *vp)
{
	struct hvabi_vp_register_page *page = register_page(vp);
	const struct vp_state *s = &vp->state;

	if (!page)
		return;
	page->version = HVABI_REGISTER_PAGE_VERSION;
	page->dirty = 0;
	memcpy(page->gp_registers, s->gpr, sizeof(s->gpr));
	page->rip = s->rip;
	page->rflags = s->rflags;
	for (u32 i = 0; i < ARRAY_SIZE(page->xmm_registers); i++)
		xsave_get_xmm(vp_xsave_area(vp), i, &page->xmm_registers[i]);
	memcpy(page->segment_registers, s->segment, sizeof(page->segment_registers));
	page->cr0 = s->cr0;
	page->cr3 = s->cr3;
	page->cr4 = s->cr4;
	page->cr8 = s->cr8;
	page->efer = s->efer;
	page->dr7 = s->dr7;
	page->pending_interruption = s->pending_interruption;
	page->interrupt_state = s->interrupt_shadow ? HVABI_INTERRUPT_STATE_SHADOW : 0;
	page->instruction_emulation_hints = 0;
	page->xfem = s->xcr0;
	page->isvalid = 1;
}
