// SPDX-License-Identifier: GPL-2.0-or-later
/* checkpoint: capture a group now. */
#include <inttypes.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "cmd.h"
#include "flow/checkpoint.h"
#include "report.h"

#define MAX_ROOTS 64

struct request {
	struct common common;
	const char *name, *why;
	const char *roots[MAX_ROOTS];
	size_t n_roots;
	int64_t pid;
	bool full, stop;
};

static int parse(int argc, char **argv, struct request *r, struct ckpt_err *err)
{
	static const struct option options[] = {
		COMMON_OPTIONS, DRY_RUN_OPTION,
		{ "full", no_argument, NULL, 'f' }, { "stop", no_argument, NULL, 's' },
		{ "why", required_argument, NULL, 'w' }, { "pid", required_argument, NULL, 'p' },
		{ "name", required_argument, NULL, 'N' }, { "root", required_argument, NULL, 'r' },
		{ 0 },
	};
	int c;

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
		case 'N':
			r->name = optarg;
			break;
		case 'p':
			/* one that is too large must not become that of another process */
			if (!parse_number(optarg, INT32_MAX, &r->pid))
				return usage(&cmd_checkpoint, err, "'%s' is no pid", optarg);
			break;
		case 'r':
			if (r->n_roots == MAX_ROOTS)
				return usage(&cmd_checkpoint, err, "more than %d roots", MAX_ROOTS);
			r->roots[r->n_roots++] = optarg;
			break;
		case 'h':
			return -1;
		default:
			return bad_option(&cmd_checkpoint, c, argc, argv, err);
		}
	}
	if (optind < argc && !r->pid)
		r->name = argv[optind++];
	if (optind < argc || !r->name)
		return usage(&cmd_checkpoint, err, "one group is named");
	if (!r->pid && r->n_roots)
		return usage(&cmd_checkpoint, err, "--root goes with --pid");
	return CKPT_OK;
}

static int find_group(const struct request *r, struct ckpt_tagged *ret, struct ckpt_err *err)
{
	if (!r->pid)
		return ckpt_tagged_load(r->name, ret, err);
	if (ckpt_tagged_init(ret, r->name, NULL, err))
		return -1;
	ret->root_pid = r->pid;
	for (size_t i = 0; i < r->n_roots; i++)
		if (ckpt_tagged_add_root(ret, r->roots[i], err))
			return -1;
	return 0;
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
	if (find_group(&r, &group, err))
		return err->status;
	params = (struct ckpt_checkpoint_params){
		.store = r.common.store, .group = &group, .full = r.full, .stop = r.stop,
		.dry_run = r.common.dry_run, .why = r.why, .progress = progress,
	};
	if (ckpt_checkpoint(&params, &result, err))
		return err->status;
	progress(NULL);
	report_checkpoint(r.name, &result, r.common.dry_run, r.common.json);
	return CKPT_OK;
}

const struct cmd cmd_checkpoint = {
	.name = "checkpoint",
	.args = "NAME [--full] [--stop] [--why TEXT] | --pid PID --name NAME [--root DIR]...",
	.what = "capture a group now",
	.help = "  --full        take nothing from an earlier checkpoint\n"
		"  --stop        kill the group once the checkpoint is durable\n"
		"  --why TEXT    a line for the log\n"
		"  --pid PID     capture the tree below PID, which has no group\n"
		"  --name NAME   with --pid: the group's name in the store\n"
		"  --root DIR    with --pid: a directory that belongs to it\n"
		"  --dry-run     check what can be checked without stopping anything\n",
	.run = run,
};
