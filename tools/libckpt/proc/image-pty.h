/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Parts of ckpt_image_check and ckpt_image_restorable for pseudo terminals
 */
#ifndef CKPT_PROC_IMAGE_PTY_H
#define CKPT_PROC_IMAGE_PTY_H

#include "base/err.h"
#include "proc/image.h"

int ckpt_image_check_ptys(const struct ckpt_image *image, struct ckpt_err *err);
int ckpt_image_ptys_restorable(const struct ckpt_image *image, struct ckpt_err *err);

#endif
