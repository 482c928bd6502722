// SPDX-License-Identifier: GPL-2.0-or-later
/* Descriptors that are not restored: each by name, and their holders run on. Natively as root. */
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/bpf.h>
#include <linux/landlock.h>
#include <linux/perf_event.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "lib/proc_group.h"
#include "lib/scratch.h"

#ifndef __NR_memfd_secret
#define __NR_memfd_secret 447
#endif
#ifndef __NR_landlock_create_ruleset
#define __NR_landlock_create_ruleset 444
#endif

#define LOOP_MAJOR 7

static int must(int value)
{
	if (value < 0)
		_exit(errno ? errno : 1);
	return value;
}

static int have(int fd)
{
	if (fd < 0)
		proc_group_lacks(0);
	return fd;
}

static void hold_userfault(void)
{
	have(syscall(SYS_userfaultfd, 0));
}

static void hold_fanotify(void)
{
	have(fanotify_init(FAN_CLASS_NOTIF, O_RDONLY));
}

static void hold_perf(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE, .size = sizeof(attr), .config = PERF_COUNT_SW_DUMMY,
	};

	have(syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0));
}

static void hold_map(void)
{
	union bpf_attr attr = {
		.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 8, .max_entries = 1,
	};

	have(syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr)));
}

static void hold_program(void)
{
	static const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K }, { .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_SOCKET_FILTER, .insn_cnt = 2,
		.insns = (uintptr_t)insns, .license = (uintptr_t)"GPL",
	};

	have(syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr)));
}

static void hold_secret(void)
{
	have(syscall(__NR_memfd_secret, 0));
}

static void hold_ruleset(void)
{
	const struct landlock_ruleset_attr attr = {
		.handled_access_fs = LANDLOCK_ACCESS_FS_EXECUTE,
	};

	have(syscall(__NR_landlock_create_ruleset, &attr, sizeof(attr), 0));
}

static void hold_file_system(void)
{
	have(syscall(SYS_fsopen, "tmpfs", 0));
}

static void hold_disk(void)
{
	const char *disk = scratch("disk");

	must(mknod(disk, S_IFBLK | 0600, makedev(LOOP_MAJOR, 0)));
	if (open(disk, O_RDONLY | O_NONBLOCK) < 0)
		proc_group_lacks(ENXIO);
	unlink(disk);
}

static void hold_link(void)
{
	must(symlink("somewhere", scratch("link")));
	must(open(scratch("link"), O_PATH | O_NOFOLLOW));
	unlink(scratch("link"));
}

static void hold_packets(void)
{
	int ends[2];

	must(pipe2(ends, O_DIRECT));
}

/* One more than anybody can write, by the kernel, which tells of a read that has ended. */
static void hold_full_eventfd(void)
{
	const uint64_t most = UINT64_MAX - 1;
	int event = eventfd(0, EFD_NONBLOCK);
	static char byte;
	struct iocb cb = {
		.aio_lio_opcode = IOCB_CMD_PREAD, .aio_buf = (uintptr_t)&byte, .aio_nbytes = 1,
		.aio_flags = IOCB_FLAG_RESFD, .aio_resfd = event,
	}, *list = &cb;
	struct io_event done;
	aio_context_t ring = 0;

	cb.aio_fildes = must(open("/dev/zero", O_RDONLY));
	must(write(event, &most, sizeof(most)));
	have(syscall(SYS_io_setup, 1, &ring));
	must(syscall(SYS_io_submit, ring, 1, &list) == 1 ? 0 : -1);
	must(syscall(SYS_io_getevents, ring, 1, 1, &done, NULL) == 1 ? 0 : -1);
	must(syscall(SYS_io_destroy, ring));
}

static void watch(int fd, uint32_t events)
{
	struct epoll_event e = { .events = events };

	must(epoll_ctl(must(epoll_create1(0)), EPOLL_CTL_ADD, fd, &e));
}

/* A kernel that never sleeps takes the flag away. */
static void keep_awake(void)
{
	char text[256] = "";
	int ends[2], fd;

	must(pipe(ends));
	watch(ends[0], EPOLLIN | EPOLLWAKEUP);
	fd = must(open("/proc/self/fdinfo/6", O_RDONLY));
	must(read(fd, text, sizeof(text) - 1));
	close(fd);
	if (!strstr(text, "events: 20000"))
		_exit(PROC_GROUP_NONE);
}

static int ours;

/* A file that the test has open, and its holder no more. */
static void watch_closed(void)
{
	int test = must(syscall(SYS_pidfd_open, getppid(), 0));
	int fd = must(syscall(SYS_pidfd_getfd, test, ours, 0));

	watch(fd, EPOLLIN);
	close(fd);
	close(test);
}

/* What is 0 after a restore is another file. */
static void hold_outer(void)
{
	int test = must(syscall(SYS_pidfd_open, getppid(), 0));
	int fd = must(syscall(SYS_pidfd_getfd, test, ours, 0));

	must(dup2(fd, 0));
	close(fd);
	close(test);
}

static void hold_signals(void)
{
	hold_outer();
	must(fcntl(0, F_SETFL, O_ASYNC));
}

static void watch_outer(void)
{
	hold_outer();
	watch(0, EPOLLIN);
}

static void refuses_by_name(void **state)
{
	static const struct proc_group_refusal cases[] = {
		{ hold_userfault, "holds a userfaultfd descriptor 4" },
		{ hold_fanotify, "holds a fanotify descriptor 4" },
		{ hold_perf, "holds a perf event descriptor 4" },
		{ hold_map, "holds a BPF descriptor 4 (anon_inode:bpf-map)" },
		{ hold_program, "holds a BPF descriptor 4 (anon_inode:bpf-prog)" },
		{ hold_secret, "holds a memfd_secret descriptor 4" },
		{ hold_ruleset, "holds an anonymous descriptor 4 (anon_inode:[landlock-ruleset])" },
		{ hold_file_system, "holds an anonymous descriptor 4 (anon_inode:[fscontext])" },
		{ hold_disk, "holds a block device descriptor 4" },
		{ hold_link, "holds an unknown descriptor 4" },
		{ hold_packets, "holds a pipe in packet mode on descriptor 5" },
		{ hold_full_eventfd, "holds an eventfd that has run over (descriptor 4)" },
		{ keep_awake, "and keeps the machine awake meanwhile (EPOLLWAKEUP)" },
		{ watch_closed, "a file that no process of the tree has open any more" },
		{ hold_signals, "gets signals of descriptor 0 (O_ASYNC), which leads out of the" },
		{ watch_outer, "by epoll 4, which leads out of the tree" },
	};
	int ends[2];

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	ours = ends[0];
	proc_group_refusals(cases, sizeof(cases) / sizeof(cases[0]));
	close(ends[0]);
	close(ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_by_name),
	};

	return cmocka_run_group_tests_name("proc refuse fd", tests, scratch_make, scratch_remove);
}
