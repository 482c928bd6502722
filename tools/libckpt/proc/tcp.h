/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TCP: sockets that are free, listen, or are an end of a connection
 *
 * A connection with both ends in the tree goes on over a restore: what is on its way is kept in
 * the image, and both ends are made anew.  One with an end outside is reset, as if the other end
 * had done so, after what had come.
 */
#ifndef CKPT_PROC_TCP_H
#define CKPT_PROC_TCP_H

#include <linux/types.h>
#ifdef __CHECKER__
#define __be32 __u32	/* the header casts plain constants to it */
#endif
#include <linux/tcp.h>
#undef __be32
#include <netinet/in.h>
#include <sys/socket.h>

#include "proc/inet.h"
#include "proc/socket.h"

/* States of the kernel's, as struct tcp_info has them. */
enum {
	TCP_ESTABLISHED = 1,
	TCP_SYN_SENT,
	TCP_SYN_RECV,
	TCP_FIN_WAIT1,
	TCP_FIN_WAIT2,
	TCP_TIME_WAIT,
	TCP_CLOSE,
	TCP_CLOSE_WAIT,
	TCP_LAST_ACK,
	TCP_LISTEN,
	TCP_CLOSING,
};

/* Has the other end said that it writes no more? */
static inline bool ckpt_tcp_got_end(uint32_t state)
{
	return state == TCP_CLOSE_WAIT || state == TCP_CLOSING || state == TCP_LAST_ACK ||
	       state == TCP_TIME_WAIT || state == TCP_CLOSE;
}

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

/* One of MPTCP is as one of TCP as long as it is not connected. */
static inline bool ckpt_tcp_socket(const struct ckpt_socket *s)
{
	return (s->family == AF_INET || s->family == AF_INET6) && s->type == SOCK_STREAM &&
	       (s->protocol == IPPROTO_TCP || s->protocol == IPPROTO_MPTCP);
}

#define CKPT_TCP_QUEUE_MAX (1u << 30)	/* bytes in one direction */

/*
 * tcp-read.c: what a descriptor @own of socket @s is by itself; then tcp-peer-read.c: who is
 * connected with whom, and what is on its way
 */
int ckpt_read_tcp(struct ckpt_reader *r, const struct ckpt_file *f, struct ckpt_socket *s, int own,
		  struct ckpt_err *err);
int ckpt_read_tcps(struct ckpt_reader *r, struct ckpt_err *err);
int ckpt_tcp_info(int own, struct tcp_info *ret, struct ckpt_err *err);
/* POLL* that are so now. */
int ckpt_tcp_poll(int own, short *ret, struct ckpt_err *err);
/* A refusal that names who holds the socket: "pid N (command) holds ...". */
int ckpt_tcp_refuse(const struct ckpt_reader *r, const struct ckpt_file *f, const char *what,
		    struct ckpt_err *err);

/**
 * struct ckpt_tcp_patient - a socket that we put into repair mode, and what that changes
 * @own: a descriptor of ours
 */
struct ckpt_tcp_patient {
	int own, reuse;
};

/*
 * tcp-aside.c: let a process of its own @look at sockets in repair mode, one at a time; what it
 * finds goes into memory that is shared
 */
int ckpt_tcp_patient(int own, struct ckpt_tcp_patient *ret, struct ckpt_err *err);
int ckpt_tcp_aside(const struct ckpt_tcp_patient *patients, size_t n, void (*look)(void *arg),
		   void *arg, struct ckpt_err *err);
/* Return: 0 or -1 with errno.  The number is that behind the last byte of a queue. */
int ckpt_tcp_repair_on(const struct ckpt_tcp_patient *p);
int ckpt_tcp_repair_off(const struct ckpt_tcp_patient *p);
int ckpt_tcp_queue_seq(int own, int queue, uint32_t *ret);

