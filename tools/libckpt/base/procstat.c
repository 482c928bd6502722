// SPDX-License-Identifier: GPL-2.0-or-later
/* /proc/PID/stat. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/procstat.h"

int ckpt_procstat(int32_t pid, int field, uint64_t *ret, size_t n)
{
	cleanup_fclose FILE *f = NULL;
	char text[1024], *at;

	if (pid)
		snprintf(text, sizeof(text), "/proc/%d/stat", pid);
	else
		snprintf(text, sizeof(text), "/proc/self/stat");
	f = fopen(text, "re");
	if (!f)
		return -errno;
	errno = 0;
	if (!fgets(text, sizeof(text), f))
		return errno ? -errno : -EIO;
	at = strrchr(text, ')');	/* the end of field 2, which may hold anything */
	for (int i = 2; at && i < field; i++)
		at = strchr(at + 1, ' ');
	for (size_t i = 0; i < n; i++) {
		if (!at || !*at)
			return -EIO;
		ret[i] = strtoull(at, &at, 10);
	}
	return 0;
}
