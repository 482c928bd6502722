// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A program whose areas have names (PR_SET_VMA_ANON_NAME), private and shared ones
 *
 * Prints "ready" once all is set up, waits until there is a file "go" in its directory, checks
 * that everything is as it was, and prints what is wrong, or "all well".  With "unnamed" it names
 * nothing, for kernels without CONFIG_ANON_VMA_NAME.
 */
#include <fcntl.h>
#include <linux/prctl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "ok.h"

#define PAGE 4096ul

static const struct named {
	size_t page, n;
	const char *name;
} areas[] = {
	{ 0, 2, "first of three" }, { 2, 1, NULL }, { 3, 4, "second!" }, { 7, 1, "third, (1)" },
};

/* The line of /proc/self/maps that begins at @at. Return: what it ends with. */
static const char *line_of(const void *at)
{
	static char line[512];
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned long start;

	MUST(maps ? 0 : -1);
	while (fgets(line, sizeof(line), maps)) {
		line[strcspn(line, "\n")] = 0;
		if (sscanf(line, "%lx-", &start) == 1 && start == (unsigned long)at) {
			fclose(maps);
			return line;
		}
	}
	fclose(maps);
	return "";
}

static bool ends_with(const char *line, const char *end)
{
	size_t len = strlen(line), n = strlen(end);

	return len >= n && !strcmp(line + len - n, end);
}

static void name(char *at, size_t pages, const char *as)
{
	MUST(prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, at, pages * PAGE, as));
}

int main(int argc, char **argv)
{
	bool named = argc < 2 || strcmp(argv[1], "unnamed");
	char *memory, *shared, before[512], end[64];

	setvbuf(stdout, NULL, _IOLBF, 0);
	memory = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	shared = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	MUST(memory == MAP_FAILED || shared == MAP_FAILED ? -1 : 0);
	memset(memory, 'm', 8 * PAGE);
	memset(shared, 's', 2 * PAGE);
	for (size_t i = 0; named && i < sizeof(areas) / sizeof(areas[0]); i++)
		name(memory + areas[i].page * PAGE, areas[i].n, areas[i].name);
	/* before Linux 6.2 shared memory has none */
	if (named && prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, shared, PAGE, "shared one") &&
	    errno != EBADF)
		OK(!"shared memory is named");
	snprintf(before, sizeof(before), "%s", line_of(shared));
	puts("ready");
	while (access("go", F_OK))
		usleep(20000);

	for (size_t i = 0; named && i < sizeof(areas) / sizeof(areas[0]); i++) {
		snprintf(end, sizeof(end), areas[i].name ? " [anon:%s]" : " ", areas[i].name);
		OK(ends_with(line_of(memory + areas[i].page * PAGE), end));
	}
	OK(!strstr(before, "[anon_shmem:") == !strstr(line_of(shared), "[anon_shmem:shared one]"));
	for (size_t i = 0; i < 8 * PAGE; i++)
		OK(memory[i] == 'm');
	OK(shared[0] == 's' && shared[2 * PAGE - 1] == 's');
	puts(wrong ? "not well" : "all well");
	return wrong != 0;
}
