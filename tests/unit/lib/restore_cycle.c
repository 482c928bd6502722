// SPDX-License-Identifier: GPL-2.0-or-later
/* Cycle: start, capture, kill, restore. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "flow/shm.h"
#include "lib/proc_group.h"
#include "lib/restore_cycle.h"
#include "proc/guard.h"
#include "proc/memory.h"

#define PRESENT (3ull << 62)	/* present or swapped */
#define FILE_PAGE (1ull << 61)
#define GUARD_PAGE (1ull << 58)
#define WAIT_MS 20000
#define TRIES 10

char cycle_cgroup[64];
char *cycle_cgroup_dir;
void (*cycle_while_stopped)(void);
int32_t cycle_taken;
void (*cycle_instead_of_kill)(struct ckpt_stop *stop);
void (*cycle_before_run)(void);
bool cycle_tcp_repair;
char cycle_dir[64];
static char output[96];

unsigned int cycle_seed(unsigned int otherwise)
{
	const char *given = getenv("CKPT_SEED");
	unsigned int value = given ? strtoul(given, NULL, 0) : otherwise;

	print_message("# CKPT_SEED=%u\n", value);
	srandom(value);
	return value;
}

void cycle_check(int failed, const struct ckpt_err *err)
{
	if (failed)
		fail_msg("%s", err->text);
}

static int open_proc(pid_t pid, const char *name, int flags)
{
	char path[96];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	return open(path, flags | O_CLOEXEC);
}

/* Pages of an area that are not the file's own. */
static void save_area(struct ckpt_mm *mm, const struct ckpt_area *a, int pagemap,
		      const struct ckpt_memory *memory, const struct ckpt_sink *sink)
{
	static uint64_t entries[4096];
	uint8_t data[CKPT_PAGE_LEN];
	uint64_t at = a->start, i;

	for (i = 0; at < a->end; at += CKPT_PAGE_LEN, i++) {
		if (!(i % 4096))
			assert_true(pread(pagemap, entries, sizeof(entries), at >> 12 << 3) > 0);
		if ((at >= mm->skip_start && at < mm->skip_end) ||
		    !(entries[i % 4096] & PRESENT) ||
		    entries[i % 4096] & (FILE_PAGE | GUARD_PAGE))
			continue;
		assert_int_equal(ckpt_memory_read(memory, at, data, sizeof(data)), sizeof(data));
		assert_int_equal(sink->put(sink->self, mm->space, at >> 12, data, 1, NULL), 0);
	}
}

/* Of areas of all kinds, which the trackers tell of a tree that is captured in earnest. */
static void save_guards(struct ckpt_mm *mm, const struct ckpt_area *a, int pagemap)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	uint64_t entry;

	for (uint64_t at = a->start; at < a->end && a->end - a->start < 1u << 30;
	     at += CKPT_PAGE_LEN) {
		assert_int_equal(pread(pagemap, &entry, sizeof(entry), at >> 12 << 3), 8);
		if (!(entry & GUARD_PAGE))
			continue;
		if (mm->n_guards && mm->guards[mm->n_guards - 1].end == at && at > a->start)
			mm->guards[mm->n_guards - 1].end += CKPT_PAGE_LEN;
		else
			cycle_check(ckpt_guard_add(mm, at, at + CKPT_PAGE_LEN, &err), &err);
	}
}

static void save_mm(struct ckpt_mm *mm, const struct ckpt_sink *sink)
{
	struct ckpt_memory memory;
	int pagemap = open_proc(mm->pid, "pagemap", O_RDONLY);
	size_t i;

	assert_int_equal(ckpt_memory_open(mm->pid, &memory, NULL), 0);
	assert_int_equal(sink->space_new(sink->self, &mm->space, NULL), 0);
	for (i = 0; i < mm->n_areas; i++) {
		if (mm->areas[i].kind <= CKPT_AREA_KIND_FILE_PRIVATE)
			save_area(mm, &mm->areas[i], pagemap, &memory, sink);
		if (mm->areas[i].kind <= CKPT_AREA_KIND_FILE_SHARED)
			save_guards(mm, &mm->areas[i], pagemap);
	}
	ckpt_memory_close(&memory);
	close(pagemap);
}

