// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Births: plans for trees that random histories have left, carried out in a model of the kernel
 *
 * A plan that does not say so must give each process the parent and session that it had.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "proc/births.h"

#define MAX 1200
#define INIT 0

/* A process of the model; its number is its index, and @table that of who had its table first. */
struct proc {
	int parent, session, table;
	bool alive, reaper;
};

static struct proc procs[MAX];
static int n_procs;

static void begin(void)
{
	memset(procs, 0, sizeof(procs));
	procs[INIT] = (struct proc){ .parent = -1, .alive = true, .reaper = true };
	n_procs = 1;
}

static int born(int number, int parent, int session)
{
	assert_in_range(number, 1, MAX - 1);
	assert_false(procs[number].alive);
	procs[number] = (struct proc){ .parent = parent, .session = session, .table = number,
				       .alive = true };
	if (number >= n_procs)
		n_procs = number + 1;
	return number;
}

/* Its children go to the nearest one above that takes orphans. */
static void end(int who)
{
	int reaper = procs[who].parent;

	while (!procs[reaper].reaper)
		reaper = procs[reaper].parent;
	procs[who].alive = false;
	for (int i = 1; i < n_procs; i++) {
		if (procs[i].alive && procs[i].parent == who)
			procs[i].parent = reaper;
	}
}

static int any(void)
{
	int who;

	do
		who = 1 + (int)(random() % (n_procs - 1));
	while (!procs[who].alive);
	return who;
}

/*
 * @clone: some are born as brothers of who forks them (CLONE_PARENT); @tables: some have the table
 * of descriptors of who forks them.
 */
static void live(int steps, bool clone, bool tables)
{
	begin();
	procs[born(1, INIT, 1)].session = 1;
	for (int i = 0; i < steps && n_procs < MAX / 3; i++) {
		int who = any(), what = (int)(random() % 10);
		bool brother = clone && who != 1 && random() % 4 == 0;

		if (what < 5) {
			int child = born(n_procs, brother ? procs[who].parent : who,
					 procs[who].session);

			if (tables && random() % 4 == 0)
				procs[child].table = procs[who].table;
		} else if (what < 7 && procs[who].session != who) {
			procs[who].session = who;
		} else if (what < 9 && who != 1) {
			end(who);
		} else {
			procs[who].reaper = !procs[who].reaper;
		}
	}
}

/* What a checkpoint has of it: parents before their children. */
static struct ckpt_image *capture(void)
{
	static struct ckpt_task tasks[MAX];
	static struct ckpt_image image;
	static bool taken[MAX];
	bool more = true;

	memset(taken, 0, sizeof(taken));
	image = (struct ckpt_image){ .tasks = tasks };
	taken[INIT] = true;
	while (more) {
		more = false;
		for (int i = 1; i < n_procs; i++) {
			if (!procs[i].alive || taken[i] || !taken[procs[i].parent])
				continue;
			taken[i] = more = true;
			tasks[image.n_tasks++] = (struct ckpt_task){
				.pid = i, .ppid = procs[i].parent, .sid = procs[i].session,
				.fdtable = procs[i].table,
			};
		}
	}
	return &image;
}

static int number(const struct ckpt_image *image, size_t task)
{
	return task == CKPT_BIRTH_NOBODY ? INIT : image->tasks[task].pid;
}

struct helper {
	int number, adopter;
};

/* As task-build.c does. */
static void carry_out(const struct ckpt_image *image, const struct ckpt_births *plan)
{
	static struct helper helpers[2 * MAX];
	int n_helpers = 0, spare = MAX / 3 + 1;

	begin();
	for (size_t i = 0; i < plan->n; i++) {
		const struct ckpt_birth *b = &plan->steps[i];
		int maker = b->kind == CKPT_BIRTH_ADOPT && b->maker == CKPT_BIRTH_NOBODY ?
			    b->session : number(image, b->maker);

		assert_true(maker == INIT || procs[maker].alive);
		assert_false(b->shares && b->maker == CKPT_BIRTH_NOBODY);
		switch (b->kind) {
		case CKPT_BIRTH_FORK:
			born(number(image, b->task), maker, procs[maker].session);
			if (b->shares)
				procs[number(image, b->task)].table = procs[maker].table;
			break;
		case CKPT_BIRTH_LEAD:
			procs[number(image, b->task)].session = number(image, b->task);
			break;
		case CKPT_BIRTH_SEAT:
			born(b->session, maker, b->session);
			helpers[n_helpers++] = (struct helper){ b->session, -1 };
			break;
		case CKPT_BIRTH_ADOPT:
			born(spare, maker, procs[maker].session);
			born(number(image, b->task), spare, procs[maker].session);
			if (b->shares)
				procs[number(image, b->task)].table = procs[maker].table;
			helpers[n_helpers++] = (struct helper){
				spare++, image->tasks[b->task].ppid,
			};
			break;
		}
	}
	while (n_helpers--) {
		struct helper *h = &helpers[n_helpers];

		if (h->adopter > 0)
			procs[h->adopter].reaper = true;
		end(h->number);
		if (h->adopter > 0)
			procs[h->adopter].reaper = false;
	}
}

