// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Credentials of threads: ids, capabilities, securebits
 *
 * A thread starts with those of ckpt-tool.  The order matters: each step needs
 * a capability that a later one takes away.
 */
#include <errno.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "proc/build.h"
#include "proc/parse.h"

#define KEEP (SECBIT_NO_SETUID_FIXUP | SECBIT_KEEP_CAPS)

static int set_caps(const struct ckpt_site *s, uint64_t inh, uint64_t prm, uint64_t eff,
		    struct ckpt_err *err)
{
	const struct {
		struct __user_cap_header_struct head;
		struct __user_cap_data_struct data[2];
	} at = {
		.head = { .version = _LINUX_CAPABILITY_VERSION_3 },
		.data = {
			{ .effective = eff, .permitted = prm, .inheritable = inh },
			{ .effective = eff >> 32, .permitted = prm >> 32,
			  .inheritable = inh >> 32 },
		},
	};
	uint64_t addr = ckpt_site_put(s, 0, &at, sizeof(at), err);

	return !addr || ckpt_site_call(s, err, "set its capabilities", SYS_capset,
				       ARGS(addr, addr + sizeof(at.head))) < 0 ? -1 : 0;
}

static int set_ids(const struct ckpt_site *s, const struct ckpt_creds *c, struct ckpt_err *err)
{
	uint64_t groups = ckpt_site_put(s, 0, c->groups, c->n_groups * sizeof(*c->groups), err);

	if (!groups ||
	    ckpt_site_call(s, err, "set its groups", SYS_setgroups,
			   ARGS(c->n_groups, groups)) < 0 ||
	    ckpt_site_call(s, err, "set its group ids", SYS_setresgid,
			   ARGS(c->gid[0], c->gid[1], c->gid[2])) < 0 ||
	    ckpt_site_call(s, err, "set its group ids", SYS_setfsgid, ARGS(c->gid[3])) < 0 ||
	    ckpt_site_call(s, err, "set its user ids", SYS_setresuid,
			   ARGS(c->uid[0], c->uid[1], c->uid[2])) < 0 ||
	    ckpt_site_call(s, err, "set its user ids", SYS_setfsuid, ARGS(c->uid[3])) < 0)
		return -1;
	return 0;
}

static int set_ambient(const struct ckpt_site *s, uint64_t ambient, struct ckpt_err *err)
{
	int cap;

	if (ckpt_site_call(s, err, "clear ambient capabilities", SYS_prctl,
			   ARGS(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)) < 0)
		return -1;
	for (cap = 0; cap < 64; cap++) {
		if (ambient >> cap & 1 &&
		    ckpt_site_call(s, err, "raise an ambient capability", SYS_prctl,
				   ARGS(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0)) < 0)
			return -1;
	}
	return 0;
}

static int drop_bounding(const struct ckpt_site *s, uint64_t drop, struct ckpt_err *err)
{
	int cap;

	for (cap = 0; cap < 64; cap++) {
		if (drop >> cap & 1 && ckpt_site_call(s, err, "drop a bounding capability",
						      SYS_prctl, ARGS(PR_CAPBSET_DROP, cap)) < 0)
			return -1;
	}
	return 0;
}

static int set_securebits(const struct ckpt_site *s, uint32_t bits, struct ckpt_err *err)
{
	return ckpt_site_call(s, err, "set its securebits", SYS_prctl,
			      ARGS(PR_SET_SECUREBITS, bits)) < 0 ? -1 : 0;
}

static bool same_groups(const struct ckpt_proc_status *now, const struct ckpt_creds *c)
{
	cleanup_free uint32_t *groups = NULL;
	ssize_t n = ckpt_parse_groups(now->groups, &groups);

	return n == (ssize_t)c->n_groups && (!n || !memcmp(groups, c->groups, n * sizeof(*groups)));
}

static bool same_ids(const struct ckpt_proc_status *now, const struct ckpt_creds *c)
{
	return !memcmp(now->uid, c->uid, sizeof(c->uid)) &&
	       !memcmp(now->gid, c->gid, sizeof(c->gid)) && same_groups(now, c);
}

static bool same_caps(const struct ckpt_proc_status *now, const struct ckpt_creds *c)
{
	return now->cap_inh == c->cap_inh && now->cap_prm == c->cap_prm &&
	       now->cap_eff == c->cap_eff && now->cap_bnd == c->cap_bnd &&
	       now->cap_amb == c->cap_amb;
}

static int change(const struct ckpt_site *s, const struct ckpt_proc_status *now, bool ids,
		  const struct ckpt_creds *c, struct ckpt_err *err)
{
	if (ids && (set_securebits(s, KEEP, err) || set_ids(s, c, err)))
		return -1;
	if (set_caps(s, c->cap_inh, now->cap_prm, now->cap_prm, err) ||
	    set_ambient(s, c->cap_amb, err) ||
	    drop_bounding(s, now->cap_bnd & ~c->cap_bnd, err) ||
	    set_securebits(s, c->securebits, err))
		return -1;
	return set_caps(s, c->cap_inh, c->cap_prm, c->cap_eff, err);
}

bool ckpt_creds_same(const struct ckpt_proc_status *now, const struct ckpt_creds *c)
{
	return same_ids(now, c) && same_caps(now, c) && now->no_new_privs == c->no_new_privs;
}

int ckpt_build_creds(const struct ckpt_site *s, const struct ckpt_creds *c, struct ckpt_err *err)
{
	cleanup_free char *text = NULL;
	struct ckpt_proc_status now;
	int64_t bits;
	bool ids;

	if (ckpt_build_status(s->tid, &text, &now, err))
		return -1;
	bits = ckpt_site_call(s, err, "read its securebits", SYS_prctl, ARGS(PR_GET_SECUREBITS));
	if (bits < 0)
		return -1;
	ids = !same_ids(&now, c);
	if ((ids || !same_caps(&now, c) || bits != c->securebits) &&
	    change(s, &now, ids, c, err))
		return -1;
	if (c->no_new_privs && !now.no_new_privs &&
	    ckpt_site_call(s, err, "give up new privileges", SYS_prctl,
			   ARGS(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) < 0)
		return -1;
	return 0;
}
