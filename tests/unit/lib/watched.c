// SPDX-License-Identifier: GPL-2.0-or-later
/* A watched process and the copy of its memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/pages.h"
#include "lib/watched.h"
#include "track/populated.h"
#include "track/tracker.h"

#define PIECE 64
#define POOL ((size_t)1 << 18)
#define USERFAULT (O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY)

struct order {
	uint64_t (*what)(uint64_t arg);
	uint64_t arg;
};

struct copied_page {
	uint64_t page;
	bool seen;
	uint8_t *data;
};

static struct ckpt_take last;

/*
 * Where copied pages are.  No child gets it, or the memory that is copied would hold the copies
 * of what was copied before.
 */
static uint8_t *pool;
static uint32_t *unused;
static size_t n_unused;

static void open_pool(void)
{
	if (pool)
		return;
	pool = mmap(NULL, POOL * (CKPT_PAGE_LEN + sizeof(*unused)), PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_true(pool != MAP_FAILED);
	madvise(pool, POOL * (CKPT_PAGE_LEN + sizeof(*unused)), MADV_DONTFORK);
	unused = (uint32_t *)(pool + POOL * CKPT_PAGE_LEN);
	while (n_unused < POOL) {
		unused[n_unused] = POOL - 1 - n_unused;
		n_unused++;
	}
}

static uint8_t *new_page(void)
{
	assert_true(n_unused > 0);
	return pool + (size_t)unused[--n_unused] * CKPT_PAGE_LEN;
}

static void free_page(const uint8_t *data)
{
	unused[n_unused++] = (data - pool) / CKPT_PAGE_LEN;
}

static __attribute__((noreturn)) void obey(int orders, int done)
{
	struct order order;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (read(orders, &order, sizeof(order)) == sizeof(order)) {
		uint64_t ret = order.what(order.arg);

		if (write(done, &ret, sizeof(ret)) != sizeof(ret))
			break;
	}
	_exit(0);
}

static void enter(const char *cgroup)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) != 1)
		_exit(1);
	close(fd);
}

static uint64_t nothing(uint64_t arg)
{
	return arg;
}

void watched_start(struct watched *w, const char *cgroup)
{
	int to[2], from[2];

	open_pool();
	assert_int_equal(pipe(to), 0);
	assert_int_equal(pipe(from), 0);
	w->pid = fork();
	assert_true(w->pid >= 0);
	if (!w->pid) {
		close(to[1]);
		close(from[0]);
		if (cgroup)
			enter(cgroup);
		obey(to[0], from[1]);
	}
	close(to[0]);
	close(from[1]);
	w->orders = to[1];
	w->done = from[0];
	assert_int_equal(watched_do(w, nothing, 7), 7);
}

uint64_t watched_do(struct watched *w, uint64_t (*what)(uint64_t), uint64_t arg)
{
	struct order order = { what, arg };
	uint64_t ret;

	assert_int_equal(write(w->orders, &order, sizeof(order)), sizeof(order));
	assert_int_equal(read(w->done, &ret, sizeof(ret)), sizeof(ret));
	return ret;
}

void watched_end(struct watched *w)
{
	kill(w->pid, SIGKILL);
	close(w->orders);
	close(w->done);
	assert_int_equal(waitpid(w->pid, NULL, 0), w->pid);
}

static uint64_t make_userfault(uint64_t arg)
{
	(void)arg;
	return syscall(SYS_userfaultfd, USERFAULT);
}

static uint64_t close_number(uint64_t arg)
{
	return close(arg);
}

int watched_userfault_of(pid_t pid, int number)
{
	cleanup_close int pidfd = syscall(SYS_pidfd_open, pid, 0);
	int fd = syscall(SYS_pidfd_getfd, pidfd, number, 0);

	assert_true(fd >= 0);
	return fd;
}

int watched_userfault(struct watched *w)
{
	int number = watched_do(w, make_userfault, 0);
	int fd;

	assert_true(number >= 0);
	fd = watched_userfault_of(w->pid, number);
	assert_int_equal(watched_do(w, close_number, number), 0);
	return fd;
}

size_t watched_descriptors(pid_t pid)
{
	char path[64];
	struct dirent *d;
	size_t n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	assert_non_null(dir);
	while ((d = readdir(dir)))
		n += d->d_name[0] != '.';
	closedir(dir);
	return n;
}

