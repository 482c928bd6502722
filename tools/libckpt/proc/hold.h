/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Held tree: the processes that a keeper stops, and what it changed in them
 *
 * LOCKING: none, the keeper is one thread.
 * LIFETIME: ckpt_hold_init, ckpt_hold_stop, reads, ckpt_hold_release,
 * ckpt_hold_done.  A process stays in the table until ckpt_hold_forget.
 */
#ifndef CKPT_PROC_HOLD_H
#define CKPT_PROC_HOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

#include "base/buf.h"
#include "base/err.h"
#include "proc/due.h"
#include "proc/image.h"
#include "proc/inotify.h"
#include "proc/parse.h"
#include "proc/pty.h"
#include "proc/sem-undo.h"
#include "proc/stop.h"
#include "proc/survey.h"
#include "proc/unix-peek.h"
#include "proc/vdso.h"

/**
 * struct ckpt_held_thread - a thread that is or will be traced
 * @tid: as the keeper sees it
 * @stopped: in a ptrace stop, inside signal delivery (where the kernel
 *	restarts an interrupted call when it is let go)
 * @group_stop: the job-control signal it was stopped by before us, or 0
 * @regs_known: @regs and @sigmask are its own
 * @forgiven: the stop alone has ended its call, with EINTR; it is made again
 * @regs_changed, @mask_changed: they are to be put back
 * @mask_set: we have set its mask, so that the kernel has forgotten that of a call
 *	(ppoll, sigsuspend, ...), and what only that one held back is delivered
 * @stop_due, @sys_due: a SIGSTOP, a SIGSYS came during our calls and was taken out
 * @dispatch_known: this kernel says that it does not use syscall user dispatch; else
 *	a call of ours may raise SIGSYS
 * @call: number of the system call it is in, for a call that is to be made again
 * @rseq_*: PTRACE_GET_RSEQ_CONFIGURATION
 * @xstate: NT_X86_XSTATE
 * @filters: its seccomp filters, the oldest first
 */
struct ckpt_held_thread {
	pid_t tid;
	bool seized, stopped, gone;
	int group_stop;
	bool regs_known, regs_changed, mask_changed, mask_set, stop_due, sys_due;
	bool dispatch_known, forgiven;
	struct user_regs_struct regs;
	uint64_t sigmask;
	long call;
	uint64_t rseq_ptr;
	uint32_t rseq_size, rseq_sig, rseq_flags;
	uint8_t *xstate;
	size_t xstate_len;
	struct ckpt_filter *filters;
	size_t n_filters;
	struct ckpt_proc_status status;
	char *status_text;
};

/**
 * struct ckpt_held_proc - a process of the tree
 * @dir: descriptor of /proc/PID: a reused pid is not mistaken for it
 * @start_time: /proc/PID/stat 22, the other half of its identity
 * @page, @page_len: memory mapped into it by inject.c, 0: none
 * @page_was: where that was, for the image, after it is gone
 * @threads: leader first
 * @has_uring: it holds an io_uring, which a thread may have registered
 * @refused: at a survey: for what a thread of it runs; nothing is called in it
 */
struct ckpt_held_proc {
	pid_t pid;
	int dir;
	bool zombie;
	uint64_t start_time;
	char comm[16];
	struct ckpt_proc_stat stat;
	struct ckpt_held_thread *threads;
	size_t n_threads;
	uint64_t page, page_len;
	uint64_t page_was, page_was_len;
	bool has_uring, refused;
};

struct ckpt_seen_range {
	uint64_t start, end;
};

/* An area of a smaps text: its line in maps, parsed and as text, and what VmFlags says. */
struct ckpt_smaps_area {
	struct ckpt_maps_line line;
	struct ckpt_vm_flags flags;
	const char *text;
	size_t len;
};

/* A smaps text, and its areas, which point into it. */
struct ckpt_smaps {
	char *text;
	struct ckpt_smaps_area *areas;
	size_t n;
};

