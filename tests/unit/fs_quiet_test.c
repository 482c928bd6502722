// SPDX-License-Identifier: GPL-2.0-or-later
/* Roots that somebody watches, or has a lease in: read so that nobody is told. As root. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "fs_state.h"
#include "proc/quiet.h"

#define READS (IN_OPEN | IN_ACCESS | IN_CLOSE_NOWRITE)

static void in_root(const struct state *s, const char *name, char ret[400])
{
	snprintf(ret, 400, "%s/%s", s->root, name);
}

static void make_files(struct state *s)
{
	static const char *const names[] = { "sub", "sub/below", "sub/below/file", "other" };
	char path[400];

	for (size_t i = 0; i < 4; i++) {
		in_root(s, names[i], path);
		if (i < 2)
			must(mkdir(path, 0755));
		else
			put_file(path, "some text\n");
	}
}

/* Everything that is in it and is not our own doing. */
static unsigned int heard(int watch)
{
	char room[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	unsigned int mask = 0;
	ssize_t n;

	while ((n = read(watch, room, sizeof(room))) > 0) {
		for (char *at = room; at < room + n;) {
			const struct inotify_event *e = (void *)at;

			mask |= e->mask;
			at += sizeof(*e) + e->len;
		}
	}
	return mask;
}

static void look(struct ckpt_quiet *q, struct state *s)
{
	const int32_t own = getpid();

	check(s, ckpt_quiet_read(&own, 1, q, &s->err));
	s->table->quiet = q;
}

/* @name: what is watched, or NULL: the directory above the root */
static void expect_silence(const char *name)
{
	int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	struct ckpt_quiet q = { 0 };
	char path[400];
	struct state s;

	start(&s);
	make_files(&s);
	in_root(&s, name ? name : "..", path);
	must(inotify_add_watch(watch, path, IN_ALL_EVENTS));
	look(&q, &s);
	assert_int_equal(q.n_watched, 1);
	scan(&s, 0);
	scan(&s, CKPT_FS_FINAL);
	assert_int_equal(heard(watch), 0);
	assert_false(q.loud);
	assert_captured(&s);
	/* as it would be without */
	heard(watch);
	s.table->quiet = NULL;
	scan(&s, CKPT_FS_AUDIT);
	if (!(heard(watch) & READS))
		fail_msg("reading %s is not heard by who watches it", path);
	ckpt_quiet_done(&q);
	close(watch);
	end(&s);
}

static void watched_file(void **state)
{
	(void)state;
	expect_silence("sub/below/file");
}

static void watched_directory(void **state)
{
	(void)state;
	expect_silence("sub/below");
}

static void watched_root(void **state)
{
	(void)state;
	expect_silence("");
	expect_silence(NULL);
}

/* Who does not hear of reads costs nothing. */
static void other_watches(void **state)
{
	int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	struct ckpt_quiet q = { 0 };
	struct state s;

	(void)state;
	start(&s);
	make_files(&s);
	must(inotify_add_watch(watch, s.root, IN_ALL_EVENTS & ~READS));
	look(&q, &s);
	assert_int_equal(q.n_watched, 0);
	scan(&s, CKPT_FS_FINAL);
	assert_null(q.asker);
	assert_int_equal(heard(watch), 0);
	ckpt_quiet_done(&q);
	close(watch);
	end(&s);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* Opens a file all the time: each open succeeds, and soon. */
static void open_again_and_again(const char *path)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		double before = now();
		int fd = open(path, O_RDONLY | O_CLOEXEC);

		if (fd < 0 || close(fd) || now() - before > 5)
			_exit(1);
	}
}

static void others_open_it_meanwhile(void **state)
{
	int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	struct ckpt_quiet q = { 0 };
	struct state s;
	char path[400];
	pid_t pid;

	(void)state;
	start(&s);
	make_files(&s);
	in_root(&s, "sub/below/file", path);
	must(inotify_add_watch(watch, path, IN_OPEN));
	look(&q, &s);
	pid = fork();
	if (!pid)
		open_again_and_again(path);
	for (int i = 0; i < 2000; i++) {
		int at = open(path, O_PATH | O_CLOEXEC);
		int fd = ckpt_quiet_open(&q, at, O_RDONLY);
		char text[16] = "";

		assert_true(fd >= 0);
		must(read(fd, text, sizeof(text) - 1));
		assert_string_equal(text, "some text\n");
		close(fd);
		close(at);
	}
	assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
	/* nobody waits for an answer of who is not there any more */
	ckpt_quiet_done(&q);
	usleep(20000);
	assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(watch);
	end(&s);
}

/* What is not there is told as by open(2). */
static void what_cannot_be_opened(void **state)
{
	struct ckpt_quiet q = { .all = true };
	struct state s;
	char path[400];
	int at;

	(void)state;
	start(&s);
	in_root(&s, "link", path);
	must(symlink("/", path));
	at = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	assert_int_equal(ckpt_quiet_open(&q, at, O_RDONLY | O_NOFOLLOW), -ELOOP);
	assert_int_equal(ckpt_quiet_open(&q, 9999, O_RDONLY), -ENOENT);
	close(at);
	ckpt_quiet_done(&q);
	end(&s);
}

