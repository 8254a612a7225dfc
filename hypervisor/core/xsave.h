/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The legacy part of a VP's XSAVE image: where x87 and SSE registers lie in
 * it (APM vol. 2, 11.5.9).  The image is always in the standard format and
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

/* False, and nothing changed, if MXCSR has reserved bits set: loading it would fault. */
bool xsave_set_xmm_control(void *area, const struct hvabi_x64_xmm_control_status *value);

#endif
