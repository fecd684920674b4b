/* SPDX-License-Identifier: BSD-3-Clause */
/* What both kinds of run share; the header says more. */
#include "bench.h"

#include "base/arith.h"

#include <sched.h>
#include <signal.h>

const char *const bench_load_name[LOAD_COUNT] = {
	[LOAD_GETATTR] = "getattr",
	[LOAD_GETATTR_FH] = "getattr-fh",
	[LOAD_LOOKUP] = "lookup",
	[LOAD_LOOKUP_NEW] = "lookup-new",
	[LOAD_RANDREAD] = "read-4k",
	[LOAD_RANDWRITE] = "write-4k",
	[LOAD_SEQREAD] = "read-1m",
	[LOAD_SEQWRITE] = "write-1m",
	[LOAD_SMALL] = "small-file",
	[LOAD_CREATE] = "create",
	[LOAD_LIST] = "list",
	[LOAD_MIX] = "mix",
	[LOAD_QUICK] = "quick",
	[LOAD_BLOCKING] = "blocking",
	[LOAD_BESIDE] = "beside",
};

const char *const bench_load_help[LOAD_COUNT] = {
	[LOAD_GETATTR] = "attributes of known files, by nodeid",
	[LOAD_GETATTR_FH] = "attributes of open files, by file handle",
	[LOAD_LOOKUP] = "look up a known name, and forget that lookup",
	[LOAD_LOOKUP_NEW] = "look up a name that is not known, and forget it",
	[LOAD_RANDREAD] = "read 4 KiB at random",
	[LOAD_RANDWRITE] = "write 4 KiB at random",
	[LOAD_SEQREAD] = "read 1 MiB after the other",
	[LOAD_SEQWRITE] = "write 1 MiB after the other",
	[LOAD_SMALL] = "look up, open, read, flush, release and forget a 4 KiB file",
	[LOAD_CREATE] = "create, write 4 KiB, flush, release, unlink and forget a file",
	[LOAD_LIST] = "list a directory with attributes",
	[LOAD_MIX] = "of all that is above but 1 MiB and list",
	[LOAD_QUICK] = "getattr, lookup and read-4k in turn: what blocking compares with",
	[LOAD_BLOCKING] = "quick, while fsync, cold reads and waiting locks are in flight",
	[LOAD_BESIDE] = "quick, while the host calls fsync and reads cold, on the daemon's CPUs",
};

static volatile sig_atomic_t stopped;

bool bench_stopped(void)
{
	return stopped;
}

void bench_stop(int signal)
{
	stopped = signal;
}

size_t bench_load_bytes(enum load_id id, size_t big)
{
	switch (id) {
	case LOAD_RANDREAD:
	case LOAD_RANDWRITE:
	case LOAD_SMALL:
		return BENCH_BLOCK;
	case LOAD_SEQREAD:
	case LOAD_SEQWRITE:
		return big;
	default:
		return 0;
	}
}

uint64_t bench_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void bench_pin(const struct cpu_list *l, unsigned int index)
{
	cpu_set_t set;

	if (!l->count)
		return;
	CPU_ZERO(&set);
	CPU_SET((size_t)l->cpu[index % l->count], &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static uint64_t word_at(uint64_t index, uint64_t seed)
{
	return (index + 1) * 0x9e3779b97f4a7c15ull ^ (seed + 1) * 0xc2b2ae3d27d4eb4full;
}

void bench_fill(void *buf, size_t len, uint64_t off, uint64_t seed)
{
	uint64_t *w = buf;

	for (size_t i = 0; i < len / sizeof(*w); i++)
		w[i] = word_at(off / sizeof(*w) + i, seed);
}

bool bench_check(const void *buf, size_t len, uint64_t off, uint64_t seed)
{
	const uint64_t *w = buf;

	for (size_t i = 0; i < len / sizeof(*w); i++)
		if (w[i] != word_at(off / sizeof(*w) + i, seed))
			return false;
	return true;
}

uint32_t bench_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return (uint32_t)(*state >> 32);
}

uint64_t bench_random_part(uint64_t *state, uint64_t size, uint32_t len)
{
	return bench_random(state) % (size / len) * len;
}

enum load_id bench_pick(enum load_id mix, uint32_t random)
{
	static const enum load_id quick[] = {LOAD_GETATTR, LOAD_LOOKUP, LOAD_RANDREAD};
	static const struct {
		uint32_t percent;
		enum load_id id;
	} usual[] = {{25, LOAD_GETATTR}, {5, LOAD_GETATTR_FH}, {20, LOAD_LOOKUP}, {5, LOAD_LOOKUP_NEW},
		{20, LOAD_RANDREAD}, {10, LOAD_RANDWRITE}, {10, LOAD_SMALL}, {5, LOAD_CREATE}};
	uint32_t at = random % 100;

	if (mix != LOAD_MIX)
		return quick[random % ARRAY_LEN(quick)];
	for (unsigned int i = 0; i < ARRAY_LEN(usual); i++) {
		if (at < usual[i].percent)
			return usual[i].id;
		at -= usual[i].percent;
	}
	return LOAD_GETATTR;
}
