// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * File systems: where a regular file is content under a name, and where not
 *
 * A file of procfs is a question to the kernel, one of a message queue file
 * system a queue; to open the path again after a restore gives something else.
 * So only file systems known to hold plain files are accepted.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "proc/procfs.h"
#include "proc/read.h"

#define PROC_MAGIC 0x9fa0

static const uint32_t plain[] = {
	0xef53,		/* ext2, ext3, ext4 */
	0x58465342,	/* xfs */
	0x9123683e,	/* btrfs */
	0xf2f52010,	/* f2fs */
	0xca451a4e,	/* bcachefs */
	0x2fc12fc1,	/* zfs */
	0x3153464a,	/* jfs */
	0x52654973,	/* reiserfs */
	0x3434,		/* nilfs */
	0x01021994,	/* tmpfs, devtmpfs */
	0x858458f6,	/* ramfs */
	0x794c7630,	/* overlayfs */
	0x61756673,	/* aufs */
	0xf15f,		/* ecryptfs */
	0x65735546,	/* fuse, virtiofs */
	0x01021997,	/* 9p */
	0x6969,		/* nfs */
	0xff534d42,	/* cifs */
	0xfe534d42,	/* smb2 */
	0x517b,		/* smb */
	0x00c36400,	/* ceph */
	0x0bd00bd0,	/* lustre */
	0x01161970,	/* gfs2 */
	0x7461636f,	/* ocfs2 */
	0x5346414f,	/* afs */
	0x786f4256,	/* vboxsf */
	0x73717368,	/* squashfs */
	0xe0f5e1e2,	/* erofs */
	0x28cd3d45,	/* cramfs */
	0x7275,		/* romfs */
	0x9660,		/* isofs */
	0x15013346,	/* udf */
	0x4d44,		/* vfat */
	0x2011bab0,	/* exfat */
	0x5346544e,	/* ntfs */
	0x7366746e,	/* ntfs3 */
	0x482b,		/* hfsplus */
	0x4244,		/* hfs */
	0x24051905,	/* ubifs */
	0x72b6,		/* jffs2 */
	0x137f, 0x138f, 0x2468, 0x2478, 0x4d5a,	/* minix */
};

static const struct {
	uint32_t magic;
	const char *name;
} strange[] = {
	{ PROC_MAGIC, "procfs" },
	{ 0x62656572, "sysfs" },
	{ 0x27e0eb, "the cgroup file system" },
	{ 0x63677270, "the cgroup2 file system" },
	{ 0x19800202, "the message queue file system" },
	{ 0x64626720, "debugfs" },
	{ 0x74726163, "tracefs" },
	{ 0xcafe4a11, "the BPF file system" },
	{ 0x1cd1, "devpts" },
	{ 0x73636673, "securityfs" },
	{ 0xf97cff8c, "selinuxfs" },
	{ 0x43415d53, "smackfs" },
	{ 0x5a3c69f0, "the AppArmor file system" },
	{ 0x958458f6, "hugetlbfs" },
	{ 0x62656570, "configfs" },
	{ 0x6165676c, "pstore" },
	{ 0xde5e81e4, "efivarfs" },
	{ 0x6e736673, "nsfs" },
	{ 0x50494446, "pidfs" },
	{ 0x42494e4d, "binfmt_misc" },
	{ 0x67596969, "rpc_pipefs" },
	{ 0x0187, "autofs" },
	{ 0x65735543, "fusectl" },
	{ 0x7655821, "resctrl" },
	{ 0x09041934, "the anonymous inode file system" },
	{ 0x5345434d, "secret memory" },
};

/* What @magic is when its regular files are not plain ones; NULL when they are. */
static const char *strange_name(uint32_t magic, char other[48])
{
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		if (plain[i] == magic)
			return NULL;
	}
	for (size_t i = 0; i < sizeof(strange) / sizeof(strange[0]); i++) {
		if (strange[i].magic == magic)
			return strange[i].name;
	}
	snprintf(other, 48, "a file system of unknown type 0x%x", magic);
	return other;
}

