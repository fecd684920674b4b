/* SPDX-License-Identifier: BSD-3-Clause */
/* The files that the loads work on, made and removed through the daemon, as a guest would. One thread. */
#ifndef BENCH_FIXTURE_H
#define BENCH_FIXTURE_H

#include "cold.h"
#include "target.h"

#define FIXTURE_SYNCED	      2u
#define FIXTURE_SYNCED_BLOCKS 16u /* of BENCH_BLOCK bytes, written in turn */

struct fixture {
	struct target *t;
	char name[48];		       /* of the directory of it all, in the share's root */
	uint64_t dir;		       /* 0: not made */
	uint64_t small, list, scratch; /* directories */
	uint64_t known[BENCH_KNOWN];   /* files known-NNN */
	struct fc_file known_file[BENCH_KNOWN];
	struct fc_file data, blocks, cold; /* of opt->file_size bytes; @blocks was written by BENCH_BLOCK */
	struct fc_file synced[FIXTURE_SYNCED];
	/* The host's view of them; -1: none. */
	struct cold cold_host;
	int synced_host[FIXTURE_SYNCED];
};

/* 0 or -errno with @err; fixture_remove() in either case, which also tries to remove what was left of it. */
int fixture_make(struct fixture *f, struct target *t, struct err *err);
int fixture_remove(struct fixture *f, struct err *err);

#endif
