/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lines "key: value" of /proc, for its parsers
 */
#ifndef CKPT_PROC_PARSE_FIELD_H
#define CKPT_PROC_PARSE_FIELD_H

#include <stdint.h>

/* Text behind "@key:" at the start of a line, or NULL. */
const char *ckpt_field(const char *text, const char *key);
/* A number there. Return: 0 or -1. */
int ckpt_field_u64(const char *text, const char *key, int base, uint64_t *ret);

#endif
