// SPDX-License-Identifier: GPL-2.0-only
/*
 * Changes of a child's guest physical map, in as few hypercalls as the ABI allows.
 *
 * Laws:
 *	- Nothing here sleeps or allocates: the MMU notifier calls it under map_lock.
 *	- Taking pages away is done by mapping NO_ACCESS over them ("blank"), which is defined
 *	  whatever stood there before. Unmapping is defined only for what is mapped, in the size in
 *	  which it is mapped, so it comes last (region.c).
 *	- On any status the reps reported done took effect, and no others.
 *	- When a call that takes access away returns, no processor uses the old translation any
 *	  more; the parent relies on it.
 */
#include <linux/minmax.h>
#include <linux/string.h>

#include "mshv.h"
#include "trace.h"

/* UNMAP has no list to bound it; this bounds the time one call takes. */
#define MSHV_UNMAP_MAX	512u

static u16 map_batch(struct mshv_partition *partition, u64 gfn, u32 flags, const u64 *pages,
		     u16 reps, u16 *done)
{
	struct hvabi_input_map_gpa_pages *input;
	u16 status;

	input = mshv_hypercall_begin(NULL);
	input->target_partition_id = partition->id;
	input->target_gpa_base = gfn;
	input->map_flags = flags;
	input->padding = 0;
	if (pages)
		memcpy(input->source_gpa_page_list, pages, reps * sizeof(u64));
	else
		memset(input->source_gpa_page_list, 0, reps * sizeof(u64));
	status = mshv_hypercall_reps(HVABI_CALL_MAP_GPA_PAGES, reps, done, input, NULL);
	mshv_hypercall_end();
	mshv_count_partition(partition, pages ? MSHV_STAT_MAP_CALLS : MSHV_STAT_BLANK_CALLS, 1);
	mshv_count_partition(partition, pages ? MSHV_STAT_MAP_REPS : MSHV_STAT_BLANK_REPS, *done);
	trace_map_gpa(partition->id, gfn, flags, reps, *done, status);
	return status;
}

/**
 * mshv_gpa_map() - map pages, or change what is mapped
 * @partition: child
 * @gfn: first guest page; with HVABI_MAP_GPA_LARGE_PAGE a multiple of 512
 * @flags: HVABI_MAP_GPA_*
 * @pages: page number for each rep, or NULL with HVABI_MAP_GPA_NO_ACCESS
 * @reps: reps: 4 KiB pages, or blocks with HVABI_MAP_GPA_LARGE_PAGE
 * @done: where to store the reps completed
 *
 * Context: any but interrupts; does not sleep.
 *
 * Return: status of the hypervisor.
 */
u16 mshv_gpa_map(struct mshv_partition *partition, u64 gfn, u32 flags, const u64 *pages,
		 unsigned int reps, unsigned int *done)
{
	unsigned int shift = flags & HVABI_MAP_GPA_LARGE_PAGE ? MSHV_BLOCK_SHIFT : 0;
	u16 status = HVABI_STATUS_SUCCESS;

	*done = 0;
	while (status == HVABI_STATUS_SUCCESS && *done < reps) {
		u16 batch = min_t(unsigned int, reps - *done, HVABI_MAP_GPA_MAX);
		u16 batch_done = 0;

		status = map_batch(partition, gfn + ((u64)*done << shift), flags,
				   pages ? pages + *done : NULL, batch, &batch_done);
		*done += batch_done;
	}
	return status;
}

/**
 * mshv_gpa_blank() - make pages inaccessible, whatever is mapped there
 * @partition: child
 * @gfn: first guest page
 * @large: reps are whole blocks, and @gfn is a multiple of 512
 * @reps: reps
 * @done: where to store the reps completed
 *
 * Context: any but interrupts; does not sleep.
 *
 * Return: status of the hypervisor.
 */
u16 mshv_gpa_blank(struct mshv_partition *partition, u64 gfn, bool large, unsigned int reps,
		   unsigned int *done)
{
	u32 flags = HVABI_MAP_GPA_NO_ACCESS;

	if (large)
		flags |= HVABI_MAP_GPA_LARGE_PAGE;
	return mshv_gpa_map(partition, gfn, flags, NULL, reps, done);
}

/**
 * mshv_gpa_unmap() - remove maps
 * @partition: child
 * @gfn: first guest page; every page must be mapped, NO_ACCESS included, in the size that @large
 *   says
 * @large: reps are whole blocks, and @gfn is a multiple of 512
 * @reps: reps
 * @done: where to store the reps completed
 *
 * Context: any but interrupts; does not sleep.
 *
 * Return: status of the hypervisor.
 */
u16 mshv_gpa_unmap(struct mshv_partition *partition, u64 gfn, bool large, unsigned int reps,
		   unsigned int *done)
{
	unsigned int shift = large ? MSHV_BLOCK_SHIFT : 0;
	struct hvabi_input_unmap_gpa_pages *input;
	u16 status = HVABI_STATUS_SUCCESS;

	*done = 0;
	while (status == HVABI_STATUS_SUCCESS && *done < reps) {
		u16 batch = min(reps - *done, MSHV_UNMAP_MAX);
		u16 batch_done = 0;

		input = mshv_hypercall_begin(NULL);
		input->target_partition_id = partition->id;
		input->target_gpa_base = gfn + ((u64)*done << shift);
		input->unmap_flags = large ? HVABI_UNMAP_GPA_LARGE_PAGE : 0;
		input->padding = 0;
		status = mshv_hypercall_reps(HVABI_CALL_UNMAP_GPA_PAGES, batch, &batch_done, input,
					     NULL);
		mshv_hypercall_end();
		mshv_count_partition(partition, MSHV_STAT_UNMAP_CALLS, 1);
		mshv_count_partition(partition, MSHV_STAT_UNMAP_REPS, batch_done);
		trace_unmap_gpa(partition->id, gfn + ((u64)*done << shift), large, batch,
				batch_done, status);
		*done += batch_done;
	}
	return status;
}
