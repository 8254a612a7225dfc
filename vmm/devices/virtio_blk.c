// SPDX-License-Identifier: GPL-2.0-only
/* A disk, see virtio_blk.h. */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
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
/*
 * What the driver is told of a segment keeps a request below REQUEST_MAX, which is enforced: memory may
 * be named many times in one request, and somebody waits for it to be done.
 */
#define SEGMENT_SIZE_MAX	(128u << 10)
#define REQUEST_MAX		(16ull << 20)
/* Linux copies what it has in memory where it is submitted, in the processor's thread: no more than this. */
#define COPY_MAX		(256u << 10)
/* How often a request is submitted, a millisecond apart, before it has failed. */
#define SUBMIT_TRIES		1000u

_Static_assert((uint64_t)SEGMENTS_MAX * SEGMENT_SIZE_MAX <= REQUEST_MAX, "what a driver may ask for is done");

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

/* Takes @done bytes from the front. Returns what is left. */
static unsigned int skip(struct iovec **data, unsigned int count, size_t done)
{
	while (count && done >= (*data)->iov_len) {
		done -= (*data)->iov_len;
		(*data)++;
		count--;
	}
	if (count) {
		(*data)->iov_base = (uint8_t *)(*data)->iov_base + done;
		(*data)->iov_len -= done;
	}
	return count;
}

/* A driver that has no flush takes a write that is answered for one that is on the disk. */
static int write_flags(const struct virtio_disk *disk)
{
	return disk->virtio.driver_features >> VIRTIO_BLK_F_FLUSH & 1 ? 0 : RWF_DSYNC;
}

/* ---- requests where they arrive ---- */

/* All of it, or an error. The file may have been cut short behind our back: then it is one. */
static bool transfer(const struct virtio_disk *disk, struct iovec *data, unsigned int count, uint64_t at,
		     bool write)
{
	int fd = disk->fd;
	ssize_t done;

	while (count && !atomic_load(&disk->virtio.closing)) {
		done = write ? pwritev2(fd, data, (int)count, (off_t)at, write_flags(disk)) :
			       preadv(fd, data, (int)count, (off_t)at);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return false;
		at += (uint64_t)done;
		count = skip(&data, count, (size_t)done);
	}
	return !count;
}

static bool flush(const struct virtio_disk *disk)
{
	int ret;

	do
		ret = fdatasync(disk->fd);
	while (ret && errno == EINTR);
	return !ret;
}

static uint8_t perform(const struct virtio_disk *disk, struct virtio_disk_request *r)
{
	bool good;

	if (r->what == VIRTIO_DISK_FLUSH)
		good = flush(disk);
	else
		good = transfer(disk, r->data, r->count, r->at, r->what == VIRTIO_DISK_WRITE);
	return good ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR;
}

/* ---- requests in a thread of their own ---- */

/* What came of a request that could not be submitted. */
static struct virtio_disk_request nothing;

/* The ring has room for all requests that there can be, but not for as many as failed besides. */
static struct io_uring_sqe *get_sqe(struct virtio_disk *disk)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&disk->ring);

	if (sqe || io_uring_submit(&disk->ring) < 0)
		return sqe;
	return io_uring_get_sqe(&disk->ring);
}

/* False: it cannot be, and is not under way. With the lock held. */
static bool submit(struct virtio_disk *disk, struct virtio_disk_request *r)
{
	struct io_uring_sqe *sqe = get_sqe(disk);
	unsigned int tries = 0;

	if (!sqe)
		return false;
	if (r->what == VIRTIO_DISK_FLUSH)
		io_uring_prep_fsync(sqe, disk->fd, IORING_FSYNC_DATASYNC);
	else if (r->what == VIRTIO_DISK_WRITE)
		io_uring_prep_writev2(sqe, disk->fd, r->data, r->count, r->at, write_flags(disk));
	else
		io_uring_prep_readv(sqe, disk->fd, r->data, r->count, r->at);
	io_uring_sqe_set_data(sqe, r);
	if (total(r->data, r->count) > COPY_MAX)
		sqe->flags |= IOSQE_ASYNC;
	/* Linux may be out of memory for the moment; what failed before goes first, and may be all that does. */
	while (io_uring_submit(&disk->ring) < 0 || io_uring_sq_ready(&disk->ring)) {
		if (++tries < SUBMIT_TRIES && !atomic_load(&disk->virtio.closing)) {
			usleep(1000);
			continue;
		}
		/* It stays in the ring, where the next one that is submitted takes it along: as nothing. */
		io_uring_prep_nop(sqe);
		io_uring_sqe_set_data(sqe, &nothing);
		return false;
	}
	return true;
}

