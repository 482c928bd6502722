// SPDX-License-Identifier: GPL-2.0-or-later
/* Address spaces: areas, layout, auxiliary vector. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "proc/procfs.h"
#include "proc/read.h"

static bool path_is(const struct ckpt_maps_line *line, const char *s)
{
	return line->path_len == strlen(s) && !memcmp(line->path, s, line->path_len);
}

static bool path_starts(const struct ckpt_maps_line *line, const char *s)
{
	return line->path_len >= strlen(s) && !memcmp(line->path, s, strlen(s));
}

static enum ckpt_area_kind kind_of(const struct ckpt_maps_line *line)
{
	if (path_is(line, "[vdso]"))
		return CKPT_AREA_KIND_VDSO;
	if (path_starts(line, "[vvar"))
		return CKPT_AREA_KIND_VVAR;
	if (path_is(line, "[vsyscall]"))
		return CKPT_AREA_KIND_VSYSCALL;
	if (path_is(line, "anon_inode:[io_uring]") && line->shared)
		return CKPT_AREA_KIND_URING;
	/* a System V segment has its id for an inode number */
	if (!line->ino && !line->dev)
		return CKPT_AREA_KIND_ANON;
	return line->shared ? CKPT_AREA_KIND_FILE_SHARED : CKPT_AREA_KIND_FILE_PRIVATE;
}

/* What such an area is, when it cannot be restored. */
static const char *unsupported(const struct ckpt_maps_line *line, const struct ckpt_vm_flags *f)
{
	if (f->other & CKPT_VM_HUGETLB)
		return "huge page memory";
	if (f->other & CKPT_VM_SHADOW_STACK)
		return "a shadow stack";
	/* memory that can be executed and not read has one from the kernel, here as there */
	if (f->other & CKPT_VM_PKEY && line->prot != PROT_EXEC)
		return "memory with a protection key";
	if (f->other & (CKPT_VM_UFFD | CKPT_VM_UFFD_WP))
		return "memory registered with userfaultfd";
	if (f->other & CKPT_VM_NAMELESS)
		return f->area & CKPT_AREA_F_LOCKED ? "memory locked on fault" :
		       "memory with a flag that the kernel does not name";
	if (f->other & CKPT_VM_SYNC)
		return "memory of a file that is written through to its device (MAP_SYNC)";
	if (f->other & CKPT_VM_UNKNOWN)
		return "memory with a flag that is not known here (smaps names it)";
	if (path_starts(line, "anon_inode:[io_uring]"))
		return "an io_uring ring";
	if (path_starts(line, "/[aio]"))
		return "an asynchronous I/O ring";
	if (path_starts(line, "/secretmem") || path_starts(line, "[uprobes]") ||
	    path_starts(line, "anon_inode:"))
		return "kernel-provided memory";
	if (f->other & (CKPT_VM_IO | CKPT_VM_PFNMAP | CKPT_VM_MIXEDMAP))
		return "memory of a device";
	return NULL;
}

bool ckpt_area_is_uring(const struct ckpt_maps_line *line)
{
	return kind_of(line) == CKPT_AREA_KIND_URING;
}

int ckpt_area_check(pid_t pid, const char *comm, const struct ckpt_maps_line *line,
		    const struct ckpt_vm_flags *flags, struct ckpt_err *err)
{
	enum ckpt_area_kind kind = kind_of(line);
	const char *what;

	if (kind == CKPT_AREA_KIND_VDSO || kind == CKPT_AREA_KIND_VVAR ||
	    kind == CKPT_AREA_KIND_VSYSCALL)
		return 0;
	what = kind == CKPT_AREA_KIND_URING ? ckpt_uring_area(line, flags) :
	       unsupported(line, flags);
	if (!what)
		return 0;
	return ckpt_fail(err, CKPT_REFUSED, 0,
		"pid %d (%s) maps %s at 0x%llx (%.*s), which this version cannot restore", pid,
		comm, what, (unsigned long long)line->start, (int)line->path_len, line->path);
}

void ckpt_area_forgive(const struct ckpt_hold *hold, const struct ckpt_maps_line *line,
		       struct ckpt_vm_flags *flags)
{
	if (hold->watched && !line->shared)
		flags->other &= ~CKPT_VM_UFFD_WP;
}

