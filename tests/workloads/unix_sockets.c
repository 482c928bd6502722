// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A program with Unix sockets of all types, in every state
 *
 * Prints "ready" once all is set up, waits until there is a file "go" in its directory, checks
 * that everything is as it was, and prints what is wrong, or "all well".
 */
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ok.h"
#include "unix_ends.h"
#include "unix_parcels.h"

/* --- pairs --- */

static pid_t self;
static int stream[2], datagram[2], packet[2], half[2], big[2], late[2];
static char pattern[150000];
static bool nothing;	/* a datagram of no bytes as well */

static void make_pairs(void)
{
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, stream));
	MUST(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, datagram));
	MUST(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, packet));
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, half));
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, big));
	MUST(socketpair(AF_UNIX, SOCK_DGRAM, 0, late));
	put(stream[0], "one");
	put(stream[0], "two");
	put(stream[1], "back");
	put(datagram[0], "first");
	put(datagram[0], "second message");
	if (nothing)
		MUST(send(datagram[0], "", 0, 0));
	put(datagram[0], "fourth");
	put(packet[1], "a packet");
	put(packet[1], "another one");
	put(half[0], "last words");
	MUST(shutdown(half[0], SHUT_WR));
	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = i * 7 + i / 256;
	MUST(write(big[0], pattern, sizeof(pattern)) == sizeof(pattern) ? 0 : -1);
	bind_to(late[0], "@late");
	put(late[0], "from a name");
	MUST(shutdown(late[1], SHUT_WR));
}

static void check_pairs(void)
{
	static char got[sizeof(pattern)];
	size_t n = 0;
	ssize_t k;

	OK(gets(stream[1], "onetwo") && gets(stream[0], "back") && is_empty(stream[0]));
	OK(!(fcntl(stream[0], F_GETFL) & O_NONBLOCK) && fcntl(stream[0], F_GETFD) == 0);
	OK(fcntl(datagram[0], F_GETFL) & O_NONBLOCK);
	OK(fcntl(datagram[1], F_GETFD) == FD_CLOEXEC);
	OK(gets(datagram[1], "first") && gets(datagram[1], "second message"));
	OK(!nothing || gets(datagram[1], ""));
	OK(gets(datagram[1], "fourth") && is_empty(datagram[1]));
	OK(gets(packet[0], "a packet") && gets(packet[0], "another one") && is_empty(packet[0]));
	OK(gets(half[1], "last words") && is_at_end(half[1]) && is_empty(half[0]));
	OK(send(half[0], "x", 1, MSG_NOSIGNAL) < 0 && errno == EPIPE);
	put(half[1], "still heard");
	OK(gets(half[0], "still heard"));
	while ((k = read(big[1], got + n, sizeof(got) - n)) > 0)
		n += k;
	OK(n == sizeof(got) && !memcmp(got, pattern, n) && is_empty(big[1]));
	OK(is_called(late[0], false, "@late") && is_called(late[1], true, "@late"));
	OK(gets(late[1], "from a name"));
	OK(send(late[1], "x", 1, MSG_NOSIGNAL) < 0 && errno == EPIPE);
	put(late[0], "more");
	OK(gets(late[1], "more"));
	OK(made_by(stream[0], self, 0, 0) && made_by(packet[1], self, 0, 0));
	OK(made_by(datagram[0], self, 0, 0));
}

/* --- other ends that are closed --- */

static int closed[2], reset[2], closed_packet[2], closed_datagram[2];

static void make_closed(void)
{
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, closed));
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, reset));
	MUST(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, closed_packet));
	MUST(socketpair(AF_UNIX, SOCK_DGRAM, 0, closed_datagram));
	put(closed[1], "left behind");
	close(closed[1]);
	put(reset[0], "never read");
	put(reset[1], "nor this");
	close(reset[1]);
	put(closed_packet[1], "a last packet");
	close(closed_packet[1]);
	bind_to(closed_datagram[1], "@gone");
	put(closed_datagram[1], "a last datagram");
	close(closed_datagram[1]);
}

