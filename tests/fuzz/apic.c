// SPDX-License-Identifier: GPL-2.0-only
/*
 * libFuzzer target for the virtual local APIC.
 *
 * The input is a list of steps: software reads and writes registers, messages and pins come in,
 * time passes, the processor takes interrupts and INIT.  After each step the structure must be
 * one that the laws of apic.h allow; what was refused must have changed nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hypervisor/core/apic.h>

#define PHYSICAL_MASK	((1ull << 40) - 1)
#define LVT_MASKED	0x10000u

#define must(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
			abort(); \
		} \
	} while (0)

struct reader {
	const uint8_t *data;
	size_t left;
};

/* What somebody may be waiting for. */
struct requests {
	uint32_t irr[8];
	bool nmi, init, sipi;
	int16_t extint;
};

static struct apic a;
static uint64_t now;

static uint64_t take(struct reader *r, size_t bytes)
{
	size_t have = bytes < r->left ? bytes : r->left;
	uint64_t value = 0;

	memcpy(&value, r->data, have);
	r->data += have;
	r->left -= have;
	return value;
}

static struct requests requests(void)
{
	struct requests q;

	memset(&q, 0, sizeof(q));
	memcpy(q.irr, a.irr, sizeof(q.irr));
	q.nmi = a.nmi;
	q.init = a.init;
	q.sipi = a.sipi;
	q.extint = a.extint;
	return q;
}

static bool unchanged(const struct apic *before)
{
	return !memcmp(&a, before, sizeof(a));
}

static bool same_requests(const struct requests *before)
{
	struct requests after = requests();

	return !memcmp(&after, before, sizeof(after));
}

static bool has(const uint32_t *set, int vector)
{
	return set[vector / 32] >> (vector % 32) & 1;
}

static uint32_t timer_mode(void)
{
	return a.lvt[LVT_TIMER] >> 17 & 3;
}

static void check_state(void)
{
	static const uint32_t none[8];
	uint64_t mode = a.base & (APIC_BASE_ENABLE | APIC_BASE_EXTD);

	must(!(a.irr[0] & 0xffff) && !(a.isr[0] & 0xffff));
	must(mode != APIC_BASE_EXTD);
	must((a.base & ~0xd00ull) == 0xfee00000);
	must(a.tpr <= 0xff && a.svr <= 0x3ff && (a.dfr & 0x0fffffff) == 0x0fffffff);
	must(a.extint >= -1 && a.extint <= 0xff);
	if (!(a.svr & 0x100))
		for (unsigned int i = 0; i < LVTS; i++)
			must(a.lvt[i] & LVT_MASKED);
	if (!(a.base & APIC_BASE_ENABLE)) {
		must(!memcmp(a.irr, none, sizeof(none)) && !memcmp(a.isr, none, sizeof(none)));
		must(a.deadline == APIC_NEVER);
	}
	if (mode == (APIC_BASE_ENABLE | APIC_BASE_EXTD))
		must(a.ldr == (a.id >> 4 << 16 | 1u << (a.id & 15)));
	/* A timer that is armed has something to count. */
	if (timer_mode() == 3)
		must(a.deadline == APIC_NEVER);
	if (timer_mode() < 2 && a.deadline != APIC_NEVER)
		must(a.timer_initial);
	if (timer_mode() >= 2)
		must(!a.timer_initial);
	if (timer_mode() != 2)
		must(!apic_read_tsc_deadline(&a));
}

static void check_pending(void)
{
	int vector = apic_pending(&a);

	if (vector == APIC_NO_VECTOR)
		return;
	must(vector >= 16 && vector <= 255 && has(a.irr, vector));
	must(vector == apic_requested(&a));
	must((uint32_t)vector >> 4 > apic_ppr(&a) >> 4);
	must((a.svr & 0x100) && (a.base & APIC_BASE_ENABLE));
}

static void step_write(uint32_t reg, uint64_t value)
{
	struct apic before = a;
	struct apic_ipi ipi;
	uint8_t vector = 0;

	switch (apic_write(&a, reg, value, now, &ipi, &vector)) {
	case APIC_FAULT:
		must(apic_is_x2apic(&before));
		must(unchanged(&before));
		break;
	case APIC_SEND:
		must(reg == APIC_ICR || reg == APIC_SELF_IPI);
		must(ipi.x2apic == apic_is_x2apic(&a));
		must(ipi.mode > APIC_MODE_LOWEST || ipi.vector >= 16);
		must(ipi.x2apic || ipi.dest <= 0xff);
		/* To itself, as the machine would. */
		if (ipi.shorthand == APIC_TO_SELF || apic_is_target(&a, &ipi))
			apic_accept(&a, ipi.mode, ipi.vector, ipi.level);
		break;
	case APIC_EOI_LEVEL:
		must(reg == APIC_EOI && vector >= 16);
		must(has(before.isr, vector) && !has(a.isr, vector) && has(a.tmr, vector));
		break;
	case APIC_DONE:
		break;
	}
	must(a.id == before.id && a.base == before.base);
}

