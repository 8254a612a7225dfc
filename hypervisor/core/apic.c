// SPDX-License-Identifier: GPL-2.0-only
/*
 * The virtual local APIC.  What it is, and its laws: apic.h.
 *
 * Laws of this file
 *  - A write is judged as a whole (rights of the register, reserved bits) before it is
 *    performed, so that APIC_FAULT leaves the structure as it was.
 *  - IRR and ISR never hold one of the vectors 0-15: those end in the error register.
 *  - The timer is armed if and only if @deadline is not APIC_NEVER.  Whatever changes how
 *    it counts or whether it is heard lets it expire first, by the rules until then.
 */
#include "apic.h"

#define DEFAULT_BASE	0xfee00000u
#define FIRST_VECTOR	16u

#define SVR_ENABLE	0x100u
#define DFR_FLAT	0xfu		/* bits 28-31 */
#define DFR_CLUSTER	0x0u

#define ESR_SEND_ILLEGAL	0x20u
#define ESR_RECEIVE_ILLEGAL	0x40u
#define ESR_ILLEGAL_REGISTER	0x80u
#define ESR_DEFINED		0xe0u

#define LVT_MASKED	0x10000u
#define LVT_LEVEL	0x8000u
#define LVT_STATUS	0x1000u		/* read-only, idle */
#define LVT_REMOTE_IRR	0x4000u		/* read-only, of LINT0 and LINT1; always clear here */

#define ICR_LOGICAL	0x800u
#define ICR_ASSERT	0x4000u
#define ICR_LEVEL	0x8000u
#define ICR_LOW_BITS	0x000ccfffull

enum timer_mode { TIMER_ONE_SHOT, TIMER_PERIODIC, TIMER_DEADLINE, TIMER_RESERVED };

enum { READ = 1, WRITE = 2 };

/* Bits of each LVT entry that software decides about. */
static const u32 lvt_bits[LVTS] = {
	[LVT_TIMER] = 0x700ff, [LVT_THERMAL] = 0x107ff, [LVT_PERF] = 0x107ff,
	[LVT_LINT0] = 0x1a7ff, [LVT_LINT1] = 0x1a7ff, [LVT_ERROR] = 0x100ff,
};

/* ---- sets of vectors ---- */

static bool has_vector(const u32 *set, u8 vector)
{
	return set[vector / 32] >> (vector % 32) & 1;
}

static void add_vector(u32 *set, u8 vector)
{
	set[vector / 32] |= 1u << (vector % 32);
}

static void drop_vector(u32 *set, u8 vector)
{
	set[vector / 32] &= ~(1u << (vector % 32));
}

static int highest_vector(const u32 *set)
{
	for (int i = 7; i >= 0; i--)
		if (set[i])
			return i * 32 + 31 - __builtin_clz(set[i]);
	return APIC_NO_VECTOR;
}

/* ---- requests ---- */

static bool globally_enabled(const struct apic *a)
{
	return a->base & APIC_BASE_ENABLE;
}

static bool software_enabled(const struct apic *a)
{
	return a->svr & SVR_ENABLE;
}

bool apic_takes_fixed(const struct apic *a)
{
	return globally_enabled(a) && software_enabled(a);
}

static bool request(struct apic *a, u8 vector, bool level);

/*
 * Log an error.  One interrupt tells of all errors until software writes ESR (SDM 11.5.3:
 * the write "rearms"); that also ends the recursion if the error interrupt's own vector
 * is an illegal one.
 */
static bool raise_error(struct apic *a, u32 error)
{
	a->esr_pending |= error;
	if (a->error_raised || (a->lvt[LVT_ERROR] & LVT_MASKED))
		return false;
	a->error_raised = true;
	return request(a, (u8)a->lvt[LVT_ERROR], false);
}

