// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts of children: who gets what is sent, who is woken by it, and what is delivered at an
 * entry.  The wake-up that races with blocking is tried at each of the places where it can come.
 */
#include <hypervisor/core/interrupt.h>
#include <hypervisor/core/synthetic.h>
#include <hypervisor/core/time.h>
#include "unit.h"

#define VPS		4u
#define IF		0x202u
#define BLOCKED		HVABI_DISPATCH_STATE_BLOCKED
#define READY		HVABI_DISPATCH_STATE_READY
#define SUSPENDED	(BLOCKED | HVABI_DISPATCH_EVENT_SUSPEND << 8)
#define NMI_PENDING	0x20005u	/* vector 2, type 2, pending */

static struct cpu *const cpu = &mock_cpus[0], *const other = &mock_cpus[1];
static uint64_t id;
static struct partition *p;
static struct vp *vps[VPS];

static int setup(void **state)
{
	(void)state;
	mock_reset();
	mock_run = mock_ready_or_blocked;
	synic_write(cpu, HVABI_MSR_SCONTROL, HVABI_SCONTROL_ENABLE);
	synic_write(cpu, HVABI_MSR_SIMP, cpu->synic.simp | HVABI_MSR_PAGE_ENABLE);
	synic_write(cpu, HVABI_MSR_SINT0, 0xf3);
	id = mock_apic_child(60, HVABI_PARTITION_FLAG_LAPIC_ENABLED, 0);
	p = partition_find(id);
	for (unsigned int i = 0; i < VPS; i++) {
		vps[i] = mock_vp(id, i);
		vps[i]->apic.svr = 0x1ff;
		vps[i]->apic.wait_for_sipi = false;
		vps[i]->state.rflags = IF;
	}
	return 0;
}

/* Signals delivered for @vp; the slot is read. */
static uint64_t signals(const struct vp *vp)
{
	struct hvabi_message *slot = platform_phys(cpu->synic.simp & ~0xfffull);

	slot->header.message_type = 0;
	synic_write(cpu, HVABI_MSR_EOM, 0);
	slot->header.message_type = 0;
	return vp->root_signals;
}

static bool irr(const struct vp *vp, unsigned int vector)
{
	return vp->apic.irr[vector / 32] & 1u << vector % 32;
}

static bool isr(const struct vp *vp, unsigned int vector)
{
	return vp->apic.isr[vector / 32] & 1u << vector % 32;
}

static void to(unsigned int dest, enum apic_mode mode, unsigned int vector)
{
	const struct apic_ipi ipi = { .mode = mode, .dest = dest, .vector = (uint8_t)vector, .assert = true };

	interrupt_send(cpu, p, NULL, &ipi);
}

static void block(struct vp *vp)
{
	vp->halted = true;
	assert_int_equal(mock_dispatch(vp), BLOCKED);
	assert_true(vp->halted);
}

/* ---- blocking and waking ---- */

static void a_halted_processor_blocks_until_there_is_something(void **state)
{
	struct vp *vp = vps[0];

	(void)state;
	assert_int_equal(mock_dispatch(vp), READY);
	block(vp);
	assert_int_equal(counter(id, HVABI_COUNT_BLOCKED), 1);
	to(0, APIC_MODE_FIXED, 0x41);
	assert_int_equal(mock_dispatch(vp), READY);
	assert_false(vp->halted);
	/* It goes on from there: the interrupt is still to be taken, but HLT is over. */
	assert_int_equal(mock_dispatch(vp), READY);
	vp->halted = true;
	assert_int_equal(mock_dispatch(vp), READY);

	/* With interrupts off, or its priority above, it sleeps on. */
	vp->state.rflags = 2;
	block(vp);
	vp->state.rflags = IF;
	vp->apic.tpr = 0x40;
	block(vp);
	/* NMIs know neither; only one in progress keeps them out. */
	vp->state.rflags = 2;
	to(0, APIC_MODE_NMI, 0);
	vp->nmi_masked = true;
	block(vp);
	vp->nmi_masked = false;
	assert_int_equal(mock_dispatch(vp), READY);
	vp->apic.nmi = false;
	/* ExtINT does not know the priority. */
	to(0, APIC_MODE_EXTINT, 0x30);
	block(vp);
	vp->state.rflags = IF;
	vp->halted = true;
	assert_int_equal(mock_dispatch(vp), READY);
	/* What the VMM has put before it is something. */
	vp->apic.extint = APIC_NO_VECTOR;
	block(vp);
	assert_status(mock_set(vp, HVABI_REG_PENDING_INTERRUPTION, 0x000d0007), SUCCESS);
	assert_int_equal(mock_dispatch(vp), READY);
	/* Not started yet, no interrupt starts it. */
	vp->state.pending_interruption = 0;
	vp->apic.wait_for_sipi = true;
	vp->halted = false;
	to(0, APIC_MODE_NMI, 0);
	assert_int_equal(mock_dispatch(vp), BLOCKED);
}

/* A read of GUEST_IDLE: what HLT is, but for RFLAGS.IF. */
static void guest_idle_waits_with_interrupts_off(void **state)
{
	struct vp *vp = vps[0];
	uint64_t value = 0x5a5a;

	(void)state;
	assert_int_equal(synthetic_read(vp, HVABI_MSR_GUEST_IDLE, &value), MSR_UNKNOWN);
	assert_false(vp->halted);
	p->property[PROPERTY_SYNTHETIC_FEATURES] = HVABI_SYNTHETIC_GUEST_IDLE;
	vp->state.rflags = 2;
	assert_int_equal(synthetic_read(vp, HVABI_MSR_GUEST_IDLE, &value), MSR_DONE);
	assert_int_equal(value, 0);
	assert_int_equal(mock_dispatch(vp), BLOCKED);
	/* What is masked by priority does not end it, as it does not end HLT. */
	vp->apic.tpr = 0x50;
	to(0, APIC_MODE_FIXED, 0x41);
	assert_int_equal(signals(vp), 0);
	assert_int_equal(mock_dispatch(vp), BLOCKED);
	to(0, APIC_MODE_FIXED, 0x61);
	assert_int_equal(signals(vp), 1);
	assert_int_equal(mock_dispatch(vp), READY);
	assert_false(vp->halted || vp->idle);
	assert_true(irr(vp, 0x61));
	/* One that is there already ends it at once; a HLT then waits as ever. */
	assert_int_equal(synthetic_read(vp, HVABI_MSR_GUEST_IDLE, &value), MSR_DONE);
	assert_int_equal(mock_dispatch(vp), READY);
	block(vp);
	/* The wait can be told from HLT, and restored. */
	assert_status(mock_set(vp, HVABI_REG_INTERNAL_ACTIVITY_STATE, HVABI_ACTIVITY_IDLE_SUSPEND), SUCCESS);
	assert_status(mock_get(vp, HVABI_REG_INTERNAL_ACTIVITY_STATE), SUCCESS);
	assert_int_equal(*(uint64_t *)mock_out(), HVABI_ACTIVITY_IDLE_SUSPEND);
	assert_int_equal(mock_dispatch(vp), READY);
	assert_int_equal(synthetic_write(cpu, vp, HVABI_MSR_GUEST_IDLE, 0, &value), MSR_REFUSED);
}

