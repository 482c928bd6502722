// SPDX-License-Identifier: GPL-2.0-or-later
/* log: the checkpoints of a group, newest first. */
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "cmd.h"
#include "report.h"
#include "store/log.h"

static json_object *to_json(const struct ckpt_log_entry *e)
{
	const struct ckpt_manifest *m = &e->manifest;
	json_object *doc = json_object_new_object();

	report_str(doc, "name", m->name);
	report_u64(doc, "id", e->id);
	report_str(doc, "damage", e->damage);
	report_str(doc, "verdict", ckpt_verdict_name(e->state.verdict));
	json_object_object_add(doc, "verified",
			       json_object_new_boolean(e->state.verdict == CKPT_VERDICT_GOOD));
	if (e->damage)
		return doc;
	report_u64_or_null(doc, "parent", m->parent);
	report_str(doc, "kind", ckpt_kind_name(m->kind));
	report_str(doc, "tracker", m->tracker);
	report_str(doc, "why", m->why && *m->why ? m->why : NULL);
	report_u64(doc, "time_ns", m->time_ns);
	report_u64(doc, "pages", m->counts.pages);
	report_u64(doc, "files", m->counts.files);
	report_u64(doc, "bytes_read", m->counts.bytes_read);
	report_u64(doc, "raw_bytes", m->counts.raw_bytes);
	report_u64(doc, "stored_bytes", m->counts.stored_bytes);
	report_u64(doc, "freeze_ns", m->counts.freeze_ns);
	report_u64(doc, "total_ns", m->counts.total_ns);
	return doc;
}

static void print_text(const struct ckpt_log_entry *e)
{
	const struct ckpt_manifest *m = &e->manifest;
	char stored[32], freeze[32], when[32] = "";
	time_t t = m->time_ns / 1000000000;
	struct tm tm;

	if (e->damage) {
		report_line(stdout, "%6" PRIu64 "  %s: %s", e->id,
			    e->state.verdict == CKPT_VERDICT_DAMAGED ? "damaged" : "not readable",
			    e->damage);
		return;
	}
	if (localtime_r(&t, &tm))
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
	report_line(stdout, "%6" PRIu64 "  %s  %-11s %-5s %9s  %9s  %-8s %s", e->id, when,
		    ckpt_kind_name(m->kind), m->tracker,
		    human_bytes(m->counts.stored_bytes, stored),
		    human_ns(m->counts.freeze_ns, freeze), ckpt_verdict_name(e->state.verdict),
		    m->why ? m->why : "");
}

static int print_log(const char *name, const struct common *common, struct ckpt_err *err)
{
	cleanup_log struct ckpt_log log = { 0 };
	struct ckpt_store *store = ckpt_store_open(common->store, CKPT_STORE_READ, err);
	json_object *list = json_object_new_array();
	int failed = !store || ckpt_log_read(store, name, &log, err);

	ckpt_store_close(store);
	for (size_t i = log.n; !failed && i-- > 0;) {
		if (common->json)
			json_object_array_add(list, to_json(&log.entry[i]));
		else
			print_text(&log.entry[i]);
	}
	if (common->json && !failed)
		report_json(list);
	else
		json_object_put(list);
	return failed ? (int)err->status : CKPT_OK;
}

static int print_groups(const struct common *common, struct ckpt_err *err)
{
	cleanup_names struct ckpt_names names = { 0 };
	struct ckpt_store *store = ckpt_store_open(common->store, CKPT_STORE_READ, err);
	int failed = !store || ckpt_log_groups(store, &names, err);
	json_object *list;

	ckpt_store_close(store);
	if (failed)
		return err->status;
	list = json_object_new_array();
	for (size_t i = 0; i < names.n; i++) {
		json_object *doc = json_object_new_object();

		report_str(doc, "name", names.name[i]);
		json_object_array_add(list, doc);
		if (!common->json)
			report_line(stdout, "%s", names.name[i]);
	}
	if (common->json)
		report_json(list);
	else
		json_object_put(list);
	return CKPT_OK;
}

static int run(int argc, char **argv, struct ckpt_err *err)
{
	struct common common;
	int64_t id;
	char name[64];
	int status;

	if (!parse_plain(&cmd_log, argc, argv, -1, false, &common, &status, err))
		return status;
	if (optind == argc)
		return print_groups(&common, err);
	if (strchr(argv[optind], '@'))
		return usage(&cmd_log, err, "a group is named, not a checkpoint");
	if (parse_name(argv[optind], name, &id, err))
		return err->status;
	return print_log(name, &common, err);
}

const struct cmd cmd_log = {
	.name = "log",
	.args = "[NAME]",
	.what = "list the checkpoints of a group, newest first",
	.help = "  without NAME: the groups that the store holds\n",
	.run = run,
};
