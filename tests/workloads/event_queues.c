// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A program that has not read the events of its inotifies
 *
 * Usage: event_queues DIRECTORY; in which nobody else may look at anything meanwhile.
 *
 * Each inotify has a twin with the same watches, which is read at once: so it is known what is to
 * be read.  Prints "ready" once all is set up, waits until there is a file "go" in its directory,
 * reads the queues, goes on to use them, and prints what is wrong, or "all well".
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ok.h"

#define ROOM (1 << 18)
#define LONGEST 255

/* An inotify, and what its twin was told. */
struct queue {
	int fd, twin;
	int last;
	size_t len;
	char *wanted;
};

static struct queue below, self, ended, moves, arrived, partly, deep, shared, all_read;
static int level, edge, none_ready;
static int asks[2], answers[2];
static pid_t child;
static char longest[LONGEST + 1];

static void open_queue(struct queue *q)
{
	q->fd = MUST(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
	q->twin = MUST(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
}

static int watch(struct queue *q, const char *path, uint32_t mask)
{
	int wd = MUST(inotify_add_watch(q->fd, path, mask));

	MUST(inotify_add_watch(q->twin, path, mask) == wd ? 0 : -1);
	q->last = wd > q->last ? wd : q->last;
	return wd;
}

static void end_watch(struct queue *q, int wd)
{
	MUST(inotify_rm_watch(q->fd, wd));
	MUST(inotify_rm_watch(q->twin, wd));
}

/* All that the twin was told of; nothing more is to be told of before "go". */
static void note(struct queue *q)
{
	int bytes;

	q->wanted = malloc(ROOM);
	q->len = MUST(read(q->twin, q->wanted, ROOM));
	MUST(ioctl(q->fd, FIONREAD, &bytes));
	MUST(bytes == (int)q->len ? 0 : -1);
	close(q->twin);
}

static void make_file(const char *path)
{
	close(MUST(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644)));
}

static void write_file(const char *path)
{
	int fd = MUST(open(path, O_RDWR | O_CLOEXEC));
	char byte;

	MUST(write(fd, "xy", 2));
	MUST(read(fd, &byte, 1) ? -1 : pread(fd, &byte, 1, 0));
	close(fd);
}

static void make_below(void)
{
	memset(longest, 'n', LONGEST);
	MUST(mkdir("below", 0755));
	make_file("below/stays");
	open_queue(&below);
	watch(&below, "below", IN_ALL_EVENTS);
	make_file("below/new");
	write_file("below/new");
	write_file("below/stays");
	MUST(chmod("below/stays", 0600));
	MUST(truncate("below/stays", 1));
	MUST(rename("below/new", "below/newer"));
	MUST(rename("below/newer", "aside"));
	MUST(mkdir("below/directory", 0755));
	MUST(chmod("below/directory", 0700));
	close(MUST(open("below/directory", O_RDONLY)));
	MUST(rename("below/directory", "below/stays too"));
	MUST(mkdir("below/goes", 0755));
	MUST(rmdir("below/goes"));
	MUST(symlink("stays", "below/\xff\xfe \n"));
	MUST(link("below/stays", "below/linked"));
	MUST(unlink("below/linked"));
	MUST(chdir("below"));
	make_file(longest);
	MUST(unlink(longest));
	MUST(chdir(".."));
	close(MUST(open("below", O_RDONLY)));
	MUST(chmod("below", 0700));
	note(&below);
}

static void make_self(void)
{
	make_file("self");
	open_queue(&self);
	end_watch(&self, watch(&self, ".", IN_OPEN));
	watch(&self, "self", IN_ALL_EVENTS);
	write_file("self");
	MUST(chmod("self", 0600));
	MUST(truncate("self", 0));
	MUST(rename("self", "itself"));
	MUST(link("itself", "self too"));
	note(&self);
}

/* Events of watches that are over; the first of these is there yet, and many come behind it. */
static void make_ended(void)
{
	int i, wd;
	char name[32];

	MUST(mkdir("ended", 0755));
	MUST(mkdir("ended/directory", 0755));
	make_file("ended/file");
	make_file("ended/file too");
	open_queue(&ended);
	watch(&ended, "ended", IN_DELETE);
	watch(&ended, "ended/file", IN_ALL_EVENTS);
	watch(&ended, "ended/directory", IN_ALL_EVENTS | IN_ONLYDIR);
	watch(&ended, "ended/file too", IN_ATTRIB | IN_ONESHOT);
	wd = watch(&ended, ".", IN_CREATE);
	MUST(unlink("ended/file"));
	MUST(rmdir("ended/directory"));
	MUST(chmod("ended/file too", 0600));
	end_watch(&ended, wd);
	for (i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "ended/%d", i);
		make_file(name);
		watch(&ended, name, IN_DELETE_SELF);
		if (i % 2)
			MUST(unlink(name));
	}
	note(&ended);
}

