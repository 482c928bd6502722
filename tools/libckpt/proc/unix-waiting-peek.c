// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Peeks: connections that nobody has accepted, and what was sent by them
 *
 * The queue of a socket that listens holds one message for each, which leads to the end that will
 * be given out.  That has a queue of its own, and remembers who connected.  Bytes are read where
 * they lie in one piece; those of a large message lie in pages of which no address is known here.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proc/procfs.h"
#include "proc/unix-waiting.h"

#define GROUPS_MAX 65536u
#define MESSAGES_MAX 4096u

enum {
	SOCK = CKPT_PEEK_OWN,
	QUEUE, SHUT, ERROR, PEER_PID, PEER_CRED,
	MSG_SOCK, MSG_LEN, MSG_PAGES, MSG_DATA, MSG_CB, CB_FILES,
	PEER, NAME, PID_LEVEL, PID_NUMBERS, NUMBER, SPACE, UID, GID, GROUPS, N_GROUPS, GROUP,
	URGENT,		/* not in every kernel */
	N_MEMBERS
};
_Static_assert(N_MEMBERS == CKPT_WAITING_MEMBERS, "room for the offset of each");

static const struct ckpt_btf_member wanted[N_MEMBERS] = {
	CKPT_PEEK_WAY,
	[SOCK] = { "socket", "sk", 0 },
	[QUEUE] = { "sock", "sk_receive_queue", 0 },
	[SHUT] = { "sock", "sk_shutdown", 0 },
	[ERROR] = { "sock", "sk_err", 0 },
	[PEER_PID] = { "sock", "sk_peer_pid", 0 },
	[PEER_CRED] = { "sock", "sk_peer_cred", 0 },
	[MSG_SOCK] = { "sk_buff", "sk", 0 },
	[MSG_LEN] = { "sk_buff", "len", 0 },
	[MSG_PAGES] = { "sk_buff", "data_len", 0 },
	[MSG_DATA] = { "sk_buff", "data", 0 },
	[MSG_CB] = { "sk_buff", "cb", 0 },
	[CB_FILES] = { "unix_skb_parms", "fp", 0 },
	[PEER] = { "unix_sock", "peer", 0 },
	[NAME] = { "unix_sock", "addr", 0 },
	[PID_LEVEL] = { "pid", "level", 0 },
	[PID_NUMBERS] = { "pid", "numbers", 0 },
	[NUMBER] = { "upid", "nr", 0 },
	[SPACE] = { "upid", "ns", 0 },
	[UID] = { "cred", "euid", 0 },
	[GID] = { "cred", "egid", 0 },
	[GROUPS] = { "cred", "group_info", 0 },
	[N_GROUPS] = { "group_info", "ngroups", 0 },
	[GROUP] = { "group_info", "gid", 0 },
	[URGENT] = { "unix_sock", "oob_skb", 0 },
};

int ckpt_waiting_peek_open(struct ckpt_waiting_peek *ret)
{
	ret->program = ckpt_peek_open(wanted, N_MEMBERS, ret->offset);
	if (ret->program >= 0)
		return 0;
	ret->program = ckpt_peek_open(wanted, URGENT, ret->offset);
	ret->offset[URGENT] = UINT32_MAX;
	return ret->program < 0 ? -1 : 0;
}

void ckpt_waiting_peek_close(struct ckpt_waiting_peek *peek)
{
	if (peek->program >= 0)
		close(peek->program);
	peek->program = -1;
}

static void waiting_done(struct ckpt_unix_waiting *w)
{
	for (size_t i = 0; i < w->n_messages; i++)
		free(w->messages[i].data);
	free(w->messages);
	free(w->groups);
}

void ckpt_waiting_forget(struct ckpt_unix *u)
{
	for (size_t i = 0; i < u->n_waiting; i++)
		waiting_done(&u->waiting[i]);
	free(u->waiting);
	u->waiting = NULL;
	u->n_waiting = 0;
}

/* Who somebody was: a number in the innermost namespace that he had one in. */
struct who {
	uint64_t space;
	uint32_t number, uid, gid;
};

static bool get_who(const struct ckpt_waiting_peek *p, uint64_t sock, struct who *ret,
		    uint64_t *ret_groups)
{
	const uint32_t *o = p->offset;
	/* a number and a pointer, of which arrays are made */
	const uint32_t each = (o[SPACE] > o[NUMBER] ? o[SPACE] : o[NUMBER]) + 8;
	bool ok = true;
	uint64_t pid = ckpt_peek_word(p->program, sock + o[PEER_PID], &ok);
	uint64_t cred = ckpt_peek_word(p->program, sock + o[PEER_CRED], &ok), at;

	if (!ok || !pid || !cred)
		return false;
	at = pid + o[PID_NUMBERS] +
	     (uint64_t)ckpt_peek_half(p->program, pid + o[PID_LEVEL], &ok) * each;
	ret->number = ckpt_peek_half(p->program, at + o[NUMBER], &ok);
	ret->space = ckpt_peek_word(p->program, at + o[SPACE], &ok);
	ret->uid = ckpt_peek_half(p->program, cred + o[UID], &ok);
	ret->gid = ckpt_peek_half(p->program, cred + o[GID], &ok);
	*ret_groups = ckpt_peek_word(p->program, cred + o[GROUPS], &ok);
	return ok;
}

