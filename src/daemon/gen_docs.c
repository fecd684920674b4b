/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs while colofs is built, and is not installed: writes what is made from the option table.
 *   gen_docs man FRAME    the man page: FRAME behind a title, its line @OPTIONS@ replaced
 *   gen_docs bash         completion
 */
#include "daemon/help.h"

#include <string.h>

static int print_man(const char *path)
{
	FILE *frame = fopen(path, "re");
	char line[512];

	if (!frame) {
		perror(path);
		return 1;
	}
	printf(".TH COLOFSD 1 \"\" \"colofs %s\" \"User Commands\"\n", COLOFS_VERSION);
	while (fgets(line, sizeof(line), frame)) {
		if (strcmp(line, "@OPTIONS@\n"))
			fputs(line, stdout);
		else
			help_print_man(stdout);
	}
	fclose(frame);
	return 0;
}

int main(int argc, char *argv[])
{
	if (argc == 3 && !strcmp(argv[1], "man"))
		return print_man(argv[2]);
	if (argc == 2 && !strcmp(argv[1], "bash")) {
		help_print_bash(stdout);
		return 0;
	}
	fprintf(stderr, "usage: gen_docs man FRAME | bash\n");
	return 2;
}
