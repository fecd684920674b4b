/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Four front-ends at once on one directory, each with a daemon and a process of its own. A front-end works in
 * a directory of its own and in the common one; a step is a few requests that leave nothing behind and are
 * verified. Threads: one a front-end makes the steps; its load (proto/load.h) has a queue and a thread more.
 */
#ifndef SOAK_H
#define SOAK_H

#include "counts.h"
#include "load.h"
#include "test.h"

#define SOAK_ENDS   4
#define SOAK_LANES  8
#define SOAK_RECORD 16 /* bytes of a line of the common log */

/* What a front-end has done, in memory that it shares with the parent. */
struct soak_tally {
	uint64_t steps, requests; /* @requests: of the load */
	uint64_t counted;	  /* how often it added 1 to the common counter */
	uint64_t appended;	  /* its records in the common log */
	uint64_t returns;	  /* how often it went without a word, and came back */
	unsigned long warm, end;  /* KiB of the daemon's memory */
	unsigned int fds;
};

struct soak {
	unsigned int id;
	struct vm vm;
	struct fuse_client *c;
	struct soak_tally *tally;
	uint64_t random; /* never 0 */
	int host;	 /* its own directory */

	/* For as long as the front-end is there. */
	uint64_t dir;
	struct fc_file counter, log;
};

uint32_t soak_random(struct soak *s, uint32_t below);

/* One of them: makes it or fails the test. */
void soak_step(struct soak *s);
/* Takes the lock of the common counter, and keeps it. */
void soak_take_lock(struct soak *s);

#endif
