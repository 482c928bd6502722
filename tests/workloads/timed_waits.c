// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * timed_waits: a thread for each call that waits for a time, and whether it lasts as long as asked
 *
 * usage: timed_waits FILE SEED SLACK_MS WAITS LONGEST_MS [restored]
 * Each thread waits WAITS times (0: until there is a file FILE.end), for up to LONGEST_MS and a
 * fifth of it at least, and nothing ever happens but that the time runs out.  FILE (or - for what
 * is printed) gets "ready" before, a line for all that is wrong, "all well" at the end when nothing
 * was.  With "restored" a wait whose time is that of a socket may begin anew.  Time is that of
 * CLOCK_MONOTONIC, as the program has it.
 */
#include <err.h>
#include <errno.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S 1000000000ll
#define NS_PER_MS 1000000ll
#define EARLY_NS NS_PER_MS
#define LOOK_US 20000

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

static int64_t slack_ns, waits, longest_ms;
static uint64_t seed;
static int semaphore, epoll, ends[2], others[2], listener, wrong;
static bool restored;
static volatile bool over;
/* For how long the program as a whole did not get on, as the first thread sees it. */
static volatile int64_t stood_still;

static int64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * NS_PER_S + t.tv_nsec;
}

static struct timespec spec_of(int64_t ns)
{
	return (struct timespec){ ns / NS_PER_S, ns % NS_PER_S };
}

static struct timeval val_of(int64_t ns)
{
	return (struct timeval){ ns / NS_PER_S, ns % NS_PER_S / 1000 };
}

/* Each waits for @ns. Return: 0 when the time has run out, else an error. */

static int error_unless(bool ended)
{
	return ended ? 0 : errno ? errno : -1;
}

static int wait_nanosleep(int64_t ns)
{
	const struct timespec t = spec_of(ns);

	return error_unless(!nanosleep(&t, NULL));
}

static int wait_nanosleep_rest(int64_t ns)
{
	const struct timespec t = spec_of(ns);
	struct timespec rest;

	return error_unless(!nanosleep(&t, &rest));
}

static int wait_clock(int64_t ns)
{
	const struct timespec t = spec_of(ns);

	return clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
}

static int wait_clock_of_day(int64_t ns)
{
	const struct timespec t = spec_of(ns);

	return clock_nanosleep(CLOCK_REALTIME, 0, &t, NULL);
}

static int wait_clock_until(int64_t ns)
{
	const struct timespec t = spec_of(clock_ns(CLOCK_MONOTONIC) + ns);

	return clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

static int wait_poll(int64_t ns)
{
	return error_unless(!poll(NULL, 0, ns / NS_PER_MS));
}

static int wait_ppoll(int64_t ns)
{
	const struct timespec t = spec_of(ns);

	return error_unless(!ppoll(NULL, 0, &t, NULL));
}

/* Its time is where the kernel cannot write. */
static int wait_ppoll_const(int64_t ns)
{
	static const struct timespec t = { 0, 700000000 };

	(void)ns;
	return error_unless(!syscall(SYS_ppoll, NULL, 0, &t, NULL, 8));
}

static int wait_select(int64_t ns)
{
	struct timeval t = val_of(ns);

	return error_unless(!select(0, NULL, NULL, NULL, &t));
}

static int wait_select_raw(int64_t ns)
{
	struct timeval t = val_of(ns);

	return error_unless(!syscall(SYS_select, 0, NULL, NULL, NULL, &t));
}

static int wait_pselect(int64_t ns)
{
	const struct timespec t = spec_of(ns);

	return error_unless(!pselect(0, NULL, NULL, NULL, &t, NULL));
}

static int wait_epoll(int64_t ns)
{
	struct epoll_event e;

	return error_unless(!epoll_wait(epoll, &e, 1, ns / NS_PER_MS));
}

static int wait_epoll_mask(int64_t ns)
{
	struct epoll_event e;
	sigset_t set;

	sigemptyset(&set);
	return error_unless(!epoll_pwait(epoll, &e, 1, ns / NS_PER_MS, &set));
}

/* What is asked for is left alone, whether or not it could be written to. */
static int unchanged(int64_t ns, const struct timespec *t, int error)
{
	return t->tv_sec * NS_PER_S + t->tv_nsec == ns ? error : -2;
}

static int wait_epoll_precise(int64_t ns)
{
	struct timespec t = spec_of(ns);
	struct epoll_event e;

	return unchanged(ns, &t,
			 error_unless(!syscall(SYS_epoll_pwait2, epoll, &e, 1, &t, NULL, 8)));
}

static int wait_signal(int64_t ns)
{
	struct timespec t = spec_of(ns);
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	return unchanged(ns, &t, error_unless(sigtimedwait(&set, NULL, &t) < 0 && errno == EAGAIN));
}

static int wait_semaphore(int64_t ns)
{
	struct sembuf op = { .sem_op = -1 };
	struct timespec t = spec_of(ns);

	return unchanged(ns, &t,
			 error_unless(semtimedop(semaphore, &op, 1, &t) < 0 && errno == EAGAIN));
}

static int wait_futex(int64_t ns)
{
	static uint32_t word;
	struct timespec t = spec_of(ns);
	long n = syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &t, NULL, 0);

	return unchanged(ns, &t, error_unless(n < 0 && errno == ETIMEDOUT));
}

