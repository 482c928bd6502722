// SPDX-License-Identifier: GPL-2.0-or-later
/* doctor: what a checkpoint of a group would refuse. */
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "cmd.h"
#include "flow/doctor.h"
#include "report.h"
#include "target.h"

struct request {
	struct common common;
	struct target target;
};

static int parse(int argc, char **argv, struct request *r, struct ckpt_err *err)
{
	static const struct option options[] = {
		COMMON_OPTIONS, TARGET_OPTIONS, { 0 },
	};
	int c, status;

	while ((c = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		if (common_take(&r->common, c))
			continue;
		if (c == 'h')
			return -1;
		if (!target_take(&cmd_doctor, &r->target, c, &status, err))
			status = bad_option(&cmd_doctor, c, argc, argv, err);
		if (status)
			return status;
	}
	return target_finish(&cmd_doctor, &r->target, argc, argv, err);
}

static void print_json(const struct request *r, const struct ckpt_diagnosis *d)
{
	json_object *doc = json_object_new_object();

	report_str(doc, "name", r->target.name);
	report_u64_or_null(doc, "pid", r->target.pid);
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
	const char *who = r->target.pid ? "the tree" : r->target.name;
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
	if (target_load(&r.target, &group, err) || ckpt_doctor(&group, &d, err))
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
