/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Readers: the held tree into an image, one file per kernel object
 *
 * Each refuses what restore could not rebuild, naming pid, command and object.
 * Those that need nothing of the task itself come first, so that nothing has
 * been changed when they refuse.
 */
#ifndef CKPT_PROC_READ_H
#define CKPT_PROC_READ_H

#include <sys/stat.h>

#include "proc/hold.h"
#include "proc/image.h"
#include "proc/inject.h"
#include "proc/inside.h"

/* A mapped file as maps names it, and its index in the image. */
struct ckpt_mapped {
	uint64_t dev, ino;
	uint32_t flags;
	uint32_t file;
};

/**
 * struct ckpt_points - our own mounts, as ways to watched inodes; none: all zero
 * @at: the one that is our working directory, or NULL
 */
struct ckpt_points {
	struct ckpt_point *list;
	size_t n;
	struct ckpt_point *at;
};

/**
 * struct ckpt_reader - an image being made
 * @hold: the tree, all of it stopped
 * @image: arrays grown with ckpt_grow
 * @mapped: files found through areas so far
 * @points: mounts, once something watched was looked for
 * @cut_ns: our CLOCK_MONOTONIC when @image->monotonic_ns was read
 * @vdso_hashed: image->vdso_hash is filled
 * @shm_dev: of the files that shared memory without a name is
 * @net_ino: of the network namespace of the tree; 0: this kernel has none
 * @queues: by index in image->unixes: what waits there
 */
struct ckpt_reader {
	struct ckpt_hold *hold;
	struct ckpt_image *image;
	struct ckpt_mapped *mapped;
	size_t n_mapped;
	struct ckpt_points points;
	uint64_t cut_ns;
	bool vdso_hashed;
	uint64_t shm_dev;
	uint64_t net_ino;
	struct ckpt_unix_queue *queues;
	size_t n_queues;
};

/* read.c: the whole tree. */
int ckpt_read_tree(struct ckpt_hold *hold, struct ckpt_image *ret, struct ckpt_err *err);

/* vdso-read.c: that of one process, kept once, and where it can make a call. */
int ckpt_read_vdso(struct ckpt_reader *r, const struct ckpt_held_proc *p, const struct ckpt_mm *mm,
		   uint64_t *ret_at, struct ckpt_err *err);

/* task-read.c */
int ckpt_read_task(struct ckpt_reader *r, struct ckpt_held_proc *p, struct ckpt_task *task,
		   struct ckpt_err *err);
/* Live processes sorted by the object of a KCMP_* type: who shares it stands side by side. */
int ckpt_read_sharing(struct ckpt_hold *hold, int type, struct ckpt_held_proc **ret_sorted,
		      size_t *ret_n, struct ckpt_err *err);
bool ckpt_read_same(const struct ckpt_held_proc *a, const struct ckpt_held_proc *b, int type);

/*
 * apart-read.c: refuse what is shared as no fork shares it: between two of the tree, @sorted has
 * room for all of them; with anybody outside, before the stop; with a parent outside, in it.
 */
int ckpt_apart_check(struct ckpt_hold *hold, struct ckpt_held_proc **sorted, struct ckpt_err *err);
int ckpt_apart_scan(struct ckpt_hold *hold, struct ckpt_err *err);
int ckpt_apart_parents(struct ckpt_hold *hold, struct ckpt_err *err);

/* thread-read.c: registers and status of every thread, before anything else. */
int ckpt_read_registers(struct ckpt_hold *hold, struct ckpt_err *err);
int ckpt_read_thread(struct ckpt_reader *r, struct ckpt_held_proc *p,
		     struct ckpt_held_thread *t, struct ckpt_thread *ret, struct ckpt_err *err);
/* wait-held.c: of the call it is in, when that ends by a time, how much is left. */
void ckpt_read_wait(const struct ckpt_reader *r, const struct ckpt_held_thread *t,
		    struct ckpt_thread *ret);

