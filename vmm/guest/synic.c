// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of what a guest gets from the hypervisor besides interrupts: its synthetic interrupt
 * controller, timers that send messages, waiting by GUEST_IDLE, extended hypercalls, and the page by
 * which EOIs are spared; speaks KTAP on the console.
 *
 * Every test is run by processor 0 alone and, if there are more, then by all at once, each with
 * pages, timers and counts of its own. Interrupts are off but where a test lets them in.
 * Waiting ends after half a minute, by synthetic timer 3 in direct mode: what is lost fails the
 * test. No test asserts how long anything takes.
 */
#include <hvabi/cpuid.h>
#include <hvabi/guest.h>
#include <hvabi/message.h>
#include <hvabi/partition.h>

#include "guest.h"

#define MSR_APIC_BASE	0x01bu
#define MSR_TPR		0x808u
#define MSR_EOI		0x80bu
#define MSR_SVR		0x80fu
#define MSR_ISR		0x810u
#define MSR_IRR		0x820u
#define MSR_ICR		0x830u
#define MSR_LVT_TIMER	0x832u
#define MSR_INITIAL	0x838u
#define MSR_SELF_IPI	0x83fu

#define BASE_ENABLE	0xc00u
#define SVR_ENABLE	0x1ffu
#define LVT_MASKED	0x10000u
#define LVT_PERIODIC	0x20000u
#define ICR_INIT	0x500u
#define ICR_STARTUP	0x600u
#define ICR_ASSERT	0x4000u
#define ICR_TO(id)	((uint64_t)(id) << 32)

#define VECTOR_GP	13
#define VECTOR_AUTO_EOI	0xd0
#define VECTOR_LOW	0x90	/* of these EOIs may be spared */
#define VECTOR_RING	0x91
#define VECTOR_HIGH	0xa0
#define VECTOR_WAKE	0xe0
#define VECTOR_WATCHDOG	0xf1

#define WATCHDOG_SECONDS	30u
#define REFERENCE_HZ		10000000u

#define CONFIG(timer)	(HVABI_MSR_STIMER0_CONFIG + 2 * (timer))
#define COUNT(timer)	(HVABI_MSR_STIMER0_COUNT + 2 * (timer))
#define TO_SINT(sint)	((uint64_t)(sint) << HVABI_STIMER_SINT_SHIFT)

/* SINT n has vector 0x60 + n. */
#define VECTOR(sint)	(0x60u + (sint))

typedef volatile struct hvabi_message slot_t;

/* What belongs to one processor. */
static struct own {
	uint8_t messages[GUEST_PAGE_SIZE] __attribute__((aligned(4096)));
	uint8_t events[GUEST_PAGE_SIZE];
	uint8_t assist[GUEST_PAGE_SIZE];
	volatile unsigned int count[256];
	volatile bool late;
	volatile uint64_t in_service;		/* word of ISR that a handler has seen */
	volatile unsigned int spared;		/* EOIs */
	bool (*volatile work)(struct own *own);
	volatile bool ok, started;
	volatile unsigned int ring;		/* interrupts ever, of the ring of all processors */
	unsigned int vp;
} owns[GUEST_VPS_MAX];

static unsigned int tests, failures;
static const struct guest_boot *machine;