static void save_file(struct ckpt_file *f, const struct ckpt_sink *sink)
{
	uint8_t data[CKPT_PAGE_LEN] = { 0 };
	char name[64];
	uint64_t page;
	int fd;

	if (!f->deleted || f->kind != CKPT_FILE_REG)
		return;
	if (f->capture_fd >= 0)
		snprintf(name, sizeof(name), "fd/%d", f->capture_fd);
	else
		snprintf(name, sizeof(name), "map_files/%lx-%lx", f->capture_start,
			 f->capture_end);
	fd = open_proc(f->capture_pid, name, O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(sink->space_new(sink->self, &f->space, NULL), 0);
	for (page = 0; pread(fd, data, sizeof(data), page * CKPT_PAGE_LEN) > 0; page++) {
		assert_int_equal(sink->put(sink->self, f->space, page, data, 1, NULL), 0);
		memset(data, 0, sizeof(data));
	}
	close(fd);
}

static void save_shms(struct ckpt_image *image, const struct ckpt_sink *sink)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_stage *stage = ckpt_stage_new(0, &err);
	const struct ckpt_image no_parent = { 0 };
	struct ckpt_sink staged;
	uint64_t pages;

	assert_non_null(stage);
	staged = ckpt_stage_sink(stage, sink);
	cycle_check(ckpt_shm_capture(image, &no_parent, stage, &staged, &pages, &err) ||
		    ckpt_stage_replay(stage, sink, &err), &err);
	ckpt_stage_free(stage);
}

/* Decode what was encoded: what is restored went through the format. */
static void through_codec(struct ckpt_image *image)
{
	struct ckpt_buf b = CKPT_BUF_INIT;
	struct ckpt_err err = CKPT_ERR_INIT;

	cycle_check(ckpt_image_encode(image, &b, &err), &err);
	ckpt_image_done(image);
	cycle_check(ckpt_image_decode(b.data, b.len, image, &err), &err);
	ckpt_buf_done(&b);
}

static bool stop_and_collect(const struct ckpt_stop_params *params, struct ckpt_stop **ret,
			     struct ckpt_image *image, struct ckpt_err *err)
{
	const struct ckpt_stop_params patient = proc_group_patient(params);

	if (ckpt_stop_open(&patient, ret, err) || ckpt_stop_begin(*ret, err))
		return false;
	if (cycle_while_stopped)
		cycle_while_stopped();
	return !ckpt_stop_collect(*ret, image, err);
}

/* A tree may be where it cannot be captured, or not come to rest in time on a busy machine. */
static void begin(const struct ckpt_stop_params *params, struct ckpt_stop **ret,
		  struct ckpt_image *image)
{
	struct ckpt_err err;

	for (int i = 0; i < TRIES; i++) {
		err = (struct ckpt_err)CKPT_ERR_INIT;
		if (stop_and_collect(params, ret, image, &err))
			return;
		ckpt_stop_close(*ret);
		*ret = NULL;
		ckpt_image_done(image);
		if (!strstr(err.text, "did not freeze") && !strstr(err.text, "try again") &&
		    !err.passing)
			break;
		print_message("# %s\n", err.text);
	}
	cycle_check(-1, &err);
}

void cycle_save(struct saved *s)
{
	cleanup_stop struct ckpt_stop *stop = NULL;
	const struct ckpt_stop_params params = {
		.cgroup = cycle_cgroup_dir, .hold_ms = 60000,
		.tcp_repair = cycle_tcp_repair,
	};
	const struct ckpt_sink sink = mem_sink(&s->store);
	struct ckpt_err err = CKPT_ERR_INIT;
	size_t i;

	begin(&params, &stop, &s->image);
	for (i = 0; i < s->image.n_mms; i++)
		save_mm(&s->image.mms[i], &sink);
	for (i = 0; i < s->image.n_files; i++)
		save_file(&s->image.files[i], &sink);
	save_shms(&s->image, &sink);
	if (cycle_instead_of_kill)
		cycle_instead_of_kill(stop);
	else
		cycle_check(ckpt_stop_kill(stop, NULL, &err), &err);
	s->source = mem_source(&s->store);
	through_codec(&s->image);
}

