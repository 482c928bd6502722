// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fuzz_test.c: random and spoilt requests, from many sockets at once, break nothing
 *
 * CKPT_SEED decides what is sent, CKPT_MESSAGES how much (10000).  Threads with rights and a
 * process without send it in batches, while a group with a tracked process and a root is alive.
 * After each batch the module must still tell what that process wrote meanwhile, and nothing more;
 * hold no reference for a socket that is closed; know no group and no root but those it knew; and
 * have answered no request of the process without rights with anything but a refusal.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/client.h"
#include "lib/fuzz.h"
#include "lib/paging.h"
#include "lib/sender.h"
#include "lib/world.h"

#define BATCH 1000
#define NOTED 20	/* batches from one note to the next */
#define ENOUGH 10000
#define THREADS 4
#define LINES 40	/* of a batch, written to files of sysfs */
#define PAGES 64
#define SYS "/sys/kernel/ckpt/"
#define KEPT_FILE FUZZ_KEPT "/file"

static struct client c;
static struct child child, other;
static bool wrote[PAGES];

/* --- sysfs --- */

static const struct {
	const char *name;
	enum fuzz_kind kind;
} files[] = {
	{ "tag", FUZZ_TAG },
	{ "untag", FUZZ_NAME },
	{ "groups/" FUZZ_ALIVE "/add_root", FUZZ_PATH },
	{ "groups/" FUZZ_ALIVE "/remove_root", FUZZ_PATH },
	{ "groups/" FUZZ_VICTIM "/add_root", FUZZ_PATH },
	{ "groups/" FUZZ_VICTIM "/remove_root", FUZZ_PATH },
	{ "groups/" FUZZ_ALIVE "/event_dirty_share", FUZZ_NUMBER },
	{ "groups/" FUZZ_ALIVE "/event_memory_share", FUZZ_NUMBER },
	{ "groups/" FUZZ_ALIVE "/event_changed_inodes", FUZZ_NUMBER },
	{ "groups/" FUZZ_VICTIM "/event_exec", FUZZ_NUMBER },
	{ "groups/" FUZZ_VICTIM "/event_exit", FUZZ_NUMBER },
	{ "groups/" FUZZ_VICTIM "/event_oom_kill", FUZZ_NUMBER },
};

