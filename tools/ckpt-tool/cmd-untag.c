// SPDX-License-Identifier: GPL-2.0-or-later
/* untag: forget a group; its tasks run on, its checkpoints stay. */
#include <json-c/json.h>
#include <stdio.h>

#include "cmd.h"
#include "flow/tag.h"
#include "report.h"

static void print_json(const char *name, bool dry_run)
{
	json_object *doc = json_object_new_object();

	report_str(doc, "name", name);
	json_object_object_add(doc, "dry_run", json_object_new_boolean(dry_run));
	report_json(doc);
}

static int run(int argc, char **argv, struct ckpt_err *err)
{
	struct common common;
	const char *name;
	int status;

	if (!parse_plain(&cmd_untag, argc, argv, 1, true, &common, &status, err))
		return status;
	name = argv[optind];
	if (common.dry_run ? ckpt_untag_check(name, err) : ckpt_untag(name, err))
		return err->status;
	if (common.json)
		print_json(name, common.dry_run);
	return CKPT_OK;
}

const struct cmd cmd_untag = {
	.name = "untag",
	.args = "NAME",
	.what = "forget a group; its tasks run on, its checkpoints stay",
	.help = "  --dry-run     check, change nothing\n",
	.run = run,
};