static void each_blocked_answer_gets_one_signal(void **state)
{
	struct vp *vp = vps[1];

	(void)state;
	block(vp);
	assert_int_equal(signals(vp), 0);
	to(1, APIC_MODE_FIXED, 0x41);
	assert_int_equal(signals(vp), 1);
	/* More of it, and the same once more: it is awake. */
	to(1, APIC_MODE_FIXED, 0x41);
	to(1, APIC_MODE_FIXED, 0x51);
	to(1, APIC_MODE_NMI, 0);
	assert_int_equal(signals(vp), 1);
	assert_int_equal(mock_dispatch(vp), READY);
	memset(vp->apic.irr, 0, sizeof(vp->apic.irr));
	vp->apic.nmi = false;
	block(vp);
	assert_int_equal(signals(vp), 1);
	to(1, APIC_MODE_NMI, 0);
	assert_int_equal(signals(vp), 2);
	/* Requests that it cannot take do not wake it, but stay. */
	assert_int_equal(mock_dispatch(vp), READY);
	vp->apic.nmi = false;
	vp->state.rflags = 2;
	block(vp);
	to(1, APIC_MODE_FIXED, 0x61);
	assert_int_equal(signals(vp), 2);
	assert_true(irr(vp, 0x61));
	assert_int_equal(mock_kicks, 0);
	/* One that was answered ready is not waited for. */
	vp->state.rflags = IF;
	assert_int_equal(mock_dispatch(vp), READY);
	to(1, APIC_MODE_FIXED, 0x71);
	assert_int_equal(signals(vp), 2);
}

static enum run_result intercepted(struct cpu *self, struct vp *vp)
{
	(void)self;
	(void)vp;
	return RUN_INTERCEPT;
}

/* It has a message for the VMM: nobody waits for a signal. */
static void one_in_an_intercept_is_not_signalled(void **state)
{
	(void)state;
	mock_run = intercepted;
	assert_int_equal(mock_dispatch(vps[1]), READY | HVABI_DISPATCH_EVENT_INTERCEPT << 8);
	to(1, APIC_MODE_FIXED, 0x41);
	assert_int_equal(signals(vps[1]), 0);
	assert_true(irr(vps[1], 0x41));
}

/* A request that comes before the answer: there is none. */
static void requests_before_the_answer_are_seen(void **state)
{
	struct vp *vp = vps[1];

	(void)state;
	vp->halted = true;
	to(1, APIC_MODE_FIXED, 0x41);
	assert_int_equal(mock_dispatch(vp), READY);
	assert_int_equal(signals(vp), 0);
}

static enum run_result requested_meanwhile(struct cpu *self, struct vp *vp)
{
	const struct apic_ipi ipi = { .dest = 1, .vector = 0x41, .assert = true };

	vp->running = true;
	vp->cpu = self;
	vp->halted = true;
	/* From another processor: it may be in the guest now, and is driven out. */
	interrupt_send(other, p, NULL, &ipi);
	assert_int_equal(mock_kicks, 1);
	assert_int_equal(self->kick, 1);
	/* Nothing new, nothing to look at. */
	interrupt_send(other, p, NULL, &ipi);
	assert_int_equal(mock_kicks, 1);
	self->kick = 0;
	vp->running = false;
	return mock_ready_or_blocked(self, vp);
}

static enum run_result requested_by_itself(struct cpu *self, struct vp *vp)
{
	const struct apic_ipi ipi = { .shorthand = APIC_TO_SELF, .vector = 0x51, .assert = true };

	vp->running = true;
	vp->cpu = self;
	vp->halted = true;
	interrupt_send(self, p, vp, &ipi);
	assert_int_equal(mock_kicks, 1);
	assert_int_equal(self->kick, 0);
	vp->running = false;
	return mock_ready_or_blocked(self, vp);
}

static void requests_of_a_running_processor_drive_it_out(void **state)
{
	(void)state;
	mock_run = requested_meanwhile;
	assert_int_equal(mock_dispatch(vps[1]), READY);
	vps[1]->apic.irr[2] = 0;
	mock_run = requested_by_itself;
	assert_int_equal(mock_dispatch(vps[1]), READY);
	assert_int_equal(signals(vps[1]), 0);
}

static void clearing_explicit_suspend_signals(void **state)
{
	struct hvabi_create_vp create = { .partition_id = id, .vp_index = VPS };
	struct vp *vp;

	(void)state;
	/* Nobody was told that it is suspended. */
	for (unsigned int i = 0; i < VPS; i++)
		assert_int_equal(signals(vps[i]), 0);
	assert_status(mock_call(HVABI_CALL_CREATE_VP, &create, sizeof(create), 0, 0), SUCCESS);
	vp = vps[2];
	assert_status(mock_set(vp, HVABI_REG_EXPLICIT_SUSPEND, 1), SUCCESS);
	assert_status(mock_set(vp, HVABI_REG_EXPLICIT_SUSPEND, 0), SUCCESS);
	assert_int_equal(signals(vp), 0);
	assert_status(mock_set(vp, HVABI_REG_EXPLICIT_SUSPEND, 1), SUCCESS);
	assert_int_equal(mock_dispatch(vp), SUSPENDED);
	assert_status(mock_set(vp, HVABI_REG_EXPLICIT_SUSPEND, 1), SUCCESS);
	assert_status(mock_set(vp, HVABI_REG_INTERCEPT_SUSPEND, 0), SUCCESS);
	assert_int_equal(signals(vp), 0);
	assert_status(mock_set(vp, HVABI_REG_EXPLICIT_SUSPEND, 2), INVALID_REGISTER_VALUE);
	assert_status(mock_set(vp, HVABI_REG_EXPLICIT_SUSPEND, 0), SUCCESS);
	assert_int_equal(signals(vp), 1);
	assert_status(mock_set(vp, HVABI_REG_EXPLICIT_SUSPEND, 0), SUCCESS);
	assert_int_equal(signals(vp), 1);
	assert_int_equal(mock_dispatch(vp), READY);
	/* Interrupts come through to a suspended one, and it takes them later. */
	assert_status(mock_set(vp, HVABI_REG_EXPLICIT_SUSPEND, 1), SUCCESS);
	assert_int_equal(mock_dispatch(vp), SUSPENDED);
	to(2, APIC_MODE_FIXED, 0x41);
	assert_int_equal(mock_dispatch(vp), SUSPENDED);
	assert_status(mock_set(vp, HVABI_REG_EXPLICIT_SUSPEND, 0), SUCCESS);
	assert_int_equal(mock_dispatch(vp), READY);
	assert_true(irr(vp, 0x41));
}

static enum run_result suspended_meanwhile(struct cpu *self, struct vp *vp)
{
	const union hvabi_register_value one = { .reg64 = 1 };

	vp->running = true;
	vp->cpu = self;
	assert_int_equal(vp_set_register(other, vp, HVABI_REG_EXPLICIT_SUSPEND, &one), 0);
	vp->running = false;
	return RUN_PREEMPTED;
}

