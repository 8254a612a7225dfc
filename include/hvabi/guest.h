/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Hypercalls that guests make: TLB flushes and interrupts for many processors at once (TLFS 9.4.2,
 * 10.5), and extended ones, which not the hypervisor answers but the parent.
 * Layouts as in Linux's hyperv-tlfs.h / hvgdk.h and the TLFS.
 */
#ifndef HVABI_GUEST_H
#define HVABI_GUEST_H

#include "types.h"

#define HVABI_CALL_FLUSH_VIRTUAL_ADDRESS_SPACE		0x0002u
#define HVABI_CALL_FLUSH_VIRTUAL_ADDRESS_LIST		0x0003u
#define HVABI_CALL_SEND_SYNTHETIC_CLUSTER_IPI		0x000bu
#define HVABI_CALL_FLUSH_VIRTUAL_ADDRESS_SPACE_EX	0x0013u
#define HVABI_CALL_FLUSH_VIRTUAL_ADDRESS_LIST_EX	0x0014u
#define HVABI_CALL_SEND_SYNTHETIC_CLUSTER_IPI_EX	0x0015u

/* Extended calls: this code and up. */
#define HVABI_CALL_EXTENDED				0x8000u
#define HVABI_CALL_EXT_QUERY_CAPABILITIES		0x8001u
#define HVABI_CALL_EXT_MEMORY_HEAT_HINT			0x8003u

/* Flags of flushes. */
#define HVABI_FLUSH_ALL_PROCESSORS			(1ull << 0)
#define HVABI_FLUSH_ALL_VIRTUAL_ADDRESS_SPACES		(1ull << 1)
#define HVABI_FLUSH_NON_GLOBAL_MAPPINGS_ONLY		(1ull << 2)
#define HVABI_FLUSH_USE_EXTENDED_RANGE_FORMAT		(1ull << 3)

/* Sets of processors: banks of 64, those that valid_bank_mask names follow. */
#define HVABI_VP_SET_SPARSE	0ull
#define HVABI_VP_SET_ALL	1ull
#define HVABI_VP_SET_BANKS	64u

struct hvabi_vp_set {
	uint64_t format;
	uint64_t valid_bank_mask;
	uint64_t bank_contents[];
};

/* FLUSH_VIRTUAL_ADDRESS_SPACE; _LIST: followed by the list, 8 bytes each. */
struct hvabi_input_flush {
	uint64_t address_space;		/* CR3 */
	uint64_t flags;
	uint64_t processor_mask;
};

HVABI_ASSERT_SIZE(struct hvabi_input_flush, 24);
HVABI_ASSERT_AT(struct hvabi_input_flush, address_space, 0);
HVABI_ASSERT_AT(struct hvabi_input_flush, flags, 8);
HVABI_ASSERT_AT(struct hvabi_input_flush, processor_mask, 16);

/* ..._EX: the set's banks are the variable header; the list of _LIST_EX follows them. */
struct hvabi_input_flush_ex {
	uint64_t address_space;
	uint64_t flags;
	struct hvabi_vp_set set;
};

HVABI_ASSERT_SIZE(struct hvabi_input_flush_ex, 32);
HVABI_ASSERT_AT(struct hvabi_input_flush_ex, set, 16);

/* SEND_SYNTHETIC_CLUSTER_IPI, also as a fast call. */
struct hvabi_input_cluster_ipi {
	uint32_t vector;
	uint8_t target_vtl;
	uint8_t reserved[3];
	uint64_t processor_mask;
};

HVABI_ASSERT_SIZE(struct hvabi_input_cluster_ipi, 16);
HVABI_ASSERT_AT(struct hvabi_input_cluster_ipi, vector, 0);
HVABI_ASSERT_AT(struct hvabi_input_cluster_ipi, target_vtl, 4);
HVABI_ASSERT_AT(struct hvabi_input_cluster_ipi, processor_mask, 8);

struct hvabi_input_cluster_ipi_ex {
	uint32_t vector;
	uint8_t target_vtl;
	uint8_t reserved[3];
	struct hvabi_vp_set set;
};

HVABI_ASSERT_SIZE(struct hvabi_input_cluster_ipi_ex, 24);
HVABI_ASSERT_AT(struct hvabi_input_cluster_ipi_ex, set, 8);

/* EXT_QUERY_CAPABILITIES: no input; output: 8 bytes. */
#define HVABI_EXT_CAPABILITY_COLD_DISCARD_HINT	(1ull << 8)

/* EXT_MEMORY_HEAT_HINT: followed by the list, a range each. */
#define HVABI_HEAT_COLD			0ull
#define HVABI_HEAT_HOT			1ull
#define HVABI_HEAT_COLD_DISCARD		2ull	/* and what stands there is not needed any more */

struct hvabi_input_heat_hint {
	uint64_t heat_type;		/* bits 0-1; the others are 0 */
};

HVABI_ASSERT_SIZE(struct hvabi_input_heat_hint, 8);

/*
 * A range of pages. Small form: bits 12-63 are the first GFN. Large form: bits 21-63 of its
 * address.
 */
#define HVABI_RANGE_ADDITIONAL_PAGES	0x7ffull	/* pages beyond the first */
#define HVABI_RANGE_LARGE		(1ull << 11)
/* large form: units of 1 GiB and not of 2 MiB */
#define HVABI_RANGE_LARGE_1G		(1ull << 12)
#define HVABI_RANGE_LARGE_RESERVED	0x1fe000ull
#define HVABI_RANGE_LARGE_BASE		(~0ull << 21)

#endif