/* creds-read.c: of a thread or zombie of @p, from its status */
int ckpt_read_creds(struct ckpt_held_proc *p, const struct ckpt_proc_status *s,
		    struct ckpt_creds *ret, struct ckpt_err *err);

#define CKPT_SPACES 10

/* A mount of the tree that we do not have; @what: where it is and its type. */
struct ckpt_lost_mount {
	uint64_t id;
	char *what;
};

/**
 * struct ckpt_spaces - the namespaces of a tree, as links below /proc/PID/ns
 * @self: /proc/self of the reader
 * @own: the reader's; NULL: this kernel has no such namespaces
 * @tree: those of the first process looked at
 * @mounts_known: the tree has mounts of its own, and they were compared
 * @lost: those that a restore would not make
 */
struct ckpt_spaces {
	int self;
	char *own[CKPT_SPACES];
	char *tree[CKPT_SPACES];
	bool mounts_known;
	struct ckpt_lost_mount *lost;
	size_t n_lost;
};

#define CKPT_SPACES_NONE { .self = -1 }

/*
 * namespace-read.c: every process lives in those of the first one, and these
 * are either made anew by a restore (pid, time, and the mounts beside them) or
 * our own.
 */
int ckpt_spaces_open(struct ckpt_spaces *spaces, struct ckpt_err *err);
int ckpt_spaces_check(struct ckpt_spaces *spaces, struct ckpt_held_proc *p, struct ckpt_err *err);
void ckpt_spaces_done(struct ckpt_spaces *spaces);
int ckpt_read_namespaces(struct ckpt_reader *r, struct ckpt_err *err);
/* A function called in the ipc namespace of the tree, be it our own. */
int ckpt_read_in_ipc(struct ckpt_reader *r, ckpt_inside_fn fn, void *arg, struct ckpt_err *err);
/* ipc-read.c: that of @p, which is the tree's own: its settings. */
int ckpt_read_ipc(struct ckpt_reader *r, const struct ckpt_held_proc *p, struct ckpt_err *err);
/* Is namespace @name ("net") of the tree one of its own? */
bool ckpt_spaces_own(const struct ckpt_spaces *spaces, const char *name);
/*
 * net-read.c: what is in that of @p, which is the tree's own, before the stop; the same into the
 * image, when it is stopped; and is it so still?
 */
int ckpt_net_scan(struct ckpt_hold *hold, const struct ckpt_held_proc *p, struct ckpt_err *err);
int ckpt_read_net(struct ckpt_reader *r, const struct ckpt_held_proc *p, struct ckpt_err *err);
int ckpt_net_still(struct ckpt_hold *hold, struct ckpt_err *err);
/* A function called in the network namespace of the tree, be it our own. */
int ckpt_read_in_net(struct ckpt_reader *r, ckpt_inside_fn fn, void *arg, struct ckpt_err *err);
/* cgroup-read.c: refuse a cgroup namespace of the tree's own with another root than its cgroup. */
int ckpt_cgroup_root_check(struct ckpt_hold *hold, const struct ckpt_held_proc *first,
			   struct ckpt_err *err);
/* Is the cgroup of @p, in every hierarchy, the root of the cgroup namespace of this thread? */
int ckpt_cgroup_is_root(int dir, bool *ret, struct ckpt_err *err);
/* cgroup-read.c: refuse tasks that are not in the group's own cgroup; before and in the stop. */
int ckpt_cgroup_check(struct ckpt_hold *hold, struct ckpt_err *err);
int ckpt_read_clocks(struct ckpt_reader *r, struct ckpt_err *err);

/* mount-read.c: find the mounts of @p that we do not have, but for a /proc of its own. */
int ckpt_mounts_compare(struct ckpt_spaces *spaces, struct ckpt_held_proc *p,
			struct ckpt_err *err);
/* Refuse when something of @p lies on one of them. */
int ckpt_mounts_check(const struct ckpt_spaces *spaces, struct ckpt_held_proc *p,
		      struct ckpt_err *err);

