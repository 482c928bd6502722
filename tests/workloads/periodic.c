// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * periodic: a periodic timer whose signal mostly waits, and locked memory
 *
 * usage: periodic FILE
 * Appends "tick" to FILE for each SIGALRM it takes, "lost" when none comes for a second.  All
 * its memory is locked, also a part that cannot be read.
 */
#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	const struct itimerval every = { { 0, 20000 }, { 0, 20000 } };
	const struct timespec second = { 1, 0 }, nap = { 0, 50000000 };
	int fd = argc == 2 ? open(argv[1], O_WRONLY | O_CREAT | O_APPEND, 0644) : -1;
	sigset_t alarm;

	if (fd < 0)
		errx(2, "usage: periodic FILE");
	if (mmap(NULL, 65536, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED)
		err(1, "mmap");
	if (mlockall(MCL_CURRENT))
		err(1, "mlockall");
	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	sigprocmask(SIG_BLOCK, &alarm, NULL);
	if (setitimer(ITIMER_REAL, &every, NULL))
		err(1, "setitimer");
	for (;;) {
		nanosleep(&nap, NULL);
		if (sigtimedwait(&alarm, NULL, &second) == SIGALRM)
			dprintf(fd, "tick\n");
		else
			dprintf(fd, "lost\n");
	}
}
