// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Ticker: two processes of two threads each that leave a trace of every instruction they get
 *
 * usage: ticker FILE
 * Each thread counts up a number of its own in FILE, mapped shared, without a system call in
 * between: whoever maps it too sees whether any of them ran.  Runs until killed.
 */
#include <err.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

static void *count(void *arg)
{
	volatile uint64_t *counter = arg;

	for (;;)
		++*counter;
	return NULL;
}

int main(int argc, char **argv)
{
	volatile uint64_t *counters;
	pthread_t thread;
	int fd;

	if (argc != 2)
		errx(2, "usage: ticker FILE");
	fd = open(argv[1], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, 4096))
		err(1, "%s", argv[1]);
	counters = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (counters == MAP_FAILED)
		err(1, "%s", argv[1]);
	close(fd);
	if (!fork())
		counters += 2;
	if (pthread_create(&thread, NULL, count, (void *)counters))
		errx(1, "no thread could be started");
	while (!counters[0])
		;
	puts("here");
	fflush(stdout);
	count((void *)(counters + 1));
}
