// SPDX-License-Identifier: GPL-2.0-or-later
/* Status of the groups of this boot. */
#include <stdlib.h>
#include <string.h>

#include "base/cgroup.h"
#include "base/cleanup.h"
#include "store/log.h"
#include "flow/tagged.h"
#include "flow/status.h"
#include "nl/client.h"

void ckpt_status_done(struct ckpt_status_table *status)
{
	for (size_t i = 0; i < status->n_rows; i++) {
		free(status->rows[i].name);
		free(status->rows[i].cgroup);
	}
	free(status->rows);
	*status = (struct ckpt_status_table){ 0 };
}

static void ask_module(struct ckpt_nl *nl, struct ckpt_status_row *row)
{
	struct ckpt_err ignored = CKPT_ERR_INIT;
	struct ckpt_nl_group known = { 0 };

	if (!nl || ckpt_nl_group_get(nl, row->name, &known, &ignored))
		return;
	row->tracker = "kmod";
	row->epoch = known.epoch;
	row->dirty_pages = known.dirty_pages;
	row->changed_inodes = known.changed_inodes;
	row->lost = known.lost;
	ckpt_nl_group_done(&known);
}

static int read_row(const char *name, struct ckpt_store *store, struct ckpt_nl *nl,
		    struct ckpt_status_row *row, struct ckpt_err *err)
{
	cleanup_with(ckpt_tagged_done) struct ckpt_tagged state = { 0 };
	cleanup_free int32_t *pids = NULL;
	struct ckpt_err ignored = CKPT_ERR_INIT;
	struct ckpt_newest newest = { 0 };
	size_t n = 0;

	if (ckpt_tagged_load(name, &state, err) || ckpt_tagged_alive(&state, &row->alive, err))
		return -1;
	if (store && ckpt_log_newest(store, name, &newest, err) < 0)
		return -1;
	row->name = take_ptr(state.name);
	row->cgroup = take_ptr(state.cgroup);
	row->tracker = "full";
	row->last_id = newest.id;
	/* A dead group's cgroup may be gone. */
	if (row->cgroup && row->alive && !ckpt_cgroup_pids(row->cgroup, &pids, &n, &ignored))
		row->tasks = n;
	ask_module(nl, row);
	return 0;
}

static int read_rows(char **names, size_t n, struct ckpt_store *store, struct ckpt_nl *nl,
		     struct ckpt_status_table *ret, struct ckpt_err *err)
{
	ret->rows = calloc(n + 1, sizeof(*ret->rows));
	if (!ret->rows)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for the groups");
	for (size_t i = 0; i < n; i++) {
		if (read_row(names[i], store, nl, &ret->rows[i], err))
			return -1;
		ret->n_rows++;
	}
	return 0;
}

int ckpt_status_read(const char *path, struct ckpt_status_table *ret, struct ckpt_err *err)
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
	/* Neither the module nor the store has to be there. */
	ckpt_nl_open(&nl, &ignored);
	store = ckpt_store_open(path, CKPT_STORE_READ, &ignored);
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
