// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A signal that comes in the stop to who blocks all and waits for some by signalfd
 *
 * The runs of our calls are ended by a signal that the program has no use for; of who blocks it
 * nobody knows that.  One of somebody else must be there when the stop is over, once.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/proc_group.h"

#define WAIT_MS 3000

/* What the process has read, and which thread of it reads. */
static volatile struct {
	pid_t reader;
	unsigned int got[65], others;
} *said;

static void *read_signals(void *arg)
{
	struct signalfd_siginfo info;
	sigset_t all;
	int fd;

	(void)arg;
	sigfillset(&all);
	fd = signalfd(-1, &all, SFD_CLOEXEC);
	said->reader = gettid();
	while (fd >= 0 && read(fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_pid != (uint32_t)getppid())
			said->others++;
		else
			said->got[info.ssi_signo]++;
	}
	return NULL;
}

static void *sleep_on(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static void block_all(void)
{
	pthread_t thread;
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	pthread_create(&thread, NULL, sleep_on, NULL);
	pthread_create(&thread, NULL, read_signals, NULL);
	while (!said->reader)
		usleep(1000);
}

static void all_are_got(const char *point)
{
	for (int tries = 0; tries < WAIT_MS; tries++) {
		if (said->got[SIGURG] && said->got[SIGWINCH])
			break;
		usleep(1000);
	}
	/* what is one too many comes at once, too */
	usleep(20000);
	if (said->got[SIGURG] != 1 || said->got[SIGWINCH] != 1 || said->others)
		fail_msg("%s: SIGURG %u times, SIGWINCH %u, others %u", point, said->got[SIGURG],
			 said->got[SIGWINCH], said->others);
}

static void stop_with_signals(const char *point, bool to_thread)
{
	struct ckpt_stop_params params = { 0 };
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_stop *stop = NULL;
	struct ckpt_image image;
	pid_t keeper;

	memset((void *)said, 0, sizeof(*said));
	params.pid = proc_group_spawn(NULL, block_all);
	assert_true(params.pid > 0);
	keeper = proc_group_collect_at(&params, point, &stop, &err);
	if (keeper < 0)
		fail_msg("%s: %s", point, err.text);
	for (int i = 0; i < 2; i++) {
		int sig = i ? SIGWINCH : SIGURG;

		if (to_thread)
			syscall(SYS_tgkill, params.pid, said->reader, sig);
		else
			kill(params.pid, sig);
	}
	kill(keeper, SIGCONT);
	if (ckpt_stop_collect_wait(stop, &image, &err))
		fail_msg("%s: %s", point, err.text);
	ckpt_image_done(&image);
	assert_int_equal(ckpt_stop_release(stop, NULL, &err), 0);
	ckpt_stop_close(stop);
	all_are_got(point);
	assert_true(proc_group_untraced(params.pid));
	kill(params.pid, SIGKILL);
	waitpid(params.pid, NULL, 0);
}

static const char *const points[] = { "keeper.registers=stop", "keeper.looked=stop",
				      "keeper.mapped=stop", "keeper.written=stop" };

static void of_the_process(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++)
		stop_with_signals(points[i], false);
}

static void of_a_thread(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++)
		stop_with_signals(points[i], true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_the_process),
		cmocka_unit_test(of_a_thread),
	};

	said = mmap(NULL, sizeof(*said), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (said == MAP_FAILED)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
