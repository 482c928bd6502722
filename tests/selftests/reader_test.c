// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * reader_test.c: a reader that is killed at any step leaves an image that the next one completes
 *
 * An agent writes pages and files all the time.  A reader takes epochs of it into an
 * image and is killed, at each of its steps and at random instants.  Then another one takes
 * a whole epoch of the stopped agent, and image and agent are compared byte for byte.  The
 * image is what a store would hold: the reader works on a copy, and which of the last two images
 * the next epoch builds on is what the module says was committed last.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/client.h"
#include "lib/world.h"

#define NR 512
#define LEN (NR * PAGE)
#define FILES 16
#define FILE_MAX PAGE
#define DIR "/scratch/reader"
#define RANDOM_KILLS 24
#define KILL_US 20000

/* Where a reader can be killed; it says which it has reached. */
enum at {
	AT_START,
	AT_OPEN,
	AT_BEGUN,
	AT_HALF_DUMPED,		/* one buffer of the page dump was read */
	AT_DUMPED,
	AT_INODES,
	AT_NEXT,
	AT_NEXT_DUMPED,
	AT_FINAL,
	AT_FINAL_DUMPED,
	AT_DURABLE,		/* the image is complete, the module was not told */
	AT_COMMITTED,		/* it was, and the reader has not said so */
	AT_END,
};

static const char *const at_name[] = {
	"at once", "before it begins", "after begin", "in a dump", "after a dump",
	"after the inodes", "after a live round", "after its dump", "after the last round",
	"after its dump", "before the commit", "after the commit",
};

struct image {
	uint8_t id[CKPT_ID_LEN] __attribute__((aligned(8)));
	char mem[LEN];
	char file[FILES][FILE_MAX];
};

/* What readers leave behind them, as files of a store would be. */
static struct shared {
	struct image image[2];	/* complete where the id is not zero */
	volatile uint32_t reached;
	volatile uint32_t hold;	/* the step at which to wait for the end */
	volatile uint64_t number;	/* of ids */
} *shared;

static struct child agent;
static uint64_t agent_mem;
static uint64_t ino[FILES];

static const char *file(int n)
{
	static char path[64];

	snprintf(path, sizeof(path), DIR "/%d", n);
	return path;
}

/* --- the agent --- */

static void write_file(int n, uint64_t *state)
{
	char path[64], buf[FILE_MAX];
	int fd;

	snprintf(path, sizeof(path), DIR "/%d", n);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	memset(buf, (int)rnd(state), sizeof(buf));
	if (fd < 0 || pwrite(fd, buf, FILE_MAX, 0) != FILE_MAX)
		_exit(1);
	close(fd);
}

static void *agent_writes(void *arg)
{
	uint64_t state = 5;
	char *mem = arg;

	for (;;) {
		mem[rnd(&state) % LEN]++;
		if (!(rnd(&state) % 64))
			madvise(mem + rnd(&state) % NR * PAGE, PAGE, MADV_DONTNEED);
		if (!(rnd(&state) % 16))
			write_file((int)(rnd(&state) % FILES), &state);
		/* Two CPUs under emulation: leave some for the reader. */
		usleep(200);
	}
	return NULL;
}

/* From now on it writes. */
static void agent_step(int n, uint64_t *told)
{
	char *mem = map_anon(LEN, 0);
	pthread_t t;

	(void)n;
	madvise(mem, LEN, MADV_NOHUGEPAGE);
	told[0] = (uint64_t)(uintptr_t)mem;
	pthread_create(&t, NULL, agent_writes, mem);
}

static void freeze(bool on)
{
	char events[128];
	int tries;

	if (put("/sys/fs/cgroup/reader/cgroup.freeze", on ? "1" : "0"))
		die("cgroup.freeze");
	for (tries = 0; tries < 10000; tries++) {
		if (get("/sys/fs/cgroup/reader/cgroup.events", events, sizeof(events)) > 0 &&
		    strstr(events, on ? "frozen 1" : "frozen 0"))
			return;
		usleep(1000);
	}
	die("the agent does not freeze");
}

/* --- the reader --- */

/* It ends here if it is to; main() kills it. */
static void reach(enum at at)
{
	shared->reached = at;
	while (shared->hold == at)
		pause();
}

