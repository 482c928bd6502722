/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Build: what the <object>-build.c files of restore share
 *
 * Where to start reading: ckpt_restore_build in restore.c calls the functions
 * below in their order.
 */
#ifndef CKPT_PROC_BUILD_H
#define CKPT_PROC_BUILD_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

#include "proc/init.h"
#include "proc/inotify.h"
#include "proc/inside.h"
#include "proc/parse.h"
#include "proc/placed.h"
#include "proc/pty.h"
#include "proc/restore.h"
#include "proc/vdso.h"

struct ckpt_build_task;

/**
 * struct ckpt_site - a stopped thread that makes system calls for us
 * @tid: host
 * @name: pid for messages, as in the image
 * @at: a syscall instruction in its memory
 * @scratch: memory of ours in its address space, CKPT_SCRATCH_LEN bytes
 * @memory: the task whose areas it has, its own or by a fork; NULL: it has but what is ours
 */
struct ckpt_site {
	pid_t tid;
	int32_t name;
	uint64_t at;
	uint64_t scratch;
	const struct ckpt_build_task *memory;
};

#define CKPT_SCRATCH_LEN 0x10000u

/**
 * ckpt_site_call - a call that must succeed
 * @what: for the message, as in "cannot WHAT"
 *
 * Return: its value, or -1 with @err naming the process, @what and the cause.
 */
int64_t ckpt_site_call(const struct ckpt_site *s, struct ckpt_err *err, const char *what, long nr,
		       const uint64_t args[6]);
/* A call whose failure means something: 0 when it was made, its value in @ret. */
int ckpt_site_try(const struct ckpt_site *s, struct ckpt_err *err, int64_t *ret, long nr,
		  const uint64_t args[6]);
/* Put bytes into the scratch memory. Return: their address, 0 with @err set. */
uint64_t ckpt_site_put(const struct ckpt_site *s, size_t offset, const void *data, size_t len,
		       struct ckpt_err *err);

/* With which all that is built is traced. */
#define CKPT_BUILD_OPTIONS (PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | \
			    PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK)

#define ARGS(...) ((const uint64_t[6]){ __VA_ARGS__ })

/* What was built, or what is there in its place, differs from the image. */
#define NOT_AS_CAPTURED(...) ckpt_fail(err, CKPT_DAMAGED, 0, __VA_ARGS__)

/**
 * struct ckpt_vdso_swap - the vdso of a tree and that of this kernel
 * @needed: they differ; else both are empty
 * @was: in the image
 * @is: in this process
 */
struct ckpt_vdso_swap {
	bool needed;
	struct ckpt_vdso_code was, is;
};

/**
 * struct ckpt_build_task - a task of the image as far as it exists
 * @task: in the image
 * @host: pid, 0 while unborn
 * @tids: host tids, as many as it has threads
 * @at: where its threads find a syscall instruction
 * @vdso: where the lowest part of this kernel's vdso lies in it, once it is placed
 * @filled: it has its memory
 * @forked: it was forked from this one, whose memory it has until it has its own; NULL: nobody
 * @kept: of each of its areas, where what it keeps of that memory ends; 0: it keeps nothing
 * @pages: that were placed in its memory
 * @placed: by what they are known again
 */
struct ckpt_build_task {
	const struct ckpt_task *task;
	pid_t host;
	pid_t *tids;
	uint64_t at;
	uint64_t vdso;
	bool filled;
	const struct ckpt_build_task *forked;
	uint64_t *kept;
	uint64_t pages;
	struct ckpt_placed *placed;
};

/**
 * struct ckpt_build_shm - memory without a name as far as it exists
 * @dev, @ino: of the file that it is
 * @late: its seals are set when everything is mapped
 * @at: a segment: where this process has it attached, or NULL
 * @made: a segment: to be removed unless the tree runs
 */
struct ckpt_build_shm {
	uint64_t dev, ino;
	bool late;
	void *at;
	bool made;
};

