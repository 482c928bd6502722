// SPDX-License-Identifier: GPL-2.0-or-later
/* run: start a command in a new group. */
#include <json-c/json.h>
#include <stdio.h>

#include "cmd.h"
#include "flow/run.h"
#include "report.h"

#define MAX_ROOTS 64

static int parse(int argc, char **argv, struct ckpt_run_params *params, const char **roots,
		 struct common *common, struct ckpt_err *err)
{
	static const struct option options[] = {
		COMMON_OPTIONS, DRY_RUN_OPTION,
		{ "name", required_argument, NULL, 'N' }, { "root", required_argument, NULL, 'r' },
		{ "private-dir", required_argument, NULL, 'd' }, { 0 },
	};
	int c;

	common_init(common);
	while ((c = getopt_long(argc, argv, "+:", options, NULL)) != -1) {
		if (common_take(common, c))
			continue;
		if (c == 'h')
			return -1;
		if (c == 'N')
			params->name = optarg;
		else if (c == 'd')
			params->private_dir = optarg;
		else if (c != 'r')
			return bad_option(&cmd_run, c, argc, argv, err);
		else if (params->n_roots == MAX_ROOTS)
			return usage(&cmd_run, err, "more than %d roots", MAX_ROOTS);
		else
			roots[params->n_roots++] = optarg;
	}
	if (!params->name || optind == argc)
		return usage(&cmd_run, err, "a name and a command are needed");
	params->argv = argv + optind;
	return CKPT_OK;
}

static void print_json(const char *name, const int *status)
{
	json_object *doc = json_object_new_object();

	report_str(doc, "name", name);
	json_object_object_add(doc, "status", status ? json_object_new_int(*status) : NULL);
	json_object_object_add(doc, "dry_run", json_object_new_boolean(!status));
	report_json(doc);
}

static int run(int argc, char **argv, struct ckpt_err *err)
{
	const char *roots[MAX_ROOTS];
	struct ckpt_run_params params = { .roots = roots };
	struct common common;
	int status = 0, bad = parse(argc, argv, &params, roots, &common, err);

	if (bad)
		return bad < 0 ? help(&cmd_run) : RUN_FAILED;
	if (common.dry_run ? ckpt_run_check(&params, err) : ckpt_run(&params, &status, err))
		return RUN_FAILED;
	if (common.json)
		print_json(params.name, common.dry_run ? NULL : &status);
	return status;
}

const struct cmd cmd_run = {
	.name = "run",
	.args = "--name NAME [--root DIR]... -- COMMAND [ARG]...",
	.what = "start a command in a new group and wait for its end",
	.help = "  --name NAME   the new group\n"
		"  --root DIR    a directory that belongs to it\n"
		"  --private-dir DIR  where the group's own directory (TMPDIR, log) is made\n"
		"                (default " CKPT_PRIVATE_DIR ")\n"
		"  --dry-run     check, change nothing\n",
	.run = run,
};
