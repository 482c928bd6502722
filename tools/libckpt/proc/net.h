/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Network namespace of a tree's own: lo, its addresses, settings; and that there is nothing else
 *
 * Functions without a descriptor look into, and change, the namespace that this thread is in.
 */
#ifndef CKPT_PROC_NET_H
#define CKPT_PROC_NET_H

#include "proc/image.h"
#include "proc/inside.h"
#include "proc/survey.h"

/* The longest name and value of a setting. */
#define CKPT_NET_NAME_MAX 256
#define CKPT_NET_VALUE_MAX 4096

/**
 * struct ckpt_net_thing - something that is in a network namespace
 * @what: "route", "link"
 * @name: which one, or empty
 * @bytes: all that the kernel says of it, but for what changes by itself
 */
struct ckpt_net_thing {
	const char *what;
	char name[64];
	uint8_t *bytes;
	size_t len;
};

/* All of them, sorted. */
struct ckpt_net_things {
	struct ckpt_net_thing *list;
	size_t n;
};

/* Of the image. */
void ckpt_net_done(struct ckpt_net *net);
int ckpt_net_copy(const struct ckpt_net *net, struct ckpt_net *ret, struct ckpt_err *err);

/* Lo, addresses and settings. */
int ckpt_net_get(struct ckpt_net *ret, struct ckpt_err *err);
/* To ask about links and addresses. Return: a descriptor of the caller's, or -1. */
int ckpt_net_open(struct ckpt_err *err);
/*
 * Lo and addresses alone, once all that the kernel does later about them is done, or after @ms;
 * over @net.
 */
int ckpt_net_lo_get(int fd, unsigned int ms, struct ckpt_net *net, struct ckpt_err *err);

/*
 * net-set.c
 *
 * Make a new namespace so.  What this kernel does not know, or lets nobody change, is passed over
 * where it was as usual; else CKPT_REFUSED.
 */
int ckpt_net_set(const struct ckpt_net *net, struct ckpt_err *err);
/* Is this namespace so, as ckpt_net_set would have left it? Return: 0, -1 with CKPT_DAMAGED. */
int ckpt_net_verify(const struct ckpt_net *net, struct ckpt_err *err);

/* Is lo the same in both, with its addresses? */
bool ckpt_net_same_lo(const struct ckpt_net *a, const struct ckpt_net *b);

/* net-setting.c: the same of settings alone. */
int ckpt_net_settings_get(struct ckpt_net *ret, struct ckpt_err *err);
int ckpt_net_settings_set(const struct ckpt_net *net, struct ckpt_err *err);
int ckpt_net_settings_verify(const struct ckpt_net *net, struct ckpt_err *err);
/* Which ones are as usual, in a new namespace? */
void ckpt_net_settings_judge(struct ckpt_net *net, const struct ckpt_net *fresh);
/* Name of the first that is not the same in both, or in one alone; NULL: there is none. */
const char *ckpt_net_settings_differ(const struct ckpt_net *a, const struct ckpt_net *b);
/*
 * Let as many connections wait as ever can while sockets are made, and as many datagrams as wait in
 * one: what they have may be more than settings allow that came later.  ckpt_net_settings_set sets
 * these again; but how many datagrams may wait a socket learns when it is made.
 */
void ckpt_net_settings_widen(const struct ckpt_image *image);
/* May a setting be called so, and say so? */
bool ckpt_net_setting_sound(const struct ckpt_net_setting *s);

/* net-thing.c: everything but settings, and the addresses of lo. */
int ckpt_net_things_get(struct ckpt_net_things *ret, struct ckpt_err *err);
void ckpt_net_things_done(struct ckpt_net_things *things);
/* One more, of which @what stays. Return: it, or NULL with @err. */
struct ckpt_net_thing *ckpt_net_thing_add(struct ckpt_net_things *all, const char *what,
					  const void *bytes, size_t len, struct ckpt_err *err);
/* net-unlisted.c: those that netlink does not list, behind the others. */
int ckpt_net_unlisted_get(struct ckpt_net_things *ret, struct ckpt_err *err);
/*
 * The next difference from *@i of @a and *@j of @b on.  Return: 1 with it in the place of one of
 * them, the other NULL; 0: there is none.
 */
int ckpt_net_things_differ(const struct ckpt_net_things *a, size_t *i,
			   const struct ckpt_net_things *b, size_t *j,
			   const struct ckpt_net_thing **ret_a,
			   const struct ckpt_net_thing **ret_b);

#endif
