// SPDX-License-Identifier: GPL-2.0-only
/*
 * The virtual local APIC: every register in both modes, priorities, errors, destinations, the
 * timer at its boundaries, and a random walk against sets of vectors.
 */
#include <stdio.h>
#include <stdlib.h>

#include <hypervisor/core/apic.h>
#include "unit.h"

#define MASK		((1ull << 40) - 1)
#define MASKED		0x10000u
#define PERIODIC	0x20000u
#define DEADLINE	0x40000u
#define X2APIC_ICR	0xffffffff000ccfffull

#define ESR_SENT	0x20
#define ESR_RECEIVED	0x40
#define ESR_REGISTER	0x80

static struct apic a;
static struct apic_ipi ipi;
static uint8_t vector;
static uint64_t now;

static uint64_t rd(uint32_t reg)
{
	uint64_t value = 0x5a5a;

	assert_true(apic_read(&a, reg, now, &value));
	return value;
}

static enum apic_effect wr(uint32_t reg, uint64_t value)
{
	return apic_write(&a, reg, value, now, &ipi, &vector);
}

static void put(uint32_t reg, uint64_t value)
{
	assert_int_equal(wr(reg, value), APIC_DONE);
}

static void power_up(uint32_t id)
{
	memset(&a, 0xee, sizeof(a));
	apic_reset(&a, id);
	now = 0;
}

/* Power-up, software-enabled, in one of the two modes. */
static void begin(uint32_t id, bool x2apic)
{
	power_up(id);
	if (x2apic)
		assert_true(apic_write_base(&a, a.base | APIC_BASE_EXTD, MASK));
	put(APIC_SVR, 0x1ff);
}

static int setup(void **state)
{
	(void)state;
	begin(0, false);
	return 0;
}

static void check_reset_registers(void)
{
	for (uint32_t i = 0; i < 8; i++) {
		assert_int_equal(rd(APIC_IRR + i), 0);
		assert_int_equal(rd(APIC_ISR + i), 0);
		assert_int_equal(rd(APIC_TMR + i), 0);
	}
	for (uint32_t reg = APIC_LVT_TIMER; reg <= APIC_LVT_ERROR; reg++)
		assert_int_equal(rd(reg), MASKED);
	assert_int_equal(rd(APIC_VERSION_REG), 0x50014);
	assert_int_equal(rd(APIC_SVR), 0xff);
	assert_int_equal(rd(APIC_TPR), 0);
	assert_int_equal(rd(APIC_PPR), 0);
	assert_int_equal(rd(APIC_ESR), 0);
	assert_int_equal(rd(APIC_ICR), 0);
	assert_int_equal(rd(APIC_TIMER_INITIAL), 0);
	assert_int_equal(rd(APIC_TIMER_CURRENT), 0);
	assert_int_equal(rd(APIC_TIMER_DIVIDE), 0);
	assert_true(a.deadline == APIC_NEVER);
	assert_int_equal(a.extint, -1);
	assert_int_equal(apic_pending(&a), APIC_NO_VECTOR);
	assert_int_equal(apic_requested(&a), APIC_NO_VECTOR);
}

/* As far from reset as software and messages can take it. */
static void make_busy(void)
{
	put(APIC_SVR, 0x1f0);
	put(APIC_TPR, 0x35);
	for (uint32_t reg = APIC_LVT_TIMER; reg <= APIC_LVT_ERROR; reg++)
		put(reg, 0x40 + reg);
	put(APIC_TIMER_DIVIDE, 3);
	put(APIC_TIMER_INITIAL, 1000);
	assert_true(apic_accept(&a, APIC_MODE_FIXED, 0x77, true));
	assert_true(apic_accept(&a, APIC_MODE_FIXED, 0x78, true));
	apic_take(&a, 0x78);
	assert_true(apic_accept(&a, APIC_MODE_EXTINT, 9, false));
	assert_true(apic_accept(&a, APIC_MODE_NMI, 0, false));
	wr(APIC_ICR, 5);
	put(APIC_ESR, 0);
	wr(APIC_ICR, 6);
	assert_int_equal(wr(APIC_ICR, 0xc4500), APIC_SEND);
	if (!apic_is_x2apic(&a)) {
		put(APIC_LDR, 0x04000000);
		put(APIC_DFR, 0);
		put(APIC_ICR_HIGH, 0x12000000);
	}
}

static void power_up_state(void **state)
{
	(void)state;
	for (uint32_t id = 0; id < 3; id++) {
		power_up(id);
		check_reset_registers();
		assert_int_equal(a.base, id ? 0xfee00800 : 0xfee00900);
		assert_int_equal(a.wait_for_sipi, id != 0);
		assert_int_equal(rd(APIC_ID), id << 24);
		assert_int_equal(rd(APIC_LDR), 0);
		assert_int_equal(rd(APIC_DFR), 0xffffffff);
		assert_false(a.nmi || a.init || a.sipi);
	}
	power_up(63);
	assert_int_equal(rd(APIC_ID), 63u << 24);
}

static void init_keeps_id_and_base(void **state)
{
	(void)state;
	for (uint32_t id = 0; id < 40; id += 39) {
		for (int x2apic = 0; x2apic < 2; x2apic++) {
			uint64_t base;

			begin(id, x2apic);
			base = a.base;
			make_busy();
			apic_accept(&a, APIC_MODE_INIT, 0, false);
			apic_init(&a);
			check_reset_registers();
			assert_int_equal(a.base, base);
			assert_int_equal(a.id, id);
			assert_true(a.wait_for_sipi);
			assert_false(a.nmi || a.init || a.sipi);
			/* Nothing is left of the error interrupt either: the next one is heard. */
			assert_false(a.error_raised);
			assert_int_equal(a.esr_pending, 0);
			assert_int_equal(rd(APIC_LDR), x2apic ? (id >> 4 << 16 | 1u << (id & 15)) : 0);
			if (!x2apic) {
				assert_int_equal(rd(APIC_DFR), 0xffffffff);
				assert_int_equal(rd(APIC_ICR_HIGH), 0);
			}
		}
	}
}

/* ---- APIC_BASE ---- */

static void to_state(unsigned int which)
{
	power_up(1);
	if (which == 0)
		assert_true(apic_write_base(&a, 0xfee00000, MASK));
	if (which == 2)
		assert_true(apic_write_base(&a, 0xfee00c00, MASK));
}

static void transitions(void **state)
{
	/* From disabled, xAPIC, x2APIC to EN EXTD = 00, 10, 11, 01. */
	static const uint64_t targets[] = { 0xfee00000, 0xfee00800, 0xfee00c00, 0xfee00400 };
	static const bool allowed[3][4] = {
		{ true, true, false, false },
		{ true, true, true, false },
		{ true, false, true, false },
	};

	(void)state;
	for (unsigned int from = 0; from < 3; from++) {
		for (unsigned int to = 0; to < 4; to++) {
			struct apic before;

			to_state(from);
			before = a;
			assert_int_equal(apic_write_base(&a, targets[to], MASK), allowed[from][to]);
			if (!allowed[from][to])
				assert_memory_equal(&a, &before, sizeof(a));
			else
				assert_int_equal(a.base, targets[to]);
		}
	}
}

