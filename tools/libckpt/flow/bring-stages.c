// SPDX-License-Identifier: GPL-2.0-or-later
/* The stages of a restore. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "base/cleanup.h"
#include "base/fault.h"
#include "flow/bring.h"
#include "flow/limits.h"
#include "flow/tag.h"

static int verify_roots(struct ckpt_bring *b, struct ckpt_err *err)
{
	cleanup_buf struct ckpt_buf list = CKPT_BUF_INIT;
	size_t n = 0;

	if (ckpt_fs_verify(b->table, &b->source, &n, &list, &b->stats, err))
		return -1;
	if (!n)
		return 0;
	return ckpt_fail(err, CKPT_DAMAGED, 0, "%zu entries differ after the restore, first: %.*s",
			 n, (int)strcspn((const char *)list.data, "\n"), (const char *)list.data);
}

static int verify_outer(struct ckpt_bring *b, struct ckpt_err *err)
{
	for (size_t i = 0; i < b->outer.n_written; i++) {
		int same = ckpt_fs_loose_is_back(&b->outer.written[i], &b->source, &b->stats, err);

		if (same < 0)
			return -1;
		if (!same)
			return ckpt_fail(err, CKPT_DAMAGED, 0, "%s differs after the restore",
					 b->outer.written[i].path);
	}
	return 0;
}

int ckpt_bring_files(struct ckpt_bring *b, struct ckpt_err *err)
{
	if (ckpt_fs_restore_prepare(b->table, b->outer.written, b->outer.n_written, &b->source,
				    &b->roots, &b->stats, err))
		return -1;
	ckpt_fault("restore.prepared");
	if (ckpt_fs_restore_commit(b->roots, err)) {
		/* It went as far as it could; finish it or undo it. */
		struct ckpt_err second = CKPT_ERR_INIT;

		ckpt_bring_recover(b, &second);
		return -1;
	}
	ckpt_fault("restore.files");
	b->result.files_changed = ckpt_fs_restore_count(b->roots);
	return verify_roots(b, err) ? -1 : verify_outer(b, err);
}

/* Descriptors 0-2 that led out of the tree: no input, output to a file of this boot. */
static int open_stdio(struct ckpt_bring *b, struct ckpt_err *err)
{
	char path[sizeof(CKPT_RUN_DIR) + 80];

	snprintf(path, sizeof(path), "%s/%s.out", CKPT_RUN_DIR, b->params->name);
	b->stdio[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	b->stdio[1] = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	b->stdio[2] = b->stdio[1] < 0 ? -1 : fcntl(b->stdio[1], F_DUPFD_CLOEXEC, 3);
	if (b->stdio[0] < 0 || b->stdio[2] < 0)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot open %s", path);
	return 0;
}

static int add_roots(struct ckpt_bring *b, struct ckpt_err *err)
{
	for (size_t i = 0; i < b->table->n_roots; i++)
		if (ckpt_tagged_add_root(&b->group, b->table->roots[i].path, err))
			return -1;
	return 0;
}

static int know_group(struct ckpt_bring *b, struct ckpt_err *err)
{
	const struct ckpt_note *limits = ckpt_bring_limits(b);

	if (ckpt_cgroup_renew(b->group.cgroup, err) ||
	    (limits && ckpt_limits_write(b->group.cgroup, (const char *)limits->value,
					 limits->len, err)))
		return -1;
	return ckpt_tag_locked(&b->group, err);
}

/*
 * Where somebody takes a pid of it meanwhile, once more in a new pid namespace; and in a cgroup in
 * which nobody was killed (base/cgroup.h).
 */
static int build(struct ckpt_bring *b, struct ckpt_restore_params *params, struct ckpt_err *err)
{
	bool moves = b->taken;

	params->taken = b->taken;
	params->ret_taken = &b->taken;
	if (!know_group(b, err) && !ckpt_restore_build(params, &b->tree, err))
		return 0;
	if (moves || !b->taken)
		return -1;
	ckpt_err_clear(err);
	params->taken = b->taken;
	return know_group(b, err) || ckpt_restore_build(params, &b->tree, err) ? -1 : 0;
}

int ckpt_bring_memory(struct ckpt_bring *b, struct ckpt_err *err)
{
	struct ckpt_restore_params params = { .image = &b->image, .source = &b->source,
					      .tcp_repair = b->params->tcp_repair };
	cleanup_free char *dir = NULL;

	if (add_roots(b, err) || open_stdio(b, err) ||
	    ckpt_cgroup_dir(b->group.cgroup, &dir, err))
		return -1;
	params.cgroup = dir;
	memcpy(params.stdio, b->stdio, sizeof(params.stdio));
	if (build(b, &params, err))
		return -1;
	ckpt_fault("restore.built");
	return ckpt_restore_verify(b->tree, err);
}

int ckpt_bring_check(struct ckpt_bring *b, struct ckpt_err *err)
{
	int status;

	fflush(NULL);
	status = system(b->params->check);
	if (status == 0)
		return 0;
	if (status < 0)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot run '%s'", b->params->check);
	return ckpt_fail(err, CKPT_FAILED, 0, "'%s' ended with status %d", b->params->check,
			 WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

int ckpt_bring_run(struct ckpt_bring *b, struct ckpt_err *err)
{
	const struct ckpt_note *limits = ckpt_bring_limits(b);
	struct ckpt_restore_result result;

	if (limits && ckpt_limits_write_late(b->group.cgroup, (const char *)limits->value,
					     limits->len, err))
		return -1;
	/* Before it runs: nothing that can fail comes after the tree was let go. */
	b->group.root_pid = ckpt_restore_root(b->tree);
	if (ckpt_tagged_save(&b->group, err) || ckpt_restore_run(b->tree, &result, err))
		return -1;
	b->result.root_pid = result.root_pid;
	b->result.moved = result.moved;
	b->result.pages = result.pages;
	b->result.tcp_repaired = result.tcp_repaired;
	b->result.tcp_reset = result.tcp_reset;
	memcpy(b->result.tcp_why, result.tcp_why, sizeof(b->result.tcp_why));
	return 0;
}
