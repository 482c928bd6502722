// SPDX-License-Identifier: GPL-2.0-or-later
/* Fault points. */
#include "base/fault.h"

#ifdef CKPT_INJECT
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void tell(const char *name)
{
	const char *path = getenv("CKPT_FAULT_REACHED");
	int fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;

	if (fd < 0)
		return;
	if (write(fd, name, strlen(name)) < 0 || write(fd, "\n", 1) < 0)
		abort();
	close(fd);
}

int ckpt_fault(const char *name)
{
	static unsigned long hits;
	const char *spec = getenv("CKPT_FAULT");
	size_t len = strlen(name);
	const char *action;
	unsigned long nth = 1;

	if (!spec || strncmp(spec, name, len) || !strchr(":=", spec[len]))
		return 0;
	if (spec[len] == ':')
		nth = strtoul(spec + len + 1, NULL, 10);
	if (__atomic_add_fetch(&hits, 1, __ATOMIC_RELAXED) != nth)
		return 0;
	tell(name);
	action = strchr(spec, '=');
	action = action ? action + 1 : "kill";
	if (!strcmp(action, "fail"))
		return 1;
	raise(!strcmp(action, "stop") ? SIGSTOP : SIGKILL);
	return 0;
}
#endif