/* area-read.c: index of the address space of @p in the image. */
int ckpt_read_mm(struct ckpt_reader *r, struct ckpt_held_proc *p, uint32_t *ret,
		 struct ckpt_err *err);
bool ckpt_area_is_uring(const struct ckpt_maps_line *line);
int ckpt_area_check(pid_t pid, const char *comm, const struct ckpt_maps_line *line,
		    const struct ckpt_vm_flags *flags, struct ckpt_err *err);
/* Of a tree that is watched, private memory whose writes are told is the tracker's affair. */
void ckpt_area_forgive(const struct ckpt_hold *hold, const struct ckpt_maps_line *line,
		       struct ckpt_vm_flags *flags);

/* Position in it that goes along with a maps text; all zero but @smaps to begin with. */
struct ckpt_flags_at {
	const struct ckpt_smaps *smaps;
	size_t at;
};

/*
 * flags-read.c: the next line of a maps text, with the flags of its area.  With @seen smaps is of
 * before the freeze, and those of an area that is new since then are found from what was there.
 * Return: 1, 0 at the end, -1 when the text is none, -2 when the flags are not known.
 */
int ckpt_flags_next(const struct ckpt_hold *hold, struct ckpt_flags_at *f, struct ckpt_seen *seen,
		    const char **at, struct ckpt_maps_line *ret, struct ckpt_vm_flags *ret_flags);
bool ckpt_flags_guessed(const struct ckpt_seen *seen, const struct ckpt_maps_line *line);

/*
 * seen-read.c: smaps of running processes, for the flags of areas that do not
 * change; NULL when they are to be read within the stop; and after the release,
 * whether they have not.
 */
int ckpt_seen_read(struct ckpt_hold *hold, struct ckpt_held_proc *p, struct ckpt_err *err);
struct ckpt_seen *ckpt_seen_find(const struct ckpt_hold *hold, const struct ckpt_held_proc *p);
int ckpt_seen_verify(struct ckpt_hold *hold, struct ckpt_err *err);

/* policy-read.c: refuse memory with a policy; one process, and all after the release */
int ckpt_policy_check(struct ckpt_hold *hold, const struct ckpt_held_proc *p,
		      struct ckpt_err *err);
int ckpt_policy_verify(struct ckpt_hold *hold, struct ckpt_err *err);

/* file-read.c: descriptor table, and files that are only mapped or named. */
int ckpt_read_fdtable(struct ckpt_reader *r, struct ckpt_held_proc *p, uint32_t *ret,
		      struct ckpt_err *err);
/* A file reached through @name below /proc/PID (exe, cwd, map_files/...). */
int ckpt_read_named(struct ckpt_reader *r, struct ckpt_held_proc *p, const char *name,
		    uint32_t flags, uint32_t *ret, struct ckpt_err *err);

/*
 * file-read.c: a descriptor of ours, of a file that waits in a queue of @p and that nobody of the
 * tree has open; fdinfo of any, into the scratch of the held tree.
 */
int ckpt_read_own_fd(struct ckpt_reader *r, struct ckpt_held_proc *p, int own, uint32_t *ret,
		     struct ckpt_err *err);
int ckpt_read_fdinfo(struct ckpt_reader *r, const struct ckpt_file *f, struct ckpt_err *err);

/* lost-name-read.c: is that what @path, as @p sees it, leads to? */
bool ckpt_leads_to(const struct ckpt_held_proc *p, const char *path, const struct stat *st);
/*
 * Another name of a file that had the name @path: one that the caller knows, or one in the same
 * directory. Return: allocated, or NULL.
 */
char *ckpt_read_other_name(const struct ckpt_hold *hold, const struct ckpt_held_proc *p,
			   const char *path, const struct stat *st);

/* file-kind.c: refuse what is not restored; the kind of what is, from its link and stat */
int ckpt_fd_check(pid_t pid, const char *comm, int fd, const char *link, uint32_t mode,
		  uint64_t rdev, struct ckpt_err *err);
