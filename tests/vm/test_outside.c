// SPDX-License-Identifier: GPL-2.0-only
/*
 * What of a Linux guest is seen from outside: its console on a terminal, and the names that it looks up.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <utmp.h>
#include <unistd.h>

#include "host.h"
#include "ktap.h"

#define LINUX		"/usr/lib/mshv/linux"
#define PATIENCE	120
#define ROWS		43
#define COLUMNS		132

static struct {
	pid_t pid;
	int master, slave;
	struct termios before;
	char said[65536];
	size_t size;
} guest;

/* A guest with a shell on a terminal. */
static bool start(const char *const *options)
{
	struct winsize size = { .ws_row = ROWS, .ws_col = COLUMNS };
	const char *args[32] = { "mshv", "run", "-k", LINUX, "-i", LINUX ".initrd", "-m", "256M", "-t", "300" };
	unsigned int count = 10;

	while (*options)
		args[count++] = *options++;
	guest.size = 0;
	if (openpty(&guest.master, &guest.slave, NULL, NULL, &size) || tcgetattr(guest.slave, &guest.before))
		return false;
	guest.pid = fork();
	if (guest.pid == 0) {
		close(guest.master);
		login_tty(guest.slave);
		execvp(args[0], (char *const *)(uintptr_t)args);
		_exit(127);
	}
	return guest.pid > 0;
}

/* Waits until it has said something behind what it had said before. */
static bool hear(const char *text)
{
	struct pollfd p = { .fd = guest.master, .events = POLLIN };
	double deadline = host_seconds() + PATIENCE;
	const char *found;
	ssize_t got;

	while (host_seconds() < deadline && guest.size < sizeof(guest.said) - 1) {
		guest.said[guest.size] = '\0';
		found = strstr(guest.said, text);
		if (found) {
			found += strlen(text);
			guest.size = (size_t)(guest.said + guest.size - found);
			memmove(guest.said, found, guest.size);
			return true;
		}
		if (poll(&p, 1, 1000) <= 0)
			continue;
		got = read(guest.master, guest.said + guest.size, sizeof(guest.said) - 1 - guest.size);
		if (got <= 0)
			break;
		guest.size += (size_t)got;
	}
	guest.said[guest.size] = '\0';
	ktap_note("not heard: %s; last was: %.300s", text,
		  guest.said + (guest.size > 300 ? guest.size - 300 : 0));
	return false;
}

static bool type(const char *text)
{
	return write(guest.master, text, strlen(text)) == (ssize_t)strlen(text);
}

/* Its exit code, -1 if it did not end by itself. */
static int end(void)
{
	double deadline = host_seconds() + PATIENCE;
	int status = 0;

	while (host_seconds() < deadline) {
		if (waitpid(guest.pid, &status, WNOHANG) == guest.pid) {
			guest.pid = 0;
			return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
		}
		usleep(10000);
	}
	return -1;
}

static void cleanup(void)
{
	if (guest.pid > 0) {
		kill(guest.pid, SIGKILL);
		waitpid(guest.pid, NULL, 0);
	}
	if (guest.master)
		close(guest.master);
	if (guest.slave)
		close(guest.slave);
	guest.pid = guest.master = guest.slave = 0;
}

/* ---- the terminal ---- */

static enum ktap_result a_terminal(const char *kind, const char *append)
{
	const char *const options[] = { "--console", kind, "--append", append, NULL };
	struct winsize size = { .ws_row = ROWS, .ws_col = COLUMNS };
	struct termios now;