static int wait_futex_until(int64_t ns)
{
	const struct timespec t = spec_of(clock_ns(CLOCK_MONOTONIC) + ns);
	static uint32_t word;

	return error_unless(syscall(SYS_futex, &word, FUTEX_WAIT_BITSET_PRIVATE, 0, &t, NULL,
				    FUTEX_BITSET_MATCH_ANY) < 0 && errno == ETIMEDOUT);
}

static void limit(int fd, int name, int64_t ns)
{
	const struct timeval t = val_of(ns);

	setsockopt(fd, SOL_SOCKET, name, &t, sizeof(t));
}

/* The limit of a socket is as it was set, but for some moment when its wait goes on. */
static int still_limited(int fd, int name, int64_t ns, int error)
{
	struct timeval t;
	socklen_t len = sizeof(t);

	for (int i = 0; i < 50; i++) {
		if (!getsockopt(fd, SOL_SOCKET, name, &t, &len) &&
		    llabs(t.tv_sec * NS_PER_S + t.tv_usec * 1000 - ns) <= 10 * NS_PER_MS)
			return error;
		usleep(10000);
	}
	return -3;
}

static int wait_recv(int64_t ns)
{
	char c;

	limit(ends[0], SO_RCVTIMEO, ns);
	return error_unless(recv(ends[0], &c, 1, 0) < 0 && errno == EAGAIN);
}

static int wait_read(int64_t ns)
{
	char c;

	limit(others[0], SO_RCVTIMEO, ns);
	return error_unless(read(others[0], &c, 1) < 0 && errno == EAGAIN);
}

/* It is full: see prepare.  One that was made anew may have room for more. */
static int wait_send(int64_t ns)
{
	do {
		limit(ends[0], SO_SNDTIMEO, ns);
	} while (send(ends[0], "", 1, 0) == 1 && restored);
	return error_unless(errno == EAGAIN);
}

static int wait_accept(int64_t ns)
{
	limit(listener, SO_RCVTIMEO, ns);
	return error_unless(accept(listener, NULL, NULL) < 0 && errno == EAGAIN);
}

/**
 * struct waiter - a thread
 * @socket, @limit: its time is that of a socket, SO_RCVTIMEO or SO_SNDTIMEO
 * @start_ns, @asked_ns: of the wait under way; 0: between two
 * @stood_ns: what stood_still was at its start
 */
static struct waiter {
	const char *name;
	int (*wait)(int64_t ns);
	const int *socket;
	int limit;
	volatile int64_t start_ns, asked_ns, stood_ns, done;
	bool told, ended;
} waiters[] = {
#define WAITER(call) { .name = #call, .wait = wait_##call }
#define SOCKET(call, socket_, limit_) \
	{ .name = #call, .wait = wait_##call, .socket = &(socket_), .limit = limit_ }
	WAITER(nanosleep), WAITER(nanosleep_rest), WAITER(clock), WAITER(clock_of_day),
	WAITER(clock_until), WAITER(poll), WAITER(ppoll), WAITER(ppoll_const), WAITER(select),
	WAITER(select_raw), WAITER(pselect), WAITER(epoll), WAITER(epoll_mask),
	WAITER(epoll_precise), WAITER(signal), WAITER(semaphore), WAITER(futex),
	WAITER(futex_until), SOCKET(recv, ends[0], SO_RCVTIMEO),
	SOCKET(read, others[0], SO_RCVTIMEO), SOCKET(send, ends[0], SO_SNDTIMEO),
	SOCKET(accept, listener, SO_RCVTIMEO),
};

#define N_WAITERS (sizeof(waiters) / sizeof(waiters[0]))

static void tell(struct waiter *w, const char *what, int64_t took_ns, int error)
{
	__atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED);
	printf("wrong: %s %s: %ld us asked, %ld us, error %d\n", w->name, what,
	       w->asked_ns / 1000, took_ns / 1000, error);
}

