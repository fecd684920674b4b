/* SPDX-License-Identifier: BSD-3-Clause */
/* The door for names. No host access here. Threads: any. */
#include "fs/name.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

int name_check(const char *name)
{
	if (!*name || !strcmp(name, ".") || !strcmp(name, "..") || strchr(name, '/'))
		return -EINVAL;
	return strnlen(name, NAME_MAX + 1) > NAME_MAX ? -ENAMETOOLONG : 0;
}
