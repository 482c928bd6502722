/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the time of a run goes
 */
#ifndef TESTS_AUDIT_PHASE_H
#define TESTS_AUDIT_PHASE_H

enum phase {
	PHASE_WORK,	/* all run, and the reader waits */
	PHASE_STIR,	/* it makes pages go away */
	PHASE_ROUND,	/* it takes a live round, all run */
	PHASE_FREEZE,	/* until all stand still */
	PHASE_LAST,	/* the last rounds */
	PHASE_MEMORY,	/* comparing private memory */
	PHASE_SHARED,	/* shared memory */
	PHASE_FILES,	/* the root */
	PHASE_END,	/* commit or abort, and release */
	NR_PHASES
};

/**
 * struct phases - a watch
 * @since: when the phase that is going on began
 * @spent: seconds in each
 */
struct phases {
	double since;
	double spent[NR_PHASES];
};

/* What went by since the last call was this phase. */
void phase_ends(struct phases *p, enum phase phase);
void phases_show(const struct phases *p);

#endif
