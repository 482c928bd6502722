// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * report.c: what UBSan finds is also written to the file that UBSAN_REPORT names
 *
 * The stderr of a keeper or a tracker is /dev/null, and the runtime of UBSan, loaded beside that of
 * ASan, has no log_path of its own: whoever it ended would not say why.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Of the runtime, compiler-rt/lib/ubsan/ubsan_monitor.h. */
void __ubsan_on_report(void);
void __ubsan_get_current_report_data(const char **kind, const char **message, const char **file,
				     unsigned int *line, unsigned int *column, char **address);

void __ubsan_on_report(void)
{
	const char *kind = "", *message = "", *file = "", *path = getenv("UBSAN_REPORT");
	unsigned int line = 0, column = 0;
	char *address;
	char text[1024];
	int fd, len;

	__ubsan_get_current_report_data(&kind, &message, &file, &line, &column, &address);
	len = snprintf(text, sizeof(text), "%s:%u:%u: %s: %s\n", file, line, column, kind, message);
	fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666) : -1;
	if (fd < 0 || len < 0)
		return;
	if (write(fd, text, (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1) < 0)
		_exit(1);
	close(fd);
}