static bool get_groups(const struct ckpt_waiting_peek *p, uint64_t at, struct ckpt_unix_waiting *w)
{
	bool ok = true;
	uint32_t n = ckpt_peek_half(p->program, at + p->offset[N_GROUPS], &ok);

	if (!ok || n > GROUPS_MAX)
		return false;
	if (!n)
		return true;
	w->groups = malloc(n * sizeof(*w->groups));
	if (!w->groups)
		return false;
	w->n_groups = n;
	return !ckpt_peek_get(p->program, at + p->offset[GROUP], w->groups,
			      n * sizeof(*w->groups));
}

/* A message of a packet socket; of a stream all bytes are one. */
static struct ckpt_unix_message *message_for(struct ckpt_unix_waiting *w, bool stream)
{
	struct ckpt_unix_message *list;

	if (stream && w->n_messages)
		return w->messages;
	list = ckpt_grow(w->messages, &w->n_messages, sizeof(*list));
	if (!list)
		return NULL;
	w->messages = list;
	list += w->n_messages - 1;
	*list = (struct ckpt_unix_message){ .sender = CKPT_NONE };
	return list;
}

static bool get_message(const struct ckpt_waiting_peek *p, uint64_t at, bool stream,
			struct ckpt_unix_waiting *w, const char **ret_odd)
{
	const uint32_t *o = p->offset;
	bool ok = true;
	uint32_t len = ckpt_peek_half(p->program, at + o[MSG_LEN], &ok);
	uint32_t pages = ckpt_peek_half(p->program, at + o[MSG_PAGES], &ok);
	uint64_t files = ckpt_peek_word(p->program, at + o[MSG_CB] + o[CB_FILES], &ok);
	uint64_t from = ckpt_peek_word(p->program, at + o[MSG_DATA], &ok);
	struct ckpt_unix_message *m = ok ? message_for(w, stream) : NULL;
	uint8_t *data;

	if (!m)
		return false;
	if (files)
		*ret_odd = "in one of which descriptors wait";
	if (pages || len + m->len > CKPT_WAITING_BYTES)
		*ret_odd = "in one of which more waits than can be seen";
	if (*ret_odd || !len)
		return true;
	data = realloc(m->data, m->len + len);
	if (!data)
		return false;
	m->data = data;
	m->len += len;
	return !ckpt_peek_get(p->program, from, data + m->len - len, len);
}

static bool get_messages(const struct ckpt_waiting_peek *p, uint64_t sock, bool stream,
			 struct ckpt_unix_waiting *w, const char **ret_odd)
{
	const uint64_t head = sock + p->offset[QUEUE];
	bool ok = true;
	/* the first member of a message, and of the queue, is the next one */
	uint64_t at = ckpt_peek_word(p->program, head, &ok);

	for (uint32_t n = 0; ok && at != head && !*ret_odd; n++) {
		if (n == MESSAGES_MAX || !get_message(p, at, stream, w, ret_odd))
			return false;
		at = ckpt_peek_word(p->program, at, &ok);
	}
	return ok;
}

static bool get_one(const struct ckpt_waiting_peek *p, uint64_t sock, bool stream,
		    const struct who *maker, struct ckpt_unix_waiting *w, const char **ret_odd)
{
	const uint32_t *o = p->offset;
	bool ok = true, urgent;
	uint64_t peer = ckpt_peek_word(p->program, sock + o[PEER], &ok), groups;
	struct who who;

	if (!ok || !peer || !get_who(p, sock, &who, &groups) || !get_groups(p, groups, w))
		return false;
	w->shutdown = ckpt_peek_half(p->program, sock + o[SHUT], &ok) & 0xff;
	w->pid = who.number;
	w->uid = who.uid;
	w->gid = who.gid;
	w->maker = maker->number;
	urgent = o[URGENT] != UINT32_MAX && ckpt_peek_word(p->program, sock + o[URGENT], &ok);
	if (urgent || ckpt_peek_half(p->program, sock + o[ERROR], &ok))
		*ret_odd = "one of which has an error or out-of-band data";
	if (ckpt_peek_word(p->program, peer + o[NAME], &ok))
		*ret_odd = "one of which is of a socket that has a name";
	if (who.space != maker->space)
		*ret_odd = "one of which was made in another pid namespace";
	return ok && (*ret_odd || get_messages(p, sock, stream, w, ret_odd));
}

int ckpt_waiting_peek(const struct ckpt_waiting_peek *peek, int own, uint32_t type,
		      struct ckpt_unix *u, const char **ret_odd)
{
	uint64_t socket, sock, head, at, ignored;
	struct who maker;
	bool ok = true;

	*ret_odd = NULL;
	if (peek->program < 0 || ckpt_peek_private(peek->program, own, &socket))
		return -1;
	sock = ckpt_peek_word(peek->program, socket + peek->offset[SOCK], &ok);
	/* users are told by their numbers here: they must be those that the kernel has for us */
	if (!ok || !get_who(peek, sock, &maker, &ignored) || maker.uid != u->peer_uid ||
	    maker.gid != u->peer_gid)
		return -1;
	head = sock + peek->offset[QUEUE];
	at = ckpt_peek_word(peek->program, head, &ok);
	while (ok && at != head && !*ret_odd && u->n_waiting < CKPT_WAITING_MAX) {
		struct ckpt_unix_waiting *list = ckpt_grow(u->waiting, &u->n_waiting,
							   sizeof(*list));

		if (!list)
			return -1;
		u->waiting = list;
		list += u->n_waiting - 1;
		*list = (struct ckpt_unix_waiting){ .client = CKPT_NONE };
		if (!get_one(peek, ckpt_peek_word(peek->program, at + peek->offset[MSG_SOCK], &ok),
			     type == SOCK_STREAM, &maker, list, ret_odd))
			return -1;
		at = ckpt_peek_word(peek->program, at, &ok);
	}
	return ok ? 0 : -1;
}
