// SPDX-License-Identifier: GPL-2.0-or-later
/* Events of inotifies: which of them can be made again. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "proc/inotify.h"

/* What is told of a watch itself, with no word on what it is. */
#define OF_SELF (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED)
/* What is only told of something below a directory. */
#define OF_NAME (IN_CREATE | IN_DELETE | IN_MOVE)

static int by_number(const void *a, const void *b)
{
	const struct ckpt_event_source *x = a, *y = b;

	return (x->wd > y->wd) - (x->wd < y->wd);
}

static void sources_of(const struct ckpt_inotify *in, struct ckpt_event_sources *ret)
{
	size_t n = 0;

	for (size_t i = 0; i < in->n_events; i++)
		ret->list[i] = (struct ckpt_event_source){ .wd = in->events[i].wd };
	qsort(ret->list, in->n_events, sizeof(ret->list[0]), by_number);
	for (size_t i = 0; i < in->n_events; i++) {
		if (!n || ret->list[n - 1].wd != ret->list[i].wd)
			ret->list[n++] = ret->list[i];
	}
	ret->n = n;
}

struct ckpt_event_source *ckpt_event_source(struct ckpt_event_sources *s, int32_t wd)
{
	const struct ckpt_event_source key = { .wd = wd };

	return bsearch(&key, s->list, s->n, sizeof(s->list[0]), by_number);
}

size_t ckpt_events_len(const struct ckpt_inotify *in)
{
	size_t bytes = 0;

	for (size_t i = 0; i < in->n_events; i++)
		bytes += ckpt_event_len(in->events[i].name ? strlen(in->events[i].name) : 0);
	return bytes;
}

static int watch_by_number(const void *key, const void *watch)
{
	const int32_t *wd = key;
	const struct ckpt_watch *w = watch;

	return (*wd > w->wd) - (*wd < w->wd);
}

static bool is_watched(const struct ckpt_inotify *in, int32_t wd)
{
	return in->n_watches && bsearch(&wd, in->watches, in->n_watches, sizeof(*in->watches),
					watch_by_number);
}

static bool same_name(const struct ckpt_watch_event *a, const struct ckpt_watch_event *b)
{
	return !a->name == !b->name && (!a->name || !strcmp(a->name, b->name));
}

/* To the kernel, for which the second one is none then, unless the first one is an end. */
static bool alike(const struct ckpt_watch_event *a, const struct ckpt_watch_event *b)
{
	return a->wd == b->wd && a->mask == b->mask && same_name(a, b) && !(a->mask & IN_IGNORED);
}

bool ckpt_event_moves(const struct ckpt_inotify *in, size_t i)
{
	const struct ckpt_watch_event *a = &in->events[i], *b = a + 1;

	return i + 1 < in->n_events && a->mask & IN_MOVED_FROM && b->mask & IN_MOVED_TO &&
	       a->cookie == b->cookie;
}

/* Cookies are new ones: what has the same has the same again. */
bool ckpt_events_same(const struct ckpt_inotify *wanted, const struct ckpt_inotify *now)
{
	if (now->n_events < wanted->n_events)
		return false;
	for (size_t i = 0; i < wanted->n_events; i++) {
		const struct ckpt_watch_event *a = &wanted->events[i], *b = &now->events[i];

		if (a->wd != b->wd || a->mask != b->mask || !same_name(a, b) ||
		    !a->cookie != !b->cookie ||
		    (ckpt_event_moves(wanted, i) && !ckpt_event_moves(now, i)))
			return false;
	}
	return true;
}

static bool is_name(const char *name)
{
	size_t len = strlen(name);

	return len && len <= CKPT_EVENT_NAME_MAX && !strchr(name, '/') && strcmp(name, ".") &&
	       strcmp(name, "..");
}

