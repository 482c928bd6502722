// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A plain client of the module's netlink family, for tests
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/netlink.h>

#include "lib/client.h"
#include "lib/world.h"

#ifndef SOL_NETLINK
#define SOL_NETLINK 270
#endif

int client_open(struct client *c)
{
	int one = 1;

	memset(c, 0, sizeof(*c));
	c->sk = nl_socket_alloc();
	if (!c->sk)
		return -ENOMEM;
	if (genl_connect(c->sk) < 0)
		return -EIO;
	setsockopt(nl_socket_get_fd(c->sk), SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one));
	nl_socket_set_buffer_size(c->sk, 1 << 20, 0);
	c->family = genl_ctrl_resolve(c->sk, CKPT_GENL_NAME);
	return c->family < 0 ? -ENOENT : 0;
}

void client_close(struct client *c)
{
	nl_socket_free(c->sk);
	c->sk = NULL;
}

static struct nl_msg *request(struct client *c, int cmd, int flags, const char *name)
{
	struct nl_msg *msg = nlmsg_alloc_size(8192);

	genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, c->family, 0, NLM_F_REQUEST | flags, cmd,
		    CKPT_GENL_VERSION);
	if (name)
		nla_put_string(msg, CKPT_A_GROUP_NAME, name);
	return msg;
}

/* Keep the sentence that comes with an error or the end of a dump. */
static void keep_text(struct client *c, const struct nlmsghdr *h, size_t fixed)
{
	const struct nlattr *attr;
	int left;

	if (!(h->nlmsg_flags & NLM_F_ACK_TLVS) || h->nlmsg_len < NLMSG_HDRLEN + fixed)
		return;
	left = (int)(h->nlmsg_len - NLMSG_HDRLEN - fixed);
	attr = (const struct nlattr *)((const char *)h + NLMSG_HDRLEN + fixed);
	for (; nla_ok(attr, left); attr = nla_next(attr, &left))
		if (nla_type(attr) == NLMSGERR_ATTR_MSG)
			snprintf(c->text, sizeof(c->text), "%s", (char *)nla_data(attr));
}

/* Return: 1 when the answer is complete with *ret_err, 0 when more follows. */
static int one_message(struct client *c, struct nlmsghdr *h, got_fn got, void *data, int *ret_err)
{
	struct nlattr *attrs[CKPT_A_MAX + 1];
	const struct nlmsgerr *e = NLMSG_DATA(h);
	size_t fixed;

	if (h->nlmsg_type == NLMSG_ERROR) {
		fixed = sizeof(*e);
		if (!(h->nlmsg_flags & NLM_F_CAPPED))
			fixed += e->msg.nlmsg_len - NLMSG_HDRLEN;
		keep_text(c, h, NLMSG_ALIGN(fixed));
		*ret_err = e->error;
		return 1;
	}
	if (h->nlmsg_type == NLMSG_DONE) {
		memcpy(ret_err, NLMSG_DATA(h), sizeof(int));
		keep_text(c, h, sizeof(int));
		return 1;
	}
	if (got && genlmsg_parse(h, 0, attrs, CKPT_A_MAX, NULL) == 0)
		got(attrs, data);
	return 0;
}

/*
 * How much to receive: the kernel makes the buffers of a dump as large as the largest that it was
 * asked to fill, so one who asks for little must look how long the next message is.
 */
static ssize_t room_for(struct client *c, size_t most)
{
	ssize_t len;

	if (!c->room)
		return (ssize_t)most;
	len = recv(nl_socket_get_fd(c->sk), NULL, 0, MSG_PEEK | MSG_TRUNC);
	if (len > (ssize_t)most) {
		errno = ENOBUFS;
		return -1;
	}
	return len < 0 || len > (ssize_t)c->room ? len : (ssize_t)c->room;
}

static int answer(struct client *c, got_fn got, void *data)
{
	static char buf[1 << 16] __attribute__((aligned(8)));
	struct nlmsghdr *h;
	ssize_t len;
	int err;

	for (;;) {
		len = room_for(c, sizeof(buf));
		if (len >= 0)
			len = recv(nl_socket_get_fd(c->sk), buf, (size_t)len, 0);
		if (len < 0)
			return -errno;
		for (h = (struct nlmsghdr *)buf; NLMSG_OK(h, len); h = NLMSG_NEXT(h, len))
			if (one_message(c, h, got, data, &err))
				return err;
	}
}

