// SPDX-License-Identifier: GPL-2.0
/*
 * Hooks at the kernel's event functions
 *
 * A mark on a super block has every event there go through lists of marks, which costs a
 * program that has nothing to do with a root more than 2 percent where it makes many small
 * files.  Listening to the two functions that each event passes, before they look for marks,
 * costs less: what is far from any root ends here.  Nothing is diverted, so whoever else
 * watches files sees what he always sees, and a live patch of either function is no matter.
 *
 * It is the function tracer that calls us, with preemption off perhaps.  It cannot be switched
 * off meanwhile (FTRACE_OPS_FL_PERMANENT), but it gives up for good when it meets a fault of
 * its own, so every take asks whether the hooks still hear.
 *
 * LOCKING
 * hooks_lock guards the number of users; the tracer's own locks are below it.
 */
#include <linux/dcache.h>
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/fsnotify_backend.h>
#include <linux/ftrace.h>
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/preempt.h>
#include <linux/rcupdate.h>
#include <linux/workqueue.h>

#include "compat/ftrace.h"
#include "events.h"
#include "fsevent.h"
#include "fshook.h"
#include "fswatch.h"

static bool hooks = true;
module_param(hooks, bool, 0644);
MODULE_PARM_DESC(hooks, "listen to the kernel's event functions instead of marking super blocks");

#ifdef CKPT_HOOKS

/* Whoever asks whether the hooks hear makes an event of no kind. */
#define NO_EVENT 0
/* The last user may be followed by another soon, and it takes a while to unhook. */
#define LINGER HZ

static DEFINE_MUTEX(hooks_lock);
static unsigned int users;	/* [hooks_lock] */
static bool hooked;		/* [hooks_lock] */
static bool stuck;		/* for good [hooks_lock] */
static atomic_t heard[2];

/* Most of it is of nobody's, and is through where this processor knows the directory. */
static __always_inline void happened(u32 mask, struct super_block *sb, struct inode *inode,
				     struct dentry *dentry, struct inode *dir, bool of_file)
{
	const struct ckpt_watch *far = NULL;
	struct ckpt_watch *watch;
	bool nobodys;

	preempt_disable_notrace();
	if (dentry && inode && !S_ISDIR(inode->i_mode) &&
	    ckpt_fsevent_one_name(mask, inode, dentry))
		far = ckpt_place_last(dentry, sb);
	nobodys = far && !ckpt_fsevent_known(far, inode);
	preempt_enable_notrace();
	if (nobodys)
		return;
	/* What follows may climb through many directories. */
	rcu_read_lock();
	watch = ckpt_fswatch_of(sb);
	if (watch)
		ckpt_fsevent(watch, mask, inode, dentry, dir, of_file);
	rcu_read_unlock();
}

/* __fsnotify_parent(dentry, mask, data, data_type): of a file, by a name */
static void notrace parent_hook(unsigned long ip, unsigned long caller, struct ftrace_ops *ops,
				struct ftrace_regs *fregs)
{
	struct dentry *dentry = (struct dentry *)ckpt_ftrace_arg(fregs, 0);
	u32 mask = ckpt_ftrace_arg(fregs, 1);
	struct inode *inode = d_inode(dentry);

	if (ckpt_fsevent_wanted(mask, inode))
		happened(mask, inode->i_sb, inode, dentry, NULL,
			 (int)ckpt_ftrace_arg(fregs, 3) == FSNOTIFY_EVENT_PATH);
	else if (unlikely(mask == NO_EVENT))
		atomic_inc(&heard[0]);
}

/* fsnotify(mask, data, data_type, dir, name, inode, cookie): all else */
static void notrace event_hook(unsigned long ip, unsigned long caller, struct ftrace_ops *ops,
			       struct ftrace_regs *fregs)
{
	u32 mask = ckpt_ftrace_arg(fregs, 0);
	const void *data = (const void *)ckpt_ftrace_arg(fregs, 1);
	int type = ckpt_ftrace_arg(fregs, 2);
	struct inode *dir = (struct inode *)ckpt_ftrace_arg(fregs, 3);
	struct inode *inode = fsnotify_data_inode(data, type);

