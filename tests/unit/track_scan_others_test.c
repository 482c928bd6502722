// SPDX-License-Identifier: GPL-2.0-or-later
/* Notes: what others than the process write, and what no fault tells; nothing is lost */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/io_uring.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/pages.h"
#include "lib/noted.h"

#define P ((uint64_t)CKPT_PAGE_LEN)

/* From outside: they go through faults as well. */
static void written_by_others(void **state)
{
	struct noted *e = *state;
	uint64_t mem = noted_do(e, watched_map, 8), value = 0x1234567;
	char path[64];
	int fd;

	noted_do(e, watched_protect, (mem + 2 * P) | PROT_READ);
	noted_checkpoint(e);
	snprintf(path, sizeof(path), "/proc/%d/mem", e->w.pid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	for (int i = 1; i < 3; i++)
		assert_int_equal(pwrite(fd, &value, sizeof(value), mem + i * P), sizeof(value));
	noted_checkpoint(e);
	assert_true(copy_told_dirty(page_at(mem, 1)));
	assert_true(copy_told_dirty(page_at(mem, 2)));
	/* once more, and nobody has made it writable in between */
	value++;
	assert_int_equal(pwrite(fd, &value, sizeof(value), mem + 2 * P), sizeof(value));
	noted_checkpoint(e);
	assert_true(copy_told_dirty(page_at(mem, 2)));
	close(fd);
}

static uint64_t direct_read(uint64_t page)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_DIRECT | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : pread(fd, (void *)page, P, 0);

	close(fd);
	return n != (ssize_t)P;
}

static void read_directly(void **state)
{
	struct noted *e = *state;
	uint64_t mem = noted_do(e, watched_map, 8);

	noted_checkpoint(e);
	/* where the file system has no such thing nothing is written */
	if (!noted_do(e, direct_read, mem + 3 * P)) {
		noted_checkpoint(e);
		assert_true(copy_told_dirty(page_at(mem, 3)));
	}
}

static uint64_t merge(uint64_t mem)
{
	memset((void *)mem, 0x5a, 8 * P);
	return madvise((void *)mem, 8 * P, MADV_MERGEABLE);
}

/* Where the kernel merges at all; the test does not make it, for others live here as well. */
static void merged_pages(void **state)
{
	struct noted *e = *state;
	uint64_t mem = noted_do(e, watched_map, 8);

	noted_do(e, merge, mem);
	noted_checkpoint(e);
	usleep(100000);
	noted_checkpoint(e);
	noted_do(e, watched_write, mem + 2 * P);
	noted_checkpoint(e);
	assert_true(copy_told_dirty(page_at(mem, 2)));
}

static int own;

static uint64_t register_own(uint64_t page)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register r = { .range = { page, P }, .mode = UFFDIO_REGISTER_MODE_WP };

	own = syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
	return ioctl(own, UFFDIO_API, &api) || ioctl(own, UFFDIO_REGISTER, &r);
}

static uint64_t close_own(uint64_t arg)
{
	(void)arg;
	return close(own);
}

static void areas_of_another_userfaultfd(void **state)
{
	struct noted *e = *state;
	uint64_t mem = noted_do(e, watched_map, 8);

	assert_int_equal(noted_do(e, register_own, mem + 2 * P), 0);
	noted_checkpoint(e);
	assert_true(copy_told_flags(page_at(mem, 2)) & CKPT_TAKE_AREA_FOREIGN);
	assert_false(copy_told_flags(page_at(mem, 1)) & CKPT_TAKE_AREA_FOREIGN);
	assert_true(copy_told_dirty(page_at(mem, 2)));
	noted_checkpoint(e);
	assert_true(copy_told_dirty(page_at(mem, 2)));
	noted_do(e, close_own, 0);
	noted_checkpoint(e);
	assert_true(copy_told_dirty(page_at(mem, 2)));
	assert_false(copy_told_flags(page_at(mem, 2)) & CKPT_TAKE_AREA_FOREIGN);
	noted_do(e, watched_write, mem + 2 * P);
	noted_checkpoint(e);
	assert_true(copy_told_dirty(page_at(mem, 2)));
}

