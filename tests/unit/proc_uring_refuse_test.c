// SPDX-License-Identifier: GPL-2.0-or-later
/* io_urings that are not restored: each by name, and its holder runs on. Natively as root. */
#include <linux/io_uring.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cgroup.h"
#include "base/cleanup.h"
#include "lib/proc_group.h"

#define ENTRIES 256

static struct io_uring_params p;
static uint8_t *ring;
static struct io_uring_sqe *sqes;

static int make(unsigned int entries, unsigned int flags)
{
	size_t len;
	int fd;

	p = (struct io_uring_params){ .flags = flags };
	fd = syscall(SYS_io_uring_setup, entries, &p);
	if (fd < 0)
		proc_group_lacks(0);
	ring = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQ_RING);
	len = p.sq_entries * sizeof(*sqes) * (flags & IORING_SETUP_SQE128 ? 2 : 1);
	sqes = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQES);
	if (ring == MAP_FAILED || (void *)sqes == MAP_FAILED)
		_exit(1);
	return fd;
}

static void enroll(int fd, unsigned int what, const void *arg, unsigned int n)
{
	if (syscall(SYS_io_uring_register, fd, what, arg, n) < 0)
		_exit(1);
}

/* Make the request that stands first, by the array of zeros that a new ring has. */
static void request(int fd)
{
	*(uint32_t *)(ring + p.sq_off.tail) = 1;
	if (syscall(SYS_io_uring_enter, fd, 1, 0, 0, NULL, 0) != 1)
		_exit(1);
}

static void hold_small(void)
{
	make(4, 0);
}

static void hold_served(void)
{
	make(ENTRIES, IORING_SETUP_SQPOLL);
}

static void hold_polled(void)
{
	make(ENTRIES, IORING_SETUP_IOPOLL);
}

static void hold_disabled(void)
{
	make(ENTRIES, IORING_SETUP_R_DISABLED);
}

static void hold_single(void)
{
	make(ENTRIES, IORING_SETUP_SINGLE_ISSUER);
}

static void hold_big_completions(void)
{
	make(ENTRIES, IORING_SETUP_CQE32);
}

static void hold_big_requests(void)
{
	make(ENTRIES, IORING_SETUP_SQE128);
}

