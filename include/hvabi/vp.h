/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Hypercalls on virtual processors: creation, registers, state pages, translation, dispatch.
 * Register names stand in register.h.
 */
#ifndef HVABI_VP_H
#define HVABI_VP_H

#include "register.h"
#include "types.h"

/* Linux accepts VP indexes below this. */
#define HVABI_VP_INDEX_LIMIT	256u

/* CREATE_VP */
struct hvabi_create_vp {
	uint64_t partition_id;
	uint32_t vp_index;
	uint8_t padding[3];		/* not to be relied on: Linux leaves stale bytes here */
	uint8_t subnode_type;		/* 0: any */
	uint64_t subnode_id;		/* not to be relied on */
	struct hvabi_proximity_domain_info proximity_domain_info;
	uint64_t flags;			/* 0 for a child's VP */
};

HVABI_ASSERT_SIZE(struct hvabi_create_vp, 40);
HVABI_ASSERT_AT(struct hvabi_create_vp, partition_id, 0);
HVABI_ASSERT_AT(struct hvabi_create_vp, vp_index, 8);
HVABI_ASSERT_AT(struct hvabi_create_vp, padding, 12);
HVABI_ASSERT_AT(struct hvabi_create_vp, subnode_type, 15);
HVABI_ASSERT_AT(struct hvabi_create_vp, subnode_id, 16);
HVABI_ASSERT_AT(struct hvabi_create_vp, proximity_domain_info, 24);
HVABI_ASSERT_AT(struct hvabi_create_vp, flags, 32);

/* DELETE_VP */
struct hvabi_input_delete_vp {
	uint64_t partition_id;
	uint32_t vp_index;
	uint8_t reserved[4];
};

HVABI_ASSERT_SIZE(struct hvabi_input_delete_vp, 16);
HVABI_ASSERT_AT(struct hvabi_input_delete_vp, partition_id, 0);
HVABI_ASSERT_AT(struct hvabi_input_delete_vp, vp_index, 8);
HVABI_ASSERT_AT(struct hvabi_input_delete_vp, reserved, 12);

/* GET_VP_REGISTERS: output element i is the 16-byte value of names[i]. */
struct hvabi_input_get_vp_registers {
	uint64_t partition_id;
	uint32_t vp_index;
	uint8_t input_vtl;
	uint8_t rsvd_z8;
	uint16_t rsvd_z16;
	uint32_t names[];
};

HVABI_ASSERT_SIZE(struct hvabi_input_get_vp_registers, 16);
HVABI_ASSERT_AT(struct hvabi_input_get_vp_registers, partition_id, 0);
HVABI_ASSERT_AT(struct hvabi_input_get_vp_registers, vp_index, 8);
HVABI_ASSERT_AT(struct hvabi_input_get_vp_registers, input_vtl, 12);
HVABI_ASSERT_AT(struct hvabi_input_get_vp_registers, rsvd_z8, 13);
HVABI_ASSERT_AT(struct hvabi_input_get_vp_registers, rsvd_z16, 14);
HVABI_ASSERT_AT(struct hvabi_input_get_vp_registers, names, 16);

/* Bounded by the output page. */
#define HVABI_GET_VP_REGISTERS_MAX	(HVABI_PAGE_SIZE / sizeof(union hvabi_register_value))

/* SET_VP_REGISTERS: processed in order. */
struct hvabi_input_set_vp_registers {
	uint64_t partition_id;
	uint32_t vp_index;
	uint8_t input_vtl;
	uint8_t rsvd_z8;
	uint16_t rsvd_z16;
	struct hvabi_register_assoc elements[];
};

HVABI_ASSERT_SIZE(struct hvabi_input_set_vp_registers, 16);
HVABI_ASSERT_AT(struct hvabi_input_set_vp_registers, partition_id, 0);
HVABI_ASSERT_AT(struct hvabi_input_set_vp_registers, vp_index, 8);
HVABI_ASSERT_AT(struct hvabi_input_set_vp_registers, input_vtl, 12);
HVABI_ASSERT_AT(struct hvabi_input_set_vp_registers, rsvd_z8, 13);
HVABI_ASSERT_AT(struct hvabi_input_set_vp_registers, rsvd_z16, 14);
HVABI_ASSERT_AT(struct hvabi_input_set_vp_registers, elements, 16);

