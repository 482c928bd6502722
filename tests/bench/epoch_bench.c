// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * epoch_bench.c: one epoch step against clear_refs + pagemap over the same processes
 *
 * A step is what a checkpoint does to learn what was written and to begin anew: here begin,
 * page-dump and commit, there the pagemap of every area and "4" into clear_refs.  Each must
 * tell the pages that were written since the last step.  Of others the module tells those that
 * the kernel itself holds a reference to, since it cannot know what for: the few that a CPU is
 * about to put on the lists of reclaim.  It marks them again, so pagemap tells them as well.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "lib/bench.h"
#include "nl/client.h"

#define GROUP "bench-epoch"
#define AREA ((char *)0x100000000UL)
#define MIB (1UL << 20)
#define SOFT_DIRTY (1ULL << 55)
/* On the way to the lists of reclaim, for each CPU and process. */
#define HELD_MAX 64
#define CHUNK 65536	/* entries of pagemap read at a time */
#define AGAINST "clear_refs + pagemap"
#define TARGET 0.2	/* where little was written */

enum { FILL, WRITE };

/* What is measured now; children inherit it. */
static size_t nr_procs, pages_each, permille;

static struct ckpt_nl *nl;
static struct child *procs;

/* Pages told dirty in the area, of all processes, by one step. */
struct told {
	size_t written;
	size_t others;
};

static bool written(size_t page)
{
	return (page + 1) * permille / 1000 != page * permille / 1000;
}

static void tell(struct told *told, uint64_t start, uint64_t pages)
{
	size_t first = (start - (uintptr_t)AREA) / PAGE;

	for (size_t i = first; i < first + pages; i++)
		written(i) ? told->written++ : told->others++;
}

static bool in_area(uint64_t start)
{
	return start >= (uintptr_t)AREA && start < (uintptr_t)AREA + pages_each * PAGE;
}

/* Every process is to have the same areas: what it has of those before it goes. */
static void unmap_others(const uint64_t *shared)
{
	for (size_t i = 0; i < nr_procs; i++)
		if (procs[i].shared && procs[i].shared != shared)
			munmap(procs[i].shared, PAGE);
}

static void step(int n, uint64_t *shared)
{
	if (n == FILL) {
		unmap_others(shared);
		prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
		map_anon_at(AREA, pages_each * PAGE);
	}
	for (size_t i = 0; i < pages_each; i++)
		if (n == FILL || written(i))
			AREA[i * PAGE]++;
}

/* --- the module --- */

static int take_area(const struct ckpt_nl_area *area, void *data, struct ckpt_err *err)
{
	(void)err;
	if (!area->has_area || !in_area(area->start))
		return 0;
	for (size_t i = 0; i < area->n_runs; i++)
		if (area->runs[i].flags & CKPT_RUN_DIRTY)
			tell(data, area->runs[i].start, area->runs[i].pages);
	return 0;
}

static double by_module(struct told *told)
{
	const uint8_t id[CKPT_ID_LEN] = { 1 };
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_nl_round round;
	double from = cpu_used();

	*told = (struct told){ 0 };
	if (ckpt_nl_epoch_begin(nl, GROUP, &round, &err) ||
	    ckpt_nl_page_dump(nl, GROUP, take_area, told, &err) ||
	    ckpt_nl_epoch_commit(nl, GROUP, round.epoch, id, &err))
		die("%s", err.text);
	return cpu_used() - from;
}

/* --- clear_refs and pagemap --- */

static void read_area(int pagemap, uint64_t start, uint64_t end, struct told *told)
{
	static uint64_t entry[CHUNK];
	size_t n;

	for (; start < end; start += n * PAGE) {
		n = (end - start) / PAGE;
		n = n < CHUNK ? n : CHUNK;
		if (pread(pagemap, entry, n * 8, (off_t)(start / PAGE * 8)) != (ssize_t)(n * 8))
			die("read pagemap");
		for (size_t i = 0; i < n; i++)
			if (entry[i] & SOFT_DIRTY && in_area(start + i * PAGE))
				tell(told, start + i * PAGE, 1);
	}
}

static int open_of(pid_t pid, const char *name, int flags)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, flags | O_CLOEXEC);
	if (fd < 0)
		die("open %s", path);
	return fd;
}

static void of_process(pid_t pid, struct told *told)
{
	int pagemap = open_of(pid, "pagemap", O_RDONLY);
	int clear_refs = open_of(pid, "clear_refs", O_WRONLY);
	FILE *maps = fdopen(open_of(pid, "maps", O_RDONLY), "r");
	uint64_t start, end;
	char line[512];

	if (!maps)
		die("maps");
	while (fgets(line, sizeof(line), maps))
		/* not of user space: the page that stands for the oldest system calls */
		if (sscanf(line, "%" SCNx64 "-%" SCNx64, &start, &end) == 2 && !(start >> 63))
			read_area(pagemap, start, end, told);
	if (write(clear_refs, "4", 1) != 1)
		die("write clear_refs");
	fclose(maps);
	close(clear_refs);
	close(pagemap);
}

