// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * file_churn: changes a small tree in every way, without end
 *
 * usage: file_churn DIR SEED PAUSE_US
 * Two processes work on forty names in four directories; inode numbers are used again
 * all the time, as by editors and compilers.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define DIRS 4
#define NAMES 10

static uint64_t state;

static unsigned int draw(unsigned int n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (state >> 20) % n;
}

static const char *name(char *buf)
{
	sprintf(buf, "d%u/f%u", draw(DIRS), draw(NAMES));
	return buf;
}

static void fill(int fd, unsigned int most)
{
	unsigned int len = draw(most) + 1;
	uint8_t data[20000];

	for (unsigned int i = 0; i < len; i++)
		data[i] = draw(256);
	if (write(fd, data, len) < 0)
		perror("file_churn: write");
}

/* As a compiler: away with the old one, a new one under the same name. */
static void replace(const char *at)
{
	int fd;

	unlink(at);
	fd = open(at, O_RDWR | O_CREAT | O_EXCL, 0640);
	if (fd < 0)
		return;
	fill(fd, 9000);
	fill(fd, 9000);
	if (draw(2))
		fchmod(fd, 0700);
	close(fd);
}

/* As an editor: a copy beside it, renamed over it. */
static void edit(const char *at)
{
	char beside[64];
	int fd;

	sprintf(beside, "%s~", at);
	fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (fd < 0)
		return;
	fill(fd, 3000);
	close(fd);
	if (rename(beside, at))
		unlink(beside);
}

static void write_into(const char *at, int flags)
{
	int fd = open(at, O_WRONLY | flags);

	if (fd < 0)
		return;
	if (draw(2))
		lseek(fd, draw(8000), SEEK_SET);
	fill(fd, 5000);
	if (!draw(4) && ftruncate(fd, draw(6000)))
		perror("file_churn: ftruncate");
	close(fd);
}

static void point(const char *at, const char *to)
{
	char beside[64];

	sprintf(beside, "%s~l", at);
	if (!symlink(to, beside) && rename(beside, at))
		unlink(beside);
}

static void turn_dir(void)
{
	char at[64], to[64];

	sprintf(at, "d%u/sub%u", draw(DIRS), draw(3));
	sprintf(to, "d%u/sub%u", draw(DIRS), draw(3));
	switch (draw(3)) {
	case 0:
		mkdir(at, 0755);
		strcat(at, "/inner");
		edit(at);
		break;
	case 1:
		if (rename(at, to) && errno != ENOENT)
			strcat(to, "/inner");
		break;
	default:
		strcpy(to, at);
		strcat(to, "/inner");
		unlink(to);
		rmdir(at);
	}
}

static void act(void)
{
	char a[64], b[64];

	switch (draw(9)) {
	case 0:
	case 1:
		replace(name(a));
		break;
	case 2:
		edit(name(a));
		break;
	case 3:
		write_into(name(a), 0);
		break;
	case 4:
		write_into(name(a), O_APPEND);
		break;
	case 5:
		if (link(name(a), name(b)) && draw(2))
			unlink(b);
		break;
	case 6:
		rename(name(a), name(b));
		break;
	case 7:
		if (draw(2))
			chmod(name(a), 0600 + draw(64));
		else
			point(name(a), name(b));
		break;
	default:
		turn_dir();
	}
}

int main(int argc, char **argv)
{
	if (argc != 4 || chdir(argv[1])) {
		fprintf(stderr, "usage: file_churn DIR SEED PAUSE_US\n");
		return 2;
	}
	for (int i = 0; i < DIRS; i++) {
		char dir[16];

		sprintf(dir, "d%d", i);
		mkdir(dir, 0755);
	}
	state = strtoull(argv[2], NULL, 0) * 2654435761u + 1;
	if (fork() == 0)
		state = state * 31 + 7;
	for (;;) {
		act();
		usleep(atoi(argv[3]));
	}
}
