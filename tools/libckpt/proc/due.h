/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Due times: when the calls that a stop interrupts would have ended by themselves
 *
 * A thread that waits for a limited time has a timer on its kernel stack.  It cancels it when it
 * is woken, before its call ends: two small BPF programs see that, and note the time that the
 * timer was set to, of threads that are woken for the sake of a stop alone.  So what is noted
 * is always of the call that the stop has ended, and who waits without a limit costs nothing.
 *
 * LIFETIME: open before the stop, asked from when all threads stand, close after the release.
 */
#ifndef CKPT_PROC_DUE_H
#define CKPT_PROC_DUE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* @map, @links: descriptors, -1: none; @host_ns: what the host's clock is ahead of ours. */
struct ckpt_due {
	int map, links[2];
	int64_t host_ns;
};

#define CKPT_DUE_NONE ((struct ckpt_due){ .map = -1, .links = { -1, -1 } })

/**
 * struct ckpt_due_time - what was noted of a thread
 * @at_ns: when its call was to end, by CLOCK_MONOTONIC of the caller
 * @stack_sp, @stack_len: its alternate signal stack; of no bytes: none
 */
struct ckpt_due_time {
	uint64_t at_ns;
	uint64_t stack_sp, stack_len;
};

/* Begin to note. Return: 0, or -1 when this kernel does not let us. */
int ckpt_due_open(struct ckpt_due *ret);
void ckpt_due_close(struct ckpt_due *due);

/**
 * ckpt_due_of - when was the call of a thread to end?
 * @since_ns: what was noted before that is of another stop
 *
 * Return: true with @ret, false when nothing was noted.
 */
bool ckpt_due_of(const struct ckpt_due *due, pid_t tid, uint64_t since_ns,
		 struct ckpt_due_time *ret);

#endif
