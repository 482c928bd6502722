// SPDX-License-Identifier: GPL-2.0-or-later
/* run: start a command in a new group. */
#include <stdio.h>

#include "cmd.h"
#include "flow/run.h"

#define MAX_ROOTS 64
#define RUN_FAILED 125	/* our own errors, so that they are told from the command's */

static int run(int argc, char **argv, struct ckpt_err *err)
{
	static const struct option options[] = {
		COMMON_OPTIONS, DRY_RUN_OPTION,
		{ "name", required_argument, NULL, 'N' }, { "root", required_argument, NULL, 'r' },
		{ "private-dir", required_argument, NULL, 'd' }, { 0 },
	};
	const char *roots[MAX_ROOTS];
	struct ckpt_run_params params = { .roots = roots };
	struct common common;
	int c, status = 0;

	common_init(&common);
	while ((c = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		if (common_take(&common, c))
			continue;
		if (c == 'h')
			return help(&cmd_run);
		if (c == 'N')
			params.name = optarg;
		else if (c == 'd')
			params.private_dir = optarg;
		else if (c == 'r' && params.n_roots < MAX_ROOTS)
			roots[params.n_roots++] = optarg;
		else
			return usage(&cmd_run, err, "cannot use option '%s'", argv[optind - 1]),
			       RUN_FAILED;
	}
	if (!params.name || optind == argc) {
		usage(&cmd_run, err, "a name and a command are needed");
		return RUN_FAILED;
	}
	params.argv = argv + optind;
	if (common.dry_run ? ckpt_run_check(&params, err) : ckpt_run(&params, &status, err))
		return RUN_FAILED;
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
