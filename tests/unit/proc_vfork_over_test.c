// SPDX-License-Identifier: GPL-2.0-or-later
/* A vfork that is over just when it was found: the next attempt stops the tree, and nobody dies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "lib/proc_group.h"
#include "proc/procfs.h"

/* What the process and we tell each other. */
static volatile struct {
	bool in_vfork, end, keeper_stood;
} *shared;

static void in_vfork(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		pid_t pid = vfork();

		if (!pid) {
			shared->in_vfork = true;
			while (!shared->end)
				usleep(1000);
			_exit(0);
		}
		while (waitpid(pid, NULL, 0) != pid)
			;
		for (;;)
			pause();
	}
}

static bool has_children(pid_t pid, char *ret, size_t size)
{
	cleanup_fclose FILE *f = NULL;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	f = fopen(path, "re");
	return f && fgets(ret, size, f);
}

/* Return: the keeper once it is stopped, or 0. */
static pid_t stopped_keeper(void)
{
	char list[256], *at = list;

	if (!has_children(getpid(), list, sizeof(list)))
		return 0;
	for (pid_t pid; (pid = strtol(at, &at, 10));) {
		cleanup_fclose FILE *f = NULL;
		char path[64], name[32], state;

		snprintf(path, sizeof(path), "/proc/%d/stat", pid);
		f = fopen(path, "re");
		if (f && fscanf(f, "%*d (%31[^)]) %c", name, &state) == 2 &&
		    !strcmp(name, "ckpt-keeper") && state == 'T')
			return pid;
	}
	return 0;
}

/* The keeper stands where it has found the vfork: it is over when it goes on. */
static void *end_it(void *arg)
{
	pid_t root = *(pid_t *)arg, keeper = 0;
	char list[256];

	for (int tries = 0; !keeper && tries < 4000; tries++) {
		usleep(1000);
		keeper = stopped_keeper();
	}
	if (!keeper)
		return NULL;
	shared->keeper_stood = true;
	shared->end = true;
	for (int tries = 0; tries < 1000 && has_children(root, list, sizeof(list)); tries++)
		usleep(1000);
	kill(keeper, SIGCONT);
	return NULL;
}

static void over_when_it_is_found(void **state)
{
	struct ckpt_stop_params params = { .vfork_ms = 5000 };
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_stop *stop = NULL;
	pthread_t ender;
	pid_t pid = fork();

	(void)state;
	if (!pid)
		in_vfork();
	assert_true(pid > 0);
	while (!shared->in_vfork)
		usleep(1000);
	params.pid = pid;
	setenv("CKPT_FAULT", "keeper.vforked=stop", 1);
	assert_int_equal(ckpt_stop_open(&params, &stop, &err), 0);
	unsetenv("CKPT_FAULT");
	assert_int_equal(pthread_create(&ender, NULL, end_it, &pid), 0);
	if (ckpt_stop_begin(stop, &err))
		fail_msg("%s", err.text);
	pthread_join(ender, NULL);
	assert_true(shared->keeper_stood);
	assert_int_equal(ckpt_stop_release(stop, NULL, &err), 0);
	ckpt_stop_close(stop);
	assert_true(proc_group_untraced(pid));
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(over_when_it_is_found),
	};

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
