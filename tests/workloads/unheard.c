// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A program that watches who reads its files, and has leases on some
 *
 * Prints "ready" once all is set up, waits until there is a file "go" in its directory, and prints
 * "all well" when nothing was opened or read and no lease was to be given up, else what was.
 *
 * usage: unheard FILE      one elsewhere, on which it has a lease as well
 */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ok.h"

static volatile sig_atomic_t broken;

static void note(int sig)
{
	(void)sig;
	broken++;
}

static void put(const char *path)
{
	int fd = MUST(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));

	MUST(write(fd, path, strlen(path)));
	close(fd);
}

static int lease(const char *path, int flags)
{
	int fd = MUST(open(path, flags | O_CREAT | O_CLOEXEC, 0600));

	MUST(fcntl(fd, F_SETLEASE, F_WRLCK));
	return fd;
}

static void say_events(int in)
{
	char room[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	ssize_t n;

	while ((n = read(in, room, sizeof(room))) > 0) {
		for (char *at = room; at < room + n;) {
			const struct inotify_event *e = (void *)at;

			printf("watch %d: event %x of %s\n", e->wd, e->mask,
			       e->len ? e->name : "itself");
			wrong++;
			at += sizeof(*e) + e->len;
		}
	}
}

int main(int argc, char **argv)
{
	int in, fds[3];

	(void)argc;
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGIO, note);
	in = MUST(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
	MUST(mkdir("watched", 0700));
	MUST(mkdir("watched/below", 0700));
	put("watched/file");
	put("watched/below/file");
	put("full");
	fds[0] = lease("full", O_RDWR);
	fds[1] = lease("empty", O_WRONLY);
	fds[2] = lease(argv[1], O_RDONLY);
	MUST(inotify_add_watch(in, "watched", IN_ALL_EVENTS));
	MUST(inotify_add_watch(in, "watched/below/file", IN_ALL_EVENTS));
	puts("all is set up");
	puts("ready");
	while (access("go", F_OK))
		usleep(20000);
	say_events(in);
	OK(!broken);
	for (int i = 0; i < 3; i++)
		OK(fcntl(fds[i], F_GETLEASE) == F_WRLCK && !lseek(fds[i], 0, SEEK_CUR));
	OK(open("full", O_RDONLY | O_NONBLOCK) < 0 && broken == 1);
	puts(wrong ? "not well" : "all well");
	return wrong != 0;
}
