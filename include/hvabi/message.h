/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Messages: what stops a virtual processor and tells its parent why.
 *
 * A message is 256 bytes: a 16-byte header and up to 240 bytes of payload. Under the root scheduler
 * it stands in the intercept message page of the processor (VP_STATE_PAGE_INTERCEPT_MESSAGE),
 * complete before the dispatch call returns and unchanged until the processor is dispatched again.
 */
#ifndef HVABI_MESSAGE_H
#define HVABI_MESSAGE_H

#include "register.h"
#include "types.h"

/* X(name, type) */
#define HVABI_MSG_LIST(X)				\
	X(NONE,				0x00000000u)	\
	X(UNMAPPED_GPA,			0x80000000u)	\
	X(GPA_INTERCEPT,		0x80000001u)	\
	X(UNACCEPTED_GPA,		0x80000003u)	\
	X(GPA_ATTRIBUTE_INTERCEPT,	0x80000004u)	\
	X(TIMER_EXPIRED,		0x80000010u)	\
	X(INVALID_VP_REGISTER_VALUE,	0x80000020u)	\
	X(UNRECOVERABLE_EXCEPTION,	0x80000021u)	\
	X(UNSUPPORTED_FEATURE,		0x80000022u)	\
	X(OPAQUE_INTERCEPT,		0x8000003fu)	\
	X(HYPERCALL_INTERCEPT,		0x80000050u)	\
	X(SYNIC_SINT_INTERCEPT,		0x80000061u)	\
	X(SYNIC_SINT_DELIVERABLE,	0x80000062u)	\
	X(ASYNC_CALL_COMPLETION,	0x80000070u)	\
	X(SCHEDULER_VP_SIGNAL_BITSET,	0x80000100u)	\
	X(SCHEDULER_VP_SIGNAL_PAIR,	0x80000101u)	\
	X(X64_IO_PORT_INTERCEPT,	0x80010000u)	\
	X(X64_MSR_INTERCEPT,		0x80010001u)	\
	X(X64_CPUID_INTERCEPT,		0x80010002u)	\
	X(X64_EXCEPTION_INTERCEPT,	0x80010003u)	\
	X(X64_APIC_EOI,			0x80010004u)	\
	X(X64_LEGACY_FP_ERROR,		0x80010005u)	\
	X(X64_HALT,			0x80010007u)	\
	X(X64_INTERRUPTION_DELIVERABLE,	0x80010008u)	\
	X(X64_SIPI_INTERCEPT,		0x80010009u)

/* Defines and no enumeration: ISO C enumerators are int, these need the top bit. */
#define HVABI_MSG_NONE				0x00000000u
#define HVABI_MSG_UNMAPPED_GPA			0x80000000u
#define HVABI_MSG_GPA_INTERCEPT			0x80000001u
#define HVABI_MSG_UNACCEPTED_GPA		0x80000003u
#define HVABI_MSG_GPA_ATTRIBUTE_INTERCEPT	0x80000004u
#define HVABI_MSG_TIMER_EXPIRED			0x80000010u
#define HVABI_MSG_INVALID_VP_REGISTER_VALUE	0x80000020u
#define HVABI_MSG_UNRECOVERABLE_EXCEPTION	0x80000021u
#define HVABI_MSG_UNSUPPORTED_FEATURE		0x80000022u
#define HVABI_MSG_OPAQUE_INTERCEPT		0x8000003fu
#define HVABI_MSG_HYPERCALL_INTERCEPT		0x80000050u
#define HVABI_MSG_SYNIC_SINT_INTERCEPT		0x80000061u
#define HVABI_MSG_SYNIC_SINT_DELIVERABLE	0x80000062u
#define HVABI_MSG_ASYNC_CALL_COMPLETION		0x80000070u
#define HVABI_MSG_SCHEDULER_VP_SIGNAL_BITSET	0x80000100u
#define HVABI_MSG_SCHEDULER_VP_SIGNAL_PAIR	0x80000101u
#define HVABI_MSG_X64_IO_PORT_INTERCEPT		0x80010000u
#define HVABI_MSG_X64_MSR_INTERCEPT		0x80010001u
#define HVABI_MSG_X64_CPUID_INTERCEPT		0x80010002u
#define HVABI_MSG_X64_EXCEPTION_INTERCEPT	0x80010003u
#define HVABI_MSG_X64_APIC_EOI			0x80010004u
#define HVABI_MSG_X64_LEGACY_FP_ERROR		0x80010005u
#define HVABI_MSG_X64_HALT			0x80010007u
#define HVABI_MSG_X64_INTERRUPTION_DELIVERABLE	0x80010008u
#define HVABI_MSG_X64_SIPI_INTERCEPT		0x80010009u

