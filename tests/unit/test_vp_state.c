// SPDX-License-Identifier: GPL-2.0-only
/*
 * GET_VP_STATE and SET_VP_STATE: the local APIC, the XSAVE image and the synthetic timers travel, and
 * come back as they went.
 */
#include <stdlib.h>

#include <hvabi/cpuid.h>
#include <hypervisor/core/deadline.h>
#include <hypervisor/core/synthetic.h>
#include <hypervisor/core/time.h>
#include "unit.h"

#define PAGE		1700ull		/* of the parent's */
#define LENT		1710ull
#define XCOMP		(1ull << 63)

static struct cpu *const cpu = &mock_cpus[0];
static uint64_t id;
static struct vp *vp;

struct block {
	struct hvabi_input_vp_state in;
	uint64_t data[500];
};

static int setup(void **state)
{
	(void)state;
	mock_reset();
	id = mock_apic_child(60, HVABI_PARTITION_FLAG_LAPIC_ENABLED |
			     HVABI_PARTITION_FLAG_X2APIC_CAPABLE, synthetic_features());
	vp = mock_vp(id, 0);
	vp->apic.svr = 0x1ff;
	return 0;
}

static void *page(void)
{
	return platform_phys(PAGE << 12);
}

/* With @words of variable header, of input @block and for output at @out. */
static uint64_t call(uint16_t code, const struct block *block, unsigned int words, uint64_t out)
{
	memcpy(platform_phys(1 << 12), block, sizeof(block->in) + 8 * words);
	return mock_hypercall(cpu, code | (uint64_t)words << HVABI_CONTROL_VARHEAD_SHIFT, 1 << 12, out);
}

static uint64_t by_page(uint16_t code, uint32_t type, uint64_t states)
{
	const struct block block = {
		.in = { .partition_id = id, .type = type, .xsave_states = states }, .data = { PAGE },
	};

	return call(code, &block, 1, 0);
}

static void get(uint32_t type, uint64_t states)
{
	memset(page(), 0xee, 4096);
	assert_status(by_page(HVABI_CALL_GET_VP_STATE, type, states), SUCCESS);
}

static void set(uint32_t type, uint64_t states)
{
	assert_status(by_page(HVABI_CALL_SET_VP_STATE, type, states), SUCCESS);
}

/* ---- pages of the SynIC ---- */

/* They are the child's memory: empty here as long as nothing is mapped there, and not changed by a set. */
static void synic_pages(void **state)
{
	struct block b = { .in = { .partition_id = id, .type = HVABI_VP_STATE_SIM_PAGE }, .data = { PAGE } };

	(void)state;
	vp->synic.simp = 0x5000 | HVABI_MSR_PAGE_ENABLE;
	memset(page(), 0xee, 4096);
	assert_status(call(HVABI_CALL_GET_VP_STATE, &b, 1, 0), SUCCESS);
	assert_int_equal(((const uint64_t *)page())[7], 0);
	assert_status(call(HVABI_CALL_SET_VP_STATE, &b, 1, 0), SUCCESS);
	b.in.type = HVABI_VP_STATE_SIEF_PAGE;
	assert_status(call(HVABI_CALL_GET_VP_STATE, &b, 1, 0), SUCCESS);
	assert_status(call(HVABI_CALL_SET_VP_STATE, &b, 1, 0), SUCCESS);
}

/* What is in service stands in the child's page: while that is not mapped nobody knows. */
static void promised_eoi(void **state)
{
	(void)state;
	vp->assist_msr = 0x6000 | HVABI_MSR_PAGE_ENABLE;
	vp->assist_promised = true;
	assert_status(by_page(HVABI_CALL_GET_VP_STATE, HVABI_VP_STATE_LAPIC, 0), INVALID_VP_STATE);
	assert_status(by_page(HVABI_CALL_SET_VP_STATE, HVABI_VP_STATE_LAPIC, 0), INVALID_VP_STATE);
	assert_true(vp->assist_promised);
	assert_status(by_page(HVABI_CALL_GET_VP_STATE, HVABI_VP_STATE_XSAVE, 1), SUCCESS);
}