static void check_closed(void)
{
	struct pollfd p = { .fd = closed[0], .events = POLLIN };
	char byte;

	OK(poll(&p, 1, 0) == 1 && p.revents == (POLLIN | POLLHUP));
	OK(gets(closed[0], "left behind") && is_at_end(closed[0]));
	OK(send(closed[0], "x", 1, MSG_NOSIGNAL) < 0 && errno == EPIPE);
	OK(gets(reset[0], "nor this"));
	OK(recv(reset[0], &byte, 1, MSG_DONTWAIT) < 0 && errno == ECONNRESET);
	OK(is_at_end(reset[0]));
	OK(gets(closed_packet[0], "a last packet") && is_at_end(closed_packet[0]));
	OK(is_called(closed_datagram[0], true, "@gone"));
	OK(gets(closed_datagram[0], "a last datagram"));
	OK(send(closed_datagram[0], "x", 1, MSG_NOSIGNAL) < 0 && errno == ECONNREFUSED);
}

/* --- names --- */

static int server, abstract_server, packet_server, unlinked_server, relative, plain;
static int client, accepted, packet_client, packet_accepted, from_child;
static int early, early_accepted;
static pid_t asker;

static int listen_at(int type, const char *name, int backlog)
{
	int fd = make_socket(type);

	bind_to(fd, name);
	MUST(listen(fd, backlog));
	return fd;
}

/* A connection by another user, who has ended. */
static void connect_as_other(void)
{
	static const gid_t groups[] = { 17, 23 };
	int way[2], status;
	char byte = 0;

	MUST(pipe(way));
	asker = MUST(fork());
	if (!asker) {
		int fd = make_socket(SOCK_STREAM);

		if (setgroups(2, groups) || setresgid(1234, 1234, 1234) ||
		    setresuid(4321, 4321, 4321) || try_connect(fd, "@server") ||
		    send(fd, "hello", 5, 0) != 5 || write(way[1], "", 1) != 1)
			_exit(1);
		_exit(0);
	}
	close(way[1]);
	MUST(read(way[0], &byte, 1) == 1 ? 0 : -1);
	from_child = MUST(accept(abstract_server, NULL, NULL));
	MUST(waitpid(asker, &status, 0));
	close(way[0]);
}

static void make_names(void)
{
	mkdir("run", 0755);
	umask(077);
	server = listen_at(SOCK_STREAM, "run/../run/server", 7);
	umask(022);
	MUST(chmod("run/server", 0707));
	MUST(chown("run/server", 11, 12));
	abstract_server = listen_at(SOCK_STREAM, "@server", 5);
	packet_server = listen_at(SOCK_SEQPACKET, "@packets", 5);
	unlinked_server = listen_at(SOCK_STREAM, "run/removed", 3);
	MUST(unlink("run/removed"));
	relative = make_socket(SOCK_DGRAM);
	bind_to(relative, "here");
	MUST(rename("here", "there"));
	plain = make_socket(SOCK_STREAM);

	client = make_socket(SOCK_STREAM);
	MUST(try_connect(client, "run/server"));
	accepted = MUST(accept4(server, NULL, NULL, SOCK_NONBLOCK));
	put(client, "to the server");
	put(accepted, "to the client");
	packet_client = make_socket(SOCK_SEQPACKET);
	MUST(try_connect(packet_client, "@packets"));
	packet_accepted = MUST(accept(packet_server, NULL, NULL));
	put(packet_client, "in packets");
	/* shut before it is connected, which the other end does not know */
	early = make_socket(SOCK_STREAM);
	MUST(shutdown(early, SHUT_RD));
	MUST(try_connect(early, "@server"));
	early_accepted = MUST(accept(abstract_server, NULL, NULL));
	put(early, "nothing to hear");
	connect_as_other();
}

static void check_server(int type, int listener, const char *name, const char *path)
{
	int to = make_socket(type), from;

	OK(is_called(listener, false, name) && option(listener, SO_ACCEPTCONN) == 1);
	OK(!try_connect(to, path ? path : name));
	from = accept(listener, NULL, NULL);
	OK(from >= 0);
	put(to, "knock");
	OK(gets(from, "knock") && is_called(from, false, name) && is_called(to, true, name));
	OK(made_by(to, self, 0, 0) && made_by(from, self, 0, 0));
	close(to);
	close(from);
}