/**
 * struct ckpt_restore - a tree under construction
 * @region: address of scratch memory and, behind it, of the parked vdso: free
 *	in every address space of the image
 * @vdso: of this kernel, as in a fresh process
 * @vdso_swap: it, and that of the image
 * @fd_base: files of the image are open in init, and in every task until its
 *	own table is built, as descriptors @fd_base + index
 * @init_site: init as a thread that makes calls; tid 0 while it runs by itself
 * @init_regs: to go on with
 * @private_pidns: the tree has a pid namespace of its own, be it a new one
 * @spawned_ns: when the clocks of the tree went on from the cut, CLOCK_MONOTONIC
 * @ghost: next pid that the image does not use
 * @cpus: those that a task of the cgroup has that asks for none
 * @made: host ids of the tasks that exist and that ptrace holds, oldest first
 * @tasks: one for each of the image, same order
 * @shms: likewise; NULL before they are made
 * @outsides: TCP connections to the outside that are made anew
 * @tcp_repaired: how many go on; @tcp_reset: are reset; @tcp_why: why, of the first
 * @released: the tree is on its own
 */
struct ckpt_restore {
	struct ckpt_restore_params params;
	const struct ckpt_image *image;
	const struct ckpt_source *source;
	uint64_t region;
	struct ckpt_vdso vdso;
	struct ckpt_vdso_swap vdso_swap;
	uint32_t fd_base;
	struct ckpt_init init;
	struct ckpt_site init_site;
	struct user_regs_struct init_regs;
	bool private_pidns;
	uint64_t spawned_ns;
	int32_t ghost;
	uint8_t cpus[CKPT_CPUS_LEN];
	pid_t *made;
	size_t n_made;
	struct ckpt_build_task *tasks;
	struct ckpt_build_shm *shms;
	uint64_t pages;
	uint64_t build_ns, verify_ns;
	struct ckpt_outside *outsides;
	size_t n_outsides, tcp_repaired, tcp_reset;
	char tcp_why[128];
	struct ckpt_pty_peek pty_peek;
	bool pty_peek_tried;
	struct ckpt_inotify_peek inotify_peek;
	bool inotify_peek_tried;
	bool released;
};

/* A thread of a task as a site; the leader is thread 0. */
struct ckpt_site ckpt_build_site(const struct ckpt_restore *r, const struct ckpt_build_task *t,
				 size_t thread);
struct ckpt_build_task *ckpt_build_find(struct ckpt_restore *r, int32_t pid);

/* vdso-build.c */
bool ckpt_vdso_hash_is(const void *code, size_t len, const uint8_t hash[32]);
int ckpt_vdso_check(const struct ckpt_restore_params *params, struct ckpt_err *err);
int ckpt_vdso_park(struct ckpt_restore *r, const struct ckpt_site *s, uint64_t from,
		   uint64_t *ret_at, struct ckpt_err *err);
int ckpt_vdso_place(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err);
int ckpt_vdso_verify(const struct ckpt_restore *r, const struct ckpt_build_task *t,
		     struct ckpt_err *err);
/* Of a task whose vdso is another: is this one of the new one's areas? */
bool ckpt_vdso_is_new(const struct ckpt_restore *r, const struct ckpt_build_task *t,
		      uint64_t start);

/*
 * vdso-swap-build.c: do they differ? And when they do, can the tree go on with that of this
 * kernel, whose parts have @len bytes?
 */
int ckpt_vdso_swap_open(const struct ckpt_image *image, struct ckpt_vdso_swap *ret,
			struct ckpt_err *err);
int ckpt_vdso_swap_check(const struct ckpt_restore_params *params,
			 const struct ckpt_vdso_swap *swap, uint64_t len, struct ckpt_err *err);

/**
 * ckpt_vdso_room - where a vdso may lie that is not that of the image
 * @mm: none of its areas, and nothing that they may grow into
 * @base: where that of the image lies
 * @r: for the memory that it has meanwhile, which is not free either; NULL: none yet
 * @len: of all of its parts
 */
int ckpt_vdso_room(const struct ckpt_mm *mm, uint64_t base, const struct ckpt_restore *r,
		   uint64_t len, uint64_t *ret, struct ckpt_err *err);
