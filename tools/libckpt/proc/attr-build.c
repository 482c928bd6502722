// SPDX-License-Identifier: GPL-2.0-or-later
/* Attributes of processes: limits, credentials, and what credentials reset. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/build.h"
#include "proc/parse.h"

int ckpt_build_text(const char *path, char **ret, struct ckpt_err *err)
{
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	cleanup_buf struct ckpt_buf b = CKPT_BUF_INIT;
	ssize_t n = 1;

	while (fd >= 0 && n > 0) {
		if (ckpt_buf_reserve(&b, 4096))
			return ckpt_fail(err, CKPT_FAILED, 0, "no memory to read %s", path);
		n = read(fd, b.data + b.len, 4096);
		b.len += n > 0 ? n : 0;
	}
	if (fd < 0 || n < 0)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot read %s", path);
	ckpt_buf_put(&b, "", 1);
	if (b.failed)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory to read %s", path);
	*ret = (char *)take_ptr(b.data);
	return 0;
}

int ckpt_build_status(pid_t tid, char **ret_text, struct ckpt_proc_status *ret,
		      struct ckpt_err *err)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	if (ckpt_build_text(path, ret_text, err))
		return -1;
	if (ckpt_parse_status(*ret_text, ret))
		return ckpt_fail(err, CKPT_FAILED, 0, "cannot understand %s", path);
	return 0;
}

static int set_limits(const struct ckpt_build_task *t, struct ckpt_err *err)
{
	struct rlimit now;
	int i;

	for (i = 0; i < CKPT_NLIMITS; i++) {
		const struct rlimit wanted = { t->task->limits[i].cur, t->task->limits[i].max };

		if (prlimit(t->host, i, NULL, &now))
			return ckpt_fail(err, CKPT_FAILED, errno, "process %d: cannot read limits",
					 t->task->pid);
		if (memcmp(&now, &wanted, sizeof(now)) && prlimit(t->host, i, &wanted, NULL))
			return ckpt_fail(err, CKPT_FAILED, errno,
					 "process %d: cannot set resource limit %d",
					 t->task->pid, i);
	}
	return 0;
}

/* By the text: prlimit of another user's process takes a capability that we may lack. */
int ckpt_verify_limits(const struct ckpt_build_task *t, struct ckpt_err *err)
{
	struct ckpt_rlimit now[CKPT_NLIMITS];
	cleanup_free char *text = NULL;
	char path[64];
	int i;

	snprintf(path, sizeof(path), "/proc/%d/limits", t->host);
	if (ckpt_build_text(path, &text, err))
		return -1;
	if (ckpt_parse_limits(text, now))
		return ckpt_fail(err, CKPT_FAILED, 0, "cannot understand %s", path);
	for (i = 0; i < CKPT_NLIMITS; i++) {
		if (memcmp(&now[i], &t->task->limits[i], sizeof(now[i])))
			return ckpt_fail(err, CKPT_DAMAGED, 0,
					 "process %d has another resource limit %d", t->task->pid,
					 i);
	}
	return 0;
}

static int set_oom(const struct ckpt_build_task *t, struct ckpt_err *err)
{
	cleanup_free char *text = NULL;
	cleanup_close int fd = -1;
	char path[64], value[16];
	int n = snprintf(value, sizeof(value), "%d", t->task->oom_score_adj);

	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", t->host);
	if (ckpt_build_text(path, &text, err))
		return -1;
	if (atoi(text) == t->task->oom_score_adj)
		return 0;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, value, n) != n)
		return ckpt_fail(err, CKPT_FAILED, errno, "process %d: cannot set oom_score_adj",
				 t->task->pid);
	return 0;
}

/* What a core dump of it holds. */
static int set_coredump(struct ckpt_restore *r, const struct ckpt_build_task *t,
			struct ckpt_err *err)
{
	uint32_t wanted = r->image->mms[t->task->mm].coredump_filter;
	cleanup_free char *text = NULL;
	cleanup_close int fd = -1;
	char path[64], value[16];
	int n = snprintf(value, sizeof(value), "0x%x", wanted & ~CKPT_COREDUMP_KNOWN);

	snprintf(path, sizeof(path), "/proc/%d/coredump_filter", t->host);
	if (!wanted)
		return 0;
	if (ckpt_build_text(path, &text, err))
		return -1;
	if (strtoul(text, NULL, 16) == (wanted & ~CKPT_COREDUMP_KNOWN))
		return 0;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, value, n) != n)
		return ckpt_fail(err, CKPT_FAILED, errno, "process %d: cannot set coredump_filter",
				 t->task->pid);
	return 0;
}

static int set_pdeath(const struct ckpt_site *s, int sig, struct ckpt_err *err)
{
	return sig && ckpt_site_call(s, err, "set its parent-death signal", SYS_prctl,
				     ARGS(PR_SET_PDEATHSIG, sig)) < 0 ? -1 : 0;
}

/* A change of credentials resets the first two: they come after it. */
static int set_flags(const struct ckpt_site *s, const struct ckpt_task *task, struct ckpt_err *err)
{
	if (ckpt_site_call(s, err, "set whether it may dump core", SYS_prctl,
			   ARGS(PR_SET_DUMPABLE, task->dumpable)) < 0)
		return -1;
	if (set_pdeath(s, task->pdeath_sig, err))
		return -1;
	if (task->child_subreaper && ckpt_site_call(s, err, "adopt orphans", SYS_prctl,
						    ARGS(PR_SET_CHILD_SUBREAPER, 1)) < 0)
		return -1;
	/* born with ours */
	return ckpt_site_call(s, err, "set its personality", SYS_personality,
			      ARGS(task->personality)) < 0 ? -1 : 0;
}

int ckpt_build_attrs(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err)
{
	struct ckpt_site s;
	size_t i;

	if (set_limits(t, err) || set_oom(t, err) || set_coredump(r, t, err))
		return -1;
	for (i = 0; i < t->task->n_threads; i++) {
		s = ckpt_build_site(r, t, i);
		if (ckpt_build_creds(&s, &t->task->threads[i].creds, err) ||
		    set_pdeath(&s, t->task->threads[i].pdeath_sig, err))
			return -1;
	}
	s = ckpt_build_site(r, t, 0);
	return set_flags(&s, t->task, err);
}
