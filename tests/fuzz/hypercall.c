// SPDX-License-Identifier: GPL-2.0-only
/*
 * libFuzzer target for the hypercall surface of the core.
 *
 * The input is a list of calls: a code from the table (or a raw one), a control
 * word, and a block.  Words that matter, such as partition ids, are drawn from
 * what exists, so that the fuzzer gets past the first check.  Between the calls
 * time passes and the parent's interrupt controllers are switched and read; a
 * dispatched processor does what the input says next: it reads and writes
 * registers of the hypervisor's, touches its APIC, rings doorbells, halts.
 *
 * After each input the books must balance: every deposited page is either free
 * in its pool, in use, or with the parent again, and after teardown no reference
 * is left.  Signals are queued for processors that there are, each is delivered
 * as often as it is counted, no blocked processor has anything to do, one that can
 * run and is scheduled is in the queue, and with
 * the last partition the last deadline goes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hvabi/cpuid.h>
#include <hvabi/debug.h>
#include <hvabi/hypercall.h>
#include <hvabi/memory.h>
#include <hvabi/partition.h>
#include <hvabi/port.h>
#include <hvabi/status.h>
#include <hvabi/vp.h>
#include <hypervisor/core/deadline.h>
#include <hypervisor/core/frame.h>
#include <hypervisor/core/interrupt.h>
#include <hypervisor/core/options.h>
#include <hypervisor/core/partition.h>
#include <hypervisor/core/port.h>
#include <hypervisor/core/sched.h>
#include <hypervisor/core/stats.h>
#include <hypervisor/core/synthetic.h>
#include <hypervisor/core/time.h>
#include <hypervisor/core/translate.h>
#include <hypervisor/core/vp_assist.h>
#include <tests/unit/mock.h>

#define IN_PAGE		3ull
#define OUT_PAGE	4ull
#define RING_PAGE	5ull		/* and the next one */
#define DOORBELLS	0xd0000000ull
#define CHILD_MEMORY	3000ull		/* 16 pages of the child that has an APIC */
#define RFLAGS_IF	0x200u

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

/* What the guest does next, and the calls made so far, for who has to look into them. */
static struct reader *input;
static unsigned int pairs_read;

static void die(const char *what)
{
	fprintf(stderr, "%s\n", what);
	abort();
}

/* ---- the guest ---- */

static const uint32_t msrs[] = {
	0x1b, 0x6e0, 0x808, 0x80b, 0x80d, 0x80f, 0x828, 0x830, 0x832, 0x835, 0x836, 0x838, 0x839,
	0x83e, 0x83f, HVABI_MSR_GUEST_OS_ID, HVABI_MSR_HYPERCALL, HVABI_MSR_VP_INDEX,
	HVABI_MSR_TIME_REF_COUNT, HVABI_MSR_REFERENCE_TSC, HVABI_MSR_TSC_FREQUENCY, HVABI_MSR_EOI,
	HVABI_MSR_ICR, HVABI_MSR_TPR, HVABI_MSR_VP_ASSIST_PAGE, HVABI_MSR_CRASH_P0,
	HVABI_MSR_CRASH_CTL, HVABI_MSR_TSC_INVARIANT_CONTROL, HVABI_MSR_STIMER0_CONFIG,
	HVABI_MSR_STIMER0_COUNT, HVABI_MSR_STIMER0_CONFIG + 6, HVABI_MSR_STIMER0_COUNT + 6,
	HVABI_MSR_SCONTROL, HVABI_MSR_SIEFP, HVABI_MSR_SIMP, HVABI_MSR_EOM, HVABI_MSR_SINT0 + 1,
	HVABI_MSR_SINT0 + 15, HVABI_MSR_GUEST_IDLE,
};