#define HVABI_MSG_CHECK(name, type) HVABI_ASSERT(HVABI_MSG_##name == (type), "message " #name);
HVABI_MSG_LIST(HVABI_MSG_CHECK)
#undef HVABI_MSG_CHECK

#define HVABI_MESSAGE_SIZE		256u
#define HVABI_MESSAGE_PAYLOAD_MAX	240u
#define HVABI_MESSAGE_FLAG_PENDING	0x1u

struct hvabi_message_header {
	uint32_t message_type;		/* 0: the slot is free */
	uint8_t payload_size;
	uint8_t message_flags;
	uint8_t reserved[2];
	uint64_t sender;		/* intercepts: partition id of the child */
};

HVABI_ASSERT_SIZE(struct hvabi_message_header, 16);
HVABI_ASSERT_AT(struct hvabi_message_header, message_type, 0);
HVABI_ASSERT_AT(struct hvabi_message_header, payload_size, 4);
HVABI_ASSERT_AT(struct hvabi_message_header, message_flags, 5);
HVABI_ASSERT_AT(struct hvabi_message_header, reserved, 6);
HVABI_ASSERT_AT(struct hvabi_message_header, sender, 8);

struct hvabi_message {
	struct hvabi_message_header header;
	uint64_t payload[HVABI_MESSAGE_PAYLOAD_MAX / 8];
};

HVABI_ASSERT_SIZE(struct hvabi_message, 256);
HVABI_ASSERT_AT(struct hvabi_message, header, 0);
HVABI_ASSERT_AT(struct hvabi_message, payload, 16);

/* hvabi_x64_intercept_message_header::length_cr8 */
#define HVABI_INTERCEPT_LENGTH_MASK	0x0fu
#define HVABI_INTERCEPT_CR8_SHIFT	4

/* hvabi_x64_intercept_message_header::intercept_access_type */
#define HVABI_INTERCEPT_ACCESS_READ	0u	/* port: IN */
#define HVABI_INTERCEPT_ACCESS_WRITE	1u	/* port: OUT */
#define HVABI_INTERCEPT_ACCESS_EXECUTE	2u

/* hvabi_x64_intercept_message_header::execution_state */
#define HVABI_EXECUTION_STATE_CPL_MASK		0x0003u
#define HVABI_EXECUTION_STATE_CR0_PE		0x0004u
#define HVABI_EXECUTION_STATE_CR0_AM		0x0008u
#define HVABI_EXECUTION_STATE_EFER_LMA		0x0010u
#define HVABI_EXECUTION_STATE_DEBUG_ACTIVE	0x0020u
#define HVABI_EXECUTION_STATE_INTERRUPTION_PENDING 0x0040u
#define HVABI_EXECUTION_STATE_INTERRUPT_SHADOW	0x1000u

/* The first 40 bytes of most payloads. */
struct hvabi_x64_intercept_message_header {
	uint32_t vp_index;
	uint8_t length_cr8;		/* bits 0-3 instruction length or 0, bits 4-7 CR8 */
	uint8_t intercept_access_type;
	uint16_t execution_state;
	struct hvabi_x64_segment_register cs_segment;
	uint64_t rip;			/* of the intercepted instruction */
	uint64_t rflags;
};

