/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Hypercalls on partitions: creation, life cycle, properties, intercepts.
 *
 * Life: CREATE -> (early properties) -> INITIALIZE -> VPs, memory -> FINALIZE (drops VPs and every
 * mapping; deposits become withdrawable) -> WITHDRAW until NO_RESOURCES -> DELETE.
 */
#ifndef HVABI_PARTITION_H
#define HVABI_PARTITION_H

#include "types.h"

/* hvabi_input_create_partition::flags */
#define HVABI_PARTITION_FLAG_SMT_ENABLED_GUEST			(1ull << 0)
#define HVABI_PARTITION_FLAG_NESTED_VIRTUALIZATION_CAPABLE	(1ull << 1)
#define HVABI_PARTITION_FLAG_GPA_SUPER_PAGES_ENABLED		(1ull << 4)
#define HVABI_PARTITION_FLAG_EXO_PARTITION			(1ull << 8)
#define HVABI_PARTITION_FLAG_LAPIC_ENABLED			(1ull << 13)
#define HVABI_PARTITION_FLAG_INTERCEPT_MESSAGE_PAGE_ENABLED	(1ull << 19)
#define HVABI_PARTITION_FLAG_X2APIC_CAPABLE			(1ull << 22)

/* What Linux asks for: major 6, minor 9. */
#define HVABI_COMPATIBILITY_VERSION	0x609u

/*
 * hvabi_input_create_partition::isolation_properties: bits 0-4 type, 5-6 host type, 12-63 shared
 * boundary page.
 */
#define HVABI_ISOLATION_TYPE_MASK	0x1full
#define HVABI_ISOLATION_TYPE_NONE	0u
#define HVABI_ISOLATION_TYPE_VBS	1u
#define HVABI_ISOLATION_TYPE_SNP	2u
#define HVABI_ISOLATION_TYPE_TDX	3u

#define HVABI_PROCESSOR_FEATURE_BANKS	2

/* CREATE_PARTITION. A bit set in the feature banks means "disabled". */
struct hvabi_input_create_partition {
	uint64_t flags;
	struct hvabi_proximity_domain_info proximity_domain_info;
	uint32_t compatibility_version;
	uint32_t padding;
	uint64_t disabled_processor_features[HVABI_PROCESSOR_FEATURE_BANKS];
	uint64_t disabled_processor_xsave_features;
	uint64_t isolation_properties;
};

HVABI_ASSERT_SIZE(struct hvabi_input_create_partition, 56);
HVABI_ASSERT_AT(struct hvabi_input_create_partition, flags, 0);
HVABI_ASSERT_AT(struct hvabi_input_create_partition, proximity_domain_info, 8);
HVABI_ASSERT_AT(struct hvabi_input_create_partition, compatibility_version, 16);
HVABI_ASSERT_AT(struct hvabi_input_create_partition, padding, 20);
HVABI_ASSERT_AT(struct hvabi_input_create_partition, disabled_processor_features, 24);
HVABI_ASSERT_AT(struct hvabi_input_create_partition, disabled_processor_xsave_features, 40);
HVABI_ASSERT_AT(struct hvabi_input_create_partition, isolation_properties, 48);

struct hvabi_output_create_partition {
	uint64_t partition_id;
};

HVABI_ASSERT_SIZE(struct hvabi_output_create_partition, 8);
HVABI_ASSERT_AT(struct hvabi_output_create_partition, partition_id, 0);

/* INITIALIZE_, FINALIZE_, DELETE_PARTITION and CLEAR_VIRTUAL_INTERRUPT: the whole input. */
struct hvabi_input_partition {
	uint64_t partition_id;
};

HVABI_ASSERT_SIZE(struct hvabi_input_partition, 8);
HVABI_ASSERT_AT(struct hvabi_input_partition, partition_id, 0);

/* GET_PARTITION_ID: the whole output. */
struct hvabi_output_get_partition_id {
	uint64_t partition_id;
};

HVABI_ASSERT_SIZE(struct hvabi_output_get_partition_id, 8);
HVABI_ASSERT_AT(struct hvabi_output_get_partition_id, partition_id, 0);