static void hold_restricted(void)
{
	const struct io_uring_restriction only = {
		.opcode = IORING_RESTRICTION_REGISTER_OP,
		.register_op = IORING_REGISTER_ENABLE_RINGS,
	};
	int fd = make(ENTRIES, IORING_SETUP_R_DISABLED);

	enroll(fd, IORING_REGISTER_RESTRICTIONS, &only, 1);
	enroll(fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
}

static void hold_eventfd(void)
{
	int event = eventfd(0, 0);

	enroll(make(ENTRIES, 0), IORING_REGISTER_EVENTFD, &event, 1);
}

static void hold_files(void)
{
	const int files[1] = { 0 };

	enroll(make(ENTRIES, 0), IORING_REGISTER_FILES, files, 1);
}

static void hold_credentials(void)
{
	int fd = make(ENTRIES, 0);

	sqes->personality = syscall(SYS_io_uring_register, fd, IORING_REGISTER_PERSONALITY, NULL,
				    0);
	request(fd);
}

/* A read that never ends, of an empty pipe. */
static void hold_busy(void)
{
	static char byte;
	int ends[2], fd = make(ENTRIES, 0);

	if (pipe(ends))
		_exit(1);
	sqes->opcode = IORING_OP_READ;
	sqes->fd = ends[0];
	sqes->addr = (uintptr_t)&byte;
	sqes->len = 1;
	request(fd);
}

static void *write_soon(void *arg)
{
	usleep(80000);
	if (write((int)(intptr_t)arg, "x", 1) != 1)
		_exit(1);
	return NULL;
}

/* A read of a pipe that has something in a moment. */
static void be_busy_for_a_moment(void)
{
	static char byte;
	int ends[2], fd = make(ENTRIES, 0);
	pthread_t t;

	if (pipe(ends))
		_exit(1);
	sqes->opcode = IORING_OP_READ;
	sqes->fd = ends[0];
	sqes->addr = (uintptr_t)&byte;
	sqes->len = 1;
	request(fd);
	pthread_create(&t, NULL, write_soon, (void *)(intptr_t)ends[1]);
}

static void hold_odd_requests(void)
{
	int fd = make(ENTRIES, 0);

	sqes->opcode = IORING_OP_ASYNC_CANCEL;
	request(fd);
}

/* Buffers given to the ring do not show; that requests take one of them does. */
static void hold_buffers(void)
{
	int fd = make(ENTRIES, 0);

	sqes->opcode = IORING_OP_READ;
	sqes->flags = IOSQE_BUFFER_SELECT;
	request(fd);
}

static void hold_shared(void)
{
	make(ENTRIES, 0);
	if (!fork()) {
		close(3);
		pause();
		_exit(0);
	}
}

static void hold_mapped(void)
{
	close(make(ENTRIES, 0));
}

static void hold_piece(void)
{
	make(ENTRIES, 0);
	munmap(sqes, 4096);
}

static void hold_half(void)
{
	make(ENTRIES, 0);
	munmap((uint8_t *)sqes + 3 * 4096, 4096);
}

static void hold_watched(void)
{
	struct epoll_event e = { .events = EPOLLIN };

	if (epoll_ctl(epoll_create1(0), EPOLL_CTL_ADD, make(ENTRIES, 0), &e))
		_exit(1);
}

static void hold_registered(void)
{
	struct io_uring_rsrc_update self = { .offset = 11 };
	int fd = make(ENTRIES, 0);

	self.data = fd;
	enroll(fd, IORING_REGISTER_RING_FDS, &self, 1);
}

static void hold_full(void)
{
	int fd = make(ENTRIES, 0);

	for (uint32_t i = 1; i <= 2 * ENTRIES; i++) {
		*(uint32_t *)(ring + p.sq_off.tail) = i;
		if (syscall(SYS_io_uring_enter, fd, 1, 0, 0, NULL, 0) != 1)
			_exit(1);
	}
}

static uint32_t *word(uint32_t at)
{
	return (uint32_t *)(ring + at);
}

static void hold_napi(void)
{
	const uint32_t poll[4] = { 50 /* microseconds */ };

	if (syscall(SYS_io_uring_register, make(ENTRIES, 0), 27 /* REGISTER_NAPI */, poll, 1))
		proc_group_lacks(EINVAL);
}

/* More completions than it has room for: the kernel keeps them. */
static void hold_lost(void)
{
	int fd = make(ENTRIES, 0);

	for (uint32_t i = 1; i <= 2 * ENTRIES + 1; i++) {
		*word(p.sq_off.tail) = i;
		if (syscall(SYS_io_uring_enter, fd, 1, 0, 0, NULL, 0) != 1)
			_exit(1);
	}
}

static void hold_tireless(void)
{
	int fd = make(ENTRIES, 0);

	for (uint32_t i = 0; i <= 1u << 24; i += ENTRIES) {
		*word(p.sq_off.tail) = i + ENTRIES;
		if (syscall(SYS_io_uring_enter, fd, ENTRIES, 0, 0, NULL, 0) != ENTRIES)
			_exit(1);
		*word(p.cq_off.head) = i + ENTRIES;
	}
}

static void hold_other_mask(void)
{
	make(ENTRIES, 0);
	*word(p.sq_off.ring_mask) = 1;
}

static void hold_too_many(void)
{
	make(ENTRIES, 0);
	*word(p.sq_off.tail) = ENTRIES + 1;
}

static void hold_dropped(void)
{
	make(ENTRIES, 0);
	*word(p.sq_off.dropped) = 1;
}

static void refuses_by_name(void **state)
{
	static const struct proc_group_refusal cases[] = {
		{ hold_small, "too small to show" },
		{ hold_served, "a thread of the kernel (SQPOLL)" },
		{ hold_polled, "polled, or not enabled yet" },
		{ hold_disabled, "not enabled yet" },
		{ hold_single, "for one thread alone (SINGLE_ISSUER)" },
		{ hold_big_completions, "completions of double size" },
		{ hold_big_requests, "completions of double size" },
		{ hold_restricted, "with restrictions" },
		{ hold_eventfd, "with an eventfd" },
		{ hold_files, "with files, buffers or credentials of its own" },
		{ hold_credentials, "credentials" },
		{ hold_busy, "with requests under way" },
		{ hold_odd_requests, "with requests of kind 14" },
		{ hold_buffers, "with requests of kind 22, flags 0x20" },
		{ hold_shared, "that 2 processes share" },
		{ hold_mapped, "that no descriptor of the tree leads to" },
		{ hold_piece, "a piece of an io_uring" },
		{ hold_half, "is no whole part of an io_uring" },
		{ hold_watched, "an io_uring" },
		{ hold_registered, "has registered an io_uring for thread" },
		{ hold_full, "full of completions" },
		{ hold_napi, "that polls network devices (NAPI)" },
		{ hold_lost, "with more completions than it has room for" },
		{ hold_tireless, "that has made 16777472 requests, more than 16777216" },
		{ hold_other_mask, "whose memory is not as the kernel has it" },
		{ hold_too_many, "with more requests than it has room for" },
		{ hold_dropped, "with work left to the kernel, or that has lost some" },
	};

	(void)state;
	proc_group_refusals(cases, sizeof(cases) / sizeof(cases[0]));
}

/* It is let run until what it has asked for is there, and captured with that. */
static void waits_for_requests(void **state)
{
	struct ckpt_stop_params params = { .pid = proc_group_spawn(NULL, be_busy_for_a_moment) };
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_image image;

	(void)state;
	if (params.pid < 0)
		skip();
	/* what it makes ready it may still be at */
	for (int tries = 0; proc_group_cycle(&params, &image, &err); tries++) {
		if (tries == 5 || !strstr(err.text, "try again"))
			fail_msg("%s", err.text);
		err = (struct ckpt_err)CKPT_ERR_INIT;
	}
	assert_int_equal(image.n_urings, 1);
	ckpt_image_done(&image);
	assert_true(proc_group_untraced(params.pid));
	kill(params.pid, SIGKILL);
	waitpid(params.pid, NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_by_name),
		cmocka_unit_test(waits_for_requests),
	};

	return cmocka_run_group_tests_name("proc uring refusals", tests, NULL, NULL);
}
