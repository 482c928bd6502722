// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * nomem_groups_test.c: groups, roots and changes of files when an allocation fails
 *
 * kernel: debug
 *
 * As in nomem_test.c.  A request says so, or it has done all of it.  A change of a file that was
 * made is told, as CKPT_A_LOST at the least, whatever failed in the task that made it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <netlink/attr.h>

#include "lib/client.h"
#include "lib/nomem.h"
#include "lib/world.h"

#define G "nomem"
#define ROOT "/tmp/nomem"

/* Steps of the child. */
enum { MAKE, REMOVE, RENAME, MODE, APPEND, FOLDER };

static struct client c;
static struct child child;

/* --- the child --- */

static int try_change(int n)
{
	int fd;

	switch (n) {
	case MAKE:
		fd = open(ROOT "/new", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
		if (fd >= 0)
			close(fd);
		return fd < 0;
	case REMOVE:
		return unlink(ROOT "/new");
	case RENAME:
		return rename(ROOT "/old", ROOT "/new");
	case MODE:
		return chmod(ROOT "/file", 0600);
	case APPEND:
		fd = open(ROOT "/file", O_WRONLY | O_APPEND | O_CLOEXEC);
		if (fd < 0)
			return 1;
		n = write(fd, "x", 1) != 1;
		close(fd);
		return n;
	default:
		return mkdir(ROOT "/folder", 0755);
	}
}

/* shared[1]: which allocation fails; [2]: one has; [3]: so has the call */
static void step(int n, uint64_t *shared)
{
	nomem_inject((unsigned int)shared[1]);
	n = try_change(n);
	shared[2] = nomem_injected();
	shared[3] = (uint64_t)n;
}

/* --- requests --- */

static void begin(struct round *r)
{
	if (client_begin(&c, G, r))
		die("begin: %s", c.text);
}

static void commit(const struct round *r)
{
	uint8_t id[CKPT_ID_LEN] = { 9 };

	if (client_commit(&c, G, r->epoch, id))
		die("commit: %s", c.text);
}

/* The group is there, or it is not: in both cases wholly. */
static bool try_group_new(unsigned int n, bool *good)
{
	bool hit, there;
	struct round r;
	int err;

	nomem_inject(n);
	err = client_group_new(&c, "nomem-2", "/nomem.2");
	hit = nomem_injected();
	nomem_reopen(&c);
	there = !access("/sys/kernel/ckpt/groups/nomem-2/state", F_OK);
	*good &= there || err;
	if (there)
		*good &= !client_root(&c, CKPT_CMD_ROOT_ADD, "nomem-2", ROOT) &&
			 !client_begin(&c, "nomem-2", &r);
	*good &= client_group_del(&c, "nomem-2") == (there ? 0 : -ENOENT);
	return hit;
}

static bool has_root(const char *path)
{
	char buf[4096];

	get("/sys/kernel/ckpt/groups/" G "/roots", buf, sizeof(buf));
	return strstr(buf, path);
}

static bool try_root(unsigned int n, bool *good)
{
	bool hit, there;
	int err;

	nomem_inject(n);
	err = client_root(&c, CKPT_CMD_ROOT_ADD, G, "/dev/shm");
	hit = nomem_injected();
	nomem_reopen(&c);
	there = has_root("/dev/shm");
	*good &= there || err;
	*good &= client_root(&c, CKPT_CMD_ROOT_DEL, G, "/dev/shm") == (there ? 0 : -ENOENT);
	return hit;
}

static bool try_root_del(unsigned int n, bool *good)
{
	bool hit, there;
	int err;

	if (client_root(&c, CKPT_CMD_ROOT_ADD, G, "/dev/shm"))
		die("root: %s", c.text);
	nomem_inject(n);
	err = client_root(&c, CKPT_CMD_ROOT_DEL, G, "/dev/shm");
	hit = nomem_injected();
	nomem_reopen(&c);
	there = has_root("/dev/shm");
	*good &= !there || err;
	if (there)
		*good &= !client_root(&c, CKPT_CMD_ROOT_DEL, G, "/dev/shm");
	return hit;
}

static int event_value(const char *name)
{
	char path[128], buf[32] = "";

	snprintf(path, sizeof(path), "/sys/kernel/ckpt/groups/" G "/event_%s", name);
	get(path, buf, sizeof(buf));
	return atoi(buf);
}

/* All that it sets is set, or nothing. */
static bool try_set(unsigned int n, bool *good)
{
	int exec, share, err;
	bool hit;

	if (client_set(&c, G, 0, 0, 0, 0))
		die("set: %s", c.text);
	nomem_inject(n);
	err = client_set(&c, G, 7, 5, 6, 7);
	hit = nomem_injected();
	nomem_reopen(&c);
	exec = event_value("exec");
	share = event_value("dirty_share");
	*good &= (exec == 1 && share == 5) || (err && !exec && !share);
	return hit;
}

static bool try_get(unsigned int n, bool *good)
{
	uint32_t state = 99;
	bool hit;
	int err;

	nomem_inject(n);
	err = client_group_state(&c, G, &state);
	hit = nomem_injected();
	nomem_reopen(&c);
	*good &= err || state == CKPT_GROUP_IDLE;
	return hit;
}

static void count_group(struct nlattr **attrs, void *data)
{
	*(int *)data += attrs[CKPT_A_GROUP_NAME] != NULL;
}

static bool try_list(unsigned int n, bool *good)
{
	int groups = 0, err;
	bool hit;

	nomem_inject(n);
	err = client_group_list(&c, count_group, &groups);
	hit = nomem_injected();
	nomem_reopen(&c);
	*good &= err || groups == 1;
	return hit;
}

/* --- changes of files --- */

static const struct change {
	const char *what;
	const char *where;	/* whose mask tells of it */
	uint32_t mask;
	int n;
} changes[] = {
	{ "a file made", ROOT, CKPT_INODE_ENTRIES, MAKE },
	{ "a file removed", ROOT, CKPT_INODE_ENTRIES, REMOVE },
	{ "a file renamed", ROOT, CKPT_INODE_ENTRIES, RENAME },
	{ "a mode changed", ROOT "/file", CKPT_INODE_META, MODE },
	{ "a file written", ROOT "/file", CKPT_INODE_DATA, APPEND },
	{ "a folder made", ROOT, CKPT_INODE_ENTRIES, FOLDER },
};

/* The world that the change needs, taken and committed. */
static void before_change(const struct change *change)
{
	struct round r;

	rmdir(ROOT "/folder");
	unlink(ROOT "/new");
	unlink(ROOT "/old");
	shell("touch " ROOT "/file && chmod 644 " ROOT "/file");
	if (change->n == REMOVE)
		shell("touch " ROOT "/new");
	if (change->n == RENAME)
		shell("touch " ROOT "/old");
	begin(&r);
	commit(&r);
}

static const struct change *changing;

static bool try_file(unsigned int n, bool *good)
{
	struct round r;
	struct stat st;
	uint32_t mask;

	before_change(changing);
	child.shared[1] = n;
	child_step(&child, changing->n);
	begin(&r);
	if (stat(changing->where, &st))
		die("%s", changing->where);
	mask = client_inode_mask(&c, G, st.st_ino);
	if (!child.shared[3] && !r.lost && !(mask & changing->mask)) {
		note("allocation %u failed, mask %#x", n, mask);
		*good = false;
	}
	commit(&r);
	return child.shared[2];
}

/* --- all of it --- */

int main(void)
{
	size_t i;

	nomem_set_up();
	shell("rm -rf " ROOT " && mkdir " ROOT);
	cgroup_make(G);
	cgroup_make("nomem.2");
	child_start(&child, G, step);
	nomem_reopen(&c);
	if (client_group_new(&c, G, "/" G) || client_root(&c, CKPT_CMD_ROOT_ADD, G, ROOT))
		die("tag: %s", c.text);
	nomem_each("group-get", try_get);
	nomem_each("group-get of all", try_list);
	nomem_each("group-set", try_set);
	nomem_each("root-add", try_root);
	nomem_each("root-del", try_root_del);
	nomem_each("group-new", try_group_new);
	for (i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		changing = &changes[i];
		nomem_each(changing->what, try_file);
	}
	check(!client_group_del(&c, G), "the group goes");
	child_end(&child);
	client_close(&c);
	cgroup_gone(G);
	cgroup_gone("nomem.2");
	return finish();
}