/* Where the code of the vdso of @mm lies: in one piece, or it is refused. */
int ckpt_vdso_code_at(const struct ckpt_mm *mm, const struct ckpt_vdso_swap *swap, uint64_t *ret,
		      struct ckpt_err *err);

/*
 * namespace-build.c: can this machine make those that the tree has of its own; are they what the
 * image has, and every task in them?
 */
int ckpt_namespaces_machine(const struct ckpt_image *image, struct ckpt_err *err);
/* Semaphores and message queues of System V; and what a task has adjusted for its end. */
int ckpt_build_ipc(struct ckpt_restore *r, struct ckpt_err *err);
int ckpt_build_undos(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err);
int ckpt_verify_undos(struct ckpt_restore *r, struct ckpt_err *err);
/* When all segments are made and attached: the settings may allow no more of them. */
int ckpt_build_ipc_settings(struct ckpt_restore *r, struct ckpt_err *err);
/* A task into the cgroup namespace of the tree. */
int ckpt_build_cgroup_space(struct ckpt_restore *r, struct ckpt_build_task *t,
			    struct ckpt_err *err);
/* Lo, addresses and settings of the network, before there is a socket. */
int ckpt_build_net(struct ckpt_restore *r, struct ckpt_err *err);
/* When all sockets are made, what some settings allow. */
int ckpt_build_net_settings(struct ckpt_restore *r, struct ckpt_err *err);
/* A function called in the network namespace of the tree, be it our own. */
int ckpt_build_in_net(struct ckpt_restore *r, ckpt_inside_fn fn, struct ckpt_err *err);
int ckpt_verify_namespaces(struct ckpt_restore *r, struct ckpt_err *err);
/* A function called in the namespace @name of init. */
int ckpt_build_inside(const struct ckpt_restore *r, const char *name, ckpt_inside_fn fn, void *arg,
		      struct ckpt_err *err);

/* machine-build.c: what depends on the network: limits, names and addresses, that are tried. */
int ckpt_machine_network(const struct ckpt_image *image, struct ckpt_err *err);

/* init-build.c: init as a site, and its way back */
int ckpt_build_init(struct ckpt_restore *r, struct ckpt_err *err);
int ckpt_build_init_leave(struct ckpt_restore *r, struct ckpt_err *err);
/*
 * pids-build.c: as ckpt_restore_forecast; a pid that is neither of the image nor of anybody else
 */
int ckpt_pids_check(const struct ckpt_restore_params *params, int32_t *ret_taken,
		    struct ckpt_err *err);
int32_t ckpt_pids_spare(struct ckpt_restore *r);
/* Descriptors that init needs for the files of @image; they lie above all of the tree. */
uint64_t ckpt_build_fd_room(const struct ckpt_image *image);
/* The first pid above all that @image uses. */
int32_t ckpt_build_first_ghost(const struct ckpt_image *image);

/*
 * owner-build.c: who gets the signals of descriptors; and last of all, those that raise some do so
 * from now on, each by the number that it has in its process
 */
int ckpt_build_owners(struct ckpt_restore *r, struct ckpt_err *err);
int ckpt_build_async(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err);
/* Flags to open a file with: neither what acts once nor what is set when all is there. */
static inline uint32_t ckpt_build_open_flags(const struct ckpt_file *f)
{
	return f->flags & ~(uint32_t)(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_ASYNC);
}

/* file-build.c, pipe-build.c: open file descriptions, in init */
int ckpt_build_files(struct ckpt_restore *r, struct ckpt_err *err);
int ckpt_build_pipes(struct ckpt_restore *r, struct ckpt_err *err);
/* Capacity and content of a pipe or fifo that nobody else uses yet; @fd of this process. */
int ckpt_build_fill_pipe(int fd, const struct ckpt_pipe *p, struct ckpt_err *err);
/* A descriptor of init in this process; -1 with @err set. */
int ckpt_build_borrow(struct ckpt_restore *r, int fd, struct ckpt_err *err);
/* Move descriptor @fd of init to fd_base + @index. */
int ckpt_build_place(struct ckpt_restore *r, int64_t fd, size_t index, struct ckpt_err *err);
/* The same for one that was just made, with the flags of its description. */
int ckpt_build_place_new(struct ckpt_restore *r, int64_t fd, size_t index, struct ckpt_err *err);
/* Open @path in init with @flags as descriptor fd_base + @index. */
int ckpt_build_open(struct ckpt_restore *r, const char *path, uint32_t flags, uint32_t mode,
		    size_t index, struct ckpt_err *err);

