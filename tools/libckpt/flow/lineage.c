// SPDX-License-Identifier: GPL-2.0-or-later
/* Lineage. */
#include <string.h>

#include "flow/lineage.h"

bool ckpt_lineage_holds(const struct ckpt_newest *newest, const struct ckpt_epoch *epoch,
			const char *boot_id)
{
	return epoch->load_cookie && !epoch->lost &&
	       !memcmp(newest->uuid, epoch->committed, CKPT_ID_LEN) &&
	       !strcmp(newest->lineage.boot_id, boot_id) &&
	       newest->lineage.cookie == epoch->load_cookie &&
	       newest->lineage.generation == epoch->generation;
}
