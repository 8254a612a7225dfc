// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of the processor that a guest is given; speaks KTAP on the console.
 *
 * State that must survive exits is loaded, then the guest exits on purpose (port I/O)
 * and by accident (long loops, which the parent's interrupts end), and the state is
 * compared. With several processors the others do the same work at the same time with
 * values of their own, so that state which travels to a wrong processor is seen.
 */
#include "guest.h"

#define CR0_MP		(1ul << 1)
#define CR0_EM		(1ul << 2)
#define CR0_TS		(1ul << 3)
#define CR4_OSFXSR	(1ul << 9)
#define CR4_OSXMMEXCPT	(1ul << 10)
#define CR4_OSXSAVE	(1ul << 18)

#define CPUID1_ECX_XSAVE	(1u << 26)
#define CPUID1_ECX_AVX		(1u << 28)

#define MSR_TSC_AUX_NONE	0x12345678u	/* exists on no processor */

struct vector {
	uint64_t word[4];
} __attribute__((aligned(32)));

static struct vector before[GUEST_VPS_MAX][16], after[GUEST_VPS_MAX][16];
static volatile int finished, others;
static unsigned int tests, failures;

static void result(bool ok, const char *what)
{
	tests++;
	if (!ok)
		failures++;
	guest_printf("%sok %u - %s\n", ok ? "" : "not ", tests, what);
}

static void skip(const char *what, const char *why)
{
	tests++;
	guest_printf("ok %u - %s # SKIP %s\n", tests, what, why);
}

static bool has_avx(void)
{
	uint32_t reg[4];

	cpuid(1, 0, reg);
	return (reg[2] & CPUID1_ECX_XSAVE) && (reg[2] & CPUID1_ECX_AVX);
}

static void enable_vectors(void)
{
	uint64_t cr0, cr4;

	asm volatile("mov %%cr0, %0" : "=r"(cr0));
	cr0 = (cr0 | CR0_MP) & ~(CR0_EM | CR0_TS);
	asm volatile("mov %0, %%cr0" : : "r"(cr0));
	asm volatile("mov %%cr4, %0" : "=r"(cr4));
	cr4 |= CR4_OSFXSR | CR4_OSXMMEXCPT;
	if (has_avx())
		cr4 |= CR4_OSXSAVE;
	asm volatile("mov %0, %%cr4" : : "r"(cr4));
	if (has_avx())
		asm volatile("xsetbv" : : "a"(7), "d"(0), "c"(0));
	asm volatile("fninit");
}

static void load_sse(const struct vector *v)
{
#define LOAD(n) "movups " #n "*32(%0), %%xmm" #n "\n"
	asm volatile(LOAD(0) LOAD(1) LOAD(2) LOAD(3) LOAD(4) LOAD(5) LOAD(6) LOAD(7)
		     LOAD(8) LOAD(9) LOAD(10) LOAD(11) LOAD(12) LOAD(13) LOAD(14) LOAD(15)
		     : : "r"(v) : "memory");
#undef LOAD
}

static void store_sse(struct vector *v)
{
#define STORE(n) "movups %%xmm" #n ", " #n "*32(%0)\n"
	asm volatile(STORE(0) STORE(1) STORE(2) STORE(3) STORE(4) STORE(5) STORE(6) STORE(7)
		     STORE(8) STORE(9) STORE(10) STORE(11) STORE(12) STORE(13) STORE(14)
		     STORE(15) : : "r"(v) : "memory");
#undef STORE
}

static void load_avx(const struct vector *v)
{
#define LOAD(n) "vmovups " #n "*32(%0), %%ymm" #n "\n"
	asm volatile(LOAD(0) LOAD(1) LOAD(2) LOAD(3) LOAD(4) LOAD(5) LOAD(6) LOAD(7)
		     LOAD(8) LOAD(9) LOAD(10) LOAD(11) LOAD(12) LOAD(13) LOAD(14) LOAD(15)
		     : : "r"(v) : "memory");
#undef LOAD
}

static void store_avx(struct vector *v)
{
#define STORE(n) "vmovups %%ymm" #n ", " #n "*32(%0)\n"
	asm volatile(STORE(0) STORE(1) STORE(2) STORE(3) STORE(4) STORE(5) STORE(6) STORE(7)
		     STORE(8) STORE(9) STORE(10) STORE(11) STORE(12) STORE(13) STORE(14)
		     STORE(15) : : "r"(v) : "memory");
#undef STORE
}

static void spin_for(unsigned int n)
{
	while (n--)
		asm volatile("pause");
}

/* One round: values in, exits of both kinds, values out. False if any bit changed. */
static bool vectors_survive(unsigned int vp, unsigned int round, bool avx)
{
	struct vector *in = before[vp], *out = after[vp];
	unsigned int i, k, words = avx ? 4 : 2;

	for (i = 0; i < 16; i++)
		for (k = 0; k < 4; k++)
			in[i].word[k] = guest_stamp_word(vp * 16 + i, round, 2 + k);
	if (avx)
		load_avx(in);
	else
		load_sse(in);
	for (i = 0; i < 4; i++) {
		outl(GUEST_PORT_ECHO, i);
		spin_for(20000);
	}
	if (avx)
		store_avx(out);
	else
		store_sse(out);
	for (i = 0; i < 16; i++)
		for (k = 0; k < words; k++)
			if (out[i].word[k] != in[i].word[k])
				return false;
	return true;
}

static bool rounds_survive(unsigned int vp, bool avx)
{
	unsigned int round;

	for (round = 0; round < 30; round++)
		if (!vectors_survive(vp, round, avx))
			return false;
	return true;
}

static void test_fpu(void)
{
	uint16_t cw = 0x0f7f, cw_after = 0;	/* round to zero */
	uint32_t mxcsr = 0x7f80, mxcsr_after = 0;
	uint64_t pi = 0;

	asm volatile("fninit; fldcw %0; fldpi" : : "m"(cw));
	asm volatile("ldmxcsr %0" : : "m"(mxcsr));
	outl(GUEST_PORT_ECHO, 1);
	spin_for(100000);
	asm volatile("fstpl %0; fnstcw %1" : "=m"(pi), "=m"(cw_after));
	asm volatile("stmxcsr %0" : "=m"(mxcsr_after));
	result(pi == 0x400921fb54442d18ull, "x87 stack survives exits");
	result(cw_after == cw, "x87 control word survives exits");
	result(mxcsr_after == mxcsr, "MXCSR survives exits");
	asm volatile("fninit");
}

static void test_general_registers(void)
{
	uint64_t bad;

	/* Every general register but RAX, RDX (port I/O) and RSP. */
	asm volatile(
		"mov $0x1111111111111111, %%rbx\n mov $0x2222222222222222, %%rcx\n"
		"mov $0x3333333333333333, %%rsi\n mov $0x4444444444444444, %%rdi\n"
		"mov $0x5555555555555555, %%r8\n mov $0x6666666666666666, %%r9\n"
		"mov $0x7777777777777777, %%r10\n mov $0x8888888888888888, %%r11\n"
		"mov $0x9999999999999999, %%r12\n mov $0xaaaaaaaaaaaaaaaa, %%r13\n"
		"mov $0xbbbbbbbbbbbbbbbb, %%r14\n mov $0xcccccccccccccccc, %%r15\n"
		"push %%rbp\n mov $0xdddddddddddddddd, %%rbp\n"
		"mov %1, %%edx\n mov $5, %%eax\n out %%eax, %%dx\n in %%dx, %%eax\n"
		"mov %%rax, %%rdx\n xor %%eax, %%eax\n not %%edx\n xor $5, %%edx\n or %%rdx, %%rax\n"
#define COMPARE(reg, value) \
		"mov $" value ", %%rdx\n xor %%" reg ", %%rdx\n or %%rdx, %%rax\n"
		COMPARE("rbx", "0x1111111111111111") COMPARE("rcx", "0x2222222222222222")
		COMPARE("rsi", "0x3333333333333333") COMPARE("rdi", "0x4444444444444444")
		COMPARE("r8", "0x5555555555555555") COMPARE("r9", "0x6666666666666666")
		COMPARE("r10", "0x7777777777777777") COMPARE("r11", "0x8888888888888888")
		COMPARE("r12", "0x9999999999999999") COMPARE("r13", "0xaaaaaaaaaaaaaaaa")
		COMPARE("r14", "0xbbbbbbbbbbbbbbbb") COMPARE("r15", "0xcccccccccccccccc")
		COMPARE("rbp", "0xdddddddddddddddd")
#undef COMPARE
		"pop %%rbp\n"
		: "=a"(bad) : "i"(GUEST_PORT_ECHO)
		: "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
		  "r14", "r15", "memory", "cc");
	result(bad == 0, "general registers survive port I/O");
}

static void test_ports(void)
{
	static const uint32_t words[] = { 0x01020304, 0xdeadbeef, 0x55aa55aa };
	static uint32_t back[2];
	uint8_t byte = 0;
	uint64_t rax = 0x1122334455667788ull, count = 3, from = (uint64_t)words, to;

	outl(GUEST_PORT_ECHO, 0x5a5a1234);
	result(inl(GUEST_PORT_ECHO) == ~0x5a5a1234u, "32-bit port I/O");
	outb(GUEST_PORT_ECHO, 0x3c);
	asm volatile("inb %1, %0" : "=a"(byte) : "Nd"((uint16_t)GUEST_PORT_ECHO));
	result(byte == (uint8_t)~0x3c, "8-bit port I/O");
	asm volatile("inb %1, %%al" : "+a"(rax) : "Nd"((uint16_t)GUEST_PORT_ECHO));
	result(rax >> 8 == 0x11223344556677ull, "a narrow IN leaves the rest of RAX");

	asm volatile("cld; rep outsl" : "+S"(from), "+c"(count)
		     : "d"((uint16_t)GUEST_PORT_ECHO) : "memory");
	result(count == 0 && from == (uint64_t)(words + 3) &&
	       inl(GUEST_PORT_ECHO) == ~words[2], "REP OUTS");
	to = (uint64_t)back;
	count = 2;
	asm volatile("cld; rep insl" : "+D"(to), "+c"(count)
		     : "d"((uint16_t)GUEST_PORT_ECHO) : "memory");
	result(count == 0 && to == (uint64_t)(back + 2) &&
	       ((volatile uint32_t *)back)[1] == ~words[2], "REP INS");
}

static void test_halt(void)
{
	unsigned int i;

	outl(GUEST_PORT_HALTS, 3);
	for (i = 0; i < 3; i++)
		asm volatile("hlt");
	result(true, "HLT returns when the VMM resumes");
}

static void test_cpuid(void)
{
	uint32_t reg[4];

	cpuid(GUEST_CPUID_LEAF, 0, reg);
	result(reg[0] == GUEST_CPUID_EAX && reg[1] == GUEST_CPUID_EBX &&
	       reg[2] == GUEST_CPUID_ECX && reg[3] == GUEST_CPUID_EDX,
	       "an intercepted CPUID leaf is the VMM's");
	cpuid(0, 0, reg);
	result(reg[0] >= 1, "CPUID leaf 0");
	cpuid(0x80000001, 0, reg);
	result(!(reg[2] & 1u << 2), "no SVM is offered");
}

static bool rdmsr_faults(uint32_t msr)
{
	guest_catch(&&after);
	asm volatile goto("rdmsr" : : "c"(msr) : "eax", "edx" : after);
after:
	return guest_caught() == 13;
}

static void test_msr(void)
{
	uint32_t low = 0, high = 0;

	guest_catch(&&after);
	asm volatile goto("wrmsr" : : "c"(GUEST_MSR), "a"(0xcafe), "d"(0xbabe) : : after);
	asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(GUEST_MSR));
after:
	if (guest_caught() >= 0)
		result(false, "an intercepted MSR is the VMM's");
	else
		result(low == 0xcafe && high == 0xbabe, "an intercepted MSR is the VMM's");
	result(!rdmsr_faults(0xc0000080), "EFER can be read");
	rdmsr_faults(MSR_TSC_AUX_NONE);
	result(true, "an unknown MSR does not end the guest");
}

