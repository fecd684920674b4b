/* SPDX-License-Identifier: BSD-3-Clause */
/* A growing, NULL-terminated list of strings: arguments, environments. Ends the program when memory runs out.
 */
#ifndef TOOLS_STRV_H
#define TOOLS_STRV_H

#include <stddef.h>

struct strv {
	char **v; /* NULL-terminated once something was added */
	size_t n;
};

/* Appends a formatted string, which the list owns. */
void strv_add(struct strv *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void strv_free(struct strv *s);

/* A formatted string that the caller frees. */
char *str_format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
