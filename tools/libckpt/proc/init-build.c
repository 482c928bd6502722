// SPDX-License-Identifier: GPL-2.0-or-later
/* Init as a site: stopped and lent to restore, then given back to itself. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fault.h"
#include "proc/build.h"
#include "proc/parse.h"
#include "proc/procfs.h"
#include "proc/restart.h"

#define LOWEST 0x10000ull	/* default vm.mmap_min_addr */
#define HIGHEST 0x7ffffffff000ull

/* Move @at behind the first area of a sorted map that touches [at, at + len). */
static uint64_t pass_image(const struct ckpt_image *image, uint64_t at, uint64_t len)
{
	size_t i, j;

	for (i = 0; i < image->n_mms; i++) {
		for (j = 0; j < image->mms[i].n_areas; j++) {
			const struct ckpt_area *a = &image->mms[i].areas[j];

			if (a->start < at + len && a->end > at)
				return a->end;
		}
	}
	return at;
}

static uint64_t pass_process(FILE *maps, uint64_t at, uint64_t len)
{
	cleanup_free char *line = NULL;
	struct ckpt_maps_line m;
	const char *text;
	size_t cap = 0;

	rewind(maps);
	while (getline(&line, &cap, maps) > 0) {
		text = line;
		if (ckpt_parse_maps_line(&text, &m) == 1 && m.start < at + len && m.end > at)
			return m.end;
	}
	return at;
}

/* The lowest place that is free in init and in every address space of the image. */
static int choose_region(struct ckpt_restore *r, struct ckpt_err *err)
{
	cleanup_fclose FILE *maps = NULL;
	uint64_t len = CKPT_SCRATCH_LEN + r->vdso.len, at = LOWEST, before;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/maps", r->init.pid);
	maps = fopen(path, "re");
	if (!maps)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot open %s", path);
	do {
		before = at;
		at = pass_process(maps, pass_image(r->image, at, len), len);
	} while (at != before && at + len < HIGHEST);
	if (at + len >= HIGHEST)
		return ckpt_fail(err, CKPT_REFUSED, 0,
				 "the address spaces leave no common room of %lu bytes", len);
	r->region = at;
	return 0;
}

static int seize(struct ckpt_restore *r, struct ckpt_err *err)
{
	pid_t pid = r->init.pid;
	const uint64_t all = ~0ull;
	int status;

	if (ptrace(PTRACE_SEIZE, pid, 0, CKPT_BUILD_OPTIONS) ||
	    ptrace(PTRACE_INTERRUPT, pid, 0, 0) ||
	    waitpid(pid, &status, __WALL) != pid || !WIFSTOPPED(status) ||
	    ptrace(PTRACE_GETREGS, pid, 0, &r->init_regs) ||
	    ptrace(PTRACE_SETSIGMASK, pid, 8, &all))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot stop the init of the tree");
	if (ckpt_restart_pending(&r->init_regs))
		ckpt_restart_rewind(&r->init_regs);
	return 0;
}

/* Zombies are made by fatal signals.  1 is the limit that stops a core pipe as well. */
static int forbid_cores(pid_t pid)
{
	struct rlimit limit;

	if (prlimit(pid, RLIMIT_CORE, NULL, &limit))
		return -1;
	limit.rlim_cur = limit.rlim_max < 1 ? limit.rlim_max : 1;
	return prlimit(pid, RLIMIT_CORE, &limit, NULL);
}

static void raise_above(uint32_t *base, int32_t fd)
{
	if (fd >= (int64_t)*base)
		*base = (uint32_t)fd + 1;
}

/* The first descriptor above every one of the image, those that an epoll remembers included. */
static uint32_t fd_base(const struct ckpt_image *image)
{
	uint32_t base = 64;
	size_t i, j;

	for (i = 0; i < image->n_fdtables; i++) {
		for (j = 0; j < image->fdtables[i].n_fds; j++)
			raise_above(&base, image->fdtables[i].fds[j].fd);
	}
	for (i = 0; i < image->n_epolls; i++) {
		for (j = 0; j < image->epolls[i].n_targets; j++)
			raise_above(&base, image->epolls[i].targets[j].fd);
	}
	return base;
}

uint64_t ckpt_build_fd_room(const struct ckpt_image *image)
{
	return (uint64_t)fd_base(image) + image->n_files + image->n_shms + 16;
}

/* Preflight has seen that there is room. */
static int choose_fds(struct ckpt_restore *r, struct ckpt_err *err)
{
	struct rlimit limit;

	r->fd_base = fd_base(r->image);
	if (prlimit(r->init.pid, RLIMIT_NOFILE, NULL, &limit))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot read the limits of init");
	limit.rlim_cur = limit.rlim_max;
	if (prlimit(r->init.pid, RLIMIT_NOFILE, &limit, NULL) || forbid_cores(r->init.pid))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot raise the limits of init");
	return 0;
}

static int spawn(struct ckpt_restore *r, struct ckpt_err *err)
{
	const struct ckpt_init_params params = {
		.private_pidns = r->private_pidns,
		.clocks = true,
		.monotonic_ns = r->image->monotonic_ns,
		.boottime_ns = r->image->boottime_ns,
		.uts = r->image->uts,
		.ipc = r->image->n_ipc,
		.net = r->image->n_net,
		.cgroupns = r->image->own_cgroupns,
		.cgroup = r->params.cgroup,
		.stdio = { r->params.stdio[0], r->params.stdio[1], r->params.stdio[2] },
	};

	return ckpt_init_spawn(&params, &r->init, err);
}

int ckpt_build_init(struct ckpt_restore *r, struct ckpt_err *err)
{
	if (spawn(r, err))
		return -1;
	r->spawned_ns = ckpt_now_ns();
	if (ckpt_fault("restore.spawned"))
		return ckpt_fail(err, CKPT_FAILED, 0, "restore.spawned: fault injected");
	if (seize(r, err) || ckpt_vdso_survey(r->init.pid, &r->vdso, err) ||
	    choose_region(r, err) || choose_fds(r, err))
		return -1;
	r->init_site = (struct ckpt_site){
		.tid = r->init.pid,
		.name = r->init.pid,
		.at = r->vdso.base + r->vdso.syscall_at,
		.scratch = r->region,
	};
	if (ckpt_site_call(&r->init_site, err, "map scratch memory", SYS_mmap,
			   ARGS(r->region, CKPT_SCRATCH_LEN, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0)) < 0)
		return -1;
	return 0;
}

int ckpt_build_init_leave(struct ckpt_restore *r, struct ckpt_err *err)
{
	const struct ckpt_site *s = &r->init_site;
	const uint64_t none = 0;

	if (ckpt_site_call(s, err, "close the files of the image", SYS_close_range,
			   ARGS(r->fd_base, ~0u, 0)) < 0 ||
	    ckpt_site_call(s, err, "unmap scratch memory", SYS_munmap,
			   ARGS(r->region, CKPT_SCRATCH_LEN)) < 0)
		return -1;
	if (ptrace(PTRACE_SETREGS, s->tid, 0, &r->init_regs) ||
	    ptrace(PTRACE_SETSIGMASK, s->tid, 8, &none) || ptrace(PTRACE_DETACH, s->tid, 0, 0))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot let go of the init of the tree");
	return 0;
}
