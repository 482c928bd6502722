// SPDX-License-Identifier: GPL-2.0-or-later
/* Shape of an ipc namespace in the image. */
#include "proc/image-ipc.h"
#include "proc/image-shapes.h"

static const struct ckpt_field setting_fields[] = {
	STR(1, ckpt_ipc_setting, name),
	STR(2, ckpt_ipc_setting, value),
};
static const struct ckpt_shape setting_shape = SHAPE(ckpt_ipc_setting, setting_fields);

#define ID_FIELDS(type) \
	INT(1, type, id.id), \
	INT(2, type, id.key), \
	UINT(3, type, id.uid), \
	UINT(4, type, id.gid), \
	UINT(5, type, id.cuid), \
	UINT(6, type, id.cgid), \
	UINT(7, type, id.mode)

static const struct ckpt_field undo_fields[] = {
	INT(1, ckpt_sem_undo, pid),
	UINT(2, ckpt_sem_undo, sem),
	INT(3, ckpt_sem_undo, adjust),
};
static const struct ckpt_shape undo_shape = SHAPE(ckpt_sem_undo, undo_fields);

static const struct ckpt_field sem_fields[] = {
	ID_FIELDS(ckpt_sem_set),
	BOOL(8, ckpt_sem_set, used),
	BLOB(9, ckpt_sem_set, values, n_values),
	LIST(10, ckpt_sem_set, undos, n_undos, undo_shape),
};
static const struct ckpt_shape sem_shape = SHAPE(ckpt_sem_set, sem_fields);

static const struct ckpt_field message_fields[] = {
	INT(1, ckpt_message, type),
	BLOB(2, ckpt_message, data, len),
};
static const struct ckpt_shape message_shape = SHAPE(ckpt_message, message_fields);

static const struct ckpt_field queue_fields[] = {
	ID_FIELDS(ckpt_message_queue),
	UINT(8, ckpt_message_queue, room),
	LIST(9, ckpt_message_queue, messages, n_messages, message_shape),
};
static const struct ckpt_shape queue_shape = SHAPE(ckpt_message_queue, queue_fields);

static const struct ckpt_field ipc_fields[] = {
	LIST(1, ckpt_ipc, settings, n_settings, setting_shape),
	LIST(2, ckpt_ipc, sems, n_sems, sem_shape),
	LIST(3, ckpt_ipc, queues, n_queues, queue_shape),
};
const struct ckpt_shape ckpt_ipc_shape = SHAPE(ckpt_ipc, ipc_fields);
