// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A program with pseudo terminals in which input and output waits, in every way that it can
 *
 * Prints "ready" once all is set up, waits until there is a file "go" in its directory, then does
 * the same once more with new terminals.  Whatever is read and written then must go the same way
 * with both: it prints what does not, or "all well".
 */
#define _GNU_SOURCE
#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pty_kinds.h"

#define LOG_MAX (1u << 20)

/* What was read, how, and what was written. */
struct log {
	char *text;
	size_t len;
};

static void set_up(const struct kind *k, struct pty *p)
{
	make(p);
	change(p, k->set);
	k->fill(p);
	if (!strcmp(k->name, "quoted, nothing else"))
		TYPE(p, "\026");
	settle();
}

/* --- comparing --- */

static void note(struct log *l, const char *what, ssize_t ret, const char *bytes)
{
	l->len += snprintf(l->text + l->len, LOG_MAX - l->len, "%s %zd:", what, ret);
	for (ssize_t i = 0; i < ret && bytes; i++)
		l->len += snprintf(l->text + l->len, LOG_MAX - l->len, " %02x",
				   (unsigned char)bytes[i]);
	l->len += snprintf(l->text + l->len, LOG_MAX - l->len, "%s\n",
			   ret < 0 ? strerror(errno) : "");
}

static void drain(struct log *l, const char *what, int fd)
{
	static const size_t sizes[] = { 3, 1, 7, 300, 5000 };
	char bytes[5000];

	settle();
	for (int i = 0, tries = 0; tries < 2; i++) {
		ssize_t n = read(fd, bytes, sizes[i % 5]);

		if (n < 0 && errno == EAGAIN) {
			settle();
			tries++;
			i--;
			continue;
		}
		tries = 0;
		note(l, what, n, bytes);
		if (n < 0)
			return;
	}
}

static void use(const struct kind *k, struct pty *p, struct log *l)
{
	*l = (struct log){ .text = malloc(LOG_MAX) };
	note(l, "more output", write(p->slave, "w", 1), NULL);
	if (p->slave < 0) {	/* before it is opened */
		drain(l, "master", p->master);
		p->slave = MUST(ioctl(p->master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_NONBLOCK));
	}
	drain(l, "slave", p->slave);
	drain(l, "master", p->master);
	note(l, "more", write(p->master, k->more, strlen(k->more)), NULL);
	settle();
	note(l, "more output", write(p->slave, "\tw", 2), NULL);
	drain(l, "slave", p->slave);
	drain(l, "master", p->master);
	MUST(ioctl(p->slave, TCXONC, TCOON));
	note(l, "more output", write(p->slave, "w\n", 2), NULL);
	drain(l, "master", p->master);
}

/* How much there is room for is not the same each time. */
static void check_full(const struct kind *k, struct pty *p)
{
	int fd = k->fill == type_full ? p->slave : p->master;
	char bytes[4096];
	size_t n = 0, begun;

	for (int tries = 0; tries < 3;) {
		ssize_t got = read(fd, bytes, sizeof(bytes));

		for (ssize_t i = 0; i < got; i++, n++)
			OK(wrong > 9 || bytes[i] == pattern(n));
		if (got < 0)
			tries++;
		if (got < 0)
			settle();
	}
	begun = fd == p->slave && k->set == silent ? p->n % 10 : 0;
	if (n + begun != p->n)
		printf("%s: %zu instead of %zu\n", k->name, n, p->n);
	OK(n + begun == p->n && n > 8192);
	OK(write(p->master, "0123456789\n", 11) == 11 && write(p->slave, "x", 1) == 1);
	settle();
	OK(read(p->slave, bytes, 30) == (ssize_t)begun + 11);
	OK(!memcmp(bytes + begun, "0123456789", 10));
	OK(read(p->master, bytes, 12) == 1 && bytes[0] == 'x');
}

static void compare(const struct kind *k, struct pty *held)
{
	struct pty fresh;
	struct log was, is;

	set_up(k, &fresh);
	use(k, &fresh, &was);
	use(k, held, &is);
	OK(was.len && was.len < LOG_MAX / 2);
	OK(!strcmp(was.text, is.text));
	if (strcmp(was.text, is.text))
		printf("%s:\n%s\ninstead of\n%s\n", k->name, is.text, was.text);
	free(was.text);
	free(is.text);
	close(fresh.master);
	close(fresh.slave);
}

/* --- ^C that was typed after ^V means no signal, and is none when it is put back --- */

static volatile sig_atomic_t interrupted;

static void on_interrupt(int sig)
{
	(void)sig;
	interrupted++;
}

static pid_t start_session(struct pty *p, int go)
{
	pid_t pid = MUST(fork());
	char bytes[16] = "";

	if (pid)
		return pid;
	signal(SIGINT, on_interrupt);
	MUST(setsid());
	MUST(ioctl(p->slave, TIOCSCTTY, 0));
	OK(read(go, bytes, 1) == 1);
	OK(read(p->slave, bytes, sizeof(bytes)) == 4 && !strcmp(bytes, "x\003y\n"));
	OK(!interrupted);
	exit(wrong);
}

int main(void)
{
	struct pty held[N_KINDS], session;
	int go[2], status = -1;
	pid_t pid;

	setvbuf(stdout, NULL, _IOLBF, 0);
	make(&session);
	MUST(pipe(go));
	pid = start_session(&session, go[0]);
	settle();
	TYPE(&session, "x\026\003y\n");
	for (size_t i = 0; i < N_KINDS; i++)
		set_up(&kinds[i], &held[i]);
	puts("all is set up");
	puts("ready");
	while (access("go", F_OK))
		usleep(20000);

	for (size_t i = 0; i < N_KINDS; i++) {
		if (held[i].n)
			check_full(&kinds[i], &held[i]);
		else
			compare(&kinds[i], &held[i]);
	}
	OK(write(go[1], "x", 1) == 1 && waitpid(pid, &status, 0) == pid && !status);
	puts(wrong ? "not well" : "all well");
	return wrong != 0;
}
