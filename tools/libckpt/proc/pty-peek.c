// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Peeks: what waits at an end of a pseudo terminal, and stays there
 *
 * No system call tells without taking it out.  The kernel knows: n_tty has a ring of what it has
 * taken in, bits for where lines end in it, and counts how far it was read; what the other end has
 * written since then waits in a list of buffers.  A small BPF program that we call ourselves
 * finds a terminal by a descriptor of ours, and reads the kernel's memory, piece by piece.
 *
 * While its buffers are being worked off, a mutex is held.  So what was found with nobody
 * holding it, twice the same, is what was there in between.
 */
#include <string.h>
#include <unistd.h>

#include "proc/bpf.h"
#include "proc/pty.h"

#define PIECE 256
/* More buffers than what can wait there fills, each as small as they come. */
#define BUFFERS_MAX 256

/* What the program is given; it gives back @at of the terminal, or @data. */
struct request {
	uint64_t fd, at, len;
	uint8_t data[PIECE];
};

/* From a task to the terminal of its descriptor; then what is in that one. */
enum {
	FILES, FDT, FD, PRIVATE, TTY,
	DISCIPLINE, PORT, TCO_STOPPED, FLOW,
	HEAD, ECHO_HEAD, ECHO_TAIL, TAIL, QUOTED, BYTES, ENDS,
	LIST, FIRST, LOCK, OWNER, COMMITTED, TAKEN, DATA,
	N_MEMBERS
};
_Static_assert(N_MEMBERS == CKPT_PTY_MEMBERS, "room for the offset of each");

static const struct ckpt_btf_member wanted[N_MEMBERS] = {
	[FILES] = { "task_struct", "files", 0 },
	[FDT] = { "files_struct", "fdt", 0 },
	[FD] = { "fdtable", "fd", 0 },
	[PRIVATE] = { "file", "private_data", 0 },
	[TTY] = { "tty_file_private", "tty", 0 },
	[DISCIPLINE] = { "tty_struct", "disc_data", 0 },
	[PORT] = { "tty_struct", "port", 0 },
	[FLOW] = { "tty_struct", "flow", 0 },
	/* the only structure without a name that has it; stopped stands before it */
	[TCO_STOPPED] = { "", "tco_stopped", 0 },
	[HEAD] = { "n_tty_data", "read_head", 0 },
	[ECHO_HEAD] = { "n_tty_data", "echo_head", 0 },
	[ECHO_TAIL] = { "n_tty_data", "echo_tail", 0 },
	[TAIL] = { "n_tty_data", "read_tail", 0 },
	[QUOTED] = { "n_tty_data", "lnext", 0 },	/* the first bit there */
	[BYTES] = { "n_tty_data", "read_buf", 0 },
	[ENDS] = { "n_tty_data", "read_flags", 0 },
	[LIST] = { "tty_port", "buf", 0 },
	[FIRST] = { "tty_bufhead", "head", 0 },
	[LOCK] = { "tty_bufhead", "lock", 0 },
	[OWNER] = { "mutex", "owner", 0 },
	/* of a buffer, which begins with a pointer to the next one */
	[COMMITTED] = { "tty_buffer", "commit", 0 },
	[TAKEN] = { "tty_buffer", "read", 0 },
	[DATA] = { "tty_buffer", "data", 0 },
};

static void write_find(struct ckpt_bpf *p, const uint32_t *offset)
{
	ckpt_bpf_call(p, BPF_FUNC_get_current_task);
	ckpt_bpf_load(p, BPF_REG_0, offset[FILES]);
	ckpt_bpf_load(p, BPF_REG_7, offset[FDT]);
	ckpt_bpf_load(p, BPF_REG_7, offset[FD]);
	ckpt_bpf_emit(p, BPF_LDX | BPF_MEM | BPF_DW, BPF_REG_8, BPF_REG_6,
		      offsetof(struct request, fd), 0);
	ckpt_bpf_emit(p, BPF_ALU64 | BPF_LSH | BPF_K, BPF_REG_8, 0, 0, 3);
	ckpt_bpf_emit(p, BPF_ALU64 | BPF_ADD | BPF_X, BPF_REG_7, BPF_REG_8, 0, 0);
	ckpt_bpf_load(p, BPF_REG_7, 0);
	ckpt_bpf_load(p, BPF_REG_7, offset[PRIVATE]);
	ckpt_bpf_load(p, BPF_REG_7, offset[TTY]);
	ckpt_bpf_emit(p, BPF_STX | BPF_MEM | BPF_DW, BPF_REG_6, BPF_REG_7,
		      offsetof(struct request, at), 0);
	ckpt_bpf_end(p, 0);
}

