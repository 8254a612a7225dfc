// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shoot-down: a page is replaced under a guest that reads it without ever leaving.
 *
 * Emulation flushes its TLB at every exit, so a stale translation can only be seen by a
 * processor that stays in the guest (docs: what emulation hides). The guest spins on a
 * page on another processor; the VMM puts another page at the same address, raises the
 * version that the guest may see once that call has returned, and the guest complains if
 * it then still reads the old page.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "host.h"
#include "ktap.h"
#include "session.h"

#define GFN		(GUEST_FREE / GUEST_PAGE_SIZE + 1024)
#define MEMORY		(32u << 20)
#define SECONDS		120

static struct mshv_session *session;

static void close_session(void)
{
	mshv_session_close(session);
	session = NULL;
}

static void stamp(uint8_t *page, uint64_t gfn, uint64_t version)
{
	unsigned int i;

	for (i = 0; i < GUEST_STAMP_WORDS; i++)
		*(uint64_t *)(void *)(page + i * GUEST_STAMP_STEP) =
			guest_stamp_word(gfn, version, i);
}

static void *new_page(uint64_t version)
{
	uint8_t *page = mmap(NULL, GUEST_PAGE_SIZE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return NULL;
	stamp(page, GFN, version);
	return page;
}

/* Waits until the spinning processor has read @version or newer. */
static bool seen(volatile struct guest_mailbox *box, uint64_t version)
{
	double deadline = host_seconds() + SECONDS;

	while (box->seen_version < version) {
		if (host_seconds() > deadline || box->errors)
			return false;
		usleep(100);
	}
	return true;
}

static enum ktap_result spin(unsigned int vps, unsigned int rounds, unsigned int flags)
{
	struct mshv_session_config config = {
		.memory_size = MEMORY, .vps = vps, .memory_flags = flags, .console = stderr,
	};
	struct guest_mailbox args = { .first_gfn = GFN, .pages = 1, .stride = 1, .version = 1 };
	uint8_t *target, *page;
	unsigned int vp;
	uint64_t version;

	session = mshv_session_open(&config);
	CHECK(session, "%s", mshv_error());
	target = mshv_session_memory(session) + GFN * GUEST_PAGE_SIZE;
	stamp(target, GFN, 1);
	CHECK(mshv_session_boot(session, "stamp") == 0, "%s", mshv_error());
	for (vp = 0; vp < vps; vp++)
		CHECK(mshv_session_command(session, vp, GUEST_COMMAND_SPIN, &args) == 0,
		      "%s", mshv_error());
	for (version = 2; version < rounds + 2; version++) {
		for (vp = 0; vp < vps; vp++)
			CHECK(seen(mshv_session_mailbox(session, vp), version - 1),
			      "processor %u does not see version %u", vp,
			      (unsigned int)version - 1);
		page = new_page(version);
		CHECK(page, "no page");
		CHECK(mremap(page, GUEST_PAGE_SIZE, GUEST_PAGE_SIZE,
			     MREMAP_MAYMOVE | MREMAP_FIXED, target) == target, "mremap");
		for (vp = 0; vp < vps; vp++)
			mshv_session_mailbox(session, vp)->version = version;
	}
	for (vp = 0; vp < vps; vp++) {
		volatile struct guest_mailbox *box = mshv_session_mailbox(session, vp);
		int status;

		CHECK(seen(box, rounds + 1), "processor %u does not see the last version", vp);
		mshv_session_stop(session, vp);
		status = mshv_session_wait(session, vp, SECONDS);
		CHECK(status == GUEST_STATUS_OK, "processor %u: status %d, %llu errors, first: "
		      "word %llu, at least 0x%llx wanted, 0x%llx read", vp, status,
		      (unsigned long long)box->errors, (unsigned long long)box->error_word,
		      (unsigned long long)box->error_expected,
		      (unsigned long long)box->error_found);
		ktap_note("processor %u read the page %llu times", vp,
			  (unsigned long long)box->done_pages);
	}
	return PASS;
}

static enum ktap_result one(void)
{
	return spin(1, 300, MSHV_MEMORY_SMALL);
}

static enum ktap_result two(void)
{
	return spin(2, 300, MSHV_MEMORY_SMALL);
}

/* The page is part of a 2 MiB map, which has to be given up or split. */
static enum ktap_result in_a_block(void)
{
	return spin(1, 20, 0);
}

int main(void)
{
	static const struct ktap_test tests[] = {
		{ "a page is replaced under one spinning processor", one },
		{ "a page is replaced under two spinning processors", two },
		{ "a page of a large map is replaced", in_a_block },
	};

	ktap_cleanup = close_session;
	return KTAP_RUN(tests);
}
