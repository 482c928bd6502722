// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A program with an area of every kind that mmap, madvise and prctl make
 *
 * Prints "ready" once all is set up, waits until there is a file "go" in its directory, checks
 * that the kernel says of each what it said before, and does as it says, and prints what is wrong,
 * or "all well".
 */
#include <alloca.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ok.h"

#define LEN (16 * 4096ul)
#define DEEP (4ul << 20)	/* of the stack of 8 MB that there mostly is */

#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE 0x08
#endif

#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

static struct area {
	const char *name;	/* as VmFlags has it */
	int flags, advice;
	uint8_t *at;
	char said[512];
	bool not_here;
} areas[] = {
	{ .name = "gd", .flags = ANON | MAP_GROWSDOWN },
	{ .name = "nr", .flags = ANON | MAP_NORESERVE },
	{ .name = "dc", .flags = ANON, .advice = MADV_DONTFORK },
	{ .name = "wf", .flags = ANON, .advice = MADV_WIPEONFORK },
	{ .name = "dd", .flags = ANON, .advice = MADV_DONTDUMP },
	{ .name = "hg", .flags = ANON, .advice = MADV_HUGEPAGE },
	{ .name = "nh", .flags = ANON, .advice = MADV_NOHUGEPAGE },
	{ .name = "mg", .flags = ANON, .advice = MADV_MERGEABLE },
	{ .name = "sr", .flags = ANON, .advice = MADV_SEQUENTIAL },
	{ .name = "rr", .flags = ANON, .advice = MADV_RANDOM },
	{ .name = "dp", .flags = MAP_DROPPABLE | MAP_ANONYMOUS },
};

#define N (sizeof(areas) / sizeof(areas[0]))

/* VmFlags of the area at @at, but for the mark of pages that were written. */
static void look(const uint8_t *at, char said[512])
{
	static const char key[] = "VmFlags:";
	FILE *f = fopen("/proc/self/smaps", "re");
	char line[512], *soft;
	bool here = false;
	unsigned long start, end;

	said[0] = 0;
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			here = start <= (uintptr_t)at && (uintptr_t)at < end;
		if (here && !strncmp(line, key, sizeof(key) - 1))
			strcpy(said, line + sizeof(key) - 1);
	}
	if (f)
		fclose(f);
	soft = strstr(said, " sd");
	if (soft)
		memmove(soft, soft + 3, strlen(soft + 3) + 1);
}

static bool has(const struct area *a)
{
	char name[8];

	snprintf(name, sizeof(name), " %s ", a->name);
	return strstr(a->said, name);
}

static void make(struct area *a)
{
	/* a page that cannot be had on both sides keeps it from its neighbours */
	uint8_t *room = mmap(NULL, LEN + 8192, PROT_NONE, ANON, -1, 0);

	a->at = mmap(room + 4096, LEN, PROT_READ | PROT_WRITE, a->flags | MAP_FIXED, -1, 0);
	if (a->at == MAP_FAILED || (a->advice && madvise(a->at, LEN, a->advice))) {
		a->not_here = true;
		return;
	}
	memset(a->at, 'x', LEN);
	look(a->at, a->said);
	OK(has(a));
}

/* What was put into it is there still, or zeros where that is what it is for. */
static void check(const struct area *a)
{
	bool zeros = !strcmp(a->name, "wf") || !strcmp(a->name, "dp");
	char now[512];

	look(a->at, now);
	if (strcmp(now, a->said)) {
		printf("%s: flags%.200s now%.200s", a->name, a->said, now);
		wrong++;
	}
	OK(a->at[0] == (zeros ? 0 : 'x') && a->at[LEN - 1] == a->at[0]);
}

/* Which of the areas a child has. */
static void check_fork(void)
{
	int status = -1, before = wrong;
	pid_t pid;

	for (struct area *a = areas; a < areas + N; a++) {
		if (!a->not_here)
			memset(a->at, 'y', LEN);
	}
	pid = fork();
	if (!pid) {
		for (struct area *a = areas; a < areas + N; a++) {
			unsigned char there;
			bool wiped = !strcmp(a->name, "wf") || !strcmp(a->name, "dp");

			if (a->not_here)
				continue;
			if (!strcmp(a->name, "dc"))
				OK(mincore(a->at, 4096, &there) == -1 && errno == ENOMEM);
			else
				OK(a->at[0] == (wiped ? 0 : 'y'));
		}
		fflush(stdout);
		_exit(wrong != before);
	}
	OK(waitpid(pid, &status, 0) == pid && !status);
}

/* The stack has not been that deep before. */
static __attribute__((noinline)) void go_deep(void)
{
	volatile uint8_t *deep = alloca(DEEP);

	for (size_t i = DEEP; i > 0; i -= 4096)
		deep[i - 1] = 1;
	OK(deep[DEEP - 1] == 1 && deep[4095] == 1);
}

int main(void)
{
	struct rlimit stack;

	setvbuf(stdout, NULL, _IOLBF, 0);
	OK(!prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0));
	for (struct area *a = areas; a < areas + N; a++)
		make(a);
	puts("all is set up");
	puts("ready");
	while (access("go", F_OK))
		usleep(20000);
	for (struct area *a = areas; a < areas + N; a++) {
		if (!a->not_here)
			check(a);
	}
	OK(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) == 1);
	check_fork();
	if (!getrlimit(RLIMIT_STACK, &stack) && stack.rlim_cur > 2 * DEEP - 4096)
		go_deep();
	puts(wrong ? "not well" : "all well");
	return wrong != 0;
}
