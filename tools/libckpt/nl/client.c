// SPDX-License-Identifier: GPL-2.0-or-later
/* Netlink client of the module. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/netlink.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/family.h>
#include <netlink/genl/genl.h>
#include <netlink/netlink.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "nl/client.h"

/* A dump's messages come in buffers of up to 32 KiB, a group's roots in less. */
#define RECEIVE_LEN (64 << 10)

/**
 * struct ckpt_nl - a client
 * @sock: its socket
 * @family: number of the family
 * @runs: runs or ranges of the message being read
 */
struct ckpt_nl {
	struct nl_sock *sock;
	int family;
	struct ckpt_buf runs;
};

/* What is done with the attributes of an answer. */
typedef int answer_fn(struct ckpt_nl *nl, const void *attrs, size_t len, void *data,
		      struct ckpt_err *err);

/**
 * struct exchange - a request and its answers
 * @nl: the client
 * @answer: takes the answers, NULL when none is due
 * @data: its argument
 * @answers: how many came
 * @failed: @err is set; what still comes is read and dropped
 * @done: the last message came
 * @doing: what a refusal is said to have been about
 */
struct exchange {
	struct ckpt_nl *nl;
	answer_fn *answer;
	void *data;
	size_t answers;
	bool failed;
	bool done;
	const char *doing;
	struct ckpt_err *err;
};

static void cleanup_msg_fn(struct nl_msg **msg)
{
	nlmsg_free(*msg);
}

#define cleanup_msg cleanup_with(cleanup_msg_fn)

static int nl_fail(struct ckpt_err *err, int code, const char *what)
{
	return ckpt_fail(err, CKPT_FAILED, 0, "%s: %s", what, nl_geterror(code));
}

static enum ckpt_status status_of(int os)
{
	return os == EPERM || os == EACCES || os == EBUSY || os == EOPNOTSUPP ? CKPT_REFUSED
									     : CKPT_FAILED;
}

/* An error or the end: the errno and sentence of a refusal go into the error. */
static void refuse(struct exchange *x, const struct nlmsghdr *head)
{
	const char *text;
	int os = ckpt_nl_refusal(head, &text);

	x->done = true;
	if (!os || x->failed)
		return;
	x->failed = true;
	if (text)
		ckpt_fail(x->err, status_of(os), 0, "cannot %s: %s", x->doing, text);
	else
		ckpt_fail(x->err, status_of(os), os, "cannot %s", x->doing);
	if (x->err)
		x->err->os = os;
}

static int on_valid(struct nl_msg *msg, void *arg)
{
	struct nlmsghdr *head = nlmsg_hdr(msg);
	struct exchange *x = arg;
	struct genlmsghdr *genl;

	if (x->failed || !x->answer)
		return NL_OK;
	if (!genlmsg_valid_hdr(head, 0)) {
		ckpt_fail(x->err, CKPT_FAILED, 0, "the module's answer has no header");
		x->failed = true;
		return NL_OK;
	}
	genl = genlmsg_hdr(head);
	x->answers++;
	if (x->answer(x->nl, genlmsg_attrdata(genl, 0), genlmsg_attrlen(genl, 0), x->data, x->err))
		x->failed = true;
	return NL_OK;
}

static int on_end(struct nl_msg *msg, void *arg)
{
	refuse(arg, nlmsg_hdr(msg));
	return NL_STOP;
}

static int on_error(struct sockaddr_nl *from, struct nlmsgerr *e, void *arg)
{
	(void)from;
	refuse(arg, (const struct nlmsghdr *)((const char *)e - NLMSG_HDRLEN));
	return NL_STOP;
}

static int receive(struct exchange *x)
{
	struct nl_cb *cb = nl_cb_alloc(NL_CB_DEFAULT);
	int code = 0;

	if (!cb)
		return ckpt_fail(x->err, CKPT_FAILED, ENOMEM, "no memory to receive an answer");
	nl_cb_set(cb, NL_CB_VALID, NL_CB_CUSTOM, on_valid, x);
	nl_cb_set(cb, NL_CB_FINISH, NL_CB_CUSTOM, on_end, x);
	nl_cb_set(cb, NL_CB_ACK, NL_CB_CUSTOM, on_end, x);
	nl_cb_err(cb, NL_CB_CUSTOM, on_error, x);
	while (!x->done && code >= 0)
		code = nl_recvmsgs(x->nl->sock, cb);
	nl_cb_put(cb);
	if (x->failed)
		return -1;
	if (!x->done)
		return nl_fail(x->err, code, "cannot receive from the module");
	return 0;
}

