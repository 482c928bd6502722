// SPDX-License-Identifier: GPL-2.0-or-later
/* TCP sockets by themselves: state, addresses, options of their own. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <linux/sockios.h>

#include "base/cleanup.h"
#include "proc/procfs.h"
#include "proc/tcp.h"

#ifndef SO_BUF_LOCK
#define SO_BUF_LOCK 72
#endif
#ifndef SO_BINDTOIFINDEX
#define SO_BINDTOIFINDEX 62
#endif
#ifndef TCP_TX_DELAY
#define TCP_TX_DELAY 37
#endif
#ifndef IP_LOCAL_PORT_RANGE
#define IP_LOCAL_PORT_RANGE 51
#endif
#ifndef IPV6_FREEBIND
#define IPV6_FREEBIND 78
#endif

#define LOCKED_SEND 1u	/* SO_BUF_LOCK: which buffers have a size of their own */
#define LOCKED_RECEIVE 2u
#define DEFAULT_MSS 536	/* of a socket that was never connected and got none */
#define V4_HEADERS 40u
#define V6_HEADERS 60u

#define TCP(name) { IPPROTO_TCP, name, sizeof(int), false }
#define IP(name) { IPPROTO_IP, name, sizeof(int), false }
#define IP6(name) { IPPROTO_IPV6, name, sizeof(int), false }

/* Those of another family than the socket's are left out by themselves. */
static const struct ckpt_socket_option_name own_options[] = {
	IP6(IPV6_V6ONLY),
	TCP(TCP_NODELAY), TCP(TCP_CORK), TCP(TCP_KEEPIDLE), TCP(TCP_KEEPINTVL), TCP(TCP_KEEPCNT),
	TCP(TCP_SYNCNT), TCP(TCP_LINGER2), TCP(TCP_DEFER_ACCEPT), TCP(TCP_USER_TIMEOUT),
	TCP(TCP_THIN_LINEAR_TIMEOUTS), TCP(TCP_FASTOPEN), TCP(TCP_FASTOPEN_CONNECT),
	TCP(TCP_FASTOPEN_NO_COOKIE), TCP(TCP_NOTSENT_LOWAT), TCP(TCP_SAVE_SYN), TCP(TCP_INQ),
	TCP(TCP_TX_DELAY), { IPPROTO_TCP, TCP_CONGESTION, 16, false },
	IP(IP_TOS), IP(IP_TTL), IP(IP_MTU_DISCOVER), IP(IP_RECVERR), IP(IP_FREEBIND),
	IP(IP_TRANSPARENT), IP(IP_MINTTL), IP(IP_BIND_ADDRESS_NO_PORT), IP(IP_LOCAL_PORT_RANGE),
	IP6(IPV6_UNICAST_HOPS), IP6(IPV6_TCLASS), IP6(IPV6_MTU_DISCOVER), IP6(IPV6_RECVERR),
	IP6(IPV6_FREEBIND), IP6(IPV6_TRANSPARENT), IP6(IPV6_MINHOPCOUNT),
};

/* Of a connection it is what was agreed with the other end. */
static const struct ckpt_socket_option_name mss_option[] = { TCP(TCP_MAXSEG) };

int ckpt_tcp_refuse(const struct ckpt_reader *r, const struct ckpt_file *f, const char *what,
		    struct ckpt_err *err)
{
	const struct ckpt_held_proc *p = ckpt_tree_find(r->hold, f->capture_pid);

	ckpt_fail(err, CKPT_REFUSED, 0,
		"pid %d (%s) holds TCP socket %d %s, which this version cannot restore",
		f->capture_pid, p ? p->comm : "?", f->capture_fd, what);
	return ckpt_fail_passing(err);
}

int ckpt_tcp_info(int own, struct tcp_info *ret, struct ckpt_err *err)
{
	socklen_t len = sizeof(*ret);

	memset(ret, 0, sizeof(*ret));
	if (getsockopt(own, IPPROTO_TCP, TCP_INFO, ret, &len))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot look at a TCP socket");
	return 0;
}

