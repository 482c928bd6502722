/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lines of /proc/PID/maps, of which a process has hundreds, read while it stands still
 */
#ifndef CKPT_TRACK_AREA_LINE_H
#define CKPT_TRACK_AREA_LINE_H

#include <stdbool.h>
#include <stdint.h>

/**
 * struct ckpt_area_line - an area
 * @start, @end: bytes
 * @offset: in its file, bytes
 * @ino: inode number of that, 0 without one
 * @writable, @shared: from the flags
 * @name: what is behind the inode, up to the end of the line; not owned
 */
struct ckpt_area_line {
	uint64_t start, end, offset, ino;
	bool writable, shared;
	const char *name;
};

/* Return: whether @text begins with one. */
bool ckpt_area_line_parse(const char *text, struct ckpt_area_line *ret);

/* Has it pages of the task?  The kernel's own ones have none. */
bool ckpt_area_line_by_task(const struct ckpt_area_line *line);

/*
 * May it hold pages of a file?  Where it may not no scan asks which pages are one: the kernel
 * looks into each page for that, four fifths of the time of a scan.
 */
bool ckpt_area_line_of_file(const struct ckpt_area_line *line);

/* Writable, private and of no file: such ones are watched together (spans, notes-mm.c). */
bool ckpt_area_line_plain(const struct ckpt_area_line *line);

#endif
