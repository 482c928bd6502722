// SPDX-License-Identifier: GPL-2.0-or-later
/* CPUs of machine and cgroup. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/cpus.h"
#include "proc/procfs.h"

#define LEVELS_MAX 64

int ckpt_cpus_parse(const char *text, uint8_t ret[CKPT_CPUS_LEN])
{
	uint8_t set[CKPT_CPUS_LEN] = { 0 };
	const char *p = text;

	do {
		char *end;
		unsigned long first = strtoul(p, &end, 10), last = first;

		if (*p < '0' || *p > '9')
			return -1;
		if (*end == '-') {
			p = end + 1;
			last = strtoul(p, &end, 10);
			if (*p < '0' || *p > '9')
				return -1;
		}
		if (last < first || last >= CKPT_CPUS_LEN * 8)
			return -1;
		for (; first <= last; first++)
			set[first / 8] |= 1u << first % 8;
		p = end + 1;
		if (*end != ',' && *end != '\n' && *end)
			return -1;
		if (*end != ',')
			break;
	} while (true);
	memcpy(ret, set, sizeof(set));
	return 0;
}

int ckpt_cpus_outside(const uint8_t set[CKPT_CPUS_LEN], const uint8_t all[CKPT_CPUS_LEN])
{
	for (int cpu = 0; cpu < CKPT_CPUS_LEN * 8; cpu++) {
		if ((set[cpu / 8] & ~all[cpu / 8]) >> cpu % 8 & 1)
			return cpu;
	}
	return -1;
}

bool ckpt_cpus_shared(const uint8_t a[CKPT_CPUS_LEN], const uint8_t b[CKPT_CPUS_LEN])
{
	for (size_t i = 0; i < CKPT_CPUS_LEN; i++) {
		if (a[i] & b[i])
			return true;
	}
	return false;
}

static bool has(const uint8_t set[CKPT_CPUS_LEN], int cpu)
{
	return cpu < CKPT_CPUS_LEN * 8 && set[cpu / 8] >> cpu % 8 & 1;
}

void ckpt_cpus_format(const uint8_t set[CKPT_CPUS_LEN], char *ret, size_t size)
{
	size_t used = 0;

	*ret = 0;
	for (int cpu = 0, first = -1; cpu <= CKPT_CPUS_LEN * 8; cpu++) {
		if (has(set, cpu) && first < 0)
			first = cpu;
		if (has(set, cpu) || first < 0)
			continue;
		if (used + sizeof(",1023-1023,...") > size) {
			snprintf(ret + used, size - used, ",...");
			return;
		}
		used += snprintf(ret + used, size - used, first < cpu - 1 ? "%s%d-%d" : "%s%d",
				 used ? "," : "", first, cpu - 1);
		first = -1;
	}
}

bool ckpt_cpus_unasked(const struct ckpt_image *image, const struct ckpt_thread *thread)
{
	_Static_assert(sizeof(image->cpus) == sizeof(thread->affinity), "one size of CPU sets");
	return !memcmp(image->cpus, thread->affinity, sizeof(image->cpus));
}

bool ckpt_cpus_recorded(const struct ckpt_image *image)
{
	static const uint8_t none[CKPT_CPUS_LEN];

	return memcmp(image->cpus, none, sizeof(none)) != 0;
}

/*
 * What the nearest cgroup with a cpuset says. Return: 1; 0 when none says anything; 2 when
 * it is the root of all, so that no cpuset is in use; -1 with @err.
 */
static int of_cgroup(int cgroup, uint8_t ret[CKPT_CPUS_LEN], struct ckpt_err *err)
{
	static const char above[] = "../";
	char path[LEVELS_MAX * 3 + 32] = "";
	cleanup_buf struct ckpt_buf b = CKPT_BUF_INIT;

	for (size_t level = 0; level < LEVELS_MAX; level++) {
		char *name = path + level * (sizeof(above) - 1);

		strcpy(name, "cgroup.procs");
		if (faccessat(cgroup, path, F_OK, 0))
			return 0;
		strcpy(name, "cpuset.cpus.effective");
		if (!ckpt_procfs_read(cgroup, path, &b) && b.len > 1) {
			if (ckpt_cpus_parse((char *)b.data, ret))
				return ckpt_fail(err, CKPT_FAILED, 0,
						 "cannot understand the set of CPUs %s",
						 (char *)b.data);
			strcpy(name, "cgroup.type");
			return faccessat(cgroup, path, F_OK, 0) ? 2 : 1;
		}
		strcpy(name, above);
	}
	return 0;
}

/* All that it can have. Return: 0, or a negative errno. */
static int ask(pid_t who, uint8_t ret[CKPT_CPUS_LEN])
{
	cpu_set_t set;

	_Static_assert(sizeof(set) == CKPT_CPUS_LEN, "one size of CPU sets");
	memset(&set, 0xff, sizeof(set));
	if (sched_setaffinity(who, sizeof(set), &set))
		return -errno;
	memset(&set, 0, sizeof(set));
	if (sched_getaffinity(who, sizeof(set), &set))
		return -errno;
	memcpy(ret, &set, sizeof(set));
	return 0;
}

/* The same by a child, for it does not wear off. */
static int ask_child(uint8_t ret[CKPT_CPUS_LEN], struct ckpt_err *err)
{
	uint8_t set[CKPT_CPUS_LEN];
	cleanup_close int from = -1;
	int ends[2], status = -1;
	pid_t pid;
	bool told;

	if (pipe2(ends, O_CLOEXEC))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot make a pipe");
	from = ends[0];
	pid = fork();
	if (!pid)
		_exit(ask(0, set) || write(ends[1], set, sizeof(set)) != sizeof(set));
	close(ends[1]);
	if (pid < 0)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot start a process");
	told = read(from, ret, CKPT_CPUS_LEN) == CKPT_CPUS_LEN;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return told ? 0 : ckpt_fail(err, CKPT_FAILED, 0, "cannot find out which CPUs there are");
}

int ckpt_cpus_of(int cgroup, pid_t who, struct ckpt_cpus *ret, struct ckpt_err *err)
{
	int e = 0, from = cgroup < 0 ? 0 : of_cgroup(cgroup, ret->can, err);
	uint8_t first[CKPT_CPUS_LEN] = { 0 };

	if (from < 0 || (!who && !from && ask_child(ret->can, err)))
		return -1;
	if (who)
		e = ask(who, ret->can);
	if (e)
		return ckpt_fail(err, CKPT_FAILED, -e, "cannot give pid %d all CPUs", who);
	memcpy(ret->usual, ret->can, sizeof(ret->usual));
	if (from != 1 && sched_getaffinity(1, sizeof(first), (cpu_set_t *)first) >= 0 &&
	    ckpt_cpus_outside(first, ret->can) < 0)
		memcpy(ret->usual, first, sizeof(first));
	return 0;
}

int ckpt_cpus_limit(struct ckpt_cpus *c, const char *cpuset)
{
	uint8_t set[CKPT_CPUS_LEN];
	bool some = false;

	if (!cpuset)
		return 0;
	if (ckpt_cpus_parse(cpuset, set))
		return -1;
	for (size_t i = 0; i < sizeof(set); i++)
		some |= set[i] &= c->can[i];
	/* without any that is there, the kernel gives those of the cgroup above */
	if (some)
		memcpy(c->can, set, sizeof(set));
	memcpy(c->usual, c->can, sizeof(c->usual));
	return 0;
}
