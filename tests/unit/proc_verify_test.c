// SPDX-License-Identifier: GPL-2.0-or-later
/* Scheduling, CPUs and limits: read back before the tree runs, and asked for before it is built. */
#include <errno.h>
#include <fcntl.h>
#include <linux/ioprio.h>
#include <linux/securebits.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/restore_cycle.h"
#include "proc/build.h"
#include "proc/cpus.h"
#include "proc/remote.h"

static const struct ckpt_err no_error = CKPT_ERR_INIT;

static void parses_sets(void **state)
{
	static const char *const bad[] = { "", "\n", "x", "1-", "-1", "3-2", "1,", "1024", "1;2" };
	uint8_t set[CKPT_CPUS_LEN], two[CKPT_CPUS_LEN] = { 3 };

	(void)state;
	assert_int_equal(ckpt_cpus_parse("0-1\n", set), 0);
	assert_memory_equal(set, two, sizeof(set));
	assert_int_equal(ckpt_cpus_parse("0,2-3,9,1020-1023", set), 0);
	assert_int_equal(set[0], 0x0d);
	assert_int_equal(set[1], 2);
	assert_int_equal(set[127], 0xf0);
	assert_int_equal(ckpt_cpus_outside(set, two), 2);
	assert_int_equal(ckpt_cpus_outside(two, set), 1);
	assert_int_equal(ckpt_cpus_outside(set, set), -1);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(ckpt_cpus_parse(bad[i], set), -1);
}

static void shows_sets(void **state)
{
	static const char *const sets[] = { "0", "0-1", "0,2-3,9,1020-1023", "0-1023" };
	uint8_t set[CKPT_CPUS_LEN] = { 0 };
	char text[64];

	(void)state;
	ckpt_cpus_format(set, text, sizeof(text));
	assert_string_equal(text, "");
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		assert_int_equal(ckpt_cpus_parse(sets[i], set), 0);
		ckpt_cpus_format(set, text, sizeof(text));
		assert_string_equal(text, sets[i]);
	}
	memset(set, 0x55, sizeof(set));
	ckpt_cpus_format(set, text, 24);
	assert_string_equal(text, "0,2,4,6,8,10,...");
}

static void limits_sets(void **state)
{
	struct ckpt_cpus c = { .can = { 0x3c }, .usual = { 0x0c } };

	(void)state;
	assert_int_equal(ckpt_cpus_limit(&c, NULL), 0);
	assert_int_equal(c.usual[0], 0x0c);
	assert_int_equal(ckpt_cpus_limit(&c, "0-2,4"), 0);
	assert_int_equal(c.can[0], 0x14);
	assert_int_equal(c.usual[0], 0x14);
	/* as the kernel has it: none of these is there, so all that are above */
	assert_int_equal(ckpt_cpus_limit(&c, "7"), 0);
	assert_int_equal(c.can[0], 0x14);
	assert_int_equal(ckpt_cpus_limit(&c, "all"), -1);
}

