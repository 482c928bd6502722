// SPDX-License-Identifier: GPL-2.0
#include <linux/sched.h>
#include <trace/events/oom.h>

static void probe(void *data, struct task_struct *task, uid_t uid)
{
}

int register_probe(void);
int register_probe(void)
{
	return register_trace_mark_victim(probe, NULL);
}
