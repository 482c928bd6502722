// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Spinner: a thread that measures from inside how long its group was stopped
 *
 * usage: spinner FILE [LEAST_US [SLEEP_US]]
 * A thread reads CLOCK_MONOTONIC again and again, sleeping SLEEP_US between two
 * reads (0, the default: it spins).  Each gap of at least LEAST_US (1000) becomes
 * a line "start_ns gap_ns" in FILE, start_ns in CLOCK_MONOTONIC.  Runs until killed.
 */
#include <err.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct spinner {
	FILE *out;
	int64_t least_ns;
	useconds_t sleep_us;
};

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void *spin(void *arg)
{
	const struct spinner *s = arg;
	int64_t last = now_ns(), now;

	for (;;) {
		if (s->sleep_us)
			usleep(s->sleep_us);
		now = now_ns();
		if (now - last < s->least_ns) {
			last = now;
			continue;
		}
		fprintf(s->out, "%" PRId64 " %" PRId64 "\n", last, now - last);
		fflush(s->out);
		last = now_ns();	/* the report is no gap */
	}
	return NULL;
}

int main(int argc, char **argv)
{
	struct spinner s = { .least_ns = 1000000 };
	pthread_t thread;

	if (argc < 2 || argc > 4)
		errx(2, "usage: spinner FILE [LEAST_US [SLEEP_US]]");
	if (argc > 2)
		s.least_ns = atoll(argv[2]) * 1000;
	if (argc > 3)
		s.sleep_us = atoi(argv[3]);
	s.out = fopen(argv[1], "a");
	if (!s.out)
		err(1, "%s", argv[1]);
	if (pthread_create(&thread, NULL, spin, &s))
		errx(1, "no thread could be started");
	for (;;)
		pause();
}
