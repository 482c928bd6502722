/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A plain client of the module's netlink family, for tests
 */
#ifndef TESTS_CLIENT_H
#define TESTS_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <linux/ckpt.h>

#define UNSET UINT64_MAX

struct nl_sock;
struct nlattr;

/* Called for every data message of an answer. */
typedef void (*got_fn)(struct nlattr **attrs, void *data);

/**
 * struct client - one socket
 * @sk: the socket
 * @family: id of the family
 * @room: answers are read so many bytes at a time, or as many as one has; 0: 64 KiB
 * @text: sentence of the last refusal, empty if none came
 */
struct client {
	struct nl_sock *sk;
	int family;
	size_t room;
	char text[256];
};

/* What a round's reply holds. */
struct round {
	uint64_t epoch;
	uint64_t generation;
	uint64_t load_cookie;
	uint64_t dirty_pages;
	uint64_t resident_pages;
	uint64_t lost;
	uint32_t round;
	uint8_t id[CKPT_ID_LEN];
};

/* One message of a page-dump; areas in several parts are several entries. */
struct area {
	uint64_t cookie;
	uint64_t start;
	uint64_t end;
	uint64_t pgoff;
	uint64_t dev;
	uint64_t ino;
	pid_t pid;
	uint32_t mm_flags;
	uint32_t flags;
	size_t run;
	size_t nr_runs;
};

struct pages {
	struct area *area;
	size_t nr_areas;
	struct ckpt_run *run;
	size_t nr_runs;
};

/* All return 0 or a negative errno as the kernel answered; c->text has the sentence. */
int client_open(struct client *c);
void client_close(struct client *c);
int client_group_new(struct client *c, const char *name, const char *cgroup);
int client_group_del(struct client *c, const char *name);
int client_group_state(struct client *c, const char *name, uint32_t *ret_state);
/* What listeners want; a value of UNSET is left out. */
int client_set(struct client *c, const char *name, uint64_t events, uint64_t dirty_share,
	       uint64_t memory_share, uint64_t changed_inodes);
int client_root(struct client *c, int cmd, const char *name, const char *path);
int client_begin(struct client *c, const char *name, struct round *ret);
int client_next(struct client *c, const char *name, uint32_t flags, struct round *ret);
int client_commit(struct client *c, const char *name, uint64_t epoch, const uint8_t *id);
int client_abort(struct client *c, const char *name, uint64_t epoch);
/*
 * Send EPOCH_BEGIN or EPOCH_NEXT with no room at the socket for the answer.
 * Return: how many answers with data came all the same.
 */
int client_unheard(struct client *c, int cmd, const char *name);
int client_bare(struct client *c, int cmd);	/* a request without attributes */
/* A request of any attributes, well formed or not; @flags: NLM_F_*. */
int client_raw(struct client *c, int cmd, int flags, const void *attrs, size_t len);
/* Begin a page-dump and leave it unread after one buffer; then read on with the second. */
int client_pages_start(struct client *c, const char *name);
int client_pages_finish(struct client *c, struct pages *ret);
int client_pages(struct client *c, const char *name, struct pages *ret);
/* What the last round says of an inode; 0: nothing. */
uint32_t client_inode_mask(struct client *c, const char *name, uint64_t ino);
/* As for pages. */
int client_inodes_start(struct client *c, const char *name);
int client_inodes_finish(struct client *c, got_fn got, void *data);
int client_inodes(struct client *c, const char *name, got_fn got, void *data);
int client_group_list(struct client *c, got_fn got, void *data);
void pages_free(struct pages *pages);
/* An epoch of one round, committed; its dump.  Dies on errors. */
void client_take(struct client *c, const char *name, struct pages *ret);

/* The area of an mm that holds an address, or NULL. */
const struct area *pages_area(const struct pages *pages, pid_t pid, uint64_t addr);
/* State of a page; flags are 0 for CKPT_PAGE_NONE. */
int pages_state(const struct pages *pages, pid_t pid, uint64_t addr, uint32_t *ret_flags);
/* How many pages of a range are reported dirty. */
size_t pages_dirty(const struct pages *pages, pid_t pid, uint64_t start, uint64_t end);
uint32_t pages_mm_flags(const struct pages *pages, pid_t pid);
uint64_t pages_mm_cookie(const struct pages *pages, pid_t pid);

#endif