static bool request(struct apic *a, u8 vector, bool level)
{
	bool is_new;

	if (vector < FIRST_VECTOR)
		return raise_error(a, ESR_RECEIVE_ILLEGAL);
	is_new = !has_vector(a->irr, vector);
	if (vector == a->offered && !a->again)
		is_new = a->again = true;
	add_vector(a->irr, vector);
	if (level)
		add_vector(a->tmr, vector);
	else
		drop_vector(a->tmr, vector);
	return is_new;
}

static bool raise_edge(bool *request_flag)
{
	bool is_new = !*request_flag;

	*request_flag = true;
	return is_new;
}

/* While one stands before the processor the next is none of it: whoever asks may have seen it taken. */
static bool accept_extint(struct apic *a, u8 vector)
{
	s16 *slot = a->extint_offered ? &a->extint_next : &a->extint;

	if (*slot >= 0)
		return false;
	*slot = vector;
	return true;
}

/* An INIT makes what came before it moot; what comes after it is for the processor it leaves. */
static bool accept_init(struct apic *a)
{
	a->sipi = false;
	a->sipi_after_init = false;
	return raise_edge(&a->init);
}

/* A SIPI may arrive before the processor had a chance to take the INIT that went ahead. */
static bool accept_sipi(struct apic *a, u8 vector)
{
	if ((!a->wait_for_sipi && !a->init) || a->sipi)
		return false;
	a->sipi = true;
	a->sipi_after_init = a->init;
	a->sipi_vector = vector;
	return true;
}

/*
 * Globally disabled, the processor is one without APIC (SDM 11.4.3): no message reaches it,
 * but it has the pins INTR, NMI and INIT, which the requests of these names then stand for.
 * Software-disabled, it answers INIT, NMI, SMI and SIPI as ever (SDM 11.4.7.2).  There is no
 * SMM and nothing to read remotely.
 */
bool apic_accept(struct apic *a, enum apic_mode mode, u8 vector, bool level)
{
	switch (mode) {
	case APIC_MODE_FIXED:
	case APIC_MODE_LOWEST:
		return apic_takes_fixed(a) && request(a, vector, level);
	case APIC_MODE_NMI:
		return raise_edge(&a->nmi);
	case APIC_MODE_INIT:
		return accept_init(a);
	case APIC_MODE_SIPI:
		return globally_enabled(a) && accept_sipi(a, vector);
	case APIC_MODE_EXTINT:
		return (!globally_enabled(a) || software_enabled(a)) && accept_extint(a, vector);
	case APIC_MODE_SMI:
	case APIC_MODE_REMOTE_READ:
		break;
	}
	return false;
}

bool apic_local_interrupt(struct apic *a, enum apic_lvt input)
{
	u32 entry = a->lvt[input];
	enum apic_mode mode = (enum apic_mode)(entry >> 8 & 7);

	/* Without an APIC LINT1 is NMI; LINT0 is INTR, whose vector only the caller can know. */
	if (!globally_enabled(a))
		return input == LVT_LINT1 && raise_edge(&a->nmi);
	/* SIPI, lowest priority and remote read are no modes of an LVT entry. */
	if ((entry & LVT_MASKED) || mode == APIC_MODE_SIPI || mode == APIC_MODE_LOWEST)
		return false;
	return apic_accept(a, mode, (u8)entry, entry & LVT_LEVEL);
}

int apic_requested(const struct apic *a)
{
	return highest_vector(a->irr);
}

u32 apic_ppr(const struct apic *a)
{
	int in_service = highest_vector(a->isr);
	u32 class = in_service < 0 ? 0 : (u32)in_service & 0xf0;

	return (a->tpr & 0xf0) >= class ? a->tpr : class;
}

int apic_pending(const struct apic *a)
{
	int vector = highest_vector(a->irr);

	if (vector < 0 || !apic_takes_fixed(a))
		return APIC_NO_VECTOR;
	return ((u32)vector & 0xf0) > (apic_ppr(a) & 0xf0) ? vector : APIC_NO_VECTOR;
}

