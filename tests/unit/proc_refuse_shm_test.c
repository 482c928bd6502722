// SPDX-License-Identifier: GPL-2.0-or-later
/* Shared memory that cannot be restored is refused by name, and its holder runs on. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/proc_group.h"

#define PAGE 4096

/* A segment that goes with whoever attaches it. */
static void *segment(int *ret_id)
{
	void *at;

	*ret_id = shmget(IPC_PRIVATE, 3 * PAGE, 0600);
	at = *ret_id < 0 ? (void *)-1 : shmat(*ret_id, NULL, 0);
	if (at == (void *)-1 || shmctl(*ret_id, IPC_RMID, NULL))
		_exit(1);
	return at;
}

static void hold_part(void)
{
	int id;

	if (munmap((char *)segment(&id) + PAGE, PAGE))
		_exit(1);
}

static void hold_moved(void)
{
	char *room = mmap(NULL, 3 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int id;

	if (mremap((char *)segment(&id) + 2 * PAGE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		   room) == MAP_FAILED)
		_exit(1);
}

static void hold_locked(void)
{
	int id;

	segment(&id);
	if (shmctl(id, SHM_LOCK, NULL))
		proc_group_lacks(0);
}

static void hold_descriptor_of_segment(void)
{
	char path[96];
	unsigned long at;
	int id;

	at = (unsigned long)segment(&id);
	snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx", at, at + 3 * PAGE);
	if (open(path, O_RDONLY) < 0)
		_exit(1);
}

/* Linux before 6.6 keeps none there. */
static void hold_attribute(void)
{
	int fd = memfd_create("marked", 0);

	if (fsetxattr(fd, "user.mark", "x", 1, 0))
		proc_group_lacks(0);
}

static void hold_huge(void)
{
	if (memfd_create("huge", MFD_HUGETLB) < 0)
		proc_group_lacks(0);
}

static void hold_path(void)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", memfd_create("path", 0));
	if (open(path, O_PATH) < 0)
		_exit(1);
}

static void hold_lock(void)
{
	struct flock lock = { .l_type = F_WRLCK };

	if (fcntl(memfd_create("locked", 0), F_SETLK, &lock))
		_exit(1);
}

static void refuses_by_name(void **state)
{
	static const struct proc_group_refusal cases[] = {
		{ hold_part, "a part of System V segment" },
		{ hold_moved, "a part of System V segment" },
		{ hold_locked, "which is locked (SHM_LOCK)" },
		{ hold_descriptor_of_segment, "a descriptor of a System V segment" },
		{ hold_attribute, "a memfd with extended attributes" },
		{ hold_huge, "a file of hugetlbfs" },
		{ hold_path, "a path of what has none" },
		{ hold_lock, "a lock of what is no file" },
	};

	(void)state;
	proc_group_refusals(cases, sizeof(cases) / sizeof(cases[0]));
}

static void nothing(void)
{
}

/* This process has it attached, and the other one from it. */
static void refuses_segments_of_others(void **state)
{
	static const struct proc_group_refusal cases[] = {
		{ nothing, "which somebody outside the tree has attached as well" },
	};
	int id;

	(void)state;
	void *at = segment(&id);

	proc_group_refusals(cases, 1);
	assert_int_equal(shmdt(at), 0);
}

/* One that is the tree's alone, and memory of each other kind. */
static void hold_all(void)
{
	int id;

	segment(&id);
	if (mmap(NULL, PAGE, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ||
	    mmap(NULL, PAGE, PROT_READ, MAP_SHARED, memfd_create("x", 0), 0) == MAP_FAILED)
		_exit(1);
}

static void accepts_the_rest(void **state)
{
	struct ckpt_stop_params params = { .pid = proc_group_spawn(NULL, hold_all) };
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_image image;

	(void)state;
	if (proc_group_cycle(&params, &image, &err))
		fail_msg("%s", err.text);
	assert_int_equal(image.n_shms, 3);
	ckpt_image_done(&image);
	kill(params.pid, SIGKILL);
	waitpid(params.pid, NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_by_name),
		cmocka_unit_test(refuses_segments_of_others),
		cmocka_unit_test(accepts_the_rest),
	};

	return cmocka_run_group_tests_name("proc refuse shm", tests, NULL, NULL);
}
