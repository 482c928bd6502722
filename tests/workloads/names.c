// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A program whose files have got other names, with a fifo, and a child that has a few rights left
 *
 * Prints "ready" once all is set up, waits until there is a file "go" in its directory, checks
 * that everything is as it was, and prints what is wrong, or "all well".
 */
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ok.h"

#define BIT(cap) (1u << (cap))

static int renamed, moved, fifo;

static void make_files(void)
{
	renamed = MUST(open("before", O_RDWR | O_CREAT | O_TRUNC, 0600));
	MUST(write(renamed, "renamed", 7));
	MUST(rename("before", "after"));
	MUST(mkdir("old", 0700));
	moved = MUST(open("old/file", O_RDWR | O_CREAT | O_TRUNC, 0600));
	MUST(write(moved, "moved", 5));
	MUST(rename("old", "new"));
	/* somebody else has the old name */
	close(MUST(open("before", O_WRONLY | O_CREAT, 0600)));
	MUST(mkfifo("fifo", 0640));
	fifo = MUST(open("fifo", O_RDWR | O_NONBLOCK));
	MUST(write(fifo, "in the fifo", 11));
}

static bool leads_to(int fd, const char *name)
{
	char path[64], text[256] = "";
	struct stat open, named;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return readlink(path, text, sizeof(text) - 1) > (ssize_t)strlen(name) &&
	       !strcmp(text + strlen(text) - strlen(name), name) && !fstat(fd, &open) &&
	       !stat(name, &named) && open.st_ino == named.st_ino && open.st_dev == named.st_dev;
}

static void check_files(void)
{
	char text[64] = "";

	OK(leads_to(renamed, "after") && leads_to(moved, "new/file") && leads_to(fifo, "fifo"));
	OK(lseek(renamed, 0, SEEK_CUR) == 7 && lseek(moved, 0, SEEK_CUR) == 5);
	OK(pread(renamed, text, 20, 0) == 7 && !memcmp(text, "renamed", 7));
	OK(pread(moved, text, 20, 0) == 5 && !memcmp(text, "moved", 5));
	OK(read(fifo, text, 20) == 11 && !memcmp(text, "in the fifo", 11));
	OK(read(fifo, text, 1) == -1 && errno == EAGAIN);
	OK(write(fifo, "x", 1) == 1 && read(fifo, text, 2) == 1);
}

/* Sets of all kinds that differ from one another. */
static void have_few_rights(int done)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { {
		.effective = BIT(CAP_CHOWN), .permitted = BIT(CAP_CHOWN) | BIT(CAP_KILL),
		.inheritable = BIT(CAP_KILL) | BIT(CAP_FOWNER),
	} };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	MUST(prctl(PR_CAPBSET_DROP, CAP_SYS_BOOT, 0, 0, 0));
	data[0].permitted |= BIT(CAP_FOWNER);
	MUST(syscall(SYS_capset, &head, data));
	MUST(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0));
	data[0].permitted &= ~BIT(CAP_FOWNER);
	MUST(syscall(SYS_capset, &head, data));
	close(done);
	for (;;)
		pause();
}

/* The lines of /proc/PID/status about capabilities. */
static void read_rights(pid_t pid, char *ret, size_t size)
{
	char path[64], text[4096] = "", *from, *to;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	fd = MUST(open(path, O_RDONLY));
	MUST(read(fd, text, sizeof(text) - 1));
	close(fd);
	from = strstr(text, "CapInh:");
	to = from ? strstr(from, "NoNewPrivs:") : NULL;
	if (to)
		*to = 0;
	snprintf(ret, size, "%s", to ? from : "");
}

int main(void)
{
	char before[400], after[400], byte;
	int done[2], status;
	pid_t pid;

	setvbuf(stdout, NULL, _IOLBF, 0);
	make_files();
	MUST(pipe(done));
	pid = MUST(fork());
	close(done[pid ? 1 : 0]);
	if (!pid)
		have_few_rights(done[1]);
	MUST(read(done[0], &byte, 1));
	close(done[0]);
	read_rights(pid, before, sizeof(before));
	MUST(strstr(before, "CapInh:\t0000000000000028\nCapPrm:\t0000000000000021\n"
			    "CapEff:\t0000000000000001\nCapBnd:\t") &&
	     strstr(before, "CapAmb:\t0000000000000020\n") ? 0 : -1);
	puts("ready");
	while (access("go", F_OK))
		usleep(20000);

	check_files();
	read_rights(pid, after, sizeof(after));
	OK(!strcmp(before, after));
	OK(!kill(pid, SIGKILL) && waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
	puts(wrong ? "not well" : "all well");
	return wrong != 0;
}
