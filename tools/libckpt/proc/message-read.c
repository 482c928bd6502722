// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Message queues of System V: those of an ipc namespace of the tree's own, with what waits in
 * them, which is copied and stays (MSG_COPY); in that of ckpt-tool, whether the tree uses one
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/msg.h>

#include "base/cleanup.h"
#include "proc/ipc.h"
#include "proc/procfs.h"
#include "proc/read.h"

#define FIRST_ROOM 4096u	/* the kernel fills all that it is offered, so a little first */

/* Room for a message, as msgrcv(2) has it. */
struct letter {
	long type;
	char text[];
};

/* Number @i of those that wait. Return: its length, or -1 with errno. */
static ssize_t copy_one(int id, size_t i, struct letter **at, size_t *room, size_t most)
{
	for (;;) {
		ssize_t n = *at ? msgrcv(id, *at, *room, (long)i, IPC_NOWAIT | MSG_COPY |
					 MSG_NOERROR) : -1;
		size_t more = *room ? 2 * *room : FIRST_ROOM;
		struct letter *bigger;

		if (n >= 0 || (*at && (errno != EINVAL || *room >= most)))
			return n;
		more = more < most ? more : most;
		bigger = realloc(*at, sizeof(*bigger) + more);
		if (!bigger)
			return -1;
		*at = bigger;
		*room = more;
	}
}

static int refuse(const struct ckpt_message_queue *q, struct ckpt_err *err)
{
	if (errno == ENOSYS)
		return ckpt_fail(err, CKPT_REFUSED, 0,
			"messages wait in message queue %d (key 0x%x) of the tree, which this "
			"kernel does not show (CONFIG_CHECKPOINT_RESTORE)", q->id.id, q->id.key);
	if (errno == EINVAL)
		return ckpt_fail(err, CKPT_REFUSED, 0,
			"a message waits in message queue %d (key 0x%x) of the tree that is longer "
			"than its kernel.msgmax; raise that", q->id.id, q->id.key);
	return ckpt_fail(err, CKPT_FAILED, errno, "cannot read message queue %d", q->id.id);
}

static int add(struct ckpt_message_queue *q, const struct letter *l, size_t len,
	       struct ckpt_err *err)
{
	struct ckpt_message *list = ckpt_grow(q->messages, &q->n_messages, sizeof(*list)), *m;

	if (!list)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a message");
	q->messages = list;
	m = &list[q->n_messages - 1];
	m->type = l->type;
	m->data = len ? malloc(len) : NULL;
	if (len && !m->data)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a message");
	if (len)
		memcpy(m->data, l->text, len);
	m->len = len;
	return 0;
}

int ckpt_message_queue_read(struct ckpt_message_queue *q, size_t n, size_t bytes,
			    struct ckpt_err *err)
{
	cleanup_free struct letter *at = NULL;
	size_t room = 0;

	for (size_t i = 0; i < n; i++) {
		ssize_t len = copy_one(q->id.id, i, &at, &room, bytes);

		if (len < 0)
			return refuse(q, err);
		if (add(q, at, len, err))
			return -1;
	}
	return 0;
}

static int by_id(const void *a, const void *b)
{
	const struct ckpt_message_queue *x = a, *y = b;

	return (x->id.id > y->id.id) - (x->id.id < y->id.id);
}

static int read_queues(struct ckpt_reader *r, int highest, struct ckpt_err *err)
{
	struct ckpt_ipc *ipc = r->image->ipc;
	struct msqid_ds ds;

	for (int slot = 0; slot <= highest; slot++) {
		struct ckpt_message_queue *list;
		int id = msgctl(slot, MSG_STAT_ANY, &ds);

		if (id < 0)
			continue;
		list = ckpt_grow(ipc->queues, &ipc->n_queues, sizeof(*list));
		if (!list)
			return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of queues");
		ipc->queues = list;
		list[ipc->n_queues - 1].id = ckpt_ipc_id_of(id, &ds.msg_perm);
		list[ipc->n_queues - 1].room = ds.msg_qbytes;
		if (ckpt_survey_pass(r->hold->survey,
				     ckpt_message_queue_read(&list[ipc->n_queues - 1], ds.msg_qnum,
							     ds.__msg_cbytes, err), err))
			return -1;
	}
	if (ipc->n_queues)
		qsort(ipc->queues, ipc->n_queues, sizeof(*ipc->queues), by_id);
	return 0;
}

/* Who has sent to it and received from it last shows; nothing else does. */
static int check_machine(struct ckpt_reader *r, int highest, struct ckpt_err *err)
{
	struct msqid_ds ds;

	for (int slot = 0; slot <= highest; slot++) {
		int id = msgctl(slot, MSG_STAT_ANY, &ds);
		const struct ckpt_held_proc *p = NULL;

		if (id >= 0 && ds.msg_lspid > 0)
			p = ckpt_tree_find(r->hold, ds.msg_lspid);
		if (id >= 0 && !p && ds.msg_lrpid > 0)
			p = ckpt_tree_find(r->hold, ds.msg_lrpid);
		if (!p)
			continue;
		ckpt_fail(err, CKPT_REFUSED, 0,
			"pid %d (%s) uses message queue %d (key 0x%x) of the machine, which "
			"cannot be restored; give the tree an ipc namespace of its own (unshare "
			"--ipc)", p->pid, p->comm, id, ds.msg_perm.__key);
		if (ckpt_survey_pass(r->hold->survey, -1, err))
			return -1;
	}
	return 0;
}

int ckpt_read_messages(struct ckpt_reader *r, struct ckpt_err *err)
{
	struct msginfo info;
	int highest = msgctl(0, MSG_INFO, (struct msqid_ds *)&info);

	if (highest < 0 || !info.msgpool)
		return 0;	/* there is none, or this kernel has none */
	return r->image->n_ipc ? read_queues(r, highest, err) : check_machine(r, highest, err);
}
