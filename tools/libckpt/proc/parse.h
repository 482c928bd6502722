/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Parsers of /proc/PID texts
 *
 * Pure functions over buffers that end in a NUL byte: no files, no globals.
 * They read what the kernel writes and refuse everything else.
 */
#ifndef CKPT_PROC_PARSE_H
#define CKPT_PROC_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "proc/image.h"

/**
 * struct ckpt_maps_line - one line of /proc/PID/maps
 * @start, @end: addresses
 * @prot: PROT_*
 * @shared: 's' in the fourth place
 * @pgoff: bytes
 * @dev: as makedev gives it
 * @ino: inode number
 * @path: text after the inode, not owned, without the end of line
 * @path_len: its length; 0 when there is none
 */
struct ckpt_maps_line {
	uint64_t start, end;
	uint32_t prot;
	bool shared;
	uint64_t pgoff;
	uint64_t dev, ino;
	const char *path;
	size_t path_len;
};

/**
 * ckpt_parse_maps_line - the next line of a maps text
 * @at: position in the text, advanced behind the line
 *
 * Return: 1 with @ret filled, 0 at the end, -1 when the text is no maps line.
 */
int ckpt_parse_maps_line(const char **at, struct ckpt_maps_line *ret);

/* What VmFlags says beyond what an image can hold. */
#define CKPT_VM_IO		(1u << 0)
#define CKPT_VM_PFNMAP		(1u << 1)
#define CKPT_VM_HUGETLB		(1u << 2)
#define CKPT_VM_SHADOW_STACK	(1u << 3)
#define CKPT_VM_UFFD		(1u << 4)	/* missing pages, minor faults */
#define CKPT_VM_MIXEDMAP	(1u << 6)
#define CKPT_VM_SHARED		(1u << 7)
#define CKPT_VM_PKEY		(1u << 8)	/* the line above VmFlags */
#define CKPT_VM_NAMELESS	(1u << 9)	/* "??": VM_LOCKONFAULT, or one of a newer kernel */
#define CKPT_VM_UFFD_WP		(1u << 10)	/* writes are told to a userfaultfd */
#define CKPT_VM_SYNC		(1u << 11)	/* MAP_SYNC: memory that is a device */
#define CKPT_VM_UNKNOWN		(1u << 12)	/* a name that is none of those we know */

/**
 * struct ckpt_vm_flags - a VmFlags line of smaps
 * @area: CKPT_AREA_F_*
 * @other: CKPT_VM_*
 */
struct ckpt_vm_flags {
	uint32_t area;
	uint32_t other;
};

/**
 * ckpt_parse_smaps_area - the next area of a smaps text: its maps line and VmFlags
 * @at: position in the text, advanced behind the area
 * @ret: the first line
 * @ret_flags: the VmFlags line
 * @ret_line, @ret_len: the first line as text, without its end
 *
 * Return: 1, 0 at the end, -1 when the text is no smaps text.
 */
int ckpt_parse_smaps_area(const char **at, struct ckpt_maps_line *ret,
			  struct ckpt_vm_flags *ret_flags, const char **ret_line,
			  size_t *ret_len);

/**
 * ckpt_parse_numa_line - the next line of a numa_maps text
 * @at: position in the text, advanced behind the line
 * @ret_policy, @ret_len: the policy as text
 *
 * Return: 1, 0 at the end, -1 when the text is no numa_maps line.
 */
int ckpt_parse_numa_line(const char **at, const char **ret_policy, size_t *ret_len);

/**
 * struct ckpt_proc_status - what is used of /proc/PID/status
 * @ns_pid, @ns_tgid, @ns_pgid, @ns_sid: in the innermost pid namespace
 * @pid_levels: how many pid namespaces the reader sees it in
 * @state: the letter
 * @locked_kb: VmLck
 */
struct ckpt_proc_status {
	char state;
	uint32_t umask;
	int32_t tgid, pid, ppid, tracer;
	int32_t ns_pid, ns_tgid, ns_pgid, ns_sid;
	uint32_t pid_levels;
	uint32_t uid[4], gid[4];
	const char *groups;	/* in the text, ends with the line; not owned */
	uint64_t sig_pending, sig_shared, sig_blocked, sig_ignored, sig_caught;
	uint64_t cap_inh, cap_prm, cap_eff, cap_bnd, cap_amb;
	uint32_t no_new_privs, seccomp;
	bool thp_disabled;
	uint64_t locked_kb;
};

int ckpt_parse_status(const char *text, struct ckpt_proc_status *ret);

/**
 * ckpt_parse_groups - numbers of a Groups line
 * @line: ckpt_proc_status.groups
 * @ret: allocated, NULL when there are none
 *
 * Return: their count, -1 without memory.
 */
ssize_t ckpt_parse_groups(const char *line, uint32_t **ret);

/**
 * struct ckpt_proc_stat - what is used of /proc/PID/stat
 * @tty: its controlling terminal as makedev gives it, 0: none
 * @tpgid: the group in the foreground of that
 * @flags: the kernel's PF_*
 * @layout: as struct ckpt_mm.layout, without brk (which stat does not have)
 */
struct ckpt_proc_stat {
	char comm[16];
	char state;
	int32_t pid, ppid, pgrp, session;
	uint64_t tty;
	int32_t tpgid;
	int32_t exit_signal, exit_code;
	uint32_t flags;
	uint64_t start_time;
	uint64_t layout[11];
};