#define HVABI_SET_VP_REGISTERS_MAX \
	((HVABI_PAGE_SIZE - sizeof(struct hvabi_input_set_vp_registers)) / \
	 sizeof(struct hvabi_register_assoc))

/* hvabi_input_map_vp_state_page::type */
#define HVABI_VP_STATE_PAGE_REGISTERS		0u
#define HVABI_VP_STATE_PAGE_INTERCEPT_MESSAGE	1u
#define HVABI_VP_STATE_PAGE_GHCB		2u
/* ...::flags */
#define HVABI_VP_STATE_PAGE_LOCATION_PROVIDED	0x1u

/* MAP_VP_STATE_PAGE. The page to use is the one in the output, also when the caller named one. */
struct hvabi_input_map_vp_state_page {
	uint64_t partition_id;
	uint32_t vp_index;
	uint16_t type;
	uint8_t input_vtl;
	uint8_t flags;
	uint64_t requested_map_location;	/* page number of the caller */
};

HVABI_ASSERT_SIZE(struct hvabi_input_map_vp_state_page, 24);
HVABI_ASSERT_AT(struct hvabi_input_map_vp_state_page, partition_id, 0);
HVABI_ASSERT_AT(struct hvabi_input_map_vp_state_page, vp_index, 8);
HVABI_ASSERT_AT(struct hvabi_input_map_vp_state_page, type, 12);
HVABI_ASSERT_AT(struct hvabi_input_map_vp_state_page, input_vtl, 14);
HVABI_ASSERT_AT(struct hvabi_input_map_vp_state_page, flags, 15);
HVABI_ASSERT_AT(struct hvabi_input_map_vp_state_page, requested_map_location, 16);

struct hvabi_output_map_vp_state_page {
	uint64_t map_location;			/* page number of the caller */
};

HVABI_ASSERT_SIZE(struct hvabi_output_map_vp_state_page, 8);
HVABI_ASSERT_AT(struct hvabi_output_map_vp_state_page, map_location, 0);

/* UNMAP_VP_STATE_PAGE */
struct hvabi_input_unmap_vp_state_page {
	uint64_t partition_id;
	uint32_t vp_index;
	uint16_t type;
	uint8_t input_vtl;
	uint8_t reserved0;
};

HVABI_ASSERT_SIZE(struct hvabi_input_unmap_vp_state_page, 16);
HVABI_ASSERT_AT(struct hvabi_input_unmap_vp_state_page, partition_id, 0);
HVABI_ASSERT_AT(struct hvabi_input_unmap_vp_state_page, vp_index, 8);
HVABI_ASSERT_AT(struct hvabi_input_unmap_vp_state_page, type, 12);
HVABI_ASSERT_AT(struct hvabi_input_unmap_vp_state_page, input_vtl, 14);
HVABI_ASSERT_AT(struct hvabi_input_unmap_vp_state_page, reserved0, 15);

/* hvabi_vp_register_page::dirty: classes the parent wrote, loaded at the next dispatch. */
#define HVABI_REGISTER_PAGE_DIRTY_GENERAL	0x01u	/* the 16 general registers */
#define HVABI_REGISTER_PAGE_DIRTY_IP		0x02u
#define HVABI_REGISTER_PAGE_DIRTY_XMM		0x04u	/* XMM0-5 */
#define HVABI_REGISTER_PAGE_DIRTY_SEGMENT	0x08u	/* the 6 segments */
#define HVABI_REGISTER_PAGE_DIRTY_FLAGS		0x10u

#define HVABI_REGISTER_PAGE_VERSION		1u

/*
 * State page type 0. Valid while the VP is stopped by an intercept; from cr0 on the parent only
 * reads.
 */
