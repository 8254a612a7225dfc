/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Hypercalls: the control word, the result word and the call codes.
 *
 * A memory call has RCX = control, RDX = address of the input block, R8 = address of the output
 * block, and returns the result word in RAX. A fast call has up to 16 bytes of input in RDX and R8
 * instead. Blocks are 8-byte aligned and do not cross a page; an unused address is 0.
 *
 * A rep call processes a list. "Reps completed" is absolute (rep start + reps done by this call);
 * success with fewer reps than asked is normal and the caller goes on from there; on an error the
 * completed reps stay done. Element i of a list stands at header + i * element size whatever the
 * rep start is.
 */
#ifndef HVABI_HYPERCALL_H
#define HVABI_HYPERCALL_H

#include "status.h"
#include "types.h"

/* Control word. */
#define HVABI_CONTROL_CODE_MASK		0xffffull
#define HVABI_CONTROL_FAST		(1ull << 16)
#define HVABI_CONTROL_VARHEAD_SHIFT	17
#define HVABI_CONTROL_VARHEAD_MASK	0x3ffull	/* units of 8 bytes */
#define HVABI_CONTROL_NESTED		(1ull << 31)
#define HVABI_CONTROL_REP_COUNT_SHIFT	32
#define HVABI_CONTROL_REP_START_SHIFT	48
#define HVABI_CONTROL_REP_MASK		0xfffull
/* Bits 27-30, 44-47 and 60-63, which must be 0. */
#define HVABI_CONTROL_RESERVED		0xf000f00078000000ull

/* Result word. */
#define HVABI_RESULT_STATUS_MASK	0xffffull
#define HVABI_RESULT_REPS_SHIFT		32
/* What a call returns when there is no hypercall page. */
#define HVABI_RESULT_NO_HYPERCALL	(~0ull)

/* Most reps one call can carry. */
#define HVABI_REP_MAX			4095u

/* Shape of a call. */
/* fast: 8 input bytes in RDX; the memory form is legal too */
#define HVABI_KIND_FAST8		1
/* fast: 16 input bytes in RDX and R8; the memory form is legal too */
#define HVABI_KIND_FAST16		2
#define HVABI_KIND_SIMPLE		3	/* memory, no reps */
#define HVABI_KIND_REP			4	/* memory, with reps */
#define HVABI_KIND_VARHEAD		5	/* memory, no reps, variable header */

/*
 * X(name, code, kind, input header bytes, input element bytes, output header bytes, output element
 * bytes)
 *
 * The output bytes of GET_PARTITION_PROPERTY_EX and GET_VP_STATE are the most there can be.
 */
