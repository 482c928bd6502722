// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Births: a history that gives each process its parent and its session
 *
 * Everybody is forked by its parent where that is, or was before it led a session of its own, in
 * the session that is wanted.  Else somebody of the session who is below the parent forks a helper
 * that forks it, and ends.  A session whose leader is gone begins with a helper in its place.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "proc/births.h"

#define CHOICES 4	/* sessions that are tried for one leader */
#define WAYS 50000	/* plans that are tried, times the tasks of each */

/**
 * struct member - a task while the plan is made
 * @parent, @leader: indices; CKPT_BIRTH_NOBODY: init, and nobody that is there
 * @up: whom it is below until all are born
 * @depth: how many are above it in the end
 * @wanted: session in which it must be born, 0: any
 * @now: session that it is in, once it is born
 * @table: of descriptors, that others have as well; CKPT_NONE: its own
 */
struct member {
	size_t parent, leader, up;
	uint32_t depth;
	int32_t sid, wanted, now;
	uint32_t table;
	bool leads, born;
};

/* @seats: of a session whose leader is gone, once there is a helper: below whom. */
struct plan {
	const struct ckpt_image *image;
	struct member *members;
	size_t n;
	uint32_t deepest;
	struct ckpt_births *births;
	struct seat {
		int32_t session;
		size_t below;
	} *seats;
	size_t n_seats;
};

static size_t find(const struct ckpt_image *image, int32_t pid)
{
	for (size_t i = 0; i < image->n_tasks && pid; i++) {
		if (image->tasks[i].pid == pid)
			return i;
	}
	return CKPT_BIRTH_NOBODY;
}

/* Of who leads a session; CKPT_BIRTH_NOBODY: it is gone, or outside. */
static size_t leader_of(const struct plan *p, int32_t session)
{
	size_t leader = find(p->image, session);

	return leader != CKPT_BIRTH_NOBODY && p->members[leader].leads ? leader :
	       CKPT_BIRTH_NOBODY;
}

/* Is @i below @above, or that itself, when all is done? */
static bool is_in_the_end(const struct plan *p, size_t i, size_t above)
{
	while (i != CKPT_BIRTH_NOBODY && i != above)
		i = p->members[i].parent;
	return i == above;
}

/* The same by now.  All are below init. */
static bool is_below(const struct plan *p, size_t i, size_t above)
{
	if (above == CKPT_BIRTH_NOBODY)
		return true;
	while (i != CKPT_BIRTH_NOBODY && i != above)
		i = p->members[i].up;
	return i == above;
}

/* How many are above, one itself included, by now. */
static uint32_t height(const struct plan *p, size_t i)
{
	uint32_t n = 0;

	for (; i != CKPT_BIRTH_NOBODY; i = p->members[i].up)
		n++;
	return n;
}

static bool same_table(const struct plan *p, size_t task, size_t maker)
{
	return task != CKPT_BIRTH_NOBODY && maker != CKPT_BIRTH_NOBODY &&
	       p->members[task].table != CKPT_NONE &&
	       p->members[task].table == p->members[maker].table;
}

/* The first one of those that share a table may come from anybody, each other one from them. */
static bool gives_table(const struct plan *p, const struct member *m, size_t maker)
{
	if (m->table == CKPT_NONE || same_table(p, m - p->members, maker))
		return true;
	for (size_t i = 0; i < p->n; i++) {
		if (p->members[i].born && p->members[i].table == m->table)
			return false;
	}
	return true;
}

static void add(struct plan *p, enum ckpt_birth_kind kind, size_t task, size_t maker,
		int32_t session)
{
	p->births->steps[p->births->n++] = (struct ckpt_birth){
		.kind = kind, .task = task, .maker = maker, .session = session,
		.shares = same_table(p, task, maker),
	};
}

static void bear(struct plan *p, size_t i, size_t up, int32_t session)
{
	p->members[i].born = true;
	p->members[i].up = up;
	p->members[i].now = session;
}

/* Session of the parent of @m, who is there; that of init is nobody's. */
static int32_t session_above(const struct plan *p, const struct member *m)
{
	return m->parent == CKPT_BIRTH_NOBODY ? 0 : p->members[m->parent].now;
}

static bool is_parent_there(const struct plan *p, const struct member *m)
{
	return m->parent == CKPT_BIRTH_NOBODY || p->members[m->parent].born;
}

