// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A writer that dies or fails at any step leaves the newest committed checkpoint
 * whole, no temporary file for long, and no id that is used twice
 */
#include <dirent.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "store_model.h"

/* Every step of a commit; from the first COMMITTED on the checkpoint may exist. */
static const char *const points[] = {
	"store.pack-open", "store.pack-write", "store.pack-write:3", "store.pack-index",
	"store.pack-fsync", "store.manifest-write", "store.manifest-fsync", "store.pack-rename",
	"store.pack-dirsync", "store.manifest-rename", "store.manifest-dirsync",
	"store.fingerprints",
};
#define POINTS (sizeof(points) / sizeof(*points))
#define PACKED 8	/* the pack is in its place */
#define COMMITTED 10

struct world {
	char path[200];
	char reached[220];
	struct ckpt_store *store;
	struct model m;
	uint64_t seed;
	uint64_t id;
};

/* A full checkpoint of one space. */
static void take_full(struct world *w)
{
	struct ckpt_writer *writer = model_begin(w->store, "agent", 0);
	struct ckpt_sink sink = ckpt_writer_sink(writer);

	memset(&w->m, 0, sizeof(w->m));
	model_add_space(&w->m, &sink, &w->seed);
	w->id = model_commit(writer);
}

static void begin_world(struct world *w, uint64_t seed)
{
	memset(w, 0, sizeof(*w));
	w->seed = seed;
	w->store = model_open(model_path(w->path, sizeof(w->path)));
	snprintf(w->reached, sizeof(w->reached), "%s-reached", w->path);
	take_full(w);
}

/* Memory that a child shares: what it did before it died. */
static struct model *shared_model(void)
{
	struct model *m = mmap(NULL, sizeof(*m), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(m != MAP_FAILED);
	return m;
}

static void end_world(struct world *w)
{
	ckpt_store_close(w->store);
	model_remove(w->path);
}

/* An incremental checkpoint with changes that @m gets too. Return: its id, -1. */
static int attempt(struct world *w, struct model *m, uint64_t *seed, struct ckpt_err *err)
{
	struct ckpt_writer *writer = model_begin(w->store, "agent", w->id);
	struct ckpt_sink sink = ckpt_writer_sink(writer);
	uint64_t id;
	int rc;

	model_step(m, &sink, seed);
	m->page[0][3] = 2 + model_random(seed) % 100000;
	m->page[0][900] = 2 + model_random(seed) % 100000;
	model_put_page(m, &sink, 0, 3);
	model_put_page(m, &sink, 0, 900);
	rc = ckpt_writer_commit(writer, &id, err);
	ckpt_writer_free(writer);
	return rc ? -1 : (int)id;
}

static int count_files(const char *store, const char *sub)
{
	char path[300];
	const struct dirent *e;
	int n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "%s/%s", store, sub);
	d = opendir(path);
	assert_non_null(d);
	while ((e = readdir(d)))
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

static void was_reached(const struct world *w, const char *point)
{
	char line[100] = "";
	FILE *f = fopen(w->reached, "r");

	if (!f || !fgets(line, sizeof(line), f))
		fail_msg("%s was never reached", point);
	assert_int_equal(strncmp(line, point, strcspn(point, ":")), 0);
	fclose(f);
	unlink(w->reached);
}

/* The newest checkpoint is what it was, or for late points the new one; another works. */
static void still_good(struct world *w, size_t point, const struct model *after)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_newest newest;
	int id;

	ckpt_store_close(w->store);
	w->store = model_open(w->path);
	assert_int_equal(ckpt_log_newest(w->store, "agent", &newest, &err), 1);
	if (point >= COMMITTED) {
		assert_int_equal(newest.id, w->id + 1);
		w->m = *after;
		w->id++;
	}
	assert_int_equal(newest.id, w->id);
	model_compare_stored(&w->m, w->store, "agent", w->id);
	model_random(&w->seed);
	id = attempt(w, &w->m, &w->seed, &err);
	if (id < 0)
		fail_msg("after %s: %s", points[point], err.text);
	assert_int_equal(id, w->id + 1);
	w->id = id;
	model_compare_stored(&w->m, w->store, "agent", w->id);
	assert_int_equal(count_files(w->path, "groups/agent/tmp"), 0);
}

static void arm(const struct world *w, const char *point, const char *action)
{
	char spec[100];

	snprintf(spec, sizeof(spec), "%s=%s", point, action);
	setenv("CKPT_FAULT_REACHED", w->reached, 1);
	setenv("CKPT_FAULT", spec, 1);
}

