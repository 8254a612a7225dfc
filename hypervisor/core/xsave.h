/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The legacy part of a VP's XSAVE image: where x87 and SSE registers lie in
 * it (APM vol. 2, 11.5.9), and the whole of it as it travels.  The image is always in the standard format and
 * marks x87 and SSE as in use, so that what is written here is loaded.
 */
#ifndef CORE_XSAVE_H
#define CORE_XSAVE_H

#include <hvabi/register.h>
#include "types.h"

void xsave_reset(void *area);
void xsave_get_xmm(const void *area, u32 n, struct hvabi_u128 *value);
void xsave_set_xmm(void *area, u32 n, const struct hvabi_u128 *value);
void xsave_get_st(const void *area, u32 n, struct hvabi_u128 *value);
void xsave_set_st(void *area, u32 n, const struct hvabi_u128 *value);
void xsave_get_fp_control(const void *area, struct hvabi_x64_fp_control_status *value);
void xsave_set_fp_control(void *area, const struct hvabi_x64_fp_control_status *value);
void xsave_get_xmm_control(const void *area, struct hvabi_x64_xmm_control_status *value);

/*
 * Components @states (of platform_info.xcr0_mask) of the image, in the compacted format (APM vol. 2,
 * 11.5.10), to the @page, which is zeroed.
 */
void xsave_get_image(const void *area, u64 states, void *page);

/*
 * The way back, from the compacted or the standard format.  Of @states, what the image does not
 * hold takes its initial value; others stay.  False, and nothing changed, if loading it would fault.
 */
bool xsave_set_image(void *area, u64 states, const void *page);

/* False, and nothing changed, if MXCSR has reserved bits set: loading it would fault. */
bool xsave_set_xmm_control(void *area, const struct hvabi_x64_xmm_control_status *value);

#endif
