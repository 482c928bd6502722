// SPDX-License-Identifier: GPL-2.0-or-later
/* What is in a network namespace and in no list of netlink: in files, of programs, of drivers */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/ethtool.h>
#include <linux/if.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/net.h"
#include "proc/procfs.h"

#define LO 1

/* A kernel that is older or newer than our headers. */
#define BPF_TCX_INGRESS_NR 46
#define BPF_TCX_EGRESS_NR 47

/* Words of features that we have room for: twice what kernels have. */
#define FEATURE_WORDS 4

/* Of these the names are all. */
static const struct {
	const char *file, *what;
} files[] = {
	{ "ip_tables_names", "table of iptables" },
	{ "ip6_tables_names", "table of ip6tables" },
	{ "arp_tables_names", "table of arptables" },
	{ "ip_vs", "service of IPVS" },
	{ "ip_mr_vif", "interface of multicast routing" },
	{ "ip6_mr_vif", "interface of multicast routing" },
};

static const struct {
	int type;
	bool of_link;
	const char *name;
} programs[] = {
	{ BPF_FLOW_DISSECTOR, false, "flow_dissector" },
	{ BPF_SK_LOOKUP, false, "sk_lookup" },
	{ BPF_TCX_INGRESS_NR, true, "tcx ingress" },
	{ BPF_TCX_EGRESS_NR, true, "tcx egress" },
};

static int list_file(struct ckpt_net_things *all, int dir, size_t i, struct ckpt_buf *b,
		     struct ckpt_err *err)
{
	struct ckpt_net_thing *t;
	const char *at, *end;
	int e = ckpt_procfs_read(dir, files[i].file, b);

	if (e)
		return e == -ENOENT ? 0 :
		       ckpt_fail(err, CKPT_FAILED, -e, "cannot read %s", files[i].file);
	for (at = (char *)b->data; *at; at = end + (*end == '\n')) {
		end = at + strcspn(at, "\n");
		t = ckpt_net_thing_add(all, files[i].what, at, end - at, err);
		if (!t)
			return -1;
		snprintf(t->name, sizeof(t->name), "%.*s", (int)(end - at), at);
	}
	return 0;
}

static int list_files(struct ckpt_net_things *all, struct ckpt_err *err)
{
	cleanup_close int dir = open("/proc/thread-self/net", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_buf struct ckpt_buf b = CKPT_BUF_INIT;

	if (dir < 0)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot open /proc/thread-self/net");
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		if (list_file(all, dir, i, &b, err))
			return -1;
	}
	return 0;
}

/* Programs of BPF that are no attribute of a link.  Which ones says nothing: none is restored. */
static int list_programs(struct ckpt_net_things *all, struct ckpt_err *err)
{
	cleanup_close int space = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

	if (space < 0)
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot open /proc/thread-self/ns/net");
	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
		union bpf_attr attr = { 0 };
		struct ckpt_net_thing *t;

		attr.query.target_fd = programs[i].of_link ? LO : space;
		attr.query.attach_type = programs[i].type;
		/* a kernel without such programs does not know what is asked */
		if (syscall(SYS_bpf, BPF_PROG_QUERY, &attr, sizeof(attr)) && errno != ENOSPC) {
			if (errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP)
				continue;
			return ckpt_fail(err, CKPT_FAILED, errno,
					 "cannot ask for programs of BPF");
		}
		if (!attr.query.prog_cnt)
			continue;
		t = ckpt_net_thing_add(all, "program of BPF", &programs[i].type,
				       sizeof(programs[i].type), err);
		if (!t)
			return -1;
		snprintf(t->name, sizeof(t->name), "%s", programs[i].name);
	}
	return 0;
}

/* Features of lo: those that are on, and those that are wanted. */
static int list_features(struct ckpt_net_things *all, struct ckpt_err *err)
{
	cleanup_close int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct {
		struct ethtool_gfeatures head;
		struct ethtool_get_features_block word[FEATURE_WORDS];
	} f = { .head = { .cmd = ETHTOOL_GFEATURES, .size = FEATURE_WORDS } };
	struct ifreq request = { .ifr_name = "lo", .ifr_data = (void *)&f };
	struct ckpt_net_thing *t;

	if (fd < 0 || ioctl(fd, SIOCETHTOOL, &request))
		return errno == EOPNOTSUPP || errno == EAFNOSUPPORT || errno == ENODEV ? 0 :
		       ckpt_fail(err, CKPT_FAILED, errno, "cannot ask for the features of lo");
	if (f.head.size > FEATURE_WORDS)
		return ckpt_fail(err, CKPT_REFUSED, 0, "lo has more features than this version "
				 "knows of");
	t = ckpt_net_thing_add(all, "features", f.word, f.head.size * sizeof(f.word[0]), err);
	if (!t)
		return -1;
	strcpy(t->name, "of lo");
	return 0;
}

int ckpt_net_unlisted_get(struct ckpt_net_things *ret, struct ckpt_err *err)
{
	return list_files(ret, err) || list_programs(ret, err) || list_features(ret, err) ? -1 : 0;
}
