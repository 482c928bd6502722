// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A program that makes requests by io_urings, with bare system calls
 *
 * Prints "ready" once all is set up, waits until there is a file "go" in its directory, checks
 * that everything is as it was and goes on, and prints what is wrong, or "all well".
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ok.h"

#ifndef IORING_SETUP_NO_SQARRAY
#define IORING_SETUP_NO_SQARRAY (1u << 16)
#endif
#define PAGE 4096ul

/* A ring with what the program counts by itself. */
struct ring {
	int fd;
	bool no_array;
	uint8_t *memory, *old;
	size_t len;
	struct io_uring_params p;
	struct io_uring_sqe *sqes;
	uint32_t tail, head;
	uint8_t *copy, *sqes_copy;
};

static uint32_t *word(struct ring *r, uint32_t offset)
{
	return (uint32_t *)(r->memory + offset);
}

static bool make_ring(struct ring *r, unsigned int entries, unsigned int cq, unsigned int flags)
{
	*r = (struct ring){ .no_array = flags & IORING_SETUP_NO_SQARRAY };
	r->p = (struct io_uring_params){
		.flags = flags | (cq ? IORING_SETUP_CQSIZE : 0), .cq_entries = cq,
	};
	r->fd = syscall(SYS_io_uring_setup, entries, &r->p);
	if (r->fd < 0)
		return false;
	r->len = r->p.cq_off.cqes + r->p.cq_entries * sizeof(struct io_uring_cqe);
	if (!r->no_array)
		r->len = r->p.sq_off.array + entries * sizeof(uint32_t);
	r->len = (r->len + PAGE - 1) & ~(PAGE - 1);
	r->memory = mmap(NULL, r->len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, r->fd,
			 IORING_OFF_SQ_RING);
	r->sqes = mmap(NULL, entries * sizeof(*r->sqes), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_POPULATE, r->fd, IORING_OFF_SQES);
	if (r->memory == MAP_FAILED || (void *)r->sqes == MAP_FAILED)
		exit(1);
	return true;
}

/* Put a request into the ring, and the kernel knows nothing of it yet. */
static struct io_uring_sqe *put(struct ring *r, uint8_t opcode, uint64_t data)
{
	uint32_t at = r->tail & (r->p.sq_entries - 1);
	struct io_uring_sqe *sqe = &r->sqes[at];

	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = opcode;
	sqe->user_data = data;
	if (!r->no_array)
		word(r, r->p.sq_off.array)[at] = at;
	__atomic_store_n(word(r, r->p.sq_off.tail), ++r->tail, __ATOMIC_RELEASE);
	return sqe;
}

static bool enter(struct ring *r, unsigned int n)
{
	uint32_t head = *word(r, r->p.sq_off.head);

	return syscall(SYS_io_uring_enter, r->fd, n, 0, 0, NULL, 0) == n &&
	       *word(r, r->p.sq_off.head) == head + n;
}

/* Take a completion: is it that of @data, with @res? */
static bool took(struct ring *r, uint64_t data, int32_t res)
{
	struct io_uring_cqe *cqes = (void *)(r->memory + r->p.cq_off.cqes);
	struct io_uring_cqe *cqe = &cqes[r->head & (r->p.cq_entries - 1)];

	if (__atomic_load_n(word(r, r->p.cq_off.tail), __ATOMIC_ACQUIRE) == r->head ||
	    cqe->user_data != data || cqe->res != res)
		return false;
	__atomic_store_n(word(r, r->p.cq_off.head), ++r->head, __ATOMIC_RELEASE);
	return true;
}

/* Wait for a completion to be there. */
static bool arrived(struct ring *r)
{
	return syscall(SYS_io_uring_enter, r->fd, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0) == 0;
}

static bool nops(struct ring *r, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		put(r, IORING_OP_NOP, r->tail);
		if (!enter(r, 1) || !took(r, r->tail - 1, 0))
			return false;
	}
	return true;
}

static void keep_copy(struct ring *r)
{
	size_t n = r->p.sq_entries * sizeof(*r->sqes);

	r->copy = malloc(r->len);
	r->sqes_copy = malloc(n);
	memcpy(r->copy, r->memory, r->len);
	memcpy(r->sqes_copy, r->sqes, n);
}

static bool as_kept(const struct ring *r)
{
	return !memcmp(r->copy, r->memory, r->len) &&
	       !memcmp(r->sqes_copy, r->sqes, r->p.sq_entries * sizeof(*r->sqes));
}

/* fresh: never used; loop: as an event loop has it; unread: completions; unsent: requests */
static struct ring fresh, bare, loop, unread, unsent, wide;
static bool has_bare;
static int epoll, in_pipe[2], file;

static bool ctl(struct ring *r, int op, int fd, struct epoll_event *e, int32_t res)
{
	struct io_uring_sqe *sqe = put(r, IORING_OP_EPOLL_CTL, 1000 + r->tail);

	sqe->fd = epoll;
	sqe->off = fd;
	sqe->len = op;
	sqe->addr = (uintptr_t)e;
	return enter(r, 1) && took(r, 1000 + r->tail - 1, res);
}