/* Values that mean something to many of them. */
static uint64_t take_value(struct reader *r)
{
	uint8_t kind = take8(r);
	uint64_t value;

	switch (kind & 7) {
	case 0:
		return 0xfee00800 | (kind & 8 ? 0x100 : 0) | (kind & 16 ? 0x400 : 0);
	case 1:		/* page of its own */
		return (uint64_t)(take8(r) & 31) << 12 | (kind >> 3 & 3);
	case 2:		/* an IPI, in either form */
		return (uint64_t)(kind >> 3 & 3) << (kind & 0x20 ? 32 : 56) |
		       (uint64_t)(kind >> 6) << 18 | (uint64_t)(take8(r) & 7) << 8 | take8(r);
	case 3:		/* a timer in direct mode */
		return 0x1001 | (kind >> 3 & 7) << 1 | take8(r) << 4;
	case 4:
		return (kind & 8 ? 0x40000 : kind & 16 ? 0x20000 : 0) | (kind & 32 ? 0x10000 : 0) | take8(r);
	case 5:
		return mock_tsc + take8(r) * 1000;
	case 6:
		return kind & 8 ? 0x1ff : take8(r);
	default:
		take(r, &value, sizeof(value));
		return value;
	}
}

static void pass_time(struct cpu *cpu)
{
	uint8_t step = take8(input);

	mock_tsc += (uint64_t)step << (step & 15);
	deadline_expire(cpu, mock_tsc);
	mock_timer_fired = step & 1;
	deadline_nmi(cpu, step & 2, mock_tsc);
}

static void touch_apic_page(struct cpu *cpu, struct vp *vp)
{
	uint64_t detail;
	uint8_t reg = take8(input);

	/* MOV of EAX to and from memory; what stands there need not be code at all. */
	vp->state.rip = (uint64_t)(reg & 3) << 12;
	vp->state.gpr[RAX] = take_value(input);
	synthetic_apic_page(cpu, vp, 0xfee00000 | (uint64_t)(reg & 0x3f) << 4, reg & 0x80, &detail);
}

/* MOV of EAX to memory, or what else stands there. */
static void ring_doorbell(struct cpu *cpu, struct vp *vp)
{
	uint8_t which = take8(input);

	vp->state.rip = (uint64_t)(which & 3) << 12;
	vp->state.gpr[RAX] = which >> 2 & 3;
	port_doorbell(cpu, vp, DOORBELLS + (which >> 4 & 3));
}

static void one_register(struct cpu *cpu, struct vp *vp)
{
	uint32_t msr = msrs[take8(input) % (sizeof(msrs) / sizeof(msrs[0]))];
	uint64_t value, detail;

	if (take8(input) & 1) {
		synthetic_read(vp, msr, &value);
		return;
	}
	value = take_value(input);
	if (synthetic_write(cpu, vp, msr, value, &detail) == MSR_FAULT && (detail & 0xfff))
		die("a fault that is no page");
}

/* What the hypervisor wants to read or write of the child's before it enters. */
static bool pages_there(struct vp *vp)
{
	uint64_t gpa = 1;

	if (vp_assist_leave(vp, &gpa) && vp_synic_deliver(vp, &gpa))
		return true;
	if (gpa & 0xff)
		die("a fault that is no slot and no page");
	return false;
}

static enum run_result run(struct cpu *cpu, struct vp *vp)
{
	unsigned int steps = take8(input) % 8;
	bool ready = true, there, told = false;
	int offered;

	vp->running = true;
	vp->cpu = cpu;
	while ((there = pages_there(vp)) && !(told = vp_has_notification(vp)) && (ready = vp_ready(vp)) && steps--) {
		uint8_t what = take8(input);

		vp_deliver(vp);
		vp->state.pending_interruption = 0;
		offered = vp_offer(vp);
		vp_assist_enter(vp, offered);
		(void)vp_watches_cr8(vp);
		(void)vp_watches_window(vp);
		if (vp->assist_promised && (what & 1))
			*(uint32_t *)guest_memory(vp->partition, vp->assist_msr & ~0xfffull, true) = 0;
		if (offered != APIC_NO_VECTOR)
			vp_offer_end(vp, (u8)offered, vp->state.rflags & RFLAGS_IF);
		if (!pages_there(vp))
			die("a page has gone, and nobody took it");
		if (what & 8)
			vp->state.rflags ^= RFLAGS_IF;
		if (what & 16)
			vp->state.cr8 = what >> 5;
		apic_set_cr8(&vp->apic, vp->state.cr8);
		switch (what & 7) {
		case 7:
			ring_doorbell(cpu, vp);
			break;
		case 0:
			vp->halted = partition_has_apic(vp->partition);
			break;
		case 1:
			vp_nmi_done(vp);
			break;
		case 2:
			touch_apic_page(cpu, vp);
			break;
		case 3:
			pass_time(cpu);
			break;
		default:
			one_register(cpu, vp);
			break;
		}
	}
	vp->running = false;
	if (told) {
		vp_notify(vp);
	} else if (there && !ready) {
		return RUN_BLOCKED;
	} else if (there && !(vp->index & 1)) {
		return steps & 1 ? RUN_STOPPED : RUN_PREEMPTED;
	}
	vp->intercept_suspend = true;
	return RUN_INTERCEPT;
}

