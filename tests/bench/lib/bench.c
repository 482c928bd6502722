// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Measuring in ratios: what every bench shares
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/bench.h"

bool bench_small(void)
{
	const char *text = getenv("CKPT_BENCH");

	return text && !strcmp(text, "small");
}

unsigned int bench_pick(unsigned int full, unsigned int small)
{
	return bench_small() ? small : full;
}

double cpu_used(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double seconds(struct timeval tv)
{
	return (double)tv.tv_sec + (double)tv.tv_usec / 1e6;
}

/* Wait for a child, which must end well. */
static double reap(pid_t pid, const char *what, void (*beat)(void *data), void *data)
{
	struct timespec second = { .tv_sec = 1 };
	struct rusage used;
	sigset_t ended;
	int status;

	sigemptyset(&ended);
	sigaddset(&ended, SIGCHLD);
	for (;;) {
		pid_t got = wait4(pid, &status, beat ? WNOHANG : 0, &used);

		if (got == pid)
			break;
		if (got)
			die("wait for %s", what);
		/* SIGCHLD is blocked: one that came meanwhile ends the wait at once. */
		if (sigtimedwait(&ended, NULL, &second) < 0 && errno == EAGAIN)
			beat(data);
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		die("%s: status %#x", what, (unsigned int)status);
	return seconds(used.ru_utime) + seconds(used.ru_stime);
}

static void block_chld(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

static pid_t fork_child(void)
{
	pid_t pid;

	fflush(stdout);
	block_chld();
	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid) {
		sigset_t none;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
	}
	return pid;
}

double cpu_of(const char *command, const char *cgroup, void (*beat)(void *data), void *data)
{
	char path[256];
	pid_t pid = fork_child();

	if (!pid) {
		if (cgroup) {
			snprintf(path, sizeof(path), "/sys/fs/cgroup/%s/cgroup.procs", cgroup);
			if (put(path, "0"))
				_exit(125);
		}
		execl("/bin/sh", "sh", "-ec", command, (char *)NULL);
		_exit(126);
	}
	return reap(pid, command, beat, data);
}

double cpu_of_fn(void (*fn)(void))
{
	pid_t pid = fork_child();

	if (!pid) {
		fn();
		_exit(0);
	}
	return reap(pid, "a child", NULL, NULL);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double median(const double *of, size_t n)
{
	double sorted[RATIOS_MAX];

	if (!n || n > RATIOS_MAX)
		die("a median of %zu", n);
	memcpy(sorted, of, n * sizeof(*of));
	qsort(sorted, n, sizeof(*sorted), compare);
	return (sorted[n / 2] + sorted[(n - 1) / 2]) / 2;
}

void ratios_add(struct ratios *r, double measured, double against)
{
	if (measured <= 0 || against <= 0)
		die("measured %g against %g", measured, against);
	if (r->n == RATIOS_MAX)
		die("too many ratios");
	r->of[r->n++] = measured / against;
}

/* One JSON object a line; the names hold nothing that needs an escape. */
static void record(const char *name, const char *against, double ratio, double min, double max,
		   size_t n)
{
	const char *path = getenv("CKPT_BENCH_RESULTS");
	FILE *f;

	if (!path)
		return;
	f = fopen(path, "ae");
	if (!f)
		die("open %s", path);
	fprintf(f, "{\"name\": \"%s\", \"ratio\": %.4f, \"min\": %.4f, \"max\": %.4f, "
		"\"times\": %zu, \"against\": \"%s\"}\n", name, ratio, min, max, n, against);
	if (fclose(f))
		die("write %s", path);
}

double ratios_tell(const struct ratios *r, const char *against, const char *fmt, ...)
{
	double ratio = median(r->of, r->n), min = r->of[0], max = r->of[0];
	char name[128];
	va_list args;

	va_start(args, fmt);
	vsnprintf(name, sizeof(name), fmt, args);
	va_end(args);
	for (size_t i = 1; i < r->n; i++) {
		min = r->of[i] < min ? r->of[i] : min;
		max = r->of[i] > max ? r->of[i] : max;
	}
	note("%s: %.3f (%.3f to %.3f, %zu times), against %s", name, ratio, min, max, r->n,
	     against);
	record(name, against, ratio, min, max, r->n);
	return ratio;
}

void ratios_target(double ratio, double most, const char *name)
{
	if (!bench_small() && ratio > most)
		note("%s: %.4f misses the target of %.2f", name, ratio, most);
}
