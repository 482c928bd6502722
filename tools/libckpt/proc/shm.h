/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory without a name, as capture reaches it. */
#ifndef CKPT_PROC_SHM_H
#define CKPT_PROC_SHM_H

#include "base/err.h"
#include "proc/image.h"

#define CKPT_SHM_PATH_LEN 96

/* A path that opens the memory while the tree is stopped; @f: a file of it. */
void ckpt_shm_path(const struct ckpt_file *f, char ret[CKPT_SHM_PATH_LEN]);
/* The first file of memory @index of the image. */
const struct ckpt_file *ckpt_shm_file(const struct ckpt_image *image, size_t index);

#endif
