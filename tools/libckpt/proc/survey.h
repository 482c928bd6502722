/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Survey: everything that stands in the way of a checkpoint, not the first thing alone. */
#ifndef CKPT_PROC_SURVEY_H
#define CKPT_PROC_SURVEY_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

/* Sentences, each once, in the order in which they were found. */
struct ckpt_survey {
	char **texts;
	size_t n;
};

void ckpt_survey_done(struct ckpt_survey *s);

/**
 * ckpt_survey_pass - a step of a look at the tree is over
 * @survey: NULL: a refusal ends the look
 * @failed: of the step
 * @err: a refusal is taken out of it and noted
 *
 * Return: 0 to go on with the next step, or @failed.
 */
int ckpt_survey_pass(struct ckpt_survey *survey, int failed, struct ckpt_err *err);

/* Text after text, each with its end; and back, where one that is there already is left out. */
int ckpt_survey_encode(const struct ckpt_survey *s, struct ckpt_buf *ret, struct ckpt_err *err);
int ckpt_survey_decode(const char *data, size_t len, struct ckpt_survey *s, struct ckpt_err *err);

#endif