/* smaps-read.c: of a process; @ret: to be done with. Return: 0 or -errno. */
int ckpt_smaps_read(const struct ckpt_held_proc *p, struct ckpt_smaps *ret);
void ckpt_smaps_done(struct ckpt_smaps *smaps);

/*
 * smaps of a process as read before the freeze; @used: flags in the image are from it; @uring:
 * it maps an io_uring; @guessed: areas that are not in it as they were at the stop.
 */
struct ckpt_seen {
	pid_t pid;
	uint64_t start_time;
	struct ckpt_smaps smaps;
	bool used, uring;
	struct ckpt_seen_range *guessed;
	size_t n_guessed;
};

/* An inotify that a process was seen to have. */
struct ckpt_held_queue {
	pid_t pid;
	int fd;
};

/**
 * struct ckpt_seen_watch - what is watched, as found before the freeze
 * @dev, @ino: of what is at @path
 */
struct ckpt_seen_watch {
	struct ckpt_proc_watch watch;
	uint64_t dev, ino;
	char *path;
};

/**
 * struct ckpt_held_tcp - a connection to the outside, as it was read
 * @pid, @fd: who has it
 * @own: a descriptor of ours, once the tree is being killed, or -1
 * @in, @end: sequence numbers behind the last byte that came, and that was written
 */
struct ckpt_held_tcp {
	pid_t pid;
	int fd, own;
	uint32_t in, end;
};

/**
 * struct ckpt_hold - the tree
 * @cgroup, @freeze, @events: descriptors, -1 in pid mode
 * @root: pid in pid mode
 * @frozen: we wrote 1 to cgroup.freeze and not yet 0
 * @caller: the process that asked; it must not be in the tree
 * @path_of, @path_arg: as in struct ckpt_stop_params
 * @survey: where refusals are noted; NULL: the first one ends it
 * @unhurried: the caller holds the tree long anyway: what is slow is read within the stop
 * @watched: writes to its private memory may be told to a tracker
 * @tcp_repair: its connections to the outside are to go on after a restore
 * @tcps: those that may
 * @wanted: pids of which a userfaultfd is wanted
 * @began_ns: CLOCK_MONOTONIC of the first act on the running tree
 * @stopped_ns: likewise, of when all threads stood; 0: not yet
 * @due: notes when calls were to end
 * @limits: threads that wait on a socket with a limit; @guard, @guarded: a process that sees
 *	to it, 0: none, and a descriptor that it hears by, -1: none
 * @queues: inotifies, as the scan found them
 * @watches: what they watched then
 * @sees_reads: one of them is told of files that are opened or read
 * @vdso: our own; its code is the highest part
 * @cpus: those that a task of its cgroup has that asks for none, as the scan found them
 * @label: security label of all of the tree, as the scan found it; NULL: none
 * @ttys: terminals of the tree that the scan found
 * @peek, @peek_tried: program that knows what waits in them; it was made, or could not be
 * @events_peek, @events_peek_tried: the same of inotifies; @events_wanted: it is to be made
 * @waiting_peek, @waiting_peek_tried: the same of connections that nobody has accepted
 * @net: what the scan found in a network namespace of the tree's own; NULL: it has none
 * @mqueues: mount of the message queues of the tree's own ipc namespace, -1: none
 * @flight: descriptors of ours, of files that wait in queues of the stopped tree
 * @undo_peek: program that knows adjustments of semaphores
 * @scratch: for one /proc text at a time
 * @maps: for those of maps, which are long
 */
