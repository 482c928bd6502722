// SPDX-License-Identifier: GPL-2.0-or-later
/* Twin: what is about to be written is in the store already. */
#include <fcntl.h>

#include "base/cleanup.h"
#include "store/twin.h"

void ckpt_twins_done(struct ckpt_twins *t)
{
	ckpt_cleanup_close(&t->fd);
	ckpt_object_reader_done(&t->reader);
	*t = (struct ckpt_twins)CKPT_TWINS_INIT;
}

/* Descriptors of @o are shared by the threads and closed at will: this one is our own. */
static int open_pack(struct ckpt_twins *t, const struct ckpt_objects *o, uint32_t pack)
{
	if (t->fd >= 0 && t->pack == pack)
		return 0;
	ckpt_cleanup_close(&t->fd);
	t->pack = pack;
	t->fd = openat(o->dir, o->packs[pack].name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	return t->fd < 0 ? -1 : 0;
}

bool ckpt_twin(struct ckpt_twins *t, const struct ckpt_objects *o, const struct ckpt_object *want,
	       const uint8_t *plain)
{
	const struct ckpt_located *l = ckpt_object_table_find(&o->table, &want->hash);

	for (; l; l = ckpt_object_table_next(&o->table, l))
		if (l->object.type == want->type && l->object.raw_len == want->raw_len &&
		    !o->packs[l->pack].read_only && !open_pack(t, o, l->pack) &&
		    ckpt_object_same(&t->reader, t->fd, &l->object, plain))
			return true;
	return false;
}
