// SPDX-License-Identifier: GPL-2.0-or-later
/* Parsers of /proc texts. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "proc/parse.h"
#include "proc/procfs.h"

static void maps_lines(void **state)
{
	const char *at = "55d0c0000000-55d0c0002000 r--p 00001000 fe:01 1234567    /usr/bin/a b\n"
			 "7f0000000000-7f0000001000 rw-s 00000000 00:01 9 /dev/zero (deleted)\n"
			 "7ffd00000000-7ffd00021000 rw-p 00000000 00:00 0 \n"
			 "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]";
	struct ckpt_maps_line m;

	(void)state;
	assert_int_equal(ckpt_parse_maps_line(&at, &m), 1);
	assert_int_equal(m.start, 0x55d0c0000000);
	assert_int_equal(m.end, 0x55d0c0002000);
	assert_int_equal(m.prot, PROT_READ);
	assert_false(m.shared);
	assert_int_equal(m.pgoff, 0x1000);
	assert_int_equal(m.dev, makedev(0xfe, 1));
	assert_int_equal(m.ino, 1234567);
	assert_int_equal(m.path_len, strlen("/usr/bin/a b"));
	assert_memory_equal(m.path, "/usr/bin/a b", m.path_len);
	assert_int_equal(ckpt_parse_maps_line(&at, &m), 1);
	assert_true(m.shared);
	assert_int_equal(m.prot, PROT_READ | PROT_WRITE);
	assert_int_equal(ckpt_parse_maps_line(&at, &m), 1);
	assert_int_equal(m.path_len, 0);
	assert_int_equal(ckpt_parse_maps_line(&at, &m), 1);
	assert_int_equal(m.prot, PROT_EXEC);
	assert_int_equal(m.end, 0xffffffffff601000);
	assert_int_equal(ckpt_parse_maps_line(&at, &m), 0);
}

static void maps_refuses(void **state)
{
	static const char *const bad[] = {
		"x", "1000-2000", "1000-2000 rw", "1000-2000 rw-q 0 0:0 0 \n",
		"2000-1000 rw-p 00000000 00:00 0 \n", "1000-2000 rwzp 00000000 00:00 0 \n",
		"10000000000000000-2 rw-p 00000000 00:00 0 \n", "1000-2000 rw-p 0 00:00 z\n",
	};
	struct ckpt_maps_line m = { .ino = 77 };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const char *at = bad[i];

		assert_int_equal(ckpt_parse_maps_line(&at, &m), -1);
		assert_ptr_equal(at, bad[i]);
		assert_int_equal(m.ino, 77);
	}
}

static void smaps_areas(void **state)
{
	const char *text = "1000-2000 rw-p 00000000 00:00 0                          [heap]\n"
			   "Size:                  4 kB\nKernelPageSize:        4 kB\n"
			   "VmFlags: rd wr mr mw me ac nr dc wf dd hg sd \n"
			   "3000-4000 rw-s 00000000 00:05 7 /dev/fb0\n"
			   "Size:                  4 kB\nVmFlags: rd wr sh mr mw io pf um sl\n"
			   "5000-6000 rw-p 00000000 00:00 0 \nVmFlags: gd lo nh mg sr rr dp ht\n";
	const char *at = text;
	struct ckpt_maps_line m;
	struct ckpt_vm_flags f;
	const char *line;
	size_t len;

	(void)state;
	assert_int_equal(ckpt_parse_smaps_area(&at, &m, &f, &line, &len), 1);
	assert_int_equal(m.start, 0x1000);
	assert_ptr_equal(line, text);
	assert_int_equal(len, strchr(text, '\n') - text);
	assert_int_equal(f.area, CKPT_AREA_F_MAYWRITE | CKPT_AREA_F_ACCOUNT |
		CKPT_AREA_F_NORESERVE | CKPT_AREA_F_DONTFORK | CKPT_AREA_F_WIPEONFORK |
		CKPT_AREA_F_DONTDUMP | CKPT_AREA_F_HUGEPAGE);
	assert_int_equal(f.other, 0);
	assert_int_equal(ckpt_parse_smaps_area(&at, &m, &f, &line, &len), 1);
	assert_int_equal(f.other, CKPT_VM_SHARED | CKPT_VM_IO | CKPT_VM_PFNMAP | CKPT_VM_UFFD);
	assert_int_equal(f.area, CKPT_AREA_F_MAYWRITE | CKPT_AREA_F_SEALED);
	assert_int_equal(ckpt_parse_smaps_area(&at, &m, &f, &line, &len), 1);
	assert_int_equal(f.area, CKPT_AREA_F_GROWSDOWN | CKPT_AREA_F_LOCKED |
		CKPT_AREA_F_NOHUGEPAGE | CKPT_AREA_F_MERGEABLE | CKPT_AREA_F_SEQ |
		CKPT_AREA_F_RAND | CKPT_AREA_F_DROPPABLE);
	assert_int_equal(f.other, CKPT_VM_HUGETLB);
	assert_int_equal(ckpt_parse_smaps_area(&at, &m, &f, &line, &len), 0);
	at = "1000-2000 rw-p 00000000 00:00 0 \nSize: 4 kB\n";
	assert_int_equal(ckpt_parse_smaps_area(&at, &m, &f, &line, &len), -1);
	/* on fault: as kernels call it, and as those do that have no name for it */
	at = "1000-2000 rw-p 00000000 00:00 0 \nVmFlags: rd lo lf\n"
	     "2000-3000 rw-p 00000000 00:00 0 \nVmFlags: rd lo ??\n";
	for (int i = 0; i < 2; i++) {
		assert_int_equal(ckpt_parse_smaps_area(&at, &m, &f, &line, &len), 1);
		assert_int_equal(f.area, CKPT_AREA_F_LOCKED);
		assert_int_equal(f.other, CKPT_VM_NAMELESS);
	}
}

