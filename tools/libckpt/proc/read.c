// SPDX-License-Identifier: GPL-2.0-or-later
/* The whole tree into an image. */
#include <errno.h>
#include <linux/kcmp.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "proc/ask.h"
#include "proc/procfs.h"
#include "proc/read.h"
#include "proc/remote.h"
#include "proc/socket.h"
#include "proc/unix.h"

/* For a survey a refusal is no end. */
#define PASS(failed) ckpt_survey_pass(r->hold->survey, failed, err)

static struct ckpt_task *task_of(struct ckpt_image *image, const struct ckpt_held_proc *p)
{
	for (size_t i = 0; i < image->n_tasks; i++) {
		if (image->tasks[i].host_pid == p->pid)
			return &image->tasks[i];
	}
	return NULL;
}

/* The tree, and room for a list of it. */
struct tables {
	struct ckpt_reader *r;
	struct ckpt_held_proc **sorted;
};

/* In its network namespace, of which sockets and files below /proc are. */
static int read_tables(void *arg, struct ckpt_err *err)
{
	const struct tables *t = arg;
	struct ckpt_held_proc **sorted = t->sorted;
	struct ckpt_reader *r = t->r;
	uint32_t table = CKPT_NONE;
	size_t n;

	if (ckpt_read_sharing(r->hold, KCMP_FILES, sorted, &n, err))
		return -1;
	for (size_t i = 0; i < n; i++) {
		if ((!i || !ckpt_read_same(sorted[i - 1], sorted[i], KCMP_FILES)) &&
		    ckpt_read_fdtable(r, sorted[i], &table, err))
			return -1;
		task_of(r->image, sorted[i])->fdtable = table;
	}
	/* what waits in queues are files as well, perhaps the other ends of pipes */
	if (PASS(ckpt_look_unixes(r, err)) || PASS(ckpt_read_pipes(r, err)) ||
	    PASS(ckpt_read_ptys(r, err)) || PASS(ckpt_read_sockets(r, err)) ||
	    PASS(ckpt_read_epolls(r, err)) || PASS(ckpt_read_urings(r, err)) ||
	    PASS(ckpt_read_locks_owners(r, err)))
		return -1;
	return PASS(ckpt_read_semaphores(r, err));
}

/* Parents before their children. */
static void order_tasks(struct ckpt_image *image)
{
	for (size_t done = 0; done < image->n_tasks; done++) {
		size_t pick = done;

		for (size_t i = done; i < image->n_tasks; i++) {
			bool ready = !image->tasks[i].ppid;

			for (size_t j = 0; j < done && !ready; j++)
				ready = image->tasks[j].pid == image->tasks[i].ppid;
			if (ready) {
				pick = i;
				break;
			}
		}
		if (pick != done) {
			struct ckpt_task t = image->tasks[pick];

			memmove(&image->tasks[done + 1], &image->tasks[done],
				(pick - done) * sizeof(t));
			image->tasks[done] = t;
		}
	}
}

/* One that is refused, here or before, has no page, and is asked nothing. */
static int prepare(struct ckpt_reader *r, struct ckpt_ask *ask, struct ckpt_held_proc *p,
		   struct ckpt_err *err)
{
	const struct ckpt_mm *mm = &r->image->mms[task_of(r->image, p)->mm];
	uint64_t at;

	return PASS(ckpt_read_vdso(r, p, mm, &at, err) ||
		    ckpt_inject_prepare(&ask->inject, p, at, err) ? -1 : 0);
}

static int map_all(struct ckpt_reader *r, struct ckpt_ask *asks, struct ckpt_err *err)
{
	struct ckpt_hold *hold = r->hold;

	for (size_t i = 0; i < hold->n_procs; i++) {
		struct ckpt_held_proc *p = &hold->procs[i];

		if (!p->zombie && !p->refused && prepare(r, &asks[i], p, err))
			return -1;
	}
	for (size_t i = 0; i < hold->n_procs; i++) {
		if (asks[i].inject.ready && PASS(ckpt_inject_map_start(&asks[i].inject, err)))
			return -1;
	}
	for (size_t i = 0; i < hold->n_procs; i++) {
		if (PASS(ckpt_inject_go(&asks[i].inject, err)))
			return -1;
	}
	for (size_t i = 0; i < hold->n_procs; i++) {
		if (asks[i].inject.leading &&
		    (PASS(ckpt_inject_map_end(&asks[i].inject, err)) ||
		     PASS(ckpt_strange_locks(hold, &hold->procs[i], err))))
			return -1;
	}
	ckpt_fault("keeper.mapped");
	return 0;
}