/* @head: what the name stands behind, of private or of shared memory. */
static int anon_name(const struct ckpt_maps_line *line, const char *head, char **ret,
		     struct ckpt_err *err)
{
	size_t skip = strlen(head);

	if (!path_starts(line, head) || line->path_len <= skip)
		return 0;
	*ret = strndup(line->path + skip, line->path_len - skip - 1);
	return *ret ? 0 : ckpt_fail(err, CKPT_FAILED, 0, "no memory for the name of an area");
}

/*
 * The file of an area.  Most areas map a file that an area before them maps;
 * dev and ino in maps are not always those of stat, hence a table of them.
 */
static int area_file(struct ckpt_reader *r, struct ckpt_held_proc *p,
		     const struct ckpt_maps_line *line, uint32_t flags, uint32_t *ret,
		     struct ckpt_err *err)
{
	struct ckpt_mapped *m;
	char name[64];

	for (size_t i = 0; i < r->n_mapped; i++) {
		m = &r->mapped[i];
		if (line->dev != r->shm_dev && m->ino == line->ino && m->dev == line->dev &&
		    m->flags == flags && path_is(line, r->image->files[m->file].path)) {
			*ret = m->file;
			return 0;
		}
	}
	snprintf(name, sizeof(name), "map_files/%llx-%llx", (unsigned long long)line->start,
		 (unsigned long long)line->end);
	if (ckpt_read_named(r, p, name, flags, ret, err))
		return -1;
	m = ckpt_grow(r->mapped, &r->n_mapped, sizeof(*m));
	if (!m)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of files");
	r->mapped = m;
	m[r->n_mapped - 1] = (struct ckpt_mapped){ line->dev, line->ino, flags, *ret };
	return 0;
}

static int add_area(struct ckpt_reader *r, struct ckpt_held_proc *p, struct ckpt_mm *mm,
		    const struct ckpt_maps_line *line, const struct ckpt_vm_flags *flags,
		    struct ckpt_err *err)
{
	struct ckpt_area *area = ckpt_grow(mm->areas, &mm->n_areas, sizeof(*area));
	size_t n_shms = r->image->n_shms;
	struct ckpt_shm *shm;
	bool writable;

	if (!area)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of areas");
	mm->areas = area;
	area += mm->n_areas - 1;
	area->start = line->start;
	area->end = line->end;
	area->prot = line->prot;
	area->kind = kind_of(line);
	area->flags = flags->area;
	area->file = CKPT_NONE;
	if (area->kind == CKPT_AREA_KIND_ANON)
		return anon_name(line, "[anon:", &area->name, err);
	if (area->kind == CKPT_AREA_KIND_URING)
		area->pgoff = line->pgoff;
	if (area->kind != CKPT_AREA_KIND_FILE_PRIVATE && area->kind != CKPT_AREA_KIND_FILE_SHARED)
		return 0;
	area->pgoff = line->pgoff;
	writable = line->shared && (flags->other & CKPT_VM_SHARED) &&
		   (flags->area & CKPT_AREA_F_MAYWRITE);
	if (!writable)
		area->flags &= ~CKPT_AREA_F_MAYWRITE;
	if (area_file(r, p, line, writable ? O_RDWR : O_RDONLY, &area->file, err))
		return -1;
	shm = ckpt_area_shm(r->image, area);
	if (shm && r->image->n_shms != n_shms)
		shm->noreserve = area->flags & CKPT_AREA_F_NORESERVE;
	return shm ? anon_name(line, "[anon_shmem:", &area->name, err) : 0;
}

/*
 * @seen: that of the look before the freeze, if @smaps is of it
 * Return: 0; 1 when @smaps does not know an area; -1.
 */
static int read_areas(struct ckpt_reader *r, struct ckpt_held_proc *p, struct ckpt_mm *mm,
		      const char *maps, const struct ckpt_smaps *smaps, struct ckpt_seen *seen,
		      struct ckpt_err *err)
{
	struct ckpt_flags_at f = { .smaps = smaps };

