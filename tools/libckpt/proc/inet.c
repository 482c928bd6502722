// SPDX-License-Identifier: GPL-2.0-or-later
/* Addresses of sockets of both internet families. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "proc/inet.h"

int ckpt_inet_address(int own, bool remote, uint8_t **ret, size_t *ret_len, struct ckpt_err *err)
{
	union ckpt_inet_address a;
	socklen_t len = sizeof(a);

	if (remote ? getpeername(own, &a.any, &len) : getsockname(own, &a.any, &len))
		return errno == ENOTCONN ? 0 :
		       ckpt_fail(err, CKPT_FAILED, errno, "cannot read the address of a socket");
	*ret = malloc(len);
	if (!*ret)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for an address");
	memcpy(*ret, &a, len);
	*ret_len = len;
	return 0;
}

void ckpt_inet_forget_none(uint8_t **address, size_t *len)
{
	union ckpt_inet_address a = { 0 };
	bool bound;

	memcpy(&a, *address, *len < sizeof(a) ? *len : sizeof(a));
	if (a.any.sa_family == AF_INET6)
		bound = a.v6.sin6_port || !IN6_IS_ADDR_UNSPECIFIED(&a.v6.sin6_addr);
	else
		bound = a.v4.sin_port || a.v4.sin_addr.s_addr;
	if (bound)
		return;
	free(*address);
	*address = NULL;
	*len = 0;
}

bool ckpt_inet_is_address(const uint8_t *address, size_t len, uint32_t family)
{
	uint16_t of;

	if (len != (family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6)))
		return false;
	memcpy(&of, address, sizeof(of));
	return of == family;
}

/* What is sent to one's own address comes from that very address: asked of a socket of no use. */
int ckpt_inet_is_local(const uint8_t *address, size_t len, struct ckpt_err *err)
{
	union ckpt_inet_address to = { 0 }, from = { 0 };
	socklen_t from_len = sizeof(from);
	cleanup_close int own = -1;

	memcpy(&to, address, len < sizeof(to) ? len : sizeof(to));
	/* a port must be there, and which one does not matter */
	to.v4.sin_port = htons(9);
	own = socket(to.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (own < 0)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot make a socket");
	if (connect(own, &to.any, len) || getsockname(own, &from.any, &from_len))
		return 0;
	if (to.any.sa_family == AF_INET6)
		return IN6_ARE_ADDR_EQUAL(&to.v6.sin6_addr, &from.v6.sin6_addr);
	return to.v4.sin_addr.s_addr == from.v4.sin_addr.s_addr;
}

uint32_t ckpt_inet_option(int own, int level, int name, uint32_t otherwise)
{
	uint32_t value;
	socklen_t len = sizeof(value);

	return getsockopt(own, level, name, &value, &len) ? otherwise : value;
}

const char *ckpt_inet_text(const uint8_t *address, size_t len, char ret[CKPT_INET_TEXT])
{
	union ckpt_inet_address a = { 0 };
	char text[INET6_ADDRSTRLEN] = "";
	bool v6;

	memcpy(&a, address, len < sizeof(a) ? len : sizeof(a));
	v6 = a.any.sa_family == AF_INET6;
	if (v6)
		inet_ntop(AF_INET6, &a.v6.sin6_addr, text, sizeof(text));
	else
		inet_ntop(AF_INET, &a.v4.sin_addr, text, sizeof(text));
	snprintf(ret, CKPT_INET_TEXT, "%s, port %u", text,
		 ntohs(v6 ? a.v6.sin6_port : a.v4.sin_port));
	return ret;
}
