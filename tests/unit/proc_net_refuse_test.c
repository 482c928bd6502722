// SPDX-License-Identifier: GPL-2.0-or-later
/* What a restore would not make again in a network namespace is refused. Natively as root. */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter_arp/arp_tables.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/netfilter_ipv6/ip6_tables.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "lib/proc_group.h"
#include "proc/net.h"
#include "proc/netlink.h"

static void must(int failed)
{
	if (failed)
		_exit(1);
}

/* A namespace with lo up, in which iproute2 is told something; not every kernel can do all. */
static void told(const char *command)
{
	if (unshare(CLONE_NEWNET))
		proc_group_lacks(0);
	must(system("ip link set lo up"));
	if (system(command))
		_exit(PROC_GROUP_NONE);
}

#define TOLD(name, command) static void name(void) { told(command); }

TOLD(with_link, "ip link add x type veth peer name y")
TOLD(with_alias, "ip link set lo alias x")
TOLD(with_name, "ip link set lo down; ip link set lo name other; ip link set other up")
TOLD(with_lo_that_was_up, "ip link set lo down")
TOLD(with_route, "ip route add 10.0.0.0/8 dev lo")
TOLD(with_route6, "ip -6 route add blackhole 2001:db8::/32 dev lo")
TOLD(without_route, "ip route del local 127.0.0.1 table local")
TOLD(with_rule, "ip rule add pref 5 table 7")
TOLD(without_rule, "ip rule del pref 32767")
TOLD(with_neighbour, "ip neigh add 10.1.1.1 lladdr 00:11:22:33:44:55 dev lo nud permanent")
TOLD(with_proxy, "ip neigh add proxy 10.1.1.2 dev lo")
TOLD(with_nexthop, "ip nexthop add id 7 dev lo")
TOLD(with_queue, "tc qdisc add dev lo root pfifo")
TOLD(with_policy, "ip xfrm policy add dir out src 10.0.0.1 dst 10.0.0.2")
TOLD(with_default, "ip xfrm policy setdefault in block")
TOLD(with_threshold, "ip xfrm policy set hthresh4 24 32")
TOLD(with_label, "ip addrlabel add prefix 2003::/16 label 99")
TOLD(with_end, "ip addr add 10.1.1.1/8 dev lo valid_lft 1000 preferred_lft 900")
TOLD(with_preference, "ip -6 addr add fd00::7/128 dev lo valid_lft forever preferred_lft 9999")

/* As ethtool does it: segments are cut by the stack. */
static void with_features(void)
{
	struct ethtool_value off = { .cmd = ETHTOOL_STSO };
	struct ifreq request = { .ifr_name = "lo", .ifr_data = (void *)&off };
	int fd;

	told("true");
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	must(fd < 0 || ioctl(fd, SIOCETHTOOL, &request));
	close(fd);
}

/* As nft does it. */
static void with_table(void)
{
	/* of the last two bytes the first is the higher one */
	const uint8_t batch[] = { 0, NFNETLINK_V0, 0, NFNL_SUBSYS_NFTABLES };
	const struct nfgenmsg family = { .nfgen_family = 1, .version = NFNETLINK_V0 };
	struct ckpt_netlink_message m[3];
	uint8_t all[sizeof(m)];
	size_t len = 0;
	int fd;

	told("true");
	ckpt_netlink_begin(&m[0], NFNL_MSG_BATCH_BEGIN, 0, batch, sizeof(batch));
	ckpt_netlink_begin(&m[1], NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWTABLE, NLM_F_CREATE,
			   &family, sizeof(family));
	ckpt_netlink_put(&m[1], NFTA_TABLE_NAME, "abc", 4);
	ckpt_netlink_begin(&m[2], NFNL_MSG_BATCH_END, 0, batch, sizeof(batch));
	for (size_t i = 0; i < 3; i++) {
		memcpy(all + len, &m[i], m[i].head.nlmsg_len);
		len += m[i].head.nlmsg_len;
	}
	fd = ckpt_netlink_open(NETLINK_NETFILTER);
	if (fd < 0 || send(fd, all, len, 0) != (ssize_t)len)
		proc_group_lacks(EPROTONOSUPPORT);
	close(fd);
}

