// SPDX-License-Identifier: GPL-2.0-only
/*
 * The hypervisor's locks, from several processors of the parent at once: partitions come and go next to one that works, and
 * exits that take no lock next to calls that change what these look at. The unit test of the same name has the rest.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <hvabi/debug.h>
#include <hvabi/hypercall.h>
#include <hvabi/message.h>
#include <hvabi/partition.h>
#include <session.h>

#include "ktap.h"
#include "probe.h"

#define MEMORY		(16ull << 20)
#define FIRST_GFN	(8ull << 20 >> 12)
#define PAGES		512ull
#define COMERS		3u
#define SECONDS		8u
#define MPOL_MF_MOVE	2

static struct mshv_session *worker;
static struct probe probe;
static volatile bool stop;

static void tear_down(void)
{
	stop = true;
	mshv_session_close(worker);
	worker = NULL;
	if (probe.vm)
		probe_close(&probe);
}

/* Where it may not run there is no such processor: then it runs anywhere. */
static void run_on(unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu % (unsigned int)sysconf(_SC_NPROCESSORS_ONLN), &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static const char *command(struct mshv_session *s, enum guest_command what, uint64_t version)
{
	const struct guest_mailbox args = {
		.first_gfn = FIRST_GFN, .pages = PAGES, .stride = 1, .version = version, .rounds = 1,
	};

	if (mshv_session_command(s, 0, what, &args))
		return mshv_error();
	switch (mshv_session_wait(s, 0, 60)) {
	case GUEST_STATUS_OK:
		return NULL;
	case GUEST_STATUS_MISMATCH:
		return "a stamp that is not its own";
	default:
		return mshv_error();
	}
}

/* One life of a partition, with all that makes and ends one, and pages that leave and come back. */
static const char *life(uint64_t version)
{
	struct mshv_session_config config = { .memory_size = MEMORY, .vps = 1, .memory_flags = MSHV_MEMORY_SMALL };
	struct mshv_session *s = mshv_session_open(&config);
	const char *error = NULL;

	if (!s || mshv_session_boot(s, "stamp"))
		error = mshv_error();
	if (!error)
		error = command(s, GUEST_COMMAND_STAMP, version);
	if (!error) {
		madvise(mshv_session_memory(s) + FIRST_GFN * PAGE, PAGES * PAGE, MADV_PAGEOUT);
		error = command(s, GUEST_COMMAND_CHECK, version);
	}
	mshv_session_close(s);
	return error;
}

struct comer {
	unsigned int index, lives;
	const char *error;
};

static void *come_and_go(void *arg)
{
	struct comer *comer = arg;

	run_on(comer->index);
	while (!stop && !comer->error)
		comer->error = life(1000 * (comer->index + 1) + __atomic_fetch_add(&comer->lives, 1, __ATOMIC_RELAXED));
	return NULL;
}

/* Each more than once, or ended with an error. */
static bool have_come(const struct comer *comers)
{
	for (unsigned int i = 0; i < COMERS; i++)
		if (__atomic_load_n(&comers[i].lives, __ATOMIC_RELAXED) < 3 && !comers[i].error)
			return false;
	return true;
}

/* Pages of the one that works leave all the time: shoot-downs. */
static void *page_out(void *arg)
{
	unsigned int seed = 5;

	(void)arg;
	run_on(1);
	while (!stop) {
		madvise(mshv_session_memory(worker) + (FIRST_GFN + rand_r(&seed) % (PAGES - 16)) * PAGE, 16 * PAGE,
			MADV_PAGEOUT);
		usleep(200);
	}
	return NULL;
}

static enum ktap_result coming_and_going(void)
{
	struct mshv_session_config config = { .memory_size = MEMORY, .vps = 1, .memory_flags = MSHV_MEMORY_SMALL };
	struct guest_mailbox args = { .first_gfn = FIRST_GFN, .pages = PAGES, .stride = 1, .version = 1 };
	int64_t waited = probe_counted(HVABI_COUNT_LOCK_WAITED), lent = probe_lent();
	struct comer comers[COMERS] = { 0 };
	pthread_t threads[COMERS + 1];
	unsigned int i, lives = 0;
	int status;

	worker = mshv_session_open(&config);
	CHECK(worker && !mshv_session_boot(worker, "stamp"), "%s", mshv_error());
	CHECK(!command(worker, GUEST_COMMAND_STAMP, 1));
	CHECK(!mshv_session_command(worker, 0, GUEST_COMMAND_UPDATE, &args), "%s", mshv_error());
	stop = false;
	for (i = 0; i < COMERS; i++) {
		comers[i].index = i;
		CHECK(!pthread_create(&threads[i], NULL, come_and_go, &comers[i]));
	}
	CHECK(!pthread_create(&threads[COMERS], NULL, page_out, NULL));
	sleep(SECONDS);
	/* What a machine does in that time is its own affair. */
	for (i = 0; i < 120 && !have_come(comers); i++)
		sleep(1);
	stop = true;
	for (i = 0; i <= COMERS; i++)
		pthread_join(threads[i], NULL);
	mshv_session_stop(worker, 0);
	status = mshv_session_wait(worker, 0, 60);
	CHECK(status == GUEST_STATUS_OK, "%d (%s)", status, status < 0 ? mshv_error() : "stamp");
	CHECK(mshv_session_mailbox(worker, 0)->done_rounds > 1);
	for (i = 0; i < COMERS; i++) {
		CHECK(!comers[i].error, "partition %u of processor %u: %s", comers[i].lives, i, comers[i].error);
		CHECK(comers[i].lives > 1, "%u", comers[i].lives);
		lives += comers[i].lives;
	}
	mshv_session_close(worker);
	worker = NULL;
	CHECK(probe_lent() == lent, "%lld pages were lent before, %lld now", (long long)lent, (long long)probe_lent());
	ktap_note("%u partitions, locks waited for %lld times", lives,
		  (long long)(probe_counted(HVABI_COUNT_LOCK_WAITED) - waited));
	return PASS;
}

/* ---- exits without a lock ---- */

#define CODE		0x10000u
#define LEAF		0x40000000u
#define WORDS		(1ull << 30)	/* the guest's: turns, and what CPUID said last */

static const uint8_t asks[] = {
	0xb8, 0x00, 0x00, 0x00, 0x40,	/* mov $LEAF, %eax */
	0x31, 0xc9,			/* xor %ecx, %ecx */
	0x0f, 0xa2,			/* cpuid */
	0x48, 0x89, 0x06,		/* mov %rax, (%rsi) */
	0x48, 0xff, 0x07,		/* incq (%rdi) */
	0xeb, 0xef,			/* jmp to the first */
};

static void *run_asking(void *arg)
{
	struct hvabi_register_assoc regs[] = {
		{ .name = HVABI_REG_RIP, .value.reg64 = CODE },
		{ .name = HVABI_REG_RDI, .value.reg64 = WORDS },
		{ .name = HVABI_REG_RSI, .value.reg64 = WORDS + 8 },
	};

	(void)arg;
	run_on(1);
	probe.error = mshv_set_registers(probe.vcpu, regs, 3) ? errno : 0;
	while (!probe.error && mshv_vcpu_run(probe.vcpu, &probe.message))
		if (errno != EINTR)
			probe.error = errno;
	return NULL;
}

/* True if *@word comes to be what is wanted: more than @from, or just it. */
static bool comes(volatile uint64_t *word, uint64_t from, bool more)
{
	unsigned int i;

	for (i = 0; i < 20000; i++) {
		if (more ? *word > from : *word == from)
			return true;
		usleep(1000);
	}
	return false;
}

static enum ktap_result register_result(uint32_t value)
{
	struct hvabi_input_register_intercept_result in = {
		.intercept_type = HVABI_INTERCEPT_TYPE_CPUID, .cpuid_eax = LEAF, .always_override = 1,
	};
	uint16_t status = 0;

	in.result[0].value = value;
	in.result[0].mask = 0xffffffff;
	CHECK(!mshv_hypercall(mshv_vm_fd(probe.vm), HVABI_CALL_REGISTER_INTERCEPT_RESULT, NULL, &in, sizeof(in), NULL, 0,
			      &status), "%s, status 0x%x", mshv_error(), status);
	return PASS;
}

/*
 * A guest that leaves only by CPUID, all the time: each answer that is registered is the one it gets from then on, each page
 * that is taken from under it is out of its sight, and the intercept that is installed in the end stops it.
 */
static enum ktap_result asking(void)
{
	uint8_t *memory = probe_open_with(&probe, WORDS, BLOCK, false);
	volatile uint64_t *words = (void *)memory;
	uint64_t unlocked, exits;
	pthread_t thread;
	unsigned int i;

	CHECK(memory, "%s", mshv_error());
	memcpy(probe.boot + CODE, asks, sizeof(asks));
	run_on(0);
	CHECK(!pthread_create(&thread, NULL, run_asking, NULL));
	CHECK(comes(&words[0], 100, true), "%llu turns, errno %d", (unsigned long long)words[0], probe.error);
	for (i = 1; i <= 100; i++) {
		uint64_t turns;

		CHECK_PASS(register_result(i));
		turns = words[0];
		/* What it was told before may be on its way to memory still, but not two turns later. */
		CHECK(comes(&words[0], turns + 2, true), "stands at turn %llu", (unsigned long long)turns);
		CHECK(words[1] == i, "0x%llx after 0x%x was registered", (unsigned long long)words[1], i);
		/* Another page in its place: the turns go on from there, and not in the old one. */
		madvise(memory, PAGE, i & 1 ? MADV_DONTNEED : MADV_PAGEOUT);
		turns = words[0];
		CHECK(comes(&words[0], turns, true), "stands at turn %llu of page %u", (unsigned long long)turns, i);
	}
	unlocked = probe_counter(&probe, HVABI_COUNT_UNLOCKED_EXIT);
	exits = probe_counter(&probe, HVABI_COUNT_EXIT_CPUID);
	CHECK(!mshv_install_intercept(probe.vm, HVABI_INTERCEPT_TYPE_CPUID, HVABI_INTERCEPT_ACCESS_MASK_EXECUTE, LEAF),
	      "%s", mshv_error());
	pthread_join(thread, NULL);
	CHECK(!probe.error, "errno %d", probe.error);
	CHECK(probe.message.header.message_type == HVABI_MSG_X64_CPUID_INTERCEPT, "0x%x",
	      probe.message.header.message_type);
	ktap_note("%llu CPUID, %llu exits without lock", (unsigned long long)exits, (unsigned long long)unlocked);
	/* All but those that came with a timer of another partition's, or with an event. */
	CHECK(unlocked > exits / 2 && unlocked <= exits + 1, "%llu of %llu", (unsigned long long)unlocked,
	      (unsigned long long)exits);
	return PASS;
}

int main(void)
{
	static const struct ktap_test tests[] = {
		{ "partitions come and go next to one that works", coming_and_going },
		{ "exits without lock see what calls have changed", asking },
	};

	ktap_cleanup = tear_down;
	return ktap_run(tests, sizeof(tests) / sizeof(tests[0]));
}
