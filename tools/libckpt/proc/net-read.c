// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A network namespace of the tree's own: read before the stop, compared with one made after it, and
 * read once more after the release
 *
 * To list all that may be in one takes long, for a stop.  What a restore would make is made there
 * and then in a new namespace: what is not the same in both is refused.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/net.h"
#include "proc/procfs.h"
#include "proc/read.h"

/**
 * struct ckpt_held_net - what was found before the stop
 * @space: the namespace
 * @ino: its number
 * @pid, @comm: of a process in it, for messages
 * @used: it is in the image
 * @refused: nothing more is known of it, for a survey
 */
struct ckpt_held_net {
	int space;
	uint64_t ino;
	pid_t pid;
	char comm[16];
	struct ckpt_net net;
	struct ckpt_net_things things;
	bool used, refused;
};

/* Both of the namespace of this thread. */
struct look {
	struct ckpt_net net;
	struct ckpt_net_things things;
};

static void look_done(struct look *l)
{
	ckpt_net_done(&l->net);
	ckpt_net_things_done(&l->things);
}

static int look(void *arg, struct ckpt_err *err)
{
	struct look *l = arg;

	return ckpt_net_get(&l->net, err) || ckpt_net_things_get(&l->things, err) ? -1 : 0;
}

void ckpt_net_forget(struct ckpt_hold *hold)
{
	struct ckpt_held_net *held = hold->net;

	hold->net = NULL;
	if (!held)
		return;
	ckpt_net_done(&held->net);
	ckpt_net_things_done(&held->things);
	close(held->space);
	free(held);
}

/*
 * One in which all is made as a restore makes it; @why: or why it cannot be, as where there are
 * settings of a link that nobody can make.
 */
struct trial {
	struct ckpt_held_net *held;
	struct ckpt_net_things things;
	struct ckpt_err why;
};

static int try_it(void *arg, struct ckpt_err *err)
{
	cleanup_with(ckpt_net_done) struct ckpt_net fresh = { 0 };
	struct trial *t = arg;

	if (ckpt_net_settings_get(&fresh, err))
		return -1;
	ckpt_net_settings_judge(&t->held->net, &fresh);
	if (ckpt_net_set(&t->held->net, &t->why) && t->why.status != CKPT_REFUSED) {
		*err = t->why;
		return -1;
	}
	return ckpt_net_things_get(&t->things, err);
}

static bool named_alike(const struct ckpt_net_things *all, const struct ckpt_net_thing *t)
{
	for (size_t i = 0; i < all->n; i++) {
		if (!strcmp(all->list[i].what, t->what) && !strcmp(all->list[i].name, t->name))
			return true;
	}
	return false;
}

static int refuse(const struct ckpt_held_net *held, const struct ckpt_net_thing *more,
		  const struct ckpt_net_thing *less, bool changed, struct ckpt_err *err)
{
	const struct ckpt_net_thing *t = more ? more : less;

	return ckpt_fail(err, CKPT_REFUSED, 0,
		"pid %d (%s) has a network namespace of its own %s %s%s%s %s, which this version "
		"cannot restore", held->pid, held->comm, more || changed ? "with" : "without",
		t->what, *t->name ? " " : "", t->name,
		changed ? "that is not as a new one has it" :
		more ? "in it" : "that a new one has");
}

static bool is_link(const struct ckpt_net_thing *t)
{
	return !strcmp(t->what, "link") && strcmp(t->name, "lo");
}

/* @links: first of all other links, with which all else goes. */
static int compare(struct ckpt_hold *hold, const struct ckpt_net_things *made, bool links,
		   struct ckpt_err *err)
{
	const struct ckpt_net_thing *more, *less;
	const struct ckpt_held_net *held = hold->net;
	size_t i = 0, j = 0;

	while (ckpt_net_things_differ(&held->things, &i, made, &j, &more, &less)) {
		bool changed = more ? named_alike(made, more) : named_alike(&held->things, less);

		/* of one that is another one in each the survey has one sentence */
		if (is_link(more ? more : less) == links &&
		    ckpt_survey_pass(hold->survey, refuse(held, more, less, changed, err), err))
			return -1;
	}
	return 0;
}

