// SPDX-License-Identifier: GPL-2.0-only
/*
 * ask SOCKET: sends each line of standard input to a guest's control socket, and prints the answer. Raw, as somebody else's program
 * would: what is sent need not be a request.
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int ask(int fd, const char *line)
{
	size_t length = strlen(line);
	char byte;

	if (send(fd, line, length, MSG_NOSIGNAL) != (ssize_t)length)
		return -1;
	do {
		if (read(fd, &byte, 1) != 1)
			return -1;
		putchar(byte);
	} while (byte != '\n');
	return 0;
}

int main(int argc, char **argv)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	char line[4096];

	if (argc != 2 || strlen(argv[1]) >= sizeof(address.sun_path)) {
		fprintf(stderr, "usage: ask SOCKET <REQUESTS\n");
		return 2;
	}
	strcpy(address.sun_path, argv[1]);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address))) {
		perror(argv[1]);
		return 1;
	}
	while (fgets(line, sizeof(line), stdin)) {
		if (ask(fd, line)) {
			fprintf(stderr, "ask: no answer to %s", line);
			return 1;
		}
	}
	return 0;
}
