// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of the interrupts and timers of a guest with local APICs, and of the synthetic
 * registers and hypercalls that go with them; speaks KTAP on the console.
 *
 * Processor 0 runs the tests and starts the others, which wait in HLT for work. Interrupts
 * are off but where a test says otherwise. Every interrupt is counted and written down by
 * on_vector(), and ended. What a test waits for in HLT it waits for under the eyes of a
 * watchdog, a synthetic timer of the waiting processor: an interrupt that is lost fails
 * the test instead of stopping it. No test asserts how long anything takes.
 */
#include <hvabi/cpuid.h>
#include <hvabi/guest.h>
#include <hvabi/partition.h>

#include "guest.h"

#define MSR_APIC_BASE	0x01bu
#define MSR_DEADLINE	0x6e0u
#define MSR_ID		0x802u
#define MSR_VERSION	0x803u
#define MSR_TPR		0x808u
#define MSR_PPR		0x80au
#define MSR_EOI		0x80bu
#define MSR_LDR		0x80du
#define MSR_SVR		0x80fu
#define MSR_ISR		0x810u
#define MSR_TMR		0x818u
#define MSR_IRR		0x820u
#define MSR_ESR		0x828u
#define MSR_ICR		0x830u
#define MSR_LVT_TIMER	0x832u
#define MSR_LVT_LINT0	0x835u
#define MSR_LVT_LINT1	0x836u
#define MSR_LVT_ERROR	0x837u
#define MSR_INITIAL	0x838u
#define MSR_CURRENT	0x839u
#define MSR_DIVIDE	0x83eu
#define MSR_SELF_IPI	0x83fu

#define BASE_BSP	0x100u
#define BASE_EXTD	0x400u
#define BASE_ENABLE	0x800u
#define BASE_ADDRESS	0xfee00000u

#define SVR_ENABLE	0x100u
#define SPURIOUS	0xffu

#define LVT_MASKED	0x10000u
#define LVT_PERIODIC	0x20000u
#define LVT_DEADLINE	0x40000u
#define LVT_NMI		0x400u
#define LVT_EXTINT	0x700u
#define DIVIDE_BY_1	0xbu

#define ICR_NMI		0x400u
#define ICR_INIT	0x500u
#define ICR_STARTUP	0x600u
#define ICR_LOWEST	0x100u
#define ICR_LOGICAL	0x800u
#define ICR_ASSERT	0x4000u
#define ICR_SELF	0x40000u
#define ICR_ALL		0x80000u
#define ICR_OTHERS	0xc0000u
#define ICR_TO(id)	((uint64_t)(id) << 32)
#define EVERYBODY	0xffffffffu

#define VECTOR_NMI	2
#define VECTOR_UD	6
#define VECTOR_GP	13

#define VECTOR_WAKE	0xe0	/* a processor that waits for work */
#define VECTOR_WATCHDOG	0xf1

#define WATCHDOG_SECONDS	60u
#define REFERENCE_HZ		10000000u

#define GIB		(1ull << 30)
#define BLOCK		(2ull << 20)
#define PTE_P_W		3ull
#define PTE_USER	4ull
#define PTE_UNCACHED	0x10ull
#define PTE_LARGE	0x80ull

#define LOG_MAX		256u

/* What a processor's interrupts did. */
static struct {
	volatile unsigned int count[256];
	volatile uint8_t log[LOG_MAX];
	volatile unsigned int logged;
	volatile bool late;			/* the watchdog has barked */
} seen[GUEST_VPS_MAX];

static unsigned int tests, failures;
static const struct guest_boot *machine;
static bool (*volatile work[GUEST_VPS_MAX])(unsigned int vp);
static volatile bool work_ok[GUEST_VPS_MAX];
static volatile unsigned int starts[GUEST_VPS_MAX];

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

static __attribute__((noinline)) bool write_cr8_faults(uint64_t value)
{
	guest_catch(&&after);
	asm volatile goto("mov %0, %%cr8" : : "r"(value) : "memory" : after);
after:
	return guest_caught() == VECTOR_GP;
}

static void write_cr8(uint64_t value)
{
	asm volatile("mov %0, %%cr8" : : "r"(value) : "memory");
}

static uint64_t read_cr8(void)
{
	uint64_t value;

	asm volatile("mov %%cr8, %0" : "=r"(value));
	return value;
}