/* By way of the stack: it goes to what the program was given word by word. */
static void write_read(struct ckpt_bpf *p)
{
	ckpt_bpf_emit(p, BPF_JMP | BPF_JLE | BPF_K, BPF_REG_7, 0, 2, PIECE);
	ckpt_bpf_end(p, 1);
	for (int at = 0; at < PIECE; at += 8)
		ckpt_bpf_emit(p, BPF_ST | BPF_MEM | BPF_DW, BPF_REG_10, 0, at - PIECE, 0);
	ckpt_bpf_move(p, BPF_REG_1, BPF_REG_10);
	ckpt_bpf_add(p, BPF_REG_1, -PIECE);
	ckpt_bpf_move(p, BPF_REG_2, BPF_REG_7);
	ckpt_bpf_emit(p, BPF_LDX | BPF_MEM | BPF_DW, BPF_REG_3, BPF_REG_6,
		      offsetof(struct request, at), 0);
	ckpt_bpf_call(p, BPF_FUNC_probe_read_kernel);
	ckpt_bpf_emit(p, BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_0, 0, 2, 0);
	ckpt_bpf_end(p, 1);
	for (int at = 0; at < PIECE; at += 8) {
		ckpt_bpf_emit(p, BPF_LDX | BPF_MEM | BPF_DW, BPF_REG_1, BPF_REG_10, at - PIECE, 0);
		ckpt_bpf_emit(p, BPF_STX | BPF_MEM | BPF_DW, BPF_REG_6, BPF_REG_1,
			      offsetof(struct request, data) + at, 0);
	}
	ckpt_bpf_end(p, 0);
}

int ckpt_pty_peek_open(struct ckpt_pty_peek *ret)
{
	struct ckpt_btf_member members[N_MEMBERS];
	struct ckpt_bpf p = { .n = 0 };
	uint32_t skip;

	ret->program = -1;
	memcpy(members, wanted, sizeof(members));
	if (ckpt_bpf_members(members, N_MEMBERS))
		return -1;
	for (int i = 0; i < N_MEMBERS; i++)
		ret->offset[i] = members[i].offset;
	ckpt_bpf_move(&p, BPF_REG_6, BPF_REG_1);
	ckpt_bpf_emit(&p, BPF_LDX | BPF_MEM | BPF_DW, BPF_REG_7, BPF_REG_6,
		      offsetof(struct request, len), 0);
	skip = p.n;
	ckpt_bpf_emit(&p, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_7, 0, 0, 0);
	write_find(&p, ret->offset);
	p.insns[skip].off = p.n - skip - 1;
	write_read(&p);
	ret->program = ckpt_bpf_make(&p, BPF_PROG_TYPE_SYSCALL, BPF_F_SLEEPABLE, "ckpt_pty_peek");
	return ret->program < 0 ? -1 : 0;
}

void ckpt_pty_peek_close(struct ckpt_pty_peek *peek)
{
	if (peek->program >= 0)
		close(peek->program);
	peek->program = -1;
}

/* Kernel memory at @at. */
static int get(const struct ckpt_pty_peek *peek, uint64_t at, void *to, size_t len)
{
	for (size_t done = 0; done < len;) {
		struct request r = { .at = at + done };

		r.len = len - done < PIECE ? len - done : PIECE;
		if (ckpt_bpf_run(peek->program, &r, sizeof(r)))
			return -1;
		memcpy((uint8_t *)to + done, r.data, r.len);
		done += r.len;
	}
	return 0;
}

static uint64_t word(const struct ckpt_pty_peek *peek, uint64_t at, bool *ok)
{
	uint64_t value = 0;

	*ok &= !get(peek, at, &value, sizeof(value));
	return value;
}

static uint32_t half(const struct ckpt_pty_peek *peek, uint64_t at, bool *ok)
{
	uint32_t value = 0;

	*ok &= !get(peek, at, &value, sizeof(value));
	return value;
}

