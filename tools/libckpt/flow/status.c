// SPDX-License-Identifier: GPL-2.0-or-later
/* Status of the groups of this boot. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cgroup.h"
#include "base/cleanup.h"
#include "base/fault.h"
#include "flow/status.h"
#include "flow/tagged.h"
#include "nl/client.h"
#include "store/log.h"
#include "track/tracker.h"

void ckpt_status_done(struct ckpt_status_table *status)
{
	for (size_t i = 0; i < status->n_rows; i++) {
		free(status->rows[i].name);
		free(status->rows[i].cgroup);
	}
	free(status->rows);
	*status = (struct ckpt_status_table){ 0 };
}

static void ask_module(struct ckpt_nl *nl, const char *name, struct ckpt_status_row *row)
{
	struct ckpt_err ignored = CKPT_ERR_INIT;
	struct ckpt_nl_group known = { 0 };

	if (!nl || ckpt_nl_group_get(nl, name, &known, &ignored))
		return;
	row->tracker = "kmod";
	row->epoch = known.epoch;
	row->dirty_pages = known.dirty_pages;
	row->changed_inodes = known.changed_inodes;
	row->lost = known.lost;
	ckpt_nl_group_done(&known);
}

/* Return: whether it is a row; false when the group was untagged meanwhile. */
static bool read_row(const char *name, struct ckpt_store *store, struct ckpt_nl *nl,
		     struct ckpt_status_row *row)
{
	cleanup_with(ckpt_tagged_done) struct ckpt_tagged state = { 0 };
	cleanup_free int32_t *pids = NULL;
	struct ckpt_err ignored = CKPT_ERR_INIT;
	struct ckpt_newest newest = { 0 };
	size_t n = 0;
	int rc;

	if (ckpt_tagged_load(name, &state, &row->why) ||
	    ckpt_tagged_alive(&state, &row->alive, &row->why))
		return ckpt_tagged_exists(name);
	row->cgroup = take_ptr(state.cgroup);
	row->tracker = row->cgroup ? ckpt_tracker_native() : "full";
	/* A dead group's cgroup may be gone. */
	if (row->cgroup && row->alive && !ckpt_cgroup_pids(row->cgroup, &pids, &n, &ignored))
		row->tasks = n;
	ask_module(nl, name, row);
	if (!store)
		return true;
	rc = ckpt_log_newest(store, name, &newest, &row->why);
	/* none to build on may still be one */
	if (!rc)
		ckpt_log_before(store, name, 0, &newest.id, &ignored);
	if (rc >= 0)
		row->last_id = newest.id;
	return true;
}

static int read_rows(char **names, size_t n, struct ckpt_store *store, struct ckpt_nl *nl,
		     struct ckpt_status_table *ret, struct ckpt_err *err)
{
	ret->rows = calloc(n + 1, sizeof(*ret->rows));
	if (!ret->rows)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for the groups");
	for (size_t i = 0; i < n; i++) {
		struct ckpt_status_row *row = &ret->rows[ret->n_rows];

		if (read_row(names[i], store, nl, row)) {
			row->name = take_ptr(names[i]);
			ret->n_rows++;
		} else {
			*row = (struct ckpt_status_row){ 0 };
		}
	}
	return 0;
}

int ckpt_status_read(const char *path, bool must_exist, struct ckpt_status_table *ret,
		     struct ckpt_err *err)
{
	struct ckpt_err ignored = CKPT_ERR_INIT;
	struct ckpt_status_table table = { 0 };
	cleanup_nl struct ckpt_nl *nl = NULL;
	struct ckpt_store *store;
	char **names;
	size_t n;
	int failed;

	if (ckpt_tagged_names(&names, &n, err))
		return -1;
	ckpt_fault("status.named");
	/* The module does not have to be there. */
	ckpt_nl_open(&nl, &ignored);
	store = ckpt_store_open(path, CKPT_STORE_READ, &table.store);
	if (!must_exist && table.store.status == CKPT_FAILED && table.store.os == ENOENT)
		ckpt_err_clear(&table.store);
	failed = read_rows(names, n, store, nl, &table, err);
	ckpt_store_close(store);
	ckpt_tagged_names_free(names, n);
	if (failed) {
		ckpt_status_done(&table);
		return -1;
	}
	*ret = table;
	return 0;
}