static void check_names(void)
{
	gid_t groups[4] = { 0 };
	socklen_t len = sizeof(groups);
	struct stat st;

	check_server(SOCK_STREAM, server, "run/../run/server", "run/server");
	check_server(SOCK_STREAM, abstract_server, "@server", NULL);
	check_server(SOCK_SEQPACKET, packet_server, "@packets", NULL);
	OK(!stat("run/server", &st) && S_ISSOCK(st.st_mode) && (st.st_mode & 07777) == 0707);
	OK(st.st_uid == 11 && st.st_gid == 12);
	OK(is_called(unlinked_server, false, "run/removed") && access("run/removed", F_OK));
	OK(is_called(relative, false, "here") && access("here", F_OK) && !access("there", F_OK));
	OK(!try_connect(plain, "run/server") && (close(accept(server, NULL, NULL)), true));
	OK(is_called(client, false, NULL) && is_called(client, true, "run/../run/server"));
	OK(is_called(accepted, false, "run/../run/server") && is_called(accepted, true, NULL));
	OK(gets(accepted, "to the server") && gets(client, "to the client"));
	OK(fcntl(accepted, F_GETFL) & O_NONBLOCK);
	put(client, "again");
	OK(gets(accepted, "again"));
	OK(gets(packet_accepted, "in packets"));
	OK(made_by(client, self, 0, 0) && made_by(accepted, self, 0, 0));
	OK(gets(early_accepted, "nothing to hear") && is_at_end(early));
	OK(send(early_accepted, "x", 1, MSG_NOSIGNAL) < 0 && errno == EPIPE);
	put(early, "still speaking");
	OK(gets(early_accepted, "still speaking"));
	OK(gets(from_child, "hello") && is_at_end(from_child));
	OK(made_by(from_child, asker, 4321, 1234));
	OK(!getsockopt(from_child, SOL_SOCKET, SO_PEERGROUPS, groups, &len));
	OK(len == 8 && groups[0] == 17 && groups[1] == 23);
}

/* --- datagrams by name --- */

static int inbox, writer, other_writer, both[2];

static void make_letters(void)
{
	inbox = make_socket(SOCK_DGRAM);
	bind_to(inbox, "run/inbox");
	writer = make_socket(SOCK_DGRAM);
	bind_to(writer, "@writer");
	MUST(try_connect(writer, "run/inbox"));
	other_writer = make_socket(SOCK_DGRAM);
	bind_to(other_writer, "run/writer");
	MUST(try_connect(other_writer, "run/inbox"));
	put(writer, "a letter");
	put(other_writer, "a postcard");
	put(writer, "a bill");
	both[0] = make_socket(SOCK_DGRAM);
	both[1] = make_socket(SOCK_DGRAM);
	bind_to(both[0], "@left");
	bind_to(both[1], "@right");
	MUST(try_connect(both[0], "@right"));
	MUST(try_connect(both[1], "@left"));
	put(both[0], "over there");
}

/* Two of one name, whose file is gone, and those that are connected to each. */
static int ghosts[2], mourners[2];

static void make_ghosts(void)
{
	for (int i = 0; i < 2; i++) {
		ghosts[i] = make_socket(SOCK_DGRAM);
		bind_to(ghosts[i], "run/ghost");
		mourners[i] = make_socket(SOCK_DGRAM);
		bind_to(mourners[i], i ? "@mourner" : "run/mourner");
		MUST(try_connect(mourners[i], "run/ghost"));
		put(mourners[i], i ? "to the second" : "to the first");
		MUST(unlink("run/ghost"));
	}
	MUST(unlink("run/mourner"));
	MUST(mkdir("run/ghost", 0700));
}

static bool gets_from(int fd, const char *text, const char *name)
{
	struct sockaddr_un un, wanted;
	socklen_t len = sizeof(un), n = name_of(&wanted, name);
	char got[64];
	ssize_t k = recvfrom(fd, got, sizeof(got), MSG_DONTWAIT, (struct sockaddr *)&un, &len);

	return k == (ssize_t)strlen(text) && !memcmp(got, text, k) && len == n &&
	       !memcmp(&un, &wanted, n);
}