struct ckpt_hold {
	int cgroup, freeze, events;
	pid_t root;
	bool frozen, unhurried, watched, tcp_repair;
	struct ckpt_held_tcp *tcps;
	size_t n_tcps;
	int32_t *wanted;
	size_t n_wanted;
	pid_t caller;
	struct ckpt_survey *survey;
	uint32_t freeze_ms, vfork_ms;
	char *(*path_of)(const void *arg, uint64_t ino, size_t nth);
	const void *path_arg;
	uint64_t began_ns, stopped_ns;
	struct ckpt_due due;
	struct ckpt_held_limit *limits;
	size_t n_limits;
	pid_t guard;
	int guarded;
	struct ckpt_held_proc *procs;
	size_t n_procs;
	struct ckpt_seen *seen;
	size_t n_seen;
	struct ckpt_held_queue *queues;
	size_t n_queues;
	struct ckpt_seen_watch *watches;
	size_t n_watches;
	bool sees_reads;
	struct ckpt_held_tty *ttys;
	size_t n_ttys;
	struct ckpt_pty_peek peek;
	bool peek_tried;
	struct ckpt_inotify_peek events_peek;
	bool events_peek_tried, events_wanted;
	struct ckpt_waiting_peek waiting_peek;
	bool waiting_peek_tried;
	struct ckpt_vdso vdso;
	struct ckpt_held_net *net;
	int mqueues;
	int *flight;
	size_t n_flight;
	struct ckpt_undo_peek undo_peek;
	uint8_t cpus[CKPT_CPUS_LEN];
	char *label;
	struct ckpt_buf scratch, maps;
};

int ckpt_hold_init(struct ckpt_hold *hold, const struct ckpt_stop_params *params, pid_t caller,
		   struct ckpt_err *err);
void ckpt_hold_done(struct ckpt_hold *hold);
/* net-read.c: what the scan found in the network namespace. */
void ckpt_net_forget(struct ckpt_hold *hold);
/* Empty the table; nothing may be seized any more. */
void ckpt_hold_forget(struct ckpt_hold *hold);

/* Free what an entry of the table owns. */
void ckpt_hold_drop(struct ckpt_held_proc *p);

/* tree.c: what belongs to the tree; each adds what is new and says how much. */
ssize_t ckpt_tree_list_cgroup(struct ckpt_hold *hold, struct ckpt_err *err);
ssize_t ckpt_tree_list_children(struct ckpt_hold *hold, struct ckpt_err *err);
ssize_t ckpt_tree_list_threads(struct ckpt_hold *hold, struct ckpt_err *err);
/* Two processes of one address space: a vfork in flight. Return: 1 and who, 0, -1. */
int ckpt_tree_vfork(struct ckpt_hold *hold, pid_t *ret_parent, pid_t *ret_child);
/* Tell processes that ended while the others were stopped: zombie or gone. */
void ckpt_tree_prune(struct ckpt_hold *hold);
/*
 * Do threads go on without their first one, which has ended?  All of a process
 * that exits are there for a moment after it.
 */
bool ckpt_tree_outlived(const struct ckpt_held_proc *p);
/* Is this process gone by now, or a zombie? */
bool ckpt_tree_ended(struct ckpt_hold *hold, const struct ckpt_held_proc *p);
/* Of one that is held: has it ended, or is it on its way there? That takes a SIGKILL. */
bool ckpt_tree_ending(const struct ckpt_held_proc *p);
/* Of one that was held: is it gone, or the zombie of one that was killed? */
bool ckpt_tree_was_killed(struct ckpt_hold *hold, const struct ckpt_held_proc *p);
struct ckpt_held_proc *ckpt_tree_find(struct ckpt_hold *hold, pid_t pid);
/* One that is no zombie, of a tree that has any such. */
struct ckpt_held_proc *ckpt_first_held(struct ckpt_hold *hold);

/* freeze.c: the cgroup freezer. */
int ckpt_freeze_open(struct ckpt_hold *hold, const char *cgroup, struct ckpt_err *err);
/*
 * Refuse what somebody else has frozen: the group's cgroup, one above or below
 * it, or in pid mode that of a process.  A task in it never returns from a
 * call that is injected.
 */
int ckpt_freeze_foreign(struct ckpt_hold *hold, struct ckpt_err *err);
/* On failure still frozen in part: ckpt_freeze_off is due. */
int ckpt_freeze_on(struct ckpt_hold *hold, struct ckpt_err *err);
void ckpt_freeze_off(struct ckpt_hold *hold);

