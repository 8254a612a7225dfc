/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The virtual local APIC of a child's processor (Intel SDM vol. 3, chapter 11; APM vol. 2,
 * chapter 16).  Registers, priorities, the timer and the requests that arrive; no memory
 * but the structure, no time but what the caller passes.  Delivery to other processors is
 * the caller's: a write of ICR returns what is to be sent.
 *
 * Laws
 *  - An interrupt that is requested while the processor may have taken an earlier one of its vector is
 *    another one: the processor is made to leave, to see which of them it is (@again).
 *  - An interrupt that was accepted stays in IRR until it is taken; one that was taken
 *    stays in ISR until its EOI.  Nothing else removes them but reset, INIT and disabling.
 *  - Software that asks for what cannot be gets #GP (x2APIC) or the error register, never
 *    another state.
 *  - The timer counts TSC ticks divided by the divide configuration: its input clock is the
 *    processor's TSC frequency, which is what children are told (HV frequency MSRs).
 *
 * Registers are named by their x2APIC number, MSR address - 0x800, which is also the xAPIC
 * offset / 16.  Lock: the partition's, like the processor that it belongs to.
 */
#ifndef CORE_APIC_H
#define CORE_APIC_H

#include <hvabi/vp.h>
#include "types.h"

#define APIC_VERSION	0x00050014u	/* integrated, 6 LVT entries, no EOI suppression */
#define APIC_NEVER	(~0ull)		/* a deadline that does not come */
#define APIC_NO_VECTOR	(-1)

/* APIC_BASE MSR. */
#define APIC_BASE_BSP		BIT(8)
#define APIC_BASE_EXTD		BIT(10)
#define APIC_BASE_ENABLE	BIT(11)
#define APIC_BASE_ADDRESS	0x000ffffffffff000ull

enum apic_register {
	APIC_ID = 0x02, APIC_VERSION_REG = 0x03, APIC_TPR = 0x08, APIC_PPR = 0x0a, APIC_EOI = 0x0b,
	APIC_LDR = 0x0d, APIC_DFR = 0x0e, APIC_SVR = 0x0f, APIC_ISR = 0x10, APIC_TMR = 0x18,
	APIC_IRR = 0x20, APIC_ESR = 0x28, APIC_LVT_CMCI = 0x2f, APIC_ICR = 0x30, APIC_ICR_HIGH = 0x31,
	APIC_LVT_TIMER = 0x32, APIC_LVT_THERMAL = 0x33, APIC_LVT_PERF = 0x34, APIC_LVT_LINT0 = 0x35,
	APIC_LVT_LINT1 = 0x36, APIC_LVT_ERROR = 0x37, APIC_TIMER_INITIAL = 0x38,
	APIC_TIMER_CURRENT = 0x39, APIC_TIMER_DIVIDE = 0x3e, APIC_SELF_IPI = 0x3f,
};

enum apic_lvt { LVT_TIMER, LVT_THERMAL, LVT_PERF, LVT_LINT0, LVT_LINT1, LVT_ERROR, LVTS };

/* Delivery modes, as ICR, LVT, MSI and ASSERT_VIRTUAL_INTERRUPT number them. */
enum apic_mode {
	APIC_MODE_FIXED, APIC_MODE_LOWEST, APIC_MODE_SMI, APIC_MODE_REMOTE_READ, APIC_MODE_NMI, APIC_MODE_INIT,
	APIC_MODE_SIPI, APIC_MODE_EXTINT,
};

enum apic_shorthand { APIC_TO_DEST, APIC_TO_SELF, APIC_TO_ALL, APIC_TO_OTHERS };

/**
 * struct apic - one local APIC
 * @base: the APIC_BASE MSR
 * @id: the x2APIC id, which is the VP index
 * @irr, @isr, @tmr: bit v % 32 of word v / 32 is vector v
 * @timer_start: TSC when the count was written, or the period began
 * @deadline: TSC at which the timer fires, or APIC_NEVER
 * @period_min: TSC ticks that pass at least between two periods' ends; the count is not changed by it
 * @nmi, @init, @sipi: requests that the processor has not taken yet; they are edges
 * @sipi_vector: start-up page of the last SIPI
 * @wait_for_sipi: after INIT (and at the start, for all but the boot processor)
 * @extint: an ExtINT request, with its vector, -1: none; @extint_offered: it stands before the processor, which may
 *	have taken it unseen; @extint_next: another one that came meanwhile
 * @sipi_after_init: @sipi came while @init was waiting, and outlives apic_init()
 * @offered: vector in IRR that stands before the processor, which may have taken it unseen; or APIC_NO_VECTOR
 * @again: it was requested once more meanwhile
 * @error_raised: the error interrupt has been requested since the last write of ESR
 */
struct apic {
	u64 base;
	u32 id;
	u32 irr[8], isr[8], tmr[8];
	u32 tpr, ldr, dfr, svr, esr, esr_pending;
	u64 icr;
	u32 lvt[LVTS];
	u32 timer_initial, timer_divide;
	u64 timer_start, deadline, period_min;
	bool nmi, init, sipi, wait_for_sipi;
	u8 sipi_vector;
	s16 extint, extint_next;
	bool extint_offered;
	s16 offered;
	bool again;
	bool sipi_after_init, error_raised;
};

/* What a write asks of the rest of the machine. */
enum apic_effect {
	APIC_DONE,
	APIC_FAULT,		/* #GP, and nothing changed; only in x2APIC mode */
	APIC_SEND,		/* struct apic_ipi is to be delivered */
	APIC_EOI_LEVEL,		/* a level-triggered interrupt has ended: effect->vector */
};

