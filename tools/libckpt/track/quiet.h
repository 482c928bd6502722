/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Quiet: does any thread of a group, which runs, hold pages of memory for a write to come?
 *
 * A system call that writes to memory by its pages (direct I/O, process_vm_writev, /proc/PID/mem)
 * takes hold of them by a fault, and writes later without one.  Who is seen in user space, or
 * asleep in a call that does no such thing, has none: what it took hold of before it has let go.
 */
#ifndef CKPT_TRACK_QUIET_H
#define CKPT_TRACK_QUIET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * ckpt_quiet - look at each thread until it was seen so once
 * @pids: the processes; one that has ended has let go of everything
 *
 * Return: false when one was not within some milliseconds, or cannot be looked at: nothing is
 * known of it.
 */
bool ckpt_quiet(const int32_t *pids, size_t n);

#endif
