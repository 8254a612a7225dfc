// SPDX-License-Identifier: GPL-2.0-only
/*
 * Locks: threads of the host stand for processors. Who has the world is alone, who has a partition is alone there,
 * a wrong order panics, and no processor uses a translation that was taken away, however the locks interleave.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <hypervisor/core/frame.h>
#include <hypervisor/core/lock.h>
#include <hypervisor/core/npt.h>
#include <hypervisor/core/partition.h>
#include <hypervisor/core/synic.h>
#include <hvabi/port.h>
#include "unit.h"

#define THREADS		4u
#define ROUNDS		3000u
#define FIRST_BLOCK	3ull		/* of the parent: a page for each thread's calls, from here on */
#define SHARED_PFN	64ull		/* pages that all map */
#define STAMPED_PFN	128ull
#define LENT_PFN	4800ull			/* as many for each thread as there are rounds */
#define LENT_PAGES	(ROUNDS / 16 + 1)
#define GFN		7ull

static struct cpu many[THREADS];
static struct lock leaf;

/* What the test looks at: not atomic where a lock is to do. */
static unsigned int alone[2], sharing, writers, wrong, stop;
static uint64_t id[2];

static void yield(void)
{
	sched_yield();
}

static int setup(void **state)
{
	(void)state;
	mock_reset();
	mock_relax = yield;
	memset(many, 0, sizeof(many));
	for (unsigned int i = 0; i < THREADS; i++) {
		many[i].index = i;
		cpus[i] = &many[i];
	}
	cpu_count = THREADS;
	for (unsigned int i = 0; i < 2; i++)
		id[i] = mock_child(40);
	alone[0] = alone[1] = sharing = writers = wrong = stop = 0;
	return 0;
}

/* The mocked machine has fewer processors. */
static int teardown(void **state)
{
	(void)state;
	cpu_count = 0;
	return 0;
}

static void fail_if(bool it_is)
{
	if (it_is)
		__atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED);
}

/* Run @body on @count processors, each with its struct cpu. */
static void run(unsigned int count, void *(*body)(void *))
{
	pthread_t thread[THREADS];

	for (unsigned int i = 0; i < count; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, body, &many[i]), 0);
	for (unsigned int i = 0; i < count; i++)
		pthread_join(thread[i], NULL);
	assert_int_equal(wrong, 0);
}

/* ---- exclusion ---- */

static void *share_and_exclude(void *arg)
{
	struct cpu *cpu = mock_self = arg;
	unsigned int seed = cpu->index;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		unsigned int which = rand_r(&seed) & 1;

		world_enter(cpu);
		__atomic_fetch_add(&sharing, 1, __ATOMIC_RELAXED);
		fail_if(__atomic_load_n(&writers, __ATOMIC_RELAXED));
		partition_lock(cpu, child_find(id[which]));
		alone[which]++;
		lock_acquire(&leaf, LOCK_STATS);
		lock_release(&leaf, LOCK_STATS);
		partition_unlock(cpu);
		__atomic_fetch_sub(&sharing, 1, __ATOMIC_RELAXED);
		if (!(rand_r(&seed) % 8)) {
			world_exclude(cpu);
			fail_if(__atomic_fetch_add(&writers, 1, __ATOMIC_RELAXED));
			fail_if(__atomic_load_n(&sharing, __ATOMIC_RELAXED));
			/* Needs no other lock. */
			alone[which]++;
			alone[which]--;
			__atomic_fetch_sub(&writers, 1, __ATOMIC_RELAXED);
		}
		world_leave(cpu);
	}
	return NULL;
}

static void who_has_a_lock_is_alone(void **state)
{
	(void)state;
	run(THREADS, share_and_exclude);
	assert_int_equal(alone[0] + alone[1], THREADS * ROUNDS);
	for (unsigned int i = 0; i < THREADS; i++)
		assert_int_equal(many[i].locks.levels | many[i].locks.sharing, 0);
}

static void *excludes(void *arg)
{
	struct cpu *cpu = mock_self = arg;

	world_enter(cpu);
	world_exclude(cpu);
	__atomic_store_n(&writers, 1, __ATOMIC_RELAXED);
	world_leave(cpu);
	return NULL;
}

/* Until it had to wait: then somebody has asked for the world before, and has had it. */
static void *comes_later(void *arg)
{
	struct cpu *cpu = mock_self = arg;

	while (!__atomic_load_n(&cpu->counters.value[HVABI_COUNT_LOCK_WAITED], __ATOMIC_RELAXED)) {
		world_enter(cpu);
		if (cpu->counters.value[HVABI_COUNT_LOCK_WAITED])
			fail_if(!__atomic_load_n(&writers, __ATOMIC_RELAXED));
		world_leave(cpu);
		yield();
	}
	return NULL;
}