static int send_request(struct client *c, struct nl_msg *msg)
{
	int err;

	c->text[0] = '\0';
	err = nl_send_auto(c->sk, msg);
	nlmsg_free(msg);
	return err < 0 ? -EIO : 0;
}

static int call(struct client *c, struct nl_msg *msg, got_fn got, void *data)
{
	int err = send_request(c, msg);

	return err ? err : answer(c, got, data);
}

int client_bare(struct client *c, int cmd)
{
	return call(c, request(c, cmd, NLM_F_ACK, NULL), NULL, NULL);
}

int client_raw(struct client *c, int cmd, int flags, const void *attrs, size_t len)
{
	struct nl_msg *msg = request(c, cmd, flags, NULL);

	if (nlmsg_append(msg, (void *)attrs, len, 0))
		return -EMSGSIZE;
	return call(c, msg, NULL, NULL);
}

int client_group_new(struct client *c, const char *name, const char *cgroup)
{
	struct nl_msg *msg = request(c, CKPT_CMD_GROUP_NEW, NLM_F_ACK, name);

	nla_put_string(msg, CKPT_A_GROUP_CGROUP, cgroup);
	return call(c, msg, NULL, NULL);
}

int client_group_del(struct client *c, const char *name)
{
	return call(c, request(c, CKPT_CMD_GROUP_DEL, NLM_F_ACK, name), NULL, NULL);
}

static void got_state(struct nlattr **attrs, void *data)
{
	if (attrs[CKPT_A_GROUP_STATE])
		*(uint32_t *)data = nla_get_u32(attrs[CKPT_A_GROUP_STATE]);
}

int client_group_state(struct client *c, const char *name, uint32_t *ret_state)
{
	return call(c, request(c, CKPT_CMD_GROUP_GET, NLM_F_ACK, name), got_state, ret_state);
}

int client_set(struct client *c, const char *name, uint64_t events, uint64_t dirty_share,
	       uint64_t memory_share, uint64_t changed_inodes)
{
	struct nl_msg *msg = request(c, CKPT_CMD_GROUP_SET, NLM_F_ACK, name);

	if (events != UNSET)
		nla_put_u32(msg, CKPT_A_EVENTS, (uint32_t)events);
	if (dirty_share != UNSET)
		nla_put_u32(msg, CKPT_A_DIRTY_SHARE_MIN, (uint32_t)dirty_share);
	if (memory_share != UNSET)
		nla_put_u32(msg, CKPT_A_MEMORY_SHARE_MIN, (uint32_t)memory_share);
	if (changed_inodes != UNSET)
		nla_put_u64(msg, CKPT_A_CHANGED_INODES_MIN, changed_inodes);
	return call(c, msg, NULL, NULL);
}

int client_root(struct client *c, int cmd, const char *name, const char *path)
{
	struct nl_msg *msg = request(c, cmd, NLM_F_ACK, name);

	nla_put_string(msg, CKPT_A_ROOT_PATH, path);
	return call(c, msg, NULL, NULL);
}

/* --- epochs --- */

static void got_round(struct nlattr **attrs, void *data)
{
	struct round *r = data;

	if (!r || !attrs[CKPT_A_CHECKPOINT_ID])
		return;
	r->epoch = nla_get_u64(attrs[CKPT_A_EPOCH]);
	r->round = nla_get_u32(attrs[CKPT_A_ROUND]);
	r->generation = nla_get_u64(attrs[CKPT_A_GROUP_GENERATION]);
	r->load_cookie = nla_get_u64(attrs[CKPT_A_LOAD_COOKIE]);
	r->dirty_pages = nla_get_u64(attrs[CKPT_A_DIRTY_PAGES]);
	r->resident_pages = nla_get_u64(attrs[CKPT_A_RESIDENT_PAGES]);
	r->lost = nla_get_u64(attrs[CKPT_A_LOST]);
	memcpy(r->id, nla_data(attrs[CKPT_A_CHECKPOINT_ID]), CKPT_ID_LEN);
}

int client_begin(struct client *c, const char *name, struct round *ret)
{
	return call(c, request(c, CKPT_CMD_EPOCH_BEGIN, NLM_F_ACK, name), got_round, ret);
}