static void make_moves(void)
{
	MUST(mkdir("from", 0755));
	MUST(mkdir("to", 0755));
	make_file("from/a");
	make_file("from/b");
	make_file("to/b");
	open_queue(&moves);
	watch(&moves, "from", IN_MOVE);
	watch(&moves, "to", IN_MOVE | IN_DELETE | IN_MOVE_SELF);
	watch(&moves, "from/a", IN_MOVE_SELF | IN_CLOSE_WRITE);
	MUST(rename("from/a", "to/a"));
	MUST(rename("from/b", "to/b"));
	MUST(rename("to/a", "from/a"));
	MUST(rename("from/a", "from/c"));
	MUST(rename("from/c", "from/a"));
	MUST(rename("from/a", "from/\303\244"));
	MUST(rename("to", "towards"));
	write_file("from/\303\244");
	MUST(mkdir("from/d", 0755));
	MUST(rename("from/d", "towards/d"));
	MUST(rename("towards/d", "out"));
	note(&moves);
}

/* From where nobody looks, into a directory of which nobody hears what leaves it. */
static void make_arrived(void)
{
	MUST(mkdir("arrived", 0755));
	make_file("one");
	MUST(mkdir("two", 0755));
	open_queue(&arrived);
	watch(&arrived, "arrived", IN_MOVED_TO | IN_CREATE);
	MUST(rename("one", "arrived/one"));
	MUST(rename("two", "arrived/two"));
	make_file("arrived/three");
	note(&arrived);
}

/* Some was read; and as much as can be kept. */
static void make_deep(void)
{
	char data[64];
	int i;

	make_file("deep");
	open_queue(&partly);
	watch(&partly, "deep", IN_ATTRIB | IN_OPEN | IN_CLOSE);
	write_file("deep");
	MUST(chmod("deep", 0600));
	MUST(read(partly.fd, data, 20) == 16 && read(partly.twin, data, 20) == 16 ? 0 : -1);
	note(&partly);
	open_queue(&all_read);
	make_file("read");
	watch(&all_read, "read", IN_ATTRIB);
	MUST(chmod("read", 0600));
	MUST(read(all_read.fd, data, sizeof(data)));
	close(all_read.twin);
	open_queue(&deep);
	watch(&deep, ".", IN_ATTRIB);
	for (i = 0; i < 1024; i++)
		MUST(chmod(i % 2 ? "deep" : "itself", 0600));
	note(&deep);
}

/* One queue, of which it reads the first event when it is asked, and its parent the rest. */
static pid_t child_that_reads(void)
{
	pid_t pid = MUST(fork());
	char byte, data[ROOM];
	size_t one;

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	one = sizeof(struct inotify_event) + ((struct inotify_event *)shared.wanted)->len;
	if (read(asks[0], &byte, 1) != 1 || read(shared.fd, data, one) != (ssize_t)one ||
	    memcmp(data, shared.wanted, one))
		byte = 'n';
	_exit(write(answers[1], &byte, 1) != 1);
}

static void add(int epoll, int fd, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.u64 = fd };

	MUST(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e));
}

static void make_shared(void)
{
	MUST(mkdir("shared", 0755));
	open_queue(&shared);
	watch(&shared, "shared", IN_CREATE);
	make_file("shared/for the child");
	make_file("shared/for the parent");
	note(&shared);
	MUST(pipe(asks));
	MUST(pipe(answers));
	child = child_that_reads();
	level = MUST(epoll_create1(EPOLL_CLOEXEC));
	add(level, shared.fd, EPOLLIN);
	edge = MUST(epoll_create1(EPOLL_CLOEXEC));
	add(edge, shared.fd, EPOLLIN | EPOLLET);
	none_ready = MUST(epoll_create1(EPOLL_CLOEXEC));
	add(none_ready, all_read.fd, EPOLLIN);
}

/* --- after "go" --- */

/* The other event of the same move, -1: there is none. */
static long twin_of(const char *data, size_t len, size_t of)
{
	const struct inotify_event *a = (const struct inotify_event *)(data + of), *b;

	for (size_t at = 0; a->cookie && at < len; at += sizeof(*b) + b->len) {
		b = (const struct inotify_event *)(data + at);
		if (at != of && b->cookie == a->cookie)
			return at;
	}
	return -1;
}

