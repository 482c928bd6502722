/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Listening to the events of the module, for tests
 */
#ifndef TESTS_EVENTS_H
#define TESTS_EVENTS_H

#include <stdint.h>

#include <linux/ckpt.h>

/**
 * struct event - what one message told
 * @what: enum ckpt_event
 * @value: its value
 * @group: name of the group
 */
struct event {
	uint32_t what;
	uint64_t value;
	char group[CKPT_NAME_MAX + 1];
};

/* A descriptor that is in the multicast group.  Dies on errors. */
int events_listen(void);
/* The next event.  Return: 1, or 0 when none came in time. */
int events_next(int fd, int timeout_ms, struct event *ret);

/* One case: the next event is this one, its value from @min to @max.  Return: its value. */
uint64_t events_want(int fd, const char *group, uint32_t what, uint64_t min, uint64_t max,
		     const char *why);
/* One case: nothing comes for a while. */
void events_want_none(int fd, const char *why);

#endif
