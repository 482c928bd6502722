// SPDX-License-Identifier: GPL-2.0-or-later
/* Vdso code: parsed, bounded by what is there, and patched. */
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "proc/vdso.h"

#define NEAR_LEN 5u	/* jmp to a distance of 32 bits */
#define FAR_LEN 14u	/* jmp to an address behind it; no register changes */

/* A table of the file: where it is and how many elements of @size it has. */
struct table {
	const uint8_t *at;
	size_t n;
};

static const char *find_table(const struct ckpt_vdso_code *c, uint64_t offset, uint64_t len,
			      size_t size, struct table *ret)
{
	if (offset > c->len || len > c->len - offset || len % size)
		return "has a table that is not in it";
	*ret = (struct table){ c->data + offset, len / size };
	return NULL;
}

/* Everywhere in the file: nothing in it has to be aligned. */
static Elf64_Shdr section(const struct table *sections, size_t i)
{
	Elf64_Shdr s;

	memcpy(&s, sections->at + i * sizeof(s), sizeof(s));
	return s;
}

static const char *find_sections(const struct ckpt_vdso_code *c, struct table *ret)
{
	static const uint8_t ident[] = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB };
	Elf64_Ehdr head;

	if (c->len < sizeof(head))
		return "is too short";
	memcpy(&head, c->data, sizeof(head));
	if (memcmp(head.e_ident, ident, sizeof(ident)) || head.e_machine != EM_X86_64 ||
	    head.e_type != ET_DYN || head.e_shentsize != sizeof(Elf64_Shdr))
		return "is no shared object for this processor";
	return find_table(c, head.e_shoff, (uint64_t)head.e_shnum * sizeof(Elf64_Shdr),
			  sizeof(Elf64_Shdr), ret);
}

/* It is linked to address 0 and mapped as it is: addresses are offsets. */
static const char *find_text(struct ckpt_vdso_code *c, const struct table *sections)
{
	for (size_t i = 0; i < sections->n; i++) {
		const Elf64_Shdr s = section(sections, i);

		if (!(s.sh_flags & SHF_ALLOC) || !(s.sh_flags & SHF_EXECINSTR))
			continue;
		if (s.sh_addr != s.sh_offset || s.sh_offset > c->len ||
		    s.sh_size > c->len - s.sh_offset)
			return "has code that is not in it";
		c->start = c->end && c->start < s.sh_offset ? c->start : s.sh_offset;
		if (s.sh_offset + s.sh_size > c->end)
			c->end = s.sh_offset + s.sh_size;
	}
	return c->end ? NULL : "has no code";
}

static const char *add_symbol(struct ckpt_vdso_code *c, const Elf64_Sym *sym,
			      const struct table *names)
{
	const uint8_t type = ELF64_ST_TYPE(sym->st_info);

	/* its version is an object of no section */
	if (sym->st_shndx == SHN_UNDEF || sym->st_shndx >= SHN_LORESERVE ||
	    (type != STT_FUNC && type != STT_NOTYPE))
		return NULL;
	if (sym->st_name >= names->n ||
	    !memchr(names->at + sym->st_name, 0, names->n - sym->st_name))
		return "has a function whose name is not in it";
	if (sym->st_value < c->start || sym->st_value >= c->end)
		return "has a function that is not in its code";
	if (c->n == CKPT_VDSO_SYMBOLS)
		return "has more functions than are known";
	c->symbol[c->n++] = (struct ckpt_vdso_symbol){
		sym->st_value, (const char *)names->at + sym->st_name
	};
	return NULL;
}