/* As iptables does it: who asks for a table makes it. */
static void with_tables(int family, int level, int option)
{
	union {
		struct ipt_getinfo ip;
		struct ip6t_getinfo ip6;
		struct arpt_getinfo arp;
	} info = { .ip.name = "filter" };
	socklen_t len = option == ARPT_SO_GET_INFO ? sizeof(info.arp) : sizeof(info.ip);
	int fd;

	told("true");
	fd = socket(family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	if (fd < 0 || getsockopt(fd, level, option, &info, &len))
		proc_group_lacks(ENOPROTOOPT);
	close(fd);
}

static void with_iptables(void) { with_tables(AF_INET, IPPROTO_IP, IPT_SO_GET_INFO); }
static void with_ip6tables(void) { with_tables(AF_INET6, IPPROTO_IPV6, IP6T_SO_GET_INFO); }
static void with_arptables(void) { with_tables(AF_INET, IPPROTO_IP, ARPT_SO_GET_INFO); }

/* One that does nothing. Return: its descriptor. */
static int program(enum bpf_prog_type type)
{
	static const struct bpf_insn nothing[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attr = {
		.prog_type = type, .insn_cnt = 2, .insns = (uintptr_t)nothing,
		.license = (uintptr_t)"GPL",
	};
	int fd;

	told("true");
	fd = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
	if (fd < 0)
		proc_group_lacks(EPERM);
	return fd;
}

/* @link: lo, or 0: the namespace. */
static void with_program(enum bpf_prog_type type, unsigned int attach, unsigned int link)
{
	int fd = program(type);
	union bpf_attr attr = { .attach_bpf_fd = (uint32_t)fd, .attach_type = attach,
				.target_fd = link };

	if (syscall(SYS_bpf, BPF_PROG_ATTACH, &attr, sizeof(attr)))
		proc_group_lacks(EINVAL);
	close(fd);
}

static void with_dissector(void)
{
	with_program(BPF_PROG_TYPE_FLOW_DISSECTOR, BPF_FLOW_DISSECTOR, 0);
}

/* BPF_TCX_INGRESS and BPF_TCX_EGRESS, which are younger than some headers. */
static void with_ingress(void) { with_program(BPF_PROG_TYPE_SCHED_CLS, 46, 1); }
static void with_egress(void) { with_program(BPF_PROG_TYPE_SCHED_CLS, 47, 1); }

static void with_xdp(void)
{
	const struct ifinfomsg lo = { .ifi_index = 1 };
	int fd = program(BPF_PROG_TYPE_XDP), nl = ckpt_netlink_open(NETLINK_ROUTE);
	struct ckpt_netlink_message m;
	struct {
		struct nlattr fd_head;
		int32_t fd;
		struct nlattr flags_head;
		uint32_t flags;
	} xdp = {
		.fd_head = { 8, IFLA_XDP_FD }, .fd = fd,
		.flags_head = { 8, IFLA_XDP_FLAGS }, .flags = XDP_FLAGS_SKB_MODE,
	};

	ckpt_netlink_begin(&m, RTM_SETLINK, 0, &lo, sizeof(lo));
	ckpt_netlink_put(&m, IFLA_XDP | NLA_F_NESTED, &xdp, sizeof(xdp));
	must(nl < 0 || ckpt_netlink_tell(nl, &m));
	close(nl);
	close(fd);
}

/* Made in one namespace and held in another. */
static void socket_of_another(int family, bool back)
{
	int before = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), fd;

	if (back)
		must(unshare(CLONE_NEWNET));
	fd = socket(family, SOCK_STREAM, 0);
	must(fd < 0);
	must(back ? setns(before, CLONE_NEWNET) : unshare(CLONE_NEWNET));
	close(before);
}

static void tcp_of_another(void) { socket_of_another(AF_INET, false); }
static void unix_of_another(void) { socket_of_another(AF_UNIX, false); }
static void tcp_from_another(void) { socket_of_another(AF_INET6, true); }
static void unix_from_another(void) { socket_of_another(AF_UNIX, true); }

static void refused(void **state)
{
	static const struct proc_group_refusal cases[] = {
		{ with_link, "with link x in it" },
		{ with_alias, "with link lo that is not as a new one has it" },
		{ with_name, "with link other in it" },
		{ with_lo_that_was_up, "with route 127.0.0.0 in it" },
		{ with_route, "with route 10.0.0.0 in it" },
		{ with_route6, "with route 2001:db8:: in it" },
		{ without_route, "without route 127.0.0.1 that a new one has" },
		{ with_rule, "with rule 5 in it" },
		{ without_rule, "with rule 32767 that is not as a new one has it" },
		/* on lo there is one for all */
		{ with_neighbour, "with neighbour 0.0.0.0 in it" },
		{ with_proxy, "with proxied neighbour 10.1.1.2 in it" },
		{ with_nexthop, "with nexthop 7 in it" },
		{ with_queue, "with queueing discipline pfifo in it" },
		{ with_policy, "with policy of xfrm in it" },
		{ with_default, "with default policy of xfrm that is not as a new one has it" },
		{ with_threshold, "with threshold of xfrm that is not as a new one has it" },
		{ with_features, "with features of lo that is not as a new one has it" },
		{ with_label, "with address label 2003:: in it" },
		{ with_end, "the addresses of the tree's network namespace cannot be made" },
		{ with_preference, "preferred for a time only" },
		{ with_table, "with table of nftables abc in it" },
		{ with_iptables, "with table of iptables filter in it" },
		{ with_ip6tables, "with table of ip6tables filter in it" },
		{ with_arptables, "with table of arptables filter in it" },
		{ with_dissector, "with program of BPF flow_dissector in it" },
		{ with_ingress, "with program of BPF tcx ingress in it" },
		{ with_egress, "with program of BPF tcx egress in it" },
		{ with_xdp, "with link lo that is not as a new one has it" },
		{ tcp_of_another, "of another network namespace" },
		{ unix_of_another, "of another network namespace" },
		{ tcp_from_another, "of another network namespace" },
		{ unix_from_another, "of another network namespace" },
	};

	(void)state;
	proc_group_refusals(cases, sizeof(cases) / sizeof(cases[0]));
}

static void plain(void) { told("ip addr add 10.1.1.1/8 dev lo"); }

static int change(void *arg, struct ckpt_err *err)
{
	(void)err;
	return system(arg);
}

/* One that has changed while it was read is no checkpoint, and the tree runs on. */
static void changed(const char *command, const char *says)
{
	struct ckpt_stop_params params = { .pid = proc_group_spawn(NULL, plain) };
	cleanup_stop struct ckpt_stop *stop = NULL;
	struct ckpt_err err = CKPT_ERR_INIT;
	struct ckpt_image image;
	cleanup_close int dir = -1;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d", params.pid);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (ckpt_stop_open(&params, &stop, &err) || ckpt_stop_begin(stop, &err) ||
	    ckpt_stop_collect(stop, &image, &err))
		fail_msg("%s", err.text);
	assert_int_equal(image.n_net, 1);
	assert_int_equal(image.net->n_addresses, 3);
	ckpt_image_done(&image);
	assert_int_equal(ckpt_inside(dir, "net", change, (char *)command, &err), 0);
	assert_int_equal(ckpt_stop_release(stop, NULL, &err), says ? -1 : 0);
	if (says && (err.status != CKPT_REFUSED || !err.passing || !strstr(err.text, says)))
		fail_msg("\"%s\" does not say \"%s\"", err.text, says);
	assert_true(proc_group_untraced(params.pid));
	kill(params.pid, SIGKILL);
	waitpid(params.pid, NULL, 0);
}

static void refused_when_changed(void **state)
{
	(void)state;
	changed("true", NULL);
	changed("echo 7 >/proc/sys/net/ipv4/tcp_syn_retries",
		"in which setting ipv4/tcp_syn_retries has changed during the checkpoint");
	changed("ip link set lo mtu 1500", "in which lo, or an address, has changed");
	changed("ip addr add 10.1.1.2/8 dev lo", "in which lo, or an address, has changed");
	changed("ip route add 10.0.0.0/9 dev lo", "in which route 10.0.0.0 has changed");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refused),
		cmocka_unit_test(refused_when_changed),
	};

	return cmocka_run_group_tests_name("proc net refuse", tests, NULL, NULL);
}