/* ---- the parent ---- */

/* What the driver does with a ring; where it reads is of no matter here. */
static void drain_rings(const struct cpu *cpu)
{
	struct hvabi_event_ring *ring = platform_phys((RING_PAGE + cpu->index) << 12);
	uint32_t emptied = take8(input);

	/* Lent, it is not the parent's to write to. */
	if (!frame_is_parents(RING_PAGE + cpu->index))
		return;
	for (unsigned int i = 0; i < HVABI_SINTS; i++, ring++) {
		for (unsigned int k = 0; k < emptied && k < HVABI_EVENT_RING_ENTRIES; k++)
			ring->data[k] = 0;
		ring->signal_masked = emptied & 1;
		ring->ring_full = 0;
	}
}

static void read_slot(struct cpu *cpu)
{
	struct hvabi_message *slot = platform_phys(cpu->synic.simp & ~0xfffull);
	struct hvabi_scheduler_vp_signal_pair *pairs = (void *)slot->payload;

	if (slot->header.message_type == HVABI_MSG_SCHEDULER_VP_SIGNAL_PAIR)
		pairs_read += pairs->vp_count;
	else if (slot->header.message_type != HVABI_MSG_SYNIC_SINT_INTERCEPT &&
		 slot->header.message_type != HVABI_MSG_OPAQUE_INTERCEPT)
		return;
	slot->header.message_type = 0;
	if (slot->header.message_flags & HVABI_MESSAGE_FLAG_PENDING)
		synic_write(cpu, HVABI_MSR_EOM, 0);
}

static struct vp *pick_vp(unsigned int index)
{
	for (struct partition *p = child_from_slot(0); p; p = child_from_slot(p->slot + 1u))
		if (p->state == PARTITION_ACTIVE && partition_has_apic(p) && p->vps[index])
			return p->vps[index];
	return NULL;
}

/* As on a real machine, the parent cannot write what it gave away. */
static void call(uint16_t code, uint16_t reps, const void *block, size_t bytes)
{
	if (!frame_is_parents(IN_PAGE))
		return;
	memcpy(platform_phys(IN_PAGE << 12), block, bytes);
	mock_hypercall(&mock_cpus[0], hvabi_control(code, reps, 0), IN_PAGE << 12, OUT_PAGE << 12);
}

static void dispatch(const struct vp *vp)
{
	const struct hvabi_input_dispatch_vp in = {
		.partition_id = vp->partition->id, .vp_index = vp->index,
		.flags = HVABI_DISPATCH_CLEAR_INTERCEPT_SUSPEND,
	};

	call(HVABI_CALL_DISPATCH_VP, 0, &in, sizeof(in));
}

static void assert_interrupt(const struct vp *vp)
{
	uint8_t type = take8(input);
	const struct hvabi_input_assert_virtual_interrupt in = {
		.partition_id = vp->partition->id, .interrupt_type = (type & 15) % 10,
		.interrupt_flags = type >> 6, .dest_addr = type & 16 ? 0xff : vp->index,
		.vector = take8(input),
	};

	call(HVABI_CALL_ASSERT_VIRTUAL_INTERRUPT, 0, &in, sizeof(in));
}