uint32_t ckpt_fd_kind(const struct ckpt_file *f);

/*
 * filesystem-read.c: is what @name below /proc/PID leads to on a file system
 * from which it can be opened again?
 */
int ckpt_filesystem_check(const struct ckpt_held_proc *p, const char *name, const char *link,
			  uint32_t mode, struct ckpt_err *err);
/* Of what has passed that: a file of procfs that is opened when all processes are there? */
bool ckpt_filesystem_late(const char *link, uint32_t mode);

/*
 * procfile-read.c: is this the text of a link to a namespace, to one that @p is in?  What @f, of
 * kind CKPT_FILE_PROC, leads to; when all tasks are known.
 */
#define CKPT_SETTINGS "/proc/sys/"
bool ckpt_procfile_is_space(const char *link);
bool ckpt_procfile_is_own_space(const struct ckpt_held_proc *p, const char *link);
int ckpt_read_procfile(const struct ckpt_reader *r, const struct ckpt_held_proc *p,
		       struct ckpt_file *f, struct ckpt_err *err);

/*
 * owner-read.c: a descriptor of the held tree, of whose very description there is one of
 * ours then (looking at it through /proc/PID/fd would open one more end of a pipe); who
 * gets the signals of one.
 */
int ckpt_borrow_fd(const struct ckpt_file *f, struct ckpt_err *err);
int ckpt_read_owner(const struct ckpt_reader *r, const struct ckpt_held_proc *p,
		    struct ckpt_file *f, bool leased, struct ckpt_err *err);

/*
 * lock-read.c: those that are held through file @file, from the fdinfo of descriptor @fd;
 * @known: the file was seen before. And when all tables are read, who is to make them.
 */
int ckpt_read_locks(struct ckpt_reader *r, const struct ckpt_held_proc *p, int fd, uint32_t file,
		    bool known, struct ckpt_err *err);
int ckpt_read_locks_owners(struct ckpt_reader *r, struct ckpt_err *err);

/* pipe-read.c: a descriptor beyond 2 that uses file @index, or -1 */
int ckpt_fd_beyond_standard(const struct ckpt_image *image, uint32_t index);
/* After every table is read. */
int ckpt_read_pipes(struct ckpt_reader *r, struct ckpt_err *err);

/* eventfd-read.c, timerfd-read.c, signalfd-read.c: of a descriptor, from its fdinfo */
int ckpt_read_eventfd(struct ckpt_reader *r, struct ckpt_file *f, const char *fdinfo,
		      struct ckpt_err *err);
int ckpt_read_timerfd(struct ckpt_reader *r, struct ckpt_file *f, const char *fdinfo,
		      struct ckpt_err *err);
int ckpt_read_signalfd(struct ckpt_reader *r, struct ckpt_file *f, const char *fdinfo,
		       struct ckpt_err *err);
/* inotify-read.c; and its watches, by rising number */
#define CKPT_INOTIFY_LINK "anon_inode:inotify"
void ckpt_watches_order(struct ckpt_inotify *in);
int ckpt_read_inotify(struct ckpt_reader *r, struct ckpt_file *f, const char *fdinfo,
		      struct ckpt_err *err);

/*
 * watch-path.c: the path and stat of a watched inode, found without an event.
 * Return: 1, 0 when it has none that leads to it, -1.
 */
int ckpt_watch_path(struct ckpt_points *points, const struct ckpt_hold *hold,
		    const struct ckpt_proc_watch *w, char **ret_path, struct stat *ret,
		    struct ckpt_err *err);
/* Goes back to "/" as well. */
void ckpt_points_done(struct ckpt_points *points);

/* watch-seen.c: paths of what an inotify of the running tree watches; when all are known, sort. */
int ckpt_watches_see(struct ckpt_hold *hold, struct ckpt_points *points, const char *fdinfo,
		     struct ckpt_err *err);
void ckpt_watches_sort(struct ckpt_hold *hold);
/* Where it was then, if it is there; NULL: look for it. */
char *ckpt_watch_seen(const struct ckpt_hold *hold, const struct ckpt_proc_watch *w,
		      struct stat *ret);

