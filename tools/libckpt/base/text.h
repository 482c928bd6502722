/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Text: names, paths and sentences on their way to a reader
 *
 * The kernel takes any bytes for a name.  A document takes UTF-8 alone, and a
 * terminal obeys what it is shown.
 */
#ifndef CKPT_BASE_TEXT_H
#define CKPT_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes of the UTF-8 character at @s; 0 at the end and where there is none. */
size_t ckpt_text_char(const char *s);
/* Whether a control character is in @s: C0, DEL or C1. */
bool ckpt_text_has_control(const char *s);

/**
 * ckpt_text_utf8 - text for a document
 * @ret_lossy: whether a byte was replaced; may be NULL
 *
 * Return: a copy, allocated, with U+FFFD for each byte that belongs to no
 * character; NULL without memory.
 */
char *ckpt_text_utf8(const char *s, bool *ret_lossy);

/**
 * ckpt_text_plain - text for a person, in one line
 *
 * Return: a copy, allocated, with \xHH for each byte of a control character and
 * each that belongs to no character; NULL without memory.
 */
char *ckpt_text_plain(const char *s);

/* The bytes of @s as hexadecimal digits, allocated; NULL without memory. */
char *ckpt_text_hex(const char *s);

#endif