/* Send @msg and read everything that answers it. */
static int exchange(struct exchange *x, struct nl_msg *msg)
{
	int code = nl_send_auto(x->nl->sock, msg);

	if (code < 0)
		return nl_fail(x->err, code, "cannot send to the module");
	if (receive(x))
		return -1;
	return 0;
}

static struct nl_msg *request(struct ckpt_nl *nl, int cmd, int flags, const char *name)
{
	cleanup_msg struct nl_msg *msg = nlmsg_alloc_size(RECEIVE_LEN);

	if (!msg || !genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, nl->family, 0, flags, cmd,
				 CKPT_GENL_VERSION))
		return NULL;
	if (name && nla_put_string(msg, CKPT_A_GROUP_NAME, name) < 0)
		return NULL;
	return take_ptr(msg);
}

static int too_long(struct ckpt_err *err)
{
	return ckpt_fail(err, CKPT_FAILED, ENOMEM, "cannot build a request to the module");
}

/* A request with up to one string more and no answer but yes or no. */
static int simple(struct ckpt_nl *nl, int cmd, const char *name, int attr, const char *value,
		  const char *doing, struct ckpt_err *err)
{
	cleanup_msg struct nl_msg *msg = request(nl, cmd, 0, name);
	struct exchange x = { .nl = nl, .doing = doing, .err = err };

	if (!msg || (value && nla_put_string(msg, attr, value) < 0))
		return too_long(err);
	return exchange(&x, msg);
}

/* The sentence for one group and path, freed by the caller; NULL without memory. */
static char *about(const char *fmt, const char *name, const char *path)
{
	char *text;

	if (asprintf(&text, fmt, name, path) < 0)
		return NULL;
	return text;
}

static int find_family(struct ckpt_nl *nl, struct ckpt_err *err)
{
	struct nl_cache *cache;
	struct genl_family *family;
	unsigned int version = 0;
	int code = genl_ctrl_alloc_cache(nl->sock, &cache);

	if (code < 0)
		return nl_fail(err, code, "cannot list the generic netlink families");
	family = genl_ctrl_search_by_name(cache, CKPT_GENL_NAME);
	if (family) {
		nl->family = genl_family_get_id(family);
		version = genl_family_get_version(family);
		genl_family_put(family);
	}
	nl_cache_free(cache);
	if (!family) {
		ckpt_fail(err, CKPT_REFUSED, 0,
			  "module ckpt is not loaded; load it with 'modprobe ckpt'");
		code = ENOENT;
	} else if (version != CKPT_GENL_VERSION) {
		ckpt_fail(err, CKPT_REFUSED, 0,
			  "module ckpt is of version %u instead of %d; load that of this release",
			  version, CKPT_GENL_VERSION);
		code = EPROTO;
	} else {
		return 0;
	}
	if (err)
		err->os = code;
	return -1;
}

int ckpt_nl_open(struct ckpt_nl **ret, struct ckpt_err *err)
{
	cleanup_nl struct ckpt_nl *nl = calloc(1, sizeof(*nl));
	const int on = 1;
	int code, fd;

	if (!nl)
		return ckpt_fail(err, CKPT_FAILED, ENOMEM, "no memory for a netlink client");
	nl->sock = nl_socket_alloc();
	if (!nl->sock)
		return ckpt_fail(err, CKPT_FAILED, ENOMEM, "no memory for a netlink client");
	code = genl_connect(nl->sock);
	if (code < 0)
		return nl_fail(err, code, "cannot open a netlink socket");
	nl_socket_set_msg_buf_size(nl->sock, RECEIVE_LEN);
	if (find_family(nl, err))
		return -1;
	/* Sentences with every refusal, and refusals without the request they answer. */
	fd = nl_socket_get_fd(nl->sock);
	if (setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on)) ||
	    setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on)))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot set up the netlink socket");
	*ret = take_ptr(nl);
	return 0;
}

void ckpt_nl_close(struct ckpt_nl *nl)
{
	if (!nl)
		return;
	nl_socket_free(nl->sock);
	ckpt_buf_done(&nl->runs);
	free(nl);
}