/* With the lock held. */
static void put_request(struct virtio_disk *disk, struct virtio_disk_request *r)
{
	r->next = disk->free;
	disk->free = r;
	if (!--disk->under_way)
		pthread_cond_broadcast(&disk->idle);
}

/* Whether something of @r is left to be done, and will be. With the lock held. */
static bool goes_on(struct virtio_disk *disk, struct virtio_disk_request *r, int result)
{
	if (atomic_load(&disk->virtio.closing))
		return false;
	if (result == -EINTR || result == -EAGAIN)
		return submit(disk, r);
	return result > 0 && r->count && submit(disk, r);
}

/* With the lock held. */
static void complete(struct virtio_disk *disk, struct virtio_disk_request *r, int result)
{
	uint8_t answer;

	if (result > 0) {
		r->at += (uint64_t)result;
		r->count = skip(&r->data, r->count, (size_t)result);
	}
	if (goes_on(disk, r, result))
		return;
	/* Nothing more though there should be: the file may have been cut short behind our back. */
	answer = result < 0 || r->count ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK;
	*r->status = answer;
	virtio_done(&disk->virtio, 0, r->head, answer == VIRTIO_BLK_S_OK ? r->written + 1 : 1);
	put_request(disk, r);
}

static void *disk_thread(void *arg)
{
	struct virtio_disk *disk = arg;
	struct virtio_disk_request *r;
	struct io_uring_cqe *cqe;
	int result;

	for (;;) {
		if (io_uring_wait_cqe(&disk->ring, &cqe))
			continue;
		r = io_uring_cqe_get_data(cqe);
		result = cqe->res;
		io_uring_cqe_seen(&disk->ring, cqe);
		if (!r)
			return NULL;
		if (r == &nothing)
			continue;
		pthread_mutex_lock(&disk->virtio.lock);
		complete(disk, r, result);
		pthread_mutex_unlock(&disk->virtio.lock);
	}
}

/* With the lock held, which is given up meanwhile. */
static void wait_for_idle(struct virtio_disk *disk)
{
	while (disk->under_way)
		pthread_cond_wait(&disk->idle, &disk->virtio.lock);
}

static struct virtio_disk *disk_of(struct virtio *v)
{
	return (void *)((uint8_t *)v - offsetof(struct virtio_disk, virtio));
}

static void on_reset(struct virtio *v)
{
	wait_for_idle(disk_of(v));
}

/* ---- requests ---- */

/* Either way. @r is copied. */
static int64_t start(struct virtio_disk *disk, const struct virtio_disk_request *r)
{
	struct virtio_disk_request *kept, now;
	uint8_t answer;

	if (!disk->has_ring) {
		now = *r;
		memcpy(now.room, r->data, r->count * sizeof(*r->data));
		now.data = now.room;
		answer = perform(disk, &now);
		*r->status = answer;
		return answer == VIRTIO_BLK_S_OK ? (int64_t)r->written + 1 : 1;
	}
	kept = disk->free;
	/* More than there are descriptors: some of them were given to us twice. */
	if (!kept)
		return VIRTIO_BROKEN;
	disk->free = kept->next;
	disk->under_way++;
	*kept = *r;
	memcpy(kept->room, r->data, r->count * sizeof(*r->data));
	kept->data = kept->room;
	if (submit(disk, kept))
		return VIRTIO_KEPT;
	put_request(disk, kept);
	*r->status = VIRTIO_BLK_S_IOERR;
	return 1;
}

