// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who is connected to a tree from outside: tcp_outside FILE
 *
 * Writes two ports into the file.  Who connects to the first one is told "begun and half an
 * answer", and no more; the second one has no room for who asks, until the file is gone.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "tcp_ends.h"

static void fill_up(int fd)
{
	union address a = local(fd);

	for (int i = 0; i < 2; i++) {
		int client = MUST(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));

		OK(!connect(client, &a.any, sizeof(a.v4)) || errno == EINPROGRESS);
	}
}

int main(int argc, char **argv)
{
	const char *file = argc == 2 ? argv[1] : "/";
	int fd = listener(AF_INET, 5), slow = listener(AF_INET, 0), client;
	FILE *f = fopen(file, "w");

	fill_up(slow);
	if (!f)
		return 1;
	fprintf(f, "%d %d\n", ntohs(local(fd).v4.sin_port), ntohs(local(slow).v4.sin_port));
	fclose(f);
	client = MUST(accept(fd, NULL, NULL));
	say(client, "begun and half an answer");
	while (!access(file, F_OK))
		usleep(10000);
	for (;;) {
		client = MUST(accept(slow, NULL, NULL));
		send(client, "at last", 7, MSG_NOSIGNAL);
	}
	return 0;
}
