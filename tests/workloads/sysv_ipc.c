// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Semaphores and message queues of System V, as a program finds them
 *
 * To be run in an ipc namespace of its own.  Prints "ready" once all is set up, waits until there
 * is a file "go" in its directory, checks that everything is as it was, and prints what is wrong,
 * or "all well".
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ok.h"

#define KEY 0x5ca1ab1e
#define N_SEMS 70
#define LONG 20000		/* bytes, more than kernel.msgmax is at first */
#define USER 12345

union semun {
	int val;
	struct semid_ds *buf;
	unsigned short *array;
};

struct letter {
	long type;
	char text[LONG];
};

static int sems, fresh, gate, queue, full, taken, said[2];
static struct semid_ds sems_were, fresh_was;
static struct msqid_ds queue_was, full_was;

static void set_setting(const char *name, const char *value)
{
	int fd = MUST(open(name, O_WRONLY));

	MUST(write(fd, value, strlen(value)));
	close(fd);
}

/* What has an id other than the first one that is free. */
static void make_and_remove(void)
{
	for (int i = 0; i < 3; i++) {
		MUST(semctl(MUST(semget(IPC_PRIVATE, 1, 0600)), 0, IPC_RMID));
		MUST(msgctl(MUST(msgget(IPC_PRIVATE, 0600)), IPC_RMID, NULL));
	}
}

static void operate(int set, int sem, int by, int flags)
{
	struct sembuf op = { .sem_num = sem, .sem_op = by, .sem_flg = flags };

	MUST(semop(set, &op, 1));
}

static void make_sems(void)
{
	unsigned short values[N_SEMS];
	struct semid_ds ds;

	sems = MUST(semget(KEY, N_SEMS, IPC_CREAT | IPC_EXCL | 0640));
	for (int i = 0; i < N_SEMS; i++)
		values[i] = i * 100;
	values[69] = 32767;
	values[68] = 20000;
	MUST(semctl(sems, 0, SETALL, (union semun){ .array = values }));
	MUST(semctl(sems, 0, IPC_STAT, (union semun){ .buf = &ds }));
	ds.sem_perm.uid = USER;
	ds.sem_perm.gid = USER + 1;
	ds.sem_perm.mode = 0606;
	MUST(semctl(sems, 0, IPC_SET, (union semun){ .buf = &ds }));
	fresh = MUST(semget(IPC_PRIVATE, 2, 0600));
	gate = MUST(semget(KEY + 1, 3, IPC_CREAT | 0600));
}

/* The maker of one is another user, who cannot read it. */
static void make_taken(void)
{
	pid_t pid = MUST(fork());
	int status;

	if (!pid)
		_exit(setresgid(USER, USER, USER) || setresuid(USER, USER, USER) ||
		      msgget(KEY, IPC_CREAT | IPC_EXCL | 0200) < 0);
	OK(waitpid(pid, &status, 0) == pid && !status);
	taken = MUST(msgget(KEY, 0));
}

static void fill(struct letter *l, long type, size_t len)
{
	l->type = type;
	for (size_t i = 0; i < len; i++)
		l->text[i] = i * 7 + type * 13 + (i >> 8);
}

static void put(int id, long type, size_t len)
{
	struct letter l;

	fill(&l, type, len);
	MUST(msgsnd(id, &l, len, IPC_NOWAIT));
}

static bool get(int id, long wanted, long type, size_t len)
{
	struct letter l, like;
	ssize_t n = msgrcv(id, &l, sizeof(l.text), wanted, IPC_NOWAIT);

	fill(&like, type, len);
	return n == (ssize_t)len && l.type == type && !memcmp(l.text, like.text, len);
}

static void make_queues(void)
{
	struct msqid_ds ds;

	queue = MUST(msgget(IPC_PRIVATE, 0600));
	set_setting("/proc/sys/kernel/msgmax", "30000");
	set_setting("/proc/sys/kernel/msgmnb", "60000");
	put(queue, 3, 100);
	full = MUST(msgget(KEY + 1, IPC_CREAT | 0622));
	put(full, 5, LONG);
	put(full, 0x7fffffffffff, 1);
	put(full, 1, 0);
	put(full, 5, 300);
	put(full, 2, 5000);
	MUST(msgctl(full, IPC_STAT, &ds));
	/* it holds more than it takes */
	ds.msg_qbytes = 7000;
	ds.msg_perm.gid = USER;
	MUST(msgctl(full, IPC_SET, &ds));
	MUST(msgctl(queue, IPC_STAT, &ds));
	OK(ds.msg_qbytes == 16384);
	set_setting("/proc/sys/kernel/msgmnb", "9000");
	make_taken();
}

/* Both adjust the same, one more than the other; a thread's are those of its process. */
static void adjust(void)
{
	operate(sems, 3, -200, SEM_UNDO);
	operate(sems, 4, 50, SEM_UNDO);
	operate(gate, 0, 7, SEM_UNDO);
}