static void copy_page(struct image *work, const struct pages *p, size_t n)
{
	uint64_t addr = agent_mem + n * PAGE;
	char *to = work->mem + n * PAGE;
	uint32_t flags;

	switch (pages_state(p, agent.pid, addr, &flags)) {
	case CKPT_PAGE_NONE:
	case CKPT_PAGE_ZERO:
		memset(to, 0, PAGE);
		break;
	default:
		/* What is gone by now a later round tells. */
		if (flags & CKPT_RUN_DIRTY)
			child_read(agent.pid, addr, to, PAGE);
	}
}

static void copy_pages(struct client *c, struct image *work, bool stop_half)
{
	struct pages p;
	size_t i;

	if (client_pages_start(c, "reader"))
		die("dump: %s", c->text);
	if (stop_half)
		reach(AT_HALF_DUMPED);
	if (client_pages_finish(c, &p))
		die("dump: %s", c->text);
	if (pages_mm_flags(&p, agent.pid) & CKPT_MM_OVERFLOW)
		die("the module kept not all runs");
	/* Of who was busy nothing is told before the next round. */
	for (i = 0; i < NR && !(pages_mm_flags(&p, agent.pid) & CKPT_MM_BUSY); i++)
		copy_page(work, &p, i);
	pages_free(&p);
}

/* @all: there is no image to build on, and no change since one. */
static void copy_files(struct client *c, struct image *work, bool all)
{
	int i, fd;

	for (i = 0; i < FILES; i++) {
		if (!all && !(client_inode_mask(c, "reader", ino[i]) &
			      (CKPT_INODE_DATA | CKPT_INODE_SUSPECT)))
			continue;
		fd = open(file(i), O_RDONLY | O_CLOEXEC);
		if (read(fd, work->file[i], FILE_MAX) != FILE_MAX)
			die("read %s", file(i));
		close(fd);
	}
}

/* The image that an epoch builds on, and the one it may overwrite. */
static const struct image *base_of(const struct round *r, struct image **ret_next)
{
	static const struct image empty;
	int i;

	*ret_next = &shared->image[0];
	if (!memcmp(r->id, empty.id, CKPT_ID_LEN))
		return &empty;
	for (i = 0; i < 2; i++) {
		if (memcmp(r->id, shared->image[i].id, CKPT_ID_LEN))
			continue;
		*ret_next = &shared->image[!i];
		return &shared->image[i];
	}
	die("the module says that an image is committed that nobody has");
}

/* One epoch; the agent is frozen when it returns.  Return: its image. */
static const struct image *read_epoch(void)
{
	static struct image work;
	struct image *next;
	struct client c;
	struct round r;

	if (client_open(&c))
		die("open");
	reach(AT_OPEN);
	if (client_begin(&c, "reader", &r))
		die("begin: %s", c.text);
	work = *base_of(&r, &next);
	memset(next->id, 0, CKPT_ID_LEN);
	reach(AT_BEGUN);
	copy_pages(&c, &work, true);
	reach(AT_DUMPED);
	copy_files(&c, &work, !*(uint64_t *)work.id);
	reach(AT_INODES);
	if (client_next(&c, "reader", 0, &r))
		die("next: %s", c.text);
	reach(AT_NEXT);
	copy_pages(&c, &work, false);
	copy_files(&c, &work, false);
	reach(AT_NEXT_DUMPED);
	freeze(true);
	if (client_next(&c, "reader", CKPT_EPOCH_FINAL, &r))
		die("final: %s", c.text);
	reach(AT_FINAL);
	copy_pages(&c, &work, false);
	copy_files(&c, &work, false);
	reach(AT_FINAL_DUMPED);
	if (r.lost)
		die("the module lost %lu", r.lost);
	memset(work.id, 0, CKPT_ID_LEN);
	*next = work;
	shared->number++;
	memcpy(next->id, (void *)&shared->number, sizeof(shared->number));
	reach(AT_DURABLE);
	if (client_commit(&c, "reader", r.epoch, next->id))
		die("commit: %s", c.text);
	reach(AT_COMMITTED);
	client_close(&c);
	return next;
}

/* --- main --- */

