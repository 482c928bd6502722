/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A program that owns one of everything and checks that it still does. */
#ifndef CKPT_TESTS_RESTORE_PROGRAM_H
#define CKPT_TESTS_RESTORE_PROGRAM_H

/*
 * Prints "ready" once all is set up, then waits for SIGTERM, checks and prints
 * what is wrong, or "all well".  Return: exit status, 0 when all is well.
 */
int restore_program(void);

#endif
