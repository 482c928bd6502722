/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Netlink: what the kernel is asked and told of a network namespace. */
#ifndef CKPT_PROC_NETLINK_H
#define CKPT_PROC_NETLINK_H

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/**
 * struct ckpt_netlink_message - a question or an order in the making
 * @room: what is put behind the header of the family
 */
struct ckpt_netlink_message {
	struct nlmsghdr head;
	uint8_t room[512];
};

/* Empty but for the header of the family, @len bytes at @family. */
void ckpt_netlink_begin(struct ckpt_netlink_message *m, uint16_t type, uint16_t flags,
			const void *family, size_t len);
/* One attribute more; there is room for all that we send. */
void ckpt_netlink_put(struct ckpt_netlink_message *m, uint16_t type, const void *data, size_t len);

/* A channel in the namespace of this thread, where it stays. Return: -1 with errno. */
int ckpt_netlink_open(int protocol);

typedef int (*ckpt_netlink_fn)(const struct nlmsghdr *m, void *arg, struct ckpt_err *err);

/**
 * ckpt_netlink_list - each answer to a question
 * @ret_again: they may be of two moments, so all is to be asked once more
 *
 * Return: 0; the errno with which the kernel refuses to answer; or -1.
 */
int ckpt_netlink_list(int fd, const struct ckpt_netlink_message *m, ckpt_netlink_fn fn, void *arg,
		      bool *ret_again, struct ckpt_err *err);
/* Obey an order. Return: 0, or the errno. */
int ckpt_netlink_tell(int fd, struct ckpt_netlink_message *m);

/* The attributes behind a header of the family of @len bytes, one after another. */
#define CKPT_NETLINK_EACH(a, left, m, len) \
	for (a = (const struct rtattr *)((const char *)NLMSG_DATA(m) + NLMSG_ALIGN(len)), \
	     left = (int)(m)->nlmsg_len - (int)NLMSG_SPACE(len); \
	     RTA_OK(a, left); a = RTA_NEXT(a, left))

#endif