/* Partition property codes. */
#define HVABI_PROPERTY_PRIVILEGE_FLAGS				0x00010000u
#define HVABI_PROPERTY_SYNTHETIC_PROC_FEATURES			0x00010001u
#define HVABI_PROPERTY_SUSPEND					0x00020000u
#define HVABI_PROPERTY_CPU_RESERVE				0x00020001u
#define HVABI_PROPERTY_CPU_CAP					0x00020002u
#define HVABI_PROPERTY_CPU_WEIGHT				0x00020003u
#define HVABI_PROPERTY_CPU_GROUP_ID				0x00020004u
#define HVABI_PROPERTY_INTEGRATED_SCHEDULER_ENABLED		0x00020005u
#define HVABI_PROPERTY_TIME_FREEZE				0x00030003u
#define HVABI_PROPERTY_REFERENCE_TIME				0x00030005u
#define HVABI_PROPERTY_VIRTUAL_TLB_PAGE_COUNT			0x00050000u
#define HVABI_PROPERTY_PROCESSORS_PER_SOCKET			0x00050003u
#define HVABI_PROPERTY_GPA_PAGE_ACCESS_TRACKING			0x00050005u
#define HVABI_PROPERTY_ISOLATION_STATE				0x0005000cu
#define HVABI_PROPERTY_ISOLATION_CONTROL			0x0005000du
#define HVABI_PROPERTY_UNIMPLEMENTED_MSR_ACTION			0x00050017u
#define HVABI_PROPERTY_PROCESSOR_VENDOR				0x00060000u
#define HVABI_PROPERTY_PROCESSOR_XSAVE_FEATURES			0x00060002u
#define HVABI_PROPERTY_PROCESSOR_CL_FLUSH_SIZE			0x00060003u
#define HVABI_PROPERTY_COMPATIBILITY_VERSION			0x00060005u
#define HVABI_PROPERTY_PHYSICAL_ADDRESS_WIDTH			0x00060006u
#define HVABI_PROPERTY_XSAVE_STATES				0x00060007u
#define HVABI_PROPERTY_MAX_XSAVE_DATA_SIZE			0x00060008u
#define HVABI_PROPERTY_PROCESSOR_CLOCK_FREQUENCY		0x00060009u
#define HVABI_PROPERTY_PROCESSOR_FEATURES0			0x0006000au
#define HVABI_PROPERTY_PROCESSOR_FEATURES1			0x0006000bu
#define HVABI_PROPERTY_GUEST_OS_ID				0x00070000u
#define HVABI_PROPERTY_VMM_CAPABILITIES				0x00090007u	/* extended get */
#define HVABI_PROPERTY_ASSIGNABLE_SYNTHETIC_PROC_FEATURES	0x00090009u	/* extended get */

/* Values of UNIMPLEMENTED_MSR_ACTION. */
#define HVABI_UNIMPLEMENTED_MSR_FAULT			0u
#define HVABI_UNIMPLEMENTED_MSR_IGNORE_WRITE_READ_ZERO	1u

/*
 * SYNTHETIC_PROC_FEATURES, and bank 0 of ASSIGNABLE_SYNTHETIC_PROC_FEATURES: what a child sees of
 * the hypervisor. Set before the partition is initialized. Linux has no names for the bits; these
 * are numbered as in rust-vmm's mshv-bindings, union hv_partition_synthetic_processor_features.
 */
#define HVABI_SYNTHETIC_HYPERVISOR_PRESENT	(1ull << 0)
#define HVABI_SYNTHETIC_HV1			(1ull << 1)
#define HVABI_SYNTHETIC_VP_RUNTIME		(1ull << 2)
#define HVABI_SYNTHETIC_REFERENCE_COUNTER	(1ull << 3)
#define HVABI_SYNTHETIC_SYNIC			(1ull << 4)
#define HVABI_SYNTHETIC_TIMERS			(1ull << 5)
#define HVABI_SYNTHETIC_APIC_ACCESS		(1ull << 6)
#define HVABI_SYNTHETIC_HYPERCALL		(1ull << 7)
#define HVABI_SYNTHETIC_VP_INDEX		(1ull << 8)
#define HVABI_SYNTHETIC_REFERENCE_TSC		(1ull << 9)
#define HVABI_SYNTHETIC_GUEST_IDLE		(1ull << 10)
#define HVABI_SYNTHETIC_FREQUENCIES		(1ull << 11)
#define HVABI_SYNTHETIC_DIRECT_TIMERS		(1ull << 22)
#define HVABI_SYNTHETIC_PROCESSOR_MASKS		(1ull << 24)
#define HVABI_SYNTHETIC_TLB_FLUSH		(1ull << 25)
#define HVABI_SYNTHETIC_CLUSTER_IPI		(1ull << 26)

