// SPDX-License-Identifier: GPL-2.0-or-later
/* TCP connections to the outside that go on: made anew, asked about, set going. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/tcp-outside.h"

#define BY_POLICY "as --tcp reset says"
#define NEW_NETWORK "its other end was in the network namespace that the tree has left"
#define UNKNOWN "it was in motion, half closed or without SACK"
#define MAXSEG_MIN 88u	/* that setsockopt takes, and the kernel */
#define MAXSEG_MAX 32767u
#define WINDOW_TINY 536u
#define OTHER_FDS 128u	/* of this process */

static int set(int own, int name, int value)
{
	return setsockopt(own, IPPROTO_TCP, name, &value, sizeof(value));
}

/* What the other end was told as our time only grows. */
static uint32_t clock_now(const struct ckpt_image *image, const struct ckpt_tcp *t)
{
	struct timespec now;
	uint64_t ns;

	clock_gettime(CLOCK_REALTIME, &now);
	ns = now.tv_sec * 1000000000ull + now.tv_nsec;
	ns = ns > image->realtime_ns ? ns - image->realtime_ns : 0;
	/* on newer kernels an odd one counts microseconds */
	return (t->clock + (uint32_t)(ns / 1000000)) & ~1u;
}

static int put_all(int own, const uint8_t *data, size_t len)
{
	ssize_t n;

	for (; len; data += n, len -= n) {
		n = send(own, data, len < 0x10000 ? len : 0x10000, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n <= 0)
			return -1;
	}
	return 0;
}

static bool has_address(int own, const struct ckpt_tcp *t)
{
	union ckpt_inet_address a;
	socklen_t len = sizeof(a);

	return !getsockname(own, &a.any, &len) && len == t->local_len &&
	       !memcmp(&a, t->local, len);
}

/*
 * To a window that was never as large as two segments the kernel sends smaller ones; a larger one
 * would wait for room that never comes.
 */
static uint32_t segment_of(const struct ckpt_tcp *t)
{
	uint32_t window = t->out_window_max, most = window > WINDOW_TINY ? window / 2 : window;
	uint32_t size = t->mss < MAXSEG_MAX ? t->mss : MAXSEG_MAX;

	if (most && most < size)
		size = most > MAXSEG_MIN ? most : MAXSEG_MIN;
	return size;
}

/*
 * The kernel works out the size of its segments when it connects, and before it is told what was
 * agreed on: it is to know by then.
 */
static int start(const struct ckpt_tcp_end *e)
{
	const struct ckpt_tcp *t = e->t;

	return set(e->own, TCP_MAXSEG, segment_of(t)) ||
	       ckpt_tcp_start(e, t->out, t->in - t->n_unread) ||
	       set(e->own, TCP_MAXSEG, 0) ? -1 : 0;
}

/* Its timer would reset what hears nothing for a while. */
static int quiet(int own)
{
	const int off = 0;

	return setsockopt(own, SOL_SOCKET, SO_KEEPALIVE, &off, sizeof(off));
}

/* Connected as it was, with what it had got, and deaf. Return: 0, -1 with errno. */
static int make(const struct ckpt_image *image, const struct ckpt_tcp_end *e)
{
	const struct ckpt_tcp *t = e->t;
	const struct tcp_repair_window w = {
		.snd_wl1 = t->out_wl1,
		.snd_wnd = t->out_window,
		.max_window = t->out_window_max,
		.rcv_wnd = t->in_window,
		.rcv_wup = t->in_wup,
	};

	if (quiet(e->own) || ckpt_tcp_deafen(e->own, true) || start(e))
		return -1;
	if (!has_address(e->own, t)) {
		errno = EADDRNOTAVAIL;
		return -1;
	}
	return ckpt_tcp_make_room(e->own, SO_RCVBUF, SO_RCVBUFFORCE,
				  t->n_unread + (size_t)t->in_window) ||
	       set(e->own, TCP_REPAIR_QUEUE, TCP_RECV_QUEUE) ||
	       put_all(e->own, t->unread, t->n_unread) || ckpt_tcp_agree(e, &w) ||
	       set(e->own, TCP_TIMESTAMP, clock_now(image, t)) ? -1 : 0;
}

static const char *why(uint32_t verdict)
{
	switch (verdict) {
	case CKPT_TCP_AHEAD:
		return "its other end has sent something since";
	case CKPT_TCP_BEHIND:
		return "its other end has got something since";
	case CKPT_TCP_GONE:
		return "its other end knows it no more";
	default:
		return "its other end does not answer, or is far away from it";
	}
}

static void tell(struct ckpt_restore *r, const char *text, int os)
{
	if (!r->tcp_reset++)
		snprintf(r->tcp_why, sizeof(r->tcp_why), "%s%s%s", text, os ? ": " : "",
			 os ? strerror(os) : "");
}

static void let_go(int *fd)
{
	ckpt_cleanup_close(fd);
	*fd = -1;
}

