// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Processes that talk over TCP all the time, and know every byte that is to come
 *
 * A server and N clients, half of which write and read in threads that block, half by poll.  With
 * "churn" clients also make short connections one after the other.  Prints "ready" once all talk,
 * and goes on until there is a file "go" in its directory; then all say how much they have
 * written, and it prints what is wrong, or "all well".
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ok.h"

#define CHUNK 70000
#define MOST 16

/* One end: how much of either stream it has seen. */
struct talker {
	int fd;
	unsigned int seed;
	uint64_t sent, got;
	bool deaf, dumb;	/* the stream of the other, its own, is over */
};

static volatile bool stop;
static bool churn;
static struct sockaddr_in place;

static uint8_t byte_at(uint64_t i)
{
	return (i * 2654435761u) >> 11;
}

static void __attribute__((noreturn)) die(const char *why, const struct talker *t)
{
	printf("%s (errno %d, sent %lu, got %lu)\n", why, errno, t->sent, t->got);
	exit(1);
}

static void speak(struct talker *t, int flags)
{
	uint8_t buf[CHUNK];
	size_t len = 1 + rand_r(&t->seed) % (rand_r(&t->seed) % 4 ? 900 : CHUNK);
	ssize_t n;

	if (stop) {
		t->dumb = true;
		MUST(shutdown(t->fd, SHUT_WR));
		return;
	}
	for (size_t i = 0; i < len; i++)
		buf[i] = byte_at(t->sent + i);
	n = send(t->fd, buf, len, flags | MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN)
		die("cannot write", t);
	t->sent += n > 0 ? n : 0;
}

static void listen_to(struct talker *t, int flags)
{
	uint8_t buf[CHUNK];
	ssize_t n = recv(t->fd, buf, 1 + rand_r(&t->seed) % CHUNK, flags);

	if (n < 0 && errno != EAGAIN)
		die("cannot read", t);
	t->deaf = !n;
	for (ssize_t i = 0; i < n; i++) {
		if (buf[i] != byte_at(t->got + i))
			die("other bytes", t);
	}
	t->got += n > 0 ? n : 0;
}

/* Often there is no hurry, so that what is on its way piles up. */
static void dawdle(struct talker *t)
{
	if (!(rand_r(&t->seed) % 8))
		usleep(rand_r(&t->seed) % 3000);
}

static void *speaker(void *arg)
{
	struct talker *t = arg, own = *t;

	own.seed++;
	while (!own.dumb) {
		speak(&own, 0);
		dawdle(&own);
	}
	t->sent = own.sent;
	return NULL;
}

static void in_threads(struct talker *t)
{
	pthread_t thread;

	pthread_create(&thread, NULL, speaker, t);
	while (!t->deaf) {
		listen_to(t, 0);
		dawdle(t);
	}
	pthread_join(thread, NULL);
}

static void by_poll(struct talker *list, size_t n)
{
	struct pollfd p[MOST] = { 0 };
	bool busy = true;

	while (busy) {
		busy = false;
		for (size_t i = 0; i < n; i++) {
			p[i].fd = list[i].deaf && list[i].dumb ? -1 : list[i].fd;
			p[i].events = (list[i].deaf ? 0 : POLLIN) | (list[i].dumb ? 0 : POLLOUT);
			busy |= p[i].fd >= 0;
		}
		MUST(busy ? poll(p, n, -1) : 0);
		for (size_t i = 0; i < n; i++) {
			if (p[i].fd >= 0 && p[i].revents & POLLIN)
				listen_to(&list[i], MSG_DONTWAIT);
			if (p[i].fd >= 0 && p[i].revents & POLLOUT)
				speak(&list[i], MSG_DONTWAIT);
		}
		dawdle(&list[0]);
	}
}

static void *watch(void *arg)
{
	while (access("go", F_OK))
		usleep(10000);
	stop = true;
	return arg;
}

static void watch_for_go(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, watch, NULL);
}

static int call(void)
{
	int fd = MUST(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));

	MUST(connect(fd, (struct sockaddr *)&place, sizeof(place)));
	return fd;
}

/* Somebody asks, gets an answer, and hangs up. */
static void *asker(void *arg)
{
	char text[16];

	while (!stop) {
		int fd = call();

		MUST(send(fd, "?", 1, MSG_NOSIGNAL));
		MUST(recv(fd, text, 6, MSG_WAITALL) == 6 ? 0 : -1);
		close(fd);
		usleep(3000);
	}
	return arg;
}

static void *answerer(void *arg)
{
	int listener = *(int *)arg;
	char c;

	for (;;) {
		int fd = MUST(accept(listener, NULL, NULL));

		MUST(recv(fd, &c, 1, 0) == 1 ? 0 : -1);
		MUST(send(fd, "answer", 6, MSG_NOSIGNAL));
		close(fd);
	}
	return NULL;
}

static void client(int i, int tell)
{
	struct talker t = { .fd = call(), .seed = i };
	pthread_t thread;

	MUST(recv(t.fd, &t.seed, 1, MSG_PEEK));
	watch_for_go();
	if (churn)
		pthread_create(&thread, NULL, asker, NULL);
	if (i % 2)
		in_threads(&t);
	else
		by_poll(&t, 1);
	MUST(write(tell, &t, sizeof(t)) == sizeof(t) ? 0 : -1);
	if (churn)
		pthread_join(thread, NULL);
	exit(0);
}

static void check(const struct talker *own, int tell)
{
	struct talker other;

	OK(read(tell, &other, sizeof(other)) == sizeof(other));
	OK(other.sent == own->got && other.got == own->sent);
	OK(own->got > 0 && own->sent > 0);
}

int main(int argc, char **argv)
{
	struct talker list[MOST] = { 0 };
	int n = argc > 1 ? atoi(argv[1]) : 4, listener, tell[MOST][2], status;
	socklen_t len = sizeof(place);
	pthread_t thread;

	churn = argc > 2 && !strcmp(argv[2], "churn");
	setvbuf(stdout, NULL, _IOLBF, 0);
	listener = MUST(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	place.sin_family = AF_INET;
	place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	MUST(bind(listener, (struct sockaddr *)&place, sizeof(place)));
	MUST(listen(listener, 64));
	MUST(getsockname(listener, (struct sockaddr *)&place, &len));
	for (int i = 0; i < n; i++) {
		MUST(pipe(tell[i]));
		if (!MUST(fork()))
			client(i, tell[i][1]);
		list[i].fd = MUST(accept(listener, NULL, NULL));
		list[i].seed = 100 + i;
	}
	watch_for_go();
	if (churn)
		pthread_create(&thread, NULL, answerer, &listener);
	for (int i = 0; i < n; i++)
		speak(&list[i], 0);
	puts("all is set up");
	puts("ready");
	by_poll(list, n);
	for (int i = 0; i < n; i++)
		check(&list[i], tell[i][0]);
	while (wait(&status) > 0)
		OK(!status);
	puts(wrong ? "not well" : "all well");
	return wrong != 0;
}
