// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A program that drives an interactive bash through a pseudo terminal, as an agent does
 *
 * Prints "ready" once the shell has a job in the background, a stopped one and one in the
 * foreground that waits for a line, waits until there is a file "go" in its directory, goes
 * on with all of them, and prints what is wrong, or "all well".
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ok.h"

#define PROMPT "ready> "

static int master;
static char screen[65536];
static size_t used;

/* Take in what there is; false when nothing came for so long. */
static bool listen_for(int ms)
{
	struct pollfd p = { .fd = master, .events = POLLIN };
	ssize_t n;

	if (poll(&p, 1, ms) != 1)
		return false;
	n = read(master, screen + used, sizeof(screen) - 1 - used);
	if (n <= 0)
		return false;
	used += n;
	screen[used] = 0;
	return true;
}

static void type(const char *text)
{
	used = 0;
	screen[0] = 0;
	OK(write(master, text, strlen(text)) == (ssize_t)strlen(text));
}

static bool shows(const char *text)
{
	while (!strstr(screen, text)) {
		if (!listen_for(5000)) {
			printf("no '%s' in '%s'\n", text, screen);
			return false;
		}
	}
	return true;
}

static void command(const char *text, const char *answer)
{
	type(text);
	OK(shows(answer));
}

static pid_t start_shell(void)
{
	static char *const env[] = { "PATH=/usr/bin:/bin", "TERM=dumb", "PS1=" PROMPT, NULL };
	const struct winsize size = { .ws_row = 40, .ws_col = 120 };
	pid_t pid = forkpty(&master, NULL, NULL, &size);

	if (!pid) {
		execle("/bin/bash", "bash", "--norc", "--noprofile", "-i", (char *)NULL, env);
		_exit(127);
	}
	return pid;
}

static void set_up(void)
{
	OK(shows(PROMPT));
	command("PS1='" PROMPT "'; set -b; tty > tty.before\n", PROMPT);
	command("sleep 1000 &\n", "[1] ");
	OK(shows(PROMPT));
	command("sleep 2000\n", "sleep 2000");
	usleep(200000);
	command("\032", "Stopped");
	OK(shows(PROMPT));
	command("cat\n", "cat\r\n");
	usleep(200000);
	command("before\n", "before\r\nbefore\r\n");
}

static void go_on(pid_t pid)
{
	int status = -1;

	command("after\n", "after\r\nafter\r\n");
	command("\004", PROMPT);
	command("jobs\n", "Running");
	OK(shows("Stopped") && shows(PROMPT));
	command("tty | cmp - tty.before && echo same$((6 * 7))\n", "same42");
	command("stty size\n", "40 120");
	/* it goes on in the foreground, and is interrupted there */
	command("fg %2\n", "sleep 2000");
	usleep(200000);
	command("\003", PROMPT);
	command("echo \"status $?\"\n", "status 130");
	command("kill %1; wait %1; echo \"status $?\"\n", "status 143");
	command("echo half", "echo half");
	command("way\n", "halfway");
	type("exit 3\n");
	while (listen_for(2000))
		;
	OK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 3);
}

int main(void)
{
	pid_t pid = start_shell();

	setvbuf(stdout, NULL, _IOLBF, 0);
	set_up();
	puts(wrong ? "not set up" : "all is set up");
	puts("ready");
	while (access("go", F_OK))
		listen_for(20);
	go_on(pid);
	unlink("tty.before");
	puts(wrong ? "not well" : "all well");
	return wrong != 0;
}
