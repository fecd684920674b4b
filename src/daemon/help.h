/* SPDX-License-Identifier: BSD-3-Clause */
/* The option table as text: for --help, the man page's OPTIONS section, and completion in bash. */
#ifndef DAEMON_HELP_H
#define DAEMON_HELP_H

#include <stdio.h>

void help_print(FILE *out);
void help_print_man(FILE *out);
void help_print_bash(FILE *out);

/* What --print-capabilities prints, in the form of the vhost-user specification's back-end conventions. */
void help_print_capabilities(FILE *out);

#endif
