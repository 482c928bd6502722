/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lineage: may this checkpoint be a delta?
 *
 * The tracker's sets are what changed since the checkpoint it was told of
 * last.  They are a delta only on top of exactly that one: another store,
 * another boot, another load of the module or a lost event breaks it.
 */
#ifndef CKPT_FLOW_LINEAGE_H
#define CKPT_FLOW_LINEAGE_H

#include <stdbool.h>

#include "store/log.h"
#include "track/tracker.h"

/**
 * ckpt_lineage_holds - whether the tracker's sets start at a stored checkpoint
 * @newest: newest checkpoint of the group in the store that is used now
 * @epoch: what the tracker said at begin
 * @boot_id: of the running kernel
 */
bool ckpt_lineage_holds(const struct ckpt_newest *newest, const struct ckpt_epoch *epoch,
			const char *boot_id);

#endif
