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

struct event {
	const char *name;
	uint64_t from;
};

/* Lines of /proc/vmstat. */
static const struct event kernel[] = {
	{ "pgmigrate_success", ALWAYS },
	{ "thp_fault_alloc", RARE },
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

/* Of those that the limit of memory was to stop, none may be killed. */
static uint64_t killed(void)
{
	char text[512];
	const char *at;

	if (get(CGROUPS GROUP "/memory.events", text, sizeof(text)) < 0)
		die("memory.events");
	at = strstr(text, "oom_kill ");
	return at ? strtoull(at + 9, NULL, 10) : 0;
}

unsigned int happened_missing(const struct reader *r, uint64_t ops)
{
	const struct {
		struct event event;
		uint64_t n;
	} own[] = {
		{ { "aborts", ALWAYS }, r->aborts },
		{ { "sockets closed in an epoch", ALWAYS }, r->closes },
		{ { "replies unheard", ALWAYS }, r->unheard },
		{ { "rounds for direct I/O in flight", OFTEN }, r->drains },
		{ { "times over the limit of memory", ALWAYS }, r->squeezes },
		{ { "epochs in which one wrote on", ALWAYS }, r->run_ons },
		{ { "pages told as written by direct I/O", ALWAYS }, r->direct_pages },
		{ { "pages told as of KSM", ALWAYS }, r->ksm_pages },
		{ { "pages shared by KSM, at most", ALWAYS }, r->ksm_most },
		{ { "pages told on their way to another place", OFTEN }, r->migration_pages },
	};
	unsigned int missing = killed() > 0;
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
