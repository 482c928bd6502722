// SPDX-License-Identifier: GPL-2.0-or-later
/* Lock of a name. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "flow/lock.h"
#include "flow/tagged.h"

int ckpt_lock_name(const char *name, int *ret_fd, struct ckpt_err *err)
{
	char path[sizeof(CKPT_RUN_DIR) + 80];
	cleanup_close int fd = -1;

	if (ckpt_tagged_check_name(name, err))
		return -1;
	snprintf(path, sizeof(path), "%s/%s.lock", CKPT_RUN_DIR, name);
	if (mkdir(CKPT_RUN_DIR, 0700) && errno != EEXIST)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot make %s", CKPT_RUN_DIR);
	/* The file stays: who removed it would let two lock two files of one name. */
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot open %s", path);
	if (flock(fd, LOCK_EX | LOCK_NB))
		return errno == EWOULDBLOCK ?
			ckpt_fail(err, CKPT_REFUSED, 0,
				  "another ckpt-tool is at work on group '%s'; try again when it "
				  "has ended", name) :
			ckpt_fail(err, CKPT_FAILED, errno, "cannot lock %s", path);
	*ret_fd = take_fd(fd);
	return 0;
}