/* A message that waits for its slot travels with its timer. */
static void waiting_message(void **state)
{
	struct block b = { .in = { .partition_id = id, .type = HVABI_VP_STATE_SYNTHETIC_TIMERS } };
	struct hvabi_synthetic_timers_state *timers = (void *)b.data;

	(void)state;
	timers->timers[2].flags = HVABI_STIMER_STATE_UNDELIVERED;
	timers->timers[2].undelivered_expiration_time = 1234;
	assert_status(call(HVABI_CALL_SET_VP_STATE, &b, 25, 0), SUCCESS);
	assert_int_equal(vp->stimer[2].message, 1234);
	assert_true(vp->stimer[1].message == TIME_NEVER);
}

/* ---- what is refused ---- */

static void what_is_refused(void **state)
{
	const struct block good = {
		.in = { .partition_id = id, .type = HVABI_VP_STATE_LAPIC }, .data = { PAGE, PAGE + 1 },
	};
	struct block bad;

	(void)state;
	mock_deposit(id, LENT, 1);
	for (unsigned int set_it = 0; set_it < 2; set_it++) {
		uint16_t code = set_it ? HVABI_CALL_SET_VP_STATE : HVABI_CALL_GET_VP_STATE;

#define REFUSED(field, value, words, expected) do {		\
			bad = good;				\
			bad.field = value;			\
			assert_status(call(code, &bad, words, 0), expected);	\
		} while (0)
		memset(page(), 0, 4096);
		assert_status(call(code, &good, 2, 0), SUCCESS);
		REFUSED(in.partition_id, 7, 1, INVALID_PARTITION_ID);
		REFUSED(in.vp_index, 1, 1, INVALID_VP_INDEX);
		REFUSED(in.input_vtl, 0x11, 1, INVALID_PARAMETER);
		REFUSED(data[0], PAGE, 0, INVALID_PARAMETER);
		REFUSED(data[0], LENT, 1, INVALID_PARAMETER);
		REFUSED(data[1], LENT, 2, INVALID_PARAMETER);
		REFUSED(data[0], MOCK_HEAP, 1, INVALID_PARAMETER);
		REFUSED(data[0], ~0ull, 1, INVALID_PARAMETER);
		REFUSED(in.type, 0x80000004, 1, INVALID_PARAMETER);
		REFUSED(in.type, 5, 1, INVALID_PARAMETER);
		bad = good;
		bad.in.type = HVABI_VP_STATE_XSAVE;
		bad.in.xsave_states = 8;
		assert_status(call(code, &bad, 1, 0), INVALID_PARAMETER);
		bad.in.xsave_states = 1;
		bad.in.xsave_flags = 1;
		assert_status(call(code, &bad, 1, 0), INVALID_PARAMETER);
		vp->running = true;
		assert_status(call(code, &good, 1, 0), INVALID_VP_STATE);
		vp->running = false;
		/* A header that leaves the page. */
		for (uint64_t words = 508; words < 1024; words++)
			assert_status(mock_hypercall(cpu, code | words << 17, 1 << 12, 0),
				      INVALID_HYPERCALL_INPUT);
	}
	/* Other calls have none. */
	assert_status(mock_hypercall(cpu, HVABI_CALL_CREATE_PORT | 1ull << 17, 1 << 12, 0),
		      INVALID_HYPERCALL_INPUT);
}

static void without_an_apic(void **state)
{
	struct block block = { .in.type = HVABI_VP_STATE_LAPIC, .data = { PAGE } };

	(void)state;
	id = mock_child(10);
	mock_vp(id, 0);
	block.in.partition_id = id;
	assert_status(call(HVABI_CALL_GET_VP_STATE, &block, 1, 0), INVALID_PARAMETER);
	block.in.type = HVABI_VP_STATE_SYNTHETIC_TIMERS;
	assert_status(call(HVABI_CALL_GET_VP_STATE, &block, 1, 2 << 12), INVALID_PARAMETER);
	block.in.type = HVABI_VP_STATE_XSAVE;
	assert_status(call(HVABI_CALL_GET_VP_STATE, &block, 1, 0), SUCCESS);
}