static void write_line(struct fuzz *f)
{
	char path[128], line[5000];
	ssize_t n;
	size_t len, i = fuzz_below(f, sizeof(files) / sizeof(*files));
	int fd;

	snprintf(path, sizeof(path), SYS "%s", files[i].name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	/* the victim may not be there */
	if (fd < 0)
		return;
	len = fuzz_line(f, files[i].kind, line, fuzz_below(f, 8) ? 64 : sizeof(line));
	n = write(fd, line, len);
	answers->got[ROW_SYSFS][n < 0 && errno < ERRNOS ? errno : 0]++;
	close(fd);
}

/* --- what must hold after a batch --- */

static void step(int n, uint64_t *shared)
{
	static char *mem;
	int fd;

	if (n == PAGES) {
		mem = map_anon(PAGES * PAGE, 0);
		memset(mem, 1, PAGES * PAGE);
		shared[0] = (uint64_t)(uintptr_t)mem;
		return;
	}
	mem[(size_t)n * PAGE]++;
	fd = open(KEPT_FILE, O_WRONLY | O_APPEND | O_CLOEXEC);
	if (fd < 0 || write(fd, "x", 1) != 1)
		_exit(1);
	close(fd);
}

static void write_page(uint64_t n)
{
	child_step(&child, (int)n);
	wrote[n] = true;
}

/* Pages that are not told as they should be, in the round walked last. */
static unsigned int wrong_pages(bool written)
{
	unsigned int i, wrong = 0;
	struct pages p;
	uint64_t at;

	if (client_pages(&c, FUZZ_ALIVE, &p))
		die("dump: %s", c.text);
	for (i = 0; i < PAGES; i++) {
		at = child.shared[0] + i * PAGE;
		wrong += (pages_dirty(&p, child.pid, at, at + PAGE) == 1) != (written && wrote[i]);
	}
	pages_free(&p);
	return wrong;
}

static bool tells_right(void)
{
	uint8_t id[CKPT_ID_LEN] = { 4 };
	unsigned int wrong;
	uint32_t mask;
	struct stat st;
	struct round r;

	write_page(0);
	if (stat(KEPT_FILE, &st) || client_begin(&c, FUZZ_ALIVE, &r))
		die("begin: %s", c.text);
	wrong = wrong_pages(true);
	mask = client_inode_mask(&c, FUZZ_ALIVE, st.st_ino);
	if (client_commit(&c, FUZZ_ALIVE, r.epoch, id) || client_begin(&c, FUZZ_ALIVE, &r))
		die("commit and begin: %s", c.text);
	wrong += wrong_pages(false);
	if (client_abort(&c, FUZZ_ALIVE, r.epoch))
		die("abort: %s", c.text);
	memset(wrote, 0, sizeof(wrote));
	if (wrong || !(mask & CKPT_INODE_DATA) || r.lost)
		note("%u pages told wrong, mask of the file %#x, lost %" PRIu64, wrong, mask,
		     r.lost);
	return !wrong && (mask & CKPT_INODE_DATA) && !r.lost;
}

/* Remove every group but the one alive.  Return: how many are left. */
static int groups_left(void)
{
	DIR *d = opendir(SYS "groups");
	struct dirent *e;
	int left = 0;

	while (d && (e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		if (strcmp(e->d_name, FUZZ_ALIVE) != 0)
			client_group_del(&c, e->d_name);
	}
	if (d)
		rewinddir(d);
	while (d && (e = readdir(d)))
		left += e->d_name[0] != '.';
	if (d)
		closedir(d);
	return left;
}

/* Remove every root but the one kept.  Return: that one is left, alone. */
static bool root_left(void)
{
	char buf[4096], *path, *rest = buf;

	if (get(SYS "groups/" FUZZ_ALIVE "/roots", buf, sizeof(buf)) < 0)
		die("roots");
	while ((path = strsep(&rest, "\n")))
		if (strcmp(path, FUZZ_KEPT) != 0)
			client_root(&c, CKPT_CMD_ROOT_DEL, FUZZ_ALIVE, path);
	get(SYS "groups/" FUZZ_ALIVE "/roots", buf, sizeof(buf));
	return !strcmp(buf, FUZZ_KEPT);
}

static int number_in(const char *path)
{
	char buf[64] = "";

	get(path, buf, sizeof(buf));
	return atoi(buf);
}

/* A dump's reference goes a moment after its socket. */
static bool references_are(int wanted)
{
	int tries;

	for (tries = 0; number_in("/sys/module/ckpt/refcnt") != wanted && tries < 500; tries++)
		usleep(10000);
	return number_in("/sys/module/ckpt/refcnt") == wanted;
}

/* --- batches --- */

static bool one_batch(struct sender *all, int references, int taint)
{
	pthread_t thread[THREADS];
	unsigned int i;
	int status;
	pid_t pid;
	bool good;

	client_group_new(&c, FUZZ_VICTIM, "/fuzz.d/1");
	pid = sender_without_rights(&all[THREADS]);
	/* its numbers go on where those of the process will have ended */
	rnd(&all[THREADS].fuzz.rnd);
	for (i = 0; i < THREADS; i++)
		if (pthread_create(&thread[i], NULL, sender_batch, &all[i]))
			die("a thread");
	for (i = 0; i < LINES; i++) {
		write_page(fuzz_below(&all[THREADS].fuzz, PAGES));
		write_line(&all[THREADS].fuzz);
	}
	for (i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	waitpid(pid, &status, 0);
	good = WIFEXITED(status) && !WEXITSTATUS(status) && !answers->slipped;
	good &= tells_right();
	if (groups_left() != 1 || !root_left() || !references_are(references)) {
		note("%d groups, %d references, not %d", groups_left(),
		     number_in("/sys/module/ckpt/refcnt"), references);
		good = false;
	}
	return good && number_in("/proc/sys/kernel/tainted") == taint;
}

static void print_row(int row)
{
	char line[1024];
	size_t len = 0;
	int err;

	for (err = 1; err < ERRNOS; err++)
		if (answers->got[row][err])
			len += (size_t)snprintf(line + len, sizeof(line) - len, ", %lu %s",
						answers->got[row][err], strerrorname_np(err));
	line[len] = '\0';
	note("%s: %lu accepted%s", sender_cmd_names[row], answers->got[row][0], line);
}

static void note_sent(time_t start)
{
	note("%lu messages in %ld seconds", answers->sent, (long)(time(NULL) - start));
}

static uint64_t from_env(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

static void make_world(void)
{
	int tries;

	shell("rm -rf /tmp/fuzz && mkdir -p /tmp/fuzz/a /tmp/fuzz/b " FUZZ_KEPT);
	shell("echo content >" KEPT_FILE "; chmod 666 " KEPT_FILE);
	cgroup_make("fuzz.alive");
	cgroup_make("fuzz.d");
	cgroup_make("fuzz.d/1");
	cgroup_make("fuzz.d/2");
	child_start(&child, "fuzz.alive", step);
	child_start(&other, "fuzz.d/1", step);
	child_step(&child, PAGES);
	child_step(&other, PAGES);
	if (client_open(&c) || client_group_new(&c, FUZZ_ALIVE, "/fuzz.alive") ||
	    client_root(&c, CKPT_CMD_ROOT_ADD, FUZZ_ALIVE, FUZZ_KEPT))
		die("tag: %s", c.text);
	/* what is new may wait in an LRU batch, and is told more than once then */
	for (tries = 0; !tells_right(); tries++) {
		if (tries == 30)
			die("no quiet epoch");
		batches_drain();
	}
}

int main(void)
{
	uint64_t seed = from_env("CKPT_SEED", 1), total = from_env("CKPT_MESSAGES", 10000), batch;
	int references, taint, row;
	struct sender *all;
	bool good = true;
	unsigned int i;
	time_t start;

	make_world();
	answers_make();
	all = calloc(THREADS + 1, sizeof(*all));
	if (!all)
		die("memory");
	for (i = 0; i <= THREADS; i++) {
		all[i].fuzz.rnd = seed * 0x9e3779b97f4a7c15ULL + i + 1;
		all[i].fuzz.family = c.family;
		all[i].nr = BATCH / (THREADS + 1);
		all[i].rights = i < THREADS;
	}
	references = number_in("/sys/module/ckpt/refcnt");
	taint = number_in("/proc/sys/kernel/tainted");
	/* what the messages take, without the world they are about */
	start = time(NULL);
	for (batch = 0; good && batch < total / BATCH; batch++) {
		good = one_batch(all, references, taint);
		if (batch % NOTED == NOTED - 1)
			note_sent(start);
	}
	note_sent(start);
	check(good, "seed %" PRIu64 ": after each of %" PRIu64 " batches all is as it should be",
	      seed, batch);
	check(answers->sent >= total, "%lu messages were sent", answers->sent);
	check(!answers->slipped, "none was accepted from who may not");
	for (row = 1; row < ROWS; row++) {
		if (!sender_cmd_names[row])
			continue;
		print_row(row);
		/* fewer messages may miss an operation */
		if (row != ROW_NONE && total >= ENOUGH)
			check(answers->got[row][0], "%s: some are accepted", sender_cmd_names[row]);
	}
	check(!client_group_del(&c, FUZZ_ALIVE), "the group goes");
	child_end(&child);
	child_end(&other);
	client_close(&c);
	cgroup_gone("fuzz.alive");
	cgroup_gone("fuzz.d/1");
	cgroup_gone("fuzz.d/2");
	cgroup_gone("fuzz.d");
	return finish();
}
