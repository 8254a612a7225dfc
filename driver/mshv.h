/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * mshv_movable: guest memory on the Microsoft Hypervisor that Linux may move. Objects and the calls
 * between files.
 *
 * The driver keeps one promise above all: Linux is the truth. A page is mapped in a child partition
 * only while Linux maps it in the VMM, and never with more rights. The files tell how:
 *
 *	main.c		module, load checks, /dev/mshv
 *	partition.c	a child partition: create, initialize, kill, destroy
 *	vp.c		its processors: create, run, state pages
 *	synic.c		the hypervisor says that a blocked processor could run
 *	region.c	GFN range bound to HVA range: create, look up, replace, remove
 *	map.c		what the child has of a region: map, zap, and the record of it
 *	look.c		whether what somebody saw in the VMM's page table still holds
 *	invalidate.c	Linux takes a page away: the child loses it first
 *	fault.c a guest touched a page that is not mapped: serve it, and what it will want next
 *	fault_look.c	what Linux has there, and what it shall fault in
 *	fault_map.c	what the child gets of it
 *	prefault.c	the VMM asks for memory before its guest does
 *	device.c	device memory of the VMM as memory of the guest
 *	window.c how many pages one fault serves (no kernel dependencies: unit tests compile it)
 *	pin.c		pinned regions: from movable to pinned and back
 *	log.c		the dirty log: bits that outlive the maps they were set in
 *	age.c		Linux asks which pages the guest uses
 *	host_access.c	memory that an isolated child has for itself
 *	gpa_map.c	map, blank, unmap: batches of the GPA hypercalls
 *	deposit.c	memory lent to the hypervisor
 *	hypercall.c	pages and calling sequence of hypercalls
 *	passthrough.c	MSHV_ROOT_HVCALL
 *	walk.c		guest page tables that Linux has taken, for hypercalls that walk them
 *	power.c		what is lent when Linux goes to sleep, or to another kernel
 *	stats.c		counters, in /proc/PID/fdinfo
 *	access.c	MSHV_GET_GPAP_ACCESS_BITMAP
 *
 * region.c and invalidate.c stand on pin.c, and they and fault.c on map.c and look.c. Those stand
 * on gpa_map.c and deposit.c; map.c calls up in two places: to ask age.c before a leaf goes, and to
 * kill the partition.
 *
 * Lock order (docs/locking.md): partition->lock or vp->lock, then mmap_lock, then
 * partition->map_lock, then the lock of a block, then partition->reserve_lock or the lock of
 * ageing; the lock of the invalidations under none of the spinning ones. From map_lock on all are
 * spinning: the MMU notifier takes them, also where it may not sleep. No allocation, user access,
 * page fault or deposit of new memory happens under a spinning lock.
 *
 * Words: gfn, guest page number (4 KiB). block, 2 MiB-aligned GFN range. leaf, the map of one page
 * or of a block. zap, to take leaves away from the child. blank, mapped NO_ACCESS: how a zap is
 * told the hypervisor. last is inclusive, end is exclusive.
 */
#ifndef MSHV_H
#define MSHV_H

#include <linux/completion.h>
#include <linux/interval_tree.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/maple_tree.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/mutex.h>
#include <linux/rcuwait.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/xarray.h>

#include <hvabi/hypercall.h>
#include <hvabi/memory.h>
#include <hvabi/message.h>
#include <hvabi/partition.h>
#include <hvabi/vp.h>
#include <uapi/mshv.h>

#include "compat.h"
#include "stats.h"
#include "window.h"

#define pr_fmt_mshv		"mshv: "

#define MSHV_BLOCK_PAGES	HVABI_LARGE_PAGE_PAGES
#define MSHV_BLOCK_SHIFT	(HVABI_LARGE_PAGE_SHIFT - HVABI_PAGE_SHIFT)
/* Guest physical addresses have at most 52 bits. */
#define MSHV_GFN_LIMIT		(1ULL << (52 - HVABI_PAGE_SHIFT))

/* Deposits that the hypervisor is known to need at once. */
#define MSHV_DEPOSIT_INITIALIZE	208
#define MSHV_DEPOSIT_VP		90
/* Further deposits grow from the first to the second figure, in pages. */
#define MSHV_DEPOSIT_MIN	16
#define MSHV_DEPOSIT_MAX	256
/* Deposits for one call before the hypervisor is taken to want no end of memory. */
#define MSHV_DEPOSIT_TRIES	64
/* Tries of a call that nobody makes again when it fails. */
#define MSHV_TRIES_AT_LAST	3
/* Pages kept aside for an invalidation to which the hypervisor answers "insufficient memory". */
#define MSHV_RESERVE_PAGES	16U
/* Large leaves that a hypervisor can join, to 1 GiB. It wants a table when a part of them goes. */
#define MSHV_JOINED_BLOCKS	512

