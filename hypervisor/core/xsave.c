// SPDX-License-Identifier: GPL-2.0-only
/*
 * Access to an XSAVE image.
 */
#include "platform.h"
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
	u64 reserved2[6];
};
_Static_assert(offsetof(struct legacy, xmm) == 160, "xmm");
_Static_assert(offsetof(struct legacy, xstate_bv) == 512, "header");

#define XSTATE_X87	BIT(0)
#define XSTATE_SSE	BIT(1)
#define XSTATE_AVX	BIT(2)
#define COMPACTED	BIT(63)
#define FIRST_OFFSET	576u
#define COMPONENTS	63u
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

/* Room that component @i takes in the compacted format, from @offset on, which moves behind it. */
static u32 place(u32 i, u32 *offset)
{
	u32 at = platform_info.xsave[i].aligned ? (u32)align_up(*offset, 64) : *offset;

	*offset = at + platform_info.xsave[i].bytes;
	return at;
}

void xsave_get_image(const void *area, u64 states, void *page)
{
	const struct legacy *from = real(area);
	struct legacy *to = page;
	u32 offset = FIRST_OFFSET;

	if (states & XSTATE_X87) {
		memcpy(to, from, offsetof(struct legacy, mxcsr));
		memcpy(to->st, from->st, sizeof(to->st));
	}
	if (states & XSTATE_SSE)
		memcpy(to->xmm, from->xmm, sizeof(to->xmm));
	if (states & (XSTATE_SSE | XSTATE_AVX)) {
		to->mxcsr = from->mxcsr;
		to->mxcsr_mask = MXCSR_DEFINED;
	}
	to->xstate_bv = from->xstate_bv & states;
	to->xcomp_bv = COMPACTED | states;
	for (u32 i = 2; i < COMPONENTS; i++) {
		u32 at;

		if (!(states & BIT(i)))
			continue;
		at = place(i, &offset);
		if (to->xstate_bv & BIT(i))
			memcpy((u8 *)page + at, (const u8 *)area + platform_info.xsave[i].offset,
			       platform_info.xsave[i].bytes);
	}
}

/* What is refused is what XRSTOR would refuse, and what does not belong to @states. */
static bool is_image(const struct legacy *from, u64 states)
{
	u64 held = from->xcomp_bv & ~COMPACTED;

	for (u32 i = 0; i < ARRAY_SIZE(from->reserved2); i++)
		if (from->reserved2[i])
			return false;
	if (from->xstate_bv & ~states)
		return false;
	if (from->xcomp_bv &&
	    (!(from->xcomp_bv & COMPACTED) || (held & ~platform_info.xcr0_mask) ||
	     (from->xstate_bv & ~held)))
		return false;
	return !(states & (XSTATE_SSE | XSTATE_AVX)) || !(from->mxcsr & ~MXCSR_DEFINED);
}

bool xsave_set_image(void *area, u64 states, const void *page)
{
	const struct legacy *from = page;
	struct legacy *to = real(area);
	u32 offset = FIRST_OFFSET;

	if (!is_image(from, states))
		return false;
	/* real() gives what is left out its initial value. */
	to->xstate_bv &= ~states;
	real(area);
	if (from->xstate_bv & XSTATE_X87) {
		memcpy(to, from, offsetof(struct legacy, mxcsr));
		memcpy(to->st, from->st, sizeof(to->st));
	}
	if (from->xstate_bv & XSTATE_SSE)
		memcpy(to->xmm, from->xmm, sizeof(to->xmm));
	if (states & (XSTATE_SSE | XSTATE_AVX))
		to->mxcsr = from->mxcsr;
	for (u32 i = 2; i < COMPONENTS; i++) {
		u32 at = platform_info.xsave[i].offset;

		if (from->xcomp_bv & BIT(i))
			at = place(i, &offset);
		if (!(from->xstate_bv & BIT(i)))
			continue;
		memcpy((u8 *)area + platform_info.xsave[i].offset, (const u8 *)page + at,
		       platform_info.xsave[i].bytes);
		to->xstate_bv |= BIT(i);
	}
	return true;
}
