// SPDX-License-Identifier: GPL-2.0-or-later
/* Machine: what this kernel, its settings and our own rights let a restore do. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/membarrier.h>
#include <linux/prctl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/build.h"
#include "proc/parse.h"
#include "proc/tcp-outside.h"
#include "proc/uring.h"

#ifndef AT_RSEQ_FEATURE_SIZE
#define AT_RSEQ_FEATURE_SIZE 27
#endif
#define RSEQ_OLD_LEN 32		/* what kernels before 6.3 take alone */
#define TRIED 256		/* inotifies that are made for a trial, at most */
#define MAP_ROOM 16		/* areas that the building itself needs at times */

#define HAS(set, cap) ((set) >> (cap) & 1)

/* A number of /proc/sys, or @otherwise when it cannot be read. */
static uint64_t setting(const char *path, uint64_t otherwise)
{
	cleanup_fclose FILE *f = fopen(path, "re");
	uint64_t value;

	return f && fscanf(f, "%lu", &value) == 1 ? value : otherwise;
}

static int lacks(const char *cap, const struct ckpt_task *t, const char *why, struct ckpt_err *err)
{
	return ckpt_fail(err, CKPT_REFUSED, 0,
			 "ckpt-tool lacks %s, without which pid %d (%s) cannot %s", cap, t->pid,
			 t->comm, why);
}

/* Capabilities that every restore needs. */
static int check_own(uint64_t eff, struct ckpt_err *err)
{
	static const struct {
		int cap;
		const char *name;
	} needed[] = {
		{ CAP_SYS_ADMIN, "CAP_SYS_ADMIN" }, { CAP_SYS_PTRACE, "CAP_SYS_PTRACE" },
		{ CAP_SETUID, "CAP_SETUID" }, { CAP_SETGID, "CAP_SETGID" },
		{ CAP_SETPCAP, "CAP_SETPCAP" }, { CAP_KILL, "CAP_KILL" },
	};
	size_t i;

	for (i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		if (!HAS(eff, needed[i].cap))
			return ckpt_fail(err, CKPT_REFUSED, 0,
					 "ckpt-tool lacks %s; run it as root", needed[i].name);
	}
	return 0;
}

static int check_creds(const struct ckpt_task *t, const struct ckpt_creds *c,
		       const struct ckpt_proc_status *own, struct ckpt_err *err)
{
	if (c->cap_bnd & ~own->cap_bnd || c->cap_prm & ~own->cap_prm)
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "pid %d (%s) has capabilities (0x%lx) that ckpt-tool lacks; run "
				 "ckpt-tool with them", t->pid, t->comm,
				 (c->cap_bnd & ~own->cap_bnd) | (c->cap_prm & ~own->cap_prm));
	return 0;
}

static int check_thread(const struct ckpt_task *t, const struct ckpt_thread *thread,
			const struct ckpt_proc_status *own, struct ckpt_err *err)
{
	if (check_creds(t, &thread->creds, own, err))
		return -1;
	if (!HAS(own->cap_eff, CAP_SYS_NICE) &&
	    (thread->nice < 0 || (thread->sched_policy & 0xff) == SCHED_FIFO ||
	     (thread->sched_policy & 0xff) == SCHED_RR))
		return lacks("CAP_SYS_NICE", t, "get its priority", err);
	if (thread->rseq_ptr && thread->rseq_size != RSEQ_OLD_LEN &&
	    !getauxval(AT_RSEQ_FEATURE_SIZE))
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "pid %d (%s) has an rseq area of %u bytes, which this kernel "
				 "does not take", t->pid, t->comm, thread->rseq_size);
	return 0;
}

static int check_limits(const struct ckpt_task *t, uint64_t eff, struct ckpt_err *err)
{
	uint64_t nr_open = setting("/proc/sys/fs/nr_open", UINT64_MAX);
	struct rlimit own;
	int i;

	if (t->limits[RLIMIT_NOFILE].max > nr_open)
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "pid %d (%s) had a limit of %lu open files; raise fs.nr_open, "
				 "which is %lu", t->pid, t->comm, t->limits[RLIMIT_NOFILE].max,
				 nr_open);
	for (i = 0; i < CKPT_NLIMITS; i++) {
		if (!HAS(eff, CAP_SYS_RESOURCE) && !getrlimit(i, &own) &&
		    t->limits[i].max > own.rlim_max)
			return ckpt_fail(err, CKPT_REFUSED, 0,
					 "pid %d (%s) had a higher hard resource limit %d; raise "
					 "that of ckpt-tool", t->pid, t->comm, i);
	}
	return 0;
}

