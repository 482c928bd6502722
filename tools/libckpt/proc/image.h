/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Process image: the tree of a group as plain values
 *
 * Capture fills it from stopped tasks, image-encode.c and image-decode.c turn
 * it into records and back, restore builds tasks from it and compares them
 * with it afterwards.  Pids are those of the group's own pid namespace.
 * Memory content is not here: it is in the space that each mm names.
 *
 * Ownership: every pointer below belongs to the image; ckpt_image_done frees all.
 */
#ifndef CKPT_PROC_IMAGE_H
#define CKPT_PROC_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <string.h>
#include <linux/membarrier.h>
#include <sys/user.h>

#include "base/buf.h"
#include "base/err.h"
#include "proc/image-file.h"
#include "proc/image-ipc.h"
#include "proc/survey.h"

#define CKPT_NSIG 64
/* Those that register for something, of the commands of membarrier(2). */
#define CKPT_BARRIERS \
	(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED | \
	 MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE | \
	 MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ)
#define CKPT_NLIMITS 16
#define CKPT_RSEQ_MAX 256u	/* bytes of an rseq area */
#define CKPT_CPUS_LEN 128	/* bytes of a set of CPUs */

/* What backs an area of an address space. */
enum ckpt_area_kind {
	CKPT_AREA_KIND_ANON,		/* private anonymous, heap and stacks included */
	CKPT_AREA_KIND_FILE_PRIVATE,	/* file below, written pages anonymous */
	CKPT_AREA_KIND_FILE_SHARED,	/* the file's own pages */
	CKPT_AREA_KIND_VDSO,
	CKPT_AREA_KIND_VVAR,		/* every kernel-provided data area beside the vdso */
	CKPT_AREA_KIND_VSYSCALL,	/* fixed by the kernel; never rebuilt */
	CKPT_AREA_KIND_URING = 8,	/* a part of an io_uring; content is in @file */
};

/* Properties beyond protection, from VmFlags. */
#define CKPT_AREA_F_GROWSDOWN	(1u << 0)
#define CKPT_AREA_F_NORESERVE	(1u << 1)
#define CKPT_AREA_F_LOCKED	(1u << 2)
#define CKPT_AREA_F_DONTFORK	(1u << 3)
#define CKPT_AREA_F_WIPEONFORK	(1u << 4)
#define CKPT_AREA_F_DONTDUMP	(1u << 5)
#define CKPT_AREA_F_HUGEPAGE	(1u << 6)
#define CKPT_AREA_F_NOHUGEPAGE	(1u << 7)
#define CKPT_AREA_F_MERGEABLE	(1u << 8)
#define CKPT_AREA_F_SEQ		(1u << 9)
#define CKPT_AREA_F_RAND	(1u << 10)
#define CKPT_AREA_F_DROPPABLE	(1u << 11)
#define CKPT_AREA_F_MAYWRITE	(1u << 12)	/* shared: a writable descriptor is behind it */
#define CKPT_AREA_F_ACCOUNT	(1u << 13)
#define CKPT_AREA_F_SEALED	(1u << 14)	/* mseal: nobody unmaps, moves or protects it */

/**
 * struct ckpt_area - one mapping
 * @start: first byte
 * @end: byte after the last
 * @prot: PROT_*
 * @flags: CKPT_AREA_F_*
 * @kind: enum ckpt_area_kind
 * @pgoff: offset in the file, bytes
 * @file: index of the backing file in image->files, or CKPT_NONE
 * @name: PR_SET_VMA_ANON_NAME or NULL
 */
struct ckpt_area {
	uint64_t start;
	uint64_t end;
	uint32_t prot;
	uint32_t flags;
	uint32_t kind;
	uint64_t pgoff;
	uint32_t file;
	char *name;
};

/* Pages of an area that nobody can touch (MADV_GUARD_INSTALL), bytes. */
struct ckpt_guard {
	uint64_t start, end;
};

#define CKPT_COREDUMP_KNOWN (1u << 31)

/**
 * struct ckpt_mm - an address space
 * @space: where its pages are; assigned by flow, page = address >> 12
 * @cookie: identity for the tracker, 0 when it has none; not stored
 * @pid: host pid of a live task of it at capture; not stored
 * @layout: start_code end_code start_data end_data start_brk brk start_stack
 *	arg_start arg_end env_start env_end, as in struct prctl_mm_map
 * @auxv: saved auxiliary vector bytes
 * @exe: index of the executable in image->files
 * @areas: sorted by start
 * @guards: likewise, each within one area; flow fills them in
 * @membarrier: commands registered, of CKPT_BARRIERS; where the kernel does not tell (before
 *	6.3), all that it has
 * @coredump_filter: /proc/PID/coredump_filter and CKPT_COREDUMP_KNOWN; 0: not recorded
 * @skip_start, @skip_end: memory of our own in it while it was captured, not stored
 * @userfault: number of its userfaultfd in the keeper, for ckpt_stop_fetch; negative: none;
 *	not stored
 */
