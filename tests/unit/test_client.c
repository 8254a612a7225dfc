// SPDX-License-Identifier: GPL-2.0-only
/* Asking a VMM that answers, and some that keep others waiting: this process is all of them. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "cmd/client.h"
#include "cmd/cmd.h"
#include "vmm.h"

/* ---- what client.c takes from the rest of the command, and these tests do not come to ---- */

int cmd_error(const char *format, ...)
{
	fail_msg("an error is said: %s", format);
	return 1;
}

int cmd_usage_error(const char *format, ...)
{
	fail_msg("an error is said: %s", format);
	return 2;
}

int cmd_options(int argc, char **argv, const char *usage, const struct cmd_option *options)
{
	(void)argc, (void)argv, (void)usage, (void)options;
	return CMD_GO_ON;
}

int cmd_parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *number)
{
	(void)text, (void)min, (void)max, (void)number;
	return -1;
}

/* ---- the VMM ---- */

static char folder[] = "/tmp/mshv-client-XXXXXX", path[64];
static int listener;

static int setup(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	(void)state;
	strcpy(folder + sizeof(folder) - 7, "XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/s", folder);
	strcpy(address.sun_path, path);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return bind(listener, (struct sockaddr *)&address, sizeof(address)) || listen(listener, 1);
}

static int teardown(void **state)
{
	(void)state;
	close(listener);
	unlink(path);
	return rmdir(folder);
}

/* Says @arg a byte at a time, some of them a second, until nobody listens. */
static void *trickle(void *arg)
{
	int fd = accept(listener, NULL, NULL);

	for (const char *c = arg; *c; c++) {
		if (send(fd, c, 1, MSG_NOSIGNAL) != 1)
			break;
		usleep(150000);
	}
	close(fd);
	return NULL;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* NULL with errno @error, after @seconds or a little more; this machine may be busy. */
static void gives_up(unsigned int patience, int error, double seconds)
{
	json_t *request = json_pack("{ss}", "do", "status");
	double start = now();

	assert_null(client_ask(path, request, patience, NULL));
	assert_int_equal(errno, error);
	assert_true(now() - start >= seconds - 0.1);
	assert_true(now() - start < seconds + 6);
	json_decref(request);
}

static void an_answer(void **state)
{
	json_t *request = json_pack("{ss}", "do", "status"), *answer;
	pthread_t thread;
	pid_t pid = 0;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, trickle, "{\"ok\":1}\n"), 0);
	answer = client_ask(path, request, 20, &pid);
	assert_non_null(answer);
	assert_int_equal(json_integer_value(json_object_get(answer, "ok")), 1);
	assert_int_equal(pid, getpid());
	json_decref(answer);
	json_decref(request);
	pthread_join(thread, NULL);
}

static void one_that_is_silent(void **state)
{
	(void)state;
	gives_up(1, ETIMEDOUT, 1);
}

/* Each byte comes soon, and the line never ends. */
static void one_that_trickles(void **state)
{
	static char text[100];
	pthread_t thread;

	(void)state;
	memset(text, ' ', sizeof(text) - 1);
	assert_int_equal(pthread_create(&thread, NULL, trickle, text), 0);
	gives_up(1, ETIMEDOUT, 1);
	pthread_join(thread, NULL);
}

/* It has not accepted for long: nobody waits to hear who it is. */
static void one_that_accepts_nobody(void **state)
{
	double start = now();
	int tries;
	pid_t pid;

	(void)state;
	for (tries = 0; tries < 100 && !client_peer(path, &pid); tries++)
		assert_int_equal(pid, getpid());
	assert_in_range(tries, 1, 50);
	assert_int_equal(errno, EAGAIN);
	assert_true(now() - start < 5);
	gives_up(1, ETIMEDOUT, 1);
}

static void on_alarm(int signal)
{
	(void)signal;
}

static void a_signal_ends_it(void **state)
{
	struct sigaction action = { .sa_handler = on_alarm };

	(void)state;
	sigaction(SIGALRM, &action, NULL);
	alarm(1);
	gives_up(60, EINTR, 1);
}

static void nobody(void **state)
{
	(void)state;
	close(listener);
	gives_up(20, ECONNREFUSED, 0);
	unlink(path);
	gives_up(20, ENOENT, 0);
	listener = open("/dev/null", O_RDONLY);
	close(open(path, O_CREAT | O_WRONLY, 0600));
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(an_answer), TEST(one_that_is_silent), TEST(one_that_trickles), TEST(one_that_accepts_nobody),
		TEST(a_signal_ends_it), TEST(nobody),
	};

	return cmocka_run_group_tests_name("client", tests, NULL, NULL);
}
