// SPDX-License-Identifier: GPL-2.0-or-later
/* untag: forget a group; its tasks run on, its checkpoints stay. */
#include <stdio.h>

#include "cmd.h"
#include "flow/tag.h"

static int run(int argc, char **argv, struct ckpt_err *err)
{
	struct common common;
	int status;

	if (!parse_plain(&cmd_untag, argc, argv, 1, true, &common, &status, err))
		return status;
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