static void killed_at_every_step(void **state)
{
	struct model *after = shared_model();
	static struct world w;

	(void)state;
	begin_world(&w, 2024);
	for (size_t i = 0; i < POINTS; i++) {
		int status;
		pid_t pid;

		*after = w.m;
		pid = fork();
		if (!pid) {
			arm(&w, points[i], "kill");
			attempt(&w, after, &w.seed, NULL);
			_exit(1);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		was_reached(&w, points[i]);
		still_good(&w, i, after);
	}
	end_world(&w);
	munmap(after, sizeof(*after));
}

/* In a child, as a point is counted once per process. Return: 0 when all was as it must be. */
static int attempt_that_fails(struct world *w, size_t point, struct model *after)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	int id, packs = count_files(w->path, "packs");

	arm(w, points[point], "fail");
	id = attempt(w, after, &w->seed, &err);
	/* The fingerprints are a cache. */
	if (!strcmp(points[point], "store.fingerprints"))
		return id != (int)w->id + 1;
	return id != -1 || err.status != CKPT_FAILED || !strstr(err.text, "cannot write") ||
	       count_files(w->path, "groups/agent/tmp") ||
	       (point < PACKED && count_files(w->path, "packs") != packs);
}

static void failed_at_every_step(void **state)
{
	struct model *after = shared_model();
	static struct world w;

	(void)state;
	begin_world(&w, 4048);
	for (size_t i = 0; i < POINTS; i++) {
		int status;
		pid_t pid;

		*after = w.m;
		pid = fork();
		if (!pid)
			_exit(attempt_that_fails(&w, i, after));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (status)
			fail_msg("%s: status %#x", points[i], status);
		was_reached(&w, points[i]);
		still_good(&w, i, after);
	}
	end_world(&w);
	munmap(after, sizeof(*after));
}

static void remove_id(struct world *w, uint64_t id)
{
	struct ckpt_err err = CKPT_ERR_INIT;

	must(ckpt_log_remove(w->store, "agent", id, &err));
}

static void ids_are_never_used_again(void **state)
{
	static struct world w;
	struct ckpt_err err = CKPT_ERR_INIT;
	struct model second;
	int status;
	pid_t pid;

	(void)state;
	begin_world(&w, 77);
	assert_int_equal(w.id = attempt(&w, &w.m, &w.seed, &err), 2);
	second = w.m;
	assert_int_equal(w.id = attempt(&w, &w.m, &w.seed, &err), 3);
	remove_id(&w, 3);
	assert_int_equal(ckpt_log_remove(w.store, "agent", 3, &err), -1);
	w.id = 2;
	w.m = second;
	assert_int_equal(attempt(&w, &w.m, &w.seed, &err), 4);
	/* The parent goes; its child is whole. */
	remove_id(&w, 2);
	model_compare_stored(&w.m, w.store, "agent", 4);
	remove_id(&w, 1);
	remove_id(&w, 4);
	ckpt_store_close(w.store);
	w.store = model_open(w.path);
	pid = fork();
	if (!pid) {
		arm(&w, "store.manifest-rename", "kill");
		take_full(&w);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	take_full(&w);
	assert_int_equal(w.id, 5);
	model_compare_stored(&w.m, w.store, "agent", 5);
	end_world(&w);
}

/* Killed while a removal is under way: the checkpoint is there or gone, its id is taken. */
static void killed_in_a_removal(void **state)
{
	static const char *const steps[] = {
		"store.removed-write", "store.removed-rename", "store.removed-dirsync",
		"store.remove-unlink",
	};
	static struct world w;
	struct ckpt_err err = CKPT_ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		struct model first;
		int status;
		pid_t pid;

		begin_world(&w, 55 + i);
		first = w.m;
		assert_int_equal(attempt(&w, &w.m, &w.seed, &err), 2);
		pid = fork();
		if (!pid) {
			arm(&w, steps[i], "kill");
			ckpt_log_remove(w.store, "agent", 2, NULL);
			_exit(1);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		was_reached(&w, steps[i]);
		model_compare_stored(&first, w.store, "agent", 1);
		model_compare_stored(&w.m, w.store, "agent", 2);
		remove_id(&w, 2);
		assert_int_equal(attempt(&w, &first, &w.seed, &err), 3);
		end_world(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(killed_at_every_step),
		cmocka_unit_test(failed_at_every_step),
		cmocka_unit_test(ids_are_never_used_again),
		cmocka_unit_test(killed_in_a_removal),
	};

	return cmocka_run_group_tests_name("store_commit", tests, NULL, NULL);
}
