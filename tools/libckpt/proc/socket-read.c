// SPDX-License-Identifier: GPL-2.0-or-later
/* Sockets: family, type and options; the families go on from there. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/image-check.h"
#include "proc/nlsock.h"
#include "proc/procfs.h"
#include "proc/socket.h"
#include "proc/tcp.h"
#include "proc/udp.h"
#include "proc/unix.h"

#ifndef SO_BUF_LOCK
#define SO_BUF_LOCK 72
#endif
#ifndef SO_TXREHASH
#define SO_TXREHASH 74
#endif
#ifndef SO_RCVMARK
#define SO_RCVMARK 75
#endif

#ifndef SO_PASSPIDFD
#define SO_PASSPIDFD 76
#endif

#define INT(name) { SOL_SOCKET, name, sizeof(int), false }
#define OFF(name) { SOL_SOCKET, name, sizeof(int), true }

/* Which buffers have a size of their own goes behind: to set a size says that it has one. */
static const struct ckpt_socket_option_name common[] = {
	INT(SO_SNDBUF), INT(SO_RCVBUF), INT(SO_BUF_LOCK),
	OFF(SO_DEBUG), OFF(SO_REUSEADDR), OFF(SO_REUSEPORT), OFF(SO_KEEPALIVE),
	OFF(SO_BROADCAST), OFF(SO_DONTROUTE), OFF(SO_OOBINLINE), OFF(SO_NO_CHECK),
	OFF(SO_PRIORITY), OFF(SO_MARK), OFF(SO_RCVMARK), INT(SO_RCVLOWAT),
	{ SOL_SOCKET, SO_LINGER, sizeof(struct linger), true },
	{ SOL_SOCKET, SO_RCVTIMEO, sizeof(struct timeval), true },
	{ SOL_SOCKET, SO_SNDTIMEO, sizeof(struct timeval), true },
	OFF(SO_TIMESTAMP_OLD), OFF(SO_TIMESTAMPNS_OLD), OFF(SO_TIMESTAMP_NEW),
	OFF(SO_TIMESTAMPNS_NEW), OFF(SO_RXQ_OVFL), OFF(SO_WIFI_STATUS),
	{ SOL_SOCKET, SO_TIMESTAMPING_OLD, 2 * sizeof(int), true },
	OFF(SO_SELECT_ERR_QUEUE), OFF(SO_LOCK_FILTER), OFF(SO_ZEROCOPY),
	INT(SO_BUSY_POLL), OFF(SO_PREFER_BUSY_POLL), INT(SO_BUSY_POLL_BUDGET),
	{ SOL_SOCKET, SO_MAX_PACING_RATE, sizeof(uint64_t), false },
	INT(SO_TXREHASH), INT(SO_PEEK_OFF),
	OFF(SO_PASSCRED), OFF(SO_PASSSEC), OFF(SO_PASSPIDFD), INT(SO_PASSRIGHTS),
};

bool ckpt_socket_restorable(pid_t pid, int fd)
{
	/* What the kernel calls the protocols of the families that are restored. */
	static const char *const names[] = {
		"UNIX", "UNIX-STREAM", "TCP", "TCPv6", "MPTCP", "MPTCPv6", "UDP", "UDPv6",
		"UDP-Lite", "UDPLITEv6", "NETLINK",
	};
	char path[64], name[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
	n = getxattr(path, "system.sockprotoname", name, sizeof(name) - 1);
	/* closed meanwhile, or what has the number by now is something without a protocol */
	if (n < 0)
		return errno == ENOENT || errno == ESRCH || errno == EOPNOTSUPP || errno == ENODATA;
	name[n] = 0;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!strcmp(name, names[i]))
			return true;
	}
	return false;
}

static int refuse(const struct ckpt_reader *r, const struct ckpt_file *f, struct ckpt_err *err)
{
	const struct ckpt_held_proc *p = ckpt_tree_find(r->hold, f->capture_pid);

	return ckpt_fail(err, CKPT_REFUSED, 0,
		"pid %d (%s) holds a socket descriptor %d (socket:[%lu]), which this version "
		"cannot restore", f->capture_pid, p ? p->comm : "?", f->capture_fd, f->ino);
}

static bool is_zero(const uint8_t *value, size_t len)
{
	while (len && !value[len - 1])
		len--;
	return !len;
}

