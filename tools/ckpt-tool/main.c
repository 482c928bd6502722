// SPDX-License-Identifier: GPL-2.0-or-later
/* ckpt-tool: the command table. */
#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "flow/tagged.h"

static const struct cmd *const cmds[] = {
	&cmd_run, &cmd_tag, &cmd_untag, &cmd_ps, &cmd_checkpoint, &cmd_log, &cmd_show,
	&cmd_verify, &cmd_restore,
};

#define N_CMDS (sizeof(cmds) / sizeof(cmds[0]))

static bool json_wanted;

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
	char what[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	ckpt_fail(err, CKPT_USAGE, 0, "%s; usage: ckpt-tool %s %s", what, cmd->name, cmd->args);
	return CKPT_USAGE;
}

int help(const struct cmd *cmd)
{
	printf("usage: ckpt-tool %s %s\n%s\n\n%s", cmd->name, cmd->args, cmd->what, cmd->help);
	printf("  --store DIR   the store (default $CKPT_STORE, else %s)\n"
	       "  --json        one JSON document instead of text\n"
	       "  --help        this text\n", CKPT_DEFAULT_STORE);
	return CKPT_OK;
}

bool parse_plain(const struct cmd *cmd, int argc, char **argv, int n_args, bool may_dry,
		 struct common *c, int *ret_status, struct ckpt_err *err)
{
	static const struct option options[] = { COMMON_OPTIONS, DRY_RUN_OPTION, { 0 } };
	int opt;

	common_init(c);
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (common_take(c, opt) && (may_dry || !c->dry_run))
			continue;
		*ret_status = opt == 'h' ? help(cmd) :
			      usage(cmd, err, "cannot use option '%s'", argv[optind - 1]);
		return false;
	}
	if (argc - optind == n_args)
		return true;
	*ret_status = usage(cmd, err, n_args ? "one object is named" : "no object is named");
	return false;
}

int parse_name(const char *arg, char ret_name[64], int64_t *ret_id, struct ckpt_err *err)
{
	const char *at = strchr(arg, '@');
	size_t len = at ? (size_t)(at - arg) : strlen(arg);
	char *end;

	/* Cut short it would be the name of another group. */
	if (len >= 64)
		return ckpt_fail(err, CKPT_USAGE, 0,
				 "'%.80s' is no group name; use 1 to 63 of A-Z a-z 0-9 . _ -", arg);
	snprintf(ret_name, 64, "%.*s", (int)len, arg);
	*ret_id = 0;
	if (at) {
		*ret_id = strtoll(at + 1, &end, 10);
		if (end == at + 1 || *end || (*ret_id == 0 && at[1] != '-'))
			return ckpt_fail(err, CKPT_USAGE, 0,
					 "'%s' names no checkpoint; use NAME@ID or NAME@-N", arg);
	}
	return ckpt_tagged_check_name(ret_name, err);
}

void progress(const char *step)
{
	if (isatty(STDERR_FILENO) && !json_wanted)
		fprintf(stderr, "\r\033[K%s%s", step ? step : "", step ? "..." : "");
}

static void list(FILE *to)
{
	fprintf(to, "usage: ckpt-tool VERB [OPTION]... [OBJECT]...\n\n");
	for (size_t i = 0; i < N_CMDS; i++)
		fprintf(to, "  %-11s %s\n", cmds[i]->name, cmds[i]->what);
	fprintf(to, "\n'ckpt-tool VERB --help' tells more; ckpt-tool(8) is the manual\n");
}

static const struct cmd *find(const char *name)
{
	for (size_t i = 0; i < N_CMDS; i++)
		if (!strcmp(cmds[i]->name, name))
			return cmds[i];
	return NULL;
}

static void tell(const struct ckpt_err *err, int status)
{
	json_object *doc, *e;

	if (!json_wanted) {
		fprintf(stderr, "ckpt-tool: %s\n", err->text);
		return;
	}
	doc = json_object_new_object();
	e = json_object_new_object();
	json_object_object_add(e, "status", json_object_new_int(status));
	json_object_object_add(e, "message", json_object_new_string(err->text));
	json_object_object_add(doc, "error", e);
	printf("%s\n", json_object_to_json_string_ext(doc, JSON_C_TO_STRING_PLAIN |
						      JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(doc);
}

int main(int argc, char **argv)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	const struct cmd *cmd;
	int status;

	if (argc < 2 || !strcmp(argv[1], "--help") || !strcmp(argv[1], "help")) {
		list(argc < 2 ? stderr : stdout);
		return argc < 2 ? CKPT_USAGE : CKPT_OK;
	}
	if (!strcmp(argv[1], "--version")) {
		printf("ckpt-tool %s\n", CKPT_TOOL_VERSION);
		return CKPT_OK;
	}
	cmd = find(argv[1]);
	if (!cmd) {
		fprintf(stderr, "ckpt-tool: there is no verb '%s'; 'ckpt-tool --help' lists them\n",
			argv[1]);
		return CKPT_USAGE;
	}
	opterr = 0;
	status = cmd->run(argc - 1, argv + 1, &err);
	progress(NULL);
	if (err.status != CKPT_OK)
		tell(&err, status);
	fflush(stdout);
	return status;
}