/* Open what is behind another descriptor of init once more. */
int ckpt_build_reopen(struct ckpt_restore *r, uint32_t fd, uint32_t flags, size_t index,
		      struct ckpt_err *err);
/* File @index, a regular one, a directory, device or fifo, under a name that it has. */
int ckpt_build_named(struct ckpt_restore *r, const char *path, size_t index, struct ckpt_err *err);
/* Is it open, or on its way to who reads a message?  With which flags is it opened? */
bool ckpt_build_has_fd(const struct ckpt_image *image, size_t index);
uint32_t ckpt_build_file_flags(const struct ckpt_image *image, size_t index);
/*
 * deleted-build.c: one that has no name, with all descriptions of it; was it made together with
 * its file, which never had a name? Those come before the others.
 */
int ckpt_build_deleted(struct ckpt_restore *r, size_t index, struct ckpt_err *err);
bool ckpt_build_is_unnamed(const struct ckpt_file *f);

/* eventfd-build.c, timerfd-build.c, signalfd-build.c, epoll-build.c: what file @index leads to */
int ckpt_build_eventfd(struct ckpt_restore *r, size_t index, struct ckpt_err *err);
int ckpt_build_timerfd(struct ckpt_restore *r, size_t index, struct ckpt_err *err);
int ckpt_build_signalfd(struct ckpt_restore *r, size_t index, struct ckpt_err *err);
int ckpt_build_epoll(struct ckpt_restore *r, size_t index, struct ckpt_err *err);
/* inotify-build.c: an inotify that watches nothing yet; and then what all of them watch. */
int ckpt_build_inotify(struct ckpt_restore *r, size_t index, struct ckpt_err *err);
int ckpt_build_watches(struct ckpt_restore *r, struct ckpt_err *err);
/*
 * inotify-verify.c: does descriptor @text, fdinfo, watch what the image says, and does in file @f
 * wait what waited?
 */
int ckpt_verify_inotify(const struct ckpt_inotify *wanted, const char *text,
			struct ckpt_err *err);
int ckpt_verify_events(struct ckpt_restore *r, const struct ckpt_file *f, struct ckpt_err *err);
/*
 * inotify-event-build.c: what waits in inotify @index, which watches nothing yet; and can this
 * machine make that?
 */
int ckpt_build_events(struct ckpt_restore *r, size_t index, struct ckpt_err *err);
int ckpt_events_machine(const struct ckpt_image *image, struct ckpt_err *err);
/* Can this kernel give a watch its number? */
bool ckpt_inotify_has_numbers(void);
/* Can this user have @n more? Return: 0 or -1. */
int ckpt_inotify_room(size_t n);
/* pidfd-build.c: all of them, in init, when every process and thread is there */
int ckpt_build_pidfds(struct ckpt_restore *r, struct ckpt_err *err);
/* Does descriptor @text, fdinfo, lead where the image says? */
int ckpt_verify_pidfd(const struct ckpt_restore *r, const struct ckpt_pidfd *p, const char *text,
		      struct ckpt_err *err);
/* procfile-build.c: likewise; does descriptor @fd of @host lead where the image says? */
int ckpt_build_procfiles(struct ckpt_restore *r, struct ckpt_err *err);
int ckpt_verify_procfile(const struct ckpt_restore *r, const struct ckpt_file *f, pid_t host,
			 int fd, struct ckpt_err *err);
/* Can this kernel make one of a thread (Linux 6.9)? */
bool ckpt_pidfd_has_threads(void);
/* Can this kernel make one that has expired? */
bool ckpt_timerfd_has_ticks(void);
/* Timers run from now on; the last thing before the tree does. */
int ckpt_build_timerfds_arm(struct ckpt_restore *r, struct ckpt_err *err);
/*
 * pty-build.c: pseudo terminals with all descriptors of them; can they get their numbers, and
 * what is in them?  pty-fill-build.c: what is in @p, by its master.  pty-verify.c: is file @f what
 * the image has?
 */
