// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does the guest use this page? Linux asks when it looks for pages to take away (rmap walks of
 * reclaim, the multi-generation LRU), and so does DAMON; the hypervisor knows, by the accessed bits
 * of its leaves.
 *
 * A question is about one page, a hypercall answers for 4095 of them. So an answer is a *harvest*:
 * it fetches and clears the bits of a whole run, and keeps them in the tables of the run's blocks
 * (struct mshv_table) until Linux asks for them:
 *
 *	young	the guest has used the page, and Linux has not been told yet
 *	fresh	what "young" says of the page is of the last harvest, and Linux has not asked since
 *
 * Whoever asks for a page that is fresh is answered from the table, and the page is fresh no more.
 * So a pass over a guest costs one call a run, in whatever order it goes; and who asks for one page
 * twice has the hypervisor asked twice, because the guest may have used it in between. But a run
 * rests for a moment after a harvest: who looks for pages to take, and comes back before that,
 * finds the page old.
 *
 * Runs are cut at fixed places, 4095 pages each: 65 calls for 1 GiB. Changing the bit of a large
 * leaf for a part of its pages may split it, so a leaf is always asked for as a whole: large ones
 * go seven in a call.
 *
 * Laws:
 *	- The callbacks come under page-table locks. All locks here spin, and a question costs few
 *	  hypercalls, however often the memory is the guest's; nothing sleeps, allocates, deposits,
 *	  or waits for somebody who does.
 *	- A bit is not lost between hypervisor and Linux: what is cleared there is set here, under
 *	  one lock. Where a VMM tracks accessed bits, it is set in its log as well (log.c); and what
 *	  the VMM clears Linux still gets. Dirty bits are never touched.
 *	- A harvest is believed for harvest_ms, then it is old news: what the guest has used since
 *	  would look unused.
 *	- A refusal means "young", and nothing else. A hypervisor that always refuses, or whose bits
 *	  cannot be cleared, would make every page young for ever, and nothing could be reclaimed:
 *	  then, and with ageing=off, Linux is told "old" and has its own page tables to judge by, as
 *	  if there were no question. fdinfo says so. It is the same for a page that it was often
 *	  asked for in vain, whatever it tells of others; and, of what is not known,
 *	  while memory that it wants for its answers is not lent: that is done when the guest is
 *	  dispatched, and one that is stopped is not.
 *	- Linux can always take something. A guest that uses all it has, faster than Linux looks,
 *	  would be young all over whenever it is asked; at a cgroup's limit Linux would kill the VMM
 *	  for want of a page. Bits in page tables never get so bad: a processor sets them again only
 *	  after its TLB has forgotten the page. That is why runs rest, and why some answers are
 *	  withheld (withhold()).
 *	- Of memory that the guest has never had nothing is kept, and nobody is asked.
 */
#include <linux/bitmap.h>
#include <linux/jiffies.h>
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/string.h>

#include "mshv.h"
#include "trace.h"

/* Pages of a call: the count has 12 bits. */
#define MSHV_AGE_RUN		4095u
/* Large leaves of a call. */
#define MSHV_AGE_BLOCKS		(MSHV_AGE_RUN / MSHV_BLOCK_PAGES)
/* Refusals in a row, so many jiffies apart, that are taken for all that will come. */
#define MSHV_AGE_REFUSALS	64
#define MSHV_AGE_APART		(HZ / 10)
#define MSHV_AGE_LONG_AGO	(10 * HZ)
/* How often memory is lent for questions, 64 KiB each time. */
#define MSHV_AGE_LENDINGS	1024
/*
 * Small leaves that a guest does not touch between two calls in a row; and how often it happens
 * before the hypervisor is taken for one that does not clear bits.
 */
#define MSHV_AGE_PROOF		2048
#define MSHV_AGE_DOUBTS		16
/*
 * How often the hypervisor is asked, by up to three calls, for a question about one page: it may be
 * memory of the guest's at as many places.
 */
