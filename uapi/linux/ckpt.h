/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * ckpt generic netlink interface
 *
 * The contract is uapi/ckpt.yaml; this header is its C form and a lint step
 * compares the two.  All integers are host order (netlink), u32 and u64 only.
 * Every request checks CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN in the initial
 * user namespace.  Every refusal carries an extack sentence.  A request may hold
 * the attributes named for its operation and no others.
 *
 * An epoch of a group:
 *
 *   EPOCH_BEGIN   live sets become the taken sets, round 1 is walked; the
 *                 socket that called it is the owner until commit or abort
 *   PAGE_DUMP     the runs of the round walked last
 *   INODE_DUMP    the inodes of the round taken last
 *   EPOCH_NEXT    walks one more round; its changes join the taken sets
 *   EPOCH_COMMIT  the taken sets are durable under CHECKPOINT_ID: forgotten
 *   EPOCH_ABORT   (or the owner's socket closing) merges them back
 *
 * A BEGIN that fails opens no epoch.  A NEXT that fails, or whose reply does not
 * arrive, leaves the epoch open, and the next round tells again what the rounds
 * before it took; what a dump tells until then is not one round's.
 *
 * The socket closes when the last copy of its descriptor does: a forked child
 * that keeps one keeps the epoch open.
 *
 * Only the owner may call EPOCH_NEXT, _COMMIT and _ABORT (EBUSY for others);
 * any socket may dump.  A dump belongs to one round: when the next comes while
 * it is read, it ends with EAGAIN in its NLMSG_DONE; with ENOENT when the group
 * is removed.  A message about a group is as long as its roots, so up to 64 paths.
 */
#ifndef _UAPI_LINUX_CKPT_H
#define _UAPI_LINUX_CKPT_H

#include <linux/types.h>

#define CKPT_GENL_NAME		"ckpt"
#define CKPT_GENL_VERSION	1
#define CKPT_MCGRP_EVENTS	"events"

#define CKPT_NAME_MAX		63	/* [A-Za-z0-9._-]{1,63} */
#define CKPT_ID_LEN		16	/* bytes of a checkpoint id */

/* Operations; the reply carries the attributes named in ckpt.yaml. */
enum ckpt_cmd {
	CKPT_CMD_UNSPEC,
	CKPT_CMD_GROUP_NEW,	/* GROUP_NAME, GROUP_CGROUP */
	CKPT_CMD_GROUP_DEL,	/* GROUP_NAME */
	CKPT_CMD_GROUP_GET,	/* do: GROUP_NAME; dump: all groups */
	CKPT_CMD_ROOT_ADD,	/* GROUP_NAME, ROOT_PATH */
	CKPT_CMD_ROOT_DEL,	/* GROUP_NAME, ROOT_PATH */
	CKPT_CMD_EPOCH_BEGIN,	/* GROUP_NAME */
	CKPT_CMD_EPOCH_NEXT,	/* GROUP_NAME, EPOCH_FLAGS */
	CKPT_CMD_EPOCH_COMMIT,	/* GROUP_NAME, EPOCH, CHECKPOINT_ID */
	CKPT_CMD_EPOCH_ABORT,	/* GROUP_NAME, EPOCH */
	CKPT_CMD_PAGE_DUMP,	/* dump: GROUP_NAME; one area part a message */
	CKPT_CMD_INODE_DUMP,	/* dump: GROUP_NAME; one inode a message */
	CKPT_CMD_EVENT_NTF,	/* multicast: GROUP_NAME, EVENT, EVENT_VALUE */
	CKPT_CMD_GROUP_SET,	/* GROUP_NAME, one or more of EVENTS and *_MIN */
	__CKPT_CMD_MAX
};
#define CKPT_CMD_MAX (__CKPT_CMD_MAX - 1)

enum ckpt_attr {
	CKPT_A_UNSPEC,
	CKPT_A_PAD,
	/* group */
	CKPT_A_GROUP_NAME,	/* string */
	CKPT_A_GROUP_CGROUP,	/* string, as in the 0:: line of /proc/PID/cgroup */
	CKPT_A_GROUP_GENERATION, /* u64, unique per group-new in a module load */
	CKPT_A_GROUP_STATE,	/* u32, enum ckpt_group_state */
	CKPT_A_GROUP_TASKS,	/* u32 */
	CKPT_A_ROOT_PATH,	/* string; repeated in a reply */
	CKPT_A_LOAD_COOKIE,	/* u64, random per module load, never 0 */
	CKPT_A_FEATURES,	/* u32, CKPT_FEATURE_* */
	/* epoch */
	CKPT_A_EPOCH,		/* u64 */
	CKPT_A_ROUND,		/* u32, 1 after begin */
	CKPT_A_EPOCH_FLAGS,	/* u32, CKPT_EPOCH_* */
	CKPT_A_CHECKPOINT_ID,	/* binary 16; all zero: none committed */
	CKPT_A_DIRTY_PAGES,	/* u64, reported dirty in the last round */
	CKPT_A_RESIDENT_PAGES,	/* u64, with a page or swap entry in the last round */
	CKPT_A_CHANGED_INODES,	/* u64, live and not yet taken */
	CKPT_A_TAKEN_INODES,	/* u64, in the last round */
	CKPT_A_TAKEN,		/* u64, reported dirty since the last begin; 0 after a commit */
	CKPT_A_LOST,		/* u64, of files: what could not be recorded */
	/* mm and area (PAGE_DUMP) */
	CKPT_A_MM_COOKIE,	/* u64, unique per mm in a module load */
	CKPT_A_MM_PID,		/* u32, a thread group of the mm, caller's pid ns */
	CKPT_A_MM_FLAGS,	/* u32, CKPT_MM_* */
	CKPT_A_AREA_START,	/* u64, bytes */
	CKPT_A_AREA_END,	/* u64, bytes */
	CKPT_A_AREA_PGOFF,	/* u64, pages */
	CKPT_A_AREA_DEV,	/* u64, major << 32 | minor, 0: anonymous */
	CKPT_A_AREA_INO,	/* u64, 0: anonymous */
	CKPT_A_AREA_FLAGS,	/* u32, CKPT_AREA_* */
	CKPT_A_RUNS,		/* binary, array of struct ckpt_run */
	/* inode (INODE_DUMP) */
	CKPT_A_INODE_DEV,	/* u64, major << 32 | minor of the super block */
	CKPT_A_INODE_INO,	/* u64 */
	CKPT_A_INODE_GENERATION, /* u32 */
	CKPT_A_INODE_MASK,	/* u32, CKPT_INODE_*: what happened */
	CKPT_A_INODE_FLAGS,	/* u32, CKPT_INODE_F_* */
	/* event */
	CKPT_A_EVENT,		/* u32, enum ckpt_event */
	CKPT_A_EVENT_VALUE,	/* u64 */
	/* what listeners want to be told of a group */
	CKPT_A_EVENTS,		/* u32, CKPT_EVENTS_* */
	CKPT_A_DIRTY_SHARE_MIN,	/* u32, permille from which a round is told, 0: none */
	CKPT_A_MEMORY_SHARE_MIN, /* u32, permille from which it is told, 0: never */
	CKPT_A_CHANGED_INODES_MIN, /* u64, number from which it is told, 0: never */
	CKPT_A_MEMORY_SHARE,	/* u32, permille of the memory limit; none: no limit */
	/* more of an inode */
	CKPT_A_INODE_RANGES,	/* binary, array of struct ckpt_extent; with F_RANGES alone */
	__CKPT_A_MAX
};
#define CKPT_A_MAX (__CKPT_A_MAX - 1)

enum ckpt_group_state {
	CKPT_GROUP_IDLE,	/* tracking, no epoch open */
	CKPT_GROUP_TAKING,	/* between begin and commit or abort */
	CKPT_GROUP_GONE,	/* its cgroup was removed */
};

#define CKPT_FEATURE_PAGES	(1U << 0)	/* read-and-clear walk */
#define CKPT_FEATURE_INODES	(1U << 1)	/* change sets */
#define CKPT_FEATURE_EXEC	(1U << 2)	/* the kernel tells of exec, */
#define CKPT_FEATURE_EXIT	(1U << 3)	/* exit */
#define CKPT_FEATURE_OOM_KILL	(1U << 4)	/* and OOM kills */
#define CKPT_FEATURE_MEMORY_SHARE (1U << 5)	/* and limits memory */
#define CKPT_FEATURE_RANGES	(1U << 6)	/* which pages of a file were written */

/*
 * EPOCH_NEXT: every task of the group is stopped.  The walk tries for locks a
 * second and more; an mm whose lock is not had is MM_BUSY all the same, and its
 * reader copies all of it.  Nobody looks for overlays: one that may have come
 * since the round before is LOST.
 */
#define CKPT_EPOCH_FINAL	(1U << 0)

/*
 * MM_FLAGS: why all pages of an mm with content are reported dirty (NEW,
 * NOTIFIERS), or why none of its areas is told (BUSY, OVERFLOW).
 */
#define CKPT_MM_NEW		(1U << 0)	/* no take that can be compared with */
#define CKPT_MM_NOTIFIERS	(1U << 1)	/* mmu notifiers: bits not cleared */
#define CKPT_MM_BUSY		(1U << 2)	/* lock not had: told by the next round */
#define CKPT_MM_OVERFLOW	(1U << 3)	/* over a bound: runs not kept, copy everything */

/* AREA_FLAGS */
#define CKPT_AREA_READ		(1U << 0)
#define CKPT_AREA_WRITE		(1U << 1)
#define CKPT_AREA_EXEC		(1U << 2)
#define CKPT_AREA_SHARED	(1U << 3)
#define CKPT_AREA_MAYWRITE	(1U << 4)
#define CKPT_AREA_FILE		(1U << 5)	/* has a file (shmem included) */
#define CKPT_AREA_SHMEM		(1U << 6)
#define CKPT_AREA_HUGETLB	(1U << 7)
#define CKPT_AREA_UNWALKED	(1U << 8)	/* IO, PFNMAP, MIXEDMAP, special: no runs */
#define CKPT_AREA_NEW		(1U << 9)	/* no part had this identity at the last take */
#define CKPT_AREA_WHOLE		(1U << 10)	/* not protected (all shared ones): always dirty */
#define CKPT_AREA_GROWSDOWN	(1U << 11)
#define CKPT_AREA_WIPEONFORK	(1U << 12)
#define CKPT_AREA_TOLD		(1U << 13)	/* runs left out: told with another area */

/*
 * State of the pages of a run.  Pages of an area that no run covers are
 * CKPT_PAGE_NONE: zeros in private anonymous memory, the file's in a file map.
 *
 * A page of an inode that several shared areas map is told once in a round, with
 * the first of them, by cookie and address.  The others have AREA_TOLD: a page
 * without a run is told with one of the areas of the same inode, or NONE.
 */
enum ckpt_page_state {
	CKPT_PAGE_NONE,
	CKPT_PAGE_ZERO,		/* the shared zero page */
	CKPT_PAGE_FILE,		/* page cache or shmem page */
	CKPT_PAGE_ANON,
	CKPT_PAGE_SWAP,
	CKPT_PAGE_GUARD,
	CKPT_PAGE_MIGRATION,
	CKPT_PAGE_SPECIAL,	/* no struct page, poisoned, device: not readable as memory */
};

/*
 * In a private area DIRTY is set on ANON, SWAP, MIGRATION and SPECIAL alone; of
 * the other states the content is told by the state.  Such a page that is not
 * DIRTY is what it was at the last take, whether or not the area merged, grew
 * or changed its protection since.
 */
#define CKPT_RUN_DIRTY		(1U << 0)	/* copy it */
#define CKPT_RUN_HUGE		(1U << 1)	/* mapped by a pmd or larger */
#define CKPT_RUN_DMA		(1U << 2)	/* unexpected reference: reported again later */
#define CKPT_RUN_KSM		(1U << 3)

/**
 * struct ckpt_run - consecutive pages of one state
 * @start: first address, bytes
 * @pages: number of 4 KiB pages
 * @state: enum ckpt_page_state
 * @flags: CKPT_RUN_*
 */
struct ckpt_run {
	__u64 start;
	__u32 pages;
	__u16 state;
	__u16 flags;
};

/* INODE_MASK */
#define CKPT_INODE_DATA		(1U << 0)	/* content written, punched, truncated */
#define CKPT_INODE_META		(1U << 1)	/* mode, owner, times, xattr, link count */
#define CKPT_INODE_ENTRIES	(1U << 2)	/* directory: entries added, removed, renamed */
#define CKPT_INODE_CREATED	(1U << 3)
#define CKPT_INODE_DELETED	(1U << 4)	/* last link gone or one unlinked */
#define CKPT_INODE_MOVED	(1U << 5)
#define CKPT_INODE_SUSPECT	(1U << 6)	/* may have changed unseen: compare content */

/* INODE_FLAGS */
#define CKPT_INODE_F_DIR	(1U << 0)
#define CKPT_INODE_F_INSIDE	(1U << 1)	/* changed by a task of the group */
#define CKPT_INODE_F_OUTSIDE	(1U << 2)	/* changed by another task */
#define CKPT_INODE_F_MAPPED	(1U << 3)	/* a writable shared mapping existed at the take */
#define CKPT_INODE_F_OPEN	(1U << 4)	/* open for writing in the group at the take */
#define CKPT_INODE_F_RANGES	(1U << 5)	/* INODE_RANGES is complete */

/**
 * struct ckpt_extent - consecutive pages of a file
 * @first: byte offset >> 12
 * @pages: how many, at least 1
 *
 * With F_RANGES, what a file held at the last round that named it with DATA,
 * SUSPECT or CREATED it still holds, but for these pages: sorted, not touching,
 * some of them perhaps beyond its end.  An empty array means nothing was written,
 * whatever the mask says.  Who did not copy what such a round named, or has
 * another file in mind, copies the whole.
 */
struct ckpt_extent {
	__u64 first;
	__u64 pages;
};

/* EVENTS: what tasks of the group do that is told */
#define CKPT_EVENTS_EXEC	(1U << 0)
#define CKPT_EVENTS_EXIT	(1U << 1)
#define CKPT_EVENTS_OOM_KILL	(1U << 2)

/*
 * Events reach the initial network namespace.  They are hints: one that finds no
 * memory, or no room at a listener, is not sent again.  What LOST, GROUP_GONE
 * and the shares tell is in the attributes of a GROUP_GET, too.
 *
 * LOST and GROUP_GONE are always told, the others when GROUP_SET asked for them:
 * once for the group, whoever listens.  A new group wants none.
 *
 * LOST is sent when the attribute LOST is no longer 0, once until the next
 * commit, and after that commit if it is not 0 then.
 *
 * DIRTY_SHARE is sent after every round (begin or next) of which the share is
 * DIRTY_SHARE_MIN or more.  It is that round's DIRTY_PAGES in permille of its
 * RESIDENT_PAGES: what was written since the round before.  Between rounds
 * nobody knows it, since only a walk that clears the bits could tell.
 *
 * MEMORY_SHARE is sent when the memory is MEMORY_SHARE_MIN or more of its limit,
 * and again after it was less.  The limit is memory.max of the group's cgroup or
 * of the nearest one above that has one; the memory is that of the cgroup with
 * the limit.  The module looks once a second, while it is wanted.
 *
 * CHANGED_INODES is sent when CHANGED_INODES is CHANGED_INODES_MIN or more, once
 * until the next round or the end of the epoch, and after that if it is so still.
 *
 * EXEC, EXIT and OOM_KILL are counts: of successful execs, of processes (not
 * threads) that ended, of processes that the OOM killer chose.  What happens
 * within 100 ms is told together.  No pid is told: a message is the same for all
 * listeners, whose pid namespaces differ, and a pid may be another's by then.
 */
enum ckpt_event {
	CKPT_EVENT_UNSPEC,
	CKPT_EVENT_LOST,	/* value: lost so far; the next checkpoint must be full */
	CKPT_EVENT_GROUP_GONE,	/* the cgroup was removed; value: 0 */
	CKPT_EVENT_DIRTY_SHARE,	/* value: permille */
	CKPT_EVENT_MEMORY_SHARE, /* value: permille */
	CKPT_EVENT_CHANGED_INODES, /* value: their number */
	CKPT_EVENT_EXEC,	/* value: how many since it was told last */
	CKPT_EVENT_EXIT,	/* value: the same */
	CKPT_EVENT_OOM_KILL,	/* value: the same */
};

#endif /* _UAPI_LINUX_CKPT_H */
