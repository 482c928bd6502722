/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The ioctl PAGEMAP_SCAN of /proc/PID/pagemap: include/uapi/linux/fs.h since Linux 6.7. */
#ifndef CKPT_TRACK_PAGEMAP_H
#define CKPT_TRACK_PAGEMAP_H

#include <linux/types.h>
#include <stdint.h>
#include <sys/ioctl.h>

struct ckpt_scan_region {
	__u64 start, end, categories;
};

struct ckpt_scan_arg {
	__u64 size, flags, start, end, walk_end;
	__u64 vec, vec_len, max_pages;
	__u64 category_inverted, category_mask, category_anyof_mask, return_mask;
};

/* In one call: with more some kernels tell a wrong end of what they have looked at. */
#define CKPT_SCAN_REGIONS 512

/* categories */
#define CKPT_SCAN_WPALLOWED	(1u << 0)
#define CKPT_SCAN_WRITTEN	(1u << 1)
#define CKPT_SCAN_FILE		(1u << 2)
#define CKPT_SCAN_PRESENT	(1u << 3)
#define CKPT_SCAN_SWAPPED	(1u << 4)
#define CKPT_SCAN_PFNZERO	(1u << 5)
#define CKPT_SCAN_GUARD		(1u << 8)	/* since Linux 6.15 */

/* flags */
#define CKPT_SCAN_WP_MATCHING	(1u << 0)
#define CKPT_SCAN_CHECK_WPASYNC	(1u << 1)

#define CKPT_SCAN_IOCTL _IOWR('f', 16, struct ckpt_scan_arg)

/* The pagemap of a process that may end at any moment. Return: -1 where there is no memory. */
int ckpt_scan_open(int32_t pid);

/**
 * ckpt_scan_next - the next regions of a scan
 * @pagemap: open for reading
 * @arg: start is moved on behind what was looked at; a category that this kernel does not
 *	know is taken out
 *
 * Return: how many regions there are, or -errno; ENOTTY where the kernel has no such scan.
 */
int ckpt_scan_next(int pagemap, struct ckpt_scan_arg *arg);

/* CKPT_PAGE_* of a page of these categories, of which PRESENT or SWAPPED is one. */
uint16_t ckpt_scan_state(uint64_t categories);

#endif
