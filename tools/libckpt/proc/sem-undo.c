// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Adjustments: from the directory of a task below /proc to its list of them
 *
 * Others may remove a set meanwhile, and with it what the list has of it.  So it is walked twice.
 */
#include <linux/kcmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "proc/peek.h"
#include "proc/procfs.h"
#include "proc/sem-undo.h"

#define SETS_MAX 65536
#define TRIES 4

enum {
	/* the inode of a descriptor, which lies in what /proc has of a task */
	INODE = CKPT_PEEK_OWN,
	PID, TASKS, LINKS, UNDO, LIST, FIRST, NEXT, SET, ADJUST, N_MEMBERS
};
_Static_assert(N_MEMBERS <= CKPT_UNDO_MEMBERS, "room for the offset of each");

static const struct ckpt_btf_member wanted[N_MEMBERS] = {
	[CKPT_PEEK_FILES] = { "task_struct", "files", 0 },
	[CKPT_PEEK_FDT] = { "files_struct", "fdt", 0 },
	[CKPT_PEEK_FD] = { "fdtable", "fd", 0 },
	[CKPT_PEEK_PRIVATE] = { "file", "f_inode", 0 },
	[INODE] = { "proc_inode", "vfs_inode", 0 },
	[PID] = { "proc_inode", "pid", 0 },
	[TASKS] = { "pid", "tasks", 0 },
	[LINKS] = { "task_struct", "pid_links", 0 },
	[UNDO] = { "task_struct", "sysvsem", 0 },
	[LIST] = { "sysv_sem", "undo_list", 0 },
	[FIRST] = { "sem_undo_list", "list_proc", 0 },
	[NEXT] = { "sem_undo", "list_proc", 0 },
	[SET] = { "sem_undo", "semid", 0 },
	[ADJUST] = { "sem_undo", "semadj", 0 },
};

void ckpt_undo_peek_close(struct ckpt_undo_peek *peek)
{
	if (peek->program >= 0)
		close(peek->program);
	peek->program = -1;
}

void ckpt_undos_done(struct ckpt_undos *undos, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(undos[i].adjust);
	free(undos);
}

/* The list of the task whose directory is @dir; 0: it has none. Return: whether that is known. */
static bool find_list(const struct ckpt_undo_peek *peek, int dir, uint64_t *ret)
{
	const uint32_t *o = peek->offset;
	uint64_t at = 0;
	bool ok = !ckpt_peek_private(peek->program, dir, &at) && at;

	at = ok ? ckpt_peek_word(peek->program, at - o[INODE] + o[PID], &ok) : 0;
	at = ok && at ? ckpt_peek_word(peek->program, at + o[TASKS], &ok) : 0;
	if (!ok || !at)
		return false;
	*ret = ckpt_peek_word(peek->program, at - o[LINKS] + o[UNDO] + o[LIST], &ok);
	return ok;
}

/* Before 6.3 there is a pointer to the numbers, which lie behind it. */
static bool get_numbers(const struct ckpt_undo_peek *peek, uint64_t at, int16_t *ret, size_t n)
{
	bool ok = true;
	uint64_t first = ckpt_peek_word(peek->program, at, &ok);

	if (ok && first == at + sizeof(first))
		at = first;
	return ok && !ckpt_peek_get(peek->program, at, ret, n * sizeof(*ret));
}

static bool any(const int16_t *numbers, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (numbers[i])
			return true;
	}
	return false;
}

struct walk {
	const struct ckpt_undo_peek *peek;
	ckpt_sem_count_fn count;
	const void *arg;
	struct ckpt_undos *list;
	size_t n;
};

/* Return: 0, 1: it cannot be read, -1: no memory. */
static int add(struct walk *w, int32_t set, uint64_t at, size_t n)
{
	cleanup_free int16_t *numbers = calloc(n, sizeof(*numbers));
	struct ckpt_undos *list;

	if (!numbers)
		return -1;
	if (!get_numbers(w->peek, at, numbers, n))
		return 1;
	if (!any(numbers, n))
		return 0;
	list = ckpt_grow(w->list, &w->n, sizeof(*list));
	if (!list)
		return -1;
	w->list = list;
	list[w->n - 1] = (struct ckpt_undos){ .set = set, .adjust = take_ptr(numbers), .n = n };
	return 0;
}

/* Return: as add(). */
static int walk(struct walk *w, uint64_t list)
{
	const uint32_t *o = w->peek->offset;
	const uint64_t head = list + o[FIRST];
	bool ok = true;
	uint64_t at = ckpt_peek_word(w->peek->program, head, &ok);

	for (size_t i = 0; ok && at != head; i++) {
		uint64_t undo = at - o[NEXT];
		int32_t set = (int32_t)ckpt_peek_half(w->peek->program, undo + o[SET], &ok);
		size_t n = ok && set >= 0 ? w->count(w->arg, set) : 0;
		int failed = n ? add(w, set, undo + o[ADJUST], n) : 0;

		if (failed || i > SETS_MAX)
			return failed ? failed : 1;
		at = ckpt_peek_word(w->peek->program, at, &ok);
	}
	return ok ? 0 : 1;
}

static bool same(const struct walk *a, const struct walk *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		if (a->list[i].set != b->list[i].set || a->list[i].n != b->list[i].n ||
		    memcmp(a->list[i].adjust, b->list[i].adjust,
			   a->list[i].n * sizeof(*a->list[i].adjust)))
			return false;
	}
	return true;
}

int ckpt_undos_get(struct ckpt_undo_peek *peek, pid_t tid, int dir, ckpt_sem_count_fn count,
		   const void *arg, struct ckpt_undos **ret, size_t *ret_n)
{
	struct walk last = { peek, count, arg, NULL, 0 };
	uint64_t list;
	int failed = 1;

	*ret = NULL;
	*ret_n = 0;
	/* we have none: nobody has one together with us */
	if (!syscall(SYS_kcmp, getpid(), tid, KCMP_SYSVSEM, 0, 0))
		return 0;
	if (!peek->tried && !ckpt_fault("undos.peek"))
		peek->program = ckpt_peek_open(wanted, N_MEMBERS, peek->offset);
	peek->tried = true;
	if (peek->program < 0 || !find_list(peek, dir, &list))
		return 1;
	for (int i = 0; list && i < TRIES; i++) {
		struct walk now = { peek, count, arg, NULL, 0 };
		bool settled;

		failed = walk(&now, list);
		settled = i && !failed && same(&last, &now);
		ckpt_undos_done(last.list, last.n);
		last = now;
		if (failed < 0 || settled)
			break;
		failed = 1;
	}
	if (list && failed) {
		ckpt_undos_done(last.list, last.n);
		return failed;
	}
	*ret = last.list;
	*ret_n = last.n;
	return 0;
}
