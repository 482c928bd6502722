// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The audit: everything that changes memory and files, at random, and nothing may be lost
 *
 * usage: audit OPERATIONS SEED SECONDS [PACE]
 *
 * PACE makes epochs that many times longer, and what the kernel does beside them that much
 * rarer: a long run then spends its time on operations.
 */
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "happened.h"

/* So many of them have all that an epoch can have. */
#define EPOCHS_MIN 8

/* The kernel, as busy as it can be. */
static void stir_up(void)
{
	static const char *const set[][2] = {
		{ "/sys/kernel/mm/transparent_hugepage/enabled", "madvise" },
		{ "/sys/kernel/mm/transparent_hugepage/shmem_enabled", "advise" },
		{ "/sys/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs", "10" },
		{ "/sys/kernel/mm/transparent_hugepage/khugepaged/alloc_sleep_millisecs", "10" },
		{ "/sys/kernel/mm/ksm/sleep_millisecs", "20" },
		{ "/sys/kernel/mm/ksm/run", "1" },
		{ "/proc/sys/vm/nr_hugepages", "12" },
		{ "/proc/sys/kernel/numa_balancing", "1" },
		{ "/sys/kernel/debug/sched/numa_balancing/scan_delay_ms", "50" },
		{ "/sys/kernel/debug/sched/numa_balancing/scan_period_min_ms", "100" },
	};
	size_t i;

	for (i = 0; i < sizeof(set) / sizeof(set[0]); i++)
		if (put(set[i][0], set[i][1]))
			die("%s is not to be set", set[i][0]);
}

/* So that direct writes are in flight when all are frozen. */
static void slow_down(void)
{
	struct stat root;
	char text[64];

	if (fstat(files.root, &root))
		die("the root");
	snprintf(text, sizeof(text), "%u:%u wiops=30", major(root.st_dev), minor(root.st_dev));
	if (put(CGROUPS SLOW "/io.max", text))
		die("direct writes are not slowed down");
	reads_a_second(READS);
}

/*
 * Moves pages of the actors between the nodes all the time, while everybody is frozen, too:
 * a page may be on its way when the last round comes.  Each page that moves interrupts the other
 * processor, which is most of what an emulated machine does if they move too often.
 */
static pid_t start_mover(uint64_t seed)
{
	unsigned long node[2] = { 1, 2 };
	pid_t pid = fork();
	uint64_t n;

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		n = rnd(&seed);
		if (n % 16)
			syscall(SYS_migrate_pages, audit->actor[n / 16 % ACTORS], 3, &node[n & 1],
				&node[~n & 1]);
		else
			put("/proc/sys/vm/compact_memory", "1");
		usleep((useconds_t)(n / 64 % 400000 * audit->pace));
	}
}

static pid_t mover;

static void start(struct reader *r, uint64_t seed, uint32_t pace)
{
	int i;

	cgroup_make(GROUP);
	cgroup_make(BELOW);
	cgroup_make(AWAY);
	cgroup_make(SLOW);
	cgroup_make(RUN_ON);
	setup_shared();
	audit->pace = pace;
	slow_down();
	r->seed = seed * 0x9e3779b97f4a7c15ULL | 1;
	for (i = 0; i < ACTORS; i++)
		actor_start(i, seed, GROUP);
	actor_start(OUTSIDER, seed, AWAY);
	actor_start(DIRECT_WRITER, seed, SLOW);
	actor_start(RUNNER, seed, RUN_ON);
	mover = start_mover(seed | 1);
	/* After all forks: a copy of the socket would keep its epochs open. */
	if (client_open(&r->client) || client_group_new(&r->client, GROUP, "/" GROUP) ||
	    client_root(&r->client, CKPT_CMD_ROOT_ADD, GROUP, ROOT))
		die("tag: %s", r->client.text);
	/* It waits for their locks; it should not wait for a processor as well. */
	if (sched_setscheduler(0, SCHED_RR, &(struct sched_param){ .sched_priority = 1 }))
		die("sched_setscheduler");
}

static void all_alive(void)
{
	int status;
	pid_t pid = waitpid(-1, &status, WNOHANG);

	if (pid > 0)
		die("process %d has ended, status %#x", pid, status);
}

static void end(struct reader *r)
{
	int i;

	audit->stop = 1;
	kill(mover, SIGKILL);
	put(CGROUPS GROUP "/cgroup.kill", "1");
	put(CGROUPS AWAY "/cgroup.kill", "1");
	put(CGROUPS SLOW "/cgroup.kill", "1");
	put(CGROUPS RUN_ON "/cgroup.kill", "1");
	for (i = 0; i < PROCESSES; i++)
		waitpid(audit->actor[i], NULL, 0);
	client_group_del(&r->client, GROUP);
	client_close(&r->client);
	shmctl(files.shm, IPC_RMID, NULL);
	put("/sys/kernel/mm/ksm/run", "2");
	put("/proc/sys/vm/nr_hugepages", "0");
	cgroup_gone(BELOW);
	cgroup_gone(GROUP);
	cgroup_gone(AWAY);
	cgroup_gone(SLOW);
	cgroup_gone(RUN_ON);
	close(files.direct);
	shell("losetup -d " DISK);
}

