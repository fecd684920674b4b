/* SPDX-License-Identifier: BSD-3-Clause */
/* The long options of a command: one table makes the parser's list and the help. One thread. */
#ifndef TOOLS_OPT_TABLE_H
#define TOOLS_OPT_TABLE_H

#include "base/err.h"

#include <stddef.h>

#define OPT_TABLE_MAX 64 /* rows */
#define OPT_TABLE_END (-1)

struct opt_row {
	int id; /* 256 or more */
	const char *name;
	const char *arg; /* what the help calls its value; NULL: it takes none */
	const char *help;
};

struct opt_table {
	const struct opt_row *row;
	size_t count;
	const char *shorts; /* as getopt(3) has them, behind "-" if words that are no options count as id 1 */
	const char *see;    /* the command whose help says more */
};

/* A line for each row, to standard output. */
void opt_table_show(const struct opt_table *t);

/*
 * The next option: its id (a short one's letter) with its value in *arg, OPT_TABLE_END, or -EINVAL with @err.
 * Goes on at optind, as getopt_long(3) does.
 */
int opt_table_next(const struct opt_table *t, int argc, char **argv, const char **arg, struct err *err);

#endif
