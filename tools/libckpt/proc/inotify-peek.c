// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Peeks: the events that wait in an inotify, and stay there
 *
 * A list, of which the kernel tells the bytes that a read would give.  Whoever stands in the tree
 * does not read it meanwhile, but events may come from outside, and another holder may read.  What
 * was found counts only when it was all, before and after.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "proc/inotify.h"
#include "proc/peek.h"
#include "proc/procfs.h"

#define TRIES 4
/* Bytes of an event before its name, more than in any kernel. */
#define HEAD_MAX 128u

enum {
	QUEUE = CKPT_PEEK_OWN,
	EVENT, LINK, MASK, WD, COOKIE, NAME_LEN, NAME,
	N_MEMBERS
};
_Static_assert(N_MEMBERS == CKPT_INOTIFY_MEMBERS, "room for the offset of each");

static const struct ckpt_btf_member wanted[N_MEMBERS] = {
	CKPT_PEEK_WAY,
	[QUEUE] = { "fsnotify_group", "notification_list", 0 },
	[EVENT] = { "inotify_event_info", "fse", 0 },
	[LINK] = { "fsnotify_event", "list", 0 },
	[MASK] = { "inotify_event_info", "mask", 0 },
	[WD] = { "inotify_event_info", "wd", 0 },
	[COOKIE] = { "inotify_event_info", "sync_cookie", 0 },
	[NAME_LEN] = { "inotify_event_info", "name_len", 0 },
	[NAME] = { "inotify_event_info", "name", 0 },
};

int ckpt_inotify_peek_open(struct ckpt_inotify_peek *ret)
{
	ret->program = ckpt_peek_open(wanted, N_MEMBERS, ret->offset);
	for (int i = EVENT; ret->program >= 0 && i < N_MEMBERS; i++) {
		if (ret->offset[i] > HEAD_MAX / 2)
			ckpt_inotify_peek_close(ret);
	}
	return ret->program < 0 ? -1 : 0;
}

void ckpt_inotify_peek_close(struct ckpt_inotify_peek *peek)
{
	if (peek->program >= 0)
		close(peek->program);
	peek->program = -1;
}

void ckpt_events_forget(struct ckpt_inotify *in)
{
	for (size_t i = 0; i < in->n_events; i++)
		free(in->events[i].name);
	free(in->events);
	in->events = NULL;
	in->n_events = 0;
}

/* The event whose link is @at. Return: 0 with the next link, -1. */
static int get_event(const struct ckpt_inotify_peek *peek, uint64_t at, struct ckpt_inotify *in,
		     size_t *ret_bytes, uint64_t *ret_next)
{
	const uint32_t *o = peek->offset;
	uint64_t event = at - o[EVENT] - o[LINK];
	struct ckpt_watch_event e = { 0 }, *list;
	uint8_t head[HEAD_MAX];
	int32_t len;

	if (ckpt_peek_get(peek->program, event, head, o[NAME]))
		return -1;
	memcpy(ret_next, head + o[EVENT] + o[LINK], sizeof(*ret_next));
	memcpy(&e.wd, head + o[WD], sizeof(e.wd));
	memcpy(&e.mask, head + o[MASK], sizeof(e.mask));
	memcpy(&e.cookie, head + o[COOKIE], sizeof(e.cookie));
	memcpy(&len, head + o[NAME_LEN], sizeof(len));
	/* the others are the kernel's own, which it does not tell */
	e.mask &= IN_ALL_EVENTS | IN_ISDIR | IN_UNMOUNT | IN_IGNORED | IN_Q_OVERFLOW;
	if (len < 0 || len > (int32_t)CKPT_EVENT_NAME_MAX)
		return -1;
	list = ckpt_grow(in->events, &in->n_events, sizeof(*list));
	if (!list)
		return -1;
	in->events = list;
	list[in->n_events - 1] = e;
	*ret_bytes += ckpt_event_len(len);
	if (!len)
		return 0;
	list[in->n_events - 1].name = calloc(1, len + 1);
	return !list[in->n_events - 1].name ||
	       ckpt_peek_get(peek->program, event + o[NAME], list[in->n_events - 1].name, len) ?
	       -1 : 0;
}

/* One walk. Return: how many bytes a read of what was found gives, or -1. */
static int64_t walk(const struct ckpt_inotify_peek *peek, uint64_t queue, struct ckpt_inotify *in)
{
	size_t bytes = 0;
	uint64_t at;

	if (ckpt_peek_get(peek->program, queue, &at, sizeof(at)))
		return -1;
	while (at != queue && in->n_events < CKPT_EVENTS_MAX) {
		if (get_event(peek, at, in, &bytes, &at))
			return -1;
	}
	return bytes;
}

uint64_t ckpt_inotify_identity(const struct ckpt_inotify_peek *peek, int fd)
{
	uint64_t group;

	return peek->program < 0 || ckpt_peek_private(peek->program, fd, &group) ? 0 : group;
}

enum ckpt_events_state ckpt_inotify_peek(const struct ckpt_inotify_peek *peek, int fd,
					 struct ckpt_inotify *in)
{
	enum ckpt_events_state state = CKPT_EVENTS_UNKNOWN;
	const uint64_t group = ckpt_inotify_identity(peek, fd);

	if (!group)
		return state;
	for (int i = 0; i < TRIES; i++) {
		int before, after;
		int64_t bytes;

		ckpt_events_forget(in);
		if (ioctl(fd, FIONREAD, &before))
			return CKPT_EVENTS_UNKNOWN;
		bytes = walk(peek, group + peek->offset[QUEUE], in);
		if (ioctl(fd, FIONREAD, &after))
			return CKPT_EVENTS_UNKNOWN;
		if (before != after)
			state = CKPT_EVENTS_MOVING;
		else if (bytes == before)
			return CKPT_EVENTS_KNOWN;
		else if (bytes >= 0 && in->n_events == CKPT_EVENTS_MAX)
			return CKPT_EVENTS_MANY;
		else
			state = CKPT_EVENTS_UNKNOWN;
	}
	return state;
}
