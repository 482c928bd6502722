// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A program whose open files wait in queues of Unix sockets, and are open nowhere else
 *
 * Prints "ready" once all is set up, waits until there is a file "go" in its directory, checks
 * that everything is as it was, and prints what is wrong, or "all well".
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/timerfd.h>

#include "unix_ends.h"
#include "unix_parcels.h"

static int stream[2], datagram[2], packet[2];

/* To @to, and nowhere else from now on. */
static void send_off(int to, const char *text, int fd)
{
	send_files(to, text, &fd, 1);
	close(fd);
}

/* The one descriptor that came with @text, or one that is none. */
static int take(int from, const char *text)
{
	int fds[4] = { -1 };

	OK(gets_files(from, 64, text, fds) == 1);
	return fds[0];
}

/* --- ends of pipes: one that stays open here, both in one queue --- */

static int writer;

static void make_pipes(void)
{
	int ends[2];

	MUST(pipe2(ends, O_NONBLOCK));
	put(ends[1], "in the pipe");
	writer = ends[1];
	send_off(stream[0], "a reader", ends[0]);
	MUST(pipe(ends));
	put(ends[1], "between two");
	send_off(datagram[0], "first", ends[0]);
	send_off(datagram[0], "second", ends[1]);
}

static bool reads(int fd, const char *text)
{
	char got[64];
	ssize_t n = read(fd, got, sizeof(got));

	return n == (ssize_t)strlen(text) && !memcmp(got, text, n);
}

static void check_pipes(void)
{
	int first, second, reader = take(stream[1], "a reader");

	OK(fcntl(reader, F_GETFL) == (O_RDONLY | O_NONBLOCK));
	OK(reads(reader, "in the pipe"));
	put(writer, "more");
	OK(reads(reader, "more"));
	close(writer);
	OK(read(reader, &first, 1) == 0);
	first = take(datagram[1], "first");
	second = take(datagram[1], "second");
	OK(reads(first, "between two"));
	close(second);
	OK(read(first, &second, 1) == 0);
}

/* --- files --- */

static void make_files(void)
{
	int fd, gone;

	unlink("named");
	fd = MUST(open("named", O_RDWR | O_CREAT | O_APPEND, 0640));
	put(fd, "some text");
	MUST(lseek(fd, 5, SEEK_SET));
	/* twice the same description */
	send_files(packet[0], "named", &fd, 1);
	send_off(packet[0], "again", fd);
	gone = MUST(open("gone", O_RDWR | O_CREAT, 0600));
	put(gone, "of no name");
	MUST(unlink("gone"));
	send_off(packet[0], "gone", gone);
	send_off(packet[0], "directory", MUST(open(".", O_RDONLY | O_DIRECTORY)));
	send_off(packet[0], "device", MUST(open("/dev/zero", O_RDONLY)));
	gone = MUST(memfd_create("flies", 0));
	put(gone, "in memory");
	send_off(packet[0], "memory", gone);
}

static void check_files(void)
{
	int named = take(packet[1], "named"), again = take(packet[1], "again"), fd;
	struct stat st;
	char got[16];

	OK(fcntl(named, F_GETFL) & O_APPEND && lseek(again, 0, SEEK_CUR) == 5);
	OK(lseek(named, 2, SEEK_SET) == 2 && lseek(again, 0, SEEK_CUR) == 2);
	put(again, "!");
	OK(pread(named, got, sizeof(got), 0) == 10 && !memcmp(got, "some text!", 10));
	fd = take(packet[1], "gone");
	OK(!fstat(fd, &st) && !st.st_nlink && (st.st_mode & 07777) == 0600);
	OK(lseek(fd, 0, SEEK_CUR) == 10 && pread(fd, got, sizeof(got), 0) == 10 &&
	   !memcmp(got, "of no name", 10));
	fd = take(packet[1], "directory");
	OK(!faccessat(fd, "named", R_OK, 0));
	fd = take(packet[1], "device");
	OK(read(fd, got, 4) == 4 && !memcmp(got, "\0\0\0", 4));
	fd = take(packet[1], "memory");
	OK(lseek(fd, 0, SEEK_CUR) == 9 && pread(fd, got, sizeof(got), 0) == 9 &&
	   !memcmp(got, "in memory", 9));
}

/* --- objects, and what watches them --- */

