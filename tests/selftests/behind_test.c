// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * behind_test.c: memory that is written without a fault: by rings, direct I/O, guests
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/client.h"
#include "lib/paging.h"
#include "lib/world.h"

#define NR 16
#define LEN (NR * PAGE)
#define BIG (256 * PAGE)
#define SOURCE "/scratch/behind"

enum {
	RING_HOLD,	/* registers pages 4 to 7 as a buffer */
	RING_HOLD_HUGE,	/* the same of a huge page */
	RING_WRITE,	/* the kernel writes into page 5 of it */
	RING_LET_GO,
	DIRECT_START,	/* a thread reads BIG bytes from a slow disk */
	DIRECT_OUT,	/* its pages are swapped out meanwhile */
	DIRECT_WAIT,
	GUEST,		/* a virtual machine has the pages */
	GUEST_WRITE,	/* and writes page 3 */
	GUEST_END,	/* it is gone, the pages stay */
};

static char *mem, *big;
static int ring;
static unsigned int ring_reads;	/* of this ring */
static struct io_uring_sqe *sqe;
static char *sq;
static struct io_uring_params params;
static pthread_t reader;

static char *map_small(size_t len)
{
	char *p = map_anon(len, 0);

	madvise(p, len, MADV_NOHUGEPAGE);
	memset(p, 1, len);
	return p;
}

static long ring_register(unsigned int what, void *arg, unsigned int nr)
{
	return syscall(SYS_io_uring_register, ring, what, arg, nr);
}

static char *map_huge(void)
{
	char *p = map_anon(HUGE, HUGE);

	madvise(p, HUGE, MADV_HUGEPAGE);
	memset(p, 1, HUGE);
	return p;
}

static bool ring_hold(bool huge)
{
	struct iovec iov;

	mem = huge ? map_huge() : map_small(LEN);
	memset(&params, 0, sizeof(params));
	ring_reads = 0;
	iov.iov_base = mem + 4 * PAGE;
	iov.iov_len = 4 * PAGE;
	ring = (int)syscall(SYS_io_uring_setup, 1, &params);
	if (ring < 0)
		return false;
	sq = mmap(NULL, params.sq_off.array + sizeof(unsigned int), PROT_READ | PROT_WRITE,
		  MAP_SHARED, ring, IORING_OFF_SQ_RING);
	sqe = mmap(NULL, sizeof(*sqe), PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
	return sq != MAP_FAILED && (void *)sqe != MAP_FAILED &&
	       !ring_register(IORING_REGISTER_BUFFERS, &iov, 1);
}

/* Every page of the source holds another byte. */
static bool ring_write(void)
{
	unsigned int n = ring_reads;
	int fd = open(SOURCE, O_RDONLY | O_CLOEXEC);
	bool done;

	sqe->opcode = IORING_OP_READ_FIXED;
	sqe->fd = fd;
	sqe->addr = (uintptr_t)(mem + 5 * PAGE);
	sqe->len = PAGE;
	sqe->off = n++ * PAGE;
	ring_reads = n;
	*(unsigned int *)(void *)(sq + params.sq_off.array) = 0;
	__atomic_store_n((unsigned int *)(void *)(sq + params.sq_off.tail), n, __ATOMIC_RELEASE);
	done = syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) == 1;
	close(fd);
	return done && mem[5 * PAGE] == (char)(n + 2);
}

static void *read_slowly(void *arg)
{
	int fd = open(SOURCE, O_RDONLY | O_DIRECT | O_CLOEXEC);

	(void)arg;
	return (void *)(uintptr_t)(pread(fd, big, BIG, 0) == BIG);
}

static bool direct_wait(void)
{
	void *ok;

	pthread_join(reader, &ok);
	return ok != NULL;
}

/* --- a virtual machine of one processor, in real mode --- */

static struct kvm_run *run;
static int kvm, vm, vcpu;
static size_t run_len;

static bool guest_make(void)
{
	/* mov byte [0x3005], 7; hlt; jmp back */
	static const uint8_t program[] = { 0xc6, 0x06, 0x05, 0x30, 0x07, 0xf4, 0xeb, 0xf8 };
	struct kvm_userspace_memory_region region = { .memory_size = LEN };
	struct kvm_sregs sregs;
	struct kvm_regs regs = { .rflags = 2 };

	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	mem = map_small(LEN);
	memcpy(mem, program, sizeof(program));
	region.userspace_addr = (uintptr_t)mem;
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	if (vm < 0 || ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region))
		return false;
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	run_len = (size_t)ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	run = mmap(NULL, run_len, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	if (vcpu < 0 || run == MAP_FAILED || ioctl(vcpu, KVM_GET_SREGS, &sregs))
		return false;
	sregs.cs.base = sregs.cs.selector = 0;
	sregs.ds.base = sregs.ds.selector = 0;
	return !ioctl(vcpu, KVM_SET_SREGS, &sregs) && !ioctl(vcpu, KVM_SET_REGS, &regs);
}

