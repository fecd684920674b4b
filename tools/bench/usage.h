/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What other processes use: CPU time by their process clocks, system calls by the kernel's raw_syscalls
 * tracepoint (perf_event_open), which costs them next to nothing. One thread.
 */
#ifndef BENCH_USAGE_H
#define BENCH_USAGE_H

#include "bench.h"

#define USAGE_MAX_PROCESSES 16
#define USAGE_MAX_THREADS   256

struct usage {
	pid_t pid[USAGE_MAX_PROCESSES];
	unsigned int processes;
	int counter[USAGE_MAX_THREADS];
	unsigned int counters;
	const char *no_syscalls; /* why they cannot be counted; NULL: they can */
};

/*
 * @pid and the descendants that it has now: all their threads, later ones too. Of processes that are started
 * later system calls are counted, CPU time is not.
 */
void usage_open(struct usage *u, pid_t pid);
void usage_close(struct usage *u);

/* Since any moment that stays the same while @u is open; negative if unknown. */
struct usage_sample {
	double cpu_ns, syscalls;
};
struct usage_sample usage_read(const struct usage *u);

/* Every thread of them to these CPUs. 0 or -errno. */
int usage_pin(const struct usage *u, const struct cpu_list *cpus);

/* Who listens behind a connected socket, 0 if that is not to be known. */
pid_t usage_peer(int sock);

#endif
