// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Stop, kill, restore: programs that check themselves go on as if nothing was
 *
 * Runs natively as root, in a cgroup of its own.  The memory of the tree goes
 * through a store in memory, its image through the codec.
 */
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
#include <time.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "base/cleanup.h"
#include "memstore.h"
#include "proc/init.h"
#include "proc/memory.h"
#include "proc/restore.h"
#include "proc/stop.h"

#define PRESENT (3ull << 62)	/* present or swapped */
#define FILE_PAGE (1ull << 61)
#define WAIT_MS 20000

static char cgroup[64], dir[64], output[96];
static char *cgroup_dir;

/**
 * struct saved - a tree that was captured and killed
 * @init: of its first life
 */
struct saved {
	struct ckpt_image image;
	struct memstore store;
	struct ckpt_source source;
};

static void check(int failed, const struct ckpt_err *err)
{
	if (failed)
		fail_msg("%s", err->text);
}

static int open_proc(pid_t pid, const char *name, int flags)
{
	char path[64];

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
		    !(entries[i % 4096] & PRESENT) || entries[i % 4096] & FILE_PAGE)
			continue;
		assert_int_equal(ckpt_memory_read(memory, at, data, sizeof(data)), sizeof(data));
		assert_int_equal(sink->put(sink->self, mm->space, at >> 12, data, 1, NULL), 0);
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
	}
	ckpt_memory_close(&memory);
	close(pagemap);
}