static void names_of_other_kernels(void **state)
{
	const char *at = "1000-2000 rw-p 00000000 00:00 0 \nVmFlags: rd wr mr mw me ac sd zz \n"
			 "2000-3000 rw-s 00000000 00:00 0 \nVmFlags: rd wr sh mr mw me ms sf de\n"
			 "3000-4000 rw-p 00000000 00:00 0 \nVmFlags: rd wr ex mr mw me ms de ar\n";
	struct ckpt_maps_line m;
	struct ckpt_vm_flags f;
	const char *line;
	size_t len;

	(void)state;
	assert_int_equal(ckpt_parse_smaps_area(&at, &m, &f, &line, &len), 1);
	assert_int_equal(f.other, CKPT_VM_UNKNOWN);
	assert_int_equal(ckpt_parse_smaps_area(&at, &m, &f, &line, &len), 1);
	assert_int_equal(f.other, CKPT_VM_SHARED | CKPT_VM_SYNC);
	assert_int_equal(ckpt_parse_smaps_area(&at, &m, &f, &line, &len), 1);
	assert_int_equal(f.other, 0);
}

static void protection_keys(void **state)
{
	const char *at = "1000-2000 rw-p 00000000 00:00 0 \nProtectionKey:         0\n"
			 "VmFlags: rd wr\n3000-4000 rw-p 00000000 00:00 0 \n"
			 "ProtectionKey:         3\nVmFlags: rd wr\n";
	struct ckpt_maps_line m;
	struct ckpt_vm_flags f;
	const char *line;
	size_t len;

	(void)state;
	assert_int_equal(ckpt_parse_smaps_area(&at, &m, &f, &line, &len), 1);
	assert_int_equal(f.other, 0);
	assert_int_equal(ckpt_parse_smaps_area(&at, &m, &f, &line, &len), 1);
	assert_int_equal(f.other, CKPT_VM_PKEY);
}

static void numa_policies(void **state)
{
	const char *text = "55c74926d000 default file=/usr/bin/head mapped=2 N0=2\n"
			   "7f0000000000 bind:0-1 anon=1\n7f0000001000 local\n";
	const char *at = text, *policy;
	size_t len;

	(void)state;
	assert_int_equal(ckpt_parse_numa_line(&at, &policy, &len), 1);
	assert_int_equal(len, 7);
	assert_memory_equal(policy, "default", len);
	assert_int_equal(ckpt_parse_numa_line(&at, &policy, &len), 1);
	assert_int_equal(len, 8);
	assert_memory_equal(policy, "bind:0-1", len);
	assert_int_equal(ckpt_parse_numa_line(&at, &policy, &len), 1);
	assert_int_equal(len, 5);
	assert_int_equal(ckpt_parse_numa_line(&at, &policy, &len), 0);
	at = "no line\n";
	assert_int_equal(ckpt_parse_numa_line(&at, &policy, &len), -1);
}