static const char *find_symbols(struct ckpt_vdso_code *c, const struct table *sections,
				const Elf64_Shdr *dynsym)
{
	struct table symbols, names;
	const char *wrong;
	Elf64_Shdr strings;

	if (dynsym->sh_link >= sections->n)
		return "has names in a section that is not there";
	strings = section(sections, dynsym->sh_link);
	wrong = find_table(c, dynsym->sh_offset, dynsym->sh_size, sizeof(Elf64_Sym), &symbols);
	if (!wrong)
		wrong = find_table(c, strings.sh_offset, strings.sh_size, 1, &names);
	for (size_t i = 0; !wrong && i < symbols.n; i++) {
		Elf64_Sym sym;

		memcpy(&sym, symbols.at + i * sizeof(sym), sizeof(sym));
		wrong = add_symbol(c, &sym, &names);
	}
	return wrong;
}

static int by_offset(const void *a, const void *b)
{
	const struct ckpt_vdso_symbol *x = a, *y = b;

	return (x->at > y->at) - (x->at < y->at);
}

/* How many bytes from the beginning of symbol @i on are its own. */
static uint64_t room_of(const struct ckpt_vdso_code *c, size_t i)
{
	for (size_t j = i + 1; j < c->n; j++) {
		if (c->symbol[j].at != c->symbol[i].at)
			return c->symbol[j].at - c->symbol[i].at;
	}
	return c->end - c->symbol[i].at;
}

const char *ckpt_vdso_parse(const void *data, size_t len, struct ckpt_vdso_code *ret)
{
	struct ckpt_vdso_code c = { .data = data, .len = len };
	const char *wrong;
	struct table sections;
	size_t i;

	wrong = find_sections(&c, &sections);
	if (!wrong)
		wrong = find_text(&c, &sections);
	for (i = 0; !wrong && i < sections.n; i++) {
		const Elf64_Shdr s = section(&sections, i);

		if (s.sh_type == SHT_DYNSYM)
			wrong = find_symbols(&c, &sections, &s);
	}
	if (wrong)
		return wrong;
	if (!c.n)
		return "has no functions";
	qsort(c.symbol, c.n, sizeof(c.symbol[0]), by_offset);
	for (i = 0; i < c.n; i++) {
		if (room_of(&c, i) < NEAR_LEN)
			return "has functions that overlap";
	}
	*ret = c;
	return NULL;
}

bool ckpt_vdso_inside(const struct ckpt_vdso_code *c, uint64_t at)
{
	if (at < c->start || at >= c->end)
		return false;
	for (size_t i = 0; i < c->n; i++) {
		if (c->symbol[i].at == at)
			return false;
	}
	return true;
}

bool ckpt_vdso_returns(const struct ckpt_vdso_code *c, uint64_t at)
{
	return at >= c->start + NEAR_LEN && at <= c->end && c->data[at - NEAR_LEN] == 0xe8;
}

/* mov $NR, %eax; syscall; ret: they have the arguments of their calls. */
static const struct {
	const char *name;
	uint32_t nr;
} calls[] = {
	{ "clock_gettime", SYS_clock_gettime },
	{ "gettimeofday", SYS_gettimeofday },
	{ "time", SYS_time },
	{ "getcpu", SYS_getcpu },
	{ "clock_getres", SYS_clock_getres },
};

static size_t put_call(uint8_t *to, uint32_t nr)
{
	uint8_t code[] = { 0xb8, 0, 0, 0, 0, 0x0f, 0x05, 0xc3 };

	memcpy(code + 1, &nr, sizeof(nr));
	memcpy(to, code, sizeof(code));
	return sizeof(code);
}

/* mov $VALUE, %rax; ret */
static size_t put_value(uint8_t *to, int32_t value)
{
	uint8_t code[] = { 0x48, 0xc7, 0xc0, 0, 0, 0, 0, 0xc3 };

	memcpy(code + 3, &value, sizeof(value));
	memcpy(to, code, sizeof(code));
	return sizeof(code);
}

/*
 * Always the call of the kernel: the state that the caller brings along has the size that the
 * old kernel told it, and the new one would not take another.  Who has not asked for that size
 * yet (a fifth argument of ~0) hears that there is no such function, and makes the call itself.
 */
