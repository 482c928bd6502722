// SPDX-License-Identifier: GPL-2.0-or-later
/* The cut itself: everything between the stop and the release. */
#include <inttypes.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/cgroup.h"
#include "base/cleanup.h"
#include "base/fault.h"
#include "base/threads.h"
#include "flow/cut.h"

/* Room for what arrives between the last live round and the stop. */
#define STAGE_SLACK 4096
#define STOP_HOLD_MS 600000
#define FIRST (-20)	/* of the range of nice */

uint64_t ckpt_cut_resident(int32_t pid)
{
	cleanup_fclose FILE *f = NULL;
	uint64_t all = 0, shared = 0;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/statm", pid);
	f = fopen(path, "re");
	if (!f || fscanf(f, "%*u %" SCNu64 " %" SCNu64, &all, &shared) != 2 || shared > all)
		return 0;
	return all - shared;
}

/* The processes of the group; of one without a cgroup the first. @ret: allocated. */
static int list_pids(const struct ckpt_cut *cut, int32_t **ret, size_t *ret_n)
{
	const struct ckpt_tagged *group = cut->params->group;
	struct ckpt_err ignored = CKPT_ERR_INIT;

	if (group->cgroup)
		return ckpt_cgroup_pids(group->cgroup, ret, ret_n, &ignored);
	*ret = malloc(sizeof(**ret));
	if (!*ret)
		return -1;
	**ret = group->root_pid;
	*ret_n = 1;
	return 0;
}

static size_t stage_pages(const struct ckpt_cut *cut)
{
	cleanup_free int32_t *pids = NULL;
	uint64_t pages = STAGE_SLACK, most = 0;
	bool known = cut->tracker.live || (ckpt_cut_delta(cut) && cut->parent);
	size_t n = 0;

	/* an estimate is of a moment ago, and the group writes on */
	if (cut->tracker.live)
		pages += 2 * cut->mem.round_pages;
	else
		/* some are written once more after they were copied ahead */
		pages += cut->epoch.estimate + cut->epoch.estimate / 2;
	if (list_pids(cut, &pids, &n))
		return pages;
	for (size_t i = 0; i < n; i++) {
		uint64_t shared = ckpt_shm_resident(pids[i]);

		/* what one has the others have as well, mostly */
		most = shared > most ? shared : most;
		pages += known ? 0 : ckpt_cut_resident(pids[i]) / (cut->result.rounds ? 4 : 1);
	}
	return pages + most;
}

int ckpt_cut_open_stop(struct ckpt_cut *cut, bool last, struct ckpt_stop **ret,
		       struct ckpt_err *err)
{
	const struct ckpt_tagged *group = cut->params->group;
	struct ckpt_stop_params params = {
		.pid = group->cgroup ? 0 : group->root_pid,
		.path_of = ckpt_files_path,
		.path_arg = &cut->files,
	};
	cleanup_free char *dir = NULL;

	if (group->cgroup && ckpt_cgroup_dir(group->cgroup, &dir, err))
		return -1;
	params.cgroup = dir;
	/* the tree is not put back before the keeper has ended, whatever becomes of us */
	params.keep_fd = cut->lock >= 0 ? &cut->lock : NULL;
	params.watched = cut->tracker.missing && cut->epoch.load_cookie;
	/* With --stop it stays held while its checkpoint is written. */
	params.tcp_repair = last && cut->params->tcp_repair;
	params.hold_ms = last && cut->params->stop ? STOP_HOLD_MS : 0;
	params.unhurried = cut->unhurried;
	return ckpt_stop_open(&params, ret, err);
}

static int open_stop(struct ckpt_cut *cut, struct ckpt_err *err)
{
	if (ckpt_cut_open_stop(cut, true, &cut->stop, err))
		return -1;
	/* After the keeper's fork: the stage is touched here and copied by nobody. */
	cut->stage = ckpt_stage_new(stage_pages(cut), err);
	if (!cut->stage)
		return -1;
	cut->stage_sink = ckpt_stage_sink(cut->stage, &cut->sink);
	return 0;
}

/* The last round of a tracker that has live ones. */
static int take_last(struct ckpt_cut *cut, struct ckpt_take *take, struct ckpt_inode_take *inodes,
		     struct ckpt_err *err)
{
	if (cut->tracker.next(cut->tracker.self, true, &cut->epoch, err))
		return -1;
	cut->result.rounds++;
	return cut->tracker.pages(cut->tracker.self, NULL, 0, take, err) ||
	       cut->tracker.inodes(cut->tracker.self, inodes, err) ? -1 : 0;
}

/* The one round of a tracker that walks while the group is stopped: of those it watches. */
static int take_watched(struct ckpt_cut *cut, const int32_t *pids, size_t n,
			struct ckpt_take *take, struct ckpt_err *err)
{
	cut->result.rounds++;
	return cut->tracker.pages(cut->tracker.self, pids, n, take, err);
}

/*
 * The keeper reads the group, and makes who is not watched make what it is watched by.  Meanwhile
 * those are walked that are watched: the calls that the keeper has made in them write to nothing
 * but memory of its own.
 */