static void save_file(struct ckpt_file *f, const struct ckpt_sink *sink)
{
	uint8_t data[CKPT_PAGE_LEN] = { 0 };
	char name[32];
	uint64_t page;
	int fd;

	if (!f->deleted || f->kind != CKPT_FILE_REG)
		return;
	snprintf(name, sizeof(name), "fd/%d", f->capture_fd);
	fd = open_proc(f->capture_pid, name, O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(sink->space_new(sink->self, &f->space, NULL), 0);
	for (page = 0; pread(fd, data, sizeof(data), page * CKPT_PAGE_LEN) > 0; page++) {
		assert_int_equal(sink->put(sink->self, f->space, page, data, 1, NULL), 0);
		memset(data, 0, sizeof(data));
	}
	close(fd);
}

/* Decode what was encoded: what is restored went through the format. */
static void through_codec(struct ckpt_image *image)
{
	struct ckpt_buf b = CKPT_BUF_INIT;
	struct ckpt_err err = CKPT_ERR_INIT;

	check(ckpt_image_encode(image, &b, &err), &err);
	ckpt_image_done(image);
	check(ckpt_image_decode(b.data, b.len, image, &err), &err);
	ckpt_buf_done(&b);
}

static void save(struct saved *s)
{
	cleanup_stop struct ckpt_stop *stop = NULL;
	const struct ckpt_stop_params params = { .cgroup = cgroup_dir, .hold_ms = 60000 };
	const struct ckpt_sink sink = mem_sink(&s->store);
	struct ckpt_err err = CKPT_ERR_INIT;
	size_t i;

	check(ckpt_stop_open(&params, &stop, &err) || ckpt_stop_begin(stop, &err) ||
	      ckpt_stop_collect(stop, &s->image, &err), &err);
	for (i = 0; i < s->image.n_mms; i++)
		save_mm(&s->image.mms[i], &sink);
	for (i = 0; i < s->image.n_files; i++)
		save_file(&s->image.files[i], &sink);
	check(ckpt_stop_kill(stop, NULL, &err), &err);
	s->source = mem_source(&s->store);
	through_codec(&s->image);
}

static struct ckpt_init_params init_params(char *const *argv, bool private)
{
	struct ckpt_init_params p = { .cgroup = cgroup_dir, .private_pidns = private,
				      .argv = argv, .envp = environ, .cwd = dir };

	p.stdio[0] = open("/dev/null", O_RDWR | O_CLOEXEC);
	p.stdio[1] = p.stdio[2] = open(output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	return p;
}

static void close_stdio(const int stdio[3])
{
	close(stdio[0]);
	close(stdio[1]);
}

static char *read_output(void)
{
	static char text[1 << 20];
	int fd = open(output, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

	text[n < 0 ? 0 : n] = 0;
	if (fd >= 0)
		close(fd);
	return text;
}

static void wait_output(const char *word)
{
	int i;

	for (i = 0; i < WAIT_MS / 10; i++) {
		if (strstr(read_output(), word))
			return;
		usleep(10000);
	}
	fail_msg("no '%s' in: %s", word, read_output());
}

/* Wait until the cgroup is empty, so that its pids and itself are free. */
static void wait_empty(void)
{
	bool populated = true;
	int i;

	for (i = 0; i < WAIT_MS / 10 && populated; i++) {
		assert_int_equal(ckpt_cgroup_populated(cgroup, &populated, NULL), 0);
		if (populated)
			usleep(10000);
	}
	assert_false(populated);
}

static void restore(struct saved *s, struct ckpt_restore **ret, struct ckpt_restore_result *result)
{
	struct ckpt_restore_params params = {
		.image = &s->image, .source = &s->source, .cgroup = cgroup_dir,
	};
	struct ckpt_err err = CKPT_ERR_INIT;

	params.stdio[0] = open("/dev/null", O_RDWR | O_CLOEXEC);
	params.stdio[1] = params.stdio[2] = open(output, O_WRONLY | O_APPEND | O_CLOEXEC);
	check(ckpt_restore_build(&params, ret, &err) || ckpt_restore_verify(*ret, &err) ||
	      ckpt_restore_run(*ret, result, &err), &err);
	close_stdio(params.stdio);
}

/* Start, wait for the word, save and kill. */
static void start_and_save(char *const *argv, bool private, const char *word, struct saved *s)
{
	struct ckpt_init_params p = init_params(argv, private);
	struct ckpt_init init = CKPT_INIT_NONE;
	struct ckpt_err err = CKPT_ERR_INIT;
	int status;

	check(ckpt_init_spawn(&p, &init, &err), &err);
	wait_output(word);
	save(s);
	check(ckpt_init_wait(&init, &status, &err), &err);
	assert_int_equal(status, 128 + SIGKILL);
	waitpid(init.pid, NULL, 0);
	ckpt_init_close(&init);
	close_stdio(p.stdio);
	wait_empty();
}

/* Let go of a tree that has ended; its init is a child of ours. */
static void close_saved(struct ckpt_restore *r)
{
	ckpt_restore_close(r);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

static void finish(struct ckpt_restore *r, int wanted)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	int status;

	check(ckpt_restore_wait(r, &status, &err), &err);
	if (status != wanted)
		fail_msg("ended with %d: %s", status, read_output());
	close_saved(r);
	wait_empty();
}

static void saved_done(struct saved *s)
{
	ckpt_image_done(&s->image);
	mem_done(&s->store);
}

static void cycle(char *const *argv, bool private, const char *word)
{
	cleanup_with(saved_done) struct saved s = { 0 };
	struct ckpt_restore_result result;
	struct ckpt_restore *r = NULL;

	start_and_save(argv, private, word, &s);
	restore(&s, &r, &result);
	print_message("# %zu tasks, %lu pages, build %lu us, verify %lu us, run %lu us\n",
		      s.image.n_tasks, result.pages, result.build_ns / 1000,
		      result.verify_ns / 1000, result.run_ns / 1000);
	finish(r, 0);
}

static void test_shell(void **state)
{
	char *argv[] = { "sh", "-c", "i=0; while [ $i -lt 60 ]; do i=$((i+1)); echo line $i; "
			 "sleep 0.02; done; echo the end", NULL };

	(void)state;
	cycle(argv, true, "line 20\n");
	assert_non_null(strstr(read_output(), "line 59\nline 60\nthe end"));
}

/* Built without sanitizers, whose shadow memory is terabytes. */
#define PROGRAM "build/workloads/kernel_objects"

/* One of everything, for a while nobody. */
static void everything(bool private)
{
	cleanup_with(saved_done) struct saved s = { 0 };
	cleanup_free char *program = realpath(PROGRAM, NULL);
	char *argv[] = { program, NULL };
	struct ckpt_restore_result result;
	struct ckpt_restore *r = NULL;

	if (!program)
		fail_msg("%s is not there; make workloads", PROGRAM);
	start_and_save(argv, private, "ready\n", &s);
	restore(&s, &r, &result);
	assert_int_equal(kill(result.root_pid, SIGTERM), 0);
	finish(r, 0);
	assert_non_null(strstr(read_output(), "all well"));
}

static void test_everything(void **state)
{
	(void)state;
	everything(true);
}

static void test_everything_with_host_pids(void **state)
{
	(void)state;
	everything(false);
}

/* Save and restore a running tree again and again at random instants. */
static void disturb(char *const *argv, struct saved *kept, int cycles, struct ckpt_restore **ret)
{
	struct ckpt_restore_result result;
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_restore *r = NULL;
	int i, status;

	for (i = 0; i < cycles; i++) {
		struct saved *s = &kept[i];

		if (!i) {
			start_and_save(argv, true, "step 2\n", s);
		} else {
			usleep(random() % 150000);
			save(s);
			check(ckpt_restore_wait(r, &status, &err), &err);
			assert_int_equal(status, 128 + SIGKILL);
			close_saved(r);
			wait_empty();
		}
		restore(s, &r, &result);
		print_message("# %zu tasks, %lu pages, build %lu us, verify %lu us, run %lu us\n",
			      s->image.n_tasks, result.pages, result.build_ns / 1000,
			      result.verify_ns / 1000, result.run_ns / 1000);
	}
	*ret = r;
}

/* The last line of the output: what the program computed. */
static void last_line(char ret[128])
{
	char *text = read_output(), *end = text + strlen(text), *line;

	while (end > text && end[-1] == '\n')
		*--end = 0;
	line = strrchr(text, '\n');
	snprintf(ret, 128, "%s", line ? line + 1 : text);
}

static void undisturbed(char *const *argv, char ret[128])
{
	struct ckpt_init_params p = init_params(argv, true);
	struct ckpt_init init = CKPT_INIT_NONE;
	struct ckpt_err err = CKPT_ERR_INIT;
	int status;

	check(ckpt_init_spawn(&p, &init, &err) || ckpt_init_wait(&init, &status, &err), &err);
	assert_int_equal(status, 0);
	waitpid(init.pid, NULL, 0);
	ckpt_init_close(&init);
	close_stdio(p.stdio);
	wait_empty();
	last_line(ret);
}

static void compare(char *const *argv, int cycles)
{
	struct saved *kept = calloc(cycles, sizeof(*kept));
	struct ckpt_restore *r = NULL;
	char wanted[128], got[128];
	int i;

	undisturbed(argv, wanted);
	disturb(argv, kept, cycles, &r);
	finish(r, 0);
	for (i = 0; i < cycles; i++)
		saved_done(&kept[i]);
	free(kept);
	last_line(got);
	assert_string_equal(got, wanted);
}

static const char python_program[] =
	"import hashlib, os, subprocess, sys, threading\n"
	"h = hashlib.sha256()\n"
	"data = {i: os.urandom(1) and str(i) * 50 for i in range(20000)}\n"
	"stop = threading.Event()\n"
	"threads = [threading.Thread(target=stop.wait) for i in range(3)]\n"
	"for t in threads: t.start()\n"
	"for i in range(25):\n"
	"    open('t.c', 'w').write('#include <stdio.h>\\n'\n"
	"        'int main(void) { return printf(\"%d\", %d) != 1; }' % (i, i))\n"
	"    p = subprocess.run(['gcc', '-O1', '-o', 't', 't.c'], capture_output=True)\n"
	"    h.update(repr(p).encode())\n"
	"    p = subprocess.Popen(['sh', '-c', './t; cat; sleep 0.02'],\n"
	"                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
	"    out, none = p.communicate(data[i].encode())\n"
	"    h.update(out)\n"
	"    data[i + 30000] = h.hexdigest()\n"
	"    print('step', i, flush=True)\n"
	"stop.set()\n"
	"for t in threads: t.join()\n"
	"for k in sorted(data): h.update(data[k].encode())\n"
	"print(h.hexdigest())\n";

static void test_python_and_gcc(void **state)
{
	char *argv[] = { "/usr/bin/python3", "-c", (char *)python_program, NULL };

	(void)state;
	compare(argv, 6);
}

#ifdef CKPT_INJECT
/* Newer kernels kill what is born in a cgroup that was killed once. */
static void fresh_cgroup(void)
{
	struct ckpt_err err = CKPT_ERR_INIT;

	wait_empty();
	check(ckpt_cgroup_remove(cgroup, &err) || ckpt_cgroup_make(cgroup, &err), &err);
}

/* A restore with a fault, in a process of its own. Return: its wait status. */
static int restore_aside(struct saved *s, const char *fault, struct ckpt_err *err)
{
	struct ckpt_restore_params params = {
		.image = &s->image, .source = &s->source, .cgroup = cgroup_dir,
	};
	struct ckpt_restore *r = NULL;
	struct ckpt_restore_result result;
	int status, pair[2], failed;
	pid_t pid;

	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	pid = fork();
	if (!pid) {
		setenv("CKPT_FAULT", fault, 1);
		params.stdio[0] = params.stdio[1] = params.stdio[2] = open("/dev/null", O_RDWR);
		failed = ckpt_restore_build(&params, &r, err) || ckpt_restore_verify(r, err) ||
			 ckpt_restore_run(r, &result, err);
		ckpt_restore_close(r);
		_exit(write(pair[1], err, sizeof(*err)) != sizeof(*err) || !failed);
	}
	close(pair[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (read(pair[0], err, sizeof(*err)) != sizeof(*err))
		err->text[0] = 0;
	close(pair[0]);
	return status;
}

static void test_faults(void **state)
{
	static const char * const points[] = {
		"spawned", "files", "born", "areas", "memory:2", "lock", "fds", "threads:2",
		"signals", "attrs", "pending", "verify", "timers", "regs", "regs:2", "detach",
		"detach:2", "release",
	};
	cleanup_with(saved_done) struct saved s = { 0 };
	char *argv[] = { "sh", "-c", "(while :; do sleep 0.05; done) & echo here; wait", NULL };
	struct ckpt_restore_result result;
	struct ckpt_restore *r = NULL;
	struct ckpt_err err;
	char fault[64];
	size_t i;
	int status;

	(void)state;
	start_and_save(argv, true, "here", &s);
	for (i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
		err = (struct ckpt_err)CKPT_ERR_INIT;
		snprintf(fault, sizeof(fault), "restore.%s", points[i]);
		status = restore_aside(&s, fault, &err);
		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
			fail_msg("%s was not reached: %s", fault, err.text);
		fresh_cgroup();
		snprintf(fault, sizeof(fault), "restore.%s=fail", points[i]);
		status = restore_aside(&s, fault, &err);
		if (status || !strstr(err.text, "fault injected"))
			fail_msg("%s did not fail: %s", fault, err.text);
		fresh_cgroup();
	}
	err = (struct ckpt_err)CKPT_ERR_INIT;
	assert_int_equal(restore_aside(&s, "restore.flip=fail", &err), 0);
	if (err.status != CKPT_DAMAGED || !strstr(err.text, "memory at 0x") ||
	    !strstr(err.text, "process "))
		fail_msg("a flipped byte is called: %s", err.text);
	fresh_cgroup();
	restore(&s, &r, &result);
	assert_int_equal(kill(result.root_pid, SIGTERM), 0);
	ckpt_cgroup_kill(cgroup, 5000, NULL);
	close_saved(r);
	fresh_cgroup();
}
#endif

/* Each obstacle is found before anything is built. */
static void refuse(struct saved *s, const char *word)
{
	struct ckpt_restore_params params = {
		.image = &s->image, .source = &s->source, .cgroup = cgroup_dir,
	};
	struct ckpt_restore *r = NULL;
	struct ckpt_err err = CKPT_ERR_INIT;

	assert_int_equal(ckpt_restore_build(&params, &r, &err), -1);
	assert_null(r);
	if (err.status != CKPT_REFUSED || !strstr(err.text, word))
		fail_msg("expected a refusal for %s: %s", word, err.text);
}

static void test_refusals(void **state)
{
	cleanup_with(saved_done) struct saved s = { 0 };
	char *argv[] = { "sh", "-c", "echo here; while :; do sleep 0.05; done", NULL };
	struct ckpt_task *task;
	struct ckpt_file *exe;
	uint64_t bit = 1ull << 62;
	int32_t was;

	(void)state;
	start_and_save(argv, true, "here", &s);
	task = &s.image.tasks[0];
	exe = &s.image.files[s.image.mms[task->mm].exe];
	s.image.vdso_hash[0] ^= 1;
	refuse(&s, "vdso");
	s.image.vdso_hash[0] ^= 1;
	exe->mtime_ns++;
	refuse(&s, "has changed since");
	exe->mtime_ns--;
	memcpy(task->threads[0].xstate + 512, &bit, sizeof(bit));
	refuse(&s, "CPU features");
	memset(task->threads[0].xstate + 512, 0, sizeof(bit));
	was = task->sid;
	task->sid = 0;
	refuse(&s, "setsid");
	task->sid = was;
	task->dumpable = 2;
	refuse(&s, "dumpable");
	task->dumpable = 1;
	s.image.private_pidns = false;	/* pids of a young namespace: the kernel's own threads here */
	refuse(&s, "is in use");
	s.image.private_pidns = true;
	assert_int_equal(ckpt_cgroup_enter(cgroup, 0, NULL), 0);
	refuse(&s, "processes live in");
	assert_int_equal(ckpt_cgroup_enter("/", 0, NULL), 0);
}

static int setup(void **state)
{
	struct ckpt_err err = CKPT_ERR_INIT;

	(void)state;
	snprintf(cgroup, sizeof(cgroup), "/ckpt-restore-test-%d", getpid());
	snprintf(dir, sizeof(dir), "/tmp/ckpt-restore-test-%d", getpid());
	snprintf(output, sizeof(output), "%s/output", dir);
	if (mkdir(dir, 0700) || ckpt_cgroup_make(cgroup, &err) ||
	    ckpt_cgroup_dir(cgroup, &cgroup_dir, &err)) {
		print_error("%s\n", err.text);
		return -1;
	}
	return 0;
}

static int teardown(void **state)
{
	char command[128];

	(void)state;
	ckpt_cgroup_kill(cgroup, 2000, NULL);
	free(cgroup_dir);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command) || ckpt_cgroup_remove(cgroup, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shell),
		cmocka_unit_test(test_everything),
		cmocka_unit_test(test_everything_with_host_pids),
		cmocka_unit_test(test_refusals),
#ifdef CKPT_INJECT
		cmocka_unit_test(test_faults),
#endif
		cmocka_unit_test(test_python_and_gcc),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