static void drop(struct ckpt_outside *o)
{
	let_go(&o->raw);
	let_go(&o->own);
}

/*
 * One that is known is made anew; without @tcp_repair only for its other end to be told.
 * Return: 1 it is to be asked about; 0 it is to be reset, with the reason told; -1.
 */
static int begin(struct ckpt_restore *r, uint32_t file, uint32_t tcp, struct ckpt_outside *o,
		 struct ckpt_err *err)
{
	const struct ckpt_tcp *t = &r->image->tcps[tcp];
	const struct ckpt_tcp_end e = {
		.own = ckpt_build_borrow(r, r->fd_base + file, err),
		.s = &r->image->sockets[r->image->files[file].object],
		.t = t,
	};

	*o = (struct ckpt_outside){ .own = e.own, .raw = -1, .file = file, .tcp = tcp };
	if (e.own < 0)
		return -1;
	if (make(r->image, &e)) {
		tell(r, r->params.tcp_repair ? "it cannot be made again" : BY_POLICY,
		     r->params.tcp_repair ? errno : 0);
		drop(o);
		return 0;
	}
	r->n_outsides++;
	if (!r->params.tcp_repair) {
		tell(r, BY_POLICY, 0);
		return 0;
	}
	o->raw = ckpt_outside_listen(t, err);
	return o->raw < 0 ? -1 : 1;
}

/* In the place of each that may not go on comes another one; it is kept until the tree runs. */
static int sort_out(struct ckpt_restore *r, const uint32_t *files, ckpt_tcp_reset_fn reset,
		    struct ckpt_err *err)
{
	for (size_t i = 0; i < r->n_outsides; i++) {
		struct ckpt_outside *o = &r->outsides[i];

		let_go(&o->raw);
		if (o->verdict == CKPT_TCP_FITS)
			continue;
		tell(r, why(o->verdict), 0);
		if (reset(r, files, o->tcp, err))
			return -1;
	}
	return 0;
}

uint64_t ckpt_outside_fd_room(const struct ckpt_image *image)
{
	uint64_t n = 0;

	for (size_t i = 0; i < image->n_tcps; i++)
		n += image->tcps[i].flags & CKPT_TCP_F_KNOWN ? 2 : 0;
	return n ? n + OTHER_FDS : 0;
}

/* Preflight has seen that there is room. */
static void make_room(const struct ckpt_image *image)
{
	uint64_t room = ckpt_outside_fd_room(image);
	struct rlimit own;

	if (getrlimit(RLIMIT_NOFILE, &own) || own.rlim_cur >= room)
		return;
	own.rlim_cur = room < own.rlim_max ? room : own.rlim_max;
	setrlimit(RLIMIT_NOFILE, &own);
}

int ckpt_build_outside(struct ckpt_restore *r, const uint32_t *files, ckpt_tcp_reset_fn reset,
		       struct ckpt_err *err)
{
	r->outsides = calloc(r->image->n_tcps + 1, sizeof(*r->outsides));
	if (!r->outsides)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for TCP connections");
	make_room(r->image);
	for (uint32_t i = 0; i < r->image->n_tcps; i++) {
		const struct ckpt_tcp *t = &r->image->tcps[i];
		int asked = 0;

		if (!ckpt_tcp_outside(t))
			continue;
		if (t->flags & CKPT_TCP_F_KNOWN)
			asked = begin(r, files[i], i, &r->outsides[r->n_outsides], err);
		else
			tell(r, !r->params.tcp_repair ? BY_POLICY :
			     r->image->n_net ? NEW_NETWORK : UNKNOWN, 0);
		if (asked < 0 || (!asked && reset(r, files, i, err)))
			return -1;
	}
	if (!r->params.tcp_repair)
		return 0;
	return ckpt_outside_ask(r->image, r->outsides, r->n_outsides, err) ||
	       sort_out(r, files, reset, err) ? -1 : 0;
}

bool ckpt_outside_goes_on(const struct ckpt_restore *r, uint32_t tcp)
{
	for (size_t i = 0; i < r->n_outsides; i++) {
		if (r->outsides[i].tcp == tcp)
			return r->outsides[i].verdict == CKPT_TCP_FITS;
	}
	return false;
}

bool ckpt_outside_quiets(const struct ckpt_socket_option *o)
{
	return o->level == SOL_SOCKET && o->name == SO_KEEPALIVE;
}

int ckpt_outside_quiet(struct ckpt_restore *r, struct ckpt_err *err)
{
	for (size_t i = 0; i < r->n_outsides; i++) {
		if (quiet(r->outsides[i].own))
			return ckpt_fail(err, CKPT_FAILED, errno, "cannot quiet a TCP socket");
	}
	return 0;
}