/* What decides whether a processor may run, or has something to do. */
static const uint32_t names[] = {
	HVABI_REG_EXPLICIT_SUSPEND, HVABI_REG_DISPATCH_SUSPEND, HVABI_REG_INTERCEPT_SUSPEND,
	HVABI_REG_INTERNAL_ACTIVITY_STATE, HVABI_REG_INTERRUPT_STATE, HVABI_REG_APIC_BASE,
	HVABI_REG_CR8, HVABI_REG_RFLAGS, HVABI_REG_PENDING_INTERRUPTION,
	HVABI_REG_DELIVERABILITY_NOTIFICATIONS,
};

static void set_register(const struct vp *vp)
{
	uint8_t which = take8(input);
	struct {
		uint64_t partition;
		uint32_t vp, vtl;
		struct hvabi_register_assoc e;
	} in = { .partition = vp->partition->id, .vp = vp->index,
		 .e.name = names[which % (sizeof(names) / sizeof(names[0]))] };

	in.e.value.reg64 = which & 0x80 ? RFLAGS_IF | 2 : take8(input) & (which & 0x40 ? 0xff : 3);
	if (in.e.name == HVABI_REG_DELIVERABILITY_NOTIFICATIONS)
		in.e.value.reg64 = in.e.value.reg64 << HVABI_DELIVERABILITY_SINTS_SHIFT | (take8(input) & 0x3f);
	call(HVABI_CALL_SET_VP_REGISTERS, 1, &in, sizeof(in));
}

/* A processor that the parent leaves to its children, for a while. */
static void children(struct cpu *cpu)
{
	unsigned int most = take8(input) & 3;
	struct vp *vp;

	cpu->sched.idle = take8(input) & 1;
	cpu->sched.waiting = false;
	world_enter(cpu);
	while (most-- && (vp = sched_next(cpu, mock_tsc))) {
		if (vp->partition->state != PARTITION_ACTIVE || vp_suspended(vp) || vp->intercept_suspend)
			die("a processor runs that must not");
		if (sched_run(cpu, vp))
			cpu->sched.idle = false;
	}
	world_leave(cpu);
	cpu->sched.waiting = cpu->sched.idle;
}

