// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * TAP, cgroups and stepped children for tests of the module
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/world.h"

#define EXIT_SKIP 4	/* what the kernel's selftests say it with */

static int cases;
static int failures;

/* Before the first line: TAP 13 is what lets a plan come last. */
static void header(void)
{
	static bool said;

	if (!said)
		printf("TAP version 13\n");
	said = true;
}

bool check(bool cond, const char *fmt, ...)
{
	va_list ap;

	header();
	printf("%s %d - ", cond ? "ok" : "not ok", ++cases);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
	failures += !cond;
	return cond;
}

void note(const char *fmt, ...)
{
	va_list ap;

	header();
	printf("# ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
}

int finish(void)
{
	header();
	printf("1..%d\n", cases);
	return failures ? 1 : 0;
}

void die(const char *fmt, ...)
{
	int err = errno;
	va_list ap;

	header();
	printf("not ok %d - ", ++cases);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf(" (%s)\n", strerror(err));
	fflush(stdout);
	exit(1);
}

bool kernel_from(unsigned int major, unsigned int minor)
{
	unsigned int is_major, is_minor;
	struct utsname name;

	if (uname(&name) || sscanf(name.release, "%u.%u", &is_major, &is_minor) != 2)
		die("the kernel's release");
	return is_major > major || (is_major == major && is_minor >= minor);
}

void skip_all(const char *fmt, ...)
{
	va_list ap;

	header();
	/* A plan of no case, or one more that is left out behind those that were not. */
	if (cases)
		printf("ok %d - the rest # SKIP ", ++cases);
	else
		printf("1..0 # SKIP ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	if (cases)
		printf("1..%d\n", cases);
	fflush(stdout);
	exit(failures ? 1 : EXIT_SKIP);
}

void shell(const char *fmt, ...)
{
	char command[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(command, sizeof(command), fmt, args);
	va_end(args);
	if (system(command))
		die("%s", command);
}

int put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n;
	int err;

	if (fd < 0)
		return -errno;
	n = write(fd, text, strlen(text));
	err = n < 0 ? -errno : 0;
	close(fd);
	return err;
}

int get(const char *path, char *buf, size_t len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;
	int err;

	if (fd < 0)
		return -errno;
	n = read(fd, buf, len - 1);
	err = -errno;
	close(fd);
	if (n < 0)
		return err;
	if (n && buf[n - 1] == '\n')
		n--;
	buf[n] = '\0';
	return (int)n;
}

void cgroup_make(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "/sys/fs/cgroup/%s", name);
	if (mkdir(path, 0755) && errno != EEXIST)
		die("mkdir %s", path);
}

void cgroup_move(pid_t pid, const char *cgroup)
{
	char path[128], text[16];

	snprintf(path, sizeof(path), "/sys/fs/cgroup/%s/cgroup.procs", cgroup);
	snprintf(text, sizeof(text), "%d", pid);
	if (put(path, text))
		die("move %d to %s", pid, cgroup);
}

int cgroup_gone(const char *name)
{
	char path[256];
	int tries;

	snprintf(path, sizeof(path), "/sys/fs/cgroup/%s", name);
	/* The last task leaves a moment after it was waited for. */
	for (tries = 0; rmdir(path) && errno == EBUSY && tries < 100; tries++)
		usleep(10000);
	return access(path, F_OK) ? 0 : -EBUSY;
}

static void child_loop(int in, int out, uint64_t *shared, void (*step)(int, uint64_t *))
{
	int n;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (read(in, &n, sizeof(n)) == sizeof(n)) {
		step(n, shared);
		if (write(out, &n, sizeof(n)) != sizeof(n))
			break;
	}
	_exit(0);
}

void child_start(struct child *c, const char *cgroup, void (*step)(int n, uint64_t *shared))
{
	char path[256], pid[16];
	int to[2], from[2];

	if (pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC))
		die("pipe");
	c->shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (c->shared == MAP_FAILED)
		die("mmap");
	fflush(stdout);
	c->pid = fork();
	if (c->pid < 0)
		die("fork");
	if (!c->pid) {
		close(to[1]);
		close(from[0]);
		child_loop(to[0], from[1], c->shared, step);
	}
	close(to[0]);
	close(from[1]);
	c->to = to[1];
	c->from = from[0];
	snprintf(path, sizeof(path), "/sys/fs/cgroup/%s/cgroup.procs", cgroup);
	snprintf(pid, sizeof(pid), "%d", c->pid);
	if (put(path, pid))
		die("move a child into %s", path);
}

void child_step(const struct child *c, int n)
{
	int back;

	if (write(c->to, &n, sizeof(n)) != sizeof(n) ||
	    read(c->from, &back, sizeof(back)) != sizeof(back) || back != n)
		die("step %d of the child", n);
}

void child_stop(const struct child *c)
{
	int status;

	kill(c->pid, SIGSTOP);
	if (waitpid(c->pid, &status, WUNTRACED) != c->pid || !WIFSTOPPED(status))
		die("stop the child");
}

void child_continue(const struct child *c)
{
	kill(c->pid, SIGCONT);
}

void child_end(struct child *c)
{
	kill(c->pid, SIGKILL);
	waitpid(c->pid, NULL, 0);
	close(c->to);
	close(c->from);
	munmap(c->shared, PAGE);
}

ssize_t child_read(pid_t pid, uint64_t addr, void *buf, size_t len)
{
	static int fd = -1;
	static pid_t last;
	char path[64];
	ssize_t n;

	if (fd < 0 || last != pid) {
		if (fd >= 0)
			close(fd);
		snprintf(path, sizeof(path), "/proc/%d/mem", pid);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		last = pid;
		if (fd < 0)
			return -errno;
	}
	n = pread(fd, buf, len, (off_t)addr);
	return n < 0 ? -errno : n;
}

uint64_t rnd(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state * 0x2545f4914f6cdd1dULL >> 16;
}

char *map_anon(size_t len, size_t align)
{
	char *p = mmap(NULL, len + align, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *q;

	if (p == MAP_FAILED)
		die("mmap");
	if (!align)
		return p;
	q = (char *)(((uintptr_t)p + align - 1) & ~(align - 1));
	if (q > p)
		munmap(p, (size_t)(q - p));
	if (q < p + align)
		munmap(q + len, (size_t)(p + align - q));
	return q;
}

char *map_anon_at(void *addr, size_t len)
{
	char *p = mmap(addr, len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	if (p == MAP_FAILED)
		die("mmap");
	return p;
}