#define MSHV_AGE_CALLS		16
/* Pages of a block in a row, asked for in vain, before a question leaves it at that. */
#define MSHV_AGE_IN_VAIN	4
/* Milliseconds before a run is harvested again for somebody who looks for pages to take. */
#define MSHV_AGE_REST		10
/* When all pages were young for two rounds, at least so many, one in so many is said to be old. */
#define MSHV_AGE_ROUNDS		2048
#define MSHV_AGE_WITHHELD	64

static bool ageing = true;

static int ageing_set(const char *value, const struct kernel_param *param)
{
	if (sysfs_streq(value, "auto"))
		WRITE_ONCE(ageing, true);
	else if (sysfs_streq(value, "off"))
		WRITE_ONCE(ageing, false);
	else
		return -EINVAL;
	return 0;
}

static int ageing_get(char *buffer, const struct kernel_param *param)
{
	return sysfs_emit(buffer, "%s\n", READ_ONCE(ageing) ? "auto" : "off");
}

static const struct kernel_param_ops ageing_ops = {
	.set = ageing_set,
	.get = ageing_get,
};

module_param_cb(ageing, &ageing_ops, NULL, 0644);
MODULE_PARM_DESC(ageing, "tell Linux which pages guests use: auto (if the hypervisor can tell), or off");

static unsigned int harvest_ms = 20;
module_param(harvest_ms, uint, 0644);
MODULE_PARM_DESC(harvest_ms, "milliseconds for which the hypervisor's answer about a run of pages is believed");

/**
 * mshv_age_answers() - whether Linux is told the age of a guest's pages
 * @partition: child
 *
 * Return: false with ageing=off, and where the hypervisor cannot tell or there is nothing to tell.
 */
bool mshv_age_answers(const struct mshv_partition *partition)
{
	return READ_ONCE(ageing) && !READ_ONCE(partition->age.refused) &&
	       !READ_ONCE(partition->dead) && !READ_ONCE(partition->finalized);
}

/* Pages of one block: a part of a question or of a harvest. */
struct part {
	struct mshv_table *table;
	unsigned long block;
	unsigned int first;
	unsigned int end;
};

/* The part of a range that lies in the block of its first page. */
static struct part part_of(struct mshv_region *region, u64 gfn, u64 end)
{
	return (struct part){
		.table = mshv_table(region->partition, gfn),
		.block = mshv_region_block(region, gfn),
		.first = mshv_block_index(gfn),
		.end = mshv_block_index(gfn) +
		       min_t(u64, end - gfn, MSHV_BLOCK_PAGES - mshv_block_index(gfn)),
	};
}

/* A block may lie in two runs, and these are neighbours: one is odd. */
static unsigned int odd(const struct mshv_region *region, u64 gfn)
{
	return (gfn - region->gfn) / MSHV_AGE_RUN % 2;
}

/* The run of a page was harvested in the last so many milliseconds. */
static bool recent(const struct mshv_region *region, const struct mshv_table *table, u64 gfn,
		   unsigned int ms)
{
	const typeof(*table->harvests) *last = &table->harvests[odd(region, gfn)];

	return last->region == (u32)region->gfn &&
	       (u32)jiffies - last->when <= msecs_to_jiffies(ms);
}

static void date(const struct mshv_region *region, struct mshv_table *table, unsigned int run)
{
	table->harvests[run].when = jiffies;
	table->harvests[run].region = region->gfn;
}

/*
 * One part of a harvest goes to its table. @whole: it is all that the run has of the block. Returns
 * the pages that were accessed.
 */
static unsigned int collect(struct mshv_region *region, u64 gfn, const struct part *part,
			    const u8 *states, bool whole)
{
	struct mshv_partition *partition = region->partition;
	struct mshv_table *table = part->table;
	unsigned int i, young = 0;

	/* Nothing was ever mapped there. */
	if (!table)
		return 0;
	for (i = part->first; i < part->end; i++, states++) {
		if (!(*states & HVABI_GPA_ACCESS_STATE_ACCESSED))
			continue;
		__set_bit(i, table->young);
		if (READ_ONCE(partition->tracking))
			set_bit(i, table->accessed);
		young++;
	}
	/* The date is that of all pages of the run, so a part of them does not change it. */
	if (whole)
		date(region, table, odd(region, gfn));
	if (whole && part->end - part->first == MSHV_BLOCK_PAGES)
		date(region, table, !odd(region, gfn));
	bitmap_set(table->fresh, part->first, part->end - part->first);
	bitmap_clear(table->unknown, part->first, part->end - part->first);
	if (table->untold > part->first && table->untold <= part->end)
		table->untold = 0;
	return young;
}