/* Try on a page of our own what areas of the image need. */
static int check_area(const struct ckpt_task *t, const struct ckpt_area *a, void *page,
		      struct ckpt_err *err)
{
	if (!ckpt_mm_try(a, page))
		return 0;
	return ckpt_fail(err, CKPT_REFUSED, errno,
			 "pid %d (%s) has memory at 0x%lx of a kind that this kernel does not make",
			 t->pid, t->comm, a->start);
}

static int check_mm(const struct ckpt_image *image, const struct ckpt_task *t, uint64_t eff,
		    void *page, struct ckpt_err *err)
{
	const struct ckpt_mm *mm = &image->mms[t->mm];
	uint64_t most = setting("/proc/sys/vm/max_map_count", UINT64_MAX);
	long known = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);
	size_t i;

	if (mm->n_areas + MAP_ROOM > most)
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "pid %d (%s) has %zu mappings; raise vm.max_map_count, which is "
				 "%lu", t->pid, t->comm, mm->n_areas, most);
	if (mm->membarrier && (known < 0 || mm->membarrier & ~(uint64_t)known))
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "pid %d (%s) uses memory barriers that this kernel lacks", t->pid,
				 t->comm);
	for (i = 0; i < mm->n_areas; i++) {
		if (mm->areas[i].flags & CKPT_AREA_F_LOCKED && !HAS(eff, CAP_IPC_LOCK))
			return lacks("CAP_IPC_LOCK", t, "lock its memory", err);
		if (check_area(t, &mm->areas[i], page, err))
			return -1;
	}
	return ckpt_guards_machine(mm, t, err);
}

static int check_task(const struct ckpt_image *image, const struct ckpt_task *t,
		      const struct ckpt_proc_status *own, void *page, struct ckpt_err *err)
{
	size_t i;

	if (!HAS(own->cap_eff, CAP_SYS_RESOURCE) && t->oom_score_adj < 0)
		return lacks("CAP_SYS_RESOURCE", t, "get its oom_score_adj", err);
	if (!HAS(own->cap_eff, CAP_SYS_CHROOT) && t->root != CKPT_NONE)
		return lacks("CAP_SYS_CHROOT", t, "get its root directory", err);
	if (t->n_timers && !ckpt_timers_reach(t->timers[t->n_timers - 1].id))
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "pid %d (%s) has a POSIX timer with the id %d, which Linux before "
				 "6.15 gives after as many others", t->pid, t->comm,
				 t->timers[t->n_timers - 1].id);
	for (i = 0; i < t->n_threads; i++) {
		if (check_thread(t, &t->threads[i], own, err))
			return -1;
	}
	return check_limits(t, own->cap_eff, err) ||
	       check_mm(image, t, own->cap_eff, page, err) ? -1 : 0;
}

/* Deleted files are made by us, and given away. */
static int check_deleted(const struct ckpt_image *image, uint64_t eff, struct ckpt_err *err)
{
	for (size_t i = 0; i < image->n_files; i++) {
		const struct ckpt_file *f = &image->files[i];
		bool uid = f->uid != geteuid(), gid = f->gid != getegid();
		const char *cap = NULL;

		if (!f->deleted)
			continue;
		if (f->kind == CKPT_FILE_CHR && !HAS(eff, CAP_MKNOD))
			return ckpt_fail(err, CKPT_REFUSED, 0, "ckpt-tool lacks CAP_MKNOD, without "
					 "which the deleted device %s cannot be made", f->path);
		if ((uid || gid) && !HAS(eff, CAP_CHOWN))
			cap = "CAP_CHOWN";
		else if (uid && !HAS(eff, CAP_FOWNER))
			cap = "CAP_FOWNER";
		else if (gid && f->mode & S_ISGID && !HAS(eff, CAP_FSETID))
			cap = "CAP_FSETID";
		if (cap)
			return ckpt_fail(err, CKPT_REFUSED, 0,
					 "ckpt-tool lacks %s, without which the deleted file %s "
					 "cannot get its owner and mode", cap, f->path);
	}
	return 0;
}