HVABI_ASSERT_SIZE(struct hvabi_x64_intercept_message_header, 40);
HVABI_ASSERT_AT(struct hvabi_x64_intercept_message_header, vp_index, 0);
HVABI_ASSERT_AT(struct hvabi_x64_intercept_message_header, length_cr8, 4);
HVABI_ASSERT_AT(struct hvabi_x64_intercept_message_header, intercept_access_type, 5);
HVABI_ASSERT_AT(struct hvabi_x64_intercept_message_header, execution_state, 6);
HVABI_ASSERT_AT(struct hvabi_x64_intercept_message_header, cs_segment, 8);
HVABI_ASSERT_AT(struct hvabi_x64_intercept_message_header, rip, 24);
HVABI_ASSERT_AT(struct hvabi_x64_intercept_message_header, rflags, 32);

/* hvabi_x64_memory_intercept_message::memory_access_info */
#define HVABI_MEMORY_ACCESS_GVA_VALID			0x01u
/* the GPA is the translation of the GVA */
#define HVABI_MEMORY_ACCESS_GVA_GPA_VALID		0x02u
#define HVABI_MEMORY_ACCESS_HYPERCALL_OUTPUT_PENDING	0x04u
#define HVABI_MEMORY_ACCESS_TLB_LOCKED_NO_OVERLAY	0x08u

/* UNMAPPED_GPA, GPA_INTERCEPT */
struct hvabi_x64_memory_intercept_message {
	struct hvabi_x64_intercept_message_header header;
	uint32_t cache_type;
	uint8_t instruction_byte_count;	/* 0: the parent has to fetch the instruction itself */
	uint8_t memory_access_info;
	uint8_t tpr_priority;
	uint8_t reserved1;
	uint64_t guest_virtual_address;
	uint64_t guest_physical_address;	/* full address */
	uint8_t instruction_bytes[16];
};

HVABI_ASSERT_SIZE(struct hvabi_x64_memory_intercept_message, 80);
HVABI_ASSERT_AT(struct hvabi_x64_memory_intercept_message, header, 0);
HVABI_ASSERT_AT(struct hvabi_x64_memory_intercept_message, cache_type, 40);
HVABI_ASSERT_AT(struct hvabi_x64_memory_intercept_message, instruction_byte_count, 44);
HVABI_ASSERT_AT(struct hvabi_x64_memory_intercept_message, memory_access_info, 45);
HVABI_ASSERT_AT(struct hvabi_x64_memory_intercept_message, tpr_priority, 46);
HVABI_ASSERT_AT(struct hvabi_x64_memory_intercept_message, reserved1, 47);
HVABI_ASSERT_AT(struct hvabi_x64_memory_intercept_message, guest_virtual_address, 48);
HVABI_ASSERT_AT(struct hvabi_x64_memory_intercept_message, guest_physical_address, 56);
HVABI_ASSERT_AT(struct hvabi_x64_memory_intercept_message, instruction_bytes, 64);

/* hvabi_x64_io_port_intercept_message::access_info */
#define HVABI_IO_PORT_ACCESS_SIZE_MASK	0x07u	/* bytes: 1, 2 or 4 */
#define HVABI_IO_PORT_STRING_OP		0x08u
#define HVABI_IO_PORT_REP_PREFIX	0x10u

/* X64_IO_PORT_INTERCEPT. The parent performs the whole operation and moves RIP. */
struct hvabi_x64_io_port_intercept_message {
	struct hvabi_x64_intercept_message_header header;
	uint16_t port_number;
	uint8_t access_info;
	uint8_t instruction_byte_count;
	uint32_t reserved;
	uint64_t rax;
	uint8_t instruction_bytes[16];
	struct hvabi_x64_segment_register ds_segment;
	struct hvabi_x64_segment_register es_segment;
	uint64_t rcx;
	uint64_t rsi;
	uint64_t rdi;
};

