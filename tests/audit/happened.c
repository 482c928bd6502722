// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Did what the mix is for happen?
 *
 * Each has a number of operations from which on it is sure; below it is only printed.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "happened.h"

#define ALWAYS 10000
#define OFTEN 50000
#define RARE 100000
/* Too rare to be sure: it is printed. */
#define NEVER UINT64_MAX

struct event {
	const char *name;
	uint64_t from;
};

/* Lines of /proc/vmstat. */
static const struct event kernel[] = {
	{ "pgmigrate_success", ALWAYS },
	{ "thp_fault_alloc", NEVER },
	{ "thp_collapse_alloc", ALWAYS },
	{ "thp_split_pmd", ALWAYS },
	{ "pswpout", ALWAYS },
	{ "pswpin", ALWAYS },
	{ "numa_pages_migrated", ALWAYS },
	{ "compact_migrate_scanned", ALWAYS },
};

#define NR_KERNEL (sizeof(kernel) / sizeof(kernel[0]))

static uint64_t before[NR_KERNEL];

/* 0 for what this kernel does not count. */
static uint64_t counted(const char *name)
{
	char line[128], is[64];
	uint64_t value = 0, n;
	FILE *f = fopen("/proc/vmstat", "re");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%63s %" SCNu64, is, &n) == 2 && !strcmp(is, name))
			value = n;
	if (!f || fclose(f))
		die("/proc/vmstat");
	return value;
}

void happened_begin(void)
{
	size_t i;

	for (i = 0; i < NR_KERNEL; i++)
		before[i] = counted(kernel[i].name);
}

static unsigned int is_missing(const char *name, uint64_t from, uint64_t n, uint64_t ops)
{
	note("%s: %" PRIu64 "%s", name, n, !n && ops >= from ? ", MISSING" : "");
	return !n && ops >= from;
}

/* A line of the group's memory.events. */
static uint64_t memory_events(const char *name)
{
	char text[512], line[32];
	const char *at;

	if (get(CGROUPS GROUP "/memory.events", text, sizeof(text)) < 0)
		die("memory.events");
	snprintf(line, sizeof(line), "\n%s ", name);
	at = strstr(text, line);
	return at ? strtoull(at + strlen(line), NULL, 10) : 0;
}

unsigned int happened_missing(const struct reader *r, uint64_t ops)
{
	/* A pace makes these rarer, and rounds no more. */
	const uint64_t moving = audit->pace == 1 ? RARE : NEVER;
	const struct {
		struct event event;
		uint64_t n;
	} own[] = {
		{ { "aborts", ALWAYS }, r->aborts },
		{ { "sockets closed in an epoch", ALWAYS }, r->closes },
		{ { "replies unheard", ALWAYS }, r->unheard },
		{ { "rounds for direct I/O in flight", RARE * audit->pace }, r->drains },
		{ { "times that memory was limited", ALWAYS }, r->squeezes },
		{ { "epochs in which one wrote on", ALWAYS }, r->run_ons },
		{ { "times that others cleared bits", ALWAYS }, r->clears },
		{ { "pages told as written by direct I/O", ALWAYS }, r->direct_pages },
		{ { "pages told as of KSM", ALWAYS }, r->ksm_pages },
		{ { "pages shared by KSM, at most", ALWAYS }, r->ksm_most },
		{ { "pages told on their way to another place", moving }, r->migration_pages },
		{ { "times stopped by the limit of memory", OFTEN }, memory_events("max") },
	};
	unsigned int missing = memory_events("oom_kill") > 0;
	size_t i;

	if (missing)
		note("processes of the group were killed for want of memory");
	for (i = 0; i < NR_KERNEL; i++)
		missing += is_missing(kernel[i].name, kernel[i].from,
				      counted(kernel[i].name) - before[i], ops);
	for (i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		missing += is_missing(own[i].event.name, own[i].event.from, own[i].n, ops);
	return missing;
}