static const char status[] =
	"Name:\tpy\\nthon\nUmask:\t0027\nState:\tS (sleeping)\nTgid:\t120\nNgid:\t0\nPid:\t121\n"
	"PPid:\t119\nTracerPid:\t0\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nFDSize:\t64\n"
	"Groups:\t27 100 4294967294 \nNStgid:\t120\t7\nNSpid:\t121\t8\nNSpgid:\t119\t6\n"
	"NSsid:\t119\t1\nVmPeak:\t 5 kB\nVmLck:\t 12 kB\n"
	"THP_enabled:\t0\nThreads:\t2\nSigQ:\t1/3\n"
	"SigPnd:\t0000000000000001\nShdPnd:\t0000000000004000\nSigBlk:\t0000000000000002\n"
	"SigIgn:\t0000000001001000\nSigCgt:\t8000000000000002\nCapInh:\t0000000000000000\n"
	"CapPrm:\t000001ffffffffff\nCapEff:\t000001fffffffffe\nCapBnd:\t000001fffffffffd\n"
	"CapAmb:\t0000000000000004\nNoNewPrivs:\t1\nSeccomp:\t2\n";

static void status_fields(void **state)
{
	struct ckpt_proc_status s;
	uint32_t *groups;

	(void)state;
	assert_int_equal(ckpt_parse_status(status, &s), 0);
	assert_int_equal(s.state, 'S');
	assert_int_equal(s.umask, 027);
	assert_int_equal(s.tgid, 120);
	assert_int_equal(s.pid, 121);
	assert_int_equal(s.ns_pid, 8);
	assert_int_equal(s.ns_tgid, 7);
	assert_int_equal(s.ns_pgid, 6);
	assert_int_equal(s.ns_sid, 1);
	assert_int_equal(s.pid_levels, 2);
	assert_int_equal(s.uid[3], 4);
	assert_int_equal(s.gid[0], 5);
	assert_int_equal(s.sig_shared, 0x4000);
	assert_int_equal(s.sig_ignored, 0x1001000);
	assert_true(s.sig_caught == 0x8000000000000002ull);
	assert_int_equal(s.cap_amb, 4);
	assert_int_equal(s.no_new_privs, 1);
	assert_int_equal(s.seccomp, 2);
	assert_true(s.thp_disabled);
	assert_int_equal(s.locked_kb, 12);
	assert_int_equal(ckpt_parse_groups(s.groups, &groups), 3);
	assert_int_equal(groups[0], 27);
	assert_int_equal(groups[2], 4294967294u);
	free(groups);
	assert_int_equal(ckpt_parse_groups("\n", &groups), 0);
	assert_null(groups);
}

static void status_needs_every_field(void **state)
{
	static const char *const keys[] = { "State", "TracerPid", "NSpid", "Uid", "Groups",
					    "SigCgt", "CapAmb" };
	struct ckpt_proc_status s;

	(void)state;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		char *text = strdup(status);

		assert_non_null(text);
		*strstr(text, keys[i]) = 'x';
		assert_int_equal(ckpt_parse_status(text, &s), -1);
		free(text);
	}
}

/* The kernel's order makes it fast, and is no condition. */
static void status_in_another_order(void **state)
{
	struct ckpt_proc_status s, turned;
	char text[sizeof(status)] = "";
	size_t end = sizeof(status) - 1;

	(void)state;
	while (end) {
		size_t start = end - 1;

		while (start && status[start - 1] != '\n')
			start--;
		strncat(text, status + start, end - start);
		end = start;
	}
	assert_int_equal(strlen(text), strlen(status));
	memset(&s, 0, sizeof(s));
	memset(&turned, 0, sizeof(turned));
	assert_int_equal(ckpt_parse_status(status, &s), 0);
	assert_int_equal(ckpt_parse_status(text, &turned), 0);
	s.groups = turned.groups = NULL;
	assert_memory_equal(&s, &turned, sizeof(s));
}

/* More than there is room for at first takes more than one read. */
static void a_piece_is_whole(void **state)
{
	static const size_t lens[] = { 0, 1, 16382, 16383, 16384, 100000 };
	char path[] = "/tmp/ckpt-piece-test-XXXXXX";
	cleanup_buf struct ckpt_buf b = CKPT_BUF_INIT;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		cleanup_free char *text = malloc(lens[i] + 1);

		for (size_t j = 0; j < lens[i]; j++)
			text[j] = 'a' + j % 23;
		assert_int_equal(ftruncate(fd, 0), 0);
		assert_int_equal(pwrite(fd, text, lens[i], 0), lens[i]);
		assert_int_equal(ckpt_procfs_read_piece(AT_FDCWD, path, &b), 0);
		assert_int_equal(b.len, lens[i]);
		assert_memory_equal(b.data, text, lens[i]);
		assert_int_equal(b.data[b.len], 0);
	}
	close(fd);
	unlink(path);
	assert_int_equal(ckpt_procfs_read_piece(AT_FDCWD, path, &b), -ENOENT);
}

