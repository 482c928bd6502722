// SPDX-License-Identifier: GPL-2.0-or-later
/* Before a checkpoint: refusals, the store, the tracker and the choice of kind. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "base/cleanup.h"
#include "base/path.h"
#include "base/procstat.h"
#include "flow/cut.h"
#include "flow/lineage.h"
#include "flow/settle.h"
#include "track/tracker-main.h"

/* As the kernel's. */
#define PF_KTHREAD 0x200000

/* A tree that is given by its pid begins with a process, and no thread of one or of the kernel. */
static int refuse_no_process(int32_t pid, struct ckpt_err *err)
{
	cleanup_fclose FILE *f = NULL;
	uint64_t flags = 0;
	char line[256];
	int32_t tgid;

	snprintf(line, sizeof(line), "/proc/%d/status", pid);
	f = fopen(line, "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "Tgid: %d", &tgid) == 1 && tgid != pid)
			return ckpt_fail(err, CKPT_REFUSED, 0,
					 "%d is a thread of process %d; name that", pid, tgid);
	}
	if (!ckpt_procstat(pid, CKPT_STAT_FLAGS, &flags, 1) && flags & PF_KTHREAD)
		return ckpt_fail(err, CKPT_REFUSED, 0, "pid %d is a thread of the kernel", pid);
	return 0;
}

int ckpt_cut_refuse_group(const struct ckpt_tagged *group, struct ckpt_err *err)
{
	cleanup_free char *own = NULL;
	bool alive;

	if (ckpt_tagged_alive(group, &alive, err))
		return -1;
	if (!alive && group->cgroup)
		return ckpt_fail(err, CKPT_USAGE, 0,
				 "no task of group '%s' lives; restore it or run it again",
				 group->name);
	if (!alive)
		return ckpt_fail(err, CKPT_USAGE, 0, "there is no process %d", group->root_pid);
	if (!group->cgroup)
		return refuse_no_process(group->root_pid, err);
	if (ckpt_cgroup_of(getpid(), &own, err))
		return -1;
	if (ckpt_cgroup_inside(own, group->cgroup))
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "ckpt-tool runs inside group '%s' itself; run it from outside",
				 group->name);
	return 0;
}

static int refuse_store_inside(const char *store, const struct ckpt_tagged *group,
			       struct ckpt_err *err)
{
	cleanup_free char *real = ckpt_path_resolve(store, NULL);
	const char *root;

	if (!real)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot use store %s", store);
	root = ckpt_tagged_overlap(group, real, false);
	return root ? ckpt_fail(err, CKPT_REFUSED, 0,
				"store %s lies inside root %s, which it would capture; use another "
				"directory", store, root) : 0;
}

/* The history of a group that lives is no place for another tree. */
static int refuse_taken_name(const struct ckpt_tagged *group, struct ckpt_err *err)
{
	cleanup_with(ckpt_tagged_done) struct ckpt_tagged other = { 0 };
	bool alive;

	if (group->cgroup || !ckpt_tagged_exists(group->name))
		return 0;
	if (ckpt_tagged_load(group->name, &other, err) || ckpt_tagged_alive(&other, &alive, err))
		return -1;
	return alive ? ckpt_fail(err, CKPT_REFUSED, 0,
				 "group '%s' is taken and alive; capture it without --pid, or use "
				 "another name", group->name) : 0;
}

int ckpt_cut_refuse(struct ckpt_cut *cut, struct ckpt_err *err)
{
	const struct ckpt_tagged *group = cut->params->group;

	return ckpt_cut_refuse_group(group, err) || refuse_taken_name(group, err) ||
	       refuse_store_inside(cut->params->store, group, err) ||
	       ckpt_settle(group, true, cut->params->dry_run, err) ? -1 : 0;
}

static int read_boot_id(char ret[64], struct ckpt_err *err)
{
	cleanup_fclose FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");

	if (!f || !fgets(ret, 64, f))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot read the boot id");
	ret[strcspn(ret, "\n")] = 0;
	return 0;
}

/* What the kernel notes, where it does; the tracker that knows nothing elsewhere. */
static int open_native(struct ckpt_cut *cut, const char *socket, struct ckpt_err *err)
{
	struct ckpt_err why = CKPT_ERR_INIT;
	cleanup_free char *dir = NULL;

	if (ckpt_cgroup_dir(cut->params->group->cgroup, &dir, err))
		return -1;
	if (!ckpt_tracker_open_scan(socket, dir, &cut->tracker, &why))
		return 0;
	if (why.os == ENOSYS)
		return ckpt_tracker_open_full(&cut->tracker, err);
	*err = why;
	return -1;
}

/* The module where it knows the group, else what the kernel has. */
static int open_tracker(struct ckpt_cut *cut, struct ckpt_err *err)
{
	const struct ckpt_tagged *group = cut->params->group;
	cleanup_free char *socket = ckpt_tagged_tracker(group->name);
	struct ckpt_err why = CKPT_ERR_INIT;

	if (!socket)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for the tracker");
	if (!group->cgroup)
		return ckpt_tracker_open_full(&cut->tracker, err);
	if (!ckpt_tracker_open_kmod(group->name, group->cgroup, group->roots, group->n_roots,
				    &cut->tracker, &why))
		/* of the time before the module was loaded: nobody needs it any more */
		return cut->params->dry_run ? 0 : ckpt_tracker_end(socket, err);
	/* No module, or one that was not told of the group. */
	if (why.os == ENOENT)
		return open_native(cut, socket, err);
	*err = why;
	return -1;
}

