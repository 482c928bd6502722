// SPDX-License-Identifier: GPL-2.0-or-later
/* POSIX timers over a restore. Natively as root. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cgroup.h"
#include "lib/proc_group.h"
#include "lib/restore_cycle.h"
#include "proc/parse.h"

#define PROGRAM "timers"
#define N_TIMERS 11
#define LATE 4

static const struct ckpt_task *task_with(const struct saved *s, size_t n)
{
	for (size_t i = 0; i < s->image.n_tasks; i++) {
		if (s->image.tasks[i].n_timers == n)
			return &s->image.tasks[i];
	}
	fail_msg("no task has %zu timers", n);
	return NULL;
}

static void test_restored(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	const struct ckpt_task *t;
	int overrun = 0, pending = 0, of_day = 0;

	(void)state;
	cycle_save_program(PROGRAM, NULL, true, &s);
	t = task_with(&s, N_TIMERS);
	assert_non_null(task_with(&s, 1));
	for (size_t i = 0; i < t->n_timers; i++) {
		overrun += t->timers[i].overrun == LATE;
		pending += t->timers[i].pending && !t->timers[i].interval_ns;
		of_day += t->timers[i].of_day;
	}
	assert_int_equal(overrun, 1);
	assert_int_equal(pending, 1);
	assert_int_equal(of_day, 1);
	cycle_go_on(&s);
}

static void wait_a_while(void)
{
	usleep(300000);
}

/* Those that repeat have expired in the stop, and go on from there. */
static void test_expired_in_the_stop(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	const struct ckpt_task *t;
	int pending = 0;

	(void)state;
	cycle_while_stopped = wait_a_while;
	cycle_save_program(PROGRAM, NULL, false, &s);
	cycle_while_stopped = NULL;
	t = task_with(&s, N_TIMERS);
	for (size_t i = 0; i < t->n_timers; i++)
		pending += t->timers[i].pending && t->timers[i].interval_ns;
	/* the others go off later */
	assert_int_equal(pending, 2);
	usleep(1500000);
	cycle_go_on(&s);
}

/* Captured once more after the restore. */
static void test_restored_twice(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	cleanup_with(cycle_saved_done) struct saved again = { 0 };

	(void)state;
	cycle_save_program(PROGRAM, NULL, true, &s);
	cycle_restore_and_save(&s, 50000, &again);
	assert_non_null(task_with(&again, N_TIMERS));
	cycle_go_on(&again);
}

/* What it overran is made again also where it is due before that is done. */
static void test_late_and_due(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	const struct ckpt_task *t;

	(void)state;
	cycle_save_program(PROGRAM, NULL, true, &s);
	t = task_with(&s, N_TIMERS);
	for (size_t i = 0; i < t->n_timers; i++) {
		if (t->timers[i].overrun)
			t->timers[i].value_ns = 1;
	}
	cycle_go_on(&s);
}

/* As before Linux 6.15, where ids are counted. */
static void test_counted_ids(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	char reached[64];

	(void)state;
	cycle_save_program(PROGRAM, NULL, true, &s);
	snprintf(reached, sizeof(reached), "/tmp/ckpt-test-%d-reached", getpid());
	setenv("CKPT_FAULT", "restore.ids=fail", 1);
	setenv("CKPT_FAULT_REACHED", reached, 1);
	cycle_go_on(&s);
	unsetenv("CKPT_FAULT_REACHED");
	unsetenv("CKPT_FAULT");
	assert_int_equal(unlink(reached), 0);
}