/* Return: whether all could be born. */
static bool look(struct ckpt_image *image, bool tables)
{
	cleanup_with(ckpt_births_done) struct ckpt_births plan = { 0 };
	struct ckpt_err err = CKPT_ERR_INIT;
	size_t alive = 0;

	assert_int_equal(ckpt_births_plan(image, tables, &plan, &err), 0);
	if (!plan.complete)
		return false;
	carry_out(image, &plan);
	for (size_t i = 0; i < image->n_tasks; i++) {
		const struct ckpt_task *t = &image->tasks[i];

		assert_true(procs[t->pid].alive);
		assert_int_equal(procs[t->pid].parent, t->ppid);
		assert_int_equal(procs[t->pid].session, t->sid);
		assert_true(ckpt_births_has(&plan, i));
		for (size_t j = 0; tables && j < i; j++)
			assert_int_equal(procs[t->pid].table == procs[image->tasks[j].pid].table,
					 t->fdtable == image->tasks[j].fdtable);
	}
	for (int i = 1; i < n_procs; i++)
		alive += procs[i].alive;
	assert_int_equal(alive, image->n_tasks);
	return true;
}

static int many(int rounds, int steps, bool clone, bool tables)
{
	int complete = 0;

	for (int i = 0; i < rounds; i++) {
		live(10 + (int)(random() % steps), clone, tables);
		complete += look(capture(), tables);
	}
	return complete;
}

static void test_histories(void **state)
{
	int complete;

	(void)state;
	srandom(7);
	complete = many(3000, 30, false, false);
	print_message("# short ones: %d of 3000\n", complete);
	assert_in_range(complete, 2990, 3000);
	complete = many(300, 200, false, false);
	print_message("# long ones: %d of 300\n", complete);
	assert_in_range(complete, 270, 300);
	complete = many(1000, 30, true, false);
	print_message("# with brothers: %d of 1000\n", complete);
	assert_in_range(complete, 900, 1000);
	complete = many(1000, 30, false, true);
	print_message("# with tables: %d of 1000\n", complete);
	assert_in_range(complete, 950, 1000);
}

/* Two of a session whose leader is gone, below brothers that lead others. */
static void test_brothers(void **state)
{
	static struct ckpt_task tasks[] = {
		{ .pid = 10, .sid = 10 },
		{ .pid = 20, .ppid = 10, .sid = 20 }, { .pid = 30, .ppid = 10, .sid = 30 },
		{ .pid = 21, .ppid = 20, .sid = 5 }, { .pid = 31, .ppid = 30, .sid = 5 },
		{ .pid = 22, .ppid = 20, .sid = 6 }, { .pid = 32, .ppid = 30, .sid = 6 },
	};
	struct ckpt_image image = { .tasks = tasks, .n_tasks = 7 };

	(void)state;
	assert_true(look(&image, false));
}

static void test_impossible(void **state)
{
	static struct ckpt_task tasks[] = {
		{ .pid = 10, .sid = 10 }, { .pid = 20, .ppid = 10, .sid = 20 },
		{ .pid = 30, .ppid = 10, .sid = 10 }, { .pid = 31, .ppid = 30, .sid = 20 },
	};
	cleanup_with(ckpt_births_done) struct ckpt_births plan = { 0 };
	struct ckpt_image image = { .tasks = tasks, .n_tasks = 4 };
	struct ckpt_err err = CKPT_ERR_INIT;

	(void)state;
	assert_int_equal(ckpt_births_plan(&image, false, &plan, &err), 0);
	assert_false(plan.complete);
	assert_true(ckpt_births_has(&plan, 2));
	assert_false(ckpt_births_has(&plan, 3));
	tasks[0].ppid = 31;
	ckpt_births_done(&plan);
	assert_int_equal(ckpt_births_plan(&image, false, &plan, &err), -1);
	assert_int_equal(err.status, CKPT_DAMAGED);
}

/* A stop waits for it. */
static void test_many(void **state)
{
	struct timespec from, to;

	(void)state;
	srandom(3);
	clock_gettime(CLOCK_MONOTONIC, &from);
	do
		live(MAX * 2, false, false);
	while (n_procs < 300);
	print_message("# %d of them, all can be born: %d\n", n_procs, look(capture(), false));
	clock_gettime(CLOCK_MONOTONIC, &to);
	assert_in_range(to.tv_sec - from.tv_sec, 0, 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_histories),
		cmocka_unit_test(test_brothers),
		cmocka_unit_test(test_impossible),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests_name("proc births", tests, NULL, NULL);
}