/* A VMM brings it from any mode into any other, and then it is as after that. */
static void a_vmm_sets_any_mode(void **state)
{
	static const uint64_t targets[] = { 0, 0xfee00900, 0xfee00d00, 0xfee00000, 0x100 };

	(void)state;
	for (unsigned int from = 0; from < 3; from++) {
		for (unsigned int to = 0; to < sizeof(targets) / sizeof(targets[0]); to++) {
			bool disabled = !(targets[to] & APIC_BASE_ENABLE);

			to_state(from);
			if (from)
				apic_set_cr8(&a, 5);
			assert_true(apic_set_base(&a, targets[to], MASK));
			assert_int_equal(a.base, disabled ? 0xfee00000 | (targets[to] & 0x100) : targets[to]);
			assert_int_equal(apic_is_x2apic(&a), to == 2);
			if (disabled) {
				/* As software does it: the value that is there, and ENABLE. */
				assert_true(apic_write_base(&a, a.base | APIC_BASE_ENABLE, MASK));
				continue;
			}
			assert_int_equal(apic_cr8(&a), from ? 5 : 0);
			assert_int_equal(a.ldr, to == 2 ? 1u << 1 : 0);
			put(APIC_SVR, 0x1ff);
			assert_int_equal(rd(APIC_SVR), 0x1ff);
		}
	}
	/* An address elsewhere, EXTD alone, a bit that is none. */
	assert_false(apic_set_base(&a, 0xfed00900, MASK));
	assert_false(apic_set_base(&a, 0x900, MASK));
	assert_false(apic_set_base(&a, 0xfee00400, MASK));
	assert_false(apic_set_base(&a, 0xfee00901, MASK));
	assert_false(apic_set_base(&a, 1ull << 63, MASK));
}

static void base_refuses_what_it_does_not_have(void **state)
{
	struct apic before = a;

	(void)state;
	for (unsigned int bit = 0; bit < 64; bit++) {
		bool ok = bit == 10 || bit == 11;	/* becomes x2APIC; is disabled */

		a = before;
		assert_int_equal(apic_write_base(&a, before.base ^ 1ull << bit, MASK), ok);
		if (!ok)
			assert_memory_equal(&a, &before, sizeof(a));
	}
	/* An address that the child's processor does not have, and one that it has. */
	a = before;
	assert_false(apic_write_base(&a, before.base | 1ull << 40, MASK));
	assert_false(apic_write_base(&a, 0xfed00900, MASK));
	assert_false(apic_write_base(&a, 0x900, MASK));
	/* Boot processor or not: nobody becomes the other. */
	assert_false(apic_write_base(&a, 0xfee00800, MASK));
	assert_true(apic_write_base(&a, 0xfee00900, MASK));
	power_up(1);
	assert_false(apic_write_base(&a, 0xfee00900, MASK));
}

static void disabling_resets(void **state)
{
	uint64_t value = 1;

	(void)state;
	for (int x2apic = 0; x2apic < 2; x2apic++) {
		begin(17, x2apic);
		make_busy();
		assert_true(apic_write_base(&a, 0xfee00000, MASK));
		/* There are no registers now. */
		assert_false(apic_read(&a, APIC_VERSION_REG, now, &value));
		assert_int_equal(value, 0);
		assert_int_equal(wr(APIC_SVR, 0x1ff), APIC_DONE);
		assert_int_equal(wr(APIC_ICR, 0x4050), APIC_DONE);
		assert_false(apic_timer(&a, ~0ull - 1));
		assert_true(apic_write_base(&a, 0xfee00800, MASK));
		check_reset_registers();
		assert_int_equal(rd(APIC_LDR), 0);
		assert_int_equal(rd(APIC_DFR), 0xffffffff);
		assert_int_equal(rd(APIC_ID), 17u << 24);
		/* The request was to the processor, not to its APIC. */
		assert_true(a.nmi);
		assert_true(a.wait_for_sipi);
	}
}

static void x2apic_keeps_what_xapic_had(void **state)
{
	struct apic before;

	(void)state;
	begin(0x25, false);
	make_busy();
	before = a;
	assert_true(apic_write_base(&a, a.base | APIC_BASE_EXTD, MASK));
	assert_int_equal(rd(APIC_ID), 0x25);
	assert_int_equal(rd(APIC_LDR), 0x20020);
	assert_int_equal(rd(APIC_ICR), before.icr & 0xffffffff);
	assert_int_equal(rd(APIC_TPR), 0x35);
	assert_int_equal(rd(APIC_SVR), 0x1f0);
	assert_memory_equal(a.irr, before.irr, sizeof(a.irr));
	assert_memory_equal(a.isr, before.isr, sizeof(a.isr));
	assert_memory_equal(a.lvt, before.lvt, sizeof(a.lvt));
	assert_true(a.deadline == before.deadline);
	/* Written once more, nothing happens. */
	wr(APIC_ICR, 0x1200004050);
	before = a;
	assert_true(apic_write_base(&a, a.base, MASK));
	assert_memory_equal(&a, &before, sizeof(a));
}

static void logical_ids_of_x2apic(void **state)
{
	static const struct {
		uint32_t id, ldr;
	} rows[] = {
		{ 0, 1 }, { 1, 2 }, { 15, 0x8000 }, { 16, 0x10001 }, { 63, 0x38000 },
		{ 255, 0xf8000 }, { 0xfffff, 0xffff8000 },
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		begin(rows[i].id, true);
		assert_int_equal(rd(APIC_LDR), rows[i].ldr);
		assert_int_equal(rd(APIC_ID), rows[i].id);
	}
}

/* ---- registers ---- */

/* r, w or both, in xAPIC mode and in x2APIC mode. */
static const struct {
	uint32_t first, last;
	const char *xapic, *x2apic;
	uint64_t x2apic_bits;
} registers[] = {
	{ APIC_ID, APIC_ID, "r", "r", 0 },
	{ APIC_VERSION_REG, APIC_VERSION_REG, "r", "r", 0 },
	{ APIC_TPR, APIC_TPR, "rw", "rw", 0xff },
	{ APIC_PPR, APIC_PPR, "r", "r", 0 },
	{ APIC_EOI, APIC_EOI, "w", "w", 0 },
	{ APIC_LDR, APIC_LDR, "rw", "r", 0 },
	{ APIC_DFR, APIC_DFR, "rw", "", 0 },
	{ APIC_SVR, APIC_SVR, "rw", "rw", 0x3ff },
	{ 0x10, 0x27, "r", "r", 0 },
	{ APIC_ESR, APIC_ESR, "rw", "rw", 0 },
	{ APIC_ICR, APIC_ICR, "rw", "rw", X2APIC_ICR },
	{ APIC_ICR_HIGH, APIC_ICR_HIGH, "rw", "", 0 },
	{ APIC_LVT_TIMER, APIC_LVT_TIMER, "rw", "rw", 0x710ff },
	{ APIC_LVT_THERMAL, APIC_LVT_PERF, "rw", "rw", 0x117ff },
	{ APIC_LVT_LINT0, APIC_LVT_LINT1, "rw", "rw", 0x1f7ff },
	{ APIC_LVT_ERROR, APIC_LVT_ERROR, "rw", "rw", 0x110ff },
	{ APIC_TIMER_INITIAL, APIC_TIMER_INITIAL, "rw", "rw", 0xffffffff },
	{ APIC_TIMER_CURRENT, APIC_TIMER_CURRENT, "r", "r", 0 },
	{ APIC_TIMER_DIVIDE, APIC_TIMER_DIVIDE, "rw", "rw", 0xb },
	{ APIC_SELF_IPI, APIC_SELF_IPI, "", "w", 0xff },
};

static int find_register(uint32_t reg)
{
	for (unsigned int i = 0; i < sizeof(registers) / sizeof(registers[0]); i++)
		if (reg >= registers[i].first && reg <= registers[i].last)
			return (int)i;
	return -1;
}

static void x2apic_rights(void **state)
{
	(void)state;
	for (uint32_t reg = 0; reg < 0x400; reg++) {
		int row = find_register(reg);
		const char *rights = row < 0 ? "" : registers[row].x2apic;
		struct apic before;
		uint64_t value = 1;

		begin(3, true);
		before = a;
		assert_int_equal(apic_read(&a, reg, now, &value), strchr(rights, 'r') != NULL);
		if (!strchr(rights, 'r'))
			assert_int_equal(value, 0);
		assert_memory_equal(&a, &before, sizeof(a));
		if (strchr(rights, 'w')) {
			assert_int_not_equal(wr(reg, 0), APIC_FAULT);
			continue;
		}
		assert_int_equal(wr(reg, 0), APIC_FAULT);
		assert_memory_equal(&a, &before, sizeof(a));
	}
}

