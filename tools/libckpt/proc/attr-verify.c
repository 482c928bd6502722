// SPDX-License-Identifier: GPL-2.0-or-later
/* Attributes of a stopped task that its status does not show, against the image. */
#include <errno.h>
#include <linux/membarrier.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/build.h"
#include "proc/parse.h"
#include "proc/remote.h"

/* Not in the headers of older kernels. */
#define GET_REGISTRATIONS (1 << 9)

static int number_of(const struct ckpt_build_task *t, const char *name, int base, long *ret,
		     struct ckpt_err *err)
{
	cleanup_free char *text = NULL;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", t->host, name);
	if (ckpt_build_text(path, &text, err))
		return -1;
	*ret = strtol(text, NULL, base);
	return 0;
}

static int verify_numbers(const struct ckpt_build_task *t, struct ckpt_err *err)
{
	const struct ckpt_task *task = t->task;
	cleanup_free char *text = NULL;
	struct ckpt_proc_stat stat;
	char path[64];
	long number;

	if (number_of(t, "oom_score_adj", 10, &number, err))
		return -1;
	if (number != task->oom_score_adj)
		return NOT_AS_CAPTURED("process %d has another oom_score_adj", task->pid);
	if (number_of(t, "personality", 16, &number, err))
		return -1;
	if ((uint32_t)number != task->personality)
		return NOT_AS_CAPTURED("process %d has another personality", task->pid);
	snprintf(path, sizeof(path), "/proc/%d/stat", t->host);
	if (ckpt_build_text(path, &text, err))
		return -1;
	if (ckpt_parse_stat(text, &stat) || stat.exit_signal != task->exit_signal)
		return NOT_AS_CAPTURED("process %d ends with another signal", task->pid);
	return 0;
}

/* A directory that was deleted may have got another name for a moment. */
static int verify_deleted(const struct ckpt_build_task *t, const char *name,
			  const struct ckpt_file *f, struct ckpt_err *err)
{
	struct stat st;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", t->host, name);
	if (stat(path, &st) || st.st_mode != f->mode || st.st_uid != f->uid || st.st_gid != f->gid)
		return NOT_AS_CAPTURED("process %d has another %s", t->task->pid, name);
	return 0;
}

static int verify_place(const struct ckpt_restore *r, const struct ckpt_build_task *t,
			const char *name, uint32_t file, struct ckpt_err *err)
{
	const char *wanted = file == CKPT_NONE ? "/" : r->image->files[file].path;
	char path[64], target[4096];
	ssize_t n;

	if (file != CKPT_NONE && r->image->files[file].deleted)
		return verify_deleted(t, name, &r->image->files[file], err);
	snprintf(path, sizeof(path), "/proc/%d/%s", t->host, name);
	n = readlink(path, target, sizeof(target) - 1);
	target[n < 0 ? 0 : n] = 0;
	if (strcmp(target, wanted))
		return NOT_AS_CAPTURED("process %d has %s for its %s instead of %s", t->task->pid,
				       target, name, wanted);
	return 0;
}

/* What it has to be asked itself. */
static int verify_answers(const struct ckpt_restore *r, const struct ckpt_build_task *t,
			  struct ckpt_err *err)
{
	const struct ckpt_site s = ckpt_build_site(r, t, 0);
	uint32_t barriers = r->image->mms[t->task->mm].membarrier;
	int reaper = -1;
	int64_t dumpable, now = 0;

	dumpable = ckpt_site_call(&s, err, "say whether it may dump core", SYS_prctl,
				  ARGS(PR_GET_DUMPABLE));
	if (dumpable < 0 ||
	    ckpt_site_call(&s, err, "say whether it adopts orphans", SYS_prctl,
			   ARGS(PR_GET_CHILD_SUBREAPER, s.scratch)) < 0 ||
	    ckpt_remote_read(s.tid, s.scratch, &reaper, sizeof(reaper), err))
		return -1;
	if (barriers && ckpt_site_try(&s, err, &now, SYS_membarrier,
				      ARGS(GET_REGISTRATIONS, 0, 0)))
		return -1;
	/* kernels before 6.3 make registrations and do not list them */
	if (now == -EINVAL)
		now = barriers;
	if (dumpable != t->task->dumpable)
		return NOT_AS_CAPTURED("process %d may dump core or not", t->task->pid);
	if (reaper != t->task->child_subreaper)
		return NOT_AS_CAPTURED("process %d adopts orphans or does not", t->task->pid);
	if (now != barriers)
		return NOT_AS_CAPTURED("process %d has other memory barriers", t->task->pid);
	return 0;
}

/* Of threads beyond the first only those are asked that have some. */
static int verify_securebits(const struct ckpt_restore *r, const struct ckpt_build_task *t,
			     struct ckpt_err *err)
{
	for (size_t i = 0; i < t->task->n_threads; i++) {
		const struct ckpt_site s = ckpt_build_site(r, t, i);
		uint32_t wanted = t->task->threads[i].creds.securebits;
		int64_t now;

		if (i && !wanted)
			continue;
		now = ckpt_site_call(&s, err, "read its securebits", SYS_prctl,
				     ARGS(PR_GET_SECUREBITS));
		if (now < 0)
			return -1;
		if (now != wanted)
			return NOT_AS_CAPTURED("thread %d has other securebits", s.name);
	}
	return 0;
}

int ckpt_verify_attrs(struct ckpt_restore *r, const struct ckpt_build_task *t,
		      struct ckpt_err *err)
{
	return verify_numbers(t, err) || verify_place(r, t, "cwd", t->task->cwd, err) ||
	       verify_place(r, t, "root", t->task->root, err) || verify_answers(r, t, err) ||
	       verify_securebits(r, t, err) ? -1 : 0;
}