/* A state that goes to pages leaves the output block alone, which then need be none. */
static void output_block(void **state)
{
	struct block block = {
		.in = { .partition_id = id, .type = HVABI_VP_STATE_LAPIC }, .data = { PAGE },
	};

	(void)state;
	memset(platform_phys(0), 0xee, 4096);
	memset(platform_phys(2 << 12), 0xee, 4096);
	assert_status(call(HVABI_CALL_GET_VP_STATE, &block, 1, 0), SUCCESS);
	assert_status(call(HVABI_CALL_GET_VP_STATE, &block, 1, 3), SUCCESS);
	for (unsigned int i = 0; i < 4096; i++)
		assert_int_equal(((uint8_t *)platform_phys(0))[i], 0xee);
	block.in.type = HVABI_VP_STATE_SYNTHETIC_TIMERS;
	assert_status(call(HVABI_CALL_GET_VP_STATE, &block, 0, 3), INVALID_ALIGNMENT);
	assert_status(call(HVABI_CALL_GET_VP_STATE, &block, 0, 2 << 12), SUCCESS);
	assert_int_equal(((uint8_t *)platform_phys(2 << 12))[199], 0);
	assert_int_equal(((uint8_t *)platform_phys(2 << 12))[200], 0xee);
}

/* ---- the local APIC ---- */

static void apic_registers(void **state)
{
	struct hvabi_local_apic_state *s = page();

	(void)state;
	vp->apic.isr[1] = 8;
	vp->apic.irr[7] = 1u << 31;
	vp->apic.icr = 0x03000000000c4041;
	vp->apic.lvt[LVT_ERROR] = 0xfe;
	get(HVABI_VP_STATE_LAPIC, 0);
	assert_int_equal(s->id, 0);
	assert_int_equal(s->version, APIC_VERSION);
	assert_int_equal(s->spurious, 0x1ff);
	assert_int_equal(s->dfr, 0xffffffff);
	assert_int_equal(s->isr[1], 8);
	assert_int_equal(s->irr[7], 1u << 31);
	assert_int_equal(s->icr_high, 0x03000000);
	assert_int_equal(s->icr_low, 0xc4041);
	assert_int_equal(s->lvt_error, 0xfe);
	assert_int_equal(s->lvt_lint0, 0x10000);
	assert_int_equal(((uint8_t *)page())[sizeof(*s)], 0);
	/* What cloud-hypervisor does before the first run. */
	s->lvt_lint0 = 0x700;
	s->lvt_lint1 = 0x400;
	set(HVABI_VP_STATE_LAPIC, 0);
	assert_int_equal(vp->apic.lvt[LVT_LINT0], 0x700);
	assert_int_equal(vp->apic.lvt[LVT_LINT1], 0x400);
	assert_int_equal(vp->apic.isr[1], 8);
}

static void what_no_register_holds_is_cleared(void **state)
{
	struct hvabi_local_apic_state *s = page();

	(void)state;
	memset(page(), 0xff, 4096);
	set(HVABI_VP_STATE_LAPIC, 0);
	assert_int_equal(vp->apic.id, 0);
	assert_int_equal(vp->apic.irr[0], 0xffff0000);
	assert_int_equal(vp->apic.isr[0], 0xffff0000);
	assert_int_equal(vp->apic.svr, 0x3ff);
	assert_int_equal(vp->apic.ldr, 0xff000000);
	assert_int_equal(vp->apic.esr, 0xe0);
	assert_int_equal(vp->apic.lvt[LVT_TIMER], 0x100ff);
	assert_int_equal(vp->apic.lvt[LVT_LINT0], 0x1a7ff);
	assert_int_equal(vp->apic.timer_divide, 0xb);
	/* Software-disabled: all entries are masked. */
	memset(page(), 0, 4096);
	s->spurious = 0xff;
	set(HVABI_VP_STATE_LAPIC, 0);
	for (unsigned int i = 0; i < LVTS; i++)
		assert_int_equal(vp->apic.lvt[i], 0x10000);
	/* x2APIC: the logical id follows from the other. */
	assert_true(apic_write_base(&vp->apic, 0xfee00d00, ~0ull));
	memset(page(), 0xff, 4096);
	set(HVABI_VP_STATE_LAPIC, 0);
	assert_int_equal(vp->apic.ldr, 1);
	assert_int_equal(vp->apic.icr, 0xffffffff000ccfff);
}

