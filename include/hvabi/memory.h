/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Hypercalls on memory: the deposit pool of a partition, the guest physical map and its access
 * bits.
 *
 * A GFN never mapped, or unmapped, gives the message UNMAPPED_GPA; one mapped without the right
 * that the access needs, or mapped NO_ACCESS, gives GPA_INTERCEPT. Mapping over a mapping replaces
 * it. When a call that takes access away returns, no processor uses the old translation.
 */
#ifndef HVABI_MEMORY_H
#define HVABI_MEMORY_H

#include "types.h"

/*
 * DEPOSIT_MEMORY: the pages belong to the hypervisor until withdrawn; the depositor must not touch
 * them.
 */
struct hvabi_deposit_memory {
	uint64_t partition_id;		/* receiver: a child, or self */
	uint64_t gpa_page_list[];	/* page numbers of the caller */
};

HVABI_ASSERT_SIZE(struct hvabi_deposit_memory, 8);
HVABI_ASSERT_AT(struct hvabi_deposit_memory, partition_id, 0);
HVABI_ASSERT_AT(struct hvabi_deposit_memory, gpa_page_list, 8);

#define HVABI_DEPOSIT_MAX \
	((HVABI_PAGE_SIZE - sizeof(struct hvabi_deposit_memory)) / sizeof(uint64_t))
HVABI_ASSERT(HVABI_DEPOSIT_MAX == 511, "pages in one deposit");

/*
 * WITHDRAW_MEMORY: output is a list of page numbers, one per completed rep, also when the status is
 * not success. Ends with NO_RESOURCES.
 */
struct hvabi_input_withdraw_memory {
	uint64_t partition_id;
	struct hvabi_proximity_domain_info proximity_domain_info;
};

HVABI_ASSERT_SIZE(struct hvabi_input_withdraw_memory, 16);
HVABI_ASSERT_AT(struct hvabi_input_withdraw_memory, partition_id, 0);
HVABI_ASSERT_AT(struct hvabi_input_withdraw_memory, proximity_domain_info, 8);

#define HVABI_WITHDRAW_MAX	(HVABI_PAGE_SIZE / sizeof(uint64_t))

/* hvabi_input_map_gpa_pages::map_flags */
#define HVABI_MAP_GPA_READABLE		0x00000001u
#define HVABI_MAP_GPA_WRITABLE		0x00000002u
#define HVABI_MAP_GPA_KERNEL_EXECUTABLE	0x00000004u
#define HVABI_MAP_GPA_USER_EXECUTABLE	0x00000008u
#define HVABI_MAP_GPA_EXECUTABLE	0x0000000cu
#define HVABI_MAP_GPA_PERMISSIONS_MASK	0x0000000fu
#define HVABI_MAP_GPA_ADJUSTABLE	0x00008000u
/* known but faulting; source page numbers are 0 */
#define HVABI_MAP_GPA_NO_ACCESS		0x00010000u
#define HVABI_MAP_GPA_NOT_CACHED	0x00200000u
/* every rep is 2 MiB: base and sources are multiples of 512 */
#define HVABI_MAP_GPA_LARGE_PAGE	0x80000000u

/* MAP_GPA_PAGES: rep i maps GFN base + i (or base + 512 * i) to source_gpa_page_list[i]. */
struct hvabi_input_map_gpa_pages {
	uint64_t target_partition_id;
	uint64_t target_gpa_base;		/* page number, in 4 KiB units always */
	uint32_t map_flags;
	/* not to be relied on: Linux leaves stale bytes here */
	uint32_t padding;
	uint64_t source_gpa_page_list[];	/* page numbers of the caller */
};

HVABI_ASSERT_SIZE(struct hvabi_input_map_gpa_pages, 24);
HVABI_ASSERT_AT(struct hvabi_input_map_gpa_pages, target_partition_id, 0);
HVABI_ASSERT_AT(struct hvabi_input_map_gpa_pages, target_gpa_base, 8);
HVABI_ASSERT_AT(struct hvabi_input_map_gpa_pages, map_flags, 16);
HVABI_ASSERT_AT(struct hvabi_input_map_gpa_pages, padding, 20);
HVABI_ASSERT_AT(struct hvabi_input_map_gpa_pages, source_gpa_page_list, 24);