int ckpt_build_ptys(struct ckpt_restore *r, struct ckpt_err *err);
int ckpt_build_pty_fill(const struct ckpt_pty *p, int master, struct ckpt_err *err);
int ckpt_ptys_free(const struct ckpt_image *image, struct ckpt_err *err);
int ckpt_verify_pty(struct ckpt_restore *r, const struct ckpt_file *f, struct ckpt_err *err);
/*
 * ctty-build.c: descriptor fd_base + @index of init becomes /dev/tty with the terminal whose
 * master is descriptor @master; a session leader gets its terminal before it forks, so that its
 * children have it; those that have none give it up; the group in the foreground of each.
 */
int ckpt_build_dev_tty(struct ckpt_restore *r, uint32_t master, size_t index, struct ckpt_err *err);
int ckpt_build_ctty(struct ckpt_restore *r, const struct ckpt_site *leader,
		    const struct ckpt_task *task, struct ckpt_err *err);
int ckpt_build_no_ctty(struct ckpt_restore *r, struct ckpt_err *err);
int ckpt_build_foreground(struct ckpt_restore *r, struct ckpt_err *err);
int ckpt_verify_ctty(struct ckpt_restore *r, const struct ckpt_build_task *t,
		     struct ckpt_err *err);
/* What epolls watch, when all files are open, pidfds as well. */
int ckpt_build_epolls(struct ckpt_restore *r, struct ckpt_err *err);
/*
 * uring-build.c: the io_urings of a task, when it has little memory but ours; are those parts
 * what the image has?
 */
int ckpt_build_urings(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err);
int ckpt_verify_urings(struct ckpt_restore *r, const struct ckpt_build_task *t,
		       struct ckpt_err *err);
/* Is descriptor @text, fdinfo of file @f, what the image has? */
int ckpt_verify_object(struct ckpt_restore *r, const struct ckpt_file *f, const char *text,
		       struct ckpt_err *err);

/*
 * shm-build.c: memory without a name, filled; the descriptor of init from which file and
 * mapping of @index are opened; seals that must wait; what this machine cannot make
 */
int ckpt_build_shms(struct ckpt_restore *r, struct ckpt_err *err);
uint32_t ckpt_shm_slot(const struct ckpt_restore *r, size_t index);
int ckpt_build_shms_seal(struct ckpt_restore *r, struct ckpt_err *err);
int ckpt_shm_machine(const struct ckpt_image *image, uint64_t eff, struct ckpt_err *err);
/* A descriptor of it in this process; -1 with @err set. */
int ckpt_shm_open(struct ckpt_restore *r, size_t index, struct ckpt_err *err);
/* shm-content.c: @fd is of @s */
int ckpt_shm_fill(struct ckpt_restore *r, const struct ckpt_shm *s, int fd, struct ckpt_err *err);
int ckpt_shm_compare(struct ckpt_restore *r, const struct ckpt_shm *s, int fd,
		     struct ckpt_err *err);
/* shm-verify.c: each by itself; those of a task */
int ckpt_verify_shms(struct ckpt_restore *r, struct ckpt_err *err);
int ckpt_verify_shm_uses(struct ckpt_restore *r, const struct ckpt_build_task *t,
			 struct ckpt_err *err);

/* sysv-build.c: the same for segments; @a is of one, in the memory of @s */
int ckpt_build_segment(struct ckpt_restore *r, size_t index, struct ckpt_err *err);
int ckpt_segment_open(struct ckpt_restore *r, size_t index, struct ckpt_err *err);
int ckpt_segment_attach(struct ckpt_restore *r, const struct ckpt_site *s,
			const struct ckpt_area *a, struct ckpt_err *err);
int ckpt_segment_verify(struct ckpt_restore *r, size_t index, struct ckpt_err *err);
int ckpt_segment_machine(const struct ckpt_image *image, uint64_t eff, struct ckpt_err *err);
/* The tree holds them now; and where it does not come to run, nobody needs them. */
void ckpt_segments_leave(struct ckpt_restore *r);
void ckpt_segments_remove(struct ckpt_restore *r);