static size_t put_getrandom(uint8_t *to)
{
	/* cmp $-1, %r8; je over the call */
	static const uint8_t head[] = { 0x49, 0x83, 0xf8, 0xff, 0x74, 0x08 };
	size_t n = sizeof(head);

	memcpy(to, head, n);
	n += put_call(to + n, SYS_getrandom);
	return n + put_value(to + n, -ENOSYS);
}

static size_t put_jump(uint8_t *to, uint64_t from, uint64_t target)
{
	const int64_t distance = target - (from + NEAR_LEN);
	const int32_t near = distance;

	if (near == distance) {
		to[0] = 0xe9;
		memcpy(to + 1, &near, sizeof(near));
		return NEAR_LEN;
	}
	/* jmp *0(%rip) */
	memcpy(to, (const uint8_t[]){ 0xff, 0x25, 0, 0, 0, 0 }, 6);
	memcpy(to + 6, &target, sizeof(target));
	return FAR_LEN;
}

static const char *bare(const char *name)
{
	return strncmp(name, "__vdso_", 7) ? name : name + 7;
}

static const struct ckpt_vdso_symbol *counterpart(const struct ckpt_vdso_code *is,
						  const char *name)
{
	for (size_t i = 0; i < is->n; i++) {
		if (!strcmp(is->symbol[i].name, name))
			return &is->symbol[i];
	}
	return NULL;
}

#define BODY_MAX 32

/* What a function under that name is to do. Return: its length; 0: nobody knows. */
static size_t make_body(const char *name, uint64_t at, const struct ckpt_vdso_code *is,
			uint64_t is_base, uint8_t body[BODY_MAX])
{
	const struct ckpt_vdso_symbol *there = counterpart(is, name);

	if (!strcmp(bare(name), "getrandom"))
		return put_getrandom(body);
	if (there)
		return put_jump(body, at, is_base + there->at);
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		if (!strcmp(bare(name), calls[i].name))
			return put_call(body, calls[i].nr);
	}
	/* no enclave comes through a checkpoint, and this kernel makes none */
	if (!strcmp(bare(name), "sgx_enter_enclave"))
		return put_value(body, -EINVAL);
	return 0;
}

/* The same for the function at symbol @i, under the first of its names that says it. */
static size_t find_body(const struct ckpt_vdso_code *was, size_t i, uint64_t base,
			const struct ckpt_vdso_code *is, uint64_t is_base, uint8_t body[BODY_MAX])
{
	const uint64_t at = was->symbol[i].at;
	size_t len = 0;

	for (; i < was->n && was->symbol[i].at == at && !len; i++)
		len = make_body(was->symbol[i].name, base + at, is, is_base, body);
	return len;
}

int ckpt_vdso_patch(const struct ckpt_vdso_code *was, uint64_t base,
		    const struct ckpt_vdso_code *is, uint64_t is_base, const char *kernel,
		    uint8_t *ret, struct ckpt_err *err)
{
	uint8_t body[BODY_MAX];

	memcpy(ret, was->data, was->len);
	for (size_t i = 0; i < was->n; i++) {
		const struct ckpt_vdso_symbol *s = &was->symbol[i];
		size_t len;

		if (i && s[-1].at == s->at)
			continue;
		len = find_body(was, i, base, is, is_base, body);
		if (!len)
			return ckpt_fail(err, CKPT_REFUSED, 0,
					 "the vdso of Linux %s, where the checkpoint was taken, "
					 "has a function '%s' that this kernel lacks; boot that "
					 "kernel", kernel, s->name);
		if (len > room_of(was, i))
			return ckpt_fail(err, CKPT_REFUSED, 0,
					 "the function '%s' in the vdso of Linux %s, where the "
					 "checkpoint was taken, is too short to lead to that of "
					 "this kernel; boot that kernel", s->name, kernel);
		memcpy(ret + s->at, body, len);
	}
	return 0;
}