static bool guest_write(void)
{
	mem[3 * PAGE + 5] = 0;
	return !ioctl(vcpu, KVM_RUN, 0) && run->exit_reason == KVM_EXIT_HLT &&
	       mem[3 * PAGE + 5] == 7;
}

static bool guest_end(void)
{
	return !munmap(run, run_len) && !close(vcpu) && !close(vm) && !close(kvm);
}

/* shared[1]: did it work */
static void step(int n, uint64_t *shared)
{
	bool done = true;

	switch (n) {
	case RING_HOLD:
	case RING_HOLD_HUGE:
		done = ring_hold(n == RING_HOLD_HUGE);
		shared[0] = (uint64_t)(uintptr_t)mem;
		break;
	case RING_WRITE:
		done = ring_write();
		break;
	case RING_LET_GO:
		done = !ring_register(IORING_UNREGISTER_BUFFERS, NULL, 0);
		break;
	case DIRECT_START:
		big = map_small(BIG);
		shared[0] = (uint64_t)(uintptr_t)big;
		done = !pthread_create(&reader, NULL, read_slowly, NULL);
		break;
	case DIRECT_OUT:
		done = !madvise(big, BIG, MADV_PAGEOUT);
		break;
	case DIRECT_WAIT:
		done = direct_wait();
		break;
	case GUEST:
		done = guest_make();
		shared[0] = (uint64_t)(uintptr_t)mem;
		break;
	case GUEST_WRITE:
		done = guest_write();
		break;
	case GUEST_END:
		done = guest_end();
		break;
	}
	shared[1] = done;
}

static void does(const struct child *child, int n, const char *what)
{
	child_step(child, n);
	if (!child->shared[1])
		die("%s", what);
}

/* Flags of a page in a take of its own. */
static uint32_t taken(struct client *c, const struct child *child, uint64_t at)
{
	struct pages p;
	uint32_t flags;

	client_take(c, "behind", &p);
	pages_state(&p, child->pid, at, &flags);
	pages_free(&p);
	return flags;
}

/* A buffer that the child has registered, and that is not new any more: the page it reads into. */
static uint64_t buffer_of(struct client *c, const struct child *child, int hold)
{
	uint64_t at;
	int i;

	does(child, hold, "register a buffer");
	at = child->shared[0] + 5 * PAGE;
	for (i = 0; i < 4; i++)
		batches_drain();
	taken(c, child, at);
	return at;
}

/* @size: RUN_HUGE where the buffer is in a huge page, all of which counts then */
static void test_ring(struct client *c, const struct child *child, int hold, uint32_t size)
{
	const uint32_t dma = CKPT_RUN_DIRTY | CKPT_RUN_DMA | size;
	uint64_t at = buffer_of(c, child, hold);

	check((taken(c, child, at) & (dma | CKPT_RUN_HUGE)) == dma,
	      "a ring's buffer is told with its reason");
	check((taken(c, child, at) & dma) == dma, "at each take, written or not");
	check(!!(taken(c, child, at + 6 * PAGE) & CKPT_RUN_DIRTY) == !!size,
	      "and what is beside it is %s", size ? "told with it" : "not");
	does(child, RING_WRITE, "read into a registered buffer");
	check((taken(c, child, at) & dma) == dma, "so is what the ring wrote");
	does(child, RING_WRITE, "read once more");
	does(child, RING_LET_GO, "unregister a buffer");
	/* the ring lets go a moment later */
	usleep(300000);
	check(taken(c, child, at) & CKPT_RUN_DIRTY,
	      "what was written before the buffer was let go is told after it");
	taken(c, child, at);
	check((taken(c, child, at) & (dma | CKPT_RUN_HUGE)) == size, "and then no more");
}

/*
 * What is told again of such a page is so by its bit alone, since it is protected: when somebody
 * else takes that, it must come back.
 */
static void test_ring_cleared(struct client *c, const struct child *child, int hold)
{
	const uint32_t dma = CKPT_RUN_DIRTY | CKPT_RUN_DMA;
	uint64_t at = buffer_of(c, child, hold);
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/clear_refs", child->pid);
	if (put(path, "4"))
		die("clear_refs");
	taken(c, child, at);
	check((taken(c, child, at) & dma) == dma,
	      "a buffer is told once somebody else has cleared bits");
	does(child, RING_WRITE, "read into a registered buffer");
	check((taken(c, child, at) & dma) == dma, "so is what the ring wrote then");
	does(child, RING_LET_GO, "unregister a buffer");
	usleep(300000);
	check(taken(c, child, at) & CKPT_RUN_DIRTY, "and once more when it is let go");
}

static void throttle(const char *rate)
{
	char line[64];
	struct stat st;

	if (stat(SOURCE, &st))
		die("stat " SOURCE);
	snprintf(line, sizeof(line), "%u:%u rbps=%s", major(st.st_dev), minor(st.st_dev), rate);
	if (put("/sys/fs/cgroup/behind/io.max", line))
		die("io.max %s", line);
}