/* task-build.c: processes, sessions, groups; zombie-build.c; thread-build.c */
int ckpt_build_tasks(struct ckpt_restore *r, struct ckpt_err *err);
int ckpt_build_zombies(struct ckpt_restore *r, struct ckpt_err *err);
/* Let a process end with wait status @code; ptrace has let go of it then. */
int ckpt_build_end(struct ckpt_restore *r, const struct ckpt_site *s, int code,
		   struct ckpt_err *err);
/* job-stop-build.c: it stops as it had, and stays so */
int ckpt_build_job_stop(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err);
int ckpt_build_threads(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err);

/* clone-build.c: a new process or thread, made by @s; @pid 0: any that is free */
int ckpt_build_clone(struct ckpt_restore *r, const struct ckpt_site *s, uint64_t flags,
		     int32_t pid, int exit_signal, pid_t *ret_host, struct ckpt_err *err);
/* @host has ended and was reaped, or was let go. */
void ckpt_build_forget(struct ckpt_restore *r, pid_t host);

/* mm-build.c: areas; memory-build.c: their content */
int ckpt_build_mm(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err);
int ckpt_build_mm_finish(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err);
/*
 * guard-build.c: guard regions of a task, when its memory is filled; can this kernel make them,
 * and are they there?
 */
int ckpt_build_guards(const struct ckpt_mm *mm, const struct ckpt_site *s, struct ckpt_err *err);
int ckpt_guards_machine(const struct ckpt_mm *mm, const struct ckpt_task *t, struct ckpt_err *err);
int ckpt_verify_guards(const struct ckpt_restore *r, const struct ckpt_build_task *t,
		       struct ckpt_err *err);
/*
 * Try on @page, anonymous and private, what makes an area like @a.
 * Return: 0, or -1 with errno: this kernel does not know it.
 */
int ckpt_mm_try(const struct ckpt_area *a, void *page);
int ckpt_build_memory(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err);
/* Both, unless that is done already. */
int ckpt_build_fill(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err);
int ckpt_memory_verify(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err);

/*
 * forked-build.c: may @b have been forked from @a, or both from a third one, and share memory?
 * A site without the memory of the one that it was forked from.  What task @t, which was forked
 * from t->forked, keeps of that one's memory; areas that are not in t->kept then are to be mapped.
 */
bool ckpt_build_alike(const struct ckpt_restore *r, const struct ckpt_build_task *a,
		      const struct ckpt_build_task *b);
int ckpt_build_leave_memory(struct ckpt_restore *r, struct ckpt_site *s, struct ckpt_err *err);
int ckpt_build_forked(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err);
void ckpt_build_forked_done(struct ckpt_build_task *t);

/**
 * struct ckpt_room - all that was free in an address space and is taken for a while
 * @site: of @task
 * @gaps: what was free, ascending
 */
struct ckpt_room {
	const struct ckpt_build_task *task;
	const struct ckpt_site *site;
	struct ckpt_room_gap {
		uint64_t start, end;
	} *gaps;
	size_t n;
};

/* room-build.c: take it, map areas of io_urings in it by descriptor @fd, leave the rest */
int ckpt_room_take(struct ckpt_room *room, struct ckpt_err *err);
int ckpt_room_map(struct ckpt_room *room, const struct ckpt_area *a, uint64_t fd,
		  struct ckpt_err *err);
int ckpt_room_leave(struct ckpt_room *room, const struct ckpt_mm *mm, struct ckpt_err *err);
void ckpt_room_done(struct ckpt_room *room);

/* fd-build.c: descriptor table, cwd, root; and then what leads to processes */
int ckpt_build_fds(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err);
int ckpt_build_late_fds(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err);

/*
 * lock-build.c: locks, when no descriptor of the process is closed any more; those held by others
 * that are in the way; is what @text, fdinfo of descriptor @fd, shows what the image has?
 */