/* Nodes of terminals are made by us, and given away. */
static int check_ptys(const struct ckpt_image *image, uint64_t eff, struct ckpt_err *err)
{
	for (size_t i = 0; i < image->n_ptys; i++) {
		const struct ckpt_pty *p = &image->ptys[i];

		if (!(p->flags & CKPT_PTY_F_HUNG_UP) && p->uid != geteuid() &&
		    (!HAS(eff, CAP_CHOWN) || !HAS(eff, CAP_FOWNER)))
			return ckpt_fail(err, CKPT_REFUSED, 0,
					 "ckpt-tool lacks CAP_CHOWN or CAP_FOWNER, without which "
					 "terminal /dev/pts/%u cannot get its owner", p->number);
	}
	return 0;
}

static int check_pipes(const struct ckpt_image *image, uint64_t eff, struct ckpt_err *err)
{
	uint64_t most = setting("/proc/sys/fs/pipe-max-size", UINT64_MAX);
	size_t i;

	for (i = 0; i < image->n_pipes && !HAS(eff, CAP_SYS_RESOURCE); i++) {
		if (image->pipes[i].capacity > most)
			return ckpt_fail(err, CKPT_REFUSED, 0,
					 "the tree has a pipe of %u bytes; raise fs.pipe-max-size, "
					 "which is %lu", image->pipes[i].capacity, most);
	}
	return 0;
}

static int check_timerfds(const struct ckpt_image *image, uint64_t eff, struct ckpt_err *err)
{
	for (size_t i = 0; i < image->n_timerfds; i++) {
		const struct ckpt_timerfd *t = &image->timerfds[i];

		if ((t->clock == CLOCK_REALTIME_ALARM || t->clock == CLOCK_BOOTTIME_ALARM) &&
		    !HAS(eff, CAP_WAKE_ALARM))
			return ckpt_fail(err, CKPT_REFUSED, 0,
					 "ckpt-tool lacks CAP_WAKE_ALARM, without which a timerfd "
					 "cannot wake the machine");
		if (t->ticks && !ckpt_timerfd_has_ticks())
			return ckpt_fail(err, CKPT_REFUSED, 0,
					 "the tree has a timerfd that has expired, as this kernel "
					 "can make none (CONFIG_CHECKPOINT_RESTORE)");
	}
	return 0;
}

static int check_inotifies(const struct ckpt_image *image, struct ckpt_err *err)
{
	size_t n = 0, most = 0;

	for (size_t i = 0; i < image->n_inotifies; i++) {
		n += image->inotifies[i].n_watches;
		most = image->inotifies[i].n_events > most ? image->inotifies[i].n_events : most;
	}
	if (n && !ckpt_inotify_has_numbers())
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "the tree has inotify watches, whose numbers this kernel lets "
				 "nobody choose (CONFIG_CHECKPOINT_RESTORE)");
	if (ckpt_inotify_room(image->n_inotifies < TRIED ? image->n_inotifies : TRIED))
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "the tree has %zu inotifies; raise fs.inotify.max_user_instances, "
				 "of which too few are left", image->n_inotifies);
	/* the last one's events are made beside the watches of all others, by some of their own */
	n += most ? most + 1 : 0;
	if (n > setting("/proc/sys/fs/inotify/max_user_watches", UINT64_MAX))
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "the tree needs %zu inotify watches; raise "
				 "fs.inotify.max_user_watches", n);
	return ckpt_events_machine(image, err);
}

static int check_pidfds(const struct ckpt_image *image, struct ckpt_err *err)
{
	for (size_t i = 0; i < image->n_files; i++) {
		if (image->files[i].kind == CKPT_FILE_PIDFD && image->files[i].flags & O_EXCL &&
		    !ckpt_pidfd_has_threads())
			return ckpt_fail(err, CKPT_REFUSED, 0,
					 "the tree has a pidfd of a thread, as this kernel makes "
					 "none (Linux 6.9 does)");
	}
	return 0;
}

static int check_urings(const struct ckpt_image *image, struct ckpt_err *err)
{
	for (size_t i = 0; i < image->n_urings; i++) {
		cleanup_close int fd = ckpt_uring_make(&image->urings[i]);

		if (fd < 0)
			return ckpt_fail(err, CKPT_REFUSED, errno,
					 "the tree has an io_uring that this kernel does not make, "
					 "or kernel.io_uring_disabled forbids");
	}
	return 0;
}

