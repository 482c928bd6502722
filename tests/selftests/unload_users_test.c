// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * unload_users_test.c: the module goes while others use it, at any moment of a take, a dump, or a
 * look into its files
 *
 * One process tags, takes, dumps and untags all the time, another reads each file below
 * /sys/kernel/ckpt and writes to those of a group. What they ask for may be refused, or gone; the
 * kernel must be there in the end, and they must get on with the module that is loaded next.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/client.h"
#include "lib/world.h"

#define ROUNDS 12
#define GROUP "unload-users"
#define SYSFS "/sys/kernel/ckpt"
/* What a take has to walk. */
#define LEN (64UL << 20)
/* So often each of both did something between two unloads. */
#define USES 3

/* How often a whole take was made, and how many files were read: shared. */
enum { TAKES, READS };
static volatile uint64_t *uses;

static void ignore(struct nlattr **attrs, void *data)
{
	(void)attrs;
	(void)data;
}

static void take_once(struct client *c)
{
	static const uint8_t id[CKPT_ID_LEN] = { 5 };
	struct pages p;
	struct round r;

	if (client_group_new(c, GROUP, "/" GROUP) ||
	    client_root(c, CKPT_CMD_ROOT_ADD, GROUP, "/tmp/" GROUP) ||
	    client_begin(c, GROUP, &r) || client_pages(c, GROUP, &p))
		return;
	pages_free(&p);
	if (client_inodes(c, GROUP, ignore, NULL) || client_next(c, GROUP, CKPT_EPOCH_FINAL, &r) ||
	    client_commit(c, GROUP, r.epoch, id) || client_group_del(c, GROUP))
		return;
	uses[TAKES]++;
}

/* It is in no group: the tasks that are, are others. */
static void take_on(void)
{
	struct client c;

	for (;;) {
		if (client_open(&c)) {
			usleep(1000);
			continue;
		}
		take_once(&c);
		/* what was left by one that failed half way */
		client_group_del(&c, GROUP);
		client_close(&c);
	}
}

static int read_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	char buf[4096];
	int fd;

	(void)st;
	(void)ftw;
	if (type != FTW_F)
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && read(fd, buf, sizeof(buf)) > 0)
		uses[READS]++;
	close(fd);
	return 0;
}

static void read_on(void)
{
	for (;;) {
		if (nftw(SYSFS, read_one, 8, FTW_PHYS))
			usleep(1000);
		put(SYSFS "/groups/" GROUP "/add_root", "/tmp/" GROUP);
	}
}

static void write_on(void)
{
	volatile char *p = map_anon(LEN, 0);
	char pid[16];
	size_t i;

	snprintf(pid, sizeof(pid), "%d", getpid());
	if (put("/sys/fs/cgroup/" GROUP "/cgroup.procs", pid))
		_exit(1);
	for (i = 0;; i = (i + 7 * PAGE) % LEN)
		p[i]++;
}

static pid_t start(void (*what)(void))
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	what();
	_exit(1);
}

static bool both_get_on(void)
{
	uint64_t takes = uses[TAKES] + USES, reads = uses[READS] + USES;
	int tries;

	for (tries = 0; tries < 600 && (uses[TAKES] < takes || uses[READS] < reads); tries++)
		usleep(50000);
	return tries < 600;
}

/* While a dump is under way it is in use: tried again. Return: how often, or -1. */
static int unload(void)
{
	int tries;

	for (tries = 1; tries < 5000; tries++) {
		if (!system("rmmod ckpt 2>/dev/null"))
			return tries;
		usleep(tries * 137 % 3000);
	}
	return -1;
}

int main(void)
{
	const char *ko = getenv("CKPT_KO"), *given = getenv("CKPT_UNLOADS");
	int rounds = given && *given ? atoi(given) : ROUNDS;
	pid_t pids[3];
	int i, tries;

	uses = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (uses == MAP_FAILED)
		die("mmap");
	shell("rm -rf /tmp/" GROUP " && mkdir /tmp/" GROUP);
	cgroup_make(GROUP);
	pids[0] = start(write_on);
	pids[1] = start(take_on);
	pids[2] = start(read_on);
	for (i = 0; i < rounds; i++) {
		check(both_get_on(), "round %d: takes and reads are made", i);
		usleep(i * 7919 % 20000);
		tries = unload();
		check(tries > 0, "round %d: the module is unloaded (%d tries)", i, tries);
		check(access(SYSFS, F_OK) && errno == ENOENT, "round %d: and gone", i);
		shell("insmod %s", ko ? ko : "");
	}
	check(both_get_on(), "and they are made after all that");
	for (i = 0; i < 3; i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
	shell("rmmod ckpt && insmod %s", ko ? ko : "");
	cgroup_gone(GROUP);
	return finish();
}
