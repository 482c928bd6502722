// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Clock probe: a process that writes down how its clocks go on
 *
 * usage: clock_probe FILE [INTERVAL_MS]
 * Every INTERVAL_MS (100) one line "monotonic_ns boottime_ns realtime_ns" is
 * appended to FILE.  It sleeps until absolute times of CLOCK_MONOTONIC, so that a
 * clock that jumps shows as a missing or hurried line.  A clock that goes backwards
 * ends it with status 3 and the line "backwards".
 */
#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define SECOND INT64_C(1000000000)

static int64_t now_ns(clockid_t clock)
{
	struct timespec t;

	if (clock_gettime(clock, &t))
		err(1, "clock_gettime");
	return t.tv_sec * SECOND + t.tv_nsec;
}

static void sleep_until(int64_t ns)
{
	struct timespec t = { .tv_sec = ns / SECOND, .tv_nsec = ns % SECOND };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
		;
}

int main(int argc, char **argv)
{
	int64_t interval, now, last = 0;
	FILE *out;

	if (argc < 2 || argc > 3)
		errx(2, "usage: clock_probe FILE [INTERVAL_MS]");
	interval = (argc > 2 ? atoll(argv[2]) : 100) * 1000000;
	out = fopen(argv[1], "a");
	if (!out)
		err(1, "%s", argv[1]);
	for (;; sleep_until(last + interval)) {
		now = now_ns(CLOCK_MONOTONIC);
		if (now < last) {
			fprintf(out, "backwards\n");
			return 3;
		}
		last = now;
		fprintf(out, "%" PRId64 " %" PRId64 " %" PRId64 "\n", now,
			now_ns(CLOCK_BOOTTIME), now_ns(CLOCK_REALTIME));
		fflush(out);
	}
}