static int check_descriptors(const struct ckpt_image *image, struct ckpt_err *err)
{
	uint64_t outside = ckpt_outside_fd_room(image);
	struct rlimit own;

	if (getrlimit(RLIMIT_NOFILE, &own))
		return 0;
	if (own.rlim_max < outside)
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "TCP connections to the outside take %lu descriptors, of which a "
				 "process may have %lu; raise the hard limit of open files "
				 "(ulimit -Hn)", outside, own.rlim_max);
	if (own.rlim_max < ckpt_build_fd_room(image))
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "%zu open files do not fit into a limit of %lu; raise the hard "
				 "limit of open files (ulimit -Hn)", image->n_files, own.rlim_max);
	return 0;
}

static int check_numbers(const struct ckpt_image *image, struct ckpt_err *err)
{
	uint64_t pid_max = setting("/proc/sys/kernel/pid_max", INT32_MAX);
	uint64_t ghosts = ckpt_build_first_ghost(image) + image->n_tasks + image->n_pidfds;

	if (ghosts >= pid_max)
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "the tree needs pids up to %lu; raise kernel.pid_max, which is "
				 "%lu", ghosts, pid_max);
	return check_descriptors(image, err);
}

/* Longest queues: of connections nobody has accepted, of datagrams. */
static int check_queues(const struct ckpt_image *image, struct ckpt_err *err)
{
	uint64_t most = setting("/proc/sys/net/core/somaxconn", UINT64_MAX);
	uint64_t datagrams = setting("/proc/sys/net/unix/max_dgram_qlen", UINT64_MAX);
	uint64_t backlog = 0, messages = 0;

	for (size_t i = 0; i < image->n_tcps; i++) {
		if (image->tcps[i].state == CKPT_TCP_LISTENS && image->tcps[i].backlog > backlog)
			backlog = image->tcps[i].backlog;
	}
	for (size_t i = 0; i < image->n_unixes; i++) {
		const struct ckpt_unix *u = &image->unixes[i];

		if (u->state == CKPT_UNIX_LISTENS && u->backlog > backlog)
			backlog = u->backlog;
		if (u->state == CKPT_UNIX_ALONE && u->n_messages > messages)
			messages = u->n_messages;
	}
	if (backlog > most)
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "the tree listens with a backlog of %lu; raise "
				 "net.core.somaxconn, which is %lu", backlog, most);
	/* one more than it says comes in */
	if (messages > datagrams && messages - 1 > datagrams)
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "the tree has a socket in which %lu datagrams wait; raise "
				 "net.unix.max_dgram_qlen, which is %lu", messages, datagrams);
	return 0;
}

int ckpt_machine_network(const struct ckpt_image *image, struct ckpt_err *err)
{
	return check_queues(image, err) || ckpt_socket_try(image, err) ? -1 : 0;
}

int ckpt_machine_check(const struct ckpt_image *image, struct ckpt_err *err)
{
	cleanup_free char *text = NULL;
	struct ckpt_proc_status own;
	size_t i;
	void *page;
	int ret;

	if (ckpt_build_status(getpid(), &text, &own, err) || check_own(own.cap_eff, err))
		return -1;
	page = mmap(NULL, CKPT_PAGE_LEN, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return ckpt_fail(err, CKPT_FAILED, errno, "no memory for a page");
	ret = ckpt_namespaces_machine(image, err) ||
	      check_numbers(image, err) || check_pipes(image, own.cap_eff, err) ||
	      check_deleted(image, own.cap_eff, err) || check_ptys(image, own.cap_eff, err) ||
	      check_timerfds(image, own.cap_eff, err) ||
	      check_inotifies(image, err) || check_pidfds(image, err) || check_urings(image, err) ||
	      (!image->n_net && ckpt_machine_network(image, err)) ||
	      ckpt_shm_machine(image, own.cap_eff, err) ||
	      ckpt_filters_machine(image, &own, err) ? -1 : 0;
	for (i = 0; i < image->n_tasks && !ret; i++) {
		const struct ckpt_task *t = &image->tasks[i];

		ret = t->state == CKPT_TASK_ZOMBIE ? check_creds(t, &t->creds, &own, err)
						   : check_task(image, t, &own, page, err);
	}
	munmap(page, CKPT_PAGE_LEN);
	return ret;
}
