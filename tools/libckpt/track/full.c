// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tracker `full`: every populated page is reported dirty
 *
 * The states come from /proc/PID/pagemap; whether a page differs from the
 * parent's is for the comparison to find.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/pages.h"
#include "track/area-line.h"
#include "track/populated.h"
#include "track/tracker.h"

static int read_mm(struct ckpt_take_mm *mm, struct ckpt_err *err)
{
	cleanup_close int pagemap = -1;
	cleanup_fclose FILE *maps = NULL;
	cleanup_free char *line = NULL;
	char path[64];
	size_t cap = 0;

	snprintf(path, sizeof(path), "/proc/%d/pagemap", mm->pid);
	pagemap = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/%d/maps", mm->pid);
	maps = fopen(path, "re");
	if (pagemap < 0 || !maps)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot open %s", path);
	while (getline(&line, &cap, maps) > 0) {
		struct ckpt_take_area *area;
		struct ckpt_area_line l;

		if (!ckpt_area_line_parse(line, &l))
			return ckpt_fail(err, CKPT_FAILED, 0, "cannot read a line of %s", path);
		if (!ckpt_area_line_by_task(&l))
			continue;
		area = ckpt_take_add_area(mm, l.start, l.end, l.shared ? CKPT_AREA_SHARED : 0);
		if (!area)
			return ckpt_fail(err, CKPT_FAILED, 0, "no memory for the areas of pid %d",
					 mm->pid);
		if (l.shared ? ckpt_populated_guards(pagemap, mm->pid, area, err) :
		    ckpt_populated_add(pagemap, mm->pid, area, ckpt_area_line_of_file(&l), err))
			return -1;
	}
	return 0;
}

static int full_step(void *self, struct ckpt_epoch *ret, struct ckpt_err *err)
{
	(void)self;
	(void)err;
	*ret = (struct ckpt_epoch){ .round = 1 };
	return 0;
}

static int full_next(void *self, bool final, struct ckpt_epoch *ret, struct ckpt_err *err)
{
	(void)final;
	return full_step(self, ret, err);
}

static int full_pages(void *self, const int32_t *pids, size_t n_pids, struct ckpt_take *ret,
		      struct ckpt_err *err)
{
	struct ckpt_take take = { 0 };

	(void)self;
	for (size_t i = 0; i < n_pids; i++) {
		struct ckpt_take_mm *mm = ckpt_take_add_mm(&take, 0, pids[i], CKPT_MM_NEW);

		if (!mm || read_mm(mm, err)) {
			ckpt_take_done(&take);
			return mm ? -1 : ckpt_fail(err, CKPT_FAILED, 0, "no memory for a take");
		}
	}
	*ret = take;
	return 0;
}

static int full_inodes(void *self, struct ckpt_inode_take *ret, struct ckpt_err *err)
{
	(void)self;
	(void)err;
	*ret = (struct ckpt_inode_take){ 0 };
	return 0;
}

static int full_commit(void *self, const uint8_t id[CKPT_ID_LEN], struct ckpt_err *err)
{
	(void)self;
	(void)id;
	(void)err;
	return 0;
}

static int full_abort(void *self, struct ckpt_err *err)
{
	(void)self;
	(void)err;
	return 0;
}

int ckpt_tracker_open_full(struct ckpt_tracker *ret, struct ckpt_err *err)
{
	(void)err;
	*ret = (struct ckpt_tracker){
		.name = "full",
		.begin = full_step,
		.next = full_next,
		.pages = full_pages,
		.inodes = full_inodes,
		.commit = full_commit,
		.abort = full_abort,
	};
	return 0;
}

void ckpt_tracker_close(struct ckpt_tracker *t)
{
	if (t->close)
		t->close(t->self);
	*t = (struct ckpt_tracker){ 0 };
}
