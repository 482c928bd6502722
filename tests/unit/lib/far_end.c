// SPDX-License-Identifier: GPL-2.0-or-later
/* Far end: who the tree is connected to. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cgroup.h"
#include "lib/aside.h"
#include "lib/far_end.h"
#include "proc/tcp-outside.h"

#define STREAM "tcp_stream"
#define FDS 64

struct far_end far_end = { .cut = -1 };

static int start(const char *room)
{
	strcpy(far_end.dir, "/tmp/ckpt-tcp-outside-XXXXXX");
	assert_non_null(mkdtemp(far_end.dir));
	far_end.pid = aside_start(STREAM, far_end.dir, "port", room);
	aside_wait(far_end.dir, "port", "\n");
	aside_read(far_end.dir, "port", far_end.port, sizeof(far_end.port));
	far_end.port[strcspn(far_end.port, "\n")] = 0;
	assert_true(far_end.port[0]);
	return 0;
}

int far_end_start(void **state)
{
	(void)state;
	return start(NULL);
}

int far_end_start_small(void **state)
{
	(void)state;
	return start("8192");
}

int far_end_stop(void **state)
{
	(void)state;
	ckpt_cleanup_close(&far_end.cut);
	far_end.cut = -1;
	kill(far_end.pid, SIGKILL);
	waitpid(far_end.pid, NULL, 0);
	aside_remove(far_end.dir);
	memset(far_end.port, 0, sizeof(far_end.port));
	far_end.stays_cut = cycle_tcp_repair = false;
	cycle_instead_of_kill = NULL;
	cycle_while_stopped = cycle_before_run = NULL;
	return 0;
}

int far_end_connection(pid_t pid)
{
	cleanup_close int pidfd = syscall(SYS_pidfd_open, pid, 0);
	union ckpt_inet_address a;

	for (int fd = 0; fd < FDS && pidfd >= 0; fd++) {
		cleanup_close int own = syscall(SYS_pidfd_getfd, pidfd, fd, 0);
		socklen_t len = sizeof(a);

		if (own >= 0 && !getpeername(own, &a.any, &len) && a.any.sa_family == AF_INET)
			return take_fd(own);
	}
	return -1;
}

int far_end_of_tree(void)
{
	cleanup_free int32_t *pids = NULL;
	size_t n;

	assert_int_equal(ckpt_cgroup_pids(cycle_cgroup, &pids, &n, NULL), 0);
	/* the first one may be init of the tree */
	assert_true(n > 0);
	return far_end_connection(pids[n - 1]);
}

void far_end_cut(void)
{
	far_end.cut = far_end_connection(far_end.pid);
	assert_true(far_end.cut >= 0);
	assert_int_equal(ckpt_tcp_deafen(far_end.cut, true), 0);
}

void far_end_kill_tree(void)
{
	cleanup_free int32_t *pids = NULL;
	size_t n;

	assert_int_equal(ckpt_cgroup_pids(cycle_cgroup, &pids, &n, NULL), 0);
	for (size_t i = 0; i < n; i++)
		kill(pids[i], SIGKILL);
	cycle_wait_empty();
}

void far_end_power_cut(void)
{
	cleanup_free int32_t *pids = NULL;
	int socks[8], on = TCP_REPAIR_ON;
	size_t n;

	far_end_cut();
	assert_int_equal(ckpt_cgroup_pids(cycle_cgroup, &pids, &n, NULL), 0);
	assert_true(n <= 8);
	for (size_t i = 0; i < n; i++) {
		socks[i] = far_end_connection(pids[i]);
		setsockopt(socks[i], IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on));
	}
	far_end_kill_tree();
	for (size_t i = 0; i < n; i++)
		close(socks[i]);
}

static bool line_is(const char *line, const char *from, const char *to)
{
	unsigned int place[4], state;

	return sscanf(line, " %*d: %x:%x %x:%x %x", &place[0], &place[1], &place[2], &place[3],
		      &state) == 5 &&
	       place[1] == strtoul(from, NULL, 10) && place[3] == strtoul(to, NULL, 10) &&
	       state == TCP_ESTABLISHED;
}

/* Is there a connection from that port to the server? */
static bool is_connected(const char *from)
{
	FILE *f = fopen("/proc/self/net/tcp", "re");
	bool found = false;
	char line[256];

	while (f && !found && fgets(line, sizeof(line), f))
		found = line_is(line, from, far_end.port);
	if (f)
		fclose(f);
	return found;
}

/* A process that lets the server hear again once the connection is there anew. */
static pid_t hear_again_later(void)
{
	union ckpt_inet_address a;
	socklen_t len = sizeof(a);
	char from[16];
	pid_t pid;

	assert_int_equal(getpeername(far_end.cut, &a.any, &len), 0);
	snprintf(from, sizeof(from), "%u", ntohs(a.v4.sin_port));
	pid = fork();
	if (pid)
		return pid;
	for (int i = 0; i < 4000 && !is_connected(from); i++)
		usleep(1000);
	ckpt_tcp_deafen(far_end.cut, false);
	_exit(0);
}

void far_end_restore(struct saved *s, struct ckpt_restore **ret,
		     struct ckpt_restore_result *result)
{
	const struct sockaddr nowhere = { .sa_family = AF_UNSPEC };
	pid_t pid = far_end.cut >= 0 && !far_end.stays_cut ? hear_again_later() : 0;

	cycle_restore(s, ret, result);
	if (pid) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		ckpt_tcp_deafen(far_end.cut, false);
	}
	/* what an end that hears nothing finds out in the end */
	if (far_end.cut >= 0 && result->tcp_reset)
		(void)connect(far_end.cut, &nowhere, sizeof(nowhere));
	ckpt_cleanup_close(&far_end.cut);
	far_end.cut = -1;
}
