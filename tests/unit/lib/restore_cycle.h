/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cycle: a program started in a cgroup of its own, captured, killed, restored
 *
 * The memory of the tree goes through a store in memory, its image through the
 * codec.  Every function fails the running test when something goes wrong.
 */
#ifndef CKPT_TESTS_RESTORE_CYCLE_H
#define CKPT_TESTS_RESTORE_CYCLE_H

#include "base/cleanup.h"
#include "memstore.h"
#include "proc/init.h"
#include "proc/inside.h"
#include "proc/restore.h"
#include "proc/stop.h"

/**
 * struct saved - a tree that was captured and killed
 * @image, @store: what was captured
 * @source: the store as restore reads it
 */
struct saved {
	struct ckpt_image image;
	struct memstore store;
	struct ckpt_source source;
};

extern char cycle_cgroup[64];
extern char *cycle_cgroup_dir, cycle_dir[64];
/* Called by cycle_save when the tree is stopped and not read yet, each time it is tried. */
extern void (*cycle_while_stopped)(void);
/* Called by cycle_save instead of a kill, to end the tree in another way. */
extern void (*cycle_instead_of_kill)(struct ckpt_stop *stop);
/* Called by cycle_restore when all is built and compared, and nothing runs yet. */
extern void (*cycle_before_run)(void);
/* Connections to the outside: left as they are by the kill, and gone on with by a restore. */
extern bool cycle_tcp_repair;

/* A pid that counts as taken for cycle_restore, or 0. */
extern int32_t cycle_taken;

/* Fixtures of a group of tests. */
int cycle_setup(void **state);
int cycle_teardown(void **state);

/* Seed random() by CKPT_SEED, else @otherwise, and say by what. Return: that. */
unsigned int cycle_seed(unsigned int otherwise);
void cycle_check(int failed, const struct ckpt_err *err);
struct ckpt_init_params cycle_init_params(char *const *argv, bool private);
void cycle_close_stdio(const int stdio[3]);
/* What the program wrote, in a buffer used again by the next call. */
char *cycle_read_output(void);
void cycle_wait_output(const char *word);
/* Wait until nobody is in the cgroup. */
void cycle_wait_empty(void);
/* The same, and make the cgroup anew: on newer kernels one that was killed stays deadly. */
void cycle_fresh_cgroup(void);
/* Capture and kill what runs in the cgroup. */
void cycle_save(struct saved *s);
/* Start, wait until the word was written, save. */
void cycle_start_and_save(char *const *argv, bool private, const char *word, struct saved *s);
/* The path of a program of tests/workloads. */
char *cycle_program(const char *name);
/* Such a program, with an argument or without, saved when it is ready. */
void cycle_save_program(const char *name, char *arg, bool private, struct saved *s);
/* Call @fn in a namespace of what runs in the cgroup. */
void cycle_inside(const char *name, ckpt_inside_fn fn, void *arg);
/* Look whether an image can be restored here: not, if @says, with that in the refusal. */
void cycle_preflight(struct ckpt_image *image, const char *says);
void cycle_restore(struct saved *s, struct ckpt_restore **ret, struct ckpt_restore_result *result);
/* Let go of a tree that has ended; its init is a child of ours. */
void cycle_close_saved(struct ckpt_restore *r);
/* Save what @r has restored, and let go of it. */
void cycle_save_again(struct ckpt_restore *r, struct saved *s);
/* Restore, let it run for so long, save it into @again. */
void cycle_restore_and_save(struct saved *s, useconds_t run_us, struct saved *again);
/* Wait for the end of the root task with status @wanted, and of everybody. */
void cycle_finish(struct ckpt_restore *r, int wanted);
/* Restore what waits for the file "go" in its directory, then checks itself and says "all well". */
void cycle_go_on(struct saved *s);
void cycle_saved_done(struct saved *s);

#endif