int client_next(struct client *c, const char *name, uint32_t flags, struct round *ret)
{
	struct nl_msg *msg = request(c, CKPT_CMD_EPOCH_NEXT, NLM_F_ACK, name);

	nla_put_u32(msg, CKPT_A_EPOCH_FLAGS, flags);
	return call(c, msg, got_round, ret);
}

int client_commit(struct client *c, const char *name, uint64_t epoch, const uint8_t *id)
{
	struct nl_msg *msg = request(c, CKPT_CMD_EPOCH_COMMIT, NLM_F_ACK, name);

	nla_put_u64(msg, CKPT_A_EPOCH, epoch);
	nla_put(msg, CKPT_A_CHECKPOINT_ID, CKPT_ID_LEN, id);
	return call(c, msg, NULL, NULL);
}

int client_abort(struct client *c, const char *name, uint64_t epoch)
{
	struct nl_msg *msg = request(c, CKPT_CMD_EPOCH_ABORT, NLM_F_ACK, name);

	nla_put_u64(msg, CKPT_A_EPOCH, epoch);
	return call(c, msg, NULL, NULL);
}

int client_unheard(struct client *c, int cmd, const char *name)
{
	static char buf[1 << 16] __attribute__((aligned(8)));
	int fd = nl_socket_get_fd(c->sk), little = 4096, i, heard = 0;
	struct nlmsghdr *h;
	ssize_t len;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &little, sizeof(little));
	for (i = 0; i < 64; i++)
		send_request(c, request(c, CKPT_CMD_GROUP_DEL, NLM_F_ACK, NULL));
	send_request(c, request(c, cmd, NLM_F_ACK, name));
	while ((len = recv(fd, buf, sizeof(buf), MSG_DONTWAIT)) >= 0 || errno == ENOBUFS)
		for (h = (struct nlmsghdr *)buf; NLMSG_OK(h, len); h = NLMSG_NEXT(h, len))
			heard += h->nlmsg_type == c->family;
	nl_socket_set_buffer_size(c->sk, 1 << 20, 0);
	return heard;
}

/* --- inodes --- */

struct sought {
	uint64_t ino;
	uint32_t mask;
};

static void got_inode(struct nlattr **attrs, void *data)
{
	struct sought *sought = data;

	if (nla_get_u64(attrs[CKPT_A_INODE_INO]) == sought->ino)
		sought->mask = nla_get_u32(attrs[CKPT_A_INODE_MASK]);
}

uint32_t client_inode_mask(struct client *c, const char *name, uint64_t ino)
{
	struct sought sought = { .ino = ino };

	call(c, request(c, CKPT_CMD_INODE_DUMP, NLM_F_DUMP, name), got_inode, &sought);
	return sought.mask;
}

int client_inodes_start(struct client *c, const char *name)
{
	return send_request(c, request(c, CKPT_CMD_INODE_DUMP, NLM_F_DUMP, name));
}

int client_inodes_finish(struct client *c, got_fn got, void *data)
{
	return answer(c, got, data);
}

int client_inodes(struct client *c, const char *name, got_fn got, void *data)
{
	int err = client_inodes_start(c, name);

	return err ? err : client_inodes_finish(c, got, data);
}

int client_group_list(struct client *c, got_fn got, void *data)
{
	return call(c, request(c, CKPT_CMD_GROUP_GET, NLM_F_DUMP, NULL), got, data);
}

/* --- pages --- */

static void *more(void *array, size_t nr, size_t add, size_t size)
{
	array = realloc(array, (nr + add + 1) * size);
	if (!array)
		abort();
	return array;
}