static void check_ghosts(void)
{
	OK(gets_from(ghosts[0], "to the first", "run/mourner") && is_empty(ghosts[0]));
	OK(gets_from(ghosts[1], "to the second", "@mourner") && is_empty(ghosts[1]));
	for (int i = 0; i < 2; i++) {
		put(mourners[i], i ? "two" : "one");
		OK(gets(ghosts[i], i ? "two" : "one"));
		OK(is_called(ghosts[i], false, "run/ghost"));
		OK(is_called(mourners[i], true, "run/ghost"));
	}
	OK(!rmdir("run/ghost") && access("run/mourner", F_OK));
}

static void check_letters(void)
{
	OK(gets_from(inbox, "a letter", "@writer"));
	OK(gets_from(inbox, "a postcard", "run/writer"));
	OK(gets_from(inbox, "a bill", "@writer") && is_empty(inbox));
	put(other_writer, "one more");
	OK(gets_from(inbox, "one more", "run/writer"));
	OK(gets_from(both[1], "over there", "@left") && is_empty(both[0]));
	put(both[1], "over here");
	OK(gets_from(both[0], "over here", "@right"));
}

/* --- open files on their way --- */

static int parcel[2], parcel_datagram[2], sent_pipe[2], sent_file;

static void make_parcels(void)
{
	const int two[] = { MUST(open("sent", O_RDWR | O_CREAT, 0644)), 0 };

	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, parcel));
	MUST(socketpair(AF_UNIX, SOCK_DGRAM, 0, parcel_datagram));
	MUST(pipe(sent_pipe));
	sent_file = two[0];
	put(sent_file, "content");
	put(parcel[0], "before ");
	send_files(parcel[0], "with a file", (int[]){ sent_file }, 1);
	put(parcel[0], "between");
	send_files(parcel[0], "with two", (int[]){ sent_pipe[1], stream[0] }, 2);
	put(parcel[0], "after");
	put(parcel_datagram[0], "nothing");
	send_files(parcel_datagram[0], "itself", (int[]){ parcel_datagram[1] }, 1);
}

static void check_parcels(void)
{
	int fds[4];

	OK(gets_files(parcel[1], 7, "before ", fds) == 0);
	OK(gets_files(parcel[1], 64, "with a file", fds) == 1);
	OK(lseek(fds[0], 0, SEEK_CUR) == 7 && lseek(sent_file, 3, SEEK_SET) == 3 &&
	   lseek(fds[0], 0, SEEK_CUR) == 3);
	OK(gets_files(parcel[1], 7, "between", fds) == 0);
	OK(gets_files(parcel[1], 64, "with two", fds) == 2);
	put(fds[0], "p");
	put(fds[1], "s");
	OK(read(sent_pipe[0], fds, 4) == 1 && gets(stream[1], "s"));
	OK(gets_files(parcel[1], 64, "after", fds) == 0 && is_empty(parcel[1]));
	OK(gets_files(parcel_datagram[1], 64, "nothing", fds) == 0);
	OK(gets_files(parcel_datagram[1], 64, "itself", fds) == 1);
	put(parcel_datagram[0], "the same");
	OK(gets(fds[0], "the same"));
}

/* --- options --- */

static int dressed[2];
static int own_size, usual_size;

static void set(int fd, int name, int value)
{
	MUST(setsockopt(fd, SOL_SOCKET, name, &value, sizeof(value)));
}

static void make_options(void)
{
	const struct timeval t = { .tv_sec = 3, .tv_usec = 500000 };
	const struct linger l = { .l_onoff = 1, .l_linger = 9 };

	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, dressed));
	set(dressed[0], SO_SNDBUF, 50000);
	set(dressed[0], SO_RCVLOWAT, 12);
	set(dressed[0], SO_PASSCRED, 1);
	set(dressed[0], SO_PRIORITY, 3);
	set(dressed[1], SO_PEEK_OFF, 0);
	MUST(setsockopt(dressed[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)));
	MUST(setsockopt(dressed[1], SOL_SOCKET, SO_LINGER, &l, sizeof(l)));
	own_size = option(dressed[0], SO_SNDBUF);
	usual_size = option(dressed[1], SO_SNDBUF);
	MUST(fchown(dressed[1], 77, 78));
}