static void test_exceptions(void)
{
	guest_catch(&&after_ud);
	asm volatile goto("ud2" : : : : after_ud);
after_ud:
	result(guest_caught() == 6, "#UD arrives");
	guest_catch(&&after_de);
	asm volatile goto("xor %%eax, %%eax; cltd; div %%eax" : : : "eax", "edx" : after_de);
after_de:
	result(guest_caught() == 0, "#DE arrives");
	guest_catch(&&after_pf);
	asm volatile goto("movb $0, (%0)" : : "r"(GUEST_MEMORY_MAX * 2) : "memory" : after_pf);
after_pf:
	result(guest_caught() == 14, "#PF arrives");
}

static uint64_t rdtsc(void)
{
	uint32_t low, high;

	asm volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

static void test_tsc(void)
{
	uint64_t last = rdtsc(), now;
	unsigned int i;
	bool forward = true;

	for (i = 0; i < 100; i++) {
		outl(GUEST_PORT_ECHO, i);
		now = rdtsc();
		forward = forward && now > last;
		last = now;
	}
	result(forward, "the TSC goes forward across exits");
}

void guest_main(unsigned int vp, const struct guest_boot *boot)
{
	bool ok = true, ok_avx;

	enable_vectors();
	if (vp != 0) {
		while (!finished)
			ok = ok && vectors_survive(vp, 1000, has_avx());
		if (!ok)
			guest_printf("# processor %u lost vector state\n", vp);
		__sync_fetch_and_add(&others, ok ? 1 : 0x100);
		return;
	}
	guest_puts("KTAP version 1\n");
	test_general_registers();
	test_ports();
	test_exceptions();
	test_tsc();
	test_fpu();
	result(rounds_survive(vp, false), "SSE registers survive exits");
	if (has_avx()) {
		ok_avx = rounds_survive(vp, true);
		result(ok_avx, "AVX registers survive exits");
	} else {
		skip("AVX registers survive exits", "no AVX");
	}
	test_cpuid();
	test_msr();
	test_halt();
	if (boot->vps > 1) {
		finished = 1;
		while ((others & 0xff) + (others >> 8) < (int)boot->vps - 1)
			asm volatile("pause");
		result(others >> 8 == 0, "vector state of the other processors");
	}
	guest_printf("1..%u\n", tests);
	guest_exit(failures ? 1 : 0);
}
