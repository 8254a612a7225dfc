/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The hypercall ABI of the Microsoft Hypervisor: basic types.
 *
 * Laws of include/hvabi:
 *   - Everything here is layout and numbers. No policy, no state, nothing that needs a library.
 *   - The same text compiles in the kernel, in freestanding C (the bundled hypervisor) and in user
 *     space.
 *   - Every structure has its size and the offset of every field pinned by a static assertion, so a
 *     compiler, a flag or a later edit cannot move a field unseen.
 *   - Structures have natural alignment where the ABI has it; __packed stands only where it does
 *     not.
 *   - Bit-fields are given as masks: their place must not depend on the compiler.
 *   - All numbers are little-endian. "Page number" always counts 4 KiB pages.
 */
#ifndef HVABI_TYPES_H
#define HVABI_TYPES_H

#ifdef __KERNEL__
#include <linux/stddef.h>
#include <linux/types.h>
#else
#include <stddef.h>
#include <stdint.h>
#endif

/* C++ has another word for it. */
#ifdef __cplusplus
#define HVABI_ASSERT(condition, text)	static_assert(condition, text)
#else
#define HVABI_ASSERT(condition, text)	_Static_assert(condition, text)
#endif
#define HVABI_ASSERT_SIZE(type, size) \
	HVABI_ASSERT(sizeof(type) == (size), "size of " #type)
#define HVABI_ASSERT_AT(type, field, offset) \
	HVABI_ASSERT(offsetof(type, field) == (offset), #type "." #field)

/* The few layouts with a 64-bit field whose size is not a multiple of 8. */
#define HVABI_PACKED __attribute__((__packed__))

#define HVABI_PAGE_SHIFT		12
#define HVABI_PAGE_SIZE			(1u << HVABI_PAGE_SHIFT)
#define HVABI_LARGE_PAGE_SHIFT		21
#define HVABI_LARGE_PAGE_SIZE		(1u << HVABI_LARGE_PAGE_SHIFT)
/* 4 KiB pages in one large page. */
#define HVABI_LARGE_PAGE_PAGES		(1u << (HVABI_LARGE_PAGE_SHIFT - HVABI_PAGE_SHIFT))

/* Partition id of the caller's own partition, whatever its real id. */
#define HVABI_PARTITION_ID_SELF		(~(uint64_t)0)
/* No partition has this id. */
#define HVABI_PARTITION_ID_INVALID	((uint64_t)0)
/* VP index of the calling virtual processor. */
#define HVABI_VP_INDEX_SELF		0xfffffffeu

/* Input VTL byte: bits 0-3 target VTL, used only with bit 4 set. 0 means "the current one". */
#define HVABI_INPUT_VTL_TARGET_MASK	0x0fu
#define HVABI_INPUT_VTL_USE_TARGET	0x10u

/* struct hvabi_proximity_domain_info::flags */
#define HVABI_PROXIMITY_PREFERRED	0x00000001u
#define HVABI_PROXIMITY_INFO_VALID	0x80000000u

/* NUMA node wanted for memory of a new object. All zero: no wish. */
struct hvabi_proximity_domain_info {
	uint32_t domain_id;
	uint32_t flags;
};

HVABI_ASSERT_SIZE(struct hvabi_proximity_domain_info, 8);
HVABI_ASSERT_AT(struct hvabi_proximity_domain_info, domain_id, 0);
HVABI_ASSERT_AT(struct hvabi_proximity_domain_info, flags, 4);

/* A 128-bit value, as registers and XMM contents travel. */
struct hvabi_u128 {
	uint64_t low;
	uint64_t high;
};

HVABI_ASSERT_SIZE(struct hvabi_u128, 16);
HVABI_ASSERT_AT(struct hvabi_u128, low, 0);
HVABI_ASSERT_AT(struct hvabi_u128, high, 8);

#endif
