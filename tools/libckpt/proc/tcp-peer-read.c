// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * TCP connections: which two sockets of the tree are ends of one, and what is on its way
 *
 * Nothing shows the sequence numbers of a socket that is not to be touched.  But the kernel
 * counts the bytes that either end has written, sent and received; when those of both agree,
 * all that was written and not read lies before the other end.
 */
#include <errno.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

#include "base/cleanup.h"
#include "proc/tcp-outside.h"

#define TRIES 8
#define SETTLE_TRIES 10

/* An address of either family, so that an IPv4 one inside IPv6 is the same as without. */
struct place {
	struct in6_addr addr;
	in_port_t port;
	uint32_t scope;
} __attribute__((packed));

struct ends {
	struct place local, remote;
	uint32_t tcp;
} __attribute__((packed));

#define KEY_LEN (2 * sizeof(struct place))

static struct place place_of(const uint8_t *address, size_t len)
{
	union ckpt_inet_address a = { 0 };
	struct place p = { 0 };

	memcpy(&a, address, len < sizeof(a) ? len : sizeof(a));
	if (a.any.sa_family == AF_INET6) {
		p.addr = a.v6.sin6_addr;
		p.port = a.v6.sin6_port;
		p.scope = a.v6.sin6_scope_id;
	} else {
		p.addr.s6_addr[10] = p.addr.s6_addr[11] = 0xff;
		memcpy(&p.addr.s6_addr[12], &a.v4.sin_addr, sizeof(a.v4.sin_addr));
		p.port = a.v4.sin_port;
	}
	return p;
}

static int by_ends(const void *a, const void *b)
{
	return memcmp(a, b, KEY_LEN);
}

static void pair(struct ckpt_image *image, struct ends *list, size_t n)
{
	qsort(list, n, sizeof(*list), by_ends);
	for (size_t i = 0; i < n; i++) {
		const struct ends other = { .local = list[i].remote, .remote = list[i].local };
		const struct ends *found = bsearch(&other, list, n, sizeof(*list), by_ends);
		struct ckpt_tcp *t = &image->tcps[list[i].tcp];

		if (!found)
			continue;
		t->state = CKPT_TCP_CONNECTED;
		t->peer = found->tcp;
		t->flags &= ~(CKPT_TCP_F_GOT_END | CKPT_TCP_F_RESET);
	}
}

static int find_pairs(struct ckpt_image *image, struct ckpt_err *err)
{
	cleanup_free struct ends *list = calloc(image->n_tcps + 1, sizeof(*list));
	size_t n = 0;

	if (!list)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for TCP connections");
	for (uint32_t i = 0; i < image->n_tcps; i++) {
		const struct ckpt_tcp *t = &image->tcps[i];

		if (t->state != CKPT_TCP_ALONE || !t->remote_len)
			continue;
		list[n++] = (struct ends){
			.local = place_of(t->local, t->local_len),
			.remote = place_of(t->remote, t->remote_len),
			.tcp = i,
		};
	}
	pair(image, list, n);
	return 0;
}

static bool ended(uint32_t state)
{
	return state == TCP_FIN_WAIT1 || state == TCP_FIN_WAIT2 || state == TCP_CLOSING ||
	       state == TCP_LAST_ACK || state == TCP_TIME_WAIT || state == TCP_CLOSE;
}

/* Bytes that were ever written to it; an end that waits behind them counts as one. */
static uint64_t written(const struct tcp_info *i)
{
	uint64_t waiting = i->tcpi_notsent_bytes;

	return i->tcpi_bytes_sent - i->tcpi_bytes_retrans + waiting -
	       (waiting && ended(i->tcpi_state));
}

static uint64_t received(const struct tcp_info *i)
{
	return i->tcpi_bytes_received - ckpt_tcp_got_end(i->tcpi_state);
}

/**
 * struct end_look - an end at one moment
 * @queued: bytes written and not acknowledged; an end that waits behind them counts as one
 */
struct end_look {
	struct tcp_info info;
	int queued;
};