void apic_take(struct apic *a, u8 vector)
{
	drop_vector(a->irr, vector);
	add_vector(a->isr, vector);
}

void apic_offer(struct apic *a, u8 vector)
{
	a->offered = vector;
	a->again = false;
}

void apic_offer_end(struct apic *a, bool taken)
{
	bool again = a->again;
	u8 vector;

	if (a->offered == APIC_NO_VECTOR)
		return;
	vector = (u8)a->offered;
	a->offered = APIC_NO_VECTOR;
	a->again = false;
	if (!taken)
		return;
	apic_take(a, vector);
	if (again)
		add_vector(a->irr, vector);
}

bool apic_eoi_is_local(const struct apic *a, int offered)
{
	int in_service = highest_vector(a->isr), requested = highest_vector(a->irr);

	if (offered == APIC_NO_VECTOR)
		return in_service >= 0 && requested < 0 && !has_vector(a->tmr, (u8)in_service);
	if (in_service >= 0 || requested != offered || has_vector(a->tmr, (u8)offered))
		return false;
	for (int i = 0; i < 8; i++)
		if (a->irr[i] & ~(i == offered / 32 ? 1u << offered % 32 : 0))
			return false;
	return true;
}

bool apic_eoi(struct apic *a, u8 *vector)
{
	int in_service = highest_vector(a->isr);

	if (in_service < 0)
		return false;
	drop_vector(a->isr, (u8)in_service);
	if (!has_vector(a->tmr, (u8)in_service))
		return false;
	*vector = (u8)in_service;
	return true;
}

/* ---- the timer ---- */

static enum timer_mode timer_mode(const struct apic *a)
{
	return (enum timer_mode)(a->lvt[LVT_TIMER] >> 17 & 3);
}

static bool counts_down(const struct apic *a)
{
	return timer_mode(a) == TIMER_ONE_SHOT || timer_mode(a) == TIMER_PERIODIC;
}

/* Bits 0, 1 and 3 are one number: 0 divides by 2, 6 by 128, and 7 not at all. */
static u32 divide_shift(const struct apic *a)
{
	return ((a->timer_divide & 3) + (a->timer_divide >> 1 & 4) + 1) & 7;
}

static u64 timer_period(const struct apic *a)
{
	return (u64)a->timer_initial << divide_shift(a);
}

/*
 * Count on from @now, @elapsed ticks into the period.  @timer_start may wrap (the period began
 * before TSC 0, after a new divisor), @deadline must not: the end of time is soon enough.
 */
static void arm(struct apic *a, u64 now, u64 elapsed)
{
	u64 left = timer_period(a) - elapsed;

	a->timer_start = now - elapsed;
	a->deadline = left < APIC_NEVER - now ? now + left : APIC_NEVER - 1;
}

static void stop(struct apic *a)
{
	a->timer_initial = 0;
	a->deadline = APIC_NEVER;
}

bool apic_timer(struct apic *a, u64 now)
{
	u32 entry = a->lvt[LVT_TIMER];

	if (now < a->deadline || a->deadline == APIC_NEVER)
		return false;
	if (timer_mode(a) == TIMER_PERIODIC) {
		arm(a, now, (now - a->timer_start) % timer_period(a));
		if (a->deadline - now < a->period_min)
			a->deadline = a->period_min < APIC_NEVER - now ? now + a->period_min : APIC_NEVER - 1;
	} else {
		a->deadline = APIC_NEVER;
	}
	return !(entry & LVT_MASKED) && request(a, (u8)entry, false);
}

static u32 current_count(const struct apic *a, u64 now)
{
	u64 elapsed = now - a->timer_start, period = timer_period(a);

	if (a->deadline == APIC_NEVER)
		return 0;
	/* A TSC that was set back: the period has not begun. */
	if (now < a->deadline && elapsed > period)
		elapsed = 0;
	if (timer_mode(a) == TIMER_PERIODIC)
		elapsed %= period;
	return elapsed < period ? a->timer_initial - (u32)(elapsed >> divide_shift(a)) : 0;
}