/**
 * struct apic_ipi - an interrupt on its way
 * @dest: APIC id, or logical destination; for a broadcast 0xffffffff (x2APIC) or 0xff (xAPIC, MSI)
 * @x2apic: which of the two forms @dest has
 * @level: level-triggered (for INIT: @assert says whether it is the de-assert, which does nothing)
 */
struct apic_ipi {
	enum apic_mode mode;
	enum apic_shorthand shorthand;
	u32 dest;
	u8 vector;
	bool logical, level, assert, x2apic;
};

/* Power-up: enabled in xAPIC mode, @id, software-disabled; all but id 0 wait for SIPI. */
void apic_reset(struct apic *a, u32 id);

/*
 * What INIT does: as reset, but id and base stay (SDM 11.4.7.3), and also the boot processor waits.
 * A SIPI that arrived after the INIT that is being taken stays as well.
 */
void apic_init(struct apic *a);

/* True if registers are reached by MSR. */
static inline bool apic_is_x2apic(const struct apic *a)
{
	return (a->base & (APIC_BASE_ENABLE | APIC_BASE_EXTD)) == (APIC_BASE_ENABLE | APIC_BASE_EXTD);
}

/*
 * Write APIC_BASE. False: a reserved bit or a transition that is not allowed (SDM 11.12.5), and,
 * which processors would do, another address than 0xfee00000 or another boot processor.
 */
bool apic_write_base(struct apic *a, u64 value, u64 physical_mask);

/*
 * Set APIC_BASE, as a VMM does: any mode from any other, a boot processor or not, and of what is disabled the
 * address does not count (hyperlight sets 0). False: a reserved bit, EXTD alone, or an APIC elsewhere.
 */
bool apic_set_base(struct apic *a, u64 value, u64 physical_mask);

/* Read register @reg at time @now. False: #GP (x2APIC), reads as 0 (xAPIC). */
bool apic_read(struct apic *a, u32 reg, u64 now, u64 *value);

/* Write register @reg at @now. @ipi is filled for APIC_SEND, @vector for APIC_EOI_LEVEL. */
enum apic_effect apic_write(struct apic *a, u32 reg, u64 value, u64 now, struct apic_ipi *ipi, u8 *vector);

/* EOI by another way (Hyper-V MSR): same as a write of APIC_EOI. True: @vector was level-triggered. */
bool apic_eoi(struct apic *a, u8 *vector);

/* The TSC deadline MSR (0x6e0); only counts while the LVT timer is in that mode. */
u64 apic_read_tsc_deadline(const struct apic *a);
void apic_write_tsc_deadline(struct apic *a, u64 value);

/* Does @ipi, with shorthand APIC_TO_DEST, name this APIC? */
bool apic_is_target(const struct apic *a, const struct apic_ipi *ipi);

/*
 * Take a request: fixed and lowest priority into IRR, the others into @nmi, @init, @sipi, @extint.
 * False if it changed nothing (disabled, or was pending already): nobody need be woken.
 */
bool apic_accept(struct apic *a, enum apic_mode mode, u8 vector, bool level);

/* Fixed and lowest priority interrupts are not lost here: enabled in hardware and software. */
bool apic_takes_fixed(const struct apic *a);

/* A local interrupt input (LINT0, LINT1) was raised; as its LVT entry says. */
bool apic_local_interrupt(struct apic *a, enum apic_lvt input);

/* Highest vector that may be delivered now (above PPR), or APIC_NO_VECTOR. */
int apic_pending(const struct apic *a);

/* Highest vector in IRR whatever its priority, or APIC_NO_VECTOR. */
int apic_requested(const struct apic *a);

/* @vector, from apic_pending(), is being delivered: IRR to ISR. */
void apic_take(struct apic *a, u8 vector);

/*
 * @vector, from apic_pending(), is put before the processor, which takes it whenever it can; then
 * the processor has left the guest and either had taken it or not.
 */
void apic_offer(struct apic *a, u8 vector);
void apic_offer_end(struct apic *a, bool taken);

/*
 * True if one EOI more, by the interrupt in service or by @offered when it is taken, would neither let another in
 * nor be anybody's business: nothing else is requested, and it is an edge.  With @offered nothing may be in service,
 * or it could be the EOI of that.
 */
bool apic_eoi_is_local(const struct apic *a, int offered);

u32 apic_ppr(const struct apic *a);

/*
 * The registers as they travel, at time @now; the timer has expired if it is due.  What is set is
 * first made what registers can hold; id, version and mode stay, and TPR, which travels as CR8.
 * The timer counts on from the current count.  A TSC deadline has no place there: it stays too,
 * unless the timer's mode changes.
 */
void apic_get_state(const struct apic *a, u64 now, struct hvabi_local_apic_state *s);
void apic_set_state(struct apic *a, u64 now, const struct hvabi_local_apic_state *s);

/* CR8 and TPR are one. */
static inline u64 apic_cr8(const struct apic *a)
{
	return a->tpr >> 4;
}

/* MOV to CR8 clears the low bits; one that changes nothing leaves them. */
static inline void apic_set_cr8(struct apic *a, u64 cr8)
{
	if (apic_cr8(a) != (cr8 & 0xf))
		a->tpr = (u32)(cr8 & 0xf) << 4;
}

/* Let the timer expire if @now has come: an interrupt if not masked, and the next period. True: something was requested. */
bool apic_timer(struct apic *a, u64 now);

#endif
