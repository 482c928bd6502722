/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * struct sched_attr of sched_setattr(2): libc has it since 2.41, and the kernel's header of it
 * defines what libc's sched.h does as well
 */
#ifndef CKPT_PROC_SCHED_ATTR_H
#define CKPT_PROC_SCHED_ATTR_H

#include <stdint.h>

struct ckpt_sched_attr {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
	uint32_t util_min, util_max;
};

#endif