/* The preset page stays: what has been delivered is to be counted. */
static void parent_step(uint8_t which)
{
	struct cpu *cpu = &mock_cpus[which & 1];
	const struct vp *vp = pick_vp(which & 1);

	switch (which >> 1 & 15) {
	case 0:
		pass_time(cpu);
		break;
	case 1:
		synic_write(cpu, HVABI_MSR_SCONTROL, 0);
		break;
	case 2:
		synic_write(cpu, HVABI_MSR_SCONTROL, HVABI_SCONTROL_ENABLE);
		break;
	case 3:
		synic_write(cpu, HVABI_MSR_SINT0, 0xf3 | HVABI_SINT_MASKED);
		break;
	case 4:
		synic_write(cpu, HVABI_MSR_SINT0, 0xf3);
		break;
	case 5:
		read_slot(cpu);
		break;
	case 6:
	case 7:
		if (vp)
			set_register(vp);
		break;
	case 8:
		synic_write(cpu, HVABI_MSR_SIRBP, (RING_PAGE + cpu->index) << 12 | (take8(input) & 1));
		break;
	case 9:
		synic_write(cpu, HVABI_MSR_SINT0 + (take8(input) & 7),
			    0xf4 | (take8(input) & 1 ? HVABI_SINT_AS_INTERCEPT : HVABI_SINT_MASKED));
		break;
	case 10:
		drain_rings(cpu);
		break;
	case 11:
		if (vp)
			assert_interrupt(vp);
		break;
	case 12:
		children(cpu);
		break;
	default:
		if (vp)
			dispatch(vp);
		break;
	}
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
		block[0] = 0x80100 | (block[0] & (HVABI_PARTITION_FLAG_LAPIC_ENABLED |
						  HVABI_PARTITION_FLAG_X2APIC_CAPABLE));
		block[6] = 0;
		break;
	case HVABI_CALL_SET_PARTITION_PROPERTY:
		block[1] = HVABI_PROPERTY_SYNTHETIC_PROC_FEATURES;
		block[2] &= synthetic_features();
		break;
	case HVABI_CALL_ASSERT_VIRTUAL_INTERRUPT:
		block[1] &= 0x30000000full;
		block[2] &= block[3] & 0x100 ? 0xff : 3;
		block[3] &= 0xff;
		break;
	case HVABI_CALL_CREATE_PORT:
		block[2] = block[0];
		block[0] = HVABI_PARTITION_ID_SELF;
		block[1] &= 7;
		block[3] = HVABI_PORT_TYPE_DOORBELL;
		block[4] = block[4] & 1 ? (block[4] & 7) | (uint64_t)HVABI_PORT_ANY_VP << 32 :
					  block[4] & 0x100000007ull;
		block[5] = 0;
		break;
	case HVABI_CALL_CONNECT_PORT:
		block[1] &= 7;
		block[2] = HVABI_PARTITION_ID_SELF;
		block[3] &= 7;
		block[4] = HVABI_PORT_TYPE_DOORBELL;
		block[5] = DOORBELLS + (block[5] & 3);
		block[6] &= 3;
		block[7] &= 3 | HVABI_DOORBELL_ANY_VALUE;
		break;
	case HVABI_CALL_DELETE_PORT:
	case HVABI_CALL_DISCONNECT_PORT:
		if (code == HVABI_CALL_DELETE_PORT)
			block[0] = HVABI_PARTITION_ID_SELF;
		block[1] = (block[1] & 7) | (code == HVABI_CALL_DELETE_PORT ? 0 : 1ull << 32);
		break;
	case HVABI_CALL_GET_VP_STATE:
	case HVABI_CALL_SET_VP_STATE:
		block[1] &= 3;
		block[2] = block[2] & 0x10 ? HVABI_VP_STATE_SYNTHETIC_TIMERS :
					     HVABI_VP_STATE_BY_PAGES | (block[2] & 3);
		block[3] = 0;
		block[4] &= 7;
		if (block[2] & HVABI_VP_STATE_BY_PAGES)
			block[5] &= 0xfff;
		for (unsigned int i = 0; !(block[2] & HVABI_VP_STATE_BY_PAGES) && i < 4; i++)
			block[6 + 5 * i] &= 0x100f | (block[6 + 5 * i] & 0x800 ? 0xff0 : 0);
		break;
	case HVABI_CALL_REGISTER_INTERCEPT_RESULT:
		if (block[1] & 0x100) {
			block[1] = (block[1] & 3) | (uint64_t)HVABI_INTERCEPT_TYPE_MSR << 32;
			block[2] &= 0x3000000ffull;
			block[3] &= 1;
			break;
		}
		block[1] = (block[1] & 3) | (uint64_t)HVABI_INTERCEPT_TYPE_CPUID << 32;
		block[3] &= 0xffffffff00000101ull;
		break;
	case HVABI_CALL_SIGNAL_EVENT_DIRECT:
		block[1] &= 0x07ff0f0000000003ull;
		break;
	case HVABI_CALL_POST_MESSAGE_DIRECT:
		block[1] &= 3;
		block[2] = (block[2] & 0xf) | 7ull << 32;
		block[3] &= 0x7f;
		break;
	case HVABI_CALL_GET_VP_CPUID_VALUES:
		block[1] &= 0x300000003ull;
		break;
	case HVABI_CALL_MAP_STATS_PAGE:
	case HVABI_CALL_MAP_STATS_PAGE2:
	case HVABI_CALL_UNMAP_STATS_PAGE:
		block[1] = block[0];
		block[0] = block[3] & 0x1000 ? HVABI_STATS_VP :
			   block[3] & 0x2000 ? HVABI_STATS_PARTITION : HVABI_STATS_HYPERVISOR;
		if (block[0] == HVABI_STATS_HYPERVISOR)
			block[1] = 0;
		block[2] &= block[0] == HVABI_STATS_VP ? 0x0100000000000003ull : 0x0100000000000000ull;
		block[3] &= 0xfff;
		break;
	case HVABI_CALL_CREATE_VP:
		block[1] &= 3;
		block[4] = 0;
		break;
	case HVABI_CALL_SET_VP_REGISTERS:
		block[2] = names[(block[2] & 0xff) % (sizeof(names) / sizeof(names[0]))];
		block[4] &= block[4] & 0x1000 ? ~0ull : 0xfff;
		block[1] &= 3;
		break;
	case HVABI_CALL_GET_VP_REGISTERS:
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
	uint8_t which = take8(r), flags;
	uint16_t code = codes[which % (sizeof(codes) / sizeof(codes[0]))];
	uint64_t block[512], control, id;
	uint16_t reps, start;
	size_t words;

	if (which >= 0xc0 && which < 0xe0) {
		parent_step(which);
		return;
	}
	flags = take8(r);
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
	if (code == HVABI_CALL_GET_VP_STATE || code == HVABI_CALL_SET_VP_STATE)
		control = hvabi_control(code, 0, 0) | (uint64_t)(flags & 0x40 ? reps : 25) <<
							HVABI_CONTROL_VARHEAD_SHIFT;
	if (flags & 16)
		take(r, &control, sizeof(control));
	mock_hypercall(&mock_cpus[0], control, flags & 8 ? id : IN_PAGE << 12,
		  flags & 32 ? take8(r) : OUT_PAGE << 12);
}