static void write_initial(struct apic *a, u32 value, u64 now)
{
	if (!counts_down(a))
		return;
	a->timer_initial = value;
	if (value)
		arm(a, now, 0);
	else
		stop(a);
}

/* The count stands where it is; what changes is the pace from now on. */
static void write_divide(struct apic *a, u32 value, u64 now)
{
	u64 gone = a->timer_initial - current_count(a, now);
	bool running = a->deadline != APIC_NEVER && counts_down(a);

	a->timer_divide = value;
	if (running)
		arm(a, now, gone << divide_shift(a));
}

/* One-shot and periodic share a count; with any other mode it has nothing in common. */
static void write_lvt_timer(struct apic *a, u32 value)
{
	enum timer_mode before = timer_mode(a);
	bool counted = counts_down(a);

	a->lvt[LVT_TIMER] = value;
	if (timer_mode(a) != before && !(counted && counts_down(a)))
		stop(a);
}

u64 apic_read_tsc_deadline(const struct apic *a)
{
	return timer_mode(a) == TIMER_DEADLINE && a->deadline != APIC_NEVER ? a->deadline : 0;
}

void apic_write_tsc_deadline(struct apic *a, u64 value)
{
	if (timer_mode(a) == TIMER_DEADLINE)
		a->deadline = value ? value : APIC_NEVER;
}

/* ---- states ---- */

static u32 x2apic_ldr(const struct apic *a)
{
	return a->id >> 4 << 16 | 1u << (a->id & 15);
}

/* All that belongs to the APIC alone; requests to the processor are not among it. */
static void reset_registers(struct apic *a)
{
	memset(a->irr, 0, sizeof(a->irr));
	memset(a->isr, 0, sizeof(a->isr));
	memset(a->tmr, 0, sizeof(a->tmr));
	a->tpr = 0;
	a->ldr = apic_is_x2apic(a) ? x2apic_ldr(a) : 0;
	a->dfr = 0xffffffff;
	a->svr = 0xff;
	a->esr = 0;
	a->esr_pending = 0;
	a->error_raised = false;
	a->icr = 0;
	for (u32 i = 0; i < LVTS; i++)
		a->lvt[i] = LVT_MASKED;
	a->timer_divide = 0;
	a->timer_start = 0;
	stop(a);
	a->extint = APIC_NO_VECTOR;
	a->extint_next = APIC_NO_VECTOR;
	a->extint_offered = false;
	a->offered = APIC_NO_VECTOR;
	a->again = false;
}

void apic_reset(struct apic *a, u32 id)
{
	memset(a, 0, sizeof(*a));
	a->id = id;
	a->base = DEFAULT_BASE | APIC_BASE_ENABLE | (id ? 0 : APIC_BASE_BSP);
	a->wait_for_sipi = id != 0;
	reset_registers(a);
}

void apic_init(struct apic *a)
{
	reset_registers(a);
	a->nmi = false;
	a->init = false;
	a->sipi = a->sipi_after_init;
	a->sipi_after_init = false;
	a->wait_for_sipi = true;
}

static void change_base(struct apic *a, u64 value)
{
	bool was_x2apic = apic_is_x2apic(a), was_enabled = globally_enabled(a);

	a->base = value;
	if (!globally_enabled(a) && was_enabled)
		reset_registers(a);
	if (apic_is_x2apic(a) && !was_x2apic) {
		/* The halves of ICR are one register now, with another form of destination. */
		a->icr = (u32)a->icr;
		a->ldr = x2apic_ldr(a);
	}
}

static bool has_reserved(u64 value, u64 physical_mask)
{
	return (value & ~(APIC_BASE_BSP | APIC_BASE_EXTD | APIC_BASE_ENABLE | align_down(physical_mask, PAGE_SIZE))) ||
	       ((value & APIC_BASE_EXTD) && !(value & APIC_BASE_ENABLE));
}

