/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ends of Unix sockets: names, options, and what is written and read
 */
#ifndef CKPT_TESTS_WORKLOADS_UNIX_ENDS_H
#define CKPT_TESTS_WORKLOADS_UNIX_ENDS_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ok.h"

static inline int make_socket(int type)
{
	return MUST(socket(AF_UNIX, type, 0));
}

static unsigned int token;	/* of names without a file, which all of the machine shares */

/* A name of this process alone: @ stands for the byte 0. */
static inline socklen_t name_of(struct sockaddr_un *un, const char *name)
{
	*un = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (*name != '@') {
		strcpy(un->sun_path, name);
		return offsetof(struct sockaddr_un, sun_path) + strlen(name) + 1;
	}
	return offsetof(struct sockaddr_un, sun_path) + 1 +
	       snprintf(un->sun_path + 1, sizeof(un->sun_path) - 1, "%s.%08x", name + 1, token);
}

static inline void bind_to(int fd, const char *name)
{
	struct sockaddr_un un;
	socklen_t len = name_of(&un, name);

	if (*name != '@')
		unlink(name);
	MUST(bind(fd, (struct sockaddr *)&un, len));
}

static inline int try_connect(int fd, const char *name)
{
	struct sockaddr_un un;
	socklen_t len = name_of(&un, name);

	return connect(fd, (struct sockaddr *)&un, len);
}

static inline bool is_called(int fd, bool peer, const char *name)
{
	struct sockaddr_un un, wanted;
	socklen_t len = sizeof(un), n = name ? name_of(&wanted, name) : 2;

	if (peer ? getpeername(fd, (struct sockaddr *)&un, &len) :
		   getsockname(fd, (struct sockaddr *)&un, &len))
		return false;
	return len == n && (!name || !memcmp(un.sun_path, wanted.sun_path, len - 2));
}

static inline void put(int fd, const char *text)
{
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		exit(1);
}

/* Is this what can be read, in one piece? */
static inline bool gets(int fd, const char *text)
{
	char got[256];
	ssize_t n = recv(fd, got, sizeof(got), MSG_DONTWAIT);

	return n == (ssize_t)strlen(text) && !memcmp(got, text, n);
}

static inline bool is_empty(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

static inline bool is_at_end(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

static inline bool made_by(int fd, pid_t pid, uid_t uid, gid_t gid)
{
	struct ucred c;
	socklen_t len = sizeof(c);

	return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c, &len) && c.pid == pid &&
	       c.uid == uid && c.gid == gid;
}

static inline int option(int fd, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	getsockopt(fd, SOL_SOCKET, name, &value, &len);
	return value;
}

#endif