#define HVABI_CALL_LIST(X)								\
	X(CREATE_PARTITION,		0x0040, SIMPLE,  56,  0,    8,  0)		\
	X(INITIALIZE_PARTITION,		0x0041, FAST8,    8,  0,    0,  0)		\
	X(FINALIZE_PARTITION,		0x0042, FAST8,    8,  0,    0,  0)		\
	X(DELETE_PARTITION,		0x0043, FAST8,    8,  0,    0,  0)		\
	X(GET_PARTITION_PROPERTY,	0x0044, SIMPLE,  16,  0,    8,  0)		\
	X(SET_PARTITION_PROPERTY,	0x0045, SIMPLE,  24,  0,    0,  0)		\
	X(GET_PARTITION_ID,		0x0046, SIMPLE,   0,  0,    8,  0)		\
	X(DEPOSIT_MEMORY,		0x0048, REP,      8,  8,    0,  0)		\
	X(WITHDRAW_MEMORY,		0x0049, REP,     16,  0,    0,  8)		\
	X(MAP_GPA_PAGES,		0x004b, REP,     24,  8,    0,  0)		\
	X(UNMAP_GPA_PAGES,		0x004c, REP,     24,  0,    0,  0)		\
	X(INSTALL_INTERCEPT,		0x004d, SIMPLE,  24,  0,    0,  0)		\
	X(CREATE_VP,			0x004e, SIMPLE,  40,  0,    0,  0)		\
	X(DELETE_VP,			0x004f, FAST16,  16,  0,    0,  0)		\
	X(GET_VP_REGISTERS,		0x0050, REP,     16,  4,    0, 16)		\
	X(SET_VP_REGISTERS,		0x0051, REP,     16, 32,    0,  0)		\
	X(TRANSLATE_VIRTUAL_ADDRESS,	0x0052, SIMPLE,  32,  0,   16,  0)		\
	X(CLEAR_VIRTUAL_INTERRUPT,	0x0056, FAST8,    8,  0,    0,  0)		\
	X(DELETE_PORT,			0x0058, FAST16,  16,  0,    0,  0)		\
	X(DISCONNECT_PORT,		0x005b, FAST16,  16,  0,    0,  0)		\
	X(MAP_STATS_PAGE,		0x006c, SIMPLE,  24,  0,    8,  0)		\
	X(UNMAP_STATS_PAGE,		0x006d, SIMPLE,  24,  0,    0,  0)		\
	X(GET_SYSTEM_PROPERTY,		0x007b, SIMPLE,  16,  0,    8,  0)		\
	X(NOTIFY_PORT_RING_EMPTY,	0x008b, FAST8,    8,  0,    0,  0)		\
	X(REGISTER_INTERCEPT_RESULT,	0x0091, SIMPLE,  60,  0,    0,  0)		\
	X(ASSERT_VIRTUAL_INTERRUPT,	0x0094, SIMPLE,  32,  0,    0,  0)		\
	X(CREATE_PORT,			0x0095, SIMPLE,  56,  0,    0,  0)		\
	X(CONNECT_PORT,			0x0096, SIMPLE,  72,  0,    0,  0)		\
	X(SIGNAL_EVENT_DIRECT,		0x00c0, SIMPLE,  16,  0,    8,  0)		\
	X(POST_MESSAGE_DIRECT,		0x00c1, SIMPLE, 280,  0,    0,  0)		\
	X(DISPATCH_VP,			0x00c2, SIMPLE,  32,  0,    8,  0)		\
	X(GET_GPA_PAGES_ACCESS_STATES,	0x00c9, REP,     24,  0,    0,  1)		\
	X(ACQUIRE_SPARSE_SPA_PAGE_HOST_ACCESS, 0x00d7, REP, 16, 8,  0,  0)		\
	X(RELEASE_SPARSE_SPA_PAGE_HOST_ACCESS, 0x00d8, REP, 16, 8,  0,  0)		\
	X(MAP_VP_STATE_PAGE,		0x00e1, SIMPLE,  24,  0,    8,  0)		\
	X(UNMAP_VP_STATE_PAGE,		0x00e2, SIMPLE,  16,  0,    0,  0)		\
	X(GET_VP_STATE,			0x00e3, VARHEAD, 40,  8,  200,  0)		\
	X(SET_VP_STATE,			0x00e4, VARHEAD, 40,  8,    0,  0)		\
	X(GET_VP_CPUID_VALUES,		0x00f4, REP,     24, 24,    0, 16)		\
	X(GET_PARTITION_PROPERTY_EX,	0x0101, SIMPLE,  24,  0, 4072,  0)		\
	X(MAP_STATS_PAGE2,		0x0131, SIMPLE,  32,  0,    0,  0)

enum hvabi_call {
#define HVABI_CALL_ENUM(name, code, kind, in, in_el, out, out_el) HVABI_CALL_##name = (code),
	HVABI_CALL_LIST(HVABI_CALL_ENUM)
#undef HVABI_CALL_ENUM
};

static inline uint64_t hvabi_control(uint16_t code, uint16_t reps, uint16_t start)
{
	return (uint64_t)code |
	       ((uint64_t)reps & HVABI_CONTROL_REP_MASK) << HVABI_CONTROL_REP_COUNT_SHIFT |
	       ((uint64_t)start & HVABI_CONTROL_REP_MASK) << HVABI_CONTROL_REP_START_SHIFT;
}

static inline uint16_t hvabi_control_code(uint64_t control)
{
	return (uint16_t)(control & HVABI_CONTROL_CODE_MASK);
}

/* Variable header size in units of 8 bytes. */
static inline uint16_t hvabi_control_varhead(uint64_t control)
{
	return (uint16_t)(control >> HVABI_CONTROL_VARHEAD_SHIFT & HVABI_CONTROL_VARHEAD_MASK);
}

static inline uint16_t hvabi_control_reps(uint64_t control)
{
	return (uint16_t)(control >> HVABI_CONTROL_REP_COUNT_SHIFT & HVABI_CONTROL_REP_MASK);
}

static inline uint16_t hvabi_control_start(uint64_t control)
{
	return (uint16_t)(control >> HVABI_CONTROL_REP_START_SHIFT & HVABI_CONTROL_REP_MASK);
}

static inline uint64_t hvabi_result(uint16_t status, uint16_t reps)
{
	return (uint64_t)status |
	       ((uint64_t)reps & HVABI_CONTROL_REP_MASK) << HVABI_RESULT_REPS_SHIFT;
}

static inline uint16_t hvabi_result_status(uint64_t result)
{
	return (uint16_t)(result & HVABI_RESULT_STATUS_MASK);
}

/* Reps completed: absolute, rep start included. */
static inline uint16_t hvabi_result_reps(uint64_t result)
{
	return (uint16_t)(result >> HVABI_RESULT_REPS_SHIFT & HVABI_CONTROL_REP_MASK);
}

#endif