static uint64_t rdtsc(void)
{
	uint32_t low, high;

	asm volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
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

static void halt_once(void)
{
	asm volatile("sti; hlt; cli" : : : "memory");
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

static uint32_t random32(void)
{
	static uint64_t seed = 88172645463325252ull;

	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 16);
}

/* ---- interrupts ---- */

static void note(unsigned int vp, uint8_t what)
{
	unsigned int at = seen[vp].logged;

	if (at < LOG_MAX)
		seen[vp].log[at] = what;
	seen[vp].logged = at + 1;
}

static void eoi(void)
{
	wrmsr(MSR_EOI, 0);
}

static void on_vector(struct guest_frame *frame)
{
	unsigned int vp = guest_vp();

	seen[vp].count[frame->vector]++;
	note(vp, (uint8_t)frame->vector);
	eoi();
}

/* Without an EOI: nothing is in service. */
static void on_unacknowledged(struct guest_frame *frame)
{
	unsigned int vp = guest_vp();

	seen[vp].count[frame->vector]++;
	note(vp, (uint8_t)frame->vector);
}

static void on_watchdog(struct guest_frame *frame)
{
	(void)frame;
	seen[guest_vp()].late = true;
	eoi();
}

static void forget(void)
{
	unsigned int vp = guest_vp(), i;

	for (i = 0; i < 256; i++)
		seen[vp].count[i] = 0;
	seen[vp].logged = 0;
}

static unsigned int count(unsigned int vector)
{
	return seen[guest_vp()].count[vector];
}

static unsigned int logged(void)
{
	return seen[guest_vp()].logged;
}

/* Is what happened exactly these, in this order? */
static bool log_is(const uint8_t *what, unsigned int n)
{
	unsigned int vp = guest_vp(), i;
	bool same = seen[vp].logged == n;

	for (i = 0; i < n && same; i++)
		same = seen[vp].log[i] == what[i];
	if (same)
		return true;
	guest_printf("# in this order:");
	for (i = 0; i < seen[vp].logged && i < LOG_MAX; i++)
		guest_printf(" %x", (unsigned int)seen[vp].log[i]);
	guest_printf("\n");
	return false;
}

#define LOG_IS(...)	log_is((const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

static bool in_set(uint32_t set, unsigned int vector)
{
	return rdmsr(set + vector / 32) >> vector % 32 & 1;
}

static void watch(void)
{
	seen[guest_vp()].late = false;
	wrmsr(HVABI_MSR_STIMER0_COUNT + 6, reference() + WATCHDOG_SECONDS * REFERENCE_HZ);
	wrmsr(HVABI_MSR_STIMER0_CONFIG + 6, HVABI_STIMER_ENABLE | HVABI_STIMER_DIRECT |
	      (uint64_t)VECTOR_WATCHDOG << HVABI_STIMER_VECTOR_SHIFT);
}

static void unwatch(void)
{
	wrmsr(HVABI_MSR_STIMER0_CONFIG + 6, 0);
}

/* Halts until it is so. False: the watchdog was first. Interrupts are off before and after. */
#define HALT_UNTIL(condition)							\
	({									\
		volatile bool *late_ = &seen[guest_vp()].late;			\
										\
		cli();								\
		while (!(condition) && !*late_)					\
			halt_once();						\
		!*late_;							\
	})

#define AWAIT(condition)							\
	({									\
		bool await_;							\
										\
		watch();							\
		await_ = HALT_UNTIL(condition);					\
		unwatch();							\
		await_;								\
	})

static void send(uint64_t icr)
{
	wrmsr(MSR_ICR, icr);
}

static void send_self(unsigned int vector)
{
	wrmsr(MSR_SELF_IPI, vector);
}

/* x2APIC mode from any, software-enabled, nothing masked by priority. */
static void enable_x2apic(void)
{
	uint64_t base = rdmsr(MSR_APIC_BASE);

	wrmsr(MSR_APIC_BASE, base | BASE_ENABLE);
	wrmsr(MSR_APIC_BASE, base | BASE_ENABLE | BASE_EXTD);
	wrmsr(MSR_SVR, SVR_ENABLE | SPURIOUS);
	wrmsr(MSR_TPR, 0);
}

/* ---- states of the APIC, and the page ---- */

static volatile uint32_t *page_register(uint32_t reg)
{
	return (volatile uint32_t *)(uint64_t)(BASE_ADDRESS + reg * 16);
}

/* Maps the APIC's page where it is; there is no memory in that GiB. */
static void map_apic_page(void)
{
	static uint64_t directory[512] __attribute__((aligned(4096)));
	volatile uint64_t *pointers = (volatile uint64_t *)(uint64_t)(GUEST_PAGE_TABLES +
								      GUEST_PAGE_SIZE);

	directory[BASE_ADDRESS % GIB / BLOCK] = BASE_ADDRESS | PTE_P_W | PTE_UNCACHED | PTE_LARGE;
	pointers[BASE_ADDRESS / GIB] = (uint64_t)directory | PTE_P_W;
}

static void on_vector_page(struct guest_frame *frame)
{
	unsigned int vp = guest_vp();

	seen[vp].count[frame->vector]++;
	note(vp, (uint8_t)frame->vector);
	*page_register(0xb) = 0;
}

static bool test_page(void)
{
	volatile uint32_t *tpr = page_register(0x8), *id = page_register(0x2);
	uint64_t value;

	forget();
	REQUIRE((rdmsr(MSR_APIC_BASE) & ~0xfffull) == BASE_ADDRESS);
	REQUIRE((rdmsr(MSR_APIC_BASE) & 0xfff) == (BASE_ENABLE | BASE_BSP), "%lx",
		rdmsr(MSR_APIC_BASE));
	REQUIRE(*id == 0, "%x", *id);
	REQUIRE(*page_register(0x3) >> 16 == 5, "%x", *page_register(0x3));
	REQUIRE((*page_register(0x3) & 0xff) >= 0x10, "%x", *page_register(0x3));
	REQUIRE(*page_register(0xe) == 0xffffffff && *page_register(0xf) == 0xff,
		"DFR %x, SVR %x", *page_register(0xe), *page_register(0xf));
	REQUIRE(rdmsr_faults(MSR_ID) && wrmsr_faults(MSR_TPR, 0));

	/* The forms of MOV. */
	asm volatile("movl $0x20, (%0)" : : "r"(tpr) : "memory");
	REQUIRE(*tpr == 0x20, "MOV r/m, imm: %x", *tpr);
	asm volatile("movl $0x30, %%r11d; movl %%r11d, (%0)" : : "r"(tpr) : "r11", "memory");
	REQUIRE(*tpr == 0x30, "MOV r/m, r11: %x", *tpr);
	asm volatile("movabs $~0, %%r12; movl 0x12(%1, %2, 2), %%r12d; mov %%r12, %0"
		     : "=r"(value) : "r"((uint64_t)tpr - 0x12 - 0x40), "r"(0x20ull)
		     : "r12", "memory");
	REQUIRE(value == 0x30, "MOV r12, r/m: %lx", value);
	asm volatile("movl $0x40, %%eax; movabsl %%eax, 0xfee00080" : : : "rax", "memory");
	REQUIRE(*tpr == 0x40, "MOV moffs, eax: %x", *tpr);
	asm volatile("movabs $~0, %%rax; movabsl 0xfee00080, %%eax" : "=&a"(value) : : "memory");
	REQUIRE(value == 0x40, "MOV eax, moffs: %lx", value);
	REQUIRE(read_cr8() == 4, "CR8 %lx", read_cr8());
	write_cr8(0);
	REQUIRE(*tpr == 0, "TPR %x", *tpr);

	/* An interrupt goes through: self, by id, by logical name. */
	guest_handle(0x41, on_vector_page);
	*page_register(0xf) = SVR_ENABLE | SPURIOUS;
	*page_register(0x30) = ICR_SELF | 0x41;
	let_in();
	REQUIRE(count(0x41) == 1, "self: %u", count(0x41));
	*page_register(0x31) = 0;
	*page_register(0x30) = 0x41;
	let_in();
	REQUIRE(count(0x41) == 2, "by id: %u", count(0x41));
	*page_register(0xd) = 0x02000000;
	*page_register(0x31) = 0x03000000;
	*page_register(0x30) = ICR_LOGICAL | 0x41;
	let_in();
	REQUIRE(count(0x41) == 3, "flat logical: %u", count(0x41));
	*page_register(0x31) = 0x04000000;
	*page_register(0x30) = ICR_LOGICAL | 0x41;
	let_in();
	REQUIRE(count(0x41) == 3, "somebody else's name: %u", count(0x41));
	*page_register(0xe) = 0x0fffffff;
	*page_register(0xd) = 0x21000000;
	*page_register(0x31) = 0x23000000;
	*page_register(0x30) = ICR_LOGICAL | 0x41;
	let_in();
	REQUIRE(count(0x41) == 4, "cluster: %u", count(0x41));
	REQUIRE(*page_register(0x12) == 0, "ISR %x", *page_register(0x12));
	guest_handle(0x41, on_vector);
	return true;
}

static bool test_base(void)
{
	uint64_t xapic = BASE_ADDRESS | BASE_BSP | BASE_ENABLE, x2apic = xapic | BASE_EXTD;
	uint64_t off = BASE_ADDRESS | BASE_BSP;

	wrmsr(MSR_APIC_BASE, xapic);
	REQUIRE(wrmsr_faults(MSR_APIC_BASE, off | BASE_EXTD), "x2APIC but disabled");
	REQUIRE(wrmsr_faults(MSR_APIC_BASE, xapic | 1), "reserved bit 0");
	REQUIRE(wrmsr_faults(MSR_APIC_BASE, xapic | 0x200), "reserved bit 9");
	REQUIRE(wrmsr_faults(MSR_APIC_BASE, xapic | 1ull << 63), "reserved bit 63");
	REQUIRE(rdmsr(MSR_APIC_BASE) == xapic, "a refused write changes nothing");
	wrmsr(MSR_APIC_BASE, off);
	REQUIRE(rdmsr_faults(MSR_ID), "disabled: no registers");
	REQUIRE(wrmsr_faults(MSR_APIC_BASE, x2apic), "x2APIC from disabled");
	REQUIRE(wrmsr_faults(MSR_APIC_BASE, off | BASE_EXTD), "the illegal state from disabled");
	wrmsr(MSR_APIC_BASE, xapic);
	wrmsr(MSR_APIC_BASE, x2apic);
	REQUIRE(rdmsr(MSR_APIC_BASE) == x2apic);
	REQUIRE(wrmsr_faults(MSR_APIC_BASE, xapic), "xAPIC from x2APIC");
	REQUIRE(wrmsr_faults(MSR_APIC_BASE, off | BASE_EXTD), "the illegal state from x2APIC");
	wrmsr(MSR_APIC_BASE, x2apic);
	wrmsr(MSR_APIC_BASE, off);
	REQUIRE(rdmsr(MSR_APIC_BASE) == off);
	enable_x2apic();
	REQUIRE(rdmsr(MSR_APIC_BASE) == x2apic);
	return true;
}

static bool test_identity(void)
{
	uint32_t reg[4];
	uint64_t svr = rdmsr(MSR_SVR);

	REQUIRE(rdmsr(MSR_ID) == 0, "%lx", rdmsr(MSR_ID));
	REQUIRE((rdmsr(MSR_VERSION) & 0xff) >= 0x10 && (rdmsr(MSR_VERSION) >> 16 & 0xff) >= 4,
		"%lx", rdmsr(MSR_VERSION));
	REQUIRE(rdmsr(MSR_LDR) == 1, "%lx", rdmsr(MSR_LDR));
	REQUIRE(svr == (SVR_ENABLE | SPURIOUS), "%lx", svr);
	cpuid(1, 0, reg);
	REQUIRE(reg[1] >> 24 == 0, "APIC id %x", reg[1] >> 24);
	REQUIRE(reg[3] & 1u << 9, "APIC");
	REQUIRE(reg[2] & 1u << 21, "x2APIC");
	REQUIRE(reg[2] & 1u << 24, "TSC deadline");
	REQUIRE(rdmsr(HVABI_MSR_VP_INDEX) == 0);
	return true;
}

static bool can_be_read(uint32_t reg)
{
	return reg == 0x02 || reg == 0x03 || reg == 0x08 || reg == 0x0a || reg == 0x0d ||
	       reg == 0x0f || (reg >= 0x10 && reg <= 0x28) || reg == 0x30 ||
	       (reg >= 0x32 && reg <= 0x39) || reg == 0x3e;
}

static bool test_registers(void)
{
	static const struct {
		uint32_t msr;
		uint64_t value;
	} refused[] = {
		{ MSR_ID, 0 }, { MSR_VERSION, 0 }, { MSR_PPR, 0 }, { MSR_LDR, 0 },
		{ MSR_ISR, 0 }, { MSR_TMR + 7, 0 }, { MSR_IRR + 3, 0 }, { MSR_CURRENT, 0 },
		{ 0x80e, 0 }, { 0x831, 0 }, { 0x83c, 0 }, { 0x8ff, 0 }, { 0x800, 0 },
		{ MSR_EOI, 1 }, { MSR_ESR, 1 }, { MSR_TPR, 0x100 }, { MSR_SVR, 0x80000000 },
		{ MSR_SELF_IPI, 0x141 }, { MSR_DIVIDE, 0x1b }, { MSR_INITIAL, 1ull << 32 },
		{ MSR_LVT_TIMER, LVT_MASKED | LVT_PERIODIC | LVT_DEADLINE | 0x41 },
		{ MSR_LVT_TIMER, LVT_MASKED | 0x80000 | 0x41 }, { MSR_LVT_ERROR, LVT_MASKED | 0x741 },
		{ MSR_ICR, 1u << 13 | ICR_SELF | 0x41 }, { MSR_ICR, 1u << 20 | ICR_SELF | 0x41 },
	};
	uint32_t i;

	forget();
	for (i = 0; i < 0x100; i++)
		REQUIRE(rdmsr_faults(0x800 + i) == !can_be_read(i), "register %x", i);
	for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		REQUIRE(wrmsr_faults(refused[i].msr, refused[i].value), "%lx to %x",
			refused[i].value, refused[i].msr);
	let_in();
	REQUIRE(logged() == 0, "%u interrupts of writes that were refused", logged());
	return true;
}

/* ---- delivery ---- */

static bool test_self_ipi(void)
{
	static const uint64_t ways[] = {
		ICR_SELF | 0x41, 0x41, ICR_LOGICAL | ICR_TO(1) | 0x41, ICR_TO(EVERYBODY) | 0x41,
		ICR_LOWEST | ICR_LOGICAL | ICR_TO(1) | 0x41,
	};
	unsigned int i;

	forget();
	send_self(0x41);
	REQUIRE(in_set(MSR_IRR, 0x41) && !in_set(MSR_ISR, 0x41));
	REQUIRE(count(0x41) == 0, "delivered with IF = 0");
	let_in();
	REQUIRE(count(0x41) == 1, "%u times", count(0x41));
	REQUIRE(!in_set(MSR_IRR, 0x41) && !in_set(MSR_ISR, 0x41));
	for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		send(ways[i]);
		let_in();
		REQUIRE(count(0x41) == i + 2, "way %u: %u times", i, count(0x41));
	}
	send_self(0x41);
	send_self(0x41);
	let_in();
	REQUIRE(count(0x41) == i + 2, "one vector twice while it is off is one: %u", count(0x41));
	asm volatile("sti");
	for (i = 0; i < 100; i++) {
		send_self(0x42);
		asm volatile("nop");
		REQUIRE(count(0x42) == i + 1, "at once with IF = 1: %u of %u", count(0x42), i + 1);
	}
	cli();
	leave();
	let_in();
	REQUIRE(count(0x42) == 100, "%u", count(0x42));
	return true;
}

