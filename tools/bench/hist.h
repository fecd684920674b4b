/* SPDX-License-Identifier: BSD-3-Clause */
/* Latencies in nanoseconds, counted in buckets less than 2 % wide. One thread adds; merged when it has ended.
 */
#ifndef BENCH_HIST_H
#define BENCH_HIST_H

#include <stdint.h>

#define HIST_SUB     64u /* buckets for each power of two */
#define HIST_BUCKETS (60u * HIST_SUB)

struct hist {
	uint64_t count, sum, max;
	uint64_t bucket[HIST_BUCKETS];
};

void hist_add(struct hist *h, uint64_t ns);
void hist_merge(struct hist *to, const struct hist *from);
/* What @share (0 to 1) of the values don't exceed: the bucket's upper end, but never more than the maximum.
 */
uint64_t hist_percentile(const struct hist *h, double share);

#endif
