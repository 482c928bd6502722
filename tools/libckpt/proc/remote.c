// SPDX-License-Identifier: GPL-2.0-or-later
/* Remote system calls and remote memory. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "proc/procfs.h"
#include "proc/remote.h"

#define SYSCALL_STOP (SIGTRAP | 0x80)
/* Other stops that may come between two system call stops; more means a livelock. */
#define FOREIGN_STOPS_MAX 64
/* Looks before the first sleep: most calls are over by then, on the other processor. */
#define SPINS 50

#ifndef SYS_USER_DISPATCH
#define SYS_USER_DISPATCH 2
#endif

/* What a call leaves behind besides its value. */
struct outcome {
	pid_t child;	/* from a clone event */
	bool stop, sys;	/* a SIGSTOP, a SIGSYS was taken out and must be queued again */
};

static unsigned int bound_ms = 10000;

void ckpt_remote_bound(unsigned int ms)
{
	bound_ms = ms;
}

/* Looks instead of a sleep in waitpid, which only a signal could end in time. */
static int wait_stop(pid_t tid, int *ret_status, struct ckpt_err *err)
{
	uint64_t until = ckpt_now_ns() + bound_ms * 1000000ull;
	unsigned int rounds = 0;
	pid_t got;

	while (!(got = waitpid(tid, ret_status, __WALL | WNOHANG)) || (got < 0 && errno == EINTR)) {
		if (ckpt_now_ns() > until) {
			ptrace(PTRACE_INTERRUPT, tid, 0, 0);
			return ckpt_fail(err, CKPT_FAILED, 0,
				"thread %d does not come back from a remote call in %u ms (is its "
				"cgroup frozen by somebody else?); try again", tid, bound_ms);
		}
		if (++rounds < SPINS)
			sched_yield();
		else
			ckpt_sleep_us(rounds < SPINS * 10 ? 10 : 500);
	}
	if (got < 0)
		return ckpt_fail(err, CKPT_FAILED, errno, "thread %d: cannot wait for it", tid);
	if (!WIFSTOPPED(*ret_status))
		return ckpt_fail(err, CKPT_FAILED, 0, "thread %d died during a remote call", tid);
	return 0;
}

static int note_event(pid_t tid, int event, struct outcome *out, struct ckpt_err *err)
{
	unsigned long child;

	if (event != PTRACE_EVENT_CLONE && event != PTRACE_EVENT_FORK &&
	    event != PTRACE_EVENT_VFORK)
		return 0;
	if (ptrace(PTRACE_GETEVENTMSG, tid, 0, &child))
		return ckpt_fail(err, CKPT_FAILED, errno, "thread %d: cannot see its child", tid);
	out->child = child;
	return 0;
}

bool ckpt_remote_dispatched(pid_t tid)
{
	siginfo_t info;

	return !ptrace(PTRACE_GETSIGINFO, tid, 0, &info) && info.si_signo == SIGSYS &&
	       info.si_code == SYS_USER_DISPATCH;
}

/* A signal came instead; SIGSTOP cannot be blocked, and SIGSYS may not be. */
static int note_signal(pid_t tid, int sig, struct outcome *out, struct ckpt_err *err)
{
	out->stop |= sig == SIGSTOP;
	if (sig != SIGSYS)
		return 0;
	if (ckpt_remote_dispatched(tid))
		return ckpt_fail(err, CKPT_REFUSED, 0, "thread %d uses syscall user dispatch", tid);
	out->sys = true;
	return 0;
}

/* Go on to the next system call stop; stops of other kinds are passed over. */
static int run_to_syscall_stop(pid_t tid, struct outcome *out, struct ckpt_err *err)
{
	int i, status;

	for (i = 0; i < FOREIGN_STOPS_MAX; i++) {
		if (ptrace(PTRACE_SYSCALL, tid, 0, 0))
			return ckpt_fail(err, CKPT_FAILED, errno, "thread %d: cannot resume it",
					 tid);
		if (wait_stop(tid, &status, err))
			return -1;
		if (WSTOPSIG(status) == SYSCALL_STOP)
			return 0;
		if (status >> 16 ? note_event(tid, status >> 16, out, err)
				 : note_signal(tid, WSTOPSIG(status), out, err))
			return -1;
	}
	return ckpt_fail(err, CKPT_FAILED, 0, "thread %d is stopped again and again by others",
			 tid);
}

void ckpt_remote_call_regs(struct user_regs_struct *regs, uint64_t at, long nr,
			   const uint64_t args[6])
{
	regs->rip = at;
	regs->rax = nr;
	regs->orig_rax = -1;	/* no call to restart */
	regs->rdi = args[0];
	regs->rsi = args[1];
	regs->rdx = args[2];
	regs->r10 = args[3];
	regs->r8 = args[4];
	regs->r9 = args[5];
}

static int call(pid_t tid, uint64_t at, long nr, const uint64_t args[6], int64_t *ret_value,
		struct outcome *out, struct ckpt_err *err)
{
	struct user_regs_struct regs;