struct ckpt_mm {
	uint32_t space;
	uint64_t cookie;
	int32_t pid;
	uint64_t layout[11];
	uint8_t *auxv;
	size_t auxv_len;
	uint32_t exe;
	struct ckpt_area *areas;
	size_t n_areas;
	struct ckpt_guard *guards;
	size_t n_guards;
	uint64_t skip_start;
	uint64_t skip_end;
	bool thp_disabled;
	uint32_t membarrier;
	uint32_t coredump_filter;
	int32_t userfault;
};

struct ckpt_sigaction {
	uint64_t handler;
	uint64_t flags;
	uint64_t restorer;
	uint64_t mask;
};

struct ckpt_creds {
	uint32_t uid[4];	/* real effective saved fs */
	uint32_t gid[4];
	uint32_t *groups;
	size_t n_groups;
	uint64_t cap_inh, cap_prm, cap_eff, cap_bnd, cap_amb;
	uint32_t securebits;
	bool no_new_privs;
};

/**
 * struct ckpt_filter - a program that decides about system calls (seccomp)
 * @insns: each a struct sock_filter
 * @flags: SECCOMP_FILTER_FLAG_LOG
 */
struct ckpt_filter {
	uint64_t *insns;
	size_t n_insns;
	uint32_t flags;
};

/**
 * struct ckpt_thread - what each thread has of its own
 * @tid: in the group's pid namespace
 * @regs: as ready to run on, through signal delivery: an interrupted system
 *	call is set up for its restart, or shows a restart error and its number, so
 *	that the kernel decides
 * @xstate: NT_X86_XSTATE bytes
 * @sigmask: blocked signals
 * @pending: siginfo of pending private signals, raw 128-byte siginfo each
 * @altstack_*: sigaltstack
 * @robust_head, @robust_len: get_robust_list
 * @rseq_*: PTRACE_GET_RSEQ_CONFIGURATION; ptr 0: not registered
 * @clear_tid: PR_GET_TID_ADDRESS
 * @filters: in image->filters, the oldest first
 * @pdeath_sig: of any but the leader, whose is that of the task
 * @ioprio: as ioprio_get gives it; 0: none of its own
 * @wait: enum ckpt_wait, of the call it is in
 * @wait_ns: how much of its time was left at the cut; not above zero: none
 * @host_tid: at capture; not stored
 */
struct ckpt_thread {
	int32_t tid;
	char comm[16];
	struct user_regs_struct regs;
	uint8_t *xstate;
	size_t xstate_len;
	uint64_t sigmask;
	siginfo_t *pending;
	size_t n_pending;
	uint64_t altstack_sp, altstack_size;
	uint32_t altstack_flags;
	uint64_t robust_head, robust_len;
	uint64_t rseq_ptr;
	uint32_t rseq_size, rseq_sig, rseq_flags;
	uint64_t clear_tid;
	int32_t sched_policy, sched_prio, nice;
	uint8_t affinity[CKPT_CPUS_LEN];
	uint32_t affinity_len;
	uint32_t ioprio;
	uint32_t pdeath_sig;
	uint32_t wait;
	int64_t wait_ns;
	struct ckpt_creds creds;
	uint64_t timerslack_ns;
	uint32_t *filters;
	size_t n_filters;
	int32_t host_tid;
};

enum ckpt_task_state {
	CKPT_TASK_ALIVE,
	CKPT_TASK_STOPPED,	/* by a job-control signal */
	CKPT_TASK_ZOMBIE,
};

struct ckpt_rlimit {
	uint64_t cur, max;
};

struct ckpt_itimer {
	int64_t value_ns, interval_ns;
};

/**
 * struct ckpt_timer - a POSIX timer (timer_create)
 * @id: as the process calls it
 * @clock: CLOCK_REALTIME, MONOTONIC or BOOTTIME
 * @notify: SIGEV_*
 * @signo, @sigval: of its signal
 * @tid: SIGEV_THREAD_ID: who gets that
 * @of_day: it was set to a time of day: @value_ns is one, in ns since 1970
 * @value_ns: until it expires next; 0: it is not armed
 * @interval_ns: between two expirations; 0: there is one
 * @overrun: as timer_getoverrun gives it
 * @pending: it has expired, and its signal is among those that are pending
 * @seen_*: by clocks of the reader, the first and last instant at which it can expire; not stored
 */