static void got_pages(struct nlattr **attrs, void *data)
{
	struct pages *p = data;
	struct area *a;
	size_t nr;

	p->area = more(p->area, p->nr_areas, 1, sizeof(*p->area));
	a = &p->area[p->nr_areas++];
	memset(a, 0, sizeof(*a));
	a->cookie = nla_get_u64(attrs[CKPT_A_MM_COOKIE]);
	a->pid = (pid_t)nla_get_u32(attrs[CKPT_A_MM_PID]);
	a->mm_flags = nla_get_u32(attrs[CKPT_A_MM_FLAGS]);
	a->run = p->nr_runs;
	if (!attrs[CKPT_A_AREA_START])
		return;
	a->start = nla_get_u64(attrs[CKPT_A_AREA_START]);
	a->end = nla_get_u64(attrs[CKPT_A_AREA_END]);
	a->pgoff = nla_get_u64(attrs[CKPT_A_AREA_PGOFF]);
	a->dev = nla_get_u64(attrs[CKPT_A_AREA_DEV]);
	a->ino = nla_get_u64(attrs[CKPT_A_AREA_INO]);
	a->flags = nla_get_u32(attrs[CKPT_A_AREA_FLAGS]);
	if (!attrs[CKPT_A_RUNS])
		return;
	nr = (size_t)nla_len(attrs[CKPT_A_RUNS]) / sizeof(struct ckpt_run);
	p->run = more(p->run, p->nr_runs, nr, sizeof(*p->run));
	memcpy(&p->run[p->nr_runs], nla_data(attrs[CKPT_A_RUNS]), nr * sizeof(*p->run));
	p->nr_runs += nr;
	a->nr_runs = nr;
}

int client_pages_start(struct client *c, const char *name)
{
	return send_request(c, request(c, CKPT_CMD_PAGE_DUMP, NLM_F_DUMP, name));
}

int client_pages_finish(struct client *c, struct pages *ret)
{
	memset(ret, 0, sizeof(*ret));
	return answer(c, got_pages, ret);
}

int client_pages(struct client *c, const char *name, struct pages *ret)
{
	int err = client_pages_start(c, name);

	memset(ret, 0, sizeof(*ret));
	return err ? err : client_pages_finish(c, ret);
}

void pages_free(struct pages *pages)
{
	free(pages->area);
	free(pages->run);
	memset(pages, 0, sizeof(*pages));
}

void client_take(struct client *c, const char *name, struct pages *ret)
{
	uint8_t id[CKPT_ID_LEN] = { 1 };
	struct round r;

	if (client_begin(c, name, &r) || client_pages(c, name, ret) ||
	    client_commit(c, name, r.epoch, id))
		die("take: %s", c->text);
}

const struct area *pages_area(const struct pages *pages, pid_t pid, uint64_t addr)
{
	size_t i;

	for (i = 0; i < pages->nr_areas; i++)
		if (pages->area[i].pid == pid && addr >= pages->area[i].start &&
		    addr < pages->area[i].end)
			return &pages->area[i];
	return NULL;
}

int pages_state(const struct pages *pages, pid_t pid, uint64_t addr, uint32_t *ret_flags)
{
	const struct area *a;
	const struct ckpt_run *r;
	size_t i, j;

	*ret_flags = 0;
	for (i = 0; i < pages->nr_areas; i++) {
		a = &pages->area[i];
		if (a->pid != pid || addr < a->start || addr >= a->end)
			continue;
		for (j = 0; j < a->nr_runs; j++) {
			r = &pages->run[a->run + j];
			if (addr < r->start || addr >= r->start + ((uint64_t)r->pages << 12))
				continue;
			*ret_flags = r->flags;
			return r->state;
		}
	}
	return CKPT_PAGE_NONE;
}

size_t pages_dirty(const struct pages *pages, pid_t pid, uint64_t start, uint64_t end)
{
	const struct area *a;
	const struct ckpt_run *r;
	uint64_t from, to;
	size_t i, j, nr = 0;

	for (i = 0; i < pages->nr_areas; i++) {
		a = &pages->area[i];
		for (j = 0; a->pid == pid && j < a->nr_runs; j++) {
			r = &pages->run[a->run + j];
			from = r->start > start ? r->start : start;
			to = r->start + ((uint64_t)r->pages << 12);
			to = to < end ? to : end;
			if ((r->flags & CKPT_RUN_DIRTY) && from < to)
				nr += (to - from) >> 12;
		}
	}
	return nr;
}

uint32_t pages_mm_flags(const struct pages *pages, pid_t pid)
{
	size_t i;

	for (i = 0; i < pages->nr_areas; i++)
		if (pages->area[i].pid == pid)
			return pages->area[i].mm_flags;
	return ~0U;
}

uint64_t pages_mm_cookie(const struct pages *pages, pid_t pid)
{
	size_t i;

	for (i = 0; i < pages->nr_areas; i++)
		if (pages->area[i].pid == pid)
			return pages->area[i].cookie;
	return 0;
}