struct hvabi_vp_register_page {
	uint16_t version;
	uint8_t isvalid;
	uint8_t rsvdz;
	uint32_t dirty;
	uint64_t gp_registers[16];	/* rax rcx rdx rbx rsp rbp rsi rdi r8-r15 */
	uint64_t rip;
	uint64_t rflags;
	uint64_t reserved;
	struct hvabi_u128 xmm_registers[6];
	struct hvabi_x64_segment_register segment_registers[6];	/* es cs ss ds fs gs */
	uint64_t cr0;
	uint64_t cr3;
	uint64_t cr4;
	uint64_t cr8;
	uint64_t efer;
	uint64_t dr7;
	uint64_t pending_interruption;
	uint64_t interrupt_state;
	uint64_t instruction_emulation_hints;
	uint64_t xfem;
	uint8_t reserved1[256];
	union {
		uint64_t interrupt_vectors;	/* replaced by compare-and-swap only */
		struct {
			uint8_t vector_count;
			uint8_t vector[7];
		};
	};
};

HVABI_ASSERT_SIZE(struct hvabi_vp_register_page, 696);
HVABI_ASSERT_AT(struct hvabi_vp_register_page, version, 0);
HVABI_ASSERT_AT(struct hvabi_vp_register_page, isvalid, 2);
HVABI_ASSERT_AT(struct hvabi_vp_register_page, rsvdz, 3);
HVABI_ASSERT_AT(struct hvabi_vp_register_page, dirty, 4);
HVABI_ASSERT_AT(struct hvabi_vp_register_page, gp_registers, 8);
HVABI_ASSERT_AT(struct hvabi_vp_register_page, rip, 136);
HVABI_ASSERT_AT(struct hvabi_vp_register_page, rflags, 144);
HVABI_ASSERT_AT(struct hvabi_vp_register_page, reserved, 152);
HVABI_ASSERT_AT(struct hvabi_vp_register_page, xmm_registers, 160);
HVABI_ASSERT_AT(struct hvabi_vp_register_page, segment_registers, 256);
HVABI_ASSERT_AT(struct hvabi_vp_register_page, cr0, 352);
HVABI_ASSERT_AT(struct hvabi_vp_register_page, cr3, 360);
HVABI_ASSERT_AT(struct hvabi_vp_register_page, cr4, 368);
HVABI_ASSERT_AT(struct hvabi_vp_register_page, cr8, 376);
HVABI_ASSERT_AT(struct hvabi_vp_register_page, efer, 384);
HVABI_ASSERT_AT(struct hvabi_vp_register_page, dr7, 392);
HVABI_ASSERT_AT(struct hvabi_vp_register_page, pending_interruption, 400);
HVABI_ASSERT_AT(struct hvabi_vp_register_page, interrupt_state, 408);
HVABI_ASSERT_AT(struct hvabi_vp_register_page, instruction_emulation_hints, 416);
HVABI_ASSERT_AT(struct hvabi_vp_register_page, xfem, 424);
HVABI_ASSERT_AT(struct hvabi_vp_register_page, reserved1, 432);
HVABI_ASSERT_AT(struct hvabi_vp_register_page, interrupt_vectors, 688);
HVABI_ASSERT_AT(struct hvabi_vp_register_page, vector_count, 688);
HVABI_ASSERT_AT(struct hvabi_vp_register_page, vector, 689);

/* hvabi_input_translate_virtual_address::control_flags; bits 56-63 are the input VTL. */
#define HVABI_TRANSLATE_VALIDATE_READ		0x0001ull
#define HVABI_TRANSLATE_VALIDATE_WRITE		0x0002ull
#define HVABI_TRANSLATE_VALIDATE_EXECUTE	0x0004ull
#define HVABI_TRANSLATE_PRIVILEGE_EXEMPT	0x0008ull
#define HVABI_TRANSLATE_SET_PAGE_TABLE_BITS	0x0010ull
#define HVABI_TRANSLATE_TLB_FLUSH_INHIBIT	0x0020ull
#define HVABI_TRANSLATE_SUPERVISOR_ACCESS	0x0040ull
#define HVABI_TRANSLATE_USER_ACCESS		0x0080ull
#define HVABI_TRANSLATE_ENFORCE_SMAP		0x0100ull
#define HVABI_TRANSLATE_OVERRIDE_SMAP		0x0200ull
#define HVABI_TRANSLATE_SHADOW_STACK		0x0400ull