static int open_parent(struct ckpt_cut *cut, bool *ret_trusted, struct ckpt_err *err)
{
	const struct ckpt_tagged *group = cut->params->group;
	struct ckpt_newest newest;
	int found;

	*ret_trusted = false;
	found = ckpt_log_newest(cut->store, group->name, &newest, err);
	if (found <= 0 || cut->params->full)
		return found < 0 ? -1 : 0;
	*ret_trusted = ckpt_lineage_holds(&newest, &cut->epoch, cut->boot_id);
	/* What the tracker says is only worth something on top of the right parent. */
	if (ckpt_cut_delta(cut) && !*ret_trusted)
		return 0;
	cut->parent = ckpt_reader_open(cut->store, group->name, newest.id, err);
	return cut->parent ? 0 : -1;
}

static int load_parent(struct ckpt_cut *cut, bool trusted, struct ckpt_err *err)
{
	cleanup_buf struct ckpt_buf memory = CKPT_BUF_INIT, roots = CKPT_BUF_INIT;
	struct ckpt_source source;

	if (!cut->parent)
		return ckpt_files_open(&cut->files, cut->params->group, NULL, NULL, 0,
				       cut->tracker.inodes_known, false, err);
	source = ckpt_reader_source(cut->parent);
	if (ckpt_reader_blob(cut->parent, CKPT_BLOB_MEMORY, &memory, err) ||
	    ckpt_reader_blob(cut->parent, CKPT_BLOB_ROOTS, &roots, err) ||
	    ckpt_mem_load(&cut->mem, memory.data, memory.len, &source, err))
		return -1;
	return ckpt_files_open(&cut->files, cut->params->group, &source, roots.data, roots.len,
			       cut->tracker.inodes_known, trusted, err);
}

/*
 * Each checkpoint has deleted files and files outside the roots in spaces of its own, and shared
 * memory in those of its parent.  When the parent's records cannot be read its spaces stay:
 * they cost room, nothing else.
 */
static void load_before(struct ckpt_cut *cut)
{
	cleanup_buf struct ckpt_buf buf = CKPT_BUF_INIT;
	struct ckpt_err ignored = CKPT_ERR_INIT;

	if (cut->parent && !ckpt_reader_blob(cut->parent, CKPT_BLOB_TASKS, &buf, &ignored))
		ckpt_image_decode(buf.data, buf.len, &cut->before, &ignored);
}

/* A parent that cannot be read is none: nothing is taken from it, so nothing is lost. */
static int start_from(struct ckpt_cut *cut, struct ckpt_err *err)
{
	struct ckpt_err why = CKPT_ERR_INIT;
	bool trusted;

	if (!open_parent(cut, &trusted, &why) && !load_parent(cut, trusted, &why))
		return 0;
	if (why.status != CKPT_DAMAGED) {
		*err = why;
		return -1;
	}
	ckpt_mem_done(&cut->mem);
	ckpt_files_done(&cut->files);
	ckpt_reader_close(take_ptr(cut->parent));
	return load_parent(cut, false, err);
}

/* A dry run makes none: where nothing is, one could be made if the directory above lets us. */
static int open_store(struct ckpt_cut *cut, struct ckpt_err *err)
{
	const char *path = cut->params->store;
	enum ckpt_store_mode mode = CKPT_STORE_CREATE;

	if (cut->params->dry_run && access(path, F_OK) && errno == ENOENT) {
		cleanup_free char *copy = strdup(path);

		if (!copy)
			return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a path");
		return access(dirname(copy), W_OK) ?
		       ckpt_fail(err, CKPT_FAILED, errno, "cannot make store %s", path) : 0;
	}
	if (cut->params->dry_run)
		mode = CKPT_STORE_WRITE;
	cut->store = ckpt_store_open(path, mode, err);
	return cut->store ? 0 : -1;
}

int ckpt_cut_open(struct ckpt_cut *cut, struct ckpt_err *err)
{
	if (read_boot_id(cut->boot_id, err) || open_store(cut, err) || open_tracker(cut, err))
		return -1;
	cut->result.tracker = cut->tracker.name;
	if (cut->params->dry_run)
		return 0;
	if (cut->tracker.begin(cut->tracker.self, &cut->epoch, err))
		return -1;
	cut->epoch_open = true;
	if (start_from(cut, err))
		return -1;
	load_before(cut);
	cut->result.parent = cut->parent ? ckpt_reader_manifest(cut->parent)->id : 0;
	cut->result.kind = cut->parent ? "incremental" : "full";
	cut->writer = ckpt_writer_begin(cut->store, cut->params->group->name, cut->result.parent,
					err);
	if (!cut->writer)
		return -1;
	cut->sink = ckpt_writer_sink(cut->writer);
	return 0;
}
