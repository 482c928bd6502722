// SPDX-License-Identifier: GPL-2.0-or-later
/* Consistency of the namespaces that a tree has of its own. */
#include <string.h>

#include "proc/image-check.h"
#include "proc/ipc.h"

static int check_uts(const struct ckpt_image *image, struct ckpt_err *err)
{
	if (image->n_uts > 1)
		return BAD_IMAGE("it has two uts namespaces");
	if (image->n_uts && (image->uts->node[CKPT_UTS_LEN - 1] ||
			     image->uts->domain[CKPT_UTS_LEN - 1]))
		return BAD_IMAGE("its host or domain name has no end");
	return 0;
}

/* Some numbers: nothing else is ever written there. */
static bool is_value(const char *value)
{
	size_t len = value ? strlen(value) : 0;

	return len && len <= CKPT_IPC_VALUE_MAX && strspn(value, "0123456789\t") == len;
}

static int check_ipc(const struct ckpt_image *image, struct ckpt_err *err)
{
	int before = -1;

	if (image->n_ipc > 1)
		return BAD_IMAGE("it has two ipc namespaces");
	for (size_t i = 0; image->n_ipc && i < image->ipc->n_settings; i++) {
		const struct ckpt_ipc_setting *s = &image->ipc->settings[i];
		int place = s->name ? ckpt_ipc_place(s->name) : -1;

		if (place <= before || !is_value(s->value))
			return BAD_IMAGE("a setting of its ipc namespace is none, or is there "
					 "twice");
		before = place;
	}
	return 0;
}

int ckpt_namespaces_check(const struct ckpt_image *image, struct ckpt_err *err)
{
	return check_uts(image, err) || check_ipc(image, err) ? -1 : 0;
}
