// SPDX-License-Identifier: GPL-2.0-or-later
/* The cgroup freezer. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "proc/hold.h"
#include "proc/procfs.h"

/* Value of "@key N" in a flat keyed cgroup file, or -1. */
static int keyed(int fd, const char *key)
{
	char text[256];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	const char *p;

	if (n < 0)
		return -1;
	text[n] = 0;
	p = strstr(text, key);
	return p ? p[strlen(key)] - '0' : -1;
}

int ckpt_freeze_open(struct ckpt_hold *hold, const char *cgroup, struct ckpt_err *err)
{
	char is = 0;

	hold->cgroup = open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (hold->cgroup < 0)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot open cgroup %s", cgroup);
	hold->freeze = openat(hold->cgroup, "cgroup.freeze", O_RDWR | O_CLOEXEC);
	hold->events = openat(hold->cgroup, "cgroup.events", O_RDONLY | O_CLOEXEC);
	if (hold->freeze < 0 || hold->events < 0)
		return ckpt_fail(err, CKPT_FAILED, errno,
				 "%s cannot be frozen, it is no cgroup v2 below the root", cgroup);
	if (pread(hold->freeze, &is, 1, 0) != 1)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot read cgroup.freeze of %s",
				 cgroup);
	if (is != '0')
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "%s is frozen by somebody else; thaw it first", cgroup);
	return 0;
}

/* Name the task that keeps the cgroup from being frozen. */
static int name_culprit(struct ckpt_hold *hold, struct ckpt_err *err)
{
	ckpt_hold_forget(hold);
	if (ckpt_tree_list_cgroup(hold, err) < 0 || ckpt_tree_list_threads(hold, err) < 0)
		return -1;
	for (size_t i = 0; i < hold->n_procs; i++) {
		struct ckpt_held_proc *p = &hold->procs[i];

		for (size_t j = 0; j < p->n_threads; j++) {
			pid_t tid = p->threads[j].tid;
			struct ckpt_proc_stat stat;
			char name[64];
			char wchan[64] = "user mode";

			snprintf(name, sizeof(name), "task/%d/stat", tid);
			if (ckpt_procfs_read(p->dir, name, &hold->scratch) ||
			    ckpt_parse_stat((char *)hold->scratch.data, &stat))
				continue;
			snprintf(name, sizeof(name), "task/%d/wchan", tid);
			if (!ckpt_procfs_read(p->dir, name, &hold->scratch) &&
			    hold->scratch.len > 1)
				snprintf(wchan, sizeof(wchan), "%.63s",
					 (char *)hold->scratch.data);
			if (strchr("TtZX", stat.state) || !strcmp(wchan, "do_freezer_trap") ||
			    !strcmp(wchan, "get_signal"))
				continue;
			return ckpt_fail(err, CKPT_FAILED, 0,
				"pid %d (%s) did not freeze in %u ms, thread %d is in state %c in "
				"%s; the tree was thawed, try again",
				p->pid, stat.comm, hold->freeze_ms, tid, stat.state, wchan);
		}
	}
	return ckpt_fail(err, CKPT_FAILED, 0,
			 "the cgroup did not freeze in %u ms and was thawed; try again",
			 hold->freeze_ms);
}

int ckpt_freeze_on(struct ckpt_hold *hold, struct ckpt_err *err)
{
	uint64_t start = ckpt_now_ns();
	uint64_t bound = hold->freeze_ms * 1000000ull;

	hold->began_ns = start;
	hold->frozen = true;
	if (pwrite(hold->freeze, "1", 1, 0) != 1)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot freeze the cgroup");
	ckpt_fault("keeper.freezing");
	/*
	 * A short sleep between reads: the change is notified at most every
	 * 10 ms, while a freeze takes some tens of microseconds.
	 */
	while (keyed(hold->events, "frozen ") != 1) {
		uint64_t past = ckpt_now_ns() - start;

		if (past > bound)
			return name_culprit(hold, err);
		ckpt_sleep_us(past < 2000000 ? 10 : 1000);
	}
	return 0;
}

void ckpt_freeze_off(struct ckpt_hold *hold)
{
	if (!hold->frozen)
		return;
	for (int tries = 0; tries < 100; tries++) {
		if (pwrite(hold->freeze, "0", 1, 0) == 1 || errno == ENODEV)
			break;
		ckpt_sleep_us(1000);
	}
	hold->frozen = false;
}