static int take_beside(struct ckpt_cut *cut, struct ckpt_take *take,
		       struct ckpt_inode_take *inodes, struct ckpt_err *err)
{
	cleanup_free int32_t *pids = NULL, *missing = NULL;
	size_t n = 0, n_missing;

	if (cut->tracker.missing &&
	    (ckpt_cgroup_pids(cut->params->group->cgroup, &pids, &n, err) ||
	     cut->tracker.missing(cut->tracker.self, pids, n, &missing, &n_missing, err) ||
	     ckpt_stop_want(cut->stop, missing, n_missing, err)))
		return -1;
	if (ckpt_stop_collect_start(cut->stop, err))
		return -1;
	ckpt_fault("checkpoint.collecting");
	if (cut->tracker.missing)
		return take_watched(cut, pids, n, take, err);
	return cut->tracker.live ? take_last(cut, take, inodes, err) : 0;
}

int ckpt_cut_adopt(struct ckpt_cut *cut, struct ckpt_stop *stop, const struct ckpt_image *image,
		   struct ckpt_err *err)
{
	for (size_t i = 0; i < image->n_mms; i++) {
		const struct ckpt_mm *mm = &image->mms[i];
		cleanup_close int fd = -1;

		if (mm->userfault < 0)
			continue;
		fd = ckpt_stop_fetch(stop, mm->userfault, err);
		if (fd < 0)
			return -1;
		cut->tracker.adopt(cut->tracker.self, mm->pid, fd);
	}
	return 0;
}

/* Those who were not watched yet, after the keeper's reading. */
static int take_others(struct ckpt_cut *cut, struct ckpt_take *take, struct ckpt_err *err)
{
	const struct ckpt_image *image = &cut->image;
	cleanup_free int32_t *pids = calloc(image->n_mms + 1, sizeof(*pids));
	size_t n = 0;

	if (!pids)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of processes");
	for (size_t i = 0; i < image->n_mms; i++) {
		if (!ckpt_take_find(take, image->mms[i].pid))
			pids[n++] = image->mms[i].pid;
	}
	if (ckpt_cut_adopt(cut, cut->stop, image, err))
		return -1;
	ckpt_fault("checkpoint.adopted");
	return n ? cut->tracker.more(cut->tracker.self, pids, n, take, err) : 0;
}

/* The time since the part before is that of this one. */
static void part_ends(struct ckpt_cut *cut, uint64_t *part)
{
	uint64_t now = ckpt_cut_now();

	*part += now - cut->mark_ns;
	cut->mark_ns = now;
}

static int look_at_files(struct ckpt_cut *cut, struct ckpt_inode_take *inodes, bool lists,
			 struct ckpt_err *err)
{
	return ckpt_files_round(&cut->files, lists ? inodes : NULL, lists ? NULL : &cut->image,
				true, &cut->stage_sink, err);
}

/* Two looks that have nothing to do with one another, each with what has become of it. */
struct looks {
	struct ckpt_cut *cut;
	struct ckpt_take *take;
	struct ckpt_inode_take *inodes;
	bool lists;
	atomic_uint next;
	uint64_t walked_ns;
	int walk, files;
	struct ckpt_err walk_err, files_err;
};

static void *look(void *arg)
{
	struct looks *l = arg;
	unsigned int which;

	while ((which = atomic_fetch_add(&l->next, 1)) < 2) {
		if (which) {
			l->files = look_at_files(l->cut, l->inodes, l->lists, &l->files_err);
			continue;
		}
		l->walk = take_others(l->cut, l->take, &l->walk_err);
		l->walked_ns = ckpt_cut_now();
	}
	return NULL;
}

/* The tracker's process walks; meanwhile files are looked at by another thread of ours. */
static int walk_beside_files(struct ckpt_cut *cut, struct ckpt_take *take,
			     struct ckpt_inode_take *inodes, bool lists, struct ckpt_err *err)
{
	struct ckpt_freeze_parts *parts = &cut->result.parts;
	struct looks l = { .cut = cut, .take = take, .inodes = inodes, .lists = lists,
			   .walk_err = CKPT_ERR_INIT, .files_err = CKPT_ERR_INIT };

	ckpt_threads_run(2, look, &l);
	if (l.walk || l.files) {
		*err = l.walk ? l.walk_err : l.files_err;
		return -1;
	}
	/* of the files what the walk did not hide */
	parts->walk_ns += l.walked_ns - cut->mark_ns;
	cut->mark_ns = l.walked_ns;
	part_ends(cut, &parts->files_ns);
	return 0;
}

static int copy_memory(struct ckpt_cut *cut, const struct ckpt_take *take, struct ckpt_err *err)
{
	uint64_t shared;

	if (ckpt_mem_final(&cut->mem, take, &cut->image, cut->stage, &cut->stage_sink, err) ||
	    ckpt_shm_capture(&cut->image, &cut->before, cut->stage, &cut->stage_sink, &shared, err))
		return -1;
	cut->mem.pages_read += shared;
	cut->mem.final_pages += shared;
	return 0;
}