/* TRANSLATE_VIRTUAL_ADDRESS */
struct hvabi_input_translate_virtual_address {
	uint64_t partition_id;
	uint32_t vp_index;
	uint32_t padding;
	uint64_t control_flags;
	uint64_t gva_page;		/* virtual page number */
};

HVABI_ASSERT_SIZE(struct hvabi_input_translate_virtual_address, 32);
HVABI_ASSERT_AT(struct hvabi_input_translate_virtual_address, partition_id, 0);
HVABI_ASSERT_AT(struct hvabi_input_translate_virtual_address, vp_index, 8);
HVABI_ASSERT_AT(struct hvabi_input_translate_virtual_address, padding, 12);
HVABI_ASSERT_AT(struct hvabi_input_translate_virtual_address, control_flags, 16);
HVABI_ASSERT_AT(struct hvabi_input_translate_virtual_address, gva_page, 24);

/*
 * hvabi_output_translate_virtual_address::result_code; a failed walk is a result, the status is
 * SUCCESS.
 */
#define HVABI_TRANSLATE_SUCCESS			0u
#define HVABI_TRANSLATE_PAGE_NOT_PRESENT	1u
#define HVABI_TRANSLATE_PRIVILEGE_VIOLATION	2u
#define HVABI_TRANSLATE_INVALID_PAGE_TABLE_FLAGS 3u
#define HVABI_TRANSLATE_GPA_UNMAPPED		4u
#define HVABI_TRANSLATE_GPA_NO_READ_ACCESS	5u
#define HVABI_TRANSLATE_GPA_NO_WRITE_ACCESS	6u
#define HVABI_TRANSLATE_GPA_ILLEGAL_OVERLAY	7u
#define HVABI_TRANSLATE_INTERCEPT		8u
#define HVABI_TRANSLATE_GPA_UNACCEPTED		9u

struct hvabi_output_translate_virtual_address {
	uint32_t result_code;
	uint32_t cache_type_overlay;	/* bits 0-7 cache type, bit 8 overlay page */
	uint64_t gpa_page;		/* guest page number */
};

HVABI_ASSERT_SIZE(struct hvabi_output_translate_virtual_address, 16);
HVABI_ASSERT_AT(struct hvabi_output_translate_virtual_address, result_code, 0);
HVABI_ASSERT_AT(struct hvabi_output_translate_virtual_address, cache_type_overlay, 4);
HVABI_ASSERT_AT(struct hvabi_output_translate_virtual_address, gpa_page, 8);

/* hvabi_input_dispatch_vp::flags */
#define HVABI_DISPATCH_CLEAR_INTERCEPT_SUSPEND		0x01u
#define HVABI_DISPATCH_ENABLE_CALLER_INTERRUPTS		0x02u
#define HVABI_DISPATCH_SET_CALLER_SPEC_CTRL		0x04u
#define HVABI_DISPATCH_SKIP_VP_SPEC_FLUSH		0x08u
#define HVABI_DISPATCH_SKIP_CALLER_SPEC_FLUSH		0x10u
#define HVABI_DISPATCH_SKIP_CALLER_USER_SPEC_FLUSH	0x20u
#define HVABI_DISPATCH_SCAN_INTERRUPT_INJECTION		0x40u

/* DISPATCH_VP: runs the child's VP on the calling VP until it stops or the caller is wanted. */
struct hvabi_input_dispatch_vp {
	uint64_t partition_id;
	uint32_t vp_index;
	uint32_t flags;
	uint64_t time_slice;		/* 100 ns; 0: no limit */
	uint64_t spec_ctrl;
};

