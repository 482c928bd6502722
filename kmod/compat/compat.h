/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Differences between kernels, decided by the compile probes in probes/
 *
 * Forced into every file of the module by Kbuild; nothing else tests for a
 * kernel's version or features.
 */
#ifndef _CKPT_COMPAT_H
#define _CKPT_COMPAT_H

#include <linux/fs.h>
#include <linux/kobject.h>
#include <linux/mm.h>
#include <linux/swap.h>
#include <linux/swapops.h>
#include <net/genetlink.h>

#include "have.h"

/* 6.6 API change: user shadow stacks. */
#ifndef VM_SHADOW_STACK
#define VM_SHADOW_STACK 0
#endif

/* 6.15 API change: guard markers (and where they are backported). */
#ifdef PTE_MARKER_GUARD
#define CKPT_MARKER_GUARD PTE_MARKER_GUARD
#else
#define CKPT_MARKER_GUARD 0
#endif

/* 6.6 API change: poison has a marker. */
#ifdef PTE_MARKER_POISONED
#define CKPT_MARKER_POISON PTE_MARKER_POISONED
#else
#define CKPT_MARKER_POISON 0
#endif

/* 6.2 API change: kobject_init takes a const type. */
#ifdef CKPT_HAVE_CONST_KTYPE
#define CKPT_KTYPE(ktype) (ktype)
#else
#define CKPT_KTYPE(ktype) ((struct kobj_type *)(ktype))
#endif

/* 6.19 API change: the state of an inode is read through a helper, which takes no const. */
static inline unsigned int ckpt_inode_state(struct inode *inode)
{
#ifdef CKPT_HAVE_INODE_STATE
	return inode_state_read_once(inode);
#else
	return READ_ONCE(inode->i_state);
#endif
}

/* 6.3 API change: flags of an area change through helpers that take its own lock. */
static inline void ckpt_vma_clear_soft_dirty(struct vm_area_struct *vma)
{
#ifdef CKPT_HAVE_VM_FLAGS_CLEAR
	vm_flags_clear(vma, VM_SOFTDIRTY);
#else
	vma->vm_flags &= ~VM_SOFTDIRTY;
#endif
}

static inline void ckpt_vma_set_soft_dirty(struct vm_area_struct *vma)
{
#ifdef CKPT_HAVE_VM_FLAGS_CLEAR
	vm_flags_set(vma, VM_SOFTDIRTY);
#else
	vma->vm_flags |= VM_SOFTDIRTY;
#endif
}

/* 6.8 and 6.14 API changes: no trylock, and a sequence that a writer begins. */
static inline bool ckpt_mmap_write_trylock(struct mm_struct *mm)
{
#ifdef CKPT_HAVE_MMAP_WRITE_TRYLOCK
	return mmap_write_trylock(mm);
#else
	if (!down_write_trylock(&mm->mmap_lock))
		return false;
#ifdef CKPT_HAVE_MM_LOCK_SEQCOUNT
	mm_lock_seqcount_begin(mm);
#endif
	return true;
#endif
}

/* 6.18 API change: the flags of an address space are a bitmap of their own type. */
static inline bool ckpt_mm_flag(const struct mm_struct *mm, int flag)
{
#ifdef CKPT_HAVE_MM_FLAGS_TEST
	return mm_flags_test(flag, mm);
#else
	return test_bit(flag, &mm->flags);
#endif
}

/* 7.2 API change: the link among the names of an inode is in an unnamed union. */
#ifdef CKPT_HAVE_DENTRY_ALIAS
#define ckpt_d_alias d_alias
#else
#define ckpt_d_alias d_u.d_alias
#endif

/* 6.8 API change: the file behind an overlay mapping has the overlay's path apart. */
static inline struct dentry *ckpt_file_dentry(struct file *file)
{
#ifdef CKPT_HAVE_FILE_USER_PATH
	return file_user_path(file)->dentry;
#else
	return file->f_path.dentry;
#endif
}

/* 6.4 API change: threads that work for a process without being of io_uring. */
#ifdef PF_USER_WORKER
#define CKPT_PF_WORKER (PF_IO_WORKER | PF_USER_WORKER)
#else
#define CKPT_PF_WORKER PF_IO_WORKER
#endif

/* 6.7 API change: the attributes of a dump are in a struct genl_info. */
static inline struct nlattr **ckpt_dump_attrs(struct netlink_callback *cb)
{
#ifdef CKPT_HAVE_GENL_INFO_DUMP
	return genl_info_dump(cb)->attrs;
#else
	return genl_dumpit_info(cb)->attrs;
#endif
}

/*
 * 6.11 API change: the map count of a large folio is one counter, readable
 * inline.  Before, it is the sum over the pages and the pmd's count, for
 * anonymous folios (file folios count otherwise and are not asked about).
 */
static inline int ckpt_anon_mapcount(struct folio *folio)
{
#ifdef CKPT_HAVE_LARGE_MAPCOUNT
	return folio_mapcount(folio);
#else
	int i, nr = folio_nr_pages(folio), count;

	if (!folio_test_large(folio))
		return atomic_read(&folio->_mapcount) + 1;
	count = folio_entire_mapcount(folio);
	for (i = 0; i < nr; i++)
		count += atomic_read(&folio_page(folio, i)->_mapcount) + 1;
	return folio_test_double_map(folio) ? count - nr : count;
#endif
}

#endif
