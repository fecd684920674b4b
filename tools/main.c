/* SPDX-License-Identifier: BSD-3-Clause */
/* colofs, the user's command: its subcommands. */
#include "colofs.h"

#include <stdio.h>
#include <string.h>

static const char usage[] = "Usage: colofs run DIR[:TAG][:ro]... [OPTION]... [-- COMMAND [ARGUMENT]...]\n"
			    "       colofs upgrade SOCKET\n"
			    "       colofs --help | --version\n"
			    "\n"
			    "run      boot a guest with DIR mounted and run COMMAND in it, or a shell\n"
			    "upgrade  replace the colofsd at SOCKET by the installed one while it serves\n"
			    "\n"
			    "colofs run --help explains it with examples.\n";

static int run(int argc, char **argv)
{
	struct run_opts o;
	struct err e;
	int status;

	if (opts_parse(&o, argc, argv, &e) < 0) {
		fprintf(stderr, "colofs: %s\n", e.text);
		status = EXIT_COLOFS;
	} else if (o.help) {
		opts_help();
		status = 0;
	} else {
		status = run_guest(&o);
	}
	opts_free(&o);
	return status;
}

int main(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : "";

	if (!strcmp(word, "run"))
		return run(argc - 1, argv + 1);
	if (!strcmp(word, "upgrade"))
		return upgrade_daemon(argc - 1, argv + 1);
	if (!strcmp(word, "--version"))
		return puts("colofs " COLOFS_VERSION) < 0;
	if (!strcmp(word, "--help") || !strcmp(word, "-h") || !strcmp(word, "help"))
		return fputs(usage, stdout) < 0;
	if (*word)
		fprintf(stderr, "colofs: %s: no such command; see colofs --help\n", word);
	else
		fputs(usage, stderr);
	return EXIT_COLOFS;
}
