// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Connections: two sockets are made the ends of one, and what was on its way is sent again
 *
 * Repair mode makes the connection without a listener and under the old addresses.  From then on
 * all is as ever: bytes are sent, ends are shut down, so that the kernel counts and remembers
 * what it would have.
 */
#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/tcp.h"

#define WAIT_MS 5000
#define WINDOW 65535u		/* where the kernel begins by itself */
#define SCALE 7
#define LEAST_MSS 536
#define BUFFER_ROOM 0x20000u

/* As in TCP headers. */
#define OPT_MSS 2
#define OPT_WINDOW 3
#define OPT_SACK 4
#define OPT_TIMESTAMPS 8

static int set(int own, int level, int name, int value)
{
	return setsockopt(own, level, name, &value, sizeof(value));
}

static int no_connection(struct ckpt_err *err)
{
	const int e = errno;

	if (e == EPERM)
		return ckpt_fail(err, CKPT_REFUSED, 0, "ckpt-tool lacks CAP_NET_ADMIN, without "
				 "which it cannot make a TCP connection of the checkpoint");
	return ckpt_fail(err, CKPT_REFUSED, e, "cannot make a TCP connection of the checkpoint");
}

/*
 * To bind to an IPv6 address makes a socket one for IPv6 alone.  One that is not was bound to
 * none, and connect finds it; if it is another one than before, that shows when all is compared.
 */
static int bind_end(const struct ckpt_tcp_end *e)
{
	union ckpt_inet_address a;
	int only = 1;
	socklen_t len = sizeof(only);

	if (e->bound)
		return 0;
	memcpy(&a, e->t->local, e->t->local_len);
	if (a.any.sa_family == AF_INET6 && !IN6_IS_ADDR_V4MAPPED(&a.v6.sin6_addr) &&
	    !getsockopt(e->own, IPPROTO_IPV6, IPV6_V6ONLY, &only, &len) && !only) {
		a.v6.sin6_addr = in6addr_any;
		a.v6.sin6_scope_id = 0;
	}
	return bind(e->own, &a.any, e->t->local_len);
}

/* A socket in repair mode takes an address that others have as well. */
int ckpt_tcp_start(const struct ckpt_tcp_end *e, uint32_t out, uint32_t in)
{
	return set(e->own, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_ON) ||
	       bind_end(e) ||
	       set(e->own, IPPROTO_TCP, TCP_REPAIR_QUEUE, TCP_SEND_QUEUE) ||
	       set(e->own, IPPROTO_TCP, TCP_QUEUE_SEQ, out) ||
	       set(e->own, IPPROTO_TCP, TCP_REPAIR_QUEUE, TCP_RECV_QUEUE) ||
	       set(e->own, IPPROTO_TCP, TCP_QUEUE_SEQ, in) ||
	       connect(e->own, (const void *)e->t->remote, e->t->remote_len) ? -1 : 0;
}

static int join(const struct ckpt_tcp_end *a, const struct ckpt_tcp_end *b, uint32_t seq[2],
		struct ckpt_err *err)
{
	if (getrandom(seq, 2 * sizeof(*seq), 0) != 2 * sizeof(*seq) ||
	    ckpt_tcp_start(a, seq[0], seq[1]) || ckpt_tcp_start(b, seq[1], seq[0]))
		return no_connection(err);
	return 0;
}

int ckpt_tcp_join(const struct ckpt_tcp_end *a, const struct ckpt_tcp_end *b, struct ckpt_err *err)
{
	uint32_t seq[2];

	return join(a, b, seq, err);
}

/* How much an end may be sent at once: all that it had got, or as usual. */
static uint32_t window(const struct ckpt_tcp_end *e)
{
	int size = 0;
	socklen_t len = sizeof(size);
	uint32_t usual = WINDOW;

	getsockopt(e->own, SOL_SOCKET, SO_RCVBUF, &size, &len);
	if ((uint32_t)size / 2 < usual)
		usual = size / 2;
	return e->t->n_unread > usual ? e->t->n_unread : usual;
}

/* What the ends agreed on once. */
int ckpt_tcp_agree(const struct ckpt_tcp_end *e, const struct tcp_repair_window *w)
{
	const struct ckpt_tcp *t = e->t;
	struct tcp_repair_opt o[4] = { { OPT_MSS, t->mss } };
	size_t n = 1;

	if (t->flags & CKPT_TCP_F_WSCALE)
		o[n++] = (struct tcp_repair_opt){ OPT_WINDOW, t->scale_out | t->scale_in << 16 };
	if (t->flags & CKPT_TCP_F_SACK)
		o[n++] = (struct tcp_repair_opt){ OPT_SACK, 0 };
	if (t->flags & CKPT_TCP_F_TIMESTAMPS)
		o[n++] = (struct tcp_repair_opt){ OPT_TIMESTAMPS, 0 };
	return setsockopt(e->own, IPPROTO_TCP, TCP_REPAIR_OPTIONS, o, n * sizeof(o[0])) ||
	       setsockopt(e->own, IPPROTO_TCP, TCP_REPAIR_WINDOW, w, sizeof(*w)) ? -1 : 0;
}