static void who_shares_does_not_overtake(void **state)
{
	const uint64_t *waited = &many[2].counters.value[HVABI_COUNT_LOCK_WAITED];
	pthread_t thread[2];

	(void)state;
	world_enter(&many[0]);
	assert_int_equal(pthread_create(&thread[0], NULL, excludes, &many[1]), 0);
	assert_int_equal(pthread_create(&thread[1], NULL, comes_later, &many[2]), 0);
	while (!__atomic_load_n(waited, __ATOMIC_RELAXED))
		yield();
	assert_int_equal(__atomic_load_n(&writers, __ATOMIC_RELAXED), 0);
	world_leave(&many[0]);
	pthread_join(thread[0], NULL);
	pthread_join(thread[1], NULL);
	assert_int_equal(wrong, 0);
}

/* ---- order ---- */

static struct cpu *const zero = &many[0];

static void world_twice(void)
{
	world_enter(zero);
	world_enter(zero);
}

static void two_partitions(void)
{
	world_enter(zero);
	partition_lock(zero, child_find(id[0]));
	partition_lock(zero, child_find(id[1]));
}

static void partition_behind_leaf(void)
{
	mock_self = zero;
	world_enter(zero);
	lock_acquire(&leaf, LOCK_DEADLINES);
	partition_lock(zero, child_find(id[0]));
}

static void world_behind_partition(void)
{
	world_enter(zero);
	partition_lock(zero, child_find(id[0]));
	world_exclude(zero);
}

static void partition_kept(void)
{
	world_enter(zero);
	partition_lock(zero, child_find(id[0]));
	world_leave(zero);
}

static void not_held(void)
{
	mock_self = zero;
	lock_release(&leaf, LOCK_STATS);
}

static void good_order(void)
{
	mock_self = zero;
	world_enter(zero);
	partition_lock(zero, child_find(id[0]));
	lock_acquire(&leaf, LOCK_DEADLINES);
	lock_release(&leaf, LOCK_DEADLINES);
	partition_unlock(zero);
	partition_unlock(zero);
	world_exclude(zero);
	partition_lock(zero, child_find(id[1]));
	partition_unlock(zero);
	world_leave(zero);
}

