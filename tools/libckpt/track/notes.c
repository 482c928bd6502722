// SPDX-License-Identifier: GPL-2.0-or-later
/* Notes of a group. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fault.h"
#include "base/pages.h"
#include "base/procstat.h"
#include "track/pagemap.h"
#include "track/protect.h"
#include "track/notes.h"

#define TASK_END 0x7ffffffff000ull
#define MAPS_PIECE 65536

static void mm_done(struct ckpt_notes_mm *mm)
{
	ckpt_ranges_done(&mm->taken);
	ckpt_ranges_done(&mm->ahead);
	close(mm->uffd);
}

void ckpt_notes_done(struct ckpt_notes *notes)
{
	for (size_t i = 0; i < notes->n_mms; i++)
		mm_done(&notes->mms[i]);
	free(notes->mms);
	ckpt_buf_done(&notes->rings);
	ckpt_buf_done(&notes->rings_now);
	*notes = (struct ckpt_notes)CKPT_NOTES_INIT;
}

/* What cannot be looked at, for want of a descriptor say, is not dead for that. */
bool ckpt_notes_alive(const struct ckpt_notes_mm *mm)
{
	uint64_t start;
	int r = ckpt_procstat(mm->pid, CKPT_STAT_START_TIME, &start, 1);

	if (r == -ENOENT || r == -ESRCH || (!r && start != mm->start_time))
		return false;
	return ckpt_protect_alive(mm->uffd);
}

static struct ckpt_notes_mm *mm_of(struct ckpt_notes *notes, int32_t pid)
{
	for (size_t i = 0; i < notes->n_mms; i++) {
		if (notes->mms[i].pid == pid && ckpt_notes_alive(&notes->mms[i]))
			return &notes->mms[i];
	}
	return NULL;
}

static void forget_dead(struct ckpt_notes *notes)
{
	size_t kept = 0;

	for (size_t i = 0; i < notes->n_mms; i++) {
		if (ckpt_notes_alive(&notes->mms[i]))
			notes->mms[kept++] = notes->mms[i];
		else
			mm_done(&notes->mms[i]);
	}
	notes->n_mms = kept;
}

int ckpt_notes_missing(struct ckpt_notes *notes, const int32_t *pids, size_t n,
		       int32_t **ret_pids, size_t *ret_n, struct ckpt_err *err)
{
	int32_t *missing = calloc(n + 1, sizeof(*missing));
	size_t count = 0;

	if (!missing)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of processes");
	forget_dead(notes);
	for (size_t i = 0; i < n; i++) {
		if (!mm_of(notes, pids[i]))
			missing[count++] = pids[i];
	}
	*ret_pids = missing;
	*ret_n = count;
	return 0;
}

int ckpt_notes_adopt(struct ckpt_notes *notes, int32_t pid, int uffd, struct ckpt_err *err)
{
	struct ckpt_notes_mm *mms = realloc(notes->mms, (notes->n_mms + 1) * sizeof(*mms));
	struct ckpt_notes_mm mm = { .pid = pid, .uffd = uffd };
	int e;

	if (!mms) {
		close(uffd);
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of processes");
	}
	notes->mms = mms;
	e = ckpt_protect_start(uffd);
	if (!e)
		e = ckpt_procstat(pid, CKPT_STAT_START_TIME, &mm.start_time, 1);
	if (e) {
		close(uffd);
		return ckpt_fail(err, CKPT_FAILED, -e, "cannot watch the memory of pid %d", pid);
	}
	mm.cookie = ++notes->last_cookie;
	mms[notes->n_mms++] = mm;
	return 0;
}

