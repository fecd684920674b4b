/* SPDX-License-Identifier: BSD-3-Clause */
/* Arithmetic on numbers that somebody else chose: every function says whether the result is true. */
#ifndef BASE_ARITH_H
#define BASE_ARITH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)    ((a) < (b) ? (a) : (b))
#define MAX(a, b)    ((a) > (b) ? (a) : (b))

/* *out = a + b; false if that overflows. */
#define arith_add(a, b, out) (!__builtin_add_overflow((a), (b), (out)))
#define arith_mul(a, b, out) (!__builtin_mul_overflow((a), (b), (out)))

/* True if [off, off + len) lies in [0, size). An empty range at the end is inside. */
static inline bool arith_within(uint64_t off, uint64_t len, uint64_t size)
{
	return off <= size && len <= size - off;
}

static inline bool arith_is_pow2(uint64_t v)
{
	return v && !(v & (v - 1));
}

/* @align is a power of two; the caller knows that v + align - 1 does not overflow. */
static inline uint64_t arith_align_up(uint64_t v, uint64_t align)
{
	return (v + align - 1) & ~(align - 1);
}

#endif
