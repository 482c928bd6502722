// SPDX-License-Identifier: GPL-2.0-or-later
/* Memory that is not restored: each by name, and what was looked at runs on. Natively as root. */
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/if_packet.h>
#include <linux/mempolicy.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "lib/proc_group.h"

#ifndef __NR_memfd_secret
#define __NR_memfd_secret 447
#endif

#define PAGE 4096u
#define HUGE (2u << 20)

static void *map(size_t len, int flags, int fd)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (p == MAP_FAILED)
		_exit(1);
	return p;
}

static void *anonymous(size_t len)
{
	return map(len, MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

/* Memory like any other to the program; the mapping keeps the device. */
static void map_zero_device(void)
{
	int fd = open("/dev/zero", O_RDWR);

	map(PAGE, MAP_PRIVATE, fd);
	close(fd);
}

/* Without reserve it takes no page of that size, of which there may be none. */
static void map_huge(void)
{
	if (mmap(NULL, HUGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_NORESERVE, -1, 0) == MAP_FAILED)
		proc_group_lacks(0);
}

static void map_secret(void)
{
	int fd = syscall(__NR_memfd_secret, 0);

	if (fd < 0)
		proc_group_lacks(0);
	if (ftruncate(fd, PAGE))
		_exit(1);
	map(PAGE, MAP_SHARED, fd);
	close(fd);
}

/* Frames of the kernel, of a socket that is closed. */
static void map_frames(void)
{
	struct tpacket_req ring = {
		.tp_block_size = PAGE, .tp_block_nr = 1, .tp_frame_size = 2048, .tp_frame_nr = 2,
	};
	int fd = socket(AF_PACKET, SOCK_RAW, 0);

	if (fd < 0 || setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &ring, sizeof(ring)))
		proc_group_lacks(EAFNOSUPPORT);
	map(PAGE, MAP_SHARED, fd);
	close(fd);
}

static void map_events(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE, .size = sizeof(attr), .config = PERF_COUNT_SW_DUMMY,
	};
	int fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);

	if (fd < 0)
		proc_group_lacks(0);
	map(2 * PAGE, MAP_SHARED, fd);
	close(fd);
}

static void lock_on_fault(void)
{
	if (syscall(SYS_mlock2, anonymous(PAGE), PAGE, MLOCK_ONFAULT))
		proc_group_lacks(0);
}

/* By the system call: the sanitizer makes nothing of mlockall. */
static void lock_the_future(void)
{
	if (syscall(SYS_mlockall, MCL_FUTURE))
		proc_group_lacks(0);
}

static void have_aio(void)
{
	aio_context_t ring = 0;

	if (syscall(SYS_io_setup, 8, &ring))
		proc_group_lacks(0);
}

/* An instruction that is run elsewhere then: some others the kernel does by itself. */
extern const char probed[];

static void __attribute__((noinline, noclone)) run_into(void)
{
	__asm__ volatile("probed:\n\txorl %%eax, %%eax" : : : "eax");
}

static void *run_often(void *arg)
{
	for (;; usleep(1000))
		run_into();
	return arg;
}

static void be_probed(void)
{
	pthread_t t;

	pthread_create(&t, NULL, run_often, NULL);
}

/* A breakpoint of the kernel where a process runs. Return: a descriptor, or -1. */
static int probe(pid_t pid)
{
	struct perf_event_attr attr = { .size = sizeof(attr) };
	FILE *f = fopen("/sys/bus/event_source/devices/uprobe/type", "re");
	unsigned long start, end, offset = 0;
	char line[512], path[256] = "";

	if (!f || fscanf(f, "%u", &attr.type) != 1)
		return -1;
	fclose(f);
	f = fopen("/proc/self/maps", "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx r-xp %lx %*s %*u %255s", &start, &end, &offset,
			   path) == 4 && (uintptr_t)probed - start < end - start)
			break;
	}
	fclose(f);
	attr.config1 = (uintptr_t)path;
	attr.config2 = (uintptr_t)probed - start + offset;
	return syscall(SYS_perf_event_open, &attr, pid, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

static bool has_probes(pid_t pid)
{
	cleanup_fclose FILE *f = NULL;
	char path[64], line[512];

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (strstr(line, "[uprobes]"))
			return true;
	}
	return false;
}