/* One that is missing, or another one, is seen before the tree runs. */
static void test_lost(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	struct ckpt_restore_params params = { .image = &s.image, .source = &s.source };
	struct ckpt_restore *r = NULL;
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_task *t;

	(void)state;
	cycle_save_program(PROGRAM, NULL, true, &s);
	params.cgroup = cycle_cgroup_dir;
	t = (struct ckpt_task *)task_with(&s, N_TIMERS);
	cycle_check(ckpt_restore_build(&params, &r, &err), &err);
	t->n_timers--;
	assert_int_equal(ckpt_restore_verify(r, &err), -1);
	assert_non_null(strstr(err.text, "is not that of the checkpoint"));
	t->n_timers++;
	t->timers[3].sigval++;
	err = (struct ckpt_err)CKPT_ERR_INIT;
	assert_int_equal(ckpt_restore_verify(r, &err), -1);
	assert_non_null(strstr(err.text, "is not that of the checkpoint"));
	ckpt_restore_close(r);
	cycle_fresh_cgroup();
}

/* --- refusals --- */

static int make(int clock, int notify, int signo, pid_t tid)
{
	struct sigevent e = { .sigev_notify = notify, .sigev_signo = signo };
	int id;

	e._sigev_un._tid = tid;
	if (syscall(SYS_timer_create, clock, &e, &id))
		proc_group_lacks(0);
	return id;
}

static void set(int id, int flags, int64_t value_ns, int64_t interval_ns)
{
	const struct itimerspec spec = {
		{ interval_ns / 1000000000, interval_ns % 1000000000 },
		{ value_ns / 1000000000, value_ns % 1000000000 },
	};

	if (syscall(SYS_timer_settime, id, flags, &spec, NULL))
		_exit(1);
}

static void block(int signo)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, signo);
	sigprocmask(SIG_BLOCK, &signals, NULL);
}

static void hold_cpu_time(void)
{
	make(CLOCK_PROCESS_CPUTIME_ID, SIGEV_SIGNAL, SIGALRM, 0);
}

static void hold_atomic_time(void)
{
	make(CLOCK_TAI, SIGEV_SIGNAL, SIGALRM, 0);
}

static void *aim_at_itself(void *arg)
{
	make(CLOCK_MONOTONIC, SIGEV_THREAD_ID, SIGALRM, gettid());
	return arg;
}

static void aim_at_nobody(void)
{
	pthread_t t;

	if (pthread_create(&t, NULL, aim_at_itself, NULL) || pthread_join(t, NULL))
		_exit(1);
}

static void let_it_wait(void)
{
	block(SIGALRM);
	set(make(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGALRM, 0), 0, 1, 1000000);
}

static void hide_the_day(void)
{
	set(make(CLOCK_REALTIME, SIGEV_NONE, 0, 0), 0, 1000000000000, 0);
}

static int64_t now_ns(int clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

/* Others, not of a time of day, expire whenever it may. */
static void hide_among_others(void)
{
	const int64_t later = 3600000000000;
	int64_t day = now_ns(CLOCK_REALTIME) + later, span = now_ns(CLOCK_MONOTONIC) + later;

	set(make(CLOCK_REALTIME, SIGEV_SIGNAL, SIGALRM, 0), TIMER_ABSTIME, day, 0);
	for (int i = -200; i <= 200; i++)
		set(make(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGALRM, 0), TIMER_ABSTIME,
		    span + i * 100, 0);
}

/* Its signal is taken after it has expired three times more. */
static void take_late(void)
{
	const int64_t interval = 1000000000000;
	struct timespec now;
	siginfo_t info;
	sigset_t signals;

	block(SIGALRM);
	clock_gettime(CLOCK_REALTIME, &now);
	set(make(CLOCK_REALTIME, SIGEV_SIGNAL, SIGALRM, 0), TIMER_ABSTIME,
	    now.tv_sec * 1000000000 - 3 * interval - 1, interval);
	sigemptyset(&signals);
	sigaddset(&signals, SIGALRM);
	if (sigwaitinfo(&signals, &info) != SIGALRM || info.si_overrun != 3)
		_exit(1);
}

static void test_refused(void **state)
{
	static const struct proc_group_refusal cases[] = {
		{ hold_cpu_time, "has a POSIX timer (id 0) of CPU time" },
		{ hold_atomic_time, "has a POSIX timer (id 0) of clock 11" },
		{ aim_at_nobody, "for a thread that has ended" },
		{ let_it_wait, "nothing tells how often it has expired since" },
		{ hide_the_day, "does not tell whether it was set to a time of day" },
		{ hide_among_others, "does not tell whether it was set to a time of day" },
		{ take_late, "of CLOCK_REALTIME whose signal was taken too late" },
	};

	(void)state;
	proc_group_refusals(cases, sizeof(cases) / sizeof(cases[0]));
}

/* Another timer that is due at the same time is due at another one by the next look. */
static void test_passing(void **state)
{
	static void (*const hold[])(void) = { hide_the_day, hide_among_others };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct ckpt_stop_params params = { .pid = proc_group_spawn(NULL, hold[i]) };
		struct ckpt_err err = CKPT_ERR_INIT;

		assert_int_equal(proc_group_cycle(&params, NULL, &err), -1);
		assert_int_equal(err.status, CKPT_REFUSED);
		assert_int_equal(err.passing, i);
		kill(params.pid, SIGKILL);
		waitpid(params.pid, NULL, 0);
	}
}