	if (ptrace(PTRACE_GETREGS, tid, 0, &regs))
		return ckpt_fail(err, CKPT_FAILED, errno, "thread %d: cannot read its registers",
				 tid);
	ckpt_remote_call_regs(&regs, at, nr, args);
	if (ptrace(PTRACE_SETREGS, tid, 0, &regs))
		return ckpt_fail(err, CKPT_FAILED, errno, "thread %d: cannot set its registers",
				 tid);
	if (run_to_syscall_stop(tid, out, err) || run_to_syscall_stop(tid, out, err))
		return -1;
	if (ptrace(PTRACE_GETREGS, tid, 0, &regs))
		return ckpt_fail(err, CKPT_FAILED, errno, "thread %d: cannot read its registers",
				 tid);
	*ret_value = (int64_t)regs.rax;
	if (out->stop)
		syscall(SYS_tkill, tid, SIGSTOP);
	if (out->sys)
		syscall(SYS_tkill, tid, SIGSYS);
	return 0;
}

int ckpt_remote_syscall(pid_t tid, uint64_t at, long nr, const uint64_t args[6],
			int64_t *ret_value, struct ckpt_err *err)
{
	struct outcome out = { 0 };

	return call(tid, at, nr, args, ret_value, &out, err);
}

int ckpt_remote_clone(pid_t tid, uint64_t at, uint64_t args, size_t len, int64_t *ret_value,
		      pid_t *ret_tid, struct ckpt_err *err)
{
	const uint64_t a[6] = { args, len };
	struct outcome out = { 0 };
	int64_t value;
	int status;

	if (call(tid, at, SYS_clone3, a, &value, &out, err)) {
		/* who traces a child must reap it, or its namespace never ends */
		if (out.child) {
			kill(out.child, SIGKILL);
			waitpid(out.child, NULL, __WALL);
		}
		return -1;
	}
	if (out.child && wait_stop(out.child, &status, err))
		return -1;
	*ret_value = value;
	*ret_tid = out.child;
	return 0;
}

static int find_vdso(pid_t pid, uint64_t *ret_start, uint64_t *ret_end, struct ckpt_err *err)
{
	cleanup_fclose FILE *maps = NULL;
	cleanup_free char *line = NULL;
	char path[64];
	size_t cap = 0;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps = fopen(path, "re");
	if (!maps)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot open %s", path);
	while (getline(&line, &cap, maps) > 0) {
		if (strstr(line, "[vdso]") &&
		    sscanf(line, "%lx-%lx", ret_start, ret_end) == 2)
			return 0;
	}
	return ckpt_fail(err, CKPT_REFUSED, 0, "process %d has no vdso to make remote calls from",
			 pid);
}

int ckpt_remote_vdso_syscall(pid_t pid, uint64_t *ret_at, struct ckpt_err *err)
{
	static const uint8_t insn[] = { 0x0f, 0x05 };
	cleanup_free uint8_t *code = NULL;
	uint64_t start, end;
	const uint8_t *hit;

	if (find_vdso(pid, &start, &end, err))
		return -1;
	code = malloc(end - start);
	if (!code)
		return ckpt_fail(err, CKPT_FAILED, ENOMEM, "cannot read the vdso of %d", pid);
	if (ckpt_remote_read(pid, start, code, end - start, err))
		return -1;
	hit = memmem(code, end - start, insn, sizeof(insn));
	if (!hit)
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "the vdso of process %d holds no syscall instruction", pid);
	*ret_at = start + (hit - code);
	return 0;
}

/* The whole range through /proc/PID/mem, which passes over page protection. */
static int move_by_file(pid_t pid, uint64_t addr, void *data, size_t len, bool to_remote,
			struct ckpt_err *err)
{
	cleanup_close int fd = -1;
	char path[64];
	size_t done;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, (to_remote ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
	if (fd < 0)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot open %s", path);
	for (done = 0; done < len; done += n) {
		if (to_remote)
			n = pwrite(fd, (char *)data + done, len - done, addr + done);
		else
			n = pread(fd, (char *)data + done, len - done, addr + done);
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n <= 0)
			return ckpt_fail(err, CKPT_FAILED, n ? errno : EIO,
					 "process %d: cannot %s memory at 0x%lx", pid,
					 to_remote ? "write" : "read", addr + done);
	}
	return 0;
}

int ckpt_remote_read(pid_t pid, uint64_t addr, void *data, size_t len, struct ckpt_err *err)
{
	struct iovec to = { data, len };
	struct iovec from = { (void *)(uintptr_t)addr, len };

	if (process_vm_readv(pid, &to, 1, &from, 1, 0) == (ssize_t)len)
		return 0;
	return move_by_file(pid, addr, data, len, false, err);
}

int ckpt_remote_write(pid_t pid, uint64_t addr, const void *data, size_t len, struct ckpt_err *err)
{
	struct iovec from = { (void *)data, len };
	struct iovec to = { (void *)(uintptr_t)addr, len };

	if (process_vm_writev(pid, &from, 1, &to, 1, 0) == (ssize_t)len)
		return 0;
	return move_by_file(pid, addr, (void *)data, len, true, err);
}
