/* SPDX-License-Identifier: BSD-3-Clause */
/* Options by a table; the header says more. */
#include "opt_table.h"

#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>

void opt_table_show(const struct opt_table *t)
{
	for (size_t i = 0; i < t->count; i++) {
		const struct opt_row *row = &t->row[i];
		int used = printf("  --%s%s%s", row->name, row->arg ? "=" : "", row->arg ? row->arg : "");

		printf("%*s %s\n", used < 26 ? 26 - used : 0, "", row->help);
	}
}

int opt_table_next(const struct opt_table *t, int argc, char **argv, const char **arg, struct err *err)
{
	struct option longs[OPT_TABLE_MAX + 1] = {0};
	char shorts[32];
	bool words = t->shorts[0] == '-';
	int id;

	for (size_t i = 0; i < t->count && i < OPT_TABLE_MAX; i++)
		longs[i] = (struct option){
			t->row[i].name, t->row[i].arg ? required_argument : no_argument, NULL, t->row[i].id};
	/* The colon: a missing value is told from an unknown option, and neither is printed. */
	snprintf(shorts, sizeof(shorts), "%s:%s", words ? "-" : "", t->shorts + words);
	id = getopt_long(argc, argv, shorts, longs, NULL);
	*arg = optarg;
	if (id == ':')
		return err_set(err, EINVAL, "%s: needs a value; see %s --help", argv[optind - 1], t->see);
	if (id == '?')
		return err_set(err, EINVAL, "%s: no such option; see %s --help", argv[optind - 1], t->see);
	return id;
}
