// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Two ends that stream bytes of chance to each other, with a running hash over all of them
 *
 *	tcp_stream FILE [ROOM]: listens, writes its port into the file; then calls are answered one
 *		by one, with so much room for what comes
 *	tcp_stream PORT [CREDIT]: calls; ready once something was heard
 *
 * What the caller writes is another thing each time it is written, so that whoever gets a part of
 * it twice, or from two lives of it, finds a hash that does not fit, and says "WRONG".  After a
 * reset it says "reset" and calls again.  Neither end is more than 20000 or CREDIT bytes ahead of
 * what the other one has read.  While there is a file "pause" in its directory an end neither
 * writes nor reads, and says "rests" when the kernel does not either; when there is a file "go"
 * the caller ends the call and says "all well".
 */
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <sys/random.h>
#include <unistd.h>

#include "tcp_ends.h"

#define MOST 3000
#define MAGIC 0x5eedu

static uint64_t credit = 20000;

struct head {
	uint32_t magic, len;
	uint64_t read;		/* bytes of the other's stream */
	uint64_t hash;		/* of all data of this one, this block's as well */
};

struct stream {
	int fd;
	uint64_t written, read, confirmed, out_hash, in_hash;
	uint8_t out[sizeof(struct head) + MOST];
	size_t out_len, out_at;
	uint8_t in[sizeof(struct head) + MOST];
	size_t in_len;
	bool ended;		/* we have written all that we will */
};

static uint64_t hash(uint64_t h, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		h = (h ^ data[i]) * 0x100000001b3ull;
	return h;
}

static uint32_t chance(uint32_t below)
{
	uint32_t n = 0;

	MUST(getrandom(&n, sizeof(n), 0));
	return n % below;
}

static bool there(const char *name)
{
	return !access(name, F_OK);
}

static void __attribute__((noreturn)) is_wrong(const char *what, const struct stream *s)
{
	printf("WRONG: %s after %lu bytes\n", what, s->read);
	exit(1);
}

static void next_block(struct stream *s)
{
	struct head h = { .magic = MAGIC, .len = 1 + chance(MOST), .read = s->read };
	uint8_t *data = s->out + sizeof(h);

	MUST(getrandom(data, h.len, 0));
	s->out_hash = h.hash = hash(s->out_hash, data, h.len);
	memcpy(s->out, &h, sizeof(h));
	s->out_len = sizeof(h) + h.len;
	s->out_at = 0;
}

/* Return: -1 after a reset. */
static int speak(struct stream *s)
{
	ssize_t n;

	if (s->out_at == s->out_len) {
		if (s->written - s->confirmed > credit)
			return 0;
		next_block(s);
	}
	n = send(s->fd, s->out + s->out_at, s->out_len - s->out_at, MSG_NOSIGNAL);
	if (n < 0)
		return errno == EAGAIN ? 0 : -1;
	s->out_at += n;
	s->written += n;
	return 0;
}

static void take_block(struct stream *s, const struct head *h)
{
	s->in_hash = hash(s->in_hash, s->in + sizeof(*h), h->len);
	if (s->in_hash != h->hash)
		is_wrong("a hash does not fit", s);
	if (h->read > s->written)
		is_wrong("more was read than written", s);
	s->confirmed = h->read;
	s->in_len = 0;
}

/* Return: 1 at the end, -1 after a reset. */
static int hear(struct stream *s)
{
	struct head h = { .len = 0 };
	size_t wanted = sizeof(h);
	ssize_t n;

	if (s->in_len >= sizeof(h)) {
		memcpy(&h, s->in, sizeof(h));
		if (h.magic != MAGIC || !h.len || h.len > MOST)
			is_wrong("no block begins", s);
		wanted += h.len;
	}
	n = recv(s->fd, s->in + s->in_len, wanted - s->in_len, 0);
	if (n < 0)
		return errno == EAGAIN ? 0 : -1;
	if (!n && s->in_len)
		is_wrong("it ends within a block", s);
	s->in_len += n;
	s->read += n;
	if (h.len && s->in_len == wanted)
		take_block(s, &h);
	return !n;
}

static bool may_speak(const struct stream *s)
{
	return !s->ended && (s->out_at < s->out_len || s->written - s->confirmed <= credit);
}

static void rest(void)
{
	if (!there("pause"))
		return;
	usleep(150000);
	printf("rests\n");
	while (there("pause"))
		usleep(2000);
}

/* Return: 1 when both have ended in peace, -1 after a reset. */
static int talk(struct stream *s, bool caller)
{
	while (true) {
		struct pollfd p = { .fd = s->fd, .events = POLLIN };
		int r;

		rest();
		if (caller && !s->ended && s->out_at == s->out_len && there("go")) {
			s->ended = true;
			if (shutdown(s->fd, SHUT_WR))
				return -1;
		}
		if (may_speak(s))
			p.events |= POLLOUT;
		MUST(poll(&p, 1, 20));
		if (p.revents & POLLOUT && speak(s))
			return -1;
		if (p.revents & (POLLIN | POLLHUP | POLLERR)) {
			r = hear(s);
			if (r)
				return r;
		}
		if (!chance(40))
			usleep(chance(8000));
	}
}

static int talk_once(int fd, bool caller)
{
	struct stream s = { .fd = fd };
	int r;

	fcntl(fd, F_SETFL, O_NONBLOCK);
	r = talk(&s, caller);
	if (r < 0)
		printf("reset\n");
	close(fd);
	return r;
}

static void serve(const char *file, int room)
{
	int fd = listener(AF_INET, 5);
	FILE *f = fopen(file, "w");

	if (room)
		MUST(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room)));
	if (!f)
		exit(1);
	fprintf(f, "%d\n", ntohs(local(fd).v4.sin_port));
	fclose(f);
	for (;;)
		talk_once(MUST(accept4(fd, NULL, NULL, SOCK_CLOEXEC)), false);
}

int main(int argc, char **argv)
{
	union address a;
	char *end;
	long port;

	setvbuf(stdout, NULL, _IOLBF, 0);
	OK(argc == 2 || argc == 3);
	if (wrong)
		return 2;
	port = strtol(argv[1], &end, 10);
	if (*end)
		serve(argv[1], argc == 3 ? atoi(argv[2]) : 0);
	if (argc == 3)
		credit = strtoul(argv[2], NULL, 10);
	address(AF_INET, &a);
	a.v4.sin_port = htons(port);
	for (bool said = false;; said = true) {
		int fd = MUST(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));

		MUST(connect(fd, &a.any, sizeof(a.v4)));
		if (!said)
			printf("all is set up\nready\n");
		if (talk_once(fd, true) > 0)
			break;
	}
	printf("all well\n");
	return 0;
}
