/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What LOAD_BLOCKING has a daemon do beside the quick requests, done without it: threads on the daemon's CPUs
 * write, sync and read cold pages of the same files of the host, as many at a time.
 */
#ifndef BENCH_BESIDE_H
#define BENCH_BESIDE_H

#include "fixture.h"

struct beside;

/* 0, or -errno; *@b is the caller's, for beside_stop(). @f outlives it, and has its host's view of the files.
 */
int beside_start(struct beside **b, struct fixture *f);
uint64_t beside_stop(struct beside *b); /* how many they did; frees it */

#endif
