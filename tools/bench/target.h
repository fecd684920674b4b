/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The daemon as a guest of it sees it: queues, one FUSE client a queue, a mounted session. Features, flags
 * and descriptors are those of a Linux guest. Each queue belongs to one thread; the high-priority queue to
 * whoever forgets, one at a time.
 */
#ifndef BENCH_TARGET_H
#define BENCH_TARGET_H

#include "bench.h"
#include "frontend/attach.h"
#include "frontend/fuse_ops.h"

#include <pthread.h>

#define TARGET_FORGETS	  64u /* in flight */
#define TARGET_BACKGROUND 6u  /* requests on the first queue beside those of the depth */

struct target {
	const struct options *opt;
	struct frontend fe;
	struct guestmem gm;
	struct drv_queue queue[BENCH_MAX_QUEUES + 1]; /* 0: high priority */
	struct fuse_client client[BENCH_MAX_QUEUES + 1];
	unsigned int queues; /* made so far, the high-priority one included */
	struct fuse_init_out init;
	uint32_t io_max; /* most bytes of a READ or WRITE */

	/* What the daemon answered with ENOSYS once and is not asked again, as Linux does. Any thread sets
	 * them. */
	bool no_open, no_flush, no_opendir;

	pthread_mutex_t forget_lock; /* of the high-priority queue and what follows */
	struct fc_op forget[TARGET_FORGETS];
	struct fuse_forget_in forget_in[TARGET_FORGETS];
	int forget_error;
};

/* Connects, sets up and mounts. 0 or -errno with @err; target_close() in either case. */
int target_open(struct target *t, const struct options *opt, struct err *err);
void target_close(struct target *t);

void target_forget(struct target *t, uint64_t node, uint64_t nlookup);
/* Waits until all forgets were taken. 0, or the first error there was. */
int target_settle(struct target *t);

#endif