/* seize.c: ptrace stops. */
int ckpt_seize_all(struct ckpt_hold *hold, struct ckpt_err *err);
/* Wait until every seized thread is stopped. Return: 0; 1 not by then, one of them in @ret. */
int ckpt_seize_wait(struct ckpt_hold *hold, uint64_t until_ns, struct ckpt_held_proc **ret_proc,
		    pid_t *ret_tid);
/* Put registers and masks back, detach, thaw.  Never fails: who is gone is gone. */
void ckpt_hold_release(struct ckpt_hold *hold);

/* seize.c: @t's registers as ready to run on from the start of the call it is in. */
struct user_regs_struct ckpt_held_regs(const struct ckpt_held_thread *t);
/* The same for a thread that goes through signal delivery before it runs. */
struct user_regs_struct ckpt_held_regs_deferred(const struct ckpt_held_thread *t);
/*
 * A call that has ended with EINTR because of the stop alone is made again when the thread goes
 * on, also where nobody is left who could see to it then.  Its registers are known.
 */
int ckpt_held_forgive(struct ckpt_held_thread *t, struct ckpt_err *err);

/*
 * wait-held.c: when the thread goes on, a call that is made again is to last for what is left of
 * its time. @rewound: it makes it by itself, a handler runs before. Return: true when its
 * registers, which are known, have changed.
 */
bool ckpt_held_wait_go_on(const struct ckpt_hold *hold, struct ckpt_held_thread *t, bool rewound);

/*
 * socket-limit.c: note a thread that waits on a socket with a limit; give all of these sockets
 * what is left, and tell that the threads have been let go, so that it is put back soon; see
 * that it was, as late as you like.
 */
void ckpt_limits_note(struct ckpt_hold *hold, const struct ckpt_held_proc *p,
		      const struct ckpt_held_thread *t);
void ckpt_limits_shorten(struct ckpt_hold *hold);
void ckpt_limits_go(struct ckpt_hold *hold);
void ckpt_limits_settle(struct ckpt_hold *hold);

/* flight-read.c: no file of the tree is open with us any more. */
void ckpt_flight_done(struct ckpt_hold *hold);

/*
 * inotify-queue.c: know of an inotify, and by its fdinfo (or NULL) of what it is told; make what
 * tells of events that wait; do some wait in one?
 */
int ckpt_queue_note(struct ckpt_hold *hold, pid_t pid, int fd, const char *fdinfo,
		    struct ckpt_err *err);
void ckpt_queue_ready(struct ckpt_hold *hold);
bool ckpt_queue_waits(pid_t pid, int fd);
/* Those that wait, into @in, which has its watches in order; what cannot be restored is refused. */
int ckpt_queue_read(struct ckpt_hold *hold, pid_t pid, int fd, struct ckpt_inotify *in,
		    struct ckpt_err *err);
/*
 * Return: 0 what waits in those that are known can be restored; 1 it cannot, with a refusal in
 * @ret_why; -1.
 */
int ckpt_queues_check(struct ckpt_hold *hold, struct ckpt_err *ret_why, struct ckpt_err *err);
/*
 * uring-work.c: is @tid of @p a thread of the kernel, that is not for us? Are requests under way
 * in the io_urings of the tree, which is stopped?
 */
bool ckpt_uring_worker(const struct ckpt_hold *hold, const struct ckpt_held_proc *p, pid_t tid);
bool ckpt_uring_at_work(struct ckpt_hold *hold);

/* hold.c: all of the above in order. */
/*
 * When a vfork is in flight, or something waits in a pseudo terminal that cannot be told or made
 * again, everybody runs on and is stopped again, for as long as vfork_ms says.  What waits then is
 * refused when it is read.
 */
int ckpt_hold_stop(struct ckpt_hold *hold, struct ckpt_err *err);

#endif
