// SPDX-License-Identifier: GPL-2.0-or-later
/* Options and objects of the command line. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cmd.h"
#include "flow/tagged.h"

bool json_wanted;

void common_init(struct common *c)
{
	const char *store = getenv("CKPT_STORE");

	*c = (struct common){ .store = store && *store ? store : CKPT_DEFAULT_STORE };
}

bool common_take(struct common *c, int opt)
{
	switch (opt) {
	case 'S':
		c->store = optarg;
		c->store_named = true;
		return true;
	case 'J':
		c->json = json_wanted = true;
		return true;
	case 'n':
		c->dry_run = true;
		return true;
	default:
		return false;
	}
}

int usage(const struct cmd *cmd, struct ckpt_err *err, const char *fmt, ...)
{
	cleanup_free char *what = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&what, fmt, ap);
	va_end(ap);
	if (n < 0)
		what = NULL;
	ckpt_fail(err, CKPT_USAGE, 0, "%s; usage: ckpt-tool %s%s%s", what ? what : "no memory",
		  cmd->name, *cmd->args ? " " : "", cmd->args);
	return CKPT_USAGE;
}

/*
 * There are no short options, so the first letter of a word of them is the end:
 * getopt has that word behind it when the letter is its last, else before it.
 */
int bad_option(const struct cmd *cmd, int opt, int argc, char **argv, struct ckpt_err *err)
{
	const char *word = argv[optind - 1];

	if (opt == ':')
		return usage(cmd, err, "option '%s' needs an argument", word);
	if (optopt && optind < argc && argv[optind][0] == '-' && argv[optind][1] == (char)optopt)
		word = argv[optind];
	if (optopt && word[0] == '-' && word[1] == '-')
		return usage(cmd, err, "option '%.*s' takes no argument", (int)strcspn(word, "="),
			     word);
	return usage(cmd, err, "unknown option '%s'", word);
}

int help(const struct cmd *cmd)
{
	printf("usage: ckpt-tool %s%s%s\n%s\n\n%s", cmd->name, *cmd->args ? " " : "", cmd->args,
	       cmd->what, cmd->help);
	printf("  --store DIR   the store (default $CKPT_STORE, else %s)\n"
	       "  --json        one JSON document instead of text\n"
	       "  --help        this text\n", CKPT_DEFAULT_STORE);
	return CKPT_OK;
}

bool parse_plain(const struct cmd *cmd, int argc, char **argv, int n_args, bool may_dry,
		 struct common *c, int *ret_status, struct ckpt_err *err)
{
	/* the last of them is left out where it is unknown */
	static const struct option dry[] = { COMMON_OPTIONS, DRY_RUN_OPTION, { 0 } };
	static const struct option plain[] = { COMMON_OPTIONS, { 0 } };
	int opt;

	common_init(c);
	while ((opt = getopt_long(argc, argv, ":", may_dry ? dry : plain, NULL)) != -1) {
		if (common_take(c, opt))
			continue;
		*ret_status = opt == 'h' ? help(cmd) : bad_option(cmd, opt, argc, argv, err);
		return false;
	}
	if (argc - optind == n_args || (n_args < 0 && argc - optind <= 1))
		return true;
	*ret_status = usage(cmd, err, n_args > 0 ? "one object is named" : n_args ?
			    "at most one object is named" : "no object is named");
	return false;
}

/* Without the signs, blanks and wrapped values of strtoll. */
bool parse_number(const char *text, int64_t max, int64_t *ret)
{
	int64_t n = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		int digit = *text - '0';

		if (digit < 0 || digit > 9 || n > (max - digit) / 10)
			return false;
		n = 10 * n + digit;
	}
	*ret = n;
	return n > 0;
}

int parse_tcp(const struct cmd *cmd, const char *text, bool *ret_repair, struct ckpt_err *err)
{
	*ret_repair = !strcmp(text, "repair");
	return *ret_repair || !strcmp(text, "reset") ? CKPT_OK :
	       usage(cmd, err, "--tcp takes reset or repair, not '%s'", text);
}

int parse_name(const char *arg, char ret_name[64], int64_t *ret_id, struct ckpt_err *err)
{
	const char *at = strchr(arg, '@');
	size_t len = at ? (size_t)(at - arg) : strlen(arg);
	bool back = at && at[1] == '-';

	/* Cut short it would be the name of another group. */
	if (len >= 64)
		return ckpt_fail(err, CKPT_USAGE, 0,
				 "'%s' is no group name; use 1 to 63 of A-Z a-z 0-9 . _ -", arg);
	snprintf(ret_name, 64, "%.*s", (int)len, arg);
	*ret_id = 0;
	if (at && !parse_number(at + 1 + back, INT64_MAX, ret_id))
		return ckpt_fail(err, CKPT_USAGE, 0,
				 "'%s' names no checkpoint; use NAME@ID or NAME@-N", arg);
	if (back)
		*ret_id = -*ret_id;
	return ckpt_tagged_check_name(ret_name, err);
}

void progress(const char *step)
{
	if (isatty(STDERR_FILENO) && !json_wanted)
		fprintf(stderr, "\r\033[K%s%s", step ? step : "", step ? "..." : "");
}
