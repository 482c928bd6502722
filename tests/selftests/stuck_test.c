// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * stuck_test.c: a thread waits in a fault for somebody who does not answer
 *
 * A handler of userfaultfd that says nothing holds no lock, and its absent page must not be
 * touched. A file system of FUSE that fails a read, and does not answer the one with which the
 * fault is tried again, leaves the thread with the lock of its address space held for reading:
 * who would wait for that for writing would stop every other fault of the process.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/client.h"
#include "lib/paging.h"
#include "lib/world.h"

#define MNT "/mnt/stuck"
#define NR 64
#define LEN (NR * PAGE)
/* A read of the mapped page may be tried so often before the kernel holds on to the lock. */
#define READS_MAX 6
/* Far longer than a round tries for a lock, far shorter than a test may take. */
#define SOON_MS 20000

enum { SETUP, WRITE, UFFD_STUCK, UFFD_COPY, FUSE_STUCK };
/* Words of the shared page. */
enum { MEM, UFFD_MEM, FILE_MEM, RAN, BEATS, ENDED };
/* What the server of FUSE does with a read, and how many came: shared by all. */
enum { HOLD_AT, READS, GO_ON };

static struct client c;
static volatile uint64_t *server;

/* --- the file system: one file, of one page --- */

static void reply(int fd, uint64_t unique, int error, const void *data, size_t len)
{
	char buf[sizeof(struct fuse_out_header) + PAGE];
	struct fuse_out_header *h = (struct fuse_out_header *)(void *)buf;

	*h = (struct fuse_out_header){
		.len = (uint32_t)(sizeof(*h) + len), .error = error, .unique = unique,
	};
	if (len)
		memcpy(buf + sizeof(*h), data, len);
	if (write(fd, buf, h->len) != (ssize_t)h->len && errno != ENOENT)
		_exit(1);
}

static struct fuse_attr attr_of(uint64_t node)
{
	return (struct fuse_attr){
		.ino = node, .size = PAGE, .blocks = 8, .blksize = PAGE, .nlink = 1,
		.mode = node == FUSE_ROOT_ID ? S_IFDIR | 0755 : S_IFREG | 0644,
	};
}

static void answer_read(int fd, uint64_t unique)
{
	static const char page[PAGE] = { 'f' };

	uint64_t nr = ++server[READS];

	while (nr >= server[HOLD_AT] && !server[GO_ON])
		usleep(1000);
	if (nr < server[HOLD_AT])
		reply(fd, unique, -EIO, NULL, 0);
	else
		reply(fd, unique, 0, page, sizeof(page));
}

static void answer(int fd, const struct fuse_in_header *in)
{
	struct fuse_init_out init = {
		.major = FUSE_KERNEL_VERSION, .minor = 31, .max_write = PAGE,
	};
	struct fuse_entry_out entry = { .nodeid = 2, .attr = attr_of(2) };
	struct fuse_attr_out attr = { .attr = attr_of(in->nodeid) };
	struct fuse_open_out opened = { .fh = 1 };

	switch (in->opcode) {
	case FUSE_INIT:
		reply(fd, in->unique, 0, &init, sizeof(init));
		break;
	case FUSE_LOOKUP:
		reply(fd, in->unique, 0, &entry, sizeof(entry));
		break;
	case FUSE_GETATTR:
		reply(fd, in->unique, 0, &attr, sizeof(attr));
		break;
	case FUSE_OPEN:
		reply(fd, in->unique, 0, &opened, sizeof(opened));
		break;
	case FUSE_READ:
		answer_read(fd, in->unique);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;
	case FUSE_FLUSH:
	case FUSE_RELEASE:
		reply(fd, in->unique, 0, NULL, 0);
		break;
	default:
		reply(fd, in->unique, -ENOSYS, NULL, 0);
	}
}

static pid_t serve(void)
{
	static char buf[FUSE_MIN_READ_BUFFER + PAGE] __attribute__((aligned(8)));
	char options[96];
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	pid_t pid;

	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", fd);
	if (fd < 0 || mount("none", MNT, "fuse", MS_NOSUID, options))
		die("mount a file system of FUSE");
	fflush(stdout);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (read(fd, buf, sizeof(buf)) > 0)
			answer(fd, (const struct fuse_in_header *)(void *)buf);
		_exit(0);
	}
	close(fd);
	return pid;
}

