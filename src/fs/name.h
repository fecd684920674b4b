/* SPDX-License-Identifier: BSD-3-Clause */
/* The door for names (design decision 3): the only form in which a guest's name reaches a host system call.
 */
#ifndef FS_NAME_H
#define FS_NAME_H

/* 0, -EINVAL for an empty name, ".", ".." or one with '/', -ENAMETOOLONG beyond NAME_MAX. */
int name_check(const char *name);

#endif