/* What the hypervisor did not tell of. */
static void set_unknown(struct mshv_table *table, unsigned int first, unsigned int end)
{
	bitmap_set(table->unknown, first, end - first);
	bitmap_clear(table->fresh, first, end - first);
}

/*
 * Linux asked for this page, and the hypervisor did not tell. Counted as by note_refusal(), until
 * it tells of one such page of the block; when that one has gone, of the next.
 */
static void set_untold(struct mshv_region *region, u64 gfn, struct mshv_table *table)
{
	unsigned int i = mshv_block_index(gfn);

	set_unknown(table, i, i + 1);
	if (!table->untold)
		table->untold_times = 0;
	if (!table->untold || (!test_bit(table->untold - 1, table->mapped) &&
			       !test_bit(mshv_region_block(region, gfn), region->large))) {
		/* Nobody inherits what was counted of another some time ago. */
		if ((u32)jiffies - table->untold_at > MSHV_AGE_LONG_AGO)
			table->untold_times = 0;
		table->untold = i + 1;
	}
	if (table->untold_times && (u32)jiffies - table->untold_at <= MSHV_AGE_APART)
		return;
	table->untold_at = jiffies;
	if (table->untold_times < MSHV_AGE_REFUSALS)
		table->untold_times++;
}

/*
 * It would have to split what it has joined: the next dispatch or fault lends it memory. Now and
 * then, and not for ever, or one that always wants more would get all there is.
 */
static void want_memory(struct mshv_age *age)
{
	if (age->lendings >= MSHV_AGE_LENDINGS ||
	    (age->lendings && !time_after(jiffies, age->wanted_at + MSHV_AGE_APART)))
		return;
	age->lendings++;
	age->wanted_at = jiffies;
	WRITE_ONCE(age->wants_memory, true);
}

/* A guest that is stopped, or makes no exits, brings nobody who lends for its questions. */
static bool waits_in_vain(const struct mshv_age *age)
{
	return READ_ONCE(age->wants_memory) &&
	       time_after(jiffies, age->wanted_at + MSHV_AGE_APART);
}

/* Every page of a run that is refused asks again: in a short time that is one refusal. */
static void note_refusal(struct mshv_partition *partition, u16 status)
{
	struct mshv_age *age = &partition->age;

	mshv_count_partition(partition, MSHV_STAT_AGE_REFUSED, 1);
	if (!age->refusals || time_after(jiffies, age->refused_at + MSHV_AGE_APART)) {
		age->refusals++;
		age->refused_at = jiffies;
	}
	if (mshv_status_is_final(status) || age->refusals >= MSHV_AGE_REFUSALS)
		WRITE_ONCE(age->refused, true);
}

static void note_status(struct mshv_partition *partition, u16 status)
{
	if (status == HVABI_STATUS_SUCCESS) {
		partition->age.refusals = 0;
		return;
	}
	if (mshv_status_needs_memory(status))
		want_memory(&partition->age);
	note_refusal(partition, status);
}

/*
 * A range of at most 4095 pages, once. @whole: of each block it has what the run has. Returns how
 * many pages there is an answer for.
 */
