// SPDX-License-Identifier: GPL-2.0-only
/* The control socket of a guest: what it answers, above all to what is wrong, and who may connect. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "linux/control.h"
#include "vmm.h"

/* A guest that remembers what it was told. */
static struct {
	unsigned int calls;
	const char *last;
	uint64_t size;
	bool paused;
	bool refuses;
} guest;

static int told(const char *what)
{
	__atomic_add_fetch(&guest.calls, 1, __ATOMIC_SEQ_CST);
	guest.last = what;
	return guest.refuses ? mshv_fail_because(EBUSY, "%s: not now", what) : 0;
}

static int on_status(void *arg, json_t *answer, bool *paused)
{
	(void)arg;
	*paused = guest.paused;
	json_object_set_new(answer, "memory", json_integer(42));
	return 0;
}

static int on_pause(void *arg)
{
	(void)arg;
	return told("pause");
}

static int on_resume(void *arg)
{
	(void)arg;
	return told("resume");
}

static int on_stop(void *arg)
{
	(void)arg;
	return told("stop");
}

static int on_balloon(void *arg, uint64_t size)
{
	(void)arg;
	guest.size = size;
	return told("balloon");
}

static int on_accessed(void *arg, unsigned int parts, json_t *answer)
{
	(void)arg;
	guest.size = parts;
	json_object_set_new(answer, "accessed", json_array());
	return told("accessed");
}

static const struct control_ops ops = {
	.status = on_status,
	.pause = on_pause,
	.resume = on_resume,
	.stop = on_stop,
	.balloon = on_balloon,
	.accessed = on_accessed,
};

static struct control control;
static char folder[] = "/tmp/test_control.XXXXXX";
static char path[sizeof(folder) + 8];

static int setup(void **state)
{
	(void)state;
	memset(&guest, 0, sizeof(guest));
	strcpy(folder, "/tmp/test_control.XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/s", folder);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(folder);
}

static void answers(const char *line, size_t size, const char *expected)
{
	char *answer = control_answer(&ops, NULL, line, size);

	assert_non_null(answer);
	assert_string_equal(answer, expected);
	free(answer);
}

static void asks(const char *line, const char *expected)
{
	answers(line, strlen(line), expected);
}

static void what_is_right(void **state)
{
	(void)state;
	asks("{\"do\":\"status\"}", "{\"memory\":42,\"ok\":\"running\"}\n");
	asks("{\"do\":\"pause\"}", "{\"ok\":\"paused\"}\n");
	assert_string_equal(guest.last, "pause");
	guest.paused = true;
	asks(" { \"do\" : \"status\" } \r", "{\"memory\":42,\"ok\":\"paused\"}\n");
	asks("{\"do\":\"resume\"}", "{\"ok\":\"running\"}\n");
	assert_string_equal(guest.last, "resume");
	asks("{\"do\":\"stop\"}", "{\"ok\":\"stopped\"}\n");
	assert_string_equal(guest.last, "stop");
	asks("{\"size\":134217728,\"do\":\"balloon\"}", "{\"memory\":42,\"ok\":\"paused\"}\n");
	assert_int_equal(guest.size, 128 * MIB);
	asks("{\"do\":\"accessed\",\"parts\":256}", "{\"accessed\":[],\"ok\":\"paused\"}\n");
	assert_int_equal(guest.size, 256);
	assert_int_equal(guest.calls, 5);
	guest.refuses = true;
	asks("{\"do\":\"pause\"}", "{\"error\":\"pause: not now\"}\n");
	asks("{\"do\":\"balloon\",\"size\":1}", "{\"error\":\"balloon: not now\"}\n");
	asks("{\"do\":\"accessed\",\"parts\":1}", "{\"error\":\"accessed: not now\"}\n");
}

