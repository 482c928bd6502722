/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Error values: what failed, why, and the exit status it stands for. */
#ifndef CKPT_BASE_ERR_H
#define CKPT_BASE_ERR_H

#include <stdarg.h>
#include <stdbool.h>

/* Exit statuses of ckpt-tool, and the class of every library error. */
enum ckpt_status {
	CKPT_OK = 0,
	CKPT_FAILED = 1,	/* it was tried and failed */
	CKPT_USAGE = 2,		/* the request makes no sense */
	CKPT_DAMAGED = 3,	/* verification found damage */
	CKPT_REFUSED = 4,	/* unsupported, or refused by policy */
};

#define CKPT_ERR_LEN 512

/**
 * struct ckpt_err - the first error of a call
 * @status: class of the error; CKPT_OK while none was set
 * @os: errno of the failing system call, 0 where none is behind it
 * @text: one sentence: object, action, cause, next step; lower case; one that is
 *	too long has " ... " in its middle
 * @passing: what is refused is mostly gone in a moment
 */
struct ckpt_err {
	enum ckpt_status status;
	int os;
	bool passing;
	char text[CKPT_ERR_LEN];
};

#define CKPT_ERR_INIT { .status = CKPT_OK }

/**
 * ckpt_fail - record an error
 * @err: where, may be NULL
 * @status: its class
 * @os: errno value appended as ": text", 0 for none
 * @fmt: the sentence
 *
 * Return: always -1, so that callers write `return ckpt_fail(...)`.
 */
int ckpt_fail(struct ckpt_err *err, enum ckpt_status status, int os, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/**
 * ckpt_fail_at - put an outer context before the sentence already recorded
 * @err: an error that was set; may be NULL
 * @fmt: what was being done, without a colon
 *
 * Return: always -1.
 */
int ckpt_fail_at(struct ckpt_err *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* As what ckpt_fail returned; what it told is mostly gone in a moment. */
int ckpt_fail_passing(struct ckpt_err *err);

void ckpt_err_clear(struct ckpt_err *err);

#endif
