/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Addresses of sockets of both internet families. */
#ifndef CKPT_PROC_INET_H
#define CKPT_PROC_INET_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Room for an address of either family. */
union ckpt_inet_address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* inet.c: as getsockname, or getpeername, gives it; allocated, nothing when it has none. */
int ckpt_inet_address(int own, bool remote, uint8_t **ret, size_t *ret_len, struct ckpt_err *err);
/* Bound to nothing, a socket has the address that its family begins with: no address. */
void ckpt_inet_forget_none(uint8_t **address, size_t *len);
/* Is it one of that family? */
bool ckpt_inet_is_address(const uint8_t *address, size_t len, uint32_t family);
/* Is it an address of this machine, in the network namespace of this thread? 1, 0, -1 */
int ckpt_inet_is_local(const uint8_t *address, size_t len, struct ckpt_err *err);
/* An int option, or @otherwise where there is none. */
uint32_t ckpt_inet_option(int own, int level, int name, uint32_t otherwise);

/* "ADDRESS, port N" */
#define CKPT_INET_TEXT 64
const char *ckpt_inet_text(const uint8_t *address, size_t len, char ret[CKPT_INET_TEXT]);

#endif