	for (const char *at = maps;;) {
		struct ckpt_maps_line line;
		struct ckpt_vm_flags flags;
		int n = ckpt_flags_next(r->hold, &f, seen, &at, &line, &flags);

		if (n == -1)
			return ckpt_fail(err, CKPT_FAILED, 0, "cannot read the areas of pid %d",
					 p->pid);
		if (n <= 0)
			return !!n;
		if ((ckpt_area_check(p->pid, p->comm, &line, &flags, err) ||
		     add_area(r, p, mm, &line, &flags, err)) &&
		    ckpt_survey_pass(r->hold->survey, -1, err))
			return -1;
	}
}

static void drop_areas(struct ckpt_mm *mm)
{
	for (size_t i = 0; i < mm->n_areas; i++)
		free(mm->areas[i].name);
	free(mm->areas);
	mm->areas = NULL;
	mm->n_areas = 0;
}

/* An area is new since the look before the freeze, or there was none: smaps now, which is slow. */
static int read_areas_now(struct ckpt_reader *r, struct ckpt_held_proc *p, struct ckpt_mm *mm,
			  const char *maps, struct ckpt_err *err)
{
	struct ckpt_smaps smaps;
	int n;

	drop_areas(mm);
	if (ckpt_fault("keeper.smaps"))
		return ckpt_fail(err, CKPT_FAILED, 0, "a fault was injected");
	n = ckpt_smaps_read(p, &smaps);
	if (n)
		return ckpt_fail(err, CKPT_FAILED, -n, "cannot read the areas of pid %d", p->pid);
	n = read_areas(r, p, mm, maps, &smaps, NULL, err);
	ckpt_smaps_done(&smaps);
	if (n > 0)
		return ckpt_fail(err, CKPT_FAILED, 0, "the areas of pid %d change while it is held",
				 p->pid);
	return n;
}

static int read_all_areas(struct ckpt_reader *r, struct ckpt_held_proc *p, struct ckpt_mm *mm,
			  struct ckpt_err *err)
{
	struct ckpt_seen *seen = ckpt_seen_find(r->hold, p);
	struct ckpt_buf *maps = &r->hold->maps;
	int e = ckpt_procfs_read(p->dir, "maps", maps);
	int n;

	if (e)
		return ckpt_fail(err, CKPT_FAILED, -e, "cannot read the areas of pid %d", p->pid);
	n = seen ? read_areas(r, p, mm, (char *)maps->data, &seen->smaps, seen, err) : 1;
	if (seen)
		seen->used = !n;
	return n <= 0 ? n : read_areas_now(r, p, mm, (char *)maps->data, err);
}

static int read_auxv(struct ckpt_reader *r, struct ckpt_held_proc *p, struct ckpt_mm *mm,
		     struct ckpt_err *err)
{
	struct ckpt_buf *b = &r->hold->scratch;
	int e = ckpt_procfs_read(p->dir, "auxv", b);

	if (e)
		return ckpt_fail(err, CKPT_FAILED, -e, "cannot read the auxv of pid %d", p->pid);
	mm->auxv = malloc(b->len ? b->len : 1);
	if (!mm->auxv)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for an auxv");
	memcpy(mm->auxv, b->data, b->len);
	mm->auxv_len = b->len;
	return 0;
}

int ckpt_read_mm(struct ckpt_reader *r, struct ckpt_held_proc *p, uint32_t *ret,
		 struct ckpt_err *err)
{
	struct ckpt_mm *mm = ckpt_grow(r->image->mms, &r->image->n_mms, sizeof(*mm));
	uint32_t index = r->image->n_mms - 1;

	if (!mm)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of address spaces");
	r->image->mms = mm;
	mm += index;
	mm->pid = p->pid;
	mm->exe = CKPT_NONE;
	memcpy(mm->layout, p->stat.layout, sizeof(mm->layout));
	mm->thp_disabled = p->threads[0].status.thp_disabled;
	*ret = index;
	return read_all_areas(r, p, mm, err) || read_auxv(r, p, mm, err) ||
	       ckpt_read_named(r, p, "exe", O_RDONLY, &mm->exe, err) ? -1 : 0;
}