/* Where the clock was set back, it goes on from what the other end was told last. */
static int wind(const struct ckpt_outside *o)
{
	uint32_t now = 0;
	socklen_t len = sizeof(now);

	if (!o->timed)
		return 0;
	if (getsockopt(o->own, IPPROTO_TCP, TCP_TIMESTAMP, &now, &len))
		return -1;
	return ckpt_tcp_after(now, o->echo) ? 0 : set(o->own, TCP_TIMESTAMP, (o->echo + 2) & ~1u);
}

/*
 * What it had written goes into its queue: as sent, what was, so that the other end may acknowledge
 * it; the rest is sent as there is room.  Only then does it hear again, and asks once more: what
 * was said to it meanwhile it has not heard.
 */
static int go_on(const struct ckpt_outside *o, const struct ckpt_tcp *t)
{
	size_t sent = o->acked - t->out > t->n_sent ? o->acked - t->out : t->n_sent;
	const int own = o->own, all = -1;

	/* a limit for what waits comes with the other options */
	if (wind(o) || set(own, TCP_NOTSENT_LOWAT, all) ||
	    ckpt_tcp_make_room(own, SO_SNDBUF, SO_SNDBUFFORCE, t->n_unsent) ||
	    set(own, TCP_REPAIR_QUEUE, TCP_SEND_QUEUE) || put_all(own, t->unsent, sent) ||
	    set(own, TCP_REPAIR, TCP_REPAIR_OFF_NO_WP) ||
	    (t->n_unsent > sent && put_all(own, t->unsent + sent, t->n_unsent - sent)) ||
	    (t->flags & CKPT_TCP_F_DEAF && shutdown(own, SHUT_RD)))
		return -1;
	return ckpt_tcp_deafen(own, false) || set(own, TCP_REPAIR, TCP_REPAIR_ON) ||
	       set(own, TCP_REPAIR, TCP_REPAIR_OFF) ? -1 : 0;
}

/* The other end, if it is there, learns that nobody is at this one; so does who has it as well. */
static void give_up(const struct ckpt_outside *o)
{
	const struct sockaddr nowhere = { .sa_family = AF_UNSPEC };

	set(o->own, TCP_REPAIR, TCP_REPAIR_OFF_NO_WP);
	ckpt_tcp_deafen(o->own, false);
	(void)connect(o->own, &nowhere, sizeof(nowhere));
}

/* One that cannot be set going is reset, and what had come to it is gone with it. */
static int set_going(struct ckpt_restore *r, struct ckpt_outside *o, struct ckpt_err *err)
{
	const struct ckpt_file *f = &r->image->files[o->file];
	struct tcp_info i;

	if (go_on(o, &r->image->tcps[o->tcp])) {
		tell(r, "it cannot be set going", errno);
		o->verdict = CKPT_TCP_SILENT;
		give_up(o);
	} else if (ckpt_tcp_info(o->own, &i, err)) {
		return -1;
	} else if (i.tcpi_state == TCP_CLOSE) {
		o->verdict = CKPT_TCP_GONE;
		tell(r, why(o->verdict), 0);
	}
	if (ckpt_build_socket_options(&r->image->sockets[f->object], o->own, err))
		return -1;
	if (o->verdict == CKPT_TCP_FITS)
		r->tcp_repaired++;
	else
		drop(o);
	return 0;
}

int ckpt_outside_start(struct ckpt_restore *r, struct ckpt_err *err)
{
	for (size_t i = 0; i < r->n_outsides; i++) {
		struct ckpt_outside *o = &r->outsides[i];

		if (o->verdict == CKPT_TCP_FITS && set_going(r, o, err))
			return -1;
	}
	/* nothing can fail any more */
	for (size_t i = 0; i < r->n_outsides; i++) {
		if (r->outsides[i].own >= 0 && r->outsides[i].verdict != CKPT_TCP_FITS)
			give_up(&r->outsides[i]);
	}
	return 0;
}

void ckpt_outside_quit(struct ckpt_restore *r)
{
	for (size_t i = 0; i < r->n_outsides; i++)
		set(r->outsides[i].own, TCP_REPAIR, TCP_REPAIR_ON);
}

void ckpt_outside_done(struct ckpt_restore *r)
{
	for (size_t i = 0; i < r->n_outsides; i++)
		drop(&r->outsides[i]);
	free(r->outsides);
	r->outsides = NULL;
	r->n_outsides = 0;
}

int ckpt_outside_machine(const struct ckpt_image *image, struct ckpt_err *err)
{
	for (size_t i = 0; i < image->n_tcps; i++) {
		cleanup_close int raw = -1;

		if (!(image->tcps[i].flags & CKPT_TCP_F_KNOWN))
			continue;
		raw = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_TCP);
		return raw >= 0 ? 0 :
		       ckpt_fail(err, CKPT_REFUSED, errno,
				 "ckpt-tool cannot make a raw socket (CAP_NET_RAW), without which "
				 "it cannot hear the other end of a TCP connection; use --tcp "
				 "reset");
	}
	return 0;
}
