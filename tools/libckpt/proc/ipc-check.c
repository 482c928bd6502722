// SPDX-License-Identifier: GPL-2.0-or-later
/* Consistency of an ipc namespace. */
#include <string.h>

#include "proc/image-check.h"
#include "proc/ipc.h"

/* Some numbers: nothing else is ever written there. */
static bool is_value(const char *value)
{
	size_t len = value ? strlen(value) : 0;

	return len && len <= CKPT_IPC_VALUE_MAX && strspn(value, "0123456789\t") == len;
}

static int check_settings(const struct ckpt_image *image, struct ckpt_err *err)
{
	int before = -1;

	for (size_t i = 0; i < image->ipc->n_settings; i++) {
		const struct ckpt_ipc_setting *s = &image->ipc->settings[i];
		int place = s->name ? ckpt_ipc_place(s->name) : -1;

		if (place <= before || !is_value(s->value))
			return BAD_IMAGE("a setting of its ipc namespace is none, or is there "
					 "twice");
		before = place;
	}
	return 0;
}

static int check_id(const struct ckpt_ipc_id *id, int32_t before, const char *what,
		    struct ckpt_err *err)
{
	return id->id <= before || id->mode > 0777 ?
	       BAD_IMAGE("%s %d is none, or is there twice", what, id->id) : 0;
}

static bool has_process(const struct ckpt_image *image, int32_t pid)
{
	for (size_t i = 0; i < image->n_tasks; i++) {
		if (image->tasks[i].pid == pid && image->tasks[i].state != CKPT_TASK_ZOMBIE)
			return true;
	}
	return false;
}

static int check_set(const struct ckpt_image *image, const struct ckpt_sem_set *s,
		     struct ckpt_err *err)
{
	if (!s->n_values || s->n_values > CKPT_SEMS_MAX)
		return BAD_IMAGE("semaphores %d are none", s->id.id);
	for (size_t i = 0; i < s->n_values; i++) {
		if (s->values[i] > CKPT_SEM_MOST)
			return BAD_IMAGE("semaphores %d have an impossible value", s->id.id);
	}
	for (const struct ckpt_sem_undo *u = s->undos; u < s->undos + s->n_undos; u++) {
		if (u->sem >= s->n_values || u->adjust > CKPT_SEM_MOST ||
		    u->adjust < -CKPT_SEM_MOST - 1 || !u->adjust ||
		    !has_process(image, u->pid))
			return BAD_IMAGE("semaphores %d are adjusted by what is none", s->id.id);
	}
	return 0;
}

static int check_queue(const struct ckpt_message_queue *q, struct ckpt_err *err)
{
	for (size_t i = 0; i < q->n_messages; i++) {
		if (q->messages[i].type < 1 || q->messages[i].len > INT32_MAX)
			return BAD_IMAGE("a message of queue %d is none", q->id.id);
	}
	return 0;
}

int ckpt_ipc_check(const struct ckpt_image *image, struct ckpt_err *err)
{
	const struct ckpt_ipc *ipc = image->ipc;

	if (image->n_ipc > 1)
		return BAD_IMAGE("it has two ipc namespaces");
	if (!image->n_ipc)
		return 0;
	for (size_t i = 0; i < ipc->n_sems; i++) {
		if (check_id(&ipc->sems[i].id, i ? ipc->sems[i - 1].id.id : -1, "semaphores",
			     err) || check_set(image, &ipc->sems[i], err))
			return -1;
	}
	for (size_t i = 0; i < ipc->n_queues; i++) {
		if (check_id(&ipc->queues[i].id, i ? ipc->queues[i - 1].id.id : -1,
			     "message queue", err) || check_queue(&ipc->queues[i], err))
			return -1;
	}
	return check_settings(image, err);
}
