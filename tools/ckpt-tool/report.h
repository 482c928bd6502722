/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reports: results as text for people or one JSON document. */
#ifndef CKPT_TOOL_REPORT_H
#define CKPT_TOOL_REPORT_H

#include <stdbool.h>
#include <stdio.h>

#include "flow/checkpoint.h"
#include "flow/restore.h"

void report_checkpoint(const char *name, const struct ckpt_checkpoint_result *r, bool dry_run,
		       bool json);
void report_restore(const char *name, const struct ckpt_bring_result *r, bool dry_run,
		    bool json);

/* Bytes and nanoseconds for people; @buf holds at least 32. */
const char *human_bytes(uint64_t bytes, char *buf);
const char *human_ns(uint64_t ns, char *buf);

/* One line of text, in which nothing but its end controls a terminal (base/text.h). */
void report_line(FILE *to, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Why the first of what could not be printed was not; 0 when that is not known. */
int report_lost(void);

struct json_object;
/* Print @doc on one line and free it. */
void report_json(struct json_object *doc);
/* Add a number, or null for absent. */
void report_u64(struct json_object *doc, const char *key, uint64_t value);
void report_u64_or_null(struct json_object *doc, const char *key, uint64_t value);
/* Add text, or null; U+FFFD stands for bytes that are no UTF-8. */
void report_str(struct json_object *doc, const char *key, const char *value);
void report_texts(struct json_object *doc, const char *key, const char *const *texts, size_t n);
/* The same for a path; with such bytes there is KEY_hex as well, which has all of them. */
void report_path(struct json_object *doc, const char *key, const char *path);
/* An array of paths; KEY_hex then has an entry for each, null where KEY has it right. */
void report_paths(struct json_object *doc, const char *key, const char *const *paths, size_t n);

#endif
