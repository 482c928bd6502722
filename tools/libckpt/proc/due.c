// SPDX-License-Identifier: GPL-2.0-or-later
/* Due times: the two programs, and what they have noted. */
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "proc/bpf.h"
#include "proc/due.h"
#include "proc/parse.h"
#include "proc/procfs.h"

#define NS_PER_S 1000000000ull
#define THREADS_MAX 4096
/* At least that of a kernel stack, which is larger with some ways of debugging. */
#define STACK_LEN 0x10000

/* JOBCTL_TRAP_STOP, _NOTIFY and _FREEZE of include/linux/sched/jobctl.h */
#define TRAPS (1 << 19 | 1 << 20 | 1 << 23)

/* A clock that counts ticks: it is @due of them then. */
#define TICKS 0x100

/* What is noted of a thread. */
struct note {
	uint64_t due, clock, noted_ns, stack_sp, stack_len;
};

/* Where the programs keep it: below the frame pointer, as is the key. */
#define NOTE (-16 - (int)sizeof(struct note))
#define KEY (-16)

enum {
	JOBCTL, STACK, STACK_SP, STACK_SIZE, THREAD_PID, LEVEL, NUMBERS, SOFT, BASE, CLOCK, EXPIRES,
	N_MEMBERS
};

static void get_members(struct ckpt_btf_member m[N_MEMBERS])
{
	const struct ckpt_btf_member wanted[N_MEMBERS] = {
		[JOBCTL] = { "task_struct", "jobctl", 0 },
		[STACK] = { "task_struct", "stack", 0 },
		[STACK_SP] = { "task_struct", "sas_ss_sp", 0 },
		[STACK_SIZE] = { "task_struct", "sas_ss_size", 0 },
		[THREAD_PID] = { "task_struct", "thread_pid", 0 },
		[LEVEL] = { "pid", "level", 0 },
		[NUMBERS] = { "pid", "numbers", 0 },
		[SOFT] = { "hrtimer", "_softexpires", 0 },
		[BASE] = { "hrtimer", "base", 0 },
		[CLOCK] = { "hrtimer_clock_base", "clockid", 0 },
		[EXPIRES] = { "timer_list", "expires", 0 },
	};

	memcpy(m, wanted, sizeof(wanted));
}

/* Our pid namespace: how deep it is, and where: which of its numbers a task has for us. */
struct level {
	uint64_t nr, ns;
};

/* r7 = its lower half */
static void narrow(struct ckpt_bpf *p)
{
	ckpt_bpf_emit(p, BPF_ALU | BPF_MOV | BPF_X, BPF_REG_7, BPF_REG_7, 0, 0);
}

static void store(struct ckpt_bpf *p, size_t member, uint8_t reg)
{
	ckpt_bpf_emit(p, BPF_STX | BPF_MEM | BPF_DW, BPF_REG_10, reg, NOTE + (int)member, 0);
}

/* r9 = the timer, r8 = the task; end unless it is woken by a stop and the timer is on its stack. */
static void write_head(struct ckpt_bpf *p, const struct ckpt_btf_member *m)
{
	ckpt_bpf_emit(p, BPF_LDX | BPF_MEM | BPF_DW, BPF_REG_9, BPF_REG_1, 0, 0);
	ckpt_bpf_call(p, BPF_FUNC_get_current_task);
	ckpt_bpf_move(p, BPF_REG_8, BPF_REG_0);
	ckpt_bpf_load(p, BPF_REG_8, m[JOBCTL].offset);
	ckpt_bpf_emit(p, BPF_JMP | BPF_JSET | BPF_K, BPF_REG_7, 0, 2, TRAPS);
	ckpt_bpf_end(p, 0);
	ckpt_bpf_load(p, BPF_REG_8, m[STACK].offset);
	ckpt_bpf_move(p, BPF_REG_1, BPF_REG_9);
	ckpt_bpf_emit(p, BPF_ALU64 | BPF_SUB | BPF_X, BPF_REG_1, BPF_REG_7, 0, 0);
	ckpt_bpf_emit(p, BPF_JMP | BPF_JLT | BPF_K, BPF_REG_1, 0, 2, STACK_LEN);
	ckpt_bpf_end(p, 0);
}

/*
 * r7 = the number that the task in r8 has for us.  There are 16 bytes for each level, and a task
 * that is in no namespace below ours has none: it ends, for somebody of ours may have its number.
 */