HVABI_ASSERT_SIZE(struct hvabi_x64_io_port_intercept_message, 128);
HVABI_ASSERT_AT(struct hvabi_x64_io_port_intercept_message, header, 0);
HVABI_ASSERT_AT(struct hvabi_x64_io_port_intercept_message, port_number, 40);
HVABI_ASSERT_AT(struct hvabi_x64_io_port_intercept_message, access_info, 42);
HVABI_ASSERT_AT(struct hvabi_x64_io_port_intercept_message, instruction_byte_count, 43);
HVABI_ASSERT_AT(struct hvabi_x64_io_port_intercept_message, reserved, 44);
HVABI_ASSERT_AT(struct hvabi_x64_io_port_intercept_message, rax, 48);
HVABI_ASSERT_AT(struct hvabi_x64_io_port_intercept_message, instruction_bytes, 56);
HVABI_ASSERT_AT(struct hvabi_x64_io_port_intercept_message, ds_segment, 72);
HVABI_ASSERT_AT(struct hvabi_x64_io_port_intercept_message, es_segment, 88);
HVABI_ASSERT_AT(struct hvabi_x64_io_port_intercept_message, rcx, 104);
HVABI_ASSERT_AT(struct hvabi_x64_io_port_intercept_message, rsi, 112);
HVABI_ASSERT_AT(struct hvabi_x64_io_port_intercept_message, rdi, 120);

/* X64_CPUID_INTERCEPT */
struct hvabi_x64_cpuid_intercept_message {
	struct hvabi_x64_intercept_message_header header;
	uint64_t rax;
	uint64_t rcx;
	uint64_t rdx;
	uint64_t rbx;
	uint64_t default_result_rax;
	uint64_t default_result_rcx;
	uint64_t default_result_rdx;
	uint64_t default_result_rbx;
};

HVABI_ASSERT_SIZE(struct hvabi_x64_cpuid_intercept_message, 104);
HVABI_ASSERT_AT(struct hvabi_x64_cpuid_intercept_message, header, 0);
HVABI_ASSERT_AT(struct hvabi_x64_cpuid_intercept_message, rax, 40);
HVABI_ASSERT_AT(struct hvabi_x64_cpuid_intercept_message, rcx, 48);
HVABI_ASSERT_AT(struct hvabi_x64_cpuid_intercept_message, rdx, 56);
HVABI_ASSERT_AT(struct hvabi_x64_cpuid_intercept_message, rbx, 64);
HVABI_ASSERT_AT(struct hvabi_x64_cpuid_intercept_message, default_result_rax, 72);
HVABI_ASSERT_AT(struct hvabi_x64_cpuid_intercept_message, default_result_rcx, 80);
HVABI_ASSERT_AT(struct hvabi_x64_cpuid_intercept_message, default_result_rdx, 88);
HVABI_ASSERT_AT(struct hvabi_x64_cpuid_intercept_message, default_result_rbx, 96);

/* X64_MSR_INTERCEPT */
struct hvabi_x64_msr_intercept_message {
	struct hvabi_x64_intercept_message_header header;
	uint32_t msr_number;
	uint32_t reserved;
	uint64_t rdx;
	uint64_t rax;
};

HVABI_ASSERT_SIZE(struct hvabi_x64_msr_intercept_message, 64);
HVABI_ASSERT_AT(struct hvabi_x64_msr_intercept_message, header, 0);
HVABI_ASSERT_AT(struct hvabi_x64_msr_intercept_message, msr_number, 40);
HVABI_ASSERT_AT(struct hvabi_x64_msr_intercept_message, reserved, 44);
HVABI_ASSERT_AT(struct hvabi_x64_msr_intercept_message, rdx, 48);
HVABI_ASSERT_AT(struct hvabi_x64_msr_intercept_message, rax, 56);

/* hvabi_x64_exception_intercept_message::exception_info */
#define HVABI_EXCEPTION_ERROR_CODE_VALID	0x1u
#define HVABI_EXCEPTION_SOFTWARE		0x2u

