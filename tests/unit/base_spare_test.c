// SPDX-License-Identifier: GPL-2.0-or-later
/* Memory that a process may still have: of the machine, and of cgroups of either version. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "base/spare.h"

#define MIB (1ull << 20)

static char root[] = "/tmp/ckpt-spare-XXXXXX";

static void put(const char *path, const char *text)
{
	char all[300];
	FILE *f;

	snprintf(all, sizeof(all), "mkdir -p $(dirname %s/%s)", root, path);
	assert_int_equal(system(all), 0);
	snprintf(all, sizeof(all), "%s/%s", root, path);
	f = fopen(all, "we");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static int set_up(void **state)
{
	(void)state;
	strcpy(root + strlen(root) - 6, "XXXXXX");
	if (!mkdtemp(root))
		return -1;
	put("proc/meminfo", "MemTotal: 9999999 kB\nMemFree: 1 kB\nMemAvailable: 1024000 kB\n");
	put("proc/self/mountinfo",
	    "30 24 0:26 / /sys/fs/cgroup/memory rw - cgroup v1 rw,memory\n"
	    "31 24 0:27 / /sys/fs/cgroup/cpu rw - cgroup v1 rw,cpu\n"
	    "32 24 0:28 / /sys/fs/cgroup/unified rw - cgroup2 none rw\n");
	put("proc/self/cgroup", "4:memory:/a/b\n2:cpu:/c\n0::/v/w\n");
	return 0;
}

static int tear_down(void **state)
{
	char all[100];

	(void)state;
	snprintf(all, sizeof(all), "rm -rf %s", root);
	return system(all);
}

static void expect(uint64_t mib)
{
	assert_int_equal(ckpt_spare_memory_at(root), mib * MIB);
}

static void the_machine(void **state)
{
	(void)state;
	expect(1000);
	put("proc/meminfo", "MemFree: 1 kB\n");
	expect(0);
}

static void cgroups_of_v2(void **state)
{
	(void)state;
	put("sys/fs/cgroup/unified/v/w/memory.current", "10485760\n");
	put("sys/fs/cgroup/unified/v/w/memory.max", "max\n");
	put("sys/fs/cgroup/unified/v/w/memory.high", "max\n");
	expect(1000);
	put("sys/fs/cgroup/unified/v/w/memory.max", "104857600\n");
	expect(90);
	put("sys/fs/cgroup/unified/v/w/memory.high", "52428800\n");
	expect(40);
	put("sys/fs/cgroup/unified/v/memory.current", "20971520\n");
	put("sys/fs/cgroup/unified/v/memory.max", "31457280\n");
	expect(10);
	put("sys/fs/cgroup/unified/v/memory.max", "1048576\n");
	expect(0);
}

static void cgroups_of_v1(void **state)
{
	(void)state;
	put("sys/fs/cgroup/memory/a/b/memory.usage_in_bytes", "10485760\n");
	put("sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "9223372036854771712\n");
	expect(1000);
	put("sys/fs/cgroup/memory/a/memory.usage_in_bytes", "10485760\n");
	put("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "104857600\n");
	expect(90);
	put("sys/fs/cgroup/memory/memory.usage_in_bytes", "10485760\n");
	put("sys/fs/cgroup/memory/memory.limit_in_bytes", "15728640\n");
	expect(5);
}

/* In a container the mount begins at the container's cgroup, which may be all that shows. */
static void in_a_container(void **state)
{
	(void)state;
	put("proc/self/mountinfo", "32 24 0:28 /docker/x /sys/fs/cgroup rw - cgroup2 none rw\n");
	put("proc/self/cgroup", "0::/docker/x\n");
	put("sys/fs/cgroup/memory.current", "10485760\n");
	put("sys/fs/cgroup/memory.max", "125829120\n");
	expect(110);
	put("proc/self/mountinfo", "32 24 0:28 / /sys/fs/cgroup rw - cgroup2 none rw\n");
	put("proc/self/cgroup", "0::/\n");
	expect(110);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_machine, set_up, tear_down),
		cmocka_unit_test_setup_teardown(cgroups_of_v2, set_up, tear_down),
		cmocka_unit_test_setup_teardown(cgroups_of_v1, set_up, tear_down),
		cmocka_unit_test_setup_teardown(in_a_container, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
