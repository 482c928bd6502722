// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A copy of a process's private memory, kept by takes alone
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/model.h"
#include "lib/world.h"

/* Empty parts of areas beyond this are not read page by page. */
#define CHECK_MAX (64UL << 20)

struct model_page {
	uint64_t addr;
	uint32_t stamp;
	bool there;
	uint8_t data[PAGE];
};

void model_init(struct model *m, pid_t pid, int file)
{
	struct stat st;

	memset(m, 0, sizeof(*m));
	m->pid = pid;
	m->file = file;
	m->ino = file >= 0 && !fstat(file, &st) ? st.st_ino : 0;
	m->cap = 1 << 17;
	m->slot = calloc(m->cap, sizeof(*m->slot));
	if (!m->slot)
		die("model");
}

void model_free(struct model *m)
{
	size_t i;

	for (i = 0; i < m->cap; i++)
		free(m->slot[i]);
	free(m->slot);
}

static struct model_page *find(struct model *m, uint64_t addr, bool make)
{
	size_t i = (addr >> 12) * 0x9e3779b97f4a7c15ULL >> 47 & (m->cap - 1);

	while (m->slot[i] && m->slot[i]->addr != addr)
		i = (i + 1) & (m->cap - 1);
	if (m->slot[i] || !make)
		return m->slot[i];
	if (++m->nr > m->cap / 2)
		die("the model is too small");
	m->slot[i] = calloc(1, sizeof(**m->slot));
	if (!m->slot[i])
		die("model");
	m->slot[i]->addr = addr;
	return m->slot[i];
}

static bool has_content(int state)
{
	return state == CKPT_PAGE_ANON || state == CKPT_PAGE_SWAP ||
	       state == CKPT_PAGE_MIGRATION || state == CKPT_PAGE_SPECIAL;
}

static bool is_modelled(const struct model *m, const struct area *a)
{
	return a->pid == m->pid && a->end && !(a->flags & (CKPT_AREA_SHARED | CKPT_AREA_UNWALKED));
}

static void take_run(struct model *m, const struct ckpt_run *r)
{
	struct model_page *page;
	uint64_t addr = r->start;
	uint32_t i;

	for (i = 0; i < r->pages; i++, addr += PAGE) {
		page = find(m, addr, true);
		page->stamp = m->stamp;
		if (!(r->flags & CKPT_RUN_DIRTY))
			continue;
		/* In a live round it may be gone again; a later round says so. */
		if (child_read(m->pid, addr, page->data, PAGE) == PAGE)
			page->there = true;
		m->read_pages++;
	}
}

void model_round(struct model *m, const struct pages *p)
{
	const struct area *a;
	size_t i, j;

	for (i = 0; i < p->nr_areas; i++) {
		if (p->area[i].pid == m->pid && (p->area[i].mm_flags & CKPT_MM_BUSY))
			return;
		if (p->area[i].pid == m->pid && (p->area[i].mm_flags & CKPT_MM_OVERFLOW))
			die("the module kept not all runs");
	}
	m->stamp++;
	for (i = 0; i < p->nr_areas; i++) {
		a = &p->area[i];
		for (j = 0; is_modelled(m, a) && j < a->nr_runs; j++)
			if (has_content(p->run[a->run + j].state))
				take_run(m, &p->run[a->run + j]);
	}
	for (i = 0; i < m->cap; i++)
		if (m->slot[i] && m->slot[i]->stamp != m->stamp)
			m->slot[i]->there = false;
}

/* What the page should hold by model and state.  Return: false if unknown here. */
static bool expected(struct model *m, const struct area *a, uint64_t addr, int state,
		     const uint8_t **ret)
{
	static uint8_t buf[PAGE];
	struct model_page *page;

	memset(buf, 0, PAGE);
	*ret = buf;
	if (has_content(state)) {
		page = find(m, addr, false);
		*ret = page && page->there ? page->data : NULL;
		return true;
	}
	if (state == CKPT_PAGE_ZERO || !(a->flags & CKPT_AREA_FILE))
		return true;
	return a->ino == m->ino && m->file >= 0 &&
	       pread(m->file, buf, PAGE,
		     (off_t)((a->pgoff << 12) + (addr - a->start))) >= 0;
}

static size_t verify_page(struct model *m, const struct pages *p, const struct area *a,
			  uint64_t addr, size_t *checked)
{
	const uint8_t *want;
	uint8_t is[PAGE];
	uint32_t flags;
	int state = pages_state(p, m->pid, addr, &flags);

	if (!expected(m, a, addr, state, &want) || child_read(m->pid, addr, is, PAGE) != PAGE)
		return 0;
	(*checked)++;
	if (want && !memcmp(want, is, PAGE))
		return 0;
	note("%#lx: state %d flags %#x in area %#lx-%#lx flags %#x: %s", addr, state, flags,
	     a->start, a->end, a->flags, want ? "differs" : "never reported dirty");
	return 1;
}

size_t model_verify(struct model *m, const struct pages *p, size_t *ret_checked)
{
	const struct area *a;
	size_t i, lost = 0;
	uint64_t addr;

	*ret_checked = 0;
	for (i = 0; i < p->nr_areas && lost < 20; i++) {
		a = &p->area[i];
		/* An area told in parts is checked once. */
		if (!is_modelled(m, a) || (i && p->area[i - 1].pid == a->pid &&
					   p->area[i - 1].start == a->start))
			continue;
		if (a->end - a->start > CHECK_MAX)
			continue;
		for (addr = a->start; addr < a->end && lost < 20; addr += PAGE)
			lost += verify_page(m, p, a, addr, ret_checked);
	}
	return lost;
}
