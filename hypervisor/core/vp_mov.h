/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The MOV at which a child's processor stands: decoded for the mode that the processor is in,
 * what it writes, and how to go on behind it.
 *
 * Lock: the partition's; the state of the processor is stored back.
 */
#ifndef CORE_VP_MOV_H
#define CORE_VP_MOV_H

#include "mov.h"
#include "types.h"

struct vp;

enum vp_mov {
	VP_MOV,			/* one that is understood */
	VP_MOV_OTHER,		/* something else */
	VP_MOV_GONE,		/* the page of the code has gone: the child finds out when it repeats */
};

enum vp_mov vp_decode_mov(struct vp *vp, struct mov *mov);

/* What it writes, zeros above its size. */
u64 mov_value(const struct vp *vp, const struct mov *mov);

/* It has been carried out. */
void vp_skip_mov(struct vp *vp, const struct mov *mov);

#endif