static void x2apic_reserved_bits(void **state)
{
	(void)state;
	for (uint32_t reg = 0; reg < 0x40; reg++) {
		int row = find_register(reg);

		if (row < 0 || !strchr(registers[row].x2apic, 'w'))
			continue;
		for (unsigned int bit = 0; bit < 64; bit++) {
			bool ok = registers[row].x2apic_bits >> bit & 1;
			struct apic before;

			begin(3, true);
			make_busy();
			before = a;
			now = 1ull << 40;	/* the timer has expired, but not even that shows */
			assert_int_equal(wr(reg, 1ull << bit) != APIC_FAULT, ok);
			if (!ok)
				assert_memory_equal(&a, &before, sizeof(a));
		}
	}
	begin(3, true);
	assert_int_equal(wr(APIC_LVT_TIMER, 0x60050), APIC_FAULT);
	assert_int_equal(rd(APIC_LVT_TIMER), MASKED);
	/* Read-only bits may be written, and stay clear. */
	put(APIC_LVT_LINT0, 0xf7ff);
	assert_int_equal(rd(APIC_LVT_LINT0), 0xa7ff);
}

static void xapic_never_faults(void **state)
{
	(void)state;
	for (uint32_t reg = 0; reg < 0x100; reg++) {
		int row = find_register(reg);
		const char *rights = row < 0 ? "" : registers[row].xapic;
		uint32_t error = *rights ? 0 : ESR_REGISTER;
		uint64_t value = 1;

		begin(3, false);
		assert_int_equal(apic_read(&a, reg, now, &value), strchr(rights, 'r') != NULL);
		if (!strchr(rights, 'r'))
			assert_int_equal(value, 0);
		assert_int_equal(a.esr_pending, error);
		put(APIC_ESR, 0x1234);
		assert_int_equal(rd(APIC_ESR), error);
		put(APIC_ESR, 0);
		assert_int_equal(rd(APIC_ESR), 0);
		if (!strchr(rights, 'w')) {
			struct apic before = a;

			before.esr_pending = error;
			assert_int_equal(wr(reg, ~0ull), APIC_DONE);
			assert_memory_equal(&a, &before, sizeof(a));
		}
	}
}

static void xapic_registers_keep_their_bits(void **state)
{
	static const struct {
		uint32_t reg;
		uint32_t bits, always;
	} rows[] = {
		{ APIC_TPR, 0xff, 0 }, { APIC_LDR, 0xff000000, 0 },
		{ APIC_DFR, 0xf0000000, 0x0fffffff }, { APIC_SVR, 0x3ff, 0 },
		{ APIC_ICR_HIGH, 0xff000000, 0 }, { APIC_LVT_TIMER, 0x700ff, 0 },
		{ APIC_LVT_THERMAL, 0x107ff, 0 }, { APIC_LVT_PERF, 0x107ff, 0 },
		{ APIC_LVT_LINT0, 0x1a7ff, 0 }, { APIC_LVT_LINT1, 0x1a7ff, 0 },
		{ APIC_LVT_ERROR, 0x100ff, 0 }, { APIC_TIMER_INITIAL, 0xffffffff, 0 },
		{ APIC_TIMER_DIVIDE, 0xb, 0 },
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (unsigned int bit = 0; bit < 64; bit++) {
			begin(0, false);
			put(rows[i].reg, 1ull << bit);
			assert_int_equal(rd(rows[i].reg),
					 ((1ull << bit) & rows[i].bits) | rows[i].always);
		}
		put(rows[i].reg, ~0ull);
		assert_int_equal(rd(rows[i].reg), rows[i].bits | rows[i].always);
	}
}

/* ---- requests and priorities ---- */

static bool in(const uint32_t *set, unsigned int v)
{
	return set[v / 32] >> (v % 32) & 1;
}

static void every_vector_is_accepted(void **state)
{
	(void)state;
	for (unsigned int v = 16; v < 256; v++) {
		begin(0, v & 1);
		assert_true(apic_accept(&a, v & 2 ? APIC_MODE_LOWEST : APIC_MODE_FIXED, (uint8_t)v,
					true));
		assert_int_equal(rd(APIC_IRR + v / 32), 1u << (v % 32));
		assert_int_equal(rd(APIC_TMR + v / 32), 1u << (v % 32));
		assert_int_equal(apic_requested(&a), v);
		assert_int_equal(apic_pending(&a), v);
		/* Twice is once; how it is triggered is what was said last. */
		assert_false(apic_accept(&a, APIC_MODE_FIXED, (uint8_t)v, false));
		assert_int_equal(rd(APIC_TMR + v / 32), 0);
		apic_take(&a, (uint8_t)v);
		assert_int_equal(rd(APIC_IRR + v / 32), 0);
		assert_int_equal(rd(APIC_ISR + v / 32), 1u << (v % 32));
		assert_int_equal(apic_requested(&a), APIC_NO_VECTOR);
		/* In service, it may be requested again, and waits. */
		assert_true(apic_accept(&a, APIC_MODE_FIXED, (uint8_t)v, true));
		assert_int_equal(apic_requested(&a), v);
		assert_int_equal(apic_pending(&a), APIC_NO_VECTOR);
		assert_int_equal(wr(APIC_EOI, 0), APIC_EOI_LEVEL);
		assert_int_equal(vector, v);
		assert_int_equal(apic_pending(&a), v);
	}
}

static void requests_need_an_enabled_apic(void **state)
{
	(void)state;
	assert_true(apic_accept(&a, APIC_MODE_FIXED, 0x50, false));
	/* What was accepted stays, but is not delivered. */
	put(APIC_SVR, 0xff);
	assert_int_equal(apic_pending(&a), APIC_NO_VECTOR);
	assert_int_equal(apic_requested(&a), 0x50);
	assert_false(apic_accept(&a, APIC_MODE_FIXED, 0x51, false));
	assert_false(apic_accept(&a, APIC_MODE_LOWEST, 0x51, false));
	assert_false(apic_accept(&a, APIC_MODE_FIXED, 3, false));
	assert_false(apic_accept(&a, APIC_MODE_EXTINT, 3, false));
	assert_int_equal(a.extint, -1);
	assert_int_equal(a.esr_pending, 0);
	put(APIC_SVR, 0x1ff);
	assert_int_equal(apic_pending(&a), 0x50);
	apic_take(&a, 0x50);
	assert_int_equal(apic_requested(&a), APIC_NO_VECTOR);
	/* Software-disabled, it hears these all the same. */
	put(APIC_SVR, 0xff);
	a.wait_for_sipi = true;
	assert_true(apic_accept(&a, APIC_MODE_NMI, 0, false));
	assert_true(apic_accept(&a, APIC_MODE_SIPI, 8, false));
	assert_true(apic_accept(&a, APIC_MODE_INIT, 0, false));
	/* Globally disabled, what has a pin. */
	power_up(1);
	assert_true(apic_write_base(&a, 0xfee00000, MASK));
	assert_false(apic_accept(&a, APIC_MODE_FIXED, 0x51, false));
	assert_false(apic_accept(&a, APIC_MODE_LOWEST, 0x51, false));
	assert_false(apic_accept(&a, APIC_MODE_SIPI, 8, false));
	assert_true(apic_accept(&a, APIC_MODE_NMI, 0, false));
	assert_true(apic_accept(&a, APIC_MODE_INIT, 0, false));
	assert_true(apic_accept(&a, APIC_MODE_EXTINT, 8, false));
	assert_int_equal(apic_pending(&a), APIC_NO_VECTOR);
}

static void edges_are_new_once(void **state)
{
	struct apic before;

	(void)state;
	assert_true(apic_accept(&a, APIC_MODE_NMI, 2, false));
	assert_true(a.nmi);
	assert_false(apic_accept(&a, APIC_MODE_NMI, 2, false));
	assert_true(apic_accept(&a, APIC_MODE_EXTINT, 3, false));
	assert_false(apic_accept(&a, APIC_MODE_EXTINT, 4, false));
	assert_int_equal(a.extint, 3);
	assert_true(apic_accept(&a, APIC_MODE_INIT, 0, false));
	assert_true(a.init);
	assert_false(apic_accept(&a, APIC_MODE_INIT, 0, false));
	before = a;
	assert_false(apic_accept(&a, APIC_MODE_SMI, 0, false));
	assert_false(apic_accept(&a, APIC_MODE_REMOTE_READ, 0, false));
	assert_memory_equal(&a, &before, sizeof(a));
}