static int find(struct ckpt_hold *hold, const struct ckpt_held_proc *p, struct ckpt_err *err)
{
	cleanup_close int space = openat(p->dir, "ns/net", O_RDONLY | O_CLOEXEC);
	cleanup_with(look_done) struct look l = { 0 };
	struct ckpt_held_net *held;
	struct stat st;

	if (space < 0 || fstat(space, &st))
		return 0;	/* it has ended */
	held = calloc(1, sizeof(*held));
	if (!held)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a network namespace");
	held->space = take_fd(space);
	held->ino = st.st_ino;
	held->pid = p->pid;
	memcpy(held->comm, p->comm, sizeof(held->comm));
	hold->net = held;
	held->refused = ckpt_inside_of(held->space, "net", look, &l, err);
	if (held->refused)
		return -1;
	held->net = l.net;
	held->things = l.things;
	l = (struct look){ 0 };
	return 0;
}

int ckpt_net_scan(struct ckpt_hold *hold, const struct ckpt_held_proc *p, struct ckpt_err *err)
{
	struct trial t = { .why = CKPT_ERR_INIT };
	size_t noted = hold->survey ? hold->survey->n : 0;
	int failed;

	if (find(hold, p, err))
		return -1;
	if (!hold->net)
		return 0;
	t.held = hold->net;
	failed = ckpt_inside_new(CLONE_NEWNET, "net", try_it, &t, err) ||
		 compare(hold, &t.things, true, err);
	/* noted for a survey, it has settings of its own, routes and so on */
	if (!failed && hold->survey && hold->survey->n > noted)
		t.why = (struct ckpt_err)CKPT_ERR_INIT;
	if (!failed && t.why.status) {
		*err = t.why;
		failed = ckpt_fail_at(err, "pid %d (%s) has a network namespace of its own", p->pid,
				      p->comm);
	}
	if (!failed)
		failed = compare(hold, &t.things, false, err);
	ckpt_net_things_done(&t.things);
	return failed;
}

int ckpt_read_net(struct ckpt_reader *r, const struct ckpt_held_proc *p, struct ckpt_err *err)
{
	struct ckpt_held_net *held = r->hold->net;
	struct ckpt_net *net;
	struct stat st;

	if (!held || fstatat(p->dir, "ns/net", &st, 0) || st.st_ino != held->ino) {
		ckpt_fail(err, CKPT_REFUSED, 0, "pid %d (%s) has come into its network namespace "
			  "during the checkpoint; try again", p->pid, p->comm);
		return ckpt_fail_passing(err);
	}
	if (held->refused)
		return 0;
	net = ckpt_grow(r->image->net, &r->image->n_net, sizeof(*net));
	if (!net)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a network namespace");
	r->image->net = net;
	held->used = true;
	return ckpt_net_copy(&held->net, net, err);
}

int ckpt_read_in_net(struct ckpt_reader *r, ckpt_inside_fn fn, void *arg, struct ckpt_err *err)
{
	const struct ckpt_held_net *held = r->hold->net;

	return r->image->n_net || (held && held->refused) ?
	       ckpt_inside_of(held->space, "net", fn, arg, err) : fn(arg, err);
}

static int changed(const struct ckpt_held_net *held, const char *what, const char *name,
		   struct ckpt_err *err)
{
	ckpt_fail(err, CKPT_REFUSED, 0, "pid %d (%s) has a network namespace of its own in which "
		  "%s%s%s has changed during the checkpoint; try again", held->pid, held->comm,
		  what, *name ? " " : "", name);
	return ckpt_fail_passing(err);
}

int ckpt_net_still(struct ckpt_hold *hold, struct ckpt_err *err)
{
	cleanup_with(look_done) struct look l = { 0 };
	const struct ckpt_held_net *held = hold->net;
	const struct ckpt_net_thing *more, *less;
	const char *name;
	size_t i = 0, j = 0;

	if (!held || !held->used)
		return 0;
	if (ckpt_inside_of(held->space, "net", look, &l, err))
		return -1;
	if (!ckpt_net_same_lo(&held->net, &l.net))
		return changed(held, "lo, or an address,", "", err);
	name = ckpt_net_settings_differ(&held->net, &l.net);
	if (name)
		return changed(held, "setting", name, err);
	if (!ckpt_net_things_differ(&held->things, &i, &l.things, &j, &more, &less))
		return 0;
	more = more ? more : less;
	return changed(held, more->what, more->name, err);
}