static void check_options(void)
{
	struct timeval t = { 0 };
	struct linger l = { 0 };
	socklen_t len = sizeof(t);
	struct stat st;

	OK(option(dressed[0], SO_SNDBUF) == own_size && own_size == 100000);
	OK(option(dressed[1], SO_SNDBUF) == usual_size);
	OK(option(dressed[0], SO_RCVLOWAT) == 12 && option(dressed[0], SO_PASSCRED) == 1);
	OK(option(dressed[1], SO_PASSCRED) == 0 && option(dressed[0], SO_PRIORITY) == 3);
	OK(option(dressed[1], SO_PEEK_OFF) == 0 && option(dressed[0], SO_PEEK_OFF) == -1);
	OK(!getsockopt(dressed[0], SOL_SOCKET, SO_RCVTIMEO, &t, &len));
	OK(t.tv_sec == 3 && t.tv_usec == 500000);
	len = sizeof(l);
	OK(!getsockopt(dressed[1], SOL_SOCKET, SO_LINGER, &l, &len));
	OK(l.l_onoff == 1 && l.l_linger == 9);
	OK(!fstat(dressed[1], &st) && st.st_uid == 77 && st.st_gid == 78);
	OK(option(datagram[1], SO_PEEK_OFF) == -1 && option(parcel[1], SO_PEEK_OFF) == -1);
}

/* --- who waits meanwhile --- */

static int waits[2], talks[2], watched[2], epoll;
static char heard[16];

static void *reader(void *arg)
{
	if (read(waits[1], heard, sizeof(heard)) < 0)
		heard[0] = '!';
	return arg;
}

static void child(void)
{
	char got[16];
	ssize_t n;

	while ((n = read(talks[1], got, sizeof(got))) > 0) {
		if (write(talks[1], got, n) != n)
			_exit(1);
	}
	_exit(n != 0);
}

static void check_waiting(pthread_t thread, pid_t pid)
{
	struct epoll_event e;
	int status = -1;
	char got[8];

	OK(epoll_wait(epoll, &e, 1, 0) == 1 && e.data.u64 == 77);
	OK(gets(watched[0], "look") && !epoll_wait(epoll, &e, 1, 0));
	OK(!heard[0]);
	put(waits[0], "wake up");
	pthread_join(thread, NULL);
	OK(!strcmp(heard, "wake up"));
	put(talks[0], "echo");
	OK(read(talks[0], got, sizeof(got)) == 4 && !memcmp(got, "echo", 4));
	OK(!shutdown(talks[0], SHUT_WR));
	OK(waitpid(pid, &status, 0) == pid && !status);
}

int main(int argc, char **argv)
{
	struct epoll_event e = { .events = EPOLLIN, .data.u64 = 77 };
	pthread_t thread;
	pid_t pid;

	setvbuf(stdout, NULL, _IOLBF, 0);
	self = getpid();
	nothing = argc > 1 && !strcmp(argv[1], "nothing");
	MUST(getrandom(&token, sizeof(token), 0));
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, talks));
	pid = MUST(fork());
	if (!pid) {
		close(talks[0]);
		child();
	}
	close(talks[1]);
	make_pairs();
	make_closed();
	make_names();
	make_letters();
	make_ghosts();
	make_parcels();
	make_options();
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, waits));
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, watched));
	epoll = MUST(epoll_create1(0));
	MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, watched[0], &e));
	put(watched[1], "look");
	pthread_create(&thread, NULL, reader, NULL);
	puts("all is set up");
	puts("ready");
	while (access("go", F_OK))
		usleep(20000);

	check_options();
	check_pairs();
	check_closed();
	check_names();
	check_letters();
	check_ghosts();
	check_parcels();
	check_waiting(thread, pid);
	puts(wrong ? "not well" : "all well");
	return wrong != 0;
}