static void init_and_sipi(void **state)
{
	(void)state;
	/* A processor that runs has no use for SIPI. */
	assert_false(apic_accept(&a, APIC_MODE_SIPI, 8, false));
	assert_false(a.sipi);
	/* The usual order. */
	assert_true(apic_accept(&a, APIC_MODE_INIT, 0, false));
	apic_init(&a);
	assert_true(a.wait_for_sipi);
	assert_false(a.sipi);
	assert_true(apic_accept(&a, APIC_MODE_SIPI, 8, false));
	assert_int_equal(a.sipi_vector, 8);
	/* The second SIPI of the usual pair. */
	assert_false(apic_accept(&a, APIC_MODE_SIPI, 9, false));
	assert_int_equal(a.sipi_vector, 8);
	/* INIT takes the SIPI with it, as soon as it arrives. */
	assert_true(apic_accept(&a, APIC_MODE_INIT, 0, false));
	assert_false(a.sipi);
	apic_init(&a);
	assert_false(a.sipi);
	assert_true(apic_accept(&a, APIC_MODE_SIPI, 7, false));
	apic_init(&a);
	assert_false(a.sipi);
	/* A SIPI that comes before INIT was taken belongs to it. */
	a.wait_for_sipi = false;
	assert_true(apic_accept(&a, APIC_MODE_INIT, 0, false));
	assert_true(apic_accept(&a, APIC_MODE_SIPI, 5, false));
	a.init = false;
	apic_init(&a);
	assert_true(a.wait_for_sipi);
	assert_true(a.sipi);
	assert_int_equal(a.sipi_vector, 5);
	/* But not to an INIT after that one. */
	apic_init(&a);
	assert_false(a.sipi);
	a.wait_for_sipi = false;
	assert_true(apic_accept(&a, APIC_MODE_INIT, 0, false));
	assert_true(apic_accept(&a, APIC_MODE_SIPI, 5, false));
	assert_false(apic_accept(&a, APIC_MODE_INIT, 0, false));
	apic_init(&a);
	assert_false(a.sipi);
}

static void processor_priority(void **state)
{
	(void)state;
	for (unsigned int tpr = 0; tpr < 256; tpr++) {
		put(APIC_TPR, tpr);
		for (unsigned int v = 15; v < 256; v++) {
			unsigned int expected = tpr;

			memset(a.isr, 0, sizeof(a.isr));
			if (v > 15) {
				a.isr[v / 32] |= 1u << (v % 32);
				a.isr[0] |= 1u << 16;	/* one below does not count */
				if (v / 16 > tpr / 16)
					expected = v / 16 * 16;
			}
			assert_int_equal(apic_ppr(&a), expected);
			assert_int_equal(rd(APIC_PPR), expected);
		}
	}
}

static void only_a_higher_class_interrupts(void **state)
{
	(void)state;
	for (unsigned int tpr = 0; tpr < 256; tpr++) {
		for (unsigned int v = 16; v < 256; v++) {
			memset(a.irr, 0, sizeof(a.irr));
			put(APIC_TPR, tpr);
			apic_accept(&a, APIC_MODE_FIXED, (uint8_t)v, false);
			assert_int_equal(apic_pending(&a), v / 16 > tpr / 16 ? (int)v : APIC_NO_VECTOR);
		}
	}
}

static void nested_interrupts_end_in_order(void **state)
{
	(void)state;
	apic_accept(&a, APIC_MODE_FIXED, 0x41, false);
	apic_take(&a, 0x41);
	assert_int_equal(apic_ppr(&a), 0x40);
	apic_accept(&a, APIC_MODE_FIXED, 0x4f, false);
	assert_int_equal(apic_pending(&a), APIC_NO_VECTOR);
	apic_accept(&a, APIC_MODE_FIXED, 0x50, true);
	assert_int_equal(apic_pending(&a), 0x50);
	apic_take(&a, 0x50);
	assert_int_equal(apic_ppr(&a), 0x50);
	assert_int_equal(wr(APIC_EOI, 0x77), APIC_EOI_LEVEL);
	assert_int_equal(vector, 0x50);
	assert_int_equal(apic_ppr(&a), 0x40);
	assert_int_equal(wr(APIC_EOI, 0), APIC_DONE);
	assert_int_equal(apic_pending(&a), 0x4f);
	/* With nothing in service EOI is nothing. */
	assert_int_equal(wr(APIC_EOI, 0), APIC_DONE);
	assert_int_equal(apic_requested(&a), 0x4f);
	/* The other way to say it. */
	apic_accept(&a, APIC_MODE_FIXED, 0xff, true);
	apic_take(&a, 0xff);
	apic_take(&a, 0x4f);
	vector = 0;
	assert_true(apic_eoi(&a, &vector));
	assert_int_equal(vector, 0xff);
	assert_false(apic_eoi(&a, &vector));
	assert_false(apic_eoi(&a, &vector));
	assert_int_equal(vector, 0xff);
}

static void cr8_is_the_priority(void **state)
{
	(void)state;
	put(APIC_TPR, 0x57);
	assert_int_equal(apic_cr8(&a), 5);
	apic_set_cr8(&a, 5);
	assert_int_equal(rd(APIC_TPR), 0x57);
	apic_set_cr8(&a, 15);
	assert_int_equal(rd(APIC_TPR), 0xf0);
	apic_accept(&a, APIC_MODE_FIXED, 0xff, false);
	assert_int_equal(apic_pending(&a), APIC_NO_VECTOR);
	apic_set_cr8(&a, 14);
	assert_int_equal(apic_pending(&a), 0xff);
}

/* ---- errors ---- */

static void illegal_vectors(void **state)
{
	(void)state;
	for (unsigned int v = 0; v < 17; v++) {
		for (int x2apic = 0; x2apic < 2; x2apic++) {
			uint64_t none[4] = { 0 };

			begin(0, x2apic);
			assert_int_equal(apic_accept(&a, APIC_MODE_FIXED, (uint8_t)v, true), v > 15);
			assert_int_equal(rd(APIC_ESR), 0);
			put(APIC_ESR, 0);
			assert_int_equal(rd(APIC_ESR), v > 15 ? 0 : ESR_RECEIVED);
			if (v < 16)
				assert_memory_equal(a.irr, none, sizeof(a.irr));
			assert_int_equal(wr(APIC_ICR, 0x4000 | v), v > 15 ? APIC_SEND : APIC_DONE);
			assert_int_equal(wr(APIC_ICR, 0x4100 | v), v > 15 ? APIC_SEND : APIC_DONE);
			assert_int_equal(rd(APIC_ICR), 0x4100 | v);
			/* The latch shows the last write's errors until the next write. */
			assert_int_equal(rd(APIC_ESR), v > 15 ? 0 : ESR_RECEIVED);
			put(APIC_ESR, 0);
			assert_int_equal(rd(APIC_ESR), v > 15 ? 0 : ESR_SENT);
			put(APIC_ESR, 0);
			assert_int_equal(rd(APIC_ESR), 0);
			/* Other modes have other uses for the field. */
			assert_int_equal(wr(APIC_ICR, 0x4600 | v), APIC_SEND);
			assert_int_equal(wr(APIC_ICR, 0x4400 | v), APIC_SEND);
			put(APIC_ESR, 0);
			assert_int_equal(rd(APIC_ESR), 0);
			if (!x2apic)
				continue;
			assert_int_equal(wr(APIC_SELF_IPI, v), v > 15 ? APIC_SEND : APIC_DONE);
			put(APIC_ESR, 0);
			assert_int_equal(rd(APIC_ESR), v > 15 ? 0 : ESR_SENT);
		}
	}
}

