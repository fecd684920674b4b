/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/tune.h"

#include "base/arith.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define TUNE_DEFAULT(field, name, def, min, max, help) .field = (def),
struct tune tune = {TUNE_ROWS(TUNE_DEFAULT)};

struct row {
	const char *name;
	size_t offset;
	uint32_t min, max;
};

#define TUNE_ROW(field, name, def, min, max, help) {name, offsetof(struct tune, field), min, max},
static const struct row rows[] = {TUNE_ROWS(TUNE_ROW)};

static const struct row *find(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (strlen(rows[i].name) == len && !memcmp(rows[i].name, name, len))
			return &rows[i];
	return NULL;
}

/* One NAME=VALUE of @len bytes. */
static int set(const char *item, size_t len, struct err *err)
{
	size_t name = strcspn(item, "=,");
	const struct row *r = find(item, name);
	unsigned long v;
	char *end;

	if (!r)
		return err_set(
			err, EINVAL, "%.*s: no such switch; colofsd --help lists them", (int)name, item);
	if (name == len || !isdigit((unsigned char)item[name + 1]))
		return err_set(
			err, EINVAL, "%s: the number is missing; give it as %s=%u", r->name, r->name, r->max);
	errno = 0;
	v = strtoul(item + name + 1, &end, 10);
	if (errno || end != item + len || v < r->min || v > r->max)
		return err_set(
			err, EINVAL, "%.*s: not a number from %u to %u", (int)len, item, r->min, r->max);
	*(uint32_t *)(void *)((char *)&tune + r->offset) = (uint32_t)v;
	return 0;
}

int tune_parse(const char *list, struct err *err)
{
	int r = 0;

	while (*list && !r) {
		size_t len = strcspn(list, ",");

		r = len ? set(list, len, err) : 0;
		list += len + (list[len] == ',');
	}
	return r;
}