	CHECK(start(options));
	CHECK(hear("guest: up, Linux"));
	CHECK(!tcgetattr(guest.slave, &now));
	CHECK(!(now.c_lflag & (ICANON | ECHO | ISIG)), "all keys are the guest's");
	CHECK(type("echo guest: $((6 * 7)) on $(tty)\n"));
	CHECK(hear("guest: 42 on "));
	CHECK(hear(*kind == 'v' ? "/dev/hvc0" : "/dev/ttyS0"));
	if (*kind == 'v') {
		CHECK(type("echo guest: size $(stty size)\n"));
		CHECK(hear("guest: size 43 132"), "of the terminal");
		size.ws_col = 77;
		CHECK(!ioctl(guest.slave, TIOCSWINSZ, &size));
		CHECK(type("until stty size | grep '43 77'; do sleep 1; done; echo guest: follows $((3 * 3))\n"));
		CHECK(hear("guest: follows 9"), "the terminal's size, when that has changed");
	}
	/*
	 * Ctrl-C ends what runs in the guest, and not the guest. What it ends says so itself: if the shell
	 * did, the key could come before it has begun that.
	 */
	CHECK(type("sh -c 'echo guest: sleeps $((1 + 2)); exec sleep 1000'\n"));
	CHECK(hear("guest: sleeps 3"));
	CHECK(type("\x03"));
	CHECK(type("echo guest: back from $((40 + 2))\n"));
	CHECK(hear("guest: back from 42"));
	/* Ctrl-A twice is one, for the guest's shell the beginning of the line. */
	CHECK(type("cho guest: at $((80 + 1))\x01\x01" "e\n"));
	CHECK(hear("guest: at 81"));
	CHECK(type("\x01q\x01x"));
	CHECK(hear("ended with Ctrl-A x"));
	CHECK(end() == 1);
	CHECK(!tcgetattr(guest.slave, &now));
	CHECK(now.c_lflag == guest.before.c_lflag && now.c_iflag == guest.before.c_iflag &&
	      now.c_oflag == guest.before.c_oflag, "the terminal is as it was");
	return PASS;
}

static enum ktap_result serial_console(void)
{
	return a_terminal("serial", "console=ttyS0 quiet panic=-1");
}

static enum ktap_result virtio_console(void)
{
	return a_terminal("virtio", "console=ttyS0 console=hvc0 quiet panic=-1");
}

/* Nobody reads what the guest prints, and it prints on: it can be ended all the same. */
static enum ktap_result nobody_reads(void)
{
	const char *const options[] = { "--console", "virtio", "--append",
					"console=ttyS0 console=hvc0 quiet panic=-1", NULL };

	CHECK(start(options));
	CHECK(hear("guest: up, Linux"));
	CHECK(type("while true; do dmesg; done\n"));
	sleep(3);
	CHECK(type("keys\x01x"));
	/* Now there is a reader again, for the last words. */
	sleep(2);
	CHECK(hear("ended with Ctrl-A x"));
	CHECK(end() == 1);
	return PASS;
}

/* ---- names ---- */

/* A name server for one question: whatever the name is, its address is 192.0.2.7. */
static bool answer_name(int fd, double patience)
{
	static const uint8_t answer[] = { 0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 7 };
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint8_t packet[512 + sizeof(answer)];
	struct sockaddr_in from;
	socklen_t size = sizeof(from);
	ssize_t got;

	if (poll(&p, 1, (int)(patience * 1000)) <= 0)
		return false;
	got = recvfrom(fd, packet, 512, 0, (struct sockaddr *)&from, &size);
	/* The first label of the name begins behind the header. */
	if (got < 20 || memcmp(packet + 12, "\x07movable\x04test", 13))
		return false;
	packet[2] = 0x81;
	packet[3] = 0x80;
	memset(packet + 4, 0, 8);
	packet[5] = packet[7] = 1;
	memcpy(packet + got, answer, sizeof(answer));
	return sendto(fd, packet, (size_t)got + sizeof(answer), 0, (struct sockaddr *)&from, size) > 0;
}

static int name_server(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(53),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address))) {
		close(fd);
		return -1;
	}
	return fd;
}

static enum ktap_result names(void)
{
	const char *const options[] = { "--net", "user", "--append", "console=ttyS0 quiet panic=-1", NULL };
	FILE *file = fopen("/etc/resolv.conf", "w");
	int server = name_server();

	CHECK(server >= 0, "%s", strerror(errno));
	CHECK(file && fputs("nameserver 127.0.0.1\n", file) >= 0 && !fclose(file));
	CHECK(start(options));
	CHECK(hear("guest: up, Linux"));
	CHECK(type("nslookup -type=a movable.test | sed 's/^Address: /guest: is /'\n"));
	CHECK(answer_name(server, PATIENCE));
	CHECK(hear("guest: is 192.0.2.7"));
	close(server);
	CHECK(type("poweroff -f\n"));
	CHECK(end() == 0);
	return PASS;
}

int main(void)
{
	static const struct ktap_test tests[] = {
		{ "serial console on a terminal", serial_console },
		{ "virtio console on a terminal", virtio_console },
		{ "nobody reads what the guest prints", nobody_reads },
		{ "names are looked up", names },
	};

	ktap_cleanup = cleanup;
	return KTAP_RUN(tests);
}