/* Leaves the test, with a reason. */
#define REQUIRE(condition, ...)							\
	do {									\
		if (!(condition)) {						\
			guest_printf("# %s:%d: not so: %s:", __func__, __LINE__, #condition); \
			guest_printf(" " __VA_ARGS__);				\
			guest_putc('\n');					\
			return false;						\
		}								\
	} while (0)

/* ---- the processor ---- */

/* Is there #GP? */
static __attribute__((noinline)) bool rdmsr_faults(uint32_t msr)
{
	guest_catch(&&after);
	asm volatile goto("rdmsr" : : "c"(msr) : "eax", "edx", "memory" : after);
after:
	return guest_caught() == VECTOR_GP;
}

static __attribute__((noinline)) bool wrmsr_faults(uint32_t msr, uint64_t value)
{
	guest_catch(&&after);
	asm volatile goto("wrmsr" : : "c"(msr), "a"((uint32_t)value),
			  "d"((uint32_t)(value >> 32)) : "memory" : after);
after:
	return guest_caught() == VECTOR_GP;
}

static void cli(void)
{
	asm volatile("cli" : : : "memory");
}

/* Lets in what is pending; interrupts stay off. */
static void let_in(void)
{
	asm volatile("sti; nop; nop; nop; cli" : : : "memory");
}

/* Leaves the guest a few times, so that whatever waits for an exit finds one. */
static void leave(void)
{
	unsigned int i;

	for (i = 0; i < 4; i++)
		outl(GUEST_PORT_ECHO, i);
}

static uint64_t reference(void)
{
	return rdmsr(HVABI_MSR_TIME_REF_COUNT);
}

/* Time for something to happen that must not. */
static void linger(void)
{
	uint64_t until = reference() + REFERENCE_HZ / 50;

	while (reference() < until)
		asm volatile("pause");
}

static void on_vector(struct guest_frame *frame)
{
	struct own *own = &owns[guest_vp()];

	own->count[frame->vector]++;
	wrmsr(MSR_EOI, 0);
}

/* Notes what is in service; ends nothing. */
static void on_auto_eoi(struct guest_frame *frame)
{
	struct own *own = &owns[guest_vp()];

	own->in_service = rdmsr(MSR_ISR + (uint32_t)frame->vector / 32);
	own->count[frame->vector]++;
}

/* As Linux does it. */
static void on_assisted(struct guest_frame *frame)
{
	struct own *own = &owns[guest_vp()];

	own->count[frame->vector]++;
	own->ring += frame->vector == VECTOR_RING;
	if (__atomic_exchange_n((uint32_t *)own->assist, 0, __ATOMIC_SEQ_CST) & 1)
		own->spared++;
	else
		wrmsr(HVABI_MSR_EOI, 0);
}

static void on_watchdog(struct guest_frame *frame)
{
	(void)frame;
	owns[guest_vp()].late = true;
	wrmsr(MSR_EOI, 0);
}

static void watch(struct own *own)
{
	own->late = false;
	wrmsr(COUNT(3), reference() + WATCHDOG_SECONDS * REFERENCE_HZ);
	wrmsr(CONFIG(3), HVABI_STIMER_ENABLE | HVABI_STIMER_DIRECT |
	      (uint64_t)VECTOR_WATCHDOG << HVABI_STIMER_VECTOR_SHIFT);
}

static void unwatch(void)
{
	wrmsr(CONFIG(3), 0);
}

/* Halts until it is so. False: the watchdog was first. Interrupts are off before and after. */
#define AWAIT(own, condition)							\
	({									\
		watch(own);							\
		cli();								\
		while (!(condition) && !(own)->late)				\
			asm volatile("sti; hlt; cli" : : : "memory");		\
		unwatch();							\
		!(own)->late;							\
	})

/* The same without halting, and with interrupts off. */
#define AWAIT_AWAKE(condition)							\
	({									\
		uint64_t limit_ = reference() + 1ull * WATCHDOG_SECONDS * REFERENCE_HZ; \
										\
		while (!(condition) && reference() < limit_)			\
			;							\
		reference() < limit_;						\
	})

static slot_t *slot(struct own *own, unsigned int sint)
{
	return (slot_t *)own->messages + sint;
}

static volatile struct hvabi_timer_expired_message *expired(struct own *own, unsigned int sint)
{
	return (volatile struct hvabi_timer_expired_message *)slot(own, sint)->payload;
}

/* As TLFS 11.10.3 wants it: free the slot, and only then look whether somebody waits for that. */
static bool free_slot(struct own *own, unsigned int sint)
{
	bool pending;

	slot(own, sint)->header.message_type = HVABI_MSG_NONE;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	pending = slot(own, sint)->header.message_flags & HVABI_MESSAGE_FLAG_PENDING;
	if (pending)
		wrmsr(HVABI_MSR_EOM, 0);
	return pending;
}

static bool is_full(struct own *own, unsigned int sint)
{
	return slot(own, sint)->header.message_type == HVABI_MSG_TIMER_EXPIRED;
}

/* A state that tests begin with: SynIC on, all SINTs masked, timers off, nothing counted. */
static void fresh(struct own *own)
{
	unsigned int i;

	for (i = 0; i < HVABI_STIMERS; i++)
		wrmsr(CONFIG(i), 0);
	wrmsr(MSR_LVT_TIMER, LVT_MASKED);
	for (i = 0; i < HVABI_SINTS; i++)
		wrmsr(HVABI_MSR_SINT0 + i, HVABI_SINT_MASKED | VECTOR(i));
	wrmsr(HVABI_MSR_SIMP, (uint64_t)own->messages);
	wrmsr(HVABI_MSR_SIMP, (uint64_t)own->messages | HVABI_MSR_PAGE_ENABLE);
	wrmsr(HVABI_MSR_SCONTROL, HVABI_SCONTROL_ENABLE);
	wrmsr(MSR_TPR, 0);
	let_in();
	for (i = 0; i < 256; i++)
		own->count[i] = 0;
	own->late = false;
}

static bool valid(struct own *own, unsigned int sint, unsigned int timer, uint64_t least)
{
	uint64_t now = reference();

	REQUIRE(is_full(own, sint), "%x", slot(own, sint)->header.message_type);
	REQUIRE(slot(own, sint)->header.payload_size == 24, "%u", slot(own, sint)->header.payload_size);
	REQUIRE(expired(own, sint)->timer_index == timer, "%u", expired(own, sint)->timer_index);
	REQUIRE(expired(own, sint)->expiration_time >= least, "%lu, set to %lu",
		expired(own, sint)->expiration_time, least);
	REQUIRE(expired(own, sint)->delivery_time >= expired(own, sint)->expiration_time, "%lu, %lu",
		expired(own, sint)->delivery_time, expired(own, sint)->expiration_time);
	REQUIRE(expired(own, sint)->delivery_time <= now, "%lu, now %lu",
		expired(own, sint)->delivery_time, now);
	return true;
}

/* ---- registers ---- */

static bool test_registers(struct own *own)
{
	unsigned int i;

	for (i = 0; i < HVABI_SINTS; i++)
		wrmsr(HVABI_MSR_SINT0 + i, HVABI_SINT_MASKED);
	wrmsr(HVABI_MSR_SCONTROL, 0);
	REQUIRE(rdmsr(HVABI_MSR_SVERSION) == 1, "%lx", rdmsr(HVABI_MSR_SVERSION));
	REQUIRE(wrmsr_faults(HVABI_MSR_SVERSION, 1));
	REQUIRE(rdmsr_faults(HVABI_MSR_SIRBP), "that is a parent's");
	for (i = 0; i < HVABI_SINTS; i++) {
		REQUIRE(wrmsr_faults(HVABI_MSR_SINT0 + i, 15), "vector 15");
		wrmsr(HVABI_MSR_SINT0 + i, VECTOR(i) | HVABI_SINT_AUTO_EOI);
	}
	for (i = 0; i < HVABI_SINTS; i++)
		REQUIRE(rdmsr(HVABI_MSR_SINT0 + i) == (VECTOR(i) | HVABI_SINT_AUTO_EOI), "SINT%u %lx", i,
			rdmsr(HVABI_MSR_SINT0 + i));
	wrmsr(HVABI_MSR_SCONTROL, HVABI_SCONTROL_ENABLE);
	REQUIRE(rdmsr(HVABI_MSR_SCONTROL) == HVABI_SCONTROL_ENABLE);
	/* Pages come into use empty. */
	for (i = 0; i < GUEST_PAGE_SIZE; i++)
		own->messages[i] = own->events[i] = 0xee;
	wrmsr(HVABI_MSR_SIMP, (uint64_t)own->messages);
	wrmsr(HVABI_MSR_SIEFP, (uint64_t)own->events);
	wrmsr(HVABI_MSR_SIMP, (uint64_t)own->messages | HVABI_MSR_PAGE_ENABLE);
	wrmsr(HVABI_MSR_SIEFP, (uint64_t)own->events | HVABI_MSR_PAGE_ENABLE);
	REQUIRE(rdmsr(HVABI_MSR_SIMP) == ((uint64_t)own->messages | HVABI_MSR_PAGE_ENABLE));
	REQUIRE(rdmsr(HVABI_MSR_SIEFP) == ((uint64_t)own->events | HVABI_MSR_PAGE_ENABLE));
	for (i = 0; i < GUEST_PAGE_SIZE; i++)
		REQUIRE(!((volatile uint8_t *)own->messages)[i] && !((volatile uint8_t *)own->events)[i],
			"byte %u", i);
	/* A timer that nobody may hear of is not enabled. */
	wrmsr(CONFIG(0), HVABI_STIMER_ENABLE);
	REQUIRE(!(rdmsr(CONFIG(0)) & HVABI_STIMER_ENABLE), "SINT 0: %lx", rdmsr(CONFIG(0)));
	return true;
}

/* ---- messages ---- */

static bool test_one_shot(struct own *own)
{
	uint64_t when;
	unsigned int i;

	for (i = 1; i <= 10; i++) {
		wrmsr(HVABI_MSR_SINT0 + i, VECTOR(i));
		when = i == 1 ? 1 : reference() + REFERENCE_HZ / 1000;
		wrmsr(COUNT(i % 3), when);
		wrmsr(CONFIG(i % 3), HVABI_STIMER_ENABLE | TO_SINT(i));
		REQUIRE(AWAIT(own, own->count[VECTOR(i)] == 1), "SINT %u", i);
		if (!valid(own, i, i % 3, when))
			return false;
		REQUIRE(expired(own, i)->expiration_time == when);
		REQUIRE(!(rdmsr(CONFIG(i % 3)) & HVABI_STIMER_ENABLE), "%lx", rdmsr(CONFIG(i % 3)));
		REQUIRE(!free_slot(own, i), "nothing else waits");
	}
	linger();
	let_in();
	for (i = 1; i <= 10; i++)
		REQUIRE(own->count[VECTOR(i)] == 1 && !is_full(own, i), "SINT %u: %u", i,
			own->count[VECTOR(i)]);
	return true;
}

static bool test_periodic(struct own *own)
{
	uint64_t least = reference();
	unsigned int i;

	wrmsr(HVABI_MSR_SINT0 + 4, VECTOR(4));
	wrmsr(COUNT(1), REFERENCE_HZ / 1000);
	wrmsr(CONFIG(1), HVABI_STIMER_ENABLE | HVABI_STIMER_PERIODIC | HVABI_STIMER_LAZY | TO_SINT(4));
	for (i = 1; i <= 40; i++) {
		REQUIRE(AWAIT(own, own->count[VECTOR(4)] >= i), "%u of %u", own->count[VECTOR(4)], i);
		if (!valid(own, 4, 1, least + REFERENCE_HZ / 1000))
			return false;
		least = expired(own, 4)->expiration_time;
		REQUIRE(rdmsr(CONFIG(1)) & HVABI_STIMER_ENABLE);
		free_slot(own, 4);
	}
	wrmsr(CONFIG(1), 0);
	free_slot(own, 4);
	let_in();
	i = own->count[VECTOR(4)];
	linger();
	let_in();
	REQUIRE(own->count[VECTOR(4)] == i && !is_full(own, 4), "stopped");
	return true;
}

static bool test_auto_enable(struct own *own)
{
	unsigned int i;

	wrmsr(HVABI_MSR_SINT0 + 5, VECTOR(5));
	wrmsr(CONFIG(0), HVABI_STIMER_AUTO_ENABLE | TO_SINT(5));
	for (i = 1; i <= 20; i++) {
		uint64_t when = reference() + REFERENCE_HZ / 2000;

		wrmsr(COUNT(0), when);
		REQUIRE(AWAIT(own, own->count[VECTOR(5)] == i), "%u", i);
		if (!valid(own, 5, 0, when))
			return false;
		free_slot(own, 5);
	}
	return true;
}

/* Three timers, one slot: none is lost, and each one but the first waits for an EOM. */
static bool test_full_slot(struct own *own)
{
	uint64_t when = reference() + REFERENCE_HZ / 1000;
	unsigned int i, got = 0;

	wrmsr(HVABI_MSR_SINT0 + 6, VECTOR(6));
	for (i = 0; i < 3; i++) {
		wrmsr(COUNT(i), when);
		wrmsr(CONFIG(i), HVABI_STIMER_ENABLE | TO_SINT(6));
	}
	for (i = 1; i <= 3; i++) {
		REQUIRE(AWAIT(own, own->count[VECTOR(6)] >= i), "%u", i);
		/* By now all have expired. */
		while (reference() < when + REFERENCE_HZ / 500)
			;
		leave();
		let_in();
		REQUIRE(own->count[VECTOR(6)] == i, "%u, in spite of a slot that is full",
			own->count[VECTOR(6)]);
		REQUIRE(is_full(own, 6) && expired(own, 6)->timer_index < 3);
		REQUIRE(expired(own, 6)->expiration_time == when);
		got |= 1u << expired(own, 6)->timer_index;
		REQUIRE(free_slot(own, 6) == (i < 3), "pending after %u", i);
	}
	REQUIRE(got == 7, "%x", got);
	return true;
}

/* What is off when a timer expires is not lost. */
static bool test_off(struct own *own)
{
	uint64_t when = reference() + REFERENCE_HZ / 2000;

	wrmsr(COUNT(0), when);
	wrmsr(CONFIG(0), HVABI_STIMER_ENABLE | TO_SINT(7));
	linger();
	REQUIRE(!is_full(own, 7), "SINT masked");
	wrmsr(HVABI_MSR_SCONTROL, 0);
	wrmsr(HVABI_MSR_SINT0 + 7, VECTOR(7));
	leave();
	REQUIRE(!is_full(own, 7), "SynIC off");
	wrmsr(HVABI_MSR_SIMP, (uint64_t)own->messages);
	wrmsr(HVABI_MSR_SCONTROL, HVABI_SCONTROL_ENABLE);
	leave();
	let_in();
	REQUIRE(!is_full(own, 7) && !own->count[VECTOR(7)], "page off");
	wrmsr(HVABI_MSR_SIMP, (uint64_t)own->messages | HVABI_MSR_PAGE_ENABLE);
	REQUIRE(AWAIT(own, own->count[VECTOR(7)] == 1));
	return valid(own, 7, 0, when);
}

static bool test_polling(struct own *own)
{
	uint64_t when = reference() + REFERENCE_HZ / 1000;

	wrmsr(HVABI_MSR_SINT0 + 8, VECTOR(8) | HVABI_SINT_POLLING);
	wrmsr(COUNT(2), when);
	wrmsr(CONFIG(2), HVABI_STIMER_ENABLE | TO_SINT(8));
	REQUIRE(AWAIT_AWAKE(is_full(own, 8)));
	if (!valid(own, 8, 2, when))
		return false;
	let_in();
	REQUIRE(own->count[VECTOR(8)] == 0, "an interrupt");
	return true;
}

static bool test_auto_eoi(struct own *own)
{
	const unsigned int vector = VECTOR_AUTO_EOI;
	unsigned int i;

	wrmsr(HVABI_MSR_SINT0 + 9, vector | HVABI_SINT_AUTO_EOI);
	for (i = 1; i <= 10; i++) {
		wrmsr(COUNT(0), reference() + REFERENCE_HZ / 2000);
		wrmsr(CONFIG(0), HVABI_STIMER_ENABLE | TO_SINT(9));
		REQUIRE(AWAIT(own, own->count[vector] == i), "%u", i);
		REQUIRE(!(own->in_service >> vector % 32 & 1), "in service: %lx", own->in_service);
		free_slot(own, 9);
	}
	return true;
}

/* ---- waiting ---- */

/* Waits with interrupts off, and the interrupt is still there afterwards. */
static bool test_idle(struct own *own)
{
	unsigned int i;

	wrmsr(HVABI_MSR_SINT0 + 10, VECTOR(10));
	for (i = 1; i <= 20; i++) {
		uint64_t when = reference() + REFERENCE_HZ / 1000;

		watch(own);
		wrmsr(COUNT(0), when);
		wrmsr(CONFIG(0), HVABI_STIMER_ENABLE | TO_SINT(10));
		REQUIRE(rdmsr(HVABI_MSR_GUEST_IDLE) == 0);
		REQUIRE(reference() >= when, "too early");
		REQUIRE(rdmsr(MSR_IRR + VECTOR(10) / 32) >> VECTOR(10) % 32 & 1, "woken by something else");
		REQUIRE(own->count[VECTOR(10)] == i - 1, "delivered with interrupts off");
		/* It waits for no more than there is. */
		rdmsr(HVABI_MSR_GUEST_IDLE);
		let_in();
		unwatch();
		REQUIRE(own->count[VECTOR(10)] == i, "%u of %u", own->count[VECTOR(10)], i);
		free_slot(own, 10);
	}
	REQUIRE(wrmsr_faults(HVABI_MSR_GUEST_IDLE, 0), "read-only");
	return true;
}

/* Timers with the shortest of periods leave time for the guest. */
static bool test_floor(struct own *own)
{
	volatile unsigned int work = 0;
	unsigned int i;

	wrmsr(HVABI_MSR_SINT0 + 11, VECTOR(11));
	watch(own);
	for (i = 0; i < 2; i++) {
		wrmsr(COUNT(i), 1);
		wrmsr(CONFIG(i), HVABI_STIMER_ENABLE | HVABI_STIMER_PERIODIC |
		      (i ? TO_SINT(11) : HVABI_STIMER_DIRECT | 0x55ull << HVABI_STIMER_VECTOR_SHIFT));
	}
	wrmsr(MSR_LVT_TIMER, LVT_PERIODIC | 0x56);
	wrmsr(MSR_INITIAL, 1);
	asm volatile("sti" : : : "memory");
	while (!own->late && (work < 100000 || own->count[0x55] < 10 || own->count[0x56] < 10)) {
		work++;
		if (is_full(own, 11))
			free_slot(own, 11);
	}
	cli();
	wrmsr(MSR_LVT_TIMER, LVT_MASKED);
	wrmsr(CONFIG(0), 0);
	wrmsr(CONFIG(1), 0);
	unwatch();
	REQUIRE(!own->late, "%u, %u and %u expiries", work, own->count[0x55], own->count[0x56]);
	return true;
}

/* ---- extended hypercalls ---- */

static uint8_t hypercall_page[GUEST_PAGE_SIZE] __attribute__((aligned(4096)));

static uint64_t hypercall(uint64_t control, uint64_t input, uint64_t output)
{
	register uint64_t r8 asm("r8") = output;
	uint64_t result;

	asm volatile("call *%[page]"
		     : "=a"(result), "+c"(control), "+d"(input), "+r"(r8)
		     : [page] "r"(hypercall_page)
		     : "memory", "cc", "r9", "r10", "r11");
	return result;
}

static bool has_extended(void)
{
	uint32_t reg[4];

	cpuid(HVABI_CPUID_FEATURES, 0, reg);
	return reg[1] & HVABI_PRIV_HIGH_EXTENDED_HYPERCALLS;
}

static bool test_capabilities(struct own *own)
{
	volatile uint64_t *out = (volatile uint64_t *)own->events;
	uint64_t result;

	REQUIRE(has_extended());
	out[0] = out[1] = ~0ull;
	result = hypercall(HVABI_CALL_EXT_QUERY_CAPABILITIES, 0, (uint64_t)out);
	REQUIRE(result == 0, "%lx", result);
	REQUIRE(out[0] == HVABI_EXT_CAPABILITY_COLD_DISCARD_HINT && out[1] == ~0ull, "%lx", out[0]);
	result = hypercall(HVABI_CALL_EXT_QUERY_CAPABILITIES, 0, (uint64_t)out + 1);
	REQUIRE(result == 4, "crooked: %lx", result);
	result = hypercall(HVABI_CALL_EXT_QUERY_CAPABILITIES, 0, 1ull << 40);
	REQUIRE(result == 5, "no memory: %lx", result);
	result = hypercall(HVABI_CALL_EXT_QUERY_CAPABILITIES | 1ull << 16, 0, (uint64_t)out);
	REQUIRE(result == 3, "fast: %lx", result);
	result = hypercall(0x8002, 0, (uint64_t)out);
	REQUIRE(result == 2, "unknown: %lx", result);
	return true;
}

/* The status of a hint at one range; its block is in the page of event flags. */
static uint64_t discard(struct own *own, uint64_t range)
{
	volatile uint64_t *in = (volatile uint64_t *)own->events;

	in[0] = HVABI_HEAT_COLD_DISCARD;
	in[1] = range;
	return hypercall(HVABI_CALL_EXT_MEMORY_HEAT_HINT | 1ull << 32, (uint64_t)in, 0);
}

/* Each processor has 4 MiB for this. */
static bool test_hint(struct own *own)
{
	uint64_t area = GUEST_FREE + own->vp * (4ull << 20), pages = (4ull << 20) / GUEST_PAGE_SIZE, i;
	uint64_t result;

	/* Pages 8 to 15 in the first half, and all of the second. */
	for (i = 0; i < pages; i++)
		*(volatile uint64_t *)(area + i * GUEST_PAGE_SIZE) = i + 1;
	result = discard(own, (area + 8 * GUEST_PAGE_SIZE) | 7);
	REQUIRE(result == 1ull << 32, "%lx", result);
	result = discard(own, (area + (2ull << 20)) | HVABI_RANGE_LARGE);
	REQUIRE(result == 1ull << 32, "large: %lx", result);
	for (i = 0; i < pages; i++) {
		uint64_t found = *(volatile uint64_t *)(area + i * GUEST_PAGE_SIZE);
		bool empty = (i >= 8 && i < 16) || i >= pages / 2;

		REQUIRE(found == (empty ? 0 : i + 1), "page %lu: %lx", i, found);
	}
	result = discard(own, 1ull << 40);
	REQUIRE(result == 5, "no memory: %lx", result);
	return true;
}

/* The message page goes while a timer runs: what it brings is not lost. */
static bool test_page_goes(struct own *own)
{
	unsigned int i, kept = 0;

	wrmsr(HVABI_MSR_SINT0 + 12, VECTOR(12));
	for (i = 1; i <= 100; i++) {
		uint64_t when = reference() + REFERENCE_HZ / 2000, result;

		wrmsr(COUNT(0), when);
		wrmsr(CONFIG(0), HVABI_STIMER_ENABLE | TO_SINT(12));
		result = discard(own, (uint64_t)own->messages);
		REQUIRE(result == 1ull << 32, "%lx", result);
		REQUIRE(AWAIT(own, own->count[VECTOR(12)] >= i), "%u", i);
		REQUIRE(own->count[VECTOR(12)] == i, "%u of %u", own->count[VECTOR(12)], i);
		/* It may have come before the page went, and gone with it. */
		if (is_full(own, 12) && !valid(own, 12, 0, when))
			return false;
		kept += is_full(own, 12);
		slot(own, 12)->header.message_type = HVABI_MSG_NONE;
	}
	REQUIRE(kept > 0, "each one has gone with the page");
	return true;
}

/* ---- EOIs that are spared ---- */

static bool in_set(uint32_t set, unsigned int vector)
{
	return rdmsr(set + vector / 32) >> vector % 32 & 1;
}

static void use_assist_page(struct own *own)
{
	*(volatile uint32_t *)own->assist = ~0u;
	wrmsr(HVABI_MSR_VP_ASSIST_PAGE, (uint64_t)own->assist | HVABI_MSR_PAGE_ENABLE);
	own->spared = 0;
}

static bool test_assist(struct own *own)
{
	unsigned int i;

	use_assist_page(own);
	REQUIRE(*(volatile uint32_t *)own->assist == 0, "%x", *(volatile uint32_t *)own->assist);
	for (i = 1; i <= 200; i++) {
		wrmsr(MSR_SELF_IPI, VECTOR_LOW);
		let_in();
		REQUIRE(own->count[VECTOR_LOW] == i, "%u of %u", own->count[VECTOR_LOW], i);
		REQUIRE(!in_set(MSR_ISR, VECTOR_LOW) && !in_set(MSR_IRR, VECTOR_LOW), "%u", i);
	}
	REQUIRE(own->spared > 100, "%u of 200", own->spared);
	/* Who waits for the end of another's must hear of it. */
	own->spared = 0;
	for (i = 1; i <= 50; i++) {
		wrmsr(MSR_SELF_IPI, VECTOR_HIGH);
		wrmsr(MSR_SELF_IPI, VECTOR_LOW);
		let_in();
		let_in();
		REQUIRE(own->count[VECTOR_HIGH] == i && own->count[VECTOR_LOW] == 200 + i, "%u, %u",
			own->count[VECTOR_HIGH], own->count[VECTOR_LOW]);
	}
	REQUIRE(own->spared <= 50, "%u of 100", own->spared);
	/* The page goes, again and again. */
	for (i = 1; i <= 50; i++) {
		wrmsr(MSR_SELF_IPI, VECTOR_LOW);
		discard(own, (uint64_t)own->assist);
		let_in();
		REQUIRE(own->count[VECTOR_LOW] == 250 + i && !in_set(MSR_ISR, VECTOR_LOW), "%u of %u",
			own->count[VECTOR_LOW], 250 + i);
	}
	wrmsr(HVABI_MSR_VP_ASSIST_PAGE, 0);
	return true;
}

#define RING_ROUNDS	400u

static bool ring_of_all;

/* Everybody interrupts the next one, who is at the same: none is lost, and none comes twice. */
static bool test_assist_ring(struct own *own)
{
	struct own *next = &owns[ring_of_all ? (own->vp + 1) % machine->vps : own->vp];
	unsigned int i, spins = 0;
	uint64_t limit = 0;

	use_assist_page(own);
	asm volatile("sti" : : : "memory");
	for (i = 1; i <= RING_ROUNDS && next->ring >= i - 1; i++) {
		wrmsr(MSR_ICR, ICR_TO(next->vp) | VECTOR_RING);
		/* As long as it goes on it may be slow: the host's processors are others' as well. */
		limit = reference() + 1ull * WATCHDOG_SECONDS * REFERENCE_HZ;
		/* Seldom leaving the guest. */
		while (next->ring < i && (++spins % 4096 || reference() < limit))
			asm volatile("pause");
	}
	while (own->ring < RING_ROUNDS && (++spins % 4096 || reference() < limit))
		asm volatile("pause");
	cli();
	wrmsr(HVABI_MSR_VP_ASSIST_PAGE, 0);
	REQUIRE(own->ring == RING_ROUNDS, "%u of %u, IRR %u, ISR %u", own->ring, RING_ROUNDS,
		in_set(MSR_IRR, VECTOR_RING), in_set(MSR_ISR, VECTOR_RING));
	REQUIRE(own->spared > 0);
	return true;
}

/* ---- several processors ---- */

static void on_wake(struct guest_frame *frame)
{
	(void)frame;
	wrmsr(MSR_EOI, 0);
}

static void enable_x2apic(void)
{
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | BASE_ENABLE);
	wrmsr(MSR_SVR, SVR_ENABLE);
	wrmsr(MSR_TPR, 0);
}