/* pidfd-read.c: when all tasks are known */
int ckpt_read_pidfd(struct ckpt_reader *r, struct ckpt_file *f, const char *fdinfo,
		    struct ckpt_err *err);
/* epoll-read.c: after every table is read; and then, which eventfds are semaphores. */
int ckpt_read_epolls(struct ckpt_reader *r, struct ckpt_err *err);
int ckpt_read_semaphores(struct ckpt_reader *r, struct ckpt_err *err);
/* pty-read.c: after every table is read, and before signals that it may raise are. */
int ckpt_read_ptys(struct ckpt_reader *r, struct ckpt_err *err);
/*
 * uring-work.c: refuse threads of the kernel among those of @p.
 * uring-read.c: an io_uring, from a descriptor and its fdinfo; what is an area of one, or what
 * of it cannot be restored; and after every table is read, which area is of which ring.
 */
int ckpt_uring_workers(const struct ckpt_held_proc *p, int fd, struct ckpt_err *err);
int ckpt_read_uring(struct ckpt_reader *r, struct ckpt_file *f, const char *fdinfo,
		    struct ckpt_err *err);
const char *ckpt_uring_area(const struct ckpt_maps_line *line, const struct ckpt_vm_flags *flags);
int ckpt_read_urings(struct ckpt_reader *r, struct ckpt_err *err);
/* Last: a timer that was due and not handled yet looked as if it were not set. */
int ckpt_read_timerfds_again(struct ckpt_reader *r, struct ckpt_err *err);

/*
 * shm-read.c: device of all memory without a name; what @f, on that device and with the text
 * of its link for a path, is of it; and when every area is known, all of System V: who has
 * segments attached, and what else there is.
 */
int ckpt_shm_device(uint64_t *ret, struct ckpt_err *err);
int ckpt_read_shm(struct ckpt_reader *r, struct ckpt_held_proc *p, struct ckpt_file *f,
		  struct ckpt_err *err);
int ckpt_read_sysv(struct ckpt_reader *r, struct ckpt_err *err);
/*
 * sem-read.c, message-read.c: the rest of System V, for that: of a namespace of the tree's own
 * into the image; else refuse what the tree was seen to use.
 */
int ckpt_read_sems(struct ckpt_reader *r, struct ckpt_err *err);
int ckpt_read_messages(struct ckpt_reader *r, struct ckpt_err *err);

/* userfault-read.c: a userfaultfd of an address space, made by @inject's process, for us. */
int ckpt_read_userfault(struct ckpt_reader *r, struct ckpt_inject *inject, struct ckpt_mm *mm,
			struct ckpt_err *err);

/* limits-read.c */
int ckpt_read_limits(struct ckpt_reader *r, struct ckpt_held_proc *p, struct ckpt_task *task,
		     struct ckpt_err *err);

/*
 * signal-read.c: queued signals by ptrace; @waiting: by their numbers those that wait as status
 * has it, for one that was not queued waits as well.
 */
int ckpt_read_pending(struct ckpt_held_proc *p, pid_t tid, bool shared, uint64_t waiting,
		      siginfo_t **ret, size_t *ret_n, struct ckpt_err *err);

/*
 * timer-read.c: POSIX timers as far as /proc shows them, of a running process to refuse what is
 * not restored; and when all are asked, which were set to a time of day.
 */
int ckpt_scan_timers(struct ckpt_hold *hold, struct ckpt_held_proc *p, struct ckpt_err *err);
int ckpt_read_timers(struct ckpt_reader *r, struct ckpt_held_proc *p, struct ckpt_task *task,
		     struct ckpt_err *err);
int ckpt_read_timers_of_day(struct ckpt_reader *r, struct ckpt_err *err);

/* scan.c: refusals that show on the running tree. */
int ckpt_scan_tree(struct ckpt_hold *hold, struct ckpt_err *err);

#endif