static void stat_fields(void **state)
{
	struct ckpt_proc_stat s;

	(void)state;
	assert_int_equal(ckpt_parse_stat("42 (a) (b) c) S 7 8 9 1083436 77 4194304 1 0 0 0 0 0 0 "
		"0 20 0 1 0 5555 100 10 18446744073709551615 2600 2700 2800 29 30 31 32 33 34 35 "
		"36 37 17 1 0 0 0 0 0 4500 4600 4700 4800 4900 5000 5100 256\n", &s), 0);
	assert_string_equal(s.comm, "a) (b) c");
	assert_int_equal(s.pid, 42);
	assert_int_equal(s.state, 'S');
	assert_int_equal(s.ppid, 7);
	assert_int_equal(s.pgrp, 8);
	assert_int_equal(s.session, 9);
	assert_int_equal(s.tty, makedev(136, 300));
	assert_int_equal(s.tpgid, 77);
	assert_int_equal(s.start_time, 5555);
	assert_int_equal(s.exit_signal, 17);
	assert_int_equal(s.exit_code, 256);
	assert_int_equal(s.layout[0], 2600);
	assert_int_equal(s.layout[1], 2700);
	assert_int_equal(s.layout[2], 4500);
	assert_int_equal(s.layout[4], 4700);
	assert_int_equal(s.layout[5], 0);
	assert_int_equal(s.layout[6], 2800);
	assert_int_equal(s.layout[10], 5100);
	assert_int_equal(ckpt_parse_stat("42 (short) S 1 2 3\n", &s), -1);
	assert_int_equal(ckpt_parse_stat("42 no parens", &s), -1);
}

static void fdinfo_fields(void **state)
{
	struct ckpt_proc_fdinfo f;

	(void)state;
	assert_int_equal(ckpt_parse_fdinfo("pos:\t4096\nflags:\t02102001\nmnt_id:\t25\nino:\t3\n",
					   &f), 0);
	assert_int_equal(f.pos, 4096);
	assert_true(f.cloexec);
	assert_int_equal(f.flags, 0102001);
	assert_false(f.locked);
	assert_int_equal(ckpt_parse_fdinfo("pos:\t0\nflags:\t0100002\nmnt_id:\t2\n"
		"lock:\t1: FLOCK  ADVISORY  WRITE 359 00:13:11691 0 EOF\n", &f), 0);
	assert_false(f.cloexec);
	assert_true(f.locked);
	assert_int_equal(ckpt_parse_fdinfo("flags:\t0\n", &f), -1);
}

static void eventfd_fields(void **state)
{
	struct ckpt_eventfd e;
	bool known;

	(void)state;
	assert_int_equal(ckpt_parse_eventfd("pos:\t0\nflags:\t02\nmnt_id:\t15\n"
		"eventfd-count:               1f\neventfd-id: 3\neventfd-semaphore: 1\n", &e,
		&known), 0);
	assert_true(known && e.semaphore && e.count == 0x1f);
	assert_int_equal(ckpt_parse_eventfd("eventfd-count: fffffffffffffffe\neventfd-id: 3\n", &e,
					    &known), 0);
	assert_true(!known && !e.semaphore && e.count == UINT64_MAX - 1);
	assert_int_equal(ckpt_parse_eventfd("eventfd-id: 3\n", &e, &known), -1);
}

static void timerfd_fields(void **state)
{
	struct ckpt_timerfd t;

	(void)state;
	assert_int_equal(ckpt_parse_timerfd("pos:\t0\nclockid: 7\nticks: 3\nsettime flags: 03\n"
		"it_value: (5, 999999999)\nit_interval: (0, 20000000)\n", &t), 0);
	assert_int_equal(t.clock, 7);
	assert_int_equal(t.ticks, 3);
	assert_int_equal(t.flags, 3);
	assert_int_equal(t.value_ns, 5999999999);
	assert_int_equal(t.interval_ns, 20000000);
	assert_int_equal(ckpt_parse_timerfd("clockid: 7\nticks: 3\nsettime flags: 03\n"
		"it_value: (5, 1000000000)\nit_interval: (0, 0)\n", &t), -1);
	assert_int_equal(ckpt_parse_timerfd("clockid: 7\nticks: 3\n", &t), -1);
}