/* GET_PARTITION_PROPERTY */
struct hvabi_input_get_partition_property {
	uint64_t partition_id;
	uint32_t property_code;
	uint32_t padding;
};

HVABI_ASSERT_SIZE(struct hvabi_input_get_partition_property, 16);
HVABI_ASSERT_AT(struct hvabi_input_get_partition_property, partition_id, 0);
HVABI_ASSERT_AT(struct hvabi_input_get_partition_property, property_code, 8);
HVABI_ASSERT_AT(struct hvabi_input_get_partition_property, padding, 12);

struct hvabi_output_get_partition_property {
	uint64_t property_value;
};

HVABI_ASSERT_SIZE(struct hvabi_output_get_partition_property, 8);
HVABI_ASSERT_AT(struct hvabi_output_get_partition_property, property_value, 0);

/* SET_PARTITION_PROPERTY; may answer CALL_PENDING. */
struct hvabi_input_set_partition_property {
	uint64_t partition_id;
	uint32_t property_code;
	uint32_t padding;
	uint64_t property_value;
};

HVABI_ASSERT_SIZE(struct hvabi_input_set_partition_property, 24);
HVABI_ASSERT_AT(struct hvabi_input_set_partition_property, partition_id, 0);
HVABI_ASSERT_AT(struct hvabi_input_set_partition_property, property_code, 8);
HVABI_ASSERT_AT(struct hvabi_input_set_partition_property, padding, 12);
HVABI_ASSERT_AT(struct hvabi_input_set_partition_property, property_value, 16);

/* GET_SYSTEM_PROPERTY; output: u64, of a scheduler type the low 32 bits count. */
#define HVABI_SYSTEM_PROPERTY_SCHEDULER_TYPE	15u
#define HVABI_SCHEDULER_CORE_SMT		3u
#define HVABI_SCHEDULER_ROOT			4u

struct hvabi_input_get_system_property {
	uint32_t property_id;
	uint32_t reserved;
	uint64_t value;
};

HVABI_ASSERT_SIZE(struct hvabi_input_get_system_property, 16);
HVABI_ASSERT_AT(struct hvabi_input_get_system_property, property_id, 0);
HVABI_ASSERT_AT(struct hvabi_input_get_system_property, reserved, 4);
HVABI_ASSERT_AT(struct hvabi_input_get_system_property, value, 8);

/* GET_PARTITION_PROPERTY_EX; output up to 4072 bytes, shape depends on the property. */
struct hvabi_input_get_partition_property_ex {
	uint64_t partition_id;
	uint32_t property_code;
	uint32_t padding;
	union {
		uint64_t arg;		/* 0 for the properties known here */
		uint32_t vp_index;	/* per-VP properties */
	};
};

HVABI_ASSERT_SIZE(struct hvabi_input_get_partition_property_ex, 24);
HVABI_ASSERT_AT(struct hvabi_input_get_partition_property_ex, partition_id, 0);
HVABI_ASSERT_AT(struct hvabi_input_get_partition_property_ex, property_code, 8);
HVABI_ASSERT_AT(struct hvabi_input_get_partition_property_ex, padding, 12);
HVABI_ASSERT_AT(struct hvabi_input_get_partition_property_ex, arg, 16);
HVABI_ASSERT_AT(struct hvabi_input_get_partition_property_ex, vp_index, 16);

#define HVABI_PROPERTY_EX_OUTPUT_MAX	4072u

/* Output for VMM_CAPABILITIES and ASSIGNABLE_SYNTHETIC_PROC_FEATURES: banks of bits. */
struct hvabi_output_property_bank {
	uint16_t bank_count;		/* 1 */
	uint16_t reserved[3];
	uint64_t bank[1];
};

HVABI_ASSERT_SIZE(struct hvabi_output_property_bank, 16);
HVABI_ASSERT_AT(struct hvabi_output_property_bank, bank_count, 0);
HVABI_ASSERT_AT(struct hvabi_output_property_bank, reserved, 2);
HVABI_ASSERT_AT(struct hvabi_output_property_bank, bank, 8);

