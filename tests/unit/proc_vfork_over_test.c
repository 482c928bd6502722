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
	pid_t child;
	bool end, keeper_stood;
} *shared;

static void in_vfork(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		pid_t pid = vfork();

		if (!pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			shared->child = getpid();
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

/* R, S, T, Z ... of a process of some name, or 0. */
static char state_of(pid_t pid, const char *name)
{
	cleanup_fclose FILE *f = NULL;
	char path[64], is[32], state;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	return f && fscanf(f, "%*d (%31[^)]) %c", is, &state) == 2 &&
	       (!name || !strcmp(is, name)) ? state : 0;
}

/* Return: the keeper once it is stopped, or 0. */
static pid_t stopped_keeper(void)
{
	cleanup_fclose FILE *f = NULL;
	char path[64], list[256], *at = list;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", getpid(), getpid());
	f = fopen(path, "re");
	if (!f || !fgets(list, sizeof(list), f))
		return 0;
	for (pid_t pid; (pid = strtol(at, &at, 10));) {
		if (state_of(pid, "ckpt-keeper") == 'T')
			return pid;
	}
	return 0;
}

/* The keeper stands where it has found the vfork: it is over when it goes on. */
static void *end_it(void *arg)
{
	pid_t keeper = 0;

	(void)arg;
	for (int tries = 0; !keeper && tries < 10000; tries++) {
		usleep(1000);
		keeper = stopped_keeper();
	}
	shared->keeper_stood = keeper;
	shared->end = true;
	/* its parent is held: nobody reaps it */
	for (int tries = 0; tries < 10000 && state_of(shared->child, NULL) != 'Z'; tries++)
		usleep(1000);
	if (keeper)
		kill(keeper, SIGCONT);
	return NULL;
}

static void over_when_it_is_found(void **state)
{
	struct ckpt_stop_params params = { .vfork_ms = 30000 };
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_stop *stop = NULL;
	pthread_t ender;
	pid_t pid = fork();

	(void)state;
	if (!pid)
		in_vfork();
	assert_true(pid > 0);
	while (!shared->child)
		usleep(1000);
	params.pid = pid;
	setenv("CKPT_FAULT", "keeper.vforked=stop", 1);
	assert_int_equal(ckpt_stop_open(&params, &stop, &err), 0);
	unsetenv("CKPT_FAULT");
	assert_int_equal(pthread_create(&ender, NULL, end_it, NULL), 0);
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