static unsigned int harvest(struct mshv_region *region, u64 gfn, u64 end, bool whole,
			    unsigned int *young)
{
	struct mshv_partition *partition = region->partition;
	struct hvabi_input_get_gpa_pages_access_state *input;
	u16 status, done = 0;
	struct part part;
	u8 *states;
	u64 at;

	*young = 0;
	/* It would say again what it wants, and that is no other refusal. */
	if (READ_ONCE(partition->age.wants_memory))
		return 0;
	input = mshv_hypercall_begin((void **)&states);
	input->partition_id = partition->id;
	input->flags = HVABI_GPA_ACCESS_CLEAR_ACCESSED;
	input->hv_gpa_page_number = gfn;
	memset(states, 0, end - gfn);
	status = mshv_hypercall_reps(HVABI_CALL_GET_GPA_PAGES_ACCESS_STATES, end - gfn, &done,
				     input, states);
	for (at = gfn; at < gfn + done; at += part.end - part.first) {
		part = part_of(region, at, gfn + done);
		*young += collect(region, at, &part, states + (at - gfn), whole);
	}
	/*
	 * The block in which it ends has a date, which is not that of what it did not tell there:
	 * that is asked for without the run.
	 */
	if (whole && at < end) {
		part = part_of(region, at, end);
		if (part.table) {
			date(region, part.table, odd(region, at));
			if (test_bit(part.block, region->large))
				date(region, part.table, !odd(region, at));
			set_unknown(part.table, part.first, part.end);
		}
	}
	mshv_hypercall_end();

	mshv_count_partition(partition, MSHV_STAT_AGE_CALLS, 1);
	note_status(partition, status);
	trace_age(partition->id, gfn, end - gfn, done, *young, status);
	return done;
}

/* Small leaves that the child has of a range. Others may map meanwhile: about so many. */
static unsigned int count_small(struct mshv_region *region, u64 gfn, u64 end)
{
	unsigned int count = 0, i;
	struct part part;

	for (; gfn < end; gfn += part.end - part.first) {
		part = part_of(region, gfn, end);
		if (!part.table || test_bit(part.block, region->large))
			continue;
		i = part.first;
		for_each_set_bit_from(i, part.table->mapped, part.end)
			count++;
	}
	return count;
}

/*
 * Much was accessed: can the bits be cleared? Then not all of them are set again if the same is
 * asked again at once.
 */
static void prove(struct mshv_region *region, u64 gfn, u64 end, unsigned int young)
{
	struct mshv_age *age = &region->partition->age;
	unsigned int again;

	if (age->proved || age->refused || young < MSHV_AGE_PROOF ||
	    count_small(region, gfn, end) < MSHV_AGE_PROOF ||
	    harvest(region, gfn, end, false, &again) < end - gfn)
		return;
	age->proved = again < young;
	if (!age->proved && ++age->doubts >= MSHV_AGE_DOUBTS)
		WRITE_ONCE(age->refused, true);
}

/* A page lies in a large leaf, and not in the block that is looked for. */
static bool is_large(const struct mshv_region *region, u64 gfn, unsigned long wanted)
{
	unsigned long block = mshv_region_block(region, gfn);

	return block != wanted && test_bit(block, region->large);
}

/* The run that a page is in. The page itself is always in it. */
static void choose_run(struct mshv_region *region, u64 gfn, u64 *first, u64 *end)
{
	unsigned long block = mshv_region_block(region, gfn);

	if (test_bit(block, region->large)) {
		block -= block % MSHV_AGE_BLOCKS;
		*first = mshv_part_first(region, block);
		*end = min(mshv_block_gfn(region, block + MSHV_AGE_BLOCKS),
			   mshv_region_end(region));
		return;
	}
	*first = gfn - (gfn - region->gfn) % MSHV_AGE_RUN;
	*end = min(*first + MSHV_AGE_RUN, mshv_region_end(region));
	/*
	 * No part of a large leaf. That of the page was none; it may be one by now, and is asked
	 * for in part.
	 */
	if (is_large(region, *first, block))
		*first = round_up(*first, MSHV_BLOCK_PAGES);
	if (is_large(region, *end - 1, block))
		*end = round_down(*end, MSHV_BLOCK_PAGES);
}

/*
 * See to it that the tables know of a page. Returns false if the hypervisor does not tell. A call
 * ends at a page that it does not tell of: what comes after that one is asked for without it.
 */