/*
 * Regions of a partition. All of them may be bound to one page of the VMM's, and Linux asks about
 * that and takes it away under locks that spin: a hypercall a region, some 10 ms in all.
 */
#define MSHV_REGIONS_MAX	4096
/* Invalidations in progress that are known one by one; what is more is known as one range. */
#define MSHV_INVALIDATIONS	32
/* Locks for the blocks of a partition, by hash. */
#define MSHV_BLOCK_LOCKS	64

/**
 * struct mshv_look - a range of the VMM's page tables that somebody is looking at
 * @node: in the list of looks
 * @start: first address
 * @end: address after the last one
 * @stale: Linux has changed, or is about to change, something there since the look began. Set
 *	before the zap takes partition->map_lock: who finds it clear under that lock and maps what
 *	he saw will be zapped
 */
struct mshv_look {
	struct list_head node;
	unsigned long start;
	unsigned long end;
	bool stale;
};

/**
 * struct mshv_invalidations - what Linux is changing in the VMM's page tables, and who is looking
 * @lock: protects all of it. Spinning, innermost
 * @begun: how many have begun: the number of the youngest
 * @used: which of @running are
 * @running: invalidations in progress, by the notifier's argument: the same for start and end
 * @more: how many are in progress beside those
 * @more_number: the oldest's number since there were none of these
 * @more_start: one range that covers all of these, until there are none
 * @more_end: likewise
 * @looks: struct mshv_look of everybody who looks
 * @wait: woken when an invalidation has ended
 */
struct mshv_invalidations {
	spinlock_t lock;
	u64 begun;
	DECLARE_BITMAP(used, MSHV_INVALIDATIONS);
	struct {
		const struct mmu_notifier_range *range;
		u64 number;
		unsigned long start;
		unsigned long end;
	} running[MSHV_INVALIDATIONS];
	unsigned int more;
	u64 more_number;
	unsigned long more_start;
	unsigned long more_end;
	struct list_head looks;
	wait_queue_head_t wait;
};

/**
 * struct mshv_table - record of the 4 KiB leaves of one block
 * @mapped: the child may reach the page
 * @writable: and write to it
 * @accessed: dirty log: accessed, whatever the leaf says now
 * @dirty: dirty log: written, likewise
 * @young: used by the guest, and Linux has not been told (age.c)
 * @fresh: what @young says is of the last harvest, and Linux has not asked since
 * @harvests: of the runs that pages are in, even and odd: low halves of the jiffies of the last
 *	and of the first GFN of the region that it was for, as several may have parts of a block
 * @unknown: the date of the last harvest is not the page's: the hypervisor did not tell of it then
 * @untold: one page for which Linux asked, and of which the hypervisor has not told since: its
 *	number in the block, and 1; or 0
 * @untold_at: low half of the jiffies of when it was asked for and counted
 * @untold_times: how often, each time some time after the one before
 * @large_writable: of a block that is mapped large: and writable
 * @was_large: of a block that is mapped in small pages: Linux had it large, but bits are tracked
 *
 * A block has one as soon as the guest has faulted there, or while bits are tracked.
 * @mapped and @writable are exact for blocks in state "small", and clear for others;
 * @large_writable is for blocks in state "large", @was_large for "small". They change
 * under map_lock: held for writing, or for reading with the lock of the block. The log's bits
 * change atomically under map_lock held for reading. What is for age.c changes under map_lock and
 * the lock of the partition's struct mshv_age, or under map_lock held for writing.
 */
struct mshv_table {
	DECLARE_BITMAP(mapped, MSHV_BLOCK_PAGES);
	DECLARE_BITMAP(writable, MSHV_BLOCK_PAGES);
	DECLARE_BITMAP(accessed, MSHV_BLOCK_PAGES);
	DECLARE_BITMAP(dirty, MSHV_BLOCK_PAGES);
	DECLARE_BITMAP(young, MSHV_BLOCK_PAGES);
	DECLARE_BITMAP(fresh, MSHV_BLOCK_PAGES);
	DECLARE_BITMAP(unknown, MSHV_BLOCK_PAGES);
	struct {
		u32 when;
		u32 region;
	} harvests[2];
	u32 untold_at;
	u16 untold;
	u8 untold_times;
	bool large_writable;
	bool was_large;
};

