// SPDX-License-Identifier: GPL-2.0-or-later
/* Sites: calls of a stopped thread, with messages that name it. */
#include <errno.h>
#include <string.h>

#include "proc/build.h"
#include "proc/remote.h"

int ckpt_site_try(const struct ckpt_site *s, struct ckpt_err *err, int64_t *ret, long nr,
		  const uint64_t args[6])
{
	return ckpt_remote_syscall(s->tid, s->at, nr, args, ret, err);
}

int64_t ckpt_site_call(const struct ckpt_site *s, struct ckpt_err *err, const char *what, long nr,
		       const uint64_t args[6])
{
	int64_t value;

	if (ckpt_site_try(s, err, &value, nr, args))
		return ckpt_fail_at(err, "process %d: cannot %s", s->name, what);
	if (value < 0 && value >= -4095)
		return ckpt_fail(err, CKPT_FAILED, -value, "process %d: cannot %s", s->name, what);
	return value;
}

uint64_t ckpt_site_put(const struct ckpt_site *s, size_t offset, const void *data, size_t len,
		       struct ckpt_err *err)
{
	if (offset > CKPT_SCRATCH_LEN || len > CKPT_SCRATCH_LEN - offset) {
		ckpt_fail(err, CKPT_FAILED, E2BIG, "process %d: no room for %zu bytes", s->name,
			  len);
		return 0;
	}
	if (ckpt_remote_write(s->tid, s->scratch + offset, data, len, err))
		return 0;
	return s->scratch + offset;
}

struct ckpt_site ckpt_build_site(const struct ckpt_restore *r, const struct ckpt_build_task *t,
				 size_t thread)
{
	bool has_tids = t->tids && t->task->n_threads;

	return (struct ckpt_site){
		.tid = has_tids ? t->tids[thread] : t->host,
		.name = has_tids ? t->task->threads[thread].tid : t->task->pid,
		.at = t->at,
		.scratch = r->region,
		.memory = t->filled ? t : t->forked,
	};
}

struct ckpt_build_task *ckpt_build_find(struct ckpt_restore *r, int32_t pid)
{
	size_t i;

	for (i = 0; i < r->image->n_tasks; i++) {
		if (r->tasks[i].task->pid == pid)
			return &r->tasks[i];
	}
	return NULL;
}