static bool test_priority(void)
{
	forget();
	send_self(0x41);
	send_self(0x91);
	send_self(0x61);
	send_self(0x62);
	send_self(0x31);
	let_in();
	REQUIRE(LOG_IS(0x91, 0x62, 0x61, 0x41, 0x31));
	return true;
}

static bool test_tpr(void)
{
	unsigned int class;

	forget();
	wrmsr(MSR_TPR, 0x60);
	REQUIRE(read_cr8() == 6 && rdmsr(MSR_PPR) == 0x60, "CR8 %lx, PPR %lx", read_cr8(),
		rdmsr(MSR_PPR));
	send_self(0x61);
	send_self(0x71);
	let_in();
	REQUIRE(LOG_IS(0x71));
	wrmsr(MSR_TPR, 0x5f);
	let_in();
	REQUIRE(LOG_IS(0x71, 0x61));
	REQUIRE(rdmsr(MSR_TPR) == 0x5f, "%lx", rdmsr(MSR_TPR));

	/* The same by CR8, which need not exit. */
	forget();
	write_cr8(15);
	REQUIRE(rdmsr(MSR_TPR) == 0xf0, "%lx", rdmsr(MSR_TPR));
	for (class = 3; class < 15; class++)
		send_self(class * 16 + 1);
	let_in();
	REQUIRE(logged() == 0, "%u got past CR8 = 15", logged());
	for (class = 14; class >= 3; class--) {
		write_cr8(class);
		let_in();
		REQUIRE(logged() == 14 - class, "CR8 %u: %u", class, logged());
		write_cr8(class - 1);
		let_in();
		REQUIRE(logged() == 15 - class, "CR8 %u: %u", class - 1, logged());
	}
	/* QEMU's TCG takes the low bits of any value, if the write does not exit. */
	if (!write_cr8_faults(16))
		guest_printf("# MOV of 16 to CR8 is no #GP here\n");
	write_cr8(0);
	let_in();
	/* Unmasked with IF = 1 it comes at once. */
	forget();
	write_cr8(15);
	send_self(0x41);
	asm volatile("sti; nop; nop" : : : "memory");
	REQUIRE(logged() == 0);
	write_cr8(0);
	asm volatile("nop; nop");
	REQUIRE(LOG_IS(0x41));
	cli();
	return true;
}

static bool test_shadow(void)
{
	forget();
	send_self(0x41);
	asm volatile("sti; cli" : : : "memory");
	REQUIRE(logged() == 0, "between STI and the next instruction");
	asm volatile("sti; nop; cli" : : : "memory");
	REQUIRE(LOG_IS(0x41));
	return true;
}

/* STI; HLT with an interrupt that is there, or comes, at any point. */
static bool test_halt(void)
{
	unsigned int i;

	forget();
	watch();
	for (i = 0; i < 100; i++) {
		send_self(0x41);
		halt_once();
		REQUIRE(count(0x41) == i + 1, "pending before: %u of %u", count(0x41), i + 1);
	}
	forget();
	wrmsr(MSR_LVT_TIMER, LVT_DEADLINE | 0x51);
	for (i = 0; i < 1000; i++) {
		if (i % 50 == 0)
			watch();
		wrmsr(MSR_DEADLINE, rdtsc() + random32() % 1000000);
		REQUIRE(HALT_UNTIL(count(0x51) == i + 1), "interrupt %u of the timer is lost", i + 1);
	}
	unwatch();
	wrmsr(MSR_LVT_TIMER, LVT_MASKED);
	linger();
	let_in();
	REQUIRE(count(0x51) == 1000 && count(0x41) == 0, "%u and %u", count(0x51), count(0x41));
	return true;
}

static volatile uint64_t ppr_inside;

/* Interrupts itself: once by what is more urgent, once by what is not. */
static void on_nesting(struct guest_frame *frame)
{
	unsigned int vp = guest_vp();

	note(vp, (uint8_t)frame->vector);
	ppr_inside = rdmsr(MSR_PPR);
	send_self(0x91);
	send_self(0x52);
	send_self(0x31);
	let_in();
	note(vp, 1);
	eoi();
	let_in();
	note(vp, 2);
}

static bool test_nesting(void)
{
	forget();
	guest_handle(0x51, on_nesting);
	send_self(0x51);
	let_in();
	guest_handle(0x51, on_vector);
	REQUIRE(LOG_IS(0x51, 0x91, 1, 0x52, 0x31, 2));
	REQUIRE(ppr_inside == 0x50, "PPR %lx", ppr_inside);
	return true;
}

static bool test_eoi(void)
{
	forget();
	guest_handle(0x61, on_unacknowledged);
	send_self(0x61);
	let_in();
	REQUIRE(in_set(MSR_ISR, 0x61) && !in_set(MSR_IRR, 0x61) && rdmsr(MSR_PPR) == 0x60,
		"PPR %lx", rdmsr(MSR_PPR));
	send_self(0x61);
	send_self(0x62);
	let_in();
	REQUIRE(count(0x61) == 1 && count(0x62) == 0, "the class is in service: %u, %u",
		count(0x61), count(0x62));
	eoi();
	REQUIRE(!in_set(MSR_ISR, 0x61) && rdmsr(MSR_PPR) == 0);
	let_in();
	REQUIRE(LOG_IS(0x61, 0x62, 0x61));
	eoi();
	/* Nothing in service: nothing happens. */
	eoi();
	send_self(0x41);
	eoi();
	let_in();
	REQUIRE(LOG_IS(0x61, 0x62, 0x61, 0x41));
	guest_handle(0x61, on_vector);
	return true;
}

static bool test_software_disable(void)
{
	forget();
	wrmsr(MSR_LVT_TIMER, 0x51);
	wrmsr(MSR_SVR, SPURIOUS);
	REQUIRE(rdmsr(MSR_LVT_TIMER) == (LVT_MASKED | 0x51), "%lx", rdmsr(MSR_LVT_TIMER));
	wrmsr(MSR_LVT_TIMER, 0x51);
	REQUIRE(rdmsr(MSR_LVT_TIMER) == (LVT_MASKED | 0x51), "cannot be unmasked");
	send_self(0x41);
	wrmsr(MSR_SVR, SVR_ENABLE | SPURIOUS);
	let_in();
	REQUIRE(logged() == 0);
	send_self(0x41);
	let_in();
	REQUIRE(LOG_IS(0x41));
	return true;
}

static bool test_errors(void)
{
	forget();
	wrmsr(MSR_ESR, 0);
	wrmsr(MSR_LVT_ERROR, 0x53);
	send(ICR_SELF | 5);
	REQUIRE(rdmsr(MSR_ESR) == 0, "before it is written: %lx", rdmsr(MSR_ESR));
	let_in();
	REQUIRE(LOG_IS(0x53));
	send(ICR_SELF | 6);
	let_in();
	REQUIRE(logged() == 1, "one interrupt until ESR is written: %u", logged());
	wrmsr(MSR_ESR, 0);
	REQUIRE(rdmsr(MSR_ESR) & 0x20, "send illegal vector: %lx", rdmsr(MSR_ESR));
	wrmsr(MSR_ESR, 0);
	REQUIRE(rdmsr(MSR_ESR) == 0);
	send(ICR_SELF | 5);
	let_in();
	REQUIRE(LOG_IS(0x53, 0x53));
	wrmsr(MSR_LVT_ERROR, LVT_MASKED);
	wrmsr(MSR_ESR, 0);
	return true;
}

/* ---- NMI ---- */

static volatile unsigned int nmis, nmi_depth, nmi_nested, nmi_more;

static void on_nmi(struct guest_frame *frame)
{
	(void)frame;
	nmis++;
	if (nmi_depth++)
		nmi_nested++;
	for (; nmi_more; nmi_more--) {
		send(ICR_NMI);
		leave();
	}
	nmi_depth--;
}

static bool test_nmi(void)
{
	unsigned int i;

	nmis = nmi_nested = 0;
	for (i = 0; i < 50; i++) {
		send(ICR_NMI);
		leave();
		REQUIRE(nmis == i + 1, "%u of %u, with IF = 0", nmis, i + 1);
	}
	/* Two while the handler runs are one more, after it. */
	nmis = 0;
	nmi_more = 2;
	send(ICR_NMI);
	leave();
	REQUIRE(nmis == 2 && nmi_nested == 0, "%u, nested %u", nmis, nmi_nested);
	send(ICR_NMI);
	leave();
	REQUIRE(nmis == 3, "afterwards as ever: %u", nmis);
	return true;
}

/* ---- timers ---- */

/* What was to come due in 5 ms, and was taken back, cannot have come: the host let the guest go on in time. */
static bool in_time(uint64_t begun)
{
	return reference() - begun < REFERENCE_HZ / 200;
}

/*
 * Takes a timer back before it is due, 5 ms from now, as often as it takes to be in time. What came before counts in @came.
 */
#define TAKE_BACK(vector, came, arm, disarm)					\
	({									\
		unsigned int tries_ = 0;					\
		uint64_t begun_;						\
										\
		do {								\
			let_in();						\
			came = count(vector);					\
			begun_ = reference();					\
			arm;							\
			disarm;							\
		} while (!in_time(begun_) && ++tries_ < 1000);			\
		tries_ < 1000;							\
	})

static bool test_one_shot(void)
{
	uint64_t hz = rdmsr(HVABI_MSR_APIC_FREQUENCY);
	unsigned int i, came;

	forget();
	REQUIRE(hz > 1000000, "%lu", hz);
	wrmsr(MSR_DIVIDE, DIVIDE_BY_1);
	wrmsr(MSR_LVT_TIMER, 0x51);
	for (i = 0; i < 20; i++) {
		wrmsr(MSR_INITIAL, hz / 1000 * (1 + i % 3));
		REQUIRE(AWAIT(count(0x51) > i), "timer %u", i);
		REQUIRE(rdmsr(MSR_CURRENT) == 0, "%lx", rdmsr(MSR_CURRENT));
	}
	linger();
	let_in();
	REQUIRE(count(0x51) == 20, "20 times one shot: %u", count(0x51));
	/* Stopped before it is due, masked, and masked by priority. */
	REQUIRE(TAKE_BACK(0x51, came, wrmsr(MSR_INITIAL, hz / 200), wrmsr(MSR_INITIAL, 0)), "never in time");
	linger();
	let_in();
	REQUIRE(count(0x51) == came, "stopped: %u, before %u", count(0x51), came);
	wrmsr(MSR_LVT_TIMER, LVT_MASKED | 0x51);
	wrmsr(MSR_INITIAL, hz / 1000);
	linger();
	REQUIRE(rdmsr(MSR_CURRENT) == 0, "masked it counts on");
	wrmsr(MSR_LVT_TIMER, 0x51);
	let_in();
	REQUIRE(count(0x51) == came, "what came due while masked is not made up for: %u, before %u",
		count(0x51), came);
	return true;
}

