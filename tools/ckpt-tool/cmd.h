/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Verbs of ckpt-tool: one table entry, one file cmd-<verb>.c each. */
#ifndef CKPT_TOOL_CMD_H
#define CKPT_TOOL_CMD_H

#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define CKPT_TOOL_VERSION "0.1"
#define CKPT_DEFAULT_STORE "/var/lib/ckpt"
#define RUN_FAILED 125	/* our own errors of run, so that they are told from the command's */

/**
 * struct cmd - a verb
 * @name: as typed
 * @args: what follows it in the usage line
 * @what: one line for the list of verbs
 * @help: its options, a line each
 * @run: gets argv from the verb on; returns an exit status; a library error is
 *	left in @err and printed by main
 */
struct cmd {
	const char *name;
	const char *args;
	const char *what;
	const char *help;
	int (*run)(int argc, char **argv, struct ckpt_err *err);
};

extern const struct cmd cmd_run, cmd_tag, cmd_untag, cmd_ps, cmd_checkpoint, cmd_doctor, cmd_log,
	cmd_show, cmd_verify, cmd_restore;

/**
 * struct common - options that every verb shares
 * @store: --store, else $CKPT_STORE, else CKPT_DEFAULT_STORE
 * @store_named: it is that of --store
 * @json: --json
 * @dry_run: --dry-run
 */
struct common {
	const char *store;
	bool store_named;
	bool json;
	bool dry_run;
};

#define COMMON_OPTIONS \
	{ "store", required_argument, NULL, 'S' }, { "json", no_argument, NULL, 'J' }, \
	{ "help", no_argument, NULL, 'h' }
#define DRY_RUN_OPTION { "dry-run", no_argument, NULL, 'n' }

/* Whether --json was given to the verb. */
extern bool json_wanted;

void common_init(struct common *c);
/* Take an option of COMMON_OPTIONS or DRY_RUN_OPTION. Return: whether it was one. */
bool common_take(struct common *c, int opt);
/**
 * parse_plain - options of a verb that has no others than the common ones
 * @n_args: how many objects it wants; -1: one or none
 * @may_dry: it knows --dry-run
 * @ret_status: what to return when it says so
 *
 * Return: true to go on with argv[optind], false to return @ret_status.
 */
bool parse_plain(const struct cmd *cmd, int argc, char **argv, int n_args, bool may_dry,
		 struct common *c, int *ret_status, struct ckpt_err *err);
/*
 * What getopt_long, with ':' first in its string, has returned for an option that
 * is none or misses its argument. Return: CKPT_USAGE.
 */
int bad_option(const struct cmd *cmd, int opt, int argc, char **argv, struct ckpt_err *err);
/* Usage error with the verb's usage line. Return: CKPT_USAGE. */
int usage(const struct cmd *cmd, struct ckpt_err *err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* --help was given: print the verb's help. Return: CKPT_OK. */
int help(const struct cmd *cmd);

/* A number from 1 to @max, of digits alone. Return: whether it is one. */
bool parse_number(const char *text, int64_t max, int64_t *ret);
/* What --tcp says: "reset" or "repair". Return: CKPT_OK or CKPT_USAGE. */
int parse_tcp(const struct cmd *cmd, const char *text, bool *ret_repair, struct ckpt_err *err);
/* "NAME", "NAME@ID" or "NAME@-N": @ret_id 0 newest, negative counts back. */
int parse_name(const char *arg, char ret_name[64], int64_t *ret_id, struct ckpt_err *err);

/* A word per step on a terminal, nothing in a pipe. */
void progress(const char *step);

#endif