/*
 * Harsher than a processor: the page stays where it is, and who is boot processor does not
 * change, because nothing that runs in a child needs either.
 */
bool apic_write_base(struct apic *a, u64 value, u64 physical_mask)
{
	bool enable = value & APIC_BASE_ENABLE, x2apic = value & APIC_BASE_EXTD;

	if (has_reserved(value, physical_mask) || align_down(value, PAGE_SIZE) != DEFAULT_BASE ||
	    ((value ^ a->base) & APIC_BASE_BSP))
		return false;
	if ((x2apic && !globally_enabled(a)) || (apic_is_x2apic(a) && enable && !x2apic))
		return false;
	change_base(a, value);
	return true;
}

bool apic_set_base(struct apic *a, u64 value, u64 physical_mask)
{
	bool enable = value & APIC_BASE_ENABLE, x2apic = value & APIC_BASE_EXTD;

	if (has_reserved(value, physical_mask) || (enable && align_down(value, PAGE_SIZE) != DEFAULT_BASE))
		return false;
	/* What is disabled is at no address; the guest enables it where it is. */
	if (!enable)
		value = DEFAULT_BASE | (value & APIC_BASE_BSP);
	/* From x2APIC to xAPIC by way of "disabled"; TPR is CR8, which has been set, or will be. */
	if (apic_is_x2apic(a) && enable && !x2apic) {
		u32 tpr = a->tpr;

		change_base(a, DEFAULT_BASE);
		a->tpr = tpr;
	}
	change_base(a, value);
	return true;
}

/* ---- registers ---- */

static bool is_lvt(u32 reg)
{
	return reg >= APIC_LVT_TIMER && reg <= APIC_LVT_ERROR;
}

/* What software may do with a register in the mode that the APIC is in; 0: there is none. */
static u32 register_rights(const struct apic *a, u32 reg)
{
	bool x2apic = apic_is_x2apic(a);

	switch (reg) {
	case APIC_ID:
	case APIC_VERSION_REG:
	case APIC_PPR:
	case APIC_ISR ... APIC_ISR + 7:
	case APIC_TMR ... APIC_TMR + 7:
	case APIC_IRR ... APIC_IRR + 7:
	case APIC_TIMER_CURRENT:
		return READ;
	case APIC_TPR:
	case APIC_SVR:
	case APIC_ESR:
	case APIC_ICR:
	case APIC_LVT_TIMER ... APIC_LVT_ERROR:
	case APIC_TIMER_INITIAL:
	case APIC_TIMER_DIVIDE:
		return READ | WRITE;
	case APIC_EOI:
		return WRITE;
	case APIC_LDR:
		return x2apic ? READ : READ | WRITE;
	case APIC_DFR:
	case APIC_ICR_HIGH:
		return x2apic ? 0 : READ | WRITE;
	case APIC_SELF_IPI:
		return x2apic ? WRITE : 0;
	default:
		return 0;
	}
}

/* Bits of a register that software can set. */
static u64 register_bits(const struct apic *a, u32 reg)
{
	if (is_lvt(reg))
		return lvt_bits[reg - APIC_LVT_TIMER];
	switch (reg) {
	case APIC_TPR:
	case APIC_SELF_IPI:
		return 0xff;
	case APIC_LDR:
	case APIC_ICR_HIGH:
		return 0xff000000;
	case APIC_DFR:
		return 0xf0000000;
	case APIC_SVR:
		return 0x3ff;		/* with focus checking, which AMD's have */
	case APIC_ICR:
		return apic_is_x2apic(a) ? ICR_LOW_BITS | 0xffffffff00000000ull : ICR_LOW_BITS;
	case APIC_TIMER_INITIAL:
		return 0xffffffff;
	case APIC_TIMER_DIVIDE:
		return 0xb;
	default:
		return 0;		/* EOI, ESR: only the write counts */
	}
}

