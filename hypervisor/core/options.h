/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Boot and run-time options: how strict the hypervisor is, and how it is told
 * to misbehave within the ABI.  Names and limits: HVABI_DEBUG_OPTIONS.
 *
 * Lock: the world exclusively to set one; to ask, none.
 */
#ifndef CORE_OPTIONS_H
#define CORE_OPTIONS_H

#include <hvabi/debug.h>
#include "types.h"

/* Value of an option. */
u64 option(enum hvabi_debug_option which);

/* Set an option.  False, and nothing changed, if the value is out of range. */
bool option_set(enum hvabi_debug_option which, u64 value);

/*
 * Parse "key=value key=value".  Words without '=' are passed over (the first
 * one is the image name).  On an unknown key or bad value returns false with
 * @bad pointing at the offending word; options before it are set.
 */
bool option_parse(const char *line, const char **bad);

/* True if this request for memory is the one that an option says to refuse. */
bool option_refuses_memory(void);

/* True if this call is the one that an option says to refuse. */
bool option_refuses_call(u16 code);

#endif
