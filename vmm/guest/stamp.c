// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stamps memory and checks the stamps, as the VMM commands (guest_abi.h).
 *
 * Each processor asks its command port what to do, does it on the pages that its mailbox
 * names, and reports. The guest does not know what happens to its memory meanwhile: a
 * stamp that is not the one it wrote is all it can see, and all it has to.
 */
#include "guest.h"

#define READ(x)		(*(const volatile typeof(x) *)&(x))
#define WRITE(x, v)	(*(volatile typeof(x) *)&(x) = (v))

static volatile uint64_t *stamp_at(uint64_t gfn, unsigned int word)
{
	return (volatile uint64_t *)(gfn * GUEST_PAGE_SIZE + word * GUEST_STAMP_STEP);
}

static void stamp(uint64_t gfn, uint64_t version)
{
	unsigned int i;

	for (i = 0; i < GUEST_STAMP_WORDS; i++)
		*stamp_at(gfn, i) = guest_stamp_word(gfn, version, i);
}

static void complain(struct guest_mailbox *box, uint64_t gfn, unsigned int word,
		     uint64_t expected, uint64_t found)
{
	if (box->errors == 0) {
		box->error_gfn = gfn;
		box->error_word = word;
		box->error_expected = expected;
		box->error_found = found;
	}
	WRITE(box->errors, box->errors + 1);
}

static void check(struct guest_mailbox *box, uint64_t gfn, uint64_t version)
{
	unsigned int i;

	for (i = 0; i < GUEST_STAMP_WORDS; i++) {
		uint64_t expected = guest_stamp_word(gfn, version, i);
		uint64_t found = *stamp_at(gfn, i);

		if (found != expected) {
			complain(box, gfn, i, expected, found);
			return;
		}
	}
}

static uint64_t rdtsc(void)
{
	uint32_t low, high;

	asm volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

/* Between two readings of the counter nothing but the access, so the costs of two hypervisors compare. */
static void touch(struct guest_mailbox *box, uint64_t gfn)
{
	uint32_t *cost = (uint32_t *)box->costs + box->done_pages;
	uint64_t before = rdtsc();

	*stamp_at(gfn, 0) = gfn;
	WRITE(*cost, (uint32_t)(rdtsc() - before));
}

/* Two intercepts that the VMM answers a time. */
static void echo(struct guest_mailbox *box)
{
	uint32_t *cost = (uint32_t *)box->costs;
	uint64_t i, before;

	for (i = 0; i < box->pages; i++) {
		before = rdtsc();
		outl(GUEST_PORT_ECHO, (uint32_t)i);
		if (inl(GUEST_PORT_ECHO) != (uint32_t)~i)
			WRITE(box->errors, box->errors + 1);
		WRITE(cost[i], (uint32_t)(rdtsc() - before));
		WRITE(box->done_pages, i + 1);
	}
}

static void clear_costs(struct guest_mailbox *box)
{
	uint32_t *cost = (uint32_t *)box->costs;
	uint64_t i;

	for (i = 0; i < box->pages; i++)
		WRITE(cost[i], 0);
}

static void visit(struct guest_mailbox *box, uint32_t command, uint64_t gfn, uint64_t round)
{
	switch (command) {
	case GUEST_COMMAND_STAMP:
		stamp(gfn, box->version);
		break;
	case GUEST_COMMAND_CHECK:
		check(box, gfn, box->version);
		break;
	case GUEST_COMMAND_UPDATE:
		check(box, gfn, box->version + round);
		stamp(gfn, box->version + round + 1);
		break;
	case GUEST_COMMAND_TOUCH:
		touch(box, gfn);
		break;
	}
}

/* Every page of the command once. */
static void walk(struct guest_mailbox *box, uint32_t command, uint64_t round)
{
	uint64_t count, mask = 0, i, k;

	if (box->offset >= box->pages)
		return;
	count = (box->pages - box->offset + box->stride - 1) / box->stride;
	while (mask + 1 < count)
		mask = mask << 1 | 1;
	for (i = 0; i <= (box->seed ? mask : count - 1); i++) {
		k = box->seed ? guest_shuffle(i, mask, box->seed + round) : i;
		if (k >= count)
			continue;
		visit(box, command, box->first_gfn + box->offset + k * box->stride, round);
		WRITE(box->done_pages, box->done_pages + 1);
	}
}

/*
 * Reads one page without ever leaving the guest by itself. The VMM raises box->version
 * when it has replaced the page: a stamp older than what the mailbox said *before* the
 * read is a translation that should be gone.
 */
static void spin(struct guest_mailbox *box)
{
	uint64_t gfn = box->first_gfn, least, gfn_found, version;

	while (!READ(box->stop)) {
		least = READ(box->version);
		asm volatile("" : : : "memory");
		gfn_found = *stamp_at(gfn, 0);
		version = *stamp_at(gfn, 1);
		if (gfn_found != gfn)
			complain(box, gfn, 0, gfn, gfn_found);
		else if (version < least)
			complain(box, gfn, 1, least, version);
		WRITE(box->seen_version, version);
		WRITE(box->done_pages, box->done_pages + 1);
	}
	WRITE(box->done_rounds, 1);
}

static void rounds(struct guest_mailbox *box, uint32_t command)
{
	uint64_t round;

	for (round = 0; !box->rounds || round < box->rounds; round++) {
		if (READ(box->stop))
			break;
		walk(box, command, round);
		WRITE(box->done_rounds, round + 1);
	}
}

static uint32_t perform(struct guest_mailbox *box, uint32_t command)
{
	box->errors = box->done_pages = box->done_rounds = 0;
	if (command == GUEST_COMMAND_TOUCH || command == GUEST_COMMAND_ECHO) {
		if (!box->costs || box->rounds != 1)
			return GUEST_STATUS_BAD_COMMAND;
		clear_costs(box);
	}
	if (command == GUEST_COMMAND_SPIN)
		spin(box);
	else if (command == GUEST_COMMAND_ECHO)
		echo(box);
	else if (command < GUEST_COMMAND_MAX && box->stride)
		rounds(box, command);
	else
		return GUEST_STATUS_BAD_COMMAND;
	return box->errors ? GUEST_STATUS_MISMATCH : GUEST_STATUS_OK;
}

void guest_main(unsigned int vp, const struct guest_boot *boot)
{
	struct guest_mailbox *box = guest_mailbox(vp);
	uint32_t command;

	(void)boot;
	for (;;) {
		command = inl(GUEST_PORT_COMMAND);
		if (command == GUEST_COMMAND_EXIT)
			return;
		outl(GUEST_PORT_REPORT, perform(box, command));
	}
}
