/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Statistics pages: counters of an object, kept by the hypervisor in a page that the parent reads.
 */
#ifndef HVABI_STATS_H
#define HVABI_STATS_H

#include "types.h"

/* hvabi_input_map_stats_page::type */
#define HVABI_STATS_HYPERVISOR		0x00000001u
#define HVABI_STATS_LOGICAL_PROCESSOR	0x00000002u
#define HVABI_STATS_PARTITION		0x00010001u
#define HVABI_STATS_VP			0x00010002u

/* hvabi_stats_identity::area */
#define HVABI_STATS_AREA_SELF		0u
#define HVABI_STATS_AREA_PARENT		1u
#define HVABI_STATS_AREA_INTERNAL	2u

/* Of a partition or a VP; the hypervisor has only zeros before @area. */
struct hvabi_stats_identity {
	uint64_t partition_id;
	uint32_t vp_index;		/* 0 for a partition */
	uint16_t flags;
	uint8_t reserved;
	uint8_t area;
};

HVABI_ASSERT_SIZE(struct hvabi_stats_identity, 16);
HVABI_ASSERT_AT(struct hvabi_stats_identity, partition_id, 0);
HVABI_ASSERT_AT(struct hvabi_stats_identity, vp_index, 8);
HVABI_ASSERT_AT(struct hvabi_stats_identity, flags, 12);
HVABI_ASSERT_AT(struct hvabi_stats_identity, reserved, 14);
HVABI_ASSERT_AT(struct hvabi_stats_identity, area, 15);

/* MAP_STATS_PAGE (output: u64 page number), UNMAP_STATS_PAGE */
struct hvabi_input_map_stats_page {
	uint32_t type;
	uint32_t padding;
	struct hvabi_stats_identity identity;
};

HVABI_ASSERT_SIZE(struct hvabi_input_map_stats_page, 24);
HVABI_ASSERT_AT(struct hvabi_input_map_stats_page, type, 0);
HVABI_ASSERT_AT(struct hvabi_input_map_stats_page, padding, 4);
HVABI_ASSERT_AT(struct hvabi_input_map_stats_page, identity, 8);

/* MAP_STATS_PAGE2: the caller names the page */
struct hvabi_input_map_stats_page2 {
	uint32_t type;
	uint32_t padding;
	struct hvabi_stats_identity identity;
	uint64_t map_location;
};

HVABI_ASSERT_SIZE(struct hvabi_input_map_stats_page2, 32);
HVABI_ASSERT_AT(struct hvabi_input_map_stats_page2, type, 0);
HVABI_ASSERT_AT(struct hvabi_input_map_stats_page2, identity, 8);
HVABI_ASSERT_AT(struct hvabi_input_map_stats_page2, map_location, 24);

/* A page is this many u64. Those that are known: */
#define HVABI_STATS_COUNTERS			512u
#define HVABI_STATS_HV_LOGICAL_PROCESSORS	1u
#define HVABI_STATS_PT_VIRTUAL_PROCESSORS	1u
#define HVABI_STATS_PT_DEPOSITED_PAGES		5u
#define HVABI_STATS_PT_GPA_PAGES		6u
#define HVABI_STATS_PT_PARTITION_ID		26u
#define HVABI_STATS_VP_TOTAL_RUN_TIME		1u	/* 100 ns */
#define HVABI_STATS_VP_HYPERVISOR_RUN_TIME	2u
#define HVABI_STATS_VP_HYPERCALLS		7u
#define HVABI_STATS_VP_DISPATCHES		74u
/* While it is not 0 Linux takes the processor's thread for blocked, whatever signals come. */
#define HVABI_STATS_VP_DISPATCH_THREAD_BLOCKED	202u

#endif
