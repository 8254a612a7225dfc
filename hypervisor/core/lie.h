/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * False answers, on request (option "lie", HVABI_LIE_*): what a parent must survive without hanging,
 * warning, or freeing what is not its own.  The state of the hypervisor stays true.
 */
#ifndef CORE_LIE_H
#define CORE_LIE_H

#include "hypercall.h"

/* Change what @c asks for, before it is performed. */
void lie_before(struct hypercall *c);

/* Answer @c with a lie instead of performing it.  False: perform it. */
bool lie_instead(struct hypercall *c, u16 *status);

/*
 * Change the answer of a call that was performed.
 *
 * Returns the reps to report; *status may change, and output behind those that were done.
 */
u16 lie_about(struct hypercall *c, u16 start, u16 *status);

#endif