/* From any state that may be set: a get after it, set and got again, is the same. */
static void comes_back_as_it_went(void **state)
{
	unsigned int seed = getenv("SEED") ? (unsigned int)atoi(getenv("SEED")) : 20261128;
	static uint8_t first[4096];

	(void)state;
	print_message("seed %u\n", seed);
	srandom(seed);
	for (unsigned int round = 0; round < 20000; round++) {
		struct apic before;
		uint32_t *words = page();

		if (round == 10000)
			assert_true(apic_write_base(&vp->apic, 0xfee00d00, ~0ull));
		for (unsigned int i = 0; i < 64; i++)
			words[i] = (uint32_t)random() * (random() & 1 ? 0x10001u : 0x101u);
		set(HVABI_VP_STATE_LAPIC, 0);
		get(HVABI_VP_STATE_LAPIC, 0);
		memcpy(first, page(), 4096);
		before = vp->apic;
		set(HVABI_VP_STATE_LAPIC, 0);
		assert_true(vp->apic.deadline == before.deadline);
		before.timer_start = vp->apic.timer_start;
		assert_memory_equal(&before, &vp->apic, sizeof(before));
		get(HVABI_VP_STATE_LAPIC, 0);
		assert_memory_equal(first, page(), 4096);
		mock_tsc += (uint64_t)random() % 100000;
		deadline_expire(cpu, mock_tsc);
	}
}

static void the_timer_goes_on(void **state)
{
	struct hvabi_local_apic_state *s = page();

	(void)state;
	memset(page(), 0, 4096);
	s->spurious = 0x1ff;
	s->divide_configuration = 0;		/* by 2 */
	s->lvt_timer = 0x20050;
	s->initial_count = 1000;
	s->counter_value = 400;
	set(HVABI_VP_STATE_LAPIC, 0);
	assert_true(mock_timer == mock_tsc + 800);
	mock_tsc += 100;
	get(HVABI_VP_STATE_LAPIC, 0);
	assert_int_equal(s->counter_value, 350);
	assert_int_equal(s->initial_count, 1000);
	/* What is due has expired before it is read. */
	mock_tsc += 700;
	get(HVABI_VP_STATE_LAPIC, 0);
	assert_int_equal(s->irr[2], 1u << 16);
	assert_int_equal(s->counter_value, 1000);
	/* One-shot, and over. */
	s->lvt_timer = 0x50;
	s->counter_value = 0;
	set(HVABI_VP_STATE_LAPIC, 0);
	assert_true(mock_timer == TIME_NEVER);
	get(HVABI_VP_STATE_LAPIC, 0);
	assert_int_equal(s->initial_count, 1000);
	assert_int_equal(s->counter_value, 0);
	/* A count that is too large is the whole. */
	s->counter_value = 5000;
	set(HVABI_VP_STATE_LAPIC, 0);
	assert_true(mock_timer == mock_tsc + 2000);
	/* A TSC deadline stays over a get and a set. */
	s->lvt_timer = 0x40050;
	set(HVABI_VP_STATE_LAPIC, 0);
	assert_true(mock_timer == TIME_NEVER);
	apic_write_tsc_deadline(&vp->apic, mock_tsc + 5000);
	deadline_update(vp);
	get(HVABI_VP_STATE_LAPIC, 0);
	assert_int_equal(s->counter_value, 0);
	set(HVABI_VP_STATE_LAPIC, 0);
	assert_true(mock_timer == mock_tsc + 5000);
}

static void a_request_that_is_set_wakes(void **state)
{
	struct hvabi_local_apic_state *s = page();

	(void)state;
	mock_run = mock_ready_or_blocked;
	vp->halted = true;
	vp->state.rflags |= 0x200;
	assert_int_equal(mock_dispatch(vp), HVABI_DISPATCH_STATE_BLOCKED);
	get(HVABI_VP_STATE_LAPIC, 0);
	set(HVABI_VP_STATE_LAPIC, 0);
	assert_null(vp->signal_on);
	s->irr[2] = 1;
	set(HVABI_VP_STATE_LAPIC, 0);
	assert_non_null(vp->signal_on);
}

/* ---- XSAVE ---- */