static __attribute__((noreturn)) void serve(struct own *own)
{
	own->started = true;
	for (;;) {
		cli();
		while (!own->work)
			asm volatile("sti; hlt; cli" : : : "memory");
		fresh(own);
		own->ok = own->work(own);
		own->work = NULL;
	}
}

static bool start_others(void)
{
	unsigned int vp;

	guest_put_trampoline();
	for (vp = 1; vp < machine->vps; vp++) {
		wrmsr(MSR_ICR, ICR_TO(vp) | ICR_INIT | ICR_ASSERT);
		wrmsr(MSR_ICR, ICR_TO(vp) | ICR_STARTUP | GUEST_TRAMPOLINE >> 12);
		if (!AWAIT_AWAKE(owns[vp].started))
			return false;
	}
	return true;
}

/* On all processors at once. */
static bool run_on_all(bool (*run)(struct own *own))
{
	unsigned int vp;
	bool ok;

	for (vp = 1; vp < machine->vps; vp++) {
		owns[vp].work = run;
		wrmsr(MSR_ICR, ICR_TO(vp) | VECTOR_WAKE);
	}
	ok = run(&owns[0]);
	for (vp = 1; vp < machine->vps; vp++) {
		if (!AWAIT_AWAKE(!owns[vp].work) || !owns[vp].ok) {
			guest_printf("# processor %u\n", vp);
			ok = false;
		}
	}
	return ok;
}

