/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sample: the kernel's timer finds a thread that runs in user space (perf_event_open(2)). */
#ifndef CKPT_TRACK_SAMPLE_H
#define CKPT_TRACK_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>

/**
 * struct ckpt_sample - of one thread
 * @fd: -1: none is to be had
 * @ring: where the kernel notes what it has found
 */
struct ckpt_sample {
	int fd;
	void *ring;
};

/* From now on. @tid: of any process; it is not disturbed, and hears nothing of it. */
void ckpt_sample_open(struct ckpt_sample *s, int32_t tid);
/* Was it in user space, once since then? */
bool ckpt_sample_seen(const struct ckpt_sample *s);
void ckpt_sample_close(struct ckpt_sample *s);

#endif
