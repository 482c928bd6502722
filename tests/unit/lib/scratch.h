/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Scratch: a folder of this run, below TMPDIR or /tmp */
#ifndef CKPT_TESTS_SCRATCH_H
#define CKPT_TESTS_SCRATCH_H

#include "proc/image.h"

extern char scratch_dir[64];

/* Fixtures of a group or of a test; the second one unmounts what is mounted below as well. */
int scratch_make(void **state);
int scratch_remove(void **state);

/* The path of @name in it; the next sixteen calls leave it alone. */
const char *scratch(const char *name);
/* An empty directory or file of that name, unless it is there. Return: 0 or -1. */
int scratch_mkdir(const char *name);
int scratch_touch(const char *name);
/* Remove all that is in it. */
void scratch_empty(void);

/*
 * From now on @file says @text to this process, which gets a mount namespace for that: settings
 * are of the whole machine.  What fails ends it.
 */
void scratch_pretend(const char *file, const char *text);
/* Where it says so an image cannot be restored, and @says is in the refusal. */
void scratch_preflight(struct ckpt_image *image, const char *file, const char *text,
		       const char *says);

#endif