/* ---- all of it ---- */

static const struct {
	const char *name;
	bool (*run)(struct own *own);
	uint64_t features;
} list[] = {
	{ "SynIC: registers and pages", test_registers, 0 },
	{ "messages: one-shot", test_one_shot, 0 },
	{ "messages: periodic", test_periodic, 0 },
	{ "messages: auto-enable", test_auto_enable, 0 },
	{ "messages: a full slot waits for EOM", test_full_slot, 0 },
	{ "messages wait for what is off", test_off, 0 },
	{ "messages: polling", test_polling, 0 },
	{ "messages: auto-EOI", test_auto_eoi, 0 },
	{ "GUEST_IDLE waits with interrupts off", test_idle, HVABI_SYNTHETIC_GUEST_IDLE },
	{ "extended hypercalls: capabilities", test_capabilities, HVABI_SYNTHETIC_HYPERCALL },
	{ "extended hypercalls: what is discarded is empty", test_hint, HVABI_SYNTHETIC_HYPERCALL },
	{ "messages: the page goes meanwhile", test_page_goes, HVABI_SYNTHETIC_HYPERCALL },
	{ "EOIs are spared", test_assist, HVABI_SYNTHETIC_APIC_ACCESS | HVABI_SYNTHETIC_HYPERCALL },
	{ "EOIs are spared: a ring of interrupts", test_assist_ring, HVABI_SYNTHETIC_APIC_ACCESS },
	{ "the shortest periods leave time for the guest", test_floor, 0 },
};

