// SPDX-License-Identifier: GPL-2.0-only
/*
 * VP assist page.  Laws: vp_assist.h.
 */
#include <hvabi/cpuid.h>
#include "interrupt.h"
#include "translate.h"
#include "vp.h"
#include "vp_assist.h"

#define NO_EOI_REQUIRED	1u	/* in the page's first word */

static u64 page_of(const struct vp *vp)
{
	return align_down(vp->assist_msr, PAGE_SIZE);
}

/* A page that comes into use promises nothing. */
bool vp_assist_write(struct vp *vp, u64 value, u64 *gpa)
{
	u32 *word;

	if ((value & HVABI_MSR_PAGE_ENABLE) && partition_has_apic(vp->partition)) {
		word = guest_memory(vp->partition, align_down(value, PAGE_SIZE), true);
		if (!word) {
			*gpa = align_down(value, PAGE_SIZE);
			return false;
		}
		__atomic_store_n(word, 0, __ATOMIC_RELAXED);
	}
	vp->assist_msr = value;
	return true;
}

void vp_assist_enter(struct vp *vp, int offered)
{
	u32 *word;

	if (!(vp->assist_msr & HVABI_MSR_PAGE_ENABLE) || !partition_has_apic(vp->partition) ||
	    vp->apic.extint >= 0)
		return;
	/* The end of what is in service may be what the parent waits for. */
	if (vp->notify_interrupt)
		return;
	/* One that ends by itself has no EOI to be spared. */
	if (offered != APIC_NO_VECTOR && vp_synic_auto_eoi(&vp->synic, (u8)offered))
		return;
	if (!apic_eoi_is_local(&vp->apic, offered))
		return;
	word = guest_memory(vp->partition, page_of(vp), true);
	if (!word)
		return;
	__atomic_fetch_or(word, NO_EOI_REQUIRED, __ATOMIC_RELAXED);
	vp->assist_promised = true;
}

bool vp_assist_leave(struct vp *vp, u64 *gpa)
{
	u32 *word;
	u8 vector;

	if (!vp->assist_promised)
		return true;
	word = guest_memory(vp->partition, page_of(vp), true);
	if (!word) {
		*gpa = page_of(vp);
		return false;
	}
	vp->assist_promised = false;
	/* An edge, when it was promised: nobody wants to hear of its end. */
	if (!(__atomic_fetch_and(word, ~NO_EOI_REQUIRED, __ATOMIC_RELAXED) & NO_EOI_REQUIRED))
		apic_eoi(&vp->apic, &vector);
	return true;
}
