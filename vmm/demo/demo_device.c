// SPDX-License-Identifier: GPL-2.0-only
/*
 * The demonstration, the row about a device that is passed through: it writes to guest memory by DMA, at addresses that must stay
 * right, while Linux is asked to move and to swap all of the guest. VFIO's pin holds what the device may reach, for as long as it
 * may; nothing else of the guest is held, and nothing in the driver needs to know.
 *
 * The device is QEMU's edu (edu.h). It writes stamps, as the guest's own processors do, so the guest can tell whether each page
 * has what it should: the VMM prepares them in a page of its own, from where the device fetches them.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "demo.h"
#include "edu.h"
#include "host.h"

#define MIB		(1ull << 20)
#define PATIENCE	300

/* Where the device finds guest memory, and the VMM's own page. */
#define IOVA		(16 * MIB)
#define IOVA_PAGE	(32 * MIB)

#define DMA_PAGES	256u		/* of the guest that the device may reach */
#define DMA_SIZE	(DMA_PAGES * GUEST_PAGE_SIZE)
/* It writes every eighth of them: each takes 0.2 s. Of those in between, the second processor rewrites the odd ones. */
#define DMA_STRIDE	8u
#define DMA_WRITES	(DMA_PAGES / DMA_STRIDE)
#define DMA_VERSION	0x4000001ull

typedef unsigned long long ull;

struct passed {
	struct demo *demo;
	struct edu edu;
	uint8_t *page;			/* the VMM's own, for the device */
	uint64_t before[DMA_PAGES], after[DMA_PAGES];
	uint64_t held;			/* refusals to move a page that the device may reach */
	uint64_t wandered;		/* and pages that moved */
	uint64_t others;		/* pages of the rest of the guest that moved */
	atomic_bool stop;
	bool failed;
};

/* Moves all of the guest to and fro, compacts, and pages out, until told to stop. */
static void *disturb(void *arg)
{
	struct passed *p = arg;
	uint8_t *range = demo_range(p->demo);
	struct host_move dma, rest;
	unsigned int node = 1;

	do {
		p->failed |= host_move(range, DMA_SIZE, node, &dma) ||
			     host_move(range + DMA_SIZE, p->demo->touch_size - DMA_SIZE, node, &rest) ||
			     host_page_out(range, DMA_SIZE) || host_compact();
		if (p->failed)
			return NULL;
		/* Of a page that it could not move the kernel leaves the status as it was. */
		p->held += dma.busy + dma.failed;
		p->others += rest.moved;
		node = !node;
	} while (!p->stop);
	return NULL;
}

/* One page of the guest, by way of the device. */
static int write_page(struct passed *p, uint64_t index)
{
	uint64_t gfn = DEMO_FIRST_GPA / GUEST_PAGE_SIZE + index;
	unsigned int word;

	for (word = 0; word < GUEST_STAMP_WORDS; word++)
		*(volatile uint64_t *)(p->page + word * GUEST_STAMP_STEP) =
			guest_stamp_word(gfn, DMA_VERSION, word);
	return edu_read_memory(&p->edu, IOVA_PAGE, EDU_TRANSFER_MAX) ||
	       edu_write_memory(&p->edu, IOVA + index * GUEST_PAGE_SIZE, EDU_TRANSFER_MAX) ? -1 : 0;
}

static bool command(struct demo *demo, struct demo_report *report, unsigned int vp,
		    enum guest_command what, uint64_t pages, uint64_t stride, uint64_t version)
{
	struct guest_mailbox args = {
		.first_gfn = DEMO_FIRST_GPA / GUEST_PAGE_SIZE, .pages = pages, .stride = stride,
		.offset = vp, .version = version, .rounds = what != GUEST_COMMAND_UPDATE,
	};

	if (mshv_session_command(demo->session, vp, what, &args))
		return demo_failed(report, "command");
	return true;
}

/* Waits for a processor to have found @pages pages right, or, if @pages is 0, as many as it came by. */
static bool right(struct demo *demo, struct demo_report *report, unsigned int vp, uint64_t pages,
		  const char *what)
{
	volatile struct guest_mailbox *box = mshv_session_mailbox(demo->session, vp);
	int status = mshv_session_wait(demo->session, vp, PATIENCE);

	if (status < 0)
		return demo_failed(report, what);
	return demo_check(report, status == GUEST_STATUS_OK && box->done_pages &&
			  (!pages || box->done_pages == pages),
			  "%s: %llu stamps, %llu of them wrong", what, (ull)box->done_pages,
			  (ull)box->errors);
}

/* What the device wrote, and what the second processor did. */
static bool verify(struct demo *demo, struct demo_report *report, const char *when)
{
	uint64_t pages = demo->touch_size / GUEST_PAGE_SIZE;

	return command(demo, report, 0, GUEST_COMMAND_CHECK, DMA_PAGES, DMA_STRIDE, DMA_VERSION) &&
	       right(demo, report, 0, DMA_WRITES, when) &&
	       command(demo, report, 1, GUEST_COMMAND_CHECK, pages, DEMO_VPS, demo->version[1]) &&
	       right(demo, report, 1, pages / DEMO_VPS, "the guest's own");
}

