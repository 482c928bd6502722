// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Where the time of a run goes
 */
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

#include "lib/world.h"

#include "phase.h"

void phase_ends(struct phases *p, enum phase phase)
{
	struct timespec t;
	double now;

	clock_gettime(CLOCK_MONOTONIC, &t);
	now = (double)t.tv_sec + (double)t.tv_nsec / 1e9;
	if (p->since > 0)
		p->spent[phase] += now - p->since;
	p->since = now;
}

void phases_show(const struct phases *p)
{
	static const char *const name[NR_PHASES] = {
		"work", "stir", "live rounds", "freeze", "last rounds", "compare memory",
		"compare shared memory", "compare files", "end",
	};
	struct rusage u;
	char line[200];
	size_t len = 0;
	int i;

	for (i = 0; i < NR_PHASES; i++)
		len += (size_t)snprintf(line + len, sizeof(line) - len, "%s %s %.1f",
					i ? "," : "seconds:", name[i], p->spent[i]);
	note("%s", line);
	getrusage(RUSAGE_SELF, &u);
	note("seconds of the reader's processor: %ld by itself, %ld in the kernel",
	     u.ru_utime.tv_sec, u.ru_stime.tv_sec);
}
