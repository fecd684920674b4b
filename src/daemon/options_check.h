/* SPDX-License-Identifier: BSD-3-Clause */
/* The parser's second half: what options mean together, and defaults that depend on others or on the machine.
 */
#ifndef DAEMON_OPTIONS_CHECK_H
#define DAEMON_OPTIONS_CHECK_H

#include "daemon/options.h"
#include "daemon/options_table.h"

#define OPTIONS_SHOWN 320 /* room for an option as it was written, in messages */

struct options_parse {
	struct options *o;
	struct err *err;
	bool given[OPTION_ROWS_MAX]; /* rows that the command line names */
};

int options_check(struct options_parse *p);

#endif