static bool is_on_disk(const struct virtio_disk *disk, uint64_t sector, uint64_t size)
{
	return size % SECTOR == 0 && size <= REQUEST_MAX && sector <= disk->size / SECTOR &&
	       size <= disk->size - sector * SECTOR;
}

static uint64_t put_id(const struct iovec *in, unsigned int count)
{
	static const char id[VIRTIO_BLK_ID_BYTES] = "mshv-disk";
	uint64_t written = 0, size;
	unsigned int i;

	for (i = 0; i < count && written < sizeof(id); i++) {
		size = sizeof(id) - written < in[i].iov_len ? sizeof(id) - written : in[i].iov_len;
		memcpy(in[i].iov_base, id + written, size);
		written += size;
	}
	return written;
}

static int64_t request(struct virtio *v, unsigned int queue, const struct virtio_chain *chain)
{
	struct virtio_disk *disk = disk_of(v);
	struct iovec out[VIRTIO_QUEUE_SIZE_MAX], in[VIRTIO_QUEUE_SIZE_MAX];
	unsigned int out_count, in_count;
	struct virtio_blk_outhdr header = { 0 };
	struct virtio_disk_request r = { .head = chain->head };

	(void)queue;
	r.status = take_status(chain, in, &in_count);
	if (!take_header(chain, &header, out, &out_count) || !r.status)
		return VIRTIO_BROKEN;
	r.at = header.sector * SECTOR;
	switch (header.type) {
	case VIRTIO_BLK_T_IN:
		r.what = VIRTIO_DISK_READ;
		r.data = in;
		r.count = in_count;
		r.written = (uint32_t)total(in, in_count);
		if (is_on_disk(disk, header.sector, total(in, in_count)))
			return start(disk, &r);
		break;
	case VIRTIO_BLK_T_OUT:
		r.what = VIRTIO_DISK_WRITE;
		r.data = out;
		r.count = out_count;
		if (is_on_disk(disk, header.sector, total(out, out_count)) && !disk->read_only)
			return start(disk, &r);
		break;
	case VIRTIO_BLK_T_FLUSH:
		r.what = VIRTIO_DISK_FLUSH;
		r.data = out;
		return start(disk, &r);
	case VIRTIO_BLK_T_GET_ID:
		*r.status = VIRTIO_BLK_S_OK;
		return (int64_t)put_id(in, in_count) + 1;
	default:
		*r.status = VIRTIO_BLK_S_UNSUPP;
		return 1;
	}
	*r.status = VIRTIO_BLK_S_IOERR;
	return 1;
}

static int in_use(const char *path)
{
	return mshv_fail_because(EBUSY, "%s: the image is in use: it is another guest's disk, or mounted",
				 path);
}