static void step_read(uint32_t reg)
{
	struct apic before = a;
	uint64_t value = 1;
	bool ok = apic_read(&a, reg, now, &value);

	must(ok || !value);
	if (ok || apic_is_x2apic(&a))
		must(unchanged(&before));
	if (ok && reg == APIC_TIMER_CURRENT)
		must(value <= a.timer_initial);
	if (ok && (reg != APIC_ICR || !apic_is_x2apic(&a)))
		must(value <= 0xffffffff);
}

static void step_accept(uint32_t mode, uint8_t vector, bool level)
{
	struct requests before = requests();
	bool sipi = a.sipi, is_new = apic_accept(&a, (enum apic_mode)mode, vector, level);

	/* INIT makes a SIPI moot, which is no news for anybody. */
	if (mode == APIC_MODE_INIT && sipi)
		before.sipi = false;
	must(is_new == !same_requests(&before));
}

static void step_pin(uint32_t pin)
{
	struct requests before = requests();
	bool sipi = a.sipi, is_new = apic_local_interrupt(&a, (enum apic_lvt)pin);

	if (sipi && !a.sipi)
		before.sipi = false;
	must(is_new == !same_requests(&before));
}

static void step_timer(void)
{
	struct requests before = requests();
	bool due = a.deadline <= now && a.deadline != APIC_NEVER;
	bool is_new = apic_timer(&a, now);

	must(is_new == !same_requests(&before));
	must(due || !is_new);
	/* At the end of time a period may end early. */
	must(a.deadline > now || a.deadline >= APIC_NEVER - 1);
	must(!due || timer_mode() == 1 || a.deadline == APIC_NEVER);
}

static void step_interrupt(void)
{
	int vector = apic_pending(&a);

	if (vector == APIC_NO_VECTOR)
		return;
	apic_take(&a, (uint8_t)vector);
	must(has(a.isr, vector) && !has(a.irr, vector));
	must(apic_pending(&a) == APIC_NO_VECTOR);
	must(apic_ppr(&a) >> 4 == (uint32_t)vector >> 4);
}

static void step_init(void)
{
	uint64_t base = a.base;

	if (!a.init)
		return;
	apic_init(&a);
	must(a.base == base && a.wait_for_sipi && !a.init && !a.nmi);
}

static void step_base(uint64_t value)
{
	struct apic before = a;

	if (!apic_write_base(&a, value, PHYSICAL_MASK))
		must(unchanged(&before));
	else
		must(a.base == value);
	must(a.nmi == before.nmi && a.init == before.init && a.sipi == before.sipi);
}

static void one_step(struct reader *r)
{
	uint32_t what = (uint32_t)take(r, 1), reg = what >> 4 & 1 ? 0x30 : 0;

	switch (what & 15) {
	case 0 ... 3:
		/* Values that software writes, mostly. */
		reg += (uint32_t)take(r, 1) & (what & 0x20 ? 0xf : 0x7f);
		step_write(reg, take(r, what & 0x80 ? 8 : what & 0x40 ? 3 : 1));
		break;
	case 4:
		step_write(APIC_SVR, 0x1ff);
		break;
	case 5:
		step_read((uint32_t)take(r, 1));
		break;
	case 6:
	case 7:
		step_accept(what >> 4 & 7, (uint8_t)take(r, 1), what & 0x80);
		break;
	case 8:
		step_pin((what >> 4) % LVTS);
		break;
	case 9:
		now += take(r, what & 0x80 ? 8 : what & 0x40 ? 4 : 1);
		break;
	case 10:
		step_timer();
		break;
	case 11:
		step_interrupt();
		break;
	case 12:
		step_init();
		if (what & 0x80)
			a.wait_for_sipi = a.sipi = false;
		break;
	case 13:
		step_base(what & 0x80 ? take(r, 8) : 0xfee00000 | (uint64_t)(what & 0x70) << 5 |
						     (a.base & APIC_BASE_BSP));
		break;
	case 14:
		apic_write_tsc_deadline(&a, what & 0x80 ? take(r, 8) : now + take(r, 1));
		break;
	case 15:
		apic_set_cr8(&a, what >> 4);
		must(apic_cr8(&a) == what >> 4);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader r = { data, size };

	now = 0;
	apic_reset(&a, (uint32_t)take(&r, 1) & 63);
	while (r.left) {
		one_step(&r);
		check_state();
		check_pending();
	}
	return 0;
}
