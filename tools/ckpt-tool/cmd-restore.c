// SPDX-License-Identifier: GPL-2.0-or-later
/* restore: bring a group back. */
#include <stdio.h>

#include "cmd.h"
#include "flow/restore.h"
#include "report.h"

static int run(int argc, char **argv, struct ckpt_err *err)
{
	static const struct option options[] = {
		COMMON_OPTIONS, DRY_RUN_OPTION,
		{ "detach", no_argument, NULL, 'd' }, { "check", required_argument, NULL, 'c' },
		{ 0 },
	};
	struct ckpt_bring_params params = { .progress = progress };
	struct ckpt_bring_result result = { 0 };
	struct common common;
	char name[64];
	int c;

	common_init(&common);
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (common_take(&common, c) || c == 'd')
			continue;
		if (c == 'h')
			return help(&cmd_restore);
		if (c != 'c')
			return usage(&cmd_restore, err, "cannot use option '%s'",
				     argv[optind - 1]);
		params.check = optarg;
	}
	if (argc - optind != 1)
		return usage(&cmd_restore, err, "one checkpoint is named");
	if (parse_name(argv[optind], name, &params.id, err))
		return err->status;
	params.store = common.store;
	params.name = name;
	params.dry_run = common.dry_run;
	if (ckpt_bring_back(&params, &result, err))
		return err->status;
	progress(NULL);
	report_restore(name, &result, common.dry_run, common.json);
	return CKPT_OK;
}

const struct cmd cmd_restore = {
	.name = "restore",
	.args = "NAME[@ID|@-N] [--check COMMAND]",
	.what = "bring a group back, verified stage by stage",
	.help = "  --check COMMAND  must succeed on the restored files before the tasks run\n"
		"  --detach      return once the group runs (always so)\n"
		"  --dry-run     preflight alone\n",
	.run = run,
};
