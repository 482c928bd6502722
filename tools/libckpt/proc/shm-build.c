// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Memory without a name: memfds and shared anonymous memory, made in init
 *
 * Init keeps a descriptor of each, its slot, from which every descriptor and every mapping of
 * it is opened once more.  A shared anonymous mapping is a file as well, which /proc/self/map_files
 * opens; what maps that looks like the first mapping.  Segments are made by sysv-build.c.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/build.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008u
#endif
#ifndef MFD_EXEC
#define MFD_EXEC 0x0010u
#endif
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x0020
#endif

/* Slots lie behind the files of the image and the one that open_fifo needs. */
static size_t slot_index(const struct ckpt_restore *r, size_t index)
{
	return r->image->n_files + 1 + index;
}

uint32_t ckpt_shm_slot(const struct ckpt_restore *r, size_t index)
{
	return r->fd_base + slot_index(r, index);
}

/*
 * Flags that make one like @s, or -1 with errno.  Linux before 6.3 knows no flag about
 * execution and lets all be executed; later ones may be told to allow none.
 */
static int memfd_flags(const struct ckpt_shm *s)
{
	int sealed = s->seals & F_SEAL_EXEC && !(s->mode & 0111);
	int base = MFD_CLOEXEC | MFD_ALLOW_SEALING, flags;
	cleanup_close int fd = -1;

	flags = base | (sealed ? MFD_NOEXEC_SEAL : MFD_EXEC);
	fd = memfd_create("ckpt", flags);
	if (fd >= 0)
		return flags;
	return errno == EINVAL && !(s->seals & F_SEAL_EXEC) ? base : -1;
}

static int make_memfd(struct ckpt_restore *r, size_t index, struct ckpt_err *err)
{
	const struct ckpt_shm *s = &r->image->shms[index];
	uint64_t at = ckpt_site_put(&r->init_site, 0, s->name, strlen(s->name) + 1, err);
	int flags = memfd_flags(s);
	int64_t fd;

	if (flags < 0)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot make memfd '%s'", s->name);
	fd = at ? ckpt_site_call(&r->init_site, err, "make a memfd", SYS_memfd_create,
				 ARGS(at, flags)) : -1;
	return fd < 0 ? -1 : ckpt_build_place(r, fd, slot_index(r, index), err);
}

static int make_anon(struct ckpt_restore *r, size_t index, struct ckpt_err *err)
{
	const struct ckpt_shm *s = &r->image->shms[index];
	/* it may have been cut to nothing since, but not made so */
	uint64_t size = s->size ? s->size : 1;
	uint64_t len = (size + CKPT_PAGE_LEN - 1) & ~(uint64_t)(CKPT_PAGE_LEN - 1);
	int64_t at = ckpt_site_call(&r->init_site, err, "map shared memory", SYS_mmap,
				    ARGS(0, len, PROT_READ | PROT_WRITE,
					 MAP_SHARED | MAP_ANONYMOUS |
					 (s->noreserve ? MAP_NORESERVE : 0), -1, 0));
	char path[96];

	if (at < 0)
		return -1;
	snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx", at, at + len);
	if (ckpt_build_open(r, path, O_RDWR, 0, slot_index(r, index), err))
		return ckpt_fail_at(err, "cannot make shared memory");
	return ckpt_site_call(&r->init_site, err, "unmap shared memory", SYS_munmap,
			      ARGS(at, len)) < 0 ? -1 : 0;
}

static int dress(const struct ckpt_shm *s, int fd, struct ckpt_err *err)
{
	const struct timespec times[2] = {
		{ .tv_nsec = UTIME_OMIT },
		{ .tv_sec = s->mtime_ns / 1000000000, .tv_nsec = s->mtime_ns % 1000000000 },
	};

	/* the owner before the mode, which a change of it cuts */
	if (fchown(fd, s->uid, s->gid) || fchmod(fd, s->mode) || futimens(fd, times))
		return ckpt_fail(err, CKPT_FAILED, errno,
				 "cannot set owner, mode and time of memfd '%s'", s->name);
	return 0;
}

/* A mapping that can be written must come before the seal that forbids the next one. */
static bool sealed_late(const struct ckpt_image *image, const struct ckpt_shm *s)
{
	for (size_t i = 0; i < image->n_mms && s->seals & F_SEAL_FUTURE_WRITE; i++) {
		const struct ckpt_mm *mm = &image->mms[i];

		for (size_t j = 0; j < mm->n_areas; j++) {
			if (ckpt_area_shm(image, &mm->areas[j]) == s &&
			    mm->areas[j].kind == CKPT_AREA_KIND_FILE_SHARED &&
			    image->files[mm->areas[j].file].writable)
				return true;
		}
	}
	return false;
}

static int seal(const struct ckpt_shm *s, int fd, struct ckpt_err *err)
{
	if (s->kind == CKPT_SHM_MEMFD && fcntl(fd, F_ADD_SEALS, s->seals))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot seal memfd '%s'", s->name);
	return 0;
}

/*
 * From here on nobody has it open for writing: what is executed may not be.  The one descriptor
 * that memfd_create has made does not count.
 */
