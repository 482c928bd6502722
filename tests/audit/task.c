// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Operations that make tasks, and those of the outsider on memory of others
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "audit.h"

#define CHILDREN_MAX 4

static char *any_page(struct hand *h)
{
	static const enum kind kind[] = { KIND_ANON, KIND_ANON, KIND_CALM, KIND_COW };
	enum kind k = kind[pick(h, 4)];

	return REGION(k) + pick(h, k == KIND_ANON ? ANON_PAGES : SOME_PAGES) * PAGE;
}

static void child_work(struct hand *h)
{
	int i, n = 1 + (int)pick(h, 30);

	for (i = 0; i < n; i++) {
		scribble(h, any_page(h), PAGE);
		if (!pick(h, 10))
			madvise(any_page(h), PAGE, MADV_DONTNEED);
	}
}

/* A child that does something, unless there are enough; the parent writes on. */
static void fork_one(struct hand *h, void (*what)(struct hand *h))
{
	pid_t pid;

	if (__atomic_add_fetch(&audit->children, 1, __ATOMIC_RELAXED) > CHILDREN_MAX) {
		__atomic_sub_fetch(&audit->children, 1, __ATOMIC_RELAXED);
		scribble(h, any_page(h), PAGE);
		missed(h);
		return;
	}
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		what(h);
		__atomic_sub_fetch(&audit->children, 1, __ATOMIC_RELAXED);
		_exit(0);
	}
	if (pid < 0) {
		__atomic_sub_fetch(&audit->children, 1, __ATOMIC_RELAXED);
		missed(h);
	}
	say(h, NULL, (uint64_t)pid);
	scribble(h, any_page(h), PAGE);
}

static void live_a_while(struct hand *h)
{
	guarded(h, child_work);
	if (pick(h, 3)) {
		usleep((useconds_t)pick(h, 300000));
		guarded(h, child_work);
	}
}

/* It lives over a take or two, or not. */
static void op_fork(struct hand *h)
{
	fork_one(h, live_a_while);
}

/* What the executed program does. */
int exec_child(void)
{
	char *p = malloc(64 * 1024);

	if (p)
		memset(p, getpid(), 64 * 1024);
	usleep(30000);
	return p && p[1000] == (char)getpid() ? 0 : 1;
}

static void op_exec(struct hand *h)
{
	pid_t pid = vfork();

	if (!pid) {
		execl("/proc/self/exe", "audit", "exec-child", NULL);
		_exit(1);
	}
	if (pid < 0)
		missed(h);
	say(h, NULL, (uint64_t)pid);
}

/* A process of its own in the same memory; its thread-local memory is its maker's. */
static int sharer(void *arg)
{
	uint64_t seed = (uintptr_t)arg;
	int i;

	for (i = 0; i < 16; i++)
		REGION(KIND_CALM)[rnd(&seed) % (SOME_PAGES * PAGE)] = (char)i;
	syscall(SYS_exit, 0);
	return 0;
}

static void op_share(struct hand *h)
{
	static __thread char stack[16384] __attribute__((aligned(16)));
	static __thread int alive;
	int pid;

	if (__atomic_load_n(&alive, __ATOMIC_ACQUIRE)) {
		missed(h);
		return;
	}
	alive = 1;
	pid = clone(sharer, stack + sizeof(stack), CLONE_VM | CLONE_CHILD_CLEARTID | SIGCHLD,
		    (void *)(uintptr_t)(h->seed | 1), NULL, NULL, &alive);
	if (pid < 0) {
		alive = 0;
		missed(h);
	}
	say(h, NULL, (uint64_t)pid);
}

static void *thread_work(void *arg)
{
	uint64_t seed = (uintptr_t)arg;

	REGION(KIND_CALM)[rnd(&seed) % (SOME_PAGES * PAGE)] = (char)seed;
	return NULL;
}

