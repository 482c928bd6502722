// SPDX-License-Identifier: GPL-2.0-or-later
/* Signalfds: made in init. */
#include <sys/signalfd.h>
#include <sys/syscall.h>

#include "proc/build.h"

int ckpt_build_signalfd(struct ckpt_restore *r, size_t index, struct ckpt_err *err)
{
	const struct ckpt_signalfd *s = &r->image->signalfds[r->image->files[index].object];
	uint64_t at = ckpt_site_put(&r->init_site, 0, &s->mask, sizeof(s->mask), err);
	int64_t fd;

	if (!at)
		return -1;
	fd = ckpt_site_call(&r->init_site, err, "make a signalfd", SYS_signalfd4,
			    ARGS(-1, at, sizeof(s->mask), SFD_CLOEXEC));
	return fd < 0 ? -1 : ckpt_build_place_new(r, fd, index, err);
}