static void make_loop(void)
{
	struct epoll_event e = { .events = EPOLLIN, .data.u64 = 77 };

	if (!make_ring(&loop, 256, 0, IORING_SETUP_NO_SQARRAY) && !make_ring(&loop, 256, 0, 0))
		exit(1);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	if (epoll < 0 || pipe(in_pipe) || fcntl(loop.fd, F_SETFD, FD_CLOEXEC))
		exit(1);
	OK(nops(&loop, 1000));
	OK(ctl(&loop, EPOLL_CTL_ADD, in_pipe[0], &e, 0));
	OK(ctl(&loop, EPOLL_CTL_ADD, in_pipe[0], &e, -EEXIST));
}

static void make_rings(void)
{
	struct io_uring_sqe *sqe;

	if (!make_ring(&fresh, 64, 0, 0) || !make_ring(&unread, 64, 128, 0) ||
	    !make_ring(&unsent, 128, 0, 0) || !make_ring(&wide, 64, 4096, 0))
		exit(1);
	has_bare = make_ring(&bare, 256, 0, IORING_SETUP_NO_SQARRAY);
	make_loop();
	file = open("uring.data", O_RDWR | O_CREAT | O_TRUNC, 0600);
	OK(nops(&unread, 300));
	/* across the end of the ring, all but one place in use */
	for (int i = 0; i < 127; i++) {
		put(&unread, IORING_OP_NOP, 5000 + i);
		OK(enter(&unread, 1));
	}
	OK(nops(&unsent, 77));
	/* by a thread of the kernel, which stays in the process */
	put(&unsent, IORING_OP_NOP, 4241)->flags = IOSQE_ASYNC;
	OK(enter(&unsent, 1) && arrived(&unsent) && took(&unsent, 4241, 0));
	sqe = put(&unsent, IORING_OP_WRITE, 4242);
	sqe->fd = file;
	sqe->addr = (uintptr_t)"written later";
	sqe->len = 13;
	put(&unsent, IORING_OP_NOP, 4243);
	OK(nops(&wide, 70000));
	/* the same once more by its old name, and one part out of sight */
	wide.old = mmap(NULL, wide.len, PROT_READ, MAP_SHARED, wide.fd, IORING_OFF_CQ_RING);
	if (wide.old == MAP_FAILED || mprotect(fresh.sqes, 64 * sizeof(*fresh.sqes), PROT_READ))
		exit(1);
}

static void check_kept(void)
{
	OK(as_kept(&fresh));
	OK(as_kept(&loop));
	OK(as_kept(&unread));
	OK(as_kept(&unsent));
	OK(as_kept(&wide));
	OK(!has_bare || as_kept(&bare));
}

static void check_rings(void)
{
	struct io_uring_cqe *cqe;
	char text[14] = "";

	OK(!mprotect(fresh.sqes, 64 * sizeof(*fresh.sqes), PROT_READ | PROT_WRITE));
	OK(nops(&fresh, 500));
	OK(!has_bare || nops(&bare, 1000));
	OK(fcntl(loop.fd, F_GETFD) == FD_CLOEXEC);
	/* the place left holds one completion more, and then there is none */
	put(&unread, IORING_OP_NOP, 5127);
	OK(enter(&unread, 1));
	cqe = (void *)(unread.memory + unread.p.cq_off.cqes);
	OK(cqe[(unread.head + 127) & 127].user_data == 5127);
	for (int i = 0; i < 128; i++)
		OK(took(&unread, 5000 + i, 0));
	OK(nops(&unread, 300));
	OK(!lseek(file, 0, SEEK_END));
	/* one after the other: whatever is given to another thread ends when it likes */
	OK(enter(&unsent, 1) && arrived(&unsent) && took(&unsent, 4242, 13));
	OK(syscall(SYS_io_uring_enter, unsent.fd, 1, 0, 0, NULL, 0) == 1);
	OK(took(&unsent, 4243, 0));
	OK(pread(file, text, 13, 0) == 13 && !strcmp(text, "written later"));
	OK(nops(&unsent, 300));
	OK(nops(&wide, 10000));
	OK(!memcmp(wide.memory, wide.old, wide.len));
}

static void check_loop(void)
{
	struct epoll_event e = { .events = EPOLLIN, .data.u64 = 77 };

	OK(ctl(&loop, EPOLL_CTL_ADD, in_pipe[0], &e, -EEXIST));
	OK(write(in_pipe[1], "x", 1) == 1);
	OK(epoll_wait(epoll, &e, 1, 1000) == 1 && e.data.u64 == 77);
	OK(ctl(&loop, EPOLL_CTL_DEL, in_pipe[0], NULL, 0));
	OK(!epoll_wait(epoll, &e, 1, 0));
	OK(nops(&loop, 1000));
}

static bool woken;

/* A thread that waits for a completion of a ring in which nothing is under way. */
static void *waiter(void *arg)
{
	woken = arrived(arg);
	return NULL;
}

int main(void)
{
	pthread_t thread;

	make_rings();
	if (pthread_create(&thread, NULL, waiter, &wide))
		return 1;
	usleep(20000);
	keep_copy(&fresh);
	keep_copy(&loop);
	keep_copy(&unread);
	keep_copy(&unsent);
	keep_copy(&wide);
	if (has_bare)
		keep_copy(&bare);
	if (wrong)
		return 1;
	puts("all is set up");
	puts("ready");
	fflush(stdout);
	while (access("go", F_OK))
		usleep(10000);
	OK(!woken);
	check_kept();
	check_loop();
	check_rings();
	pthread_join(thread, NULL);
	OK(woken);
	puts(wrong ? "not well" : "all well");
	return wrong != 0;
}
