// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Semaphores and message queues of System V over a restore, and what is refused. Natively as root.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/proc_group.h"
#include "lib/restore_cycle.h"
#include "proc/build.h"
#include "proc/image-check.h"
#include "proc/ipc.h"

#define KEY 0x5ca1ab1e	/* of the program */
#define STACK 65536

static void save(bool private, struct saved *s)
{
	cleanup_free char *program = cycle_program("sysv_ipc");
	char *argv[] = { "unshare", "-i", program, NULL };

	cycle_start_and_save(argv, private, "ready", s);
}

static const struct ckpt_sem_set *sems_of(const struct ckpt_image *image, int32_t key)
{
	const struct ckpt_sem_set *s = image->ipc->sems;

	while (s->id.key != key)
		s++;
	return s;
}

static void check_image(const struct ckpt_image *image)
{
	const struct ckpt_sem_set *s;

	assert_int_equal(image->n_ipc, 1);
	assert_int_equal(image->ipc->n_sems, 3);
	assert_int_equal(image->ipc->n_queues, 3);
	s = sems_of(image, KEY);
	assert_int_equal(s->n_values, 70);
	assert_int_equal(s->values[67], 6700);
	/* two processes have adjusted two, one of them two more */
	assert_int_equal(s->n_undos, 6);
	assert_int_equal(sems_of(image, KEY + 1)->n_undos, 2);
	assert_int_equal(sems_of(image, IPC_PRIVATE)->used, 0);
	assert_int_not_equal(s->id.id, 0);
}

static void restored(bool private)
{
	cleanup_with(cycle_saved_done) struct saved first = { 0 };
	cleanup_with(cycle_saved_done) struct saved second = { 0 };

	save(private, &first);
	check_image(&first.image);
	cycle_restore_and_save(&first, 0, &second);
	check_image(&second.image);
	cycle_go_on(&second);
}

static void test_restored(void **state)
{
	(void)state;
	restored(true);
}

static void test_restored_beside_us(void **state)
{
	(void)state;
	restored(false);
}

static int change_value(void *arg, struct ckpt_err *err)
{
	(void)err;
	return semctl(*(int *)arg, 5, SETVAL, 501);
}

static int end_undo(void *arg, struct ckpt_err *err)
{
	const unsigned short *values = sems_of(arg, KEY + 1)->values;

	(void)err;
	/* sets the values that there are, and drops the adjustments */
	return semctl(sems_of(arg, KEY + 1)->id.id, 0, SETALL, values);
}

static int take_message(void *arg, struct ckpt_err *err)
{
	struct {
		long type;
		char text[20000];
	} m;

	(void)err;
	return msgrcv(*(int *)arg, &m, sizeof(m.text), 0, IPC_NOWAIT) < 0 ? -1 : 0;
}

static void expect_seen(struct saved *s, ckpt_inside_fn change, void *arg, const char *says)
{
	struct ckpt_restore_params params = { .image = &s->image, .source = &s->source,
					      .cgroup = cycle_cgroup_dir, .stdio = { 0, 1, 2 } };
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_restore *r = NULL;

	cycle_check(ckpt_restore_build(&params, &r, &err) || ckpt_restore_verify(r, &err) ||
		    ckpt_build_inside(r, "ipc", change, arg, &err), &err);
	assert_int_equal(ckpt_restore_verify(r, &err), -1);
	assert_int_equal(err.status, CKPT_DAMAGED);
	if (!strstr(err.text, says))
		fail_msg("\"%s\" does not say \"%s\"", err.text, says);
	ckpt_restore_close(r);
	cycle_fresh_cgroup();
}

static void test_verified(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	int set, queue;

	(void)state;
	save(true, &s);
	set = sems_of(&s.image, KEY)->id.id;
	queue = s.image.ipc->queues[0].id.id;
	expect_seen(&s, change_value, &set, "semaphores");
	expect_seen(&s, take_message, &queue, "message queue");
	expect_seen(&s, end_undo, &s.image, "has other semaphores adjusted for its end");
	cycle_go_on(&s);
}

/* --- what is refused --- */

static void must(long made)
{
	if (made < 0)
		_exit(1);
}

static int make_set(void)
{
	int id = semget(IPC_PRIVATE, 2, 0600);

	must(id);
	return id;
}

static void operate(int set, int by, int flags)
{
	struct sembuf op = { .sem_num = 1, .sem_op = by, .sem_flg = flags };

	must(semop(set, &op, 1));
}

static void own_ipc(void)
{
	must(unshare(CLONE_NEWIPC));
}

static int adjust_alone(void *arg)
{
	operate(*(int *)arg, 1, SEM_UNDO);
	pause();
	return 0;
}

/* One that has adjustments of its own. */
static void a_thread_alone(void)
{
	static char stack[STACK];
	static int set;

	own_ipc();
	set = make_set();
	must(clone(adjust_alone, stack + STACK, CLONE_VM | CLONE_FS | CLONE_FILES |
		   CLONE_SIGHAND | CLONE_THREAD, &set));
	while (semctl(set, 1, GETVAL) != 1)
		usleep(1000);
}

static void long_message(void)
{
	struct {
		long type;
		char text[500];
	} m = { .type = 1 };
	int id, fd;

	own_ipc();
	id = msgget(IPC_PRIVATE, 0600);
	must(id);
	must(msgsnd(id, &m, sizeof(m.text), 0));
	fd = open("/proc/sys/kernel/msgmax", O_WRONLY);
	must(fd);
	must(write(fd, "100", 3));
	close(fd);
}

static void machine_sem(void)
{
	operate(make_set(), 1, 0);
}