static bool test_periodic(void)
{
	uint64_t hz = rdmsr(HVABI_MSR_APIC_FREQUENCY), last = 0, now = 0, slower = 0, begun;
	unsigned int i, stopped, tries;

	forget();
	wrmsr(MSR_LVT_TIMER, LVT_PERIODIC | 0x51);
	wrmsr(MSR_INITIAL, hz / 500);
	for (i = 1; i <= 30; i++) {
		REQUIRE(AWAIT(count(0x51) >= i), "period %u", i);
		now = rdmsr(MSR_CURRENT);
		REQUIRE(now > 0 && now <= hz / 500, "%lu", now);
	}
	wrmsr(MSR_INITIAL, 0);
	let_in();
	stopped = count(0x51);
	linger();
	let_in();
	REQUIRE(count(0x51) == stopped, "stopped: %u more", count(0x51) - stopped);
	wrmsr(MSR_LVT_TIMER, LVT_MASKED);

	/* The count runs down; faster with a smaller divisor. It lasts for seconds: if we stood still, once more. */
	wrmsr(MSR_LVT_TIMER, LVT_MASKED | 0x51);
	for (tries = 0; tries < 100; tries++) {
		wrmsr(MSR_DIVIDE, DIVIDE_BY_1);
		begun = reference();
		wrmsr(MSR_INITIAL, 0xffffffff);
		last = 0xffffffff;
		for (i = 0; i < 100; i++) {
			now = rdmsr(MSR_CURRENT);
			if (now >= last)
				break;
			last = now;
		}
		wrmsr(MSR_DIVIDE, 0xa);		/* by 128 */
		slower = rdmsr(MSR_CURRENT);
		if (reference() - begun < REFERENCE_HZ)
			break;
	}
	REQUIRE(tries < 100, "never in time");
	REQUIRE(i == 100, "%lx after %lx", now, last);
	REQUIRE(rdmsr(MSR_INITIAL) == 0xffffffff);
	REQUIRE(slower <= last && slower > last / 2, "the divisor moves no count: %lx after %lx", slower, last);
	wrmsr(MSR_DIVIDE, DIVIDE_BY_1);
	wrmsr(MSR_INITIAL, 0);
	REQUIRE(rdmsr(MSR_CURRENT) == 0);
	return true;
}

static bool test_deadline(void)
{
	uint64_t hz = rdmsr(HVABI_MSR_TSC_FREQUENCY), when;
	unsigned int came;

	forget();
	wrmsr(MSR_LVT_TIMER, 0x51);
	wrmsr(MSR_DEADLINE, rdtsc() + 1);
	REQUIRE(rdmsr(MSR_DEADLINE) == 0, "in another mode it reads as zero: %lx", rdmsr(MSR_DEADLINE));
	let_in();
	REQUIRE(count(0x51) == 0, "... and does nothing");
	wrmsr(MSR_LVT_TIMER, LVT_DEADLINE | 0x51);
	wrmsr(MSR_INITIAL, 1000);
	REQUIRE(rdmsr(MSR_CURRENT) == 0 && rdmsr(MSR_INITIAL) == 0, "no count in this mode");
	wrmsr(MSR_DEADLINE, 1);
	leave();
	let_in();
	REQUIRE(count(0x51) == 1, "in the past: at once: %u", count(0x51));
	REQUIRE(rdmsr(MSR_DEADLINE) == 0, "%lx", rdmsr(MSR_DEADLINE));
	when = rdtsc() + hz * 1000;
	wrmsr(MSR_DEADLINE, when);
	REQUIRE(rdmsr(MSR_DEADLINE) == when, "%lx", rdmsr(MSR_DEADLINE));
	when = rdtsc() + hz / 500;
	wrmsr(MSR_DEADLINE, when);
	REQUIRE(AWAIT(count(0x51) == 2));
	REQUIRE(rdtsc() >= when, "too early");
	REQUIRE(TAKE_BACK(0x51, came, wrmsr(MSR_DEADLINE, rdtsc() + hz / 200), wrmsr(MSR_DEADLINE, 0)),
		"never in time");
	linger();
	let_in();
	REQUIRE(count(0x51) == came, "disarmed: %u, before %u", count(0x51), came);
	wrmsr(MSR_LVT_TIMER, LVT_MASKED | LVT_DEADLINE | 0x51);
	wrmsr(MSR_DEADLINE, rdtsc() + hz / 1000);
	linger();
	let_in();
	REQUIRE(count(0x51) == came, "masked: %u, before %u", count(0x51), came);
	wrmsr(MSR_LVT_TIMER, LVT_MASKED);
	return true;
}

/* Exits of nobody needed: the alarm ends a loop in the guest. */
static bool test_alarm(void)
{
	uint64_t hz = rdmsr(HVABI_MSR_TSC_FREQUENCY), limit = rdtsc() + hz * WATCHDOG_SECONDS;

	forget();
	wrmsr(MSR_LVT_TIMER, LVT_DEADLINE | 0x51);
	wrmsr(MSR_DEADLINE, rdtsc() + hz / 500);
	asm volatile("sti");
	while (!count(0x51) && rdtsc() < limit)
		asm volatile("pause");
	cli();
	wrmsr(MSR_LVT_TIMER, LVT_MASKED);
	REQUIRE(count(0x51) == 1);
	return true;
}

#define EXPIRIES	100u

static volatile uint64_t expired_at;

static void on_expiry(struct guest_frame *frame)
{
	expired_at = rdtsc();
	on_vector(frame);
}

static void sort(uint64_t *value, unsigned int count)
{
	for (unsigned int i = 1; i < count; i++)
		for (unsigned int j = i; j && value[j - 1] > value[j]; j--) {
			uint64_t bigger = value[j - 1];

			value[j - 1] = value[j];
			value[j] = bigger;
		}
}

/* Told, not judged: how late says as much about the host as about us. */
static bool tell_lateness(const char *state, bool halt)
{
	uint64_t hz = rdmsr(HVABI_MSR_TSC_FREQUENCY), late[EXPIRIES], when;

	forget();
	for (unsigned int i = 0; i < EXPIRIES; i++) {
		when = rdtsc() + hz / 1000 + guest_stamp_word(i, halt, 2) % (hz / 500);
		watch();
		wrmsr(MSR_DEADLINE, when);
		if (halt) {
			REQUIRE(HALT_UNTIL(count(0x51) > i));
		} else {
			asm volatile("sti");
			while (count(0x51) <= i && !seen[guest_vp()].late)
				asm volatile("pause");
			cli();
		}
		unwatch();
		REQUIRE(count(0x51) == i + 1, "%u of %u", count(0x51), i + 1);
		REQUIRE(expired_at >= when, "%lu ticks early", when - expired_at);
		late[i] = (expired_at - when) * 1000000 / hz;
	}
	sort(late, EXPIRIES);
	guest_printf("# %s: late by %lu us (median), %lu us (p90), %lu us (most) of %u\n", state,
		     late[EXPIRIES / 2], late[EXPIRIES * 9 / 10], late[EXPIRIES - 1], EXPIRIES);
	return true;
}

static bool test_lateness(void)
{
	bool ok;

	guest_handle(0x51, on_expiry);
	wrmsr(MSR_LVT_TIMER, LVT_DEADLINE | 0x51);
	ok = tell_lateness("halted", true) && tell_lateness("in a loop", false);
	wrmsr(MSR_LVT_TIMER, LVT_MASKED);
	guest_handle(0x51, on_vector);
	return ok;
}

static uint64_t stimer(unsigned int vector, uint64_t more)
{
	return (uint64_t)vector << HVABI_STIMER_VECTOR_SHIFT | HVABI_STIMER_DIRECT | more;
}

static bool test_stimer(void)
{
	const uint32_t config = HVABI_MSR_STIMER0_CONFIG, value = HVABI_MSR_STIMER0_COUNT;
	uint64_t when;
	unsigned int i, came, stopped;

	forget();
	REQUIRE(rdmsr(config) == 0 && rdmsr(value) == 0);
	REQUIRE(wrmsr_faults(config, stimer(0x54, HVABI_STIMER_ENABLE | 1ull << 40)), "reserved");
	REQUIRE(wrmsr_faults(config, stimer(5, HVABI_STIMER_ENABLE)), "vector 5");
	/* One-shot; in the past at once. */
	wrmsr(value, 1);
	wrmsr(config, stimer(0x54, HVABI_STIMER_ENABLE));
	leave();
	let_in();
	REQUIRE(count(0x54) == 1, "in the past: %u", count(0x54));
	REQUIRE(!(rdmsr(config) & HVABI_STIMER_ENABLE), "%lx", rdmsr(config));
	when = reference() + REFERENCE_HZ / 500;
	wrmsr(value, when);
	wrmsr(config, stimer(0x54, HVABI_STIMER_ENABLE));
	REQUIRE(AWAIT(count(0x54) == 2));
	REQUIRE(reference() >= when, "too early");
	linger();
	let_in();
	REQUIRE(count(0x54) == 2, "one shot: %u", count(0x54));
	/* Writing the count enables. */
	wrmsr(config, stimer(0x54, HVABI_STIMER_AUTO_ENABLE));
	for (i = 3; i < 13; i++) {
		wrmsr(value, reference() + REFERENCE_HZ / 1000);
		REQUIRE(rdmsr(config) & HVABI_STIMER_ENABLE || count(0x54) == i || in_set(MSR_IRR, 0x54));
		REQUIRE(AWAIT(count(0x54) == i), "auto-enabled %u", i);
	}
	REQUIRE(TAKE_BACK(0x54, came, wrmsr(value, reference() + REFERENCE_HZ / 200), wrmsr(value, 0)),
		"never in time");
	REQUIRE(!(rdmsr(config) & HVABI_STIMER_ENABLE), "%lx", rdmsr(config));
	linger();
	let_in();
	REQUIRE(count(0x54) == came, "count 0 disables: %u, before %u", count(0x54), came);
	/* Periodic. */
	forget();
	wrmsr(value, REFERENCE_HZ / 500);
	wrmsr(config, stimer(0x54, HVABI_STIMER_ENABLE | HVABI_STIMER_PERIODIC));
	REQUIRE(AWAIT(count(0x54) >= 30));
	REQUIRE(rdmsr(config) & HVABI_STIMER_ENABLE);
	wrmsr(config, 0);
	let_in();
	stopped = count(0x54);
	linger();
	let_in();
	REQUIRE(count(0x54) == stopped, "stopped: %u more", count(0x54) - stopped);
	/* Three at once; the fourth is the watchdog. */
	forget();
	when = reference() + REFERENCE_HZ / 200;
	for (i = 0; i < 3; i++) {
		wrmsr(value + 2 * i, when);
		wrmsr(config + 2 * i, stimer(0x54 + 16 * i, HVABI_STIMER_ENABLE));
	}
	REQUIRE(AWAIT(logged() == 3));
	REQUIRE(count(0x54) == 1 && count(0x64) == 1 && count(0x74) == 1);
	return true;
}

