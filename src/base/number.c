/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/number.h"

#include "base/arith.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The digits that @s begins with; *@end is behind them. */
static int parse_digits(const char *s, char **end, uint64_t *out)
{
	if (*s < '0' || *s > '9')
		return -EINVAL;
	errno = 0;
	*out = strtoull(s, end, 10);
	return -errno;
}

int number_parse(const char *s, uint64_t *out)
{
	char *end = NULL;
	int r = parse_digits(s, &end, out);

	return end && *end ? -EINVAL : r;
}

int number_parse_size(const char *s, unsigned int shift, uint64_t *out)
{
	static const char units[] = "KMG";
	const char *unit;
	char *end = NULL;
	int r = parse_digits(s, &end, out);

	if (end && *end) {
		unit = strchr(units, *end & ~0x20);
		if (!unit || !*unit || end[1])
			return -EINVAL;
		shift = 10 * (unsigned int)(unit - units + 1);
	}
	return !r && !arith_mul(*out, UINT64_C(1) << shift, out) ? -ERANGE : r;
}