/* Is @value one that WRMSR refuses? */
static bool is_reserved(const struct apic *a, u32 reg, u64 value)
{
	u64 bits = register_bits(a, reg);

	if (is_lvt(reg))
		bits |= LVT_STATUS;
	if (reg == APIC_LVT_LINT0 || reg == APIC_LVT_LINT1)
		bits |= LVT_REMOTE_IRR;
	if (reg == APIC_LVT_TIMER && (value >> 17 & 3) == TIMER_RESERVED)
		return true;
	return value & ~bits;
}

bool apic_read(struct apic *a, u32 reg, u64 now, u64 *value)
{
	u32 rights = register_rights(a, reg);

	*value = 0;
	if (!globally_enabled(a))
		return false;
	if (!rights && !apic_is_x2apic(a))
		raise_error(a, ESR_ILLEGAL_REGISTER);
	if (!(rights & READ))
		return false;
	switch (reg) {
	case APIC_ID:
		*value = apic_is_x2apic(a) ? a->id : a->id << 24;
		break;
	case APIC_VERSION_REG:
		*value = APIC_VERSION;
		break;
	case APIC_TPR:
		*value = a->tpr;
		break;
	case APIC_PPR:
		*value = apic_ppr(a);
		break;
	case APIC_LDR:
		*value = a->ldr;
		break;
	case APIC_DFR:
		*value = a->dfr;
		break;
	case APIC_SVR:
		*value = a->svr;
		break;
	case APIC_ISR ... APIC_ISR + 7:
		*value = a->isr[reg - APIC_ISR];
		break;
	case APIC_TMR ... APIC_TMR + 7:
		*value = a->tmr[reg - APIC_TMR];
		break;
	case APIC_IRR ... APIC_IRR + 7:
		*value = a->irr[reg - APIC_IRR];
		break;
	case APIC_ESR:
		*value = a->esr;
		break;
	case APIC_ICR:
		*value = apic_is_x2apic(a) ? a->icr : (u32)a->icr;
		break;
	case APIC_ICR_HIGH:
		*value = a->icr >> 32;
		break;
	case APIC_LVT_TIMER ... APIC_LVT_ERROR:
		*value = a->lvt[reg - APIC_LVT_TIMER];
		break;
	case APIC_TIMER_INITIAL:
		*value = a->timer_initial;
		break;
	case APIC_TIMER_CURRENT:
		*value = current_count(a, now);
		break;
	case APIC_TIMER_DIVIDE:
		*value = a->timer_divide;
		break;
	}
	return true;
}

static void write_svr(struct apic *a, u32 value)
{
	a->svr = value;
	if (software_enabled(a))
		return;
	for (u32 i = 0; i < LVTS; i++)
		a->lvt[i] |= LVT_MASKED;
}

static void write_lvt(struct apic *a, u32 which, u32 value)
{
	if (!software_enabled(a))
		value |= LVT_MASKED;
	if (which == LVT_TIMER)
		write_lvt_timer(a, value);
	else
		a->lvt[which] = value;
}

static void write_esr(struct apic *a)
{
	a->esr = a->esr_pending;
	a->esr_pending = 0;
	a->error_raised = false;
}

/*
 * Level and trigger mode mean something for INIT only (SDM 11.6.1): everything else is an edge.
 * A software-disabled APIC sends as well.  Modes that nobody takes are sent all the same: what
 * comes of a message is apic_accept()'s to say.
 */
static enum apic_effect send(struct apic *a, u64 icr, struct apic_ipi *ipi)
{
	enum apic_mode mode = (enum apic_mode)(icr >> 8 & 7);
	u8 vector = (u8)icr;

