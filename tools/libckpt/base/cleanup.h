/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cleanup attributes: what a scope owns is released when it ends. */
#ifndef CKPT_BASE_CLEANUP_H
#define CKPT_BASE_CLEANUP_H

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void ckpt_cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void ckpt_cleanup_close(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	errno = saved;
}

static inline void ckpt_cleanup_closedir(DIR **d)
{
	if (*d)
		closedir(*d);
}

static inline void ckpt_cleanup_fclose(FILE **f)
{
	if (*f)
		fclose(*f);
}

#define cleanup_free __attribute__((cleanup(ckpt_cleanup_free)))
#define cleanup_close __attribute__((cleanup(ckpt_cleanup_close)))
#define cleanup_closedir __attribute__((cleanup(ckpt_cleanup_closedir)))
#define cleanup_fclose __attribute__((cleanup(ckpt_cleanup_fclose)))
#define cleanup_with(fn) __attribute__((cleanup(fn)))

/* Hand a descriptor or pointer out of its scope: the variable no longer owns it. */
#define take_fd(fd) ({ int __fd = (fd); (fd) = -1; __fd; })
#define take_ptr(p) ({ __typeof__(p) __p = (p); (p) = NULL; __p; })

#endif