/* ---- time ---- */

static bool test_reference(void)
{
	static struct hvabi_reference_tsc_page page __attribute__((aligned(4096)));
	volatile struct hvabi_reference_tsc_page *p = &page;
	uint64_t last = reference(), now, by_page, tsc, hz, at[4];
	unsigned int i;

	wrmsr(HVABI_MSR_REFERENCE_TSC, (uint64_t)&page | HVABI_MSR_PAGE_ENABLE);
	REQUIRE(rdmsr(HVABI_MSR_REFERENCE_TSC) == ((uint64_t)&page | HVABI_MSR_PAGE_ENABLE));
	REQUIRE(p->tsc_sequence != 0 && p->tsc_scale != 0);
	for (i = 0; i < 1000; i++) {
		tsc = rdtsc();
		by_page = (uint64_t)((unsigned __int128)tsc * p->tsc_scale >> 64) + p->tsc_offset;
		now = reference();
		REQUIRE(now >= last, "%lu after %lu", now, last);
		/* One off by rounding twice. */
		REQUIRE(by_page + 1 >= last && by_page <= now + 1, "page %lu, between %lu and %lu",
			by_page, last, now);
		last = now;
	}
	hz = rdmsr(HVABI_MSR_TSC_FREQUENCY);
	/* Each look at the TSC is between two at the reference: whoever stands in between changes nothing. */
	at[0] = reference();
	tsc = rdtsc();
	at[1] = reference();
	linger();
	at[2] = reference();
	tsc = (rdtsc() - tsc) * (REFERENCE_HZ / 1000) / (hz / 1000);
	at[3] = reference();
	REQUIRE(tsc >= (at[2] - at[1]) / 2 && tsc <= (at[3] - at[0]) * 2, "%lu by the TSC's frequency, %lu to %lu",
		tsc, at[2] - at[1], at[3] - at[0]);
	wrmsr(HVABI_MSR_REFERENCE_TSC, 0);
	REQUIRE(wrmsr_faults(HVABI_MSR_TIME_REF_COUNT, 0), "read-only");
	return true;
}

/* ---- synthetic registers and hypercalls ---- */

static uint8_t hypercall_page[4096] __attribute__((aligned(4096)));

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

static bool test_hypercall_page(void)
{
	uint64_t result, page = (uint64_t)hypercall_page | HVABI_MSR_PAGE_ENABLE;

	wrmsr(HVABI_MSR_GUEST_OS_ID, 0);
	wrmsr(HVABI_MSR_HYPERCALL, page);
	REQUIRE(!(rdmsr(HVABI_MSR_HYPERCALL) & HVABI_MSR_PAGE_ENABLE), "without an identity");
	wrmsr(HVABI_MSR_GUEST_OS_ID, 0x8100000000000001ull);
	REQUIRE(rdmsr(HVABI_MSR_GUEST_OS_ID) == 0x8100000000000001ull);
	wrmsr(HVABI_MSR_HYPERCALL, page);
	REQUIRE(rdmsr(HVABI_MSR_HYPERCALL) == page, "%lx", rdmsr(HVABI_MSR_HYPERCALL));
	result = hypercall(0x7abc, 0, 0);
	REQUIRE(result == 2, "an unknown call: %lx", result);
	/* A call of the parent's. */
	result = hypercall(0x40, 0, 0);
	REQUIRE(result == 2, "CREATE_PARTITION: %lx", result);
	asm volatile("vmmcall" : "=a"(result) : "c"(0x7abcull), "d"(0ull) : "memory", "r8");
	REQUIRE(result == 2, "VMMCALL: %lx", result);
	return true;
}

/* ---- ring 3 ---- */

struct tss {
	uint32_t reserved;
	uint64_t rsp0;
	uint32_t rest[23];
} __attribute__((packed));

#define USER_DATA	0x1b
#define USER_CODE	0x23
#define TSS		0x28

static struct tss tss;
static uint64_t gdt[7] = { 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cff3000000ffff, 0x00affb000000ffff };
static volatile uint64_t ring3_rip;
uint64_t guest_ring3_rsp;
extern const char guest_ring3_call[], guest_ring3_back[];

static void on_ud(struct guest_frame *frame)
{
	ring3_rip = frame->cs & 3 ? frame->rip : 1;
	frame->rip = (uint64_t)guest_ring3_back;
	frame->cs = 0x08;
	frame->ss = 0x10;
	frame->rflags = 2;
	frame->rsp = guest_ring3_rsp;
}

static __attribute__((noinline, noclone)) void call_from_ring3(void)
{
	asm volatile("push %%rbx; push %%rbp; push %%r12; push %%r13; push %%r14; push %%r15\n"
		     "mov %%rsp, guest_ring3_rsp\n"
		     "mov %%rsp, %%rax\n"
		     "pushq %0; push %%rax; pushq $2; pushq %1; pushq $guest_ring3_call; iretq\n"
		     "guest_ring3_call: vmmcall\n"
		     "ud2\n"
		     "guest_ring3_back:\n"
		     "pop %%r15; pop %%r14; pop %%r13; pop %%r12; pop %%rbp; pop %%rbx\n"
		     : : "i"(USER_DATA), "i"(USER_CODE)
		     : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory", "cc");
}

static bool test_ring3(void)
{
	volatile uint64_t *tables = (volatile uint64_t *)(uint64_t)GUEST_PAGE_TABLES;
	uint64_t base = (uint64_t)&tss, rsp;
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) pointer = { sizeof(gdt) - 1, (uint64_t)gdt };

	/* The first 2 MiB are the user's, too. */
	tables[0] |= PTE_USER;
	tables[512] |= PTE_USER;
	tables[1024] |= PTE_USER;
	gdt[5] = (base & 0xffffff) << 16 | (base >> 24 & 0xff) << 56 | 0x890000000000ull | (sizeof(tss) - 1);
	gdt[6] = base >> 32;
	asm volatile("mov %%rsp, %0" : "=r"(rsp));
	/* On the stack of this processor, by which guest_vp() tells it. */
	tss.rsp0 = (rsp - 4096) & ~15ull;
	asm volatile("lgdt %0; mov %%cr3, %%rax; mov %%rax, %%cr3; ltr %w1" : : "m"(pointer), "r"(TSS)
		     : "rax", "memory");
	guest_handle(VECTOR_UD, on_ud);
	ring3_rip = 0;
	call_from_ring3();
	guest_handle(VECTOR_UD, NULL);
	REQUIRE(ring3_rip == (uint64_t)guest_ring3_call, "#UD at %lx, VMMCALL at %lx", ring3_rip,
		(uint64_t)guest_ring3_call);
	return true;
}