static int agree(const struct ckpt_tcp_end *e, uint32_t in, uint32_t out_window, uint32_t in_window)
{
	const struct tcp_repair_window w = {
		.snd_wl1 = in,
		.snd_wnd = out_window,
		.max_window = out_window,
		.rcv_wnd = in_window,
		.rcv_wup = in,
	};

	return ckpt_tcp_agree(e, &w);
}

int ckpt_tcp_make_room(int own, int name, int force, size_t needed)
{
	int size = 0;
	socklen_t len = sizeof(size);

	if (!getsockopt(own, SOL_SOCKET, name, &size, &len) && needed < (uint32_t)size / 4)
		return 0;
	/* it is doubled, and a byte takes more than itself */
	return set(own, SOL_SOCKET, force, 2 * needed + BUFFER_ROOM);
}

/* Whatever holds bytes back is off until the options of the checkpoint are set again. */
static int hurry(int own)
{
	const uint64_t any = ~0ull;

	return set(own, IPPROTO_TCP, TCP_CORK, 0) || set(own, IPPROTO_TCP, TCP_NODELAY, 1) ||
	       setsockopt(own, SOL_SOCKET, SO_MAX_PACING_RATE, &any, sizeof(any)) ? -1 : 0;
}

static int stuck(struct ckpt_err *err)
{
	return ckpt_fail(err, CKPT_FAILED, errno, "cannot send the bytes of a TCP connection");
}

static int send_all(int own, const uint8_t *data, size_t len, struct ckpt_err *err)
{
	struct pollfd p = { .fd = own, .events = POLLOUT };
	ssize_t n;

	while (len) {
		n = send(own, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && (errno != EAGAIN || poll(&p, 1, WAIT_MS) != 1))
			return stuck(err);
		if (n > 0) {
			data += n;
			len -= n;
		}
	}
	return 0;
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void pause_briefly(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL);
}

/* The network of the machine itself is quick, but not a call. */
static int wait_arrival(int own, size_t len, struct ckpt_err *err)
{
	int64_t until = now_ms() + WAIT_MS;
	int got;

	while (!ioctl(own, SIOCINQ, &got)) {
		if ((size_t)got >= len)
			return 0;
		if (now_ms() > until)
			break;
		pause_briefly();
	}
	return ckpt_fail(err, CKPT_FAILED, 0, "the bytes of a TCP connection do not arrive");
}

/* First what the other end had got already, then what was on its way to it. */
static int move(const struct ckpt_tcp_end *from, const struct ckpt_tcp_end *to,
		struct ckpt_err *err)
{
	size_t got = to->t->n_unread, more = from->t->n_unsent;

	if (!got && !more)
		return 0;
	if (ckpt_tcp_make_room(from->own, SO_SNDBUF, SO_SNDBUFFORCE, got + more) ||
	    ckpt_tcp_make_room(to->own, SO_RCVBUF, SO_RCVBUFFORCE, got) || hurry(from->own))
		return stuck(err);
	return send_all(from->own, to->t->unread, got, err) ||
	       send_all(from->own, from->t->unsent, more, err) ||
	       wait_arrival(to->own, got, err) ? -1 : 0;
}

/* Joined, agreed, and all that is on its way sent. */
static int fill(const struct ckpt_tcp_end *a, const struct ckpt_tcp_end *b, struct ckpt_err *err)
{
	uint32_t seq[2], to_a = window(a), to_b = window(b);

	if (join(a, b, seq, err))
		return -1;
	if (agree(a, seq[1], to_b, to_a) || agree(b, seq[0], to_a, to_b) ||
	    set(a->own, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_OFF_NO_WP) ||
	    set(b->own, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_OFF_NO_WP))
		return no_connection(err);
	return move(a, b, err) || move(b, a, err) ? -1 : 0;
}

/* A socket that has lost its connection has been shut down already, and says so. */
static int shut(int own, int how, struct ckpt_err *err)
{
	if (shutdown(own, how) && errno != ENOTCONN)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot shut down a TCP connection");
	return 0;
}

static int end(const struct ckpt_tcp_end *e, struct ckpt_err *err)
{
	if ((e->t->flags & CKPT_TCP_F_SENT_END && shut(e->own, SHUT_WR, err)) ||
	    (e->t->flags & CKPT_TCP_F_DEAF && shut(e->own, SHUT_RD, err)))
		return -1;
	return ckpt_build_socket_options(e->s, e->own, err);
}

int ckpt_tcp_connect(const struct ckpt_tcp_end *a, const struct ckpt_tcp_end *b,
		     struct ckpt_err *err)
{
	return fill(a, b, err) || end(a, err) || end(b, err) ? -1 : 0;
}

