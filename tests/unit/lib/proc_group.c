// SPDX-License-Identifier: GPL-2.0-or-later
/* Groups for tests of the stop. */
#include <dirent.h>
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
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cgroup.h"
#include "lib/proc_group.h"

int proc_group_make(const char *name, char *ret, size_t size)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	char *mount;

	if (ckpt_cgroup_dir("/", &mount, &err))
		return -1;
	snprintf(ret, size, "%sckpt-test-%d%s", mount, getpid(), name);
	free(mount);
	return mkdir(ret, 0755);
}

int proc_group_put(const char *cgroup, const char *file, const char *text)
{
	char path[400];
	int fd, ok;

	snprintf(path, sizeof(path), "%s/%s", cgroup, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	if (fd >= 0)
		close(fd);
	return ok ? 0 : -1;
}

static void remove_below(const char *cgroup)
{
	DIR *d = opendir(cgroup);
	struct dirent *e;
	char path[400];

	while (d && (e = readdir(d))) {
		if (e->d_type != DT_DIR || !strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		snprintf(path, sizeof(path), "%s/%s", cgroup, e->d_name);
		remove_below(path);
		rmdir(path);
	}
	if (d)
		closedir(d);
}

void proc_group_end(const char *cgroup)
{
	for (int i = 0; i < 500; i++) {
		proc_group_put(cgroup, "cgroup.kill", "1");
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		remove_below(cgroup);
		if (!rmdir(cgroup) || errno == ENOENT)
			return;
		usleep(10000);
	}
}

static void __attribute__((noreturn)) run(const char *cgroup, int ready, void (*body)(void))
{
	int fd;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (cgroup && proc_group_put(cgroup, "cgroup.procs", "0"))
		_exit(1);
	dup2(ready, 3);
	fd = open("/dev/null", O_RDWR);
	for (int k = 0; k < 3; k++)
		dup2(fd, k);
	syscall(SYS_close_range, 4, ~0u, 0);
	fcntl(3, F_SETFD, FD_CLOEXEC);
	body();
	if (write(3, "", 1) != 1)
		_exit(1);
	close(3);
	for (;;)
		pause();
}

void proc_group_lacks(int also)
{
	switch (errno) {
	case ENOSYS:
	case EOPNOTSUPP:
	case ENODEV:
		_exit(PROC_GROUP_NONE);
	}
	if (also && errno == also)
		_exit(PROC_GROUP_NONE);
	_exit(errno);
}

pid_t proc_group_spawn(const char *cgroup, void (*body)(void))
{
	int ready[2];
	char byte;
	pid_t pid;

	if (pipe2(ready, O_CLOEXEC))
		return -1;
	pid = fork();
	if (!pid)
		run(cgroup, ready[1], body);
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1 || read(ready[0], &byte, 1) != 0) {
		int status = 0;

		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (!WIFEXITED(status) || WEXITSTATUS(status) != PROC_GROUP_NONE)
			fail_msg("a process for a test has ended early, wait status 0x%x", status);
		pid = -1;
	}
	close(ready[0]);
	return pid;
}

struct ckpt_stop_params proc_group_patient(const struct ckpt_stop_params *params)
{
	struct ckpt_stop_params patient = *params;

	if (!patient.freeze_ms)
		patient.freeze_ms = 5000;
	return patient;
}

int proc_group_cycle(const struct ckpt_stop_params *params, struct ckpt_image *ret,
		     struct ckpt_err *err)
{
	const struct ckpt_stop_params patient = proc_group_patient(params);
	cleanup_stop struct ckpt_stop *stop = NULL;
	struct ckpt_image image;

	if (ckpt_stop_open(&patient, &stop, err) || ckpt_stop_begin(stop, err) ||
	    ckpt_stop_collect(stop, &image, err))
		return -1;
	if (ckpt_stop_release(stop, NULL, err) || !ret)
		ckpt_image_done(&image);
	else
		*ret = image;
	return err->status == CKPT_OK ? 0 : -1;
}

pid_t proc_group_collect_at(const struct ckpt_stop_params *params, const char *point,
			    struct ckpt_stop **ret, struct ckpt_err *err)
{
	const struct ckpt_stop_params patient = proc_group_patient(params);
	struct ckpt_stop *stop = NULL;
	int status = 0, rc;
	pid_t keeper;

	setenv("CKPT_FAULT", point, 1);
	rc = ckpt_stop_open(&patient, &stop, err) || ckpt_stop_begin(stop, err) ||
	     ckpt_stop_collect_start(stop, err);
	unsetenv("CKPT_FAULT");
	*ret = stop;
	if (rc)
		return -1;
	/* nobody else that is ours stops */
	keeper = waitpid(-1, &status, WUNTRACED);
	if (keeper < 0 || !WIFSTOPPED(status))
		fail_msg("%s was not reached, wait status 0x%x", point, status);
	return keeper;
}

void proc_group_refused(const struct ckpt_stop_params *params, const char *says)
{
	struct ckpt_err err = CKPT_ERR_INIT;

	if (!proc_group_cycle(params, NULL, &err))
		fail_msg("nobody says \"%s\"", says);
	if (err.status != CKPT_REFUSED || !strstr(err.text, says))
		fail_msg("\"%s\" (status %d) does not say \"%s\"", err.text, err.status, says);
}

/* What a machine may lack, by words of the refusal: nothing else may be left out. */
static const struct {
	const char *says, *lacks;
} absent[] = {
	{ "protection key", "protection keys of the processor" },
	{ "has memory with a policy", "a second NUMA node" },
	{ "(TCP_ULP)", "CONFIG_TLS" },
	{ "memory above 47 bits", "page tables of five levels" },
	{ "(EPOLLWAKEUP)", "CONFIG_PM_SLEEP" },
	{ "(NAPI)", "CONFIG_NET_RX_BUSY_POLL, or Linux 6.9" },
	{ "no right to cpuid", "a processor that can make cpuid fault" },
	{ "who writes for a file system", "CAP_SYS_RESOURCE" },
	{ "huge pages where it asks", "PR_THP_DISABLE_EXCEPT_ADVISED of Linux 6.18" },
	{ "has all of its memory merged", "PR_SET_MEMORY_MERGE of Linux 6.4" },
	{ "the right to AMX tiles", "a processor with AMX" },
	{ "has addresses with tags", "a processor with LAM" },
	{ "speculation forbidden", "a processor that speculates past stores" },
	{ "right to I/O ports", "CONFIG_X86_IOPL_IOPERM" },
	{ "bounds for the speed", "CONFIG_UCLAMP_TASK" },
};

/* A case that cannot be had here: why, or the test has failed. */
static const char *excuse(const char *says)
{
	for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++) {
		if (strstr(says, absent[i].says))
			return absent[i].lacks;
	}
	fail_msg("nothing is here of what is refused with \"%s\", and nothing says why", says);
	return NULL;
}

void proc_group_refusals(const struct proc_group_refusal *cases, size_t n)
{
	size_t lacking = 0;

	for (size_t i = 0; i < n; i++) {
		struct ckpt_stop_params params = { .pid = proc_group_spawn(NULL, cases[i].hold) };

		if (params.pid < 0) {
			print_message("%s, for want of %s: this machine has none\n", cases[i].says,
				      excuse(cases[i].says));
			lacking++;
			continue;
		}
		proc_group_refused(&params, cases[i].says);
		assert_true(proc_group_untraced(params.pid));
		kill(params.pid, SIGKILL);
		waitpid(params.pid, NULL, 0);
	}
	if (lacking)
		print_message("# %zu of %zu refusals were left out\n", lacking, n);
	assert_true(lacking < n);
}

bool proc_group_untraced(pid_t pid)
{
	char path[64], text[4096] = "";
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = 0;
	return strstr(text, "TracerPid:\t0\n") && !strstr(text, "State:\tZ") &&
	       !strstr(text, "State:\tT");
}