/* VMM_CAPABILITIES, bank 0 */
#define HVABI_VMM_CAP_MAP_GPA_PRESERVE_ADJUSTABLE		(1ull << 0)
#define HVABI_VMM_CAP_VMM_CAN_PROVIDE_OVERLAY_GPFN		(1ull << 1)
#define HVABI_VMM_CAP_VP_AFFINITY_PROPERTY			(1ull << 2)
#define HVABI_VMM_CAP_ASSIGNABLE_SYNTHETIC_PROC_FEATURES	(1ull << 4)
#define HVABI_VMM_CAP_VMM_ENABLE_INTEGRATED_SCHEDULER		(1ull << 6)

/* hvabi_input_install_intercept::access_type; 0 removes the intercept. */
#define HVABI_INTERCEPT_ACCESS_MASK_READ	0x1u
#define HVABI_INTERCEPT_ACCESS_MASK_WRITE	0x2u
#define HVABI_INTERCEPT_ACCESS_MASK_EXECUTE	0x4u

/*
 * hvabi_input_install_intercept::intercept_type,
 * hvabi_input_register_intercept_result::intercept_type
 */
#define HVABI_INTERCEPT_TYPE_IO_PORT		0u
#define HVABI_INTERCEPT_TYPE_MSR		1u
#define HVABI_INTERCEPT_TYPE_CPUID		2u
#define HVABI_INTERCEPT_TYPE_EXCEPTION		3u
#define HVABI_INTERCEPT_TYPE_MMIO		5u
#define HVABI_INTERCEPT_TYPE_GLOBAL_CPUID	6u
#define HVABI_INTERCEPT_TYPE_APIC_SMI		7u
#define HVABI_INTERCEPT_TYPE_HYPERCALL		8u
#define HVABI_INTERCEPT_TYPE_INIT_SIPI		9u
#define HVABI_INTERCEPT_TYPE_MC_UPDATE_READ	10u
#define HVABI_INTERCEPT_TYPE_APIC_WRITE		11u
#define HVABI_INTERCEPT_TYPE_MSR_INDEX		12u

/* INSTALL_INTERCEPT */
struct hvabi_input_install_intercept {
	uint64_t partition_id;
	uint32_t access_type;
	uint32_t intercept_type;
	uint64_t intercept_parameter;	/* port, leaf, vector or MSR in the low bytes */
};

HVABI_ASSERT_SIZE(struct hvabi_input_install_intercept, 24);
HVABI_ASSERT_AT(struct hvabi_input_install_intercept, partition_id, 0);
HVABI_ASSERT_AT(struct hvabi_input_install_intercept, access_type, 8);
HVABI_ASSERT_AT(struct hvabi_input_install_intercept, intercept_type, 12);
HVABI_ASSERT_AT(struct hvabi_input_install_intercept, intercept_parameter, 16);

/*
 * REGISTER_INTERCEPT_RESULT, CPUID form: result = (value & mask) | (hypervisor's value & ~mask),
 * per register.
 */
struct hvabi_input_register_intercept_result {
	uint64_t partition_id;
	uint32_t vp_index;
	uint32_t intercept_type;
	uint32_t cpuid_eax;		/* leaf */
	uint32_t cpuid_ecx;		/* subleaf */
	uint8_t subleaf_specific;	/* 1: only that subleaf */
	uint8_t always_override;	/* 1: also where the hypervisor would return 0 */
	uint16_t padding;
	struct {
		uint32_t value;
		uint32_t mask;
	} result[4];			/* EAX, EBX, ECX, EDX */
} HVABI_PACKED;

HVABI_ASSERT_SIZE(struct hvabi_input_register_intercept_result, 60);
HVABI_ASSERT_AT(struct hvabi_input_register_intercept_result, partition_id, 0);
HVABI_ASSERT_AT(struct hvabi_input_register_intercept_result, vp_index, 8);
HVABI_ASSERT_AT(struct hvabi_input_register_intercept_result, intercept_type, 12);
HVABI_ASSERT_AT(struct hvabi_input_register_intercept_result, cpuid_eax, 16);
HVABI_ASSERT_AT(struct hvabi_input_register_intercept_result, cpuid_ecx, 20);
HVABI_ASSERT_AT(struct hvabi_input_register_intercept_result, subleaf_specific, 24);
HVABI_ASSERT_AT(struct hvabi_input_register_intercept_result, always_override, 25);
HVABI_ASSERT_AT(struct hvabi_input_register_intercept_result, padding, 26);
HVABI_ASSERT_AT(struct hvabi_input_register_intercept_result, result[0].value, 28);
HVABI_ASSERT_AT(struct hvabi_input_register_intercept_result, result[0].mask, 32);
HVABI_ASSERT_AT(struct hvabi_input_register_intercept_result, result[3].mask, 56);

