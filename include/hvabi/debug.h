/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
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

#include "hypercall.h"
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
	X(CR8_WRITE,	"cr8_write") \
	X(IRET,		"iret") \
	X(APIC_EOI,	"apic_eoi") \
	X(APIC_PAGE,	"apic_page") \
	X(DOORBELL,	"doorbell") \
	X(TIMER,	"timer") \
	X(OTHER,	"other")

/* Hypercalls answered; code: HVABI_CALL_name.  X(name, text). */
#define HVABI_DEBUG_CALLS(X) \
	X(CREATE_PARTITION,		"create_partition") \
	X(INITIALIZE_PARTITION,		"initialize_partition") \
	X(FINALIZE_PARTITION,		"finalize_partition") \
	X(DELETE_PARTITION,		"delete_partition") \
	X(GET_PARTITION_PROPERTY,	"get_partition_property") \
	X(SET_PARTITION_PROPERTY,	"set_partition_property") \
	X(GET_PARTITION_ID,		"get_partition_id") \
	X(DEPOSIT_MEMORY,		"deposit_memory") \
	X(WITHDRAW_MEMORY,		"withdraw_memory") \
	X(MAP_GPA_PAGES,		"map_gpa_pages") \
	X(UNMAP_GPA_PAGES,		"unmap_gpa_pages") \
	X(INSTALL_INTERCEPT,		"install_intercept") \
	X(CREATE_VP,			"create_vp") \
	X(DELETE_VP,			"delete_vp") \
	X(GET_VP_REGISTERS,		"get_vp_registers") \
	X(SET_VP_REGISTERS,		"set_vp_registers") \
	X(TRANSLATE_VIRTUAL_ADDRESS,	"translate_virtual_address") \
	X(DISPATCH_VP,			"dispatch_vp") \
	X(GET_GPA_PAGES_ACCESS_STATES,	"get_gpa_pages_access_states") \
	X(ACQUIRE_SPARSE_SPA_PAGE_HOST_ACCESS, "acquire_host_access") \
	X(RELEASE_SPARSE_SPA_PAGE_HOST_ACCESS, "release_host_access") \
	X(MAP_VP_STATE_PAGE,		"map_vp_state_page") \
	X(UNMAP_VP_STATE_PAGE,		"unmap_vp_state_page") \
	X(GET_PARTITION_PROPERTY_EX,	"get_partition_property_ex") \
	X(ASSERT_VIRTUAL_INTERRUPT,	"assert_virtual_interrupt") \
	X(CLEAR_VIRTUAL_INTERRUPT,	"clear_virtual_interrupt") \
	X(CREATE_PORT,			"create_port") \
	X(CONNECT_PORT,			"connect_port") \
	X(DISCONNECT_PORT,		"disconnect_port") \
	X(DELETE_PORT,			"delete_port") \
	X(NOTIFY_PORT_RING_EMPTY,	"notify_port_ring_empty") \
	X(GET_VP_STATE,			"get_vp_state") \
	X(SET_VP_STATE,			"set_vp_state") \
	X(REGISTER_INTERCEPT_RESULT,	"register_intercept_result") \
	X(GET_VP_CPUID_VALUES,		"get_vp_cpuid_values") \
	X(MAP_STATS_PAGE,		"map_stats_page") \
	X(MAP_STATS_PAGE2,		"map_stats_page2") \
	X(UNMAP_STATS_PAGE,		"unmap_stats_page") \
	X(GET_SYSTEM_PROPERTY,		"get_system_property") \
	X(SIGNAL_EVENT_DIRECT,		"signal_event_direct") \
	X(POST_MESSAGE_DIRECT,		"post_message_direct") \
	X(DEBUG_GET_COUNTERS,		"debug_get_counters") \
	X(DEBUG_WHO_CAN_REACH,		"debug_who_can_reach") \
	X(DEBUG_SET_OPTION,		"debug_set_option") \
	X(DEBUG_GET_OPTION,		"debug_get_option")

/*
 * What happened to second-level maps and memory.  Pages are 4 KiB unless
 * the name says otherwise; all only ever grow.  UNLOCKED_EXIT are exits, counted by their reason
 * as well, that took no lock of the hypervisor, LOCK_WAITED is how often a
 * processor had to wait for one (of processors only).  FAULT_TIMED are faults that were
 * timed (option "time_faults"), FAULT_TICKS_* TSC ticks of their parts, in the
 * order in which they come.
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
	X(SPLIT_1G,		"split_1g") \
	X(JOIN_1G,		"join_1g") \
	X(SHOOTDOWN,		"shootdown") \
	X(SHOOTDOWN_KICK,	"shootdown_kick") \
	X(PAGE_DEPOSITED,	"page_deposited") \
	X(PAGE_WITHDRAWN,	"page_withdrawn") \
	X(MEMORY_REFUSED,	"memory_refused") \
	X(PARTIAL,		"partial_completion") \
	X(UNKNOWN_CALL,		"unknown_call") \
	X(CALL_REFUSED,		"call_refused_by_option") \
	X(PARENT_FAULT,		"parent_fault") \
	X(SIGNAL,		"scheduler_signal") \
	X(BLOCKED,		"blocked") \
	X(IPI,			"ipi") \
	X(INTERRUPT_ASSERTED,	"interrupt_asserted") \
	X(INTERRUPT_DELIVERED,	"interrupt_delivered") \
	X(TIMER_EXPIRED,	"timer_expired") \
	X(OPAQUE_INTERCEPT,	"opaque_intercept") \
	X(UNLOCKED_EXIT,	"exit_without_lock") \
	X(LOCK_WAITED,		"lock_waited") \
	X(FAULT_TIMED,		"fault_timed") \
	X(FAULT_TICKS_EXIT,	"fault_ticks_exit") \
	X(FAULT_TICKS_LOOK,	"fault_ticks_look") \
	X(FAULT_TICKS_MAP,	"fault_ticks_map") \
	X(FAULT_TICKS_RETURN,	"fault_ticks_return") \
	X(FAULT_TICKS_DISPATCH,	"fault_ticks_dispatch")

enum hvabi_debug_counter {
#define X(name, text) HVABI_COUNT_EXIT_##name,
	HVABI_DEBUG_EXITS(X)
#undef X
	/* Three counters a call: calls, repetitions done, refusals. */