/* The disk is so slow that takes come while it still reads. */
/* A page that is swapped out while direct I/O is to write it, and read in by who copies it. */
static void test_direct_swapped(struct client *c, const struct child *child)
{
	int tries, found = 0, lost = 0;
	uint64_t at, end;
	bool out, before;
	char last;

	for (tries = 0; tries < 20 && found < 3; tries++) {
		throttle("262144");
		does(child, DIRECT_START, "direct I/O");
		at = child->shared[0];
		end = at + BIG - PAGE;
		usleep(200000);
		does(child, DIRECT_OUT, "its pages go");
		out = entries_with(child->pid, end, 1, ENTRY_SWAPPED);
		taken(c, child, end);
		child_read(child->pid, end, &last, 1);
		before = last == 1;
		taken(c, child, end);
		throttle("max");
		does(child, DIRECT_WAIT, "the end of direct I/O");
		if (!out || !before)
			continue;
		found++;
		lost += !(taken(c, child, end) & CKPT_RUN_DIRTY);
	}
	/* Later kernels pin the pages, and what is pinned is not swapped out. */
	check(found || kernel_from(6, 3),
	      "pages are swapped out while direct I/O is to write them (%d times)", found);
	check(!lost, "what it wrote then is told (%d times not)", lost);
}

static void test_direct(struct client *c, const struct child *child)
{
	int i, in_flight = 0, told = 0;
	uint64_t at, end;
	uint32_t flags;
	char last;

	throttle("262144");
	does(child, DIRECT_START, "direct I/O");
	at = child->shared[0];
	end = at + BIG - PAGE;
	usleep(200000);
	for (i = 0; i < 4; i++) {
		flags = taken(c, child, end);
		child_read(child->pid, end, &last, 1);
		in_flight += last == 1;
		told += last == 1 && (flags & CKPT_RUN_DMA);
	}
	check(in_flight && told == in_flight,
	      "pages of direct I/O in flight are told with their reason (%d of %d takes)", told,
	      in_flight);
	throttle("max");
	does(child, DIRECT_WAIT, "the end of direct I/O");
	child_read(child->pid, end, &last, 1);
	check(last != 1 && (taken(c, child, end) & CKPT_RUN_DIRTY),
	      "and once more when it has ended, with what it wrote");
}

/* Last: the address space counts as one with notifiers for the rest of its life. */
static void test_guest(struct client *c, const struct child *child)
{
	struct pages p;
	uint64_t at;

	shell("modprobe kvm-amd");
	does(child, GUEST, "make a virtual machine");
	at = child->shared[0];
	client_take(c, "behind", &p);
	check(pages_mm_flags(&p, child->pid) & CKPT_MM_NOTIFIERS,
	      "an address space of a virtual machine says so (%#x)",
	      pages_mm_flags(&p, child->pid));
	pages_free(&p);
	does(child, GUEST_WRITE, "run a virtual machine");
	client_take(c, "behind", &p);
	pages_free(&p);
	does(child, GUEST_WRITE, "run it again");
	client_take(c, "behind", &p);
	check(pages_dirty(&p, child->pid, at, at + LEN) == NR,
	      "and is told whole, with what the machine wrote");
	pages_free(&p);
	client_take(c, "behind", &p);
	check(pages_dirty(&p, child->pid, at, at + LEN) == NR, "always");
	pages_free(&p);
	does(child, GUEST_END, "end the virtual machine");
	usleep(300000);
	client_take(c, "behind", &p);
	pages_free(&p);
	client_take(c, "behind", &p);
	check(pages_mm_flags(&p, child->pid) & CKPT_MM_NOTIFIERS &&
	      pages_dirty(&p, child->pid, at, at + LEN) == NR, "also when the machine is gone");
	pages_free(&p);
}

static void make_files(void)
{
	char buf[PAGE];
	int fd = open(SOURCE, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), i;

	for (i = 0; i < 256; i++) {
		memset(buf, i + 3, sizeof(buf));
		if (write(fd, buf, PAGE) != PAGE)
			die("write " SOURCE);
	}
	fsync(fd);
	close(fd);
}

int main(void)
{
	struct client c;
	struct child child;

	make_files();
	cgroup_make("behind");
	if (client_open(&c) || client_group_new(&c, "behind", "/behind"))
		die("tag: %s", c.text);
	child_start(&child, "behind", step);
	test_ring(&c, &child, RING_HOLD, 0);
	test_ring(&c, &child, RING_HOLD_HUGE, CKPT_RUN_HUGE);
	test_ring_cleared(&c, &child, RING_HOLD);
	test_ring_cleared(&c, &child, RING_HOLD_HUGE);
	test_direct(&c, &child);
	swap_start();
	test_direct_swapped(&c, &child);
	swap_end();
	test_guest(&c, &child);
	child_end(&child);
	client_group_del(&c, "behind");
	client_close(&c);
	cgroup_gone("behind");
	unlink(SOURCE);
	return finish();
}