/* Sequence numbers go round. */
static inline bool ckpt_tcp_after(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

/*
 * tcp-queue-read.c: what has come to @own and was not read; all of it stays there.
 * Return: 0; 1 only a part, up to the mark of an urgent byte; -1.
 */
int ckpt_tcp_unread(int own, uint8_t **ret, size_t *ret_n, struct ckpt_err *err);
/*
 * What was written to @from and has not come to @to, the other end of it; @ended: to which an end
 * was written as well.  Both are put into repair mode and out of it.
 */
int ckpt_tcp_unsent(int from, int to, bool ended, uint8_t **ret, size_t *ret_n,
		    struct ckpt_err *err);

/*
 * Has an urgent byte come to @own, which is @t and inode @ino, that was not passed by a read?  It
 * may have been read itself: then no call but a read up to it gives what lies behind it.  1, 0, -1
 */
int ckpt_tcp_marked(const struct ckpt_tcp *t, uint32_t ino, int own, struct ckpt_err *err);

/*
 * tcp-diag.c: how much has come to @t, inode @ino, and was not read, wherever a mark is; an end
 * counts as one.  Return: 1; 0 nobody tells; -1.
 */
int ckpt_tcp_waiting(const struct ckpt_tcp *t, uint32_t ino, uint32_t *ret, struct ckpt_err *err);
/* Is the other end of @t, which no process has, still sending? 1, 0, -1 */
int ckpt_tcp_closed_sends(const struct ckpt_tcp *t, struct ckpt_err *err);
/* Where @t, of inode @ino, is being connected to: @t->remote, empty when nobody tells. */
int ckpt_tcp_connects_to(struct ckpt_tcp *t, uint32_t ino, struct ckpt_err *err);

/* tcp-build.c: all of them, in init */
int ckpt_build_tcps(struct ckpt_restore *r, struct ckpt_err *err);
/*
 * What this machine would refuse of connections.  A connection that was killed a moment ago waits
 * in the kernel for late packets, and with it its port; to take its place ends that.
 */
int ckpt_tcp_try_connections(const struct ckpt_image *image, struct ckpt_err *err);
/* And then of the others, tried with @own, which has the options of @s; one compared. */
int ckpt_tcp_try(const struct ckpt_image *image, const struct ckpt_socket *s, int own,
		 struct ckpt_err *err);
int ckpt_verify_tcp(const struct ckpt_restore *r, const struct ckpt_socket *s, int own,
		    struct ckpt_err *err);

/**
 * struct ckpt_tcp_end - an end that is being made
 * @own: a descriptor of ours of it, not connected yet
 * @s: its options
 * @t: what it is to be
 * @bound: it has its address
 */
struct ckpt_tcp_end {
	int own;
	const struct ckpt_socket *s;
	const struct ckpt_tcp *t;
	bool bound;
};

/* tcp-connect-build.c: connect two ends of the tree, or one with nobody. */
int ckpt_tcp_connect(const struct ckpt_tcp_end *a, const struct ckpt_tcp_end *b,
		     struct ckpt_err *err);
/* The same, but nothing is sent and they are as good as not connected when they are closed. */
int ckpt_tcp_join(const struct ckpt_tcp_end *a, const struct ckpt_tcp_end *b,
		  struct ckpt_err *err);
int ckpt_tcp_finish_alone(const struct ckpt_tcp_end *a, struct ckpt_err *err);
/*
 * Steps of that for who makes one end alone, 0 or -1 with errno: connect it in repair mode, with
 * the sequence numbers of the next byte in either direction; what was agreed on; make a buffer at
 * least so large.
 */
int ckpt_tcp_start(const struct ckpt_tcp_end *e, uint32_t out, uint32_t in);
int ckpt_tcp_agree(const struct ckpt_tcp_end *e, const struct tcp_repair_window *w);
int ckpt_tcp_make_room(int own, int name, int force, size_t needed);
/* Begin to connect once more; one that cannot even begin is reset. */
int ckpt_tcp_connect_again(const struct ckpt_tcp_end *a, struct ckpt_err *err);

#endif