static void one_suspended_while_it_runs_is_signalled_too(void **state)
{
	(void)state;
	mock_run = suspended_meanwhile;
	assert_int_equal(mock_dispatch(vps[2]), SUSPENDED);
	assert_status(mock_set(vps[2], HVABI_REG_EXPLICIT_SUSPEND, 0), SUCCESS);
	assert_int_equal(signals(vps[2]), 1);
}

/* ---- who gets it ---- */

static unsigned int got(unsigned int vector)
{
	unsigned int mask = 0;

	for (unsigned int i = 0; i < VPS; i++) {
		mask |= irr(vps[i], vector) ? 1u << i : 0;
		memset(vps[i]->apic.irr, 0, sizeof(vps[i]->apic.irr));
	}
	return mask;
}

static void destinations(void **state)
{
	struct apic_ipi ipi = { .vector = 0x44, .assert = true };

	(void)state;
	for (unsigned int i = 0; i < VPS; i++) {
		to(i, APIC_MODE_FIXED, 0x44);
		assert_int_equal(got(0x44), 1u << i);
	}
	to(77, APIC_MODE_FIXED, 0x44);
	assert_int_equal(got(0x44), 0);
	to(0xff, APIC_MODE_FIXED, 0x44);
	assert_int_equal(got(0x44), 15);
	ipi.shorthand = APIC_TO_SELF;
	interrupt_send(cpu, p, vps[2], &ipi);
	assert_int_equal(got(0x44), 4);
	ipi.shorthand = APIC_TO_ALL;
	interrupt_send(cpu, p, vps[2], &ipi);
	assert_int_equal(got(0x44), 15);
	ipi.shorthand = APIC_TO_OTHERS;
	interrupt_send(cpu, p, vps[2], &ipi);
	assert_int_equal(got(0x44), 11);
	/* Logical: the names that they gave themselves. */
	for (unsigned int i = 0; i < VPS; i++)
		vps[i]->apic.ldr = 1u << (24 + i);
	ipi.shorthand = APIC_TO_DEST;
	ipi.logical = true;
	ipi.dest = 5;
	interrupt_send(cpu, p, NULL, &ipi);
	assert_int_equal(got(0x44), 5);
	/* Who does not listen has not got it. */
	vps[0]->apic.svr = 0xff;
	interrupt_send(cpu, p, NULL, &ipi);
	assert_int_equal(got(0x44), 4);
}

static void modes(void **state)
{
	struct vp *vp = vps[3];
	struct apic before = vp->apic;
	struct apic_ipi level = { .dest = 3, .vector = 0x62, .level = true, .assert = true };

	(void)state;
	to(3, APIC_MODE_SMI, 0x41);
	to(3, APIC_MODE_REMOTE_READ, 0x41);
	to(3, APIC_MODE_SIPI, 0x41);		/* it does not wait for one */
	level.mode = APIC_MODE_INIT;
	level.assert = false;			/* the de-assert */
	interrupt_send(cpu, p, NULL, &level);
	assert_memory_equal(&before, &vp->apic, sizeof(before));
	level.mode = APIC_MODE_FIXED;
	level.assert = true;
	interrupt_send(cpu, p, NULL, &level);
	assert_true(irr(vp, 0x62));
	assert_int_equal(vp->apic.tmr[3], 1u << 2);
	to(3, APIC_MODE_FIXED, 0x62);
	assert_int_equal(vp->apic.tmr[3], 0);
	to(3, APIC_MODE_NMI, 0x41);
	assert_true(vp->apic.nmi);
	to(3, APIC_MODE_EXTINT, 0x33);
	assert_int_equal(vp->apic.extint, 0x33);
	to(3, APIC_MODE_INIT, 0);
	assert_true(vp->apic.init);
	for (unsigned int i = 0; i < 3; i++)
		assert_false(vps[i]->apic.nmi || vps[i]->apic.init || vps[i]->apic.extint >= 0);
}

static void the_lowest_priority_takes_it(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < VPS; i++)
		vps[i]->apic.tpr = 0x40 - 0x10 * i;
	to(0xff, APIC_MODE_LOWEST, 0x50);
	assert_int_equal(got(0x50), 8);
	vps[3]->apic.isr[2] = 1;		/* 0x40 is in service there */
	to(0xff, APIC_MODE_LOWEST, 0x50);
	assert_int_equal(got(0x50), 4);
	vps[2]->apic.svr = 0xff;
	to(0xff, APIC_MODE_LOWEST, 0x50);
	assert_int_equal(got(0x50), 2);
	/* Of equals the first; only who is named. */
	vps[0]->apic.tpr = vps[1]->apic.tpr;
	to(0xff, APIC_MODE_LOWEST, 0x50);
	assert_int_equal(got(0x50), 1);
	to(3, APIC_MODE_LOWEST, 0x50);
	assert_int_equal(got(0x50), 8);
	for (unsigned int i = 0; i < VPS; i++)
		vps[i]->apic.svr = 0xff;
	to(0xff, APIC_MODE_LOWEST, 0x50);
	assert_int_equal(got(0x50), 0);
	/* Who takes it is woken, and nobody else. */
	for (unsigned int i = 0; i < VPS; i++) {
		vps[i]->apic.svr = 0x1ff;
		vps[i]->apic.tpr = 0;
		block(vps[i]);
	}
	to(0xff, APIC_MODE_LOWEST, 0x50);
	assert_int_equal(signals(vps[0]), 1);
	for (unsigned int i = 1; i < VPS; i++)
		assert_int_equal(signals(vps[i]), 0);
}

/* ---- INIT and SIPI ---- */

static void a_new_processor_is_started(void **state)
{
	struct vp *vp = mock_vp(id, VPS);

	(void)state;
	assert_int_equal(mock_dispatch(vp), BLOCKED);
	to(VPS, APIC_MODE_INIT, 0);
	assert_int_equal(signals(vp), 1);
	assert_int_equal(mock_dispatch(vp), BLOCKED);
	assert_false(vp->apic.init);
	/* INIT alone does not let it run, nor does anything else. */
	to(VPS, APIC_MODE_NMI, 0);
	assert_int_equal(signals(vp), 1);
	to(VPS, APIC_MODE_SIPI, 0x9a);
	assert_int_equal(signals(vp), 2);
	assert_int_equal(mock_dispatch(vp), READY);
	assert_int_equal(vp->state.segment[SEG_CS].selector, 0x9a00);
	assert_int_equal(vp->state.segment[SEG_CS].base, 0x9a000);
	assert_int_equal(vp->state.rip, 0);
	assert_int_equal(vp->state.rflags, 2);
	assert_int_equal(vp->state.cr0, 0x60000010);
	assert_false(vp->apic.sipi);
	/* The second one of the usual pair finds it started. */
	to(VPS, APIC_MODE_SIPI, 0x10);
	vp->state.rip = 0x77;
	assert_int_equal(mock_dispatch(vp), READY);
	assert_int_equal(vp->state.rip, 0x77);
	assert_int_equal(signals(vp), 2);
}

