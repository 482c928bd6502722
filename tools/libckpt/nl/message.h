/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Answers of the module as plain values
 *
 * Pure: a parser takes the attributes of one message and fills a value or
 * says what is wrong with them.  An attribute it does not know is skipped,
 * one that must be there and is not, or is too short, is an error.
 */
#ifndef CKPT_NL_MESSAGE_H
#define CKPT_NL_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/ckpt.h>

#include "base/buf.h"
#include "base/err.h"

/**
 * struct ckpt_nl_group - a tagged cgroup as the module knows it
 * @name: its name
 * @cgroup: path as in the 0:: line of /proc/PID/cgroup, owned
 * @generation: unique per group in a module load
 * @state: enum ckpt_group_state
 * @tasks: threads in it
 * @roots: paths, owned
 * @load_cookie: of the module load
 * @features: CKPT_FEATURE_*
 * @epoch: number of the open or last epoch
 * @round: number of its last round
 * @committed: id of the checkpoint committed last, zeros for none
 * @dirty_pages, @resident_pages: of the last round
 * @changed_inodes: changed and not taken
 * @taken: pages taken since the last commit
 * @lost: what could not be recorded; not 0: the next checkpoint must be full
 */
struct ckpt_nl_group {
	char name[CKPT_NAME_MAX + 1];
	char *cgroup;
	uint64_t generation;
	uint32_t state;
	uint32_t tasks;
	char **roots;
	size_t n_roots;
	uint64_t load_cookie;
	uint32_t features;
	uint64_t epoch;
	uint32_t round;
	uint8_t committed[CKPT_ID_LEN];
	uint64_t dirty_pages;
	uint64_t resident_pages;
	uint64_t changed_inodes;
	uint64_t taken;
	uint64_t lost;
};

/**
 * struct ckpt_nl_round - what epoch-begin and epoch-next answer
 * @epoch: number of the epoch
 * @round: 1 after begin
 * @committed: id of the checkpoint committed last, zeros for none
 * @load_cookie: of the module load
 * @generation: of the group
 * @dirty_pages, @resident_pages, @inodes: of this round
 * @lost: what could not be recorded since the last commit
 */
struct ckpt_nl_round {
	uint64_t epoch;
	uint32_t round;
	uint8_t committed[CKPT_ID_LEN];
	uint64_t load_cookie;
	uint64_t generation;
	uint64_t dirty_pages;
	uint64_t resident_pages;
	uint64_t inodes;
	uint64_t lost;
};

/**
 * struct ckpt_nl_area - a part of an area, or an address space of which none is known
 * @mm_cookie: unique per address space in a module load
 * @mm_pid: a process of it in the caller's pid namespace, 0: none seen from there
 * @mm_flags: CKPT_MM_*
 * @has_area: false: the message is about the address space alone
 * @start, @end: bytes
 * @pgoff: pages
 * @dev, @ino: of the file, 0 for anonymous memory
 * @flags: CKPT_AREA_*
 * @runs: sorted, inside the area; the next message may bring more of the same
 *	area; not owned
 */
struct ckpt_nl_area {
	uint64_t mm_cookie;
	int32_t mm_pid;
	uint32_t mm_flags;
	bool has_area;
	uint64_t start, end;
	uint64_t pgoff;
	uint64_t dev, ino;
	uint32_t flags;
	const struct ckpt_run *runs;
	size_t n_runs;
};

/**
 * struct ckpt_nl_inode - what happened to an inode
 * @dev: major << 32 | minor of the super block
 * @ino, @generation: which inode
 * @mask: CKPT_INODE_*
 * @flags: CKPT_INODE_F_*
 * @ranges: with CKPT_INODE_F_RANGES: sorted, disjoint; not owned
 */
struct ckpt_nl_inode {
	uint64_t dev, ino;
	uint32_t generation;
	uint32_t mask;
	uint32_t flags;
	const struct ckpt_extent *ranges;
	size_t n_ranges;
};

/* @attrs: the attributes of a message after its generic netlink header. */
int ckpt_nl_parse_group(const void *attrs, size_t len, struct ckpt_nl_group *ret,
			struct ckpt_err *err);
void ckpt_nl_group_done(struct ckpt_nl_group *group);
int ckpt_nl_parse_round(const void *attrs, size_t len, struct ckpt_nl_round *ret,
			struct ckpt_err *err);
/* @runs: holds ret->runs, emptied first. */
int ckpt_nl_parse_area(const void *attrs, size_t len, struct ckpt_buf *runs,
		       struct ckpt_nl_area *ret, struct ckpt_err *err);
/* @ranges: holds ret->ranges, emptied first. */
int ckpt_nl_parse_inode(const void *attrs, size_t len, struct ckpt_buf *ranges,
			struct ckpt_nl_inode *ret, struct ckpt_err *err);

struct nlmsghdr;

/**
 * ckpt_nl_refusal - what an error or end message says
 * @head: an NLMSG_ERROR or NLMSG_DONE message, of head->nlmsg_len bytes
 * @ret_text: the kernel's sentence inside the message, or NULL
 *
 * Return: positive errno, 0 for an acknowledgment or a good end.
 */
int ckpt_nl_refusal(const struct nlmsghdr *head, const char **ret_text);

#endif
