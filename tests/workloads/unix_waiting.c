// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A program with connections of Unix sockets that it has not accepted yet
 *
 * Prints "ready" once all is set up, waits until there is a file "go" in its directory, accepts
 * them, checks that everything is as it was, and prints what is wrong, or "all well".
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "unix_ends.h"

static pid_t self;
static int server, packets, hidden, blind;
static int first, third, sender, lost;
static pid_t other;
static char long_text[3000];

static int listen_at(int type, const char *name, int backlog)
{
	int fd = make_socket(type);

	bind_to(fd, name);
	MUST(listen(fd, backlog));
	return fd;
}

static int connect_to(int type, const char *name)
{
	int fd = make_socket(type);

	MUST(try_connect(fd, name));
	return fd;
}

/* By another user, who sends something and has ended. */
static void connect_as_other(void)
{
	static const gid_t groups[] = { 31, 47 };
	int status = -1;

	other = MUST(fork());
	if (!other) {
		if (setgroups(2, groups) || setresgid(2345, 2345, 2345) ||
		    setresuid(5432, 5432, 5432))
			_exit(1);
		put(connect_to(SOCK_STREAM, "@server"), "from another user");
		_exit(0);
	}
	MUST(waitpid(other, &status, 0));
	MUST(status ? -1 : 0);
}

static void make_streams(void)
{
	memset(long_text, 'l', sizeof(long_text) - 1);
	server = listen_at(SOCK_STREAM, "@server", 3);
	first = connect_to(SOCK_STREAM, "@server");
	put(first, "one ");
	put(first, "two");
	connect_as_other();
	third = make_socket(SOCK_STREAM);
	MUST(shutdown(third, SHUT_RD));
	MUST(try_connect(third, "@server"));
	put(third, long_text);
	MUST(shutdown(third, SHUT_WR));
	/* as many as it has room for, and one that says nothing */
	close(connect_to(SOCK_STREAM, "@server"));
}

static void make_others(void)
{
	packets = listen_at(SOCK_SEQPACKET, "packets", 5);
	MUST(chmod("packets", 0600));
	sender = connect_to(SOCK_SEQPACKET, "packets");
	put(sender, "a packet");
	MUST(send(sender, "", 0, 0));
	put(sender, "another");
	hidden = listen_at(SOCK_STREAM, "hidden", 0);
	lost = connect_to(SOCK_STREAM, "hidden");
	put(lost, "found");
	MUST(unlink("hidden"));
	/* nobody has connected to this one */
	blind = listen_at(SOCK_STREAM, "@blind", 1);
}

static bool is_full(const char *name)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	bool full = try_connect(fd, name) && errno == EAGAIN;

	close(fd);
	return full;
}

static void check_streams(void)
{
	gid_t groups[4] = { 0 };
	socklen_t len = sizeof(groups);
	char got[sizeof(long_text)];
	int fd;

	OK(is_full("@server") && !is_full("@blind"));
	OK(is_called(first, true, "@server") && made_by(first, self, 0, 0) && is_empty(first));
	fd = accept(server, NULL, NULL);
	OK(is_called(fd, false, "@server") && is_called(fd, true, NULL));
	OK(made_by(fd, self, 0, 0) && gets(fd, "one two") && is_empty(fd));
	put(fd, "answer");
	OK(gets(first, "answer"));
	put(first, "more");
	OK(gets(fd, "more"));
	close(first);
	OK(is_at_end(fd));

	fd = accept(server, NULL, NULL);
	OK(made_by(fd, other, 5432, 2345) && gets(fd, "from another user") && is_at_end(fd));
	OK(!getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len));
	OK(len == 8 && groups[0] == 31 && groups[1] == 47);
	OK(send(fd, "x", 1, MSG_NOSIGNAL) < 0 && errno == EPIPE);

	fd = accept(server, NULL, NULL);
	OK(recv(fd, got, sizeof(got), MSG_DONTWAIT) == sizeof(got) - 1 &&
	   !memcmp(got, long_text, sizeof(got) - 1));
	OK(is_at_end(fd) && is_at_end(third));
	OK(send(fd, "x", 1, MSG_NOSIGNAL) < 0 && errno == EPIPE);
	OK(send(third, "x", 1, MSG_NOSIGNAL) < 0 && errno == EPIPE);

	fd = accept(server, NULL, NULL);
	OK(is_at_end(fd));
}

static bool nobody_waits(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 0;
}

static void check_others(void)
{
	struct stat st;
	int fd = accept(packets, NULL, NULL);

	OK(gets(fd, "a packet") && gets(fd, "") && gets(fd, "another") && is_empty(fd));
	OK(!stat("packets", &st) && (st.st_mode & 07777) == 0600);
	put(fd, "to the sender");
	OK(gets(sender, "to the sender"));
	fd = accept(hidden, NULL, NULL);
	OK(gets(fd, "found") && is_called(lost, true, "hidden") && access("hidden", F_OK));
	/* one that was never accepted: its client hears of it */
	MUST(try_connect(make_socket(SOCK_STREAM), "@blind"));
	OK(nobody_waits(server) && nobody_waits(packets) && nobody_waits(hidden));
	OK(!nobody_waits(blind));
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	self = getpid();
	MUST(getrandom(&token, sizeof(token), 0));
	make_streams();
	make_others();
	puts("all is set up");
	puts("ready");
	while (access("go", F_OK))
		usleep(20000);

	check_streams();
	check_others();
	puts(wrong ? "not well" : "all well");
	return wrong != 0;
}
