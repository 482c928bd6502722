// SPDX-License-Identifier: GPL-2.0-or-later
/* Lines of maps: by hand, for sscanf takes ten times as long. */
#include <stdlib.h>
#include <string.h>

#include "track/area-line.h"

/* A number and the character behind it. */
static bool number(const char **at, int base, char behind, uint64_t *ret)
{
	char *end;

	*ret = strtoull(*at, &end, base);
	if (end == *at || *end != behind)
		return false;
	*at = end + 1;
	return true;
}

bool ckpt_area_line_parse(const char *text, struct ckpt_area_line *ret)
{
	uint64_t device;
	const char *at = text;
	char *end;

	if (!number(&at, 16, '-', &ret->start) || !number(&at, 16, ' ', &ret->end) ||
	    strnlen(at, 5) < 5 || at[4] != ' ')
		return false;
	ret->writable = at[1] == 'w';
	ret->shared = at[3] == 's';
	at += 5;
	if (!number(&at, 16, ' ', &ret->offset) || !number(&at, 16, ':', &device) ||
	    !number(&at, 16, ' ', &device))
		return false;
	ret->ino = strtoull(at, &end, 10);
	if (end == at)
		return false;
	ret->name = end + strspn(end, " ");
	return true;
}

static bool begins(const struct ckpt_area_line *line, const char *name)
{
	return !strncmp(line->name, name, strlen(name));
}

/* A path may hold anything, but begins with a slash; [vsyscall] has no pagemap. */
bool ckpt_area_line_by_task(const struct ckpt_area_line *line)
{
	return !begins(line, "[vvar") && !begins(line, "[vsyscall]") && !begins(line, "[vdso]");
}

bool ckpt_area_line_of_file(const struct ckpt_area_line *line)
{
	if (line->ino)
		return true;
	return *line->name && *line->name != '\n' && !begins(line, "[heap]") &&
	       !begins(line, "[stack]") && !begins(line, "[anon:");
}

bool ckpt_area_line_plain(const struct ckpt_area_line *line)
{
	return line->writable && !line->shared && !line->ino && line->name[0] != '/' &&
	       !ckpt_area_line_of_file(line) && ckpt_area_line_by_task(line);
}
