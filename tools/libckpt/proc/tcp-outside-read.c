// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * TCP connections to the outside: sequence numbers, windows, and what was written and is not
 * acknowledged
 *
 * Only repair mode shows them.  In it the kernel believes to have sent what waits to be sent as
 * soon as anything makes it look at that; so while the tree is to run on, a connection with
 * something that waits stays unknown.  So does one of which no two looks agree, because bytes
 * come in all the time, one to which an urgent byte has come since it was looked at first, and one
 * for which we have no descriptor left.
 */
#include <errno.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "proc/tcp-outside.h"

#ifndef TCPI_OPT_USEC_TS
#define TCPI_OPT_USEC_TS 64
#endif

#define TRIES 3
#define SPARE_FDS 32	/* for all else that is opened meanwhile */
#define ROOM_SLACK 0x20000u	/* a segment that is acknowledged in part is shown whole */

/**
 * struct found - a connection, in memory that is shared with the process that looks
 * @tcp: in the image
 * @pending: not known yet
 * @looked: the look has succeeded; else @os says why not
 * @in, @end: sequence numbers behind the last byte that came, and that was written
 * @at, @room, @len: of the bytes that are not acknowledged
 */
struct found {
	struct ckpt_tcp_patient p;
	uint32_t tcp;
	bool pending, looked;
	int os;
	uint32_t in, end, mss, clock, waiting;
	struct tcp_repair_window w;
	size_t at, room, len;
};

/**
 * struct looks - all of them
 * @len: of the whole mapping
 * @data: bytes of the connections, behind the list
 */
struct looks {
	size_t len, n;
	uint8_t *data;
	struct found list[];
};

static int get(int own, int name, void *ret, socklen_t len)
{
	return getsockopt(own, IPPROTO_TCP, name, ret, &len);
}

static int look_inside(struct found *f, uint8_t *data)
{
	const int own = f->p.own;
	ssize_t n = 0;

	if (ckpt_tcp_queue_seq(own, TCP_RECV_QUEUE, &f->in) ||
	    get(own, TCP_REPAIR_WINDOW, &f->w, sizeof(f->w)) ||
	    get(own, TCP_MAXSEG, &f->mss, sizeof(f->mss)) ||
	    get(own, TCP_TIMESTAMP, &f->clock, sizeof(f->clock)) ||
	    ckpt_tcp_queue_seq(own, TCP_SEND_QUEUE, &f->end))
		return -1;
	ckpt_fault("keeper.repair");
	if (f->room)
		n = recv(own, data, f->room, MSG_PEEK | MSG_DONTWAIT);
	f->len = n < 0 ? 0 : n;
	return n < 0 ? -1 : 0;
}

static void look(void *arg)
{
	struct looks *l = arg;

	for (struct found *f = l->list; f < l->list + l->n; f++) {
		if (!f->pending)
			continue;
		f->os = 0;
		f->looked = !ckpt_tcp_repair_on(&f->p) && !look_inside(f, l->data + f->at);
		if (!f->looked)
			f->os = errno;
		ckpt_tcp_repair_off(&f->p);
	}
}

/* As many as this process may have; the keeper needs them at the kill once more. */
static void raise_limit(struct rlimit *ret)
{
	if (getrlimit(RLIMIT_NOFILE, ret))
		*ret = (struct rlimit){ RLIM_INFINITY, RLIM_INFINITY };
	ret->rlim_cur = ret->rlim_max;
	setrlimit(RLIMIT_NOFILE, ret);
}

/* May it be looked at, and could it ever go on? */
static bool worth(const struct ckpt_reader *r, const struct ckpt_tcp *t, int own)
{
	struct ckpt_err ignored = CKPT_ERR_INIT;
	struct tcp_info i;

	/* of a namespace that is made anew nobody there goes on */
	if (r->image->n_net)
		return false;
	/* without SACK nobody can tell what the other end has got out of order */
	return ckpt_tcp_outside(t) && t->flags & CKPT_TCP_F_SACK &&
	       !(t->flags & (CKPT_TCP_F_SENT_END | CKPT_TCP_F_GOT_END)) && t->remote_len &&
	       !ckpt_tcp_info(own, &i, &ignored) && i.tcpi_state == TCP_ESTABLISHED &&
	       !(i.tcpi_options & TCPI_OPT_USEC_TS) &&
	       (!i.tcpi_notsent_bytes || r->hold->tcp_repair);
}

static int add(struct ckpt_reader *r, struct found *f, uint32_t tcp, size_t *room, rlim_t most,
	       struct ckpt_err *err)
{
	const struct ckpt_tcp *t = &r->image->tcps[tcp];
	int queued, own;

	if (!ckpt_tcp_outside(t))
		return 0;
	own = ckpt_borrow_fd(&r->image->files[t->file], err);
	if (own < 0)
		return -1;
	if ((rlim_t)own + SPARE_FDS > most || !worth(r, t, own) || ioctl(own, SIOCOUTQ, &queued)) {
		close(own);
		return 0;
	}
	*f = (struct found){ .p.own = own, .tcp = tcp, .pending = true, .at = *room };
	f->room = queued ? queued + ROOM_SLACK : 0;
	*room += f->room;
	return ckpt_tcp_patient(own, &f->p, err) ? -1 : 1;
}

static void end(struct looks *l)
{
	for (size_t i = 0; i < l->n; i++)
		close(l->list[i].p.own);
	munmap(l, l->len);
}