static bool harvest_around(struct mshv_region *region, u64 gfn, struct mshv_table *table)
{
	const struct mshv_age *age = &region->partition->age;
	u64 block = round_down(gfn, MSHV_BLOCK_PAGES);
	u64 first, end, stop;
	bool large, whole;
	unsigned int young;

	choose_run(region, gfn, &first, &end);
	large = test_bit(mshv_region_block(region, gfn), region->large);
	/* Else the run was asked for a moment ago, and ended in this block, before the page. */
	whole = !test_bit(mshv_block_index(gfn), table->unknown) ||
		!recent(region, table, gfn, READ_ONCE(harvest_ms));
	if (whole) {
		stop = first + harvest(region, first, end, true, &young);
		if (stop == end)
			prove(region, first, end, young);
		if (gfn <= stop || age->refused || READ_ONCE(age->wants_memory))
			return gfn < stop;
	} else {
		stop = block + find_first_bit(table->unknown, MSHV_BLOCK_PAGES);
	}
	first = max(block, first);
	end = min(end, block + MSHV_BLOCK_PAGES);
	if (!large && stop >= first) {
		first = min(stop + 1, gfn);
		set_unknown(table, mshv_block_index(stop), mshv_block_index(first));
	}
	stop = first + harvest(region, first, end, whole, &young);
	if (gfn <= stop || large)
		return gfn < stop;
	/* And there is one more. What was not told so far does not get the date of the rest. */
	set_unknown(table, mshv_block_index(stop), mshv_block_index(gfn));
	return harvest(region, gfn, end, whole, &young);
}

/* As harvest_around(), and remember it. */
static bool ask_hypervisor(struct mshv_region *region, u64 gfn, struct mshv_table *table)
{
	bool told = harvest_around(region, gfn, table);

	if (!told)
		set_untold(region, gfn, table);
	return told;
}

/* What is not known is young, but not for ever. */
static bool is_patient(const struct mshv_age *age, const struct mshv_table *table)
{
	return !READ_ONCE(age->refused) && !waits_in_vain(age) &&
	       table->untold_times < MSHV_AGE_REFUSALS;
}

/*
 * First page of a part that the child has and of which the hypervisor has to be asked. @resting:
 * only where the last harvest is some time ago.
 */
static unsigned int find_unknown(struct mshv_region *region, u64 gfn, const struct part *part,
				 bool resting)
{
	const struct mshv_table *table = part->table;
	bool large = test_bit(part->block, region->large);
	unsigned int i, ms;

	if (!test_bit(part->block, region->mapped))
		return part->end;
	for (i = part->first; i < part->end; i++, gfn++) {
		if (!large && !test_bit(i, table->mapped))
			continue;
		ms = test_bit(i, table->fresh) ? READ_ONCE(harvest_ms) : 0;
		if (resting && !test_bit(i, table->unknown))
			ms = max(ms, MSHV_AGE_REST);
		if (!ms || !recent(region, table, gfn, ms))
			break;
	}
	return i;
}

/*
 * Linux goes round, everything is young, and nothing was taken: has it been round twice? Then a
 * page came twice again. Which one that will be is not known before, so the page that is looked for
 * moves on, ever later (Brent's way to find a cycle). Returns whether this one has to be old.
 */
static bool withhold(struct mshv_age *age, u64 gfn, unsigned int pages)
{
	if (age->withheld) {
		age->withheld -= min_t(u64, age->withheld, pages);
		return true;
	}
	age->spared += pages;
	if (gfn == age->landmark && ++age->rounds >= 2 && age->spared >= MSHV_AGE_ROUNDS) {
		age->withheld = age->spared / MSHV_AGE_WITHHELD;
		mshv_age_taken(age, age->spared);
	} else if (age->spared >= age->move_on) {
		age->landmark = gfn;
		age->rounds = 0;
		age->move_on = 2 * age->spared;
	}
	return false;
}