static bool fork_all(struct plan *p)
{
	bool more = false;

	for (size_t i = 0; i < p->n; i++) {
		struct member *m = &p->members[i];

		if (m->born || !is_parent_there(p, m) || !gives_table(p, m, m->parent) ||
		    (m->wanted && m->wanted != session_above(p, m)))
			continue;
		add(p, CKPT_BIRTH_FORK, i, m->parent, 0);
		bear(p, i, m->parent, session_above(p, m));
		more = true;
	}
	return more;
}

/* Does somebody wait to be born while @i is in the session that it is in? */
static bool is_awaited(const struct plan *p, size_t i)
{
	for (size_t c = 0; c < p->n; c++) {
		const struct member *m = &p->members[c];

		if (m->parent == i && !m->born && m->wanted && m->wanted == p->members[i].now)
			return true;
	}
	return false;
}

static bool lead_all(struct plan *p)
{
	bool more = false;

	for (size_t i = 0; i < p->n; i++) {
		struct member *m = &p->members[i];

		if (!m->born || !m->leads || m->now == m->sid || is_awaited(p, i))
			continue;
		add(p, CKPT_BIRTH_LEAD, i, CKPT_BIRTH_NOBODY, m->sid);
		m->now = m->sid;
		more = true;
	}
	return more;
}

/*
 * Somebody in the session that @m wants, below its parent, and below whom that is; nobody when it
 * is a helper. Return: whether there is one.
 */
static bool find_maker(const struct plan *p, const struct member *m, size_t *ret, size_t *ret_up)
{
	if (m->leader != CKPT_BIRTH_NOBODY && p->members[m->leader].now == m->wanted &&
	    is_below(p, m->leader, m->parent) && gives_table(p, m, m->leader)) {
		*ret = *ret_up = m->leader;
		return true;
	}
	*ret = CKPT_BIRTH_NOBODY;
	for (size_t i = 0; i < p->n_seats && gives_table(p, m, CKPT_BIRTH_NOBODY); i++) {
		*ret_up = p->seats[i].below;
		if (p->seats[i].session == m->wanted && is_below(p, *ret_up, m->parent))
			return true;
	}
	for (size_t i = 0; i < p->n; i++) {
		if (p->members[i].born && (!m->wanted || p->members[i].now == m->wanted) &&
		    is_below(p, i, m->parent) && gives_table(p, m, i)) {
			*ret = *ret_up = i;
			return true;
		}
	}
	return false;
}

static bool adopt_one(struct plan *p)
{
	for (size_t i = 0; i < p->n; i++) {
		struct member *m = &p->members[i];
		size_t maker, up;

		if (m->born || !is_parent_there(p, m) || !find_maker(p, m, &maker, &up))
			continue;
		add(p, CKPT_BIRTH_ADOPT, i, maker, m->wanted);
		bear(p, i, up, maker == CKPT_BIRTH_NOBODY ? m->wanted : p->members[maker].now);
		return true;
	}
	return false;
}

static bool has_seat(const struct plan *p, int32_t session)
{
	for (size_t i = 0; i < p->n_seats; i++) {
		if (p->seats[i].session == session)
			return true;
	}
	return false;
}

/* Its helper is born below who adopts, the lowest of those that do. */
static bool seat_one(struct plan *p)
{
	const struct member *lowest = NULL;

	for (size_t i = 0; i < p->n; i++) {
		const struct member *m = &p->members[i];

		if (m->born || !m->wanted || !is_parent_there(p, m) ||
		    m->leader != CKPT_BIRTH_NOBODY || has_seat(p, m->wanted))
			continue;
		if (!lowest || (m->wanted == lowest->wanted &&
				height(p, m->parent) > height(p, lowest->parent)))
			lowest = m;
	}
	if (!lowest)
		return false;
	add(p, CKPT_BIRTH_SEAT, CKPT_BIRTH_NOBODY, lowest->parent, lowest->wanted);
	p->seats[p->n_seats++] = (struct seat){ lowest->wanted, lowest->parent };
	return true;
}

/* Sessions in which the children of a leader may have been born before it led its own. */
struct options {
	int32_t sessions[CHOICES];
	size_t n;
};

/* One that only it can have given comes first. */
static void list_options(const struct plan *p, size_t i, struct options *ret, bool *ret_bound)
{
	ret->n = 0;
	*ret_bound = false;
	for (size_t c = 0; c < p->n && ret->n < CHOICES; c++) {
		const struct member *m = &p->members[c];
		size_t k = 0, leader;

		if (m->parent != i || !m->wanted || m->wanted == p->members[i].sid)
			continue;
		leader = leader_of(p, m->wanted);
		while (k < ret->n && ret->sessions[k] != m->wanted)
			k++;
		if (k == ret->n)
			ret->sessions[ret->n++] = m->wanted;
		if (!*ret_bound && leader != CKPT_BIRTH_NOBODY && !is_in_the_end(p, leader, i)) {
			ret->sessions[k] = ret->sessions[0];
			ret->sessions[0] = m->wanted;
			*ret_bound = true;
		}
	}
}

