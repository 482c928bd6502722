// SPDX-License-Identifier: GPL-2.0-or-later
/* Addresses of sockets of both internet families. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

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