static bool too_long(const struct waiter *w, int64_t took_ns)
{
	return !(w->socket && restored) &&
	       took_ns > w->asked_ns + slack_ns + stood_still - w->stood_ns;
}

/* The first thread may not have seen yet that all stood still. */
static void look_again(struct waiter *w, int64_t took_ns)
{
	usleep(10 * LOOK_US);
	if (too_long(w, took_ns) && !w->told)
		tell(w, "was too long", took_ns, 0);
}

static void *run(void *arg)
{
	struct waiter *w = arg;
	uint64_t random = seed + (w - waiters) * 0x9e3779b97f4a7c15ull;

	while (waits ? w->done < waits : !over) {
		int64_t took;
		int error;

		random = random * 6364136223846793005ull + 1442695040888963407ull;
		w->asked_ns = w->wait == wait_ppoll_const ? 700 * NS_PER_MS :
			      (longest_ms / 5 + (int64_t)(random >> 33) % (longest_ms * 4 / 5)) *
			      NS_PER_MS;
		w->stood_ns = stood_still;
		w->start_ns = clock_ns(CLOCK_MONOTONIC);
		errno = 0;
		error = w->wait(w->asked_ns);
		took = clock_ns(CLOCK_MONOTONIC) - w->start_ns;
		w->start_ns = 0;
		if (w->socket)
			error = still_limited(*w->socket, w->limit, w->asked_ns, error);
		if (error || took < w->asked_ns - EARLY_NS)
			tell(w, error ? "failed" : "was too short", took, error);
		else if (too_long(w, took))
			look_again(w, took);
		w->told = false;
		w->done++;
	}
	w->ended = true;
	return NULL;
}

/* One that never ends is told as well. Return: true while somebody waits yet. */
static bool look(void)
{
	static int64_t last;
	int64_t now = clock_ns(CLOCK_MONOTONIC);
	bool busy = false;

	if (last)
		stood_still += now - last - LOOK_US * 1000;
	last = now;
	for (size_t i = 0; i < N_WAITERS; i++) {
		struct waiter *w = &waiters[i];
		int64_t start = w->start_ns, took = clock_ns(CLOCK_MONOTONIC) - start;

		busy |= !w->ended;
		if (start && start == w->start_ns && too_long(w, took) && !w->told) {
			w->told = true;
			tell(w, "lasts too long", took, 0);
		}
	}
	return busy;
}

static void prepare(void)
{
	const struct sockaddr_in any = { .sin_family = AF_INET };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	semaphore = semget(IPC_PRIVATE, 1, 0600);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (semaphore < 0 || epoll < 0 || listener < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, others) ||
	    bind(listener, (const struct sockaddr *)&any, sizeof(any)) || listen(listener, 1))
		err(1, "objects");
	while (send(ends[0], "full", 4, MSG_DONTWAIT) > 0)
		;
}

int main(int argc, char **argv)
{
	char end[4096];
	pthread_t t;

	if (argc != 6 && argc != 7)
		errx(2, "usage: timed_waits FILE SEED SLACK_MS WAITS LONGEST_MS [restored]");
	if (strcmp(argv[1], "-") && !freopen(argv[1], "ae", stdout))
		err(1, "%s", argv[1]);
	seed = strtoull(argv[2], NULL, 0);
	slack_ns = atoll(argv[3]) * NS_PER_MS;
	waits = atoll(argv[4]);
	longest_ms = atoll(argv[5]);
	restored = argc == 7;
	setvbuf(stdout, NULL, _IOLBF, 0);
	prepare();
	for (size_t i = 0; i < N_WAITERS; i++) {
		if (pthread_create(&t, NULL, run, &waiters[i]))
			errx(1, "no thread");
	}
	printf("seed %lu\nready\n", seed);
	snprintf(end, sizeof(end), "%s.end", argv[1]);
	while (look()) {
		usleep(LOOK_US);
		over = over || !access(end, F_OK);
	}
	semctl(semaphore, 0, IPC_RMID);
	if (!wrong)
		puts("all well");
	return wrong != 0;
}
