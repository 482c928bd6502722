// SPDX-License-Identifier: GPL-2.0-or-later
/* The tracker's process: who dies when loses nothing, and its end leaves nothing behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/pages.h"
#include "lib/proc_group.h"
#include "lib/watched.h"
#include "track/tracker-main.h"
#include "track/tracker.h"

#define P ((uint64_t)CKPT_PAGE_LEN)

struct env {
	char dir[256], path[128];
	struct watched w;
	uint64_t mem;
	struct ckpt_tracker t;
	struct ckpt_epoch epoch;
	struct ckpt_take take;
};

static int set_up(void **state)
{
	struct env *e = calloc(1, sizeof(*e));

	assert_int_equal(proc_group_make("tracker", e->dir, sizeof(e->dir)), 0);
	snprintf(e->path, sizeof(e->path), "/tmp/ckpt-tracker-test.%d", getpid());
	watched_start(&e->w, e->dir);
	e->mem = watched_do(&e->w, watched_map, 8);
	*state = e;
	return 0;
}

static int tear_down(void **state)
{
	struct env *e = *state;
	struct ckpt_err err = CKPT_ERR_INIT;

	unsetenv("CKPT_FAULT");
	ckpt_take_done(&e->take);
	ckpt_tracker_close(&e->t);
	assert_int_equal(ckpt_tracker_end(e->path, &err), 0);
	assert_int_equal(watched_registered(e->w.pid), 0);
	assert_int_equal(access(e->path, F_OK), -1);
	watched_end(&e->w);
	proc_group_end(e->dir);
	free(e);
	return 0;
}

static void begin(struct env *e)
{
	struct ckpt_err err = CKPT_ERR_INIT;

	ckpt_take_done(&e->take);
	ckpt_tracker_close(&e->t);
	assert_int_equal(ckpt_tracker_open_scan(e->path, e->dir, &e->t, &err), 0);
	if (e->t.begin(e->t.self, &e->epoch, &err))
		fail_msg("%s", err.text);
}

static void adopt(struct env *e)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	int32_t pid = e->w.pid, *missing;
	size_t n;
	int fd;

	assert_int_equal(e->t.missing(e->t.self, &pid, 1, &missing, &n, &err), 0);
	free(missing);
	if (!n)
		return;
	fd = watched_userfault(&e->w);
	e->t.adopt(e->t.self, pid, fd);
	close(fd);
}

/* Return: whether there was a word on the process, which waits for orders. */
static bool take(struct env *e)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	int32_t pid = e->w.pid;

	assert_int_equal(e->t.pages(e->t.self, &pid, 1, &e->take, &err), 0);
	return ckpt_take_find(&e->take, pid);
}

static void commit(struct env *e, uint8_t id)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	uint8_t uuid[CKPT_ID_LEN] = { id };

	assert_int_equal(e->t.commit(e->t.self, uuid, &err), 0);
}

static void checkpoint(struct env *e, uint8_t id)
{
	begin(e);
	adopt(e);
	assert_true(take(e));
	commit(e, id);
}

static bool dirty(const struct env *e, uint64_t page)
{
	const struct ckpt_take_mm *mm = &e->take.mms[0];

	for (size_t a = 0; a < mm->n_areas; a++) {
		for (size_t r = 0; r < mm->areas[a].n_runs; r++) {
			const struct ckpt_run *run = &mm->areas[a].runs[r];

			if (page >= run->start && page < run->start + run->pages * P)
				return run->flags & CKPT_RUN_DIRTY;
		}
	}
	fail_msg("a page is not told");
	return false;
}

static pid_t peer(const struct env *e)
{
	int sock = ckpt_tracker_connect(e->path);
	struct ucred who = { 0 };
	socklen_t len = sizeof(who);

	assert_true(sock >= 0);
	assert_int_equal(getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &who, &len), 0);
	close(sock);
	return who.pid;
}

/* Gone, or the zombie of one. */
static bool ended(pid_t pid)
{
	char path[64], text[512] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	if (f && !fgets(text, sizeof(text), f))
		text[0] = 0;
	if (f)
		fclose(f);
	return !text[0] || strstr(text, ") Z ");
}

static void wait_end(pid_t pid)
{
	for (int i = 0; i < 2000 && !ended(pid); i++)
		usleep(5000);
	assert_true(ended(pid));
}

