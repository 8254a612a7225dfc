// SPDX-License-Identifier: GPL-2.0-only
/*
 * Statistics: /proc/PID/fdinfo/FD of a partition descriptor.
 *
 * Laws:
 *	- One line a value, "mshv-KEY:\tNUMBER", and one line a region. Keys are never taken back.
 *	- Who may see them is what procfs says: the owner of the VMM, and root.
 *	- Reading costs the guest nothing: no lock that a fault or the notifier takes. So values of
 *	  one read need not be of one instant.
 */
#include <linux/bitmap.h>
#include <linux/fs.h>
#include <linux/rculist.h>
#include <linux/seq_file.h>

#include "mshv.h"

static const char *const keys[] = {
#define MSHV_STAT_KEY(name, key) [MSHV_STAT_##name] = key,
	MSHV_STATS(MSHV_STAT_KEY)
	MSHV_PARTITION_STATS(MSHV_STAT_KEY)
#undef MSHV_STAT_KEY
};

void mshv_count(struct mshv_region *region, enum mshv_stat stat, u64 n)
{
	atomic64_add(n, &region->stats.value[stat]);
	atomic64_add(n, &region->partition->stats.value[stat]);
}

void mshv_count_partition(struct mshv_partition *partition, enum mshv_stat stat, u64 n)
{
	atomic64_add(n, &partition->stats.value[stat]);
}

/* How a fault in a region ended. */
void mshv_count_fault(struct mshv_region *region, int ret, bool served)
{
	enum mshv_stat stat = MSHV_STAT_FAULT_NO_PAGE;

	if (served)
		stat = MSHV_STAT_FAULT_SERVED;
	else if (!ret)
		stat = MSHV_STAT_FAULT_VMM;
	else if (ret == -EINTR)
		stat = MSHV_STAT_FAULT_SIGNAL;
	else if (ret == -EHWPOISON)
		stat = MSHV_STAT_FAULT_POISON;
	else if (ret == -ENOMEM)
		stat = MSHV_STAT_FAULT_NO_MEMORY;
	mshv_count(region, stat, 1);
}

/* Linux told that it changes entries, for a reason. */
void mshv_count_invalidation(struct mshv_region *region, enum mmu_notifier_event event, u64 pages)
{
	enum mshv_stat stat = MSHV_STAT_INVALIDATE_OTHER;

	switch (event) {
	case MMU_NOTIFY_UNMAP:
		stat = MSHV_STAT_INVALIDATE_UNMAP;
		break;
	case MMU_NOTIFY_CLEAR:
		stat = MSHV_STAT_INVALIDATE_CLEAR;
		break;
	case MMU_NOTIFY_PROTECTION_VMA:
	case MMU_NOTIFY_PROTECTION_PAGE:
	case MMU_NOTIFY_SOFT_DIRTY:
		stat = MSHV_STAT_INVALIDATE_PROTECT;
		break;
	case MMU_NOTIFY_MIGRATE:
		stat = MSHV_STAT_INVALIDATE_MIGRATE;
		break;
	case MMU_NOTIFY_RELEASE:
		stat = MSHV_STAT_INVALIDATE_RELEASE;
		break;
	default:
		break;
	}
	mshv_count(region, stat, 1);
	mshv_count(region, pages ? MSHV_STAT_PAGES_TAKEN : MSHV_STAT_INVALIDATE_NOTHING,
		   pages ? pages : 1);
}

static void show_region(struct seq_file *m, struct mshv_region *region)
{
	unsigned long blocks = mshv_region_blocks(region);
	unsigned int mapped = bitmap_weight(region->mapped, blocks);
	unsigned int large = bitmap_weight(region->large, blocks);
	bool pinned = READ_ONCE(region->state) == MSHV_REGION_PINNED;
	unsigned int i;

	seq_printf(m, "mshv-region:\tgfn=0x%llx pages=%llu hva=0x%lx kind=%s rights=r%s%s",
		   region->gfn, region->pages, region->hva, pinned ? "pinned" : "movable",
		   region->writable ? "w" : "-", region->executable ? "x" : "-");
	seq_printf(m, " blocks=%lu blocks-large=%u blocks-small=%u", blocks, large,
		   mapped - min(mapped, large));
	for (i = 0; i < MSHV_STAT_REGION_COUNT; i++)
		seq_printf(m, " %s=%lld", keys[i],
			   (long long)atomic64_read(&region->stats.value[i]));
	seq_putc(m, '\n');
}

/**
 * mshv_partition_show_fdinfo() - file_operations.show_fdinfo of a partition descriptor
 * @m: where to print
 * @file: the descriptor
 */
void mshv_partition_show_fdinfo(struct seq_file *m, struct file *file)
{
	struct mshv_partition *partition = file->private_data;
	struct mshv_region *region;
	unsigned int i;

	seq_printf(m, "mshv-partition:\t%llu\n", partition->id);
	seq_printf(m, "mshv-state:\t%s\n", READ_ONCE(partition->dead) ? "dead" :
		   READ_ONCE(partition->initialized) ? "active" : "created");
	seq_printf(m, "mshv-isolated:\t%d\n", partition->isolated);
	seq_printf(m, "mshv-ageing:\t%d\n", mshv_age_answers(partition));
	seq_printf(m, "mshv-deposited-pages:\t%lld\n",
		   (long long)atomic64_read(&partition->deposited));
	for (i = 0; i < MSHV_STAT_COUNT; i++)
		seq_printf(m, "mshv-%s:\t%lld\n", keys[i],
			   (long long)atomic64_read(&partition->stats.value[i]));
	/* A region is freed after a grace period. */
	rcu_read_lock();
	list_for_each_entry_rcu(region, &partition->region_list, link)
		show_region(m, region);
	rcu_read_unlock();
}
