/* SPDX-License-Identifier: BSD-3-Clause */
/* Keeps the lanes of one queue busy, by one thread. */
#ifndef BENCH_ENGINE_H
#define BENCH_ENGINE_H

#include "lane.h"

#define ENGINE_HOLDER 0x1000u /* the lock owner whose lock the waiters wait for */

/* Runs @load on all queues at once for so long (0: until the operations are done) and @ops operations (0:
 * any). The result's latencies and counts are added to. 0 or -errno with @err. */
int engine_run(struct fixture *f, enum load_id load, double seconds, uint64_t ops, struct result *res,
	struct err *err);

#endif