/**
 * struct mshv_age - how Linux's questions about the age of pages are answered
 * @lock: one question at a time; spinning, held for a hypercall
 * @refusals: calls refused in a row, and loans for them, each some time (@refused_at, jiffies)
 *	after the one before
 * @doubts: how often bits looked as if they could not be cleared
 * @proved: they can: one was seen clear
 * @refused: the hypervisor cannot tell: nobody asks it any more. Set once
 * @wants_memory: it wants memory to tell, and was not lent it yet
 * @lendings: how often it was to be lent some
 * @wanted_at: jiffies of the last time
 * @lending: somebody is at it
 * @failed_at: jiffies when there was none to spare, or the hypervisor did not take it
 * @spared: pages that somebody who looks for some to take was told are young, less 64 for each he
 *	got
 * @landmark: GFN of one of them; no page: U64_MAX
 * @rounds: how often @landmark came again
 * @move_on: value of @spared when another page becomes the landmark
 * @withheld: so many answers from now on are "old"
 *
 * The last five change under @lock, or under map_lock held for writing.
 */
struct mshv_age {
	spinlock_t lock;
	unsigned int refusals;
	unsigned long refused_at;
	unsigned int doubts;
	bool proved;
	bool refused;
	bool wants_memory;
	unsigned int lendings;
	unsigned long wanted_at;
	bool lending;
	unsigned long failed_at;
	u64 spared;
	u64 landmark;
	unsigned int rounds;
	u64 move_on;
	u64 withheld;
};

/**
 * struct mshv_partition - a child partition
 * @kref: one for each open partition or VP descriptor
 * @by_id: in the table of partitions (synic.c)
 * @rcu: who looks through that table may still be at it
 * @id: the hypervisor's name for it
 * @mm: the address space that created it; mm_count is held, mm_users is not
 * @lock: serialises the partition ioctls. Never taken by the MMU notifier
 * @isolated: its memory is its own (host_access.c)
 * @initialized: INITIALIZE succeeded; changes under @lock
 * @dead: the partition was killed: no processor is dispatched any more, and no mapping is made. Set
 *   once
 * @calls: hypercalls of a VMM in progress that may touch the child's memory. Whoever makes one
 *	counts before it tests @dead, the killing side stores @dead before it looks (full barriers
 *	between)
 * @finalized: FINALIZE succeeded: the hypervisor holds no mapping and no processor of it. Set once
 * @tracking: the VMM follows access bits (GPA_PAGE_ACCESS_TRACKING): log.c. Changes under @lock
 *	and @map_lock held for writing
 * @doubts: counts pages of regions that mshv_pinned_verify() has to look at
 * @doubts_over: value of @doubts when all had been looked at; it may be set to an older one
 * @notifier: tells of every change in the page tables of @mm
 * @hmm: for hmm_range_fault(), which wants an interval notifier to read the mm from and to compare
 *	a number in it. Never inserted: what is looked at is checked by struct mshv_look
 * @invalidations: what @notifier said, and who has to hear it
 * @map_lock: taken for reading to map (with the lock of the block), for writing to take away
 * @block_locks: one mapper at a time changes a block
 * @age: ageing
 * @hvas: regions by HVA, for the notifier; changes under @map_lock held for writing
 * @reclaimed: pages that Linux has taken to have memory; changes under @map_lock held for
 *	writing, read without
 * @region_count: how many there are, those that are about to be made or unmade included; under
 *	@lock
 * @tables: struct mshv_table by block of GFNs; freed with the regions there, under @map_lock
 * @regions: struct mshv_region by GFN; changes under @lock, looked up under RCU
 * @region_list: the same, in order of GFNs, to go through under RCU: a maple tree that becomes
 *	empty at that moment makes mas_next_slot() follow a NULL pointer (Linux 6.12)
 * @call_pending: the hypervisor has not said how a call ended, or it is being made; under @lock
 * @call_done: it has said so
 * @call_status: what it said; valid with @call_done
 * @msi_table: where interrupts go; replaced as a whole, read under RCU
 * @irqfds: struct mshv_irqfd; changes under @irqfds_lock, read under RCU
 * @irqfds_lock: spinning, interrupts off; innermost
 * @irqfds_mutex: held while one is assigned or deassigned
 * @doorbells: struct mshv_doorbell; under @lock
 * @vps: by index; changes under @lock, read under RCU
 * @vps_lent: for how many processors pages are lent that none has; under @lock
 * @strays: pages that the hypervisor was offered for state and may write to, although it named
 *	others, or that it kept when their processor went; under @lock
 * @deposited: pages that belong to the hypervisor
 * @next_deposit: pages of the next deposit on demand
 * @stats: counters, of all its regions that ever were
 * @reserve_lock: protects @reserve and @reserve_count
 * @reserve: pages for invalidations, linked by page->lru
 * @large_blocks: large leaves of all regions; those that are about to be made included
 */
