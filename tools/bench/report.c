/* SPDX-License-Identifier: BSD-3-Clause */
/* What was measured, as a table or as one JSON object on standard output. */
#include "bench.h"

#include "base/arith.h"

#include <stdio.h>

static const double shares[] = {0.5, 0.9, 0.99, 0.999};
static unsigned int results;

void report_begin(const struct options *o)
{
	results = 0;
	if (o->json) {
		printf("{\"target\":\"%s\",\"depth\":%u,\"queues\":%u,\"threads\":%u,\"ring\":\"%s\","
		       "\"completion\":\"%s\",\"verified\":%s,\"loads\":[",
			o->local ? "local" : "daemon", o->depth, o->queues, o->local ? o->threads : o->queues,
			o->packed ? "packed" : "split", o->poll ? "poll" : "sleep",
			o->verify ? "true" : "false");
		return;
	}
	if (o->local)
		printf("direct system calls, %u threads\n", o->threads);
	else
		printf("%u in flight on each of %u %s queues, driver %ss\n", o->depth, o->queues,
			o->packed ? "packed" : "split", o->poll ? "poll" : "sleep");
	printf("%-11s %11s %9s %8s %8s %8s %8s %8s %9s %9s\n", "load", "op/s", "MiB/s", "p50 us", "p90 us",
		"p99 us", "p99.9", "max", "CPU us/op", "calls/op");
}

static double rate(const struct result *r)
{
	return r->seconds > 0 ? (double)r->hist.count / r->seconds : 0;
}

static void show_number(const char *name, double v)
{
	if (v < 0)
		printf(",\"%s\":null", name);
	else
		printf(",\"%s\":%.3f", name, v);
}

/* Negative if unknown, as with LOAD_BLOCKING: what its background takes cannot be told from the rest. */
static double per_op(const struct result *r, double total)
{
	if (total < 0 || !r->hist.count || r->load == LOAD_BLOCKING)
		return -1;
	return total / (double)r->hist.count;
}

static void result_json(const struct result *r)
{
	static const char *const names[] = {"p50_us", "p90_us", "p99_us", "p99_9_us"};

	printf("%s\n{\"load\":\"%s\",\"operations\":%llu,\"seconds\":%.4f,\"ops_per_second\":%.1f",
		results++ ? "," : "", bench_load_name[r->load], (unsigned long long)r->hist.count, r->seconds,
		rate(r));
	printf(",\"bytes_per_op\":%zu", r->bytes);
	for (unsigned int i = 0; i < ARRAY_LEN(shares); i++)
		show_number(names[i], (double)hist_percentile(&r->hist, shares[i]) / 1e3);
	show_number("max_us", (double)r->hist.max / 1e3);
	show_number("mean_us", r->hist.count ? (double)r->hist.sum / (double)r->hist.count / 1e3 : -1);
	show_number("cpu_us_per_op", per_op(r, r->cpu_ns < 0 ? -1 : r->cpu_ns / 1e3));
	show_number("syscalls_per_op", per_op(r, r->syscalls));
	printf(",\"background_operations\":%llu,\"background_refused\":%llu}",
		(unsigned long long)r->background, (unsigned long long)r->refused);
}

static void show_cell(double v, int width, int digits)
{
	if (v < 0)
		printf(" %*s", width, "-");
	else
		printf(" %*.*f", width, digits, v);
}

static void result_text(const struct result *r)
{
	printf("%-11s", bench_load_name[r->load]);
	show_cell(rate(r), 11, 0);
	show_cell(r->bytes ? rate(r) * (double)r->bytes / BENCH_BIG : -1, 9, 1);
	for (unsigned int i = 0; i < ARRAY_LEN(shares); i++)
		show_cell((double)hist_percentile(&r->hist, shares[i]) / 1e3, 8, 1);
	show_cell((double)r->hist.max / 1e3, 8, 0);
	show_cell(per_op(r, r->cpu_ns < 0 ? -1 : r->cpu_ns / 1e3), 9, 2);
	show_cell(per_op(r, r->syscalls), 9, 2);
	if (r->background)
		printf("  (beside %llu others)", (unsigned long long)r->background);
	if (r->refused)
		printf("  (%llu waiting locks refused)", (unsigned long long)r->refused);
	printf("\n");
	fflush(stdout);
}

void report_result(const struct options *o, const struct result *r)
{
	if (o->json)
		result_json(r);
	else
		result_text(r);
}

void report_end(const struct options *o, const char *note)
{
	if (o->json && note)
		printf("\n],\"note\":\"%s\"}\n", note);
	else if (o->json)
		printf("\n]}\n");
	else if (note)
		printf("system calls are not counted: %s\n", note);
}
