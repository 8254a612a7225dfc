// SPDX-License-Identifier: GPL-2.0-only
/* Statistics of partitions: what happened between two looks, and what a process has. Reading a driver's is tests/vm's. */
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/fdinfo.h"
#include "vmm.h"

static struct stat_value v[][2] = {
	{ { "faults", 1000 }, { "retries", 5 } },
	{ { "faults", 1010 }, { "retries", 5 } },
	{ { "faults", 4000 }, { "retries", 9 } },
	{ { "faults", 30 }, { "retries", 1 } },
};

static struct stat_partition partition(uint64_t id, pid_t pid, struct stat_value *values)
{
	return (struct stat_partition){ .id = id, .pid = pid, .values = values, .count = 2 };
}

static void what_happened(void **state)
{
	const struct stat_column faults = { "faults", { "faults" } }, both = { "both", { "retries", "faults" } };
	struct stat_partition before[] = { partition(7, 70, v[2]), partition(5, 50, v[0]) };
	struct stat_partition same = partition(5, 50, v[1]), new = partition(6, 50, v[1]), other = partition(5, 51, v[1]);
	struct stat_partition again = partition(7, 70, v[3]);

	(void)state;
	/* Whatever the one that ended had: 7 is not there any more. */
	assert_int_equal(stat_happened(&same, &faults, before, 2), 10);
	assert_int_equal(stat_happened(&same, &both, before, 2), 10);
	assert_int_equal(stat_happened(&new, &faults, before, 2), 1010);
	assert_int_equal(stat_happened(&other, &faults, before, 2), 1010);
	assert_int_equal(stat_happened(&again, &both, before, 2), 31);
	assert_int_equal(stat_happened(&same, &both, NULL, 0), 1015);
}

static void what_is_not_there(void **state)
{
	uint64_t value = 3;

	(void)state;
	assert_false(stat_find(v[0], 2, "fault", &value));
	assert_int_equal(value, 3);
	assert_int_equal(stat_value(v[0], 2, "fault"), 0);
	assert_true(stat_find(v[0], 2, "retries", &value));
	assert_int_equal(value, 5);
}

static void memory_of_a_process(void **state)
{
	const size_t size = 64 * MIB;
	struct stat_memory before = stat_process_memory(getpid()), after;
	char *m = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_ptr_not_equal(m, MAP_FAILED);
	assert_true(before.known);
	memset(m, 1, size);
	after = stat_process_memory(getpid());
	/* Some of it may be in swap by now; Linux counts in batches. */
	assert_in_range(after.resident + after.swapped - before.resident - before.swapped, size - MIB, size + 8 * MIB);
	munmap(m, size);
	assert_false(stat_process_memory(0x3fffffff).known);
}

static void a_process_ends(void **state)
{
	pid_t child = fork();
	siginfo_t info;

	(void)state;
	assert_return_code(child, 0);
	if (!child)
		_exit(0);
	/* A zombie until it is collected; then nobody. */
	assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
	assert_true(stat_process_ended(child));
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_true(stat_process_ended(child));
	assert_false(stat_process_ended(getpid()));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_happened), cmocka_unit_test(what_is_not_there), cmocka_unit_test(memory_of_a_process),
		cmocka_unit_test(a_process_ends),
	};

	return cmocka_run_group_tests_name("fdinfo", tests, NULL, NULL);
}