static void errors_interrupt(void **state)
{
	uint64_t value;

	(void)state;
	/* Masked: logged, no more. */
	put(APIC_LVT_ERROR, MASKED | 0xe1);
	assert_false(apic_accept(&a, APIC_MODE_FIXED, 1, false));
	assert_int_equal(apic_requested(&a), APIC_NO_VECTOR);
	put(APIC_LVT_ERROR, 0xe1);
	assert_int_equal(apic_requested(&a), APIC_NO_VECTOR);
	/* One interrupt, whatever else goes wrong, until ESR is written. */
	assert_true(apic_accept(&a, APIC_MODE_FIXED, 1, true));
	assert_int_equal(apic_pending(&a), 0xe1);
	assert_false(in(a.tmr, 0xe1));
	apic_take(&a, 0xe1);
	wr(APIC_EOI, 0);
	assert_false(apic_accept(&a, APIC_MODE_FIXED, 1, false));
	assert_int_equal(wr(APIC_ICR, 0x4002), APIC_DONE);
	assert_false(apic_read(&a, 0, now, &value));
	assert_int_equal(apic_requested(&a), APIC_NO_VECTOR);
	put(APIC_ESR, 0);
	assert_int_equal(rd(APIC_ESR), ESR_SENT | ESR_RECEIVED | ESR_REGISTER);
	/* Rearmed: a read of nothing, a write of nothing, a bad send. */
	assert_false(apic_read(&a, 0, now, &value));
	assert_int_equal(apic_pending(&a), 0xe1);
	apic_take(&a, 0xe1);
	wr(APIC_EOI, 0);
	put(APIC_ESR, 0);
	put(0x2f, 0);
	assert_int_equal(apic_pending(&a), 0xe1);
	apic_take(&a, 0xe1);
	wr(APIC_EOI, 0);
	put(APIC_ESR, 0);
	put(APIC_ICR, 0x4003);
	assert_int_equal(apic_pending(&a), 0xe1);
	apic_take(&a, 0xe1);
	put(APIC_ESR, 0);
	/* The error interrupt has an illegal vector itself. */
	put(APIC_LVT_ERROR, 15);
	put(APIC_ICR, 0x4003);
	assert_int_equal(apic_requested(&a), APIC_NO_VECTOR);
	put(APIC_ESR, 0);
	assert_int_equal(rd(APIC_ESR), ESR_SENT | ESR_RECEIVED);
}

static void timers_and_pins_with_illegal_vectors(void **state)
{
	(void)state;
	put(APIC_LVT_ERROR, 0xe1);
	put(APIC_LVT_TIMER, 15);
	put(APIC_TIMER_INITIAL, 1);
	assert_true(apic_timer(&a, 2));
	assert_int_equal(apic_requested(&a), 0xe1);
	put(APIC_ESR, 0);
	assert_int_equal(rd(APIC_ESR), ESR_RECEIVED);
	put(APIC_LVT_LINT0, 15);
	assert_false(apic_local_interrupt(&a, LVT_LINT0));	/* 0xe1 is requested already */
	put(APIC_ESR, 0);
	assert_int_equal(rd(APIC_ESR), ESR_RECEIVED);
}

/* ---- sending ---- */

static void every_message_is_sent_as_asked(void **state)
{
	(void)state;
	for (int x2apic = 0; x2apic < 2; x2apic++) {
		begin(9, x2apic);
		for (uint32_t low = 0; low < 0x100000; low += 0x40) {
			uint32_t icr = (low | 0x31) & 0xccfff, mode = icr >> 8 & 7;
			bool deassert = mode == APIC_MODE_INIT && (icr & 0xc000) == 0x8000;
			uint64_t value = x2apic ? 0x1234abcd00000000ull | icr : icr;

			memset(&ipi, 0xee, sizeof(ipi));
			if (!x2apic)
				put(APIC_ICR_HIGH, 0xabffffff);
			assert_int_equal(wr(APIC_ICR, value), deassert ? APIC_DONE : APIC_SEND);
			/* Reads back, with an idle delivery status in xAPIC mode. */
			assert_int_equal(rd(APIC_ICR), value);
			if (!x2apic)
				assert_int_equal(rd(APIC_ICR_HIGH), 0xab000000);
			if (deassert)
				continue;
			assert_int_equal(ipi.mode, mode);
			assert_int_equal(ipi.shorthand, icr >> 18);
			assert_int_equal(ipi.vector, icr & 0xff);
			assert_int_equal(ipi.logical, icr >> 11 & 1);
			assert_int_equal(ipi.level, mode == APIC_MODE_INIT && (icr & 0x8000));
			assert_true(ipi.assert);
			assert_int_equal(ipi.x2apic, x2apic);
			assert_int_equal(ipi.dest, x2apic ? 0x1234abcd : 0xab);
		}
	}
}

static void xapic_icr_has_no_status(void **state)
{
	(void)state;
	assert_int_equal(wr(APIC_ICR, ~0ull), APIC_SEND);
	assert_int_equal(rd(APIC_ICR), 0xccfff & ~0x1000);
	assert_int_equal(rd(APIC_ICR_HIGH), 0);
	put(APIC_ICR_HIGH, ~0ull);
	assert_int_equal(rd(APIC_ICR), 0xccfff & ~0x1000);
}

static void self_ipi(void **state)
{
	(void)state;
	begin(5, true);
	assert_int_equal(wr(APIC_ICR, 0x7700004055), APIC_SEND);
	assert_int_equal(wr(APIC_SELF_IPI, 0x81), APIC_SEND);
	assert_int_equal(ipi.mode, APIC_MODE_FIXED);
	assert_int_equal(ipi.shorthand, APIC_TO_SELF);
	assert_int_equal(ipi.vector, 0x81);
	assert_false(ipi.level);
	assert_int_equal(rd(APIC_ICR), 0x7700004055);
}

/* Software-disabled, an APIC sends. */
static void sending_needs_no_enabling(void **state)
{
	(void)state;
	power_up(0);
	assert_int_equal(wr(APIC_ICR, 0x4500), APIC_SEND);
	assert_int_equal(ipi.mode, APIC_MODE_INIT);
}

static bool named(uint32_t dest, bool logical, bool x2apic)
{
	struct apic_ipi message = { .dest = dest, .logical = logical, .x2apic = x2apic };

	return apic_is_target(&a, &message);
}

static void physical_destinations(void **state)
{
	(void)state;
	for (int mode = 0; mode < 2; mode++) {
		for (int form = 0; form < 2; form++) {
			begin(9, mode);
			for (uint32_t dest = 0; dest < 0x200; dest++)
				assert_int_equal(named(dest, false, form),
						 dest == 9 || (dest == 0xff && !form));
			assert_int_equal(named(0xffffffff, false, form), form);
			assert_false(named(0x100 + 9, false, form));
			assert_false(named(0x09000000, false, form));
		}
	}
	/* 0xff is an id like others in the long form. */
	begin(0xff, true);
	assert_true(named(0xff, false, true));
	assert_true(named(0xff, false, false));
}

static void flat_destinations(void **state)
{
	(void)state;
	for (uint32_t ldr = 0; ldr < 256; ldr++) {
		put(APIC_LDR, ldr << 24);
		for (uint32_t dest = 0; dest < 256; dest++) {
			assert_int_equal(named(dest, true, false), (ldr & dest) || dest == 0xff);
			assert_int_equal(named(dest, true, true), (ldr & dest) != 0);
			assert_false(named(dest | 0x10000, true, true));
		}
		assert_true(named(0xffffffff, true, true));
	}
}

static void cluster_destinations(void **state)
{
	(void)state;
	put(APIC_DFR, 0);
	for (uint32_t ldr = 0; ldr < 256; ldr++) {
		put(APIC_LDR, ldr << 24);
		for (uint32_t dest = 0; dest < 255; dest++)
			assert_int_equal(named(dest, true, false),
					 ldr >> 4 == dest >> 4 && (ldr & dest & 15));
		assert_true(named(0xff, true, false));
	}
	/* There are no other models. */
	for (uint32_t model = 1; model < 15; model++) {
		put(APIC_DFR, model << 28);
		assert_false(named(0xfe, true, false));
		assert_true(named(0xff, true, false));
	}
}

