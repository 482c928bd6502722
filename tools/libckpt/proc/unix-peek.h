/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What sees connections of Unix sockets that nobody has accepted: see unix-waiting.h. */
#ifndef CKPT_PROC_UNIX_PEEK_H
#define CKPT_PROC_UNIX_PEEK_H

#include <stdint.h>

#define CKPT_WAITING_MEMBERS 28

/* @program: a descriptor, or -1; @offset: of each member that it reads in its structure */
struct ckpt_waiting_peek {
	int program;
	uint32_t offset[CKPT_WAITING_MEMBERS];
};

#endif