static void it_remembers(void **state)
{
	struct env *e = *state;
	size_t descriptors = watched_descriptors(e->w.pid);
	uint64_t cookie;
	struct stat st;

	begin(e);
	assert_true(e->epoch.load_cookie);
	assert_int_equal(e->epoch.committed[0], 0);
	adopt(e);
	assert_true(take(e));
	assert_true(dirty(e, e->mem));
	commit(e, 7);
	cookie = e->epoch.load_cookie;
	watched_do(&e->w, watched_write, e->mem + P);
	begin(e);
	assert_int_equal(e->epoch.load_cookie, cookie);
	assert_int_equal(e->epoch.committed[0], 7);
	assert_true(e->epoch.estimate >= 1);
	adopt(e);
	assert_true(take(e));
	assert_true(dirty(e, e->mem + P));
	assert_false(dirty(e, e->mem + 2 * P));
	commit(e, 8);
	assert_int_equal(watched_descriptors(e->w.pid), descriptors);
	assert_int_equal(stat(e->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

/* A child of the test, which asserts nothing of its own. */
static __attribute__((noreturn)) void call_and_die(struct env *e, bool abort)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	int32_t pid = e->w.pid;

	if (ckpt_tracker_open_scan(e->path, e->dir, &e->t, &err) ||
	    e->t.begin(e->t.self, &e->epoch, &err) ||
	    e->t.pages(e->t.self, &pid, 1, &e->take, &err) || !ckpt_take_find(&e->take, pid))
		_exit(1);
	if (abort)
		e->t.abort(e->t.self, &err);
	kill(getpid(), SIGKILL);
	_exit(1);
}

/* Between the round and the commit: the caller's end is that of its socket. */
static void a_caller_that_dies(void **state)
{
	struct env *e = *state;
	int status;

	checkpoint(e, 1);
	watched_do(&e->w, watched_write, e->mem + P);
	for (int way = 0; way < 2; way++) {
		pid_t caller;

		ckpt_tracker_close(&e->t);
		caller = fork();
		if (!caller)
			call_and_die(e, way);
		assert_int_equal(waitpid(caller, &status, 0), caller);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		watched_do(&e->w, watched_write, e->mem + (3 + way) * P);
	}
	begin(e);
	assert_int_equal(e->epoch.committed[0], 1);
	assert_true(take(e));
	assert_true(dirty(e, e->mem + P));
	assert_true(dirty(e, e->mem + 3 * P));
	assert_true(dirty(e, e->mem + 4 * P));
	assert_false(dirty(e, e->mem + 5 * P));
	commit(e, 2);
}

/* At each of its steps: nothing is left, nothing is known, and the next one begins anew. */
static void a_tracker_that_dies(void **state)
{
	static const char *const points[] = {
		"tracker.adopted", "tracker.walked", "tracker.round", "tracker.answering:3",
		"tracker.committed",
	};
	struct env *e = *state;
	size_t descriptors = watched_descriptors(e->w.pid);
	struct ckpt_err err = CKPT_ERR_INIT;

	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
		bool told;
		pid_t pid;

		setenv("CKPT_FAULT", points[i], 1);
		begin(e);
		unsetenv("CKPT_FAULT");
		assert_true(e->epoch.load_cookie);
		assert_int_equal(e->epoch.committed[0], 0);
		assert_non_null(e->t.self);
		pid = peer(e);
		adopt(e);
		told = take(e);
		assert_int_equal(told, !strcmp(points[i], "tracker.committed"));
		commit(e, 1);
		wait_end(pid);
		assert_int_equal(watched_registered(e->w.pid), 0);
		assert_int_equal(watched_descriptors(e->w.pid), descriptors);
	}
	/* the socket of the last one is still there, and leads nowhere */
	checkpoint(e, 3);
	begin(e);
	assert_int_equal(e->epoch.committed[0], 3);
	kill(peer(e), SIGKILL);
	assert_false(take(e));
	ckpt_tracker_close(&e->t);
	assert_int_equal(ckpt_tracker_end(e->path, &err), 0);
}

static void it_ends_with_the_group(void **state)
{
	struct env *e = *state;
	pid_t pid;

	checkpoint(e, 1);
	ckpt_tracker_close(&e->t);
	pid = peer(e);
	assert_false(ended(pid));
	watched_end(&e->w);
	wait_end(pid);
	watched_start(&e->w, NULL);
}

static void another_group_of_the_same_name(void **state)
{
	struct env *e = *state;
	char other[256];
	pid_t pid;

	checkpoint(e, 1);
	pid = peer(e);
	ckpt_tracker_close(&e->t);
	assert_int_equal(proc_group_make("tracker-other", other, sizeof(other)), 0);
	/* nobody lives there: the new one ends by itself */
	memcpy(e->dir, other, sizeof(other));
	begin(e);
	assert_int_equal(e->epoch.committed[0], 0);
	assert_int_equal(watched_registered(e->w.pid), 0);
	wait_end(pid);
	snprintf(e->dir, sizeof(e->dir), "%.*s", (int)(strlen(other) - strlen("-other")), other);
	rmdir(other);
}

/* What answers nothing is ended, so that another one can have the memory. */
static void one_that_hangs(void **state)
{
	struct env *e = *state;
	struct ckpt_err err = CKPT_ERR_INIT;
	pid_t pid;

	setenv("CKPT_FAULT", "tracker.committed=stop", 1);
	begin(e);
	unsetenv("CKPT_FAULT");
	pid = peer(e);
	adopt(e);
	assert_true(take(e));
	commit(e, 1);
	ckpt_tracker_close(&e->t);
	assert_true(watched_registered(e->w.pid) > 0);
	assert_int_equal(ckpt_tracker_end(e->path, &err), 0);
	assert_true(ended(pid));
	assert_int_equal(watched_registered(e->w.pid), 0);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(it_remembers),
		CASE(a_caller_that_dies),
		CASE(a_tracker_that_dies),
		CASE(it_ends_with_the_group),
		CASE(another_group_of_the_same_name),
		CASE(one_that_hangs),
	};

	if (!watched_notes_here())
		return watched_skip();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
