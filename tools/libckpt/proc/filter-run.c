// SPDX-License-Identifier: GPL-2.0-or-later
/* Interpreter of seccomp filters: classic BPF over the number and arguments of a system call. */
#include <string.h>

#include "proc/filter.h"

struct machine {
	uint32_t a, x, mem[BPF_MEMWORDS];
	const struct seccomp_data *data;
};

static bool load(struct machine *m, const struct sock_filter *f, uint32_t *ret)
{
	switch (BPF_MODE(f->code)) {
	case BPF_IMM:
		*ret = f->k;
		return true;
	case BPF_LEN:
		*ret = sizeof(*m->data);
		return true;
	case BPF_MEM:
		*ret = f->k < BPF_MEMWORDS ? m->mem[f->k] : 0;
		return f->k < BPF_MEMWORDS;
	case BPF_ABS:
		if (f->k > sizeof(*m->data) - 4 || f->k & 3)
			return false;
		memcpy(ret, (const uint8_t *)m->data + f->k, 4);
		return true;
	}
	return false;
}

static bool calculate(struct machine *m, const struct sock_filter *f)
{
	uint32_t by = BPF_SRC(f->code) == BPF_X ? m->x : f->k;

	switch (BPF_OP(f->code)) {
	case BPF_ADD:
		m->a += by;
		return true;
	case BPF_SUB:
		m->a -= by;
		return true;
	case BPF_MUL:
		m->a *= by;
		return true;
	case BPF_DIV:
		m->a = by ? m->a / by : 0;
		return true;
	case BPF_AND:
		m->a &= by;
		return true;
	case BPF_OR:
		m->a |= by;
		return true;
	case BPF_XOR:
		m->a ^= by;
		return true;
	case BPF_LSH:
		m->a <<= by & 31;
		return true;
	case BPF_RSH:
		m->a >>= by & 31;
		return true;
	case BPF_NEG:
		m->a = -m->a;
		return true;
	}
	return false;
}

/* How many instructions to pass over. */
static bool jump(const struct machine *m, const struct sock_filter *f, size_t *ret)
{
	uint32_t with = BPF_SRC(f->code) == BPF_X ? m->x : f->k;
	bool is;

	switch (BPF_OP(f->code)) {
	case BPF_JA:
		*ret = f->k;
		return true;
	case BPF_JEQ:
		is = m->a == with;
		break;
	case BPF_JGT:
		is = m->a > with;
		break;
	case BPF_JGE:
		is = m->a >= with;
		break;
	case BPF_JSET:
		is = m->a & with;
		break;
	default:
		return false;
	}
	*ret = is ? f->jt : f->jf;
	return true;
}

static bool store(struct machine *m, const struct sock_filter *f, uint32_t value)
{
	if (f->k >= BPF_MEMWORDS)
		return false;
	m->mem[f->k] = value;
	return true;
}

/* All but returns. Return: the program makes sense so far. */
static bool step(struct machine *m, const struct sock_filter *f, size_t *ret_skip)
{
	switch (BPF_CLASS(f->code)) {
	case BPF_LD:
		return load(m, f, &m->a);
	case BPF_LDX:
		return BPF_MODE(f->code) != BPF_ABS && load(m, f, &m->x);
	case BPF_ST:
		return store(m, f, m->a);
	case BPF_STX:
		return store(m, f, m->x);
	case BPF_ALU:
		return calculate(m, f);
	case BPF_JMP:
		return jump(m, f, ret_skip);
	case BPF_MISC:
		if (BPF_MISCOP(f->code) == BPF_TAX)
			m->x = m->a;
		else
			m->a = m->x;
		return true;
	}
	return false;
}

uint32_t ckpt_filter_run(const uint64_t *insns, size_t n, const struct seccomp_data *data)
{
	struct machine m = { .data = data };
	size_t skip;

	for (size_t i = 0; i < n; i += 1 + skip) {
		struct sock_filter f;

		memcpy(&f, &insns[i], sizeof(f));
		if (BPF_CLASS(f.code) == BPF_RET)
			return BPF_RVAL(f.code) == BPF_A ? m.a : f.k;
		skip = 0;
		if (!step(&m, &f, &skip))
			break;
	}
	return SECCOMP_RET_KILL_PROCESS;
}