/* One by itself: is it of a form that this kernel would give? */
static const char *odd_form(const struct ckpt_watch_event *e)
{
	const uint32_t kind = e->mask & ~(uint32_t)IN_ISDIR;

	if (kind & IN_Q_OVERFLOW)
		return "some of which were lost (IN_Q_OVERFLOW)";
	if (kind & IN_UNMOUNT)
		return "one of them of a file system that was unmounted (IN_UNMOUNT)";
	if (!kind || kind & ~(uint32_t)(IN_ALL_EVENTS | IN_IGNORED) || kind & (kind - 1))
		return "one of which tells several things at once";
	if (e->wd <= 0 || (kind & OF_SELF && (e->name || e->mask & IN_ISDIR)) ||
	    (kind & OF_NAME && !e->name) || (e->mask & IN_ISDIR && kind & IN_CLOSE_WRITE) ||
	    (e->name && !is_name(e->name)) || !e->cookie == !!(kind & IN_MOVE))
		return "one of which is of a strange form";
	return NULL;
}

/* One after those before it, of the same watch. */
static const char *odd_source(const struct ckpt_inotify *in, size_t i, struct ckpt_event_source *s)
{
	const struct ckpt_watch_event *e = &in->events[i];

	if (s->gone)
		return "one of which is of a watch that is over";
	if (i && alike(e - 1, e))
		return "two of which are alike, one behind the other";
	if (e->name || e->mask & IN_ISDIR)
		s->dir = true;
	else if (!(e->mask & OF_SELF))
		s->plain = true;
	if (s->dir && s->plain)
		return "some of which are of a directory, and of none";
	s->gone = e->mask & IN_IGNORED;
	if (e->mask & IN_DELETE_SELF && (i + 1 == in->n_events || e[1].wd != e->wd ||
					 !(e[1].mask & IN_IGNORED)))
		return "one of which is of a watch whose end is told later";
	return NULL;
}

static int by_cookie(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static bool hears_moves(const struct ckpt_inotify *in)
{
	for (size_t i = 0; i < in->n_watches; i++) {
		if (in->watches[i].mask & IN_MOVED_FROM)
			return true;
	}
	return false;
}

/* The two halves of a move have one cookie, which comes from a counter of the whole machine. */
static const char *odd_moves(const struct ckpt_inotify *in)
{
	uint32_t cookies[CKPT_EVENTS_MAX];
	size_t n = 0;

	for (size_t i = 0; i < in->n_events; i++) {
		const struct ckpt_watch_event *e = &in->events[i];

		if (!(e->mask & IN_MOVE))
			continue;
		cookies[n++] = e->cookie;
		if (ckpt_event_moves(in, i)) {
			if ((e->mask ^ e[1].mask) & IN_ISDIR ||
			    (e->wd == e[1].wd && same_name(e, e + 1)))
				return "one of which is of a strange form";
			i++;
		} else if (e->mask & IN_MOVED_TO && hears_moves(in)) {
			return "one of them the end of a move whose beginning it may have read";
		}
	}
	qsort(cookies, n, sizeof(cookies[0]), by_cookie);
	for (size_t i = 1; i < n; i++) {
		if (cookies[i] == cookies[i - 1])
			return "two of which are of one move, and apart from each other";
	}
	return NULL;
}

const char *ckpt_events_odd(const struct ckpt_inotify *in, struct ckpt_event_sources *ret)
{
	const char *odd = NULL;

	ret->n = 0;
	if (in->n_events > CKPT_EVENTS_MAX)
		return "more than 1024 of them";
	sources_of(in, ret);
	for (size_t i = 0; i < in->n_events && !odd; i++) {
		odd = odd_form(&in->events[i]);
		if (!odd)
			odd = odd_source(in, i, ckpt_event_source(ret, in->events[i].wd));
	}
	if (!odd)
		odd = odd_moves(in);
	for (size_t i = 0; i < ret->n && !odd; i++) {
		if (is_watched(in, ret->list[i].wd) == ret->list[i].gone)
			odd = "one of which is of a watch that has just gone";
	}
	return odd;
}
