/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Queues of inotifies: which events wait in them, and whether these can be made again
 *
 * A read takes events out, so the kernel's memory is read for them (inotify-peek.c).  A restore has
 * no call to put one back, but an event says no more of a file than the number of a watch: watches
 * of these numbers, in a file system that nobody else sees, give the same ones
 * (inotify-event-build.c).
 */
#ifndef CKPT_PROC_INOTIFY_H
#define CKPT_PROC_INOTIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>

#include "proc/image-file.h"

#ifndef INOTIFY_IOC_SETNEXTWD
#define INOTIFY_IOC_SETNEXTWD _IOW('I', 0, int32_t)
#endif

#define CKPT_EVENTS_MAX 1024u	/* of one inotify */
#define CKPT_EVENT_NAME_MAX 255u

/* Bytes of an event as it is read. */
static inline size_t ckpt_event_len(size_t name_len)
{
	size_t each = sizeof(struct inotify_event);

	return each + (name_len ? (name_len + each) / each * each : 0);
}

#define CKPT_INOTIFY_MEMBERS 12

/**
 * struct ckpt_inotify_peek - a program that reads queues, and changes nothing
 * @program: a descriptor, -1: this kernel, or our rights, do not let us
 * @offset: of what is read, in its structure
 */
struct ckpt_inotify_peek {
	int program;
	uint32_t offset[CKPT_INOTIFY_MEMBERS];
};

enum ckpt_events_state {
	CKPT_EVENTS_KNOWN,	/* all that wait */
	CKPT_EVENTS_MANY,	/* more than CKPT_EVENTS_MAX wait, the first of them are known */
	CKPT_EVENTS_MOVING,	/* they became more, or fewer, each time they were looked at */
	CKPT_EVENTS_UNKNOWN,	/* this kernel does not tell */
};

/* inotify-peek.c. Return: 0, or -1; then @ret->program is -1. */
int ckpt_inotify_peek_open(struct ckpt_inotify_peek *ret);
void ckpt_inotify_peek_close(struct ckpt_inotify_peek *peek);
/* Those of descriptor @fd of ours into @in, which has none. */
enum ckpt_events_state ckpt_inotify_peek(const struct ckpt_inotify_peek *peek, int fd,
					 struct ckpt_inotify *in);
void ckpt_events_forget(struct ckpt_inotify *in);
/* What is the same for all descriptors of one inotify, @fd being ours; 0: that is not known. */
uint64_t ckpt_inotify_identity(const struct ckpt_inotify_peek *peek, int fd);

/**
 * struct ckpt_event_source - what the events of a watch say of it
 * @dir: it is of a directory; @plain: of something else; else they do not tell
 * @gone: it is over, and its number free
 */
struct ckpt_event_source {
	int32_t wd;
	bool dir, plain, gone;
};

/* By rising number. */
struct ckpt_event_sources {
	struct ckpt_event_source list[CKPT_EVENTS_MAX];
	size_t n;
};

/* inotify-event.c: that of a number, which is among them. */
struct ckpt_event_source *ckpt_event_source(struct ckpt_event_sources *s, int32_t wd);
/* Is event @i one half of a move whose other half is the next one? */
bool ckpt_event_moves(const struct ckpt_inotify *in, size_t i);
/* Bytes of all as they are read. */
size_t ckpt_events_len(const struct ckpt_inotify *in);
/* Those of @now may be followed by others; cookies may be others. */
bool ckpt_events_same(const struct ckpt_inotify *wanted, const struct ckpt_inotify *now);

/**
 * ckpt_events_odd - can the events of an inotify be made again?
 * @in: watches in order, of which number and mask are used
 * @ret: their sources
 *
 * Return: NULL, or words that say of them why they cannot.
 */
const char *ckpt_events_odd(const struct ckpt_inotify *in, struct ckpt_event_sources *ret);

#endif