/* What it is run by then is memory of the kernel. */
static void refuses_probes(void **state)
{
	struct ckpt_stop_params params = { .pid = proc_group_spawn(NULL, be_probed) };
	cleanup_close int fd = probe(params.pid);
	int ms = 0;

	(void)state;
	assert_true(fd >= 0);
	while (!has_probes(params.pid) && ms++ < 5000)
		usleep(1000);
	proc_group_refused(&params, "maps kernel-provided memory at 0x");
	assert_true(proc_group_untraced(params.pid));
	kill(params.pid, SIGKILL);
	waitpid(params.pid, NULL, 0);
}

static void have_policy(void)
{
	if (syscall(SYS_set_mempolicy, MPOL_PREFERRED, NULL, 0))
		proc_group_lacks(0);
}

static void *thread_with_policy(void *arg)
{
	have_policy();
	*(volatile bool *)arg = true;
	for (;;)
		pause();
	return NULL;
}

static void have_thread_with_policy(void)
{
	volatile bool done = false;
	pthread_t t;

	pthread_create(&t, NULL, thread_with_policy, (void *)&done);
	while (!done)
		usleep(1000);
}

static void have_key(void)
{
	if (pkey_alloc(0, PKEY_DISABLE_WRITE) < 0)
		proc_group_lacks(EINVAL);
}

static void have_memory_with_key(void)
{
	void *p = anonymous(PAGE);
	int key = pkey_alloc(0, 0);

	if (key < 0 || pkey_mprotect(p, PAGE, PROT_READ | PROT_WRITE, key))
		proc_group_lacks(EINVAL);
}

/* To two bytes at an address of 32 bits, which jump to themselves, by the old selector. */
static void *run_32_bits(void *arg)
{
	__asm__ volatile("pushq $0x23\n\tpushq %0\n\tlretq" : : "r"(arg) : "memory");
	return NULL;
}

static void run_old_code(void)
{
	uint8_t *code = mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	pthread_t t;

	if (code == MAP_FAILED)
		_exit(1);
	code[0] = 0xeb;
	code[1] = 0xfe;
	pthread_create(&t, NULL, run_32_bits, code);
	usleep(100000);
}

/* Where the kernel has tables of five levels it gives such memory to who asks for it. */
static void map_high(void)
{
	void *high = (void *)(1ul << 50);

	if (mmap(high, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) < (void *)(1ul << 47))
		_exit(PROC_GROUP_NONE);
}

static void refuses_by_name(void **state)
{
	static const struct proc_group_refusal cases[] = {
		{ map_zero_device, "uses /dev/zero as map_files/" },
		{ map_huge, "maps huge page memory at 0x" },
		{ map_secret, "maps kernel-provided memory at 0x" },
		{ map_frames, "maps memory of a device at 0x" },
		{ map_events, "maps kernel-provided memory at 0x" },
		{ lock_on_fault, "maps memory locked on fault at 0x" },
		{ lock_the_future, "whatever it maps from now on (mlockall with MCL_FUTURE)" },
		{ have_aio, "maps an asynchronous I/O ring at 0x" },
		{ have_policy, "has a memory policy of its own (thread" },
		{ have_thread_with_policy, "has a memory policy of its own (thread" },
		{ have_key, "has allocated a protection key (thread" },
		{ run_old_code, "runs 32-bit code" },
		{ have_memory_with_key, "memory with a protection key" },
		{ map_high, "has memory above 47 bits at 0x" },
	};

	(void)state;
	proc_group_refusals(cases, sizeof(cases) / sizeof(cases[0]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_by_name),
		cmocka_unit_test(refuses_probes),
	};

	return cmocka_run_group_tests_name("proc refuse memory", tests, NULL, NULL);
}
