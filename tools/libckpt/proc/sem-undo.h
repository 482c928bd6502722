/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Adjustments: what the end of a process adds to semaphores (SEM_UNDO)
 *
 * No system call tells them.  That a task has none shows by a comparison with one that has none
 * (kcmp); else the kernel's memory is read (peek.h).
 */
#ifndef CKPT_PROC_SEM_UNDO_H
#define CKPT_PROC_SEM_UNDO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CKPT_UNDO_MEMBERS 16

/**
 * struct ckpt_undo_peek - a program that reads them
 * @program: a descriptor, -1: none
 * @tried: it was made, or could not be
 */
struct ckpt_undo_peek {
	int program;
	bool tried;
	uint32_t offset[CKPT_UNDO_MEMBERS];
};

#define CKPT_UNDO_PEEK_NONE { .program = -1 }

/* Those of one set. */
struct ckpt_undos {
	int32_t set;
	int16_t *adjust;
	size_t n;
};

/* How many semaphores set @id has; 0: it is none, and nothing is read of it. */
typedef size_t (*ckpt_sem_count_fn)(const void *arg, int32_t id);

void ckpt_undo_peek_close(struct ckpt_undo_peek *peek);

/**
 * ckpt_undos_get - the adjustments of a task that stands
 * @tid: host, in /proc/@dir
 * @dir: descriptor of its directory below /proc
 * @ret: @ret_n of them, each with at least one that is not zero; to be freed by ckpt_undos_done
 *
 * Return: 0, 1 when this kernel, or our rights, do not tell, or -1: no memory.
 */
int ckpt_undos_get(struct ckpt_undo_peek *peek, pid_t tid, int dir, ckpt_sem_count_fn count,
		   const void *arg, struct ckpt_undos **ret, size_t *ret_n);
void ckpt_undos_done(struct ckpt_undos *undos, size_t n);

#endif
