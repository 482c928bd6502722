// SPDX-License-Identifier: GPL-2.0-or-later
/* ckpt-tool: the command table. */
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "report.h"

static const struct cmd *const cmds[] = {
	&cmd_run, &cmd_tag, &cmd_untag, &cmd_ps, &cmd_checkpoint, &cmd_doctor,
	&cmd_log, &cmd_show, &cmd_verify, &cmd_restore,
};

#define N_CMDS (sizeof(cmds) / sizeof(cmds[0]))

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
		report_line(stderr, "ckpt-tool: %s", err->text);
		return;
	}
	doc = json_object_new_object();
	e = json_object_new_object();
	json_object_object_add(e, "status", json_object_new_int(status));
	report_str(e, "message", err->text);
	json_object_object_add(doc, "error", e);
	report_json(doc);
}

/*
 * A descriptor 0 to 2 that is closed would be that of the next file that is
 * opened, a pack of the store perhaps, which would get what is printed.  What
 * takes its place cannot be read or written as it ought to be, so that a lost
 * output is seen.
 */
static void open_missing(void)
{
	static const int mode[] = { O_WRONLY, O_RDONLY, O_RDONLY };

	for (int fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
			(void)!open("/dev/null", mode[fd]);	/* the lowest that is free */
}

/* Return: @status, or that of a failure where what was to be printed is lost. */
static int end_output(const char *verb, int status)
{
	bool lost = ferror(stdout);
	int os = report_lost();

	if (fclose(stdout)) {
		lost = true;
		os = os ? os : errno;
	}
	if (!lost)
		return status;
	report_line(stderr, "ckpt-tool: cannot write standard output%s%s; '%s' has ended with "
		    "status %d and its output is lost", os ? ": " : "", os ? strerror(os) : "",
		    verb, status);
	if (status)
		return status;
	return strcmp(verb, cmd_run.name) ? CKPT_FAILED : RUN_FAILED;
}

static int run_verb(const struct cmd *cmd, int argc, char **argv)
{
	struct ckpt_err err = CKPT_ERR_INIT;
	int status;

	opterr = 0;
	status = cmd->run(argc, argv, &err);
	progress(NULL);
	if (err.status != CKPT_OK)
		tell(&err, status);
	return end_output(cmd->name, status);
}

int main(int argc, char **argv)
{
	const struct cmd *cmd;

	open_missing();
	/* ignored, as it may be inherited, it lets no child be waited for */
	signal(SIGCHLD, SIG_DFL);
	if (argc < 2) {
		list(stderr);
		return CKPT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "help")) {
		list(stdout);
		return end_output("help", CKPT_OK);
	}
	if (!strcmp(argv[1], "--version")) {
		printf("ckpt-tool %s\n", CKPT_TOOL_VERSION);
		return end_output("--version", CKPT_OK);
	}
	cmd = find(argv[1]);
	if (!cmd) {
		report_line(stderr, "ckpt-tool: there is no verb '%s'; 'ckpt-tool --help' lists "
			    "them", argv[1]);
		return CKPT_USAGE;
	}
	return run_verb(cmd, argc - 1, argv + 1);
}