struct mshv_partition {
	struct kref kref;
	struct hlist_node by_id;
	struct rcu_head rcu;
	u64 id;
	struct mm_struct *mm;
	struct mutex lock;
	bool isolated;
	bool initialized;
	bool dead;
	atomic_t calls;
	bool finalized;
	bool tracking;
	atomic_t doubts;
	int doubts_over;
	struct mmu_notifier notifier;
	struct mmu_interval_notifier hmm;
	struct mshv_invalidations invalidations;
	rwlock_t map_lock;
	spinlock_t block_locks[MSHV_BLOCK_LOCKS];
	struct mshv_age age;
	struct rb_root_cached hvas;
	u64 reclaimed;
	unsigned int region_count;
	struct xarray tables;
	struct maple_tree regions;
	struct list_head region_list;
	bool call_pending;
	struct completion call_done;
	u16 call_status;
	struct mshv_msi_table __rcu *msi_table;
	struct list_head irqfds;
	spinlock_t irqfds_lock;
	struct mutex irqfds_mutex;
	struct list_head doorbells;
	struct mshv_vp *vps[MSHV_VP_MAX];
	unsigned int vps_lent;
	struct list_head strays;
	atomic64_t deposited;
	unsigned int next_deposit;
	struct mshv_partition_stats stats;
	spinlock_t reserve_lock;
	struct list_head reserve;
	unsigned int reserve_count;
	atomic_t large_blocks;
};

/**
 * struct mshv_scratch - room for what a fault sees
 * @pfns: of hmm_range_fault()
 * @sources: page numbers, of device memory or of what is to be mapped
 * @kinds: enum mshv_kind, likewise
 * @blocks: page numbers of blocks that are mapped large
 */
struct mshv_scratch {
	unsigned long pfns[MSHV_BLOCK_PAGES];
	u64 sources[MSHV_BLOCK_PAGES];
	u8 kinds[MSHV_BLOCK_PAGES];
	u64 blocks[HVABI_MAP_GPA_MAX];
};

/**
 * struct mshv_repeat - a processor that faults again and again in the same way
 * @gfn: page of the last fault
 * @rip: its instruction
 * @access: its kind of access
 * @region: its region, which may be gone, and @retaken of it, then
 * @count: how often it came back although nobody had taken the page away
 * @watching: @watch is looking at the page
 * @watch: tells whether Linux has taken it away
 */
struct mshv_repeat {
	u64 gfn;
	u64 rip;
	u32 access;
	const void *region;
	u64 retaken;
	unsigned int count;
	bool watching;
	struct mshv_look watch;
};

/* State pages of a VP that user space may map. */
#define MSHV_VP_PAGES		2

/**
 * struct mshv_vp - a virtual processor
 * @partition: owner; outlives the processor
 * @index: its VP index
 * @lock: serialises the VP ioctls; held while the processor runs
 * @pages: state pages by MSHV_VP_MMAP_OFFSET_*
 * @page_returned: the hypervisor does not write to that page any more
 * @deleted: the hypervisor has no such processor any more
 * @closed: its descriptor is gone: nobody uses it
 * @rcu: it is freed after those who look through partition->vps
 * @cpu: the processor that dispatches it, or -1. The running side stores it before it tests
 *	partition->dead, the killing side stores dead before it reads it (full barriers between)
 * @wait: its thread, while it is blocked
 * @signalled: since the last dispatch began the hypervisor said that it could run; or, where the
 *	hypervisor schedules, that it stands in an intercept, which was not looked at yet
 * @try_irqs_on: the next dispatch is tried with interrupts on (vp.c)
 * @intercepted: the last dispatch ended with an intercept: the next one clears the suspension
 * @unsure: whether it runs is not known, or a message is on its way (vp_scheduled.c). Under @lock
 * @window: how sequential its faults are
 * @reclaimed: what @partition's was at its last fault
 * @repeat: its last fault, if the next is the same
 * @scratch: for its faults, under @lock
 * @message: copy of the intercept message: user space may write to the page
 */
struct mshv_vp {
	struct mshv_partition *partition;
	u32 index;
	struct mutex lock;
	struct page *pages[MSHV_VP_PAGES];
	bool page_returned[MSHV_VP_PAGES];
	bool deleted;
	bool closed;
	struct rcu_head rcu;
	int cpu;
	struct rcuwait wait;
	bool signalled;
	bool try_irqs_on;
	bool intercepted;
	bool unsure;
	struct mshv_window window;
	u64 reclaimed;
	struct mshv_repeat repeat;
	struct mshv_scratch *scratch;
	struct hvabi_message message;
};

