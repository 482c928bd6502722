/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Refused: what is tried in a process of its own, whose changes to itself end with it */
#ifndef CKPT_TESTS_REFUSED_H
#define CKPT_TESTS_REFUSED_H

#include "base/err.h"

/* There @what is refused, and @says is in the refusal; else the running test fails. */
void refused_aside(int (*what)(void *arg, struct ckpt_err *err), void *arg, const char *says);

#endif