static void x2apic_destinations(void **state)
{
	(void)state;
	for (uint32_t id = 0; id < 64; id++) {
		begin(id, true);
		for (uint32_t cluster = 0; cluster < 6; cluster++) {
			for (uint32_t bit = 0; bit < 16; bit++) {
				bool match = id == cluster * 16 + bit;

				assert_int_equal(named(cluster << 16 | 1u << bit, true, true), match);
				assert_int_equal(named(cluster << 16 | (0xffff ^ 1u << bit), true,
						       true), id / 16 == cluster && !match);
				/* The short form reaches the first eight of the first cluster. */
				if (!cluster && bit < 8)
					assert_int_equal(named(1u << bit, true, false), match);
			}
			assert_int_equal(named(cluster << 16 | 0xffff, true, true), id / 16 == cluster);
			assert_false(named(cluster << 16, true, true));
		}
		assert_true(named(0xffffffff, true, true));
		assert_true(named(0xff, true, false));
		assert_int_equal(named(0xff, true, true), id < 8);
		assert_int_equal(named(0xfe, true, false), id > 0 && id < 8);
	}
}

/* ---- local vector table ---- */

static void software_disabling_masks(void **state)
{
	(void)state;
	for (int x2apic = 0; x2apic < 2; x2apic++) {
		begin(0, x2apic);
		for (uint32_t reg = APIC_LVT_TIMER; reg <= APIC_LVT_ERROR; reg++) {
			put(reg, 0x50);
			assert_int_equal(rd(reg), 0x50);
		}
		put(APIC_SVR, 0xff);
		for (uint32_t reg = APIC_LVT_TIMER; reg <= APIC_LVT_ERROR; reg++) {
			assert_int_equal(rd(reg), MASKED | 0x50);
			put(reg, 0x51);
			assert_int_equal(rd(reg), MASKED | 0x51);
		}
		/* Enabling does not unmask. */
		put(APIC_SVR, 0x1ff);
		for (uint32_t reg = APIC_LVT_TIMER; reg <= APIC_LVT_ERROR; reg++)
			assert_int_equal(rd(reg), MASKED | 0x51);
	}
}

static void pins_do_what_their_entry_says(void **state)
{
	(void)state;
	for (int pin = LVT_LINT0; pin <= LVT_LINT1; pin++) {
		uint32_t reg = APIC_LVT_TIMER + (uint32_t)pin;

		begin(0, false);
		assert_false(apic_local_interrupt(&a, pin));	/* masked */
		put(reg, 0x61);
		assert_true(apic_local_interrupt(&a, pin));
		assert_false(apic_local_interrupt(&a, pin));
		assert_true(in(a.irr, 0x61) && !in(a.tmr, 0x61));
		put(reg, 0x8062);
		assert_true(apic_local_interrupt(&a, pin));
		assert_true(in(a.irr, 0x62) && in(a.tmr, 0x62));
		put(reg, 0x400);
		assert_true(apic_local_interrupt(&a, pin));
		assert_true(a.nmi);
		assert_false(apic_local_interrupt(&a, pin));
		put(reg, 0x500);
		assert_true(apic_local_interrupt(&a, pin));
		assert_true(a.init);
		put(reg, 0x708);
		assert_true(apic_local_interrupt(&a, pin));
		assert_int_equal(a.extint, 8);
		/* SMI, and what is no mode here. */
		a.wait_for_sipi = true;
		for (uint32_t mode = 0; mode < 8; mode++) {
			struct apic before;

			if (mode != 1 && mode != 2 && mode != 3 && mode != 6)
				continue;
			put(reg, mode << 8 | 0x63);
			before = a;
			assert_false(apic_local_interrupt(&a, pin));
			assert_memory_equal(&a, &before, sizeof(a));
		}
		a.nmi = false;
		put(reg, MASKED | 0x400);
		assert_false(apic_local_interrupt(&a, pin));
		assert_false(a.nmi);
	}
	/* Without an APIC, LINT1 is NMI. */
	power_up(0);
	assert_true(apic_write_base(&a, 0xfee00100, MASK));
	assert_false(apic_local_interrupt(&a, LVT_LINT0));
	assert_true(apic_local_interrupt(&a, LVT_LINT1));
	assert_true(a.nmi);
}

/* ---- the timer ---- */

static const struct {
	uint32_t configuration, by;
} divisors[] = {
	{ 0, 2 }, { 1, 4 }, { 2, 8 }, { 3, 16 }, { 8, 32 }, { 9, 64 }, { 10, 128 }, { 11, 1 },
};

static uint64_t count_at(uint64_t when)
{
	uint64_t value;

	assert_true(apic_read(&a, APIC_TIMER_CURRENT, when, &value));
	return value;
}

static void one_shot(void **state)
{
	static const uint32_t counts[] = { 1, 2, 1000, 0x7fffffff, 0xffffffff };

	(void)state;
	for (unsigned int d = 0; d < 8; d++) {
		for (unsigned int c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
			uint64_t by = divisors[d].by, end = 5000 + counts[c] * by;

			begin(0, c & 1);
			now = 5000;
			put(APIC_LVT_TIMER, 0x70);
			put(APIC_TIMER_DIVIDE, divisors[d].configuration);
			put(APIC_TIMER_INITIAL, counts[c]);
			assert_int_equal(rd(APIC_TIMER_INITIAL), counts[c]);
			assert_int_equal(rd(APIC_TIMER_DIVIDE), divisors[d].configuration);
			assert_true(a.deadline == end);
			assert_int_equal(count_at(now), counts[c]);
			assert_int_equal(count_at(now + by - 1), counts[c]);
			assert_int_equal(count_at(now + by), counts[c] - 1);
			assert_int_equal(count_at(end - 1), 1);
			assert_int_equal(count_at(end), 0);
			assert_int_equal(count_at(end + 12345), 0);
			assert_false(apic_timer(&a, end - 1));
			assert_int_equal(apic_requested(&a), APIC_NO_VECTOR);
			assert_true(apic_timer(&a, end));
			assert_int_equal(apic_pending(&a), 0x70);
			assert_false(in(a.tmr, 0x70));
			assert_true(a.deadline == APIC_NEVER);
			assert_false(apic_timer(&a, end + 1));
			assert_int_equal(count_at(end + 1), 0);
			assert_int_equal(rd(APIC_TIMER_INITIAL), counts[c]);
			/* And once more. */
			now = end + 7;
			put(APIC_TIMER_INITIAL, counts[c]);
			assert_true(a.deadline == now + counts[c] * by);
		}
	}
}

static void zero_stops(void **state)
{
	(void)state;
	put(APIC_LVT_TIMER, PERIODIC | 0x70);
	put(APIC_TIMER_INITIAL, 10);
	put(APIC_TIMER_INITIAL, 0);
	assert_true(a.deadline == APIC_NEVER);
	assert_int_equal(rd(APIC_TIMER_INITIAL), 0);
	assert_int_equal(count_at(5), 0);
	assert_false(apic_timer(&a, 1000));
	/* What had come to its end before has been heard. */
	put(APIC_TIMER_INITIAL, 10);
	now = 20;
	put(APIC_TIMER_INITIAL, 0);
	assert_int_equal(apic_requested(&a), 0x70);
}

static void periodic(void **state)
{
	(void)state;
	put(APIC_LVT_TIMER, PERIODIC | 0x70);
	put(APIC_TIMER_DIVIDE, 1);
	now = 100;
	put(APIC_TIMER_INITIAL, 25);
	assert_true(a.deadline == 200);
	assert_int_equal(count_at(199), 1);
	/* Nobody has looked yet, and still it counts on. */
	assert_int_equal(count_at(200), 25);
	assert_int_equal(count_at(204), 24);
	assert_true(apic_timer(&a, 200));
	assert_true(a.deadline == 300);
	assert_false(apic_timer(&a, 299));
	/* Late: from the period, not from now. */
	apic_take(&a, 0x70);
	assert_true(apic_timer(&a, 350));
	assert_true(a.deadline == 400);
	assert_int_equal(count_at(350), 13);
	/* Requested still: nothing new. */
	assert_false(apic_timer(&a, 400));
	assert_true(a.deadline == 500);
	/* Many periods are one interrupt. */
	apic_take(&a, 0x70);
	assert_true(apic_timer(&a, 1000000000000000099ull));
	assert_true(a.deadline == 1000000000000000100ull);
	apic_take(&a, 0x70);
	assert_false(apic_timer(&a, 1000000000000000099ull));
	assert_true(apic_timer(&a, 1000000000000000100ull));
	assert_true(a.deadline == 1000000000000000200ull);
}