/* X64_EXCEPTION_INTERCEPT */
struct hvabi_x64_exception_intercept_message {
	struct hvabi_x64_intercept_message_header header;
	uint16_t exception_vector;
	uint8_t exception_info;
	uint8_t instruction_byte_count;
	uint32_t error_code;
	uint64_t exception_parameter;	/* #PF: CR2, #DB: DR6 */
	uint64_t reserved;
	uint8_t instruction_bytes[16];
	struct hvabi_x64_segment_register ds_segment;
	struct hvabi_x64_segment_register ss_segment;
	uint64_t gp_registers[16];	/* rax rcx rdx rbx rsp rbp rsi rdi r8-r15 */
};

HVABI_ASSERT_SIZE(struct hvabi_x64_exception_intercept_message, 240);
HVABI_ASSERT_AT(struct hvabi_x64_exception_intercept_message, header, 0);
HVABI_ASSERT_AT(struct hvabi_x64_exception_intercept_message, exception_vector, 40);
HVABI_ASSERT_AT(struct hvabi_x64_exception_intercept_message, exception_info, 42);
HVABI_ASSERT_AT(struct hvabi_x64_exception_intercept_message, instruction_byte_count, 43);
HVABI_ASSERT_AT(struct hvabi_x64_exception_intercept_message, error_code, 44);
HVABI_ASSERT_AT(struct hvabi_x64_exception_intercept_message, exception_parameter, 48);
HVABI_ASSERT_AT(struct hvabi_x64_exception_intercept_message, reserved, 56);
HVABI_ASSERT_AT(struct hvabi_x64_exception_intercept_message, instruction_bytes, 64);
HVABI_ASSERT_AT(struct hvabi_x64_exception_intercept_message, ds_segment, 80);
HVABI_ASSERT_AT(struct hvabi_x64_exception_intercept_message, ss_segment, 96);
HVABI_ASSERT_AT(struct hvabi_x64_exception_intercept_message, gp_registers, 112);

/* HYPERCALL_INTERCEPT. The parent answers: result word to RAX, and RIP behind the instruction. */
struct hvabi_x64_hypercall_intercept_message {
	struct hvabi_x64_intercept_message_header header;
	uint64_t rax;
	uint64_t rbx;
	uint64_t rcx;			/* control word */
	uint64_t rdx;			/* GPA of the input block */
	uint64_t r8;			/* GPA of the output block */
	uint64_t rsi;
	uint64_t rdi;
	struct hvabi_u128 xmm_registers[6];
	uint32_t flags;			/* bit 0: of an isolated guest */
	uint32_t padding;		/* no part of the message */
};

#define HVABI_HYPERCALL_INTERCEPT_SIZE	196u
HVABI_ASSERT_SIZE(struct hvabi_x64_hypercall_intercept_message, 200);
HVABI_ASSERT_AT(struct hvabi_x64_hypercall_intercept_message, padding,
		HVABI_HYPERCALL_INTERCEPT_SIZE);
HVABI_ASSERT_AT(struct hvabi_x64_hypercall_intercept_message, rax, 40);
HVABI_ASSERT_AT(struct hvabi_x64_hypercall_intercept_message, rbx, 48);
HVABI_ASSERT_AT(struct hvabi_x64_hypercall_intercept_message, rcx, 56);
HVABI_ASSERT_AT(struct hvabi_x64_hypercall_intercept_message, rdx, 64);
HVABI_ASSERT_AT(struct hvabi_x64_hypercall_intercept_message, r8, 72);
HVABI_ASSERT_AT(struct hvabi_x64_hypercall_intercept_message, rsi, 80);
HVABI_ASSERT_AT(struct hvabi_x64_hypercall_intercept_message, rdi, 88);
HVABI_ASSERT_AT(struct hvabi_x64_hypercall_intercept_message, xmm_registers, 96);
HVABI_ASSERT_AT(struct hvabi_x64_hypercall_intercept_message, flags, 192);

/* INVALID_VP_REGISTER_VALUE: no common header. */
struct hvabi_x64_invalid_vp_register_message {
	uint32_t vp_index;
	uint32_t reserved;
};

HVABI_ASSERT_SIZE(struct hvabi_x64_invalid_vp_register_message, 8);
HVABI_ASSERT_AT(struct hvabi_x64_invalid_vp_register_message, vp_index, 0);
HVABI_ASSERT_AT(struct hvabi_x64_invalid_vp_register_message, reserved, 4);

