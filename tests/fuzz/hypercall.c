// SPDX-License-Identifier: GPL-2.0-only
/*
 * libFuzzer target for the hypercall surface of the core.
 *
 * The input is a list of calls: a code from the table (or a raw one), a control
 * word, and a block.  Words that matter, such as partition ids, are drawn from
 * what exists, so that the fuzzer gets past the first check.  After each input
 * the books must balance: every deposited page is either free in its pool, in
 * use, or with the parent again, and after teardown no reference is left.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hvabi/debug.h>
#include <hvabi/hypercall.h>
#include <hvabi/memory.h>
#include <hvabi/status.h>
#include <hypervisor/core/frame.h>
#include <hypervisor/core/partition.h>
#include <tests/unit/mock.h>

#define IN_PAGE		3ull
#define OUT_PAGE	4ull

static const uint16_t codes[] = {
#define X(name, text) HVABI_CALL_##name,
	HVABI_DEBUG_CALLS(X)
#undef X
};

struct reader {
	const uint8_t *data;
	size_t left;
};

static void take(struct reader *r, void *to, size_t bytes)
{
	size_t now = bytes < r->left ? bytes : r->left;

	memset(to, 0, bytes);
	memcpy(to, r->data, now);
	r->data += now;
	r->left -= now;
}

static uint8_t take8(struct reader *r)
{
	uint8_t value;

	take(r, &value, 1);
	return value;
}

/* An id that exists, most of the time. */
static uint64_t pick_partition(uint8_t choice)
{
	struct partition *p = child_from_slot(choice % 4);

	if (choice & 0x80)
		return HVABI_PARTITION_ID_SELF;
	return p ? p->id : choice;
}

static enum run_result run(struct cpu *cpu, struct vp *vp)
{
	(void)cpu;
	return vp->index & 1 ? RUN_INTERCEPT : RUN_PREEMPTED;
}

/*
 * Words that get past the first checks: small indexes and page numbers, flags
 * that belong together.  A third of the calls stays raw.
 */
static void make_plausible(uint16_t code, uint64_t *block)
{
	static const uint32_t map_flags[] = {
		0x8001, 0x8003, 0x800d, 0x800f, 0x8000800f, 0x8000000f, 0x10000, 0x80010000,
		0x200003,
	};

	switch (code) {
	case HVABI_CALL_MAP_GPA_PAGES:
		block[2] = map_flags[(block[2] & 0xff) % 9];
		if (block[2] & HVABI_MAP_GPA_NO_ACCESS)
			memset(block + 3, 0, 509 * 8);
		if (block[2] & HVABI_MAP_GPA_LARGE_PAGE) {
			block[1] &= 0xe00;
			for (unsigned int i = 3; i < 512; i++)
				block[i] &= 0x1e00;
		}
		/* fall through */
	case HVABI_CALL_GET_GPA_PAGES_ACCESS_STATES:
	case HVABI_CALL_UNMAP_GPA_PAGES:
		block[1] &= 0xfff;
		if (code == HVABI_CALL_UNMAP_GPA_PAGES)
			block[2] &= 2;
		break;
	case HVABI_CALL_CREATE_PARTITION:
		block[0] = 0x80100;
		block[6] = 0;
		break;
	case HVABI_CALL_CREATE_VP:
		block[1] &= 3;
		block[4] = 0;
		break;
	case HVABI_CALL_GET_VP_REGISTERS:
	case HVABI_CALL_SET_VP_REGISTERS:
	case HVABI_CALL_MAP_VP_STATE_PAGE:
	case HVABI_CALL_UNMAP_VP_STATE_PAGE:
	case HVABI_CALL_TRANSLATE_VIRTUAL_ADDRESS:
	case HVABI_CALL_DISPATCH_VP:
	case HVABI_CALL_DELETE_VP:
		block[1] &= 0x0100000100000003ull;
		block[3] &= code == HVABI_CALL_DISPATCH_VP ? 0 : ~0ull;
		block[2] &= code == HVABI_CALL_DISPATCH_VP ? 0 : ~0ull;
		break;
	default:
		break;
	}
}

static void one_call(struct reader *r)
{
	uint8_t which = take8(r), flags = take8(r);
	uint16_t code = codes[which % (sizeof(codes) / sizeof(codes[0]))];
	uint64_t block[512], control, id;
	uint16_t reps, start;
	size_t words;

	if (which == 0xff)
		take(r, &code, sizeof(code));
	take(r, &reps, sizeof(reps));
	start = flags & 1 ? take8(r) : 0;
	words = take8(r) % 16;
	memset(block, 0, sizeof(block));
	take(r, block, words * 8);
	/* Small page numbers repeat through the list, so that deposits work. */
	for (size_t i = words; i < 512; i++)
		block[i] = block[words ? words - 1 : 0] + i;
	id = pick_partition(take8(r));
	if (!(flags & 2))
		memcpy(block, &id, 8);
	if (which % 3)
		make_plausible(code, block);
	if (!(flags & 4))
		reps &= 0x1ff;
	/* As on a real machine, the parent cannot write what it gave away. */
	if (frame_is_parents(IN_PAGE))
		memcpy(platform_phys(IN_PAGE << 12), block, sizeof(block));
	control = hvabi_control(code, reps, start);
	if (flags & 8)
		control |= HVABI_CONTROL_FAST;
	if (flags & 16)
		take(r, &control, sizeof(control));
	hypercall(&mock_cpus[0], control, flags & 8 ? id : IN_PAGE << 12,
		  flags & 32 ? take8(r) : OUT_PAGE << 12);
}

static void balance(void)
{
	uint64_t pooled = 0, owned = 0;

	for (uint64_t pfn = 0; pfn < MOCK_HEAP; pfn++)
		owned += frame_of(pfn)->owner == FRAME_POOL;
	pooled = parent.pool.deposited;
	for (struct partition *p = child_from_slot(0); p; p = child_from_slot(p->slot + 1u))
		pooled += p->pool.deposited;
	if (pooled != owned) {
		fprintf(stderr, "pools hold %llu pages, frames say %llu\n",
			(unsigned long long)pooled, (unsigned long long)owned);
		abort();
	}
}

static void teardown(void)
{
	for (struct partition *p = child_from_slot(0); p; p = child_from_slot(p->slot + 1u)) {
		if (p->state == PARTITION_ACTIVE)
			partition_finalize(&mock_cpus[0], p);
		if (p->pool.free != p->pool.deposited) {
			fprintf(stderr, "a finalized partition still uses memory\n");
			abort();
		}
	}
	for (uint64_t pfn = 0; pfn < MOCK_HEAP; pfn++) {
		if (frame_of(pfn)->refs || frame_of(pfn)->mark) {
			fprintf(stderr, "page %llx keeps a reference\n", (unsigned long long)pfn);
			abort();
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader r = { data, size };

	/* Tear the children of the last input down first: it may have changed options. */
	mock_reset();
	mock_run = run;
	mock_child(40);
	while (r.left)
		one_call(&r);
	balance();
	teardown();
	return 0;
}
