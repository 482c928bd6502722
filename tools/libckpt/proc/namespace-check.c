// SPDX-License-Identifier: GPL-2.0-or-later
/* Consistency of the namespaces that a tree has of its own. */
#include "proc/image-check.h"

static int check_uts(const struct ckpt_image *image, struct ckpt_err *err)
{
	if (image->n_uts > 1)
		return BAD_IMAGE("it has two uts namespaces");
	if (image->n_uts && (image->uts->node[CKPT_UTS_LEN - 1] ||
			     image->uts->domain[CKPT_UTS_LEN - 1]))
		return BAD_IMAGE("its host or domain name has no end");
	return 0;
}

int ckpt_namespaces_check(const struct ckpt_image *image, struct ckpt_err *err)
{
	return check_uts(image, err);
}