char *ckpt_notes_maps(int32_t pid)
{
	cleanup_close int fd = -1;
	cleanup_buf struct ckpt_buf text = CKPT_BUF_INIT;
	char path[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	do {
		if (ckpt_buf_reserve(&text, MAPS_PIECE))
			return NULL;
		n = read(fd, text.data + text.len, MAPS_PIECE - 1);
		text.len += n > 0 ? n : 0;
	} while (n > 0);
	if (n < 0)
		return NULL;
	text.data[text.len] = 0;
	return (char *)take_ptr(text.data);
}

static int walk(struct ckpt_notes *notes, const int32_t *pids, char **maps, size_t n,
		struct ckpt_take *take, struct ckpt_err *err)
{
	bool whole = notes->behind || notes->behind_now;

	for (size_t i = 0; i < n; i++) {
		struct ckpt_notes_mm *mm = mm_of(notes, pids[i]);
		struct ckpt_take_mm *told;

		if (!mm || !maps[i])
			continue;
		told = ckpt_take_add_mm(take, mm->cookie, mm->pid, 0);
		if (!told)
			return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a take");
		if (ckpt_notes_walk(notes, mm, maps[i], whole || mm->doubt, told, err))
			return -1;
		mm->told = true;
		ckpt_fault("tracker.walked");
	}
	return 0;
}

/* @look: before any is walked: who does I/O may do it to the memory of another */
static int walk_all(struct ckpt_notes *notes, const int32_t *pids, size_t n, bool look,
		    struct ckpt_take *ret, struct ckpt_err *err)
{
	char **maps = calloc(n + 1, sizeof(*maps));
	struct ckpt_take take = { 0 };
	int failed;

	if (!maps)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a take");
	for (size_t i = 0; i < n; i++) {
		maps[i] = ckpt_notes_maps(pids[i]);
		if (look)
			notes->behind_now |= ckpt_notes_behind(pids[i], maps[i], &notes->rings_now);
	}
	if (look)
		notes->behind_now |= ckpt_notes_ring_gone(&notes->rings, &notes->rings_now);
	failed = walk(notes, pids, maps, n, &take, err);
	for (size_t i = 0; i < n; i++)
		free(maps[i]);
	free(maps);
	if (failed) {
		ckpt_take_done(&take);
		return -1;
	}
	*ret = take;
	return 0;
}

int ckpt_notes_round(struct ckpt_notes *notes, const int32_t *pids, size_t n,
		     struct ckpt_take *ret, struct ckpt_err *err)
{
	notes->behind_now = false;
	ckpt_buf_done(&notes->rings_now);
	for (size_t i = 0; i < notes->n_mms; i++)
		notes->mms[i].told = false;
	return walk_all(notes, pids, n, true, ret, err);
}

int ckpt_notes_watch(struct ckpt_notes *notes, const int32_t *pids, size_t n,
		     struct ckpt_take *ret, struct ckpt_err *err)
{
	if (ckpt_notes_round(notes, pids, n, ret, err))
		return -1;
	if (notes->behind || notes->behind_now) {
		ckpt_take_done(ret);
		return 0;
	}
	for (size_t i = 0; i < notes->n_mms; i++) {
		struct ckpt_notes_mm *mm = &notes->mms[i];

		if (!mm->told)
			continue;
		mm->doubt |= ckpt_ranges_join(&mm->ahead, &mm->taken);
		ckpt_ranges_done(&mm->taken);
	}
	return 0;
}

int ckpt_notes_more(struct ckpt_notes *notes, const int32_t *pids, size_t n,
		    struct ckpt_take *ret, struct ckpt_err *err)
{
	return walk_all(notes, pids, n, false, ret, err);
}

/* What was told ahead and is not durable is to be told again. */
static void retell(struct ckpt_notes_mm *mm)
{
	mm->doubt |= ckpt_ranges_join(&mm->taken, &mm->ahead);
	ckpt_ranges_done(&mm->ahead);
}

void ckpt_notes_commit(struct ckpt_notes *notes)
{
	for (size_t i = 0; i < notes->n_mms; i++) {
		struct ckpt_notes_mm *mm = &notes->mms[i];

		if (mm->told) {
			ckpt_ranges_done(&mm->taken);
			ckpt_ranges_done(&mm->ahead);
			mm->doubt = false;
		}
		retell(mm);
		mm->told = false;
	}
	notes->behind = notes->behind_now;
	notes->behind_now = false;
	ckpt_buf_done(&notes->rings);
	notes->rings = notes->rings_now;
	notes->rings_now = (struct ckpt_buf)CKPT_BUF_INIT;
}

void ckpt_notes_abort(struct ckpt_notes *notes)
{
	for (size_t i = 0; i < notes->n_mms; i++) {
		notes->mms[i].told = false;
		retell(&notes->mms[i]);
	}
	notes->behind |= notes->behind_now;
	notes->behind_now = false;
	ckpt_buf_put(&notes->rings, notes->rings_now.data, notes->rings_now.len);
	notes->behind |= notes->rings.failed;
	ckpt_buf_done(&notes->rings_now);
}

static uint64_t written(const struct ckpt_notes_mm *mm)
{
	cleanup_close int pagemap = -1;
	struct ckpt_scan_region regions[CKPT_SCAN_REGIONS];
	struct ckpt_scan_arg arg = {
		.size = sizeof(arg), .end = TASK_END, .vec = (uintptr_t)regions,
		.vec_len = CKPT_SCAN_REGIONS,
		.category_anyof_mask = CKPT_SCAN_PRESENT | CKPT_SCAN_SWAPPED,
		.return_mask = CKPT_SCAN_FILE | CKPT_SCAN_WRITTEN,
	};
	uint64_t pages = 0;

	pagemap = ckpt_scan_open(mm->pid);
	while (pagemap >= 0 && arg.start < arg.end) {
		int n = ckpt_scan_next(pagemap, &arg);

		if (n < 0)
			break;
		for (int i = 0; i < n; i++) {
			if (regions[i].categories == CKPT_SCAN_WRITTEN)
				pages += (regions[i].end - regions[i].start) / CKPT_PAGE_LEN;
		}
	}
	for (size_t i = 0; i < mm->taken.n; i++)
		pages += mm->taken.r[i].end - mm->taken.r[i].start;
	return pages;
}

uint64_t ckpt_notes_estimate(const struct ckpt_notes *notes)
{
	uint64_t pages = 0;

	for (size_t i = 0; i < notes->n_mms; i++)
		pages += written(&notes->mms[i]);
	return pages;
}