static void what_is_wrong(void **state)
{
	static const char *const wrong[][2] = {
		{ "", "not JSON" }, { "hello", "not JSON" }, { "{\"do\":\"stop\"", "not JSON" },
		{ "{\"do\":\"stop\"}}", "not JSON" }, { "{\"do\":\"stop\"}{\"do\":\"stop\"}", "not JSON" },
		{ "{\"do\":\"pause\",\"do\":\"stop\"}", "not JSON" }, { "{\"do\":\"\xff\"}", "not JSON" },
		{ "[\"stop\"]", "no object" }, { "\"stop\"", "not JSON" },
		{ "{}", "does not say what to do" }, { "{\"do\":1}", "does not say what to do" },
		{ "{\"do\":null}", "does not say what to do" },
		{ "{\"do\":\"\"}", "unknown request: " }, { "{\"do\":\"Stop\"}", "unknown request: Stop" },
		{ "{\"do\":\"stop\",\"now\":true}", "stop: unknown member: now" },
		{ "{\"do\":\"status\",\"size\":1}", "status: unknown member: size" },
		{ "{\"do\":\"balloon\"}", "balloon: no size" },
		{ "{\"do\":\"balloon\",\"size\":-1}", "no number of bytes" },
		{ "{\"do\":\"balloon\",\"size\":1.5}", "no number of bytes" },
		{ "{\"do\":\"balloon\",\"size\":\"128M\"}", "no number of bytes" },
		{ "{\"do\":\"balloon\",\"size\":null}", "no number of bytes" },
		{ "{\"do\":\"balloon\",\"size\":99999999999999999999}", "not JSON" },
		{ "{\"do\":\"balloon\",\"size\":1,\"unit\":\"M\"}", "balloon: unknown member: unit" },
		{ "{\"do\":\"accessed\"}", "accessed: the parts are no number from 1 to 256" },
		{ "{\"do\":\"accessed\",\"parts\":0}", "no number from 1 to 256" },
		{ "{\"do\":\"accessed\",\"parts\":257}", "no number from 1 to 256" },
		{ "{\"do\":\"accessed\",\"parts\":2.5}", "no number from 1 to 256" },
		{ "{\"do\":\"accessed\",\"parts\":2,\"clear\":true}", "accessed: unknown member: clear" },
		/* Cut within a letter. */
		{ "{\"do\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\xc3\xa4\"}", "odd letters" },
	};
	char deep[3000];

	(void)state;
	for (unsigned int i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		char *answer = control_answer(&ops, NULL, wrong[i][0], strlen(wrong[i][0]));

		assert_non_null(strstr(answer, wrong[i][1]));
		assert_memory_equal(answer, "{\"error\":\"", 10);
		assert_ptr_equal(strchr(answer, '\n'), answer + strlen(answer) - 1);
		free(answer);
	}
	/* A zero within a line ends nothing. */
	answers("{\"do\":\"stop\"}\0x", 15, "{\"error\":\"not JSON: end of file expected near end of file\"}\n");
	memset(deep, '[', sizeof(deep));
	free(control_answer(&ops, NULL, deep, sizeof(deep)));
	assert_int_equal(guest.calls, 0);
}