HVABI_ASSERT_SIZE(struct hvabi_input_dispatch_vp, 32);
HVABI_ASSERT_AT(struct hvabi_input_dispatch_vp, partition_id, 0);
HVABI_ASSERT_AT(struct hvabi_input_dispatch_vp, vp_index, 8);
HVABI_ASSERT_AT(struct hvabi_input_dispatch_vp, flags, 12);
HVABI_ASSERT_AT(struct hvabi_input_dispatch_vp, time_slice, 16);
HVABI_ASSERT_AT(struct hvabi_input_dispatch_vp, spec_ctrl, 24);

/* hvabi_output_dispatch_vp::dispatch_state; 0 is to be treated like READY. */
#define HVABI_DISPATCH_STATE_BLOCKED		1u
#define HVABI_DISPATCH_STATE_READY		2u
/* hvabi_output_dispatch_vp::dispatch_event */
#define HVABI_DISPATCH_EVENT_NONE		0u
#define HVABI_DISPATCH_EVENT_SUSPEND		1u
#define HVABI_DISPATCH_EVENT_INTERCEPT		2u

struct hvabi_output_dispatch_vp {
	uint32_t dispatch_state;
	uint32_t dispatch_event;
};

HVABI_ASSERT_SIZE(struct hvabi_output_dispatch_vp, 8);
HVABI_ASSERT_AT(struct hvabi_output_dispatch_vp, dispatch_state, 0);
HVABI_ASSERT_AT(struct hvabi_output_dispatch_vp, dispatch_event, 4);

/* hvabi_input_vp_state::type; by pages: the data travels by a list of page numbers. */
#define HVABI_VP_STATE_BY_PAGES			0x80000000u
#define HVABI_VP_STATE_LAPIC			0x80000000u
#define HVABI_VP_STATE_XSAVE			0x80000001u
#define HVABI_VP_STATE_SIM_PAGE			0x80000002u
#define HVABI_VP_STATE_SIEF_PAGE		0x80000003u
#define HVABI_VP_STATE_SYNTHETIC_TIMERS		0x00000004u

/* GET_VP_STATE and SET_VP_STATE */
struct hvabi_input_vp_state {
	uint64_t partition_id;
	uint32_t vp_index;
	uint8_t input_vtl;
	uint8_t rsvd0;
	uint16_t rsvd1;
	uint32_t type;
	uint32_t rsvd;
	uint64_t xsave_flags;
	uint64_t xsave_states;
	uint64_t data[];		/* page numbers of the caller, or inline data */
};

HVABI_ASSERT_SIZE(struct hvabi_input_vp_state, 40);
HVABI_ASSERT_AT(struct hvabi_input_vp_state, partition_id, 0);
HVABI_ASSERT_AT(struct hvabi_input_vp_state, vp_index, 8);
HVABI_ASSERT_AT(struct hvabi_input_vp_state, input_vtl, 12);
HVABI_ASSERT_AT(struct hvabi_input_vp_state, rsvd0, 13);
HVABI_ASSERT_AT(struct hvabi_input_vp_state, rsvd1, 14);
HVABI_ASSERT_AT(struct hvabi_input_vp_state, type, 16);
HVABI_ASSERT_AT(struct hvabi_input_vp_state, rsvd, 20);
HVABI_ASSERT_AT(struct hvabi_input_vp_state, xsave_flags, 24);
HVABI_ASSERT_AT(struct hvabi_input_vp_state, xsave_states, 32);
HVABI_ASSERT_AT(struct hvabi_input_vp_state, data, 40);

/* LAPIC: the start of the page; values of the APIC's registers. The TPR travels as CR8. */
struct hvabi_local_apic_state {
	uint32_t id;
	uint32_t version;
	uint32_t ldr;
	uint32_t dfr;
	uint32_t spurious;
	uint32_t isr[8];
	uint32_t tmr[8];
	uint32_t irr[8];
	uint32_t esr;
	uint32_t icr_high;
	uint32_t icr_low;
	uint32_t lvt_timer;
	uint32_t lvt_thermal;
	uint32_t lvt_perfmon;
	uint32_t lvt_lint0;
	uint32_t lvt_lint1;
	uint32_t lvt_error;
	uint32_t lvt_cmci;
	uint32_t error_status;
	uint32_t initial_count;
	uint32_t counter_value;
	uint32_t divide_configuration;
	uint32_t remote_read;
};

