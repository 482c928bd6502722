// SPDX-License-Identifier: GPL-2.0-or-later
/* Pack in the making. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "store/pack.h"

void ckpt_pack_init(struct ckpt_pack_out *p, const struct ckpt_group *group,
		    const uint8_t uuid[CKPT_UUID_LEN])
{
	*p = (struct ckpt_pack_out){ .group = group, .fd = -1 };
	memcpy(p->uuid, uuid, CKPT_UUID_LEN);
}

static const char *name_of(const struct ckpt_pack_out *p, char ret[CKPT_UUID_TEXT + 8])
{
	ckpt_hex(p->uuid, CKPT_UUID_LEN, ret);
	memcpy(ret + CKPT_UUID_TEXT - 1, ".pack", 6);
	return ret;
}

void ckpt_pack_done(struct ckpt_pack_out *p)
{
	char name[CKPT_UUID_TEXT + 8];

	if (p->fd >= 0) {
		close(p->fd);
		unlinkat(p->group->tmp, name_of(p, name), 0);
	}
	p->fd = -1;
	ckpt_object_table_done(&p->table);
	ckpt_object_table_done(&p->shared);
}

static int failed(const struct ckpt_pack_out *p, struct ckpt_err *err)
{
	return ckpt_store_fail(p->group->store->path, errno, "a pack", err);
}

/* A named step that a test can make fail. */
static int step(const char *point)
{
	if (!ckpt_fault(point))
		return 0;
	errno = EIO;
	return -1;
}

static int start(struct ckpt_pack_out *p)
{
	const struct ckpt_flags none = { 0 };
	char name[CKPT_UUID_TEXT + 8];

	if (p->fd >= 0)
		return 0;
	if (step("store.pack-open"))
		return -1;
	p->fd = openat(p->group->tmp, name_of(p, name),
		       O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (p->fd < 0)
		return -1;
	ckpt_pack_head_encode(p->uuid, &none, p->head);
	if (ckpt_file_write(p->fd, p->head, sizeof(p->head)))
		return -1;
	p->at = sizeof(p->head);
	return 0;
}

bool ckpt_pack_has(const struct ckpt_pack_out *p, const struct ckpt_hash *name)
{
	return ckpt_object_table_find(&p->table, name) || ckpt_object_table_find(&p->shared, name);
}

int ckpt_pack_add(struct ckpt_pack_out *p, const struct ckpt_coded *c, struct ckpt_err *err)
{
	uint8_t head[CKPT_OBJECT_HEAD_LEN];
	struct ckpt_object o = c->object;

	if (ckpt_pack_has(p, &o.hash))
		return 0;
	if (c->in_store)
		return ckpt_object_table_add(&p->shared, &o, 0) ?
		       ckpt_fail(err, CKPT_FAILED, 0, "no memory for the index of a pack") : 0;
	/* a pack with one that no reader takes is lost as a whole */
	if (!ckpt_object_possible(&o))
		return ckpt_fail(err, CKPT_FAILED, 0, "an object of %u bytes cannot be stored",
				 o.raw_len);
	if (start(p))
		return failed(p, err);
	o.offset = p->at;
	ckpt_object_encode(&o, head);
	if (step("store.pack-write") || ckpt_file_write(p->fd, head, sizeof(head)) ||
	    ckpt_file_write(p->fd, c->stored, o.stored_len))
		return failed(p, err);
	p->at += sizeof(head) + o.stored_len;
	p->raw_bytes += o.raw_len;
	if (ckpt_object_table_add(&p->table, &o, 0))
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for the index of a pack");
	return 0;
}

static int write_index(struct ckpt_pack_out *p, struct ckpt_err *err)
{
	cleanup_free struct ckpt_object *objects = calloc(p->table.n, sizeof(*objects));
	cleanup_buf struct ckpt_buf index = CKPT_BUF_INIT;
	size_t n = 0;

	if (!objects)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for the index of a pack");
	for (size_t i = 0; i < p->table.size; i++)
		if (p->table.slot[i].object.raw_len)
			objects[n++] = p->table.slot[i].object;
	qsort(objects, n, sizeof(*objects), ckpt_object_order);
	if (ckpt_index_encode(p->head, objects, n, p->at, &index, err))
		return -1;
	if (step("store.pack-index") || ckpt_file_write(p->fd, index.data, index.len))
		return failed(p, err);
	p->at += index.len;
	return 0;
}

int ckpt_pack_finish(struct ckpt_pack_out *p, struct ckpt_err *err)
{
	if (p->fd < 0)
		return 0;
	if (write_index(p, err))
		return -1;
	return step("store.pack-fsync") || fsync(p->fd) ? failed(p, err) : 0;
}

int ckpt_pack_publish(struct ckpt_pack_out *p, struct ckpt_err *err)
{
	const struct ckpt_store *store = p->group->store;
	char name[CKPT_UUID_TEXT + 8];

	if (p->fd >= 0) {
		name_of(p, name);
		if (step("store.pack-rename") ||
		    renameat(p->group->tmp, name, store->packs, name))
			return failed(p, err);
		close(take_fd(p->fd));
	}
	/* Also without a pack of our own: one we share may have come a moment ago. */
	if (step("store.pack-dirsync") || fsync(store->packs))
		return failed(p, err);
	return 0;
}