/* A question about pages of one block. *@calls: that it may still make. map_lock is held. */
static bool ask_part(struct mshv_region *region, u64 gfn, const struct part *part, bool clear,
		     unsigned int *calls)
{
	struct mshv_age *age = &region->partition->age;
	struct mshv_table *table = part->table;
	unsigned int told = 0, untold = 0, in_vain = 0, i;
	struct part left = *part;
	bool young;

	if (!table)
		return false;
	spin_lock(&age->lock);
	young = find_next_bit(table->young, part->end, part->first) < part->end;
	/*
	 * Who clears wants to hear later of what comes after, and of nothing that was before. Of
	 * what there are no calls left for nothing is said. A block may lie in two runs, and
	 * what is told may end anywhere.
	 */
	while ((!young || clear) && told < 3 + untold && in_vain < MSHV_AGE_IN_VAIN && *calls) {
		i = find_unknown(region, gfn + left.first - part->first, &left, clear);
		if (i == part->end)
			break;
		--*calls;
		left.first = i;
		if (ask_hypervisor(region, gfn + i - part->first, table)) {
			told++;
			in_vain = 0;
		} else {
			/* That says nothing of those that come after, if they are other leaves. */
			untold++;
			in_vain++;
			left.first = test_bit(part->block, region->large) ? part->end : i + 1;
		}
		young = find_next_bit(table->young, part->end, part->first) < part->end;
	}
	if (clear)
		bitmap_clear(table->young, part->first, part->end - part->first);
	bitmap_clear(table->fresh, part->first, part->end - part->first);
	young |= untold && is_patient(age, table);
	if (young && clear && withhold(age, gfn, part->end - part->first)) {
		mshv_count_partition(region->partition, MSHV_STAT_AGE_WITHHELD, 1);
		young = false;
	}
	spin_unlock(&age->lock);
	return young;
}

/* map_lock is held. */
static bool ask_region(struct mshv_region *region, unsigned long start, unsigned long end,
		       bool clear, unsigned int *calls)
{
	unsigned long hva_end = region->hva + (region->pages << PAGE_SHIFT);
	u64 gfn = region->gfn, gfn_end = mshv_region_end(region);
	bool young = false;
	struct part part;

	if (start > region->hva)
		gfn += (start - region->hva) >> PAGE_SHIFT;
	if (end < hva_end)
		gfn_end -= (hva_end - end) >> PAGE_SHIFT;
	for (; gfn < gfn_end && (clear || !young); gfn += part.end - part.first) {
		part = part_of(region, gfn, gfn_end);
		young |= ask_part(region, gfn, &part, clear, calls);
	}
	mshv_count(region, MSHV_STAT_AGE_QUESTIONS, 1);
	mshv_count(region, MSHV_STAT_AGE_YOUNG, young);
	return young;
}

/* A range of addresses may be memory of several regions. */
static bool ask(struct mshv_partition *partition, unsigned long start, unsigned long end,
		bool clear)
{
	unsigned int calls = MSHV_AGE_CALLS +
			     2 * (((end - start) >> PAGE_SHIFT) / MSHV_BLOCK_PAGES);
	struct interval_tree_node *node;
	bool young = false;

	if (!mshv_age_answers(partition))
		return false;
	read_lock(&partition->map_lock);
	for (node = interval_tree_iter_first(&partition->hvas, start, end - 1);
	     node && (clear || !young); node = interval_tree_iter_next(node, start, end - 1))
		young |= ask_region(container_of(node, struct mshv_region, hvas), start, end,
				    clear, &calls);
	read_unlock(&partition->map_lock);
	return young;
}

/**
 * mshv_age_clear() - mmu_notifier_ops.clear_young and .clear_flush_young
 * @notifier: of the partition
 * @mm: its address space
 * @start: an address; DAMON's lie anywhere in a page
 * @end: @start and the size of a page, or of what one entry maps
 *
 * Context: under a page-table lock.
 *
 * Return: whether the guest has used something there since the last time.
 */
mshv_compat_young_t mshv_age_clear(struct mmu_notifier *notifier, struct mm_struct *mm,
				   unsigned long start, unsigned long end)
{
	unsigned long size = end - start;

	/*
	 * One entry is asked about: the neighbour's bit is another's. Later kernels ask for some
	 * entries in a row, which may begin anywhere.
	 */
	start &= size == PMD_SIZE || size == PUD_SIZE ? ~(size - 1) : PAGE_MASK;
	return ask(container_of(notifier, struct mshv_partition, notifier), start, start + size,
		   true);
}

/**
 * mshv_age_test() - mmu_notifier_ops.test_young
 * @notifier: of the partition
 * @mm: its address space
 * @address: of a page
 *
 * Context: under a page-table lock.
 *
 * Return: as mshv_age_clear(); the next one who asks gets the same answer.
 */