static void init_and_sipi_may_come_together(void **state)
{
	struct vp *vp = vps[1];
	uint64_t detail;

	(void)state;
	/* It runs, with much of its own, and a timer. */
	vp->state.rip = 0x1234;
	vp->state.cr0 = 0x80000011;
	vp->state.cr8 = 5;
	vp->nmi_masked = true;
	vp->state.pending_interruption = 0x000d0007;
	vp->apic.tpr = 0x50;
	assert_int_equal(vp_apic_write(cpu, vp, APIC_LVT_TIMER, 0x44, &detail), MSR_DONE);
	assert_int_equal(vp_apic_write(cpu, vp, APIC_TIMER_INITIAL, 1000, &detail), MSR_DONE);
	assert_true(mock_timer < TIME_NEVER);
	to(1, APIC_MODE_FIXED, 0x71);
	to(1, APIC_MODE_INIT, 0);
	to(1, APIC_MODE_SIPI, 0x08);
	assert_int_equal(mock_dispatch(vp), READY);
	assert_int_equal(vp->state.segment[SEG_CS].selector, 0x800);
	assert_int_equal(vp->state.rip, 0);
	assert_int_equal(vp->state.cr0, 0x60000010);
	assert_int_equal(vp->state.cr8, 0);
	assert_int_equal(vp->state.pending_interruption, 0);
	assert_false(vp->nmi_masked);
	assert_false(irr(vp, 0x71));
	assert_int_equal(vp->apic.tpr, 0);
	assert_int_equal(vp->apic.id, 1);
	/* Its timer is off, and nobody waits for it. */
	assert_true(mock_timer == TIME_NEVER);
}

/* ---- what is delivered ---- */

static void nmis_are_injected(void **state)
{
	struct vp *vp = vps[0];

	(void)state;
	vp_deliver(vp);
	assert_int_equal(vp->state.pending_interruption, 0);
	to(0, APIC_MODE_NMI, 0);
	vp->state.interrupt_shadow = true;
	vp_deliver(vp);
	assert_int_equal(vp->state.pending_interruption, 0);
	vp->state.interrupt_shadow = false;
	vp->state.rflags = 2;
	vp_deliver(vp);
	assert_int_equal(vp->state.pending_interruption, NMI_PENDING);
	assert_true(vp->nmi_masked);
	assert_false(vp->apic.nmi);
	/* A second one waits: for the first to be delivered, and then for its IRET. */
	to(0, APIC_MODE_NMI, 0);
	vp_deliver(vp);
	assert_int_equal(vp->state.pending_interruption, NMI_PENDING);
	assert_true(vp->apic.nmi);
	vp->state.pending_interruption = 0;
	vp_deliver(vp);
	assert_int_equal(vp->state.pending_interruption, 0);
	/* The IRET is announced; it is not done while the processor stands on it. */
	vp->state.rip = 0x5000;
	vp_nmi_done(vp);
	assert_false(vp->nmi_masked);
	vp_deliver(vp);
	assert_int_equal(vp->state.pending_interruption, 0);
	vp_deliver(vp);
	assert_true(vp->apic.nmi);
	vp->state.rip = 0x6000;
	vp_deliver(vp);
	assert_int_equal(vp->state.pending_interruption, NMI_PENDING);
	assert_true(vp->nmi_masked);
	/* That IRET is over: its address means nothing any more. */
	vp->state.pending_interruption = 0;
	vp->nmi_masked = false;
	vp->state.rip = 0x5000;
	to(0, APIC_MODE_NMI, 0);
	vp_deliver(vp);
	assert_int_equal(vp->state.pending_interruption, NMI_PENDING);
	/* An exception of the VMM's goes first, and one that is not pending is none. */
	vp->nmi_masked = false;
	to(0, APIC_MODE_NMI, 0);
	vp->state.pending_interruption = 0x000d0007;
	vp_deliver(vp);
	assert_int_equal(vp->state.pending_interruption, 0x000d0007);
	vp->state.pending_interruption = 0x000d0006;
	vp_deliver(vp);
	assert_int_equal(vp->state.pending_interruption, NMI_PENDING);
}

static void interrupts_are_offered(void **state)
{
	struct vp *vp = vps[0];

	(void)state;
	assert_int_equal(vp_offer(vp), APIC_NO_VECTOR);
	to(0, APIC_MODE_FIXED, 0x41);
	to(0, APIC_MODE_FIXED, 0x52);
	/* Whether the guest takes it now is the processor's to say. */
	vp->state.rflags = 2;
	assert_int_equal(vp_offer(vp), 0x52);
	assert_int_equal(vp_offer(vp), 0x52);
	assert_true(irr(vp, 0x52));
	vp_offer_end(vp, 0x52, true);
	assert_false(irr(vp, 0x52));
	assert_true(isr(vp, 0x52));
	assert_int_equal(vp_offer(vp), APIC_NO_VECTOR);
	/* ExtINT goes first, knows no priority and needs no EOI. */
	to(0, APIC_MODE_FIXED, 0x61);
	to(0, APIC_MODE_EXTINT, 0x20);
	assert_int_equal(vp_offer(vp), 0x20);
	vp_offer_end(vp, 0x20, true);
	assert_int_equal(vp->apic.extint, APIC_NO_VECTOR);
	assert_false(isr(vp, 0x20));
	assert_int_equal(vp_offer(vp), 0x61);
}

/* The processor may have taken the first one already, and that is seen when it leaves: this is another. */
static void what_comes_after_the_offer_is_another(void **state)
{
	struct vp *vp = vps[0];
	unsigned int kicks;

	(void)state;
	vp->running = true;
	vp->cpu = other;
	to(0, APIC_MODE_FIXED, 0x41);
	assert_int_equal(vp_offer(vp), 0x41);
	kicks = mock_kicks;
	to(0, APIC_MODE_FIXED, 0x41);
	assert_int_equal(mock_kicks, kicks + 1);
	/* Once is enough. */
	to(0, APIC_MODE_FIXED, 0x41);
	assert_int_equal(mock_kicks, kicks + 1);
	vp_offer_end(vp, 0x41, true);
	assert_true(isr(vp, 0x41) && irr(vp, 0x41));
	/* If it had not taken it, they are one. */
	vp->apic.isr[2] = 0;
	assert_int_equal(vp_offer(vp), 0x41);
	to(0, APIC_MODE_FIXED, 0x41);
	vp_offer_end(vp, 0x41, false);
	assert_true(!isr(vp, 0x41) && irr(vp, 0x41));
	assert_int_equal(vp_offer(vp), 0x41);
	vp_offer_end(vp, 0x41, true);
	assert_true(isr(vp, 0x41) && !irr(vp, 0x41));
	vp->running = false;
}

/* The same of an ExtINT: whoever asks may have seen that the first was taken. */
static void another_extint_after_the_offer(void **state)
{
	struct vp *vp = vps[0];

	(void)state;
	for (unsigned int taken = 0; taken < 2; taken++) {
		to(0, APIC_MODE_EXTINT, 0x20);
		assert_int_equal(vp_offer(vp), 0x20);
		to(0, APIC_MODE_EXTINT, 0x21);
		/* There is room for no more. */
		to(0, APIC_MODE_EXTINT, 0x22);
		vp_offer_end(vp, 0x20, taken);
		if (!taken) {
			assert_int_equal(vp_offer(vp), 0x20);
			vp_offer_end(vp, 0x20, true);
		}
		assert_int_equal(vp_offer(vp), 0x21);
		vp_offer_end(vp, 0x21, true);
		assert_int_equal(vp_offer(vp), APIC_NO_VECTOR);
	}
	/* Both can be withdrawn. */
	to(0, APIC_MODE_EXTINT, 0x20);
	assert_int_equal(vp_offer(vp), 0x20);
	to(0, APIC_MODE_EXTINT, 0x21);
	assert_status(mock_call(HVABI_CALL_CLEAR_VIRTUAL_INTERRUPT, &id, 8, 0, 0), SUCCESS);
	vp_offer_end(vp, 0x20, false);
	assert_int_equal(vp_offer(vp), APIC_NO_VECTOR);
}

