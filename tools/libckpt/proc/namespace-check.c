// SPDX-License-Identifier: GPL-2.0-or-later
/* Consistency of the namespaces that a tree has of its own. */
#include <linux/if.h>
#include <string.h>
#include <sys/socket.h>

#include "proc/image-check.h"
#include "proc/net.h"

static int check_uts(const struct ckpt_image *image, struct ckpt_err *err)
{
	if (image->n_uts > 1)
		return BAD_IMAGE("it has two uts namespaces");
	if (image->n_uts && (image->uts->node[CKPT_UTS_LEN - 1] ||
			     image->uts->domain[CKPT_UTS_LEN - 1]))
		return BAD_IMAGE("its host or domain name has no end");
	return 0;
}

static bool is_address(const struct ckpt_net_address *a)
{
	size_t len = a->family == AF_INET ? 4 : a->family == AF_INET6 ? 16 : 0;

	return len && a->prefix <= 8 * len && a->protocol <= UINT8_MAX && a->scope <= UINT8_MAX &&
	       (a->address_len == len || !a->address_len) &&
	       (a->local_len == len || !a->local_len) && (a->address_len || a->local_len) &&
	       (a->broadcast_len == len || !a->broadcast_len) &&
	       (!a->label || strlen(a->label) < IFNAMSIZ);
}

/* Of what is outside of such a namespace nothing is known. */
static int check_outside(const struct ckpt_image *image, struct ckpt_err *err)
{
	for (size_t i = 0; i < image->n_tcps; i++) {
		if (image->tcps[i].flags & CKPT_TCP_F_KNOWN)
			return BAD_IMAGE("a TCP connection goes on out of its network namespace");
	}
	return 0;
}

static int check_net(const struct ckpt_image *image, struct ckpt_err *err)
{
	const struct ckpt_net *net = image->net;

	if (image->n_net > 1)
		return BAD_IMAGE("it has two network namespaces");
	if (!image->n_net)
		return 0;
	for (size_t i = 0; i < net->n_addresses; i++) {
		if (!is_address(&net->addresses[i]))
			return BAD_IMAGE("an address of its network namespace is none");
	}
	for (size_t i = 0; i < net->n_settings; i++) {
		if (!ckpt_net_setting_sound(&net->settings[i]) ||
		    (i && strcmp(net->settings[i - 1].name, net->settings[i].name) >= 0))
			return BAD_IMAGE("a setting of its network namespace is none, or is "
					 "there twice");
	}
	return check_outside(image, err);
}

int ckpt_namespaces_check(const struct ckpt_image *image, struct ckpt_err *err)
{
	return check_uts(image, err) || ckpt_ipc_check(image, err) || check_net(image, err) ?
	       -1 : 0;
}