/* The device writes, a processor works, Linux is asked to move everything. */
static bool write_all(struct passed *p, struct demo_report *report, uint64_t *work)
{
	struct demo *demo = p->demo;
	volatile struct guest_mailbox *box = mshv_session_mailbox(demo->session, 1);
	pthread_t thread;
	uint64_t i;
	int ret = 0;

	if (!command(demo, report, 1, GUEST_COMMAND_UPDATE, demo->touch_size / GUEST_PAGE_SIZE,
		     DEMO_VPS, demo->version[1]))
		return false;
	if (pthread_create(&thread, NULL, disturb, p))
		return demo_check(report, false, "start a thread");
	for (i = 0; i < DMA_WRITES && !ret; i++)
		ret = write_page(p, i * DMA_STRIDE);
	p->stop = true;
	pthread_join(thread, NULL);
	mshv_session_stop(demo->session, 1);
	if (ret)
		return demo_failed(report, "DMA");
	if (!right(demo, report, 1, 0, "meanwhile"))
		return false;
	demo->version[1] += box->done_rounds;
	*work = box->done_pages;
	return demo_check(report, !p->failed, "move, page out and compact");
}

static bool map(struct passed *p, struct demo_report *report)
{
	if (mshv_vfio_dma_map(p->edu.vfio, demo_range(p->demo), IOVA, DMA_SIZE) ||
	    mshv_vfio_dma_map(p->edu.vfio, p->page, IOVA_PAGE, GUEST_PAGE_SIZE))
		return demo_failed(report, "map for the device");
	return true;
}

/* The device has let go: the same request moves every page now. */
static bool release(struct passed *p, struct demo_report *report, uint64_t *moved)
{
	struct demo *demo = p->demo;
	struct host_pages where;
	struct host_move move;
	unsigned int attempt, node;

	if (mshv_vfio_dma_unmap(p->edu.vfio, IOVA, DMA_SIZE) ||
	    host_count_pages(demo_range(demo), DMA_SIZE, true, &where))
		return demo_failed(report, "release");
	node = where.node[0] >= where.node[1];
	for (attempt = 0; attempt < 10; attempt++) {
		if (host_move(demo_range(demo), DMA_SIZE, node, &move))
			return demo_failed(report, "move");
		if (move.moved == DMA_PAGES)
			break;
	}
	*moved = move.moved;
	return demo_check(report, move.moved == DMA_PAGES, "released: %llu of %u pages move again",
			  (ull)move.moved, DMA_PAGES);
}

static void pass_through(struct passed *p, struct demo_report *report)
{
	struct demo *demo = p->demo;
	uint64_t i, moved = 0, work = 0;

	if (!map(p, report) || host_page_frames(demo_range(demo), DMA_SIZE, p->before)) {
		demo_failed(report, "look at guest memory");
		return;
	}
	demo_progress(demo, "a device writes to %u pages; Linux is asked to move them", DMA_WRITES);
	if (!write_all(p, report, &work))
		return;
	if (host_page_frames(demo_range(demo), DMA_SIZE, p->after)) {
		demo_failed(report, "look at guest memory");
		return;
	}
	for (i = 0; i < DMA_PAGES; i++)
		p->wandered += !p->before[i] || p->before[i] != p->after[i];
	demo_check(report, p->wandered == 0, "none of the device's %u pages has moved (%llu)",
		   DMA_PAGES, (ull)p->wandered);
	demo_check(report, p->held >= DMA_PAGES, "Linux says so: it refused %llu times", (ull)p->held);
	demo_check(report, p->others > 0, "%llu times a page of the rest was moved",
		   (ull)p->others);
	verify(demo, report, "the device's");
	if (release(p, report, &moved))
		verify(demo, report, "the device's, elsewhere now");
	demo_counts(report, "%u pages written by DMA, %u held, %llu moved after release", DMA_WRITES,
		    DMA_PAGES, (ull)moved);
	demo_counts(report, "%llu times another page moved; %llu stamps checked meanwhile",
		    (ull)p->others, (ull)work);
}

void demo_row_passthrough(struct demo *demo, struct demo_report *report)
{
	struct demo own = { .memory_size = 16 * MIB + DEMO_FIRST_GPA, .touch_size = 16 * MIB,
			    .progress = demo->progress, .started = demo->started };
	struct passed *p;

	demo_end(demo);
	if (host_nodes() < 2) {
		demo_skip(report, "one NUMA node only");
		return;
	}
	p = calloc(1, sizeof(*p));
	if (!p) {
		demo_check(report, false, "out of memory");
		return;
	}
	p->demo = &own;
	p->page = mmap(NULL, GUEST_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p->page == MAP_FAILED)
		demo_check(report, false, "a page for the device: %s", strerror(errno));
	else if (edu_open(&p->edu) && errno == ENODEV)
		demo_skip(report, mshv_error());
	else if (!p->edu.vfio)
		demo_failed(report, "open the device");
	else if (demo_need_guest(&own, report, MSHV_MEMORY_SMALL) && demo_need_stamps(&own, report))
		pass_through(p, report);
	/* The device first: what it may reach is pinned. */
	edu_close(&p->edu);
	demo_end(&own);
	if (p->page != MAP_FAILED)
		munmap(p->page, GUEST_PAGE_SIZE);
	free(p);
}
