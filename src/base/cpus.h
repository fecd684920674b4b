/* SPDX-License-Identifier: BSD-3-Clause */
/* How many CPUs this process may use. It may be told another number at any time. */
#ifndef BASE_CPUS_H
#define BASE_CPUS_H

/* At least 1. No older than a tenth of a second. Any thread. */
unsigned int cpus_mine(void);

#endif