static int dial(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(address.sun_path, path);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void tell(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* What comes within some time; 0 when the other side has hung up. */
static size_t hear(int fd, char *text, size_t room)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t got;

	assert_int_equal(poll(&p, 1, 10000), 1);
	got = recv(fd, text, room - 1, 0);
	text[got > 0 ? got : 0] = 0;
	return got > 0 ? (size_t)got : 0;
}

static void through_the_socket(void **state)
{
	int fd[CONTROL_CLIENTS + 2];
	char text[256], *big;
	struct stat st;

	(void)state;
	assert_int_equal(control_open(&control, path), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	/* One socket, one guest. */
	assert_int_equal(control_open(&(struct control){ 0 }, path), -1);
	assert_int_equal(errno, EADDRINUSE);
	assert_int_equal(control_start(&control, &ops, NULL), 0);

	/* A line in pieces, and two in one. */
	fd[0] = dial();
	tell(fd[0], "{\"do\":");
	usleep(20000);
	tell(fd[0], "\"pause\"}\n");
	hear(fd[0], text, sizeof(text));
	assert_string_equal(text, "{\"ok\":\"paused\"}\n");
	tell(fd[0], "{\"do\":\"pause\"}\n{\"do\":\"pause\"}\n{");
	while (__atomic_load_n(&guest.calls, __ATOMIC_SEQ_CST) < 3)
		usleep(1000);
	/* More than there are places for: whoever has been silent for longest goes. */
	for (unsigned int i = 1; i < CONTROL_CLIENTS; i++) {
		fd[i] = dial();
		tell(fd[i], "{\"do\":\"status\"}\n");
		hear(fd[i], text, sizeof(text));
	}
	tell(fd[0], "\"do\":\"pause\"}\n");
	while (__atomic_load_n(&guest.calls, __ATOMIC_SEQ_CST) < 4)
		usleep(1000);
	fd[CONTROL_CLIENTS] = dial();
	tell(fd[CONTROL_CLIENTS], "nonsense\n");
	hear(fd[CONTROL_CLIENTS], text, sizeof(text));
	assert_non_null(strstr(text, "not JSON"));
	assert_int_equal(hear(fd[1], text, sizeof(text)), 0);
	close(fd[1]);
	fd[1] = dial();
	assert_int_equal(hear(fd[2], text, sizeof(text)), 0);
	close(fd[2]);
	/* The next one that would go is not what follows. */
	close(fd[0]);
	fd[2] = dial();
	/* Too long. */
	big = malloc(2 * CONTROL_LINE_MAX);
	memset(big, 'x', 2 * CONTROL_LINE_MAX);
	send(fd[1], big, 2 * CONTROL_LINE_MAX, MSG_NOSIGNAL);
	hear(fd[1], text, sizeof(text));
	assert_string_equal(text, "{\"error\":\"the request is too long\"}\n");
	assert_int_equal(hear(fd[1], text, sizeof(text)), 0);
	free(big);
	/* Who asks and never listens is hung up on, and others are answered. */
	while (send(fd[2], "{\"do\":\"status\"}\n", 16, MSG_NOSIGNAL) == 16)
		;
	tell(fd[3], "{\"do\":\"status\"}\n");
	hear(fd[3], text, sizeof(text));
	assert_non_null(strstr(text, "running"));
	control_stop(&control);
	control_close(&control);
	assert_int_equal(hear(fd[4], text, sizeof(text)), 0);
	for (unsigned int i = 1; i < CONTROL_CLIENTS + 1; i++)
		close(fd[i]);
	assert_int_equal(stat(path, &st), -1);
	control_stop(&control);
	control_close(&control);
}

/* Linux's, with as few descriptors as a test likes. */
static atomic_uint accepts;
static atomic_bool no_descriptors;

int accept4(int fd, struct sockaddr *address, socklen_t *size, int flags)
{
	atomic_fetch_add(&accepts, 1);
	if (atomic_load(&no_descriptors)) {
		errno = EMFILE;
		return -1;
	}
	return (int)syscall(SYS_accept4, fd, address, size, flags);
}

/* Who cannot be let in is not tried again and again, and is let in when there is room. */
static void no_descriptor_for_a_client(void **state)
{
	char text[256];
	int fd;

	(void)state;
	atomic_store(&accepts, 0);
	atomic_store(&no_descriptors, true);
	assert_int_equal(control_open(&control, path), 0);
	assert_int_equal(control_start(&control, &ops, NULL), 0);
	fd = dial();
	tell(fd, "{\"do\":\"status\"}\n");
	usleep(1000000);
	assert_in_range(atomic_load(&accepts), 1, 8);
	atomic_store(&no_descriptors, false);
	hear(fd, text, sizeof(text));
	assert_non_null(strstr(text, "running"));
	close(fd);
	control_stop(&control);
	control_close(&control);
}

static void sockets_that_cannot_be(void **state)
{
	char name[200];
	struct stat st;
	FILE *file;

	(void)state;
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	assert_int_equal(control_open(&control, name), -1);
	assert_non_null(strstr(mshv_error(), "too long"));
	assert_int_equal(control_open(&control, ""), -1);
	assert_int_equal(control_open(&control, "/nonexistent/socket"), -1);
	assert_int_equal(errno, ENOENT);
	control_close(&control);
	/* A file is nobody's socket, and stays. */
	file = fopen(path, "w");
	fclose(file);
	assert_int_equal(control_open(&control, path), -1);
	assert_int_equal(errno, EADDRINUSE);
	assert_int_equal(stat(path, &st), 0);
	unlink(path);
	/* What a killed process left behind is taken. */
	assert_int_equal(control_open(&control, path), 0);
	close(control.listener);
	assert_int_equal(control_open(&control, path), 0);
	control_close(&control);
	assert_int_equal(stat(path, &st), -1);
}

/* A name that has become somebody else's stays. */
static void a_socket_of_somebody_else(void **state)
{
	struct control other;
	struct stat st;

	(void)state;
	assert_int_equal(control_open(&control, path), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(control_open(&other, path), 0);
	control_close(&control);
	assert_int_equal(stat(path, &st), 0);
	control_close(&other);
	assert_int_equal(stat(path, &st), -1);
}

static pthread_barrier_t both;

static void *open_it(void *arg)
{
	pthread_barrier_wait(&both);
	return (void *)(intptr_t)control_open(arg, path);
}

/* Two guests start where one was killed: one of them gets its name, and keeps it. */
static void two_guests_and_what_was_left(void **state)
{
	struct control two[2];
	pthread_t thread[2];
	void *result[2];
	int folder_fd;

	(void)state;
	pthread_barrier_init(&both, NULL, 2);
	for (unsigned int round = 0; round < 300; round++) {
		assert_int_equal(control_open(&control, path), 0);
		close(control.listener);
		for (unsigned int i = 0; i < 2; i++)
			assert_int_equal(pthread_create(&thread[i], NULL, open_it, &two[i]), 0);
		for (unsigned int i = 0; i < 2; i++)
			pthread_join(thread[i], &result[i]);
		assert_int_equal(!result[0] + !result[1], 1);
		close(dial());
		control_close(&two[result[0] ? 1 : 0]);
	}
	pthread_barrier_destroy(&both);
	/* Somebody is at it for long: nothing is taken over, but what is free can be had. */
	assert_int_equal(control_open(&control, path), 0);
	close(control.listener);
	folder_fd = open(folder, O_RDONLY | O_DIRECTORY);
	assert_int_equal(flock(folder_fd, LOCK_EX), 0);
	assert_int_equal(control_open(&control, path), -1);
	assert_int_equal(errno, EADDRINUSE);
	unlink(path);
	assert_int_equal(control_open(&control, path), 0);
	close(folder_fd);
	control_close(&control);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_is_right),
		TEST(what_is_wrong),
		TEST(through_the_socket),
		TEST(no_descriptor_for_a_client),
		TEST(sockets_that_cannot_be),
		TEST(a_socket_of_somebody_else),
		TEST(two_guests_and_what_was_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
