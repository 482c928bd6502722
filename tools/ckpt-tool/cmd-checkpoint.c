// SPDX-License-Identifier: GPL-2.0-or-later
/* checkpoint: capture a group now. */
#include <inttypes.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "cmd.h"
#include "flow/checkpoint.h"
#include "report.h"
#include "target.h"

struct request {
	struct common common;
	struct target target;
	const char *name, *why;
	bool full, stop, tcp, tcp_repair;
};

static int parse(int argc, char **argv, struct request *r, struct ckpt_err *err)
{
	static const struct option options[] = {
		COMMON_OPTIONS, DRY_RUN_OPTION, TARGET_OPTIONS,
		{ "full", no_argument, NULL, 'f' }, { "stop", no_argument, NULL, 's' },
		{ "why", required_argument, NULL, 'w' }, { "name", required_argument, NULL, 'N' },
		{ "tcp", required_argument, NULL, 't' }, { 0 },
	};
	int c, status;

	while ((c = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		if (common_take(&r->common, c))
			continue;
		switch (c) {
		case 'f':
			r->full = true;
			break;
		case 's':
			r->stop = true;
			break;
		case 'w':
			/* it would be other lines of the log, or orders to a terminal */
			if (ckpt_text_has_control(optarg))
				return usage(&cmd_checkpoint, err,
					     "--why takes one line without control characters");
			r->why = optarg;
			break;
		case 't':
			r->tcp = true;
			if (parse_tcp(&cmd_checkpoint, optarg, &r->tcp_repair, err))
				return err->status;
			break;
		case 'N':
			r->name = optarg;
			break;
		case 'h':
			return -1;
		default:
			if (!target_take(&cmd_checkpoint, &r->target, c, &status, err))
				status = bad_option(&cmd_checkpoint, c, argc, argv, err);
			if (status)
				return status;
		}
	}
	if (r->tcp && !r->stop)
		return usage(&cmd_checkpoint, err, "--tcp goes with --stop");
	if (!r->target.pid != !r->name)
		return usage(&cmd_checkpoint, err, "--pid and --name go together");
	r->target.name = r->name;
	return target_finish(&cmd_checkpoint, &r->target, argc, argv, err);
}

static int run(int argc, char **argv, struct ckpt_err *err)
{
	cleanup_with(ckpt_tagged_done) struct ckpt_tagged group = { 0 };
	struct ckpt_checkpoint_params params = { 0 };
	struct ckpt_checkpoint_result result = { 0 };
	struct request r = { 0 };
	int status;

	common_init(&r.common);
	status = parse(argc, argv, &r, err);
	if (status)
		return status < 0 ? help(&cmd_checkpoint) : status;
	if (target_load(&r.target, &group, err))
		return err->status;
	params = (struct ckpt_checkpoint_params){
		.store = r.common.store, .group = &group, .full = r.full, .stop = r.stop,
		.tcp_repair = r.tcp_repair,
		.dry_run = r.common.dry_run, .why = r.why, .progress = progress,
	};
	if (ckpt_checkpoint(&params, &result, err))
		return err->status;
	progress(NULL);
	report_checkpoint(r.target.name, &result, r.common.dry_run, r.common.json);
	return CKPT_OK;
}

const struct cmd cmd_checkpoint = {
	.name = "checkpoint",
	.args = "NAME [--full] [--stop [--tcp reset|repair]] [--why TEXT] | "
		"--pid PID --name NAME [--root DIR]...",
	.what = "capture a group now",
	.help = "  --full        take nothing from an earlier checkpoint\n"
		"  --stop        kill the group once the checkpoint is durable\n"
		"  --tcp WHAT    with --stop, of TCP connections to outside the group: reset, or\n"
		"                repair: they can go on after a restore --tcp repair\n"
		"  --why TEXT    a line for the log\n"
		"  --pid PID     capture the tree below PID, which has no group\n"
		"  --name NAME   with --pid: the group's name in the store\n"
		"  --root DIR    with --pid: a directory that belongs to it\n"
		"  --dry-run     check what can be checked without stopping anything\n",
	.run = run,
};
