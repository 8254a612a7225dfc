// SPDX-License-Identifier: GPL-2.0-only
/* A disk, see virtio_blk.h. */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <linux/virtio_ids.h>

#include "libmshv.h"
#include "virtio_blk.h"

#define SECTOR			512u
/* A request has a header and a status besides. */
#define SEGMENTS_MAX		(VIRTIO_QUEUE_SIZE_MAX - 2)

/* The header, wherever the driver has cut it. Returns what is left of the readable parts in @data. */
static bool take_header(const struct virtio_chain *chain, struct virtio_blk_outhdr *header,
			struct iovec *data, unsigned int *count)
{
	size_t got = 0, part;
	unsigned int i;

	*count = 0;
	for (i = 0; i < chain->readable; i++) {
		part = sizeof(*header) - got;
		if (part > chain->part[i].size)
			part = chain->part[i].size;
		memcpy((uint8_t *)header + got, chain->part[i].data, part);
		got += part;
		if (part < chain->part[i].size)
			data[(*count)++] = (struct iovec){ chain->part[i].data + part,
							   chain->part[i].size - part };
	}
	return got == sizeof(*header);
}

/* Where the answer goes: the last byte that may be written; what is before it in @data. */
static uint8_t *take_status(const struct virtio_chain *chain, struct iovec *data,
			    unsigned int *count)
{
	uint8_t *status = NULL;
	unsigned int i, last = chain->readable;

	*count = 0;
	for (i = chain->readable; i < chain->count; i++)
		if (chain->part[i].size)
			last = i;
	for (i = chain->readable; i < chain->count; i++) {
		size_t size = chain->part[i].size;

		if (i == last && size)
			status = chain->part[i].data + --size;
		if (size)
			data[(*count)++] = (struct iovec){ chain->part[i].data, size };
	}
	return status;
}

static uint64_t total(const struct iovec *data, unsigned int count)
{
	uint64_t sum = 0;

	while (count--)
		sum += data++->iov_len;
	return sum;
}

/* All of it, or an error. The file may have been cut short behind our back: then it is one. */
static bool transfer(int fd, struct iovec *data, unsigned int count, uint64_t at, bool write)
{
	ssize_t done;

	while (count) {
		done = write ? pwritev(fd, data, (int)count, (off_t)at) :
			       preadv(fd, data, (int)count, (off_t)at);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return false;
		at += (uint64_t)done;
		while (count && (size_t)done >= data->iov_len) {
			done -= (ssize_t)data->iov_len;
			data++;
			count--;
		}
		if (count) {
			data->iov_base = (uint8_t *)data->iov_base + done;
			data->iov_len -= (size_t)done;
		}
	}
	return true;
}

static uint8_t read_or_write(const struct virtio_disk *disk, uint64_t sector, struct iovec *data,
			     unsigned int count, bool write)
{
	uint64_t size = total(data, count);

	if (size % SECTOR || sector > disk->size / SECTOR ||
	    size > disk->size - sector * SECTOR || (write && disk->read_only))
		return VIRTIO_BLK_S_IOERR;
	return transfer(disk->fd, data, count, sector * SECTOR, write) ? VIRTIO_BLK_S_OK :
									 VIRTIO_BLK_S_IOERR;
}

static int64_t request(struct virtio *v, unsigned int queue, const struct virtio_chain *chain)
{
	static const char id[VIRTIO_BLK_ID_BYTES] = "mshv-disk";
	struct virtio_disk *disk = (void *)((uint8_t *)v - offsetof(struct virtio_disk, virtio));
	struct iovec out[VIRTIO_QUEUE_SIZE_MAX], in[VIRTIO_QUEUE_SIZE_MAX];
	unsigned int out_count, in_count, i;
	struct virtio_blk_outhdr header = { 0 };
	uint64_t written = 0, size;
	uint8_t *status, answer;

	(void)queue;
	status = take_status(chain, in, &in_count);
	if (!take_header(chain, &header, out, &out_count) || !status)
		return -1;
	switch (header.type) {
	case VIRTIO_BLK_T_IN:
		written = total(in, in_count);
		answer = read_or_write(disk, header.sector, in, in_count, false);
		break;
	case VIRTIO_BLK_T_OUT:
		answer = read_or_write(disk, header.sector, out, out_count, true);
		break;
	case VIRTIO_BLK_T_FLUSH:
		answer = fdatasync(disk->fd) ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK;
		break;
	case VIRTIO_BLK_T_GET_ID:
		for (i = 0; i < in_count && written < sizeof(id); i++) {
			size = sizeof(id) - written < in[i].iov_len ? sizeof(id) - written :
								      in[i].iov_len;
			memcpy(in[i].iov_base, id + written, size);
			written += size;
		}
		answer = VIRTIO_BLK_S_OK;
		break;
	default:
		answer = VIRTIO_BLK_S_UNSUPP;
		break;
	}
	*status = answer;
	return (int64_t)(answer == VIRTIO_BLK_S_OK ? written + 1 : 1);
}

int virtio_disk_open(struct virtio_disk *disk, const char *path)
{
	struct stat st;
	off_t size;

	memset(disk, 0, sizeof(*disk));
	disk->fd = open(path, O_RDWR | O_CLOEXEC);
	if (disk->fd < 0 && (errno == EACCES || errno == EROFS || errno == EPERM)) {
		disk->read_only = true;
		disk->fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	if (disk->fd < 0)
		return mshv_fail("%s", path);
	size = lseek(disk->fd, 0, SEEK_END);
	if (fstat(disk->fd, &st) || size < (off_t)SECTOR ||
	    !(S_ISREG(st.st_mode) || S_ISBLK(st.st_mode))) {
		close(disk->fd);
		disk->fd = -1;
		return mshv_fail_because(EINVAL, "%s: no disk: not a file or block device, or less "
					 "than a sector", path);
	}
	disk->size = (uint64_t)size / SECTOR * SECTOR;
	disk->config.capacity = disk->size / SECTOR;
	disk->config.seg_max = SEGMENTS_MAX;
	disk->config.blk_size = SECTOR;
	disk->virtio.device_id = VIRTIO_ID_BLOCK;
	disk->virtio.features = 1ull << VIRTIO_BLK_F_SEG_MAX | 1ull << VIRTIO_BLK_F_BLK_SIZE |
				1ull << VIRTIO_BLK_F_FLUSH |
				(disk->read_only ? 1ull << VIRTIO_BLK_F_RO : 0);
	disk->virtio.queue_count = 1;
	disk->virtio.config = &disk->config;
	disk->virtio.config_size = sizeof(disk->config);
	disk->virtio.request = request;
	return 0;
}

void virtio_disk_close(struct virtio_disk *disk)
{
	if (disk->fd >= 0)
		close(disk->fd);
	disk->fd = -1;
}