/* --- the process with a thread that waits --- */

static volatile char *mem, *uffd_mem, *file_mem;
static volatile uint64_t *words;
static int uffd;
static pthread_t waiter;

/* Faults of its own, one after the other. */
static void *beat(void *arg)
{
	volatile char *p = map_anon(PAGE, 0);

	(void)arg;
	for (;;) {
		*p = 1;
		madvise((void *)p, PAGE, MADV_DONTNEED);
		words[BEATS]++;
		usleep(1000);
	}
	return NULL;
}

static void *touch(void *arg)
{
	volatile char *at = arg;

	words[RAN]++;
	(void)*at;
	words[ENDED]++;
	return NULL;
}

static void setup(uint64_t *shared)
{
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct uffdio_api api = { .api = UFFD_API };
	pthread_t thread;

	words = shared;
	mem = map_anon(LEN, 0);
	madvise((void *)mem, LEN, MADV_NOHUGEPAGE);
	memset((void *)mem, 1, LEN);
	uffd_mem = map_anon(LEN, 0);
	reg.range.start = (uintptr_t)uffd_mem;
	reg.range.len = LEN;
	uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api) || ioctl(uffd, UFFDIO_REGISTER, &reg))
		_exit(1);
	shared[MEM] = (uint64_t)(uintptr_t)mem;
	shared[UFFD_MEM] = (uint64_t)(uintptr_t)uffd_mem;
	pthread_create(&thread, NULL, beat, NULL);
}

static void map_file(uint64_t *shared)
{
	int fd = open(MNT "/file", O_RDONLY | O_CLOEXEC);
	char *p = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0);

	if (p == MAP_FAILED || madvise(p, PAGE, MADV_RANDOM))
		_exit(1);
	close(fd);
	file_mem = p;
	shared[FILE_MEM] = (uint64_t)(uintptr_t)p;
}

static void step(int n, uint64_t *shared)
{
	struct uffdio_copy copy;

	switch (n) {
	case SETUP:
		setup(shared);
		break;
	case WRITE:
		mem[5 * PAGE]++;
		break;
	case UFFD_STUCK:
		pthread_create(&waiter, NULL, touch, (void *)(uffd_mem + 3 * PAGE));
		break;
	case UFFD_COPY:
		copy = (struct uffdio_copy){
			.dst = (uintptr_t)(uffd_mem + 3 * PAGE), .src = (uintptr_t)mem, .len = PAGE,
		};
		shared[RAN] = (uint64_t)ioctl(uffd, UFFDIO_COPY, &copy);
		pthread_join(waiter, NULL);
		break;
	case FUSE_STUCK:
		map_file(shared);
		pthread_create(&waiter, NULL, touch, (void *)file_mem);
		break;
	}
}

/* --- the cases --- */

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void commit(const struct round *r)
{
	uint8_t id[CKPT_ID_LEN] = { 6 };

	if (client_commit(&c, "stuck", r->epoch, id))
		die("commit: %s", c.text);
}

/* A round that begins an epoch; others are CKPT_EPOCH_*, or 0. */
#define FIRST UINT32_MAX

/* One round, of which @p is the dump.  Return: how often the other thread faulted meanwhile. */
static uint64_t round_of(const struct child *child, uint32_t flags, struct round *r,
			 struct pages *p)
{
	const volatile uint64_t *beats = &child->shared[BEATS];
	uint64_t before = *beats, start = now_ms(), took;

	if ((flags == FIRST ? client_begin(&c, "stuck", r) : client_next(&c, "stuck", flags, r)) ||
	    client_pages(&c, "stuck", p))
		die("a round: %s", c.text);
	took = now_ms() - start;
	if (took > SOON_MS)
		die("a round took %lu ms", took);
	return *beats - before;
}

static bool is_dirty(const struct pages *p, const struct child *child, uint64_t at)
{
	return pages_dirty(p, child->pid, at, at + PAGE) == 1;
}

static void settle(const struct child *child)
{
	struct pages p;
	struct round r;
	int i;

	for (i = 0; i < 3; i++) {
		batches_drain();
		round_of(child, FIRST, &r, &p);
		pages_free(&p);
		commit(&r);
	}
}

