/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Counters of a partition and of each of its regions. They only grow; base units (events, pages of
 * 4 KiB). docs/stats.md is the contract with tools: a name that is there stays there.
 */
#ifndef MSHV_STATS_H
#define MSHV_STATS_H

#include <linux/atomic.h>
#include <linux/types.h>

/* X(name, key): kept for the partition and for each region. */
#define MSHV_STATS(X)						\
	X(FAULT_SERVED,		"faults-served")		\
	X(FAULT_VMM,		"faults-left-to-vmm")		\
	X(FAULT_SIGNAL,		"faults-ended-by-signal")	\
	X(FAULT_NO_PAGE,	"faults-without-page")		\
	X(FAULT_POISON,		"faults-on-poison")		\
	X(FAULT_NO_MEMORY,	"faults-without-memory")	\
	X(FAULT_RETRY,		"fault-retries")		\
	X(PAGES_SMALL,		"pages-mapped-small")		\
	X(PAGES_LARGE,		"pages-mapped-large")		\
	X(INVALIDATE_UNMAP,	"invalidations-unmap")		\
	X(INVALIDATE_CLEAR,	"invalidations-clear")		\
	X(INVALIDATE_PROTECT,	"invalidations-protect")	\
	X(INVALIDATE_MIGRATE,	"invalidations-migrate")	\
	X(INVALIDATE_RELEASE,	"invalidations-release")	\
	X(INVALIDATE_OTHER,	"invalidations-other")		\
	X(INVALIDATE_NOTHING,	"invalidations-of-nothing")	\
	X(PAGES_TAKEN,		"pages-taken-away")		\
	X(AGE_QUESTIONS,	"age-questions")		\
	X(AGE_YOUNG,		"age-young")

/* X(name, key): kept for the partition only. */
#define MSHV_PARTITION_STATS(X)					\
	X(MAP_CALLS,		"map-calls")			\
	X(MAP_REPS,		"map-reps")			\
	X(BLANK_CALLS,		"blank-calls")			\
	X(BLANK_REPS,		"blank-reps")			\
	X(UNMAP_CALLS,		"unmap-calls")			\
	X(UNMAP_REPS,		"unmap-reps")			\
	X(AGE_CALLS,		"age-calls")			\
	X(AGE_REFUSED,		"age-refused")			\
	X(AGE_WITHHELD,		"age-withheld")

enum mshv_stat {
#define MSHV_STAT_ENUM(name, key) MSHV_STAT_##name,
	MSHV_STATS(MSHV_STAT_ENUM)
	MSHV_STAT_REGION_COUNT,
	MSHV_STAT_PARTITION_FIRST = MSHV_STAT_REGION_COUNT - 1,
	MSHV_PARTITION_STATS(MSHV_STAT_ENUM)
#undef MSHV_STAT_ENUM
	MSHV_STAT_COUNT
};

struct mshv_region_stats {
	atomic64_t value[MSHV_STAT_REGION_COUNT];
};

struct mshv_partition_stats {
	atomic64_t value[MSHV_STAT_COUNT];
};

#endif
