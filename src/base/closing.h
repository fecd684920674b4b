/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Descriptors that nobody waits for to be closed: several neighbours go in one system call
 * (tune.close_batch). Not for those whose closing means something at once: that gives up a lock, or says how
 * writing went. Who closes a removed file's last descriptor frees its blocks, and may have to wait for a
 * disk: as long as closing takes long (tune.close_long) it is left to threads of its own. Threads: any.
 */
#ifndef BASE_CLOSING_H
#define BASE_CLOSING_H

#include <stdbool.h>

#define CLOSING_MAX 512

/* At most so many are not closed yet, but for what each thread is closing, whatever tune.close_batch says: a
 * share of what the process may have. At the start. */
void closing_limit(unsigned int most);
/* Closes @fd soon: at the latest with the next closing_flush(). Negative: nothing to do. */
void closing_add(int fd);
bool closing_waits(void); /* some descriptor does, and no thread of its own is to close it */
void closing_flush(void);
/* For who lacks what closing may give back, room on a disk or numbers of descriptors. True: something has
 * been closed since, also by other threads, which are waited for, a second at most; he tries again. False:
 * nothing was to be closed. */
bool closing_finish(void);

#endif
