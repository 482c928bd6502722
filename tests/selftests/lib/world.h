/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TAP, cgroups and stepped children for tests of the module
 */
#ifndef TESTS_WORLD_H
#define TESTS_WORLD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define PAGE 4096UL
#define HUGE (2UL << 20)

/* One case; prints why when it failed.  Return: cond. */
bool check(bool cond, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A line of explanation. */
void note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The plan and the exit status. */
int finish(void);
/* Give up: the world is not as the test needs it. */
void die(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* The kernel is this version or a newer one. */
bool kernel_from(unsigned int major, unsigned int minor);
/* Leave it, or what is left of it, out: this world lacks what the test is about. */
void skip_all(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* Run a command, which must succeed. */
void shell(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Write a string to a file.  Return: 0 or -errno. */
int put(const char *path, const char *text);
/* Read a file, the last newline cut off.  Return: length or -errno. */
int get(const char *path, char *buf, size_t len);

/* Make the cgroup /sys/fs/cgroup/NAME; removed by cgroup_gone. */
void cgroup_make(const char *name);
int cgroup_gone(const char *name);
/* Move a process; its memory stays. */
void cgroup_move(pid_t pid, const char *name);

/**
 * struct child - a process that makes one step at a time
 * @pid: its pid
 * @to: commands go in here
 * @from: and their ends come out here
 * @shared: memory of both, for addresses
 */
struct child {
	pid_t pid;
	int to;
	int from;
	uint64_t *shared;
};

/* Start a child in a cgroup; it calls step(n, shared) for every child_step(n). */
void child_start(struct child *c, const char *cgroup, void (*step)(int n, uint64_t *shared));
void child_step(const struct child *c, int n);
void child_stop(const struct child *c);		/* every thread is stopped on return */
void child_continue(const struct child *c);
void child_end(struct child *c);

/* Read a child's memory, protected pages too.  Return: bytes or -errno. */
ssize_t child_read(pid_t pid, uint64_t addr, void *buf, size_t len);

/* Numbers that a seed decides. */
uint64_t rnd(uint64_t *state);

/* Anonymous private memory; @align of 0 is a page's.  Never returns NULL. */
char *map_anon(size_t len, size_t align);
char *map_anon_at(void *addr, size_t len);

#endif