#define HVABI_MAP_GPA_MAX \
	((HVABI_PAGE_SIZE - sizeof(struct hvabi_input_map_gpa_pages)) / sizeof(uint64_t))
HVABI_ASSERT(HVABI_MAP_GPA_MAX == 509, "reps in one map call");

/* hvabi_input_unmap_gpa_pages::unmap_flags */
#define HVABI_UNMAP_GPA_LARGE_PAGE	0x00000002u

/* UNMAP_GPA_PAGES: a rep call without a list; rep i unmaps GFN base + i (or base + 512 * i). */
struct hvabi_input_unmap_gpa_pages {
	uint64_t target_partition_id;
	uint64_t target_gpa_base;		/* page number */
	uint32_t unmap_flags;
	uint32_t padding;			/* not to be relied on */
};

HVABI_ASSERT_SIZE(struct hvabi_input_unmap_gpa_pages, 24);
HVABI_ASSERT_AT(struct hvabi_input_unmap_gpa_pages, target_partition_id, 0);
HVABI_ASSERT_AT(struct hvabi_input_unmap_gpa_pages, target_gpa_base, 8);
HVABI_ASSERT_AT(struct hvabi_input_unmap_gpa_pages, unmap_flags, 16);
HVABI_ASSERT_AT(struct hvabi_input_unmap_gpa_pages, padding, 20);

/* hvabi_input_get_gpa_pages_access_state::flags; 0 only reads. */
#define HVABI_GPA_ACCESS_CLEAR_ACCESSED	0x1ull
#define HVABI_GPA_ACCESS_SET_ACCESSED	0x2ull
#define HVABI_GPA_ACCESS_CLEAR_DIRTY	0x4ull
#define HVABI_GPA_ACCESS_SET_DIRTY	0x8ull

/*
 * GET_GPA_PAGES_ACCESS_STATES: rep i is GFN hv_gpa_page_number + i. The output is one byte per rep:
 * the bits as they were before the flags took effect.
 */
struct hvabi_input_get_gpa_pages_access_state {
	uint64_t partition_id;
	uint64_t flags;
	uint64_t hv_gpa_page_number;
};

HVABI_ASSERT_SIZE(struct hvabi_input_get_gpa_pages_access_state, 24);
HVABI_ASSERT_AT(struct hvabi_input_get_gpa_pages_access_state, partition_id, 0);
HVABI_ASSERT_AT(struct hvabi_input_get_gpa_pages_access_state, flags, 8);
HVABI_ASSERT_AT(struct hvabi_input_get_gpa_pages_access_state, hv_gpa_page_number, 16);

/* Output byte of GET_GPA_PAGES_ACCESS_STATES. */
#define HVABI_GPA_ACCESS_STATE_ACCESSED	0x1u
#define HVABI_GPA_ACCESS_STATE_DIRTY	0x2u

/* hvabi_input_modify_sparse_spa_page_host_access::host_access */
#define HVABI_HOST_ACCESS_READABLE	0x1u
#define HVABI_HOST_ACCESS_WRITABLE	0x2u
/* ...::flags */
#define HVABI_HOST_ACCESS_MAKE_EXCLUSIVE 0x1u
#define HVABI_HOST_ACCESS_MAKE_SHARED	0x2u
#define HVABI_HOST_ACCESS_LARGE_PAGE	0x4u
#define HVABI_HOST_ACCESS_HUGE_PAGE	0x8u

/* ACQUIRE_ and RELEASE_SPARSE_SPA_PAGE_HOST_ACCESS (isolated children). */
struct hvabi_input_modify_sparse_spa_page_host_access {
	uint32_t host_access;
	uint32_t flags;
	uint64_t partition_id;		/* with MAKE_EXCLUSIVE, else 0 */
	uint64_t spa_page_list[];	/* page numbers of the caller */
};

HVABI_ASSERT_SIZE(struct hvabi_input_modify_sparse_spa_page_host_access, 16);
HVABI_ASSERT_AT(struct hvabi_input_modify_sparse_spa_page_host_access, host_access, 0);
HVABI_ASSERT_AT(struct hvabi_input_modify_sparse_spa_page_host_access, flags, 4);
HVABI_ASSERT_AT(struct hvabi_input_modify_sparse_spa_page_host_access, partition_id, 8);
HVABI_ASSERT_AT(struct hvabi_input_modify_sparse_spa_page_host_access, spa_page_list, 16);

#endif