/**
 * enum mshv_region_state - what may be mapped of a region
 * @MSHV_REGION_MOVABLE: faults map what Linux has, and the notifier takes it away
 * @MSHV_REGION_CHANGING: from one kind to the other: nothing is mapped, faults wait; what is mapped
 *   still goes, and the notifier takes away
 * @MSHV_REGION_PINNED: faults map what is pinned, and the notifier takes away what the VMM has
 *   given up
 * @MSHV_REGION_REMOVED: nothing is mapped any more, for ever
 */
enum mshv_region_state {
	MSHV_REGION_MOVABLE,
	MSHV_REGION_CHANGING,
	MSHV_REGION_PINNED,
	MSHV_REGION_REMOVED,
};

/**
 * struct mshv_pins - the pinned pages of one block of a region
 * @pages: by page of the block; NULL: none, or one that the hypervisor kept
 * @lost: bit per page: since it was pinned Linux took it away from the address, and perhaps put
 *	another there. Set by the notifier under map_lock; such a page is not mapped
 * @doubt: bit per page, under map_lock: @lost, but perhaps only tried
 */
struct mshv_pins {
	struct page **pages;
	DECLARE_BITMAP(lost, MSHV_BLOCK_PAGES);
	DECLARE_BITMAP(doubt, MSHV_BLOCK_PAGES);
};

/**
 * struct mshv_region - a GFN range bound to an HVA range of the creator's address space
 * @partition: owner; outlives the region's presence in the tree
 * @refs: the tree's, and one for each fault and invalidation in flight
 * @link: in partition->region_list
 * @rcu: a region and its bitmaps are freed after the readers of the tree are gone
 * @gfn: first guest page
 * @pages: length
 * @hva: address of the first page
 * @writable: guest may write
 * @executable: guest may execute
 * @hvas: in partition->hvas
 * @state: what may be mapped; changes under map_lock held for writing
 * @known: bit per block: something was mapped here, so the hypervisor has to unmap it in the end
 * @mapped: bit per block: the child may reach pages here
 * @large: bit per block: one 2 MiB leaf
 * @retaken: how often the driver itself took pages away that the child may have again at once;
 *	changes under map_lock held for writing, read without
 * @stats: counters
 * @pinned: struct mshv_pins by block, while the region is pinned or becomes so
 * @doubt_gfn: first page that mshv_pinned_verify() has to look at; under map_lock
 * @doubt_end: page after the last one, or 0: there is none
 * @doubts: how often some were added; under map_lock
 *
 * States of a block, and what may hold in the hypervisor:
 *
 *	known mapped large	state	every page of the block that lies in the region is
 *	  0     0      0	none	unmapped
 *	  1     0      0	blank	mapped NO_ACCESS
 *	  1 1 0 small mapped if its bit in the block's struct mshv_table says so, else
 *					unmapped or NO_ACCESS
 *	  1     1      1	large	part of one 2 MiB leaf
 *
 * Only these exist, and all are exact: of a block in state small at least one page is mapped.
 * Blocks that stick out of the region (unaligned head and tail) are never large.
 */
struct mshv_region {
	struct mshv_partition *partition;
	refcount_t refs;
	struct list_head link;
	struct rcu_head rcu;
	u64 gfn;
	u64 pages;
	unsigned long hva;
	bool writable;
	bool executable;

	struct interval_tree_node hvas;
	enum mshv_region_state state;
	unsigned long *known;
	unsigned long *mapped;
	unsigned long *large;

	u64 retaken;
	struct mshv_region_stats stats;
	struct xarray pinned;
	u64 doubt_gfn;
	u64 doubt_end;
	unsigned int doubts;
};

static inline u64 mshv_region_end(const struct mshv_region *region)
{
	return region->gfn + region->pages;
}

/* Number of the block in the region's bitmaps. */
static inline unsigned long mshv_region_block(const struct mshv_region *region, u64 gfn)
{
	return (gfn >> MSHV_BLOCK_SHIFT) - (region->gfn >> MSHV_BLOCK_SHIFT);
}

static inline unsigned long mshv_region_blocks(const struct mshv_region *region)
{
	return mshv_region_block(region, mshv_region_end(region) - 1) + 1;
}

/* First GFN of a block, which may lie before the region. */
static inline u64 mshv_block_gfn(const struct mshv_region *region, unsigned long block)
{
	return ((region->gfn >> MSHV_BLOCK_SHIFT) + block) << MSHV_BLOCK_SHIFT;
}

