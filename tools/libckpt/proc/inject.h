/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Injected calls: what only a task itself can tell
 *
 * One mapping per process holds the code and a slot per thread: a table of
 * calls, room for what they write, and a signal frame with the thread's own
 * registers, mask and extended state.  All threads run their tables at the
 * same time.  The mapping is gone again before the tree is released.
 *
 * Waits are bounded by a signal that the caller lets come now and then: see
 * keeper.c.
 *
 * LIFETIME: prepare, map, add calls and start and wait (any number of times), unmap, done.  What
 * is mapped in several processes is so in three steps, each in all of them: start, go, end.  From
 * start to end a process has no way back if the keeper dies.
 */
#ifndef CKPT_PROC_INJECT_H
#define CKPT_PROC_INJECT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "proc/hold.h"

/* As inject-code.S reads it. */
struct ckpt_inject_call {
	uint64_t nr;
	uint64_t args[6];
	int64_t value;
};

/**
 * struct ckpt_inject_slot - a thread's part of the mapping, as offsets in it
 * @calls, @max, @n: the table
 * @out, @out_len, @out_used: what calls write
 * @frame: the signal frame
 * @sp: stack pointer at which rt_sigreturn finds it
 * @sig: signal that ends the run, 0: stopped at the last call instead
 * @held_back: its own mask holds @sig back, which somebody may wait for all the same
 * @aside: the table is done, and a stop is awaited that is of no signal and no call
 * @running: started and not yet back
 * @fetch: stop before a close, to get what it closes: @fetched, -errno when there is none
 */
struct ckpt_inject_slot {
	size_t calls, max, n;
	size_t out, out_len, out_used;
	size_t frame;
	uint64_t sp;
	int sig;
	bool held_back, aside, running, fetch;
	int fetched;
};

/* How far the first thread is with the call that maps or unmaps. */
enum ckpt_inject_leading { CKPT_INJECT_NONE, CKPT_INJECT_BEGINS, CKPT_INJECT_GOES };

/**
 * struct ckpt_inject - the mapping of a process
 * @ready: nothing is in the way of mapping it
 * @at: a syscall instruction in it
 * @local: copy of the mapping here
 * @used, @len: bytes of that, and of the mapping
 * @slots: by index of the thread
 */
struct ckpt_inject {
	struct ckpt_held_proc *proc;
	enum ckpt_inject_leading leading;
	bool ready;
	uint64_t at;
	uint8_t *local;
	size_t used, len;
	struct ckpt_inject_slot *slots;
};

/* All that may fail or takes long, before a register of anybody is changed. */
int ckpt_inject_prepare(struct ckpt_inject *inject, struct ckpt_held_proc *proc, uint64_t at,
			struct ckpt_err *err);
int ckpt_inject_map_start(struct ckpt_inject *inject, struct ckpt_err *err);
int ckpt_inject_map_end(struct ckpt_inject *inject, struct ckpt_err *err);

/**
 * ckpt_inject_out - room for what a call writes
 * @thread: index in proc->threads
 * @ret_local: where it can be read after the run
 *
 * Return: its address in the process.
 */
uint64_t ckpt_inject_out(struct ckpt_inject *inject, size_t thread, size_t size,
			 const void **ret_local);

/* Add a call. Return: the entry, whose value is valid after the run. */
const struct ckpt_inject_call *ckpt_inject_call(struct ckpt_inject *inject, size_t thread, long nr,
						uint64_t a, uint64_t b, uint64_t c, uint64_t d);

/* Let every thread with calls run them; then empty the tables for the next run. */
int ckpt_inject_start(struct ckpt_inject *inject, struct ckpt_err *err);
int ckpt_inject_wait(struct ckpt_inject *inject, struct ckpt_err *err);

/**
 * ckpt_inject_fetch - a descriptor that a call of the process opens, for ourselves
 * @nr, @a: the call
 * @ret_fd: our own, or -errno of the call, which may fail; -EACCES also when a seccomp filter
 *	could harm the process for it, and it was not made
 *
 * The process has it for as long as we need to get it: its next call closes it, whether
 * somebody traces it then or not.  The tables must be empty.
 */
int ckpt_inject_fetch(struct ckpt_inject *inject, long nr, uint64_t a, int *ret_fd,
		      struct ckpt_err *err);

int ckpt_inject_unmap_start(struct ckpt_inject *inject, struct ckpt_err *err);
int ckpt_inject_unmap_end(struct ckpt_inject *inject, struct ckpt_err *err);
/* All steps at once, where one process is alone; nothing where it has no mapping. */
int ckpt_inject_unmap(struct ckpt_inject *inject, struct ckpt_err *err);

/* Between a start and an end: let the call be made. Nothing to one that has not started. */
int ckpt_inject_go(struct ckpt_inject *inject, struct ckpt_err *err);
/* After a failure of another one: end what has been started. */
void ckpt_inject_settle(struct ckpt_inject *inject);
void ckpt_inject_done(struct ckpt_inject *inject);

/*
 * filter-inject.c: refuse a call at @at, or those of a table and the way back, in the middle of
 * which a thread with seccomp filters could not be left.
 */
int ckpt_inject_check(const struct ckpt_held_proc *p, const struct ckpt_held_thread *t,
		      uint64_t at, long nr, const uint64_t args[6], struct ckpt_err *err);
int ckpt_inject_check_table(const struct ckpt_inject *inject, size_t thread,
			    struct ckpt_err *err);
/* Is such a call of a table harmless to a thread? The page is mapped. */
bool ckpt_inject_spared(const struct ckpt_inject *inject, size_t thread, long nr,
			const uint64_t args[6]);

/* sigframe.c: bytes of a frame for the state of a thread, and the frame itself. */
size_t ckpt_sigframe_len(const struct ckpt_held_thread *thread);
/**
 * ckpt_sigframe_put - write the frame that brings a thread back
 * @data: zeroed, 64-byte aligned as @addr is
 * @addr: where @data will be in the process
 *
 * Return: the stack pointer for rt_sigreturn.
 */
uint64_t ckpt_sigframe_put(void *data, uint64_t addr, const struct ckpt_held_thread *thread);
/* Ask the processor before a stop what it takes long to tell. */
void ckpt_sigframe_warm_up(void);

#endif