static bool panics(void (*wrongly)(void))
{
	int status;
	pid_t child = fork();

	if (!child) {
		signal(SIGABRT, SIG_DFL);
		if (!freopen("/dev/null", "w", stderr))
			_exit(1);
		wrongly();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void a_wrong_order_panics(void **state)
{
	(void)state;
	assert_true(panics(world_twice));
	assert_true(panics(two_partitions));
	assert_true(panics(partition_behind_leaf));
	assert_true(panics(world_behind_partition));
	assert_true(panics(partition_kept));
	assert_true(panics(not_held));
	assert_false(panics(good_order));
}

/* ---- calls of several processors ---- */

static uint64_t call(struct cpu *cpu, uint16_t code, const void *in, size_t bytes, uint16_t reps)
{
	uint64_t block = FIRST_BLOCK + 2 * cpu->index;

	memcpy(platform_phys(block << 12), in, bytes);
	return mock_hypercall(cpu, hvabi_control(code, reps, 0), block << 12, (block + 1) << 12);
}

static uint64_t map(struct cpu *cpu, uint64_t partition, uint64_t gfn, uint64_t pfn, uint16_t count)
{
	struct {
		struct hvabi_input_map_gpa_pages in;
		uint64_t list[64];
	} block = { .in = { .target_partition_id = partition, .target_gpa_base = gfn, .map_flags = RWX } };

	for (unsigned int i = 0; i < count; i++)
		block.list[i] = pfn + i;
	return call(cpu, HVABI_CALL_MAP_GPA_PAGES, &block, sizeof(block), count);
}

static uint64_t unmap(struct cpu *cpu, uint64_t partition, uint64_t gfn, uint16_t count)
{
	struct hvabi_input_unmap_gpa_pages in = { .target_partition_id = partition, .target_gpa_base = gfn };

	return call(cpu, HVABI_CALL_UNMAP_GPA_PAGES, &in, sizeof(in), count);
}

/*
 * The same pages in both partitions, and a page that is lent and another that comes back: whose it was is not said, so
 * each is lent once.
 */
static void *map_and_lend(void *arg)
{
	struct cpu *cpu = mock_self = arg;
	uint64_t partition = id[cpu->index & 1], gfn = 1024 * (cpu->index + 1ull);

	for (unsigned int i = 0; i < ROUNDS / 4; i++) {
		uint64_t lend[2] = { partition, SHARED_PFN + i % 32 };

		fail_if(mock_status(map(cpu, partition, gfn, SHARED_PFN, 32)));
		/* Whoever's, they are mapped. */
		fail_if(mock_status(call(cpu, HVABI_CALL_DEPOSIT_MEMORY, lend, 16, 1)) !=
			HVABI_STATUS_INVALID_PARAMETER);
		fail_if(mock_status(unmap(cpu, partition, gfn, 32)));
		if (i % 4)
			continue;
		lend[1] = LENT_PFN + cpu->index * LENT_PAGES + i / 4;
		fail_if(mock_status(call(cpu, HVABI_CALL_DEPOSIT_MEMORY, lend, 16, 1)));
		fail_if(mock_status(call(cpu, HVABI_CALL_WITHDRAW_MEMORY, lend, 8, 1)));
	}
	return NULL;
}

static void calls_of_several_processors(void **state)
{
	uint64_t free[2];

	(void)state;
	for (unsigned int i = 0; i < 2; i++)
		free[i] = child_find(id[i])->pool.deposited;
	run(THREADS, map_and_lend);
	for (unsigned int i = 0; i < 32; i++)
		assert_int_equal(mock_refs(SHARED_PFN + i), 0);
	for (unsigned int i = 0; i < 2; i++)
		assert_int_equal(child_find(id[i])->pool.deposited, free[i]);
	assert_int_equal(counter(id[0], HVABI_COUNT_MAP_4K), 2 * (ROUNDS / 4) * 32);
	assert_int_equal(counter(id[1], HVABI_COUNT_UNMAP_4K), 2 * (ROUNDS / 4) * 32);
}

/* ---- shoot-down ---- */

/* A processor that caches the translation at its entry, and uses it until it is kicked. */
static void *runs_guest(void *arg)
{
	struct cpu *cpu = mock_self = arg;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		struct partition *p;
		struct npt_iter it;
		uint8_t *page = NULL;

		world_enter(cpu);
		p = child_find(id[0]);
		partition_lock(cpu, p);
		__atomic_store_n(&cpu->kick, 0, __ATOMIC_RELAXED);
		npt_iter_begin(&it, &p->npt, GFN);
		if (npt_iter_entry(&it))
			page = platform_phys(npt_iter_pfn(&it) << 12);
		__atomic_store_n(&cpu->guest, p, __ATOMIC_RELEASE);
		partition_unlock(cpu);
		world_leave(cpu);
		for (unsigned int i = 0; i < 50 && !__atomic_load_n(&cpu->kick, __ATOMIC_RELAXED); i++) {
			if (page)
				page[cpu->index] = 1;
			yield();
		}
		__atomic_store_n(&cpu->guest, NULL, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void *takes_away(void *arg)
{
	struct cpu *cpu = mock_self = arg;

	for (unsigned int i = 0; i < ROUNDS / 4; i++) {
		uint64_t pfn = STAMPED_PFN + i % 16;
		uint8_t *page = platform_phys(pfn << 12);

		fail_if(mock_status(map(cpu, id[0], GFN, pfn, 1)));
		yield();
		fail_if(mock_status(unmap(cpu, id[0], GFN, 1)));
		memset(page, 0, 16);
		yield();
		for (unsigned int at = 0; at < 16; at++)
			fail_if(page[at]);
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	return NULL;
}

static void kicked(struct cpu *cpu)
{
	/* It sees the mark, and leaves by itself. */
	(void)cpu;
}

static void *one_of_them(void *arg)
{
	const struct cpu *cpu = arg;

	return cpu->index ? runs_guest(arg) : takes_away(arg);
}

static void nobody_uses_what_was_taken_away(void **state)
{
	(void)state;
	mock_kick = kicked;
	run(THREADS, one_of_them);
	mock_kick = NULL;
	assert_true(counter(id[0], HVABI_COUNT_SHOOTDOWN) >= ROUNDS / 4);
}

/* ---- what the parent says of a ring ---- */

static void *notifies(void *arg)
{
	struct cpu *cpu = mock_self = arg;
	struct hvabi_input_notify_port_ring_empty in = { .sint_index = 5 };

	fail_if(mock_status(call(cpu, HVABI_CALL_NOTIFY_PORT_RING_EMPTY, &in, sizeof(in), 0)));
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	return NULL;
}

/* Somebody has found the ring full and has not said yet that he waits: the call that says "room" is not over before. */
static void room_in_a_ring_waits_for_who_found_it_full(void **state)
{
	const uint64_t *waited = &many[1].counters.value[HVABI_COUNT_LOCK_WAITED];
	pthread_t thread;

	(void)state;
	mock_self = &many[0];
	world_enter(&many[0]);
	synic_lock();
	assert_int_equal(pthread_create(&thread, NULL, notifies, &many[1]), 0);
	while (!__atomic_load_n(waited, __ATOMIC_RELAXED) && !__atomic_load_n(&stop, __ATOMIC_ACQUIRE))
		yield();
	assert_int_equal(__atomic_load_n(&stop, __ATOMIC_ACQUIRE), 0);
	synic_unlock();
	world_leave(&many[0]);
	pthread_join(thread, NULL);
	assert_int_equal(wrong, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(who_has_a_lock_is_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(who_shares_does_not_overtake, setup, teardown),
		cmocka_unit_test_setup_teardown(a_wrong_order_panics, setup, teardown),
		cmocka_unit_test_setup_teardown(calls_of_several_processors, setup, teardown),
		cmocka_unit_test_setup_teardown(nobody_uses_what_was_taken_away, setup, teardown),
		cmocka_unit_test_setup_teardown(room_in_a_ring_waits_for_who_found_it_full, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