static void put(const char *dir, const char *name, const char *text)
{
	char path[400];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* Folders that look like cgroups: the nearest that says something counts. */
static void asks_the_nearest_cgroup(void **state)
{
	const char *base = getenv("TMPDIR");
	char top[256], below[300];
	struct ckpt_cpus all, c;
	cpu_set_t before, after;
	struct ckpt_err err = CKPT_ERR_INIT;
	int fd;

	(void)state;
	snprintf(top, sizeof(top), "%s/top", base ? base : "/tmp");
	snprintf(below, sizeof(below), "%s/below", top);
	mkdir(top, 0700);
	mkdir(below, 0700);
	fd = open(below, O_PATH | O_DIRECTORY | O_CLOEXEC);
	/* who asks keeps its own */
	assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
	CPU_ZERO(&after);
	CPU_SET(0, &after);
	assert_int_equal(sched_setaffinity(0, sizeof(after), &after), 0);
	cycle_check(ckpt_cpus_of(-1, 0, &all, &err), &err);
	assert_int_equal(sched_getaffinity(0, sizeof(after), &after), 0);
	assert_int_equal(CPU_COUNT(&after), 1);
	assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
	assert_int_equal(ckpt_cpus_outside((uint8_t *)&before, all.can), -1);
	assert_int_equal(ckpt_cpus_outside(all.usual, all.can), -1);
	put(top, "cgroup.procs", "");
	put(below, "cgroup.procs", "");
	cycle_check(ckpt_cpus_of(fd, 0, &c, &err), &err);
	assert_memory_equal(&c, &all, sizeof(c));
	put(top, "cpuset.cpus.effective", "3-5\n");
	put(top, "cgroup.type", "domain\n");
	cycle_check(ckpt_cpus_of(fd, 0, &c, &err), &err);
	assert_int_equal(c.can[0], 0x38);
	assert_int_equal(c.usual[0], 0x38);
	put(below, "cpuset.cpus.effective", "4\n");
	cycle_check(ckpt_cpus_of(fd, 0, &c, &err), &err);
	assert_int_equal(c.can[0], 0x10);
	put(below, "cpuset.cpus.effective", "many\n");
	assert_int_equal(ckpt_cpus_of(fd, 0, &c, &err), -1);
	close(fd);
}

/* A machine that keeps CPUs from who does not ask: the usual ones are those of pid 1. */
static void usual_are_those_of_pid_1(void **state)
{
	const char *base = getenv("TMPDIR");
	uint8_t first[CKPT_CPUS_LEN] = { 0 };
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_cpus c;
	char top[256];
	int fd;

	(void)state;
	snprintf(top, sizeof(top), "%s/root", base ? base : "/tmp");
	mkdir(top, 0700);
	put(top, "cgroup.procs", "");
	put(top, "cpuset.cpus.effective", "0-1023\n");
	fd = open(top, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(sched_getaffinity(1, sizeof(first), (cpu_set_t *)first), 0);
	cycle_check(ckpt_cpus_of(fd, 0, &c, &err), &err);
	assert_int_equal(c.can[127], 0xff);
	assert_memory_equal(c.usual, first, sizeof(first));
	/* in a cgroup with a cpuset they are all of that */
	put(top, "cgroup.type", "domain\n");
	cycle_check(ckpt_cpus_of(fd, 0, &c, &err), &err);
	assert_memory_equal(c.usual, c.can, sizeof(c.can));
	close(fd);
}

static void start(struct saved *s)
{
	char *argv[] = { "sh", "-c", "echo here; while [ ! -e go ]; do sleep 0.02; done; "
			 "rm go; echo all well", NULL };

	cycle_start_and_save(argv, true, "here", s);
}

static void build(struct saved *s, struct ckpt_restore **ret)
{
	struct ckpt_restore_params params = {
		.image = &s->image, .source = &s->source, .cgroup = cycle_cgroup_dir,
	};
	struct ckpt_err err = CKPT_ERR_INIT;

	params.stdio[0] = params.stdio[1] = params.stdio[2] = open("/dev/null", O_RDWR | O_CLOEXEC);
	cycle_check(ckpt_restore_build(&params, ret, &err), &err);
	close(params.stdio[0]);
}

static void is_found(struct ckpt_restore *r, const char *what)
{
	struct ckpt_err err = CKPT_ERR_INIT;

	assert_int_equal(ckpt_restore_verify(r, &err), -1);
	assert_int_equal(err.status, CKPT_DAMAGED);
	if (!strstr(err.text, what))
		fail_msg("\"%s\" does not say \"%s\"", err.text, what);
}

/* One byte of the page is another one for a while. */
static void spoil(struct ckpt_restore *r, uint64_t page, unsigned int n)
{
	uint64_t addr = (page << CKPT_PAGE_SHIFT) + n * 613 % CKPT_PAGE_LEN;
	pid_t root = ckpt_restore_root(r);
	struct ckpt_err err = CKPT_ERR_INIT;
	char what[64];
	uint8_t byte;

	snprintf(what, sizeof(what), "memory at 0x%lx is not", addr);
	cycle_check(ckpt_remote_read(root, addr, &byte, 1, &err), &err);
	byte ^= 1 << n % 8;
	cycle_check(ckpt_remote_write(root, addr, &byte, 1, &err), &err);
	is_found(r, what);
	byte ^= 1 << n % 8;
	cycle_check(ckpt_remote_write(root, addr, &byte, 1, &err), &err);
}

/* In any page that was placed, after all was built; by the stamps, and without them. */
static void spoiled_memory_is_found(struct saved *s, struct ckpt_restore *r)
{
	uint32_t space = s->image.mms[s->image.tasks[0].mm].space;
	struct ckpt_err err = CKPT_ERR_INIT;
	enum ckpt_page_kind kind;
	uint64_t page, count;
	unsigned int n = 0;

	for (int stamps = 1; stamps >= 0; stamps--) {
		assert_true(ckpt_placed_same(r->tasks[0].placed, r->tasks[0].host,
					     r->tasks[0].pages) == stamps);
		for (page = 0;
		     s->source.next(s->source.self, space, &page, &count, &kind, &err) == 1;
		     page += count) {
			if (kind != CKPT_PAGE_IS_DATA)
				continue;
			spoil(r, page, n++);
			spoil(r, page + count - 1, n++);
		}
		cycle_check(ckpt_restore_verify(r, &err), &err);
		ckpt_placed_free(r->tasks[0].placed);
		r->tasks[0].placed = NULL;
	}
	assert_true(n > 20);
}

/* An area that programs write to, with a flag more for a while. */
static void other_flags_are_found(struct saved *s, struct ckpt_restore *r)
{
	const struct ckpt_site site = ckpt_build_site(r, &r->tasks[0], 0);
	const struct ckpt_mm *mm = &s->image.mms[s->image.tasks[0].mm];
	static const int advices[][2] = {
		{ MADV_DONTDUMP, MADV_DODUMP }, { MADV_DONTFORK, MADV_DOFORK },
		{ MADV_RANDOM, MADV_NORMAL }, { MADV_WIPEONFORK, MADV_KEEPONFORK },
	};
	struct ckpt_err err = CKPT_ERR_INIT;
	const struct ckpt_area *a = mm->areas;
	char what[64];

	while (a->kind != CKPT_AREA_KIND_ANON || !(a->prot & PROT_WRITE) || a->flags &
	       (CKPT_AREA_F_GROWSDOWN | CKPT_AREA_F_WIPEONFORK))
		a++;
	snprintf(what, sizeof(what), "area at 0x%lx has flags", a->start);
	for (size_t i = 0; i < sizeof(advices) / sizeof(advices[0]); i++) {
		for (int back = 0; back < 2; back++) {
			if (back)
				is_found(r, what);
			assert_true(ckpt_site_call(&site, &err, "change an area", SYS_madvise,
						   ARGS(a->start, a->end - a->start,
							advices[i][back])) >= 0);
		}
	}
	cycle_check(ckpt_restore_verify(r, &err), &err);
}

/* What a call makes different, and one that puts it back. */
static void other_attributes_are_found(struct ckpt_restore *r)
{
	const struct ckpt_site site = ckpt_build_site(r, &r->tasks[0], 0);
	struct ckpt_err err = CKPT_ERR_INIT;
	const char root[] = "/";
	const struct {
		const char *what;
		long nr;
		uint64_t args[6], back[6];
	} cases[] = {
		{ "may dump core or not", SYS_prctl, { PR_SET_DUMPABLE, 0 },
		  { PR_SET_DUMPABLE, 1 } },
		{ "adopts orphans or does not", SYS_prctl, { PR_SET_CHILD_SUBREAPER, 1 },
		  { PR_SET_CHILD_SUBREAPER, 0 } },
		{ "other securebits", SYS_prctl, { PR_SET_SECUREBITS, SECBIT_NOROOT },
		  { PR_SET_SECUREBITS, 0 } },
		{ "another personality", SYS_personality, { ADDR_NO_RANDOMIZE }, { 0 } },
		{ "for its cwd instead of", SYS_chdir,
		  { ckpt_site_put(&site, 512, root, sizeof(root), &err) },
		  { ckpt_site_put(&site, 1024, cycle_dir, strlen(cycle_dir) + 1, &err) } },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_true(ckpt_site_call(&site, &err, "differ", cases[i].nr, cases[i].args) >= 0);
		is_found(r, cases[i].what);
		assert_true(ckpt_site_call(&site, &err, "differ no more", cases[i].nr,
					   cases[i].back) >= 0);
	}
	cycle_check(ckpt_restore_verify(r, &err), &err);
}

static void put_oom(pid_t pid, const char *text)
{
	char dir[64];

	snprintf(dir, sizeof(dir), "/proc/%d", pid);
	put(dir, "oom_score_adj", text);
}

/* Each is changed behind the back of the restore, seen, and put back. */
static void differences_are_found(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	cleanup_restore struct ckpt_restore *r = NULL;
	const struct sched_param none = { 0 };
	struct ckpt_err err = CKPT_ERR_INIT;
	struct rlimit limit, was;
	cpu_set_t cpus, one;
	char text[16];
	pid_t root;

	(void)state;
	start(&s);
	build(&s, &r);
	root = ckpt_restore_root(r);
	cycle_check(ckpt_restore_verify(r, &err), &err);

	assert_int_equal(sched_setscheduler(root, SCHED_BATCH, &none), 0);
	is_found(r, "another scheduling policy or priority");
	assert_int_equal(sched_setscheduler(root, SCHED_OTHER, &none), 0);
	assert_int_equal(setpriority(PRIO_PROCESS, root, 5), 0);
	is_found(r, "another niceness");
	assert_int_equal(setpriority(PRIO_PROCESS, root, s.image.tasks[0].threads[0].nice), 0);
	assert_int_equal(syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, root,
				 IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 6)), 0);
	is_found(r, "another I/O priority");
	assert_int_equal(syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, root, 0), 0);
	assert_int_equal(sched_getaffinity(root, sizeof(cpus), &cpus), 0);
	if (CPU_COUNT(&cpus) > 1) {
		CPU_ZERO(&one);
		CPU_SET(0, &one);
		assert_int_equal(sched_setaffinity(root, sizeof(one), &one), 0);
		is_found(r, "other CPUs");
		assert_int_equal(sched_setaffinity(root, sizeof(cpus), &cpus), 0);
	}
	assert_int_equal(prlimit(root, RLIMIT_NOFILE, NULL, &was), 0);
	limit = (struct rlimit){ was.rlim_cur - 1, was.rlim_max };
	assert_int_equal(prlimit(root, RLIMIT_NOFILE, &limit, NULL), 0);
	is_found(r, "another resource limit 7");
	assert_int_equal(prlimit(root, RLIMIT_NOFILE, &was, NULL), 0);

	cycle_check(ckpt_restore_verify(r, &err), &err);
	snprintf(text, sizeof(text), "%d", s.image.tasks[0].oom_score_adj);
	put_oom(root, "77");
	is_found(r, "another oom_score_adj");
	put_oom(root, text);
	other_flags_are_found(&s, r);
	other_attributes_are_found(r);
	spoiled_memory_is_found(&s, r);
	/* as a kernel tells it that has a level for those without a priority */
	s.image.tasks[0].threads[0].ioprio = IOPRIO_PRIO_VALUE(IOPRIO_CLASS_NONE, 4);
	cycle_check(ckpt_restore_verify(r, &err), &err);
}