/* Somebody outside has used it since. */
static void machine_undo(void)
{
	int set = make_set(), status;
	pid_t pid;

	operate(set, 1, SEM_UNDO);
	pid = fork();
	if (!pid) {
		operate(set, 1, 0);
		_exit(0);
	}
	must(pid);
	must(waitpid(pid, &status, 0));
}

static void machine_sender(void)
{
	struct {
		long type;
		char text[4];
	} m = { .type = 1 };
	int id = msgget(IPC_PRIVATE, 0600);

	must(id);
	must(msgsnd(id, &m, sizeof(m.text), 0));
}

static void machine_receiver(void)
{
	struct {
		long type;
		char text[4];
	} m = { .type = 1 };
	int id = msgget(IPC_PRIVATE, 0600), status;
	pid_t pid = fork();

	must(id);
	if (!pid) {
		must(msgsnd(id, &m, sizeof(m.text), 0));
		_exit(0);
	}
	must(waitpid(pid, &status, 0));
	must(msgrcv(id, &m, sizeof(m.text), 0, 0));
}

static void test_refused(void **state)
{
	static const struct proc_group_refusal cases[] = {
		{ a_thread_alone, "has adjusted semaphores for its own end (SEM_UNDO)" },
		{ long_message, "that is longer than its kernel.msgmax" },
		{ machine_sem, "of the machine, which cannot be restored; give the tree an ipc" },
		{ machine_undo, "of the machine for its end (SEM_UNDO)" },
		{ machine_sender, "uses message queue" },
		{ machine_receiver, "uses message queue" },
	};

	(void)state;
	proc_group_refusals(cases, sizeof(cases) / sizeof(cases[0]));
}

static void adjusted(void)
{
	own_ipc();
	operate(make_set(), 1, SEM_UNDO);
}

static void not_adjusted(void)
{
	own_ipc();
	operate(make_set(), 1, 0);
}

/* Of who never had an adjustment this is known, whatever the kernel lets us see. */
static void test_blind(void **state)
{
	static const struct proc_group_refusal refused = {
		adjusted, "may have adjusted semaphores for its end (SEM_UNDO), which this kernel",
	};
	struct ckpt_stop_params params = { 0 };
	struct ckpt_err err = CKPT_ERR_INIT;

	(void)state;
	setenv("CKPT_FAULT", "undos.peek=fail", 1);
	proc_group_refusals(&refused, 1);
	params.pid = proc_group_spawn(NULL, not_adjusted);
	cycle_check(proc_group_cycle(&params, NULL, &err), &err);
	kill(params.pid, SIGKILL);
	waitpid(params.pid, NULL, 0);
	unsetenv("CKPT_FAULT");
}

/* --- images that contradict themselves --- */

static struct ckpt_task task = { .pid = 7 };
static uint16_t values[2] = { 1, 2 };
static struct ckpt_sem_undo undo = { 7, 1, -32768 };
static struct ckpt_message message = { .type = 1 };

static void expect_bad(const struct ckpt_ipc *ipc, bool bad)
{
	struct ckpt_image image = { .ipc = (struct ckpt_ipc *)ipc, .n_ipc = 1, .tasks = &task,
				    .n_tasks = 1 };
	struct ckpt_err err = CKPT_ERR_INIT;

	assert_int_equal(ckpt_ipc_check(&image, &err), bad ? -1 : 0);
	assert_int_equal(err.status, bad ? CKPT_DAMAGED : CKPT_OK);
}

static void test_bad_sems(void **state)
{
	struct ckpt_sem_set sets[2] = {
		{ .id = { .id = 0, .mode = 0777 }, .values = values, .n_values = 2,
		  .undos = &undo, .n_undos = 1 },
		{ .id = { .id = 5 }, .values = values, .n_values = 1 },
	};
	struct ckpt_ipc ipc = { .sems = sets, .n_sems = 2 };

	(void)state;
	expect_bad(&ipc, false);
#define BAD(member, value) do { \
	__typeof__(member) was = member; \
	member = value; \
	expect_bad(&ipc, true); \
	member = was; \
} while (0)
	BAD(sets[1].id.id, 0);
	BAD(sets[0].id.id, -1);
	BAD(sets[0].id.mode, 01000);
	BAD(sets[1].n_values, 0);
	BAD(sets[1].n_values, CKPT_SEMS_MAX + 1);
	BAD(values[0], 32768);
	BAD(undo.pid, 8);
	BAD(undo.sem, 2);
	BAD(undo.adjust, 0);
	BAD(undo.adjust, 32768);
	BAD(undo.adjust, -32769);
	BAD(task.state, CKPT_TASK_ZOMBIE);
	expect_bad(&ipc, false);
}

static void test_bad_queues(void **state)
{
	struct ckpt_message_queue queues[2] = {
		{ .id = { .id = 3 }, .messages = &message, .n_messages = 1 },
		{ .id = { .id = 4 } },
	};
	struct ckpt_ipc ipc = { .queues = queues, .n_queues = 2 };

	(void)state;
	expect_bad(&ipc, false);
	BAD(queues[1].id.id, 3);
	BAD(queues[1].id.mode, 01000);
	BAD(message.type, 0);
	BAD(message.len, (size_t)INT32_MAX + 1);
	expect_bad(&ipc, false);
}

/* Our own is that of the machine to the trees that are refused. */
static int set_up(void **state)
{
	return unshare(CLONE_NEWIPC) ? -1 : cycle_setup(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_restored),
		cmocka_unit_test(test_restored_beside_us),
		cmocka_unit_test(test_verified),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_blind),
		cmocka_unit_test(test_bad_sems),
		cmocka_unit_test(test_bad_queues),
	};

	return cmocka_run_group_tests_name("proc sysv", tests, set_up, cycle_teardown);
}
