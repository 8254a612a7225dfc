// SPDX-License-Identifier: GPL-2.0-only
/* See stamper.h. */
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ktap.h"
#include "stamper.h"

unsigned int stamper_patience = 120;

static int failed(const char *what)
{
	ktap_note("guest: %s: %s", what, mshv_error());
	return -1;
}

int stamper_open(struct stamper *s, uint64_t size, unsigned int memory_flags)
{
	struct mshv_session_config config = {
		.memory_size = STAMPER_GPA + size,
		.vps = STAMPER_VPS,
		.memory_flags = memory_flags,
	};
	unsigned int vp;

	memset(s, 0, sizeof(*s));
	s->session = mshv_session_open(&config);
	if (!s->session)
		return failed("open");
	s->memory = mshv_session_memory(s->session) + STAMPER_GPA;
	s->size = size;
	for (vp = 0; vp < STAMPER_VPS; vp++)
		s->version[vp] = 1 + vp * 0x1000000;
	return mshv_session_boot(s->session, "stamp") ? failed("boot") : 0;
}

void stamper_close(struct stamper *s)
{
	mshv_session_close(s->session);
	memset(s, 0, sizeof(*s));
}

static int command(struct stamper *s, enum guest_command what, uint64_t rounds)
{
	struct guest_mailbox args = {
		.first_gfn = STAMPER_GPA / GUEST_PAGE_SIZE,
		.pages = s->size / GUEST_PAGE_SIZE,
		.stride = STAMPER_VPS,
		.rounds = rounds,
	};
	unsigned int vp;

	for (vp = 0; vp < STAMPER_VPS; vp++) {
		args.offset = vp;
		args.version = s->version[vp];
		/* One processor walks in order, the other at random. */
		args.seed = vp && what != GUEST_COMMAND_STAMP ? time(NULL) : 0;
		if (mshv_session_command(s->session, vp, what, &args))
			return failed("command");
	}
	return 0;
}

static void say_what_is_wrong(struct stamper *s, unsigned int vp)
{
	volatile struct guest_mailbox *box = mshv_session_mailbox(s->session, vp);

	ktap_note("guest: processor %u: %llu wrong stamps, first at GFN 0x%llx word %llu: 0x%llx, not 0x%llx",
		  vp, (unsigned long long)box->errors, (unsigned long long)box->error_gfn,
		  (unsigned long long)box->error_word, (unsigned long long)box->error_found,
		  (unsigned long long)box->error_expected);
}

static int await(struct stamper *s)
{
	unsigned int vp;
	int ret = 0;

	for (vp = 0; vp < STAMPER_VPS; vp++) {
		int status = mshv_session_wait(s->session, vp, stamper_patience);

		if (status == GUEST_STATUS_OK)
			continue;
		if (status < 0)
			failed("wait");
		else
			say_what_is_wrong(s, vp);
		ret = -1;
	}
	return ret;
}

int stamper_fill(struct stamper *s)
{
	return command(s, GUEST_COMMAND_STAMP, 1) ? -1 : await(s);
}

int stamper_check(struct stamper *s)
{
	return command(s, GUEST_COMMAND_CHECK, 1) ? -1 : await(s);
}

int stamper_start(struct stamper *s)
{
	if (command(s, GUEST_COMMAND_UPDATE, 0))
		return -1;
	s->working = true;
	return 0;
}

bool stamper_well(struct stamper *s)
{
	unsigned int vp;

	for (vp = 0; vp < STAMPER_VPS; vp++) {
		volatile struct guest_mailbox *box = mshv_session_mailbox(s->session, vp);

		if (box->errors) {
			say_what_is_wrong(s, vp);
			return false;
		}
		/* Its command has no end. */
		if (mshv_session_wait(s->session, vp, 0) >= 0 || errno != ETIMEDOUT) {
			failed("guest");
			return false;
		}
	}
	return true;
}

/* Each processor has been everywhere once. One that is just beginning is given the time. */
static void await_rounds(struct stamper *s)
{
	time_t deadline = time(NULL) + stamper_patience;
	unsigned int vp;

	for (vp = 0; vp < STAMPER_VPS; vp++)
		while (!mshv_session_mailbox(s->session, vp)->done_rounds && time(NULL) < deadline &&
		       stamper_well(s))
			usleep(1000);
}

int stamper_stop(struct stamper *s)
{
	unsigned int vp;
	int ret;

	await_rounds(s);
	for (vp = 0; vp < STAMPER_VPS; vp++)
		mshv_session_stop(s->session, vp);
	ret = await(s);
	s->working = false;
	for (vp = 0; vp < STAMPER_VPS; vp++) {
		uint64_t rounds = mshv_session_mailbox(s->session, vp)->done_rounds;

		s->version[vp] += rounds;
		if (!rounds) {
			ktap_note("guest: processor %u did nothing", vp);
			ret = -1;
		}
	}
	return ret;
}

uint64_t stamper_work(struct stamper *s)
{
	uint64_t pages = 0;
	unsigned int vp;

	for (vp = 0; vp < STAMPER_VPS; vp++)
		pages += mshv_session_mailbox(s->session, vp)->done_pages;
	return pages;
}

int stamper_await(struct stamper *s, uint64_t pages)
{
	uint64_t target = stamper_work(s) + pages;
	time_t deadline = time(NULL) + stamper_patience;

	while (stamper_work(s) < target) {
		if (time(NULL) > deadline) {
			ktap_note("guest: no progress");
			return -1;
		}
		usleep(1000);
	}
	return 0;
}

bool stamper_right(const struct stamper *s, const void *page, uint64_t index)
{
	uint64_t gfn = STAMPER_GPA / GUEST_PAGE_SIZE + index;
	unsigned int word;

	for (word = 0; word < GUEST_STAMP_WORDS; word++) {
		uint64_t found = *(const volatile uint64_t *)
			((const uint8_t *)page + word * GUEST_STAMP_STEP);

		if (found != guest_stamp_word(gfn, s->version[index % STAMPER_VPS], word)) {
			ktap_note("page %llu of the range, word %u: 0x%llx", (unsigned long long)index,
				  word, (unsigned long long)found);
			return false;
		}
	}
	return true;
}
