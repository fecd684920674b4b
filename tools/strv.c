/* SPDX-License-Identifier: BSD-3-Clause */
#include "strv.h"

#include "colofs.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void *or_end(void *p)
{
	if (p)
		return p;
	fputs("colofs: out of memory\n", stderr);
	exit(EXIT_COLOFS);
}

static char *vformat(const char *fmt, va_list ap) __attribute__((format(printf, 1, 0)));
static char *vformat(const char *fmt, va_list ap)
{
	char *s = NULL;

	if (vasprintf(&s, fmt, ap) < 0)
		s = NULL;
	return or_end(s);
}

char *str_format(const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	s = vformat(fmt, ap);
	va_end(ap);
	return s;
}

void strv_add(struct strv *s, const char *fmt, ...)
{
	va_list ap;

	s->v = or_end(reallocarray(s->v, s->n + 2, sizeof(*s->v)));
	va_start(ap, fmt);
	s->v[s->n++] = vformat(fmt, ap);
	va_end(ap);
	s->v[s->n] = NULL;
}

void strv_free(struct strv *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->v[i]);
	free(s->v);
	*s = (struct strv){0};
}