	if ((mode == APIC_MODE_FIXED || mode == APIC_MODE_LOWEST) && vector < FIRST_VECTOR) {
		raise_error(a, ESR_SEND_ILLEGAL);
		return APIC_DONE;
	}
	if (mode == APIC_MODE_INIT && (icr & ICR_LEVEL) && !(icr & ICR_ASSERT))
		return APIC_DONE;
	*ipi = (struct apic_ipi){
		.mode = mode,
		.shorthand = (enum apic_shorthand)(icr >> 18 & 3),
		.dest = (u32)(apic_is_x2apic(a) ? icr >> 32 : icr >> 56),
		.vector = vector,
		.logical = icr & ICR_LOGICAL,
		.level = mode == APIC_MODE_INIT && (icr & ICR_LEVEL),
		.assert = true,
		.x2apic = apic_is_x2apic(a),
	};
	return APIC_SEND;
}

static enum apic_effect write_icr(struct apic *a, u64 value, struct apic_ipi *ipi)
{
	a->icr = apic_is_x2apic(a) ? value : (a->icr & ~0xffffffffull) | value;
	return send(a, a->icr, ipi);
}

enum apic_effect apic_write(struct apic *a, u32 reg, u64 value, u64 now, struct apic_ipi *ipi,
			    u8 *vector)
{
	u32 rights = register_rights(a, reg);
	bool x2apic = apic_is_x2apic(a);

	if (!globally_enabled(a))
		return APIC_DONE;
	if (x2apic && (!(rights & WRITE) || is_reserved(a, reg, value)))
		return APIC_FAULT;
	if (!rights)
		raise_error(a, ESR_ILLEGAL_REGISTER);
	if (!(rights & WRITE))
		return APIC_DONE;
	value &= register_bits(a, reg);
	switch (reg) {
	case APIC_TPR:
		a->tpr = (u32)value;
		break;
	case APIC_EOI:
		return apic_eoi(a, vector) ? APIC_EOI_LEVEL : APIC_DONE;
	case APIC_LDR:
		a->ldr = (u32)value;
		break;
	case APIC_DFR:
		a->dfr = (u32)value | 0x0fffffff;
		break;
	case APIC_SVR:
		apic_timer(a, now);
		write_svr(a, (u32)value);
		break;
	case APIC_ESR:
		write_esr(a);
		break;
	case APIC_ICR:
		return write_icr(a, value, ipi);
	case APIC_ICR_HIGH:
		a->icr = value << 32 | (u32)a->icr;
		break;
	case APIC_SELF_IPI:
		return send(a, value | (u64)APIC_TO_SELF << 18, ipi);
	case APIC_LVT_TIMER ... APIC_LVT_ERROR:
		apic_timer(a, now);
		write_lvt(a, reg - APIC_LVT_TIMER, (u32)value);
		break;
	case APIC_TIMER_INITIAL:
		apic_timer(a, now);
		write_initial(a, (u32)value, now);
		break;
	case APIC_TIMER_DIVIDE:
		apic_timer(a, now);
		write_divide(a, (u32)value, now);
		break;
	}
	return APIC_DONE;
}

/* ---- destinations ---- */

/* The logical destinations of xAPIC mode: bits of one set, or a cluster and bits in it. */
static bool matches_xapic_logical(const struct apic *a, u32 dest)
{
	u32 name = a->ldr >> 24;

	if (dest > 0xff)
		return false;
	switch (a->dfr >> 28) {
	case DFR_FLAT:
		return name & dest;
	case DFR_CLUSTER:
		return name >> 4 == dest >> 4 && (name & dest & 0xf);
	default:
		return false;
	}
}

static bool matches_x2apic_logical(const struct apic *a, u32 dest)
{
	return a->ldr >> 16 == dest >> 16 && (a->ldr & dest & 0xffff);
}

/*
 * What a broadcast is depends on the form of the message; how any other destination is read, on
 * the mode of who gets it.  Whether that one listens is apic_accept()'s to say.
 */
