/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Doctor: what a checkpoint of a group would refuse, and what a restore would not bring back. */
#ifndef CKPT_FLOW_DOCTOR_H
#define CKPT_FLOW_DOCTOR_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "flow/tagged.h"
#include "proc/survey.h"

/**
 * struct ckpt_diagnosis - what was found
 * @refused: each keeps a checkpoint from being made
 * @lost: what is captured and comes back as something else; known when nothing is refused
 * @tasks, @threads: of the tree; 0 when something is refused
 * @freeze_ns: how long it stood still for that, 0: it was not stopped
 */
struct ckpt_diagnosis {
	struct ckpt_survey refused, lost;
	size_t tasks, threads;
	uint64_t freeze_ns;
};

void ckpt_diagnosis_done(struct ckpt_diagnosis *d);

/**
 * ckpt_doctor - look at a group as a checkpoint would, and keep nothing
 * @group: with cgroup NULL the tree below group->root_pid
 *
 * The tree is stopped for as long as a checkpoint reads what it is; memory and files are left
 * alone.
 *
 * Return: 0, whatever was found; -1 when it cannot be looked at.
 */
int ckpt_doctor(const struct ckpt_tagged *group, struct ckpt_diagnosis *ret, struct ckpt_err *err);

#endif
