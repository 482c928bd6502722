// SPDX-License-Identifier: GPL-2.0-or-later
/* untag: forget a group; its tasks run on, its checkpoints stay. */
#include <stdio.h>

#include "cmd.h"
#include "flow/tag.h"

static int run(int argc, char **argv, struct ckpt_err *err)
{
	static const struct option options[] = { COMMON_OPTIONS, DRY_RUN_OPTION, { 0 } };
	struct common common;
	int c;

	common_init(&common);
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (common_take(&common, c))
			continue;
		if (c == 'h')
			return help(&cmd_untag);
		return usage(&cmd_untag, err, "cannot use option '%s'", argv[optind - 1]);
	}
	if (argc - optind != 1)
		return usage(&cmd_untag, err, "one group is named");
	if (common.dry_run) {
		struct ckpt_tagged group = { 0 };

		if (ckpt_tagged_load(argv[optind], &group, err))
			return err->status;
		ckpt_tagged_done(&group);
		return CKPT_OK;
	}
	return ckpt_untag(argv[optind], err) ? (int)err->status : CKPT_OK;
}

const struct cmd cmd_untag = {
	.name = "untag",
	.args = "NAME",
	.what = "forget a group; its tasks run on, its checkpoints stay",
	.help = "  --dry-run     check, change nothing\n",
	.run = run,
};