/* Both of one moment: nothing was acknowledged in between. */
static int look_at(int own, struct end_look *ret, struct ckpt_err *err)
{
	struct tcp_info again;

	for (int tries = 0; tries < TRIES; tries++) {
		if (ckpt_tcp_info(own, &ret->info, err))
			return -1;
		if (ioctl(own, SIOCOUTQ, &ret->queued))
			return ckpt_fail(err, CKPT_FAILED, errno, "cannot look at a TCP socket");
		if (ckpt_tcp_info(own, &again, err))
			return -1;
		if (again.tcpi_bytes_acked == ret->info.tcpi_bytes_acked)
			break;
	}
	return 0;
}

/*
 * How much more was written by another count, that of what was acknowledged: it has the start of a
 * connection in it for the end that made it, which is one.  More is there when something has made
 * the kernel believe that it had sent what it has not, as repair mode may.
 */
static uint64_t excess(const struct end_look *e)
{
	return e->info.tcpi_bytes_acked + e->queued - ended(e->info.tcpi_state) -
	       written(&e->info);
}

/*
 * Has all come?  What is sent a second time is counted before it is, so that is only believed
 * when the kernel does not think that something is lost.
 */
static bool arrived(const struct end_look *from, const struct end_look *to)
{
	const struct tcp_info *i = &from->info;

	if (i->tcpi_bytes_retrans && (i->tcpi_ca_state != TCP_CA_Open || i->tcpi_retransmits))
		return false;
	return excess(from) <= 1 && excess(to) <= 1 && excess(from) + excess(to) <= 1 &&
	       written(i) == received(&to->info);
}

static bool same_counts(const struct tcp_info *a, const struct tcp_info *b)
{
	return a->tcpi_bytes_sent == b->tcpi_bytes_sent &&
	       a->tcpi_bytes_acked == b->tcpi_bytes_acked &&
	       a->tcpi_bytes_received == b->tcpi_bytes_received;
}

/*
 * Let bytes that move come to rest, a millisecond at most: a socket in repair mode at that moment
 * would believe to have sent them.
 */
static int settle(int from_fd, int to_fd, struct ckpt_err *err)
{
	const struct timespec briefly = { .tv_nsec = 100000 };
	struct tcp_info a, b, next_a, next_b;

	if (ckpt_tcp_info(from_fd, &a, err) || ckpt_tcp_info(to_fd, &b, err))
		return -1;
	for (int tries = 0; tries < SETTLE_TRIES; tries++) {
		nanosleep(&briefly, NULL);
		if (ckpt_tcp_info(from_fd, &next_a, err) || ckpt_tcp_info(to_fd, &next_b, err))
			return -1;
		if (same_counts(&a, &next_a) && same_counts(&b, &next_b))
			break;
		a = next_a;
		b = next_b;
	}
	return 0;
}

static int read_moving(struct ckpt_reader *r, struct ckpt_tcp *from, int from_fd, int to_fd,
		       struct ckpt_err *err)
{
	struct tcp_info i;

	if (settle(from_fd, to_fd, err) || ckpt_tcp_info(from_fd, &i, err))
		return -1;
	/* that one, believed to be sent, could not be told from the start of the connection */
	if (i.tcpi_notsent_bytes == 1 && !ended(i.tcpi_state))
		return ckpt_tcp_refuse(r, &r->image->files[from->file],
				       "with a byte that waits to be sent", err);
	return ckpt_tcp_unsent(from_fd, to_fd, ended(i.tcpi_state), &from->unsent, &from->n_unsent,
			       err);
}

/* All that has come to an end; nothing gives it back the mark of an urgent byte. */
static int read_unread(struct ckpt_reader *r, struct ckpt_tcp *t, int own, struct ckpt_err *err)
{
	const struct ckpt_file *f = &r->image->files[t->file];
	int marked = ckpt_tcp_unread(own, &t->unread, &t->n_unread, err);

	if (!marked)
		marked = ckpt_tcp_marked(t, f->ino, own, err);
	return marked > 0 ? ckpt_tcp_refuse(r, f, "with urgent data", err) : marked;
}

