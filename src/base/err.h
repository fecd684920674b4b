/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Errors of the setup path: a negative errno, and a text for a person that grows from the inside out.
 * Not for the request path, which returns 0 or -errno and formats nothing.
 * Owned by the caller; no function here keeps a pointer to it.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

struct err {
	char text[512];
};

/* Sets the text. Returns -errnum, so that `return err_set(e, EINVAL, ...)` reads as what it does. @e may be
 * NULL. */
int err_set(struct err *e, int errnum, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* As err_set(), with ": " and the system's words for @errnum appended. */
int err_sys(struct err *e, int errnum, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts context in front of the text that is there: "context: text". Returns @ret as it is. */
int err_prefix(struct err *e, int ret, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
