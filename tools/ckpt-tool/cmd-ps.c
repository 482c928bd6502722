// SPDX-License-Identifier: GPL-2.0-or-later
/* ps: the groups of this boot. */
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "cmd.h"
#include "flow/status.h"
#include "report.h"

static bool is_known(const struct ckpt_status_row *row)
{
	return row->tracker;
}

static void print_json(const struct ckpt_status_row *row, json_object *list)
{
	json_object *doc = json_object_new_object();

	report_str(doc, "name", row->name);
	report_path(doc, "cgroup", row->cgroup);
	json_object_object_add(doc, "alive", is_known(row) ? json_object_new_boolean(row->alive) :
			       NULL);
	json_object_object_add(doc, "tasks", is_known(row) ? json_object_new_uint64(row->tasks) :
			       NULL);
	report_str(doc, "tracker", row->tracker);
	report_u64_or_null(doc, "epoch", row->epoch);
	report_u64_or_null(doc, "dirty_pages", row->dirty_pages);
	report_u64_or_null(doc, "changed_inodes", row->changed_inodes);
	report_u64(doc, "lost", row->lost);
	report_u64_or_null(doc, "last_id", row->last_id);
	if (row->why.status != CKPT_OK)
		report_str(doc, "error", row->why.text);
	json_object_array_add(list, doc);
}

/* What is not known is said on standard error. */
static void print_text(const struct ckpt_status_row *row, bool store)
{
	char last[24] = "?";

	if (!is_known(row))
		return;
	if (store && row->why.status == CKPT_OK)
		snprintf(last, sizeof(last), "%" PRIu64, row->last_id);
	report_line(stdout, "%-20s %-6s %6" PRIu64 " %-8s %6" PRIu64 " %8" PRIu64 " %7" PRIu64
		    " %5s", row->name, row->alive ? "alive" : "dead", row->tasks, row->tracker,
		    row->epoch, row->dirty_pages, row->changed_inodes, last);
}

static int tell(const struct ckpt_err *why)
{
	if (why->status == CKPT_OK)
		return CKPT_OK;
	report_line(stderr, "ckpt-tool: %s", why->text);
	return CKPT_FAILED;
}

static int run(int argc, char **argv, struct ckpt_err *err)
{
	cleanup_with(ckpt_status_done) struct ckpt_status_table table = { 0 };
	struct common common;
	json_object *list;
	int status;

	if (!parse_plain(&cmd_ps, argc, argv, 0, false, &common, &status, err))
		return status;
	if (ckpt_status_read(common.store, common.store_named, &table, err))
		return err->status;
	if (!common.json)
		report_line(stdout, "%-20s %-6s %6s %-8s %6s %8s %7s %5s", "NAME", "STATE", "TASKS",
			    "TRACKER", "EPOCH", "DIRTY", "INODES", "LAST");
	list = json_object_new_array();
	status = tell(&table.store);
	for (size_t i = 0; i < table.n_rows; i++) {
		if (common.json)
			print_json(&table.rows[i], list);
		else
			print_text(&table.rows[i], table.store.status == CKPT_OK);
		status |= tell(&table.rows[i].why);
	}
	if (common.json)
		report_json(list);
	else
		json_object_put(list);
	return status;
}

const struct cmd cmd_ps = {
	.name = "ps",
	.args = "",
	.what = "list the groups of this boot",
	.help = "",
	.run = run,
};