/* hvabi_x64_unsupported_feature_message::feature_code */
#define HVABI_UNSUPPORTED_FEATURE_INTERCEPT	1u
#define HVABI_UNSUPPORTED_FEATURE_TASK_SWITCH	2u

/* UNSUPPORTED_FEATURE: no common header. */
struct hvabi_x64_unsupported_feature_message {
	uint32_t vp_index;
	uint32_t feature_code;
	uint64_t feature_parameter;
};

HVABI_ASSERT_SIZE(struct hvabi_x64_unsupported_feature_message, 16);
HVABI_ASSERT_AT(struct hvabi_x64_unsupported_feature_message, vp_index, 0);
HVABI_ASSERT_AT(struct hvabi_x64_unsupported_feature_message, feature_code, 4);
HVABI_ASSERT_AT(struct hvabi_x64_unsupported_feature_message, feature_parameter, 8);

/* X64_HALT, UNRECOVERABLE_EXCEPTION: the common header is the whole payload. */

/* SYNIC_SINT_DELIVERABLE: bit n: a message for SINT n would be delivered now. */
struct hvabi_x64_sint_deliverable_message {
	struct hvabi_x64_intercept_message_header header;
	uint16_t deliverable_sints;
	uint16_t reserved1;
	uint32_t reserved2;
};

HVABI_ASSERT_SIZE(struct hvabi_x64_sint_deliverable_message, 48);
HVABI_ASSERT_AT(struct hvabi_x64_sint_deliverable_message, header, 0);
HVABI_ASSERT_AT(struct hvabi_x64_sint_deliverable_message, deliverable_sints, 40);

/* X64_INTERRUPTION_DELIVERABLE: one of this type would be taken at the next instruction. */
struct hvabi_x64_interruption_deliverable_message {
	struct hvabi_x64_intercept_message_header header;
	uint32_t deliverable_type;
	uint32_t reserved;
};

#define HVABI_DELIVERABLE_INTERRUPT	0u
#define HVABI_DELIVERABLE_NMI		2u

HVABI_ASSERT_SIZE(struct hvabi_x64_interruption_deliverable_message, 48);
HVABI_ASSERT_AT(struct hvabi_x64_interruption_deliverable_message, header, 0);
HVABI_ASSERT_AT(struct hvabi_x64_interruption_deliverable_message, deliverable_type, 40);

/* X64_APIC_EOI: a level-triggered interrupt has ended. No common header. */
struct hvabi_x64_apic_eoi_message {
	uint32_t vp_index;
	uint32_t interrupt_vector;
};

HVABI_ASSERT_SIZE(struct hvabi_x64_apic_eoi_message, 8);
HVABI_ASSERT_AT(struct hvabi_x64_apic_eoi_message, vp_index, 0);
HVABI_ASSERT_AT(struct hvabi_x64_apic_eoi_message, interrupt_vector, 4);

/*
 * TIMER_EXPIRED: to a guest, by its own synthetic interrupt controller. Times are reference times.
 */
struct hvabi_timer_expired_message {
	uint32_t timer_index;
	uint32_t reserved;
	uint64_t expiration_time;
	uint64_t delivery_time;
};

HVABI_ASSERT_SIZE(struct hvabi_timer_expired_message, 24);
HVABI_ASSERT_AT(struct hvabi_timer_expired_message, timer_index, 0);
HVABI_ASSERT_AT(struct hvabi_timer_expired_message, expiration_time, 8);
HVABI_ASSERT_AT(struct hvabi_timer_expired_message, delivery_time, 16);

/*
 * Scheduler signals, for the parent's synthetic interrupt controller: the processors named could
 * run again. Naming one that runs, or has run meanwhile, means nothing.
 */
#define HVABI_SIGNAL_BANKS	16u	/* of 64 VP indexes; what fits the message */
#define HVABI_SIGNAL_PAIRS	19u