HVABI_ASSERT_SIZE(struct hvabi_local_apic_state, 176);
HVABI_ASSERT_AT(struct hvabi_local_apic_state, id, 0);
HVABI_ASSERT_AT(struct hvabi_local_apic_state, version, 4);
HVABI_ASSERT_AT(struct hvabi_local_apic_state, ldr, 8);
HVABI_ASSERT_AT(struct hvabi_local_apic_state, dfr, 12);
HVABI_ASSERT_AT(struct hvabi_local_apic_state, spurious, 16);
HVABI_ASSERT_AT(struct hvabi_local_apic_state, isr, 20);
HVABI_ASSERT_AT(struct hvabi_local_apic_state, tmr, 52);
HVABI_ASSERT_AT(struct hvabi_local_apic_state, irr, 84);
HVABI_ASSERT_AT(struct hvabi_local_apic_state, esr, 116);
HVABI_ASSERT_AT(struct hvabi_local_apic_state, icr_high, 120);
HVABI_ASSERT_AT(struct hvabi_local_apic_state, icr_low, 124);
HVABI_ASSERT_AT(struct hvabi_local_apic_state, lvt_timer, 128);
HVABI_ASSERT_AT(struct hvabi_local_apic_state, lvt_thermal, 132);
HVABI_ASSERT_AT(struct hvabi_local_apic_state, lvt_perfmon, 136);
HVABI_ASSERT_AT(struct hvabi_local_apic_state, lvt_lint0, 140);
HVABI_ASSERT_AT(struct hvabi_local_apic_state, lvt_lint1, 144);
HVABI_ASSERT_AT(struct hvabi_local_apic_state, lvt_error, 148);
HVABI_ASSERT_AT(struct hvabi_local_apic_state, lvt_cmci, 152);
HVABI_ASSERT_AT(struct hvabi_local_apic_state, error_status, 156);
HVABI_ASSERT_AT(struct hvabi_local_apic_state, initial_count, 160);
HVABI_ASSERT_AT(struct hvabi_local_apic_state, counter_value, 164);
HVABI_ASSERT_AT(struct hvabi_local_apic_state, divide_configuration, 168);
HVABI_ASSERT_AT(struct hvabi_local_apic_state, remote_read, 172);

/* hvabi_stimer_state::flags */
#define HVABI_STIMER_STATE_UNDELIVERED		0x1u

struct hvabi_stimer_state {
	uint32_t flags;
	uint32_t reserved;
	uint64_t config;
	uint64_t count;
	uint64_t adjustment;
	uint64_t undelivered_expiration_time;
};

HVABI_ASSERT_SIZE(struct hvabi_stimer_state, 40);
HVABI_ASSERT_AT(struct hvabi_stimer_state, flags, 0);
HVABI_ASSERT_AT(struct hvabi_stimer_state, reserved, 4);
HVABI_ASSERT_AT(struct hvabi_stimer_state, config, 8);
HVABI_ASSERT_AT(struct hvabi_stimer_state, count, 16);
HVABI_ASSERT_AT(struct hvabi_stimer_state, adjustment, 24);
HVABI_ASSERT_AT(struct hvabi_stimer_state, undelivered_expiration_time, 32);

/* SYNTHETIC_TIMERS: inline, output of GET and hvabi_input_vp_state::data of SET. */
struct hvabi_synthetic_timers_state {
	struct hvabi_stimer_state timers[4];
	uint64_t reserved[5];
};

HVABI_ASSERT_SIZE(struct hvabi_synthetic_timers_state, 200);
HVABI_ASSERT_AT(struct hvabi_synthetic_timers_state, timers, 0);
HVABI_ASSERT_AT(struct hvabi_synthetic_timers_state, reserved, 160);

#endif