int ckpt_nl_group_new(struct ckpt_nl *nl, const char *name, const char *cgroup,
		      struct ckpt_err *err)
{
	cleanup_free char *doing = about("tag cgroup '%2$s' as group '%1$s'", name, cgroup);

	return doing ? simple(nl, CKPT_CMD_GROUP_NEW, name, CKPT_A_GROUP_CGROUP, cgroup, doing, err)
		     : too_long(err);
}

int ckpt_nl_group_del(struct ckpt_nl *nl, const char *name, struct ckpt_err *err)
{
	cleanup_free char *doing = about("untag group '%s'", name, NULL);

	return doing ? simple(nl, CKPT_CMD_GROUP_DEL, name, 0, NULL, doing, err) : too_long(err);
}

int ckpt_nl_root_add(struct ckpt_nl *nl, const char *name, const char *path, struct ckpt_err *err)
{
	cleanup_free char *doing = about("add root '%2$s' to group '%1$s'", name, path);

	return doing ? simple(nl, CKPT_CMD_ROOT_ADD, name, CKPT_A_ROOT_PATH, path, doing, err)
		     : too_long(err);
}

int ckpt_nl_root_del(struct ckpt_nl *nl, const char *name, const char *path, struct ckpt_err *err)
{
	cleanup_free char *doing = about("remove root '%2$s' from group '%1$s'", name, path);

	return doing ? simple(nl, CKPT_CMD_ROOT_DEL, name, CKPT_A_ROOT_PATH, path, doing, err)
		     : too_long(err);
}

/* A request that one message answers. */
static int ask_one(struct ckpt_nl *nl, struct nl_msg *msg, answer_fn *answer, void *ret,
		   const char *fmt, const char *name, struct ckpt_err *err)
{
	cleanup_free char *doing = about(fmt, name, NULL);
	struct exchange x = {
		.nl = nl, .answer = answer, .data = ret, .doing = doing, .err = err,
	};

	if (!msg || !doing)
		return too_long(err);
	if (exchange(&x, msg))
		return -1;
	if (x.answers != 1)
		return ckpt_fail(err, CKPT_FAILED, 0,
				 "cannot %s: the module gave %zu answers instead of one", doing,
				 x.answers);
	return 0;
}

static int answer_group(struct ckpt_nl *nl, const void *attrs, size_t len, void *data,
			struct ckpt_err *err)
{
	struct ckpt_nl_group group;

	(void)nl;
	if (ckpt_nl_parse_group(attrs, len, &group, err))
		return -1;
	ckpt_nl_group_done(data);
	memcpy(data, &group, sizeof(group));
	return 0;
}

int ckpt_nl_group_get(struct ckpt_nl *nl, const char *name, struct ckpt_nl_group *ret,
		      struct ckpt_err *err)
{
	cleanup_msg struct nl_msg *msg = request(nl, CKPT_CMD_GROUP_GET, 0, name);
	struct ckpt_nl_group group = { 0 };

	if (ask_one(nl, msg, answer_group, &group, "look up group '%s'", name, err)) {
		ckpt_nl_group_done(&group);
		return -1;
	}
	*ret = group;
	return 0;
}

static int answer_round(struct ckpt_nl *nl, const void *attrs, size_t len, void *data,
			struct ckpt_err *err)
{
	(void)nl;
	return ckpt_nl_parse_round(attrs, len, data, err);
}

int ckpt_nl_epoch_begin(struct ckpt_nl *nl, const char *name, struct ckpt_nl_round *ret,
			struct ckpt_err *err)
{
	cleanup_msg struct nl_msg *msg = request(nl, CKPT_CMD_EPOCH_BEGIN, 0, name);

	return ask_one(nl, msg, answer_round, ret, "begin an epoch of group '%s'", name, err);
}

int ckpt_nl_epoch_next(struct ckpt_nl *nl, const char *name, bool final,
		       struct ckpt_nl_round *ret, struct ckpt_err *err)
{
	cleanup_msg struct nl_msg *msg = request(nl, CKPT_CMD_EPOCH_NEXT, 0, name);

	if (msg && nla_put_u32(msg, CKPT_A_EPOCH_FLAGS, final ? CKPT_EPOCH_FINAL : 0) < 0)
		return too_long(err);
	return ask_one(nl, msg, answer_round, ret, "take a round of group '%s'", name, err);
}

