/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A bounded read position in bytes that are ours (already copied out of shared memory).
 * Every take either yields the whole thing or NULL and leaves the position; nothing reads past the end.
 */
#ifndef BASE_CURSOR_H
#define BASE_CURSOR_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct cursor {
	const uint8_t *pos;
	const uint8_t *end;
};

static inline struct cursor cursor_over(const void *p, size_t len)
{
	return (struct cursor){.pos = p, .end = (const uint8_t *)p + len};
}

static inline size_t cursor_left(const struct cursor *c)
{
	return (size_t)(c->end - c->pos);
}

/* The next @len bytes, or NULL if there are fewer. The pointer lives as long as the bytes below. */
static inline const void *cursor_take(struct cursor *c, size_t len)
{
	const void *p = c->pos;

	if (cursor_left(c) < len)
		return NULL;
	c->pos += len;
	return p;
}

/* The next NUL-terminated string, or NULL if no NUL follows before the end. */
static inline const char *cursor_string(struct cursor *c)
{
	const char *s = (const char *)c->pos;
	size_t left = cursor_left(c);
	size_t n;

	if (!left)
		return NULL;
	n = strnlen(s, left);
	if (n == left)
		return NULL;
	c->pos += n + 1;
	return s;
}

#endif
