// SPDX-License-Identifier: GPL-2.0
/*
 * Probes at functions that a kernel may not have
 */
#include "probes.h"

/**
 * ckpt_probes_register - listen at those functions that are there
 * @probes: the probes
 * @nr: how many
 */
void ckpt_probes_register(struct ckpt_probe *probes, size_t nr)
{
	struct ckpt_probe *p;

	for (p = probes; p < probes + nr; p++)
		p->listening = !register_kretprobe(&p->at);
}

/**
 * ckpt_probes_unregister - no more
 * @probes: the probes
 * @nr: how many
 */
void ckpt_probes_unregister(struct ckpt_probe *probes, size_t nr)
{
	struct ckpt_probe *p;

	for (p = probes; p < probes + nr; p++)
		if (p->listening)
			unregister_kretprobe(&p->at);
}

/**
 * ckpt_probes_missed - calls that were not heard of, because too many were under way
 * @probes: the probes
 * @nr: how many
 */
unsigned long ckpt_probes_missed(const struct ckpt_probe *probes, size_t nr)
{
	const struct ckpt_probe *p;
	unsigned long n = 0;

	for (p = probes; p < probes + nr; p++)
		n += READ_ONCE(p->at.nmissed) + READ_ONCE(p->at.kp.nmissed);
	return n;
}