static void write_number(struct ckpt_bpf *p, const struct ckpt_btf_member *m,
			 const struct level *level)
{
	const uint32_t number = m[NUMBERS].offset + level->nr * 16;

	ckpt_bpf_load(p, BPF_REG_8, m[THREAD_PID].offset);
	ckpt_bpf_move(p, BPF_REG_9, BPF_REG_7);
	ckpt_bpf_load(p, BPF_REG_9, m[LEVEL].offset);
	narrow(p);
	ckpt_bpf_emit(p, BPF_JMP | BPF_JGE | BPF_K, BPF_REG_7, 0, 2, level->nr);
	ckpt_bpf_end(p, 0);
	ckpt_bpf_load(p, BPF_REG_9, number + 8);
	ckpt_bpf_emit(p, BPF_LD | BPF_DW | BPF_IMM, BPF_REG_1, 0, 0, (int32_t)level->ns);
	ckpt_bpf_emit(p, 0, 0, 0, 0, (int32_t)(level->ns >> 32));
	ckpt_bpf_emit(p, BPF_JMP | BPF_JEQ | BPF_X, BPF_REG_7, BPF_REG_1, 2, 0);
	ckpt_bpf_end(p, 0);
	ckpt_bpf_load(p, BPF_REG_9, number);
	narrow(p);
}

static void write_tail(struct ckpt_bpf *p, const struct ckpt_btf_member *m, int map,
		       const struct level *level)
{
	ckpt_bpf_call(p, BPF_FUNC_ktime_get_ns);
	store(p, offsetof(struct note, noted_ns), BPF_REG_0);
	ckpt_bpf_load(p, BPF_REG_8, m[STACK_SP].offset);
	store(p, offsetof(struct note, stack_sp), BPF_REG_7);
	ckpt_bpf_load(p, BPF_REG_8, m[STACK_SIZE].offset);
	store(p, offsetof(struct note, stack_len), BPF_REG_7);
	write_number(p, m, level);
	ckpt_bpf_emit(p, BPF_STX | BPF_MEM | BPF_DW, BPF_REG_10, BPF_REG_7, KEY, 0);
	ckpt_bpf_emit(p, BPF_LD | BPF_DW | BPF_IMM, BPF_REG_1, BPF_PSEUDO_MAP_FD, 0, map);
	ckpt_bpf_emit(p, 0, 0, 0, 0, 0);
	ckpt_bpf_move(p, BPF_REG_2, BPF_REG_10);
	ckpt_bpf_add(p, BPF_REG_2, KEY);
	ckpt_bpf_move(p, BPF_REG_3, BPF_REG_10);
	ckpt_bpf_add(p, BPF_REG_3, NOTE);
	ckpt_bpf_emit(p, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_4, 0, 0, BPF_ANY);
	ckpt_bpf_call(p, BPF_FUNC_map_update_elem);
	ckpt_bpf_end(p, 0);
}

static void write_precise(struct ckpt_bpf *p, const struct ckpt_btf_member *m)
{
	ckpt_bpf_load(p, BPF_REG_9, m[SOFT].offset);
	store(p, offsetof(struct note, due), BPF_REG_7);
	ckpt_bpf_load(p, BPF_REG_9, m[BASE].offset);
	ckpt_bpf_load(p, BPF_REG_7, m[CLOCK].offset);
	narrow(p);
	store(p, offsetof(struct note, clock), BPF_REG_7);
}

static void write_ticks(struct ckpt_bpf *p, const struct ckpt_btf_member *m)
{
	ckpt_bpf_call(p, BPF_FUNC_jiffies64);
	ckpt_bpf_move(p, BPF_REG_6, BPF_REG_0);
	ckpt_bpf_load(p, BPF_REG_9, m[EXPIRES].offset);
	ckpt_bpf_emit(p, BPF_ALU64 | BPF_SUB | BPF_X, BPF_REG_7, BPF_REG_6, 0, 0);
	store(p, offsetof(struct note, due), BPF_REG_7);
	ckpt_bpf_emit(p, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_7, 0, 0, TICKS);
	store(p, offsetof(struct note, clock), BPF_REG_7);
}

static int find_level(const struct ckpt_btf_member *m, struct level *ret)
{
	cleanup_close int fd = -1;
	struct ckpt_bpf p = { .n = 0 };

	ckpt_bpf_move(&p, BPF_REG_6, BPF_REG_1);
	ckpt_bpf_call(&p, BPF_FUNC_get_current_task);
	ckpt_bpf_load(&p, BPF_REG_0, m[THREAD_PID].offset);
	ckpt_bpf_move(&p, BPF_REG_8, BPF_REG_7);
	ckpt_bpf_load(&p, BPF_REG_8, m[LEVEL].offset);
	narrow(&p);
	ckpt_bpf_emit(&p, BPF_STX | BPF_MEM | BPF_DW, BPF_REG_6, BPF_REG_7,
		      offsetof(struct level, nr), 0);
	ckpt_bpf_emit(&p, BPF_ALU64 | BPF_LSH | BPF_K, BPF_REG_7, 0, 0, 4);
	ckpt_bpf_emit(&p, BPF_ALU64 | BPF_ADD | BPF_X, BPF_REG_8, BPF_REG_7, 0, 0);
	ckpt_bpf_load(&p, BPF_REG_8, m[NUMBERS].offset + 8);
	ckpt_bpf_emit(&p, BPF_STX | BPF_MEM | BPF_DW, BPF_REG_6, BPF_REG_7,
		      offsetof(struct level, ns), 0);
	ckpt_bpf_end(&p, 0);
	fd = ckpt_bpf_make(&p, BPF_PROG_TYPE_SYSCALL, BPF_F_SLEEPABLE, "ckpt_level");
	return ckpt_bpf_run(fd, ret, sizeof(*ret)) || ret->nr > 32 ? -1 : 0;
}