static bool test_cpuid(void)
{
	static const struct {
		uint64_t feature;
		uint32_t eax, edx;
	} bits[] = {
		{ HVABI_SYNTHETIC_REFERENCE_COUNTER, HVABI_PRIV_TIME_REF_COUNT, 0 },
		{ HVABI_SYNTHETIC_SYNIC, HVABI_PRIV_SYNIC, 0 },
		{ HVABI_SYNTHETIC_GUEST_IDLE, HVABI_PRIV_GUEST_IDLE, HVABI_FEATURE_IDLE_STATE },
		{ HVABI_SYNTHETIC_TIMERS, HVABI_PRIV_SYNTIMER, 0 },
		{ HVABI_SYNTHETIC_APIC_ACCESS, HVABI_PRIV_APIC_ACCESS, 0 },
		{ HVABI_SYNTHETIC_HYPERCALL, HVABI_PRIV_HYPERCALL, 0 },
		{ HVABI_SYNTHETIC_VP_INDEX, HVABI_PRIV_VP_INDEX, 0 },
		{ HVABI_SYNTHETIC_REFERENCE_TSC, HVABI_PRIV_REFERENCE_TSC, 0 },
		{ HVABI_SYNTHETIC_FREQUENCIES, HVABI_PRIV_FREQUENCY_MSRS, HVABI_FEATURE_FREQUENCY_MSRS },
		{ HVABI_SYNTHETIC_DIRECT_TIMERS, 0, HVABI_FEATURE_STIMER_DIRECT },
	};
	uint64_t features = machine->synthetic_features;
	uint32_t reg[4], leaf, i;

	cpuid(1, 0, reg);
	REQUIRE(!!(reg[2] & HVABI_CPUID_1_ECX_HYPERVISOR) ==
		!!(features & HVABI_SYNTHETIC_HYPERVISOR_PRESENT));
	cpuid(HVABI_CPUID_VENDOR, 0, reg);
	REQUIRE(reg[0] >= HVABI_CPUID_LIMITS && reg[0] < HVABI_CPUID_END, "%x", reg[0]);
	REQUIRE(reg[1] == HVABI_CPUID_VENDOR_EBX && reg[2] == HVABI_CPUID_VENDOR_ECX &&
		reg[3] == HVABI_CPUID_VENDOR_EDX);
	cpuid(HVABI_CPUID_INTERFACE, 0, reg);
	REQUIRE(reg[0] == HVABI_CPUID_INTERFACE_EAX, "%x", reg[0]);
	cpuid(HVABI_CPUID_VERSION, 0, reg);
	REQUIRE(reg[0] != 0);
	cpuid(HVABI_CPUID_FEATURES, 0, reg);
	for (i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
		bool has = features & bits[i].feature;

		REQUIRE((reg[0] & bits[i].eax) == (has ? bits[i].eax : 0), "feature %lx: EAX %x",
			bits[i].feature, reg[0]);
		REQUIRE((reg[3] & bits[i].edx) == (has ? bits[i].edx : 0), "feature %lx: EDX %x",
			bits[i].feature, reg[3]);
	}
	REQUIRE(!(reg[1] & ~HVABI_PRIV_HIGH_EXTENDED_HYPERCALLS), "privileges of a parent: %x", reg[1]);
	REQUIRE(!(reg[0] & HVABI_PRIV_RESET), "%x", reg[0]);
	cpuid(HVABI_CPUID_RECOMMENDATIONS, 0, reg);
	REQUIRE(!!(reg[0] & HVABI_RECOMMEND_REMOTE_TLB_FLUSH) == !!(features & HVABI_SYNTHETIC_TLB_FLUSH));
	REQUIRE(!!(reg[0] & HVABI_RECOMMEND_CLUSTER_IPI) == !!(features & HVABI_SYNTHETIC_CLUSTER_IPI));
	REQUIRE(!!(reg[0] & HVABI_RECOMMEND_EX_PROCESSOR_MASKS) ==
		!!(features & HVABI_SYNTHETIC_PROCESSOR_MASKS));
	cpuid(HVABI_CPUID_LIMITS, 0, reg);
	REQUIRE(reg[0] >= machine->vps, "%u", reg[0]);
	for (leaf = HVABI_CPUID_CPU_MANAGEMENT; leaf < HVABI_CPUID_VENDOR + 0x20; leaf++) {
		cpuid(leaf, 0, reg);
		REQUIRE(!(reg[0] | reg[1] | reg[2] | reg[3]), "leaf %x", leaf);
	}
	return true;
}

static bool test_synthetic_registers(void)
{
	unsigned int i;

	for (i = 0; i < 5; i++)
		wrmsr(HVABI_MSR_CRASH_P0 + i, 0x1111111111111111ull * (i + 1));
	for (i = 0; i < 5; i++)
		REQUIRE(rdmsr(HVABI_MSR_CRASH_P0 + i) == 0x1111111111111111ull * (i + 1), "P%u", i);
	REQUIRE(rdmsr(HVABI_MSR_CRASH_CTL) & HVABI_CRASH_NOTIFY, "%lx", rdmsr(HVABI_MSR_CRASH_CTL));
	REQUIRE(wrmsr_faults(HVABI_MSR_VP_INDEX, 1) && wrmsr_faults(HVABI_MSR_TSC_FREQUENCY, 1),
		"read-only registers");
	REQUIRE(rdmsr(HVABI_MSR_TSC_FREQUENCY) > 1000000);
	if (!(machine->synthetic_features & HVABI_SYNTHETIC_APIC_ACCESS))
		return true;
	/* The APIC by synthetic registers. */
	forget();
	wrmsr(HVABI_MSR_TPR, 0x60);
	REQUIRE(rdmsr(MSR_TPR) == 0x60 && rdmsr(HVABI_MSR_TPR) == 0x60 && read_cr8() == 6);
	wrmsr(HVABI_MSR_TPR, 0);
	guest_handle(0x61, on_unacknowledged);
	wrmsr(HVABI_MSR_ICR, ICR_SELF | 0x61);
	let_in();
	REQUIRE(count(0x61) == 1 && in_set(MSR_ISR, 0x61));
	wrmsr(HVABI_MSR_EOI, 0);
	REQUIRE(!in_set(MSR_ISR, 0x61));
	guest_handle(0x61, on_vector);
	return true;
}

/* ---- what the VMM asserts ---- */

/* Multiples of ASSERTIONS_WATCHED. A nap of the VMM's that nothing ended was one of some thousand (docs/emulation.md). */
#define ASSERTIONS	200u
#define ASSERTIONS_MANY	2000u
#define ASSERTIONS_WATCHED	8u

static void on_asserted(struct guest_frame *frame)
{
	on_vector(frame);
	guest_mailbox(guest_vp())->assert_taken++;
}

static void on_asserted_extint(struct guest_frame *frame)
{
	on_unacknowledged(frame);
	guest_mailbox(guest_vp())->assert_taken++;
}

static void on_asserted_nmi(struct guest_frame *frame)
{
	on_unacknowledged(frame);
	guest_mailbox(guest_vp())->assert_taken++;
}

static uint64_t assert_state(void)
{
	return *(volatile uint64_t *)&guest_mailbox(guest_vp())->assert_state;
}

/* Halts while the VMM asserts; every one must come, none twice, none by another vector. */
static bool asserted(unsigned int mode, unsigned int vector, unsigned int as, uint64_t dest,
		     bool logical, bool level, unsigned int times)
{
	struct guest_mailbox *box = guest_mailbox(guest_vp());
	unsigned int until;
	uint64_t limit, sent, taken;
	bool in_time;

	forget();
	box->assert_mode = mode;
	box->assert_vector = vector;
	box->assert_dest = dest;
	box->assert_logical = logical;
	box->assert_level = level;
	box->assert_count = times;
	box->assert_taken = 0;
	box->assert_sent = 0;
	box->assert_state = GUEST_ASSERT_BUSY;
	outl(GUEST_PORT_ASSERT, 1);
	/*
	 * The watchdog is for some at a time: on a busy host all of them may take longer than any of them may. One sent more than
	 * taken: the hypervisor lost it; else the VMM does not come on. Looked at before anything is printed: that wakes the VMM.
	 */
	for (until = ASSERTIONS_WATCHED; until <= times; until += ASSERTIONS_WATCHED) {
		watch();
		in_time = HALT_UNTIL(count(as) >= until);
		sent = *(volatile uint64_t *)&box->assert_sent;
		taken = box->assert_taken;
		REQUIRE(in_time, "type %u: %u of %u, sent %lu, taken %lu, state %lu", mode, count(as), times, sent,
			taken, assert_state());
	}
	unwatch();
	limit = reference() + WATCHDOG_SECONDS * REFERENCE_HZ;
	while (assert_state() == GUEST_ASSERT_BUSY && reference() < limit)
		outl(GUEST_PORT_ECHO, 0);
	let_in();
	REQUIRE(assert_state() == GUEST_ASSERT_DONE, "state %lu", assert_state());
	REQUIRE(count(as) == times && logged() == times, "%u, all in all %u", count(as), logged());
	return true;
}

static bool test_asserted_fixed(void)
{
	guest_handle(0x81, on_asserted);
	return asserted(HVABI_INTERRUPT_TYPE_FIXED, 0x81, 0x81, 0, false, false, ASSERTIONS_MANY) &&
	       asserted(HVABI_INTERRUPT_TYPE_FIXED, 0x81, 0x81, 1, true, false, ASSERTIONS) &&
	       asserted(HVABI_INTERRUPT_TYPE_LOWEST_PRIORITY, 0x81, 0x81, 1, true, false, ASSERTIONS);
}

static bool test_asserted_level(void)
{
	uint32_t before = inl(GUEST_PORT_EOIS);

	guest_handle(0x81, on_asserted);
	if (!asserted(HVABI_INTERRUPT_TYPE_FIXED, 0x81, 0x81, 0, false, true, ASSERTIONS))
		return false;
	REQUIRE(inl(GUEST_PORT_EOIS) - before == ASSERTIONS, "%u EOI messages",
		inl(GUEST_PORT_EOIS) - before);
	REQUIRE(in_set(MSR_TMR, 0x81));
	return true;
}

static bool test_asserted_extint(void)
{
	bool ok;

	guest_handle(0x82, on_asserted_extint);
	ok = asserted(HVABI_INTERRUPT_TYPE_EXTINT, 0x82, 0x82, 0, false, false, ASSERTIONS);
	guest_handle(0x82, on_vector);
	if (!ok)
		return false;
	REQUIRE(!in_set(MSR_ISR, 0x82), "an ExtINT is not in service");
	return true;
}

static bool test_asserted_lint(void)
{
	bool ok;

	guest_handle(0x83, on_asserted);
	wrmsr(MSR_LVT_LINT0, 0x83);
	if (!asserted(HVABI_INTERRUPT_TYPE_LOCALINT0, 0, 0x83, 0, false, false, ASSERTIONS))
		return false;
	wrmsr(MSR_LVT_LINT0, LVT_MASKED);
	wrmsr(MSR_LVT_LINT1, LVT_NMI);
	guest_handle(VECTOR_NMI, on_asserted_nmi);
	ok = asserted(HVABI_INTERRUPT_TYPE_LOCALINT1, 0, VECTOR_NMI, 0, false, false, ASSERTIONS) &&
	     asserted(HVABI_INTERRUPT_TYPE_NMI, 0, VECTOR_NMI, 0, false, false, ASSERTIONS);
	guest_handle(VECTOR_NMI, on_nmi);
	wrmsr(MSR_LVT_LINT1, LVT_MASKED);
	return ok;
}

/* ---- several processors ---- */

/* Others wait here for work; a wake-up may come at any time. */
static void serve(unsigned int vp)
{
	bool (*todo)(unsigned int vp);

	for (;;) {
		cli();
		while (!(todo = work[vp]))
			halt_once();
		work_ok[vp] = todo(vp);
		__sync_synchronize();
		work[vp] = NULL;
	}
}

static void give(unsigned int vp, bool (*todo)(unsigned int vp))
{
	work[vp] = todo;
	send(ICR_TO(vp) | VECTOR_WAKE);
}