int ckpt_read_socket_options(struct ckpt_socket *s, int own,
			     const struct ckpt_socket_option_name *names, size_t n,
			     struct ckpt_err *err)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t value[CKPT_SOCKET_OPTION_MAX];
		struct ckpt_socket_option *list;
		socklen_t len = names[i].len;

		if (getsockopt(own, names[i].level, names[i].name, value, &len)) {
			if (errno == ENOPROTOOPT || errno == EOPNOTSUPP || errno == EINVAL)
				continue;
			return ckpt_fail(err, CKPT_FAILED, errno,
					 "cannot read option %u of a socket", names[i].name);
		}
		if (names[i].off && is_zero(value, len))
			continue;
		list = ckpt_grow(s->options, &s->n_options, sizeof(*list));
		if (!list)
			return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a socket");
		s->options = list;
		list += s->n_options - 1;
		list->level = names[i].level;
		list->name = names[i].name;
		list->value = malloc(len ? len : 1);
		if (!list->value)
			return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a socket");
		memcpy(list->value, value, len);
		list->len = len;
	}
	return 0;
}

/* A program that the kernel runs over what comes in. */
static int check_filter(const struct ckpt_file *f, int own, struct ckpt_err *err)
{
	socklen_t len = 0;

	if (!getsockopt(own, SOL_SOCKET, SO_GET_FILTER, NULL, &len) && !len)
		return 0;
	return ckpt_fail(err, CKPT_REFUSED, 0,
		"pid %d has a filter on socket %d (SO_ATTACH_FILTER), which this version cannot "
		"restore", f->capture_pid, f->capture_fd);
}

static int get_int(int own, int name, uint32_t *ret, struct ckpt_err *err)
{
	socklen_t len = sizeof(*ret);

	if (getsockopt(own, SOL_SOCKET, name, ret, &len))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot look at a socket");
	return 0;
}

int ckpt_socket_is_ours(const struct ckpt_reader *r, int own, bool *ret, struct ckpt_err *err)
{
	cleanup_close int space = r->net_ino ? ioctl(own, SIOCGSKNS) : -1;
	struct stat st;

	*ret = true;
	if (space < 0) {
		/* without the right to look (CAP_NET_ADMIN) it is believed, of our own namespace */
		return !r->net_ino || !r->image->n_net ? 0 :
		       ckpt_fail(err, CKPT_FAILED, errno, "cannot look at a socket");
	}
	if (fstat(space, &st))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot look at a network namespace");
	*ret = st.st_ino == r->net_ino;
	return 0;
}

/* Of Unix sockets, of which some are not restored, more is known later. */
static int check_space(const struct ckpt_reader *r, const struct ckpt_file *f,
		       const struct ckpt_socket *s, int own, struct ckpt_err *err)
{
	bool ours = true;

	if (s->family != AF_UNIX && ckpt_socket_is_ours(r, own, &ours, err))
		return -1;
	return ours ? 0 : ckpt_fail(err, CKPT_REFUSED, 0,
		"pid %d holds a socket descriptor %d of another network namespace, which this "
		"version cannot restore", f->capture_pid, f->capture_fd);
}

int ckpt_read_socket(struct ckpt_reader *r, struct ckpt_file *f, struct ckpt_err *err)
{
	struct ckpt_image *image = r->image;
	struct ckpt_socket *s = ckpt_grow(image->sockets, &image->n_sockets, sizeof(*s));
	cleanup_close int own = -1;

	if (!s)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of sockets");
	image->sockets = s;
	f->object = image->n_sockets - 1;
	s += f->object;
	s->part = CKPT_NONE;
	own = ckpt_borrow_fd(f, err);
	if (own < 0 || get_int(own, SO_DOMAIN, &s->family, err) ||
	    get_int(own, SO_TYPE, &s->type, err) ||
	    get_int(own, SO_PROTOCOL, &s->protocol, err) || check_filter(f, own, err) ||
	    check_space(r, f, s, own, err) ||
	    ckpt_read_socket_options(s, own, common, sizeof(common) / sizeof(common[0]), err))
		return -1;
	switch (s->family) {
	case AF_UNIX:
		return 0;
	case AF_INET:
	case AF_INET6:
		if (ckpt_tcp_socket(s))
			return ckpt_read_tcp(r, f, s, own, err);
		return ckpt_udp_socket(s) ? ckpt_read_udp(r, f, s, own, err) : refuse(r, f, err);
	case AF_NETLINK:
		return ckpt_read_nlsock(r, f, s, own, err);
	default:
		return refuse(r, f, err);
	}
}

int ckpt_read_sockets(struct ckpt_reader *r, struct ckpt_err *err)
{
	struct ckpt_survey *survey = r->hold->survey;

	if (ckpt_read_tcps(r, err) || ckpt_read_unixes(r, err))
		return -1;
	/* what is stored can be restored; what was refused has gaps and is not stored */
	return survey && survey->n ? 0 : ckpt_sockets_check(r->image, err);
}