/* Between the offer and the answer the device has taken its ExtINT back, or sent another. */
static void what_was_withdrawn_is_not_in_service(void **state)
{
	struct vp *vp = vps[0];

	(void)state;
	to(0, APIC_MODE_EXTINT, 0x30);
	assert_int_equal(vp_offer(vp), 0x30);
	assert_status(mock_call(HVABI_CALL_CLEAR_VIRTUAL_INTERRUPT, &id, 8, 0, 0), SUCCESS);
	vp_offer_end(vp, 0x30, true);
	assert_false(isr(vp, 0x30));
	to(0, APIC_MODE_EXTINT, 0x31);
	vp_offer_end(vp, 0x30, true);
	assert_false(isr(vp, 0x30));
	assert_int_equal(vp->apic.extint, 0x31);
	/* A processor that runs with the offer before it has to be told. */
	vp->running = true;
	vp->cpu = other;
	assert_status(mock_call(HVABI_CALL_CLEAR_VIRTUAL_INTERRUPT, &id, 8, 0, 0), SUCCESS);
	assert_int_equal(mock_kicks, 1);
	assert_int_equal(other->kick, 1);
	assert_status(mock_call(HVABI_CALL_CLEAR_VIRTUAL_INTERRUPT, &id, 8, 0, 0), SUCCESS);
	assert_int_equal(mock_kicks, 1);
	vp->running = false;
}

static void cr8_is_watched_where_it_matters(void **state)
{
	static const struct {
		unsigned int requested, in_service;
		bool watched;
	} rows[] = {
		{ 0, 0, false }, { 0x41, 0, true }, { 0x1f, 0, true }, { 0x41, 0x40, false },
		{ 0x4f, 0x40, false }, { 0x50, 0x4f, true }, { 0x41, 0x80, false }, { 0, 0x41, false },
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct vp *vp = vps[0];

		memset(vp->apic.irr, 0, sizeof(vp->apic.irr));
		memset(vp->apic.isr, 0, sizeof(vp->apic.isr));
		if (rows[i].requested)
			vp->apic.irr[rows[i].requested / 32] = 1u << rows[i].requested % 32;
		if (rows[i].in_service)
			vp->apic.isr[rows[i].in_service / 32] = 1u << rows[i].in_service % 32;
		vp->apic.tpr = 0;
		assert_int_equal(vp_watches_cr8(vp), rows[i].watched);
		vp->apic.tpr = 0xf0;
		assert_int_equal(vp_watches_cr8(vp), rows[i].watched);
	}
}

static void without_apic_there_is_nothing(void **state)
{
	struct vp *vp = mock_vp(mock_child(20), 1);
	const struct apic_ipi ipi = { .dest = 1, .vector = 0x41, .assert = true };

	(void)state;
	vp->halted = true;
	vp->apic.svr = 0x1ff;
	interrupt_send(cpu, vp->partition, NULL, &ipi);
	assert_true(irr(vp, 0x41));
	vp->apic.nmi = true;
	vp->apic.extint = 0x30;
	assert_int_equal(mock_dispatch(vp), READY);
	vp_deliver(vp);
	assert_int_equal(vp->state.pending_interruption, 0);
	assert_int_equal(vp_offer(vp), APIC_NO_VECTOR);
	assert_false(vp_watches_cr8(vp));
	/* The register is a number. */
	assert_status(mock_set(vp, HVABI_REG_APIC_BASE, 0x12345), SUCCESS);
	assert_status(mock_get(vp, HVABI_REG_APIC_BASE), SUCCESS);
	assert_int_equal(*(uint64_t *)mock_out(), 0x12345);
	assert_status(mock_get(vp, HVABI_REG_INTERNAL_ACTIVITY_STATE), SUCCESS);
	assert_int_equal(*(uint64_t *)mock_out(), HVABI_ACTIVITY_HALT_SUSPEND);
	assert_status(mock_set(vp, HVABI_REG_INTERNAL_ACTIVITY_STATE, 0), INVALID_REGISTER_VALUE);
}

/* ---- registers ---- */

static uint64_t get(const struct vp *vp, uint32_t name)
{
	uint64_t value;

	assert_status(mock_get(vp, name), SUCCESS);
	memcpy(&value, mock_out(), sizeof(value));
	return value;
}

static void apic_base(void **state)
{
	struct vp *x2apic = mock_vp(mock_apic_child(20, HVABI_PARTITION_FLAG_LAPIC_ENABLED |
						    HVABI_PARTITION_FLAG_X2APIC_CAPABLE, 0), 0);
	uint64_t detail;

	(void)state;
	assert_int_equal(get(vps[0], HVABI_REG_APIC_BASE), 0xfee00900);
	assert_int_equal(get(vps[1], HVABI_REG_APIC_BASE), 0xfee00800);
	assert_status(mock_set(vps[0], HVABI_REG_APIC_BASE, 0xfee00d00), INVALID_REGISTER_VALUE);
	assert_status(mock_set(vps[0], HVABI_REG_APIC_BASE, 0xfed00900), INVALID_REGISTER_VALUE);
	assert_status(mock_set(vps[0], HVABI_REG_APIC_BASE, 1ull << 40 | 0xfee00900),
		      INVALID_REGISTER_VALUE);
	assert_int_equal(get(vps[0], HVABI_REG_APIC_BASE), 0xfee00900);
	assert_status(mock_set(x2apic, HVABI_REG_APIC_BASE, 0xfee00d00), SUCCESS);
	assert_true(apic_is_x2apic(&x2apic->apic));
	/* Switched off, its timer is. */
	vp_apic_write(cpu, vps[0], APIC_TIMER_INITIAL, 1000, &detail);
	assert_true(mock_timer < TIME_NEVER);
	assert_status(mock_set(vps[0], HVABI_REG_APIC_BASE, 0xfee00100), SUCCESS);
	assert_true(mock_timer == TIME_NEVER);
}

