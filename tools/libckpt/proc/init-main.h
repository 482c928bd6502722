/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Both ends of init's control socket. */
#ifndef CKPT_PROC_INIT_MAIN_H
#define CKPT_PROC_INIT_MAIN_H

#include "proc/init.h"

enum ckpt_init_message_kind {
	CKPT_INIT_BORN,		/* value: host pid of init */
	CKPT_INIT_FAILED,	/* value: errno, text: what failed */
	CKPT_INIT_READY,	/* init waits for tasks, or has started the command */
	CKPT_INIT_RELEASE,	/* to init; value: root task */
	CKPT_INIT_RELEASED,	/* the answer: the cgroup is thawed */
	CKPT_INIT_STATUS,	/* value: exit status of the root task */
};

struct ckpt_init_message {
	int32_t kind;
	int32_t value;
	char text[120];
};

/**
 * ckpt_init_middle - the process between the caller and init
 * @control: its end of the socket
 * @exec_fd: closed when the command was executed, gets errno when not; or -1
 *
 * Enters the namespaces that only children can enter, makes init as its own
 * sibling and exits.
 */
void ckpt_init_middle(const struct ckpt_init_params *params, int control, int exec_fd,
		      int cgroup_fd) __attribute__((noreturn));

#endif