static aio_context_t aio;

static uint64_t open_aio(uint64_t arg)
{
	(void)arg;
	return syscall(SYS_io_setup, 4, &aio);
}

static uint64_t close_aio(uint64_t arg)
{
	(void)arg;
	return syscall(SYS_io_destroy, aio);
}

/* Of what it writes no fault tells: all there is, and once more after its end. */
static void asynchronous_io(void **state)
{
	struct noted *e = *state;
	uint64_t mem = noted_do(e, watched_map, 8);

	noted_checkpoint(e);
	assert_int_equal(noted_do(e, open_aio, 0), 0);
	noted_checkpoint(e);
	assert_true(copy_told_dirty(page_at(mem, 1)));
	noted_checkpoint(e);
	assert_true(copy_told_dirty(page_at(mem, 1)));
	assert_int_equal(noted_do(e, close_aio, 0), 0);
	copy_round(&e->copy, &e->notes, e->w.pid);
	ckpt_notes_abort(&e->notes);
	noted_checkpoint(e);
	assert_true(copy_told_dirty(page_at(mem, 1)));
	noted_checkpoint(e);
	assert_false(copy_told_dirty(page_at(mem, 1)));
}

#define ENTRIES 8u

/* An io_uring, as the process has it. */
static struct {
	int fd, pipe[2];
	struct io_uring_params p;
	uint8_t *words;
	struct io_uring_sqe *sqes;
	uint32_t tail;
} ring;

static uint64_t open_ring(uint64_t arg)
{
	(void)arg;
	memset(&ring, 0, sizeof(ring));
	ring.fd = syscall(SYS_io_uring_setup, ENTRIES, &ring.p);
	if (ring.fd < 0 || pipe2(ring.pipe, O_CLOEXEC))
		return 1;
	ring.words = mmap(NULL, P, PROT_READ | PROT_WRITE, MAP_SHARED, ring.fd,
			  IORING_OFF_SQ_RING);
	ring.sqes = mmap(NULL, P, PROT_READ | PROT_WRITE, MAP_SHARED, ring.fd, IORING_OFF_SQES);
	return ring.words == MAP_FAILED || (void *)ring.sqes == MAP_FAILED;
}

static uint64_t make_request(const struct io_uring_sqe *sqe)
{
	ring.sqes[ring.tail % ENTRIES] = *sqe;
	((uint32_t *)(ring.words + ring.p.sq_off.array))[ring.tail % ENTRIES] =
		ring.tail % ENTRIES;
	ring.tail++;
	__atomic_store_n((uint32_t *)(ring.words + ring.p.sq_off.tail), ring.tail,
			 __ATOMIC_RELEASE);
	return syscall(SYS_io_uring_enter, ring.fd, 1, 0, 0, NULL, 0) != 1;
}

/* A read of four bytes out of the pipe. */
static uint64_t begin_read(uint64_t page)
{
	const struct io_uring_sqe sqe = {
		.opcode = IORING_OP_READ, .fd = ring.pipe[0], .addr = page, .len = 4,
	};

	return make_request(&sqe);
}

/* A wait for longer than the test takes, which is in no list that fdinfo shows. */
static uint64_t begin_wait(uint64_t page)
{
	const struct io_uring_sqe sqe = { .opcode = IORING_OP_TIMEOUT, .addr = page, .len = 1 };

	*(struct __kernel_timespec *)page = (struct __kernel_timespec){ .tv_sec = 1000 };
	return make_request(&sqe);
}

