/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Allocations of the kernel that fail, for tests on the debug kernel
 */
#ifndef TESTS_NOMEM_H
#define TESTS_NOMEM_H

#include <stdbool.h>

#include "lib/client.h"

/* Let all allocations be such that nomem_inject can make fail. */
void nomem_set_up(void);
/* The @n-th allocation of this process from now on fails. */
void nomem_inject(unsigned int n);
/* No more.  Return: one has failed. */
bool nomem_injected(void);

/*
 * One case: a request is tried with the first allocation failing, then with the second, until
 * there is none that could.  @attempt returns whether one has failed, and clears *good when what
 * must hold does not.
 */
void nomem_each(const char *what, bool (*attempt)(unsigned int n, bool *good));

/* A socket anew, since answers of the old one may be lost. */
void nomem_reopen(struct client *c);
/*
 * After an error: what the socket still holds.  The end of an answer that finds no memory overtakes
 * the answer.  Return: a round's reply is in *ret, which was zeroed before the request.
 */
bool nomem_late(struct client *c, struct round *ret);

#endif