static int close_writer(struct ckpt_restore *r, size_t index, struct ckpt_err *err)
{
	char path[64];

	if (r->image->shms[index].kind == CKPT_SHM_MEMFD)
		return 0;

	snprintf(path, sizeof(path), "/proc/self/fd/%u", ckpt_shm_slot(r, index));
	return ckpt_build_open(r, path, O_RDONLY, 0, slot_index(r, index), err);
}

static int make(struct ckpt_restore *r, size_t index, struct ckpt_err *err)
{
	const struct ckpt_shm *s = &r->image->shms[index];
	struct ckpt_build_shm *made = &r->shms[index];
	cleanup_close int fd = -1;
	struct stat st;

	if (s->kind == CKPT_SHM_SYSV ? ckpt_build_segment(r, index, err) :
	    s->kind == CKPT_SHM_ANON ? make_anon(r, index, err) : make_memfd(r, index, err))
		return -1;
	fd = ckpt_shm_open(r, index, err);
	if (fd < 0)
		return -1;
	if (s->kind != CKPT_SHM_SYSV && ftruncate(fd, s->size))
		return ckpt_fail(err, CKPT_FAILED, errno,
				 "cannot set the size of shared memory%s%s",
				 s->name ? " of memfd " : "", s->name ? s->name : "");
	if (fstat(fd, &st))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot look at shared memory");
	made->dev = st.st_dev;
	made->ino = st.st_ino;
	made->late = sealed_late(r->image, s);
	if (ckpt_shm_fill(r, s, fd, err) || (s->kind == CKPT_SHM_MEMFD && dress(s, fd, err)))
		return -1;
	if (made->late || s->kind == CKPT_SHM_SYSV)
		return 0;
	return seal(s, fd, err) || close_writer(r, index, err) ? -1 : 0;
}

int ckpt_shm_open(struct ckpt_restore *r, size_t index, struct ckpt_err *err)
{
	return r->image->shms[index].kind == CKPT_SHM_SYSV ?
	       ckpt_segment_open(r, index, err) :
	       ckpt_build_borrow(r, ckpt_shm_slot(r, index), err);
}

int ckpt_build_shms(struct ckpt_restore *r, struct ckpt_err *err)
{
	r->shms = calloc(r->image->n_shms + 1, sizeof(*r->shms));
	if (!r->shms)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of memfds");
	/* a segment that goes lets go of its key, which the next may have */
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < r->image->n_shms; i++) {
			if (r->image->shms[i].doomed == !pass && make(r, i, err))
				return -1;
		}
	}
	return 0;
}

int ckpt_build_shms_seal(struct ckpt_restore *r, struct ckpt_err *err)
{
	for (size_t i = 0; i < r->image->n_shms; i++) {
		cleanup_close int fd = -1;

		if (!r->shms[i].late)
			continue;
		fd = ckpt_shm_open(r, i, err);
		if (fd < 0 || seal(&r->image->shms[i], fd, err))
			return -1;
	}
	return 0;
}

static int machine_memfd(const struct ckpt_shm *s, uint64_t eff, struct ckpt_err *err)
{
	bool given = s->uid != geteuid() || s->gid != getegid();
	const char *cap = NULL;

	if (memfd_flags(s) < 0)
		return ckpt_fail(err, CKPT_REFUSED, errno, "this kernel or its vm.memfd_noexec "
				 "makes no memfd like '%s'", s->name);
	if (given && !(eff >> CAP_CHOWN & 1))
		cap = "CAP_CHOWN";
	else if (s->uid != geteuid() && !(eff >> CAP_FOWNER & 1))
		cap = "CAP_FOWNER";
	else if (given && s->mode & S_ISGID && !(eff >> CAP_FSETID & 1))
		cap = "CAP_FSETID";
	return cap ? ckpt_fail(err, CKPT_REFUSED, 0, "ckpt-tool lacks %s, without which memfd '%s' "
			       "cannot get its owner and mode", cap, s->name) : 0;
}

/* What init does to make one. */
static int machine_anon(struct ckpt_err *err)
{
	void *page = mmap(NULL, CKPT_PAGE_LEN, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			  -1, 0);
	cleanup_close int fd = -1;
	char path[96];

	if (page == MAP_FAILED)
		return ckpt_fail(err, CKPT_FAILED, errno, "no memory for a page");
	snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx", (unsigned long)page,
		 (unsigned long)page + CKPT_PAGE_LEN);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		ckpt_fail(err, CKPT_REFUSED, errno, "ckpt-tool cannot open shared memory, which "
			  "the checkpoint has; run it as root, outside a container");
	munmap(page, CKPT_PAGE_LEN);
	return fd < 0 ? -1 : 0;
}

int ckpt_shm_machine(const struct ckpt_image *image, uint64_t eff, struct ckpt_err *err)
{
	for (size_t i = 0; i < image->n_shms; i++) {
		const struct ckpt_shm *s = &image->shms[i];

		if (s->kind == CKPT_SHM_MEMFD ? machine_memfd(s, eff, err) :
						machine_anon(err))
			return -1;
	}
	return ckpt_segment_machine(image, eff, err);
}