/* The pages of a block that lie in the region: from the first to before the end. */
static inline u64 mshv_part_first(const struct mshv_region *region, unsigned long block)
{
	return max(mshv_block_gfn(region, block), region->gfn);
}

static inline u64 mshv_part_end(const struct mshv_region *region, unsigned long block)
{
	return min(mshv_block_gfn(region, block + 1), mshv_region_end(region));
}

/* Number of a page in its block. */
static inline unsigned int mshv_block_index(u64 gfn)
{
	return gfn & (MSHV_BLOCK_PAGES - 1);
}

/* The whole block lies in the region. */
static inline bool mshv_block_whole(const struct mshv_region *region, unsigned long block)
{
	u64 gfn = mshv_block_gfn(region, block);

	return gfn >= region->gfn && gfn + MSHV_BLOCK_PAGES <= mshv_region_end(region);
}

static inline unsigned long mshv_gfn_to_hva(const struct mshv_region *region, u64 gfn)
{
	return region->hva + ((unsigned long)(gfn - region->gfn) << PAGE_SHIFT);
}

/* hypercall.c */
int mshv_hypercall_init(void);
void mshv_hypercall_exit(void);
void *mshv_hypercall_begin(void **output);
void mshv_hypercall_end(void);
u64 mshv_hypercall(u16 code, u16 reps, u16 start, void *input, void *output);
u16 mshv_hypercall_from_interrupt(u16 code, const void *input, size_t size);
u16 mshv_hypercall_partition(u16 code, u64 partition_id);
u16 mshv_hypercall_reps(u16 code, u16 reps, u16 *done, void *input, void *output);
int mshv_status_errno(u16 status);
bool mshv_status_needs_memory(u16 status);
bool mshv_status_is_final(u16 status);
int mshv_call(struct mshv_partition *memory_for, u16 code,
	      const void *input, size_t input_size, void *output, size_t output_size);

/* deposit.c */
int mshv_deposit(struct mshv_partition *partition, unsigned int pages);
int mshv_deposit_spare(struct mshv_partition *partition, unsigned int pages, u16 *status);
int mshv_deposit_for(struct mshv_partition *partition, u16 status, unsigned int *tries);
bool mshv_deposit_reserve(struct mshv_partition *partition);
bool mshv_reserve_covers(struct mshv_partition *partition, unsigned int blocks);
int mshv_reserve_fill(struct mshv_partition *partition);
void mshv_reserve_free(struct mshv_partition *partition);
void mshv_withdraw(struct mshv_partition *partition);
void mshv_withdraw_self(void);
s64 mshv_lent(void);

/* gpa_map.c */
u16 mshv_gpa_map(struct mshv_partition *partition, u64 gfn, u32 flags, const u64 *pages,
		 unsigned int reps, unsigned int *done);
u16 mshv_gpa_blank(struct mshv_partition *partition, u64 gfn, bool large, unsigned int reps,
		   unsigned int *done);
u16 mshv_gpa_unmap(struct mshv_partition *partition, u64 gfn, bool large, unsigned int reps,
		   unsigned int *done);

/* partition.c */
int mshv_partition_create(const struct mshv_create_partition_v2 *args);
void mshv_partition_put(struct mshv_partition *partition);
void mshv_partition_stop(struct mshv_partition *partition);
bool mshv_partition_enter(struct mshv_partition *partition);
void mshv_partition_leave(struct mshv_partition *partition);
extern atomic64_t mshv_partitions_killed;
void mshv_partition_kill(struct mshv_partition *partition, u64 gfn, u16 status);

/* vp.c */
int mshv_vp_create(struct mshv_partition *partition, u32 index);
void mshv_vp_signal(struct mshv_vp *vp);
bool mshv_vp_stop(struct mshv_vp *vp);
void mshv_vp_free(struct mshv_vp *vp);

/* vp_scheduled.c */
int mshv_vp_await_intercept(struct mshv_vp *vp);
bool mshv_vp_suspend(struct mshv_partition *partition, u32 index);
void mshv_scheduled_stop(struct mshv_partition *partition);

/* vp_state.c */
long mshv_ioctl_vp_state(struct mshv_vp *vp, bool set, struct mshv_get_set_vp_state __user *arg);

/* synic.c */
int mshv_synic_init(void);
int mshv_synic_start(void);
void mshv_synic_stop(void);
void mshv_synic_stop_partitions(void);
void mshv_synic_exit(void);
void mshv_synic_add(struct mshv_partition *partition);
void mshv_synic_remove(struct mshv_partition *partition);
void mshv_synic_flush(void);

/* doorbell.c */
struct hvabi_event_ring;

/* The ring that doorbells arrive in. */
#define MSHV_DOORBELL_SINT	5

