/* SPDX-License-Identifier: BSD-3-Clause */
/* Latencies in buckets; the header says more. */
#include "hist.h"

#include "base/arith.h"

/* Below HIST_SUB each value has its bucket; from there on each power of two has HIST_SUB. */
static unsigned int bucket_of(uint64_t v)
{
	unsigned int shift;

	if (v < HIST_SUB)
		return (unsigned int)v;
	shift = 57 - (unsigned int)__builtin_clzll(v);
	return shift * HIST_SUB + (unsigned int)(v >> shift);
}

static uint64_t bucket_end(unsigned int b)
{
	unsigned int shift = b / HIST_SUB - 1;

	if (b < HIST_SUB)
		return b;
	return ((HIST_SUB + b % HIST_SUB + 1ull) << shift) - 1;
}

void hist_add(struct hist *h, uint64_t ns)
{
	h->count++;
	h->sum += ns;
	h->max = MAX(h->max, ns);
	h->bucket[bucket_of(ns)]++;
}

void hist_merge(struct hist *to, const struct hist *from)
{
	to->count += from->count;
	to->sum += from->sum;
	to->max = MAX(to->max, from->max);
	for (unsigned int i = 0; i < HIST_BUCKETS; i++)
		to->bucket[i] += from->bucket[i];
}

uint64_t hist_percentile(const struct hist *h, double share)
{
	double rank = (double)h->count * share;
	uint64_t want = (uint64_t)rank;
	uint64_t seen = 0;

	want += (double)want < rank;
	for (unsigned int i = 0; i < HIST_BUCKETS; i++) {
		seen += h->bucket[i];
		if (seen && seen >= want)
			return MIN(bucket_end(i), h->max);
	}
	return h->max;
}