/* An address of this machine with no port: the one that it had, or the machine's own. */
static void own_place(const struct ckpt_tcp *t, bool loopback, union ckpt_inet_address *ret)
{
	static const struct in6_addr mapped = { .s6_addr = {
		[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 } };

	memset(ret, 0, sizeof(*ret));
	memcpy(ret, t->local, t->local_len);
	if (ret->any.sa_family == AF_INET6) {
		ret->v6.sin6_port = 0;
		if (loopback)
			ret->v6.sin6_addr = IN6_IS_ADDR_V4MAPPED(&ret->v6.sin6_addr) ?
				mapped : in6addr_loopback;
		if (loopback)
			ret->v6.sin6_scope_id = 0;
	} else {
		ret->v4.sin_port = 0;
		if (loopback)
			ret->v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	}
}

static bool is_any(const union ckpt_inet_address *a)
{
	return a->any.sa_family == AF_INET6 ? IN6_IS_ADDR_UNSPECIFIED(&a->v6.sin6_addr) :
	       a->v4.sin_addr.s_addr == htonl(INADDR_ANY);
}

static uint16_t *port_of(union ckpt_inet_address *a)
{
	return a->any.sa_family == AF_INET6 ? &a->v6.sin6_port : &a->v4.sin_port;
}

/* Somebody for it to be connected with: a socket of ours at an address of this machine. */
static int make_other(const struct ckpt_tcp_end *e, union ckpt_inet_address *ret,
		      struct ckpt_err *err)
{
	cleanup_close int own = socket(e->s->family, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
	socklen_t len = e->t->local_len;

	own_place(e->t, false, ret);
	if (own >= 0 && (is_any(ret) || bind(own, &ret->any, len))) {
		own_place(e->t, true, ret);
		if (bind(own, &ret->any, len)) {
			no_connection(err);
			return -1;
		}
	}
	if (own < 0 || getsockname(own, &ret->any, &len)) {
		no_connection(err);
		return -1;
	}
	return take_fd(own);
}

static int wait_reset(int own, struct ckpt_err *err)
{
	struct pollfd p = { .fd = own };

	return poll(&p, 1, WAIT_MS) == 1 && p.revents & POLLERR ? 0 :
	       ckpt_fail(err, CKPT_FAILED, 0, "a TCP connection cannot be reset");
}

/* The other end goes: in peace, or by a reset, which is what is left to say of what is lost. */
static int part(const struct ckpt_tcp_end *e, int *other, struct ckpt_err *err)
{
	const struct linger now = { .l_onoff = 1 };

	if (!(e->t->flags & CKPT_TCP_F_RESET)) {
		if (shut(*other, SHUT_WR, err))
			return -1;
		return end(e, err);
	}
	if (setsockopt(*other, SOL_SOCKET, SO_LINGER, &now, sizeof(now)))
		return ckpt_fail(err, CKPT_FAILED, errno, "a TCP connection cannot be reset");
	close(take_fd(*other));
	if (wait_reset(e->own, err))
		return -1;
	return ckpt_build_socket_options(e->s, e->own, err);
}

int ckpt_tcp_finish_alone(const struct ckpt_tcp_end *e, struct ckpt_err *err)
{
	const uint32_t agreed = CKPT_TCP_F_TIMESTAMPS | CKPT_TCP_F_SACK | CKPT_TCP_F_WSCALE;
	union ckpt_inet_address here, there, old;
	struct ckpt_tcp mine = *e->t;
	struct ckpt_tcp theirs = { .flags = agreed, .mss = mine.mss };
	cleanup_close int other = make_other(e, &there, err);
	const struct ckpt_tcp_end a = { .own = e->own, .s = e->s, .t = &mine, .bound = e->bound };
	const struct ckpt_tcp_end b = { .own = other, .s = e->s, .t = &theirs, .bound = true };

	if (other < 0)
		return -1;
	memcpy(&old, e->t->local, e->t->local_len);
	here = there;
	*port_of(&here) = *port_of(&old);
	mine.flags |= agreed;
	mine.n_unsent = 0;
	mine.scale_out = mine.scale_in = theirs.scale_out = theirs.scale_in = SCALE;
	mine.local = theirs.remote = (uint8_t *)&here;
	mine.remote = theirs.local = (uint8_t *)&there;
	mine.remote_len = theirs.local_len = theirs.remote_len = mine.local_len;
	return fill(&a, &b, err) || part(e, &other, err) ? -1 : 0;
}

/* The port may be one that other connections of this machine have as well. */
static int bind_again(const struct ckpt_tcp_end *e)
{
	return set(e->own, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_ON) || bind_end(e) ||
	       set(e->own, IPPROTO_TCP, TCP_REPAIR, TCP_REPAIR_OFF_NO_WP) ? -1 : 0;
}

int ckpt_tcp_connect_again(const struct ckpt_tcp_end *e, struct ckpt_err *err)
{
	struct ckpt_tcp lost = *e->t;
	struct ckpt_tcp_end failed = { .own = e->own, .s = e->s, .t = &lost };

	failed.bound = !bind_again(e);
	if (ckpt_build_socket_options(e->s, e->own, err))
		return -1;
	if (failed.bound && (!connect(e->own, (const void *)lost.remote, lost.remote_len) ||
			     errno == EINPROGRESS))
		return 0;
	lost.flags = CKPT_TCP_F_RESET;
	lost.mss = LEAST_MSS;
	return ckpt_tcp_finish_alone(&failed, err);
}
