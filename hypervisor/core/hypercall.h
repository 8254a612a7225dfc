/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Hypercalls: how one is decoded, and what a handler sees of it.
 *
 * Laws
 *  - Decode, then perform.  hypercall() checks the control word and both
 *    blocks; a handler checks every value of its input, all repetitions
 *    included, before it changes anything.  What is refused changes nothing
 *    but the counters.
 *  - The input is a private copy: nothing moves between check and use.
 *  - After the checks only "insufficient memory" may stop a rep call half way,
 *    and what was done until then stays done.
 *
 * Lock: a call is answered with the world exclusively, unless it is known to concern one child and nothing else
 * (SHARED in the table): then sharing it, with the lock of the partition that the first word of the input names.
 */
#ifndef CORE_HYPERCALL_H
#define CORE_HYPERCALL_H

#include <hvabi/hypercall.h>
#include "cpu.h"
#include "partition.h"
#include "types.h"

struct vp;

/**
 * struct hypercall - one call in hand
 * @target: partition that the call is about, for the counters
 * @limit: do repetitions @done .. @limit - 1 in this go (@limit <= reps)
 * @done: repetitions completed, counted from the start of the list
 * @varhead: words of variable header, behind the header of the input
 * @out_header: bytes of output that are no repetitions; 0 also if this call has no use for them
 * @in: copy of the input block; @out: output block, zeroed as far as it is given back
 */
struct hypercall {
	struct cpu *cpu;
	struct partition *target;
	u16 code;
	u16 reps;
	u16 limit;
	u16 done;
	u16 varhead;
	u16 out_header;
	void *in;
	void *out;
};

/**
 * hypercall() - answer a call of the parent
 * @control: RCX; @rdx, @r8: input and output addresses, or fast input
 *
 * Returns the result word.  The world is held, and afterwards perhaps exclusively.
 */
u64 hypercall(struct cpu *cpu, u64 control, u64 rdx, u64 r8);

/* Handlers: one per call code, in hc_*.c.  Each returns a HVABI_STATUS_*. */
typedef u16 hypercall_handler(struct hypercall *c);

hypercall_handler hc_create_partition, hc_initialize_partition, hc_finalize_partition,
	hc_delete_partition, hc_get_partition_property, hc_set_partition_property,
	hc_get_partition_property_ex, hc_get_partition_id, hc_install_intercept,
	hc_deposit_memory, hc_withdraw_memory, hc_map_gpa_pages, hc_unmap_gpa_pages,
	hc_get_gpa_pages_access_states,
	hc_create_vp, hc_delete_vp, hc_get_vp_registers, hc_set_vp_registers,
	hc_translate_virtual_address, hc_dispatch_vp, hc_map_vp_state_page,
	hc_unmap_vp_state_page,
	hc_assert_virtual_interrupt, hc_clear_virtual_interrupt,
	hc_acquire_host_access, hc_release_host_access,
	hc_create_port, hc_connect_port, hc_disconnect_port, hc_delete_port,
	hc_notify_port_ring_empty, hc_get_vp_state, hc_set_vp_state,
	hc_register_intercept_result, hc_get_vp_cpuid_values,
	hc_map_stats_page, hc_map_stats_page2, hc_unmap_stats_page, hc_get_system_property,
	hc_signal_event_direct, hc_post_message_direct,
	hc_debug_get_counters, hc_debug_who_can_reach, hc_debug_set_option,
	hc_debug_get_option;

/* Find the child @id in state ACTIVE and note it as the target. */
u16 hc_active_child(struct hypercall *c, u64 id, struct partition **p);

/* Find a VP of such a child; hc_stopped_vp(): for calls that need it to stand still. */
u16 hc_active_vp(struct hypercall *c, u64 id, u32 index, struct vp **vp);
u16 hc_stopped_vp(struct hypercall *c, u64 id, u32 index, struct vp **vp);

#endif