mshv_compat_young_t mshv_age_test(struct mmu_notifier *notifier, struct mm_struct *mm,
				  unsigned long address)
{
	address &= PAGE_MASK;
	return ask(container_of(notifier, struct mshv_partition, notifier), address,
		   address + PAGE_SIZE, false);
}

/**
 * mshv_age_keep() - the accessed bits of leaves that are about to go
 * @region: region
 * @gfn: first page of a range
 * @end: page after the last one
 *
 * What the guest does until they are gone is not seen any more: it comes back for it by a fault. A
 * refusal costs the bits.
 *
 * Context: map_lock is held, for writing or with the lock of the block.
 *
 * Return: page to go on with; @end or more when nothing is left. One hypercall a time.
 */
u64 mshv_age_keep(struct mshv_region *region, u64 gfn, u64 end)
{
	unsigned long last = mshv_region_block(region, end - 1), block;
	unsigned int young;

	if (!mshv_age_answers(region->partition))
		return end;
	block = find_next_bit(region->mapped, last + 1, mshv_region_block(region, gfn));
	if (block > last)
		return end;
	gfn = max(gfn, mshv_block_gfn(region, block));
	if (test_bit(block, region->large))
		gfn = mshv_block_gfn(region, block);
	if (test_bit(last, region->large))
		end = mshv_block_gfn(region, last + 1);
	if (end - gfn > MSHV_AGE_RUN)
		end = round_down(gfn + MSHV_AGE_RUN, MSHV_BLOCK_PAGES);
	spin_lock(&region->partition->age.lock);
	harvest(region, gfn, end, false, &young);
	spin_unlock(&region->partition->age.lock);
	return end;
}

/**
 * mshv_age_lend() - lend what a harvest was refused for
 * @partition: child
 *
 * Context: process context, may sleep; no lock that the MMU notifier takes.
 */
void mshv_age_lend(struct mshv_partition *partition)
{
	struct mshv_age *age = &partition->age;
	u16 status;

	if (!READ_ONCE(age->wants_memory) || !mshv_age_answers(partition) ||
	    xchg(&age->lending, true))
		return;
	/* Who was before may have lent it meanwhile. */
	if (READ_ONCE(age->wants_memory) &&
	    time_after(jiffies, age->failed_at + MSHV_AGE_APART)) {
		if (!mshv_deposit_spare(partition, MSHV_DEPOSIT_MIN, &status)) {
			WRITE_ONCE(age->wants_memory, false);
		} else {
			/* It goes on to want it, and is not asked. */
			age->failed_at = jiffies;
		}
		/* It may have kept a part of what it refuses: there is an end to that, too. */
		if (status != HVABI_STATUS_SUCCESS) {
			spin_lock(&age->lock);
			age->lendings++;
			note_refusal(partition, status);
			spin_unlock(&age->lock);
		}
	}
	/* Pairs with xchg(): the next one sees failed_at. */
	smp_store_release(&age->lending, false);
}

/**
 * mshv_age_cleared() - a VMM has cleared the accessed bit of a page in the hypervisor
 * @table: of the page's block
 * @index: page of the block
 *
 * Context: map_lock and age.lock are held.
 */
void mshv_age_cleared(struct mshv_table *table, unsigned int index)
{
	__set_bit(index, table->young);
}

/**
 * mshv_age_taken() - Linux has got pages of the guest: what it is told does not keep it from that
 * @age: of the partition
 * @pages: how many. A page that was moved or discarded counts as well, so a few do not make up for
 *	all that were young
 *
 * Context: map_lock is held for writing, or the lock of @age.
 */
void mshv_age_taken(struct mshv_age *age, u64 pages)
{
	if (MSHV_AGE_WITHHELD * pages < age->spared) {
		age->spared -= MSHV_AGE_WITHHELD * pages;
		return;
	}
	age->spared = 0;
	age->rounds = 0;
	age->move_on = MSHV_AGE_ROUNDS / 2;
	age->landmark = U64_MAX;
}