static int epoch_end(struct ckpt_nl *nl, int cmd, const char *name, uint64_t epoch,
		     const uint8_t *id, const char *fmt, struct ckpt_err *err)
{
	cleanup_msg struct nl_msg *msg = request(nl, cmd, 0, name);
	cleanup_free char *doing = about(fmt, name, NULL);
	struct exchange x = { .nl = nl, .doing = doing, .err = err };

	if (!msg || !doing || nla_put_u64(msg, CKPT_A_EPOCH, epoch) < 0 ||
	    (id && nla_put(msg, CKPT_A_CHECKPOINT_ID, CKPT_ID_LEN, id) < 0))
		return too_long(err);
	return exchange(&x, msg);
}

int ckpt_nl_epoch_commit(struct ckpt_nl *nl, const char *name, uint64_t epoch,
			 const uint8_t id[CKPT_ID_LEN], struct ckpt_err *err)
{
	return epoch_end(nl, CKPT_CMD_EPOCH_COMMIT, name, epoch, id,
			 "commit the epoch of group '%s'", err);
}

int ckpt_nl_epoch_abort(struct ckpt_nl *nl, const char *name, uint64_t epoch,
			struct ckpt_err *err)
{
	return epoch_end(nl, CKPT_CMD_EPOCH_ABORT, name, epoch, NULL,
			 "abort the epoch of group '%s'", err);
}

/* A dump: every message goes through @answer. */
static int dump(struct ckpt_nl *nl, int cmd, const char *name, answer_fn *answer, void *data,
		const char *fmt, struct ckpt_err *err)
{
	cleanup_msg struct nl_msg *msg = request(nl, cmd, NLM_F_DUMP, name);
	cleanup_free char *doing = about(fmt, name, NULL);
	struct exchange x = {
		.nl = nl, .answer = answer, .data = data, .doing = doing, .err = err,
	};

	if (!msg || !doing)
		return too_long(err);
	return exchange(&x, msg);
}

struct group_dump {
	ckpt_nl_group_fn *fn;
	void *data;
};

static int answer_listed(struct ckpt_nl *nl, const void *attrs, size_t len, void *data,
			 struct ckpt_err *err)
{
	cleanup_with(ckpt_nl_group_done) struct ckpt_nl_group group = { 0 };
	const struct group_dump *d = data;

	(void)nl;
	if (ckpt_nl_parse_group(attrs, len, &group, err))
		return -1;
	return d->fn(&group, d->data, err);
}

int ckpt_nl_group_list(struct ckpt_nl *nl, ckpt_nl_group_fn *fn, void *data, struct ckpt_err *err)
{
	struct group_dump d = { .fn = fn, .data = data };

	return dump(nl, CKPT_CMD_GROUP_GET, NULL, answer_listed, &d, "list the groups", err);
}

struct area_dump {
	ckpt_nl_area_fn *fn;
	void *data;
};

static int answer_area(struct ckpt_nl *nl, const void *attrs, size_t len, void *data,
		       struct ckpt_err *err)
{
	const struct area_dump *d = data;
	struct ckpt_nl_area area;

	if (ckpt_nl_parse_area(attrs, len, &nl->runs, &area, err))
		return -1;
	return d->fn(&area, d->data, err);
}

int ckpt_nl_page_dump(struct ckpt_nl *nl, const char *name, ckpt_nl_area_fn *fn, void *data,
		      struct ckpt_err *err)
{
	struct area_dump d = { .fn = fn, .data = data };

	return dump(nl, CKPT_CMD_PAGE_DUMP, name, answer_area, &d, "read the pages of group '%s'",
		    err);
}

struct inode_dump {
	ckpt_nl_inode_fn *fn;
	void *data;
};

static int answer_inode(struct ckpt_nl *nl, const void *attrs, size_t len, void *data,
			struct ckpt_err *err)
{
	const struct inode_dump *d = data;
	struct ckpt_nl_inode inode;

	if (ckpt_nl_parse_inode(attrs, len, &nl->runs, &inode, err))
		return -1;
	return d->fn(&inode, d->data, err);
}

int ckpt_nl_inode_dump(struct ckpt_nl *nl, const char *name, ckpt_nl_inode_fn *fn, void *data,
		       struct ckpt_err *err)
{
	struct inode_dump d = { .fn = fn, .data = data };

	return dump(nl, CKPT_CMD_INODE_DUMP, name, answer_inode, &d,
		    "read the changed inodes of group '%s'", err);
}
