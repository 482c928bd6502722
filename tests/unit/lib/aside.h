/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Aside: a program of tests/workloads outside the group, in a directory of its own */
#ifndef CKPT_TESTS_ASIDE_H
#define CKPT_TESTS_ASIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * Start the program @name with up to two arguments, in a session of its own; what it writes goes to
 * the file "said" in @dir.  It ends with us.
 */
pid_t aside_start(const char *name, const char *dir, const char *a, const char *b);
void aside_path(const char *dir, const char *name, char ret[128]);
void aside_touch(const char *dir, const char *name);
void aside_forget(const char *dir, const char *name);
/* The beginning of a file, nothing when it is not there. */
void aside_read(const char *dir, const char *name, char *ret, size_t size);
/* Has the program said this word? */
bool aside_said(const char *dir, const char *word);
/* Wait until a file has a word. */
void aside_wait(const char *dir, const char *name, const char *word);
void aside_remove(const char *dir);

#endif
