// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A process of the audit: its threads, its dice, its faults
 */
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "audit.h"

struct audit *audit;
struct files files;

static __thread struct hand *me;

void scribble(struct hand *h, char *p, size_t len)
{
	size_t i;

	for (i = 0; i < len; i += PAGE)
		p[i + pick(h, PAGE)] = (char)rnd(&h->seed);
}

/* What one thread unmaps another may be writing: that ends the operation, no more. */
static void on_fault(int signal, siginfo_t *info, void *context)
{
	char text[96];

	(void)context;
	if (me && me->armed)
		siglongjmp(me->env, 1);
	if (write(2, text, (size_t)snprintf(text, sizeof(text), "# pid %d: signal %d at %p\n",
					    getpid(), signal, info->si_addr)) < 0)
		_exit(5);
	_exit(4);
}

bool guarded(struct hand *h, void (*run)(struct hand *h))
{
	bool good = false;

	h->map = NULL;
	if (!sigsetjmp(h->env, 0)) {
		h->armed = true;
		run(h);
		good = true;
	}
	h->armed = false;
	if (h->map)
		munmap(h->map, SOME_PAGES * PAGE);
	h->map = NULL;
	return good;
}

/* --- the dice --- */

/* All operations, numbered; those that a process does not do have no weight in it. */
static struct op table[MAX_OPS];
/* What it is for is a change, which did() is told of. */
static bool is_change[MAX_OPS];
static unsigned int nr_ops, all_weights;

enum { BY_GROUP = 1, BY_OUTSIDER = 2, BY_WRITER = 4, BY_RUNNER = 8 };

static void add_ops(const struct op *op, int who, bool change, int actor)
{
	static const int outside[] = { BY_OUTSIDER, BY_WRITER, BY_RUNNER };
	int is = actor < ACTORS ? BY_GROUP : outside[actor - ACTORS];

	for (; op->name; op++) {
		if (nr_ops == MAX_OPS)
			die("too many operations");
		table[nr_ops] = *op;
		is_change[nr_ops] = change;
		if (!(who & is) || (op->actor >= 0 && op->actor != actor))
			table[nr_ops].weight = 0;
		all_weights += table[nr_ops++].weight;
	}
}

static void add_all(int actor)
{
	add_ops(memory_ops, BY_GROUP, false, actor);
	add_ops(step_ops, BY_GROUP, false, actor);
	add_ops(shared_ops, BY_GROUP, false, actor);
	add_ops(read_ops, BY_GROUP, false, actor);
	add_ops(task_ops, BY_GROUP, false, actor);
	add_ops(file_ops, BY_GROUP | BY_OUTSIDER, true, actor);
	add_ops(name_ops, BY_GROUP | BY_OUTSIDER, true, actor);
	add_ops(away_ops, BY_OUTSIDER, false, actor);
	add_ops(direct_ops, BY_WRITER, true, actor);
	add_ops(run_on_ops, BY_RUNNER, false, actor);
}

unsigned int ops_show(void)
{
	char line[100] = "";
	unsigned int i, missing = 0;
	size_t len = 0;

	if (!nr_ops)
		add_all(0);
	for (i = 0; i < nr_ops; i++) {
		missing += !audit->ran[i];
		len += (size_t)snprintf(line + len, sizeof(line) - len,
					" %s %" PRIu64 "/%" PRIu64, table[i].name, audit->ran[i],
					audit->tried[i]);
		if (len < 64 && i + 1 < nr_ops)
			continue;
		note("%s", line + 1);
		len = 0;
	}
	return missing;
}

static const struct op *throw_dice(struct hand *h)
{
	uint64_t n = pick(h, all_weights);
	unsigned int i;

	for (i = 0; n >= table[i].weight; i++)
		n -= table[i].weight;
	return &table[i];
}

static void *work(void *arg)
{
	struct hand *h = arg;
	uint64_t *done = &audit->done[h->actor][h->thread];
	const struct op *op;
	bool good;

	me = h;
	while (!__atomic_load_n(&audit->stop, __ATOMIC_RELAXED)) {
		op = throw_dice(h);
		h->entry = &audit->log[h->actor][h->thread][*done % LOG];
		*h->entry = (struct entry){ .name = op->name, .number = *done };
		h->missed = is_change[op - table];
		good = guarded(h, op->run) && !h->missed;
		(*done)++;
		__atomic_add_fetch(&audit->tried[op - table], 1, __ATOMIC_RELAXED);
		__atomic_add_fetch(&audit->ran[op - table], good, __ATOMIC_RELAXED);
		if (h->actor < DIRECT_WRITER)
			__atomic_add_fetch(&audit->ops, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void run_actor(int index, uint64_t seed)
{
	static struct hand hand[THREADS];
	struct sigaction act = { .sa_flags = SA_SIGINFO | SA_NODEFER };
	pthread_t thread;
	int i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	act.sa_sigaction = on_fault;
	sigaction(SIGSEGV, &act, NULL);
	sigaction(SIGBUS, &act, NULL);
	signal(SIGCHLD, SIG_IGN);
	/* a named pipe loses its other end between open and write */
	signal(SIGPIPE, SIG_IGN);
	if (index < ACTORS)
		setup_actor(index);
	add_all(index);
	for (i = 0; i < THREADS; i++) {
		hand[i].seed = (seed * 64 + (uint64_t)(index * THREADS + i) + 1) *
			       0x9e3779b97f4a7c15ULL | 1;
		hand[i].actor = index;
		hand[i].thread = i;
		if (i && pthread_create(&thread, NULL, work, &hand[i]))
			_exit(6);
	}
	work(&hand[0]);
	_exit(0);
}

pid_t actor_start(int index, uint64_t seed, const char *cgroup)
{
	char path[128], text[16];
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid) {
		snprintf(path, sizeof(path), CGROUPS "%s/cgroup.procs", cgroup);
		snprintf(text, sizeof(text), "%d", getpid());
		if (put(path, text))
			die("move into %s", cgroup);
		run_actor(index, seed);
	}
	audit->actor[index] = pid;
	return pid;
}
