// SPDX-License-Identifier: GPL-2.0-or-later
/* restore: bring a group back. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cmd.h"
#include "flow/restore.h"
#include "report.h"

/* What the check prints is no part of the document. */
static int bring_back(const struct ckpt_bring_params *params, struct ckpt_bring_result *result,
		      bool json, struct ckpt_err *err)
{
	cleanup_close int out = -1;
	int failed;

	if (!json || !params->check)
		return ckpt_bring_back(params, result, err);
	out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	if (out < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
		return ckpt_fail(err, CKPT_FAILED, errno,
				 "cannot lead the output of the check to standard error");
	failed = ckpt_bring_back(params, result, err);
	dup2(out, STDOUT_FILENO);
	return failed;
}

static int parse(int argc, char **argv, struct ckpt_bring_params *params, char name[64],
		 struct common *common, struct ckpt_err *err)
{
	static const struct option options[] = {
		COMMON_OPTIONS, DRY_RUN_OPTION,
		{ "detach", no_argument, NULL, 'd' }, { "check", required_argument, NULL, 'c' },
		{ "tcp", required_argument, NULL, 't' }, { 0 },
	};
	int c;

	common_init(common);
	while ((c = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		if (common_take(common, c) || c == 'd')
			continue;
		if (c == 'h')
			return -1;
		if (c == 't' && parse_tcp(&cmd_restore, optarg, &params->tcp_repair, err))
			return err->status;
		if (c != 'c' && c != 't')
			return bad_option(&cmd_restore, c, argc, argv, err);
		if (c == 'c')
			params->check = optarg;
	}
	if (argc - optind != 1)
		return usage(&cmd_restore, err, "one checkpoint is named");
	if (parse_name(argv[optind], name, &params->id, err))
		return err->status;
	params->store = common->store;
	params->name = name;
	params->dry_run = common->dry_run;
	return CKPT_OK;
}

static int run(int argc, char **argv, struct ckpt_err *err)
{
	struct ckpt_bring_params params = { .progress = progress };
	struct ckpt_bring_result result = { 0 };
	struct common common;
	char name[64];
	int bad = parse(argc, argv, &params, name, &common, err);

	if (bad)
		return bad < 0 ? help(&cmd_restore) : bad;
	if (bring_back(&params, &result, common.json, err))
		return err->status;
	progress(NULL);
	report_restore(name, &result, common.dry_run, common.json);
	return CKPT_OK;
}

const struct cmd cmd_restore = {
	.name = "restore",
	.args = "NAME[@ID|@-N] [--check COMMAND] [--tcp reset|repair]",
	.what = "bring a group back, verified stage by stage",
	.help = "  --check COMMAND  must succeed on the restored files before the tasks run\n"
		"  --tcp WHAT    of TCP connections to outside the group: reset, or repair: they\n"
		"                go on where that loses nothing\n"
		"  --detach      return once the group runs (always so)\n"
		"  --dry-run     preflight alone\n",
	.run = run,
};
