// SPDX-License-Identifier: GPL-2.0-only
/* Where Linux has pages: this process is its own witness. */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cmd/pages.h"
#include "vmm.h"

#define PAGE	4096u

static char letters[PAGE_STATES + 1] = ".-#~=";

/* A letter a page; runs come in order and without gaps. */
struct told {
	char text[256];
	uint64_t next;
	unsigned int runs;
};

static void tell(void *arg, uint64_t first, uint64_t count, enum page_state state)
{
	struct told *told = arg;

	assert_int_equal(first, told->next);
	assert_true(count > 0 && first + count < sizeof(told->text));
	memset(told->text + first, letters[state], count);
	told->next = first + count;
	told->runs++;
}

static char *map(size_t pages)
{
	char *m = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(m, MAP_FAILED);
	madvise(m, pages * PAGE, MADV_NOHUGEPAGE);
	return m;
}

static void kinds(void **state)
{
	struct told told = { .next = 0 };
	char *m = map(16);
	bool large;

	(void)state;
	memset(m + 2 * PAGE, 1, 3 * PAGE);
	/* The zero page. */
	assert_int_equal(*(volatile char *)(m + 7 * PAGE), 0);
	m[15 * PAGE] = 1;
	/* A hole of the address space has nothing, as has what nobody touched. */
	munmap(m + 10 * PAGE, PAGE);
	assert_int_equal(pages_walk(getpid(), (uintptr_t)m, 16, tell, &told, &large), 0);
	assert_string_equal(told.text, "..---..=.......-");
	assert_int_equal(told.runs, 6);
	munmap(m, 16 * PAGE);
}

/* A child has the pages as well, until one of the two writes. */
static void shared(void **state)
{
	struct told before = { .next = 0 }, after = { .next = 0 };
	char *m = map(4), byte;
	int pipes[2];
	bool large;
	pid_t pid;

	(void)state;
	memset(m, 1, 4 * PAGE);
	assert_int_equal(pipe(pipes), 0);
	pid = fork();
	if (!pid) {
		close(pipes[1]);
		_exit(read(pipes[0], &byte, 1) != 0);
	}
	assert_int_equal(pages_walk(getpid(), (uintptr_t)m, 4, tell, &before, &large), 0);
	assert_string_equal(before.text, "====");
	m[PAGE] = 2;
	assert_int_equal(pages_walk(getpid(), (uintptr_t)m, 4, tell, &after, &large), 0);
	assert_string_equal(after.text, "=-==");
	close(pipes[1]);
	close(pipes[0]);
	munmap(m, 4 * PAGE);
}

/* More than one answer of the kernel has room for. */
struct counted {
	uint64_t pages[PAGE_STATES], runs, next;
};

static void count(void *arg, uint64_t first, uint64_t n, enum page_state state)
{
	struct counted *c = arg;

	assert_int_equal(first, c->next);
	c->next += n;
	c->pages[state] += n;
	c->runs++;
}

static void many(void **state)
{
	struct counted c = { .runs = 0 };
	size_t pages = 40000;
	char *m = map(pages);
	bool large;

	(void)state;
	for (size_t i = 0; i < pages; i += 40)
		m[i * PAGE] = 1;
	/* And a run that is longer than a look at the page map. */
	memset(m + 20000 * PAGE, 1, 9000 * PAGE);
	assert_int_equal(pages_walk(getpid(), (uintptr_t)m, pages, count, &c, &large), 0);
	assert_int_equal(c.next, pages);
	assert_int_equal(c.pages[PAGE_SMALL], 1000 - 225 + 9000);
	assert_int_equal(c.pages[PAGE_ABSENT], pages - (1000 - 225 + 9000));
	munmap(m, pages * PAGE);
}

static void nobody(void **state)
{
	struct told told = { .next = 0 };
	bool large;

	(void)state;
	assert_int_equal(pages_walk(0x7ffffffe, 0, 4, tell, &told, &large), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(told.runs, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kinds), cmocka_unit_test(shared), cmocka_unit_test(many), cmocka_unit_test(nobody),
	};

	return cmocka_run_group_tests_name("pages", tests, NULL, NULL);
}