static void activity(void **state)
{
	struct vp *vp = vps[1];

	(void)state;
	assert_int_equal(get(vp, HVABI_REG_INTERNAL_ACTIVITY_STATE), 0);
	vp->halted = true;
	assert_int_equal(get(vp, HVABI_REG_INTERNAL_ACTIVITY_STATE), HVABI_ACTIVITY_HALT_SUSPEND);
	vp->apic.wait_for_sipi = true;
	assert_int_equal(get(vp, HVABI_REG_INTERNAL_ACTIVITY_STATE),
			 HVABI_ACTIVITY_HALT_SUSPEND | HVABI_ACTIVITY_STARTUP_SUSPEND);
	assert_status(mock_set(vp, HVABI_REG_INTERNAL_ACTIVITY_STATE, HVABI_ACTIVITY_IDLE_SUSPEND << 1),
		      INVALID_REGISTER_VALUE);
	assert_true(vp->halted && vp->apic.wait_for_sipi);
	assert_status(mock_set(vp, HVABI_REG_INTERNAL_ACTIVITY_STATE,
			       HVABI_ACTIVITY_STARTUP_SUSPEND), SUCCESS);
	assert_true(!vp->halted && vp->apic.wait_for_sipi);
	assert_status(mock_set(vp, HVABI_REG_INTERNAL_ACTIVITY_STATE, HVABI_ACTIVITY_HALT_SUSPEND),
		      SUCCESS);
	assert_true(vp->halted && !vp->apic.wait_for_sipi);
}

static void interrupt_state(void **state)
{
	struct vp *vp = vps[1];

	(void)state;
	for (unsigned int i = 0; i < 4; i++) {
		assert_status(mock_set(vp, HVABI_REG_INTERRUPT_STATE, i), SUCCESS);
		assert_int_equal(vp->state.interrupt_shadow, i & 1);
		assert_int_equal(vp->nmi_masked, i >> 1);
		assert_int_equal(get(vp, HVABI_REG_INTERRUPT_STATE), i);
	}
	assert_status(mock_set(vp, HVABI_REG_INTERRUPT_STATE, 4), INVALID_REGISTER_VALUE);
	assert_int_equal(get(vp, HVABI_REG_INTERRUPT_STATE), 3);
}

/* The parent sets what the processor waits for: that is a wake-up as well. */
static void registers_that_end_a_wait_signal(void **state)
{
	static const struct {
		uint32_t name;
		uint64_t value;
	} rows[] = {
		{ HVABI_REG_INTERNAL_ACTIVITY_STATE, 0 }, { HVABI_REG_RFLAGS, IF }, { HVABI_REG_CR8, 3 },
		{ HVABI_REG_PENDING_INTERRUPTION, 0x000d0007 }, { HVABI_REG_INTERRUPT_STATE, 0 },
	};
	struct vp *vp = vps[1];

	(void)state;
	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t before = signals(vp);

		vp->state.rflags = rows[i].name == HVABI_REG_RFLAGS ? 2 : IF;
		vp->state.pending_interruption = 0;
		assert_status(mock_set(vp, HVABI_REG_CR8, rows[i].name == HVABI_REG_RFLAGS ? 3 : 4), SUCCESS);
		vp->nmi_masked = true;
		vp->apic.nmi = rows[i].name == HVABI_REG_INTERRUPT_STATE;
		to(1, APIC_MODE_FIXED, 0x41);
		block(vp);
		/* Something else is nothing. */
		assert_status(mock_set(vp, HVABI_REG_RAX, 1), SUCCESS);
		assert_int_equal(signals(vp), before);
		assert_status(mock_set(vp, rows[i].name, rows[i].value), SUCCESS);
		assert_int_equal(signals(vp), before + 1);
		assert_int_equal(mock_dispatch(vp), READY);
	}
	/* One that is suspended does not wait for this. */
	assert_status(mock_set(vp, HVABI_REG_EXPLICIT_SUSPEND, 1), SUCCESS);
	assert_int_equal(mock_dispatch(vp), SUSPENDED);
	assert_status(mock_set(vp, HVABI_REG_INTERNAL_ACTIVITY_STATE, 0), SUCCESS);
	assert_int_equal(signals(vp), sizeof(rows) / sizeof(rows[0]));
}

/* CR8 and the APIC's TPR are one, whoever writes. */
static void cr8_is_the_priority(void **state)
{
	struct vp *vp = vps[1];

	(void)state;
	to(1, APIC_MODE_FIXED, 0x41);
	assert_int_equal(vp_offer(vp), 0x41);
	assert_status(mock_set(vp, HVABI_REG_CR8, 4), SUCCESS);
	assert_int_equal(vp->apic.tpr, 0x40);
	assert_int_equal(vp_offer(vp), APIC_NO_VECTOR);
	assert_status(mock_set(vp, HVABI_REG_INTERMEDIATE_CR8, 3), SUCCESS);
	assert_int_equal(vp_offer(vp), 0x41);
}

/* ---- hypercalls ---- */

static uint64_t assert_interrupt(uint32_t type, uint32_t flags, uint64_t dest, uint32_t vector)
{
	struct hvabi_input_assert_virtual_interrupt in = {
		.partition_id = id, .interrupt_type = type, .interrupt_flags = flags,
		.dest_addr = dest, .vector = vector,
	};

	return mock_call(HVABI_CALL_ASSERT_VIRTUAL_INTERRUPT, &in, sizeof(in), 0, 0);
}

static void devices_assert(void **state)
{
	(void)state;
	assert_status(assert_interrupt(HVABI_INTERRUPT_TYPE_FIXED, 0, 2, 0x41), SUCCESS);
	assert_int_equal(got(0x41), 4);
	assert_int_equal(counter(id, HVABI_COUNT_INTERRUPT_ASSERTED), 1);
	assert_status(assert_interrupt(HVABI_INTERRUPT_TYPE_FIXED, HVABI_INTERRUPT_LEVEL_TRIGGERED, 2,
				       0x41), SUCCESS);
	assert_int_equal(vps[2]->apic.tmr[2], 2);
	assert_int_equal(got(0x41), 4);
	assert_status(assert_interrupt(HVABI_INTERRUPT_TYPE_LOWEST_PRIORITY, 0, 0xff, 0x10), SUCCESS);
	assert_int_equal(got(0x10), 1);
	vps[3]->apic.ldr = 0x80000000;
	assert_status(assert_interrupt(HVABI_INTERRUPT_TYPE_FIXED, HVABI_INTERRUPT_LOGICAL_DEST, 0x80,
				       0xff), SUCCESS);
	assert_int_equal(got(0xff), 8);
	assert_status(assert_interrupt(HVABI_INTERRUPT_TYPE_NMI, 0, 1, 0), SUCCESS);
	assert_true(vps[1]->apic.nmi);
	assert_status(assert_interrupt(HVABI_INTERRUPT_TYPE_EXTINT, 0, 1, 8), SUCCESS);
	assert_int_equal(vps[1]->apic.extint, 8);
	assert_status(assert_interrupt(HVABI_INTERRUPT_TYPE_INIT, 0, 1, 0), SUCCESS);
	assert_true(vps[1]->apic.init);
	assert_status(assert_interrupt(HVABI_INTERRUPT_TYPE_SIPI, 0, 1, 0x42), SUCCESS);
	assert_true(vps[1]->apic.sipi);
	assert_int_equal(vps[1]->apic.sipi_vector, 0x42);
	/* Nobody's address is no error. */
	assert_status(assert_interrupt(HVABI_INTERRUPT_TYPE_FIXED, 0, 99, 0x41), SUCCESS);
	assert_int_equal(got(0x41), 0);
	assert_int_equal(counter(id, HVABI_COUNT_INTERRUPT_ASSERTED), 9);
	/* And it wakes. */
	block(vps[0]);
	assert_status(assert_interrupt(HVABI_INTERRUPT_TYPE_FIXED, 0, 0, 0x41), SUCCESS);
	assert_int_equal(signals(vps[0]), 1);
}