static uint64_t end_read(uint64_t page)
{
	if (write(ring.pipe[1], "read", 4) != 4 ||
	    syscall(SYS_io_uring_enter, ring.fd, 0, ring.tail, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
		return 1;
	return memcmp((void *)page, "read", 4) != 0;
}

static uint64_t give_buffer(uint64_t page)
{
	const uint64_t one[] = { page, P };	/* a struct iovec */

	return page ? syscall(SYS_io_uring_register, ring.fd, IORING_REGISTER_BUFFERS, one, 1) :
		      syscall(SYS_io_uring_register, ring.fd, IORING_UNREGISTER_BUFFERS, NULL, 0);
}

static uint64_t close_descriptor(uint64_t arg)
{
	(void)arg;
	return close(ring.fd);
}

static uint64_t unmap_ring(uint64_t arg)
{
	(void)arg;
	close(ring.pipe[0]);
	close(ring.pipe[1]);
	return munmap(ring.words, P) || munmap(ring.sqes, P);
}

/* A checkpoint in which everything is dirty, or not what nobody wrote to. */
static void all_dirty(struct noted *e, uint64_t mem, bool all)
{
	noted_checkpoint(e);
	assert_int_equal(copy_told_dirty(page_at(mem, 1)), all);
}

/* One at rest writes to nothing; what it was asked to write a fault tells. */
static void requests_of_a_ring(void **state)
{
	struct noted *e = *state;
	uint64_t mem = noted_do(e, watched_map, 8);

	noted_checkpoint(e);
	if (noted_do(e, open_ring, 0))
		return;	/* there are none here */
	all_dirty(e, mem, false);
	assert_int_equal(noted_do(e, begin_read, mem + 3 * P), 0);
	/* under way: all of it; when it has ended once more */
	all_dirty(e, mem, true);
	assert_int_equal(noted_do(e, end_read, mem + 3 * P), 0);
	all_dirty(e, mem, true);
	all_dirty(e, mem, false);
	assert_false(copy_told_dirty(page_at(mem, 3)));
	assert_int_equal(noted_do(e, begin_read, mem + 3 * P), 0);
	assert_int_equal(noted_do(e, end_read, mem + 3 * P), 0);
	all_dirty(e, mem, false);
	assert_true(copy_told_dirty(page_at(mem, 3)));
	/* the counts alone tell that something is under way */
	assert_int_equal(noted_do(e, begin_wait, mem + 4 * P), 0);
	all_dirty(e, mem, true);
	all_dirty(e, mem, true);
	assert_int_equal(noted_do(e, close_descriptor, 0), 0);
	assert_int_equal(noted_do(e, unmap_ring, 0), 0);
	all_dirty(e, mem, true);
	all_dirty(e, mem, false);
}

/* What was pinned once and for all, and what may be under way behind the end of a ring. */
static void buffers_and_the_end_of_a_ring(void **state)
{
	struct noted *e = *state;
	uint64_t mem = noted_do(e, watched_map, 8);

	noted_checkpoint(e);
	if (noted_do(e, open_ring, 0))
		return;
	all_dirty(e, mem, false);
	if (!noted_do(e, give_buffer, mem + 2 * P)) {
		all_dirty(e, mem, true);
		assert_int_equal(noted_do(e, give_buffer, 0), 0);
		all_dirty(e, mem, true);
		all_dirty(e, mem, false);
	}
	/* without a descriptor nothing tells what it does */
	assert_int_equal(noted_do(e, close_descriptor, 0), 0);
	all_dirty(e, mem, true);
	all_dirty(e, mem, true);
	assert_int_equal(noted_do(e, unmap_ring, 0), 0);
	all_dirty(e, mem, true);
	all_dirty(e, mem, false);
	/* at rest, and gone, in a round that was not committed first */
	assert_int_equal(noted_do(e, open_ring, 0), 0);
	copy_round(&e->copy, &e->notes, e->w.pid);
	ckpt_notes_abort(&e->notes);
	assert_int_equal(noted_do(e, close_descriptor, 0), 0);
	assert_int_equal(noted_do(e, unmap_ring, 0), 0);
	all_dirty(e, mem, true);
	all_dirty(e, mem, true);
	all_dirty(e, mem, false);
}

static pid_t child;
static volatile int *child_says;

/* A child that makes a userfaultfd of its own, waits for a word, and executes something. */
static uint64_t make_child(uint64_t page)
{
	(void)page;
	child = fork();
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		child_says[0] = syscall(SYS_userfaultfd,
					O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
		while (!child_says[1])
			usleep(1000);
		execl("/bin/sleep", "sleep", "100", NULL);
		_exit(1);
	}
	return child;
}

static uint64_t reap_child(uint64_t arg)
{
	kill(child, SIGKILL);
	return waitpid(child, NULL, 0) == (pid_t)arg;
}

static size_t missing(struct noted *e, pid_t pid)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	int32_t p = pid, *list;
	size_t n;

	assert_int_equal(ckpt_notes_missing(&e->notes, &p, 1, &list, &n, &err), 0);
	free(list);
	return n;
}

static void forks_and_executes(struct noted *e, uint64_t mem)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	struct copy copy = { 0 };
	struct ckpt_take take;
	int32_t pid;
	char exe[64], path[64] = "";

	child_says[0] = -1;
	pid = noted_do(e, make_child, 0);
	while (child_says[0] < 0)
		usleep(1000);
	/* the child is another one, and its parent is what it was */
	assert_int_equal(watched_registered(pid), 0);
	assert_int_equal(missing(e, pid), 1);
	assert_int_equal(missing(e, e->w.pid), 0);
	noted_checkpoint(e);
	assert_false(copy_told_dirty(page_at(mem, 1)));
	assert_int_equal(ckpt_notes_adopt(&e->notes, pid,
					  watched_userfault_of(pid, child_says[0]), &err), 0);
	assert_int_equal(missing(e, pid), 0);
	assert_int_equal(ckpt_notes_round(&e->notes, &pid, 1, &take, &err), 0);
	assert_int_equal(take.mms[0].pid, pid);
	copy_take(&copy, &take.mms[0], pid);
	assert_true(copy.copied > 8);
	ckpt_take_done(&take);
	noted_do(e, watched_write, mem + P);
	noted_checkpoint(e);
	assert_true(copy_told_dirty(page_at(mem, 1)));
	child_says[1] = 1;
	snprintf(exe, sizeof(exe), "/proc/%d/exe", pid);
	while (!strstr(path, "sleep") && !strstr(path, "coreutils"))
		assert_true(readlink(exe, path, sizeof(path) - 1) > 0);
	assert_int_equal(missing(e, pid), 1);
	assert_int_equal(ckpt_notes_round(&e->notes, &pid, 1, &take, &err), 0);
	assert_int_equal(take.n_mms, 0);
	ckpt_take_done(&take);
	noted_do(e, reap_child, pid);
	copy_done(&copy);
}

static void fork_and_exec(void **state)
{
	struct noted *e = *state;
	uint64_t mem = noted_do(e, watched_map, 8);

	noted_checkpoint(e);
	forks_and_executes(e, mem);
	noted_checkpoint(e);
	noted_do(e, watched_write, mem + 2 * P);
	noted_checkpoint(e);
	assert_true(copy_told_dirty(page_at(mem, 2)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NOTED_TEST(written_by_others),
		NOTED_TEST(read_directly),
		NOTED_TEST(merged_pages),
		NOTED_TEST(areas_of_another_userfaultfd),
		NOTED_TEST(asynchronous_io),
		NOTED_TEST(requests_of_a_ring),
		NOTED_TEST(buffers_and_the_end_of_a_ring),
		NOTED_TEST(fork_and_exec),
	};

	if (!watched_notes_here())
		return watched_skip();
	child_says = mmap(NULL, P, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