/*
 * From below: of the ways to give each leader a session to be born in, way @way.
 * Return: whether there is such a way.
 */
static bool want(struct plan *p, uint64_t way)
{
	for (uint32_t depth = p->deepest + 1; depth--;) {
		for (size_t i = 0; i < p->n; i++) {
			struct member *m = &p->members[i];
			struct options options;
			uint64_t n, choice;
			bool bound;

			if (m->depth != depth)
				continue;
			m->wanted = m->leads ? 0 : m->sid;
			if (!m->leads)
				continue;
			list_options(p, i, &options, &bound);
			n = options.n + !bound;
			choice = n ? way % n : 0;
			way = n ? way / n : way;
			if (options.n && (bound || choice))
				m->wanted = options.sessions[choice - !bound];
		}
	}
	return !way;
}

/* Return: whether all are born. */
static bool try(struct plan *p)
{
	p->births->n = p->n_seats = 0;
	for (size_t i = 0; i < p->n; i++) {
		p->members[i].born = false;
		p->members[i].now = 0;
	}
	for (size_t i = 0; i < p->n; i++)
		p->members[i].leader = leader_of(p, p->members[i].wanted);
	while (fork_all(p) || lead_all(p) || adopt_one(p) || seat_one(p))
		;
	for (size_t i = 0; i < p->n; i++) {
		if (!p->members[i].born) {
			p->births->complete = false;
			return false;
		}
	}
	p->births->complete = true;
	return true;
}

/* Zombies have none. */
static uint32_t shared_table(const struct ckpt_image *image, size_t task)
{
	for (size_t i = 0; i < image->n_tasks; i++) {
		if (i != task && image->tasks[i].state != CKPT_TASK_ZOMBIE &&
		    image->tasks[i].fdtable == image->tasks[task].fdtable)
			return image->tasks[task].fdtable;
	}
	return CKPT_NONE;
}

static int fill(struct plan *p, bool tables, struct ckpt_err *err)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct ckpt_task *t = &p->image->tasks[i];

		p->members[i] = (struct member){
			.parent = find(p->image, t->ppid), .sid = t->sid, .leads = t->sid == t->pid,
			.table = tables && t->state != CKPT_TASK_ZOMBIE ?
				 shared_table(p->image, i) : CKPT_NONE,
		};
	}
	for (size_t i = 0; i < p->n; i++) {
		struct member *m = &p->members[i];

		for (size_t up = m->parent; up != CKPT_BIRTH_NOBODY; up = p->members[up].parent) {
			if (++m->depth > p->n)
				return ckpt_fail(err, CKPT_DAMAGED, 0, "process %d is its own "
						 "ancestor", p->image->tasks[i].pid);
		}
		p->deepest = m->depth > p->deepest ? m->depth : p->deepest;
	}
	return 0;
}

int ckpt_births_plan(const struct ckpt_image *image, bool tables, struct ckpt_births *ret,
		     struct ckpt_err *err)
{
	size_t n = image->n_tasks;
	cleanup_free struct member *members = calloc(n + 1, sizeof(*members));
	cleanup_free struct seat *seats = calloc(n + 1, sizeof(*seats));
	cleanup_with(ckpt_births_done) struct ckpt_births births = {
		.steps = calloc(3 * n + 1, sizeof(*births.steps)),
	};
	struct plan p = { .image = image, .members = members, .n = n, .seats = seats,
			  .births = &births };

	if (!members || !seats || !births.steps)
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory to plan the births of %zu tasks",
				 n);
	if (fill(&p, tables, err))
		return -1;
	for (uint64_t way = 0; want(&p, way) && !try(&p) && way < WAYS / (n + 1);)
		way++;
	*ret = births;
	births.steps = NULL;
	return 0;
}

void ckpt_births_done(struct ckpt_births *births)
{
	free(births->steps);
	births->steps = NULL;
}

bool ckpt_births_has(const struct ckpt_births *births, size_t task)
{
	for (size_t i = 0; i < births->n; i++) {
		if ((births->steps[i].kind == CKPT_BIRTH_FORK ||
		     births->steps[i].kind == CKPT_BIRTH_ADOPT) && births->steps[i].task == task)
			return true;
	}
	return false;
}
