// SPDX-License-Identifier: GPL-2.0-or-later
/* Refusals of a restore: what this machine lacks, before anything is built. */
#include <elf.h>
#include <linux/auxvec.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "lib/refused.h"
#include "lib/proc_group.h"
#include "lib/scratch.h"
#include "proc/build.h"

static void hold_pipe(void)
{
	int fds[2];

	if (pipe(fds))
		_exit(1);
}

/* A process that was captured and has ended. */
static int capture_one(void **state)
{
	static struct ckpt_image image;
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_stop_params params = { .pid = proc_group_spawn(NULL, hold_pipe) };

	if (params.pid < 0 || proc_group_cycle(&params, &image, &err)) {
		print_error("%s\n", err.text);
		return -1;
	}
	kill(params.pid, SIGKILL);
	waitpid(params.pid, NULL, 0);
	/* it was in the test's session, which is in use */
	image.tasks[0].sid = image.tasks[0].pgid = image.tasks[0].pid;
	*state = &image;
	return scratch_make(NULL);
}

static int let_go(void **state)
{
	ckpt_image_done(*state);
	return scratch_remove(NULL);
}

/* Without a capability, whether or not we have it. */
static void drop(int cap)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &head, data))
		_exit(2);
	data[cap / 32].effective &= ~(1u << cap % 32);
	if (syscall(SYS_capset, &head, data))
		_exit(2);
}

static void lack_admin(struct ckpt_image *image)
{
	(void)image;
	drop(CAP_SYS_ADMIN);
}

static void have_more_capabilities(struct ckpt_image *image)
{
	image->tasks[0].threads[0].creds.cap_bnd |= 1ull << 63;
}

static void have_high_priority(struct ckpt_image *image)
{
	drop(CAP_SYS_NICE);
	image->tasks[0].threads[0].nice = -5;
}

static void have_real_time(struct ckpt_image *image)
{
	drop(CAP_SYS_NICE);
	image->tasks[0].threads[0].sched_policy = SCHED_FIFO;
}

static void have_locked_memory(struct ckpt_image *image)
{
	drop(CAP_IPC_LOCK);
	image->mms[0].areas[0].flags |= CKPT_AREA_F_LOCKED;
}

static void be_spared(struct ckpt_image *image)
{
	drop(CAP_SYS_RESOURCE);
	image->tasks[0].oom_score_adj = -1;
}

static void have_root(struct ckpt_image *image)
{
	drop(CAP_SYS_CHROOT);
	image->tasks[0].root = image->tasks[0].cwd;
}

static void wake_the_machine(struct ckpt_image *image)
{
	static struct ckpt_timerfd alarm = { .clock = CLOCK_BOOTTIME_ALARM };

	drop(CAP_WAKE_ALARM);
	image->timerfds = &alarm;
	image->n_timerfds = 1;
}

static void be_filtered(struct ckpt_image *image)
{
	static struct ckpt_filter filter;
	struct sock_filter insn = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	const struct sock_fprog prog = { 1, &insn };

	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog))
		_exit(2);
	image->filters = &filter;
	image->n_filters = 1;
}

static void have_high_timer(struct ckpt_image *image)
{
	static struct ckpt_timer timer = { .id = 65536 };

	setenv("CKPT_FAULT", "restore.ids=fail", 1);
	image->tasks[0].timers = &timer;
	image->tasks[0].n_timers = 1;
}

static void have_more_files_than_any(struct ckpt_image *image)
{
	image->tasks[0].limits[RLIMIT_NOFILE].max = UINT64_MAX;
}

static void have_higher_limit(struct ckpt_image *image)
{
	const struct rlimit low = { 1 << 20, 1 << 20 };

	drop(CAP_SYS_RESOURCE);
	if (setrlimit(RLIMIT_CORE, &low))
		_exit(2);
	image->tasks[0].limits[RLIMIT_CORE].max = low.rlim_max + 1;
}

static void have_barriers(struct ckpt_image *image)
{
	image->mms[0].membarrier = 1u << 30;
}

/* A name that is too long for any kernel. */
static void have_strange_memory(struct ckpt_image *image)
{
	struct ckpt_area *a = image->mms[0].areas;

	while (a->kind != CKPT_AREA_KIND_ANON || a->file != CKPT_NONE)
		a++;
	free(a->name);
	a->name = malloc(200);
	memset(a->name, 'n', 199);
	a->name[199] = 0;
}

/* Pages, each a mapping of its own. */
static void have_many_mappings(struct ckpt_image *image)
{
	struct ckpt_mm *mm = &image->mms[0];
	FILE *f = fopen("/proc/sys/vm/max_map_count", "re");
	size_t most, n = mm->n_areas;

	if (!f || fscanf(f, "%zu", &most) != 1)
		_exit(2);
	fclose(f);
	mm->areas = realloc(mm->areas, most * sizeof(*mm->areas));
	if (!mm->areas)
		_exit(2);
	for (mm->n_areas = most; n < most; n++)
		mm->areas[n] = (struct ckpt_area){ .file = CKPT_NONE };
}

