/* SPDX-License-Identifier: BSD-3-Clause */
/* What fuzz targets share. The one function that each defines has libFuzzer's name, so that it runs with that
 * and with replay.c. */
#ifndef FUZZ_H
#define FUZZ_H

#include "base/cursor.h"

#include <stdbool.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold whatever the input is. */
static inline void fuzz_require(bool ok)
{
	if (!ok)
		abort();
}

/* A number of @bytes bytes, at most 4, that the input holds next; 0 behind its end. */
static inline unsigned int fuzz_take(struct cursor *c, size_t bytes)
{
	const uint8_t *p = cursor_take(c, bytes);
	unsigned int v = 0;

	for (size_t i = bytes; p && i > 0; i--)
		v = v << 8 | p[i - 1];
	return v;
}

#endif
