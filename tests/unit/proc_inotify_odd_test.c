// SPDX-License-Identifier: GPL-2.0-or-later
/* Unread events of an inotify that cannot be made again: which, and what is said of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <cmocka.h>

#include "proc/inotify.h"

#define DIR 1	/* watched, as is FILE; GONE was */
#define FILE 2
#define GONE 3
#define EVENTS 4

#define OF(w, m, n) { .wd = (w), .mask = (m), .name = (char *)(n) }
#define MOVE(w, m, c, n) { .wd = (w), .mask = (m), .cookie = (c), .name = (char *)(n) }

static const struct {
	const char *says;
	struct ckpt_watch_event events[EVENTS];
} cases[] = {
	{ NULL, { OF(DIR, IN_CREATE, "a"), OF(DIR, IN_OPEN | IN_ISDIR, NULL),
		  OF(FILE, IN_MODIFY, NULL) } },
	{ NULL, { MOVE(DIR, IN_MOVED_FROM, 7, "a"), MOVE(DIR, IN_MOVED_TO, 7, "b") } },
	{ NULL, { OF(GONE, IN_DELETE_SELF, NULL), OF(GONE, IN_IGNORED, NULL) } },
	{ "some of which were lost (IN_Q_OVERFLOW)", { OF(-1, IN_Q_OVERFLOW, NULL) } },
	{ "one of them of a file system that was unmounted (IN_UNMOUNT)",
	  { OF(FILE, IN_UNMOUNT, NULL) } },
	{ "one of which tells several things at once",
	  { OF(FILE, IN_MODIFY | IN_ATTRIB, NULL) } },
	{ "one of which tells several things at once", { OF(FILE, IN_ONESHOT, NULL) } },
	{ "one of which is of a strange form", { OF(0, IN_MODIFY, NULL) } },
	{ "one of which is of a strange form", { OF(DIR, IN_CREATE, NULL) } },
	{ "one of which is of a strange form", { OF(DIR, IN_CREATE, "a/b") } },
	{ "one of which is of a strange form", { OF(DIR, IN_CREATE, "..") } },
	{ "one of which is of a strange form", { OF(FILE, IN_DELETE_SELF, "a") } },
	{ "one of which is of a strange form", { OF(DIR, IN_MOVED_TO, "a") } },
	{ "one of which is of a strange form", { MOVE(DIR, IN_CREATE, 7, "a") } },
	{ "one of which is of a strange form",
	  { MOVE(DIR, IN_MOVED_FROM, 7, "a"), MOVE(DIR, IN_MOVED_TO, 7, "a") } },
	{ "one of which is of a watch that is over",
	  { OF(GONE, IN_IGNORED, NULL), OF(GONE, IN_MODIFY, NULL) } },
	{ "two of which are alike, one behind the other",
	  { OF(FILE, IN_OPEN, NULL), OF(FILE, IN_OPEN, NULL) } },
	{ "some of which are of a directory, and of none",
	  { OF(DIR, IN_CREATE, "a"), OF(DIR, IN_MODIFY, NULL) } },
	{ "one of which is of a watch whose end is told later",
	  { OF(GONE, IN_DELETE_SELF, NULL), OF(FILE, IN_MODIFY, NULL),
	    OF(GONE, IN_IGNORED, NULL) } },
	{ "one of them the end of a move whose beginning it may have read",
	  { MOVE(DIR, IN_MOVED_TO, 7, "a") } },
	{ "two of which are of one move, and apart from each other",
	  { MOVE(DIR, IN_MOVED_FROM, 7, "a"), OF(FILE, IN_MODIFY, NULL),
	    MOVE(DIR, IN_MOVED_FROM, 7, "b") } },
	{ "one of which is of a watch that has just gone", { OF(GONE, IN_MODIFY, NULL) } },
	{ "one of which is of a watch that has just gone", { OF(FILE, IN_IGNORED, NULL) } },
};

static size_t count(const struct ckpt_watch_event *events)
{
	size_t n = 0;

	while (n < EVENTS && events[n].mask)
		n++;
	return n;
}

static void test_odd(void **state)
{
	struct ckpt_watch watches[] = {
		{ .wd = DIR, .mask = IN_ALL_EVENTS }, { .wd = FILE, .mask = IN_ALL_EVENTS },
	};
	struct ckpt_watch_event events[EVENTS];
	struct ckpt_inotify in = { .watches = watches, .n_watches = 2, .events = events };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ckpt_event_sources *sources = malloc(sizeof(*sources));
		const char *says = cases[i].says, *odd;

		assert_non_null(sources);
		memcpy(events, cases[i].events, sizeof(events));
		in.n_events = count(events);
		odd = ckpt_events_odd(&in, sources);
		free(sources);
		if (!odd != !says || (odd && strcmp(odd, says)))
			fail_msg("case %zu: \"%s\" instead of \"%s\"", i, odd ? odd : "",
				 says ? says : "");
	}
}

/* No beginning of a move can have been read where none is heard. */
static void test_deaf_to_beginnings(void **state)
{
	struct ckpt_watch watch = { .wd = DIR, .mask = IN_MOVED_TO };
	struct ckpt_watch_event e = MOVE(DIR, IN_MOVED_TO, 7, "a");
	const struct ckpt_inotify in = {
		.watches = &watch, .n_watches = 1, .events = &e, .n_events = 1,
	};
	struct ckpt_event_sources sources;

	(void)state;
	assert_null(ckpt_events_odd(&in, &sources));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_odd),
		cmocka_unit_test(test_deaf_to_beginnings),
	};

	return cmocka_run_group_tests_name("proc inotify odd", tests, NULL, NULL);
}