static int make_map(void)
{
	union bpf_attr attr = { 0 };

	attr.map_type = BPF_MAP_TYPE_HASH;
	attr.key_size = sizeof(uint64_t);
	attr.value_size = sizeof(struct note);
	attr.max_entries = THREADS_MAX;
	strcpy(attr.map_name, "ckpt_due");
	return syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr));
}

static int attach(const struct ckpt_bpf *p, const char *tracepoint)
{
	cleanup_close int fd = ckpt_bpf_make(p, BPF_PROG_TYPE_RAW_TRACEPOINT, 0, "ckpt_due");
	union bpf_attr attr = { 0 };

	attr.raw_tracepoint.name = (uintptr_t)tracepoint;
	attr.raw_tracepoint.prog_fd = fd;
	return fd < 0 ? -1 : (int)syscall(SYS_bpf, BPF_RAW_TRACEPOINT_OPEN, &attr, sizeof(attr));
}

static int attach_both(struct ckpt_due *due, const struct ckpt_btf_member *m,
		       const struct level *level)
{
	static void (*const middle[])(struct ckpt_bpf *, const struct ckpt_btf_member *) = {
		write_precise, write_ticks,
	};
	static const char *const names[] = { "hrtimer_cancel", "timer_cancel" };

	for (int i = 0; i < 2; i++) {
		struct ckpt_bpf p = { .n = 0 };

		write_head(&p, m);
		middle[i](&p, m);
		write_tail(&p, m, due->map, level);
		due->links[i] = attach(&p, names[i]);
		if (due->links[i] < 0)
			return -1;
	}
	return 0;
}

static int64_t ahead_of_host(void)
{
	cleanup_buf struct ckpt_buf b = CKPT_BUF_INIT;
	int64_t ours;

	return ckpt_procfs_read(AT_FDCWD, "/proc/self/timens_offsets", &b) ||
	       ckpt_parse_timens((char *)b.data, "monotonic", &ours) ? 0 : ours;
}

int ckpt_due_open(struct ckpt_due *ret)
{
	struct ckpt_due due = CKPT_DUE_NONE;
	struct ckpt_btf_member m[N_MEMBERS];
	struct level level;

	get_members(m);
	if (ckpt_fault("keeper.due") || ckpt_bpf_members(m, N_MEMBERS) || find_level(m, &level))
		return -1;
	due.map = make_map();
	if (due.map < 0 || attach_both(&due, m, &level)) {
		ckpt_due_close(&due);
		return -1;
	}
	due.host_ns = -ahead_of_host();
	*ret = due;
	return 0;
}

void ckpt_due_close(struct ckpt_due *due)
{
	for (int i = 0; i < 2; i++) {
		if (due->links[i] >= 0)
			close(due->links[i]);
	}
	if (due->map >= 0)
		close(due->map);
	*due = CKPT_DUE_NONE;
}

/* What is left of a note now, in ns. Return: false when it is by no clock that is known. */
static bool left_of(const struct ckpt_due *due, const struct note *note, uint64_t now,
		    int64_t *ret)
{
	struct timespec t;

	switch (note->clock) {
	case CLOCK_MONOTONIC:
		*ret = note->due - (now + due->host_ns);
		return true;
	case CLOCK_REALTIME:
		clock_gettime(CLOCK_REALTIME, &t);
		*ret = note->due - (t.tv_sec * NS_PER_S + t.tv_nsec);
		return true;
	case TICKS:
		/* a tick, the kernel's own, is what this clock counts in */
		clock_getres(CLOCK_MONOTONIC_COARSE, &t);
		*ret = (int64_t)note->due * t.tv_nsec + note->noted_ns - (now + due->host_ns);
		return true;
	}
	return false;
}

bool ckpt_due_of(const struct ckpt_due *due, pid_t tid, uint64_t since_ns,
		 struct ckpt_due_time *ret)
{
	union bpf_attr attr = { 0 };
	uint64_t key = tid, now = ckpt_now_ns();
	struct note note;
	int64_t left;

	attr.map_fd = due->map;
	attr.key = (uintptr_t)&key;
	attr.value = (uintptr_t)&note;
	if (due->map < 0 || syscall(SYS_bpf, BPF_MAP_LOOKUP_ELEM, &attr, sizeof(attr)) ||
	    note.noted_ns < since_ns + due->host_ns || !left_of(due, &note, now, &left))
		return false;
	*ret = (struct ckpt_due_time){
		.at_ns = now + left,
		.stack_sp = note.stack_sp,
		.stack_len = note.stack_len,
	};
	return true;
}