static void make_objects(void)
{
	struct epoll_event e = { .events = EPOLLIN, .data.u64 = 99 };
	const struct itimerspec soon = { .it_value.tv_nsec = 1 };
	int count = MUST(eventfd(3, EFD_NONBLOCK)), epoll = MUST(epoll_create1(0));
	int timer = MUST(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));

	MUST(timerfd_settime(timer, 0, &soon, NULL));
	usleep(2000);
	MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, count, &e));
	send_files(stream[0], "objects", (int[]){ count, epoll, timer }, 3);
	close(count);
	close(epoll);
	close(timer);
}

static void check_objects(void)
{
	struct epoll_event e = { 0 };
	uint64_t n = 0;
	int fds[4];

	OK(gets_files(stream[1], 64, "objects", fds) == 3);
	OK(epoll_wait(fds[1], &e, 1, 0) == 1 && e.data.u64 == 99);
	OK(read(fds[0], &n, sizeof(n)) == sizeof(n) && n == 3);
	OK(epoll_wait(fds[1], &e, 1, 0) == 0);
	OK(read(fds[2], &n, sizeof(n)) == sizeof(n) && n == 1);
}

/* --- sockets, with something in them, down to the third --- */

static int near, tcp;

static void make_sockets(void)
{
	int outer[2], inner[2], ends[2];

	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, outer));
	MUST(socketpair(AF_UNIX, SOCK_DGRAM, 0, inner));
	MUST(pipe(ends));
	put(ends[1], "at the bottom");
	close(ends[1]);
	send_off(inner[0], "a pipe", ends[0]);
	put(outer[0], "hello ");
	send_files(outer[0], "both", inner, 2);
	close(inner[0]);
	close(inner[1]);
	near = outer[0];
	send_off(stream[0], "a socket", outer[1]);
	/* the other end of this one is open nowhere at all */
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, outer));
	put(outer[0], "farewell");
	close(outer[0]);
	send_off(stream[0], "a last one", outer[1]);
}

static void make_tcp(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	socklen_t len = sizeof(in);
	int listener = MUST(socket(AF_INET, SOCK_STREAM, 0)), from;

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	MUST(bind(listener, (struct sockaddr *)&in, len));
	MUST(listen(listener, 5));
	MUST(getsockname(listener, (struct sockaddr *)&in, &len));
	tcp = MUST(socket(AF_INET, SOCK_STREAM, 0));
	MUST(connect(tcp, (struct sockaddr *)&in, len));
	from = MUST(accept(listener, NULL, NULL));
	put(tcp, "over the net");
	send_off(stream[0], "a connection", from);
	send_off(stream[0], "who listens", listener);
}

static void check_sockets(void)
{
	int far = take(stream[1], "a socket"), fds[4], pipe_;

	put(near, "afterwards");
	OK(gets_files(far, 6, "hello ", fds) == 0);
	OK(gets_files(far, 64, "both", fds) == 2);
	pipe_ = take(fds[1], "a pipe");
	OK(reads(pipe_, "at the bottom") && read(pipe_, &fds[2], 1) == 0);
	put(fds[0], "a pair");
	OK(gets(fds[1], "a pair"));
	OK(gets(far, "afterwards"));
	close(near);
	OK(is_at_end(far));
	far = take(stream[1], "a last one");
	OK(gets(far, "farewell") && is_at_end(far));
}

static void check_tcp(void)
{
	int from = take(stream[1], "a connection"), listener = take(stream[1], "who listens");
	struct sockaddr_in in;
	socklen_t len = sizeof(in);
	int to = MUST(socket(AF_INET, SOCK_STREAM, 0));

	OK(gets(from, "over the net"));
	put(from, "and back");
	OK(reads(tcp, "and back"));
	OK(!getsockname(listener, (struct sockaddr *)&in, &len));
	OK(!connect(to, (struct sockaddr *)&in, len) && accept(listener, NULL, NULL) >= 0);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, stream));
	MUST(socketpair(AF_UNIX, SOCK_DGRAM, 0, datagram));
	MUST(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, packet));
	make_pipes();
	make_files();
	make_objects();
	make_sockets();
	make_tcp();
	puts("all is set up");
	puts("ready");
	while (access("go", F_OK))
		usleep(20000);

	check_pipes();
	check_files();
	check_objects();
	check_sockets();
	check_tcp();
	OK(is_empty(stream[1]) && is_empty(datagram[1]) && is_empty(packet[1]));
	puts(wrong ? "not well" : "all well");
	return wrong != 0;
}
