// SPDX-License-Identifier: GPL-2.0-or-later
/* Host and domain name. */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "proc/uts.h"

int ckpt_uts_get(struct ckpt_uts *ret, struct ckpt_err *err)
{
	struct utsname u;

	_Static_assert(sizeof(u.nodename) == sizeof(ret->node), "names are of one length");
	_Static_assert(sizeof(u.domainname) == sizeof(ret->domain), "names are of one length");
	if (uname(&u))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot read the host name");
	memcpy(ret->node, u.nodename, sizeof(ret->node));
	memcpy(ret->domain, u.domainname, sizeof(ret->domain));
	return 0;
}

/* A name may have a NUL within; behind its end there is nothing else. */
static size_t length(const char name[CKPT_UTS_LEN])
{
	size_t len = CKPT_UTS_LEN - 1;

	while (len && !name[len - 1])
		len--;
	return len;
}

int ckpt_uts_set(const struct ckpt_uts *uts)
{
	return sethostname(uts->node, length(uts->node)) ||
	       setdomainname(uts->domain, length(uts->domain)) ? -1 : 0;
}
