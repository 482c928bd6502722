/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Page-table entries that map nothing and yet say something
 */
#ifndef _CKPT_COMPAT_LEAF_H
#define _CKPT_COMPAT_LEAF_H

#include <linux/mm.h>
#include <linux/swapops.h>
#ifdef CKPT_HAVE_SOFTLEAF
#include <linux/leafops.h>
#endif

/**
 * enum ckpt_leaf - what an entry is that is neither none nor present
 * @CKPT_LEAF_SWAP: its page is in swap
 * @CKPT_LEAF_MIGRATION: its page is on the way to another place
 * @CKPT_LEAF_MARKER: no page, a marker
 * @CKPT_LEAF_OTHER: a page of a device, a page that went bad
 */
enum ckpt_leaf {
	CKPT_LEAF_SWAP,
	CKPT_LEAF_MIGRATION,
	CKPT_LEAF_MARKER,
	CKPT_LEAF_OTHER,
};

/* 6.19 API change: such entries have types of their own instead of a use of swap types. */
#ifdef CKPT_HAVE_SOFTLEAF
static inline enum ckpt_leaf ckpt_leaf_type(softleaf_t entry)
{
	if (softleaf_is_swap(entry))
		return CKPT_LEAF_SWAP;
	if (softleaf_is_migration(entry))
		return CKPT_LEAF_MIGRATION;
	return softleaf_is_marker(entry) ? CKPT_LEAF_MARKER : CKPT_LEAF_OTHER;
}

static inline enum ckpt_leaf ckpt_pte_leaf(pte_t pte)
{
	return ckpt_leaf_type(softleaf_from_pte(pte));
}

static inline enum ckpt_leaf ckpt_pmd_leaf(pmd_t pmd)
{
	return ckpt_leaf_type(softleaf_from_pmd(pmd));
}

static inline pte_marker ckpt_pte_marker(pte_t pte)
{
	return softleaf_to_marker(softleaf_from_pte(pte));
}
#else
static inline enum ckpt_leaf ckpt_pte_leaf(pte_t pte)
{
	swp_entry_t entry = pte_to_swp_entry(pte);

	if (!non_swap_entry(entry))
		return CKPT_LEAF_SWAP;
	if (is_migration_entry(entry))
		return CKPT_LEAF_MIGRATION;
	return is_pte_marker_entry(entry) ? CKPT_LEAF_MARKER : CKPT_LEAF_OTHER;
}

static inline enum ckpt_leaf ckpt_pmd_leaf(pmd_t pmd)
{
	return is_pmd_migration_entry(pmd) ? CKPT_LEAF_MIGRATION : CKPT_LEAF_OTHER;
}

static inline pte_marker ckpt_pte_marker(pte_t pte)
{
	return pte_marker_get(pte_to_swp_entry(pte));
}
#endif

#endif
