/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Events: when listeners are told something of a group
 */
#ifndef _CKPT_EVENTS_H
#define _CKPT_EVENTS_H

struct ckpt_group;

int ckpt_events_init(void);
void ckpt_events_exit(void);
void ckpt_events_group_init(struct ckpt_group *group);

void ckpt_events_look(struct ckpt_group *group);
void ckpt_events_lost(struct ckpt_group *group);
void ckpt_events_committed(struct ckpt_group *group);

#endif
