// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Waiter: waits in one system call for a signal, and says whether it ended as signal(7) has it
 *
 * usage: waiter CALL
 * Writes "here" before the call.  SIGALRM has a handler; who runs this sends it.  Ends with 0
 * when the handler ran once and the call returned what it must; else says what it was.
 */
#include <err.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int ends[2];
static volatile sig_atomic_t handled;

static void handler(int sig)
{
	(void)sig;
	handled++;
	(void)!write(ends[1], "x", 1);
}

static void set_handler(int flags)
{
	const struct sigaction act = { .sa_handler = handler, .sa_flags = flags };

	sigaction(SIGALRM, &act, NULL);
}

static sigset_t alarm_set(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	return set;
}

static void block_alarm(void)
{
	const sigset_t set = alarm_set();

	sigprocmask(SIG_BLOCK, &set, NULL);
}

static int do_pause(void)
{
	return pause();
}

static int do_sigsuspend(void)
{
	sigset_t none;

	sigemptyset(&none);
	return sigsuspend(&none);
}

static int do_blocked_sigsuspend(void)
{
	block_alarm();
	return do_sigsuspend();
}

static int do_nanosleep(void)
{
	return nanosleep(&(struct timespec){ 1000, 0 }, NULL);
}

static int do_ppoll(void)
{
	sigset_t none;

	sigemptyset(&none);
	block_alarm();
	return ppoll(NULL, 0, NULL, &none);
}

/* The signal is due, and waits for the end of the call, which is that of its time. */
static int do_masked_ppoll(void)
{
	const sigset_t set = alarm_set();
	int n = ppoll(NULL, 0, &(struct timespec){ 1, 0 }, &set);

	errno = n ? 0 : EINTR;
	return -1;
}

static int do_read(void)
{
	char c;

	return read(ends[0], &c, 1);
}

static int do_restarted_read(void)
{
	set_handler(SA_RESTART);
	if (do_read() != 1)
		return 0;
	errno = EINTR;
	return -1;
}

static int do_sigtimedwait(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	return sigtimedwait(&set, NULL, &(struct timespec){ 1000, 0 });
}

#define CALL(name) { #name, do_##name }

static const struct {
	const char *name;
	int (*call)(void);
} calls[] = {
	CALL(pause), CALL(sigsuspend), CALL(blocked_sigsuspend), CALL(nanosleep), CALL(ppoll),
	CALL(masked_ppoll), CALL(read), CALL(restarted_read), CALL(sigtimedwait),
};

static void wait_in(int (*call)(void), const char *name)
{
	int value;

	puts("here");
	fflush(stdout);
	errno = 0;
	value = call();
	if (value != -1 || errno != EINTR || handled != 1)
		errx(1, "%s: %d (%s), %d signals", name, value, strerror(errno), handled);
}

int main(int argc, char **argv)
{
	if (argc != 2 || pipe(ends))
		errx(2, "usage: waiter CALL");
	set_handler(0);
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		if (!strcmp(calls[i].name, argv[1])) {
			wait_in(calls[i].call, argv[1]);
			return 0;
		}
	}
	errx(2, "no call %s", argv[1]);
}
