// SPDX-License-Identifier: GPL-2.0-or-later
/* Reports. */
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "report.h"

const char *human_bytes(uint64_t bytes, char *buf)
{
	static const char *const unit[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	double v = bytes;
	int u = 0;

	while (v >= 1024 && u < 4) {
		v /= 1024;
		u++;
	}
	snprintf(buf, 32, u ? "%.1f %s" : "%.0f %s", v, unit[u]);
	return buf;
}

const char *human_ns(uint64_t ns, char *buf)
{
	if (ns < 10000000)
		snprintf(buf, 32, "%.2f ms", ns / 1e6);
	else if (ns < 1000000000)
		snprintf(buf, 32, "%.0f ms", ns / 1e6);
	else
		snprintf(buf, 32, "%.2f s", ns / 1e9);
	return buf;
}

static int lost_os;

/* The stream itself only keeps that something was lost. */
static void note_lost(FILE *to)
{
	if (to == stdout && !lost_os)
		lost_os = errno;
}

void report_line(FILE *to, const char *fmt, ...)
{
	cleanup_free char *text = NULL, *plain = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		text = NULL;
	plain = text ? ckpt_text_plain(text) : NULL;
	if (fprintf(to, "%s\n", plain ? plain : "no memory for a line of output") < 0)
		note_lost(to);
}

int report_lost(void)
{
	return lost_os;
}

void report_json(struct json_object *doc)
{
	const char *text = json_object_to_json_string_ext(doc, JSON_C_TO_STRING_PLAIN |
							  JSON_C_TO_STRING_NOSLASHESCAPE);

	if (printf("%s\n", text ? text : "") < 0)
		note_lost(stdout);
	json_object_put(doc);
}

void report_u64(struct json_object *doc, const char *key, uint64_t value)
{
	json_object_object_add(doc, key, json_object_new_uint64(value));
}

void report_u64_or_null(struct json_object *doc, const char *key, uint64_t value)
{
	json_object_object_add(doc, key, value ? json_object_new_uint64(value) : NULL);
}

static json_object *utf8(const char *value, bool *ret_lossy)
{
	cleanup_free char *text = ckpt_text_utf8(value, ret_lossy);

	return text ? json_object_new_string(text) : NULL;
}

static json_object *hex(const char *value)
{
	cleanup_free char *digits = ckpt_text_hex(value);

	return digits ? json_object_new_string(digits) : NULL;
}

void report_str(struct json_object *doc, const char *key, const char *value)
{
	json_object_object_add(doc, key, value ? utf8(value, NULL) : NULL);
}

void report_texts(struct json_object *doc, const char *key, const char *const *texts, size_t n)
{
	json_object *list = json_object_new_array();

	for (size_t i = 0; i < n; i++)
		json_object_array_add(list, utf8(texts[i], NULL));
	json_object_object_add(doc, key, list);
}

void report_path(struct json_object *doc, const char *key, const char *path)
{
	char key_hex[32];
	bool lossy = false;

	json_object_object_add(doc, key, path ? utf8(path, &lossy) : NULL);
	snprintf(key_hex, sizeof(key_hex), "%s_hex", key);
	if (lossy)
		json_object_object_add(doc, key_hex, hex(path));
}

void report_paths(struct json_object *doc, const char *key, const char *const *paths, size_t n)
{
	json_object *list = json_object_new_array(), *digits = json_object_new_array();
	bool any = false, lossy;
	char key_hex[32];

	for (size_t i = 0; i < n; i++) {
		json_object_array_add(list, utf8(paths[i], &lossy));
		json_object_array_add(digits, lossy ? hex(paths[i]) : NULL);
		any |= lossy;
	}
	json_object_object_add(doc, key, list);
	snprintf(key_hex, sizeof(key_hex), "%s_hex", key);
	if (any)
		json_object_object_add(doc, key_hex, digits);
	else
		json_object_put(digits);
}

static void freeze_parts_json(json_object *doc, const struct ckpt_freeze_parts *parts)
{
	json_object *of = json_object_new_object();

	report_u64(of, "stop_ns", parts->stop_ns);
	report_u64(of, "collect_ns", parts->collect_ns);
	report_u64(of, "walk_ns", parts->walk_ns);
	report_u64(of, "files_ns", parts->files_ns);
	report_u64(of, "memory_ns", parts->memory_ns);
	report_u64(of, "release_ns", parts->release_ns);
	json_object_object_add(doc, "freeze_parts", of);
}

static void checkpoint_json(const char *name, const struct ckpt_checkpoint_result *r, bool dry_run)
{
	json_object *doc = json_object_new_object();

	report_str(doc, "name", name);
	report_u64_or_null(doc, "id", r->id);
	report_u64_or_null(doc, "parent", r->parent);
	report_str(doc, "kind", r->kind);
	report_str(doc, "tracker", r->tracker);
	report_u64(doc, "tasks", r->tasks);
	report_u64(doc, "threads", r->threads);
	report_u64(doc, "rounds", r->rounds);
	report_u64(doc, "pages", r->pages);
	report_u64(doc, "dirty_pages", r->dirty_pages);
	report_u64(doc, "final_pages", r->final_pages);
	report_u64(doc, "files", r->files);
	report_u64(doc, "dirs_opened", r->dirs_opened);
	report_u64(doc, "memory_read", r->memory_read);
	report_u64(doc, "file_read", r->file_read);
	report_u64(doc, "bytes_read", r->memory_read + r->file_read);
	report_u64(doc, "raw_bytes", r->raw_bytes);
	report_u64(doc, "stored_bytes", r->stored_bytes);
	report_u64(doc, "freeze_ns", r->freeze_ns);
	freeze_parts_json(doc, &r->parts);
	report_u64(doc, "watch_ns", r->watch_ns);
	report_u64(doc, "total_ns", r->total_ns);
	report_u64(doc, "followed", r->followed);
	report_u64(doc, "tcp_left", r->tcp_left);
	report_u64(doc, "tcp_reset", r->tcp_reset);
	json_object_object_add(doc, "verified", json_object_new_boolean(0));
	json_object_object_add(doc, "dry_run", json_object_new_boolean(dry_run));
	report_json(doc);
}

void report_checkpoint(const char *name, const struct ckpt_checkpoint_result *r, bool dry_run,
		       bool json)
{
	char read[32], raw[32], stored[32], freeze[32], watch[32], total[32];

	if (json) {
		checkpoint_json(name, r, dry_run);
		return;
	}
	if (dry_run) {
		report_line(stdout, "%s: nothing stands in the way of a checkpoint (tracker %s)",
			    name, r->tracker);
		return;
	}
	report_line(stdout, "%s@%" PRIu64 ": %s by %s, %" PRIu32 " tasks, %" PRIu64 " pages, %"
		    PRIu64 " files, read %s, raw %s, stored %s, frozen %s, total %s",
		    name, r->id, r->kind, r->tracker, r->tasks, r->pages, r->files,
		    human_bytes(r->memory_read + r->file_read, read),
		    human_bytes(r->raw_bytes, raw), human_bytes(r->stored_bytes, stored),
		    human_ns(r->freeze_ns, freeze), human_ns(r->total_ns, total));
	if (r->watch_ns)
		report_line(stdout, "the tracker watches it from now on, for which it was frozen "
			    "%s before", human_ns(r->watch_ns, watch));
	if (r->followed)
		report_line(stdout, "drivers follow %" PRIu32 " address spaces: all of their "
			    "memory was read while all was stopped", r->followed);
	if (r->tcp_left || r->tcp_reset)
		report_line(stdout, "TCP connections to the outside: %" PRIu32 " can go on, %"
			    PRIu32 " reset", r->tcp_left, r->tcp_reset);
}

static void restore_json(const char *name, const struct ckpt_bring_result *r, bool dry_run)
{
	json_object *doc = json_object_new_object(), *stages = json_object_new_array();

	report_str(doc, "name", name);
	report_u64(doc, "id", r->id);
	report_u64(doc, "skipped", r->skipped);
	report_str(doc, "why_skipped", r->skipped ? r->why_skipped : NULL);
	report_u64_or_null(doc, "root_pid", r->root_pid);
	report_str(doc, "pids", r->moved ? "new namespace" : "same");
	report_u64(doc, "files_changed", r->files_changed);
	report_u64(doc, "pages", r->pages);
	for (int i = 0; i < CKPT_STAGES; i++) {
		json_object *s = json_object_new_object();

		if (!r->stages[i].name) {
			json_object_put(s);
			continue;
		}
		report_str(s, "name", r->stages[i].name);
		json_object_object_add(s, "done", json_object_new_boolean(r->stages[i].done));
		report_u64(s, "ns", r->stages[i].ns);
		json_object_array_add(stages, s);
	}
	json_object_object_add(doc, "stages", stages);
	report_u64(doc, "tcp_repaired", r->tcp_repaired);
	report_u64(doc, "tcp_reset", r->tcp_reset);
	report_str(doc, "why_tcp_reset", r->tcp_why[0] ? r->tcp_why : NULL);
	report_u64(doc, "total_ns", r->total_ns);
	json_object_object_add(doc, "dry_run", json_object_new_boolean(dry_run));
	report_json(doc);
}

static void restore_tcp(const struct ckpt_bring_result *r, bool dry_run)
{
	if (!r->tcp_repaired && !r->tcp_reset)
		return;
	if (dry_run)
		report_line(stdout, "TCP connections to the outside: %" PRIu64 " go on if their "
			    "other ends agree, %" PRIu64 " reset", r->tcp_repaired, r->tcp_reset);
	else
		report_line(stdout, "TCP connections to the outside: %" PRIu64 " go on, %" PRIu64
			    " reset%s%s", r->tcp_repaired, r->tcp_reset,
			    r->tcp_why[0] ? "; the first: " : "", r->tcp_why);
}

void report_restore(const char *name, const struct ckpt_bring_result *r, bool dry_run, bool json)
{
	char ns[32];

	if (json) {
		restore_json(name, r, dry_run);
		return;
	}
	if (r->skipped)
		report_line(stdout, "%" PRIu64 " newer checkpoints are damaged and passed over; %s",
			    r->skipped, r->why_skipped);
	if (dry_run) {
		report_line(stdout, "%s@%" PRIu64 ": whole, and nothing stands in the way of a "
			    "restore%s", name, r->id, r->moved ?
			    "; its pids are taken: it would run in a new pid namespace" : "");
		restore_tcp(r, true);
		return;
	}
	for (int i = 0; i < CKPT_STAGES; i++)
		if (r->stages[i].name)
			report_line(stdout, "%-7s %s, %s", r->stages[i].name,
				    r->stages[i].done ? "verified" : "not done",
				    human_ns(r->stages[i].ns, ns));
	restore_tcp(r, false);
	report_line(stdout, "%s@%" PRIu64 ": restored in %s, root pid %d%s", name, r->id,
		    human_ns(r->total_ns, ns), r->root_pid, r->moved ?
		    "; its pids were taken: it runs in a new pid namespace" : "");
}