static void set_all(struct saved *s, uint8_t first)
{
	for (size_t i = 0; i < s->image.n_tasks; i++) {
		for (size_t j = 0; j < s->image.tasks[i].n_threads; j++)
			s->image.tasks[i].threads[j].affinity[0] = first;
	}
}

static void go_on(struct ckpt_restore *r, const struct ckpt_restore_result *result)
{
	char path[300];

	snprintf(path, sizeof(path), "/proc/%d/cwd/go", result->root_pid);
	close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	cycle_finish(r, 0);
	assert_non_null(strstr(cycle_read_output(), "all well"));
}

/* Tied to a CPU that is not here: nothing is built. All that there were: all that there are. */
static void cpus_are_asked_for(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	struct ckpt_restore_params params = { .cgroup = cycle_cgroup_dir };
	struct ckpt_restore_result result;
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_restore *r = NULL;
	struct ckpt_thread *thread;
	uint8_t had[CKPT_CPUS_LEN], now[CKPT_CPUS_LEN] = { 0 };
	long own;

	(void)state;
	start(&s);
	params.image = &s.image;
	params.source = &s.source;
	memcpy(had, s.image.cpus, sizeof(had));
	thread = &s.image.tasks[0].threads[0];
	assert_true(ckpt_cpus_unasked(&s.image, thread));
	thread->affinity[100] = 0x10;
	assert_int_equal(ckpt_restore_preflight(&params, &err), -1);
	assert_int_equal(err.status, CKPT_REFUSED);
	if (!strstr(err.text, "(sh) asks for CPU 804 in thread "))
		fail_msg("%s", err.text);
	/* also when its machine had it */
	s.image.cpus[100] = 0xf0;
	err = no_error;
	assert_int_equal(ckpt_restore_preflight(&params, &err), -1);
	thread->affinity[100] = s.image.cpus[100] = 0;

	set_all(&s, 0xff);
	thread->ioprio = IOPRIO_PRIO_VALUE(IOPRIO_CLASS_NONE, 4);
	own = syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0);
	assert_int_equal(syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0,
				 IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 6)), 0);
	s.image.cpus[0] = 0xff;
	cycle_restore(&s, &r, &result);
	assert_int_equal(syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0,
				 IOPRIO_PRIO_CLASS(own) ? own : 0), 0);
	assert_true(sched_getaffinity(result.root_pid, sizeof(now), (cpu_set_t *)now) == 0);
	assert_memory_equal(now, had, sizeof(now));
	go_on(r, &result);
}

