// SPDX-License-Identifier: GPL-2.0-or-later
/* Message queues of System V: made with the ids they had, filled in the order they had. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/msg.h>

#include "base/cleanup.h"
#include "proc/build.h"
#include "proc/ipc.h"

struct letter {
	long type;
	char text[];
};

static int cannot(const struct ckpt_message_queue *q, const char *what, int error,
		  struct ckpt_err *err)
{
	return ckpt_fail(err, CKPT_REFUSED, error, "message queue %d (key 0x%x) of the tree's ipc "
			 "namespace cannot be %s here", q->id.id, q->id.key, what);
}

static int get(const void *what)
{
	const struct ckpt_ipc_id *id = what;

	return msgget(id->key, IPC_CREAT | IPC_EXCL | (int)id->mode);
}

static int send_all(const struct ckpt_message_queue *q, struct ckpt_err *err)
{
	for (size_t i = 0; i < q->n_messages; i++) {
		const struct ckpt_message *m = &q->messages[i];
		cleanup_free struct letter *l = malloc(sizeof(*l) + m->len);

		if (!l)
			return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a message");
		l->type = m->type;
		if (m->len)
			memcpy(l->text, m->data, m->len);
		if (msgsnd(q->id.id, l, m->len, IPC_NOWAIT))
			return cannot(q, "filled", errno, err);
	}
	return 0;
}

static int set(const struct ckpt_message_queue *q, uint64_t room, struct ckpt_err *err)
{
	struct msqid_ds ds;

	if (msgctl(q->id.id, IPC_STAT, &ds))
		return cannot(q, "looked at", errno, err);
	ds.msg_perm.uid = q->id.uid;
	ds.msg_perm.gid = q->id.gid;
	ds.msg_perm.mode = q->id.mode;
	ds.msg_qbytes = room;
	return msgctl(q->id.id, IPC_SET, &ds) ? cannot(q, "set", errno, err) : 0;
}

int ckpt_message_queue_make(const struct ckpt_message_queue *q, struct ckpt_err *err)
{
	int failed = ckpt_ipc_make("msg", &q->id, get, &q->id);

	if (failed)
		return cannot(q, "made", -failed, err);
	return set(q, INT32_MAX, err) || send_all(q, err) || set(q, q->room, err) ? -1 : 0;
}

static void queue_done(struct ckpt_message_queue *q)
{
	for (size_t i = 0; i < q->n_messages; i++)
		free(q->messages[i].data);
	free(q->messages);
}

static bool same(const struct ckpt_message_queue *q, const struct ckpt_message_queue *now)
{
	if (memcmp(&q->id, &now->id, sizeof(q->id)) || q->room != now->room ||
	    q->n_messages != now->n_messages)
		return false;
	for (size_t i = 0; i < q->n_messages; i++) {
		const struct ckpt_message *a = &q->messages[i], *b = &now->messages[i];

		if (a->type != b->type || a->len != b->len ||
		    (a->len && memcmp(a->data, b->data, a->len)))
			return false;
	}
	return true;
}

int ckpt_message_queue_compare(const struct ckpt_message_queue *q, struct ckpt_err *err)
{
	cleanup_with(queue_done) struct ckpt_message_queue now = { 0 };
	struct msqid_ds ds;

	if (msgctl(q->id.id, IPC_STAT, &ds))
		return NOT_AS_CAPTURED("there is no message queue %d", q->id.id);
	now.id = ckpt_ipc_id_of(q->id.id, &ds.msg_perm);
	now.room = ds.msg_qbytes;
	if (ckpt_message_queue_read(&now, ds.msg_qnum, ds.__msg_cbytes, err))
		return -1;
	return same(q, &now) ? 0 : NOT_AS_CAPTURED("message queue %d is another one", q->id.id);
}