static int unmap_all(struct ckpt_reader *r, struct ckpt_ask *asks, struct ckpt_err *err)
{
	const struct ckpt_hold *hold = r->hold;

	for (size_t i = 0; i < hold->n_procs; i++) {
		if (hold->procs[i].page && ckpt_inject_unmap_start(&asks[i].inject, err))
			return -1;
	}
	for (size_t i = 0; i < hold->n_procs; i++) {
		if (ckpt_inject_go(&asks[i].inject, err))
			return -1;
	}
	for (size_t i = 0; i < hold->n_procs; i++) {
		if (hold->procs[i].page && ckpt_inject_unmap_end(&asks[i].inject, err))
			return -1;
	}
	ckpt_fault("keeper.unmapped");
	return 0;
}

static int start(struct ckpt_reader *r, struct ckpt_ask *ask, struct ckpt_err *err)
{
	if (!ckpt_ask_start(ask, err))
		return 0;
	return PASS(-1) || ckpt_inject_unmap(&ask->inject, err) ? -1 : 0;
}

static int ask_all(struct ckpt_reader *r, struct ckpt_ask *asks, struct ckpt_err *err)
{
	struct ckpt_hold *hold = r->hold;

	for (size_t i = 0; i < hold->n_procs; i++) {
		if (hold->procs[i].page && start(r, &asks[i], err))
			return -1;
	}
	ckpt_fault("keeper.asked");
	for (size_t i = 0; i < hold->n_procs; i++) {
		struct ckpt_task *task = task_of(r->image, &hold->procs[i]);

		if (hold->procs[i].page &&
		    (PASS(ckpt_ask_finish(&asks[i], task, &r->image->mms[task->mm], err)) ||
		     ckpt_read_userfault(r, &asks[i].inject, &r->image->mms[task->mm], err)))
			return -1;
	}
	return unmap_all(r, asks, err);
}

static int ask_tree(struct ckpt_reader *r, struct ckpt_err *err)
{
	struct ckpt_hold *hold = r->hold;
	struct ckpt_ask *asks = calloc(hold->n_procs, sizeof(*asks));
	int ret;

	if (!asks)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for remote calls");
	ret = map_all(r, asks, err) || ask_all(r, asks, err) ? -1 : 0;
	for (size_t i = 0; i < hold->n_procs; i++)
		ckpt_ask_done(&asks[i]);
	free(asks);
	return ret;
}

static int read_all(struct ckpt_reader *r, struct ckpt_err *err)
{
	struct ckpt_hold *hold = r->hold;
	struct ckpt_image *image = r->image;
	cleanup_free struct ckpt_held_proc **sorted = calloc(hold->n_procs, sizeof(*sorted));

	image->tasks = calloc(hold->n_procs, sizeof(*image->tasks));
	if (!sorted || !image->tasks)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of processes");
	if (ckpt_shm_device(&r->shm_dev, err) ||
	    ckpt_read_registers(hold, err) || PASS(ckpt_read_namespaces(r, err)) ||
	    PASS(ckpt_cgroup_check(hold, err)) ||
	    ckpt_read_clocks(r, err) || ckpt_apart_check(hold, sorted, err) ||
	    PASS(ckpt_apart_parents(hold, err)))
		return -1;
	ckpt_fault("keeper.registers");
	for (size_t i = 0; i < hold->n_procs; i++) {
		image->n_tasks = i + 1;
		if (ckpt_read_task(r, &hold->procs[i], &image->tasks[i], err))
			return -1;
	}
	if (ckpt_read_in_net(r, read_tables, &(struct tables){ r, sorted }, err) ||
	    PASS(ckpt_read_sysv(r, err)))
		return -1;
	ckpt_fault("keeper.looked");
	if (ask_tree(r, err) || PASS(ckpt_read_timers_of_day(r, err)) ||
	    PASS(ckpt_read_timerfds_again(r, err)))
		return -1;
	order_tasks(image);
	return ckpt_image_restorable(image, hold->survey, err);
}

int ckpt_read_tree(struct ckpt_hold *hold, struct ckpt_image *ret, struct ckpt_err *err)
{
	struct ckpt_image image = { 0 };
	struct ckpt_reader r = { .hold = hold, .image = &image };

	int failed;

	/* what an attempt before this one has found */
	ckpt_flight_done(hold);
	failed = read_all(&r, err);

	free(r.mapped);
	ckpt_unix_queues_done(&r);
	ckpt_points_done(&r.points);
	memcpy(image.cpus, hold->cpus, sizeof(image.cpus));
	image.label_known = true;
	if (!failed && hold->label) {
		image.label = strdup(hold->label);
		if (!image.label)
			failed = ckpt_fail(err, CKPT_FAILED, 0, "no memory for a security label");
	}
	if (failed) {
		ckpt_image_done(&image);
		return -1;
	}
	*ret = image;
	return 0;
}
