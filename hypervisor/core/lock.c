// SPDX-License-Identifier: GPL-2.0-only
/*
 * Locks.  What they protect, and their order: lock.h.
 *
 * The world is shared by a flag in each processor, which nobody else writes: hot paths of different processors
 * do not meet in it.  Who wants it exclusively says so and then waits for all flags.  Both sides write first and
 * look then, in one order for all processors, so one of the two sees the other.
 */
#include "cpu.h"
#include "lock.h"
#include "partition.h"
#include "platform.h"
#include "sched.h"

/**
 * struct world
 * @queue: held by who has the world exclusively; who waits to share it passes through
 * @excluded: somebody has it exclusively, or waits for the last who shares it
 */
static struct {
	struct lock queue;
	u32 excluded;
} world;

static const char *const names[LOCK_LEVELS] = { "world", "partition", "synic", "deadlines", "stats" };

/* ---- order ---- */

static void note(struct cpu *cpu, enum lock_level level)
{
	u32 held = cpu->locks.levels;

	if (held >> level)
		platform_panic("lock order: %s behind %s", names[level], names[31 - __builtin_clz(held)]);
	cpu->locks.levels = held | 1u << level;
}

static void forget(struct cpu *cpu, enum lock_level level)
{
	if (!(cpu->locks.levels >> level & 1))
		platform_panic("lock order: %s is not held", names[level]);
	cpu->locks.levels &= ~(1u << level);
}

/* ---- a ticket lock ---- */

static void wait(struct cpu *cpu, const struct lock *lock, u32 ticket)
{
	cpu->counters.value[HVABI_COUNT_LOCK_WAITED]++;
	while (__atomic_load_n(&lock->owner, __ATOMIC_ACQUIRE) != ticket)
		platform_relax();
}

static void take(struct cpu *cpu, struct lock *lock)
{
	u32 ticket = __atomic_fetch_add(&lock->next, 1, __ATOMIC_RELAXED);

	if (__atomic_load_n(&lock->owner, __ATOMIC_ACQUIRE) != ticket)
		wait(cpu, lock, ticket);
}

static void give(struct lock *lock)
{
	__atomic_store_n(&lock->owner, lock->owner + 1, __ATOMIC_RELEASE);
}

void lock_acquire(struct lock *lock, enum lock_level level)
{
	struct cpu *cpu = platform_self();

	note(cpu, level);
	take(cpu, lock);
}

void lock_release(struct lock *lock, enum lock_level level)
{
	forget(platform_self(), level);
	give(lock);
}

void partition_lock(struct cpu *cpu, struct partition *p)
{
	note(cpu, LOCK_PARTITION);
	take(cpu, &p->lock);
	cpu->locks.partition = p;
}

void partition_unlock(struct cpu *cpu)
{
	struct partition *p = cpu->locks.partition;

	if (!p)
		return;
	cpu->locks.partition = NULL;
	forget(cpu, LOCK_PARTITION);
	give(&p->lock);
}

/* ---- the world ---- */

static void share(struct cpu *cpu)
{
	__atomic_store_n(&cpu->locks.sharing, 1, __ATOMIC_SEQ_CST);
	if (!__atomic_load_n(&world.excluded, __ATOMIC_SEQ_CST))
		return;
	/* Behind who came before; at the head of the queue nobody excludes. */
	__atomic_store_n(&cpu->locks.sharing, 0, __ATOMIC_RELEASE);
	take(cpu, &world.queue);
	__atomic_store_n(&cpu->locks.sharing, 1, __ATOMIC_RELAXED);
	give(&world.queue);
}

static void exclude(struct cpu *cpu)
{
	take(cpu, &world.queue);
	__atomic_store_n(&world.excluded, 1, __ATOMIC_SEQ_CST);
	for (u32 i = 0; i < cpu_count; i++)
		while (__atomic_load_n(&cpus[i]->locks.sharing, __ATOMIC_SEQ_CST))
			platform_relax();
	cpu->locks.exclusive = true;
}

void world_enter(struct cpu *cpu)
{
	note(cpu, LOCK_WORLD);
	share(cpu);
	if (sched_active())
		world_exclude(cpu);
}

void world_exclude(struct cpu *cpu)
{
	if (cpu->locks.exclusive)
		return;
	if (cpu->locks.levels != 1u << LOCK_WORLD)
		platform_panic("lock order: the world is to be exclusive, and more or less is held: %x",
			       cpu->locks.levels);
	__atomic_store_n(&cpu->locks.sharing, 0, __ATOMIC_RELEASE);
	exclude(cpu);
}

void world_leave(struct cpu *cpu)
{
	forget(cpu, LOCK_WORLD);
	if (cpu->locks.levels)
		platform_panic("lock order: the world is left with locks %x", cpu->locks.levels);
	if (!cpu->locks.exclusive) {
		__atomic_store_n(&cpu->locks.sharing, 0, __ATOMIC_RELEASE);
		return;
	}
	cpu->locks.exclusive = false;
	__atomic_store_n(&world.excluded, 0, __ATOMIC_RELEASE);
	give(&world.queue);
}
