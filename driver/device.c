// SPDX-License-Identifier: GPL-2.0-only
/*
 * Device memory of the VMM (a BAR that VFIO maps for it) as memory of the guest.
 *
 * Laws:
 *	- It is movable like any other: looked up when the guest touches it, taken away by the
 *	  notifier. VFIO zaps its mappings before it resets, disables or releases a device, so a
 *	  guest never reaches a device that its VMM does not.
 *	- A page number comes from Linux's page table, under a valid notifier sequence, and from
 *	  nowhere else. A VMA's offset says what somebody asked to map; the entry says what is
 *	  mapped.
 *	- Only what is not RAM. A mapping without struct pages may hold RAM as well (a graphics
 *	  buffer, the kernel's clock page), which would be uncached here, and wrong.
 *	- Nothing is marked dirty, nothing can be pinned, and all maps are 4 KiB: the ABI has no
 *	  large uncached ones.
 */
#include <linux/errno.h>
#include <linux/ioport.h>
#include <linux/mm.h>

#include "compat.h"
#include "mshv.h"

/**
 * mshv_vma_is_device() - the VMA has no struct pages that could be asked for
 * @vma: mapping of the VMM
 */
bool mshv_vma_is_device(const struct vm_area_struct *vma)
{
	return vma->vm_flags & (VM_IO | VM_PFNMAP);
}

struct resource_look {
	u64 start, end;
	bool device;
};

/*
 * The outermost resource: a device, or the window of a bus, has no descriptor; what firmware or
 * memmap= reserve has.
 */
static int look_at_resource(struct resource *resource, void *arg)
{
	struct resource_look *look = arg;

	look->device = resource->desc == IORES_DESC_NONE &&
		       !(resource->flags & IORESOURCE_SYSRAM) && resource->start <= look->start &&
		       resource->end >= look->end;
	return 1;
}

/**
 * mshv_pfn_is_ram() - a page number is one of RAM, also of RAM that Linux was told to leave alone
 * @pfn: page number
 *
 * RAM is what is not known as a device: of RAM that is left alone (memmap=, mem= on the command
 * line) Linux's resources say that it is reserved, or nothing. (The firmware's own map is for no
 * module but KVM in newer kernels.) A device in a range that firmware has reserved is taken for
 * RAM.
 */
bool mshv_pfn_is_ram(unsigned long pfn)
{
	u64 start = (u64)pfn << PAGE_SHIFT;
	struct resource_look look = { .start = start, .end = start + PAGE_SIZE - 1 };

	walk_iomem_res_desc(IORES_DESC_NONE, IORESOURCE_MEM, look.start, look.end, &look,
			    look_at_resource);
	return !look.device;
}

/**
 * mshv_device_look() - what Linux maps in a range of device memory
 * @vma: the mapping
 * @address: first page, in @vma
 * @pages: how many, all in @vma
 * @pfns: where to store the page number of each
 * @kinds: where to store what each is good for
 *
 * Context: mmap_lock is held; does not sleep.
 */
void mshv_device_look(struct vm_area_struct *vma, unsigned long address, unsigned int pages,
		      u64 *pfns, u8 *kinds)
{
	unsigned long pfn;
	unsigned int i;
	bool writable;

	for (i = 0; i < pages; i++, address += PAGE_SIZE) {
		kinds[i] = MSHV_KIND_NONE;
		if (mshv_compat_device_pfn(vma, address, &pfn, &writable))
			continue;
		pfns[i] = pfn;
		if (mshv_pfn_is_ram(pfn))
			kinds[i] = MSHV_KIND_RAM;
		else
			kinds[i] = writable ? MSHV_KIND_WRITE : MSHV_KIND_READ;
	}
}