/* Waits for all processors; the time is for those that never come. */
static bool all_done(void)
{
	uint64_t limit = reference() + 2ull * WATCHDOG_SECONDS * REFERENCE_HZ;
	unsigned int vp;

	for (vp = 1; vp < machine->vps; vp++) {
		while (work[vp] && reference() < limit)
			let_in();
		REQUIRE(!work[vp], "processor %u does not come back", vp);
		REQUIRE(work_ok[vp], "processor %u", vp);
	}
	return true;
}

static bool start(unsigned int vp)
{
	uint64_t limit = reference() + 1ull * WATCHDOG_SECONDS * REFERENCE_HZ;
	unsigned int before = starts[vp];

	send(ICR_TO(vp) | ICR_INIT | ICR_ASSERT);
	/* What it was at is over. */
	work[vp] = NULL;
	send(ICR_TO(vp) | ICR_STARTUP | GUEST_TRAMPOLINE >> 12);
	/* The second one finds nobody who waits for it. */
	while (starts[vp] == before && reference() < limit)
		asm volatile("pause");
	send(ICR_TO(vp) | ICR_STARTUP | GUEST_TRAMPOLINE >> 12);
	leave();
	REQUIRE(starts[vp] == before + 1, "processor %u: %u times", vp, starts[vp] - before);
	return true;
}

static bool look_at_itself(unsigned int vp)
{
	REQUIRE(rdmsr(MSR_ID) == vp && rdmsr(MSR_LDR) == 1ull << vp, "id %lx, LDR %lx", rdmsr(MSR_ID),
		rdmsr(MSR_LDR));
	REQUIRE(!(rdmsr(MSR_APIC_BASE) & BASE_BSP));
	REQUIRE(rdmsr(HVABI_MSR_VP_INDEX) == vp);
	return true;
}

static bool test_start(void)
{
	unsigned int vp;

	guest_put_trampoline();
	for (vp = 1; vp < machine->vps; vp++)
		if (!start(vp))
			return false;
	for (vp = 1; vp < machine->vps; vp++)
		give(vp, look_at_itself);
	return all_done();
}

/* INIT while it halts, and while it runs. */
static bool spin_for_good(unsigned int vp)
{
	while (work[vp])
		asm volatile("pause");
	/* start() takes the work back when it has sent the INIT, and that ends it. */
	return false;
}

static bool test_restart(void)
{
	unsigned int vp = machine->vps - 1;

	if (!start(vp))
		return false;
	give(vp, spin_for_good);
	linger();
	REQUIRE(work[vp], "it has given up");
	if (!start(vp))
		return false;
	give(vp, look_at_itself);
	return all_done();
}

static bool received(unsigned int vp, unsigned int vector, unsigned int n)
{
	uint64_t limit = reference() + 1ull * WATCHDOG_SECONDS * REFERENCE_HZ;

	while (seen[vp].count[vector] < n && reference() < limit)
		let_in();
	REQUIRE(seen[vp].count[vector] == n, "processor %u has got %u of %u", vp,
		seen[vp].count[vector], n);
	return true;
}

static uint64_t shorthand_icr;

static bool send_it(unsigned int vp)
{
	(void)vp;
	send(shorthand_icr);
	return true;
}

/* Whom a message that processor @from sends must reach: bits. */
static bool reaches(unsigned int from, uint64_t icr, unsigned int whom, unsigned int vector)
{
	unsigned int vp;

	for (vp = 0; vp < machine->vps; vp++)
		seen[vp].count[vector] = 0;
	shorthand_icr = icr | vector;
	if (from)
		give(from, send_it);
	else
		send(shorthand_icr);
	for (vp = 0; vp < machine->vps; vp++)
		if (!received(vp, vector, whom >> vp & 1))
			return false;
	if (!all_done())
		return false;
	linger();
	for (vp = 0; vp < machine->vps; vp++)
		REQUIRE(seen[vp].count[vector] == (whom >> vp & 1), "processor %u: %u", vp,
			seen[vp].count[vector]);
	return true;
}

static bool test_shorthands(void)
{
	unsigned int all = (1u << machine->vps) - 1, from, to, vp, sum;

	for (from = 0; from < machine->vps; from++) {
		REQUIRE(reaches(from, ICR_SELF, 1u << from, 0x43), "self, from %u", from);
		REQUIRE(reaches(from, ICR_ALL, all, 0x43), "all, from %u", from);
		REQUIRE(reaches(from, ICR_OTHERS, all & ~(1u << from), 0x43), "others, from %u", from);
		REQUIRE(reaches(from, ICR_TO(EVERYBODY), all, 0x43), "broadcast, from %u", from);
		REQUIRE(reaches(from, ICR_LOGICAL | ICR_TO(all & 5), all & 5, 0x43), "logical, from %u",
			from);
		REQUIRE(reaches(from, ICR_TO(77), 0, 0x43), "nobody, from %u", from);
		for (to = 0; to < machine->vps; to++)
			REQUIRE(reaches(from, ICR_TO(to), 1u << to, 0x43), "%u to %u", from, to);
	}
	/* Of several the one with the lowest priority: one. */
	for (vp = 0; vp < machine->vps; vp++)
		seen[vp].count[0x43] = 0;
	wrmsr(MSR_TPR, 0xa0);
	for (from = 0; from < 20; from++) {
		uint64_t limit = reference() + 1ull * WATCHDOG_SECONDS * REFERENCE_HZ;

		send(ICR_LOWEST | ICR_LOGICAL | ICR_TO(all) | 0x43);
		do {
			for (sum = 0, vp = 0; vp < machine->vps; vp++)
				sum += seen[vp].count[0x43];
		} while (sum <= from && reference() < limit);
		REQUIRE(sum == from + 1, "%u of %u", sum, from + 1);
	}
	wrmsr(MSR_TPR, 0);
	REQUIRE(seen[0].count[0x43] == 0, "not the busy one");
	return true;
}

/* ---- ping-pong ---- */

#define ROUNDS	4000u

static volatile unsigned int ball[GUEST_VPS_MAX];

static void on_ball(struct guest_frame *frame)
{
	(void)frame;
	ball[guest_vp()]++;
	eoi();
}

static bool play(unsigned int vp)
{
	unsigned int i, next = (vp + 1) % machine->vps;
	bool ok = true;

	watch();
	for (i = 0; i < ROUNDS && ok; i++) {
		if (vp == 0)
			send(ICR_TO(next) | 0x44);
		ok = HALT_UNTIL(ball[vp] > i) && ball[vp] == i + 1;
		if (vp != 0)
			send(ICR_TO(next) | 0x44);
		/* It goes on as long as it goes on. */
		if (i % 256 == 0 && ok)
			watch();
	}
	unwatch();
	return ok;
}

static bool test_ping_pong(void)
{
	unsigned int vp;
	bool ok;

	guest_handle(0x44, on_ball);
	for (vp = 0; vp < machine->vps; vp++)
		ball[vp] = 0;
	for (vp = 1; vp < machine->vps; vp++)
		give(vp, play);
	ok = play(0);
	REQUIRE(ok, "%u, %u, %u of %u", ball[0], ball[1], ball[2], ROUNDS);
	if (!all_done())
		return false;
	for (vp = 0; vp < machine->vps; vp++)
		REQUIRE(ball[vp] == ROUNDS, "processor %u: %u", vp, ball[vp]);
	return true;
}

/* ---- an interrupt while one of its vector is being handled ---- */

static volatile unsigned int handling, sent_again;
static uint64_t handling_limit;

static void on_twice(struct guest_frame *frame)
{
	uint64_t limit = rdtsc() + handling_limit;

	(void)frame;
	handling++;
	/* Without leaving: nobody outside knows yet that it has been taken. */
	while (sent_again < handling && handling % 2 && rdtsc() < limit)
		asm volatile("pause");
	eoi();
}

static bool take_twice(unsigned int vp)
{
	unsigned int i;

	(void)vp;
	for (i = 2; i <= 40; i += 2)
		if (!AWAIT(handling >= i))
			return false;
	return true;
}

static bool test_again(void)
{
	uint64_t limit = reference() + 5ull * WATCHDOG_SECONDS * REFERENCE_HZ;
	unsigned int i;

	guest_handle(0x46, on_twice);
	handling_limit = 10 * rdmsr(HVABI_MSR_TSC_FREQUENCY);
	handling = sent_again = 0;
	give(1, take_twice);
	for (i = 0; i < 40; i += 2) {
		while (handling < i && reference() < limit)
			asm volatile("pause");
		send(ICR_TO(1) | 0x46);
		while (handling == i && reference() < limit)
			asm volatile("pause");
		send(ICR_TO(1) | 0x46);
		sent_again = i + 2;
	}
	if (!all_done())
		return false;
	REQUIRE(handling == 40, "%u", handling);
	return true;
}

/* An NMI wakes HLT with interrupts off. */
#define SLEEPS	30u

static volatile unsigned int sleeps, wakes;

static void on_wake_nmi(struct guest_frame *frame)
{
	(void)frame;
	wakes++;
}

static bool sleep_uninterruptibly(unsigned int vp)
{
	unsigned int i;

	(void)vp;
	for (i = 0; i < SLEEPS; i++) {
		sleeps = i + 1;
		/* One that comes before the HLT does not wake it: the sender tries until it has. */
		asm volatile("cli; hlt" : : : "memory");
	}
	sleeps = SLEEPS + 1;
	return true;
}

static bool test_nmi_wakes(void)
{
	uint64_t limit = reference() + 5ull * WATCHDOG_SECONDS * REFERENCE_HZ;
	unsigned int i, before, sent = 0;

	guest_handle(VECTOR_NMI, on_wake_nmi);
	sleeps = wakes = 0;
	give(1, sleep_uninterruptibly);
	while (sleeps <= SLEEPS && reference() < limit) {
		before = wakes;
		send(ICR_TO(1) | ICR_NMI);
		sent++;
		for (i = 0; wakes == before && reference() < limit; i++)
			asm volatile("pause");
	}
	guest_handle(VECTOR_NMI, on_nmi);
	REQUIRE(sleeps == SLEEPS + 1, "%u of %u sleeps", sleeps, SLEEPS);
	REQUIRE(wakes == sent, "%u NMIs sent, %u received", sent, wakes);
	return all_done();
}

/* ---- hypercalls for several processors ---- */

