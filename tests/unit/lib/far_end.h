/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Far end: who the tree is connected to, over a network that can fail
 *
 * A process that answers tcp_stream.  It can be cut off from the tree, and that end without a word.
 */
#ifndef CKPT_TESTS_FAR_END_H
#define CKPT_TESTS_FAR_END_H

#include "lib/restore_cycle.h"

/**
 * struct far_end - the process
 * @dir, @port: its directory and its port
 * @cut: our descriptor of its socket while it is cut off, or -1
 * @stays_cut: also when the tree is restored
 */
struct far_end {
	pid_t pid;
	char dir[40], port[16];
	int cut;
	bool stays_cut;
};

extern struct far_end far_end;

/* Fixtures of each test. */
int far_end_start(void **state);
/* The same with little room for what comes. */
int far_end_start_small(void **state);
int far_end_stop(void **state);

/* Our own descriptor of the one connected socket of a process, or -1. */
int far_end_connection(pid_t pid);
/* The same of the one process of the tree. */
int far_end_of_tree(void);
/* What comes for it from now on is lost on its way. */
void far_end_cut(void);
/* Kill all of the tree, whose kernel tells the far end. */
void far_end_kill_tree(void);
/* The tree ends at once and says nothing of it, as if its machine had. */
void far_end_power_cut(void);
/* As cycle_restore; a far end that is cut off hears again once the connection is there anew. */
void far_end_restore(struct saved *s, struct ckpt_restore **ret,
		     struct ckpt_restore_result *result);

#endif
