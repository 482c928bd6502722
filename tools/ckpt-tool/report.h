/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reports: results as text for people or one JSON document. */
#ifndef CKPT_TOOL_REPORT_H
#define CKPT_TOOL_REPORT_H

#include <stdbool.h>

#include "flow/checkpoint.h"
#include "flow/restore.h"

void report_checkpoint(const char *name, const struct ckpt_checkpoint_result *r, bool dry_run,
		       bool json);
void report_restore(const char *name, const struct ckpt_bring_result *r, bool dry_run,
		    bool json);

/* Bytes and nanoseconds for people; @buf holds at least 32. */
const char *human_bytes(uint64_t bytes, char *buf);
const char *human_ns(uint64_t ns, char *buf);

struct json_object;
/* Print @doc on one line and free it. */
void report_json(struct json_object *doc);
/* Add a number, or null for absent. */
void report_u64(struct json_object *doc, const char *key, uint64_t value);
void report_u64_or_null(struct json_object *doc, const char *key, uint64_t value);
void report_str(struct json_object *doc, const char *key, const char *value);

#endif
