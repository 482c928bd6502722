// SPDX-License-Identifier: GPL-2.0-or-later
/* Survey: everything that stands in the way of a checkpoint. */
#include <stdlib.h>
#include <string.h>

#include "proc/survey.h"

void ckpt_survey_done(struct ckpt_survey *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->texts[i]);
	free(s->texts);
	*s = (struct ckpt_survey){ 0 };
}

/* The look before the stop and the one in it find most things both. */
static int add(struct ckpt_survey *s, const char *text, struct ckpt_err *err)
{
	char **list, *copy;

	for (size_t i = 0; i < s->n; i++) {
		if (!strcmp(s->texts[i], text))
			return 0;
	}
	copy = strdup(text);
	list = copy ? reallocarray(s->texts, s->n + 1, sizeof(*list)) : NULL;
	if (!list) {
		free(copy);
		return ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of refusals");
	}
	s->texts = list;
	list[s->n++] = copy;
	return 0;
}

int ckpt_survey_pass(struct ckpt_survey *survey, int failed, struct ckpt_err *err)
{
	struct ckpt_err why = *err;

	if (!failed || !survey || why.status != CKPT_REFUSED)
		return failed;
	ckpt_err_clear(err);
	return add(survey, why.text, err);
}

int ckpt_survey_encode(const struct ckpt_survey *s, struct ckpt_buf *ret, struct ckpt_err *err)
{
	for (size_t i = 0; i < s->n; i++)
		ckpt_buf_put(ret, s->texts[i], strlen(s->texts[i]) + 1);
	return ret->failed ? ckpt_fail(err, CKPT_FAILED, 0, "no memory for a list of refusals") : 0;
}

int ckpt_survey_decode(const char *data, size_t len, struct ckpt_survey *s, struct ckpt_err *err)
{
	const char *end = data + len;

	for (; data < end; data += strlen(data) + 1) {
		if (!memchr(data, 0, end - data))
			return ckpt_fail(err, CKPT_FAILED, 0, "a list of refusals has no end");
		if (add(s, data, err))
			return -1;
	}
	return 0;
}
