/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * Debug hypercalls of the bundled hypervisor: counters, the "who can reach
 * this page" query and run-time options.
 *
 * None of this exists on the Microsoft Hypervisor.  The call codes lie far
 * above the TLFS range and answer HV_STATUS_INVALID_HYPERCALL_CODE (0x2)
 * elsewhere; a client must treat that as "not the bundled hypervisor".
 * All calls are simple memory calls.  The first eight bytes of each input
 * name a partition, as MSHV_ROOT_HVCALL fills them in.
 */
#ifndef HVABI_DEBUG_H
#define HVABI_DEBUG_H

#include "types.h"

/* Call codes. */
#define HVABI_CALL_DEBUG_GET_COUNTERS	0xf001
#define HVABI_CALL_DEBUG_WHO_CAN_REACH	0xf002
#define HVABI_CALL_DEBUG_SET_OPTION	0xf003
#define HVABI_CALL_DEBUG_GET_OPTION	0xf004

/*
 * Why a processor left a partition (parent or child).  X(name, text); the
 * order is the order of the counters.
 */
#define HVABI_DEBUG_EXITS(X) \
	X(CPUID,	"cpuid") \
	X(MSR_READ,	"msr_read") \
	X(MSR_WRITE,	"msr_write") \
	X(IO_PORT,	"io_port") \
	X(HLT,		"hlt") \
	X(HYPERCALL,	"hypercall") \
	X(NPF_UNMAPPED,	"npf_unmapped") \
	X(NPF_ACCESS,	"npf_access") \
	X(NPF_SPURIOUS,	"npf_spurious") \
	X(INTERRUPT,	"interrupt") \
	X(NMI,		"nmi") \
	X(KICK,		"kick") \
	X(EXCEPTION,	"exception") \
	X(SHUTDOWN,	"shutdown") \
	X(XSETBV,	"xsetbv") \
	X(CACHE,	"cache") \
	X(SVM_INSN,	"svm_instruction") \
	X(TASK_SWITCH,	"task_switch") \
	X(INVALID,	"invalid_state") \
	X(OTHER,	"other")

/* Hypercalls answered.  X(name, code, text). */
#define HVABI_DEBUG_CALLS(X) \
	X(CREATE_PARTITION,		0x0040, "create_partition") \
	X(INITIALIZE_PARTITION,		0x0041, "initialize_partition") \
	X(FINALIZE_PARTITION,		0x0042, "finalize_partition") \
	X(DELETE_PARTITION,		0x0043, "delete_partition") \
	X(GET_PARTITION_PROPERTY,	0x0044, "get_partition_property") \
	X(SET_PARTITION_PROPERTY,	0x0045, "set_partition_property") \
	X(GET_PARTITION_ID,		0x0046, "get_partition_id") \
	X(DEPOSIT_MEMORY,		0x0048, "deposit_memory") \
	X(WITHDRAW_MEMORY,		0x0049, "withdraw_memory") \
	X(MAP_GPA_PAGES,		0x004b, "map_gpa_pages") \
	X(UNMAP_GPA_PAGES,		0x004c, "unmap_gpa_pages") \
	X(INSTALL_INTERCEPT,		0x004d, "install_intercept") \
	X(CREATE_VP,			0x004e, "create_vp") \
	X(DELETE_VP,			0x004f, "delete_vp") \
	X(GET_VP_REGISTERS,		0x0050, "get_vp_registers") \
	X(SET_VP_REGISTERS,		0x0051, "set_vp_registers") \
	X(TRANSLATE_VIRTUAL_ADDRESS,	0x0052, "translate_virtual_address") \
	X(DISPATCH_VP,			0x00c2, "dispatch_vp") \
	X(GET_GPA_PAGES_ACCESS_STATES,	0x00c9, "get_gpa_pages_access_states") \
	X(MAP_VP_STATE_PAGE,		0x00e1, "map_vp_state_page") \
	X(UNMAP_VP_STATE_PAGE,		0x00e2, "unmap_vp_state_page") \
	X(GET_PARTITION_PROPERTY_EX,	0x0101, "get_partition_property_ex") \
	X(DEBUG_GET_COUNTERS,		0xf001, "debug_get_counters") \
	X(DEBUG_WHO_CAN_REACH,		0xf002, "debug_who_can_reach") \
	X(DEBUG_SET_OPTION,		0xf003, "debug_set_option") \
	X(DEBUG_GET_OPTION,		0xf004, "debug_get_option")

/*
 * What happened to second-level maps and memory.  Pages are 4 KiB unless
 * the name says otherwise; all only ever grow.
 */
#define HVABI_DEBUG_EVENTS(X) \
	X(MAP_4K,		"map_4k") \
	X(MAP_2M,		"map_2m") \
	X(NO_ACCESS_4K,		"no_access_4k") \
	X(NO_ACCESS_2M,		"no_access_2m") \
	X(UNMAP_4K,		"unmap_4k") \
	X(UNMAP_2M,		"unmap_2m") \
	X(SPLIT,		"split") \
	X(JOIN,			"join") \
	X(SHOOTDOWN,		"shootdown") \
	X(SHOOTDOWN_KICK,	"shootdown_kick") \
	X(PAGE_DEPOSITED,	"page_deposited") \
	X(PAGE_WITHDRAWN,	"page_withdrawn") \
	X(MEMORY_REFUSED,	"memory_refused") \
	X(PARTIAL,		"partial_completion") \
	X(UNKNOWN_CALL,		"unknown_call") \
	X(CALL_REFUSED,		"call_refused_by_option") \
	X(PARENT_FAULT,		"parent_fault")