static void have_big_pipe(struct ckpt_image *image)
{
	drop(CAP_SYS_RESOURCE);
	image->pipes[0].capacity = 1u << 30;
}

static void have_deleted_file(struct ckpt_image *image, uint32_t uid, uint32_t gid)
{
	struct ckpt_file *f = &image->files[0];

	f->kind = CKPT_FILE_REG;
	f->deleted = true;
	f->uid = uid;
	f->gid = gid;
	f->mode = S_IFREG | S_ISGID | 0644;
}

static void give_file_away(struct ckpt_image *image)
{
	drop(CAP_CHOWN);
	have_deleted_file(image, getuid(), 77);
}

static void change_file_of_other(struct ckpt_image *image)
{
	drop(CAP_FOWNER);
	have_deleted_file(image, 77, getgid());
}

static void mark_file_of_group(struct ckpt_image *image)
{
	drop(CAP_FSETID);
	have_deleted_file(image, getuid(), 77);
}

static void have_high_pid(struct ckpt_image *image)
{
	image->tasks[0].pid = image->tasks[0].threads[0].tid = INT32_MAX - 8;
}

static void have_few_files(struct ckpt_image *image)
{
	const struct rlimit few = { 16, 16 };

	(void)image;
	if (setrlimit(RLIMIT_NOFILE, &few))
		_exit(2);
}

static void have_many_watches(struct ckpt_image *image)
{
	static struct ckpt_inotify in = { .n_watches = 5 };

	scratch_pretend("/proc/sys/fs/inotify/max_user_watches", "4\n");
	image->inotifies = &in;
	image->n_inotifies = 1;
}

static void have_long_backlog(struct ckpt_image *image)
{
	static struct ckpt_unix server = { .state = CKPT_UNIX_LISTENS, .backlog = 129 };

	scratch_pretend("/proc/sys/net/core/somaxconn", "128\n");
	image->unixes = &server;
	image->n_unixes = 1;
}

static void have_many_datagrams(struct ckpt_image *image)
{
	static struct ckpt_unix inbox = { .state = CKPT_UNIX_ALONE, .n_messages = 12 };

	scratch_pretend("/proc/sys/net/unix/max_dgram_qlen", "10\n");
	image->unixes = &inbox;
	image->n_unixes = 1;
}

/* As on a kernel before Linux 6.3, which tells no size: the entry becomes another one. */
static void have_new_rseq(struct ckpt_image *image)
{
	Elf64_auxv_t *entry;
	char **env = environ;

	while (*env)
		env++;
	for (entry = (Elf64_auxv_t *)(env + 1); entry->a_type != AT_NULL; entry++)
		if (entry->a_type == AT_RSEQ_FEATURE_SIZE)
			entry->a_type = AT_IGNORE;
	image->tasks[0].threads[0].rseq_ptr = 0x1000;
	image->tasks[0].threads[0].rseq_size = 36;
}

/* An image, and what a process changes of it or of itself first. */
struct changed {
	struct ckpt_image *image;
	void (*change)(struct ckpt_image *image);
};

static int check_changed(void *arg, struct ckpt_err *err)
{
	const struct changed *c = arg;

	c->change(c->image);
	return ckpt_machine_check(c->image, err) || ckpt_machine_network(c->image, err) ? -1 : 0;
}

static void refuses_what_the_machine_lacks(void **state)
{
	static const struct {
		void (*change)(struct ckpt_image *image);
		const char *says;
	} cases[] = {
		{ lack_admin, "ckpt-tool lacks CAP_SYS_ADMIN; run it as root" },
		{ have_more_capabilities, "(0x8000000000000000) that ckpt-tool lacks" },
		{ have_high_priority, "lacks CAP_SYS_NICE" },
		{ have_real_time, "lacks CAP_SYS_NICE" },
		{ have_locked_memory, "lacks CAP_IPC_LOCK" },
		{ be_spared, "lacks CAP_SYS_RESOURCE" },
		{ have_root, "lacks CAP_SYS_CHROOT" },
		{ wake_the_machine, "lacks CAP_WAKE_ALARM" },
		{ be_filtered, "ckpt-tool runs under one that it would get as well" },
		{ have_high_timer, "with the id 65536, which Linux before 6.15 gives after" },
		{ have_more_files_than_any, "raise fs.nr_open" },
		{ have_higher_limit, "had a higher hard resource limit" },
		{ have_barriers, "memory barriers that this kernel lacks" },
		{ have_strange_memory, "of a kind that this kernel does not make" },
		{ have_many_mappings, "raise vm.max_map_count" },
		{ have_big_pipe, "raise fs.pipe-max-size" },
		{ give_file_away, "lacks CAP_CHOWN, without which the deleted file" },
		{ change_file_of_other, "lacks CAP_FOWNER, without which the deleted file" },
		{ mark_file_of_group, "lacks CAP_FSETID, without which the deleted file" },
		{ have_high_pid, "raise kernel.pid_max" },
		{ have_few_files, "do not fit into a limit of 16" },
		{ have_many_watches, "5 inotify watches; raise fs.inotify.max_user_watches" },
		{ have_long_backlog, "a backlog of 129; raise net.core.somaxconn, which is 128" },
		{ have_many_datagrams, "12 datagrams wait; raise net.unix.max_dgram_qlen" },
		{ have_new_rseq, "has an rseq area of 36 bytes, which this kernel does not take" },
	};
	struct ckpt_err err = CKPT_ERR_INIT;

	if (ckpt_machine_check(*state, &err))
		fail_msg("refused as it is: %s", err.text);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		refused_aside(check_changed, &(struct changed){ *state, cases[i].change },
			      cases[i].says);
}