static int read_way(struct ckpt_reader *r, struct ckpt_tcp *from, int from_fd, struct ckpt_tcp *to,
		    int to_fd, struct ckpt_err *err)
{
	struct end_look a, b;
	struct tcp_info after;

	for (int tries = 0; tries < TRIES; tries++) {
		if (look_at(from_fd, &a, err) || look_at(to_fd, &b, err) ||
		    (!arrived(&a, &b) && !ckpt_tcp_got_end(b.info.tcpi_state) &&
		     read_moving(r, from, from_fd, to_fd, err)))
			return -1;
		if (read_unread(r, to, to_fd, err) ||
		    ckpt_tcp_info(to_fd, &after, err))
			return -1;
		/* it moves by itself, when the other end has just made room */
		if (after.tcpi_bytes_received == b.info.tcpi_bytes_received)
			return 0;
		free(take_ptr(from->unsent));
		free(take_ptr(to->unread));
		from->n_unsent = to->n_unread = 0;
	}
	return ckpt_tcp_refuse(r, &r->image->files[to->file],
			       "to which bytes come although the tree is stopped", err);
}

static int borrow(const struct ckpt_reader *r, const struct ckpt_tcp *t, struct ckpt_err *err)
{
	return ckpt_borrow_fd(&r->image->files[t->file], err);
}

static int read_pair(struct ckpt_reader *r, struct ckpt_tcp *a, struct ckpt_tcp *b,
		     struct ckpt_err *err)
{
	cleanup_close int a_fd = borrow(r, a, err);
	cleanup_close int b_fd = a_fd < 0 ? -1 : borrow(r, b, err);

	if (b_fd < 0)
		return -1;
	return read_way(r, a, a_fd, b, b_fd, err) || read_way(r, b, b_fd, a, a_fd, err) ? -1 : 0;
}

/* What the other end has written and not sent when it was closed nobody can read. */
static int read_alone(struct ckpt_reader *r, struct ckpt_tcp *t, struct ckpt_err *err)
{
	cleanup_close int own = borrow(r, t, err);
	int sends = 0;

	if (own < 0)
		return -1;
	if (t->remote_len && !(t->flags & CKPT_TCP_F_GOT_END))
		sends = ckpt_tcp_closed_sends(t, err);
	if (sends < 0)
		return -1;
	if (sends)
		return ckpt_tcp_refuse(r, &r->image->files[t->file],
				       "whose other end was closed and is still sending", err);
	return read_unread(r, t, own, err);
}

static void find_files(struct ckpt_image *image)
{
	for (uint32_t i = 0; i < image->n_files; i++) {
		const struct ckpt_file *f = &image->files[i];
		const struct ckpt_socket *s;

		if (f->kind != CKPT_FILE_SOCKET)
			continue;
		s = &image->sockets[f->object];
		if (ckpt_tcp_socket(s))
			image->tcps[s->part].file = i;
	}
}

static int read_one(struct ckpt_reader *r, uint32_t index, struct ckpt_err *err)
{
	struct ckpt_image *image = r->image;
	struct ckpt_tcp *t = &image->tcps[index];

	if (t->peer == index)
		return ckpt_tcp_refuse(r, &image->files[t->file], "connected with itself", err);
	if (t->state == CKPT_TCP_ALONE)
		return read_alone(r, t, err);
	return t->state == CKPT_TCP_CONNECTED && index < t->peer ?
	       read_pair(r, t, &image->tcps[t->peer], err) : 0;
}

int ckpt_read_tcps(struct ckpt_reader *r, struct ckpt_err *err)
{
	struct ckpt_image *image = r->image;

	find_files(image);
	if (find_pairs(image, err))
		return -1;
	for (uint32_t i = 0; i < image->n_tcps; i++) {
		if (ckpt_survey_pass(r->hold->survey, read_one(r, i, err), err))
			return -1;
	}
	return ckpt_survey_pass(r->hold->survey, ckpt_read_outside(r, err), err);
}