static double by_clear_refs(struct told *told)
{
	double from = cpu_used();

	*told = (struct told){ 0 };
	for (size_t i = 0; i < nr_procs; i++)
		of_process(procs[i].pid, told);
	return cpu_used() - from;
}

/* --- one size --- */

static void start(void)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	struct told told;

	cgroup_make(GROUP);
	procs = calloc(nr_procs, sizeof(*procs));
	if (!procs)
		die("memory");
	for (size_t i = 0; i < nr_procs; i++) {
		child_start(&procs[i], GROUP, step);
		child_step(&procs[i], FILL);
	}
	if (ckpt_nl_open(&nl, &err) || ckpt_nl_group_new(nl, GROUP, "/" GROUP, &err))
		die("%s", err.text);
	/* All is new in the first, and what the second finds is of the setting up. */
	by_module(&told);
	check(told.written + told.others == nr_procs * pages_each,
	      "the first step tells every page (%zu)", nr_procs * pages_each);
	by_module(&told);
}

static void end(void)
{
	struct ckpt_err err = CKPT_ERR_INIT;

	if (ckpt_nl_group_del(nl, GROUP, &err))
		die("%s", err.text);
	ckpt_nl_close(nl);
	for (size_t i = 0; i < nr_procs; i++)
		child_end(&procs[i]);
	free(procs);
	cgroup_gone(GROUP);
}

static void write_all(void)
{
	for (size_t i = 0; i < nr_procs; i++)
		child_step(&procs[i], WRITE);
}

static bool as_written(const struct told *told)
{
	size_t each = 0;

	for (size_t i = 0; i < pages_each; i++)
		each += written(i);
	return told->written == each * nr_procs && told->others <= HELD_MAX * nr_procs;
}

/* Measure both in turn.  Return: CPU seconds of a step by the module. */
static double measure(unsigned int times, const char *series, size_t value, const char *unit)
{
	struct told by_m, by_c, untold;
	double of_module[RATIOS_MAX], one;
	struct ratios r = { .n = 0 };
	bool same = true;

	start();
	for (unsigned int i = 0; i < times; i++) {
		write_all();
		of_module[i] = by_module(&by_m);
		write_all();
		one = by_clear_refs(&by_c);
		ratios_add(&r, of_module[i], one);
		same &= as_written(&by_m) && as_written(&by_c);
		same &= by_c.others <= by_m.others;
		/* The hardware's dirty bits, which clear_refs leaves: the module tells them. */
		by_module(&untold);
	}
	end();
	check(same, "%s %zu %s: both tell the %zu pages written (%zu), and %zu others (%zu)",
	      series, value, unit, by_m.written, by_c.written, by_m.others, by_c.others);
	one = ratios_tell(&r, AGAINST, "%s %zu %s", series, value, unit);
	if (permille <= 10)
		ratios_target(one, TARGET, series);
	return median(of_module, times);
}

static void tell_growth(double cost, double first, const char *series, size_t value,
			size_t first_value, const char *unit)
{
	struct ratios r = { .n = 0 };
	char against[64];

	snprintf(against, sizeof(against), "the same step of %zu %s", first_value, unit);
	ratios_add(&r, cost, first);
	ratios_tell(&r, against, "%s %zu %s, cost", series, value, unit);
}

static void sizes(void)
{
	static const size_t mib[] = { 64, 256, 1024, 4096 };
	double first = 0, cost;

	nr_procs = 1;
	permille = 10;
	for (size_t i = 0; i < bench_pick(4, 1); i++) {
		pages_each = mib[i] * MIB / PAGE;
		cost = measure(bench_pick(7, 1), "epoch-size", mib[i], "MiB");
		first = i ? first : cost;
		if (i)
			tell_growth(cost, first, "epoch-size", mib[i], mib[0], "MiB");
	}
}

static void processes(void)
{
	static const size_t nr[] = { 1, 10, 50, 200 };
	double first = 0, cost;

	pages_each = 2 * MIB / PAGE;
	permille = 10;
	for (size_t i = 0; i < bench_pick(4, 2); i++) {
		nr_procs = nr[i];
		cost = measure(bench_pick(7, 1), "epoch-processes", nr[i], "of 2 MiB");
		first = i ? first : cost;
		if (i)
			tell_growth(cost, first, "epoch-processes", nr[i], nr[0], "of 2 MiB");
	}
}

static void shares(void)
{
	static const size_t percent[] = { 0, 100, 1, 10, 50 };
	double first = 0, cost;

	nr_procs = 1;
	pages_each = bench_pick(256, 16) * MIB / PAGE;
	for (size_t i = 0; i < bench_pick(5, 2); i++) {
		permille = percent[i] * 10;
		cost = measure(bench_pick(7, 1), "epoch-dirty", percent[i], "%");
		first = i ? first : cost;
		if (i)
			tell_growth(cost, first, "epoch-dirty", percent[i], percent[0], "%");
	}
}

int main(void)
{
	sizes();
	processes();
	shares();
	return finish();
}