static void local_inputs(void **state)
{
	(void)state;
	vps[1]->apic.lvt[LVT_LINT0] = 0x700;		/* ExtINT */
	vps[1]->apic.lvt[LVT_LINT1] = 0x400;		/* NMI */
	block(vps[1]);
	assert_status(assert_interrupt(HVABI_INTERRUPT_TYPE_LOCALINT1, 0, 1, 0), SUCCESS);
	assert_true(vps[1]->apic.nmi);
	assert_int_equal(vps[1]->apic.extint, APIC_NO_VECTOR);
	assert_int_equal(signals(vps[1]), 1);
	assert_status(assert_interrupt(HVABI_INTERRUPT_TYPE_LOCALINT0, 0, 1, 0), SUCCESS);
	assert_int_equal(vps[1]->apic.extint, 0);
	/* Masked, as they are after reset; nobody there; no index at all. */
	assert_status(assert_interrupt(HVABI_INTERRUPT_TYPE_LOCALINT1, 0, 0, 0), SUCCESS);
	assert_false(vps[0]->apic.nmi);
	assert_status(assert_interrupt(HVABI_INTERRUPT_TYPE_LOCALINT1, 0, 63, 0), SUCCESS);
	assert_status(assert_interrupt(HVABI_INTERRUPT_TYPE_LOCALINT1, 0, 64, 0), SUCCESS);
	assert_status(assert_interrupt(HVABI_INTERRUPT_TYPE_LOCALINT1, 0, UINT32_MAX, 0), SUCCESS);
}

static void bad_arguments_change_nothing(void **state)
{
	struct hvabi_input_assert_virtual_interrupt in = {
		.partition_id = id, .dest_addr = 0xff, .vector = 0x41, .target_vtl = 1,
	};
	static const struct {
		uint32_t type, flags;
		uint64_t dest;
		uint32_t vector;
	} rows[] = {
		{ HVABI_INTERRUPT_TYPE_FIXED, 0, 0xff, 15 }, { HVABI_INTERRUPT_TYPE_FIXED, 0, 0xff, 256 },
		{ HVABI_INTERRUPT_TYPE_LOWEST_PRIORITY, 0, 0xff, 0 },
		{ HVABI_INTERRUPT_TYPE_FIXED, 4, 0xff, 0x41 },
		{ HVABI_INTERRUPT_TYPE_FIXED, 0, 1ull << 32 | 0xff, 0x41 },
		{ HVABI_INTERRUPT_TYPE_SMI, 0, 0xff, 0x41 },
		{ HVABI_INTERRUPT_TYPE_REMOTE_READ, 0, 0xff, 0x41 }, { 10, 0, 0xff, 0x41 },
		{ 0x80000000, 0, 0xff, 0x41 }, { HVABI_INTERRUPT_TYPE_NMI, 0, 0xff, 256 },
	};
	struct apic before[VPS];
	uint64_t self = id;

	(void)state;
	for (unsigned int i = 0; i < VPS; i++) {
		block(vps[i]);
		before[i] = vps[i]->apic;
	}
	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_status(assert_interrupt(rows[i].type, rows[i].flags, rows[i].dest,
					       rows[i].vector), INVALID_PARAMETER);
	assert_status(mock_call(HVABI_CALL_ASSERT_VIRTUAL_INTERRUPT, &in, sizeof(in), 0, 0),
		      INVALID_PARAMETER);
	id = mock_child(10);
	assert_status(assert_interrupt(HVABI_INTERRUPT_TYPE_FIXED, 0, 0, 0x41), INVALID_PARAMETER);
	assert_status(mock_call(HVABI_CALL_CLEAR_VIRTUAL_INTERRUPT, &id, 8, 0, 0), INVALID_PARAMETER);
	assert_int_equal(counter(id, HVABI_COUNT_INTERRUPT_ASSERTED), 0);
	id = 0x12345;
	assert_status(assert_interrupt(HVABI_INTERRUPT_TYPE_FIXED, 0, 0, 0x41), INVALID_PARTITION_ID);
	id = self;
	assert_int_equal(counter(id, HVABI_COUNT_INTERRUPT_ASSERTED), 0);
	for (unsigned int i = 0; i < VPS; i++) {
		assert_memory_equal(&before[i], &vps[i]->apic, sizeof(before[i]));
		assert_int_equal(signals(vps[i]), 0);
	}
	assert_int_equal(mock_raises, 0);
}

static void clear_withdraws(void **state)
{
	(void)state;
	to(0xff, APIC_MODE_EXTINT, 0x30);
	to(0xff, APIC_MODE_FIXED, 0x41);
	to(0xff, APIC_MODE_NMI, 0);
	assert_status(mock_call(HVABI_CALL_CLEAR_VIRTUAL_INTERRUPT, &id, 8, 0, 0), SUCCESS);
	for (unsigned int i = 0; i < VPS; i++) {
		assert_int_equal(vps[i]->apic.extint, APIC_NO_VECTOR);
		assert_true(vps[i]->apic.nmi);
	}
	assert_int_equal(got(0x41), 15);
}

/* ---- what the parent wants to hear of ---- */

#define NOTIFY		HVABI_REG_DELIVERABILITY_NOTIFICATIONS
#define INTERRUPT	HVABI_DELIVERABILITY_INTERRUPT
#define NMI		HVABI_DELIVERABILITY_NMI
#define ABOVE(priority)	(INTERRUPT | (uint64_t)(priority) << HVABI_DELIVERABILITY_PRIORITY_SHIFT)

static uint64_t notifications(struct vp *vp)
{
	union hvabi_register_value value;

	assert_status(vp_get_register(vp, NOTIFY, &value), SUCCESS);
	return value.reg64;
}

/* It is told now, once. */
static void told(struct vp *vp, uint32_t type)
{
	const struct hvabi_x64_interruption_deliverable_message *m = (const void *)vp->message.payload;

	assert_true(vp_has_notification(vp));
	vp_notify(vp);
	assert_int_equal(vp->message.header.message_type, HVABI_MSG_X64_INTERRUPTION_DELIVERABLE);
	assert_int_equal(vp->message.header.payload_size, sizeof(*m));
	assert_int_equal(m->deliverable_type, type);
	assert_int_equal(m->header.vp_index, vp->index);
	assert_false(vp_has_notification(vp));
}