int ckpt_tcp_poll(int own, short *ret, struct ckpt_err *err)
{
	struct pollfd p = { .fd = own, .events = POLLIN | POLLPRI | POLLOUT | POLLRDHUP };

	if (poll(&p, 1, 0) < 0)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot poll a TCP socket");
	*ret = p.revents;
	return 0;
}

/* A size that the kernel has chosen it chooses again. */
static void forget_sizes(struct ckpt_socket *s, int own)
{
	uint32_t locked = ckpt_inet_option(own, SOL_SOCKET, SO_BUF_LOCK,
					   LOCKED_SEND | LOCKED_RECEIVE);
	size_t n = 0;

	for (size_t i = 0; i < s->n_options; i++) {
		const struct ckpt_socket_option *o = &s->options[i];
		bool size = o->level == SOL_SOCKET &&
			    ((o->name == SO_SNDBUF && !(locked & LOCKED_SEND)) ||
			     (o->name == SO_RCVBUF && !(locked & LOCKED_RECEIVE)));

		if (size)
			free(o->value);
		else
			s->options[n++] = *o;
	}
	s->n_options = n;
}

/* What shows in no option that can be set, and what goes on outside of the socket. */
static const char *strange(const struct ckpt_socket *s, int own, short now)
{
	char text[16];
	socklen_t len = sizeof(text);
	int mark = 0;

	/* that of MPTCP is on top of its own flows */
	if (s->protocol != IPPROTO_MPTCP &&
	    !getsockopt(own, IPPROTO_TCP, TCP_ULP, text, &len) && len)
		return "with a protocol on top of it in the kernel (TCP_ULP)";
	len = sizeof(text);
	if (!getsockopt(own, IPPROTO_IP, IP_OPTIONS, text, &len) && len)
		return "with IP options";
	if (ckpt_inet_option(own, SOL_SOCKET, SO_BINDTOIFINDEX, 0))
		return "that is bound to an interface";
	if ((int)ckpt_inet_option(own, SOL_SOCKET, SO_PEEK_OFF, -1) >= 0)
		return "that remembers how far was peeked (SO_PEEK_OFF)";
	if (ckpt_inet_option(own, IPPROTO_TCP, TCP_REPAIR, 0))
		return "in repair mode";
	if (now & POLLPRI || (!ioctl(own, SIOCATMARK, &mark) && mark))
		return "with urgent data";
	return NULL;
}

static void agreed(struct ckpt_tcp *t, const struct tcp_info *info)
{
	const struct sockaddr *local = (const void *)t->local;
	uint32_t headers = V4_HEADERS;

	if (local->sa_family == AF_INET6 &&
	    !IN6_IS_ADDR_V4MAPPED(&((const struct sockaddr_in6 *)local)->sin6_addr))
		headers = V6_HEADERS;
	t->mss = info->tcpi_pmtu > DEFAULT_MSS + headers ? info->tcpi_pmtu - headers : DEFAULT_MSS;
	if (info->tcpi_options & TCPI_OPT_TIMESTAMPS)
		t->flags |= CKPT_TCP_F_TIMESTAMPS;
	if (info->tcpi_options & TCPI_OPT_SACK)
		t->flags |= CKPT_TCP_F_SACK;
	if (info->tcpi_options & TCPI_OPT_WSCALE) {
		t->flags |= CKPT_TCP_F_WSCALE;
		t->scale_out = info->tcpi_snd_wscale;
		t->scale_in = info->tcpi_rcv_wscale;
	}
}

/* Which ends have said that they write no more, from where a connection stands. */
static void set_ends(struct ckpt_tcp *t, uint32_t tcp_state, short now)
{
	switch (tcp_state) {
	case TCP_FIN_WAIT1:
	case TCP_FIN_WAIT2:
		t->flags |= CKPT_TCP_F_SENT_END;
		break;
	case TCP_CLOSE_WAIT:
		t->flags |= CKPT_TCP_F_GOT_END;
		return;
	case TCP_CLOSING:
	case TCP_LAST_ACK:
	case TCP_CLOSE:
		t->flags |= CKPT_TCP_F_SENT_END | CKPT_TCP_F_GOT_END;
		return;
	}
	if (now & POLLRDHUP)
		t->flags |= CKPT_TCP_F_DEAF;
}

