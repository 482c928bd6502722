// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the actors work on: files, and areas of every kind
 */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "audit.h"

#define SEGMENTS 4000	/* SHMMNI is 4096 */

const char *kind_name(enum kind kind)
{
	static const char *const name[NR_KINDS] = {
		"program", "anonymous", "calm", "file-private", "read-only", "grows-down",
		"merged", "userfaultfd", "direct", "pinned", "steps", "sparse",
		"shared-anonymous", "memfd", "tmpfs",
		"sysv", "ext4-shared", "hugetlb", "shared-huge", "window",
	};

	return name[kind];
}

static int filled(const char *path, size_t pages, int flags)
{
	uint64_t seed = 77, buf[PAGE / 8];
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	size_t i, j;

	for (i = 0; i < pages; i++) {
		for (j = 0; j < PAGE / 8; j++)
			buf[j] = rnd(&seed);
		if (write(fd, buf, PAGE) != (ssize_t)PAGE)
			die("write %s", path);
	}
	if (fsync(fd) || close(fd))
		die("close %s", path);
	fd = open(path, O_RDWR | O_CLOEXEC | flags);
	if (fd < 0)
		die("open %s", path);
	return fd;
}

static void map(enum kind kind, size_t len, int prot, int flags, int fd)
{
	if (mmap(REGION(kind), len, prot, flags | MAP_FIXED_NOREPLACE, fd, 0) != REGION(kind))
		die("map %s", kind_name(kind));
}

/*
 * Ids of segments count up: others are made, and removed, until one has the inode number of @fd,
 * which lies on the same super block.  Where that is higher than ids go it has another one.
 */
static int segment_like(int fd)
{
	static int other[SEGMENTS];
	struct stat st;
	int id, n = 0;

	if (fstat(fd, &st))
		die("fstat");
	for (id = -1; n < SEGMENTS && id + 1 < (int)st.st_ino; n++) {
		id = shmget(IPC_PRIVATE, PAGE, IPC_CREAT | 0600);
		other[n] = id;
		if (id < 0)
			break;
	}
	id = shmget(IPC_PRIVATE, SOME_PAGES * PAGE, IPC_CREAT | 0600);
	note("a segment of id %d, a memfd with inode number %lu", id, (unsigned long)st.st_ino);
	while (n--)
		shmctl(other[n], IPC_RMID, NULL);
	return id;
}

/* Before the actors are forked. */
void setup_shared(void)
{
	char path[64];
	int i;

	audit = mmap(NULL, sizeof(*audit), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		     -1, 0);
	if (audit == MAP_FAILED)
		die("mmap");
	if ((mkdir(ROOT, 0755) || mkdir(BESIDE, 0755)))
		die("mkdir " ROOT);
	for (i = 0; i < FILE_DIRS; i++) {
		snprintf(path, sizeof(path), ROOT "/d%d", i);
		if (mkdir(path, 0755))
			die("mkdir %s", path);
	}
	for (i = 0; i <= RUN_ON_HELD; i++) {
		snprintf(path, sizeof(path), RUN_ON_FILES "%d", i);
		close(filled(path, FILE_SIZE / PAGE, 0));
	}
	files.memfd = memfd_create("audit", MFD_CLOEXEC);
	files.lone = memfd_create("audit-lone", MFD_CLOEXEC);
	files.tmpfs = filled("/tmp/audit.tmpfs", SOME_PAGES, 0);
	files.cow = filled("/tmp/audit.cow", SOME_PAGES, 0);
	files.ext4 = filled(ROOT "/mapped", SOME_PAGES, 0);
	close(filled("/tmp/audit.disk", 4 * SOME_PAGES, 0));
	shell("modprobe loop && { losetup -d " DISK " 2>/dev/null; losetup " DISK
	      " /tmp/audit.disk; }");
	files.direct = open(DISK, O_RDWR | O_DIRECT | O_CLOEXEC);
	files.root = open(ROOT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	files.shm = segment_like(files.lone);
	if (files.direct < 0 || files.memfd < 0 || ftruncate(files.memfd, SOME_PAGES * PAGE) ||
	    files.root < 0 || files.shm < 0 || files.lone < 0 ||
	    ftruncate(files.lone, SOME_PAGES * PAGE))
		die("shared memory");
	map(KIND_ZERO, SOME_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1);
	map(KIND_SHARED_HUGE, SHARED_HUGE_PAGES * PAGE, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1);
	if (madvise(REGION(KIND_SHARED_HUGE), SHARED_HUGE_PAGES * PAGE, MADV_HUGEPAGE))
		die("shared huge pages");
}

/* --- faults served by the process itself --- */

static void *serve(void *arg)
{
	static char page[PAGE] __attribute__((aligned(4096)));
	int fd = (int)(intptr_t)arg;
	struct uffdio_copy copy;
	struct uffdio_zeropage zero;
	struct uffdio_range wake;
	struct uffd_msg msg;
	uint64_t n = 0, addr;

	while (read(fd, &msg, sizeof(msg)) == sizeof(msg)) {
		if (msg.event != UFFD_EVENT_PAGEFAULT)
			continue;
		addr = msg.arg.pagefault.address & ~(PAGE - 1);
		wake = (struct uffdio_range){ .start = addr, .len = PAGE };
		if (++n % 4) {
			memset(page, (int)n, sizeof(page));
			copy = (struct uffdio_copy){ .dst = addr, .src = (uintptr_t)page,
						     .len = PAGE };
			if (!ioctl(fd, UFFDIO_COPY, &copy))
				continue;
		} else {
			zero = (struct uffdio_zeropage){ .range = wake };
			if (!ioctl(fd, UFFDIO_ZEROPAGE, &zero))
				continue;
		}
		ioctl(fd, UFFDIO_WAKE, &wake);
	}
	return NULL;
}

static void start_serving(void)
{
	struct uffdio_register reg = {
		.range = { .start = (uintptr_t)REGION(KIND_FAULTS), .len = SOME_PAGES * PAGE },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	struct uffdio_api api = { .api = UFFD_API };
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	pthread_t thread;

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &reg) ||
	    pthread_create(&thread, NULL, serve, (void *)(intptr_t)fd))
		die("userfaultfd");
}