static void the_parent_hears_when_an_interrupt_would_be_taken(void **state)
{
	struct vp *vp = vps[1];

	(void)state;
	assert_false(vp_watches_window(vp));
	assert_status(mock_set(vp, NOTIFY, ABOVE(4)), SUCCESS);
	assert_true(notifications(vp) == ABOVE(4));
	vp->state.rflags = 2;
	assert_false(vp_has_notification(vp));
	assert_true(vp_watches_window(vp));
	vp->state.rflags = IF;
	vp->state.interrupt_shadow = true;
	assert_false(vp_has_notification(vp));
	vp->state.interrupt_shadow = false;
	vp->state.pending_interruption = NMI_PENDING;
	assert_false(vp_has_notification(vp));
	vp->state.pending_interruption = 0;
	vp->apic.wait_for_sipi = true;
	assert_false(vp_has_notification(vp));
	assert_false(vp_watches_window(vp));
	vp->apic.wait_for_sipi = false;
	/* One that the parent has asserted comes first. */
	to(1, APIC_MODE_EXTINT, 0x30);
	assert_false(vp_has_notification(vp));
	assert_status(mock_call(HVABI_CALL_CLEAR_VIRTUAL_INTERRUPT, &id, 8, 0, 0), SUCCESS);
	told(vp, HVABI_DELIVERABLE_INTERRUPT);
	assert_true(notifications(vp) == (ABOVE(4) & ~INTERRUPT));

	/* A priority that is not above is waited for as RFLAGS.IF is, by CR8. */
	assert_status(mock_set(vp, NOTIFY, ABOVE(4)), SUCCESS);
	vp->apic.tpr = 0x40;
	assert_false(vp_has_notification(vp));
	assert_false(vp_watches_window(vp));
	assert_true(vp_watches_cr8(vp));
	vp->apic.tpr = 0x3f;
	assert_true(vp_watches_window(vp));
	assert_false(vp_watches_cr8(vp));
	told(vp, HVABI_DELIVERABLE_INTERRUPT);
	/* None is none: ExtINTs know no priority. */
	vp->apic.tpr = 0xf0;
	assert_status(mock_set(vp, NOTIFY, INTERRUPT), SUCCESS);
	told(vp, HVABI_DELIVERABLE_INTERRUPT);
	/* What was said last counts. */
	assert_status(mock_set(vp, NOTIFY, INTERRUPT), SUCCESS);
	assert_status(mock_set(vp, NOTIFY, 0), SUCCESS);
	assert_false(vp_has_notification(vp));
}

static void the_parent_hears_when_an_nmi_would_be_taken(void **state)
{
	struct vp *vp = vps[1];

	(void)state;
	vp->state.rflags = 2;
	vp->nmi_masked = true;
	assert_status(mock_set(vp, NOTIFY, NMI | INTERRUPT), SUCCESS);
	assert_false(vp_has_notification(vp));
	/* The IRET stands there still. */
	vp_nmi_done(vp);
	assert_false(vp_has_notification(vp));
	vp->state.rip++;
	to(1, APIC_MODE_NMI, 0);
	assert_false(vp_has_notification(vp));
	vp->apic.nmi = false;
	vp->state.rflags = IF;
	/* First of the two. */
	assert_true(vp_has_notification(vp));
	vp_notify(vp);
	assert_true(notifications(vp) == INTERRUPT);
	told(vp, HVABI_DELIVERABLE_INTERRUPT);
	assert_true(notifications(vp) == 0);
}

/* VMMs that have interrupt controllers of their own make such children; their processors are all alike. */
static void the_parent_hears_without_an_apic(void **state)
{
	struct vp *vp = mock_vp(mock_child(20), 1);

	(void)state;
	vp->state.rflags = 2;
	assert_status(mock_set(vp, NOTIFY, ABOVE(4)), SUCCESS);
	assert_false(vp_has_notification(vp));
	assert_true(vp_watches_window(vp));
	vp->state.rflags = IF;
	vp->state.cr8 = 4;
	assert_false(vp_has_notification(vp));
	assert_true(vp_watches_cr8(vp));
	vp->state.cr8 = 3;
	told(vp, HVABI_DELIVERABLE_INTERRUPT);
	/* An NMI that it injects itself masks others. */
	assert_status(mock_set(vp, HVABI_REG_PENDING_INTERRUPTION, NMI_PENDING), SUCCESS);
	assert_status(mock_set(vp, NOTIFY, NMI), SUCCESS);
	assert_false(vp_has_notification(vp));
	vp_deliver(vp);
	assert_int_equal(vp->state.pending_interruption, NMI_PENDING);
	vp->state.pending_interruption = 0;
	assert_true(vp->nmi_masked);
	assert_false(vp_has_notification(vp));
	vp_nmi_done(vp);
	assert_false(vp_has_notification(vp));
	vp->state.rip += 2;
	vp_deliver(vp);
	assert_int_equal(vp->state.pending_interruption, 0);
	told(vp, HVABI_DELIVERABLE_NMI);
}

static void who_waits_is_woken_to_tell(void **state)
{
	struct vp *vp = vps[1];

	(void)state;
	block(vp);
	assert_status(mock_set(vp, NOTIFY, ABOVE(1)), SUCCESS);
	assert_int_equal(mock_dispatch(vp), READY | HVABI_DISPATCH_EVENT_INTERCEPT << 8);
	assert_int_equal(vp->message.header.message_type, HVABI_MSG_X64_INTERRUPTION_DELIVERABLE);
	assert_true(vp->halted);
	vp->intercept_suspend = false;
	block(vp);
	/* With interrupts off it sleeps on, until they are on. */
	vp->state.rflags = 2;
	assert_status(mock_set(vp, NOTIFY, INTERRUPT), SUCCESS);
	block(vp);
	assert_true(vp->blocked);
	assert_status(mock_set(vp, HVABI_REG_RFLAGS, IF), SUCCESS);
	assert_false(vp->blocked);
}

#define CHILD_TEST(function) cmocka_unit_test_setup(function, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CHILD_TEST(a_halted_processor_blocks_until_there_is_something),
		CHILD_TEST(guest_idle_waits_with_interrupts_off),
		CHILD_TEST(each_blocked_answer_gets_one_signal),
		CHILD_TEST(one_in_an_intercept_is_not_signalled),
		CHILD_TEST(requests_before_the_answer_are_seen),
		CHILD_TEST(requests_of_a_running_processor_drive_it_out),
		CHILD_TEST(clearing_explicit_suspend_signals),
		CHILD_TEST(one_suspended_while_it_runs_is_signalled_too),
		CHILD_TEST(destinations),
		CHILD_TEST(modes),
		CHILD_TEST(the_lowest_priority_takes_it),
		CHILD_TEST(a_new_processor_is_started),
		CHILD_TEST(init_and_sipi_may_come_together),
		CHILD_TEST(nmis_are_injected),
		CHILD_TEST(interrupts_are_offered),
		CHILD_TEST(what_comes_after_the_offer_is_another),
		CHILD_TEST(what_was_withdrawn_is_not_in_service),
		CHILD_TEST(another_extint_after_the_offer),
		CHILD_TEST(cr8_is_watched_where_it_matters),
		CHILD_TEST(the_parent_hears_when_an_interrupt_would_be_taken),
		CHILD_TEST(the_parent_hears_when_an_nmi_would_be_taken),
		CHILD_TEST(the_parent_hears_without_an_apic),
		CHILD_TEST(who_waits_is_woken_to_tell),
		CHILD_TEST(without_apic_there_is_nothing),
		CHILD_TEST(apic_base),
		CHILD_TEST(activity),
		CHILD_TEST(interrupt_state),
		CHILD_TEST(registers_that_end_a_wait_signal),
		CHILD_TEST(cr8_is_the_priority),
		CHILD_TEST(devices_assert),
		CHILD_TEST(local_inputs),
		CHILD_TEST(bad_arguments_change_nothing),
		CHILD_TEST(clear_withdraws),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
