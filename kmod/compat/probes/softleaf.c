// SPDX-License-Identifier: GPL-2.0
/* 6.19 API change: entries that are not present have types of their own. */
#include <linux/swap.h>
#include <linux/leafops.h>

bool probe(pte_t pte);
bool probe(pte_t pte)
{
	return softleaf_is_swap(softleaf_from_pte(pte));
}