#define X(name, text) \
	HVABI_COUNT_CALL_##name, HVABI_COUNT_REPS_##name, HVABI_COUNT_FAIL_##name,
	HVABI_DEBUG_CALLS(X)
#undef X
#define X(name, text) HVABI_COUNT_##name,
	HVABI_DEBUG_EVENTS(X)
#undef X
	HVABI_COUNT_MAX
};

/* Output of DEBUG_GET_COUNTERS is one page. */
HVABI_ASSERT(HVABI_COUNT_MAX <= 512, "counters fill at most one page");

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
	uint64_t partition_id;
	uint32_t processor;
	uint32_t padding;
} HVABI_PACKED;
HVABI_ASSERT(sizeof(struct hvabi_input_debug_get_counters) == 16, "size");

/**
 * struct hvabi_input_debug_who_can_reach - DEBUG_WHO_CAN_REACH (0xf002)
 * @partition_id: self: look at all children; a child: at that one only
 * @page: page number (4 KiB) in the parent's guest physical space
 */
struct hvabi_input_debug_who_can_reach {
	uint64_t partition_id;
	uint64_t page;
} HVABI_PACKED;
HVABI_ASSERT(sizeof(struct hvabi_input_debug_who_can_reach) == 16, "size");

/* Owner of a parent page, as the hypervisor keeps it. */
#define HVABI_DEBUG_OWNER_NONE		0	/* not RAM */
#define HVABI_DEBUG_OWNER_HYPERVISOR	1
#define HVABI_DEBUG_OWNER_PARENT	2
#define HVABI_DEBUG_OWNER_POOL		3	/* deposited */
#define HVABI_DEBUG_OWNER_EXCLUSIVE	4	/* an isolated child's own */

/**
 * struct hvabi_debug_reach - one mapping of the page in question
 * @partition_id: the child
 * @gfn: its guest page number
 * @rights: HVABI_MAP_GPA_* permission bits (low four)
 * @size: 1 mapped as 4 KiB, 2 as part of a 2 MiB map, 3 as part of a joined one of 1 GiB
 */
struct hvabi_debug_reach {
	uint64_t partition_id;
	uint64_t gfn;
	uint32_t rights;
	uint32_t size;
} HVABI_PACKED;

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
	uint32_t owner;
	uint32_t references;
	uint32_t found;
	uint32_t parent_access;
	struct hvabi_debug_reach reach[HVABI_DEBUG_REACH_MAX];
} HVABI_PACKED;
HVABI_ASSERT(sizeof(struct hvabi_output_debug_who_can_reach) ==
	       16 + 24 * HVABI_DEBUG_REACH_MAX, "size");
HVABI_ASSERT(sizeof(struct hvabi_output_debug_who_can_reach) <= 4096, "size");

/* False answers that the option "lie" asks for. */
enum hvabi_lie {
	HVABI_LIE_NONE,
	/* a rep call that did everything reports OPERATION_FAILED */
	HVABI_LIE_ERROR_WHEN_DONE,
	HVABI_LIE_MORE_REPS,		/* ... more reps than were asked for */
	/* ... success and no progress; not of calls that move pages */
	HVABI_LIE_GOES_BACK,
	/* WITHDRAW succeeds without end, with pages that nobody lent */
	HVABI_LIE_FOREIGN_PAGES,
	HVABI_LIE_SAME_PAGE,		/* WITHDRAW names one page again and again */
	HVABI_LIE_WRONG_STATE_PAGE,	/* MAP_VP_STATE_PAGE names another page, of the parent's */
	HVABI_LIE_GARBAGE_STATES,	/* access states with all bits set */
	HVABI_LIE_ACCESSED_STAYS,	/* true ones, but accessed bits are not cleared */
	HVABI_LIE_SILENT_PAGES,		/* none for a page with GFN % 512 == 7 */
	HVABI_LIE_SILENT_ROWS,		/* ... with GFN % 512 < 3 */
	HVABI_LIE_MAX
};

/* Values of option "scheduler", at boot by name; for partitions that are created from then on. */
enum hvabi_scheduler_option {
	HVABI_SCHEDULER_OPTION_ROOT,		/* the parent dispatches children's processors */
	HVABI_SCHEDULER_OPTION_INTEGRATED,	/* the hypervisor runs them by itself */
};

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
	X(REFUSE_ALWAYS,	"refuse_always",	0, 0xffff) \
	X(REFUSE_STATUS,	"refuse_status",	0x71, 0xffff) \
	X(DELAY,		"delay",		0, 0xffffffff) \
	X(LIE,			"lie",			0, HVABI_LIE_MAX - 1) \
	X(SCHEDULER,		"scheduler",		0, HVABI_SCHEDULER_OPTION_INTEGRATED) \
	X(PARK,			"park",			0, 1) \
	X(TIME_FAULTS,		"time_faults",		0, 1) \
	X(JOIN,			"join",			1, 1)

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
	uint64_t partition_id;
	uint32_t option;
	uint32_t padding;
	uint64_t value;
} HVABI_PACKED;
HVABI_ASSERT(sizeof(struct hvabi_input_debug_option) == 24, "size");

#endif