static void image_travels(void **state)
{
	uint8_t *image = page();
	uint64_t *header = (uint64_t *)(image + 512);
	const union hvabi_register_value *value = mock_out();
	static uint8_t before[4096];
	uint8_t *area = vp_xsave_area(vp);

	(void)state;
	assert_status(mock_set(vp, HVABI_REG_XMM0 + 3, 0x1234), SUCCESS);
	assert_status(mock_set(vp, HVABI_REG_FP_MMX0 + 1, 0x5678), SUCCESS);
	get(HVABI_VP_STATE_XSAVE, 7);
	assert_true(header[0] == 3 && header[1] == (XCOMP | 7));
	/* AVX comes into use. */
	memset(area + 576, 0x77, 256);
	*(uint64_t *)(area + 512) |= 4;
	get(HVABI_VP_STATE_XSAVE, 7);
	assert_true(header[0] == 7 && header[1] == (XCOMP | 7));
	assert_int_equal(image[576 + 255], 0x77);
	assert_int_equal(image[832], 0);
	memcpy(before, area, 4096);
	memset(area, 0, 4096);
	set(HVABI_VP_STATE_XSAVE, 7);
	/* Less the mask of MXCSR, which is no state. */
	memcpy(area + 28, before + 28, 4);
	assert_memory_equal(area, before, 4096);
	/* Only what is asked for; the rest stays. */
	get(HVABI_VP_STATE_XSAVE, 5);
	assert_true(header[0] == 5 && header[1] == (XCOMP | 5));
	for (unsigned int i = 160; i < 416; i++)
		assert_int_equal(image[i], 0);
	header[0] = 1;
	set(HVABI_VP_STATE_XSAVE, 5);
	assert_int_equal(*(uint64_t *)(area + 512), 3);
	assert_status(mock_get(vp, HVABI_REG_XMM0 + 3), SUCCESS);
	assert_int_equal(value->reg64, 0x1234);
	/* The standard format; what it leaves out is as at reset. */
	memset(image, 0, 4096);
	header[0] = 4;
	*(uint32_t *)(image + 24) = 0x1f80;
	memset(image + 576, 0x66, 256);
	set(HVABI_VP_STATE_XSAVE, 7);
	assert_int_equal(area[576], 0x66);
	assert_int_equal(*(uint16_t *)area, 0x37f);
	assert_status(mock_get(vp, HVABI_REG_XMM0 + 3), SUCCESS);
	assert_int_equal(value->reg64, 0);
}

/* Components that leave a gap in the standard format, and one that is aligned in the other. */
static void compacted(void **state)
{
	uint8_t *image = page();
	uint64_t *header = (uint64_t *)(image + 512);
	uint8_t *area = vp_xsave_area(vp);

	(void)state;
	platform_info.xcr0_mask = 0x237;
	platform_info.xsave[4].offset = 1000;
	platform_info.xsave[4].bytes = 10;
	platform_info.xsave[5].offset = 1088;
	platform_info.xsave[5].bytes = 64;
	platform_info.xsave[5].aligned = true;
	platform_info.xsave[9].offset = 2688;
	platform_info.xsave[9].bytes = 8;
	for (unsigned int i = 0; i < 4096 - 576; i++)
		area[576 + i] = (uint8_t)(i * 7 + i / 256);
	*(uint64_t *)(area + 512) = 0x237;
	get(HVABI_VP_STATE_XSAVE, 0x233);
	assert_true(header[0] == 0x233 && header[1] == (XCOMP | 0x233));
	assert_memory_equal(image + 576, area + 1000, 10);
	assert_memory_equal(image + 640, area + 1088, 64);
	assert_memory_equal(image + 704, area + 2688, 8);
	memset(area + 1000, 0, 3000);
	set(HVABI_VP_STATE_XSAVE, 0x233);
	assert_memory_equal(image + 576, area + 1000, 10);
	assert_memory_equal(image + 640, area + 1088, 64);
	assert_memory_equal(image + 704, area + 2688, 8);
	assert_int_equal(*(uint64_t *)(area + 512), 0x237);
	assert_int_equal(*(uint64_t *)(area + 520), 0);
}