/* SCHEDULER_VP_SIGNAL_BITSET: processors of one partition. */
struct hvabi_scheduler_vp_signal_bitset {
	uint64_t partition_id;
	uint32_t overflow_count;
	uint16_t vp_count;		/* bits set */
	uint16_t reserved;
	uint64_t format;		/* 0: sparse */
	uint64_t valid_bank_mask;	/* one bit for each bank that follows */
	uint64_t bank_contents[HVABI_SIGNAL_BANKS];
};

HVABI_ASSERT_SIZE(struct hvabi_scheduler_vp_signal_bitset, 160);
HVABI_ASSERT_AT(struct hvabi_scheduler_vp_signal_bitset, partition_id, 0);
HVABI_ASSERT_AT(struct hvabi_scheduler_vp_signal_bitset, overflow_count, 8);
HVABI_ASSERT_AT(struct hvabi_scheduler_vp_signal_bitset, vp_count, 12);
HVABI_ASSERT_AT(struct hvabi_scheduler_vp_signal_bitset, reserved, 14);
HVABI_ASSERT_AT(struct hvabi_scheduler_vp_signal_bitset, format, 16);
HVABI_ASSERT_AT(struct hvabi_scheduler_vp_signal_bitset, valid_bank_mask, 24);
HVABI_ASSERT_AT(struct hvabi_scheduler_vp_signal_bitset, bank_contents, 32);

/* SCHEDULER_VP_SIGNAL_PAIR: processors of any partitions. */
struct hvabi_scheduler_vp_signal_pair {
	uint32_t overflow_count;
	uint8_t vp_count;		/* pairs used */
	uint8_t reserved1[3];
	uint64_t partition_ids[HVABI_SIGNAL_PAIRS];
	uint32_t vp_indexes[HVABI_SIGNAL_PAIRS];
	uint8_t reserved2[4];
};

HVABI_ASSERT_SIZE(struct hvabi_scheduler_vp_signal_pair, 240);
HVABI_ASSERT_AT(struct hvabi_scheduler_vp_signal_pair, overflow_count, 0);
HVABI_ASSERT_AT(struct hvabi_scheduler_vp_signal_pair, vp_count, 4);
HVABI_ASSERT_AT(struct hvabi_scheduler_vp_signal_pair, reserved1, 5);
HVABI_ASSERT_AT(struct hvabi_scheduler_vp_signal_pair, partition_ids, 8);
HVABI_ASSERT_AT(struct hvabi_scheduler_vp_signal_pair, vp_indexes, 160);
HVABI_ASSERT_AT(struct hvabi_scheduler_vp_signal_pair, reserved2, 236);

/*
 * OPAQUE_INTERCEPT: the processor stands in an intercept; the message of it is in its page. The
 * sender is the child.
 */
struct hvabi_opaque_intercept {
	uint32_t vp_index;
};

HVABI_ASSERT_SIZE(struct hvabi_opaque_intercept, 4);
HVABI_ASSERT_AT(struct hvabi_opaque_intercept, vp_index, 0);

/* SYNIC_SINT_INTERCEPT: something is in the event ring of that SINT. No common header. */
struct hvabi_synic_sint_intercept {
	uint32_t sint_index;
};

HVABI_ASSERT_SIZE(struct hvabi_synic_sint_intercept, 4);
HVABI_ASSERT_AT(struct hvabi_synic_sint_intercept, sint_index, 0);

/* ASYNC_CALL_COMPLETION: how a call ended that had been answered CALL_PENDING. */
struct hvabi_async_call_completion {
	uint64_t partition_id;
	uint32_t status;
	uint32_t completion_count;
	uint64_t sub_status;
};

HVABI_ASSERT_SIZE(struct hvabi_async_call_completion, 24);
HVABI_ASSERT_AT(struct hvabi_async_call_completion, partition_id, 0);
HVABI_ASSERT_AT(struct hvabi_async_call_completion, status, 8);
HVABI_ASSERT_AT(struct hvabi_async_call_completion, completion_count, 12);
HVABI_ASSERT_AT(struct hvabi_async_call_completion, sub_status, 16);

#endif