static void is_refused(const struct ckpt_restore_params *params, const char *says)
{
	struct ckpt_err err = CKPT_ERR_INIT;

	assert_int_equal(ckpt_restore_preflight(params, &err), -1);
	assert_int_equal(err.status, CKPT_REFUSED);
	if (!strstr(err.text, says))
		fail_msg("\"%s\" does not say \"%s\"", err.text, says);
}

/* Before its cgroup is made: by the one above, and by the cpuset that it will get. */
static void cpus_are_asked_for_above(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	const char *base = getenv("TMPDIR");
	struct ckpt_restore_params params = { 0 };
	struct ckpt_err err = CKPT_ERR_INIT;
	uint8_t had[CKPT_CPUS_LEN];
	char above[256];

	(void)state;
	start(&s);
	params.image = &s.image;
	params.source = &s.source;
	snprintf(above, sizeof(above), "%s/above", base ? base : "/tmp");
	mkdir(above, 0700);
	put(above, "cgroup.procs", "");
	put(above, "cgroup.type", "domain\n");
	put(above, "cpuset.cpus.effective", "700-703\n");
	memcpy(had, s.image.cpus, sizeof(had));
	s.image.cpus[100] = 0x10;
	cycle_check(ckpt_restore_preflight(&params, &err), &err);
	params.above = above;
	is_refused(&params, "asks for CPU 0 in thread ");
	is_refused(&params, "here it can have 700-703");
	params.cpuset = "703";
	is_refused(&params, "here it can have 703");
	params.cpuset = NULL;
	/* what asked for none is at home everywhere */
	memcpy(s.image.cpus, had, sizeof(had));
	cycle_check(ckpt_restore_preflight(&params, &err), &err);
	/* an older image does not say: one that is there is enough */
	memset(s.image.cpus, 0, sizeof(had));
	is_refused(&params, "asks for CPU 0 in thread ");
	put(above, "cpuset.cpus.effective", "0,700\n");
	cycle_check(ckpt_restore_preflight(&params, &err), &err);
	params.cpuset = "700";
	is_refused(&params, "here it can have 700");
}

