// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a process maps, as the kernel says it
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "shared.h"

bool maps_open(struct maps *maps, pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps->file = fopen(path, "re");
	return maps->file;
}

bool maps_next(struct maps *maps, struct mapping *ret)
{
	unsigned int maj, min;
	char line[512];

	if (!fgets(line, sizeof(line), maps->file))
		return false;
	ret->name[0] = '\0';
	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s %" SCNx64 " %x:%x %" SCNu64 " %127[^\n]",
		   &ret->start, &ret->end, ret->mode, &ret->offset, &maj, &min, &ret->ino,
		   ret->name) < 7)
		die("a line of maps: %s", line);
	ret->dev = (uint64_t)maj << 32 | min;
	return true;
}

void maps_close(struct maps *maps)
{
	fclose(maps->file);
}

int mapping_open(pid_t pid, uint64_t start, uint64_t end)
{
	char path[96];

	snprintf(path, sizeof(path), "/proc/%d/map_files/%" PRIx64 "-%" PRIx64, pid, start, end);
	return open(path, O_RDONLY | O_CLOEXEC);
}

uint64_t device_of(const struct stat *st)
{
	return (uint64_t)major(st->st_dev) << 32 | minor(st->st_dev);
}
