/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Parts of ckpt_image_check that have a file of their own. */
#ifndef CKPT_PROC_IMAGE_CHECK_H
#define CKPT_PROC_IMAGE_CHECK_H

#include "proc/image.h"

/* Is it a wait status that a process can end with? */
bool ckpt_image_ends(int32_t status);

/* image-check-watch.c: when ids are known to be sound. Return: 0, -1 with CKPT_DAMAGED */
int ckpt_image_check_pidfds(const struct ckpt_image *image, struct ckpt_err *err);
int ckpt_image_check_inotifies(const struct ckpt_image *image, struct ckpt_err *err);

#endif