static void test_uffd(const struct child *child)
{
	uint64_t written = child->shared[MEM] + 5 * PAGE;
	uint64_t absent = child->shared[UFFD_MEM] + 3 * PAGE;
	struct pages p;
	struct round r;
	uint32_t flags;

	settle(child);
	child_step(child, UFFD_STUCK);
	usleep(200000);
	child_step(child, WRITE);
	round_of(child, FIRST, &r, &p);
	check(pages_mm_flags(&p, child->pid) == 0 && is_dirty(&p, child, written),
	      "a thread waits for userfaultfd: the round tells what others wrote");
	check(pages_state(&p, child->pid, absent, &flags) == CKPT_PAGE_NONE &&
	      !((volatile uint64_t *)child->shared)[ENDED], "and leaves the absent page absent");
	pages_free(&p);
	commit(&r);
	child_step(child, UFFD_COPY);
	check(!child->shared[RAN] && child->shared[ENDED] == 1, "the page comes");
	round_of(child, FIRST, &r, &p);
	check(is_dirty(&p, child, absent), "and is told");
	pages_free(&p);
	commit(&r);
}

/*
 * Let the server fail one read after the other and hold the next, until the lock is not to be had.
 * Return: true then, with the epoch left open and its dump in @p.
 */
static bool hold_lock(const struct child *child, struct round *r, struct pages *p,
		      uint64_t *ret_beats)
{
	int tries;

	for (server[HOLD_AT] = 1; server[HOLD_AT] <= READS_MAX; server[HOLD_AT]++) {
		if (server[HOLD_AT] == 1)
			child_step(child, FUSE_STUCK);
		for (tries = 0; server[READS] < server[HOLD_AT] && tries < 10000; tries++)
			usleep(1000);
		/* it waits for the answer by then */
		usleep(100000);
		child_step(child, WRITE);
		*ret_beats = round_of(child, FIRST, r, p);
		if (pages_mm_flags(p, child->pid) & CKPT_MM_BUSY)
			return true;
		note("read %lu is waited for without the lock", server[READS]);
		pages_free(p);
		commit(r);
	}
	return false;
}

static void test_fuse(const struct child *child)
{
	uint64_t written = child->shared[MEM] + 5 * PAGE, beats;
	struct pages p;
	struct round r;
	bool held;

	settle(child);
	held = hold_lock(child, &r, &p, &beats);
	if (!check(held, "a thread waits for a server of FUSE, with the lock: MM_BUSY"))
		return;
	check(!pages_area(&p, child->pid, written), "none of its areas is told");
	check(beats > 0, "and its other threads go on (%lu faults)", beats);
	pages_free(&p);
	child_step(child, WRITE);
	round_of(child, 0, &r, &p);
	check(pages_mm_flags(&p, child->pid) & CKPT_MM_BUSY, "the next round finds it so, too");
	pages_free(&p);
	beats = round_of(child, CKPT_EPOCH_FINAL, &r, &p);
	check(pages_mm_flags(&p, child->pid) & CKPT_MM_BUSY,
	      "the final one, for which everybody may be standing still, does not wait for ever");
	check(beats > 0, "and it keeps nobody from the lock (%lu faults)", beats);
	pages_free(&p);
	server[GO_ON] = 1;
	while (((volatile uint64_t *)child->shared)[ENDED] < 2)
		usleep(1000);
	round_of(child, 0, &r, &p);
	check(pages_mm_flags(&p, child->pid) == 0 && is_dirty(&p, child, written),
	      "the one after the answer tells what was written");
	check(!is_dirty(&p, child, written + 4 * PAGE), "and not more");
	pages_free(&p);
	commit(&r);
}

int main(void)
{
	struct child child;
	pid_t pid;

	server = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (server == MAP_FAILED)
		die("mmap");
	shell("modprobe fuse && mkdir -p " MNT);
	pid = serve();
	cgroup_make("stuck");
	if (client_open(&c) || client_group_new(&c, "stuck", "/stuck"))
		die("tag: %s", c.text);
	child_start(&child, "stuck", step);
	child_step(&child, SETUP);
	test_uffd(&child);
	test_fuse(&child);
	server[GO_ON] = 1;
	child_end(&child);
	umount(MNT);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	client_group_del(&c, "stuck");
	client_close(&c);
	cgroup_gone("stuck");
	return finish();
}
