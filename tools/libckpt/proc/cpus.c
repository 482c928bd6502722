// SPDX-License-Identifier: GPL-2.0-or-later
/* CPUs of machine and cgroup. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/cpus.h"
#include "proc/procfs.h"

#define ONLINE "/sys/devices/system/cpu/online"
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

bool ckpt_cpus_unasked(const struct ckpt_image *image, const struct ckpt_thread *thread)
{
	_Static_assert(sizeof(image->cpus) == sizeof(thread->affinity), "one size of CPU sets");
	return !memcmp(image->cpus, thread->affinity, sizeof(image->cpus));
}

/* What the nearest cgroup with a cpuset says; it may be none: *ret NULL. */
static int of_cgroup(int cgroup, char **ret)
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
			*ret = strdup((char *)b.data);
			return *ret ? 0 : -1;
		}
		strcpy(name, above);
	}
	return 0;
}

int ckpt_cpus_of(int cgroup, uint8_t ret[CKPT_CPUS_LEN], char **ret_text, struct ckpt_err *err)
{
	cleanup_buf struct ckpt_buf b = CKPT_BUF_INIT;
	cleanup_free char *text = NULL;
	int e;

	if (cgroup >= 0 && of_cgroup(cgroup, &text))
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a set of CPUs");
	if (!text) {
		e = ckpt_procfs_read(AT_FDCWD, ONLINE, &b);
		text = e ? NULL : strdup((char *)b.data);
		if (!text)
			return ckpt_fail(err, CKPT_FAILED, -e, "cannot read %s", ONLINE);
	}
	text[strcspn(text, "\n")] = 0;
	if (ckpt_cpus_parse(text, ret))
		return ckpt_fail(err, CKPT_FAILED, 0, "cannot understand the set of CPUs %s", text);
	if (ret_text)
		*ret_text = take_ptr(text);
	return 0;
}
