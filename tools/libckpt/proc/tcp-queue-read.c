// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Bytes of a TCP connection: those that have come, and those that are on their way
 *
 * What has come is peeked at.  What has not, because the other end has no room for it or for
 * want of an acknowledgement, only repair mode shows (tcp-aside.c).
 */
#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "proc/tcp.h"

int ckpt_tcp_unread(int own, uint8_t **ret, size_t *ret_n, struct ckpt_err *err)
{
	cleanup_free uint8_t *data = NULL;
	ssize_t n;
	int len;

	if (ioctl(own, SIOCINQ, &len))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot size what a TCP socket has got");
	/* without anything to peek at, an error of the socket would be taken from it */
	if (!len)
		return 0;
	data = malloc(len);
	if (!data)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for what a TCP socket has got");
	n = recv(own, data, len, MSG_PEEK | MSG_DONTWAIT);
	if (n < 0)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot read what a TCP socket has got");
	*ret = take_ptr(data);
	*ret_n = n;
	return n < len;
}

/* What comes meanwhile is told last. */
int ckpt_tcp_marked(const struct ckpt_tcp *t, uint32_t ino, int own, struct ckpt_err *err)
{
	int len, mark = 0, told;
	struct tcp_info i;
	uint32_t waiting;
	short now;

	if (ckpt_tcp_poll(own, &now, err))
		return -1;
	if (now & POLLPRI || (!ioctl(own, SIOCATMARK, &mark) && mark))
		return 1;
	if (!t->n_unread)
		return 0;
	told = ckpt_tcp_waiting(t, ino, &waiting, err);
	if (told <= 0)
		return told;
	if (ioctl(own, SIOCINQ, &len) || ckpt_tcp_info(own, &i, err))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot size what a TCP socket has got");
	return waiting > (uint32_t)len + ckpt_tcp_got_end(i.tcpi_state);
}

/**
 * struct look - what a process of its own finds out, in memory that it shares with us
 * @from, @to: the ends
 * @os: errno of what failed, or 0
 * @written, @received: sequence numbers behind the last byte, of either end
 * @len: bytes of @data: what was written and is not acknowledged
 * @room: for them
 */
struct look {
	struct ckpt_tcp_patient from, to;
	int os;
	uint32_t written, received;
	size_t len, room;
	uint8_t data[];
};

static int look_queue(const struct ckpt_tcp_patient *p, int queue, uint32_t *ret_seq,
		      struct look *l)
{
	int failed;
	ssize_t n;

	if (ckpt_tcp_repair_on(p))
		return -1;
	failed = ckpt_tcp_queue_seq(p->own, queue, ret_seq);
	ckpt_fault("keeper.repair");
	if (!failed && queue == TCP_SEND_QUEUE) {
		n = recv(p->own, l->data, l->room, MSG_PEEK | MSG_DONTWAIT);
		failed = n < 0;
		l->len = failed ? 0 : n;
	}
	l->os = failed ? errno : 0;
	return ckpt_tcp_repair_off(p) || failed ? -1 : 0;
}

static void look_both(void *arg)
{
	struct look *l = arg;

	if (look_queue(&l->from, TCP_SEND_QUEUE, &l->written, l) ||
	    look_queue(&l->to, TCP_RECV_QUEUE, &l->received, l))
		l->os = l->os ? l->os : errno;
}

static int look_aside(struct look *l, struct ckpt_err *err)
{
	const struct ckpt_tcp_patient both[] = { l->from, l->to };

	if (ckpt_tcp_aside(both, 2, look_both, l, err))
		return -1;
	if (l->os == EPERM)
		return ckpt_fail(err, CKPT_REFUSED, 0,
			"ckpt-tool lacks CAP_NET_ADMIN, without which it cannot see what is on its "
			"way in a TCP connection; try again when nothing is");
	return !l->os ? 0 :
		ckpt_fail(err, CKPT_FAILED, l->os, "cannot look at a TCP connection");
}

/* The last bytes that were written are those that have not come. */
static int keep_missing(const struct look *l, bool ended, uint8_t **ret, size_t *ret_n,
			struct ckpt_err *err)
{
	uint32_t missing = l->written - ended - l->received;

	if (!missing)
		return 0;
	if (missing > l->len)
		return ckpt_fail(err, CKPT_FAILED, 0,
				 "%u bytes are on their way in a TCP connection, %zu are known",
				 missing, l->len);
	*ret = malloc(missing);
	if (!*ret)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for what a TCP socket has sent");
	memcpy(*ret, l->data + l->len - missing, missing);
	*ret_n = missing;
	return 0;
}

int ckpt_tcp_unsent(int from, int to, bool ended, uint8_t **ret, size_t *ret_n,
		    struct ckpt_err *err)
{
	struct ckpt_tcp_patient a, b;
	struct look *l;
	int queued, failed;
	size_t room;

	if (ckpt_tcp_patient(from, &a, err) || ckpt_tcp_patient(to, &b, err))
		return -1;
	if (ioctl(from, SIOCOUTQ, &queued))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot size what a TCP socket sends");
	room = sizeof(*l) + queued;
	l = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE,
		 -1, 0);
	if (l == MAP_FAILED)
		return ckpt_fail(err, CKPT_FAILED, errno, "no memory for what a TCP socket sends");
	l->from = a;
	l->to = b;
	l->room = queued;
	failed = look_aside(l, err) || keep_missing(l, ended, ret, ret_n, err);
	munmap(l, room);
	return failed ? -1 : 0;
}