/* --- leases --- */

static volatile sig_atomic_t broken;

static void note(int sig)
{
	(void)sig;
	broken = 1;
}

/* Has a lease on @path; when its input ends: has it that still, and the same position? */
static pid_t lease(const char *path, int flags, int *ret_end)
{
	int ends[2];
	pid_t pid;

	must(pipe2(ends, O_CLOEXEC));
	pid = fork();
	if (!pid) {
		int fd = open(path, flags | O_CLOEXEC);
		char c;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGIO, note);
		close(ends[1]);
		if (fd < 0 || lseek(fd, 7, SEEK_SET) != 7 || fcntl(fd, F_SETLEASE, F_WRLCK))
			_exit(1);
		while (read(ends[0], &c, 1) > 0)
			;
		_exit(broken || fcntl(fd, F_GETLEASE) != F_WRLCK || lseek(fd, 0, SEEK_CUR) != 7);
	}
	close(ends[0]);
	*ret_end = ends[1];
	for (int i = 0; i < 5000; i++) {
		struct ckpt_quiet q = { 0 };
		const int32_t at = pid;

		assert_int_equal(ckpt_quiet_read_leases(&at, 1, &q, NULL), 0);
		if (q.n_leases) {
			ckpt_quiet_done(&q);
			return pid;
		}
		usleep(1000);
	}
	fail_msg("it has no lease");
	return -1;
}

static void look_for_leases(struct ckpt_quiet *q, struct state *s, int32_t pid)
{
	check(s, ckpt_quiet_read(&pid, 1, q, &s->err));
	s->table->quiet = q;
	assert_int_equal(q->n_leases, 1);
}

static void expect_kept(pid_t pid, int end)
{
	int status;

	close(end);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void leased_file(void **state)
{
	struct ckpt_quiet q = { 0 };
	struct state s;
	char path[400];
	int fd, end_;
	pid_t pid;

	(void)state;
	start(&s);
	make_files(&s);
	in_root(&s, "other", path);
	/* with a hole that would be sought */
	fd = open(path, O_RDWR | O_CLOEXEC);
	must(pwrite(fd, "far", 3, 9 << 20));
	close(fd);
	pid = lease(path, O_RDWR, &end_);
	look_for_leases(&q, &s, pid);
	scan(&s, 0);
	/* it is left to the final round */
	assert_true(s.stats.bytes_read < 1 << 20);
	scan(&s, CKPT_FS_FINAL);
	assert_true(s.stats.bytes_read > 9 << 20);
	expect_kept(pid, end_);
	assert_captured(&s);
	ckpt_quiet_done(&q);
	end(&s);
}

/* What cannot be read by whose lease it is: nothing is there to be read, or it is refused. */
static void leased_for_writing_alone(void **state)
{
	struct ckpt_quiet q = { 0 };
	struct state s;
	char path[400];
	int end_;
	pid_t pid;

	(void)state;
	start(&s);
	in_root(&s, "empty", path);
	put_file(path, "");
	pid = lease(path, O_WRONLY, &end_);
	look_for_leases(&q, &s, pid);
	scan(&s, CKPT_FS_FINAL);
	expect_kept(pid, end_);
	ckpt_quiet_done(&q);

	in_root(&s, "full", path);
	put_file(path, "something");
	pid = lease(path, O_WRONLY, &end_);
	look_for_leases(&q, &s, pid);
	assert_int_equal(ckpt_fs_scan(s.table, &s.sink, CKPT_FS_FINAL, NULL, 0, &s.stats, &s.err),
			 -1);
	assert_int_equal(s.err.status, CKPT_REFUSED);
	assert_non_null(strstr(s.err.text, "which cannot be read, so that its content cannot"));
	expect_kept(pid, end_);
	ckpt_quiet_done(&q);
	end(&s);
}

static void leased_and_watched(void **state)
{
	int watch = inotify_init1(IN_NONBLOCK);
	struct ckpt_quiet q = { 0 };
	struct state s;
	char path[400];
	int end_;
	pid_t pid;

	(void)state;
	start(&s);
	in_root(&s, "full", path);
	put_file(path, "something");
	must(inotify_add_watch(watch, path, IN_ACCESS));
	pid = lease(path, O_RDWR, &end_);
	look_for_leases(&q, &s, pid);
	assert_int_equal(ckpt_fs_scan(s.table, &s.sink, CKPT_FS_FINAL, NULL, 0, &s.stats, &s.err),
			 -1);
	assert_int_equal(s.err.status, CKPT_REFUSED);
	assert_non_null(strstr(s.err.text, "whose readers somebody watches"));
	assert_int_equal(heard(watch), 0);
	expect_kept(pid, end_);
	ckpt_quiet_done(&q);
	close(watch);
	end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(watched_file),
		cmocka_unit_test(watched_directory),
		cmocka_unit_test(watched_root),
		cmocka_unit_test(other_watches),
		cmocka_unit_test(others_open_it_meanwhile),
		cmocka_unit_test(what_cannot_be_opened),
		cmocka_unit_test(leased_file),
		cmocka_unit_test(leased_for_writing_alone),
		cmocka_unit_test(leased_and_watched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
