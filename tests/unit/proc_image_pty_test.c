// SPDX-License-Identifier: GPL-2.0-or-later
/* Pseudo terminals in process images: what cannot be is told, never restored. */
#include <asm/termbits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "proc/image-check.h"
#include "proc/pty.h"

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
BAD(flags, p.ptys[0].flags = 1u << 9, "of no known kind")
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

/* What waits in it: settings, and an input of @p that the others change. */
static void fill(struct parts *p)
{
	static uint8_t bytes[CKPT_PTY_LEN_MAX + 1];
	static uint16_t ends[3];
	struct termios2 *t = (void *)p->ptys[0].termios;

	t->c_lflag = ICANON;
	t->c_iflag = IXON;
	t->c_cc[VSTART] = t->c_cc[VSTOP] = 1;
	memset(bytes, 0, sizeof(bytes));
	memcpy(ends, (uint16_t[]){ 4, 5, 9 }, sizeof(ends));
	p->ptys[0].input = p->ptys[0].output = bytes;
	p->ptys[0].input_len = p->ptys[0].taken = 12;
	p->ptys[0].output_len = sizeof(bytes) - 1;
	p->ptys[0].ends = ends;
	p->ptys[0].n_ends = 3;
}

static void raw(struct parts *p)
{
	struct termios2 *t = (void *)p->ptys[0].termios;

	t->c_lflag = 0;
	p->ptys[0].n_ends = 0;
}

/* The ring is full, and something is behind it. */
static void behind(struct parts *p)
{
	p->ptys[0].taken = CKPT_PTY_RING - 1;
	p->ptys[0].input_len = CKPT_PTY_RING + 5;
}

#define FULL(name, change) \
	BAD(name, (fill(&p), change), "has something in it that cannot be there")
#define LFLAG(p) (((struct termios2 *)(p).ptys[0].termios)->c_lflag)
#define IFLAG(p) (((struct termios2 *)(p).ptys[0].termios)->c_iflag)

FULL(in_hung_up, p.ptys[1].output_len = 1)
FULL(taken_of_hung_up, p.ptys[1].taken = 1)
FULL(long_input, (behind(&p), p.ptys[0].input_len = CKPT_PTY_LEN_MAX + 1))
FULL(long_output, p.ptys[0].output_len++)
FULL(more_taken, p.ptys[0].taken++)
FULL(ring, (p.ptys[0].taken = p.ptys[0].input_len = CKPT_PTY_RING + 1))
FULL(ring_of_lines, (p.ptys[0].taken = p.ptys[0].input_len = CKPT_PTY_RING))
FULL(ring_of_bytes, (raw(&p), p.ptys[0].taken = p.ptys[0].input_len = CKPT_PTY_RING))
FULL(end_beyond, p.ptys[0].ends[2] = 12)
FULL(ends_order, p.ptys[0].ends[1] = 4)
FULL(ends_raw, LFLAG(p) = 0)
FULL(ends_external, LFLAG(p) |= EXTPROC)
FULL(external, (p.ptys[0].n_ends = 0, LFLAG(p) |= EXTPROC))
FULL(quoted_raw, (raw(&p), p.ptys[0].flags |= CKPT_PTY_F_QUOTED))
FULL(behind_room, p.ptys[0].input_len++)
FULL(behind_flow, (behind(&p), p.ptys[0].input[CKPT_PTY_RING] = 1))
FULL(behind_a_begun_line, (behind(&p), p.ptys[0].n_ends = 0))
FULL(stopped_for_good, (IFLAG(p) = 0, p.ptys[0].flags |= CKPT_PTY_F_STOPPED))
FULL(tco_alone, p.ptys[0].flags |= CKPT_PTY_F_TCO_STOPPED)

static void is_sound(struct parts *p)
{
	struct ckpt_err err = CKPT_ERR_INIT;

	if (ckpt_ptys_check(&p->image, &err))
		fail_msg("%s", err.text);
}

static void test_filled(void **state)
{
	struct parts p;

	(void)state;
	make(&p);
	fill(&p);
	p.ptys[0].flags |= CKPT_PTY_F_QUOTED | CKPT_PTY_F_STOPPED;
	is_sound(&p);
	p.ptys[0].flags |= CKPT_PTY_F_TCO_STOPPED;
	IFLAG(p) = 0;
	is_sound(&p);
	behind(&p);
	is_sound(&p);
	/* one line alone uses the whole ring */
	p.ptys[0].taken = p.ptys[0].input_len = CKPT_PTY_RING;
	p.ptys[0].n_ends = 1;
	p.ptys[0].ends[0] = CKPT_PTY_RING - 1;
	is_sound(&p);
	p.ptys[0].n_ends = 0;
	is_sound(&p);
	/* with marks, it is full much earlier */
	p.ptys[0].flags = 0;
	raw(&p);
	IFLAG(p) = PARMRK;
	p.ptys[0].taken = CKPT_PTY_RING - 3;
	is_sound(&p);
}

static void test_sound(void **state)
{
	struct parts p;
	struct ckpt_err err = CKPT_ERR_INIT;

	(void)state;
	make(&p);
	if (ckpt_ptys_check(&p.image, &err) || ckpt_ptys_restorable(&p.image, NULL, &err))
		fail_msg("%s", err.text);
	p.files[SLAVE].kind = CKPT_FILE_REG;
	p.ptys[0].flags = CKPT_PTY_F_LEFT;
	if (ckpt_ptys_check(&p.image, &err) || ckpt_ptys_restorable(&p.image, NULL, &err))
		fail_msg("%s", err.text);
}

static void test_given_up(void **state)
{
	struct parts p;
	struct ckpt_err err = CKPT_ERR_INIT;

	(void)state;
	make(&p);
	p.tasks[1].ctty = 0;
	assert_int_equal(ckpt_ptys_restorable(&p.image, NULL, &err), 0);
	p.files[SLAVE].kind = CKPT_FILE_REG;
	p.ptys[0].flags = CKPT_PTY_F_LEFT;
	assert_int_equal(ckpt_ptys_check(&p.image, &err), 0);
	assert_int_equal(ckpt_ptys_restorable(&p.image, NULL, &err), -1);
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
		TEST(no_ptys), TEST(filled), TEST(in_hung_up), TEST(taken_of_hung_up),
		TEST(long_input), TEST(long_output), TEST(more_taken), TEST(ring),
		TEST(ring_of_lines), TEST(ring_of_bytes), TEST(end_beyond), TEST(ends_order),
		TEST(ends_raw), TEST(ends_external), TEST(external), TEST(quoted_raw),
		TEST(behind_room), TEST(behind_flow), TEST(behind_a_begun_line),
		TEST(stopped_for_good), TEST(tco_alone),
	};

	return cmocka_run_group_tests_name("proc image pty", tests, NULL, NULL);
}