/* hvabi_input_register_intercept_result_msr::access_type */
#define HVABI_MSR_RESULT_READ		0x1u
#define HVABI_MSR_RESULT_WRITE		0x2u

/*
 * REGISTER_INTERCEPT_RESULT, MSR form: what an access to an MSR does that the hypervisor does not
 * know. The action is one of property UNIMPLEMENTED_MSR_ACTION.
 */
struct hvabi_input_register_intercept_result_msr {
	uint64_t partition_id;
	uint32_t vp_index;
	uint32_t intercept_type;
	uint32_t msr_index;
	uint32_t access_type;
	uint32_t action;
};

HVABI_ASSERT_AT(struct hvabi_input_register_intercept_result_msr, partition_id, 0);
HVABI_ASSERT_AT(struct hvabi_input_register_intercept_result_msr, vp_index, 8);
HVABI_ASSERT_AT(struct hvabi_input_register_intercept_result_msr, intercept_type, 12);
HVABI_ASSERT_AT(struct hvabi_input_register_intercept_result_msr, msr_index, 16);
HVABI_ASSERT_AT(struct hvabi_input_register_intercept_result_msr, access_type, 20);
HVABI_ASSERT_AT(struct hvabi_input_register_intercept_result_msr, action, 24);

/* SIGNAL_EVENT_DIRECT: set a flag in a child's event flags page. */
struct hvabi_input_signal_event_direct {
	uint64_t target_partition;
	uint32_t target_vp;
	uint8_t target_vtl;
	uint8_t target_sint;
	uint16_t flag_number;		/* below HVABI_EVENT_FLAGS */
};

/* Flags of one SINT. */
#define HVABI_EVENT_FLAGS	2048u

HVABI_ASSERT_SIZE(struct hvabi_input_signal_event_direct, 16);
HVABI_ASSERT_AT(struct hvabi_input_signal_event_direct, target_partition, 0);
HVABI_ASSERT_AT(struct hvabi_input_signal_event_direct, target_vp, 8);
HVABI_ASSERT_AT(struct hvabi_input_signal_event_direct, target_vtl, 12);
HVABI_ASSERT_AT(struct hvabi_input_signal_event_direct, target_sint, 13);
HVABI_ASSERT_AT(struct hvabi_input_signal_event_direct, flag_number, 14);

struct hvabi_output_signal_event_direct {
	uint8_t newly_signaled;
	uint8_t reserved[7];
};

HVABI_ASSERT_SIZE(struct hvabi_output_signal_event_direct, 8);
HVABI_ASSERT_AT(struct hvabi_output_signal_event_direct, newly_signaled, 0);

/*
 * POST_MESSAGE_DIRECT: a message for a slot of a child's message page; it is complete, its header
 * too.
 */
struct hvabi_input_post_message_direct {
	uint64_t partition_id;
	uint32_t vp_index;
	uint8_t vtl;
	uint8_t padding[3];
	uint32_t sint_index;
	uint8_t message[256];
	uint32_t padding2;
};

HVABI_ASSERT_SIZE(struct hvabi_input_post_message_direct, 280);
HVABI_ASSERT_AT(struct hvabi_input_post_message_direct, partition_id, 0);
HVABI_ASSERT_AT(struct hvabi_input_post_message_direct, vp_index, 8);
HVABI_ASSERT_AT(struct hvabi_input_post_message_direct, vtl, 12);
HVABI_ASSERT_AT(struct hvabi_input_post_message_direct, sint_index, 16);
HVABI_ASSERT_AT(struct hvabi_input_post_message_direct, message, 20);
HVABI_ASSERT_AT(struct hvabi_input_post_message_direct, padding2, 276);