/* The connections of @list, in shared memory with room for their bytes. */
static struct looks *share(const struct found *list, size_t n, size_t room, struct ckpt_err *err)
{
	size_t head = sizeof(struct looks) + n * sizeof(*list);
	struct looks *l = mmap(NULL, head + room, PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (l == MAP_FAILED) {
		ckpt_fail(err, CKPT_FAILED, errno, "no memory for what TCP sockets send");
		return NULL;
	}
	l->len = head + room;
	l->n = n;
	l->data = (uint8_t *)l + head;
	memcpy(l->list, list, n * sizeof(*list));
	return l;
}

/* Return: 0 with those that may be looked at, NULL: there are none; -1. */
static int prepare(struct ckpt_reader *r, struct looks **ret, struct ckpt_err *err)
{
	cleanup_free struct found *list = calloc(r->image->n_tcps + 1, sizeof(*list));
	size_t n = 0, room = 0;
	struct rlimit most;
	int added = 0;

	*ret = NULL;
	raise_limit(&most);
	if (!list)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of TCP connections");
	for (uint32_t i = 0; i < r->image->n_tcps && added >= 0; i++) {
		added = add(r, &list[n], i, &room, most.rlim_cur, err);
		n += added > 0;
	}
	if (added >= 0 && n)
		*ret = share(list, n, room, err);
	if (added < 0 || (n && !*ret)) {
		for (size_t i = 0; i < n; i++)
			close(list[i].p.own);
		return -1;
	}
	return 0;
}

static int keep(struct ckpt_tcp *t, const struct found *f, const uint8_t *data,
		struct ckpt_err *err)
{
	if (f->len) {
		t->unsent = malloc(f->len);
		if (!t->unsent)
			return ckpt_fail(err, CKPT_FAILED, 0, "no memory for what a socket sends");
		memcpy(t->unsent, data, f->len);
	}
	t->n_unsent = f->len;
	t->out = f->end - f->len;
	t->in = f->in;
	t->n_sent = f->len - (f->waiting < f->len ? f->waiting : f->len);
	t->out_wl1 = f->w.snd_wl1;
	t->out_window = f->w.snd_wnd;
	t->out_window_max = f->w.max_window;
	t->in_window = f->w.rcv_wnd;
	t->in_wup = f->w.rcv_wup;
	t->mss = f->mss;
	t->clock = f->clock;
	t->flags |= CKPT_TCP_F_KNOWN;
	return 0;
}

/* All that was read is of one moment when what came before the look is still all that has come. */
static int settle(struct ckpt_reader *r, struct found *f, const uint8_t *data,
		  struct ckpt_err *err)
{
	struct ckpt_tcp *t = &r->image->tcps[f->tcp];
	struct tcp_info i;
	int got, marked;

	if (ckpt_tcp_info(f->p.own, &i, err) || ioctl(f->p.own, SIOCINQ, &got))
		return ckpt_fail_at(err, "cannot look at a TCP socket");
	f->pending = false;
	if (!f->looked || i.tcpi_state != TCP_ESTABLISHED)
		return 0;
	marked = ckpt_tcp_marked(t, r->image->files[t->file].ino, f->p.own, err);
	if (marked)
		return marked < 0 ? -1 : 0;
	f->waiting = i.tcpi_notsent_bytes;
	if ((size_t)got == t->n_unread)
		return keep(t, f, data, err);
	f->pending = true;
	free(take_ptr(t->unread));
	t->n_unread = 0;
	marked = ckpt_tcp_unread(f->p.own, &t->unread, &t->n_unread, err);
	f->pending = !marked;
	return marked < 0 ? -1 : 0;
}

static int look_at_all(struct ckpt_reader *r, struct looks *l, struct ckpt_err *err)
{
	cleanup_free struct ckpt_tcp_patient *all = calloc(l->n, sizeof(*all));
	size_t pending = l->n;

	if (!all)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of TCP connections");
	for (size_t i = 0; i < l->n; i++)
		all[i] = l->list[i].p;
	for (int tries = 0; tries < TRIES && pending; tries++) {
		if (ckpt_tcp_aside(all, l->n, look, l, err))
			return -1;
		pending = 0;
		for (struct found *f = l->list; f < l->list + l->n; f++) {
			if (f->pending && settle(r, f, l->data + f->at, err))
				return -1;
			pending += f->pending;
			if (f->os == EPERM && r->hold->tcp_repair)
				return ckpt_fail(err, CKPT_REFUSED, 0,
					"ckpt-tool lacks CAP_NET_ADMIN, without which no TCP "
					"connection to the outside can go on; use --tcp reset");
		}
	}
	return 0;
}

/* What the kill must know. */
static int remember(struct ckpt_reader *r, struct ckpt_err *err)
{
	struct ckpt_hold *hold = r->hold;

	free(hold->tcps);
	hold->n_tcps = 0;
	hold->tcps = calloc(r->image->n_tcps + 1, sizeof(*hold->tcps));
	if (!hold->tcps)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of TCP connections");
	for (size_t i = 0; i < r->image->n_tcps; i++) {
		const struct ckpt_tcp *t = &r->image->tcps[i];
		const struct ckpt_file *f = &r->image->files[t->file];

		if (t->flags & CKPT_TCP_F_KNOWN)
			hold->tcps[hold->n_tcps++] = (struct ckpt_held_tcp){
				.pid = f->capture_pid, .fd = f->capture_fd, .own = -1,
				.in = t->in, .end = t->out + t->n_unsent,
			};
	}
	return 0;
}

int ckpt_read_outside(struct ckpt_reader *r, struct ckpt_err *err)
{
	struct looks *l;
	int failed;

	if (prepare(r, &l, err))
		return -1;
	if (!l)
		return 0;
	failed = look_at_all(r, l, err);
	end(l);
	return failed || (r->hold->tcp_repair && remember(r, err)) ? -1 : 0;
}
