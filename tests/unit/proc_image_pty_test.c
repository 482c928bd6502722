// SPDX-License-Identifier: GPL-2.0-or-later
/* Pseudo terminals in process images: what cannot be is told, never restored. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "proc/image-check.h"

/* A leader with a child, and its terminal; another terminal that is hung up, with its slave. */
struct parts {
	struct ckpt_image image;
	struct ckpt_task tasks[2];
	struct ckpt_file files[3];
	struct ckpt_pty ptys[2];
	char paths[3][16];
};

enum { MASTER, SLAVE, HUNG };

static void make(struct parts *p)
{
	*p = (struct parts){
		.tasks = {
			{ .pid = 10, .sid = 10, .pgid = 10, .ctty = 1, .tpgid = 11 },
			{ .pid = 11, .ppid = 10, .sid = 10, .pgid = 11, .ctty = 1 },
		},
		.files = {
			{ .kind = CKPT_FILE_PTM, .object = 0 },
			{ .kind = CKPT_FILE_PTS, .object = 0 },
			{ .kind = CKPT_FILE_PTS, .object = 1 },
		},
		.ptys = {
			{ .number = 5, .mode = 0620 },
			{ .number = 5, .flags = CKPT_PTY_F_HUNG_UP },
		},
		.paths = { "/dev/ptmx", "/dev/pts/5", "/dev/pts/5" },
	};
	for (int i = 0; i < 3; i++)
		p->files[i].path = p->paths[i];
	p->image.tasks = p->tasks;
	p->image.n_tasks = 2;
	p->image.files = p->files;
	p->image.n_files = 3;
	p->image.ptys = p->ptys;
	p->image.n_ptys = 2;
}

static void is_damaged(struct parts *p, const char *says)
{
	struct ckpt_err err = CKPT_ERR_INIT;

	assert_int_equal(ckpt_ptys_check(&p->image, &err), -1);
	assert_int_equal(err.status, CKPT_DAMAGED);
	if (!strstr(err.text, says))
		fail_msg("'%s' does not say '%s'", err.text, says);
}

#define BAD(name, change, says) \
static void test_##name(void **state) \
{ \
	struct parts p; \
	(void)state; \
	make(&p); \
	change; \
	is_damaged(&p, says); \
}

BAD(object, p.files[HUNG].object = 2, "of no terminal")
BAD(no_path, p.files[SLAVE].path = NULL, "of no terminal")
BAD(relative, p.paths[MASTER][0] = 'x', "of no terminal")
BAD(number, p.ptys[0].number = 1u << 20, "of no known kind")
BAD(flags, p.ptys[0].flags = 1u << 6, "of no known kind")
BAD(mode, p.ptys[0].mode = S_IFREG | 0600, "of no known kind")
BAD(hung_and_locked, p.ptys[1].flags |= CKPT_PTY_F_LOCKED, "of no known kind")
BAD(twice, (p.ptys[1].flags = 0, p.files[HUNG].kind = CKPT_FILE_PTM), "there twice")
BAD(no_master, p.files[MASTER].object = 1, "has no master, or too many")
BAD(two_masters, p.files[SLAVE].kind = CKPT_FILE_PTM, "has no master, or too many")
BAD(left_and_open, p.ptys[0].flags = CKPT_PTY_F_LEFT, "is left by who has it")
BAD(not_left, p.files[SLAVE].object = 1, "is left by who has it")
BAD(ctty, p.tasks[1].ctty = 3, "a controlling terminal that cannot be")
BAD(ctty_hung_up, (p.tasks[0].ctty = 2, p.tasks[1].ctty = 2), "a controlling terminal that")
BAD(ctty_of_another, p.tasks[1].ctty = 2, "a controlling terminal that cannot be")
BAD(ctty_of_zombie, p.tasks[1].state = CKPT_TASK_ZOMBIE, "a controlling terminal that cannot be")
BAD(no_leader, p.tasks[0].state = CKPT_TASK_ZOMBIE, "a controlling terminal that cannot be")
BAD(no_foreground, p.tasks[0].tpgid = 0, "a foreground that cannot be")
BAD(foreground_empty, p.tasks[0].tpgid = 12, "a foreground that cannot be")
BAD(foreground_of_member, p.tasks[1].tpgid = 11, "a foreground that cannot be")
BAD(two_sessions, p.tasks[1].sid = p.tasks[1].tpgid = 11; p.tasks[0].tpgid = 10, "two sessions")
BAD(no_ptys, (p.image.n_ptys = 0, p.image.n_files = 0), "a controlling terminal that cannot be")

static void test_sound(void **state)
{
	struct parts p;
	struct ckpt_err err = CKPT_ERR_INIT;

	(void)state;
	make(&p);
	if (ckpt_ptys_check(&p.image, &err) || ckpt_ptys_restorable(&p.image, &err))
		fail_msg("%s", err.text);
	p.files[SLAVE].kind = CKPT_FILE_REG;
	p.ptys[0].flags = CKPT_PTY_F_LEFT;
	if (ckpt_ptys_check(&p.image, &err) || ckpt_ptys_restorable(&p.image, &err))
		fail_msg("%s", err.text);
}

static void test_given_up(void **state)
{
	struct parts p;
	struct ckpt_err err = CKPT_ERR_INIT;

	(void)state;
	make(&p);
	p.tasks[1].ctty = 0;
	assert_int_equal(ckpt_ptys_restorable(&p.image, &err), 0);
	p.files[SLAVE].kind = CKPT_FILE_REG;
	p.ptys[0].flags = CKPT_PTY_F_LEFT;
	assert_int_equal(ckpt_ptys_check(&p.image, &err), 0);
	assert_int_equal(ckpt_ptys_restorable(&p.image, &err), -1);
	assert_int_equal(err.status, CKPT_REFUSED);
	assert_non_null(strstr(err.text, "has given up the controlling terminal"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test(test_##name)
	const struct CMUnitTest tests[] = {
		TEST(sound), TEST(given_up),
		TEST(object), TEST(no_path), TEST(relative), TEST(number), TEST(flags), TEST(mode),
		TEST(hung_and_locked), TEST(twice), TEST(no_master), TEST(two_masters),
		TEST(left_and_open), TEST(not_left), TEST(ctty), TEST(ctty_hung_up),
		TEST(ctty_of_another), TEST(ctty_of_zombie), TEST(no_leader), TEST(no_foreground),
		TEST(foreground_empty), TEST(foreground_of_member), TEST(two_sessions),
		TEST(no_ptys),
	};

	return cmocka_run_group_tests_name("proc image pty", tests, NULL, NULL);
}