bool mshv_doorbell_drain(struct hvabi_event_ring *events, unsigned int *tail);
long mshv_ioctl_ioeventfd(struct mshv_partition *partition, struct mshv_user_ioeventfd __user *arg);
void mshv_doorbells_remove(struct mshv_partition *partition);
void mshv_doorbell_exit(void);

/* irqfd.c */
int mshv_irqfd_init(void);
void mshv_irqfd_exit(void);
long mshv_ioctl_irqfd(struct mshv_partition *partition, struct mshv_user_irqfd __user *arg);
long mshv_ioctl_msi_routing(struct mshv_partition *partition,
			    struct mshv_user_irq_table __user *arg);
void mshv_irqfd_eoi(struct mshv_partition *partition, u32 vector);
void mshv_irqfds_remove(struct mshv_partition *partition);

/* map.c */
struct mshv_zapped {
	u64 pages;
	u32 calls;
};

int mshv_tables_init(void);
void mshv_tables_exit(void);
int mshv_table_prepare(struct mshv_partition *partition, u64 gfn);
struct mshv_table *mshv_table(struct mshv_partition *partition, u64 gfn);
void mshv_tables_free(struct mshv_partition *partition, u64 gfn, u64 end);
bool mshv_mapped(struct mshv_region *region, u64 gfn, bool write);
u64 mshv_mapped_end(struct mshv_region *region, u64 gfn, bool write);
void mshv_leave_mapped(struct mshv_region *region, u64 gfn, u8 *kinds, unsigned int count,
		       bool upgrade);
void mshv_block_lock(struct mshv_region *region, u64 gfn);
void mshv_block_unlock(struct mshv_region *region, u64 gfn);
void mshv_two_blocks_lock(struct mshv_region *region, u64 gfn);
void mshv_two_blocks_unlock(struct mshv_region *region, u64 gfn);
u16 mshv_map_pages(struct mshv_region *region, u64 gfn, const u64 *sources, unsigned int pages,
		   u32 flags, unsigned int *done);
u16 mshv_map_blocks(struct mshv_region *region, u64 gfn, const u64 *sources, unsigned int blocks,
		    u32 flags, unsigned int *done);
void mshv_drop_blocks(struct mshv_region *region, unsigned long block, unsigned int blocks);
u16 mshv_break_block(struct mshv_region *region, u64 gfn);
u64 mshv_zap_step(struct mshv_region *region, u64 gfn, u64 end, struct mshv_zapped *zapped);
void mshv_zap(struct mshv_region *region, u64 gfn, u64 end, bool may_sleep,
	      struct mshv_zapped *zapped);
void mshv_unmap(struct mshv_region *region);
void mshv_region_set_state(struct mshv_region *region, enum mshv_region_state state);
int mshv_region_settled(struct mshv_region *region);

/* look.c */
void mshv_look_init(struct mshv_invalidations *inv);
void mshv_look_note_start(struct mshv_invalidations *inv, const struct mmu_notifier_range *range);
void mshv_look_note_end(struct mshv_invalidations *inv, const struct mmu_notifier_range *range);
int mshv_look_begin(struct mshv_partition *partition, struct mshv_look *look, unsigned long start,
		    unsigned long end);
bool mshv_look_try(struct mshv_partition *partition, struct mshv_look *look, unsigned long start,
		   unsigned long end);
int mshv_look_wait(struct mshv_partition *partition, unsigned long start, unsigned long end);
void mshv_look_end(struct mshv_partition *partition, struct mshv_look *look);

/* invalidate.c */
void mshv_invalidate_init(struct mshv_partition *partition);
int mshv_invalidate_register(struct mshv_partition *partition);
void mshv_invalidate_unregister(struct mshv_partition *partition);
void mshv_invalidate_prime_lockdep(void);

/* region.c */
int mshv_region_create(struct mshv_partition *partition, const struct mshv_user_mem_region *args);
int mshv_region_remove(struct mshv_partition *partition, const struct mshv_user_mem_region *args);
int mshv_region_change(struct mshv_partition *partition, const struct mshv_user_mem_region *args);
int mshv_region_replace(struct mshv_partition *partition, const struct mshv_user_mem_region *args);
void mshv_region_remove_all(struct mshv_partition *partition);
struct mshv_region *mshv_region_get(struct mshv_partition *partition, u64 gfn);
void mshv_region_put(struct mshv_region *region);

