// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Connections that nobody has accepted: those of sockets of the tree, and of closed ones
 *
 * Whose they are the kernel tells by inode numbers, in their order.  What was seen in its memory
 * counts when it told the same before and after.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "proc/hold.h"
#include "proc/unix-read.h"
#include "proc/unix-waiting.h"

#ifndef SO_PASSPIDFD
#define SO_PASSPIDFD 76
#endif

static int refuse(const struct ckpt_reader *r, const struct ckpt_file *f, const char *odd,
		  struct ckpt_err *err)
{
	char why[160];

	snprintf(why, sizeof(why), "with connections that wait to be accepted, %s", odd);
	return ckpt_unix_refuse(r, f, err, why);
}

static const struct ckpt_waiting_peek *peek_of(struct ckpt_hold *hold)
{
	if (!hold->waiting_peek_tried && !ckpt_fault("keeper.waiting"))
		(void)ckpt_waiting_peek_open(&hold->waiting_peek);
	hold->waiting_peek_tried = true;
	return &hold->waiting_peek;
}

/* The end that accept gives has these of who listens, on newer kernels from when it was made. */
static bool asks_for_more(int own)
{
	static const struct {
		int name, usual;
	} options[] = {
		{ SO_PASSCRED, 0 }, { SO_PASSSEC, 0 }, { SO_PASSPIDFD, 0 }, { SO_PASSRIGHTS, 1 },
	};

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		int value = options[i].usual;
		socklen_t len = sizeof(value);

		if (!getsockopt(own, SOL_SOCKET, options[i].name, &value, &len) &&
		    value != options[i].usual)
			return true;
	}
	return false;
}

int ckpt_read_waiting(struct ckpt_reader *r, const struct ckpt_file *f, int diag, int own,
		      struct ckpt_unix *u, struct ckpt_err *err)
{
	cleanup_free uint32_t *before = NULL;
	cleanup_free uint32_t *after = NULL;
	const char *odd = NULL;
	size_t n, m;
	int failed;

	if (ckpt_unix_diag_waiting(diag, f->ino, &before, &n, err))
		return -1;
	if (!n)
		return 0;
	if (asks_for_more(own))
		return refuse(r, f, "while it asks for more than data (SO_PASSCRED)", err);
	if (n > CKPT_WAITING_MAX || n > (uint64_t)u->backlog + 1)
		return refuse(r, f, "more than it has room for, or than 512", err);
	failed = ckpt_waiting_peek(peek_of(r->hold), own,
				   r->image->sockets[f->object].type, u, &odd);
	if (ckpt_unix_diag_waiting(diag, f->ino, &after, &m, err))
		return -1;
	if (!failed && odd)
		return refuse(r, f, odd, err);
	if (failed || m != n || u->n_waiting != n || memcmp(before, after, n * sizeof(*before)))
		return refuse(r, f, "of which this kernel does not tell what they are "
			      "(CONFIG_DEBUG_INFO_BTF, CONFIG_BPF_SYSCALL)", err);
	for (size_t i = 0; i < n; i++)
		u->waiting[i].ino = before[i];
	return 0;
}

/* Who has connected; @u is restored with who listened. */
static int find_clients(struct ckpt_reader *r, const struct ckpt_file *f, struct ckpt_unix *u,
			struct ckpt_err *err)
{
	struct ckpt_image *image = r->image;

	for (size_t i = 0; i < u->n_waiting; i++) {
		struct ckpt_unix_waiting *w = &u->waiting[i];

		if (w->maker != u->peer_pid || w->pid < 2)
			return refuse(r, f, "one of which was made in another pid namespace", err);
		if (!w->ino)
			continue;
		w->client = ckpt_unix_by_ino(image, w->ino);
		if (w->client == CKPT_NONE || ckpt_unix_file(image, w->client) == CKPT_NONE)
			return refuse(r, f, "one of which is from outside the tree", err);
		if (image->unixes[w->client].refused)
			u->refused = true;
	}
	return 0;
}

int ckpt_read_waiting_clients(struct ckpt_reader *r, struct ckpt_err *err)
{
	struct ckpt_image *image = r->image;

	for (size_t i = 0; i < image->n_files; i++) {
		const struct ckpt_file *f = &image->files[i];
		struct ckpt_unix *u;

		if (f->kind != CKPT_FILE_SOCKET || image->sockets[f->object].family != AF_UNIX)
			continue;
		u = &image->unixes[image->sockets[f->object].part];
		if (!u->refused &&
		    ckpt_survey_pass(r->hold->survey, find_clients(r, f, u, err), err))
			return -1;
	}
	return 0;
}
