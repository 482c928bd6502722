// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * TCP connections to the outside, of a tree that is killed
 *
 * Nothing of this happens to a socket of a tree that may yet run on.
 */
#include <linux/filter.h>
#include <string.h>
#include <unistd.h>

#include "proc/read.h"
#include "proc/tcp-outside.h"

int ckpt_tcp_deafen(int own, bool on)
{
	struct sock_filter none = BPF_STMT(BPF_RET | BPF_K, 0);
	const struct sock_fprog program = { .len = 1, .filter = &none };
	const int unused = 0;

	return on ? setsockopt(own, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) :
		    setsockopt(own, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof(unused));
}

void ckpt_outside_borrow(struct ckpt_hold *hold)
{
	struct ckpt_err ignored = CKPT_ERR_INIT;

	for (size_t i = 0; i < hold->n_tcps; i++) {
		const struct ckpt_file f = {
			.capture_pid = hold->tcps[i].pid, .capture_fd = hold->tcps[i].fd,
		};

		hold->tcps[i].own = ckpt_borrow_fd(&f, &ignored);
	}
}

/* Deaf, so that it stays as it is.  What the kernel has sent meanwhile the checkpoint has too. */
static bool is_as_read(const struct ckpt_held_tcp *t)
{
	const struct ckpt_tcp_patient p = { .own = t->own };
	struct ckpt_err ignored = CKPT_ERR_INIT;
	struct tcp_info i;
	uint32_t in, end;

	return !ckpt_tcp_deafen(t->own, true) && !ckpt_tcp_repair_on(&p) &&
	       !ckpt_tcp_queue_seq(t->own, TCP_RECV_QUEUE, &in) && in == t->in &&
	       !ckpt_tcp_queue_seq(t->own, TCP_SEND_QUEUE, &end) && end == t->end &&
	       !ckpt_tcp_info(t->own, &i, &ignored) && i.tcpi_state == TCP_ESTABLISHED;
}

void ckpt_outside_leave(struct ckpt_hold *hold, uint32_t *ret_left, uint32_t *ret_reset)
{
	const struct sockaddr nowhere = { .sa_family = AF_UNSPEC };

	for (struct ckpt_held_tcp *t = hold->tcps; t < hold->tcps + hold->n_tcps; t++) {
		const struct ckpt_tcp_patient p = { .own = t->own };
		bool left;

		if (t->own < 0)
			continue;
		left = is_as_read(t);
		/* in repair mode nothing is said; without it the other end is told at once */
		if (!left)
			ckpt_tcp_repair_off(&p);
		(void)connect(t->own, &nowhere, sizeof(nowhere));
		/* somebody else may have it as well */
		ckpt_tcp_repair_off(&p);
		ckpt_tcp_deafen(t->own, false);
		close(t->own);
		t->own = -1;
		*(left ? ret_left : ret_reset) += 1;
	}
}
