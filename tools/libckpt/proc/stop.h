/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stop of a group: hold every thread, read the tree, let it go
 *
 * The work is done by the keeper, a child process forked by ckpt_stop_open:
 * it is the tracer.  When the caller dies at any instruction the keeper puts
 * back what was changed, detaches, thaws the cgroup and exits.  When the
 * keeper dies the kernel detaches, and the next call here thaws the cgroup and
 * fails.  A caller that keeps the tree stopped for longer than hold_ms finds
 * it released.
 *
 * The keeper leaves the caller's session and its cgroup (for the root of cgroup
 * v2, or where that takes nobody for /ckpt.keeper, which stays), where it is
 * permitted to: whoever kills the caller's service does not kill it.
 *
 * What stays open if the KEEPER is killed by SIGKILL (nothing else ends it):
 * while the injected pages are being mapped or unmapped (twice inside
 * ckpt_stop_collect, in all processes at once, some tens of microseconds for
 * each of them) the first thread of each has no way back to its own registers;
 * at any other instant of collect the injected code returns by rt_sigreturn, and its page
 * stays mapped.  Calls that the kernel does not restart (epoll_wait,
 * sigtimedwait, semtimedop, io_getevents) end with EINTR until collect has
 * read the registers.  Other objects have moments of their own:
 * docs/processes.md, "A killed keeper".  If keeper and caller die together
 * between freeze and thaw, the cgroup stays frozen: write 0 to its
 * cgroup.freeze.
 *
 * Every wait for a task is bounded.  When somebody else freezes the cgroup (or
 * one above or below it) at the very moment of a remote call, the stop fails
 * with the name of the thread after a second, and the tree is let go.
 *
 * After an orderly release such a call is made again, unless a handler is due,
 * with the time that was left as all others are: docs/processes.md, "Calls that
 * wait".
 *
 * LOCKING: one thread of the caller uses a stop at a time.
 * LIFETIME: open, begin, collect, release or kill, close; close may follow any.
 */
#ifndef CKPT_PROC_STOP_H
#define CKPT_PROC_STOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "proc/image.h"
#include "proc/survey.h"

struct ckpt_stop;

/**
 * struct ckpt_stop_params - what is stopped
 * @cgroup: directory of a cgroup v2 that has cgroup.freeze; tasks in cgroups below
 *	it are refused; NULL: the tree below @pid
 * @pid: root of the tree when there is no cgroup; else 0
 * @freeze_ms: bound for reaching the stop; 0: 500
 * @vfork_ms: how long a vfork or posix_spawn in flight is waited out, and events of an
 *	inotify or something in a pseudo terminal that the tree has not read and that cannot
 *	be told or made again; 0: 2000
 * @hold_ms: how long the keeper waits for the next call before it lets go; 0: 10000
 * @unhurried: the flags of memory are read within the stop, which is slow, so that what becomes
 *	of them after it does not matter; so they are with more than 10000 as @hold_ms
 * @path_of: names that the caller knows of an inode, or of others of that number: the @nth,
 *	absolute and allocated, or NULL; asked for what is watched where the kernel tells no
 *	path, and for files whose name is gone, by the keeper, in its copy of the caller's
 *	memory; NULL: none
 * @path_arg: passed on
 * @survey: the look before the stop goes on after a refusal, for ckpt_stop_survey
 * @watched: a tracker may have registered private memory of the tree to be told of writes;
 *	what somebody else has registered so it says itself
 * @tcp_repair: it is to be killed, and its TCP connections to the outside are to go on after a
 *	restore: see ckpt_stop_kill
 * @keep_fd: a descriptor that the keeper has open until its end, a lock say; NULL: none
 */
struct ckpt_stop_params {
	const char *cgroup;
	pid_t pid;
	uint32_t freeze_ms;
	uint32_t vfork_ms;
	uint32_t hold_ms;
	bool survey, unhurried;
	char *(*path_of)(const void *arg, uint64_t ino, size_t nth);
	const void *path_arg;
	bool watched, tcp_repair;
	const int *keep_fd;
};

/**
 * ckpt_stop_open - fork the keeper and look at the running tree
 * @params: copied
 * @ret: handle, to be closed with ckpt_stop_close
 *
 * Nothing is stopped yet.  What cannot be captured is refused here where it
 * shows from outside (CKPT_REFUSED); the slow reads (smaps) are done here.
 *
 * The fork makes the caller's private memory copy-on-write: buffers for the
 * stopped time are to be allocated and touched after this call, or be shared
 * mappings.
 *
 * Return: 0 or -1.
 */
int ckpt_stop_open(const struct ckpt_stop_params *params, struct ckpt_stop **ret,
		   struct ckpt_err *err);

