// SPDX-License-Identifier: GPL-2.0-or-later
/* Flags of memory that change while a tree is captured. Natively as root. */
#include <linux/mempolicy.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/proc_group.h"

#define LEN (64 << 12)

#define MORE 4096

/* of private memory without a reservation */
#define WRITABLE (CKPT_AREA_F_ACCOUNT | CKPT_AREA_F_MAYWRITE)

/* Shared by the test and its child, which can reach it: fork copies the pointer. */
static char *area;
static pid_t pid;
/* Shared by both: what the child has done of what it was told. */
static unsigned int *done;

/* The area has a page more, or is, with @flags, another one that has. */
static int grow(int flags)
{
	if (!flags)
		return mprotect(area + LEN, MORE, PROT_READ | PROT_WRITE);
	return mmap(area, LEN + MORE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | flags, -1, 0) != area;
}

/* What the test tells: by the system call, for the sanitizer makes nothing of mlock. */
static void *obey(void *arg)
{
	const unsigned long node = 1;
	sigset_t *set = arg;
	int sig, bad;

	while (!sigwait(set, &sig)) {
		if (sig == SIGUSR1)
			bad = madvise(area, LEN, MADV_DONTFORK);
		else if (sig == SIGUSR2)
			bad = syscall(SYS_mlock, area, LEN);
		else if (sig == SIGWINCH)
			bad = grow(0);
		else if (sig == SIGCONT)
			bad = madvise(area, LEN, MADV_DOFORK) || grow(0);
		else if (sig == SIGURG)
			bad = grow(MAP_NORESERVE);
		else if (sig == SIGQUIT)
			bad = syscall(SYS_mbind, area, LEN, MPOL_PREFERRED, &node, 64, 0);
		else
			bad = madvise(area, LEN, MADV_DOFORK) ||
			      syscall(SYS_munlock, area, LEN) ||
			      mprotect(area + LEN, MORE, PROT_NONE);
		if (bad)
			_exit(1);
		__atomic_add_fetch(done, 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void have_area(void)
{
	/* apart from its neighbours, so that it is changed as a whole */
	char *room = mmap(area - MORE, LEN + 2 * MORE, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	static sigset_t set;
	pthread_t t;

	if (room != area - MORE || mprotect(area, LEN, PROT_READ | PROT_WRITE))
		_exit(1);
	memset(area, 1, LEN);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	sigaddset(&set, SIGWINCH);
	sigaddset(&set, SIGCONT);
	sigaddset(&set, SIGURG);
	sigprocmask(SIG_BLOCK, &set, NULL);
	pthread_create(&t, NULL, obey, &set);
}

static int setup(void **state)
{
	(void)state;
	area = (char *)0x7e0000001000;
	done = mmap(NULL, sizeof(*done), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		    0);
	if (done == MAP_FAILED)
		return -1;
	pid = proc_group_spawn(NULL, have_area);
	return pid > 0 ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	munmap(done, sizeof(*done));
	kill(pid, SIGKILL);
	return waitpid(pid, NULL, 0) == pid ? 0 : -1;
}

static const struct ckpt_area *area_at(const struct ckpt_image *image, const char *at)
{
	for (size_t i = 0; i < image->mms[0].n_areas; i++) {
		if (image->mms[0].areas[i].start == (uintptr_t)at)
			return &image->mms[0].areas[i];
	}
	fail_msg("the area is not in the image");
	return NULL;
}

static bool has(const struct ckpt_image *image, uint32_t flag)
{
	return area_at(image, area)->flags & flag;
}

static void tell(int sig)
{
	unsigned int before = __atomic_load_n(done, __ATOMIC_ACQUIRE);

	kill(pid, sig);
	for (int i = 0; i < 10000; i++) {
		if (__atomic_load_n(done, __ATOMIC_ACQUIRE) != before)
			return;
		usleep(1000);
	}
	fail_msg("the child does not do what it is told by signal %d", sig);
}

/* Capture, with @sig between the look at the flags and the stop. */
static int capture_as(struct ckpt_stop_params params, int sig, struct ckpt_image *ret,
		      struct ckpt_err *err)
{
	cleanup_stop struct ckpt_stop *stop = NULL;

	params.pid = pid;
	if (ckpt_stop_open(&params, &stop, err))
		return -1;
	if (sig)
		tell(sig);
	if (ckpt_stop_begin(stop, err) || ckpt_stop_collect(stop, ret, err))
		return -1;
	if (!ckpt_stop_release(stop, NULL, err))
		return 0;
	ckpt_image_done(ret);
	return -1;
}

static int capture(int sig, struct ckpt_image *ret, struct ckpt_err *err)
{
	return capture_as((struct ckpt_stop_params){ 0 }, sig, ret, err);
}

static void a_change_is_seen(void **state)
{
	static const struct {
		int sig;
		uint32_t flag;
	} cases[] = { { SIGUSR1, CKPT_AREA_F_DONTFORK }, { SIGUSR2, CKPT_AREA_F_LOCKED } };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct ckpt_err err = CKPT_ERR_INIT;
		struct ckpt_image image;
		char start[32];

		assert_int_equal(capture(cases[i].sig, &image, &err), -1);
		assert_int_equal(err.status, CKPT_FAILED);
		assert_true(err.passing);
		snprintf(start, sizeof(start), "at 0x%lx", (unsigned long)area);
		if (!strstr(err.text, start))
			fail_msg("\"%s\" does not name the area", err.text);
		assert_true(proc_group_untraced(pid));
		/* and again: what stays as it is makes no difference */
		ckpt_err_clear(&err);
		if (capture(0, &image, &err))
			fail_msg("%s", err.text);
		assert_true(has(&image, cases[i].flag));
		ckpt_image_done(&image);
		tell(SIGHUP);
	}
}

/* Who holds it long, or says so, has the flags of the stop itself. */
static void a_long_stop_has_them_exactly(void **state)
{
	static const struct ckpt_stop_params cases[] = { { .hold_ms = 60000 },
							 { .unhurried = true } };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct ckpt_err err = CKPT_ERR_INIT;
		struct ckpt_image image;

		if (capture_as(cases[i], SIGUSR1, &image, &err))
			fail_msg("%s", err.text);
		assert_true(has(&image, CKPT_AREA_F_DONTFORK));
		ckpt_image_done(&image);
		tell(SIGHUP);
	}
}

/* The flags of what has grown are known without a look within the stop, which would fail here. */
static int capture_grown(int sig, struct ckpt_image *ret, struct ckpt_err *err)
{
	int failed;

	setenv("CKPT_FAULT", "keeper.smaps=fail", 1);
	failed = capture(sig, ret, err);
	unsetenv("CKPT_FAULT");
	assert_true(proc_group_untraced(pid));
	return failed;
}

static void what_has_grown_has_its_flags(void **state)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_image image;

	(void)state;
	if (capture_grown(SIGWINCH, &image, &err))
		fail_msg("%s", err.text);
	assert_int_equal(area_at(&image, area)->end, (uintptr_t)area + LEN + MORE);
	assert_int_equal(area_at(&image, area)->flags, WRITABLE);
	ckpt_image_done(&image);
	tell(SIGHUP);
	/* an area of other flags, which therefore does not grow: beside it is a new one */
	tell(SIGUSR1);
	if (capture_grown(SIGWINCH, &image, &err))
		fail_msg("%s", err.text);
	assert_int_equal(area_at(&image, area)->flags, WRITABLE | CKPT_AREA_F_DONTFORK);
	assert_int_equal(area_at(&image, area + LEN)->flags, WRITABLE);
	ckpt_image_done(&image);
	tell(SIGHUP);
}

static void what_is_mapped_anew_is_not_what_has_grown(void **state)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_image image;

	(void)state;
	/* two of different flags are one now */
	tell(SIGUSR1);
	assert_int_equal(capture_grown(SIGCONT, &image, &err), -1);
	assert_string_equal(err.text, "a fault was injected");
	ckpt_err_clear(&err);
	tell(SIGHUP);
	assert_int_equal(capture_grown(SIGURG, &image, &err), -1);
	if (!strstr(err.text, "has changed the flags of its memory"))
		fail_msg("%s", err.text);
	tell(SIGHUP);
}