static int cut_stopped(struct ckpt_cut *cut, struct ckpt_take *take,
		       struct ckpt_inode_take *inodes, struct ckpt_err *err)
{
	struct ckpt_freeze_parts *parts = &cut->result.parts;
	bool lists, beside;

	cut->mark_ns = ckpt_cut_now();
	cut->outer.stopped_ns = ckpt_fs_now_ns();
	if (ckpt_cut_listen(cut, true, err) || take_beside(cut, take, inodes, err))
		return -1;
	part_ends(cut, &parts->walk_ns);
	/* A change set that lost something is no list of changes: look at everything. */
	if (cut->epoch.lost)
		cut->files.by_changes = false;
	lists = cut->files.by_changes;
	beside = lists && !cut->tracker.missing && !ckpt_stop_sees_reads(cut->stop);
	if (beside && ckpt_files_round(&cut->files, inodes, NULL, true, &cut->stage_sink, err))
		return -1;
	part_ends(cut, &parts->files_ns);
	if (ckpt_stop_collect_wait(cut->stop, &cut->image, err))
		return -1;
	part_ends(cut, &parts->collect_ns);
	ckpt_fault("checkpoint.collected");
	if (cut->tracker.missing && walk_beside_files(cut, take, inodes, lists, err))
		return -1;
	if (!cut->tracker.missing && !beside && look_at_files(cut, inodes, lists, err))
		return -1;
	part_ends(cut, &parts->files_ns);
	if (copy_memory(cut, take, err))
		return -1;
	part_ends(cut, &parts->memory_ns);
	if (ckpt_outer_capture(&cut->outer, &cut->image, cut->files.table, &cut->stage_sink,
			       &cut->files.stats, err))
		return -1;
	part_ends(cut, &parts->files_ns);
	return 0;
}

/* What is left of the freeze is its first part, which the keeper knows, and its last. */
static void end_parts(struct ckpt_cut *cut)
{
	struct ckpt_freeze_parts *parts = &cut->result.parts;
	uint64_t known;

	parts->stop_ns = ckpt_stop_took_ns(cut->stop);
	known = parts->stop_ns + parts->collect_ns + parts->walk_ns + parts->files_ns +
		parts->memory_ns;
	if (known <= cut->result.freeze_ns)
		parts->release_ns = cut->result.freeze_ns - known;
}

/* How a thread is scheduled. */
struct scheduling {
	int policy, nice;
	struct sched_param param;
};

/*
 * While the group stands still for us, nobody else on this machine comes first: neither this
 * thread nor those that it starts wait for a processor.  They read what is there, and wait for no
 * thread of another kind in a loop, so that real time does no harm; nice counts within a session
 * only, but may be permitted where that is not.  The keeper and the tracker come first as well
 * (base/apart.c).
 *
 * Return: as it was, for as_before().
 */
static struct scheduling come_first(void)
{
	const struct sched_param first = { .sched_priority = 1 };
	struct scheduling own = { .policy = sched_getscheduler(0),
				  .nice = getpriority(PRIO_PROCESS, 0) };

	if (sched_getparam(0, &own.param))
		own.policy = -1;
	setpriority(PRIO_PROCESS, 0, FIRST);
	if (own.policy == SCHED_OTHER)
		sched_setscheduler(0, SCHED_RR, &first);
	return own;
}

static void as_before(const struct scheduling *own)
{
	if (own->policy == SCHED_OTHER)
		sched_setscheduler(0, own->policy, &own->param);
	setpriority(PRIO_PROCESS, 0, own->nice);
}

int ckpt_cut_final(struct ckpt_cut *cut, struct ckpt_err *err)
{
	struct ckpt_inode_take inodes = { 0 };
	struct ckpt_take take = { 0 };
	int ret = ckpt_cut_listen(cut, false, err) || open_stop(cut, err) ||
		  ckpt_cut_ahead(cut, &cut->stage_sink, err) ? -1 : 0;
	const struct scheduling own = come_first();

	if (!ret) {
		ckpt_fault("checkpoint.keeper");
		if (cut->params->progress)
			cut->params->progress("stopping");
		ret = ckpt_stop_begin(cut->stop, err);
	}
	if (!ret) {
		ckpt_fault("checkpoint.stopped");
		ret = cut_stopped(cut, &take, &inodes, err);
	}
	/* With --stop the tree stays held until its checkpoint is durable. */
	if (!ret) {
		ret = cut->params->stop ?
		      ckpt_stop_holding(cut->stop, &cut->result.freeze_ns, err) :
		      ckpt_stop_release(cut->stop, &cut->result.freeze_ns, err);
		cut->unhurried |= ret;
	}
	cut->ended_ns = ckpt_cut_now();
	as_before(&own);
	if (cut->params->stop)
		cut->result.parts = (struct ckpt_freeze_parts){ 0 };
	else if (!ret)
		end_parts(cut);
	ckpt_take_done(&take);
	ckpt_inode_take_done(&inodes);
	return ret;
}