/* In the actor, before its threads. */
void setup_actor(int index)
{
	int rw = PROT_READ | PROT_WRITE, private = MAP_PRIVATE | MAP_ANONYMOUS;
	char *huge = REGION(KIND_HUGETLB);

	map(KIND_ANON, ANON_PAGES * PAGE, rw, private, -1);
	map(KIND_CALM, SOME_PAGES * PAGE, rw, private, -1);
	map(KIND_COW, SOME_PAGES * PAGE, rw, MAP_PRIVATE, files.cow);
	map(KIND_READONLY, SOME_PAGES * PAGE, rw, private, -1);
	memset(REGION(KIND_READONLY), 1, SOME_PAGES * PAGE);
	mprotect(REGION(KIND_READONLY), SOME_PAGES * PAGE, PROT_READ);
	map(KIND_DIRECT, SOME_PAGES * PAGE, rw, private, -1);
	map(KIND_PINNED, SOME_PAGES * PAGE, rw, private, -1);
	map(KIND_STEPS, SOME_PAGES * PAGE, rw, private, -1);
	map(KIND_SPARSE, SPARSE_TABLES * HUGE, rw, private, -1);
	madvise(REGION(KIND_SPARSE), SPARSE_TABLES * HUGE, MADV_NOHUGEPAGE);
	/* A fork copies each of its tables, for which the children of one are enough. */
	if (index != ACTOR_SPARSE)
		madvise(REGION(KIND_SPARSE), SPARSE_TABLES * HUGE, MADV_DONTFORK);
	map(KIND_MEMFD, SOME_PAGES * PAGE, rw, MAP_SHARED, files.memfd);
	map(KIND_TMPFS, SOME_PAGES * PAGE, rw, MAP_SHARED, files.tmpfs);
	map(KIND_EXT4, SOME_PAGES * PAGE, rw, MAP_SHARED, files.ext4);
	if (shmat(files.shm, REGION(KIND_SYSV), 0) != REGION(KIND_SYSV))
		die("shmat");
	/* Where there are no huge pages the operations on them fault, which is no harm. */
	(void)mmap(huge, HUGE, rw, private | MAP_HUGETLB | MAP_FIXED_NOREPLACE, -1, 0);
	(void)mmap(huge + HUGE, HUGE, rw, MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB |
		   MAP_FIXED_NOREPLACE, -1, 0);
	if (index == ACTOR_MERGED) {
		map(KIND_MERGED, SOME_PAGES * PAGE, rw, private, -1);
		if (madvise(REGION(KIND_MERGED), SOME_PAGES * PAGE, MADV_MERGEABLE))
			die("MADV_MERGEABLE");
	}
	if (index == ACTOR_FAULTS) {
		map(KIND_FAULTS, SOME_PAGES * PAGE, rw, private, -1);
		start_serving();
	}
}
