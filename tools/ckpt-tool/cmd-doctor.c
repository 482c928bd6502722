// SPDX-License-Identifier: GPL-2.0-or-later
/* doctor: what a checkpoint of a group would refuse. */
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "cmd.h"
#include "flow/doctor.h"
#include "report.h"

#define MAX_ROOTS 64

struct request {
	struct common common;
	const char *name;
	const char *roots[MAX_ROOTS];
	size_t n_roots;
	int64_t pid;
};

static int parse(int argc, char **argv, struct request *r, struct ckpt_err *err)
{
	static const struct option options[] = {
		COMMON_OPTIONS,
		{ "pid", required_argument, NULL, 'p' },
		{ "root", required_argument, NULL, 'r' },
		{ 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		if (common_take(&r->common, c))
			continue;
		switch (c) {
		case 'p':
			if (!parse_number(optarg, INT32_MAX, &r->pid))
				return usage(&cmd_doctor, err, "'%s' is no pid", optarg);
			break;
		case 'r':
			if (r->n_roots == MAX_ROOTS)
				return usage(&cmd_doctor, err, "more than %d roots", MAX_ROOTS);
			r->roots[r->n_roots++] = optarg;
			break;
		case 'h':
			return -1;
		default:
			return bad_option(&cmd_doctor, c, argc, argv, err);
		}
	}
	if (optind < argc && !r->pid)
		r->name = argv[optind++];
	if (optind < argc || (!r->name && !r->pid))
		return usage(&cmd_doctor, err, "one group or one --pid is named");
	if (!r->pid && r->n_roots)
		return usage(&cmd_doctor, err, "--root goes with --pid");
	return CKPT_OK;
}

static int find_group(const struct request *r, struct ckpt_tagged *ret, struct ckpt_err *err)
{
	if (!r->pid)
		return ckpt_tagged_load(r->name, ret, err);
	/* a name for messages: nothing is kept under it */
	if (ckpt_tagged_init(ret, "pid", NULL, err))
		return -1;
	ret->root_pid = r->pid;
	for (size_t i = 0; i < r->n_roots; i++)
		if (ckpt_tagged_add_root(ret, r->roots[i], err))
			return -1;
	return 0;
}

static void print_json(const struct request *r, const struct ckpt_diagnosis *d)
{
	json_object *doc = json_object_new_object();

	report_str(doc, "name", r->name);
	report_u64_or_null(doc, "pid", r->pid);
	json_object_object_add(doc, "healthy", json_object_new_boolean(!d->refused.n));
	report_texts(doc, "refused", (const char *const *)d->refused.texts, d->refused.n);
	report_texts(doc, "lost", (const char *const *)d->lost.texts, d->lost.n);
	report_u64_or_null(doc, "tasks", d->tasks);
	report_u64_or_null(doc, "threads", d->threads);
	report_u64_or_null(doc, "freeze_ns", d->freeze_ns);
	report_json(doc);
}

static void print_text(const struct request *r, const struct ckpt_diagnosis *d)
{
	const char *who = r->pid ? "the tree" : r->name;
	char freeze[32];

	for (size_t i = 0; i < d->refused.n; i++)
		report_line(stdout, "refused: %s", d->refused.texts[i]);
	for (size_t i = 0; i < d->lost.n; i++)
		report_line(stdout, "lost: %s", d->lost.texts[i]);
	human_ns(d->freeze_ns, freeze);
	if (d->refused.n)
		report_line(stdout, "%s cannot be captured: %zu %s in the way", who, d->refused.n,
			    d->refused.n == 1 ? "object stands" : "objects stand");
	else
		report_line(stdout, "%s can be captured: %zu tasks, %zu threads; they stood still "
			    "for %s", who, d->tasks, d->threads, freeze);
}

static int run(int argc, char **argv, struct ckpt_err *err)
{
	cleanup_with(ckpt_tagged_done) struct ckpt_tagged group = { 0 };
	cleanup_with(ckpt_diagnosis_done) struct ckpt_diagnosis d = { 0 };
	struct request r = { 0 };
	int status;

	common_init(&r.common);
	status = parse(argc, argv, &r, err);
	if (status)
		return status < 0 ? help(&cmd_doctor) : status;
	if (find_group(&r, &group, err) || ckpt_doctor(&group, &d, err))
		return err->status;
	if (r.common.json)
		print_json(&r, &d);
	else
		print_text(&r, &d);
	return d.refused.n ? CKPT_REFUSED : CKPT_OK;
}

const struct cmd cmd_doctor = {
	.name = "doctor",
	.args = "NAME | --pid PID [--root DIR]...",
	.what = "tell what a checkpoint of a group would refuse",
	.help = "  --pid PID     the tree below PID, which has no group\n"
		"  --root DIR    with --pid: a directory that would belong to it\n",
	.run = run,
};