/* Is that what was wanted from @skip on? Cookies are others, but as they were to each other. */
static bool same(const struct queue *q, size_t skip, const char *got, ssize_t len)
{
	const char *wanted = q->wanted + skip;
	const struct inotify_event *a, *b;

	if (len != (ssize_t)(q->len - skip))
		return false;
	for (size_t at = 0; at < (size_t)len; at += sizeof(*a) + a->len) {
		a = (const struct inotify_event *)(wanted + at);
		b = (const struct inotify_event *)(got + at);
		if (a->wd != b->wd || a->mask != b->mask || a->len != b->len ||
		    !a->cookie != !b->cookie || memcmp(a->name, b->name, a->len) ||
		    twin_of(wanted, len, at) != twin_of(got, len, at))
			return false;
	}
	return true;
}

static void check(const char *what, struct queue *q, size_t skip)
{
	char *got = malloc(ROOM);
	struct pollfd p = { .fd = q->fd, .events = POLLIN };
	int bytes = 0;

	OK(poll(&p, 1, 0) == 1 && p.revents == POLLIN);
	OK(!ioctl(q->fd, FIONREAD, &bytes) && bytes == (int)(q->len - skip));
	if (!same(q, skip, got, read(q->fd, got, ROOM))) {
		printf("the events of '%s' are others\n", what);
		wrong++;
	}
	OK(read(q->fd, got, ROOM) < 0 && errno == EAGAIN);
	free(got);
}

/* A watch that is made now has the number that it would have had. */
static void check_next(struct queue *q)
{
	OK(inotify_add_watch(q->fd, "/", IN_CREATE) == q->last + 1);
}

static void check_shared(void)
{
	const struct inotify_event *first = (const struct inotify_event *)shared.wanted;
	struct epoll_event e[2];
	char byte = 'y';
	int status = -1;

	OK(epoll_wait(level, e, 2, 0) == 1 && e[0].events == EPOLLIN);
	OK(epoll_wait(edge, e, 2, 0) == 1 && !epoll_wait(edge, e, 2, 0));
	OK(!epoll_wait(none_ready, e, 2, 0));
	OK(write(asks[1], "y", 1) == 1 && read(answers[0], &byte, 1) == 1 && byte == 'y');
	OK(waitpid(child, &status, 0) == child && !status);
	OK(epoll_wait(level, e, 2, 0) == 1);
	check("shared", &shared, sizeof(*first) + first->len);
	OK(!epoll_wait(level, e, 2, 0) && !epoll_wait(edge, e, 2, 0));
	make_file("shared/new");
	OK(epoll_wait(level, e, 2, 0) == 1 && epoll_wait(edge, e, 2, 0) == 1);
	OK(!chmod("read", 0644) && epoll_wait(none_ready, e, 2, 0) == 1);
}

/* What happens then comes behind what waited, and is none where it is like the last of that. */
static void check_behind(void)
{
	char data[4096] __attribute__((aligned(8)));
	const struct inotify_event *last, *e;
	const size_t each = sizeof(*e);

	OK(!chmod("deep", 0644));
	close(open("deep", O_RDONLY));
	OK(read(partly.fd, data, sizeof(data)) == (ssize_t)(partly.len + 2 * each));
	last = (const struct inotify_event *)(data + partly.len - each);
	e = (const struct inotify_event *)(data + partly.len);
	OK(last->mask == IN_ATTRIB && e->mask == IN_OPEN);
	e = (const struct inotify_event *)(data + partly.len + each);
	OK(e->mask == IN_CLOSE_NOWRITE);
	OK(same(&partly, 0, data, partly.len));
}

int main(int argc, char **argv)
{
	char home[4096];

	(void)argc;
	setvbuf(stdout, NULL, _IOLBF, 0);
	MUST(getcwd(home, sizeof(home)) ? 0 : -1);
	MUST(mkdir(argv[1], 0755));
	MUST(chdir(argv[1]));
	make_below();
	make_self();
	make_ended();
	make_moves();
	make_arrived();
	make_deep();
	make_shared();
	puts("all is set up");
	puts("ready");
	strcat(home, "/go");
	while (access(home, F_OK))
		usleep(20000);
	check("below", &below, 0);
	check("self", &self, 0);
	check("ended", &ended, 0);
	check("moves", &moves, 0);
	check("arrived", &arrived, 0);
	check("deep", &deep, 0);
	check_behind();
	check_shared();
	check_next(&ended);
	check_next(&self);
	check_next(&all_read);
	puts(wrong ? "not well" : "all well");
	return wrong != 0;
}