enum hvabi_debug_counter {
#define X(name, text) HVABI_COUNT_EXIT_##name,
	HVABI_DEBUG_EXITS(X)
#undef X
	/* Three counters a call: calls, repetitions done, refusals. */
#define X(name, code, text) \
	HVABI_COUNT_CALL_##name, HVABI_COUNT_REPS_##name, HVABI_COUNT_FAIL_##name,
	HVABI_DEBUG_CALLS(X)
#undef X
#define X(name, text) HVABI_COUNT_##name,
	HVABI_DEBUG_EVENTS(X)
#undef X
	HVABI_COUNT_MAX
};

/* Output of DEBUG_GET_COUNTERS is one page. */
_Static_assert(HVABI_COUNT_MAX <= 512, "counters fill at most one page");

#define HVABI_DEBUG_ALL_PROCESSORS	0xffffffffu

/**
 * struct hvabi_input_debug_get_counters - DEBUG_GET_COUNTERS (0xf001)
 * @partition_id: whose counters.  Self: the parent's own exits and the calls
 *	that name no child.  A child: its exits, and the calls made about it.
 * @processor: HVABI_DEBUG_ALL_PROCESSORS for the partition's counters, or a
 *	processor index for everything that happened on that processor
 *	(@partition_id must then be self).
 * @padding: zero
 *
 * Output: HVABI_COUNT_MAX u64 counters.
 */
struct hvabi_input_debug_get_counters {
	__u64 partition_id;
	__u32 processor;
	__u32 padding;
} __attribute__((packed));
_Static_assert(sizeof(struct hvabi_input_debug_get_counters) == 16, "size");

/**
 * struct hvabi_input_debug_who_can_reach - DEBUG_WHO_CAN_REACH (0xf002)
 * @partition_id: self: look at all children; a child: at that one only
 * @page: page number (4 KiB) in the parent's guest physical space
 */
struct hvabi_input_debug_who_can_reach {
	__u64 partition_id;
	__u64 page;
} __attribute__((packed));
_Static_assert(sizeof(struct hvabi_input_debug_who_can_reach) == 16, "size");

/* Owner of a parent page, as the hypervisor keeps it. */
#define HVABI_DEBUG_OWNER_NONE		0	/* not RAM */
#define HVABI_DEBUG_OWNER_HYPERVISOR	1
#define HVABI_DEBUG_OWNER_PARENT	2
#define HVABI_DEBUG_OWNER_POOL		3	/* deposited */

/**
 * struct hvabi_debug_reach - one mapping of the page in question
 * @partition_id: the child
 * @gfn: its guest page number
 * @rights: HVABI_MAP_GPA_* permission bits (low four)
 * @size: 1 mapped as 4 KiB, 2 as part of a 2 MiB map
 */
struct hvabi_debug_reach {
	__u64 partition_id;
	__u64 gfn;
	__u32 rights;
	__u32 size;
} __attribute__((packed));

#define HVABI_DEBUG_REACH_MAX 160

/**
 * struct hvabi_output_debug_who_can_reach - answer of DEBUG_WHO_CAN_REACH
 * @owner: HVABI_DEBUG_OWNER_*
 * @references: how often the hypervisor or a child refers to the page
 * @found: mappings found; more than HVABI_DEBUG_REACH_MAX are counted here
 *	but not listed
 * @parent_access: 1 if the parent itself can reach the page
 * @reach: the first @found mappings
 */
struct hvabi_output_debug_who_can_reach {
	__u32 owner;
	__u32 references;
	__u32 found;
	__u32 parent_access;
	struct hvabi_debug_reach reach[HVABI_DEBUG_REACH_MAX];
} __attribute__((packed));
_Static_assert(sizeof(struct hvabi_output_debug_who_can_reach) ==
	       16 + 24 * HVABI_DEBUG_REACH_MAX, "size");
_Static_assert(sizeof(struct hvabi_output_debug_who_can_reach) <= 4096, "size");

/*
 * Options: X(name, "boot option", default, largest).  Given at boot as
 * KEY=VALUE, changed at run time by DEBUG_SET_OPTION.  What each one does is
 * said in docs/hypervisor.md.
 */
#define HVABI_DEBUG_OPTIONS(X) \
	X(STRICT,		"strict",		1, 1) \
	X(PARTIAL_EVERY,	"partial",		0, 4095) \
	X(REFUSE_MEMORY_AT,	"refuse_memory",	0, 0xffffffff) \
	X(REFUSE_MEMORY_EVERY,	"refuse_memory_every",	0, 0xffffffff) \
	X(REFUSE_CALL,		"refuse_call",		0, 0xffff) \
	X(REFUSE_CALL_AT,	"refuse_call_at",	0, 0xffffffff) \
	X(REFUSE_STATUS,	"refuse_status",	0x71, 0xffff) \
	X(DELAY,		"delay",		0, 0xffffffff) \
	X(PARK,			"park",			0, 1)

enum hvabi_debug_option {
#define X(name, text, value, most) HVABI_OPTION_##name,
	HVABI_DEBUG_OPTIONS(X)
#undef X
	HVABI_OPTION_MAX
};

/**
 * struct hvabi_input_debug_option - DEBUG_SET_OPTION, DEBUG_GET_OPTION
 * @partition_id: self
 * @option: enum hvabi_debug_option; PARK can be read only
 * @padding: zero
 * @value: new value (ignored by GET)
 *
 * Output of both: the u64 value that is now in force.  Setting one of the
 * "refuse" options starts its count anew.
 */
struct hvabi_input_debug_option {
	__u64 partition_id;
	__u32 option;
	__u32 padding;
	__u64 value;
} __attribute__((packed));
_Static_assert(sizeof(struct hvabi_input_debug_option) == 24, "size");

#endif
