// SPDX-License-Identifier: GPL-2.0-or-later
/* Signalfds: the signals that are read from one. */
#include "proc/procfs.h"
#include "proc/read.h"

int ckpt_read_signalfd(struct ckpt_reader *r, struct ckpt_file *f, const char *fdinfo,
		       struct ckpt_err *err)
{
	struct ckpt_image *image = r->image;
	struct ckpt_signalfd s, *list;

	if (ckpt_parse_signalfd(fdinfo, &s))
		return ckpt_fail(err, CKPT_FAILED, 0, "cannot read signalfd %d of pid %d",
				 f->capture_fd, f->capture_pid);
	list = ckpt_grow(image->signalfds, &image->n_signalfds, sizeof(*list));
	if (!list)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of signalfds");
	image->signalfds = list;
	f->object = image->n_signalfds - 1;
	list[f->object] = s;
	return 0;
}