static void op_thread(struct hand *h)
{
	pthread_t thread;

	if (!pthread_create(&thread, NULL, thread_work, (void *)(uintptr_t)(h->seed | 1)))
		pthread_join(thread, NULL);
	else
		missed(h);
}

static void move_to(struct hand *h, const char *cgroup)
{
	char path[64], pid[16];

	snprintf(path, sizeof(path), CGROUPS "%s/cgroup.procs", cgroup);
	snprintf(pid, sizeof(pid), "%d", getpid());
	if (put(path, pid))
		missed(h);
}

/* Among frozen ones that the last round has told nobody may come. */
static void come_to(struct hand *h, const char *cgroup)
{
	for (;;) {
		__atomic_add_fetch(&audit->coming, 1, __ATOMIC_SEQ_CST);
		if (!__atomic_load_n(&audit->closed, __ATOMIC_SEQ_CST))
			break;
		__atomic_sub_fetch(&audit->coming, 1, __ATOMIC_SEQ_CST);
		usleep(2000);
	}
	move_to(h, cgroup);
	__atomic_sub_fetch(&audit->coming, 1, __ATOMIC_SEQ_CST);
}

/* From the group's cgroup to one below it and back: it is the group's all the time. */
static void op_nest(struct hand *h)
{
	come_to(h, pick(h, 2) ? BELOW : GROUP);
}

/* What it does outside, where it is not frozen, it does to memory of its own. */
static void out_and_in(struct hand *h)
{
	guarded(h, child_work);
	move_to(h, "");
	guarded(h, child_work);
	usleep((useconds_t)pick(h, 100000));
	guarded(h, child_work);
	come_to(h, GROUP);
	guarded(h, child_work);
	usleep((useconds_t)pick(h, 200000));
	guarded(h, child_work);
}

/* A child that leaves the group and comes back, between two rounds or over some of them. */
static void op_out(struct hand *h)
{
	fork_one(h, out_and_in);
}

const struct op task_ops[] = {
	{ "fork", op_fork, 6, -1 },
	{ "exec", op_exec, 1, -1 },
	{ "share", op_share, 6, -1 },
	{ "thread", op_thread, 6, -1 },
	{ "nest", op_nest, 1, -1 },
	{ "out", op_out, 2, -1 },
	{ },
};

/* --- the outsider --- */

static void op_vm_write(struct hand *h)
{
	pid_t pid = audit->actor[pick(h, ACTORS)];
	char buf[16];
	struct iovec from = { .iov_base = buf, .iov_len = sizeof(buf) };
	struct iovec to = { .iov_base = any_page(h), .iov_len = sizeof(buf) };

	memset(buf, (int)rnd(&h->seed), sizeof(buf));
	say(h, to.iov_base, (uint64_t)pid);
	if (process_vm_writev(pid, &from, 1, &to, 1, 0) < 0)
		missed(h);
}

static void op_mem_write(struct hand *h)
{
	pid_t pid = audit->actor[pick(h, ACTORS)];
	char path[32], buf[16], *to = any_page(h);
	int fd;

	if (pick(h, 2))
		to = REGION(KIND_READONLY) + pick(h, SOME_PAGES) * PAGE;
	memset(buf, (int)rnd(&h->seed), sizeof(buf));
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	say(h, to, (uint64_t)pid);
	if (pwrite(fd, buf, sizeof(buf), (off_t)(uintptr_t)to) < 0)
		missed(h);
	close(fd);
}

static void op_memfd(struct hand *h)
{
	char buf[16];

	memset(buf, (int)rnd(&h->seed), sizeof(buf));
	if (pwrite(files.memfd, buf, sizeof(buf), (off_t)pick(h, SOME_PAGES * PAGE - 16)) < 0)
		missed(h);
}

/* Few of the forced writes: places that are many are widened, and little is clean then. */
const struct op away_ops[] = {
	{ "vm-write", op_vm_write, 120, -1 },
	{ "mem-write", op_mem_write, 20, -1 },
	{ "memfd", op_memfd, 20, -1 },
	{ },
};