/*
 * Nothing was said yet, so it can begin once more.  A call that waits for it would be made again
 * and find that it has begun already.
 */
static int read_connecting(struct ckpt_reader *r, const struct ckpt_file *f, struct ckpt_tcp *t,
			   const struct tcp_info *info, struct ckpt_err *err)
{
	bool said = info->tcpi_bytes_sent || info->tcpi_notsent_bytes;

	if (f->flags & O_NONBLOCK && !said && ckpt_tcp_connects_to(t, f->ino, err))
		return -1;
	if (!t->remote_len)
		return ckpt_tcp_refuse(r, f, "whose connection is being made", err);
	t->state = CKPT_TCP_CONNECTING;
	return 0;
}

static int read_state(struct ckpt_reader *r, const struct ckpt_file *f, struct ckpt_tcp *t, int own,
		      short now, struct ckpt_err *err)
{
	struct tcp_info info;

	if (ckpt_tcp_info(own, &info, err))
		return -1;
	switch (info.tcpi_state) {
	case TCP_LISTEN:
		t->state = CKPT_TCP_LISTENS;
		t->backlog = info.tcpi_sacked;
		return !info.tcpi_unacked ? 0 :
			ckpt_tcp_refuse(r, f, "with connections that wait to be accepted",
					err);
	case TCP_SYN_SENT:
		return read_connecting(r, f, t, &info, err);
	case TCP_SYN_RECV:
		return ckpt_tcp_refuse(r, f, "whose connection is being made", err);
	case TCP_CLOSE:
		/* it was connected when nothing can be read or written any more */
		if (now & (POLLERR | POLLRDHUP))
			break;
		t->state = CKPT_TCP_FREE;
		ckpt_inet_forget_none(&t->local, &t->local_len);
		return 0;
	}
	t->state = CKPT_TCP_ALONE;
	set_ends(t, info.tcpi_state, now);
	if (now & POLLERR && info.tcpi_state != TCP_CLOSE)
		return ckpt_tcp_refuse(r, f, "with an error that is not read", err);
	if (now & POLLERR || !(t->flags & CKPT_TCP_F_GOT_END))
		t->flags |= CKPT_TCP_F_RESET;
	agreed(t, &info);
	return 0;
}

int ckpt_read_tcp(struct ckpt_reader *r, const struct ckpt_file *f, struct ckpt_socket *s, int own,
		  struct ckpt_err *err)
{
	struct ckpt_image *image = r->image;
	struct ckpt_tcp *t = ckpt_grow(image->tcps, &image->n_tcps, sizeof(*t));
	const char *what;
	short now;

	if (!t)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of TCP sockets");
	image->tcps = t;
	s->part = image->n_tcps - 1;
	t += s->part;
	t->peer = CKPT_NONE;
	t->file = CKPT_NONE;
	if (ckpt_tcp_poll(own, &now, err) ||
	    ckpt_inet_address(own, false, &t->local, &t->local_len, err) ||
	    ckpt_inet_address(own, true, &t->remote, &t->remote_len, err))
		return -1;
	what = strange(s, own, now);
	if (what)
		return ckpt_tcp_refuse(r, f, what, err);
	if (read_state(r, f, t, own, now, err))
		return -1;
	/* what is told of is its first flow, which may have ended before it */
	if (s->protocol == IPPROTO_MPTCP && (t->state > CKPT_TCP_LISTENS || t->remote_len))
		return ckpt_tcp_refuse(r, f, "that is connected by MPTCP", err);
	forget_sizes(s, own);
	return ckpt_read_socket_options(s, own, own_options,
					sizeof(own_options) / sizeof(own_options[0]), err) ||
	       (t->state <= CKPT_TCP_LISTENS &&
		ckpt_read_socket_options(s, own, mss_option, 1, err)) ? -1 : 0;
}