struct ckpt_init_params cycle_init_params(char *const *argv, bool private)
{
	struct ckpt_init_params p = { .cgroup = cycle_cgroup_dir, .private_pidns = private,
				      .argv = argv, .envp = environ, .cwd = cycle_dir };

	p.stdio[0] = open("/dev/null", O_RDWR | O_CLOEXEC);
	p.stdio[1] = p.stdio[2] = open(output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	return p;
}

void cycle_close_stdio(const int stdio[3])
{
	close(stdio[0]);
	close(stdio[1]);
}

char *cycle_read_output(void)
{
	static char text[1 << 20];
	int fd = open(output, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

	text[n < 0 ? 0 : n] = 0;
	if (fd >= 0)
		close(fd);
	return text;
}

void cycle_wait_output(const char *word)
{
	int i;

	for (i = 0; i < WAIT_MS / 10; i++) {
		if (strstr(cycle_read_output(), word))
			return;
		usleep(10000);
	}
	fail_msg("no '%s' in: %s", word, cycle_read_output());
}

/* Wait until the cgroup is empty, so that its pids and itself are free. */
void cycle_wait_empty(void)
{
	bool populated = true;
	int i;

	for (i = 0; i < WAIT_MS / 10 && populated; i++) {
		assert_int_equal(ckpt_cgroup_populated(cycle_cgroup, &populated, NULL), 0);
		if (populated)
			usleep(10000);
	}
	assert_false(populated);
}

void cycle_fresh_cgroup(void)
{
	struct ckpt_err err = CKPT_ERR_INIT;

	cycle_wait_empty();
	cycle_check(ckpt_cgroup_renew(cycle_cgroup, &err), &err);
}

void cycle_restore(struct saved *s, struct ckpt_restore **ret, struct ckpt_restore_result *result)
{
	struct ckpt_restore_params params = {
		.image = &s->image, .source = &s->source, .cgroup = cycle_cgroup_dir,
		.taken = cycle_taken,
		.tcp_repair = cycle_tcp_repair,
	};
	struct ckpt_err err = CKPT_ERR_INIT;

	params.stdio[0] = open("/dev/null", O_RDWR | O_CLOEXEC);
	params.stdio[1] = params.stdio[2] = open(output, O_WRONLY | O_APPEND | O_CLOEXEC);
	cycle_check(ckpt_restore_build(&params, ret, &err) || ckpt_restore_verify(*ret, &err),
		    &err);
	if (cycle_before_run)
		cycle_before_run();
	cycle_check(ckpt_restore_run(*ret, result, &err), &err);
	cycle_close_stdio(params.stdio);
}

/* Start, wait for the word, save and kill. */
void cycle_start_and_save(char *const *argv, bool private, const char *word, struct saved *s)
{
	struct ckpt_init_params p = cycle_init_params(argv, private);
	struct ckpt_init init = CKPT_INIT_NONE;
	struct ckpt_err err = CKPT_ERR_INIT;
	int status;

	cycle_check(ckpt_init_spawn(&p, &init, &err), &err);
	cycle_wait_output(word);
	cycle_save(s);
	cycle_check(ckpt_init_wait(&init, &status, &err), &err);
	assert_int_equal(status, 128 + SIGKILL);
	waitpid(init.pid, NULL, 0);
	ckpt_init_close(&init);
	cycle_close_stdio(p.stdio);
	cycle_wait_empty();
}

char *cycle_program(const char *name)
{
	char path[64], *ret;

	snprintf(path, sizeof(path), "build/workloads/%s", name);
	ret = realpath(path, NULL);
	if (!ret)
		fail_msg("%s is not there; make workloads", path);
	return ret;
}

void cycle_save_program(const char *name, char *arg, bool private, struct saved *s)
{
	cleanup_free char *program = cycle_program(name);
	char *argv[] = { program, arg, NULL };

	cycle_start_and_save(argv, private, "ready", s);
}

/* Let go of a tree that has ended; its init is a child of ours. */
void cycle_close_saved(struct ckpt_restore *r)
{
	ckpt_restore_close(r);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

void cycle_save_again(struct ckpt_restore *r, struct saved *s)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	int status;

	cycle_save(s);
	cycle_check(ckpt_restore_wait(r, &status, &err), &err);
	assert_int_equal(status, 128 + SIGKILL);
	cycle_close_saved(r);
	cycle_wait_empty();
}

void cycle_restore_and_save(struct saved *s, useconds_t run_us, struct saved *again)
{
	struct ckpt_restore_result result;
	struct ckpt_restore *r = NULL;

	cycle_restore(s, &r, &result);
	usleep(run_us);
	cycle_save_again(r, again);
}

void cycle_finish(struct ckpt_restore *r, int wanted)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	int status;

	cycle_check(ckpt_restore_wait(r, &status, &err), &err);
	if (status != wanted)
		fail_msg("ended with %d: %s", status, cycle_read_output());
	cycle_close_saved(r);
	cycle_wait_empty();
}

void cycle_go_on(struct saved *s)
{
	struct ckpt_restore_result result;
	struct ckpt_restore *r = NULL;
	char go[96];

	snprintf(go, sizeof(go), "%s/go", cycle_dir);
	cycle_restore(s, &r, &result);
	close(open(go, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	cycle_finish(r, 0);
	unlink(go);
	assert_non_null(strstr(cycle_read_output(), "all well"));
}

void cycle_saved_done(struct saved *s)
{
	ckpt_image_done(&s->image);
	mem_done(&s->store);
}

void cycle_inside(const char *name, ckpt_inside_fn fn, void *arg)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	cleanup_fclose FILE *f = NULL;
	cleanup_close int dir = -1;
	char path[256];
	int pid;

	snprintf(path, sizeof(path), "%s/cgroup.procs", cycle_cgroup_dir);
	f = fopen(path, "re");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%d", &pid), 1);
	snprintf(path, sizeof(path), "/proc/%d", pid);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cycle_check(ckpt_inside(dir, name, fn, arg, &err), &err);
}

void cycle_preflight(struct ckpt_image *image, const char *says)
{
	const struct ckpt_restore_params params = { .image = image };
	struct ckpt_err err = CKPT_ERR_INIT;
	int r = ckpt_restore_preflight(&params, &err);

	if (!says && r)
		fail_msg("%s", err.text);
	if (says && (!r || !strstr(err.text, says)))
		fail_msg("'%s' does not say '%s'", err.text, says);
	if (says)
		assert_int_equal(err.status, CKPT_REFUSED);
}

int cycle_setup(void **state)
{
	struct ckpt_err err = CKPT_ERR_INIT;

	(void)state;
	snprintf(cycle_cgroup, sizeof(cycle_cgroup), "/ckpt-restore-test-%d", getpid());
	snprintf(cycle_dir, sizeof(cycle_dir), "/tmp/ckpt-restore-test-%d", getpid());
	snprintf(output, sizeof(output), "%s/output", cycle_dir);
	if (mkdir(cycle_dir, 0700) || ckpt_cgroup_make(cycle_cgroup, &err) ||
	    ckpt_cgroup_dir(cycle_cgroup, &cycle_cgroup_dir, &err)) {
		print_error("%s\n", err.text);
		return -1;
	}
	return 0;
}

int cycle_teardown(void **state)
{
	char command[128];

	(void)state;
	ckpt_cgroup_kill(cycle_cgroup, 2000, NULL);
	free(cycle_cgroup_dir);
	snprintf(command, sizeof(command), "rm -rf %s", cycle_dir);
	return system(command) || ckpt_cgroup_remove(cycle_cgroup, NULL);
}
