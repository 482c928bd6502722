// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * unwalked_test.c: memory of which only the area is told: it is no page cache, and not anonymous
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/io_uring.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/client.h"
#include "lib/world.h"

#define LEN (32 * PAGE)

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

static char *make_hugetlb(int flags)
{
	char *p = mmap(NULL, HUGE, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS | MAP_HUGETLB,
		       -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	memset(p, 1, HUGE);
	return p;
}

static char *make_hugetlb_private(void)
{
	return make_hugetlb(MAP_PRIVATE);
}

static char *make_hugetlb_shared(void)
{
	return make_hugetlb(MAP_SHARED);
}

/* Memory of a device without a struct page: the video ROM. */
static char *make_device(void)
{
	int fd = open("/dev/mem", O_RDONLY | O_CLOEXEC);
	char *p = mmap(NULL, LEN, PROT_READ, MAP_SHARED, fd, 0xc0000);

	close(fd);
	return p == MAP_FAILED ? NULL : p;
}

/* Where the kernel puts what is done; it writes there without a fault. */
static char *make_aio_ring(void)
{
	aio_context_t ctx = 0;

	return syscall(SYS_io_setup, 100, &ctx) ? NULL : (char *)ctx;
}

static char *make_ring(off_t part)
{
	struct io_uring_params params = { 0 };
	int fd = (int)syscall(SYS_io_uring_setup, 8, &params);
	char *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, part);

	return p == MAP_FAILED ? NULL : p;
}

static char *make_submissions(void)
{
	return make_ring(IORING_OFF_SQ_RING);
}

static char *make_entries(void)
{
	return make_ring(IORING_OFF_SQES);
}

static char *make_secret(void)
{
	int fd = (int)syscall(SYS_memfd_secret, 0);

	char *p;

	if (fd < 0 || ftruncate(fd, LEN))
		return NULL;
	p = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return NULL;
	memset(p, 1, LEN);
	return p;
}

/* A file whose pages are the device's own memory. */
#define DAX "/tmp/unwalked-dax"

static char *make_dax(int flags)
{
	int fd = open(DAX "/f", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	char *p;

	if (fd < 0 || ftruncate(fd, LEN))
		return NULL;
	p = mmap(NULL, LEN, PROT_READ | PROT_WRITE, flags, fd, 0);
	close(fd);
	if (p == MAP_FAILED)
		return NULL;
	memset(p, 1, LEN);
	return p;
}

static char *make_dax_shared(void)
{
	return make_dax(MAP_SHARED);
}

static char *make_dax_private(void)
{
	return make_dax(MAP_PRIVATE);
}

#define SHARED (CKPT_AREA_SHARED | CKPT_AREA_WHOLE)

static const struct kind {
	const char *name;
	char *(*make)(void);
	uint32_t flags;		/* CKPT_AREA_* that its area has, besides UNWALKED */
} kinds[] = {
	{ "private huge pages of hugetlbfs", make_hugetlb_private, CKPT_AREA_HUGETLB },
	{ "shared huge pages of hugetlbfs", make_hugetlb_shared, CKPT_AREA_HUGETLB | SHARED },
	{ "memory of a device", make_device, SHARED },
	{ "a ring of asynchronous I/O", make_aio_ring, SHARED },
	{ "a ring of io_uring", make_submissions, SHARED },
	{ "the entries of io_uring", make_entries, SHARED },
	{ "secret memory", make_secret, SHARED },
	{ "a file on memory of a device", make_dax_shared, SHARED | CKPT_AREA_FILE },
	{ "a private map of such a file", make_dax_private, CKPT_AREA_FILE },
};
#define NR_KINDS (sizeof(kinds) / sizeof(kinds[0]))

static bool has_dax;

static void step(int n, uint64_t *shared)
{
	shared[0] = (uint64_t)(uintptr_t)kinds[n].make();
	shared[1] = (uint64_t)errno;
}

/* Before Linux 6.5 an argument of the kernel has to ask for it. */
static bool has_secret(void)
{
	char buf[8] = "";

	get("/sys/module/secretmem/parameters/enable", buf, sizeof(buf));
	return buf[0] == 'Y';
}

/* A kernel that has the drivers has the device, since an argument of it says so. */
static bool mount_dax(void)
{
	if (system("modprobe -aq nd_e820 nd_pmem"))
		return false;
	shell("mkfs.ext4 -q -F -b 4096 /dev/pmem0 && mkdir -p " DAX
	      " && mount -o dax=always /dev/pmem0 " DAX);
	return true;
}

static bool is_dax(const struct kind *kind)
{
	return kind->make == make_dax_shared || kind->make == make_dax_private;
}

static void test_kind(struct client *c, const struct child *child, size_t k)
{
	const struct kind *kind = &kinds[k];
	const struct area *area;
	struct pages p;
	uint64_t start;
	int takes;

	child_step(child, (int)k);
	start = child->shared[0];
	if ((kind->make == make_secret && !has_secret()) || (is_dax(kind) && !has_dax) ||
	    (kind->make == make_device && access("/dev/mem", F_OK))) {
		check(!start, "%s: there is none here", kind->name);
		return;
	}
	if (!check(start, "%s: it can be made (%s)", kind->name,
		   strerror((int)child->shared[1])))
		return;
	for (takes = 0; takes < 2; takes++) {
		client_take(c, "unwalked", &p);
		area = pages_area(&p, child->pid, start);
		check(area && (area->flags & CKPT_AREA_UNWALKED) &&
		      (area->flags & kind->flags) == kind->flags,
		      "%s: its area is told as it is (%#x)", kind->name, area ? area->flags : 0);
		check(area && !area->nr_runs, "%s: no pages are told, all of it counts",
		      kind->name);
		pages_free(&p);
	}
}

int main(void)
{
	struct client c;
	struct child child;
	size_t k;

	put("/proc/sys/vm/nr_hugepages", "4");
	has_dax = mount_dax();
	cgroup_make("unwalked");
	if (client_open(&c) || client_group_new(&c, "unwalked", "/unwalked"))
		die("tag: %s", c.text);
	child_start(&child, "unwalked", step);
	for (k = 0; k < NR_KINDS; k++)
		test_kind(&c, &child, k);
	child_end(&child);
	client_group_del(&c, "unwalked");
	client_close(&c);
	cgroup_gone("unwalked");
	put("/proc/sys/vm/nr_hugepages", "0");
	if (has_dax)
		shell("umount " DAX " && rmdir " DAX);
	return finish();
}
