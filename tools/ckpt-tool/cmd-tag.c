// SPDX-License-Identifier: GPL-2.0-or-later
/* tag: make a group of an existing cgroup. */
#include <json-c/json.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "cmd.h"
#include "flow/tag.h"
#include "report.h"

#define MAX_ROOTS 64

static void print_json(const struct ckpt_tagged *group, bool dry_run)
{
	json_object *doc = json_object_new_object();

	report_str(doc, "name", group->name);
	report_path(doc, "cgroup", group->cgroup);
	report_paths(doc, "roots", (const char *const *)group->roots, group->n_roots);
	json_object_object_add(doc, "dry_run", json_object_new_boolean(dry_run));
	report_json(doc);
}

static int tag(const char *name, const char *cgroup, const char *const *roots, size_t n_roots,
	       const struct common *common, struct ckpt_err *err)
{
	cleanup_with(ckpt_tagged_done) struct ckpt_tagged group = { 0 };

	if (ckpt_tagged_init(&group, name, cgroup, err))
		return err->status;
	for (size_t i = 0; i < n_roots; i++)
		if (ckpt_tagged_add_root(&group, roots[i], err))
			return err->status;
	if (common->dry_run ? ckpt_tag_check(&group, err) : ckpt_tag(&group, err))
		return err->status;
	if (common->json)
		print_json(&group, common->dry_run);
	return CKPT_OK;
}

static int run(int argc, char **argv, struct ckpt_err *err)
{
	static const struct option options[] = {
		COMMON_OPTIONS, DRY_RUN_OPTION, { "root", required_argument, NULL, 'r' }, { 0 },
	};
	const char *roots[MAX_ROOTS];
	struct common common;
	size_t n_roots = 0;
	int c;

	common_init(&common);
	while ((c = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		if (common_take(&common, c))
			continue;
		if (c == 'h')
			return help(&cmd_tag);
		if (c != 'r')
			return bad_option(&cmd_tag, c, argc, argv, err);
		if (n_roots == MAX_ROOTS)
			return usage(&cmd_tag, err, "more than %d roots", MAX_ROOTS);
		roots[n_roots++] = optarg;
	}
	if (argc - optind != 2)
		return usage(&cmd_tag, err, "a name and a cgroup are needed");
	return tag(argv[optind], argv[optind + 1], roots, n_roots, &common, err);
}

const struct cmd cmd_tag = {
	.name = "tag",
	.args = "NAME CGROUP [--root DIR]...",
	.what = "make a group of an existing cgroup",
	.help = "  CGROUP        as in the 0:: line of /proc/PID/cgroup\n"
		"  --root DIR    a directory that belongs to it\n"
		"  --dry-run     check, change nothing\n",
	.run = run,
};
