// SPDX-License-Identifier: GPL-2.0-or-later
/* Consistency of the pseudo terminals of an image, and of who is controlled by them. */
#include "proc/image-check.h"
#include "proc/pty.h"

static size_t count(const struct ckpt_image *image, uint32_t kind, uint32_t index)
{
	size_t n = 0;

	for (size_t i = 0; i < image->n_files; i++)
		n += image->files[i].kind == kind && image->files[i].object == index;
	return n;
}

static bool is_hung_up(const struct ckpt_pty *p)
{
	return p->flags & CKPT_PTY_F_HUNG_UP;
}

static bool is_twice(const struct ckpt_image *image, uint32_t index)
{
	const struct ckpt_pty *p = &image->ptys[index];

	for (uint32_t i = 0; i < index && !is_hung_up(p); i++) {
		if (image->ptys[i].number == p->number && !is_hung_up(&image->ptys[i]))
			return true;
	}
	return false;
}

static bool has_sound_input(const struct ckpt_pty *p)
{
	struct ckpt_pty_end end;

	if (is_hung_up(p))
		return !p->input_len && !p->taken && !p->n_ends && !p->output_len;
	return ckpt_pty_input(p, &end) && p->output_len <= CKPT_PTY_LEN_MAX &&
	       ckpt_pty_end_state(p->termios, &end) == CKPT_PTY_QUIET;
}

static int check_pty(const struct ckpt_image *image, uint32_t index, struct ckpt_err *err)
{
	const struct ckpt_pty *p = &image->ptys[index];
	size_t slaves = count(image, CKPT_FILE_PTS, index);

	if (p->number >= CKPT_PTY_MAX || p->flags & ~CKPT_PTY_F_ALL || p->mode & ~07777u ||
	    (is_hung_up(p) && p->flags != CKPT_PTY_F_HUNG_UP))
		return BAD_IMAGE("terminal %u is of no known kind", p->number);
	if (!has_sound_input(p))
		return BAD_IMAGE("terminal %u has something in it that cannot be there", p->number);
	if (is_twice(image, index))
		return BAD_IMAGE("terminal %u is there twice", p->number);
	if (count(image, CKPT_FILE_PTM, index) != !is_hung_up(p))
		return BAD_IMAGE("terminal %u has no master, or too many", p->number);
	if (!slaves == !(p->flags & CKPT_PTY_F_LEFT) ||
	    (!slaves && p->flags & CKPT_PTY_F_SLAVE_EXCL))
		return BAD_IMAGE("terminal %u is left by who has it", p->number);
	return 0;
}

static const struct ckpt_task *leader_of(const struct ckpt_image *image, int32_t session)
{
	for (size_t i = 0; i < image->n_tasks; i++) {
		const struct ckpt_task *t = &image->tasks[i];

		if (t->pid == session && t->sid == session && t->state != CKPT_TASK_ZOMBIE)
			return t;
	}
	return NULL;
}

static bool has_group(const struct ckpt_image *image, int32_t session, int32_t group)
{
	for (size_t i = 0; i < image->n_tasks; i++) {
		if (image->tasks[i].sid == session && image->tasks[i].pgid == group)
			return true;
	}
	return false;
}

static int check_task(const struct ckpt_image *image, const struct ckpt_task *t,
		      struct ckpt_err *err)
{
	const struct ckpt_task *leader = leader_of(image, t->sid);

	if (t->ctty && (t->ctty > image->n_ptys || is_hung_up(&image->ptys[t->ctty - 1]) ||
			t->state == CKPT_TASK_ZOMBIE || !leader || leader->ctty != t->ctty))
		return BAD_IMAGE("task %d has a controlling terminal that cannot be", t->pid);
	if (t->tpgid ? t != leader || !t->ctty || !has_group(image, t->sid, t->tpgid)
		     : t == leader && t->ctty)
		return BAD_IMAGE("task %d has a foreground that cannot be", t->pid);
	for (const struct ckpt_task *o = image->tasks; o < t && t == leader && t->ctty; o++) {
		if (o->ctty == t->ctty && o->sid != t->sid)
			return BAD_IMAGE("terminal %u controls two sessions",
					 image->ptys[t->ctty - 1].number);
	}
	return 0;
}

int ckpt_ptys_check(const struct ckpt_image *image, struct ckpt_err *err)
{
	for (size_t i = 0; i < image->n_files; i++) {
		const struct ckpt_file *f = &image->files[i];

		if ((f->kind == CKPT_FILE_PTM || f->kind == CKPT_FILE_PTS) &&
		    (f->object >= image->n_ptys || !f->path || f->path[0] != '/'))
			return BAD_IMAGE("a descriptor is of no terminal");
	}
	for (uint32_t i = 0; i < image->n_ptys; i++) {
		if (check_pty(image, i, err))
			return -1;
	}
	for (size_t i = 0; i < image->n_tasks; i++) {
		const struct ckpt_task *t = &image->tasks[i];

		if ((image->n_ptys || t->ctty || t->tpgid) && check_task(image, t, err))
			return -1;
	}
	return 0;
}

/* To give it up again takes a descriptor of the slave. */
static int check_given_up(const struct ckpt_image *image, const struct ckpt_task *t,
			  struct ckpt_err *err)
{
	const struct ckpt_task *leader = leader_of(image, t->sid);

	if (t->state == CKPT_TASK_ZOMBIE || t->ctty || !leader || !leader->ctty ||
	    count(image, CKPT_FILE_PTS, leader->ctty - 1))
		return 0;
	return ckpt_fail(err, CKPT_REFUSED, 0,
		"pid %d (%s) has given up the controlling terminal of its session, which nobody "
		"has open, which this version cannot restore", t->pid, t->comm);
}

int ckpt_ptys_restorable(const struct ckpt_image *image, struct ckpt_survey *survey,
			 struct ckpt_err *err)
{
	for (size_t i = 0; i < image->n_tasks && image->n_ptys; i++) {
		if (ckpt_survey_pass(survey, check_given_up(image, &image->tasks[i], err), err))
			return -1;
	}
	return 0;
}