static bool exists(const struct vp *vp)
{
	for (struct partition *p = child_from_slot(0); p; p = child_from_slot(p->slot + 1u))
		for (unsigned int i = 0; i < MAX_VPS; i++)
			if (p->vps[i] == vp)
				return true;
	return false;
}

static void queues(void)
{
	for (unsigned int i = 0; i < MOCK_CPUS; i++) {
		struct synic *s = &mock_cpus[i].synic;
		struct vp **at = &s->signals;

		for (; *at; at = &(*at)->signal_next)
			if (!exists(*at) || (*at)->signal_on != s)
				die("a signal for a processor that is gone, or in another queue");
		if (s->signals_end != at)
			die("a queue ends elsewhere");
	}
}

/* Who can run is in the queue: there is no other way to a processor. */
static void scheduled(struct partition *p)
{
	for (unsigned int i = 0; i < MAX_VPS; i++) {
		const struct vp *vp = p->vps[i];

		if (vp && p->state == PARTITION_ACTIVE && !vp->blocked && !vp->intercept_suspend &&
		    !vp_suspended(vp) && vp->overlay[VP_PAGE_MESSAGE] && vp->queued != p->scheduled)
			die("a processor could run, and waits for nothing; or waits where there is no queue");
		if (vp && vp->signal_on && p->scheduled && !vp->intercept_suspend)
			die("an intercept will be told that is over");
	}
}

/* Who was answered "blocked" and not signalled since has nothing to do. */
static void blocked(struct partition *p)
{
	for (unsigned int i = 0; i < MAX_VPS; i++) {
		struct vp *vp = p->vps[i];

		if (vp && vp->blocked && !vp_suspended(vp) && partition_has_apic(p) && vp_ready(vp))
			die("a blocked processor could run, and nobody was told");
		if (vp && vp->blocked && !vp_suspended(vp) && vp_has_notification(vp))
			die("a blocked processor has something to tell, and nobody was told");
		if (vp && vp->blocked && !vp_suspended(vp) && vp_synic_pending(vp))
			die("a message waits, and nobody was told");
	}
}

static void balance(void)
{
	uint64_t pooled = 0, owned = 0;

	for (uint64_t pfn = 0; pfn < MOCK_HEAP; pfn++)
		owned += frame_of(pfn)->owner == FRAME_POOL;
	pooled = parent.pool.deposited;
	for (struct partition *p = child_from_slot(0); p; p = child_from_slot(p->slot + 1u))
		pooled += p->pool.deposited;
	queues();
	for (struct partition *p = child_from_slot(0); p; p = child_from_slot(p->slot + 1u))
		blocked(p);
	for (struct partition *p = child_from_slot(0); p; p = child_from_slot(p->slot + 1u))
		scheduled(p);
	if (pooled != owned) {
		fprintf(stderr, "pools hold %llu pages, frames say %llu\n",
			(unsigned long long)pooled, (unsigned long long)owned);
		abort();
	}
}