int ckpt_parse_stat(const char *text, struct ckpt_proc_stat *ret);

/**
 * struct ckpt_proc_fdinfo - /proc/PID/fdinfo/FD
 * @flags: open(2) flags without O_CLOEXEC
 * @locked: a file lock or lease is held through it
 * @leased: a lease; @breaking: one that is to be given up; @odd: what is not known
 */
struct ckpt_proc_fdinfo {
	uint64_t pos;
	uint32_t flags;
	bool cloexec;
	bool locked, leased, breaking, odd;
};

int ckpt_parse_fdinfo(const char *text, struct ckpt_proc_fdinfo *ret);

/* What fdinfo has besides; @ret_semaphore_known: this kernel says whether it is one (6.7). */
int ckpt_parse_eventfd(const char *text, struct ckpt_eventfd *ret, bool *ret_semaphore_known);
int ckpt_parse_timerfd(const char *text, struct ckpt_timerfd *ret);
int ckpt_parse_signalfd(const char *text, struct ckpt_signalfd *ret);

/**
 * struct ckpt_proc_watch - a watch of an inotify
 * @dev: of the file system, as the kernel numbers it
 * @handle_len: bytes of @handle, as for open_by_handle_at; 0: there is none
 */
struct ckpt_proc_watch {
	int32_t wd;
	uint32_t mask;
	uint64_t ino;
	uint32_t dev;
	uint32_t handle_len;
	int32_t handle_type;
	uint8_t handle[128];
};

/* The next watch, like ckpt_parse_epoll_line. */
int ckpt_parse_watch_line(const char **at, struct ckpt_proc_watch *ret);

/* As this process calls it; -1: it is gone, 0: it is in another pid namespace. */
int ckpt_parse_pidfd(const char *text, int32_t *ret_pid);

/**
 * ckpt_parse_epoll_line - the next descriptor that an epoll watches
 * @at: fdinfo; moved behind the line
 * @ret: but for its file
 * @ret_ino: inode number of that
 *
 * Return: 1, 0 at the end, -1 for a line of another form.
 */
int ckpt_parse_epoll_line(const char **at, struct ckpt_epoll_target *ret, uint64_t *ret_ino);

/**
 * ckpt_parse_timer - the next POSIX timer of /proc/PID/timers
 * @at: position in the text, moved behind the timer
 * @ret: id, clock, signal; @ret->tid: pid or tid as the reader sees it, 0: not there
 *
 * Return: 1, 0 at the end, -1 for a text of another form.
 */
int ckpt_parse_timer(const char **at, struct ckpt_timer *ret);

/**
 * ckpt_parse_timer_list - the next POSIX timer of /proc/timer_list that is armed
 * @at: position in the text, moved behind the timer
 * @base: number of the clock that the text is at; 0 before the first call
 * @ret_ns: when it expires
 *
 * Return: 1, with @base 0 for CLOCK_MONOTONIC, 1 for CLOCK_REALTIME, or another; 0 at the end.
 */
int ckpt_parse_timer_list(const char **at, uint32_t *base, int64_t *ret_ns);

/**
 * struct ckpt_lock_line - a line of /proc/locks, or behind "lock:" in fdinfo
 * @kind: enum ckpt_lock_kind; CKPT_NONE: one that is not known
 * @waits: it is asked for and not held
 * @breaking: a lease that somebody wants to be given up; @write: what may be left of it
 * @pid: of who made it; 0: not known here, -1: OFD locks have none
 * @dev: of the file system, as makedev gives it
 */
struct ckpt_lock_line {
	uint32_t kind;
	bool write, waits, breaking;
	int32_t pid;
	uint64_t dev, ino;
	uint64_t start, end;
};

/**
 * ckpt_parse_lock_line - the next lock
 * @at: position in the text, moved behind the line
 * @fdinfo: the text is of fdinfo, which has other lines, too
 *
 * Return: 1, 0 at the end, -1 for a line of another form.
 */
int ckpt_parse_lock_line(const char **at, bool fdinfo, struct ckpt_lock_line *ret);

/**
 * struct ckpt_proc_uring - an io_uring as fdinfo shows it
 * @sq_head, @sq_tail, @cq_head, @cq_tail: in the memory that it shares with its program
 * @sq_cached, @cq_cached: how many requests the kernel has taken, completions it has made
 * @served: a thread of the kernel takes the requests
 * @registered: it has files, buffers or credentials of its own
 * @waiting: requests wait for a file
 * @lost: completions did not find room
 * @busy_poll: it waits by polling network devices
 * @dated: of a kernel that counts the time of serving threads (6.10)
 * @shown, @at: requests between @sq_head and @sq_tail that are shown, index of the first two
 */
struct ckpt_proc_uring {
	uint32_t sq_mask, sq_head, sq_tail, sq_cached;
	uint32_t cq_mask, cq_head, cq_tail, cq_cached;
	bool served, registered, waiting, lost, busy_poll, dated;
	size_t shown;
	uint32_t at[2];
};

int ckpt_parse_uring(const char *text, struct ckpt_proc_uring *ret);

/* /proc/PID/limits, by RLIMIT_* number; RLIM_INFINITY for "unlimited". */
int ckpt_parse_limits(const char *text, struct ckpt_rlimit ret[CKPT_NLIMITS]);

/* Offset of a clock in /proc/PID/timens_offsets ("monotonic", "boottime"), ns. */
int ckpt_parse_timens(const char *text, const char *clock, int64_t *ret_ns);

#endif