size_t watched_registered(pid_t pid)
{
	cleanup_free char *line = NULL;
	size_t cap = 0, n = 0;
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/smaps", pid);
	f = fopen(path, "re");
	assert_non_null(f);
	while (getline(&line, &cap, f) > 0)
		n += !strncmp(line, "VmFlags:", 8) && strstr(line, " uw");
	fclose(f);
	return n;
}

void watched_stop(pid_t pid)
{
	int status;

	assert_int_equal(kill(pid, SIGSTOP), 0);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
}

void watched_go_on(pid_t pid)
{
	assert_int_equal(kill(pid, SIGCONT), 0);
}

/* Where @page is in the copy, or where it would be. */
static size_t place(const struct copy *copy, uint64_t page)
{
	size_t low = 0, high = copy->n;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (copy->pages[mid].page < page)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static struct copied_page *find(const struct copy *copy, uint64_t page)
{
	size_t at = place(copy, page);

	return at < copy->n && copy->pages[at].page == page ? &copy->pages[at] : NULL;
}

static void drop(struct copy *copy, uint64_t start, uint64_t end)
{
	size_t from = place(copy, start), to = place(copy, end);

	if (from == to)
		return;
	for (size_t i = from; i < to; i++)
		free_page(copy->pages[i].data);
	memmove(&copy->pages[from], &copy->pages[to], (copy->n - to) * sizeof(*copy->pages));
	copy->n -= to - from;
}

static int open_mem(pid_t pid)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static void copy_page(struct copy *copy, int mem, uint64_t page)
{
	struct copied_page *p = find(copy, page);

	if (!p) {
		size_t at = place(copy, page);

		if (copy->n == copy->cap) {
			copy->cap = copy->cap ? 2 * copy->cap : 1024;
			copy->pages = realloc(copy->pages, copy->cap * sizeof(*copy->pages));
			assert_non_null(copy->pages);
		}
		p = &copy->pages[at];
		memmove(p + 1, p, (copy->n - at) * sizeof(*p));
		copy->n++;
		*p = (struct copied_page){ .page = page, .data = new_page() };
	}
	assert_int_equal(pread(mem, p->data, CKPT_PAGE_LEN, page << CKPT_PAGE_SHIFT),
			 CKPT_PAGE_LEN);
	copy->copied++;
}

static bool has_content(uint16_t state)
{
	return state == CKPT_PAGE_ANON || state == CKPT_PAGE_SWAP;
}

static void apply_area(struct copy *copy, const struct ckpt_take_area *area, int mem)
{
	uint64_t at = area->start >> CKPT_PAGE_SHIFT;

	for (size_t r = 0; r < area->n_runs; r++) {
		const struct ckpt_run *run = &area->runs[r];
		uint64_t page = run->start >> CKPT_PAGE_SHIFT, end = page + run->pages;

		drop(copy, at, has_content(run->state) ? page : end);
		for (; has_content(run->state) && page < end; page++)
			if (run->flags & CKPT_RUN_DIRTY || !find(copy, page))
				copy_page(copy, mem, page);
		at = end;
	}
	drop(copy, at, area->end >> CKPT_PAGE_SHIFT);
}

void copy_take(struct copy *copy, const struct ckpt_take_mm *take, pid_t pid)
{
	cleanup_close int mem = open_mem(pid);
	uint64_t at = 0;

	copy->copied = 0;
	for (size_t a = 0; a < take->n_areas; a++) {
		const struct ckpt_take_area *area = &take->areas[a];

		drop(copy, at, area->start >> CKPT_PAGE_SHIFT);
		if (!(area->flags & CKPT_AREA_SHARED))
			apply_area(copy, area, mem);
		at = area->end >> CKPT_PAGE_SHIFT;
	}
	drop(copy, at, UINT64_MAX);
}

/*
 * Is it one, now that it was read?  A protected page of a file that the kernel takes away for
 * want of memory leaves a mark that looks like a page in swap.
 */
static bool of_a_file(pid_t pid, uint64_t page)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_take_area area = { .start = page << CKPT_PAGE_SHIFT,
				       .end = (page + 1) << CKPT_PAGE_SHIFT };
	cleanup_close int pagemap = -1;
	char path[64];
	bool file;

	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	pagemap = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(ckpt_populated_add(pagemap, pid, &area, &err), 0);
	file = area.n_runs == 1 && area.runs[0].state == CKPT_PAGE_FILE;
	free(area.runs);
	return file;
}

