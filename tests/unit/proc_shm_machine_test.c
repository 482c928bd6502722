// SPDX-License-Identifier: GPL-2.0-or-later
/* Shared memory that this machine, or this process, cannot make: told before anything is built. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <setjmp.h>
#include <sched.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "proc/build.h"

#define ALL_CAPS UINT64_MAX
#define NONE 77		/* this machine has no such thing */

static struct ckpt_shm memfd = { .kind = CKPT_SHM_MEMFD, .name = (char *)"one", .mode = 0777 };
static struct ckpt_shm anon = { .kind = CKPT_SHM_ANON, .size = 4096 };
static struct ckpt_shm segment = { .kind = CKPT_SHM_SYSV, .size = 5000, .id = 32767 };

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		_exit(NONE);
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		_exit(1);
	close(fd);
}

/* What is @s refused with, in a process that @change has changed? */
static void expect(const struct ckpt_shm *s, uint64_t eff, void (*change)(void), const char *says)
{
	const struct ckpt_image image = { .shms = (struct ckpt_shm *)s, .n_shms = 1 };
	struct ckpt_err *err = mmap(NULL, sizeof(*err), PROT_READ | PROT_WRITE,
				    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;
	pid_t pid = fork();

	if (!pid) {
		if (change)
			change();
		_exit(ckpt_shm_machine(&image, eff, err) ? 0 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == NONE) {
		print_message("# %s: this machine has none\n", says);
	} else {
		if (status || err->status != CKPT_REFUSED || !strstr(err->text, says))
			fail_msg("\"%s\" (wait status 0x%x) does not say \"%s\"", err->text,
				 status, says);
	}
	munmap(err, sizeof(*err));
}

static void fits(void **state)
{
	struct ckpt_shm all[] = { memfd, anon, segment };
	const struct ckpt_image image = { .shms = all, .n_shms = 3 };
	struct ckpt_err err = CKPT_ERR_INIT;

	(void)state;
	all[0].uid = all[0].gid = 1000;
	if (ckpt_shm_machine(&image, ALL_CAPS, &err))
		fail_msg("%s", err.text);
}

static void needs_capabilities(void **state)
{
	struct ckpt_shm given = memfd;

	(void)state;
	given.gid = 1000;
	expect(&given, ALL_CAPS & ~(1ull << CAP_CHOWN), NULL, "lacks CAP_CHOWN");
	given.mode |= 02000;
	expect(&given, ALL_CAPS & ~(1ull << CAP_FSETID), NULL, "lacks CAP_FSETID");
	given.uid = 1000;
	expect(&given, ALL_CAPS & ~(1ull << CAP_FOWNER), NULL, "lacks CAP_FOWNER");
	expect(&segment, ALL_CAPS & ~(1ull << CAP_IPC_OWNER), NULL, "lacks CAP_IPC_OWNER");
}

static void forbid_execution(void)
{
	int status;
	pid_t pid;

	if (unshare(CLONE_NEWPID))
		_exit(1);
	pid = fork();
	if (pid) {
		waitpid(pid, &status, 0);
		_exit(WEXITSTATUS(status));
	}
	put("/proc/sys/vm/memfd_noexec", "2");
}

static void drop_all(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { { 0 } };

	if (syscall(SYS_capset, &head, none))
		_exit(1);
}

static void limit_segments(void)
{
	if (unshare(CLONE_NEWIPC))
		_exit(1);
	put("/proc/sys/kernel/shmmax", "4096");
}

static void hide_next_id(void)
{
	static const char file[] = "/proc/sys/kernel/shm_next_id";

	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount(file, file, NULL, MS_BIND, NULL) ||
	    mount(NULL, file, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL))
		_exit(1);
}

static void needs_a_machine(void **state)
{
	(void)state;
	expect(&memfd, ALL_CAPS, forbid_execution, "makes no memfd like 'one'");
	expect(&anon, ALL_CAPS, drop_all, "cannot open shared memory");
	expect(&segment, ALL_CAPS, limit_segments, "raise kernel.shmmax, which is 4096");
	expect(&segment, ALL_CAPS, hide_next_id, "whose ids /proc/sys/kernel/shm_next_id decides");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fits),
		cmocka_unit_test(needs_capabilities),
		cmocka_unit_test(needs_a_machine),
	};

	return cmocka_run_group_tests_name("proc shm machine", tests, NULL, NULL);
}
