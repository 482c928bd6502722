// SPDX-License-Identifier: GPL-2.0-or-later
/* Parser of maps and smaps. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>

#include "proc/parse.h"

/* A number in @base up to @stop, which must follow; -1 when it is not there. */
static int number(const char **at, unsigned int base, char stop, uint64_t *ret)
{
	const char *p = *at;
	uint64_t v = 0;

	for (;; p++) {
		unsigned int digit;

		if (*p >= '0' && *p <= '9')
			digit = *p - '0';
		else if (*p >= 'a' && *p <= 'f')
			digit = *p - 'a' + 10;
		else
			break;
		if (digit >= base || v > (UINT64_MAX - digit) / base)
			return -1;
		v = v * base + digit;
	}
	if (p == *at || *p != stop)
		return -1;
	*at = p + 1;
	*ret = v;
	return 0;
}

static int perms(const char *p, struct ckpt_maps_line *ret)
{
	static const char on[] = "rwx";
	static const uint32_t prot[] = { PROT_READ, PROT_WRITE, PROT_EXEC };

	ret->prot = 0;
	for (int i = 0; i < 3; i++) {
		if (p[i] == on[i])
			ret->prot |= prot[i];
		else if (p[i] != '-')
			return -1;
	}
	if ((p[3] != 's' && p[3] != 'p') || p[4] != ' ')
		return -1;
	ret->shared = p[3] == 's';
	return 0;
}

int ckpt_parse_maps_line(const char **at, struct ckpt_maps_line *ret)
{
	struct ckpt_maps_line m = { 0 };
	uint64_t major, minor;
	const char *p = *at;
	const char *end;

	if (!*p)
		return 0;
	if (number(&p, 16, '-', &m.start) || number(&p, 16, ' ', &m.end) || strnlen(p, 5) < 5 ||
	    perms(p, &m))
		return -1;
	p += 5;
	if (number(&p, 16, ' ', &m.pgoff) || number(&p, 16, ':', &major) ||
	    number(&p, 16, ' ', &minor))
		return -1;
	if (number(&p, 10, ' ', &m.ino)) {
		/* a line without a path ends behind the number on some kernels */
		if (number(&p, 10, '\n', &m.ino))
			return -1;
		p--;
	}
	m.dev = makedev(major, minor);
	while (*p == ' ')
		p++;
	end = strchrnul(p, '\n');
	m.path = p;
	m.path_len = end - p;
	if (m.start >= m.end)
		return -1;
	*at = *end ? end + 1 : end;
	*ret = m;
	return 1;
}

static const struct {
	char name[3];
	uint32_t area, other;
} vm_flags[] = {
	{ "gd", CKPT_AREA_F_GROWSDOWN, 0 },
	{ "nr", CKPT_AREA_F_NORESERVE, 0 },
	{ "lo", CKPT_AREA_F_LOCKED, 0 },
	{ "dc", CKPT_AREA_F_DONTFORK, 0 },
	{ "wf", CKPT_AREA_F_WIPEONFORK, 0 },
	{ "dd", CKPT_AREA_F_DONTDUMP, 0 },
	{ "hg", CKPT_AREA_F_HUGEPAGE, 0 },
	{ "nh", CKPT_AREA_F_NOHUGEPAGE, 0 },
	{ "mg", CKPT_AREA_F_MERGEABLE, 0 },
	{ "sr", CKPT_AREA_F_SEQ, 0 },
	{ "rr", CKPT_AREA_F_RAND, 0 },
	{ "dp", CKPT_AREA_F_DROPPABLE, 0 },
	{ "mw", CKPT_AREA_F_MAYWRITE, 0 },
	{ "ac", CKPT_AREA_F_ACCOUNT, 0 },
	{ "io", 0, CKPT_VM_IO },
	{ "pf", 0, CKPT_VM_PFNMAP },
	{ "ht", 0, CKPT_VM_HUGETLB },
	{ "ss", 0, CKPT_VM_SHADOW_STACK },
	{ "um", 0, CKPT_VM_UFFD },
	{ "uw", 0, CKPT_VM_UFFD_WP },
	{ "ui", 0, CKPT_VM_UFFD },
	{ "sl", CKPT_AREA_F_SEALED, 0 },
	{ "mm", 0, CKPT_VM_MIXEDMAP },
	{ "sh", 0, CKPT_VM_SHARED },
	{ "sf", 0, CKPT_VM_SYNC },
	/* what the first columns say as well, what mprotect may do, what the kernel notes */
	{ "rd", 0, 0 },
	{ "wr", 0, 0 },
	{ "ex", 0, 0 },
	{ "mr", 0, 0 },
	{ "me", 0, 0 },
	{ "ms", 0, 0 },
	{ "de", 0, 0 },
	{ "ar", 0, 0 },
	{ "sd", 0, 0 },
	/* it has or had guard regions, which the pages tell */
	{ "gu", 0, 0 },
	/* locked on fault; before 6.18 it has no name */
	{ "lf", 0, CKPT_VM_NAMELESS },
	{ "??", 0, CKPT_VM_NAMELESS },
};

static void add_flag(struct ckpt_vm_flags *f, const char *name)
{
	for (size_t i = 0; i < sizeof(vm_flags) / sizeof(vm_flags[0]); i++) {
		if (name[0] == vm_flags[i].name[0] && name[1] == vm_flags[i].name[1]) {
			f->area |= vm_flags[i].area;
			f->other |= vm_flags[i].other;
			return;
		}
	}
	f->other |= CKPT_VM_UNKNOWN;
}

static struct ckpt_vm_flags flags_of(const char *p)
{
	struct ckpt_vm_flags f = { 0 };

	while (*p && *p != '\n') {
		if (*p == ' ') {
			p++;
			continue;
		}
		add_flag(&f, p);
		while (*p && *p != ' ' && *p != '\n')
			p++;
	}
	return f;
}

int ckpt_parse_smaps_area(const char **at, struct ckpt_maps_line *ret,
			  struct ckpt_vm_flags *ret_flags, const char **ret_line, size_t *ret_len)
{
	static const char last[] = "VmFlags:", pkey[] = "ProtectionKey:";
	struct ckpt_maps_line m;
	const char *p = *at;
	bool has_key = false;
	int r = ckpt_parse_maps_line(&p, &m);

	if (r <= 0)
		return r;
	while (*p && strncmp(p, last, sizeof(last) - 1)) {
		if (!strncmp(p, pkey, sizeof(pkey) - 1))
			has_key = strtoul(p + sizeof(pkey) - 1, NULL, 10);
		p = strchrnul(p, '\n');
		if (*p)
			p++;
	}
	if (!*p)
		return -1;
	*ret = m;
	*ret_flags = flags_of(p + sizeof(last) - 1);
	if (has_key)
		ret_flags->other |= CKPT_VM_PKEY;
	*ret_line = *at;
	*ret_len = m.path + m.path_len - *at;
	p = strchrnul(p, '\n');
	*at = *p ? p + 1 : p;
	return 1;
}

int ckpt_parse_numa_line(const char **at, const char **ret_policy, size_t *ret_len)
{
	const char *p = *at;
	uint64_t start;

	if (!*p)
		return 0;
	if (number(&p, 16, ' ', &start))
		return -1;
	*ret_policy = p;
	*ret_len = strcspn(p, " \n");
	p = strchrnul(p, '\n');
	*at = *p ? p + 1 : p;
	return *ret_len ? 1 : -1;
}