static void *adjust_more(void *arg)
{
	operate(sems, 69, -30000, SEM_UNDO);
	operate(sems, 69, 30000, 0);
	operate(sems, 68, 12000, SEM_UNDO);
	operate(sems, 68, -25000, 0);
	(void)!write(said[1], "1", 1);
	pause();
	return arg;
}

static char next_word(int fd)
{
	char c = 0;

	return read(fd, &c, 1) == 1 ? c : 0;
}

/* Ends when the gate opens. */
static void child(void)
{
	pthread_t thread;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	adjust();
	operate(sems, 3, -1, SEM_UNDO);
	pthread_create(&thread, NULL, adjust_more, NULL);
	operate(gate, 1, -1, 0);
	_exit(0);
}

static void *receive(void *arg)
{
	struct letter l;

	OK(msgrcv(queue, &l, sizeof(l.text), 8, 0) == 11);
	return arg;
}

static bool same_perm(const struct ipc_perm *a, const struct ipc_perm *b)
{
	return a->__key == b->__key && a->uid == b->uid && a->gid == b->gid &&
	       a->cuid == b->cuid && a->cgid == b->cgid && a->mode == b->mode;
}

static int value_of(int set, int sem)
{
	return semctl(set, sem, GETVAL);
}

static void look_at_all(struct semid_ds *s, struct semid_ds *f, struct msqid_ds *q,
			struct msqid_ds *u)
{
	MUST(semctl(sems, 0, IPC_STAT, (union semun){ .buf = s }));
	MUST(semctl(fresh, 0, IPC_STAT, (union semun){ .buf = f }));
	MUST(msgctl(queue, IPC_STAT, q));
	MUST(msgctl(full, IPC_STAT, u));
}

static void check_sems(void)
{
	OK(semget(KEY, 0, 0) == sems && semget(KEY + 1, 0, 0) == gate);
	OK(value_of(sems, 3) == 300 - 200 - 200 + 200 - 1);
	OK(value_of(sems, 4) == 500 && value_of(sems, 5) == 500 && value_of(sems, 67) == 6700);
	OK(value_of(sems, 69) == 32767 && value_of(sems, 68) == 7000);
	OK(value_of(gate, 0) == 14 && value_of(gate, 1) == 0);
	OK(semctl(gate, 1, GETNCNT) == 1);
}

/* What is undone when the child ends, and no more. */
static void check_end_of_child(pid_t pid)
{
	int status;

	operate(gate, 1, 1, 0);
	OK(waitpid(pid, &status, 0) == pid && !status);
	OK(value_of(sems, 3) == 99 + 201 && value_of(sems, 4) == 450);
	/* it stops at the highest, and at none */
	OK(value_of(sems, 69) == 32767 && value_of(sems, 68) == 0);
	OK(value_of(gate, 0) == 7);
}

static void check_queues(void)
{
	OK(msgget(KEY, 0) == taken && msgget(KEY + 1, 0) == full);
	OK(msgrcv(full, &(struct letter){ 0 }, 10, 5, IPC_NOWAIT) < 0 && errno == E2BIG);
	put(queue, 4, 1);
	OK(get(queue, 0, 3, 100) && get(queue, 0, 4, 1));
	OK(get(full, 5, 5, LONG) && get(full, -4, 1, 0) && get(full, 5, 5, 300));
	OK(get(full, 0, 0x7fffffffffff, 1) && get(full, 0, 2, 5000));
	OK(msgrcv(full, &(struct letter){ 0 }, 10, 0, IPC_NOWAIT) < 0 && errno == ENOMSG);
	put(queue, 8, 11);
}

int main(void)
{
	struct semid_ds s, f;
	struct msqid_ds q, u;
	pthread_t thread;
	pid_t pid;

	setvbuf(stdout, NULL, _IOLBF, 0);
	MUST(pipe(said));
	make_and_remove();
	make_sems();
	make_queues();
	operate(sems, 3, 200, 0);
	adjust();
	pid = MUST(fork());
	if (!pid)
		child();
	OK(next_word(said[0]) == '1');
	pthread_create(&thread, NULL, receive, NULL);
	while (semctl(gate, 1, GETNCNT) != 1)
		usleep(1000);
	usleep(50000);
	look_at_all(&sems_were, &fresh_was, &queue_was, &full_was);
	puts("ready");
	while (access("go", F_OK))
		usleep(20000);

	look_at_all(&s, &f, &q, &u);
	OK(same_perm(&s.sem_perm, &sems_were.sem_perm) && s.sem_nsems == N_SEMS && s.sem_otime);
	OK(same_perm(&f.sem_perm, &fresh_was.sem_perm) && !f.sem_otime);
	OK(same_perm(&q.msg_perm, &queue_was.msg_perm) && q.msg_qbytes == 16384);
	OK(same_perm(&u.msg_perm, &full_was.msg_perm) && u.msg_qbytes == 7000);
	OK(u.msg_qnum == 5 && u.__msg_cbytes == LONG + 5301);
	check_sems();
	check_end_of_child(pid);
	check_queues();
	pthread_join(thread, NULL);
	puts(wrong ? "not well" : "all well");
	return wrong != 0;
}
