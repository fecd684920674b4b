/* SPDX-License-Identifier: BSD-3-Clause */
/* The same work by direct system calls, by as many threads as are asked for. */
#ifndef BENCH_LOCAL_H
#define BENCH_LOCAL_H

#include "bench.h"

struct local {
	const struct options *opt;
	char name[48];
	int dir, small, list, scratch, data, blocks; /* descriptors, -1: not made */
	int known[BENCH_KNOWN];
	unsigned int known_count; /* of them open */
};

/* 0 or -errno with @err; local_remove() in either case. */
int local_make(struct local *f, const struct options *opt, struct err *err);
int local_remove(struct local *f, struct err *err);
/* As engine_run(). LOAD_BLOCKING and LOAD_BESIDE are -ENOTSUP. */
int local_run(struct local *f, enum load_id load, double seconds, uint64_t ops, struct result *res,
	struct err *err);

#endif