static void what_xrstor_refuses(void **state)
{
	uint8_t *image = page();
	uint64_t *header = (uint64_t *)(image + 512);
	static uint8_t before[4096];

	(void)state;
	get(HVABI_VP_STATE_XSAVE, 7);
	memcpy(before, vp_xsave_area(vp), 4096);
#define IMAGE_REFUSED(what, value) do {				\
		get(HVABI_VP_STATE_XSAVE, 7);			\
		what = value;					\
		assert_status(by_page(HVABI_CALL_SET_VP_STATE, HVABI_VP_STATE_XSAVE, 7), INVALID_PARAMETER); \
	} while (0)
	IMAGE_REFUSED(header[0], 8);
	IMAGE_REFUSED(header[1], 7);
	IMAGE_REFUSED(header[1], XCOMP | 1);
	IMAGE_REFUSED(header[1], XCOMP | 15);
	IMAGE_REFUSED(header[2], 1);
	IMAGE_REFUSED(header[7], 1);
	IMAGE_REFUSED(image[26], 1);
	get(HVABI_VP_STATE_XSAVE, 7);
	assert_status(by_page(HVABI_CALL_SET_VP_STATE, HVABI_VP_STATE_XSAVE, 1), INVALID_PARAMETER);
	assert_memory_equal(before, vp_xsave_area(vp), 4096);
}

/* ---- synthetic timers ---- */

static uint64_t set_timers(const struct hvabi_synthetic_timers_state *s, unsigned int words)
{
	struct block block = {
		.in = { .partition_id = id, .type = HVABI_VP_STATE_SYNTHETIC_TIMERS },
	};

	memcpy(block.data, s, sizeof(*s));
	return call(HVABI_CALL_SET_VP_STATE, &block, words, 0);
}

static void get_timers(struct hvabi_synthetic_timers_state *s)
{
	const struct block block = {
		.in = { .partition_id = id, .type = HVABI_VP_STATE_SYNTHETIC_TIMERS },
	};

	assert_status(call(HVABI_CALL_GET_VP_STATE, &block, 0, 2 << 12), SUCCESS);
	memcpy(s, mock_out(), sizeof(*s));
}

static void timers_travel(void **state)
{
	struct hvabi_synthetic_timers_state s = { 0 }, again;
	uint64_t now = clock_reference(vp->partition, mock_tsc);

	(void)state;
	s.timers[0].config = HVABI_STIMER_ENABLE | HVABI_STIMER_DIRECT | 0x50 << HVABI_STIMER_VECTOR_SHIFT;
	s.timers[0].count = now + 100000;
	s.timers[1].config = s.timers[0].config | HVABI_STIMER_PERIODIC;
	s.timers[1].count = 30000;
	s.timers[1].adjustment = 10000;
	s.timers[2].count = 77;
	s.timers[3].config = HVABI_STIMER_AUTO_ENABLE;
	assert_status(set_timers(&s, 24), INVALID_PARAMETER);
	assert_int_equal(vp->stimer[2].count, 0);
	assert_status(set_timers(&s, 25), SUCCESS);
	assert_true(vp->stimer[0].expiry == now + 100000);
	assert_true(vp->stimer[1].expiry == now + 20000);
	assert_true(mock_timer != TIME_NEVER);
	get_timers(&again);
	assert_memory_equal(&s, &again, sizeof(s));
	/* One that may not be is refused, and so are the others. */
	again = s;
	again.timers[2].count = 78;
	again.timers[3].config = 1ull << 63;
	assert_status(set_timers(&again, 25), INVALID_PARAMETER);
	assert_int_equal(vp->stimer[2].count, 77);
	/* It is due: an interrupt, and off. */
	mock_tsc = clock_of_reference(vp->partition, now + 100001);
	get_timers(&again);
	assert_false(again.timers[0].config & HVABI_STIMER_ENABLE);
	assert_int_equal(vp->apic.irr[2], 1u << 16);
	assert_int_equal(again.timers[1].adjustment, 100001 - 80000);
}

#define STATE_TEST(function) cmocka_unit_test_setup(function, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STATE_TEST(synic_pages),
		STATE_TEST(waiting_message),
		STATE_TEST(promised_eoi),
		STATE_TEST(what_is_refused),
		STATE_TEST(without_an_apic),
		STATE_TEST(output_block),
		STATE_TEST(apic_registers),
		STATE_TEST(what_no_register_holds_is_cleared),
		STATE_TEST(comes_back_as_it_went),
		STATE_TEST(the_timer_goes_on),
		STATE_TEST(a_request_that_is_set_wakes),
		STATE_TEST(image_travels),
		STATE_TEST(compacted),
		STATE_TEST(what_xrstor_refuses),
		STATE_TEST(timers_travel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