/* The last operations of all, the newest last. */
static void show_log(void)
{
	const struct entry *e;
	uint64_t n;
	int i, j;

	for (i = 0; i < PROCESSES; i++) {
		for (j = 0; j < THREADS; j++) {
			n = audit->done[i][j];
			for (n = n > 12 ? n - 12 : 0; n <= audit->done[i][j]; n++) {
				e = &audit->log[i][j][n % LOG];
				note("pid %d thread %d op %" PRIu64 ": %s %#" PRIx64 " %#" PRIx64,
				     audit->actor[i], j, e->number, e->name ? e->name : "-",
				     e->a, e->b);
			}
		}
	}
}

static void summary(const struct reader *r)
{
	const struct image *img = &r->image;
	int k;

	phases_show(&r->phases);
	note("%lu epochs, %lu committed", r->epochs, r->commits);
	note("%" PRIu64 " pages copied, %" PRIu64 " compared; %" PRIu64 " busy; %lu vanished; %"
	     PRIu64 " clean ones asked again; %" PRIu64 " filled with zeros since", img->read,
	     r->pages, img->busy, r->vanished, img->asked_again, img->filled);
	note("%" PRIu64 " pages of shared mappings compared, %" PRIu64 " told twice",
	     r->shared_tally.mapped, r->twice);
	note("%" PRIu64 " inodes compared, %" PRIu64 " had changed, %" PRIu64
	     " told that had not; %lu times changes were lost and said to be",
	     r->inodes, r->changed_inodes, r->false_inodes, r->fulls);
	note("%" PRIu64 " pages of processes born in an epoch, %" PRIu64 " as another has them",
	     img->born, img->inherited);
	for (k = 0; k < NR_KINDS; k++)
		if (img->dirty[k])
			note("%s: %" PRIu64 " pages told dirty, %" PRIu64 " (%" PRIu64
			     " %%) unchanged", kind_name((enum kind)k), img->dirty[k],
			     img->same[k], img->same[k] * 100 / img->dirty[k]);
}

int main(int argc, char **argv)
{
	static struct reader r;
	unsigned int missing;
	uint64_t ops, seed;
	time_t until;

	if (argc == 2 && !strcmp(argv[1], "exec-child"))
		return exec_child();
	if (argc != 4 && argc != 5)
		die("usage: audit OPERATIONS SEED SECONDS [PACE]");
	ops = strtoull(argv[1], NULL, 10);
	seed = strtoull(argv[2], NULL, 10);
	until = time(NULL) + (time_t)strtoull(argv[3], NULL, 10);
	note("seed %" PRIu64, seed);
	stir_up();
	happened_begin();
	start(&r, seed, argc == 5 ? (uint32_t)strtoul(argv[4], NULL, 10) : 1);
	while ((audit->ops < ops || r.epochs < EPOCHS_MIN) && time(NULL) < until) {
		all_alive();
		if (!reader_epoch(&r)) {
			note("epoch %lu after %" PRIu64 " operations", r.epochs, audit->ops);
			show_log();
			break;
		}
		if (!(r.epochs % 10) || getenv("CKPT_AUDIT_NOTES"))
			note("%lu epochs, %" PRIu64 " operations, %ld s left", r.epochs,
			     audit->ops, (long)(until - time(NULL)));
	}
	summary(&r);
	check(!r.lost_pages, "seed %" PRIu64 ": %" PRIu64 " pages lost in %" PRIu64 " operations",
	      seed, r.lost_pages, audit->ops);
	check(!r.lost_inodes, "%" PRIu64 " inodes lost", r.lost_inodes);
	check(reader_actors(&r), "each process was compared every time");
	check(2 * r.fulls < r.commits, "files were compared: %lu of %lu checkpoints were full",
	      r.fulls, r.commits);
	/* one of them always is: what KSM works on */
	check(2 * r.image.whole < r.image.parts, "address spaces were told in parts: %" PRIu64
	      " of %" PRIu64 " were whole", r.image.whole, r.image.parts);
	missing = shared_missing(&r.shared_tally);
	check(!missing, "%u kinds of shared memory not compared", missing);
	missing = tally_show(&r.tally);
	check(!missing, "%u kinds of changes of files not made or not compared", missing);
	missing = happened_missing(&r, audit->ops);
	check(!missing, "%u kinds of what was to happen did not", missing);
	missing = ops_show();
	check(!missing, "%u operations that never did what they are for", missing);
	if (!r.lost_pages && !r.lost_inodes)
		check(audit->ops >= ops, "%" PRIu64 " operations of %" PRIu64, audit->ops, ops);
	end(&r);
	return finish();
}