static void preflight(struct ckpt_image *image, const char *cgroup, const char *says)
{
	struct ckpt_restore_params params = { .image = image, .cgroup = cgroup };
	struct ckpt_err err = CKPT_ERR_INIT;

	if (!ckpt_restore_preflight(&params, &err) != !says)
		fail_msg("\"%s\" instead of \"%s\"", err.text, says ? says : "");
	if (says && (err.status != CKPT_REFUSED || !strstr(err.text, says)))
		fail_msg("\"%s\" (status %d) does not say \"%s\"", err.text, err.status, says);
}

static void nothing(void)
{
}

static void refuses_a_cgroup_in_use(void **state)
{
	char cgroup[256], below[300];

	assert_int_equal(proc_group_make("use", cgroup, sizeof(cgroup)), 0);
	snprintf(below, sizeof(below), "%s/below", cgroup);
	assert_int_equal(mkdir(below, 0755), 0);
	preflight(*state, below, NULL);
	assert_int_equal(proc_group_put(cgroup, "cgroup.freeze", "1"), 0);
	preflight(*state, below, "is frozen, or one above it; thaw it first");
	assert_int_equal(proc_group_put(cgroup, "cgroup.freeze", "0"), 0);
	assert_true(proc_group_spawn(below, nothing) > 0);
	preflight(*state, below, "processes live in cgroup");
	proc_group_end(cgroup);
}

static void refuses_another_executable(void **state)
{
	struct ckpt_image *image = *state;
	struct ckpt_file *exe = &image->files[image->mms[0].exe];
	char *path = exe->path;

	exe->path = "/proc/self/no-such-file";
	preflight(image, NULL, "is mapped by the checkpoint");
	exe->path = path;
	exe->mtime_ns++;
	preflight(image, NULL, "has changed since the checkpoint, which maps it");
	exe->mtime_ns--;
	preflight(image, NULL, NULL);
}

/* Areas of the image's vdso, in order. */
static struct ckpt_area *vdso_area(struct ckpt_image *image, size_t nr)
{
	struct ckpt_area *a = image->mms[0].areas;

	for (;; a++)
		if ((a->kind == CKPT_AREA_KIND_VDSO || a->kind == CKPT_AREA_KIND_VVAR) && !nr--)
			return a;
}

/* As a program can, by protecting every other page. */
static void split_by_page(struct ckpt_mm *mm, const struct ckpt_area *whole)
{
	const size_t nr = whole - mm->areas;
	const size_t more = (whole->end - whole->start) / CKPT_PAGE_LEN - 1;
	struct ckpt_area *a = realloc(mm->areas, (mm->n_areas + more) * sizeof(*a));

	assert_non_null(a);
	mm->areas = a;
	a += nr;
	memmove(a + more, a, (mm->n_areas - nr) * sizeof(*a));
	mm->n_areas += more;
	for (size_t i = 0; i < more; i++, a++) {
		a[1] = a[0];
		a[0].end = a[1].start = a[0].start + CKPT_PAGE_LEN;
		a[1].end = a[0].end + (more - i) * CKPT_PAGE_LEN;
		a[0].name = NULL;
	}
}

static void refuses_another_vdso(void **state)
{
	struct ckpt_image *image = *state;
	const size_t len = image->vdso_len;

	/* as versions have stored it that did not keep its code */
	image->vdso_len = 0;
	image->vdso_hash[0] ^= 1;
	preflight(image, NULL, "the vdso of this kernel is not that of Linux");
	image->vdso_hash[0] ^= 1;
	preflight(image, NULL, NULL);
	image->vdso_len = len;
	vdso_area(image, 0)->start += CKPT_PAGE_LEN;
	preflight(image, NULL, "the vdso of an address space is not whole");
	vdso_area(image, 0)->start -= CKPT_PAGE_LEN;
	split_by_page(&image->mms[0], vdso_area(image, 0));
	preflight(image, NULL, "the vdso has more parts than are known");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_what_the_machine_lacks),
		cmocka_unit_test(refuses_a_cgroup_in_use),
		cmocka_unit_test(refuses_another_executable),
		/* changes the image for good */
		cmocka_unit_test(refuses_another_vdso),
	};

	return cmocka_run_group_tests(tests, capture_one, let_go);
}