/* device.c */
/* What a page is good for: what Linux maps there, with which rights. */
enum mshv_kind {
	MSHV_KIND_NONE,
	MSHV_KIND_READ,
	MSHV_KIND_WRITE,
	/* There is something that cannot be mapped: poison, for example. */
	MSHV_KIND_BAD,
	/* Among device memory, of which it must not become a part: not mapped. */
	MSHV_KIND_RAM,
};

bool mshv_vma_is_device(const struct vm_area_struct *vma);
bool mshv_pfn_is_ram(unsigned long pfn);
void mshv_device_look(struct vm_area_struct *vma, unsigned long address, unsigned int pages,
		      u64 *pfns, u8 *kinds);

/* fault.c */
int mshv_fault(struct mshv_vp *vp, const struct hvabi_message *message, bool *served);
int mshv_fault_in(struct mshv_partition *partition, u64 gfn, bool write);
int mshv_fault_split(struct mshv_region *region, u64 gfn, struct mshv_scratch *scratch);
int mshv_fault_range(struct mshv_region *region, u64 *gfn, u64 end, bool write, bool present,
		     struct mshv_scratch *scratch);
void mshv_fault_forget(struct mshv_vp *vp);

/* prefault.c */
long mshv_ioctl_prefault(struct mshv_partition *partition, struct mshv_prefault __user *arg);

/* pin.c */
int mshv_region_pin(struct mshv_region *region);
void mshv_region_unpin(struct mshv_region *region);
void mshv_region_drop_pins(struct mshv_region *region);
int mshv_pinned_fault(struct mshv_region *region, u64 gfn, u64 *sources, u16 *status);
bool mshv_pinned_lost(struct mshv_region *region, u64 gfn, u64 end, enum mmu_notifier_event event,
		      bool may_sleep);
void mshv_region_map_pins(struct mshv_region *region);
void mshv_pinned_verify(struct mshv_partition *partition);
struct page **mshv_pinned_pages(struct mshv_region *region, u64 index, u64 *pages);

/* log.c */
int mshv_log_start(struct mshv_partition *partition);
void mshv_log_stop(struct mshv_partition *partition);
void mshv_log_refine(struct mshv_partition *partition, u64 gfn, unsigned int pages, u64 flags);
int mshv_log_merge(struct mshv_partition *partition, u64 gfn, unsigned int pages, u64 flags,
		   u8 *states);
void mshv_log_put_back(struct mshv_partition *partition, u64 gfn, unsigned int pages, u64 flags,
		       const u8 *states);

/* age.c */
mshv_compat_young_t mshv_age_clear(struct mmu_notifier *notifier, struct mm_struct *mm,
				   unsigned long start, unsigned long end);
mshv_compat_young_t mshv_age_test(struct mmu_notifier *notifier, struct mm_struct *mm,
				  unsigned long address);
u64 mshv_age_keep(struct mshv_region *region, u64 gfn, u64 end);
void mshv_age_lend(struct mshv_partition *partition);
void mshv_age_taken(struct mshv_age *age, u64 pages);
void mshv_age_cleared(struct mshv_table *table, unsigned int index);
bool mshv_age_answers(const struct mshv_partition *partition);

/* host_access.c */
bool mshv_host_access_possible(struct mshv_region *region);
int mshv_host_access_hide(struct mshv_region *region);
void mshv_host_access_show(struct mshv_region *region);
int mshv_host_access_release(struct mshv_region *region, u64 *released);
void mshv_host_access_acquire(struct mshv_region *region, u64 pages);

/* passthrough.c */
long mshv_ioctl_hvcall(struct mshv_partition *partition, bool vp,
		       struct mshv_root_hvcall __user *arg);

/* walk.c */
int mshv_walk_failed(struct mshv_partition *partition,
		     const struct hvabi_input_translate_virtual_address *input,
		     const struct hvabi_output_translate_virtual_address *output,
		     unsigned int *tries);

/* power.c */
extern bool mshv_going_to_sleep;
int mshv_power_init(void);
void mshv_power_exit(void);

/* stats.c */
struct seq_file;
void mshv_count(struct mshv_region *region, enum mshv_stat stat, u64 n);
void mshv_count_partition(struct mshv_partition *partition, enum mshv_stat stat, u64 n);
void mshv_count_fault(struct mshv_region *region, int ret, bool served);
void mshv_count_invalidation(struct mshv_region *region, enum mmu_notifier_event event, u64 pages);
void mshv_partition_show_fdinfo(struct seq_file *m, struct file *file);

/* access.c */
long mshv_ioctl_access_bitmap(struct mshv_partition *partition,
			      struct mshv_gpap_access_bitmap __user *arg);

/* main.c */
extern bool mshv_overlay_pages;
extern bool mshv_hypervisor_schedules;
extern bool mshv_debug_hypercalls;

#endif
