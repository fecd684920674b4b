/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A file of the host that is to be read from its disk, again and again. What was read is dropped from the
 * host's memory by a thread of its own: that may wait for other processors, which no guest would.
 */
#ifndef BENCH_COLD_H
#define BENCH_COLD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define COLD_MAX 64u /* parts that wait to be dropped; more are forgotten, and stay warm */

struct cold {
	int fd; /* the host's view of the file; -1: none */
	bool started;
	pthread_t thread;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t more;
	struct {
		uint64_t off, len;
	} part[COLD_MAX];
	unsigned int parts;
	bool ends;
};

/* Opens the host's file and drops all of it. 0 or -errno; cold_close() in either case. */
int cold_open(struct cold *c, const char *path);
void cold_close(struct cold *c); /* repeatable; also of one with fd -1 that was never opened */
/* That part was read. Any thread. */
void cold_drop(struct cold *c, uint64_t off, uint64_t len);

#endif
