/* SPDX-License-Identifier: BSD-3-Clause */
/* What a run of colofs-bench is told, and what it finds out. Set up by one thread ahead of all others. */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include "hist.h"

#include "base/err.h"

#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

#define BENCH_MAX_QUEUES 16
#define BENCH_MAX_CPUS	 64
#define BENCH_KNOWN	 100u  /* files that the guest knows, and has open */
#define BENCH_SMALL	 1000u /* files of BENCH_BLOCK bytes that it does not know */
#define BENCH_BLOCK	 4096u /* bytes of a small file, and of a random read or write */
#define BENCH_BIG	 (1u << 20)

enum load_id {
	LOAD_GETATTR,
	LOAD_GETATTR_FH,
	LOAD_LOOKUP,
	LOAD_LOOKUP_NEW,
	LOAD_RANDREAD,
	LOAD_RANDWRITE,
	LOAD_SEQREAD,
	LOAD_SEQWRITE,
	LOAD_SMALL,
	LOAD_CREATE,
	LOAD_LIST,
	LOAD_MIX,
	LOAD_QUICK,
	LOAD_BLOCKING,
	LOAD_BESIDE,
	LOAD_COUNT
};

struct cpu_list {
	unsigned int count;
	int cpu[BENCH_MAX_CPUS];
};

struct options {
	bool local, packed, poll, verify, json;
	const char *where; /* socket, or directory if local */
	const char *host_dir;
	pid_t pid; /* the daemon's, 0: whoever listens */
	unsigned int depth, queues, ring_size, page_run, threads, entries, readdir_size;
	double seconds, warmup;
	uint64_t ops; /* of each load; 0: as many as the time allows */
	uint64_t file_size;
	struct cpu_list driver_cpus, daemon_cpus;
	bool load[LOAD_COUNT];
};

/* Of one load. What was not to be had is negative. */
struct result {
	enum load_id load;
	double seconds;
	size_t bytes; /* that one operation carries; 0: not about bytes */
	struct hist hist;
	uint64_t background; /* requests, or calls of the host's, that ran beside the quick ones */
	uint64_t refused;    /* background requests that the daemon does not offer */
	double cpu_ns;	     /* the daemon's, all processes of it */
	double syscalls;
};

extern const char *const bench_load_name[LOAD_COUNT];
extern const char *const bench_load_help[LOAD_COUNT];
/* Bytes that one operation of the load carries where @big is the most at once; 0: not about bytes. */
size_t bench_load_bytes(enum load_id id, size_t big);

/* Set by SIGINT and SIGTERM: everything comes to its end and cleans up. */
bool bench_stopped(void);
void bench_stop(int signal);

uint64_t bench_now(void); /* nanoseconds, monotonic */
/* A CPU for the calling thread; none if the list is empty. */
void bench_pin(const struct cpu_list *l, unsigned int index);

/* What the files hold: @len bytes (a multiple of 8) from @off (too) of the file with number @seed. */
void bench_fill(void *buf, size_t len, uint64_t off, uint64_t seed);
bool bench_check(const void *buf, size_t len, uint64_t off, uint64_t seed);

/* xorshift; *state is not 0. */
uint32_t bench_random(uint64_t *state);
/* Where one of the parts of @len bytes begins that a file of @size bytes has, at random. */
uint64_t bench_random_part(uint64_t *state, uint64_t size, uint32_t len);

/* Which of the loads of a mix comes next. */
enum load_id bench_pick(enum load_id mix, uint32_t random);

/* 0, 1: show no more (help was asked for), or -EINVAL with @err. */
int options_parse(struct options *o, int argc, char **argv, struct err *err);
void report_begin(const struct options *o);
void report_result(const struct options *o, const struct result *r);
void report_end(const struct options *o, const char *note);

#endif
