/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Probes at functions that a kernel may not have
 */
#ifndef _CKPT_PROBES_H
#define _CKPT_PROBES_H

#include <linux/kprobes.h>

/**
 * struct ckpt_probe - one of them
 * @at: the probe
 * @listening: it is registered
 */
struct ckpt_probe {
	struct kretprobe at;
	bool listening;
};

void ckpt_probes_register(struct ckpt_probe *probes, size_t nr);
void ckpt_probes_unregister(struct ckpt_probe *probes, size_t nr);
unsigned long ckpt_probes_missed(const struct ckpt_probe *probes, size_t nr);

#endif