static void test(unsigned int i, bool all)
{
	unsigned int vp;
	bool ok;

	if (list[i].features & ~machine->synthetic_features) {
		guest_printf("ok %u - %s # SKIP\n", ++tests, list[i].name);
		return;
	}
	fresh(&owns[0]);
	ring_of_all = all;
	for (vp = 0; vp < machine->vps; vp++)
		owns[vp].ring = 0;
	ok = all ? run_on_all(list[i].run) : list[i].run(&owns[0]);
	cli();
	unwatch();
	if (!ok)
		failures++;
	guest_printf("%sok %u - %s%s\n", ok ? "" : "not ", ++tests, list[i].name,
		     all ? ", on all processors at once" : "");
}

void guest_main(unsigned int vp, const struct guest_boot *boot)
{
	const uint64_t needed = HVABI_SYNTHETIC_SYNIC | HVABI_SYNTHETIC_TIMERS |
				HVABI_SYNTHETIC_DIRECT_TIMERS | HVABI_SYNTHETIC_REFERENCE_COUNTER;
	unsigned int i;

	owns[vp].vp = vp;
	if (vp) {
		enable_x2apic();
		serve(&owns[vp]);
	}
	machine = boot;
	guest_puts("KTAP version 1\n");
	if (!(boot->apic & GUEST_APIC_X2) || (needed & ~boot->synthetic_features)) {
		guest_puts("1..0 # SKIP without local APICs and a SynIC: mshv run --lapic\n");
		guest_exit(0);
	}
	for (i = 32; i < 256; i++)
		guest_handle(i, on_vector);
	guest_handle(VECTOR_AUTO_EOI, on_auto_eoi);
	guest_handle(VECTOR_LOW, on_assisted);
	guest_handle(VECTOR_RING, on_assisted);
	guest_handle(VECTOR_HIGH, on_assisted);
	guest_handle(VECTOR_WAKE, on_wake);
	guest_handle(VECTOR_WATCHDOG, on_watchdog);
	enable_x2apic();
	wrmsr(HVABI_MSR_GUEST_OS_ID, 0x8100000000000001ull);
	wrmsr(HVABI_MSR_HYPERCALL, (uint64_t)hypercall_page | HVABI_MSR_PAGE_ENABLE);
	for (i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		test(i, false);
	if (boot->vps > 1 && !start_others()) {
		guest_puts("Bail out! not all processors have started\n");
		guest_exit(1);
	}
	for (i = 0; i < sizeof(list) / sizeof(list[0]) && boot->vps > 1; i++)
		test(i, true);
	guest_printf("1..%u\n", tests);
	guest_exit(failures ? 1 : 0);
}