static void masked_timers_run_on(void **state)
{
	(void)state;
	put(APIC_LVT_TIMER, MASKED | PERIODIC | 0x70);
	put(APIC_TIMER_DIVIDE, 11);
	put(APIC_TIMER_INITIAL, 100);
	assert_false(apic_timer(&a, 100));
	assert_true(a.deadline == 200);
	/* Unmasked after the end of a period that nobody looked at: that one was masked. */
	now = 230;
	put(APIC_LVT_TIMER, PERIODIC | 0x70);
	assert_int_equal(apic_requested(&a), APIC_NO_VECTOR);
	assert_true(a.deadline == 300);
	/* And masked late: it was not. */
	now = 300;
	put(APIC_LVT_TIMER, MASKED | PERIODIC | 0x70);
	assert_int_equal(apic_requested(&a), 0x70);
	/* The same by way of SVR. */
	apic_take(&a, 0x70);
	now = 390;
	put(APIC_LVT_TIMER, PERIODIC | 0x70);
	now = 400;
	put(APIC_SVR, 0xff);
	assert_int_equal(apic_requested(&a), 0x70);
	assert_int_equal(rd(APIC_LVT_TIMER), MASKED | PERIODIC | 0x70);
	assert_true(a.deadline == 500);
}

static void between_one_shot_and_periodic(void **state)
{
	(void)state;
	put(APIC_TIMER_DIVIDE, 11);
	put(APIC_LVT_TIMER, 0x70);
	put(APIC_TIMER_INITIAL, 100);
	now = 60;
	put(APIC_LVT_TIMER, PERIODIC | 0x70);
	assert_int_equal(rd(APIC_TIMER_CURRENT), 40);
	assert_true(apic_timer(&a, 100));
	assert_true(a.deadline == 200);
	now = 320;
	put(APIC_LVT_TIMER, 0x70);
	assert_true(a.deadline == 400);
	assert_int_equal(rd(APIC_TIMER_CURRENT), 80);
	apic_take(&a, 0x70);
	assert_true(apic_timer(&a, 400));
	assert_true(a.deadline == APIC_NEVER);
	/* One that has run out stays so. */
	now = 450;
	put(APIC_LVT_TIMER, PERIODIC | 0x70);
	assert_true(a.deadline == APIC_NEVER);
	assert_int_equal(rd(APIC_TIMER_CURRENT), 0);
	assert_int_equal(rd(APIC_TIMER_INITIAL), 100);
}

static void another_divisor_on_the_way(void **state)
{
	(void)state;
	for (int mode = 0; mode < 2; mode++) {
		begin(0, mode);
		put(APIC_LVT_TIMER, (mode ? PERIODIC : 0) | 0x70);
		put(APIC_TIMER_DIVIDE, 11);
		put(APIC_TIMER_INITIAL, 100);
		now = 30;
		put(APIC_TIMER_DIVIDE, 10);	/* 70 left, 128 ticks each; the period began before 0 */
		assert_int_equal(rd(APIC_TIMER_CURRENT), 70);
		assert_true(a.deadline == 30 + 70 * 128);
		assert_int_equal(count_at(30 + 127), 70);
		assert_int_equal(count_at(30 + 128), 69);
		assert_int_equal(count_at(30 + 70 * 128 - 1), 1);
		now = 30 + 128;
		put(APIC_TIMER_DIVIDE, 0);
		assert_int_equal(rd(APIC_TIMER_CURRENT), 69);
		assert_true(a.deadline == now + 138);
		assert_false(apic_timer(&a, now + 137));
		assert_true(apic_timer(&a, now + 138));
		assert_true(a.deadline == (mode ? now + 138 + 200 : APIC_NEVER));
	}
	/* A period that had come to its end is heard, and the next one is counted anew. */
	begin(0, false);
	put(APIC_LVT_TIMER, PERIODIC | 0x70);
	put(APIC_TIMER_INITIAL, 50);
	now = 110;
	put(APIC_TIMER_DIVIDE, 1);
	assert_int_equal(apic_requested(&a), 0x70);
	assert_int_equal(rd(APIC_TIMER_CURRENT), 45);
	assert_true(a.deadline == 110 + 45 * 4);
	/* Of a timer that stands, only the register changes. */
	begin(0, false);
	put(APIC_TIMER_DIVIDE, 3);
	assert_true(a.deadline == APIC_NEVER);
	put(APIC_LVT_TIMER, DEADLINE | 0x70);
	apic_write_tsc_deadline(&a, 77);
	put(APIC_TIMER_DIVIDE, 10);
	assert_int_equal(apic_read_tsc_deadline(&a), 77);
}

static void tsc_deadline(void **state)
{
	(void)state;
	for (int x2apic = 0; x2apic < 2; x2apic++) {
		begin(0, x2apic);
		/* Not in that mode: nothing. */
		apic_write_tsc_deadline(&a, 500);
		assert_int_equal(apic_read_tsc_deadline(&a), 0);
		assert_true(a.deadline == APIC_NEVER);
		put(APIC_LVT_TIMER, DEADLINE | 0x71);
		assert_int_equal(apic_read_tsc_deadline(&a), 0);
		apic_write_tsc_deadline(&a, 500);
		assert_int_equal(apic_read_tsc_deadline(&a), 500);
		assert_true(a.deadline == 500);
		/* The counting registers are of another timer. */
		put(APIC_TIMER_INITIAL, 33);
		assert_int_equal(rd(APIC_TIMER_INITIAL), 0);
		assert_int_equal(rd(APIC_TIMER_CURRENT), 0);
		assert_true(a.deadline == 500);
		assert_false(apic_timer(&a, 499));
		assert_true(apic_timer(&a, 500));
		assert_int_equal(apic_pending(&a), 0x71);
		assert_int_equal(apic_read_tsc_deadline(&a), 0);
		assert_true(a.deadline == APIC_NEVER);
		apic_take(&a, 0x71);
		/* Replaced, disarmed, and in the past. */
		apic_write_tsc_deadline(&a, 600);
		apic_write_tsc_deadline(&a, 700);
		assert_int_equal(apic_read_tsc_deadline(&a), 700);
		apic_write_tsc_deadline(&a, 0);
		assert_int_equal(apic_read_tsc_deadline(&a), 0);
		assert_false(apic_timer(&a, 1000));
		apic_write_tsc_deadline(&a, 1);
		assert_true(apic_timer(&a, 1000));
		apic_take(&a, 0x71);
		apic_write_tsc_deadline(&a, ~0ull - 1);
		assert_true(apic_read_tsc_deadline(&a) == ~0ull - 1);
		assert_false(apic_timer(&a, ~0ull - 2));
		assert_true(apic_timer(&a, ~0ull - 1));
		apic_take(&a, 0x71);
		apic_write_tsc_deadline(&a, ~0ull);
		assert_false(apic_timer(&a, ~0ull));
	}
}

