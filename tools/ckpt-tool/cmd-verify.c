// SPDX-License-Identifier: GPL-2.0-or-later
/* verify: read all of one checkpoint. */
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "cmd.h"
#include "report.h"
#include "store/verify.h"

static void print_json(const char *name, const struct ckpt_report *r, bool whole)
{
	json_object *doc = json_object_new_object();

	report_str(doc, "name", name);
	report_u64(doc, "id", r->id);
	json_object_object_add(doc, "verified", json_object_new_boolean(whole));
	report_u64(doc, "nodes", r->nodes);
	report_u64(doc, "blocks", r->blocks);
	report_u64(doc, "pages", r->pages);
	report_u64(doc, "bytes", r->bytes);
	report_u64(doc, "faults", r->faults);
	report_texts(doc, "damage", (const char *const *)r->damage, r->ndamage);
	report_json(doc);
}

static void print_text(const char *name, const struct ckpt_report *r, bool whole)
{
	char bytes[32];

	report_line(stdout, "%s@%" PRIu64 ": %s, %" PRIu64 " pages in %" PRIu64 " blocks (%s)",
		    name, r->id, whole ? "whole" : "damaged", r->pages, r->blocks,
		    human_bytes(r->bytes, bytes));
	for (size_t i = 0; i < r->ndamage; i++)
		report_line(stdout, "  %s", r->damage[i]);
	if (r->faults > r->ndamage)
		report_line(stdout, "  and %" PRIu64 " more", r->faults - r->ndamage);
}

static int verify(const char *arg, const struct common *common, struct ckpt_err *err)
{
	cleanup_report struct ckpt_report report = { 0 };
	struct ckpt_err unwritable = CKPT_ERR_INIT;
	struct ckpt_store *store;
	char name[64];
	int64_t which;
	int whole;

	if (parse_name(arg, name, &which, err))
		return err->status;
	/* The verdict is kept where that can be. */
	store = ckpt_store_open(common->store, CKPT_STORE_WRITE, &unwritable);
	if (!store)
		store = ckpt_store_open(common->store, CKPT_STORE_READ, err);
	if (!store)
		return err->status;
	progress("verifying");
	whole = ckpt_verify(store, name, which, &report, NULL, err);
	ckpt_store_close(store);
	if (whole < 0)
		return err->status;
	progress(NULL);
	if (common->json)
		print_json(name, &report, whole);
	else
		print_text(name, &report, whole);
	return whole ? CKPT_OK : CKPT_DAMAGED;
}

static int run(int argc, char **argv, struct ckpt_err *err)
{
	struct common common;
	int status;

	if (!parse_plain(&cmd_verify, argc, argv, 1, false, &common, &status, err))
		return status;
	return verify(argv[optind], &common, err);
}

const struct cmd cmd_verify = {
	.name = "verify",
	.args = "NAME[@ID|@-N]",
	.what = "read all of a checkpoint and check every hash",
	.help = "",
	.run = run,
};
