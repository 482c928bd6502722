/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A root under test with its checkpoint, for the tests of capture and restore. */
#ifndef CKPT_TESTS_FS_STATE_H
#define CKPT_TESTS_FS_STATE_H

#include <sys/socket.h>
#include <sys/un.h>

#include "fs_tree.h"

struct state {
	struct memstore store;
	struct ckpt_sink sink;
	struct ckpt_source source;
	struct ckpt_fs_table *table;
	struct ckpt_buf roots;
	struct ckpt_fs_stats stats;
	struct ckpt_err err;
	char root[300];
};

static inline void start(struct state *s)
{
	*s = (struct state){ 0 };
	s->sink = mem_sink(&s->store);
	s->source = mem_source(&s->store);
	snprintf(s->root, sizeof(s->root), "%s", tree_new());
	assert_int_equal(ckpt_fs_table_new(&s->table, &s->err), 0);
	assert_int_equal(ckpt_fs_table_add_root(s->table, s->root, &s->err), 0);
}

static inline void end(struct state *s)
{
	ckpt_fs_table_free(s->table);
	ckpt_buf_done(&s->roots);
	mem_done(&s->store);
	tree_remove(s->root);
}

static inline void check(struct state *s, int rc)
{
	if (rc)
		fail_msg("%s", s->err.text);
}

static inline void store(struct state *s)
{
	s->roots.len = 0;
	check(s, ckpt_fs_table_store(s->table, &s->sink, &s->roots, &s->stats, &s->err));
}

static inline void reload(struct state *s)
{
	ckpt_fs_table_free(s->table);
	s->table = NULL;
	check(s, ckpt_fs_table_load(&s->source, s->roots.data, s->roots.len, &s->table, &s->err));
}

static inline void scan(struct state *s, unsigned int flags)
{
	check(s, ckpt_fs_scan(s->table, &s->sink, flags, NULL, 0, &s->stats, &s->err));
}

/* The stored table, read back, says what the disk says. */
static inline void assert_captured(struct state *s)
{
	char *disk, *table;

	store(s);
	reload(s);
	disk = disk_text(s->root);
	table = table_text(s->table, &s->store);
	assert_string_equal(table, disk);
	free(disk);
	free(table);
}

static inline void make_one_of_each(const char *root)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = "socket" };
	/* u::rw- u:7:r-- g::r-- m::r-- o::--- */
	static const uint8_t acl[] = {
		2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 4, 0, 7, 0, 0, 0, 4, 0, 4, 0,
		255, 255, 255, 255, 16, 0, 4, 0, 255, 255, 255, 255,
		32, 0, 0, 0, 255, 255, 255, 255
	};
	static const uint8_t cap[20] = { 1, 0, 0, 2, 0, 4 };
	int fd, sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	must(chdir(root));
	put_file("text", "some text\n");
	put_file("empty", "");
	must(chmod("empty", 06751));
	must(link("text", "text-too"));
	must(mkdir("sub", 01777));
	must(link("text", "sub/text-three"));
	must(symlink("../text", "sub/symlink"));
	must(link("sub/symlink", "symlink-too"));
	must(mknod("fifo", S_IFIFO | 0640, 0));
	must(mknod("null", S_IFCHR | 0666, makedev(1, 3)));
	must(mknod("block", S_IFBLK | 0600, makedev(7, 77)));
	must(bind(sock, (struct sockaddr *)&addr, sizeof(addr)));
	close(sock);
	put_file("acl", "acl");
	must(setxattr("acl", "system.posix_acl_access", acl, sizeof(acl), 0));
	must(setxattr("acl", "user.empty", "", 0, 0));
	put_file("ping", "ELF");
	must(lchown("ping", 3, 4));
	must(setxattr("ping", "security.capability", cap, sizeof(cap), 0));
	must(lsetxattr("sub/symlink", "trusted.note", "hello", 5, 0));
	put_file("name\nwith \\ \xff bytes", "x");
	fd = open("sparse", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	must(pwrite(fd, "middle", 6, 1 << 20));
	must(ftruncate(fd, (3 << 20) + 5));
	close(fd);
	must(chdir("/"));
}

static inline void capture_all(struct state *s)
{
	scan(s, CKPT_FS_FINAL);
	store(s);
	reload(s);
}

static inline void assert_text(const char *root, const char *want)
{
	char *text = disk_text(root);

	assert_string_equal(text, want);
	free(text);
}

/* Nothing of a restore is left, neither beside the root nor in it. */
static inline void assert_no_stage(const char *root)
{
	char path[512];

	snprintf(path, sizeof(path), "%.*s/.%s.ckpt-stage", (int)(strrchr(root, '/') - root), root,
		 strrchr(root, '/') + 1);
	assert_int_equal(access(path, F_OK), -1);
	snprintf(path, sizeof(path), "%s/.ckpt-stage", root);
	assert_int_equal(access(path, F_OK), -1);
}

#endif