static void signalfd_fields(void **state)
{
	struct ckpt_signalfd s;

	(void)state;
	assert_int_equal(ckpt_parse_signalfd("pos:\t0\nsigmask:\t8000000000000201\n", &s), 0);
	assert_int_equal(s.mask, 0x8000000000000201);
	assert_int_equal(ckpt_parse_signalfd("pos:\t0\n", &s), -1);
}

static void epoll_lines(void **state)
{
	const char *at = "pos:\t0\nflags:\t02\n"
		"tfd:        9 events:       19 data: 123456789abcdef0  pos:0 ino:1d2 sdev:d\n"
		"tfd:       12 events: 4000001d data:                c  pos:77 ino:ff sdev:f\n";
	struct ckpt_epoll_target t;
	uint64_t ino;

	(void)state;
	assert_int_equal(ckpt_parse_epoll_line(&at, &t, &ino), 1);
	assert_true(t.fd == 9 && t.events == 0x19 && t.data == 0x123456789abcdef0 && ino == 0x1d2);
	assert_int_equal(ckpt_parse_epoll_line(&at, &t, &ino), 1);
	assert_true(t.fd == 12 && t.events == 0x4000001d && t.data == 12 && ino == 0xff);
	assert_int_equal(ckpt_parse_epoll_line(&at, &t, &ino), 0);
	at = "tfd: nine\n";
	assert_int_equal(ckpt_parse_epoll_line(&at, &t, &ino), -1);
}

static const char limits[] =
	"Limit                     Soft Limit           Hard Limit           Units     \n"
	"Max cpu time              unlimited            unlimited            seconds   \n"
	"Max file size             unlimited            unlimited            bytes     \n"
	"Max data size             unlimited            unlimited            bytes     \n"
	"Max stack size            8388608              unlimited            bytes     \n"
	"Max core file size        0                    unlimited            bytes     \n"
	"Max resident set          unlimited            unlimited            bytes     \n"
	"Max processes             96365                96366                processes \n"
	"Max open files            1024                 20000                files     \n"
	"Max locked memory         8388608              8388608              bytes     \n"
	"Max address space         unlimited            unlimited            bytes     \n"
	"Max file locks            unlimited            unlimited            locks     \n"
	"Max pending signals       96365                96365                signals   \n"
	"Max msgqueue size         819200               819200               bytes     \n"
	"Max nice priority         0                    0                    \n"
	"Max realtime priority     3                    4                    \n"
	"Max realtime timeout      unlimited            unlimited            us        \n";

static void limit_fields(void **state)
{
	struct ckpt_rlimit l[CKPT_NLIMITS];
	char *cut;

	(void)state;
	assert_int_equal(ckpt_parse_limits(limits, l), 0);
	assert_true(l[RLIMIT_CPU].cur == RLIM_INFINITY);
	assert_int_equal(l[RLIMIT_STACK].cur, 8388608);
	assert_true(l[RLIMIT_STACK].max == RLIM_INFINITY);
	assert_int_equal(l[RLIMIT_NPROC].max, 96366);
	assert_int_equal(l[RLIMIT_NOFILE].cur, 1024);
	assert_int_equal(l[RLIMIT_RTPRIO].max, 4);
	cut = strndup(limits, strlen(limits) / 2);
	assert_int_equal(ckpt_parse_limits(cut, l), -1);
	free(cut);
}

static void timens_offsets(void **state)
{
	int64_t ns;

	(void)state;
	assert_int_equal(ckpt_parse_timens("monotonic           5        7\n"
					   "boottime           -3 999999999\n",
					   "boottime", &ns), 0);
	assert_int_equal(ns, -3 * 1000000000ll + 999999999);
	assert_int_equal(ckpt_parse_timens("monotonic 5 7\n", "boottime", &ns), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(maps_lines),
		cmocka_unit_test(maps_refuses),
		cmocka_unit_test(smaps_areas),
		cmocka_unit_test(names_of_other_kernels),
		cmocka_unit_test(protection_keys),
		cmocka_unit_test(numa_policies),
		cmocka_unit_test(status_fields),
		cmocka_unit_test(status_needs_every_field),
		cmocka_unit_test(status_in_another_order),
		cmocka_unit_test(a_piece_is_whole),
		cmocka_unit_test(stat_fields),
		cmocka_unit_test(fdinfo_fields),
		cmocka_unit_test(eventfd_fields),
		cmocka_unit_test(timerfd_fields),
		cmocka_unit_test(signalfd_fields),
		cmocka_unit_test(epoll_lines),
		cmocka_unit_test(limit_fields),
		cmocka_unit_test(timens_offsets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