/* hvabi_input_assert_virtual_interrupt::interrupt_type */
#define HVABI_INTERRUPT_TYPE_FIXED		0u
#define HVABI_INTERRUPT_TYPE_LOWEST_PRIORITY	1u
#define HVABI_INTERRUPT_TYPE_SMI		2u
#define HVABI_INTERRUPT_TYPE_REMOTE_READ	3u
#define HVABI_INTERRUPT_TYPE_NMI		4u
#define HVABI_INTERRUPT_TYPE_INIT		5u
#define HVABI_INTERRUPT_TYPE_SIPI		6u
#define HVABI_INTERRUPT_TYPE_EXTINT		7u
#define HVABI_INTERRUPT_TYPE_LOCALINT0		8u
#define HVABI_INTERRUPT_TYPE_LOCALINT1		9u
/* hvabi_input_assert_virtual_interrupt::interrupt_flags */
#define HVABI_INTERRUPT_LEVEL_TRIGGERED		0x1u
#define HVABI_INTERRUPT_LOGICAL_DEST		0x2u

/* ASSERT_VIRTUAL_INTERRUPT */
struct hvabi_input_assert_virtual_interrupt {
	uint64_t partition_id;
	uint32_t interrupt_type;
	uint32_t interrupt_flags;
	uint64_t dest_addr;		/* APIC id, or logical destination */
	uint32_t vector;
	uint8_t target_vtl;
	uint8_t rsvd_z0;
	uint16_t rsvd_z1;
};

HVABI_ASSERT_SIZE(struct hvabi_input_assert_virtual_interrupt, 32);
HVABI_ASSERT_AT(struct hvabi_input_assert_virtual_interrupt, partition_id, 0);
HVABI_ASSERT_AT(struct hvabi_input_assert_virtual_interrupt, interrupt_type, 8);
HVABI_ASSERT_AT(struct hvabi_input_assert_virtual_interrupt, interrupt_flags, 12);
HVABI_ASSERT_AT(struct hvabi_input_assert_virtual_interrupt, dest_addr, 16);
HVABI_ASSERT_AT(struct hvabi_input_assert_virtual_interrupt, vector, 24);
HVABI_ASSERT_AT(struct hvabi_input_assert_virtual_interrupt, target_vtl, 28);
HVABI_ASSERT_AT(struct hvabi_input_assert_virtual_interrupt, rsvd_z0, 29);
HVABI_ASSERT_AT(struct hvabi_input_assert_virtual_interrupt, rsvd_z1, 30);

/* hvabi_input_get_vp_cpuid_values::flags */
#define HVABI_VP_CPUID_USE_XFEM_XSS		0x1u
#define HVABI_VP_CPUID_APPLY_REGISTERED		0x2u

/* GET_VP_CPUID_VALUES: a rep of input for each leaf, one of output: EAX, EBX, ECX, EDX. */
struct hvabi_vp_cpuid_leaf {
	uint32_t eax;
	uint32_t ecx;
	uint64_t xfem;
	uint64_t xss;
};

HVABI_ASSERT_SIZE(struct hvabi_vp_cpuid_leaf, 24);
HVABI_ASSERT_AT(struct hvabi_vp_cpuid_leaf, eax, 0);
HVABI_ASSERT_AT(struct hvabi_vp_cpuid_leaf, ecx, 4);
HVABI_ASSERT_AT(struct hvabi_vp_cpuid_leaf, xfem, 8);
HVABI_ASSERT_AT(struct hvabi_vp_cpuid_leaf, xss, 16);

struct hvabi_input_get_vp_cpuid_values {
	uint64_t partition_id;
	uint32_t vp_index;
	uint32_t flags;
	uint32_t reserved;
	uint32_t padding;
	struct hvabi_vp_cpuid_leaf leaves[];
};

HVABI_ASSERT_SIZE(struct hvabi_input_get_vp_cpuid_values, 24);
HVABI_ASSERT_AT(struct hvabi_input_get_vp_cpuid_values, partition_id, 0);
HVABI_ASSERT_AT(struct hvabi_input_get_vp_cpuid_values, vp_index, 8);
HVABI_ASSERT_AT(struct hvabi_input_get_vp_cpuid_values, flags, 12);
HVABI_ASSERT_AT(struct hvabi_input_get_vp_cpuid_values, reserved, 16);
HVABI_ASSERT_AT(struct hvabi_input_get_vp_cpuid_values, padding, 20);
HVABI_ASSERT_AT(struct hvabi_input_get_vp_cpuid_values, leaves, 24);

#endif
