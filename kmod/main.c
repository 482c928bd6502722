// SPDX-License-Identifier: GPL-2.0
/*
 * Module life: what is started, in which order, and undone in reverse
 */
#include <linux/cpufeature.h>
#include <linux/genetlink.h>
#include <linux/module.h>

#include "events.h"
#include "files.h"
#include "group.h"
#include "heard.h"
#include "ksm.h"
#include "netlink.h"
#include "sysfs.h"

#ifndef CONFIG_X86_64
#error "ckpt: only x86-64 is covered"
#endif
#ifndef CONFIG_MEM_SOFT_DIRTY
#error "ckpt: the kernel lacks CONFIG_MEM_SOFT_DIRTY"
#endif
#ifndef CONFIG_CGROUPS
#error "ckpt: the kernel lacks CONFIG_CGROUPS"
#endif

static int __init ckpt_init(void)
{
	int err;

	/* The TLB flush writes CR4 or uses INVPCID, which a Xen PV guest may not. */
	if (boot_cpu_has(X86_FEATURE_XENPV)) {
		pr_err("ckpt: a Xen PV guest is not supported\n");
		return -ENODEV;
	}
	err = ckpt_group_module_init();
	if (err)
		return err;
	err = ckpt_ksm_init();
	if (err)
		goto exit_groups;
	ckpt_heard_init();
	err = ckpt_events_init();
	if (err)
		goto exit_ksm;
	err = ckpt_files_module_init();
	if (err)
		goto exit_events;
	err = ckpt_sysfs_init();
	if (err)
		goto exit_files;
	err = ckpt_netlink_init();
	if (err)
		goto exit_sysfs;
	return 0;

exit_sysfs:
	ckpt_sysfs_close_doors();
	ckpt_group_module_exit();
	ckpt_sysfs_exit();
exit_files:
	ckpt_files_module_exit();
	ckpt_events_exit();
	ckpt_heard_exit();
	ckpt_ksm_exit();
	return err;
exit_events:
	ckpt_events_exit();
exit_ksm:
	ckpt_heard_exit();
	ckpt_ksm_exit();
exit_groups:
	ckpt_group_module_exit();
	return err;
}

static void __exit ckpt_exit(void)
{
	ckpt_netlink_exit();
	ckpt_sysfs_close_doors();
	ckpt_group_module_exit();
	ckpt_sysfs_exit();
	ckpt_files_module_exit();
	ckpt_events_exit();
	ckpt_heard_exit();
	ckpt_ksm_exit();
}

module_init(ckpt_init);
module_exit(ckpt_exit);

MODULE_DESCRIPTION("Incremental checkpoints of process groups: memory and file change tracking");
MODULE_LICENSE("GPL");
MODULE_VERSION(CKPT_VERSION);
MODULE_ALIAS_GENL_FAMILY(CKPT_GENL_NAME);
