/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Partitions: the parent, and the children that it makes.
 *
 *	CREATE -> CREATED --INITIALIZE--> ACTIVE --FINALIZE--> FINALIZED
 *	             |                                             |
 *	             +----------------- DELETE --------------------+
 *
 * A partition's structure lives in one page of the parent's own pool ("self"
 * deposits); everything else of it in its own pool.  FINALIZE evicts all
 * processors, drops VPs, ports, mappings and state pages and gives their memory back
 * to the pool, so that WITHDRAW can return every page.
 *
 * Lock: the world exclusively for life and death; else the partition's own.
 */
#ifndef CORE_PARTITION_H
#define CORE_PARTITION_H

#include "clock.h"
#include "counters.h"
#include "lock.h"
#include "npt.h"
#include "pool.h"
#include "slots.h"
#include "types.h"

#define MAX_PARTITIONS	256u
#define MAX_VPS		64u
#define MAX_INTERCEPTS	32u

struct vp;

enum partition_state {
	PARTITION_CREATED,
	PARTITION_ACTIVE,
	PARTITION_FINALIZED,
};

/* Settable 64-bit properties that a partition keeps. */
enum property_slot {
	PROPERTY_SYNTHETIC_FEATURES,
	PROPERTY_PRIVILEGE_FLAGS,
	PROPERTY_UNIMPLEMENTED_MSR_ACTION,
	PROPERTY_PROCESSORS_PER_SOCKET,
	PROPERTY_ACCESS_TRACKING,
	PROPERTY_SLOTS
};

/* One intercept installed by INSTALL_INTERCEPT. */
struct intercept {
	u32 access;		/* HVABI_INTERCEPT_ACCESS_* mask, 0: free row */
	u32 type;
	u64 parameter;
};

/**
 * struct partition
 * @id: what hypercalls name it by; never reused while the machine is up
 * @page, @counters_page: SPA of this structure and of @counters
 * @slot: index in the table of partitions
 * @is_parent: the one that runs Linux; maps are its identity map
 * @isolated: made with an isolation type: has its memory for itself
 * @scheduled: its processors run by themselves (sched.h), and are not dispatched
 * @exclusive_pages: released to it and not yet taken back
 * @tlb_generation: moves with each shoot-down; a processor that last entered
 *	with another value flushes
 * @lock: of all that is a child's, its processors included (lock.h)
 * @clock: its time (clock.h)
 * @guest_os_id, @hypercall_msr, @reference_tsc_msr, @tsc_invariant, @crash: synthetic MSRs
 * @exceptions: mask of vectors that INSTALL_INTERCEPT asked for
 * @stats: the parent's mapped pages (stats.h)
 * @ports: the parent's, @connections: a child's (port.h)
 * @counters: a page of the pool, or static for the parent; NULL before that
 */
struct partition {
	u64 id;
	u64 creation_flags;
	u64 tlb_generation;
	u64 page, counters_page;
	u64 exclusive_pages;
	u16 slot;
	bool is_parent;
	bool isolated;
	bool scheduled;
	enum partition_state state;
	struct lock lock;
	struct pool pool;
	struct npt npt;
	struct partition_clock clock;
	u64 guest_os_id, hypercall_msr, reference_tsc_msr, tsc_invariant;
	u64 crash[5];
	u32 exceptions;
	u64 property[PROPERTY_SLOTS];
	struct intercept intercepts[MAX_INTERCEPTS];
	struct slots stats, ports, connections;
	struct counters *counters;
	struct vp *vps[MAX_VPS];
};
_Static_assert(sizeof(struct partition) <= 4096, "a partition is one page");

/* The parent; set up by parent_init(). */
extern struct partition parent;

/* The child named @id, or the parent for "self"; NULL if there is none. */
struct partition *partition_find(u64 id);

/* The child named @id; NULL if there is none. */
struct partition *child_find(u64 id);

/* The child in @slot, which must be in use. */
struct partition *partition_of_slot(u16 slot);

/* Visit all children: the first one with slot >= @slot, or NULL. */
struct partition *child_from_slot(u32 slot);

/*
 * Make a child.  Returns a status: INSUFFICIENT_MEMORY if the parent's pool
 * is empty, NO_RESOURCES if there are too many.
 */
u16 partition_create(struct cpu *cpu, u64 flags, bool isolated, u64 *id);

/* CREATED -> ACTIVE.  INSUFFICIENT_MEMORY leaves it CREATED. */
u16 partition_initialize(struct cpu *cpu, struct partition *p);

/* ACTIVE -> FINALIZED; cannot fail. */
void partition_finalize(struct cpu *cpu, struct partition *p);

/* Forget the child.  OBJECT_IN_USE while it has pages: deposited, or released to it. */
u16 partition_delete(struct partition *p);

/* True if an intercept of @type with @parameter and @access is installed. */
bool intercept_wanted(const struct partition *p, u32 type, u64 parameter, u32 access);

/* Install, change or (@access 0) remove an intercept.  INSUFFICIENT_BUFFERS if full. */
u16 intercept_install(struct partition *p, u32 type, u64 parameter, u32 access);

#endif