#define ALIAS		GIB		/* a page of nothing, in the second GiB */
#define FLUSHES		60u

static uint64_t alias_directory[512] __attribute__((aligned(4096)));
static volatile uint64_t alias_table[512] __attribute__((aligned(4096)));
static volatile uint64_t alias_page[2][512] __attribute__((aligned(4096)));
static volatile uint64_t alias_least, alias_seen[GUEST_VPS_MAX];
static volatile bool alias_stop;

/* Reads the page over and over and never leaves the guest by itself. */
static bool look_at_page(unsigned int vp)
{
	uint64_t least, found;
	bool ok = true;

	alias_seen[vp] = 0;
	while (!alias_stop) {
		least = alias_least;
		asm volatile("" : : : "memory");
		found = *(volatile uint64_t *)ALIAS;
		ok = ok && found >= least;
		alias_seen[vp] = found;
	}
	return ok;
}

static bool is_success(uint64_t result, uint64_t reps)
{
	REQUIRE((result & 0xffff) == 0 && (result >> 32 & 0xfff) == reps, "%lx", result);
	return true;
}

static struct {
	uint64_t word[64];
} input __attribute__((aligned(4096)));

static bool flush(unsigned int way)
{
	uint64_t others = (1ull << machine->vps) - 2, cr3 = GUEST_PAGE_TABLES;

	input.word[0] = cr3;
	switch (way) {
	case 0:
		input.word[1] = HVABI_FLUSH_ALL_VIRTUAL_ADDRESS_SPACES;
		input.word[2] = others;
		return is_success(hypercall(HVABI_CALL_FLUSH_VIRTUAL_ADDRESS_SPACE, (uint64_t)&input, 0), 0);
	case 1:
		input.word[1] = HVABI_FLUSH_ALL_PROCESSORS;
		input.word[2] = 0;
		input.word[3] = ALIAS;
		return is_success(hypercall(HVABI_CALL_FLUSH_VIRTUAL_ADDRESS_LIST | 1ull << 32,
					    (uint64_t)&input, 0), 1);
	case 2:
		input.word[1] = 0;
		input.word[2] = HVABI_VP_SET_SPARSE;
		input.word[3] = 1;
		input.word[4] = others;
		return is_success(hypercall(HVABI_CALL_FLUSH_VIRTUAL_ADDRESS_SPACE_EX | 1ull << 17,
					    (uint64_t)&input, 0), 0);
	default:
		input.word[1] = 0;
		input.word[2] = HVABI_VP_SET_SPARSE;
		input.word[3] = 1;
		input.word[4] = others;
		input.word[5] = ALIAS;
		input.word[6] = ALIAS + GUEST_PAGE_SIZE;
		return is_success(hypercall(HVABI_CALL_FLUSH_VIRTUAL_ADDRESS_LIST_EX | 1ull << 17 | 2ull << 32,
					    (uint64_t)&input, 0), 2);
	}
}

static bool test_flush(void)
{
	volatile uint64_t *pointers = (volatile uint64_t *)(uint64_t)(GUEST_PAGE_TABLES + GUEST_PAGE_SIZE);
	uint64_t limit = reference() + 5ull * WATCHDOG_SECONDS * REFERENCE_HZ;
	unsigned int i, vp;
	bool ok = true;

	alias_directory[0] = (uint64_t)alias_table | PTE_P_W;
	alias_page[0][0] = 1;
	alias_least = 1;
	alias_stop = false;
	alias_table[0] = (uint64_t)alias_page[0] | PTE_P_W;
	pointers[ALIAS / GIB] = (uint64_t)alias_directory | PTE_P_W;
	for (vp = 1; vp < machine->vps; vp++)
		give(vp, look_at_page);
	for (i = 1; i <= FLUSHES && ok; i++) {
		for (vp = 1; vp < machine->vps; vp++)
			while (alias_seen[vp] < i && reference() < limit)
				asm volatile("pause");
		alias_page[i % 2][0] = i + 1;
		alias_table[0] = (uint64_t)alias_page[i % 2] | PTE_P_W;
		ok = flush(i % 4);
		alias_least = i + 1;
	}
	alias_stop = true;
	REQUIRE(ok && reference() < limit, "flush %u", i);
	if (!all_done())
		return false;
	input.word[1] = 1ull << 40;
	input.word[2] = 2;
	REQUIRE((hypercall(HVABI_CALL_FLUSH_VIRTUAL_ADDRESS_SPACE, (uint64_t)&input, 0) & 0xffff) == 5,
		"unknown flags");
	return true;
}

static bool test_cluster_ipi(void)
{
	const unsigned int all = (1u << machine->vps) - 1;
	unsigned int vp, i;

	for (vp = 0; vp < machine->vps; vp++)
		seen[vp].count[0x45] = 0;
	for (i = 1; i <= 60; i++) {
		input.word[0] = 0x45;
		input.word[1] = all;
		if (i % 3 == 0) {
			if (!is_success(hypercall(HVABI_CALL_SEND_SYNTHETIC_CLUSTER_IPI, (uint64_t)&input, 0), 0))
				return false;
		} else if (i % 3 == 1) {
			if (!is_success(hypercall(HVABI_CALL_SEND_SYNTHETIC_CLUSTER_IPI | 1ull << 16,
						  0x45, all), 0))
				return false;
		} else {
			input.word[1] = HVABI_VP_SET_SPARSE;
			input.word[2] = 1;
			input.word[3] = all;
			if (!is_success(hypercall(HVABI_CALL_SEND_SYNTHETIC_CLUSTER_IPI_EX | 1ull << 17,
						  (uint64_t)&input, 0), 0))
				return false;
		}
		for (vp = 0; vp < machine->vps; vp++)
			if (!received(vp, 0x45, i))
				return false;
	}
	REQUIRE((hypercall(HVABI_CALL_SEND_SYNTHETIC_CLUSTER_IPI | 1ull << 16, 5, all) & 0xffff) == 5,
		"vector 5");
	REQUIRE((hypercall(HVABI_CALL_SEND_SYNTHETIC_CLUSTER_IPI | 1ull << 16, 0x145, all) & 0xffff) == 5,
		"vector 0x145");
	return true;
}

/* ---- all of it ---- */

static const struct {
	const char *name;
	bool (*run)(void);
	unsigned int vps;	/* at least */
} list[] = {
	{ "xAPIC mode: the page at 0xfee00000", test_page, 1 },
	{ "APIC_BASE: legal and illegal transitions", test_base, 1 },
	{ "x2APIC: id, version, CPUID", test_identity, 1 },
	{ "x2APIC: reserved registers and bits", test_registers, 1 },
	{ "an IPI to itself comes once", test_self_ipi, 1 },
	{ "what is pending comes in order of priority", test_priority, 1 },
	{ "TPR and CR8 mask", test_tpr, 1 },
	{ "STI has a shadow", test_shadow, 1 },
	{ "STI; HLT loses no interrupt", test_halt, 1 },
	{ "interrupts nest by priority", test_nesting, 1 },
	{ "EOI", test_eoi, 1 },
	{ "software-disabled", test_software_disable, 1 },
	{ "errors", test_errors, 1 },
	{ "NMIs do not nest", test_nmi, 1 },
	{ "timer: one-shot", test_one_shot, 1 },
	{ "timer: periodic, and its count", test_periodic, 1 },
	{ "timer: TSC deadline", test_deadline, 1 },
	{ "timer: reaches a guest that does not exit", test_alarm, 1 },
	{ "timer: never early, and how late", test_lateness, 1 },
	{ "synthetic timers", test_stimer, 1 },
	{ "reference counter, TSC page, frequencies", test_reference, 1 },
	{ "CPUID leaves are what the features say", test_cpuid, 1 },
	{ "synthetic registers", test_synthetic_registers, 1 },
	{ "hypercall page", test_hypercall_page, 1 },
	{ "VMMCALL in ring 3 is #UD", test_ring3, 1 },
	{ "asserted by the VMM: fixed and lowest priority", test_asserted_fixed, 1 },
	{ "asserted by the VMM: level", test_asserted_level, 1 },
	{ "asserted by the VMM: ExtINT", test_asserted_extint, 1 },
	{ "asserted by the VMM: LINT0, LINT1, NMI", test_asserted_lint, 1 },
	{ "INIT and SIPI start processors", test_start, 2 },
	{ "INIT and SIPI again", test_restart, 2 },
	{ "IPIs: shorthands and destinations", test_shorthands, 2 },
	{ "IPIs in a ring of halted processors, none lost", test_ping_pong, 2 },
	{ "an interrupt while one of its vector is handled is another", test_again, 2 },
	{ "an NMI wakes HLT with interrupts off", test_nmi_wakes, 2 },
	{ "TLB flushes by hypercall", test_flush, 2 },
	{ "IPIs by hypercall", test_cluster_ipi, 2 },
};

void guest_main(unsigned int vp, const struct guest_boot *boot)
{
	unsigned int i;
	bool ok;

	if (vp) {
		enable_x2apic();
		starts[vp]++;
		serve(vp);
	}
	machine = boot;
	guest_puts("KTAP version 1\n");
	if (!(boot->apic & GUEST_APIC_LOCAL) || !(boot->apic & GUEST_APIC_X2)) {
		guest_puts("1..0 # SKIP without local APICs: mshv run --lapic\n");
		guest_exit(0);
	}
	map_apic_page();
	for (i = 32; i < 256; i++)
		guest_handle(i, on_vector);
	guest_handle(SPURIOUS, on_unacknowledged);
	guest_handle(VECTOR_WATCHDOG, on_watchdog);
	guest_handle(VECTOR_NMI, on_nmi);
	for (i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		if (boot->vps < list[i].vps)
			continue;
		ok = list[i].run();
		cli();
		if (!ok)
			failures++;
		guest_printf("%sok %u - %s\n", ok ? "" : "not ", ++tests, list[i].name);
		/* A test that failed may have left anything behind. */
		if (!ok) {
			guest_handle(VECTOR_NMI, on_nmi);
			enable_x2apic();
			unwatch();
		}
	}
	guest_printf("1..%u\n", tests);
	guest_exit(failures ? 1 : 0);
}