struct ckpt_timer {
	int32_t id;
	uint32_t clock;
	uint32_t notify;
	int32_t signo;
	uint64_t sigval;
	int32_t tid;
	bool of_day;
	int64_t value_ns, interval_ns;
	int32_t overrun;
	bool pending;
	int64_t seen_monotonic[2], seen_realtime[2];
};

/**
 * struct ckpt_task - a process
 * @ppid: 0 when its parent is outside the tree (init of the namespace adopts it)
 * @exit_code: zombies, as wait status
 * @stop_signal: of one that is stopped, by which; @stop_told: its parent has waited for that
 * @exit_signal: sent to the parent at exit
 * @timers: sorted by id
 * @ctty: 1 + index in image->ptys of its controlling terminal; 0: it has none
 * @tpgid: of a session leader with one: the group in its foreground; else 0
 * @creds, @creds_known: of a zombie, but for its securebits, which nothing shows
 * @threads: leader first; empty for zombies
 */
struct ckpt_task {
	int32_t pid, ppid, pgid, sid;
	uint32_t state;
	int32_t exit_code, stop_signal;
	bool stop_told;
	int32_t exit_signal;
	struct ckpt_creds creds;
	bool creds_known;
	char comm[16];
	uint32_t mm;
	uint32_t fdtable;
	uint32_t cwd, root;	/* in image->files; root CKPT_NONE: "/" */
	uint32_t umask;
	uint32_t personality;
	int32_t pdeath_sig;
	bool child_subreaper;
	int32_t dumpable;
	int32_t oom_score_adj;
	struct ckpt_rlimit limits[CKPT_NLIMITS];
	struct ckpt_sigaction actions[CKPT_NSIG];
	siginfo_t *pending;
	size_t n_pending;
	struct ckpt_itimer itimers[3];
	struct ckpt_timer *timers;
	size_t n_timers;
	uint32_t ctty;
	int32_t tpgid;
	struct ckpt_thread *threads;
	size_t n_threads;
	int32_t host_pid;	/* at capture; not stored */
};

#define CKPT_UTS_LEN 65	/* bytes of a name of struct utsname, the last one NUL */

/* Host and domain name. */
struct ckpt_uts {
	char node[CKPT_UTS_LEN];
	char domain[CKPT_UTS_LEN];
};

/**
 * struct ckpt_net_setting - a file below /proc/sys/net
 * @value: what it says, without the end of the line
 * @usual: as a new network namespace had it where this was captured
 */
struct ckpt_net_setting {
	char *name;
	char *value;
	bool usual;
};

/**
 * struct ckpt_net_address - an address of lo
 * @family: AF_INET or AF_INET6; @prefix: bits; @scope, @flags: RT_SCOPE_*, IFA_F_*
 * @address, @local, @broadcast: IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST; of no bytes: none
 * @label: of an IPv4 one
 * @metric, @protocol: IFA_RT_PRIORITY, IFA_PROTO; 0: none
 */
struct ckpt_net_address {
	uint32_t family, prefix, scope, flags;
	uint8_t *address, *local, *broadcast;
	size_t address_len, local_len, broadcast_len;
	char *label;
	uint32_t metric, protocol;
};

/**
 * struct ckpt_net - a network namespace with nothing but lo
 * @up, @mtu, @queue: of lo; the last is IFLA_TXQLEN
 * @addresses: in the order of the kernel
 * @settings: by rising name
 */
struct ckpt_net {
	bool up;
	uint32_t mtu, queue;
	struct ckpt_net_address *addresses;
	size_t n_addresses;
	struct ckpt_net_setting *settings;
	size_t n_settings;
};

/**
 * struct ckpt_image - a process tree
 * @monotonic_ns, @boottime_ns, @realtime_ns: clocks as the tree saw them
 * @private_pidns: the tree has a pid namespace of its own; else its pids are the caller's
 * @vdso, @vdso_hash: code of the vdso it ran with, and its SHA-256; older images have that alone
 * @kernel: uname release, for messages
 * @cpus: those that a task of its cgroup had that asked for none; all zero: not recorded
 * @label: security label of every task (/proc/PID/attr/current); NULL: none
 * @label_known: @label is recorded
 * @uts, @ipc, @net: of a tree that has such a namespace of its own: one; else none
 * @own_cgroupns: the tree has a cgroup namespace of its own, with its cgroup as the root
 */
