// SPDX-License-Identifier: GPL-2.0-or-later
/* A watched process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/pages.h"
#include "lib/watched.h"

#define P ((uint64_t)CKPT_PAGE_LEN)
#define USERFAULT (O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY)

struct order {
	uint64_t (*what)(uint64_t arg);
	uint64_t arg;
};

bool watched_notes_here(void)
{
	unsigned int major = 0, minor = 0;
	struct utsname name;

	if (uname(&name) || sscanf(name.release, "%u.%u", &major, &minor) != 2)
		abort();
	return major > 6 || (major == 6 && minor >= 7);
}

static void writes_are_noted(void **state)
{
	(void)state;
	skip();
}

int watched_skip(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(writes_are_noted) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}

static __attribute__((noreturn)) void obey(int orders, int done)
{
	struct order order;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (read(orders, &order, sizeof(order)) == sizeof(order)) {
		uint64_t ret = order.what(order.arg);

		if (write(done, &ret, sizeof(ret)) != sizeof(ret))
			break;
	}
	_exit(0);
}

static void enter(const char *cgroup)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) != 1)
		_exit(1);
	close(fd);
}

static uint64_t nothing(uint64_t arg)
{
	return arg;
}

void watched_start(struct watched *w, const char *cgroup)
{
	int to[2], from[2];

	assert_int_equal(pipe(to), 0);
	assert_int_equal(pipe(from), 0);
	w->pid = fork();
	assert_true(w->pid >= 0);
	if (!w->pid) {
		close(to[1]);
		close(from[0]);
		if (cgroup)
			enter(cgroup);
		obey(to[0], from[1]);
	}
	close(to[0]);
	close(from[1]);
	w->orders = to[1];
	w->done = from[0];
	assert_int_equal(watched_do(w, nothing, 7), 7);
}

void watched_begin(struct watched *w, uint64_t (*what)(uint64_t), uint64_t arg)
{
	struct order order = { what, arg };

	assert_int_equal(write(w->orders, &order, sizeof(order)), sizeof(order));
}

uint64_t watched_wait(struct watched *w)
{
	uint64_t ret;

	assert_int_equal(read(w->done, &ret, sizeof(ret)), sizeof(ret));
	return ret;
}

uint64_t watched_do(struct watched *w, uint64_t (*what)(uint64_t), uint64_t arg)
{
	watched_begin(w, what, arg);
	return watched_wait(w);
}

void watched_group(const struct watched *w, char *path)
{
	char file[PATH_MAX + 16];
	FILE *f;

	strcpy(path, "/tmp/ckpt-watched.XXXXXX");
	assert_non_null(mkdtemp(path));
	snprintf(file, sizeof(file), "%s/cgroup.procs", path);
	f = fopen(file, "we");
	assert_non_null(f);
	fprintf(f, "%d\n", w->pid);
	assert_int_equal(fclose(f), 0);
}

void watched_group_end(const char *path)
{
	char file[PATH_MAX + 16];

	snprintf(file, sizeof(file), "%s/cgroup.procs", path);
	assert_int_equal(unlink(file), 0);
	assert_int_equal(rmdir(path), 0);
}

void watched_end(struct watched *w)
{
	kill(w->pid, SIGKILL);
	close(w->orders);
	close(w->done);
	assert_int_equal(waitpid(w->pid, NULL, 0), w->pid);
}

static uint64_t make_userfault(uint64_t arg)
{
	(void)arg;
	return syscall(SYS_userfaultfd, USERFAULT);
}

static uint64_t close_number(uint64_t arg)
{
	return close(arg);
}

int watched_userfault_of(pid_t pid, int number)
{
	cleanup_close int pidfd = syscall(SYS_pidfd_open, pid, 0);
	int fd = syscall(SYS_pidfd_getfd, pidfd, number, 0);

	assert_true(fd >= 0);
	return fd;
}

int watched_userfault(struct watched *w)
{
	int number = watched_do(w, make_userfault, 0);
	int fd;

	assert_true(number >= 0);
	fd = watched_userfault_of(w->pid, number);
	assert_int_equal(watched_do(w, close_number, number), 0);
	return fd;
}

size_t watched_descriptors(pid_t pid)
{
	char path[64];
	struct dirent *d;
	size_t n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	assert_non_null(dir);
	while ((d = readdir(dir)))
		n += d->d_name[0] != '.';
	closedir(dir);
	return n;
}

size_t watched_registered(pid_t pid)
{
	cleanup_free char *line = NULL;
	size_t cap = 0, n = 0;
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/smaps", pid);
	f = fopen(path, "re");
	assert_non_null(f);
	while (getline(&line, &cap, f) > 0)
		n += !strncmp(line, "VmFlags:", 8) && strstr(line, " uw");
	fclose(f);
	return n;
}

void watched_stop(pid_t pid)
{
	int status;

	assert_int_equal(kill(pid, SIGSTOP), 0);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
}

void watched_go_on(pid_t pid)
{
	assert_int_equal(kill(pid, SIGCONT), 0);
}

uint64_t watched_map(uint64_t pages)
{
	uint8_t *mem = mmap(NULL, pages * P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			    -1, 0);

	madvise(mem, pages * P, MADV_NOHUGEPAGE);
	for (uint64_t i = 0; i < pages; i++)
		mem[i * P] = i + 1;
	return (uintptr_t)mem;
}

uint64_t watched_write(uint64_t page)
{
	++*(volatile uint8_t *)page;
	return 0;
}

uint64_t watched_read(uint64_t page)
{
	return *(volatile uint8_t *)page;
}

uint64_t watched_protect(uint64_t arg)
{
	return mprotect((void *)(arg & ~(P - 1)), P, arg & (P - 1));
}
