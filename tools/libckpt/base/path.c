// SPDX-License-Identifier: GPL-2.0-or-later
/* Paths of what may not be there yet. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/path.h"

char *ckpt_path_resolve(const char *path, bool *ret_there)
{
	cleanup_free char *copy = strdup(path);
	char *real = copy ? realpath(copy, NULL) : NULL;

	if (ret_there)
		*ret_there = real;
	while (copy && !real && errno == ENOENT) {
		char *slash = strrchr(copy, '/');

		if (!slash)
			return realpath(".", NULL);
		*slash = 0;
		real = realpath(slash == copy ? "/" : copy, NULL);
	}
	return real;
}