static void teardown(void)
{
	uint64_t parents = 0;

	for (struct partition *p = child_from_slot(0); p; p = child_from_slot(p->slot + 1u)) {
		if (p->state == PARTITION_ACTIVE)
			partition_finalize(&mock_cpus[0], p);
		if (p->pool.free != p->pool.deposited) {
			fprintf(stderr, "a finalized partition still uses memory\n");
			abort();
		}
	}
	for (uint64_t area = 0; area < 2; area++) {
		const struct hvabi_stats_identity hv = { .area = (uint8_t)area };

		stats_unmap(&mock_cpus[0], HVABI_STATS_HYPERVISOR, &hv);
	}
	stats_forget(&mock_cpus[0], &parent);
	if (parent.stats.first)
		die("a page of counters outlives its object");
	if (parent.ports.first)
		die("a port outlives its child");
	for (unsigned int i = 0; i < MOCK_CPUS; i++) {
		if (mock_cpus[i].synic.signals)
			die("a signal outlives its processor");
		synic_write(&mock_cpus[i], HVABI_MSR_SIRBP, 0);
	}
	if (mock_timer != TIME_NEVER)
		die("a deadline outlives its processor");
	for (unsigned int i = 0; i < 2 * MOCK_CPUS; i++)
		read_slot(&mock_cpus[i % MOCK_CPUS]);
	if (pairs_read != mock_cpus[0].counters.value[HVABI_COUNT_SIGNAL] +
			  mock_cpus[1].counters.value[HVABI_COUNT_SIGNAL])
		die("signals were counted that were not delivered, or the other way round");
	for (uint64_t pfn = 0; pfn < MOCK_HEAP; pfn++) {
		parents += (frame_of(pfn)->owner == FRAME_PARENT);
		if (frame_refs(pfn) || frame_of(pfn)->mark) {
			fprintf(stderr, "page %llx keeps a reference\n", (unsigned long long)pfn);
			abort();
		}
		if (pfn % BLOCK_PAGES != BLOCK_PAGES - 1)
			continue;
		if (frame_range_owned(pfn + 1 - BLOCK_PAGES, BLOCK_PAGES, FRAME_PARENT, 0) != (parents == BLOCK_PAGES))
			die("a block and its pages do not agree about their owner");
		parents = 0;
	}
}

/* A child with an APIC, two processors, and the two instructions of touch_apic_page() to be found. */
static void make_apic_child(void)
{
	uint64_t id = mock_apic_child(40, HVABI_PARTITION_FLAG_LAPIC_ENABLED |
				      HVABI_PARTITION_FLAG_X2APIC_CAPABLE, synthetic_features());

	mock_map(id, 0, CHILD_MEMORY, 16, 0x800f);
	memcpy(platform_phys(CHILD_MEMORY << 12), "\x89\x01", 3);
	memcpy(platform_phys((CHILD_MEMORY + 1) << 12), "\x8b\x01", 3);
	for (unsigned int i = 0; i < 2; i++) {
		struct vp *vp = mock_vp(id, i);

		vp->state.efer = 0x500;
		vp->state.segment[SEG_CS].attributes |= HVABI_SEGMENT_LONG;
		vp->apic.svr = 0x1ff;
		vp->apic.wait_for_sipi = false;
	}
	for (unsigned int i = 0; i < MOCK_CPUS; i++) {
		struct cpu *cpu = &mock_cpus[i];

		synic_write(cpu, HVABI_MSR_SIMP, cpu->synic.simp | HVABI_MSR_PAGE_ENABLE);
		synic_write(cpu, HVABI_MSR_SINT0, 0xf3);
		synic_write(cpu, HVABI_MSR_SCONTROL, i == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader r = { data, size };

	/* Tear the children of the last input down first: it may have changed options. */
	mock_reset();
	mock_run = run;
	input = &r;
	pairs_read = 0;
	/* Some inputs are of a parent without a scheduler. */
	option_set(HVABI_OPTION_SCHEDULER, take8(&r) & 1);
	mock_child(40);
	make_apic_child();
	while (r.left)
		one_call(&r);
	balance();
	teardown();
	/* What this input has spoiled is found with it, and not with the next. */
	mock_reset();
	return 0;
}
