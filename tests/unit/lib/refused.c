// SPDX-License-Identifier: GPL-2.0-or-later
/* Refusals that a process of its own hears. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/refused.h"

#define NOT_REFUSED 3

void refused_aside(int (*what)(void *arg, struct ckpt_err *err), void *arg, const char *says)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	int pair[2], status;
	pid_t pid;

	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	pid = fork();
	if (!pid) {
		if (!what(arg, &err))
			_exit(NOT_REFUSED);
		_exit(write(pair[1], &err, sizeof(err)) != sizeof(err));
	}
	close(pair[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (status)
		fail_msg("\"%s\": status %d", says, status);
	assert_int_equal(read(pair[0], &err, sizeof(err)), sizeof(err));
	close(pair[0]);
	if (err.status != CKPT_REFUSED || !strstr(err.text, says))
		fail_msg("\"%s\" (status %d) does not say \"%s\"", err.text, err.status, says);
}
