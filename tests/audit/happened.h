/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Did what the mix is for happen?
 */
#ifndef TESTS_AUDIT_HAPPENED_H
#define TESTS_AUDIT_HAPPENED_H

#include "reader.h"

/* What the kernel has counted until now, to be taken off what it has at the end. */
void happened_begin(void);
/* Print all; return how much of what is sure after so many operations did not happen. */
unsigned int happened_missing(const struct reader *r, uint64_t ops);

#endif
