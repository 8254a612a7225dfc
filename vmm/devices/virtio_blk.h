/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A disk: virtio 1.2, 5.2, over a file or a block device.
 *
 * Requests go to the file through an io_uring; a thread of the disk's own takes what is done and tells
 * the guest, whose processor has gone on long since. Where there is no io_uring (an administrator may
 * have switched it off) requests are done where they arrive, in the processor's thread.
 *
 * Laws:
 *   - Nothing of the guest's memory is pinned: buffers are not registered with the io_uring.
 *   - A reset comes back when nothing is under way any more: until then the memory is the disk's.
 */
#ifndef DEVICES_VIRTIO_BLK_H
#define DEVICES_VIRTIO_BLK_H

#include <sys/uio.h>

#include <liburing.h>
#include <linux/virtio_blk.h>

#include "virtio_mmio.h"

/* A request that is under way. */
struct virtio_disk_request {
	struct virtio_disk_request *next;	/* free */
	uint16_t head;
	uint8_t *status;		/* in guest memory */
	uint32_t written;		/* to guest memory, if all goes well */
	enum { VIRTIO_DISK_READ, VIRTIO_DISK_WRITE, VIRTIO_DISK_FLUSH } what;
	/* What is left of it. */
	uint64_t at;
	struct iovec *data;
	unsigned int count;
	struct iovec room[VIRTIO_QUEUE_SIZE_MAX];
};

struct virtio_disk {
	struct virtio virtio;		/* the device on the bus */
	struct virtio_blk_config config;
	int fd;
	uint64_t size;			/* whole sectors */
	bool read_only;

	bool has_ring;
	struct io_uring ring;		/* what is given to it: under the device's lock */
	pthread_t thread;
	pthread_cond_t idle;		/* with the device's lock */
	unsigned int under_way;
	struct virtio_disk_request *free;
	struct virtio_disk_request *requests;
};

/*
 * Opens @path; one that may not be written is a disk that cannot be written. It is locked: no other
 * guest writes to it, and if this one does no other reads it. virtio_init() comes
 * after it, and then virtio_disk_start(). -1 with mshv_error().
 */
int virtio_disk_open(struct virtio_disk *disk, const char *path);
/* Whether requests are done in a thread of their own; without it they are done where they arrive. */
bool virtio_disk_start(struct virtio_disk *disk);
/* Waits until nothing is under way. */
void virtio_disk_drain(struct virtio_disk *disk);
/* Guest memory must be there still, and no processor run. virtio_destroy() comes after it. */
void virtio_disk_close(struct virtio_disk *disk);

#endif
