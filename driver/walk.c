// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guest page tables that Linux has taken from the child.
 *
 * Some hypercalls walk the guest's page tables (TRANSLATE_VIRTUAL_ADDRESS, which a VMM makes for
 * each operand that it emulates). The hypervisor finds there what the child has mapped, and says
 * "no access" where Linux has taken a table: nobody faults it in, for the guest does not run. So
 * the driver does, and the call is made again.
 *
 * Laws:
 *	- The answer stays the hypervisor's. This walk only tells which pages it needs; it checks no
 *	  right and decides nothing.
 *	- Tables are read through the VMM's mapping, with the rights of that and not of the thread.
 *	  What is not in a region ends the walk.
 *	- A guest that changes its tables meanwhile gets a walk of either: the call is made again a
 *	  bounded number of times, and the last answer counts.
 */
#include <linux/errno.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include <asm/msr-index.h>
#include <asm/processor-flags.h>

#include <hvabi/register.h>

#include "mshv.h"

/* Linux may take a page again that was just faulted in. */
#define MSHV_WALK_TRIES		16

#define ENTRY_PRESENT		BIT_ULL(0)
#define ENTRY_LARGE		BIT_ULL(7)
#define ENTRY_ADDRESS		0x000ffffffffff000ull

enum { REG_CR0, REG_CR3, REG_CR4, REG_EFER, REGS };

static const u32 names[REGS] = {
	[REG_CR0] = HVABI_REG_CR0, [REG_CR3] = HVABI_REG_CR3,
	[REG_CR4] = HVABI_REG_CR4, [REG_EFER] = HVABI_REG_EFER,
};

/* Return: 0 or an errno. */
static int read_registers(struct mshv_partition *partition, u32 vp_index, u64 regs[REGS])
{
	struct hvabi_input_get_vp_registers *input;
	union hvabi_register_value *output;
	u16 status, done = 0, i;

	input = mshv_hypercall_begin((void **)&output);
	memset(input, 0, sizeof(*input));
	input->partition_id = partition->id;
	input->vp_index = vp_index;
	memcpy(input->names, names, sizeof(names));
	status = mshv_hypercall_reps(HVABI_CALL_GET_VP_REGISTERS, REGS, &done, input, output);
	for (i = 0; i < REGS; i++)
		regs[i] = output[i].reg64;
	mshv_hypercall_end();
	return mshv_status_errno(status);
}

/* Return: 0, -ENOENT no region there, -EFAULT. */
static int read_guest(struct mshv_partition *partition, u64 gpa, unsigned int bytes, u64 *value)
{
	struct mshv_region *region = mshv_region_get(partition, gpa >> PAGE_SHIFT);
	unsigned long from;
	int ret = 0;

	if (!region)
		return -ENOENT;
	from = mshv_gfn_to_hva(region, gpa >> PAGE_SHIFT) + offset_in_page(gpa);
	*value = 0;
	/* What GUP does not touch (memfd_secret()) the thread may have. */
	if (access_process_vm(current, from, value, bytes, 0) != bytes &&
	    copy_from_user(value, (void __user *)from, bytes))
		ret = -EFAULT;
	mshv_region_put(region);
	return ret;
}

/*
 * Fault in the tables of one walk, and with @leaf what it leads to.
 * Return: 0, also where the walk ends early; or an errno of mshv_fault_in().
 */
static int fault_in_walk(struct mshv_partition *partition, const u64 regs[REGS], u64 address,
			 bool write_tables, bool write, bool leaf)
{
	bool pae = regs[REG_CR4] & X86_CR4_PAE, lma = regs[REG_EFER] & EFER_LMA;
	unsigned int bits = pae ? 9 : 10, bytes = pae ? 8 : 4;
	unsigned int level = !pae ? 2 : !lma ? 3 : regs[REG_CR4] & X86_CR4_LA57 ? 5 : 4;
	u64 table = regs[REG_CR3] & (level == 3 ? 0xffffffe0 : ENTRY_ADDRESS);
	u64 entry = address, index, span;
	int ret;

	if (!(regs[REG_CR0] & X86_CR0_PG))
		return !leaf ? 0 :
		       mshv_fault_in(partition, (address & 0xffffffff) >> PAGE_SHIFT, write);
	for (;; level--) {
		span = PAGE_SHIFT + bits * (level - 1);
		index = (address >> span) & (level == 3 && !lma ? 3 : BIT_ULL(bits) - 1);
		ret = mshv_fault_in(partition, (table + index * bytes) >> PAGE_SHIFT, write_tables);
		if (ret)
			return ret;
		if (read_guest(partition, table + index * bytes, bytes, &entry) ||
		    !(entry & ENTRY_PRESENT))
			return 0;
		if (level == 1)
			break;
		if (entry & ENTRY_LARGE && (pae || regs[REG_CR4] & X86_CR4_PSE) && level <= 3 &&
		    !(level == 3 && !lma))
			break;
		table = entry & ENTRY_ADDRESS;
	}
	if (!leaf)
		return 0;
	/* 4 MiB pages keep address bits 32-39 in entry bits 13-20. */
	if (!pae && level == 2)
		entry = (entry & 0xffc00000) | (entry & 0x1fe000) << 19;
	entry = (entry & ENTRY_ADDRESS & ~(BIT_ULL(span) - 1)) | (address & (BIT_ULL(span) - 1));
	return mshv_fault_in(partition, entry >> PAGE_SHIFT, write);
}

/**
 * mshv_walk_failed() - do what a hypercall that walks guest page tables could not
 * @partition: child
 * @input: of TRANSLATE_VIRTUAL_ADDRESS
 * @output: the hypervisor's answer
 * @tries: how often this has been done for the call; starts at 0, is increased here
 *
 * Context: process context, may sleep.
 *
 * Return: 1: the call is worth another try; 0: the answer stands; -EINTR: a signal, and nobody
 * knows; or why Linux cannot supply a table: -ENOMEM, -EFAULT, -EHWPOISON.
 */
int mshv_walk_failed(struct mshv_partition *partition,
		     const struct hvabi_input_translate_virtual_address *input,
		     const struct hvabi_output_translate_virtual_address *output,
		     unsigned int *tries)
{
	u64 regs[REGS];
	int ret;

	switch (output->result_code) {
	case HVABI_TRANSLATE_GPA_UNMAPPED:
	case HVABI_TRANSLATE_GPA_NO_READ_ACCESS:
	case HVABI_TRANSLATE_GPA_NO_WRITE_ACCESS:
		break;
	default:
		return 0;
	}
	if (signal_pending(current))
		return -EINTR;
	if (*tries >= MSHV_WALK_TRIES)
		return 0;
	ret = read_registers(partition, input->vp_index, regs);
	if (ret)
		return ret;
	/*
	 * The page that it leads to may be one that nobody needs to have: only if tables did not
	 * help.
	 */
	ret = fault_in_walk(partition, regs, input->gva_page << PAGE_SHIFT,
			    input->control_flags & HVABI_TRANSLATE_SET_PAGE_TABLE_BITS,
			    input->control_flags & HVABI_TRANSLATE_VALIDATE_WRITE, *tries > 0);
	(*tries)++;
	/*
	 * No region, no right, another process: that is how it is, and the hypervisor has said so.
	 */
	if (ret == -ENOENT || ret == -EACCES || ret == -EPERM)
		return 0;
	return ret ? ret : 1;
}