/* As on a machine with several nodes: set after the scan it shows after the release. */
static void a_policy_is_refused(void **state)
{
	static const char *const faults[] = { "keeper.nodes:2=fail", "keeper.nodes=fail" };
	struct ckpt_image image;

	(void)state;
	if (syscall(SYS_get_mempolicy, NULL, NULL, 0, NULL, 0))
		skip();
	for (size_t i = 0; i < 2; i++) {
		struct ckpt_err err = CKPT_ERR_INIT;

		setenv("CKPT_FAULT", faults[i], 1);
		assert_int_equal(capture(i ? 0 : SIGQUIT, &image, &err), -1);
		unsetenv("CKPT_FAULT");
		assert_int_equal(err.status, CKPT_REFUSED);
		if (!strstr(err.text, "has memory with a policy (prefer:0)"))
			fail_msg("%s", err.text);
		assert_int_equal(!strstr(err.text, "try again"), i);
		assert_true(proc_group_untraced(pid));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_change_is_seen),
		cmocka_unit_test(a_long_stop_has_them_exactly),
		cmocka_unit_test(what_has_grown_has_its_flags),
		cmocka_unit_test(what_is_mapped_anew_is_not_what_has_grown),
		/* the policy stays, and the area is as one with its neighbours no more */
		cmocka_unit_test(a_policy_is_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