int ckpt_build_locks(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err);
int ckpt_locks_free(const struct ckpt_restore_params *params, struct ckpt_err *err);
int ckpt_verify_locks(const struct ckpt_restore *r, const struct ckpt_task *task,
		      const struct ckpt_fd *fd, const char *text, struct ckpt_err *err);

/* timer-build.c: POSIX timers, made with their ids; then set, when nothing else is left */
int ckpt_build_timers(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err);
int ckpt_build_timers_arm(struct ckpt_restore *r, struct ckpt_build_task *t,
			  struct ckpt_err *err);
/* Let one expire that has done so; its signal is queued then. */
int ckpt_build_timer_fire(struct ckpt_restore *r, struct ckpt_build_task *t,
			  const struct ckpt_timer *timer, struct ckpt_err *err);
/* Can a process be given timers up to id @last here? */
bool ckpt_timers_reach(int32_t last);
int ckpt_verify_timers(const struct ckpt_build_task *t, struct ckpt_err *err);

/*
 * filter-build.c: seccomp filters; can this machine give them, and are those of a thread what
 * the image has?
 */
int ckpt_build_filters(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err);
int ckpt_filters_machine(const struct ckpt_image *image, const struct ckpt_proc_status *own,
			 struct ckpt_err *err);
int ckpt_verify_filters(const struct ckpt_restore *r, const struct ckpt_thread *thread, pid_t tid,
			const struct ckpt_proc_status *now, struct ckpt_err *err);

/* signal-build.c, sched-build.c, creds-build.c, attr-build.c */
int ckpt_build_signals(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err);
int ckpt_build_pending(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err);
/* Once more from the start, those of timers by letting these expire. */
int ckpt_build_pending_again(struct ckpt_restore *r, struct ckpt_build_task *t,
			     struct ckpt_err *err);
/* Do these wait for thread @tid, or for its process? @waiting: by number, as status has it. */
bool ckpt_pending_same(const struct ckpt_build_task *t, pid_t tid, bool shared, uint64_t waiting,
		       const siginfo_t *list, size_t n);
int ckpt_build_itimers(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err);
int ckpt_build_sched(const struct ckpt_restore *r, const struct ckpt_site *s,
		     const struct ckpt_thread *thread, struct ckpt_err *err);
int ckpt_verify_sched(const struct ckpt_restore *r, const struct ckpt_thread *thread, pid_t tid,
		      struct ckpt_err *err);
int ckpt_verify_limits(const struct ckpt_build_task *t, struct ckpt_err *err);
int ckpt_build_creds(const struct ckpt_site *s, const struct ckpt_creds *c, struct ckpt_err *err);
/* Does status show these? */
bool ckpt_creds_same(const struct ckpt_proc_status *now, const struct ckpt_creds *c);
/* A whole text file, allocated; the parsed status of a thread with the text it points into. */
int ckpt_build_text(const char *path, char **ret, struct ckpt_err *err);
int ckpt_build_status(pid_t tid, char **ret_text, struct ckpt_proc_status *ret,
		      struct ckpt_err *err);
int ckpt_build_attrs(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err);
/* attr-verify.c: what status does not show */
int ckpt_verify_attrs(struct ckpt_restore *r, const struct ckpt_build_task *t,
		      struct ckpt_err *err);

/* regs-build.c: what a thread starts with; nothing remote may follow */
int ckpt_build_regs(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err);
int ckpt_xstate_check(const struct ckpt_image *image, struct ckpt_err *err);

/* preflight-build.c, verify-build.c are called by restore.c alone; as ckpt_restore_forecast */
int ckpt_restore_check(const struct ckpt_restore_params *params, int32_t *ret_taken,
		       struct ckpt_err *err);
/* machine-build.c: limits, capabilities and abilities of this machine, and of this process. */
int ckpt_machine_check(const struct ckpt_image *image, struct ckpt_err *err);
/* What a message brings, by its descriptor in init. */
int ckpt_verify_brought(struct ckpt_restore *r, size_t index, struct ckpt_err *err);
int ckpt_verify_task(struct ckpt_restore *r, struct ckpt_build_task *t, struct ckpt_err *err);

#endif
