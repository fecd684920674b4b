/* SPDX-License-Identifier: BSD-3-Clause */
/* Decimal numbers that somebody else wrote: all of the text is one, without sign or blanks. */
#ifndef BASE_NUMBER_H
#define BASE_NUMBER_H

#include <stdint.h>

/* Both: 0, -EINVAL: it is none, or -ERANGE: it does not fit; then *out has no meaning. */
int number_parse(const char *s, uint64_t *out);

/* A number of bytes, with K, M or G behind it (powers of 1024, k, m, g too); a bare one counts in units of
 * 1 << @shift. */
int number_parse_size(const char *s, unsigned int shift, uint64_t *out);

#endif