/*
 * Start a reader and kill it when it has reached @at and waits there, or has gone on for
 * @after_us.  Return: what it had reached by then.
 */
static uint32_t kill_reader(uint32_t at, bool waits, uint64_t after_us)
{
	pid_t pid;
	int status;

	shared->hold = waits ? at : AT_END;
	shared->reached = AT_START;
	fflush(stdout);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		read_epoch();
		_exit(0);
	}
	while (shared->reached < at && !waitpid(pid, &status, WNOHANG))
		usleep(500);
	usleep((useconds_t)after_us);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	freeze(false);
	shared->hold = AT_END;
	return shared->reached;
}

/* A whole epoch, and the agent against its image. */
static void compare(const char *what)
{
	const struct image *image = read_epoch();
	size_t i, pages = 0, files = 0;
	char is[FILE_MAX];
	int fd;

	for (i = 0; i < NR; i++) {
		memset(is, 0, PAGE);
		if (child_read(agent.pid, agent_mem + i * PAGE, is, PAGE) != PAGE)
			die("read the agent");
		pages += !!memcmp(is, image->mem + i * PAGE, PAGE);
	}
	for (i = 0; i < FILES; i++) {
		fd = open(file((int)i), O_RDONLY | O_CLOEXEC);
		if (read(fd, is, FILE_MAX) != FILE_MAX)
			die("read %s", file((int)i));
		close(fd);
		files += !!memcmp(is, image->file[i], FILE_MAX);
	}
	freeze(false);
	check(!pages && !files, "%s: the next image is right (%zu pages, %zu files differ)", what,
	      pages, files);
}

static void test_steps(void)
{
	char what[64];
	uint32_t at;

	for (at = AT_OPEN; at < AT_END; at++) {
		if (kill_reader(at, true, 0) != at)
			die("the reader did not come to %s", at_name[at]);
		snprintf(what, sizeof(what), "killed %s", at_name[at]);
		compare(what);
	}
}

/* At any instant, up to three in a row before an epoch is complete. */
static void test_random(uint64_t seed)
{
	uint32_t reached[AT_END] = { 0 };
	uint32_t at, places = 0;
	uint64_t n;
	int i;

	for (i = 0; i < RANDOM_KILLS; i++) {
		for (n = 1 + rnd(&seed) % 3; n; n--) {
			at = AT_START + (uint32_t)(rnd(&seed) % AT_COMMITTED);
			reached[kill_reader(at, false, rnd(&seed) % KILL_US)]++;
		}
		if (i % 4 == 3)
			compare("killed at random");
	}
	for (at = 0; at < AT_END; at++) {
		places += !!reached[at];
		note("%2u ended %s", reached[at], at_name[at]);
	}
	check(places >= 4, "the kills came at different steps (%u)", places);
}

int main(void)
{
	uint64_t seed = getenv("CKPT_SEED") && *getenv("CKPT_SEED") ?
			strtoull(getenv("CKPT_SEED"), NULL, 0) : 1;
	uint64_t state = 77;
	struct client c;
	struct stat st;
	int i;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	if (shared == MAP_FAILED)
		die("mmap");
	shared->hold = AT_END;
	note("seed %lu", seed);
	shell("rm -rf " DIR " && mkdir " DIR);
	for (i = 0; i < FILES; i++) {
		write_file(i, &state);
		if (stat(file(i), &st))
			die("stat");
		ino[i] = st.st_ino;
	}
	cgroup_make("reader");
	if (client_open(&c) || client_group_new(&c, "reader", "/reader") ||
	    client_root(&c, CKPT_CMD_ROOT_ADD, "reader", DIR))
		die("tag: %s", c.text);
	/* No process may hold a copy of an owner's socket. */
	client_close(&c);
	child_start(&agent, "reader", agent_step);
	child_step(&agent, 0);
	agent_mem = agent.shared[0];
	compare("the first epoch");
	compare("the second");
	test_steps();
	test_random(seed * 0x9e3779b97f4a7c15ULL | 1);
	child_end(&agent);
	if (client_open(&c) || client_group_del(&c, "reader"))
		die("untag: %s", c.text);
	client_close(&c);
	cgroup_gone("reader");
	shell("rm -rf " DIR);
	return finish();
}