/* Pages [page, page + n) of a process. */
static void compare_pages(const struct copy *copy, pid_t pid, int mem, uint64_t page, uint64_t n)
{
	static uint8_t data[PIECE * CKPT_PAGE_LEN];

	for (uint64_t i = 0; i < n; i++) {
		struct copied_page *have = find(copy, page + i);

		if (i % PIECE == 0) {
			uint64_t len = (n - i < PIECE ? n - i : PIECE) * CKPT_PAGE_LEN;

			assert_int_equal(pread(mem, data, len, (page + i) << CKPT_PAGE_SHIFT),
					 len);
		}
		if (!have && of_a_file(pid, page + i))
			continue;
		if (!have)
			fail_msg("page %#" PRIx64 " is missing", (page + i) << CKPT_PAGE_SHIFT);
		if (memcmp(have->data, data + i % PIECE * CKPT_PAGE_LEN, CKPT_PAGE_LEN))
			fail_msg("page %#" PRIx64 " is lost", (page + i) << CKPT_PAGE_SHIFT);
		have->seen = true;
	}
}

/* All there is, as a tracker finds it that knows nothing; and nothing that is gone. */
void copy_compare(const struct copy *copy, pid_t pid)
{
	cleanup_close int mem = open_mem(pid);
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_tracker full;
	struct ckpt_take all;
	int32_t p = pid;

	for (size_t i = 0; i < copy->n; i++)
		copy->pages[i].seen = false;
	assert_int_equal(ckpt_tracker_open_full(&full, &err), 0);
	assert_int_equal(full.pages(full.self, &p, 1, &all, &err), 0);
	for (size_t a = 0; a < all.mms[0].n_areas; a++) {
		const struct ckpt_take_area *area = &all.mms[0].areas[a];

		for (size_t r = 0; r < area->n_runs; r++) {
			const struct ckpt_run *run = &area->runs[r];

			if (has_content(run->state))
				compare_pages(copy, pid, mem, run->start >> CKPT_PAGE_SHIFT,
					      run->pages);
		}
	}
	ckpt_take_done(&all);
	/* what has no page of its own there, but the very content */
	for (size_t i = 0; i < copy->n; i++)
		if (!copy->pages[i].seen)
			compare_pages(copy, pid, mem, copy->pages[i].page, 1);
}

void copy_round(struct copy *copy, struct ckpt_notes *notes, pid_t pid)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	int32_t p = pid;

	watched_stop(pid);
	ckpt_take_done(&last);
	if (ckpt_notes_round(notes, &p, 1, &last, &err))
		fail_msg("%s", err.text);
	assert_int_equal(last.n_mms, 1);
	copy_take(copy, &last.mms[0], pid);
	copy_compare(copy, pid);
	watched_go_on(pid);
}

static void free_pages(struct copy *copy)
{
	for (size_t i = 0; i < copy->n; i++)
		free_page(copy->pages[i].data);
	free(copy->pages);
}

void copy_assign(struct copy *to, const struct copy *from)
{
	free_pages(to);
	*to = *from;
	to->pages = calloc(from->cap + 1, sizeof(*to->pages));
	assert_non_null(to->pages);
	for (size_t i = 0; i < from->n; i++) {
		to->pages[i] = from->pages[i];
		to->pages[i].data = new_page();
		memcpy(to->pages[i].data, from->pages[i].data, CKPT_PAGE_LEN);
	}
}

void copy_done(struct copy *copy)
{
	free_pages(copy);
	*copy = (struct copy){ 0 };
	ckpt_take_done(&last);
}

static const struct ckpt_run *told(const void *page)
{
	for (size_t a = 0; a < last.mms[0].n_areas; a++) {
		const struct ckpt_take_area *area = &last.mms[0].areas[a];

		for (size_t r = 0; r < area->n_runs; r++) {
			const struct ckpt_run *run = &area->runs[r];

			if ((uintptr_t)page >= run->start &&
			    (uintptr_t)page < run->start + run->pages * (uint64_t)CKPT_PAGE_LEN)
				return run;
		}
	}
	return NULL;
}

bool copy_told_dirty(const void *page)
{
	const struct ckpt_run *run = told(page);

	return run && run->flags & CKPT_RUN_DIRTY;
}

uint16_t copy_told_state(const void *page)
{
	const struct ckpt_run *run = told(page);

	return run ? run->state : CKPT_PAGE_NONE;
}

uint32_t copy_told_flags(const void *page)
{
	for (size_t a = 0; a < last.mms[0].n_areas; a++)
		if ((uintptr_t)page >= last.mms[0].areas[a].start &&
		    (uintptr_t)page < last.mms[0].areas[a].end)
			return last.mms[0].areas[a].flags;
	return 0;
}