/* An older image, from a larger machine: it has what is left. */
static void older_images_take_what_there_is(void **state)
{
	cleanup_with(cycle_saved_done) struct saved s = { 0 };
	struct ckpt_restore_result result;
	struct ckpt_restore *r = NULL;
	uint8_t had[CKPT_CPUS_LEN], now[CKPT_CPUS_LEN] = { 0 };

	(void)state;
	start(&s);
	memcpy(had, s.image.tasks[0].threads[0].affinity, sizeof(had));
	set_all(&s, 0xff);
	memset(s.image.cpus, 0, sizeof(had));
	cycle_restore(&s, &r, &result);
	assert_true(sched_getaffinity(result.root_pid, sizeof(now), (cpu_set_t *)now) == 0);
	assert_memory_equal(now, had, sizeof(now));
	go_on(r, &result);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses_sets),
		cmocka_unit_test(shows_sets),
		cmocka_unit_test(limits_sets),
		cmocka_unit_test(asks_the_nearest_cgroup),
		cmocka_unit_test(usual_are_those_of_pid_1),
		cmocka_unit_test(cpus_are_asked_for),
		cmocka_unit_test(older_images_take_what_there_is),
		cmocka_unit_test(cpus_are_asked_for_above),
		/* the last: newer kernels kill what is born in a cgroup that was killed once */
		cmocka_unit_test(differences_are_found),
	};

	return cmocka_run_group_tests(tests, cycle_setup, cycle_teardown);
}