/* Is a component of the path a number, as the directory of a process in procfs is? */
static bool of_a_process(const char *path)
{
	for (const char *at = path; *at; at += strcspn(at, "/")) {
		size_t digits;

		at += strspn(at, "/");
		digits = strspn(at, "0123456789");
		if (digits && (!at[digits] || at[digits] == '/'))
			return true;
	}
	return false;
}

/*
 * A descriptor, for reading only, of what procfs tells of the whole machine
 * (/proc/loadavg): opened again it is the same.  Who may read it may read it then;
 * what only root reads (kmsg) may be a queue, and what lies deeper belongs to a
 * process, a namespace or a setting.
 */
static bool opens_again(const struct ckpt_held_proc *p, const char *name, const char *link,
			uint32_t mode)
{
	cleanup_buf struct ckpt_buf text = CKPT_BUF_INIT;
	struct ckpt_proc_fdinfo info;
	char path[32];

	if (strncmp(name, "fd/", 3) || strncmp(link, "/proc/", 6) || strchr(link + 6, '/') ||
	    of_a_process(link) || (mode & 07777) != 0444)
		return false;
	snprintf(path, sizeof(path), "fdinfo/%s", name + 3);
	return !ckpt_procfs_read(p->dir, path, &text) &&
	       !ckpt_parse_fdinfo((char *)text.data, &info) &&
	       (info.flags & O_ACCMODE) == O_RDONLY;
}

bool ckpt_filesystem_late(const char *link, uint32_t mode)
{
	if (ckpt_procfile_is_space(link))
		return true;
	return (S_ISREG(mode) || S_ISDIR(mode)) && !strncmp(link, "/proc/", 6) &&
	       (of_a_process(link) || !strncmp(link, CKPT_SETTINGS, strlen(CKPT_SETTINGS)));
}

static int refuse_space(const struct ckpt_held_proc *p, const char *name, const char *link,
			struct ckpt_err *err)
{
	ckpt_fail(err, CKPT_REFUSED, 0,
		"pid %d (%s) holds a namespace that it is not in (%s) as %s, which this version "
		"cannot restore", p->pid, p->comm, link, name);
	return ckpt_fail_passing(err);
}

/*
 * What the kernel tells in files is mostly read and closed at once: /proc/self/fd by who closes all
 * it has, /proc/self/maps by a library at its start.
 */
int ckpt_filesystem_check(const struct ckpt_held_proc *p, const char *name, const char *link,
			  uint32_t mode, struct ckpt_err *err)
{
	cleanup_close int fd = -1;
	const bool is_fd = !strncmp(name, "fd/", 3);
	const char *what;
	struct statfs fs;
	char other[48];

	if (!S_ISREG(mode) && !S_ISDIR(mode))
		return 0;
	if (is_fd && ckpt_procfile_is_space(link))
		return ckpt_procfile_is_own_space(p, link) ? 0 : refuse_space(p, name, link, err);
	fd = openat(p->dir, name, O_PATH | O_CLOEXEC);
	if (fd < 0 || fstatfs(fd, &fs))
		return ckpt_fail(err, CKPT_FAILED, errno, "cannot look at %s of pid %d (%s)", name,
				 p->pid, p->comm);
	if (S_ISDIR(mode)) {
		if ((uint32_t)fs.f_type != PROC_MAGIC || !of_a_process(link) ||
		    (is_fd && ckpt_filesystem_late(link, mode)))
			return 0;
		ckpt_fail(err, CKPT_REFUSED, 0,
			"pid %d (%s) has the directory of a process, %s in procfs, as %s, which "
			"this version cannot restore", p->pid, p->comm, link, name);
		return ckpt_fail_passing(err);
	}
	what = strange_name(fs.f_type, other);
	if (!what || ((uint32_t)fs.f_type == PROC_MAGIC &&
		      (opens_again(p, name, link, mode) ||
		       (is_fd && ckpt_filesystem_late(link, mode)))))
		return 0;
	ckpt_fail(err, CKPT_REFUSED, 0,
		"pid %d (%s) has a file of %s (%s) as %s, which this version cannot restore",
		p->pid, p->comm, what, link, name);
	return ckpt_fail_passing(err);
}