/*
 * Is the tree told by an inotify when somebody opens or reads a file?  Then no file may be opened
 * that it may watch from ckpt_stop_begin on until it was collected: the event would be taken for
 * one that the tree has not read.
 */
bool ckpt_stop_sees_reads(const struct ckpt_stop *stop);

/**
 * ckpt_stop_begin - stop every thread of the tree
 *
 * With a cgroup: freeze, seize and interrupt, thaw, so that what follows holds
 * by ptrace alone.  On failure the tree runs on.
 *
 * Return: 0 with the tree stopped, or -1.
 */
int ckpt_stop_begin(struct ckpt_stop *stop, struct ckpt_err *err);

/* Of the freeze that ckpt_stop_begin began: how long it was until every thread had stopped. */
uint64_t ckpt_stop_took_ns(const struct ckpt_stop *stop);

/**
 * ckpt_stop_survey - everything that would be refused, of the look before the stop as well
 * @ret: added to
 * @ret_image: when nothing is refused, as ckpt_stop_collect_wait gives it
 *
 * Of a tree that could not be stopped, what the look before it has found.  On failure it was
 * let go.
 */
int ckpt_stop_survey(struct ckpt_stop *stop, struct ckpt_survey *ret,
		     struct ckpt_image *ret_image, struct ckpt_err *err);

/**
 * ckpt_stop_want - processes of which the next collect gets a userfaultfd
 * @pids: as the caller sees them
 *
 * Where it is then says the image (ckpt_mm.userfault), for ckpt_stop_fetch.
 */
int ckpt_stop_want(struct ckpt_stop *stop, const int32_t *pids, size_t n, struct ckpt_err *err);

/* A descriptor of the keeper. Return: our own one for the same file, or -1. */
int ckpt_stop_fetch(struct ckpt_stop *stop, int fd, struct ckpt_err *err);

/**
 * ckpt_stop_collect_start - let the keeper read the tree
 *
 * Returns at once; meanwhile the caller may take dirty sets and read memory of
 * the stopped tasks.  While it runs each address space has one area more, which
 * the image names as skip_start and skip_end.
 */
int ckpt_stop_collect_start(struct ckpt_stop *stop, struct ckpt_err *err);

/**
 * ckpt_stop_collect_wait - the tree as the keeper read it
 * @ret: image with host pids and the ways to descriptors filled; owned by the
 *	caller, ckpt_image_done
 *
 * On failure the tree was let go and runs on.
 *
 * Return: 0 or -1 (CKPT_REFUSED: holds something this version cannot restore).
 */
int ckpt_stop_collect_wait(struct ckpt_stop *stop, struct ckpt_image *ret, struct ckpt_err *err);

/* Both of the above. */
int ckpt_stop_collect(struct ckpt_stop *stop, struct ckpt_image *ret, struct ckpt_err *err);

/**
 * ckpt_stop_holding - make sure that the tree has been held until now
 *
 * For who does not release it: what was copied is of one instant only if the
 * keeper is there yet.  The time it holds the tree without a word starts anew.
 * On failure the tree runs on.
 *
 * @ret_freeze_ns: how long it has stood still
 */
int ckpt_stop_holding(struct ckpt_stop *stop, uint64_t *ret_freeze_ns, struct ckpt_err *err);

/**
 * ckpt_stop_release - let the tree run on
 *
 * The flags of its memory, read before the stop, are looked at once more; when
 * one has changed the tree runs on all the same and the image is not to be used.
 *
 * @ret_freeze_ns: from the write of cgroup.freeze (or the first interrupt) to
 *	the last detach; may be NULL
 */
int ckpt_stop_release(struct ckpt_stop *stop, uint64_t *ret_freeze_ns, struct ckpt_err *err);

/**
 * ckpt_stop_kill - kill the stopped tree instead
 *
 * Returns when every process is gone or a zombie.  With tcp_repair the other ends of those
 * connections to the outside to which nothing has come since they were read do not hear of it;
 * the others are reset.  ckpt_stop_tcps says how many.
 */
int ckpt_stop_kill(struct ckpt_stop *stop, uint64_t *ret_freeze_ns, struct ckpt_err *err);
void ckpt_stop_tcps(const struct ckpt_stop *stop, uint32_t *ret_left, uint32_t *ret_reset);

/* Let go of whatever is still held and reap the keeper; NULL is fine. */
void ckpt_stop_close(struct ckpt_stop *stop);

static inline void ckpt_stop_cleanup(struct ckpt_stop **stop)
{
	ckpt_stop_close(*stop);
}

#define cleanup_stop __attribute__((cleanup(ckpt_stop_cleanup)))

#endif