/* What moves when buffers are worked off. */
struct moving {
	uint64_t owner, head, tail, echo_head, echo_tail;
	uint64_t buffer;
	uint32_t taken, waiting;
};

/* Of the list, the first buffer with something in it tells; more are behind it. */
static bool look(const struct ckpt_pty_peek *peek, uint64_t data, uint64_t port, struct moving *m)
{
	const uint32_t *o = peek->offset;
	uint64_t list = port + o[LIST];
	bool ok = true;

	*m = (struct moving){
		.owner = word(peek, list + o[LOCK] + o[OWNER], &ok),
		.head = word(peek, data + o[HEAD], &ok),
		.tail = word(peek, data + o[TAIL], &ok),
		.echo_head = word(peek, data + o[ECHO_HEAD], &ok),
		.echo_tail = word(peek, data + o[ECHO_TAIL], &ok),
		.buffer = word(peek, list + o[FIRST], &ok),
	};
	m->taken = ok ? half(peek, m->buffer + o[TAKEN], &ok) : 0;
	m->waiting = ok ? half(peek, m->buffer + o[COMMITTED], &ok) : 0;
	return ok;
}

static int get_ring(const struct ckpt_pty_peek *peek, uint64_t data, const struct moving *m,
		    struct ckpt_pty_end *ret)
{
	const uint32_t *o = peek->offset;
	uint8_t ring[CKPT_PTY_RING], ends[CKPT_PTY_RING / 8];

	ret->taken = m->head - m->tail;
	if (!ret->taken)
		return 0;
	if (ret->taken > CKPT_PTY_RING || get(peek, data + o[BYTES], ring, sizeof(ring)) ||
	    get(peek, data + o[ENDS], ends, sizeof(ends)))
		return -1;
	for (uint32_t i = 0; i < ret->taken; i++) {
		uint32_t at = (m->tail + i) % CKPT_PTY_RING;

		ret->bytes[i] = ring[at];
		ret->ends[i] = ends[at / 8] >> at % 8 & 1;
	}
	return 0;
}

static int get_buffers(const struct ckpt_pty_peek *peek, uint64_t buffer, struct ckpt_pty_end *ret)
{
	const uint32_t *o = peek->offset;

	ret->len = ret->taken;
	for (int i = 0; buffer && i < BUFFERS_MAX; i++) {
		bool ok = true;
		uint32_t taken = half(peek, buffer + o[TAKEN], &ok);
		uint32_t committed = half(peek, buffer + o[COMMITTED], &ok);

		if (!ok || committed < taken || committed - taken > CKPT_PTY_LEN_MAX - ret->len ||
		    get(peek, buffer + o[DATA] + taken, ret->bytes + ret->len, committed - taken))
			return -1;
		ret->len += committed - taken;
		buffer = word(peek, buffer, &ok);
		if (!ok)
			return -1;
	}
	return buffer ? -1 : 0;
}

int ckpt_pty_peek(const struct ckpt_pty_peek *peek, int fd, struct ckpt_pty_end *ret)
{
	struct request find = { .fd = fd };
	const uint32_t *o = peek->offset;
	uint8_t flow[2], bits;
	struct moving m, again;
	uint64_t data, port;
	bool ok = true;

	if (ckpt_bpf_run(peek->program, &find, sizeof(find)))
		return -1;
	data = word(peek, find.at + o[DISCIPLINE], &ok);
	port = word(peek, find.at + o[PORT], &ok);
	if (!ok || !look(peek, data, port, &m))
		return -1;
	if (m.owner)
		return 1;
	if (get(peek, find.at + o[FLOW] + o[TCO_STOPPED] - 1, flow, sizeof(flow)) ||
	    get(peek, data + o[QUOTED], &bits, 1))
		return -1;
	ret->stopped = flow[0];
	ret->tco_stopped = flow[1];
	ret->quoted = bits & 1;
	ret->echo = m.echo_head != m.echo_tail;
	/* what fails here may have been changed under our eyes */
	ok = !get_ring(peek, data, &m, ret) && !get_buffers(peek, m.buffer, ret);
	if (!look(peek, data, port, &again))
		return -1;
	return memcmp(&m, &again, sizeof(m)) ? 1 : ok ? 0 : -1;
}
