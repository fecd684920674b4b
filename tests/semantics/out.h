/* SPDX-License-Identifier: BSD-3-Clause */
/* Between main() and sem.c only. */
#ifndef SEM_OUT_H
#define SEM_OUT_H

/* The cases of @family follow, in directories beneath @dir, an absolute path. */
void sem_begin(const char *dir, const char *family);

#endif