	if (!ckpt_fsevent_wanted(mask, inode)) {
		if (unlikely(mask == NO_EVENT))
			atomic_inc(&heard[1]);
		return;
	}
	if ((mask & (CKPT_ENTRY_EVENTS | CKPT_RENAME_EVENTS)) ? dir : inode)
		happened(mask, fsnotify_data_sb(data, type), inode,
			 fsnotify_data_dentry(data, type), dir, type == FSNOTIFY_EVENT_PATH);
}

static struct ftrace_ops parent_ops = {
	.func = parent_hook,
	.flags = FTRACE_OPS_FL_PERMANENT,
};

static struct ftrace_ops event_ops = {
	.func = event_hook,
	.flags = FTRACE_OPS_FL_PERMANENT,
};

/* The tracer has given up, and calls us for ever: this code has to stay. */
static void stay(void)
{
	pr_err_once("ckpt: the function tracer has failed, the module cannot be unloaded\n");
	stuck = true;
}

static bool hook(struct ftrace_ops *ops, unsigned long function)
{
	int err;

	if (ftrace_set_filter_ip(ops, function, 0, 1))
		return false;
	err = register_ftrace_function(ops);
	/* It may have failed half way. */
	if (err == -ENODEV) {
		stay();
		__module_get(THIS_MODULE);
	}
	return !err;
}

/* Return: false if it is called still. */
static bool unhook(struct ftrace_ops *ops)
{
	if (!unregister_ftrace_function(ops))
		return true;
	stay();
	return false;
}

static bool unhook_both(void)
{
	bool event = unhook(&event_ops);

	return unhook(&parent_ops) && event;
}

static void unhook_later(struct work_struct *work)
{
	mutex_lock(&hooks_lock);
	if (hooked && !users) {
		hooked = false;
		if (!unhook_both())
			__module_get(THIS_MODULE);
	}
	mutex_unlock(&hooks_lock);
}

static DECLARE_DELAYED_WORK(unhook_work, unhook_later);

static bool hook_both(void)
{
	if (stuck || !hook(&parent_ops, (unsigned long)__fsnotify_parent))
		return false;
	if (hook(&event_ops, (unsigned long)fsnotify))
		return true;
	if (!stuck && !unhook(&parent_ops))
		__module_get(THIS_MODULE);
	return false;
}

/**
 * ckpt_fshook_get - one user more
 *
 * Context: sleeps.
 * Return: false if the kernel does not let us listen, or the parameter says not to; then
 *	there is no user more.
 */
bool ckpt_fshook_get(void)
{
	bool got;

	if (!READ_ONCE(hooks))
		return false;
	mutex_lock(&hooks_lock);
	if (!hooked)
		hooked = hook_both();
	got = hooked;
	users += got;
	mutex_unlock(&hooks_lock);
	return got;
}

/**
 * ckpt_fshook_put - one user less
 */
void ckpt_fshook_put(void)
{
	mutex_lock(&hooks_lock);
	if (!--users)
		ckpt_events_queue(&unhook_work, LINGER);
	mutex_unlock(&hooks_lock);
}

/**
 * ckpt_fshook_hears - is what happens on a super block heard
 * @sb: active
 *
 * Context: sleeps.
 * Return: true if both hooks are called.
 */
bool ckpt_fshook_hears(struct super_block *sb)
{
	struct dentry *root = sb->s_root;
	int before[] = { atomic_read(&heard[0]), atomic_read(&heard[1]) };

	__fsnotify_parent(root, NO_EVENT, root, FSNOTIFY_EVENT_DENTRY);
	fsnotify(NO_EVENT, root, FSNOTIFY_EVENT_DENTRY, NULL, NULL, d_inode(root), 0);
	return atomic_read(&heard[0]) != before[0] && atomic_read(&heard[1]) != before[1];
}

/**
 * ckpt_fshook_exit - hear no more; no user is left
 */
void ckpt_fshook_exit(void)
{
	cancel_delayed_work_sync(&unhook_work);
	/* It is too late to refuse the unload, and what is called may not go. */
	if ((hooked && !unhook_both()) || stuck)
		for (;;)
			ssleep(3600);
	/* Only now: what has been freed may not be set again. */
	ftrace_free_filter(&event_ops);
	ftrace_free_filter(&parent_ops);
}

#else

bool ckpt_fshook_get(void)
{
	return false;
}

void ckpt_fshook_put(void)
{
}

bool ckpt_fshook_hears(struct super_block *sb)
{
	return false;
}

void ckpt_fshook_exit(void)
{
}

#endif