bool apic_is_target(const struct apic *a, const struct apic_ipi *ipi)
{
	if (ipi->dest == (ipi->x2apic ? 0xffffffff : 0xff))
		return true;
	if (!ipi->logical)
		return ipi->dest == a->id;
	return apic_is_x2apic(a) ? matches_x2apic_logical(a, ipi->dest) :
				   matches_xapic_logical(a, ipi->dest);
}

/* ---- as it travels ---- */

void apic_get_state(const struct apic *a, u64 now, struct hvabi_local_apic_state *s)
{
	*s = (struct hvabi_local_apic_state){
		.id = apic_is_x2apic(a) ? a->id : a->id << 24, .version = APIC_VERSION,
		.ldr = a->ldr, .dfr = a->dfr, .spurious = a->svr, .esr = a->esr,
		.icr_high = (u32)(a->icr >> 32), .icr_low = (u32)a->icr,
		.lvt_timer = a->lvt[LVT_TIMER], .lvt_thermal = a->lvt[LVT_THERMAL],
		.lvt_perfmon = a->lvt[LVT_PERF], .lvt_lint0 = a->lvt[LVT_LINT0],
		.lvt_lint1 = a->lvt[LVT_LINT1], .lvt_error = a->lvt[LVT_ERROR],
		.lvt_cmci = LVT_MASKED, .error_status = a->esr_pending,
		.initial_count = a->timer_initial,
		.counter_value = counts_down(a) ? current_count(a, now) : 0,
		.divide_configuration = a->timer_divide,
	};
	memcpy(s->isr, a->isr, sizeof(s->isr));
	memcpy(s->tmr, a->tmr, sizeof(s->tmr));
	memcpy(s->irr, a->irr, sizeof(s->irr));
}

static void set_vectors(u32 *set, const u32 *value)
{
	memcpy(set, value, 8 * sizeof(*set));
	set[0] &= ~0u << FIRST_VECTOR;
}

static void set_timer(struct apic *a, u64 now, u32 initial, u32 current)
{
	if (!counts_down(a))
		return;
	a->timer_initial = initial;
	a->timer_start = now;
	a->deadline = APIC_NEVER;
	current = (u32)min_u64(current, initial);
	if (current || (initial && timer_mode(a) == TIMER_PERIODIC))
		arm(a, now, (u64)(initial - current) << divide_shift(a));
}

void apic_set_state(struct apic *a, u64 now, const struct hvabi_local_apic_state *s)
{
	const u32 lvt[LVTS] = {
		[LVT_TIMER] = s->lvt_timer, [LVT_THERMAL] = s->lvt_thermal,
		[LVT_PERF] = s->lvt_perfmon, [LVT_LINT0] = s->lvt_lint0,
		[LVT_LINT1] = s->lvt_lint1, [LVT_ERROR] = s->lvt_error,
	};

	if (!apic_is_x2apic(a)) {
		a->ldr = s->ldr & (u32)register_bits(a, APIC_LDR);
		a->dfr = s->dfr | 0x0fffffff;
	}
	a->svr = s->spurious & (u32)register_bits(a, APIC_SVR);
	set_vectors(a->isr, s->isr);
	set_vectors(a->tmr, s->tmr);
	set_vectors(a->irr, s->irr);
	a->esr = s->esr & ESR_DEFINED;
	a->esr_pending = s->error_status & ESR_DEFINED;
	a->error_raised = a->esr_pending != 0;
	a->icr = s->icr_low & ICR_LOW_BITS;
	a->icr |= (u64)(apic_is_x2apic(a) ? s->icr_high : s->icr_high & 0xff000000) << 32;
	a->timer_divide = s->divide_configuration & (u32)register_bits(a, APIC_TIMER_DIVIDE);
	for (u32 i = 0; i < LVTS; i++) {
		u32 value = lvt[i] & lvt_bits[i];

		if (i == LVT_TIMER && (value >> 17 & 3) == TIMER_RESERVED)
			value &= ~(3u << 17);
		write_lvt(a, i, value);
	}
	set_timer(a, now, s->initial_count, s->counter_value);
}