struct ckpt_image {
	struct ckpt_task *tasks;
	size_t n_tasks;
	struct ckpt_mm *mms;
	size_t n_mms;
	struct ckpt_file *files;
	size_t n_files;
	struct ckpt_pipe *pipes;
	size_t n_pipes;
	struct ckpt_eventfd *eventfds;
	size_t n_eventfds;
	struct ckpt_timerfd *timerfds;
	size_t n_timerfds;
	struct ckpt_signalfd *signalfds;
	size_t n_signalfds;
	struct ckpt_epoll *epolls;
	size_t n_epolls;
	struct ckpt_inotify *inotifies;
	size_t n_inotifies;
	struct ckpt_pidfd *pidfds;
	size_t n_pidfds;
	struct ckpt_pty *ptys;
	size_t n_ptys;
	struct ckpt_uring *urings;
	size_t n_urings;
	struct ckpt_socket *sockets;
	size_t n_sockets;
	struct ckpt_unix *unixes;
	size_t n_unixes;
	struct ckpt_shm *shms;
	size_t n_shms;
	struct ckpt_tcp *tcps;
	size_t n_tcps;
	struct ckpt_udp *udps;
	size_t n_udps;
	struct ckpt_nlsock *nlsocks;
	size_t n_nlsocks;
	struct ckpt_fdtable *fdtables;
	size_t n_fdtables;
	struct ckpt_lock *locks;
	size_t n_locks;
	struct ckpt_filter *filters;
	size_t n_filters;
	uint64_t monotonic_ns, boottime_ns, realtime_ns;
	bool private_pidns;
	uint8_t *vdso;
	size_t vdso_len;
	uint8_t vdso_hash[32];
	char kernel[65];
	char *label;
	bool label_known;
	uint8_t cpus[CKPT_CPUS_LEN];
	struct ckpt_uts *uts;
	size_t n_uts;
	struct ckpt_ipc *ipc;
	size_t n_ipc;
	struct ckpt_net *net;
	size_t n_net;
	bool own_cgroupns;
};

void ckpt_image_done(struct ckpt_image *image);
/* Free what was added to the lists of @image since @before was copied from it. */
void ckpt_image_cut(struct ckpt_image *image, const struct ckpt_image *before);

/* The memory without a name that an area maps, or NULL. @image: sound, or being made. */
static inline struct ckpt_shm *ckpt_area_shm(const struct ckpt_image *image,
					     const struct ckpt_area *a)
{
	const struct ckpt_file *f = a->file == CKPT_NONE ? NULL : &image->files[a->file];

	return f && f->kind == CKPT_FILE_SHM ? &image->shms[f->object] : NULL;
}

static inline bool ckpt_area_is_sysv(const struct ckpt_image *image, const struct ckpt_area *a)
{
	const struct ckpt_shm *s = ckpt_area_shm(image, a);

	return s && s->kind == CKPT_SHM_SYSV;
}

/*
 * Do both run the same execution of a program, by one fork or several?  Where program, interpreter,
 * vdso and some random bytes lie is another place for each.
 */
static inline bool ckpt_mm_same_exec(const struct ckpt_mm *a, const struct ckpt_mm *b)
{
	return a->auxv_len && a->auxv_len == b->auxv_len &&
	       !memcmp(a->auxv, b->auxv, a->auxv_len);
}

/* Append the records of @image to @ret. */
int ckpt_image_encode(const struct ckpt_image *image, struct ckpt_buf *ret, struct ckpt_err *err);
/*
 * Check every index, count and order, as a decoded image promises them.
 * Return: 0, or -1 with the first contradiction as the error (CKPT_DAMAGED).
 */
int ckpt_image_check(const struct ckpt_image *image, struct ckpt_err *err);
/* timer-check.c: is this the signal of that timer? */
bool ckpt_timer_signal(const struct ckpt_timer *timer, const siginfo_t *info);
/*
 * Can a machine ever restore it?  @image is sound.  All obstacles go to @survey, if there is one;
 * then the image may have gaps where something was refused before.
 * Return: 0, or -1 with the first obstacle as the error (CKPT_REFUSED).
 */
int ckpt_image_restorable(const struct ckpt_image *image, struct ckpt_survey *survey,
			  struct ckpt_err *err);
/*
 * Build an image from records; every index, count and order is checked, so
 * that restore may trust them.  Outputs untouched on failure.
 */
int ckpt_image_decode(const void *data, size_t len, struct ckpt_image *ret, struct ckpt_err *err);

#endif
