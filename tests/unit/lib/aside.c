// SPDX-License-Identifier: GPL-2.0-or-later
/* Aside: a program outside the group. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/aside.h"
#include "lib/restore_cycle.h"

#define WAIT_MS 20000

pid_t aside_start(const char *name, const char *dir, const char *a, const char *b)
{
	cleanup_free char *program = cycle_program(name);
	pid_t pid = fork();
	int out;

	assert_true(pid >= 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setsid();
	out = chdir(dir) ? -1 : open("said", O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (out < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
		_exit(1);
	close_range(3, ~0u, 0);
	execl(program, program, a, b, NULL);
	_exit(1);
}

void aside_path(const char *dir, const char *name, char ret[128])
{
	snprintf(ret, 128, "%s/%s", dir, name);
}

void aside_touch(const char *dir, const char *name)
{
	char path[128];

	aside_path(dir, name, path);
	close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

void aside_forget(const char *dir, const char *name)
{
	char path[128];

	aside_path(dir, name, path);
	unlink(path);
}

void aside_read(const char *dir, const char *name, char *ret, size_t size)
{
	char path[128];
	ssize_t n = 0;
	int fd;

	aside_path(dir, name, path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, ret, size - 1);
		close(fd);
	}
	ret[n < 0 ? 0 : n] = 0;
}

static bool has_word(const char *dir, const char *name, const char *word)
{
	static char text[65536];

	aside_read(dir, name, text, sizeof(text));
	return strstr(text, word);
}

bool aside_said(const char *dir, const char *word)
{
	return has_word(dir, "said", word);
}

void aside_wait(const char *dir, const char *name, const char *word)
{
	for (int i = 0; i < WAIT_MS / 5; i++) {
		if (has_word(dir, name, word))
			return;
		usleep(5000);
	}
	fail_msg("no '%s' in %s/%s", word, dir, name);
}

void aside_remove(const char *dir)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	assert_int_equal(system(command), 0);
}
