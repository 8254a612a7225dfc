// SPDX-License-Identifier: GPL-2.0-only
/*
 * Access to the legacy region of an XSAVE image.
 */
#include "xsave.h"

struct legacy {
	u16 fcw, fsw;
	u8 ftw, reserved0;
	u16 fop;
	u64 fip, fdp;
	u32 mxcsr, mxcsr_mask;
	struct hvabi_u128 st[8];
	struct hvabi_u128 xmm[16];
	u8 reserved1[96];
	u64 xstate_bv, xcomp_bv;
};
_Static_assert(offsetof(struct legacy, xmm) == 160, "xmm");
_Static_assert(offsetof(struct legacy, xstate_bv) == 512, "header");

#define XSTATE_X87	BIT(0)
#define XSTATE_SSE	BIT(1)
#define MXCSR_RESET	0x1f80u
#define MXCSR_DEFINED	0xffffu

void xsave_reset(void *area)
{
	struct legacy *l = area;

	memset(area, 0, PAGE_SIZE);
	l->fcw = 0x37f;
	l->mxcsr = MXCSR_RESET;
	l->mxcsr_mask = MXCSR_DEFINED;
	l->xstate_bv = XSTATE_X87 | XSTATE_SSE;
}

/*
 * XSAVE may leave a component out and clear its bit when it is in its initial
 * state; the memory is then stale.  Make it real before it is read or written.
 */
static struct legacy *real(const void *area)
{
	struct legacy *l = (struct legacy *)(uintptr_t)area;

	if (!(l->xstate_bv & XSTATE_X87)) {
		memset(l, 0, offsetof(struct legacy, mxcsr));
		memset(l->st, 0, sizeof(l->st));
		l->fcw = 0x37f;
	}
	if (!(l->xstate_bv & XSTATE_SSE))
		memset(l->xmm, 0, sizeof(l->xmm));
	l->xstate_bv |= XSTATE_X87 | XSTATE_SSE;
	return l;
}

void xsave_get_xmm(const void *area, u32 n, struct hvabi_u128 *value)
{
	*value = real(area)->xmm[n];
}

void xsave_set_xmm(void *area, u32 n, const struct hvabi_u128 *value)
{
	real(area)->xmm[n] = *value;
}

void xsave_get_st(const void *area, u32 n, struct hvabi_u128 *value)
{
	*value = real(area)->st[n];
	value->high &= 0xffff;
}

void xsave_set_st(void *area, u32 n, const struct hvabi_u128 *value)
{
	real(area)->st[n] = (struct hvabi_u128){ value->low, value->high & 0xffff };
}

void xsave_get_fp_control(const void *area, struct hvabi_x64_fp_control_status *value)
{
	const struct legacy *l = real(area);

	*value = (struct hvabi_x64_fp_control_status){
		.fp_control = l->fcw, .fp_status = l->fsw, .fp_tag = l->ftw,
		.last_fp_op = l->fop, .last_fp_rip = l->fip,
	};
}

void xsave_set_fp_control(void *area, const struct hvabi_x64_fp_control_status *value)
{
	struct legacy *l = real(area);

	l->fcw = value->fp_control;
	l->fsw = value->fp_status;
	l->ftw = value->fp_tag;
	l->fop = value->last_fp_op;
	l->fip = value->last_fp_rip;
}

void xsave_get_xmm_control(const void *area, struct hvabi_x64_xmm_control_status *value)
{
	const struct legacy *l = real(area);

	*value = (struct hvabi_x64_xmm_control_status){
		.last_fp_rdp = l->fdp, .xmm_status_control = l->mxcsr,
		.xmm_status_control_mask = MXCSR_DEFINED,
	};
}

bool xsave_set_xmm_control(void *area, const struct hvabi_x64_xmm_control_status *value)
{
	struct legacy *l = real(area);

	if (value->xmm_status_control & ~MXCSR_DEFINED)
		return false;
	l->fdp = value->last_fp_rdp;
	l->mxcsr = value->xmm_status_control;
	return true;
}