static void changing_modes_disarms(void **state)
{
	static const uint32_t modes[] = { 0, PERIODIC, DEADLINE, PERIODIC | DEADLINE };

	(void)state;
	for (unsigned int from = 0; from < 4; from++) {
		for (unsigned int to = 0; to < 4; to++) {
			bool keeps = from == to || (from < 2 && to < 2);
			uint64_t before;

			begin(0, false);
			put(APIC_LVT_TIMER, modes[from] | 0x70);
			put(APIC_TIMER_INITIAL, 1000);
			apic_write_tsc_deadline(&a, 2000);
			before = a.deadline;
			/* The mode that is none counts nothing. */
			assert_true(before == (from == 3 ? APIC_NEVER : 2000));
			now = 10;
			put(APIC_LVT_TIMER, modes[to] | 0x72);
			assert_true(a.deadline == (keeps ? before : APIC_NEVER));
			assert_int_equal(rd(APIC_TIMER_INITIAL), keeps && from < 2 ? 1000 : 0);
			assert_int_equal(rd(APIC_TIMER_CURRENT), keeps && from < 2 ? 995 : 0);
			assert_int_equal(apic_read_tsc_deadline(&a), from == 2 && to == 2 ? 2000 : 0);
		}
	}
}

static void at_the_end_of_time(void **state)
{
	(void)state;
	put(APIC_TIMER_DIVIDE, 10);
	for (int mode = 0; mode < 2; mode++) {
		put(APIC_LVT_TIMER, (mode ? PERIODIC : 0) | 0x70);
		for (uint64_t back = 0; back < 4; back++) {
			now = ~0ull - back;
			put(APIC_TIMER_INITIAL, 0xffffffff);
			assert_true(a.deadline == ~0ull - 1);
			assert_int_equal(rd(APIC_TIMER_CURRENT), 0xffffffff);
		}
		/* The last period that ends in time. */
		now = ~0ull - 1 - (0xffffffffull << 7);
		put(APIC_TIMER_INITIAL, 0xffffffff);
		assert_true(a.deadline == ~0ull - 1);
		now++;
		put(APIC_TIMER_INITIAL, 0xffffffff);
		assert_true(a.deadline == ~0ull - 1);
		now -= 2;
		put(APIC_TIMER_INITIAL, 0xffffffff);
		assert_true(a.deadline == ~0ull - 2);
		assert_int_equal(count_at(~0ull - 3), 1);
	}
	now = 0;
	put(APIC_TIMER_INITIAL, 0);
	apic_take(&a, 0x70);
	/* From the first tick to the last. */
	put(APIC_TIMER_DIVIDE, 11);
	put(APIC_LVT_TIMER, PERIODIC | 0x70);
	put(APIC_TIMER_INITIAL, 3);
	assert_int_equal(count_at(~0ull - 1), 3 - (~0ull - 1) % 3);
	assert_true(apic_timer(&a, ~0ull - 2));
	assert_true(a.deadline > ~0ull - 2);
	put(APIC_LVT_TIMER, 0x70);
	now = 0;
	put(APIC_TIMER_INITIAL, 1);
	assert_int_equal(count_at(~0ull), 0);
}

/* A TSC that software sets back. */
static void time_that_goes_back(void **state)
{
	(void)state;
	now = 1000;
	put(APIC_TIMER_DIVIDE, 11);
	put(APIC_LVT_TIMER, PERIODIC | 0x70);
	put(APIC_TIMER_INITIAL, 100);
	assert_int_equal(count_at(10), 100);
	assert_false(apic_timer(&a, 10));
	assert_true(apic_timer(&a, 1100));
	assert_true(a.deadline == 1200);
}

/* ---- a random walk against sets ---- */

struct model {
	bool irr[256], isr[256], level[256];
	unsigned int tpr;
};

static int top(const bool *set)
{
	for (int v = 255; v >= 0; v--)
		if (set[v])
			return v;
	return -1;
}

static int model_pending(const struct model *m)
{
	int v = top(m->irr), served = top(m->isr);

	if (v < 0 || v / 16 <= (int)m->tpr / 16 || (served >= 0 && v / 16 <= served / 16))
		return -1;
	return v;
}

static void same_sets(const struct model *m)
{
	for (unsigned int v = 0; v < 256; v++) {
		assert_int_equal(in(a.irr, v), m->irr[v]);
		assert_int_equal(in(a.isr, v), m->isr[v]);
		assert_int_equal(in(a.tmr, v), m->level[v]);
	}
	assert_int_equal(apic_pending(&a), model_pending(m));
	assert_int_equal(apic_requested(&a), top(m->irr));
}

static void random_eoi(struct model *m)
{
	int served = top(m->isr);
	bool level = served >= 0 && m->level[served];

	vector = 0;
	if (random() & 1)
		assert_int_equal(apic_eoi(&a, &vector), level);
	else
		assert_int_equal(wr(APIC_EOI, 0), level ? APIC_EOI_LEVEL : APIC_DONE);
	assert_int_equal(vector, level ? served : 0);
	if (served >= 0)
		m->isr[served] = false;
}

static void random_walk(void **state)
{
	const char *given = getenv("SEED");
	unsigned int seed = given ? (unsigned int)atoi(given) : 20261128;
	struct model m = { .tpr = 0 };

	(void)state;
	print_message("seed %u\n", seed);
	srandom(seed);
	begin(0, random() & 1);
	for (unsigned int step = 0; step < 100000; step++) {
		unsigned int v = (unsigned int)random() & 0xff;
		bool level = random() & 1;
		int pending;

		switch (random() % 5) {
		case 0:
		case 1:
			assert_int_equal(apic_accept(&a, APIC_MODE_FIXED, (uint8_t)v, level),
					 v > 15 && !m.irr[v]);
			if (v > 15) {
				m.irr[v] = true;
				m.level[v] = level;
			}
			break;
		case 2:
			pending = apic_pending(&a);
			assert_int_equal(pending, model_pending(&m));
			if (pending < 0)
				break;
			apic_take(&a, (uint8_t)pending);
			m.irr[pending] = false;
			m.isr[pending] = true;
			break;
		case 3:
			random_eoi(&m);
			break;
		case 4:
			m.tpr = v & 1 ? 0 : (unsigned int)random() & 0xff;
			put(APIC_TPR, m.tpr);
			break;
		}
		same_sets(&m);
	}
}

#define APIC_TEST(function) cmocka_unit_test_setup(function, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		APIC_TEST(power_up_state),
		APIC_TEST(init_keeps_id_and_base),
		APIC_TEST(transitions),
		APIC_TEST(a_vmm_sets_any_mode),
		APIC_TEST(base_refuses_what_it_does_not_have),
		APIC_TEST(disabling_resets),
		APIC_TEST(x2apic_keeps_what_xapic_had),
		APIC_TEST(logical_ids_of_x2apic),
		APIC_TEST(x2apic_rights),
		APIC_TEST(x2apic_reserved_bits),
		APIC_TEST(xapic_never_faults),
		APIC_TEST(xapic_registers_keep_their_bits),
		APIC_TEST(every_vector_is_accepted),
		APIC_TEST(requests_need_an_enabled_apic),
		APIC_TEST(edges_are_new_once),
		APIC_TEST(init_and_sipi),
		APIC_TEST(processor_priority),
		APIC_TEST(only_a_higher_class_interrupts),
		APIC_TEST(nested_interrupts_end_in_order),
		APIC_TEST(cr8_is_the_priority),
		APIC_TEST(illegal_vectors),
		APIC_TEST(errors_interrupt),
		APIC_TEST(timers_and_pins_with_illegal_vectors),
		APIC_TEST(every_message_is_sent_as_asked),
		APIC_TEST(xapic_icr_has_no_status),
		APIC_TEST(self_ipi),
		APIC_TEST(sending_needs_no_enabling),
		APIC_TEST(physical_destinations),
		APIC_TEST(flat_destinations),
		APIC_TEST(cluster_destinations),
		APIC_TEST(x2apic_destinations),
		APIC_TEST(software_disabling_masks),
		APIC_TEST(pins_do_what_their_entry_says),
		APIC_TEST(one_shot),
		APIC_TEST(zero_stops),
		APIC_TEST(periodic),
		APIC_TEST(masked_timers_run_on),
		APIC_TEST(between_one_shot_and_periodic),
		APIC_TEST(another_divisor_on_the_way),
		APIC_TEST(tsc_deadline),
		APIC_TEST(changing_modes_disarms),
		APIC_TEST(at_the_end_of_time),
		APIC_TEST(time_that_goes_back),
		APIC_TEST(random_walk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