/* A block device that is written to is nobody else's, be it a guest's or a file system's. */
static int open_image(struct virtio_disk *disk, const char *path)
{
	struct stat st;
	int flags = O_CLOEXEC;

	if (!stat(path, &st) && S_ISBLK(st.st_mode))
		flags |= O_EXCL;
	disk->fd = open(path, O_RDWR | flags);
	if (disk->fd < 0 && (errno == EACCES || errno == EROFS || errno == EPERM)) {
		disk->read_only = true;
		disk->fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	if (disk->fd >= 0)
		return 0;
	return errno == EBUSY ? in_use(path) : mshv_fail("%s", path);
}

/* One guest writes to an image, or any number read it. The lock goes with the descriptor. */
static int lock_image(const struct virtio_disk *disk, const char *path)
{
	struct flock lock = { .l_type = disk->read_only ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET };

	/* Some file systems have no locks: that is no reason to have no disk. */
	if (!fcntl(disk->fd, F_OFD_SETLK, &lock) || (errno != EAGAIN && errno != EACCES))
		return 0;
	return in_use(path);
}

static int close_image(struct virtio_disk *disk)
{
	int error = errno;

	close(disk->fd);
	disk->fd = -1;
	errno = error;
	return -1;
}

int virtio_disk_open(struct virtio_disk *disk, const char *path)
{
	struct stat st;
	off_t size;

	memset(disk, 0, sizeof(*disk));
	if (open_image(disk, path))
		return -1;
	size = lseek(disk->fd, 0, SEEK_END);
	if (fstat(disk->fd, &st) || size < (off_t)SECTOR ||
	    !(S_ISREG(st.st_mode) || S_ISBLK(st.st_mode))) {
		mshv_fail_because(EINVAL, "%s: no disk: not a file or block device, or less than a sector", path);
		return close_image(disk);
	}
	if (lock_image(disk, path))
		return close_image(disk);
	disk->size = (uint64_t)size / SECTOR * SECTOR;
	disk->config.capacity = disk->size / SECTOR;
	disk->config.seg_max = SEGMENTS_MAX;
	disk->config.size_max = SEGMENT_SIZE_MAX;
	disk->config.blk_size = SECTOR;
	disk->virtio.device_id = VIRTIO_ID_BLOCK;
	disk->virtio.features = 1ull << VIRTIO_BLK_F_SIZE_MAX | 1ull << VIRTIO_BLK_F_SEG_MAX |
				1ull << VIRTIO_BLK_F_BLK_SIZE | 1ull << VIRTIO_BLK_F_FLUSH |
				(disk->read_only ? 1ull << VIRTIO_BLK_F_RO : 0);
	disk->virtio.queue_count = 1;
	disk->virtio.config = &disk->config;
	disk->virtio.config_size = sizeof(disk->config);
	disk->virtio.request = request;
	pthread_cond_init(&disk->idle, NULL);
	disk->virtio.on_reset = on_reset;
	return 0;
}

bool virtio_disk_start(struct virtio_disk *disk)
{
	unsigned int i;

	disk->requests = calloc(VIRTIO_QUEUE_SIZE_MAX, sizeof(*disk->requests));
	if (!disk->requests)
		return false;
	/* And one to say that it is over. */
	if (io_uring_queue_init(2 * VIRTIO_QUEUE_SIZE_MAX, &disk->ring, 0))
		goto free;
	for (i = 0; i < VIRTIO_QUEUE_SIZE_MAX; i++) {
		disk->requests[i].next = disk->free;
		disk->free = &disk->requests[i];
	}
	disk->has_ring = !pthread_create(&disk->thread, NULL, disk_thread, disk);
	if (disk->has_ring)
		return true;
	io_uring_queue_exit(&disk->ring);
free:
	free(disk->requests);
	disk->requests = disk->free = NULL;
	return false;
}

void virtio_disk_drain(struct virtio_disk *disk)
{
	pthread_mutex_lock(&disk->virtio.lock);
	wait_for_idle(disk);
	pthread_mutex_unlock(&disk->virtio.lock);
}

static void stop_thread(struct virtio_disk *disk)
{
	struct io_uring_sqe *sqe;

	virtio_disk_drain(disk);
	pthread_mutex_lock(&disk->virtio.lock);
	while (!(sqe = get_sqe(disk)))
		usleep(1000);
	io_uring_prep_nop(sqe);
	io_uring_sqe_set_data(sqe, NULL);
	while (io_uring_submit(&disk->ring) < 0 || io_uring_sq_ready(&disk->ring))
		usleep(1000);
	pthread_mutex_unlock(&disk->virtio.lock);
	pthread_join(disk->thread, NULL);
	io_uring_queue_exit(&disk->ring);
	free(disk->requests);
	disk->has_ring = false;
}

void virtio_disk_close(struct virtio_disk *disk)
{
	if (disk->has_ring)
		stop_thread(disk);
	pthread_cond_destroy(&disk->idle);
	if (disk->fd >= 0)
		close(disk->fd);
	disk->fd = -1;
}
