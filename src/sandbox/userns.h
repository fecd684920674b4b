/* SPDX-License-Identifier: BSD-3-Clause */
/* The rules of a user namespace with mapped ids (--uid-map, --gid-map). Pure. */
#ifndef SANDBOX_USERNS_H
#define SANDBOX_USERNS_H

#include "sandbox/sandbox.h"

/*
 * Adds ":INSIDE:OUTSIDE:COUNT:", numbers decimal, the separator whatever mark comes first. 0, or -EINVAL with
 * @err, which says what is wrong and the remedy: another form, no ids, a range past the last id, or one that
 * meets another on either side.
 */
int userns_add(struct sandbox_ids *ids, const char *rule, struct err *err);

#endif