/* --- images that contradict themselves --- */

#define SPOIL(name, change) static void name(struct ckpt_timer *t) { change; }

SPOIL(be_out_of_order, t->id = -1)
SPOIL(have_no_clock, t->clock = CLOCK_TAI)
SPOIL(be_unknown, t->notify = 3)
SPOIL(aim_at_stranger, t->tid = 99999999)
SPOIL(be_over, t->value_ns = -1)
SPOIL(repeat_backwards, t->interval_ns = -1)
SPOIL(be_early, t->overrun = -1)
SPOIL(be_of_no_day, (t->clock = CLOCK_MONOTONIC, t->of_day = true))
SPOIL(be_late_for_ages, (t->overrun = INT32_MAX, t->interval_ns = INT64_MAX / 2))
SPOIL(be_late_once, (t->overrun = 1, t->interval_ns = 0))
SPOIL(have_no_signal, (t->notify = SIGEV_SIGNAL, t->tid = 0, t->signo = CKPT_NSIG + 1))
SPOIL(signal_nothing, (t->notify = SIGEV_SIGNAL, t->tid = 0, t->signo = 5, t->pending = true))

static void test_contradictions(void **state)
{
	static void (*const spoil[])(struct ckpt_timer *t) = {
		be_out_of_order, have_no_clock, be_unknown, aim_at_stranger, be_over,
		repeat_backwards, be_early, be_of_no_day, be_late_for_ages, be_late_once,
		have_no_signal, signal_nothing,
	};
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	const struct ckpt_task *t;

	(void)state;
	cycle_save_program(PROGRAM, NULL, true, &s);
	t = task_with(&s, N_TIMERS);
	for (size_t i = 0; i < N_TIMERS; i++) {
		for (size_t k = 0; k < sizeof(spoil) / sizeof(spoil[0]); k++) {
			const struct ckpt_timer before = t->timers[i];
			struct ckpt_err err = CKPT_ERR_INIT;

			spoil[k](&t->timers[i]);
			if (!ckpt_image_check(&s.image, &err))
				fail_msg("fault %zu of timer %zu is not seen", k, i);
			assert_int_equal(err.status, CKPT_DAMAGED);
			assert_non_null(strstr(err.text, "has a POSIX timer"));
			t->timers[i] = before;
		}
	}
	assert_int_equal(ckpt_image_check(&s.image, NULL), 0);
}

/* --- the texts --- */

