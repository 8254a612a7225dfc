/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * demo: a PCI device that Linux gives to this process (VFIO, type 1).
 *
 * What of this process's memory the device may reach is what was mapped for it, and that is pinned as long as it is mapped:
 * Linux moves none of it, also if it is a guest's. Needs an IOMMU and root.
 */
#ifndef DEMO_VFIO_H
#define DEMO_VFIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mshv_vfio;

/*
 * Takes a device ("0000:00:01.0"), loads what VFIO needs, and lets the device be a bus master. Returns NULL with errno and
 * mshv_error(): ENODEV if there is no such device, or no IOMMU before it; EBUSY if a driver has it, which keeps it.
 */
struct mshv_vfio *mshv_vfio_open(const char *bdf);
/* Unmaps everything, resets the device where it can be, and gives it back. NULL is fine. */
void mshv_vfio_close(struct mshv_vfio *vfio);

/* Maps a memory BAR whole, shared, once: later calls answer the same. NULL with errno and mshv_error(). */
volatile void *mshv_vfio_map_bar(struct mshv_vfio *vfio, unsigned int bar, size_t *size);

/*
 * Lets the device answer at its memory BARs, or not: then Linux takes their pages away from this process, and an access is a
 * SIGBUS until they are switched on again.
 */
int mshv_vfio_switch_memory(struct mshv_vfio *vfio, bool on);

/* Where the device finds, by DMA, [@address, @address + @size) of this process; all page-aligned. */
int mshv_vfio_dma_map(struct mshv_vfio *vfio, void *address, uint64_t iova, uint64_t size);
/* The same range as it was mapped. Returns 0, or -1 with errno: ENOENT if nothing was mapped there. */
int mshv_vfio_dma_unmap(struct mshv_vfio *vfio, uint64_t iova, uint64_t size);

/* The device's first MSI signals the eventfd @event from now on, or nothing any more (-1). */
int mshv_vfio_msi(struct mshv_vfio *vfio, int event);

#endif