static void test_list(void **state)
{
	static const char text[] =
		"ID: 6\nsignal: 14/0000000000000006\nnotify: signal/pid.28813\nClockID: 0\n"
		"ID: 2147483647\nsignal: 34/ffffffffffffffff\nnotify: thread/pid.0\nClockID: 7\n"
		"ID: 2\nsignal: 14/0000000000000000\nnotify: signal/tid.5\nClockID: -2\n"
		"ID: 1\nsignal: 77/00007f0000000000\nnotify: none/pid.28813\nClockID: 11\n";
	struct ckpt_timer t;
	const char *at = text;

	(void)state;
	assert_int_equal(ckpt_parse_timer(&at, &t), 1);
	assert_true(t.id == 6 && t.signo == 14 && t.sigval == 6 && t.tid == 28813);
	assert_true(t.notify == SIGEV_SIGNAL && t.clock == CLOCK_REALTIME);
	assert_int_equal(ckpt_parse_timer(&at, &t), 1);
	assert_true(t.id == INT32_MAX && t.sigval == UINT64_MAX && t.notify == SIGEV_THREAD);
	assert_int_equal(ckpt_parse_timer(&at, &t), 1);
	assert_true(t.notify == SIGEV_THREAD_ID && t.tid == 5 && (int32_t)t.clock == -2);
	assert_int_equal(ckpt_parse_timer(&at, &t), 1);
	assert_true(t.notify == SIGEV_NONE && t.signo == 77 && t.clock == CLOCK_TAI);
	assert_int_equal(ckpt_parse_timer(&at, &t), 0);
}

static void test_bad_lists(void **state)
{
	static const char *const bad[] = {
		"ID: 6", "x", "ID: 6\nsignal: 14/6\nnotify: signal/pid.1\nClock: 0\n",
		"ID: 6\nsignal: 14/6\nnotify: letter/pid.1\nClockID: 0\n",
		"ID: 6\nsignal: 14\nnotify: signal/pid.1\nClockID: 0\n",
	};
	struct ckpt_timer t;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const char *at = bad[i];

		if (ckpt_parse_timer(&at, &t) != -1)
			fail_msg("\"%s\" is taken for a timer", bad[i]);
	}
}

static void test_queues(void **state)
{
	static const char text[] =
		"Timer List Version: v0.10\nHRTIMER_MAX_CLOCK_BASES: 8\nnow at 1149 nsecs\n\n"
		"cpu: 0\n clock 0:\n  .base:       000000006e50034d\n  .index:      0\n"
		"  .offset:     0 nsecs\nactive timers:\n"
		" #0: <00000000d98960e7>, hrtimer_wakeup, S:01\n"
		" # expires at 10-20 nsecs [in 1 to 2 nsecs]\n"
		" #1: <0000000000000000>, posix_timer_fn, S:01\n"
		" # expires at 1608944220043-1608944220043 nsecs [in 4 to 4 nsecs]\n"
		" clock 1:\n  .index:      1\nactive timers:\n"
		" #0: <000000006491957c>, posix_timer_fn, S:01\n"
		" # expires at 1795932267847503014-1795932267847503014 nsecs [in 4 to 4 nsecs]\n"
		"cpu: 1\n  .index:      5\n"
		" #0: <000000006491957c>, posix_timer_fn, S:01\n"
		" # expires at 7-7 nsecs [in 4 to 4 nsecs]\n"
		"Tick Device: mode:     1\n";
	const char *at = text;
	uint32_t base = 0;
	int64_t ns;

	(void)state;
	assert_int_equal(ckpt_parse_timer_list(&at, &base, &ns), 1);
	assert_true(base == 0 && ns == 1608944220043);
	assert_int_equal(ckpt_parse_timer_list(&at, &base, &ns), 1);
	assert_true(base == 1 && ns == 1795932267847503014);
	assert_int_equal(ckpt_parse_timer_list(&at, &base, &ns), 1);
	assert_true(base == 5 && ns == 7);
	assert_int_equal(ckpt_parse_timer_list(&at, &base, &ns), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_bad_lists),
		cmocka_unit_test(test_queues),
		cmocka_unit_test(test_restored),
		cmocka_unit_test(test_expired_in_the_stop),
		cmocka_unit_test(test_restored_twice),
		cmocka_unit_test(test_late_and_due),
		cmocka_unit_test(test_counted_ids),
		cmocka_unit_test(test_lost),
		cmocka_unit_test(test_contradictions),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_passing),
	};

	return cmocka_run_group_tests_name("proc timers", tests, cycle_setup, cycle_teardown);
}
